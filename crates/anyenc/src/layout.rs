//! The bytes of the document encoding: tags, lengths, fields, offset tables. `docs/format.md` has
//! the same as a table.
//!
//! ```text
//! value    = tag, body
//!   null, false, true           no body
//!   int64, double, dateTime     8 bytes, little-endian
//!   objectId                    12 bytes
//!   all others                  u32 length of the rest, the rest:
//!     string                      UTF-8
//!     binary                      subtype, bytes
//!     vector                      f32s
//!     regex                       u32 length of the pattern, pattern, options
//!     array                       values
//!     object                      fields
//!     object with a table         fields, offsets of the fields sorted by key, count of fields
//! field    = key, value
//! key      = u8 length, UTF-8; from 255 bytes on: 255, u32 length, UTF-8
//! ```
//!
//! Invariants, checked by `RawDocument::validate`:
//!  1. A value has one encoding: equal bytes if and only if equal content, kinds of numbers included.
//!  2. An object has a table if and only if it has 16 fields or more. Offsets count from the first
//!     field; they and the count are `u16` if all fields together take less than 64 KiB, else `u32`.
//!  3. Whoever knows where a value starts knows where it ends without looking into it.

use crate::error::DecodeError;

pub(crate) const NULL: u8 = 0x01;
pub(crate) const FALSE: u8 = 0x02;
pub(crate) const TRUE: u8 = 0x03;
pub(crate) const INT64: u8 = 0x04;
pub(crate) const DOUBLE: u8 = 0x05;
pub(crate) const DATE_TIME: u8 = 0x06;
pub(crate) const OBJECT_ID: u8 = 0x07;
pub(crate) const STRING: u8 = 0x10;
pub(crate) const BINARY: u8 = 0x11;
pub(crate) const VECTOR: u8 = 0x12;
pub(crate) const REGEX: u8 = 0x13;
pub(crate) const ARRAY: u8 = 0x14;
pub(crate) const OBJECT: u8 = 0x15;
/// An object with a table of `u16`.
pub(crate) const OBJECT_16: u8 = 0x16;
/// An object with a table of `u32`.
pub(crate) const OBJECT_32: u8 = 0x17;

/// Objects of this many fields or more carry a table.
pub(crate) const TABLE_FROM: usize = 16;

/// Tag and length, in front of everything of variable size.
pub(crate) const HEADER_LEN: usize = 5;

/// A first length byte of a key that says that four more follow.
pub(crate) const LONG_KEY: u8 = 255;

/// How many bytes the value takes that begins these bytes.
pub(crate) fn value_len(bytes: &[u8]) -> Result<usize, DecodeError> {
    let (&tag, rest) = bytes.split_first().ok_or(DecodeError::Truncated)?;
    let len = match tag {
        NULL | FALSE | TRUE => 1,
        INT64 | DOUBLE | DATE_TIME => 9,
        OBJECT_ID => 13,
        STRING..=OBJECT_32 => {
            let (len, _) = rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
            size(u32::from_le_bytes(*len)).saturating_add(HEADER_LEN)
        }
        unknown => return Err(DecodeError::UnknownTag(unknown)),
    };
    if len <= bytes.len() { Ok(len) } else { Err(DecodeError::Truncated) }
}

/// A stored length as a length in memory. Where that is smaller, nothing so long can be there.
pub(crate) fn size(stored: u32) -> usize {
    usize::try_from(stored).unwrap_or(usize::MAX)
}

/// Splits the value off that begins these bytes.
pub(crate) fn split_value(bytes: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    bytes.split_at_checked(value_len(bytes)?).ok_or(DecodeError::Truncated)
}

/// Splits the key off that begins these bytes.
pub(crate) fn split_key(bytes: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    let (&short, rest) = bytes.split_first().ok_or(DecodeError::Truncated)?;
    if short != LONG_KEY {
        return rest.split_at_checked(usize::from(short)).ok_or(DecodeError::Truncated);
    }
    let (len, rest) = rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
    rest.split_at_checked(size(u32::from_le_bytes(*len))).ok_or(DecodeError::Truncated)
}

/// A stored string.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|_| DecodeError::InvalidUtf8)
}

/// The parts of an object behind its tag and length.
#[derive(Clone, Copy)]
pub(crate) struct ObjectParts<'a> {
    /// The fields, in the order of insertion.
    pub(crate) fields: &'a [u8],
    pub(crate) table: Option<Table<'a>>,
}

impl<'a> ObjectParts<'a> {
    pub(crate) fn split(tag: u8, body: &'a [u8]) -> Result<ObjectParts<'a>, DecodeError> {
        match tag {
            OBJECT => Ok(ObjectParts { fields: body, table: None }),
            OBJECT_16 => {
                let (rest, count) = body.split_last_chunk().ok_or(DecodeError::BadTable)?;
                let table = |offsets| Table::Narrow { offsets };
                split_table(rest, usize::from(u16::from_le_bytes(*count)), table)
            }
            OBJECT_32 => {
                let (rest, count) = body.split_last_chunk().ok_or(DecodeError::BadTable)?;
                let table = |offsets| Table::Wide { offsets };
                split_table(rest, size(u32::from_le_bytes(*count)), table)
            }
            _ => Err(DecodeError::NotADocument),
        }
    }
}

fn split_table<'a, const N: usize>(
    rest: &'a [u8],
    count: usize,
    table: impl FnOnce(&'a [[u8; N]]) -> Table<'a>,
) -> Result<ObjectParts<'a>, DecodeError> {
    let table_len = count.checked_mul(N).ok_or(DecodeError::BadTable)?;
    let fields_len = rest.len().checked_sub(table_len).ok_or(DecodeError::BadTable)?;
    let (fields, offsets) = rest.split_at_checked(fields_len).ok_or(DecodeError::BadTable)?;
    let (offsets, _) = offsets.as_chunks::<N>();
    Ok(ObjectParts { fields, table: Some(table(offsets)) })
}

/// Where the fields of a wide object begin, sorted by key.
#[derive(Clone, Copy)]
pub(crate) enum Table<'a> {
    Narrow { offsets: &'a [[u8; 2]] },
    Wide { offsets: &'a [[u8; 4]] },
}

impl Table<'_> {
    pub(crate) fn len(self) -> usize {
        match self {
            Table::Narrow { offsets } => offsets.len(),
            Table::Wide { offsets } => offsets.len(),
        }
    }

    /// The offset of the field with the `rank`th key.
    pub(crate) fn offset(self, rank: usize) -> Result<usize, DecodeError> {
        let offset = match self {
            Table::Narrow { offsets } => {
                offsets.get(rank).map(|o| usize::from(u16::from_le_bytes(*o)))
            }
            Table::Wide { offsets } => offsets.get(rank).map(|o| size(u32::from_le_bytes(*o))),
        };
        offset.ok_or(DecodeError::BadTable)
    }

    /// The offset of the field of this key, by binary search.
    pub(crate) fn find(self, fields: &[u8], key: &[u8]) -> Result<Option<usize>, DecodeError> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            let offset = self.offset(middle)?;
            let field = fields.get(offset..).ok_or(DecodeError::BadTable)?;
            let (found, _) = split_key(field)?;
            match found.cmp(key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(Some(offset)),
            }
        }
        Ok(None)
    }
}
