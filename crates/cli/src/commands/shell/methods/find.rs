//! `find`, `findOne` and `findId`, and the methods that may follow them.

use any_store::json::JsonFormat;
use any_store::{Document, Value};

use super::arguments::{self, Arguments};
use super::indexes::write_pretty;
use super::{Receiver, Result, unknown_method};
use crate::commands::explain::Mode;
use crate::hint::Hint;
use crate::output::{Documents, Layout, Output};
use crate::relaxed::Literal;
use crate::selection::{Order, Selection};
use crate::source::Problem;
use crate::statement::{Call, Chain};

const FIND_METHODS: [&str; 11] = [
    "sort", "limit", "skip", "offset", "project", "pretty", "hint", "count", "update", "delete",
    "explain",
];

const EXPLAIN_WORDS: &str = "explain takes \"json\", \"analyze\" or \"executionStats\"";

const FIND_ID_METHODS: [&str; 2] = ["project", "pretty"];

pub(super) fn run(receiver: &Receiver<'_>, chain: &Chain, output: &mut Output) -> Result {
    let arguments = Arguments::of(&chain.first);
    match chain.first.name.as_str() {
        "findId" => find_id(receiver, chain, output),
        name => {
            let (filter, projection) = arguments.up_to_two()?;
            let mut query = Query {
                selection: Selection {
                    filter: filter.map_or(Ok(Document::new()), |filter| filter.query_document())?,
                    projection: projection.map(|literal| literal.query_document()).transpose()?,
                    ..Selection::default()
                },
                layout: Layout::Lines,
                counts: false,
            };
            if name == "findOne" {
                query.selection.limit = Some(1);
                query.layout = Layout::Pretty;
            }
            query.run(receiver, &chain.rest, output)
        }
    }
}

fn find_id(receiver: &Receiver<'_>, chain: &Chain, output: &mut Output) -> Result {
    let id = Arguments::of(&chain.first).one()?.value()?;
    let key = receiver.raw().primary_key().map_err(|error| receiver.failure(error))?;
    let mut equal = Document::new();
    equal.insert("$eq", id);
    let mut filter = Document::new();
    filter.insert(key, equal);
    let selection = Selection { filter, ..Selection::default() };
    let mut query = Query { selection, layout: Layout::Lines, counts: false };
    for call in &chain.rest {
        if !FIND_ID_METHODS.contains(&call.name.as_str()) {
            return Err(unknown_method(call, "the result of findId", &FIND_ID_METHODS));
        }
        query.refine(receiver, call)?;
    }
    if query.write(receiver, output)? == 0 {
        return Err(Problem::new(chain.first.at, "there is no document with this id").into());
    }
    Ok(())
}

/// A query in the making.
struct Query {
    selection: Selection,
    layout: Layout,
    /// `count` was said, and is to be explained.
    counts: bool,
}

impl Query {
    /// Applies what follows `find`, and runs it. A verb such as `count` must come last, but for
    /// `explain`, which may follow `count`.
    fn run(mut self, receiver: &Receiver<'_>, calls: &[Call], output: &mut Output) -> Result {
        let Some((last, before)) = calls.split_last() else {
            return self.write(receiver, output).map(drop);
        };
        for (at, call) in before.iter().enumerate() {
            let is_last = at + 1 == before.len();
            match call.name.as_str() {
                "count" if is_last && last.name == "explain" => {
                    Arguments::of(call).none()?;
                    self.counts = true;
                }
                "count" | "update" | "delete" | "explain" => {
                    let message = format!("nothing can follow {}", call.name);
                    return Err(Problem::new(call.at, message).into());
                }
                _ => self.refine(receiver, call)?,
            }
        }
        match last.name.as_str() {
            "count" => self.count(receiver, last, output),
            "update" => self.update(receiver, last, output),
            "delete" => self.delete(receiver, last, output),
            "explain" => self.explain(receiver, last, output),
            _ => {
                self.refine(receiver, last)?;
                self.write(receiver, output).map(drop)
            }
        }
    }

