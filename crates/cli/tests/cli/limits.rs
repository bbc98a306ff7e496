//! Documents at the limits and beyond them: what fits goes through unchanged, what does not is
//! refused by name and place, and the file is as good as before.

use crate::support::Folder;

const MIB: usize = 1 << 20;

fn nested(depth: usize) -> String {
    // The document itself is the first level.
    let inner = depth - 1;
    format!("{{\"id\":{depth},\"a\":{}{}}}\n", "[".repeat(inner), "]".repeat(inner))
}

fn long(id: u32, bytes: usize) -> String {
    format!("{{\"id\":{id},\"s\":\"{}\"}}\n", "x".repeat(bytes))
}

#[test]
fn deep_and_long_documents_come_out_as_they_went_in() {
    let folder = Folder::new();
    let text = long(1, 15 * MIB) + &nested(300);
    folder.run_with(["import", "a.any", "docs"], text.as_bytes()).ok();
    assert!(folder.export("a.any", "docs") == text, "documents at the limits were changed");
    let array = format!("[{}]", long(2, 15 * MIB).trim_end());
    folder.run_with(["import", "a.any", "docs"], array.as_bytes()).ok();
    assert_eq!(folder.run(["count", "a.any", "docs"]).ok(), "3\n");
    folder.check("a.any");
}

/// Bad lines, where the message must point, and a part of what it must say.
fn bad_lines() -> Vec<(String, &'static str, &'static str)> {
    vec![
        (long(7, 17 * MIB), "line 2", ""),
        (nested(301), "line 2, column", "more than 300"),
        ("{\"id\":7,\"a\":\n".into(), "line 2, column", "EOF"),
        ("{\"id\":7,\"a\":[1,}\n".into(), "line 2, column 16:", ""),
        ("{\"id\":7,\"a\":1,\"a\":2}\n".into(), "line 2, column", "duplicate key \"a\""),
        ("{\"b\":1}\n".into(), "line 2, column 1:", ""),
        ("{\"id\":0}\n".into(), "line 2, column 1:", "(id 0)"),
        ("{\"id\":[1]}\n".into(), "line 2, column 1:", ""),
        ("{\"id\":7,\"s\":\"\\ud800\"}\n".into(), "line 2, column", "surrogate"),
        (
            "{\"id\":7,\"x\":{\"$numberDecimal\":\"1\"}}\n".into(),
            "line 2, column",
            "$numberDecimal",
        ),
        ("true\n".into(), "line 2, column 1:", "expected a document"),
    ]
}

#[test]
fn a_bad_line_is_named_and_what_was_before_it_stays() {
    for (bad, place, reason) in bad_lines() {
        let folder = Folder::new();
        folder.write("in.jsonl", format!("{{\"id\":0}}\n{bad}"));
        let message = folder.run(["import", "a.any", "docs", "in.jsonl"]).fails_with(1);
        let name: String = bad.chars().take(40).collect();
        assert!(message.contains(&format!("in.jsonl: {place}")), "{name}: {message}");
        assert!(message.contains(reason), "{name}: {message}");
        assert!(message.len() < 1000, "{name}: the message is as long as the document");
        assert_eq!(folder.export("a.any", "docs"), "{\"id\":0}\n", "{name}");
        folder.check("a.any");
    }
}

#[test]
fn text_that_is_no_utf8_is_refused_with_its_place() {
    let folder = Folder::new();
    let mut text = b"{\"id\":0}\n{\"id\":1,\"s\":\"ab".to_vec();
    text.extend(b"\xFF\"}\n");
    let message = folder.run_with(["import", "a.any", "docs"], &text).fails_with(1);
    assert!(message.contains("line 2, column"), "{message}");
    assert!(message.contains("UTF-8"), "{message}");
    assert_eq!(folder.export("a.any", "docs"), "{\"id\":0}\n");
}

#[test]
fn with_max_errors_only_the_bad_lines_are_missing() {
    let folder = Folder::new();
    let mut text = String::new();
    let mut good = String::new();
    for (index, (bad, ..)) in bad_lines().iter().enumerate() {
        let line = format!("{{\"id\":{index}}}\n");
        text += &line;
        good += &line;
        text += bad;
    }
    let last = "{\"id\":100}\n";
    text += last;
    good += last;
    let import = ["import", "a.any", "docs", "--max-errors", "11"];
    let outcome = folder.run_with(import, text.as_bytes());
    assert_eq!(outcome.err.matches("error: ").count(), 11, "{}", outcome.err);
    assert!(outcome.err.contains("12 inserted, 11 bad"), "{}", outcome.err);
    assert_eq!(outcome.code, Some(0));
    assert_eq!(folder.export("a.any", "docs"), good);

    let import = ["import", "b.any", "docs", "--max-errors", "10"];
    let outcome = folder.run_with(import, text.as_bytes());
    assert_eq!(outcome.code, Some(1));
    assert_eq!(folder.export("b.any", "docs"), good.strip_suffix(last).expect("the last line"));
    folder.check("b.any");
}

#[test]
fn documents_before_a_bad_line_are_committed_across_batches() {
    let folder = Folder::new();
    let mut text: String = (0..2500).map(|id| format!("{{\"id\":{id}}}\n")).collect();
    text += "{\"id\":1}\n{\"id\":9999}\n";
    let import = ["import", "a.any", "docs", "--report-batches"];
    let message = folder.run_with(import, text.as_bytes()).fails_with(1);
    assert!(message.starts_with("committed 1000\ncommitted 2000\n"), "{message}");
    assert!(message.contains("line 2501, column 1:"), "{message}");
    assert!(message.contains("committed 2500\n"), "{message}");
    assert_eq!(folder.run(["count", "a.any", "docs"]).ok(), "2500\n");
}
