//! Damaged files and full disks: the right code, a message that names the place, and no harm done.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use crate::support::Folder;

/// A database of some thousand documents, closed.
fn database(folder: &Folder) {
    let text: String =
        (0..5000).map(|id| format!("{{\"id\":{id},\"s\":\"{:0>60}\"}}\n", id * 7)).collect();
    folder.run_with(["import", "a.any", "docs", "--quiet"], text.as_bytes()).ok();
}

#[test]
fn a_damaged_page_is_code_4_and_named() {
    let folder = Folder::new();
    database(&folder);
    let whole = folder.read("a.any");
    let marker = whole.windows(8).position(|bytes| bytes == b"00000707").expect("a document");
    let mut damaged = whole.clone();
    damaged[marker] ^= 1;
    folder.write("a.any", &damaged);
    let page = format!("page {}", marker / 4096);
    for command in [
        &["check", "a.any"][..],
        &["check", "a.any", "--full"],
        &["check", "a.any", "--verify"],
        &["export", "a.any", "docs"],
        &["count", "a.any", "docs", "{s: 'x'}"],
    ] {
        let message = folder.run(command).fails_with(4);
        assert!(message.contains("page "), "{command:?}: {message}");
    }
    let report = folder.run(["check", "a.any", "--verify", "--json"]);
    assert_eq!(report.code, Some(4));
    let report: serde_json::Value = serde_json::from_str(&report.out).expect("a report");
    assert_eq!(report["ok"], false);
    assert_eq!(report["checks"][0]["check"], "verify");
    assert!(report["checks"][0]["damage"].to_string().contains("page"), "{report} names no {page}");

    folder.write("a.any", &whole);
    folder.check("a.any");
    assert_eq!(folder.run(["count", "a.any", "docs"]).ok(), "5000\n");
}

#[test]
fn every_part_of_a_file_may_be_damaged_without_a_panic() {
    let folder = Folder::new();
    database(&folder);
    let whole = folder.read("a.any");
    let mut found = 0;
    for offset in (0..whole.len()).step_by(whole.len() / 40) {
        let mut damaged = whole.clone();
        damaged[offset] ^= 0x40;
        folder.write("a.any", &damaged);
        let outcome = folder.run(["check", "a.any", "--full", "--verify"]);
        let code = outcome.code.expect("the check ends by itself");
        assert!([0, 3, 4].contains(&code), "offset {offset}: {code}: {}", outcome.err);
        found += usize::from(code != 0);
    }
    assert!(found >= 30, "only {found} damaged files were recognized");
    for length in [0, 1, 100, 4096, 8192, whole.len() / 2, whole.len() - 1] {
        folder.write("a.any", &whole[..length]);
        let outcome = folder.run(["check", "a.any", "--full", "--verify"]);
        let code = outcome.code.expect("the check ends by itself");
        assert!([0, 3, 4].contains(&code), "length {length}: {code}: {}", outcome.err);
        assert!(code != 0 || length == 0, "a file of {length} bytes passed");
    }
}

/// A database with a log, as a killed process leaves it.
fn killed(folder: &Folder) {
    let mut child = folder
        .command(["import", "a.any", "docs", "-", "--report-batches", "--batch", "100"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let documents: String = (0..150).map(|id| format!("{{\"id\":{id}}}\n")).collect();
    stdin.write_all(documents.as_bytes()).expect("the import reads");
    let mut report = String::new();
    let stderr = child.stderr.as_mut().expect("a pipe");
    BufReader::new(stderr).read_line(&mut report).expect("it reports a batch");
    child.kill().expect("the import waits for more");
    child.wait().expect("it ends");
}

#[test]
fn a_database_without_its_log_is_salvaged_only_on_request() {
    let folder = Folder::new();
    killed(&folder);
    let (file, log) = (folder.read("a.any"), vec![7; 9000]);
    folder.write("a.any-wal", &log);
    folder.run(["check", "a.any"]).fails_with(4);
    folder.run(["flush", "a.any"]).fails_with(4);
    let outcome = folder.run(["check", "a.any", "--salvage"]);
    assert!(outcome.err.contains("later ones are lost"), "{}", outcome.err);
    outcome.ok();
    assert!(folder.read("a.any") == file && folder.read("a.any-wal") == log);

    let outcome = folder.run(["flush", "a.any", "--salvage"]);
    assert!(outcome.err.contains("a.any-wal.damaged-1"), "{}", outcome.err);
    outcome.ok();
    assert!(folder.read("a.any-wal.damaged-1") == log);
    folder.check("a.any");
    let again = folder.run(["check", "a.any", "--salvage"]);
    assert!(!again.err.contains("lost"), "{}", again.err);
}

/// The shell's limit on file sizes stands in for a disk that is full.
#[cfg(unix)]
#[test]
fn a_full_disk_is_an_error_and_the_file_opens_afterwards() {
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};

    let folder = Folder::new();
    database(&folder);
    let script = "trap '' XFSZ; ulimit -f 4096; exec \"$0\" import a.any docs --report-batches";
    let mut child = Command::new("sh")
        .args(["-c", script, crate::support::BINARY])
        .current_dir(folder.path(""))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("there is a shell");
    let mut stdin = child.stdin.take().expect("a pipe");
    let filler = "0123456789abcdefghijklmnopqrstuvwxyz".repeat(20);
    for id in 10_000..40_000 {
        // Each document differs, so that compression does not make room.
        let text = format!("{{\"id\":{id},\"s\":\"{}\"}}\n", filler.replace('a', &id.to_string()));
        if stdin.write_all(text.as_bytes()).is_err() {
            break;
        }
    }
    drop(stdin);
    let mut message = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut message).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(1), "{message}");
    assert!(message.contains("error: "), "{message}");
    let reported = message
        .lines()
        .filter_map(|line| line.strip_prefix("committed "))
        .filter_map(|count| count.parse::<u64>().ok())
        .next_back()
        .unwrap_or(0);
    folder.check("a.any");
    let count = folder.run(["count", "a.any", "docs"]).ok();
    let count: u64 = count.trim().parse().expect("a number");
    assert!(count >= 5000 + reported, "{reported} were reported, {count} are there");
}
