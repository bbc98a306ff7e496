//! What a script asks for, as statements of the document database.
//!
//! A script knows entries and trees; a document database has many verbs that come to the same. Which
//! one is used follows from the bytes of the entry, so that a seed determines it, and neighbouring
//! changes of one kind become one statement over several documents.

use std::collections::BTreeSet;
use std::sync::Arc;

use any_store::{
    Collection, CollectionOptions, Compression, Document, Error, ErrorKind, ReadView, Savepoint,
    Value, WriteTx, WriteView, doc,
};
use any_store_sim::engine::{INDEX, NAME};
use any_store_sim::model::{LEDGER, State};

use super::{
    MADE_WITH_IT, collection_name, document_of, fields_of, find_collection, id_of, spec_of,
};

/// One thing that a transaction does.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    CreateTree(u32),
    DropTree(u32),
    Put(u32, Vec<u8>, Arc<[u8]>),
    Remove(u32, Vec<u8>),
    SetAttribute(u32, String, Option<String>),
    Savepoint,
    RollbackTo,
    Release,
}

impl Op {
    /// Does the same to the model. Savepoints are the watcher's.
    pub(crate) fn apply(&self, state: &mut State) {
        match self {
            Self::CreateTree(tree) => state.create_tree(*tree),
            Self::DropTree(tree) => state.drop_tree(*tree),
            Self::Put(tree, key, value) => state.put(*tree, key.clone(), value.clone()),
            Self::Remove(tree, key) => drop(state.remove(*tree, key)),
            Self::SetAttribute(tree, name, value) => {
                state.set_attribute(*tree, name, value.as_deref());
            }
            Self::Savepoint | Self::RollbackTo | Self::Release => {}
        }
    }
}

/// Why a statement did not do what it should.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The database says so.
    Error(Error),
    /// The database said that all was well, and it was not.
    Wrong(String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Trouble {
    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Error(error) => format!("{error:?}"),
            Self::Wrong(what) => what,
        }
    }
}

pub(crate) type Done<T = ()> = Result<T, Trouble>;

/// Sees the statements and savepoints of a transaction as they come.
pub(crate) trait Watch {
    /// A statement for these operations ended. An error ends the transaction.
    fn done(&mut self, ops: &[Op], result: Done) -> Done;

    /// A savepoint was set.
    fn savepoint(&mut self) {}

    /// Everything since the last savepoint was undone, the savepoint with it.
    fn undone(&mut self) {}

    /// The last savepoint was released.
    fn released(&mut self) {}
}

/// Lets every error end the transaction.
pub(crate) struct Strict;

impl Watch for Strict {
    fn done(&mut self, ops: &[Op], result: Done) -> Done {
        result.map_err(|trouble| match (trouble, ops) {
            (Trouble::Wrong(what), [op, ..]) => Trouble::Wrong(format!("{op:.60?}: {what}")),
            (trouble, _) => trouble,
        })
    }
}

/// Where statements run: in a transaction or in one of its savepoints.
pub(crate) trait Scope {
    fn read(&self, collection: &Collection) -> ReadView<'_, Document>;
    fn write(&mut self, collection: &Collection) -> WriteView<'_, Document>;
    fn names(&self) -> any_store::Result<Vec<String>>;
    fn open(&self, name: &str) -> any_store::Result<Collection>;
    fn create(&mut self, name: &str, options: CollectionOptions) -> any_store::Result<Collection>;
    fn drop(&mut self, name: &str) -> any_store::Result<()>;
    fn rename(&mut self, from: &str, to: &str) -> any_store::Result<()>;
    fn begin(&mut self) -> any_store::Result<Savepoint<'_>>;
}

macro_rules! scope {
    ($type:ty) => {
        impl Scope for $type {
            fn read(&self, collection: &Collection) -> ReadView<'_, Document> {
                self.view(collection)
            }
            fn write(&mut self, collection: &Collection) -> WriteView<'_, Document> {
                self.collection(collection)
            }
            fn names(&self) -> any_store::Result<Vec<String>> {
                self.collection_names()
            }
            fn open(&self, name: &str) -> any_store::Result<Collection> {
                self.open_collection(name)
            }
            fn create(
                &mut self,
                name: &str,
                options: CollectionOptions,
            ) -> any_store::Result<Collection> {
                self.create_collection(name, options)
            }
            fn drop(&mut self, name: &str) -> any_store::Result<()> {
                self.drop_collection(name)
            }
            fn rename(&mut self, from: &str, to: &str) -> any_store::Result<()> {
                self.rename_collection(from, to)
            }
            fn begin(&mut self) -> any_store::Result<Savepoint<'_>> {
                self.savepoint()
            }
        }
    };
}

