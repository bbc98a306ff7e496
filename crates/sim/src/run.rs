//! Runs a script on an engine and its model side by side, and records what happened.

use crate::compare::compare;
use crate::engine::{
    Database, Direction, Durability, Engine, Mode, Outcome, Setup, Snapshot, When, Work,
};
use crate::model::{History, LEDGER, MARKER, Point, State};
use crate::script::Step;
use crate::vfs::{Recording, SimVfs};
use std::collections::{BTreeMap, VecDeque};

/// What the program knew at some moment, by the number of mutating calls made before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The number of mutating calls made so far.
    pub at: u64,
    /// What happened.
    pub event: Event,
}

/// What a program is told, or tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first open returned.
    Created,
    /// A commit is about to be asked for.
    Attempted(u32),
    /// A commit was acknowledged.
    Acked(u32),
    /// All commits up to this one were promised to survive a power loss.
    Durable(u32),
}

/// A finished run.
#[derive(Debug)]
pub struct Run {
    /// The mutating calls.
    pub recording: Recording,
    /// What the program knew when, in order.
    pub marks: Vec<Mark>,
    /// The state after each commit.
    pub history: History,
    /// How many steps were executed.
    pub steps: u64,
    /// The hash of all calls.
    pub trace_hash: u64,
    /// What the engine did inside, over all opens; `None` if it does not say.
    pub work: Option<Work>,
}

/// What a crash after some call may leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The database must be there.
    pub created: bool,
    /// The commit that every crash leaves.
    pub durable: u32,
    /// The commit that a killed process leaves.
    pub acked: u32,
    /// The last commit of which anything can be on the disk.
    pub attempted: u32,
}

impl Run {
    /// What a crash after `call` mutating calls, and before the next one, may leave.
    #[must_use]
    pub fn bounds(&self, call: u64) -> Bounds {
        let mut bounds = Bounds::default();
        for mark in self.marks.iter().take_while(|mark| mark.at <= call) {
            match mark.event {
                Event::Created => bounds.created = true,
                // What was asked for after the last call has left no trace.
                Event::Attempted(_) if mark.at == call => {}
                Event::Attempted(commit) => bounds.attempted = commit,
                Event::Acked(commit) => bounds.acked = commit,
                Event::Durable(commit) => bounds.durable = commit,
            }
        }
        bounds
    }
}

/// Runs a script on a fresh computer.
///
/// # Errors
/// The step that failed, or after which the engine and the model disagreed.
pub fn run(engine: &dyn Engine, steps: &[Step], seed: u64) -> Outcome<Run> {
    let vfs = SimVfs::new(seed);
    vfs.start_recording();
    let mut runner = Runner::new(engine, vfs.clone());
    for (index, step) in steps.iter().enumerate() {
        runner.step(step).map_err(|error| format!("step {index} ({step:.60?}): {error}"))?;
    }
    runner.compare_now().map_err(|error| format!("at the end of the script: {error}"))?;
    runner.note_work()?;
    let recording = vfs.take_recording().ok_or("the recording was lost")?;
    Ok(Run {
        recording,
        marks: runner.marks,
        history: runner.history,
        steps: steps.len() as u64,
        trace_hash: vfs.trace_hash(),
        work: runner.work,
    })
}

struct Runner<'e> {
    engine: &'e dyn Engine,
    vfs: SimVfs,
    database: Option<Box<dyn Database>>,
    slots: BTreeMap<usize, u32>,
    history: History,
    committed: State,
    working: State,
    durability: Durability,
    savepoints: Vec<State>,
    pins: VecDeque<(Box<dyn Snapshot>, State)>,
    marks: Vec<Mark>,
    work: Option<Work>,
}

impl<'e> Runner<'e> {
    fn new(engine: &'e dyn Engine, vfs: SimVfs) -> Self {
        Self {
            engine,
            vfs,
            database: None,
            slots: BTreeMap::new(),
            history: History::default(),
            committed: State::default(),
            working: State::default(),
            durability: Durability::Normal,
            savepoints: Vec::new(),
            pins: VecDeque::new(),
            marks: Vec::new(),
            work: None,
        }
    }

    fn step(&mut self, step: &Step) -> Outcome<()> {
        match step {
            Step::Open(setup) => self.open(*setup),
            Step::Begin(durability) => self.begin(*durability),
            Step::CreateTree(slot) => self.create_tree(*slot),
            Step::DropTree(slot) => self.drop_tree(*slot),
            Step::Put(slot, key, value) => {
                let tree = self.tree(*slot)?;
                self.working.put(tree, key.clone(), value.clone());
                self.database()?.put(tree, key, value)
            }
            Step::Remove(slot, key) => self.remove(*slot, key),
            Step::SetAttribute(slot, name, value) => {
                let tree = self.tree(*slot)?;
                self.working.set_attribute(tree, name, value.as_deref());
                self.database()?.set_attribute(tree, name, value.as_deref())
            }
            Step::Savepoint => {
                self.savepoints.push(self.working.clone());
                self.database()?.savepoint()
            }
            Step::RollbackTo => {
                self.working = self.savepoints.last().ok_or("no savepoint is set")?.clone();
                self.database()?.rollback_to()
            }
            Step::Release => {
                self.savepoints.pop().ok_or("no savepoint is set")?;
                self.database()?.release()
            }
            Step::Commit => self.commit(),
            Step::Rollback => {
                self.savepoints.clear();
                self.database()?.rollback()?;
                self.compare_now()
            }
            Step::Checkpoint(mode) => self.checkpoint(*mode),
            Step::Pin => {
                let snapshot = self.database()?.snapshot()?;
                self.pins.push_back((snapshot, self.committed.clone()));
                Ok(())
            }
            Step::Unpin => self.unpin(),
            Step::Close => self.close(),
        }
    }

