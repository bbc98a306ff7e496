//! The writers: commit after commit, with steps between that are taken back.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{MutexGuard, PoisonError};

use any_store::{Database, ErrorKind, Sync, WriteTx};
use any_store_sim::Rng;

use super::{SECOND_WRITER_EVERY, Stage, tell, wait_for_turn};
use crate::bank::{Op, Place, Seen, State};
use crate::watchdog::Watchdog;
use crate::wrong::{Checked, Wrong, ensure};

/// A stream of choices beside the one that decides what is committed.
const NOISE: u64 = 0xA015E;

impl Stage {
    /// The first writer: goes on until all readers have read enough.
    pub(super) fn write(&self, followers: &[Sender<u64>], watchdog: &Watchdog) -> Checked {
        let mut rng = Rng::for_parts(&[self.seed, NOISE, 1]);
        while self.readers_left.load(Ordering::SeqCst) > 0 && !self.has_failed() {
            self.commit_next(&mut rng)?;
            tell(followers, self.acked());
            watchdog.feed();
        }
        Ok(())
    }

    /// The second writer, now and then.
    pub(super) fn write_in_turn(&self, told: &Receiver<u64>) -> Checked {
        let mut rng = Rng::for_parts(&[self.seed, NOISE, 2]);
        while wait_for_turn(told, SECOND_WRITER_EVERY) {
            self.commit_next(&mut rng)?;
            self.count("second_writer_commits");
        }
        Ok(())
    }

    fn begin(&self) -> Checked<WriteTx> {
        loop {
            match self.db.begin_write() {
                // The other writer takes longer than the patience of this database.
                Err(error) if error.kind() == ErrorKind::Busy => self.count("busy_writes"),
                begun => return Ok(begun?),
            }
        }
    }

    /// The state that the next commit is built on.
    fn state_to_build_on(&self) -> Checked<MutexGuard<'_, State>> {
        self.state.try_lock().map_err(|_| Wrong("two writers at once".to_owned()))
    }

    /// One commit, perhaps after something that leaves no trace.
    pub(super) fn commit_next(&self, rng: &mut Rng) -> Checked {
        let mut tx = self.begin()?;
        let mut state = self.state_to_build_on()?;
        let is_set_up = state.commit > 0;
        if is_set_up && rng.percent(20) {
            self.leave_no_trace(&mut tx, &state, rng)?;
        }
        if is_set_up && rng.percent(10) {
            // Given up as a whole.
            take(&self.db, &mut tx, &state.draw(rng))?;
            drop(state);
            tx.rollback();
            self.count("rollbacks");
            return Ok(());
        }
        let ops = state.next_ops(self.seed);
        self.take_with_savepoint(&mut tx, &ops, rng)?;
        ops.iter().for_each(|op| state.apply(op));
        if rng.percent(10) {
            self.expect_sees(&tx, &state, "its own writes")?;
        }
        if rng.percent(5) {
            tx.set_sync(Sync::Full);
        }
        let commit = state.commit;
        self.digests.write().unwrap_or_else(PoisonError::into_inner).push(state.digest());
        // Before the commit, in which the engine lets the next writer in.
        drop(state);
        tx.commit()?;
        self.acked.fetch_max(commit, Ordering::SeqCst);
        self.wake_readers();
        Ok(())
    }

    /// Takes the steps, the later ones perhaps in a savepoint that stays.
    fn take_with_savepoint(&self, tx: &mut WriteTx, ops: &[Op], rng: &mut Rng) -> Checked {
        if !rng.percent(20) {
            return take(&self.db, tx, ops);
        }
        let (first, rest) = ops.split_at(rng.index(ops.len()));
        take(&self.db, tx, first)?;
        let mut savepoint = tx.savepoint()?;
        take(&self.db, &mut savepoint, rest)?;
        savepoint.commit()?;
        self.count("savepoints_kept");
        Ok(())
    }

    /// Steps in a savepoint, seen by the transaction, taken back, and gone.
    fn leave_no_trace(&self, tx: &mut WriteTx, state: &State, rng: &mut Rng) -> Checked {
        let mut savepoint = tx.savepoint()?;
        let mut inner = state.clone();
        for _ in 0..rng.between(1, 3) {
            let ops = inner.draw(rng);
            take(&self.db, &mut savepoint, &ops)?;
            ops.iter().for_each(|op| inner.apply(op));
        }
        let seen = Seen::look(&self.db, &savepoint)?;
        ensure(seen.digest == inner.digest(), || {
            format!("a savepoint does not see its own writes: {:?}", seen.difference_from(&inner))
        })?;
        if rng.percent(50) {
            savepoint.rollback();
        } else {
            drop(savepoint);
        }
        self.count("savepoints_undone");
        self.expect_sees(tx, state, "what was before a savepoint")
    }

    fn expect_sees(&self, tx: &WriteTx, state: &State, what: &str) -> Checked {
        let seen = Seen::look(&self.db, tx)?;
        ensure(seen.digest == state.digest(), || {
            let difference = seen.difference_from(state);
            format!("a transaction after {} does not see {what}: {difference:?}", state.commit)
        })
    }
}

fn take(db: &Database, place: &mut impl Place, ops: &[Op]) -> Checked {
    for op in ops {
        op.write(db, place).map_err(|error| Wrong(format!("{op:?}: {error:?}")))?;
    }
    Ok(())
}
