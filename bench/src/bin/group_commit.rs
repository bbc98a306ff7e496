//! Durable single commits: sixteen threads against one, and one against SQLite with
//! `synchronous=FULL`, in turns.

use any_store_bench::measure::{Arguments, Key, Order, key, median, noise, verdict};
use any_store_bench::stores::{Durability, KeyValue, Ours, Sqlite};
use any_store_storage::StoreOptions;
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const CACHE_BYTES: u64 = 256 << 20;
/// 40 MiB, what starts a checkpoint of ours at this size.
const CHECKPOINT_AFTER_PAGES: u64 = 10_240;
const LEAST_SPEED_UP: f64 = 6.0;

/// Commits a second, and commits for each sync where that is known.
#[derive(Clone, Copy, Debug)]
struct Rate {
    per_second: f64,
    per_sync: f64,
}

/// Writes random keys that no other run has used.
struct Load {
    next: AtomicU64,
    value: Vec<u8>,
    duration: Duration,
}

impl Load {
    fn run(&self, store: &dyn KeyValue, thread_count: u64) -> f64 {
        let end = Instant::now() + self.duration;
        let start = Instant::now();
        let counts: Vec<u64> = thread::scope(|scope| {
            let run = || self.run_thread(store, end);
            let threads: Vec<_> = (0..thread_count).map(|_| scope.spawn(run)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        counts.iter().sum::<u64>() as f64 / start.elapsed().as_secs_f64()
    }

    fn run_thread(&self, store: &dyn KeyValue, end: Instant) -> u64 {
        let mut count = 0;
        store.write(Durability::Synced, &mut |writer| {
            while Instant::now() < end {
                let key = self.next_key();
                writer.put(&mut std::iter::once((key, &self.value[..])));
                count += 1;
            }
        });
        count
    }

    fn next_key(&self) -> Key {
        key(Order::Random, self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn run_ours(&self, ours: &Ours, thread_count: u64) -> Rate {
        let before = ours.store().stats().expect("stats");
        let per_second = self.run(ours, thread_count);
        let after = ours.store().stats().expect("stats");
        let commits = after.commit_count - before.commit_count;
        let syncs = (after.log_sync_count - before.log_sync_count).max(1);
        Rate { per_second, per_sync: commits as f64 / syncs as f64 }
    }
}

fn main() {
    let arguments = Arguments::read();
    let dir = arguments.work_dir();
    let rounds = arguments.number("rounds", 9);
    let threads = arguments.number("threads", 16);
    let load = Load {
        next: AtomicU64::new(0),
        value: noise(1, 100),
        duration: Duration::from_millis(arguments.number("ms", 1000)),
    };
    let options = StoreOptions { cache_bytes: CACHE_BYTES, ..StoreOptions::default() };
    let ours = Ours::create("ours", &dir.join("ours.any"), 1, options);
    let sqlite = Sqlite::create(&dir.join("sqlite.db"), CACHE_BYTES, CHECKPOINT_AFTER_PAGES);
    fill(&load, &[&ours, &sqlite], arguments.number("entries", 100_000));
    let (mut speed_ups, mut against_sqlite) = (Vec::new(), Vec::new());
    println!(
        "round     ours x1     sqlite    ours x{threads}   commits/sync   x1/sqlite   x{threads}/x1"
    );
    for round in 0..rounds {
        let one = load.run_ours(&ours, 1);
        let theirs = load.run(&sqlite, 1);
        let many = load.run_ours(&ours, threads);
        let (compared, speed_up) = (one.per_second / theirs, many.per_second / one.per_second);
        println!(
            "{round:5} {:9.0}/s {theirs:8.0}/s {:9.0}/s {:14.1} {compared:11.2} {speed_up:8.1}",
            one.per_second, many.per_second, many.per_sync
        );
        speed_ups.push(speed_up);
        against_sqlite.push(compared);
    }
    let (speed_up, compared) = (median(&speed_ups), median(&against_sqlite));
    println!(
        "median: {threads} threads are {speed_up:.1} times one ({}); one is {compared:.2} times SQLite ({})",
        verdict(speed_up >= LEAST_SPEED_UP),
        verdict(compared >= 1.0)
    );
    println!(
        "{}",
        json!({"bench": "group_commit", "speed_up": speed_up, "against_sqlite": compared})
    );
}

fn fill(load: &Load, stores: &[&dyn KeyValue], count: u64) {
    for store in stores {
        store.write(Durability::Buffered, &mut |writer| {
            let entries = (0..count).map(|index| (key(Order::Random, index), &load.value[..]));
            writer.put(&mut entries.into_iter());
        });
        store.finish();
    }
    load.next.store(count, Ordering::Relaxed);
}
