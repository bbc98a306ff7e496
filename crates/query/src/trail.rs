//! Where a parser is inside a request, so that its errors can say so.

use anyenc::{EncodeError, Value, json};

use crate::error::{ParseError, ParseErrorKind, Source};
use crate::locate::locate;
use crate::operators;

/// Longest path an error spells out; a hostile key must not be echoed whole.
const MAX_SHOWN_PATH_LEN: usize = 1024;

/// One step down into a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'v> {
    Key(&'v str),
    Index(usize),
}

/// The way from the root of a request to the key at hand.
pub(crate) struct Trail<'v> {
    source: Source,
    text: Option<&'v [u8]>,
    steps: Vec<Step<'v>>,
}

impl<'v> Trail<'v> {
    /// A trail at the root of a request; `text` is what it was read from, if it was text.
    pub(crate) fn new(source: Source, text: Option<&'v [u8]>) -> Self {
        Trail { source, text, steps: Vec::new() }
    }

    /// Runs `inner` one step further down.
    pub(crate) fn within<T>(&mut self, step: Step<'v>, inner: impl FnOnce(&mut Self) -> T) -> T {
        self.steps.push(step);
        let result = inner(self);
        self.steps.pop();
        result
    }

    /// An operand that is not what `op` takes; `op` is empty where no operator is at fault.
    pub(crate) fn invalid(&self, op: &str, reason: impl Into<String>) -> ParseError {
        self.error(ParseErrorKind::Invalid, op, reason.into())
    }

    /// A request past one of the language's limits.
    pub(crate) fn limit(&self, reason: impl Into<String>) -> ParseError {
        self.error(ParseErrorKind::Limit, "", reason.into())
    }

    /// A literal that no document could hold.
    pub(crate) fn unencodable(&self, op: &str, error: &EncodeError) -> ParseError {
        self.error(ParseErrorKind::Limit, op, format!("this value cannot be stored: {error}"))
    }

    /// Two changes of one path.
    pub(crate) fn conflict(&self, op: &str, reason: impl Into<String>) -> ParseError {
        self.error(ParseErrorKind::Conflict, op, reason.into())
    }

    /// An operator that is not in `known`, with the nearest name that is.
    pub(crate) fn unknown(&self, op: &str, known: &[operators::OperatorInfo]) -> ParseError {
        let reason = format!("unknown operator \"{}\"", shortened(op));
        let mut error = self.error(ParseErrorKind::UnknownOperator, op, reason);
        error.suggestion = operators::nearest(op, known).map(str::to_owned);
        error
    }

    /// The byte offset of the key at hand, where the request was text.
    pub(crate) fn offset(&self) -> Option<usize> {
        self.text.and_then(|text| locate(text, &self.steps))
    }

    fn error(&self, kind: ParseErrorKind, op: &str, reason: String) -> ParseError {
        ParseError {
            kind,
            source: self.source,
            path: self.path(),
            op: shortened(op).to_owned(),
            reason,
            offset: self.offset(),
            suggestion: None,
        }
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for (depth, step) in self.steps.iter().enumerate() {
            if depth > 0 {
                path.push('.');
            }
            match step {
                Step::Key(key) => path.push_str(shortened(key)),
                Step::Index(index) => path.push_str(&index.to_string()),
            }
            if path.len() > MAX_SHOWN_PATH_LEN {
                break;
            }
        }
        path
    }
}

/// Reads the JSON text of a request, which may hold operators as well as wrappers.
pub(crate) fn read_json(source: Source, text: &str) -> Result<Value, ParseError> {
    json::parse_query(text.as_bytes()).map_err(|error| ParseError {
        kind: ParseErrorKind::Json,
        source,
        path: String::new(),
        op: String::new(),
        offset: Some(error.offset),
        reason: error.to_string(),
        suggestion: None,
    })
}

/// The first bytes of a name, cut between characters.
fn shortened(name: &str) -> &str {
    if name.len() <= MAX_SHOWN_PATH_LEN {
        return name;
    }
    let mut end = MAX_SHOWN_PATH_LEN;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default()
}
