//! Pages in memory: pinned, kept and put out by several threads and stores under one bound.

use super::{Bound, explore, join, spawn};
use crate::buffer::PageBuffer;
use crate::directory::{Directory, LoggedPage, Lookup, Place};
use crate::page::{BLOCK_BYTES, CommitNo, Page, PageKind, PageNo, TreeId};
use std::sync::Arc;

const PAGE: u64 = BLOCK_BYTES as u64;

fn page(no: u32, version: u64) -> Page {
    let mut page = Page::new(PageKind::Leaf, TreeId(1), PageNo(no), 1);
    page.set_version(CommitNo(version));
    page
}

/// Reads a page as the pager does; the one that is seen is never newer than the snapshot.
fn read(directory: &Directory, no: u32, snapshot: u64) {
    match directory.look_up(PageNo(no), CommitNo(snapshot)) {
        Lookup::Resident(page) => {
            assert_eq!(page.page_no(), PageNo(no));
            assert!(page.version() <= CommitNo(snapshot));
        }
        Lookup::At(place, version) => {
            assert!(version <= CommitNo(snapshot));
            let version = if place == Place::File { 1 } else { version.0 };
            directory.keep(&page(no, version), place);
        }
        Lookup::Freed => panic!("nothing was freed"),
    }
    assert!(directory.stats().buffer_used_bytes <= directory.stats().buffer_limit_bytes);
}

fn resident_bytes(directory: &Directory, pages: &[(u32, u64)]) -> u64 {
    let resident =
        |(no, version): &&(u32, u64)| directory.resident(PageNo(*no), CommitNo(*version)).is_some();
    pages.iter().filter(resident).count() as u64 * PAGE
}

#[test]
fn the_bound_holds_and_every_byte_is_accounted_for() {
    explore("evict", Bound { preemptions: 2, least: 15_000 }, || {
        let directory = Directory::new(2 * PAGE, None);
        let (a, b) = (Arc::clone(&directory), Arc::clone(&directory));
        let a = spawn(move || (7..10).for_each(|no| read(&a, no, 2)));
        let b = spawn(move || {
            read(&b, 8, 2);
            b.install(&page(7, 3), 4096, CommitNo(2));
            read(&b, 7, 3);
        });
        join(a);
        join(b);
        let pages = [(7, 1), (8, 1), (9, 1), (7, 3)];
        assert_eq!(directory.stats().resident_bytes, resident_bytes(&directory, &pages));
        assert!(matches!(
            directory.look_up(PageNo(7), CommitNo(2)),
            Lookup::Resident(_) | Lookup::At(Place::File, _)
        ));
    });
}

#[test]
fn stores_that_share_a_buffer_keep_its_bound() {
    explore("evict_shared", Bound { preemptions: 2, least: 7_000 }, || {
        let buffer = PageBuffer::with_limit(2 * PAGE);
        let directories = [(); 2].map(|()| Directory::new(2 * PAGE, Some(buffer.clone())));
        let threads = directories
            .clone()
            .map(|directory| spawn(move || (7..9).for_each(|no| read(&directory, no, 2))));
        threads.into_iter().for_each(join);
        let pages = [(7, 1), (8, 1)];
        let resident = directories.each_ref().map(|directory| resident_bytes(directory, &pages));
        assert_eq!(buffer.used_bytes(), resident.iter().sum::<u64>());
        drop(directories);
        assert_eq!(buffer.used_bytes(), 0);
        assert_eq!(buffer.database_count(), 0);
    });
}

#[test]
fn a_checkpoint_moves_what_readers_look_up_and_keep() {
    explore("evict_checkpoint", Bound { preemptions: 3, least: 900 }, || {
        let directory = Directory::new(2 * PAGE, None);
        let logged =
            LoggedPage { page_no: PageNo(7), block_count: 1, version: CommitNo(2), position: 4096 };
        directory.install_logged(logged, CommitNo(2));
        let (reader, writer) = (Arc::clone(&directory), Arc::clone(&directory));
        let reader = spawn(move || {
            read(&reader, 8, 2);
            match reader.look_up(PageNo(7), CommitNo(2)) {
                Lookup::At(place @ Place::Log(at), version) => {
                    assert_eq!((at, version.0), (4096, 2));
                    reader.keep(&page(7, 2), place);
                }
                // Copied by then.
                Lookup::At(Place::File, _) => reader.keep(&page(7, 2), Place::File),
                other => panic!("{other:?}"),
            }
        });
        let writer = spawn(move || writer.install(&page(7, 3), 8192, CommitNo(2)));
        directory.checkpointed(CommitNo(2));
        join(reader);
        join(writer);
        assert_eq!(directory.logged_upto(CommitNo(2)), [], "the log there is used again");
        let newest = directory.look_up(PageNo(7), CommitNo(3));
        assert!(match newest {
            Lookup::Resident(page) => page.version() == CommitNo(3),
            Lookup::At(Place::Log(at), version) => (at, version.0) == (8192, 3),
            _ => false,
        });
        let pages = [(8, 1), (7, 2), (7, 3)];
        assert_eq!(directory.stats().resident_bytes, resident_bytes(&directory, &pages));
    });
}
