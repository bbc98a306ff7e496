//! The three checks: what they find, what they cost, and how they end.

mod support;

use any_store_storage::vfs::MemVfs;
use any_store_storage::{
    BLOCK_BYTES, Cancel, CheckOptions, CheckpointMode, Error, FindingKind, OnProgress, PageNo,
    Store, StoreOptions, Sync as CommitSync, TreeId, TreeOptions, VerifyOptions,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use support::*;
use twox_hash::XxHash3_128;

const LEAF: u8 = 1;
const INNER: u8 = 2;
const RUN: u8 = 3;
const BITMAP: u8 = 4;

fn hooked() -> HookedVfs {
    HookedVfs::new(MemVfs::new())
}

/// A closed database: a tree of three levels in single blocks, one with large values, one with long
/// keys, and free blocks in between.
fn victim() -> Vec<u8> {
    let vfs = hooked();
    let store = open(&vfs);
    let mut txn = store.begin_write().unwrap();
    for page_blocks in [1, 4, 1] {
        txn.create_tree(TreeOptions { page_blocks: Some(page_blocks) }).unwrap();
    }
    for n in 0..600u64 {
        txn.put(TreeId(1), &[&key(n)[..], &[b'k'; 300]].concat(), &[1; 60]).unwrap();
    }
    for n in 0..40u64 {
        txn.put(TreeId(2), &key(n), &vec![2; 900 * n as usize]).unwrap();
        let long = [&vec![b'l'; 2000][..], &key(n)].concat();
        txn.put(TreeId(3), &long, &[3; 40]).unwrap();
    }
    txn.commit().unwrap();
    store.checkpoint(CheckpointMode::Passive).unwrap();
    let mut txn = store.begin_write().unwrap();
    for n in 10..20u64 {
        txn.remove(TreeId(2), &key(n)).unwrap();
    }
    txn.commit().unwrap();
    store.close().unwrap();
    bytes_of(&vfs.mem, PATH)
}

fn number(bytes: &[u8], at: usize, width: usize) -> usize {
    bytes[at..at + width].iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte))
}

/// Every page of a file with its block count, by the headers.
fn pages(file: &[u8]) -> Vec<(usize, usize)> {
    let mut pages = Vec::new();
    let mut block = 2;
    while block * BLOCK_BYTES < file.len() {
        let header = &file[block * BLOCK_BYTES..];
        let blocks = number(header, 2, 2);
        if header[0] == 0 {
            block += 1;
            continue;
        }
        pages.push((block, blocks));
        block += blocks;
    }
    pages
}

/// Makes the check of a page hold, whatever it says.
fn restamp(file: &mut [u8], page_no: usize, blocks: usize) {
    let seed = u64::from_le_bytes(file[24..32].try_into().unwrap());
    let page = &mut file[page_no * BLOCK_BYTES..][..blocks * BLOCK_BYTES];
    let own = number(page, 8, 4) as u64;
    let seed = seed ^ own.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let end = page.len() - 16;
    let tail = XxHash3_128::oneshot_with_seed(seed, &page[..end]).to_le_bytes();
    page[end..].copy_from_slice(&tail);
}

fn open_bytes(file: &[u8]) -> Result<Store, Error> {
    let memory = MemVfs::new();
    memory.put_file(PATH, file.to_vec());
    let read_only = StoreOptions { read_only: true, ..options() };
    Store::open(Arc::new(memory), Path::new(PATH), read_only)
}

/// Where the cells of a tree page are.
fn cells(page: &[u8]) -> Vec<usize> {
    let slots = 32 + number(page, 14, 2);
    (0..number(page, 12, 2)).map(|slot| number(page, slots + 8 * slot, 2)).collect()
}

#[test]
fn restamping_changes_nothing() {
    let file = victim();
    let mut same = file.clone();
    let all = pages(&file);
    let kind = |page_no: usize| file[page_no * BLOCK_BYTES];
    for wanted in [LEAF, INNER, RUN, BITMAP] {
        assert!(
            all.iter().any(|(page_no, _)| kind(*page_no) == wanted),
            "no page of kind {wanted}"
        );
    }
    all.iter().for_each(|(page_no, blocks)| restamp(&mut same, *page_no, *blocks));
    assert!(same == file, "the check is the engine's own");
    expect_sound(&open_bytes(&file).unwrap());
}

