//! The write verbs on one collection, inside a write transaction that somebody else begins, commits
//! and rolls back.
//!
//! A verb that fails may have done a part of its work. Outside a transaction that work vanishes with
//! the statement's own transaction; inside one it is undone by the statement's savepoint. So nothing
//! here cleans up.

use std::borrow::Borrow;

use any_store_query::{Applied, ApplyContext, Update};
use any_store_storage as storage;
use anyenc::{ObjectId, RawDocument, RawDocumentBuf, Value};
use serde::Serialize;

use crate::catalog::CollectionMeta;
use crate::compress::{self, Packer};
use crate::document;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{self, Keep, Resources, Selection, Targets};
use crate::source::Source;

/// What an update, a replacement or an upsert did.
#[derive(Clone, Debug, Default, PartialEq)]
#[doc(alias = "ModifyResult")]
#[non_exhaustive]
pub struct UpdateResult {
    /// Documents that were selected.
    pub matched: u64,
    /// Documents whose bytes changed.
    pub modified: u64,
    /// The id of the document that was inserted because none was there.
    pub upserted: Option<Value>,
}

/// What a delete did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteResult {
    /// Documents that were selected and are gone.
    pub deleted: u64,
}

/// One statement at work on one collection.
pub(crate) struct Statement<'a> {
    pub(crate) tx: &'a mut storage::WriteTx,
    pub(crate) collection: &'a CollectionMeta,
    pub(crate) packer: &'a mut Packer,
    pub(crate) resources: &'a Resources,
}

/// Whether bytes changed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    Stored,
}

