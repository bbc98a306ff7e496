//! Requests made to hurt: what each may hold at once, beside the request itself.

use any_store_alloctest::{Counting, measure};
use any_store_query::bounds::Keys;
use any_store_query::{Filter, ParseErrorKind, Projection, Sort};
use anyenc::{Document, RawDocumentBuf, Value, doc};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MAX_PEAK_BYTES: usize = 64 << 20;

/// The request is made by the caller, so it is no part of what is measured.
fn within_budget<T>(what: &str, code: impl FnOnce() -> T) -> T {
    let start = std::time::Instant::now();
    let (result, usage) = measure(code);
    println!("{what}: {} KiB, {:?}", usage.peak_bytes >> 10, start.elapsed());
    assert!(usage.peak_bytes <= MAX_PEAK_BYTES, "{what}: {usage:?}");
    result
}

fn is_limit(filter: &Document) -> bool {
    Filter::from_document(filter).is_err_and(|error| error.kind == ParseErrorKind::Limit)
}

#[test]
fn hostile_requests_stay_within_their_memory() {
    nesting();
    members_and_branches();
    paths();
    patterns();
}

fn nesting() {
    for (open, close) in [(r#"{"$and":["#, "]}"), (r#"{"a":"#, "}"), ("[", "]")] {
        let text = format!("{}1{}", open.repeat(1_000_000), close.repeat(1_000_000));
        within_budget("a million levels", || {
            assert!(Filter::from_json(&text).is_err());
            assert!(Sort::from_json(&text).is_err());
            assert!(Projection::from_json(&text, "id").is_err());
        });
    }
}

fn members_and_branches() {
    let members: Vec<i64> = (0..1_000_000).collect();
    let request = doc! { "a": { "$in": members } };
    let stored = RawDocumentBuf::from_document(&doc! { "a": 999_999 }).unwrap();
    within_budget("$in of a million", || {
        let filter = Filter::from_document(&request).unwrap();
        assert_eq!(filter.matches(stored.as_raw()), Ok(true));
        assert_eq!(filter.bounds("a", Keys::Several).intervals().len(), 1);
    });
    let branches: Vec<Document> = (0..100_000).map(|n| doc! { "a": n }).collect();
    let request = doc! { "$or": branches };
    within_budget("$or of a hundred thousand", || assert!(is_limit(&request)));
    let branches: Vec<Document> = (0..49_000).map(|n| doc! { "a": n }).collect();
    let request = doc! { "$or": branches };
    within_budget("$or within the limit", || {
        let filter = Filter::from_document(&request).unwrap();
        assert_eq!(filter.matches(stored.as_raw()), Ok(false));
        assert!(!filter.bounds("a", Keys::Several).is_all());
    });
}

fn paths() {
    let request = doc! { (".".repeat(100_000)): 1 };
    within_budget("a path of dots", || {
        assert!(is_limit(&request));
        assert!(Sort::from_document(&request).is_err());
        assert!(Projection::from_document(&request, "id").is_err());
    });
}

/// Patterns that take a backtracking engine, or a careless compiler, too long or too far.
fn patterns() {
    let text = RawDocumentBuf::from_document(&doc! { "a": "a".repeat(100_000) }).unwrap();
    for pattern in [
        "(a*)*b".to_owned(),
        "(a|a)*b".to_owned(),
        "(a|aa)+$b".to_owned(),
        "(x+x+)+y".to_owned(),
        "a?".repeat(500) + &"a".repeat(500) + "b",
        ".*".repeat(200) + "b",
        "(((a{30}){30}){30}){30}".to_owned(),
        r"\w{200}".to_owned(),
        r"\pL".repeat(10_000),
        r"(?i)[a-\x{10FFFF}]".repeat(1_500),
        "(?i)".to_owned() + &"[[^a]]".repeat(5_000),
        "(?i)".to_owned() + &"[[^a]]".repeat(60),
        r"(?i)[\w]".repeat(400),
        "(".repeat(10_000) + &")".repeat(10_000),
        "[".repeat(30_000),
        "a|".repeat(16_000),
        "x".repeat(40_000),
    ] {
        let shown: String = pattern.chars().take(24).collect();
        let request = doc! { "a": { "$regex": pattern } };
        within_budget(&shown, || {
            if let Ok(filter) = Filter::from_document(&request) {
                assert!(filter.matches(text.as_raw()).is_ok(), "{shown}");
            }
        });
    }
    let pattern = |n: usize| {
        Value::Regex(anyenc::Regex {
            pattern: format!(r"^{n}(\w|\s){{3}}"),
            options: "i".to_owned(),
        })
    };
    let request = doc! { "a": { "$in": (0..20_000).map(pattern).collect::<Vec<_>>() } };
    within_budget("$in of many patterns", || assert!(is_limit(&request)));
    let literal = |n: usize| {
        Value::Regex(anyenc::Regex { pattern: format!("^user{n}"), options: String::new() })
    };
    let request = doc! { "a": { "$in": (0..1_000).map(literal).collect::<Vec<_>>() } };
    within_budget("$in of a thousand prefixes", || {
        let filter = Filter::from_document(&request).unwrap();
        assert_eq!(filter.matches(text.as_raw()), Ok(false));
    });
}
