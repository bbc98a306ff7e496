//! The intervals of keys in which a filter's documents are, see [`crate::bounds`].
//!
//! The conditions that must all hold, those under `$and` included, are the filter's leaves. Each has
//! a [`Part`]: intervals in which every document that satisfies it has a key, and whether a key there
//! is enough to satisfy it. The parts are intersected where a document has one key, else the best is
//! taken; leaves that their part decides are left out of the residual filter.
//!
//! The work is linear in the filter but for sorting, and does not look at each member of a long `$in`.

use std::sync::Arc;

use anyenc::{Segment, Value, ValueType};

use super::compile::{InSet, is_nan_value, type_group};
use super::pattern::Pattern;
use super::{Clause, Condition, Conjunction, ElementTest, Filter, OrderTest};
use crate::bounds::{Bounds, Interval, Keys, Place, complement, intersection, union};

/// Most intervals that bounds consist of; more are replaced by the one around them all.
const MAX_INTERVALS: usize = 10_000;

/// The bounds of a filter at a path.
pub(super) fn bounds(filter: &Filter, path: &[Segment], keys: Keys) -> Bounds {
    // Entries follow one of the two readings of a number, filters both.
    if has_position(path) {
        let intervals = vec![Interval::all()];
        return Bounds { intervals, is_exact: false, residual: filter.clone() };
    }
    let parts = leaves(&filter.root, Target { path, keys, is_element: false });
    let taken: Vec<bool> = match keys {
        Keys::OnePerDocument => vec![true; parts.len()],
        Keys::Several => {
            let best = best(&parts);
            (0..parts.len()).map(|leaf| Some(leaf) == best).collect()
        }
    };
    let decided: Vec<bool> =
        parts.iter().zip(&taken).map(|(part, taken)| *taken && part.is_exact).collect();
    let residual = match decided.contains(&true) {
        true => Filter { root: without(&filter.root, &mut decided.into_iter()).into() },
        false => filter.clone(),
    };
    let chosen = parts.into_iter().zip(taken).filter(|(_, taken)| *taken).map(|(part, _)| part);
    let intervals = capped(intersect_all(chosen.collect())).intervals;
    Bounds { intervals, is_exact: !asks_about(&residual.root, path), residual }
}

/// Does a part of a path, behind the first, name a position as well as a key?
pub(super) fn has_position(path: &[Segment]) -> bool {
    path.iter().skip(1).any(|part| part.index.is_some())
}

/// The part of a condition that is asked of one value, which may be missing. Not for negations of
/// what is asked of several.
pub(super) fn of_one_value(condition: &Condition) -> Part {
    of(condition, Target { path: &[], keys: Keys::OnePerDocument, is_element: true })
}

/// The part of what a single element must satisfy, where the condition demands that there be one.
pub(super) fn of_some_element(condition: &Condition) -> Option<Part> {
    let target = Target { path: &[], keys: Keys::OnePerDocument, is_element: true };
    match condition {
        Condition::ElemMatch(ElementTest::Value(conditions)) => Some(all_of(conditions, target)),
        _ => None,
    }
}

/// Is there a condition of its own on this very path, or an `$elemMatch` that may hold one?
fn asks_about(all: &Conjunction, path: &[Segment]) -> bool {
    all.clauses().any(|clause| match clause {
        Clause::And(branches) | Clause::Or(branches) | Clause::Nor(branches) => {
            branches.iter().any(|branch| asks_about(branch, path))
        }
        Clause::Field { path: field, .. } => path.starts_with(field.segments()),
        Clause::Comment(_) => false,
    })
}

/// What is asked for: the keys at a path, or those of one element of an array.
#[derive(Clone, Copy)]
struct Target<'p> {
    path: &'p [Segment],
    keys: Keys,
    /// The value at hand is an element of an array: arrays in it are values.
    is_element: bool,
}

impl Target<'_> {
    /// Is a key all there is to know of a value that is compared with null? Behind an array or a
    /// scalar, null's key stands also for paths that lead nowhere.
    fn null_is_exact(self) -> bool {
        self.is_element || self.path.len() == 1
    }
}

