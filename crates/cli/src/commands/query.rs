//! `any-store query`: the documents that match a filter.

use any_store::json::JsonFormat;

use crate::args::Query;
use crate::failure::Failure;
use crate::hint::Hint;
use crate::open::{Access, with_database};
use crate::output::{Documents, Layout, Output};
use crate::selection::{Selection, failure_of_search, parse_filter, parse_order, parse_projection};

pub(crate) fn run(query: &Query) -> Result<(), Failure> {
    let mut selection = selection(query)?;
    let layout = match (query.json, query.pretty) {
        (true, _) => Layout::Array,
        (_, true) => Layout::Pretty,
        _ => Layout::for_stdout(),
    };
    with_database(&query.open, Access::Read, None, |database| {
        selection.hint = Hint::parse(database, &query.collection, query.hint.as_deref())?;
        let mut cursor =
            selection.find(&database.collection(&query.collection)).run().map_err(|error| {
                failure_of_search(database, &query.collection, query.filter.as_deref(), error)
            })?;
        let mut output = Output::stdout();
        Documents::new(&mut output, layout, JsonFormat::Relaxed).write_all(&mut cursor)?;
        Ok(())
    })
}

fn selection(query: &Query) -> Result<Selection, Failure> {
    Ok(Selection {
        filter: parse_filter(query.filter.as_deref())?,
        sort: query.sort.as_deref().map(parse_order).transpose()?,
        skip: query.skip,
        limit: query.limit,
        projection: query.project.as_deref().map(parse_projection).transpose()?,
        hint: None,
    })
}
