//! Explanations: which plan is chosen, what is said of the others, and what running it did.

mod common;

use any_store::{
    Absence, Collection, CollectionOptions, Database, Document, ErrorKind, Explain, Find,
    IndexSpec, Stage, StageKind, Value, Verdict, doc,
};
use common::{assert_kind, everywhere, on};

fn collection(
    documents: impl IntoIterator<Item = Document>,
    indexes: Vec<IndexSpec>,
) -> (Database, Collection) {
    let db = Database::in_memory().unwrap();
    let made = db.create_collection("c", CollectionOptions::new()).unwrap();
    made.insert_many(documents).unwrap();
    made.create_indexes(indexes).unwrap();
    (db, made)
}

/// Five thousand people with five indexes.
fn people() -> (Database, Collection) {
    let person = |id: i64| {
        doc! {
            "id": id, "city": format!("c{}", id % 10), "age": id % 100, "u": id, "rare": id % 1000,
        }
    };
    let indexes = vec![
        IndexSpec::new("city"),
        IndexSpec::new(["city", "-age"]),
        IndexSpec::new("u").unique(),
        IndexSpec::new("rare"),
        IndexSpec::new("opt").sparse(),
    ];
    collection((0..5000).map(person), indexes)
}

fn find<'a>(made: &Collection, filter: &str, sort: impl IntoIterator<Item = &'a str>) -> Find {
    let sort: Vec<&str> = sort.into_iter().collect();
    let find = made.find(filter);
    if sort.is_empty() { find } else { find.sort(sort) }
}

