//! The documents that the entries of an index lead to, each once.
//!
//! A document with several entries in the index is met at each of those that the plan reaches. It is
//! given at the first of them, in the order of the walk; to tell which one that is, its entries are
//! computed from the document. So telling needs no memory, and only such documents are fetched for it.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

use any_store_storage::Cursor;
use anyenc::RawDocument;

use super::covered::Covered;
use super::entries::EntryWalk;
use super::meter::{Timing, Work, add_since};
use super::row::Row;
use super::{Operator, Resources};
use crate::catalog::CollectionMeta;
use crate::error::{Error, Result};
use crate::index::{Entries, Flags};
use crate::plan::IndexScan;
use crate::source::Source;

/// A walk over an index.
pub(super) struct IndexRows<'t> {
    walk: EntryWalk<'t>,
    found: LookUp<'t>,
    /// How documents are made from keys, where these tell all that is asked for.
    covered: Option<Covered>,
    /// The entries of the document at hand.
    own: Entries,
}

/// The document of an id, looked up when it is first asked for.
struct LookUp<'t> {
    id_key: Vec<u8>,
    row: Row<'t>,
    /// Whether `row` stands on the document.
    is_done: bool,
    /// Documents looked up.
    count: u64,
    /// What looking up took, where somebody wants to know.
    seek_time: Option<Duration>,
}

impl<'t> LookUp<'t> {
    fn new(cursor: Cursor<'t>, timing: Timing) -> Self {
        let row = Row::new(cursor, timing);
        Self { id_key: Vec::new(), row, is_done: false, count: 0, seek_time: timing.start() }
    }

    fn set(&mut self, id_key: &[u8]) {
        self.id_key.clear();
        self.id_key.extend_from_slice(id_key);
        self.is_done = false;
    }

    /// The id and its document, which the index `name` says is there.
    fn document(&mut self, name: &str) -> Result<(&[u8], RawDocument<'_>)> {
        if !self.is_done {
            self.count = self.count.saturating_add(1);
            let begun = self.seek_time.map(|_| Instant::now());
            let is_found = self.row.moving().seek(&self.id_key)?;
            add_since(&mut self.seek_time, begun);
            if !is_found || self.row.id_key() != self.id_key {
                let message =
                    format!("index {name:?} has an entry of a document that is not there");
                return Err(Error::corrupt(message).in_index(name));
            }
            self.is_done = true;
        }
        Ok((&self.id_key, self.row.document()?))
    }
}

impl<'t> IndexRows<'t> {
    pub(super) fn new(
        source: &Source<'t>,
        collection: &CollectionMeta,
        scan: IndexScan,
        is_covered: bool,
        resources: &Resources,
        timing: Timing,
    ) -> Result<Self> {
        let cursor = source.cursor(scan.index.tree)?;
        let covered = is_covered.then(|| Covered::new(&scan.index, &collection.primary_key));
        Ok(Self {
            walk: EntryWalk::new(scan, cursor, resources),
            found: LookUp::new(source.cursor(collection.tree)?, timing),
            covered,
            own: Entries::default(),
        })
    }

    /// Is this the first entry in reach, in the order of the walk, that the document has?
    fn is_first(&mut self) -> Result<bool> {
        let scan = self.walk.scan();
        let directions = &scan.index.directions;
        let (id_key, document) = self.found.document(&scan.index.name)?;
        scan.index.entries(document, id_key, &mut self.own)?;
        let entry = self.walk.entry()?;
        let first = match scan.is_reverse {
            false => Ordering::Less,
            true => Ordering::Greater,
        };
        for (key, _) in self.own.iter() {
            if key.cmp(entry.key) == first && scan.reach.holds(key, directions)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Operator for IndexRows<'_> {
    fn advance(&mut self) -> Result<bool> {
        while self.walk.advance()? {
            let entry = self.walk.entry()?;
            self.found.set(entry.id_key());
            if let Some(covered) = &mut self.covered {
                covered.forget();
            }
            if !entry.flags.contains(Flags::SEVERAL) || self.is_first()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn id_key(&self) -> &[u8] {
        &self.found.id_key
    }

    fn document(&mut self) -> Result<RawDocument<'_>> {
        let entry = self.walk.entry()?;
        let is_told = !self.found.is_done && !entry.flags.contains(Flags::INEXACT);
        match &mut self.covered {
            Some(covered) if is_told => covered.document(entry.key, entry.id_key()),
            _ => Ok(self.found.document(&self.walk.scan().index.name)?.1),
        }
    }

    fn work(&self) -> Work {
        Work {
            examined: self.walk.examined,
            walked_pages: self.walk.page_count(),
            fetched: self.found.count,
            fetched_pages: self.found.row.page_count(),
            seek_time: self.found.seek_time.unwrap_or_default(),
            unpack_time: self.found.row.unpack_time(),
        }
    }
}
