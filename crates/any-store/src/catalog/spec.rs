//! Definitions of indexes: what a caller asks for, as data.

use std::time::Duration;

use any_store_query::Filter;
use anyenc::key::Direction;
use anyenc::{Document, Path, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::{Error, ErrorKind, Result};
use crate::options::MAX_NAME_BYTES;

/// The most fields of one index.
const MAX_FIELDS: usize = 32;

/// The most parts of a path that may be numbers, as in filters.
const MAX_INDEX_PARTS: usize = 16;

/// What [`Find::hint`](crate::Find::hint) calls the documents themselves.
const RESERVED_NAME: &str = "$natural";

/// Durations are kept in milliseconds, as dates are, and pass through doubles of seconds unharmed.
const MAX_EXPIRE_MS: u128 = 1 << 53;

/// The definition of an index: a builder, and data that serialises both ways.
///
/// A text, a list of texts or a document of directions is one, too, wherever an index is asked for:
///
/// ```
/// use any_store::{doc, IndexSpec};
/// use std::time::Duration;
///
/// let by_city = IndexSpec::new(["city", "-age"]).unique().name("by_city");
/// assert_eq!(IndexSpec::from(doc! { "city": 1, "age": -1 }).fields, by_city.fields);
/// let sessions = IndexSpec::new("seen").expire_after(Duration::from_secs(3600));
/// let json = serde_json::to_string(&sessions)?;
/// assert_eq!(json, r#"{"fields":["seen"],"expireAfter":3600}"#);
/// assert_eq!(serde_json::from_str::<IndexSpec>(&json)?, sessions);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[doc(alias = "IndexModel")]
pub struct IndexSpec {
    /// The dotted paths, the most significant first; `-` in front of one means descending.
    pub fields: Vec<String>,
    /// The name; the fields joined by commas where there is none.
    pub name: Option<String>,
    /// Whether no two documents may have the same key.
    pub unique: bool,
    /// Whether documents that have none of the fields are left out.
    pub sparse: bool,
    /// A filter: documents that do not match it are left out.
    pub partial: Option<Document>,
    /// How long after the date in the index's one field a document expires. Counted in
    /// milliseconds.
    pub expire_after: Option<Duration>,
    /// What a document of directions said that no list of fields can say.
    fault: Option<String>,
}

impl IndexSpec {
    /// An index on these fields, with nothing special about it.
    pub fn new(fields: impl IntoIndexFields) -> Self {
        fields.into_index_fields()
    }

    /// Gives the index a name.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Lets no two documents have the same key. A missing field counts as null.
    #[must_use]
    pub fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    /// Leaves documents out that have none of the fields.
    #[must_use]
    pub fn sparse(mut self) -> Self {
        self.sparse = true;
        self
    }

    /// Leaves documents out that do not match a filter.
    #[must_use]
    #[doc(alias = "partialFilterExpression")]
    pub fn partial(mut self, filter: impl Into<Document>) -> Self {
        self.partial = Some(filter.into());
        self
    }

    /// Makes documents expire so long after the date in the index's one field.
    #[must_use]
    #[doc(alias = "expireAfterSeconds")]
    pub fn expire_after(mut self, after: Duration) -> Self {
        self.expire_after = Some(after);
        self
    }

    /// The definition that a document describes: `{fields, name, unique, sparse, partial,
    /// expireAfter}`, of which only `fields` must be there.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidIndex`] names the field that is unknown or of a wrong type.
    pub fn from_document(document: &Document) -> Result<Self> {
        let mut spec = Self::default();
        for (field, value) in document {
            spec.read(field, value)?;
        }
        match document.contains_key("fields") {
            true => Ok(spec),
            false => Err(invalid("an index definition has no \"fields\"")),
        }
    }

    fn read(&mut self, field: &str, value: &Value) -> Result<()> {
        let is_true = || {
            value
                .as_bool()
                .ok_or_else(|| invalid(format!("{field:?} of an index is true or false")))
        };
        match field {
            "fields" => {
                let Self { fields, fault, .. } = fields_of(value)?;
                (self.fields, self.fault) = (fields, fault);
            }
            "name" => {
                let name = value.as_str().ok_or_else(|| invalid("an index's name is no string"))?;
                self.name = Some(name.to_owned());
            }
            "unique" => self.unique = is_true()?,
            "sparse" => self.sparse = is_true()?,
            "partial" => {
                let filter = value.as_document();
                let filter =
                    filter.ok_or_else(|| invalid("\"partial\" of an index is a filter"))?;
                self.partial = Some(filter.clone());
            }
            "expireAfter" => self.expire_after = Some(read_seconds(value)?),
            other => {
                return Err(invalid(format!("an index definition has no field {other:?}")));
            }
        }
        Ok(())
    }

    /// The definition as a document; what is as by default is left out.
    #[must_use]
    pub fn to_document(&self) -> Document {
        let fields = self.fields.iter().map(|field| Value::from(field.as_str())).collect();
        let mut document = Document::from([("fields", Value::Array(fields))]);
        if let Some(name) = &self.name {
            document.insert("name", name.as_str());
        }
        for (field, is_set) in [("unique", self.unique), ("sparse", self.sparse)] {
            if is_set {
                document.insert(field, true);
            }
        }
        if let Some(filter) = &self.partial {
            document.insert("partial", filter.clone());
        }
        if let Some(after) = self.expire_after {
            document.insert("expireAfter", seconds(after));
        }
        document
    }
}

/// An index definition that was checked and means something.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub(crate) name: String,
    /// Its name is there.
    pub(crate) spec: IndexSpec,
    pub(crate) paths: Vec<Path>,
    pub(crate) directions: Vec<Direction>,
    pub(crate) partial: Option<Filter>,
}

