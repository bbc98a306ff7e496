//! `any-store demo`: what the database does, shown on real documents in under two screens.

use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{env, fs, io, process};

use any_store::{
    Collection, CollectionOptions, Database, Document, FlushMode, RawDocumentBuf, doc, json,
};

use super::shell;
use crate::args::Demo;
use crate::failure::Failure;
use crate::figures;
use crate::output::Output;
use crate::screen::{self, Paint, Style};
use crate::split::{SplitError, Splitter};

const NOTICE: &str = include_str!("../../data/NOTICE");
const MOVIES: &[u8] = include_bytes!("../../data/movies.json");
const COUNTRIES: &[u8] = include_bytes!("../../data/countries.json");

/// What is asked, and the statement that asks it.
const QUESTIONS: [(&str, &str); 5] = [
    (
        "The best rated films with 100,000 votes or more",
        r#"db.movies.find({"IMDB Votes": {$gte: 100000}}).sort("-IMDB Rating").limit(3).project({Title: 1, "IMDB Rating": 1, id: 0})"#,
    ),
    (
        "Films whose title is a number: one field, several types, one order",
        "db.movies.find({Title: {$gt: 0}}).sort('Title').limit(3).project({Title: 1, Director: 1, id: 0})",
    ),
    (
        "Films by one of two directors that are rated above 8.2",
        r#"db.movies.find({Director: {$in: ["Stanley Kubrick", "Hayao Miyazaki"]}, "IMDB Rating": {$gt: 8.2}}).count()"#,
    ),
    (
        "The largest neighbours of Germany: a value inside an array",
        r#"db.countries.find({borders: "DEU"}).sort("-area").limit(3).project({"name.common": 1, area: 1})"#,
    ),
    (
        "Landlocked and under 1,000 square kilometres, in Japanese",
        r#"db.countries.find({landlocked: true, area: {$lt: 1000}}).project({flag: 1, "translations.jpn.common": 1})"#,
    ),
];

pub(crate) fn run(demo: &Demo) -> Result<(), Failure> {
    let mut page = Page { output: Output::stdout(), style: screen::style_for(&io::stdout()) };
    if demo.notice {
        page.output.write(NOTICE.as_bytes())?;
        return page.output.flush();
    }
    let path = new_path(demo.path.as_deref())?;
    let database = Database::open(&path)?;
    let result = show(&database, &path, &mut page);
    let closed = database.close().map_err(Failure::from);
    result.and(closed)?;
    farewell(&path, &mut page)
}

fn show(database: &Database, path: &Path, page: &mut Page) -> Result<(), Failure> {
    page.title(
        "Any Store",
        &format!("{}: documents in one crash-safe file", env!("CARGO_PKG_VERSION")),
    )?;
    page.chapter("Import", &path.display().to_string())?;
    let movies = CollectionOptions::new().auto_id(true);
    import(database, "movies", movies, MOVIES, page)?;
    let countries = CollectionOptions::new().primary_key("cca3");
    import(database, "countries", countries, COUNTRIES, page)?;
    page.chapter("Query", "no indexes, no schema: each answer reads the whole collection")?;
    for (question, statement) in QUESTIONS {
        ask(database, question, statement, page)?;
    }
    page.chapter("Update", "in a transaction")?;
    update(database, page)?;
    page.chapter("Verify", "")?;
    verify(database, path, page)
}

/// A file that does not exist: the one that was asked for, or one in a new folder.
fn new_path(wanted: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = wanted {
        return match fs::exists(path) {
            Ok(false) => Ok(path.to_owned()),
            Ok(true) => Err(Failure::failed(format!("{} exists already", path.display()))),
            Err(error) => {
                Err(Failure::failed(format!("cannot look at {}: {error}", path.display())))
            }
        };
    }
    let mut number = 0;
    loop {
        let folder = env::temp_dir().join(format!("any-store-demo-{}-{number}", process::id()));
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder.join("demo.any")),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => {
                return Err(Failure::failed(format!("cannot make {}: {error}", folder.display())));
            }
        }
    }
}

fn import(
    database: &Database,
    name: &str,
    options: CollectionOptions,
    text: &[u8],
    page: &mut Page,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let collection: Collection<RawDocumentBuf> =
        database.create_collection(name, options)?.with_type();
    let ids = collection.insert_many(documents(text)?)?;
    let elapsed = begun.elapsed();
    let count = ids.len() as u64;
    page.line(&format!(
        "{name:<10} {:>6} documents, {} of JSON in {} ({})",
        figures::count(count),
        figures::bytes(text.len() as u64),
        figures::duration(elapsed),
        figures::rate(count, elapsed),
    ))
}

