//! The bytes of both encodings, pinned: a file written today is read tomorrow.
//!
//! `data/golden.txt` holds a value, its document encoding and its ascending key, one a line. A line
//! is never changed, only added; `docs/format.md` explains each byte.

use anyenc::key::{Direction, decode_key, encode_key};
use anyenc::{JsonFormat, RawValue, Value, parse};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Line {
    json: &'static str,
    encoded: &'static str,
    key: &'static str,
}

fn lines() -> Vec<Line> {
    let read = |line: &'static str| {
        let [json, encoded, key] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        Line { json, encoded, key }
    };
    include_str!("data/golden.txt").lines().map(read).collect()
}

#[test]
fn the_bytes_are_those_that_were_written_down() {
    for Line { json, encoded, key } in lines() {
        let value = parse(json.as_bytes()).expect(json);
        assert_eq!(value.to_json(JsonFormat::Canonical), json);
        let (mut bytes, mut key_bytes) = (Vec::new(), Vec::new());
        value.encode_into(&mut bytes).expect(json);
        assert_eq!(hex(&bytes), encoded, "{json}");
        let raw = RawValue::from_bytes(&bytes).expect(json);
        raw.validate().expect(json);
        encode_key(raw, Direction::Ascending, &mut key_bytes).expect(json);
        assert_eq!(hex(&key_bytes), key, "{json}");
        assert_eq!(decode_key(&key_bytes, Direction::Ascending), Ok((value, key_bytes.len())));
    }
}

#[test]
fn every_type_and_every_form_of_an_object_is_among_them() {
    let tags: std::collections::BTreeSet<&str> =
        lines().iter().map(|line| &line.encoded[..2]).collect();
    let expected =
        ["01", "02", "03", "04", "05", "06", "07", "10", "11", "12", "13", "14", "15", "16"];
    assert_eq!(tags.into_iter().collect::<Vec<_>>(), expected);
    let of_type = |class: fn(&Value) -> bool| {
        lines().iter().any(|line| class(&parse(line.json.as_bytes()).expect(line.json)))
    };
    assert!(of_type(|value| matches!(value, Value::Vector(_))));
}
