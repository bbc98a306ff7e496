//! Plays a history on a database and on the model side by side.
//!
//! ```text
//! operation --> model: what must come ----+
//!     |                                   +--> agree? --> what a commit touched: the same?
//!     +------> database: what comes ------+               every 50 operations: all the same?
//! ```
//!
//! Transactions and savepoints are calls inside calls, as the database's own types borrow each other.

mod catalog;
mod upkeep;

use std::path::Path;

use any_store::{Collection, Cursor, Database, Document, ErrorKind, RawDocumentBuf, ReadTx, Sync};

use super::answer::{Answer, Expected, Order, Refusal, agree};
use super::check;
use super::disk::Disk;
use super::engine::{Place, given_ids, read_snapshot};
use super::history::History;
use super::op::{Boundary, From, Hint, Op, Query, Read, Target, Upkeep, Write};
use super::scope::Scope;
use super::setup::Setup;
use super::state::{self, State};

/// How many operations pass between two comparisons of everything.
const OPS_BETWEEN_CHECKS: u64 = 50;

/// Slots for handles, for snapshots and for cursors, each.
pub(crate) const SLOTS: usize = 4;

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) ops: u64,
    pub(crate) commits: u64,
    pub(crate) crashes: u64,
    pub(crate) refused: u64,
    pub(crate) checks: u64,
}

/// What went wrong.
type Wrong = String;

/// A handle, and the collection that it is bound to.
struct Bound {
    handle: Collection<Document>,
    identity: u64,
}

/// A cursor, and the documents that it must still give.
struct Reading {
    cursor: Cursor<'static, Document>,
    left: std::vec::IntoIter<RawDocumentBuf>,
}

/// A history in play.
pub(crate) struct Player {
    pub(crate) disk: Disk,
    setup: Setup,
    pub(crate) database: Database,
    /// The states after commits, from the last one known to be durable on.
    committed: Vec<State>,
    handles: [Option<Bound>; SLOTS],
    snapshots: [Option<(ReadTx, State)>; SLOTS],
    cursors: [Option<Reading>; SLOTS],
    collections_made: u64,
    in_transaction: bool,
    checked_at: u64,
    /// The operation that is being played.
    pub(crate) at: usize,
    pub(crate) tally: Tally,
}

fn database_path() -> &'static Path {
    Path::new("/model/data.db")
}

impl Player {
    /// Opens the database of a history.
    pub(crate) fn new(history: &History) -> Result<Self, Wrong> {
        let setup = Setup::read(&history.setup)?;
        let disk = Disk::new(history.is_simulated, history.seed);
        let database = disk
            .open(database_path(), &setup, true)
            .map_err(|error| format!("the first open: {error:?}"))?;
        Ok(Self {
            disk,
            setup,
            database,
            committed: vec![State::default()],
            handles: Default::default(),
            snapshots: Default::default(),
            cursors: Default::default(),
            collections_made: 0,
            in_transaction: false,
            checked_at: 0,
            at: 0,
            tally: Tally::default(),
        })
    }

    /// Plays operations until one goes wrong.
    pub(crate) fn play(&mut self, ops: &[Op]) -> Result<(), Wrong> {
        let mut at = 0;
        while let Some(op) = ops.get(at) {
            self.step_to(at);
            at = match op {
                Op::Boundary(Boundary::Begin(sync)) => self.transaction(ops, at + 1, *sync)?,
                op => {
                    self.outside(op)?;
                    at + 1
                }
            };
            if self.tally.ops - self.checked_at >= OPS_BETWEEN_CHECKS {
                self.check_all()?;
            }
        }
        self.check_all()
    }

    fn step_to(&mut self, at: usize) {
        self.at = at;
        self.tally.ops += 1;
    }

    /// The last committed state.
    pub(crate) fn latest(&self) -> &State {
        self.committed.last().expect("there is always one")
    }

