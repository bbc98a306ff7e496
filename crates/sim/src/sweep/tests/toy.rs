//! A database small enough to be seen to be right, and its wrong sisters.
//!
//! All state is in memory; a commit appends one record of changes to the one file. A record is
//!
//!   length u32 | check of the record before u64 | check u64 | changes
//!
//! and recovery takes records while the checks hold. What it took may be no more than the page cache's
//! word, so it is written and synced again; and because a torn write may spoil what was safe, a copy
//! is made safe first, which the next recovery falls back on. Each [`Flaw`] breaks one of these rules,
//! so that the sweep can be seen to notice.

use crate::engine::{
    Database, Direction, Durability, Engine, Mode, Outcome, Setup, Snapshot, Visitor, When, Work,
    database_dir, database_path,
};
use crate::model::State;
use crate::vfs::SimVfs;
use any_store_storage::vfs::{OpenMode, SyncKind, Vfs, VfsFile, read_exact, write_all};
use std::io;
use std::path::Path;
use std::sync::Arc;
use twox_hash::XxHash3_128;

/// What a toy does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    /// A commit that should be durable is not synced.
    SkipSync,
    /// Recovery takes a record whose check fails.
    KeepTail,
    /// Recovery leaves out the last record.
    StopEarly,
    /// The directory is not synced after the file was created.
    SkipDirSync,
    /// Recovery fails when the tail is torn.
    RefuseTail,
    /// Recovery panics when the tail is torn.
    PanicOnTornTail,
    /// A close that should make all commits durable does not sync.
    SkipCloseSync,
    /// Removals are not logged.
    ForgetRemovals,
    /// Recovery trusts what it read to be on the disk.
    TrustCache,
    /// Recovery writes the log again without a copy to fall back on.
    RewriteInPlace,
}

impl Flaw {
    pub(super) const ALL: [Self; 10] = [
        Self::SkipSync,
        Self::KeepTail,
        Self::StopEarly,
        Self::SkipDirSync,
        Self::RefuseTail,
        Self::PanicOnTornTail,
        Self::SkipCloseSync,
        Self::ForgetRemovals,
        Self::TrustCache,
        Self::RewriteInPlace,
    ];
}

pub(super) struct Toy(Flaw);

impl Toy {
    pub(super) fn with(flaw: Flaw) -> Self {
        Self(flaw)
    }
}

impl Engine for Toy {
    fn open(&self, vfs: &SimVfs, setup: Setup) -> Outcome<Box<dyn Database>> {
        let mode = if setup.create { OpenMode::Create } else { OpenMode::Write };
        let file = vfs.open(database_path(), mode).map_err(text)?;
        if self.0 != Flaw::SkipDirSync {
            vfs.sync_dir(database_dir()).map_err(text)?;
        }
        let mut open = OpenToy {
            flaw: self.0,
            file,
            end: 0,
            last_check: 0,
            committed: State::default(),
            working: State::default(),
            savepoints: Vec::new(),
            durability: Durability::Normal,
        };
        open.recover(vfs)?;
        Ok(Box::new(open))
    }
}

struct OpenToy {
    flaw: Flaw,
    file: Arc<dyn VfsFile>,
    end: u64,
    last_check: u64,
    committed: State,
    working: State,
    savepoints: Vec<State>,
    durability: Durability,
}

const HEADER_LEN: usize = 20;
const COPIES: [&str; 2] = ["/sim/data.db-copy", "/sim/data.db-copy2"];

fn text(error: io::Error) -> String {
    error.to_string()
}

fn check_of(last: u64, body: &[u8]) -> u64 {
    let mut checked = last.to_le_bytes().to_vec();
    checked.extend_from_slice(body);
    XxHash3_128::oneshot(&checked) as u64
}

fn number(bytes: &[u8]) -> u64 {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(wide)
}

impl OpenToy {
    /// Takes the longest valid prefix, of the log or of its copy, and cuts the rest off.
    fn recover(&mut self, vfs: &SimVfs) -> Outcome<()> {
        let mut log = read_log(&*self.file).map_err(text)?;
        let mut end = self.replay(&log)?;
        let mut valid_lens = [0; 2];
        for (path, valid_len) in COPIES.into_iter().zip(&mut valid_lens) {
            let Ok(copy) = vfs.open(Path::new(path), OpenMode::Read) else { continue };
            let copy = read_log(&*copy).map_err(text)?;
            *valid_len = self.valid_len(&copy);
            if *valid_len > end {
                log = copy;
                end = self.replay(&log)?;
            }
        }
        self.end = end as u64;
        // The better copy may be all there is on the disk.
        let worse = COPIES[usize::from(valid_lens[0] > valid_lens[1])];
        self.make_safe(vfs, &log[..end], Path::new(worse)).map_err(text)
    }

