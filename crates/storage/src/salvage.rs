//! Going on without what a damaged log has lost, where that is asked for.
//!
//! What the log holds before the damage is copied into a log of its own, which takes the name of the
//! damaged one; that one keeps all its bytes under another name. Neither the pages of the file nor
//! the state that its header describes are touched, so every step can be done again:
//!
//! ```text
//!   X-wal damaged            header secured, X-wal.salvage written and synced
//!   X-wal missing            X-wal renamed to X-wal.damaged-N   (an open reports that it is missing,
//!                                                                a salvage reads it there)
//!   X-wal whole, too short   X-wal.salvage renamed to X-wal     (an open reports the loss)
//!   X-wal whole              the header demands no more than it holds
//! ```
//!
//! It is refused for writing when the file holds pages of commits that the log has lost, as after a
//! crash in the middle of a checkpoint: new commits would get the numbers of the lost ones, and then
//! those pages would be taken for theirs. Reading is safe, for such a page is `Corrupt` there.

use crate::codec::Codec;
use crate::engine::{directory_of, log_path};
use crate::error::{Error, Result};
use crate::header::{HEADER_BLOCKS, Header};
use crate::header_slots::HeaderSlots;
use crate::log::head;
use crate::log::recovery::{self, Recovered, Start};
use crate::open;
use crate::options::StoreOptions;
use crate::page::{self, BLOCK_BYTES, BLOCK_COUNT_AT, CommitNo, Page, PageNo, u16_at};
use crate::vfs::{OpenMode, SyncKind, Vfs, VfsFile, read_full, write_all};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What was given up when a store was opened with [`StoreOptions::salvage`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Salvaged {
    /// The last commit that is still there.
    pub kept: CommitNo,
    /// The newest commit that was seen in the log behind the damage; the ones in between are lost.
    pub last_commit_seen: CommitNo,
    /// What was wrong with the log.
    pub reason: &'static str,
    /// Where the damaged log is now. `None` if there was none, and when opened for reading, which
    /// leaves everything where it is.
    pub damaged_log: Option<PathBuf>,
}

/// The header and the log of a store, as found or as salvaged.
#[derive(Debug)]
pub(crate) struct OpenedLog {
    pub(crate) header: HeaderSlots,
    pub(crate) log: Option<Arc<dyn VfsFile>>,
    pub(crate) recovered: Option<Recovered>,
    pub(crate) salvaged: Option<Salvaged>,
}

/// What a store is opened from.
#[derive(Clone, Copy)]
pub(crate) struct Place<'o> {
    pub(crate) vfs: &'o dyn Vfs,
    pub(crate) path: &'o Path,
    pub(crate) main: &'o dyn VfsFile,
    pub(crate) codec: &'o dyn Codec,
    pub(crate) options: &'o StoreOptions,
}

/// Opens the log that the header counts on and reads it to its end.
///
/// # Errors
/// `LogDamaged`, unless the options say that what is lost is lost.
pub(crate) fn open_log(place: Place<'_>, header: Header) -> Result<OpenedLog> {
    match open_whole(place, &header) {
        Ok((log, recovered)) => {
            Ok(OpenedLog { header: HeaderSlots::found(header), log, recovered, salvaged: None })
        }
        Err(damage) if place.options.salvage => match damage {
            Error::LogDamaged { last_commit_seen, reason, .. } => {
                salvage(place, header, last_commit_seen, reason)
            }
            other => Err(other),
        },
        Err(damage) => Err(damage),
    }
}

type Whole = (Option<Arc<dyn VfsFile>>, Option<Recovered>);

fn open_whole(place: Place<'_>, header: &Header) -> Result<Whole> {
    let Place { vfs, path, codec, options, .. } = place;
    let Some(log) = open::open_log(vfs, path, header, options)? else {
        if options.salvage && !options.read_only {
            expect_claimable(place, header)?;
        }
        return Ok((None, None));
    };
    let recovered = recovery::recover(&*log, codec, Start::of(header))?;
    Ok((Some(log), Some(recovered)))
}

/// Beside a clean file, what has the log's name would stop the first write if it is something else.
fn expect_claimable(place: Place<'_>, header: &Header) -> Result<()> {
    match place.vfs.open_beside(place.path, &log_path(place.path), OpenMode::Read) {
        Ok(log) => head::expect_free(&*log, header),
        Err(_) => Ok(()),
    }
}