/// The stage that says where the rows come from, on one line.
fn source(explain: &Explain) -> String {
    let leaf = explain.plan.all().find(|stage| stage.inputs.is_empty()).unwrap();
    let list = |bounds: &[any_store::FieldBounds]| {
        bounds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    match &leaf.kind {
        StageKind::IndexScan { index, bounds, key_filters, direction, .. } => {
            let keys = match key_filters.as_slice() {
                [] => String::new(),
                filters => format!(" keys {}", list(filters)),
            };
            format!("{index} {direction} [{}]{keys}", list(bounds))
        }
        StageKind::DocumentScan { bounds, direction } => {
            format!("documents {direction} [{}]", list(bounds.as_slice()))
        }
        _ => leaf.name().to_owned(),
    }
}

/// Each query, its sort, its limit, where its rows come from, and the stages in order.
type Worked = (&'static str, &'static [&'static str], u64, &'static str, &'static str);

fn check_plans(made: &Collection, plans: &[Worked]) {
    let mut wrong = Vec::new();
    for (filter, sort, limit, from, stages) in plans {
        let query = || find(made, filter, sort.iter().copied()).limit(*limit);
        let explain = query().explain_analyze().unwrap();
        let found = (source(&explain), explain.summary.clone());
        if (found.0.as_str(), found.1.as_str()) != (*from, *stages) {
            wrong.push(format!("{filter} sort {sort:?} limit {limit}: {found:?}\n{explain}"));
        }
        let rows = query().run().unwrap().map(Result::unwrap).count() as u64;
        assert_eq!(explain.totals.unwrap().rows, rows, "{filter}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_query_takes_the_way_that_suits_it() {
    let (_db, made) = people();
    check_plans(
        &made,
        &[
            (r#"{"id":7}"#, &[], 0, r#"documents forward ["id": 7]"#, "DocumentScan"),
            (r#"{"rare":5}"#, &[], 0, r#"rare forward ["rare": 5]"#, "IndexScan(rare) -> Fetch"),
            (
                r#"{"city":"c1","rare":5}"#,
                &[],
                0,
                r#"rare forward ["rare": 5]"#,
                "IndexScan(rare) -> Fetch -> Filter",
            ),
            (
                r#"{"u":{"$in":[5,6,7]}}"#,
                &[],
                0,
                r#"u forward ["u": 5 | 6 | 7]"#,
                "IndexScan(u) -> Fetch",
            ),
            (
                r#"{"city":"c1","age":{"$gt":90}}"#,
                &[],
                0,
                r#"city,-age forward ["city": "c1", "age": (90, last number]]"#,
                "IndexScan(city,-age) -> Fetch",
            ),
            (
                r#"{"city":"c1"}"#,
                &["-age"],
                10,
                r#"city,-age forward ["city": "c1"]"#,
                "IndexScan(city,-age) -> Fetch -> Limit(10)",
            ),
            (
                r#"{"city":"c1"}"#,
                &["age"],
                10,
                r#"city,-age backward ["city": "c1"]"#,
                "IndexScan(city,-age) -> Fetch -> Limit(10)",
            ),
            ("{}", &["rare"], 10, "rare forward []", "IndexScan(rare) -> Fetch -> Limit(10)"),
            (r#"{"rare":{"$gt":1}}"#, &[], 0, "documents forward []", "DocumentScan -> Filter"),
            (
                r#"{"rare":{"$gt":995}}"#,
                &[],
                0,
                r#"rare forward ["rare": (995, last number]]"#,
                "IndexScan(rare) -> Fetch",
            ),
            (
                r#"{"rare":{"$gt":500,"$lt":503}}"#,
                &[],
                0,
                r#"rare forward ["rare": (500, 503)]"#,
                "IndexScan(rare) -> Fetch",
            ),
            (
                r#"{"$or":[{"rare":5},{"rare":7}]}"#,
                &[],
                0,
                r#"rare forward ["rare": 5 | 7]"#,
                "IndexScan(rare) -> Fetch",
            ),
            (
                r#"{"$or":[{"rare":5},{"u":7}]}"#,
                &[],
                0,
                r#"rare forward ["rare": 5]"#,
                "Union(IndexScan(rare) -> Fetch, IndexScan(u) -> Fetch)",
            ),
            (r#"{"rare":{"$ne":5}}"#, &[], 0, "documents forward []", "DocumentScan -> Filter"),
            (
                r#"{"rare":{"$exists":true}}"#,
                &[],
                0,
                "documents forward []",
                "DocumentScan -> Filter",
            ),
            (
                r#"{"age":5}"#,
                &[],
                0,
                r#"city,-age forward [] keys "age": 5"#,
                "IndexScan(city,-age) -> Fetch",
            ),
            (r#"{"opt":5}"#, &[], 0, r#"opt forward ["opt": 5]"#, "IndexScan(opt) -> Fetch"),
            (r#"{"opt":null}"#, &[], 0, "documents forward []", "DocumentScan -> Filter"),
            (r#"{"city":{"$in":[]}}"#, &[], 0, "Nothing", "Nothing"),
            (
                r#"{"id":{"$gte":4990},"city":"c1"}"#,
                &[],
                0,
                r#"documents forward ["id": [4990, last number]]"#,
                "DocumentScan -> Filter",
            ),
            ("{}", &["-id"], 3, "documents backward []", "DocumentScan -> Limit(3)"),
        ],
    );
}

#[test]
fn of_two_indexes_that_are_as_good_either_is_taken() {
    let (_db, made) = people();
    let explain = made.find(r#"{"city": "c1"}"#).explain().unwrap();
    let used: Vec<&str> =
        explain.indexes.iter().filter(|index| index.used).map(|index| &*index.name).collect();
    assert!(["city", "city,-age"].contains(&used[0]), "{explain}");
    assert!(explain.summary.ends_with("-> Fetch"), "the index decides everything: {explain}");
}

/// Three thousand documents, of which `(g,-n)` supplies some orders and not others.
fn grouped() -> (Database, Collection) {
    let document =
        |id: i64| doc! { "id": id, "g": format!("g{}", id % 20), "n": id % 500, "w": id };
    let indexes = vec![IndexSpec::new(["g", "-n"]), IndexSpec::new("w")];
    collection((0..3000).map(document), indexes)
}

#[test]
fn an_index_supplies_an_order_along_it_or_against_it() {
    let (_db, made) = grouped();
    check_plans(
        &made,
        &[
            ("{}", &["g", "-n"], 10, "g,-n forward []", "IndexScan(g,-n) -> Fetch -> Limit(10)"),
            ("{}", &["-g", "n"], 10, "g,-n backward []", "IndexScan(g,-n) -> Fetch -> Limit(10)"),
            (
                "{}",
                &["g", "n"],
                10,
                "documents forward []",
                "DocumentScan -> TopK(10) -> Limit(10)",
            ),
            (
                r#"{"g":{"$in":["g1","g2"]}}"#,
                &["-n"],
                10,
                r#"g,-n forward ["g": "g1" | "g2"]"#,
                "IndexScan(g,-n) -> Fetch -> TopK(10) -> Limit(10)",
            ),
        ],
    );
    let by_key = made.find(r#"{"n": 5}"#).sort("g").limit(10).explain().unwrap();
    let checks_keys = |stage: &Stage| matches!(&stage.kind, StageKind::IndexScan { key_filters, .. } if key_filters[0].field == "n");
    let plans = by_key.candidates.iter().flat_map(|candidate| candidate.plan.all());
    assert!(plans.into_iter().any(checks_keys), "{by_key}");
}

#[test]
fn an_array_takes_an_order_away_only_where_it_must() {
    let (_db, made) = grouped();
    made.insert_one(&doc! { "id": 9000, "g": ["x", "y"], "n": 1, "w": [1, 2] }).unwrap();
    made.delete_id(9000).unwrap();
    made.insert_one(&doc! { "id": 9001, "g": "x", "n": 1, "w": [1, 2500] }).unwrap();
    let uses_w = |filter: &str| {
        let explain = made.find(filter).sort("w").limit(10).explain().unwrap();
        explain.summary.contains("IndexScan(w)") && !explain.summary.contains("TopK")
    };
    assert!(uses_w("{}"));
    assert!(!uses_w(r#"{"w": {"$gte": 2990}}"#), "the least element may lie below the bound");
}

#[test]
fn equality_and_sort_with_a_limit_examine_few_entries() {
    let (_db, made) = people();
    for sort in ["-age", "age"] {
        let query = made.find(r#"{"city": "c1"}"#).sort(sort).limit(20);
        let totals = query.explain_analyze().unwrap().totals.unwrap();
        assert_eq!(totals.rows, 20);
        assert!(totals.examined <= 40, "{sort}: {totals:?}");
        assert_eq!(totals.fetched, 20, "{sort}");
    }
}

#[test]
fn a_count_by_a_range_of_an_index_fetches_nothing() {
    let (_db, made) = people();
    let count = || made.find(r#"{"rare": {"$gte": 100, "$lt": 300}}"#);
    let explain = count().explain_count_analyze().unwrap();
    assert_eq!(explain.summary, "IndexScan(rare) -> Covered");
    assert!(explain.is_covered());
    let totals = explain.totals.unwrap();
    assert_eq!((totals.rows, totals.examined, totals.fetched), (1000, 1000, 0));
    assert_eq!(count().count().unwrap(), 1000);
    assert!(!count().explain().unwrap().is_covered(), "find gives documents");
}

#[test]
fn a_count_of_everything_reads_nothing() {
    let (_db, made) = people();
    let explain = made.find(()).skip(10).limit(100).explain_count_analyze().unwrap();
    assert_eq!(explain.summary, "Counters");
    let totals = explain.totals.unwrap();
    assert_eq!((totals.rows, totals.examined, totals.pages), (100, 0, 0));
    assert!(explain.indexes.iter().all(|index| !index.used));
}

#[test]
fn a_covered_projection_fetches_nothing() {
    let (_db, made) = people();
    let query = || made.find(r#"{"city": "c1", "age": {"$gt": 90}}"#);
    let shown = doc! { "age": 1, "city": 1 };
    let explain = query().project(shown.clone()).explain_analyze().unwrap();
    assert_eq!(explain.summary, "IndexScan(city,-age) -> Covered -> Project");
    let totals = explain.totals.unwrap();
    assert_eq!(totals.fetched, 0);
    assert!(totals.rows > 0);
    let more = query().project(doc! { "age": 1, "rare": 1 }).explain_analyze().unwrap();
    assert_eq!(more.totals.unwrap().fetched, totals.rows, "{more}");
}

#[test]
fn what_a_key_does_not_tell_exactly_is_fetched_and_counted() {
    let (_db, made) = people();
    made.insert_one(&doc! { "id": 9000, "city": "c99", "age": 1.0 }).unwrap();
    let query = made.find(r#"{"city": "c99"}"#).hint("city,-age").project(doc! { "age": 1 });
    let totals = query.explain_analyze().unwrap().totals.unwrap();
    assert_eq!((totals.rows, totals.fetched), (1, 1));
}

#[test]
fn every_rival_has_its_own_cost_and_the_reason_why_it_lost() {
    let (_db, made) = people();
    let explain = made.find(r#"{"city": "c1", "rare": 5}"#).explain().unwrap();
    assert_eq!(explain.documents, 5000);
    assert_eq!(explain.candidates[0].verdict, Verdict::Chosen);
    assert_eq!(explain.candidates[0].cost, explain.cost);
    for rival in &explain.candidates[1..] {
        assert_eq!(rival.verdict, Verdict::Dearer { by: rival.cost - explain.cost });
        assert!(rival.cost >= explain.cost);
    }
    let names: Vec<&str> = explain.indexes.iter().map(|index| index.name.as_str()).collect();
    assert_eq!(names, ["rare", "city", "city,-age", "u", "opt"], "the used one comes first");
    let of = |name: &str| explain.indexes.iter().find(|index| index.name == name).unwrap();
    assert!(of("rare").used && of("rare").cost == Some(explain.cost));
    assert!(!of("city").used && of("city").cost > Some(explain.cost));
    assert_eq!((of("u").cost, of("u").absence), (None, Some(Absence::NoUse)));
    assert_eq!(of("opt").absence, Some(Absence::Sparse));
    let costs: std::collections::BTreeSet<_> =
        explain.candidates.iter().map(|candidate| candidate.cost.to_bits()).collect();
    assert!(costs.len() > 2, "the candidates do not share one cost: {explain}");
}

#[test]
fn an_index_that_leaves_documents_out_says_so() {
    let partial = IndexSpec::new("a").name("p").partial(doc! { "b": { "$gt": 5 } });
    let documents = (0..100).map(|id| doc! { "id": id, "a": id, "b": id });
    let (_db, made) = collection(documents, vec![partial, IndexSpec::new("a")]);
    let of = |filter: &str| {
        let explain = made.find(filter).explain().unwrap();
        explain.indexes.into_iter().find(|index| index.name == "p").unwrap().absence
    };
    assert_eq!(of(r#"{"a": 1}"#), Some(Absence::Partial));
    assert_eq!(of(r#"{"a": 9, "b": 9}"#), None);
    assert_eq!(of(r#"{"a": {"$in": []}}"#), Some(Absence::NothingMatches));
}

#[test]
fn hints_and_boosts_are_told_apart_from_costs() {
    let (_db, made) = people();
    let query = || made.find(r#"{"city": "c1", "rare": 5}"#);
    let plain = query().explain().unwrap();
    let hinted = query().hint("city").explain().unwrap();
    assert_eq!(hinted.summary, "IndexScan(city) -> Fetch -> Filter");
    let ruled_out = |explain: &Explain| {
        explain.candidates.iter().filter(|rival| rival.verdict == Verdict::RuledOut).count()
    };
    assert_eq!(ruled_out(&hinted), plain.candidates.len() - 1, "{hinted}");
    let natural = query().hint("$natural").explain().unwrap();
    assert_eq!(natural.summary, "DocumentScan -> Filter");
    let boosted = query().index_boost("city", 1e6).explain().unwrap();
    assert_eq!(source(&boosted), r#"city forward ["city": "c1"]"#);
    assert_eq!(boosted.candidates[0].boost, 1e6);
    assert!(boosted.cost < 0.0);
    assert_kind(query().hint("ciyt").explain(), ErrorKind::IndexNotFound);
    assert_kind(made.find(()).hint("opt").explain(), ErrorKind::InvalidOptions);
}

#[test]
fn every_stage_tells_what_it_did() {
    let (_db, made) = people();
    let query =
        made.find(r#"{"city": "c1", "u": {"$mod": [3, 0]}}"#).sort("-rare").skip(1).limit(5);
    let explain = query.hint("city").explain_analyze().unwrap();
    let did: Vec<(&str, u64, u64, u64)> = explain
        .plan
        .all()
        .map(|stage| {
            let actual = stage.actual.unwrap();
            (stage.name(), actual.rows, actual.examined, actual.fetched)
        })
        .collect();
    let matching = (0..5000).filter(|id| id % 10 == 1 && id % 3 == 0).count() as u64;
    let expected = [
        ("Limit", 5, 0, 0),
        ("TopK", 6, 0, 0),
        ("Filter", matching, 0, 0),
        ("Fetch", 500, 0, 500),
        ("IndexScan", 500, 500, 0),
    ];
    assert_eq!(did, expected, "{explain}");
    let walk = explain.plan.all().last().unwrap().actual.unwrap();
    assert!(walk.pages > 0 && walk.pages < 50, "{explain}");
    let totals = explain.totals.unwrap();
    assert!(totals.pages >= walk.pages);
    let own: std::time::Duration = explain.plan.all().map(|stage| stage.actual.unwrap().time).sum();
    assert!(own <= totals.time, "stages took {own:?} of {:?}", totals.time);
}

#[test]
fn a_union_tells_of_each_branch() {
    let (_db, made) = people();
    let query = made.find(r#"{"$or": [{"rare": 5, "age": 5}, {"u": {"$lt": 10}}]}"#);
    let explain = query.explain_analyze().unwrap();
    let branches: Vec<(&str, u64)> = explain
        .plan
        .inputs
        .iter()
        .map(|branch| (branch.name(), branch.actual.unwrap().rows))
        .collect();
    assert_eq!(branches, [("Filter", 5), ("Fetch", 10)], "{explain}");
    assert_eq!(explain.totals.unwrap().rows, 14, "one document is in both");
    assert_eq!(explain.indexes.iter().filter(|index| index.used).count(), 2);
}

#[test]
fn explaining_reads_where_the_other_verbs_read() {
    everywhere(|world| {
        let users = world.users();
        on!(world, users, users => users.create_index("a")).unwrap();
        let many = (0..200).map(|id| doc! { "id": id, "a": id % 50 });
        on!(world, users, users => users.insert_many(many)).unwrap();
        let explain =
            on!(world, users, users => users.find(doc! { "a": 7 }).explain_analyze()).unwrap();
        assert_eq!(explain.summary, "IndexScan(a) -> Fetch");
        assert_eq!((explain.documents, explain.totals.unwrap().rows), (200, 4));
    });
}

#[test]
fn the_text_and_the_json_tell_the_same() {
    let (_db, made) = people();
    let query = made.find(r#"{"city": "c1", "rare": {"$gte": 5, "$lt": 10}}"#).sort("age").limit(2);
    let explain = query.explain_analyze().unwrap();
    let text = explain.to_string();
    for part in [
        explain.summary.as_str(),
        r#"IndexScan rare {"rare": [5, 10)}, forward"#,
        "5,000 documents in \"c\"",
        "dearer by",
        "opt: it is sparse and may lack documents that match",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let json: serde_json::Value = serde_json::from_str(&explain.to_json()).unwrap();
    assert_eq!(json["summary"], explain.summary.as_str());
    assert_eq!(json["documents"], 5000);
    assert_eq!(json["indexes"][0]["used"], true);
    assert_eq!(json["totals"]["rows"], explain.totals.unwrap().rows);
    let mut stage = &json["plan"];
    while let Some(below) = stage["inputs"].get(0) {
        stage = below;
    }
    assert_eq!(stage["bounds"]["rare"][0], "[5, 10)");
    assert_eq!(explain.to_document().get("cost"), Some(&Value::Double(explain.cost)));
}
