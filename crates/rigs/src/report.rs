//! What a rig did and what it found, as lines for people and a line of JSON.

use std::process::{Command, ExitCode};
use std::time::Instant;

use serde_json::{Map, Value, json};

/// With this in the environment the first failure ends the run: for whoever wants to know how long
/// it takes to find one.
const FIRST_FAILURE_ENDS: &str = "ANY_STORE_FIRST_FAILURE_ENDS";

/// Most failures that are printed; all are counted.
const MAX_PRINTED: usize = 20;

/// The result of one run of a rig.
#[derive(Debug)]
pub(crate) struct Report {
    rig: &'static str,
    seed: u64,
    begun: Instant,
    /// What was done, in the order in which it was first counted.
    counts: Vec<(&'static str, u64)>,
    minimums: Vec<(&'static str, u64)>,
    /// `NAME`s whose count is also shown for each second of the run.
    rates: Vec<&'static str>,
    failures: Vec<String>,
    failure_count: u64,
}

impl Report {
    pub(crate) fn new(rig: &'static str, seed: u64) -> Self {
        Self {
            rig,
            seed,
            begun: Instant::now(),
            counts: Vec::new(),
            minimums: Vec::new(),
            rates: Vec::new(),
            failures: Vec::new(),
            failure_count: 0,
        }
    }

    /// Adds to what was done; a name that never gets a count does not appear.
    pub(crate) fn add(&mut self, name: &'static str, count: u64) {
        match self.counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += count,
            None => self.counts.push((name, count)),
        }
    }

    /// How often something was done.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.counts.iter().find(|(known, _)| *known == name).map_or(0, |(_, count)| *count)
    }

    /// The rig fails if it did this less often.
    pub(crate) fn at_least(&mut self, name: &'static str, minimum: u64) {
        self.minimums.push((name, minimum));
    }

    /// Shows this count for each second, too.
    pub(crate) fn rate(&mut self, name: &'static str) {
        self.rates.push(name);
    }

    /// Something was wrong. `replay` is what follows the rig's name on the command line to see it
    /// again.
    pub(crate) fn fail(&mut self, replay: &str, what: &str) {
        self.failure_count += 1;
        let what = what.replace('\n', "\n       ");
        let failure = format!("{what}\n       replay: rig {} {replay}", self.rig);
        if std::env::var_os(FIRST_FAILURE_ENDS).is_some() {
            println!("FAILED {failure}");
            std::process::exit(1);
        }
        if self.failures.len() < MAX_PRINTED {
            self.failures.push(failure);
        }
    }

    /// Has anything been wrong?
    pub(crate) fn has_failed(&self) -> bool {
        self.failure_count > 0
    }

    /// Prints everything; the exit code says whether all was well.
    pub(crate) fn print(mut self, peak_bytes: usize) -> ExitCode {
        for (name, minimum) in std::mem::take(&mut self.minimums) {
            let count = self.count(name);
            if count < minimum {
                self.failure_count += 1;
                self.failures
                    .push(format!("did too little: {count} {name} where {minimum} are due"));
            }
        }
        for failure in &self.failures {
            println!("FAILED {failure}");
        }
        println!("{}", self.line());
        println!("{}", self.to_json(peak_bytes));
        ExitCode::from(u8::from(self.failure_count > 0))
    }

    fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64().max(1e-9)
    }

    fn line(&self) -> String {
        let counts: Vec<String> =
            self.counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
        let seconds = self.seconds();
        let verdict = match self.failure_count {
            0 => "nothing wrong".to_owned(),
            count => format!("{count} FAILURES"),
        };
        format!(
            "{} seed {}: {} in {seconds:.1} s: {verdict}",
            self.rig,
            self.seed,
            counts.join(", ")
        )
    }

    fn to_json(&self, peak_bytes: usize) -> Value {
        let mut fields = Map::new();
        fields.insert("rig".to_owned(), json!(self.rig));
        fields.insert("seed".to_owned(), json!(self.seed));
        for (name, count) in &self.counts {
            fields.insert((*name).to_owned(), json!(count));
        }
        for name in &self.rates {
            let rate = self.count(name) as f64 / self.seconds();
            fields.insert(format!("{name}_per_s"), json!(rate.round()));
        }
        fields.insert("failures".to_owned(), json!(self.failure_count));
        fields.insert("peak_bytes".to_owned(), json!(peak_bytes));
        fields.insert("seconds".to_owned(), json!((self.seconds() * 10.0).round() / 10.0));
        fields.insert("toolchain".to_owned(), json!(said_by("rustc", &["--version"])));
        let describe = ["describe", "--always", "--dirty", "--abbrev=12"];
        fields.insert("commit".to_owned(), json!(said_by("git", &describe)));
        Value::Object(fields)
    }
}

/// What a command prints, if it is there.
fn said_by(command: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(command).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
