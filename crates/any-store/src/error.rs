//! The one error of this crate: a kind for programs, a message for people, and the place.
//!
//! A message is lower case and names the thing that failed: a collection, a field, a page. It never
//! holds a document, a key or a secret; the id of the document concerned is an accessor.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};

use any_store_query::{
    ApplyError, ApplyErrorKind, ParallelArrays, ParseError, ParseErrorKind, SortError,
};
use any_store_storage as storage;
use anyenc::{DecodeError, EncodeError, JsonError, JsonErrorKind, Value};

/// What every fallible call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, for programs to match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No document has this id, or there is no file at this path.
    NotFound,
    /// A document with this id is there already.
    DocumentExists,
    /// The document has no primary key.
    MissingId,
    /// The value cannot be an id: an array, a regular expression or a vector.
    InvalidId,
    /// An update or replacement would change the primary key.
    PrimaryKeyModification,
    /// A unique index holds this key already.
    UniqueViolation,
    /// A document, filter, update, sort or projection could not be read.
    Parse,
    /// An update does not apply to the document it met.
    Apply,
    /// Two operators of an update touch the same path.
    Conflict,
    /// A number does not fit the type that must hold it.
    Overflow,
    /// A sort or an index meets two arrays in one document.
    ParallelArrays,
    /// The collection's name is taken.
    CollectionExists,
    /// There is no collection of this name.
    CollectionNotFound,
    /// The collection that this handle was bound to is gone.
    CollectionClosed,
    /// A name is empty, too long or has a form that is not allowed.
    InvalidName,
    /// An equal index is there already.
    IndexExists,
    /// A different index has this name.
    IndexMismatch,
    /// There is no index of this name.
    IndexNotFound,
    /// An index definition is not valid.
    InvalidIndex,
    /// The collection handle belongs to another database than the transaction.
    TxOtherInstance,
    /// The database was opened for reading.
    ReadOnly,
    /// The database is closed.
    Closed,
    /// Another process, or another handle of this one, has the file open.
    Locked,
    /// Another write transaction did not end in time.
    Busy,
    /// Stored bytes are not what was written.
    Corrupt,
    /// The log is damaged below a durable commit.
    LogDamaged,
    /// The log has reached its hard limit.
    LogFull,
    /// The disk is full.
    NoSpace,
    /// The operating system failed.
    Io,
    /// The file under the database was replaced.
    FileReplaced,
    /// The process was forked after the database was opened.
    Forked,
    /// The file is no database, or a part of it has a format that this version does not know.
    UnsupportedFormat,
    /// The file is encrypted and no key was given.
    KeyRequired,
    /// A key was given and the file is not encrypted.
    NotEncrypted,
    /// The key does not open the file.
    WrongKey,
    /// A document, a path or the file would be larger or deeper than allowed.
    LimitExceeded,
    /// The operation was cancelled.
    Cancelled,
    /// The quick check at open found damage.
    QuickCheckFailed,
    /// The global page buffer was asked for and never made.
    PageBufferNotInitialized,
    /// Options contradict each other, the file or the collection.
    InvalidOptions,
    /// A stored document is not of the type that was asked for.
    Deserialize,
    /// The commit may or may not have survived; see [`Error::outcome`].
    CommitUnknown,
    /// An earlier failure made the handle unusable.
    Failed,
    /// A defect of this library.
    Internal,
}

/// What became of a commit that returned an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Its changes are there; what failed came after.
    Applied,
    /// Nothing of it is there.
    Aborted,
    /// It may be there or not; opening the file again tells.
    Unknown,
}

/// The error of every fallible call.
///
/// One word wide. [`kind`](Self::kind) is for programs, [`Display`](fmt::Display) for people, the
/// other accessors give the place.
///
/// ```
/// # use any_store::{doc, Database, ErrorKind, CollectionOptions};
/// let db = Database::in_memory()?;
/// let users = db.create_collection("users", CollectionOptions::new())?;
/// users.insert_one(&doc! { "id": 1 })?;
/// let error = users.insert_one(&doc! { "id": 1 }).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::DocumentExists);
/// assert!(error.is_duplicate_key());
/// assert_eq!(error.collection(), Some("users"));
/// # Ok::<(), any_store::Error>(())
/// ```
pub struct Error(Box<Details>);

