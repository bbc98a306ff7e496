//! The files of a store, found or made, before anything in them counts.
//!
//! A path is resolved once; from then on neither links nor the current directory matter. The file is
//! claimed before anything is read from it, and after the claim the path must still name it: while
//! this process waited, somebody may have put another file there. A new database comes into being
//! under a temporary name and gets its own when it is whole and synced.

use crate::codec::{Checksum, Codec};
use crate::engine::{directory_of, log_path};
use crate::error::{Error, LockHolder, Result, is_refusal_to_write};
use crate::header::{self, HEADER_BLOCKS, Header, SLOT_COUNT};
use crate::ids::{Counters, LogPoint, Lsn, TREE_ZERO};
use crate::in_place;
use crate::log;
use crate::log::head::{self, Head};
use crate::options::StoreOptions;
use crate::page::{BLOCK_BYTES, CommitNo, PageNo};
use crate::pager::{Files, Pager};
use crate::registry::Claim;
use crate::state::CommitState;
use crate::sync::CountedArc;
use crate::tree::{self, INDEX_PAGE_BLOCKS, TreeDescriptor};
use crate::vfs::{LockMode, OpenMode, SyncKind, Vfs, VfsFile, try_lock, write_all};
use crate::write_set::{AllocationHint, Content, WriteSet};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A database file that is ours to use.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Where it is, without links.
    pub(crate) path: PathBuf,
    pub(crate) main: Arc<dyn VfsFile>,
    pub(crate) claim: Claim,
}

/// Opens and claims the database file, which is made first if that is asked for and there is none.
pub(crate) fn open_main(vfs: &Arc<dyn Vfs>, path: &Path, options: &StoreOptions) -> Result<Opened> {
    /// Each further one takes somebody who removed or replaced the file in between.
    const ATTEMPTS: usize = 64;
    let may_create = options.create && !options.read_only;
    let path = resolve(&**vfs, path, may_create)?;
    let mut is_creator = false;
    for attempt in 0..ATTEMPTS {
        let Some(main) = open_existing(&**vfs, &path, options)? else {
            if !may_create {
                return Err(Error::NotFound);
            }
            create(&**vfs, &path)?;
            is_creator = true;
            continue;
        };
        let mode = if options.read_only { LockMode::Shared } else { LockMode::Exclusive };
        let timeout = options.lock_timeout.unwrap_or(options.busy_timeout);
        let claim = match Claim::take(vfs, &main, mode, timeout) {
            // Others who met the file while it was being made look at its lock and go away: of many
            // who create a path at once, one has to get it.
            Err(Error::Locked { .. }) if is_creator && attempt + 1 < ATTEMPTS => {
                vfs.pause(Duration::from_millis(1));
                continue;
            }
            taken => taken?,
        };
        if !in_place::names(&**vfs, &path, &*main)? {
            continue;
        }
        let is_empty =
            main.is_empty().map_err(Error::io("read the length of the database file"))?;
        if is_empty && may_create {
            // Somebody made it to have the name, as `tempfile` does.
            vfs.remove(&path).map_err(Error::io_of_writing("replace an empty file"))?;
            continue;
        }
        return Ok(Opened { path, main, claim });
    }
    let source = io::Error::other("it is replaced again and again");
    Err(Error::io("open the database file")(source))
}

fn resolve(vfs: &dyn Vfs, path: &Path, may_create: bool) -> Result<PathBuf> {
    vfs.resolve(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound if !may_create => Error::NotFound,
        _ => Error::io("find the folder of the database")(error),
    })
}

/// `None` if there is no such file.
fn open_existing(
    vfs: &dyn Vfs,
    path: &Path,
    options: &StoreOptions,
) -> Result<Option<Arc<dyn VfsFile>>> {
    let mode = if options.read_only { OpenMode::Read } else { OpenMode::Write };
    match vfs.open(path, mode) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if mode == OpenMode::Write && is_refusal_to_write(&error) => {
            let readable = vfs.open(path, OpenMode::Read).is_ok();
            Err(if readable { Error::ReadOnly } else { Error::io("open the database file")(error) })
        }
        opened => opened.map(Some).map_err(Error::io("open the database file")),
    }
}

/// Makes a new database under a temporary name and moves it into place, whole and durable. If
/// somebody else was faster, theirs stays.
///
/// It is locked until its name is durable. A name whose sync failed is there for everybody who looks,
/// but no later sync would make it durable; so it is taken back, and whoever comes next makes a
/// database of his own. Nobody can have put anything into this one.
fn create(vfs: &dyn Vfs, path: &Path) -> Result<()> {
    let mut random = [0u8; 40];
    vfs.random(&mut random).map_err(Error::io("draw random bytes"))?;
    let (id, rest) = random.split_at(16);
    let (salt, suffix) = rest.split_at(16);
    let temporary = temporary_path(path, suffix);
    let file = vfs
        .open(&temporary, OpenMode::CreateNew)
        .map_err(Error::io_of_writing("make a new database"))?;
    let named = write_new(Arc::clone(&file), copy(id), copy(salt))
        .and_then(|()| name_new(vfs, &*file, &temporary, path));
    if named.is_err() {
        // The name is ours alone; a second failure changes nothing.
        let _ = vfs.remove(&temporary);
    }
    let is_ours = named?;
    vfs.sync_dir(directory_of(path)).map_err(|error| {
        if is_ours {
            let _ = vfs.remove(path);
        }
        Error::io("sync the directory")(error)
    })
}

