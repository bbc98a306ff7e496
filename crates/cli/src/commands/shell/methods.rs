//! What the statements do: the methods of the database, of collections and of queries.

use std::path::Path;

use any_store::{
    BackupOptions, Collection, CollectionOptions, Compression, Database, Document, ErrorKind,
    FlushMode, RawDocumentBuf, UpdateResult, Value,
};

use super::StatementError;
use super::help;
use crate::commands::{backup, indexes as indexes_of, stats};
use crate::output::Output;
use crate::selection::failure_on;
use crate::source::Problem;
use crate::statement::{Call, Chain, Statement, Target};
use crate::suggest::did_you_mean;

mod arguments;
mod change;
mod find;
mod indexes;

use arguments::Arguments;

type Result<T = ()> = std::result::Result<T, StatementError>;

pub(super) const DATABASE_METHODS: [&str; 7] = [
    "backup",
    "createCollection",
    "dropCollection",
    "getCollectionNames",
    "checkpoint",
    "quickCheck",
    "stats",
];

pub(super) const COLLECTION_METHODS: [&str; 31] = [
    "find",
    "findOne",
    "findId",
    "count",
    "countDocuments",
    "distinct",
    "insert",
    "insertOne",
    "insertMany",
    "update",
    "updateId",
    "updateOne",
    "updateMany",
    "replaceOne",
    "upsert",
    "upsertId",
    "deleteId",
    "deleteOne",
    "deleteMany",
    "findOneAndUpdate",
    "findOneAndReplace",
    "findOneAndDelete",
    "drop",
    "rename",
    "renameCollection",
    "stats",
    "createIndex",
    "createIndexes",
    "ensureIndex",
    "dropIndex",
    "getIndexes",
];

/// Methods of the reference and of mongosh that wait for their part of the engine.
const PLANNED_METHODS: [&str; 2] = ["aggregate", "groupLimit"];

/// Runs one statement and writes what it gives.
pub(super) fn run(database: &Database, statement: &Statement, output: &mut Output) -> Result {
    match statement {
        Statement::Show { what, at } => show(database, what, *at, output),
        Statement::Help(topic) => Ok(help::write(topic.as_deref(), output)?),
        // The session leaves before it comes here.
        Statement::Exit => Ok(()),
        Statement::Chain(chain) => match &chain.target {
            Target::Database => on_database(database, chain, output),
            Target::Collection { name, .. } => Receiver { database, name }.call(chain, output),
        },
    }
}

fn show(database: &Database, what: &str, at: usize, output: &mut Output) -> Result {
    match what {
        "collections" | "tables" => list_collections(database, output),
        "indexes" => Ok(indexes_of::write_all(database, output)?),
        "stats" => Ok(stats::write_database(database, output)?),
        _ => {
            let near = did_you_mean(what, ["collections", "indexes", "stats"]);
            Err(Problem::new(at, format!("cannot show \"{what}\"{near}")).into())
        }
    }
}

fn list_collections(database: &Database, output: &mut Output) -> Result {
    for name in database.collection_names()? {
        output.line(&name)?;
    }
    Ok(())
}

fn on_database(database: &Database, chain: &Chain, output: &mut Output) -> Result {
    let call = &chain.first;
    if let Some(next) = chain.rest.first() {
        return Err(unknown_method(next, "what follows a call on the database", &[]));
    }
    let arguments = Arguments::of(call);
    match call.name.as_str() {
        "createCollection" => {
            let (name, options) = arguments.one_or_two()?;
            let options = options.map_or(Ok(CollectionOptions::new()), collection_options)?;
            database.create_collection(arguments::string(name)?.as_str(), options)?;
        }
        "dropCollection" => {
            let name = arguments::string(arguments.one()?)?;
            database.drop_collection(&name).map_err(|error| failure_on(database, &name, error))?;
        }
        "getCollectionNames" => {
            arguments.none()?;
            list_collections(database, output)?;
        }
        "backup" => {
            let path = arguments::string(arguments.one()?)?;
            backup::to_file(database, Path::new(&path), BackupOptions::new())?;
            output.line("ok")?;
        }
        "checkpoint" => {
            arguments.none()?;
            database.flush(FlushMode::Passive)?;
            output.line("ok")?;
        }
        "quickCheck" => {
            arguments.none()?;
            database.quick_check()?;
            output.line("ok")?;
        }
        "stats" => {
            arguments.none()?;
            stats::write_database(database, output)?;
        }
        _ => return Err(unknown_method(call, "the database", &DATABASE_METHODS)),
    }
    Ok(())
}

/// `{primaryKey: "sku", autoId: true, compression: "none"}`
fn collection_options(literal: &crate::relaxed::Literal) -> Result<CollectionOptions> {
    let mut options = CollectionOptions::new();
    for (key, value) in literal.document()?.iter() {
        options = match (key, value) {
            ("primaryKey", Value::String(field)) => options.primary_key(field.as_str()),
            ("autoId", Value::Bool(auto_id)) => options.auto_id(*auto_id),
            ("compression", Value::String(name)) if name == "lz4" => {
                options.compression(Compression::Lz4)
            }
            ("compression", Value::String(name)) if name == "none" => {
                options.compression(Compression::None)
            }
            _ => {
                let message = format!(
                    "bad option \"{key}\": there are primaryKey (a string), autoId (true or \
                     false) and compression (\"lz4\" or \"none\")"
                );
                return Err(Problem::new(literal.at, message).into());
            }
        };
    }
    Ok(options)
}

