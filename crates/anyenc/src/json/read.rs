//! Text into the document encoding: serde_json reads, our visitor writes, no tree stands between.
//!
//! serde_json's own errors and ours come back through one type that cannot carry ours, so the
//! context keeps the failure. Where serde_json says line and column, the byte is found by a second
//! walk over the text, which only an error pays for.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::ejson::{self, Refusal};
use crate::error::EncodeError;
use crate::json::{JsonError, JsonErrorKind};
use crate::limits::is_reserved;
use crate::number::{Number, SERDE_JSON_NUMBER, parse_json_number};
use crate::raw::RawValue;
use crate::writer::DocumentWriter;

/// Appends the value of a text to `out`; after an error, nothing.
pub(super) fn encode(text: &[u8], out: &mut Vec<u8>) -> Result<(), JsonError> {
    let start = out.len();
    let result = encode_text(text, out);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn encode_text(text: &[u8], out: &mut Vec<u8>) -> Result<(), JsonError> {
    let utf8 = std::str::from_utf8(text).map_err(|error| {
        let reason = "the text is not valid UTF-8".to_owned();
        JsonError::at(text, error.valid_up_to(), JsonErrorKind::InvalidUtf8, reason)
    })?;
    match run(utf8, out, Keys::SortWide) {
        Ok(()) => Ok(()),
        // The end of a wide object told that it repeats a key; the second run tells where.
        Err(Failed { failure: Some(Failure::LateDuplicate), .. }) => {
            let failed = run(utf8, &mut Vec::new(), Keys::HashAll);
            Err(failed.err().unwrap_or_default().locate(utf8))
        }
        Err(failed) => Err(failed.locate(utf8)),
    }
}

fn run(text: &str, out: &mut Vec<u8>, keys: Keys) -> Result<(), Failed> {
    let mut context = Context::new(DocumentWriter::new(out), keys, 0);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    // Depth is counted by the writer, which allows more than serde_json's 128.
    deserializer.disable_recursion_limit();
    let result = ValueSeed(&mut context).deserialize(&mut deserializer);
    match result.and_then(|()| deserializer.end()) {
        Ok(()) => Ok(()),
        Err(error) => Err(Failed { error: Some(error), failure: context.failure }),
    }
}

/// When keys of an object are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    /// The first few at once, those of a wide object at its end.
    SortWide,
    /// Each at once.
    HashAll,
}

/// A text that could not be read.
#[derive(Default)]
struct Failed {
    error: Option<serde_json::Error>,
    failure: Option<Failure>,
}

/// Why our own side refused.
enum Failure {
    Because(JsonErrorKind, String),
    /// A key is repeated, but it stands further up.
    LateDuplicate,
}

impl Failed {
    fn locate(self, text: &str) -> JsonError {
        let Some(error) = self.error else {
            return JsonError::at(b"", 0, JsonErrorKind::Syntax, "unreadable".to_owned());
        };
        let mut offset = offset_of(text, &error);
        let (kind, reason) = match self.failure {
            Some(Failure::Because(kind, reason)) => (kind, reason),
            Some(Failure::LateDuplicate) => {
                (JsonErrorKind::DuplicateKey, "duplicate key".to_owned())
            }
            None => describe(&error),
        };
        if kind == JsonErrorKind::DuplicateKey {
            offset = start_of_key(text.as_bytes(), offset);
        }
        JsonError::at(text.as_bytes(), offset, kind, reason)
    }
}

/// The byte that serde_json stopped at.
fn offset_of(text: &str, error: &serde_json::Error) -> usize {
    if error.is_eof() {
        return text.len();
    }
    let lines_before = error.line().saturating_sub(1);
    let line_start: usize = text.split_inclusive('\n').take(lines_before).map(str::len).sum();
    line_start.saturating_add(error.column().saturating_sub(1)).min(text.len())
}

/// Goes back from just behind a key to the quote that opens it.
fn start_of_key(text: &[u8], offset: usize) -> usize {
    let read = text.get(..=offset).unwrap_or(text);
    let Some(close) = read.iter().rposition(|&byte| byte == b'"') else { return offset };
    let mut end = close;
    // An opening quote has an even number of backslashes before it; within a key it has an odd one.
    while let Some(quote) = read.get(..end).and_then(|part| part.iter().rposition(|&b| b == b'"')) {
        let before = read.get(..quote).unwrap_or_default();
        let escapes = before.iter().rev().take_while(|&&byte| byte == b'\\').count();
        if escapes % 2 == 0 {
            return quote;
        }
        end = quote;
    }
    offset
}

