//! The crash sweep: every mutating call of every script, crashed in every way, for seed after seed.
//!
//! A round is one script with one seed. The script runs once; then its recorded calls are applied
//! one by one to a fresh disk, and after each of them every way to crash yields an image, which is
//! checked. Rounds go on until enough images were distinct.

use crate::check::{Again, Checker, Expect, Wrong};
use crate::crash::{Crash, Left};
use crate::disk::Disk;
use crate::engine::{Engine, Outcome};
use crate::model::Point;
use crate::rng::Rng;
use crate::run::{Bounds, Run, run};
use crate::script::Script;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::{Duration, Instant};

mod shrink;

pub use shrink::{Shrunk, shrink};

/// How much to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The first seed; rounds count up from it.
    pub seed: u64,
    /// Rounds go on until this many images were distinct.
    pub images: u64,
    /// The scripts of each round.
    pub scripts: Vec<Script>,
    /// The ways to crash after each call.
    pub crashes: Vec<Crash>,
    /// One in this many distinct images is crashed again inside its recovery; 0 for none.
    pub again_every: u64,
    /// The sweep ends early when it has found this many violations.
    pub max_violations: usize,
    /// The sweep fails when these many seeds did not give enough images.
    pub max_seeds: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: 1,
            images: 20_000,
            scripts: Script::ALL.to_vec(),
            crashes: Crash::ALL.to_vec(),
            again_every: 50,
            max_violations: 10,
            max_seeds: 200,
        }
    }
}

/// One crash of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The script.
    pub script: Script,
    /// The seed of its steps and of the crash.
    pub seed: u64,
    /// How many mutating calls were made.
    pub call: u64,
    /// How the computer crashed.
    pub crash: Crash,
    /// The crashes inside the recoveries that followed.
    pub again: Vec<Again>,
}

/// A promise that was not kept.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Where; `None` if the script itself failed.
    pub place: Option<Place>,
    /// What was wrong.
    pub message: String,
}

/// What a sweep did and found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The seeds used.
    pub seeds: u64,
    /// The steps executed by scripts.
    pub ops: u64,
    /// The largest number of mutating calls of each script.
    pub calls: BTreeMap<Script, u64>,
    /// The images taken from scripts.
    pub crash_images: u64,
    /// The images whose bytes differed from all others.
    pub distinct: u64,
    /// The crashes inside recoveries.
    pub crashes_again: u64,
    /// The checks that ended in a panic.
    pub panics: u64,
    /// The promises that were not kept.
    pub violations: Vec<Violation>,
    /// A hash of the traces of all runs: equal for equal seeds.
    pub trace_hash: u64,
    /// Time spent on making images.
    pub imaging: Duration,
    /// Time in all.
    pub elapsed: Duration,
}

/// Runs the sweep.
#[must_use]
pub fn sweep(engine: &dyn Engine, plan: &Plan) -> Report {
    let started = Instant::now();
    let mut sweep = Sweep { engine, plan, seen: HashSet::new(), report: Report::default() };
    while !sweep.is_done() && sweep.report.seeds < plan.max_seeds {
        let seed = plan.seed.wrapping_add(sweep.report.seeds);
        sweep.report.seeds += 1;
        for script in &plan.scripts {
            sweep.round(*script, seed);
        }
    }
    sweep.report.elapsed = started.elapsed();
    sweep.report
}

/// Repeats one crash and checks what it leaves: the state found, and what may be found.
///
/// # Errors
/// What was wrong.
pub fn replay(engine: &dyn Engine, place: &Place) -> Outcome<Replayed> {
    let run = run(engine, &place.script.steps(place.seed), place.seed)?;
    let disk = run.recording.disk_after(place.call);
    let left = left_at(&disk, place.seed, place.call, place.crash);
    let bounds = run.bounds(place.call);
    let mut checker = Checker::new(engine, &run.history, place.seed);
    let outcome = checker.follow(&left, expectation(bounds, place.crash), &place.again);
    Ok(Replayed { bounds, left, outcome, last_change: describe(&run, place.call) })
}

