//! Linux, macOS and the BSDs.

use super::{FileId, Links};
use rustix::fs::OFlags;
use rustix::io::retry_on_intr;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

const PRIVATE_MODE: u32 = 0o600;

pub(super) fn open(path: &Path, options: &mut OpenOptions, links: Links) -> io::Result<File> {
    // NONBLOCK: opening a FIFO must fail later, as "not a regular file", not wait for a writer.
    let mut flags = OFlags::NONBLOCK | OFlags::CLOEXEC;
    if links == Links::Refuse {
        flags |= OFlags::NOFOLLOW;
    }
    let flags = i32::try_from(flags.bits()).map_err(|_| io::ErrorKind::InvalidInput)?;
    away_from_standard_streams(options.mode(PRIVATE_MODE).custom_flags(flags).open(path)?)
}

/// Moves a file off descriptors 0 to 2, which it gets in a process that has closed its standard
/// streams: whatever that process prints would end up in the database.
fn away_from_standard_streams(file: File) -> io::Result<File> {
    const FIRST_FREE: i32 = 3;
    if file.as_raw_fd() >= FIRST_FREE {
        return Ok(file);
    }
    Ok(rustix::io::fcntl_dupfd_cloexec(&file, FIRST_FREE)?.into())
}

/// Refuses what somebody else may have put in the place of one of the database's own files.
pub(super) fn expect_beside(main: &Path, file: &File) -> io::Result<()> {
    let metadata = file.metadata()?;
    let refused = |reason| Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    if metadata.nlink() > 1 {
        return refused("the file has a second name");
    }
    let is_ours = metadata.uid() == rustix::process::geteuid().as_raw();
    if !is_ours && metadata.uid() != std::fs::metadata(main)?.uid() {
        return refused("the file belongs to somebody else");
    }
    Ok(())
}

pub(super) fn rename_noreplace(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match retry_on_intr(|| renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
            Err(e) => return Err(e.into()),
        }
    }
    // A file system without the flag: a link fails when the name is taken, and is as atomic.
    std::fs::hard_link(from, to)?;
    std::fs::remove_file(from)
}

/// Linux alone has one; elsewhere there is no such file.
pub(super) fn boot_id() -> Option<[u8; 16]> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    Some(u128::from_str_radix(&digits, 16).ok()?.to_be_bytes())
}

pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}

pub(super) fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buf, offset)
}

pub(super) fn write_at(file: &File, buf: &[u8], offset: u64) -> io::Result<usize> {
    file.write_at(buf, offset)
}

pub(super) fn write_vectored_at(
    file: &File,
    bufs: &[IoSlice<'_>],
    offset: u64,
) -> io::Result<usize> {
    Ok(rustix::io::pwritev(file, bufs, offset)?)
}

pub(super) fn allocate(file: &File, len: u64) -> io::Result<()> {
    let present = file.metadata()?.len();
    if len <= present {
        return Ok(());
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        let flags = FallocateFlags::empty();
        match retry_on_intr(|| fallocate(file, flags, present, len - present)) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
            Err(e) => return Err(e.into()),
        }
    }
    file.set_len(len)
}

pub(super) fn punch(file: &File, offset: u64, len: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match retry_on_intr(|| fallocate(file, flags, offset, len)) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
            Err(e) => return Err(e.into()),
        }
    }
    super::write_zeros(file, offset, len)
}

pub(super) fn identity(_: &Path, metadata: &Metadata) -> io::Result<FileId> {
    Ok(FileId { device: metadata.dev(), number: metadata.ino() })
}

pub(super) fn lock_holder(id: FileId) -> Option<u32> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    holder_in(&std::fs::read_to_string("/proc/locks").ok()?, id)
}

/// The process that `/proc/locks` names beside a file:
/// `1: FLOCK  ADVISORY  WRITE 708 08:02:131 0 EOF`. One that is only waiting has `->` behind the
/// number.
fn holder_in(locks: &str, id: FileId) -> Option<u32> {
    let (major, minor) = (rustix::fs::major(id.device), rustix::fs::minor(id.device));
    let file = format!("{major:02x}:{minor:02x}:{}", id.number);
    locks.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let holds = fields.next() == Some("FLOCK");
        let process = fields.nth(2)?;
        // A process outside this one's name space has the number 0 or -1.
        let process = process.parse::<u32>().ok().filter(|&process| process > 0);
        process.filter(|_| holds && fields.next() == Some(&file))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_lock_is_found_by_device_and_number() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 08:02:131 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 12 08:03:131 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE -1 08:02:131 0 EOF\n\
                     4: FLOCK  ADVISORY  READ  708 08:02:131 0 EOF\n\
                     4: -> FLOCK  ADVISORY  WRITE 13 08:02:132 0 EOF\n";
        let id = |minor, number| FileId { device: rustix::fs::makedev(8, minor), number };
        assert_eq!(holder_in(locks, id(2, 131)), Some(708));
        assert_eq!(holder_in(locks, id(3, 131)), Some(12));
        assert_eq!(holder_in(locks, id(2, 132)), None, "it only waits");
        assert_eq!(holder_in("nonsense\n: :\n", id(2, 131)), None);
    }
}
