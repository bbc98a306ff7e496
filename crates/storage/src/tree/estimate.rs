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
            entries_between(tree, &from, &to).min(all)
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

fn entries_between(tree: &TreeDescriptor, from: &[Step], to: &[Step]) -> u64 {
    let fork = from.iter().zip(to).position(|(a, b)| a.slot != b.slot);
    let Some(fork) = fork else { return 0 };
    let (Some(a), Some(b)) = (from.get(fork), to.get(fork)) else { return 0 };
    if a.slot > b.slot {
        return 0;
    }
    if fork + 1 == from.len() {
        return (b.slot - a.slot) as u64;
    }
    // Subtrees that lie wholly between, from the fork down. What the pages on either way show is
    // counted; pages beside both ways are taken to have the average number of children or entries.
    let average = Averages::of(tree, from, to);
    let mut between = (b.slot - a.slot - 1) as f64;
    for depth in fork + 1..from.len().min(to.len()) {
        let (Some(a), Some(b)) = (from.get(depth), to.get(depth)) else { break };
        let is_leaf = depth + 1 == from.len();
        let behind_a = a.len.saturating_sub(a.slot + usize::from(!is_leaf));
        let per_page = if is_leaf { average.leaf } else { average.fan_out };
        between = between * per_page + (behind_a + b.slot) as f64;
    }
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and the caller bounds it")]
    let entries = between.round() as u64;
    entries
}

/// What the pages of a tree hold on average.
struct Averages {
    /// Entries of a leaf.
    leaf: f64,
    /// Children of an inner page below the root.
    fan_out: f64,
}

impl Averages {
    /// The root is known, and so is the number of all pages; so only the distribution of the pages
    /// over the levels between is guessed.
    fn of(tree: &TreeDescriptor, from: &[Step], to: &[Step]) -> Self {
        let below_root = tree.page_count.saturating_sub(1) as f64;
        let root_len = from.first().map_or(1, |root| root.len.max(1)) as f64;
        let inner_levels = from.len().saturating_sub(2);
        let mut fan_out = 1.0;
        if inner_levels > 0 {
            // Find the fan-out with which this many levels have so many pages. A few steps of a
            // secant from above are plenty: pages grow with the power of the fan-out.
            fan_out = f64::max(2.0, sampled_fan_out(from, to));
            for _ in 0..8 {
                let pages: f64 =
                    (0..=inner_levels).map(|level| root_len * powi(fan_out, level)).sum();
                fan_out *= (below_root / pages).max(1e-3).powf(1.0 / inner_levels as f64);
            }
        }
        let leaves = root_len * powi(fan_out, inner_levels);
        Self { leaf: tree.entry_count as f64 / leaves.max(1.0), fan_out }
    }
}

fn powi(base: f64, exponent: usize) -> f64 {
    (0..exponent).map(|_| base).product()
}

/// The fan-out of the pages met on the two ways.
fn sampled_fan_out(from: &[Step], to: &[Step]) -> f64 {
    let inner = |steps: &[Step]| {
        let steps = steps.get(1..steps.len().saturating_sub(1)).unwrap_or_default();
        (steps.iter().map(|step| step.len).sum::<usize>(), steps.len())
    };
    let ((a, a_count), (b, b_count)) = (inner(from), inner(to));
    (a + b) as f64 / (a_count + b_count).max(1) as f64
}
