//! Projections: the part of a document that a request wants to see.
//!
//! Either the fields to show are named, or those to hide; the primary key is shown unless it is
//! hidden by name. A path goes through objects and through arrays at every level, and its parts are
//! keys, never positions. Fields keep the document's order, but for those that `$elemMatch` makes,
//! which stand last.
//!
//! The positional `$` shows the element by which the request's filter matches, so a projection that
//! has one must be told of the filter before it is applied ([`Projection::for_filter`]).

use std::collections::BTreeMap;
use std::ops::Range;

use anyenc::{
    DecodeError, Document, DocumentWriter, EncodeError, Path, RawArray, RawDocument,
    RawDocumentBuf, RawValue, Segment, Value,
};

use crate::error::{ParseError, ParseErrorKind, Source};
use crate::filter::{ElementFilter, Filter, array_on, truncated};
use crate::operators::{self, Operator, projection_operators};
use crate::path;
use crate::trail::{Step, Trail, read_json};
use crate::walk::same_bytes;

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
    /// Fields that `$elemMatch` makes, in the order in which they were written.
    matched: Vec<(String, ElementFilter)>,
    positional: Option<Positional>,
}

/// The array of which one element is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Positional {
    path: Path,
    /// Where the request has it, if it was text.
    offset: Option<usize>,
    filter: Option<Filter>,
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
    /// Of an array, some elements in a row are shown.
    Slice(Slice),
    /// Something is made of the field, which stands behind all others.
    Matched,
}

/// Elements in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slice {
    /// How many to pass over; if negative, where to begin, counted from the end.
    skip: i64,
    limit: u64,
}

impl Slice {
    /// The first of an array's elements to show.
    fn start(self, len: usize) -> usize {
        let distance = usize::try_from(self.skip.unsigned_abs()).unwrap_or(usize::MAX);
        if self.skip < 0 { len.saturating_sub(distance) } else { distance }
    }

    fn limit(self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }
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

    /// The paths that the projection shows, if it does nothing else than show fields: none where it hides
    /// fields or has an operator. The primary key is among them if it is shown. In ascending order of
    /// their parts; no path is above another.
    ///
    /// ```
    /// use any_store_query::Projection;
    ///
    /// let paths = |text| -> Result<_, any_store_query::ParseError> {
    ///     let paths = Projection::from_json(text, "id")?.included_paths();
    ///     Ok(paths.map(|paths| paths.iter().map(ToString::to_string).collect::<Vec<_>>()))
    /// };
    /// assert_eq!(paths(r#"{"name": 1, "address": {"city": 1}}"#)?.unwrap(), ["address.city", "id", "name"]);
    /// assert_eq!(paths(r#"{"name": 1, "id": 0}"#)?.unwrap(), ["name"]);
    /// assert_eq!(paths(r#"{"name": 0}"#)?, None);
    /// # Ok::<(), any_store_query::ParseError>(())
    /// ```
    pub fn included_paths(&self) -> Option<Vec<Path>> {
        let plain = self.mode == Mode::Include && self.positional.is_none();
        let mut paths = Vec::new();
        (plain && self.root.collect("", &mut paths)).then_some(paths)
    }

    /// Is this field of the document itself shown, with all that is in it?
    ///
    /// ```
    /// use any_store_query::Projection;
    ///
    /// let projection = Projection::from_json(r#"{"a": 1, "b.c": 1}"#, "id")?;
    /// assert!(projection.shows("id") && projection.shows("a"));
    /// assert!(!projection.shows("b") && !projection.shows("x"));
    /// # Ok::<(), any_store_query::ParseError>(())
    /// ```
    pub fn shows(&self, field: &str) -> bool {
        let is_partial = |positional: &Positional| {
            positional.path.segments().first().is_some_and(|first| first.name == field)
        };
        let is_shown = match self.root.child(field) {
            Some(Node::Whole) => self.mode == Mode::Include,
            Some(_) => false,
            None => self.mode == Mode::Exclude,
        };
        is_shown && !self.positional.as_ref().is_some_and(is_partial)
    }