fn salvage(
    place: Place<'_>,
    header: Header,
    last_commit_seen: CommitNo,
    reason: &'static str,
) -> Result<OpenedLog> {
    let source = if header.clean { None } else { find_log(place)? };
    let recovered = match &source {
        Some(log) => Some(recovery::valid_row(&**log, place.codec, Start::of(&header))?),
        None => None,
    };
    let counters = recovered.as_ref().and_then(Recovered::counters);
    let kept = counters.unwrap_or(header.counters()).commit;
    let last_commit_seen = last_commit_seen.max(kept);
    let salvaged = Salvaged { kept, last_commit_seen, reason, damaged_log: None };
    if place.options.read_only {
        let header = HeaderSlots::found(header);
        return Ok(OpenedLog { header, log: source, recovered, salvaged: Some(salvaged) });
    }
    expect_nothing_later(place, kept, recovered.as_ref())?;
    let mut slots = HeaderSlots::found(header);
    let (log, damaged_log) = replace_log(place, &mut slots, source.as_deref(), recovered.as_ref())?;
    let recovered = match &log {
        // Whole now, and without a word of what came behind.
        Some(log) => Some(recovery::recover(&**log, place.codec, Start::of(slots.in_force()))?),
        None => None,
    };
    let salvaged = Some(Salvaged { damaged_log, ..salvaged });
    Ok(OpenedLog { header: slots, log, recovered, salvaged })
}

/// The log, or, where a salvage was interrupted, the one that it has renamed last.
fn find_log(place: Place<'_>) -> Result<Option<Arc<dyn VfsFile>>> {
    if let Some(log) = open_there(place, &log_path(place.path))? {
        return Ok(Some(log));
    }
    let (mut newest, mut number) = (None, 1);
    while let Some(log) = open_there(place, &damaged_path(place.path, number))? {
        newest = Some(log);
        number = number.saturating_add(1);
    }
    Ok(newest)
}

fn open_there(place: Place<'_>, path: &Path) -> Result<Option<Arc<dyn VfsFile>>> {
    match place.vfs.open_beside(place.path, path, OpenMode::Read) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("open a damaged log")(error)),
    }
}

/// Refuses when a page of the file was written by a commit after `kept`, and the log holds no earlier
/// version of it to put in its place.
fn expect_nothing_later(
    place: Place<'_>,
    kept: CommitNo,
    recovered: Option<&Recovered>,
) -> Result<()> {
    let commits = recovered.into_iter().flat_map(|recovered| &recovered.commits);
    let logged: HashSet<PageNo> =
        commits.flat_map(|commit| commit.frames.iter().map(|frame| frame.page_no)).collect();
    let len = place.main.len().map_err(Error::io("read the length of the database file"))?;
    let block_count = u32::try_from(len / BLOCK_BYTES as u64).unwrap_or(u32::MAX);
    let mut next = HEADER_BLOCKS;
    while next < block_count {
        let found = page_in_file(place, PageNo(next), block_count)?;
        let later = found.as_ref().filter(|page| page.version() > kept);
        if let Some(page) = later.filter(|page| !logged.contains(&page.page_no())) {
            let reason = "the file holds pages of the lost commits: it can only be read";
            return Err(Error::LogDamaged {
                first_bad: 0,
                last_commit_seen: page.version(),
                reason,
            });
        }
        let blocks = found.map_or(1, |page| u32::from(page.block_count()).max(1));
        next = next.saturating_add(blocks);
    }
    Ok(())
}

/// The whole page that begins at a block, if one does.
fn page_in_file(place: Place<'_>, page_no: PageNo, block_count: u32) -> Result<Option<Page>> {
    let at = u64::from(page_no.0).saturating_mul(BLOCK_BYTES as u64);
    let read =
        |bytes: &mut [u8]| read_full(place.main, bytes, at).map_err(Error::io("read a page"));
    let mut head = [0; page::HEADER_BYTES];
    read(&mut head)?;
    let blocks = u16_at(&head, BLOCK_COUNT_AT);
    if blocks == 0 || u32::from(blocks) > block_count.saturating_sub(page_no.0) {
        return Ok(None);
    }
    let mut bytes = vec![0; usize::from(blocks).saturating_mul(BLOCK_BYTES)];
    read(&mut bytes)?;
    let page = place.codec.open(&bytes).then(|| Page::from_bytes(bytes.into())).flatten();
    Ok(page.filter(|page| page.page_no() == page_no && page.kind().is_some()))
}

