//! Damaged pages: every operation must end with an error or an answer.
//!
//! Pages are damaged below the checksum, as somebody does who can compute it. What passes
//! [`check_structure`] must do no harm; what does not is an error.

use super::*;
use crate::page::page_no_of;
use crate::page::put as put_bytes;
use std::ops::Bound;

/// A tree of three levels with large values and keys, and some of its keys.
fn victim(page_blocks: u8) -> (MemPages, TreeDescriptor, Vec<Vec<u8>>) {
    let (mut pages, mut tree) = new_tree(page_blocks);
    let mut random = Random::new(40);
    let mut keys = Vec::new();
    for i in 0..1600u32 {
        let mut key = vec![b'p'; random.below(200)];
        if i % 40 == 0 {
            key.resize(3000, b'p');
        }
        key.extend_from_slice(&i.to_be_bytes());
        let value_len = if i % 20 == 0 { 9000 } else { random.below(100) };
        put(&mut pages, &mut tree, &key, &vec![1; value_len]).unwrap();
        keys.push(key);
    }
    (pages, tree, keys)
}

/// Runs every operation on damaged pages. Nothing is asserted: what is tested is that each returns.
fn attack(pages: &MemPages, tree: &TreeDescriptor, keys: &[Vec<u8>], random: &mut Random) {
    let mut found = 0u32;
    let mut findings = |_: PageNo, _: &'static str| found += 1;
    let _ = check(pages, tree, &mut each_once(), &mut findings);
    let mut cursor = TreeCursor::new(*tree);
    let mut steps = 0;
    while steps < 2000 && matches!(cursor.next(pages), Ok(true)) {
        let _ = cursor.value(pages).map(|value| value.map(|value| value.len()));
        steps += 1;
    }
    let _ = cursor.last(pages);
    while steps < 4000 && matches!(cursor.prev(pages), Ok(true)) {
        steps += 1;
    }
    for _ in 0..10 {
        let (a, b) = (&keys[random.below(keys.len())], &keys[random.below(keys.len())]);
        let _ = get(pages, tree, a).map(|value| value.map(|value| value.to_vec()));
        let _ = cursor.seek(pages, a);
        let _ = cursor.seek_before(pages, b);
        let _ = estimate(pages, tree, Bound::Included(a), Bound::Excluded(b));
    }
    drop(cursor);
    let mut pages = pages.hostile_copy();
    let mut changed = *tree;
    for _ in 0..30 {
        let key = &keys[random.below(keys.len())];
        let len = random.skewed(10_000);
        let _ = match random.below(4) {
            0 => insert(&mut pages, &mut changed, &[key, &b"x"[..]].concat(), &vec![2; len])
                .map(drop),
            1 => put(&mut pages, &mut changed, key, &vec![3; len]),
            _ => remove(&mut pages, &mut changed, key).map(drop),
        };
    }
    let _ = destroy(&mut pages, &changed);
}

fn tree_pages(pages: &MemPages) -> Vec<PageNo> {
    pages.allocated().into_keys().collect()
}

#[test]
fn flipped_bytes_do_no_harm() {
    for page_blocks in [1, 4] {
        let (pages, tree, keys) = victim(page_blocks);
        let numbers = tree_pages(&pages);
        let mut random = Random::new(41);
        for _ in 0..600 {
            let mut damaged = pages.hostile_copy();
            for _ in 0..1 + random.below(3) {
                let page = damaged.bytes_of(numbers[random.below(numbers.len())]);
                // Most flips go where the structure is.
                let limit = if random.below(3) == 0 { page.len() } else { 200.min(page.len()) };
                let at = random.below(limit);
                page[at] = random.next() as u8;
            }
            attack(&damaged, &tree, &keys, &mut random);
        }
    }
}

/// Finds the bytes of a page's slots.
fn slot_places(page: &[u8]) -> Vec<usize> {
    let node = Slotted::new(page);
    (0..node.len()).map(|slot| 32 + node.prefix().len() + 8 * slot).collect()
}

