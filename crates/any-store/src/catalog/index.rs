//! One index as the catalog knows it, and its part of the collection's record.

use any_store_query::Filter;
use any_store_storage::TreeId;
use anyenc::key::Direction;
use anyenc::{Document, Path, RawDocument, RawValue, Value};

use super::damaged;
use super::record::{Fields, tree_id};
use super::spec::{Definition, IndexSpec};
use crate::error::{Error, ErrorKind, Result};

/// The number of an index; no other index of the collection ever has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct IndexId(pub(crate) u32);

impl IndexId {
    /// The number after this one.
    pub(crate) fn next(self) -> Result<Self> {
        let next = self.0.checked_add(1).map(Self);
        next.ok_or_else(|| {
            Error::new(ErrorKind::LimitExceeded, "no number is left for another index")
        })
    }
}

/// An index as the catalog knows it.
#[derive(Clone, Debug)]
pub(crate) struct IndexMeta {
    pub(crate) id: IndexId,
    pub(crate) name: String,
    /// The tree of its entries.
    pub(crate) tree: TreeId,
    /// The definition as it was checked, its name included.
    pub(crate) spec: IndexSpec,
    pub(crate) paths: Vec<Path>,
    pub(crate) directions: Vec<Direction>,
    pub(crate) partial: Option<Filter>,
    /// The primary key of its collection.
    pub(crate) primary_key: String,
    /// Bit i: some document had several keys at field i. Never taken back.
    pub(crate) multikey: u64,
}

impl IndexMeta {
    pub(crate) fn new(
        id: IndexId,
        tree: TreeId,
        definition: Definition,
        primary_key: &str,
    ) -> Self {
        let Definition { name, spec, paths, directions, partial } = definition;
        let primary_key = primary_key.to_owned();
        Self { id, name, tree, spec, paths, directions, partial, primary_key, multikey: 0 }
    }

    /// Whether a definition says the same about which entries there are and what they are for,
    /// whatever the names.
    pub(crate) fn means(&self, definition: &Definition) -> bool {
        self.definition().means(definition)
    }

    fn definition(&self) -> Definition {
        Definition {
            name: self.name.clone(),
            spec: self.spec.clone(),
            paths: self.paths.clone(),
            directions: self.directions.clone(),
            partial: self.partial.clone(),
        }
    }

    pub(super) fn to_value(&self) -> Value {
        Value::Object(Document::from([
            ("id", Value::Int64(i64::from(self.id.0))),
            ("tree", Value::Int64(i64::from(self.tree.0))),
            ("multikey", Value::Int64(self.multikey.cast_signed())),
            ("spec", Value::Object(self.spec.to_document())),
        ]))
    }

    pub(super) fn from_raw(value: RawDocument<'_>, primary_key: &str) -> Result<Self> {
        let fields = Fields(value);
        let id = u32::try_from(fields.int("id")?);
        let RawValue::Object(spec) = fields.get("spec")? else {
            return Err(damaged("an index's definition is no object"));
        };
        let spec = IndexSpec::from_document(&spec.to_document()?);
        let definition = spec.and_then(|spec| Definition::check(spec, primary_key));
        let id = IndexId(id.map_err(|_| damaged("an index's number is out of range"))?);
        let tree = tree_id(fields.int("tree")?)?;
        let definition = definition.map_err(|_| damaged("an index's definition means nothing"))?;
        let multikey = fields.int("multikey")?.cast_unsigned();
        Ok(Self { multikey, ..Self::new(id, tree, definition, primary_key) })
    }
}

/// The bit of a field in `IndexMeta::multikey`.
pub(crate) fn field_bit(field: usize) -> u64 {
    u32::try_from(field).ok().and_then(|field| 1_u64.checked_shl(field)).unwrap_or(0)
}

/// Compares what is stored; the rest follows from it.
impl PartialEq for IndexMeta {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.tree, self.multikey, &self.spec)
            == (other.id, other.tree, other.multikey, &other.spec)
    }
}

impl Eq for IndexMeta {}
