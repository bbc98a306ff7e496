//! The crash sweep over documents: every mutating call of every script, crashed in every way.
//!
//! What is done and checked is the sweep of `any_store_sim`, with collections for trees and documents
//! for entries; see `docs/testing.md`. A round that failed is made shorter before it is printed.

use any_store_sim::sweep::{Place, replay, shrink, sweep};
use any_store_sim::{Crash, Plan, Script};

use crate::documents::DocumentEngine;
use crate::report::Report;

/// What to crash, and how often.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The first seed; rounds count up from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many distinct images are checked at least.
    #[arg(long, default_value_t = 8000)]
    images: u64,
    /// The scripts of each round; all that fit collections if none is named.
    #[arg(long = "script")]
    scripts: Vec<Script>,
    /// The ways to crash; all if none is named.
    #[arg(long = "crash")]
    crashes: Vec<Crash>,
    /// One in this many distinct images is crashed again at each call of its recovery.
    #[arg(long, default_value_t = 50)]
    again_every: u64,
    /// Repeats one case and does nothing else.
    #[arg(long)]
    replay: Option<Place>,
}

/// How often a failing script is tried with something left out.
const SHRINK_ATTEMPTS: u32 = 300;

pub(crate) fn run(args: &Args) -> Report {
    match &args.replay {
        Some(place) => run_replay(place),
        None => run_sweep(args),
    }
}

fn run_sweep(args: &Args) -> Report {
    let plan = plan(args);
    let mut report = Report::new("crash", args.seed);
    expect_same_calls(&plan, &mut report);
    let mut swept = sweep(&DocumentEngine, &plan);
    // The smallest script, crashed again inside every recovery.
    let deep = Plan { scripts: vec![Script::Create], again_every: 1, images: 1, ..plan.clone() };
    let deep = sweep(&DocumentEngine, &deep);
    report.add("crash_images", deep.crash_images);
    report.add("crashes_in_recovery", deep.crashes_again);
    report.add("panics", deep.panics);
    report.add("images", deep.crash_images + deep.crashes_again);
    swept.violations.extend(deep.violations);
    report.add("seeds", swept.seeds);
    report.add("ops", swept.ops);
    report.add("calls", swept.calls.values().sum());
    report.add("crash_images", swept.crash_images);
    report.add("distinct", swept.distinct);
    report.add("crashes_in_recovery", swept.crashes_again);
    report.add("panics", swept.panics);
    report.add("images", swept.crash_images + swept.crashes_again);
    report.rate("images");
    for violation in &swept.violations {
        match &violation.place {
            Some(place) => report.fail(&format!("--replay {place}"), &violation.message),
            None => report.fail(&format!("--seed {} --images 1", args.seed), &violation.message),
        }
    }
    if let Some(place) = swept.violations.iter().find_map(|violation| violation.place.as_ref()) {
        print_shrunk(place);
    }
    if swept.violations.is_empty() {
        report.at_least("distinct", plan.images);
    }
    report
}

/// The same seed makes the same calls.
fn expect_same_calls(plan: &Plan, report: &mut Report) {
    for script in &plan.scripts {
        let trace = || {
            let run = any_store_sim::run::run(&DocumentEngine, &script.steps(plan.seed), plan.seed);
            run.map(|run| run.trace_hash)
        };
        if trace() != trace() {
            let replay = format!("--script {script} --seed {} --images 1", plan.seed);
            report.fail(&replay, &format!("script {script}: a second run made other calls"));
        }
        report.add("runs_twice", 1);
    }
}

/// The steps that are enough to fail.
fn print_shrunk(place: &Place) {
    let steps = place.script.steps(place.seed);
    let Some(shrunk) = shrink(&DocumentEngine, &steps, place.seed, place.crash, SHRINK_ATTEMPTS)
    else {
        return;
    };
    println!("{} steps of {} are enough: {}", shrunk.steps.len(), steps.len(), shrunk.message);
    for step in &shrunk.steps {
        println!("    {step:.120?}");
    }
    if let Some(call) = shrunk.call {
        println!("    then {} after {call} mutating calls", place.crash);
    }
}

fn plan(args: &Args) -> Plan {
    let or = |named: &[Script], all: &[Script]| if named.is_empty() { all } else { named }.to_vec();
    Plan {
        seed: args.seed,
        images: args.images,
        scripts: or(&args.scripts, &Script::OF_COLLECTIONS),
        crashes: if args.crashes.is_empty() { Crash::ALL.to_vec() } else { args.crashes.clone() },
        again_every: args.again_every,
        ..Plan::default()
    }
}

fn run_replay(place: &Place) -> Report {
    let mut report = Report::new("crash", place.seed);
    match replay(&DocumentEngine, place) {
        Ok(replayed) => {
            println!("last change before the crash: {}", replayed.last_change);
            println!("what the program knew: {:?}", replayed.bounds);
            for (path, len) in replayed.left.image().files() {
                println!("left: {} ({len} bytes)", path.display());
            }
            match &replayed.outcome {
                Ok(found) => println!("found {found}"),
                Err(message) => report.fail(&format!("--replay {place}"), message),
            }
        }
        Err(message) => report.fail(&format!("--replay {place}"), &message),
    }
    report.add("images", 1);
    report
}
