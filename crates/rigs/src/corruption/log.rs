//! Logs that were damaged, cut, extended, or belong elsewhere.
//!
//! A database gets one durable commit after the other, and what it holds after each is noted. Damage
//! below the last durable commit must be reported, with the place and a commit that was seen behind
//! it, and leave both files as they are; a salvage brings back the state before the damage, and keeps
//! the damaged log. Of the other logs some cannot be told from what a crash leaves: then the state
//! after some commit is shown, whole.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use any_store::{
    Collection, CollectionOptions, Database, Document, Error, ErrorKind, FlushMode, MemVfs,
    Options, Result, Sync, doc,
};
use any_store_sim::Rng;
use any_store_storage::{Store, StoreOptions};
use twox_hash::XxHash3_128;

use super::Rig;
use super::base::{DB, LOG, options};
use super::exercise::{Outcome, Wrong};
use super::layout::{self, RecordAt};
use super::overlay::{Overlay, bytes_of};

const ASIDE: &str = "/db-wal.damaged-1";
const COMMITS: u64 = 40;
const PAIRS: u64 = 200;

/// A database as it was after each of its commits.
struct History {
    file: Arc<[u8]>,
    log: Arc<[u8]>,
    /// Hashes of the whole content, by the number of the commit.
    states: BTreeMap<u64, u128>,
    records: Vec<RecordAt>,
    /// The commit that the first record of the log follows.
    base_commit: u64,
    /// The log and the file as they were before a checkpoint restarted the log.
    older: (Arc<[u8]>, Arc<[u8]>),
}

pub(super) fn run(rig: &mut Rig<'_>) {
    let [history, other] = histories();
    for number in 0..rig.args.log_flips {
        rig.report.add("log_flips", 1);
        one_flip(rig, &history, number);
    }
    for number in 0..PAIRS {
        rig.report.add("pairs", 1);
        one_pair(rig, &history, &other, number);
    }
}

/// `Some` if there is such a case.
pub(super) fn replay(rig: &mut Rig<'_>, kind: &str, number: &str) -> Option<()> {
    let [history, other] = histories();
    let number = number.parse().ok()?;
    match kind {
        "log" => one_flip(rig, &history, number),
        _ => one_pair(rig, &history, &other, number),
    }
    Some(())
}

fn histories() -> [History; 2] {
    [1, 2].map(|seed| match history(seed) {
        Ok(history) => history,
        Err(error) => unreachable!("nothing is damaged yet: {error}"),
    })
}

fn history(seed: u64) -> Result<History> {
    let memory = MemVfs::new();
    let read = |path: &str| bytes_of(&memory, Path::new(path)).expect("the engine made it");
    let options = options().sync(Sync::Full).vfs(Arc::new(memory.clone()));
    let database = options.open(DB)?;
    let mut rng = Rng::for_parts(&[0x106, seed]);
    database.create_collection("docs", CollectionOptions::new())?;
    let mut states = BTreeMap::new();
    for first in 0..20 {
        change(&database, &mut rng, first * 5..first * 5 + 5)?;
        note(&database, &mut states)?;
    }
    let older = (read(DB), read(LOG));
    database.checkpoint(FlushMode::Restart)?;
    let base_commit = note(&database, &mut states)?;
    for _ in 0..COMMITS {
        let first = rng.below(98) as i64;
        change(&database, &mut rng, first..first + 3)?;
        note(&database, &mut states)?;
    }
    let (file, log) = (read(DB), read(LOG));
    let records = layout::survey(&file, Some(&log)).records;
    assert_eq!(records.len() as u64, COMMITS, "each commit is one record");
    Ok(History { file, log, states, records, base_commit, older })
}

/// One commit that puts these documents.
pub(super) fn change(database: &Database, rng: &mut Rng, ids: std::ops::Range<i64>) -> Result<()> {
    let docs: Collection<Document> = database.collection("docs");
    let mut tx = database.begin_write()?;
    for id in ids {
        let mut bytes = vec![0; rng.between(50, 9_000) as usize];
        rng.fill(&mut bytes);
        let noise = any_store::Binary { subtype: 0, bytes };
        tx.collection(&docs).upsert(&doc! { "id": id, "noise": noise })?;
    }
    tx.commit()
}

