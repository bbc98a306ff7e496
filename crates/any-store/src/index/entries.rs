//! The entries of one document in one index.
//!
//! Most documents have no array at an index's fields. For them the fields are looked up and encoded
//! one after the other, straight into the key; only an array sends the document on to
//! [`walk::expand`], which gives its tuples.

use any_store_query::walk::{self, Slot};
use anyenc::key::{self, Direction};
use anyenc::{DecodeError, Number, Path, RawDocument, RawValue};

use crate::catalog::{IndexMeta, field_bit};
use crate::error::{Error, ErrorKind, Result};

/// The most entries that one document may have in one index.
pub(crate) const MAX_ENTRIES: usize = 10_000;

/// The most bytes that the keys of one document may have in one index.
const MAX_KEY_BYTES: usize = 64 << 20;

/// What the value of an entry says about its document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Flags(u8);

impl Flags {
    /// The document has other entries in this index.
    pub(crate) const SEVERAL: Flags = Flags(1);
    /// The key does not tell the document's values at the fields exactly: a number would not decode
    /// to itself, a field is missing, an array is on the way or at the end, or the id and the fields
    /// do not stand in the document in the order of the key.
    pub(crate) const INEXACT: Flags = Flags(2);

    pub(crate) fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The stored form.
    pub(crate) fn to_byte(self) -> u8 {
        self.0
    }

    /// The flags of a stored value.
    ///
    /// # Errors
    /// The value is not one byte with known bits.
    pub(crate) fn from_value(value: &[u8]) -> Result<Flags> {
        match value {
            [flags @ 0..=3] => Ok(Flags(*flags)),
            _ => Err(Error::corrupt("an index entry has unknown flags")),
        }
    }

    fn set(&mut self, other: Flags, is_set: bool) {
        if is_set {
            self.0 |= other.0;
        }
    }
}

/// A document's entries in one index: distinct keys in ascending order, and their flags.
///
/// Keeps its memory from document to document.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    /// The keys in the order in which they were found.
    bytes: Vec<u8>,
    /// Where each key is; in the order of the keys once they are complete.
    spans: Vec<Span>,
    flags: Flags,
    multikey: u64,
    /// Where the components of the first tuple end, counted from its start; and the tuple, if it is
    /// not among the keys.
    first_ends: Vec<usize>,
    first: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    end: usize,
}

impl Span {
    fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start..self.end).unwrap_or_default()
    }
}

impl Entries {
    /// The keys in ascending order, each with the flags.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], Flags)> {
        self.spans.iter().map(|span| (span.of(&self.bytes), self.flags))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether this entry is among them.
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.spans.binary_search_by(|span| span.of(&self.bytes).cmp(key)).is_ok()
    }

    /// Bit i: the document has several keys at field i.
    pub(crate) fn multikey_fields(&self) -> u64 {
        self.multikey
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
        self.flags = Flags::default();
        self.multikey = 0;
    }

    /// Ends a key that began at `start` with the id.
    fn push(&mut self, start: usize, id_key: &[u8]) {
        self.bytes.extend_from_slice(id_key);
        self.spans.push(Span { start, end: self.bytes.len() });
    }

    /// Sorts the keys and drops those that are there twice.
    fn settle(&mut self) {
        let bytes = &self.bytes;
        self.spans.sort_unstable_by(|a, b| a.of(bytes).cmp(b.of(bytes)));
        self.spans.dedup_by(|a, b| a.of(bytes) == b.of(bytes));
    }

    /// Refuses more keys than a document may have. Keys that are there twice do not count, so they
    /// are dropped before anything is refused.
    fn check_room(&mut self) -> Result<()> {
        if self.spans.len() > 2 * MAX_ENTRIES || self.bytes.len() > MAX_KEY_BYTES {
            self.settle();
            self.compact();
        }
        check_bytes(self.bytes.len())?;
        if self.spans.len() > 2 * MAX_ENTRIES { Err(too_many_entries()) } else { Ok(()) }
    }

    /// Gives up the bytes of keys that were dropped.
    fn compact(&mut self) {
        let mut bytes = Vec::new();
        for span in &mut self.spans {
            let start = bytes.len();
            bytes.extend_from_slice(span.of(&self.bytes));
            *span = Span { start, end: bytes.len() };
        }
        self.bytes = bytes;
    }
}

