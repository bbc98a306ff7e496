//! What must hold after a crash: the check of one image.
//!
//! An image is opened; what it holds must be the model's state after one commit within the bounds,
//! entry by entry, and sound by the engine's own checks. Then the database must go on: a further
//! commit, acknowledged as durable, must survive a clean close, a kill or a power loss. For a sample
//! the computer crashes again at each call of that recovery, and again inside those.

use crate::compare::{claimed_point, compare};
use crate::crash::{Crash, Left, Safety};
use crate::engine::{Automatic, Database, Direction, Durability, Engine, Outcome, Setup, When};
use crate::model::{History, LEDGER, Point, further_entries};
use crate::rng::Rng;
use crate::vfs::{Recording, SimVfs};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// More calls than any recovery of a scripted database needs: an endless loop ends here.
const CALL_LIMIT: u64 = 200_000;

/// What an image may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect {
    /// The database must be there.
    pub created: bool,
    /// Nothing older than this.
    pub lowest: Point,
    /// Nothing older than this after a power loss that follows.
    pub durable: Point,
    /// Nothing newer than this, and nothing that did not lead to it.
    pub highest: Point,
}

impl Expect {
    /// Judges what was found.
    ///
    /// # Errors
    /// How it is out of bounds.
    pub fn allow(&self, found: Point) -> Outcome<()> {
        if found < self.lowest {
            return Err(format!("lost: {found} where {} was promised", self.lowest));
        }
        let led_here = match found.further {
            0 => found.commit <= self.highest.commit,
            _ => found.commit == self.highest.commit && found.further <= self.highest.further,
        };
        if led_here { Ok(()) } else { Err(format!("{found} is newer than {}", self.highest)) }
    }
}

/// How a recovery went, with all that is needed to crash inside it.
#[derive(Debug)]
pub struct Recovery {
    /// The state that was found.
    pub found: Point,
    recording: Option<Recording>,
    /// Mutating calls made before the further commit was asked for, and acknowledged.
    attempted_at: u64,
    acked_at: u64,
}

/// A place inside a recovery where the computer crashed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    /// The mutating calls of the recovery made before.
    pub call: u64,
    /// How it crashed.
    pub crash: Crash,
}

/// Checks images of one run; remembers what each one held.
pub struct Checker<'r> {
    engine: &'r dyn Engine,
    history: &'r History,
    seed: u64,
    crashes: &'r [Crash],
    verdicts: BTreeMap<(u128, Safety, bool), Point>,
    /// How many crashes inside recoveries were checked.
    pub crashes_again: u64,
    /// How many checks ended in a panic.
    pub panics: u64,
}

/// What was wrong, and where inside the recovery if it was there.
#[derive(Clone, Debug)]
pub struct Wrong {
    /// The crashes inside recoveries that led there, the outermost first.
    pub again: Vec<Again>,
    /// What was wrong.
    pub message: String,
}

impl Wrong {
    fn here(message: String) -> Self {
        Self { again: Vec::new(), message }
    }
}

impl<'r> Checker<'r> {
    /// A checker for the images of one run.
    #[must_use]
    pub fn new(engine: &'r dyn Engine, history: &'r History, seed: u64) -> Self {
        let verdicts = BTreeMap::new();
        let crashes = &Crash::ALL;
        Self { engine, history, seed, crashes, verdicts, crashes_again: 0, panics: 0 }
    }

    /// Crashes inside recoveries in these ways only.
    #[must_use]
    pub fn with_crashes(self, crashes: &'r [Crash]) -> Self {
        Self { crashes, ..self }
    }

    /// Checks what a crash left, and with `depth` above 0 also crashes inside its recovery. What was
    /// seen before is judged by what was found then: recovery is a function of the image.
    ///
    /// # Errors
    /// What was wrong.
    pub fn check(&mut self, left: &Left, expect: Expect, depth: u32) -> Result<(), Wrong> {
        let key = (left.image().hash(), left.safety(), expect.created);
        if let Some(found) = self.verdicts.get(&key) {
            return expect.allow(*found).map_err(Wrong::here);
        }
        let recovery = self.recover(left, expect, depth > 0).map_err(Wrong::here)?;
        self.verdicts.insert(key, recovery.found);
        match &recovery.recording {
            Some(recording) => self.crash_inside(&recovery, recording, expect, depth),
            None => Ok(()),
        }
    }

