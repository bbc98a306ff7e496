//! Reading pages: from memory, from the log, or from the file, as of a snapshot.

use crate::codec::Codec;
use crate::directory::{Directory, LoggedPage, Lookup, Place};
use crate::error::{Error, Result};
use crate::options::StoreOptions;
use crate::page::{BLOCK_BYTES, CommitNo, Page, PageKind, PageNo, TreeId, expect_page};
use crate::planted::is_planted;
use crate::registry::Claim;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Arc, PoisonError, RwLock};
use crate::tree;
use crate::vfs::{VfsFile, read_full};

/// How often a look-up is repeated because a checkpoint moved the page meanwhile.
const MAX_LOOKUPS: usize = 64;

/// The open files. The log is there once something was logged.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) main: Arc<dyn VfsFile>,
    pub(crate) log: Option<Arc<dyn VfsFile>>,
}

/// Reads and keeps pages.
#[derive(Debug)]
pub(crate) struct Pager {
    pub(crate) codec: Box<dyn Codec>,
    pub(crate) directory: Arc<Directory>,
    /// `None` once closed. Held for reading over the I/O of one page, so that closing waits for
    /// reads in flight and for nothing else.
    files: RwLock<Option<Files>>,
    /// `None` for a file that nobody else can know of yet.
    claim: Option<Claim>,
    page_reads: AtomicU64,
    damaged_reads: AtomicU64,
    /// The file is read through a map up to here.
    mmap_bytes: u64,
}

impl Pager {
    /// A pager with the memory that the options allow.
    pub(crate) fn open(codec: Box<dyn Codec>, options: &StoreOptions, files: Files) -> Self {
        let directory = Directory::new(options.cache_bytes, options.page_buffer.clone());
        Self::over(codec, directory, options.mmap_bytes, files)
    }

    pub(crate) fn new(codec: Box<dyn Codec>, cache_bytes: u64, files: Files) -> Self {
        Self::over(codec, Directory::new(cache_bytes, None), 0, files)
    }

    fn over(
        codec: Box<dyn Codec>,
        directory: Arc<Directory>,
        mmap_bytes: u64,
        files: Files,
    ) -> Self {
        let files = RwLock::new(Some(files));
        let (page_reads, damaged_reads) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { codec, directory, files, claim: None, page_reads, damaged_reads, mmap_bytes }
    }

    /// The same under a claim, which ends with the files and keeps forked children away from them.
    pub(crate) fn claimed(self, claim: Claim) -> Self {
        Self { claim: Some(claim), ..self }
    }

    /// Gives the files up, after the reads in flight, and the memory for other databases to use.
    fn take_files(&self) -> Option<Files> {
        let files = self.files.write().unwrap_or_else(PoisonError::into_inner).take();
        self.directory.clear();
        files
    }

    /// Closes the files, after the reads in flight, and ends the claim.
    pub(crate) fn close_files(&self) {
        let files = self.take_files();
        if let Some(claim) = &self.claim {
            claim.release();
        }
        drop(files);
    }

    /// # Errors
    /// `Forked` in a child of the process that opened the files.
    pub(crate) fn expect_same_process(&self) -> Result<()> {
        let is_inherited = self.claim.as_ref().is_some_and(Claim::is_inherited);
        if is_inherited { Err(Error::Forked) } else { Ok(()) }
    }

    pub(crate) fn set_log(&self, log: Arc<dyn VfsFile>) {
        if let Some(files) = &mut *self.files.write().unwrap_or_else(PoisonError::into_inner) {
            files.log = Some(log);
        }
    }

    /// Runs `action` with the files.
    pub(crate) fn with_files<R>(&self, action: impl FnOnce(&Files) -> Result<R>) -> Result<R> {
        self.expect_same_process()?;
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        action(files.as_ref().ok_or(Error::Closed)?)
    }

    pub(crate) fn page_read_count(&self) -> u64 {
        self.page_reads.load(Ordering::Relaxed)
    }