/// Changes one field of the structure of one page.
fn mutate(page: &mut [u8], random: &mut Random, numbers: &[PageNo], root: PageNo) {
    const EDGES: [u16; 10] = [0, 1, 31, 32, 40, 4080, 4096, 0x3fff, 0x8000, 0xffff];
    let edge = EDGES[random.below(EDGES.len())].to_le_bytes();
    let slots = slot_places(page);
    let slot = slots.get(random.below(slots.len())).copied().unwrap_or(32);
    let own = page_no_of(page);
    let child = [own, root, numbers[random.below(numbers.len())], PageNo(0), PageNo(u32::MAX)];
    let child = child[random.below(child.len())];
    match random.below(9) {
        0 => put_bytes(page, 12, &edge),
        1 => put_bytes(page, 14, &edge),
        2 => put_bytes(page, 24, &edge),
        3 => put_bytes(page, 26, &edge),
        4 => put_bytes(page, 28, &[random.below(22) as u8]),
        5 => put_bytes(page, slot, &edge),
        6 => put_bytes(page, slot + 2, &edge),
        7 => put_bytes(page, 0, &[random.below(6) as u8]),
        // The last bytes of an inner cell are its child, those before a value the number of a run.
        _ => {
            let cell = usize::from(u16::from_le_bytes([page[slot], page[slot + 1]]));
            let at = (cell + random.below(12)).min(page.len() - 4);
            put_bytes(page, at, &child.0.to_le_bytes());
        }
    }
}

#[test]
fn directed_damage_does_no_harm() {
    for page_blocks in [1, 2] {
        let (pages, tree, keys) = victim(page_blocks);
        let numbers = tree_pages(&pages);
        let mut random = Random::new(42);
        for _ in 0..1500 {
            let mut damaged = pages.hostile_copy();
            for _ in 0..1 + random.below(2) {
                let target = numbers[random.below(numbers.len())];
                mutate(damaged.bytes_of(target), &mut random, &numbers, tree.root);
            }
            attack(&damaged, &tree, &keys, &mut random);
        }
    }
}

/// Points every child of every inner page somewhere.
fn redirect(pages: &mut MemPages, child: impl Fn(&Page) -> Option<PageNo>) {
    for page_no in tree_pages(pages) {
        let page = pages.page_of(page_no).clone();
        let (PageKind::Inner, Some(child)) = (page.kind().unwrap(), child(&page)) else { continue };
        let node = Slotted::new(page.bytes());
        let mut bytes = page.bytes().to_vec();
        for slot in 0..node.len() {
            let mut key = Vec::new();
            let run = node.push_suffix(slot, &mut key);
            let place = slot_places(&bytes)[slot];
            let cell = usize::from(u16::from_le_bytes([bytes[place], bytes[place + 1]]));
            let at = cell + key.len().saturating_sub(4) + if run.is_some() { 8 } else { 0 };
            put_bytes(&mut bytes, at, &child.0.to_le_bytes());
        }
        pages.bytes_of(page_no).copy_from_slice(&bytes);
    }
}

