//! The bytes of a file in memory, in pieces; those that were never written are not there.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::io;
use std::ops::Range;

const PIECE_BYTES: usize = 64 << 10;
/// No file is longer: so many blocks have numbers.
const MAX_BYTES: u64 = 1 << 44;

/// The bytes of one file.
#[derive(Default)]
pub(super) struct Content {
    len: u64,
    /// Pieces that hold anything but zeros, by their number. Behind `len` they hold zeros.
    pieces: BTreeMap<u64, Box<[u8]>>,
}

/// The part of a range that lies in one piece.
struct Part {
    piece: u64,
    within: Range<usize>,
    /// Where it lies in the range.
    outer: Range<usize>,
}

/// Divides the `len` bytes at `offset`.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = Part> {
    let mut done = 0usize;
    std::iter::from_fn(move || {
        let at = offset.checked_add(done as u64)?;
        let from = usize::try_from(at % PIECE_BYTES as u64).ok()?;
        let part_len = (PIECE_BYTES - from).min(len.checked_sub(done)?);
        let outer = done..done + part_len;
        done = outer.end;
        let part = Part { piece: at / PIECE_BYTES as u64, within: from..from + part_len, outer };
        (part_len > 0).then_some(part)
    })
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Reads what there is at `offset`; returns how many bytes.
    pub(super) fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = buf.len().min(left);
        for Part { piece, within, outer } in parts(offset, len) {
            let Some(buf) = buf.get_mut(outer) else { break };
            match self.pieces.get(&piece).and_then(|piece| piece.get(within)) {
                Some(bytes) => buf.copy_from_slice(bytes),
                None => buf.fill(0),
            }
        }
        len
    }

    /// Writes, extending the file to hold the bytes; all or nothing.
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(bytes.len() as u64).filter(|&end| end <= MAX_BYTES);
        let end = end.ok_or(io::ErrorKind::FileTooLarge)?;
        for part in parts(offset, bytes.len()) {
            if let Entry::Vacant(place) = self.pieces.entry(part.piece) {
                place.insert(new_piece()?);
            }
        }
        for Part { piece, within, outer } in parts(offset, bytes.len()) {
            let place = self.pieces.get_mut(&piece).and_then(|piece| piece.get_mut(within));
            if let Some((place, bytes)) = place.zip(bytes.get(outer)) {
                place.copy_from_slice(bytes);
            }
        }
        if !bytes.is_empty() {
            self.len = self.len.max(end);
        }
        Ok(())
    }

    pub(super) fn set_len(&mut self, len: u64) -> io::Result<()> {
        if len > MAX_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.clear(len, u64::MAX);
        self.len = len;
        Ok(())
    }

    /// Makes the range read as zeros, as far as the file reaches.
    pub(super) fn clear(&mut self, offset: u64, len: u64) {
        let end = offset.saturating_add(len).min(self.len);
        if offset >= end {
            return;
        }
        let piece_bytes = PIECE_BYTES as u64;
        let whole = if end == self.len {
            offset.div_ceil(piece_bytes)..end.div_ceil(piece_bytes)
        } else {
            offset.div_ceil(piece_bytes)..end / piece_bytes
        };
        let gone: Vec<u64> = match whole.is_empty() {
            true => Vec::new(),
            false => self.pieces.range(whole).map(|(&number, _)| number).collect(),
        };
        for number in gone {
            self.pieces.remove(&number);
        }
        for edge in [offset / piece_bytes, end / piece_bytes] {
            let start = edge * piece_bytes;
            let from = offset.max(start) - start;
            let until = end.min(start + piece_bytes).saturating_sub(start);
            let within = usize::try_from(from).ok().zip(usize::try_from(until).ok());
            let piece = self.pieces.get_mut(&edge).zip(within);
            if let Some(bytes) = piece.and_then(|(piece, (from, until))| piece.get_mut(from..until))
            {
                bytes.fill(0);
            }
        }
    }
}

