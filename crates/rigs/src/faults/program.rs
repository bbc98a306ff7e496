//! The program that a script stands for, as one that goes on when calls fail.
//!
//! It keeps what it was told: which commits were acknowledged, which given up, which nobody knows of.
//! An error that the planned fault does not explain is wrong, and so is any answer that is not the
//! model's.

use std::collections::{BTreeSet, VecDeque};

use any_store::{Database, ErrorKind, Outcome};
use any_store_sim::compare::compare;
use any_store_sim::engine::{Direction, Durability, Setup};
use any_store_sim::model::{History, LEDGER, MARKER, Point, State};
use any_store_sim::script::Step;
use any_store_sim::{CallKind, SimVfs};

use super::mode::Mode;
use crate::documents::{self, DocumentSnapshot, Done, Op, Trouble, Watch, execute};

/// What a program knows of its database.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// The state of each commit that was asked for.
    pub(super) history: History,
    /// The state that readers see.
    pub(super) committed: State,
    /// The last commit that was acknowledged.
    pub(super) acked: u32,
    /// The last commit that was promised to survive a power loss.
    pub(super) durable: u32,
    /// The open that created the database has returned.
    pub(super) is_created: bool,
}

/// Judges what a program is told, and keeps what is wrong.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) mode: Option<Mode>,
    vfs: SimVfs,
    pub(super) wrong: Vec<String>,
    /// A number for all that the program was told: equal numbers, equal progress.
    pub(super) fate: u64,
    /// A commit of unknown outcome was told of.
    pub(super) is_unknown: bool,
    /// Images that a sync's lie spoiled.
    pub(super) lies_shown: u64,
    /// Each error is printed.
    pub(super) is_loud: bool,
}

impl Judge {
    fn note(&mut self, fact: u64) {
        self.fate = (self.fate.rotate_left(5) ^ fact).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    pub(super) fn wrong(&mut self, what: String) {
        self.wrong.push(what);
    }

    /// An error was told.
    pub(super) fn error(&mut self, kind: ErrorKind, doing: &str) {
        self.note(1000 + kind as u64);
        if self.is_loud {
            println!("told after {} calls: {doing}: {kind:?}", self.vfs.call_count());
        }
        if !self.explains(kind) {
            self.wrong(format!("{doing}: {kind:?}, which nothing explains"));
        }
    }

    pub(super) fn explains(&self, kind: ErrorKind) -> bool {
        let Some(mode) = self.mode else { return false };
        mode.explains(kind) && (kind != ErrorKind::Failed || self.may_have_failed())
    }

    /// Only a sync that failed, or a write that could not be taken back, may end a handle's writing.
    pub(super) fn may_have_failed(&self) -> bool {
        if self.mode == Some(Mode::Full) {
            return false;
        }
        let fired = |kind| self.vfs.faults_fired_at(kind);
        let is_stuck = self.mode.is_some_and(Mode::lasts) && fired(CallKind::Write) > 1;
        self.is_unknown || is_stuck || fired(CallKind::Sync) + fired(CallKind::SyncDir) > 0
    }

    /// A power loss showed that a sync had lied.
    pub(super) fn note_lie(&mut self) {
        self.lies_shown += 1;
    }

    fn trouble(&mut self, trouble: Trouble, doing: &str) {
        match trouble {
            Trouble::Error(error) => self.error(error.kind(), doing),
            Trouble::Wrong(what) => self.wrong(format!("{doing}: {what}")),
        }
    }
}

/// A running program.
pub(super) struct Program {
    pub(super) vfs: SimVfs,
    pub(super) progress: Progress,
    pub(super) database: Option<Database>,
    pub(super) judge: Judge,
    /// Commits that were told to be given up.
    pub(super) aborted: BTreeSet<u32>,
    /// The commit that nobody knows of.
    pub(super) unknown: Option<u32>,
    /// A statement that failed is left out of its transaction; else the transaction is given up.
    pub(super) leaves_out: bool,
    pins: VecDeque<(DocumentSnapshot, State)>,
}

impl Program {
    pub(super) fn new(vfs: SimVfs, progress: Progress, mode: Option<Mode>) -> Self {
        let judge = Judge {
            mode,
            vfs: vfs.clone(),
            wrong: Vec::new(),
            fate: 0,
            is_unknown: false,
            lies_shown: 0,
            is_loud: false,
        };
        Self {
            vfs,
            progress,
            database: None,
            judge,
            aborted: BTreeSet::new(),
            unknown: None,
            leaves_out: false,
            pins: VecDeque::new(),
        }
    }

