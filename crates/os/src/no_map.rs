//! Systems where files are not mapped.

use std::fs::File;
use std::io;

/// The start of a file in the address space, to read from. There is none on this system.
#[derive(Debug)]
pub struct FileMap(std::convert::Infallible);

impl FileMap {
    /// Maps the first `len` bytes of a file.
    ///
    /// # Errors
    /// `Unsupported`, always.
    pub fn new(_: &File, _: usize) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// How many bytes are mapped.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no map is empty")]
    pub fn len(&self) -> usize {
        match self.0 {}
    }

    /// Copies the bytes at `offset`.
    pub fn read(&self, _: &mut [u8], _: usize) -> bool {
        match self.0 {}
    }
}
