//! Filters over owned trees.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::HashMap;

use anyenc::{Document, Regex, Value};
use regex::RegexBuilder;

use crate::order::{compare, equal};

/// What a path finds: every value, and nothing for each object that lacks it.
pub type Values<'v> = Vec<Option<&'v Value>>;

/// Does a document match a filter?
///
/// # Panics
/// If the filter is not valid.
#[must_use]
pub fn matches(filter: &Document, document: &Document) -> bool {
    filter.iter().all(|(key, operand)| match key {
        "$and" => branches(operand).iter().all(|branch| matches(branch, document)),
        "$or" => branches(operand).iter().any(|branch| matches(branch, document)),
        "$nor" => !branches(operand).iter().any(|branch| matches(branch, document)),
        path => {
            let parts: Vec<&str> = path.split('.').collect();
            let whole = at_path(document, &parts, false);
            let spread = at_path(document, &parts, true);
            field(operand, &spread, &whole)
        }
    })
}

fn branches(operand: &Value) -> Vec<&Document> {
    array(operand).iter().map(object).collect()
}

fn object(value: &Value) -> &Document {
    value.as_document().expect("an object")
}

/// The values at a path; with `spread`, an array at its end gives its elements as well.
///
/// # Panics
/// If the path has no parts.
#[must_use]
pub fn at_path<'v>(from: &'v Document, parts: &[&str], spread: bool) -> Values<'v> {
    let rest = &parts[1..];
    match from.get(parts[0]) {
        Some(whole @ Value::Array(items)) if rest.is_empty() && spread => {
            items.iter().chain([whole]).map(Some).collect()
        }
        found if rest.is_empty() => vec![found],
        Some(Value::Object(inner)) => at_path(inner, rest, spread),
        Some(Value::Array(items)) => in_array(items, rest, spread),
        _ => vec![None],
    }
}

fn in_array<'v>(items: &'v [Value], parts: &[&str], spread: bool) -> Values<'v> {
    let mut values = Vec::new();
    for (index, item) in items.iter().enumerate() {
        if let Value::Object(inner) = item {
            values.extend(at_path(inner, parts, spread));
        }
        if parts[0] == index.to_string() {
            match item {
                item if parts.len() == 1 => values.push(Some(item)),
                Value::Object(inner) => values.extend(at_path(inner, &parts[1..], spread)),
                Value::Array(inner) => values.extend(in_array(inner, &parts[1..], spread)),
                _ => {}
            }
        }
    }
    values
}

fn is_operators(value: &Value) -> bool {
    value.as_document().is_some_and(|object| object.keys().any(|key| key.starts_with('$')))
}

fn field(condition: &Value, spread: &Values<'_>, whole: &Values<'_>) -> bool {
    if let Value::Regex(regex) = condition {
        spread.iter().flatten().any(|value| pattern(value, regex))
    } else if is_operators(condition) {
        let operators = object(condition);
        operators.iter().all(|(name, operand)| match name {
            "$regex" => {
                let options = operators.get("$options").and_then(Value::as_str).unwrap_or("");
                let pattern = operand.as_str().expect("a pattern").to_owned();
                field(&Value::Regex(Regex { pattern, options: options.to_owned() }), spread, whole)
            }
            "$options" => true,
            _ => operator(name, operand, spread, whole),
        })
    } else {
        operator("$eq", condition, spread, whole)
    }
}

fn operator(name: &str, operand: &Value, spread: &Values<'_>, whole: &Values<'_>) -> bool {
    let any = |test: &dyn Fn(&Value) -> bool| {
        spread.iter().any(|value| test(value.unwrap_or(&Value::Null)))
    };
    let present = |test: &dyn Fn(&Value) -> bool| spread.iter().flatten().any(|value| test(value));
    match name {
        "$eq" => any(&|value| equal(value, operand)),
        "$ne" => !operator("$eq", operand, spread, whole),
        "$gt" => any(&|value| order(value, operand).is_some_and(Ordering::is_gt)),
        "$gte" => any(&|value| order(value, operand).is_some_and(Ordering::is_ge)),
        "$lt" => any(&|value| order(value, operand).is_some_and(Ordering::is_lt)),
        "$lte" => any(&|value| order(value, operand).is_some_and(Ordering::is_le)),
        "$in" => array(operand).iter().any(|member| match member {
            Value::Regex(_) => field(member, spread, whole),
            member => any(&|value| equal(value, member)),
        }),
        "$nin" => !operator("$in", operand, spread, whole),
        "$exists" => spread.iter().any(Option::is_some) == (matches!(operand, Value::Bool(true))),
        "$type" => present(&|value| is_type(value, operand.as_str().expect("a name"))),
        "$size" => arrays(whole).any(|items| equal(&Value::Int64(items.len() as i64), operand)),
        "$all" => {
            !array(operand).is_empty()
                && array(operand).iter().all(|member| field(member, spread, whole))
        }
        "$mod" => present(&|value| remainder(value, array(operand))),
        "$elemMatch" => arrays(whole).any(|items| items.iter().any(|item| element(item, operand))),
        "$not" => !field(operand, spread, whole),
        bits => present(&|value| mask(value, bits, operand.as_i64().expect("a mask"))),
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().expect("an array")
}

fn arrays<'v>(values: &Values<'v>) -> impl Iterator<Item = &'v [Value]> {
    values.iter().flatten().filter_map(|value| value.as_array())
}

