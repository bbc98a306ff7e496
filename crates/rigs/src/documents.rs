//! The document database as an engine of the simulator: trees are collections, entries documents.
//!
//! So the scripts, the crash sweep and its checks run over the public interface of the database as
//! they run over the storage engine below it. The number of a tree is in its collection's name; a key
//! is the document's id, a value is in a field beside others that follow from both, for updates and
//! indexes to have something to do. A tree's attributes are what the collection has besides documents.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use any_store::{
    AutoCheckpoint, Collection, Database, Document, ErrorKind, FindingKind, FlushMode, IndexSpec,
    ReadTx, Sync, Value, VerifyOptions, WriteTx, doc,
};
use any_store_sim::SimVfs;
use any_store_sim::engine::{
    self, Automatic, Direction, Durability, Engine, INDEX, Mode, NAME, Outcome, Setup, Snapshot,
    Visitor, When, Work, database_path,
};
use any_store_sim::model::LEDGER;

mod statement;

pub(crate) use statement::{Done, Op, Strict, Trouble, Watch, execute};

/// Opens document databases.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DocumentEngine;

impl Engine for DocumentEngine {
    fn open(&self, vfs: &SimVfs, setup: Setup) -> Outcome<Box<dyn engine::Database>> {
        let database = open(vfs, setup).map_err(text)?;
        Ok(Box::new(OpenDocuments { database, writer: None }))
    }
}

/// Opens the database of a script.
pub(crate) fn open(vfs: &SimVfs, setup: Setup) -> any_store::Result<Database> {
    let automatic = match setup.automatic {
        Automatic::Off => AutoCheckpoint::Off,
        Automatic::AfterBytes(after_bytes) => AutoCheckpoint::Inline { after_bytes },
    };
    Database::options()
        .vfs(Arc::new(vfs.clone()))
        .create(setup.create)
        .cache_bytes(setup.cache_bytes)
        .auto_checkpoint(automatic)
        // Nobody else is there who could make room by and by.
        .busy_timeout(Duration::ZERO)
        .open(database_path())
}

/// The collection of a tree.
pub(crate) fn collection_name(tree: u32, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("c{tree}.{name}"),
        None => format!("c{tree}"),
    }
}

/// Reads a collection's name: the tree, and the name that it was given.
fn parse_name(name: &str) -> Option<(u32, Option<&str>)> {
    let name = name.strip_prefix('c')?;
    let (tree, given) = match name.split_once('.') {
        Some((tree, given)) => (tree, Some(given)),
        None => (name, None),
    };
    Some((tree.parse().ok()?, given))
}

/// The collection of a tree, whatever name it was given.
pub(crate) fn find_collection(names: &[String], tree: u32) -> Option<&String> {
    names.iter().find(|name| parse_name(name).is_some_and(|(number, _)| number == tree))
}

/// The index that a tree's collection is made with; the others are attributes.
const MADE_WITH_IT: &str = "made with it";

/// The index that an attribute's value stands for.
fn spec_of(name: &str, value: &str) -> IndexSpec {
    let (kind, fields) = value.split_once(':').unwrap_or(("", value));
    let spec = IndexSpec::new(fields.split(',').collect::<Vec<_>>()).name(name);
    match kind {
        "unique" => spec.unique(),
        "sparse" => spec.sparse(),
        _ => spec,
    }
}

/// The attribute's value for an index.
fn value_of(spec: &IndexSpec) -> String {
    let kind = match (spec.unique, spec.sparse) {
        (true, _) => "unique:",
        (_, true) => "sparse:",
        _ => "",
    };
    format!("{kind}{}", spec.fields.join(","))
}

/// The id of a key: a string that sorts as the bytes do, zeros included.
pub(crate) fn id_of(key: &[u8]) -> String {
    key.iter().map(|byte| char::from(*byte)).collect()
}

fn key_of(id: &str) -> Option<Vec<u8>> {
    id.chars().map(|letter| u8::try_from(letter).ok()).collect()
}

/// The document of an entry.
pub(crate) fn document_of(key: &[u8], value: &[u8]) -> Document {
    let mut document = doc! { "id": id_of(key) };
    for (name, value) in fields_of(key, value) {
        document.insert(name, value);
    }
    document
}

