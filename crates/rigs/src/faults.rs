//! The single-fault sweep over documents: every call of a script fails once, in every way.
//!
//! A script runs once without faults; each opening of the database in it begins a session, and the
//! computer is kept as it was then. For each call of a session and each way to fail, the session runs
//! again from there with that call failing, as a program that goes on when it is told of errors. Then
//! readers, the handle, a kill and a power loss are looked at.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;

use any_store_sim::script::Step;
use any_store_sim::{CallKind, Script, SimVfs};

use crate::report::Report;
use aftermath::Seen;
use mode::Mode;
use program::{Program, Progress};

mod aftermath;
mod mode;
mod program;

/// The scripts of a short run, and of all runs with `--all`.
const FEW: [Script; 2] = [Script::Modes, Script::Reuse];
const SIX: [Script; 6] =
    [Script::Create, Script::Grow, Script::Overflow, Script::Build, Script::Reuse, Script::Modes];

/// More calls than any session makes: an endless loop ends here.
const CALL_LIMIT: u64 = 500_000;

/// One fault run in so many is done twice, to see that it does the same.
const TWICE_EVERY: u64 = 50;

/// What to let fail.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The first seed; rounds count up from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many fault runs at least. A round once begun does all its calls.
    #[arg(long)]
    runs: Option<u64>,
    /// All six scripts, and 40,000 runs unless `--runs` says otherwise.
    #[arg(long)]
    all: bool,
    /// The scripts of each round, in place of those.
    #[arg(long = "script")]
    scripts: Vec<Script>,
    /// Repeats one case and does nothing else.
    #[arg(long)]
    replay: Option<Case>,
}

/// One fault of one script.
#[derive(Clone, Copy, Debug)]
struct Case {
    script: Script,
    seed: u64,
    /// The call that fails, counted from 1 over the whole script.
    call: u64,
    mode: Mode,
}

pub(crate) fn run(args: &Args) -> Report {
    let seed = args.replay.map_or(args.seed, |case| case.seed);
    let mut sweep = Sweep {
        report: Report::new("faults", seed),
        seen: Seen::new(),
        is_replay: args.replay.is_some(),
    };
    match args.replay {
        Some(case) => sweep.replay(case),
        None => sweep.rounds(args),
    }
    sweep.report
}

/// A part of a script from one opening of the database to the next.
struct Session {
    /// Calls made before it.
    calls_before: u64,
    calls: Vec<CallKind>,
    steps: Vec<Step>,
    vfs: SimVfs,
    progress: Progress,
}

struct Sweep {
    report: Report,
    seen: Seen,
    is_replay: bool,
}

impl Sweep {
    fn rounds(&mut self, args: &Args) {
        let runs = args.runs.unwrap_or(if args.all { 40_000 } else { 5000 });
        let scripts: &[Script] = match args.scripts.as_slice() {
            [] if args.all => &SIX,
            [] => &FEW,
            named => named,
        };
        let mut seed = args.seed;
        while self.report.count("faults") < runs && !self.report.has_failed() {
            self.report.add("seeds", 1);
            scripts.iter().for_each(|script| self.round(*script, seed));
            seed = seed.wrapping_add(1);
        }
        for name in ["faults", "images"] {
            self.report.rate(name);
        }
        self.report.at_least("faults", runs);
        for (outcome, least) in [("aborted", 20), ("unknown", 20), ("runs_twice", 20)] {
            self.report.at_least(outcome, least.min(runs / 100));
        }
    }

    /// All faults of one script with one seed.
    fn round(&mut self, script: Script, seed: u64) {
        let sessions = match sessions(script, seed) {
            Ok(sessions) => sessions,
            Err(what) => {
                let replay = format!("--script {script} --seed {seed} --runs 1");
                return self.report.fail(&replay, &what);
            }
        };
        for session in &sessions {
            self.report.add("calls", session.calls.len() as u64);
            for (call, kind) in (session.calls_before + 1..).zip(&session.calls) {
                for mode in Mode::ALL.into_iter().filter(|mode| mode.hits(*kind)) {
                    self.fault(session, Case { script, seed, call, mode });
                }
            }
        }
    }

    fn replay(&mut self, case: Case) {
        match sessions(case.script, case.seed) {
            Ok(sessions) => {
                let session = sessions.iter().rfind(|session| session.calls_before < case.call);
                if let Some(session) = session {
                    let at = (case.call - session.calls_before - 1) as usize;
                    println!("the call that fails: {:?}", session.calls.get(at));
                    self.fault(session, case);
                }
            }
            Err(what) => self.report.fail(&format!("--replay {case}"), &what),
        }
        self.report.at_least("faults", 1);
    }

    /// One fault run; some are done twice.
    fn fault(&mut self, session: &Session, case: Case) {
        self.report.add("faults", 1);
        let (wrong, trace) = self.fault_once(session, case);
        if let Some(what) = wrong.first() {
            self.report.fail(&format!("--replay {case}"), &format!("{case}: {what}"));
        }
        if self.report.count("faults").is_multiple_of(TWICE_EVERY) {
            self.report.add("runs_twice", 1);
            let program = run_session(session, case, false);
            if trace.is_some_and(|trace| trace != program.vfs.trace_hash()) {
                let what = format!("{case}: a second run made other calls");
                self.report.fail(&format!("--replay {case}"), &what);
            }
        }
    }

