//! Three checks: a quick look, the structure of every tree, and every byte of the file.

use crate::bitmap::{self, Bits, SPACE};
use crate::checkpoint::bitmap_pages;
use crate::engine::{FreedBlocks, LogState, Shared};
use crate::error::{Error, Result};
use crate::header::{self, HEADER_BLOCKS, Slot};
use crate::page::{BLOCK_BYTES, CommitNo, PageNo, ReadPages, TreeId};
use crate::tree::{self, TreeCursor, TreeDescriptor};
use crate::txn::ReadTx;
use crate::vfs::read_full;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Findings beyond this are counted and not kept.
const MAX_FINDINGS: usize = 1000;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The page at fault.
    pub page: PageNo,
    /// The tree it was reached through, if any.
    pub tree: Option<TreeId>,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// What a walk over all trees found.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// Trees walked.
    pub tree_count: u64,
    /// Pages reached.
    pub page_count: u64,
    /// Entries counted.
    pub entry_count: u64,
    /// What is wrong; the first thousand.
    pub findings: Vec<Finding>,
    /// All that is wrong.
    pub finding_count: u64,
}

/// What reading every byte found.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// Pages read and checked.
    pub page_count: u64,
    /// Free blocks looked at.
    pub free_block_count: u64,
    /// What is wrong; the first thousand.
    pub findings: Vec<Finding>,
    /// All that is wrong.
    pub finding_count: u64,
}

/// Collects findings up to a bound.
#[derive(Default)]
struct Findings {
    kept: Vec<Finding>,
    count: u64,
}

impl Findings {
    fn add(&mut self, page: PageNo, tree: Option<TreeId>, reason: &'static str) {
        self.count += 1;
        if self.kept.len() < MAX_FINDINGS {
            self.kept.push(Finding { page, tree, reason });
        }
    }

    /// Damage becomes a finding, everything else ends the check.
    fn note(&mut self, tree: Option<TreeId>, outcome: Result<()>) -> Result<()> {
        match outcome {
            Err(Error::Corrupt { page, reason }) => {
                self.add(page, tree, reason);
                Ok(())
            }
            other => other,
        }
    }
}

fn snapshot(engine: &Arc<Shared>) -> Result<ReadTx> {
    Ok(ReadTx::new(Arc::clone(engine), engine.snapshot()?))
}

pub(crate) fn quick_check(engine: &Arc<Shared>) -> Result<()> {
    let snapshot = snapshot(engine)?;
    let slots = engine.pager.with_files(|files| header::read_slots(&*files.main))?;
    // A power loss may tear the slot that was being written; the first write then repairs it.
    let may_be_torn = matches!(engine.tail().log, LogState::Recovered(_));
    if !may_be_torn && slots.iter().any(|slot| !matches!(slot, Slot::Valid(_))) {
        return Err(Error::corrupt(PageNo(0), "a header slot is damaged"));
    }
    let mut cursor = TreeCursor::new(snapshot.state().tree_zero);
    cursor.first(&snapshot)?;
    cursor.last(&snapshot)?;
    for tree in snapshot.state().descriptors(&snapshot)? {
        snapshot.page(tree.root, tree.id, u16::from(tree.page_blocks))?;
    }
    for bitmap in bitmap_pages(snapshot.state().counters.block_count) {
        snapshot.page(bitmap, SPACE, 1)?;
    }
    Ok(())
}

pub(crate) fn integrity_check(engine: &Arc<Shared>) -> Result<CheckReport> {
    let snapshot = snapshot(engine)?;
    let mut walk = Walk::new(snapshot);
    let tree_zero = walk.snapshot.state().tree_zero;
    walk.tree(&tree_zero)?;
    match walk.snapshot.state().descriptors(&walk.snapshot) {
        Ok(trees) => {
            for tree in trees {
                walk.tree(&tree)?;
            }
        }
        Err(error) => walk.findings.note(Some(tree_zero.id), Err(error))?,
    }
    walk.compare_with_bitmaps()?;
    let Walk { mut report, findings, .. } = walk;
    report.findings = findings.kept;
    report.finding_count = findings.count;
    Ok(report)
}

