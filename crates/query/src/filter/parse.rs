//! From a value to the tree of a filter, with every error in its place.

use anyenc::{Document, Value};

use super::compile::{
    BitRule, BitTest, InSet, Remainder, TypeSet, bit_of_bytes, integer_of, truncated,
};
use super::pattern::{Pattern, PatternBudget, PatternError, unknown_flag};
use super::{
    Clause, Condition, Conjunction, ElementTest, Filter, MAX_DEPTH, MAX_MEMBERS, MAX_NODES,
    OrderTest,
};
use crate::error::ParseError;
use crate::operand::Operand;
use crate::operators::{self, Operator, OperatorInfo, Place, filter_operators};
use crate::path;
use crate::trail::{Step, Trail};

/// Highest bit that a list of positions may name.
const MAX_BIT: i64 = i32::MAX as i64;

pub(super) fn filter<'v>(value: &'v Value, trail: &mut Trail<'v>) -> Result<Filter, ParseError> {
    match value {
        Value::Object(document) => document_filter(document, trail),
        _ => Err(trail.invalid("", "a filter must be an object")),
    }
}

pub(super) fn document_filter<'v>(
    document: &'v Document,
    trail: &mut Trail<'v>,
) -> Result<Filter, ParseError> {
    let parser = &mut Parser { trail, spent: Spent::default(), depth: 0 };
    let root = parser.conjunction(document)?;
    Ok(Filter { root: root.into() })
}

/// The operand of an `$elemMatch` that stands outside of a filter.
pub(super) fn element_filter<'v>(
    op: &str,
    value: &'v Value,
    trail: &mut Trail<'v>,
) -> Result<ElementTest, ParseError> {
    Parser { trail, spent: Spent::default(), depth: 0 }.element_test(op, value)
}

/// The filter of a condition on a value that is called by the empty name.
pub(super) fn value_filter<'v>(
    value: &'v Value,
    trail: &mut Trail<'v>,
) -> Result<Filter, ParseError> {
    let path = path::parse("", trail)?;
    let conditions = Parser { trail, spent: Spent::default(), depth: 0 }.field(value)?;
    Ok(Filter { root: Conjunction::new([Clause::Field { path, conditions }]).into() })
}

struct Parser<'t, 'v> {
    trail: &'t mut Trail<'v>,
    spent: Spent,
    depth: usize,
}

/// What the filter has used of its limits so far.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    nodes: usize,
    patterns: PatternBudget,
}

type Parsed<T> = Result<T, ParseError>;

