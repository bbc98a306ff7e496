//! A process that is refused memory: it commits, sorts and checks, and goes on where it can.

use std::path::PathBuf;
use std::process::ExitCode;

use any_store::{AutoCheckpoint, Database, Document, ErrorKind, Options, doc};

use crate::bank::{LISTS, Seen, State};
use crate::isolation::expect_sound;
use crate::processes::TEXT_BYTES;
use crate::processes::child::{Word, catch_up, commit};
use crate::wrong::{Checked, Wrong, ensure};

/// Commits of one process.
const COMMITS: u64 = 25;
/// What the process says in the end.
pub(super) const FINISHED: &str = "finished";

/// What the parent starts.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The database.
    path: PathBuf,
    /// What is written follows from it.
    seed: u64,
    /// The number of processes before.
    round: u64,
    /// Which large request is refused; 0 refuses none.
    #[arg(long, default_value_t = 0)]
    request: u64,
    /// How many bytes make a request a large one.
    #[arg(long, default_value_t = 1 << 20)]
    bytes: u64,
}

/// Which request is refused.
#[derive(Debug)]
pub(super) struct Need {
    pub(super) request: u64,
    pub(super) bytes: u64,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    if args.request > 0 {
        any_store_alloctest::refuse(args.request as usize, args.bytes as usize);
    }
    match work(args) {
        Ok(()) => {
            eprintln!("{FINISHED}");
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            eprintln!("{wrong}");
            ExitCode::FAILURE
        }
    }
}

fn work(args: &Args) -> Checked {
    let options = Options::new()
        .cache_bytes(1 << 20)
        .sort_bytes(512 << 10)
        .auto_checkpoint(AutoCheckpoint::Background { after_bytes: 1 << 20 });
    let db = again(|| Ok(options.clone().open(&args.path)?))?;
    let mut state = State::empty(TEXT_BYTES);
    catch_up(&db, &mut state, args.seed)?;
    for _ in 0..COMMITS {
        again(|| {
            expect_state(&db, &state)?;
            commit(&db, &mut state, args.seed)
        })?;
        Word::Acked.say_with(state.commit)?;
        again(|| sort(&db))?;
    }
    again(|| expect_sound(&db))?;
    Ok(db.close()?)
}

/// Runs `work`, once more if it got no memory. Nothing it did the first time may stay.
fn again<T>(mut work: impl FnMut() -> Checked<T>) -> Checked<T> {
    match work() {
        Err(Wrong(wrong)) if wrong.contains(&format!("{:?}", ErrorKind::LimitExceeded)) => {
            eprintln!("refused: {wrong}");
            work()
        }
        result => result,
    }
}

fn expect_state(db: &Database, state: &State) -> Checked {
    let seen = Seen::look(db, &db.begin_read()?)?;
    let difference = seen.difference_from(state);
    ensure(difference.is_none(), || difference.unwrap_or_default())
}

/// Reads in ways that take memory.
fn sort(db: &Database) -> Checked {
    let lists = db.collection::<Document>(LISTS);
    let sorted = lists.find(doc! { "text": { "$gte": "" } }).sort("-text").run()?;
    for document in sorted {
        document?;
    }
    Ok(())
}
