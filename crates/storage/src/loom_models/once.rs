//! What is set once without a lock: pins, descriptors, the place behind a commit.

use super::{Bound, explore, join, spawn};
use crate::directory::Directory;
use crate::ids::TreeId;
use crate::page::{BLOCK_BYTES, CommitNo, Page, PageKind, PageNo};
use crate::pins::{Descriptors, Pins};
use crate::tree::TreeDescriptor;
use std::sync::Arc;

fn inner(no: u32) -> Page {
    let mut page = Page::new(PageKind::Inner, TreeId(1), PageNo(no), 1);
    page.set_version(CommitNo(1));
    page
}

#[test]
fn pins_that_race_for_a_place_are_paid_for_and_given_back() {
    explore("pins", Bound { preemptions: 2, least: 1_500 }, || {
        let directory = Directory::new(16 * BLOCK_BYTES as u64, None);
        let pins = Arc::new(Pins::default());
        let offer = |no: u32| {
            let (pins, directory) = (Arc::clone(&pins), Arc::clone(&directory));
            spawn(move || {
                pins.offer(&inner(no), &directory);
                pins.get(PageNo(no)).is_none_or(|page| page.page_no() == PageNo(no))
            })
        };
        assert!([offer(7), offer(7)].into_iter().all(join));
        let pinned = usize::from(pins.get(PageNo(7)).is_some());
        // Both who offer the same page may find a place for it.
        let paid = directory.stats().pinned_bytes;
        assert!(paid >= (pinned * BLOCK_BYTES) as u64);
        assert!(paid <= 2 * BLOCK_BYTES as u64, "an eighth of the cache");
        assert_eq!(paid, directory.stats().resident_bytes);
        drop(pins);
        assert_eq!(directory.stats().resident_bytes, 0);
    });
}

#[test]
fn descriptors_are_remembered_whole() {
    explore("descriptors", Bound { preemptions: 3, least: 1_500 }, || {
        let known = Arc::new(Descriptors::default());
        let descriptor = TreeDescriptor {
            id: TreeId(3),
            root: PageNo(9),
            page_blocks: 1,
            entry_count: 0,
            key_bytes: 0,
            value_bytes: 0,
            block_count: 1,
            page_count: 1,
        };
        let writers: Vec<_> = (0..2)
            .map(|_| Arc::clone(&known))
            .map(|known| spawn(move || known.insert(descriptor)))
            .collect();
        let seen = known.get(TreeId(3));
        assert!(seen.is_none_or(|seen| seen == descriptor));
        writers.into_iter().for_each(join);
        assert_eq!(known.get(TreeId(3)), Some(descriptor));
    });
}
