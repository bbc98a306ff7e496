//! The operations of a history: JSON objects, read into types once, so that what is printed is what
//! is played.

use any_store::{CheckpointMode, Document, Value};
use any_store_naive::select::Selection;
use any_store_naive::update::Request;
use any_store_sim::Crash;

use super::setup::Setup;

/// One operation.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// A statement that changes documents.
    Write(Target, Write),
    /// A question.
    Read(From, Target, Read),
    /// A change of the catalog.
    Catalog(Catalog),
    /// Where transactions and savepoints begin and end.
    Boundary(Boundary),
    /// The rest happens outside of transactions.
    Upkeep(Upkeep),
}

/// The collection that is meant.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Named(String),
    /// A bound handle, by the slot that holds it.
    Bound(usize),
}

/// Which state a question is asked of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum From {
    /// The open transaction's; outside of one, the last committed.
    Here,
    /// The last committed, also inside a transaction.
    Outside,
    /// That of a snapshot, by the slot that holds it.
    Snapshot(usize),
}

/// A query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pub(crate) selection: Selection,
    pub(crate) project: Option<Document>,
    /// The index to use, by its place among those of the collection; of none there is no hint.
    pub(crate) hint: Hint,
}

/// Which way to the documents is forced.
#[derive(Clone, Debug, Default)]
pub(crate) enum Hint {
    #[default]
    None,
    /// Of the collection's indexes this one, counted round.
    Place(usize),
    Named(String),
}

/// A statement that changes documents.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    Insert(Document),
    InsertMany(Vec<Document>),
    Replace(Document),
    Upsert(Document),
    UpdateId { id: Value, request: Request, upsert: bool },
    DeleteId(Value),
    Update { query: Query, request: Request, upsert: bool, many: bool },
    ReplaceOne { query: Query, document: Document, upsert: bool },
    Delete { query: Query, many: bool },
    FindAndUpdate { query: Query, request: Request, upsert: bool, after: bool },
    FindAndReplace { query: Query, document: Document, upsert: bool, after: bool },
    FindAndDelete { query: Query },
    CreateIndexes { specs: Vec<Document>, ensure: bool },
    DropIndex(String),
}

/// A question.
#[derive(Clone, Debug)]
pub(crate) enum Read {
    Get(Value),
    Find(Query),
    First(Query),
    Count(Query),
    Exists(Query),
    Distinct(Query, String),
    Stats,
}

/// A change of the catalog.
#[derive(Clone, Debug)]
pub(crate) enum Catalog {
    /// Makes a collection, or takes the one that is there, and binds a handle.
    Create {
        name: String,
        slot: usize,
        options: Document,
        or_get: bool,
    },
    /// Binds a handle.
    Open {
        name: String,
        slot: usize,
    },
    Rename {
        from: Target,
        to: String,
    },
    Drop(Target),
}

/// Where transactions and savepoints begin and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Boundary {
    /// What the commit waits for, if not what the database says.
    Begin(Option<any_store::Sync>),
    Commit,
    Rollback,
    Savepoint,
    /// Keeps what was done since the savepoint.
    Release,
    /// Undoes it.
    Undo,
}

/// What happens outside of transactions.
#[derive(Clone, Debug)]
pub(crate) enum Upkeep {
    Snapshot(usize),
    Cursor { slot: usize, on: Target, query: Query },
    Step { slot: usize, count: usize },
    Forget(usize),
    Checkpoint(CheckpointMode),
    Backup(Copying),
    Reopen { close: bool, setup: Setup },
    Crash(Stop),
    Check,
}

/// How a copy is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copying {
    File,
    Bytes,
    Compact,
}

/// A crash: how, with which chance, and what comes up after it.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    pub(crate) way: Crash,
    pub(crate) seed: u64,
    /// The statement that it interrupts, after so many calls.
    pub(crate) during: Option<(u64, Target, Write)>,
    pub(crate) setup: Setup,
}

/// Why an operation cannot be read.
type Unreadable = String;

impl Write {
    /// The query that chooses the documents, and whether it chooses one alone.
    pub(crate) fn query_mut(&mut self) -> Option<(&mut Query, bool)> {
        match self {
            Self::Update { query, many, .. } | Self::Delete { query, many } => {
                Some((query, !*many))
            }
            Self::ReplaceOne { query, .. }
            | Self::FindAndUpdate { query, .. }
            | Self::FindAndReplace { query, .. }
            | Self::FindAndDelete { query } => Some((query, true)),
            _ => None,
        }
    }
}

impl Read {
    /// The query that is asked.
    pub(crate) fn query_mut(&mut self) -> Option<&mut Query> {
        match self {
            Self::Find(query)
            | Self::First(query)
            | Self::Count(query)
            | Self::Exists(query)
            | Self::Distinct(query, _) => Some(query),
            Self::Get(_) | Self::Stats => None,
        }
    }
}

