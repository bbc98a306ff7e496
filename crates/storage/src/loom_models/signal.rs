//! The background bell: no change, no request and no stop is slept through.

use super::{Bound, explore, join, spawn};
use crate::signal::{Signal, Step};
use crate::sync::{Condvar, Mutex};
use std::sync::Arc;
use std::time::Duration;

/// A store's changes, and which of them were flushed.
#[derive(Default)]
struct Changes {
    made: Mutex<u64>,
    flushed: Mutex<u64>,
    was_flushed: Condvar,
}

impl Changes {
    fn make(&self) {
        *self.made.lock().unwrap() += 1;
    }

    fn flush(&self) {
        let made = *self.made.lock().unwrap();
        *self.flushed.lock().unwrap() = made;
        self.was_flushed.notify_all();
    }

    fn await_flush(&self, count: u64) {
        let flushed = self.flushed.lock().unwrap();
        drop(self.was_flushed.wait_while(flushed, |flushed| *flushed < count).unwrap());
    }
}

/// The loop of the background thread, whose clock stands still.
fn serve(signal: &Signal, flush: impl Fn(), checkpoint: impl Fn()) {
    loop {
        let seen = signal.bell.ring_count();
        match signal.next_step(Duration::ZERO, Duration::ZERO) {
            Step::Stop => return,
            Step::Wait(timeout) => drop(signal.bell.wait(seen, timeout)),
            Step::Checkpoint => checkpoint(),
            Step::Flush => flush(),
        }
    }
}

#[test]
fn the_last_change_is_flushed_without_another_one() {
    explore("bell_flush", Bound { preemptions: 3, least: 400 }, || {
        let (signal, changes) = (Arc::new(Signal::default()), Arc::new(Changes::default()));
        let (served, seen) = (Arc::clone(&signal), Arc::clone(&changes));
        let server = spawn(move || serve(&served, || seen.flush(), || ()));
        for count in 1..=2 {
            changes.make();
            if signal.note_change(Duration::ZERO) {
                assert!(signal.ask_for_flush(|| true));
            }
            if count == 2 {
                changes.await_flush(count);
            }
        }
        signal.stop();
        join(server);
    });
}

#[test]
fn the_thread_that_is_asked_for_a_checkpoint_runs_until_the_stop() {
    explore("bell_checkpoint", Bound { preemptions: 3, least: 4_000 }, || {
        let (signal, asked) = (Arc::new(Signal::default()), Arc::new(Changes::default()));
        let server = Arc::new(Mutex::new(None));
        let ask = |signal: Arc<Signal>, asked: Arc<Changes>| {
            let server = Arc::clone(&server);
            move || {
                asked.make();
                let (served, done) = (Arc::clone(&signal), Arc::clone(&asked));
                let start = || {
                    let thread = spawn(move || serve(&served, || (), || done.flush()));
                    server.lock().unwrap().replace(thread).is_none()
                };
                signal.ask_for_checkpoint(start)
            }
        };
        let other = spawn(ask(Arc::clone(&signal), Arc::clone(&asked)));
        assert!(ask(Arc::clone(&signal), Arc::clone(&asked))());
        assert!(join(other));
        asked.await_flush(2);
        signal.stop();
        let thread = server.lock().unwrap().take();
        join(thread.expect("the first one to ask starts it"));
    });
}

#[test]
fn whoever_waits_on_the_bell_hears_a_ring_since_it_looked() {
    explore("bell_ring", Bound { preemptions: 3, least: 20 }, || {
        let (signal, told) = (Arc::new(Signal::default()), Arc::new(Mutex::new(false)));
        let (ringer, teller) = (Arc::clone(&signal), Arc::clone(&told));
        let ringer = spawn(move || {
            *teller.lock().unwrap() = true;
            ringer.bell.ring();
        });
        loop {
            let seen = signal.bell.ring_count();
            if *told.lock().unwrap() {
                break;
            }
            signal.bell.wait(seen, None);
        }
        join(ringer);
    });
}
