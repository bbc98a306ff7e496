//! T6: processes that are killed, and others that come while they are at work (P1, P14).
//!
//! The parent starts this program again as a child that opens a database, commits, checkpoints,
//! backs up and closes, on and on, and says each step through a pipe *after* the commits and *before*
//! everything else. At some word of the child, and a random bit of work later, the parent kills it.
//! What commit `n` does follows from the seed and the state before it, so the parent knows every
//! state: every commit that was acknowledged must be there, and of the one after it all or nothing.
//!
//! A database goes through many kills before the next one begins, so recoveries are recovered from.

pub(crate) mod child;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use any_store::{AutoCheckpoint, CheckpointMode, Database, Durability, ErrorKind, Options, Sync};
use any_store_sim::Rng;

use crate::bank::{Seen, State};
use crate::isolation::expect_sound;
use crate::report::Report;
use crate::watchdog::Watchdog;
use crate::wrong::{Checked, Wrong, catch, ensure};
use child::Word;

/// Kills that one database lives through.
const KILLS_OF_A_DATABASE: u64 = 25;
/// Some texts take several pages.
pub(crate) const TEXT_BYTES: u64 = 20_000;
/// A child is killed after at most so many turns of an empty loop, which take about a millisecond...
const MOST_SPINS_LOG2: u64 = 21;
/// ... and sooner where what it does after the word is short.
const MOST_SPINS_OF_AN_OPEN_LOG2: u64 = 17;

/// Children that write are killed at random moments; what they were told is committed stays.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What is written, and at which words children are killed. The moment after the word is the
    /// machine's.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many children are killed.
    #[arg(long, default_value_t = 50)]
    kills: u64,
}

pub(crate) fn run(args: &Args) -> Report {
    let mut report = Report::new("processes", args.seed);
    report.at_least("kills", args.kills);
    report.at_least("kills_while_opening", args.kills / 20);
    report.at_least("kills_while_closing", args.kills / 50);
    report.at_least("refused_opens", args.kills / 20);
    report.add("lost_acked", 0);
    let replay = format!("--seed {} --kills {}", args.seed, args.kills);
    let watchdog = Watchdog::watch(format!("rig processes {replay}"));
    let mut lives = 0;
    while report.count("kills") < args.kills && !report.has_failed() {
        let kills = KILLS_OF_A_DATABASE.min(args.kills - report.count("kills"));
        let lived = catch(|| live(args.seed, lives, kills, &mut report, &watchdog));
        if let Err(wrong) = lived {
            report.fail(&replay, &format!("database {lives}: {wrong}"));
        }
        lives += 1;
    }
    report.add("databases", lives);
    report
}

/// One database from its creation to its last kill.
fn live(seed: u64, life: u64, kills: u64, report: &mut Report, watchdog: &Watchdog) -> Checked {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("bank.any");
    let seed = Rng::for_parts(&[seed, life]).next_u64();
    let mut known = Known::new(seed);
    for kill in 0..kills {
        let plan = Plan::draw(seed, kill);
        let heard = plan.carry_out(&path, seed, report).map_err(|wrong| plan.blame(wrong))?;
        report.add("acked", heard.acked.saturating_sub(known.state.commit));
        known.check(&path, &heard, plan.round).map_err(|wrong| plan.blame(wrong))?;
        report.add("kills", 1);
        watchdog.feed();
    }
    Ok(())
}

/// How a database is opened in one round, by the child and by its parent.
fn options(seed: u64, round: u64) -> Options {
    let mut rng = Rng::for_parts(&[seed, round, 0x0975]);
    let auto_checkpoint = match rng.below(4) {
        0 => AutoCheckpoint::Off,
        1 => AutoCheckpoint::Inline { after_bytes: 200 << 10 },
        _ => AutoCheckpoint::Background { after_bytes: 100 << 10 },
    };
    let sentinel = rng.percent(50);
    Options::new()
        .cache_bytes(rng.below(200 << 10))
        .auto_checkpoint(auto_checkpoint)
        .sync(if rng.percent(30) { Sync::Full } else { Sync::Normal })
        .durability(Durability { sentinel, auto_flush: rng.percent(20), ..Durability::default() })
        .lock_timeout(std::time::Duration::ZERO)
}

/// When one child is killed.
#[derive(Debug)]
struct Plan {
    round: u64,
    /// The child is killed at this word, heard this many times.
    word: Word,
    times: u64,
    /// What the parent does between the word and the kill: nothing, for so long.
    spins: u64,
    /// The child never closes, and the parent tries to open meanwhile.
    is_visited: bool,
}

