//! The operands of the update operators.

use anyenc::{Direction, Document, Number, Path, Value};

use super::Action;
use super::array::{ArrayAction, ElementSort, End, Members, Pull, Push};
use super::number::BitStep;
use crate::error::ParseError;
use crate::filter::{Filter, integer, tests_value};
use crate::operand::Operand;
use crate::operators::Operator;
use crate::path;
use crate::trail::{Step, Trail};

/// Most fields of the `$sort` of a `$push`.
const MAX_SORT_FIELDS: usize = 64;

/// The changes that one path of an operator comes to.
pub(super) enum Written {
    One(Action),
    /// Two: one at the path and one at the new path.
    Rename {
        to: Path,
        away: Action,
        arrive: Action,
    },
}

/// Reads the operand for one path of an operator.
pub(super) fn read<'v>(
    operator: Operator,
    op: &'v str,
    path: &Path,
    value: &'v Value,
    trail: &mut Trail<'v>,
) -> Result<Written, ParseError> {
    Ok(Written::One(match operator {
        Operator::Unset => Action::Unset,
        Operator::Inc => Action::Inc(number(op, value, trail)?),
        Operator::Mul => Action::Mul(number(op, value, trail)?),
        Operator::Min => Action::Min(literal(op, value, trail)?),
        Operator::Max => Action::Max(literal(op, value, trail)?),
        Operator::SetOnInsert => Action::SetOnInsert(literal(op, value, trail)?),
        Operator::CurrentDate => current_date(op, value, trail)?,
        Operator::Bit => Action::Bit(bit_steps(op, value, trail)?),
        Operator::Rename => return rename(op, path, value, trail),
        Operator::Push => Action::Array(ArrayAction::Push(push(op, value, trail)?)),
        Operator::AddToSet => Action::Array(ArrayAction::AddToSet(add_to_set(op, value, trail)?)),
        Operator::Pop => Action::Array(ArrayAction::Pop(pop(op, value, trail)?)),
        Operator::Pull => Action::Array(ArrayAction::Pull(pull(op, value, trail)?)),
        Operator::PullAll => match value {
            Value::Array(values) => {
                Action::Array(ArrayAction::PullAll(members(op, values, trail)?))
            }
            _ => return Err(trail.invalid(op, format!("{op} needs an array of values"))),
        },
        _ => Action::Set(literal(op, value, trail)?),
    }))
}

fn literal(op: &str, value: &Value, trail: &Trail<'_>) -> Result<Operand, ParseError> {
    Operand::new(value).map_err(|error| trail.unencodable(op, &error))
}

fn members(op: &str, values: &[Value], trail: &Trail<'_>) -> Result<Members, ParseError> {
    Members::new(values).map_err(|error| trail.unencodable(op, &error))
}

fn number(op: &str, value: &Value, trail: &Trail<'_>) -> Result<Number, ParseError> {
    match value {
        Value::Int64(number) => Ok(Number::Int64(*number)),
        Value::Double(number) => Ok(Number::Double(*number)),
        _ => Err(trail.invalid(op, format!("{op} needs a number"))),
    }
}

fn current_date(op: &str, value: &Value, trail: &Trail<'_>) -> Result<Action, ParseError> {
    let is_date = match value {
        Value::Bool(_) => true,
        Value::Object(form) => {
            form.len() == 1 && form.get("$type").and_then(Value::as_str) == Some("date")
        }
        _ => false,
    };
    if is_date {
        return Ok(Action::CurrentDate);
    }
    Err(trail.invalid(op, format!("{op} needs true or {{\"$type\": \"date\"}}")))
}

fn bit_steps<'v>(
    op: &'v str,
    value: &'v Value,
    trail: &mut Trail<'v>,
) -> Result<Vec<BitStep>, ParseError> {
    let steps = match value {
        Value::Object(steps) if !steps.is_empty() => steps,
        _ => return Err(trail.invalid(op, format!("{op} needs an object of and, or, xor"))),
    };
    let step = |(name, mask): (&'v str, &'v Value)| {
        trail.within(Step::Key(name), |trail| match (name, mask) {
            ("and", Value::Int64(mask)) => Ok(BitStep::And(*mask)),
            ("or", Value::Int64(mask)) => Ok(BitStep::Or(*mask)),
            ("xor", Value::Int64(mask)) => Ok(BitStep::Xor(*mask)),
            ("and" | "or" | "xor", _) => Err(trail.invalid(op, format!("{name} needs an integer"))),
            _ => Err(trail.invalid(op, format!("{op} knows and, or and xor"))),
        })
    };
    steps.iter().map(step).collect()
}