    fn database(&mut self) -> Outcome<&mut dyn Database> {
        match &mut self.database {
            Some(database) => Ok(database.as_mut()),
            None => Err("the database is not open".to_owned()),
        }
    }

    fn tree(&self, slot: usize) -> Outcome<u32> {
        self.slots.get(&slot).copied().ok_or_else(|| format!("slot {slot} is empty"))
    }

    fn mark(&mut self, event: Event) {
        self.marks.push(Mark { at: self.vfs.change_count(), event });
    }

    fn all_durable(&mut self) {
        self.mark(Event::Durable(self.history.last()));
    }

    fn open(&mut self, setup: Setup) -> Outcome<()> {
        self.database = Some(self.engine.open(&self.vfs, setup)?);
        self.mark(Event::Created);
        self.compare_now()
    }

    /// Only a reader may keep a checkpoint from its work, and never a passive one.
    fn checkpoint(&mut self, mode: Mode) -> Outcome<()> {
        if self.database()?.checkpoint(mode)? {
            self.all_durable();
        } else if mode == Mode::Passive || self.pins.is_empty() {
            return Err("the checkpoint was refused for the sake of no reader".to_owned());
        }
        Ok(())
    }

    fn note_work(&mut self) -> Outcome<()> {
        let Some(database) = &self.database else { return Ok(()) };
        if let Some(work) = database.work()? {
            self.work = Some(self.work.unwrap_or_default().and(work));
        }
        Ok(())
    }

    fn close(&mut self) -> Outcome<()> {
        self.note_work()?;
        self.database()?.close()?;
        self.database = None;
        self.all_durable();
        Ok(())
    }

    fn begin(&mut self, durability: Durability) -> Outcome<()> {
        self.durability = durability;
        self.working = self.committed.clone();
        self.savepoints.clear();
        self.database()?.begin(durability)
    }

    fn create_tree(&mut self, slot: usize) -> Outcome<()> {
        let tree = self.database()?.create_tree()?;
        if slot == 0 && tree != LEDGER {
            return Err(format!("the first tree of a file has number {tree}"));
        }
        if self.working.tree(tree).is_some() {
            return Err(format!("tree {tree} is there already"));
        }
        self.slots.insert(slot, tree);
        self.working.create_tree(tree);
        Ok(())
    }

    fn drop_tree(&mut self, slot: usize) -> Outcome<()> {
        let tree = self.tree(slot)?;
        self.working.drop_tree(tree);
        self.database()?.drop_tree(tree)
    }

    fn remove(&mut self, slot: usize, key: &[u8]) -> Outcome<()> {
        let tree = self.tree(slot)?;
        let expected = self.working.remove(tree, key);
        let found = self.database()?.remove(tree, key)?;
        match found {
            Some(found) if found != expected => {
                Err(format!("remove found {found} where the model has {expected}"))
            }
            _ => Ok(()),
        }
    }

    /// The model's state is recorded before the engine is asked: a crash may leave it from then on.
    fn commit(&mut self) -> Outcome<()> {
        let number = self.history.last() + 1;
        let marker = Point::scripted(number).to_bytes();
        self.working.put(LEDGER, MARKER.to_vec(), marker.as_slice().into());
        self.database()?.put(LEDGER, MARKER, &marker)?;
        self.history.push(self.working.clone());
        self.committed = self.working.clone();
        self.mark(Event::Attempted(number));
        self.database()?.commit()?;
        self.mark(Event::Acked(number));
        if self.durability == Durability::Full {
            self.all_durable();
        }
        Ok(())
    }

    fn unpin(&mut self) -> Outcome<()> {
        let (snapshot, state) = self.pins.pop_front().ok_or("no reader is held")?;
        compare(&*snapshot, &state, self.history.largest_tree(), Direction::Forward)
            .map_err(|error| format!("a held reader: {error}"))
    }

    /// The database in use agrees with the model, in both directions, and finds itself sound.
    fn compare_now(&mut self) -> Outcome<()> {
        let Some(database) = &self.database else { return Ok(()) };
        let snapshot = database.snapshot()?;
        let largest_tree = self.history.largest_tree();
        compare(&*snapshot, &self.committed, largest_tree, Direction::Forward)?;
        compare(&*snapshot, &self.committed, largest_tree, Direction::Backward)?;
        database.check(When::InUse)
    }
}