impl Definition {
    /// Whether both say the same about which entries there are and what they are for, whatever the
    /// names.
    pub(crate) fn means(&self, other: &Self) -> bool {
        let rest = |spec: &IndexSpec| (spec.unique, spec.sparse, spec.expire_after);
        self.paths == other.paths
            && self.directions == other.directions
            && self.partial == other.partial
            && rest(&self.spec) == rest(&other.spec)
    }

    /// Checks a definition for a collection with this primary key.
    pub(crate) fn check(mut spec: IndexSpec, primary_key: &str) -> Result<Self> {
        if let Some(fault) = spec.fault {
            return Err(invalid(fault));
        }
        let mut paths: Vec<Path> = Vec::with_capacity(spec.fields.len());
        let mut directions = Vec::with_capacity(spec.fields.len());
        for field in &spec.fields {
            let (path, direction) = check_field(field)?;
            if paths.contains(&path) {
                let message = format!("the index field {:?} is there twice", path.as_str());
                return Err(invalid(message).at_field(path.as_str()));
            }
            paths.push(path);
            directions.push(direction);
        }
        check_count(paths.len())?;
        let name = spec.name.unwrap_or_else(|| spec.fields.join(","));
        check_name(&name)?;
        spec.name = Some(name.clone());
        spec.expire_after = check_expiry(spec.expire_after, &paths, primary_key)?;
        let partial = spec.partial.as_ref().map(check_partial).transpose()?;
        Ok(Self { name, spec, paths, directions, partial })
    }
}

fn check_field(field: &str) -> Result<(Path, Direction)> {
    let (text, direction) = match field.strip_prefix('-') {
        Some(text) => (text, Direction::Descending),
        None => (field, Direction::Ascending),
    };
    let refuse = |what: &str| Err(invalid(format!("{what}: {field:?}")).at_field(field));
    if text.is_empty() {
        return refuse("an index field is empty");
    }
    if text.starts_with('-') {
        return refuse("an index field has one \"-\" at most");
    }
    if text.starts_with('$') {
        return refuse("an index field begins with \"$\"");
    }
    let path = match Path::parse(text) {
        Ok(path) => path,
        Err(error) => return refuse(&format!("an index field is no path ({error})")),
    };
    if path.segments().iter().any(|part| part.name.is_empty()) {
        return refuse("an index field has an empty part");
    }
    let numbers = path.segments().iter().filter(|part| part.index.is_some()).count();
    if numbers > MAX_INDEX_PARTS {
        return refuse("more than 16 parts of an index field are numbers");
    }
    Ok((path, direction))
}

fn check_count(fields: usize) -> Result<()> {
    match fields {
        0 => Err(invalid("an index has no fields")),
        1..=MAX_FIELDS => Ok(()),
        _ => Err(invalid(format!("an index has more than {MAX_FIELDS} fields"))),
    }
}

