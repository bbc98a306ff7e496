//! Updates: what is to become of a document.
//!
//! An update is parsed into a tree of the paths it changes, each leaf an action. Two actions on one
//! path, or on a path and its parent, are refused when it is parsed. Applied to an encoded document
//! the tree is walked beside it: what the tree does not name is copied as it is, and where nothing
//! but numbers change, they are overwritten in a copy of the bytes.
//!
//! A positional part of a path is looked up before: `$` becomes the position at which the filter
//! matched, so that the tree must be made anew for that document. `$[]` and `$[name]` stay in the
//! tree and are asked of each element as it is copied.
//!
//! Fields of one object are visited in the order of [`natural_order`](crate::path::natural_order):
//! the document's own fields keep their places, and new ones follow them in that order.

mod apply;
mod array;
mod array_filter;
mod number;
mod operands;
mod parse;
mod rewrite;
#[cfg(test)]
mod tests;
mod tree;
mod upsert;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use anyenc::{DateTime, Document, Number, Path, RawDocument, RawDocumentBuf, Value};

use crate::error::{ApplyError, ApplyErrorKind, ParseError, Source};
use crate::filter::Filter;
use crate::operand::Operand;
use crate::path::element_name;
use crate::trail::{Trail, read_json};
use array::ArrayAction;
use array_filter::ArrayFilter;
use number::BitStep;
use tree::Changes;

/// Most paths that one update changes.
pub(crate) const MAX_PATHS: usize = 100_000;
/// Most nulls that an update puts between an array's end and a new element.
pub(crate) const MAX_PADDING: usize = 1_500_000;
/// Most nodes of its tree that one document makes an update look at.
pub(crate) const MAX_STEPS: usize = 50_000_000;

/// A change of documents. Immutable, cheap to clone, and shareable between threads.
///
/// ```
/// use any_store_query::{Applied, ApplyContext, Update};
/// use anyenc::{RawDocumentBuf, doc};
///
/// let update = Update::from_json(r#"{"$inc": {"n": 1}, "$set": {"seen.by": "Ann"}}"#)?;
/// let stored = RawDocumentBuf::from_document(&doc! { "id": 7, "n": 1 })?;
/// let Applied::Changed(changed) = update.apply(stored.as_raw(), ApplyContext::update())? else {
///     panic!("the counter has changed");
/// };
/// assert_eq!(changed.to_document()?, doc! { "id": 7, "n": 2, "seen": { "by": "Ann" } });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Update {
    body: Body,
    array_filters: Arc<[ArrayFilter]>,
}

#[derive(Clone)]
enum Body {
    Changes(Arc<Changes>),
    Function(Arc<Function>),
}

type Function = dyn Fn(&mut Document) -> Result<(), Box<dyn Error + Send + Sync>> + Send + Sync;

/// What applying an update came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// The document's bytes are as they were.
    Unchanged,
    /// The document as it is afterwards; its bytes differ.
    Changed(RawDocumentBuf),
}

/// What an update must know besides the document.
#[derive(Debug, Clone, Copy)]
pub struct ApplyContext<'f> {
    filter: Option<&'f Filter>,
    inserting: bool,
    now: Option<DateTime>,
}

impl<'f> ApplyContext<'f> {
    /// The document is a stored one.
    pub fn update() -> ApplyContext<'f> {
        ApplyContext { filter: None, inserting: false, now: None }
    }

    /// The document is being made by an upsert, so that `$setOnInsert` counts.
    pub fn insert() -> ApplyContext<'f> {
        ApplyContext::update().inserting()
    }

    /// The same for a document that is being made.
    #[must_use]
    pub fn inserting(self) -> ApplyContext<'f> {
        ApplyContext { inserting: true, ..self }
    }

    /// The document matches this filter, which says what `$` in a path means.
    #[must_use]
    pub fn matching(self, filter: &'f Filter) -> ApplyContext<'f> {
        ApplyContext { filter: Some(filter), ..self }
    }

    /// What `$currentDate` sets; the system's time unless told otherwise.
    #[must_use]
    pub fn at(self, now: DateTime) -> ApplyContext<'f> {
        ApplyContext { now: Some(now), ..self }
    }

    fn now(&self) -> DateTime {
        self.now.unwrap_or_else(|| SystemTime::now().into())
    }
}

impl Update {
    /// Reads an update from a value, which must be an object of operators.
    ///
    /// # Errors
    /// The value is not an update, or changes one path twice.
    pub fn parse(value: &Value) -> Result<Update, ParseError> {
        parse::update(value, &mut Trail::new(Source::Update, None)).map(Update::of)
    }

    /// Reads an update from JSON text; errors carry byte offsets.
    ///
    /// # Errors
    /// The text is not JSON, or not an update.
    pub fn from_json(text: &str) -> Result<Update, ParseError> {
        let value = read_json(Source::Update, text)?;
        let mut trail = Trail::new(Source::Update, Some(text.as_bytes()));
        parse::update(&value, &mut trail).map(Update::of)
    }