    /// Must the projection be told of the filter ([`Projection::for_filter`])?
    pub fn needs_filter(&self) -> bool {
        self.positional.is_some()
    }

    /// The projection for documents that this filter has found: a positional `$` stands for the
    /// element by which a document matches it. Other projections stay as they are.
    ///
    /// Of an array in which no condition singles out an element, and of a projection that was not
    /// told of a filter, nothing but an empty array is shown.
    ///
    /// ```
    /// use any_store_query::{Filter, Projection};
    /// use anyenc::{RawDocumentBuf, doc};
    ///
    /// let filter = Filter::from_json(r#"{"n": {"$gt": 4}}"#)?;
    /// let projection = Projection::from_json(r#"{"n.$": 1}"#, "id")?.for_filter(&filter)?;
    /// let stored = RawDocumentBuf::from_document(&doc! { "id": 1, "n": [1, 5, 9] })?;
    /// assert_eq!(projection.project(stored.as_raw())?.to_document()?, doc! { "id": 1, "n": [5] });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The filter asks nothing about the array.
    pub fn for_filter(mut self, filter: &Filter) -> Result<Projection, ParseError> {
        if let Some(positional) = &mut self.positional {
            if !filter.asks_about(&positional.path) {
                return Err(positional.unasked());
            }
            positional.filter = Some(filter.clone());
        }
        Ok(self)
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
        let chosen = match &self.positional {
            Some(positional) => positional.choose(document)?,
            None => None,
        };
        let mut picker = Picker { mode: self.mode, chosen, out: DocumentWriter::new(out) };
        let picked = picker.document(document, self).and_then(|()| picker.out.finish());
        picked.map_err(|error| {
            out.truncate(start);
            damage(error)
        })
    }
}

impl Positional {
    fn choose<'a>(&self, document: RawDocument<'a>) -> Result<Option<Chosen<'a>>, DecodeError> {
        let Some((array, way)) = array_on(document, &self.path)? else { return Ok(None) };
        let position = match &self.filter {
            Some(filter) => filter.position(document, way)?,
            None => None,
        };
        Ok(Some(Chosen { array, position }))
    }

    fn unasked(&self) -> ParseError {
        ParseError {
            kind: ParseErrorKind::Invalid,
            source: Source::Projection,
            path: format!("{}.$", self.path),
            op: "$".to_owned(),
            reason: format!("the filter has no condition on \"{}\"", self.path),
            offset: self.offset,
            suggestion: None,
        }
    }
}

/// The array of which one element is shown, or none.
#[derive(Clone, Copy)]
struct Chosen<'a> {
    array: RawArray<'a>,
    position: Option<usize>,
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
struct Picker<'o, 'a> {
    mode: Mode,
    chosen: Option<Chosen<'a>>,
    out: DocumentWriter<'o>,
}

impl Picker<'_, '_> {
    fn document(
        &mut self,
        document: RawDocument<'_>,
        projection: &Projection,
    ) -> Result<(), EncodeError> {
        self.out.begin_object()?;
        self.fields(document, &projection.root)?;
        for (key, filter) in &projection.matched {
            if let Some(RawValue::Array(array)) = document.get(key)?
                && let Some(element) = filter.first(array)?
            {
                self.out.key(key)?;
                self.elements(std::iter::once(Ok(element)))?;
            }
        }
        self.out.end_object()
    }

    fn object(&mut self, object: RawDocument<'_>, branch: &Branch) -> Result<(), EncodeError> {
        self.out.begin_object()?;
        self.fields(object, branch)?;
        self.out.end_object()
    }

    fn fields(&mut self, object: RawDocument<'_>, branch: &Branch) -> Result<(), EncodeError> {
        for field in object.iter() {
            let (key, value) = field?;
            match branch.child(key) {
                None => self.unnamed(Some(key), value)?,
                Some(Node::Whole) if self.mode == Mode::Include => self.put(Some(key), value)?,
                Some(Node::Whole | Node::Matched) => {}
                Some(Node::Part(below)) => self.part(Some(key), value, below)?,
                Some(Node::Slice(slice)) => self.slice(key, value, *slice)?,
            }
        }
        Ok(())
    }