/// The order of two values that an operator may compare.
fn order(value: &Value, operand: &Value) -> Option<Ordering> {
    let is_number = |value: &Value| matches!(value, Value::Int64(_) | Value::Double(_));
    let is_nan = |value: &Value| matches!(value, Value::Double(number) if number.is_nan());
    let comparable = if is_number(operand) {
        is_number(value) && is_nan(value) == is_nan(operand)
    } else {
        value.value_type() == operand.value_type()
    };
    comparable.then(|| compare(value, operand))
}

fn is_type(value: &Value, name: &str) -> bool {
    match value {
        Value::Int64(number) => {
            let is_int = i32::try_from(*number).is_ok();
            name == "number" || name == if is_int { "int" } else { "long" }
        }
        Value::Double(_) => name == "double" || name == "number",
        Value::Null => name == "null",
        Value::String(_) => name == "string",
        Value::Object(_) => name == "object",
        Value::Array(_) => name == "array",
        Value::Binary(_) => name == "binData",
        Value::ObjectId(_) => name == "objectId",
        Value::Bool(_) => name == "bool",
        Value::DateTime(_) => name == "date",
        Value::Regex(_) => name == "regex",
        Value::Vector(_) => name == "vector",
    }
}

/// Does a string match a pattern, or is a stored pattern the same?
fn pattern(value: &Value, regex: &Regex) -> bool {
    thread_local! {
        static COMPILED: RefCell<HashMap<(String, String), regex::Regex>> = RefCell::default();
    }
    let compile = || {
        let mut builder = RegexBuilder::new(&regex.pattern);
        for flag in regex.options.chars() {
            match flag {
                'i' => builder.case_insensitive(true),
                'm' => builder.multi_line(true),
                's' => builder.dot_matches_new_line(true),
                'x' => builder.ignore_whitespace(true),
                other => panic!("what is {other}?"),
            };
        }
        builder.build().expect("a valid pattern")
    };
    match value {
        Value::String(text) => COMPILED.with_borrow_mut(|compiled| {
            let key = (regex.pattern.clone(), regex.options.clone());
            compiled.entry(key).or_insert_with(compile).is_match(text)
        }),
        Value::Regex(stored) => {
            (&stored.pattern, &stored.options) == (&regex.pattern, &regex.options)
        }
        _ => false,
    }
}

fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Int64(number) => Some(i128::from(*number)),
        Value::Double(number) if number.is_finite() => {
            let whole = number.trunc() as i128;
            (i128::from(i64::MIN)..=i128::from(i64::MAX)).contains(&whole).then_some(whole)
        }
        _ => None,
    }
}

fn remainder(value: &Value, pair: &[Value]) -> bool {
    let (divisor, wanted) = (integer(&pair[0]).unwrap(), integer(&pair[1]).unwrap());
    integer(value).is_some_and(|number| number % divisor == wanted)
}

fn mask(value: &Value, rule: &str, mask: i64) -> bool {
    if let Value::Binary(binary) = value {
        let mut bytes = [0; 8];
        let len = binary.bytes.len().min(8);
        bytes[..len].copy_from_slice(&binary.bytes[..len]);
        return mask_of(i64::from_le_bytes(bytes), rule, mask);
    }
    if matches!(value, Value::Double(number) if number.fract() != 0.0) {
        return false;
    }
    integer(value).is_some_and(|number| mask_of(number as i64, rule, mask))
}

fn mask_of(number: i64, rule: &str, mask: i64) -> bool {
    let bits = number & mask;
    match rule {
        "$bitsAllSet" => bits == mask,
        "$bitsAnySet" => bits != 0,
        "$bitsAllClear" => bits == 0,
        "$bitsAnyClear" => bits != mask,
        other => panic!("what is {other}?"),
    }
}

/// Does an element pass an `$elemMatch`? Asked of the element itself, it is one value.
///
/// # Panics
/// If the test is not valid.
#[must_use]
pub fn element(item: &Value, test: &Value) -> bool {
    let first = object(test).keys().next().map(str::to_owned).unwrap_or_default();
    if first.starts_with('$') && !["$and", "$or", "$nor"].contains(&first.as_str()) {
        let alone = vec![Some(item)];
        return field(test, &alone, &alone);
    }
    match item {
        Value::Object(item) => matches(object(test), item),
        Value::Array(items) => {
            let numbered =
                items.iter().enumerate().map(|(index, item)| (index.to_string(), item.clone()));
            matches(object(test), &numbered.collect())
        }
        _ => false,
    }
}
