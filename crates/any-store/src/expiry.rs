//! Documents that remove themselves: what an index with a time to live lets expire.
//!
//! A document expires when the date at the index's field, the least one of an array, is as long ago as
//! the index says; without a date it never does. It stays visible until it is removed: by
//! [`Collection::expire_now`](crate::Collection::expire_now), or by a thread that looks from time to
//! time. The thread is started by whoever meets an index with a time to live, so a database without
//! one has no such thread; a handle that only reads never has one.
//!
//! Documents go in batches, each a transaction of its own, so that other writers wait for one batch
//! only. Which ones have expired is asked again in each transaction, through the index.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use any_store_query::{Filter, Sort};
use any_store_storage::vfs::{Bell, Vfs};
use anyenc::{DateTime, Document, Value, doc};

use crate::catalog::{self, CollectionMeta, IndexMeta, Target};
use crate::database::{Database, WeakDatabase};
use crate::error::{Error, ErrorKind, Result};
use crate::selection::{Preference, Selection};
use crate::transaction::WriteTx;

/// Documents removed in one transaction.
const BATCH_DOCUMENTS: u64 = 1000;

/// The thread that removes what has expired, if there is one.
#[derive(Debug)]
pub(crate) struct Expiry {
    /// How long the thread waits between two looks; `None` for never.
    interval: Option<Duration>,
    bell: Arc<Bell>,
    is_running: AtomicBool,
    removed: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl Expiry {
    pub(crate) fn new(interval: Option<Duration>) -> Self {
        Self {
            interval,
            bell: Arc::default(),
            is_running: AtomicBool::new(false),
            removed: AtomicU64::new(0),
            last_error: Mutex::new(None),
        }
    }

    /// Documents that the thread has removed since the database was opened.
    pub(crate) fn removed(&self) -> u64 {
        self.removed.load(Ordering::Relaxed)
    }

    /// Why the thread's last look failed, if it did.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts the thread unless it runs, or nobody wants it.
    pub(crate) fn start(&self, database: &Database) {
        let Some(interval) = self.interval else { return };
        if self.is_running.swap(true, Ordering::AcqRel) {
            return;
        }
        let (bell, vfs) = (Arc::clone(&self.bell), Arc::clone(&database.resources().vfs));
        let database = database.downgrade();
        let thread = std::thread::Builder::new().name("any-store expiry".to_owned());
        if thread.spawn(move || run(&bell, &*vfs, &database, interval)).is_err() {
            self.is_running.store(false, Ordering::Release);
        }
    }

    /// Remembers whether the last attempt failed, and why.
    pub(crate) fn note(&self, outcome: Result<()>) {
        let error = outcome.err().map(|error| error.to_string());
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }
}

impl Drop for Expiry {
    fn drop(&mut self) {
        self.bell.ring();
    }
}

fn run(bell: &Arc<Bell>, vfs: &dyn Vfs, database: &WeakDatabase, interval: Duration) {
    loop {
        let seen = bell.ring_count();
        // A bell that has rung means that the database is gone.
        vfs.wait(bell, seen, Some(interval));
        let Some(database) = database.upgrade() else { return };
        let outcome = look(&database);
        if outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::Closed) {
            return;
        }
        database.expiry().note(outcome);
    }
}

/// Removes what has expired, in all collections.
fn look(database: &Database) -> Result<()> {
    let source = database.begin_read()?.source();
    let collections = catalog::list(&source)?;
    drop(source);
    for collection in collections.iter().filter(|collection| has_expiry(collection)) {
        let target = Target::bound_to(collection);
        loop {
            let removed = match batch(database, &target) {
                Ok(removed) => removed,
                // It was dropped meanwhile.
                Err(error) if error.is_not_found() => break,
                Err(error) => return Err(error),
            };
            database.expiry().removed.fetch_add(removed, Ordering::Relaxed);
            if database.is_last_handle() {
                return Ok(());
            }
            if removed < BATCH_DOCUMENTS {
                break;
            }
        }
    }
    Ok(())
}

/// Removes what has expired in one collection.
pub(crate) fn expire_now(database: &Database, target: &Target) -> Result<u64> {
    let mut sum = 0u64;
    loop {
        let removed = batch(database, target)?;
        sum = sum.saturating_add(removed);
        if removed < BATCH_DOCUMENTS {
            return Ok(sum);
        }
    }
}

/// Removes up to a batch of documents in a transaction.
fn batch(database: &Database, target: &Target) -> Result<u64> {
    database.write(|tx| expire_some(tx, target, Some(BATCH_DOCUMENTS)))
}

/// Removes documents that have expired: up to `most`, or all.
pub(crate) fn expire_some(tx: &mut WriteTx, target: &Target, most: Option<u64>) -> Result<u64> {
    let collection = tx.resolve(target)?;
    let now = tx.database().resources().vfs.wall_clock_ms();
    let mut removed = 0u64;
    for index in &collection.indexes {
        let left = most.map(|most| most.saturating_sub(removed));
        let Some(selection) = expired(index, now, left)? else { continue };
        if left == Some(0) {
            break;
        }
        let deleted = tx.run(&collection, |statement| statement.delete_selected(&selection))?;
        removed = removed.saturating_add(deleted.deleted);
    }
    Ok(removed)
}

fn has_expiry(collection: &CollectionMeta) -> bool {
    collection.indexes.iter().any(|index| index.spec.expire_after.is_some())
}

/// The documents that an index lets expire by now; `None` if it has no time to live.
fn expired(index: &IndexMeta, now_ms: i64, most: Option<u64>) -> Result<Option<Selection>> {
    let (Some(after), Some(path)) = (index.spec.expire_after, index.paths.first()) else {
        return Ok(None);
    };
    let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
    let last = DateTime::from_ms(now_ms.saturating_sub(after));
    // Of several dates the least one decides, and it is the first to be as old as this.
    let mut filter = Document::new();
    filter.insert(path.as_str(), doc! { "$lte": last });
    if let Some(partial) = &index.partial {
        let both = vec![Value::Object(partial.to_document()), Value::Object(filter)];
        filter = doc! { "$and": both };
    }
    let filter = Filter::from_document(&filter)
        .map_err(|_| Error::internal("the condition of an expiry cannot be read"))?;
    let preference = Preference { hint: Some(index.name.clone()), boosts: Vec::new() };
    let limit = most.unwrap_or(0);
    Ok(Some(Selection { filter, sort: Sort::none(), skip: 0, limit, preference }))
}
