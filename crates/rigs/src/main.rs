//! The rigs: machines that try to break the promises of `docs/guarantees.md`, each one command.
//!
//! ```text
//! cargo run --profile test -p any-store-rigs -- NAME [--seed N] [...]
//! ```
//!
//! A rig prints each failure with the command that replays it, then a line for people and a line of
//! JSON. It fails if anything was wrong, and if it did less than its minimum: a machine that did
//! nothing has shown nothing. `docs/testing.md` says what each one does.

mod bank;
mod corruption;
mod crash;
mod documents;
mod faults;
mod isolation;
mod memory;
mod model;
mod processes;
mod report;
mod watchdog;
mod wrong;

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
    /// Random histories against a reference model.
    Model(model::Args),
    /// Flipped bits, hostile files and damaged logs
    Corruption(corruption::Args),
    /// T5: threads that read, write, checkpoint and back up one database.
    Isolation(isolation::Args),
    /// T6: processes that write, and are killed.
    Processes(processes::Args),
    /// A process that is killed.
    #[command(hide = true)]
    ProcessChild(processes::child::Args),
    /// T10: limits, budgets, and memory that is refused.
    Memory(memory::Args),
    /// A process that gets no memory.
    #[command(hide = true)]
    MemoryChild(memory::child::Args),
    /// Crashes the document database after every call.
    Crash(crash::Args),
    /// Lets each call of the document database fail in each way.
    Faults(faults::Args),
}

fn main() -> ExitCode {
    let rig = Rig::parse();
    match &rig {
        Rig::ProcessChild(args) => return processes::child::run(args),
        Rig::MemoryChild(args) => return memory::child::run(args),
        _ => {}
    }
    let (report, usage) = any_store_alloctest::measure(|| run(&rig));
    report.print(usage.peak_bytes)
}

fn run(rig: &Rig) -> Report {
    match rig {
        Rig::Model(args) => model::run(args),
        Rig::Corruption(args) => corruption::run(args),
        Rig::Isolation(args) => isolation::run(args),
        Rig::Processes(args) => processes::run(args),
        Rig::Memory(args) => memory::run(args),
        Rig::ProcessChild(_) | Rig::MemoryChild(_) => unreachable!("a child reports nothing"),
        Rig::Crash(args) => crash::run(args),
        Rig::Faults(args) => faults::run(args),
    }
}
