//! `any-store indexes`: the indexes of a collection.

use any_store::{Database, Document, IndexInfo, IndexSpec, IndexStats, Value};

use super::stats::{Align, number, table};
use crate::args::Indexes;
use crate::failure::Failure;
use crate::figures;
use crate::open::{Access, with_database};
use crate::output::Output;
use crate::selection::failure_on;

pub(crate) fn run(indexes: &Indexes) -> Result<(), Failure> {
    with_database(&indexes.open, Access::Read, None, |database| {
        let stats = database.collection::<Document>(&indexes.collection).stats();
        let stats = stats.map_err(|error| failure_on(database, &indexes.collection, error))?;
        let mut output = Output::stdout();
        if indexes.json {
            let indexes = stats.indexes.iter().map(|index| Value::Object(describe(index)));
            output.line(&Value::Array(indexes.collect()).to_string())?;
        } else {
            write(&stats.indexes, &mut output)?;
        }
        output.flush()
    })
}

/// One index a line; nothing if there are none.
pub(crate) fn write(indexes: &[IndexStats], output: &mut Output) -> Result<(), Failure> {
    if indexes.is_empty() {
        return Ok(());
    }
    let header = ["index", "fields", "entries", "pages", ""].map(str::to_owned);
    let row = |index: &IndexStats| {
        [
            index.name.clone(),
            index.spec.fields.join(", "),
            figures::count(index.entries),
            figures::bytes(index.size_bytes),
            properties(&index.spec),
        ]
    };
    let rows: Vec<[String; 5]> = std::iter::once(header).chain(indexes.iter().map(row)).collect();
    let aligns = [Align::Left, Align::Left, Align::Right, Align::Right, Align::Left];
    table(&rows, &aligns, output)
}

/// The indexes of all collections, one a line.
pub(crate) fn write_all(database: &Database, output: &mut Output) -> Result<(), Failure> {
    let snapshot = database.begin_read()?;
    let mut rows = Vec::new();
    for name in snapshot.collection_names()? {
        let collection = database.collection::<Document>(&name);
        rows.extend(
            snapshot.collection(&collection).indexes()?.iter().map(|index| row(&name, index)),
        );
    }
    table(&rows, &[Align::Left; 4], output)
}

fn row(collection: &str, index: &IndexInfo) -> [String; 4] {
    let fields = index.spec.fields.join(", ");
    [collection.to_owned(), index.name.clone(), fields, properties(&index.spec)]
}

/// What is special about an index, in a few words.
fn properties(spec: &IndexSpec) -> String {
    let mut words = Vec::new();
    if spec.unique {
        words.push("unique".to_owned());
    }
    if spec.sparse {
        words.push("sparse".to_owned());
    }
    if let Some(filter) = &spec.partial {
        words.push(format!("partial {filter}"));
    }
    if let Some(after) = spec.expire_after {
        words.push(format!("expires after {} s", after.as_secs_f64()));
    }
    words.join(", ")
}

/// The definition with figures.
pub(crate) fn describe(index: &IndexStats) -> Document {
    let mut document = index.spec.to_document();
    document.insert("entries", number(index.entries));
    document.insert("keyBytes", number(index.key_bytes));
    document.insert("pageBytes", number(index.size_bytes));
    document
}