/// The kind and the words of an error of serde_json's.
fn describe(error: &serde_json::Error) -> (JsonErrorKind, String) {
    let text = error.to_string();
    let words = text.rsplit_once(" at line ").map_or(text.as_str(), |(words, _)| words);
    let kind = match words {
        "lone leading surrogate in hex escape" | "unexpected end of hex escape" => {
            return (JsonErrorKind::LoneSurrogate, "lone surrogate in an escape".to_owned());
        }
        "number out of range" => JsonErrorKind::NumberRange,
        _ => JsonErrorKind::Syntax,
    };
    (kind, words.to_owned())
}

/// What all steps of one run share.
struct Context<'b> {
    writer: DocumentWriter<'b>,
    keys: Keys,
    /// Around how many wrappers' payloads we are: none takes more than one in it.
    wrappers: usize,
    failure: Option<Failure>,
}

impl<'b> Context<'b> {
    fn new(writer: DocumentWriter<'b>, keys: Keys, wrappers: usize) -> Context<'b> {
        Context { writer, keys, wrappers, failure: None }
    }

    /// Passes on what the writer said.
    fn wrote<E: de::Error>(&mut self, result: Result<(), EncodeError>) -> Result<(), E> {
        result.map_err(|error| {
            let kind = match &error {
                EncodeError::DuplicateKey(_) => JsonErrorKind::DuplicateKey,
                EncodeError::TooDeep { .. } => JsonErrorKind::TooDeep,
                EncodeError::TooLarge { .. } => JsonErrorKind::TooLarge,
                EncodeError::ReservedKey(_) => JsonErrorKind::BadWrapper,
                _ => JsonErrorKind::Syntax,
            };
            self.refuse(kind, error.to_string())
        })
    }

    fn refuse<E: de::Error>(&mut self, kind: JsonErrorKind, reason: String) -> E {
        let error = E::custom(&reason);
        self.failure = Some(Failure::Because(kind, reason));
        error
    }

    fn end_object<E: de::Error>(&mut self) -> Result<(), E> {
        match self.writer.end_object() {
            Err(error @ EncodeError::DuplicateKey(_)) => {
                self.failure = Some(Failure::LateDuplicate);
                Err(E::custom(error))
            }
            other => self.wrote(other),
        }
    }
}

/// Encodes what any self-describing deserializer holds, wrappers included.
pub(crate) fn encode_any<'de, D: Deserializer<'de>>(
    deserializer: D,
    out: &mut Vec<u8>,
) -> Result<(), D::Error> {
    let mut context = Context::new(DocumentWriter::new(out), Keys::SortWide, 0);
    ValueSeed(&mut context).deserialize(deserializer)
}

/// Reads one value and writes it.
struct ValueSeed<'c, 'b>(&'c mut Context<'b>);

impl<'de> DeserializeSeed<'de> for ValueSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        let result = self.0.writer.null();
        self.0.wrote(result)
    }

    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<(), E> {
        let result = self.0.writer.binary(0, bytes);
        self.0.wrote(result)
    }

    fn visit_bool<E: de::Error>(self, bool: bool) -> Result<(), E> {
        let result = self.0.writer.bool(bool);
        self.0.wrote(result)
    }

    fn visit_i64<E: de::Error>(self, int: i64) -> Result<(), E> {
        let result = self.0.writer.int64(int);
        self.0.wrote(result)
    }

    fn visit_u64<E: de::Error>(self, int: u64) -> Result<(), E> {
        match i64::try_from(int) {
            Ok(int) => self.visit_i64(int),
            Err(_) => self.visit_f64(int as f64),
        }
    }

    fn visit_f64<E: de::Error>(self, double: f64) -> Result<(), E> {
        let result = self.0.writer.double(double);
        self.0.wrote(result)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        let result = self.0.writer.string(text);
        self.0.wrote(result)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let result = self.0.writer.begin_array();
        self.0.wrote(result)?;
        while elements.next_element_seed(ValueSeed(self.0))?.is_some() {}
        let result = self.0.writer.end_array();
        self.0.wrote(result)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        match fields.next_key_seed(KeySeed)? {
            Some(Key::Number) => {
                let digits: String = fields.next_value()?;
                self.number(&digits)
            }
            Some(Key::Text(key)) if is_reserved(&key) => self.wrapper(&key, fields),
            Some(Key::Text(key)) => self.object(Some(key), fields),
            None => self.object(None, fields),
        }
    }
}

