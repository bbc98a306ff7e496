//! The entry of a document tree that a cursor stands on, unpacked when first looked at.

use std::time::{Duration, Instant};

use any_store_storage::{Cursor, ValueRef};
use anyenc::RawDocument;

use super::meter::{Timing, add_since};
use crate::compress::{self, Unpacked};
use crate::error::Result;

/// A cursor over a document tree with room for the document it stands on.
pub(super) struct Row<'t> {
    cursor: Cursor<'t>,
    place: Place,
    buffer: Vec<u8>,
    /// Long values read.
    run_count: u64,
    /// What unpacking took, where somebody wants to know.
    unpack_time: Option<Duration>,
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
    pub(super) fn new(cursor: Cursor<'t>, timing: Timing) -> Self {
        let unpack_time = timing.start();
        Self { cursor, place: Place::Packed, buffer: Vec::new(), run_count: 0, unpack_time }
    }

    /// Pages entered, long values included.
    pub(super) fn page_count(&self) -> u64 {
        self.cursor.page_count().saturating_add(self.run_count)
    }

    /// What unpacking took, if that was timed.
    pub(super) fn unpack_time(&self) -> Duration {
        self.unpack_time.unwrap_or_default()
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
            let begun = self.unpack_time.map(|_| Instant::now());
            self.place = self.unpack()?;
            add_since(&mut self.unpack_time, begun);
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
        self.run_count = self.run_count.saturating_add(1);
        let stored = self.cursor.value()?;
        Ok(match compress::unpack(&stored, &mut self.buffer)? {
            Unpacked::InPlace => Place::Run(stored),
            Unpacked::InBuffer => Place::Buffer,
        })
    }
}