    /// Brings what was recovered to the disk before anything is built on it.
    fn make_safe(&self, vfs: &SimVfs, log: &[u8], path: &Path) -> io::Result<()> {
        let is_careful = !matches!(self.flaw, Flaw::RewriteInPlace | Flaw::TrustCache);
        // Where there is nothing to keep, nothing else hides a directory that was not synced.
        let is_copied = is_careful && !log.is_empty();
        if is_copied {
            let copy = vfs.open(path, OpenMode::Create)?;
            copy.set_len(0)?;
            write_all(&*copy, log, 0)?;
            copy.sync(SyncKind::Data)?;
            vfs.sync_dir(database_dir())?;
        }
        self.file.set_len(self.end)?;
        if self.flaw != Flaw::TrustCache && !log.is_empty() {
            write_all(&*self.file, log, 0)?;
        }
        self.file.sync(SyncKind::Data)?;
        if is_copied {
            for path in COPIES.map(Path::new) {
                if vfs.open(path, OpenMode::Read).is_ok() {
                    vfs.remove(path)?;
                }
            }
            vfs.sync_dir(database_dir())?;
        }
        Ok(())
    }

    /// Starts anew from a log; the length of its valid prefix.
    fn replay(&mut self, log: &[u8]) -> Outcome<usize> {
        (self.committed, self.last_check) = (State::default(), 0);
        let (mut at, mut before) = (0, State::default());
        while let Some((state, len, check)) = self.record(&log[at..]) {
            before = std::mem::replace(&mut self.committed, state);
            (at, self.last_check) = (at + len, check);
        }
        match self.flaw {
            Flaw::RefuseTail if at < log.len() => return Err("the log is damaged".to_owned()),
            Flaw::PanicOnTornTail if at < log.len() => panic!("the log is damaged"),
            Flaw::StopEarly => self.committed = before,
            _ => {}
        }
        Ok(at)
    }

    fn valid_len(&self, log: &[u8]) -> usize {
        let (mut at, mut last) = (0, 0);
        while let Some((len, check)) = valid_record(&log[at..], last) {
            (at, last) = (at + len, check);
        }
        at
    }

    /// The state after the first record of `log`, the record's length and its check.
    fn record(&self, log: &[u8]) -> Option<(State, usize, u64)> {
        let (len, check) = match self.flaw {
            Flaw::KeepTail => head_of(log, self.last_check)?,
            _ => valid_record(log, self.last_check)?,
        };
        let mut state = self.committed.clone();
        apply(&log[HEADER_LEN..len], &mut state);
        Some((state, len, check))
    }

    fn changes(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let (before, after) = (&self.committed, &self.working);
        for tree in before.trees().filter(|tree| after.tree(*tree).is_none()) {
            encode(&mut body, b'd', tree, b"", b"");
        }
        for tree in after.trees() {
            let (now, then) = (after.tree(tree), before.tree(tree));
            if then.is_none() {
                encode(&mut body, b'c', tree, b"", b"");
            }
            for (key, value) in now.into_iter().flatten() {
                if then.and_then(|then| then.get(key)) != Some(value) {
                    encode(&mut body, b'p', tree, key, value);
                }
            }
            let gone = then
                .into_iter()
                .flatten()
                .filter(|(key, _)| now.is_some_and(|now| !now.contains_key(*key)));
            for (key, _) in gone.filter(|_| self.flaw != Flaw::ForgetRemovals) {
                encode(&mut body, b'r', tree, key, b"");
            }
        }
        body
    }
}

fn read_log(file: &dyn VfsFile) -> io::Result<Vec<u8>> {
    let mut log = vec![0; file.len()? as usize];
    read_exact(file, &mut log, 0)?;
    Ok(log)
}

/// Length and check of the record at the start of `log`, if it is all there and follows `last`.
fn head_of(log: &[u8], last: u64) -> Option<(usize, u64)> {
    let header = log.get(..HEADER_LEN)?;
    let len = number(&header[..4]) as usize;
    let is_next = number(&header[4..12]) == last && len > 0;
    let is_whole = log.len() >= HEADER_LEN + len;
    (is_next && is_whole).then(|| (HEADER_LEN + len, number(&header[12..20])))
}

/// The same, if its check holds too.
fn valid_record(log: &[u8], last: u64) -> Option<(usize, u64)> {
    head_of(log, last).filter(|(len, check)| *check == check_of(last, &log[HEADER_LEN..*len]))
}

fn encode(body: &mut Vec<u8>, what: u8, tree: u32, key: &[u8], value: &[u8]) {
    body.push(what);
    body.extend_from_slice(&tree.to_le_bytes());
    body.extend_from_slice(&(key.len() as u32).to_le_bytes());
    body.extend_from_slice(&(value.len() as u32).to_le_bytes());
    body.extend_from_slice(key);
    body.extend_from_slice(value);
}

