//! `any-store import`: documents from JSON into a collection, batch by batch.
//!
//! The input is cut into documents by `split`, each is parsed straight into its stored form, and
//! a batch of them goes into one transaction as soon as it is full. So memory is bounded by the
//! batch and the longest document, and what was committed stays whatever comes later.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Instant;

use any_store::{Collection, CollectionOptions, Database, RawDocumentBuf, json};

use crate::args::Import;
use crate::failure::{Exit, Failure};
use crate::figures;
use crate::open::{Access, with_database};
use crate::screen;
use crate::split::{Piece, Place, SplitError, Splitter};

mod batch;
mod progress;

use batch::{Batch, Entry};
use progress::Progress;

/// Text of one document. No document of 16 MiB whose text is at most eight times its stored size
/// is refused for its text; only blanks and digits without end make more of it.
const TEXT_BYTES_MAX: usize = 128 << 20;

pub(crate) fn run(import: &Import) -> Result<(), Failure> {
    let input = Input::open(import.file.as_deref())?;
    let access = Access::Write { create: !import.no_create };
    with_database(&import.open, access, Some(import.durability), |database| {
        let collection = collection(database, import)?;
        let progress = Progress::new(input.bytes);
        Importer::new(database, collection, import, &input.name, progress)?.run(input.reader)
    })
}

/// Where the text comes from.
struct Input {
    reader: Box<dyn Read>,
    name: String,
    /// Its length, where it is known.
    bytes: Option<u64>,
}

impl Input {
    fn open(path: Option<&Path>) -> Result<Input, Failure> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            let reader = Box::new(io::stdin().lock());
            return Ok(Input { reader, name: "standard input".to_owned(), bytes: None });
        };
        let name = path.display().to_string();
        let file = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
        match file {
            Ok((metadata, file)) => {
                let bytes = metadata.is_file().then_some(metadata.len());
                Ok(Input { reader: Box::new(file), name, bytes })
            }
            Err(error) => Err(Failure::failed(format!("cannot read {name}: {error}"))),
        }
    }
}

/// The collection to fill, made if it is not there.
fn collection(database: &Database, import: &Import) -> Result<Collection<RawDocumentBuf>, Failure> {
    let mut options = CollectionOptions::new();
    if let Some(field) = &import.id_field {
        options = options.primary_key(field);
    }
    if import.auto_id {
        options = options.auto_id(true);
    }
    let infos = database.collection_infos()?;
    match infos.iter().find(|info| info.name == import.collection) {
        None => {
            let made = database.create_collection(&import.collection, options)?;
            return Ok(made.with_type());
        }
        Some(info) => {
            let name = &import.collection;
            let key = &info.primary_key;
            if import.id_field.as_ref().is_some_and(|field| field != key) {
                let message = format!("the primary key of \"{name}\" is \"{key}\" and stays so");
                return Err(Failure::failed(message));
            }
            if import.auto_id && !info.auto_id {
                let message = format!("\"{name}\" was made without --auto-id and stays so");
                return Err(Failure::failed(message));
            }
        }
    }
    Ok(database.open_collection(&import.collection)?.with_type())
}

/// What became of the documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    inserted: u64,
    replaced: u64,
    skipped: u64,
    rejected: u64,
}

impl Counts {
    fn stored(self) -> u64 {
        self.inserted + self.replaced + self.skipped
    }
}

struct Importer<'a> {
    import: &'a Import,
    input_name: &'a str,
    target: batch::Target<'a>,
    counts: Counts,
    progress: Progress,
    begun: Instant,
}

impl<'a> Importer<'a> {
    fn new(
        database: &'a Database,
        collection: Collection<RawDocumentBuf>,
        import: &'a Import,
        input_name: &'a str,
        progress: Progress,
    ) -> Result<Self, Failure> {
        let target = batch::Target::new(database, collection, import.mode, import.atomic)?;
        let counts = Counts::default();
        Ok(Importer { import, input_name, target, counts, progress, begun: Instant::now() })
    }

    fn run(mut self, input: Box<dyn Read>) -> Result<(), Failure> {
        let result = self.read_all(input);
        self.progress.finish();
        let result = match result {
            Ok(()) => self.target.finish(),
            Err(failure) => Err(failure.reported()),
        };
        if self.import.atomic && result.is_err() {
            screen::note(format_args!("nothing was imported"));
        } else {
            self.summarize();
        }
        result
    }

    fn read_all(&mut self, input: Box<dyn Read>) -> Result<(), Failure> {
        let mut splitter = Splitter::new(input, TEXT_BYTES_MAX);
        let mut batch = Batch::default();
        loop {
            match splitter.next_piece() {
                Ok(None) => break,
                Ok(Some(piece)) => batch.push(parse(&piece)),
                Err(SplitError::Read(error)) => {
                    self.store(&mut batch)?;
                    let name = self.input_name;
                    return Err(Failure::failed(format!("cannot read {name}: {error}")));
                }
                Err(SplitError::Fault(fault)) => {
                    batch.push(Entry::Rejected { place: fault.place, reason: fault.reason });
                    if fault.fatal {
                        self.store(&mut batch)?;
                        return Err(Failure::Reported(Exit::Failed));
                    }
                }
            }
            if batch.is_full(self.import.batch) || self.is_too_much(batch.rejected) {
                self.store(&mut batch)?;
                self.progress.show(splitter.consumed(), self.counts.stored());
            }
        }
        self.store(&mut batch)
    }

    /// Commits the batch and empties it. A bad document beyond those allowed ends the import after
    /// the documents before it were committed.
    fn store(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        let entries = batch.take();
        if entries.is_empty() {
            return Ok(());
        }
        let before = self.counts.stored();
        let mut transaction = self.target.begin()?;
        let mut stopped = false;
        for entry in entries {
            if let Err((place, reason)) = transaction.apply(entry, &mut self.counts)? {
                self.reject(place, &reason);
                stopped = self.is_too_much(0);
                if stopped {
                    break;
                }
            }
        }
        if stopped && self.import.atomic {
            return Err(Failure::Reported(Exit::Failed));
        }
        self.target.end(transaction)?;
        if self.import.report_batches && self.counts.stored() > before {
            screen::raw(format_args!("committed {}\n", self.counts.stored()));
        }
        if stopped { Err(Failure::Reported(Exit::Failed)) } else { Ok(()) }
    }

    /// More bad documents than allowed, counting `pending` that were not reported yet.
    fn is_too_much(&self, pending: u64) -> bool {
        self.counts.rejected + pending > self.import.max_errors
    }

    fn reject(&mut self, place: Place, reason: &str) {
        self.counts.rejected += 1;
        let message = format!("{}: {place}: {reason}", self.input_name);
        self.progress.suspend(|| screen::error(&message));
    }

    fn summarize(&self) {
        let Counts { inserted, replaced, skipped, rejected } = self.counts;
        let elapsed = self.begun.elapsed();
        let mut parts = vec![format!("{inserted} inserted")];
        for (count, what) in [(replaced, "replaced"), (skipped, "skipped"), (rejected, "bad")] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        screen::note(format_args!(
            "\"{}\": {} in {} ({})",
            self.import.collection,
            parts.join(", "),
            figures::duration(elapsed),
            figures::rate(self.counts.stored(), elapsed),
        ));
    }
}

fn parse(piece: &Piece<'_>) -> Entry {
    match json::parse_document(piece.text) {
        Ok(document) => Entry::Document { place: piece.place, document },
        Err(error) => Entry::Rejected {
            place: piece.place.inside(error.line, error.column),
            reason: error.reason.to_string(),
        },
    }
}
