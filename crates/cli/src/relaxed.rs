//! The relaxed JSON of the shell, rewritten as strict JSON.
//!
//! Relaxed means: keys without quotes, single quotes, trailing commas, comments, hexadecimal
//! numbers, `+1`, `.5`, `Infinity` and `NaN`, `/patterns/i`, and the constructors that people know
//! from mongosh: `ObjectId("...")`, `ISODate("...")`, `NumberLong(1)` and so on.
//!
//! Nothing is evaluated and no number passes through a double: the text is rewritten token by
//! token, and the library's strict parser has the last word. `marks` lead from its complaints back
//! to the place in the relaxed text.

use std::time::{SystemTime, UNIX_EPOCH};

use any_store::{Document, ObjectId, Value, json};

use crate::source::{Problem, Source, is_name_char};
use crate::suggest::did_you_mean;

#[cfg(test)]
mod tests;

/// Beyond what documents may nest, so that the strict parser gives the message up to here.
const DEPTH_MAX: usize = 400;

const CONSTRUCTORS: [&str; 11] = [
    "ObjectId",
    "ISODate",
    "Date",
    "NumberLong",
    "NumberInt",
    "NumberDouble",
    "UUID",
    "BinData",
    "Vector",
    "RegExp",
    "Int64",
];

const WORDS: [&str; 5] = ["true", "false", "null", "Infinity", "NaN"];

/// One value as strict JSON, and where it came from.
#[derive(Debug)]
pub(crate) struct Literal {
    /// Where the value begins in its source.
    pub(crate) at: usize,
    pub(crate) json: String,
    /// Offsets of tokens: in `json`, and in the source.
    marks: Vec<(usize, usize)>,
}

impl Literal {
    /// The one value that `text` is.
    pub(crate) fn parse(text: &str) -> Result<Literal, Problem> {
        let mut source = Source::new(text);
        let literal = Literal::read(&mut source)?;
        source.skip_blanks()?;
        match source.peek() {
            None => Ok(literal),
            Some(_) => Err(source.unexpected("expected nothing after the value")),
        }
    }

    /// The value that comes next in `source`.
    pub(crate) fn read(source: &mut Source<'_>) -> Result<Literal, Problem> {
        source.skip_blanks()?;
        let at = source.at();
        let mut rewriter = Rewriter { source, json: String::new(), marks: Vec::new(), depth: 0 };
        rewriter.value()?;
        let Rewriter { json, marks, .. } = rewriter;
        Ok(Literal { at, json, marks })
    }

    /// As data: a name that begins with `$` is a wrapper of extended JSON or an error.
    pub(crate) fn value(&self) -> Result<Value, Problem> {
        json::parse(self.json.as_bytes()).map_err(|error| self.problem(&error))
    }

    /// As a filter, an update, a sort or a projection: operators are kept.
    pub(crate) fn query(&self) -> Result<Value, Problem> {
        json::parse_query(self.json.as_bytes()).map_err(|error| self.problem(&error))
    }

    pub(crate) fn document(&self) -> Result<Document, Problem> {
        self.object(self.value()?)
    }

    pub(crate) fn query_document(&self) -> Result<Document, Problem> {
        self.object(self.query()?)
    }

    fn object(&self, value: Value) -> Result<Document, Problem> {
        match value {
            Value::Object(document) => Ok(document),
            _ => Err(Problem::new(self.at, "expected an object in braces")),
        }
    }

    fn problem(&self, error: &json::JsonError) -> Problem {
        let after = self.marks.partition_point(|(json, _)| *json <= error.offset);
        let mark = after.checked_sub(1).and_then(|index| self.marks.get(index));
        Problem::new(mark.map_or(self.at, |(_, source)| *source), error.reason.to_string())
    }
}

struct Rewriter<'s, 'a> {
    source: &'s mut Source<'a>,
    json: String,
    marks: Vec<(usize, usize)>,
    depth: usize,
}

