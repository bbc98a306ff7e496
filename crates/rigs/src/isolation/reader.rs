//! A session of a reader: snapshot after snapshot, each read in many ways.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use any_store::{Collection, Document, ErrorKind, RawValue, ReadTx, Value, doc};
use any_store_sim::Rng;

use super::Stage;
use crate::bank::{BANK, LIST_LEN, LISTS, MONEY, Row, Rows, Seen, TAGS};
use crate::wrong::{Checked, Wrong, ensure};

/// Reads of one snapshot besides the two looks at everything.
const READS_EACH: u64 = 60;
/// Readers that keep a snapshot while they read others.
const HOLDERS: usize = 2;
/// The choices of readers are drawn beside those of writers.
const READER: u64 = 0x0EAD;

/// A snapshot and all that is in it.
struct Held {
    tx: ReadTx,
    seen: Seen,
}

/// A handle of a collection that was there once, by the number that tells it from all others.
struct Handle {
    token: i64,
    collection: Collection,
}

struct Session<'s> {
    stage: &'s Stage,
    rng: Rng,
    /// The newest commit that was seen.
    last: u64,
    /// A snapshot that stays while others come and go.
    held: Option<Held>,
    handle: Option<Handle>,
}

/// Reads until all readers together have read enough.
pub(super) fn read(stage: &Stage, number: usize) -> Checked {
    let rng = Rng::for_parts(&[stage.seed, READER, number as u64]);
    let mut session = Session { stage, rng, last: 0, held: None, handle: None };
    while stage.wants_reads() {
        session.read_new_snapshot()?;
        stage.wait_for_commits();
        // Few readers keep snapshots, and not always: checkpoints are to meet both times.
        if number < HOLDERS {
            session.read_held_snapshot()?;
        } else {
            session.held = None;
        }
    }
    Ok(())
}