/// The log in the place of the damaged one, and where that one is now.
type Replaced = (Option<Arc<dyn VfsFile>>, Option<PathBuf>);

/// Puts a log that holds the valid row, and nothing else, in the place of the damaged one.
fn replace_log(
    place: Place<'_>,
    slots: &mut HeaderSlots,
    source: Option<&dyn VfsFile>,
    recovered: Option<&Recovered>,
) -> Result<Replaced> {
    let sync =
        |main: &dyn VfsFile| main.sync(SyncKind::Data).map_err(Error::io("sync the database file"));
    let log_path = log_path(place.path);
    if slots.in_force().clean {
        return Ok((None, set_aside(place, &log_path)?));
    }
    // With a log that ends early an older header could lead elsewhere than the one in force, which
    // may be in the page cache alone.
    slots.secure(place.main, &sync)?;
    let salvaged_path = salvage_path(place.path);
    write_log(place, &salvaged_path, slots.in_force(), source, recovered)?;
    let damaged_log = set_aside(place, &log_path)?;
    let renamed = place.vfs.rename_noreplace(&salvaged_path, &log_path);
    renamed.map_err(Error::io_of_writing("name the salvaged log"))?;
    sync_directory(place)?;
    let in_force = slots.in_force();
    let end = recovered.map_or(in_force.log_start.lsn, |recovered| recovered.end.lsn);
    if end < in_force.log_durable {
        let header = Header { log_durable: end, ..in_force.clone() };
        slots.write(place.main, header, &sync, &|| ())?;
    }
    let opened = place.vfs.open_beside(place.path, &log_path, OpenMode::Write);
    Ok((Some(opened.map_err(Error::io_of_writing("open the log"))?), damaged_log))
}

/// Writes a log of the records that count, each where it stands in the source, and syncs it.
fn write_log(
    place: Place<'_>,
    path: &Path,
    header: &Header,
    source: Option<&dyn VfsFile>,
    recovered: Option<&Recovered>,
) -> Result<()> {
    let what = || Error::io_of_writing("write the salvaged log");
    let opened = place.vfs.open_beside(place.path, path, OpenMode::Create);
    let file = opened.map_err(what())?;
    // One may be left of a salvage that was interrupted.
    file.set_len(0).map_err(what())?;
    head::claim(&*file, header.database_id, header.sequence)?;
    let least = header.log_start.position.max(BLOCK_BYTES as u64);
    file.set_len(least).map_err(what())?;
    if let Some((source, recovered)) = source.zip(recovered) {
        for (start, end) in recovered.space.stretches() {
            copy_bytes(source, &*file, start, end)?;
        }
    }
    file.sync(SyncKind::Full).map_err(what())
}

fn copy_bytes(source: &dyn VfsFile, target: &dyn VfsFile, start: u64, end: u64) -> Result<()> {
    const PART_BYTES: u64 = 1 << 20;
    let mut at = start;
    let mut part = Vec::new();
    while at < end {
        let len = end.saturating_sub(at).min(PART_BYTES);
        part.resize(usize::try_from(len).unwrap_or(0), 0);
        let read = read_full(source, &mut part, at).map_err(Error::io("read the log"))?;
        let bytes = part.get(..read).unwrap_or_default();
        write_all(target, bytes, at).map_err(Error::io_of_writing("write the salvaged log"))?;
        at = at.saturating_add(len);
    }
    Ok(())
}

/// Renames a log to a name that is free; `None` if there is no log.
fn set_aside(place: Place<'_>, path: &Path) -> Result<Option<PathBuf>> {
    for number in 1.. {
        let aside = damaged_path(place.path, number);
        match place.vfs.rename_noreplace(path, &aside) {
            Ok(()) => {
                sync_directory(place)?;
                return Ok(Some(aside));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io_of_writing("rename the damaged log")(error)),
        }
    }
    Ok(None)
}

fn sync_directory(place: Place<'_>) -> Result<()> {
    place.vfs.sync_dir(directory_of(place.path)).map_err(Error::io("sync the directory"))
}

fn damaged_path(path: &Path, number: u32) -> PathBuf {
    suffixed(path, &format!(".damaged-{number}"))
}

fn salvage_path(path: &Path) -> PathBuf {
    suffixed(path, ".salvage")
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = log_path(path).into_os_string();
    name.push(suffix);
    PathBuf::from(name)
}
