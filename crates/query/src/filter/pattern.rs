//! Regular expressions: compiled once, matched in time linear in the text.
//!
//! The syntax is that of the `regex` crate, which has neither look-around nor back-references; that
//! is what lets it promise linear time. What a pattern may cost is bounded before it is compiled (its
//! length, its classes), while it is (its program) and when it runs (the cache of its matcher).

use anyenc::{RawRegex, RawValue, Regex};
use regex::RegexBuilder;

/// Longest pattern in bytes.
pub(super) const MAX_PATTERN_LEN: usize = 32 << 10;
/// Largest program that a pattern may compile to, and largest cache of its matcher, in bytes.
const MAX_PROGRAM_BYTES: usize = 1 << 20;
/// What the programs of one filter may take together.
const MAX_PROGRAMS_BYTES: usize = 16 << 20;
/// Most Unicode classes of one pattern: the parser spells each of them out, in kilobytes.
const MAX_CLASS_WEIGHT: usize = 1000;
/// What a large class counts for where letters are folded: each of its letters is looked up, which
/// takes milliseconds.
const FOLDED_WEIGHT: usize = 16;
/// Deepest nesting of groups, which the compiler follows by recursion.
const MAX_GROUP_DEPTH: u32 = 100;
/// The flags that a pattern may have.
const FLAGS: &str = "imsx";

/// A pattern that strings are matched against; a stored regular expression is matched if it is the
/// same.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    source: Regex,
    compiled: regex::Regex,
}

impl Eq for Pattern {}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.source == other.source
    }
}

/// Why a pattern was refused.
pub(super) enum PatternError {
    /// It is not in the syntax; the text says why.
    Syntax(String),
    /// It costs more than a pattern, or all patterns of a filter together, may.
    Limit(String),
}

/// What the patterns of one filter may still cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct PatternBudget {
    left: usize,
}

impl Default for PatternBudget {
    fn default() -> Self {
        PatternBudget { left: MAX_PROGRAMS_BYTES }
    }
}

impl Pattern {
    /// Compiles a pattern whose flags are known to be flags.
    pub(super) fn new(
        pattern: &str,
        options: &str,
        budget: &mut PatternBudget,
    ) -> Result<Pattern, PatternError> {
        check_size(pattern, options)?;
        let source = Regex { pattern: pattern.to_owned(), options: options.to_owned() };
        for size in program_sizes(pattern) {
            match compile(pattern, options, size) {
                Ok(_) if budget.left < size => {
                    return Err(PatternError::Limit(format!(
                        "the patterns of a filter may compile to {MAX_PROGRAMS_BYTES} bytes together"
                    )));
                }
                Ok(compiled) => {
                    budget.left -= size;
                    return Ok(Pattern { source, compiled });
                }
                Err(regex::Error::CompiledTooBig(_)) => {}
                Err(error) => return Err(PatternError::Syntax(reason(pattern, &error))),
            }
        }
        Err(PatternError::Limit(format!(
            "the pattern compiles to more than {MAX_PROGRAM_BYTES} bytes"
        )))
    }

    /// The pattern and its flags as they were written.
    pub(super) fn source(&self) -> &Regex {
        &self.source
    }

    /// Does a value match? Only strings and stored regular expressions can.
    pub(super) fn matches(&self, value: Option<RawValue<'_>>) -> bool {
        match value {
            Some(RawValue::String(text)) => self.compiled.is_match(text),
            Some(RawValue::Regex(RawRegex { pattern, options })) => {
                pattern == self.source.pattern && options == self.source.options
            }
            _ => false,
        }
    }

    /// The text that every matching string begins with, and whether that is all that is asked of it.
    pub(super) fn prefix(&self) -> Option<(String, bool)> {
        let plain = !self.source.options.contains(['i', 'm', 'x']);
        plain.then(|| literal_prefix(&self.source.pattern)).flatten()
    }
}

/// The first letter that is no flag.
pub(super) fn unknown_flag(options: &str) -> Option<char> {
    options.chars().find(|flag| !FLAGS.contains(*flag))
}

fn check_size(pattern: &str, options: &str) -> Result<(), PatternError> {
    if pattern.len() > MAX_PATTERN_LEN {
        return Err(PatternError::Limit(format!(
            "a pattern is longer than {MAX_PATTERN_LEN} bytes"
        )));
    }
    let folds = options.contains('i') || pattern.contains("(?");
    let weight = |pair: &[u8]| match (pair, folds) {
        ([b'\\', b'W' | b'D' | b'S' | b'p' | b'P'], true) => FOLDED_WEIGHT,
        // A range that may be wide, or what is left by a narrow one.
        ([b'-', b'\\' | 0x80..] | [b'[' | b':', b'^'], true) => FOLDED_WEIGHT,
        ([b'\\', b'w' | b'd' | b's'], true) => 2,
        ([b'\\', b'w' | b'W' | b'd' | b'D' | b's' | b'S' | b'p' | b'P'], false) => 1,
        _ => 0,
    };
    if pattern.as_bytes().windows(2).map(weight).sum::<usize>() > MAX_CLASS_WEIGHT {
        return Err(PatternError::Limit("a pattern has too many classes of letters".to_owned()));
    }
    Ok(())
}