impl Rewriter<'_, '_> {
    fn value(&mut self) -> Result<(), Problem> {
        self.source.skip_blanks()?;
        self.mark();
        match self.source.peek() {
            Some('{') => self.nested(Self::object),
            Some('[') => self.nested(Self::array),
            Some('"' | '\'') => self.string(),
            Some('/') => self.pattern(),
            Some('-' | '+' | '.' | '0'..='9') => self.number(),
            Some(c) if is_name_char(c) => self.word(),
            _ => Err(self.source.unexpected("expected a value")),
        }
    }

    fn mark(&mut self) {
        self.marks.push((self.json.len(), self.source.at()));
    }

    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        if self.depth == DEPTH_MAX {
            return Err(Problem::new(self.source.at(), "values are nested too deep"));
        }
        self.depth += 1;
        read(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn object(&mut self) -> Result<(), Problem> {
        self.members('{', '}', |rewriter| {
            rewriter.mark();
            rewriter.key()?;
            rewriter.source.skip_blanks()?;
            rewriter.source.expect(':', "after the key")?;
            rewriter.json.push(':');
            rewriter.value()
        })
    }

    fn array(&mut self) -> Result<(), Problem> {
        self.members('[', ']', Self::value)
    }

    /// What stands between two brackets, separated by commas, the last of which may be too many.
    fn members(
        &mut self,
        open: char,
        close: char,
        mut member: impl FnMut(&mut Self) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        self.source.expect(open, "")?;
        self.json.push(open);
        let mut first = true;
        loop {
            self.source.skip_blanks()?;
            if self.source.eat(close) {
                self.json.push(close);
                return Ok(());
            }
            if !first {
                self.json.push(',');
            }
            first = false;
            member(self)?;
            self.source.skip_blanks()?;
            if !self.source.eat(',') && self.source.peek() != Some(close) {
                return Err(self.source.unexpected(&format!("expected `,` or `{close}`")));
            }
        }
    }

    fn key(&mut self) -> Result<(), Problem> {
        match self.source.peek() {
            Some('"' | '\'') => self.string(),
            Some(c) if is_name_char(c) => {
                let from = self.source.at();
                self.source.skip_while(is_name_char);
                let key = self.source.since(from);
                push_string(&mut self.json, key);
                Ok(())
            }
            _ => Err(self.source.unexpected("expected a key or `}`")),
        }
    }

    fn string(&mut self) -> Result<(), Problem> {
        let begin = self.source.at();
        let quote = self.source.bump();
        self.json.push('"');
        loop {
            let run = self.source.at();
            self.source
                .skip_while(|c| Some(c) != quote && !matches!(c, '\\' | '"' | '\0'..='\x1F'));
            self.json.push_str(self.source.since(run));
            match self.source.peek() {
                c if c == quote => break,
                Some('\\') => self.escape()?,
                Some('"') => {
                    self.source.bump();
                    self.json.push_str("\\\"");
                }
                Some(c) if c != '\n' && c != '\r' => {
                    self.source.bump();
                    push_char(&mut self.json, c);
                }
                Some(_) => return Err(Problem::new(begin, "the string is not closed on its line")),
                None => {
                    let message = "the string is not closed".to_owned();
                    return Err(Problem { at: begin, message, unfinished: true });
                }
            }
        }
        self.source.bump();
        self.json.push('"');
        Ok(())
    }

    /// An escape of JavaScript as one of JSON.
    fn escape(&mut self) -> Result<(), Problem> {
        let begin = self.source.at();
        self.source.bump();
        let code = self.source.bump();
        match code {
            Some('n' | 't' | 'r' | 'b' | 'f' | '\\' | '/' | '"') => {
                self.json.extend(['\\'].into_iter().chain(code));
            }
            Some('\'') => self.json.push('\''),
            Some('0') => self.json.push_str("\\u0000"),
            Some('v') => self.json.push_str("\\u000b"),
            Some('x') => {
                let digits = self.hex_digits(2, begin)?;
                self.json.push_str("\\u00");
                self.json.push_str(&digits);
            }
            Some('u') if self.source.eat('{') => self.code_point(begin)?,
            Some('u') => {
                let digits = self.hex_digits(4, begin)?;
                self.json.push_str("\\u");
                self.json.push_str(&digits);
            }
            None => return Err(self.source.unexpected("expected an escape")),
            Some(other) => {
                let message = format!("unknown escape `\\{}`", other.escape_debug());
                return Err(Problem::new(begin, message));
            }
        }
        Ok(())
    }

    fn hex_digits(&mut self, count: usize, begin: usize) -> Result<String, Problem> {
        let digits: String = self.source.rest().chars().take(count).collect();
        if digits.len() != count || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(Problem::new(begin, format!("expected {count} hexadecimal digits")));
        }
        for _ in 0..count {
            self.source.bump();
        }
        Ok(digits)
    }

