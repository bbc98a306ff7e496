use super::*;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

/// Every file system must pass these; the operating system's runs in a temporary folder.
fn each(check: impl Fn(&dyn Vfs, &Path)) {
    check(&MemVfs::new(), Path::new("/mem"));
    let dir = tempfile::tempdir().expect("a temporary folder");
    check(&OsVfs, dir.path());
}

#[test]
fn a_file_keeps_what_was_written_and_fills_gaps_with_zeros() {
    each(|vfs, dir| {
        let file = vfs.open(&dir.join("a"), OpenMode::CreateNew).unwrap();
        write_all(&*file, b"xyz", 5).unwrap();
        let mut all = [1u8; 10];
        assert_eq!(read_full(&*file, &mut all, 0).unwrap(), 8);
        assert_eq!(&all[..8], b"\0\0\0\0\0xyz");
        file.punch(6, 1).unwrap();
        read_exact(&*file, &mut all[..8], 0).unwrap();
        assert_eq!(&all[..8], b"\0\0\0\0\0x\0z");
        assert!(read_exact(&*file, &mut all, 0).is_err());
    });
}

#[test]
fn vectored_writes_are_continued_and_skip_empty_parts() {
    each(|vfs, dir| {
        let file = vfs.open(&dir.join("a"), OpenMode::CreateNew).unwrap();
        let parts: Vec<Vec<u8>> = (0..3000u32).map(|i| vec![i as u8; (i % 3) as usize]).collect();
        let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        write_all_vectored(&*file, &slices, 7).unwrap();
        let want: Vec<u8> = parts.concat();
        let mut got = vec![0; want.len()];
        read_exact(&*file, &mut got, 7).unwrap();
        assert_eq!(got, want);
    });
}

#[test]
fn names_are_taken_renamed_and_removed() {
    each(|vfs, dir| {
        let (a, b) = (dir.join("a"), dir.join("b"));
        assert_eq!(vfs.open(&a, OpenMode::Write).unwrap_err().kind(), io::ErrorKind::NotFound);
        vfs.open(&a, OpenMode::CreateNew).unwrap();
        vfs.open(&b, OpenMode::Create).unwrap();
        let taken = io::ErrorKind::AlreadyExists;
        assert_eq!(vfs.open(&a, OpenMode::CreateNew).unwrap_err().kind(), taken);
        assert_eq!(vfs.rename_noreplace(&a, &b).unwrap_err().kind(), taken);
        vfs.remove(&b).unwrap();
        vfs.rename_noreplace(&a, &b).unwrap();
        vfs.sync_dir(dir).unwrap();
        let moved = vfs.open(&b, OpenMode::Read).unwrap().identity().unwrap();
        vfs.open(&a, OpenMode::CreateNew).unwrap();
        vfs.rename(&b, &a).unwrap();
        assert!(
            cfg!(not(unix)) || vfs.open(&a, OpenMode::Read).unwrap().identity().unwrap() == moved
        );
        assert_eq!(vfs.rename(&b, &a).unwrap_err().kind(), io::ErrorKind::NotFound);
        vfs.rename(&a, &b).unwrap();
        let names: Vec<PathBuf> = vfs.list(dir).unwrap().into_iter().map(|e| e.path).collect();
        assert_eq!(names, [b]);
    });
}

#[test]
fn locks_exclude_other_handles_and_end_with_theirs() {
    each(|vfs, dir| {
        let path = dir.join("a");
        let first = vfs.open(&path, OpenMode::Create).unwrap();
        let second = vfs.open(&path, OpenMode::Write).unwrap();
        assert_eq!(first.identity().unwrap(), second.identity().unwrap());
        assert!(first.try_lock(LockMode::Exclusive).unwrap());
        assert!(!second.try_lock(LockMode::Shared).unwrap());
        drop(first);
        assert!(second.try_lock(LockMode::Exclusive).unwrap());
    });
}

#[test]
fn temporary_files_have_no_name() {
    each(|vfs, dir| {
        let file = vfs.open_temporary(dir).unwrap();
        write_all(&*file, b"spill", 0).unwrap();
        assert!(vfs.list(dir).unwrap().is_empty());
        assert_eq!(file.len().unwrap(), 5);
    });
}

/// A file that does at most three bytes at a time, is interrupted before each time, and takes no more
/// than `room` bytes.
#[derive(Debug)]
struct Stingy {
    file: Arc<dyn VfsFile>,
    interrupted: AtomicBool,
    room: u64,
}

