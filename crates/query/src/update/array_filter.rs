//! Array filters: which elements of an array a part `$[name]` of a path means.

use anyenc::{DecodeError, Document, RawValue, Value};

use crate::error::ParseError;
use crate::filter::Filter;
use crate::path::{is_identifier, not_an_identifier};
use crate::trail::{Step, Trail};

/// Most array filters of one update.
pub(crate) const MAX_ARRAY_FILTERS: usize = 64;

/// A condition on elements, all of whose paths begin with the filter's name.
#[derive(Debug, PartialEq)]
pub(super) struct ArrayFilter {
    pub(super) name: String,
    condition: Filter,
}

impl ArrayFilter {
    pub(super) fn matches(&self, element: RawValue<'_>) -> Result<bool, DecodeError> {
        self.condition.matches_value(&self.name, element)
    }
}

/// Reads the filters for an update that names `used`.
pub(super) fn parse<'v>(
    filters: &'v [Value],
    used: &[String],
    trail: &mut Trail<'v>,
) -> Result<Vec<ArrayFilter>, ParseError> {
    if filters.len() > MAX_ARRAY_FILTERS {
        return Err(trail.limit(format!("an update has at most {MAX_ARRAY_FILTERS} array filters")));
    }
    let mut parsed: Vec<ArrayFilter> = Vec::with_capacity(filters.len());
    for (index, value) in filters.iter().enumerate() {
        trail.within(Step::Index(index), |trail| {
            let filter = parse_one(value, trail)?;
            let name = filter.name.as_str();
            if parsed.iter().any(|other| other.name == name) {
                return Err(trail.invalid("", format!("a second array filter for \"{name}\"")));
            }
            if !used.iter().any(|used| used == name) {
                let reason = format!("no path of the update says \"$[{name}]\"");
                return Err(trail.invalid("", reason));
            }
            parsed.push(filter);
            Ok(())
        })?;
    }
    match used.iter().find(|name| !parsed.iter().any(|filter| filter.name == **name)) {
        Some(name) => Err(trail.invalid("", format!("there is no array filter for \"$[{name}]\""))),
        None => Ok(parsed),
    }
}

fn parse_one<'v>(value: &'v Value, trail: &mut Trail<'v>) -> Result<ArrayFilter, ParseError> {
    let condition = Filter::parse_at(value, trail)?;
    let mut names = Vec::new();
    if let Value::Object(document) = value {
        collect_names(document, &mut names);
    }
    let Some((name, others)) = names.split_first() else {
        return Err(trail.invalid("", "an array filter must say which name it is for"));
    };
    if let Some(other) = others.iter().find(|other| *other != name) {
        let reason = format!("an array filter is for one name, not for \"{name}\" and \"{other}\"");
        return Err(trail.invalid("", reason));
    }
    if !is_identifier(name) {
        return Err(trail.invalid("", not_an_identifier(name)));
    }
    Ok(ArrayFilter { name: (*name).to_owned(), condition })
}

/// The first parts of all paths, also of those inside logical operators.
fn collect_names<'v>(document: &'v Document, names: &mut Vec<&'v str>) {
    for (key, value) in document {
        match (key.starts_with('$'), value) {
            (false, _) => names.push(key.split('.').next().unwrap_or(key)),
            (true, Value::Array(branches)) => {
                branches.iter().filter_map(Value::as_document).for_each(|branch| {
                    collect_names(branch, names);
                });
            }
            (true, _) => {}
        }
    }
}