    pub(crate) fn outside(&mut self, op: &Op) -> Result<(), Wrong> {
        match op {
            Op::Write(on, write) => self.autocommit(on, write),
            Op::Read(from, on, read) => self.read_committed(*from, on, read),
            Op::Catalog(catalog) => {
                let mut working = self.latest().clone();
                let mut database = self.database.clone();
                self.change_catalog(&mut database, &mut working, catalog)?;
                self.has_committed(working, self.setup.sync)
            }
            Op::Boundary(_) => Ok(()),
            Op::Upkeep(upkeep) => self.upkeep(upkeep),
        }
    }

    /// A statement that is a transaction of its own.
    fn autocommit(&mut self, on: &Target, write: &Write) -> Result<(), Wrong> {
        let Some(mut handle) = self.handle(on) else { return Ok(()) };
        let mut working = self.latest().clone();
        self.write(&mut handle, &mut working, on, write)?;
        self.has_committed(working, self.setup.sync)
    }

    fn write(
        &mut self,
        place: &mut dyn Place,
        working: &mut State,
        on: &Target,
        write: &Write,
    ) -> Result<(), Wrong> {
        let name = self.resolve(working, on);
        let collection = name.as_ref().ok().and_then(|name| working.collections.get(name));
        let mut write = write.clone();
        let mut is_free_to_refuse = false;
        if let Some(collection) = collection {
            settle(&mut write, collection);
            is_free_to_refuse =
                write.query_mut().is_some_and(|(query, _)| collection.may_lack(&query.hint));
        }
        let write = &write;
        let got = place.write(write);
        if is_free_to_refuse && is_useless_hint(&got) {
            return Ok(());
        }
        let expected = name.and_then(|name| {
            let given = match (&got, working.collections.get(&name)) {
                (Ok(answer), Some(collection)) => given_ids(write, answer, &collection.primary_key),
                _ => Vec::new(),
            };
            working.write(&name, write, &given)
        });
        self.tally.refused += u64::from(expected.is_err());
        agree(&expected.map(|answer| (answer, Order::Exact)), &got)
    }

    /// A question about the last committed state, or about that of a snapshot.
    fn read_committed(&mut self, from: From, on: &Target, read: &Read) -> Result<(), Wrong> {
        let Some(mut handle) = self.handle(on) else { return Ok(()) };
        if let From::Snapshot(slot) = from {
            let Some(Some((snapshot, state))) = self.snapshots.get(slot) else { return Ok(()) };
            let view = snapshot.collection(&handle);
            return self.ask(state, on, read, &mut |read| read_snapshot(&view, read));
        }
        self.ask(self.latest(), on, read, &mut |read| handle.read(read))
    }

    /// Asks a question as the planner likes it, and then through the documents and each index.
    fn ask(
        &self,
        state: &State,
        on: &Target,
        read: &Read,
        answer: &mut dyn FnMut(&Read) -> any_store::Result<Answer>,
    ) -> Result<(), Wrong> {
        let name = self.resolve(state, on);
        let collection = name.as_ref().ok().and_then(|name| state.collections.get(name));
        let mut read = read.clone();
        if let (Some(collection), Read::Distinct(query, _)) = (collection, &mut read) {
            settle_order(query, true, collection);
        }
        let expected = name.clone().and_then(|name| state.read(&name, &read));
        agree(&expected, &answer(&read))?;
        let Some(collection) = collection.filter(|collection| !collection.indexes.is_empty())
        else {
            return Ok(());
        };
        let names = collection.indexes.iter().map(|(name, _)| name.as_str());
        for name in names.chain(["$natural"]) {
            let Some(query) = read.query_mut() else { break };
            query.hint = Hint::Named(name.to_owned());
            let may_refuse = collection.may_lack(&query.hint);
            let got = answer(&read);
            if may_refuse && is_useless_hint(&got) {
                continue;
            }
            agree(&expected, &got).map_err(|what| format!("through {name:?}: {what}"))?;
        }
        Ok(())
    }

