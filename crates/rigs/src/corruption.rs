//! Corruption (T7): bits that rot, files that an adversary made, logs that were damaged.
//!
//! Two databases of about 5 MB stand on shared bytes, one with a log of as much, one closed, and two
//! small ones of the same kind. A case is one of them with some bytes changed (`overlay`), used in
//! every way that the public interface has (`exercise`):
//!
//! - `flip`: one bit. First every byte of the header slots, of the log's head, of its first three
//!   frames and of a page of each kind; then bits by chance. Each answer is right, or an error that
//!   says what is damaged, and whoever does not need the damaged block gets the right answer.
//! - `hostile`: bytes that somebody chose, with checks that hold. Any answer will do.
//! - `closed`: each byte of a closed file; `verify`, or the open, notices every one.
//! - `log`: damage in the log below a durable commit is reported, the files are kept, and salvage
//!   brings back what was committed before it.
//! - `live`: a bit of the log rots under an open database, which must not copy it into the file.
//! - `pair`: logs that were cut, extended, or belong to another database or session.

mod base;
mod closed;
mod exercise;
mod flips;
mod hostile;
mod layout;
mod live;
mod log;
mod overlay;
mod watch;

use base::{Base, Scale};
use watch::Watch;

use crate::report::Report;

/// What one case may take beside the cache that it declares.
const SLACK_BYTES: usize = 32 << 20;

/// How much to do.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where chance begins
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Bits flipped by chance
    #[arg(long, default_value_t = 5_000)]
    flips: u64,
    /// Hostile files made by chance
    #[arg(long, default_value_t = 2_000)]
    restamped: u64,
    /// Bits flipped in a log below a durable commit
    #[arg(long, default_value_t = 500)]
    log_flips: u64,
    /// Go through the places that everything hangs on bit by bit, not byte by byte, and through
    /// those of the large databases too
    #[arg(long)]
    thorough: bool,
    /// Run one case, as a failure names it
    #[arg(long, value_name = "CASE")]
    replay: Option<String>,
}

/// The databases that cases are made from.
struct Bases(Vec<Base>);

impl Bases {
    fn build() -> Self {
        let built = [Scale::LARGE, Scale::SMALL].map(|scale| match base::build(scale) {
            Ok(bases) => bases,
            Err(error) => unreachable!("nothing is damaged yet: {error}"),
        });
        Self(built.into_iter().flatten().collect())
    }

    /// The large ones, which chance chooses from.
    fn large(&self) -> &[Base] {
        &self.0[..2]
    }
}

/// What a rig's parts share.
struct Rig<'r> {
    args: &'r Args,
    bases: Bases,
    watch: Watch,
    report: Report,
}

pub(crate) fn run(args: &Args) -> Report {
    let mut rig = Rig {
        args,
        bases: Bases::build(),
        watch: Watch::start(),
        report: Report::new("corruption", args.seed),
    };
    match &args.replay {
        Some(case) => rig.replay(case),
        None => rig.run_all(),
    }
    rig.report
}

impl Rig<'_> {
    fn run_all(&mut self) {
        let Args { flips, restamped, log_flips, .. } = *self.args;
        self.report.at_least("flips", flips);
        self.report.at_least("hostile_images", restamped);
        self.report.at_least("log_flips", log_flips);
        self.report.at_least("closed_bytes", 100_000);
        live::run(self);
        log::run(self);
        closed::run(self);
        flips::run(self);
        hostile::run(self);
        self.report.rate("cases");
    }

    fn replay(&mut self, case: &str) {
        let parts: Vec<&str> = case.split(':').collect();
        let known = match parts[..] {
            ["flip", base, part, place] => flips::replay(self, base, part, place),
            ["closed", offset] => closed::replay(self, offset),
            ["log" | "pair", number] => log::replay(self, parts[0], number),
            ["live", number] => live::replay(self, number),
            ["hostile", number] => hostile::replay(self, number),
            _ => None,
        };
        if known.is_none() {
            self.report.fail(&format!("--replay {case}"), "there is no such case");
        }
    }

    /// Runs one case, and counts what it was: right, reported, or wrong in some way.
    fn case(
        &mut self,
        name: &str,
        run: impl FnOnce(&Bases) -> Result<exercise::Outcome, exercise::Wrong>,
    ) {
        let (watch, bases) = (&self.watch, &self.bases);
        let (outcome, usage) = any_store_alloctest::measure(|| watch.run(name, || run(bases)));
        self.report.add("cases", 1);
        let budget = base::CACHE_BYTES as usize + SLACK_BYTES;
        let outcome = match outcome {
            Ok(_) if usage.peak_bytes > budget => {
                Err(exercise::Wrong(format!("allocation: {} bytes", usage.peak_bytes)))
            }
            outcome => outcome,
        };
        match outcome {
            Ok(exercise::Outcome::Right) => self.report.add("right", 1),
            Ok(exercise::Outcome::Reported) => self.report.add("reported", 1),
            Ok(exercise::Outcome::Refused) => self.report.add("refused", 1),
            Err(wrong) => self.fail(name, &wrong.0),
        }
    }

    fn fail(&mut self, name: &str, what: &str) {
        let kinds = [("panic", "panics"), ("hang", "hangs"), ("allocation", "allocations")];
        let kind = kinds.iter().find(|(kind, _)| what.starts_with(kind));
        self.report.add(kind.map_or("wrong", |(_, count)| count), 1);
        let replay = format!("--seed {} --replay {name}", self.args.seed);
        self.report.fail(&replay, &format!("{name}: {what}"));
    }
}