impl Session<'_> {
    fn read_new_snapshot(&mut self) -> Checked {
        let floor = self.stage.acked();
        let tx = self.stage.db.begin_read()?;
        let seen = self.look(&tx)?;
        let commit = self.stage.commit_of(&seen)?;
        ensure(commit >= floor, || {
            format!("a snapshot of {commit} was begun after {floor} was acknowledged")
        })?;
        let last = self.last;
        ensure(commit >= last, || format!("a session that saw {last} sees {commit}"))?;
        self.last = commit;
        expect_whole(&seen)?;
        let held = Held { tx, seen };
        for _ in 0..READS_EACH {
            self.read_once(&held)?;
        }
        self.read_by_handle(&held)?;
        self.expect_unchanged(&held)?;
        if self.held.is_none() && self.rng.percent(10) {
            self.held = Some(held);
        } else if self.rng.percent(20) {
            self.held = None;
        }
        self.stage.count("snapshots");
        Ok(())
    }

    /// The one that stayed still shows what it showed, and the statistics know of it.
    fn read_held_snapshot(&mut self) -> Checked {
        let Some(held) = self.held.take() else { return Ok(()) };
        for _ in 0..READS_EACH / 4 {
            self.read_once(&held)?;
        }
        self.expect_unchanged(&held)?;
        let (own, oldest) = (held.tx.commit_no(), self.stage.db.stats()?.storage.oldest_snapshot.0);
        ensure(oldest <= own, || format!("{own} is read, and {oldest} is called the oldest"))?;
        self.held = Some(held);
        self.stage.count("held_snapshots");
        Ok(())
    }

    fn look(&self, tx: &ReadTx) -> Checked<Seen> {
        let seen = Seen::look(&self.stage.db, tx)?;
        self.count_reads(seen.collections.len() as u64);
        Ok(seen)
    }

    fn count_reads(&self, reads: u64) {
        self.stage.read_count.fetch_add(reads, Ordering::SeqCst);
    }

    fn expect_unchanged(&self, held: &Held) -> Checked {
        let again = self.look(&held.tx)?;
        ensure(again.digest == held.seen.digest, || {
            format!("a snapshot has changed from {:?} to {again:?}", held.seen)
        })
    }

    /// Reads a collection in one of many ways and compares with what the scan has shown.
    fn read_once(&mut self, held: &Held) -> Checked {
        let rng = &mut self.rng;
        let names: Vec<&String> = held.seen.collections.keys().collect();
        let name = names[rng.index(names.len())];
        let rows = &held.seen.collections[name];
        let view = held.tx.collection(&self.stage.db.collection::<Document>(name));
        match rng.below(16) {
            0 => expect_same(name, "count", view.count()?, rows.len() as u64)?,
            1 => {
                let least = rng.below(1500) as i64;
                let count = view.find(doc! { "n": { "$gte": least } }).count()?;
                let due = rows.values().filter(|row| row.n >= least).count() as u64;
                expect_same(name, "count of n", count, due)?;
            }
            2 => {
                let tag = rng.below(TAGS) as i64;
                let found = ids(view.find(doc! { "tags": tag }).run()?)?;
                expect_same(name, "tags", found, matching(rows, |row| row.tags.contains(&tag)))?;
            }
            3 => {
                let limit = rng.between(1, 8);
                let sorted = view.find(()).sort(["-n", "id"]).limit(limit);
                expect_same(name, "sort", ids_in_order(sorted.run()?)?, top(rows, limit))?;
            }
            4 => {
                let tags = view.distinct("tags", ())?;
                let mut due: Vec<i64> = rows.values().flat_map(|row| row.tags.clone()).collect();
                due.sort_unstable();
                due.dedup();
                let due: Vec<Value> = due.into_iter().map(Value::from).collect();
                expect_same(name, "distinct", tags, due)?;
            }
            5 => {
                let tag = rng.below(TAGS) as i64;
                let hinted = view.find(doc! { "tags": tag }).hint("by-tags").run();
                let key = (name.clone(), "by-tags".to_owned());
                match (hinted, held.seen.indexes.contains_key(&key)) {
                    (Ok(cursor), true) => {
                        let due = matching(rows, |row| row.tags.contains(&tag));
                        expect_same(name, "tags by index", ids(cursor)?, due)?;
                    }
                    (Err(error), false) if error.kind() == ErrorKind::IndexNotFound => {}
                    (got, there) => {
                        return Err(Wrong(format!("a hint gives {got:?}, index there: {there}")));
                    }
                }
            }
            6 => {
                let absent = view.get_raw(-1 - rng.below(100) as i64)?;
                ensure(absent.is_none(), || format!("{name:?} has a document that nobody wrote"))?;
            }
            _ => {
                let id = rng.below(30) as i64;
                let found = view.get_raw(id)?.map(|raw| Row::of(raw.as_raw())).transpose()?;
                expect_same(name, "get", found.as_ref(), rows.get(&id))?;
            }
        }
        self.count_reads(1);
        Ok(())
    }

    /// A bound handle means its collection under whatever name, and nothing once that is gone.
    fn read_by_handle(&mut self, held: &Held) -> Checked {
        if let Some(handle) = &self.handle {
            let mut collections = held.seen.collections.iter();
            let due = collections.find(|(_, rows)| token(rows) == Some(handle.token));
            match (held.tx.collection(&handle.collection).count(), due) {
                (Ok(count), Some((name, rows))) => {
                    expect_same(name, "count by handle", count, rows.len() as u64)?;
                }
                (Err(error), None) if error.kind() == ErrorKind::CollectionClosed => {
                    self.stage.count("closed_handles");
                    self.handle = None;
                }
                (got, due) => {
                    return Err(Wrong(format!("a handle gives {got:?} where there is {due:?}")));
                }
            }
            self.count_reads(1);
        }
        if self.handle.is_none() || self.rng.percent(5) {
            self.handle = self.take_handle()?;
        }
        Ok(())
    }

    /// Binds a handle to some collection that is there now and may be gone soon.
    fn take_handle(&mut self) -> Checked<Option<Handle>> {
        let tx = self.stage.db.begin_read()?;
        let seen = self.look(&tx)?;
        let temporary: Vec<_> =
            seen.collections.iter().filter_map(|(name, rows)| Some((name, token(rows)?))).collect();
        if temporary.is_empty() {
            return Ok(None);
        }
        let (name, wanted) = temporary[self.rng.index(temporary.len())];
        let collection = match self.stage.db.open_collection(name) {
            Ok(collection) => collection,
            // It went away since.
            Err(error) if error.kind() == ErrorKind::CollectionNotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // The name may mean another one by now.
        let is_meant = match tx.collection(&collection).get_raw(0) {
            Ok(Some(first)) => token_of(&Row::of(first.as_raw())?) == Some(wanted),
            Ok(None) => false,
            Err(error) if error.kind() == ErrorKind::CollectionClosed => false,
            Err(error) => return Err(error.into()),
        };
        Ok(is_meant.then_some(Handle { token: wanted, collection }))
    }
}

