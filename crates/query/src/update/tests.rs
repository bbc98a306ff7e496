use anyenc::{RawDocumentBuf, doc};

use super::*;
use crate::error::{ApplyErrorKind, ParseErrorKind};

fn parse(text: &str) -> Update {
    Update::from_json(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn apply(update: &str, document: &str) -> Result<Applied, ApplyError> {
    let stored = anyenc::parse_document(document.as_bytes()).unwrap();
    parse(update).apply(stored.as_raw(), ApplyContext::update())
}

/// The document afterwards, as text; none if it is unchanged.
fn changed(update: &str, document: &str) -> Option<String> {
    match apply(update, document).unwrap_or_else(|error| panic!("{update}: {error}")) {
        Applied::Unchanged => None,
        Applied::Changed(after) => {
            after.as_raw().validate().unwrap();
            Some(after.to_string())
        }
    }
}

#[test]
fn new_fields_follow_in_the_order_of_their_paths() {
    let after =
        changed(r#"{"$set":{"z":1,"a10":2,"a9":3},"$inc":{"b.y":1,"b.x":1}}"#, r#"{"q":0}"#);
    assert_eq!(after.unwrap(), r#"{"q":0,"a9":3,"a10":2,"b":{"x":1,"y":1},"z":1}"#);
}

#[test]
fn a_change_is_a_change_of_bytes() {
    assert_eq!(changed(r#"{"$set":{"a":1}}"#, r#"{"a":1}"#), None);
    assert_eq!(changed(r#"{"$inc":{"a":0,"b":0}}"#, r#"{"a":1,"b":0.5}"#), None);
    assert_eq!(changed(r#"{"$set":{"a":1.0}}"#, r#"{"a":1}"#).unwrap(), r#"{"a":1.0}"#);
    assert_eq!(changed(r#"{"$set":{"a":-0.0}}"#, r#"{"a":0.0}"#).unwrap(), r#"{"a":-0.0}"#);
    let nan = r#"{"a":{"$numberDouble":"NaN"}}"#;
    assert_eq!(changed(&format!(r#"{{"$set":{nan}}}"#), nan), None);
    assert_eq!(changed(r#"{"$set":{},"$unset":{"x":1}}"#, r#"{"a":1}"#), None);
    assert!(changed(r#"{"$set":{"a":{"c":1,"b":2}}}"#, r#"{"a":{"b":2,"c":1}}"#).is_some());
}

#[test]
fn numbers_are_overwritten_where_they_stand() {
    let document = r#"{"s":"x","n":{"a":[1,2.5]},"t":"y"}"#;
    let after = changed(r#"{"$inc":{"n.a.0":5},"$mul":{"n.a.1":2},"$set":{"t":"y"}}"#, document);
    assert_eq!(after.unwrap(), r#"{"s":"x","n":{"a":[6,5.0]},"t":"y"}"#);
    let after = changed(r#"{"$inc":{"n.a.0":5,"n.a.1":1}}"#, document);
    assert_eq!(after.unwrap(), r#"{"s":"x","n":{"a":[6,3.5]},"t":"y"}"#);
}

#[test]
fn wide_objects_keep_their_table() {
    let wide: Document = (0..40).map(|field| (format!("f{field}"), field)).collect();
    let stored = RawDocumentBuf::from_document(&wide).unwrap();
    let update = parse(r#"{"$set":{"f7":"x","new":1},"$unset":{"f8":1},"$inc":{"f9":1}}"#);
    let Ok(Applied::Changed(after)) = update.apply(stored.as_raw(), ApplyContext::update()) else {
        panic!("the document changes");
    };
    after.as_raw().validate().unwrap();
    let mut wanted = wide;
    wanted.insert("f7", "x");
    wanted.remove("f8");
    wanted.insert("f9", 10);
    wanted.insert("new", 1);
    assert_eq!(after.to_document().unwrap(), wanted);
}

#[test]
fn an_element_that_is_unset_leaves_null() {
    assert_eq!(
        changed(r#"{"$unset":{"a.1":1}}"#, r#"{"a":[1,2,3]}"#).unwrap(),
        r#"{"a":[1,null,3]}"#
    );
    assert_eq!(changed(r#"{"$unset":{"a.5":1,"a.x":1}}"#, r#"{"a":[1,2,3]}"#), None);
}

#[test]
fn arrays_are_padded_within_bounds() {
    assert_eq!(
        changed(r#"{"$set":{"a.2.b":1}}"#, r#"{"a":[]}"#).unwrap(),
        r#"{"a":[null,null,{"b":1}]}"#
    );
    let error = apply(r#"{"$set":{"a.1500002":1}}"#, r#"{"a":[1]}"#).unwrap_err();
    assert_eq!((error.kind, error.path.as_str()), (ApplyErrorKind::Apply, "a.1500002"));
    let Ok(Applied::Changed(after)) = apply(r#"{"$set":{"a.1500001":1}}"#, r#"{"a":[1]}"#) else {
        panic!("one place nearer is near enough");
    };
    assert!(after.as_bytes().len() > 1_500_000);
}

#[test]
fn padding_stops_at_the_largest_document() {
    let fields: Document = (0..1000).map(|field| (format!("f{field}.1500000"), 1)).collect();
    let update = Update::from_document(&doc! { "$set": fields }).unwrap();
    let arrays: Document =
        (0..1000).map(|field| (format!("f{field}"), Vec::<i64>::new())).collect();
    let stored = RawDocumentBuf::from_document(&arrays).unwrap();
    let error = update.apply(stored.as_raw(), ApplyContext::update()).unwrap_err();
    assert_eq!(error.kind, ApplyErrorKind::Limit);
    assert!(error.path.starts_with('f'));
}

#[test]
fn what_cannot_be_changed_is_named() {
    let cases = [
        (r#"{"$inc":{"a":1}}"#, r#"{"a":9223372036854775807}"#, ApplyErrorKind::Overflow, "a"),
        (r#"{"$inc":{"b.c":1}}"#, r#"{"b":{"c":"5"}}"#, ApplyErrorKind::Apply, "b.c"),
        (r#"{"$set":{"a.b":1}}"#, r#"{"a":null}"#, ApplyErrorKind::Apply, "a.b"),
        (r#"{"$set":{"a.x":1}}"#, r#"{"a":[{"x":2}]}"#, ApplyErrorKind::Apply, "a.x"),
        (r#"{"$unset":{"a.b":1},"$set":{"a.c":1}}"#, r#"{"a":5}"#, ApplyErrorKind::Apply, "a.c"),
    ];
    for (update, document, kind, path) in cases {
        let error = apply(update, document).unwrap_err();
        assert_eq!((error.kind, error.path.as_str()), (kind, path), "{error}");
        assert!(error.to_string().contains(path), "{error}");
    }
}

#[test]
fn insertion_is_the_only_time_of_set_on_insert() {
    let update = parse(r#"{"$setOnInsert":{"a.b":1},"$set":{"c":2}}"#);
    let stored = RawDocumentBuf::from_document(&doc! { "c": 2 }).unwrap();
    assert_eq!(update.apply(stored.as_raw(), ApplyContext::update()), Ok(Applied::Unchanged));
    let Ok(Applied::Changed(made)) = update.apply(stored.as_raw(), ApplyContext::insert()) else {
        panic!("an insertion sets a.b");
    };
    assert_eq!(made.to_string(), r#"{"c":2,"a":{"b":1}}"#);
    // Where nothing is to be made, nothing is in the way.
    let scalar = RawDocumentBuf::from_document(&doc! { "a": 5, "c": 2 }).unwrap();
    assert_eq!(update.apply(scalar.as_raw(), ApplyContext::update()), Ok(Applied::Unchanged));
}

#[test]
fn two_changes_of_one_place_are_a_conflict() {
    for (text, path) in [
        (r#"{"$set":{"a":1},"$inc":{"a":1}}"#, "$inc.a"),
        (r#"{"$set":{"a.b":1},"$unset":{"a":1}}"#, "$unset.a"),
        (r#"{"$set":{"a":1,"a.b.c":2}}"#, "$set.a.b.c"),
    ] {
        let error = Update::from_json(text).unwrap_err();
        assert_eq!((error.kind, error.path.as_str()), (ParseErrorKind::Conflict, path), "{text}");
    }
    for text in [r#"{"$set":{"a.b":1,"a.bc":2}}"#, r#"{"$set":{"a.1":1,"a.10":2,"a.01":3}}"#] {
        assert!(Update::from_json(text).is_ok(), "{text}");
    }
}

#[test]
fn what_is_no_update_is_refused() {
    for (text, path, op) in [
        ("{}", "", ""),
        ("[]", "", ""),
        (r#"{"a":1}"#, "a", ""),
        (r#"{"$sett":{"a":1}}"#, "$sett", "$sett"),
        (r#"{"$set":5}"#, "$set", "$set"),
        (r#"{"$set":{"a..b":1}}"#, "$set.a..b", ""),
        (r#"{"$set":{"$a":1}}"#, "$set.$a", ""),
        (r#"{"$inc":{"a":"1"}}"#, "$inc.a", "$inc"),
        (r#"{"$set":{"a.$[B].b":1}}"#, "$set.a.$[B].b", ""),
        (r#"{"$set":{"a.$.$":1}}"#, "$set.a.$.$", "$"),
        (r#"{"$set":{"$[].a":1}}"#, "$set.$[].a", ""),
    ] {
        let error = Update::from_json(text).expect_err(text);
        assert_eq!((error.path.as_str(), error.op.as_str()), (path, op), "{text}: {error}");
    }
    let misspelt = Update::from_json(r#"{"$sett":{"a":1}}"#).unwrap_err();
    assert_eq!(misspelt.suggestion.as_deref(), Some("$set"));
}

#[test]
fn an_update_knows_the_fields_it_touches() {
    let update = parse(r#"{"$set":{"a.b":1},"$unset":{"c":1}}"#);
    assert!(update.touches("a") && update.touches("c"));
    assert!(!update.touches("b") && !update.touches("a.b"));
}

#[test]
fn a_damaged_document_is_an_error() {
    let stored =
        RawDocumentBuf::from_document(&doc! { "a": { "b": 1, "s": "x" }, "c": 2 }).unwrap();
    let update = parse(r#"{"$set":{"a.b":"longer","c":3}}"#);
    let mut refusals = 0;
    for at in 5..stored.as_bytes().len() {
        let mut bytes = stored.as_bytes().to_vec();
        bytes[at] ^= 0xff;
        let Ok(damaged) = RawDocument::from_bytes(&bytes) else { continue };
        let result = update.apply(damaged, ApplyContext::update());
        refusals += usize::from(result.is_err_and(|error| error.kind == ApplyErrorKind::Damaged));
    }
    assert!(refusals > 0);
}
