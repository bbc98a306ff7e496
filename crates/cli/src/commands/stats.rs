//! `any-store stats`: where the bytes are.

use any_store::{CollectionStats, Database, Document, IndexStats, Value, doc};

use super::collections::compression_name;
use super::indexes;
use crate::args::Stats;
use crate::failure::Failure;
use crate::figures;
use crate::open::{Access, with_database};
use crate::output::Output;
use crate::selection::failure_on;

pub(crate) fn run(stats: &Stats) -> Result<(), Failure> {
    with_database(&stats.open, Access::Read, None, |database| {
        let mut output = Output::stdout();
        match (&stats.collection, stats.json) {
            (None, false) => write_database(database, &mut output)?,
            (None, true) => output.line(&database_document(database)?.to_string())?,
            (Some(name), false) => write_collection(database, name, &mut output)?,
            (Some(name), true) => {
                let stats = collection_stats(database, name)?;
                output.line(&collection_document(&stats).to_string())?;
            }
        }
        output.flush()
    })
}

/// The database as text.
pub(crate) fn write_database(database: &Database, output: &mut Output) -> Result<(), Failure> {
    let stats = database.stats()?;
    let storage = stats.storage;
    let collections = all_collections(database)?;
    let used = storage.block_count.saturating_sub(storage.free_block_count);
    let mut rows = vec![
        ["file".to_owned(), figures::bytes(storage.file_bytes)],
        ["log".to_owned(), figures::bytes(storage.log_bytes)],
        [
            "blocks".to_owned(),
            format!(
                "{} of {} bytes: {} used, {} free",
                figures::count(storage.block_count),
                figures::count(storage.block_bytes),
                figures::count(used),
                figures::count(storage.free_block_count),
            ),
        ],
        ["commit".to_owned(), figures::count(storage.commit.0)],
        ["collections".to_owned(), figures::count(collections.len() as u64)],
        ["indexes".to_owned(), figures::count(stats.indexes)],
    ];
    if storage.is_recovered {
        rows.push(["recovered".to_owned(), "the database was not closed cleanly".to_owned()]);
    }
    table(&rows, &[Align::Left, Align::Left], output)?;
    if collections.is_empty() {
        return Ok(());
    }
    output.line("")?;
    let header = ["collection", "documents", "stored", "pages", "indexes"].map(str::to_owned);
    let rows: Vec<[String; 5]> = std::iter::once(header)
        .chain(collections.iter().map(|stats| {
            [
                stats.name.clone(),
                figures::count(stats.documents),
                figures::bytes(stats.stored_bytes),
                figures::bytes(stats.size_bytes),
                figures::bytes(stats.indexes_size_bytes),
            ]
        }))
        .collect();
    let [left, right] = [Align::Left, Align::Right];
    table(&rows, &[left, right, right, right, right], output)
}

/// A collection as text; reads all its documents for the ratio of compression.
pub(crate) fn write_collection(
    database: &Database,
    name: &str,
    output: &mut Output,
) -> Result<(), Failure> {
    let stats = collection_stats(database, name)?;
    let mut rows = vec![
        ["collection".to_owned(), stats.name.clone()],
        ["documents".to_owned(), figures::count(stats.documents)],
        ["compression".to_owned(), compression_name(stats.compression).to_owned()],
        ["stored".to_owned(), figures::bytes(stats.stored_bytes)],
        ["ids".to_owned(), figures::bytes(stats.key_bytes)],
        ["pages".to_owned(), figures::bytes(stats.size_bytes)],
    ];
    if let (Some(bytes), Some(ratio)) = (stats.document_bytes, stats.compression_ratio()) {
        rows.push([
            "uncompressed".to_owned(),
            format!("{} (ratio {ratio:.2})", figures::bytes(bytes)),
        ]);
    }
    if stats.indexes.is_empty() {
        return table(&rows, &[Align::Left, Align::Left], output);
    }
    rows.push(["indexes".to_owned(), figures::bytes(stats.indexes_size_bytes)]);
    rows.push(["total".to_owned(), figures::bytes(stats.total_size_bytes)]);
    table(&rows, &[Align::Left, Align::Left], output)?;
    output.line("")?;
    indexes::write(&stats.indexes, output)
}

fn collection_stats(database: &Database, name: &str) -> Result<CollectionStats, Failure> {
    let collection = database.collection::<Document>(name);
    collection.stats_full().map_err(|error| failure_on(database, name, error))
}

/// All from one snapshot, without reading documents.
fn all_collections(database: &Database) -> Result<Vec<CollectionStats>, Failure> {
    let snapshot = database.begin_read()?;
    let mut all = Vec::new();
    for name in snapshot.collection_names()? {
        let collection = database.collection::<Document>(&name);
        all.push(snapshot.collection(&collection).stats()?);
    }
    Ok(all)
}

fn database_document(database: &Database) -> Result<Document, Failure> {
    let stats = database.stats()?;
    let storage = stats.storage;
    let collections = all_collections(database)?;
    let collections: Vec<Value> =
        collections.iter().map(|stats| Value::Object(collection_document(stats))).collect();
    Ok(doc! {
        "fileBytes": number(storage.file_bytes),
        "logBytes": number(storage.log_bytes),
        "blockBytes": number(storage.block_bytes),
        "blocks": number(storage.block_count),
        "freeBlocks": number(storage.free_block_count),
        "commit": number(storage.commit.0),
        "recovered": storage.is_recovered,
        "indexes": number(stats.indexes),
        "collections": Value::Array(collections),
    })
}

fn collection_document(stats: &CollectionStats) -> Document {
    let mut document = doc! {
        "name": stats.name.as_str(),
        "documents": number(stats.documents),
        "compression": compression_name(stats.compression),
        "storedBytes": number(stats.stored_bytes),
        "idBytes": number(stats.key_bytes),
        "pageBytes": number(stats.size_bytes),
        "indexPageBytes": number(stats.indexes_size_bytes),
        "totalPageBytes": number(stats.total_size_bytes),
        "indexes": Value::Array(stats.indexes.iter().map(described).collect()),
    };
    if let Some(bytes) = stats.document_bytes {
        document.insert("uncompressedBytes", number(bytes));
    }
    document
}

fn described(index: &IndexStats) -> Value {
    Value::Object(indexes::describe(index))
}

/// Counts beyond `i64` do not occur; if one did it would be shown as the largest.
pub(crate) fn number(count: u64) -> Value {
    Value::Int64(i64::try_from(count).unwrap_or(i64::MAX))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Columns two blanks apart, no blanks at line ends.
pub(crate) fn table<const N: usize>(
    rows: &[[String; N]],
    aligns: &[Align; N],
    output: &mut Output,
) -> Result<(), Failure> {
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    });
    for row in rows {
        let cells = row.iter().zip(widths).zip(aligns).map(|((cell, width), align)| match align {
            Align::Left => format!("{cell:<width$}"),
            Align::Right => format!("{cell:>width$}"),
        });
        output.line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