    /// One of the methods that narrow or order the result.
    fn refine(&mut self, receiver: &Receiver<'_>, call: &Call) -> Result {
        let arguments = Arguments::of(call);
        match call.name.as_str() {
            "sort" => self.selection.sort = Some(order(call)?),
            "limit" => self.selection.limit = Some(arguments::number(arguments.one()?)?),
            "skip" | "offset" => self.selection.skip = Some(arguments::number(arguments.one()?)?),
            "project" => self.selection.projection = Some(arguments.one()?.query_document()?),
            "hint" => self.selection.hint = Some(hint(receiver, arguments.one()?)?),
            "pretty" => {
                arguments.none()?;
                self.layout = Layout::Pretty;
            }
            _ => return Err(unknown_method(call, "a query", &FIND_METHODS)),
        }
        Ok(())
    }

    fn write(&self, receiver: &Receiver<'_>, output: &mut Output) -> Result<u64> {
        let find = self.selection.find(&receiver.raw());
        let mut cursor = find.run().map_err(|error| receiver.failure(error))?;
        let documents = Documents::new(output, self.layout, JsonFormat::Relaxed);
        Ok(documents.write_all(&mut cursor)?)
    }

    fn count(&self, receiver: &Receiver<'_>, call: &Call, output: &mut Output) -> Result {
        Arguments::of(call).none()?;
        let find = self.selection.find(&receiver.raw());
        let found = find.count().map_err(|error| receiver.failure(error))?;
        Ok(output.line(&found.to_string())?)
    }

    /// `explain()`, with any of `"json"`, `"analyze"` and mongosh's words for that.
    fn explain(&self, receiver: &Receiver<'_>, call: &Call, output: &mut Output) -> Result {
        let mut mode = Mode { counts: self.counts, runs: false };
        let mut is_json = false;
        for word in &call.arguments {
            match arguments::string(word)?.as_str() {
                "json" => is_json = true,
                "analyze" | "executionStats" | "allPlansExecution" => mode.runs = true,
                "queryPlanner" => mode.runs = false,
                _ => return Err(Problem::new(word.at, EXPLAIN_WORDS).into()),
            }
        }
        let explained = mode.of(self.selection.find(&receiver.raw()));
        let explained = explained.map_err(|error| receiver.failure(error))?;
        match is_json {
            true => write_pretty(&Value::Object(explained.to_document()), output),
            false => Ok(output.line(explained.to_string().trim_end())?),
        }
    }

    fn update(&self, receiver: &Receiver<'_>, call: &Call, output: &mut Output) -> Result {
        let update = Arguments::of(call).one()?.query_document()?;
        let find = self.selection.find(&receiver.raw());
        let result = find.update(&update).map_err(|error| receiver.failure(error))?;
        output.line(&format!("Matched: {}", result.matched))?;
        Ok(output.line(&format!("Modified: {}", result.modified))?)
    }

    fn delete(&self, receiver: &Receiver<'_>, call: &Call, output: &mut Output) -> Result {
        Arguments::of(call).none()?;
        let find = self.selection.find(&receiver.raw());
        let result = find.delete().map_err(|error| receiver.failure(error))?;
        Ok(output.line(&format!("Deleted: {}", result.deleted))?)
    }
}

/// `hint("name")`, `hint({a: 1})` or `hint({name: boost})`.
fn hint(receiver: &Receiver<'_>, literal: &Literal) -> Result<Hint> {
    let value = literal.query()?;
    let indexes = receiver.documents().indexes().map_err(|error| receiver.failure(error))?;
    Ok(Hint::read(&value, &indexes).map_err(|message| Problem::new(literal.at, message))?)
}

/// `sort("-age", "name")` or `sort({age: -1, name: 1})`.
fn order(call: &Call) -> Result<Order> {
    let is_object = |json: &str| json.starts_with('{');
    match call.arguments.as_slice() {
        [only] if is_object(&only.json) => Ok(Order::Document(only.query_document()?)),
        [] => Err(Problem::new(call.at, "sort takes fields or a document").into()),
        fields => Ok(Order::Fields(fields.iter().map(arguments::string).collect::<Result<_>>()?)),
    }
}
