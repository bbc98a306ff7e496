//! Applying an update to an encoded document: what each change decides, and the way by which only
//! numbers are overwritten.

use anyenc::{Number, Path, RawDocument, RawDocumentBuf, RawValue, Segment};

use super::array_filter::ArrayFilter;
use super::rewrite::Rewriter;
use super::tree::{Changes, collide, path_order};
use super::{Action, Applied, ApplyContext, Change, number};
use crate::error::{ApplyError, ApplyErrorKind};

/// What a small change adds, so that it need not move the buffer.
const ROOM_TO_GROW: usize = 256;

/// Everything that applying one update to one document looks at.
pub(super) struct Run<'c, 'd> {
    pub(super) changes: &'c Changes,
    pub(super) array_filters: &'c [ArrayFilter],
    pub(super) document: RawDocument<'d>,
    pub(super) context: ApplyContext<'c>,
    /// The places of renames whose source is missing.
    idle: Vec<usize>,
}

pub(super) fn apply(
    changes: &Changes,
    array_filters: &[ArrayFilter],
    document: RawDocument<'_>,
    context: ApplyContext<'_>,
) -> Result<Applied, ApplyError> {
    if changes.is_positional {
        let resolved = resolve(changes, document, context)?;
        return Run::new(&resolved, array_filters, document, context)?.apply();
    }
    Run::new(changes, array_filters, document, context)?.apply()
}

/// What becomes of one value.
pub(super) enum Decision<'v> {
    Keep,
    Remove,
    Put(RawValue<'v>),
}

impl<'c, 'd> Run<'c, 'd> {
    fn new(
        changes: &'c Changes,
        array_filters: &'c [ArrayFilter],
        document: RawDocument<'d>,
        context: ApplyContext<'c>,
    ) -> Result<Self, ApplyError> {
        let mut idle = Vec::new();
        for place in &changes.renames {
            let Some(change) = changes.list.get(*place) else { continue };
            let Action::RenameTo(from) = &*change.action else { continue };
            match value_to_rename(document, from)? {
                None => idle.push(*place),
                Some(_) => refuse_arrays(document, change)?,
            }
        }
        Ok(Run { changes, array_filters, document, context, idle })
    }

    fn apply(self) -> Result<Applied, ApplyError> {
        if let Some(applied) = self.overwrite_numbers()? {
            return Ok(applied);
        }
        let before = self.document.as_bytes();
        let made = RawDocumentBuf::build(before.len().saturating_add(ROOM_TO_GROW), |out| {
            Rewriter::new(&self, out).document()
        })?;
        Ok(if made.as_bytes() == before { Applied::Unchanged } else { Applied::Changed(made) })
    }

    /// Where every change replaces a number by a number, changes them in a copy of the bytes: both
    /// kinds of number take the same room. Gives nothing where the document must be written anew.
    fn overwrite_numbers(&self) -> Result<Option<Applied>, ApplyError> {
        if self.changes.has_element_parts {
            return Ok(None);
        }
        let mut numbers = Vec::with_capacity(self.changes.list.len());
        for change in &self.changes.list {
            let current = self.document.get_path(&change.path)?;
            if current.and_then(|value| value.as_number()).is_none()
                || !change.action.decides_alone()
            {
                return Ok(None);
            }
            match self.decide(change, current)? {
                Decision::Keep => {}
                Decision::Put(value) => match value.as_number() {
                    Some(number) => numbers.push((&change.path, number)),
                    None => return Ok(None),
                },
                Decision::Remove => return Ok(None),
            }
        }
        if numbers.is_empty() {
            return Ok(Some(Applied::Unchanged));
        }
        let mut copy = self.document.to_owned();
        for (path, number) in numbers {
            copy.set_number(path, number)?;
        }
        let unchanged = copy.as_bytes() == self.document.as_bytes();
        Ok(Some(if unchanged { Applied::Unchanged } else { Applied::Changed(copy) }))
    }

    /// Is there nothing for this change to do, whatever it meets?
    pub(super) fn is_idle(&self, place: usize, change: &Change) -> bool {
        match *change.action {
            Action::SetOnInsert(_) => !self.context.inserting,
            Action::RenameTo(_) => self.idle.contains(&place),
            _ => false,
        }
    }

