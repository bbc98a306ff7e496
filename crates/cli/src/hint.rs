//! Hints about indexes, as people write them: a name, the fields of an index, or boosts.

use any_store::{Database, Document, Find, IndexInfo, RawDocumentBuf, Value};

use crate::failure::Failure;
use crate::relaxed::Literal;
use crate::selection::failure_on;
use crate::suggest::did_you_mean;

/// The name that stands for a walk over the documents.
const NATURAL: &str = "$natural";

/// What a query is told about indexes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Hint {
    /// By this index and no other.
    Index(String),
    /// These indexes cost less, or more.
    Boosts(Vec<(String, f64)>),
}

impl Hint {
    /// The hint of a command line on a collection.
    pub(crate) fn parse(
        database: &Database,
        collection: &str,
        text: Option<&str>,
    ) -> Result<Option<Hint>, Failure> {
        let Some(text) = text else { return Ok(None) };
        if !text.trim_start().starts_with('{') {
            return Ok(Some(Hint::Index(text.to_owned())));
        }
        let value = Literal::parse(text)
            .and_then(|literal| literal.query())
            .map_err(|problem| Failure::of_text("the hint", text, &problem))?;
        let indexes = database.collection::<Document>(collection).indexes();
        let indexes = indexes.map_err(|error| failure_on(database, collection, error))?;
        Hint::read(&value, &indexes).map(Some).map_err(Failure::failed)
    }

    /// `"name"`, `{a: 1, b: -1}` for the index with these fields, or `{name: boost}`.
    ///
    /// A document that is both is the fields of an index.
    pub(crate) fn read(value: &Value, indexes: &[IndexInfo]) -> Result<Hint, String> {
        match value {
            Value::String(name) => Ok(Hint::Index(name.clone())),
            Value::Object(document) if document.contains_key(NATURAL) => {
                Ok(Hint::Index(NATURAL.to_owned()))
            }
            Value::Object(document) => match index_on(document, indexes) {
                Some(name) => Ok(Hint::Index(name.to_owned())),
                None => boosts(document, indexes).map(Hint::Boosts),
            },
            _ => Err("a hint is the name of an index, its fields, or {name: boost}".to_owned()),
        }
    }

    pub(crate) fn apply(&self, find: Find<RawDocumentBuf>) -> Find<RawDocumentBuf> {
        match self {
            Hint::Index(name) => find.hint(name.as_str()),
            Hint::Boosts(boosts) => {
                boosts.iter().fold(find, |find, (name, by)| find.index_boost(name.as_str(), *by))
            }
        }
    }
}

/// The index with exactly these fields and directions.
pub(crate) fn index_on<'a>(fields: &Document, indexes: &'a [IndexInfo]) -> Option<&'a str> {
    let wanted = fields.iter().map(|(path, direction)| match direction.as_f64() {
        Some(1.0) => Some(path.to_owned()),
        Some(-1.0) => Some(format!("-{path}")),
        _ => None,
    });
    let wanted: Vec<String> = wanted.collect::<Option<_>>()?;
    let found = indexes.iter().find(|index| index.spec.fields == wanted);
    found.map(|index| index.name.as_str())
}

fn boosts(document: &Document, indexes: &[IndexInfo]) -> Result<Vec<(String, f64)>, String> {
    let names = || indexes.iter().map(|index| index.name.as_str());
    let boost = |(name, by): (&str, &Value)| {
        if !names().any(|known| known == name) {
            let near = did_you_mean(name, names());
            return Err(format!("there is no index \"{name}\", which the hint names{near}"));
        }
        match by.as_f64() {
            Some(by) => Ok((name.to_owned(), by)),
            None => Err(format!("the boost of index \"{name}\" is no number")),
        }
    };
    document.iter().map(boost).collect()
}
