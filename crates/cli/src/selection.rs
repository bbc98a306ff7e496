//! Which documents of a collection a command is about, in which order and shape.

use any_store::{Collection, Database, Document, ErrorKind, Find, RawDocumentBuf};

use crate::failure::{Exit, Failure, describe};
use crate::hint::Hint;
use crate::relaxed::Literal;
use crate::source::{Problem, locate};
use crate::suggest::did_you_mean;

/// An order: names of fields, or a document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Order {
    Fields(Vec<String>),
    Document(Document),
}

/// What `find` and the verbs behind it are given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    pub(crate) filter: Document,
    pub(crate) sort: Option<Order>,
    pub(crate) skip: Option<u64>,
    pub(crate) limit: Option<u64>,
    pub(crate) projection: Option<Document>,
    pub(crate) hint: Option<Hint>,
}

impl Selection {
    /// The same in the library's words.
    pub(crate) fn find(&self, collection: &Collection<RawDocumentBuf>) -> Find<RawDocumentBuf> {
        let mut find = collection.find(&self.filter);
        find = match &self.sort {
            Some(Order::Fields(fields)) => {
                find.sort(fields.iter().map(String::as_str).collect::<Vec<_>>())
            }
            Some(Order::Document(document)) => find.sort(document.clone()),
            None => find,
        };
        if let Some(skip) = self.skip {
            find = find.skip(skip);
        }
        if let Some(limit) = self.limit {
            find = find.limit(limit);
        }
        if let Some(hint) = &self.hint {
            find = hint.apply(find);
        }
        match &self.projection {
            Some(projection) => find.project(projection),
            None => find,
        }
    }
}

/// The filter of a command line; without one, all documents.
pub(crate) fn parse_filter(text: Option<&str>) -> Result<Document, Failure> {
    text.map_or(Ok(Document::new()), |text| parse_query_document("the filter", text))
}

/// A document of the command line in which `$names` are operators.
pub(crate) fn parse_query_document(what: &str, text: &str) -> Result<Document, Failure> {
    Literal::parse(text)
        .and_then(|literal| literal.query_document())
        .map_err(|problem| Failure::of_text(what, text, &problem))
}

/// The projection of a command line.
pub(crate) fn parse_projection(text: &str) -> Result<Document, Failure> {
    parse_query_document("the projection", text)
}

/// `-age,name`, or `{age: -1, name: 1}`.
pub(crate) fn parse_order(text: &str) -> Result<Order, Failure> {
    if text.trim_start().starts_with('{') {
        return parse_query_document("the sort", text).map(Order::Document);
    }
    Ok(Order::Fields(text.split(',').map(|field| field.trim().to_owned()).collect()))
}

/// The failure of a search in `collection` by the filter of a command line, and where in the filter
/// the mistake is.
pub(crate) fn failure_of_search(
    database: &Database,
    collection: &str,
    filter: Option<&str>,
    error: any_store::Error,
) -> Failure {
    let place = match (filter, error.parse_error()) {
        (Some(text), Some(parse)) if error.to_string().starts_with("parse filter") => {
            locate(text, 0, &parse.path).map(|at| Problem::new(at, "").pointer(text))
        }
        _ => None,
    };
    match place {
        Some(pointer) => Failure::failed(format!("{}\n{}", describe(&error), pointer.excerpt)),
        None => failure_on(database, collection, error),
    }
}

/// The failure of an operation on the collection `name`. If it or an index does not exist, the message
/// has the name that was meant, if there is one like it.
pub(crate) fn failure_on(database: &Database, name: &str, error: any_store::Error) -> Failure {
    let (wrong, names) = match (error.kind(), error.index_name()) {
        (ErrorKind::CollectionNotFound, _) => {
            (name, database.collection_names().unwrap_or_default())
        }
        (ErrorKind::IndexNotFound, Some(index)) => (index, index_names(database, name)),
        _ => return error.into(),
    };
    let near = did_you_mean(wrong, names.iter().map(String::as_str));
    Failure::new(Exit::Failed, format!("{}{near}", describe(&error)))
}

fn index_names(database: &Database, collection: &str) -> Vec<String> {
    let indexes = database.collection::<Document>(collection).indexes().unwrap_or_default();
    indexes.into_iter().map(|index| index.name).collect()
}