/// Runs every check, and every way to copy, on hostile bytes; gives the findings of the walk.
fn survive(file: &[u8]) -> u64 {
    let Ok(store) = open_bytes(file) else { return 1 };
    let _ = store.quick_check();
    let verified = store.verify().map_or(0, |report| report.finding_count);
    let _ = store.backup_to(&mut std::io::sink(), &Default::default());
    let compacted = store.compact_to(Path::new("/compacted"), &Default::default());
    let checked = store.integrity_check().unwrap();
    assert!(checked.page_count < 2 * (file.len() / BLOCK_BYTES) as u64, "pages are met once");
    if let Ok(report) = compacted {
        assert!(report.file_bytes < 4 * file.len() as u64 + 65_536, "{report:?}");
    }
    checked.finding_count + verified
}

#[test]
fn references_of_any_kind_end_the_walk_with_findings() {
    let file = victim();
    let all = pages(&file);
    let kind = |page_no: usize| file[page_no * BLOCK_BYTES];
    let leaves: Vec<usize> =
        all.iter().map(|page| page.0).filter(|page_no| kind(*page_no) == LEAF).collect();
    let runs: Vec<usize> =
        all.iter().map(|page| page.0).filter(|page_no| kind(*page_no) == RUN).collect();
    let mut tried = 0;
    for &(page_no, blocks) in all.iter().filter(|page| [LEAF, INNER].contains(&kind(page.0))) {
        let page = &file[page_no * BLOCK_BYTES..][..blocks * BLOCK_BYTES];
        let references = cells(page).into_iter().flat_map(|cell| (cell..cell + 24).step_by(1));
        // Of a leaf's bytes only those that are the number of a run.
        let is_reference = |at: usize| {
            let target = number(page, at, 4);
            if kind(page_no) == INNER { leaves.contains(&target) } else { runs.contains(&target) }
        };
        let places: Vec<usize> =
            references.filter(|&at| at + 4 <= page.len() && is_reference(at)).take(4).collect();
        for at in places {
            let root_of_another = leaves[0];
            let shared = if kind(page_no) == INNER { leaves[leaves.len() / 2] } else { runs[0] };
            let targets =
                [page_no, root_of_another, shared, 0, 1, 2, file.len() / 4096, 0xffff_ffff];
            for target in targets.into_iter().filter(|&target| target != number(page, at, 4)) {
                let mut hostile = file.clone();
                let place = page_no * BLOCK_BYTES + at;
                hostile[place..place + 4].copy_from_slice(&(target as u32).to_le_bytes());
                restamp(&mut hostile, page_no, blocks);
                assert!(survive(&hostile) > 0, "page {page_no}, byte {at}: {target}");
                tried += 1;
            }
        }
    }
    assert!(tried > 200, "{tried} references");
}

#[test]
fn header_fields_of_pages_of_any_value_are_survived() {
    let file = victim();
    let fields =
        [(0, 1), (1, 1), (2, 2), (4, 4), (8, 4), (12, 2), (14, 2), (16, 8), (24, 2), (26, 2)];
    let all = pages(&file);
    let mut kinds = std::collections::BTreeMap::new();
    for (page_no, blocks) in all {
        let pages: &mut Vec<_> = kinds.entry(file[page_no * BLOCK_BYTES]).or_default();
        pages.push((page_no, blocks));
    }
    for (page_no, blocks) in kinds.values().flat_map(|pages| pages.iter().take(3)) {
        for (at, width) in fields {
            for value in [0u64, 1, 2, 3, 5, 255, 0x7fff, 0xffff, 0xffff_ffff, u64::MAX] {
                let mut hostile = file.clone();
                let place = page_no * BLOCK_BYTES + at;
                hostile[place..place + width].copy_from_slice(&value.to_le_bytes()[..width]);
                restamp(&mut hostile, *page_no, *blocks);
                survive(&hostile);
            }
        }
    }
}

#[test]
fn a_bitmap_of_any_bits_is_survived_and_found() {
    let file = victim();
    for fill in [0x00, 0xff, 0x55] {
        let mut hostile = file.clone();
        hostile[2 * BLOCK_BYTES + 32..3 * BLOCK_BYTES - 16].fill(fill);
        restamp(&mut hostile, 2, 1);
        assert!(survive(&hostile) > 0);
        let store = open_bytes(&hostile).unwrap();
        let limited = CheckOptions { max_findings: 3, ..CheckOptions::default() };
        let report = store.integrity_check_with(&limited).unwrap();
        assert_eq!(report.findings.len(), 3);
        assert!(report.finding_count > 3);
        assert!(report.findings.iter().all(|finding| finding.kind == FindingKind::Space));
    }
}

