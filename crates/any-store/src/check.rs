//! The whole check: the structure of the pages, the catalog, every document and every index.
//!
//! The pages are the storage engine's to check. What it cannot know is checked here: that each name
//! leads to a collection and back, that each stored value is a whole document, that each document
//! lies under the key of its own id, and that the indexes say of the documents what they are.

mod cross;

use any_store_storage as storage;
use anyenc::{RawDocument, Value};

use crate::catalog::{self, CollectionMeta};
use crate::compress;
use crate::document;
use crate::error::{Error, ErrorKind, Result};
use crate::source::Source;

use cross::{At, Cross};

/// What a check of the whole database found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CheckReport {
    /// What the walk over all pages found.
    pub pages: storage::CheckReport,
    /// Collections read.
    pub collections: u64,
    /// Documents read.
    pub documents: u64,
    /// Indexes compared with the documents; none if that was not asked for.
    pub indexes: u64,
    /// Entries of these indexes.
    pub entries: u64,
    /// What is wrong above the pages; the first of it, as many as the options say.
    pub problems: Vec<Problem>,
    /// All that is wrong above the pages.
    pub problem_count: u64,
}

/// Something that is wrong above the pages.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Problem {
    /// The collection at fault; `None` for the catalog itself.
    pub collection: Option<String>,
    /// The index at fault.
    pub index: Option<String>,
    /// The id of the document at fault, where one can be told.
    pub document_id: Option<Value>,
    /// What is wrong.
    pub reason: String,
}

impl CheckReport {
    /// True if nothing is wrong.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.pages.finding_count == 0 && self.problem_count == 0
    }
}

/// Checks the catalog and the documents of one state.
pub(crate) fn run(
    source: &Source<'_>,
    pages: storage::CheckReport,
    options: &storage::CheckOptions,
    crosses: bool,
) -> Result<CheckReport> {
    let report = CheckReport { pages, ..CheckReport::default() };
    let mut check = Check { report, options, crosses };
    match catalog::list_sound(source, &mut |error| check.note(None, None, error)) {
        Ok(collections) => {
            for collection in &collections {
                check.report.collections = check.report.collections.saturating_add(1);
                if let Err(error) = check_documents(source, collection, &mut check) {
                    check.note(Some(&collection.name), None, error)?;
                }
            }
        }
        Err(error) => check.note(None, None, error)?,
    }
    Ok(check.report)
}

/// A check under way.
struct Check<'o> {
    report: CheckReport,
    options: &'o storage::CheckOptions,
    /// Whether documents and indexes are compared.
    crosses: bool,
}

impl Check<'_> {
    /// Damage becomes a problem, everything else ends the check.
    fn note(&mut self, collection: Option<&str>, key: Option<&[u8]>, error: Error) -> Result<()> {
        if !error.is_corrupt() && error.kind() != ErrorKind::UnsupportedFormat {
            return Err(error);
        }
        self.push(Problem {
            collection: collection.map(str::to_owned),
            index: None,
            document_id: key.and_then(document::id_of_key),
            reason: error.to_string(),
        });
        Ok(())
    }

    /// Notes what is wrong with an index.
    fn note_at(&mut self, at: At<'_>, reason: &'static str) -> Result<()> {
        self.note_error(at, Error::corrupt(reason))
    }

    /// As [`note`](Self::note), for an index.
    fn note_error(&mut self, at: At<'_>, error: Error) -> Result<()> {
        if !error.is_corrupt() {
            return Err(error);
        }
        self.push(Problem {
            collection: Some(at.collection.name.clone()),
            index: Some(at.index.name.clone()),
            document_id: at.id_key.and_then(document::id_of_key),
            reason: error.to_string(),
        });
        Ok(())
    }

    fn push(&mut self, problem: Problem) {
        self.report.problem_count = self.report.problem_count.saturating_add(1);
        if self.report.problems.len() < self.options.max_findings {
            self.report.problems.push(problem);
        }
    }

    fn expect_wanted(&self) -> Result<()> {
        match self.options.cancel.is_cancelled() {
            true => Err(storage::Error::Cancelled.into()),
            false => Ok(()),
        }
    }
}

