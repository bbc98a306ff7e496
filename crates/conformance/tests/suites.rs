//! Every recorded case, in every suite.

use conformance::Report;

/// Cases that answer otherwise, each with the reason why it may.
const EXCEPTED: &[(&str, &str)] = &[];

/// Runs a suite of so many cases, none of which may fail but the excepted ones, which must.
fn check(suite: &str, text: &str, cases: usize) -> Report {
    let mut report = conformance::run(text).expect("a database in memory can be made");
    let excepted = |name: &str| EXCEPTED.iter().any(|(excepted, _)| *excepted == name);
    let (expected, failures): (Vec<_>, Vec<_>) =
        report.failures.drain(..).partition(|(name, _)| excepted(name));
    let shown: Vec<String> =
        failures.iter().take(40).map(|(name, reason)| format!("{name}: {reason}")).collect();
    assert!(failures.is_empty(), "{} {suite} cases fail:\n{}", failures.len(), shown.join("\n"));
    let listed = EXCEPTED.iter().filter(|(name, _)| name.split('/').next() == Some(suite)).count();
    assert_eq!(expected.len(), listed, "an excepted case passes");
    assert_eq!(report.unknown_suites, []);
    assert_eq!(report.passed + expected.len(), cases);
    report
}

#[test]
fn filters() {
    let report = check("filter", include_str!("../data/filter.jsonl"), 3233);
    assert_eq!(report.by_index + report.refused, 12_783);
    assert!(report.by_index > 10_000, "{}", report.by_index);
}

#[test]
fn sorts() {
    let report = check("sort", include_str!("../data/sort.jsonl"), 431);
    assert_eq!(report.by_index + report.refused, 1158);
    assert!(report.by_index > 700, "{}", report.by_index);
}

#[test]
fn updates() {
    check("update", include_str!("../data/update.jsonl"), 1853);
}

#[test]
fn projections() {
    check("projection", include_str!("../data/projection.jsonl"), 150);
}

#[test]
fn orders() {
    check("order", include_str!("../../anyenc/tests/data/order.jsonl"), 105);
}

#[test]
fn indexes() {
    let report = check("index", include_str!("../data/index.jsonl"), 273);
    assert_eq!((report.steps, report.by_index + report.refused), (3783, 2319));
    assert!(report.by_index > 1_800, "{}", report.by_index);
}

#[test]
fn a_case_that_answers_otherwise_fails() {
    let cases = r#"{"name":"filter/x/1","docs":[{"id":1}],"filter":{"id":1},"want":{"ids":[2]}}
{"name":"update/x/1","doc":{"id":1},"modifier":{"$set":{"a":1}},"want":{"doc":{"id":1},"modified":false}}
{"name":"order/x/1","values":[1,2],"want":{"ranks":[1,0]}}
{"name":"sort/x/1","docs":[{"id":1}],"sort":{"a":1},"want":{"error":true,"kind":"parallel_arrays"}}
{"name":"projection/x/1","docs":[{"id":1}],"projection":{"id":1},"want":{"docs":[]}}
{"name":"index/x/1","steps":[{"op":"insert","docs":[{"id":1}],"want":{"result":"ok"}},{"op":"query","want":{"ids":[],"count":0}}]}
{"name":"other/x/1"}
no case"#;
    let report = conformance::run(cases).expect("a database in memory can be made");
    assert_eq!(report.failures.len(), 7);
    assert_eq!(report.passed, 0);
    assert_eq!(report.unknown_suites, [("other".to_owned(), 1)]);
}