#[test]
fn every_flipped_block_is_found_and_named_by_any_number_of_threads() {
    let file = victim();
    let all = pages(&file);
    for threads in [1, 2, 7] {
        for (page_no, blocks) in all.iter().step_by(3) {
            let mut damaged = file.clone();
            let body = page_no * BLOCK_BYTES + 40;
            damaged[body] ^= 4;
            let last = (page_no + blocks) * BLOCK_BYTES - 1;
            damaged[last] ^= 1;
            let store = open_bytes(&damaged).unwrap();
            let options = VerifyOptions { threads, ..VerifyOptions::default() };
            let report = store.verify_with(&options).unwrap();
            let found: Vec<PageNo> = report.findings.iter().map(|finding| finding.page).collect();
            let is_bitmap = file[page_no * BLOCK_BYTES] == BITMAP;
            assert_eq!(found, [PageNo(*page_no as u32)], "bitmap: {is_bitmap}");
            let tree = TreeId(number(&file, page_no * BLOCK_BYTES + 4, 4) as u32);
            assert!(is_bitmap || report.findings[0].tree == Some(tree));
            assert_eq!(report.findings[0].kind, FindingKind::Page);
        }
    }
    let whole = open_bytes(&file).unwrap().verify().unwrap();
    assert_eq!(whole.page_count, all.len() as u64);
    let used: usize = all.iter().map(|page| page.1).sum();
    let free = file.len() / BLOCK_BYTES - 2 - used;
    assert!(free > 0);
    assert_eq!(whole.free_block_count, free as u64);
}

#[test]
fn a_damaged_size_costs_no_finding_for_every_block_of_the_page() {
    let file = victim();
    let (page_no, _) = pages(&file).into_iter().max_by_key(|page| page.1).unwrap();
    for size in [0u16, 1, 0xffff] {
        let mut damaged = file.clone();
        damaged[page_no * BLOCK_BYTES + 2..][..2].copy_from_slice(&size.to_le_bytes());
        let report = open_bytes(&damaged).unwrap().verify().unwrap();
        assert!((1..=2).contains(&report.finding_count), "{size}: {:?}", report.findings);
    }
}

/// By the opening, or by the quick check.
fn is_refused(file: &[u8]) -> bool {
    open_bytes(file).and_then(|store| store.quick_check()).is_err()
}

#[test]
fn the_quick_check_finds_damage_at_the_tops() {
    let file = victim();
    open_bytes(&file).unwrap().quick_check().unwrap();
    let mut longer = file.clone();
    longer.resize(file.len() + BLOCK_BYTES, 0);
    assert!(is_refused(&longer), "the length");
    for slot in [2048, 4096, 6144] {
        let mut damaged = file.clone();
        damaged[slot + 100] ^= 1;
        assert!(is_refused(&damaged), "slot at {slot}");
    }
    // Bitmap, descriptor tree, and the roots: the first pages that were made.
    for page_no in 2..=6 {
        let mut damaged = file.clone();
        damaged[page_no * BLOCK_BYTES + 100] ^= 1;
        assert!(is_refused(&damaged), "page {page_no}");
    }
}

#[test]
fn the_sample_of_the_quick_check_meets_damage_that_is_everywhere() {
    let file = victim();
    let mut damaged = file.clone();
    let is_root = |page_no: usize| page_no <= 6;
    for (page_no, _) in pages(&file) {
        let header = &file[page_no * BLOCK_BYTES..];
        let is_leaf_of_one = header[0] == LEAF && number(header, 4, 4) == 1;
        if is_leaf_of_one && !is_root(page_no) {
            damaged[page_no * BLOCK_BYTES + 500] ^= 1;
        }
    }
    let store = open_bytes(&damaged).unwrap();
    assert!(matches!(store.quick_check(), Err(Error::Corrupt { .. })));
    assert!(store.stats().unwrap().integrity_error_count > 0);
}