fn note(database: &Database, states: &mut BTreeMap<u64, u128>) -> Result<u64> {
    let commit_no = database.begin_read()?.commit_no();
    states.insert(commit_no, digest(database)?);
    Ok(commit_no)
}

/// A hash of everything that the database holds.
pub(super) fn digest(database: &Database) -> Result<u128> {
    let docs: Collection = database.collection("docs");
    let mut cursor = docs.find(doc! {}).sort("id").run()?;
    let mut all = Vec::new();
    while let Some(raw) = cursor.next_raw()? {
        all.extend_from_slice(raw.as_bytes());
    }
    Ok(XxHash3_128::oneshot(&all))
}

impl History {
    fn overlay(&self) -> Overlay {
        let overlay = Overlay::new();
        overlay.put(DB, &self.file);
        overlay.put(LOG, &self.log);
        overlay
    }
}

fn open(overlay: &Overlay, how: impl FnOnce(Options) -> Options) -> Result<Database> {
    how(options().create(false)).vfs(Arc::new(overlay.clone())).open(DB)
}

fn one_flip(rig: &mut Rig<'_>, history: &History, number: u64) {
    let mut rng = Rng::for_parts(&[rig.args.seed, 0x106F, number]);
    // Of the last record nothing says that it was durable.
    let record = rng.index(history.records.len() - 1);
    let RecordAt { position, length, meta_bytes, .. } = history.records[record];
    // The head of a record is small, and says much.
    let reach = if rng.percent(50) { meta_bytes } else { length };
    let offset = position + rng.below(reach);
    let bit = rng.below(8) as u8;
    rig.case(&format!("log:{number}"), |_| {
        let overlay = history.overlay();
        overlay.patch(Path::new(LOG), offset, &[history.log[offset as usize] ^ 1 << bit]);
        let kept = history.base_commit + record as u64;
        expect_report(history, &overlay, record, kept)?;
        expect_salvage(history, &overlay, kept)
    });
}

/// Opening says what is damaged, and changes nothing.
fn expect_report(
    history: &History,
    overlay: &Overlay,
    record: usize,
    kept: u64,
) -> Result<(), Wrong> {
    for read_only in [true, false] {
        let options = StoreOptions { read_only, create: false, ..StoreOptions::default() };
        let refused = Store::open(Arc::new(overlay.clone()), Path::new(DB), options);
        let (first_bad, seen) = match refused {
            Err(any_store_storage::Error::LogDamaged { first_bad, last_commit_seen, .. }) => {
                (first_bad, last_commit_seen.0)
            }
            Err(other) => return Err(Wrong::new(format!("wrong: {other}"))),
            Ok(_) => return Err(Wrong::new("wrong: damage below a durable commit is not told")),
        };
        let place = history.records[record].position;
        let before = record.checked_sub(1).map(|before| &history.records[before]);
        let end = before.map_or(place, |before| before.position + before.length);
        if !(end..=place).contains(&first_bad) || seen <= kept {
            let what = format!("wrong: it names byte {first_bad}, commit {seen} (at {place})");
            return Err(Wrong::new(what));
        }
    }
    match overlay.change_count() {
        0 => Ok(()),
        _ => Err(Wrong::new("wrong: an open that was refused changed a file")),
    }
}