    fn slice(&mut self, key: &str, value: RawValue<'_>, slice: Slice) -> Result<(), EncodeError> {
        let RawValue::Array(array) = value else { return self.put(Some(key), value) };
        self.out.key(key)?;
        self.elements(array.iter().skip(slice.start(array.len()?)).take(slice.limit()))
    }

    fn elements<'e>(
        &mut self,
        elements: impl Iterator<Item = Result<RawValue<'e>, DecodeError>>,
    ) -> Result<(), EncodeError> {
        self.out.begin_array()?;
        for element in elements {
            self.out.write_raw(element?)?;
        }
        self.out.end_array()
    }

    /// The positions of an array that are shown: one or none of the array that was chosen.
    fn shown(&self, array: RawArray<'_>) -> Range<usize> {
        match self.chosen {
            Some(chosen) if same_bytes(chosen.array.as_bytes(), array.as_bytes()) => {
                chosen.position.map_or(0..0, |position| position..position.saturating_add(1))
            }
            _ => 0..usize::MAX,
        }
    }

    fn array(&mut self, array: RawArray<'_>, branch: &Branch) -> Result<(), EncodeError> {
        let shown = self.shown(array);
        self.out.begin_array()?;
        for element in array.iter().skip(shown.start).take(shown.len()) {
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
        match value {
            RawValue::Array(array) if self.shown(array).len() < usize::MAX => {
                let shown = self.shown(array);
                self.elements(array.iter().skip(shown.start).take(shown.len()))
            }
            value => self.out.write_raw(value),
        }
    }

    fn key(&mut self, key: Option<&str>) -> Result<(), EncodeError> {
        key.map_or(Ok(()), |key| self.out.key(key))
    }
}

impl Branch {
    fn child(&self, name: &str) -> Option<&Node> {
        self.children.get(name)
    }

