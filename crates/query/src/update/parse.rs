//! From a value to the tree of an update.

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
    let mut changes = Changes { list: Vec::new(), root: Branch::default() };
    for (op, operand) in document.iter() {
        trail.within(Step::Key(op), |trail| add_operator(&mut changes, op, operand, trail))?;
    }
    Ok(Update { changes: changes.into() })
}

fn add_operator<'v>(
    changes: &mut Changes,
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
            let path = field_path(field, trail)?;
            let action = action(info.operator, op, value, trail)?;
            add_change(changes, op, Change { path, action }, trail)
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

fn add_change(
    changes: &mut Changes,
    op: &str,
    change: Change,
    trail: &Trail<'_>,
) -> Result<(), ParseError> {
    if changes.list.len() == MAX_PATHS {
        return Err(trail.limit(format!("an update changes at most {MAX_PATHS} paths")));
    }
    let place = changes.list.len();
    if !insert(&mut changes.root, change.path.segments(), place) {
        let reason =
            format!("\"{}\" is in conflict with another change of this update", change.path);
        return Err(trail.conflict(op, reason));
    }
    changes.list.push(change);
    Ok(())
}

/// Puts a path into the tree; says whether it is neither there already nor above or below another.
fn insert(branch: &mut Branch, parts: &[Segment], place: usize) -> bool {
    let Some((part, rest)) = parts.split_first() else { return false };
    let found =
        branch.children.binary_search_by(|child| natural_order(&child.part.name, &part.name));
    let index = match found {
        Ok(index) => index,
        Err(index) => {
            let mut node = Node::Leaf(place);
            for part in rest.iter().rev() {
                let child = Child { part: part.clone(), node };
                node = Node::Branch(Branch { children: vec![child] });
            }
            branch.children.insert(index, Child { part: part.clone(), node });
            return true;
        }
    };
    match branch.children.get_mut(index).map(|child| &mut child.node) {
        Some(Node::Branch(below)) => insert(below, rest, place),
        _ => false,
    }
}
