//! The recorded cases for the order of values: on values, on encoded bytes, and on keys.

use std::cmp::Ordering;

use anyenc::key::{Direction, encode_key, encode_key_value};
use anyenc::{RawValue, Value, parse};

struct Case {
    name: String,
    values: Vec<Value>,
    ranks: Vec<usize>,
}

fn cases() -> Vec<Case> {
    let text = include_str!("data/order.jsonl");
    let read = |line: &str| {
        let Ok(Value::Object(case)) = parse(line.as_bytes()) else { panic!("{line}") };
        let want = case.get("want").and_then(Value::as_document).expect(line);
        let ranks = want.get("ranks").and_then(Value::as_array).expect(line);
        let rank = |rank: &Value| usize::try_from(rank.as_i64().expect(line)).expect(line);
        Case {
            name: case.get("name").and_then(Value::as_str).expect(line).to_owned(),
            values: case.get("values").and_then(Value::as_array).expect(line).to_vec(),
            ranks: ranks.iter().map(rank).collect(),
        }
    };
    text.lines().map(read).collect()
}

/// Checks each pair of a case against the ranks.
fn check(compare: impl Fn(&Value, &Value) -> Ordering) {
    let cases = cases();
    assert_eq!(cases.len(), 105);
    for Case { name, values, ranks } in cases {
        for (a, rank_a) in values.iter().zip(&ranks) {
            for (b, rank_b) in values.iter().zip(&ranks) {
                assert_eq!(compare(a, b), rank_a.cmp(rank_b), "{name}: {a} and {b}");
            }
        }
    }
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode_into(&mut bytes).unwrap();
    bytes
}

fn key(value: &Value, direction: Direction) -> Vec<u8> {
    let (mut from_value, mut from_raw) = (Vec::new(), Vec::new());
    encode_key_value(value, direction, &mut from_value);
    let bytes = encoded(value);
    encode_key(RawValue::from_bytes(&bytes).unwrap(), direction, &mut from_raw).unwrap();
    assert_eq!(from_value, from_raw);
    from_value
}

#[test]
fn values_stand_in_the_recorded_order() {
    check(|a, b| a.cmp(b));
}

#[test]
fn encoded_values_stand_in_the_recorded_order() {
    check(|a, b| {
        let (a, b) = (encoded(a), encoded(b));
        RawValue::from_bytes(&a).unwrap().compare(&RawValue::from_bytes(&b).unwrap()).unwrap()
    });
}

#[test]
fn keys_stand_in_the_recorded_order() {
    check(|a, b| key(a, Direction::Ascending).cmp(&key(b, Direction::Ascending)));
    check(|a, b| key(b, Direction::Descending).cmp(&key(a, Direction::Descending)));
}
