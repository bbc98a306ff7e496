//! Intervals of values as people write them.

use any_store_query::bounds::Interval;
use anyenc::key::Cut;
use anyenc::{Path, Value, ValueType};

use super::FieldBounds;

/// The bounds of a field, if it has any.
pub(super) fn of_field(path: &Path, intervals: Option<&Vec<Interval>>) -> Option<FieldBounds> {
    let intervals = intervals?.iter().map(interval).collect();
    Some(FieldBounds::new(path.as_str(), intervals))
}

pub(super) fn interval(interval: &Interval) -> String {
    if let Some(value) = interval.value() {
        return value.to_string();
    }
    match (interval.low(), interval.high()) {
        (Cut::First, Cut::BeforeType(ValueType::Null)) => "empty array".to_owned(),
        (Cut::BeforeType(low), Cut::AfterType(high)) if type_name(low) == type_name(high) => {
            format!("any {}", type_name(low))
        }
        (low, high) => format!("{}, {}", low_end(low), high_end(high)),
    }
}

/// Where an interval begins.
fn low_end(cut: Cut<'_>) -> String {
    match cut {
        Cut::First => "[first".to_owned(),
        Cut::BeforeType(kind) => format!("[first {}", type_name(kind)),
        Cut::Before(value) => format!("[{value}"),
        Cut::After(value) => format!("({value}"),
        Cut::AfterPrefix(text) => format!("({}...", Value::from(text)),
        Cut::AfterType(kind) => format!("(last {}", type_name(kind)),
        Cut::Last => "(last".to_owned(),
    }
}

/// Where an interval ends.
fn high_end(cut: Cut<'_>) -> String {
    match cut {
        Cut::First => "first)".to_owned(),
        Cut::BeforeType(kind) => format!("first {})", type_name(kind)),
        Cut::Before(value) => format!("{value})"),
        Cut::After(value) => format!("{value}]"),
        Cut::AfterPrefix(text) => format!("{}...]", Value::from(text)),
        Cut::AfterType(kind) => format!("last {}]", type_name(kind)),
        Cut::Last => "last]".to_owned(),
    }
}

/// Both kinds of numbers have one place in the order.
fn type_name(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Int64 | ValueType::Double => "number",
        kind => kind.name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use any_store_query::Filter;
    use any_store_query::bounds::Keys;

    #[test]
    fn intervals_print_as_values() {
        for (filter, printed) in [
            (r#"{"a": 5}"#, "5"),
            (r#"{"a": {"$gte": 5, "$lt": 10}}"#, "[5, 10)"),
            (r#"{"a": {"$gt": 5}}"#, "(5, last number]"),
            (r#"{"a": {"$lte": "x"}}"#, r#"[first string, "x"]"#),
            (r#"{"a": {"$in": [1, "b", 3]}}"#, r#"1 | 3 | "b""#),
            (r#"{"a": {"$regex": "^ab", "$type": "string"}}"#, r#"["ab", "ab"...]"#),
            (r#"{"a": {"$type": "string"}}"#, "any string"),
            (r#"{"a": null}"#, "null"),
            (r#"{"a": {"$ne": 5}}"#, "[first, 5) | (5, last]"),
            (r#"{"a": []}"#, "empty array | []"),
        ] {
            let filter = Filter::from_json(filter).unwrap();
            let bounds = filter.bounds("a", Keys::OnePerDocument);
            let intervals: Vec<String> = bounds.intervals().iter().map(interval).collect();
            assert_eq!(intervals.join(" | "), printed, "{filter}");
        }
    }
}
