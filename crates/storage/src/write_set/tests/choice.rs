//! Which pages are spilled, how many at once, and what is read back.

use super::*;
use crate::page::slots;
use crate::vfs::write_all;

const TREE: TreeId = TreeId(1);
const BLOCK: u64 = BLOCK_BYTES as u64;

fn allocate(set: &mut WriteSet, kind: PageKind) -> PageNo {
    set.allocate(kind, TREE, 1, PageNo(0)).unwrap()
}

/// A new inner page with one child.
fn allocate_inner(set: &mut WriteSet) -> PageNo {
    let page_no = allocate(set, PageKind::Inner);
    let page = set.page_mut(page_no, TREE, 1).unwrap();
    slots::format(page, 1, &[]);
    let entry = slots::Entry {
        key: &[],
        key_run: None,
        payload: [&[9, 0, 0, 0], &[], &[]],
        has_value_run: false,
    };
    assert!(slots::try_insert(page, 0, &entry));
    page_no
}

fn fill(set: &mut WriteSet, page_no: PageNo, byte: u8) {
    set.page_mut(page_no, TREE, 1).unwrap()[100..200].fill(byte);
}

fn byte(set: &WriteSet, page_no: PageNo) -> u8 {
    set.page(page_no, TREE, 1).unwrap().bytes()[150]
}

fn is_resident(set: &WriteSet, page_no: PageNo) -> bool {
    set.pages.resident_page(page_no).is_some()
}

fn spilled_at(set: &WriteSet, page_no: PageNo) -> u64 {
    set.pages.spilled_page(page_no).expect("the page is spilled").position
}

fn damage(rig: &Rig, position: u64) {
    write_all(&*rig.log.file, b"damage", position + 150).unwrap();
}

#[test]
fn pages_in_use_stay_and_others_go() {
    let rig = Rig::new();
    let mut set = rig.spilling(32 * BLOCK);
    let changed_often = allocate(&mut set, PageKind::Run);
    let read_often = allocate(&mut set, PageKind::Run);
    for _ in 0..300 {
        allocate(&mut set, PageKind::Run);
        fill(&mut set, changed_often, 1);
        set.page(read_often, TREE, 1).unwrap();
    }
    let spilled: BTreeSet<PageNo> = rig.log.calls().concat().iter().map(|(no, _)| *no).collect();
    assert!(spilled.len() > 250);
    assert!(!spilled.contains(&changed_often) && !spilled.contains(&read_often));
    assert!(!spilled.contains(&bitmap::bitmap_page(0).unwrap()));
}

#[test]
fn the_oldest_go_first() {
    let rig = Rig::new();
    let mut set = rig.spilling(32 * BLOCK);
    let page_nos: Vec<PageNo> = (0..200).map(|_| allocate(&mut set, PageKind::Run)).collect();
    let is_spilled: Vec<bool> = page_nos.iter().map(|no| !is_resident(&set, *no)).collect();
    let spilled = is_spilled.iter().filter(|is_spilled| **is_spilled).count();
    assert!(spilled >= 200 - 32);
    assert!(is_spilled[..spilled].iter().all(|is_spilled| *is_spilled), "{is_spilled:?}");
}

#[test]
fn of_pages_used_at_the_same_time_leaves_and_runs_go_before_inner_pages() {
    let rig = Rig::new();
    let mut set = rig.spilling(40 * BLOCK);
    let inner: Vec<PageNo> = (0..12).map(|_| allocate_inner(&mut set)).collect();
    let runs: Vec<PageNo> = (0..16).map(|_| allocate(&mut set, PageKind::Run)).collect();
    for page_no in inner.iter().chain(&runs) {
        set.page(*page_no, TREE, 1).unwrap();
    }
    set.page_mut(inner[0], TREE, 1).unwrap();
    allocate(&mut set, PageKind::Run);
    allocate(&mut set, PageKind::Run);
    set.make_room().unwrap();
    assert!(rig.log.call_count() > 0);
    assert!(inner.iter().all(|page_no| is_resident(&set, *page_no)));
    let spilled = rig.log.calls().concat();
    assert!(spilled.iter().all(|(page_no, _)| runs.contains(page_no)), "{spilled:?}");
}

#[test]
fn a_page_that_is_being_made_stays() {
    let rig = Rig::new();
    let mut set = rig.spilling(0);
    let half_made = allocate(&mut set, PageKind::Inner);
    let whole = allocate(&mut set, PageKind::Run);
    let last = allocate(&mut set, PageKind::Run);
    assert!(is_resident(&set, half_made) && is_resident(&set, last));
    assert!(!is_resident(&set, whole));
}

#[test]
fn an_eighth_goes_at_once_and_a_mebibyte_by_one_call() {
    const BUDGET: u64 = 24 << 20;
    let rig = Rig::new();
    let mut set = rig.spilling(BUDGET);
    while rig.log.call_count() == 0 {
        allocate(&mut set, PageKind::Run);
    }
    let calls = rig.log.calls();
    let bytes: Vec<u64> = calls.iter().map(|call| call.iter().map(|page| page.1).sum()).collect();
    assert!(bytes.iter().all(|bytes| *bytes <= 1 << 20), "{bytes:?}");
    let round: u64 = bytes.iter().sum();
    let eighth = BUDGET / 4 * 3 / 8;
    assert!(round >= eighth && round <= eighth + 2 * BLOCK, "{bytes:?}");
    for call in calls {
        assert!(call.is_sorted(), "not in page order");
    }
}

