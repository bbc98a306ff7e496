//! What the fuzz targets do with their input, as plain functions: `fuzz/` feeds them from libFuzzer,
//! `tests/corpus.rs` from the committed seeds. Each returns or panics; there is no third way.

use std::cmp::Ordering;

use anyenc::key::{Direction, decode_key, encode_key, encode_key_value, key_len};
use anyenc::{
    Binary, DateTime, Document, JsonErrorKind, JsonFormat, ObjectId, Path, RawDocument,
    RawDocumentBuf, RawValue, Regex, Value, parse, parse_document, to_json, to_json_pretty,
};

const DIRECTIONS: [Direction; 2] = [Direction::Ascending, Direction::Descending];
const FORMATS: [JsonFormat; 2] = [JsonFormat::Relaxed, JsonFormat::Canonical];

fn encoded(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode_into(&mut bytes).expect("a value that was read can be written");
    bytes
}

/// Whether there is a key that serde_json's tree takes for a number of its own, if some crate has
/// turned on its feature `arbitrary_precision`.
fn misleads_serde_json(data: &[u8]) -> bool {
    data.windows(20).any(|part| part == b"$serde_json::private")
}

/// Any bytes as an encoded value: every accessor returns, and none fails that follows a validation.
pub(crate) fn value_decode(data: &[u8]) {
    if let Ok(value) = RawValue::from_bytes(data) {
        let is_valid = value.validate().is_ok();
        let owned = value.to_value();
        assert!(owned.is_ok() || !is_valid);
        if let (true, Ok(owned)) = (is_valid, &owned) {
            assert_eq!(encoded(owned), data, "a valid value has one encoding");
        }
        assert!(value.compare(&value).is_ok_and(Ordering::is_eq) || !is_valid);
        for format in FORMATS {
            assert!(to_json(value, format).is_ok() || !is_valid);
            assert!(to_json_pretty(value, format).is_ok() || !is_valid);
        }
        let mut key = Vec::new();
        assert!(encode_key(value, Direction::Ascending, &mut key).is_ok() || !is_valid);
        assert!(anyenc::key::is_lossless(value).is_ok() || !is_valid);
        let tree = anyenc::from_raw_value::<serde_json::Value>(value);
        assert!(tree.is_ok() || !is_valid || misleads_serde_json(data));
        let _ = format!("{value:?} {value}");
    }
    if let Ok(document) = RawDocument::from_bytes(data) {
        document_decode(document);
    }
}

fn document_decode(document: RawDocument<'_>) {
    let is_valid = document.validate().is_ok();
    assert_eq!(RawDocumentBuf::from_bytes(document.as_bytes().to_vec()).is_ok(), is_valid);
    let (mut count, mut failed) = (0, false);
    for field in document.iter() {
        match field {
            Ok((key, value)) => {
                count += 1;
                let found = document.get(key);
                // Bits are compared, since NaN is not equal to itself as a view.
                let same = |found: RawValue<'_>| format!("{found:?}") == format!("{value:?}");
                assert!(matches!(&found, Ok(Some(found)) if same(*found)) || !is_valid);
                if let RawValue::Array(array) = value {
                    let len = array.len();
                    assert!(len.is_ok() || !is_valid);
                    let _ = (array.get(0), array.get(usize::MAX));
                    let read = array.iter().filter(Result::is_ok).count();
                    assert!(len.is_ok_and(|len| len == read) || !is_valid);
                }
            }
            Err(_) => failed = true,
        }
    }
    assert!(!failed || !is_valid);
    assert!(document.len().is_ok_and(|len| len == count) || !is_valid);
    for path in ["a.0.b", "0.0.0", ".."] {
        let path = Path::parse(path).expect("short");
        assert!(document.get_path(&path).is_ok() || !is_valid);
        let _ = document.to_owned().set_number(&path, anyenc::Number::Int64(1));
    }
}

/// Two values made of any bytes: identity of every encoding, and one order for all.
pub(crate) fn value_order(data: &[u8]) {
    let mut source = Source(data);
    let (a, b) = (source.value(4), source.value(4));
    check_order(&a, &b);
}