/// Reads every document of a collection; an error is one that keeps the rest from being read.
fn check_documents(
    source: &Source<'_>,
    collection: &CollectionMeta,
    check: &mut Check<'_>,
) -> Result<()> {
    if source.tree_stats(collection.tree)?.is_none() {
        return Err(Error::corrupt("the collection has no tree"));
    }
    let mut cross = check.crosses.then(|| Cross::new(collection));
    let mut cursor = source.cursor(collection.tree)?;
    let mut buffer = Vec::new();
    let mut is_on_entry = cursor.first()?;
    while is_on_entry {
        check.expect_wanted()?;
        check.report.documents = check.report.documents.saturating_add(1);
        let checked = check_document(&cursor, collection, &mut buffer, cross.as_mut(), check);
        if let Err(error) = checked {
            check.note(Some(&collection.name), Some(cursor.key()), error)?;
        }
        is_on_entry = cursor.next()?;
    }
    match cross {
        Some(cross) => cross.finish(source, check),
        None => Ok(()),
    }
}

fn check_document(
    cursor: &storage::Cursor<'_>,
    collection: &CollectionMeta,
    buffer: &mut Vec<u8>,
    cross: Option<&mut Cross<'_>>,
    check: &mut Check<'_>,
) -> Result<()> {
    let stored = cursor.value()?;
    let document = RawDocument::from_bytes(compress::unpacked(&stored, buffer)?)?;
    document.validate()?;
    let Some(id) = document.get(&collection.primary_key)? else {
        return Err(Error::corrupt("a stored document has no primary key"));
    };
    if document::raw_id_key(id)? != cursor.key() {
        return Err(Error::corrupt("a document does not lie under its id"));
    }
    match cross {
        Some(cross) => cross.add(document, cursor.key(), check),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CollectionOptions, Compression, Database, doc};

    fn filled() -> (Database, storage::TreeId) {
        let db = Database::in_memory().unwrap();
        for name in ["a", "b"] {
            let options = CollectionOptions::new().compression(Compression::None);
            let made = db.create_collection(name, options).unwrap();
            made.insert_many((0..50).map(|id| doc! { "id": id, "n": "x" })).unwrap();
        }
        let source = db.begin_read().unwrap().source();
        let tree = catalog::list(&source).unwrap()[1].tree;
        (db, tree)
    }

    fn put(db: &Database, tree: storage::TreeId, key: &Value, value: &[u8]) {
        let mut tx = db.store().begin_write().unwrap();
        tx.put(tree, &document::id_key(key).unwrap(), value).unwrap();
        tx.commit().unwrap();
    }

    #[test]
    fn a_sound_database_has_no_problems() {
        let (db, _) = filled();
        let report = db.integrity_check().unwrap();
        assert!(report.is_ok(), "{report:?}");
        assert_eq!((report.collections, report.documents), (2, 100));
        assert!(report.pages.page_count > 0);
        assert!(Database::in_memory().unwrap().integrity_check().unwrap().is_ok());
    }

    #[test]
    fn each_wrong_document_is_a_problem_and_the_rest_is_read() {
        let (db, tree) = filled();
        let document = |document| {
            let mut value = vec![0];
            value.extend_from_slice(document::encode(&document).unwrap().as_bytes());
            value
        };
        put(&db, tree, &Value::from(3), b"");
        put(&db, tree, &Value::from(4), &document(doc! { "id": 5 }));
        put(&db, tree, &Value::from(6), &document(doc! { "n": 5 }));
        put(&db, tree, &Value::from(7), &[2, 0, 0, 0, 0, 9]);
        let mut damaged = document(doc! { "id": 8, "s": "text" });
        let last = damaged.len() - 2;
        damaged[last] = 0xFF;
        put(&db, tree, &Value::from(8), &damaged);
        let report = db.integrity_check().unwrap();
        assert!(!report.is_ok());
        assert_eq!(report.documents, 100);
        let ids: Vec<_> = report.problems.iter().map(|p| p.document_id.clone().unwrap()).collect();
        assert_eq!(ids, [3, 4, 6, 7, 8].map(Value::from));
        assert!(report.problems.iter().all(|p| p.collection.as_deref() == Some("b")));
        assert_eq!(report.problem_count, 5);
    }

    #[test]
    fn a_name_without_a_record_and_a_record_without_a_name_are_problems() {
        for remove_name in [true, false] {
            let (db, _) = filled();
            let mut tx = db.store().begin_write().unwrap();
            let key: &[u8] = if remove_name { b"\x02a" } else { b"\x01\0\0\0\x01" };
            assert!(tx.remove(catalog::CATALOG_TREE, key).unwrap());
            tx.commit().unwrap();
            let report = db.integrity_check().unwrap();
            assert_eq!(report.problem_count, 1, "{report:?}");
            assert_eq!(report.problems[0].collection, None);
            assert_eq!(report.documents, 50, "the sound collection is read");
        }
    }
}
