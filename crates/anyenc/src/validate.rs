//! The whole check of encoded bytes: everything that any accessor could stumble over, and everything
//! that a writer would not have written.

use crate::error::DecodeError;
use crate::layout::{self, ObjectParts, TABLE_FROM, Table};
use crate::limits::{Limits, MAX_DEPTH, is_reserved};
use crate::raw::{RawDocument, RawElements, RawFields, RawValue};

impl RawDocument<'_> {
    /// Checks the whole document: lengths, tags, UTF-8, unique keys, offset tables, canonical form,
    /// reserved keys, depth and size. After it no accessor fails.
    ///
    /// # Errors
    /// [`DecodeError`] for the first thing that is wrong.
    pub fn validate(&self) -> Result<(), DecodeError> {
        RawValue::Object(*self).validate()
    }
}

impl RawValue<'_> {
    /// As [`RawDocument::validate`], for any value.
    ///
    /// # Errors
    /// [`DecodeError`] for the first thing that is wrong.
    pub fn validate(&self) -> Result<(), DecodeError> {
        walk(*self, MAX_DEPTH, |value| match value {
            RawValue::Object(object) => validate_object(object),
            _ => Ok(()),
        })
    }
}

/// Whether no value in a container stands inside more than `limit` containers, itself counted.
pub(crate) fn nests_at_most(container: &[u8], limit: usize) -> Result<bool, DecodeError> {
    match walk(RawValue::from_bytes(container)?, limit, |_| Ok(())) {
        Ok(()) => Ok(true),
        Err(DecodeError::TooDeep) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What is still to be seen of an open container.
enum Rest<'a> {
    Array(RawElements<'a>),
    Object(RawFields<'a>),
}

impl<'a> Rest<'a> {
    fn next(&mut self) -> Option<Result<RawValue<'a>, DecodeError>> {
        match self {
            Rest::Array(elements) => elements.next(),
            Rest::Object(fields) => fields.next().map(|field| field.map(|(_, value)| value)),
        }
    }
}

/// Visits every value, parents before children. The stack is on the heap and as deep as the limit.
fn walk(
    root: RawValue<'_>,
    limit: usize,
    mut visit: impl FnMut(RawValue<'_>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut open = Vec::new();
    let mut value = Some(root);
    loop {
        if let Some(value) = value {
            visit(value)?;
            match value {
                RawValue::Array(array) => open.push(Rest::Array(array.iter())),
                RawValue::Object(object) => open.push(Rest::Object(object.iter())),
                _ => {}
            }
            if open.len() > limit {
                return Err(DecodeError::TooDeep);
            }
        }
        let Some(rest) = open.last_mut() else { return Ok(()) };
        value = rest.next().transpose()?;
        if value.is_none() {
            open.pop();
        }
    }
}

/// Checks one object, but not what its values contain.
fn validate_object(object: RawDocument<'_>) -> Result<(), DecodeError> {
    if object.as_bytes().len() > Limits::DEFAULT.document_bytes {
        return Err(DecodeError::TooLarge);
    }
    let ObjectParts { fields, table } = object.parts()?;
    let keys = keys_with_offsets(fields)?;
    if (keys.len() >= TABLE_FROM) != table.is_some() {
        return Err(DecodeError::BadTable);
    }
    match table {
        Some(table) => validate_table(table, fields, &keys),
        None => keys_differ(&keys),
    }
}

/// Each key and where its field begins, in the order of the fields; checks each by the way.
fn keys_with_offsets(fields: &[u8]) -> Result<Vec<(usize, &[u8])>, DecodeError> {
    let mut keys = Vec::new();
    let mut rest = fields;
    while !rest.is_empty() {
        let offset = fields.len().saturating_sub(rest.len());
        let (key, value) = layout::split_key(rest)?;
        if rest.first() == Some(&layout::LONG_KEY) && key.len() < usize::from(layout::LONG_KEY) {
            return Err(DecodeError::NotCanonical);
        }
        if is_reserved(layout::text(key)?) && offset == 0 {
            return Err(DecodeError::ReservedKey);
        }
        keys.push((offset, key));
        (_, rest) = layout::split_value(value)?;
    }
    Ok(keys)
}

/// The table names every field once, in the order of their keys, in the narrowest form.
fn validate_table(
    table: Table<'_>,
    fields: &[u8],
    keys: &[(usize, &[u8])],
) -> Result<(), DecodeError> {
    let is_narrow = matches!(table, Table::Narrow { .. });
    if table.len() != keys.len() || is_narrow != u16::try_from(fields.len()).is_ok() {
        return Err(DecodeError::BadTable);
    }
    let mut before = None;
    for rank in 0..table.len() {
        let offset = table.offset(rank)?;
        // Offsets of fields under rising keys are all different, so none is left out.
        let place = keys.binary_search_by_key(&offset, |(offset, _)| *offset);
        let field = place.ok().and_then(|place| keys.get(place));
        let (_, key) = *field.ok_or(DecodeError::BadTable)?;
        match before {
            Some(before) if before == key => return Err(DecodeError::DuplicateKey),
            Some(before) if before > key => return Err(DecodeError::BadTable),
            _ => before = Some(key),
        }
    }
    Ok(())
}

/// For an object of few fields: all pairs.
fn keys_differ(keys: &[(usize, &[u8])]) -> Result<(), DecodeError> {
    for (place, (_, key)) in keys.iter().enumerate() {
        if keys.iter().take(place).any(|(_, before)| before == key) {
            return Err(DecodeError::DuplicateKey);
        }
    }
    Ok(())
}
