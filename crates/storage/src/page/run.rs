//! Runs: the bytes of one large key or value in consecutive blocks.
//!
//! A run is a page of up to [`MAX_RUN_BLOCKS`] blocks with one header and one tail, so its bytes
//! arrive with one read and one check. What no single run holds is cut into pieces: full runs, then
//! one for the rest. The block count of every piece follows from the number of bytes alone, so a
//! reference to a run is its page number and a length.

use super::{BLOCK_BYTES, HEADER_BYTES, Page, PageKind, PageNo, ReadPages, TreeId, WritePages};
use super::{body_end, put};
use crate::error::{Error, Result};

/// Beyond this a run is split, so that no single read or write grows without bound.
const MAX_RUN_BLOCKS: usize = 16_000;

/// The most bytes of one run.
pub(crate) const MAX_RUN_BYTES: usize = payload_bytes(MAX_RUN_BLOCKS);

/// How many bytes a run of `blocks` blocks holds.
pub(crate) const fn payload_bytes(blocks: usize) -> usize {
    body_end(blocks * BLOCK_BYTES).saturating_sub(HEADER_BYTES)
}

/// How many whole blocks `bytes` bytes fill as one run.
pub(crate) fn whole_blocks(bytes: usize) -> usize {
    bytes.saturating_add(BLOCK_BYTES - payload_bytes(1)) / BLOCK_BYTES
}

/// How many blocks a run of `bytes` bytes takes; `bytes` is at most [`MAX_RUN_BYTES`].
pub(crate) fn blocks_for(bytes: usize) -> u16 {
    let blocks = bytes.saturating_add(BLOCK_BYTES - payload_bytes(1)).div_ceil(BLOCK_BYTES);
    u16::try_from(blocks).unwrap_or(u16::MAX)
}

/// The lengths of the pieces of `bytes` bytes, in order.
pub(crate) fn pieces(bytes: usize) -> impl Iterator<Item = usize> {
    let count = bytes.div_ceil(MAX_RUN_BYTES);
    (0..count).map(move |i| bytes.saturating_sub(i * MAX_RUN_BYTES).min(MAX_RUN_BYTES))
}

/// Writes `bytes` as one run.
pub(crate) fn write<P: WritePages>(
    pages: &mut P,
    tree: TreeId,
    near: PageNo,
    bytes: &[u8],
) -> Result<PageNo> {
    let blocks = blocks_for(bytes.len());
    let page_no = pages.allocate(PageKind::Run, tree, blocks, near)?;
    put(pages.page_mut(page_no, tree, blocks)?, HEADER_BYTES, bytes);
    Ok(page_no)
}

/// The run of `bytes` bytes at `page_no`.
pub(crate) fn read<P: ReadPages + ?Sized>(
    pages: &P,
    tree: TreeId,
    page_no: PageNo,
    bytes: usize,
) -> Result<Page> {
    let page = pages.page(page_no, tree, blocks_for(bytes))?;
    if page.kind() != Some(PageKind::Run) {
        return Err(Error::corrupt(page_no, "is not a run of a value"));
    }
    Ok(page)
}

/// The first `bytes` bytes of a run; fewer if it is shorter.
pub(crate) fn body(page: &[u8], bytes: usize) -> &[u8] {
    let body = page.get(HEADER_BYTES..body_end(page.len())).unwrap_or_default();
    body.get(..bytes).unwrap_or(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_takes_no_more_blocks_than_its_bytes_need() {
        for bytes in [0, 1, 4047, 4048, 4049, 8143, 8144, 8145, MAX_RUN_BYTES] {
            let blocks = usize::from(blocks_for(bytes));
            assert!(payload_bytes(blocks) >= bytes, "{bytes}");
            assert!(blocks == 1 || payload_bytes(blocks - 1) < bytes, "{bytes}");
        }
        assert_eq!(whole_blocks(4047), 0);
        assert_eq!(whole_blocks(4048), 1);
        assert_eq!(whole_blocks(8143), 1);
    }

    #[test]
    fn pieces_add_up() {
        for bytes in [0, 1, MAX_RUN_BYTES, MAX_RUN_BYTES + 1, 3 * MAX_RUN_BYTES - 7] {
            assert_eq!(pieces(bytes).sum::<usize>(), bytes);
            assert!(pieces(bytes).all(|piece| piece > 0 && piece <= MAX_RUN_BYTES));
        }
    }
}
