//! What orders of insertion and removal do to the shape of a tree.

use super::*;
use crate::page::BLOCK_BYTES;
use crate::page::slots::capacity;

/// The share of its pages that a tree uses.
fn fill(pages: &MemPages, tree: &TreeDescriptor) -> f64 {
    let checked = assert_sound(pages, tree);
    let nodes = checked.leaf_count + checked.inner_count;
    checked.used_bytes as f64 / (nodes * capacity(tree.page_len()) as u64) as f64
}

fn filled(page_blocks: u8, value_len: usize, keys: impl Iterator<Item = Vec<u8>>) -> f64 {
    let (mut pages, mut tree) = new_tree(page_blocks);
    for (i, key) in keys.enumerate() {
        assert!(insert(&mut pages, &mut tree, &key, &vec![3; value_len]).unwrap());
        if i % 50 == 0 {
            pages.check_changed();
        }
    }
    fill(&pages, &tree)
}

fn key(i: u32) -> Vec<u8> {
    u64::from(i).to_be_bytes().to_vec()
}

/// Value lengths of which many fit a page, with enough entries for many pages.
const VALUES: [(usize, u32); 3] = [(0, 30_000), (20, 20_000), (130, 8000)];

#[test]
fn ascending_keys_fill_their_pages() {
    for page_blocks in [1, 2, 4] {
        for (value_len, count) in VALUES {
            let fill = filled(page_blocks, value_len, (0..count).map(key));
            assert!(fill > 0.9, "{page_blocks} blocks, values of {value_len}: {fill}");
        }
    }
}

#[test]
fn descending_keys_fill_their_pages() {
    for page_blocks in [1, 2, 4] {
        for (value_len, count) in VALUES {
            let fill = filled(page_blocks, value_len, (0..count).rev().map(key));
            assert!(fill > 0.9, "{page_blocks} blocks, values of {value_len}: {fill}");
        }
    }
}

#[test]
fn random_keys_fill_two_thirds_of_their_pages() {
    for page_blocks in [1, 2, 4] {
        for (value_len, count) in VALUES {
            let mut keys: Vec<u32> = (0..count).collect();
            Random::new(8).shuffle(&mut keys);
            let fill = filled(page_blocks, value_len, keys.into_iter().map(key));
            assert!(fill > 0.65, "{page_blocks} blocks, values of {value_len}: {fill}");
        }
    }
}

#[test]
fn runs_of_ascending_keys_inside_a_tree_fill_their_pages() {
    for page_blocks in [1, 4] {
        let in_turns = (0..12_000u32).map(|i| {
            let (run, at) = (i / 3000, i % 3000);
            // Runs begin in the middle, at the end, and before one another.
            key([200_000, 900_000, 100_000, 500_000][run as usize] + at)
        });
        let fill = filled(page_blocks, 20, in_turns);
        assert!(fill > 0.85, "{page_blocks} blocks: {fill}");
    }
}

#[test]
fn a_queue_takes_no_more_room_with_time() {
    for (page_blocks, value_len) in [(1, 100), (4, 100), (4, 5000)] {
        let (mut pages, mut tree) = new_tree(page_blocks);
        let mut most = 0;
        for i in 0..30_000u32 {
            insert(&mut pages, &mut tree, &key(i), &vec![5; value_len]).unwrap();
            if let Some(oldest) = i.checked_sub(200) {
                assert!(remove(&mut pages, &mut tree, &key(oldest)).unwrap());
            }
            pages.check_changed();
            if i == 1000 {
                most = tree.block_count;
            }
        }
        assert_sound(&pages, &tree);
        let now = tree.block_count;
        assert!(now <= most + most / 8 + u64::from(page_blocks), "{most} blocks became {now}");
    }
}

#[test]
fn long_random_updates_keep_the_tree_small() {
    let (mut pages, mut tree) = new_tree(1);
    let mut random = Random::new(9);
    for _ in 0..60_000 {
        let (key, len) = (key(random.below(500) as u32), random.skewed(700));
        put(&mut pages, &mut tree, &key, &vec![6; len]).unwrap();
        pages.check_changed();
    }
    let fill = fill(&pages, &tree);
    assert!(fill > 0.5, "{fill}");
}

#[test]
fn values_that_shrink_give_their_pages_back() {
    let (mut pages, mut tree) = new_tree(1);
    for i in 0..2000 {
        insert(&mut pages, &mut tree, &key(i), &[1; 900]).unwrap();
    }
    let before = tree.block_count;
    for i in 0..2000 {
        put(&mut pages, &mut tree, &key(i), b"").unwrap();
        pages.check_changed();
    }
    assert!(fill(&pages, &tree) > 0.4);
    assert!(tree.block_count * 20 < before, "{before} blocks became {}", tree.block_count);
}

#[test]
fn an_update_that_fits_changes_one_page() {
    let (mut pages, mut tree) = new_tree(1);
    for i in 0..2000 {
        insert(&mut pages, &mut tree, &key(i), &[1; 100]).unwrap();
    }
    pages.check_changed();
    for len in [100, 100, 90, 99] {
        put(&mut pages, &mut tree, &key(1000), &vec![2; len]).unwrap();
        assert_eq!(pages.check_changed(), 1);
    }
    assert!(!remove(&mut pages, &mut tree, b"none").unwrap());
    assert!(!insert(&mut pages, &mut tree, &key(7), b"").unwrap());
    assert_eq!(pages.check_changed(), 0);
}

