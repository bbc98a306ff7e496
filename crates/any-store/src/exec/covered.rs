//! Documents made from the keys of an index, where these tell all that is asked for.

use anyenc::key::{Direction, decode_key};
use anyenc::{DecodeError, DocumentWriter, RawDocument};

use crate::catalog::IndexMeta;
use crate::error::Result;

/// A maker of documents that hold the id and the top-level fields of an index, in this order.
///
/// Keys whose entries are flagged as inexact do not tell enough, and are not to be given.
pub(super) struct Covered {
    primary_key: Box<str>,
    /// The fields of the index; those that are not shown have no name.
    fields: Vec<(Option<Box<str>>, Direction)>,
    document: Vec<u8>,
    is_made: bool,
}

impl Covered {
    pub(super) fn new(index: &IndexMeta, primary_key: &str) -> Self {
        let name = |path: &anyenc::Path| {
            let is_shown = path.segments().len() == 1 && path.as_str() != primary_key;
            is_shown.then(|| path.as_str().into())
        };
        let fields = index.paths.iter().map(name).zip(index.directions.iter().copied()).collect();
        Self { primary_key: primary_key.into(), fields, document: Vec::new(), is_made: false }
    }

    /// Tells that the next document comes from another key.
    pub(super) fn forget(&mut self) {
        self.is_made = false;
    }

    /// The document of a key and the id in it.
    pub(super) fn document(&mut self, key: &[u8], id_key: &[u8]) -> Result<RawDocument<'_>> {
        if !self.is_made {
            self.make(key, id_key)?;
            self.is_made = true;
        }
        Ok(RawDocument::from_bytes(&self.document)?)
    }

    fn make(&mut self, key: &[u8], id_key: &[u8]) -> Result<()> {
        self.document.clear();
        let mut writer = DocumentWriter::new(&mut self.document);
        writer.begin_object()?;
        writer.key(&self.primary_key)?;
        writer.value(&decode_key(id_key, Direction::Ascending)?.0)?;
        let mut rest = key;
        for (name, direction) in &self.fields {
            let (value, len) = decode_key(rest, *direction)?;
            if let Some(name) = name {
                writer.key(name)?;
                writer.value(&value)?;
            }
            rest = rest.get(len..).ok_or(DecodeError::Truncated)?;
        }
        writer.end_object()?;
        writer.finish()?;
        Ok(())
    }
}
