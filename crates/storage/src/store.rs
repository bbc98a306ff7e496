//! The store: one file with its log, opened, read, written, checked and closed.

use crate::check::{self, CheckOptions, CheckReport, VerifyOptions, VerifyReport};
use crate::checkpoint::{CheckpointReport, Ending};
use crate::codec::{Checksum, Codec};
use crate::directory::LoggedPage;
use crate::engine::{Engine, FreedBlocks, LogState, Shared, directory_of, log_path, state_of};
use crate::error::{Error, Result};
use crate::header::{self, HEADER_BLOCKS, Header, SLOT_COUNT};
use crate::ids::TREE_ZERO;
use crate::log::record::{FrameHeader, FrameKind};
use crate::log::recovery::{self, Counters, Recovered};
use crate::log::{self, FIRST_RECORD, FileHeader};
use crate::options::StoreOptions;
use crate::page::{BLOCK_BYTES, CommitNo, PageNo};
use crate::pager::{Files, Pager};
use crate::state::CommitState;
use crate::stats::StoreStats;
use crate::tree::{self, INDEX_PAGE_BLOCKS, TreeDescriptor};
use crate::txn::{ReadTx, WriteTx};
use crate::vfs::{LockMode, OpenMode, SyncKind, Vfs, VfsFile, write_all};
use crate::write_set::{AllocationHint, WriteSet};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// An open database file. Clones share it.
///
/// The store closes itself when the last clone and the last transaction and cursor are gone; errors
/// of that close are lost, so call [`Store::close`] to see them.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) engine: Arc<Shared>,
}

impl Store {
    /// Opens a database, or makes one.
    ///
    /// A clean open reads the header slots. After a crash the log is read to its end, and the
    /// first write transaction makes what was recovered durable before it begins. Nothing is
    /// written before the first write transaction.
    ///
    /// # Errors
    /// `NotFound` without `create`, `Locked` when the file is open elsewhere, `NotADatabase`,
    /// `UnsupportedFormat`, `Corrupt` when all header slots are damaged, `LogDamaged`, `Io`.
    pub fn open(vfs: Arc<dyn Vfs>, path: &Path, options: StoreOptions) -> Result<Self> {
        let main = open_main(&*vfs, path, &options)?;
        let mode = if options.read_only { LockMode::Shared } else { LockMode::Exclusive };
        if !main.try_lock(mode).map_err(Error::io("lock the database file"))? {
            return Err(Error::Locked);
        }
        let header = header::current(header::read_slots(&*main)?)?;
        let codec: Box<dyn Codec> = Box::new(Checksum::new(header.database_id));
        if !options.read_only {
            header.expect_writable()?;
        }
        expect_blocks(&*main, HEADER_BLOCKS + 1)?;
        let log = open_log(&*vfs, path, &header, &options)?;
        let recovered = match &log {
            Some(log) => {
                let (salt, start) = (header.salt, header.log_start);
                Some(recovery::recover(&**log, &*codec, salt, start, state_of(&header))?)
            }
            None => None,
        };
        expect_blocks(&*main, least_block_count(&header, recovered.as_ref()))?;
        let pager = Pager::new(codec, options.cache_bytes, Files { main, log });
        let freed = recovered.as_ref().map(|r| install(&pager, r)).unwrap_or_default();
        let state = opened_state(&header, recovered.as_ref());
        let log = match recovered {
            Some(recovered) => LogState::Recovered(Box::new(recovered)),
            None => LogState::Clean,
        };
        let engine = Engine::new(vfs, path, options, pager, state, (log, header, freed));
        Ok(Self { engine: Arc::new(Shared(Arc::new(engine))) })
    }

    /// A snapshot of the last commit. Takes no lock and makes no system call.
    ///
    /// # Errors
    /// `Closed`.
    pub fn begin_read(&self) -> Result<ReadTx> {
        Ok(ReadTx::new(Arc::clone(&self.engine), self.engine.snapshot()?))
    }

    /// Begins a write transaction, after the one that is open.
    ///
    /// # Errors
    /// `ReadOnly`, `Failed`, `Closed`; `Io` and `NoSpace` when the log cannot be made ready.
    pub fn begin_write(&self) -> Result<WriteTx> {
        WriteTx::begin(&self.engine, None)
    }

    /// Begins a write transaction, if the open one ends in time.
    ///
    /// # Errors
    /// `Busy` when it does not; else as [`Store::begin_write`].
    pub fn begin_write_timeout(&self, timeout: Duration) -> Result<WriteTx> {
        WriteTx::begin(&self.engine, Some(timeout))
    }

    /// Copies the log into the file and, if no writer and no older snapshot stands in the way,
    /// starts it anew. Durable when it returns.
    ///
    /// # Errors
    /// `NoSpace`, `Io`; the log is kept and nothing is lost.
    pub fn checkpoint(&self) -> Result<CheckpointReport> {
        self.engine.checkpoint()
    }

