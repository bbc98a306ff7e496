//! The crash sweep over the storage engine, small enough for every `cargo test`. The command
//! `crash_sweep` runs the same over more images; `docs/testing.md` says how.

use any_store_sim::engine::StoreEngine;
use any_store_sim::{Plan, sweep};

#[test]
fn every_call_of_every_script_may_be_the_last_one() {
    let plan = Plan { images: 3000, ..Plan::default() };
    let report = sweep(&StoreEngine, &plan);
    println!("{report}");
    let failures = report.failures(&plan);
    assert!(
        failures.is_empty(),
        "replay with `cargo run --profile test -p any-store-sim --bin crash_sweep -- --replay ...`:\n{}",
        failures.join("\n")
    );
}

#[test]
fn a_seed_makes_the_same_calls_and_images_each_time() {
    let plan = Plan { seed: 77, images: 300, ..Plan::default() };
    let facts = || {
        let report = sweep(&StoreEngine, &plan);
        (report.trace_hash, report.ops, report.crash_images, report.distinct, report.crashes_again)
    };
    assert_eq!(facts(), facts());
}
