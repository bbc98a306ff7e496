//! Types of a user's own, and ours in other people's formats.
//!
//! Run with `--features serde_json/arbitrary_precision` as well: any crate of a user's can turn that
//! on for all, and numbers then come as text.

use std::collections::{BTreeMap, HashMap};

use anyenc::{
    Binary, DateTime, Document, EncodeError, ObjectId, RawDocumentBuf, Regex, Value, Vector, doc,
    from_raw, from_value, to_raw, to_value, value,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    value: &T,
) -> Document {
    let stored = to_raw(value).unwrap();
    stored.as_raw().validate().unwrap();
    assert_eq!(&from_raw::<T>(stored.as_raw()).unwrap(), value);
    stored.to_document().unwrap()
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Everything {
    int: i64,
    double: f64,
    float: f32,
    small: u8,
    text: String,
    character: char,
    none: Option<i32>,
    some: Option<i32>,
    unit: (),
    tuple: (i32, String),
    list: Vec<Option<bool>>,
    map: BTreeMap<String, i32>,
    nested: Nested,
    enums: Vec<Enum>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Nested {
    #[serde(rename = "with a blank")]
    value: Newtype,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Newtype(u32);

#[derive(Serialize, Deserialize, PartialEq, Debug)]
enum Enum {
    Unit,
    Newtype(i32),
    Tuple(i32, i32),
    Struct { a: i32 },
}

#[test]
fn a_struct_comes_back_as_it_went() {
    let everything = Everything {
        int: 1,
        double: 1.0,
        float: 0.1,
        small: 255,
        text: "a\0b".to_owned(),
        character: '\u{1f600}',
        none: None,
        some: Some(-1),
        unit: (),
        tuple: (1, "x".to_owned()),
        list: vec![Some(true), None],
        map: BTreeMap::from([("k".to_owned(), 1)]),
        nested: Nested { value: Newtype(7) },
        enums: vec![Enum::Unit, Enum::Newtype(1), Enum::Tuple(1, 2), Enum::Struct { a: 1 }],
    };
    let stored = round_trip(&everything);
    assert!(matches!(stored.get("int"), Some(Value::Int64(1))));
    assert!(matches!(stored.get("double"), Some(Value::Double(1.0))));
    assert_eq!(stored.get("none"), Some(&Value::Null));
    assert_eq!(stored.get("nested"), Some(&value!({ "with a blank": 7 })));
    let enums = value!(["Unit", { "Newtype": 1 }, { "Tuple": [1, 2] }, { "Struct": { "a": 1 } }]);
    assert_eq!(stored.get("enums"), Some(&enums));
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Typed {
    id: ObjectId,
    at: DateTime,
    raw: Binary,
    regex: Regex,
    vector: Vector,
    document: Document,
    value: Value,
    stored: RawDocumentBuf,
}

fn typed() -> Typed {
    let inner = doc! { "i": 1, "d": 1.0, "at": DateTime::from_ms(-1), "v": Vector(vec![0.1]), "n": f64::NAN };
    Typed {
        id: ObjectId::from_bytes([7; 12]),
        at: DateTime::from_ms(1_704_164_645_678),
        raw: Binary { subtype: 5, bytes: vec![1, 2, 3] },
        regex: Regex { pattern: "^a".to_owned(), options: "i".to_owned() },
        vector: Vector(vec![1.0, -0.5, 0.1]),
        stored: RawDocumentBuf::from_document(&inner).unwrap(),
        value: Value::Object(inner.clone()),
        document: inner,
    }
}

#[test]
fn our_types_pass_through_our_encoding_unharmed() {
    let stored = round_trip(&typed());
    assert!(matches!(stored.get("id"), Some(Value::ObjectId(_))));
    assert!(matches!(stored.get("at"), Some(Value::DateTime(_))));
    assert!(matches!(stored.get("raw"), Some(Value::Binary(binary)) if binary.subtype == 5));
    assert!(matches!(stored.get("vector"), Some(Value::Vector(_))));
    assert_eq!(stored.get("stored"), stored.get("document"));
}

#[test]
fn in_other_formats_our_types_are_extended_json() {
    let json = serde_json::to_string(&typed()).unwrap();
    let expected = concat!(
        r#"{"id":{"$oid":"070707070707070707070707"},"at":{"$date":"2024-01-02T03:04:05.678Z"},"#,
        r#""raw":{"$binary":{"base64":"AQID","subType":"05"}},"#,
        r#""regex":{"$regularExpression":{"pattern":"^a","options":"i"}},"#,
    );
    assert!(json.starts_with(expected), "{json}");
    assert_eq!(serde_json::from_str::<Typed>(&json).unwrap(), typed());
    assert_eq!(from_value::<Typed>(&anyenc::parse(json.as_bytes()).unwrap()).unwrap(), typed());
}

#[test]
fn types_that_take_anything_see_extended_json_and_give_it_back() {
    let stored = to_raw(&typed()).unwrap();
    let tree: serde_json::Value = from_raw(stored.as_raw()).unwrap();
    assert_eq!(tree["id"]["$oid"], "070707070707070707070707");
    assert_eq!(tree["at"]["$date"], "2024-01-02T03:04:05.678Z");
    let (stored, again) =
        (stored.to_document().unwrap(), to_raw(&tree).unwrap().to_document().unwrap());
    for key in ["id", "at", "raw", "regex", "vector"] {
        assert_eq!(again.get(key), stored.get(key), "{key}");
    }
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Flat {
    id: ObjectId,
    #[serde(flatten)]
    rest: HashMap<String, Value>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(tag = "kind")]
enum Tagged {
    Login { at: DateTime, user: ObjectId },
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(untagged)]
enum Untagged {
    Id { id: ObjectId },
    Number { number: i64 },
}

#[test]
fn flattened_and_tagged_types_keep_ours() {
    let rest = HashMap::from([
        ("at".to_owned(), Value::from(DateTime::from_ms(5))),
        ("n".to_owned(), value!([1, 1.0, null])),
    ]);
    round_trip(&Flat { id: ObjectId::new(), rest });
    round_trip(&Tagged::Login { at: DateTime::from_ms(i64::MIN), user: ObjectId::new() });
    round_trip(&Untagged::Id { id: ObjectId::new() });
    round_trip(&Untagged::Number { number: 5 });
}

#[test]
fn integers_outside_i64_are_refused_by_name() {
    #[derive(Serialize)]
    struct Outer {
        list: Vec<Inner>,
    }
    #[derive(Serialize)]
    struct Inner {
        big: u64,
    }
    let outer = |big| Outer { list: vec![Inner { big: 1 }, Inner { big }] };
    assert!(to_raw(&outer(i64::MAX as u64)).is_ok());
    let error = to_raw(&outer(u64::MAX)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the integer 18446744073709551615 is outside the range of i64 (at field \"list.1.big\")"
    );
    assert!(to_value(&i128::from(i64::MIN)).is_ok());
    assert!(matches!(to_value(&(i128::from(i64::MIN) - 1)), Err(EncodeError::IntegerRange { .. })));
    assert!(matches!(to_value(&u128::MAX), Err(EncodeError::IntegerRange { .. })));
}

#[test]
fn keys_are_strings() {
    let error = to_raw(&HashMap::from([("m", BTreeMap::from([(1, 2)]))])).unwrap_err();
    assert_eq!(error.to_string(), "a key of a map is not a string (at field \"m\")");
    assert!(to_raw(&BTreeMap::from([('a', 1)])).is_ok());
    assert!(to_raw(&HashMap::from([(Some("a"), 1)])).is_ok());
}

#[test]
fn only_objects_are_documents() {
    assert_eq!(to_raw(&5), Err(EncodeError::NotADocument("int64")));
    assert_eq!(to_raw(&ObjectId::new()), Err(EncodeError::NotADocument("objectId")));
    assert_eq!(to_raw(&[1]), Err(EncodeError::NotADocument("array")));
    assert!(to_raw(&doc! {}).is_ok());
    assert!(to_raw(&typed().stored).is_ok_and(|stored| stored == typed().stored));
}

#[test]
fn limits_hold_and_keep_their_kind() {
    let mut deep = Value::Null;
    for _ in 0..300 {
        deep = value!([deep]);
    }
    assert!(to_value(&deep).is_ok());
    assert_eq!(to_raw(&doc! { "a": deep }), Err(EncodeError::TooDeep { limit: 300 }));
    let large = doc! { "a": "x".repeat(17 << 20) };
    assert_eq!(to_raw(&large), Err(EncodeError::TooLarge { limit: 16 << 20 }));
}

#[test]
fn a_wrapper_in_a_map_is_a_value_or_an_error() {
    let tree = serde_json::json!({ "at": { "$date": { "$numberLong": "5" } }, "x": { "$gt": 1 } });
    let expected = doc! { "at": DateTime::from_ms(5), "x": { "$gt": 1 } };
    assert_eq!(to_raw(&tree).unwrap().to_document().unwrap(), expected);
    let bad = to_raw(&serde_json::json!({ "a": { "$oid": "zz" } })).unwrap_err();
    assert_eq!(
        bad.to_string(),
        "malformed \"$oid\": it takes 24 hex digits in a string (at field \"a\")"
    );
    assert!(to_raw(&serde_json::json!({ "a": { "$oid": "zz", "b": 1 } })).is_err());
    let deep = to_raw(&serde_json::json!({ "a": { "$oid": [[1]] } })).unwrap_err();
    assert!(deep.to_string().starts_with("malformed \"$oid\""), "{deep}");
}

#[test]
fn repeated_keys_are_refused() {
    #[derive(Serialize)]
    struct Twice {
        a: i32,
        #[serde(flatten)]
        rest: BTreeMap<String, i32>,
    }
    let twice = Twice { a: 1, rest: BTreeMap::from([("a".to_owned(), 2)]) };
    assert_eq!(to_raw(&twice), Err(EncodeError::DuplicateKey("a".to_owned())));
}

#[test]
fn numbers_fit_where_their_value_does() {
    #[derive(Deserialize, PartialEq, Debug)]
    struct Counts {
        int: i64,
        byte: u8,
        double: f64,
    }
    let counts: Counts = from_value(&value!({ "int": 3.0, "byte": 255.0, "double": 3 })).unwrap();
    assert_eq!(counts, Counts { int: 3, byte: 255, double: 3.0 });
    let error = from_value::<Counts>(&value!({ "int": 3.5, "byte": 1, "double": 3 })).unwrap_err();
    assert_eq!(error.path(), "int");
    assert!(from_value::<Counts>(&value!({ "int": 3, "byte": 256, "double": 3 })).is_err());
}

#[test]
fn bytes_borrow_and_binary_data_reads_as_a_list() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Bytes<'a> {
        #[serde(with = "as_bytes")]
        bytes: &'a [u8],
    }
    mod as_bytes {
        pub(crate) fn serialize<S: serde::Serializer>(
            bytes: &[u8],
            s: S,
        ) -> Result<S::Ok, S::Error> {
            s.serialize_bytes(bytes)
        }
        pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(
            d: D,
        ) -> Result<&'de [u8], D::Error> {
            serde::Deserialize::deserialize(d)
        }
    }
    let stored = to_raw(&Bytes { bytes: &[1, 2] }).unwrap();
    assert_eq!(stored.to_string(), r#"{"bytes":{"$binary":{"base64":"AQI=","subType":"00"}}}"#);
    assert_eq!(from_raw::<Bytes<'_>>(stored.as_raw()).unwrap().bytes, [1, 2]);
    let list: HashMap<String, Vec<u8>> = from_raw(stored.as_raw()).unwrap();
    assert_eq!(list["bytes"], [1, 2]);
}

#[test]
fn an_error_names_the_field() {
    #[derive(Deserialize, Debug)]
    struct Outer {
        #[expect(dead_code, reason = "never read: it does not fit")]
        inner: BTreeMap<String, Vec<i32>>,
    }
    let error = from_value::<Outer>(&value!({ "inner": { "a": [1, "x"] } })).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid type: string \"x\", expected i32 (at field \"inner.a.1\")"
    );
}

#[test]
fn numbers_of_serde_json_keep_their_kind() {
    let tree = serde_json::json!({ "a": [1, -1, 1.0, 0.1, i64::MIN, 1e300] });
    let stored = to_raw(&tree).unwrap();
    assert_eq!(stored.to_string(), r#"{"a":[1,-1,1.0,0.1,-9223372036854775808,1e300]}"#);
    assert_eq!(from_raw::<serde_json::Value>(stored.as_raw()).unwrap(), tree);
}

#[test]
fn large_integers_of_serde_json_read_as_its_text_does() {
    let value: Value =
        serde_json::from_str("[18446744073709551615, 1, 1.5, null, {\"a\": []}]").unwrap();
    assert_eq!(value, value!([18_446_744_073_709_551_616.0, 1, 1.5, null, { "a": [] }]));
    assert!(serde_json::from_str::<Value>(r#"{"a":1,"a":2}"#).is_err());
    assert!(serde_json::from_str::<Value>(r#"{"$oid":"zz"}"#).is_err());
}