    /// The rest of `\u{1F600}`.
    fn code_point(&mut self, begin: usize) -> Result<(), Problem> {
        let from = self.source.at();
        self.source.skip_while(|c| c.is_ascii_hexdigit());
        let point = u32::from_str_radix(self.source.since(from), 16).ok().and_then(char::from_u32);
        match point {
            Some(c) if self.source.eat('}') => {
                push_char(&mut self.json, c);
                Ok(())
            }
            _ => Err(Problem::new(begin, "expected a code point in braces")),
        }
    }

    /// `/pattern/flags`
    fn pattern(&mut self) -> Result<(), Problem> {
        let begin = self.source.at();
        self.source.bump();
        let from = self.source.at();
        let mut in_class = false;
        loop {
            match self.source.peek() {
                None | Some('\n') => {
                    return Err(Problem::new(begin, "the regular expression is not closed"));
                }
                Some('/') if !in_class => break,
                Some('\\') => {
                    self.source.bump();
                }
                Some('[') => in_class = true,
                Some(']') => in_class = false,
                Some(_) => {}
            }
            self.source.bump();
        }
        let pattern = self.source.since(from).replace("\\/", "/");
        self.source.bump();
        let flags_from = self.source.at();
        self.source.skip_while(is_name_char);
        let flags = self.source.since(flags_from);
        self.push_regex(&pattern, flags);
        Ok(())
    }

    fn push_regex(&mut self, pattern: &str, options: &str) {
        self.json.push_str("{\"$regularExpression\":{\"pattern\":");
        push_string(&mut self.json, pattern);
        self.json.push_str(",\"options\":");
        push_string(&mut self.json, options);
        self.json.push_str("}}");
    }

    fn number(&mut self) -> Result<(), Problem> {
        let number = self.number_text()?;
        self.json.push_str(&number);
        Ok(())
    }

    /// A number as JSON spells it; a hexadecimal one in decimal.
    fn number_text(&mut self) -> Result<String, Problem> {
        let begin = self.source.at();
        let sign = if self.source.eat('-') { "-" } else { "" };
        if sign.is_empty() {
            self.source.eat('+');
        }
        if let Some(word) = self.source.name() {
            return match word {
                "Infinity" | "NaN" => Ok(non_finite(sign, word)),
                _ => Err(Problem::new(begin, "expected a number")),
            };
        }
        if self.source.rest().starts_with("0x") || self.source.rest().starts_with("0X") {
            return self.hex_number(sign, begin);
        }
        let whole = self.digits();
        let fraction = if self.source.eat('.') { Some(self.digits()) } else { None };
        if whole.is_empty() && fraction.as_ref().is_none_or(String::is_empty) {
            return Err(Problem::new(begin, "expected a number"));
        }
        let exponent = self.exponent();
        if self.source.peek().is_some_and(is_name_char) {
            return Err(self.source.unexpected("expected the end of the number"));
        }
        let whole = if whole.is_empty() { "0" } else { &whole };
        let fraction = match fraction {
            Some(digits) if digits.is_empty() => ".0".to_owned(),
            Some(digits) => format!(".{digits}"),
            None => String::new(),
        };
        Ok(format!("{sign}{whole}{fraction}{exponent}"))
    }

