//! Twelve bytes that name a document: seconds, process, counter.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A document's name that needs no server to be unique: four bytes of seconds since 1970, five that
/// are random for each process, three that count; each big-endian, so that later ids sort later.
///
/// ```
/// use anyenc::ObjectId;
/// let id: ObjectId = "66000000deadbeef01000001".parse()?;
/// assert_eq!(id.timestamp_ms(), 0x6600_0000 * 1000);
/// assert_eq!(id.to_string(), "66000000deadbeef01000001");
/// assert_ne!(ObjectId::new(), ObjectId::new());
/// # Ok::<(), anyenc::ObjectIdError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId([u8; 12]);

impl ObjectId {
    /// A new id from the clock, this process's random bytes and its counter.
    #[expect(clippy::new_without_default, reason = "a default that differs each time surprises")]
    pub fn new() -> ObjectId {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Four bytes of seconds wrap in the year 2106, as everywhere.
        let [_, _, _, _, a, b, c, d] = since_epoch.as_secs().to_be_bytes();
        let process = process_bytes();
        let counter = process.counter.fetch_add(1, Ordering::Relaxed);
        ObjectId::from_parts(u32::from_be_bytes([a, b, c, d]), process.unique(), counter)
    }

    /// An id made of its parts; of `counter` the lower 24 bits count.
    pub fn from_parts(seconds: u32, process: [u8; 5], counter: u32) -> ObjectId {
        let [s0, s1, s2, s3] = seconds.to_be_bytes();
        let [p0, p1, p2, p3, p4] = process;
        let [_, c0, c1, c2] = counter.to_be_bytes();
        ObjectId([s0, s1, s2, s3, p0, p1, p2, p3, p4, c0, c1, c2])
    }

    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 12]) -> ObjectId {
        ObjectId(bytes)
    }

    /// The bytes of the id.
    pub const fn bytes(self) -> [u8; 12] {
        self.0
    }

    /// When the id was made, in milliseconds since 1970, to the second.
    pub fn timestamp_ms(self) -> i64 {
        let [a, b, c, d, ..] = self.0;
        i64::from(u32::from_be_bytes([a, b, c, d])) * 1000
    }
}

struct ProcessBytes {
    random: [u8; 5],
    counter: AtomicU32,
}

impl ProcessBytes {
    /// The random bytes mixed with the process number: a forked child inherits the former and the
    /// counter, and would otherwise make its parent's ids again.
    fn unique(&self) -> [u8; 5] {
        let [a, b, c, d, e] = self.random;
        let [p0, p1, p2, p3] = process_number().to_be_bytes();
        [a ^ p0, b ^ p1, c ^ p2, d ^ p3, e]
    }
}

#[cfg(not(target_family = "wasm"))]
fn process_number() -> u32 {
    std::process::id()
}

#[cfg(target_family = "wasm")]
fn process_number() -> u32 {
    0
}

fn process_bytes() -> &'static ProcessBytes {
    static PROCESS: OnceLock<ProcessBytes> = OnceLock::new();
    PROCESS.get_or_init(|| {
        let [a, b, c, d, e, f, g, _] = random_bytes();
        let counter = AtomicU32::new(u32::from_be_bytes([0, f, g, 0]));
        ProcessBytes { random: [a, b, c, d, e], counter }
    })
}

fn random_bytes() -> [u8; 8] {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => bytes,
        // Ids must be unique, not secret: the seed of the standard hash maps will do.
        Err(_) => {
            std::collections::hash_map::RandomState::new().build_hasher().finish().to_le_bytes()
        }
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectId({self})")
    }
}

impl FromStr for ObjectId {
    type Err = ObjectIdError;

    fn from_str(text: &str) -> Result<ObjectId, ObjectIdError> {
        let mut bytes = [0; 12];
        read_hex(text, &mut bytes).ok_or(ObjectIdError)?;
        Ok(ObjectId(bytes))
    }
}

/// Fills `bytes` from exactly twice as many hex digits of either case.
pub(crate) fn read_hex(text: &str, bytes: &mut [u8]) -> Option<()> {
    if text.len() != bytes.len() * 2 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let &[high, low] = pair else { return None };
        *byte = hex_digit(high)? << 4 | hex_digit(low)?;
    }
    Some(())
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// A text that is not 24 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectIdError;

impl fmt::Display for ObjectIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object id is 24 hex digits")
    }
}

impl std::error::Error for ObjectIdError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ids_differ_and_rise_within_a_process() {
        let ids: Vec<ObjectId> = (0..1000).map(|_| ObjectId::new()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(ids.iter().all(|id| id.bytes()[4..9] == ids[0].bytes()[4..9]));
    }

    #[test]
    fn text_is_24_hex_digits_of_either_case() {
        let id: ObjectId = "0123456789ABCDEFabcdef01".parse().unwrap();
        assert_eq!(id.to_string(), "0123456789abcdefabcdef01");
        for bad in [
            "",
            "zz",
            "0123456789abcdefabcdef0",
            "0123456789abcdefabcdef012",
            "0123456789abcdefabcdeg01",
        ] {
            assert_eq!(bad.parse::<ObjectId>(), Err(ObjectIdError), "{bad}");
        }
        assert!("0123456789abcdefabcd\u{e9}f0".parse::<ObjectId>().is_err());
    }
}
