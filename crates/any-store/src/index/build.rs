//! Building indexes over the documents that are there.
//!
//! ```text
//! documents  --read once, in id order-->  entries  --sorted, one sorter an index-->  tree, bottom-up
//! ```
//!
//! The indexes that are built together share one pass over the documents, each of which is unpacked
//! once, and the memory for sorting. Equal keys of different documents come out of the sorter side by
//! side, which is where a unique index finds its violations.

use any_store_storage as storage;
use any_store_storage::Cancel;
use anyenc::RawDocument;

use super::entries::Entries;
use super::maintain::violation;
use crate::catalog::{CollectionMeta, IndexMeta};
use crate::compress;
use crate::document;
use crate::error::Result;
use crate::exec::{Resources, SortRow, SortedRows, Sorter};

/// Documents or entries between two looks at whether the build is still wanted.
const STEP: u64 = 1024;

/// How a build of indexes is done: a builder.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct IndexBuildOptions {
    cancel: Cancel,
    on_progress: Option<OnProgress>,
}

impl IndexBuildOptions {
    /// The defaults: nobody is told, and nothing ends the build.
    pub fn new() -> Self {
        Self::default()
    }

    /// What ends the build. Nothing is left of it then.
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = cancel;
        self
    }

    /// Called with the progress every few milliseconds of work. The write transaction is open
    /// meanwhile, so it must not write to this database.
    pub fn on_progress(
        mut self,
        report: impl Fn(IndexBuildProgress) + Send + std::marker::Sync + 'static,
    ) -> Self {
        self.on_progress = Some(OnProgress(std::sync::Arc::new(report)));
        self
    }
}

#[derive(Clone)]
struct OnProgress(std::sync::Arc<dyn Fn(IndexBuildProgress) + Send + std::marker::Sync>);

impl std::fmt::Debug for OnProgress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnProgress")
    }
}

/// How far a build of indexes is. First the documents are read, then the entries are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexBuildProgress {
    /// Documents read.
    pub done_documents: u64,
    /// Documents to read.
    pub total_documents: u64,
    /// Entries written, in all the indexes that are built.
    pub done_entries: u64,
    /// Entries to write; what was found so far while documents are read.
    pub total_entries: u64,
}

/// Fills the new, empty trees of indexes from the documents of their collection, and notes at which
/// fields there are several keys.
///
/// # Errors
/// [`UniqueViolation`](crate::ErrorKind::UniqueViolation) and what a document's entries may say;
/// [`Cancelled`](crate::ErrorKind::Cancelled); those of reading and writing.
pub(crate) fn build(
    tx: &mut storage::WriteTx,
    collection: &CollectionMeta,
    indexes: &mut [IndexMeta],
    resources: &Resources,
    options: &IndexBuildOptions,
) -> Result<()> {
    let mut build = Build { options, progress: IndexBuildProgress::default() };
    let sorters = build.gather(tx, collection, indexes, resources)?;
    for (index, sorter) in indexes.iter().zip(sorters) {
        let loaded = build.load(tx, index, sorter.finish()?);
        loaded.map_err(|error| error.in_index(&index.name))?;
    }
    build.report();
    Ok(())
}

/// A build under way.
struct Build<'o> {
    options: &'o IndexBuildOptions,
    progress: IndexBuildProgress,
}