    fn digits(&mut self) -> String {
        let from = self.source.at();
        self.source.skip_while(|c| c.is_ascii_digit());
        self.source.since(from).to_owned()
    }

    /// `e5`, `E-5`, or nothing.
    fn exponent(&mut self) -> String {
        let from = self.source.at();
        if self.source.eat('e') || self.source.eat('E') {
            if !self.source.eat('-') {
                self.source.eat('+');
            }
            self.source.skip_while(|c| c.is_ascii_digit());
        }
        self.source.since(from).to_owned()
    }

    fn hex_number(&mut self, sign: &str, begin: usize) -> Result<String, Problem> {
        self.source.bump();
        self.source.bump();
        let from = self.source.at();
        self.source.skip_while(is_name_char);
        let digits = format!("{sign}{}", self.source.since(from));
        match i64::from_str_radix(&digits, 16) {
            Ok(number) if self.source.since(from).starts_with(|c: char| c.is_ascii_hexdigit()) => {
                Ok(number.to_string())
            }
            _ => Err(Problem::new(begin, "expected a hexadecimal number of at most 64 bits")),
        }
    }

    /// `true`, `NaN`, or a constructor.
    fn word(&mut self) -> Result<(), Problem> {
        let begin = self.source.at();
        let mut word = self.source.name().unwrap_or_default();
        if word == "new" {
            self.source.skip_blanks()?;
            word = self.source.name().unwrap_or_default();
        }
        match word {
            "true" | "false" | "null" => self.json.push_str(word),
            "Infinity" | "NaN" => self.json.push_str(&non_finite("", word)),
            "undefined" => return Err(Problem::new(begin, "there is no undefined; use null")),
            _ => {
                self.source.skip_blanks()?;
                if !self.source.eat('(') {
                    let near = did_you_mean(word, WORDS.into_iter().chain(CONSTRUCTORS));
                    return Err(Problem::new(begin, format!("unknown word \"{word}\"{near}")));
                }
                self.constructor(word, begin)?;
                self.source.skip_blanks()?;
                self.source.expect(')', "after the argument")?;
            }
        }
        Ok(())
    }

    fn constructor(&mut self, name: &str, begin: usize) -> Result<(), Problem> {
        match name {
            "ObjectId" => self.wrapped("$oid", Self::object_id),
            "UUID" => self.wrapped("$uuid", Self::quoted),
            "ISODate" | "Date" => self.wrapped("$date", Self::date),
            "NumberLong" | "Int64" => self.wrapped("$numberLong", Self::quoted_number),
            "NumberInt" => self.wrapped("$numberInt", Self::quoted_number),
            "NumberDouble" => self.wrapped("$numberDouble", Self::quoted_number),
            "Vector" => self.wrapped("$vector", |rewriter| rewriter.nested(Self::array)),
            "BinData" => self.binary(),
            "RegExp" => self.regular_expression(),
            _ => {
                let near = did_you_mean(name, CONSTRUCTORS);
                Err(Problem::new(begin, format!("unknown function \"{name}\"{near}")))
            }
        }
    }

    fn wrapped(
        &mut self,
        wrapper: &str,
        content: impl FnOnce(&mut Self) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        self.source.skip_blanks()?;
        self.json.push_str("{\"");
        self.json.push_str(wrapper);
        self.json.push_str("\":");
        content(self)?;
        self.json.push('}');
        Ok(())
    }

    /// A string, as such and not as part of an object.
    fn quoted(&mut self) -> Result<(), Problem> {
        self.source.skip_blanks()?;
        match self.source.peek() {
            Some('"' | '\'') => self.string(),
            _ => Err(self.source.unexpected("expected a string")),
        }
    }