    /// Runs a part of a script that begins with opening the database.
    pub(super) fn run(&mut self, mut steps: &[Step]) {
        while let Some((step, rest)) = steps.split_first() {
            steps = rest;
            match step {
                Step::Open(setup) => self.open(*setup),
                Step::Begin(durability) => {
                    let is_end = |step: &Step| matches!(step, Step::Commit | Step::Rollback);
                    let Some(end) = steps.iter().position(is_end) else { return };
                    let commits = steps[end] == Step::Commit;
                    self.transaction(*durability, &steps[..end], commits);
                    steps = &steps[end + 1..];
                }
                Step::Checkpoint(mode) => self.checkpoint(*mode),
                Step::Pin => self.pin(),
                Step::Unpin => self.unpin(),
                Step::Close => self.close(),
                other => self.judge.wrong(format!("{other:.60?} outside a transaction")),
            }
        }
    }

    fn open(&mut self, setup: Setup) {
        let setup = Setup { create: setup.create || !self.progress.is_created, ..setup };
        match documents::open(&self.vfs, setup) {
            Ok(database) => {
                self.progress.is_created = true;
                self.database = Some(database);
                self.expect_state("after opening");
            }
            Err(error) => self.judge.error(error.kind(), "opening"),
        }
    }

    fn close(&mut self) {
        let Some(database) = self.database.take() else { return };
        self.pins.clear();
        match database.close() {
            Ok(()) => self.all_durable(),
            Err(error) => self.judge.error(error.kind(), "closing"),
        }
    }

    fn checkpoint(&mut self, mode: any_store_sim::engine::Mode) {
        let Some(database) = &self.database else { return };
        match documents::checkpoint(database, mode) {
            Ok(()) => self.all_durable(),
            Err(error) if error.kind() == ErrorKind::Busy && !self.pins.is_empty() => {}
            Err(error) => self.judge.error(error.kind(), "a checkpoint"),
        }
    }

    /// A promise of the system's may be broken, and then the engine's with it.
    fn all_durable(&mut self) {
        let is_lied_to = self.judge.mode.is_some_and(Mode::lies) && self.vfs.faults_fired() > 0;
        if !is_lied_to {
            self.progress.durable = self.progress.acked;
        }
    }

    fn pin(&mut self) {
        let Some(database) = &self.database else { return };
        match DocumentSnapshot::begin(database) {
            Ok(snapshot) => self.pins.push_back((snapshot, self.progress.committed.clone())),
            Err(error) => self.judge.error(error.kind(), "a reader's begin"),
        }
    }

    fn unpin(&mut self) {
        if let Some((snapshot, state)) = self.pins.pop_front() {
            self.expect(&snapshot, &state, "a held reader");
        }
    }

    /// Readers see the last published state, or an error that the fault explains.
    pub(super) fn expect_state(&mut self, when: &str) {
        let Some(database) = &self.database else { return };
        match DocumentSnapshot::begin(database) {
            Ok(snapshot) => {
                let committed = self.progress.committed.clone();
                self.expect(&snapshot, &committed, when);
            }
            Err(error) => self.judge.error(error.kind(), when),
        }
    }

    fn expect(&mut self, snapshot: &DocumentSnapshot, state: &State, when: &str) {
        let largest = self.progress.history.largest_tree();
        let Err(what) = compare(snapshot, state, largest, Direction::Forward) else { return };
        match snapshot.error() {
            Some(kind) => self.judge.error(kind, when),
            None => self.judge.wrong(format!("{when}: {what}")),
        }
    }

    fn transaction(&mut self, durability: Durability, steps: &[Step], commits: bool) {
        let Some(database) = self.database.clone() else { return };
        let ops = ops_of(steps, &self.progress.committed);
        let mut tx = match documents::begin(&database, durability) {
            Ok(tx) => tx,
            Err(error) => return self.judge.error(error.kind(), "beginning a transaction"),
        };
        let number = self.progress.history.last() + 1;
        let marker = Point::scripted(number).to_bytes().to_vec();
        let mut tolerant = Tolerant {
            current: self.progress.committed.clone(),
            kept: Vec::new(),
            leaves_out: self.leaves_out,
            judge: &mut self.judge,
        };
        let mut done = execute(&mut tx, &mut &ops[..], &mut tolerant);
        if done.is_ok() && commits {
            tolerant.leaves_out = false;
            let marked = [Op::Put(LEDGER, MARKER.to_vec(), marker.into())];
            done = execute(&mut tx, &mut &marked[..], &mut tolerant);
        }
        let state = tolerant.current;
        match done {
            Ok(_) if commits => self.commit(tx, number, state, durability),
            Ok(_) => tx.rollback(),
            Err(trouble) => {
                self.judge.trouble(trouble, "a transaction");
                drop(tx);
                self.expect_state("after a transaction that was given up");
            }
        }
    }

