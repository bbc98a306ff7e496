//! Opening the database for one command, and closing it whatever the command met.

use std::time::Duration;

use any_store::{Database, Options, Salvaged, Sync};

use crate::args::{Durability, Open, SyncMode};
use crate::failure::{Exit, Failure};
use crate::screen;

/// How long a write waits for the background checkpoint, the only other user of the database.
const WRITER_PATIENCE: Duration = Duration::from_secs(600);

/// What the command means to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write { create: bool },
}

/// Opens the database, runs `body` and closes the database. The first failure counts.
pub(crate) fn with_database(
    open: &Open,
    access: Access,
    durability: Option<Durability>,
    body: impl FnOnce(&Database) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let database = open_database(open, options(access, durability))?;
    if let Some(salvaged) = database.salvaged() {
        screen::note(format_args!("{}", what_was_lost(salvaged)));
    }
    let result = body(&database);
    let closed = database.close().map_err(Failure::from);
    result.and(closed)
}

fn options(access: Access, durability: Option<Durability>) -> Options {
    let sync = match durability.map(|durability| durability.sync) {
        Some(SyncMode::Full) => Sync::Full,
        Some(SyncMode::Normal) | None => Sync::Normal,
    };
    Database::options()
        .read_only(access == Access::Read)
        .create(access == Access::Write { create: true })
        .busy_timeout(WRITER_PATIENCE)
        .sync(sync)
}

fn open_database(open: &Open, options: Options) -> Result<Database, Failure> {
    match options.lock_timeout(open.wait).salvage(open.salvage).open(&open.path) {
        Err(error) if error.is_not_found() => {
            let message = format!("there is no database at {}", open.path.display());
            Err(Failure::new(Exit::NotOpened, message))
        }
        opened => opened.map_err(|error| Failure::not_opened(&error)),
    }
}

fn what_was_lost(salvaged: &Salvaged) -> String {
    let Salvaged { kept, last_commit_seen, reason, .. } = salvaged;
    let kept_as = match &salvaged.damaged_log {
        Some(path) => format!("; the damaged log is now {}", path.display()),
        None => String::new(),
    };
    format!(
        "the log is damaged ({reason}): this is commit {kept}, later ones are lost \
         (last one seen: {last_commit_seen}){kept_as}"
    )
}