impl Op {
    /// Reads an operation.
    pub(crate) fn read(from: &Document) -> Result<Self, Unreadable> {
        let fields = Fields(from);
        let name = fields.text("do")?;
        if let Some(boundary) = boundary(name, fields)? {
            return Ok(Self::Boundary(boundary));
        }
        if let Some(upkeep) = upkeep(name, fields)? {
            return Ok(Self::Upkeep(upkeep));
        }
        if let Some(catalog) = catalog(name, fields)? {
            return Ok(Self::Catalog(catalog));
        }
        let on = fields.target("on")?;
        match read(name, fields)? {
            Some(read) => Ok(Self::Read(fields.from()?, on, read)),
            None => Ok(Self::Write(on, write(name, fields)?)),
        }
    }
}

fn boundary(name: &str, fields: Fields<'_>) -> Result<Option<Boundary>, Unreadable> {
    Ok(Some(match name {
        "begin" => Boundary::Begin(match fields.0.get("sync").and_then(Value::as_str) {
            Some("full") => Some(any_store::Sync::Full),
            Some("normal") => Some(any_store::Sync::Normal),
            _ => None,
        }),
        "commit" => Boundary::Commit,
        "rollback" => Boundary::Rollback,
        "savepoint" => Boundary::Savepoint,
        "release" => Boundary::Release,
        "undo" => Boundary::Undo,
        _ => return Ok(None),
    }))
}

fn upkeep(name: &str, fields: Fields<'_>) -> Result<Option<Upkeep>, Unreadable> {
    Ok(Some(match name {
        "snapshot" => Upkeep::Snapshot(fields.number("slot")?),
        "cursor" => Upkeep::Cursor {
            slot: fields.number("slot")?,
            on: fields.target("on")?,
            query: fields.query()?,
        },
        "step" => Upkeep::Step { slot: fields.number("slot")?, count: fields.number("count")? },
        "forget" => Upkeep::Forget(fields.number("slot")?),
        "checkpoint" => {
            let mode = fields.text("mode")?.parse();
            Upkeep::Checkpoint(mode.map_err(|error: any_store_storage::Error| error.to_string())?)
        }
        "backup" => Upkeep::Backup(match fields.text("to")? {
            "file" => Copying::File,
            "bytes" => Copying::Bytes,
            "compact" => Copying::Compact,
            other => return Err(format!("nothing is copied to {other:?}")),
        }),
        "reopen" => Upkeep::Reopen { close: fields.flag("close"), setup: fields.setup()? },
        "crash" => Upkeep::Crash(Stop {
            way: fields.text("way")?.parse()?,
            seed: fields.number("seed")? as u64,
            during: match fields.0.get("during").and_then(Value::as_document) {
                Some(during) => Some(interrupted(Fields(during))?),
                None => None,
            },
            setup: fields.setup()?,
        }),
        "check" => Upkeep::Check,
        _ => return Ok(None),
    }))
}

fn interrupted(fields: Fields<'_>) -> Result<(u64, Target, Write), Unreadable> {
    let calls = fields.number("calls")? as u64;
    Ok((calls, fields.target("on")?, write(fields.text("do")?, fields)?))
}

fn catalog(name: &str, fields: Fields<'_>) -> Result<Option<Catalog>, Unreadable> {
    let text = |name| fields.text(name).map(str::to_owned);
    Ok(Some(match name {
        "create" => Catalog::Create {
            name: text("name")?,
            slot: fields.number("slot")?,
            options: fields.object("options")?.clone(),
            or_get: fields.flag("or_get"),
        },
        "open" => Catalog::Open { name: text("name")?, slot: fields.number("slot")? },
        "rename" => Catalog::Rename { from: fields.target("on")?, to: text("to")? },
        "drop" => Catalog::Drop(fields.target("on")?),
        _ => return Ok(None),
    }))
}

fn read(name: &str, fields: Fields<'_>) -> Result<Option<Read>, Unreadable> {
    Ok(Some(match name {
        "get" => Read::Get(fields.value("id")?.clone()),
        "find" => Read::Find(fields.query()?),
        "first" => Read::First(fields.query()?),
        "count" => Read::Count(fields.query()?),
        "exists" => Read::Exists(fields.query()?),
        "distinct" => Read::Distinct(fields.query()?, fields.text("path")?.to_owned()),
        "stats" => Read::Stats,
        _ => return Ok(None),
    }))
}

