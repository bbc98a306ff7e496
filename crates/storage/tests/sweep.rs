//! One script, and each of its calls to the file system failing in turn: what was acknowledged is
//! there, what was refused is not, and the store goes on or says that it cannot.

mod support;

use any_store_storage::vfs::MemVfs;
use any_store_storage::{
    CheckpointMode, Error, Store, StoreOptions, Sync as CommitSync, TreeOptions, WriteTx,
};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use support::*;

/// How the `k`-th call fails.
#[derive(Clone, Copy, Debug)]
struct Fault {
    kind: io::ErrorKind,
    /// It takes effect all the same.
    has_effect: bool,
    /// So do all calls after it.
    is_sticky: bool,
}

/// What may be found: the acknowledged state, or one whose commit is of unknown outcome.
#[derive(Default)]
struct Model {
    acked: Contents,
    unknown: Option<Contents>,
}

impl Model {
    fn commit(&mut self, store: &Store, change: impl Fn(&mut WriteTx, &mut Contents) -> Done) {
        let mut next = self.acked.clone();
        let outcome = store.begin_write().and_then(|mut txn| {
            if txn.tree_stats(TREE)?.is_none() {
                txn.create_tree(TreeOptions::default())?;
            }
            change(&mut txn, &mut next)?;
            txn.commit()
        });
        match outcome {
            Ok(_) => self.acked = next,
            Err(Error::CommitUnknown { .. }) => self.unknown = Some(next),
            Err(_) => {}
        }
    }

    fn expect(&self, found: &Contents, what: &str) {
        let fits = *found == self.acked || self.unknown.as_ref() == Some(found);
        assert!(fits, "{what}: {} entries, {} acknowledged", found.len(), self.acked.len());
    }
}

type Done = Result<(), Error>;

fn put_range(
    txn: &mut WriteTx,
    model: &mut Contents,
    keys: std::ops::Range<u64>,
    v: &[u8],
) -> Done {
    for n in keys {
        txn.put(TREE, &key(n), v)?;
        model.insert(key(n).to_vec(), v.to_vec());
    }
    Ok(())
}

fn remove_range(txn: &mut WriteTx, model: &mut Contents, keys: std::ops::Range<u64>) -> Done {
    for n in keys {
        txn.remove(TREE, &key(n))?;
        model.remove(&key(n)[..]);
    }
    Ok(())
}

fn script(store: &Store, model: &mut Model) {
    model.commit(store, |txn, m| {
        txn.set_sync(CommitSync::Full);
        put_range(txn, m, 0..30, &[1; 3000])
    });
    model.commit(store, |txn, m| put_range(txn, m, 10..12, &[2; 20_000]));
    let _ = store.checkpoint(CheckpointMode::Passive);
    model.commit(store, |txn, m| {
        txn.set_sync(CommitSync::Full);
        remove_range(txn, m, 5..25)?;
        put_range(txn, m, 40..43, &[3; 700])
    });
    model.commit(store, |txn, m| {
        let savepoint = txn.savepoint()?;
        put_range(txn, &mut Contents::new(), 0..20, &[4; 9000])?;
        txn.rollback_to(savepoint)?;
        put_range(txn, m, 20..22, &[5; 6000])
    });
    let _ = store.checkpoint(CheckpointMode::Passive);
    model.commit(store, |txn, m| put_range(txn, m, 50..55, &[6; 100]));
}

fn sweep_options() -> StoreOptions {
    StoreOptions { cache_bytes: 8 * 4096, ..options() }
}

/// Runs the script with the `k`-th call failing; false if there are not so many.
fn run(k: u64, fault: Fault) -> bool {
    let vfs = HookedVfs::new(MemVfs::new());
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    vfs.set_hook(move |call| {
        if call.done != fault.has_effect {
            return Ok(());
        }
        let at = counted.fetch_add(1, Ordering::SeqCst);
        if at == k || (fault.is_sticky && at > k) { Err(fault.kind.into()) } else { Ok(()) }
    });
    let mut model = Model::default();
    let store = open_with(&vfs, sweep_options());
    if let Ok(store) = &store {
        script(store, &mut model);
        let was_hit = calls.load(Ordering::SeqCst) > k;
        if k.is_multiple_of(2) && was_hit {
            vfs.clear_hook();
            go_on(store, &mut model);
        }
        let killed = open_mem(&image(&vfs.mem)).expect("the open after a kill works");
        model.expect(&contents_of(&killed), "after a kill");
        expect_sound(&killed);
        let _ = store.close();
    }
    vfs.clear_hook();
    let reopened = open_with(&vfs, sweep_options()).expect("the next open works");
    model.expect(&contents_of(&reopened), "after a reopen");
    expect_sound(&reopened);
    model.acked = contents_of(&reopened);
    model.commit(&reopened, |txn, m| put_range(txn, m, 100..103, &[8; 5000]));
    reopened.close().expect("a close without faults works");
    let last = open_with(&vfs, sweep_options()).unwrap();
    assert_eq!(contents_of(&last), model.acked, "after one more session");
    expect_sound(&last);
    calls.load(Ordering::SeqCst) > k
}

/// After the fault: readers see what was acknowledged, writes work or the store says it failed.
fn go_on(store: &Store, model: &mut Model) {
    assert_eq!(contents_of(store), model.acked, "readers after the fault");
    match try_put(store, 200..210, &[7; 2500], CommitSync::Full) {
        Ok(()) => {
            for n in 200..210 {
                model.acked.insert(key(n).to_vec(), vec![7; 2500]);
            }
            model.unknown = None;
            expect_sound(store);
        }
        Err(Error::Failed) => {}
        Err(other) => panic!("a write after the fault: {other}"),
    }
}

fn sweep(fault: Fault) {
    let mut k = 0;
    while run(k, fault) {
        k += 1;
    }
    assert!(k > 50, "only {k} calls");
}

#[test]
fn each_call_fails_once() {
    sweep(Fault { kind: io::ErrorKind::Other, has_effect: false, is_sticky: false });
}

#[test]
fn each_call_and_all_after_it_fail() {
    sweep(Fault { kind: io::ErrorKind::Other, has_effect: false, is_sticky: true });
}

#[test]
fn each_call_meets_a_full_disk_once() {
    sweep(Fault { kind: io::ErrorKind::StorageFull, has_effect: false, is_sticky: false });
}

#[test]
fn each_call_fails_after_it_took_effect() {
    sweep(Fault { kind: io::ErrorKind::Other, has_effect: true, is_sticky: false });
}

#[test]
fn each_call_and_all_after_it_fail_after_they_took_effect() {
    sweep(Fault { kind: io::ErrorKind::Other, has_effect: true, is_sticky: true });
}
