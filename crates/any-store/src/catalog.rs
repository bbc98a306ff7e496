//! The catalog: which collections there are, as data in a tree of its own.
//!
//! Tree 1, the first tree made in a file, holds two kinds of entries:
//!
//! ```text
//! 01 id:u32be   {name, tree, primaryKey, compression, autoId, generation,
//!                indexes: [{id, tree, multikey, spec}], nextIndex}           a collection
//! 02 name       id:u32be                                                     its name
//! 03            nothing                     some collection has had an index with a time to live
//! ```
//!
//! The last two fields are there once the collection has had an index.
//!
//! Since the catalog is data, creating, dropping and renaming are undone with the transaction that
//! did them. Nothing in memory has to be undone with it:
//!  1. [`Cache`] holds what one committed catalog version says and is asked with the version of the
//!     reader's snapshot, so no reader meets a collection that its snapshot lacks.
//!  2. A write transaction that has changed the catalog reads the tree itself.
//!  3. Handles hold an id and a generation, never a record. The generation is random, so a handle
//!     to a collection that was rolled back or dropped fits nothing that is made later, even if the
//!     id is used again.

mod cache;
mod index;
mod record;
mod spec;

use any_store_storage as storage;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::options::MAX_NAME_BYTES;
use crate::source::Source;

pub(crate) use cache::Cache;
#[cfg(test)]
pub(crate) use index::IndexId;
pub(crate) use index::{IndexMeta, field_bit};
pub(crate) use record::{CollectionId, CollectionMeta, FIRST_INDEX, Generation};
pub(crate) use spec::Definition;
pub use spec::{IndexSpec, IntoIndexFields};

/// The tree that holds the catalog.
pub(crate) const CATALOG_TREE: storage::TreeId = storage::TreeId(1);

const KIND_COLLECTION: u8 = 1;
const KIND_NAME: u8 = 2;
const KIND_EXPIRY: u8 = 3;

/// What a handle knows about its collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Whatever has this name when it is used.
    Named(Arc<str>),
    /// One collection, whatever its name.
    Bound {
        id: CollectionId,
        generation: Generation,
        /// The name when the handle was made, for messages once the collection is gone.
        name_at_binding: Arc<str>,
    },
}

impl Target {
    pub(crate) fn bound_to(meta: &CollectionMeta) -> Self {
        Self::Bound {
            id: meta.id,
            generation: meta.generation,
            name_at_binding: Arc::from(meta.name.as_str()),
        }
    }

    /// The name that the handle was made with.
    pub(crate) fn given_name(&self) -> &str {
        match self {
            Self::Named(name) | Self::Bound { name_at_binding: name, .. } => name,
        }
    }

    /// True if `meta` is what this target means.
    pub(crate) fn is(&self, meta: &CollectionMeta) -> bool {
        match self {
            Self::Named(name) => **name == *meta.name,
            Self::Bound { id, generation, .. } => *id == meta.id && *generation == meta.generation,
        }
    }

    /// The error of a target that means nothing in the state that was asked.
    pub(crate) fn missing(&self) -> Error {
        let name = self.given_name();
        match self {
            Self::Named(_) => not_found(name),
            Self::Bound { .. } => Error::new(
                ErrorKind::CollectionClosed,
                format!("collection {name:?} was dropped, or is not there in this transaction"),
            )
            .in_collection(name),
        }
    }
}

/// The collection that `target` means in `source`.
pub(crate) fn load(source: &Source<'_>, target: &Target) -> Result<Option<CollectionMeta>> {
    let meta = match target {
        Target::Named(name) => find_by_name(source, name)?,
        Target::Bound { id, .. } => find_by_id(source, *id)?,
    };
    Ok(meta.filter(|meta| target.is(meta)))
}

/// Every collection, in byte order of the names.
pub(crate) fn list(source: &Source<'_>) -> Result<Vec<CollectionMeta>> {
    let ids = names(source)?;
    ids.into_iter()
        .map(|(name, id)| {
            find_by_id(source, id)?
                .filter(|meta| meta.name == name)
                .ok_or_else(|| damaged("a name leads to no record"))
        })
        .collect()
}