#[test]
fn a_page_larger_than_the_budget_is_spilled_and_read_back() {
    let rig = Rig::new();
    let mut set = rig.spilling(4 * BLOCK);
    let large = set.allocate(PageKind::Run, TREE, 100, PageNo(0)).unwrap();
    set.page_mut(large, TREE, 100).unwrap()[300_000] = 5;
    set.make_room().unwrap();
    assert!(!is_resident(&set, large));
    assert_eq!(set.page(large, TREE, 100).unwrap().bytes()[300_000], 5);
    assert!(held_bytes(&set) <= 4 * BLOCK);
}

#[test]
fn an_undo_image_is_spilled_and_restored_without_its_bytes() {
    let rig = Rig::new();
    let mut set = rig.spilling(0);
    let page_no = allocate(&mut set, PageKind::Run);
    fill(&mut set, page_no, 1);
    for depth in 1..=3 {
        assert_eq!(set.begin_savepoint(), depth);
        fill(&mut set, page_no, depth as u8 + 1);
        set.make_room().unwrap();
        assert_eq!(held_bytes(&set), 0);
    }
    rig.log.fail_after(0);
    for depth in [3, 1] {
        set.rollback_to(depth);
        assert_eq!(byte(&set, page_no), depth as u8);
    }
    assert_eq!(held_bytes(&set), 0);
    assert_eq!(set.page_count(), 2, "the page and its bitmap");
}

#[test]
fn released_savepoints_hand_the_oldest_images_outwards() {
    let rig = Rig::new();
    // Once the outer savepoint has kept more pages than the inner, once fewer.
    for (outer_count, inner_count) in [(9, 2), (2, 9)] {
        let mut set = rig.spilling(3 * BLOCK);
        let page_nos: Vec<PageNo> = (0..10).map(|_| allocate(&mut set, PageKind::Run)).collect();
        page_nos.iter().for_each(|page_no| fill(&mut set, *page_no, 1));
        set.begin_savepoint();
        page_nos[..outer_count].iter().for_each(|page_no| fill(&mut set, *page_no, 2));
        let outer_new = allocate(&mut set, PageKind::Run);
        set.begin_savepoint();
        page_nos[..inner_count].iter().for_each(|page_no| fill(&mut set, *page_no, 3));
        set.free(outer_new, TREE, 1).unwrap();
        set.free(page_nos[9], TREE, 1).unwrap();
        set.release_savepoint(2);
        assert_eq!(byte(&set, page_nos[0]), 3);
        set.rollback_to(1);
        assert!(page_nos.iter().all(|page_no| byte(&set, *page_no) == 1));
        assert!(!set.pages.contains(outer_new));
        set.release_savepoint(1);
        assert_eq!(set.savepoints.resident_bytes(), 0);
    }
}

#[test]
fn a_page_read_again_is_not_read_from_the_log_again() {
    let rig = Rig::new();
    let mut set = rig.spilling(64 * BLOCK);
    let page_nos: Vec<PageNo> = (0..200).map(|_| allocate(&mut set, PageKind::Run)).collect();
    let (once, never) = (page_nos[0], page_nos[1]);
    fill(&mut set, page_nos[2], 1);
    assert_eq!(byte(&set, once), 0);
    damage(&rig, spilled_at(&set, once));
    damage(&rig, spilled_at(&set, never));
    // The first of them is clean in memory; every other page is read once.
    for page_no in &page_nos[2..120] {
        set.page(*page_no, TREE, 1).unwrap();
        assert_eq!(byte(&set, once), 0);
        assert!(held_bytes(&set) <= 66 * BLOCK);
    }
    assert!(matches!(set.page(never, TREE, 1), Err(Error::Corrupt { .. })));
    assert!(matches!(set.page_mut(never, TREE, 1), Err(Error::Corrupt { .. })));
}

#[test]
fn a_spilled_page_is_checked_against_its_reference() {
    let rig = Rig::new();
    let mut set = rig.spilling(0);
    let page_no = allocate(&mut set, PageKind::Run);
    set.make_room().unwrap();
    assert!(matches!(set.page(page_no, TreeId(2), 1), Err(Error::Corrupt { .. })));
    assert!(matches!(set.page(page_no, TREE, 2), Err(Error::Corrupt { .. })));
    assert!(matches!(set.free(page_no, TREE, 2), Err(Error::Corrupt { .. })));
    assert!(matches!(set.page_mut(page_no, TreeId(2), 1), Err(Error::Corrupt { .. })));
    assert!(set.page(page_no, TREE, 1).is_ok());
}

#[test]
fn a_page_spilled_back_and_forth_keeps_its_origin() {
    let rig = Rig::new();
    let mut set = rig.spilling(0);
    let root = rig.trees[0].root;
    for _ in 0..3 {
        set.page_mut(root, TREE, 1).unwrap();
        set.make_room().unwrap();
    }
    let (pages, _) = set.into_pages();
    let replaces: Vec<CommitNo> = pages.iter().map(|(_, dirty)| dirty.replaces).collect();
    assert_eq!(replaces, [CommitNo(1)]);
}
