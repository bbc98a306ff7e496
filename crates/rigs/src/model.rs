//! The model checker: random histories played on the database and on a reference that is written
//! apart, the slow way; whatever differs is a failure.
//!
//! A failing history is shrunk and printed as lines of JSON, which `--play FILE` plays again; those
//! that found a bug are kept in `model/kept` and played as tests.

mod answer;
mod check;
mod disk;
mod draw;
mod engine;
mod history;
mod op;
mod player;
mod scope;
mod setup;
mod shrink;
mod state;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use crate::report::Report;
use crate::watchdog::Watchdog;
use history::{Failure, History};
use player::Tally;

/// The arguments of the model checker.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The first seed; each history takes the next one.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many histories are played.
    #[arg(long, default_value_t = 2000)]
    histories: u64,
    /// Plays the history of this seed alone and prints it.
    #[arg(long)]
    replay: Option<u64>,
    /// Plays the history in this file.
    #[arg(long)]
    play: Option<PathBuf>,
}

/// Plays histories.
pub(crate) fn run(args: &Args) -> Report {
    let mut report = Report::new("model", args.seed);
    report.rate("ops");
    history::keep_panics();
    if let Some(path) = &args.play {
        play_file(path, &mut report);
    } else if let Some(seed) = args.replay {
        let history = draw::history(seed);
        println!("{history}");
        play(seed, &history, &mut report);
    } else {
        report.at_least("histories", args.histories);
        report.at_least("ops", args.histories * draw::OPS as u64 / 2);
        (0..args.histories).map(|number| args.seed.wrapping_add(number)).for_each(|seed| {
            play(seed, &draw::history(seed), &mut report);
        });
    }
    report
}

fn play_file(path: &std::path::Path, report: &mut Report) {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
    match text.and_then(|text| History::parse(&text)) {
        Ok(history) => {
            let (tally, failure) = history.play();
            count(tally, report);
            if let Some(Failure { at, what, .. }) = failure {
                report.fail(&format!("--play {}", path.display()), &format!("op {at}: {what}"));
            }
        }
        Err(error) => report.fail(&format!("--play {}", path.display()), &error),
    }
}

/// Plays the history of a seed; if it fails, shrinks it and prints what is left.
fn play(seed: u64, history: &History, report: &mut Report) {
    let watchdog = Watchdog::watch(format!("rig model --replay {seed}"));
    let (tally, failure) = history.play();
    watchdog.feed();
    count(tally, report);
    let Some(failure) = failure else { return };
    report.add(if failure.is_panic { "panics" } else { "wrong" }, 1);
    let (shrunk, failure) = shrink::shrink(history, failure, &|history| history.play().1);
    let Failure { at, what, .. } = failure;
    report.fail(
        &format!("--replay {seed}"),
        &format!("operation {at} of the shrunk history: {what}\n{shrunk}"),
    );
}

fn count(tally: Tally, report: &mut Report) {
    report.add("histories", 1);
    report.add("ops", tally.ops);
    report.add("commits", tally.commits);
    report.add("refused", tally.refused);
    report.add("checks", tally.checks);
    report.add("crashes", tally.crashes);
}