impl Plan {
    fn draw(seed: u64, round: u64) -> Self {
        let mut rng = Rng::for_parts(&[seed, round, 0xD1E]);
        let (word, times) = match rng.below(100) {
            0..20 => (Word::Opening, rng.between(1, 3)),
            20..25 => (Word::Closing, rng.between(1, 3)),
            25..32 => (Word::Checkpointing, 1),
            32..35 => (Word::BackingUp, 1),
            _ => (Word::Acked, rng.between(1, 60)),
        };
        let is_visited = word == Word::Acked && rng.percent(40);
        let is_short = word == Word::Opening;
        let most_log2 = if is_short { MOST_SPINS_OF_AN_OPEN_LOG2 } else { MOST_SPINS_LOG2 };
        let most_spins = 1 << rng.below(most_log2 + 1);
        Self { round, word, times, spins: rng.below(most_spins), is_visited }
    }

    fn blame(&self, wrong: Wrong) -> Wrong {
        Wrong(format!("{self:?}: {wrong}"))
    }

    /// Starts a child, listens to it, and kills it.
    fn carry_out(&self, path: &Path, seed: u64, report: &mut Report) -> Checked<Heard> {
        let mut child = self.start(path, seed)?;
        let mut words = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut heard = Heard::default();
        let mut times = 0;
        while times < self.times {
            let Some(word) = heard.listen(&mut words)? else { return Err(its_own_end(child)) };
            times += u64::from(word == self.word);
            if word == Word::Opened && self.is_visited {
                expect_refused(path)?;
                report.add("refused_opens", 2);
            }
        }
        (0..self.spins).for_each(|_| std::hint::spin_loop());
        child.kill()?;
        child.wait()?;
        while heard.listen(&mut words)?.is_some() {}
        match heard.last {
            Some(Word::Opening) => report.add("kills_while_opening", 1),
            Some(Word::Closing | Word::Checkpointing) => report.add("kills_while_closing", 1),
            Some(Word::BackingUp) => report.add("kills_while_backing_up", 1),
            _ => report.add("kills_while_writing", 1),
        }
        Ok(heard)
    }

    fn start(&self, path: &Path, seed: u64) -> Checked<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("process-child").arg(path);
        command.args([seed.to_string(), self.round.to_string()]);
        if self.is_visited {
            command.arg("--stay-open");
        }
        Ok(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
    }
}

/// A child that ends before it is killed has met something that is wrong.
fn its_own_end(mut child: Child) -> Wrong {
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        // What cannot be read is not there to tell.
        let _ = stderr.read_to_string(&mut said);
    }
    Wrong(format!("the child ended by itself, {:?}: {said}", child.wait()))
}

/// Whoever comes while a process has the database is told so, however he comes.
fn expect_refused(path: &Path) -> Checked {
    for read_only in [false, true] {
        let at_once = Options::new().lock_timeout(std::time::Duration::ZERO);
        match at_once.read_only(read_only).open(path) {
            Err(error) if error.kind() == ErrorKind::Locked => {}
            other => return Err(Wrong(format!("an open beside the child gives {other:?}"))),
        }
    }
    Ok(())
}

/// What a child said until its end.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    last: Option<Word>,
    /// The newest commit that was acknowledged to it.
    acked: u64,
}

impl Heard {
    /// The next word; none after the last one. One that the kill cut off was not said.
    pub(crate) fn listen(&mut self, words: &mut BufReader<ChildStdout>) -> Checked<Option<Word>> {
        let mut line = String::new();
        words.read_line(&mut line)?;
        let Some(line) = line.strip_suffix('\n') else { return Ok(None) };
        let (word, commit) = Word::read(line).ok_or_else(|| Wrong(format!("it said {line:?}")))?;
        if word == Word::Acked {
            self.acked = commit;
        }
        self.last = Some(word);
        Ok(Some(word))
    }
}

/// What the parent knows of a database.
pub(crate) struct Known {
    seed: u64,
    state: State,
    /// The digest of every state so far, from commit 0.
    digests: Vec<u64>,
}

impl Known {
    pub(crate) fn new(seed: u64) -> Self {
        let state = State::empty(TEXT_BYTES);
        Self { seed, digests: vec![state.digest()], state }
    }

