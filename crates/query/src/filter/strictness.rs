//! How much a filter can be expected to leave out, judged by its form alone: what a planner goes by
//! where no index knows better.

use super::{Clause, Condition, Conjunction, ElementTest};

/// The conditions of a filter that must all hold, counted by how much conditions of their kind leave out.
///
/// Of an `$or` those of one branch count, the one that leaves out least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Strictness {
    /// Conditions that name what a value must be: `$eq`, `$in`, `$all`, `$size`, and `$elemMatch` of such.
    /// They can match nearly nothing or a half of all.
    pub exact: u32,
    /// Conditions that allow part of all values: `$gt` and its like, `$regex`, `$mod`, `$type`.
    pub partial: u32,
    /// Conditions that name what a value must not be: `$ne`, `$nin`, `$not`, `$nor`, and `$exists`.
    pub negative: u32,
}

impl Strictness {
    fn plus(self, other: Self) -> Self {
        Self {
            exact: self.exact.saturating_add(other.exact),
            partial: self.partial.saturating_add(other.partial),
            negative: self.negative.saturating_add(other.negative),
        }
    }
}

const EXACT: Strictness = Strictness { exact: 1, partial: 0, negative: 0 };
const PARTIAL: Strictness = Strictness { exact: 0, partial: 1, negative: 0 };
const NEGATIVE: Strictness = Strictness { exact: 0, partial: 0, negative: 1 };

pub(super) fn conjunction(all: &Conjunction) -> Strictness {
    all.clauses().map(clause).fold(Strictness::default(), Strictness::plus)
}

fn clause(clause: &Clause) -> Strictness {
    match clause {
        Clause::And(parts) => {
            parts.iter().map(conjunction).fold(Strictness::default(), Strictness::plus)
        }
        Clause::Or(branches) => least(branches.iter().map(conjunction)),
        Clause::Nor(_) => NEGATIVE,
        Clause::Field { conditions, .. } => conditions_of(conditions),
        Clause::Comment(_) => Strictness::default(),
    }
}

/// The one that leaves out least: exact conditions weigh more than partial ones, and these more than
/// negative ones.
fn least(branches: impl Iterator<Item = Strictness>) -> Strictness {
    branches.min_by_key(|of| (of.exact, of.partial, of.negative)).unwrap_or_default()
}

fn conditions_of(conditions: &[Condition]) -> Strictness {
    conditions.iter().map(condition).fold(Strictness::default(), Strictness::plus)
}

fn condition(condition: &Condition) -> Strictness {
    match condition {
        Condition::Eq(_) | Condition::In(_) | Condition::Size(_) | Condition::All(_) => EXACT,
        Condition::ElemMatch(ElementTest::Value(all)) => conditions_of(all),
        Condition::ElemMatch(ElementTest::Fields(all)) => conjunction(all),
        Condition::Order(..)
        | Condition::Type(_)
        | Condition::Mod(_)
        | Condition::Bits(_)
        | Condition::Regex(_) => PARTIAL,
        Condition::Ne(_) | Condition::Nin(_) | Condition::Exists(_) | Condition::Not(_) => NEGATIVE,
    }
}
