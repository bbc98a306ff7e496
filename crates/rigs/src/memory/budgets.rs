//! Long operations take the memory that the options grant them, and little more.

use std::path::Path;

use any_store::{
    AutoCheckpoint, BackupOptions, CheckpointMode, Collection, CollectionOptions, Database,
    Document, Options, doc,
};
use any_store_alloctest::measure;

use crate::report::Report;
use crate::wrong::{Checked, Wrong, ensure};

const CACHE_BYTES: u64 = 256 << 10;
const SORT_BYTES: u64 = 8 << 20;
/// What any operation may take besides.
const SLACK_BYTES: u64 = 32 << 20;
/// Bytes of a document, about.
const DOCUMENT_BYTES: u64 = 250;
/// Documents of one commit of an import.
const BATCH: u64 = 1000;

struct Bench<'r> {
    db: Database,
    items: Collection,
    documents: u64,
    report: &'r mut Report,
}

pub(super) fn run(documents: u64, report: &mut Report) -> Checked {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("big.any");
    let db = options().open(&path)?;
    let items = db.create_collection("items", CollectionOptions::new())?;
    let mut bench = Bench { db, items, documents, report };
    bench.write()?;
    bench.read()?;
    bench.index()?;
    bench.maintain(dir.path())?;
    bench.recover(&path, &dir.path().join("copy.any"))?;
    bench.change()?;
    bench.report.at_least("budgets", 19);
    Ok(())
}

fn options() -> Options {
    Options::new()
        .cache_bytes(CACHE_BYTES)
        .sort_bytes(SORT_BYTES)
        .auto_checkpoint(AutoCheckpoint::Background { after_bytes: 32 << 20 })
}

fn document(id: u64) -> Document {
    // Scattered, so that a sort has something to do.
    let n = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let mut text = format!("{n:016x}").repeat(12);
    text.truncate(190);
    doc! { "id": (id as i64), "n": (n as i64), "text": text }
}

