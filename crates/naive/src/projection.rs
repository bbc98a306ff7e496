//! Projections over owned trees.

use anyenc::{Document, Value};

use crate::filter::element;

/// The part of a document that a projection shows.
///
/// # Panics
/// If the projection is not valid.
#[must_use]
pub fn project(projection: &Document, document: &Document, primary_key: &str) -> Document {
    let is_operator = |value: &&Value| value.as_document().is_some();
    let others =
        || projection.iter().filter(|(path, _)| *path != primary_key).map(|(_, value)| value);
    let matched = || {
        projection.iter().filter_map(|(path, value)| Some((path, operand(value, "$elemMatch")?)))
    };
    let show = match others().find(|value| !is_operator(value)) {
        Some(flag) => *flag == Value::Bool(true),
        None if matched().next().is_some() => true,
        None => projection.get(primary_key) == Some(&Value::Bool(true)),
    };
    let mut named: Vec<(Vec<&str>, &Value)> = Vec::new();
    for (path, value) in projection {
        if path != primary_key || (*value == Value::Bool(true)) == show {
            named.push((path.split('.').collect(), value));
        }
    }
    let shows_id = Value::Bool(true);
    if show && !projection.contains_key(primary_key) {
        named.push((vec![primary_key], &shows_id));
    }
    let named: Vec<(&[&str], &Value)> =
        named.iter().map(|(path, value)| (path.as_slice(), *value)).collect();
    let mut shown = object(document, &named, show);
    for (path, test) in matched() {
        if let Some(Value::Array(items)) = document.get(path)
            && let Some(item) = items.iter().find(|item| element(item, test))
        {
            shown.insert(path, Value::Array(vec![item.clone()]));
        }
    }
    shown
}

fn operand<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    value.as_document().and_then(|operators| operators.get(name))
}

fn object(document: &Document, named: &[(&[&str], &Value)], show: bool) -> Document {
    let mut shown = Document::new();
    for (key, value) in document {
        let below: Vec<(&[&str], &Value)> = named
            .iter()
            .filter(|(path, _)| path[0] == key)
            .map(|(path, value)| (&path[1..], *value))
            .collect();
        let kept = match below.iter().find(|(path, _)| path.is_empty()) {
            _ if below.is_empty() => (!show).then(|| value.clone()),
            None => part(value, &below, show),
            Some((_, request)) => match (operand(request, "$slice"), request) {
                (Some(slice), _) => Some(sliced(value, slice)),
                (None, Value::Object(_)) => None,
                (None, _) => show.then(|| value.clone()),
            },
        };
        if let Some(kept) = kept {
            shown.insert(key, kept);
        }
    }
    shown
}

fn sliced(value: &Value, slice: &Value) -> Value {
    let Value::Array(items) = value else { return value.clone() };
    let len = items.len() as i64;
    let (start, end) = match slice {
        Value::Array(pair) => {
            let (skip, limit) = (pair[0].as_i64().unwrap(), pair[1].as_i64().unwrap());
            let start = if skip < 0 { (len + skip).max(0) } else { skip.min(len) };
            (start, (start + limit).min(len))
        }
        count => match count.as_i64().unwrap() {
            count if count < 0 => ((len + count).max(0), len),
            count => (0, count.min(len)),
        },
    };
    Value::Array(items[start as usize..end as usize].to_vec())
}

fn part(value: &Value, named: &[(&[&str], &Value)], show: bool) -> Option<Value> {
    match value {
        Value::Object(inner) => Some(Value::Object(object(inner, named, show))),
        Value::Array(items) => {
            Some(Value::Array(items.iter().filter_map(|item| part(item, named, show)).collect()))
        }
        scalar => (!show).then(|| scalar.clone()),
    }
}