fn unknown_method(call: &Call, of: &str, known: &[&'static str]) -> StatementError {
    let name = &call.name;
    let message = if PLANNED_METHODS.contains(&name.as_str()) {
        format!("this version has no \"{name}\" yet")
    } else {
        let near = did_you_mean(name, known.iter().copied());
        format!("unknown method \"{name}\" of {of}{near}")
    };
    Problem::new(call.at, message).into()
}

/// The collection that is called upon.
struct Receiver<'a> {
    database: &'a Database,
    name: &'a str,
}

impl Receiver<'_> {
    fn documents(&self) -> Collection<Document> {
        self.database.collection(self.name)
    }

    fn raw(&self) -> Collection<RawDocumentBuf> {
        self.database.collection(self.name)
    }

    /// With the name that was meant, if the collection or an index does not exist.
    fn failure(&self, error: any_store::Error) -> StatementError {
        match error.kind() {
            ErrorKind::CollectionNotFound | ErrorKind::IndexNotFound => {
                failure_on(self.database, self.name, error).into()
            }
            _ => error.into(),
        }
    }

    fn call(&self, chain: &Chain, output: &mut Output) -> Result {
        match chain.first.name.as_str() {
            "find" | "findOne" | "findId" => return find::run(self, chain, output),
            _ => {}
        }
        if let Some(next) = chain.rest.first() {
            let of = format!("the result of {}", chain.first.name);
            return Err(unknown_method(next, &of, &[]));
        }
        let call = &chain.first;
        let arguments = Arguments::of(call);
        match call.name.as_str() {
            "insert" | "insertOne" | "insertMany" => self.insert(&arguments, output),
            "count" | "countDocuments" => self.count(&arguments, output),
            "update" | "upsert" => self.replace(call, &arguments, output),
            "updateId" | "upsertId" => self.update_by_id(call, &arguments, output),
            "updateOne" | "updateMany" | "replaceOne" => change::update(self, call, output),
            "findOneAndUpdate" | "findOneAndReplace" | "findOneAndDelete" => {
                change::find_one_and(self, call, output)
            }
            "distinct" => change::distinct(self, call, output),
            "deleteId" => {
                let id = arguments.one()?.value()?;
                self.documents().delete_id(id).map_err(|error| self.failure(error))?;
                Ok(())
            }
            "createIndex" | "ensureIndex" => indexes::create(self, call, output),
            "createIndexes" => indexes::create_all(self, call, output),
            "dropIndex" => indexes::drop_one(self, call),
            "getIndexes" => indexes::list(self, call, output),
            "deleteOne" | "deleteMany" => change::delete(self, call, output),
            "drop" => {
                arguments.none()?;
                let dropped = self.database.drop_collection(self.name);
                dropped.map_err(|error| self.failure(error))
            }
            "rename" | "renameCollection" => {
                let to = arguments::string(arguments.one()?)?;
                let renamed = self.database.rename_collection(self.name, &to);
                renamed.map_err(|error| self.failure(error))
            }
            "stats" => {
                arguments.none()?;
                Ok(stats::write_collection(self.database, self.name, output)?)
            }
            _ => Err(unknown_method(call, "a collection", &COLLECTION_METHODS)),
        }
    }

    fn insert(&self, arguments: &Arguments<'_>, output: &mut Output) -> Result {
        let documents = arguments.documents()?;
        let ids = self.documents().insert_many(&documents).map_err(|error| self.failure(error))?;
        Ok(output.line(&format!("inserted {} documents", ids.len()))?)
    }

    fn count(&self, arguments: &Arguments<'_>, output: &mut Output) -> Result {
        let filter = arguments.filter()?;
        let found = self.documents().find(&filter).count().map_err(|error| self.failure(error))?;
        Ok(output.line(&found.to_string())?)
    }

    /// `update(document)` and `upsert(document)`: by the document's own id.
    fn replace(&self, call: &Call, arguments: &Arguments<'_>, output: &mut Output) -> Result {
        if call.name == "update" && arguments.count() == 2 {
            let message = "update takes one document and replaces the one with its id; \
                           updateMany(filter, update) changes documents by a filter";
            return Err(Problem::new(call.at, message).into());
        }
        let document = arguments.one()?.document()?;
        if call.name == "upsert" {
            self.documents().upsert(&document).map_err(|error| self.failure(error))?;
            output.line("upserted")?;
        } else {
            self.documents().replace(&document).map_err(|error| self.failure(error))?;
        }
        Ok(())
    }

    fn update_by_id(&self, call: &Call, arguments: &Arguments<'_>, output: &mut Output) -> Result {
        let (id, update) = arguments.two()?;
        let (id, update) = (id.value()?, update.query_document()?);
        let result = match call.name.as_str() {
            "upsertId" => self.documents().upsert_id(id, &update),
            _ => self.documents().update_id(id, &update),
        };
        write_update(&result.map_err(|error| self.failure(error))?, output)
    }
}

fn write_update(result: &UpdateResult, output: &mut Output) -> Result {
    let UpdateResult { matched, modified, .. } = result;
    Ok(output.line(&format!("matched: {matched}, modified: {modified}"))?)
}
