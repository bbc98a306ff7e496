//! The document that an upsert makes where its filter found none.

use std::sync::Arc;

use anyenc::{Path, RawDocumentBuf};

use super::tree::{Changes, collide, path_order};
use super::{Action, Applied, ApplyContext, Change, apply};
use crate::error::{ApplyError, ApplyErrorKind};
use crate::filter::Filter;

/// A document of the fields that a filter fixes by equality, in the order in which an update would
/// make them.
pub(super) fn seed(filter: &Filter) -> Result<RawDocumentBuf, ApplyError> {
    let mut list = Vec::new();
    for (path, operand) in filter.equalities() {
        check_is_field(path)?;
        list.push(Change { path: path.clone(), action: Arc::new(Action::Set(operand.clone())) });
    }
    list.sort_by(|one, other| path_order(&one.path, &other.path));
    for (above, below) in list.iter().zip(list.iter().skip(1)) {
        if collide(&above.path, &below.path) {
            let reason =
                format!("the filter fixes \"{}\" twice, so no document can be made", below.path);
            return Err(below.refusal(ApplyErrorKind::Conflict, reason));
        }
    }
    let empty = RawDocumentBuf::new();
    match apply::apply(&Changes::of(list), &[], empty.as_raw(), ApplyContext::insert())? {
        Applied::Unchanged => Ok(empty),
        Applied::Changed(seed) => Ok(seed),
    }
}

/// A filter may ask for names that no update could write.
fn check_is_field(path: &Path) -> Result<(), ApplyError> {
    let bad = |part: &anyenc::Segment| part.name.is_empty() || part.name.starts_with('$');
    if path.segments().iter().any(bad) {
        let reason = format!("the filter's \"{path}\" is no field that an upsert could make");
        return Err(ApplyError { kind: ApplyErrorKind::Apply, path: path.to_string(), reason });
    }
    Ok(())
}