    /// Follows a given chain of crashes inside recoveries, for a replay.
    ///
    /// # Errors
    /// What was wrong.
    pub fn follow(&mut self, left: &Left, expect: Expect, chain: &[Again]) -> Outcome<Point> {
        let recovery = self.recover(left, expect, !chain.is_empty())?;
        let (Some((again, rest)), Some(recording)) = (chain.split_first(), &recovery.recording)
        else {
            return Ok(recovery.found);
        };
        let disk = recording.disk_after(again.call);
        let left = again.crash.leave(&disk, &mut self.rng(again.call, again.crash));
        self.follow(&left, recovery.expect(*again, expect), rest)
    }

    /// Crashes once at each call of a recovery, in a way drawn from the seed.
    fn crash_inside(
        &mut self,
        recovery: &Recovery,
        recording: &Recording,
        expect: Expect,
        depth: u32,
    ) -> Result<(), Wrong> {
        let mut disk = recording.start();
        let mut rng = Rng::for_parts(&[self.seed, disk.after_kill().hash() as u64]);
        for call in 0..=recording.call_count() {
            if let Some(change) = recording.call(call) {
                disk.apply(change);
            }
            let crash = self.crashes[rng.index(self.crashes.len())];
            let again = Again { call, crash };
            let left = crash.leave(&disk, &mut self.rng(call, crash));
            let deeper = if rng.percent(5) { depth - 1 } else { 0 };
            self.crashes_again += 1;
            self.check(&left, recovery.expect(again, expect), deeper).map_err(|mut wrong| {
                wrong.again.insert(0, again);
                wrong
            })?;
        }
        Ok(())
    }

    fn rng(&self, call: u64, crash: Crash) -> Rng {
        Rng::for_parts(&[self.seed, call, crash.number()])
    }

    /// Opens what is left and does to it all that must work; a panic is an error like any other.
    fn recover(&mut self, left: &Left, expect: Expect, record: bool) -> Outcome<Recovery> {
        let examined = catch_unwind(AssertUnwindSafe(|| self.examine(left, expect, record)));
        examined.unwrap_or_else(|panic| {
            self.panics += 1;
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("panic: {}", text.unwrap_or("without a message")))
        })
    }

    fn examine(&self, left: &Left, expect: Expect, record: bool) -> Outcome<Recovery> {
        let draw = left.image().hash() as u64;
        let vfs = self.computer(left);
        if record {
            vfs.start_recording();
        }
        let mut database = self.engine.open(&vfs, setup(!expect.created, draw))?;
        let found = claimed_point(&*database)?;
        expect.allow(found)?;
        self.holds(&*database, found, Direction::Forward)?;
        database.check(When::BeforeWriting).map_err(|error| format!("after recovery: {error}"))?;
        let next = found.next();
        prepare_further(&mut *database, next)?;
        let attempted_at = vfs.change_count();
        database.commit().map_err(|error| format!("the further commit: {error}"))?;
        let acked_at = vfs.change_count();
        self.holds(&*database, next, Direction::Backward)?;
        database
            .check(When::InUse)
            .map_err(|error| format!("after the further commit: {error}"))?;
        let recording = vfs.take_recording();
        self.survives(&vfs, database, next, draw)?;
        Ok(Recovery { found, recording, attempted_at, acked_at })
    }

    /// A computer started on what is left. Its randomness is its own: a real one never draws the
    /// same salts and names again.
    fn computer(&self, left: &Left) -> SimVfs {
        let vfs = SimVfs::from_disk(left.disk(), left.image().hash() as u64 ^ self.seed);
        vfs.limit_calls(CALL_LIMIT);
        vfs
    }

    fn holds(&self, database: &dyn Database, point: Point, direction: Direction) -> Outcome<()> {
        let state = self.history.state(point).ok_or_else(|| format!("there is no {point}"))?;
        compare(&*database.snapshot()?, &state, self.history.largest_tree(), direction)
            .map_err(|error| format!("claims {point}, but {error}"))
    }

    /// The second reopen: after a clean close, a kill, or a power loss that drops what it can. The
    /// further commit was acknowledged as durable, so each of them leaves it.
    fn survives(
        &self,
        vfs: &SimVfs,
        mut database: Box<dyn Database>,
        point: Point,
        draw: u64,
    ) -> Outcome<()> {
        let (name, left) = match draw % 3 {
            0 => {
                database.close().map_err(|error| format!("close: {error}"))?;
                ("a clean close", Crash::DropAll)
            }
            1 => ("a kill", Crash::Kill),
            _ => ("a power loss", Crash::DropAll),
        };
        let left = vfs.leave(left, &mut Rng::new(draw));
        vfs.unplug();
        drop(database);
        self.reopens(&left, point, draw).map_err(|error| format!("reopened after {name}: {error}"))
    }

    fn reopens(&self, left: &Left, point: Point, draw: u64) -> Outcome<()> {
        let vfs = self.computer(left);
        let database = self.engine.open(&vfs, setup(false, draw))?;
        let only = Expect { created: true, lowest: point, durable: point, highest: point };
        only.allow(claimed_point(&*database)?)?;
        self.holds(&*database, point, Direction::Forward)?;
        let checked = database.check(When::InUse);
        vfs.unplug();
        checked
    }
}

