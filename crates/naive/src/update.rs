//! Updates over owned trees: every path made concrete, then one after the other, in sorted order.

use anyenc::{Document, Value};

use crate::filter;
use crate::order::{compare, equal};

/// Why an update does not apply to a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Two of its changes meet.
    Conflict,
    /// What is there is not what it takes.
    Apply,
    /// A number does not fit.
    Overflow,
}

/// An update as it is written, with what its positional parts mean.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The operators.
    pub update: Document,
    /// What `$[name]` means, by name.
    pub array_filters: Vec<(String, Document)>,
    /// What documents must match, for `$`.
    pub filter: Option<Document>,
}

/// One path and what is done to it.
#[derive(Clone)]
struct Step {
    parts: Vec<String>,
    op: String,
    operand: Value,
}

/// Would the update be refused whatever the document?
///
/// # Panics
/// If it is not valid otherwise; so for all functions here.
#[must_use]
pub fn collides(update: &Document) -> bool {
    let paths = written(update).into_iter().flat_map(|step| match step.op.as_str() {
        "$rename" => vec![step.parts, split(step.operand.as_str().expect("a path"))],
        _ => vec![step.parts],
    });
    let paths: Vec<Vec<String>> = paths.collect();
    let pairs = paths
        .iter()
        .enumerate()
        .flat_map(|(at, one)| paths[at + 1..].iter().map(move |other| (one, other)));
    pairs.into_iter().any(|(one, other)| {
        let fork = one.iter().zip(other).find(|(part, other)| part != other);
        fork.is_none_or(|(part, other)| part.starts_with("$[") != other.starts_with("$["))
    })
}

/// The document after an update.
///
/// # Errors
/// The update does not apply to it.
pub fn apply(request: &Request, document: &Document) -> Result<Document, Refusal> {
    apply_in(request, document, Occasion::Update)
}

/// The document that an upsert makes of the fields it begins with.
///
/// # Errors
/// The update does not apply to them.
pub fn apply_to_new(request: &Request, seed: &Document) -> Result<Document, Refusal> {
    apply_in(request, seed, Occasion::Insert)
}

/// What an upsert that found nothing begins with: the fields that the filter fixes by equality.
///
/// # Errors
/// One field is fixed twice, or no document can have it.
pub fn upsert_seed(filter: &Document) -> Result<Document, Refusal> {
    let mut fixed = Vec::new();
    equalities(filter, &mut fixed);
    let is_no_field = |part: &String| part.is_empty() || part.starts_with('$');
    if fixed.iter().any(|step| step.parts.iter().any(is_no_field)) {
        return Err(Refusal::Apply);
    }
    run(fixed, &Document::new())
}

fn equalities(filter: &Document, fixed: &mut Vec<Step>) {
    for (key, condition) in filter {
        match key {
            "$and" => {
                let branches = condition.as_array().expect("an array");
                branches.iter().for_each(|branch| {
                    equalities(branch.as_document().expect("a filter"), fixed);
                });
            }
            key if key.starts_with('$') => {}
            path => fixed.extend(fixed_value(condition).map(|operand| Step {
                parts: split(path),
                op: "$set".to_owned(),
                operand: operand.clone(),
            })),
        }
    }
}

/// The value that a condition on a field demands.
fn fixed_value(condition: &Value) -> Option<&Value> {
    match condition {
        Value::Regex(_) => None,
        Value::Object(operators) if operators.keys().any(|key| key.starts_with('$')) => {
            operators.get("$eq")
        }
        literal => Some(literal),
    }
}

/// Is there a document to change, or is one made?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Occasion {
    Update,
    Insert,
}

fn apply_in(
    request: &Request,
    document: &Document,
    occasion: Occasion,
) -> Result<Document, Refusal> {
    let mut steps = Vec::new();
    for mut step in written(&request.update) {
        if step.op == "$setOnInsert" {
            if occasion == Occasion::Update {
                continue;
            }
            step.op = "$set".to_owned();
        }
        match step.op.as_str() {
            "$rename" => steps.extend(rename(&step, document)?),
            _ => steps.extend(concrete(request, &step, document)?),
        }
    }
    run(steps, document)
}

/// Makes changes at places that are known, in their order.
fn run(mut steps: Vec<Step>, document: &Document) -> Result<Document, Refusal> {
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
        let rank = |part: &String| (part.parse::<usize>().unwrap_or(usize::MAX), part.clone());
        step.parts.iter().map(rank).collect::<Vec<_>>()
    });
    let mut root = Value::Object(document.clone());
    for step in steps.iter().filter(|step| step.op != NOTHING) {
        change(&mut root, &step.parts, step)?;
    }
    let Value::Object(changed) = root else { panic!("the root stays an object") };
    Ok(changed)
}

fn written(update: &Document) -> Vec<Step> {
    let mut steps = Vec::new();
    for (op, fields) in update {
        for (path, operand) in fields.as_document().expect("an object of paths") {
            steps.push(Step { parts: split(path), op: op.to_owned(), operand: operand.clone() });
        }
    }
    steps
}

