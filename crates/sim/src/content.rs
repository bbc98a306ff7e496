//! The bytes of one simulated file, cheap to copy.
//!
//! A crash sweep copies whole disks thousands of times a second, and hashes each copy. So the bytes
//! are blocks shared by reference count: a copy clones pointers, a write clones the blocks it
//! touches, a hole costs nothing, and a block remembers its hash.
//!
//! Invariants:
//!  1. A block that is absent reads as zeros; so do the bytes of the last block at and past `len`.
//!  2. A block's remembered hash is the hash of its present bytes.

use std::sync::{Arc, OnceLock};
use twox_hash::XxHash3_128;

/// The unit of sharing. Not the sector: see [`SECTOR_LEN`].
const BLOCK_LEN: usize = 4096;

/// What a device writes whole or not at all.
pub const SECTOR_LEN: u64 = 512;

/// No simulated file grows beyond this; a longer one meets a full disk.
pub const MAX_FILE_LEN: u64 = 1 << 30;

/// The bytes of a file. Clones share what neither of them changes.
#[derive(Clone, Debug, Default)]
pub struct Content {
    blocks: Vec<Option<Arc<Block>>>,
    len: u64,
}

#[derive(Debug)]
struct Block {
    bytes: [u8; BLOCK_LEN],
    /// 0 stands for a block of zeros, so that it counts as a hole.
    hash: OnceLock<u128>,
}

impl Clone for Block {
    fn clone(&self) -> Self {
        // Blocks are cloned to be changed, so the hash is not carried over.
        Self { bytes: self.bytes, hash: OnceLock::new() }
    }
}

impl Block {
    fn zeros() -> Self {
        Self { bytes: [0; BLOCK_LEN], hash: OnceLock::new() }
    }

    fn hash(&self) -> u128 {
        *self.hash.get_or_init(|| {
            if self.bytes.iter().all(|byte| *byte == 0) {
                0
            } else {
                XxHash3_128::oneshot(&self.bytes)
            }
        })
    }
}

impl Content {
    /// The length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True for a file of no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies bytes from `offset` on into `buf`; returns how many there were.
    pub fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        let present = self.len.saturating_sub(offset).min(buf.len() as u64) as usize;
        for (block, within, range) in spans(offset, present) {
            let target = &mut buf[range];
            match self.blocks.get(block).and_then(Option::as_ref) {
                Some(block) => target.copy_from_slice(&block.bytes[within..within + target.len()]),
                None => target.fill(0),
            }
        }
        present
    }

    /// Writes `bytes` at `offset`; a gap before it becomes zeros. No bytes change nothing.
    pub fn write(&mut self, bytes: &[u8], offset: u64) {
        if bytes.is_empty() {
            return;
        }
        for (block, within, range) in spans(offset, bytes.len()) {
            let source = &bytes[range];
            self.block_mut(block)[within..within + source.len()].copy_from_slice(source);
        }
        self.len = self.len.max(offset + bytes.len() as u64);
    }

    /// Makes the part of a range that lies inside the file read as zeros.
    pub fn zero(&mut self, offset: u64, len: u64) {
        let inside = self.len.saturating_sub(offset).min(len) as usize;
        for (block, within, range) in spans(offset, inside) {
            let present = self.blocks.get(block).is_some_and(Option::is_some);
            if present && range.len() == BLOCK_LEN {
                self.blocks[block] = None;
            } else if present {
                self.block_mut(block)[within..within + range.len()].fill(0);
            }
        }
    }

    /// Cuts the file, or extends it with zeros.
    pub fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.zero(len, self.len - len);
            self.blocks.truncate(len.div_ceil(BLOCK_LEN as u64) as usize);
        }
        self.len = len;
    }

    /// All bytes.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len as usize];
        self.read(&mut bytes, 0);
        bytes
    }

    /// A hash of the length and the bytes; holes and written zeros are the same.
    #[must_use]
    pub fn hash(&self) -> u128 {
        let mut summary = Vec::with_capacity(16 + self.blocks.len() * 20);
        summary.extend_from_slice(&self.len.to_le_bytes());
        for (number, block) in self.blocks.iter().enumerate() {
            if let Some(hash) = block.as_ref().map(|block| block.hash()).filter(|hash| *hash != 0) {
                summary.extend_from_slice(&(number as u64).to_le_bytes());
                summary.extend_from_slice(&hash.to_le_bytes());
            }
        }
        XxHash3_128::oneshot(&summary)
    }

    fn block_mut(&mut self, number: usize) -> &mut [u8; BLOCK_LEN] {
        if self.blocks.len() <= number {
            self.blocks.resize(number + 1, None);
        }
        let block = self.blocks[number].get_or_insert_with(|| Arc::new(Block::zeros()));
        let block = Arc::make_mut(block);
        block.hash = OnceLock::new();
        &mut block.bytes
    }
}