/// What one condition says about keys.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// Ascending, without overlap: what satisfies the condition has a key in one of them.
    intervals: Vec<Interval>,
    /// Whatever has a key in one of them satisfies the condition.
    is_exact: bool,
}

impl Part {
    fn all() -> Part {
        Part { intervals: vec![Interval::all()], is_exact: false }
    }

    fn nothing() -> Part {
        Part::exact(Vec::new())
    }

    fn exact(intervals: Vec<Interval>) -> Part {
        Part { intervals: union(intervals), is_exact: true }
    }

    fn loose(intervals: Vec<Interval>) -> Part {
        Part { intervals: union(intervals), is_exact: false }
    }

    fn loosened(self) -> Part {
        Part { is_exact: false, ..self }
    }

    /// What does not satisfy the condition. Of several keys none is in the intervals then, and there
    /// is at least one; but that one of them is outside does not say that all are.
    fn complement(self, target: Target<'_>) -> Part {
        if self.is_exact {
            let is_exact = target.is_element || target.keys == Keys::OnePerDocument;
            Part { intervals: complement(&self.intervals), is_exact }
        } else {
            Part::all()
        }
    }

    fn is_all(&self) -> bool {
        matches!(self.intervals.as_slice(), [only] if only.is_all())
    }

    /// Does whatever satisfies this condition satisfy the other?
    pub(super) fn is_within(&self, other: &Part) -> bool {
        other.is_exact && intersection(&self.intervals, &other.intervals) == self.intervals
    }

    /// How little it narrows: the lower, the better.
    fn rank(&self) -> (u8, bool, usize) {
        let every = |test: fn(&Interval) -> bool| self.intervals.iter().all(test);
        let breadth = match self.intervals.as_slice() {
            [] => 0,
            [only] if only.is_all() => 4,
            _ if every(|interval| interval.value().is_some()) => 1,
            _ if every(Interval::is_between_values) => 2,
            _ => 3,
        };
        (breadth, !self.is_exact, self.intervals.len())
    }
}

fn best(parts: &[Part]) -> Option<usize> {
    (0..parts.len()).min_by_key(|leaf| parts.get(*leaf).map(Part::rank))
}

/// Too many intervals cost more to visit than they spare.
fn capped(part: Part) -> Part {
    match part.intervals.as_slice() {
        [first, .., last] if part.intervals.len() > MAX_INTERVALS => {
            let hull = Interval { low: first.low.clone(), high: last.high.clone() };
            Part::loose(vec![hull])
        }
        _ => part,
    }
}

/// What is in all parts. By halves: one after the other, each of many parts would be another walk
/// through all that the others leave.
fn intersect_all(mut parts: Vec<Part>) -> Part {
    let half = parts.len() / 2;
    if half == 0 {
        return parts.pop().unwrap_or_else(Part::all);
    }
    let (one, other) = (intersect_all(parts.split_off(half)), intersect_all(parts));
    let is_exact = one.is_exact && other.is_exact;
    if one.is_all() {
        return Part { is_exact, ..other };
    }
    Part { intervals: intersection(&one.intervals, &other.intervals), is_exact }
}

/// The part of conditions that must all hold.
fn conjoin(mut parts: Vec<Part>, target: Target<'_>) -> Part {
    if target.is_element || target.keys == Keys::OnePerDocument || parts.len() < 2 {
        return intersect_all(parts);
    }
    best(&parts).map_or_else(Part::all, |best| parts.swap_remove(best).loosened())
}

/// What is in any part; nothing more is asked once one of them has everything.
fn unite(parts: impl IntoIterator<Item = Part>) -> Part {
    let mut intervals = Vec::new();
    let mut is_exact = true;
    for part in parts {
        if part.is_all() {
            return Part::all();
        }
        is_exact &= part.is_exact;
        intervals.extend(part.intervals);
    }
    capped(Part { intervals: union(intervals), is_exact })
}

fn conjunction(all: &Conjunction, target: Target<'_>) -> Part {
    conjoin(leaves(all, target), target)
}

/// The parts of all leaves, in the order in which [`without`] meets them.
fn leaves(all: &Conjunction, target: Target<'_>) -> Vec<Part> {
    let mut parts = Vec::new();
    collect(all, target, &mut parts);
    parts
}

