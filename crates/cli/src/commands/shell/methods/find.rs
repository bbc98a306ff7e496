//! `find`, `findOne` and `findId`, and the methods that may follow them.

use any_store::Document;
use any_store::json::JsonFormat;

use super::arguments::{self, Arguments};
use super::{Receiver, Result, unknown_method};
use crate::output::{Documents, Layout, Output};
use crate::selection::{Order, Selection};
use crate::source::Problem;
use crate::statement::{Call, Chain};

const FIND_METHODS: [&str; 9] =
    ["sort", "limit", "skip", "offset", "project", "pretty", "count", "update", "delete"];

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
    let mut query = Query { selection, layout: Layout::Lines };
    for call in &chain.rest {
        if !FIND_ID_METHODS.contains(&call.name.as_str()) {
            return Err(unknown_method(call, "the result of findId", &FIND_ID_METHODS));
        }
        query.refine(call)?;
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
}

impl Query {
    /// Applies what follows `find`, and runs it. A verb such as `count` must come last.
    fn run(mut self, receiver: &Receiver<'_>, calls: &[Call], output: &mut Output) -> Result {
        let Some((last, before)) = calls.split_last() else {
            return self.write(receiver, output).map(drop);
        };
        for call in before {
            if ["count", "update", "delete"].contains(&call.name.as_str()) {
                let message = format!("nothing can follow {}", call.name);
                return Err(Problem::new(call.at, message).into());
            }
            self.refine(call)?;
        }
        match last.name.as_str() {
            "count" => self.count(receiver, last, output),
            "update" => self.update(receiver, last, output),
            "delete" => self.delete(receiver, last, output),
            _ => {
                self.refine(last)?;
                self.write(receiver, output).map(drop)
            }
        }
    }

    /// One of the methods that narrow or order the result.
    fn refine(&mut self, call: &Call) -> Result {
        let arguments = Arguments::of(call);
        match call.name.as_str() {
            "sort" => self.selection.sort = Some(order(call)?),
            "limit" => self.selection.limit = Some(arguments::number(arguments.one()?)?),
            "skip" | "offset" => self.selection.skip = Some(arguments::number(arguments.one()?)?),
            "project" => self.selection.projection = Some(arguments.one()?.query_document()?),
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

/// `sort("-age", "name")` or `sort({age: -1, name: 1})`.
fn order(call: &Call) -> Result<Order> {
    let is_object = |json: &str| json.starts_with('{');
    match call.arguments.as_slice() {
        [only] if is_object(&only.json) => Ok(Order::Document(only.query_document()?)),
        [] => Err(Problem::new(call.at, "sort takes fields or a document").into()),
        fields => Ok(Order::Fields(fields.iter().map(arguments::string).collect::<Result<_>>()?)),
    }
}
