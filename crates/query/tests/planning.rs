//! What a planner asks of filters, compared with what the plain filter answers for random documents.

use any_store_naive as naive;
use any_store_query::bounds::{Bounds, Keys};
use any_store_query::walk::{self, Slot};
use any_store_query::{Filter, SortError};
use anyenc::key::{Direction, encode_empty_array_key, encode_key};
use anyenc::{Document, Path, RawDocumentBuf, RawValue, Value};
use naive::random::{self, Random};

fn encoded(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::from_document(document).expect("random documents are small")
}

fn parsed(written: &Document) -> Filter {
    Filter::from_document(written).unwrap_or_else(|error| panic!("{written}: {error}"))
}

/// A filter of any kind, or of comparisons on few paths.
fn written(random: &mut Random, round: usize) -> Document {
    match round % 2 {
        0 => random::filter(random, 2),
        _ => random::comparisons(random),
    }
}

#[test]
fn an_implied_filter_matches_whatever_the_other_one_matches() {
    let mut random = Random::new(0x5eed_0101);
    let (mut implied, mut told) = (0, 0);
    for round in 0..60_000 {
        let written = written(&mut random, round);
        let looser = random::looser(&mut random, &written);
        if !parsed(&written).implies(&parsed(&looser)) {
            continue;
        }
        implied += usize::from(written != looser && !looser.is_empty());
        for _ in 0..20 {
            let document = random::document(&mut random);
            if naive::filter::matches(&written, &document) {
                told += usize::from(!looser.is_empty());
                assert!(
                    naive::filter::matches(&looser, &document),
                    "{written} is said to imply {looser}, but\n{document}"
                );
            }
        }
    }
    assert!(implied > 4_000 && told > 10_000, "{implied} {told}");
}

/// The tuples of a document at some paths, none for each value that is missing.
fn tuples(stored: &RawDocumentBuf, paths: &[Path]) -> Option<Vec<Vec<Option<Vec<u8>>>>> {
    let mut tuples = Vec::new();
    walk::expand::<SortError, _>(stored.as_raw(), paths, &mut |tuple| {
        let mut keys = Vec::new();
        for slot in tuple {
            let mut key = Vec::new();
            match slot {
                Slot::EmptyArray => encode_empty_array_key(Direction::Ascending, &mut key),
                Slot::Value(value) => encode_key(*value, Direction::Ascending, &mut key)?,
                Slot::Missing => {}
            }
            keys.push((!key.is_empty()).then_some(key));
        }
        tuples.push(keys);
        Ok(())
    })
    .is_ok()
    .then_some(tuples)
}

#[test]
fn every_match_of_a_filter_that_implies_presence_has_something_there() {
    let mut random = Random::new(0x5eed_0102);
    let (mut implied, mut matched) = (0, 0);
    for round in 0..20_000 {
        let written = written(&mut random, round);
        let path = random::path_of(&mut random, &written);
        let filter = parsed(&written);
        if !filter.implies_present(path) {
            continue;
        }
        implied += 1;
        let paths = [Path::parse(path).unwrap()];
        for _ in 0..20 {
            let document = random::document(&mut random);
            if naive::filter::matches(&written, &document) {
                matched += 1;
                let tuples =
                    tuples(&encoded(&document), &paths).expect("one path is never parallel");
                assert!(
                    tuples.iter().any(|tuple| tuple[0].is_some()),
                    "{written} is said to imply that {path} is present, but\n{document}"
                );
            }
        }
    }
    assert!(implied > 4_000 && matched > 5_000, "{implied} {matched}");
}

#[test]
fn a_filter_is_the_union_of_its_disjuncts() {
    let mut random = Random::new(0x5eed_0103);
    let (mut unions, mut matched) = (0, 0);
    for _ in 0..6_000 {
        let written = random::filter(&mut random, 3);
        for branches in parsed(&written).disjunctions() {
            unions += 1;
            for branch in &branches {
                assert_eq!(Filter::from_json(&branch.to_string()).as_ref(), Ok(branch));
            }
            for _ in 0..20 {
                let document = random::document(&mut random);
                let stored = encoded(&document);
                let got = branches.iter().any(|branch| branch.matches(stored.as_raw()).unwrap());
                let wanted = naive::filter::matches(&written, &document);
                assert_eq!(got, wanted, "{written}\non {document}:\n{branches:?}");
                matched += usize::from(wanted);
            }
        }
    }
    assert!(unions > 800 && matched > 1_000, "{unions} {matched}");
}

/// The keys of a document at one field of an index, null's where it is missing.
fn at_field(tuples: &[Vec<Option<Vec<u8>>>], field: usize) -> Vec<Vec<u8>> {
    let mut null = Vec::new();
    encode_key(RawValue::Null, Direction::Ascending, &mut null).unwrap();
    tuples.iter().map(|tuple| tuple[field].clone().unwrap_or_else(|| null.clone())).collect()
}

fn kind(keys: &[Vec<u8>]) -> Keys {
    match keys.windows(2).any(|pair| pair[0] != pair[1]) {
        true => Keys::Several,
        false => Keys::OnePerDocument,
    }
}

fn is_within(key: &[u8], bounds: &Bounds) -> bool {
    let mut ranges = bounds.intervals().iter().map(|i| i.key_range(b"", Direction::Ascending));
    ranges.any(|range| *range.start <= *key && *key < *range.end)
}