    /// Reads an update from a document.
    ///
    /// # Errors
    /// The document is not an update, or changes one path twice.
    pub fn from_document(document: &Document) -> Result<Update, ParseError> {
        let mut trail = Trail::new(Source::Update, None);
        parse::document_update(document, &mut trail).map(Update::of)
    }

    /// An update by a function, which is given a copy of each document to change. Whether a document
    /// has changed is told by its bytes afterwards.
    ///
    /// An error that it returns is the error of [`apply`](Self::apply); the document stays as it is.
    /// A panic passes through.
    ///
    /// ```
    /// use any_store_query::{Applied, ApplyContext, Update};
    /// use anyenc::{RawDocumentBuf, doc};
    ///
    /// let update = Update::from_fn(|document| {
    ///     let name = document.get("name").and_then(|name| name.as_str()).ok_or("no name")?;
    ///     let name = name.to_uppercase();
    ///     document.insert("name", name);
    ///     Ok(())
    /// });
    /// let stored = RawDocumentBuf::from_document(&doc! { "name": "Ann" })?;
    /// let Applied::Changed(after) = update.apply(stored.as_raw(), ApplyContext::update())? else {
    ///     panic!("the name has changed");
    /// };
    /// assert_eq!(after.to_document()?, doc! { "name": "ANN" });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "ModifyFunc")]
    pub fn from_fn(
        change: impl Fn(&mut Document) -> Result<(), Box<dyn Error + Send + Sync>>
        + Send
        + Sync
        + 'static,
    ) -> Update {
        Update { body: Body::Function(Arc::new(change)), array_filters: [].into() }
    }

    fn of(changes: Changes) -> Update {
        Update { body: Body::Changes(changes.into()), array_filters: [].into() }
    }

    /// The update with conditions for the parts `$[name]` of its paths: one filter for each name, all
    /// of whose paths begin with that name. They replace earlier ones.
    ///
    /// ```
    /// use any_store_query::{Applied, ApplyContext, Update};
    /// use anyenc::{RawDocumentBuf, doc};
    ///
    /// let update = Update::from_json(r#"{"$inc": {"grades.$[low].points": 10}}"#)?;
    /// let update = update.with_array_filters(&[doc! { "low.points": { "$lt": 50 } }.into()])?;
    /// let stored = doc! { "grades": [{ "points": 40 }, { "points": 90 }] };
    /// let stored = RawDocumentBuf::from_document(&stored)?;
    /// let Applied::Changed(after) = update.apply(stored.as_raw(), ApplyContext::update())? else {
    ///     panic!("one grade is low");
    /// };
    /// assert_eq!(after.to_string(), r#"{"grades":[{"points":50},{"points":90}]}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A value is no such filter, a name of the update has none, or one is for a name that no path of
    /// the update says.
    pub fn with_array_filters(&self, filters: &[Value]) -> Result<Update, ParseError> {
        let mut trail = Trail::new(Source::ArrayFilters, None);
        let filters = array_filter::parse(filters, &self.element_names(), &mut trail)?;
        Ok(Update { body: self.body.clone(), array_filters: filters.into() })
    }

    /// The array filters in a value, which must be an array.
    ///
    /// # Errors
    /// It is none.
    pub fn array_filters_of(value: Value) -> Result<Vec<Value>, ParseError> {
        match value {
            Value::Array(filters) => Ok(filters),
            _ => {
                let trail = Trail::new(Source::ArrayFilters, None);
                Err(trail.invalid("", "array filters are an array of filters"))
            }
        }
    }

    /// The array filters in JSON text, which must be that of an array.
    ///
    /// # Errors
    /// The text is not JSON, or not an array.
    pub fn array_filters_from_json(text: &str) -> Result<Vec<Value>, ParseError> {
        Update::array_filters_of(read_json(Source::ArrayFilters, text)?)
    }

    /// The update, if it has an array filter for each name that its paths say.
    ///
    /// # Errors
    /// It has not: [`apply`](Self::apply) would refuse every document with such an array.
    pub fn with_all_names_known(self) -> Result<Update, ParseError> {
        let known = |name: &String| self.array_filters.iter().any(|filter| filter.name == *name);
        let unknown = self.element_names().into_iter().find(|name| !known(name));
        match unknown {
            Some(name) => {
                let trail = Trail::new(Source::ArrayFilters, None);
                Err(trail.invalid("", format!("there is no array filter for \"$[{name}]\"")))
            }
            None => Ok(self),
        }
    }