fn rename(op: &str, from: &Path, value: &Value, trail: &Trail<'_>) -> Result<Written, ParseError> {
    let Value::String(to) = value else {
        return Err(trail.invalid(op, format!("{op} needs the new path as a string")));
    };
    if from.segments().iter().any(|part| part.name.starts_with('$')) {
        return Err(trail.invalid(op, format!("{op} takes no positional parts")));
    }
    let to = path::parse_plain(to, trail)?;
    if from.is_prefix_of(&to) || to.is_prefix_of(from) {
        let reason =
            format!("{op} cannot move a field onto itself, into itself or onto its parent");
        return Err(trail.invalid(op, reason));
    }
    let arrive = Action::RenameTo(from.clone());
    Ok(Written::Rename { to, away: Action::RenameAway, arrive })
}

fn pop(op: &str, value: &Value, trail: &Trail<'_>) -> Result<End, ParseError> {
    match integer(value) {
        Some(1) => Ok(End::Last),
        Some(-1) => Ok(End::First),
        _ => Err(trail.invalid(op, format!("{op} needs 1 or -1"))),
    }
}

fn pull<'v>(op: &str, value: &'v Value, trail: &mut Trail<'v>) -> Result<Pull, ParseError> {
    match value {
        Value::Regex(_) => Ok(Pull::Condition(Filter::of_value(value, trail)?)),
        Value::Object(document) if tests_value(document) => {
            Ok(Pull::Condition(Filter::of_value(value, trail)?))
        }
        Value::Object(_) => Ok(Pull::Matching(Filter::parse_at(value, trail)?)),
        _ => Ok(Pull::Equal(literal(op, value, trail)?)),
    }
}

fn add_to_set<'v>(
    op: &'v str,
    value: &'v Value,
    trail: &mut Trail<'v>,
) -> Result<Members, ParseError> {
    let Value::Object(form) = value else { return members(op, std::slice::from_ref(value), trail) };
    if !form.contains_key("$each") {
        return members(op, std::slice::from_ref(value), trail);
    }
    let other = form.keys().find(|key| *key != "$each");
    if let Some(other) = other {
        return trail.within(Step::Key(other), |trail| {
            Err(trail.invalid(op, format!("{op} takes nothing beside $each")))
        });
    }
    members(op, each(form, trail)?, trail)
}

fn each<'v>(form: &'v Document, trail: &mut Trail<'v>) -> Result<&'v [Value], ParseError> {
    trail.within(Step::Key("$each"), |trail| match form.get("$each") {
        Some(Value::Array(values)) => Ok(values.as_slice()),
        _ => Err(trail.invalid("$each", "$each needs an array")),
    })
}

/// A value, or `$each` with its modifiers.
fn push<'v>(op: &'v str, value: &'v Value, trail: &mut Trail<'v>) -> Result<Push, ParseError> {
    let mut push = Push { values: Vec::new(), position: None, slice: None, sort: None };
    let form = match value {
        Value::Object(form) if form.keys().any(is_push_modifier) => form,
        _ => {
            push.values.push(literal(op, value, trail)?);
            return Ok(push);
        }
    };
    for (key, value) in form.iter() {
        trail.within(Step::Key(key), |trail| {
            match key {
                "$each" => {}
                "$position" => push.position = Some(whole(key, value, trail)?),
                "$slice" => push.slice = Some(whole(key, value, trail)?),
                "$sort" => push.sort = Some(element_sort(value, trail)?),
                _ => return Err(trail.invalid(op, format!("{op} knows no such modifier"))),
            }
            Ok(())
        })?;
    }
    let values = each(form, trail)?.iter();
    push.values = values.map(|value| literal(op, value, trail)).collect::<Result<_, _>>()?;
    Ok(push)
}

fn is_push_modifier(key: &str) -> bool {
    matches!(key, "$each" | "$position" | "$slice" | "$sort")
}

fn whole(op: &str, value: &Value, trail: &Trail<'_>) -> Result<i64, ParseError> {
    integer(value).ok_or_else(|| trail.invalid(op, format!("{op} needs an integer")))
}

/// `1`, `-1`, or an object from paths to these.
fn element_sort<'v>(value: &'v Value, trail: &mut Trail<'v>) -> Result<ElementSort, ParseError> {
    let fields = match value {
        Value::Object(fields) if !fields.is_empty() => fields,
        _ => return Ok(ElementSort::Whole(direction(value, trail)?)),
    };
    if fields.len() > MAX_SORT_FIELDS {
        return Err(trail.limit(format!("a $sort has at most {MAX_SORT_FIELDS} fields")));
    }
    let field = |(name, value): (&'v str, &'v Value)| {
        trail.within(Step::Key(name), |trail| {
            Ok((path::parse_plain(name, trail)?, direction(value, trail)?))
        })
    };
    fields.iter().map(field).collect::<Result<_, _>>().map(ElementSort::Fields)
}

fn direction(value: &Value, trail: &Trail<'_>) -> Result<Direction, ParseError> {
    match integer(value) {
        Some(1) => Ok(Direction::Ascending),
        Some(-1) => Ok(Direction::Descending),
        _ => Err(trail.invalid("$sort", "$sort needs 1, -1, or an object from paths to these")),
    }
}