/// The blocks that a walk has met. Groups are entered one by one, so that memory follows what is
/// really there and not what a header claims.
#[derive(Default)]
struct Reached {
    block_count: u32,
    groups: HashMap<u32, Vec<bool>>,
}

impl Reached {
    fn contains(&self, block: PageNo) -> bool {
        let group = self.groups.get(&bitmap::group_of(block));
        let met = group.and_then(|group| group.get(bitmap::index_in_group(block) as usize));
        met.copied().unwrap_or(false)
    }

    /// Notes blocks; `Err` says why they cannot be.
    fn add(&mut self, page_no: PageNo, blocks: u16) -> std::result::Result<(), &'static str> {
        let until = page_no.0.checked_add(u32::from(blocks));
        if page_no.0 < HEADER_BLOCKS || until.is_none_or(|until| until > self.block_count) {
            return Err("lies beyond the end of the file");
        }
        for block in (page_no.0..).take(usize::from(blocks)).map(PageNo) {
            let group = self.groups.entry(bitmap::group_of(block));
            let group = group.or_insert_with(|| vec![false; bitmap::GROUP_BLOCKS as usize]);
            let met = group.get_mut(bitmap::index_in_group(block) as usize);
            if met.is_none_or(|met| std::mem::replace(met, true)) {
                return Err("is reached twice");
            }
        }
        Ok(())
    }
}

/// A walk over all trees that notes which blocks it meets.
struct Walk {
    snapshot: ReadTx,
    reached: Reached,
    report: CheckReport,
    findings: Findings,
}

impl Walk {
    fn new(snapshot: ReadTx) -> Self {
        let block_count = snapshot.state().counters.block_count;
        Self {
            snapshot,
            reached: Reached { block_count, ..Reached::default() },
            report: CheckReport::default(),
            findings: Findings::default(),
        }
    }

    fn tree(&mut self, tree: &TreeDescriptor) -> Result<()> {
        let (reached, findings, report) = (&mut self.reached, &mut self.findings, &mut self.report);
        let mut wrong: Vec<(PageNo, &'static str)> = Vec::new();
        let checked = tree::check(
            &self.snapshot,
            tree,
            &mut |page_no, blocks| {
                report.page_count += 1;
                Ok(reached.add(page_no, blocks).err())
            },
            &mut |page_no, reason| wrong.push((page_no, reason)),
        );
        for (page_no, reason) in wrong {
            findings.add(page_no, Some(tree.id), reason);
        }
        report.tree_count += 1;
        match checked {
            Ok(checked) => {
                report.entry_count += checked.entry_count;
                Ok(())
            }
            Err(error) => findings.note(Some(tree.id), Err(error)),
        }
    }

    /// Every block is reached or free, and none both.
    fn compare_with_bitmaps(&mut self) -> Result<()> {
        let counters = self.snapshot.state().counters;
        let mut free = 0u32;
        for bitmap in bitmap_pages(counters.block_count) {
            let page = match self.snapshot.page(bitmap, SPACE, 1) {
                Ok(page) => page,
                Err(error) => {
                    self.findings.note(Some(SPACE), Err(error))?;
                    return Ok(());
                }
            };
            if self.reached.add(bitmap, 1).is_err() {
                self.findings.add(bitmap, Some(SPACE), "is a bitmap and part of a tree");
            }
            let bits = Bits(page.bytes());
            let until = counters.block_count.saturating_sub(bitmap.0).min(bitmap::GROUP_BLOCKS);
            for index in 0..until {
                let block = PageNo(bitmap.0 + index);
                match (bits.is_used(index), self.reached.contains(block)) {
                    (true, false) => self.findings.add(block, None, "is in use by nobody"),
                    (false, true) => self.findings.add(block, None, "is in use and marked free"),
                    (false, false) => free += 1,
                    (true, true) => {}
                }
            }
        }
        if free != counters.free_blocks && self.findings.count == 0 {
            self.findings.add(PageNo(0), None, "the count of free blocks is wrong");
        }
        Ok(())
    }
}

pub(crate) fn verify(engine: &Arc<Shared>) -> Result<VerifyReport> {
    let snapshot = snapshot(engine)?;
    let mut sweep = Sweep {
        engine,
        commit: snapshot.commit_no(),
        report: VerifyReport::default(),
        findings: Findings::default(),
        unwiped: FreedBlocks::ranges(engine.tail().freed.iter()),
    };
    sweep.header_slots()?;
    let block_count = snapshot.state().counters.block_count;
    for bitmap in bitmap_pages(block_count) {
        match snapshot.page(bitmap, SPACE, 1) {
            Ok(page) => {
                let until = block_count.saturating_sub(bitmap.0).min(bitmap::GROUP_BLOCKS);
                sweep.group(bitmap, &Bits(page.bytes()), until)?;
            }
            Err(error) => sweep.findings.note(Some(SPACE), Err(error))?,
        }
    }
    sweep.length(block_count)?;
    let Sweep { mut report, findings, .. } = sweep;
    report.findings = findings.kept;
    report.finding_count = findings.count;
    Ok(report)
}

/// A pass over all blocks of the file.
struct Sweep<'e> {
    engine: &'e Shared,
    commit: CommitNo,
    report: VerifyReport,
    findings: Findings,
    /// Freed since the last checkpoint: not wiped yet.
    unwiped: Vec<Range<u32>>,
}

