//! The thread that checkpoints in the background, one a store, started with its first need.

use crate::engine::Engine;
use crate::options::AutoCheckpoint;
use crate::signal::Signal;
use std::sync::{Arc, Weak};
use std::thread;

/// Starts the checkpoint that a commit made due. Its errors do not concern the commit; they are
/// kept for the statistics, and the next attempt or the close meets them again.
pub(crate) fn checkpoint_if_due(engine: &Arc<Engine>) {
    if !engine.is_checkpoint_due() {
        return;
    }
    let inline = matches!(engine.options.auto_checkpoint, AutoCheckpoint::Inline { .. });
    if inline || !engine.signal.request(|| start(engine)) {
        engine.signal.record(engine.checkpoint_if_due());
    }
}

/// The thread keeps the signal and not the engine, so that it does not keep the store open.
fn start(engine: &Arc<Engine>) -> bool {
    let (signal, engine) = (Arc::clone(&engine.signal), Arc::downgrade(engine));
    let thread = thread::Builder::new().name("any-store checkpoint".to_owned());
    thread.spawn(move || run(&signal, &engine)).is_ok()
}

fn run(signal: &Signal, engine: &Weak<Engine>) {
    while signal.wait() {
        let Some(engine) = engine.upgrade() else { return };
        signal.record(engine.checkpoint_if_due());
    }
}
