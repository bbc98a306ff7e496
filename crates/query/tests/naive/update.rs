//! Updates over owned trees: one path after the other, in sorted order.

use anyenc::{Document, Value};

#[derive(Debug, PartialEq)]
pub(crate) enum Refusal {
    Conflict,
    Apply,
    Overflow,
}

/// One path and what is done to it.
struct Step<'u> {
    parts: Vec<&'u str>,
    op: &'u str,
    operand: &'u Value,
}

pub(crate) fn apply(update: &Document, document: &Document) -> Result<Document, Refusal> {
    let mut steps = Vec::new();
    for (op, fields) in update {
        for (path, operand) in fields.as_document().expect("an object of paths") {
            steps.push(Step { parts: path.split('.').collect(), op, operand });
        }
    }
    for (place, step) in steps.iter().enumerate() {
        for other in &steps[place + 1..] {
            let common = step.parts.len().min(other.parts.len());
            if step.parts[..common] == other.parts[..common] {
                return Err(Refusal::Conflict);
            }
        }
    }
    // Names here are letters or digits, so that numbers come first and among them by value.
    steps.sort_by_key(|step| {
        let rank = |part: &&str| (part.parse::<usize>().unwrap_or(usize::MAX), part.to_string());
        step.parts.iter().map(rank).collect::<Vec<_>>()
    });
    let mut root = Value::Object(document.clone());
    for step in &steps {
        change(&mut root, &step.parts, step)?;
    }
    let Value::Object(changed) = root else { panic!("the root stays an object") };
    Ok(changed)
}

fn change(at: &mut Value, parts: &[&str], step: &Step<'_>) -> Result<(), Refusal> {
    let (name, rest) = (parts[0], &parts[1..]);
    let unset = step.op == "$unset";
    match at {
        Value::Object(object) => {
            if unset && rest.is_empty() {
                object.remove(name);
                return Ok(());
            }
            if let Some(inner) = object.get_mut(name) {
                return if rest.is_empty() {
                    replace(inner, step)
                } else {
                    change(inner, rest, step)
                };
            }
            if !unset {
                object.insert(name, made(rest, step));
            }
            Ok(())
        }
        Value::Array(items) => {
            let Ok(index) = name.parse::<usize>() else {
                return if unset { Ok(()) } else { Err(Refusal::Apply) };
            };
            match items.get_mut(index) {
                Some(item) if rest.is_empty() && unset => *item = Value::Null,
                Some(item) if rest.is_empty() => return replace(item, step),
                Some(item) => return change(item, rest, step),
                None if unset => {}
                None => {
                    items.resize(index, Value::Null);
                    items.push(made(rest, step));
                }
            }
            Ok(())
        }
        _ if unset => Ok(()),
        _ => Err(Refusal::Apply),
    }
}

/// A value where there was none, inside the objects that lead to it.
fn made(rest: &[&str], step: &Step<'_>) -> Value {
    if let Some((name, rest)) = rest.split_first() {
        return Value::Object(Document::from([(*name, made(rest, step))]));
    }
    match (step.op, step.operand) {
        ("$mul", Value::Int64(_)) => Value::Int64(0),
        ("$mul", _) => Value::Double(0.0),
        (_, operand) => operand.clone(),
    }
}

fn replace(value: &mut Value, step: &Step<'_>) -> Result<(), Refusal> {
    *value = match step.op {
        "$set" => step.operand.clone(),
        "$min" => if step.operand < value { step.operand } else { &*value }.clone(),
        "$max" => if step.operand > value { step.operand } else { &*value }.clone(),
        op => match (&*value, step.operand) {
            (Value::Int64(a), Value::Int64(b)) => {
                let (a, b) = (i128::from(*a), i128::from(*b));
                let exact = if op == "$inc" { a + b } else { a * b };
                Value::Int64(i64::try_from(exact).map_err(|_| Refusal::Overflow)?)
            }
            (Value::Int64(_) | Value::Double(_), b) => {
                let (a, b) = (value.as_f64().unwrap(), b.as_f64().unwrap());
                Value::Double(if op == "$inc" { a + b } else { a * b })
            }
            _ => return Err(Refusal::Apply),
        },
    };
    Ok(())
}
