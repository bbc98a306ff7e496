//! A creation that failed in its last step leaves nothing for the next process to trip over.

use any_store_sim::engine::database_path;
use any_store_sim::{CallKind, Crash, Failure, Fault, Rng, SimVfs};
use any_store_storage::vfs::Vfs;
use any_store_storage::{BackupOptions, Error, Store, StoreOptions, Sync, TreeId, TreeOptions};
use std::path::Path;
use std::sync::Arc;

fn open(vfs: &SimVfs) -> Result<Store, Error> {
    Store::open(Arc::new(vfs.clone()), database_path(), StoreOptions::default())
}

fn commit(store: &Store) -> TreeId {
    let mut tx = store.begin_write().unwrap();
    let tree = tx.create_tree(TreeOptions::default()).unwrap();
    tx.put(tree, b"key", b"value").unwrap();
    tx.set_sync(Sync::Full);
    tx.commit().unwrap();
    tree
}

fn fail_next_directory_sync(vfs: &SimVfs) {
    vfs.plan(Fault::once(1, Failure::Io).of(CallKind::SyncDir));
}

/// The failed sync has lost the name for good, while everybody still saw it.
#[test]
fn a_name_whose_sync_failed_is_not_built_on() {
    let vfs = SimVfs::new(1);
    fail_next_directory_sync(&vfs);
    assert!(matches!(open(&vfs), Err(Error::Io { .. })));
    assert!(vfs.list(Path::new("/sim")).unwrap().is_empty(), "nothing is left behind");

    let tree = commit(&open(&vfs).unwrap());
    let left = vfs.leave(Crash::DropAll, &mut Rng::new(1));
    let reopened = open(&SimVfs::from_disk(left.disk(), 2)).unwrap();
    let found = reopened.begin_read().unwrap().get(tree, b"key").unwrap();
    assert_eq!(found.as_deref(), Some(&b"value"[..]));
}

/// The same for the name of the log, which the first write makes.
#[test]
fn a_log_whose_name_could_not_be_made_durable_is_not_built_on() {
    let vfs = SimVfs::new(1);
    let store = open(&vfs).unwrap();
    fail_next_directory_sync(&vfs);
    assert!(matches!(store.begin_write(), Err(Error::Io { .. })));
    let left = vfs.leave(Crash::Kill, &mut Rng::new(1));

    let vfs = SimVfs::from_disk(left.disk(), 2);
    let tree = commit(&open(&vfs).unwrap());
    let left = vfs.leave(Crash::DropAll, &mut Rng::new(1));
    let reopened = open(&SimVfs::from_disk(left.disk(), 3)).unwrap();
    assert!(reopened.begin_read().unwrap().get(tree, b"key").unwrap().is_some());
}

#[test]
fn a_backup_whose_name_could_not_be_made_durable_is_not_there() {
    let vfs = SimVfs::new(1);
    let store = open(&vfs).unwrap();
    let target = Path::new("/sim/copy.db");
    fail_next_directory_sync(&vfs);
    assert!(store.backup(target, &BackupOptions::default()).is_err());
    assert!(vfs.list(Path::new("/sim")).unwrap().iter().all(|entry| entry.path != target));
    store.backup(target, &BackupOptions::default()).unwrap();
}