#[test]
fn the_root_stays_where_it_is() {
    let (mut pages, mut tree) = new_tree(1);
    let root = tree.root;
    for i in 0..5000 {
        insert(&mut pages, &mut tree, &key(i), &[1; 100]).unwrap();
        assert_eq!(pages.page_of(root).kind().unwrap() == PageKind::Leaf, i < 37);
    }
    for i in 0..5000 {
        remove(&mut pages, &mut tree, &key(i)).unwrap();
    }
    assert_eq!(tree.root, root);
    assert_eq!(pages.blocks_in_use(), 1);
}

/// Half of the pages after a merge must be able to take entries again without a division.
#[test]
fn inserts_and_removes_at_one_place_do_not_divide_and_merge_in_turn() {
    let (mut pages, mut tree) = new_tree(1);
    for i in 0..4000 {
        insert(&mut pages, &mut tree, &key(2 * i), &[1; 60]).unwrap();
    }
    for i in (0..4000).filter(|i| i % 20 >= 9) {
        remove(&mut pages, &mut tree, &key(2 * i)).unwrap();
    }
    let (mut divisions, mut before) = (0, tree.block_count);
    for _ in 0..200 {
        for step in 0..2 {
            let odd = key(2 * 2000 + 1);
            match step {
                0 => assert!(insert(&mut pages, &mut tree, &odd, &[1; 60]).unwrap()),
                _ => assert!(remove(&mut pages, &mut tree, &odd).unwrap()),
            }
            divisions += u64::from(tree.block_count != before);
            before = tree.block_count;
        }
    }
    assert!(divisions <= 2, "{divisions}");
}

#[test]
fn the_longest_entries_still_divide_their_pages() {
    for page_blocks in [1, 2, 4] {
        let (mut pages, mut tree) = new_tree(page_blocks);
        let page_len = usize::from(page_blocks) * BLOCK_BYTES;
        let longest = slots::inline_key_bytes(page_len);
        let mut random = Random::new(10);
        for i in 0..600usize {
            // Keys around the longest inline part, alike but for one byte somewhere.
            let mut key = vec![b'x'; longest - 2 + i % 5];
            let at = random.below(key.len());
            key[at] = random.next() as u8;
            let value = vec![4; slots::max_entry_bytes(page_len) - i % 700];
            put(&mut pages, &mut tree, &key, &value).unwrap();
            pages.check_changed();
        }
        assert_sound(&pages, &tree);
    }
}

#[test]
fn the_bytes_of_a_leaf_are_those_of_the_format() {
    let (mut pages, mut tree) = new_tree(1);
    for (key, value) in [("prefix-a", "1"), ("prefix-long-tail", "22"), ("prefix-b", "")] {
        put(&mut pages, &mut tree, key.as_bytes(), value.as_bytes()).unwrap();
    }
    // Makes the page be laid out anew, with the prefix that the keys share.
    let mut filler = 0;
    while pages.page_of(tree.root).bytes()[14] == 0 {
        let key = format!("prefix-m{filler:04}");
        put(&mut pages, &mut tree, key.as_bytes(), &[b'x'; 200]).unwrap();
        filler += 1;
    }
    for i in 0..filler {
        assert!(remove(&mut pages, &mut tree, format!("prefix-m{i:04}").as_bytes()).unwrap());
    }
    let page = pages.page_of(tree.root).bytes();
    assert_eq!(page[..2], [1, 0], "kind");
    assert_eq!(page[2..4], [1, 0], "blocks");
    assert_eq!(page[4..8], [7, 0, 0, 0], "tree");
    assert_eq!(page[8..12], tree.root.0.to_le_bytes(), "page number");
    assert_eq!(page[12..14], [3, 0], "entries");
    assert_eq!(page[14..16], [7, 0], "prefix length");
    assert_eq!(page[28..32], [0; 4], "level, spare");
    assert_eq!(&page[32..39], b"prefix-");
    let cell = |slot: &[u8]| usize::from(u16::from_le_bytes([slot[0], slot[1]]));
    let slots: Vec<&[u8]> = page[39..63].chunks(8).collect();
    assert_eq!(slots[0][2..], [1, 0, b'a', 0, 0, 0]);
    assert_eq!(slots[1][2..], [1, 0, b'b', 0, 0, 0]);
    assert_eq!(slots[2][2..], [9, 0, b'l', b'o', b'n', b'g']);
    assert_eq!(page[cell(slots[0])..][..2], *b"\x011");
    assert_eq!(page[cell(slots[1])..][..1], *b"\0");
    assert_eq!(page[cell(slots[2])..][..8], *b"-tail\x0222");
    let heap_start = usize::from(u16::from_le_bytes([page[24], page[25]]));
    let garbage = usize::from(u16::from_le_bytes([page[26], page[27]]));
    assert_eq!(4080 - heap_start - garbage, 2 + 1 + 8);
}
