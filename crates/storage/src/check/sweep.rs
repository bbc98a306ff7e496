//! The sweep over every byte: header slots, pages, free blocks, the head of the log.
//!
//! Threads share one scan: whoever is free reads the next chunk, and checks it while the next thread
//! reads. Every page is read where it is, in the file or in the log, past the cache, as one snapshot
//! sees it; nothing else of the store takes notice.

use super::{FindingKind, Findings, VerifyOptions, VerifyReport};
use crate::engine::{FreedBlocks, LogState, Shared};
use crate::error::{Error, Result};
use crate::header::{self, HEADER_BLOCKS, Slot};
use crate::log::head::{self, Head};
use crate::log::recovery::{self, Start};
use crate::page::{BLOCK_BYTES, PageNo, TreeId};
use crate::progress::Task;
use crate::scan::{Chunk, Located, Part, Scan, View};
use crate::txn::ReadTx;
use std::collections::HashSet;
use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

pub(crate) fn verify(engine: &Arc<Shared>, options: &VerifyOptions) -> Result<VerifyReport> {
    let snapshot = ReadTx::new(Arc::clone(engine), engine.snapshot()?);
    let block_count = snapshot.state().counters.block_count;
    let on_progress = options.on_progress.as_ref();
    let task = Task::new(&options.cancel, on_progress, block_count.into());
    task.advance(HEADER_BLOCKS.into())?;
    let mut findings = Findings::new(options.max_findings);
    header_slots(engine, &mut findings)?;
    length(engine, block_count, &mut findings)?;
    log(engine, &mut findings)?;
    let view = View::new(engine, snapshot.commit_no(), block_count);
    let sweep = Sweep {
        view: &view,
        scan: Mutex::new(view.scan()),
        task: &task,
        trees: known_trees(&snapshot),
        unwiped: FreedBlocks::ranges(engine.tail().freed.iter()),
        findings: Mutex::new(findings),
        page_count: AtomicU64::new(0),
        free_block_count: AtomicU64::new(0),
    };
    sweep.run(options.threads)?;
    // The closing checkpoint waits for no snapshot: what it has overwritten is not damaged.
    engine.expect_open()?;
    task.finish();
    Ok(sweep.report())
}

/// The numbers by which the header of a damaged page may say whose it was.
fn known_trees(snapshot: &ReadTx) -> HashSet<TreeId> {
    let descriptors = snapshot.state().descriptors(snapshot).unwrap_or_default();
    let trees = descriptors.iter().map(|tree| tree.id);
    trees.chain([crate::ids::TREE_ZERO]).collect()
}

fn header_slots(engine: &Shared, findings: &mut Findings) -> Result<()> {
    let slots = engine.pager.with_files(|files| header::read_slots(&*files.main))?;
    for (index, slot) in slots.iter().enumerate() {
        if !matches!(slot, Slot::Valid(_)) {
            let block = header::slot_block(index);
            findings.add(FindingKind::Header, block, None, "a header slot is damaged");
        }
    }
    Ok(())
}

/// A closed file has the length that its header says.
fn length(engine: &Shared, block_count: u32, findings: &mut Findings) -> Result<()> {
    if !matches!(engine.tail().log, LogState::Clean) {
        return Ok(());
    }
    let len = engine.pager.with_files(|files| {
        files.main.len().map_err(Error::io("read the length of the database file"))
    })?;
    if len != u64::from(block_count) * BLOCK_BYTES as u64 {
        let reason = "the file has another length";
        findings.add(FindingKind::Header, PageNo(block_count), None, reason);
    }
    Ok(())
}

/// The block that says whose log it is, and the row of records that no checkpoint has passed. No
/// checkpoint makes room for new records meanwhile; commits go on behind the end of the row.
fn log(engine: &Shared, findings: &mut Findings) -> Result<()> {
    let wait = Some(engine.options.busy_timeout);
    let reason = engine.checkpointing.with(wait, || log_damage(engine))?;
    if let Some(reason) = reason {
        findings.add(FindingKind::Log, PageNo(0), None, reason);
    }
    Ok(())
}

