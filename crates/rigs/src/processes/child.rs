//! The child that is killed: it writes until then, and says what it does.

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use any_store::{BackupOptions, CheckpointMode, Database, doc};
use any_store_sim::Rng;

use super::{TEXT_BYTES, backup_path, options};
use crate::bank::{STATE, State};
use crate::wrong::{Checked, Wrong, ensure};

/// What the parent starts.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The database.
    path: PathBuf,
    /// What is written follows from it.
    seed: u64,
    /// The number of kills before.
    round: u64,
    /// Never closes the database.
    #[arg(long)]
    stay_open: bool,
}

/// What a child says: what it is about to do, or what it has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Opening,
    Opened,
    /// With the number of the commit.
    Acked,
    Checkpointing,
    BackingUp,
    Closing,
    /// It goes on after something that took a while.
    Done,
}

const WORDS: [(Word, &str); 7] = [
    (Word::Opening, "opening"),
    (Word::Opened, "opened"),
    (Word::Acked, "acked"),
    (Word::Checkpointing, "checkpointing"),
    (Word::BackingUp, "backing-up"),
    (Word::Closing, "closing"),
    (Word::Done, "done"),
];

impl Word {
    /// The word and the number behind it, 0 where there is none.
    pub(crate) fn read(line: &str) -> Option<(Self, u64)> {
        let (name, number) = line.split_once(' ').unwrap_or((line, "0"));
        let word = WORDS.iter().find(|(_, known)| *known == name)?.0;
        Some((word, number.parse().ok()?))
    }

    fn say(self) -> Checked {
        self.say_with(0)
    }

    /// One call of the system, so that a kill leaves all of a word or nothing.
    pub(crate) fn say_with(self, number: u64) -> Checked {
        let name = WORDS.iter().find(|(word, _)| *word == self).map_or("", |(_, name)| name);
        let mut out = stdout().lock();
        out.write_all(format!("{name} {number}\n").as_bytes())?;
        Ok(out.flush()?)
    }
}

/// Writes until it is killed.
pub(crate) fn run(args: &Args) -> ExitCode {
    let Err(wrong) = write(args);
    eprintln!("{wrong}");
    ExitCode::FAILURE
}

fn write(args: &Args) -> Checked<std::convert::Infallible> {
    let mut rng = Rng::for_parts(&[args.seed, args.round, 0xC41D]);
    let mut state = State::empty(TEXT_BYTES);
    loop {
        Word::Opening.say()?;
        let db = options(args.seed, args.round).open(&args.path)?;
        Word::Opened.say()?;
        catch_up(&db, &mut state, args.seed)?;
        let commits = if args.stay_open { u64::MAX } else { rng.between(1, 30) };
        for _ in 0..commits {
            commit(&db, &mut state, args.seed)?;
            Word::Acked.say_with(state.commit)?;
            if rng.percent(5) {
                pause(&db, args, &mut rng)?;
            }
        }
        Word::Closing.say()?;
        db.close()?;
        Word::Done.say()?;
    }
}

/// Replays what is there already.
pub(crate) fn catch_up(db: &Database, state: &mut State, seed: u64) -> Checked {
    let stored = match db.open_collection(STATE) {
        Ok(collection) => collection.find_one(doc! { "id": 0 })?,
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(error.into()),
    };
    let number = stored.as_ref().and_then(|document| document.get("n")?.as_i64());
    let stored = number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0);
    while state.commit < stored {
        state.next_ops(seed).iter().for_each(|op| state.apply(op));
    }
    ensure(state.commit == stored, || format!("{stored} found where {} was left", state.commit))
}

pub(crate) fn commit(db: &Database, state: &mut State, seed: u64) -> Checked {
    let ops = state.next_ops(seed);
    let mut tx = db.begin_write()?;
    for op in &ops {
        op.write(db, &mut tx).map_err(|error| Wrong(format!("{op:?}: {error:?}")))?;
    }
    tx.commit()?;
    ops.iter().for_each(|op| state.apply(op));
    Ok(())
}

/// Something that takes longer than a commit.
fn pause(db: &Database, args: &Args, rng: &mut Rng) -> Checked {
    if rng.percent(30) {
        Word::BackingUp.say()?;
        db.backup_to(backup_path(&args.path), BackupOptions::new().overwrite(true))?;
    } else {
        Word::Checkpointing.say()?;
        let modes = [
            CheckpointMode::Passive,
            CheckpointMode::Full,
            CheckpointMode::Restart,
            CheckpointMode::Truncate,
        ];
        db.checkpoint(modes[rng.index(modes.len())])?;
    }
    Word::Done.say()
}
