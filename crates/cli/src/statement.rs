//! The statements of the shell: `db.NAME.method(arguments).method(arguments)` and a few words.
//!
//! Parsing says what was written and where; what a method means is for the shell to know.

use crate::relaxed::Literal;
use crate::source::{Problem, Source};
use crate::suggest::did_you_mean;

#[cfg(test)]
mod tests;

/// One statement.
#[derive(Debug)]
pub(crate) enum Statement {
    /// `show WHAT`
    Show { what: String, at: usize },
    /// `help` or `help NAME`
    Help(Option<String>),
    /// `exit` or `quit`
    Exit,
    /// A call on the database or on a collection.
    Chain(Chain),
}

/// `db.users.find({}).limit(5)`: what is called upon, and the calls in order, at least one.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) target: Target,
    pub(crate) first: Call,
    pub(crate) rest: Vec<Call>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Database,
    Collection { name: String, at: usize },
}

/// `name(arguments)`
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) at: usize,
    pub(crate) arguments: Vec<Literal>,
}

const WORDS: [&str; 6] = ["db", "show", "help", "exit", "quit", "it"];

/// The statements of a text, in order.
pub(crate) struct Statements<'a> {
    source: Source<'a>,
}

impl<'a> Statements<'a> {
    pub(crate) fn new(text: &'a str) -> Statements<'a> {
        Statements { source: Source::new(text) }
    }

    /// After an error, the statements after the next `;` or line end that is outside brackets.
    fn recover(&mut self, begin: Source<'a>) {
        self.source = begin;
        let mut balance = Balance::default();
        for line in begin.rest().split_inclusive('\n') {
            if let Some(length) = balance.scan(line) {
                self.source.advance(length);
                return;
            }
            self.source.advance(line.len());
            if !balance.is_open() {
                return;
            }
        }
    }

    fn skip_separators(&mut self) -> Result<(), Problem> {
        self.source.skip_blanks()?;
        while self.source.eat(';') {
            self.source.skip_blanks()?;
        }
        Ok(())
    }

    fn read(&mut self) -> Result<Statement, Problem> {
        let source = &mut self.source;
        let at = source.at();
        let statement = match source.name() {
            Some("db") => Statement::Chain(chain(source)?),
            Some("show") => show(source)?,
            Some("help") => Statement::Help(word(source)?),
            Some("exit" | "quit") => Statement::Exit,
            Some("it") => {
                return Err(Problem::new(at, "there is no next page: results are shown whole"));
            }
            Some(other) => {
                let near = did_you_mean(other, WORDS);
                return Err(Problem::new(at, format!("unexpected command \"{other}\"{near}")));
            }
            None => return Err(source.unexpected("expected a statement")),
        };
        end_of_statement(source)?;
        Ok(statement)
    }
}

/// Where each statement begins, and what it says.
impl Iterator for Statements<'_> {
    type Item = (usize, Result<Statement, Problem>);

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(problem) = self.skip_separators() {
            self.source.advance(usize::MAX);
            return Some((problem.at, Err(problem)));
        }
        self.source.peek()?;
        let begin = self.source;
        let statement = self.read();
        if statement.is_err() {
            self.recover(begin);
        }
        Some((begin.at(), statement))
    }
}

fn show(source: &mut Source<'_>) -> Result<Statement, Problem> {
    source.skip_blanks_on_line()?;
    let at = source.at();
    match word(source)? {
        Some(what) => Ok(Statement::Show { what, at }),
        None => Err(source.unexpected("expected `collections`, `indexes` or `stats` after `show`")),
    }
}

/// The word that follows on this line, if one does.
fn word(source: &mut Source<'_>) -> Result<Option<String>, Problem> {
    source.skip_blanks_on_line()?;
    Ok(source.name().map(str::to_owned))
}

fn end_of_statement(source: &mut Source<'_>) -> Result<(), Problem> {
    source.skip_blanks_on_line()?;
    match source.peek() {
        None | Some(';' | '\n') => Ok(()),
        Some(_) => Err(source.unexpected("expected `;` or the end of the line")),
    }
}

/// What follows `db`.
fn chain(source: &mut Source<'_>) -> Result<Chain, Problem> {
    let mut path: Vec<(String, usize)> = Vec::new();
    loop {
        source.skip_blanks()?;
        if source.peek() == Some('(') {
            break;
        }
        path.push(step(source)?);
    }
    let Some((method, at)) = path.pop() else {
        return Err(source.unexpected("expected `.` after `db`"));
    };
    let target = match path.first().map(|(_, at)| *at) {
        None => Target::Database,
        Some(at) => {
            let parts: Vec<String> = path.into_iter().map(|(part, _)| part).collect();
            Target::Collection { name: parts.join("."), at }
        }
    };
    let first = Call { name: method, at, arguments: arguments(source)? };
    Ok(Chain { target, first, rest: further_calls(source)? })
}