    fn expected(&self, state: &State, on: &Target, read: &Read) -> Expected {
        state.read(&self.resolve(state, on)?, read)
    }

    /// The name of the collection that is meant in a state.
    fn resolve(&self, state: &State, on: &Target) -> Result<String, Refusal> {
        match on {
            Target::Named(name) => Ok(name.clone()),
            Target::Bound(slot) => {
                let bound = self.handles.get(*slot).and_then(Option::as_ref);
                let name = bound.and_then(|bound| state.name_of(bound.identity));
                name.map(str::to_owned).ok_or_else(|| ErrorKind::CollectionClosed.into())
            }
        }
    }

    /// The handle that is meant; none if its slot is empty.
    fn handle(&self, on: &Target) -> Option<Collection<Document>> {
        match on {
            Target::Named(name) => Some(self.database.collection(name)),
            Target::Bound(slot) => Some(self.handles.get(*slot)?.as_ref()?.handle.clone()),
        }
    }

    /// Plays a transaction; the operation after it.
    fn transaction(&mut self, ops: &[Op], from: usize, sync: Option<Sync>) -> Result<usize, Wrong> {
        let mut tx = self.database.begin_write().map_err(|error| format!("begin: {error:?}"))?;
        if let Some(sync) = sync {
            tx.set_sync(sync);
        }
        let mut working = self.latest().clone();
        self.in_transaction = true;
        let mut at = from;
        let is_kept = loop {
            let Some(op) = ops.get(at) else { break false };
            self.step_to(at);
            match op {
                Op::Boundary(Boundary::Commit | Boundary::Rollback) => {
                    at += 1;
                    break matches!(op, Op::Boundary(Boundary::Commit));
                }
                Op::Boundary(Boundary::Savepoint) => {
                    at = self.savepoint(&mut tx, &mut working, ops, at + 1)?;
                }
                op if ends_transaction(op) => break false,
                op => {
                    self.inside(&mut tx, &mut working, op)?;
                    at += 1;
                }
            }
        };
        self.in_transaction = false;
        if is_kept {
            tx.commit().map_err(|error| format!("commit: {error:?}"))?;
            self.has_committed(working, sync.unwrap_or(self.setup.sync))?;
        } else {
            tx.rollback();
            check::has_changes(&self.database, &working, self.latest())?;
        }
        Ok(at)
    }

    /// Plays what happens under a savepoint; the operation after it.
    fn savepoint(
        &mut self,
        scope: &mut dyn Scope,
        working: &mut State,
        ops: &[Op],
        from: usize,
    ) -> Result<usize, Wrong> {
        let before = working.clone();
        let mut point = scope.nested().map_err(|error| format!("savepoint: {error:?}"))?;
        let mut at = from;
        // Ends that are the transaction's are left to it.
        let (is_kept, next) = loop {
            let Some(op) = ops.get(at) else { break (false, at) };
            match op {
                Op::Boundary(Boundary::Release) => break (true, at + 1),
                Op::Boundary(Boundary::Undo) => break (false, at + 1),
                Op::Boundary(Boundary::Commit) => break (true, at),
                Op::Boundary(Boundary::Rollback) => break (false, at),
                op if ends_transaction(op) => break (false, at),
                _ => {}
            }
            self.step_to(at);
            at = match op {
                Op::Boundary(Boundary::Savepoint) => {
                    self.savepoint(&mut point, working, ops, at + 1)?
                }
                op => {
                    self.inside(&mut point, working, op)?;
                    at + 1
                }
            };
        };
        if is_kept {
            point.commit().map_err(|error| format!("release: {error:?}"))?;
        } else {
            point.rollback();
            *working = before;
        }
        Ok(next)
    }

