//! Sorts by one path of names, and projections, over owned trees.

use anyenc::{Document, Value};

/// The least or greatest of what a path finds; none stands for the empty array, below all.
pub(crate) fn key(document: &Document, path: &str, descending: bool) -> Option<Value> {
    let parts: Vec<&str> = path.split('.').collect();
    let mut keys = keys(Some(&Value::Object(document.clone())), &parts);
    keys.sort();
    if descending { keys.pop().unwrap() } else { keys.swap_remove(0) }
}

fn keys(value: Option<&Value>, parts: &[&str]) -> Vec<Option<Value>> {
    let null = || vec![Some(Value::Null)];
    match value {
        None => null(),
        Some(Value::Array(items)) if parts.is_empty() && items.is_empty() => vec![None],
        Some(Value::Array(items)) if parts.is_empty() => items.iter().cloned().map(Some).collect(),
        Some(value) if parts.is_empty() => vec![Some(value.clone())],
        Some(Value::Object(object)) => keys(object.get(parts[0]), &parts[1..]),
        Some(Value::Array(items)) if !items.is_empty() => {
            let of_item = |item: &Value| match item {
                Value::Object(_) => keys(Some(item), parts),
                _ => null(),
            };
            items.iter().flat_map(of_item).collect()
        }
        Some(_) => null(),
    }
}

/// The document with or without the fields at some paths.
pub(crate) fn project(document: &Document, paths: &[&str], show: bool) -> Document {
    let paths: Vec<Vec<&str>> = paths.iter().map(|path| path.split('.').collect()).collect();
    let named: Vec<&[&str]> = paths.iter().map(Vec::as_slice).collect();
    object(document, &named, show)
}

fn object(document: &Document, named: &[&[&str]], show: bool) -> Document {
    let mut shown = Document::new();
    for (key, value) in document {
        let below: Vec<&[&str]> =
            named.iter().filter(|path| path[0] == key).map(|path| &path[1..]).collect();
        let kept = if below.is_empty() {
            (!show).then(|| value.clone())
        } else if below.iter().any(|path| path.is_empty()) {
            show.then(|| value.clone())
        } else {
            part(value, &below, show)
        };
        if let Some(kept) = kept {
            shown.insert(key, kept);
        }
    }
    shown
}

fn part(value: &Value, named: &[&[&str]], show: bool) -> Option<Value> {
    match value {
        Value::Object(inner) => Some(Value::Object(object(inner, named, show))),
        Value::Array(items) => {
            Some(Value::Array(items.iter().filter_map(|item| part(item, named, show)).collect()))
        }
        scalar => (!show).then(|| scalar.clone()),
    }
}