fn check_name(name: &str) -> Result<()> {
    let problem = if name.is_empty() || name.len() > MAX_NAME_BYTES {
        "the name of an index has 1 to 255 bytes"
    } else if name == RESERVED_NAME {
        "\"$natural\" is the name of the documents themselves, not of an index"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidName, problem))
}

fn check_expiry(
    after: Option<Duration>,
    paths: &[Path],
    primary_key: &str,
) -> Result<Option<Duration>> {
    let Some(after) = after else { return Ok(None) };
    let [path] = paths else {
        return Err(invalid("\"expireAfter\" needs an index of one field"));
    };
    if path.as_str() == primary_key {
        let message = format!("\"expireAfter\" is not for the primary key {primary_key:?}");
        return Err(invalid(message).at_field(primary_key));
    }
    let ms = after.as_millis();
    if ms > MAX_EXPIRE_MS {
        return Err(invalid("\"expireAfter\" is too long"));
    }
    Ok(Some(Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX))))
}

fn check_partial(filter: &Document) -> Result<Filter> {
    Filter::from_document(filter).map_err(|error| {
        let field = error.path.clone();
        let refused = invalid(format!("the partial filter of an index: {error}"));
        refused.at_field(&field).caused_by(error)
    })
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidIndex, message)
}

/// A whole number of seconds where it is one.
fn seconds(duration: Duration) -> Value {
    let ms = duration.as_millis();
    match i64::try_from(ms / 1000) {
        Ok(whole) if ms.is_multiple_of(1000) => Value::Int64(whole),
        _ => Value::Double(ms as f64 / 1000.0),
    }
}

fn read_seconds(value: &Value) -> Result<Duration> {
    let seconds = value.as_number().map(anyenc::Number::as_f64);
    let ms = seconds.map(|seconds| (seconds * 1000.0).round()).filter(|ms| *ms >= 0.0);
    match ms.filter(|ms| *ms <= MAX_EXPIRE_MS as f64) {
        Some(ms) => Ok(Duration::from_millis(ms as u64)),
        None => Err(invalid("\"expireAfter\" of an index is a number of seconds, 0 or more")),
    }
}

/// What can be written where the fields of an index are asked for: `"a"`, `"-a"`, a list of these,
/// or `doc! { "a": 1, "b": -1 }`.
pub trait IntoIndexFields {
    /// A definition with these fields, checked when the index is made.
    fn into_index_fields(self) -> IndexSpec;
}

impl IntoIndexFields for &str {
    fn into_index_fields(self) -> IndexSpec {
        IndexSpec { fields: vec![self.to_owned()], ..IndexSpec::default() }
    }
}

impl IntoIndexFields for &String {
    fn into_index_fields(self) -> IndexSpec {
        self.as_str().into_index_fields()
    }
}

impl IntoIndexFields for String {
    fn into_index_fields(self) -> IndexSpec {
        IndexSpec { fields: vec![self], ..IndexSpec::default() }
    }
}

impl<S: AsRef<str>> IntoIndexFields for &[S] {
    fn into_index_fields(self) -> IndexSpec {
        let fields = self.iter().map(|field| field.as_ref().to_owned()).collect();
        IndexSpec { fields, ..IndexSpec::default() }
    }
}

impl<S: AsRef<str>> IntoIndexFields for Vec<S> {
    fn into_index_fields(self) -> IndexSpec {
        self.as_slice().into_index_fields()
    }
}

impl<S: AsRef<str>> IntoIndexFields for &Vec<S> {
    fn into_index_fields(self) -> IndexSpec {
        self.as_slice().into_index_fields()
    }
}

impl<S: AsRef<str>, const N: usize> IntoIndexFields for [S; N] {
    fn into_index_fields(self) -> IndexSpec {
        self.as_slice().into_index_fields()
    }
}

/// Directions: 1 for ascending, -1 for descending.
impl IntoIndexFields for Document {
    fn into_index_fields(self) -> IndexSpec {
        (&self).into_index_fields()
    }
}

