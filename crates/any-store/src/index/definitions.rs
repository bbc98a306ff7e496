//! What a call that asks for indexes means for a collection that has some already.

use crate::catalog::{CollectionMeta, Definition, IndexSpec};
use crate::error::{Error, ErrorKind, Result};

/// The most indexes of one collection.
const MAX_INDEXES: usize = 64;

/// What an index is to a call that asks for an equal one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// A reason to refuse.
    Refused,
    /// What was asked for.
    Accepted,
}

/// What a call asks for.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// The name of each index that was asked for, in the order of the call.
    pub(crate) names: Vec<String>,
    /// Those that must be made, in the same order.
    pub(crate) new: Vec<Definition>,
}

/// Checks what a call asks for against the collection and itself.
///
/// # Errors
/// [`ErrorKind::InvalidIndex`], [`ErrorKind::InvalidName`], [`ErrorKind::IndexExists`],
/// [`ErrorKind::IndexMismatch`], [`ErrorKind::LimitExceeded`].
pub(crate) fn wanted(
    collection: &CollectionMeta,
    specs: &[IndexSpec],
    existing: Existing,
) -> Result<Wanted> {
    let mut wanted = Wanted { names: Vec::with_capacity(specs.len()), new: Vec::new() };
    for spec in specs {
        let definition = Definition::check(spec.clone(), &collection.primary_key)?;
        let name = definition.name.clone();
        let own = collection.index(&name).map(|index| index.means(&definition));
        let same = own.or_else(|| {
            let asked = wanted.new.iter().find(|asked| asked.name == name);
            asked.map(|asked| asked.means(&definition))
        });
        match (same, existing) {
            (None, _) => wanted.new.push(definition),
            (Some(true), Existing::Accepted) => {}
            (Some(true), Existing::Refused) => return Err(exists(&name)),
            (Some(false), _) => return Err(differs(&name)),
        }
        wanted.names.push(name);
    }
    if collection.indexes.len().saturating_add(wanted.new.len()) > MAX_INDEXES {
        let message = format!("a collection has at most {MAX_INDEXES} indexes");
        return Err(Error::new(ErrorKind::LimitExceeded, message));
    }
    Ok(wanted)
}

fn exists(name: &str) -> Error {
    Error::new(ErrorKind::IndexExists, format!("index {name:?} is there already")).in_index(name)
}

fn differs(name: &str) -> Error {
    let message = format!("index {name:?} has another definition");
    Error::new(ErrorKind::IndexMismatch, message).in_index(name)
}

/// The error of a name that no index has.
pub(crate) fn missing(name: &str) -> Error {
    Error::new(ErrorKind::IndexNotFound, format!("there is no index {name:?}")).in_index(name)
}

/// The name of the one index that was asked for.
pub(crate) fn only(names: Vec<String>) -> Result<String> {
    let name = names.into_iter().next();
    name.ok_or_else(|| Error::internal("an index that was asked for has no name"))
}
