//! One collection as the catalog knows it, and its record.

use std::sync::Arc;

use any_store_storage::TreeId;
use anyenc::{Document, RawDocument, RawDocumentBuf, RawValue, Value};

use super::damaged;
use super::index::{IndexId, IndexMeta};
use crate::error::Result;
use crate::options::Compression;

/// The number of a collection; it keeps it through renames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CollectionId(pub(crate) u32);

impl CollectionId {
    pub(crate) fn to_bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let bytes =
            bytes.try_into().map_err(|_| damaged("a collection's number is not four bytes"))?;
        Ok(Self(u32::from_be_bytes(bytes)))
    }

    pub(crate) fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

/// Tells apart the collections that have had one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Generation(pub(crate) i64);

/// A collection as the catalog knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CollectionMeta {
    pub(crate) id: CollectionId,
    pub(crate) generation: Generation,
    pub(crate) name: String,
    /// The tree of its documents.
    pub(crate) tree: TreeId,
    /// The top-level field that holds the id.
    pub(crate) primary_key: String,
    pub(crate) compression: Compression,
    pub(crate) auto_id: bool,
    /// In the order in which they were made.
    pub(crate) indexes: Vec<Arc<IndexMeta>>,
    /// The number that the next index gets.
    pub(crate) next_index: IndexId,
}

impl CollectionMeta {
    /// The index of this name.
    pub(crate) fn index(&self, name: &str) -> Option<&Arc<IndexMeta>> {
        self.indexes.iter().find(|index| index.name == name)
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let mut record: Document = [
            ("name", Value::from(self.name.as_str())),
            ("tree", Value::Int64(i64::from(self.tree.0))),
            ("primaryKey", Value::from(self.primary_key.as_str())),
            ("compression", Value::from(self.compression.name())),
            ("autoId", Value::Bool(self.auto_id)),
            ("generation", Value::Int64(self.generation.0)),
        ]
        .into_iter()
        .map(|(field, value)| (field.to_owned(), value))
        .collect();
        if self.next_index != FIRST_INDEX {
            let indexes = self.indexes.iter().map(|index| index.to_value()).collect();
            record.insert("indexes", Value::Array(indexes));
            record.insert("nextIndex", i64::from(self.next_index.0));
        }
        Ok(RawDocumentBuf::from_document(&record)?.into_bytes())
    }

    pub(super) fn decode(id: CollectionId, bytes: &[u8]) -> Result<Self> {
        let fields = Fields(RawDocument::from_bytes(bytes)?);
        let primary_key = fields.string("primaryKey")?;
        let (indexes, next_index) = decode_indexes(&fields, primary_key)?;
        let compression = Compression::from_name(fields.string("compression")?);
        Ok(Self {
            id,
            generation: Generation(fields.int("generation")?),
            name: fields.string("name")?.to_owned(),
            tree: tree_id(fields.int("tree")?)?,
            primary_key: primary_key.to_owned(),
            compression: compression.ok_or_else(|| damaged("a compression has no known name"))?,
            auto_id: fields.bool("autoId")?,
            indexes,
            next_index,
        })
    }
}

/// The number of a collection's first index.
pub(crate) const FIRST_INDEX: IndexId = IndexId(1);

/// The indexes; the record of a collection that never had one does not speak of them.
fn decode_indexes(
    fields: &Fields<'_>,
    primary_key: &str,
) -> Result<(Vec<Arc<IndexMeta>>, IndexId)> {
    let Some(stored) = fields.0.get("indexes")? else { return Ok((Vec::new(), FIRST_INDEX)) };
    let RawValue::Array(stored) = stored else {
        return Err(damaged("the indexes of a collection are no array"));
    };
    let mut indexes = Vec::new();
    for index in stored.iter() {
        let RawValue::Object(index) = index? else {
            return Err(damaged("an index is no object"));
        };
        indexes.push(Arc::new(IndexMeta::from_raw(index, primary_key)?));
    }
    let next = u32::try_from(fields.int("nextIndex")?);
    Ok((indexes, IndexId(next.map_err(|_| damaged("an index's number is out of range"))?)))
}

/// A tree's number as a record has it.
pub(super) fn tree_id(number: i64) -> Result<TreeId> {
    let number = u32::try_from(number);
    Ok(TreeId(number.map_err(|_| damaged("a tree's number is out of range"))?))
}

/// Typed access to the fields of a record; anything unexpected is damage.
pub(super) struct Fields<'a>(pub(super) RawDocument<'a>);

impl<'a> Fields<'a> {
    pub(super) fn get(&self, field: &str) -> Result<RawValue<'a>> {
        self.0.get(field)?.ok_or_else(|| damaged("a record lacks a field"))
    }

    pub(super) fn int(&self, field: &str) -> Result<i64> {
        match self.get(field)? {
            RawValue::Int64(int) => Ok(int),
            _ => Err(damaged("a field is no integer")),
        }
    }

    fn string(&self, field: &str) -> Result<&'a str> {
        match self.get(field)? {
            RawValue::String(string) => Ok(string),
            _ => Err(damaged("a field is no string")),
        }
    }

    fn bool(&self, field: &str) -> Result<bool> {
        match self.get(field)? {
            RawValue::Bool(bool) => Ok(bool),
            _ => Err(damaged("a field is no boolean")),
        }
    }
}