    /// What was wrong, and the hash of the session's calls.
    fn fault_once(&mut self, session: &Session, case: Case) -> (Vec<String>, Option<u64>) {
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let mut program = run_session(session, case, self.is_replay);
            let trace = program.vfs.trace_hash();
            let is_hit = program.vfs.faults_fired() > 0;
            let checked = aftermath::check(&mut program, case.call, &mut self.seen);
            self.report.add("images", checked);
            self.report.add("aborted", program.aborted.len() as u64);
            self.report.add("unknown", u64::from(program.unknown.is_some()));
            self.report.add("lies_shown", program.judge.lies_shown);
            if !is_hit {
                program.judge.wrong.push("the call was never made".to_owned());
            }
            (std::mem::take(&mut program.judge.wrong), trace)
        }));
        match ran {
            Ok((wrong, trace)) => (wrong, Some(trace)),
            Err(panic) => {
                self.report.add("panics", 1);
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                (vec![format!("panic: {}", text.unwrap_or("without a message"))], None)
            }
        }
    }
}

/// Runs a session with a fault. Every other call's transactions go on without the statement that
/// failed.
fn run_session(session: &Session, case: Case, is_loud: bool) -> Program {
    let vfs = session.vfs.fork();
    vfs.limit_calls(CALL_LIMIT);
    vfs.plan(case.mode.fault(case.call - session.calls_before));
    let mut program = Program::new(vfs, session.progress.clone(), Some(case.mode));
    program.judge.is_loud = is_loud;
    program.leaves_out = case.call.is_multiple_of(2);
    program.run(&session.steps);
    program
}

/// Runs a script without faults, twice, and keeps how each session began.
fn sessions(script: Script, seed: u64) -> Result<Vec<Session>, String> {
    let run = || {
        let mut sessions = Vec::new();
        let mut vfs = SimVfs::new(seed);
        let mut progress = Progress::default();
        for steps in parts(script.steps(seed)) {
            let before = vfs.fork();
            let calls_before = before.call_count();
            let mut program = Program::new(vfs, progress.clone(), None);
            program.vfs.start_call_log();
            program.run(&steps);
            vfs = program.vfs.clone();
            let calls = vfs.take_call_log();
            if let Some(what) = program.judge.wrong.first() {
                return Err(format!("without a fault: {what}"));
            }
            let next = program.progress.clone();
            drop(program);
            sessions.push(Session { calls_before, calls, steps, vfs: before, progress });
            progress = next;
        }
        Ok((sessions, vfs.trace_hash()))
    };
    let (sessions, trace) = run()?;
    let (_, again) = run()?;
    if trace == again { Ok(sessions) } else { Err("a second run made other calls".to_owned()) }
}

/// Cuts a script before each opening.
fn parts(steps: Vec<Step>) -> Vec<Vec<Step>> {
    let mut parts: Vec<Vec<Step>> = Vec::new();
    for step in steps {
        match parts.last_mut() {
            Some(part) if !matches!(step, Step::Open(_)) => part.push(step),
            _ => parts.push(vec![step]),
        }
    }
    parts
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.script, self.seed, self.call, self.mode)
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let malformed = || format!("{text:?} is not script:seed:call:mode");
        let parts: Vec<&str> = text.split(':').collect();
        let [script, seed, call, mode] = parts.as_slice() else { return Err(malformed()) };
        Ok(Self {
            script: script.parse()?,
            seed: seed.parse().map_err(|_| malformed())?,
            call: call.parse().map_err(|_| malformed())?,
            mode: mode.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_reads_back_as_it_was_written() {
        for mode in Mode::ALL {
            let text = format!("reuse:3:17:{mode}");
            let case: Case = text.parse().expect("well formed");
            assert_eq!((case.to_string(), case.mode), (text, mode));
        }
        for bad in ["", "reuse:3:17", "dig:3:17:io", "reuse:3:x:io", "reuse:3:17:burn"] {
            assert!(bad.parse::<Case>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_answer_that_is_not_the_models_is_noticed() {
        let sessions = sessions(Script::Create, 1).expect("the script runs");
        let session = &sessions[0];
        let mut program = Program::new(session.vfs.fork(), session.progress.clone(), None);
        program.run(&session.steps[..1]);
        assert_eq!(program.judge.wrong, Vec::<String>::new());
        program.progress.committed.create_tree(1);
        program.expect_state("now");
        assert_eq!(program.judge.wrong, ["now: tree 1 is missing"]);
    }

    #[test]
    fn an_error_that_nothing_explains_is_noticed() {
        let sessions = sessions(Script::Create, 1).expect("the script runs");
        let case = Case { script: Script::Create, seed: 1, call: 1, mode: Mode::Io };
        let mut program = run_session(&sessions[0], case, false);
        assert_eq!(program.judge.wrong, Vec::<String>::new());
        program.judge.mode = Some(Mode::Short);
        program.judge.error(any_store::ErrorKind::Io, "reading");
        assert_eq!(program.judge.wrong.len(), 1);
    }
}