type Cause = Box<dyn StdError + Send + Sync>;

struct Details {
    kind: ErrorKind,
    /// `None`: the cause's own text is the message.
    message: Option<Cow<'static, str>>,
    collection: Option<String>,
    field_path: Option<String>,
    path: Option<PathBuf>,
    page: Option<u32>,
    item: Option<u64>,
    document_id: Option<Value>,
    index_name: Option<String>,
    key: Option<Vec<Value>>,
    refused_id: Option<Value>,
    outcome: Option<Outcome>,
    cause: Option<Cause>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Details { message: Some(message.into()), ..Details::of(kind) }))
    }

    /// An error whose message is the cause's own.
    pub(crate) fn from_cause(kind: ErrorKind, cause: impl Into<Cause>) -> Self {
        Self(Box::new(Details { cause: Some(cause.into()), ..Details::of(kind) }))
    }

    pub(crate) fn caused_by(mut self, cause: impl Into<Cause>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Names the collection, unless a place nearer to the failure has done so.
    pub(crate) fn in_collection(mut self, name: &str) -> Self {
        self.0.collection.get_or_insert_with(|| name.to_owned());
        self
    }

    pub(crate) fn at_field(mut self, path: &str) -> Self {
        self.0.field_path = Some(path.to_owned());
        self
    }

    pub(crate) fn at_path(mut self, path: &Path) -> Self {
        self.0.path = Some(path.to_owned());
        self
    }

    pub(crate) fn at_item(mut self, item: u64) -> Self {
        self.0.item.get_or_insert(item);
        self
    }

    pub(crate) fn of_document(mut self, id: Value) -> Self {
        self.0.document_id.get_or_insert(id);
        self
    }

    /// Names the index, unless a place nearer to the failure has done so.
    pub(crate) fn in_index(mut self, name: &str) -> Self {
        self.0.index_name.get_or_insert_with(|| name.to_owned());
        self
    }

    pub(crate) fn at_key(mut self, key: Vec<Value>) -> Self {
        self.0.key = Some(key);
        self
    }

    pub(crate) fn refusing(mut self, id: Value) -> Self {
        self.0.refused_id = Some(id);
        self
    }

    pub(crate) fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = Some(outcome);
        self
    }

    pub(crate) fn corrupt(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    pub(crate) fn internal(message: &'static str) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// What went wrong, for programs to match on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What became of the commit, if this is the error of a commit.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.0.outcome
    }

    /// The collection concerned.
    #[must_use]
    pub fn collection(&self) -> Option<&str> {
        self.0.collection.as_deref()
    }

    /// The field concerned, as a dotted path.
    #[must_use]
    pub fn field_path(&self) -> Option<&str> {
        self.0.field_path.as_deref()
    }

    /// The file concerned.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The number of the page concerned.
    #[must_use]
    pub fn page(&self) -> Option<u32> {
        self.0.page
    }

    /// Which of the documents given to `insert_many` failed, counted from 0.
    #[must_use]
    pub fn item(&self) -> Option<u64> {
        self.0.item
    }

    /// The id of the document concerned. Not part of the message: ids are data.
    #[must_use]
    pub fn document_id(&self) -> Option<&Value> {
        self.0.document_id.as_ref()
    }

    /// The index concerned.
    #[must_use]
    pub fn index_name(&self) -> Option<&str> {
        self.0.index_name.as_deref()
    }

    /// The key that a unique index holds already: a value for each of its fields. Not part of the
    /// message: keys are data. The document that holds it is the one of
    /// [`document_id`](Self::document_id).
    #[must_use]
    pub fn key(&self) -> Option<&[Value]> {
        self.0.key.as_deref()
    }

    /// The id of the document that a unique index does not take, since another one holds its key.
    #[must_use]
    pub fn refused_document_id(&self) -> Option<&Value> {
        self.0.refused_id.as_ref()
    }

    /// The whole story of a filter, update, sort or projection that could not be read.
    #[must_use]
    pub fn parse_error(&self) -> Option<&ParseError> {
        self.0.cause.as_ref()?.downcast_ref()
    }

    /// The whole story of JSON text that could not be read.
    #[must_use]
    pub fn json_error(&self) -> Option<&JsonError> {
        self.0.cause.as_ref()?.downcast_ref()
    }

    /// True if a document or a unique key is there already.
    #[must_use]
    pub fn is_duplicate_key(&self) -> bool {
        matches!(self.kind(), ErrorKind::DocumentExists | ErrorKind::UniqueViolation)
    }

    /// True if a document, collection, index or file is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::NotFound
                | ErrorKind::CollectionNotFound
                | ErrorKind::CollectionClosed
                | ErrorKind::IndexNotFound
        )
    }

    /// True if stored bytes are damaged.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::Corrupt | ErrorKind::LogDamaged | ErrorKind::QuickCheckFailed
        )
    }

    /// True if somebody else has the file open.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.kind() == ErrorKind::Locked
    }

    /// True if the same call may succeed later without any other change.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind(), ErrorKind::Busy | ErrorKind::Locked)
    }
}

