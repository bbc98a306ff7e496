//! T5: isolation under real threads and files (I1 to I6).
//!
//! ```text
//! 2 writers       commit states, one after the other, and know the digest of each
//! 8 readers       hold everything they read in a snapshot against one state
//! 1 checkpointer  goes through all modes, and takes backups
//! ```
//!
//! Commits have one order, so the check is complete: a snapshot is right if all of it is the state
//! of one commit, that commit is not older than the last acknowledgement before the snapshot, and
//! not older than what the same session has seen before.

mod reader;
mod writer;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use any_store::{
    AutoCheckpoint, BackupOptions, CheckpointMode, Database, Durability, ErrorKind, Options,
};

use any_store_sim::Rng;

use crate::bank::{Seen, State};
use crate::report::Report;
use crate::watchdog::Watchdog;
use crate::wrong::{Checked, catch, ensure};

const READERS: usize = 8;
const TEXT_BYTES: u64 = 200;
/// The second writer has its turn after each so many commits.
const SECOND_WRITER_EVERY: u64 = 10;
const CHECKPOINT_EVERY: u64 = 25;
/// A backup is taken instead of each so many checkpoints.
const BACKUP_EVERY: u64 = 8;
/// Readers wait for a commit after each so many reads: more of them would see little that is new.
const READS_FOR_A_COMMIT: u64 = 100;

/// Threads that read, write, checkpoint and back up one database.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What the writers write; the readers' own choices follow from it, too.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many reads are checked.
    #[arg(long, default_value_t = 200_000)]
    reads: u64,
}

pub(crate) fn run(args: &Args) -> Report {
    let mut report = Report::new("isolation", args.seed);
    let replay = format!("--seed {} --reads {}", args.seed, args.reads);
    report.at_least("reads_checked", args.reads);
    report.at_least("checkpoints", args.reads / READS_FOR_A_COMMIT / CHECKPOINT_EVERY / 16);
    report.at_least("commits", args.reads / READS_FOR_A_COMMIT / 2);
    report.rate("reads_checked");
    let dir = tempfile::tempdir().expect("a folder for temporary files");
    let path = dir.path().join("bank.any");
    if let Err(wrong) = catch(|| perform(args, &path, &mut report, &replay)) {
        report.fail(&replay, &wrong.0);
    }
    report
}

fn perform(args: &Args, path: &Path, report: &mut Report, replay: &str) -> Checked {
    let stage = Stage::open(args, path)?;
    let watchdog = Watchdog::watch(format!("rig isolation {replay}"));
    // The first commit sets everything up.
    stage.commit_next(&mut Rng::new(args.seed))?;
    thread::scope(|scope| {
        let (second, second_turns) = channel();
        let (checkpointer, checkpoint_turns) = channel();
        let stage = &stage;
        for number in 0..READERS {
            scope.spawn(move || {
                stage.play("reader", || reader::read(stage, number));
                stage.readers_left.fetch_sub(1, Ordering::SeqCst);
            });
        }
        scope.spawn(move || stage.play("second writer", || stage.write_in_turn(&second_turns)));
        scope.spawn(move || stage.play("checkpointer", || checkpoint(stage, &checkpoint_turns)));
        let told = [second, checkpointer];
        scope.spawn(move || stage.play("writer", || stage.write(&told, &watchdog)));
    });
    stage.db.close()?;
    stage.report(report, replay);
    let reopened = Database::open(path)?;
    let seen = Seen::look(&reopened, &reopened.begin_read()?)?;
    let state = stage.state();
    ensure(seen.digest == state.digest(), || {
        format!("reopened: {}", seen.difference_from(&state).unwrap_or_default())
    })?;
    expect_sound(&reopened)
}

/// Nothing is wrong with the pages, the documents and the bytes between them.
pub(crate) fn expect_sound(db: &Database) -> Checked {
    let checked = db.integrity_check()?;
    ensure(checked.is_ok(), || format!("integrity_check: {checked:?}"))?;
    let verified = db.verify()?;
    ensure(verified.finding_count == 0, || format!("verify: {verified:?}"))
}

