//! Applying the tree of an update to an encoded document.

use anyenc::{DocumentWriter, EncodeError, Number, RawArray, RawDocument, RawValue};

use super::{Action, Applied, ApplyContext, Branch, Change, Changes, MAX_PADDING, Node};
use crate::error::{ApplyError, ApplyErrorKind};

/// What a small change adds, so that it need not move the buffer.
const ROOM_TO_GROW: usize = 256;

pub(super) fn apply(
    changes: &Changes,
    document: RawDocument<'_>,
    context: ApplyContext,
) -> Result<Applied, ApplyError> {
    if let Some(applied) = overwrite_numbers(changes, document, context)? {
        return Ok(applied);
    }
    let mut bytes = Vec::with_capacity(document.as_bytes().len() + ROOM_TO_GROW);
    let mut rewriter = Rewriter { changes, context, out: DocumentWriter::new(&mut bytes) };
    rewriter.object(Some(document), &changes.root)?;
    rewriter.out.finish().map_err(|error| refused("", error))?;
    if bytes == document.as_bytes() {
        return Ok(Applied::Unchanged);
    }
    Ok(Applied::Changed(RawDocument::from_bytes(&bytes)?.to_owned()))
}

/// What becomes of one value.
enum Decision<'v> {
    Keep,
    Remove,
    Put(RawValue<'v>),
}

/// Where every change replaces a number by a number, changes them in a copy of the bytes: both
/// kinds of number take the same room. Gives nothing where the document must be written anew.
fn overwrite_numbers(
    changes: &Changes,
    document: RawDocument<'_>,
    context: ApplyContext,
) -> Result<Option<Applied>, ApplyError> {
    let mut numbers = Vec::with_capacity(changes.list.len());
    for change in &changes.list {
        let current = document.get_path(&change.path)?;
        if current.and_then(|value| value.as_number()).is_none() {
            return Ok(None);
        }
        match decide(change, current, context)? {
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
    let mut copy = document.to_owned();
    for (path, number) in numbers {
        copy.set_number(path, number)?;
    }
    let unchanged = copy.as_bytes() == document.as_bytes();
    Ok(Some(if unchanged { Applied::Unchanged } else { Applied::Changed(copy) }))
}

fn decide<'v>(
    change: &'v Change,
    current: Option<RawValue<'_>>,
    context: ApplyContext,
) -> Result<Decision<'v>, ApplyError> {
    Ok(match &change.action {
        Action::Set(operand) => Decision::Put(operand.raw()?),
        Action::SetOnInsert(operand) if context.inserting => Decision::Put(operand.raw()?),
        Action::SetOnInsert(_) => Decision::Keep,
        Action::Unset => Decision::Remove,
        Action::Inc(by) => Decision::Put(raw(sum(change, current, *by)?)),
        Action::Mul(by) => Decision::Put(raw(product(change, current, *by)?)),
        Action::Min(operand) => match current {
            Some(current) if operand.raw()?.compare(&current)?.is_ge() => Decision::Keep,
            _ => Decision::Put(operand.raw()?),
        },
        Action::Max(operand) => match current {
            Some(current) if operand.raw()?.compare(&current)?.is_le() => Decision::Keep,
            _ => Decision::Put(operand.raw()?),
        },
    })
}

fn sum(change: &Change, current: Option<RawValue<'_>>, by: Number) -> Result<Number, ApplyError> {
    match (number(change, "$inc", current)?, by) {
        (None, by) => Ok(by),
        (Some(Number::Int64(a)), Number::Int64(b)) => checked(change, a.checked_add(b)),
        (Some(a), b) => Ok(Number::Double(a.as_f64() + b.as_f64())),
    }
}

/// A missing field counts as a zero of the factor's kind.
fn product(
    change: &Change,
    current: Option<RawValue<'_>>,
    by: Number,
) -> Result<Number, ApplyError> {
    match (number(change, "$mul", current)?, by) {
        (None, Number::Int64(_)) => Ok(Number::Int64(0)),
        (None, Number::Double(_)) => Ok(Number::Double(0.0)),
        (Some(Number::Int64(a)), Number::Int64(b)) => checked(change, a.checked_mul(b)),
        (Some(a), b) => Ok(Number::Double(a.as_f64() * b.as_f64())),
    }
}

