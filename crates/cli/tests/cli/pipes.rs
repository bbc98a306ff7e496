//! Pipes: one that stays open on the way in, one that closes early on the way out, and memory that
//! stays small whatever flows.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use crate::support::Folder;

#[test]
fn a_full_batch_is_committed_while_the_pipe_stays_open() {
    let folder = Folder::new();
    let mut child = folder
        .command(["import", "a.any", "docs", "-", "--batch", "10", "--report-batches"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    for batch in 1..=3 {
        // No line end after the last document: its brace alone must be enough.
        let documents: Vec<String> =
            (0..10).map(|index| format!("{{\"id\":{}}}", batch * 10 + index)).collect();
        stdin.write_all(documents.join("\n").as_bytes()).expect("the pipe is open");
        let line = stderr.next().expect("a report").expect("text");
        assert_eq!(line, format!("committed {}", batch * 10));
    }
    stdin.write_all(b"{\"id\":1}{\"id\":2}").expect("the pipe is open");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    let count: u64 = folder.run(["count", "a.any", "docs"]).ok().trim().parse().expect("a number");
    assert_eq!(count, 30, "an unfinished batch was committed, or a finished one was lost");
    folder.check("a.any");
}

#[test]
fn statements_run_while_the_pipe_stays_open() {
    let folder = Folder::new();
    let mut child = folder
        .command(["shell", "a.any", "--create"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    stdin.write_all(b"db.createCollection('a');\ndb.a.insert({\nid: 1});\n").expect("open");
    assert_eq!(stdout.next().expect("a result").expect("text"), "inserted 1 documents");
    stdin.write_all(b"db.a.find({});\n").expect("open");
    assert_eq!(stdout.next().expect("a result").expect("text"), "{\"id\":1}");
    stdin.write_all(b"db.a.count()").expect("open");
    drop(stdin);
    assert_eq!(stdout.next().expect("a result").expect("text"), "1");
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn a_reader_that_leaves_ends_the_export_quietly() {
    let folder = Folder::new();
    let text: String =
        (0..50_000).map(|id| format!("{{\"id\":{id},\"s\":\"0123456789\"}}\n")).collect();
    folder.run_with(["import", "a.any", "docs"], text.as_bytes()).ok();
    for command in [
        &["export", "a.any", "docs"][..],
        &["query", "a.any", "docs"],
        &["shell", "a.any", "-e", "db.docs.find()"],
    ] {
        let mut child = folder.command(command).spawn().expect("the binary runs");
        let mut first = [0; 8];
        let mut stdout = child.stdout.take().expect("a pipe");
        stdout.read_exact(&mut first).expect("a first line");
        drop(stdout);
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{command:?}");
    }
    folder.check("a.any");
}

#[test]
fn nobody_listening_on_standard_error_is_no_reason_to_fail() {
    let folder = Folder::new();
    let mut child = folder
        .command(["import", "a.any", "docs", "--report-batches", "--batch", "1"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stderr.take());
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(b"{\"id\":1}\n{\"id\":2}\n").expect("open");
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
    assert_eq!(folder.run(["count", "a.any", "docs"]).ok(), "2\n");
}

/// Peak memory of a run, from the kernel's books.
#[cfg(target_os = "linux")]
#[test]
fn an_array_of_any_length_is_imported_in_bounded_memory() {
    let folder = Folder::new();
    let mut child = folder
        .command(["import", "a.any", "docs", "-", "--report-batches", "--batch", "5000"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let status = format!("/proc/{}/status", child.id());
    let peak_kib = || -> u64 {
        let status = std::fs::read_to_string(&status).expect("the process is there");
        let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("a peak");
        line.split_whitespace().nth(1).and_then(|peak| peak.parse().ok()).expect("a number")
    };
    let filler = "x".repeat(100);
    let mut send = |from: u32| {
        let text: String = (from..from + 5000)
            .map(|id| {
                format!("{}{{\"id\":{id},\"s\":\"{filler}\"}}", if id == 0 { "[" } else { "," })
            })
            .collect();
        stdin.write_all(text.as_bytes()).expect("open");
        let line = stderr.next().expect("a report").expect("text");
        assert_eq!(line, format!("committed {}", from + 5000));
    };
    send(0);
    let first = peak_kib();
    (1..40).for_each(|batch| send(batch * 5000));
    let grown = peak_kib() - first;
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    // 200,000 documents are 26 MB of text; the cache may fill up to its own budget.
    assert!(grown < 100 * 1024, "grew by {grown} KiB");
}
