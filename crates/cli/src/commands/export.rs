//! `any-store export`: the documents of a collection as JSON, from one snapshot.

use std::path::{Path, PathBuf};

use any_store::json::JsonFormat;
use any_store::{Document, Value};

use crate::args::{Export, ExportFormat};
use crate::failure::{Exit, Failure};
use crate::open::{Access, with_database};
use crate::output::{Documents, Layout, Output};
use crate::screen;
use crate::selection::{Selection, failure_of_search, parse_filter, parse_order};

pub(crate) fn run(export: &Export) -> Result<(), Failure> {
    let selection = selection(export)?;
    let format = if export.canonical { JsonFormat::Canonical } else { JsonFormat::Relaxed };
    let layout = match export.format {
        ExportFormat::Jsonl => Layout::Lines,
        ExportFormat::Array => Layout::Array,
    };
    with_database(&export.open, Access::Read, None, |database| {
        // The cursor comes first: a collection that does not exist must not empty the file.
        let mut cursor =
            selection.find(&database.collection(&export.collection)).run().map_err(|error| {
                failure_of_search(database, &export.collection, export.filter.as_deref(), error)
            })?;
        let mut output = output(export)?;
        let count = Documents::new(&mut output, layout, format).write_all(&mut cursor)?;
        screen::note(format_args!("exported {count} documents"));
        Ok(())
    })
}

fn selection(export: &Export) -> Result<Selection, Failure> {
    let fields = export.fields.iter().map(|field| (field.trim().to_owned(), Value::from(1)));
    let projection: Document = fields.collect();
    Ok(Selection {
        filter: parse_filter(export.filter.as_deref())?,
        sort: export.sort.as_deref().map(parse_order).transpose()?,
        skip: None,
        limit: export.limit,
        projection: (!projection.is_empty()).then_some(projection),
        hint: None,
    })
}

fn output(export: &Export) -> Result<Output, Failure> {
    match &export.file {
        Some(path) if path != Path::new("-") => {
            refuse_own_files(&export.open.path, path)?;
            Output::file(path)
        }
        _ => Ok(Output::stdout()),
    }
}

/// An export over the database's own files would destroy it.
fn refuse_own_files(database: &Path, target: &Path) -> Result<(), Failure> {
    let is_own = ["", "-wal", ".lock"]
        .map(|ending| {
            let mut name = database.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        })
        .iter()
        .any(|own| place(own).is_some_and(|own| place(target).is_some_and(|target| own == target)));
    if !is_own {
        return Ok(());
    }
    let message = format!("{} belongs to the database itself", target.display());
    Err(Failure::new(Exit::Usage, message))
}

/// The one name of a file, there or not.
fn place(path: &Path) -> Option<PathBuf> {
    if let Ok(path) = path.canonicalize() {
        return Some(path);
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    Some(folder.canonicalize().ok()?.join(path.file_name()?))
}
