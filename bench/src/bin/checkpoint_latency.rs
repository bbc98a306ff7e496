//! How long single commits take while a checkpoint copies the log, and while none does.
//!
//! Two ways to start one: the store's own thread, once the log is long enough, and a passive
//! checkpoint that another thread asks for. Commits are not synced. A commit counts as during a
//! checkpoint if one was under way when it began.
//!
//! Where others use the machine, much of the longest waits is for a processor; "served" is without
//! that.

use any_store_bench::measure::{Arguments, Order, ThreadClock, key, median, noise, verdict};
use any_store_bench::stores::{Durability, KeyValue, Ours};
use any_store_storage::{AutoCheckpoint, CheckpointMode, StoreOptions};
use hdrhistogram::Histogram;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;
const CACHE_BYTES: u64 = 256 * MIB;
const MOST_RATIO: f64 = 3.0;
/// Commits between two looks at the length of the log, which costs more than a commit.
const LOOK_EVERY: usize = 16;

/// How long commits took, in nanoseconds.
struct Latencies {
    all: Histogram<u64>,
    /// Without what the thread waited for a processor that others had.
    served: Histogram<u64>,
}

impl Latencies {
    fn new() -> Self {
        let histogram = || Histogram::new(3).expect("a precision it knows");
        Self { all: histogram(), served: histogram() }
    }

    fn record(&mut self, latency: Latency) {
        self.all.record(nanoseconds(latency.all)).expect("in range");
        let served = latency.all.saturating_sub(latency.waited);
        self.served.record(nanoseconds(served)).expect("in range");
    }

    fn add(&mut self, other: &Self) {
        self.all.add(&other.all).expect("the same range");
        self.served.add(&other.served).expect("the same range");
    }
}

/// One commit's time.
#[derive(Clone, Copy)]
struct Latency {
    all: Duration,
    waited: Duration,
}

/// Commits without and during a checkpoint.
struct Round {
    quiet: Latencies,
    during: Latencies,
}

impl Round {
    fn new() -> Self {
        Self { quiet: Latencies::new(), during: Latencies::new() }
    }

    /// The ratio of the 99.9th percentiles, of everything and without waits for a processor.
    fn ratios(&self) -> (f64, f64) {
        let p999 = |histogram: &Histogram<u64>| histogram.value_at_quantile(0.999) as f64;
        (
            p999(&self.during.all) / p999(&self.quiet.all),
            p999(&self.during.served) / p999(&self.quiet.served),
        )
    }
}

/// A writer, and the store that it writes to.
struct Writing {
    ours: Ours,
    clock: ThreadClock,
    value: Vec<u8>,
    entry_count: u64,
    step: u64,
}

impl Writing {
    fn fill(&self) {
        self.ours.write(Durability::Buffered, &mut |writer| {
            for from in (0..self.entry_count).step_by(1000) {
                let entries = (from..from + 1000).map(|i| (key(Order::Random, i), &self.value[..]));
                writer.put(&mut entries.into_iter());
            }
        });
        self.ours.finish();
    }

    /// One commit of one entry, which replaces another.
    fn commit(&mut self) -> Latency {
        // Goes around, visiting every entry, in no order of the keys.
        self.step = (self.step + 7919) % self.entry_count;
        let key = key(Order::Random, self.step);
        let waited = self.clock.waited();
        let start = Instant::now();
        let mut tx = self.ours.store().begin_write().expect("begin");
        tx.put(self.ours.tree(), &key, &self.value).expect("put");
        tx.commit().expect("commit");
        let all = start.elapsed();
        Latency { all, waited: self.clock.waited().saturating_sub(waited) }
    }

    fn log_bytes(&self) -> u64 {
        self.ours.store().stats().expect("stats").log_bytes
    }

