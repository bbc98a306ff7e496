//! A database has one user at a time: the second one is told so, and may wait.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};

use crate::support::Folder;

/// A shell that has the database open until its standard input is dropped.
fn holder(folder: &Folder) -> (Child, ChildStdin) {
    let mut child = folder
        .command(["shell", "a.any", "--create"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    stdin
        .write_all(b"db.createCollection('a'); db.a.insert({id: 1}); db.a.count();\n")
        .expect("open");
    assert_eq!(stdout.nth(1).expect("a result").expect("text"), "1");
    (child, stdin)
}

#[test]
fn a_database_that_is_open_elsewhere_is_code_5() {
    let folder = Folder::new();
    folder.write("in.jsonl", "{\"id\":2}\n");
    let (mut child, stdin) = holder(&folder);
    for command in [
        &["import", "a.any", "a", "in.jsonl"][..],
        &["query", "a.any", "a"],
        &["shell", "a.any", "-e", "db.a.count()"],
        &["check", "a.any"],
        &["stats", "a.any", "--wait", "0.05"],
    ] {
        let message = folder.run(command).fails_with(5);
        assert!(message.contains("a.any"), "{message}");
    }
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
    assert_eq!(folder.run(["count", "a.any", "a"]).ok(), "1\n");
}

#[test]
fn waiting_for_the_other_one_is_rewarded() {
    let folder = Folder::new();
    let (mut child, stdin) = holder(&folder);
    let waiting =
        folder.command(["count", "a.any", "a", "--wait", "600"]).spawn().expect("it runs");
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
    let output = waiting.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"1\n");
}
