//! Does every document that one filter matches match another one? What an index with a partial filter
//! must know before it serves a request.
//!
//! The answer is found condition by condition: each that the other filter demands must follow from one
//! condition of this filter on the same path. A condition asks whether *any* value at the path
//! satisfies it, so one follows from another if every single value, and a missing one, that satisfies
//! the other satisfies it. Two conditions together say nothing more, since different elements of an
//! array may satisfy them; and a negation, which asks of all values, follows from nothing but itself.

use std::collections::HashMap;

use anyenc::{Path, RawValue};

use super::bounds::{Part, has_position, of_one_value, of_some_element};
use super::compile::InSet;
use super::eval::{Found, holds};
use super::presence::fails_where_missing;
use super::{Clause, Condition, Conjunction};
use crate::operand::Operand;
use crate::walk::LeafArray;

/// Most pairs of conditions that are looked at: past them the answer is no, which is never wrong.
const MAX_PAIRS: usize = 100_000;

pub(super) fn implies(all: &Conjunction, other: &Conjunction) -> bool {
    let (mut given, mut wanted) = (Demands::default(), Demands::default());
    given.collect(all);
    wanted.collect(other);
    let mut pairs = MAX_PAIRS;
    let clauses_follow = wanted.clauses.iter().all(|clause| {
        pairs = pairs.saturating_sub(given.clauses.len());
        pairs > 0 && given.clauses.contains(clause)
    });
    clauses_follow
        && wanted.fields.iter().all(|(text, (_, conditions))| {
            let Some((path, known)) = given.fields.get(text) else { return false };
            pairs = pairs.saturating_sub(known.len().saturating_mul(conditions.len()));
            pairs > 0 && follow(conditions, known, path)
        })
}

/// What a filter demands, each by itself.
#[derive(Default)]
struct Demands<'f> {
    /// By the text of their path.
    fields: HashMap<&'f str, (&'f Path, Vec<&'f Condition>)>,
    /// What is no condition on one path.
    clauses: Vec<&'f Clause>,
}

impl<'f> Demands<'f> {
    fn collect(&mut self, all: &'f Conjunction) {
        for clause in all.clauses() {
            match clause {
                Clause::And(branches) => branches.iter().for_each(|branch| self.collect(branch)),
                Clause::Field { path, conditions } => {
                    let (_, known) = self.fields.entry(path.as_str()).or_insert((path, Vec::new()));
                    for condition in conditions {
                        match condition {
                            Condition::All(members) if !members.is_empty() => known.extend(members),
                            condition => known.push(condition),
                        }
                    }
                }
                Clause::Or(_) | Clause::Nor(_) => self.clauses.push(clause),
                Clause::Comment(_) => {}
            }
        }
    }
}

/// Does each of the conditions follow from one of those that are known, on the same path?
fn follow(wanted: &[&Condition], known: &[&Condition], path: &Path) -> bool {
    let facts: Vec<Fact<'_>> = known.iter().map(|condition| Fact::new(condition, path)).collect();
    wanted.iter().all(|condition| {
        let part = (!is_negation(condition)).then(|| of_one_value(condition));
        facts.iter().any(|fact| fact.gives(condition, part.as_ref(), path))
    })
}

fn is_negation(condition: &Condition) -> bool {
    matches!(
        condition,
        Condition::Ne(_) | Condition::Nin(_) | Condition::Not(_) | Condition::Exists(false)
    )
}

/// A condition that is known to hold.
struct Fact<'f> {
    condition: &'f Condition,
    /// What some value at the path is within.
    parts: Vec<Part>,
}

impl<'f> Fact<'f> {
    fn new(condition: &'f Condition, path: &Path) -> Fact<'f> {
        let mut parts = Vec::new();
        if !is_negation(condition) {
            parts.push(of_one_value(condition));
            // Of an array that is reached by its position, the elements are not asked.
            if !has_position(path.segments()) {
                parts.extend(of_some_element(condition));
            }
        }
        Fact { condition, parts }
    }

    /// Does a condition, which has this part, follow?
    fn gives(&self, wanted: &Condition, part: Option<&Part>, path: &Path) -> bool {
        if self.condition == wanted {
            return true;
        }
        match (self.condition, wanted) {
            (_, Condition::Exists(true)) => fails_where_missing(self.condition, path.segments()),
            (Condition::Type(own), Condition::Type(types)) => own.is_within(*types),
            _ => {
                part.is_some_and(|part| self.parts.iter().any(|own| own.is_within(part)))
                    || self.is_computed(wanted)
            }
        }
    }

    /// Is it true of every value that this condition allows, of which there are few?
    fn is_computed(&self, wanted: &Condition) -> bool {
        if !matches!(wanted, Condition::Mod(_) | Condition::Bits(_) | Condition::Regex(_)) {
            return false;
        }
        match self.condition {
            Condition::Eq(operand) => is_true_of(operand, wanted),
            Condition::In(set) => set.patterns().is_empty() && is_true_of_all(set, wanted),
            _ => false,
        }
    }
}

fn is_true_of_all(set: &InSet, wanted: &Condition) -> bool {
    const MAX_MEMBERS: usize = 1000;
    let members = set.operands();
    members.len() <= MAX_MEMBERS && members.iter().all(|operand| is_true_of(operand, wanted))
}

/// Equal values, `1` and `1.0`, are told apart by none of the conditions that this is asked for.
fn is_true_of(operand: &Operand, wanted: &Condition) -> bool {
    match operand.raw() {
        Ok(RawValue::Null) | Err(_) => false,
        Ok(value) => {
            let found = Found { head: Some(value), rest: &[], leaf: LeafArray::Whole };
            holds(wanted, found).unwrap_or(false)
        }
    }
}
