//! Backups: one snapshot as the bytes of a database of its own.
//!
//! The pages keep their numbers, free blocks are zeros, and the header says clean: there is no log.
//! A copy has an id of its own, so every page is sealed anew, and a log of the source is never taken
//! for one of the copy. Descriptors that ride in commit records since the log was last restarted are
//! brought into the descriptor tree in a write set that is never committed; its pages take the place
//! of the snapshot's. While the copy is made the snapshot is held, so writers and checkpoints go on,
//! and the copy never starts over.

use crate::checkpoint::fold;
use crate::codec::{Checksum, Codec};
use crate::engine::Shared;
use crate::error::{Error, Result};
use crate::header::{self, Header};
use crate::ids::{Counters, LogPoint, Lsn};
use crate::page::{BLOCK_BYTES, CommitNo};
use crate::progress::{Cancel, OnProgress, Task};
use crate::scan::{Chunk, Part, Scan, View};
use crate::state::CommitState;
use crate::sync::CountedArc;
use crate::tree::TreeDescriptor;
use crate::vfs::{Vfs, VfsFile, write_all};
use crate::write_set::{AllocationHint, Content, WriteSet};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

/// How a copy of a database is made: a backup, or a compacted one.
#[derive(Clone, Debug, Default)]
pub struct BackupOptions {
    /// Replace a database that is at the target. It stays as it is until the copy is whole and
    /// durable, whatever fails before.
    pub overwrite: bool,
    /// Read the copy back, every byte and every tree, before it gets its name.
    pub verify: bool,
    /// Ends the copying; nothing is left at the target.
    pub cancel: Cancel,
    /// Told how far the copying is.
    pub on_progress: Option<OnProgress>,
    /// The file system of the target; the store's own by default.
    pub vfs: Option<Arc<dyn Vfs>>,
}

impl BackupOptions {
    pub(crate) fn task(&self, total_blocks: u64) -> Task<'_> {
        Task::new(&self.cancel, self.on_progress.as_ref(), total_blocks)
    }
}

/// What a copy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupReport {
    /// The commit whose state it is.
    pub commit: CommitNo,
    /// Bytes of the file.
    pub file_bytes: u64,
}

/// What a new database needs besides its pages.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    id: [u8; 16],
    salt: [u8; 16],
}

impl Identity {
    pub(crate) fn new(vfs: &dyn Vfs) -> Result<Self> {
        let mut identity = Self { id: [0; 16], salt: [0; 16] };
        for part in [&mut identity.id, &mut identity.salt] {
            vfs.random(part).map_err(Error::io("draw random bytes"))?;
        }
        Ok(identity)
    }

    pub(crate) fn codec(&self) -> Checksum {
        Checksum::new(self.id)
    }

    /// The header of a closed database.
    pub(crate) fn header(&self, counters: Counters, tree_zero: TreeDescriptor) -> Header {
        Header {
            write_version: header::FORMAT_VERSION,
            database_id: self.id,
            sequence: 0,
            clean: true,
            commit: counters.commit,
            block_count: counters.block_count,
            free_blocks: counters.free_blocks,
            next_tree: counters.next_tree,
            catalog_version: counters.catalog_version,
            salt: self.salt,
            tree_zero,
            log_start: LogPoint::default(),
            log_durable: Lsn(0),
        }
    }
}

/// A snapshot as the file of another database.
#[derive(Debug)]
pub(crate) struct Image<'e> {
    /// Holds back the checkpoints.
    _snapshot: CountedArc<CommitState>,
    view: View<'e>,
    codec: Checksum,
    header: Header,
}

impl<'e> Image<'e> {
    /// The image of the newest commit.
    pub(crate) fn of(engine: &'e Shared) -> Result<Self> {
        // The closing checkpoint waits for no snapshot: what it has overwritten is not damaged.
        Self::of_newest(engine).or_else(|error| engine.expect_open().and(Err(error)))
    }