    /// Looks at what is cheap to look at: the header slots, the length of the file, the ends of the
    /// descriptor tree, every root, the free-space map, and a random sample of pages.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn quick_check(&self) -> Result<()> {
        check::quick_check(&self.engine)
    }

    /// Walks every tree of a snapshot and compares what it reaches with the free-space map.
    ///
    /// # Errors
    /// `Io` and `Closed`; damage is in the report.
    pub fn integrity_check(&self) -> Result<CheckReport> {
        check::integrity_check(&self.engine, &CheckOptions::default())
    }

    /// Reads every byte of the file: header slots, pages, free space, and the head of the log.
    ///
    /// # Errors
    /// `Io` and `Closed`; damage is in the report.
    pub fn verify(&self) -> Result<VerifyReport> {
        check::verify(&self.engine, &VerifyOptions::default())
    }

    /// Sizes and counters.
    ///
    /// # Errors
    /// `Closed`, `Io`.
    pub fn stats(&self) -> Result<StoreStats> {
        StoreStats::of(&self.engine)
    }

    /// A file without a name beside the database, for what does not fit into memory.
    ///
    /// # Errors
    /// `NoSpace`, `Io`, `ReadOnly`.
    pub fn open_temporary(&self) -> Result<Arc<dyn VfsFile>> {
        let directory = directory_of(&self.engine.path);
        self.engine.vfs.open_temporary(directory).map_err(Error::io("make a temporary file"))
    }

    /// Ends all work, copies the log into the file and gives up the lock. Open transactions and
    /// cursors answer `Closed` from now on; a write transaction that was open is rolled back.
    ///
    /// # Errors
    /// `Closed` if it is closed already. With every other error the store is closed too, and the
    /// next open recovers what the file lacks from the log; `Failed` when an earlier failure keeps
    /// the close from making it durable.
    pub fn close(&self) -> Result<()> {
        self.engine.expect_open()?;
        self.engine.close()
    }
}

impl Engine {
    /// Closes, once.
    pub(crate) fn close(&self) -> Result<()> {
        self.signal.stop();
        // Before the wait for the checkpoint, which may itself wait for an open write transaction.
        self.writer.close();
        let _checkpointing = self.checkpointing.lock().unwrap_or_else(PoisonError::into_inner);
        {
            // Under the log's lock, so that no commit is half done.
            let _tail = self.tail();
            if !self.set_closed() {
                return Ok(());
            }
        }
        let outcome = self.write_back();
        self.tail().log = LogState::Clean;
        // Waits for the reads in flight; the lock goes with the file.
        drop(self.pager.take_files());
        outcome
    }

    /// Leaves the file alone to hold everything, and removes the log.
    fn write_back(&self) -> Result<()> {
        if self.options.read_only {
            return Ok(());
        }
        self.expect_unfailed()?;
        self.resume_log()?;
        if !matches!(self.tail().log, LogState::Open(_)) {
            return Ok(());
        }
        self.restart_log(Ending::Close)?;
        self.vfs.remove(&log_path(&self.path)).map_err(Error::io("remove the log"))?;
        self.sync_directory()
    }
}

fn open_main(vfs: &dyn Vfs, path: &Path, options: &StoreOptions) -> Result<Arc<dyn VfsFile>> {
    let mode = if options.read_only { OpenMode::Read } else { OpenMode::Write };
    let may_create = options.create && !options.read_only;
    loop {
        match vfs.open(path, mode) {
            Ok(file) => {
                let is_empty =
                    file.is_empty().map_err(Error::io("read the length of the database file"))?;
                if !(is_empty && may_create) {
                    return Ok(file);
                }
                remove_empty(vfs, path, &*file)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && may_create => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::NotFound),
            Err(error) => return Err(Error::io("open the database file")(error)),
        }
        create(vfs, path)?;
    }
}

/// Removes an empty file, which somebody made to have the name, as `tempfile` does. Under its lock
/// and after a second look: since the first one, another opener may have put a database there.
fn remove_empty(vfs: &dyn Vfs, path: &Path, file: &dyn VfsFile) -> Result<()> {
    let what = || Error::io("replace an empty file");
    if !file.try_lock(LockMode::Exclusive).map_err(Error::io("lock the database file"))? {
        return Err(Error::Locked);
    }
    let named = match vfs.open(path, OpenMode::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(what())?,
    };
    let is_ours = named.identity().map_err(what())? == file.identity().map_err(what())?;
    if is_ours && named.is_empty().map_err(what())? {
        vfs.remove(path).map_err(what())?;
    }
    Ok(())
}