/// `.name` or `["name"]`
fn step(source: &mut Source<'_>) -> Result<(String, usize), Problem> {
    if source.eat('[') {
        source.skip_blanks()?;
        let at = source.at();
        let name = Literal::read(source)?;
        source.skip_blanks()?;
        source.expect(']', "after the name")?;
        return match name.value()? {
            any_store::Value::String(name) => Ok((name, at)),
            _ => Err(Problem::new(at, "expected a name in quotes")),
        };
    }
    source.expect('.', "or a call, as in db.NAME.find()")?;
    source.skip_blanks()?;
    let at = source.at();
    match source.name() {
        Some(name) => Ok((name.to_owned(), at)),
        None => Err(source.unexpected("expected a name")),
    }
}

/// `.sort(...).limit(...)`, which may stand on lines of their own.
fn further_calls(source: &mut Source<'_>) -> Result<Vec<Call>, Problem> {
    let mut calls = Vec::new();
    loop {
        let mut ahead = *source;
        ahead.skip_blanks()?;
        if !ahead.eat('.') {
            return Ok(calls);
        }
        *source = ahead;
        source.skip_blanks()?;
        let at = source.at();
        let Some(name) = source.name() else {
            return Err(source.unexpected("expected the name of a method"));
        };
        source.skip_blanks()?;
        calls.push(Call { name: name.to_owned(), at, arguments: arguments(source)? });
    }
}

/// Values in parentheses, separated by commas.
fn arguments(source: &mut Source<'_>) -> Result<Vec<Literal>, Problem> {
    let mut arguments = Vec::new();
    source.expect('(', "after the name of the method")?;
    loop {
        source.skip_blanks()?;
        if source.eat(')') {
            return Ok(arguments);
        }
        arguments.push(Literal::read(source)?);
        source.skip_blanks()?;
        if !source.eat(',') && source.peek() != Some(')') {
            return Err(source.unexpected("expected `,` or `)`"));
        }
    }
}

/// Tells whether a text that arrives line by line ends inside brackets or a comment.
///
/// Quotes and patterns end with their line, closed or not: the parser complains about those.
#[derive(Default)]
pub(crate) struct Balance {
    depth: usize,
    in_comment: bool,
    /// The last character that was neither blank nor quoted.
    last: Option<char>,
}

impl Balance {
    /// More text is needed to finish the statement.
    pub(crate) fn is_open(&self) -> bool {
        self.depth > 0 || self.in_comment
    }

    /// The last thing seen was a `;` outside brackets.
    pub(crate) fn is_terminated(&self) -> bool {
        !self.is_open() && self.last == Some(';')
    }

    /// Takes in a whole line.
    pub(crate) fn feed(&mut self, line: &str) {
        let mut rest = line;
        while let Some(length) = self.scan(rest) {
            rest = rest.get(length..).unwrap_or_default();
        }
    }

    /// Takes in a line up to its first `;` outside brackets, and says where that ends.
    fn scan(&mut self, line: &str) -> Option<usize> {
        let mut source = Source::new(line);
        while let Some(c) = source.peek() {
            if self.in_comment {
                let end = source.rest().find("*/");
                self.in_comment = end.is_none();
                source.advance(end.map_or(usize::MAX, |length| length + 2));
                continue;
            }
            if source.rest().starts_with("//") {
                return None;
            }
            if source.rest().starts_with("/*") {
                self.in_comment = true;
                source.advance(2);
                continue;
            }
            source.bump();
            match c {
                '"' | '\'' => skip_quoted(&mut source, c),
                '/' if matches!(self.last, Some('(' | '[' | ',' | ':')) => {
                    skip_quoted(&mut source, '/');
                }
                '(' | '[' | '{' => self.depth += 1,
                ')' | ']' | '}' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            if !c.is_whitespace() {
                self.last = Some(c);
            }
            if c == ';' && self.depth == 0 {
                return Some(source.at());
            }
        }
        None
    }
}

/// Skips to after the closing quote, or to the end of the line. Inside `[...]` a slash does not
/// close a pattern.
fn skip_quoted(source: &mut Source<'_>, quote: char) {
    let mut in_class = false;
    while let Some(c) = source.bump() {
        match c {
            '\\' => {
                source.bump();
            }
            '[' if quote == '/' => in_class = true,
            ']' => in_class = false,
            _ if c == quote && !in_class => return,
            _ => {}
        }
    }
}
