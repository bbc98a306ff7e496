//! From a value to the tree of an update.

use std::cmp::Ordering;

use anyenc::{Document, Number, Path, Segment, Value};

use super::{Action, Branch, Change, Changes, Child, MAX_PATHS, Node, Update};
use crate::error::ParseError;
use crate::operand::Operand;
use crate::operators::{self, Operator, update_operators};
use crate::path::{self, natural_order};
use crate::trail::{Step, Trail};

pub(super) fn update<'v>(value: &'v Value, trail: &mut Trail<'v>) -> Result<Update, ParseError> {
    match value {
        Value::Object(document) => document_update(document, trail),
        _ => Err(trail.invalid("", "an update must be an object of operators")),
    }
}

pub(super) fn document_update<'v>(
    document: &'v Document,
    trail: &mut Trail<'v>,
) -> Result<Update, ParseError> {
    if document.is_empty() {
        return Err(trail.invalid("", "an update needs at least one operator"));
    }
    let mut written = Vec::new();
    for (op, operand) in document.iter() {
        trail.within(Step::Key(op), |trail| add_operator(&mut written, op, operand, trail))?;
    }
    // In this order a path stands right before those that it leads to.
    written.sort_by(|one, other| path_order(&one.change.path, &other.change.path));
    for (above, below) in written.iter().zip(written.iter().skip(1)) {
        if above.change.path.is_prefix_of(&below.change.path) {
            return Err(conflict(above, below, trail));
        }
    }
    let list: Vec<Change> = written.into_iter().map(|written| written.change).collect();
    let root = branch(&list, 0, 0);
    Ok(Update { changes: Changes { list, root }.into() })
}

/// A change, and where in the request it is written.
struct Written<'v> {
    change: Change,
    op: &'v str,
    field: &'v str,
    place: usize,
}

fn path_order(one: &Path, other: &Path) -> Ordering {
    let parts = one.segments().iter().zip(other.segments());
    let orders = parts.map(|(part, other)| natural_order(&part.name, &other.name));
    let first = orders.into_iter().find(|order| order.is_ne());
    first.unwrap_or_else(|| one.segments().len().cmp(&other.segments().len()))
}

/// The error of two changes in one place, at the one that is written later.
fn conflict<'v>(above: &Written<'v>, below: &Written<'v>, trail: &mut Trail<'v>) -> ParseError {
    let (first, second) = if above.place < below.place { (above, below) } else { (below, above) };
    let reason = format!("\"{}\" would be changed beside \"{}\"", second.field, first.field);
    trail.within(Step::Key(second.op), |trail| {
        trail.within(Step::Key(second.field), |trail| trail.conflict(second.op, reason))
    })
}

/// The tree of changes that share their first `depth` parts; the first of them is at `start`.
fn branch(changes: &[Change], mut start: usize, depth: usize) -> Branch {
    let mut children = Vec::new();
    for group in changes.chunk_by(|one, other| part_at(one, depth) == part_at(other, depth)) {
        let Some(first) = group.first() else { continue };
        let Some(part) = part_at(first, depth) else { continue };
        let node = if first.path.segments().len() == depth + 1 {
            Node::Leaf(start)
        } else {
            Node::Branch(branch(group, start, depth + 1))
        };
        children.push(Child { part: part.clone(), node });
        start += group.len();
    }
    Branch { children }
}

fn part_at(change: &Change, depth: usize) -> Option<&Segment> {
    change.path.segments().get(depth)
}

fn add_operator<'v>(
    written: &mut Vec<Written<'v>>,
    op: &'v str,
    operand: &'v Value,
    trail: &mut Trail<'v>,
) -> Result<(), ParseError> {
    if !op.starts_with('$') {
        return Err(trail.invalid("", "an update holds operators, not fields"));
    }
    let Some(info) = operators::find(op, update_operators()) else {
        return Err(trail.unknown(op, update_operators()));
    };
    let Value::Object(fields) = operand else {
        return Err(trail.invalid(op, format!("{op} needs an object from paths to values")));
    };
    for (field, value) in fields.iter() {
        trail.within(Step::Key(field), |trail| {
            let place = written.len();
            if place == MAX_PATHS {
                return Err(trail.limit(format!("an update changes at most {MAX_PATHS} paths")));
            }
            let path = field_path(field, trail)?;
            let action = action(info.operator, op, value, trail)?;
            written.push(Written { change: Change { path, action }, op, field, place });
            Ok(())
        })?;
    }
    Ok(())
}

/// A path to write to. Its positional parts (`$`, `$[]`, `$[name]`) are not part of the language.
fn field_path(field: &str, trail: &Trail<'_>) -> Result<Path, ParseError> {
    let positional = |part: &&str| *part == "$" || part.starts_with("$[");
    match field.split('.').skip(1).find(positional) {
        Some(part) => Err(trail.unknown(part, &[])),
        None => path::parse_plain(field, trail),
    }
}

fn action(
    operator: Operator,
    op: &str,
    value: &Value,
    trail: &Trail<'_>,
) -> Result<Action, ParseError> {
    let operand = || Operand::new(value).map_err(|error| trail.unencodable(op, &error));
    let number = || match value {
        Value::Int64(number) => Ok(Number::Int64(*number)),
        Value::Double(number) => Ok(Number::Double(*number)),
        _ => Err(trail.invalid(op, format!("{op} needs a number"))),
    };
    Ok(match operator {
        Operator::Unset => Action::Unset,
        Operator::Inc => Action::Inc(number()?),
        Operator::Mul => Action::Mul(number()?),
        Operator::Min => Action::Min(operand()?),
        Operator::Max => Action::Max(operand()?),
        Operator::SetOnInsert => Action::SetOnInsert(operand()?),
        _ => Action::Set(operand()?),
    })
}