impl Stingy {
    fn new(room: u64) -> Self {
        let file = MemVfs::new().open(Path::new("/a"), OpenMode::Create).unwrap();
        Self { file, interrupted: AtomicBool::new(false), room }
    }

    fn interrupt(&self) -> io::Result<()> {
        match self.interrupted.fetch_not(Ordering::Relaxed) {
            false => Err(io::ErrorKind::Interrupted.into()),
            true => Ok(()),
        }
    }
}

impl VfsFile for Stingy {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.interrupt()?;
        let len = buf.len().min(3);
        self.file.read_at(&mut buf[..len], offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.interrupt()?;
        let len = buf.len().min(3).min(self.room.saturating_sub(offset) as usize);
        self.file.write_at(&buf[..len], offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.file.allocate(len)
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        self.file.punch(offset, len)
    }

    fn sync(&self, kind: SyncKind) -> io::Result<()> {
        self.file.sync(kind)
    }

    fn identity(&self) -> io::Result<FileId> {
        self.file.identity()
    }

    fn try_lock(&self, mode: LockMode) -> io::Result<bool> {
        self.file.try_lock(mode)
    }
}

#[test]
fn interruptions_and_short_counts_are_continued() {
    let file = Stingy::new(u64::MAX);
    write_all(&file, b"0123456789", 5).unwrap();
    write_all_vectored(&file, &[b"", b"abcd", b"", b"efghij"], 15).unwrap();
    let mut all = [0; 20];
    read_exact(&file, &mut all, 5).unwrap();
    assert_eq!(&all, b"0123456789abcdefghij");
    assert_eq!(read_full(&file, &mut all, 20).unwrap(), 5);
    let past_the_end = read_exact(&file, &mut all, 20).unwrap_err();
    assert_eq!(past_the_end.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_write_that_writes_nothing_is_an_error() {
    let file = Stingy::new(8);
    assert_eq!(write_all(&file, b"0123456789", 0).unwrap_err().kind(), io::ErrorKind::WriteZero);
    let refused = write_all_vectored(&file, &[b"0123", b"456789"], 0).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::WriteZero);
}

#[test]
fn positions_beyond_64_bits_are_errors() {
    let file = Stingy::new(u64::MAX);
    assert!(write_all(&file, b"0123456789", u64::MAX - 4).is_err());
    assert!(write_all_vectored(&file, &[b"0123", b"456789"], u64::MAX - 4).is_err());
    assert_eq!(read_full(&file, &mut [0; 10], u64::MAX - 4).unwrap(), 0);
}

#[test]
fn a_path_names_a_file_as_long_as_it_does() {
    each(|vfs, dir| {
        let (a, b) = (dir.join("a"), dir.join("b"));
        assert_eq!(vfs.identity(&a).unwrap_err().kind(), io::ErrorKind::NotFound);
        let file = vfs.open(&a, OpenMode::CreateNew).unwrap();
        let other = vfs.open(&b, OpenMode::CreateNew).unwrap();
        assert_eq!(vfs.identity(&a).unwrap(), file.identity().unwrap());
        assert_ne!(vfs.identity(&b).unwrap(), file.identity().unwrap());
        vfs.remove(&a).unwrap();
        vfs.rename_noreplace(&b, &a).unwrap();
        assert_eq!(vfs.identity(&a).unwrap(), other.identity().unwrap());
        assert_ne!(file.identity().unwrap(), other.identity().unwrap(), "while both are open");
    });
}

#[test]
fn an_unlocked_file_is_free_though_it_is_open() {
    each(|vfs, dir| {
        let first = vfs.open(&dir.join("a"), OpenMode::Create).unwrap();
        let second = vfs.open(&dir.join("a"), OpenMode::Write).unwrap();
        assert!(first.try_lock(LockMode::Exclusive).unwrap());
        first.unlock().unwrap();
        assert!(second.try_lock(LockMode::Exclusive).unwrap());
    });
}

#[test]
fn a_pause_lets_time_pass() {
    each(|vfs, _| {
        let before = vfs.monotonic();
        vfs.pause(Duration::from_millis(2));
        assert!(vfs.monotonic() - before >= Duration::from_millis(2));
    });
}

#[cfg(unix)]
#[test]
fn new_files_are_private_and_directories_are_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    OsVfs.open(&path, OpenMode::Create).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(OsVfs.open(dir.path(), OpenMode::Read).is_err());
}
