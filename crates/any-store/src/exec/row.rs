//! The entry of a document tree that a cursor stands on, unpacked when first looked at.

use any_store_storage::{Cursor, ValueRef};
use anyenc::RawDocument;

use crate::compress::{self, Unpacked};
use crate::error::Result;

/// A cursor over a document tree with room for the document it stands on.
pub(super) struct Row<'t> {
    cursor: Cursor<'t>,
    place: Place,
    buffer: Vec<u8>,
}

/// Where the document is.
enum Place {
    /// Not looked for yet.
    Packed,
    /// In the page that the cursor holds.
    Page,
    /// In a run of its own.
    Run(ValueRef),
    /// Decompressed into the buffer.
    Buffer,
}

impl<'t> Row<'t> {
    pub(super) fn new(cursor: Cursor<'t>) -> Self {
        Self { cursor, place: Place::Packed, buffer: Vec::new() }
    }

    /// The cursor, to be moved; the document of the old place is forgotten.
    pub(super) fn moving(&mut self) -> &mut Cursor<'t> {
        self.place = Place::Packed;
        &mut self.cursor
    }

    pub(super) fn id_key(&self) -> &[u8] {
        self.cursor.key()
    }

    pub(super) fn document(&mut self) -> Result<RawDocument<'_>> {
        if let Place::Packed = self.place {
            self.place = self.unpack()?;
        }
        let bytes = match &self.place {
            Place::Run(value) => compress::plain_bytes(value),
            Place::Buffer => &self.buffer,
            Place::Page | Place::Packed => {
                compress::plain_bytes(self.cursor.inline_value().unwrap_or_default())
            }
        };
        Ok(RawDocument::from_bytes(bytes)?)
    }

    fn unpack(&mut self) -> Result<Place> {
        if let Some(stored) = self.cursor.inline_value() {
            return Ok(match compress::unpack(stored, &mut self.buffer)? {
                Unpacked::InPlace => Place::Page,
                Unpacked::InBuffer => Place::Buffer,
            });
        }
        let stored = self.cursor.value()?;
        Ok(match compress::unpack(&stored, &mut self.buffer)? {
            Unpacked::InPlace => Place::Run(stored),
            Unpacked::InBuffer => Place::Buffer,
        })
    }
}