    fn of_newest(engine: &'e Shared) -> Result<Self> {
        let snapshot = engine.snapshot()?;
        let commit = snapshot.commit();
        let pager = Arc::clone(&engine.pager);
        let mut set = WriteSet::new(pager, CountedArc::clone(&snapshot), AllocationHint::default());
        let tree_zero = fold(&mut set, &snapshot)?;
        set.trim()?;
        let counters = set.counters;
        let mut changed = BTreeMap::new();
        for (page_no, dirty) in set.into_pages().0 {
            let Content::Resident(mut page) = dirty.content else {
                return Err(Error::Internal("a page was spilled without a log"));
            };
            page.set_version(commit);
            changed.insert(page_no, page);
        }
        let identity = Identity::new(&*engine.vfs)?;
        let view = View::new(engine, commit, counters.block_count).with_changed(changed);
        Ok(Self {
            _snapshot: snapshot,
            view,
            codec: identity.codec(),
            header: identity.header(counters, tree_zero),
        })
    }

    pub(crate) fn block_count(&self) -> u32 {
        self.view.block_count
    }

    pub(crate) fn report(&self) -> BackupReport {
        BackupReport { commit: self.header.commit, file_bytes: bytes_of(self.view.block_count) }
    }

    /// Writes the image from its first byte to its last.
    pub(crate) fn write(&self, sink: &mut dyn Sink, task: &Task<'_>) -> Result<()> {
        task.expect_wanted()?;
        sink.bytes(&header::encode_blocks(&self.header)?)?;
        task.advance(header::HEADER_BLOCKS.into())?;
        let mut scan: Scan<'_> = self.view.scan();
        while let Some(chunk) = scan.next_chunk()? {
            self.write_chunk(sink, &chunk, task)?;
        }
        sink.finish()
    }

    fn write_chunk(&self, sink: &mut dyn Sink, chunk: &Chunk, task: &Task<'_>) -> Result<()> {
        let mut pages = Vec::new();
        for part in &chunk.parts {
            match *part {
                Part::Page(located) => {
                    let mut page = self.view.page(chunk, located)?;
                    self.codec.seal(page.make_mut());
                    pages.extend_from_slice(page.bytes());
                }
                Part::Free { blocks, .. } => {
                    sink.bytes(&pages)?;
                    pages.clear();
                    sink.zeros(bytes_of(blocks))?;
                }
                Part::Damaged { first, reason, .. } => {
                    return Err(self.view.damage(first, reason));
                }
            }
        }
        sink.bytes(&pages)?;
        task.advance(chunk.blocks.into())
    }
}

fn bytes_of(blocks: u32) -> u64 {
    u64::from(blocks) * BLOCK_BYTES as u64
}

/// Where an image goes.
pub(crate) trait Sink {
    fn bytes(&mut self, bytes: &[u8]) -> Result<()>;
    fn zeros(&mut self, len: u64) -> Result<()>;
    fn finish(&mut self) -> Result<()>;
}

/// A new file, in which zeros are holes.
#[derive(Debug)]
pub(crate) struct FileSink<'f> {
    pub(crate) file: &'f dyn VfsFile,
    pub(crate) end: u64,
}

impl Sink for FileSink<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        write_all(self.file, bytes, self.end).map_err(Error::io("write the backup"))?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    fn zeros(&mut self, len: u64) -> Result<()> {
        self.end += len;
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.file.set_len(self.end).map_err(Error::io("write the backup"))
    }
}

/// Anything that takes bytes.
pub(crate) struct WriteSink<'w>(pub(crate) &'w mut dyn Write);

impl Sink for WriteSink<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(bytes).map_err(Error::io("write the backup"))
    }

    fn zeros(&mut self, mut len: u64) -> Result<()> {
        static ZEROS: [u8; 16 * BLOCK_BYTES] = [0; 16 * BLOCK_BYTES];
        while len > 0 {
            let part = usize::try_from(len).map_or(ZEROS.len(), |len| len.min(ZEROS.len()));
            self.bytes(ZEROS.get(..part).unwrap_or(&ZEROS))?;
            len -= part as u64;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.0.flush().map_err(Error::io("write the backup"))
    }
}
