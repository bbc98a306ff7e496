//! What `stats` and `--version` say.

use serde_json::Value;

use crate::support::{Folder, data};

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("one JSON value")
}

#[test]
fn the_figures_of_stats_are_those_of_the_file() {
    let folder = Folder::new();
    let countries = data("countries.json");
    let import = ["import".as_ref(), "a.any".as_ref(), "countries".as_ref(), countries.as_os_str()];
    folder.run(import.iter().chain(&["--id-field".as_ref(), "cca3".as_ref()])).ok();
    let stats = json(&folder.run(["stats", "a.any", "--json"]).ok());
    let file_bytes = folder.read("a.any").len() as u64;
    assert_eq!(stats["fileBytes"], file_bytes);
    assert_eq!(stats["blocks"].as_u64().map(|blocks| blocks * 4096), Some(file_bytes));
    assert_eq!(stats["logBytes"], 0);
    assert_eq!(stats["recovered"], false);
    assert_eq!(stats["collections"][0]["documents"], 250);
    let one = json(&folder.run(["stats", "a.any", "countries", "--json"]).ok());
    let bytes = |name: &str| one[name].as_u64().expect("a number of bytes");
    // Countries compress, and pages hold more than the documents.
    assert!(bytes("storedBytes") * 3 < bytes("uncompressedBytes") * 2, "{one}");
    assert!(bytes("storedBytes") < bytes("pageBytes") && bytes("pageBytes") < file_bytes, "{one}");

    let text = folder.run(["stats", "a.any"]).ok();
    assert!(text.contains("countries         250"), "{text}");
    let text = folder.run(["stats", "a.any", "countries"]).ok();
    assert!(text.contains("compression   lz4\n") && text.contains("(ratio "), "{text}");
}

#[test]
fn an_unclean_end_is_told_and_changes_nothing() {
    use std::io::{BufRead, BufReader, Write};

    let folder = Folder::new();
    let import = ["import", "a.any", "docs", "--report-batches", "--batch", "1"];
    let mut child = folder
        .command(import)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(b"{\"id\":1}").expect("open");
    let stderr = child.stderr.take().expect("a pipe");
    assert_eq!(
        BufReader::new(stderr).lines().next().expect("a line").expect("text"),
        "committed 1"
    );
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    let (file, log) = (folder.read("a.any"), folder.read("a.any-wal"));
    let stats = json(&folder.run(["stats", "a.any", "--json"]).ok());
    assert_eq!(stats["recovered"], true);
    assert_eq!(folder.run(["count", "a.any", "docs"]).ok(), "1\n");
    folder.check("a.any");
    // Reading wrote nothing.
    assert!(file == folder.read("a.any") && log == folder.read("a.any-wal"));
    folder.run(["shell", "a.any", "-e", "db.docs.insert({id: 2})"]).ok();
    assert_eq!(json(&folder.run(["stats", "a.any", "--json"]).ok())["recovered"], false);
    assert_eq!(folder.export("a.any", "docs"), "{\"id\":1}\n{\"id\":2}\n");
}

#[test]
fn the_version_is_that_of_the_package() {
    let folder = Folder::new();
    let expected = format!("any-store {}\n", env!("CARGO_PKG_VERSION"));
    for flag in ["--version", "-V", "-version"] {
        assert_eq!(folder.run([flag]).ok(), expected);
    }
}
