//! Documents and indexes against each other: each index has the entries of the documents, with their
//! flags, and no others.
//!
//! While the documents are read, what their entries should be is summed up: how many, and the sum of
//! a keyed hash of each. Then the index is read in its own order and summed up, too. Only if the sums
//! differ are the two compared entry by entry, which jumps about in both trees. So a sound database
//! costs one pass over everything.

use std::hash::{BuildHasher, RandomState};

use any_store_storage as storage;
use anyenc::RawDocument;
use anyenc::key;

use super::Check;
use crate::catalog::{CollectionMeta, IndexMeta};
use crate::compress;
use crate::error::{Error, Result};
use crate::index::{Entries, Flags};
use crate::source::Source;

/// What is known of the indexes of one collection while its documents are read.
pub(super) struct Cross<'c> {
    collection: &'c CollectionMeta,
    hasher: RandomState,
    /// What the documents say, for each index.
    wanted: Vec<Sum>,
    entries: Entries,
}

/// A set of entries in two numbers: equal sets have equal sums, and others very likely have not.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    count: u64,
    hashes: u64,
}

impl Sum {
    fn add(&mut self, hasher: &RandomState, key: &[u8], flags: Flags) {
        self.count = self.count.wrapping_add(1);
        self.hashes = self.hashes.wrapping_add(hasher.hash_one((key, flags)));
    }
}

impl<'c> Cross<'c> {
    pub(super) fn new(collection: &'c CollectionMeta) -> Self {
        Self {
            collection,
            hasher: RandomState::new(),
            wanted: vec![Sum::default(); collection.indexes.len()],
            entries: Entries::default(),
        }
    }

    /// Notes what entries a document should have.
    pub(super) fn add(
        &mut self,
        document: RawDocument<'_>,
        id_key: &[u8],
        check: &mut Check<'_>,
    ) -> Result<()> {
        for (index, wanted) in self.collection.indexes.iter().zip(&mut self.wanted) {
            let place = At { collection: self.collection, index, id_key: Some(id_key) };
            if index.entries(document, id_key, &mut self.entries).is_err() {
                check.note_at(place, "the index cannot hold this document")?;
                continue;
            }
            if self.entries.multikey_fields() & !index.multikey != 0 {
                check.note_at(place, "the index does not know that a document has several keys")?;
            }
            self.entries.iter().for_each(|(key, flags)| wanted.add(&self.hasher, key, flags));
        }
        Ok(())
    }

    /// Reads the indexes, once all documents were noted.
    pub(super) fn finish(mut self, source: &Source<'_>, check: &mut Check<'_>) -> Result<()> {
        let wanted = std::mem::take(&mut self.wanted);
        for (index, wanted) in self.collection.indexes.iter().zip(wanted) {
            check.report.indexes = check.report.indexes.saturating_add(1);
            if let Err(error) = self.check_index(source, index, wanted, check) {
                check.note_error(At { collection: self.collection, index, id_key: None }, error)?;
            }
        }
        Ok(())
    }

    fn check_index(
        &mut self,
        source: &Source<'_>,
        index: &IndexMeta,
        wanted: Sum,
        check: &mut Check<'_>,
    ) -> Result<()> {
        if source.tree_stats(index.tree)?.is_none() {
            return Err(Error::corrupt("the index has no tree"));
        }
        let found = self.read_index(source, index, check)?;
        if found != wanted {
            self.find_missing(source, index, check)?;
            self.find_extra(source, index, check)?;
        }
        Ok(())
    }