/// What a replay saw.
#[derive(Debug)]
pub struct Replayed {
    /// What the program knew at the crash.
    pub bounds: Bounds,
    /// What the crash left.
    pub left: Left,
    /// What was found in it, or what was wrong.
    pub outcome: Outcome<Point>,
    /// The last mutating call before the crash.
    pub last_change: String,
}

/// The last call before a crash, without the bytes it wrote.
fn describe(run: &Run, call: u64) -> String {
    use crate::disk::{Change, Edit};
    match run.recording.call(call) {
        None => "none".to_owned(),
        Some(Change::Edit { file, edit: Edit::Write { offset, bytes } }) => {
            format!("write of {} bytes at {offset} in file {file}", bytes.len())
        }
        Some(change) => format!("{change:?}"),
    }
}

fn left_at(disk: &Disk, seed: u64, call: u64, crash: Crash) -> Left {
    crash.leave(disk, &mut Rng::for_parts(&[seed, call, crash.number()]))
}

fn expectation(bounds: Bounds, crash: Crash) -> Expect {
    let lowest = if crash.is_kill() { bounds.acked } else { bounds.durable };
    Expect {
        created: bounds.created,
        lowest: Point::scripted(lowest),
        durable: Point::scripted(bounds.durable),
        highest: Point::scripted(bounds.attempted),
    }
}

struct Sweep<'p> {
    engine: &'p dyn Engine,
    plan: &'p Plan,
    seen: HashSet<u128>,
    report: Report,
}

impl Sweep<'_> {
    fn is_done(&self) -> bool {
        self.report.distinct >= self.plan.images
            || self.report.violations.len() >= self.plan.max_violations
    }

    /// Even when there are images enough: a round once begun crashes every call.
    fn round(&mut self, script: Script, seed: u64) {
        let run = match run(self.engine, &script.steps(seed), seed) {
            Ok(run) => run,
            Err(message) => {
                let message = format!("script {script}, seed {seed}: {message}");
                self.report.violations.push(Violation { place: None, message });
                return;
            }
        };
        let least = script.least_work();
        if let Some(work) = run.work.filter(|work| !work.covers(least)) {
            let message = format!("script {script}, seed {seed}: {work:?} where {least:?} is due");
            self.report.violations.push(Violation { place: None, message });
        }
        let calls = run.recording.call_count();
        let most = self.report.calls.entry(script).or_default();
        *most = calls.max(*most);
        self.report.ops += run.steps;
        self.report.trace_hash = self.report.trace_hash.rotate_left(1) ^ run.trace_hash;
        let mut checker =
            Checker::new(self.engine, &run.history, seed).with_crashes(&self.plan.crashes);
        self.crash_every_call(script, seed, &run, &mut checker);
        self.report.crashes_again += checker.crashes_again;
        self.report.panics += checker.panics;
    }

    fn crash_every_call(
        &mut self,
        script: Script,
        seed: u64,
        run: &Run,
        checker: &mut Checker<'_>,
    ) {
        let mut disk = run.recording.start();
        for call in 0..=run.recording.call_count() {
            if let Some(change) = run.recording.call(call) {
                disk.apply(change);
            }
            for &crash in &self.plan.crashes {
                let place = Place { script, seed, call, crash, again: Vec::new() };
                self.crash(&disk, run, checker, place);
                if self.report.violations.len() >= self.plan.max_violations {
                    return;
                }
            }
        }
    }

    fn crash(&mut self, disk: &Disk, run: &Run, checker: &mut Checker<'_>, mut place: Place) {
        let started = Instant::now();
        let left = left_at(disk, place.seed, place.call, place.crash);
        let is_new = self.seen.insert(left.image().hash());
        self.report.imaging += started.elapsed();
        self.report.crash_images += 1;
        self.report.distinct += u64::from(is_new);
        let every = self.plan.again_every;
        let deep = is_new && every > 0 && self.report.distinct.is_multiple_of(every);
        let expect = expectation(run.bounds(place.call), place.crash);
        if let Err(wrong) = checker.check(&left, expect, if deep { 2 } else { 0 }) {
            let Wrong { again, message } = wrong;
            place.again = again;
            self.report.violations.push(Violation { place: Some(place), message });
        }
    }
}

