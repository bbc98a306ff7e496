//! A file's memory map: made when first asked for, grown in large steps, put aside before the file
//! becomes shorter.

use any_store_os::FileMap;
use std::fs::File;
use std::io;
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

/// Maps grow by this, or to their limit. They may be longer than the file, so that most growth of the
/// file costs a look at its length.
const STEP_BYTES: u64 = 64 << 20;

/// The map of one file.
#[derive(Debug, Default)]
pub(super) struct Mapping(RwLock<State>);

#[derive(Debug, Default)]
struct State {
    map: Option<FileMap>,
    /// The file is at least as long.
    file_len: u64,
    /// The system has refused a map; it is not asked again.
    is_refused: bool,
}

impl Mapping {
    /// Fills `buf` from the map of the first `limit` bytes; false if it does not reach there.
    pub(super) fn read(&self, file: &File, buf: &mut [u8], offset: u64, limit: u64) -> bool {
        let Some(end) = offset.checked_add(buf.len() as u64) else { return false };
        if end > limit {
            return false;
        }
        {
            let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if state.is_refused {
                return false;
            }
            if state.reaches(end) {
                return state.read(buf, offset);
            }
        }
        let mut state = self.state();
        state.grow(file, end, limit);
        state.reaches(end) && state.read(buf, offset)
    }

    /// Changes the length of the file while nobody reads from the map: a byte behind the end of the
    /// file cannot be read from it.
    pub(super) fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.file_len = state.file_len.min(len);
        file.set_len(len)
    }

    fn state(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn mapped_len(&self) -> u64 {
        self.map.as_ref().map_or(0, |map| map.len() as u64)
    }

    fn reaches(&self, end: u64) -> bool {
        end <= self.file_len.min(self.mapped_len())
    }

    fn read(&self, buf: &mut [u8], offset: u64) -> bool {
        let offset = usize::try_from(offset).ok();
        self.map.as_ref().zip(offset).is_some_and(|(map, offset)| map.read(buf, offset))
    }

    /// Makes the map reach to `end`, if the file does.
    fn grow(&mut self, file: &File, end: u64, limit: u64) {
        self.file_len = file.metadata().map_or(0, |metadata| metadata.len());
        if self.file_len < end || self.mapped_len() >= end {
            return;
        }
        let len = end.checked_next_multiple_of(STEP_BYTES).unwrap_or(limit).min(limit);
        let mapped = usize::try_from(len).ok().map(|len| FileMap::new(file, len));
        match mapped {
            Some(Ok(map)) => self.map = Some(map),
            _ => self.is_refused = true,
        }
    }
}

#[cfg(all(test, unix, target_pointer_width = "64"))]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    const LIMIT: u64 = 200 << 20;

    fn file() -> File {
        tempfile::tempfile().unwrap()
    }

    #[test]
    fn grows_with_the_file_and_never_reaches_behind_its_end() {
        let file = file();
        let mapping = Mapping::default();
        let mut buf = [0; 4096];
        assert!(!mapping.read(&file, &mut buf, 0, LIMIT));
        for at in (0..LIMIT).step_by(17 << 20).chain([LIMIT - 4096]) {
            file.write_all_at(&[at as u8 | 1; 4096], at).unwrap();
            assert!(mapping.read(&file, &mut buf, at, LIMIT));
            assert_eq!(buf, [at as u8 | 1; 4096]);
            assert!(!mapping.read(&file, &mut buf, at + 4096, LIMIT));
        }
        assert_eq!(mapping.state().mapped_len(), LIMIT);
    }

    #[test]
    fn ends_at_its_limit() {
        let file = file();
        file.set_len(1 << 20).unwrap();
        let mapping = Mapping::default();
        let mut buf = [0; 4096];
        assert!(mapping.read(&file, &mut buf, 8192 - 4096, 8192));
        assert!(!mapping.read(&file, &mut buf, 8192, 8192));
        assert!(!mapping.read(&file, &mut buf, u64::MAX - 100, u64::MAX));
    }

    #[test]
    fn a_file_that_was_cut_is_read_up_to_its_new_end() {
        let file = file();
        let mapping = Mapping::default();
        mapping.set_len(&file, 1 << 20).unwrap();
        let mut buf = [0; 4096];
        assert!(mapping.read(&file, &mut buf, 512 << 10, LIMIT));
        mapping.set_len(&file, 256 << 10).unwrap();
        assert!(!mapping.read(&file, &mut buf, 512 << 10, LIMIT));
        assert!(mapping.read(&file, &mut buf, 252 << 10, LIMIT));
        mapping.set_len(&file, 1 << 20).unwrap();
        assert!(mapping.read(&file, &mut buf, 512 << 10, LIMIT));
    }
}
