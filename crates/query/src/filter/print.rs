//! From the tree back to a document that parses to the same tree.

use anyenc::{Document, Value};

use super::compile::{BitRule, BitTest, InSet, TypeSet};
use super::pattern::Pattern;
use super::{Clause, Condition, Conjunction, ElementTest, OrderTest};

pub(super) fn conjunction(all: &Conjunction) -> Document {
    all.clauses().map(clause).collect()
}

fn clause(clause: &Clause) -> (String, Value) {
    let (key, value) = match clause {
        Clause::And(branches) => ("$and", self::branches(branches)),
        Clause::Or(branches) => ("$or", self::branches(branches)),
        Clause::Nor(branches) => ("$nor", self::branches(branches)),
        Clause::Comment(value) => ("$comment", value.clone()),
        Clause::Field { path, conditions } => (path.as_str(), field(conditions)),
    };
    (key.to_owned(), value)
}

fn branches(branches: &[Conjunction]) -> Value {
    Value::Array(branches.iter().map(|branch| Value::Object(conjunction(branch))).collect())
}

/// A single equality is shown as the value alone, where that cannot be taken for something else.
fn field(conditions: &[Condition]) -> Value {
    match conditions {
        [Condition::Eq(operand)]
            if !matches!(operand.value(), Value::Object(_) | Value::Regex(_)) =>
        {
            operand.value().clone()
        }
        _ => Value::Object(operators(conditions)),
    }
}

fn operators(conditions: &[Condition]) -> Document {
    let mut document = Document::new();
    for condition in conditions {
        let (name, value) = operator(condition);
        document.insert(name, value);
        if let Condition::Regex(pattern) = condition
            && !pattern.source().options.is_empty()
        {
            document.insert("$options", pattern.source().options.as_str());
        }
    }
    document
}

fn operator(condition: &Condition) -> (&'static str, Value) {
    match condition {
        Condition::Eq(operand) => ("$eq", operand.value().clone()),
        Condition::Ne(operand) => ("$ne", operand.value().clone()),
        Condition::Order(test, operand) => (order_name(*test), operand.value().clone()),
        Condition::In(set) => ("$in", members(set)),
        Condition::Nin(set) => ("$nin", members(set)),
        Condition::Exists(wanted) => ("$exists", Value::Bool(*wanted)),
        Condition::Type(types) => ("$type", type_names(*types)),
        Condition::Size(size) => ("$size", Value::Int64(i64::try_from(*size).unwrap_or(i64::MAX))),
        Condition::All(conditions) => ("$all", all(conditions)),
        Condition::ElemMatch(test) => ("$elemMatch", element_test(test)),
        Condition::Mod(test) => {
            ("$mod", Value::Array(vec![Value::Int64(test.divisor), Value::Int64(test.remainder)]))
        }
        Condition::Bits(test) => (bits_name(test.rule), positions(test)),
        Condition::Regex(pattern) => ("$regex", Value::from(pattern.source().pattern.as_str())),
        Condition::Not(conditions) => ("$not", Value::Object(operators(conditions))),
    }
}

pub(super) fn order_name(test: OrderTest) -> &'static str {
    match test {
        OrderTest::Gt => "$gt",
        OrderTest::Gte => "$gte",
        OrderTest::Lt => "$lt",
        OrderTest::Lte => "$lte",
    }
}

pub(super) fn bits_name(rule: BitRule) -> &'static str {
    match rule {
        BitRule::AllSet => "$bitsAllSet",
        BitRule::AnySet => "$bitsAnySet",
        BitRule::AllClear => "$bitsAllClear",
        BitRule::AnyClear => "$bitsAnyClear",
    }
}

fn members(set: &InSet) -> Value {
    Value::Array(set.members().cloned().chain(set.patterns().iter().map(literal)).collect())
}

/// A pattern where it stands among values.
fn literal(pattern: &Pattern) -> Value {
    Value::Regex(pattern.source().clone())
}

fn type_names(types: TypeSet) -> Value {
    Value::Array(types.names().map(Value::from).collect())
}

fn positions(test: &BitTest) -> Value {
    Value::Array(test.positions.iter().map(|bit| Value::Int64(i64::from(*bit))).collect())
}

fn all(conditions: &[Condition]) -> Value {
    let member = |condition: &Condition| match condition {
        Condition::Eq(operand) => operand.value().clone(),
        Condition::Regex(pattern) => literal(pattern),
        other => Value::Object(operators(std::slice::from_ref(other))),
    };
    Value::Array(conditions.iter().map(member).collect())
}

fn element_test(test: &ElementTest) -> Value {
    Value::Object(match test {
        ElementTest::Value(conditions) => operators(conditions),
        ElementTest::Fields(all) => conjunction(all),
    })
}
