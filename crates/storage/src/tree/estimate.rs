//! How many entries a range holds, from two descents.

use super::{TreeDescriptor, keys, read_node};
use crate::error::Result;
use crate::page::ReadPages;
use crate::page::slots::Slotted;
use std::ops::Bound;

/// An estimate of the entries in a range of a tree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The estimated number of entries; exact for a range inside one page.
    pub entries: u64,
    /// Their share of all entries, from 0 to 1.
    pub share: f64,
}

/// Estimates the number of entries between two bounds.
pub(crate) fn estimate<P: ReadPages + ?Sized>(
    pages: &P,
    tree: &TreeDescriptor,
    lower: Bound<&[u8]>,
    upper: Bound<&[u8]>,
) -> Result<Estimate> {
    let all = tree.entry_count;
    let entries = match (lower, upper) {
        (Bound::Unbounded, Bound::Unbounded) => all,
        _ => {
            let from = descend(pages, tree, lower, End::Lower)?;
            let to = descend(pages, tree, upper, End::Upper)?;
            entries_between(&from, &to, all).min(all)
        }
    };
    let share = if all == 0 { 0.0 } else { entries as f64 / all as f64 };
    Ok(Estimate { entries, share })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Lower,
    Upper,
}

/// One page of a descent: in an inner page the slot of the child gone to, in a leaf the number of
/// entries before the bound.
#[derive(Clone, Copy)]
struct Step {
    slot: usize,
    len: usize,
}

fn descend<P: ReadPages + ?Sized>(
    pages: &P,
    tree: &TreeDescriptor,
    bound: Bound<&[u8]>,
    end: End,
) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut page = read_node(pages, tree, tree.root, None)?;
    loop {
        let node = Slotted::new(page.bytes());
        let len = node.len();
        let slot = match bound {
            Bound::Unbounded if end == End::Lower => 0,
            Bound::Unbounded if node.is_leaf() => len,
            Bound::Unbounded => len.saturating_sub(1),
            Bound::Included(key) | Bound::Excluded(key) if node.is_leaf() => {
                let found = keys::search(pages, tree, node, key)?;
                let is_outside = matches!(bound, Bound::Excluded(_)) == (end == End::Lower);
                found.slot + usize::from(found.exact && is_outside)
            }
            Bound::Included(key) | Bound::Excluded(key) => {
                keys::child_slot(pages, tree, node, key)?
            }
        };
        steps.push(Step { slot, len });
        if node.is_leaf() {
            return Ok(steps);
        }
        page = read_node(pages, tree, node.child(slot), Some(node.level()))?;
    }
}

fn entries_between(from: &[Step], to: &[Step], all: u64) -> u64 {
    let fork = from.iter().zip(to).position(|(a, b)| a.slot != b.slot);
    let Some(fork) = fork else { return 0 };
    let (Some(a), Some(b)) = (from.get(fork), to.get(fork)) else { return 0 };
    if a.slot > b.slot {
        return 0;
    }
    if fork + 1 == from.len() {
        return (b.slot - a.slot) as u64;
    }
    // Subtrees that lie wholly between, from the fork down: what a page on either way shows is
    // counted, what is beside both is taken to be like them.
    let mut between = (b.slot - a.slot - 1) as f64;
    for depth in fork + 1..from.len().min(to.len()) {
        let (Some(a), Some(b)) = (from.get(depth), to.get(depth)) else { break };
        let is_leaf = depth + 1 == from.len();
        let behind_a = a.len.saturating_sub(a.slot + usize::from(!is_leaf));
        between = between * typical_len(from, to, depth) + (behind_a + b.slot) as f64;
    }
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and is bounded by `all`")]
    let entries = between.round() as u64;
    entries.min(all)
}

/// The length of a page at `depth`. The last page of a level is as full as chance has it, so it
/// says nothing about the others.
fn typical_len(from: &[Step], to: &[Step], depth: usize) -> f64 {
    let above = to.get(..depth).unwrap_or_default();
    let to_is_last = above.iter().all(|step| step.slot + 1 == step.len);
    let len = |steps: &[Step]| steps.get(depth).map_or(0, |step| step.len) as f64;
    if to_is_last { len(from) } else { (len(from) + len(to)) / 2.0 }
}