fn collect(all: &Conjunction, target: Target<'_>, parts: &mut Vec<Part>) {
    for clause in all.clauses() {
        match clause {
            Clause::And(branches) => {
                branches.iter().for_each(|branch| collect(branch, target, parts));
            }
            Clause::Field { path, conditions } => {
                parts.extend(conditions.iter().map(|c| at_path(c, path.segments(), target)));
            }
            Clause::Or(branches) => {
                parts.push(unite(branches.iter().map(|branch| conjunction(branch, target))));
            }
            Clause::Nor(branches) => {
                let any = unite(branches.iter().map(|branch| conjunction(branch, target)));
                parts.push(any.complement(target));
            }
            Clause::Comment(_) => {}
        }
    }
}

/// The filter without the leaves that are decided, each of which takes its turn.
fn without(all: &Conjunction, decided: &mut dyn Iterator<Item = bool>) -> Conjunction {
    let mut clauses = Vec::new();
    for clause in &all.clauses {
        match &**clause {
            Clause::And(branches) => {
                let left = branches.iter().map(|branch| without(branch, decided));
                let left: Vec<_> = left.filter(|branch| !branch.clauses.is_empty()).collect();
                if !left.is_empty() {
                    clauses.push(Arc::new(Clause::And(left)));
                }
            }
            Clause::Field { path, conditions } => {
                let left: Vec<_> = conditions.iter().filter(|_| !is_decided(decided)).collect();
                if left.len() == conditions.len() {
                    clauses.push(Arc::clone(clause));
                } else if !left.is_empty() {
                    let conditions = left.into_iter().cloned().collect();
                    clauses.push(Arc::new(Clause::Field { path: path.clone(), conditions }));
                }
            }
            Clause::Or(_) | Clause::Nor(_) => {
                if !is_decided(decided) {
                    clauses.push(Arc::clone(clause));
                }
            }
            Clause::Comment(_) => clauses.push(Arc::clone(clause)),
        }
    }
    Conjunction { clauses }
}

fn is_decided(decided: &mut dyn Iterator<Item = bool>) -> bool {
    decided.next().unwrap_or(false)
}

/// The part of a condition on `path`; one on a path above may hold an `$elemMatch` on the target.
fn at_path(condition: &Condition, path: &[Segment], target: Target<'_>) -> Part {
    match target.path.strip_prefix(path) {
        Some([]) => of(condition, target),
        Some(rest) => below(condition, Target { path: rest, ..target }),
        None => Part::all(),
    }
}

/// What a condition on an array says about the fields of its elements.
fn below(condition: &Condition, target: Target<'_>) -> Part {
    match condition {
        Condition::ElemMatch(ElementTest::Fields(all)) => conjunction(all, target).loosened(),
        Condition::All(members) if !members.is_empty() => {
            conjoin(members.iter().map(|member| below(member, target)).collect(), target).loosened()
        }
        _ => Part::all(),
    }
}

fn of(condition: &Condition, target: Target<'_>) -> Part {
    match condition {
        Condition::Eq(operand) => equal(operand.value(), target),
        Condition::Ne(operand) => equal(operand.value(), target).complement(target),
        Condition::Order(test, operand) => ordered(*test, operand.value(), target),
        Condition::In(set) => member_of(set, target),
        Condition::Nin(set) => member_of(set, target).complement(target),
        Condition::Exists(true) => Part::all(),
        Condition::Exists(false) => Part::loose(vec![Interval::point(Value::Null)]),
        Condition::Type(types) => of_types(types.groups(), target),
        Condition::Size(0) if !target.is_element => Part::exact(vec![Interval::empty_array()]),
        Condition::Size(_) => arrays(target),
        Condition::All(members) if members.is_empty() => Part::nothing(),
        Condition::All(members) => all_of(members, target),
        Condition::ElemMatch(test) => element(test, target),
        Condition::Mod(_) => Part::loose(vec![Interval::of_type(ValueType::Int64)]),
        Condition::Bits(_) => Part::loose(vec![
            Interval::of_type(ValueType::Int64),
            Interval::of_type(ValueType::Binary),
        ]),
        Condition::Regex(pattern) => matched(pattern),
        Condition::Not(conditions) => all_of(conditions, target).complement(target),
    }
}

