//! `any-store shell`: statements from the command line, from files, or from standard input.
//!
//! This part reads statements, runs them one after the other and decides what a failure means.
//! What a statement does is in `methods`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, IsTerminal, Read};
use std::time::Instant;

use any_store::Database;

use crate::args::{Script, Shell};
use crate::failure::{Exit, Failure, describe};
use crate::open::{Access, with_database};
use crate::output::Output;
use crate::screen;
use crate::source::{Problem, locate};
use crate::statement::{Balance, Statement, Statements};

mod help;
mod methods;

/// The longest statement. An open bracket must not swallow an input without end.
const STATEMENT_BYTES_MAX: usize = 128 << 20;

pub(crate) fn run(shell: &Shell) -> Result<(), Failure> {
    let scripts = shell.scripts.iter().map(Input::open).collect::<Result<Vec<_>, _>>()?;
    let access = match shell.read_only {
        true => Access::Read,
        false => Access::Write { create: shell.create },
    };
    with_database(&shell.open, access, Some(shell.durability), |database| {
        let mut session = Session::new(database, shell.keep_going);
        if scripts.is_empty() {
            session.run(Input::stdin())?;
        }
        for script in scripts {
            if session.run(script)? == Flow::Left {
                break;
            }
        }
        session.finish()
    })
}

/// Runs one statement of the program's own.
pub(crate) fn run_statement(
    database: &Database,
    text: &str,
    output: &mut Output,
) -> Result<(), Failure> {
    for (_, statement) in Statements::new(text) {
        let result = statement
            .map_err(StatementError::from)
            .and_then(|statement| methods::run(database, &statement, output));
        result.map_err(|error| match error {
            StatementError::Problem(problem) => Failure::of_text("statement", text, &problem),
            StatementError::Failure(failure) => failure,
            StatementError::Request { message, .. } => Failure::failed(message),
        })?;
    }
    Ok(())
}

/// Statements, line by line.
struct Input {
    reader: Box<dyn BufRead>,
    name: String,
    /// Somebody types.
    interactive: bool,
}

impl Input {
    fn open(script: &Script) -> Result<Input, Failure> {
        let (reader, name): (Box<dyn BufRead>, _) = match script {
            Script::Text(text) => (Box::new(Cursor::new(text.clone())), "-e".to_owned()),
            Script::File(path) => {
                let name = path.display().to_string();
                let file = File::open(path)
                    .map_err(|error| Failure::failed(format!("cannot read {name}: {error}")))?;
                (Box::new(BufReader::new(file)), name)
            }
        };
        Ok(Input { reader, name, interactive: false })
    }

    fn stdin() -> Input {
        let interactive = io::stdin().is_terminal();
        if interactive {
            screen::note(format_args!(
                "type statements, `help` or `exit`; line editing and history are to come"
            ));
        }
        let reader = Box::new(BufReader::new(io::stdin()));
        Input { reader, name: "standard input".to_owned(), interactive }
    }

    /// The next line with its line end; `None` at the end of the input.
    fn line(&mut self) -> Result<Option<String>, Failure> {
        let mut bytes = Vec::new();
        let limit = STATEMENT_BYTES_MAX as u64 + 1;
        let read = self.reader.by_ref().take(limit).read_until(b'\n', &mut bytes);
        let fail = |reason: &dyn std::fmt::Display| {
            Failure::failed(format!("cannot read {}: {reason}", self.name))
        };
        match read {
            Ok(0) => Ok(None),
            Ok(_) => String::from_utf8(bytes).map(Some).map_err(|error| fail(&error.utf8_error())),
            Err(error) => Err(fail(&error)),
        }
    }
}

/// Whether to go on after a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    On,
    /// `exit` was said.
    Left,
}

/// Why a statement failed: the text is wrong at some place, or what it says cannot be done.
enum StatementError {
    Problem(Problem),
    Failure(Failure),
    /// A filter, update, sort or projection that cannot be read; the path of the key at fault.
    Request {
        path: String,
        message: String,
    },
}

impl From<Problem> for StatementError {
    fn from(problem: Problem) -> Self {
        StatementError::Problem(problem)
    }
}

impl From<Failure> for StatementError {
    fn from(failure: Failure) -> Self {
        StatementError::Failure(failure)
    }
}

impl From<any_store::Error> for StatementError {
    fn from(error: any_store::Error) -> Self {
        match error.parse_error() {
            Some(parse) => {
                StatementError::Request { path: parse.path.clone(), message: describe(&error) }
            }
            None => StatementError::Failure(error.into()),
        }
    }
}

struct Session<'d> {
    database: &'d Database,
    output: Output,
    keep_going: bool,
    /// With `keep_going`: how the first statement that failed would have ended the run.
    first_failure: Option<Exit>,
}

impl<'d> Session<'d> {
    fn new(database: &'d Database, keep_going: bool) -> Self {
        Session { database, output: Output::stdout(), keep_going, first_failure: None }
    }

