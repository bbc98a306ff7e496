//! Transcripts: what is typed, and all that comes back. One file a subject, in `transcripts/`.
//!
//! ```text
//! # a comment
//! file NAME          a file is written; its lines follow, each after `| `
//! $ ARGUMENTS        the binary is run; quotes as in a shell
//! < LINE             a line of its standard input
//! > LINE             a line of its standard output
//! ! LINE             a line of its standard error
//! = CODE             its exit code, where that is not 0
//! ```
//!
//! Times and the costs of plans, which differ from run to run or as they are measured anew, are written
//! as `_`.
//!
//! `BLESS=1 cargo test` writes what comes back into the files, to be read in the diff.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::support::{Folder, Outcome};

/// One run with what is expected of it, or a file to write first.
enum Step {
    File { name: String, content: String },
    Run { typed: String, input: Option<String> },
}

#[test]
fn every_transcript_comes_out_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/transcripts");
    let mut count = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(folder).expect("the transcripts are there") {
        let path = entry.expect("the folder can be read").path();
        let expected = fs::read_to_string(&path).expect("a transcript is text");
        let found = replay(&expected);
        count += 1;
        if found != expected {
            if std::env::var_os("BLESS").is_some() {
                fs::write(&path, &found).expect("the transcript can be written");
            } else {
                wrong.push(format!("{}:\n{}", path.display(), difference(&expected, &found)));
            }
        }
    }
    assert!(count >= 5, "only {count} transcripts were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The transcript as it would be written now.
fn replay(transcript: &str) -> String {
    let folder = Folder::new();
    let mut found = String::new();
    let mut lines = transcript.lines().peekable();
    while let Some(line) = lines.next() {
        let step = if let Some(name) = line.strip_prefix("file ") {
            let mut content = String::new();
            while let Some(text) = lines.peek().and_then(|line| line.strip_prefix('|')) {
                content += text.strip_prefix(' ').unwrap_or(text);
                content += "\n";
                lines.next();
            }
            Step::File { name: name.to_owned(), content }
        } else if let Some(typed) = line.strip_prefix("$ ") {
            let mut input = None;
            while let Some(text) = lines.peek().and_then(|line| line.strip_prefix("< ")) {
                *input.get_or_insert_with(String::new) += &format!("{text}\n");
                lines.next();
            }
            while lines.peek().is_some_and(|line| line.starts_with(['>', '!', '='])) {
                lines.next();
            }
            Step::Run { typed: typed.to_owned(), input }
        } else {
            found += line;
            found += "\n";
            continue;
        };
        found += &play(&folder, &step);
    }
    found
}

fn play(folder: &Folder, step: &Step) -> String {
    let mut text = String::new();
    match step {
        Step::File { name, content } => {
            folder.write(name, content);
            text += &format!("file {name}\n");
            write_lines(&mut text, '|', content);
        }
        Step::Run { typed, input } => {
            let arguments = words(typed);
            let Outcome { code, out, err } = match input {
                Some(input) => folder.run_with(&arguments, input.as_bytes()),
                None => folder.run(&arguments),
            };
            text += &format!("$ {typed}\n");
            write_lines(&mut text, '<', input.as_deref().unwrap_or_default());
            write_lines(&mut text, '>', &without_measurements(&out));
            write_lines(&mut text, '!', &err);
            if code != Some(0) {
                text += &format!("= {}\n", code.map_or("killed".into(), |code| code.to_string()));
            }
        }
    }
    text
}

fn write_lines(text: &mut String, mark: char, content: &str) {
    for line in content.lines() {
        let line = format!("{mark} {line}");
        writeln!(text, "{}", line.trim_end()).expect("a string takes everything");
    }
}

/// The same with `_` for times and costs: a number before a unit of time, or after a word for a cost.
fn without_measurements(text: &str) -> String {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    let is_number = |word: &str| {
        let digits = word.trim_end_matches([',', '\n']);
        !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '-')
    };
    let word = |words: &[String], at: usize| words.get(at).cloned().unwrap_or_default();
    for at in 0..words.len() {
        let next = word(&words, at + 1);
        let unit = next.split([',', ':', '\n']).next().unwrap_or_default();
        let is_time = ["us", "ms"].contains(&unit);
        let before = at.checked_sub(1).map(|before| word(&words, before)).unwrap_or_default();
        let is_cost = before == "cost"
            || before == "by" && at > 1 && word(&words, at - 2).ends_with("dearer");
        // The end of a line belongs to the word before it.
        let number: String = words[at].split('\n').next().unwrap_or_default().to_owned();
        if (is_time || is_cost) && is_number(&number) {
            let rest = words[at].split_off(number.trim_end_matches(',').len());
            words[at] = format!("_{rest}");
        }
    }
    words.join(" ")
}

/// Splits at blanks outside quotes.
fn words(typed: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in typed.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The first lines that differ.
fn difference(expected: &str, found: &str) -> String {
    let mut text = String::new();
    let longest = expected.lines().count().max(found.lines().count());
    let differing = (0..longest)
        .map(|index| (expected.lines().nth(index), found.lines().nth(index)))
        .skip_while(|(expected, found)| expected == found);
    for (expected, found) in differing.take(12) {
        let _ = writeln!(text, "  expected {expected:?}\n  found    {found:?}");
    }
    text
}
