//! Projections: the part of a document that a request wants to see.
//!
//! Either the fields to show are named, or those to hide; the primary key is shown unless it is
//! hidden by name. A path goes through objects and through arrays at every level, and its parts are
//! keys, never positions. Fields keep the document's order.

use anyenc::{
    DecodeError, Document, DocumentWriter, EncodeError, RawArray, RawDocument, RawDocumentBuf,
    RawValue, Segment, Value,
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

/// The named fields of an object, ascending by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Branch {
    children: Vec<(String, Node)>,
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
        let place = self.children.binary_search_by(|(child, _)| child.as_str().cmp(name)).ok()?;
        self.children.get(place).map(|(_, node)| node)
    }

    /// Adds a path; says whether it is neither there already nor above or below another.
    fn insert(&mut self, parts: &[Segment]) -> bool {
        let Some((part, rest)) = parts.split_first() else { return false };
        match self.children.binary_search_by(|(child, _)| child.cmp(&part.name)) {
            Err(place) => {
                let node = if rest.is_empty() {
                    Node::Whole
                } else {
                    let mut below = Branch::default();
                    below.insert(rest);
                    Node::Part(below)
                };
                self.children.insert(place, (part.name.clone(), node));
                true
            }
            Ok(place) => match self.children.get_mut(place) {
                Some((_, Node::Part(below))) => below.insert(rest),
                _ => false,
            },
        }
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
    let mut parser =
        Parser { primary_key, mode: None, key_mode: None, root: Branch::default(), paths: 0 };
    parser.fields("", document, trail)?;
    Ok(parser.finish())
}

struct Parser<'k> {
    primary_key: &'k str,
    /// What the first field but the primary key decided.
    mode: Option<Mode>,
    /// What was said of the primary key as a whole.
    key_mode: Option<Mode>,
    root: Branch,
    paths: usize,
}

impl<'k> Parser<'k> {
    /// Reads the fields of a projection, or of its nested form below `prefix`.
    fn fields<'v>(
        &mut self,
        prefix: &str,
        document: &'v Document,
        trail: &mut Trail<'v>,
    ) -> Result<(), ParseError> {
        for (key, value) in document.iter() {
            let name = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
            trail.within(Step::Key(key), |trail| self.field(&name, value, trail))?;
        }
        Ok(())
    }

    fn field<'v>(
        &mut self,
        name: &str,
        value: &'v Value,
        trail: &mut Trail<'v>,
    ) -> Result<(), ParseError> {
        if let Value::Object(document) = value {
            return self.nested(name, document, trail);
        }
        let shown = match value {
            Value::Bool(shown) => *shown,
            Value::Int64(number) => *number != 0,
            Value::Double(number) => *number != 0.0,
            _ => return Err(trail.invalid("", "a projected field must be 0 or 1, true or false")),
        };
        self.add(name, if shown { Mode::Include } else { Mode::Exclude }, trail)
    }

    fn nested<'v>(
        &mut self,
        name: &str,
        document: &'v Document,
        trail: &mut Trail<'v>,
    ) -> Result<(), ParseError> {
        let Some((first, _)) = document.iter().next() else {
            return Err(trail.invalid("", "a nested projection must name fields"));
        };
        if !first.starts_with('$') {
            // The prefix is checked before it is repeated, so that names cannot grow without bound.
            path::parse_plain(name, trail)?;
            return self.fields(name, document, trail);
        }
        if document.len() > 1 {
            return Err(trail.invalid(first, "a projected field takes one operator"));
        }
        trail.within(Step::Key(first), |trail| Err(trail.unknown(first, &[])))
    }

    fn add(&mut self, name: &str, mode: Mode, trail: &Trail<'_>) -> Result<(), ParseError> {
        if mode == Mode::Include && name.split('.').any(|part| part == "$") {
            return Err(trail.unknown("$", &[]));
        }
        let path = path::parse_plain(name, trail)?;
        if name == self.primary_key {
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
        if !self.root.insert(path.segments()) {
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
        if named {
            self.name_primary_key();
        }
        Projection { mode, root: self.root }
    }

    /// Names the primary key as a whole, unless parts of it are named.
    fn name_primary_key(&mut self) {
        let found =
            self.root.children.binary_search_by(|(child, _)| child.as_str().cmp(self.primary_key));
        if let Err(place) = found {
            self.root.children.insert(place, (self.primary_key.to_owned(), Node::Whole));
        }
    }
}
