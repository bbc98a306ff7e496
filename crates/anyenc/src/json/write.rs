//! Values as JSON text.

use std::fmt::{self, Write};

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;

use crate::buf::RawDocumentBuf;
use crate::datetime::DateTime;
use crate::document::Document;
use crate::error::DecodeError;
use crate::json::JsonFormat;
use crate::limits::MAX_DEPTH;
use crate::raw::{RawDocument, RawElements, RawFields, RawValue};
use crate::value::Value;

/// A value as JSON on one line.
///
/// ```
/// use anyenc::{JsonFormat, RawDocumentBuf, doc, to_json};
/// let stored = RawDocumentBuf::from_document(&doc! { "a": 1, "b": 1.0 })?;
/// assert_eq!(to_json(&stored, JsonFormat::Relaxed)?, r#"{"a":1,"b":1.0}"#);
/// assert_eq!(
///     to_json(&stored, JsonFormat::Canonical)?,
///     r#"{"a":{"$numberLong":"1"},"b":{"$numberDouble":"1.0"}}"#,
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`DecodeError`] if the value is damaged or nested too deep.
pub fn to_json<'a>(
    value: impl Into<RawValue<'a>>,
    format: JsonFormat,
) -> Result<String, DecodeError> {
    let mut text = String::new();
    JsonWriter::new(&mut text, format, Layout::Line).raw(value.into()).map_err(Stop::damage)?;
    Ok(text)
}

/// A value as JSON with a line for each field and element, two spaces deeper in each container.
/// Wrappers stay on one line.
///
/// # Errors
/// As [`to_json`].
pub fn to_json_pretty<'a>(
    value: impl Into<RawValue<'a>>,
    format: JsonFormat,
) -> Result<String, DecodeError> {
    let mut text = String::new();
    JsonWriter::new(&mut text, format, Layout::Pretty).raw(value.into()).map_err(Stop::damage)?;
    Ok(text)
}

/// As [`to_json`], appended to a buffer.
///
/// # Errors
/// As [`to_json`]; nothing is appended then.
pub fn write_json<'a>(
    value: impl Into<RawValue<'a>>,
    format: JsonFormat,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let start = out.len();
    let mut sink = Bytes(out);
    let written = JsonWriter::new(&mut sink, format, Layout::Line).raw(value.into());
    written.map_err(|stop| {
        out.truncate(start);
        stop.damage()
    })
}

/// Bytes as a sink for text.
struct Bytes<'b>(&'b mut Vec<u8>);

impl Write for Bytes<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Why the writing ended early.
enum Stop {
    Damage(DecodeError),
    /// The sink's own error; strings and vectors have none.
    Sink,
}

impl Stop {
    fn damage(self) -> DecodeError {
        match self {
            Stop::Damage(error) => error,
            Stop::Sink => DecodeError::TooLarge,
        }
    }
}

impl From<fmt::Error> for Stop {
    fn from(_: fmt::Error) -> Self {
        Stop::Sink
    }
}

impl From<DecodeError> for Stop {
    fn from(error: DecodeError) -> Self {
        Stop::Damage(error)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    Line,
    Pretty,
}

struct JsonWriter<'w, W> {
    out: &'w mut W,
    format: JsonFormat,
    layout: Layout,
    depth: usize,
}

/// An open container and what is still to be written of it.
enum Open<'a> {
    Array(RawElements<'a>),
    Object(RawFields<'a>),
}

impl<'a> Open<'a> {
    /// The next field, or the next element with no key.
    fn next(&mut self) -> Result<Option<(Option<&'a str>, RawValue<'a>)>, DecodeError> {
        match self {
            Open::Array(elements) => Ok(elements.next().transpose()?.map(|value| (None, value))),
            Open::Object(fields) => {
                Ok(fields.next().transpose()?.map(|(key, value)| (Some(key), value)))
            }
        }
    }

    fn closing_bracket(&self) -> &'static str {
        match self {
            Open::Array(_) => "]",
            Open::Object(_) => "}",
        }
    }
}

impl<'w, W: Write> JsonWriter<'w, W> {
    fn new(out: &'w mut W, format: JsonFormat, layout: Layout) -> JsonWriter<'w, W> {
        JsonWriter { out, format, layout, depth: 0 }
    }

    /// Writes an encoded value. The open containers stand on the heap, no more than may be nested.
    fn raw(&mut self, value: RawValue<'_>) -> Result<(), Stop> {
        let mut open = Vec::new();
        let mut is_first = self.begin(value, &mut open)?;
        while let Some(container) = open.last_mut() {
            if let Some((key, value)) = container.next()? {
                self.separate(is_first)?;
                key.map_or(Ok(()), |key| self.key(key))?;
                is_first = self.begin(value, &mut open)?;
            } else {
                let bracket = container.closing_bracket();
                open.pop();
                self.close(bracket, is_first)?;
                is_first = false;
            }
        }
        Ok(())
    }

    /// Writes a scalar, or opens a container; returns whether it did the latter.
    fn begin<'a>(&mut self, value: RawValue<'a>, open: &mut Vec<Open<'a>>) -> Result<bool, Stop> {
        match value {
            RawValue::Array(array) => {
                open.push(Open::Array(array.iter()));
                self.open("[")?;
            }
            RawValue::Object(object) => {
                open.push(Open::Object(object.iter()));
                self.open("{")?;
            }
            scalar => {
                self.scalar(scalar)?;
                return Ok(false);
            }
        }
        if open.len() > MAX_DEPTH { Err(Stop::Damage(DecodeError::TooDeep)) } else { Ok(true) }
    }

