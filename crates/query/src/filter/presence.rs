//! Does a filter demand that something be at a path? What a sparse index must know, which lacks the
//! documents that have nothing there.
//!
//! A document that has nothing at a path shows a condition on it one of two sights: nothing at all,
//! where the path leads through an array without objects, or only missing values. A condition that
//! fails at both demands that something be there.

use anyenc::{RawValue, Segment, Value};

use super::bounds::has_position;
use super::eval::{Found, holds};
use super::{Clause, Condition, Conjunction, ElementTest};
use crate::operand::Operand;
use crate::walk::LeafArray;

/// Has every document that matches a value at the path? No, where the entries of an index may follow
/// another reading of the path than the filter.
pub(super) fn implies_present(all: &Conjunction, path: &[Segment]) -> bool {
    !has_position(path) && demands(all, path)
}

fn demands(all: &Conjunction, path: &[Segment]) -> bool {
    all.clauses().any(|clause| match clause {
        Clause::And(branches) => branches.iter().any(|branch| demands(branch, path)),
        Clause::Or(branches) => branches.iter().all(|branch| demands(branch, path)),
        Clause::Field { path: field, conditions } => {
            conditions.iter().any(|condition| of_condition(condition, field.segments(), path))
        }
        Clause::Nor(_) | Clause::Comment(_) => false,
    })
}

fn of_condition(condition: &Condition, field: &[Segment], path: &[Segment]) -> bool {
    match path.strip_prefix(field) {
        Some(below) if !below.is_empty() => in_elements(condition, below),
        // What is at the end of a path is in something at each of its parts.
        _ => field.starts_with(path) && fails_where_missing(condition, field),
    }
}

/// Does a condition on an array demand that one of its elements have something there?
fn in_elements(condition: &Condition, below: &[Segment]) -> bool {
    match condition {
        Condition::ElemMatch(ElementTest::Fields(all)) => demands(all, below),
        Condition::All(members) => {
            members.is_empty() || members.iter().any(|member| in_elements(member, below))
        }
        _ => false,
    }
}

/// Does a condition fail wherever there is nothing at its path?
pub(super) fn fails_where_missing(condition: &Condition, path: &[Segment]) -> bool {
    let rest = path.get(1..).unwrap_or_default();
    let fails = |head: Option<RawValue<'_>>| {
        let found = Found { head, rest, leaf: LeafArray::ElementsAndWhole };
        holds(condition, found) == Ok(false)
    };
    if rest.is_empty() {
        return fails(None);
    }
    // In an array without elements, a path that goes on finds nothing at all.
    let Ok(empty) = Operand::new(&Value::Array(Vec::new())) else { return false };
    fails(None) && empty.raw().is_ok_and(|array| fails(Some(array)))
}