    fn commit(
        &mut self,
        tx: any_store::WriteTx,
        number: u32,
        state: State,
        durability: Durability,
    ) {
        self.progress.history.push(state.clone());
        let error = match tx.commit() {
            Ok(()) => {
                self.judge.note(1);
                self.acknowledged(number, state);
                if durability == Durability::Full {
                    self.all_durable();
                }
                return;
            }
            Err(error) => error,
        };
        match error.outcome() {
            Some(Outcome::Aborted) => drop(self.aborted.insert(number)),
            Some(Outcome::Unknown) => {
                self.unknown = Some(number);
                self.judge.is_unknown = true;
            }
            Some(Outcome::Applied) => self.acknowledged(number, state),
            other => self.judge.wrong(format!("a commit's error says {other:?}: {error:?}")),
        }
        self.judge.error(error.kind(), "a commit");
        self.expect_state("after a commit that failed");
    }

    fn acknowledged(&mut self, number: u32, state: State) {
        self.progress.acked = number;
        self.progress.committed = state;
    }
}

/// Keeps the model beside the statements that succeed.
struct Tolerant<'j> {
    current: State,
    kept: Vec<State>,
    leaves_out: bool,
    judge: &'j mut Judge,
}

impl Watch for Tolerant<'_> {
    fn done(&mut self, ops: &[Op], result: Done) -> Done {
        let trouble = match result {
            Ok(()) => {
                self.judge.note(2);
                ops.iter().for_each(|op| op.apply(&mut self.current));
                return Ok(());
            }
            Err(trouble) => trouble,
        };
        let is_small = matches!(ops[0], Op::Put(..) | Op::Remove(..) | Op::SetAttribute(..));
        match trouble {
            Trouble::Error(error) if self.leaves_out && is_small => {
                self.judge.error(error.kind(), "a statement");
                Ok(())
            }
            trouble => Err(trouble),
        }
    }

    fn savepoint(&mut self) {
        self.kept.push(self.current.clone());
    }

    fn undone(&mut self) {
        if let Some(kept) = self.kept.pop() {
            self.current = kept;
        }
    }

    fn released(&mut self) {
        self.kept.pop();
    }
}

/// The operations of a transaction. Trees that an earlier failure left out are made now; what is no
/// more to be done to one that never came is left out.
fn ops_of(steps: &[Step], committed: &State) -> Vec<Op> {
    let mut trees: BTreeSet<u32> = committed.trees().collect();
    let mut made = Vec::new();
    let mut ops = Vec::new();
    let created = |step: &Step| matches!(step, Step::CreateTree(0));
    if !trees.contains(&LEDGER) && !steps.iter().any(created) {
        made.push(Op::CreateTree(LEDGER));
        trees.insert(LEDGER);
    }
    for op in steps.iter().filter_map(op_of) {
        match &op {
            Op::CreateTree(tree) => drop(trees.insert(*tree)),
            Op::Put(tree, ..) if trees.insert(*tree) => made.push(Op::CreateTree(*tree)),
            Op::DropTree(tree) if !trees.remove(tree) => continue,
            Op::Remove(tree, _) | Op::SetAttribute(tree, ..) if !trees.contains(tree) => continue,
            _ => {}
        }
        ops.push(op);
    }
    made.append(&mut ops);
    made
}

fn op_of(step: &Step) -> Option<Op> {
    let tree = |slot: &usize| *slot as u32 + LEDGER;
    Some(match step {
        Step::CreateTree(slot) => Op::CreateTree(tree(slot)),
        Step::DropTree(slot) => Op::DropTree(tree(slot)),
        Step::Put(slot, key, value) => Op::Put(tree(slot), key.clone(), value.clone()),
        Step::Remove(slot, key) => Op::Remove(tree(slot), key.clone()),
        Step::SetAttribute(slot, name, value) => {
            Op::SetAttribute(tree(slot), name.clone(), value.clone())
        }
        Step::Savepoint => Op::Savepoint,
        Step::RollbackTo => Op::RollbackTo,
        Step::Release => Op::Release,
        _ => return None,
    })
}
