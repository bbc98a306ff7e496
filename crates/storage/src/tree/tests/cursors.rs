//! Cursors against std's map.

use super::*;
use std::collections::BTreeMap;
use std::ops::Bound;

fn sample(page_blocks: u8, count: usize) -> (MemPages, TreeDescriptor, BTreeMap<Vec<u8>, Vec<u8>>) {
    let (mut pages, mut tree) = new_tree(page_blocks);
    let mut random = Random::new(5);
    let mut model = BTreeMap::new();
    for _ in 0..count {
        let len = 1 + random.below(12);
        let (key, value_len) = (random.bytes(len), random.skewed(3000));
        let value = random.bytes(value_len);
        put(&mut pages, &mut tree, &key, &value).unwrap();
        model.insert(key, value);
    }
    (pages, tree, model)
}

#[test]
fn a_cursor_walks_both_ways() {
    let (pages, tree, model) = sample(1, 3000);
    let mut cursor = TreeCursor::new(tree);
    assert!(!cursor.is_valid() && cursor.key().is_empty() && cursor.inline_value().is_none());
    for (key, value) in &model {
        assert!(cursor.next(&pages).unwrap());
        assert_eq!(cursor.key(), key.as_slice());
        assert!(cursor.inline_value().is_none_or(|inline| inline == value.as_slice()));
    }
    assert!(!cursor.next(&pages).unwrap());
    assert!(!cursor.next(&pages).unwrap());
    for key in model.keys().rev() {
        assert!(cursor.prev(&pages).unwrap());
        assert_eq!(cursor.key(), key.as_slice());
    }
    assert!(!cursor.prev(&pages).unwrap());
    assert!(!cursor.prev(&pages).unwrap());
    assert!(cursor.next(&pages).unwrap());
    assert_eq!(cursor.key(), model.keys().next().unwrap().as_slice());
}

#[test]
fn seeks_find_the_neighbour_on_their_side() {
    let (pages, tree, model) = sample(1, 3000);
    let mut random = Random::new(6);
    let mut cursor = TreeCursor::new(tree);
    for step in 0..20_000 {
        let len = random.below(4);
        let mut target = random.bytes(len);
        if step % 3 == 0 {
            target = model.range(target.clone()..).next().map_or(target, |(key, _)| key.clone());
        }
        let below = (Bound::Unbounded, Bound::Excluded(target.clone()));
        let expected = match step % 2 {
            0 => model.range(target.clone()..).next(),
            _ => model.range::<Vec<u8>, _>(below).next_back(),
        };
        let found = match step % 2 {
            0 => cursor.seek(&pages, &target).unwrap(),
            _ => cursor.seek_before(&pages, &target).unwrap(),
        };
        assert_eq!(found, expected.is_some());
        assert_eq!(cursor.key(), expected.map_or(&[][..], |(key, _)| key));
        // A few steps on from wherever the seek led.
        let mut walk = model.range(target.clone()..);
        if found && step % 2 == 0 {
            walk.next();
            for _ in 0..random.below(3) {
                let next = walk.next();
                assert_eq!(cursor.next(&pages).unwrap(), next.is_some());
                assert_eq!(cursor.key(), next.map_or(&[][..], |(key, _)| key));
            }
        }
    }
}

#[test]
fn a_near_seek_does_not_start_at_the_root() {
    let (pages, tree, model) = sample(1, 5000);
    let mut cursor = TreeCursor::new(tree);
    cursor.first(&pages).unwrap();
    pages.reads.set(0);
    for key in model.keys() {
        assert!(cursor.seek(&pages, key).unwrap());
    }
    let checked = assert_sound(&pages, &tree);
    let reads_to_walk = checked.leaf_count + checked.inner_count;
    pages.reads.set(0);
    let mut cursor = TreeCursor::new(tree);
    for key in model.keys() {
        assert!(cursor.seek(&pages, key).unwrap());
    }
    assert!(pages.reads.get() <= 2 * reads_to_walk, "{} reads", pages.reads.get());
}

#[test]
fn an_empty_tree_has_no_position() {
    let (pages, tree) = new_tree(1);
    let mut cursor = TreeCursor::new(tree);
    assert!(!cursor.first(&pages).unwrap());
    assert!(!cursor.last(&pages).unwrap());
    assert!(!cursor.seek(&pages, b"").unwrap());
    assert!(!cursor.seek_before(&pages, b"x").unwrap());
    assert!(!cursor.next(&pages).unwrap());
    assert!(!cursor.prev(&pages).unwrap());
    assert!(cursor.value(&pages).unwrap().is_none());
}

#[test]
fn values_outlive_their_entries() {
    let (mut pages, mut tree) = new_tree(1);
    put(&mut pages, &mut tree, b"small", b"one").unwrap();
    put(&mut pages, &mut tree, b"large", &[2; 9000]).unwrap();
    let small = get(&pages, &tree, b"small").unwrap().unwrap();
    let large = get(&pages, &tree, b"large").unwrap().unwrap();
    drop(pages);
    assert_eq!((small.as_ref(), large.len()), (&b"one"[..], 9000));
    assert_eq!(format!("{small:?}"), "ValueRef(3 bytes)");
    fn is_shared<T: Send + Sync + Clone>(_: &T) {}
    is_shared(&small);
}
