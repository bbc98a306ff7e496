//! Projections: the part of a document that a request wants to see.
//!
//! Either the fields to show are named, or those to hide; the primary key is shown unless it is
//! hidden by name. A path goes through objects and through arrays at every level, and its parts are
//! keys, never positions. Fields keep the document's order.

use std::collections::BTreeMap;

use anyenc::{
    DecodeError, Document, DocumentWriter, EncodeError, Path, RawArray, RawDocument,
    RawDocumentBuf, RawValue, Segment, Value,
};

use crate::error::{ParseError, Source};
use crate::path;
use crate::trail::{Step, Trail, read_json};

/// Most paths of one projection.
const MAX_PATHS: usize = 100_000;

/// A choice of fields. Immutable.
///
/// ```
/// use any_store_query::Projection;
/// use anyenc::{RawDocumentBuf, doc};
///
/// let projection = Projection::from_json(r#"{"name": 1, "address.city": 1}"#, "id")?;
/// let stored = RawDocumentBuf::from_document(
///     &doc! { "id": 7, "name": "Ann", "age": 41, "address": { "zip": "1010", "city": "Wien" } },
/// )?;
/// assert_eq!(
///     projection.project(stored.as_raw())?.to_document()?,
///     doc! { "id": 7, "name": "Ann", "address": { "city": "Wien" } },
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection {
    mode: Mode,
    root: Branch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Show what is named.
    Include,
    /// Hide what is named.
    Exclude,
}

/// The named fields of an object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Branch {
    children: BTreeMap<String, Node>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    /// The field is named, with all that is in it.
    Whole,
    /// Fields in the field are named.
    Part(Branch),
}

impl Projection {
    /// Reads a projection from a value, which must be an object; `{}` shows everything.
    ///
    /// `primary_key` is the name of the field that is shown unless it is hidden by name.
    ///
    /// # Errors
    /// The value is not a projection, or shows some fields and hides others.
    pub fn parse(value: &Value, primary_key: &str) -> Result<Projection, ParseError> {
        parse(value, primary_key, &mut Trail::new(Source::Projection, None))
    }

    /// Reads a projection from JSON text; errors carry byte offsets.
    ///
    /// # Errors
    /// The text is not JSON, or not a projection.
    pub fn from_json(text: &str, primary_key: &str) -> Result<Projection, ParseError> {
        let value = read_json(Source::Projection, text)?;
        parse(&value, primary_key, &mut Trail::new(Source::Projection, Some(text.as_bytes())))
    }

    /// Reads a projection from a document.
    ///
    /// # Errors
    /// The document is not a projection, or shows some fields and hides others.
    pub fn from_document(document: &Document, primary_key: &str) -> Result<Projection, ParseError> {
        parse_document(document, primary_key, &mut Trail::new(Source::Projection, None))
    }

    /// Does the projection show every field?
    pub fn is_all(&self) -> bool {
        self.mode == Mode::Exclude && self.root.children.is_empty()
    }

    /// The part of a document that the projection shows.
    ///
    /// # Errors
    /// As [`Projection::apply`].
    pub fn project(&self, document: RawDocument<'_>) -> Result<RawDocumentBuf, DecodeError> {
        let mut bytes = Vec::new();
        self.apply(document, &mut bytes)?;
        Ok(RawDocument::from_bytes(&bytes)?.to_owned())
    }

    /// Appends the part of a document that the projection shows, encoded, to a buffer.
    ///
    /// # Errors
    /// The document's bytes are damaged; or an object, without what is hidden, would begin with the
    /// name of an extended JSON wrapper. The buffer is then as it was.
    pub fn apply(&self, document: RawDocument<'_>, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        if self.is_all() {
            out.extend_from_slice(document.as_bytes());
            return Ok(());
        }
        let start = out.len();
        let mut picker = Picker { mode: self.mode, out: DocumentWriter::new(out) };
        let picked = picker.object(document, &self.root).and_then(|()| picker.out.finish());
        picked.map_err(|error| {
            out.truncate(start);
            damage(error)
        })
    }
}