    /// What decides all that is written.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    fn advance(&mut self) {
        for op in self.state.next_ops(self.seed) {
            self.state.apply(&op);
        }
        self.digests.push(self.state.digest());
    }

    /// Opens what a child left, and finds all of it.
    pub(crate) fn check(&mut self, path: &Path, heard: &Heard, round: u64) -> Checked {
        let acked = heard.acked.max(self.state.commit);
        if !path.exists() {
            return ensure(acked == 0, || format!("the file is gone, with {acked} commits"));
        }
        let db = options(self.seed, round).open(path)?;
        let seen = Seen::look(&db, &db.begin_read()?)?;
        let found = seen.commit().unwrap_or(0);
        ensure(found == acked || found == acked + 1, || {
            format!("{acked} were acknowledged and {found} are there")
        })?;
        while self.state.commit < found {
            self.advance();
        }
        self.expect_state(&seen, "after the kill")?;
        expect_sound(&db)?;
        self.commit_once(&db)?;
        self.check_backup(path)?;
        db.close()?;
        let db = options(self.seed, round).open(path)?;
        self.expect_state(&Seen::look(&db, &db.begin_read()?)?, "after another open")?;
        // Half of the children meet a database that nobody has closed.
        if round.is_multiple_of(2) {
            self.commit_once(&db)?;
            db.checkpoint(CheckpointMode::Truncate)?;
        }
        Ok(())
    }

    fn expect_state(&self, seen: &Seen, when: &str) -> Checked {
        let difference = seen.difference_from(&self.state);
        ensure(difference.is_none(), || format!("{when}: {}", difference.unwrap_or_default()))
    }

    fn commit_once(&mut self, db: &Database) -> Checked {
        let mut tx = db.begin_write()?;
        for op in self.state.next_ops(self.seed) {
            op.write(db, &mut tx)?;
        }
        tx.commit()?;
        self.advance();
        Ok(())
    }

    /// A backup has its name when it is whole, and not before.
    fn check_backup(&self, path: &Path) -> Checked {
        let backup = backup_path(path);
        if !backup.exists() {
            return Ok(());
        }
        let db = Options::new().create(false).open(&backup)?;
        let seen = Seen::look(&db, &db.begin_read()?)?;
        let commit = seen.commit().unwrap_or(0);
        let due = usize::try_from(commit).ok().and_then(|commit| self.digests.get(commit));
        ensure(due == Some(&seen.digest), || format!("the backup is no state, next to {commit}"))?;
        expect_sound(&db)
    }
}

fn backup_path(path: &Path) -> PathBuf {
    path.with_extension("backup")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database with some commits, as a child that said `acked` would leave it.
    fn left(dir: &Path, commits: u64) -> PathBuf {
        let path = dir.join("a.any");
        let db = Database::open(&path).unwrap();
        let mut known = Known::new(9);
        (0..commits).for_each(|_| known.commit_once(&db).unwrap());
        db.close().unwrap();
        path
    }

    fn check(commits: u64, acked: u64) -> Checked {
        let dir = tempfile::tempdir().unwrap();
        let path = left(dir.path(), commits);
        let heard = Heard { last: None, acked };
        Known::new(9).check(&path, &heard, 0)
    }

    #[test]
    fn what_was_acknowledged_and_one_more_may_be_there() {
        assert_eq!(check(5, 5), Ok(()));
        assert_eq!(check(6, 5), Ok(()));
        assert!(check(4, 5).unwrap_err().0.contains("5 were acknowledged and 4 are there"));
        assert!(check(7, 5).is_err());
    }

    #[test]
    fn a_half_commit_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = left(dir.path(), 5);
        let db = Database::open(&path).unwrap();
        let bank = db.collection::<any_store::Document>("bank");
        bank.update_id(2, any_store::doc! { "$inc": { "n": 1 } }).unwrap();
        drop((bank, db));
        let heard = Heard { last: None, acked: 5 };
        let wrong = Known::new(9).check(&path, &heard, 0).unwrap_err();
        assert!(wrong.0.contains("after the kill"), "{wrong}");
    }

    #[test]
    fn the_plans_have_the_shares_that_are_due() {
        let plans: Vec<Plan> = (0..1000).map(|round| Plan::draw(1, round)).collect();
        let share = |word| plans.iter().filter(|plan| plan.word == word).count();
        assert!((150..250).contains(&share(Word::Opening)));
        assert!((80..160).contains(&(share(Word::Closing) + share(Word::Checkpointing))));
        assert!(plans.iter().filter(|plan| plan.is_visited).count() > 150);
    }
}