fn write(name: &str, fields: Fields<'_>) -> Result<Write, Unreadable> {
    let document = || fields.object("document").cloned();
    let upsert = fields.flag("upsert");
    let many = fields.flag("many");
    let after = fields.flag("after");
    let query = || fields.query();
    Ok(match name {
        "insert" => Write::Insert(document()?),
        "insert_many" => Write::InsertMany(fields.objects("documents")?),
        "replace" => Write::Replace(document()?),
        "upsert" => Write::Upsert(document()?),
        "update_id" => {
            let id = fields.value("id")?.clone();
            Write::UpdateId { id, request: fields.request(None)?, upsert }
        }
        "delete_id" => Write::DeleteId(fields.value("id")?.clone()),
        "update" => {
            let query = query()?;
            let request = fields.request(Some(&query))?;
            Write::Update { query, request, upsert, many }
        }
        "replace_one" => Write::ReplaceOne { query: query()?, document: document()?, upsert },
        "delete" => Write::Delete { query: query()?, many },
        "find_and_update" => {
            let query = query()?;
            let request = fields.request(Some(&query))?;
            Write::FindAndUpdate { query, request, upsert, after }
        }
        "find_and_replace" => {
            Write::FindAndReplace { query: query()?, document: document()?, upsert, after }
        }
        "find_and_delete" => Write::FindAndDelete { query: query()? },
        "index" => {
            Write::CreateIndexes { specs: fields.objects("specs")?, ensure: fields.flag("ensure") }
        }
        "drop_index" => Write::DropIndex(fields.text("name")?.to_owned()),
        other => return Err(format!("there is no operation {other:?}")),
    })
}

/// An operation as it is written.
#[derive(Clone, Copy)]
struct Fields<'d>(&'d Document);

impl<'d> Fields<'d> {
    fn value(self, name: &str) -> Result<&'d Value, Unreadable> {
        self.0.get(name).ok_or_else(|| format!("{} has no {name:?}", self.0))
    }

    fn text(self, name: &str) -> Result<&'d str, Unreadable> {
        self.value(name)?.as_str().ok_or_else(|| format!("{name:?} is no text in {}", self.0))
    }

    fn number(self, name: &str) -> Result<usize, Unreadable> {
        let number = self.value(name)?.as_i64().and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| format!("{name:?} is no number in {}", self.0))
    }

    fn flag(self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    fn object(self, name: &str) -> Result<&'d Document, Unreadable> {
        let object = self.value(name)?.as_document();
        object.ok_or_else(|| format!("{name:?} is no object in {}", self.0))
    }

    fn objects(self, name: &str) -> Result<Vec<Document>, Unreadable> {
        let items = self.value(name)?.as_array().unwrap_or_default().iter();
        let object = |item: &Value| item.as_document().cloned();
        items.map(object).collect::<Option<_>>().ok_or_else(|| format!("{name:?} in {}", self.0))
    }

    fn target(self, name: &str) -> Result<Target, Unreadable> {
        match self.value(name)? {
            Value::String(name) => Ok(Target::Named(name.clone())),
            _ => Ok(Target::Bound(self.number(name)?)),
        }
    }

    fn from(self) -> Result<From, Unreadable> {
        match self.0.get("from") {
            None => Ok(From::Here),
            Some(Value::String(_)) => Ok(From::Outside),
            Some(_) => Ok(From::Snapshot(self.number("from")?)),
        }
    }

    fn setup(self) -> Result<Setup, Unreadable> {
        Setup::read(self.object("setup")?)
    }

    /// The query; what is left out is all, in no order, without limits.
    fn query(self) -> Result<Query, Unreadable> {
        let number = |name| if self.0.contains_key(name) { self.number(name) } else { Ok(0) };
        let mut selection = Selection {
            filter: self.0.get("filter").and_then(Value::as_document).cloned().unwrap_or_default(),
            sort: Vec::new(),
            skip: number("skip")?,
            limit: number("limit")?,
        };
        if let Some(sort) = self.0.get("sort").and_then(Value::as_document) {
            for (path, direction) in sort {
                selection.sort.push((path.to_owned(), direction.as_i64() == Some(-1)));
            }
        }
        let project = self.0.get("project").and_then(Value::as_document).cloned();
        let hint = match self.0.contains_key("hint") {
            true => Hint::Place(self.number("hint")?),
            false => Hint::None,
        };
        Ok(Query { selection, project, hint })
    }

    /// The update; each array filter is for the name with which its paths begin.
    fn request(self, query: Option<&Query>) -> Result<Request, Unreadable> {
        let array_filters = if self.0.contains_key("array_filters") {
            self.objects("array_filters")?
        } else {
            vec![]
        };
        let named = array_filters.into_iter().map(|filter| {
            let path = filter.keys().next().unwrap_or_default();
            (path.split('.').next().unwrap_or_default().to_owned(), filter)
        });
        Ok(Request {
            update: self.object("update")?.clone(),
            array_filters: named.collect(),
            filter: query.map(|query| query.selection.filter.clone()),
        })
    }
}