fn check_bytes(bytes: usize) -> Result<()> {
    if bytes > MAX_KEY_BYTES { Err(too_many("more than 64 MiB of keys")) } else { Ok(()) }
}

fn too_many(what: &str) -> Error {
    Error::new(ErrorKind::LimitExceeded, format!("a document would have {what} in an index"))
}

fn too_many_entries() -> Error {
    too_many("more than 10000 entries")
}

/// How many bytes the first components of a key take.
pub(crate) fn components_len(key: &[u8], directions: &[Direction]) -> Result<usize, DecodeError> {
    let mut len = 0usize;
    for direction in directions {
        let rest = key.get(len..).ok_or(DecodeError::Truncated)?;
        len = len.saturating_add(key::key_len(rest, *direction)?);
    }
    Ok(len)
}

impl IndexMeta {
    /// The document's entries, in place of what `out` held.
    ///
    /// # Errors
    /// [`ErrorKind::ParallelArrays`] if two fields lead through different arrays,
    /// [`ErrorKind::LimitExceeded`] if there are too many, [`ErrorKind::Corrupt`].
    pub(crate) fn entries(
        &self,
        document: RawDocument<'_>,
        id_key: &[u8],
        out: &mut Entries,
    ) -> Result<()> {
        out.clear();
        let gathered = self.gather(document, id_key, out);
        gathered.map_err(|error| {
            out.clear();
            error.in_index(&self.name)
        })
    }

    fn gather(&self, document: RawDocument<'_>, id_key: &[u8], out: &mut Entries) -> Result<()> {
        if let Some(filter) = &self.partial
            && !filter.matches(document)?
        {
            return Ok(());
        }
        match self.plain_key(document, out)? {
            Plain::Key { is_inexact, is_absent } => {
                if self.spec.sparse && is_absent {
                    out.clear();
                } else {
                    out.flags.set(Flags::INEXACT, is_inexact);
                    out.push(0, id_key);
                }
                Ok(())
            }
            Plain::No => {
                out.clear();
                self.gather_tuples(document, id_key, out)
            }
        }
    }

    /// Writes the one key of a document without arrays at the index's fields, but for the id.
    fn plain_key(&self, document: RawDocument<'_>, out: &mut Entries) -> Result<Plain> {
        let mut order = self.begin_order(document)?;
        let mut is_absent = true;
        for (path, direction) in self.paths.iter().zip(&self.directions) {
            match find(document, path)? {
                Found::Array => return Ok(Plain::No),
                Found::Nothing => {
                    key::encode_key(RawValue::Null, *direction, &mut out.bytes)?;
                    order.is_kept = false;
                }
                Found::Value(place, value) => {
                    key::encode_key(value, *direction, &mut out.bytes)?;
                    order.is_kept &= is_lossless(value)?;
                    if path.as_str() != self.primary_key {
                        order.next(place);
                    }
                    is_absent = false;
                }
            }
            check_bytes(out.bytes.len())?;
        }
        Ok(Plain::Key { is_inexact: !order.is_kept, is_absent })
    }

    fn begin_order(&self, document: RawDocument<'_>) -> Result<Order> {
        Ok(match document.get_placed(&self.primary_key)? {
            Some((place, id)) => Order { is_kept: is_lossless(id)?, place },
            None => Order { is_kept: false, place: 0 },
        })
    }

