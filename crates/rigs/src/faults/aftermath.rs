//! What must hold after a fault: for the handle that goes on, after a kill, and after a power loss.

use std::collections::BTreeSet;

use any_store_sim::check::{Checker, Expect};
use any_store_sim::crash::{Crash, Left};
use any_store_sim::engine::{Automatic, Durability, Setup, When};
use any_store_sim::model::{LEDGER, Point, further_entries};
use any_store_sim::{CallKind, Rng};

use super::mode::Mode;
use super::program::Program;
use crate::documents::{self, DocumentEngine, Op, Strict, Trouble, execute};

/// Images that were checked for the same history within the same bounds.
pub(super) type Seen = BTreeSet<(u64, u128, u64)>;

/// Checks everything, and adds what is wrong to what the program found; how many images it opened.
pub(super) fn check(program: &mut Program, seed: u64, seen: &mut Seen) -> u64 {
    program.expect_state("readers, the fault still there");
    program.vfs.clear_faults();
    let mut rng = Rng::for_parts(&[seed, program.vfs.trace_hash()]);
    let drawn = Crash::ALL[rng.index(Crash::ALL.len())];
    let mut lefts: Vec<(Crash, Left)> = [Crash::Kill, Crash::DropAll, drawn]
        .into_iter()
        .map(|crash| (crash, leave(program, crash, &mut rng)))
        .collect();
    let expectations = (expect(program, true), expect(program, false));
    let mut checked = 0;
    for (crash, left) in lefts.drain(..) {
        let expect = if crash.is_kill() { expectations.0 } else { expectations.1 };
        checked += check_left(program, &left, expect, &format!("after {crash}"), seed, seen);
    }
    if let Some(point) = go_on(program) {
        let crash = if seed.is_multiple_of(2) { Crash::Kill } else { Crash::DropAll };
        let left = program.vfs.leave(crash, &mut rng);
        let expect = Expect { created: true, lowest: point, durable: point, highest: point };
        let when = format!("after going on and {crash}");
        checked += check_left(program, &left, expect, &when, seed, seen);
    }
    program.vfs.unplug();
    checked
}

/// A directory that could never be synced, and from which no name could be taken away either, is one
/// of a file system that gave up; what it shows is what its journal will bring back.
fn leave(program: &Program, crash: Crash, rng: &mut Rng) -> Left {
    let left = program.vfs.leave(crash, rng);
    let has_given_up = program.judge.mode.is_some_and(Mode::lasts)
        && program.vfs.faults_fired_at(CallKind::SyncDir) > 0;
    if crash.is_kill() && has_given_up { left.written_out() } else { left }
}

/// What a crash now may leave.
fn expect(program: &Program, is_kill: bool) -> Expect {
    let progress = &program.progress;
    let reverted = program.judge.mode.is_some_and(Mode::reverts);
    let lowest = if is_kill && !reverted { progress.acked } else { progress.durable };
    Expect {
        created: progress.is_created,
        lowest: Point::scripted(lowest),
        durable: Point::scripted(progress.durable),
        highest: Point::scripted(program.unknown.unwrap_or(0).max(progress.acked)),
    }
}

fn check_left(
    program: &mut Program,
    left: &Left,
    expect: Expect,
    when: &str,
    seed: u64,
    seen: &mut Seen,
) -> u64 {
    let bounds = u64::from(expect.lowest.commit) << 32 | u64::from(expect.highest.commit);
    let key = (program.judge.fate, left.image().hash(), bounds ^ left.safety() as u64);
    if !seen.insert(key) {
        return 0;
    }
    let mut checker = Checker::new(&DocumentEngine, &program.progress.history, seed);
    let found = checker.follow(left, expect, &[]);
    match found {
        Ok(found) if program.aborted.contains(&found.commit) => {
            program.judge.wrong(format!("{when}: found {found}, which was told to be aborted"));
        }
        Ok(_) => {}
        Err(what) if may_be_lost(program, &what) => program.judge.note_lie(),
        Err(what) => program.judge.wrong(format!("{when}: {what}")),
    }
    1
}

/// A sync that answered well and lost what it was for is outside all promises once the power fails:
/// nobody can know what the disk holds. Panics and hangs stay wrong.
fn may_be_lost(program: &Program, what: &str) -> bool {
    program.judge.mode.is_some_and(Mode::lies) && !what.contains("panic: ")
}

/// Uses the handle further, or opens a new one if there is none. What it then wrote as durable.
fn go_on(program: &mut Program) -> Option<Point> {
    if program.database.is_none() {
        let create = !program.progress.is_created;
        let setup = Setup { create, cache_bytes: 1 << 20, automatic: Automatic::Off };
        match documents::open(&program.vfs, setup) {
            Ok(database) => drop(database),
            Err(error) if is_final(program) => program.judge.error(error.kind(), "opening again"),
            Err(error) => program.judge.wrong(format!("opening again: {error:?}")),
        }
        return None;
    }
    let before = program.judge.wrong.len();
    let was_explained = program.judge.mode;
    if !is_final(program) {
        program.judge.mode = None;
    }
    program.expect_state("readers, the fault gone");
    let point = Point::scripted(program.progress.acked).next();
    let written = write(program, point);
    program.judge.mode = was_explained;
    if program.judge.wrong.len() > before {
        return None;
    }
    match written {
        Ok(()) => Some(point),
        Err(Trouble::Error(error)) => {
            if !program.judge.may_have_failed() {
                program.judge.wrong(format!("a commit, the fault gone: {error:?}"));
            }
            program.judge.error(error.kind(), "a commit, the fault gone");
            None
        }
        Err(Trouble::Wrong(what)) => {
            program.judge.wrong(format!("a commit, the fault gone: {what}"));
            None
        }
    }
}

/// True if the fault's effects stay when it is gone.
fn is_final(program: &Program) -> bool {
    program.judge.mode.is_some_and(|mode| mode.lies() || mode.reverts())
}

fn write(program: &mut Program, point: Point) -> Result<(), Trouble> {
    let Some(database) = &program.database else { return Ok(()) };
    let mut tx = documents::begin(database, Durability::Full)?;
    let has_ledger = program.progress.committed.tree(LEDGER).is_some();
    let create = (!has_ledger).then_some(Op::CreateTree(LEDGER));
    let entries = further_entries(point).into_iter();
    let ops: Vec<Op> =
        create.into_iter().chain(entries.map(|(key, value)| Op::Put(LEDGER, key, value))).collect();
    execute(&mut tx, &mut &ops[..], &mut Strict)?;
    tx.commit()?;
    documents::check(database, When::InUse).map_err(Trouble::Wrong)
}
