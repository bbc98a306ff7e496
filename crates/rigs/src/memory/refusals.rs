//! Processes that get no memory, at one large request or beyond some size: the call that asked says
//! so, or the process ends. Then nothing is half, and what was acknowledged is there.

use std::io::{BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use any_store_sim::Rng;

use super::child::{FINISHED, Need};
use crate::processes::{Heard, Known};
use crate::report::Report;
use crate::watchdog::Watchdog;
use crate::wrong::{Checked, Wrong, ensure};

/// Refusals that one database lives through.
const REFUSALS_OF_A_DATABASE: u64 = 20;
/// How a process ends that gets no memory.
const SIGABRT: i32 = 6;
/// Address spaces in KiB, from one in which nothing runs to one in which all does.
const ADDRESS_SPACES_KIB: [u64; 8] =
    [24 << 10, 48 << 10, 96 << 10, 112 << 10, 128 << 10, 160 << 10, 256 << 10, 1 << 20];

pub(super) fn run(seed: u64, refusals: u64, report: &mut Report, watchdog: &Watchdog) -> Checked {
    let mut done = 0;
    while done < refusals {
        let lives = REFUSALS_OF_A_DATABASE.min(refusals - done);
        refuse_requests(seed, done, lives, report)?;
        done += lives;
        watchdog.feed();
    }
    bound_address_space(seed, report)?;
    report.at_least("refusals", refusals);
    report.at_least("refusals_as_errors", refusals / 20);
    report.at_least("address_spaces", ADDRESS_SPACES_KIB.len() as u64);
    Ok(())
}

/// Refuses a request of a size, each process another one.
fn refuse_requests(seed: u64, first: u64, lives: u64, report: &mut Report) -> Checked {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("bank.any");
    let mut known = Known::new(Rng::for_parts(&[seed, first]).next_u64());
    for round in first..first + lives {
        let mut rng = Rng::for_parts(&[seed, round, 0x0E0]);
        // The larger, the fewer there are.
        let log2 = rng.between(12, 19);
        let need = Need { request: rng.between(1, (800 >> (log2 - 12)).max(4)), bytes: 1 << log2 };
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("memory-child").arg(&path).args([known.seed().to_string(), round.to_string()]);
        command.arg("--request").arg(need.request.to_string());
        command.arg("--bytes").arg(need.bytes.to_string());
        let end = End::of(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)?;
        let blame = |wrong| Wrong(format!("round {round}, {need:?}, {end:?}: {wrong}"));
        end.expect_fair().map_err(blame)?;
        known.check(&path, &end.heard, round).map_err(blame)?;
        end.count(report);
        report.add("refusals", 1);
    }
    Ok(())
}

/// Runs processes in address spaces that are too small.
fn bound_address_space(seed: u64, report: &mut Report) -> Checked {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("bank.any");
    let mut known = Known::new(Rng::for_parts(&[seed, 0xADD]).next_u64());
    for (round, kib) in (0..).zip(ADDRESS_SPACES_KIB) {
        let program = std::env::current_exe()?;
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("ulimit -v {kib} && exec \"$0\" \"$@\"")).arg(program);
        command.arg("memory-child").arg(&path).args([known.seed().to_string(), round.to_string()]);
        let end = End::of(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)?;
        known
            .check(&path, &end.heard, round)
            .map_err(|wrong| Wrong(format!("{kib} KiB, {end:?}: {wrong}")))?;
        end.count(report);
        report.add("address_spaces", 1);
    }
    ensure(Path::new(&path).exists(), || "no process had room enough".to_owned())
}

/// How a process ended.
#[derive(Debug)]
struct End {
    status: ExitStatus,
    heard: Heard,
    said: String,
}

impl End {
    fn of(mut child: Child) -> Checked<Self> {
        let mut heard = Heard::default();
        let mut words = BufReader::new(child.stdout.take().expect("it is piped"));
        while heard.listen(&mut words)?.is_some() {}
        let mut said = String::new();
        child.stderr.take().expect("it is piped").read_to_string(&mut said)?;
        Ok(Self { status: child.wait()?, heard, said })
    }

    fn was_aborted(&self) -> bool {
        self.status.signal() == Some(SIGABRT)
    }

    /// It ended because it got no memory, or did all it had to.
    fn expect_fair(&self) -> Checked {
        let is_fair = self.status.success() || self.was_aborted();
        ensure(is_fair, || "it ended otherwise".to_owned())
    }

    fn count(&self, report: &mut Report) {
        let is_refused = self.said.contains("refused");
        report.add("refusals_as_errors", u64::from(is_refused && self.status.success()));
        report.add("refusals_as_aborts", u64::from(self.was_aborted()));
        let was_untouched = self.said.contains(FINISHED) && !is_refused;
        report.add("refusals_that_nobody_met", u64::from(was_untouched));
    }
}
