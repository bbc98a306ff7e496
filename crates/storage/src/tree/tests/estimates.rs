//! Estimates against counts.

use super::*;
use std::ops::Bound;

fn key(i: u32) -> Vec<u8> {
    format!("{i:08}").into_bytes()
}

fn tree_of(keys: impl Iterator<Item = u32>, value_len: usize) -> (MemPages, TreeDescriptor) {
    let (mut pages, mut tree) = new_tree(1);
    for i in keys {
        insert(&mut pages, &mut tree, &key(i), &vec![0; value_len]).unwrap();
    }
    (pages, tree)
}

const COUNT: u32 = 40_000;

/// Every range must be estimated within a factor, but for a few entries.
fn assert_close(pages: &MemPages, tree: &TreeDescriptor, factor: f64) {
    let mut random = Random::new(30);
    for _ in 0..2000 {
        let len = random.skewed(COUNT as usize) as u32;
        let from = random.below((COUNT - len.min(COUNT - 1)) as usize) as u32;
        let to = (from + len).min(COUNT);
        let (lower, upper) = (key(from), key(to));
        let bounds = match random.below(4) {
            0 if from == 0 => (Bound::Unbounded, Bound::Excluded(upper.as_slice())),
            1 if to == COUNT => (Bound::Included(lower.as_slice()), Bound::Unbounded),
            _ => (Bound::Included(lower.as_slice()), Bound::Excluded(upper.as_slice())),
        };
        let estimate = estimate(pages, tree, bounds.0, bounds.1).unwrap();
        let (entries, actual) = (estimate.entries as f64, f64::from(to - from));
        let is_close = entries <= actual * factor + 5.0 && actual <= entries * factor + 5.0;
        assert!(is_close, "{from}..{to}: {entries}");
        assert_eq!(estimate.share, entries / f64::from(COUNT));
    }
}

#[test]
fn ranges_of_ascending_trees_are_estimated() {
    let (pages, tree) = tree_of(0..COUNT, 40);
    assert_close(&pages, &tree, 1.25);
}

#[test]
fn ranges_of_random_trees_are_estimated() {
    let mut keys: Vec<u32> = (0..COUNT).collect();
    Random::new(31).shuffle(&mut keys);
    let (pages, tree) = tree_of(keys.into_iter(), 40);
    assert_close(&pages, &tree, 1.6);
}

#[test]
fn ranges_inside_a_page_are_counted() {
    let (pages, tree) = tree_of(0..30, 10);
    let (a, b) = (key(5), key(9));
    let count = |lower: Bound<&[u8]>, upper: Bound<&[u8]>| {
        estimate(&pages, &tree, lower, upper).unwrap().entries
    };
    assert_eq!(count(Bound::Included(&a), Bound::Included(&b)), 5);
    assert_eq!(count(Bound::Included(&a), Bound::Excluded(&b)), 4);
    assert_eq!(count(Bound::Excluded(&a), Bound::Included(&b)), 4);
    assert_eq!(count(Bound::Excluded(&a), Bound::Excluded(&b)), 3);
    assert_eq!(count(Bound::Excluded(&a), Bound::Excluded(&a)), 0);
    assert_eq!(count(Bound::Included(&b), Bound::Included(&a)), 0);
    assert_eq!(count(Bound::Unbounded, Bound::Excluded(&a)), 5);
    assert_eq!(count(Bound::Excluded(&b), Bound::Unbounded), 20);
    assert_eq!(count(Bound::Unbounded, Bound::Unbounded), 30);
}

#[test]
fn an_empty_tree_and_inverted_ranges_hold_nothing() {
    let (pages, tree) = new_tree(1);
    let nothing = Estimate { entries: 0, share: 0.0 };
    assert_eq!(estimate(&pages, &tree, Bound::Unbounded, Bound::Unbounded).unwrap(), nothing);
    let (pages, tree) = tree_of(0..COUNT, 40);
    let (a, b) = (key(30_000), key(100));
    let inverted = estimate(&pages, &tree, Bound::Included(&a), Bound::Included(&b));
    assert_eq!(inverted.unwrap(), nothing);
}
