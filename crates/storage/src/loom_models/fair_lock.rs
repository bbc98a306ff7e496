//! The fair lock: one holder at a time, and whoever waits is woken.

use super::{Bound, explore, join, spawn};
use crate::error::Error;
use crate::fair_lock::FairLock;
use crate::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// A lock and what it guards: a number that only holders change, by steps that mean nothing to others.
#[derive(Default)]
struct Guarded {
    lock: FairLock,
    uses: AtomicU64,
}

impl Guarded {
    fn touch(&self) {
        let uses = self.uses.load(Ordering::Relaxed);
        self.uses.store(uses + 1, Ordering::Relaxed);
    }

    fn expect_uses(&self, count: u64) {
        assert_eq!(self.uses.load(Ordering::Relaxed), count, "two held it, or one saw too little");
    }

    fn use_once(&self, timeout: Option<Duration>) -> Result<(), Error> {
        self.lock.with(timeout, || {
            self.touch();
            Ok(())
        })
    }
}

#[test]
fn one_thread_at_a_time_has_the_lock_and_each_gets_it() {
    explore("fair_lock", Bound { preemptions: 3, least: 1_500 }, || {
        let guarded = Arc::new(Guarded::default());
        let threads: Vec<_> = (0..3)
            .map(|_| Arc::clone(&guarded))
            .map(|guarded| spawn(move || guarded.use_once(None).unwrap()))
            .collect();
        threads.into_iter().for_each(join);
        guarded.expect_uses(3);
    });
}

#[test]
fn a_waiter_that_gives_up_takes_nobodys_turn() {
    explore("fair_lock_timeout", Bound { preemptions: 3, least: 100 }, || {
        let guarded = Arc::new(Guarded::default());
        guarded.lock.acquire(None).unwrap();
        let (impatient, patient) = (Arc::clone(&guarded), Arc::clone(&guarded));
        let impatient = spawn(move || impatient.use_once(Some(Duration::from_secs(2))));
        let patient = spawn(move || patient.use_once(None).unwrap());
        guarded.touch();
        guarded.lock.release();
        let was_patient = match join(impatient) {
            Ok(()) => 1,
            Err(Error::Busy) => 0,
            Err(error) => panic!("{error}"),
        };
        join(patient);
        guarded.expect_uses(2 + was_patient);
    });
}

#[test]
fn a_close_ends_every_wait() {
    explore("fair_lock_close", Bound { preemptions: 3, least: 1_000 }, || {
        let guarded = Arc::new(Guarded::default());
        guarded.lock.acquire(None).unwrap();
        let waiters: Vec<_> = (0..2)
            .map(|_| Arc::clone(&guarded))
            .map(|guarded| spawn(move || guarded.use_once(None)))
            .collect();
        let closer = Arc::clone(&guarded);
        let closer = spawn(move || closer.lock.close());
        for waiter in waiters {
            assert!(matches!(join(waiter), Err(Error::Closed)));
        }
        join(closer);
        assert!(matches!(guarded.use_once(None), Err(Error::Closed)));
    });
}