/// All fields of an entry's document but its id.
pub(crate) fn fields_of(key: &[u8], value: &[u8]) -> Document {
    let sum = value.iter().fold(key.len(), |sum, byte| sum.wrapping_add(usize::from(*byte)));
    let tags: Vec<Value> =
        (0..sum % 4).map(|tag| Value::from((sum / 4 + tag) as i64 % 9)).collect();
    // Half of the documents can be compressed.
    let pad = if sum % 2 == 0 { "pad ".repeat(sum % 100) } else { String::new() };
    let bytes = Value::Binary(any_store::Binary { subtype: 0, bytes: value.to_vec() });
    // In the order in which an update adds fields.
    doc! { "kind": (sum % 5) as i64, "n": value.len() as i64, "pad": pad, "tags": tags, "v": bytes }
}

/// The entry of a document, which must be what an entry's document is, field by field.
pub(crate) fn entry_of(document: &Document) -> Outcome<(Vec<u8>, Vec<u8>)> {
    let id = document.get("id").and_then(Value::as_str);
    let key = id.and_then(key_of).ok_or_else(|| format!("no script gives an id of {id:?}"))?;
    let Some(Value::Binary(value)) = document.get("v") else {
        return Err(format!("document {id:?} has no value"));
    };
    if *document != document_of(&key, &value.bytes) {
        let expected = document_of(&key, &value.bytes);
        let wrong = expected.iter().find(|(name, value)| document.get(name) != Some(value));
        let name = wrong.map_or("the order of fields", |(name, _)| name);
        return Err(format!("document {id:.20?} is not one that was written: {name}"));
    }
    Ok((key, value.bytes.clone()))
}

pub(crate) fn text(error: any_store::Error) -> String {
    format!("{error:?}")
}

struct OpenDocuments {
    database: Database,
    writer: Option<Writer>,
}

/// A write transaction. It runs when it ends, because a savepoint borrows it.
struct Writer {
    tx: WriteTx,
    ops: Vec<Op>,
    next_tree: u32,
}

impl OpenDocuments {
    fn push(&mut self, op: Op) -> Outcome<()> {
        self.writer.as_mut().ok_or("no write transaction is open")?.ops.push(op);
        Ok(())
    }

    fn run(&mut self) -> Outcome<WriteTx> {
        let mut writer = self.writer.take().ok_or("no write transaction is open")?;
        execute(&mut writer.tx, &mut &writer.ops[..], &mut Strict).map_err(Trouble::into_text)?;
        Ok(writer.tx)
    }
}

impl engine::Database for OpenDocuments {
    fn begin(&mut self, durability: Durability) -> Outcome<()> {
        let tx = begin(&self.database, durability).map_err(text)?;
        let names = tx.collection_names().map_err(text)?;
        let largest = names.iter().filter_map(|name| parse_name(name)).map(|(tree, _)| tree).max();
        self.writer = Some(Writer { tx, ops: Vec::new(), next_tree: largest.unwrap_or(0) + 1 });
        Ok(())
    }

    fn create_tree(&mut self) -> Outcome<u32> {
        let writer = self.writer.as_mut().ok_or("no write transaction is open")?;
        let tree = writer.next_tree;
        writer.next_tree += 1;
        self.push(Op::CreateTree(tree))?;
        Ok(tree)
    }

    fn drop_tree(&mut self, tree: u32) -> Outcome<()> {
        self.push(Op::DropTree(tree))
    }

    fn put(&mut self, tree: u32, key: &[u8], value: &[u8]) -> Outcome<()> {
        self.push(Op::Put(tree, key.to_vec(), value.into()))
    }

    fn remove(&mut self, tree: u32, key: &[u8]) -> Outcome<Option<bool>> {
        self.push(Op::Remove(tree, key.to_vec()))?;
        Ok(None)
    }

    fn set_attribute(&mut self, tree: u32, name: &str, value: Option<&str>) -> Outcome<()> {
        self.push(Op::SetAttribute(tree, name.to_owned(), value.map(str::to_owned)))
    }