impl Sweep<'_> {
    fn header_slots(&mut self) -> Result<()> {
        let slots = self.engine.pager.with_files(|files| header::read_slots(&*files.main))?;
        for (index, slot) in slots.iter().enumerate() {
            if !matches!(slot, Slot::Valid(_)) {
                self.findings.add(header::slot_block(index), None, "a header slot is damaged");
            }
        }
        Ok(())
    }

    fn group(&mut self, first: PageNo, bits: &Bits<'_>, until: u32) -> Result<()> {
        let mut index = 0;
        while index < until {
            let block = PageNo(first.0 + index);
            index += if bits.is_used(index) {
                self.used(block, until - index)?
            } else {
                self.free(block)?;
                1
            };
        }
        Ok(())
    }

    /// Checks the page that starts here; returns its length in blocks.
    fn used(&mut self, block: PageNo, most: u32) -> Result<u32> {
        let blocks = self.engine.pager.block_count_at(block, self.commit)?;
        let Some(blocks) = blocks.filter(|&blocks| u32::from(blocks) <= most) else {
            self.findings.add(block, None, "its size is damaged");
            return Ok(1);
        };
        self.report.page_count += 1;
        let outcome = self.engine.pager.verify(block, blocks, self.commit);
        self.findings.note(None, outcome)?;
        Ok(u32::from(blocks))
    }

    /// Free blocks hold zeros, so that every byte of the file is accounted for.
    fn free(&mut self, block: PageNo) -> Result<()> {
        self.report.free_block_count += 1;
        let next = self.unwiped.partition_point(|range| range.end <= block.0);
        if self.unwiped.get(next).is_some_and(|range| range.contains(&block.0)) {
            return Ok(());
        }
        let mut bytes = [0u8; BLOCK_BYTES];
        let at = u64::from(block.0) * BLOCK_BYTES as u64;
        self.engine.pager.with_files(|files| {
            read_full(&*files.main, &mut bytes, at).map_err(Error::io("read a free block"))
        })?;
        if bytes.iter().any(|&byte| byte != 0) {
            self.findings.add(block, None, "is free and holds bytes");
        }
        Ok(())
    }

    /// A closed file has the length that its header says.
    fn length(&mut self, block_count: u32) -> Result<()> {
        let tail = self.engine.tail();
        if !matches!(tail.log, LogState::Clean) {
            return Ok(());
        }
        let len = self.engine.pager.with_files(|files| {
            files.main.len().map_err(Error::io("read the length of the database file"))
        })?;
        if len != u64::from(block_count) * BLOCK_BYTES as u64 {
            self.findings.add(PageNo(block_count), None, "the file has another length");
        }
        Ok(())
    }
}
