//! Systems without positional I/O in std: one seek and one transfer under a lock per process.

use super::{FileId, OpenMode};
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

static POSITION: Mutex<()> = Mutex::new(());

pub(super) fn open(path: &Path, options: &mut OpenOptions, _: OpenMode) -> io::Result<File> {
    options.open(path)
}

pub(super) fn rename_noreplace(from: &Path, to: &Path) -> io::Result<()> {
    if to.try_exists()? {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    std::fs::rename(from, to)
}

pub(super) fn boot_id() -> Option<[u8; 16]> {
    None
}

pub(super) fn sync_dir(_: &Path) -> io::Result<()> {
    Ok(())
}

pub(super) fn read_at(mut file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let _position = POSITION.lock();
    file.seek(SeekFrom::Start(offset))?;
    file.read(buf)
}

pub(super) fn write_at(mut file: &File, buf: &[u8], offset: u64) -> io::Result<usize> {
    let _position = POSITION.lock();
    file.seek(SeekFrom::Start(offset))?;
    file.write(buf)
}

pub(super) fn write_vectored_at(
    file: &File,
    bufs: &[IoSlice<'_>],
    offset: u64,
) -> io::Result<usize> {
    match bufs.iter().find(|buf| !buf.is_empty()) {
        Some(buf) => write_at(file, buf, offset),
        None => Ok(0),
    }
}

pub(super) fn allocate(file: &File, len: u64) -> io::Result<()> {
    if len > file.metadata()?.len() { file.set_len(len) } else { Ok(()) }
}

pub(super) fn punch(file: &File, offset: u64, len: u64) -> io::Result<()> {
    super::write_zeros(file, offset, len)
}

/// Each handle counts as a file of its own here; the kernel lock alone tells a second open.
pub(super) fn identity(_: &File) -> io::Result<FileId> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Ok(FileId { device: 0, number: NEXT.fetch_add(1, Ordering::Relaxed) })
}
