//! What a page looks like on disk.
//!
//! A codec seals a page before it leaves for a file and opens it when it comes back. The database
//! id, the page's number and its version are bound into the check, so that a page of another
//! database, or another page of this one, does not pass.

use crate::page::{TAIL_BYTES, array_at, put, u32_at, u64_at};
use crate::planted::is_planted;
use std::fmt;
use twox_hash::XxHash3_128;

/// Where the page number stands in the header (see `page.rs`).
const PAGE_NO_AT: usize = 8;

/// Seals pages for the file and opens them again.
pub(crate) trait Codec: fmt::Debug + Send + Sync {
    /// Fills in the tail.
    fn seal(&self, page: &mut [u8]);

    /// True if the page is what `seal` left.
    fn open(&self, page: &[u8]) -> bool;
}

/// XXH3-128 over header and body, seeded from the database id and the page number. Finds accidents,
/// not forgeries.
#[derive(Debug)]
pub(crate) struct Checksum {
    seed: u64,
}

impl Checksum {
    pub(crate) fn new(database_id: [u8; 16]) -> Self {
        // The id is random, so half of it tells databases apart as well as a hash of it would.
        Self { seed: u64_at(&database_id, 0) }
    }

    fn tail(&self, page: &[u8]) -> Option<[u8; TAIL_BYTES]> {
        let covered = page.get(..page.len().checked_sub(TAIL_BYTES)?)?;
        let page_no = u64::from(u32_at(page, PAGE_NO_AT));
        // The multiplier spreads the number over all bits of the seed.
        let seed = self.seed ^ page_no.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Some(XxHash3_128::oneshot_with_seed(seed, covered).to_le_bytes())
    }
}

impl Codec for Checksum {
    fn seal(&self, page: &mut [u8]) {
        if let Some(tail) = self.tail(page) {
            put(page, page.len().saturating_sub(TAIL_BYTES), &tail);
        }
    }

    fn open(&self, page: &[u8]) -> bool {
        is_planted("page_unchecked")
            || self.tail(page).is_some_and(|tail| page_tail(page) == Some(tail))
    }
}

/// The tail as it stands in the page.
pub(crate) fn page_tail(page: &[u8]) -> Option<[u8; TAIL_BYTES]> {
    array_at(page, page.len().checked_sub(TAIL_BYTES)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::{Page, PageKind, PageNo, TreeId};

    #[test]
    fn every_flipped_bit_and_every_other_place_is_noticed() {
        let codec = Checksum::new([7; 16]);
        let mut page = Page::new(PageKind::Leaf, TreeId(3), PageNo(9), 1);
        codec.seal(page.make_mut());
        assert!(codec.open(page.bytes()));
        assert!(!Checksum::new([8; 16]).open(page.bytes()));
        for at in (0..page.bytes().len()).step_by(97).chain([8, 4080, 4095]) {
            for bit in 0..8 {
                let mut damaged = page.bytes().to_vec();
                damaged[at] ^= 1 << bit;
                assert!(!codec.open(&damaged), "bit {bit} of byte {at}");
            }
        }
    }
}