    /// Adds the paths of the fields that are named, below `parent`; says whether there is nothing but
    /// fields.
    fn collect(&self, parent: &str, paths: &mut Vec<Path>) -> bool {
        self.children.iter().all(|(name, node)| {
            let path = if parent.is_empty() { name.clone() } else { format!("{parent}.{name}") };
            match node {
                Node::Whole => Path::parse(&path).map(|path| paths.push(path)).is_ok(),
                Node::Part(below) => below.collect(&path, paths),
                Node::Slice(_) | Node::Matched => false,
            }
        })
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
    fn name(&mut self, parts: &[Segment], node: Node) -> bool {
        let Some((last, parents)) = parts.split_last() else { return false };
        let Some(branch) = self.descend(parents) else { return false };
        let is_new = !branch.children.contains_key(&last.name);
        if is_new {
            branch.children.insert(last.name.clone(), node);
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
        matched: Vec::new(),
        positional: None,
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
    matched: Vec<(String, ElementFilter)>,
    positional: Option<Positional>,
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
        let path = self.path(key, trail)?;
        let operand = document.get(first).unwrap_or(&Value::Null);
        let node = trail.within(Step::Key(first), |trail| {
            let info = operators::find(first, projection_operators())
                .ok_or_else(|| trail.unknown(first, projection_operators()))?;
            match info.operator {
                Operator::Slice => slice(first, operand, trail).map(Node::Slice),
                _ => self.elem_match(first, &path, operand, trail),
            }
        })?;
        self.name(&path, node, trail)
    }

    fn elem_match<'v>(
        &mut self,
        op: &str,
        path: &Path,
        operand: &'v Value,
        trail: &mut Trail<'v>,
    ) -> Result<Node, ParseError> {
        if !self.prefix.is_empty() || path.segments().len() > 1 {
            return Err(trail.invalid(op, format!("{op} takes a field of the document itself")));
        }
        if self.positional.is_some() {
            return Err(trail.invalid(op, format!("{op} cannot stand beside the positional $")));
        }
        let filter = ElementFilter::parse(op, operand, trail)?;
        self.matched.push((path.as_str().to_owned(), filter));
        Ok(Node::Matched)
    }

    fn path(&self, key: &str, trail: &Trail<'_>) -> Result<Path, ParseError> {
        let path = path::parse_plain(key, trail)?;
        if self.prefix.len() + path.segments().len() > Path::MAX_SEGMENTS {
            return Err(trail.limit(format!("a path has more than {} parts", Path::MAX_SEGMENTS)));
        }
        Ok(path)
    }

    fn add(&mut self, key: &str, mode: Mode, trail: &Trail<'_>) -> Result<(), ParseError> {
        let path = match key.strip_suffix(".$") {
            Some(array) if mode == Mode::Include => self.positional(array, trail)?,
            _ if mode == Mode::Include && key.split('.').any(|part| part == "$") => {
                let reason = "the positional $ must stand last, behind the path of an array";
                return Err(trail.invalid("$", reason));
            }
            _ => self.path(key, trail)?,
        };
        if self.prefix.is_empty() && key == self.primary_key {
            self.key_mode = Some(mode);
            return Ok(());
        }
        if *self.mode.get_or_insert(mode) != mode {
            return Err(trail.invalid("", "a projection shows fields or hides fields, not both"));
        }
        self.name(&path, Node::Whole, trail)
    }

    /// The path of the array of which a positional `$` shows an element.
    fn positional(&mut self, array: &str, trail: &Trail<'_>) -> Result<Path, ParseError> {
        if self.positional.is_some() {
            return Err(trail.invalid("$", "a projection has one positional $ at most"));
        }
        if !self.matched.is_empty() {
            return Err(trail.invalid("$", "the positional $ cannot stand beside $elemMatch"));
        }
        if array.split('.').any(|part| part == "$") {
            return Err(trail.invalid("$", "a path has one positional $ at most"));
        }
        let path = self.path(array, trail)?;
        let names = self.prefix.iter().chain(path.segments()).map(|part| part.name.as_str());
        let whole = path::parse_plain(&names.collect::<Vec<_>>().join("."), trail)?;
        self.positional = Some(Positional { path: whole, offset: trail.offset(), filter: None });
        Ok(path)
    }

    fn name(&mut self, path: &Path, node: Node, trail: &Trail<'_>) -> Result<(), ParseError> {
        self.paths += 1;
        if self.paths > MAX_PATHS {
            return Err(trail.limit(format!("a projection names at most {MAX_PATHS} paths")));
        }
        let named = match self.root.descend(&self.prefix) {
            Some(branch) => branch.name(path.segments(), node),
            None => false,
        };
        if !named {
            return Err(trail.invalid("", "this path, or one above or below it, is named already"));
        }
        Ok(())
    }

    fn finish(mut self) -> Projection {
        let implied = (!self.matched.is_empty()).then_some(Mode::Include);
        let mode = self.mode.or(implied).or(self.key_mode).unwrap_or(Mode::Exclude);
        let named = match (mode, self.key_mode) {
            (Mode::Include, Some(Mode::Exclude)) => false,
            (Mode::Include, _) => true,
            (Mode::Exclude, key_mode) => key_mode == Some(Mode::Exclude),
        };
        if named && !self.root.children.contains_key(self.primary_key) {
            self.root.children.insert(self.primary_key.to_owned(), Node::Whole);
        }
        Projection { mode, root: self.root, matched: self.matched, positional: self.positional }
    }
}

/// The operand of `$slice`: a count, from the end if negative, or how many to skip and to show.
fn slice(op: &str, operand: &Value, trail: &Trail<'_>) -> Result<Slice, ParseError> {
    let number = |value: &Value| match value {
        Value::Int64(number) => Some(*number),
        Value::Double(number) => truncated(*number),
        _ => None,
    };
    let slice = match operand {
        Value::Array(items) => match items.as_slice() {
            [skip, limit] => number(skip).zip(number(limit)).and_then(|(skip, limit)| {
                let limit = u64::try_from(limit).ok().filter(|limit| *limit > 0)?;
                Some(Slice { skip, limit })
            }),
            _ => None,
        },
        count => {
            number(count).map(|count| Slice { skip: count.min(0), limit: count.unsigned_abs() })
        }
    };
    let reason = || format!("{op} needs a count, or [skip, count] with a count above 0");
    slice.ok_or_else(|| trail.invalid(op, reason()))
}
