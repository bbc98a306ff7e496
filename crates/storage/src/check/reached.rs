//! The blocks that a walk has met, one bit each.

use crate::header::HEADER_BLOCKS;
use crate::page::PageNo;
use foldhash::fast::RandomState;
use std::collections::HashMap;

const WORD_BITS: u32 = u64::BITS;
/// Words of a piece: pieces this small keep what a hostile file makes us remember in proportion to
/// its size, and a full bitmap at about two bits a block.
const PIECE_WORDS: usize = 8;
const PIECE_BLOCKS: u32 = 512;
const _: () = assert!(PIECE_BLOCKS as usize == WORD_BITS as usize * PIECE_WORDS);

/// A set of blocks of a file. Pieces are entered one by one, so that memory follows what is really
/// there and not what a header claims.
#[derive(Debug, Default)]
pub(super) struct Reached {
    block_count: u32,
    pieces: HashMap<u32, [u64; PIECE_WORDS], RandomState>,
}

impl Reached {
    pub(super) fn new(block_count: u32) -> Self {
        Self { block_count, pieces: HashMap::default() }
    }

    pub(super) fn contains(&self, block: PageNo) -> bool {
        let piece = self.pieces.get(&(block.0 / PIECE_BLOCKS));
        let word = piece.and_then(|piece| piece.get(word_of(block.0)));
        word.is_some_and(|word| word & bit_of(block.0) != 0)
    }

    /// Notes the blocks of a page; `Some` says why they cannot be one.
    pub(super) fn add(&mut self, page_no: PageNo, blocks: u16) -> Option<&'static str> {
        let until = page_no.0.checked_add(u32::from(blocks));
        let Some(until) = until.filter(|&until| until <= self.block_count) else {
            return Some("lies beyond the end of the file");
        };
        if page_no.0 < HEADER_BLOCKS {
            return Some("lies in the header");
        }
        for block in page_no.0..until {
            let piece = self.pieces.entry(block / PIECE_BLOCKS).or_default();
            let Some(word) = piece.get_mut(word_of(block)) else { continue };
            if *word & bit_of(block) != 0 {
                return Some("is reached twice");
            }
            *word |= bit_of(block);
        }
        None
    }
}

fn word_of(block: u32) -> usize {
    (block % PIECE_BLOCKS / WORD_BITS) as usize
}

fn bit_of(block: u32) -> u64 {
    1 << (block % WORD_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_met_once_and_inside_the_file() {
        let mut reached = Reached::new(100_000);
        assert_eq!(reached.add(PageNo(500), 30), None);
        assert_eq!(reached.add(PageNo(530), 1), None);
        assert_eq!(reached.add(PageNo(529), 1), Some("is reached twice"));
        assert_eq!(reached.add(PageNo(490), 11), Some("is reached twice"));
        assert_eq!(reached.add(PageNo(99_999), 1), None);
        for (page_no, blocks) in [(99_999, 2), (100_000, 1), (u32::MAX, 65_535)] {
            assert_eq!(
                reached.add(PageNo(page_no), blocks),
                Some("lies beyond the end of the file")
            );
        }
        assert_eq!(reached.add(PageNo(1), 3), Some("lies in the header"));
        let met: Vec<u32> = (2..1000).filter(|&block| reached.contains(PageNo(block))).collect();
        assert_eq!(met, (490..531).collect::<Vec<u32>>());
    }

    #[test]
    fn memory_follows_what_is_met() {
        let mut reached = Reached::new(u32::MAX);
        (0..1000).for_each(|n| assert_eq!(reached.add(PageNo(2 + n * 4_000_000), 1), None));
        assert_eq!(reached.pieces.len(), 1000);
    }
}