/// A part of a valid document is within every limit: the writer refuses damage, or a reserved key.
fn damage(error: EncodeError) -> DecodeError {
    match error {
        EncodeError::Damaged(error) => error,
        EncodeError::DuplicateKey(_) => DecodeError::DuplicateKey,
        EncodeError::ReservedKey(_) => DecodeError::ReservedKey,
        EncodeError::TooDeep { .. } => DecodeError::TooDeep,
        EncodeError::TooLarge { .. } => DecodeError::TooLarge,
        _ => DecodeError::BadLength,
    }
}

/// Writes the part of a document that is shown.
struct Picker<'o> {
    mode: Mode,
    out: DocumentWriter<'o>,
}

impl Picker<'_> {
    fn object(&mut self, object: RawDocument<'_>, branch: &Branch) -> Result<(), EncodeError> {
        self.out.begin_object()?;
        for field in object.iter() {
            let (key, value) = field?;
            match branch.child(key) {
                None => self.unnamed(Some(key), value)?,
                Some(Node::Whole) if self.mode == Mode::Include => self.put(Some(key), value)?,
                Some(Node::Whole) => {}
                Some(Node::Part(below)) => self.part(Some(key), value, below)?,
            }
        }
        self.out.end_object()
    }

    fn array(&mut self, array: RawArray<'_>, branch: &Branch) -> Result<(), EncodeError> {
        self.out.begin_array()?;
        for element in array.iter() {
            self.part(None, element?, branch)?;
        }
        self.out.end_array()
    }

    /// Shows a part of a value; what has no parts is none of those that were named.
    fn part(
        &mut self,
        key: Option<&str>,
        value: RawValue<'_>,
        branch: &Branch,
    ) -> Result<(), EncodeError> {
        match value {
            RawValue::Object(object) => {
                self.key(key)?;
                self.object(object, branch)
            }
            RawValue::Array(array) => {
                self.key(key)?;
                self.array(array, branch)
            }
            value => self.unnamed(key, value),
        }
    }

    fn unnamed(&mut self, key: Option<&str>, value: RawValue<'_>) -> Result<(), EncodeError> {
        match self.mode {
            Mode::Include => Ok(()),
            Mode::Exclude => self.put(key, value),
        }
    }

    fn put(&mut self, key: Option<&str>, value: RawValue<'_>) -> Result<(), EncodeError> {
        self.key(key)?;
        self.out.write_raw(value)
    }

    fn key(&mut self, key: Option<&str>) -> Result<(), EncodeError> {
        key.map_or(Ok(()), |key| self.out.key(key))
    }
}

impl Branch {
    fn child(&self, name: &str) -> Option<&Node> {
        self.children.get(name)
    }

    /// The branch at the end of these parts, made where it is not there; none below a named field.
    fn descend(&mut self, parts: &[Segment]) -> Option<&mut Branch> {
        let mut at = self;
        for part in parts {
            if !at.children.contains_key(&part.name) {
                at.children.insert(part.name.clone(), Node::Part(Branch::default()));
            }
            match at.children.get_mut(&part.name) {
                Some(Node::Part(below)) => at = below,
                _ => return None,
            }
        }
        Some(at)
    }

    /// Names a field, unless it or one above or below it is named; says whether it did.
    fn name(&mut self, parts: &[Segment]) -> bool {
        let Some((last, parents)) = parts.split_last() else { return false };
        let Some(branch) = self.descend(parents) else { return false };
        let is_new = !branch.children.contains_key(&last.name);
        if is_new {
            branch.children.insert(last.name.clone(), Node::Whole);
        }
        is_new
    }
}

fn parse<'v>(
    value: &'v Value,
    primary_key: &str,
    trail: &mut Trail<'v>,
) -> Result<Projection, ParseError> {
    match value {
        Value::Object(document) => parse_document(document, primary_key, trail),
        _ => Err(trail.invalid("", "a projection must be an object")),
    }
}

fn parse_document<'v>(
    document: &'v Document,
    primary_key: &str,
    trail: &mut Trail<'v>,
) -> Result<Projection, ParseError> {
    let mut parser = Parser {
        primary_key,
        mode: None,
        key_mode: None,
        root: Branch::default(),
        prefix: Vec::new(),
        paths: 0,
    };
    parser.fields(document, trail)?;
    Ok(parser.finish())
}