    fn gather_tuples(
        &self,
        document: RawDocument<'_>,
        id_key: &[u8],
        out: &mut Entries,
    ) -> Result<()> {
        let mut has_begun = false;
        walk::expand::<Error, _>(document, &self.paths, &mut |tuple| {
            let start = out.bytes.len();
            self.put_tuple(tuple, !has_begun, start, out)?;
            has_begun = true;
            let is_absent = || tuple.iter().all(|slot| matches!(slot, Slot::Missing));
            if self.spec.sparse && is_absent() {
                out.bytes.truncate(start);
                return Ok(());
            }
            out.push(start, id_key);
            out.check_room()
        })?;
        out.settle();
        if out.spans.len() > MAX_ENTRIES {
            return Err(too_many_entries());
        }
        out.flags.set(Flags::INEXACT, true);
        out.flags.set(Flags::SEVERAL, out.spans.len() > 1);
        Ok(())
    }

    /// Writes the components of a tuple and notes at which fields it differs from the first one.
    fn put_tuple(
        &self,
        tuple: &[Slot<'_>],
        is_first: bool,
        start: usize,
        out: &mut Entries,
    ) -> Result<()> {
        if is_first {
            out.first_ends.clear();
        }
        let mut before = 0;
        for (field, (slot, direction)) in tuple.iter().zip(&self.directions).enumerate() {
            let from = out.bytes.len();
            put_slot(slot, *direction, &mut out.bytes)?;
            check_bytes(out.bytes.len().saturating_sub(start))?;
            if is_first {
                out.first_ends.push(out.bytes.len().saturating_sub(start));
                continue;
            }
            let end = out.first_ends.get(field).copied().unwrap_or_default();
            if out.first.get(before..end) != out.bytes.get(from..) {
                out.multikey |= field_bit(field);
            }
            before = end;
        }
        if is_first {
            out.first.clear();
            out.first.extend_from_slice(out.bytes.get(start..).unwrap_or_default());
        }
        Ok(())
    }
}

/// What looking at the fields of a document without going into arrays gave.
enum Plain {
    /// Its one key was written.
    Key {
        is_inexact: bool,
        /// None of the fields is there.
        is_absent: bool,
    },
    /// There is an array.
    No,
}

/// Whether the id and the fields of the index stand in the document one behind the other, and are
/// exactly what the key tells.
struct Order {
    is_kept: bool,
    place: usize,
}

impl Order {
    fn next(&mut self, place: usize) {
        self.is_kept &= self.place < place;
        self.place = place;
    }
}

/// What a path leads to through objects.
enum Found<'a> {
    Nothing,
    /// A value that is no array, and where in the document it begins.
    Value(usize, RawValue<'a>),
    /// An array, on the way or at the end.
    Array,
}

fn find<'a>(document: RawDocument<'a>, path: &Path) -> Result<Found<'a>> {
    let mut found = (0_usize, RawValue::Object(document));
    for part in path.segments() {
        let (place, RawValue::Object(object)) = found else { return Ok(Found::Nothing) };
        match object.get_placed(&part.name)? {
            None => return Ok(Found::Nothing),
            Some((_, RawValue::Array(_))) => return Ok(Found::Array),
            Some((within, value)) => found = (place.saturating_add(within), value),
        }
    }
    Ok(Found::Value(found.0, found.1))
}

/// Whether the value decodes from its key to itself; told from its type for most.
fn is_lossless(value: RawValue<'_>) -> Result<bool> {
    Ok(match value {
        RawValue::Null
        | RawValue::Int64(_)
        | RawValue::String(_)
        | RawValue::Bool(_)
        | RawValue::DateTime(_)
        | RawValue::ObjectId(_)
        | RawValue::Binary(_) => true,
        RawValue::Double(double) if !double.is_nan() => Number::Double(double).as_i64().is_none(),
        other => key::is_lossless(other)?,
    })
}

fn put_slot(slot: &Slot<'_>, direction: Direction, out: &mut Vec<u8>) -> Result<()> {
    match slot {
        Slot::Missing => key::encode_key(RawValue::Null, direction, out)?,
        Slot::EmptyArray => key::encode_empty_array_key(direction, out),
        Slot::Value(value) => key::encode_key(*value, direction, out)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests;