impl Details {
    fn of(kind: ErrorKind) -> Self {
        Self {
            kind,
            message: None,
            collection: None,
            field_path: None,
            path: None,
            page: None,
            item: None,
            document_id: None,
            index_name: None,
            key: None,
            refused_id: None,
            outcome: None,
            cause: None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.message, &self.0.cause) {
            (Some(message), _) => f.write_str(message),
            (None, Some(cause)) => cause.fmt(f),
            (None, None) => write!(f, "{:?}", self.0.kind),
        }?;
        if let Some(path) = &self.0.path {
            write!(f, ": {}", path.display())?;
        }
        Ok(())
    }
}

/// Kind, message and place; never the document's id.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.0.kind).field("message", &format_args!("{self}"));
        if let Some(collection) = &self.0.collection {
            out.field("collection", collection);
        }
        if let Some(index_name) = &self.0.index_name {
            out.field("index_name", index_name);
        }
        if let Some(field_path) = &self.0.field_path {
            out.field("field_path", field_path);
        }
        if let Some(page) = self.0.page {
            out.field("page", &page);
        }
        if let Some(item) = self.0.item {
            out.field("item", &item);
        }
        if let Some(outcome) = self.0.outcome {
            out.field("outcome", &outcome);
        }
        out.finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let cause = self.0.cause.as_deref()?;
        // A cause whose text is our message would be printed twice by those who print the chain.
        if self.0.message.is_some() { Some(cause) } else { cause.source() }
    }
}

/// How errors of the layers below become ours. The kind is decided here and nowhere else.
mod from {
    use super::*;

    impl From<storage::Error> for Error {
        fn from(error: storage::Error) -> Self {
            let (kind, page) = kind_and_page(&error);
            let path = match &error {
                storage::Error::FileReplaced { path } => Some(path.clone()),
                _ => None,
            };
            let mut error = Self::from_cause(kind, error);
            error.0.page = page;
            error.0.path = path;
            error
        }
    }

    impl Error {
        /// What the background met, for its callback; the cause itself stays behind.
        pub(crate) fn of_background(error: &storage::Error) -> Self {
            let (kind, page) = kind_and_page(error);
            let mut error = Self::new(kind, error.to_string());
            error.0.page = page;
            error
        }
    }

