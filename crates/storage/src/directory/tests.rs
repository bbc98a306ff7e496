use super::*;
use crate::page::{BLOCK_BYTES, PageKind, TreeId};

mod model;

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
    let directory = Directory::new(1 << 20, None);
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
    let directory = Directory::new(1 << 20, None);
    directory.install(&page(7, 3), 4096, CommitNo(1));
    directory.install(&page(7, 5), 8192, CommitNo(4));
    assert_eq!(directory.stats().entry_count, 2);
    directory.install(&page(7, 6), 12288, CommitNo(6));
    assert_eq!(directory.stats().entry_count, 1);
    assert_eq!(directory.stats().resident_bytes, BLOCK_BYTES as u64);
}

#[test]
fn a_checkpoint_moves_what_it_copied_and_leaves_the_newer() {
    let directory = Directory::new(1 << 20, None);
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
    let directory = Directory::new(PAGES * BLOCK_BYTES as u64, None);
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
    let directory = Directory::new(4 * BLOCK_BYTES as u64, None);
    for no in 0..40 {
        directory.install(&page(no, 2), 4096 * u64::from(no), CommitNo(2));
    }
    assert!(directory.stats().resident_bytes <= 4 * BLOCK_BYTES as u64);
    assert_eq!(directory.logged_upto(CommitNo(2)).len(), 40);
    let Lookup::At(Place::Log(0), CommitNo(2)) = directory.look_up(PageNo(0), CommitNo(3)) else {
        panic!("page 0 was evicted and is in the log");
    };
}

/// Bytes of the pages that the entries hold.
fn bytes_held(directory: &Directory) -> u64 {
    let in_shard = |shard: &Mutex<Shard>| {
        let shard = shard.lock().unwrap();
        let page_nos = shard.versions.page_nos();
        let entries = page_nos.flat_map(|page_no| shard.versions.chain(page_no));
        entries.map(|(_, entry)| entry.resident_bytes()).sum::<u64>()
    };
    directory.shards.iter().map(in_shard).sum()
}

#[test]
fn bytes_in_memory_are_counted_through_releases_and_returns() {
    let directory = Directory::new(8 * BLOCK_BYTES as u64, None);
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
        assert_eq!(directory.stats().resident_bytes, bytes_held(&directory));
        assert!(bytes_held(&directory) <= 8 * BLOCK_BYTES as u64);
    }
}

#[test]
fn pages_of_several_blocks_use_the_whole_budget() {
    let directory = Directory::new(64 << 20, None);
    for no in (3..40_000).step_by(4) {
        directory.install(&page(no, 2), u64::from(no) * 4096, CommitNo(2));
    }
    let held = 10_000 * BLOCK_BYTES as u64;
    assert!(directory.stats().resident_bytes >= held * 9 / 10, "{:?}", directory.stats());
}

#[test]
fn a_cache_of_nothing_keeps_nothing_and_knows_where_all_is() {
    let directory = Directory::new(0, None);
    directory.install(&page(7, 3), 4096, CommitNo(3));
    directory.keep(&page(8, 1), Place::File);
    assert_eq!(directory.stats().resident_bytes, 0);
    assert_eq!(version_seen(&directory, 7, 3), Some(3));
    assert_eq!(directory.stats().entry_count, 1);
}

#[test]
fn an_entry_takes_at_most_64_bytes() {
    const ENTRIES: u32 = 1_000_000;
    let directory = Directory::new(20 << 20, None);
    let mut most = 0;
    for no in 0..ENTRIES {
        let logged = LoggedPage {
            page_no: PageNo(no),
            block_count: 1,
            version: CommitNo(2),
            position: u64::from(no) * 4096,
        };
        directory.install_logged(logged, CommitNo(2));
        if no > ENTRIES / 10 && no % 9973 == 0 {
            let stats = directory.stats();
            most = most.max(stats.entry_bytes / stats.entry_count);
        }
    }
    assert!(most <= 64, "{most} bytes an entry");
}

#[test]
fn a_chain_of_versions_takes_no_more_than_as_many_pages() {
    let directory = Directory::new(20 << 20, None);
    for version in 1..200_000 {
        directory.install(&page(version as u32 % 1000, version), 1, CommitNo(0));
        // Chains are meant to be short; a hundred versions of a thousand pages is a long reader.
        if version == 100_000 {
            break;
        }
    }
    let stats = directory.stats();
    assert_eq!(stats.entry_count, 100_000);
    assert!(stats.entry_bytes / stats.entry_count <= 64, "{stats:?}");
}

