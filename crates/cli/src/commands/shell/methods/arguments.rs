//! The arguments of a call, counted and converted, with messages that point at them.

use any_store::{Document, Value};

use super::Result;
use crate::relaxed::Literal;
use crate::source::Problem;
use crate::statement::Call;

pub(super) struct Arguments<'c> {
    call: &'c Call,
}

impl<'c> Arguments<'c> {
    pub(super) fn of(call: &'c Call) -> Arguments<'c> {
        Arguments { call }
    }

    pub(super) fn count(&self) -> usize {
        self.call.arguments.len()
    }

    pub(super) fn none(&self) -> Result {
        match self.call.arguments.first() {
            None => Ok(()),
            Some(extra) => Err(self.wrong_count(extra.at, "no argument")),
        }
    }

    pub(super) fn one(&self) -> Result<&'c Literal> {
        match self.call.arguments.as_slice() {
            [only] => Ok(only),
            [_, extra, ..] => Err(self.wrong_count(extra.at, "one argument")),
            [] => Err(self.wrong_count(self.call.at, "one argument")),
        }
    }

    pub(super) fn two(&self) -> Result<(&'c Literal, &'c Literal)> {
        match self.call.arguments.as_slice() {
            [first, second] => Ok((first, second)),
            [_, _, extra, ..] => Err(self.wrong_count(extra.at, "two arguments")),
            _ => Err(self.wrong_count(self.call.at, "two arguments")),
        }
    }

    pub(super) fn two_or_three(&self) -> Result<(&'c Literal, &'c Literal, Option<&'c Literal>)> {
        match self.call.arguments.as_slice() {
            [first, second] => Ok((first, second, None)),
            [first, second, third] => Ok((first, second, Some(third))),
            [_, _, _, extra, ..] => Err(self.wrong_count(extra.at, "two or three arguments")),
            _ => Err(self.wrong_count(self.call.at, "two or three arguments")),
        }
    }

    pub(super) fn one_or_two(&self) -> Result<(&'c Literal, Option<&'c Literal>)> {
        match self.call.arguments.as_slice() {
            [only] => Ok((only, None)),
            [first, second] => Ok((first, Some(second))),
            [_, _, extra, ..] => Err(self.wrong_count(extra.at, "one or two arguments")),
            [] => Err(self.wrong_count(self.call.at, "one or two arguments")),
        }
    }

    pub(super) fn up_to_two(&self) -> Result<(Option<&'c Literal>, Option<&'c Literal>)> {
        match self.call.arguments.as_slice() {
            [] => Ok((None, None)),
            _ => self.one_or_two().map(|(first, second)| (Some(first), second)),
        }
    }

    /// A filter, or nothing for all documents.
    pub(super) fn filter(&self) -> Result<Document> {
        match self.call.arguments.first() {
            None => Ok(Document::new()),
            Some(_) => Ok(self.one()?.query_document()?),
        }
    }

    /// Documents one by one, or arrays of them; at least one argument.
    pub(super) fn documents(&self) -> Result<Vec<Document>> {
        if self.call.arguments.is_empty() {
            return Err(self.wrong_count(self.call.at, "documents"));
        }
        let mut documents = Vec::new();
        for literal in &self.call.arguments {
            match literal.value()? {
                Value::Array(values) => {
                    for value in values {
                        documents.push(document(literal, value)?);
                    }
                }
                value => documents.push(document(literal, value)?),
            }
        }
        Ok(documents)
    }

    fn wrong_count(&self, at: usize, expected: &str) -> super::StatementError {
        Problem::new(at, format!("{} takes {expected}", self.call.name)).into()
    }
}

fn document(literal: &Literal, value: Value) -> Result<Document> {
    match value {
        Value::Object(document) => Ok(document),
        _ => Err(Problem::new(literal.at, "expected a document in braces").into()),
    }
}

pub(super) fn string(literal: &Literal) -> Result<String> {
    match literal.value()? {
        Value::String(text) => Ok(text),
        _ => Err(Problem::new(literal.at, "expected a string").into()),
    }
}

pub(super) fn number(literal: &Literal) -> Result<u64> {
    match literal.value()? {
        Value::Int64(number) if number >= 0 => Ok(number.unsigned_abs()),
        _ => Err(Problem::new(literal.at, "expected a number that is not negative").into()),
    }
}
