//! The walk over all trees: every entry, and who owns which block.
//!
//! Damage ends nothing but the subtree it is in. One set of reached blocks serves all trees, so
//! that no page is entered twice and the walk ends whatever a file's references are.

use super::reached::Reached;
use super::{CheckOptions, CheckReport, FindingKind, Findings, TreeReport};
use crate::bitmap::{self, Bits, SPACE};
use crate::checkpoint::bitmap_pages;
use crate::engine::Shared;
use crate::error::Result;
use crate::page::{PageNo, ReadPages};
use crate::progress::Task;
use crate::tree::{self, CheckedTree, TreeDescriptor};
use crate::txn::ReadTx;
use std::sync::Arc;

pub(crate) fn integrity_check(engine: &Arc<Shared>, options: &CheckOptions) -> Result<CheckReport> {
    let snapshot = ReadTx::new(Arc::clone(engine), engine.snapshot()?);
    let counters = snapshot.state().counters;
    let used_blocks = counters.block_count.saturating_sub(counters.free_blocks);
    let task = Task::new(&options.cancel, options.on_progress.as_ref(), used_blocks.into());
    let mut walk = Walk {
        snapshot,
        task,
        reached: Reached::new(counters.block_count),
        report: CheckReport::default(),
        findings: Findings::new(options.max_findings),
    };
    walk.trees()?;
    walk.compare_with_bitmaps()?;
    walk.task.finish();
    let Walk { mut report, findings, .. } = walk;
    report.findings = findings.kept;
    report.finding_count = findings.count;
    Ok(report)
}

struct Walk<'o> {
    snapshot: ReadTx,
    task: Task<'o>,
    reached: Reached,
    report: CheckReport,
    findings: Findings,
}

impl Walk<'_> {
    fn trees(&mut self) -> Result<()> {
        let tree_zero = self.snapshot.state().tree_zero;
        self.tree(&tree_zero)?;
        let descriptors = self.snapshot.state().descriptors(&self.snapshot);
        let trees = self.findings.note(FindingKind::Tree, Some(tree_zero.id), descriptors)?;
        trees.unwrap_or_default().iter().try_for_each(|tree| self.tree(tree))
    }

    fn tree(&mut self, tree: &TreeDescriptor) -> Result<()> {
        let findings_before = self.findings.count;
        let (reached, findings, task) = (&mut self.reached, &mut self.findings, &self.task);
        let mut page_count = 0;
        let checked = tree::check(
            &self.snapshot,
            tree,
            &mut |page_no, blocks| {
                task.advance(blocks.into())?;
                let refused = reached.add(page_no, blocks);
                page_count += u64::from(refused.is_none());
                Ok(refused)
            },
            &mut |page_no, reason| {
                findings.add(FindingKind::Tree, page_no, Some(tree.id), reason);
            },
        )?;
        self.report.tree_count += 1;
        self.report.page_count += page_count;
        self.report.entry_count += checked.entry_count;
        let finding_count = self.findings.count - findings_before;
        self.report.trees.push(report_of(tree, &checked, page_count, finding_count));
        Ok(())
    }

    /// Every block is reached or free, and none both.
    fn compare_with_bitmaps(&mut self) -> Result<()> {
        let counters = self.snapshot.state().counters;
        let mut free = Some(0u32);
        for bitmap in bitmap_pages(counters.block_count) {
            self.task.expect_wanted()?;
            let in_group = self.compare_group(bitmap, counters.block_count)?;
            free = free.zip(in_group).map(|(free, in_group)| free.saturating_add(in_group));
        }
        if free.is_some_and(|free| free != counters.free_blocks) && self.findings.count == 0 {
            let reason = "the count of free blocks is wrong";
            self.findings.add(FindingKind::Space, PageNo(0), None, reason);
        }
        Ok(())
    }

    /// Compares a group; returns how many of its blocks are free, unless its bitmap is damaged.
    fn compare_group(&mut self, bitmap: PageNo, block_count: u32) -> Result<Option<u32>> {
        let kind = FindingKind::Space;
        let page = self.snapshot.page(bitmap, SPACE, 1);
        let Some(page) = self.findings.note(kind, Some(SPACE), page)? else { return Ok(None) };
        if self.reached.add(bitmap, 1).is_some() {
            self.findings.add(kind, bitmap, Some(SPACE), "is a bitmap and part of a tree");
        }
        let bits = Bits(page.bytes());
        let until = block_count.saturating_sub(bitmap.0).min(bitmap::GROUP_BLOCKS);
        let mut free = 0;
        for index in 0..until {
            let block = PageNo(bitmap.0 + index);
            match (bits.is_used(index), self.reached.contains(block)) {
                (true, false) => self.findings.add(kind, block, None, "is in use by nobody"),
                (false, true) => self.findings.add(kind, block, None, "is in use and marked free"),
                (false, false) => free += 1,
                (true, true) => {}
            }
        }
        Ok(Some(free))
    }
}

fn report_of(
    tree: &TreeDescriptor,
    checked: &CheckedTree,
    page_count: u64,
    finding_count: u64,
) -> TreeReport {
    let nodes = checked.leaf_count + checked.inner_count;
    let room = nodes.saturating_mul(tree.node_capacity());
    let fill = checked.used_bytes.saturating_mul(100).checked_div(room).unwrap_or(0);
    TreeReport {
        tree: tree.id,
        entry_count: checked.entry_count,
        key_bytes: checked.key_bytes,
        value_bytes: checked.value_bytes,
        page_count,
        block_count: checked.block_count,
        fill_percent: u8::try_from(fill).unwrap_or(100),
        finding_count,
    }
}