fn split(path: &str) -> Vec<String> {
    path.split('.').map(str::to_owned).collect()
}

/// The step for each place that its positional parts mean.
fn concrete(request: &Request, step: &Step, document: &Document) -> Result<Vec<Step>, Refusal> {
    let Some(at) = step.parts.iter().position(|part| part.starts_with('$')) else {
        return Ok(vec![step.clone()]);
    };
    let found = value_at(&Value::Object(document.clone()), &step.parts[..at]).cloned();
    let mut places = Vec::new();
    if step.parts[at] == "$" {
        places.push(matched(request, document).ok_or(Refusal::Apply)?);
    } else {
        let Some(Value::Array(items)) = found else { return Err(Refusal::Apply) };
        let name = step.parts[at].trim_start_matches("$[").trim_end_matches(']');
        let condition = request.array_filters.iter().find(|(known, _)| known == name);
        for (index, item) in items.into_iter().enumerate() {
            let element = Document::from([(name, item)]);
            if condition.is_none_or(|(_, condition)| filter::matches(condition, &element)) {
                places.push(index);
            }
        }
    }
    let mut steps = Vec::new();
    for place in places {
        let mut one = step.clone();
        one.parts[at] = place.to_string();
        steps.extend(concrete(request, &one, document)?);
    }
    Ok(steps)
}

/// The first element that satisfies the filter when it is alone in the first array on its path.
fn matched(request: &Request, document: &Document) -> Option<usize> {
    let filter = request.filter.as_ref()?;
    let path = split(filter.keys().next()?);
    let root = Value::Object(document.clone());
    let way = (1..=path.len())
        .map(|end| &path[..end])
        .find(|way| matches!(value_at(&root, way), Some(Value::Array(_))))?;
    let items = value_at(&root, way)?.as_array()?;
    items.iter().position(|item| {
        let alone = Value::Array(vec![item.clone()]);
        let nested = way
            .iter()
            .rev()
            .fold(alone, |inner, part| Value::Object(Document::from([(part.as_str(), inner)])));
        filter::matches(filter, nested.as_document().expect("an object"))
    })
}

fn value_at<'v>(from: &'v Value, parts: &[String]) -> Option<&'v Value> {
    parts.iter().try_fold(from, |at, part| match at {
        Value::Object(object) => object.get(part),
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        _ => None,
    })
}

/// A rename as the removal of one value and the setting of another. If there is none to move, no other
/// change may meet either place all the same.
fn rename(step: &Step, document: &Document) -> Result<Vec<Step>, Refusal> {
    let root = Value::Object(document.clone());
    let from = &step.parts;
    let to = split(step.operand.as_str().expect("a path"));
    let two = |away: &str, arrive: &str, moved: Value| {
        let away = Step { parts: from.clone(), op: away.to_owned(), operand: Value::Null };
        vec![away, Step { parts: to.clone(), op: arrive.to_owned(), operand: moved }]
    };
    let mut in_array = false;
    for (depth, part) in from.iter().enumerate() {
        match value_at(&root, &from[..depth]) {
            None => break,
            Some(Value::Object(_)) => {}
            Some(Value::Array(_)) if part.parse::<usize>().is_ok() => in_array = true,
            Some(_) => return Err(Refusal::Apply),
        }
    }
    let Some(value) = value_at(&root, from) else { return Ok(two(NOTHING, NOTHING, Value::Null)) };
    let into_array =
        (0..to.len()).any(|depth| matches!(value_at(&root, &to[..depth]), Some(Value::Array(_))));
    if in_array || into_array {
        return Err(Refusal::Apply);
    }
    Ok(two("$unset", "$set", value.clone()))
}

/// The operator of a step that has nothing to do.
const NOTHING: &str = "nothing";

impl Step {
    /// Does the step make what is missing?
    fn creates(&self) -> bool {
        !matches!(self.op.as_str(), "$unset" | "$pop" | "$pull" | "$pullAll")
    }
}

fn change(at: &mut Value, parts: &[String], step: &Step) -> Result<(), Refusal> {
    let (name, rest) = (&parts[0], &parts[1..]);
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
            if step.creates() {
                object.insert(name.as_str(), made(rest, step)?);
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
                None if !step.creates() => {}
                None => {
                    items.resize(index, Value::Null);
                    items.push(made(rest, step)?);
                }
            }
            Ok(())
        }
        _ if unset => Ok(()),
        _ => Err(Refusal::Apply),
    }
}

