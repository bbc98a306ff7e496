use anyenc::{RawDocumentBuf, Value, doc, json};

use super::*;
use crate::error::ParseErrorKind;

fn parse(text: &str) -> Filter {
    Filter::from_json(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> ParseError {
    Filter::from_json(text).expect_err(text)
}

fn matches(filter: &str, document: &str) -> bool {
    let stored = anyenc::parse_document(document.as_bytes()).unwrap();
    parse(filter).matches(stored.as_raw()).unwrap()
}

#[test]
fn an_error_names_the_place_the_operator_and_the_reason() {
    let cases = [
        (r#"{"$and":[{"a":1},{"b":{"$gtt":1}}]}"#, "$and.1.b.$gtt", "$gtt", 23),
        (r#"{"a":{"$gt":1,"b":2}}"#, "a.b", "", 14),
        (r#"{"a":{"b":2,"$gt":1}}"#, "a.$gt", "$gt", 12),
        (r#"{"$or":[{"a":1},5]}"#, "$or.1", "", 16),
        (r#"{"a":{"$not":{"$in":3}}}"#, "a.$not.$in", "$in", 14),
        (r#"{"a":{"$elemMatch":{"b":{"$size":-1}}}}"#, "a.$elemMatch.b.$size", "$size", 25),
        (r#"{"a":1,"$gt":1}"#, "$gt", "$gt", 7),
        (r#"{"a":{"$or":[]}}"#, "a.$or", "$or", 6),
        ("5", "", "", 0),
    ];
    for (text, path, op, offset) in cases {
        let error = refused(text);
        assert_eq!((error.path.as_str(), error.op.as_str()), (path, op), "{text}");
        assert_eq!(error.offset, Some(offset), "{text}: {error}");
        assert!(!error.reason.is_empty());
    }
}

#[test]
fn only_an_unknown_name_is_an_unknown_operator() {
    let unknown = refused(r#"{"a":{"$exist":true}}"#);
    assert!(unknown.is_unknown_operator());
    assert_eq!(unknown.suggestion.as_deref(), Some("$exists"));
    assert_eq!(
        unknown.to_string(),
        r#"parse filter: unknown operator "$exist" (at a.$exist); did you mean "$exists"?"#
    );

    let misplaced = refused(r#"{"$exists":true}"#);
    assert_eq!(misplaced.kind, ParseErrorKind::Invalid);
    assert_eq!(
        misplaced.to_string(),
        "parse filter: $exists must stand in the condition on a field (at $exists)"
    );
}

#[test]
fn text_that_is_no_json_is_refused_with_its_offset() {
    let error = refused(r#"{"a":1,}"#);
    assert_eq!(error.kind, ParseErrorKind::Json);
    assert!(error.offset.is_some_and(|offset| offset >= 7), "{error:?}");
    assert_eq!(refused(r#"{"a":1,"a":2}"#).kind, ParseErrorKind::Json);
}

#[test]
fn a_literal_that_no_document_could_hold_is_refused() {
    let reserved = doc! { "a": { "$eq": { "$oid": "x" } } };
    let error = Filter::from_document(&reserved).unwrap_err();
    assert_eq!((error.path.as_str(), error.op.as_str()), ("a.$eq", "$eq"));

    let mut deep = Value::Null;
    for _ in 0..300 {
        deep = Value::Array(vec![deep]);
    }
    assert!(Filter::from_document(&doc! { "a": deep.clone() }).is_ok());
    let error = Filter::from_document(&doc! { "a": vec![deep] }).unwrap_err();
    assert_eq!(error.kind, ParseErrorKind::Limit);
}

#[test]
fn null_and_missing_are_answered_per_element() {
    assert!(matches(r#"{"a.b":null}"#, r#"{"a":[{"b":1},{}]}"#));
    assert!(!matches(r#"{"a.b":null}"#, r#"{"a":[{"b":1},5]}"#));
    assert!(!matches(r#"{"a.b":null}"#, r#"{"a":[]}"#));
    assert!(matches(r#"{"a.b":null}"#, r#"{"a":5}"#));
    assert!(matches(r#"{"a.b":{"$ne":null}}"#, r#"{"a":[]}"#));
}

#[test]
fn a_number_in_a_path_is_an_index_and_a_key() {
    assert!(matches(r#"{"a.1":7}"#, r#"{"a":[5,7]}"#));
    assert!(matches(r#"{"a.1":7}"#, r#"{"a":[{"1":7}]}"#));
    assert!(matches(r#"{"a.1":7}"#, r#"{"a":{"1":7}}"#));
    assert!(!matches(r#"{"a.01":7}"#, r#"{"a":[5,7]}"#));
    // What an index gives is not opened once more.
    assert!(!matches(r#"{"a.0":7}"#, r#"{"a":[[7]]}"#));
}

#[test]
fn operators_compare_within_one_type() {
    for document in [r#"{"a":"x"}"#, r#"{"a":null}"#, r#"{"a":true}"#, r#"{"a":[[5]]}"#, "{}"] {
        assert!(!matches(r#"{"a":{"$gt":1}}"#, document), "{document}");
        assert!(!matches(r#"{"a":{"$lt":1}}"#, document), "{document}");
        assert!(matches(r#"{"a":{"$not":{"$lt":1}}}"#, document), "{document}");
    }
    assert!(matches(r#"{"a":{"$gt":[1]}}"#, r#"{"a":[[2]]}"#));
    assert!(matches(r#"{"a":{"$gte":null}}"#, "{}"));
    assert!(!matches(r#"{"a":{"$gt":null}}"#, r#"{"a":1}"#));
}

#[test]
fn numbers_are_compared_exactly() {
    let above = r#"{"a":9007199254740993}"#;
    assert!(matches(r#"{"a":{"$gt":9007199254740992.0}}"#, above));
    assert!(!matches(r#"{"a":9007199254740992.0}"#, above));
    assert!(matches(r#"{"a":{"$in":[1,9007199254740993]}}"#, above));
    assert!(!matches(r#"{"a":{"$in":[1,9007199254740992.0]}}"#, above));
}

#[test]
fn nan_equals_itself_and_has_no_order() {
    let nan = r#"{"a":{"$numberDouble":"NaN"}}"#;
    assert!(matches(nan, nan));
    assert!(!matches(r#"{"a":{"$lt":0}}"#, nan));
    assert!(!matches(r#"{"a":{"$lte":{"$numberDouble":"NaN"}}}"#, r#"{"a":0}"#));
    assert!(matches(r#"{"a":{"$lte":{"$numberDouble":"NaN"}}}"#, nan));
}

#[test]
fn every_form_reads_back_from_what_it_prints() {
    for text in [
        "{}",
        r#"{"a":1,"b":{"$eq":{"x":1}},"c":{"$eq":{"$gt":1}},"":null}"#,
        r#"{"a":{"$in":[3,1,1.0,"x",null,[1]],"$nin":[]},"$comment":{"by":"Ann"}}"#,
        r#"{"$or":[{"a":{"$exists":0}},{"$nor":[{},{"b":{"$not":{"$size":2.0}}}]}]}"#,
        r#"{"a":{"$type":["number","decimal",-1,2,"vector"],"$mod":[4.9,-1]}}"#,
        r#"{"a":{"$all":[]},"b":{"$all":[{"$elemMatch":{"$gt":1}},{"$elemMatch":{"x":1}}]}}"#,
        r#"{"a":{"$bitsAnySet":[5,1,70],"$bitsAllClear":{"$binary":{"base64":"FA==","subType":"00"}}}}"#,
        r#"{"a":{"$eq":{"$regularExpression":{"pattern":"x","options":"i"}}}}"#,
        r#"{"a":{"$gte":{"$date":"2020-01-01T00:00:00Z"},"$ne":{"$numberDouble":"NaN"}}}"#,
    ] {
        let filter = parse(text);
        let printed = filter.to_string();
        assert_eq!(parse(&printed), filter, "{text} printed {printed}");
        assert_eq!(Filter::from_document(&filter.to_document()).as_ref(), Ok(&filter), "{text}");
    }
}

#[test]
fn points_are_what_the_filter_pins() {
    let points =
        |text: &str| parse(text).point_on("id").map(|values| Value::Array(values).to_string());
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(points(r#"{"id":5}"#), some("[5]"));
    assert_eq!(points(r#"{"id":{"$in":["b",2,1,2.0]},"a":1}"#), some(r#"[1,2,"b"]"#));
    assert_eq!(points(r#"{"id":{"$in":[1,2,3]},"$and":[{"id":{"$in":[2,3,4]}}]}"#), some("[2,3]"));
    assert_eq!(points(r#"{"$and":[{"id":1},{"id":2}]}"#), some("[]"));
    assert_eq!(points(r#"{"$or":[{"id":2},{"id":1,"a":1},{"id":2}]}"#), some("[1,2]"));
    assert_eq!(points(r#"{"id":{"$in":[]}}"#), some("[]"));
    for open in [
        "{}",
        r#"{"a":1}"#,
        r#"{"id":{"$gt":1}}"#,
        r#"{"id.x":1}"#,
        r#"{"$or":[{"id":1},{"a":1}]}"#,
        r#"{"$nor":[{"id":1}]}"#,
        r#"{"id":{"$not":{"$eq":1}}}"#,
    ] {
        assert_eq!(points(open), None, "{open}");
    }
}

#[test]
fn only_what_says_nothing_is_all() {
    assert!(Filter::all().is_all());
    assert!(parse("{}").is_all());
    assert!(parse(r#"{"$comment":"x"}"#).is_all());
    assert!(!parse(r#"{"a":{"$exists":true}}"#).is_all());
    assert!(!parse(r#"{"$and":[{}]}"#).is_all());
}

#[test]
fn damage_is_an_error_and_not_a_mismatch() {
    let stored = RawDocumentBuf::from_document(&doc! { "a": [1, "x"], "b": 2 }).unwrap();
    let filter = parse(r#"{"a":{"$elemMatch":{"$eq":"x"}},"b":2}"#);
    assert_eq!(filter.matches(stored.as_raw()), Ok(true));
    let mut refusals = 0;
    for at in 5..stored.as_bytes().len() {
        let mut bytes = stored.as_bytes().to_vec();
        bytes[at] ^= 0xff;
        let Ok(damaged) = RawDocument::from_bytes(&bytes) else { continue };
        refusals += usize::from(filter.matches(damaged).is_err());
    }
    assert!(refusals > 0);
}

#[test]
fn a_filter_is_the_same_from_text_value_and_document() {
    let text = r#"{"a":{"$gt":1},"b":[1,{"c":null}]}"#;
    let value = json::parse_query(text.as_bytes()).unwrap();
    assert_eq!(Filter::parse(&value), Ok(parse(text)));
    let document = doc! { "a": { "$gt": 1 }, "b": [1, { "c": null }] };
    assert_eq!(Filter::from_document(&document), Ok(parse(text)));
}
