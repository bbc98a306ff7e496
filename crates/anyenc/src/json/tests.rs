//! Run with `--features serde_json/arbitrary_precision` as well: any crate of a user's can turn that
//! on for all, and numbers then come as text.

use super::*;
use crate::{Binary, DateTime, Limits, Regex, doc, value};

fn error(text: &str) -> JsonError {
    parse(text.as_bytes()).expect_err(text)
}

fn kind(text: &str) -> JsonErrorKind {
    error(text).kind
}

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

#[test]
fn numbers_keep_their_kind() {
    let read = |text: &str| parse(text.as_bytes()).unwrap();
    assert!(matches!(read("1"), Value::Int64(1)));
    assert!(matches!(read("1.0"), Value::Double(1.0)));
    assert!(matches!(read("1e0"), Value::Double(1.0)));
    assert!(matches!(read("9223372036854775807"), Value::Int64(i64::MAX)));
    assert!(matches!(read("-9223372036854775808"), Value::Int64(i64::MIN)));
    assert!(matches!(read("9223372036854775808"), Value::Double(9_223_372_036_854_775_808.0)));
    assert!(matches!(read("18446744073709551615"), Value::Double(18_446_744_073_709_551_616.0)));
    assert!(matches!(read("99999999999999991611392"), Value::Double(1e23)));
    assert!(matches!(read("-0"), Value::Double(zero) if zero.is_sign_negative()));
    assert!(matches!(read("1e-400"), Value::Double(0.0)));
    for text in ["1e400", "-1e999", r#"{"$numberDouble":"1e400"}"#] {
        assert_eq!(kind(text), JsonErrorKind::NumberRange, "{text}");
    }
}

#[test]
fn errors_say_where() {
    let error = error("{\n  \"\u{e9}\": \"\u{e9}\",  tru }");
    assert_eq!((error.line, error.column, error.offset), (2, 14, 17));
    assert_eq!(error.to_string(), "line 2, column 14: key must be a string");

    let cut = parse(b"{\"a\": [1").unwrap_err();
    assert_eq!((cut.line, cut.column, cut.offset), (1, 9, 8));

    let bytes = parse(b"{\"a\":\n\"\xFF\"}").unwrap_err();
    assert_eq!((bytes.line, bytes.column, bytes.offset), (2, 2, 7));
    assert_eq!(bytes.kind, JsonErrorKind::InvalidUtf8);
}