/// A value where there was none, inside the objects that lead to it.
fn made(rest: &[String], step: &Step) -> Result<Value, Refusal> {
    if let Some((name, rest)) = rest.split_first() {
        return Ok(Value::Object(Document::from([(name.as_str(), made(rest, step)?)])));
    }
    let mut value = match (step.op.as_str(), &step.operand) {
        ("$mul", Value::Int64(_)) | ("$bit", _) => Value::Int64(0),
        ("$mul", _) => Value::Double(0.0),
        ("$push" | "$addToSet", _) => Value::Array(Vec::new()),
        (_, operand) => return Ok(operand.clone()),
    };
    replace(&mut value, step)?;
    Ok(value)
}

fn replace(value: &mut Value, step: &Step) -> Result<(), Refusal> {
    *value = match step.op.as_str() {
        "$set" => step.operand.clone(),
        "$min" => {
            if compare(&step.operand, value).is_lt() { &step.operand } else { &*value }.clone()
        }
        "$max" => {
            if compare(&step.operand, value).is_gt() { &step.operand } else { &*value }.clone()
        }
        "$bit" => {
            let Value::Int64(bits) = *value else { return Err(Refusal::Apply) };
            let steps = step.operand.as_document().expect("an object");
            Value::Int64(steps.iter().fold(bits, |bits, (name, mask)| {
                let mask = mask.as_i64().expect("a mask");
                match name {
                    "and" => bits & mask,
                    "or" => bits | mask,
                    _ => bits ^ mask,
                }
            }))
        }
        op @ ("$inc" | "$mul") => match (&*value, &step.operand) {
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
        _ => {
            let Value::Array(items) = value else { return Err(Refusal::Apply) };
            Value::Array(changed_array(items.clone(), step))
        }
    };
    Ok(())
}

fn changed_array(mut items: Vec<Value>, step: &Step) -> Vec<Value> {
    match step.op.as_str() {
        "$push" => return pushed(items, &step.operand),
        "$addToSet" => {
            for value in each(&step.operand) {
                if !contains(&items, &value) {
                    items.push(value);
                }
            }
        }
        "$pop" if equal(&step.operand, &Value::Int64(1)) => {
            items.pop();
        }
        "$pop" => items = items.into_iter().skip(1).collect(),
        "$pullAll" => {
            let values = step.operand.as_array().expect("an array");
            items.retain(|item| !contains(values, item));
        }
        _ => items.retain(|item| !is_pulled(item, &step.operand)),
    }
    items
}

fn contains(items: &[Value], value: &Value) -> bool {
    items.iter().any(|item| equal(item, value))
}

fn each(operand: &Value) -> Vec<Value> {
    let values = operand.as_document().and_then(|form| form.get("$each"));
    match values {
        Some(values) => values.as_array().expect("an array").to_vec(),
        None => vec![operand.clone()],
    }
}

fn pushed(mut items: Vec<Value>, operand: &Value) -> Vec<Value> {
    let modifier =
        |name| operand.as_document().filter(|form| form.contains_key("$each"))?.get(name);
    let len = items.len() as i64;
    let position = modifier("$position").map_or(len, |place| place.as_i64().unwrap());
    let position = if position < 0 { (len + position).max(0) } else { position.min(len) };
    for (offset, value) in each(operand).into_iter().enumerate() {
        items.insert(position as usize + offset, value);
    }
    match modifier("$sort") {
        Some(Value::Int64(direction)) => {
            items.sort_by(|a, b| if *direction < 0 { compare(b, a) } else { compare(a, b) });
        }
        Some(Value::Object(fields)) => items.sort_by(|a, b| {
            let mut order = std::cmp::Ordering::Equal;
            for (path, direction) in fields {
                let key = |item: &Value| match item {
                    Value::Object(_) => value_at(item, &split(path)).cloned(),
                    _ => None,
                };
                let (a, b) = (key(a).unwrap_or(Value::Null), key(b).unwrap_or(Value::Null));
                let by_field = compare(&a, &b);
                let descending = direction.as_i64() == Some(-1);
                order = order.then(if descending { by_field.reverse() } else { by_field });
            }
            order
        }),
        _ => {}
    }
    match modifier("$slice").map(|slice| slice.as_i64().unwrap()) {
        Some(slice) if slice < 0 => {
            let gone = items.len().saturating_sub(slice.unsigned_abs() as usize);
            items.drain(..gone);
        }
        Some(slice) => items.truncate(slice as usize),
        None => {}
    }
    items
}

fn is_pulled(item: &Value, operand: &Value) -> bool {
    match operand {
        Value::Object(condition) => {
            let logical = ["$and", "$or", "$nor"];
            let first = condition.keys().next().unwrap_or("");
            if first.starts_with('$') && !logical.contains(&first) {
                let wrapped = Document::from([("x", item.clone())]);
                filter::matches(&Document::from([("x", operand.clone())]), &wrapped)
            } else {
                item.as_document().is_some_and(|item| filter::matches(condition, item))
            }
        }
        pattern @ Value::Regex(_) => {
            let wrapped = Document::from([("x", item.clone())]);
            filter::matches(&Document::from([("x", pattern.clone())]), &wrapped)
        }
        operand => equal(item, operand),
    }
}