    /// The names in the parts `$[name]` of the paths, each once.
    fn element_names(&self) -> Vec<String> {
        let Body::Changes(changes) = &self.body else { return Vec::new() };
        if !changes.has_element_parts {
            return Vec::new();
        }
        let parts = changes.list.iter().flat_map(|change| change.path.segments());
        let mut names: Vec<String> =
            parts.filter_map(|part| element_name(&part.name)).map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Changes a document; the document itself stays as it is.
    ///
    /// # Errors
    /// A value in the document does not allow the change, a number goes past 64 bits, the result is
    /// too large or too deep, or the document is damaged.
    pub fn apply(
        &self,
        document: RawDocument<'_>,
        context: ApplyContext<'_>,
    ) -> Result<Applied, ApplyError> {
        match &self.body {
            Body::Changes(changes) => apply::apply(changes, &self.array_filters, document, context),
            Body::Function(change) => {
                let mut copy = document.to_document()?;
                change(&mut copy).map_err(|error| ApplyError {
                    kind: ApplyErrorKind::Apply,
                    path: String::new(),
                    reason: error.to_string(),
                })?;
                let after = RawDocumentBuf::from_document(&copy)?;
                let unchanged = after.as_bytes() == document.as_bytes();
                Ok(if unchanged { Applied::Unchanged } else { Applied::Changed(after) })
            }
        }
    }

    /// The document that an upsert makes where nothing matches `filter`: the fields that the filter
    /// fixes by equality, then the update with its `$setOnInsert`.
    ///
    /// ```
    /// use any_store_query::{ApplyContext, Filter, Update};
    ///
    /// let filter = Filter::from_json(r#"{"id": 7, "kind": "b", "n": {"$gt": 3}}"#)?;
    /// let update = Update::from_json(r#"{"$inc": {"n": 1}, "$setOnInsert": {"new": true}}"#)?;
    /// let made = update.upserted(&filter, ApplyContext::insert())?;
    /// assert_eq!(made.to_string(), r#"{"id":7,"kind":"b","n":1,"new":true}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The filter fixes a path twice ([`ApplyErrorKind::Conflict`]); else as [`apply`](Self::apply).
    pub fn upserted(
        &self,
        filter: &Filter,
        context: ApplyContext<'_>,
    ) -> Result<RawDocumentBuf, ApplyError> {
        let seed = Update::upsert_seed(filter)?;
        match self
            .apply(seed.as_raw(), ApplyContext { inserting: true, filter: None, ..context })?
        {
            Applied::Unchanged => Ok(seed),
            Applied::Changed(made) => Ok(made),
        }
    }

    /// The fields that a filter fixes by equality, as the document that an upsert begins with.
    ///
    /// # Errors
    /// The filter fixes a path twice, or one that is no field.
    pub fn upsert_seed(filter: &Filter) -> Result<RawDocumentBuf, ApplyError> {
        upsert::seed(filter)
    }

    /// May the update change this top-level field, or something in it?
    pub fn touches(&self, field: &str) -> bool {
        match &self.body {
            Body::Changes(changes) => changes.root.child(field).is_some(),
            Body::Function(_) => true,
        }
    }
}

impl fmt::Debug for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.body {
            Body::Changes(changes) => f.debug_list().entries(&changes.list).finish(),
            Body::Function(_) => f.write_str("Update::from_fn"),
        }
    }
}

/// One path and what becomes of its value.
#[derive(Debug, Clone)]
struct Change {
    path: Path,
    action: Arc<Action>,
}

impl Change {
    fn refusal(&self, kind: ApplyErrorKind, reason: String) -> ApplyError {
        ApplyError { kind, path: self.path.as_str().to_owned(), reason }
    }

    /// The same change with the part at `place` of its path replaced by a position.
    fn at_position(&self, place: usize, position: usize) -> Change {
        let part = position.to_string();
        let parts = self.path.segments().iter().enumerate();
        let parts = parts.map(|(at, old)| if at == place { &part } else { &old.name });
        let path: Vec<&str> = parts.map(String::as_str).collect();
        match Path::parse(&path.join(".")) {
            Ok(path) => Change { path, action: Arc::clone(&self.action) },
            // As many parts as before are never too many.
            Err(_) => self.clone(),
        }
    }
}

#[derive(Debug)]
enum Action {
    Set(Operand),
    SetOnInsert(Operand),
    Unset,
    Inc(Number),
    Mul(Number),
    Min(Operand),
    Max(Operand),
    Bit(Vec<BitStep>),
    CurrentDate,
    /// The source of a `$rename`.
    RenameAway,
    /// The target of a `$rename`, with the path of the source.
    RenameTo(Path),
    Array(ArrayAction),
}

impl Action {
    /// Does the action make what is missing, its parents included?
    fn creates(&self) -> bool {
        match self {
            Action::Unset | Action::RenameAway => false,
            Action::Array(action) => action.creates(),
            _ => true,
        }
    }

    /// Is a value that is neither object nor array an error where a parent of the path should be?
    /// Only what takes a field away is content with there being none.
    fn needs_way(&self) -> bool {
        !matches!(self, Action::Unset | Action::RenameAway)
    }

    /// Does the action look at nothing but the value it changes?
    fn decides_alone(&self) -> bool {
        !matches!(self, Action::Array(_) | Action::RenameAway | Action::RenameTo(_))
    }
}
