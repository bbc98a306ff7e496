//! Systems without positional I/O in std: one seek and one transfer under a lock per process.

use super::{FileId, Links};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, IoSlice, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Mutex;
use twox_hash::XxHash3_128;

static POSITION: Mutex<()> = Mutex::new(());

pub(super) fn open(path: &Path, options: &mut OpenOptions, links: Links) -> io::Result<File> {
    let is_link = || fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    if links == Links::Refuse && is_link() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a symbolic link"));
    }
    options.open(path)
}

/// Links and owners are not to be had from std here.
pub(super) fn expect_beside(_: &Path, _: &File) -> io::Result<()> {
    Ok(())
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

/// The path without links stands for the file: one that was replaced goes unnoticed, and hard links
/// are left to the kernel's lock.
pub(super) fn identity(path: &Path, _: &Metadata) -> io::Result<FileId> {
    let path = fs::canonicalize(path)?;
    let hash = XxHash3_128::oneshot(path.as_os_str().as_encoded_bytes()).to_le_bytes();
    let number = hash.first_chunk().map_or(0, |low| u64::from_le_bytes(*low));
    Ok(FileId { device: 0, number })
}

pub(super) fn lock_holder(_: FileId) -> Option<u32> {
    None
}