fn apply(mut body: &[u8], state: &mut State) {
    while let Some((head, rest)) = body.split_at_checked(13) {
        let tree = number(&head[1..5]) as u32;
        let (key_len, value_len) = (number(&head[5..9]) as usize, number(&head[9..13]) as usize);
        let Some((data, rest)) = rest.split_at_checked(key_len.saturating_add(value_len)) else {
            return;
        };
        let (key, value) = data.split_at(key_len);
        match head[0] {
            b'c' => state.create_tree(tree),
            b'd' => state.drop_tree(tree),
            b'p' => state.put(tree, key.to_vec(), value.into()),
            _ => drop(state.remove(tree, key)),
        }
        body = rest;
    }
}

impl Database for OpenToy {
    fn begin(&mut self, durability: Durability) -> Outcome<()> {
        self.durability = durability;
        self.working = self.committed.clone();
        self.savepoints.clear();
        Ok(())
    }

    fn create_tree(&mut self) -> Outcome<u32> {
        let tree = self.working.trees().last().map_or(1, |last| last + 1);
        self.working.create_tree(tree);
        Ok(tree)
    }

    fn drop_tree(&mut self, tree: u32) -> Outcome<()> {
        self.working.drop_tree(tree);
        Ok(())
    }

    fn put(&mut self, tree: u32, key: &[u8], value: &[u8]) -> Outcome<()> {
        self.working.put(tree, key.to_vec(), value.into());
        Ok(())
    }

    fn remove(&mut self, tree: u32, key: &[u8]) -> Outcome<Option<bool>> {
        Ok(Some(self.working.remove(tree, key)))
    }

    fn savepoint(&mut self) -> Outcome<()> {
        self.savepoints.push(self.working.clone());
        Ok(())
    }

    fn rollback_to(&mut self) -> Outcome<()> {
        self.working = self.savepoints.last().ok_or("no savepoint")?.clone();
        Ok(())
    }

    fn release(&mut self) -> Outcome<()> {
        self.savepoints.pop().map(drop).ok_or_else(|| "no savepoint".to_owned())
    }

    fn commit(&mut self) -> Outcome<()> {
        let body = self.changes();
        let check = check_of(self.last_check, &body);
        let mut record = (body.len() as u32).to_le_bytes().to_vec();
        record.extend_from_slice(&self.last_check.to_le_bytes());
        record.extend_from_slice(&check.to_le_bytes());
        record.extend_from_slice(&body);
        write_all(&*self.file, &record, self.end).map_err(text)?;
        if self.durability == Durability::Full && self.flaw != Flaw::SkipSync {
            self.file.sync(SyncKind::Data).map_err(text)?;
        }
        self.end += record.len() as u64;
        self.last_check = check;
        self.committed = self.working.clone();
        Ok(())
    }

    fn rollback(&mut self) -> Outcome<()> {
        self.working = self.committed.clone();
        Ok(())
    }

    fn checkpoint(&mut self, _: Mode) -> Outcome<bool> {
        self.file.sync(SyncKind::Data).map(|()| true).map_err(text)
    }

    fn close(&mut self) -> Outcome<()> {
        if self.flaw == Flaw::SkipCloseSync {
            return Ok(());
        }
        self.file.sync(SyncKind::Data).map_err(text)
    }

    fn snapshot(&self) -> Outcome<Box<dyn Snapshot>> {
        Ok(Box::new(ToySnapshot(self.committed.clone())))
    }

    fn check(&self, _: When) -> Outcome<()> {
        Ok(())
    }

    fn work(&self) -> Outcome<Option<Work>> {
        Ok(None)
    }
}

struct ToySnapshot(State);

impl Snapshot for ToySnapshot {
    fn entry_count(&self, tree: u32) -> Outcome<Option<u64>> {
        Ok(self.0.tree(tree).map(|entries| entries.len() as u64))
    }

    fn get(&self, tree: u32, key: &[u8]) -> Outcome<Option<Vec<u8>>> {
        Ok(self.0.tree(tree).and_then(|entries| entries.get(key)).map(|value| value.to_vec()))
    }

    fn scan(&self, tree: u32, direction: Direction, visit: &mut Visitor<'_>) -> Outcome<()> {
        let entries = self.0.tree(tree).into_iter().flatten();
        let mut show = |(key, value): (&Vec<u8>, &Arc<[u8]>)| visit(key, value);
        match direction {
            Direction::Forward => entries.into_iter().try_for_each(&mut show),
            Direction::Backward => {
                entries.collect::<Vec<_>>().into_iter().rev().try_for_each(&mut show)
            }
        }
    }
}
