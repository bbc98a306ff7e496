//! `any-store explain`: how a query is run, and what else was thought of.

use any_store::{Explain, Find, RawDocumentBuf};

use crate::args;
use crate::failure::Failure;
use crate::hint::Hint;
use crate::open::{Access, with_database};
use crate::output::Output;
use crate::selection::{Selection, failure_of_search, parse_filter, parse_order, parse_projection};

/// What is explained, and whether it is also done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mode {
    /// The query counts.
    pub(crate) counts: bool,
    /// The query is run to its end.
    pub(crate) runs: bool,
}

pub(crate) fn run(explain: &args::Explain) -> Result<(), Failure> {
    let mode = Mode { counts: explain.count, runs: explain.analyze };
    let mut selection = Selection {
        filter: parse_filter(explain.filter.as_deref())?,
        sort: explain.sort.as_deref().map(parse_order).transpose()?,
        skip: explain.skip,
        limit: explain.limit,
        projection: explain.project.as_deref().map(parse_projection).transpose()?,
        hint: None,
    };
    with_database(&explain.open, Access::Read, None, |database| {
        let collection = &explain.collection;
        selection.hint = Hint::parse(database, collection, explain.hint.as_deref())?;
        let found = mode.of(selection.find(&database.collection(collection)));
        let found = found.map_err(|error| {
            failure_of_search(database, collection, explain.filter.as_deref(), error)
        })?;
        let mut output = Output::stdout();
        match explain.json {
            true => output.line(&found.to_json())?,
            false => output.line(found.to_string().trim_end())?,
        }
        output.flush()
    })
}

impl Mode {
    pub(crate) fn of(self, find: Find<RawDocumentBuf>) -> any_store::Result<Explain> {
        match self {
            Mode { counts: false, runs: false } => find.explain(),
            Mode { counts: false, runs: true } => find.explain_analyze(),
            Mode { counts: true, runs: false } => find.explain_count(),
            Mode { counts: true, runs: true } => find.explain_count_analyze(),
        }
    }
}
