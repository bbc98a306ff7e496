//! Cuts a stream of bytes into its top-level JSON documents, without parsing them.
//!
//! Two forms are told apart by the first byte that is not a blank:
//!
//! - `[` begins one array, whose elements are the documents;
//! - anything else is a sequence of documents with blanks between them: JSON Lines, or documents
//!   that span lines.
//!
//! Only brackets and quotes are looked at; whether the text between them is JSON is for the parser
//! to say. A document is handed out as soon as its closing brace was read, so a pipe that stays
//! open delays nothing. Memory is bounded by the longest document, and that by `limit`: what is
//! longer is read to its end, but not kept.
//!
//! A document that never ends is handed out as far as it goes, since the parser can say best where
//! it breaks off. After that, and after a fault, the splitter finds its way back where the text
//! allows: at the next line in a sequence (that begins with a brace, if a document is open), at the
//! next element in an array. A fault that leaves no way back is `fatal`, and the splitter then is at
//! its end.

use std::fmt;
use std::io::{self, ErrorKind, Read};

#[cfg(test)]
mod tests;

/// Bytes asked of the input at once.
const CHUNK_BYTES: usize = 128 * 1024;

/// Brackets open at once. Well beyond what a document may nest, so that the parser gives the better
/// message; it bounds how often a line is walked again after documents that never end.
const DEPTH_MAX: usize = 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A place in the input. Both count from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

impl Place {
    const START: Place = Place { line: 1, column: 1 };

    /// The place of something `line` and `column` (from 1) into a text that begins here.
    pub(crate) fn inside(self, line: usize, column: usize) -> Place {
        let (line, column) = (line as u64, column as u64);
        match line {
            0 | 1 => Place { line: self.line, column: self.column + column.saturating_sub(1) },
            _ => Place { line: self.line + line - 1, column },
        }
    }