impl ValueSeed<'_, '_> {
    fn object<'de, A: MapAccess<'de>>(
        self,
        first: Option<Cow<'de, str>>,
        mut fields: A,
    ) -> Result<(), A::Error> {
        let context = self.0;
        let result = context.writer.begin_object();
        context.wrote(result)?;
        let mut seen = HashSet::new();
        let mut next = first;
        while let Some(key) = next {
            if context.keys == Keys::HashAll && !seen.insert(key.to_string()) {
                let reason = EncodeError::DuplicateKey(key.into_owned()).to_string();
                return Err(context.refuse(JsonErrorKind::DuplicateKey, reason));
            }
            let result = context.writer.key(&key);
            context.wrote(result)?;
            fields.next_value_seed(ValueSeed(context))?;
            next = fields.next_key_seed(KeySeed)?.and_then(Key::text);
        }
        context.end_object()
    }

    /// Reads the rest of an object that began with the name of a wrapper.
    fn wrapper<'de, A: MapAccess<'de>>(self, name: &str, mut fields: A) -> Result<(), A::Error> {
        let context = self.0;
        let mut payload = Vec::new();
        let mut inner = Context::new(
            DocumentWriter::with_limits(&mut payload, ejson::PAYLOAD_LIMITS),
            context.keys,
            context.wrappers.saturating_add(1),
        );
        if inner.wrappers > ejson::MAX_NESTED {
            return Err(context.refuse(JsonErrorKind::BadWrapper, ejson::malformed(name)));
        }
        let read = fields.next_value_seed(ValueSeed(&mut inner));
        if let Some(failure) = inner.failure.take() {
            context.failure = Some(match failure {
                Failure::Because(JsonErrorKind::TooDeep, _) => {
                    Failure::Because(JsonErrorKind::BadWrapper, ejson::malformed(name))
                }
                other => other,
            });
        }
        read?;
        if fields.next_key_seed(KeySeed)?.is_some() {
            let reason =
                format!("{name:?} is an extended JSON wrapper and stands alone in its object");
            return Err(context.refuse(JsonErrorKind::BadWrapper, reason));
        }
        match RawValue::from_bytes(&payload) {
            Ok(payload) => context.unwrap(name, payload),
            Err(error) => Err(context.refuse(JsonErrorKind::Syntax, error.to_string())),
        }
    }

    /// A number as serde_json hands it over under `arbitrary_precision`: its text.
    fn number<E: de::Error>(self, text: &str) -> Result<(), E> {
        match parse_json_number(text) {
            Some(Number::Int64(int)) => self.visit_i64(int),
            Some(Number::Double(double)) => self.visit_f64(double),
            None => {
                Err(self.0.refuse(JsonErrorKind::NumberRange, "number out of range".to_owned()))
            }
        }
    }
}

impl Context<'_> {
    fn unwrap<E: de::Error>(&mut self, name: &str, payload: RawValue<'_>) -> Result<(), E> {
        match ejson::write(name, payload, &mut self.writer) {
            Ok(()) => Ok(()),
            Err(Refusal::Encode(error)) => self.wrote(Err(error)),
            Err(Refusal::Range) => {
                Err(self
                    .refuse(JsonErrorKind::NumberRange, format!("number out of range in {name:?}")))
            }
            Err(Refusal::Malformed) => {
                Err(self.refuse(JsonErrorKind::BadWrapper, ejson::malformed(name)))
            }
        }
    }
}

/// What an object begins with.
enum Key<'de> {
    Text(Cow<'de, str>),
    /// No object, but a number: see [`ValueSeed::number`].
    Number,
}

impl<'de> Key<'de> {
    fn text(self) -> Option<Cow<'de, str>> {
        match self {
            Key::Text(text) => Some(text),
            Key::Number => None,
        }
    }
}

/// Reads a key. It is asked for as an option: a key of serde_json's text says that there is some, its
/// made-up key does not, so that no text can pass for the latter.
struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Key<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key<'de>, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for KeySeed {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key<'de>, D::Error> {
        deserializer.deserialize_str(TextVisitor).map(Key::Text)
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Key<'de>, E> {
        Ok(if text == SERDE_JSON_NUMBER { Key::Number } else { Key::Text(Cow::Borrowed(text)) })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Key<'de>, E> {
        Ok(if text == SERDE_JSON_NUMBER {
            Key::Number
        } else {
            Key::Text(Cow::Owned(text.to_owned()))
        })
    }
}

/// Takes a text, borrowed where it can be.
struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}
