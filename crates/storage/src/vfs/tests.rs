use super::*;
use std::path::PathBuf;

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