impl Recovery {
    /// What may be found when the computer crashes again inside this recovery. Opening a database
    /// that is there makes nothing durable, not even its name; a durable commit does.
    fn expect(&self, again: Again, before: Expect) -> Expect {
        let next = self.found.next();
        let acked = self.acked_at <= again.call;
        let durable = if acked { next } else { before.durable };
        let lowest = if again.crash.is_kill() && !acked { self.found } else { durable };
        Expect {
            created: before.created || acked,
            lowest,
            durable,
            highest: if self.attempted_at < again.call { next } else { self.found },
        }
    }
}

fn setup(create: bool, draw: u64) -> Setup {
    let automatic = match (draw >> 8) % 3 {
        0 => Automatic::AfterBytes(1),
        _ => Automatic::Off,
    };
    Setup { create, cache_bytes: 256 << 10, automatic }
}

/// Begins a further commit and does all but commit it.
fn prepare_further(database: &mut dyn Database, next: Point) -> Outcome<()> {
    database.begin(Durability::Full)?;
    if database.snapshot()?.entry_count(LEDGER)?.is_none() {
        database.create_tree()?;
    }
    for (key, value) in further_entries(next) {
        database.put(LEDGER, &key, &value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(commit: u32, further: u32) -> Point {
        Point { commit, further }
    }

    #[test]
    fn a_state_must_lie_on_the_way_from_the_lowest_to_the_highest() {
        let (lowest, highest) = (point(2, 0), point(4, 1));
        let expect = Expect { created: true, lowest, durable: lowest, highest };
        for allowed in [point(2, 0), point(3, 0), point(4, 0), point(4, 1)] {
            assert_eq!(expect.allow(allowed), Ok(()), "{allowed}");
        }
        for refused in [point(0, 0), point(1, 0), point(5, 0), point(4, 2), point(3, 1)] {
            assert!(expect.allow(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_crash_inside_a_recovery_may_leave_what_that_recovery_had_promised() {
        let recovery =
            Recovery { found: point(7, 0), recording: None, attempted_at: 4, acked_at: 6 };
        let before = Expect {
            created: false,
            lowest: point(6, 0),
            durable: point(5, 0),
            highest: point(8, 0),
        };
        let after = |call, crash| recovery.expect(Again { call, crash }, before);
        let bounds = |expect: Expect| (expect.lowest, expect.highest);
        assert_eq!(bounds(after(1, Crash::DropAll)), (point(5, 0), point(7, 0)));
        assert_eq!(bounds(after(4, Crash::Kill)), (point(7, 0), point(7, 0)));
        assert_eq!(bounds(after(5, Crash::DropAll)), (point(5, 0), point(7, 1)));
        assert_eq!(bounds(after(6, Crash::DropAll)), (point(7, 1), point(7, 1)));
        assert!(!after(5, Crash::Kill).created && after(6, Crash::DropAll).created);
    }
}
