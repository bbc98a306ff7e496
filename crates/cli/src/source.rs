//! A text that is being read, character by character, and problems that point into it.

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Byte offset into the text.
    pub(crate) at: usize,
    pub(crate) message: String,
    /// The text ends too early: more of it might make it right.
    pub(crate) unfinished: bool,
}

impl Problem {
    pub(crate) fn new(at: usize, message: impl Into<String>) -> Problem {
        Problem { at, message: message.into(), unfinished: false }
    }

    /// `LINE:COLUMN`, the line itself, and a caret below the place.
    pub(crate) fn pointer(&self, text: &str) -> Pointer {
        // What is missing is missing after the last thing that is there.
        let end = if self.unfinished { text.trim_end().len() } else { text.len() };
        let mut at = self.at.min(end);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let (before, after) = text.split_at(at);
        let line_start = before.rfind('\n').map_or(0, |index| index + 1);
        let lead = before.get(line_start..).unwrap_or_default();
        let rest = after.lines().next().unwrap_or_default();
        Pointer {
            line: before.matches('\n').count() + 1,
            column: lead.chars().count() + 1,
            excerpt: excerpt(lead, rest),
        }
    }
}

/// Where in `text`, from `from` on, the parts of a dotted path stand one after the other: the place
/// of the last. Finds the key that a request's error names; numbers are array positions, which no
/// key spells.
pub(crate) fn locate(text: &str, from: usize, path: &str) -> Option<usize> {
    let mut at = from;
    let mut found = None;
    for part in path.split('.').filter(|part| part.parse::<u32>().is_err()) {
        let place = at + text.get(at..)?.find(part)?;
        found = Some(place);
        at = place + part.len();
    }
    found
}

/// Where a problem is, for people.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    pub(crate) line: usize,
    /// In characters, from 1.
    pub(crate) column: usize,
    /// Two lines: the text around the place, and the caret.
    pub(crate) excerpt: String,
}

/// Characters of a long line shown on either side of the caret.
const EXCERPT_CHARS: usize = 60;

fn excerpt(lead: &str, rest: &str) -> String {
    let lead_length = lead.chars().count();
    let cut = lead_length.saturating_sub(EXCERPT_CHARS);
    let dots = if cut > 0 { "..." } else { "" };
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let shown: String = lead.chars().skip(cut).map(plain).collect();
    let after: String = rest.chars().take(EXCERPT_CHARS).map(plain).collect();
    let more = if rest.chars().nth(EXCERPT_CHARS).is_some() { "..." } else { "" };
    let indent = dots.len() + lead_length - cut;
    format!("  {dots}{shown}{after}{more}\n  {}^", " ".repeat(indent))
}

/// A place in a text that moves forward.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Source<'a> {
    pub(crate) fn new(text: &'a str) -> Source<'a> {
        Source { text, at: 0 }
    }

    /// Byte offset of the next character.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The text from `from` to here.
    pub(crate) fn since(&self, from: usize) -> &'a str {
        self.text.get(from..self.at).unwrap_or_default()
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(crate) fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Moves on by `length` bytes, or to the end.
    pub(crate) fn advance(&mut self, length: usize) {
        self.at = self.at.saturating_add(length).min(self.text.len());
    }

    /// Takes `expected` if it comes next.
    pub(crate) fn eat(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.bump();
        }
        found
    }

    /// Takes `expected`, or says what is there instead.
    pub(crate) fn expect(&mut self, expected: char, context: &str) -> Result<(), Problem> {
        if self.eat(expected) {
            return Ok(());
        }
        Err(self.unexpected(&format!("expected `{expected}` {context}")))
    }

    /// A problem at the next character: `expectation`, and what is there instead.
    pub(crate) fn unexpected(&self, expectation: &str) -> Problem {
        match self.peek() {
            None => Problem {
                at: self.at,
                message: format!("{expectation}, found the end"),
                unfinished: true,
            },
            Some(found) => Problem::new(self.at, format!("{expectation}, found {}", shown(found))),
        }
    }

    /// Skips blanks, line ends and comments (`//` to the end of the line, `/* */`).
    pub(crate) fn skip_blanks(&mut self) -> Result<(), Problem> {
        loop {
            self.skip_while(char::is_whitespace);
            if !self.skip_comment()? {
                return Ok(());
            }
        }
    }

    /// Skips blanks and comments up to the end of the line.
    pub(crate) fn skip_blanks_on_line(&mut self) -> Result<(), Problem> {
        loop {
            self.skip_while(|c| c.is_whitespace() && c != '\n');
            if !self.skip_comment()? {
                return Ok(());
            }
        }
    }

    fn skip_comment(&mut self) -> Result<bool, Problem> {
        let rest = self.rest();
        if rest.starts_with("//") {
            self.skip_while(|c| c != '\n');
            return Ok(true);
        }
        let Some(comment) = rest.strip_prefix("/*") else { return Ok(false) };
        match comment.find("*/") {
            Some(length) => {
                self.at += length + 4;
                Ok(true)
            }
            None => Err(Problem {
                at: self.at,
                message: "the comment is not closed".to_owned(),
                unfinished: true,
            }),
        }
    }

    pub(crate) fn skip_while(&mut self, skip: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !skip(c)).unwrap_or(rest.len());
    }

    /// A name as JavaScript has them: letters, digits, `_` and `$`, not beginning with a digit.
    pub(crate) fn name(&mut self) -> Option<&'a str> {
        let from = self.at;
        if !self.peek().is_some_and(|c| is_name_char(c) && !c.is_numeric()) {
            return None;
        }
        self.skip_while(is_name_char);
        Some(self.since(from))
    }
}

