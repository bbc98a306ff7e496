//! The rigs: machines that try to break the promises of `docs/guarantees.md`, each one command.
//!
//! ```text
//! cargo run --profile test -p any-store-rigs -- NAME [--seed N] [...]
//! ```
//!
//! A rig prints each failure with the command that replays it, then a line for people and a line of
//! JSON. It fails if anything was wrong, and if it did less than its minimum: a machine that did
//! nothing has shown nothing. `docs/testing.md` says what each one does.

mod crash;
mod documents;
mod faults;
mod report;

use std::process::ExitCode;

use any_store_alloctest::Counting;
use clap::Parser;

use report::Report;

/// Counts bytes, so that each rig can tell its peak.
#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Tries to break what the database promises.
#[derive(Parser)]
#[command(name = "rig")]
enum Rig {
    /// Crashes the document database after every call.
    Crash(crash::Args),
    /// Lets each call of the document database fail in each way.
    Faults(faults::Args),
}

fn main() -> ExitCode {
    let rig = Rig::parse();
    let (report, usage) = any_store_alloctest::measure(|| run(&rig));
    report.print(usage.peak_bytes)
}

fn run(rig: &Rig) -> Report {
    match rig {
        Rig::Crash(args) => crash::run(args),
        Rig::Faults(args) => faults::run(args),
    }
}
