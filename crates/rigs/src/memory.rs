//! T10: how much is too much, and what happens then.
//!
//! ```text
//! limits      what a caller may ask for, at one less, exactly, and one more
//! budgets     peaks of long operations, within what the options declare
//! refusals    processes that get no memory: an error or an end, and nothing half
//! cancels     long operations end soon after somebody says so
//! ```

mod budgets;
mod cancels;
pub(crate) mod child;
mod limits;
mod refusals;

use crate::report::Report;
use crate::watchdog::Watchdog;
use crate::wrong::{Checked, catch};

/// Limits, budgets, and memory that is refused.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which documents are written, and which requests are refused.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many documents the long operations work on.
    #[arg(long, default_value_t = 120_000)]
    documents: u64,
    /// How many processes are refused memory once.
    #[arg(long, default_value_t = 40)]
    refusals: u64,
    /// Only this part.
    #[arg(long)]
    only: Option<Part>,
}

/// A part of the rig.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Limits,
    Budgets,
    Refusals,
    Cancels,
}

pub(crate) fn run(args: &Args) -> Report {
    let mut report = Report::new("memory", args.seed);
    let base =
        format!("--seed {} --documents {} --refusals {}", args.seed, args.documents, args.refusals);
    let watchdog = Watchdog::watch(format!("rig memory {base}"));
    let wants = |part| args.only.is_none_or(|only| only == part);
    let mut play = |part, work: &mut dyn FnMut(&mut Report) -> Checked| {
        if !wants(part) {
            return;
        }
        if let Err(wrong) = catch(|| work(&mut report)) {
            let part = format!("{part:?}").to_lowercase();
            report.fail(&format!("{base} --only {part}"), &wrong.0);
        }
        watchdog.feed();
    };
    play(Part::Limits, &mut limits::run);
    play(Part::Budgets, &mut |report| budgets::run(args.documents, report));
    play(Part::Refusals, &mut |report| refusals::run(args.seed, args.refusals, report, &watchdog));
    play(Part::Cancels, &mut cancels::run);
    report
}
