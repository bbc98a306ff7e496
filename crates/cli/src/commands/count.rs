//! `any-store count`: how many documents match a filter.

use crate::args::Count;
use crate::failure::Failure;
use crate::hint::Hint;
use crate::open::{Access, with_database};
use crate::output::Output;
use crate::selection::{Selection, failure_of_search, parse_filter};

pub(crate) fn run(count: &Count) -> Result<(), Failure> {
    let filter = parse_filter(count.filter.as_deref())?;
    let mut selection = Selection { filter, ..Selection::default() };
    with_database(&count.open, Access::Read, None, |database| {
        selection.hint = Hint::parse(database, &count.collection, count.hint.as_deref())?;
        let found =
            selection.find(&database.collection(&count.collection)).count().map_err(|error| {
                failure_of_search(database, &count.collection, count.filter.as_deref(), error)
            })?;
        let mut output = Output::stdout();
        output.line(&found.to_string())?;
        output.flush()
    })
}
