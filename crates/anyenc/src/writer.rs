//! The streaming encoder: one value, written front to back.
//!
//! A container is begun with a length of zero; its end patches the length in and, from 16 fields
//! on, appends the table. Nothing that was written is ever moved.

use crate::datetime::DateTime;
use crate::document::Document;
use crate::error::EncodeError;
use crate::layout::{self, HEADER_LEN, TABLE_FROM};
use crate::limits::{Limits, is_reserved};
use crate::object_id::ObjectId;
use crate::raw::{RawBinary, RawRegex, RawValue};
use crate::validate;
use crate::value::Value;

/// Encodes one value, usually an object, behind what a buffer already holds.
///
/// Limits, duplicate keys and reserved keys are checked on the way. What was refused was not written:
/// the caller may go on with something else, or truncate the buffer. Only where the end of a wide
/// object finds a key twice is there no going on.
///
/// ```
/// use anyenc::{DocumentWriter, RawDocument, doc};
/// let mut bytes = Vec::new();
/// let mut writer = DocumentWriter::new(&mut bytes);
/// writer.begin_object()?;
/// writer.key("name")?;
/// writer.string("Ann")?;
/// writer.key("tags")?;
/// writer.begin_array()?;
/// writer.int64(1)?;
/// writer.end_array()?;
/// writer.end_object()?;
/// writer.finish()?;
/// let document = RawDocument::from_bytes(&bytes)?.to_document()?;
/// assert_eq!(document, doc! { "name": "Ann", "tags": [1] });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DocumentWriter<'b> {
    out: &'b mut Vec<u8>,
    start: usize,
    limits: Limits,
    frames: Vec<Frame>,
    /// The fields of all open objects, innermost last.
    fields: Vec<Field>,
    /// What may come next.
    next: Next,
}

/// An open container.
#[derive(Clone, Copy, Debug)]
struct Frame {
    /// Where its tag stands.
    at: usize,
    /// Where its fields begin in `fields`; arrays have none.
    first_field: usize,
    is_array: bool,
}

/// A field of an open object.
#[derive(Clone, Copy, Debug)]
struct Field {
    /// Where it begins, counted from the writer's start.
    offset: u32,
    /// The length and three bytes of its key: two keys are compared only where these agree.
    print: u32,
}

fn print_of(key: &[u8]) -> u32 {
    let byte = |place: usize| key.get(place).copied().unwrap_or_default();
    let [len, ..] = key.len().to_le_bytes();
    let last = key.len().saturating_sub(1);
    u32::from_le_bytes([len, byte(0), byte(key.len() / 2), byte(last)])
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Value,
    KeyOrEnd,
    Nothing,
    /// An error was met that left a container half ended.
    Broken,
}

