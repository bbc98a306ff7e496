//! Models of the engine's concurrency, run by loom through the orders in which their steps may come
//! and the values that weak memory may show.
//!
//! A model is a few threads that do little, on the engine's own code. Loom runs it again and again,
//! each time in another order, with at most so many switches from a thread that could have gone on;
//! it fails a run that ends in a panic, in a deadlock, or not at all. `loom.sh` runs them all and
//! counts the executions: a model that explores few orders has shown little.

mod buffer;
mod commit_queue;
mod fair_lock;
mod once;
mod signal;
mod snapshots;
mod store;

use crate::sync::thread;
use loom::thread::JoinHandle;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far a model is explored.
#[derive(Clone, Copy)]
struct Bound {
    /// Switches from a thread that could go on.
    preemptions: usize,
    /// Executions that there have to be.
    least: u64,
}

/// Runs a model through its orders, and prints how many there were.
fn explore(name: &str, bound: Bound, model: impl Fn() + Send + Sync + 'static) {
    let executions = Arc::new(AtomicU64::new(0));
    let (counter, model) = (Arc::clone(&executions), Arc::new(model));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(bound.preemptions);
    builder.max_branches = 100_000;
    let begun = std::time::Instant::now();
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        let model = Arc::clone(&model);
        join(spawn(move || model()));
    });
    let executions = executions.load(Ordering::Relaxed);
    // `loom.sh` reads these.
    println!("\nloom {name} {executions} {:.1}", begun.elapsed().as_secs_f64());
    assert!(executions >= bound.least, "{name}: {executions} executions are too few");
}

/// Starts a thread of a model; there may be three beside the model itself.
fn spawn<R: Send + 'static>(run: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R> {
    thread::Builder::new().spawn(run).expect("threads can be started")
}

fn join<R>(thread: JoinHandle<R>) -> R {
    thread.join().expect("a panic ends the model")
}