impl Build<'_> {
    /// Reads the documents; a sorter for each index holds its entries then.
    fn gather(
        &mut self,
        tx: &storage::WriteTx,
        collection: &CollectionMeta,
        indexes: &mut [IndexMeta],
        resources: &Resources,
    ) -> Result<Vec<Sorter>> {
        let stats = tx.tree_stats(collection.tree)?.unwrap_or_default();
        self.progress.total_documents = stats.entry_count;
        let share = resources.budget_bytes / indexes.len().max(1);
        let resources = Resources { budget_bytes: share, ..resources.clone() };
        let mut sorters: Vec<Sorter> = indexes.iter().map(|_| Sorter::new(&resources)).collect();
        let mut entries = Entries::default();
        let mut buffer = Vec::new();
        let mut cursor = tx.cursor(collection.tree)?;
        let mut is_on_entry = cursor.first()?;
        while is_on_entry {
            let stored = cursor.value()?;
            let document = RawDocument::from_bytes(compress::unpacked(&stored, &mut buffer)?)?;
            for (index, sorter) in indexes.iter_mut().zip(&mut sorters) {
                self.gather_one(index, document, cursor.key(), &mut entries, sorter)?;
            }
            self.progress.done_documents = self.progress.done_documents.saturating_add(1);
            self.step(self.progress.done_documents)?;
            is_on_entry = cursor.next()?;
        }
        Ok(sorters)
    }

    fn gather_one(
        &mut self,
        index: &mut IndexMeta,
        document: RawDocument<'_>,
        id_key: &[u8],
        entries: &mut Entries,
        sorter: &mut Sorter,
    ) -> Result<()> {
        index
            .entries(document, id_key, entries)
            .map_err(|error| document::name_document(error, document, &index.primary_key))?;
        index.multikey |= entries.multikey_fields();
        for (key, flags) in entries.iter() {
            let sort_key_len = key.len().saturating_sub(id_key.len());
            sorter.push(SortRow { order: key, sort_key_len, document: &[flags.to_byte()] })?;
        }
        let count = entries.len() as u64;
        self.progress.total_entries = self.progress.total_entries.saturating_add(count);
        Ok(())
    }

    /// Writes the entries of one index.
    fn load(
        &mut self,
        tx: &mut storage::WriteTx,
        index: &IndexMeta,
        rows: SortedRows,
    ) -> Result<()> {
        let mut failed = None;
        let mut source = Entering { build: self, index, rows, last: Vec::new(), last_len: 0 };
        let entries = std::iter::from_fn(|| match source.next() {
            Ok(entry) => entry.map(Ok),
            Err(error) => {
                failed = Some(error);
                Some(Err(storage::Error::Cancelled))
            }
        });
        let loaded = tx.bulk_load(index.tree, entries);
        match failed {
            // What the load says of it is only that it ended.
            Some(error) => Err(error),
            None => Ok(loaded?),
        }
    }

    /// Looks every now and then whether the build is wanted, and tells how far it is.
    fn step(&self, done: u64) -> Result<()> {
        if done.is_multiple_of(STEP) {
            if self.options.cancel.is_cancelled() {
                return Err(storage::Error::Cancelled.into());
            }
            self.report();
        }
        Ok(())
    }

    fn report(&self) {
        if let Some(OnProgress(report)) = &self.options.on_progress {
            report(self.progress);
        }
    }
}

/// Sorted entries on their way into the tree of an index.
struct Entering<'b, 'o> {
    build: &'b mut Build<'o>,
    index: &'b IndexMeta,
    rows: SortedRows,
    /// The key before, and how much of it are the fields.
    last: Vec<u8>,
    last_len: usize,
}

impl Entering<'_, '_> {
    fn next(&mut self) -> Result<Option<(Vec<u8>, [u8; 1])>> {
        if !self.rows.advance()? {
            return Ok(None);
        }
        let Some(row) = self.rows.current() else { return Ok(None) };
        if self.index.spec.unique {
            self.check_is_free(row)?;
        }
        let flags = row.document.first().copied().unwrap_or_default();
        let entry = (row.order.to_vec(), [flags]);
        if self.index.spec.unique {
            self.last.clone_from(&entry.0);
            self.last_len = row.sort_key_len;
        }
        self.build.progress.done_entries = self.build.progress.done_entries.saturating_add(1);
        self.build.step(self.build.progress.done_entries)?;
        Ok(Some(entry))
    }

    /// Refuses a key that the document before has, too.
    fn check_is_free(&self, row: SortRow<'_>) -> Result<()> {
        let (fields, id) = row.order.split_at_checked(row.sort_key_len).unwrap_or_default();
        let (last, last_id) = self.last.split_at_checked(self.last_len).unwrap_or_default();
        if fields == last && last_id != id && !last_id.is_empty() {
            return Err(violation(self.index, fields, last_id, id));
        }
        Ok(())
    }
}
