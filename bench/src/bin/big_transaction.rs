//! One transaction far larger than the cache: how much memory the process takes at its peak.
//!
//! By hand only: it writes several times `--mib` to the disk.

use any_store_bench::measure::{Arguments, Order, key, noise, peak_memory_bytes, time, verdict};
use any_store_bench::stores::{KeyValue, Ours};
use any_store_storage::StoreOptions;
use serde_json::json;

const MIB: u64 = 1 << 20;
const MOST_MEMORY_BYTES: u64 = 120 * MIB;

fn main() {
    let arguments = Arguments::read();
    let dir = arguments.work_dir();
    let goal_bytes = arguments.number("mib", 2048) * MIB;
    let cache_bytes = arguments.number("cache-mib", 20) * MIB;
    let order = match arguments.text("order", "random") {
        "ascending" => Order::Ascending,
        _ => Order::Random,
    };
    let options = StoreOptions { cache_bytes, ..StoreOptions::default() };
    let page_blocks = u8::try_from(arguments.number("page-blocks", 1)).expect("1, 2 or 4");
    let ours = Ours::create("ours", &dir.join("big.any"), page_blocks, options);
    let value = noise(1, usize::try_from(arguments.number("value", 1000)).expect("a length"));
    let entry_bytes = (value.len() + any_store_bench::measure::KEY_BYTES) as u64;
    let count = goal_bytes / entry_bytes;

    let mut tx = ours.store().begin_write().expect("begin");
    let peak = |what: &str, seconds: f64| {
        println!(
            "{what:12} {seconds:8.1} s   peak {:6.1} MiB",
            peak_memory_bytes() as f64 / MIB as f64
        );
    };
    let puts = time(|| {
        for index in 0..count {
            tx.put(ours.tree(), &key(order, index), &value).expect("put");
        }
    });
    peak("puts", puts.as_secs_f64());
    let commit = time(|| {
        tx.commit().expect("commit");
    });
    peak("commit", commit.as_secs_f64());
    let checkpoint = time(|| ours.finish());
    peak("checkpoint", checkpoint.as_secs_f64());
    let entries = ours.store().begin_read().expect("begin").tree_stats(ours.tree()).expect("stats");
    assert_eq!(entries.expect("the tree").entry_count, count);
    let bytes = peak_memory_bytes();
    println!("{count} entries, {} MiB: {}", goal_bytes / MIB, verdict(bytes < MOST_MEMORY_BYTES));
    println!(
        "{}",
        json!({"bench": "big_transaction", "order": order.name(), "entries": count, "peak_bytes": bytes})
    );
}
