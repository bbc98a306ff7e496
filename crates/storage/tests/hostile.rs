//! Files whose bytes somebody chose and whose checks hold: errors or wrong answers, no panic, no
//! hang, no memory without bound.

mod support;

use any_store_storage::vfs::MemVfs;
use any_store_storage::{
    CheckpointMode, Error, Store, StoreOptions, Sync as CommitSync, TreeId, TreeOptions,
};
use std::path::Path;
use std::sync::Arc;
use support::*;
use twox_hash::XxHash3_128;

const SLOT_BYTES: usize = 2048;
const HEADER_CHECK_AT: usize = SLOT_BYTES - 16;
const RECORD_CHECK_AT: usize = 112;
const RECORD_BYTES: usize = 128;
const DESCRIPTOR_BYTES: usize = 64;
const FRAME_BYTES: usize = 24;
const FIRST_RECORD: usize = 4096;

/// Does everything that can be done with a store, whatever comes of it.
fn use_it_all(vfs: &MemVfs) -> Result<(), Error> {
    let read_only = StoreOptions { read_only: true, ..options() };
    if let Ok(store) = Store::open(Arc::new(vfs.clone()), Path::new(PATH), read_only) {
        let _ = (store.verify(), store.integrity_check(), store.quick_check());
    }
    let store = open_mem(vfs)?;
    let _ = store.stats();
    let _ = store.integrity_check();
    let _ = store.verify();
    let snapshot = store.begin_read()?;
    for tree in [0, 1, 2, u32::MAX].map(TreeId) {
        let _ = snapshot.get(tree, &key(3)).map(|value| value.map(|value| value.len()));
    }
    drop(snapshot);
    for _ in 0..2 {
        let _ = write(&store);
        let _ = store.checkpoint(CheckpointMode::Passive);
    }
    store.close()
}

fn write(store: &Store) -> Result<(), Error> {
    let mut txn = store.begin_write()?;
    for n in 0..20 {
        txn.put(TREE, &key(n), &[7; 9000])?;
    }
    let other = txn.create_tree(TreeOptions::default())?;
    txn.put(other, b"k", &[1; 100_000])?;
    for n in 0..10 {
        txn.remove(TREE, &key(n))?;
    }
    txn.commit().map(|_| ())
}

fn seed_files() -> MemVfs {
    let vfs = HookedVfs::new(MemVfs::new());
    let store = open(&vfs);
    put(&store, 0..30, &[1; 3000], CommitSync::Normal);
    store.checkpoint(CheckpointMode::Passive).unwrap();
    put(&store, 5..9, &[2; 9000], CommitSync::Full);
    let mut txn = store.begin_write().unwrap();
    txn.remove(TREE, &key(6)).unwrap();
    txn.remove(TREE, &key(20)).unwrap();
    txn.commit().unwrap();
    image(&vfs.mem)
}

fn extremes(width: usize) -> Vec<Vec<u8>> {
    let numbers = [0, 1, 2, 3, 255, 0x7fff_ffff, 0xffff_fffe, u64::from(u32::MAX), u64::MAX - 1];
    let all = numbers.into_iter().chain([u64::MAX, 1 << 63]);
    all.map(|n: u64| n.to_le_bytes()[..width].to_vec()).collect()
}

fn reseal_slot(slot: &mut [u8]) {
    let check = XxHash3_128::oneshot(&slot[..HEADER_CHECK_AT]).to_le_bytes();
    slot[HEADER_CHECK_AT..SLOT_BYTES].copy_from_slice(&check);
}

#[test]
fn header_fields_of_any_value_are_survived() {
    let closed = {
        let vfs = seed_files();
        open_mem(&vfs).unwrap().close().unwrap();
        vfs
    };
    // Versions, sequence, flags, counters, each field of the descriptor of tree 0, log start.
    let fields = [(16, 4), (20, 4), (40, 8), (48, 4), (52, 4), (56, 8), (64, 4), (68, 4), (72, 8)];
    let descriptor =
        [(96, 4), (100, 4), (104, 1), (112, 8), (120, 8), (128, 8), (136, 8), (144, 8), (152, 8)];
    for seed in [closed, seed_files()] {
        let bytes = bytes_of(&seed, PATH);
        for (at, width) in fields.into_iter().chain(descriptor) {
            for value in extremes(width) {
                let mut changed = bytes.clone();
                for slot in changed[..8192].chunks_exact_mut(SLOT_BYTES) {
                    slot[at..at + width].copy_from_slice(&value);
                    reseal_slot(slot);
                }
                let vfs = image(&seed);
                set_bytes(&vfs, PATH, &changed);
                let _ = use_it_all(&vfs);
            }
        }
    }
}