/// As [`list`], for checks: what is damaged is reported and left out, the rest goes on.
pub(crate) fn list_sound(
    source: &Source<'_>,
    report: &mut dyn FnMut(Error) -> Result<()>,
) -> Result<Vec<CollectionMeta>> {
    let mut sound = Vec::new();
    let names = names(source)?;
    for (name, id) in &names {
        match find_by_id(source, *id) {
            Ok(Some(meta)) if meta.name == *name => sound.push(meta),
            Ok(_) => report(damaged("a name leads to no record"))?,
            Err(error) => report(error)?,
        }
    }
    let entries = source.tree_stats(CATALOG_TREE)?.map_or(0, |stats| stats.entry_count);
    let records = entries.saturating_sub(names.len() as u64 + u64::from(has_expiry(source)?));
    // One report for all of them: how many entries there are is the file's own claim.
    if records > names.len() as u64 {
        report(damaged("records have no name"))?;
    }
    Ok(sound)
}

/// Whether some collection may have an index with a time to live.
pub(crate) fn has_expiry(source: &Source<'_>) -> Result<bool> {
    Ok(get(source, &[KIND_EXPIRY])?.is_some())
}

/// Every name with its collection's id, in byte order.
pub(crate) fn names(source: &Source<'_>) -> Result<Vec<(String, CollectionId)>> {
    let mut names = Vec::new();
    if source.tree_stats(CATALOG_TREE)?.is_none() {
        return Ok(names);
    }
    let mut cursor = source.cursor(CATALOG_TREE)?;
    let mut is_on_entry = cursor.seek(&[KIND_NAME])?;
    while is_on_entry {
        let Some((&KIND_NAME, name)) = cursor.key().split_first() else { break };
        let name = String::from_utf8(name.to_vec()).map_err(|_| damaged("a name is not UTF-8"))?;
        names.push((name, CollectionId::from_bytes(&cursor.value()?)?));
        is_on_entry = cursor.next()?;
    }
    Ok(names)
}

/// Adds a collection under an id that is free.
pub(crate) fn create(
    tx: &mut storage::WriteTx,
    mut meta: CollectionMeta,
) -> Result<CollectionMeta> {
    check_name(&meta.name)?;
    if tx.tree_stats(CATALOG_TREE)?.is_none() {
        create_catalog(tx)?;
    }
    if find_by_name(&Source::uncommitted(tx), &meta.name)?.is_some() {
        return Err(exists(&meta.name));
    }
    meta.id = free_id(tx)?;
    meta.tree = tx.create_tree(storage::TreeOptions::default())?;
    put_record(tx, &meta)?;
    tx.put(CATALOG_TREE, &name_key(&meta.name), &meta.id.to_bytes())?;
    tx.bump_catalog_version()?;
    Ok(meta)
}

/// Removes a collection with all its documents and indexes.
pub(crate) fn drop(tx: &mut storage::WriteTx, meta: &CollectionMeta) -> Result<()> {
    for index in &meta.indexes {
        tx.drop_tree(index.tree)?;
    }
    tx.drop_tree(meta.tree)?;
    tx.remove(CATALOG_TREE, &record_key(meta.id))?;
    tx.remove(CATALOG_TREE, &name_key(&meta.name))?;
    tx.bump_catalog_version()?;
    Ok(())
}

/// Gives a collection another name; documents and handles do not notice.
pub(crate) fn rename(tx: &mut storage::WriteTx, meta: &CollectionMeta, to: &str) -> Result<()> {
    check_name(to)?;
    if meta.name == to {
        return Ok(());
    }
    if find_by_name(&Source::uncommitted(tx), to)?.is_some() {
        return Err(exists(to));
    }
    let renamed = CollectionMeta { name: to.to_owned(), ..meta.clone() };
    put_record(tx, &renamed)?;
    tx.remove(CATALOG_TREE, &name_key(&meta.name))?;
    tx.put(CATALOG_TREE, &name_key(to), &meta.id.to_bytes())?;
    tx.bump_catalog_version()?;
    Ok(())
}

/// New indexes with empty trees, numbered on from the last one. The catalog does not know them before
/// [`add_indexes`].
pub(crate) fn new_indexes(
    tx: &mut storage::WriteTx,
    meta: &CollectionMeta,
    definitions: Vec<Definition>,
) -> Result<Vec<IndexMeta>> {
    let mut id = meta.next_index;
    let mut indexes = Vec::with_capacity(definitions.len());
    for definition in definitions {
        let tree = tx.create_tree(INDEX_TREE)?;
        indexes.push(IndexMeta::new(id, tree, definition, &meta.primary_key));
        id = id.next()?;
    }
    Ok(indexes)
}

/// Adds indexes that were built to their collection.
pub(crate) fn add_indexes(
    tx: &mut storage::WriteTx,
    meta: &CollectionMeta,
    indexes: Vec<IndexMeta>,
) -> Result<()> {
    let mut more = meta.clone();
    for index in indexes {
        more.next_index = index.id.next()?;
        more.indexes.push(Arc::new(index));
    }
    put_record(tx, &more)?;
    Ok(tx.bump_catalog_version()?)
}