    /// Writes an owned value.
    fn value(&mut self, value: &Value) -> fmt::Result {
        match value {
            Value::Array(array) => {
                self.open("[")?;
                for (place, element) in array.iter().enumerate() {
                    self.separate(place == 0)?;
                    self.value(element)?;
                }
                self.close("]", array.is_empty())
            }
            Value::Object(object) => self.document(object),
            Value::Vector(vector) => self.vector(vector.iter().copied()),
            scalar => scalar.as_scalar().map_or(Ok(()), |scalar| self.scalar(scalar)),
        }
    }

    fn document(&mut self, document: &Document) -> fmt::Result {
        self.open("{")?;
        for (place, (key, value)) in document.iter().enumerate() {
            self.separate(place == 0)?;
            self.key(key)?;
            self.value(value)?;
        }
        self.close("}", document.is_empty())
    }

    fn open(&mut self, bracket: &str) -> fmt::Result {
        self.depth = self.depth.saturating_add(1);
        self.out.write_str(bracket)
    }

    fn close(&mut self, bracket: &str, is_empty: bool) -> fmt::Result {
        self.depth = self.depth.saturating_sub(1);
        if !is_empty {
            self.new_line()?;
        }
        self.out.write_str(bracket)
    }

    /// What stands before a field or an element.
    fn separate(&mut self, is_first: bool) -> fmt::Result {
        if !is_first {
            self.out.write_str(",")?;
        }
        self.new_line()
    }

    fn new_line(&mut self) -> fmt::Result {
        match self.layout {
            Layout::Line => Ok(()),
            Layout::Pretty => {
                self.out.write_str("\n")?;
                (0..self.depth).try_for_each(|_| self.out.write_str("  "))
            }
        }
    }

    fn key(&mut self, key: &str) -> fmt::Result {
        self.text(key)?;
        self.out.write_str(if self.layout == Layout::Pretty { ": " } else { ":" })
    }

    fn scalar(&mut self, value: RawValue<'_>) -> fmt::Result {
        match value {
            RawValue::Null => self.out.write_str("null"),
            RawValue::Bool(bool) => self.out.write_str(if bool { "true" } else { "false" }),
            RawValue::Int64(int) => self.int64(int),
            RawValue::Double(double) => self.double(double),
            RawValue::String(text) => self.text(text),
            RawValue::ObjectId(id) => write!(self.out, "{{\"$oid\":\"{id}\"}}"),
            RawValue::DateTime(at) => self.date_time(at),
            RawValue::Binary(binary) => {
                let base64 = Base64Display::new(binary.bytes, &STANDARD);
                let subtype = binary.subtype;
                write!(
                    self.out,
                    "{{\"$binary\":{{\"base64\":\"{base64}\",\"subType\":\"{subtype:02x}\"}}}}"
                )
            }
            RawValue::Regex(regex) => {
                self.out.write_str("{\"$regularExpression\":{\"pattern\":")?;
                self.text(regex.pattern)?;
                self.out.write_str(",\"options\":")?;
                self.text(regex.options)?;
                self.out.write_str("}}")
            }
            RawValue::Vector(vector) => self.vector(vector.iter()),
            RawValue::Array(_) | RawValue::Object(_) => Ok(()),
        }
    }

    fn int64(&mut self, int: i64) -> fmt::Result {
        match self.format {
            JsonFormat::Relaxed => write!(self.out, "{int}"),
            JsonFormat::Canonical => write!(self.out, "{{\"$numberLong\":\"{int}\"}}"),
        }
    }

    fn double(&mut self, double: f64) -> fmt::Result {
        match (double_name(double), self.format) {
            (Some(name), _) => write!(self.out, "{{\"$numberDouble\":\"{name}\"}}"),
            // The debug form is the shortest that reads back and has a point or an exponent.
            (None, JsonFormat::Relaxed) => write!(self.out, "{double:?}"),
            (None, JsonFormat::Canonical) => {
                write!(self.out, "{{\"$numberDouble\":\"{double:?}\"}}")
            }
        }
    }

