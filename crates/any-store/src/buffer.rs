//! The page buffer of the process, for programs that set one up once and let databases ask for it.

use std::sync::OnceLock;

use any_store_storage::PageBuffer;

use crate::error::{Error, ErrorKind, Result};

static GLOBAL: OnceLock<PageBuffer> = OnceLock::new();

/// Makes the process's own [`PageBuffer`], of `page_count` pages of `page_bytes` bytes, for databases
/// that are opened with [`Options::global_page_buffer`](crate::Options::global_page_buffer).
///
/// The first call decides; every later one is ignored. Returns whether this was the first. A program
/// that passes its own [`PageBuffer`] to [`Options::page_buffer`](crate::Options::page_buffer) needs
/// none of this.
///
/// ```
/// use any_store::{Database, init_page_buffer};
/// init_page_buffer(4096, 5000);
/// let db = Database::options().global_page_buffer(true).open_in_memory()?;
/// assert_eq!(db.stats()?.storage.cache.buffer_limit_bytes, 4096 * 5000);
/// # Ok::<(), any_store::Error>(())
/// ```
#[doc(alias = "InitPageBuffer")]
pub fn init_page_buffer(page_bytes: u64, page_count: u64) -> bool {
    let mut is_first = false;
    GLOBAL.get_or_init(|| {
        is_first = true;
        PageBuffer::new(page_bytes, page_count)
    });
    is_first
}

/// The process's own buffer.
pub(crate) fn global() -> Result<PageBuffer> {
    GLOBAL.get().cloned().ok_or_else(|| {
        Error::new(
            ErrorKind::PageBufferNotInitialized,
            "the global page buffer was asked for: call init_page_buffer first",
        )
    })
}
