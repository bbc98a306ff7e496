//! The values that a filter pins a field to: what a look-up by primary key needs.

use anyenc::Value;

use super::{Clause, Condition, Conjunction};

/// The values that `path` must equal one of, ascending and distinct; none if the filter leaves it
/// open. Sound for fields that hold no array.
pub(super) fn points(all: &Conjunction, path: &str) -> Option<Vec<Value>> {
    all.clauses().filter_map(|clause| of_clause(clause, path)).reduce(common)
}

fn of_clause(clause: &Clause, path: &str) -> Option<Vec<Value>> {
    match clause {
        Clause::Field { path: field, conditions } if field.as_str() == path => {
            conditions.iter().filter_map(of_condition).reduce(common)
        }
        Clause::And(branches) => {
            branches.iter().filter_map(|branch| points(branch, path)).reduce(common)
        }
        Clause::Or(branches) => {
            let each: Option<Vec<_>> = branches.iter().map(|branch| points(branch, path)).collect();
            Some(union(each?))
        }
        Clause::Field { .. } | Clause::Nor(_) | Clause::Comment(_) => None,
    }
}

fn of_condition(condition: &Condition) -> Option<Vec<Value>> {
    match condition {
        Condition::Eq(operand) => Some(vec![operand.value().clone()]),
        Condition::In(set) if set.patterns().is_empty() => Some(set.members().cloned().collect()),
        _ => None,
    }
}

/// What two ascending lists share.
fn common(one: Vec<Value>, other: Vec<Value>) -> Vec<Value> {
    one.into_iter().filter(|value| other.binary_search(value).is_ok()).collect()
}

fn union(lists: Vec<Vec<Value>>) -> Vec<Value> {
    let mut values: Vec<Value> = lists.into_iter().flatten().collect();
    values.sort();
    values.dedup();
    values
}