    /// Sums the entries up, and looks whether a unique index is unique.
    fn read_index(
        &mut self,
        source: &Source<'_>,
        index: &IndexMeta,
        check: &mut Check<'_>,
    ) -> Result<Sum> {
        let mut sum = Sum::default();
        let mut last = Vec::new();
        let mut cursor = source.cursor(index.tree)?;
        let mut is_on_entry = cursor.first()?;
        while is_on_entry {
            check.expect_wanted()?;
            check.report.entries = check.report.entries.saturating_add(1);
            let place = At { collection: self.collection, index, id_key: None };
            match (split(index, cursor.key()), Flags::from_value(&cursor.value()?)) {
                (Some((fields, id_key)), Ok(flags)) => {
                    sum.add(&self.hasher, cursor.key(), flags);
                    if index.spec.unique && fields == last && sum.count > 1 {
                        let place = At { id_key: Some(id_key), ..place };
                        check.note_at(place, "another document has the same key")?;
                    }
                    last.clear();
                    last.extend_from_slice(fields);
                }
                (None, _) => check.note_at(place, "the key of an entry means nothing")?,
                (_, Err(error)) => check.note_error(place, error)?,
            }
            is_on_entry = cursor.next()?;
        }
        Ok(sum)
    }

    /// Looks for the entries of each document.
    fn find_missing(
        &mut self,
        source: &Source<'_>,
        index: &IndexMeta,
        check: &mut Check<'_>,
    ) -> Result<()> {
        let mut buffer = Vec::new();
        let mut cursor = source.cursor(self.collection.tree)?;
        let mut is_on_entry = cursor.first()?;
        while is_on_entry {
            check.expect_wanted()?;
            let place = At { collection: self.collection, index, id_key: Some(cursor.key()) };
            // What keeps a document from being read was noted already.
            if self.gather(index, &cursor, &mut buffer).is_ok() {
                for (key, flags) in self.entries.iter() {
                    match source.get(index.tree, key)? {
                        None => {
                            check.note_at(place, "the index lacks an entry of this document")?
                        }
                        Some(value) if *value != [flags.to_byte()] => {
                            check.note_at(place, "an entry of this document has wrong flags")?;
                        }
                        Some(_) => {}
                    }
                }
            }
            is_on_entry = cursor.next()?;
        }
        Ok(())
    }

    fn gather(
        &mut self,
        index: &IndexMeta,
        cursor: &storage::Cursor<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<()> {
        let stored = cursor.value()?;
        let document = RawDocument::from_bytes(compress::unpacked(&stored, buffer)?)?;
        index.entries(document, cursor.key(), &mut self.entries)
    }

    /// Looks for the document of each entry.
    fn find_extra(
        &mut self,
        source: &Source<'_>,
        index: &IndexMeta,
        check: &mut Check<'_>,
    ) -> Result<()> {
        let mut cursor = source.cursor(index.tree)?;
        let mut documents = source.cursor(self.collection.tree)?;
        let mut buffer = Vec::new();
        let mut is_on_entry = cursor.first()?;
        while is_on_entry {
            check.expect_wanted()?;
            if let Some((_, id_key)) = split(index, cursor.key()) {
                let place = At { collection: self.collection, index, id_key: Some(id_key) };
                let is_there = documents.seek(id_key)? && documents.key() == id_key;
                if !is_there {
                    check.note_at(place, "an entry is of a document that is not there")?;
                } else if self.gather(index, &documents, &mut buffer).is_ok()
                    && !self.entries.contains(cursor.key())
                {
                    check.note_at(place, "an entry is none of its document")?;
                }
            }
            is_on_entry = cursor.next()?;
        }
        Ok(())
    }
}

/// Where something is wrong.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) collection: &'a CollectionMeta,
    pub(super) index: &'a IndexMeta,
    pub(super) id_key: Option<&'a [u8]>,
}

/// The fields and the id of an entry's key.
fn split<'k>(index: &IndexMeta, key: &'k [u8]) -> Option<(&'k [u8], &'k [u8])> {
    let mut len = 0_usize;
    for direction in &index.directions {
        let component = key::key_len(key.get(len..)?, *direction).ok()?;
        len = len.saturating_add(component);
    }
    let (fields, id) = key.split_at_checked(len)?;
    let id_len = key::key_len(id, key::Direction::Ascending).ok()?;
    (id_len == id.len()).then_some((fields, id))
}

#[cfg(test)]
mod tests;
