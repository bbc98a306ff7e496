//! The entries of a page, or of neighbours, taken out to be laid out anew.

use super::keys::common_len;
use crate::error::{Error, Result};
use crate::page::slots::{
    CopiedEntry, Entry, HEAD_BYTES, RunRef, Slotted, Writer, capacity, entry_bytes,
    max_prefix_bytes,
};
use crate::page::{PageNo, page_no_of};
use std::ops::Range;

/// A copy of entries of one level, in order. The key of an inner page's first entry is ignored.
pub(super) struct Entries {
    level: u8,
    page_len: usize,
    bytes: Vec<u8>,
    list: Vec<Item>,
}

/// Where the parts of an entry are in the bytes: the key, and behind it the payload.
#[derive(Clone, Copy)]
struct Item {
    key_at: usize,
    entry: CopiedEntry,
}

impl Item {
    /// Bytes of this entry with its slot in a page with a prefix of this length.
    fn bytes(&self, prefix_len: usize) -> usize {
        let key_len = self.entry.key_len.saturating_sub(prefix_len);
        entry_bytes(key_len, self.entry.key_run.is_some(), self.entry.payload_len)
    }
}

impl Entries {
    pub(super) fn of(page: &[u8]) -> Self {
        let node = Slotted::new(page);
        let bytes = Vec::with_capacity(page.len() + node.len() * (node.prefix().len() + 4));
        let list = Vec::with_capacity(node.len() + 1);
        let mut entries = Self { level: node.level(), page_len: page.len(), bytes, list };
        entries.append(page);
        entries
    }

    /// No entries yet, for pages of this level.
    pub(super) fn empty(level: u8, page_len: usize) -> Self {
        Self { level, page_len, bytes: Vec::new(), list: Vec::new() }
    }

    /// The entries of two neighbouring leaves.
    pub(super) fn join(left: &Self, right: &Self) -> Self {
        let bytes = [left.bytes.as_slice(), &right.bytes].concat();
        let mut list = left.list.clone();
        let moved = |item: &Item| Item { key_at: item.key_at + left.bytes.len(), ..*item };
        list.extend(right.list.iter().map(moved));
        Self { level: left.level, page_len: left.page_len, bytes, list }
    }

    /// Appends the entries of the next page to the right.
    pub(super) fn append(&mut self, page: &[u8]) {
        let node = Slotted::new(page);
        for index in 0..node.len() {
            let key_at = self.bytes.len();
            let entry = node.copy_entry(index, &mut self.bytes);
            self.list.push(Item { key_at, entry });
        }
    }

    pub(super) fn insert(&mut self, index: usize, entry: &Entry<'_>) {
        let item = self.copy(entry);
        self.list.insert(index.min(self.list.len()), item);
    }

    pub(super) fn push(&mut self, entry: &Entry<'_>) {
        let item = self.copy(entry);
        self.list.push(item);
    }

    /// Gives the entry at `index` another key: the first entry of a page gets back what its parent
    /// kept for it.
    pub(super) fn set_key(&mut self, index: usize, key: &[u8], key_run: Option<RunRef>) {
        let Some(old) = self.entry(index) else { return };
        let payload = old.payload.concat();
        let has_value_run = old.has_value_run;
        let entry = Entry { key, key_run, payload: [&payload, &[], &[]], has_value_run };
        let item = self.copy(&entry);
        if let Some(place) = self.list.get_mut(index) {
            *place = item;
        }
    }

    fn copy(&mut self, entry: &Entry<'_>) -> Item {
        Item { key_at: self.bytes.len(), entry: CopiedEntry::append(entry, &mut self.bytes) }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn level(&self) -> u8 {
        self.level
    }

    pub(super) fn is_leaf(&self) -> bool {
        self.level == 0
    }

    pub(super) fn entry(&self, index: usize) -> Option<Entry<'_>> {
        let item = self.list.get(index)?;
        let CopiedEntry { key_len, payload_len, key_run, has_value_run } = item.entry;
        let (key, behind) = self.bytes.get(item.key_at..)?.split_at_checked(key_len)?;
        Some(Entry { key, key_run, payload: [behind.get(..payload_len)?, &[], &[]], has_value_run })
    }

    /// The part of a key that is in the page.
    pub(super) fn key(&self, index: usize) -> &[u8] {
        self.entry(index).map_or(&[], |entry| entry.key)
    }

    /// Where the rest of a key is.
    pub(super) fn key_run(&self, index: usize) -> Option<RunRef> {
        self.list.get(index)?.entry.key_run
    }

    /// The first entry of a page of `range` that has a key.
    fn first_key(&self, range: &Range<usize>) -> usize {
        if self.is_leaf() { range.start } else { range.start + 1 }
    }

