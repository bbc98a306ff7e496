//! From a value to the tree of an update.

use std::sync::Arc;

use anyenc::{Document, Value};

use super::operands::{self, Written};
use super::tree::{Changes, collide, path_order};
use super::{Change, MAX_PATHS};
use crate::error::ParseError;
use crate::operators::{self, update_operators};
use crate::path;
use crate::trail::{Step, Trail};

pub(super) fn update<'v>(value: &'v Value, trail: &mut Trail<'v>) -> Result<Changes, ParseError> {
    match value {
        Value::Object(document) => document_update(document, trail),
        _ => Err(trail.invalid("", "an update must be an object of operators")),
    }
}

pub(super) fn document_update<'v>(
    document: &'v Document,
    trail: &mut Trail<'v>,
) -> Result<Changes, ParseError> {
    if document.is_empty() {
        return Err(trail.invalid("", "an update needs at least one operator"));
    }
    let mut placed = Vec::new();
    let read = document.iter().try_for_each(|(op, operand)| {
        trail.within(Step::Key(op), |trail| add_operator(&mut placed, op, operand, trail))
    });
    placed.sort_by(|one, other| path_order(&one.change.path, &other.change.path));
    for (above, below) in placed.iter().zip(placed.iter().skip(1)) {
        if collide(&above.change.path, &below.change.path) {
            return Err(conflict(above, below, trail));
        }
    }
    // A conflict among what was read stands before whatever could not be read.
    read?;
    Ok(Changes::of(placed.into_iter().map(|placed| placed.change).collect()))
}

/// A change, and where in the request it is written.
struct Placed<'v> {
    change: Change,
    op: &'v str,
    field: &'v str,
    place: usize,
}

/// The error of two changes in one place, at the one that is written later.
fn conflict<'v>(above: &Placed<'v>, below: &Placed<'v>, trail: &mut Trail<'v>) -> ParseError {
    let (first, second) = if above.place < below.place { (above, below) } else { (below, above) };
    let reason =
        format!("\"{}\" would be changed beside \"{}\"", second.change.path, first.change.path);
    trail.within(Step::Key(second.op), |trail| {
        trail.within(Step::Key(second.field), |trail| trail.conflict(second.op, reason))
    })
}

fn add_operator<'v>(
    placed: &mut Vec<Placed<'v>>,
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
            if placed.len() >= MAX_PATHS {
                return Err(trail.limit(format!("an update changes at most {MAX_PATHS} paths")));
            }
            let path = path::parse_positional(field, trail)?;
            let mut add = |path, action| {
                let place = placed.len();
                let change = Change { path, action: Arc::new(action) };
                placed.push(Placed { change, op, field, place });
            };
            match operands::read(info.operator, op, &path, value, trail)? {
                Written::One(action) => add(path, action),
                Written::Rename { to, away, arrive } => {
                    add(path, away);
                    add(to, arrive);
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}
