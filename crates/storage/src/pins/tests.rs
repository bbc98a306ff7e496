use super::*;
use crate::page::{BLOCK_BYTES, CommitNo};

fn inner(no: u32) -> Page {
    let mut page = Page::new(PageKind::Inner, TreeId(1), PageNo(no), 1);
    page.set_version(CommitNo(1));
    page
}

#[test]
fn a_pinned_page_is_lent_without_asking_the_directory() {
    let directory = Directory::new(1 << 20, None);
    let pins = Pins::default();
    assert!(pins.get(PageNo(7)).is_none());
    pins.offer(&inner(7), &directory);
    assert_eq!(pins.get(PageNo(7)).map(Page::page_no), Some(PageNo(7)));
    assert!(pins.get(PageNo(8)).is_none());
    let stats = directory.stats();
    assert_eq!((stats.hit_count, stats.miss_count), (0, 0));
    assert_eq!(stats.pinned_bytes, BLOCK_BYTES as u64);
}

#[test]
fn leaves_are_not_pinned() {
    let directory = Directory::new(1 << 20, None);
    let pins = Pins::default();
    let leaf = Page::new(PageKind::Leaf, TreeId(1), PageNo(7), 1);
    pins.offer(&leaf, &directory);
    assert!(pins.get(PageNo(7)).is_none());
}

#[test]
fn pins_take_an_eighth_of_the_cache_at_most_and_give_it_back() {
    let directory = Directory::new(64 * BLOCK_BYTES as u64, None);
    let (a, b) = (Pins::default(), Pins::default());
    for no in 0..1000 {
        a.offer(&inner(no), &directory);
        b.offer(&inner(no), &directory);
    }
    assert_eq!(directory.stats().pinned_bytes, 8 * BLOCK_BYTES as u64);
    drop(a);
    drop(b);
    assert_eq!(directory.stats().resident_bytes, 0);
}

#[test]
fn the_number_of_pins_is_bounded_and_every_one_is_found() {
    let directory = Directory::new(1 << 30, None);
    let pins = Pins::default();
    (0..10_000).for_each(|no| pins.offer(&inner(no), &directory));
    let found = (0..10_000).filter(|no| pins.get(PageNo(*no)).is_some()).count();
    assert!((PLACES / 2..=PLACES).contains(&found), "{found} pins");
    assert_eq!(directory.stats().pinned_bytes, (found * BLOCK_BYTES) as u64);
}

#[test]
fn descriptors_of_early_and_late_trees_are_remembered() {
    let known = Descriptors::default();
    for id in [1, 63, 64, 100_000] {
        let descriptor = TreeDescriptor {
            id: TreeId(id),
            root: PageNo(id),
            page_blocks: 1,
            entry_count: 0,
            key_bytes: 0,
            value_bytes: 0,
            block_count: 1,
            page_count: 1,
        };
        assert_eq!(known.get(TreeId(id)), None);
        known.insert(descriptor);
        assert_eq!(known.get(TreeId(id)), Some(descriptor));
    }
}