    fn advance(&mut self, bytes: &[u8]) {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.line += lines;
        // Most pieces hold no line feed: looking for the last one is worth a count before.
        let last = if lines == 0 { None } else { bytes.iter().rposition(|byte| *byte == b'\n') };
        match last {
            None => self.column += char_count(bytes),
            // The line feed itself makes up for columns counting from 1.
            Some(last) => self.column = char_count(bytes.get(last..).unwrap_or_default()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// The text of one document, and where it begins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) place: Place,
}

/// Why there is no document here.
#[derive(Debug)]
pub(crate) enum SplitError {
    Read(io::Error),
    Fault(Fault),
}

/// Text that is no document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) place: Place,
    pub(crate) reason: String,
    /// Nothing more can be read.
    pub(crate) fatal: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Unknown,
    Sequence,
    /// After `[`: an element or the end.
    ArrayStart,
    /// After a comma: an element.
    ArrayElement,
    /// After an element: a comma or the end.
    ArrayNext,
    /// After `]`: blanks only.
    ArrayEnd,
    /// Nothing more is read.
    Over,
}

/// How the walk through one value ended.
enum Walk {
    /// The value ends after this many bytes, counted from its start.
    Ends(usize),
    /// The value was too long and was read to its end, unkept.
    EndsUnkept,
    /// A raw line feed inside quotes.
    OpenString,
    /// A line begins with a brace that cannot belong to the document before it.
    Abandoned,
    TooDeep,
    EndOfInput,
}

/// Where a walk stands; kept over reads, so that no byte is walked twice.
#[derive(Default)]
struct Walker {
    /// Next byte to look at, counted from the start of the value.
    next: usize,
    /// The brackets that are open.
    open: Vec<u8>,
    quotes: Quotes,
    /// The last byte that was neither blank nor inside quotes.
    last_significant: u8,
    /// The value is too long; its beginning was dropped.
    is_unkept: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Quotes {
    #[default]
    Outside,
    Inside,
    /// Inside, after a backslash.
    Escape,
}

/// See the module.
pub(crate) struct Splitter<R> {
    input: R,
    buffer: Vec<u8>,
    /// What lies before it in `buffer` is done with; `place` is where it stands in the input.
    start: usize,
    place: Place,
    consumed: u64,
    /// Length of the piece that was handed out last.
    handed_out: usize,
    form: Form,
    limit: usize,
    at_end: bool,
}

impl<R: Read> Splitter<R> {
    /// Reads `input`; documents whose text is longer than `limit` bytes are faults.
    pub(crate) fn new(input: R, limit: usize) -> Self {
        Splitter {
            input,
            buffer: Vec::new(),
            start: 0,
            place: Place::START,
            consumed: 0,
            handed_out: 0,
            form: Form::Unknown,
            limit,
            at_end: false,
        }
    }

    /// Bytes of the input that lie before the document handed out last.
    pub(crate) fn consumed(&self) -> u64 {
        self.consumed
    }

    /// The next document; `None` at the end of the input.
    pub(crate) fn next_piece(&mut self) -> Result<Option<Piece<'_>>, SplitError> {
        let handed_out = std::mem::take(&mut self.handed_out);
        self.consume(handed_out);
        loop {
            let Some(byte) = self.skip_blanks()? else { return self.end_of_input() };
            match (self.form, byte) {
                (Form::Unknown, _) => self.recognize(byte)?,
                (Form::Over, _) => return Ok(None),
                (Form::Sequence, b'{') => return self.document(),
                (Form::Sequence, _) => return self.stray_line(byte),
                (Form::ArrayStart, b']') | (Form::ArrayNext, b']') => self.step(Form::ArrayEnd),
                (Form::ArrayNext, b',') => self.step(Form::ArrayElement),
                (Form::ArrayStart | Form::ArrayElement, b'{') => {
                    self.form = Form::ArrayNext;
                    return self.document();
                }
                (Form::ArrayStart | Form::ArrayElement, _) if begins_value(byte) => {
                    self.form = Form::ArrayNext;
                    return self.stray_element(byte);
                }
                (form, _) => return self.fatal(self.place, expectation(form, byte)),
            }
        }
    }

    /// Leaves the byte-order mark behind, and decides the form.
    fn recognize(&mut self, byte: u8) -> Result<(), SplitError> {
        if BYTE_ORDER_MARK.starts_with(&[byte]) && self.place == Place::START {
            while self.rest().len() < BYTE_ORDER_MARK.len() && self.fill()? {}
            if self.rest().starts_with(BYTE_ORDER_MARK) {
                self.start += BYTE_ORDER_MARK.len();
                return Ok(());
            }
        }
        match byte {
            b'[' => self.step(Form::ArrayStart),
            _ => self.form = Form::Sequence,
        }
        Ok(())
    }

    fn step(&mut self, form: Form) {
        self.consume(1);
        self.form = form;
    }

    fn end_of_input(&mut self) -> Result<Option<Piece<'_>>, SplitError> {
        match self.form {
            Form::ArrayStart | Form::ArrayElement | Form::ArrayNext => {
                self.fatal(self.place, "the input ends inside the array".to_owned())
            }
            _ => Ok(None),
        }
    }

    /// The document that begins at `start`.
    fn document(&mut self) -> Result<Option<Piece<'_>>, SplitError> {
        let begin = self.place;
        let mut walker = Walker::default();
        let walk = self.walk(&mut walker)?;
        match walk {
            Walk::Ends(length) if length <= self.limit => self.hand_out(length),
            Walk::Ends(length) => {
                self.consume(length);
                self.too_long(begin)
            }
            Walk::EndsUnkept => self.too_long(begin),
            Walk::OpenString => {
                self.abandon(self.place_at(walker.next), "a string is not closed on its line")
            }
            Walk::TooDeep => {
                self.abandon(self.place_at(walker.next), "brackets are nested too deep")
            }
            Walk::Abandoned | Walk::EndOfInput if walker.is_unkept => {
                self.abandon(begin, "the document that begins here is too long and never ends")
            }
            Walk::Abandoned | Walk::EndOfInput => self.hand_out(self.broken_length()),
        }
    }