fn new_piece() -> io::Result<Box<[u8]>> {
    let mut piece = Vec::new();
    piece.try_reserve_exact(PIECE_BYTES).map_err(|_| io::ErrorKind::StorageFull)?;
    piece.resize(PIECE_BYTES, 0);
    Ok(piece.into_boxed_slice())
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("len", &self.len)
            .field("piece_count", &self.pieces.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(u64, Vec<u8>),
        SetLen(u64),
        Clear(u64, u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let at = || {
            let edge = (0u64..5, 0u64..3).prop_map(|(n, d)| (n << 16).saturating_add(d).max(1) - 1);
            prop_oneof![0u64..300_000, edge]
        };
        let step = prop_oneof![
            4 => (at(), proptest::collection::vec(1u8.., 0..9), 0usize..9000)
                .prop_map(|(at, bytes, times)| Step::Write(at, bytes.repeat(times))),
            1 => at().prop_map(Step::SetLen),
            2 => (at(), at()).prop_map(|(at, len)| Step::Clear(at, len)),
        ];
        proptest::collection::vec(step, 1..20)
    }

    fn apply_to_vec(bytes: &mut Vec<u8>, step: &Step) {
        match step {
            Step::Write(at, written) if !written.is_empty() => {
                let at = *at as usize;
                bytes.resize(bytes.len().max(at + written.len()), 0);
                bytes[at..at + written.len()].copy_from_slice(written);
            }
            Step::Write(..) => {}
            Step::SetLen(len) => bytes.resize(*len as usize, 0),
            Step::Clear(at, len) => {
                let end = ((at + len) as usize).min(bytes.len());
                let at = (*at as usize).min(end);
                bytes[at..end].fill(0);
            }
        }
    }

    proptest! {
        #[test]
        fn holds_what_one_piece_would(steps in steps()) {
            let mut content = Content::default();
            let mut bytes = Vec::new();
            for step in &steps {
                apply_to_vec(&mut bytes, step);
                match step {
                    Step::Write(at, written) => content.write(written, *at).unwrap(),
                    Step::SetLen(len) => content.set_len(*len).unwrap(),
                    Step::Clear(at, len) => content.clear(*at, *len),
                }
                prop_assert_eq!(content.len(), bytes.len() as u64);
                let mut all = vec![7; bytes.len() + 10];
                prop_assert_eq!(content.read(&mut all, 0), bytes.len());
                prop_assert!(all[..bytes.len()] == bytes[..]);
                let middle = bytes.len() / 2;
                let mut some = vec![7; 100];
                let count = content.read(&mut some, middle as u64);
                prop_assert!(some[..count] == bytes[middle..][..count]);
            }
        }
    }

    #[test]
    fn length_takes_no_memory_and_has_a_limit() {
        let mut content = Content::default();
        content.set_len(MAX_BYTES).unwrap();
        assert!(content.pieces.is_empty());
        for len in [MAX_BYTES + 1, u64::MAX] {
            let error = content.set_len(len).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        }
        assert!(content.write(&[1], MAX_BYTES).is_err());
        assert!(content.write(&[1], u64::MAX).is_err());
        content.write(&[1], MAX_BYTES - 1).unwrap();
        assert_eq!(content.pieces.len(), 1);
    }

    #[test]
    fn what_is_cleared_or_cut_takes_no_memory() {
        let mut content = Content::default();
        content.write(&vec![1; 10 * PIECE_BYTES], 0).unwrap();
        content.clear(PIECE_BYTES as u64 / 2, 4 * PIECE_BYTES as u64);
        assert_eq!(content.pieces.len(), 7);
        content.set_len(6 * PIECE_BYTES as u64 + 1).unwrap();
        assert_eq!(content.pieces.len(), 4);
        content.clear(0, u64::MAX);
        assert!(content.pieces.is_empty());
    }
}
