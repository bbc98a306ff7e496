use super::*;

/// Hands out one byte at a time, so that every state is left and entered between two reads.
struct Drops<'a>(&'a [u8]);

impl Read for Drops<'_> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let count = self.0.len().min(1).min(target.len());
        target[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

/// One line for each document or fault.
fn split_with(input: impl Read, limit: usize) -> Vec<String> {
    let mut splitter = Splitter::new(input, limit);
    let mut lines = Vec::new();
    loop {
        match splitter.next_piece() {
            Ok(None) => return lines,
            Ok(Some(Piece { text, place: Place { line, column } })) => {
                lines.push(format!("{line}:{column} {}", String::from_utf8_lossy(text)));
            }
            Err(SplitError::Fault(Fault { place, reason, fatal })) => {
                let kind = if fatal { "FATAL" } else { "BAD" };
                lines.push(format!("{}:{} {kind} {reason}", place.line, place.column));
            }
            Err(SplitError::Read(error)) => lines.push(format!("READ {error}")),
        }
    }
}

#[track_caller]
fn check(input: &str, expected: &[&str]) {
    assert_eq!(split_with(input.as_bytes(), 1 << 20), expected, "whole: {input:?}");
    assert_eq!(split_with(Drops(input.as_bytes()), 1 << 20), expected, "in drops: {input:?}");
}

#[test]
fn json_lines_give_one_document_a_line() {
    check(
        "{\"a\":1}\n{\"b\":2}\r\n\n  {\"c\":3}",
        &["1:1 {\"a\":1}", "2:1 {\"b\":2}", "4:3 {\"c\":3}"],
    );
}

#[test]
fn documents_may_span_lines_and_share_them() {
    check("{\n \"a\": {}\n}{\"b\":[]} {}", &["1:1 {\n \"a\": {}\n}", "3:2 {\"b\":[]}", "3:11 {}"]);
}

#[test]
fn array_elements_are_documents() {
    check("[{\"a\":[1]},\n {\"b\":\"]\"}\n]\n", &["1:2 {\"a\":[1]}", "2:2 {\"b\":\"]\"}"]);
    check(" [ ] ", &[]);
    check("", &[]);
    check(" \n\t", &[]);
}

#[test]
fn columns_count_characters() {
    check(
        "{\"\u{1F600}\":1}{}\n\u{e4}",
        &[
            "1:1 {\"\u{1F600}\":1}",
            "1:8 {}",
            "2:1 BAD expected a document in braces, found byte 0xC3",
        ],
    );
}

#[test]
fn a_byte_order_mark_is_skipped() {
    check("\u{feff}{\"a\":1}", &["1:1 {\"a\":1}"]);
    check("\u{feff}[{}]", &["1:2 {}"]);
}

#[test]
fn brackets_and_escapes_inside_quotes_do_not_count() {
    check(
        r#"{"a\"}":"{[\\"}{"b":"\u007d"}"#,
        &[r#"1:1 {"a\"}":"{[\\"}"#, r#"1:16 {"b":"\u007d"}"#],
    );
}

#[test]
fn stray_text_costs_its_line() {
    check(
        "{\"a\":1},\nhello {}\n7\n{\"b\":2}",
        &[
            "1:1 {\"a\":1}",
            "1:8 BAD expected a document in braces, found `,`",
            "2:1 BAD expected a document in braces, found `h`",
            "3:1 BAD expected a document in braces, found a number",
            "4:1 {\"b\":2}",
        ],
    );
}

#[test]
fn a_line_that_is_cut_off_costs_itself_only() {
    for cut in ["{\"a\":1", "{\"a\":", "{\"a\":[1,", "{\"a\":1,", "{", "{\"a\":[1}"] {
        let broken = format!("1:1 {cut}");
        check(
            &format!("{cut}\n{{\"b\":2}}\n{{\"c\":3}}"),
            &[&broken, "2:1 {\"b\":2}", "3:1 {\"c\":3}"],
        );
    }
    check(
        "{\"a\":\"x\n{\"b\":2}",
        &["1:8 BAD a string is not closed on its line", "2:1 {\"b\":2}"],
    );
    check("{\"a\":1}\n{\"b\"", &["1:1 {\"a\":1}", "2:1 {\"b\""]);
    check("{\"a\":\n1\n{\"b\":2}\n", &["1:1 {\"a\":\n1", "3:1 {\"b\":2}"]);
}

#[test]
fn braces_at_the_start_of_a_line_may_belong_to_an_open_document() {
    let text = "{\n\"a\":\n{\n\"b\":[\n{},\n{\n}\n]\n}\n}";
    check(text, &[&format!("1:1 {text}")]);
}

#[test]
fn elements_that_are_no_documents_cost_themselves_only() {
    check(
        "[1, {\"a\":1}, \"]\", [[2]], null, {\"b\":2}]",
        &[
            "1:2 BAD expected a document in braces, found a number",
            "1:5 {\"a\":1}",
            "1:14 BAD expected a document in braces, found a string",
            "1:19 BAD expected a document in braces, found an array",
            "1:26 BAD expected a document in braces, found `n`",
            "1:32 {\"b\":2}",
        ],
    );
}

#[test]
fn a_broken_array_ends_the_reading() {
    check("[{}", &["1:2 {}", "1:4 FATAL the input ends inside the array"]);
    check("[{},]", &["1:2 {}", "1:5 FATAL expected a document after the comma, found `]`"]);
    check("[{} {}]", &["1:2 {}", "1:5 FATAL expected a comma or the end of the array, found `{`"]);
    check("[]\n{}", &["2:1 FATAL expected nothing after the end of the array, found `{`"]);
    check("[,{}]", &["1:2 FATAL expected a document or the end of the array, found `,`"]);
    check("[{\"a\":\n{", &["1:2 {\"a\":\n{", "2:2 FATAL the input ends inside the array"]);
    check("[{\"a\":\"1\n\"}]", &["1:9 FATAL a string is not closed on its line"]);
}

#[test]
fn a_document_beyond_the_limit_is_skipped_and_not_kept() {
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(4 * CHUNK_BYTES));
    let input = format!("{long}\n{{\"b\":2}}\n");
    let expected = ["1:1 BAD the document's text is longer than 100 bytes", "2:1 {\"b\":2}"];
    assert_eq!(split_with(input.as_bytes(), 100), expected);
    assert_eq!(split_with(Drops(input.as_bytes()), 100), expected);

    let mut splitter = Splitter::new(input.as_bytes(), 100);
    assert!(splitter.next_piece().is_err());
    assert!(splitter.buffer.capacity() <= 4 * CHUNK_BYTES, "the long text was kept");
    assert_eq!(split_with(long.as_bytes(), long.len()).len(), 1);

    let endless = format!("{}\n{{}}", "{\"a\":[1,".repeat(100));
    let found = split_with(endless.as_bytes(), 100);
    assert!(found[0].contains("too long and never ends"), "{found:?}");
}

#[test]
fn the_limit_holds_to_the_byte() {
    let text = "{\"a\":\"12345\"}";
    assert_eq!(split_with(text.as_bytes(), text.len()), [format!("1:1 {text}")]);
    let bad = format!("1:1 BAD the document's text is longer than {} bytes", text.len() - 1);
    for found in [
        split_with(text.as_bytes(), text.len() - 1),
        split_with(Drops(text.as_bytes()), text.len() - 1),
    ] {
        assert_eq!(found, [bad.as_str()]);
    }
}

#[test]
fn bottomless_nesting_is_a_fault_and_takes_no_memory() {
    let deep = format!("{}\n{{}}", "{\"a\":[".repeat(100_000));
    let place = 6 * (DEPTH_MAX / 2) + 2;
    check(&deep, &[&format!("1:{place} BAD brackets are nested too deep"), "2:1 {}"]);
}

#[test]
fn documents_that_never_end_do_not_cost_the_square_of_the_input() {
    // Each line opens an array and stays open; walking every one to the end would take minutes.
    let lines = 50_000;
    let found = split_with("{\"a\":[{},\n".repeat(lines).as_bytes(), 1 << 30);
    assert_eq!(found.len(), lines);
    let too_deep = found.iter().filter(|line| line.contains("too deep")).count();
    assert_eq!(too_deep, lines - DEPTH_MAX / 2 + 1);
    assert!(found[too_deep..].iter().all(|line| line.ends_with("{\"a\":[{},")));
}

#[test]
fn a_document_is_handed_out_before_the_input_goes_on() {
    struct Stuck<'a>(&'a [u8]);
    impl Read for Stuck<'_> {
        fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
            assert!(!self.0.is_empty(), "read on after a whole document");
            self.0.read(target)
        }
    }
    let mut splitter = Splitter::new(Stuck(b"{\"a\":1}"), 100);
    let piece = splitter.next_piece();
    assert!(matches!(piece, Ok(Some(Piece { text: b"{\"a\":1}", .. }))));
}

#[test]
fn places_inside_a_piece_are_places_in_the_input() {
    let begin = Place { line: 7, column: 5 };
    assert_eq!(begin.inside(1, 1), begin);
    assert_eq!(begin.inside(1, 4), Place { line: 7, column: 8 });
    assert_eq!(begin.inside(3, 4), Place { line: 9, column: 4 });
    assert_eq!(begin.to_string(), "line 7, column 5");
}