impl Bench<'_> {
    /// Runs an operation and holds its peak against the budgets.
    fn measured<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&Self) -> Checked<T>,
    ) -> Checked<T> {
        let (result, usage) = measure(|| work(self));
        let result = result.map_err(|wrong| Wrong(format!("{name}: {wrong}")))?;
        let (peak, allowed) = (usage.peak_bytes as u64, CACHE_BYTES + SORT_BYTES + SLACK_BYTES);
        self.report.add(name, peak);
        self.report.add("budgets", 1);
        ensure(peak <= allowed, || format!("{name}: {peak} where {allowed} are allowed"))?;
        Ok(result)
    }

    fn write(&mut self) -> Checked {
        let documents = self.documents;
        ensure(documents * DOCUMENT_BYTES >= 100 * CACHE_BYTES, || {
            "too few documents for a transaction of a hundred times the cache".to_owned()
        })?;
        self.measured("peak_of_transaction", |bench| {
            let mut tx = bench.db.begin_write()?;
            let mut view = tx.collection(&bench.items);
            for id in 0..documents {
                view.insert_one(&document(id))?;
            }
            Ok(tx.commit()?)
        })?;
        let imported = self.db.create_collection("imported", CollectionOptions::new())?;
        self.measured("peak_of_import", |_| {
            for batch in 0..documents / 5 / BATCH {
                imported.insert_many((batch * BATCH..(batch + 1) * BATCH).map(document))?;
            }
            Ok(())
        })
    }

    fn read(&mut self) -> Checked {
        let documents = self.documents;
        let read_all = |find: any_store::Find| -> Checked {
            let (mut cursor, mut rows) = (find.run()?, 0);
            while cursor.next_raw()?.is_some() {
                rows += 1;
            }
            ensure(rows == documents, || format!("{rows} of {documents} rows"))
        };
        self.measured("peak_of_scan", |bench| read_all(bench.items.find(())))?;
        self.measured("peak_of_sort", |bench| read_all(bench.items.find(()).sort("n")))?;
        self.measured("peak_of_sort_by_text", |bench| {
            read_all(bench.items.find(()).sort(["-text", "n"]))
        })?;
        self.measured("peak_of_sorted_ids", |bench| {
            let count = bench.items.find(()).sort("-n").skip(1).count()?;
            ensure(count == documents - 1, || format!("{count} of {documents} counted"))
        })?;
        self.measured("peak_of_top", |bench| {
            let limit = documents / 2;
            let top = bench.items.find(()).sort("n").limit(limit).run()?.count() as u64;
            ensure(top == limit, || format!("{top} of {limit} rows"))
        })
    }

    /// The text index alone is several times the budget of a sort.
    fn index(&mut self) -> Checked {
        let documents = self.documents;
        self.measured("peak_of_index_builds", |bench| {
            bench.items.create_indexes(["text", "-n"])?;
            let built = bench.items.indexes()?;
            let is_whole = built.len() == 2 && built.iter().all(|index| index.entries == documents);
            ensure(is_whole, || format!("{built:?}"))
        })
    }

    fn maintain(&mut self, dir: &Path) -> Checked {
        self.measured("peak_of_checkpoint", |bench| {
            let report = bench.db.checkpoint(CheckpointMode::Restart)?;
            ensure(report.is_complete, || format!("{report:?}"))
        })?;
        self.measured("peak_of_verify", |bench| {
            let found = bench.db.verify()?.finding_count;
            ensure(found == 0, || format!("{found} findings"))
        })?;
        self.measured("peak_of_integrity_check", |bench| {
            let checked = bench.db.integrity_check()?;
            ensure(checked.is_ok(), || format!("{checked:?}"))
        })?;
        self.measured("peak_of_backup", |bench| {
            bench.db.backup_to(dir.join("backup.any"), BackupOptions::new().verify(true))?;
            Ok(())
        })?;
        self.measured("peak_of_compaction", |bench| {
            bench.db.compact_to(dir.join("compact.any"), BackupOptions::new())?;
            Ok(())
        })?;
        self.measured("peak_of_full_statistics", |bench| {
            let counted = bench.items.stats_full()?.documents;
            ensure(counted == bench.documents, || format!("{counted} documents"))
        })
    }

    /// Opens a copy of files that nobody has closed, with a long log.
    fn recover(&mut self, path: &Path, copy: &Path) -> Checked {
        let log = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push("-wal");
            name
        };
        let reader = self.db.begin_read()?;
        self.items.update_many((), doc! { "$set": { "recovered": true } })?;
        std::fs::copy(path, copy)?;
        std::fs::copy(log(path), log(copy))?;
        drop(reader);
        let documents = self.documents;
        self.measured("peak_of_recovery", |_| {
            let db = options().open(copy)?;
            let found = db.collection::<Document>("items").count()?;
            ensure(found == documents, || format!("{found} of {documents} after a recovery"))?;
            Ok(db.close()?)
        })
    }

    fn change(&mut self) -> Checked {
        let documents = self.documents;
        self.measured("peak_of_update", |bench| {
            let change = doc! { "$inc": { "n": 1 }, "$set": { "more": "x" } };
            let updated = bench.items.update_many((), change)?;
            ensure(updated.modified == documents, || format!("{updated:?}"))
        })?;
        self.measured("peak_of_sorted_update", |bench| {
            let found = bench.items.find(()).sort("-text");
            let updated = found.update(doc! { "$unset": { "more": true } })?;
            ensure(updated.modified == documents, || format!("{updated:?}"))
        })?;
        self.measured("peak_of_delete", |bench| {
            let deleted = bench.items.delete_many(doc! { "n": { "$gte": 0 } })?.deleted;
            ensure(deleted == documents, || format!("{deleted} of {documents} deleted"))
        })?;
        self.measured("peak_of_close", |bench| Ok(bench.db.close()?))
    }
}