#[test]
fn a_file_that_newer_versions_write_is_read_and_not_written() {
    let vfs = seed_files();
    open_mem(&vfs).unwrap().close().unwrap();
    let mut bytes = bytes_of(&vfs, PATH);
    for slot in bytes[..8192].chunks_exact_mut(SLOT_BYTES) {
        slot[20] = 2;
        reseal_slot(slot);
    }
    set_bytes(&vfs, PATH, &bytes);
    let refused = open_mem(&vfs);
    assert!(matches!(refused, Err(Error::UnsupportedFormat { found: 2, .. })));
    let read_only = StoreOptions { read_only: true, ..options() };
    let store = Store::open(Arc::new(vfs.clone()), Path::new(PATH), read_only).unwrap();
    assert_eq!(contents_of(&store).len(), 28);
    drop(store);
    assert!(bytes_of(&vfs, PATH) == bytes);
}

fn number(bytes: &[u8], at: usize, width: usize) -> usize {
    bytes[at..at + width].iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte))
}

/// Makes the check of a record hold, whatever its descriptors and frames say.
fn reseal_record(log: &mut [u8], at: usize, meta_len: usize, images: usize) {
    let record = &log[at..];
    let mut covered = record[..RECORD_CHECK_AT].to_vec();
    covered.extend_from_slice(&record[RECORD_BYTES..meta_len]);
    let mut image = meta_len;
    let frames = meta_len - images * FRAME_BYTES;
    for frame in 0..images {
        let head = &record[frames + frame * FRAME_BYTES..];
        if head[6] == 1 {
            image += number(head, 4, 2) * 4096;
            covered.extend_from_slice(record.get(image - 16..image).unwrap_or_default());
        }
    }
    let check = XxHash3_128::oneshot(&covered).to_le_bytes();
    log[at + RECORD_CHECK_AT..at + RECORD_BYTES].copy_from_slice(&check);
}

#[test]
fn record_fields_of_any_value_are_survived() {
    let seed = seed_files();
    let bytes = bytes_of(&seed, LOG);
    let at = FIRST_RECORD;
    let (frames, descriptors) = (number(&bytes, at + 80, 4), number(&bytes, at + 84, 4));
    let meta_len = RECORD_BYTES + descriptors * DESCRIPTOR_BYTES + frames * FRAME_BYTES;
    assert!(frames > 0 && descriptors > 0);
    let mut same = bytes.clone();
    reseal_record(&mut same, at, meta_len, frames);
    assert!(same == bytes, "the check is the engine's own");
    let header = [(24, 8), (32, 8), (56, 8), (64, 8), (72, 8), (80, 4), (84, 4), (88, 4)];
    let counters = [(92, 4), (96, 4)];
    let descriptor = [(128, 4), (132, 1), (136, 4), (140, 4), (144, 1), (152, 8), (176, 8)];
    let first_frame = RECORD_BYTES + descriptors * DESCRIPTOR_BYTES;
    let frame = (0..frames).flat_map(|index| {
        let at = first_frame + index * FRAME_BYTES;
        [(at, 4), (at + 4, 2), (at + 6, 1), (at + 8, 8), (at + 16, 8)]
    });
    for (field, width) in header.into_iter().chain(counters).chain(descriptor).chain(frame) {
        for value in extremes(width) {
            let mut changed = bytes.clone();
            changed[at + field..at + field + width].copy_from_slice(&value);
            reseal_record(&mut changed, at, meta_len, frames);
            let vfs = image(&seed);
            set_bytes(&vfs, LOG, &changed);
            let _ = use_it_all(&vfs);
        }
    }
}

#[test]
fn a_record_that_frees_more_than_there_is_takes_no_more_memory_than_its_bytes() {
    let seed = seed_files();
    let mut log = bytes_of(&seed, LOG)[..FIRST_RECORD + RECORD_BYTES].to_vec();
    let frames = 20_000u32;
    let at = FIRST_RECORD;
    for n in 0..frames {
        let mut frame = [0u8; FRAME_BYTES];
        frame[..4].copy_from_slice(&(100 + n * 200_000).to_le_bytes());
        frame[4..7].copy_from_slice(&[0xff, 0xff, 2]);
        log.extend_from_slice(&frame);
    }
    let meta_len = RECORD_BYTES + frames as usize * FRAME_BYTES;
    log[at + 64..at + 72].copy_from_slice(&(meta_len as u64).to_le_bytes());
    log[at + 80..at + 84].copy_from_slice(&frames.to_le_bytes());
    log[at + 84..at + 88].copy_from_slice(&[0; 4]);
    reseal_record(&mut log, at, meta_len, 0);
    let vfs = image(&seed);
    set_bytes(&vfs, LOG, &log);
    let store = open_mem(&vfs).unwrap();
    assert_eq!(store.stats().unwrap().commit.0, number(&log, at + 32, 8) as u64, "it is accepted");
    // A billion blocks, one by one, would take many gigabytes and minutes.
    let _ = store.verify();
    let _ = store.checkpoint(CheckpointMode::Passive);
    let _ = store.close();
}