impl Statement<'_> {
    /// Adds a document that has, or is given, a new id; returns the id.
    pub(crate) fn insert(&mut self, document: RawDocumentBuf) -> Result<Value> {
        let (document, id) = self.with_id(document)?;
        let key = document::id_key(&id)?;
        let stored = self.packer.pack(document.as_bytes(), self.collection.compression);
        if self.tx.insert(self.collection.tree, &key, stored)? {
            return Ok(id);
        }
        let name = &self.collection.name;
        let message = format!("a document of this id is in collection {name:?} already");
        Err(Error::new(ErrorKind::DocumentExists, message).of_document(id))
    }

    /// Adds documents one by one; the error says which one failed.
    pub(crate) fn insert_many<T: Serialize, D: Borrow<T>>(
        &mut self,
        documents: impl IntoIterator<Item = D>,
    ) -> Result<Vec<Value>> {
        let insert = |(item, document): (u64, D)| {
            document::encode(document.borrow())
                .and_then(|document| self.insert(document))
                .map_err(|error| error.at_item(item))
        };
        (0..).zip(documents).map(insert).collect()
    }

    /// Puts a whole document in the place of the one with its id.
    pub(crate) fn replace(&mut self, document: &RawDocumentBuf) -> Result<UpdateResult> {
        let id = self.id_of(document.as_raw())?;
        let key = document::id_key(&id)?;
        match self.replace_at(&key, document.as_bytes())? {
            Some(change) => Ok(one_matched(change)),
            None => Err(self.no_document(id)),
        }
    }

    /// Replaces the document with this id, or inserts the document if there is none.
    pub(crate) fn upsert(&mut self, document: RawDocumentBuf) -> Result<UpdateResult> {
        let has_id = document::id(document.as_raw(), &self.collection.primary_key)?.is_some();
        if has_id {
            let key = document::id_key(&self.id_of(document.as_raw())?)?;
            if let Some(change) = self.replace_at(&key, document.as_bytes())? {
                return Ok(one_matched(change));
            }
        }
        let id = self.insert(document)?;
        Ok(UpdateResult { upserted: Some(id), ..UpdateResult::default() })
    }

    /// Applies an update to the document with this id.
    pub(crate) fn update_id(&mut self, id: Value, update: &Update) -> Result<UpdateResult> {
        let key = document::id_key(&id)?;
        match self.update_at(&key, update)? {
            Some(change) => Ok(one_matched(change)),
            None => Err(self.no_document(id)),
        }
    }

    /// Applies an update to the document with this id, or to a new one that holds the id alone.
    pub(crate) fn upsert_id(&mut self, id: Value, update: &Update) -> Result<UpdateResult> {
        document::check_id_type(id.value_type(), &self.collection.primary_key)?;
        let key = document::id_key(&id)?;
        if let Some(change) = self.update_at(&key, update)? {
            return Ok(one_matched(change));
        }
        let empty = RawDocumentBuf::default();
        let seed = document::with_id_first(empty.as_raw(), &self.collection.primary_key, &id)?;
        let document = match self.apply(update, seed.as_raw(), ApplyContext::insert())? {
            Applied::Unchanged => seed,
            Applied::Changed(document) => document,
        };
        self.insert(document)?;
        Ok(UpdateResult { upserted: Some(id), ..UpdateResult::default() })
    }

    /// Removes the document with this id.
    pub(crate) fn delete_id(&mut self, id: Value) -> Result<()> {
        let key = document::id_key(&id)?;
        if self.tx.remove(self.collection.tree, &key)? { Ok(()) } else { Err(self.no_document(id)) }
    }

    /// Applies an update to every selected document.
    pub(crate) fn update_selected(
        &mut self,
        selection: &Selection,
        update: &Update,
    ) -> Result<UpdateResult> {
        let mut targets = self.targets(selection)?;
        let mut result = UpdateResult::default();
        while let Some(key) = targets.next()? {
            let change = self.update_at(key, update)?.ok_or_else(target_is_gone)?;
            result.matched += 1;
            result.modified += u64::from(change == Change::Stored);
        }
        Ok(result)
    }

    /// Puts a document in the place of the first selected one, whose id it has or takes over.
    pub(crate) fn replace_selected(
        &mut self,
        selection: &Selection,
        document: &RawDocumentBuf,
    ) -> Result<UpdateResult> {
        let mut targets = self.targets(selection)?;
        let Some(key) = targets.next()? else { return Ok(UpdateResult::default()) };
        let primary_key = &self.collection.primary_key;
        let with_old_id;
        let document = match document::id(document.as_raw(), primary_key)? {
            Some(id) if document::raw_id_key(id)? == key => document,
            Some(_) => return Err(self.id_would_change()),
            None => {
                let old = self.read(key)?.ok_or_else(target_is_gone)?;
                let id = self.id_of(old.as_raw())?;
                with_old_id = document::with_id_first(document.as_raw(), primary_key, &id)?;
                &with_old_id
            }
        };
        let change = self.replace_at(key, document.as_bytes())?.ok_or_else(target_is_gone)?;
        Ok(one_matched(change))
    }

    /// Removes every selected document.
    pub(crate) fn delete_selected(&mut self, selection: &Selection) -> Result<DeleteResult> {
        let mut targets = self.targets(selection)?;
        let mut result = DeleteResult::default();
        while let Some(key) = targets.next()? {
            if !self.tx.remove(self.collection.tree, key)? {
                return Err(target_is_gone());
            }
            result.deleted += 1;
        }
        Ok(result)
    }

    /// The ids of a selection, all chosen before anything changes.
    fn targets(&self, selection: &Selection) -> Result<Targets> {
        let source = Source::uncommitted(self.tx);
        let rows = exec::select(&source, self.collection, selection, Keep::Ids, self.resources)?;
        Targets::collect(rows, self.resources)
    }

    /// The document with the id it has, or with a new one where the collection makes ids.
    fn with_id(&self, document: RawDocumentBuf) -> Result<(RawDocumentBuf, Value)> {
        let primary_key = &self.collection.primary_key;
        if let Some(id) = document::id(document.as_raw(), primary_key)? {
            let id = id.to_value()?;
            return Ok((document, id));
        }
        if !self.collection.auto_id {
            return Err(document::missing_id(primary_key));
        }
        let id = Value::ObjectId(ObjectId::new());
        Ok((document::with_id_first(document.as_raw(), primary_key, &id)?, id))
    }

    fn id_of(&self, document: RawDocument<'_>) -> Result<Value> {
        let primary_key = &self.collection.primary_key;
        let id = document::id(document, primary_key)?;
        Ok(id.ok_or_else(|| document::missing_id(primary_key))?.to_value()?)
    }

    /// The document under a key.
    fn read(&self, key: &[u8]) -> Result<Option<RawDocumentBuf>> {
        let Some(stored) = self.tx.get(self.collection.tree, key)? else { return Ok(None) };
        let mut buffer = Vec::new();
        let document = compress::unpacked(&stored, &mut buffer)?;
        Ok(Some(RawDocument::from_bytes(document)?.to_owned()))
    }

    /// Stores other bytes under a key that has a document; `None` if it has none.
    fn replace_at(&mut self, key: &[u8], document: &[u8]) -> Result<Option<Change>> {
        let Some(stored) = self.tx.get(self.collection.tree, key)? else { return Ok(None) };
        let mut buffer = Vec::new();
        if compress::unpacked(&stored, &mut buffer)? == document {
            return Ok(Some(Change::None));
        }
        self.put(key, document).map(Some)
    }

    /// Applies an update to the document under a key; `None` if it has none.
    fn update_at(&mut self, key: &[u8], update: &Update) -> Result<Option<Change>> {
        let Some(stored) = self.tx.get(self.collection.tree, key)? else { return Ok(None) };
        let mut buffer = Vec::new();
        let old = RawDocument::from_bytes(compress::unpacked(&stored, &mut buffer)?)?;
        match self.apply(update, old, ApplyContext::update())? {
            Applied::Unchanged => Ok(Some(Change::None)),
            Applied::Changed(new) => self.put(key, new.as_bytes()).map(Some),
        }
    }

    /// The document after an update, which has kept its id.
    fn apply(
        &self,
        update: &Update,
        document: RawDocument<'_>,
        context: ApplyContext,
    ) -> Result<Applied> {
        let primary_key = &self.collection.primary_key;
        let named = |error: Error| document::name_document(error, document, primary_key);
        let applied = update.apply(document, context).map_err(|error| named(error.into()))?;
        if let Applied::Changed(new) = &applied {
            let old_id = document.get(primary_key)?;
            let new_id = new.as_raw().get(primary_key)?;
            let keeps_id = match (old_id, new_id) {
                (Some(old), Some(new)) => old.compare(&new)?.is_eq(),
                _ => false,
            };
            if !keeps_id {
                return Err(named(self.id_would_change()));
            }
        }
        Ok(applied)
    }

    fn put(&mut self, key: &[u8], document: &[u8]) -> Result<Change> {
        let stored = self.packer.pack(document, self.collection.compression);
        self.tx.put(self.collection.tree, key, stored)?;
        Ok(Change::Stored)
    }

    fn no_document(&self, id: Value) -> Error {
        let name = &self.collection.name;
        Error::new(ErrorKind::NotFound, format!("no document of this id is in collection {name:?}"))
            .of_document(id)
    }

    fn id_would_change(&self) -> Error {
        let primary_key = &self.collection.primary_key;
        Error::new(
            ErrorKind::PrimaryKeyModification,
            format!("the primary key {primary_key:?} of a document never changes"),
        )
        .at_field(primary_key)
    }
}

fn one_matched(change: Change) -> UpdateResult {
    let modified = u64::from(change == Change::Stored);
    UpdateResult { matched: 1, modified, upserted: None }
}

/// Only this statement writes, and it deletes no target twice.
fn target_is_gone() -> Error {
    Error::internal("a document that was chosen for a change is gone")
}
