//! A case as it is written, and what it wants.

use any_store::{Error, ErrorKind, ParseErrorKind};
use any_store_query::{ApplyError, ApplyErrorKind, ParseError};
use anyenc::{Document, Value, json};

/// One case: the raw text of each member of its object, since requests are given as text.
pub(crate) struct Case<'l> {
    members: Vec<(&'l str, &'l str)>,
}

impl<'l> Case<'l> {
    /// Reads a line; none if it is no object.
    pub(crate) fn read(line: &'l str) -> Option<Case<'l>> {
        members(line).map(|members| Case { members })
    }

    pub(crate) fn text(&self, name: &str) -> Option<&'l str> {
        self.members.iter().find(|(key, _)| *key == name).map(|(_, text)| *text)
    }

    /// The text of a member that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&'l str, String> {
        self.text(name).ok_or_else(|| format!("the case has no {name}"))
    }

    pub(crate) fn value(&self, name: &str) -> Option<Value> {
        json::parse_query(self.text(name)?.as_bytes()).ok()
    }

    pub(crate) fn string(&self, name: &str) -> Option<String> {
        self.value(name)?.as_str().map(str::to_owned)
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// A count; 0 where it is left out.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let number = self.value(name).and_then(|value| value.as_i64());
        number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
    }

    pub(crate) fn has_tag(&self, tag: &str) -> bool {
        let tags = self.value("tags");
        let tags = tags.as_ref().and_then(Value::as_array).unwrap_or_default();
        tags.iter().any(|own| own.as_str() == Some(tag))
    }

    pub(crate) fn document(&self, name: &str) -> Result<Option<Document>, String> {
        match self.value(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(document)) => Ok(Some(document)),
            Some(_) => Err(format!("{name} is no document")),
        }
    }

    /// The documents, in the order of their ids.
    pub(crate) fn documents(&self) -> Result<Vec<Document>, String> {
        let Some(Value::Array(values)) = self.value("docs") else {
            return Err("the case has no docs".to_owned());
        };
        let document = |value| match value {
            Value::Object(document) => Ok(document),
            other => Err(format!("not a document: {other}")),
        };
        let mut documents = values.into_iter().map(document).collect::<Result<Vec<_>, _>>()?;
        documents.sort_by(|a, b| a.get("id").cmp(&b.get("id")));
        Ok(documents)
    }

    pub(crate) fn steps(&self) -> Result<Vec<Case<'l>>, String> {
        let mut rest = self.required("steps")?.trim();
        rest = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or_default();
        let mut steps = Vec::new();
        while !rest.trim().is_empty() {
            let (step, after) = split_value(rest);
            let step = members(step).ok_or("a step is no object")?;
            steps.push(Case { members: step });
            rest = after.trim_start_matches(',');
        }
        Ok(steps)
    }

    pub(crate) fn want(&self) -> Result<Case<'l>, String> {
        let want = members(self.required("want")?).ok_or("the case wants nothing")?;
        Ok(Case { members: want })
    }

    /// Of `want`: the error that is wanted, if one is.
    pub(crate) fn wanted_error(&self) -> Option<WantedError> {
        self.is_true("error").then(|| WantedError {
            kind: self.string("kind").unwrap_or_else(|| "parse".to_owned()),
            op: self.string("op"),
            path: self.string("path"),
        })
    }
}

/// Splits the JSON text of an object into keys (without escapes) and the text of their values.
/// Requests that are to be refused stay text, so the values themselves are not read here.
fn members(text: &str) -> Option<Vec<(&str, &str)>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut rest = inner.trim_start();
    let mut members = Vec::new();
    while !rest.is_empty() {
        let (key, after) = split_value(rest);
        let after = after.trim_start().strip_prefix(':')?.trim_start();
        let (value, after) = split_value(after);
        members.push((key.trim().trim_matches('"'), value.trim()));
        rest = after.trim_start().trim_start_matches(',').trim_start();
    }
    Some(members)
}

/// The value that begins a text, and what follows it.
fn split_value(text: &str) -> (&str, &str) {
    let mut depth = 0;
    let mut in_string = false;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b',' | b':' if depth == 0 => return text.split_at(at),
            _ => {}
        }
    }
    (text, "")
}

/// The error that a case wants.
#[derive(Debug)]
pub(crate) struct WantedError {
    kind: String,
    op: Option<String>,
    path: Option<String>,
}