    /// How often a page was not what had been written.
    pub(crate) fn damaged_read_count(&self) -> u64 {
        self.damaged_reads.load(Ordering::Relaxed)
    }

    fn count_damage(&self, error: Error) -> Error {
        if matches!(error, Error::Corrupt { .. }) {
            self.damaged_reads.fetch_add(1, Ordering::Relaxed);
        }
        error
    }

    /// The page as `snapshot` sees it.
    pub(crate) fn read(
        &self,
        page_no: PageNo,
        tree: TreeId,
        blocks: u16,
        snapshot: CommitNo,
    ) -> Result<Page> {
        let mut last_place = None;
        for _ in 0..MAX_LOOKUPS {
            let (place, version) = match self.directory.look_up(page_no, snapshot) {
                Lookup::Resident(page) => {
                    expect_page(&page, page_no, tree, blocks)?;
                    return Ok(page);
                }
                Lookup::Freed => return Err(Error::corrupt(page_no, "is in use and free at once")),
                Lookup::At(place, version) => (place, version),
            };
            let bytes = self.read_bytes(place, page_no, blocks)?;
            match self.accept(bytes, page_no, place, version, snapshot) {
                Ok(page) => {
                    expect_page(&page, page_no, tree, blocks)?;
                    self.directory.keep(&page, place);
                    return Ok(page);
                }
                // The place may have been used again since the look-up. If the directory still
                // names it, it is damaged.
                Err(error) if last_place == Some((place, version)) => {
                    return Err(self.count_damage(error));
                }
                Err(_) => last_place = Some((place, version)),
            }
        }
        Err(Error::Busy)
    }

    fn read_bytes(&self, place: Place, page_no: PageNo, blocks: u16) -> Result<Option<Arc<[u8]>>> {
        self.page_reads.fetch_add(1, Ordering::Relaxed);
        self.with_files(|files| self.bytes_at(files, place, page_no, blocks))
    }

    /// The bytes at a place, not yet verified. `None` stands for a read beyond the end.
    fn bytes_at(
        &self,
        files: &Files,
        place: Place,
        page_no: PageNo,
        blocks: u16,
    ) -> Result<Option<Arc<[u8]>>> {
        match place {
            Place::File => {
                let at = u64::from(page_no.0) * BLOCK_BYTES as u64;
                read_blocks(&*files.main, at, blocks, |buf| {
                    if self.mmap_bytes > 0 && files.main.read_mapped(buf, at, self.mmap_bytes) {
                        return Ok(buf.len());
                    }
                    read_full(&*files.main, buf, at).map_err(Error::io("read a page"))
                })
            }
            Place::Log(position) => {
                let log = files.log.as_ref().ok_or(Error::Internal("no log to read from"))?;
                read_blocks(&**log, position, blocks, |buf| {
                    read_full(&**log, buf, position).map_err(Error::io("read a page from the log"))
                })
            }
            Place::Freed => Ok(None),
        }
    }

    /// Verifies bytes that were read from the place of a page in the file.
    pub(crate) fn accept_in_file(
        &self,
        bytes: Arc<[u8]>,
        page_no: PageNo,
        snapshot: CommitNo,
    ) -> Result<Page> {
        self.accept(Some(bytes), page_no, Place::File, CommitNo(0), snapshot)
    }