/// Gives a new database its name, under its lock; false if somebody else's has it.
fn name_new(vfs: &dyn Vfs, file: &dyn VfsFile, temporary: &Path, path: &Path) -> Result<bool> {
    if !try_lock(file, LockMode::Exclusive).map_err(Error::io("lock the new database"))? {
        return Err(Error::Locked { holder: LockHolder::Unknown });
    }
    match vfs.rename_noreplace(temporary, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            vfs.remove(temporary).map_err(Error::io("remove a temporary file"))?;
            Ok(false)
        }
        renamed => renamed.map(|()| true).map_err(Error::io("name the new database")),
    }
}

fn copy(bytes: &[u8]) -> [u8; 16] {
    bytes.first_chunk().copied().unwrap_or_default()
}

fn temporary_path(path: &Path, random: &[u8]) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new-");
    for byte in random {
        name.push(format!("{byte:02x}"));
    }
    PathBuf::from(name)
}

/// The first state of a database: header slots, the first bitmap, an empty descriptor tree.
fn write_new(file: Arc<dyn VfsFile>, database_id: [u8; 16], salt: [u8; 16]) -> Result<()> {
    let first = CommitNo(1);
    let counters = Counters {
        commit: CommitNo(0),
        block_count: HEADER_BLOCKS,
        free_blocks: 0,
        next_tree: 1,
        catalog_version: 0,
    };
    let codec: Box<dyn Codec> = Box::new(Checksum::new(database_id));
    let files = Files { main: Arc::clone(&file), log: None };
    let pager = Arc::new(Pager::new(codec, 0, files));
    let nothing = TreeDescriptor {
        id: TREE_ZERO,
        root: PageNo(0),
        page_blocks: INDEX_PAGE_BLOCKS,
        entry_count: 0,
        key_bytes: 0,
        value_bytes: 0,
        block_count: 0,
        page_count: 0,
    };
    let base = CountedArc::new(CommitState::new(counters, nothing, BTreeMap::new()));
    let mut set = WriteSet::new(Arc::clone(&pager), base, AllocationHint::default());
    let tree_zero = tree::create(&mut set, TREE_ZERO, INDEX_PAGE_BLOCKS, PageNo(0))?;
    let counters = set.counters;
    for (page_no, dirty) in set.into_pages().0 {
        let Content::Resident(mut page) = dirty.content else {
            return Err(Error::Internal("a page was spilled without a log"));
        };
        page.set_version(first);
        pager.codec.seal(page.make_mut());
        let at = u64::from(page_no.0) * BLOCK_BYTES as u64;
        write_all(&*file, page.bytes(), at).map_err(Error::io("write a new database"))?;
    }
    for sequence in 0..SLOT_COUNT as u64 {
        let header = Header {
            write_version: header::FORMAT_VERSION,
            database_id,
            sequence,
            clean: true,
            commit: first,
            block_count: counters.block_count,
            free_blocks: counters.free_blocks,
            next_tree: counters.next_tree,
            catalog_version: counters.catalog_version,
            salt,
            tree_zero,
            log_start: LogPoint::default(),
            log_durable: Lsn(0),
        };
        header::write(&*file, &header)?;
    }
    file.sync(SyncKind::Full).map_err(Error::io("sync a new database"))
}

/// The log that the header counts on; `None` after a clean close.
pub(crate) fn open_log(
    vfs: &dyn Vfs,
    path: &Path,
    header: &Header,
    options: &StoreOptions,
) -> Result<Option<Arc<dyn VfsFile>>> {
    if header.clean {
        return expect_no_newer_log(vfs, path, header).map(|()| None);
    }
    let mode = if options.read_only { OpenMode::Read } else { OpenMode::Write };
    let log = match vfs.open_beside(path, &log_path(path), mode) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(log::foreign("the log is missing"));
        }
        opened if options.read_only => opened.map_err(Error::io("open the log"))?,
        opened => opened.map_err(Error::io_of_writing("open the log"))?,
    };
    match head::read(&*log)? {
        Head::Of { database_id, .. } if database_id != header.database_id => {
            Err(log::foreign("it belongs to another database"))
        }
        Head::Of { claimed_by, .. } if claimed_by > header.sequence => {
            Err(log::foreign("it is newer than the file"))
        }
        Head::Of { .. } => Ok(Some(log)),
        Head::Newer(found) => {
            Err(Error::UnsupportedFormat { found, supported: header::FORMAT_VERSION })
        }
        Head::Unwritten | Head::Damaged => Err(log::foreign("its head is damaged")),
    }
}

/// Beside a clean file whatever has the log's name may be anything but a log with more commits: then
/// this file is an older copy. What else is wrong with it concerns the first write.
fn expect_no_newer_log(vfs: &dyn Vfs, path: &Path, header: &Header) -> Result<()> {
    match vfs.open_beside(path, &log_path(path), OpenMode::Read) {
        Ok(log) => head::expect_spent(&*log, header),
        Err(_) => Ok(()),
    }
}
