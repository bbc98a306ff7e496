//! Random documents and requests: the crate against the same language written down plainly.

use std::cmp::Ordering;

use any_store_query::{
    Applied, ApplyContext, ApplyErrorKind, Filter, ParseErrorKind, Projection, Sort, SortError,
    Update,
};
use anyenc::{Document, RawDocumentBuf, Value};

use any_store_naive as naive;
use any_store_query::bounds::Keys;
use any_store_query::walk::{self, Slot};
use anyenc::key::{Direction, encode_empty_array_key, encode_key};
use anyenc::{Path, RawValue};
use naive::random::{self, Random};
use naive::update::Request;

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
    assert!(pairs >= 200_000);
    assert!(
        matched > pairs / 10 && matched < pairs * 9 / 10,
        "{matched} of {pairs} tell too little"
    );
}

#[test]
fn an_update_changes_what_the_plain_one_changes() {
    let mut random = Random::new(0x5eed_0002);
    let (mut pairs, mut changes, mut refusals) = (0, 0, 0);
    for _ in 0..16_000 {
        let request = random::update(&mut random);
        let Some(update) = parsed(&request) else { continue };
        let filter = request.filter.as_ref().map(|filter| Filter::from_document(filter).unwrap());
        for (document, stored) in documents(&mut random, 12) {
            let mut context = ApplyContext::update();
            if let Some(filter) = &filter {
                if !filter.matches(stored.as_raw()).unwrap() {
                    continue;
                }
                context = context.matching(filter);
            }
            let wanted = naive::update::apply(&request, &document);
            pairs += 1;
            match update.apply(stored.as_raw(), context) {
                Ok(applied) => {
                    let wanted = encoded(&wanted.unwrap_or_else(|refusal| {
                        panic!("{request:?}\non {document}: {refusal:?}, but {applied:?}")
                    }));
                    changes += usize::from(applied != Applied::Unchanged);
                    let after = match applied {
                        Applied::Unchanged => stored.clone(),
                        Applied::Changed(after) => {
                            assert_ne!(after, stored, "{request:?}\non {document}");
                            after
                        }
                    };
                    after.as_raw().validate().unwrap();
                    assert_eq!(after, wanted, "{request:?}\non {document}");
                }
                Err(error) => {
                    assert_ne!(error.kind, ApplyErrorKind::Damaged, "{error}");
                    assert_ne!(error.kind, ApplyErrorKind::Limit, "{error}");
                    refusals += 1;
                    // Which of several refusals comes first is nobody's business.
                    assert!(wanted.is_err(), "{request:?}\non {document}: {error}, but {wanted:?}");
                }
            }
        }
    }
    assert!(pairs >= 50_000, "{pairs}");
    assert!(changes > pairs / 8 && refusals > pairs / 20, "{changes} {refusals} of {pairs}");
}

/// The update, unless two of its changes collide or a rename goes nowhere.
fn parsed(request: &Request) -> Option<Update> {
    let filters: Vec<Value> =
        request.array_filters.iter().map(|(_, filter)| filter.clone().into()).collect();
    let update = Update::from_document(&request.update);
    match update {
        Ok(update) => {
            assert!(!naive::update::collides(&request.update), "{request:?}");
            Some(update.with_array_filters(&filters).unwrap())
        }
        Err(error) => {
            assert!(naive::update::collides(&request.update), "{request:?}: {error}");
            let is_rename = error.op == "$rename" && error.kind == ParseErrorKind::Invalid;
            assert!(is_rename || error.kind == ParseErrorKind::Conflict, "{request:?}: {error}");
            None
        }
    }
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
    let mut valid = 0;
    for _ in 0..3_000 {
        let written = random::projection(&mut random);
        let Ok(projection) = Projection::from_document(&written, "id") else { continue };
        valid += 1;
        for (mut document, _) in documents(&mut random, 10) {
            document.insert("id", 7);
            let stored = encoded(&document);
            let got = projection.project(stored.as_raw()).unwrap();
            got.as_raw().validate().unwrap();
            let wanted = encoded(&naive::projection::project(&written, &document, "id"));
            assert_eq!(got, wanted, "{written}\non {document}");
        }
    }
    assert!(valid > 1_500, "{valid}");
}

