//! What happens without being asked: checkpoints of a log that grew, and flushes after a quiet time.
//!
//! One thread a store does both. It is started when it is first needed, and holds the engine only
//! while it works, so that it does not keep the store open. A panic in the work is caught and
//! becomes an error; the errors are counted, the last one is kept for the statistics, and the
//! callback of the options is told of each.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::options::AutoCheckpoint;
use crate::signal::{Running, Signal, Step, Vain};
use crate::sync::{Arc, Weak, thread};
use crate::vfs::Vfs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// What failed is not tried again before this, however short a quiet time is asked for.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// What follows a commit that changed data. Errors of it do not concern the commit.
pub(crate) fn after_commit(engine: &Arc<Engine>) {
    let must_ask = engine.signal.note_change(engine.vfs.monotonic());
    checkpoint_if_due(engine);
    if must_ask && engine.options.auto_flush && !engine.signal.ask_for_flush(|| start(engine)) {
        report(engine, &Error::Internal("the background thread cannot be started"));
    }
}

fn checkpoint_if_due(engine: &Arc<Engine>) {
    if !engine.is_checkpoint_due() || is_vain(engine) {
        return;
    }
    let inline = matches!(engine.options.auto_checkpoint, AutoCheckpoint::Inline { .. });
    if inline || !engine.signal.ask_for_checkpoint(|| start(engine)) {
        checkpoint(engine);
    }
}

/// The last attempt failed or met a snapshot that is still there, and the log has not become much
/// longer since.
fn is_vain(engine: &Engine) -> bool {
    engine.signal.vain().is_some_and(|vain| {
        let has_moved = vain.oldest.is_some_and(|oldest| engine.oldest_snapshot() > oldest);
        !has_moved && engine.log_used_bytes() < vain.log_bytes.saturating_add(vain.log_bytes / 4)
    })
}

fn start(engine: &Arc<Engine>) -> bool {
    let running = engine.signal.running();
    let (signal, vfs) = (Arc::clone(&engine.signal), Arc::clone(&engine.vfs));
    let (engine, idle_after) = (Arc::downgrade(engine), engine.options.idle_after);
    let thread = thread::Builder::new().name("any-store background".to_owned());
    thread.spawn(move || run(running, &signal, &*vfs, &engine, idle_after)).is_ok()
}

fn run(
    _running: Running,
    signal: &Signal,
    vfs: &dyn Vfs,
    engine: &Weak<Engine>,
    idle_after: Duration,
) {
    loop {
        let seen = signal.bell.ring_count();
        let work: fn(&Engine) = match signal.next_step(idle_after, vfs.monotonic()) {
            Step::Stop => return,
            Step::Wait(timeout) => {
                vfs.wait(&signal.bell, seen, timeout);
                continue;
            }
            Step::Checkpoint => checkpoint,
            Step::Flush => idle_flush,
        };
        let Some(engine) = engine.upgrade() else { return };
        work(&engine);
    }
}

fn checkpoint(engine: &Engine) {
    // From before the attempt: a snapshot that ends during it is a reason for another one.
    let oldest = engine.oldest_snapshot();
    let outcome = attempt(engine, || engine.checkpoint_if_due());
    if outcome.is_ok() {
        engine.signal.change_outcomes(|outcomes| outcomes.last_error = None);
    }
    let is_vain = outcome.is_err() || engine.is_checkpoint_due();
    let oldest = outcome.is_ok().then_some(oldest);
    engine.signal.set_vain(is_vain.then(|| Vain { oldest, log_bytes: engine.log_used_bytes() }));
}

/// A flush after a quiet time. There is another one after the next quiet time if this one failed, or
/// if it met a reader that keeps it from copying everything; not if the store will never write
/// again.
fn idle_flush(engine: &Engine) {
    let pause = engine.options.idle_after.max(LEAST_PAUSE);
    let again_at = engine.vfs.monotonic().saturating_add(pause);
    let Ok(newest) = engine.snapshot().map(|state| state.commit()) else { return };
    let extent = (engine.oldest_snapshot(), newest);
    if engine.signal.flush_held_at() == Some(extent) {
        return engine.signal.postpone_flush(again_at);
    }
    let (mode, timeout) = (engine.options.flush_mode, engine.options.busy_timeout);
    let is_done = match attempt(engine, || engine.flush(mode, timeout)) {
        Ok(report) => {
            engine.signal.change_outcomes(|outcomes| {
                outcomes.last_error = None;
                outcomes.idle_flush_count += 1;
            });
            engine.signal.set_flush_held_at((!report.is_complete).then_some(extent));
            report.is_complete
        }
        Err(Error::Closed) => true,
        Err(error) => {
            engine.signal.change_outcomes(|outcomes| outcomes.idle_flush_failure_count += 1);
            matches!(error, Error::Failed)
        }
    };
    if !is_done {
        engine.signal.postpone_flush(again_at);
    }
}

/// Does what nobody waits for. An error is reported, but for the one that a close brings about.
fn attempt<R>(engine: &Engine, work: impl FnOnce() -> Result<R>) -> Result<R> {
    let outcome = catch_unwind(AssertUnwindSafe(work))
        .unwrap_or(Err(Error::Internal("a checkpoint in the background panicked")));
    if let Err(error) = &outcome
        && !matches!(error, Error::Closed)
    {
        report(engine, error);
    }
    outcome
}

fn report(engine: &Engine, error: &Error) {
    engine.signal.change_outcomes(|outcomes| {
        outcomes.failure_count += 1;
        outcomes.last_error = Some(error.to_string());
    });
    let Some(callback) = &engine.options.on_background_error else { return };
    if catch_unwind(AssertUnwindSafe(|| callback.call(error))).is_err() {
        engine.signal.change_outcomes(|outcomes| {
            outcomes.last_error = Some(format!("{error}; the callback told of it panicked"));
        });
    }
}