#[test]
fn a_repeated_key_is_refused_by_name_where_it_stands() {
    let repeated = error(r#"{"a": {"x\"y": 1, "b": 2, "x\"y" : 3}}"#);
    assert_eq!(repeated.reason, r#"duplicate key "x\"y""#);
    assert_eq!(repeated.offset, 26);

    let fields: String = (0..100).map(|i| format!("\"k{i}\": {i},\n")).collect();
    let wide = error(&format!("{{{fields}\"k7\": 0, \"k8\": 1}}"));
    assert_eq!((wide.line, wide.column), (101, 1));
    assert_eq!(wide.reason, "duplicate key \"k7\"");
    assert_eq!(wide.kind, JsonErrorKind::DuplicateKey);
    assert!(parse(format!("{{{fields}\"x\": 0}}").as_bytes()).is_ok());
}

#[test]
fn a_hundred_thousand_repeated_keys_are_found_in_no_time() {
    let fields: Vec<String> = (0..100_000).map(|i| format!("\"{i}\":0")).collect();
    let text = format!("{{{},\"99999\":0}}", fields.join(","));
    assert_eq!(error(&text).reason, "duplicate key \"99999\"");
}

#[test]
fn surrogates_come_in_pairs() {
    assert_eq!(parse(br#""\ud83d\ude00""#).unwrap(), Value::from("\u{1f600}"));
    for text in
        [r#""\ud800""#, r#""\ud800x""#, r#""\udc00""#, r#"{"\ud800":1}"#, r#""\ud800\u0041""#]
    {
        assert_eq!(kind(text), JsonErrorKind::LoneSurrogate, "{text}");
    }
}

#[test]
fn nothing_but_rfc_8259_is_read() {
    for text in [
        "",
        " ",
        "01",
        ".5",
        "5.",
        "+1",
        "1e",
        "-",
        "NaN",
        "nan",
        "Infinity",
        "0x10",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "'a'",
        "1 2",
        "\"\n\"",
        "{\"\n\":1}",
        "\"\\q\"",
        "\"\\u12\"",
        "tru",
        "nul",
        "// x\n1",
        "\u{feff}1",
        "{\"a\"}",
        "{1:2}",
        "[",
        "{\"a\":",
        "\"",
    ] {
        assert_eq!(kind(text), JsonErrorKind::Syntax, "{text}");
    }
}

#[test]
fn three_hundred_containers_may_be_nested() {
    assert!(parse(nested(Limits::DEFAULT.depth).as_bytes()).is_ok());
    for deep in [nested(301), nested(1_000_000), "{\"a\":".repeat(301), "[".repeat(1_000_000)] {
        assert_eq!(parse(deep.as_bytes()).unwrap_err().kind, JsonErrorKind::TooDeep);
    }
    let wrapped =
        format!("{}{{\"$date\":{{\"$numberLong\":\"5\"}}}}{}", "[".repeat(300), "]".repeat(300));
    assert_eq!(parse(wrapped.as_bytes()).unwrap().to_json(JsonFormat::Canonical), wrapped);
}

#[test]
fn a_document_of_more_than_16_mib_is_refused() {
    let document = |len: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(len));
    let room = Limits::DEFAULT.document_bytes - 12;
    let most = parse_document(document(room).as_bytes()).unwrap();
    assert_eq!(most.as_bytes().len(), Limits::DEFAULT.document_bytes);
    most.as_raw().validate().unwrap();
    assert_eq!(
        parse_document(document(room + 1).as_bytes()).unwrap_err().kind,
        JsonErrorKind::TooLarge
    );
}

#[test]
fn wrappers_become_values() {
    let read = |text: &str| parse(text.as_bytes()).unwrap();
    let at = DateTime::from_ms;
    assert_eq!(read(r#"{"$numberLong":"-9223372036854775808"}"#), Value::Int64(i64::MIN));
    assert!(matches!(read(r#"{"$numberInt":"5"}"#), Value::Int64(5)));
    assert!(matches!(read(r#"{"$numberDouble":"5"}"#), Value::Double(5.0)));
    assert_eq!(read(r#"{"$numberDouble":"-Infinity"}"#), Value::Double(f64::NEG_INFINITY));
    assert_eq!(read(r#"{"$date":"1970-01-01T01:00:00.0019+01:00"}"#), at(1).into());
    assert_eq!(read(r#"{"$date":{"$numberLong":"-1"}}"#), at(-1).into());
    assert_eq!(read(r#"{"$date":-1}"#), at(-1).into());
    let binary = |subtype, bytes: &[u8]| Value::from(Binary { subtype, bytes: bytes.to_vec() });
    assert_eq!(read(r#"{"$binary":{"subType":"80","base64":"AQID"}}"#), binary(0x80, &[1, 2, 3]));
    assert_eq!(read(r#"{"$binary":{"base64":"","subType":"0"}}"#), binary(0, &[]));
    let uuid = read(r#"{"$uuid":"00112233-4455-6677-8899-AABBCCDDEEFF"}"#);
    assert_eq!(
        uuid.to_string(),
        r#"{"$binary":{"base64":"ABEiM0RVZneImaq7zN3u/w==","subType":"04"}}"#
    );
    let regex = Regex { pattern: "^a".to_owned(), options: "i".to_owned() };
    assert_eq!(read(r#"{"$regularExpression":{"options":"i","pattern":"^a"}}"#), regex.into());
    assert_eq!(
        read(r#"{"$vector":[1,2.5,{"$numberDouble":"1"}]}"#),
        Value::Vector(vec![1.0, 2.5, 1.0])
    );
    assert!(matches!(read(r#"{"$vector":[]}"#), Value::Vector(none) if none.is_empty()));
    assert_eq!(
        read(r#"{"$oid":"0123456789ABCDEF01234567"}"#).to_string(),
        r#"{"$oid":"0123456789abcdef01234567"}"#
    );
}

#[test]
fn what_begins_as_a_wrapper_is_one_or_an_error() {
    for text in [
        r#"{"$oid":"zz"}"#,
        r#"{"$oid":5}"#,
        r#"{"$oid":"0123456789abcdef01234567","x":1}"#,
        r#"{"$oid":{"$oid":"x"}}"#,
        r#"{"$date":true}"#,
        r#"{"$date":"2024-01-02"}"#,
        r#"{"$date":{"$numberLong":"x"}}"#,
        r#"{"$date":1.5}"#,
        r#"{"$date":{"$date":{"$date":1}}}"#,
        r#"{"$date":[[1]]}"#,
        r#"{"$numberLong":""}"#,
        r#"{"$numberLong":5}"#,
        r#"{"$numberLong":"9223372036854775808"}"#,
        r#"{"$numberLong":"+5"}"#,
        r#"{"$numberInt":"2147483648"}"#,
        r#"{"$numberDouble":5}"#,
        r#"{"$numberDouble":"inf"}"#,
        r#"{"$numberDouble":""}"#,
        r#"{"$binary":"AQID"}"#,
        r#"{"$binary":{"base64":"AQI","subType":"00"}}"#,
        r#"{"$binary":{"base64":"!!","subType":"00"}}"#,
        r#"{"$binary":{"base64":"","subType":"000"}}"#,
        r#"{"$binary":{"base64":""}}"#,
        r#"{"$binary":{"base64":"","subType":"00","x":1}}"#,
        r#"{"$uuid":"0011"}"#,
        r#"{"$uuid":"0011223344556677-8899-aabb-ccdd-eeff"}"#,
        r#"{"$regularExpression":"a"}"#,
        r#"{"$regularExpression":{"pattern":"a"}}"#,
        r#"{"$vector":"x"}"#,
        r#"{"$vector":["a"]}"#,
        r#"{"$vector":[1e39]}"#,
    ] {
        assert_eq!(kind(text), JsonErrorKind::BadWrapper, "{text}");
    }
    let deep = format!("{}1{}", r#"{"$date":"#.repeat(100_000), "}".repeat(100_000));
    assert_eq!(kind(&deep), JsonErrorKind::BadWrapper);
}

#[test]
fn wrappers_of_unknown_types_are_refused_by_name() {
    for (name, payload) in [
        ("$timestamp", r#"{"t":1,"i":1}"#),
        ("$numberDecimal", r#""1.5""#),
        ("$code", r#""x""#),
        ("$minKey", "1"),
        ("$maxKey", "1"),
        ("$symbol", r#""x""#),
        ("$dbPointer", "{}"),
        ("$undefined", "true"),
    ] {
        let error = error(&format!("{{\"a\":{{\"{name}\":{payload}}}}}"));
        assert_eq!(error.kind, JsonErrorKind::BadWrapper);
        assert_eq!(error.reason, format!("{name:?} stands for a type that cannot be stored"));
    }
}

#[test]
fn other_names_with_a_dollar_are_keys() {
    let text = r#"{"a":{"$gt":1,"$oid":2},"b":{"$regex":"x","$options":"i"},"c":{"$ref":"x"}}"#;
    let expected = doc! {
        "a": { "$gt": 1, "$oid": 2 },
        "b": { "$regex": "x", "$options": "i" },
        "c": { "$ref": "x" },
    };
    assert_eq!(parse_query(text.as_bytes()).unwrap(), expected.clone().into());
    assert_eq!(parse_document(text.as_bytes()).unwrap().to_document().unwrap(), expected);
}

#[test]
fn a_document_is_an_object() {
    let error = parse_document(b" [1]").unwrap_err();
    assert_eq!(error.kind, JsonErrorKind::NotADocument);
    assert_eq!(error.to_string(), "line 1, column 2: a document is an object, not array");
    let wrapped = parse_document(br#"{"$oid":"0123456789abcdef01234567"}"#).unwrap_err();
    assert_eq!(wrapped.kind, JsonErrorKind::NotADocument);
}

#[test]
fn after_an_error_the_buffer_is_as_it_was() {
    let mut buffer = b"before".to_vec();
    for text in ["{\"a\":1,", "[1]", "{\"a\":1,\"a\":1}", "\u{ff}"] {
        assert!(parse_document_into(text.as_bytes(), &mut buffer).is_err());
        assert_eq!(buffer, b"before");
    }
    parse_document_into(b"{}", &mut buffer).unwrap();
    assert_eq!(buffer.len(), 11);
}

#[test]
fn doubles_print_with_a_point_or_an_exponent() {
    let print = |double: f64| Value::from(double).to_string();
    for (double, text) in [
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (1e15, "1000000000000000.0"),
        (1e21, "1e21"),
        (1e-7, "1e-7"),
        (0.1, "0.1"),
        (f64::MAX, "1.7976931348623157e308"),
        (5e-324, "5e-324"),
        (f64::NAN, r#"{"$numberDouble":"NaN"}"#),
        (f64::INFINITY, r#"{"$numberDouble":"Infinity"}"#),
    ] {
        assert_eq!(print(double), text);
    }
}

#[test]
fn dates_print_as_text_in_the_years_1970_to_9999() {
    let print = |ms: i64| Value::from(DateTime::from_ms(ms)).to_string();
    assert_eq!(print(0), r#"{"$date":"1970-01-01T00:00:00.000Z"}"#);
    assert_eq!(print(-1), r#"{"$date":{"$numberLong":"-1"}}"#);
    assert_eq!(print(253_402_300_799_999), r#"{"$date":"9999-12-31T23:59:59.999Z"}"#);
    assert_eq!(print(253_402_300_800_000), r#"{"$date":{"$numberLong":"253402300800000"}}"#);
}

#[test]
fn strings_escape_what_json_wants_escaped() {
    let text = "\"\\/\u{8}\u{c}\n\r\t\u{0}\u{1f}\u{7f}\u{e9}\u{1f600}\u{2028}";
    let json = Value::from(text).to_string();
    assert_eq!(json, "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\u{7f}\u{e9}\u{1f600}\u{2028}\"");
    assert_eq!(parse(json.as_bytes()).unwrap(), Value::from(text));
}

#[test]
fn pretty_puts_each_field_on_its_line() {
    let document =
        doc! { "a": [], "b": {}, "c": [1, { "d": DateTime::from_ms(0) }], "e": value!(null) };
    let stored = RawDocumentBuf::from_document(&document).unwrap();
    let expected = "\
{
  \"a\": [],
  \"b\": {},
  \"c\": [
    1,
    {
      \"d\": {\"$date\":\"1970-01-01T00:00:00.000Z\"}
    }
  ],
  \"e\": null
}";
    assert_eq!(to_json_pretty(&stored, JsonFormat::Relaxed).unwrap(), expected);
    assert_eq!(parse_document(expected.as_bytes()).unwrap(), stored);
}

#[test]
fn vectors_print_the_fewest_digits_that_read_back() {
    let vector = Value::Vector(vec![0.1, -0.1, -0.0, f32::MAX, f32::MIN_POSITIVE, 1e-45, f32::NAN]);
    let json = vector.to_string();
    assert_eq!(
        json,
        r#"{"$vector":[0.1,-0.1,-0.0,3.4028235e38,1.1754944e-38,1e-45,{"$numberDouble":"NaN"}]}"#
    );
    assert_eq!(parse(json.as_bytes()).unwrap(), vector);
}

/// As the key that serde_json's numbers make up under `arbitrary_precision`.
#[test]
fn no_key_passes_for_a_number() {
    let text = r#"{"$serde_json::private::Number":"5"}"#;
    assert_eq!(parse(text.as_bytes()).unwrap().to_string(), text);
}