#[test]
fn the_check_tells_of_every_tree() {
    let store = open_bytes(&victim()).unwrap();
    let report = store.integrity_check().unwrap();
    let snapshot = store.begin_read().unwrap();
    assert_eq!(report.tree_count, 4);
    for tree in &report.trees[1..] {
        let stats = snapshot.tree_stats(tree.tree).unwrap().unwrap();
        assert_eq!(tree.entry_count, stats.entry_count);
        assert_eq!(tree.key_bytes, stats.key_bytes);
        assert_eq!(tree.value_bytes, stats.value_bytes);
        assert_eq!(tree.block_count, stats.block_count);
        assert!(tree.fill_percent > 30 && tree.fill_percent <= 100, "{tree:?}");
        assert_eq!(tree.finding_count, 0);
    }
    let sum = |what: fn(&any_store_storage::TreeReport) -> u64| report.trees.iter().map(what).sum();
    assert_eq!(report.entry_count, sum(|tree| tree.entry_count));
    assert_eq!(report.page_count, sum(|tree| tree.page_count));
}

#[test]
fn checks_end_when_they_are_cancelled() {
    let store = open(&hooked());
    put(&store, 0..6000, &[1; 4000], CommitSync::Normal);
    let cancel = Cancel::new();
    let reports = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&reports);
    let by_callback = cancel.clone();
    let on_progress = Some(OnProgress::new(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        by_callback.cancel();
    }));
    let check = CheckOptions {
        cancel: cancel.clone(),
        on_progress: on_progress.clone(),
        ..CheckOptions::default()
    };
    assert!(matches!(store.integrity_check_with(&check), Err(Error::Cancelled)));
    assert_eq!(reports.swap(0, Ordering::SeqCst), 1);
    let verify = VerifyOptions { cancel, on_progress, ..VerifyOptions::default() };
    assert!(matches!(store.verify_with(&verify), Err(Error::Cancelled)));
    assert_eq!(reports.load(Ordering::SeqCst), 0, "it was cancelled before it began");
    expect_sound(&store);
}

#[test]
fn a_loaded_tree_is_like_any_other_after_commit_and_recovery() {
    let vfs = hooked();
    let store = open(&vfs);
    put(&store, 0..10, b"x", CommitSync::Normal);
    let mut txn = store.begin_write().unwrap();
    let tree = txn.create_tree(TreeOptions { page_blocks: Some(1) }).unwrap();
    let entries = (0..20_000u64).map(|n| Ok((key(n), vec![7; (n % 90) as usize])));
    txn.bulk_load(tree, entries).unwrap();
    let again = txn.bulk_load(tree, [Ok((b"k", b"v"))]);
    assert!(matches!(again, Err(Error::InvalidLoad(_))));
    assert!(!txn.insert(tree, &key(5), b"").unwrap(), "the refusal changed nothing");
    txn.commit().unwrap();
    let mut txn = store.begin_write().unwrap();
    let other = txn.create_tree(TreeOptions::default()).unwrap();
    let disordered = txn.bulk_load(other, [Ok((b"b", b"")), Ok((b"a", b""))]);
    assert!(matches!(disordered, Err(Error::InvalidLoad(_))));
    assert!(txn.commit().is_err(), "half a load is not committed");
    expect_sound(&store);
    let recovered = open_mem(&image(&vfs.mem)).unwrap();
    expect_sound(&recovered);
    let report = recovered.integrity_check().unwrap();
    let loaded = report.trees.iter().find(|report| report.tree == tree).unwrap();
    assert_eq!(loaded.entry_count, 20_000);
    assert!(loaded.fill_percent >= 96, "{loaded:?}");
}

#[test]
fn figures_add_up() {
    let store = open(&hooked());
    put(&store, 0..500, &[1; 3000], CommitSync::Normal);
    let mut txn = store.begin_write().unwrap();
    for n in 100..400 {
        txn.remove(TREE, &key(n)).unwrap();
    }
    txn.commit().unwrap();
    store.checkpoint(CheckpointMode::Passive).unwrap();
    let stats = store.stats().unwrap();
    assert_eq!(stats.used_bytes + stats.free_bytes, stats.file_bytes);
    assert!(stats.free_bytes > 200 * 3000);
    let check = store.integrity_check().unwrap();
    let in_trees: u64 = check.trees.iter().map(|tree| tree.block_count).sum();
    assert_eq!(stats.data_bytes, in_trees * stats.block_bytes);
    assert_eq!(stats.integrity_error_count, 0);
}
