//! Paths as the parsers take them: checked against the language's limits and manners.

use std::cmp::Ordering;

use anyenc::Path;

use crate::error::ParseError;
use crate::trail::Trail;

/// Most parts of a path that may be numbers.
///
/// A number is both a key and an index, and a walk through nested arrays follows both readings; it
/// must not follow 2^64 of them.
const MAX_INDEX_PARTS: usize = 16;

/// A path that may name anything, the empty key included.
pub(crate) fn parse(text: &str, trail: &Trail<'_>) -> Result<Path, ParseError> {
    let path = Path::parse(text).map_err(|error| trail.limit(error.to_string()))?;
    let numbers = path.segments().iter().filter(|part| part.index.is_some()).count();
    if numbers > MAX_INDEX_PARTS {
        return Err(trail.limit(format!("more than {MAX_INDEX_PARTS} parts of a path are numbers")));
    }
    Ok(path)
}

/// A path that names a field to write, to show or to sort by: no part empty, none an operator.
pub(crate) fn parse_plain(text: &str, trail: &Trail<'_>) -> Result<Path, ParseError> {
    let path = parse(text, trail)?;
    for part in path.segments() {
        if part.name.is_empty() {
            return Err(trail.invalid("", "a part of this path is empty"));
        }
        if part.name.starts_with('$') {
            return Err(trail.invalid("", "a part of a field path cannot begin with $"));
        }
    }
    Ok(path)
}

/// A path of an update. Behind its first part it may say `$` once, and `$[]` and `$[name]`.
pub(crate) fn parse_positional(text: &str, trail: &Trail<'_>) -> Result<Path, ParseError> {
    let path = parse(text, trail)?;
    let (mut matched, mut first) = (false, true);
    for part in path.segments() {
        match part.name.as_str() {
            "" => return Err(trail.invalid("", "a part of this path is empty")),
            "$" if first || matched => {
                return Err(trail.invalid("$", "a path has at most one $, behind the array's name"));
            }
            "$" => matched = true,
            name if !name.starts_with('$') => {}
            _ if first => {
                return Err(trail.invalid("", "a part of a field path cannot begin with $"));
            }
            name if !is_element_part(name) => {
                return Err(trail.invalid("", "a part of a field path cannot begin with $"));
            }
            name => {
                if let Some(name) = element_name(name).filter(|name| !is_identifier(name)) {
                    return Err(trail.invalid("", not_an_identifier(name)));
                }
            }
        }
        first = false;
    }
    Ok(path)
}

/// Is this part of a path `$[]` or `$[name]`?
pub(crate) fn is_element_part(part: &str) -> bool {
    part.starts_with("$[") && part.ends_with(']')
}

/// The name in a part `$[name]`; `$[]` has none.
pub(crate) fn element_name(part: &str) -> Option<&str> {
    part.strip_prefix("$[")?.strip_suffix(']').filter(|name| !name.is_empty())
}

/// Can an array filter have this name? It begins with a lower-case letter and goes on with letters
/// and digits.
pub(crate) fn is_identifier(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric())
}

pub(crate) fn not_an_identifier(name: &str) -> String {
    let shown: String = name.chars().take(40).collect();
    format!(
        "an array filter's name begins with a lower-case letter and goes on with letters and digits, \
         not so \"{shown}\""
    )
}

/// The order in which an update visits the fields of one object: runs of digits by value, the rest
/// bytewise, so that `a2` comes before `a10`.
pub(crate) fn natural_order(one: &str, other: &str) -> Ordering {
    let (mut a, mut b) = (one.as_bytes(), other.as_bytes());
    while let (Some(x), Some(y)) = (a.first(), b.first()) {
        let order = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (number, after) = split_digits(a);
            let (other_number, other_after) = split_digits(b);
            (a, b) = (after, other_after);
            number.len().cmp(&other_number.len()).then(number.cmp(other_number))
        } else {
            (a, b) = (a.get(1..).unwrap_or_default(), b.get(1..).unwrap_or_default());
            x.cmp(y)
        };
        if order.is_ne() {
            return order;
        }
    }
    a.len().cmp(&b.len()).then_with(|| one.cmp(other))
}

/// The digits in front, without leading zeros, and what follows them.
fn split_digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    let zeros = bytes.iter().take(end).position(|byte| *byte != b'0').unwrap_or(end);
    (bytes.get(zeros..end).unwrap_or_default(), bytes.get(end..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_inside_names_are_ordered_by_value() {
        let names = ["", "1", "2", "10", "a", "a2", "a10", "a10b", "b", "ba"];
        for pair in names.windows(2) {
            assert_eq!(natural_order(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(natural_order(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
    }

    #[test]
    fn different_names_are_never_equal() {
        for (one, other) in [("1", "01"), ("a0b", "ab"), ("0", "00"), ("a1", "a01")] {
            assert_ne!(natural_order(one, other), Ordering::Equal, "{one} {other}");
        }
        assert_eq!(natural_order("a01", "a01"), Ordering::Equal);
    }
}