    fn kind_and_page(error: &storage::Error) -> (ErrorKind, Option<u32>) {
        use storage::Error as E;
        let kind = match error {
            E::Corrupt { page, .. } => return (ErrorKind::Corrupt, Some(page.0)),
            E::QuickCheckFailed { source } => {
                return (ErrorKind::QuickCheckFailed, kind_and_page(source).1);
            }
            E::LogDamaged { .. } => ErrorKind::LogDamaged,
            E::NoSpace { .. } => ErrorKind::NoSpace,
            E::Io { .. } => ErrorKind::Io,
            E::Locked { .. } => ErrorKind::Locked,
            E::Forked => ErrorKind::Forked,
            E::FileReplaced { .. } => ErrorKind::FileReplaced,
            E::LogFull { .. } => ErrorKind::LogFull,
            E::Busy => ErrorKind::Busy,
            E::Closed => ErrorKind::Closed,
            E::ReadOnly => ErrorKind::ReadOnly,
            E::NotFound => ErrorKind::NotFound,
            E::UnsupportedFormat { .. } | E::NotADatabase => ErrorKind::UnsupportedFormat,
            E::CommitUnknown { .. } => ErrorKind::CommitUnknown,
            E::Failed => ErrorKind::Failed,
            E::LimitExceeded(_) => ErrorKind::LimitExceeded,
            E::InvalidOptions(_) => ErrorKind::InvalidOptions,
            E::Cancelled => ErrorKind::Cancelled,
            E::TreeNotFound(_) | E::Internal(_) | E::InvalidLoad(_) => ErrorKind::Internal,
            _ => ErrorKind::Internal,
        };
        (kind, None)
    }

    /// Bytes that were stored and cannot be read.
    impl From<DecodeError> for Error {
        fn from(error: DecodeError) -> Self {
            Self::new(ErrorKind::Corrupt, format!("stored bytes are damaged: {error}"))
                .caused_by(error)
        }
    }

    /// A document that cannot be stored.
    impl From<EncodeError> for Error {
        fn from(error: EncodeError) -> Self {
            let (kind, field_path) = match &error {
                EncodeError::TooDeep { .. } | EncodeError::TooLarge { .. } => {
                    (ErrorKind::LimitExceeded, None)
                }
                EncodeError::IntegerRange { path, .. } => (ErrorKind::Overflow, Some(path)),
                EncodeError::KeyNotAString { path } | EncodeError::Custom { path, .. } => {
                    (ErrorKind::Parse, Some(path))
                }
                EncodeError::Misplaced(_) => (ErrorKind::Internal, None),
                _ => (ErrorKind::Parse, None),
            };
            let field_path = field_path.filter(|path| !path.is_empty()).cloned();
            let mut error = Self::from_cause(kind, error);
            error.0.field_path = field_path;
            error
        }
    }

    impl From<JsonError> for Error {
        fn from(error: JsonError) -> Self {
            let kind = match error.kind {
                JsonErrorKind::TooDeep | JsonErrorKind::TooLarge => ErrorKind::LimitExceeded,
                _ => ErrorKind::Parse,
            };
            Self::from_cause(kind, error)
        }
    }

    impl From<ParseError> for Error {
        fn from(error: ParseError) -> Self {
            let kind = match error.kind {
                ParseErrorKind::Conflict => ErrorKind::Conflict,
                ParseErrorKind::Limit => ErrorKind::LimitExceeded,
                _ => ErrorKind::Parse,
            };
            let field_path = Some(error.path.clone()).filter(|path| !path.is_empty());
            let mut error = Self::from_cause(kind, error);
            error.0.field_path = field_path;
            error
        }
    }

    impl From<ApplyError> for Error {
        fn from(error: ApplyError) -> Self {
            let kind = match error.kind {
                ApplyErrorKind::Apply => ErrorKind::Apply,
                ApplyErrorKind::Conflict => ErrorKind::Conflict,
                ApplyErrorKind::Overflow => ErrorKind::Overflow,
                ApplyErrorKind::Limit => ErrorKind::LimitExceeded,
                ApplyErrorKind::Damaged => ErrorKind::Corrupt,
            };
            let field_path = Some(error.path.clone()).filter(|path| !path.is_empty());
            let mut error = Self::from_cause(kind, error);
            error.0.field_path = field_path;
            error
        }
    }

    /// A document that cannot be in an index.
    impl From<ParallelArrays> for Error {
        fn from(error: ParallelArrays) -> Self {
            let message = format!("an index cannot hold the document: {error}");
            Self::new(ErrorKind::ParallelArrays, message).at_field(&error.second).caused_by(error)
        }
    }

    impl From<SortError> for Error {
        fn from(error: SortError) -> Self {
            let kind = match &error {
                SortError::ParallelArrays(_) => ErrorKind::ParallelArrays,
                SortError::Damaged(_) => ErrorKind::Corrupt,
            };
            Self::from_cause(kind, error)
        }
    }
}
