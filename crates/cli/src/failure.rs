//! Why a command failed: what people read, and the exit code that scripts read.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;

use any_store::{Error, ErrorKind};

use crate::screen;
use crate::source::Problem;

/// The exit codes. 0 is success; 130 is what a shell reports after an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Failed = 1,
    Usage = 2,
    NotOpened = 3,
    Damaged = 4,
    Locked = 5,
    Key = 6,
}

/// Why a command ends before it is done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// With this message.
    Message(Exit, String),
    /// What is wrong was said already.
    Reported(Exit),
    /// Nobody reads the output any more: no failure, and nobody to tell.
    OutputClosed,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure::Message(exit, message.into())
    }

    /// The command failed, and no more precise exit code fits.
    pub(crate) fn failed(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Failed, message)
    }

    /// The database could not be opened.
    pub(crate) fn not_opened(error: &Error) -> Failure {
        let exit = match exit_of(error) {
            Exit::Failed => Exit::NotOpened,
            other => other,
        };
        Failure::new(exit, describe(error))
    }

    /// An open database refused.
    pub(crate) fn of_database(error: &Error) -> Failure {
        Failure::new(exit_of(error), describe(error))
    }

    /// Writing to `target` failed.
    pub(crate) fn of_output(target: &str, error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::OutputClosed,
            _ => Failure::failed(format!("cannot write {target}: {error}")),
        }
    }

    /// `text`, which is the `what` of the command line, cannot be read.
    pub(crate) fn of_text(what: &str, text: &str, problem: &Problem) -> Failure {
        let pointer = problem.pointer(text);
        Failure::failed(format!("{what}: {}\n{}", problem.message, pointer.excerpt))
    }

    /// Says what is wrong, once, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Failure::OutputClosed => ExitCode::SUCCESS,
            Failure::Reported(exit) => ExitCode::from(exit as u8),
            Failure::Message(exit, message) => {
                screen::error(&message);
                ExitCode::from(exit as u8)
            }
        }
    }

    /// Says what is wrong now; what is left is the exit code.
    pub(crate) fn reported(self) -> Failure {
        match self {
            Failure::Message(exit, message) => {
                screen::error(&message);
                Failure::Reported(exit)
            }
            other => other,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::of_database(&error)
    }
}

fn exit_of(error: &Error) -> Exit {
    match error.kind() {
        ErrorKind::Corrupt | ErrorKind::LogDamaged | ErrorKind::QuickCheckFailed => Exit::Damaged,
        ErrorKind::Locked | ErrorKind::Busy => Exit::Locked,
        ErrorKind::KeyRequired | ErrorKind::NotEncrypted | ErrorKind::WrongKey => Exit::Key,
        _ => Exit::Failed,
    }
}

/// The error, what caused it, and what its message leaves out.
pub(crate) fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let more = source.to_string();
        if !text.contains(&more) {
            // Writing to a string cannot fail.
            let _ = write!(text, ": {more}");
        }
        cause = source.source();
    }
    if let Some(page) = error.page()
        && !text.contains(&format!("page {page}"))
    {
        let _ = write!(text, " (page {page})");
    }
    text
}
