//! Isolation under real threads and files: writers, readers and checkpoints of all modes at once.
//!
//! Every transaction raises one counter in each tree and moves money between accounts of different
//! trees. So a reader can tell whether it sees one committed state, which one, and whether that is
//! older than what it knew.

use any_store_storage::{
    AutoCheckpoint, CheckpointMode, Error, OsVfs, ReadTx, Store, StoreOptions, Sync, TreeId,
    TreeOptions,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

const TREES: [TreeId; 3] = [TreeId(1), TreeId(2), TreeId(3)];
const COUNTER: &[u8] = b"counter";
const ACCOUNTS: u64 = 12;
const MONEY: u64 = 1000;
const WRITERS: u64 = 3;
const COMMITS: u64 = 120;
const READERS: usize = 4;
const LEAST_READS: u64 = 200;
/// A checkpoint follows each so many commits.
const CHECKPOINT_EVERY: usize = 6;

fn open(path: &Path) -> Store {
    let options = StoreOptions {
        cache_bytes: 256 << 10,
        auto_checkpoint: AutoCheckpoint::Background { after_bytes: 512 << 10 },
        sentinel: true,
        auto_flush: true,
        idle_after: Duration::from_millis(1),
        ..StoreOptions::default()
    };
    Store::open(Arc::new(OsVfs), path, options).unwrap()
}

/// The tree and key of an account.
fn account(number: u64) -> (TreeId, [u8; 9]) {
    let mut key = *b"a00000000";
    key[1..].copy_from_slice(&number.to_be_bytes());
    (TREES[number as usize % TREES.len()], key)
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().unwrap())
}

fn set_up(store: &Store) {
    let mut txn = store.begin_write().unwrap();
    for tree in TREES {
        assert_eq!(txn.create_tree(TreeOptions::default()).unwrap(), tree);
        txn.put(tree, COUNTER, &0u64.to_le_bytes()).unwrap();
    }
    for at in 0..ACCOUNTS {
        let (tree, key) = account(at);
        txn.put(tree, &key, &MONEY.to_le_bytes()).unwrap();
    }
    txn.set_sync(Sync::Full);
    txn.commit().unwrap();
}

/// The number of the state that a snapshot shows, which must be one state.
fn state_of(snapshot: &ReadTx) -> u64 {
    let get = |tree, key: &[u8]| number(&snapshot.get(tree, key).unwrap().unwrap());
    let counts = TREES.map(|tree| get(tree, COUNTER));
    assert!(counts.iter().all(|count| *count == counts[0]), "torn: {counts:?}");
    let sum: u64 = (0..ACCOUNTS).map(account).map(|(tree, key)| get(tree, &key)).sum();
    assert_eq!(sum, ACCOUNTS * MONEY, "money at state {}", counts[0]);
    counts[0]
}

struct Rig {
    store: Store,
    /// The newest state that some commit was acknowledged for.
    acked: AtomicU64,
    is_done: AtomicBool,
}

impl Rig {
    /// One of the writers; tells the checkpointer of each commit.
    fn write(&self, writer: u64, told: &Sender<u64>) {
        let mut draw = draws(writer + 1);
        for round in 0..COMMITS {
            let floor = self.acked.load(Ordering::SeqCst);
            let mut txn = self.store.begin_write().unwrap();
            let get = |txn: &any_store_storage::WriteTx, tree, key: &[u8]| {
                number(&txn.get(tree, key).unwrap().unwrap())
            };
            let next = get(&txn, TREES[0], COUNTER) + 1;
            assert!(next > floor, "writer {writer} builds on state {} of {floor}", next - 1);
            for tree in TREES {
                txn.put(tree, COUNTER, &next.to_le_bytes()).unwrap();
            }
            let (from, to) = (account(draw(ACCOUNTS)), account(draw(ACCOUNTS)));
            let amount = draw(20).min(get(&txn, from.0, &from.1));
            let left = get(&txn, from.0, &from.1) - amount;
            txn.put(from.0, &from.1, &left.to_le_bytes()).unwrap();
            let grown = get(&txn, to.0, &to.1) + amount;
            txn.put(to.0, &to.1, &grown.to_le_bytes()).unwrap();
            // So that pages are evicted and the log grows, and now and then the transaction spills.
            let bulk = if round % 16 == 0 { 30 } else { 1 };
            for part in 0..bulk {
                let key = [b'z', writer as u8, part];
                txn.put(TREES[draw(3) as usize], &key, &[round as u8; 8000]).unwrap();
            }
            if draw(8) == 0 {
                txn.rollback();
                continue;
            }
            txn.set_sync(if draw(3) == 0 { Sync::Full } else { Sync::Normal });
            txn.commit().unwrap();
            self.acked.fetch_max(next, Ordering::SeqCst);
            told.send(next).unwrap();
        }
    }

