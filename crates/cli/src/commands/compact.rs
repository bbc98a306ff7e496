//! `any-store compact`: the database laid out anew, without free space.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use any_store::{BackupOptions, BackupReport, Database};

use super::backup::failure;
use crate::args::Compact;
use crate::failure::{Exit, Failure};
use crate::figures;
use crate::open::{Access, with_database};
use crate::progress::Bar;
use crate::screen;

/// How often a locked database is tried again.
const RETRY_EVERY: Duration = Duration::from_millis(20);

pub(crate) fn run(compact: &Compact) -> Result<(), Failure> {
    let before = fs::metadata(&compact.open.path).map_or(0, |metadata| metadata.len());
    let bar = Bar::new("compact");
    let options = BackupOptions::new()
        .overwrite(compact.overwrite)
        .verify(compact.verify)
        .on_progress(bar.reporter());
    let report = match &compact.to {
        Some(to) => to_file(compact, to, options)?,
        None => in_place(compact, &options)?,
    };
    drop(bar);
    let (before, after) = (figures::bytes(before), figures::bytes(report.file_bytes));
    screen::note(format_args!("compacted: {before} before, {after} now"));
    Ok(())
}

fn to_file(compact: &Compact, to: &Path, options: BackupOptions) -> Result<BackupReport, Failure> {
    let mut report = None;
    with_database(&compact.open, Access::Read, None, |database| {
        let copied = database.compact_to(to, options);
        report = Some(copied.map_err(|error| failure(to, &error, compact.overwrite))?);
        Ok(())
    })?;
    report.ok_or_else(|| Failure::failed("nothing was compacted"))
}

fn in_place(compact: &Compact, options: &BackupOptions) -> Result<BackupReport, Failure> {
    let deadline = Instant::now() + compact.open.wait;
    loop {
        match Database::compact(&compact.open.path, options.clone()) {
            Err(error) if error.is_retryable() && Instant::now() < deadline => {
                thread::sleep(RETRY_EVERY);
            }
            Err(error) if error.is_not_found() => {
                let message = format!("there is no database at {}", compact.open.path.display());
                return Err(Failure::new(Exit::NotOpened, message));
            }
            compacted => return compacted.map_err(|error| Failure::of_database(&error)),
        }
    }
}
