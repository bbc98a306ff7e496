//! Keeping entries exact: what one change of one document means for the indexes.
//!
//! Whoever changes a document says what it was and what it becomes. The entries of both are sorted,
//! so one walk over the two lists tells what to remove, what to enter, and whose flags to change. A
//! key that both documents have is not touched, so it cannot conflict with anything.

use std::cmp::Ordering;

use any_store_storage as storage;
use anyenc::{RawDocument, Value};

use super::entries::{Entries, Flags};
use crate::catalog::{CollectionMeta, IndexMeta};
use crate::document;
use crate::error::{Error, ErrorKind, Result};

/// Memory for changes, kept from statement to statement.
#[derive(Default)]
pub(crate) struct Maintainer {
    old: Entries,
    new: Entries,
    /// For each index of the collection at hand, the fields at which the running statement has met
    /// several keys and the catalog does not know of any.
    gained: Vec<u64>,
}

impl Maintainer {
    /// Begins a statement on a collection.
    pub(crate) fn begin(&mut self, collection: &CollectionMeta) {
        self.gained.clear();
        self.gained.resize(collection.indexes.len(), 0);
    }

    /// What the catalog must be told at the end of the statement: for each index the bits that are
    /// new in `IndexMeta::multikey`. None at all if nothing is new.
    pub(crate) fn gained(&self) -> Option<&[u64]> {
        self.gained.iter().any(|gained| *gained != 0).then_some(&self.gained)
    }

    /// Makes the indexes say what follows from the change of a document.
    ///
    /// # Errors
    /// [`ErrorKind::UniqueViolation`], [`ErrorKind::ParallelArrays`],
    /// [`ErrorKind::LimitExceeded`], [`ErrorKind::Corrupt`]; the change is half done then.
    pub(crate) fn change(
        &mut self,
        tx: &mut storage::WriteTx,
        collection: &CollectionMeta,
        id_key: &[u8],
        old: Option<RawDocument<'_>>,
        new: Option<RawDocument<'_>>,
    ) -> Result<()> {
        for (index, gained) in collection.indexes.iter().zip(&mut self.gained) {
            gather(index, old, id_key, &mut self.old)?;
            gather(index, new, id_key, &mut self.new).map_err(|error| of_id(error, id_key))?;
            apply(tx, index, id_key, &self.old, &self.new)
                .map_err(|error| of_id(error.in_index(&index.name), id_key))?;
            *gained |= self.new.multikey_fields() & !index.multikey;
        }
        Ok(())
    }
}

fn gather(
    index: &IndexMeta,
    document: Option<RawDocument<'_>>,
    id_key: &[u8],
    out: &mut Entries,
) -> Result<()> {
    match document {
        Some(document) => index.entries(document, id_key, out),
        None => {
            out.clear();
            Ok(())
        }
    }
}

/// Names the document, unless the error speaks of another one.
fn of_id(error: Error, id_key: &[u8]) -> Error {
    match document::id_of_key(id_key) {
        Some(id) => error.of_document(id),
        None => error,
    }
}

/// Brings one index from the old entries to the new ones.
fn apply(
    tx: &mut storage::WriteTx,
    index: &IndexMeta,
    id_key: &[u8],
    old: &Entries,
    new: &Entries,
) -> Result<()> {
    let (mut gone, mut come) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (gone.peek(), come.peek()) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((old, _)), Some((new, _))) => old.cmp(new),
        };
        let removed = if order.is_le() { gone.next() } else { None };
        let entered = if order.is_ge() { come.next() } else { None };
        match (removed, entered) {
            (Some((key, _)), None) => remove(tx, index, key)?,
            (None, Some((key, flags))) => enter(tx, index, id_key, key, flags)?,
            (Some((_, was)), Some((key, flags))) if was != flags => {
                tx.put(index.tree, key, &[flags.to_byte()])?;
            }
            _ => {}
        }
    }
}

fn remove(tx: &mut storage::WriteTx, index: &IndexMeta, key: &[u8]) -> Result<()> {
    match tx.remove(index.tree, key)? {
        true => Ok(()),
        false => Err(Error::corrupt("an index lacks an entry of a document")),
    }
}

fn enter(
    tx: &mut storage::WriteTx,
    index: &IndexMeta,
    id_key: &[u8],
    key: &[u8],
    flags: Flags,
) -> Result<()> {
    if index.spec.unique {
        check_is_free(tx, index, id_key, key)?;
    }
    match tx.insert(index.tree, key, &[flags.to_byte()])? {
        true => Ok(()),
        false => Err(Error::corrupt("an index has an entry that no document has made")),
    }
}

/// Refuses a key that another document has already.
fn check_is_free(
    tx: &storage::WriteTx,
    index: &IndexMeta,
    id_key: &[u8],
    key: &[u8],
) -> Result<()> {
    let fields = key.strip_suffix(id_key).unwrap_or(key);
    let mut cursor = tx.cursor(index.tree)?;
    #[cfg(planted)]
    if storage::is_planted("unique_outside_snapshot") {
        cursor = tx.base()?.cursor(index.tree)?;
    }
    let mut is_on_entry = cursor.seek(fields)?;
    while is_on_entry {
        let Some(other) = cursor.key().strip_prefix(fields) else { break };
        if other != id_key {
            return Err(violation(index, fields, other, id_key));
        }
        is_on_entry = cursor.next()?;
    }
    Ok(())
}

/// The error of a key that one document holds and another one asks for.
pub(super) fn violation(index: &IndexMeta, fields: &[u8], holder: &[u8], asking: &[u8]) -> Error {
    let message = format!("index {:?} already holds this key", index.name);
    let mut error = Error::new(ErrorKind::UniqueViolation, message).in_index(&index.name);
    if let Some(key) = values(index, fields) {
        error = error.at_key(key);
    }
    if let Some(id) = document::id_of_key(asking) {
        error = error.refusing(id);
    }
    of_id(error, holder)
}

/// The values of the fields, as far as a key tells them.
fn values(index: &IndexMeta, mut fields: &[u8]) -> Option<Vec<Value>> {
    let mut values = Vec::with_capacity(index.directions.len());
    for direction in &index.directions {
        let (value, len) = anyenc::key::decode_key(fields, *direction).ok()?;
        fields = fields.get(len..)?;
        values.push(value);
    }
    Some(values)
}