    /// Commits until the log is so long.
    fn grow_log(&mut self, log_bytes: u64, round: &mut Round) {
        while self.log_bytes() < log_bytes {
            for _ in 0..LOOK_EVERY {
                round.quiet.record(self.commit());
            }
        }
    }

    /// One round with a checkpoint that another thread asks for.
    fn explicit_round(&mut self, log_bytes: u64) -> Round {
        let mut round = Round::new();
        self.grow_log(log_bytes, &mut round);
        let is_done = AtomicBool::new(false);
        let store = self.ours.store().clone();
        thread::scope(|scope| {
            scope.spawn(|| {
                store.checkpoint(CheckpointMode::Passive).expect("checkpoint");
                is_done.store(true, Ordering::Release);
            });
            while !is_done.load(Ordering::Acquire) {
                round.during.record(self.commit());
            }
        });
        round
    }

    /// One round with a checkpoint that the store starts itself, at a length it knows.
    fn background_round(&mut self, log_bytes: u64) -> Round {
        let mut round = Round::new();
        self.grow_log(log_bytes, &mut round);
        while self.log_bytes() >= log_bytes {
            for _ in 0..LOOK_EVERY {
                round.during.record(self.commit());
            }
        }
        round
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn main() {
    let arguments = Arguments::read();
    let dir = arguments.work_dir();
    let log_bytes = arguments.number("log-mib", 40) * MIB;
    let rounds = arguments.number("rounds", 20);
    for (name, auto_checkpoint) in [
        ("explicit", AutoCheckpoint::Off),
        ("background", AutoCheckpoint::Background { after_bytes: log_bytes }),
    ] {
        let options =
            StoreOptions { cache_bytes: CACHE_BYTES, auto_checkpoint, ..StoreOptions::default() };
        let page_blocks = u8::try_from(arguments.number("page-blocks", 1)).expect("1, 2 or 4");
        let mut writing = Writing {
            ours: Ours::create("ours", &dir.join(&format!("{name}.any")), page_blocks, options),
            clock: ThreadClock::new(),
            value: noise(1, 100),
            entry_count: arguments.number("entries", 200_000).next_multiple_of(1000),
            step: 0,
        };
        writing.fill();
        let rounds: Vec<Round> = (0..rounds)
            .map(|_| match name {
                "explicit" => writing.explicit_round(log_bytes),
                _ => writing.background_round(log_bytes),
            })
            .collect();
        show(name, &rounds);
    }
}

fn show(name: &str, rounds: &[Round]) {
    let mut sum = Round::new();
    for round in rounds {
        sum.quiet.add(&round.quiet);
        sum.during.add(&round.during);
    }
    println!("{name:10}                   commits      p50      p99    p99.9      max  us");
    for (what, histogram) in [
        ("without", &sum.quiet.all),
        ("during", &sum.during.all),
        ("without, served", &sum.quiet.served),
        ("during, served", &sum.during.served),
    ] {
        let at = |part: f64| histogram.value_at_quantile(part) as f64 / 1000.0;
        println!(
            "  {what:22} {:10} {:8.1} {:8.1} {:8.1} {:8.1}",
            histogram.len(),
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0)
        );
    }
    let (all, served) = sum.ratios();
    let rounds: Vec<(f64, f64)> = rounds.iter().map(Round::ratios).collect();
    let median_all = median(&rounds.iter().map(|ratio| ratio.0).collect::<Vec<_>>());
    let median_served = median(&rounds.iter().map(|ratio| ratio.1).collect::<Vec<_>>());
    println!(
        "  p99.9 during / without: {all:.2} ({}), median round {median_all:.2}; \
         served {served:.2} ({}), median round {median_served:.2}",
        verdict(all <= MOST_RATIO),
        verdict(served <= MOST_RATIO)
    );
    println!(
        "{}",
        json!({
            "bench": "checkpoint_latency", "checkpoint": name, "ratio": all, "median_ratio": median_all,
            "served_ratio": served, "served_median_ratio": median_served,
        })
    );
}