/// Makes a new database under a temporary name and moves it into place, whole and durable. If
/// somebody else was faster, theirs stays.
fn create(vfs: &dyn Vfs, path: &Path) -> Result<()> {
    let mut random = [0u8; 40];
    vfs.random(&mut random).map_err(Error::io("draw random bytes"))?;
    let (id, rest) = random.split_at(16);
    let (salt, suffix) = rest.split_at(16);
    let temporary = temporary_path(path, suffix);
    let file =
        vfs.open(&temporary, OpenMode::CreateNew).map_err(Error::io("make a new database"))?;
    let written = write_new(file, copy(id), copy(salt)).and_then(|()| {
        match vfs.rename_noreplace(&temporary, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                vfs.remove(&temporary).map_err(Error::io("remove a temporary file"))
            }
            renamed => renamed.map_err(Error::io("name the new database")),
        }
    });
    if written.is_err() {
        // The name is ours alone; a second failure changes nothing.
        let _ = vfs.remove(&temporary);
    }
    written?;
    vfs.sync_dir(directory_of(path)).map_err(Error::io("sync the directory"))
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
    let base = Arc::new(CommitState::new(counters, nothing, BTreeMap::new()));
    let mut set = WriteSet::new(Arc::clone(&pager), base, AllocationHint::default());
    let tree_zero = tree::create(&mut set, TREE_ZERO, INDEX_PAGE_BLOCKS, PageNo(0))?;
    let counters = set.counters;
    for (page_no, mut dirty) in set.into_pages().0 {
        dirty.page.set_version(first);
        pager.codec.seal(dirty.page.make_mut());
        let at = u64::from(page_no.0) * BLOCK_BYTES as u64;
        write_all(&*file, dirty.page.bytes(), at).map_err(Error::io("write a new database"))?;
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
            log_start: FIRST_RECORD,
        };
        header::write(&*file, &header)?;
    }
    file.sync(SyncKind::Full).map_err(Error::io("sync a new database"))
}

/// The file is never shorter than its header in force says, unless a later commit gave blocks back:
/// a close cuts the file before it writes the header that says so.
fn least_block_count(header: &Header, recovered: Option<&Recovered>) -> u32 {
    let commits = recovered.into_iter().flat_map(|recovered| &recovered.commits);
    let logged = commits.map(|commit| commit.header.block_count);
    logged.fold(header.block_count, u32::min)
}

/// Refuses a file that was cut.
fn expect_blocks(main: &dyn VfsFile, block_count: u32) -> Result<()> {
    let len = main.len().map_err(Error::io("read the length of the database file"))?;
    if len < u64::from(block_count) * BLOCK_BYTES as u64 {
        return Err(Error::corrupt(PageNo(0), "the file is shorter than its header says"));
    }
    Ok(())
}

/// The log that the header counts on; `None` after a clean close.
fn open_log(
    vfs: &dyn Vfs,
    path: &Path,
    header: &Header,
    options: &StoreOptions,
) -> Result<Option<Arc<dyn VfsFile>>> {
    if header.clean {
        return Ok(None);
    }
    let mode = if options.read_only { OpenMode::Read } else { OpenMode::Write };
    let log = match vfs.open(&log_path(path), mode) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(log::foreign("the log is missing"));
        }
        opened => opened.map_err(Error::io("open the log"))?,
    };
    match log::read_file_header(&*log)? {
        FileHeader::Of(id) if id == header.database_id => Ok(Some(log)),
        FileHeader::Of(_) => Err(log::foreign("it belongs to another database")),
        FileHeader::Newer(found) => {
            Err(Error::UnsupportedFormat { found, supported: header::FORMAT_VERSION })
        }
        FileHeader::Unwritten | FileHeader::Damaged => Err(log::foreign("its head is damaged")),
    }
}

/// Enters what recovery found into the directory; returns the freed blocks.
fn install(pager: &Pager, recovered: &Recovered) -> Vec<FreedBlocks> {
    let mut freed = Vec::new();
    for commit in &recovered.commits {
        let version = commit.header.commit;
        for (frame, position) in commit.placed(commit.images_at) {
            let FrameHeader { page_no, block_count, .. } = frame;
            match frame.kind {
                FrameKind::Image => pager.directory.install_logged(LoggedPage {
                    page_no,
                    block_count,
                    version,
                    position,
                }),
                FrameKind::Freed => {
                    pager.directory.install_freed(page_no, version, version);
                    freed.push(FreedBlocks { version, page_no, block_count });
                }
            }
        }
    }
    freed
}

fn opened_state(header: &Header, recovered: Option<&Recovered>) -> CommitState {
    let counters = recovered.and_then(Recovered::counters).unwrap_or(state_of(header));
    let mut changed = recovered.map(Recovered::descriptors).unwrap_or_default();
    let tree_zero = changed.remove(&TREE_ZERO).flatten().unwrap_or(header.tree_zero);
    CommitState::new(counters, tree_zero, changed)
}

/// The store and its snapshots may be shared between threads.
const _: () = {
    const fn shared<T: Send + Sync + 'static>() {}
    const fn sendable<T: Send + 'static>() {}
    shared::<Store>();
    shared::<ReadTx>();
    sendable::<WriteTx>();
};
