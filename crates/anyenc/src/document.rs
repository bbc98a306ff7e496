//! The owned object: fields in order, keys unique.

use std::collections::HashMap;

use crate::value::Value;

/// An object whose fields keep the order in which they were inserted.
///
/// ```
/// use anyenc::{Document, doc};
/// let mut doc = doc! { "b": 1, "a": 2 };
/// doc.insert("b", 3);
/// assert_eq!(doc, doc! { "b": 3, "a": 2 });
/// assert_ne!(doc, doc! { "a": 2, "b": 3 });
/// assert_eq!(doc.remove("b"), Some(3.into()));
/// ```
///
/// A look-up goes from field to field: it is made for objects as people write them. An object of
/// many thousand fields is better read in its encoded form, which has a table.
#[derive(Clone, Debug, Default)]
pub struct Document {
    fields: Vec<(String, Value)>,
}

/// Below this many fields, comparing all pairs is faster than sorting.
const FEW: usize = 16;

impl Document {
    /// An object without fields.
    pub const fn new() -> Document {
        Document { fields: Vec::new() }
    }

    /// An object without fields that has room for so many.
    pub fn with_capacity(fields: usize) -> Document {
        Document { fields: Vec::with_capacity(fields) }
    }

    /// An object of these fields, unless two have one key.
    pub(crate) fn from_unique(fields: Vec<(String, Value)>) -> Option<Document> {
        keys_are_unique(&fields).then_some(Document { fields })
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The value of a field.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.fields.iter().find(|(found, _)| found == key).map(|(_, value)| value)
    }

    /// The value of a field, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.fields.iter_mut().find(|(found, _)| found == key).map(|(_, value)| value)
    }

    /// Whether there is a field of this name.
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Sets a field and returns what it held. A field that is there keeps its place, a new one comes
    /// last.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.into(), value.into());
        match self.get_mut(&key) {
            Some(held) => Some(std::mem::replace(held, value)),
            None => {
                self.fields.push((key, value));
                None
            }
        }
    }

    /// Takes a field out and returns what it held; the others keep their order.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let place = self.fields.iter().position(|(found, _)| found == key)?;
        Some(self.fields.remove(place).1)
    }

    /// The fields in order.
    pub fn iter(&self) -> Fields<'_> {
        Fields(self.fields.iter())
    }

    /// The keys in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.fields.iter().map(|(key, _)| key.as_str())
    }

    /// The values in order.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &Value> {
        self.fields.iter().map(|(_, value)| value)
    }
}

fn keys_are_unique(fields: &[(String, Value)]) -> bool {
    if fields.len() < FEW {
        let repeats = |(place, (key, _)): (usize, &(String, Value))| {
            fields.iter().take(place).any(|(before, _)| before == key)
        };
        return !fields.iter().enumerate().any(repeats);
    }
    let mut keys: Vec<&str> = fields.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    keys.is_sorted_by(|a, b| a < b)
}

/// The fields of a [`Document`], borrowed.
#[derive(Clone, Debug)]
pub struct Fields<'a>(std::slice::Iter<'a, (String, Value)>);

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, &'a Value);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(key, value)| (key.as_str(), value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Fields<'_> {}

/// The fields of a [`Document`], owned.
#[derive(Debug)]
pub struct IntoFields(std::vec::IntoIter<(String, Value)>);

impl Iterator for IntoFields {
    type Item = (String, Value);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for IntoFields {}

impl<'a> IntoIterator for &'a Document {
    type Item = (&'a str, &'a Value);
    type IntoIter = Fields<'a>;

    fn into_iter(self) -> Fields<'a> {
        self.iter()
    }
}

impl IntoIterator for Document {
    type Item = (String, Value);
    type IntoIter = IntoFields;

    fn into_iter(self) -> IntoFields {
        IntoFields(self.fields.into_iter())
    }
}

impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Document {
    /// As by [`Document::insert`], one after the other.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(fields: I) -> Self {
        let fields: Vec<(String, Value)> =
            fields.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        if keys_are_unique(&fields) { Document { fields } } else { last_wins(fields) }
    }
}

/// The last value of a key at the place of the first.
fn last_wins(fields: Vec<(String, Value)>) -> Document {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut kept: Vec<(String, Value)> = Vec::new();
    for (key, value) in fields {
        match places.get(&key).and_then(|&place| kept.get_mut(place)) {
            Some(first) => first.1 = value,
            None => {
                places.insert(key.clone(), kept.len());
                kept.push((key, value));
            }
        }
    }
    Document { fields: kept }
}

impl<K: Into<String>, V: Into<Value>> Extend<(K, V)> for Document {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, fields: I) {
        for (key, value) in fields {
            self.insert(key, value);
        }
    }
}

impl<K: Into<String>, V: Into<Value>, const N: usize> From<[(K, V); N]> for Document {
    fn from(fields: [(K, V); N]) -> Self {
        fields.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_key_keeps_its_first_place_and_its_last_value() {
        let few: Document = [("a", 1), ("b", 2), ("a", 3)].into_iter().collect();
        assert_eq!(few, Document::from([("a", 3), ("b", 2)]));
        let many: Document = (0..100).map(|i| (format!("k{}", i % 50), i)).collect();
        assert_eq!(many.len(), 50);
        assert_eq!(many.iter().next(), Some(("k0", &Value::Int64(50))));
    }

    #[test]
    fn removing_keeps_the_order_of_the_rest() {
        let mut doc = Document::from([("a", 1), ("b", 2), ("c", 3)]);
        assert_eq!(doc.remove("b"), Some(Value::Int64(2)));
        assert_eq!(doc.remove("b"), None);
        assert_eq!(doc.keys().collect::<Vec<_>>(), ["a", "c"]);
    }
}