/// A salvage brings back the state before the damage, for good, and keeps the damaged log.
fn expect_salvage(history: &History, overlay: &Overlay, kept: u64) -> Result<Outcome, Wrong> {
    let damaged = overlay.bytes(Path::new(LOG));
    let read = open(overlay, |options| options.salvage(true).read_only(true));
    expect_state(history, read, kept, "read")?;
    if overlay.change_count() > 0 {
        return Err(Wrong::new("wrong: reading a damaged log changed a file"));
    }
    let database = open(overlay, |options| options.salvage(true));
    let database = expect_state(history, database, kept, "salvage")?;
    if overlay.bytes(Path::new(ASIDE)) != damaged {
        return Err(Wrong::new("wrong: the damaged log was not kept as it was"));
    }
    let goes_on = change(&database, &mut Rng::new(7), 500..503)
        .and_then(|()| digest(&database))
        .and_then(|written| database.close().map(|()| written));
    let written = goes_on.map_err(|error| Wrong::new(format!("wrong: after it: {error}")))?;
    let again = open(overlay, |options| options).and_then(|again| digest(&again));
    match again {
        Ok(found) if found == written => Ok(Outcome::Reported),
        _ => Err(Wrong::new("lost: what was written after a salvage")),
    }
}

fn expect_state(
    history: &History,
    opened: Result<Database>,
    commit: u64,
    what: &str,
) -> Result<Database, Wrong> {
    let database = opened.map_err(|error| Wrong::new(format!("wrong: {what}: {error}")))?;
    let found = digest(&database).map_err(|error| Wrong::new(format!("wrong: {what}: {error}")))?;
    match history.states.get(&commit) == Some(&found) {
        true => Ok(database),
        false => Err(Wrong::new(format!("wrong: {what}: not the state after commit {commit}"))),
    }
}

fn one_pair(rig: &mut Rig<'_>, history: &History, other: &History, number: u64) {
    let mut rng = Rng::for_parts(&[rig.args.seed, 0x9A12, number]);
    let len = history.log.len() as u64;
    rig.case(&format!("pair:{number}"), |_| {
        let overlay = history.overlay();
        let log = Path::new(LOG);
        match number % 8 {
            0 => overlay.resize(log, rng.below(len)),
            // At the end of a record, where a crash may have ended it.
            1 => {
                let record = &history.records[rng.index(history.records.len())];
                overlay.resize(log, record.position + record.length);
            }
            2 => overlay.resize(log, len + rng.below(1 << 20)),
            3 => {
                let mut noise = vec![0; rng.between(1, 9_000) as usize];
                rng.fill(&mut noise);
                overlay.patch(log, len, &noise);
            }
            4 => overlay.put(LOG, &other.log),
            5 => overlay.put(LOG, &history.older.1),
            6 => overlay.put(DB, &history.older.0),
            _ => overlay.resize(Path::new(DB), rng.below(history.file.len() as u64)),
        }
        expect_some_state(history, &overlay)
    });
}

/// Refused without a change, or the state after some commit that the database had.
fn expect_some_state(history: &History, overlay: &Overlay) -> Result<Outcome, Wrong> {
    let says_what = |error: &Error| {
        let kinds = [ErrorKind::Corrupt, ErrorKind::LogDamaged, ErrorKind::UnsupportedFormat];
        kinds.contains(&error.kind())
    };
    for read_only in [true, false] {
        let opened = open(overlay, |options| options.read_only(read_only));
        let shown = opened.and_then(|database| {
            let commit = database.begin_read()?.commit_no();
            Ok((commit, digest(&database)?, database))
        });
        match shown {
            Err(error) if says_what(&error) => {}
            Err(error) => return Err(Wrong::new(format!("wrong: {error}"))),
            Ok((commit, found, database)) => {
                if history.states.get(&commit) != Some(&found) {
                    return Err(Wrong::new(format!("wrong: not the state after commit {commit}")));
                }
                if read_only {
                    continue;
                }
                let goes_on = change(&database, &mut Rng::new(7), 500..503);
                let goes_on = goes_on.and_then(|()| database.close());
                return match goes_on {
                    Ok(()) => Ok(Outcome::Right),
                    Err(error) if says_what(&error) => Ok(Outcome::Reported),
                    Err(error) => Err(Wrong::new(format!("wrong: a write: {error}"))),
                };
            }
        }
    }
    match overlay.change_count() {
        0 => Ok(Outcome::Refused),
        _ => Err(Wrong::new("wrong: an open that was refused changed a file")),
    }
}
