//! Long operations end soon after somebody says so, and leave nothing behind.

use std::path::Path;
use std::time::{Duration, Instant};

use any_store::{
    BackupOptions, Cancel, CheckOptions, CollectionOptions, Database, ErrorKind, IndexBuildOptions,
    Options, Progress, Result, VerifyOptions, doc,
};
use std::sync::{Arc, Mutex};

use crate::report::Report;
use crate::wrong::{Checked, ensure};

/// Enough for some reports of progress.
const DOCUMENTS: i64 = 60_000;
/// A step takes 10 ms at most; the machine may be busy with others.
const PATIENCE: Duration = Duration::from_secs(2);

/// Ends an operation at its first report of progress.
#[derive(Clone)]
struct Ender {
    cancel: Cancel,
    ended: Arc<Mutex<Option<Instant>>>,
}

impl Ender {
    fn new() -> Self {
        Self { cancel: Cancel::new(), ended: Arc::default() }
    }

    fn report(&self) -> impl Fn(Progress) + Send + Sync + 'static {
        let ender = self.clone();
        move |_| {
            ender.cancel.cancel();
            let mut ended = ender.ended.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            ended.get_or_insert_with(Instant::now);
        }
    }
}

pub(super) fn run(report: &mut Report) -> Checked {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("a.any");
    let db = Options::new().cache_bytes(1 << 20).open(&path)?;
    let items = db.create_collection("items", CollectionOptions::new())?;
    let text = "words that compress and words that do not ".repeat(6);
    let documents =
        (0..DOCUMENTS).map(|id| doc! { "id": id, "n": (id * 7), "text": (text.as_str()) });
    items.insert_many(documents)?;
    db.checkpoint(any_store::CheckpointMode::Restart)?;
    let target = dir.path().join("copy.any");

    expect_end("verify", report, |ender| {
        let options = VerifyOptions::new().cancel(ender.cancel.clone());
        db.verify_with(options.on_progress(ender.report())).map(|_| ())
    })?;
    expect_end("integrity_check", report, |ender| {
        let options = CheckOptions::new().cancel(ender.cancel.clone());
        db.integrity_check_with(options.on_progress(ender.report())).map(|_| ())
    })?;
    expect_end("backup", report, |ender| db.backup_to(&target, copying(ender)).map(|_| ()))?;
    expect_absent(&target)?;
    expect_end("compaction", report, |ender| db.compact_to(&target, copying(ender)).map(|_| ()))?;
    expect_absent(&target)?;
    expect_end("index build", report, |ender| {
        let (end, cancel) = (ender.report(), ender.cancel.clone());
        let none = Progress { done_blocks: 0, total_blocks: 0 };
        let options = IndexBuildOptions::new().cancel(cancel).on_progress(move |_| end(none));
        items.create_indexes_with(["n", "text"], options).map(|_| ())
    })?;
    let built = items.indexes()?;
    ensure(built.is_empty(), || format!("a cancelled build has left {built:?}"))?;
    db.close()?;
    expect_end("compaction in place", report, |ender| {
        Database::compact(&path, copying(ender)).map(|_| ())
    })?;
    let db = Database::open(&path)?;
    let count = db.open_collection("items")?.count()?;
    ensure(count == DOCUMENTS as u64, || format!("{count} documents after a cancelled compaction"))
}

fn copying(ender: &Ender) -> BackupOptions {
    BackupOptions::new().cancel(ender.cancel.clone()).on_progress(ender.report())
}

fn expect_end(
    what: &'static str,
    report: &mut Report,
    work: impl FnOnce(&Ender) -> Result<()>,
) -> Checked {
    let ender = Ender::new();
    let result = work(&ender);
    let kind = result.as_ref().map_err(any_store::Error::kind);
    ensure(kind == Err(ErrorKind::Cancelled), || format!("{what} was cancelled: {result:?}"))?;
    let ended = *ender.ended.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let latency = ended.map(|at| at.elapsed()).unwrap_or_default();
    ensure(latency < PATIENCE, || format!("{what} went on for {latency:?}"))?;
    report.add("cancels", 1);
    Ok(())
}

fn expect_absent(target: &Path) -> Checked {
    ensure(!target.exists(), || "a cancelled copy has its name".to_owned())
}