    fn hand_out(&mut self, length: usize) -> Result<Option<Piece<'_>>, SplitError> {
        self.handed_out = length;
        let text = self.rest().get(..length).unwrap_or_default();
        Ok(Some(Piece { text, place: self.place }))
    }

    /// The length of a document that never ends: up to the next line that may be a document, or all
    /// there is. A bracket is open there, so no parser will take it for a whole one.
    fn broken_length(&self) -> usize {
        let rest = self.rest();
        let is_sequence = self.form == Form::Sequence;
        let next = rest.windows(2).position(|pair| pair == b"\n{").filter(|_| is_sequence);
        next.unwrap_or(rest.trim_ascii_end().len())
    }

    fn too_long<T>(&self, begin: Place) -> Result<T, SplitError> {
        self.fault(begin, format!("the document's text is longer than {} bytes", self.limit))
    }

    /// Gives a broken document up. In a sequence the next line that begins with a brace is taken
    /// for the next document; in an array nothing says where the next element begins.
    fn abandon<T>(&mut self, place: Place, reason: &str) -> Result<T, SplitError> {
        if self.form != Form::Sequence {
            return self.fatal(place, reason.to_owned());
        }
        self.skip_to_brace_line()?;
        self.fault(place, reason.to_owned())
    }

    /// Text in a sequence that is no document: skipped to the end of its line.
    fn stray_line(&mut self, byte: u8) -> Result<Option<Piece<'_>>, SplitError> {
        let begin = self.place;
        loop {
            match self.rest().iter().position(|byte| *byte == b'\n') {
                Some(length) => {
                    self.consume(length);
                    break;
                }
                None => self.consume(self.rest().len()),
            }
            if !self.fill()? {
                break;
            }
        }
        self.fault(begin, format!("expected a document in braces, found {}", describe(byte)))
    }

    /// An element of the array that is no document: skipped to the comma or bracket after it.
    fn stray_element(&mut self, byte: u8) -> Result<Option<Piece<'_>>, SplitError> {
        let begin = self.place;
        match byte {
            b'[' | b'"' => match self.walk(&mut Walker::default())? {
                Walk::Ends(length) => self.consume(length),
                Walk::EndsUnkept => {}
                _ => return self.fatal(begin, "the element that begins here never ends".into()),
            },
            _ => self.skip_while(|byte| !matches!(byte, b',' | b']'))?,
        }
        self.fault(begin, format!("expected a document in braces, found {}", describe(byte)))
    }

    /// Walks over one value that begins with a bracket or a quote.
    fn walk(&mut self, walker: &mut Walker) -> Result<Walk, SplitError> {
        loop {
            if let Some(walk) = walker.advance(self.rest(), self.form == Form::Sequence) {
                return Ok(walk);
            }
            if walker.next > self.limit {
                // Keep nothing of what is too long; the brace that ends it is still to be found.
                self.consume(self.rest().len());
                walker.next = 0;
                walker.is_unkept = true;
                return self.walk_unkept(walker);
            }
            if !self.fill()? {
                return Ok(Walk::EndOfInput);
            }
        }
    }

    /// The rest of a value that is too long.
    fn walk_unkept(&mut self, walker: &mut Walker) -> Result<Walk, SplitError> {
        while self.fill()? {
            match walker.advance(self.rest(), false) {
                Some(Walk::Ends(length)) => {
                    self.consume(length);
                    return Ok(Walk::EndsUnkept);
                }
                Some(walk) => return Ok(walk),
                None => {
                    self.consume(self.rest().len());
                    walker.next = 0;
                }
            }
        }
        Ok(Walk::EndOfInput)
    }

    /// The next byte that is no blank, left unread.
    fn skip_blanks(&mut self) -> Result<Option<u8>, SplitError> {
        self.skip_while(is_blank)?;
        Ok(self.rest().first().copied())
    }

    fn skip_while(&mut self, skip: impl Fn(u8) -> bool) -> Result<(), SplitError> {
        loop {
            let found = self.rest().iter().position(|byte| !skip(*byte));
            self.consume(found.unwrap_or(self.rest().len()));
            if found.is_some() || !self.fill()? {
                return Ok(());
            }
        }
    }

    /// Skips to the next line, after the present one, that begins with a brace.
    fn skip_to_brace_line(&mut self) -> Result<(), SplitError> {
        loop {
            self.skip_while(|byte| byte != b'\n')?;
            while self.rest().len() < 2 && self.fill()? {}
            let Some(next) = self.rest().get(1).copied() else {
                self.consume(self.rest().len());
                return Ok(());
            };
            self.consume(1);
            if next == b'{' {
                return Ok(());
            }
        }
    }

    /// Reads more. `false` at the end of the input.
    fn fill(&mut self) -> Result<bool, SplitError> {
        if self.at_end {
            return Ok(false);
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let length = self.buffer.len();
        self.buffer.resize(length + CHUNK_BYTES, 0);
        let read = self.read_at(length);
        self.buffer.truncate(length + read.as_ref().copied().unwrap_or(0));
        self.at_end = matches!(read, Ok(0));
        read.map(|count| count > 0).map_err(SplitError::Read)
    }

    fn read_at(&mut self, offset: usize) -> io::Result<usize> {
        loop {
            let target = self.buffer.get_mut(offset..).unwrap_or_default();
            match self.input.read(target) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    fn consume(&mut self, count: usize) {
        let end = self.start.saturating_add(count).min(self.buffer.len());
        self.place.advance(self.buffer.get(self.start..end).unwrap_or_default());
        self.consumed += (end - self.start) as u64;
        self.start = end;
    }

    /// The place `offset` bytes on from `start`.
    fn place_at(&self, offset: usize) -> Place {
        let mut place = self.place;
        place.advance(self.rest().get(..offset).unwrap_or_default());
        place
    }

    fn fault<T>(&self, place: Place, reason: String) -> Result<T, SplitError> {
        Err(SplitError::Fault(Fault { place, reason, fatal: false }))
    }

    fn fatal<T>(&mut self, place: Place, reason: String) -> Result<T, SplitError> {
        self.form = Form::Over;
        Err(SplitError::Fault(Fault { place, reason, fatal: true }))
    }
}

impl Walker {
    /// Walks on through `value`; `None` when it is used up.
    fn advance(&mut self, value: &[u8], watch_lines: bool) -> Option<Walk> {
        while self.next < value.len() {
            if self.quotes != Quotes::Outside {
                if let Some(walk) = self.advance_in_quotes(value) {
                    return Some(walk);
                }
                continue;
            }
            let byte = value.get(self.next).copied()?;
            if byte == b'{' && watch_lines && self.begins_anew(value) {
                return Some(Walk::Abandoned);
            }
            self.next += 1;
            match byte {
                b'"' => self.quotes = Quotes::Inside,
                b'{' | b'[' if self.open.len() == DEPTH_MAX => return Some(Walk::TooDeep),
                b'{' | b'[' => self.open.push(byte),
                b'}' | b']' => {
                    self.open.pop();
                    if self.open.is_empty() {
                        return Some(Walk::Ends(self.next));
                    }
                }
                _ if is_blank(byte) => continue,
                _ => {}
            }
            self.last_significant = byte;
        }
        None
    }

    /// Walks to the end of the quotes, or of what was read.
    fn advance_in_quotes(&mut self, value: &[u8]) -> Option<Walk> {
        if self.quotes == Quotes::Escape {
            self.next += 1;
            self.quotes = Quotes::Inside;
        }
        let rest = value.get(self.next..).unwrap_or_default();
        let special = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | b'\n'));
        self.next += special.map_or(rest.len(), |length| length + 1);
        match rest.get(special?).copied()? {
            b'\n' => {
                self.next -= 1;
                Some(Walk::OpenString)
            }
            b'\\' => {
                self.quotes = Quotes::Escape;
                None
            }
            _ => {
                self.quotes = Quotes::Outside;
                self.open.is_empty().then_some(Walk::Ends(self.next))
            }
        }
    }

    /// Whether the brace at `next` begins a line, and cannot belong to what is open: so the
    /// document that is open was never finished.
    fn begins_anew(&self, value: &[u8]) -> bool {
        let begins_line = self.next > 0 && value.get(self.next - 1) == Some(&b'\n');
        let may_follow = match self.open.last() {
            Some(b'[') => matches!(self.last_significant, b'[' | b','),
            _ => self.last_significant == b':',
        };
        begins_line && !may_follow
    }
}

/// Characters that begin in these bytes.
fn char_count(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count() as u64
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn begins_value(byte: u8) -> bool {
    matches!(byte, b'{' | b'[' | b'"' | b'-') || byte.is_ascii_alphanumeric()
}

fn expectation(form: Form, byte: u8) -> String {
    let expected = match form {
        Form::ArrayStart => "a document or the end of the array",
        Form::ArrayElement => "a document after the comma",
        Form::ArrayNext => "a comma or the end of the array",
        _ => "nothing after the end of the array",
    };
    format!("expected {expected}, found {}", describe(byte))
}

/// What begins with this byte, in words.
fn describe(byte: u8) -> String {
    match byte {
        b'"' => "a string".to_owned(),
        b'[' => "an array".to_owned(),
        b'-' | b'0'..=b'9' => "a number".to_owned(),
        b'!'..=b'~' => format!("`{}`", char::from(byte)),
        _ => format!("byte 0x{byte:02X}"),
    }
}