struct Parser<'k> {
    primary_key: &'k str,
    /// What the first field but the primary key decided.
    mode: Option<Mode>,
    /// What was said of the primary key as a whole.
    key_mode: Option<Mode>,
    root: Branch,
    /// The parts of the path that lead to the nested form at hand.
    prefix: Vec<Segment>,
    paths: usize,
}

impl Parser<'_> {
    fn fields<'v>(
        &mut self,
        document: &'v Document,
        trail: &mut Trail<'v>,
    ) -> Result<(), ParseError> {
        for (key, value) in document.iter() {
            trail.within(Step::Key(key), |trail| self.field(key, value, trail))?;
        }
        Ok(())
    }

    fn field<'v>(
        &mut self,
        key: &'v str,
        value: &'v Value,
        trail: &mut Trail<'v>,
    ) -> Result<(), ParseError> {
        let shown = match value {
            Value::Object(document) => return self.nested(key, document, trail),
            Value::Bool(shown) => *shown,
            Value::Int64(number) => *number != 0,
            Value::Double(number) => *number != 0.0,
            _ => return Err(trail.invalid("", "a projected field must be 0 or 1, true or false")),
        };
        self.add(key, if shown { Mode::Include } else { Mode::Exclude }, trail)
    }

    fn nested<'v>(
        &mut self,
        key: &'v str,
        document: &'v Document,
        trail: &mut Trail<'v>,
    ) -> Result<(), ParseError> {
        let Some(first) = document.keys().next() else {
            return Err(trail.invalid("", "a nested projection must name fields"));
        };
        if !first.starts_with('$') {
            let path = self.path(key, trail)?;
            let depth = self.prefix.len();
            self.prefix.extend_from_slice(path.segments());
            let result = self.fields(document, trail);
            self.prefix.truncate(depth);
            return result;
        }
        if document.len() > 1 {
            return Err(trail.invalid(first, "a projected field takes one operator"));
        }
        trail.within(Step::Key(first), |trail| Err(trail.unknown(first, &[])))
    }

    fn path(&self, key: &str, trail: &Trail<'_>) -> Result<Path, ParseError> {
        let path = path::parse_plain(key, trail)?;
        if self.prefix.len() + path.segments().len() > Path::MAX_SEGMENTS {
            return Err(trail.limit(format!("a path has more than {} parts", Path::MAX_SEGMENTS)));
        }
        Ok(path)
    }

    fn add(&mut self, key: &str, mode: Mode, trail: &Trail<'_>) -> Result<(), ParseError> {
        if mode == Mode::Include && key.split('.').any(|part| part == "$") {
            return Err(trail.unknown("$", &[]));
        }
        let path = self.path(key, trail)?;
        if self.prefix.is_empty() && key == self.primary_key {
            self.key_mode = Some(mode);
            return Ok(());
        }
        if *self.mode.get_or_insert(mode) != mode {
            return Err(trail.invalid("", "a projection shows fields or hides fields, not both"));
        }
        self.paths += 1;
        if self.paths > MAX_PATHS {
            return Err(trail.limit(format!("a projection names at most {MAX_PATHS} paths")));
        }
        let named = match self.root.descend(&self.prefix) {
            Some(branch) => branch.name(path.segments()),
            None => false,
        };
        if !named {
            return Err(trail.invalid("", "this path, or one above or below it, is named already"));
        }
        Ok(())
    }

    fn finish(mut self) -> Projection {
        let mode = self.mode.or(self.key_mode).unwrap_or(Mode::Exclude);
        let named = match (mode, self.key_mode) {
            (Mode::Include, Some(Mode::Exclude)) => false,
            (Mode::Include, _) => true,
            (Mode::Exclude, key_mode) => key_mode == Some(Mode::Exclude),
        };
        if named && !self.root.children.contains_key(self.primary_key) {
            self.root.children.insert(self.primary_key.to_owned(), Node::Whole);
        }
        Projection { mode, root: self.root }
    }
}
