//! A file system whose clock the test turns, and which knows who waits until when.

use super::HookedVfs;
use any_store_storage::vfs::{Bell, DirEntry, OpenMode, Vfs, VfsFile};
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

#[derive(Debug, Default)]
struct State {
    now: Duration,
    /// Who waits, and until when.
    waiting: HashMap<ThreadId, (Arc<Bell>, Option<Duration>)>,
}

#[derive(Debug, Default)]
struct Clock {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Debug)]
pub(crate) struct ClockVfs {
    pub(crate) files: HookedVfs,
    clock: Arc<Clock>,
}

impl ClockVfs {
    pub(crate) fn new(files: HookedVfs) -> Self {
        Self { files, clock: Arc::default() }
    }

    /// Turns the clock, and wakes everybody to look at it.
    pub(crate) fn turn(&self, by: Duration) {
        let mut state = self.clock.state.lock().unwrap();
        state.now += by;
        for (_, (bell, _)) in state.waiting.drain() {
            bell.ring();
        }
    }

    /// Returns once somebody waits until just then; `None` is a wait without end.
    pub(crate) fn until_somebody_waits(&self, until: Option<Duration>) {
        let state = self.clock.state.lock().unwrap();
        let nobody = |state: &mut State| state.waiting.values().all(|(_, end)| *end != until);
        drop(self.clock.changed.wait_while(state, nobody).unwrap());
    }

    /// Returns once nobody waits.
    pub(crate) fn until_nobody_waits(&self) {
        let state = self.clock.state.lock().unwrap();
        let somebody = |state: &mut State| !state.waiting.is_empty();
        drop(self.clock.changed.wait_while(state, somebody).unwrap());
    }
}

impl Vfs for ClockVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        self.files.open(path, mode)
    }

    fn open_temporary(&self, dir: &Path) -> io::Result<Arc<dyn VfsFile>> {
        self.files.open_temporary(dir)
    }

    fn rename_noreplace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.rename_noreplace(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.files.sync_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.files.list(dir)
    }

    fn monotonic(&self) -> Duration {
        self.clock.state.lock().unwrap().now
    }

    fn wall_clock_ms(&self) -> i64 {
        self.files.wall_clock_ms()
    }

    fn random(&self, buf: &mut [u8]) -> io::Result<()> {
        self.files.random(buf)
    }

    fn process_id(&self) -> u32 {
        self.files.process_id()
    }

    fn wait(&self, bell: &Arc<Bell>, seen: u64, timeout: Option<Duration>) {
        let me = thread::current().id();
        let mut state = self.clock.state.lock().unwrap();
        let until = timeout.map(|timeout| state.now + timeout);
        state.waiting.insert(me, (Arc::clone(bell), until));
        drop(state);
        self.clock.changed.notify_all();
        bell.wait(seen, None);
        self.clock.state.lock().unwrap().waiting.remove(&me);
        self.clock.changed.notify_all();
    }
}