pub(crate) fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn shown(c: char) -> String {
    if c == '\n' { "the end of the line".to_owned() } else { format!("`{}`", c.escape_debug()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_names_line_and_column_and_draws_a_caret() {
        let text = "db.a.find()\ndb.b.fnd()";
        let pointer = Problem::new(17, "x").pointer(text);
        assert_eq!((pointer.line, pointer.column), (2, 6));
        assert_eq!(pointer.excerpt, "  db.b.fnd()\n       ^");
    }

    #[test]
    fn columns_count_characters_and_the_end_can_be_pointed_at() {
        let pointer = Problem::new(7, "x").pointer("\u{e4}\u{1F600}b");
        assert_eq!((pointer.line, pointer.column), (1, 4));
        let inside = Problem::new(3, "x").pointer("\u{e4}\u{1F600}b");
        assert_eq!((inside.line, inside.column), (1, 2));
        assert_eq!(Problem::new(99, "x").pointer("ab").column, 3);
    }

    #[test]
    fn a_long_line_is_shown_in_part() {
        let text = "x".repeat(1_000_000);
        let pointer = Problem::new(500_000, "x").pointer(&text);
        assert_eq!(pointer.column, 500_001);
        assert_eq!(pointer.excerpt.lines().next().map(str::len), Some(2 + 3 + 60 + 60 + 3));
        assert_eq!(pointer.excerpt.lines().nth(1).map(str::len), Some(2 + 3 + 60 + 1));
    }

    #[test]
    fn paths_are_located_part_by_part() {
        let text = "db.b.find({a: {c: 1}, $or: [{b: 1}, {b: {$gtt: 1}}]})";
        assert_eq!(locate(text, 9, "$or.1.b.$gtt"), text.find("$gtt"));
        assert_eq!(locate(text, 9, "a.c"), text.find("c:"));
        assert_eq!(locate(text, 9, "a.x"), None);
        assert_eq!(locate(text, 9, "0"), None);
        assert_eq!(locate(text, 999, "a"), None);
    }

    #[test]
    fn comments_are_blanks() {
        let mut source = Source::new(" // one\n /* two\n*/ x");
        assert_eq!(source.skip_blanks(), Ok(()));
        assert_eq!(source.rest(), "x");
        let mut open = Source::new(" /* two");
        assert!(open.skip_blanks().is_err_and(|problem| problem.unfinished && problem.at == 1));
        let mut line = Source::new(" /* a */ // b\nx");
        assert_eq!(line.skip_blanks_on_line(), Ok(()));
        assert_eq!(line.rest(), "\nx");
    }

    #[test]
    fn names_are_those_of_javascript() {
        assert_eq!(Source::new("$in_2: 1").name(), Some("$in_2"));
        assert_eq!(Source::new("2a").name(), None);
        assert_eq!(Source::new("").name(), None);
    }
}
