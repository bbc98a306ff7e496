//! Dotted paths, parsed once.
//!
//! `"a.b.0"` names the field `a`, in it the field `b`, in that the element 0 or the field `"0"`:
//! which of the two is the document's question, so a segment keeps both readings.

use std::fmt;
use std::sync::Arc;

/// A dotted path. Cheap to clone.
///
/// ```
/// use anyenc::Path;
/// let path = Path::parse("items.0.price")?;
/// assert_eq!(path.segments().len(), 3);
/// assert_eq!(path.segments()[1].index, Some(0));
/// assert!(Path::parse("items")?.is_prefix_of(&path));
/// assert!(!Path::parse("item")?.is_prefix_of(&path));
/// # Ok::<(), anyenc::PathError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Path(Arc<Parts>);

#[derive(PartialEq, Eq, Hash)]
struct Parts {
    text: String,
    segments: Vec<Segment>,
}

/// One part of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Segment {
    /// The part as a key.
    pub name: String,
    /// The part as a position in an array, if it is a number in decimal without leading zeros.
    pub index: Option<u32>,
}

impl Path {
    /// The most parts that a path may have.
    pub const MAX_SEGMENTS: usize = 64;

    /// Reads a path. Every text is one, up to 64 parts: an empty part is the empty key.
    ///
    /// # Errors
    /// [`PathError`] if the path has more parts.
    pub fn parse(text: &str) -> Result<Path, PathError> {
        // Counted first: a text of dots must not cost an allocation for each of them.
        let count = text.bytes().filter(|&byte| byte == b'.').count().saturating_add(1);
        if count > Path::MAX_SEGMENTS {
            return Err(PathError { count });
        }
        let segments = text.split('.').map(Segment::new).collect();
        Ok(Path(Arc::new(Parts { text: text.to_owned(), segments })))
    }

    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The parts, at least one.
    pub fn segments(&self) -> &[Segment] {
        &self.0.segments
    }

    /// Whether `other` is this path or leads on from it.
    pub fn is_prefix_of(&self, other: &Path) -> bool {
        other.segments().starts_with(self.segments())
    }
}

impl Segment {
    fn new(name: &str) -> Segment {
        Segment { name: name.to_owned(), index: parse_index(name) }
    }
}

/// A position in the one spelling that it has: `0`, `12`, but not `01` or `+1`.
fn parse_index(name: &str) -> Option<u32> {
    let canonical = match name.as_bytes() {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if canonical { name.parse().ok() } else { None }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path({:?})", self.as_str())
    }
}

/// A path of too many parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathError {
    count: usize,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a path has at most {} parts, not {}", Path::MAX_SEGMENTS, self.count)
    }
}

impl std::error::Error for PathError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_has_one_spelling() {
        let index = |text: &str| Path::parse(text).unwrap().segments()[0].index;
        assert_eq!(index("0"), Some(0));
        assert_eq!(index("4294967295"), Some(u32::MAX));
        for name in ["", "00", "01", "+1", "-1", "1a", "4294967296", "\u{661}"] {
            assert_eq!(index(name), None, "{name}");
        }
    }

    #[test]
    fn empty_parts_are_empty_keys() {
        let path = Path::parse("a..").unwrap();
        let names: Vec<&str> =
            path.segments().iter().map(|segment| segment.name.as_str()).collect();
        assert_eq!(names, ["a", "", ""]);
        assert_eq!(Path::parse("").unwrap().segments().len(), 1);
    }

    #[test]
    fn a_path_has_at_most_64_parts() {
        assert!(Path::parse(&".".repeat(63)).is_ok());
        let error = Path::parse(&".".repeat(100_000)).unwrap_err();
        assert_eq!(error.to_string(), "a path has at most 64 parts, not 100001");
    }

    #[test]
    fn a_prefix_ends_where_a_part_ends() {
        let path = |text| Path::parse(text).unwrap();
        assert!(path("a.b").is_prefix_of(&path("a.b")));
        assert!(path("a").is_prefix_of(&path("a.b")));
        assert!(!path("a.b").is_prefix_of(&path("a")));
        assert!(!path("a").is_prefix_of(&path("ab")));
    }
}
