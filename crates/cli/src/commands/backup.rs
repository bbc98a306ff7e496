//! `any-store backup`: one consistent copy of the database in a file of its own.

use std::path::Path;

use any_store::{BackupOptions, BackupReport, Database, Error, ErrorKind};

use crate::args::Backup;
use crate::failure::{Exit, Failure};
use crate::figures;
use crate::open::{Access, with_database};
use crate::progress::Bar;
use crate::screen;

pub(crate) fn run(backup: &Backup) -> Result<(), Failure> {
    with_database(&backup.open, Access::Read, None, |database| {
        let options = BackupOptions::new().overwrite(backup.overwrite).verify(backup.verify);
        let report = to_file(database, &backup.to, options)
            .map_err(|error| failure(&backup.to, &error, backup.overwrite))?;
        let size = figures::bytes(report.file_bytes);
        screen::note(format_args!("backed up to {}: {size}", backup.to.display()));
        Ok(())
    })
}

/// Backs the database up to a file, under a progress bar.
pub(crate) fn to_file(
    database: &Database,
    to: &Path,
    options: BackupOptions,
) -> Result<BackupReport, Error> {
    let bar = Bar::new("backup");
    database.backup_to(to, options.on_progress(bar.reporter()))
}

/// Why there is no copy at `to`.
pub(super) fn failure(to: &Path, error: &Error, overwrite: bool) -> Failure {
    let to = to.display();
    match error.kind() {
        ErrorKind::Locked => Failure::new(Exit::Locked, format!("{to} is a database that is open")),
        ErrorKind::UnsupportedFormat => {
            Failure::failed(format!("{to} is there and is no database; it is left as it is"))
        }
        ErrorKind::Io if !overwrite && is_taken(error) => {
            Failure::failed(format!("{to} is there; --overwrite replaces it"))
        }
        _ => Failure::of_database(error),
    }
}

fn is_taken(error: &Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    std::iter::from_fn(|| {
        let this = cause?;
        cause = this.source();
        Some(this)
    })
    .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
    .any(|cause| cause.kind() == std::io::ErrorKind::AlreadyExists)
}
