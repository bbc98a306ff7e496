//! The form of a filter without its operands, as a number: what requests that differ only in the values
//! they ask for have in common.
//!
//! The number is the same in every process and on every machine. The order of conditions that must all
//! hold, or of which any may, does not count.

use anyenc::{Value, ValueType};

use super::compile::{InSet, type_group};
use super::pattern::Pattern;
use super::print::{bits_name, order_name};
use super::{Clause, Condition, Conjunction, ElementTest};

/// FNV-1a with 64 bits: small, and fixed for ever.
#[derive(Clone, Copy)]
struct Hash(u64);

impl Hash {
    fn new(name: &str) -> Hash {
        Hash(0xcbf2_9ce4_8422_2325).text(name)
    }

    fn bytes(self, bytes: &[u8]) -> Hash {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        Hash(bytes.iter().fold(self.0, step))
    }

    fn number(self, number: u64) -> Hash {
        self.bytes(&number.to_le_bytes())
    }

    /// With the length in front, so that two texts in a row are not taken for one.
    fn text(self, text: &str) -> Hash {
        self.number(text.len() as u64).bytes(text.as_bytes())
    }

    /// Parts whose order does not count.
    fn parts(self, parts: impl Iterator<Item = u64>) -> Hash {
        let mut parts: Vec<u64> = parts.collect();
        parts.sort_unstable();
        parts.iter().fold(self.number(parts.len() as u64), |hash, part| hash.number(*part))
    }

    fn group(self, kind: ValueType) -> Hash {
        self.text(type_group(kind).name())
    }

    fn value(self, value: &Value) -> Hash {
        self.group(value.value_type())
    }
}

pub(super) fn conjunction(all: &Conjunction) -> u64 {
    let clauses = all.clauses().filter(|clause| !matches!(clause, Clause::Comment(_)));
    Hash::new("filter").parts(clauses.map(clause)).0
}

fn clause(clause: &Clause) -> u64 {
    let branches =
        |name, branches: &[Conjunction]| Hash::new(name).parts(branches.iter().map(conjunction)).0;
    match clause {
        Clause::And(all) => branches("$and", all),
        Clause::Or(any) => branches("$or", any),
        Clause::Nor(none) => branches("$nor", none),
        Clause::Field { path, conditions: all } => {
            Hash::new("field").text(path.as_str()).number(conditions(all)).0
        }
        Clause::Comment(_) => 0,
    }
}

fn conditions(all: &[Condition]) -> u64 {
    Hash::new("conditions").parts(all.iter().map(condition)).0
}

fn condition(condition: &Condition) -> u64 {
    let hash = match condition {
        Condition::Eq(operand) => Hash::new("$eq").value(operand.value()),
        Condition::Ne(operand) => Hash::new("$ne").value(operand.value()),
        Condition::Order(test, operand) => Hash::new(order_name(*test)).value(operand.value()),
        Condition::In(set) => members("$in", set),
        Condition::Nin(set) => members("$nin", set),
        Condition::Exists(wanted) => Hash::new("$exists").number(u64::from(*wanted)),
        // The types that are asked for are kinds of values, not values.
        Condition::Type(types) => {
            types.names().fold(Hash::new("$type"), |hash, name| hash.text(name))
        }
        Condition::Size(_) => Hash::new("$size"),
        Condition::All(all) => Hash::new("$all").number(conditions(all)),
        Condition::ElemMatch(ElementTest::Value(all)) => {
            Hash::new("$elemMatch").number(conditions(all))
        }
        Condition::ElemMatch(ElementTest::Fields(all)) => {
            Hash::new("$elemMatch").number(conjunction(all))
        }
        Condition::Mod(_) => Hash::new("$mod"),
        Condition::Bits(test) => Hash::new(bits_name(test.rule)),
        Condition::Regex(own) => Hash::new("$regex").number(pattern(own)),
        Condition::Not(all) => Hash::new("$not").number(conditions(all)),
    };
    hash.0
}

fn members(name: &str, set: &InSet) -> Hash {
    let groups = set.groups().map(|kind| Hash::new("group").group(kind).0);
    Hash::new(name).parts(groups).parts(set.patterns().iter().map(pattern))
}

/// What of a pattern decides whether an index helps: its flags, and whether all its strings begin alike.
fn pattern(pattern: &Pattern) -> u64 {
    let has_prefix = pattern.prefix().is_some_and(|(prefix, _)| !prefix.is_empty());
    Hash::new("pattern").text(&pattern.source().options).number(u64::from(has_prefix)).0
}
