//! The storage crate as a bare key-value store, against redb, LMDB and SQLite, in turns.
//!
//! Every workload runs on one store after the other within a round, so that a busy moment of the
//! machine meets all of them; the table shows the medians of the rounds, and what the others took
//! for each unit of ours.

use any_store_bench::dataset::Rng;
use any_store_bench::measure::{Arguments, KEY_BYTES, Order, WorkDir, key, median, noise, time};
use any_store_bench::stores::{Durability, KeyValue, Lmdb, Ours, Redb, Sqlite};
use any_store_storage::StoreOptions;
use serde_json::json;
use std::hint::black_box;
use std::{iter, thread};

/// Enough for everything, so that reads measure the trees and not the disk.
const CACHE_BYTES: u64 = 2 << 30;
/// 40 MiB, what starts a checkpoint of ours.
const CHECKPOINT_AFTER_PAGES: u64 = 10_240;
const BATCH: u64 = 1000;
const SCAN_COUNT: usize = 100;

/// The stores, ours first: what they are compared with.
fn create(dir: &WorkDir, suffix: &str) -> Vec<Box<dyn KeyValue>> {
    let options = || StoreOptions { cache_bytes: CACHE_BYTES, ..StoreOptions::default() };
    let path = |name: &str| dir.join(&format!("{name}-{suffix}"));
    vec![
        Box::new(Ours::create("ours", &path("ours"), 1, options())),
        Box::new(Ours::create("ours-16k", &path("ours-16k"), 4, options())),
        Box::new(Redb::create(&path("redb"), CACHE_BYTES)),
        Box::new(Lmdb::create(&path("lmdb"))),
        Box::new(Sqlite::create(&path("sqlite"), CACHE_BYTES, CHECKPOINT_AFTER_PAGES)),
    ]
}

/// What is measured, and how large it is.
struct Plan {
    value: Vec<u8>,
    entry_count: u64,
    read_count: u64,
    commit_count: u64,
    synced_count: u64,
    rounds: u64,
}

impl Plan {
    fn load(&self, store: &dyn KeyValue, order: Order) {
        store.write(Durability::Buffered, &mut |writer| {
            for from in (0..self.entry_count).step_by(BATCH as usize) {
                let some = from..(from + BATCH).min(self.entry_count);
                writer.put(&mut some.map(|index| (key(order, index), &self.value[..])));
            }
        });
        store.finish();
    }

    /// Nanoseconds an entry, with the last checkpoint.
    fn time_load(&self, store: &dyn KeyValue, order: Order) -> f64 {
        time(|| self.load(store, order)).as_nanos() as f64 / self.entry_count as f64
    }

