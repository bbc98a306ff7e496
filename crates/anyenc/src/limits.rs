//! How large and how deep a document may be.

/// The bounds that are checked whenever a document is made, so that whatever is stored can be read,
/// changed and deleted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes that one encoded document may take.
    pub document_bytes: usize,
    /// The most containers (objects and arrays, the document itself included) around any value.
    pub depth: usize,
}

impl Limits {
    /// 16 MiB and 300 containers.
    pub const DEFAULT: Limits = Limits { document_bytes: 16 << 20, depth: MAX_DEPTH };
}

impl Default for Limits {
    fn default() -> Self {
        Limits::DEFAULT
    }
}

/// Every walk over encoded bytes stops at this many containers: no stack grows past it.
pub(crate) const MAX_DEPTH: usize = 300;

/// The extended JSON wrappers by name. No stored object may begin with one of these keys: printed as
/// JSON it would read back as something else.
pub(crate) const RESERVED_KEYS: [&str; 17] = [
    "$oid",
    "$date",
    "$numberLong",
    "$numberInt",
    "$numberDouble",
    "$binary",
    "$regularExpression",
    "$uuid",
    "$vector",
    "$timestamp",
    "$numberDecimal",
    "$code",
    "$minKey",
    "$maxKey",
    "$symbol",
    "$dbPointer",
    "$undefined",
];

/// Whether an object may not begin with this key.
pub(crate) fn is_reserved(key: &str) -> bool {
    key.starts_with('$') && RESERVED_KEYS.contains(&key)
}