impl Report {
    /// Why the sweep must count as failed, one reason a line; empty if it passed. Having done less
    /// than asked is a reason.
    #[must_use]
    pub fn failures(&self, plan: &Plan) -> Vec<String> {
        let mut failures: Vec<String> = self.violations.iter().map(Violation::to_string).collect();
        if self.distinct < plan.images {
            failures
                .push(format!("{} distinct images where {} are due", self.distinct, plan.images));
        }
        for script in &plan.scripts {
            if self.calls.get(script).copied().unwrap_or(0) < script.least_calls() {
                failures.push(format!("script {script} did not make its calls"));
            }
        }
        failures
    }

    /// Checked images, those inside recoveries included, a second.
    #[must_use]
    pub fn images_per_second(&self) -> u64 {
        per_second(self.crash_images + self.crashes_again, self.elapsed)
    }

    /// Images made a second, the checks left out.
    #[must_use]
    pub fn made_per_second(&self) -> u64 {
        per_second(self.crash_images, self.imaging)
    }

    /// One line of JSON.
    #[must_use]
    pub fn to_json(&self, plan: &Plan) -> String {
        let calls: Vec<String> =
            self.calls.iter().map(|(script, calls)| format!("\"{script}\":{calls}")).collect();
        format!(
            "{{\"rig\":\"crash_sweep\",\"seed\":{},\"seeds\":{},\"ops\":{},\"calls\":{{{}}},\
             \"crash_images\":{},\"distinct\":{},\"crashes_in_recovery\":{},\"violations\":{},\
             \"panics\":{},\"images_per_s\":{},\"images_made_per_s\":{},\"seconds\":{:.1},\
             \"trace_hash\":\"{:016x}\"}}",
            plan.seed,
            self.seeds,
            self.ops,
            calls.join(","),
            self.crash_images,
            self.distinct,
            self.crashes_again,
            self.violations.len(),
            self.panics,
            self.images_per_second(),
            self.made_per_second(),
            self.elapsed.as_secs_f64(),
            self.trace_hash,
        )
    }
}

fn per_second(count: u64, elapsed: Duration) -> u64 {
    (count as f64 / elapsed.as_secs_f64().max(1e-9)) as u64
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls: u64 = self.calls.values().sum();
        write!(
            f,
            "crash sweep: {} images ({} distinct) after each of {calls} calls of {} scripts over \
             {} seeds, {} crashes inside recoveries, {} violations, {:.1} s",
            self.crash_images,
            self.distinct,
            self.calls.len(),
            self.seeds,
            self.crashes_again,
            self.violations.len(),
            self.elapsed.as_secs_f64(),
        )
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// `script:call:crash:seed`, then `/call:crash` for each crash inside a recovery.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.script, self.call, self.crash, self.seed)?;
        self.again.iter().try_for_each(|again| write!(f, "/{}:{}", again.call, again.crash))
    }
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let malformed = || format!("{text:?} is not script:call:crash:seed[/call:crash]");
        let number = |part: &str| part.parse::<u64>().map_err(|_| malformed());
        let (first, rest) = text.split_once('/').unwrap_or((text, ""));
        let parts: Vec<&str> = first.split(':').collect();
        let [script, call, crash, seed] = parts.as_slice() else { return Err(malformed()) };
        let again = rest.split('/').filter(|part| !part.is_empty()).map(|part| {
            let (call, crash) = part.split_once(':').ok_or_else(malformed)?;
            Ok(Again { call: number(call)?, crash: crash.parse()? })
        });
        Ok(Self {
            script: script.parse()?,
            call: number(call)?,
            crash: crash.parse()?,
            seed: number(seed)?,
            again: again.collect::<Result<_, String>>()?,
        })
    }
}

#[cfg(test)]
mod tests;
