//! The different values of a field.

use std::collections::BTreeMap;

use any_store_query::walk::{self, Container, LeafArray};
use anyenc::key::{Direction, encode_key};
use anyenc::{DecodeError, Path, RawValue, Value};

use super::{Resources, select};
use crate::catalog::CollectionMeta;
use crate::error::{Error, ErrorKind, Result};
use crate::selection::{Need, Selection};
use crate::source::Source;

/// The values at a path in the documents of a selection, each once, in ascending order.
pub(crate) fn distinct(
    source: &Source<'_>,
    collection: &CollectionMeta,
    selection: &Selection,
    path: &str,
    resources: &Resources,
) -> Result<Vec<Value>> {
    let path = Path::parse(path)
        .map_err(|error| Error::new(ErrorKind::LimitExceeded, error.to_string()).at_field(path))?;
    let mut found = Values::default();
    let mut rows = select(source, collection, selection, Need::Documents, resources)?;
    while rows.advance()? {
        let root = Container::Object(rows.document()?);
        walk::visit(root, path.segments(), LeafArray::Whole, &mut |value| {
            match value {
                Some(RawValue::Array(array)) => {
                    array.iter().try_for_each(|element| found.add(element?))?;
                }
                Some(value) => found.add(value)?,
                None => {}
            }
            Ok(false)
        })?;
    }
    Ok(found.by_key.into_values().collect())
}

/// Values by their key encoding, which is the same for equal ones.
#[derive(Default)]
struct Values {
    by_key: BTreeMap<Vec<u8>, Value>,
    key: Vec<u8>,
}

impl Values {
    fn add(&mut self, value: RawValue<'_>) -> Result<(), DecodeError> {
        self.key.clear();
        encode_key(value, Direction::Ascending, &mut self.key)?;
        if !self.by_key.contains_key(self.key.as_slice()) {
            self.by_key.insert(self.key.clone(), value.to_value()?);
        }
        Ok(())
    }
}
