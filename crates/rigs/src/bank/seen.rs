//! Everything that is stored, as somebody who looks sees it.

use std::collections::{BTreeMap, BTreeSet};

use any_store::{
    Collection, Database, Document, RawArray, RawDocument, RawValue, ReadTx, ReadView, Result,
    Savepoint, WriteTx,
};

use super::{Digest, INDEXES, Row, Rows, STATE, State};

/// Whoever can look at one state: a snapshot, a transaction, a savepoint.
pub(crate) trait Look {
    fn names(&self) -> Result<Vec<String>>;
    fn at(&self, collection: &Collection) -> ReadView<'_>;
}

impl Look for ReadTx {
    fn names(&self) -> Result<Vec<String>> {
        self.collection_names()
    }

    fn at(&self, collection: &Collection) -> ReadView<'_> {
        self.collection(collection)
    }
}

impl Look for WriteTx {
    fn names(&self) -> Result<Vec<String>> {
        self.collection_names()
    }

    fn at(&self, collection: &Collection) -> ReadView<'_> {
        self.view(collection)
    }
}

impl Look for Savepoint<'_> {
    fn names(&self) -> Result<Vec<String>> {
        self.collection_names()
    }

    fn at(&self, collection: &Collection) -> ReadView<'_> {
        self.view(collection)
    }
}

/// All documents of one state, read by scans.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) collections: BTreeMap<String, Rows>,
    /// How many entries each index has, by collection and name.
    pub(crate) indexes: BTreeMap<(String, String), u64>,
    /// That of the state, if it is one that was committed.
    pub(crate) digest: u64,
    /// How many documents were read.
    pub(crate) documents: u64,
}

impl Seen {
    pub(crate) fn look(db: &Database, place: &impl Look) -> Result<Self> {
        let mut seen = Self::default();
        let mut digest = Digest::default();
        for name in place.names()? {
            digest.add_collection(&name);
            let mut rows = Rows::new();
            let view = place.at(&db.collection::<Document>(&name));
            for index in view.indexes()? {
                digest.add_index(&name, &index.name);
                seen.indexes.insert((name.clone(), index.name), index.entries);
            }
            let mut cursor = view.find(()).hint("$natural").run()?;
            while let Some(document) = cursor.next_raw()? {
                digest.add_document(&name, document.as_bytes());
                let row = Row::of(document)?;
                rows.insert(row.id, row);
                seen.documents += 1;
            }
            seen.collections.insert(name, rows);
        }
        seen.digest = digest.0;
        Ok(seen)
    }

    /// The number of the commit, as the state says it.
    pub(crate) fn commit(&self) -> Option<u64> {
        let number = self.collections.get(STATE)?.get(&0)?.n;
        u64::try_from(number).ok()
    }

    /// The first difference from what should be there.
    pub(crate) fn difference_from(&self, state: &State) -> Option<String> {
        let names = |of: &BTreeMap<String, Rows>| of.keys().cloned().collect::<Vec<_>>();
        let (have, want) = (names(&self.collections), names(&state.collections));
        if have != want {
            return Some(format!("collections are {have:?}, due are {want:?}"));
        }
        for (name, want) in &state.collections {
            let have = &self.collections[name];
            let ids = have.keys().chain(want.keys());
            if let Some(id) = ids.into_iter().find(|id| have.get(id) != want.get(id)) {
                let (have, want) = (have.get(id), want.get(id));
                return Some(format!("{name:?} document {id} is {have:?}, due is {want:?}"));
            }
        }
        let due = state.indexes.iter().map(|(name, index)| (*name, INDEXES[*index].0));
        let due: BTreeSet<(&str, &str)> = due.collect();
        let have: BTreeSet<(&str, &str)> =
            self.indexes.keys().map(|(name, index)| (name.as_str(), index.as_str())).collect();
        if have != due {
            return Some(format!("indexes are {have:?}, due are {due:?}"));
        }
        (self.digest != state.digest()).then(|| "bytes differ where values do not".to_owned())
    }
}

impl Row {
    /// A stored document as a row. What no step ever wrote shows in the digest alone.
    pub(crate) fn of(document: RawDocument<'_>) -> Result<Self> {
        let mut row = Self::default();
        for field in document.iter() {
            match field? {
                ("id", RawValue::Int64(id)) => row.id = id,
                ("n", RawValue::Int64(n)) => row.n = n,
                ("tags", RawValue::Array(tags)) => row.tags = numbers(tags)?,
                ("list", RawValue::Array(list)) => row.list = numbers(list)?,
                ("text", RawValue::String(text)) => row.text = text.to_owned(),
                _ => {}
            }
        }
        Ok(row)
    }
}

fn numbers(array: RawArray<'_>) -> Result<Vec<i64>> {
    let mut numbers = Vec::new();
    for element in array.iter() {
        numbers.push(match element? {
            RawValue::Int64(n) => n,
            _ => i64::MIN,
        });
    }
    Ok(numbers)
}
