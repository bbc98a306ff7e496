//! Cells: what an entry holds beside its slot.

use super::{HEAD_BYTES, KEY_RUN, SLOT_BYTES, VALUE_RUN, u16_of};
use crate::page::{PageNo, array_at, put, run, u32_at};

pub(super) const RUN_REF_BYTES: usize = 8;
pub(super) const CHILD_BYTES: usize = 4;

/// Where the rest of a long key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunRef {
    pub(crate) page: PageNo,
    pub(crate) bytes: u32,
}

impl RunRef {
    pub(super) fn encode(self) -> [u8; RUN_REF_BYTES] {
        let mut bytes = [0; RUN_REF_BYTES];
        put(&mut bytes, 0, &self.page.0.to_le_bytes());
        put(&mut bytes, 4, &self.bytes.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Self {
        Self { page: PageNo(u32_at(bytes, 0)), bytes: u32_at(bytes, 4) }
    }

    pub(crate) fn len(self) -> usize {
        self.bytes as usize
    }
}

/// A cell, taken apart.
#[derive(Clone, Copy)]
pub(super) struct Cell<'a> {
    pub(super) rest: &'a [u8],
    pub(super) key_run: Option<RunRef>,
    pub(super) payload: &'a [u8],
}

/// The payload of a leaf's cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ValueCell<'a> {
    /// The last bytes of the value, or all of it.
    pub(crate) inline: &'a [u8],
    /// The first bytes of the value are in runs: how many bytes, and the numbers of the pieces.
    pub(crate) runs: Option<ValueRuns<'a>>,
}

/// The runs of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ValueRuns<'a> {
    pub(crate) bytes: usize,
    pages: &'a [u8],
}

impl<'a> ValueRuns<'a> {
    /// The page number and length of every piece.
    pub(crate) fn pieces(self) -> impl Iterator<Item = (PageNo, usize)> + use<'a> {
        let numbers = self.pages.as_chunks().0.iter();
        numbers.map(|number| PageNo(u32::from_le_bytes(*number))).zip(run::pieces(self.bytes))
    }
}

impl<'a> ValueCell<'a> {
    /// Takes a payload apart; also gives its length.
    pub(super) fn parse(bytes: &'a [u8], has_run: bool) -> Option<(Self, usize)> {
        let (inline_len, mut at) = decode_len(bytes)?;
        let mut runs = None;
        if has_run {
            let run_bytes = u32::from_le_bytes(array_at(bytes, at)?) as usize;
            let pages_at = at + 4;
            at = pages_at + 4 * run_bytes.div_ceil(run::MAX_RUN_BYTES);
            runs = Some(ValueRuns { bytes: run_bytes, pages: bytes.get(pages_at..at)? });
        }
        let end = at + inline_len;
        Some((Self { inline: bytes.get(at..end)?, runs }, end))
    }

    pub(crate) fn len(&self) -> usize {
        self.inline.len().saturating_add(self.runs.map_or(0, |runs| runs.bytes))
    }
}

/// Lengths below 128 take one byte, those of a page two.
fn decode_len(bytes: &[u8]) -> Option<(usize, usize)> {
    match *bytes {
        [low, ..] if low < 0x80 => Some((usize::from(low), 1)),
        [low, high, ..] if high < 0x80 => {
            Some((usize::from(low & 0x7f) | usize::from(high) << 7, 2))
        }
        _ => None,
    }
}

/// The length of an inline value, encoded.
#[derive(Clone, Copy)]
pub(crate) struct EncodedLen {
    bytes: [u8; 2],
    len: usize,
}

impl EncodedLen {
    /// The most bytes that a length takes.
    pub(crate) const MAX_BYTES: usize = 2;

    /// `len` is below the size of a page.
    pub(crate) fn new(len: usize) -> Self {
        let [low, high] = u16_of(len).to_le_bytes();
        if len < 0x80 {
            return Self { bytes: [low, 0], len: 1 };
        }
        Self { bytes: [low | 0x80, high << 1 | low >> 7], len: 2 }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// What an entry is made of, wherever it comes from.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    /// The key, or its first [`inline_key_bytes`].
    pub(crate) key: &'a [u8],
    pub(crate) key_run: Option<RunRef>,
    /// The payload in up to three parts, so that nobody has to join them first.
    pub(crate) payload: [&'a [u8]; 3],
    pub(crate) has_value_run: bool,
}

impl Entry<'_> {
    pub(crate) fn payload_len(&self) -> usize {
        self.payload.iter().map(|part| part.len()).sum()
    }

    pub(super) fn cell_len(&self, prefix_len: usize) -> usize {
        let rest = self.key.len().saturating_sub(prefix_len + HEAD_BYTES);
        rest + self.key_run.map_or(0, |_| RUN_REF_BYTES) + self.payload_len()
    }

    pub(super) fn flags(&self) -> u16 {
        let key_run = if self.key_run.is_some() { KEY_RUN } else { 0 };
        key_run | if self.has_value_run { VALUE_RUN } else { 0 }
    }
}

/// The lengths of an entry whose key and payload were appended to other bytes.
#[derive(Clone, Copy)]
pub(crate) struct CopiedEntry {
    pub(crate) key_len: usize,
    pub(crate) payload_len: usize,
    pub(crate) key_run: Option<RunRef>,
    pub(crate) has_value_run: bool,
}

impl CopiedEntry {
    /// Appends an entry.
    pub(crate) fn append(entry: &Entry<'_>, bytes: &mut Vec<u8>) -> Self {
        Self {
            key_len: append_all(bytes, [entry.key]),
            payload_len: append_all(bytes, entry.payload),
            key_run: entry.key_run,
            has_value_run: entry.has_value_run,
        }
    }
}

pub(super) fn append_all<const N: usize>(bytes: &mut Vec<u8>, parts: [&[u8]; N]) -> usize {
    let start = bytes.len();
    parts.into_iter().for_each(|part| bytes.extend_from_slice(part));
    bytes.len() - start
}

/// Bytes that an entry takes in a page, with its slot.
pub(crate) fn entry_bytes(key_len: usize, has_key_run: bool, payload_len: usize) -> usize {
    let run = if has_key_run { RUN_REF_BYTES } else { 0 };
    SLOT_BYTES + key_len.saturating_sub(HEAD_BYTES) + run + payload_len
}
