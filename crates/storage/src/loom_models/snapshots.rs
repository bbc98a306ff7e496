//! Snapshots: a reader's registration against whoever asks for the oldest one.

use super::commit_queue::state;
use super::store::{create, open};
use super::{Bound, explore, join, spawn};
use crate::engine::{Engine, Shared};
use crate::page::CommitNo;
use crate::sync::CountedArc;
use crate::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// An engine whose states are published by hand.
fn engine() -> Arc<Shared> {
    open(&create()).engine
}

fn publish(engine: &Engine, commits: std::ops::RangeInclusive<u64>) {
    for commit in commits {
        let state = state(commit);
        engine.tail().newest = CountedArc::clone(&state);
        engine.publish(state);
    }
}

#[test]
fn the_oldest_snapshot_is_never_newer_than_one_that_is_held() {
    explore("snapshot_oldest", Bound { preemptions: 3, least: 10_000 }, || {
        let engine = engine();
        let (writer, reader) = (Arc::clone(&engine), Arc::clone(&engine));
        let first = engine.snapshot().unwrap().commit().0 + 1;
        let writer = spawn(move || publish(&writer, first..=first + 1));
        let reader = spawn(move || reader.snapshot().unwrap());
        let oldest = engine.oldest_snapshot();
        let later = engine.oldest_snapshot();
        assert!(later >= oldest, "what was given up is not taken again");
        let held = join(reader);
        assert!(later <= held.commit(), "{later:?} was given up under {:?}", held.commit());
        join(writer);
        assert_eq!(engine.oldest_snapshot(), held.commit());
        drop(held);
        assert_eq!(engine.oldest_snapshot(), CommitNo(first + 1));
    });
}

#[test]
fn a_snapshot_begun_after_a_commit_sees_it_and_what_came_with_it() {
    explore("snapshot_publish", Bound { preemptions: 3, least: 2_000 }, || {
        let engine = engine();
        let first = engine.snapshot().unwrap().commit().0 + 1;
        let acked = Arc::new(AtomicU64::new(0));
        let (writer, ack) = (Arc::clone(&engine), Arc::clone(&acked));
        let writer = spawn(move || {
            for commit in first..=first + 1 {
                let state = state(commit);
                state.set_behind(writer.tail().newest.behind().unwrap_or(log_point(commit)));
                writer.publish(state);
                ack.store(commit, Ordering::Release);
            }
        });
        let reader = Arc::clone(&engine);
        let reader = spawn(move || {
            let mut last = CommitNo(0);
            for _ in 0..2 {
                let known = acked.load(Ordering::Acquire);
                let snapshot = reader.snapshot().unwrap();
                assert!(snapshot.commit().0 >= known, "an acknowledged commit is not seen");
                assert!(snapshot.commit() >= last, "what is seen never goes back");
                assert!(snapshot.commit().0 < first || snapshot.behind().is_some());
                last = snapshot.commit();
            }
        });
        join(writer);
        join(reader);
    });
}

fn log_point(commit: u64) -> crate::ids::LogPoint {
    crate::ids::LogPoint { position: commit, lsn: crate::ids::Lsn(commit), chain: [0; 16] }
}