fn all_of(conditions: &[Condition], target: Target<'_>) -> Part {
    conjoin(conditions.iter().map(|condition| of(condition, target)).collect(), target)
}

/// A condition that only arrays satisfy. Of an array its elements are the keys, so as a value at the
/// path it may have any.
fn arrays(target: Target<'_>) -> Part {
    if target.is_element {
        Part::loose(vec![Interval::of_type(ValueType::Array)])
    } else {
        Part::all()
    }
}

fn equal(value: &Value, target: Target<'_>) -> Part {
    let point = Interval::point(value.clone());
    match value {
        Value::Null => Part { intervals: vec![point], is_exact: target.null_is_exact() },
        Value::Array(items) if !target.is_element => match items.first() {
            None => Part::exact(vec![Interval::empty_array(), point]),
            // An array that equals the operand as a whole has the first element as a key.
            Some(first) => Part::loose(vec![point, Interval::point(first.clone())]),
        },
        _ => Part::exact(vec![point]),
    }
}

fn ordered(test: OrderTest, value: &Value, target: Target<'_>) -> Part {
    let or_equal = matches!(test, OrderTest::Gte | OrderTest::Lte);
    if value.is_null() || is_nan_value(value) {
        return if or_equal { equal(value, target) } else { Part::nothing() };
    }
    if matches!(value, Value::Array(_)) && !target.is_element {
        return Part::all();
    }
    let kind = type_group(value.value_type());
    let above_least = match kind {
        // NaN is a number below all others, and has no order with them.
        ValueType::Int64 => Place::After(Value::Double(f64::NAN)),
        kind => Place::BeforeType(kind),
    };
    let value = value.clone();
    Part::exact(vec![match test {
        OrderTest::Gt => Interval::new(Place::After(value), Place::AfterType(kind)),
        OrderTest::Gte => Interval::new(Place::Before(value), Place::AfterType(kind)),
        OrderTest::Lt => Interval::new(above_least, Place::Before(value)),
        OrderTest::Lte => Interval::new(above_least, Place::After(value)),
    }])
}

fn member_of(set: &InSet, target: Target<'_>) -> Part {
    if set.members().len() > MAX_INTERVALS {
        return around(set);
    }
    let values = set.members().map(|value| equal(value, target));
    unite(values.chain(set.patterns().iter().map(matched)))
}

/// One interval around members that are too many; they are in ascending order.
fn around(set: &InSet) -> Part {
    let mut members = set.members();
    match (members.next(), members.next_back()) {
        (Some(first), Some(last)) if set.patterns().is_empty() && !set.has(ValueType::Array) => {
            Part::loose(vec![Interval::new(
                Place::Before(first.clone()),
                Place::After(last.clone()),
            )])
        }
        _ => Part::all(),
    }
}

fn of_types(groups: impl Iterator<Item = (ValueType, bool)>, target: Target<'_>) -> Part {
    unite(groups.map(|(kind, is_whole)| match kind {
        ValueType::Array if !target.is_element => Part::all(),
        // Null's key stands for missing values as well, and those have no type.
        ValueType::Null => Part::loose(vec![Interval::of_type(kind)]),
        _ => Part { intervals: vec![Interval::of_type(kind)], is_exact: is_whole },
    }))
}

fn element(test: &ElementTest, target: Target<'_>) -> Part {
    if target.is_element {
        return arrays(target);
    }
    match test {
        ElementTest::Value(conditions) => {
            all_of(conditions, Target { is_element: true, ..target }).loosened()
        }
        ElementTest::Fields(_) => Part::loose(vec![
            Interval::of_type(ValueType::Object),
            Interval::of_type(ValueType::Array),
        ]),
    }
}

/// Strings that begin with the pattern's literal prefix, and the pattern itself as a value.
fn matched(pattern: &Pattern) -> Part {
    let (strings, is_exact) = match pattern.prefix() {
        Some((prefix, is_whole)) => (Interval::prefix(prefix), is_whole),
        None => (Interval::of_type(ValueType::String), false),
    };
    let itself = Interval::point(Value::Regex(pattern.source().clone()));
    Part { intervals: union(vec![strings, itself]), is_exact }
}