    fn savepoint(&mut self) -> Outcome<()> {
        self.push(Op::Savepoint)
    }

    fn rollback_to(&mut self) -> Outcome<()> {
        self.push(Op::RollbackTo)
    }

    fn release(&mut self) -> Outcome<()> {
        self.push(Op::Release)
    }

    fn commit(&mut self) -> Outcome<()> {
        self.run()?.commit().map_err(text)
    }

    fn rollback(&mut self) -> Outcome<()> {
        self.run()?.rollback();
        Ok(())
    }

    fn checkpoint(&mut self, mode: Mode) -> Outcome<bool> {
        match checkpoint(&self.database, mode) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Busy => Ok(false),
            Err(error) => Err(text(error)),
        }
    }

    fn close(&mut self) -> Outcome<()> {
        self.database.close().map_err(text)
    }

    fn snapshot(&self) -> Outcome<Box<dyn Snapshot>> {
        Ok(Box::new(DocumentSnapshot::begin(&self.database).map_err(text)?))
    }

    fn check(&self, when: When) -> Outcome<()> {
        check(&self.database, when)
    }

    fn work(&self) -> Outcome<Option<Work>> {
        let stats = self.database.stats().map_err(text)?.storage;
        Ok(Some(Work { log_jumps: stats.log_jump_count, spilled_pages: stats.spilled_page_count }))
    }
}

/// Begins a write transaction.
pub(crate) fn begin(database: &Database, durability: Durability) -> any_store::Result<WriteTx> {
    let mut tx = database.begin_write()?;
    tx.set_sync(match durability {
        Durability::Normal => Sync::Normal,
        Durability::Full => Sync::Full,
    });
    Ok(tx)
}

/// Checkpoints.
pub(crate) fn checkpoint(database: &Database, mode: Mode) -> any_store::Result<()> {
    let mode = match mode {
        Mode::Passive => FlushMode::Passive,
        Mode::Full => FlushMode::Full,
        Mode::Restart => FlushMode::Restart,
        Mode::Truncate => FlushMode::Truncate,
    };
    database.checkpoint(mode).map(drop)
}

/// Everything the database can check about itself.
pub(crate) fn check(database: &Database, when: When) -> Outcome<()> {
    let report = database.integrity_check().map_err(text)?;
    if !report.is_ok() {
        return Err(format!("integrity_check: {report:?}"));
    }
    check_queries(database)?;
    // By one thread, so that the same seed makes the same calls.
    let verified = database.verify_with(VerifyOptions::new().threads(1)).map_err(text)?;
    let slots = verified.findings.iter().filter(|finding| finding.kind == FindingKind::Header);
    // The crash tore slots; one is whole, else the database had not opened.
    let allowed = when == When::BeforeWriting && slots.count() as u64 == verified.finding_count;
    match verified.findings.first() {
        Some(finding) if !allowed => {
            Err(format!("verify: {finding:?}, {} in all", verified.finding_count))
        }
        _ => Ok(()),
    }
}

/// Each index finds what a look at every document finds.
fn check_queries(database: &Database) -> Outcome<()> {
    for name in database.collection_names().map_err(text)? {
        let collection: Collection = database.collection(&name);
        for index in collection.indexes().map_err(text)? {
            let field = index.spec.fields[0].trim_start_matches('-');
            let mut filter = Document::new();
            filter.insert(field, doc! { "$in": [2, 3, 40, ""] });
            let found_by = |hint: &str| collection.find(filter.clone()).hint(hint).count();
            let found = found_by(&index.name).map_err(text)?;
            let right = found_by("$natural").map_err(text)?;
            if found != right {
                return Err(format!("{name}: index {:?} finds {found}, not {right}", index.name));
            }
        }
    }
    Ok(())
}

/// One state of the database.
pub(crate) struct DocumentSnapshot {
    database: Database,
    tx: ReadTx,
    names: BTreeMap<u32, String>,
    /// The last error of the database itself: what else was told is a wrong answer.
    error: Cell<Option<ErrorKind>>,
}