scope!(WriteTx);
scope!(Savepoint<'_>);

/// How a scope came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    AllDone,
    Undone,
    Released,
}

/// Does what is left of `ops` up to the end of this scope.
pub(crate) fn execute(scope: &mut impl Scope, ops: &mut &[Op], watch: &mut dyn Watch) -> Done<End> {
    while let Some((op, rest)) = ops.split_first() {
        match op {
            Op::Savepoint => {
                *ops = rest;
                if execute_nested(scope, ops, watch)? == End::AllDone {
                    return Ok(End::AllDone);
                }
            }
            Op::RollbackTo | Op::Release => {
                *ops = rest;
                let is_undone = matches!(op, Op::RollbackTo);
                return Ok(if is_undone { End::Undone } else { End::Released });
            }
            _ => {
                let (count, result) = statement(scope, ops);
                let (now, rest) = ops.split_at(count);
                *ops = rest;
                watch.done(now, result)?;
            }
        }
    }
    Ok(End::AllDone)
}

/// A savepoint stays when it is rolled back to: another one takes its place.
fn execute_nested(scope: &mut impl Scope, ops: &mut &[Op], watch: &mut dyn Watch) -> Done<End> {
    loop {
        let mut savepoint = scope.begin()?;
        watch.savepoint();
        let end = execute(&mut savepoint, ops, watch)?;
        if end == End::Undone {
            savepoint.rollback();
            watch.undone();
            continue;
        }
        savepoint.commit()?;
        watch.released();
        return Ok(end);
    }
}

/// Runs the next statement; how many operations it stands for.
fn statement(scope: &mut impl Scope, ops: &[Op]) -> (usize, Done) {
    match &ops[0] {
        Op::CreateTree(tree) => (1, create(scope, *tree)),
        Op::DropTree(tree) => (1, drop_tree(scope, *tree)),
        Op::SetAttribute(tree, name, value) => {
            (1, set_attribute(scope, *tree, name, value.as_deref()))
        }
        Op::Put(tree, ..) | Op::Remove(tree, _) => match change(scope, *tree, ops) {
            Ok((count, done)) => (count, done),
            Err(trouble) => (1, Err(trouble)),
        },
        Op::Savepoint | Op::RollbackTo | Op::Release => (1, Ok(())),
    }
}

fn create(scope: &mut impl Scope, tree: u32) -> Done {
    let compression = if tree.is_multiple_of(2) { Compression::Lz4 } else { Compression::None };
    let options = CollectionOptions::new().compression(compression);
    let collection = scope.create(&collection_name(tree, None), options)?;
    if tree == LEDGER {
        return Ok(());
    }
    let fields = if tree.is_multiple_of(2) { "tags,-n" } else { "kind,tags" };
    scope.write(&collection).create_index(spec_of(MADE_WITH_IT, fields))?;
    Ok(())
}

fn drop_tree(scope: &mut impl Scope, tree: u32) -> Done {
    let name = name_of(scope, tree)?;
    Ok(scope.drop(&name)?)
}

fn set_attribute(scope: &mut impl Scope, tree: u32, name: &str, value: Option<&str>) -> Done {
    let collection = name_of(scope, tree)?;
    if name == NAME {
        return Ok(scope.rename(&collection, &collection_name(tree, value))?);
    }
    let name = name.strip_prefix(INDEX);
    let name = name.ok_or_else(|| Trouble::Wrong("no collection has such an attribute".into()))?;
    set_index(scope, &scope.open(&collection)?, name, value)
}

/// An index that is there gives way to the new one, or stays if neither can be had.
fn set_index(
    scope: &mut impl Scope,
    collection: &Collection,
    name: &str,
    value: Option<&str>,
) -> Done {
    let is_there = scope.read(collection).indexes()?.iter().any(|index| index.name == name);
    match (is_there, value.map(|value| spec_of(name, value))) {
        (false, None) => Ok(()),
        (true, None) => Ok(scope.write(collection).drop_index(name)?),
        (false, Some(spec)) => Ok(scope.write(collection).create_index(spec).map(drop)?),
        (true, Some(spec)) => {
            let mut savepoint = scope.begin()?;
            savepoint.collection(collection).drop_index(name)?;
            savepoint.collection(collection).create_index(spec)?;
            Ok(savepoint.commit()?)
        }
    }
}

fn name_of(scope: &impl Scope, tree: u32) -> Done<String> {
    let names = scope.names()?;
    let name = find_collection(&names, tree).cloned();
    name.ok_or_else(|| Trouble::Wrong(format!("the collection of tree {tree} is missing")))
}

