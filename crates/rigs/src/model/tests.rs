use std::collections::BTreeSet;

use any_store::{Document, RawDocumentBuf, Value, doc};

use super::answer::{Answer, Order, Refusal, agree};
use super::draw;
use super::history::{Failure, History};
use super::op::Op;
use super::player::Player;
use super::shrink::shrink;

fn ops(history: &History) -> Vec<Op> {
    history.ops.iter().map(|op| Op::read(op).unwrap()).collect()
}

fn history(is_simulated: bool, ops: Vec<Document>) -> History {
    History { is_simulated, seed: 1, setup: doc! { "sync": "full" }, ops }
}

fn three_documents() -> Vec<Document> {
    let documents = vec![doc! { "id": 1 }, doc! { "id": 2, "n": 1.0 }, doc! { "id": 3 }];
    vec![
        doc! { "do": "create", "name": "a", "slot": 0, "options": (Document::new()) },
        doc! { "do": "insert_many", "on": "a", "documents": documents },
    ]
}

#[test]
fn histories_are_drawn_the_same_again_and_read_back_as_they_are_printed() {
    for seed in 0..50 {
        let drawn = draw::history(seed);
        let printed = drawn.to_string();
        assert_eq!(printed, draw::history(seed).to_string());
        assert_eq!(History::parse(&printed).unwrap().to_string(), printed);
    }
}

#[test]
fn the_histories_of_some_seeds_have_every_operation_and_agree() {
    let mut names = BTreeSet::new();
    let (mut crashes, mut commits) = (0, 0);
    for seed in 0..40 {
        let drawn = draw::history(seed);
        let (tally, failure) = drawn.play();
        assert!(failure.is_none(), "seed {seed}: {failure:?}");
        (crashes, commits) = (crashes + tally.crashes, commits + tally.commits);
        let name = |op: &Document| op.get("do").and_then(Value::as_str).unwrap().to_owned();
        names.extend(drawn.ops.iter().map(name));
    }
    assert!(crashes > 10 && commits > 500, "{crashes} {commits}");
    assert!(names.len() >= 37, "{names:?}");
}

#[test]
fn kept_histories_agree() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/model/kept");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let (_, failure) = History::parse(&text).unwrap().play();
        assert!(failure.is_none(), "{}: {failure:?}", path.display());
    }
}