#[test]
fn a_checkpoint_gives_the_memory_of_entries_back() {
    let directory = Directory::new(4 << 20, None);
    for no in 0..200_000 {
        directory.install(&page(no, 2), u64::from(no) * 4096, CommitNo(2));
    }
    let before = directory.stats();
    directory.checkpointed(CommitNo(2));
    let after = directory.stats();
    assert!(after.entry_bytes < before.entry_bytes / 10, "{before:?} -> {after:?}");
    assert_eq!(after.resident_bytes, before.resident_bytes);
    let kept = (0..200_000).filter(|no| directory.resident(PageNo(*no), CommitNo(2)).is_some());
    assert_eq!(kept.count() as u64 * BLOCK_BYTES as u64, after.resident_bytes);
    // What was moved together is still in order of eviction.
    for no in 300_000..310_000 {
        directory.keep(&page(no, 1), Place::File);
    }
    assert_eq!(directory.stats().resident_bytes, bytes_held(&directory));
}

#[test]
fn pages_of_all_sizes_share_a_tiny_cache() {
    for blocks in 0..20u64 {
        let directory = Directory::new(blocks * BLOCK_BYTES as u64, None);
        for no in 0..200u32 {
            let size = [1, 2, 4, 7, 100][no as usize % 5];
            let mut page = Page::new(PageKind::Leaf, TreeId(1), PageNo(no), size);
            page.set_version(CommitNo(1));
            directory.keep(&page, Place::File);
            assert!(directory.stats().resident_bytes <= blocks * BLOCK_BYTES as u64);
        }
        let is_used = directory.stats().resident_bytes > 0;
        assert_eq!(is_used, blocks > 0);
    }
}

mod shared {
    use super::*;

    const LIMIT: u64 = 100 * BLOCK_BYTES as u64;

    fn read(directory: &Directory, no: u32) {
        if let Lookup::At(..) = directory.look_up(PageNo(no), CommitNo(9)) {
            directory.keep(&page(no, 1), Place::File);
        }
    }

    #[test]
    fn what_one_database_leaves_another_may_use() {
        let buffer = PageBuffer::with_limit(LIMIT);
        let a = Directory::new(u64::MAX, Some(buffer.clone()));
        let b = Directory::new(u64::MAX, Some(buffer.clone()));
        (0..1000).for_each(|no| read(&a, no));
        assert_eq!((a.stats().resident_bytes, b.stats().resident_bytes), (LIMIT, 0));
        assert_eq!((buffer.used_bytes(), buffer.database_count()), (LIMIT, 2));
    }

    #[test]
    fn a_database_below_its_share_takes_from_one_above() {
        let buffer = PageBuffer::with_limit(LIMIT);
        let a = Directory::new(u64::MAX, Some(buffer.clone()));
        let b = Directory::new(u64::MAX, Some(buffer.clone()));
        (0..1000).for_each(|no| read(&a, no));
        (0..30).for_each(|no| read(&b, no));
        assert_eq!(b.stats().resident_bytes, 30 * BLOCK_BYTES as u64);
        // A scan beside it takes nothing from it.
        (1000..9000).for_each(|no| read(&a, no));
        let hits = b.stats().hit_count;
        (0..30).for_each(|no| read(&b, no));
        assert_eq!(b.stats().hit_count - hits, 30);
        // Nor does it, growing, take more than its half.
        (0..1000).for_each(|no| read(&b, no));
        assert_eq!(a.stats().resident_bytes, LIMIT / 2);
        assert_eq!(buffer.used_bytes(), LIMIT);
    }

    #[test]
    fn a_database_that_ends_leaves_its_share() {
        let buffer = PageBuffer::with_limit(LIMIT);
        let a = Directory::new(u64::MAX, Some(buffer.clone()));
        let b = Directory::new(u64::MAX, Some(buffer.clone()));
        (0..1000).for_each(|no| read(&a, no));
        drop(a);
        assert_eq!((buffer.used_bytes(), buffer.database_count()), (0, 1));
        (0..1000).for_each(|no| read(&b, no));
        assert_eq!(b.stats().resident_bytes, LIMIT);
    }

    #[test]
    fn a_database_keeps_to_its_own_limit_in_a_larger_buffer() {
        let buffer = PageBuffer::with_limit(LIMIT);
        let a = Directory::new(LIMIT / 10, Some(buffer.clone()));
        (0..1000).for_each(|no| read(&a, no));
        assert_eq!(buffer.used_bytes(), LIMIT / 10);
    }

    #[test]
    fn databases_on_several_threads_keep_to_the_buffer() {
        let buffer = PageBuffer::with_limit(LIMIT);
        let directories: Vec<_> =
            (0..4).map(|_| Directory::new(u64::MAX, Some(buffer.clone()))).collect();
        std::thread::scope(|scope| {
            for (seed, directory) in directories.iter().enumerate() {
                let buffer = &buffer;
                scope.spawn(move || {
                    for step in 0..20_000u32 {
                        read(directory, (step * 7 + seed as u32) % 300);
                        assert!(buffer.used_bytes() <= LIMIT);
                    }
                });
            }
        });
        let held: u64 = directories.iter().map(|directory| bytes_held(directory)).sum();
        assert_eq!(buffer.used_bytes(), held);
        drop(directories);
        assert_eq!((buffer.used_bytes(), buffer.database_count()), (0, 0));
    }
}