fn documents(text: &[u8]) -> Result<Vec<RawDocumentBuf>, Failure> {
    let mut splitter = Splitter::new(text, text.len());
    let mut documents = Vec::new();
    loop {
        match splitter.next_piece() {
            Ok(None) => return Ok(documents),
            Ok(Some(piece)) => {
                let document = json::parse_document(piece.text);
                documents.push(document.map_err(|error| Failure::failed(error.to_string()))?);
            }
            Err(SplitError::Fault(fault)) => return Err(Failure::failed(fault.reason)),
            Err(SplitError::Read(error)) => return Err(Failure::failed(error.to_string())),
        }
    }
}

fn ask(
    database: &Database,
    question: &str,
    statement: &str,
    page: &mut Page,
) -> Result<(), Failure> {
    let mut answer = Output::memory();
    let begun = Instant::now();
    shell::run_statement(database, statement, &mut answer)?;
    let elapsed = figures::duration(begun.elapsed());
    page.line(&format!("{question} {}", page.style.paint(Paint::Dim, &format!("({elapsed})"))))?;
    page.line(&format!("  {}", page.style.paint(Paint::Dim, statement)))?;
    for line in answer.into_text().lines() {
        page.line(&format!("    {line}"))?;
    }
    Ok(())
}

/// A transaction of which one statement fails: it is undone by itself, the others are committed.
fn update(database: &Database, page: &mut Page) -> Result<(), Failure> {
    let movies: Collection<Document> = database.collection("movies");
    let countries: Collection<Document> = database.collection("countries");
    let favourites = || doc! { "favourite": true };
    let begun = Instant::now();
    let mut transaction = database.begin_write()?;
    let updated = transaction.collection(&movies).update_many(
        doc! { "Director": "Stanley Kubrick" },
        doc! { "$set": favourites(), "$inc": { "views": 1 } },
    )?;
    page.line(&format!(
        "films by Stanley Kubrick: {} matched, {} modified",
        updated.matched, updated.modified
    ))?;
    let twice = transaction.collection(&countries).insert_one(&doc! { "cca3": "DEU" });
    if let Err(error) = twice {
        page.line(&format!("a second Germany is refused, and the transaction goes on: {error}"))?;
    }
    let inside = transaction.collection(&movies).find(favourites()).count()?;
    let outside = movies.find(favourites()).count()?;
    transaction.commit()?;
    let after = movies.find(favourites()).count()?;
    let elapsed = figures::duration(begun.elapsed());
    page.line(&format!(
        "favourites: {inside} inside the transaction, {outside} for everybody else, {after} after the commit ({elapsed})"
    ))
}

fn verify(database: &Database, path: &Path, page: &mut Page) -> Result<(), Failure> {
    let begun = Instant::now();
    database.flush(FlushMode::Full)?;
    super::check::structure(database)?.demand_ok()?;
    super::check::checksums(database)?.demand_ok()?;
    let elapsed = figures::duration(begun.elapsed());
    let size = fs::metadata(path).map_or(0, |metadata| metadata.len());
    let text = (MOVIES.len() + COUNTRIES.len()) as u64;
    let good = page.style.paint(Paint::Good, "no damage");
    page.line(&format!(
        "every page and checksum of the file was read: {good} ({elapsed}); {} for {} of JSON",
        figures::bytes(size),
        figures::bytes(text),
    ))
}

fn farewell(path: &Path, page: &mut Page) -> Result<(), Failure> {
    let program = env::args().next().unwrap_or_else(|| "any-store".to_owned());
    let path = path.display();
    page.chapter("Go on", "")?;
    for line in [
        format!("{program} {path}"),
        format!(
            "{program} query {path} movies '{{\"Major Genre\": \"Western\"}}' --sort '-IMDB Rating' --limit 3"
        ),
        format!("{program} export {path} countries | head -1"),
        format!("{program} import my.any things FILE.json --auto-id"),
        format!("{program} --help"),
    ] {
        page.line(&line)?;
    }
    page.line("The documents are under licences of their own: demo --notice")?;
    page.output.flush()
}

/// What the demo prints.
struct Page {
    output: Output,
    style: Style,
}

impl Page {
    fn title(&mut self, title: &str, rest: &str) -> Result<(), Failure> {
        let title = self.style.paint(Paint::Title, title);
        self.output.line(format!("{title}  {rest}").trim_end())?;
        self.output.flush()
    }

    /// A title after an empty line.
    fn chapter(&mut self, title: &str, rest: &str) -> Result<(), Failure> {
        self.output.line("")?;
        self.title(title, rest)
    }

    fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.output.line(&format!("  {text}"))?;
        self.output.flush()
    }
}