    fn inside(&mut self, scope: &mut dyn Scope, working: &mut State, op: &Op) -> Result<(), Wrong> {
        match op {
            Op::Write(on, write) => {
                let Some(handle) = self.handle(on) else { return Ok(()) };
                self.write(&mut scope.view(&handle), working, on, write)
            }
            Op::Read(From::Here, on, read) => {
                let Some(handle) = self.handle(on) else { return Ok(()) };
                let mut view = scope.view(&handle);
                self.ask(working, on, read, &mut |read| view.read(read))
            }
            Op::Read(from, on, read) => self.read_committed(*from, on, read),
            Op::Catalog(catalog) => self.change_catalog(scope, working, catalog),
            Op::Boundary(Boundary::Begin(_)) => self.is_busy(),
            Op::Boundary(_) => Ok(()),
            Op::Upkeep(upkeep) => self.upkeep(upkeep),
        }
    }

    /// There is one writer at a time.
    fn is_busy(&self) -> Result<(), Wrong> {
        match self.database.begin_write() {
            Err(error) if error.kind() == ErrorKind::Busy => Ok(()),
            other => Err(format!("a second writer got {:?}", other.map(drop))),
        }
    }

    /// Notes a commit that was acknowledged, and compares what it touched.
    fn has_committed(&mut self, state: State, sync: Sync) -> Result<(), Wrong> {
        if state.is_unchanged_from(self.latest()) {
            return Ok(());
        }
        check::has_changes(&self.database, self.latest(), &state)
            .map_err(|what| format!("after the commit: {what}"))?;
        self.tally.commits += 1;
        self.committed.push(state);
        if sync == Sync::Full {
            self.is_durable();
        }
        Ok(())
    }

    /// Everything committed so far survives any crash from now on.
    fn is_durable(&mut self) {
        self.committed.drain(..self.committed.len() - 1);
    }

    /// Makes the model believe in one more commit than there was.
    #[cfg(test)]
    pub(crate) fn lose_last_commit(&mut self) {
        let mut state = self.latest().clone();
        state.rename("a", "never").expect("the collection is there");
        self.committed = vec![state];
    }

    /// Compares everything.
    pub(crate) fn check_all(&mut self) -> Result<(), Wrong> {
        self.checked_at = self.tally.ops;
        self.tally.checks += 1;
        let snapshot = self.database.begin_read().map_err(|error| format!("{error:?}"))?;
        check::is_state(&self.database, &snapshot, self.latest())?;
        for (snapshot, state) in self.snapshots.iter().flatten() {
            check::is_state(&self.database, snapshot, state)
                .map_err(|what| format!("in a snapshot: {what}"))?;
        }
        check::is_sound(&self.database)
    }
}

/// Nothing of the kind happens inside a transaction: it ends there.
fn ends_transaction(op: &Op) -> bool {
    matches!(op, Op::Upkeep(Upkeep::Crash(_) | Upkeep::Reopen { .. }))
}

/// Leaves nothing of a statement to the plan, and lets it tell the id that the database makes up.
fn settle(write: &mut Write, collection: &state::Collection) {
    if let Some((query, one)) = write.query_mut() {
        query.hint = collection.hinted(&query.hint);
        settle_order(query, one, collection);
    }
    if collection.auto_id
        && let Write::FindAndUpdate { query, upsert: true, after, .. }
        | Write::FindAndReplace { query, upsert: true, after, .. } = write
    {
        *after = true;
        query.project = None;
    }
}

/// Says an order where the plan's would decide which documents are meant, or which is changed first.
fn settle_order(query: &mut Query, one: bool, collection: &state::Collection) {
    let selection = &mut query.selection;
    let is_cut = one || selection.skip > 0 || selection.limit > 0;
    let is_unique = collection.indexes.iter().any(|(_, index)| index.unique);
    if selection.sort.is_empty() && !collection.indexes.is_empty() && (is_cut || is_unique) {
        selection.sort.push((collection.primary_key.clone(), false));
    }
}

/// Was the statement refused since the index may lack documents?
fn is_useless_hint(got: &any_store::Result<Answer>) -> bool {
    got.as_ref().is_err_and(|error| error.kind() == ErrorKind::InvalidOptions)
}
