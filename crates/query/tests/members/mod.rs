//! The raw text of the members of a JSON object.

/// Splits valid JSON text of an object into keys (without escapes) and the text of their values.
pub(crate) fn members(text: &str) -> Vec<(&str, &str)> {
    let inner = text.trim().strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    let mut rest = inner.expect("an object").trim_start();
    let mut members = Vec::new();
    while !rest.is_empty() {
        let (key, after) = split_value(rest);
        let after = after.trim_start().strip_prefix(':').expect("a colon").trim_start();
        let (value, after) = split_value(after);
        members.push((key.trim_matches('"'), value));
        rest = after.trim_start().trim_start_matches(',').trim_start();
    }
    members
}

/// The value that begins a text, and what follows it.
fn split_value(text: &str) -> (&str, &str) {
    let mut depth = 0;
    let mut in_string = false;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b',' | b':' if depth == 0 => return text.split_at(at),
            _ => {}
        }
    }
    (text, "")
}
