//! Free space: which blocks are in use.
//!
//! Blocks are counted in groups. The first block of a group is its bitmap page, one bit a block,
//! 1 for used; its place follows from the group's number, so free space needs no tree, no list and
//! no recursion. Bitmap pages are versioned, logged and checked like any page.
//!
//! ```text
//!   block 0 1 | 2      3 ...          32385 | 32386   32387 ...
//!   header    | bitmap blocks of group 0    | bitmap  blocks of group 1
//! ```

use crate::header::HEADER_BLOCKS;
use crate::page::{BLOCK_BYTES, HEADER_BYTES, PageNo, TAIL_BYTES, TreeId};

/// The tree number that bitmap pages carry.
pub(crate) const SPACE: TreeId = TreeId(u32::MAX);
/// Bytes of bits in a bitmap page.
const BITS_BYTES: usize = BLOCK_BYTES - HEADER_BYTES - TAIL_BYTES;
/// Blocks of a group, the bitmap page among them.
#[expect(clippy::cast_possible_truncation, reason = "a constant below 2^16")]
pub(crate) const GROUP_BLOCKS: u32 = (BITS_BYTES * 8) as u32;

/// The group a block belongs to. The block must not be a header slot.
pub(crate) fn group_of(block: PageNo) -> u32 {
    block.0.saturating_sub(HEADER_BLOCKS) / GROUP_BLOCKS
}

/// The bitmap page of a group; `None` past the last block number.
pub(crate) fn bitmap_page(group: u32) -> Option<PageNo> {
    group.checked_mul(GROUP_BLOCKS)?.checked_add(HEADER_BLOCKS).map(PageNo)
}

/// Number of groups in a file of `block_count` blocks.
pub(crate) fn group_count(block_count: u32) -> u32 {
    block_count.saturating_sub(HEADER_BLOCKS).div_ceil(GROUP_BLOCKS)
}

/// Position of a block's bit inside its group.
pub(crate) fn index_in_group(block: PageNo) -> u32 {
    block.0.saturating_sub(HEADER_BLOCKS) % GROUP_BLOCKS
}

/// The bits of one group.
pub(crate) struct Bits<'a>(pub(crate) &'a [u8]);

impl Bits<'_> {
    /// True if the block at `index` is in use.
    pub(crate) fn is_used(&self, index: u32) -> bool {
        self.word(index / 64) & (1 << (index % 64)) != 0
    }

    fn word(&self, word: u32) -> u64 {
        crate::page::u64_at(self.0, HEADER_BYTES + word as usize * 8)
    }

    /// The first run of `len` free blocks inside `from..until`.
    pub(crate) fn find_free(&self, len: u32, from: u32, until: u32) -> Option<u32> {
        let mut start = from;
        let mut at = from;
        while at < until {
            // A whole word of used or of free blocks is taken at once.
            let word = self.word(at / 64);
            let in_word = at % 64;
            let step = 64 - in_word;
            if word >> in_word == u64::MAX >> in_word {
                at = at.saturating_add(step);
                start = at;
            } else if word >> in_word == 0 {
                at = at.saturating_add(step).min(until);
            } else if word & (1 << in_word) != 0 {
                at = at.saturating_add(1);
                start = at;
            } else {
                at = at.saturating_add(1);
            }
            if at.saturating_sub(start) >= len {
                return Some(start);
            }
        }
        None
    }

    /// The last used block below `until`.
    pub(crate) fn last_used(&self, until: u32) -> Option<u32> {
        (0..until).rev().find(|&index| self.is_used(index))
    }
}

/// Sets or clears the bits of `len` blocks; false if one of them was so already.
pub(crate) fn mark(page: &mut [u8], index: u32, len: u32, used: bool) -> bool {
    (index..index.saturating_add(len)).fold(true, |clean, at| {
        let Some(byte) = page.get_mut(HEADER_BYTES + (at / 8) as usize) else { return false };
        let bit = 1u8 << (at % 8);
        let was = *byte & bit != 0;
        if used {
            *byte |= bit;
        } else {
            *byte &= !bit;
        }
        clean && was != used
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::{Page, PageKind};

    fn naive(bits: &Bits<'_>, len: u32, from: u32, until: u32) -> Option<u32> {
        (from..until.saturating_sub(len - 1)).find(|&s| (s..s + len).all(|i| !bits.is_used(i)))
    }

    #[test]
    fn runs_are_found_where_the_slow_way_finds_them() {
        let mut page = Page::new(PageKind::Bitmap, SPACE, PageNo(2), 1);
        let mut state = 5u64;
        for _ in 0..400 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let (index, len) = ((state >> 40) as u32 % 3000, (state >> 33) as u32 % 70 + 1);
            mark(page.make_mut(), index, len, state & 3 != 0);
            let bits = Bits(page.bytes());
            for len in [1, 2, 3, 63, 64, 65, 200] {
                for (from, until) in [(0, 3100), (index, 3100), (7, index + 20), (64, 128)] {
                    let got = bits.find_free(len, from, until);
                    assert_eq!(got, naive(&bits, len, from, until), "{len} in {from}..{until}");
                }
            }
        }
    }

    #[test]
    fn marking_twice_is_noticed() {
        let mut page = Page::new(PageKind::Bitmap, SPACE, PageNo(2), 1);
        assert!(mark(page.make_mut(), 10, 5, true));
        assert!(!mark(page.make_mut(), 14, 2, true));
        assert!(mark(page.make_mut(), 10, 6, false));
        assert_eq!(Bits(page.bytes()).last_used(100), None);
    }

    #[test]
    fn groups_tile_the_file() {
        assert_eq!(bitmap_page(0), Some(PageNo(2)));
        for group in [0, 1, 2, 1000] {
            let first = bitmap_page(group).unwrap();
            assert_eq!((group_of(first), index_in_group(first)), (group, 0));
            let last = PageNo(first.0 + GROUP_BLOCKS - 1);
            assert_eq!((group_of(last), index_in_group(last)), (group, GROUP_BLOCKS - 1));
            assert_eq!(group_count(last.0 + 1), group + 1);
            assert_eq!(group_count(last.0 + 2), group + 2);
        }
    }
}