    /// Verifies bytes that claim to be a page.
    fn accept(
        &self,
        bytes: Option<Arc<[u8]>>,
        page_no: PageNo,
        place: Place,
        version: CommitNo,
        snapshot: CommitNo,
    ) -> Result<Page> {
        let bytes = bytes.ok_or(Error::corrupt(page_no, "lies beyond the end of the file"))?;
        if !self.codec.open(&bytes) {
            return Err(Error::corrupt(page_no, "its check does not hold"));
        }
        let page = Page::from_bytes(bytes).ok_or(Error::corrupt(page_no, "is no whole block"))?;
        if page.page_no() != page_no {
            return Err(Error::corrupt(page_no, "holds another page"));
        }
        let expected = match place {
            Place::Log(_) => page.version() == version,
            _ => page.version() <= snapshot,
        };
        if !expected {
            return Err(Error::corrupt(page_no, "holds another version"));
        }
        match page.kind() {
            Some(PageKind::Bitmap) => Ok(page),
            Some(_) => tree::check_structure(page.bytes())
                .map(|()| page)
                .map_err(|reason| Error::corrupt(page_no, reason)),
            None => Err(Error::corrupt(page_no, "is of no known kind")),
        }
    }

    /// A version that a checkpoint copies: from memory, or read from the log and verified.
    pub(crate) fn logged(&self, files: &Files, logged: &LoggedPage) -> Result<Page> {
        if let Some(page) = self.directory.resident(logged.page_no, logged.version) {
            return Ok(page);
        }
        let place = Place::Log(logged.position);
        let bytes = self.bytes_at(files, place, logged.page_no, logged.block_count)?;
        if is_planted("copy_unchecked") {
            let page = bytes.and_then(Page::from_bytes);
            return page.ok_or(Error::corrupt(logged.page_no, "is no whole block"));
        }
        self.accept(bytes, logged.page_no, place, logged.version, logged.version)
    }

    /// Reads and verifies a page where it is, past the cache.
    pub(crate) fn verify(&self, page_no: PageNo, blocks: u16, snapshot: CommitNo) -> Result<Page> {
        for attempt in 0.. {
            let (place, version) = match self.directory.look_up(page_no, snapshot) {
                Lookup::Resident(page) => match self.directory.place_of(page_no, page.version()) {
                    Some(place) => (place, page.version()),
                    None => continue,
                },
                Lookup::Freed => return Err(Error::corrupt(page_no, "is in use and free at once")),
                Lookup::At(place, version) => (place, version),
            };
            let bytes = self.read_bytes(place, page_no, blocks)?;
            match self.accept(bytes, page_no, place, version, snapshot) {
                Ok(page) if page.block_count() == blocks => return Ok(page),
                Ok(_) => {
                    return Err(self.count_damage(Error::corrupt(page_no, "has another size")));
                }
                Err(error) if attempt > 0 => return Err(self.count_damage(error)),
                Err(_) => {}
            }
        }
        Err(Error::Busy)
    }
}

/// Runs of more blocks than this are asked for with care: what names their size may be damaged.
const CAREFUL_ABOVE_BLOCKS: u16 = 16;

/// `None` when the file ends before.
fn read_blocks(
    file: &dyn VfsFile,
    at: u64,
    blocks: u16,
    read: impl FnOnce(&mut [u8]) -> Result<usize>,
) -> Result<Option<Arc<[u8]>>> {
    let len = blocks as usize * BLOCK_BYTES;
    if blocks > CAREFUL_ABOVE_BLOCKS {
        let end = at.saturating_add(len as u64);
        if file.len().map_err(Error::io("read the length of a file"))? < end {
            return Ok(None);
        }
        expect_memory(len)?;
    }
    let mut bytes: Arc<[u8]> = std::iter::repeat_n(0u8, len).collect();
    let buf = Arc::get_mut(&mut bytes).ok_or(Error::Internal("a new page is shared"))?;
    let present = read(buf)?;
    Ok((present == len).then_some(bytes))
}

/// Asks for memory and gives it back, so that its lack is an error: an `Arc` cannot be asked for in
/// a way that fails.
fn expect_memory(len: usize) -> Result<()> {
    let mut asked = Vec::<u8>::new();
    let granted = asked.try_reserve_exact(len);
    // Else the compiler sees that nobody uses it, and asks nobody.
    std::hint::black_box(&asked);
    granted.map_err(|_| Error::LimitExceeded("memory for a large page"))
}