#[test]
fn the_positional_element_is_the_first_that_satisfies_the_condition_alone() {
    let mut random = Random::new(0x5eed_0006);
    let mut found = 0;
    for _ in 0..4_000 {
        let (path, condition) = random::element_condition(&mut random);
        let written = Document::from([(path, condition)]);
        let filter = Filter::from_document(&written).unwrap();
        let projection = Projection::from_json(r#"{"a.$":1}"#, "id").unwrap();
        let projection = projection.for_filter(&filter).unwrap();
        for (document, stored) in documents(&mut random, 20) {
            let Some(Value::Array(items)) = document.get("a") else { continue };
            if !filter.matches(stored.as_raw()).unwrap() {
                continue;
            }
            let alone = |item: &Value| {
                let alone = Document::from([("a", Value::Array(vec![item.clone()]))]);
                naive::filter::matches(&written, &alone)
            };
            let wanted = items.iter().position(alone);
            let shown = projection.project(stored.as_raw()).unwrap().to_document().unwrap();
            let wanted = wanted.map(|position| items[position].clone());
            found += usize::from(wanted.is_some());
            let wanted = Value::Array(wanted.into_iter().collect());
            assert_eq!(shown.get("a"), Some(&wanted), "{written}\non {document}");
        }
    }
    assert!(found > 1_000, "{found}");
}

/// The keys of a document in an index on one path.
fn keys(document: &RawDocumentBuf, path: &str, direction: Direction) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    let paths = [Path::parse(path).unwrap()];
    walk::expand::<SortError, _>(document.as_raw(), &paths, &mut |tuple| {
        // Another field may stand on either side of it.
        let mut key = b"other".to_vec();
        match tuple[0] {
            Slot::EmptyArray => encode_empty_array_key(direction, &mut key),
            Slot::Missing => encode_key(RawValue::Null, direction, &mut key)?,
            Slot::Value(value) => encode_key(value, direction, &mut key)?,
        }
        encode_key(RawValue::String("id"), direction, &mut key)?;
        keys.push(key);
        Ok(())
    })
    .unwrap();
    keys
}

#[test]
fn bounds_hold_a_key_of_every_match_and_their_residual_decides_the_rest() {
    let mut random = Random::new(0x5eed_0005);
    let (mut narrow, mut decided, mut spared, mut single) = (0, 0, 0, 0);
    for round in 0..6_000 {
        let written = random::filter(&mut random, 2);
        let filter = Filter::from_document(&written).unwrap();
        let path = random::path_of(&mut random, &written);
        let direction = if round % 2 == 0 { Direction::Ascending } else { Direction::Descending };
        for (document, stored) in documents(&mut random, 20) {
            let keys = keys(&stored, path, direction);
            let kind = if keys.len() == 1 { Keys::OnePerDocument } else { Keys::Several };
            for kind in [Keys::Several, kind] {
                let bounds = filter.bounds(path, kind);
                let ranges = bounds.intervals().iter();
                let ranges: Vec<_> = ranges.map(|i| i.key_range(b"other", direction)).collect();
                let inside = keys.iter().any(|key| ranges.iter().any(|range| range.contains(key)));
                let wanted = naive::filter::matches(&written, &document);
                let rest = bounds.residual().matches(stored.as_raw()).unwrap();
                assert_eq!(
                    inside && rest,
                    wanted,
                    "{kind:?} {path} of {written}\non {document}:\n{bounds:?}"
                );
                let printed = bounds.residual().to_string();
                assert_eq!(
                    Filter::from_json(&printed).as_ref(),
                    Ok(bounds.residual()),
                    "{printed}"
                );
                narrow += usize::from(!bounds.is_all());
                decided += usize::from(bounds.residual() != &filter);
                spared += usize::from(!inside);
                single += usize::from(kind == Keys::OnePerDocument);
            }
        }
    }
    let pairs = 6_000 * 20 * 2;
    assert!(narrow > pairs / 10 && decided > pairs / 20, "{narrow} {decided} of {pairs}");
    assert!(spared > pairs / 20 && single > pairs / 5, "{spared} {single} of {pairs}");
}
