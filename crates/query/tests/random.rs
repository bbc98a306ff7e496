//! Random documents and requests: the crate against the same language written down plainly.

use std::cmp::Ordering;

use any_store_query::{
    Applied, ApplyContext, ApplyErrorKind, Filter, ParseErrorKind, Projection, Sort, Update,
};
use anyenc::{Document, RawDocumentBuf, Value};

mod naive;
use naive::random::{self, Random};
use naive::update::Refusal;

fn encoded(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::from_document(document).expect("random documents are small")
}

fn documents(random: &mut Random, count: usize) -> Vec<(Document, RawDocumentBuf)> {
    let pair = |document: Document| (document.clone(), encoded(&document));
    (0..count).map(|_| pair(random::document(random))).collect()
}

#[test]
fn a_filter_matches_what_the_plain_one_matches() {
    let mut random = Random::new(0x5eed_0001);
    let mut pairs = 0;
    let mut matched = 0;
    for _ in 0..6_000 {
        let written = random::filter(&mut random, 2);
        let filter =
            Filter::from_document(&written).unwrap_or_else(|error| panic!("{written}: {error}"));
        assert_eq!(Filter::from_json(&filter.to_string()).as_ref(), Ok(&filter), "{written}");
        for (document, stored) in documents(&mut random, 40) {
            let wanted = naive::filter::matches(&written, &document);
            let got = filter.matches(stored.as_raw()).unwrap();
            assert_eq!(got, wanted, "filter {written}\non {document}");
            pairs += 1;
            matched += usize::from(got);
        }
    }
    assert!(pairs >= 100_000);
    assert!(
        matched > pairs / 10 && matched < pairs * 9 / 10,
        "{matched} of {pairs} tell too little"
    );
}

#[test]
fn an_update_changes_what_the_plain_one_changes() {
    let mut random = Random::new(0x5eed_0002);
    let (mut pairs, mut changes, mut refusals) = (0, 0, 0);
    for _ in 0..8_000 {
        let written = random::update(&mut random);
        let update = match Update::from_document(&written) {
            Ok(update) => update,
            Err(error) => {
                assert_eq!(error.kind, ParseErrorKind::Conflict, "{written}");
                let plain = naive::update::apply(&written, &Document::new());
                assert_eq!(plain, Err(Refusal::Conflict), "{written}");
                continue;
            }
        };
        for (document, stored) in documents(&mut random, 20) {
            let wanted = naive::update::apply(&written, &document);
            let got = update.apply(stored.as_raw(), ApplyContext::update());
            pairs += 1;
            match got {
                Ok(applied) => {
                    let wanted = encoded(&wanted.unwrap_or_else(|refusal| {
                        panic!("{written}\non {document}: {refusal:?}, but {applied:?}")
                    }));
                    changes += usize::from(applied != Applied::Unchanged);
                    let after = match applied {
                        Applied::Unchanged => stored.clone(),
                        Applied::Changed(after) => {
                            assert_ne!(after, stored, "{written}\non {document}");
                            after
                        }
                    };
                    after.as_raw().validate().unwrap();
                    assert_eq!(after, wanted, "{written}\non {document}");
                }
                Err(error) => {
                    let refusal = match error.kind {
                        ApplyErrorKind::Apply => Refusal::Apply,
                        ApplyErrorKind::Overflow => Refusal::Overflow,
                        other => panic!("{other:?}: {error}"),
                    };
                    refusals += 1;
                    // Which of several refusals comes first is nobody's business.
                    assert!(
                        wanted.is_err(),
                        "{written}\non {document}: {refusal:?}, but {wanted:?}"
                    );
                }
            }
        }
    }
    assert!(pairs >= 50_000, "{pairs}");
    assert!(changes > pairs / 5 && refusals > pairs / 20, "{changes} {refusals} of {pairs}");
}

#[test]
fn sort_keys_stand_in_the_order_of_least_or_greatest_values() {
    let mut random = Random::new(0x5eed_0003);
    for _ in 0..500 {
        let path = random::plain_path(&mut random);
        let descending = random.below(2) == 1;
        let sort = Sort::by(&format!("{}{path}", if descending { "-" } else { "" })).unwrap();
        let keyed = documents(&mut random, 12).into_iter().map(|(document, stored)| {
            let mut key = Vec::new();
            sort.key(stored.as_raw(), &mut key).unwrap();
            (key, naive::sort::key(&document, path, descending))
        });
        let keyed: Vec<(Vec<u8>, Option<Value>)> = keyed.collect();
        for (key, value) in &keyed {
            for (other_key, other) in &keyed {
                let wanted = if descending { other.cmp(value) } else { value.cmp(other) };
                let got: Ordering = key.cmp(other_key);
                assert_eq!(got, wanted, "{path}: {value:?} and {other:?}");
            }
        }
    }
}

#[test]
fn a_projection_shows_what_the_plain_one_shows() {
    let mut random = Random::new(0x5eed_0004);
    for _ in 0..1_000 {
        let show = random.below(2) == 1;
        let mut written = Document::from([("id", Value::Bool(false))]);
        for _ in 0..1 + random.below(3) {
            written.insert(random::plain_path(&mut random), Value::Bool(show));
        }
        let Ok(projection) = Projection::from_document(&written, "id") else { continue };
        let paths: Vec<&str> = written.keys().skip(1).collect();
        for (document, stored) in documents(&mut random, 20) {
            let got = projection.project(stored.as_raw()).unwrap();
            got.as_raw().validate().unwrap();
            let wanted = encoded(&naive::sort::project(&document, &paths, show));
            assert_eq!(got, wanted, "{written}\non {document}");
        }
    }
}
