//! What must hold for all values: identity of each encoding, one order, no prefixes, and bytes that
//! nobody wrote.

#[allow(dead_code, reason = "each test file uses some of it")]
mod bodies;

use anyenc::key::{
    Cut, Direction, cut, encode_empty_array_key, encode_key_value, key_range, type_bracket,
};
use anyenc::{
    Binary, DateTime, Document, JsonFormat, ObjectId, RawValue, Regex, Value, ValueType, parse,
};
use bodies::check_order;
use proptest::prelude::*;

fn edge_int() -> impl Strategy<Value = i64> {
    let near_power = (0..64_u32, -2..=2_i64, any::<bool>()).prop_map(|(power, near, negative)| {
        let int = 1_i64.wrapping_shl(power).wrapping_add(near);
        if negative { int.wrapping_neg() } else { int }
    });
    prop_oneof![any::<i64>(), -3..=3_i64, near_power]
}

fn edge_double() -> impl Strategy<Value = f64> {
    let near_int = (edge_int(), -2..=2_i64).prop_map(|(int, steps)| {
        f64::from_bits((int as f64).to_bits().cast_signed().wrapping_add(steps).cast_unsigned())
    });
    let special = proptest::sample::select(vec![
        0.0,
        -0.0,
        f64::NAN,
        -f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN,
        5e-324,
        -5e-324,
        f64::MIN_POSITIVE,
        0.5,
        -0.5,
        0.1,
    ]);
    prop_oneof![any::<u64>().prop_map(f64::from_bits), near_int, special]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ab\0\u{1}\u{ff}$.]{0,4}", ".{0,20}"]
}

fn key_text() -> impl Strategy<Value = String> {
    prop_oneof![8 => text(), 1 => "a{250,260}"]
        // No object that begins with the name of a wrapper can be stored.
        .prop_map(|key| if key.starts_with('$') { format!("x{key}") } else { key })
}

fn scalar() -> impl Strategy<Value = Value> {
    let component = any::<u32>().prop_map(f32::from_bits);
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        edge_int().prop_map(Value::Int64),
        edge_double().prop_map(Value::Double),
        text().prop_map(Value::String),
        (0..3_u8, proptest::collection::vec(0..3_u8, 0..4))
            .prop_map(|(subtype, bytes)| Value::Binary(Binary { subtype, bytes })),
        any::<[u8; 12]>().prop_map(|bytes| Value::ObjectId(ObjectId::from_bytes(bytes))),
        edge_int().prop_map(|ms| Value::DateTime(DateTime::from_ms(ms))),
        (text(), text()).prop_map(|(pattern, options)| Value::Regex(Regex { pattern, options })),
        proptest::collection::vec(component, 0..4).prop_map(Value::Vector),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 64, 20, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::vec((key_text(), inner), 0..20)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Document>())),
        ]
    })
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode_into(&mut bytes).unwrap();
    bytes
}

fn key(value: &Value, direction: Direction) -> Vec<u8> {
    let mut key = Vec::new();
    encode_key_value(value, direction, &mut key);
    key
}

/// At least one value of each type, edges included.
fn one_of_each() -> Vec<Value> {
    let texts = ["", "\0", "\0\0", "\u{1}", "a", "a\0", "a\0b", "ab", "b", "\u{ff}", "\u{10ffff}"];
    let mut values = vec![Value::Null, Value::Bool(false), Value::Bool(true)];
    values.extend(numbers());
    values.extend(texts.map(Value::from));
    values.extend([i64::MIN, -1, 0, 1, i64::MAX].map(|ms| Value::from(DateTime::from_ms(ms))));
    values.extend([[0; 12], [1; 12], [255; 12]].map(|bytes| ObjectId::from_bytes(bytes).into()));
    for (subtype, bytes) in
        [(0, &[][..]), (1, &[]), (0, &[0]), (0, &[255]), (1, &[0]), (0, &[0, 0])]
    {
        values.push(Binary { subtype, bytes: bytes.to_vec() }.into());
    }
    for (pattern, options) in [("", ""), ("", "i"), ("a", ""), ("a\0", ""), ("a", "i")] {
        values.push(Regex { pattern: pattern.into(), options: options.into() }.into());
    }
    for vector in [&[][..], &[0.0], &[-0.0], &[-1.0], &[f32::NAN], &[f32::INFINITY], &[0.0, 1e-45]]
    {
        values.push(Value::Vector(vector.to_vec()));
    }
    let leaves = values.clone();
    values.extend([Value::Array(vec![]), Value::Object(Document::new())]);
    for leaf in leaves.iter().step_by(7) {
        values.push(vec![leaf.clone()].into());
        values.push(vec![leaf.clone(), Value::Null].into());
        for key in ["", "\0", "a", "a\0", "b"] {
            values.push(Document::from([(key, leaf.clone())]).into());
        }
        values.push(Document::from([("a", leaf.clone()), ("b", Value::Null)]).into());
    }
    values
}