fn number(
    change: &Change,
    op: &str,
    current: Option<RawValue<'_>>,
) -> Result<Option<Number>, ApplyError> {
    let Some(value) = current else { return Ok(None) };
    match value.as_number() {
        Some(number) => Ok(Some(number)),
        None => {
            let found = value.value_type().name();
            let reason = format!("{op} needs a number in \"{}\", which holds {found}", change.path);
            Err(error(ApplyErrorKind::Apply, change.path.as_str(), reason))
        }
    }
}

fn checked(change: &Change, result: Option<i64>) -> Result<Number, ApplyError> {
    result.map(Number::Int64).ok_or_else(|| {
        let reason = format!("\"{}\" would go past 64 bits", change.path);
        error(ApplyErrorKind::Overflow, change.path.as_str(), reason)
    })
}

fn raw(number: Number) -> RawValue<'static> {
    match number {
        Number::Int64(number) => RawValue::Int64(number),
        Number::Double(number) => RawValue::Double(number),
    }
}

/// Writes a document anew, copying what no change names.
struct Rewriter<'c, 'o> {
    changes: &'c Changes,
    context: ApplyContext,
    out: DocumentWriter<'o>,
}

impl<'c> Rewriter<'c, '_> {
    /// Writes an object with the changes below it; a missing one begins empty.
    fn object(
        &mut self,
        object: Option<RawDocument<'_>>,
        branch: &'c Branch,
    ) -> Result<(), ApplyError> {
        self.write(branch, |out| out.begin_object())?;
        let mut visited = vec![false; branch.children.len()];
        if let Some(object) = object {
            for field in object.iter() {
                let (key, value) = field?;
                match branch.child(key) {
                    Some((place, node)) => {
                        visited.get_mut(place).into_iter().for_each(|seen| *seen = true);
                        self.member(Some(key), Some(value), node)?;
                    }
                    None => self.copy(branch, Some(key), value)?,
                }
            }
        }
        for (child, _) in branch.children.iter().zip(&visited).filter(|(_, seen)| !**seen) {
            self.member(Some(&child.part.name), None, &child.node)?;
        }
        self.write(branch, |out| out.end_object())
    }

    /// Writes an array with the changes below it. Elements never move: one that is taken away
    /// leaves null, and nulls fill the way to one that is put behind the end.
    fn array(&mut self, array: RawArray<'_>, branch: &'c Branch) -> Result<(), ApplyError> {
        let mut positions = Vec::with_capacity(branch.children.len());
        for child in &branch.children {
            match child.part.index {
                Some(index) => positions.push((index as usize, &child.node)),
                None => self.refuse_creation(&child.node, |change| {
                    format!(
                        "\"{}\" leads to a field \"{}\" of an array",
                        change.path, child.part.name
                    )
                })?,
            }
        }
        let mut positions = positions.into_iter().peekable();

        self.write(branch, |out| out.begin_array())?;
        let mut len = 0usize;
        for element in array.iter() {
            match positions.next_if(|(index, _)| *index == len) {
                Some((_, node)) => self.member(None, Some(element?), node)?,
                None => self.copy(branch, None, element?)?,
            }
            len += 1;
        }
        for (index, node) in positions {
            if let Some(change) = self.creating(node) {
                self.pad(change, len, index)?;
                self.member(None, None, node)?;
                len = index + 1;
            }
        }
        self.write(branch, |out| out.end_array())
    }

    fn pad(&mut self, change: &Change, len: usize, index: usize) -> Result<(), ApplyError> {
        if index - len > MAX_PADDING {
            let path = change.path.as_str();
            let reason = format!("\"{path}\" lies more than {MAX_PADDING} places behind the array");
            return Err(error(ApplyErrorKind::Apply, path, reason));
        }
        for _ in len..index {
            self.out.null().map_err(|error| refused(change.path.as_str(), error))?;
        }
        Ok(())
    }

    /// Writes a field of an object (with a key) or an element of an array, as the node says.
    fn member(
        &mut self,
        key: Option<&str>,
        value: Option<RawValue<'_>>,
        node: &'c Node,
    ) -> Result<(), ApplyError> {
        match node {
            Node::Leaf(place) => match self.changes.list.get(*place) {
                Some(change) => self.leaf(key, value, change),
                None => Ok(()),
            },
            Node::Branch(branch) => self.branch(key, value, node, branch),
        }
    }

    fn leaf(
        &mut self,
        key: Option<&str>,
        value: Option<RawValue<'_>>,
        change: &Change,
    ) -> Result<(), ApplyError> {
        let written = match decide(change, value, self.context)? {
            Decision::Put(value) => Some(value),
            Decision::Keep => value,
            Decision::Remove if key.is_none() => Some(RawValue::Null),
            Decision::Remove => None,
        };
        match written {
            Some(value) => {
                put(&mut self.out, key, value).map_err(|error| refused(change.path.as_str(), error))
            }
            None => Ok(()),
        }
    }

    fn branch(
        &mut self,
        key: Option<&str>,
        value: Option<RawValue<'_>>,
        node: &'c Node,
        branch: &'c Branch,
    ) -> Result<(), ApplyError> {
        match value {
            None if self.creating(node).is_none() => Ok(()),
            None | Some(RawValue::Object(_)) => {
                let object = match value {
                    Some(RawValue::Object(object)) => Some(object),
                    _ => None,
                };
                self.key(branch, key)?;
                self.object(object, branch)
            }
            Some(RawValue::Array(array)) => {
                self.key(branch, key)?;
                self.array(array, branch)
            }
            Some(value) => {
                self.refuse_creation(node, |change| {
                    let found = value.value_type().name();
                    format!("\"{}\" leads into a value that is {found}", change.path)
                })?;
                self.copy(branch, key, value)
            }
        }
    }

    /// A change that would have to make its parents here, if any below this node would.
    fn creating(&self, node: &Node) -> Option<&'c Change> {
        match node {
            Node::Leaf(place) => {
                self.changes.list.get(*place).filter(|change| change.action.creates(self.context))
            }
            Node::Branch(branch) => {
                branch.children.iter().find_map(|child| self.creating(&child.node))
            }
        }
    }

    fn refuse_creation(
        &self,
        node: &Node,
        reason: impl FnOnce(&Change) -> String,
    ) -> Result<(), ApplyError> {
        match self.creating(node) {
            Some(change) => Err(error(ApplyErrorKind::Apply, change.path.as_str(), reason(change))),
            None => Ok(()),
        }
    }

    fn key(&mut self, branch: &Branch, key: Option<&str>) -> Result<(), ApplyError> {
        match key {
            Some(key) => self.write(branch, |out| out.key(key)),
            None => Ok(()),
        }
    }

    fn copy(
        &mut self,
        branch: &Branch,
        key: Option<&str>,
        value: RawValue<'_>,
    ) -> Result<(), ApplyError> {
        self.write(branch, |out| put(out, key, value))
    }

    /// Writes something that belongs to a branch; an error speaks of the first change below it.
    fn write(
        &mut self,
        branch: &Branch,
        write: impl FnOnce(&mut DocumentWriter<'_>) -> Result<(), EncodeError>,
    ) -> Result<(), ApplyError> {
        write(&mut self.out).map_err(|error| refused(self.first_path(branch), error))
    }

    fn first_path(&self, branch: &Branch) -> &'c str {
        let mut at = branch.children.first().map(|child| &child.node);
        loop {
            match at {
                Some(Node::Branch(branch)) => at = branch.children.first().map(|child| &child.node),
                Some(Node::Leaf(place)) => {
                    return self.changes.list.get(*place).map_or("", |change| change.path.as_str());
                }
                None => return "",
            }
        }
    }
}

fn put(
    out: &mut DocumentWriter<'_>,
    key: Option<&str>,
    value: RawValue<'_>,
) -> Result<(), EncodeError> {
    if let Some(key) = key {
        out.key(key)?;
    }
    out.write_raw(value)
}

fn error(kind: ApplyErrorKind, path: &str, reason: String) -> ApplyError {
    ApplyError { kind, path: path.to_owned(), reason }
}

/// What the writer refuses: a result past the limits, or a document that was damaged before.
fn refused(path: &str, refusal: EncodeError) -> ApplyError {
    let kind = match refusal {
        EncodeError::TooDeep { .. } | EncodeError::TooLarge { .. } => ApplyErrorKind::Limit,
        EncodeError::Damaged(_) | EncodeError::DuplicateKey(_) => ApplyErrorKind::Damaged,
        _ => ApplyErrorKind::Apply,
    };
    error(kind, path, refusal.to_string())
}