#[test]
fn a_document_that_changes_behind_the_model_is_noticed() {
    let history = history(false, three_documents());
    for sabotage in [
        |a: any_store::Collection| a.delete_id(2).unwrap(),
        |a: any_store::Collection| drop(a.insert_one(&doc! { "id": 4 }).unwrap()),
        |a: any_store::Collection| drop(a.update_id(2, r#"{"$set":{"n":1}}"#).unwrap()),
        |a: any_store::Collection| a.rename("b").unwrap(),
    ] {
        let mut player = Player::new(&history).unwrap();
        player.play(&ops(&history)).unwrap();
        sabotage(player.database.collection("a"));
        assert!(player.play(&[]).is_err());
    }
}

#[test]
fn a_document_that_changes_behind_the_model_is_noticed_by_the_next_statement_that_meets_it() {
    let history = history(false, three_documents());
    for statement in [
        doc! { "do": "get", "on": "a", "id": 2 },
        doc! { "do": "find", "on": "a", "filter": { "id": { "$gte": 2 } } },
        doc! { "do": "count", "on": "a", "filter": { "n": 1 } },
        doc! { "do": "exists", "on": "a", "filter": { "n": 1 } },
        doc! { "do": "distinct", "on": "a", "path": "n" },
        doc! { "do": "update", "on": "a", "filter": (Document::new()), "many": true,
        "update": { "$set": { "m": 1 } } },
        doc! { "do": "delete", "on": "a", "filter": { "n": 1 }, "many": true },
        doc! { "do": "insert", "on": "a", "document": { "id": 2 } },
        doc! { "do": "delete_id", "on": "a", "id": 2 },
        doc! { "do": "backup", "to": "bytes" },
    ] {
        let mut player = Player::new(&history).unwrap();
        player.play(&ops(&history)).unwrap();
        player.database.collection::<Document>("a").delete_id(2).unwrap();
        let statement = [Op::read(&statement).unwrap()];
        let mut outside = Player::new(&history).unwrap();
        outside.play(&ops(&history)).unwrap();
        assert!(outside.outside(&statement[0]).is_ok(), "{statement:?}");
        assert!(player.outside(&statement[0]).is_err(), "{statement:?}");
    }
}

#[test]
fn a_commit_that_a_crash_takes_is_noticed() {
    let history = history(true, three_documents());
    for way in ["kill", "drop", "keep", "sectors50"] {
        let crash = doc! { "do": "crash", "way": way, "seed": 1, "setup": { "sync": "full" } };
        let crash = [Op::read(&crash).unwrap()];
        let mut player = Player::new(&history).unwrap();
        player.play(&ops(&history)).unwrap();
        player.play(&crash).unwrap();
        // The model believes in a commit that the database never made.
        player.lose_last_commit();
        assert!(player.play(&crash).is_err(), "{way}");
    }
}

#[test]
fn answers_that_differ_do_not_agree() {
    let document = |document: Document| RawDocumentBuf::from_document(&document).unwrap();
    let (one, two) = (document(doc! { "id": 1 }), document(doc! { "id": 2 }));
    let documents = |documents: &[&RawDocumentBuf]| {
        Answer::Documents(documents.iter().map(|document| (*document).clone()).collect())
    };
    let both = documents(&[&one, &two]);
    let agrees = |order, got: Answer| agree(&Ok((both.clone(), order)), &Ok(got)).is_ok();
    assert!(agrees(Order::Exact, both.clone()));
    assert!(!agrees(Order::Exact, documents(&[&two, &one])));
    assert!(agrees(Order::Any, documents(&[&two, &one])));
    assert!(!agrees(Order::Any, documents(&[&two, &two])));
    assert!(!agrees(Order::Any, documents(&[&two])));
    assert!(agrees(Order::AnyOf(1), documents(&[&two])));
    assert!(!agrees(Order::AnyOf(1), both.clone()));
    assert!(!agrees(Order::AnyOf(2), documents(&[&one, &one])));
    assert!(!agrees(Order::Exact, Answer::Nothing));
    let count = |count| Ok((Answer::Count(count), Order::Exact));
    assert!(agree(&count(2), &Ok(Answer::Count(2))).is_ok());
    assert!(agree(&count(2), &Ok(Answer::Count(3))).is_err());
    let value = Ok((Answer::Values(vec![1.into()]), Order::Exact));
    assert!(agree(&value, &Ok(Answer::Values(vec![Value::Double(1.0)]))).is_ok());
    let ids = Ok((Answer::Ids(vec![1.into()]), Order::Exact));
    assert!(agree(&ids, &Ok(Answer::Ids(vec![Value::Double(1.0)]))).is_err());
}

#[test]
fn refusals_agree_by_their_kind() {
    let db = any_store::Database::in_memory().unwrap();
    let not_found = || Err(db.collection::<Document>("a").count().unwrap_err());
    let refused = |kind| Err(Refusal(vec![kind]));
    assert!(agree(&refused(any_store::ErrorKind::CollectionNotFound), &not_found()).is_ok());
    assert!(agree(&refused(any_store::ErrorKind::NotFound), &not_found()).is_err());
    assert!(agree(&refused(any_store::ErrorKind::NotFound), &Ok(Answer::Nothing)).is_err());
    assert!(agree(&Ok((Answer::Nothing, Order::Exact)), &not_found()).is_err());
}

#[test]
fn a_panic_is_a_failure_that_says_where_it_was() {
    let mut ops = three_documents();
    // The evaluator takes no request that is not valid.
    ops.push(
        doc! { "do": "find", "on": "a", "filter": { "n": { "$mod": (Vec::<Value>::new()) } } },
    );
    let (_, failure) = history(false, ops).play();
    let failure = failure.unwrap();
    assert_eq!((failure.at, failure.is_panic), (2, true), "{failure:?}");
}

#[test]
fn a_failing_history_shrinks_to_the_operations_that_matter() {
    let mut drawn = draw::history(3);
    // Whoever reads an operation passes over what he does not know.
    let wanted = [17, 90, 141].map(|at| {
        drawn.ops[at].insert("mark", at as i64);
        drawn.ops[at].to_string()
    });
    let fails = |history: &History| {
        let printed = history.to_string();
        let at = history.ops.len() - 1;
        let failure = Failure { at, what: String::new(), is_panic: false };
        wanted.iter().all(|op| printed.contains(op)).then_some(failure)
    };
    let failure = fails(&drawn).unwrap();
    let (shrunk, _) = shrink(&drawn, failure, &fails);
    let left: Vec<String> = shrunk.ops.iter().map(Document::to_string).collect();
    assert_eq!(left, wanted);
}