/// Neighbouring changes of one tree that are alike: insertions of new documents, or removals of old
/// ones. They become one statement; every other change is one of its own.
fn change(scope: &mut impl Scope, tree: u32, ops: &[Op]) -> Done<(usize, Done)> {
    let collection = scope.open(&name_of(scope, tree)?)?;
    let view = scope.read(&collection);
    let is_there = |key: &[u8]| view.get_raw(id_of(key)).map(|found| found.is_some());
    let is_put = matches!(ops[0], Op::Put(..));
    let first_is_there = is_there(key_of(&ops[0]))?;
    let mut keys = BTreeSet::new();
    if first_is_there != is_put {
        for op in ops {
            let alike = match op {
                Op::Put(other, ..) => is_put && *other == tree,
                Op::Remove(other, _) => !is_put && *other == tree,
                _ => false,
            };
            let key = key_of(op);
            if !alike || keys.contains(key) || is_there(key)? != first_is_there {
                break;
            }
            keys.insert(key);
        }
    }
    let count = keys.len().max(1);
    let view = &mut scope.write(&collection);
    let done = match (&ops[..count], first_is_there) {
        ([Op::Put(_, key, value)], true) => overwrite(view, key, value),
        ([Op::Put(_, key, value)], false) => insert(view, key, value),
        ([Op::Remove(_, key)], true) => remove(view, key),
        ([Op::Remove(_, key)], false) => remove_absent(view, key),
        (ops, false) => insert_many(view, ops),
        (ops, true) => remove_many(view, ops),
    };
    Ok((count, done))
}

fn key_of(op: &Op) -> &[u8] {
    match op {
        Op::Put(_, key, _) | Op::Remove(_, key) => key,
        _ => &[],
    }
}

type View<'v, 't> = &'v mut WriteView<'t, Document>;

/// A number that follows from the bytes, to choose by.
fn draw(key: &[u8], value: &[u8]) -> usize {
    let bytes = key.iter().rev().take(4).chain(value.iter().take(4));
    bytes.fold(value.len(), |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)))
}

fn overwrite(view: View<'_, '_>, key: &[u8], value: &[u8]) -> Done {
    let document = document_of(key, value);
    let set = doc! { "$set": fields_of(key, value) };
    let result = match draw(key, value) % 4 {
        0 => view.replace(&document)?,
        1 => view.upsert(&document)?,
        2 => view.update_id(id_of(key), set)?,
        _ => view.update_many(doc! { "id": id_of(key) }, set)?,
    };
    expect(result.matched == 1, || format!("{result:?} where a document is"))
}

fn insert(view: View<'_, '_>, key: &[u8], value: &[u8]) -> Done {
    let document = document_of(key, value);
    match draw(key, value) % 3 {
        0 => drop(view.insert_one(&document)?),
        1 => drop(view.upsert(&document)?),
        _ => {
            let result = view.upsert_id(id_of(key), doc! { "$set": fields_of(key, value) })?;
            return expect(result.matched == 0, || format!("{result:?} where nothing is"));
        }
    }
    Ok(())
}

fn insert_many(view: View<'_, '_>, ops: &[Op]) -> Done {
    let documents = ops.iter().filter_map(|op| match op {
        Op::Put(_, key, value) => Some(document_of(key, value)),
        _ => None,
    });
    let ids = view.insert_many(documents)?;
    expect(ids.len() == ops.len(), || format!("{} ids of {} documents", ids.len(), ops.len()))
}

fn remove(view: View<'_, '_>, key: &[u8]) -> Done {
    match draw(key, &[]) % 3 {
        0 => Ok(view.delete_id(id_of(key))?),
        1 => {
            let result = view.delete_one(doc! { "id": id_of(key) })?;
            expect(result.deleted == 1, || format!("{result:?} where a document is"))
        }
        _ => {
            let found = view.find_one_and_delete(doc! { "id": id_of(key) })?;
            expect(found.is_some(), || "nothing found where a document is".to_owned())
        }
    }
}

fn remove_absent(view: View<'_, '_>, key: &[u8]) -> Done {
    if draw(key, &[]).is_multiple_of(2) {
        let result = view.delete_one(doc! { "id": id_of(key) })?;
        return expect(result.deleted == 0, || format!("{result:?} where nothing is"));
    }
    match view.delete_id(id_of(key)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => Err(Trouble::Wrong("deleted what is not there".to_owned())),
    }
}

fn remove_many(view: View<'_, '_>, ops: &[Op]) -> Done {
    let ids: Vec<Value> = ops.iter().map(|op| Value::from(id_of(key_of(op)))).collect();
    let result = view.delete_many(doc! { "id": { "$in": ids } })?;
    expect(result.deleted == ops.len() as u64, || {
        format!("{result:?} where {} documents are", ops.len())
    })
}

fn expect(is_right: bool, what: impl FnOnce() -> String) -> Done {
    if is_right { Ok(()) } else { Err(Trouble::Wrong(what())) }
}
