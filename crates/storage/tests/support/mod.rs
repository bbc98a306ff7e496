//! A file system in memory that asks before and after each call, and what the tests share.
#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod clock;

use any_store_storage::vfs::{
    DirEntry, FileId, LockMode, MemVfs, OpenMode, SyncKind, Vfs, VfsFile, read_full, write_all,
};
use any_store_storage::{
    AutoCheckpoint, Error, ReadTx, Store, StoreOptions, Sync as CommitSync, TreeId, TreeOptions,
};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

pub(crate) const PATH: &str = "/db";
pub(crate) const LOG: &str = "/db-wal";
pub(crate) const TREE: TreeId = TreeId(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Open,
    Rename,
    Remove,
    SyncDir,
    Random,
    Read,
    Write,
    SetLen,
    Len,
    Allocate,
    Punch,
    Sync,
    Lock,
}

/// A call about to be made, or just made.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) kind: Kind,
    pub(crate) path: PathBuf,
    pub(crate) offset: u64,
    pub(crate) done: bool,
}

impl Call {
    pub(crate) fn is(&self, kind: Kind, path: &str) -> bool {
        self.kind == kind && self.path == Path::new(path)
    }

    /// The same, before it is made.
    pub(crate) fn begins(&self, kind: Kind, path: &str) -> bool {
        !self.done && self.is(kind, path)
    }
}

/// An error makes the call fail: before it is made without effect, afterwards with.
pub(crate) type Hook = Arc<dyn Fn(&Call) -> io::Result<()> + Send + Sync>;

#[derive(Clone)]
pub(crate) struct HookedVfs {
    pub(crate) mem: MemVfs,
    hook: Arc<RwLock<Option<Hook>>>,
}

impl HookedVfs {
    pub(crate) fn new(mem: MemVfs) -> Self {
        Self { mem, hook: Arc::default() }
    }

    pub(crate) fn set_hook(&self, hook: impl Fn(&Call) -> io::Result<()> + Send + Sync + 'static) {
        *self.hook.write().unwrap() = Some(Arc::new(hook));
    }

    pub(crate) fn clear_hook(&self) {
        *self.hook.write().unwrap() = None;
    }

    fn ask<R>(
        &self,
        kind: Kind,
        path: &Path,
        offset: u64,
        call: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        let hook = self.hook.read().unwrap().clone();
        let Some(hook) = hook else { return call() };
        let question = |done| Call { kind, path: path.to_owned(), offset, done };
        hook(&question(false))?;
        let answer = call()?;
        hook(&question(true))?;
        Ok(answer)
    }

    fn file(&self, path: &Path, inner: Arc<dyn VfsFile>) -> Arc<dyn VfsFile> {
        Arc::new(HookedFile { vfs: self.clone(), path: path.to_owned(), inner })
    }
}

impl fmt::Debug for HookedVfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HookedVfs")
    }
}

impl Vfs for HookedVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let inner = self.ask(Kind::Open, path, 0, || self.mem.open(path, mode))?;
        Ok(self.file(path, inner))
    }

    fn identity(&self, path: &Path) -> io::Result<FileId> {
        self.mem.identity(path)
    }

    fn open_temporary(&self, dir: &Path) -> io::Result<Arc<dyn VfsFile>> {
        self.mem.open_temporary(dir)
    }

    fn rename_noreplace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ask(Kind::Rename, to, 0, || self.mem.rename_noreplace(from, to))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ask(Kind::Rename, to, 0, || self.mem.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.ask(Kind::Remove, path, 0, || self.mem.remove(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.ask(Kind::SyncDir, dir, 0, || self.mem.sync_dir(dir))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.mem.list(dir)
    }

    fn monotonic(&self) -> Duration {
        self.mem.monotonic()
    }

    fn pause(&self, time: Duration) {
        self.mem.pause(time);
    }

    fn wall_clock_ms(&self) -> i64 {
        self.mem.wall_clock_ms()
    }

    fn random(&self, buf: &mut [u8]) -> io::Result<()> {
        self.ask(Kind::Random, Path::new(""), 0, || self.mem.random(buf))
    }

    fn process_id(&self) -> u32 {
        self.mem.process_id()
    }
}

#[derive(Debug)]
struct HookedFile {
    vfs: HookedVfs,
    path: PathBuf,
    inner: Arc<dyn VfsFile>,
}

impl VfsFile for HookedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.vfs.ask(Kind::Read, &self.path, offset, || self.inner.read_at(buf, offset))
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.vfs.ask(Kind::Write, &self.path, offset, || self.inner.write_at(buf, offset))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.vfs.ask(Kind::SetLen, &self.path, len, || self.inner.set_len(len))
    }

    fn len(&self) -> io::Result<u64> {
        self.vfs.ask(Kind::Len, &self.path, 0, || self.inner.len())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.vfs.ask(Kind::Allocate, &self.path, len, || self.inner.allocate(len))
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        self.vfs.ask(Kind::Punch, &self.path, offset, || self.inner.punch(offset, len))
    }

    fn sync(&self, kind: SyncKind) -> io::Result<()> {
        self.vfs.ask(Kind::Sync, &self.path, 0, || self.inner.sync(kind))
    }

    fn identity(&self) -> io::Result<FileId> {
        self.inner.identity()
    }

    fn try_lock(&self, mode: LockMode) -> io::Result<bool> {
        self.vfs.ask(Kind::Lock, &self.path, 0, || self.inner.try_lock(mode))
    }

    fn unlock(&self) -> io::Result<()> {
        self.inner.unlock()
    }
}

