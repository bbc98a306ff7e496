//! Arguments, places for files, entries, and the presentation of results.

use crate::dataset::Rng;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs, process};

/// Bytes of a key.
pub const KEY_BYTES: usize = 24;

/// A key.
pub type Key = [u8; KEY_BYTES];

/// `--name value` pairs of the command line.
#[derive(Debug)]
pub struct Arguments(BTreeMap<String, String>);

impl Arguments {
    /// Reads the command line.
    ///
    /// # Panics
    /// When it is not made of pairs.
    pub fn read() -> Self {
        let mut rest = env::args().skip(1);
        let mut pairs = BTreeMap::new();
        while let Some(name) = rest.next() {
            let name = name.strip_prefix("--").expect("arguments are pairs of --name and value");
            pairs.insert(name.to_owned(), rest.next().expect("a value follows each --name"));
        }
        Self(pairs)
    }

    /// The number given for `name`.
    ///
    /// # Panics
    /// When it is no number.
    pub fn number(&self, name: &str, default: u64) -> u64 {
        let parse = |text: &String| text.replace('_', "").parse().expect("a number");
        self.0.get(name).map_or(default, parse)
    }

    /// The text given for `name`.
    pub fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.0.get(name).map_or(default, String::as_str)
    }

    /// A new folder for this process in `--dir`, by default `./tmp`; removed at the end.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn work_dir(&self) -> WorkDir {
        let path = Path::new(self.text("dir", "./tmp")).join(format!("bench-{}", process::id()));
        fs::create_dir_all(&path).expect("make the working folder");
        WorkDir(path)
    }
}

/// A folder that goes with its owner.
#[derive(Debug)]
pub struct WorkDir(PathBuf);

impl WorkDir {
    /// A path inside.
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        // What is left over does not make the results wrong.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The order of the keys that follow each other in number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Each behind the one before.
    Ascending,
    /// Anywhere.
    Random,
}

impl Order {
    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ascending => "ascending",
            Self::Random => "random",
        }
    }
}

/// Key number `index`; the last eight bytes make it unique in either order.
pub fn key(order: Order, index: u64) -> Key {
    let mut key = [0; KEY_BYTES];
    let head = match order {
        Order::Ascending => [0; 2],
        Order::Random => {
            let mut rng = Rng::derived(index);
            [rng.next_u64(), rng.next_u64()]
        }
    };
    key[..8].copy_from_slice(&head[0].to_be_bytes());
    key[8..16].copy_from_slice(&head[1].to_be_bytes());
    key[16..].copy_from_slice(&index.to_be_bytes());
    key
}

/// Bytes that no compression makes shorter.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut rng = Rng::derived(seed);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&rng.next_u64().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// How long `work` takes.
pub fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// How long `work` takes, as far as can be told without the time in which the thread waited for a processor;
/// never less than it was busy.
pub fn busy_time<T>(clock: &ThreadClock, work: impl FnOnce() -> T) -> (Duration, T) {
    let around = Instant::now();
    let waited = clock.waited();
    let begun = Instant::now();
    let made = work();
    let taken = begun.elapsed();
    let waited = clock.waited().saturating_sub(waited);
    (taken.min(around.elapsed().saturating_sub(waited)), made)
}

/// The middle one of some numbers.
///
/// # Panics
/// Without numbers.
pub fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The number below which `part` of the others are.
///
/// # Panics
/// Without numbers.
pub fn quantile(numbers: &[f64], part: f64) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * part).round() as usize]
}

/// Says whether a bound that was asked for is kept.
pub fn verdict(kept: bool) -> &'static str {
    if kept { "ok" } else { "MISSED" }
}

/// What the system says about the time of the calling thread; reads nothing elsewhere than on Linux.
#[derive(Debug)]
pub struct ThreadClock(Option<File>);

impl ThreadClock {
    /// For the calling thread, which alone may read it.
    pub fn new() -> Self {
        Self(File::open("/proc/thread-self/schedstat").ok())
    }

    /// How long the thread has waited for a processor so far.
    pub fn waited(&self) -> Duration {
        let mut text = [0; 64];
        let read = self.0.as_ref().and_then(|mut file| {
            file.seek(SeekFrom::Start(0)).ok()?;
            file.read(&mut text).ok()
        });
        let text = std::str::from_utf8(&text[..read.unwrap_or(0)]).unwrap_or_default();
        let waited = text.split_ascii_whitespace().nth(1).and_then(|number| number.parse().ok());
        Duration::from_nanos(waited.unwrap_or(0))
    }
}

impl Default for ThreadClock {
    fn default() -> Self {
        Self::new()
    }
}

/// The most memory this process has held at a time, in bytes; 0 where the system does not say.
pub fn peak_memory_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok());
    kilobytes.unwrap_or(0u64) * 1024
}