impl IntoIndexFields for &Document {
    fn into_index_fields(self) -> IndexSpec {
        let mut spec = IndexSpec::default();
        for (path, direction) in self {
            let sign = match direction.as_number().and_then(anyenc::Number::as_i64) {
                Some(1) => "",
                Some(-1) => "-",
                _ => {
                    spec.fault = Some(format!("the direction of {path:?} is neither 1 nor -1"));
                    ""
                }
            };
            if path.starts_with('-') {
                spec.fault = Some(format!("a field with a direction has no \"-\": {path:?}"));
            }
            spec.fields.push(format!("{sign}{path}"));
        }
        spec
    }
}

impl<F: IntoIndexFields> From<F> for IndexSpec {
    fn from(fields: F) -> Self {
        fields.into_index_fields()
    }
}

/// The fields as a definition of data has them.
fn fields_of(value: &Value) -> Result<IndexSpec> {
    let text = |field: &Value| {
        let text = field.as_str().map(str::to_owned);
        text.ok_or_else(|| invalid("a field of an index is no string"))
    };
    match value {
        Value::String(field) => Ok(field.into_index_fields()),
        Value::Object(directions) => Ok(directions.into_index_fields()),
        Value::Array(fields) => {
            Ok(fields.iter().map(text).collect::<Result<Vec<_>>>()?.into_index_fields())
        }
        _ => Err(invalid("\"fields\" of an index is a path, a list of paths or an object")),
    }
}