    /// Nanoseconds a read, of each of some threads.
    fn gets(&self, store: &dyn KeyValue, thread_count: u64, seed: u64) -> f64 {
        let run = |thread: u64| {
            let mut nanoseconds = 0;
            store.read(&mut |reader| {
                let mut rng = Rng::derived(seed + thread);
                let get = |index| black_box(reader.get(&key(Order::Random, index)).expect("it"));
                let indexes = iter::repeat_with(|| rng.below(self.entry_count));
                let took = time(|| indexes.take(self.read_count as usize).map(get).for_each(drop));
                nanoseconds = took.as_nanos();
            });
            nanoseconds as f64 / self.read_count as f64
        };
        let times: Vec<f64> = thread::scope(|scope| {
            let threads: Vec<_> =
                (0..thread_count).map(|thread| scope.spawn(move || run(thread))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        times.iter().sum::<f64>() / times.len() as f64
    }

    /// Nanoseconds an entry of short scans that begin anywhere.
    fn short_scans(&self, store: &dyn KeyValue, seed: u64) -> f64 {
        let scan_count = (self.read_count / 20).max(1);
        let mut rng = Rng::derived(seed);
        let mut nanoseconds = 0;
        store.read(&mut |reader| {
            nanoseconds = time(|| {
                for _ in 0..scan_count {
                    let from = key(Order::Random, rng.below(self.entry_count));
                    black_box(reader.scan(&from, SCAN_COUNT));
                }
            })
            .as_nanos();
        });
        nanoseconds as f64 / (scan_count as f64 * SCAN_COUNT as f64)
    }

    /// Nanoseconds an entry of a scan of everything.
    fn whole_scan(&self, store: &dyn KeyValue) -> f64 {
        let mut nanoseconds = 0;
        store.read(&mut |reader| {
            nanoseconds = time(|| {
                black_box(reader.scan(&[0], usize::MAX));
            })
            .as_nanos();
        });
        nanoseconds as f64 / self.entry_count as f64
    }

    /// Nanoseconds a commit of one entry that replaces another.
    fn commits(&self, store: &dyn KeyValue, durability: Durability, seed: u64) -> f64 {
        let count = match durability {
            Durability::Buffered => self.commit_count,
            Durability::Synced => self.synced_count,
        };
        let mut rng = Rng::derived(seed);
        let mut nanoseconds = 0;
        let mut value = self.value.clone();
        store.write(durability, &mut |writer| {
            let mut commit = || {
                let key = key(Order::Random, rng.below(self.entry_count));
                // SQLite writes nothing for a value that is there already.
                value[..8].copy_from_slice(&rng.next_u64().to_le_bytes());
                writer.put(&mut iter::once((key, &value[..])));
            };
            // Prepared statements, the log's first extent: not what a commit costs.
            commit();
            nanoseconds = time(|| (0..count).for_each(|_| commit())).as_nanos();
        });
        nanoseconds as f64 / count as f64
    }
}

/// Medians of one workload, one for each store.
struct Row {
    workload: &'static str,
    unit: &'static str,
    numbers: Vec<f64>,
}

impl Row {
    /// Runs a workload in turns.
    fn measure(
        workload: &'static str,
        unit: &'static str,
        rounds: u64,
        stores: &[Box<dyn KeyValue>],
        run: impl Fn(&dyn KeyValue, u64) -> f64,
    ) -> Self {
        let mut numbers = vec![Vec::new(); stores.len()];
        for round in 0..rounds {
            for (store, numbers) in stores.iter().zip(&mut numbers) {
                numbers.push(run(&**store, round));
            }
        }
        Self { workload, unit, numbers: numbers.iter().map(|numbers| median(numbers)).collect() }
    }

    fn show(&self, plan: &Plan, stores: &[Box<dyn KeyValue>]) {
        print!("{:24}", self.workload);
        for number in &self.numbers {
            print!(" {number:10.0} {:>6}", format!("x{:.2}", number / self.numbers[0]));
        }
        println!("  {}", self.unit);
        for (store, number) in stores.iter().zip(&self.numbers) {
            eprintln!(
                "{}",
                json!({
                    "bench": "kv", "workload": self.workload, "store": store.name(), "unit": self.unit,
                    "number": number, "entries": plan.entry_count, "value_bytes": plan.value.len(),
                })
            );
        }
    }
}

/// Loads every store anew in each round; leaves the last ones.
fn loads(dir: &WorkDir, plan: &Plan, order: Order) -> (Row, Row, Vec<Box<dyn KeyValue>>) {
    let mut numbers: Vec<Vec<f64>> = Vec::new();
    let mut stores = Vec::new();
    for round in 0..plan.rounds.min(3) {
        stores = create(dir, &format!("{}-{}-{round}", plan.value.len(), order.name()));
        numbers.resize(stores.len(), Vec::new());
        for (store, numbers) in stores.iter().zip(&mut numbers) {
            numbers.push(plan.time_load(&**store, order));
        }
    }
    let (loaded, sized) = match order {
        Order::Random => ("batch insert, random", "file, random"),
        Order::Ascending => ("batch insert, ascending", "file, ascending"),
    };
    let medians = numbers.iter().map(|numbers| median(numbers)).collect();
    let data = plan.entry_count * (plan.value.len() + KEY_BYTES) as u64;
    let sizes = stores.iter().map(|s| s.disk_bytes() as f64 / data as f64 * 100.0).collect();
    let load = Row { workload: loaded, unit: "ns an entry", numbers: medians };
    let size = Row { workload: sized, unit: "% of keys and values", numbers: sizes };
    (load, size, stores)
}

fn run(dir: &WorkDir, plan: &Plan) {
    println!("\n{} entries, values of {} bytes", plan.entry_count, plan.value.len());
    let (load, size, stores) = loads(dir, plan, Order::Ascending);
    print!("{:24}", "");
    stores.iter().for_each(|store| print!(" {:>17}", store.name()));
    println!();
    load.show(plan, &stores);
    size.show(plan, &stores);
    let (load, size, stores) = loads(dir, plan, Order::Random);
    load.show(plan, &stores);
    size.show(plan, &stores);
    // Everything comes into memory.
    for store in &stores {
        plan.whole_scan(&**store);
    }
    let measure = |workload, unit, run: &dyn Fn(&dyn KeyValue, u64) -> f64| {
        Row::measure(workload, unit, plan.rounds, &stores, run).show(plan, &stores);
    };
    measure("point reads", "ns", &|store, round| plan.gets(store, 1, round));
    measure("point reads, 2 threads", "ns, each", &|store, round| plan.gets(store, 2, round));
    measure("scans of 100", "ns an entry", &|store, round| plan.short_scans(store, round));
    measure("scan of everything", "ns an entry", &|store, _| plan.whole_scan(store));
    measure("single commits", "ns", &|store, round| {
        plan.commits(store, Durability::Buffered, round)
    });
    measure("single commits, synced", "ns", &|store, round| {
        plan.commits(store, Durability::Synced, round)
    });
}

fn main() {
    let arguments = Arguments::read();
    let dir = arguments.work_dir();
    for value_bytes in arguments.text("values", "100,400").split(',') {
        let plan = Plan {
            value: noise(1, value_bytes.parse().expect("a length")),
            entry_count: arguments.number("entries", 100_000),
            read_count: arguments.number("reads", 100_000),
            commit_count: arguments.number("commits", 3000),
            synced_count: arguments.number("synced", 300),
            rounds: arguments.number("rounds", 7),
        };
        run(&dir, &plan);
    }
}