impl<'v> Parser<'_, 'v> {
    /// Runs `inner` one step further down the request.
    fn within<T>(
        &mut self,
        step: Step<'v>,
        inner: impl FnOnce(&mut Parser<'_, 'v>) -> Parsed<T>,
    ) -> Parsed<T> {
        let (spent, depth) = (&mut self.spent, self.depth);
        self.trail.within(step, |trail| {
            let mut parser = Parser { trail, spent: *spent, depth };
            let result = inner(&mut parser);
            *spent = parser.spent;
            result
        })
    }

    /// Runs `inner` one level deeper in the tree.
    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            return Err(self.trail.limit(format!("operators are nested deeper than {MAX_DEPTH}")));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn count_node(&mut self) -> Parsed<()> {
        self.spent.nodes += 1;
        if self.spent.nodes > MAX_NODES {
            return Err(self
                .trail
                .limit(format!("the filter has more than {MAX_NODES} conditions")));
        }
        Ok(())
    }

    fn conjunction(&mut self, document: &'v Document) -> Parsed<Conjunction> {
        let mut clauses = Vec::with_capacity(document.len());
        for (key, value) in document.iter() {
            let clause = self.within(Step::Key(key), |parser| parser.clause(key, value))?;
            clauses.push(clause.into());
        }
        Ok(Conjunction { clauses })
    }

    fn clause(&mut self, key: &'v str, value: &'v Value) -> Parsed<Clause> {
        self.count_node()?;
        if !key.starts_with('$') {
            let path = path::parse(key, self.trail)?;
            return Ok(Clause::Field { path, conditions: self.field(value)? });
        }
        let info = self.operator(key)?;
        match info.operator {
            Operator::And => Ok(Clause::And(self.branches(key, value)?)),
            Operator::Or => Ok(Clause::Or(self.branches(key, value)?)),
            Operator::Nor => Ok(Clause::Nor(self.branches(key, value)?)),
            Operator::Comment => {
                self.operand(key, value)?;
                Ok(Clause::Comment(value.clone()))
            }
            _ => Err(self
                .trail
                .invalid(key, format!("{key} must stand in the condition on a field"))),
        }
    }

    fn operator(&self, name: &str) -> Parsed<&'static OperatorInfo> {
        operators::find(name, filter_operators())
            .ok_or_else(|| self.trail.unknown(name, filter_operators()))
    }

    /// The branches of a logical operator.
    fn branches(&mut self, op: &'v str, value: &'v Value) -> Parsed<Vec<Conjunction>> {
        let items = match value {
            Value::Array(items) if !items.is_empty() => items,
            _ => {
                return Err(self
                    .trail
                    .invalid(op, format!("{op} needs a non-empty array of filters")));
            }
        };
        self.deeper(|parser| {
            let mut branches = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                branches.push(parser.within(Step::Index(index), |parser| parser.branch(item))?);
            }
            Ok(branches)
        })
    }

    fn branch(&mut self, item: &'v Value) -> Parsed<Conjunction> {
        self.count_node()?;
        match item {
            Value::Object(document) => self.conjunction(document),
            _ => Err(self.trail.invalid("", "a filter must be an object")),
        }
    }

    /// The condition on a field: an object of operators, or a value it must equal.
    fn field(&mut self, value: &'v Value) -> Parsed<Vec<Condition>> {
        match value {
            Value::Object(document) if has_operators(document) => self.conditions(document),
            Value::Regex(regex) => Ok(vec![Condition::Regex(self.pattern(
                "$regex",
                &regex.pattern,
                &regex.options,
            )?)]),
            _ => Ok(vec![Condition::Eq(self.operand("", value)?)]),
        }
    }

    /// The operators of one object, which may hold nothing else.
    fn conditions(&mut self, document: &'v Document) -> Parsed<Vec<Condition>> {
        let by_operator = starts_with_operator(document);
        if let Some(key) =
            document.iter().map(|(key, _)| key).find(|key| is_operator(key) != by_operator)
        {
            let op = if is_operator(key) { key } else { "" };
            return self.within(Step::Key(key), |parser| {
                Err(parser.trail.invalid(op, "operators and fields are mixed in one object"))
            });
        }
        let mut conditions = Vec::with_capacity(document.len());
        for (key, value) in document.iter() {
            match key {
                "$regex" => conditions.push(self.regex(document, value)?),
                "$options" if document.get("$regex").is_some() => {}
                _ => conditions
                    .push(self.within(Step::Key(key), |parser| parser.condition(key, value))?),
            }
        }
        Ok(conditions)
    }

    fn condition(&mut self, op: &'v str, value: &'v Value) -> Parsed<Condition> {
        self.count_node()?;
        let info = self.operator(op)?;
        if info.place != Place::Field {
            return Err(self
                .trail
                .invalid(op, format!("{op} cannot stand in the condition on a field")));
        }
        Ok(match info.operator {
            Operator::Ne => Condition::Ne(self.comparable(op, value)?),
            Operator::Gt => Condition::Order(OrderTest::Gt, self.ordered(op, value)?),
            Operator::Gte => Condition::Order(OrderTest::Gte, self.ordered(op, value)?),
            Operator::Lt => Condition::Order(OrderTest::Lt, self.ordered(op, value)?),
            Operator::Lte => Condition::Order(OrderTest::Lte, self.ordered(op, value)?),
            Operator::In => Condition::In(self.members(op, value)?),
            Operator::Nin => Condition::Nin(self.members(op, value)?),
            Operator::Exists => Condition::Exists(is_true(value)),
            Operator::Type => Condition::Type(self.types(op, value)?),
            Operator::Size => Condition::Size(self.size(op, value)?),
            Operator::All => Condition::All(self.all(op, value)?),
            Operator::ElemMatch => Condition::ElemMatch(self.element_test(op, value)?),
            Operator::Mod => Condition::Mod(self.remainder(op, value)?),
            Operator::BitsAllSet => Condition::Bits(self.bits(op, BitRule::AllSet, value)?),
            Operator::BitsAnySet => Condition::Bits(self.bits(op, BitRule::AnySet, value)?),
            Operator::BitsAllClear => Condition::Bits(self.bits(op, BitRule::AllClear, value)?),
            Operator::BitsAnyClear => Condition::Bits(self.bits(op, BitRule::AnyClear, value)?),
            Operator::Not => Condition::Not(self.negated(op, value)?),
            Operator::Options => {
                return Err(self.trail.invalid(op, "$options needs a $regex beside it"));
            }
            _ => Condition::Eq(self.operand(op, value)?),
        })
    }

    fn operand(&self, op: &str, value: &Value) -> Parsed<Operand> {
        Operand::new(value).map_err(|error| self.trail.unencodable(op, &error))
    }

    fn comparable(&self, op: &str, value: &Value) -> Parsed<Operand> {
        match value {
            Value::Regex(_) => {
                Err(self.trail.invalid(op, format!("{op} cannot take a regular expression")))
            }
            _ => self.operand(op, value),
        }
    }

    fn ordered(&self, op: &str, value: &Value) -> Parsed<Operand> {
        match value {
            Value::Vector(_) => Err(self.trail.invalid(op, "a vector has no order")),
            _ => self.comparable(op, value),
        }
    }

    /// `$regex`, with the `$options` that may stand on either side of it.
    fn regex(&mut self, document: &'v Document, value: &'v Value) -> Parsed<Condition> {
        self.count_node()?;
        let options = match document.get("$options") {
            None => None,
            Some(options) => {
                Some(self.within(Step::Key("$options"), |parser| parser.options(options))?)
            }
        };
        self.within(Step::Key("$regex"), |parser| {
            let (pattern, options) = match (value, options) {
                (Value::String(pattern), options) => (pattern, options.unwrap_or_default()),
                (Value::Regex(regex), None) => (&regex.pattern, regex.options.as_str()),
                (Value::Regex(regex), Some(options)) if regex.options.is_empty() => {
                    (&regex.pattern, options)
                }
                (Value::Regex(_), Some(_)) => {
                    let reason = "the flags stand both in the expression and in $options";
                    return Err(parser.trail.invalid("$regex", reason));
                }
                _ => {
                    let reason = "$regex needs a string or a regular expression";
                    return Err(parser.trail.invalid("$regex", reason));
                }
            };
            Ok(Condition::Regex(parser.pattern("$regex", pattern, options)?))
        })
    }

    fn options(&self, value: &'v Value) -> Parsed<&'v str> {
        let Value::String(options) = value else {
            return Err(self.trail.invalid("$options", "$options needs a string"));
        };
        self.check_flags("$options", options)?;
        Ok(options)
    }

    fn check_flags(&self, op: &str, options: &str) -> Parsed<()> {
        match unknown_flag(options) {
            Some(flag) => {
                Err(self.trail.invalid(op, format!("unknown flag {flag:?}; flags are i, m, s, x")))
            }
            None => Ok(()),
        }
    }

    fn pattern(&mut self, op: &str, pattern: &str, options: &str) -> Parsed<Pattern> {
        self.check_flags(op, options)?;
        Pattern::new(pattern, options, &mut self.spent.patterns).map_err(|error| match error {
            PatternError::Syntax(reason) => self.trail.invalid(op, reason),
            PatternError::Limit(reason) => self.trail.limit(reason),
        })
    }

    fn array(&self, op: &str, value: &'v Value) -> Parsed<&'v [Value]> {
        match value {
            Value::Array(items) if items.len() > MAX_MEMBERS => {
                Err(self.trail.limit(format!("{op} has more than {MAX_MEMBERS} members")))
            }
            Value::Array(items) => Ok(items),
            _ => Err(self.trail.invalid(op, format!("{op} needs an array"))),
        }
    }

    fn members(&mut self, op: &str, value: &'v Value) -> Parsed<InSet> {
        let items = self.array(op, value)?;
        let (mut members, mut patterns) = (Vec::with_capacity(items.len()), Vec::new());
        for item in items {
            match item {
                Value::Regex(regex) => {
                    patterns.push(self.pattern(op, &regex.pattern, &regex.options)?);
                }
                _ => members.push(self.member(op, item)?),
            }
        }
        Ok(InSet::new(members, patterns))
    }

    fn member(&self, op: &str, item: &Value) -> Parsed<Operand> {
        match item {
            Value::Object(document) if starts_with_operator(document) => {
                Err(self.trail.invalid(op, format!("a member of {op} cannot be an operator")))
            }
            _ => self.operand(op, item),
        }
    }

    fn types(&self, op: &str, value: &Value) -> Parsed<TypeSet> {
        let names = match value {
            Value::Array(names) => names.as_slice(),
            name => std::slice::from_ref(name),
        };
        if names.is_empty() {
            return Err(self.trail.invalid(op, format!("{op} needs at least one type")));
        }
        let mut types = TypeSet::default();
        for name in names {
            if !types.add(name) {
                return Err(self
                    .trail
                    .invalid(op, format!("{op} knows no such type: {}", shown(name))));
            }
        }
        Ok(types)
    }

    fn size(&self, op: &str, value: &Value) -> Parsed<u64> {
        integer(value)
            .and_then(|size| u64::try_from(size).ok())
            .ok_or_else(|| self.trail.invalid(op, format!("{op} needs a non-negative integer")))
    }

    /// `$all`: equalities, or conditions on elements, not both.
    fn all(&mut self, op: &'v str, value: &'v Value) -> Parsed<Vec<Condition>> {
        let items = self.array(op, value)?;
        let element_tests = items.iter().any(|item| only_elem_match(item).is_some());
        self.deeper(|parser| {
            items.iter().map(|item| parser.member_of_all(op, element_tests, item)).collect()
        })
    }

    fn member_of_all(
        &mut self,
        op: &'v str,
        element_test: bool,
        item: &'v Value,
    ) -> Parsed<Condition> {
        self.count_node()?;
        match item {
            Value::Object(document) if starts_with_operator(document) => {
                match only_elem_match(item) {
                    Some(test) => Ok(Condition::ElemMatch(self.element_test("$elemMatch", test)?)),
                    None => Err(self
                        .trail
                        .invalid(op, format!("a member of {op} cannot be an operator"))),
                }
            }
            _ if element_test => {
                Err(self.trail.invalid(op, format!("{op} takes values or $elemMatch, not both")))
            }
            Value::Regex(regex) => {
                Ok(Condition::Regex(self.pattern(op, &regex.pattern, &regex.options)?))
            }
            _ => Ok(Condition::Eq(self.member(op, item)?)),
        }
    }

    fn element_test(&mut self, op: &str, value: &'v Value) -> Parsed<ElementTest> {
        let Value::Object(document) = value else {
            return Err(self.trail.invalid(op, format!("{op} needs an object")));
        };
        self.deeper(|parser| {
            if tests_value(document) {
                Ok(ElementTest::Value(parser.conditions(document)?))
            } else {
                Ok(ElementTest::Fields(parser.conjunction(document)?))
            }
        })
    }

    fn remainder(&self, op: &str, value: &Value) -> Parsed<Remainder> {
        let Value::Array(items) = value else {
            return Err(self.trail.invalid(op, format!("{op} needs [divisor, remainder]")));
        };
        let [divisor, remainder] = items.as_slice() else {
            return Err(self.trail.invalid(op, format!("{op} needs [divisor, remainder]")));
        };
        match (truncated_integer(divisor), truncated_integer(remainder)) {
            (Some(0), _) => Err(self.trail.invalid(op, "the divisor cannot be 0")),
            (Some(divisor), Some(remainder)) => Ok(Remainder { divisor, remainder }),
            _ => Err(self.trail.invalid(op, format!("{op} needs two numbers of 64 bits"))),
        }
    }

    fn bits(&self, op: &str, rule: BitRule, value: &Value) -> Parsed<BitTest> {
        let positions = match value {
            Value::Array(items) => items.iter().map(bit_position).collect(),
            Value::Binary(mask) if mask.bytes.len() <= MAX_MEMBERS / 8 => {
                Some(set_bits(&mask.bytes))
            }
            Value::Binary(_) => {
                return Err(self.trail.limit(format!("the mask of {op} is too long")));
            }
            mask => {
                integer(mask).filter(|mask| *mask >= 0).map(|mask| set_bits(&mask.to_le_bytes()))
            }
        };
        let Some(mut positions) = positions else {
            let reason = format!("{op} needs a non-negative integer, bit positions or a binary");
            return Err(self.trail.invalid(op, reason));
        };
        positions.sort_unstable();
        positions.dedup();
        Ok(BitTest { rule, positions })
    }

    fn negated(&mut self, op: &'v str, value: &'v Value) -> Parsed<Vec<Condition>> {
        match value {
            Value::Object(document) if starts_with_operator(document) => {
                self.deeper(|parser| parser.conditions(document))
            }
            Value::Object(_) => Err(self.trail.invalid(op, format!("{op} needs operators"))),
            Value::Regex(regex) => Ok(vec![Condition::Regex(self.pattern(
                "$regex",
                &regex.pattern,
                &regex.options,
            )?)]),
            _ => Err(self.trail.invalid("", format!("{op} needs an object of operators"))),
        }
    }
}

fn is_operator(key: &str) -> bool {
    key.starts_with('$')
}

fn has_operators(document: &Document) -> bool {
    document.iter().any(|(key, _)| is_operator(key))
}

fn starts_with_operator(document: &Document) -> bool {
    document.iter().next().is_some_and(|(key, _)| is_operator(key))
}

/// Does an `$elemMatch` ask about elements themselves, not about their fields?
pub(crate) fn tests_value(document: &Document) -> bool {
    document.iter().next().is_some_and(|(key, _)| {
        let at_filter_level = operators::find(key, filter_operators())
            .is_some_and(|info| info.place == Place::Filter);
        is_operator(key) && !at_filter_level
    })
}

/// The operand of an object that is `{"$elemMatch": ...}` and nothing else.
fn only_elem_match(value: &Value) -> Option<&Value> {
    match value {
        Value::Object(document) if document.len() == 1 => document.get("$elemMatch"),
        _ => None,
    }
}

/// MongoDB's notion of true: everything but false, null and zero.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Int64(number) => *number != 0,
        Value::Double(number) => *number != 0.0,
        _ => true,
    }
}

/// A number that is an integer of 64 bits.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int64(number) => Some(*number),
        Value::Double(number) => integer_of(*number),
        _ => None,
    }
}

fn truncated_integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int64(number) => Some(*number),
        Value::Double(number) => truncated(*number),
        _ => None,
    }
}

fn bit_position(value: &Value) -> Option<u32> {
    integer(value).filter(|bit| *bit <= MAX_BIT).and_then(|bit| u32::try_from(bit).ok())
}

fn set_bits(bytes: &[u8]) -> Vec<u32> {
    let end = u32::try_from(bytes.len()).unwrap_or(u32::MAX).saturating_mul(8);
    (0..end).filter(|bit| bit_of_bytes(bytes, *bit)).collect()
}

/// A value in an error: scalars as they are, the rest by type.
fn shown(value: &Value) -> String {
    match value {
        Value::String(_) | Value::Int64(_) | Value::Double(_) | Value::Bool(_) | Value::Null => {
            value.to_string().chars().take(40).collect()
        }
        _ => value.value_type().name().to_owned(),
    }
}
