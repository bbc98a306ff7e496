//! Sorts by one path of names, over owned trees.

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
