//! What happens outside of transactions: snapshots, cursors, checkpoints, copies, closing, crashes.

use std::path::Path;

use any_store::{BackupOptions, CheckpointMode, Database, ErrorKind, Outcome};
use any_store_sim::Rng;

use super::{Player, Reading, SLOTS, Wrong, database_path, settle};
use crate::model::answer::{Answer, Order, agree};
use crate::model::check;
use crate::model::disk::Disk;
use crate::model::engine::{Place, built};
use crate::model::op::{Copying, Hint, Query, Read, Stop, Target, Upkeep, Write};
use crate::model::setup::Setup;
use crate::model::state::State;

impl Player {
    pub(super) fn upkeep(&mut self, upkeep: &Upkeep) -> Result<(), Wrong> {
        match upkeep {
            Upkeep::Snapshot(slot) => {
                let snapshot = self.database.begin_read();
                let snapshot = snapshot.map_err(|error| format!("snapshot: {error:?}"))?;
                self.snapshots[slot % SLOTS] = Some((snapshot, self.latest().clone()));
                Ok(())
            }
            Upkeep::Cursor { slot, on, query } => self.open_cursor(*slot, on, query),
            Upkeep::Step { slot, count } => self.step_cursor(*slot, *count),
            Upkeep::Forget(slot) => {
                self.snapshots[slot % SLOTS] = None;
                self.cursors[slot % SLOTS] = None;
                Ok(())
            }
            Upkeep::Checkpoint(mode) => self.checkpoint(*mode),
            Upkeep::Backup(copying) => self.backup(*copying),
            Upkeep::Reopen { close, setup } => self.reopen(*close, setup),
            Upkeep::Crash(stop) => self.crash(stop),
            Upkeep::Check => self.check_all(),
        }
    }

    /// Opens a cursor whose order is known; another is read to its end at once.
    fn open_cursor(&mut self, slot: usize, on: &Target, query: &Query) -> Result<(), Wrong> {
        let Some(mut handle) = self.handle(on) else { return Ok(()) };
        let read = Read::Find(query.clone());
        let expected = self.expected(self.latest(), on, &read);
        let Ok((Answer::Documents(documents), Order::Exact)) = expected else {
            return agree(&expected, &handle.read(&read));
        };
        let opened = built(handle.find(&query.selection.filter), query).run();
        let cursor = opened.map_err(|error| format!("cursor: {error:?}"))?;
        self.cursors[slot % SLOTS] = Some(Reading { cursor, left: documents.into_iter() });
        Ok(())
    }

    fn step_cursor(&mut self, slot: usize, count: usize) -> Result<(), Wrong> {
        let Some(reading) = &mut self.cursors[slot % SLOTS] else { return Ok(()) };
        for _ in 0..count {
            let got = reading.cursor.next_raw().map_err(|error| format!("cursor: {error:?}"))?;
            let wanted = reading.left.next();
            if got.map(|got| got.as_bytes()) != wanted.as_ref().map(|wanted| wanted.as_bytes()) {
                return Err(format!("the cursor gave {got:?}, where the model has {wanted:?}"));
            }
        }
        Ok(())
    }

