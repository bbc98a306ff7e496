//! `kill -9` in the middle of an import: what was reported as committed is there afterwards.
//!
//! `ANY_STORE_KILL_ROUNDS` sets how many rounds are run; the seed of each is printed.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::Folder;

const BATCH: u64 = 100;

/// splitmix64
fn random(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[test]
fn what_was_reported_survives_kill_9() {
    let rounds: u64 = std::env::var("ANY_STORE_KILL_ROUNDS")
        .ok()
        .map_or(10, |rounds| rounds.parse().expect("a number of rounds"));
    let mut reported_total = 0;
    for round in 0..rounds {
        let micros = match round % 3 {
            0 => random(round) % 20_000,
            _ => 20_000 + random(round) % 400_000,
        };
        reported_total += kill_once(round, Duration::from_micros(micros));
    }
    assert!(reported_total > 0, "no round committed anything: nothing was tested");
}

/// Kills an import after `delay`, and gives the documents that were reported.
fn kill_once(round: u64, delay: Duration) -> u64 {
    let folder = Folder::new();
    let batch = BATCH.to_string();
    let mut child = folder
        .command(["import", "a.any", "docs", "-", "--report-batches", "--batch", &batch])
        .stdin(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let begun = Instant::now();
    let mut stdin = child.stdin.take().expect("a pipe");
    let stderr = child.stderr.take().expect("a pipe");
    let reported = thread::scope(|scope| {
        // The pipe breaks when the import is killed.
        scope.spawn(move || (0..).try_for_each(|id| stdin.write_all(line(id).as_bytes())).is_err());
        let reports = scope.spawn(move || last_report(stderr));
        kill_at(&mut child, begun + delay);
        reports.join().expect("the reports are text")
    });
    let seed = format!("round {round}, {delay:?}, {reported} documents reported");
    if !folder.exists("a.any") {
        assert_eq!(reported, 0, "{seed}: the file is gone");
        return 0;
    }
    folder.check("a.any");
    let collections = folder.run(["collections", "a.any"]).ok();
    if collections.is_empty() {
        assert_eq!(reported, 0, "{seed}: the collection is gone");
        return 0;
    }
    let stored = folder.export("a.any", "docs");
    let count = stored.lines().count() as u64;
    assert!(count >= reported, "{seed}: only {count} are there");
    assert_eq!(count % BATCH, 0, "{seed}: a part of a batch is there");
    let expected: String = (0..count).map(line).collect();
    assert!(stored == expected, "{seed}: documents differ");
    resume(&folder, count);
    reported
}

/// The import goes on where it was killed.
fn resume(folder: &Folder, count: u64) {
    let rest: String = (count..count + 2 * BATCH).map(line).collect();
    folder.run_with(["import", "a.any", "docs"], rest.as_bytes()).ok();
    let total = folder.run(["count", "a.any", "docs"]).ok();
    assert_eq!(total, format!("{}\n", count + 2 * BATCH));
    folder.check("a.any");
}

fn line(id: u64) -> String {
    let filler = "x".repeat((random(id) % 300) as usize);
    format!("{{\"id\":{id},\"s\":\"{filler}\"}}\n")
}

fn last_report(stderr: impl Read) -> u64 {
    let mut last = 0;
    for line in BufReader::new(stderr).lines() {
        let line = line.expect("reports are text");
        last = line
            .strip_prefix("committed ")
            .and_then(|count| count.parse().ok())
            .unwrap_or_else(|| panic!("not a report: {line}"));
    }
    last
}

fn kill_at(child: &mut Child, moment: Instant) {
    while Instant::now() < moment {
        thread::yield_now();
    }
    child.kill().expect("the import runs until it is killed");
    child.wait().expect("it ends");
}