impl DocumentSnapshot {
    pub(crate) fn begin(database: &Database) -> any_store::Result<Self> {
        let tx = database.begin_read()?;
        let names = tx.collection_names()?;
        let numbered = |name: String| parse_name(&name).map(|(tree, _)| (tree, name.clone()));
        let names = names.into_iter().filter_map(numbered).collect();
        Ok(Self { database: database.clone(), tx, names, error: Cell::new(None) })
    }

    /// The last error of the database, if there was one.
    pub(crate) fn error(&self) -> Option<ErrorKind> {
        self.error.get()
    }

    fn text(&self, error: any_store::Error) -> String {
        self.error.set(Some(error.kind()));
        text(error)
    }

    fn collection(&self, tree: u32) -> Outcome<Collection> {
        let name = self.names.get(&tree).ok_or_else(|| format!("tree {tree} is missing"))?;
        Ok(self.database.collection(name))
    }
}

impl Snapshot for DocumentSnapshot {
    fn entry_count(&self, tree: u32) -> Outcome<Option<u64>> {
        let Some(name) = self.names.get(&tree) else { return Ok(None) };
        let collection: Collection = self.database.collection(name);
        self.tx.collection(&collection).count().map(Some).map_err(|error| self.text(error))
    }

    fn get(&self, tree: u32, key: &[u8]) -> Outcome<Option<Vec<u8>>> {
        let view = self.tx.collection(&self.collection(tree)?);
        let found = view.get(id_of(key)).map_err(|error| self.text(error))?;
        found.map(|document| entry_of(&document).map(|(_, value)| value)).transpose()
    }

    fn attributes(&self, tree: u32) -> Outcome<BTreeMap<String, String>> {
        let Some(name) = self.names.get(&tree) else { return Ok(BTreeMap::new()) };
        let name = parse_name(name).and_then(|(_, name)| name);
        let mut attributes: BTreeMap<String, String> =
            name.map(|name| (NAME.to_owned(), name.to_owned())).into_iter().collect();
        let view = self.tx.collection(&self.collection(tree)?);
        let mut is_made_with_it = tree == LEDGER;
        for index in view.indexes().map_err(|error| self.text(error))? {
            if index.name == MADE_WITH_IT {
                is_made_with_it = true;
            } else {
                attributes.insert(format!("{INDEX}{}", index.name), value_of(&index.spec));
            }
        }
        if is_made_with_it { Ok(attributes) } else { Err("its first index is missing".to_owned()) }
    }

    fn scan(&self, tree: u32, direction: Direction, visit: &mut Visitor<'_>) -> Outcome<()> {
        let find = self.tx.collection(&self.collection(tree)?).find(());
        let find = match direction {
            Direction::Forward => find,
            Direction::Backward => find.sort("-id"),
        };
        for document in find.run().map_err(|error| self.text(error))? {
            let (key, value) = entry_of(&document.map_err(|error| self.text(error))?)?;
            visit(&key, &value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_back_from_its_document_and_a_changed_field_is_noticed() {
        let (key, value) = (&b"\0key\xFF"[..], &b"value"[..]);
        let document = document_of(key, value);
        assert_eq!(entry_of(&document), Ok((key.to_vec(), value.to_vec())));
        for (name, _) in &fields_of(key, value) {
            let mut wrong = document.clone();
            wrong.insert(name, "other");
            assert!(entry_of(&wrong).is_err(), "{name}");
        }
        let mut longer = document;
        longer.insert("more", 1);
        assert!(entry_of(&longer).is_err());
    }

    #[test]
    fn ids_sort_as_their_keys_do() {
        let keys: [&[u8]; 6] = [b"", b"\0", b"\0\xFF", b"a", b"\x7F", b"\x80\0"];
        assert!(keys.windows(2).all(|pair| id_of(pair[0]) < id_of(pair[1])));
    }

    #[test]
    fn an_index_is_told_as_it_was_asked_for() {
        for value in ["n,-kind", "sparse:tags", "unique:n,id"] {
            assert_eq!(value_of(&spec_of("name", value)), value);
        }
        let names = ["c2.first".to_owned(), "c12".to_owned()];
        assert_eq!(find_collection(&names, 12), Some(&names[1]));
        assert_eq!(find_collection(&names, 1), None);
    }
}