/// Everything that must hold between two values.
pub(crate) fn check_order(a: &Value, b: &Value) {
    let order = a.cmp(b);
    assert_eq!(b.cmp(a), order.reverse());
    let (bytes_a, bytes_b) = (encoded(a), encoded(b));
    let (raw_a, raw_b) = (read(&bytes_a), read(&bytes_b));
    assert_eq!(raw_a.compare(&raw_b), Ok(order), "{a} and {b}");
    let back = raw_a.to_value().expect("just written");
    assert_eq!(encoded(&back), bytes_a);
    assert_eq!(&back, a);
    if order.is_eq() {
        assert_eq!(hash(a), hash(b), "{a} and {b}");
    }
    for direction in DIRECTIONS {
        let (key_a, key_b) = (key(raw_a, direction), key(raw_b, direction));
        let by_key = key_a.cmp(&key_b);
        let expected = if direction == Direction::Ascending { order } else { order.reverse() };
        assert_eq!(by_key, expected, "{direction:?}: {a} and {b}");
        let is_prefix = key_a.starts_with(&key_b) || key_b.starts_with(&key_a);
        assert_eq!(is_prefix, order.is_eq(), "{direction:?}: {a} and {b}");
        let (decoded, len) = decode_key(&key_a, direction).expect("just written");
        assert_eq!((&decoded, len), (a, key_a.len()));
        assert_eq!(key_len(&key_a, direction), Ok(len));
        let mut owned = Vec::new();
        encode_key_value(a, direction, &mut owned);
        assert_eq!(owned, key_a);
    }
}

fn read(bytes: &[u8]) -> RawValue<'_> {
    let value = RawValue::from_bytes(bytes).expect("just written");
    value.validate().expect("just written");
    value
}

fn key(value: RawValue<'_>, direction: Direction) -> Vec<u8> {
    let mut key = Vec::new();
    encode_key(value, direction, &mut key).expect("just written");
    key
}

fn hash(value: &Value) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    thread_local!(static STATE: RandomState = RandomState::new());
    STATE.with(|state| state.hash_one(value))
}

/// Any text as JSON: what serde_json's own tree reads we read, to the same, but for what we refuse.
pub(crate) fn json_parse(data: &[u8]) {
    let ours = parse(data);
    if misleads_serde_json(data) {
        return;
    }
    let theirs = serde_json::from_slice::<serde_json::Value>(data);
    match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => assert!(same(ours, theirs), "{ours} and {theirs}"),
        // Its tree is 128 deep at most, ours 300.
        (Ok(_), Err(error)) => assert!(error.to_string().starts_with("recursion limit"), "{error}"),
        (Err(error), Ok(_)) => assert!(
            matches!(
                error.kind,
                JsonErrorKind::DuplicateKey
                    | JsonErrorKind::BadWrapper
                    | JsonErrorKind::NumberRange
                    | JsonErrorKind::TooDeep
                    | JsonErrorKind::TooLarge
            ),
            "{error}"
        ),
        (Err(_), Err(_)) => {}
    }
    if let Err(error) = &ours {
        assert!(error.offset <= data.len());
        let lines = data.iter().filter(|&&byte| byte == b'\n').count() + 1;
        assert!((1..=lines).contains(&error.line));
    }
    let document = parse_document(data);
    assert_eq!(document.is_ok(), matches!(ours, Ok(Value::Object(_))));
    if let (Ok(document), Ok(value)) = (document, ours) {
        document.as_raw().validate().expect("just written");
        assert_eq!(document.as_bytes(), encoded(&value));
    }
}