    /// The length of the prefix that a page of `range` gets: what its keys share, but no more than
    /// leaves a whole head of the longest key. Up to there every byte of prefix saves at least its
    /// own room, so no shorter prefix makes a smaller page; beyond, heads tell no more.
    fn prefix_len(&self, range: &Range<usize>) -> usize {
        let keys = self.list.get(self.first_key(range)..range.end).unwrap_or_default();
        let longest = keys.iter().map(|item| item.entry.key_len).max().unwrap_or(0);
        self.prefix_len_with(range, longest)
    }

    /// The same for a caller that knows the length of the longest key of the page.
    pub(super) fn prefix_len_with(&self, range: &Range<usize>, longest: usize) -> usize {
        let first = self.first_key(range);
        let Some(last) = range.end.checked_sub(1).filter(|last| first <= *last) else { return 0 };
        let common = |a: usize, b: usize| common_len(self.key(a), self.key(b));
        let shared = match first.checked_sub(1) {
            _ if first < last => common(first, last),
            // A single key shares it with a neighbour beyond the page: more like them may follow.
            Some(before) if self.is_leaf() || before > 0 => common(before, first),
            _ if range.end < self.len() => common(first, range.end),
            _ => 0,
        };
        shared.min(max_prefix_bytes(self.page_len)).min(longest.saturating_sub(HEAD_BYTES))
    }

    /// Bytes that an entry takes in a page with a prefix of this length.
    pub(super) fn entry_bytes(&self, index: usize, prefix_len: usize) -> usize {
        self.list.get(index).map_or(0, |item| item.bytes(prefix_len))
    }

    /// Bytes that a page of `range` uses.
    pub(super) fn page_bytes(&self, range: Range<usize>) -> usize {
        let prefix_len = self.prefix_len(&range);
        let first = self.first_key(&range);
        let mut used = prefix_len;
        for (index, item) in range.clone().zip(self.list.get(range).unwrap_or_default()) {
            used += match index < first {
                true => entry_bytes(0, false, item.entry.payload_len),
                false => item.bytes(prefix_len),
            };
        }
        used
    }

    pub(super) fn fits(&self, range: Range<usize>) -> bool {
        self.page_bytes(range) <= capacity(self.page_len)
    }

    fn fits_in_two(&self, at: usize) -> bool {
        (1..self.len()).contains(&at) && self.fits(0..at) && self.fits(at..self.len())
    }

    /// Where to divide the entries between two pages: the first of `wishes` that works, else the
    /// middle by bytes, else wherever it works.
    pub(super) fn division(&self, wishes: impl IntoIterator<Item = usize>) -> Option<usize> {
        let wish = wishes.into_iter().find(|at| self.fits_in_two(*at));
        // A key that shares no prefix with the others goes to a page of its own.
        wish.or_else(|| Some(self.middle()).filter(|at| self.fits_in_two(*at)))
            .or_else(|| [1, self.len() - 1].into_iter().find(|at| self.fits_in_two(*at)))
            .or_else(|| (1..self.len()).find(|at| self.fits_in_two(*at)))
    }

    /// The division that makes both pages use about the same number of bytes.
    fn middle(&self) -> usize {
        let prefix_len = self.prefix_len(&(0..self.len()));
        let total: usize = self.list.iter().map(|item| item.bytes(prefix_len)).sum();
        let mut left = 0;
        for (index, item) in self.list.iter().enumerate() {
            let with_this = left + item.bytes(prefix_len);
            if 2 * with_this >= total {
                // Whichever side of this entry is nearer to the half.
                let nearer_without = total - 2 * left < 2 * with_this - total;
                return if nearer_without { index } else { index + 1 };
            }
            left = with_this;
        }
        self.len()
    }

    /// Lays out the entries of `range` in a page.
    pub(super) fn write(&self, range: Range<usize>, page: &mut [u8]) -> Result<()> {
        let prefix_len = self.prefix_len(&range);
        let first = self.first_key(&range);
        let prefix = self.key(first).get(..prefix_len).unwrap_or_default();
        let page_no = page_no_of(page);
        let mut writer = Writer::new(page, self.level, prefix);
        for index in range {
            let mut entry = self.entry(index).ok_or(UNKNOWN_ENTRY)?;
            if index < first {
                (entry.key, entry.key_run) = (prefix, None);
            }
            // The layout was computed to fit, if all keys between the first and the last share
            // what these two share.
            if !writer.push(&entry) {
                return Err(Error::corrupt(page_no, "has keys out of order"));
            }
        }
        writer.finish();
        Ok(())
    }
}

const UNKNOWN_ENTRY: Error = Error::Internal("a page is laid out from entries that are not there");

/// An inner entry.
pub(super) struct Separator {
    /// The part of the key that is in the page.
    pub(super) key: Vec<u8>,
    pub(super) key_run: Option<RunRef>,
    pub(super) child: PageNo,
}

impl Separator {
    pub(super) fn with_entry<T>(&self, f: impl FnOnce(&Entry<'_>) -> T) -> T {
        let child = self.child.0.to_le_bytes();
        let payload: [&[u8]; 3] = [&child, &[], &[]];
        f(&Entry { key: &self.key, key_run: self.key_run, payload, has_value_run: false })
    }
}
