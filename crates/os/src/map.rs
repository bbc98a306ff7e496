//! A file in the address space.

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::fs::File;
use std::io;
use std::ptr::{self, NonNull};

const WORD_BYTES: usize = size_of::<u64>();

/// The start of a file in the address space, to read from.
///
/// What is read is copied, and never lent: others may write to the file at any time, and a reference
/// promises that what it points to stays as it is.
///
/// The system ends the process with a bus error if it cannot provide a byte that is read: behind the
/// end of the file, on a device that is gone, after a failed read. The caller sees to it that the file
/// is as long as what it reads, and maps no file where the rest may happen.
#[derive(Debug)]
pub struct FileMap {
    start: NonNull<u8>,
    len: usize,
}

impl FileMap {
    /// Maps the first `len` bytes of a file, which need not be there yet. The map stays valid when the
    /// file is closed.
    ///
    /// # Errors
    /// What the system says; `InvalidInput` for no bytes, or more than a pointer's distance can count.
    pub fn new(file: &File, len: usize) -> io::Result<Self> {
        if len == 0 || isize::try_from(len).is_err() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: with a null address and without MAP_FIXED the system chooses a range that nothing
        // else uses, so no memory that Rust knows of changes its meaning.
        let start =
            unsafe { mmap(ptr::null_mut(), len, ProtFlags::READ, MapFlags::SHARED, file, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, len })
    }

    /// How many bytes are mapped.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no map is empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Copies the bytes at `offset` into `buf`. False, and nothing copied, if they are not all mapped
    /// or if `offset` is no multiple of eight.
    pub fn read(&self, buf: &mut [u8], offset: usize) -> bool {
        let is_mapped = offset.checked_add(buf.len()).is_some_and(|end| end <= self.len);
        if !is_mapped || !offset.is_multiple_of(WORD_BYTES) {
            return false;
        }
        let (words, rest) = buf.as_chunks_mut::<WORD_BYTES>();
        let rest_offset = offset + words.len() * WORD_BYTES;
        for (index, word) in words.iter_mut().enumerate() {
            let at = self.at(offset + index * WORD_BYTES).cast::<u64>();
            // SAFETY: all bytes that `read` copies are inside of the map, as checked above, which
            // lives as long as `self`. Maps start at a page and `offset` is a multiple of eight, so
            // the word is aligned. Volatile, since the file may change: each byte is read once.
            *word = unsafe { ptr::read_volatile(at) }.to_ne_bytes();
        }
        for (index, byte) in rest.iter_mut().enumerate() {
            let at = self.at(rest_offset + index);
            // SAFETY: as above; a byte is always aligned.
            *byte = unsafe { ptr::read_volatile(at) };
        }
        true
    }

    /// The address of a byte of the map.
    fn at(&self, offset: usize) -> *const u8 {
        self.start.as_ptr().wrapping_add(offset)
    }
}

impl Drop for FileMap {
    fn drop(&mut self) {
        // SAFETY: the range is the one that `new` mapped, whole, and is unmapped nowhere else. No
        // reference into it was ever made, and no pointer into it outlives a call of `read`.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok(), "a range that was mapped can be unmapped");
    }
}

// SAFETY: the map belongs to the process, not to a thread, and `FileMap` owns it alone.
unsafe impl Send for FileMap {}

// SAFETY: through a shared reference the map is only read, by volatile reads of bytes that Rust never
// writes.
unsafe impl Sync for FileMap {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};

    fn file_of(len: usize) -> (File, Vec<u8>) {
        let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        (file, bytes)
    }

    #[test]
    fn reads_what_the_file_holds_at_every_length() {
        let (file, bytes) = file_of(10_000);
        let map = FileMap::new(&file, bytes.len()).unwrap();
        for offset in [0, 8, 4096, 9992] {
            for len in (0..40).filter(|len| offset + len <= bytes.len()) {
                let mut buf = vec![0; len];
                assert!(map.read(&mut buf, offset));
                assert_eq!(buf, bytes[offset..offset + len]);
            }
        }
    }

    #[test]
    fn refuses_what_is_not_mapped() {
        let (file, bytes) = file_of(8192);
        let map = FileMap::new(&file, bytes.len()).unwrap();
        for (offset, len) in [(8192, 1), (8184, 9), (0, 8193), (usize::MAX - 7, 8), (3, 8)] {
            let mut buf = vec![7; len];
            assert!(!map.read(&mut buf, offset), "{len} bytes at {offset}");
            assert!(buf.iter().all(|byte| *byte == 7));
        }
        assert!(FileMap::new(&file, 0).is_err());
        assert!(FileMap::new(&file, usize::MAX).is_err());
    }

    #[test]
    fn shows_what_is_written_to_the_file_later() {
        let (mut file, _) = file_of(4096);
        let map = FileMap::new(&file, 1 << 20).unwrap();
        file.rewind().unwrap();
        file.write_all(&[9; 8192]).unwrap();
        let mut buf = [0; 8192];
        assert!(map.read(&mut buf, 0));
        assert_eq!(buf, [9; 8192]);
    }

    #[test]
    fn outlives_the_file_and_moves_between_threads() {
        let (file, bytes) = file_of(4096);
        let map = FileMap::new(&file, bytes.len()).unwrap();
        drop(file);
        let read = std::thread::spawn(move || {
            let mut buf = vec![0; 4096];
            assert!(map.read(&mut buf, 0));
            buf
        });
        assert_eq!(read.join().unwrap(), bytes);
    }
}