/// What all threads share.
struct Stage {
    db: Database,
    seed: u64,
    /// How many checked reads are due.
    reads: u64,
    /// The state that the next commit is built on. The engine lets one writer in at a time, so
    /// nobody ever waits for this lock.
    state: Mutex<State>,
    /// The digest of the state after each commit that was ever attempted, from commit 0.
    digests: RwLock<Vec<u64>>,
    /// The newest commit that was acknowledged.
    acked: AtomicU64,
    read_count: AtomicU64,
    /// Wakes readers that wait for a commit; the lock keeps a wake-up from getting lost.
    progress: (Mutex<()>, Condvar),
    readers_left: AtomicUsize,
    /// Somebody found something wrong: all the others stop.
    has_failed: AtomicBool,
    failures: Mutex<Vec<String>>,
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stage {
    fn open(args: &Args, path: &Path) -> Checked<Self> {
        let db = Options::new()
            .cache_bytes(64 << 10)
            .auto_checkpoint(AutoCheckpoint::Background { after_bytes: 512 << 10 })
            .durability(Durability {
                auto_flush: true,
                sentinel: true,
                idle_after: Duration::from_millis(1),
                ..Durability::default()
            })
            .busy_timeout(Duration::from_millis(5))
            .open(path)?;
        let state = State::empty(TEXT_BYTES);
        Ok(Self {
            db,
            seed: args.seed,
            reads: args.reads,
            digests: RwLock::new(vec![state.digest()]),
            state: Mutex::new(state),
            acked: AtomicU64::new(0),
            read_count: AtomicU64::new(0),
            progress: (Mutex::new(()), Condvar::new()),
            readers_left: AtomicUsize::new(READERS),
            has_failed: AtomicBool::new(false),
            failures: Mutex::default(),
            counts: Mutex::default(),
        })
    }

    /// Runs a thread's part; what it finds wrong ends the play.
    fn play(&self, who: &str, part: impl FnOnce() -> Checked) {
        if let Err(wrong) = catch(part) {
            self.has_failed.store(true, Ordering::SeqCst);
            lock(&self.failures).push(format!("{who}: {wrong}"));
            self.wake_readers();
        }
    }

    fn wake_readers(&self) {
        let _held = lock(&self.progress.0);
        self.progress.1.notify_all();
    }

    /// Waits for commits, if they are late.
    fn wait_for_commits(&self) {
        let is_ahead = |_: &mut ()| {
            let reads = self.read_count.load(Ordering::SeqCst);
            reads > (self.acked() + 1) * READS_FOR_A_COMMIT && self.wants_reads()
        };
        let held = self.progress.1.wait_while(lock(&self.progress.0), is_ahead);
        drop(held.unwrap_or_else(PoisonError::into_inner));
    }

    fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::SeqCst)
    }

    fn wants_reads(&self) -> bool {
        !self.has_failed() && self.read_count.load(Ordering::SeqCst) < self.reads
    }

    fn count(&self, name: &'static str) {
        *lock(&self.counts).entry(name).or_default() += 1;
    }

    fn acked(&self) -> u64 {
        self.acked.load(Ordering::SeqCst)
    }

    fn state(&self) -> State {
        lock(&self.state).clone()
    }

    /// The number of the commit whose state was seen, all of it.
    fn commit_of(&self, seen: &Seen) -> Checked<u64> {
        let commit = seen.commit().unwrap_or(0);
        let digests = self.digests.read().unwrap_or_else(PoisonError::into_inner);
        let due = usize::try_from(commit).ok().and_then(|commit| digests.get(commit)).copied();
        ensure(due == Some(seen.digest), || {
            let newest = digests.len() - 1;
            format!("no state of any commit is seen, next to {commit} of {newest}: {seen:?}")
        })?;
        Ok(commit)
    }

    fn report(&self, report: &mut Report, replay: &str) {
        report.add("reads_checked", self.read_count.load(Ordering::SeqCst));
        report.add("commits", self.acked());
        for (name, count) in &*lock(&self.counts) {
            report.add(name, *count);
        }
        for failure in &*lock(&self.failures) {
            report.fail(replay, failure);
        }
    }
}