impl<'b> DocumentWriter<'b> {
    /// A writer with the default limits.
    pub fn new(out: &'b mut Vec<u8>) -> DocumentWriter<'b> {
        DocumentWriter::with_limits(out, Limits::DEFAULT)
    }

    /// A writer with limits of its own. A depth beyond 300 is taken as 300: nothing deeper can be
    /// read.
    pub fn with_limits(out: &'b mut Vec<u8>, limits: Limits) -> DocumentWriter<'b> {
        let start = out.len();
        DocumentWriter {
            out,
            start,
            limits,
            frames: Vec::new(),
            fields: Vec::new(),
            next: Next::Value,
        }
    }

    /// How many containers are open.
    pub fn depth(&self) -> usize {
        self.frames.len()
    }

    /// Begins an object.
    ///
    /// # Errors
    /// [`EncodeError`] if a limit is passed or no value may stand here.
    pub fn begin_object(&mut self) -> Result<(), EncodeError> {
        self.begin(layout::OBJECT, false)?;
        self.next = Next::KeyOrEnd;
        Ok(())
    }

    /// Begins an array.
    ///
    /// # Errors
    /// [`EncodeError`] if a limit is passed or no value may stand here.
    pub fn begin_array(&mut self) -> Result<(), EncodeError> {
        self.begin(layout::ARRAY, true)?;
        self.next = Next::Value;
        Ok(())
    }

    fn begin(&mut self, tag: u8, is_array: bool) -> Result<(), EncodeError> {
        self.expect_value()?;
        let limit = self.limits.depth.min(Limits::DEFAULT.depth);
        if self.frames.len() >= limit {
            return Err(EncodeError::TooDeep { limit });
        }
        self.make_room(HEADER_LEN)?;
        self.frames.push(Frame { at: self.out.len(), first_field: self.fields.len(), is_array });
        self.out.extend_from_slice(&[tag, 0, 0, 0, 0]);
        Ok(())
    }

    /// Writes the key of the next field.
    ///
    /// # Errors
    /// [`EncodeError`] if the object has this key already, if it is the object's first and reserved
    /// for an extended JSON wrapper, if a limit is passed, or if no key may stand here.
    pub fn key(&mut self, key: &str) -> Result<(), EncodeError> {
        let first_field = match self.frames.last() {
            Some(frame) if self.next == Next::KeyOrEnd => frame.first_field,
            _ => return Err(EncodeError::Misplaced("a key outside an object or after a key")),
        };
        let count = self.fields.len().saturating_sub(first_field);
        if count == 0 && is_reserved(key) {
            return Err(EncodeError::ReservedKey(key.to_owned()));
        }
        self.make_room(key.len().saturating_add(HEADER_LEN))?;
        let field = self.out.len();
        put_key(self.out, key);
        let print = print_of(key.as_bytes());
        // The rest of a wide object's keys are compared at its end, by sorting.
        if count < TABLE_FROM && self.repeats(first_field, field, print) {
            self.out.truncate(field);
            return Err(EncodeError::DuplicateKey(key.to_owned()));
        }
        let offset = self.stored(field.saturating_sub(self.start))?;
        self.fields.push(Field { offset, print });
        self.next = Next::Value;
        Ok(())
    }

    /// Whether the key that was just written at `field` is also an earlier one of this object.
    fn repeats(&self, first_field: usize, field: usize, print: u32) -> bool {
        let earlier = self.fields.get(first_field..).unwrap_or_default();
        earlier.iter().any(|earlier| earlier.print == print && self.same_key(earlier.offset, field))
    }

    fn same_key(&self, offset: u32, field: usize) -> bool {
        let Some((before, new)) = self.out.split_at_checked(field) else { return false };
        let earlier = self.start.saturating_add(layout::size(offset));
        before.get(earlier..).is_some_and(|earlier| earlier.starts_with(new))
    }

    /// Ends the innermost container, which is an object.
    ///
    /// # Errors
    /// [`EncodeError`] if two of its fields have one key, if a limit is passed, or if no object can
    /// end here.
    pub fn end_object(&mut self) -> Result<(), EncodeError> {
        let frame = self.innermost(false, Next::KeyOrEnd, "the end of an object")?;
        self.next = Next::Broken;
        if self.fields.len().saturating_sub(frame.first_field) >= TABLE_FROM {
            self.append_table(frame)?;
        }
        self.fields.truncate(frame.first_field);
        self.end(frame)
    }

    /// Ends the innermost container, which is an array.
    ///
    /// # Errors
    /// [`EncodeError`] if no array can end here.
    pub fn end_array(&mut self) -> Result<(), EncodeError> {
        let frame = self.innermost(true, Next::Value, "the end of an array")?;
        self.next = Next::Broken;
        self.end(frame)
    }

    /// The container that is to end, if it is of this kind and can.
    fn innermost(
        &self,
        is_array: bool,
        next: Next,
        what: &'static str,
    ) -> Result<Frame, EncodeError> {
        match self.frames.last() {
            Some(frame) if frame.is_array == is_array && self.next == next => Ok(*frame),
            _ => Err(EncodeError::Misplaced(what)),
        }
    }

    /// Patches the length of a container in.
    fn end(&mut self, frame: Frame) -> Result<(), EncodeError> {
        let body = frame.at.saturating_add(HEADER_LEN);
        let len = self.stored(self.out.len().saturating_sub(body))?;
        let place = self.out.get_mut(frame.at.saturating_add(1)..body);
        let place = place.ok_or(EncodeError::Misplaced("the end of a container"))?;
        place.copy_from_slice(&len.to_le_bytes());
        self.frames.pop();
        self.after_value();
        Ok(())
    }

    fn append_table(&mut self, frame: Frame) -> Result<(), EncodeError> {
        let body = frame.at.saturating_add(HEADER_LEN);
        let fields_len = self.out.len().saturating_sub(body);
        let narrow = u16::try_from(fields_len).is_ok();
        let tag = if narrow { layout::OBJECT_16 } else { layout::OBJECT_32 };

        let offsets = self.sorted_offsets(frame, body)?;
        let width = if narrow { 2 } else { 4 };
        self.make_room(offsets.len().saturating_add(1).saturating_mul(width))?;
        let count = self.stored(offsets.len())?;
        for number in offsets.into_iter().chain([count]) {
            let bytes = number.to_le_bytes();
            self.out.extend(bytes.into_iter().take(width));
        }
        if let Some(place) = self.out.get_mut(frame.at) {
            *place = tag;
        }
        Ok(())
    }

    /// The offsets of an object's fields from its first field, sorted by key.
    fn sorted_offsets(&self, frame: Frame, body: usize) -> Result<Vec<u32>, EncodeError> {
        let written = self.out.get(body..).unwrap_or_default();
        let shift = self.stored(body.saturating_sub(self.start))?;
        let mut keyed = Vec::with_capacity(self.fields.len().saturating_sub(frame.first_field));
        for field in self.fields.iter().skip(frame.first_field) {
            let offset = field.offset.saturating_sub(shift);
            let field = written.get(layout::size(offset)..).unwrap_or_default();
            keyed.push((layout::split_key(field)?.0, offset));
        }
        keyed.sort_unstable();
        for (a, b) in keyed.iter().zip(keyed.iter().skip(1)) {
            if a.0 == b.0 {
                return Err(EncodeError::DuplicateKey(String::from_utf8_lossy(a.0).into_owned()));
            }
        }
        Ok(keyed.into_iter().map(|(_, offset)| offset).collect())
    }

    /// Writes null.
    ///
    /// # Errors
    /// [`EncodeError`] if a limit is passed or no value may stand here; so below.
    pub fn null(&mut self) -> Result<(), EncodeError> {
        self.write_raw(RawValue::Null)
    }

    /// Writes a boolean.
    ///
    /// # Errors
    /// As [`DocumentWriter::null`].
    pub fn bool(&mut self, bool: bool) -> Result<(), EncodeError> {
        self.write_raw(RawValue::Bool(bool))
    }

    /// Writes an integer.
    ///
    /// # Errors
    /// As [`DocumentWriter::null`].
    pub fn int64(&mut self, int: i64) -> Result<(), EncodeError> {
        self.scalar(9, |out| put_fixed(out, layout::INT64, int.to_le_bytes()))
    }

    /// Writes a double.
    ///
    /// # Errors
    /// As [`DocumentWriter::null`].
    pub fn double(&mut self, double: f64) -> Result<(), EncodeError> {
        self.scalar(9, |out| put_fixed(out, layout::DOUBLE, double.to_le_bytes()))
    }

    /// Writes a string.
    ///
    /// # Errors
    /// As [`DocumentWriter::null`].
    pub fn string(&mut self, text: &str) -> Result<(), EncodeError> {
        let len = text.len().saturating_add(HEADER_LEN);
        self.scalar(len, |out| put_sized(out, layout::STRING, &[text.as_bytes()]))
    }

    /// Writes binary data.
    ///
    /// # Errors
    /// As [`DocumentWriter::null`].
    pub fn binary(&mut self, subtype: u8, bytes: &[u8]) -> Result<(), EncodeError> {
        self.write_raw(RawValue::Binary(RawBinary { subtype, bytes }))
    }

    /// Writes an object id.
    ///
    /// # Errors
    /// As [`DocumentWriter::null`].
    pub fn object_id(&mut self, id: ObjectId) -> Result<(), EncodeError> {
        self.write_raw(RawValue::ObjectId(id))
    }

    /// Writes a moment.
    ///
    /// # Errors
    /// As [`DocumentWriter::null`].
    pub fn date_time(&mut self, at: DateTime) -> Result<(), EncodeError> {
        self.write_raw(RawValue::DateTime(at))
    }

    /// Writes a regular expression.
    ///
    /// # Errors
    /// As [`DocumentWriter::null`].
    pub fn regex(&mut self, pattern: &str, options: &str) -> Result<(), EncodeError> {
        self.write_raw(RawValue::Regex(RawRegex { pattern, options }))
    }

    /// Writes a vector.
    ///
    /// # Errors
    /// As [`DocumentWriter::null`].
    pub fn vector(&mut self, components: &[f32]) -> Result<(), EncodeError> {
        let len = components.len().saturating_mul(4).saturating_add(HEADER_LEN);
        self.scalar(len, |out| put_vector(out, components.iter().copied()))
    }

    /// Writes a value of so many bytes at most.
    fn scalar(&mut self, len: usize, put: impl FnOnce(&mut Vec<u8>)) -> Result<(), EncodeError> {
        self.expect_value()?;
        self.make_room(len)?;
        put(self.out);
        self.after_value();
        Ok(())
    }

    /// Copies an encoded value; what is inside a container is not looked at again.
    ///
    /// # Errors
    /// As [`DocumentWriter::null`].
    pub fn write_raw(&mut self, value: RawValue<'_>) -> Result<(), EncodeError> {
        if let Some(bytes) = container_bytes(&value) {
            self.check_depth_of(bytes)?;
        }
        self.scalar(raw_len(&value), |out| value.encode_into(out))
    }

    fn check_depth_of(&self, container: &[u8]) -> Result<(), EncodeError> {
        let limit = self.limits.depth.min(Limits::DEFAULT.depth);
        let left = limit.saturating_sub(self.frames.len());
        // So many bytes cannot nest deeper: the usual case, and no walk.
        if container.len() / HEADER_LEN <= left {
            return Ok(());
        }
        match validate::nests_at_most(container, left)? {
            true => Ok(()),
            false => Err(EncodeError::TooDeep { limit }),
        }
    }

    /// Encodes an owned value with all that is in it.
    ///
    /// # Errors
    /// [`EncodeError`] if a limit is passed, a key is reserved, or no value may stand here.
    pub fn value(&mut self, value: &Value) -> Result<(), EncodeError> {
        match value {
            Value::Array(array) => self.array(array),
            Value::Object(object) => self.document(object),
            Value::Vector(vector) => self.vector(vector),
            scalar => match scalar.as_scalar() {
                Some(scalar) => self.write_raw(scalar),
                None => Ok(()),
            },
        }
    }

    fn array(&mut self, array: &[Value]) -> Result<(), EncodeError> {
        self.begin_array()?;
        array.iter().try_for_each(|element| self.value(element))?;
        self.end_array()
    }

    /// Encodes an owned object with all that is in it.
    ///
    /// # Errors
    /// As [`DocumentWriter::value`].
    pub fn document(&mut self, document: &Document) -> Result<(), EncodeError> {
        self.begin_object()?;
        for (key, value) in document {
            self.key(key)?;
            self.value(value)?;
        }
        self.end_object()
    }

    /// Ends the writing; the value must be whole.
    ///
    /// # Errors
    /// [`EncodeError`] if nothing was written or a container is still open.
    pub fn finish(self) -> Result<(), EncodeError> {
        match self.next {
            Next::Nothing => Ok(()),
            _ => Err(EncodeError::Misplaced("the value is not whole")),
        }
    }

    fn expect_value(&self) -> Result<(), EncodeError> {
        match self.next {
            Next::Value => Ok(()),
            Next::KeyOrEnd => Err(EncodeError::Misplaced("a value without a key")),
            Next::Nothing => Err(EncodeError::Misplaced("a second value")),
            Next::Broken => Err(EncodeError::Misplaced("a value behind an error")),
        }
    }

    fn after_value(&mut self) {
        self.next = match self.frames.last() {
            Some(frame) if frame.is_array => Next::Value,
            Some(_) => Next::KeyOrEnd,
            None => Next::Nothing,
        };
    }

    /// Checks the limit before bytes are appended, so that no more than it is ever allocated.
    fn make_room(&self, more: usize) -> Result<(), EncodeError> {
        let limit = self.limits.document_bytes;
        let len = self.out.len().saturating_sub(self.start).saturating_add(more);
        if len <= limit { Ok(()) } else { Err(EncodeError::TooLarge { limit }) }
    }

    /// A length as it is stored.
    fn stored(&self, len: usize) -> Result<u32, EncodeError> {
        let limit = self.limits.document_bytes;
        u32::try_from(len).map_err(|_| EncodeError::TooLarge { limit })
    }
}

fn put_key(out: &mut Vec<u8>, key: &str) {
    match u8::try_from(key.len()) {
        Ok(len) if len != layout::LONG_KEY => out.push(len),
        _ => {
            out.push(layout::LONG_KEY);
            out.extend_from_slice(&stored_len(key.len()));
        }
    }
    out.extend_from_slice(key.as_bytes());
}

/// The length of what lies in memory, as stored. Beyond `u32`, where no reader would find the end,
/// the size limit of every writer has refused it before.
fn stored_len(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes()
}

fn put_sized(out: &mut Vec<u8>, tag: u8, parts: &[&[u8]]) {
    out.push(tag);
    out.extend_from_slice(&stored_len(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

fn put_fixed<const N: usize>(out: &mut Vec<u8>, tag: u8, body: [u8; N]) {
    out.push(tag);
    out.extend_from_slice(&body);
}

fn put_vector(out: &mut Vec<u8>, components: impl ExactSizeIterator<Item = f32>) {
    out.push(layout::VECTOR);
    out.extend_from_slice(&stored_len(components.len().saturating_mul(4)));
    out.extend(components.flat_map(f32::to_le_bytes));
}

fn container_bytes<'a>(value: &RawValue<'a>) -> Option<&'a [u8]> {
    match value {
        RawValue::Array(array) => Some(array.as_bytes()),
        RawValue::Object(object) => Some(object.as_bytes()),
        _ => None,
    }
}

/// At least as many bytes as the value takes when encoded.
fn raw_len(value: &RawValue<'_>) -> usize {
    match value {
        RawValue::Null | RawValue::Bool(_) => 1,
        RawValue::Int64(_) | RawValue::Double(_) | RawValue::DateTime(_) => 9,
        RawValue::ObjectId(_) => 13,
        RawValue::String(text) => text.len().saturating_add(HEADER_LEN),
        RawValue::Binary(binary) => binary.bytes.len().saturating_add(HEADER_LEN + 1),
        RawValue::Regex(regex) => {
            regex.pattern.len().saturating_add(regex.options.len()).saturating_add(HEADER_LEN + 4)
        }
        RawValue::Vector(vector) => vector.as_bytes().len().saturating_add(HEADER_LEN),
        RawValue::Array(array) => array.as_bytes().len(),
        RawValue::Object(object) => object.as_bytes().len(),
    }
}

impl RawValue<'_> {
    /// Appends the encoded value; of containers the stored bytes, as they are.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        match self {
            RawValue::Null => out.push(layout::NULL),
            RawValue::Bool(false) => out.push(layout::FALSE),
            RawValue::Bool(true) => out.push(layout::TRUE),
            RawValue::Int64(int) => put_fixed(out, layout::INT64, int.to_le_bytes()),
            RawValue::Double(double) => put_fixed(out, layout::DOUBLE, double.to_le_bytes()),
            RawValue::DateTime(at) => put_fixed(out, layout::DATE_TIME, at.ms().to_le_bytes()),
            RawValue::ObjectId(id) => put_fixed(out, layout::OBJECT_ID, id.bytes()),
            RawValue::String(text) => put_sized(out, layout::STRING, &[text.as_bytes()]),
            RawValue::Binary(binary) => {
                put_sized(out, layout::BINARY, &[&[binary.subtype], binary.bytes]);
            }
            RawValue::Vector(vector) => put_sized(out, layout::VECTOR, &[vector.as_bytes()]),
            RawValue::Regex(RawRegex { pattern, options }) => {
                let len = stored_len(pattern.len());
                put_sized(out, layout::REGEX, &[&len, pattern.as_bytes(), options.as_bytes()]);
            }
            RawValue::Array(array) => out.extend_from_slice(array.as_bytes()),
            RawValue::Object(object) => out.extend_from_slice(object.as_bytes()),
        }
    }
}

impl Value {
    /// Appends the encoded value, within the default limits. After an error nothing is appended.
    ///
    /// # Errors
    /// [`EncodeError`] if a limit is passed or an object begins with a reserved key.
    pub fn encode_into(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        whole(out, |writer| writer.value(self))
    }
}

/// Writes one whole value, or nothing.
pub(crate) fn whole<E: From<EncodeError>>(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut DocumentWriter<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let start = out.len();
    let mut writer = DocumentWriter::new(out);
    let written = write(&mut writer).and_then(|()| Ok(writer.finish()?));
    if written.is_err() {
        out.truncate(start);
    }
    written
}
