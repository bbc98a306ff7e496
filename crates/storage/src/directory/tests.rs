use super::*;
use crate::page::{BLOCK_BYTES, PageKind, TreeId};

fn page(no: u32, version: u64) -> Page {
    let mut page = Page::new(PageKind::Leaf, TreeId(1), PageNo(no), 1);
    page.set_version(CommitNo(version));
    page
}

fn version_seen(directory: &Directory, no: u32, snapshot: u64) -> Option<u64> {
    match directory.look_up(PageNo(no), CommitNo(snapshot)) {
        Lookup::Resident(page) => Some(page.version().0),
        Lookup::At(Place::Log(_), version) => Some(version.0),
        Lookup::At(Place::File, _) => Some(0),
        Lookup::At(Place::Freed, _) | Lookup::Freed => None,
    }
}

#[test]
fn each_snapshot_sees_the_newest_version_not_newer_than_itself() {
    let directory = Directory::new(1 << 20);
    let oldest = CommitNo(1);
    directory.install(&page(7, 3), 4096, oldest);
    directory.install(&page(7, 5), 9000, oldest);
    directory.install_freed(PageNo(7), CommitNo(8), oldest);
    let seen: Vec<_> = (1..10).map(|snapshot| version_seen(&directory, 7, snapshot)).collect();
    let want = [Some(0), Some(0), Some(3), Some(3), Some(5), Some(5), Some(5), None, None];
    assert_eq!(seen, want);
}

#[test]
fn versions_that_no_snapshot_needs_are_dropped() {
    let directory = Directory::new(1 << 20);
    directory.install(&page(7, 3), 4096, CommitNo(1));
    directory.install(&page(7, 5), 8192, CommitNo(4));
    assert_eq!(directory.stats().entry_count, 2);
    directory.install(&page(7, 6), 12288, CommitNo(6));
    assert_eq!(directory.stats().entry_count, 1);
    assert_eq!(directory.stats().resident_bytes, BLOCK_BYTES as u64);
}

#[test]
fn a_checkpoint_moves_what_it_copied_and_leaves_the_newer() {
    let directory = Directory::new(1 << 20);
    let oldest = CommitNo(3);
    directory.install(&page(7, 3), 100, oldest);
    directory.install(&page(7, 5), 200, oldest);
    directory.install(&page(8, 2), 300, oldest);
    directory.install_freed(PageNo(9), CommitNo(2), oldest);
    let logged = directory.logged_upto(CommitNo(3));
    let copied: Vec<_> = logged.iter().map(|l| (l.page_no.0, l.version.0, l.position)).collect();
    assert_eq!(copied, [(7, 3, 100), (8, 2, 300)]);
    directory.checkpointed(CommitNo(3));
    assert_eq!(directory.logged_upto(CommitNo(9)).len(), 1);
    assert_eq!(version_seen(&directory, 7, 5), Some(5));
    assert_eq!(version_seen(&directory, 7, 4), Some(3));
    assert_eq!(version_seen(&directory, 9, 4), Some(0));
}

#[test]
fn the_budget_holds_and_a_scan_does_not_push_out_what_is_used() {
    const PAGES: u64 = 100;
    let directory = Directory::new(PAGES * BLOCK_BYTES as u64);
    let read = |no: u32| {
        if let Lookup::At(..) = directory.look_up(PageNo(no), CommitNo(9)) {
            directory.keep(&page(no, 1), Place::File);
        }
    };
    for _ in 0..4 {
        (0..60).for_each(read);
    }
    let before = directory.stats();
    (1000..9000).for_each(read);
    assert!(directory.stats().resident_bytes <= PAGES * BLOCK_BYTES as u64);
    (0..60).for_each(read);
    let hits = directory.stats().hit_count - before.hit_count;
    assert!(hits >= 55, "only {hits} of 60 pages in use survived the scan");
}

#[test]
fn a_page_in_the_log_keeps_its_place_when_its_bytes_leave() {
    let directory = Directory::new(4 * BLOCK_BYTES as u64);
    for no in 0..40 {
        directory.install(&page(no, 2), 4096 * u64::from(no), CommitNo(2));
    }
    assert!(directory.stats().resident_bytes <= 4 * BLOCK_BYTES as u64);
    assert_eq!(directory.logged_upto(CommitNo(2)).len(), 40);
    let Lookup::At(Place::Log(0), CommitNo(2)) = directory.look_up(PageNo(0), CommitNo(3)) else {
        panic!("page 0 was evicted and is in the log");
    };
}

#[test]
fn bytes_in_memory_are_counted_through_releases_and_returns() {
    let directory = Directory::new(8 * BLOCK_BYTES as u64);
    let mut state = 1u64;
    for version in 1..3000u64 {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let no = (state >> 33) as u32 % 30;
        match state >> 60 {
            0..8 => directory.install(&page(no, version), version, CommitNo(version)),
            8..14 => {
                if let Lookup::At(place @ Place::Log(_), at) =
                    directory.look_up(PageNo(no), CommitNo(version))
                {
                    directory.keep(&page(no, at.0), place);
                }
            }
            14 => directory.install_freed(PageNo(no), CommitNo(version), CommitNo(version)),
            _ => directory.checkpointed(CommitNo(version)),
        }
        let shard = directory.shards[0].lock().unwrap();
        let resident: usize = shard
            .chains
            .values()
            .flatten()
            .filter_map(|v| v.page.as_ref().map(|p| p.bytes().len()))
            .sum();
        assert_eq!(shard.budget.used_bytes(), resident as u64);
        assert!(resident <= 8 * BLOCK_BYTES);
    }
}

#[test]
fn pages_of_several_blocks_use_the_whole_budget() {
    let directory = Directory::new(64 << 20);
    for no in (3..40_000).step_by(4) {
        directory.install(&page(no, 2), u64::from(no) * 4096, CommitNo(2));
    }
    let held = 10_000 * BLOCK_BYTES as u64;
    assert!(directory.stats().resident_bytes >= held * 9 / 10, "{:?}", directory.stats());
}