    /// One of the readers. Every now and then it keeps a snapshot and looks again later.
    fn read(&self) -> u64 {
        let mut reads = 0;
        let mut last = (0, self.store.begin_read().unwrap().commit_no());
        let mut kept: Option<(u64, ReadTx)> = None;
        while reads < LEAST_READS || !self.is_done.load(Ordering::SeqCst) {
            let floor = self.acked.load(Ordering::SeqCst);
            let snapshot = self.store.begin_read().unwrap();
            let (state, commit) = (state_of(&snapshot), snapshot.commit_no());
            assert!(state >= floor, "state {state} after {floor} was acknowledged");
            assert!(state >= last.0 && commit >= last.1, "back to {state} from {last:?}");
            last = (state, commit);
            reads += 1;
            if reads % 8 == 0
                && let Some((state, old)) = kept.replace((state, snapshot))
            {
                assert_eq!(state_of(&old), state, "a held snapshot changed");
            }
            if reads % 24 == 0 {
                kept = None;
            }
        }
        reads
    }

    /// Checkpoints in all modes by turns, as commits come in; how many did all they are for.
    fn checkpoint(&self, told: &Receiver<u64>) -> u64 {
        let modes = [
            CheckpointMode::Passive,
            CheckpointMode::Full,
            CheckpointMode::Restart,
            CheckpointMode::Truncate,
        ];
        let mut done = 0;
        let mut turn = modes.iter().cycle();
        while told.iter().take(CHECKPOINT_EVERY).count() == CHECKPOINT_EVERY {
            let Some(mode) = turn.next() else { break };
            match self.store.checkpoint_timeout(*mode, Duration::from_millis(5)) {
                Ok(_) => done += 1,
                Err(Error::Busy) => {}
                Err(error) => panic!("{mode}: {error:?}"),
            }
        }
        done
    }
}

/// A generator of numbers below a bound.
fn draws(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |bound| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    }
}

/// Runs all threads to their end; the newest acknowledged state.
fn run(rig: &Rig) -> u64 {
    let (told, hears) = channel();
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let told = told.clone();
                scope.spawn(move || rig.write(writer, &told))
            })
            .collect();
        drop(told);
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(|| rig.read())).collect();
        let checkpoints = scope.spawn(move || rig.checkpoint(&hears));
        let written: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        // Before anything else may fail: the readers wait for it.
        rig.is_done.store(true, Ordering::SeqCst);
        for (writer, outcome) in written.into_iter().enumerate() {
            assert!(outcome.is_ok(), "writer {writer} failed");
        }
        for reader in readers {
            assert!(reader.join().expect("a reader failed") >= LEAST_READS);
        }
        assert!(checkpoints.join().expect("the checkpointer failed") > 0);
    });
    rig.acked.load(Ordering::SeqCst)
}

#[test]
fn readers_see_one_state_each_and_never_an_older_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.any");
    let store = open(&path);
    set_up(&store);
    let rig = Rig { store, acked: AtomicU64::new(0), is_done: AtomicBool::new(false) };
    let acked = run(&rig);
    let Rig { store, .. } = rig;
    assert_eq!(state_of(&store.begin_read().unwrap()), acked);
    let stats = store.stats().unwrap();
    assert!(stats.spilled_page_count > 0, "no transaction spilled");
    assert_eq!(stats.last_checkpoint_error, None);
    assert_eq!(store.integrity_check().unwrap().finding_count, 0);
    store.close().unwrap();

    let store = open(&path);
    assert!(!store.stats().unwrap().dirty_on_open);
    assert_eq!(state_of(&store.begin_read().unwrap()), acked);
    assert_eq!(store.verify().unwrap().finding_count, 0);
    store.close().unwrap();
}
