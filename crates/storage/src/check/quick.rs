//! A look at what is cheap to look at.
//!
//! It reads the header slots, both ends of the descriptor tree, every root and the bitmaps, and a
//! random sample of ways down the trees: milliseconds, and a page for each tree.

use crate::bitmap::{self, SPACE};
use crate::checkpoint::bitmap_pages;
use crate::engine::{LogState, Shared};
use crate::error::{Error, Result};
use crate::header::{self, Slot};
use crate::page::{BLOCK_BYTES, PageNo, ReadPages};
use crate::tree::{self, TreeCursor, TreeDescriptor};
use crate::txn::ReadTx;
use std::sync::Arc;
use std::time::Duration;

/// Of more bitmaps, which is a file of 8 GiB, a random choice is read.
const MAX_BITMAPS: u32 = 64;
/// Ways from a root to a leaf.
const SAMPLED_PATHS: usize = 24;
/// No more of them are begun after this.
const SAMPLE_TIME: Duration = Duration::from_millis(5);

pub(crate) fn quick_check(engine: &Arc<Shared>) -> Result<()> {
    let snapshot = ReadTx::new(Arc::clone(engine), engine.snapshot()?);
    header_slots(engine)?;
    file_length(engine)?;
    let mut cursor = TreeCursor::new(snapshot.state().tree_zero);
    cursor.first(&snapshot)?;
    cursor.last(&snapshot)?;
    let trees = snapshot.state().descriptors(&snapshot)?;
    for tree in &trees {
        tree::read_root(&snapshot, tree)?;
    }
    let mut random = Random::new(engine)?;
    bitmaps(&snapshot, &mut random)?;
    sample(engine, &snapshot, &trees, &mut random)
}

fn header_slots(engine: &Shared) -> Result<()> {
    let slots = engine.pager.with_files(|files| header::read_slots(&*files.main))?;
    // A power loss may tear the slot that was being written; the first write then repairs it.
    let may_be_torn = matches!(engine.tail().log, LogState::Recovered(_));
    let first_bad = slots.iter().position(|slot| !matches!(slot, Slot::Valid(_)));
    match first_bad {
        Some(slot) if !may_be_torn => {
            Err(Error::corrupt(header::slot_block(slot), "a header slot is damaged"))
        }
        _ => Ok(()),
    }
}

/// A closed file has the length that its header says. What an open one lacks may be in the log; at
/// open it was long enough.
fn file_length(engine: &Shared) -> Result<()> {
    let len = engine.pager.with_files(|files| {
        files.main.len().map_err(Error::io("read the length of the database file"))
    })?;
    let expected = u64::from(engine.header().in_force().block_count) * BLOCK_BYTES as u64;
    if matches!(engine.tail().log, LogState::Clean) && len != expected {
        return Err(Error::corrupt(PageNo(0), "the file has another length than its header says"));
    }
    Ok(())
}

fn bitmaps(snapshot: &ReadTx, random: &mut Random) -> Result<()> {
    let block_count = snapshot.state().counters.block_count;
    let groups = bitmap::group_count(block_count);
    let read = |page_no| snapshot.page(page_no, SPACE, 1).map(drop);
    if groups <= MAX_BITMAPS {
        return bitmap_pages(block_count).try_for_each(read);
    }
    let chosen = (0..MAX_BITMAPS).filter_map(|_| bitmap::bitmap_page(random.below(groups)));
    chosen.collect::<Vec<PageNo>>().into_iter().try_for_each(read)
}

fn sample(
    engine: &Shared,
    snapshot: &ReadTx,
    trees: &[TreeDescriptor],
    random: &mut Random,
) -> Result<()> {
    let count = u32::try_from(trees.len()).unwrap_or(u32::MAX);
    let begun = engine.vfs.monotonic();
    for _ in 0..SAMPLED_PATHS {
        let Some(tree) = trees.get(random.below(count) as usize) else { break };
        tree::read_a_path(snapshot, tree, &mut |children| random.below(children))?;
        if engine.vfs.monotonic().saturating_sub(begun) > SAMPLE_TIME {
            break;
        }
    }
    Ok(())
}

/// SplitMix64, from a seed of the file system's.
struct Random(u64);

impl Random {
    fn new(engine: &Shared) -> Result<Self> {
        let mut seed = [0; 8];
        engine.vfs.random(&mut seed).map_err(Error::io("draw random bytes"))?;
        Ok(Self(u64::from_le_bytes(seed)))
    }

    /// A number below `end`; 0 if there is none.
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let drawn = (z ^ (z >> 31)) >> 32;
        u32::try_from((drawn * u64::from(end)) >> 32).unwrap_or(0)
    }
}