    fn date_time(&mut self, at: DateTime) -> fmt::Result {
        let text = match self.format {
            JsonFormat::Relaxed => at.rfc3339(1970..=9999),
            JsonFormat::Canonical => None,
        };
        match text {
            Some(text) => write!(self.out, "{{\"$date\":\"{text}\"}}"),
            None => write!(self.out, "{{\"$date\":{{\"$numberLong\":\"{}\"}}}}", at.ms()),
        }
    }

    fn vector(&mut self, components: impl Iterator<Item = f32>) -> fmt::Result {
        self.out.write_str("{\"$vector\":[")?;
        for (place, component) in components.enumerate() {
            if place > 0 {
                self.out.write_str(",")?;
            }
            match double_name(f64::from(component)) {
                Some(name) => write!(self.out, "{{\"$numberDouble\":\"{name}\"}}")?,
                None => self.component(component)?,
            }
        }
        self.out.write_str("]}")
    }

    /// The fewest digits that read back, where reading goes through a double.
    fn component(&mut self, component: f32) -> fmt::Result {
        let short = format!("{component:?}");
        #[expect(clippy::cast_possible_truncation, reason = "as the reader rounds")]
        let back = short.parse::<f64>().map(|wide| wide as f32);
        if back == Ok(component) {
            self.out.write_str(&short)
        } else {
            write!(self.out, "{:?}", f64::from(component))
        }
    }

    fn text(&mut self, text: &str) -> fmt::Result {
        self.out.write_str("\"")?;
        let mut rest = text;
        while let Some(place) = first_escape(rest.as_bytes()) {
            let (plain, special) = rest.split_at_checked(place).unwrap_or((rest, ""));
            self.out.write_str(plain)?;
            let mut characters = special.chars();
            characters.next().map_or(Ok(()), |character| self.escape(character))?;
            rest = characters.as_str();
        }
        self.out.write_str(rest)?;
        self.out.write_str("\"")
    }

    fn escape(&mut self, character: char) -> fmt::Result {
        match character {
            '"' => self.out.write_str("\\\""),
            '\\' => self.out.write_str("\\\\"),
            '\n' => self.out.write_str("\\n"),
            '\r' => self.out.write_str("\\r"),
            '\t' => self.out.write_str("\\t"),
            '\u{8}' => self.out.write_str("\\b"),
            '\u{c}' => self.out.write_str("\\f"),
            control => write!(self.out, "\\u{:04x}", u32::from(control)),
        }
    }
}

/// Where the first byte stands that JSON wants escaped. Most texts have none, so whole blocks are
/// looked at without a branch for each byte.
fn first_escape(text: &[u8]) -> Option<usize> {
    let (blocks, _) = text.as_chunks::<16>();
    let has_one =
        |block: &[u8; 16]| block.iter().fold(false, |any, &byte| any | needs_escape(byte));
    let plain = blocks.iter().take_while(|block| !has_one(block)).count() * 16;
    let rest = text.get(plain..).unwrap_or_default();
    rest.iter().position(|&byte| needs_escape(byte)).map(|place| plain + place)
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// What JSON has no number for.
pub(crate) fn double_name(double: f64) -> Option<&'static str> {
    match double {
        _ if double.is_nan() => Some("NaN"),
        f64::INFINITY => Some("Infinity"),
        f64::NEG_INFINITY => Some("-Infinity"),
        _ => None,
    }
}

impl Value {
    /// The value as JSON on one line.
    pub fn to_json(&self, format: JsonFormat) -> String {
        let mut text = String::new();
        match JsonWriter::new(&mut text, format, Layout::Line).value(self) {
            Ok(()) | Err(fmt::Error) => text,
        }
    }
}

impl Document {
    /// The document as JSON on one line.
    pub fn to_json(&self, format: JsonFormat) -> String {
        let mut text = String::new();
        match JsonWriter::new(&mut text, format, Layout::Line).document(self) {
            Ok(()) | Err(fmt::Error) => text,
        }
    }
}

/// As relaxed extended JSON on one line.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        JsonWriter::new(f, JsonFormat::Relaxed, Layout::Line).value(self)
    }
}

/// As relaxed extended JSON on one line.
impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        JsonWriter::new(f, JsonFormat::Relaxed, Layout::Line).document(self)
    }
}

/// As relaxed extended JSON on one line; of a damaged value only the damage.
impl fmt::Display for RawValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match to_json(*self, JsonFormat::Relaxed) {
            Ok(text) => f.write_str(&text),
            Err(error) => write!(f, "(damaged: {error})"),
        }
    }
}

/// As relaxed extended JSON on one line; of a damaged document only the damage.
impl fmt::Display for RawDocument<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        RawValue::Object(*self).fmt(f)
    }
}

/// As relaxed extended JSON on one line.
impl fmt::Display for RawDocumentBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_raw().fmt(f)
    }
}