impl From<&[u8]> for Content {
    fn from(bytes: &[u8]) -> Self {
        let mut content = Self::default();
        content.write(bytes, 0);
        content
    }
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.hash() == other.hash()
    }
}

impl Eq for Content {}

/// Cuts `offset..offset + len` at block boundaries: block number, first byte in the block, and the
/// range of the caller's buffer.
fn spans(offset: u64, len: usize) -> impl Iterator<Item = (usize, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let at = offset + done as u64;
        let within = (at % BLOCK_LEN as u64) as usize;
        let count = (BLOCK_LEN - within).min(len - done);
        let range = done..done + count;
        done += count;
        Some(((at / BLOCK_LEN as u64) as usize, within, range))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn a_clone_does_not_see_later_writes() {
        let mut first = Content::from(&b"hello"[..]);
        let copy = first.clone();
        first.write(b"J", 0);
        assert_eq!(first.to_vec(), b"Jello");
        assert_eq!(copy.to_vec(), b"hello");
    }

    #[test]
    fn bytes_cut_off_do_not_come_back_when_the_file_grows_again() {
        let mut content = Content::from(&[7; 5000][..]);
        content.set_len(4100);
        content.set_len(100);
        content.set_len(6000);
        let bytes = content.to_vec();
        assert!(bytes[..100].iter().all(|byte| *byte == 7));
        assert!(bytes[100..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn equal_bytes_hash_alike_however_they_came_about() {
        let mut holes = Content::default();
        holes.set_len(20_000);
        let mut written = Content::default();
        written.write(&[0; 20_000], 0);
        assert_eq!(holes.hash(), written.hash());
        written.write(&[1], 9000);
        assert_ne!(holes.hash(), written.hash());
        written.zero(9000, 1);
        assert_eq!(holes.hash(), written.hash());
        holes.set_len(20_001);
        assert_ne!(holes.hash(), written.hash());
    }

    #[test]
    fn any_sequence_of_changes_agrees_with_a_plain_vector() {
        let mut rng = Rng::new(11);
        let (mut content, mut plain) = (Content::default(), Vec::new());
        for step in 0..2000 {
            let offset = rng.below(20_000);
            let len = rng.below(9000) as usize;
            match rng.below(4) {
                0 => {
                    content.set_len(offset);
                    plain.resize(offset as usize, 0);
                }
                1 => {
                    content.zero(offset, len as u64);
                    let end = plain.len().min(offset as usize + len);
                    plain[(offset as usize).min(end)..end].fill(0);
                }
                _ if len > 0 => {
                    let bytes = vec![step as u8; len];
                    content.write(&bytes, offset);
                    plain.resize(plain.len().max(offset as usize + len), 0);
                    plain[offset as usize..offset as usize + len].copy_from_slice(&bytes);
                }
                _ => {}
            }
            assert_eq!(content.len(), plain.len() as u64);
            assert_eq!(content.to_vec(), plain, "step {step}");
            assert_eq!(content.hash(), Content::from(plain.as_slice()).hash());
        }
    }

    #[test]
    fn a_read_stops_at_the_end() {
        let content = Content::from(&b"abc"[..]);
        let mut buf = [9; 4];
        assert_eq!(content.read(&mut buf, 1), 2);
        assert_eq!(&buf, b"bc\x09\x09");
        assert_eq!(content.read(&mut buf, 3), 0);
        assert_eq!(content.read(&mut buf, u64::MAX), 0);
    }
}