    /// Only readers and the writer may keep a checkpoint from what its mode says.
    fn checkpoint(&mut self, mode: CheckpointMode) -> Result<(), Wrong> {
        let readers =
            self.snapshots.iter().flatten().count() + self.cursors.iter().flatten().count();
        let may_be_busy = mode != CheckpointMode::Passive && (self.in_transaction || readers > 0);
        match self.database.checkpoint(mode) {
            Ok(_) => {
                self.is_durable();
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Busy && may_be_busy => Ok(()),
            Err(error) => Err(format!("checkpoint: {error:?}")),
        }
    }

    /// Makes a copy and compares what is in it.
    fn backup(&mut self, copying: Copying) -> Result<(), Wrong> {
        let copy = self.copied(copying).map_err(|error| format!("backup: {error:?}"))?;
        let snapshot = copy.begin_read().map_err(|error| format!("the copy: {error:?}"))?;
        let found = check::is_state(&copy, &snapshot, self.latest());
        found.and_then(|()| check::is_sound(&copy)).map_err(|what| format!("in the copy: {what}"))
    }

    fn copied(&self, copying: Copying) -> any_store::Result<Database> {
        let path = Path::new("/model/copy.db");
        let options = BackupOptions::new().overwrite(true);
        match copying {
            Copying::Bytes => {
                let mut bytes = Vec::new();
                self.database.backup_to_writer(&mut bytes, options)?;
                return Database::from_bytes(bytes);
            }
            Copying::File => drop(self.database.backup_to(path, options)?),
            Copying::Compact => drop(self.database.compact_to(path, options)?),
        }
        self.disk.open(path, &self.setup, false)
    }

    /// Closes and opens again. What is still held of a closed database says so.
    fn reopen(&mut self, close: bool, setup: &Setup) -> Result<(), Wrong> {
        if close {
            self.database.close().map_err(|error| format!("close: {error:?}"))?;
            self.says_closed()?;
        }
        self.let_go();
        self.is_durable();
        self.open(setup)?;
        self.check_all()
    }

    fn says_closed(&self) -> Result<(), Wrong> {
        let is_closed = |result: any_store::Result<u64>| match result {
            Err(error) if error.kind() == ErrorKind::Closed => Ok(()),
            other => Err(format!("a closed database answers {other:?}")),
        };
        is_closed(self.database.collection::<any_store::Document>("a").count())?;
        for (snapshot, _) in self.snapshots.iter().flatten() {
            is_closed(snapshot.collection_names().map(|names| names.len() as u64))?;
        }
        Ok(())
    }

    /// Drops everything that keeps the database open but the database.
    fn let_go(&mut self) {
        self.handles = Default::default();
        self.snapshots = Default::default();
        self.cursors = Default::default();
    }

    fn open(&mut self, setup: &Setup) -> Result<(), Wrong> {
        // The database in memory is a stand-in: the old one has to be gone before its file is opened.
        self.database = Database::in_memory().map_err(|error| format!("{error:?}"))?;
        self.setup = setup.clone();
        let opened = self.disk.open(database_path(), setup, false);
        self.database = opened.map_err(|error| format!("open: {error:?}"))?;
        Ok(())
    }

    /// Crashes, in the middle of a statement if one is given, and compares what is left. On a disk
    /// that cannot crash it closes instead.
    fn crash(&mut self, stop: &Stop) -> Result<(), Wrong> {
        let in_flight = match &stop.during {
            Some((calls, on, write)) => self.interrupted(*calls, on, write)?,
            None => None,
        };
        let left = match &self.disk {
            Disk::Memory(_) => return self.reopen(true, &stop.setup),
            Disk::Simulated(computer) => {
                let left = computer.leave(stop.way, &mut Rng::new(stop.seed));
                computer.unplug();
                left
            }
        };
        self.let_go();
        self.disk = Disk::after(&left, stop.seed);
        self.open(&stop.setup).map_err(|what| format!("after the crash: {what}"))?;
        self.tally.crashes += 1;
        self.recovered(stop, in_flight)?;
        check::is_sound(&self.database)
    }

    /// Runs a statement on a computer that fails after so many calls; the state that may or may not
    /// have been committed.
    fn interrupted(
        &mut self,
        calls: u64,
        on: &Target,
        write: &Write,
    ) -> Result<Option<State>, Wrong> {
        let Some(mut handle) = self.handle(on) else { return Ok(None) };
        let mut working = self.latest().clone();
        let name = self.resolve(&working, on);
        let collection = name.as_ref().ok().and_then(|name| working.collections.get(name));
        if collection.is_some_and(|collection| collection.auto_id) {
            return Ok(None);
        }
        let mut write = write.clone();
        if let Some(collection) = collection {
            settle(&mut write, collection);
        }
        // Which index a hint means, and whether that may be refused, is not what is asked here.
        if let Some((query, _)) = write.query_mut() {
            query.hint = Hint::None;
        }
        let write = &write;
        self.disk.limit(Some(calls));
        let got = handle.write(write);
        let expected = name.and_then(|name| working.write(&name, write, &[]));
        let is_refused = expected.is_err();
        let expected = expected.map(|answer| (answer, Order::Exact));
        match got {
            Err(error) if is_cut_off(error.kind()) => {
                let is_open = !is_refused && error.outcome() != Some(Outcome::Aborted);
                Ok(is_open.then_some(working))
            }
            got => {
                agree(&expected, &got)?;
                if !working.is_unchanged_from(self.latest()) {
                    self.committed.push(working);
                    if self.setup.sync == any_store::Sync::Full {
                        self.is_durable();
                    }
                }
                Ok(None)
            }
        }
    }

    /// Finds the state that a crash left among those that it may have left.
    fn recovered(&mut self, stop: &Stop, in_flight: Option<State>) -> Result<(), Wrong> {
        self.committed.extend(in_flight.clone());
        let last_acked = self.committed.len() - 1 - usize::from(in_flight.is_some());
        let oldest = if stop.way.is_kill() { last_acked } else { 0 };
        let snapshot = self.database.begin_read().map_err(|error| format!("{error:?}"))?;
        let mut differences = Vec::new();
        for at in (oldest..self.committed.len()).rev() {
            match check::is_state(&self.database, &snapshot, &self.committed[at]) {
                Ok(()) => {
                    self.committed.truncate(at + 1);
                    if !stop.way.is_kill() {
                        // What a power loss has left is on the disk.
                        self.is_durable();
                    }
                    return Ok(());
                }
                Err(difference) => differences.push(difference),
            }
        }
        Err(format!(
            "after {}: none of the {} states that may be left; from the newest on: {}",
            stop.way,
            differences.len(),
            differences.join("; ")
        ))
    }
}

/// The errors of a computer on which every call fails.
fn is_cut_off(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Io | ErrorKind::CommitUnknown | ErrorKind::Failed | ErrorKind::NoSpace
    )
}
