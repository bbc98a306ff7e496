//! One transaction's worth of documents, and how it goes into the collection.

use any_store::{Collection, Database, ErrorKind, RawDocumentBuf, WriteTx};

use super::Counts;
use crate::args::ImportMode;
use crate::failure::{Failure, describe};
use crate::split::Place;

/// Stored bytes that make a batch full however few documents they are.
const BATCH_BYTES: usize = 1 << 20;

/// A document, or why there is none, in the order of the input.
pub(super) enum Entry {
    Document { place: Place, document: RawDocumentBuf },
    Rejected { place: Place, reason: String },
}

#[derive(Default)]
pub(super) struct Batch {
    entries: Vec<Entry>,
    bytes: usize,
    /// Entries that are no documents.
    pub(super) rejected: u64,
}

impl Batch {
    pub(super) fn push(&mut self, entry: Entry) {
        match &entry {
            Entry::Document { document, .. } => self.bytes += document.as_bytes().len(),
            Entry::Rejected { .. } => self.rejected += 1,
        }
        self.entries.push(entry);
    }

    /// Bad entries count too: a batch must not grow without end over an input of nothing else.
    pub(super) fn is_full(&self, entries: u64) -> bool {
        self.entries.len() as u64 >= entries || self.bytes >= BATCH_BYTES
    }

    pub(super) fn take(&mut self) -> Vec<Entry> {
        std::mem::take(self).entries
    }
}

/// The collection that is filled: a transaction for each batch, or one for all.
pub(super) struct Target<'a> {
    database: &'a Database,
    collection: Collection<RawDocumentBuf>,
    mode: ImportMode,
    /// `--atomic`: the transaction between two batches.
    whole: Option<WriteTx>,
    atomic: bool,
}

impl<'a> Target<'a> {
    pub(super) fn new(
        database: &'a Database,
        collection: Collection<RawDocumentBuf>,
        mode: ImportMode,
        atomic: bool,
    ) -> Result<Self, Failure> {
        let whole = if atomic { Some(database.begin_write()?) } else { None };
        Ok(Target { database, collection, mode, whole, atomic })
    }

    /// Begins a batch, which `end` ends.
    pub(super) fn begin(&mut self) -> Result<Transaction, Failure> {
        let transaction = match self.whole.take() {
            Some(transaction) => transaction,
            None => self.database.begin_write()?,
        };
        let collection = self.collection.clone();
        Ok(Transaction { transaction, collection, mode: self.mode })
    }

    pub(super) fn end(&mut self, transaction: Transaction) -> Result<(), Failure> {
        if self.atomic {
            self.whole = Some(transaction.transaction);
        } else {
            transaction.transaction.commit()?;
        }
        Ok(())
    }

    /// After the last batch.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        if let Some(transaction) = self.whole.take() {
            transaction.commit()?;
        }
        Ok(())
    }
}

/// The open transaction of a batch.
pub(super) struct Transaction {
    transaction: WriteTx,
    collection: Collection<RawDocumentBuf>,
    mode: ImportMode,
}

impl Transaction {
    /// Stores one document. The inner error is about this document alone: the transaction goes on
    /// without it.
    pub(super) fn apply(
        &mut self,
        entry: Entry,
        counts: &mut Counts,
    ) -> Result<Result<(), (Place, String)>, Failure> {
        match entry {
            Entry::Rejected { place, reason } => Ok(Err((place, reason))),
            Entry::Document { place, document } => match self.store(&document, counts) {
                Ok(()) => Ok(Ok(())),
                Err(error) if concerns_document(&error) => Ok(Err((place, reason(&error)))),
                Err(error) => Err(error.into()),
            },
        }
    }

    fn store(
        &mut self,
        document: &RawDocumentBuf,
        counts: &mut Counts,
    ) -> Result<(), any_store::Error> {
        let mut collection = self.transaction.collection(&self.collection);
        match self.mode {
            ImportMode::Insert => {
                collection.insert_one(document)?;
                counts.inserted += 1;
            }
            ImportMode::Upsert => {
                let result = collection.upsert(document)?;
                match result.upserted {
                    Some(_) => counts.inserted += 1,
                    None => counts.replaced += 1,
                }
            }
            ImportMode::Replace => {
                collection.replace(document)?;
                counts.replaced += 1;
            }
            ImportMode::SkipExisting => match collection.insert_one(document) {
                Ok(_) => counts.inserted += 1,
                Err(error) if error.kind() == ErrorKind::DocumentExists => counts.skipped += 1,
                Err(error) => return Err(error),
            },
        }
        Ok(())
    }
}

/// Another document could still be stored.
fn concerns_document(error: &any_store::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::DocumentExists
            | ErrorKind::MissingId
            | ErrorKind::InvalidId
            | ErrorKind::UniqueViolation
            | ErrorKind::ParallelArrays
            | ErrorKind::Parse
            | ErrorKind::LimitExceeded
    )
}

/// The message, with the id of the document where there is one.
fn reason(error: &any_store::Error) -> String {
    let text = describe(error);
    match error.document_id() {
        Some(id) => {
            let id: String = id.to_string().chars().take(ID_CHARS).collect();
            format!("{text} (id {id})")
        }
        None => text,
    }
}

/// Characters of an id that a message shows.
const ID_CHARS: usize = 80;