/// Removes an index with all its entries.
pub(crate) fn drop_index(
    tx: &mut storage::WriteTx,
    meta: &CollectionMeta,
    index: &IndexMeta,
) -> Result<()> {
    tx.drop_tree(index.tree)?;
    let mut less = meta.clone();
    less.indexes.retain(|other| other.id != index.id);
    put_record(tx, &less)?;
    Ok(tx.bump_catalog_version()?)
}

/// Notes that documents have several keys at fields of indexes: bits for each index, in order.
pub(crate) fn add_multikey(
    tx: &mut storage::WriteTx,
    meta: &CollectionMeta,
    gained: &[u64],
) -> Result<()> {
    let mut changed = meta.clone();
    for (index, gained) in changed.indexes.iter_mut().zip(gained) {
        Arc::make_mut(index).multikey |= gained;
    }
    put_record(tx, &changed)?;
    Ok(tx.bump_catalog_version()?)
}

/// Entries are small and change one by one, so their pages are small.
const INDEX_TREE: storage::TreeOptions = storage::TreeOptions { page_blocks: Some(1) };

fn find_by_name(source: &Source<'_>, name: &str) -> Result<Option<CollectionMeta>> {
    let Some(value) = get(source, &name_key(name))? else { return Ok(None) };
    let id = CollectionId::from_bytes(&value)?;
    match find_by_id(source, id)? {
        Some(meta) if meta.name == name => Ok(Some(meta)),
        _ => Err(damaged("a name leads to no record")),
    }
}

fn find_by_id(source: &Source<'_>, id: CollectionId) -> Result<Option<CollectionMeta>> {
    let Some(value) = get(source, &record_key(id))? else { return Ok(None) };
    CollectionMeta::decode(id, &value).map(Some)
}

/// A value of the catalog; none in a file that has had no collection yet.
fn get(source: &Source<'_>, key: &[u8]) -> Result<Option<storage::ValueRef>> {
    match source.tree_stats(CATALOG_TREE)? {
        Some(_) => source.get(CATALOG_TREE, key),
        None => Ok(None),
    }
}

fn create_catalog(tx: &mut storage::WriteTx) -> Result<()> {
    match tx.create_tree(storage::TreeOptions::default())? {
        CATALOG_TREE => Ok(()),
        _ => Err(Error::internal("the first tree of the file is not the catalog")),
    }
}

/// The id after the largest one.
fn free_id(tx: &storage::WriteTx) -> Result<CollectionId> {
    let mut cursor = tx.cursor(CATALOG_TREE)?;
    if !cursor.seek_before(&[KIND_NAME])? {
        return Ok(CollectionId(1));
    }
    let largest = match cursor.key().split_first() {
        Some((&KIND_COLLECTION, id)) => CollectionId::from_bytes(id)?,
        _ => return Err(damaged("an entry is of no known kind")),
    };
    largest.next().ok_or_else(|| {
        Error::new(ErrorKind::LimitExceeded, "no number is left for another collection")
    })
}

fn put_record(tx: &mut storage::WriteTx, meta: &CollectionMeta) -> Result<()> {
    tx.put(CATALOG_TREE, &record_key(meta.id), &meta.encode()?)?;
    if meta.indexes.iter().any(|index| index.spec.expire_after.is_some()) {
        tx.put(CATALOG_TREE, &[KIND_EXPIRY], &[])?;
    }
    Ok(())
}

fn record_key(id: CollectionId) -> [u8; 5] {
    let [a, b, c, d] = id.to_bytes();
    [KIND_COLLECTION, a, b, c, d]
}

fn name_key(name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + name.len());
    key.push(KIND_NAME);
    key.extend_from_slice(name.as_bytes());
    key
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return Err(Error::new(
            ErrorKind::InvalidName,
            "the name of a collection has 1 to 255 bytes",
        ));
    }
    Ok(())
}

pub(crate) fn not_found(name: &str) -> Error {
    Error::new(ErrorKind::CollectionNotFound, format!("there is no collection {name:?}"))
        .in_collection(name)
}

fn exists(name: &str) -> Error {
    Error::new(ErrorKind::CollectionExists, format!("collection {name:?} is there already"))
        .in_collection(name)
}

fn damaged(what: &'static str) -> Error {
    Error::corrupt(format!("the catalog is damaged: {what}"))
}

#[cfg(test)]
mod tests;