fn numbers() -> Vec<Value> {
    let mut doubles =
        vec![f64::NAN, f64::INFINITY, f64::MAX, f64::MIN_POSITIVE, 5e-324, 0.0, 0.1, 1.5];
    let mut ints = vec![0, i64::MAX, i64::MAX - 1, i64::MIN, i64::MIN + 1];
    for power in [1, 10, 31, 32, 52, 53, 54, 61, 62] {
        let power = 1_i64 << power;
        ints.extend([power - 1, power, power + 1, 1 - power, -power, -power - 1]);
    }
    for int in [1_i64 << 53, i64::MAX, 1 << 62, 1 << 31] {
        let double = int as f64;
        doubles.extend([double, double.next_up(), double.next_down()]);
    }
    let negative = doubles.iter().map(|double| -double).collect::<Vec<_>>();
    doubles
        .into_iter()
        .chain(negative)
        .map(Value::from)
        .chain(ints.into_iter().map(Value::from))
        .collect()
}

#[test]
fn all_pairs_of_types_and_edges_stand_in_one_order() {
    let values = one_of_each();
    for a in &values {
        for b in &values {
            check_order(a, b);
        }
    }
}

#[test]
fn the_key_of_an_empty_array_alone_is_below_all_others() {
    for direction in [Direction::Ascending, Direction::Descending] {
        let mut empty = Vec::new();
        encode_empty_array_key(direction, &mut empty);
        for value in one_of_each() {
            let key = key(&value, direction);
            assert_eq!(empty < key, direction == Direction::Ascending, "{value}");
            assert!(!key.starts_with(&empty));
        }
        let decoded = anyenc::key::decode_key(&empty, direction).unwrap();
        assert_eq!(decoded, (Value::Array(Vec::new()), 1));
    }
}