#[test]
fn bounds_of_two_fields_apply_one_after_the_other() {
    let mut random = Random::new(0x5eed_0104);
    let (mut narrow, mut spared, mut decided) = (0, 0, 0);
    for round in 0..20_000 {
        let written = written(&mut random, round);
        let filter = parsed(&written);
        let names =
            [random::path_of(&mut random, &written), random::path_of(&mut random, &written)];
        if names[0] == names[1] {
            continue;
        }
        let paths = names.map(|name| Path::parse(name).unwrap());
        for _ in 0..8 {
            let document = random::document(&mut random);
            let stored = encoded(&document);
            let Some(tuples) = tuples(&stored, &paths) else { continue };
            let keys = [at_field(&tuples, 0), at_field(&tuples, 1)];
            let kinds = keys.each_ref().map(|keys| kind(keys));
            let first = filter.bounds(names[0], kinds[0]);
            // With several keys at both, what holds of one tuple's first may hold of another's second.
            let both = kinds != [Keys::Several, Keys::Several];
            let next = first.residual().bounds(names[1], kinds[1]);
            let residual = if both { next.residual() } else { first.residual() };
            let inside = (0..tuples.len()).any(|at| {
                is_within(&keys[0][at], &first) && (!both || is_within(&keys[1][at], &next))
            });
            let rest = residual.matches(stored.as_raw()).unwrap();
            let wanted = naive::filter::matches(&written, &document);
            assert_eq!(
                inside && rest,
                wanted,
                "{names:?} {kinds:?} of {written}\non {document}:\n{first:?}\n{next:?}"
            );
            narrow += usize::from(both && !first.is_all() && !next.is_all());
            spared += usize::from(both && !inside);
            decided += usize::from(*residual != filter);
        }
    }
    assert!(narrow > 3_000 && spared > 20_000 && decided > 10_000, "{narrow} {spared} {decided}");
}

/// The rule for sparse indexes.
fn may_serve_sparsely(
    filter: &Filter,
    names: &[&str; 2],
    kinds: &[Keys; 2],
    bounds: &[&Bounds],
) -> bool {
    let is_present = names.iter().any(|name| filter.implies_present(name));
    let is_single = kinds.iter().all(|kind| *kind == Keys::OnePerDocument);
    bounds.iter().any(|bounds| !bounds.holds_null())
        || is_present && (is_single || bounds.iter().all(|bounds| bounds.is_all()))
}

/// A document with a few objects in an array, which often lack fields.
fn with_elements(random: &mut Random) -> Document {
    let mut elements = Vec::new();
    for _ in 0..1 + random.below(3) {
        let mut element = Document::new();
        for field in ["b", "c"] {
            if random.below(2) == 0 {
                element.insert(field, random.below(3) as i64);
            }
        }
        elements.push(element);
    }
    Document::from([("a", elements)])
}

/// Conditions on both fields of those elements.
fn on_elements(random: &mut Random) -> Document {
    let mut filter = Document::new();
    for path in ["a.b", "a.c"] {
        let number = Value::Int64(random.below(3) as i64);
        let (name, operand) = match random.below(7) {
            0 | 1 => ("$eq", Value::Null),
            2 => ("$eq", number),
            3 => ("$ne", number),
            4 => ("$exists", Value::Bool(random.below(2) == 0)),
            5 => ("$in", Value::from(vec![number, Value::Null])),
            _ => continue,
        };
        filter.insert(path, Value::Object(Document::from([(name, operand)])));
    }
    filter
}

#[test]
fn a_sparse_index_serves_what_the_rule_lets_it_serve() {
    let mut random = Random::new(0x5eed_0105);
    let names = ["a.b", "a.c"];
    let paths = names.map(|name| Path::parse(name).unwrap());
    let (mut served, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let (written, document) = (on_elements(&mut random), with_elements(&mut random));
        let (filter, stored) = (parsed(&written), encoded(&document));
        let tuples = tuples(&stored, &paths).expect("one array");
        let keys = [at_field(&tuples, 0), at_field(&tuples, 1)];
        let kinds = keys.each_ref().map(|keys| kind(keys));
        let first = filter.bounds(names[0], kinds[0]);
        let next = first.residual().bounds(names[1], kinds[1]);
        let both = kinds != [Keys::Several, Keys::Several];
        let used = if both { vec![&first, &next] } else { vec![&first] };
        let residual = if both { next.residual() } else { first.residual() };
        let found = residual.matches(stored.as_raw()).unwrap()
            && (0..tuples.len()).any(|at| {
                let is_kept = tuples[at].iter().any(Option::is_some);
                let mut bounds = used.iter().zip(&keys);
                is_kept && bounds.all(|(bounds, keys)| is_within(&keys[at], bounds))
            });
        let wanted = naive::filter::matches(&written, &document);
        if may_serve_sparsely(&filter, &names, &kinds, &used) {
            assert_eq!(found, wanted, "{written}\non {document}");
            served += usize::from(wanted);
        } else {
            refused += usize::from(wanted && !found && filter.implies_present("a.c"));
        }
    }
    // The rule is no stricter than it must be: it has kept matches from being lost.
    assert!(served > 1_000 && refused > 20, "{served} {refused}");
}