impl Serialize for IndexSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_document().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for IndexSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = Document::deserialize(deserializer)?;
        Self::from_document(&document).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyenc::doc;

    fn check(spec: impl Into<IndexSpec>) -> Result<Definition> {
        Definition::check(spec.into(), "id")
    }

    #[test]
    fn what_is_no_index_is_refused_by_name() {
        let ms = Duration::from_millis;
        let long = "f".repeat(256);
        let cases: Vec<(IndexSpec, ErrorKind, &str)> = vec![
            ("".into(), ErrorKind::InvalidIndex, "an index field is empty: \"\""),
            ("-".into(), ErrorKind::InvalidIndex, "an index field is empty: \"-\""),
            (
                "--a".into(),
                ErrorKind::InvalidIndex,
                "an index field has one \"-\" at most: \"--a\"",
            ),
            ("$a".into(), ErrorKind::InvalidIndex, "an index field begins with \"$\": \"$a\""),
            ("-$a".into(), ErrorKind::InvalidIndex, "an index field begins with \"$\": \"-$a\""),
            ("a..b".into(), ErrorKind::InvalidIndex, "an index field has an empty part: \"a..b\""),
            (".a".into(), ErrorKind::InvalidIndex, "an index field has an empty part: \".a\""),
            ("a.".into(), ErrorKind::InvalidIndex, "an index field has an empty part: \"a.\""),
            (Vec::<&str>::new().into(), ErrorKind::InvalidIndex, "an index has no fields"),
            (["a", "-a"].into(), ErrorKind::InvalidIndex, "the index field \"a\" is there twice"),
            (doc! { "a": 2 }.into(), ErrorKind::InvalidIndex, "the direction of \"a\" is neither"),
            (
                doc! { "a": "x" }.into(),
                ErrorKind::InvalidIndex,
                "the direction of \"a\" is neither",
            ),
            (doc! { "-a": 1 }.into(), ErrorKind::InvalidIndex, "a field with a direction has no"),
            ((&long).into(), ErrorKind::InvalidName, "the name of an index has 1 to 255 bytes"),
            (IndexSpec::new("a").name(""), ErrorKind::InvalidName, "the name of an index has"),
            (IndexSpec::new("a").name(&long), ErrorKind::InvalidName, "the name of an index has"),
            (IndexSpec::new("a").name("$natural"), ErrorKind::InvalidName, "\"$natural\" is"),
            (
                IndexSpec::new("a").partial(doc! { "b": { "$gtt": 1 } }),
                ErrorKind::InvalidIndex,
                "the partial filter of an index: parse filter: unknown operator \"$gtt\" (at b.$gtt)",
            ),
            (
                IndexSpec::new(["a", "b"]).expire_after(ms(1)),
                ErrorKind::InvalidIndex,
                "\"expireAfter\" needs an index of one field",
            ),
            (
                IndexSpec::new("-id").expire_after(ms(1)),
                ErrorKind::InvalidIndex,
                "\"expireAfter\" is not for the primary key \"id\"",
            ),
            (
                IndexSpec::new("a").expire_after(Duration::MAX),
                ErrorKind::InvalidIndex,
                "\"expireAfter\" is too long",
            ),
            (
                (0..33).map(|field| format!("f{field}")).collect::<Vec<_>>().into(),
                ErrorKind::InvalidIndex,
                "an index has more than 32 fields",
            ),
            (
                vec!["1"; 17].join(".").into(),
                ErrorKind::InvalidIndex,
                "more than 16 parts of an index field are numbers",
            ),
            (
                vec!["a"; 65].join(".").into(),
                ErrorKind::InvalidIndex,
                "an index field is no path (a path has at most 64 parts, not 65)",
            ),
        ];
        for (spec, kind, message) in cases {
            let error = check(spec.clone()).unwrap_err();
            assert_eq!(error.kind(), kind, "{spec:?}");
            assert!(error.to_string().starts_with(message), "{error}");
        }
        let error = check(IndexSpec::new("a").partial(doc! { "b": { "$gtt": 1 } })).unwrap_err();
        assert_eq!(error.field_path(), Some("b.$gtt"));
    }

    #[test]
    fn what_is_an_index_is_taken() {
        let longest = "f".repeat(255);
        for (spec, name) in [
            (IndexSpec::new("a"), "a"),
            (IndexSpec::new(["a", "-b.c"]), "a,-b.c"),
            (IndexSpec::new(doc! { "a": 1, "b": -1.0 }), "a,-b"),
            (IndexSpec::new("a.$x"), "a.$x"),
            (IndexSpec::new("+a"), "+a"),
            (IndexSpec::new("id"), "id"),
            (IndexSpec::new(["a", "a.0"]), "a,a.0"),
            (IndexSpec::new("a").name("x\0 y:z"), "x\0 y:z"),
            (IndexSpec::new(&longest), &longest),
            (IndexSpec::new("a").expire_after(Duration::ZERO), "a"),
        ] {
            assert_eq!(check(spec).unwrap().name, name);
        }
    }

    #[test]
    fn a_definition_reads_back_from_its_data() {
        let full = IndexSpec::new(["a", "-b"]).name("n").unique().sparse();
        let full = full.partial(doc! { "c": { "$exists": true } });
        let day = IndexSpec::new("at").expire_after(Duration::from_millis(86_400_001));
        for spec in [IndexSpec::new("a"), full.clone(), day] {
            assert_eq!(IndexSpec::from_document(&spec.to_document()).unwrap(), spec);
            let json = serde_json::to_string(&spec).unwrap();
            assert_eq!(serde_json::from_str::<IndexSpec>(&json).unwrap(), spec, "{json}");
        }
        assert_eq!(
            serde_json::to_string(&full).unwrap(),
            r#"{"fields":["a","-b"],"name":"n","unique":true,"sparse":true,"partial":{"c":{"$exists":true}}}"#
        );
        for (json, fields) in [
            (r#"{"fields":"-a"}"#, vec!["-a"]),
            (r#"{"fields":{"a":1,"b":-1}}"#, vec!["a", "-b"]),
            (r#"{"fields":["a"],"expireAfter":0.5}"#, vec!["a"]),
        ] {
            assert_eq!(serde_json::from_str::<IndexSpec>(json).unwrap().fields, fields);
        }
    }

    #[test]
    fn data_that_is_no_definition_is_refused() {
        for (json, message) in [
            (r#"{}"#, "an index definition has no \"fields\""),
            (r#"{"fields":7}"#, "\"fields\" of an index is a path, a list of paths or an object"),
            (r#"{"fields":["a",1]}"#, "a field of an index is no string"),
            (r#"{"fields":["a"],"uniq":true}"#, "an index definition has no field \"uniq\""),
            (r#"{"fields":["a"],"unique":1}"#, "\"unique\" of an index is true or false"),
            (r#"{"fields":["a"],"name":1}"#, "an index's name is no string"),
            (r#"{"fields":["a"],"partial":[]}"#, "\"partial\" of an index is a filter"),
            (r#"{"fields":["a"],"expireAfter":-1}"#, "\"expireAfter\" of an index is a number"),
            (r#"{"fields":["a"],"expireAfter":1e300}"#, "\"expireAfter\" of an index is a number"),
        ] {
            let error = serde_json::from_str::<IndexSpec>(json).unwrap_err();
            assert!(error.to_string().starts_with(message), "{error}");
        }
    }
}