fn log_damage(engine: &Shared) -> Result<Option<&'static str>> {
    let header = engine.header().in_force().clone();
    let end = match &engine.tail().log {
        LogState::Clean => return Ok(None),
        LogState::Recovered(recovered) => recovered.end,
        LogState::Open(log) => log.end(),
    };
    engine.pager.with_files(|files| {
        let Some(log) = &files.log else { return Ok(None) };
        if !matches!(head::read(&**log)?, Head::Of { database_id, .. } if database_id == header.database_id) {
            return Ok(Some("the head of the log is damaged"));
        }
        let row = recovery::valid_row(&**log, &*engine.pager.codec, Start::of(&header))?;
        let is_whole = row.end.lsn >= end.lsn;
        Ok((!is_whole).then_some("a record of the log is damaged"))
    })
}

/// A sweep under way, shared by its threads.
struct Sweep<'s> {
    view: &'s View<'s>,
    scan: Mutex<Scan<'s>>,
    task: &'s Task<'s>,
    trees: HashSet<TreeId>,
    /// Freed since the last checkpoint: not wiped yet.
    unwiped: Vec<Range<u32>>,
    findings: Mutex<Findings>,
    page_count: AtomicU64,
    free_block_count: AtomicU64,
}

impl<'s> Sweep<'s> {
    fn run(&self, threads: usize) -> Result<()> {
        let most = thread::available_parallelism().map_or(1, NonZero::get);
        // No chunk is left for more threads than this.
        let chunks = (self.view.block_count / 256).saturating_add(1) as usize;
        let threads = if threads == 0 { most } else { threads }.min(chunks).min(64);
        thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(|| self.work())).collect();
            let own = self.work();
            others.into_iter().fold(own, |outcome, other| match other.join() {
                Ok(theirs) => outcome.and(theirs),
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })
    }

    /// Takes chunks until there are none. An error ends the work of all.
    fn work(&self) -> Result<()> {
        let outcome = self.take_chunks();
        if outcome.is_err() {
            self.scan().stop();
        }
        outcome
    }

    fn take_chunks(&self) -> Result<()> {
        loop {
            let chunk = self.scan().next_chunk()?;
            let Some(chunk) = chunk else { return Ok(()) };
            for part in &chunk.parts {
                self.part(&chunk, *part)?;
            }
            self.task.advance(chunk.blocks.into())?;
        }
    }

    fn scan(&self) -> MutexGuard<'_, Scan<'s>> {
        self.scan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn findings(&self) -> MutexGuard<'_, Findings> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn part(&self, chunk: &Chunk, part: Part) -> Result<()> {
        match part {
            Part::Page(located) => self.page(chunk, located),
            Part::Free { first, blocks } => {
                self.free(chunk, first, blocks);
                Ok(())
            }
            Part::Damaged { first, reason, .. } => {
                self.findings().add(FindingKind::Page, first, None, reason);
                Ok(())
            }
        }
    }

    fn page(&self, chunk: &Chunk, located: Located) -> Result<()> {
        self.page_count.fetch_add(1, Ordering::Relaxed);
        let page = self.view.page(chunk, located);
        if page.is_ok() {
            return Ok(());
        }
        let tree = chunk.tree_of(located.page_no).filter(|tree| self.trees.contains(tree));
        self.findings().note(FindingKind::Page, tree, page).map(drop)
    }

    /// Free blocks hold zeros, so that every byte of the file is accounted for.
    fn free(&self, chunk: &Chunk, first: PageNo, blocks: u32) {
        self.free_block_count.fetch_add(blocks.into(), Ordering::Relaxed);
        for block in (first.0..first.0.saturating_add(blocks)).map(PageNo) {
            let is_zero = chunk.bytes_of(block, 1).iter().all(|&byte| byte == 0);
            if !is_zero && !self.is_unwiped(block) {
                self.findings().add(FindingKind::Free, block, None, "is free and holds bytes");
            }
        }
    }

    fn is_unwiped(&self, block: PageNo) -> bool {
        let next = self.unwiped.partition_point(|range| range.end <= block.0);
        self.unwiped.get(next).is_some_and(|range| range.contains(&block.0))
    }

    fn report(self) -> VerifyReport {
        let mut findings = self.findings.into_inner().unwrap_or_else(PoisonError::into_inner);
        findings.kept.sort_by_key(|finding| finding.page);
        VerifyReport {
            page_count: self.page_count.into_inner(),
            free_block_count: self.free_block_count.into_inner(),
            findings: findings.kept,
            finding_count: findings.count,
        }
    }
}
