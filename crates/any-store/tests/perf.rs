//! Counters of the whole process: this binary has one test, so nothing else counts.

use std::time::Duration;

use any_store::perf::{self, PipelineCounters};
use any_store::{CollectionOptions, Database, doc};

#[test]
fn counters_tell_what_queries_did_while_they_were_on() {
    let db = Database::in_memory().unwrap();
    let users = db.create_collection("users", CollectionOptions::new()).unwrap();
    users.create_index("age").unwrap();
    users.insert_many((0..100).map(|id| doc! { "id": id, "age": id % 10, "n": id })).unwrap();
    let adults = || users.find(doc! { "age": { "$gte": 8 }, "n": { "$lt": 50 } }).hint("age");

    assert_eq!(adults().run().unwrap().count(), 10);
    assert_eq!(perf::snapshot(), PipelineCounters::default(), "off until somebody turns them on");

    perf::enable();
    let mut open = adults().run().unwrap();
    assert!(open.next().is_some());
    assert_eq!(perf::snapshot().index_scan.rows, 0, "a cursor is counted when it is dropped");
    drop(open);
    let one = perf::snapshot();
    assert_eq!((one.index_scan.rows, one.fetch.rows, one.filter.rows), (1, 1, 1));

    perf::reset();
    assert_eq!(adults().run().unwrap().count(), 10);
    let counters = perf::snapshot();
    assert_eq!((counters.index_scan.rows, counters.index_scan.calls), (20, 21));
    assert_eq!((counters.filter.rows, counters.filter.calls), (10, 11));
    assert_eq!((counters.fetch.rows, counters.document_lookups), (20, 20));
    assert_eq!(counters.document_calls, 30, "the filter asks 20 times, the cursor 10 times");
    assert_eq!(counters.document_hits, 10);
    assert!(counters.lookup_time > Duration::ZERO && counters.parse_time > Duration::ZERO);
    assert!(counters.lookup_time + counters.parse_time <= counters.fetch.time);

    perf::reset();
    assert_eq!(users.find(doc! { "age": { "$gte": 8 } }).hint("age").count().unwrap(), 20);
    let counters = perf::snapshot();
    assert_eq!((counters.index_scan.rows, counters.document_calls), (20, 0), "a count reads keys");

    perf::reset();
    assert_eq!(users.find(doc! { "n": 5 }).run().unwrap().count(), 1);
    let explained = users.find(doc! { "n": 5 }).explain_analyze().unwrap();
    assert_eq!(explained.totals.unwrap().rows, 1);
    let counters = perf::snapshot();
    assert_eq!((counters.document_scan.rows, counters.filter.rows), (200, 2));
    assert_eq!(counters.index_scan, Default::default());

    perf::disable();
    perf::reset();
    assert_eq!(adults().run().unwrap().count(), 10);
    assert_eq!(perf::snapshot(), PipelineCounters::default());
}