/// Waits for the commit after which a turn is due; false once there will be none.
fn wait_for_turn(told: &Receiver<u64>, every: u64) -> bool {
    told.iter().any(|commit| commit % every == 0)
}

/// Tells those who have turns of a commit.
fn tell(followers: &[Sender<u64>], commit: u64) {
    for follower in followers {
        // One that has failed listens no more, and its failure ends the play.
        let _ = follower.send(commit);
    }
}

fn checkpoint(stage: &Stage, told: &Receiver<u64>) -> Checked {
    let modes = [
        CheckpointMode::Passive,
        CheckpointMode::Full,
        CheckpointMode::Restart,
        CheckpointMode::Truncate,
    ];
    let mut turn = 0u64;
    while wait_for_turn(told, CHECKPOINT_EVERY) {
        turn += 1;
        if turn.is_multiple_of(BACKUP_EVERY) {
            back_up(stage)?;
            continue;
        }
        let floor = stage.acked();
        match stage.db.checkpoint(modes[(turn % 4) as usize]) {
            Ok(report) => {
                ensure(report.upto.0 > 0 || floor == 0, || format!("{report:?}"))?;
                stage.count("checkpoints");
            }
            // A reader or a writer is in its way.
            Err(error) if error.kind() == ErrorKind::Busy => stage.count("busy_checkpoints"),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A backup is one state, and not an old one.
fn back_up(stage: &Stage) -> Checked {
    let floor = stage.acked();
    let mut bytes = Vec::new();
    stage.db.backup_to_writer(&mut bytes, BackupOptions::new())?;
    let copy = Database::from_bytes(bytes)?;
    let commit = stage.commit_of(&Seen::look(&copy, &copy.begin_read()?)?)?;
    ensure(commit >= floor, || format!("a backup of {commit} after {floor} was acknowledged"))?;
    stage.count("backups");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use any_store::{Document, doc};

    fn stage(path: &Path) -> Stage {
        let stage = Stage::open(&Args { seed: 5, reads: 100 }, path).unwrap();
        let mut rng = Rng::new(5);
        while stage.acked() < 30 {
            stage.commit_next(&mut rng).unwrap();
        }
        stage
    }

    #[test]
    fn a_state_that_no_commit_left_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let stage = stage(&dir.path().join("a"));
        let seen = Seen::look(&stage.db, &stage.db.begin_read().unwrap()).unwrap();
        assert_eq!(stage.commit_of(&seen), Ok(stage.acked()));
        let bank = stage.db.collection::<Document>("bank");
        bank.update_id(1, doc! { "$inc": { "n": 1 } }).unwrap();
        let seen = Seen::look(&stage.db, &stage.db.begin_read().unwrap()).unwrap();
        assert!(stage.commit_of(&seen).is_err());
    }

    #[test]
    fn a_snapshot_older_than_an_acknowledgement_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let stage = stage(&dir.path().join("a"));
        assert_eq!(reader::read(&stage, 0), Ok(()));
        assert!(stage.read_count.load(Ordering::SeqCst) >= 100);
        stage.read_count.store(0, Ordering::SeqCst);
        stage.acked.fetch_add(1, Ordering::SeqCst);
        assert!(reader::read(&stage, 0).unwrap_err().0.contains("acknowledged"));
    }

    #[test]
    fn a_short_play_finds_nothing_wrong() {
        let report = run(&Args { seed: 3, reads: 3000 });
        assert!(!report.has_failed(), "{report:?}");
        assert!(report.count("reads_checked") >= 3000);
    }
}