/// The number that tells a collection from all that ever come and go.
fn token(rows: &Rows) -> Option<i64> {
    rows.get(&0).and_then(token_of)
}

/// The same, of the first document: no commit removes it, and none changes the lower bits.
fn token_of(first: &Row) -> Option<i64> {
    let is_temporary = first.n >= 1 << 20 && first.list.is_empty();
    is_temporary.then_some(first.n & 0xF_FFFF_FFFF)
}

/// What holds in every state, whichever it is.
fn expect_whole(seen: &Seen) -> Checked {
    let (Some(bank), Some(lists)) = (seen.collections.get(BANK), seen.collections.get(LISTS))
    else {
        return Err(Wrong(format!("the bank is missing: {seen:?}")));
    };
    let money: i64 = bank.values().map(|row| row.n).sum();
    ensure(money == MONEY, || format!("{money} is in the bank"))?;
    for list in lists.values().map(|row| &row.list) {
        let is_ascending = list.windows(2).all(|pair| pair[0] < pair[1]);
        ensure(is_ascending && list.len() <= LIST_LEN, || format!("a list is {list:?}"))?;
    }
    expect_entries(seen)?;
    let newest = lists.values().filter_map(|row| row.list.last()).max().copied();
    ensure(newest == seen.commit().map(|commit| commit as i64), || format!("last is {newest:?}"))
}

/// A document has an entry for each different element of an array, and one for no element.
fn expect_entries(seen: &Seen) -> Checked {
    for ((collection, index), entries) in &seen.indexes {
        let rows = seen.collections.get(collection).map(|rows| rows.values()).into_iter().flatten();
        let of_row = |row: &Row| match index.as_str() {
            "by-n" => 1,
            "by-list" => row.list.len().max(1),
            _ => row.tags.iter().collect::<BTreeSet<_>>().len().max(1),
        };
        let due = rows.map(of_row).sum::<usize>() as u64;
        expect_same(collection, index, *entries, due)?;
    }
    Ok(())
}

fn expect_same<T: PartialEq + std::fmt::Debug>(name: &str, what: &str, got: T, due: T) -> Checked {
    ensure(got == due, || format!("{what} in {name:?} gives {got:?} where a scan gives {due:?}"))
}

fn matching(rows: &Rows, is_due: impl Fn(&Row) -> bool) -> Vec<i64> {
    rows.values().filter(|row| is_due(row)).map(|row| row.id).collect()
}

fn top(rows: &Rows, limit: u64) -> Vec<i64> {
    let mut rows: Vec<&Row> = rows.values().collect();
    rows.sort_by_key(|row| (std::cmp::Reverse(row.n), row.id));
    rows.iter().take(limit as usize).map(|row| row.id).collect()
}

/// The ids of a query whose order is its own affair.
fn ids(cursor: any_store::Cursor<'_>) -> Checked<Vec<i64>> {
    let mut ids = ids_in_order(cursor)?;
    ids.sort_unstable();
    Ok(ids)
}

fn ids_in_order(mut cursor: any_store::Cursor<'_>) -> Checked<Vec<i64>> {
    let mut ids = Vec::new();
    while let Some(document) = cursor.next_raw()? {
        match document.get("id")? {
            Some(RawValue::Int64(id)) => ids.push(id),
            _ => return Err(Wrong("a document without a number for an id".to_owned())),
        }
    }
    Ok(ids)
}