#[test]
fn loops_and_shared_children_end() {
    let (pages, tree, keys) = victim(1);
    let mut random = Random::new(43);
    let levels: std::collections::BTreeMap<u8, PageNo> = tree_pages(&pages)
        .into_iter()
        .filter(|page_no| pages.page_of(*page_no).kind() != Some(PageKind::Run))
        .map(|page_no| (Slotted::new(pages.page_of(page_no).bytes()).level(), page_no))
        .collect();
    assert!(levels.len() >= 3, "the victim has {} levels", levels.len());
    let level = |page: &Page| Slotted::new(page.bytes()).level();
    let below = |page: &Page| levels.get(&level(page).checked_sub(1)?).copied();
    type Target<'a> = &'a dyn Fn(&Page) -> Option<PageNo>;
    let targets: [Target<'_>; 4] =
        [&|page| Some(page.page_no()), &|_| Some(tree.root), &|_| Some(PageNo(12)), &below];
    for target in targets {
        let mut damaged = pages.hostile_copy();
        redirect(&mut damaged, target);
        attack(&damaged, &tree, &keys, &mut random);
        let mut findings = 0;
        let mut count = |_: PageNo, _: &'static str| findings += 1;
        check(&damaged, &tree, &mut each_once(), &mut count).unwrap();
        assert!(findings > 0);
    }
}

#[test]
fn a_run_in_the_place_of_a_page_is_refused() {
    let (pages, tree, keys) = victim(1);
    let runs = pages.allocated().into_iter().filter(|(_, blocks)| *blocks == 1);
    let run = runs
        .map(|(page_no, _)| page_no)
        .find(|page_no| pages.page_of(*page_no).kind() == Some(PageKind::Run))
        .unwrap();
    let mut damaged = pages.hostile_copy();
    redirect(&mut damaged, |_| Some(run));
    let result = get(&damaged, &tree, &keys[0]);
    assert!(matches!(result, Err(Error::Corrupt { page, .. }) if page == run));
}

#[test]
fn the_structure_of_a_page_is_checked_field_by_field() {
    let (mut pages, mut tree) = new_tree(1);
    for key in ["ba", "bbbbbbbb", "bbbbcccc", "bc"] {
        put(&mut pages, &mut tree, key.as_bytes(), b"value").unwrap();
    }
    let good = pages.page_of(tree.root).bytes().to_vec();
    assert_eq!(check_structure(&good), Ok(()));
    let damage: [(usize, &[u8], &str); 10] = [
        (0, &[9], "is no page of a tree"),
        (0, &[2], "has an impossible level"),
        (28, &[1], "has an impossible level"),
        (29, &[1], "has a header that is no tree page's"),
        (12, &[255, 255], "has slots or a heap outside its body"),
        (24, &[32, 0], "has slots or a heap outside its body"),
        (14, &[255, 255], "has too long a prefix"),
        (26, &[1, 0], "has a wrong count of unused bytes"),
        (33, &[0, 0], "has a cell outside its heap"),
        (37, b"z", "has keys out of order"),
    ];
    for (at, bytes, reason) in damage {
        let mut page = good.clone();
        put_bytes(&mut page, at, bytes);
        assert_eq!(check_structure(&page), Err(reason), "byte {at}");
    }
    assert!(check_structure(&[]).is_err());
    assert!(check_structure(&good[..100]).is_err());
}

#[test]
fn the_check_finds_what_a_page_alone_does_not_show() {
    let (mut pages, mut tree) = new_tree(1);
    for i in 0..2000u32 {
        put(&mut pages, &mut tree, &i.to_be_bytes(), b"0123456789").unwrap();
    }
    let findings_of = |pages: &MemPages, tree: &TreeDescriptor| {
        let mut findings = Vec::new();
        let mut note = |_: PageNo, what: &'static str| findings.push(what);
        check(pages, tree, &mut each_once(), &mut note).unwrap();
        findings
    };
    assert!(findings_of(&pages, &tree).is_empty());
    let miscounted = TreeDescriptor { entry_count: tree.entry_count + 1, ..tree };
    let counts = "has entries or blocks that its descriptor does not count";
    assert_eq!(findings_of(&pages, &miscounted), [counts]);
    // Two leaves change places: each page is right, the order is not.
    let leaves: Vec<PageNo> =
        tree_pages(&pages).into_iter().filter(|no| *no != tree.root).collect();
    let (a, b) = (leaves[2], leaves[5]);
    let content = |page_no: PageNo| pages.page_of(page_no).bytes().to_vec();
    let (content_a, content_b) = (content(a), content(b));
    let mut damaged = pages.hostile_copy();
    slots::copy_content(damaged.bytes_of(a), &content_b);
    slots::copy_content(damaged.bytes_of(b), &content_a);
    let findings = findings_of(&damaged, &tree);
    assert!(findings.contains(&"has keys out of order"), "{findings:?}");
    assert!(findings.contains(&"has a key beyond its separator"), "{findings:?}");
}

#[test]
fn an_operation_that_meets_a_full_disk_returns_the_error() {
    let (mut pages, mut tree) = new_tree(1);
    pages.max_blocks = 20;
    let mut i = 0u32;
    let error = loop {
        match insert(&mut pages, &mut tree, &i.to_be_bytes(), &[0; 600]) {
            Ok(_) => i += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::NoSpace { .. }));
    assert!(i > 50);
}

/// Fails every call of an operation in turn; returns how many it makes.
fn fail_each_call<T>(
    pages: &MemPages,
    operation: impl Fn(&mut MemPages) -> Result<T>,
    what: &str,
) -> u64 {
    for calls in 0..10_000 {
        let mut copy = pages.hostile_copy();
        copy.calls_left.set(calls);
        match operation(&mut copy) {
            Ok(_) => return calls,
            Err(Error::NoSpace { what: "go on" }) => {}
            Err(other) => panic!("{what}, call {calls}: {other}"),
        }
    }
    panic!("{what} does not end");
}

#[test]
fn no_error_of_a_page_is_lost() {
    let (pages, tree, keys) = victim(1);
    let value = vec![5; 9000];
    let mut most = 0;
    for key in keys.iter().step_by(8) {
        let new_key = [key, &b"x"[..]].concat();
        let mut note = |calls| most = u64::max(most, calls);
        note(fail_each_call(&pages, |pages| get(pages, &tree, key), "get"));
        note(fail_each_call(&pages, |pages| put(pages, &mut { tree }, key, &value), "put"));
        let insert_new = |pages: &mut MemPages| insert(pages, &mut { tree }, &new_key, &value);
        note(fail_each_call(&pages, insert_new, "insert"));
        note(fail_each_call(&pages, |pages| remove(pages, &mut { tree }, key), "remove"));
        let seek = |pages: &mut MemPages| TreeCursor::new(tree).seek_before(pages, &new_key);
        note(fail_each_call(&pages, seek, "seek_before"));
    }
    assert!(most > 12, "no operation divided or merged pages: {most} calls at most");
}