    /// The same, taken out of `json` again.
    fn string_argument(&mut self) -> Result<String, Problem> {
        let before = self.json.len();
        self.quoted()?;
        Ok(self.json.split_off(before))
    }

    /// Hexadecimal digits in quotes; a new one if there is no argument.
    fn object_id(&mut self) -> Result<(), Problem> {
        if self.source.peek() != Some(')') {
            return self.quoted();
        }
        push_string(&mut self.json, &ObjectId::new().to_string());
        Ok(())
    }

    /// A date as text, or as milliseconds since 1970; the present time if there is no argument. A
    /// date without a time begins at midnight, a time without a zone is UTC.
    fn date(&mut self) -> Result<(), Problem> {
        match self.source.peek() {
            Some('"' | '\'') => {}
            Some(')') => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let wrapper = format!("{{\"$numberLong\":\"{}\"}}", now.as_millis());
                self.json.push_str(&wrapper);
                return Ok(());
            }
            _ => return self.wrapped("$numberLong", Self::quoted_number),
        }
        let quoted = self.string_argument()?;
        let inner = quoted.trim_matches('"');
        let date = match inner.split_once(['T', ' ']) {
            None => format!("\"{inner}T00:00:00Z\""),
            Some((day, time)) if !time.contains(['Z', 'z', '+', '-']) => {
                format!("\"{day}T{time}Z\"")
            }
            Some((day, time)) => format!("\"{day}T{time}\""),
        };
        self.json.push_str(&date);
        Ok(())
    }

    /// `5` or `"5"`, as a string.
    fn quoted_number(&mut self) -> Result<(), Problem> {
        if matches!(self.source.peek(), Some('"' | '\'')) {
            return self.string();
        }
        let number = self.number_text()?;
        push_string(&mut self.json, &number);
        Ok(())
    }

    /// `BinData(subtype, "base64")` or `BinData("base64")`.
    fn binary(&mut self) -> Result<(), Problem> {
        self.source.skip_blanks()?;
        let mut subtype = 0u8;
        if self.source.peek().is_some_and(|c| c.is_ascii_digit()) {
            let begin = self.source.at();
            let text = self.number_text()?;
            let message = "expected a subtype from 0 to 255";
            subtype = text.parse().map_err(|_| Problem::new(begin, message))?;
            self.source.skip_blanks()?;
            self.source.expect(',', "after the subtype")?;
        }
        let base64 = self.string_argument()?;
        let wrapper =
            format!("{{\"$binary\":{{\"base64\":{base64},\"subType\":\"{subtype:02x}\"}}}}");
        self.json.push_str(&wrapper);
        Ok(())
    }

    /// `RegExp("pattern")` or `RegExp("pattern", "flags")`.
    fn regular_expression(&mut self) -> Result<(), Problem> {
        let pattern = self.string_argument()?;
        self.source.skip_blanks()?;
        let options =
            if self.source.eat(',') { self.string_argument()? } else { "\"\"".to_owned() };
        let wrapper =
            format!("{{\"$regularExpression\":{{\"pattern\":{pattern},\"options\":{options}}}}}");
        self.json.push_str(&wrapper);
        Ok(())
    }
}

fn non_finite(sign: &str, word: &str) -> String {
    let sign = if word == "NaN" { "" } else { sign };
    format!("{{\"$numberDouble\":\"{sign}{word}\"}}")
}

fn push_string(json: &mut String, text: &str) {
    json.push('"');
    text.chars().for_each(|c| push_char(json, c));
    json.push('"');
}

fn push_char(json: &mut String, c: char) {
    match c {
        '"' => json.push_str("\\\""),
        '\\' => json.push_str("\\\\"),
        '\0'..='\x1F' => json.push_str(&format!("\\u{:04x}", u32::from(c))),
        _ => json.push(c),
    }
}