/// Whether serde_json's tree holds the same; of wrappers nothing is asked.
fn same(ours: &Value, theirs: &serde_json::Value) -> bool {
    use serde_json::Value as Json;
    match (ours, theirs) {
        (Value::Null, Json::Null) => true,
        (Value::Bool(a), Json::Bool(b)) => a == b,
        (Value::String(a), Json::String(b)) => a == b,
        (Value::Int64(a), Json::Number(b)) => b.as_i64() == Some(*a),
        (Value::Double(a), Json::Number(b)) => {
            b.as_f64() == Some(*a) && b.as_i64().is_none_or(|i| i == 0)
        }
        (Value::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (_, Json::Object(wrapper)) => wrapper.len() == 1,
        _ => false,
    }
}

/// Any text as extended JSON: what is read prints, in both formats, and reads back to the same.
pub(crate) fn extended_json(data: &[u8]) {
    let Ok(value) = parse(data) else { return };
    let bytes = encoded(&value);
    for format in FORMATS {
        let text = to_json(read(&bytes), format).expect("just written");
        assert_eq!(text, value.to_json(format));
        let back = parse(text.as_bytes()).expect("what is printed can be read");
        assert_eq!(encoded(&back), bytes, "{text}");
        let pretty = to_json_pretty(read(&bytes), format).expect("just written");
        assert_eq!(encoded(&parse(pretty.as_bytes()).expect("so can what is pretty")), bytes);
    }
}

/// Any bytes as a key: what decodes encodes to the same bytes, and its length is known.
pub(crate) fn key_codec(data: &[u8]) {
    for direction in DIRECTIONS {
        let len = key_len(data, direction);
        let Ok((value, read)) = decode_key(data, direction) else { continue };
        assert_eq!(len, Ok(read));
        let mut again = Vec::new();
        match &value {
            // Two keys stand for it, and only one of them is a value's.
            Value::Array(none) if none.is_empty() && read == 1 => {
                anyenc::key::encode_empty_array_key(direction, &mut again);
            }
            value => encode_key_value(value, direction, &mut again),
        }
        assert_eq!(Some(&again[..]), data.get(..read), "{value}");
    }
}

/// Values out of bytes. Small alphabets, so that two values are often alike.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&byte, rest)) => {
                self.0 = rest;
                byte
            }
            None => 0,
        }
    }

    fn bits(&mut self) -> u64 {
        (0..8).fold(0, |bits, _| bits << 8 | u64::from(self.byte()))
    }

    fn text(&mut self) -> String {
        let len = self.byte() % 5;
        let alphabet = ['a', 'b', '\0', '\u{1}', '\u{ff}', '\u{1f600}', '$', '.'];
        (0..len).map(|_| alphabet[usize::from(self.byte()) % alphabet.len()]).collect()
    }

    fn int(&mut self) -> i64 {
        let power = 1_i64.wrapping_shl(u32::from(self.byte()));
        let near = power.wrapping_add(i64::from(self.byte().cast_signed()) / 16);
        if self.byte().is_multiple_of(2) { near } else { near.wrapping_neg() }
    }

    fn double(&mut self) -> f64 {
        match self.byte() % 4 {
            0 => f64::from_bits(self.bits()),
            1 => f64::from(self.byte().cast_signed()) / 4.0,
            2 => self.int() as f64,
            _ => {
                let steps = i64::from(self.byte().cast_signed());
                let bits = (self.int() as f64).to_bits().cast_signed();
                f64::from_bits(bits.wrapping_add(steps).cast_unsigned())
            }
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let len = self.byte() % 5;
        (0..len).map(|_| self.byte()).collect()
    }

    fn value(&mut self, depth: u8) -> Value {
        match self.byte() % if depth == 0 { 10 } else { 14 } {
            0 => Value::Null,
            1 => Value::Bool(self.byte().is_multiple_of(2)),
            2 => Value::Int64(self.int()),
            3 => Value::Double(self.double()),
            4 => Value::String(self.text()),
            5 => Value::Binary(Binary { subtype: self.byte() % 3, bytes: self.bytes() }),
            6 => Value::ObjectId(ObjectId::from_parts(
                self.byte().into(),
                [0; 5],
                self.byte().into(),
            )),
            7 => Value::DateTime(DateTime::from_ms(self.int())),
            8 => Value::Regex(Regex { pattern: self.text(), options: self.text() }),
            9 => {
                let len = self.byte() % 4;
                Value::Vector(
                    (0..len).map(|_| f32::from(self.byte().cast_signed()) / 4.0).collect(),
                )
            }
            10 | 11 => {
                let len = self.byte() % 4;
                Value::Array((0..len).map(|_| self.value(depth - 1)).collect())
            }
            _ => {
                let len = self.byte() % 20;
                Value::Object(
                    (0..len).map(|_| (self.text(), self.value(depth - 1))).collect::<Document>(),
                )
            }
        }
    }
}
