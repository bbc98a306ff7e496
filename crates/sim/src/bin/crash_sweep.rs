//! The crash sweep over the storage engine, as a command. `docs/testing.md` says how to use it.
//!
//! Prints what it found wrong, one violation a line with the way to replay it, then a line for
//! people and a line of JSON. Exit code 1: something was wrong, or less was done than asked.

use any_store_sim::engine::StoreEngine;
use any_store_sim::sweep::{Place, replay, sweep};
use any_store_sim::{Crash, Plan, Script};
use std::process::ExitCode;

const USAGE: &str = "\
usage: crash_sweep [--seed N] [--images N] [--script NAME]... [--crash NAME]... [--again-every N]
                   [--max-violations N] [--max-seeds N]
       crash_sweep --replay SCRIPT:CALL:CRASH:SEED[/CALL:CRASH]...";

enum Task {
    Sweep(Plan),
    Replay(Place),
    Help,
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Ok(Task::Sweep(plan)) => run_sweep(&plan),
        Ok(Task::Replay(place)) => run_replay(&place),
        Ok(Task::Help) => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("crash_sweep: {message}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Task, String> {
    let mut plan = Plan::default();
    let mut scripts: Vec<Script> = Vec::new();
    let mut crashes: Vec<Crash> = Vec::new();
    while let Some(flag) = arguments.next() {
        if flag == "--help" || flag == "-h" {
            return Ok(Task::Help);
        }
        let value = arguments.next().ok_or_else(|| format!("{flag} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{value:?} is not a number"));
        match flag.as_str() {
            "--seed" => plan.seed = number()?,
            "--images" => plan.images = number()?,
            "--again-every" => plan.again_every = number()?,
            "--max-violations" => plan.max_violations = number()?.max(1) as usize,
            "--max-seeds" => plan.max_seeds = number()?,
            "--script" => scripts.push(value.parse()?),
            "--crash" => crashes.push(value.parse()?),
            "--replay" => return Ok(Task::Replay(value.parse()?)),
            _ => return Err(format!("unknown flag {flag}")),
        }
    }
    if !scripts.is_empty() {
        plan.scripts = scripts;
    }
    if !crashes.is_empty() {
        plan.crashes = crashes;
    }
    Ok(Task::Sweep(plan))
}

fn run_sweep(plan: &Plan) -> ExitCode {
    let report = sweep(&StoreEngine, plan);
    let failures = report.failures(plan);
    for failure in &failures {
        println!("FAILED {failure}");
    }
    println!("{report}");
    println!("{}", report.to_json(plan));
    ExitCode::from(u8::from(!failures.is_empty()))
}

fn run_replay(place: &Place) -> ExitCode {
    let replayed = match replay(&StoreEngine, place) {
        Ok(replayed) => replayed,
        Err(message) => {
            println!("FAILED the script itself: {message}");
            return ExitCode::FAILURE;
        }
    };
    println!("last change before the crash: {}", replayed.last_change);
    println!("what the program knew: {:?}", replayed.bounds);
    for (path, len) in replayed.left.image().files() {
        println!("left: {} ({len} bytes)", path.display());
    }
    match &replayed.outcome {
        Ok(found) => {
            println!("ok: found {found}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            println!("FAILED {place}: {message}");
            ExitCode::FAILURE
        }
    }
}
