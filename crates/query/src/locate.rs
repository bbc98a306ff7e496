//! Finds the byte offset of a key in the JSON text of a request.
//!
//! Parsers work on values, which know no offsets. Only when one of them has an error to report is
//! the text, already known to be valid JSON, walked a second time along the error's path.

use anyenc::{Value, json};

use crate::trail::Step;

/// The offset of the key or element that `steps` lead to; none if the text does not have it.
pub(crate) fn locate(text: &[u8], steps: &[Step<'_>]) -> Option<usize> {
    let mut scanner = Scanner { text, at: 0 };
    let mut found = scanner.skip_space();
    for step in steps {
        found = match step {
            Step::Key(key) => scanner.enter_member(key)?,
            Step::Index(index) => scanner.enter_element(*index)?,
        };
    }
    Some(found)
}

struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.skip_space();
        if self.peek()? != byte {
            return None;
        }
        self.at += 1;
        Some(())
    }

    fn skip_space(&mut self) -> usize {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.at
    }

    /// Moves to the value of a member of the object that begins here; gives the key's offset.
    fn enter_member(&mut self, key: &str) -> Option<usize> {
        self.expect(b'{')?;
        loop {
            let start = self.skip_space();
            self.skip_string()?;
            let name = self.text.get(start..self.at)?;
            self.expect(b':')?;
            if is_string(name, key) {
                return Some(start);
            }
            self.skip_value()?;
            self.expect(b',')?;
        }
    }

    /// Moves to an element of the array that begins here; gives its offset.
    fn enter_element(&mut self, index: usize) -> Option<usize> {
        self.expect(b'[')?;
        for _ in 0..index {
            self.skip_value()?;
            self.expect(b',')?;
        }
        Some(self.skip_space())
    }

    fn skip_string(&mut self) -> Option<()> {
        self.expect(b'"')?;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(())
    }

    /// Skips one value by counting brackets outside of strings.
    fn skip_value(&mut self) -> Option<()> {
        self.skip_space();
        let mut depth = 0usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.skip_string()?;
                    if depth == 0 {
                        return Some(());
                    }
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' | b',' if depth == 0 => return Some(()),
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
        }
    }
}

/// Does this quoted, perhaps escaped, text spell `key`?
fn is_string(quoted: &[u8], key: &str) -> bool {
    if quoted.contains(&b'\\') {
        return matches!(json::parse(quoted), Ok(Value::String(name)) if name == key);
    }
    quoted.get(1..quoted.len().saturating_sub(1)) == Some(key.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, steps: &[Step<'_>]) -> Option<usize> {
        locate(text.as_bytes(), steps)
    }

    #[test]
    fn a_key_is_found_behind_other_members() {
        let text = r#"{ "a" : [1, {"x":"}]\""}, 3], "b":{"c":1} }"#;
        assert_eq!(at(text, &[]), Some(0));
        assert_eq!(at(text, &[Step::Key("a")]), text.find("\"a\""));
        assert_eq!(at(text, &[Step::Key("a"), Step::Index(2)]), text.find("3]"));
        assert_eq!(at(text, &[Step::Key("b"), Step::Key("c")]), text.find("\"c\""));
    }

    #[test]
    fn an_escaped_key_is_found_by_its_meaning() {
        let text = r#"{"\u0061":{"\"":1}}"#;
        assert_eq!(at(text, &[Step::Key("a"), Step::Key("\"")]), Some(11));
    }

    #[test]
    fn what_is_not_there_has_no_offset() {
        assert_eq!(at(r#"{"a":1}"#, &[Step::Key("b")]), None);
        assert_eq!(at(r#"{"a":[1]}"#, &[Step::Key("a"), Step::Index(1)]), None);
        assert_eq!(at("{", &[Step::Key("b")]), None);
    }
}
