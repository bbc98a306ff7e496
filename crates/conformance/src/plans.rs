//! The same question by every plan that can be forced.

use any_store::{Collection, ErrorKind, Find, IndexSpec};

use crate::Tally;
use crate::engine::unexpected;

/// Lets a question be judged as the planner answers it, by the walk over the documents, and by each
/// index that serves it. An index may refuse only if it lacks documents.
pub(crate) fn by_each(
    collection: &Collection,
    ask: impl Fn() -> Find,
    judge: impl Fn(&dyn Fn() -> Find) -> Result<(), String>,
) -> Result<Tally, String> {
    judge(&ask)?;
    judge(&|| ask().hint("$natural")).map_err(|reason| format!("by the documents: {reason}"))?;
    let mut tally = Tally::default();
    for index in collection.indexes().map_err(|error| unexpected(&error))? {
        let by_index = || ask().hint(&*index.name);
        let refusal = by_index().count().err().filter(|e| e.kind() == ErrorKind::InvalidOptions);
        if refusal.is_some() && index.spec.sparse {
            tally.refused += 1;
            continue;
        }
        judge(&by_index).map_err(|reason| format!("by the index {}: {reason}", index.name))?;
        tally.by_index += 1;
    }
    Ok(tally)
}

/// Makes indexes on these fields, in both directions and once sparse; none where they cannot be.
pub(crate) fn make_indexes(collection: &Collection, fields: &[String]) -> Result<(), String> {
    let against = |field: &String| match field.strip_prefix('-') {
        Some(path) => path.to_owned(),
        None => format!("-{field}"),
    };
    let reversed: Vec<String> = fields.iter().map(against).collect();
    for spec in [
        IndexSpec::new(fields.to_vec()),
        IndexSpec::new(reversed),
        IndexSpec::new(fields.to_vec()).sparse().name(&format!("sparse {}", fields.join(","))),
    ] {
        match collection.ensure_index(spec) {
            Ok(_) => {}
            Err(error) if is_expected(error.kind()) => return Ok(()),
            Err(error) => return Err(unexpected(&error)),
        }
    }
    Ok(())
}

/// The fields are none of an index, or the documents have parallel arrays there.
fn is_expected(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::InvalidIndex | ErrorKind::InvalidName | ErrorKind::ParallelArrays)
}
