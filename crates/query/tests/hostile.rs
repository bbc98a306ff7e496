//! Requests and documents made to hurt: each gets an answer or a limit error, soon, on a small stack.

use any_store_query::bounds::Keys;
use any_store_query::{
    Applied, ApplyContext, ApplyErrorKind, Filter, ParseErrorKind, Projection, Sort, SortError,
    Update,
};
use anyenc::{Document, RawDocumentBuf, Value, doc};

/// Runs a test on as much stack as the depth limits are promised to need.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(512 << 10).spawn(test);
    thread.expect("a thread starts").join().expect("the test passes");
}

fn nested(open: &str, inner: &str, close: &str, depth: usize) -> String {
    format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
}

#[test]
fn text_of_a_million_levels_is_refused() {
    on_a_small_stack(|| {
        for (open, inner, close) in [
            (r#"{"$and":["#, "{}", "]}"),
            (r#"{"a":{"$not":"#, r#"{"$gt":1}"#, "}}"),
            (r#"{"a":"#, "1", "}"),
            ("[", "", "]"),
        ] {
            let text = nested(open, inner, close, 1_000_000);
            assert_eq!(Filter::from_json(&text).unwrap_err().kind, ParseErrorKind::Json);
            assert_eq!(Update::from_json(&text).unwrap_err().kind, ParseErrorKind::Json);
            assert_eq!(Projection::from_json(&text, "id").unwrap_err().kind, ParseErrorKind::Json);
            assert_eq!(Sort::from_json(&text).unwrap_err().kind, ParseErrorKind::Json);
        }
    });
}

#[test]
fn operators_nest_a_hundred_deep_and_no_deeper() {
    on_a_small_stack(|| {
        let stored = RawDocumentBuf::from_document(&doc! { "a": [[1]] }).unwrap();
        let cases = [(r#"{"$nor":["#, r#"{"b":1}"#, "]}"), (r#"{"$or":["#, r#"{"b":1}"#, "]}")];
        for (open, inner, close) in cases {
            let filter = Filter::from_json(&nested(open, inner, close, 100)).unwrap();
            filter.matches(stored.as_raw()).unwrap();
            assert_eq!(Filter::from_json(&filter.to_string()), Ok(filter));
            let error = Filter::from_json(&nested(open, inner, close, 101)).unwrap_err();
            assert_eq!(error.kind, ParseErrorKind::Limit, "{error}");
        }
        for op in ["$not", "$elemMatch"] {
            let conditions = |depth| {
                let open = format!(r#"{{"{op}":"#);
                format!(r#"{{"a":{}}}"#, nested(&open, r#"{"$eq":1}"#, "}", depth))
            };
            let filter = Filter::from_json(&conditions(100)).unwrap();
            filter.matches(stored.as_raw()).unwrap();
            assert_eq!(Filter::from_json(&filter.to_string()), Ok(filter));
            let error = Filter::from_json(&conditions(101)).unwrap_err();
            assert_eq!(error.kind, ParseErrorKind::Limit, "{error}");
        }
    });
}

#[test]
fn a_million_members_of_in_are_searched_not_scanned() {
    let members: Vec<Value> = (0..1_000_000).rev().map(|n| Value::Int64(n * 2)).collect();
    let filter = Filter::from_document(&doc! { "a": { "$in": members.clone() } }).unwrap();
    let document = |n: i64| RawDocumentBuf::from_document(&doc! { "a": n }).unwrap();
    // Scanning a million members for each of these would take 10^11 steps.
    for n in 0..100_000 {
        assert_eq!(filter.matches(document(n).as_raw()), Ok(n % 2 == 0));
    }
    assert_eq!(filter.point_on("a").map(|points| points.len()), Some(1_000_000));

    let mut more = members;
    more.push(Value::Int64(1));
    let error = Filter::from_document(&doc! { "a": { "$in": more } }).unwrap_err();
    assert_eq!(error.kind, ParseErrorKind::Limit);
}

#[test]
fn a_hundred_thousand_branches_pass_the_limit() {
    let branches: Vec<Document> = (0..100_000).map(|n| doc! { "a": n }).collect();
    let error = Filter::from_document(&doc! { "$or": branches }).unwrap_err();
    assert_eq!(error.kind, ParseErrorKind::Limit);
    let branches: Vec<Document> = (0..40_000).map(|n| doc! { "a": n }).collect();
    let filter = Filter::from_document(&doc! { "$or": branches }).unwrap();
    let last = RawDocumentBuf::from_document(&doc! { "a": 39_999 }).unwrap();
    assert_eq!(filter.matches(last.as_raw()), Ok(true));
}

#[test]
fn a_path_of_dots_is_refused_and_not_repeated() {
    let dots = ".".repeat(100_000);
    let filter = Filter::from_document(&doc! { (dots.as_str()): 1 }).unwrap_err();
    assert_eq!(filter.kind, ParseErrorKind::Limit);
    assert!(filter.to_string().len() < 3_000, "{} bytes", filter.to_string().len());
    let update = Update::from_document(&doc! { "$set": { (dots.as_str()): 1 } }).unwrap_err();
    assert_eq!(update.kind, ParseErrorKind::Limit);
    assert_eq!(Sort::by(&dots).unwrap_err().kind, ParseErrorKind::Limit);
    let projection = doc! { (dots.as_str()): 1 };
    let error = Projection::from_document(&projection, "id").unwrap_err();
    assert_eq!(error.kind, ParseErrorKind::Limit);
}

#[test]
fn both_readings_of_numbers_do_not_multiply_without_bound() {
    // Each level can be entered by the key "0" and by the position 0.
    let mut document = doc! { "0": 1 };
    for _ in 0..100 {
        document = doc! { "0": [document] };
    }
    let stored = RawDocumentBuf::from_document(&document).unwrap();
    let path = |parts: usize| vec!["0"; parts].join(".");
    let filter = Filter::from_document(&doc! { (path(16)): "absent" }).unwrap();
    assert_eq!(filter.matches(stored.as_raw()), Ok(false));
    let error = Filter::from_document(&doc! { (path(17)): 1 }).unwrap_err();
    assert_eq!(error.kind, ParseErrorKind::Limit);
}

#[test]
fn a_long_field_beside_a_long_array_is_not_compared_once_per_element() {
    let elements: Vec<i64> = (0..200_000).rev().collect();
    let document = doc! { "s": "x".repeat(1 << 20), "a": elements };
    let stored = RawDocumentBuf::from_document(&document).unwrap();
    let mut key = Vec::new();
    Sort::by_all(["s", "a"]).unwrap().key(stored.as_raw(), &mut key).unwrap();
    let wanted = RawDocumentBuf::from_document(&doc! { "s": "x".repeat(1 << 20), "a": 0 }).unwrap();
    let mut wanted_key = Vec::new();
    Sort::by_all(["s", "a"]).unwrap().key(wanted.as_raw(), &mut wanted_key).unwrap();
    assert_eq!(key, wanted_key);
}

#[test]
fn a_position_far_out_is_looked_up_once_per_array() {
    let elements: Vec<Value> = (0..100_000).map(Value::Int64).collect();
    let stored = RawDocumentBuf::from_document(&doc! { "a": elements }).unwrap();
    let mut key = Vec::new();
    Sort::by("a.99999").unwrap().key(stored.as_raw(), &mut key).unwrap();
    let filter = Filter::from_document(&doc! { "a.99999": 99_999 }).unwrap();
    assert_eq!(filter.matches(stored.as_raw()), Ok(true));
}

#[test]
fn an_update_of_a_hundred_thousand_paths_takes_any_order() {
    let fields: Document = (0..100_000).rev().map(|n| (format!("f{n}"), n)).collect();
    let update = Update::from_document(&doc! { "$set": fields.clone() }).unwrap();
    let stored = RawDocumentBuf::new();
    let Ok(Applied::Changed(made)) = update.apply(stored.as_raw(), ApplyContext::insert()) else {
        panic!("fields are made");
    };
    assert_eq!(made.as_raw().len(), Ok(100_000));
    let mut more = fields;
    more.insert("one_more", 1);
    let error = Update::from_document(&doc! { "$set": more }).unwrap_err();
    assert_eq!(error.kind, ParseErrorKind::Limit);
}

#[test]
fn a_projection_does_not_repeat_a_long_name_for_each_field_below_it() {
    let inner: Document = (0..20_000).map(|n| (format!("f{n}"), 1)).collect();
    let name = "x".repeat(1 << 20);
    let projection = Projection::from_document(&doc! { (name.as_str()): inner }, "id").unwrap();
    let stored =
        RawDocumentBuf::from_document(&doc! { (name.as_str()): { "f7": 1, "z": 2 } }).unwrap();
    let shown = projection.project(stored.as_raw()).unwrap().to_document().unwrap();
    assert_eq!(shown, doc! { (name.as_str()): { "f7": 1 } });
}

#[test]
fn parallel_arrays_are_an_error_however_long() {
    let elements: Vec<i64> = (0..100_000).collect();
    let document = doc! { "a": elements.clone(), "b": elements };
    let stored = RawDocumentBuf::from_document(&document).unwrap();
    let mut key = vec![7];
    let error = Sort::by_all(["a", "b"]).unwrap().key(stored.as_raw(), &mut key).unwrap_err();
    assert!(matches!(error, SortError::ParallelArrays(_)));
    assert_eq!(error.to_string(), "cannot sort: \"a\" and \"b\" are parallel arrays");
    assert_eq!(key, [7]);
}

fn limit_error(update: &Update, stored: &RawDocumentBuf) -> ApplyErrorKind {
    update.apply(stored.as_raw(), ApplyContext::update()).expect_err("past a limit").kind
}

#[test]
fn pushes_stop_at_the_largest_document() {
    let half = "x".repeat(9 << 20);
    let stored = RawDocumentBuf::from_document(&doc! { "a": [half.as_str()] }).unwrap();
    let update = Update::from_document(&doc! { "$push": { "a": half.as_str() } }).unwrap();
    assert_eq!(limit_error(&update, &stored), ApplyErrorKind::Limit);
    let update = Update::from_document(&doc! { "$addToSet": { "a": format!("{half}y") } }).unwrap();
    assert_eq!(limit_error(&update, &stored), ApplyErrorKind::Limit);
    let update =
        Update::from_document(&doc! { "$push": { "a": { "$each": [half], "$slice": -1 } } });
    assert!(update.unwrap().apply(stored.as_raw(), ApplyContext::update()).is_ok());
}

#[test]
fn pushes_stop_at_the_deepest_document() {
    on_a_small_stack(|| {
        let deep = |levels: usize| {
            let text = nested(r#"{"a":"#, "[]", "}", levels);
            anyenc::parse_document(text.as_bytes()).unwrap()
        };
        let (stored, operand) = (deep(200), deep(150).to_document().unwrap());
        let path = vec!["a"; 60].join(".");
        let update = Update::from_document(&doc! { "$set": { (path.as_str()): operand } }).unwrap();
        let Ok(Applied::Changed(_)) = update.apply(stored.as_raw(), ApplyContext::update()) else {
            panic!("210 levels are not too many");
        };
        let operand = deep(260).to_document().unwrap();
        let update = Update::from_document(&doc! { "$set": { (path.as_str()): operand } }).unwrap();
        assert_eq!(limit_error(&update, &stored), ApplyErrorKind::Limit);
    });
}

#[test]
fn positions_and_slices_may_be_any_integer() {
    let stored = RawDocumentBuf::from_document(&doc! { "a": [1, 2, 3] }).unwrap();
    for (position, at) in [(i64::MIN, 0), (-4, 0), (-1, 2), (3, 3), (i64::MAX, 3)] {
        for (slice, len) in [(i64::MIN, 4), (i64::MAX, 4), (0, 0), (-4, 4), (2, 2)] {
            let push = doc! { "$each": [9], "$position": position, "$slice": slice };
            let update = Update::from_document(&doc! { "$push": { "a": push } }).unwrap();
            let Ok(Applied::Changed(after)) = update.apply(stored.as_raw(), ApplyContext::update())
            else {
                panic!("{position} {slice}");
            };
            let mut wanted = vec![1, 2, 3];
            wanted.insert(at, 9);
            wanted.truncate(len);
            assert_eq!(after.to_document().unwrap(), doc! { "a": wanted }, "{position} {slice}");
        }
    }
    for bad in [Value::from(1e300), Value::from(f64::NAN), Value::from(0.5)] {
        let push = doc! { "$each": [9], "$position": bad };
        let error = Update::from_document(&doc! { "$push": { "a": push } }).unwrap_err();
        assert_eq!(error.kind, ParseErrorKind::Invalid);
    }
}

#[test]
fn the_ends_of_64_bits_overflow_and_change_nothing() {
    for (op, operand, value) in [
        ("$inc", 1, i64::MAX),
        ("$inc", i64::MIN, -1),
        ("$mul", -1, i64::MIN),
        ("$mul", i64::MAX, i64::MAX),
    ] {
        let stored = RawDocumentBuf::from_document(&doc! { "z": 1, "a": value }).unwrap();
        let both = doc! { "a": operand, "z": 1 };
        let update = Update::from_document(&doc! { (op): both }).unwrap();
        assert_eq!(limit_error(&update, &stored), ApplyErrorKind::Overflow, "{op}");
    }
}

#[test]
fn a_set_of_many_values_is_searched_not_scanned() {
    let members: Vec<Value> = (0..100_000).rev().map(Value::Int64).collect();
    let stored = RawDocumentBuf::from_document(&doc! { "a": members.clone() }).unwrap();
    let update = doc! { "$addToSet": { "a": { "$each": members.clone() } } };
    let update = Update::from_document(&update).unwrap();
    assert_eq!(update.apply(stored.as_raw(), ApplyContext::update()), Ok(Applied::Unchanged));
    let update = Update::from_document(&doc! { "$pullAll": { "a": members } }).unwrap();
    let Ok(Applied::Changed(after)) = update.apply(stored.as_raw(), ApplyContext::update()) else {
        panic!("all are taken out");
    };
    assert_eq!(after.to_document().unwrap(), doc! { "a": Vec::<Value>::new() });
}

#[test]
fn many_changes_below_many_elements_end_at_a_limit() {
    let elements = vec![Value::Object(Document::new()); 1_000_000];
    let stored = RawDocumentBuf::from_document(&doc! { "a": elements }).unwrap();
    let fields: Document = (0..50_000).map(|n| (format!("a.$[].f{n}"), 1)).collect();
    let update = Update::from_document(&doc! { "$unset": fields }).unwrap();
    assert_eq!(limit_error(&update, &stored), ApplyErrorKind::Limit);
    let filters: Vec<Value> = (0..65).map(|n| Value::from(doc! { (format!("x{n}")): 1 })).collect();
    let fields: Document = (0..65).map(|n| (format!("a.$[x{n}]"), 1)).collect();
    let update = Update::from_document(&doc! { "$set": fields }).unwrap();
    assert_eq!(update.with_array_filters(&filters).unwrap_err().kind, ParseErrorKind::Limit);
}

#[test]
fn a_push_sorts_a_million_elements_and_no_more() {
    let stored = |count: i64| {
        let elements: Vec<Value> = (0..count).map(Value::Int64).collect();
        RawDocumentBuf::from_document(&doc! { "a": elements }).unwrap()
    };
    let push = doc! { "$each": [-1], "$sort": 1, "$slice": 1 };
    let update = Update::from_document(&doc! { "$push": { "a": push } }).unwrap();
    let Ok(Applied::Changed(after)) =
        update.apply(stored(999_999).as_raw(), ApplyContext::update())
    else {
        panic!("a million are sorted");
    };
    assert_eq!(after.to_document().unwrap(), doc! { "a": [-1] });
    assert_eq!(limit_error(&update, &stored(1_000_000)), ApplyErrorKind::Limit);
}

#[test]
fn bounds_do_not_look_at_each_of_a_million_members() {
    let members: Vec<Value> = (0..1_000_000).map(Value::Int64).collect();
    let filter = doc! { "a": { "$in": members.clone(), "$nin": members, "$gt": 7 }, "b": 1 };
    let filter = Filter::from_document(&filter).unwrap();
    // Looking at each member for each of these would take 10^11 steps.
    for _ in 0..20_000 {
        for keys in [Keys::Several, Keys::OnePerDocument] {
            let bounds = filter.bounds("a", keys);
            assert_eq!((bounds.intervals().len(), bounds.is_exact()), (1, false));
            assert!(filter.bounds("b", keys).is_exact());
        }
        assert_ne!(filter.shape(), 0);
        assert!(filter.implies(&filter) && filter.implies_present("a"));
    }
}

#[test]
fn many_conditions_on_one_path_are_intersected_by_halves() {
    let mut conditions = vec![doc! { "a": { "$in": (0..10_000).collect::<Vec<i64>>() } }];
    conditions.extend((0..30_000).map(|n| doc! { "a": { "$ne": 20_000 + n } }));
    let filter = Filter::from_document(&doc! { "$and": conditions }).unwrap();
    // One after the other, each condition would walk through all members: 3 * 10^8 steps.
    let bounds = filter.bounds("a", Keys::OnePerDocument);
    assert_eq!((bounds.intervals().len(), bounds.is_exact()), (10_000, true));
    assert_eq!(bounds.residual(), &Filter::all());
    // Each one with each other would be 10^9 pairs.
    assert!(!filter.implies(&filter));
    assert!(filter.disjunctions().is_empty());
}

#[test]
fn bounds_of_an_or_on_other_paths_end_at_its_first_branch() {
    let branches: Vec<Document> = (0..40_000).map(|n| doc! { "a": n }).collect();
    let filter = doc! { "$or": branches, "b": { "$gt": 1, "$lt": 5 } };
    let filter = Filter::from_document(&filter).unwrap();
    let bounds = filter.bounds("a", Keys::Several);
    assert_eq!(bounds.intervals().len(), 1);
    assert!(filter.disjunctions().is_empty());
    assert!(filter.bounds("b", Keys::OnePerDocument).is_exact());
}