/// The sizes of program to try, ascending: what a pattern is charged is the one it fits.
fn program_sizes(pattern: &str) -> impl Iterator<Item = usize> {
    const SHORT_LEN: usize = 256;
    let first = if pattern.len() <= SHORT_LEN { 16 << 10 } else { 128 << 10 };
    [16 << 10, 128 << 10, MAX_PROGRAM_BYTES].into_iter().filter(move |size| *size >= first)
}

fn compile(pattern: &str, options: &str, size: usize) -> Result<regex::Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .case_insensitive(options.contains('i'))
        .multi_line(options.contains('m'))
        .dot_matches_new_line(options.contains('s'))
        .ignore_whitespace(options.contains('x'))
        .size_limit(size)
        .dfa_size_limit(MAX_PROGRAM_BYTES.min(size * 4))
        .nest_limit(MAX_GROUP_DEPTH)
        .build()
}

/// The compiler's own last line; what stands above it repeats the pattern over several lines.
fn reason(pattern: &str, error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    let hint = if has_unsupported(pattern) {
        "; patterns have no look-around and no back-references, so that time stays linear"
    } else {
        ""
    };
    format!("not a regular expression: {line}{hint}")
}

fn has_unsupported(pattern: &str) -> bool {
    let back_reference = |pair: &[u8]| matches!(pair, [b'\\', b'1'..=b'9' | b'k' | b'g']);
    ["(?=", "(?!", "(?<=", "(?<!", "(?>"].iter().any(|group| pattern.contains(group))
        || pattern.as_bytes().windows(2).any(back_reference)
}

/// The literal text behind an anchor in front, and whether nothing follows it.
///
/// A hand-made reading that gives up early: a quantifier takes back the letter before it, and an
/// alternative anywhere may have another beginning.
fn literal_prefix(pattern: &str) -> Option<(String, bool)> {
    let rest = pattern.strip_prefix('^').or_else(|| pattern.strip_prefix("\\A"))?;
    if has_alternative(rest) {
        return None;
    }
    let mut prefix = String::new();
    let mut chars = rest.chars();
    while let Some(next) = chars.next() {
        match next {
            '\\' => match chars.next() {
                Some(escaped) if escaped.is_ascii_punctuation() => prefix.push(escaped),
                _ => return Some((prefix, false)),
            },
            '*' | '?' | '{' => {
                prefix.pop();
                return Some((prefix, false));
            }
            '.' | '+' | '(' | ')' | '[' | ']' | '}' | '^' | '$' => return Some((prefix, false)),
            literal => prefix.push(literal),
        }
    }
    Some((prefix, true))
}

fn has_alternative(pattern: &str) -> bool {
    let mut escaped = false;
    pattern.bytes().any(|byte| {
        let found = byte == b'|' && !escaped;
        escaped = byte == b'\\' && !escaped;
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(pattern: &str) -> Option<(String, bool)> {
        literal_prefix(pattern)
    }

    #[test]
    fn a_prefix_is_the_literal_text_behind_the_anchor() {
        let some = |text: &str, whole| Some((text.to_owned(), whole));
        assert_eq!(prefix("^abc"), some("abc", true));
        assert_eq!(prefix("\\Aab\\.c"), some("ab.c", true));
        assert_eq!(prefix("^abc$"), some("abc", false));
        assert_eq!(prefix("^abc*"), some("ab", false));
        assert_eq!(prefix("^abc?d"), some("ab", false));
        assert_eq!(prefix("^abc{0}"), some("ab", false));
        assert_eq!(prefix("^abc+"), some("abc", false));
        assert_eq!(prefix("^a\\d"), some("a", false));
        assert_eq!(prefix("^\\|a"), some("|a", true));
        assert_eq!(prefix("^(?i)abc"), some("", false));
        assert_eq!(prefix("^a\u{e9}*"), some("a", false));
        assert_eq!(prefix("^"), some("", true));
        for open in ["abc", "", "(^a)", "^a|b", "^a(b|c)", "a^b"] {
            assert_eq!(prefix(open), None, "{open}");
        }
    }

    #[test]
    fn every_string_that_matches_begins_with_the_prefix() {
        let texts = ["", "a", "ab", "abc", "abd", "b", "\nab", "x\nab", "a.b", "ab\u{e9}", "AB"];
        for pattern in ["^ab", "^ab?", "^a\\.b", "^ab+c", "\\Aab", "^ab{0,2}", "^a[b]", "^a(?i)B"] {
            let compiled = Pattern::new(pattern, "s", &mut PatternBudget::default());
            let Ok(compiled) = compiled else { panic!("{pattern}") };
            let (prefix, whole) = compiled.prefix().unwrap();
            for text in texts {
                let matches = compiled.matches(Some(RawValue::String(text)));
                assert!(!matches || text.starts_with(&prefix), "{pattern} {text}");
                assert!(!whole || matches == text.starts_with(&prefix), "{pattern} {text}");
            }
        }
    }

    #[test]
    fn flags_that_change_what_a_letter_or_an_anchor_means_leave_no_prefix() {
        for flags in ["i", "m", "x"] {
            let pattern = Pattern::new("^a b", flags, &mut PatternBudget::default());
            assert!(pattern.is_ok_and(|pattern| pattern.prefix().is_none()), "{flags}");
        }
    }
}