    fn finish(self) -> Result<(), Failure> {
        self.first_failure.map_or(Ok(()), |exit| Err(Failure::Reported(exit)))
    }

    /// Runs the statements of `input`, each as soon as it is whole.
    ///
    /// A statement may go on in the next line inside brackets, and with a line that begins with a
    /// dot; who types has to end such a line with an open bracket.
    fn run(&mut self, mut input: Input) -> Result<Flow, Failure> {
        let mut pending = Pending::default();
        loop {
            if input.interactive {
                screen::raw(format_args!("{}", if pending.is_open() { "... " } else { "> " }));
            }
            let Some(line) = input.line()? else {
                return self.run_text(&pending.text, pending.first_line, &input);
            };
            if pending.is_whole_before(&line)
                && self.run_text(&pending.take(), pending.first_line, &input)? == Flow::Left
            {
                return Ok(Flow::Left);
            }
            pending.push(&line);
            if pending.text.len() > STATEMENT_BYTES_MAX {
                let message = format!("{}: a statement has no end", input.name);
                return Err(Failure::failed(message));
            }
            if (input.interactive && !pending.is_open() || pending.balance.is_terminated())
                && self.run_text(&pending.take(), pending.first_line, &input)? == Flow::Left
            {
                return Ok(Flow::Left);
            }
        }
    }

    fn run_text(&mut self, text: &str, first_line: usize, input: &Input) -> Result<Flow, Failure> {
        for (at, statement) in Statements::new(text) {
            let begun = Instant::now();
            let result = match statement {
                Ok(Statement::Exit) => return Ok(Flow::Left),
                Ok(statement) => methods::run(self.database, &statement, &mut self.output),
                Err(problem) => Err(problem.into()),
            };
            let result = result.and_then(|()| Ok(self.output.flush()?));
            match result {
                Ok(()) if input.interactive => {
                    let millis = begun.elapsed().as_secs_f64() * 1e3;
                    screen::note(format_args!("ok ({millis:.1} ms)"));
                }
                Ok(()) => {}
                Err(error) => self.fail(error, &Place { text, first_line, at, input })?,
            }
        }
        Ok(Flow::On)
    }

    /// Reports the failure of a statement, and ends the run unless it is to go on.
    fn fail(&mut self, error: StatementError, place: &Place<'_>) -> Result<(), Failure> {
        let (exit, message) = match error {
            StatementError::Problem(problem) => (Exit::Failed, place.describe_problem(&problem)),
            StatementError::Failure(Failure::Message(exit, message)) => {
                (exit, place.describe(&message))
            }
            StatementError::Failure(failure) => return Err(failure),
            StatementError::Request { path, message } => {
                (Exit::Failed, place.describe_request(&path, message))
            }
        };
        screen::error(&message);
        // What was written before the failure belongs to the statement all the same.
        self.output.flush()?;
        if place.input.interactive {
            return Ok(());
        }
        self.first_failure.get_or_insert(exit);
        if self.keep_going { Ok(()) } else { Err(Failure::Reported(exit)) }
    }
}

/// Where a statement stands, for messages.
struct Place<'a> {
    text: &'a str,
    first_line: usize,
    at: usize,
    input: &'a Input,
}

impl Place<'_> {
    fn describe(&self, message: &str) -> String {
        let pointer = Problem::new(self.at, message).pointer(self.text);
        let line = self.first_line + pointer.line;
        format!("{}:{line}:{}: {message}", self.input.name, pointer.column)
    }

    fn describe_problem(&self, problem: &Problem) -> String {
        let pointer = problem.pointer(self.text);
        let line = self.first_line + pointer.line;
        let name = &self.input.name;
        format!("{name}:{line}:{}: {}\n{}", pointer.column, problem.message, pointer.excerpt)
    }

    /// The request stands somewhere in the arguments.
    fn describe_request(&self, path: &str, message: String) -> String {
        let statement = self.text.get(self.at..).unwrap_or_default();
        let arguments = self.at + statement.find('(').unwrap_or(0);
        match locate(self.text, arguments, path) {
            Some(at) => self.describe_problem(&Problem::new(at, message)),
            None => self.describe(&message),
        }
    }
}

/// Lines that were read but not run.
#[derive(Default)]
struct Pending {
    text: String,
    balance: Balance,
    /// Lines before `text`.
    first_line: usize,
    next_line: usize,
}

impl Pending {
    fn push(&mut self, line: &str) {
        if self.text.is_empty() {
            self.first_line = self.next_line;
        }
        self.text.push_str(line);
        self.balance.feed(line);
        self.next_line += 1;
    }

    fn is_open(&self) -> bool {
        self.balance.is_open()
    }

    /// What is pending is whole if `line`, the next, does not go on with it.
    fn is_whole_before(&self, line: &str) -> bool {
        !self.text.trim().is_empty() && !self.is_open() && !line.trim_start().starts_with('.')
    }

    fn take(&mut self) -> String {
        self.balance = Balance::default();
        std::mem::take(&mut self.text)
    }
}