impl WantedError {
    /// Only the kind, where the place cannot be compared.
    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    fn is(&self, error: &ParseError) -> bool {
        parse_kind(error) == self.kind
            && self.op.as_ref().is_none_or(|op| *op == error.op)
            && self.path.as_ref().is_none_or(|path| error.path.starts_with(path.as_str()))
    }
}

/// Judges a request that was refused against what is wanted.
pub(crate) fn refused(error: &ParseError, wanted: Option<WantedError>) -> Result<(), String> {
    match wanted {
        Some(wanted) if wanted.is(error) => Ok(()),
        Some(wanted) => Err(format!("refused by {error:?}, but wanted {wanted:?}")),
        None => Err(format!("refused: {error}")),
    }
}

/// As [`refused`], by the database.
pub(crate) fn refused_by_database(
    error: &Error,
    wanted: Option<WantedError>,
) -> Result<(), String> {
    match (error.parse_error(), wanted) {
        (Some(error), wanted) => refused(error, wanted),
        (None, Some(wanted)) => compare(kind_of(error), wanted.kind(), "the kind of the error"),
        (None, None) => Err(format!("refused by the database: {error}")),
    }
}

pub(crate) fn parse_kind(error: &ParseError) -> &'static str {
    match error.kind {
        ParseErrorKind::Json => "json",
        ParseErrorKind::Conflict => "conflict",
        _ => "parse",
    }
}

/// The kind of a refused change, as the database calls it, which guards the primary key.
pub(crate) fn apply_kind(error: &ApplyError) -> &'static str {
    if error.path == "id" || error.path.starts_with("id.") {
        return "primary_key_modification";
    }
    match error.kind {
        ApplyErrorKind::Apply => "apply",
        ApplyErrorKind::Conflict => "conflict",
        ApplyErrorKind::Overflow => "overflow",
        ApplyErrorKind::Limit => "limit",
        ApplyErrorKind::Damaged => "damaged",
    }
}

/// The kind of an error as the cases call it.
pub(crate) fn kind_of(error: &Error) -> &'static str {
    if let Some(error) = error.parse_error() {
        return parse_kind(error);
    }
    match error.kind() {
        ErrorKind::Parse => "json",
        ErrorKind::Apply => "apply",
        ErrorKind::Conflict => "conflict",
        ErrorKind::Overflow => "overflow",
        ErrorKind::PrimaryKeyModification => "primary_key_modification",
        ErrorKind::MissingId => "doc_without_id",
        ErrorKind::InvalidId => "array_primary_key",
        ErrorKind::ParallelArrays => "parallel_arrays",
        ErrorKind::UniqueViolation => "unique",
        ErrorKind::DocumentExists => "doc_exists",
        ErrorKind::NotFound => "doc_not_found",
        ErrorKind::IndexExists => "index_exists",
        ErrorKind::IndexMismatch => "index_mismatch",
        ErrorKind::IndexNotFound => "index_not_found",
        ErrorKind::InvalidIndex => "invalid_index",
        _ => "other",
    }
}

pub(crate) fn compare<T: PartialEq<U> + std::fmt::Debug, U: std::fmt::Debug>(
    got: T,
    want: U,
    what: &str,
) -> Result<(), String> {
    if got == want { Ok(()) } else { Err(format!("{what}: got {got:?}, but wanted {want:?}")) }
}

/// Are these values the same, kinds of numbers and the order of fields included? `{"$anyDate":true}`
/// stands for any date.
pub(crate) fn is_same(got: &Value, want: &Value, any_field_order: bool) -> bool {
    match (got, want) {
        (Value::DateTime(_), Value::Object(any)) => any.contains_key("$anyDate"),
        (Value::Array(got), Value::Array(want)) => {
            let mut pairs = got.iter().zip(want);
            got.len() == want.len() && pairs.all(|(got, want)| is_same(got, want, any_field_order))
        }
        (Value::Object(got), Value::Object(want)) if any_field_order => {
            let in_other = |(key, value): (&str, &Value)| {
                got.get(key).is_some_and(|got| is_same(got, value, any_field_order))
            };
            got.len() == want.len() && want.iter().all(in_other)
        }
        (Value::Object(got), Value::Object(want)) => {
            let mut pairs = got.iter().zip(want.iter());
            got.len() == want.len()
                && pairs
                    .all(|(got, want)| got.0 == want.0 && is_same(got.1, want.1, any_field_order))
        }
        _ => got.value_type() == want.value_type() && got == want,
    }
}