    /// What a change makes of a value; those on whole arrays write theirs themselves.
    pub(super) fn decide<'v>(
        &'v self,
        change: &'v Change,
        current: Option<RawValue<'_>>,
    ) -> Result<Decision<'v>, ApplyError> {
        Ok(match &*change.action {
            Action::Set(operand) => Decision::Put(operand.raw()?),
            Action::SetOnInsert(operand) if self.context.inserting => Decision::Put(operand.raw()?),
            Action::SetOnInsert(_) | Action::Array(_) => Decision::Keep,
            Action::Unset | Action::RenameAway => Decision::Remove,
            Action::Inc(by) => Decision::Put(raw(number::sum(change, current, *by)?)),
            Action::Mul(by) => Decision::Put(raw(number::product(change, current, *by)?)),
            Action::Bit(steps) => Decision::Put(raw(number::bits(change, current, steps)?)),
            Action::Min(operand) => match current {
                Some(current) if operand.raw()?.compare(&current)?.is_ge() => Decision::Keep,
                _ => Decision::Put(operand.raw()?),
            },
            Action::Max(operand) => match current {
                Some(current) if operand.raw()?.compare(&current)?.is_le() => Decision::Keep,
                _ => Decision::Put(operand.raw()?),
            },
            Action::CurrentDate => Decision::Put(RawValue::DateTime(self.context.now())),
            Action::RenameTo(from) => match self.document.get_path(from)? {
                Some(value) => Decision::Put(value),
                None => Decision::Keep,
            },
        })
    }
}

fn raw(number: Number) -> RawValue<'static> {
    match number {
        Number::Int64(number) => RawValue::Int64(number),
        Number::Double(number) => RawValue::Double(number),
    }
}

/// The changes with each `$` replaced by the position at which the document matched.
fn resolve(
    changes: &Changes,
    document: RawDocument<'_>,
    context: ApplyContext<'_>,
) -> Result<Changes, ApplyError> {
    let mut list = Vec::with_capacity(changes.list.len());
    for change in &changes.list {
        list.push(match change.path.segments().iter().position(|part| part.name == "$") {
            None => change.clone(),
            Some(place) => {
                let position =
                    matched_position(change, place, document, context)?.ok_or_else(|| {
                        let reason = format!(
                            "\"{}\" needs a filter that matches by an element of the array",
                            change.path
                        );
                        change.refusal(ApplyErrorKind::Apply, reason)
                    })?;
                change.at_position(place, position)
            }
        });
    }
    list.sort_by(|one, other| path_order(&one.path, &other.path));
    for (above, below) in list.iter().zip(list.iter().skip(1)) {
        if collide(&above.path, &below.path) {
            let reason = format!("\"{}\" would be changed beside \"{}\"", below.path, above.path);
            return Err(below.refusal(ApplyErrorKind::Conflict, reason));
        }
    }
    Ok(Changes::of(list))
}

/// The position that a `$` stands for: in the array before it, or else, as in MongoDB, in another
/// one that the filter asks about, which is taken to run beside it.
fn matched_position(
    change: &Change,
    place: usize,
    document: RawDocument<'_>,
    context: ApplyContext<'_>,
) -> Result<Option<usize>, ApplyError> {
    let array = change.path.segments().get(..place).unwrap_or_default();
    match context.filter {
        Some(filter) => Ok(filter.position(document, array)?),
        None => Ok(None),
    }
}

/// The value that a rename moves; none if there is nothing at its path.
fn value_to_rename<'d>(
    document: RawDocument<'d>,
    from: &Path,
) -> Result<Option<RawValue<'d>>, ApplyError> {
    let refuse = |found: &str| {
        let reason = format!("$rename cannot take \"{from}\" out of a value that is {found}");
        ApplyError { kind: ApplyErrorKind::Apply, path: from.as_str().to_owned(), reason }
    };
    let mut at = RawValue::Object(document);
    let mut through_array = false;
    for part in from.segments() {
        let next = match (at, part.index) {
            (RawValue::Object(object), _) => object.get(&part.name)?,
            (RawValue::Array(array), Some(index)) => {
                through_array = true;
                array.get(index as usize)?
            }
            (other, _) => return Err(refuse(other.value_type().name())),
        };
        match next {
            Some(value) => at = value,
            None => return Ok(None),
        }
    }
    if through_array { Err(refuse("an array")) } else { Ok(Some(at)) }
}

/// Refuses a rename into an array.
fn refuse_arrays(document: RawDocument<'_>, change: &Change) -> Result<(), ApplyError> {
    let mut at = document;
    let parents = change.path.segments().split_last().map_or(&[] as &[Segment], |(_, rest)| rest);
    for part in parents {
        match at.get(&part.name)? {
            Some(RawValue::Object(object)) => at = object,
            Some(RawValue::Array(_)) => {
                let reason =
                    format!("$rename cannot move a value into an array, to \"{}\"", change.path);
                return Err(change.refusal(ApplyErrorKind::Apply, reason));
            }
            _ => return Ok(()),
        }
    }
    Ok(())
}