#[test]
fn a_type_bracket_holds_the_keys_of_its_type_and_no_others() {
    for direction in [Direction::Ascending, Direction::Descending] {
        for value_type in ValueType::ALL {
            let bracket = type_bracket(value_type, direction);
            for value in one_of_each() {
                let expected = value.value_type().same_order_class(value_type);
                assert_eq!(bracket.contains(&key(&value, direction)), expected, "{value}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_two_values_stand_in_one_order((a, b) in (value(), value())) {
        check_order(&a, &b);
        check_order(&a, &a);
    }

    #[test]
    fn any_two_numbers_stand_in_one_order(int in edge_int(), a in edge_double(), b in edge_double()) {
        check_order(&int.into(), &a.into());
        check_order(&a.into(), &int.into());
        check_order(&a.into(), &b.into());
        check_order(&int.into(), &int.wrapping_add(1).into());
        let nearest = int as f64;
        for double in [nearest, nearest.next_up(), nearest.next_down()] {
            check_order(&int.into(), &double.into());
        }
    }

    #[test]
    fn compound_keys_stand_in_the_order_of_their_parts(
        a in (scalar(), scalar()),
        b in (scalar(), scalar()),
        directions in any::<[bool; 2]>(),
        same_first in any::<bool>(),
    ) {
        let [first, second] = directions.map(|down| if down { Direction::Descending } else { Direction::Ascending });
        let b = if same_first { (a.0.clone(), b.1) } else { b };
        let compound = |pair: &(Value, Value)| [key(&pair.0, first), key(&pair.1, second)].concat();
        let toward = |order: std::cmp::Ordering, direction| {
            if direction == Direction::Descending { order.reverse() } else { order }
        };
        let expected = toward(a.0.cmp(&b.0), first).then(toward(a.1.cmp(&b.1), second));
        prop_assert_eq!(compound(&a).cmp(&compound(&b)), expected);
    }

    #[test]
    fn a_cut_parts_keys_whatever_follows_them(
        at in value(),
        other in value(),
        next in scalar(),
        down in any::<bool>(),
        next_down in any::<bool>(),
    ) {
        let to = |down| if down { Direction::Descending } else { Direction::Ascending };
        let (direction, prefix) = (to(down), b"prefix");
        for value in [&at, &other] {
            let component = [&prefix[..], &key(value, direction)].concat();
            let longer = [&component[..], &key(&next, to(next_down))].concat();
            for key in [component, longer] {
                let below = |cut_at| (key < cut(prefix, cut_at, direction)) != down;
                prop_assert_eq!(below(Cut::Before(&at)), value < &at);
                prop_assert_eq!(below(Cut::After(&at)), value <= &at);
                prop_assert!(!below(Cut::First) && below(Cut::Last));
                let kind = value.value_type();
                prop_assert!(!below(Cut::BeforeType(kind)) && below(Cut::AfterType(kind)));
                let range = key_range(prefix, Cut::Before(&at), Cut::After(&at), direction);
                prop_assert_eq!(range.contains(&key), value == &at);
            }
        }
    }

    #[test]
    fn json_reads_back_to_the_same_bytes(value in value()) {
        let value = without_nan_payloads(value);
        for format in [JsonFormat::Relaxed, JsonFormat::Canonical] {
            let text = value.to_json(format);
            let back = parse(text.as_bytes()).unwrap();
            prop_assert_eq!(encoded(&back), encoded(&value), "{}", text);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        }
    }

    #[test]
    fn what_stands_before_a_value_changes_nothing(value in value(), before in 0..5_usize) {
        let mut bytes = vec![7; before];
        value.encode_into(&mut bytes).unwrap();
        prop_assert_eq!(&bytes[..before], &vec![7; before]);
        prop_assert_eq!(&bytes[before..], &encoded(&value));
        let inside = anyenc::value!([(), value.clone()]);
        let bytes = encoded(&inside);
        let RawValue::Array(array) = RawValue::from_bytes(&bytes).unwrap() else { unreachable!() };
        let copy = array.get(1).unwrap().unwrap();
        let mut copied = Vec::new();
        copy.encode_into(&mut copied);
        prop_assert_eq!(copied, encoded(&value));
    }

    #[test]
    fn values_pass_through_serde(value in value()) {
        prop_assert_eq!(encoded(&anyenc::to_value(&value).unwrap()), encoded(&value));
        prop_assert_eq!(encoded(&anyenc::from_value::<Value>(&value).unwrap()), encoded(&value));
        let value = without_nan_payloads(value);
        let json = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Value>(&json).unwrap(), &value);
    }

    #[test]
    fn damaged_encodings_give_errors_and_nothing_worse(
        value in value(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = encoded(&value);
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bodies::value_decode(&bytes);
        bodies::value_decode(&bytes[..cut.index(bytes.len())]);
        for direction in [Direction::Ascending, Direction::Descending] {
            let mut key = key(&value, direction);
            let place = cut.index(key.len());
            key[place] ^= 1 << (place % 8);
            bodies::key_codec(&key);
            bodies::key_codec(&key[..place]);
        }
    }

    #[test]
    fn random_bytes_give_errors_and_nothing_worse(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        bodies::value_decode(&bytes);
        bodies::key_codec(&bytes);
        bodies::value_order(&bytes);
    }

    #[test]
    fn damaged_json_gives_errors_and_nothing_worse(
        value in value(),
        place in any::<proptest::sample::Index>(),
        byte in proptest::sample::select(b"\"\\{}[],:0-.e$\n\0\xFF".to_vec()),
    ) {
        let mut text = value.to_json(JsonFormat::Relaxed).into_bytes();
        let place = place.index(text.len());
        text[place] = byte;
        bodies::json_parse(&text);
        bodies::extended_json(&text);
        bodies::json_parse(&text[..place]);
    }
}

/// JSON has one NaN.
fn without_nan_payloads(value: Value) -> Value {
    let nan = |float: f32| if float.is_nan() { f32::NAN } else { float };
    match value {
        Value::Double(double) if double.is_nan() => Value::Double(f64::NAN),
        Value::Vector(vector) => Value::Vector(vector.into_iter().map(nan).collect()),
        Value::Array(array) => array.into_iter().map(without_nan_payloads).collect(),
        Value::Object(object) => Value::Object(
            object.into_iter().map(|(key, value)| (key, without_nan_payloads(value))).collect(),
        ),
        other => other,
    }
}

#[test]
fn equal_bytes_mean_equal_kinds() {
    let (int, double) = (Value::Int64(1), Value::Double(1.0));
    assert_eq!(int, double);
    assert_ne!(encoded(&int), encoded(&double));
    assert_ne!(RawValue::Int64(1), RawValue::Double(1.0));
}
