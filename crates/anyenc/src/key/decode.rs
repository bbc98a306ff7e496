//! Keys back to values, and to their lengths.

use crate::datetime::DateTime;
use crate::document::Document;
use crate::error::DecodeError;
use crate::key::{Direction, number, tag};
use crate::layout::size;
use crate::number::Number;
use crate::object_id::ObjectId;
use crate::raw::check_depth;
use crate::value::{Binary, Regex, Value};

/// Decodes the component that begins these bytes: the value, and how many bytes it took. Both
/// encodings of the empty array give the empty array.
///
/// # Errors
/// [`DecodeError`] if no component begins the bytes; only what [`crate::key::encode_key`] writes
/// is one.
pub fn decode_key(bytes: &[u8], direction: Direction) -> Result<(Value, usize), DecodeError> {
    let mut reader = Reader { bytes, mask: direction.mask(), read: 0 };
    let tag = reader.byte()?;
    let value = reader.value(tag, 0)?;
    Ok((value, reader.read))
}

/// How many bytes the component takes that begins these bytes.
///
/// # Errors
/// [`DecodeError`] if no component begins the bytes; not all that is wrong inside one is seen.
pub fn key_len(bytes: &[u8], direction: Direction) -> Result<usize, DecodeError> {
    let mut reader = Reader { bytes, mask: direction.mask(), read: 0 };
    let tag = reader.byte()?;
    reader.skip(tag, 0)?;
    Ok(reader.read)
}

struct Reader<'a> {
    /// What is still to be read.
    bytes: &'a [u8],
    mask: u8,
    /// How much was read.
    read: usize,
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8, DecodeError> {
        self.take(1)?.first().map(|byte| byte ^ self.mask).ok_or(DecodeError::Truncated)
    }

    /// The next bytes as they stand there, inverted if the component is.
    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.bytes.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.bytes = rest;
        self.read = self.read.saturating_add(len);
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let taken = self.take(N)?.first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        Ok(taken.map(|byte| byte ^ self.mask))
    }

    fn owned(&mut self, len: usize) -> Result<Vec<u8>, DecodeError> {
        let mask = self.mask;
        Ok(self.take(len)?.iter().map(|byte| byte ^ mask).collect())
    }

    fn count(&mut self) -> Result<usize, DecodeError> {
        self.array().map(u32::from_be_bytes).map(size)
    }

    /// The body of a component of this tag, inside `depth` containers.
    fn value(&mut self, tag: u8, depth: usize) -> Result<Value, DecodeError> {
        Ok(match tag {
            // Only as the whole of a key.
            tag::EMPTY_ARRAY if depth == 0 => Value::Array(Vec::new()),
            tag::NULL => Value::Null,
            tag::NUMBER => match self.number()? {
                Number::Int64(int) => Value::Int64(int),
                Number::Double(double) => Value::Double(double),
            },
            tag::STRING => Value::String(self.text()?),
            tag::OBJECT => Value::Object(self.object(depth + 1)?),
            tag::ARRAY => Value::Array(self.elements(depth + 1)?),
            tag::BINARY => Value::Binary(self.binary()?),
            tag::VECTOR => Value::Vector(self.vector()?),
            tag::OBJECT_ID => Value::ObjectId(ObjectId::from_bytes(self.array()?)),
            tag::BOOL => Value::Bool(self.bool()?),
            tag::DATE_TIME => {
                Value::DateTime(DateTime::from_ms(i64::from_be_bytes(self.array()?) ^ i64::MIN))
            }
            tag::REGEX => Value::Regex(Regex { pattern: self.text()?, options: self.text()? }),
            unknown => return Err(DecodeError::UnknownTag(unknown)),
        })
    }

    fn number(&mut self) -> Result<Number, DecodeError> {
        number::read(|| self.byte())
    }

    fn bool(&mut self) -> Result<bool, DecodeError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::NotCanonical),
        }
    }

    fn binary(&mut self) -> Result<Binary, DecodeError> {
        let len = self.count()?;
        Ok(Binary { subtype: self.byte()?, bytes: self.owned(len)? })
    }

    fn vector(&mut self) -> Result<Vec<f32>, DecodeError> {
        let bytes = self.count()?.checked_mul(4).ok_or(DecodeError::BadLength)?;
        let bytes = self.owned(bytes)?;
        let (components, _) = bytes.as_chunks();
        components
            .iter()
            .map(|bytes| number::from_ordered_f32(u32::from_be_bytes(*bytes)))
            .collect()
    }

    fn text(&mut self) -> Result<String, DecodeError> {
        let mut text = Vec::new();
        loop {
            let (piece, goes_on) = self.piece()?;
            text.extend(piece.iter().map(|byte| byte ^ self.mask));
            if !goes_on {
                return String::from_utf8(text).map_err(|_| DecodeError::InvalidUtf8);
            }
            text.push(0);
        }
    }

    /// The bytes of a text up to its next NUL or its end, and whether it was a NUL.
    fn piece(&mut self) -> Result<(&'a [u8], bool), DecodeError> {
        let zero = self.mask;
        let len = self.bytes.iter().position(|&byte| byte == zero).ok_or(DecodeError::Truncated)?;
        let piece = self.take(len)?;
        match self.array()? {
            [0x00, 0xFF] => Ok((piece, true)),
            [0x00, 0x00] => Ok((piece, false)),
            _ => Err(DecodeError::NotCanonical),
        }
    }

    fn elements(&mut self, depth: usize) -> Result<Vec<Value>, DecodeError> {
        check_depth(depth)?;
        let mut elements = Vec::new();
        loop {
            match self.byte()? {
                tag::END => return Ok(elements),
                tag => elements.push(self.value(tag, depth)?),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Document, DecodeError> {
        check_depth(depth)?;
        let mut fields = Vec::new();
        loop {
            match self.byte()? {
                tag::END => return Document::from_unique(fields).ok_or(DecodeError::DuplicateKey),
                tag => fields.push((self.text()?, self.value(tag, depth)?)),
            }
        }
    }

    /// Reads over the body of a component of this tag, inside `depth` containers.
    fn skip(&mut self, tag: u8, depth: usize) -> Result<(), DecodeError> {
        match tag {
            tag::EMPTY_ARRAY if depth == 0 => {}
            tag::NULL => {}
            tag::NUMBER => while self.byte()? & 1 == 1 {},
            tag::STRING => self.skip_text()?,
            tag::OBJECT | tag::ARRAY => self.skip_container(tag, depth + 1)?,
            tag::BINARY => {
                let len = self.count()?.checked_add(1).ok_or(DecodeError::BadLength)?;
                self.take(len)?;
            }
            tag::VECTOR => {
                let len = self.count()?.checked_mul(4).ok_or(DecodeError::BadLength)?;
                self.take(len)?;
            }
            tag::OBJECT_ID => drop(self.take(12)?),
            tag::BOOL => drop(self.take(1)?),
            tag::DATE_TIME => drop(self.take(8)?),
            tag::REGEX => {
                self.skip_text()?;
                self.skip_text()?;
            }
            unknown => return Err(DecodeError::UnknownTag(unknown)),
        }
        Ok(())
    }

    fn skip_text(&mut self) -> Result<(), DecodeError> {
        while self.piece()?.1 {}
        Ok(())
    }

    fn skip_container(&mut self, container: u8, depth: usize) -> Result<(), DecodeError> {
        check_depth(depth)?;
        loop {
            let tag = self.byte()?;
            if tag == tag::END {
                return Ok(());
            }
            if container == tag::OBJECT {
                self.skip_text()?;
            }
            self.skip(tag, depth)?;
        }
    }
}