pub(crate) fn eio() -> io::Error {
    io::Error::other("injected")
}

pub(crate) fn options() -> StoreOptions {
    StoreOptions { auto_checkpoint: AutoCheckpoint::Off, ..StoreOptions::default() }
}

pub(crate) fn open_with(vfs: &HookedVfs, options: StoreOptions) -> Result<Store, Error> {
    Store::open(Arc::new(vfs.clone()), Path::new(PATH), options)
}

pub(crate) fn open(vfs: &HookedVfs) -> Store {
    open_with(vfs, options()).expect("the store opens")
}

pub(crate) fn open_mem(vfs: &MemVfs) -> Result<Store, Error> {
    Store::open(Arc::new(vfs.clone()), Path::new(PATH), options())
}

/// A copy of the files as a killed process leaves them.
pub(crate) fn image(vfs: &MemVfs) -> MemVfs {
    let copy = MemVfs::new();
    for entry in vfs.list(Path::new("/")).unwrap() {
        set_bytes(&copy, &entry.path, &bytes_of(vfs, &entry.path));
    }
    copy
}

pub(crate) fn bytes_of(vfs: &MemVfs, path: impl AsRef<Path>) -> Vec<u8> {
    let file = vfs.open(path.as_ref(), OpenMode::Read).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    read_full(&*file, &mut bytes, 0).unwrap();
    bytes
}

pub(crate) fn set_bytes(vfs: &MemVfs, path: impl AsRef<Path>, bytes: &[u8]) {
    let file = vfs.open(path.as_ref(), OpenMode::Create).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    write_all(&*file, bytes, 0).unwrap();
}

pub(crate) fn key(n: u64) -> [u8; 8] {
    n.to_be_bytes()
}

/// Commits one transaction that puts `value` under each key.
pub(crate) fn try_put(
    store: &Store,
    keys: impl IntoIterator<Item = u64>,
    value: &[u8],
    sync: CommitSync,
) -> Result<(), Error> {
    let mut txn = store.begin_write()?;
    if txn.tree_stats(TREE)?.is_none() {
        assert_eq!(txn.create_tree(TreeOptions::default())?, TREE);
    }
    for n in keys {
        txn.put(TREE, &key(n), value)?;
    }
    txn.set_sync(sync);
    txn.commit().map(|_| ())
}

pub(crate) fn put(
    store: &Store,
    keys: impl IntoIterator<Item = u64>,
    value: &[u8],
    sync: CommitSync,
) {
    try_put(store, keys, value, sync).unwrap();
}

pub(crate) type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

pub(crate) fn contents(snapshot: &ReadTx) -> Contents {
    let mut all = BTreeMap::new();
    if snapshot.tree_stats(TREE).unwrap().is_none() {
        return all;
    }
    let mut cursor = snapshot.cursor(TREE).unwrap();
    let mut on_entry = cursor.first().unwrap();
    while on_entry {
        all.insert(cursor.key().to_vec(), cursor.value().unwrap().to_vec());
        on_entry = cursor.next().unwrap();
    }
    all
}

pub(crate) fn contents_of(store: &Store) -> Contents {
    contents(&store.begin_read().unwrap())
}

pub(crate) fn expect_sound(store: &Store) {
    assert_eq!(store.integrity_check().unwrap().findings, []);
    assert_eq!(store.verify().unwrap().findings, []);
    store.quick_check().unwrap();
}
