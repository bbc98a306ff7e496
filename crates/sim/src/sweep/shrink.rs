//! Makes a script that fails shorter, while it fails.

use super::{expectation, left_at};
use crate::check::Checker;
use crate::crash::Crash;
use crate::engine::Engine;
use crate::run::run;
use crate::script::Step;

/// A script that fails, and how.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The steps that are left.
    pub steps: Vec<Step>,
    /// The mutating calls before the crash; `None` if the script fails without one.
    pub call: Option<u64>,
    /// What is wrong.
    pub message: String,
}

/// Leaves out ever smaller parts as long as some crash of this kind still shows something wrong, in so
/// many attempts at most. `None` if nothing is wrong to begin with, which is so when it takes a crash
/// inside a recovery.
#[must_use]
pub fn shrink(
    engine: &dyn Engine,
    steps: &[Step],
    seed: u64,
    crash: Crash,
    mut attempts: u32,
) -> Option<Shrunk> {
    let mut best = failure(engine, steps.to_vec(), seed, crash)?;
    let mut size = best.steps.len().div_ceil(2);
    loop {
        let mut at = 0;
        while at < best.steps.len() {
            let end = (at + size).min(best.steps.len());
            let mut shorter = best.steps.clone();
            shorter.drain(at..end);
            if !is_script(&shorter) {
                at = end;
                continue;
            }
            if attempts == 0 {
                return Some(best);
            }
            attempts -= 1;
            match failure(engine, shorter, seed, crash) {
                Some(found) => best = found,
                None => at = end,
            }
        }
        if size == 1 {
            return Some(best);
        }
        size = size.div_ceil(2);
    }
}

/// What goes wrong with these steps.
fn failure(engine: &dyn Engine, steps: Vec<Step>, seed: u64, crash: Crash) -> Option<Shrunk> {
    let run = match run(engine, &steps, seed) {
        Ok(run) => run,
        Err(message) => return Some(Shrunk { steps, call: None, message }),
    };
    let mut checker = Checker::new(engine, &run.history, seed);
    let mut disk = run.recording.start();
    for call in 0..=run.recording.call_count() {
        if let Some(change) = run.recording.call(call) {
            disk.apply(change);
        }
        let left = left_at(&disk, seed, call, crash);
        let expect = expectation(run.bounds(call), crash);
        if let Err(wrong) = checker.check(&left, expect, 0) {
            return Some(Shrunk { steps, call: Some(call), message: wrong.message });
        }
    }
    None
}

/// True if a program could do these steps: what is left out may be needed by what is left.
fn is_script(steps: &[Step]) -> bool {
    let mut is_open = false;
    let mut is_writing = false;
    let mut savepoints = 0;
    let mut slots = Vec::new();
    let mut kept = Vec::new();
    let mut pins = 0;
    for step in steps {
        let fits = match step {
            Step::Open(setup) => {
                !std::mem::replace(&mut is_open, true) && setup.create == slots.is_empty()
            }
            Step::Close => {
                pins = 0;
                !is_writing && std::mem::replace(&mut is_open, false)
            }
            Step::Begin(_) => {
                savepoints = 0;
                kept = slots.clone();
                is_open && !std::mem::replace(&mut is_writing, true)
            }
            Step::Commit => std::mem::replace(&mut is_writing, false) && slots.contains(&0),
            Step::Rollback => {
                slots = kept.clone();
                std::mem::replace(&mut is_writing, false)
            }
            Step::CreateTree(slot) => {
                slots.push(*slot);
                is_writing && (*slot == 0) == (slots.len() == 1)
            }
            Step::DropTree(slot) => {
                let there = slots.iter().position(|other| other == slot);
                there.map(|index| slots.remove(index)).is_some() && is_writing
            }
            Step::Put(slot, ..) | Step::Remove(slot, _) | Step::SetAttribute(slot, ..) => {
                is_writing && slots.contains(slot)
            }
            Step::Savepoint => {
                savepoints += 1;
                is_writing
            }
            Step::RollbackTo => is_writing && savepoints > 0,
            Step::Release => {
                savepoints -= 1;
                is_writing && savepoints >= 0
            }
            Step::Checkpoint(_) => is_open && !is_writing,
            Step::Pin => {
                pins += 1;
                is_open
            }
            Step::Unpin => {
                pins -= 1;
                pins >= 0
            }
        };
        if !fits {
            return false;
        }
    }
    !is_writing
}
