//! The any-store command line: `any-store COMMAND DB ...`, and the shell.
//!
//! A command is one file in `commands`. It opens the database through `open`, says which documents
//! it means by a `selection`, writes data through `output` to standard output, and everything else
//! through `screen` to standard error. What goes wrong is a `failure` with an exit code.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::cast_possible_truncation
    )
)]

mod args;
mod commands;
mod failure;
mod figures;
mod hint;
mod open;
mod output;
mod progress;
mod relaxed;
mod screen;
mod selection;
mod source;
mod split;
mod statement;
mod suggest;

use std::process::ExitCode;

use args::{Arguments, Command};

fn main() -> ExitCode {
    match args::parse(std::env::args_os()) {
        Ok(arguments) => {
            screen::set_up(arguments.quiet, arguments.color);
            run(&arguments).map_or_else(failure::Failure::report, |()| ExitCode::SUCCESS)
        }
        Err(usage) => {
            // A standard output or error that is closed leaves nobody to tell.
            let _ = usage.print();
            u8::try_from(usage.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), failure::Failure> {
    match &arguments.command {
        Command::Demo(demo) => commands::demo::run(demo),
        Command::Import(import) => commands::import::run(import),
        Command::Export(export) => commands::export::run(export),
        Command::Query(query) => commands::query::run(query),
        Command::Count(count) => commands::count::run(count),
        Command::Explain(explain) => commands::explain::run(explain),
        Command::Collections(collections) => commands::collections::run(collections),
        Command::Indexes(indexes) => commands::indexes::run(indexes),
        Command::Stats(stats) => commands::stats::run(stats),
        Command::Check(check) => commands::check::run(check),
        Command::Flush(flush) => commands::flush::run(flush),
        Command::Verify(verify) => commands::check::run_verify(verify),
        Command::Backup(backup) => commands::backup::run(backup),
        Command::Compact(compact) => commands::compact::run(compact),
        Command::Shell(shell) => commands::shell::run(shell),
    }
}
