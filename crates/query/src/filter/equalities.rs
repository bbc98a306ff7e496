//! What a filter fixes: the fields that an upsert takes over into the document it makes.

use anyenc::Path;

use super::{Clause, Condition, Conjunction, Filter};
use crate::operand::Operand;

impl Filter {
    /// The fields that every match must equal a value in, as far as the filter says so outright: by
    /// equality, at its top or inside `$and`.
    pub(crate) fn equalities(&self) -> Vec<(&Path, &Operand)> {
        let mut found = Vec::new();
        collect(&self.root, &mut found);
        found
    }
}

fn collect<'f>(all: &'f Conjunction, found: &mut Vec<(&'f Path, &'f Operand)>) {
    for clause in all.clauses() {
        match clause {
            Clause::And(branches) => branches.iter().for_each(|branch| collect(branch, found)),
            Clause::Field { path, conditions } => {
                found.extend(conditions.iter().filter_map(|condition| match condition {
                    Condition::Eq(operand) => Some((path, operand)),
                    _ => None,
                }));
            }
            Clause::Or(_) | Clause::Nor(_) | Clause::Comment(_) => {}
        }
    }
}
