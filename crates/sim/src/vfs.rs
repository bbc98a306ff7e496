//! The simulated computer as the engine sees it: a [`Vfs`] over a [`Disk`].
//!
//! Every call is counted by kind, hashed into a trace, and shown to the fault plan before it takes
//! effect. Time is a counter of the questions asked for it, randomness comes from the seed; so the
//! same program on the same seed makes the same calls and gets the same answers.

use crate::content::{Content, MAX_FILE_LEN};
use crate::crash::{Crash, Left};
use crate::disk::{Change, Disk, Edit, FileNo, SyncEffect};
use crate::fault::{Answer, CallKind, Failure, Fault, FaultPlan, device_error, disk_full};
use crate::image::Image;
use crate::rng::{Rng, mix};
use any_store_storage::vfs::{
    Bell, DirEntry, FileId, LockMode, OpenMode, SyncKind, Vfs, VfsFile, unique_device,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use twox_hash::XxHash3_128;

/// A simulated computer. Clones are the same computer.
#[derive(Clone, Debug)]
pub struct SimVfs(Arc<Mutex<Machine>>);

#[derive(Clone, Debug)]
struct Machine {
    /// The number of the simulated device. No part of the trace: it differs from run to run.
    device: u64,
    disk: Disk,
    locks: BTreeMap<FileNo, Locks>,
    rng: Rng,
    ticks: u64,
    calls: BTreeMap<CallKind, u64>,
    call_limit: u64,
    trace: u64,
    faults: FaultPlan,
    /// Files whose next write or sync tells of a sync that failed before.
    untold: BTreeSet<FileNo>,
    recording: Option<Recording>,
    call_log: Option<Vec<CallKind>>,
    change_count: u64,
}

/// What a run did to the files: where it began and every mutating call.
#[derive(Clone, Debug)]
pub struct Recording {
    base: Disk,
    changes: Vec<Change>,
}

impl Recording {
    /// How many mutating calls were made.
    #[must_use]
    pub fn call_count(&self) -> u64 {
        self.changes.len() as u64
    }

    /// A mutating call, counting from 1.
    #[must_use]
    pub fn call(&self, number: u64) -> Option<&Change> {
        self.changes.get(usize::try_from(number.checked_sub(1)?).ok()?)
    }

    /// The computer's files before the first call.
    #[must_use]
    pub fn start(&self) -> Disk {
        self.base.clone()
    }

    /// The computer's files after so many calls.
    #[must_use]
    pub fn disk_after(&self, call: u64) -> Disk {
        let mut disk = self.start();
        (1..=call).map_while(|number| self.call(number)).for_each(|change| disk.apply(change));
        disk
    }
}

#[derive(Clone, Debug, Default)]
struct Locks {
    shared: usize,
    exclusive: bool,
}

impl SimVfs {
    /// A computer without files.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::from_image(&Image::empty(), seed)
    }

    /// A computer that has just been started and holds these files, all of them safe.
    #[must_use]
    pub fn from_image(image: &Image, seed: u64) -> Self {
        Self::from_disk(Disk::from_image(image), seed)
    }

    /// A computer on which a process starts: nothing is open, no lock is held, and changes that an
    /// earlier process left may be pending.
    #[must_use]
    pub fn from_disk(disk: Disk, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Machine {
            device: unique_device(),
            disk,
            locks: BTreeMap::new(),
            rng: Rng::for_parts(&[seed, 0x76_66_73]),
            ticks: 0,
            calls: BTreeMap::new(),
            call_limit: u64::MAX,
            trace: 0,
            faults: FaultPlan::default(),
            untold: BTreeSet::new(),
            recording: None,
            call_log: None,
            change_count: 0,
        })))
    }

    /// Another computer in the same state, on which nothing is open and no lock is held: programs
    /// that begin alike on both make the same calls and get the same answers.
    #[must_use]
    pub fn fork(&self) -> Self {
        let mut machine = self.machine().clone();
        machine.device = unique_device();
        machine.locks.clear();
        Self(Arc::new(Mutex::new(machine)))
    }

    /// Adds a fault to the plan; it counts calls from now on.
    pub fn plan(&self, fault: Fault) {
        self.machine().faults.add(fault);
    }

    /// Forgets all planned faults. What a failed sync has lost stays lost.
    pub fn clear_faults(&self) {
        self.machine().faults.clear();
    }

    /// How many calls a planned fault has hit.
    #[must_use]
    pub fn faults_fired(&self) -> u64 {
        self.machine().faults.fired()
    }

    /// How many calls of this kind a planned fault has hit.
    #[must_use]
    pub fn faults_fired_at(&self, kind: CallKind) -> u64 {
        self.machine().faults.fired_at(kind)
    }

    /// Makes every call after the first `limit` fail, so that an endless loop of calls ends.
    pub fn limit_calls(&self, limit: u64) {
        self.machine().call_limit = limit;
    }

    /// Ends the computer: every later call fails. What is dropped after a crash was taken changes
    /// nothing and costs nothing.
    pub fn unplug(&self) {
        self.limit_calls(0);
    }

    /// How many calls of this kind were made.
    #[must_use]
    pub fn calls(&self, kind: CallKind) -> u64 {
        self.machine().calls.get(&kind).copied().unwrap_or(0)
    }

    /// How many calls that can fail were made.
    #[must_use]
    pub fn call_count(&self) -> u64 {
        self.machine().calls.values().sum()
    }

    /// A hash of all calls so far and of what they were given.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        self.machine().trace
    }

    /// How many mutating calls have taken effect.
    #[must_use]
    pub fn change_count(&self) -> u64 {
        self.machine().change_count
    }

    /// Keeps the kinds of all calls that can fail from now on.
    pub fn start_call_log(&self) {
        self.machine().call_log = Some(Vec::new());
    }

    /// Ends a log of calls and gives it back; empty if none was started.
    #[must_use]
    pub fn take_call_log(&self) -> Vec<CallKind> {
        self.machine().call_log.take().unwrap_or_default()
    }

    /// Records mutating calls from now on.
    pub fn start_recording(&self) {
        let mut machine = self.machine();
        machine.recording = Some(Recording { base: machine.disk.clone(), changes: Vec::new() });
        machine.change_count = 0;
    }

    /// Ends a recording and gives it back; `None` if none was started.
    #[must_use]
    pub fn take_recording(&self) -> Option<Recording> {
        self.machine().recording.take()
    }

    /// What a crash at this moment would leave.
    #[must_use]
    pub fn crash(&self, crash: Crash, rng: &mut Rng) -> Image {
        crash.image(&self.machine().disk, rng)
    }

    /// What the next start would find after a crash at this moment.
    #[must_use]
    pub fn leave(&self, crash: Crash, rng: &mut Rng) -> Left {
        crash.leave(&self.machine().disk, rng)
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, file: FileNo, mode: OpenMode) -> Arc<dyn VfsFile> {
        let writable = mode != OpenMode::Read;
        Arc::new(SimFile { vfs: self.clone(), file, writable, held: Mutex::default() })
    }
}

impl Machine {
    /// Counts and traces a call; the fault that hits it, if it does not fail outright.
    fn enter(&mut self, kind: CallKind, facts: &[u64]) -> io::Result<Option<Failure>> {
        let failure = self.count(kind, facts)?;
        match failure.and_then(|failure| failure.error(kind)) {
            Some(error) => Err(error),
            None => Ok(failure),
        }
    }

    fn count(&mut self, kind: CallKind, facts: &[u64]) -> io::Result<Option<Failure>> {
        *self.calls.entry(kind).or_default() += 1;
        if let Some(log) = &mut self.call_log {
            log.push(kind);
        }
        let traced = facts.iter().fold(kind as u64, |trace, fact| mix(trace ^ fact));
        self.trace = mix(self.trace ^ traced);
        if self.call_limit == 0 {
            return Err(io::Error::other("simulated EIO: more calls than the rig allows"));
        }
        self.call_limit -= 1;
        Ok(self.faults.next(kind))
    }

    fn make(&mut self, change: Change) {
        self.disk.apply(&change);
        self.change_count += 1;
        if let Some(recording) = &mut self.recording {
            recording.changes.push(change);
        }
    }

    fn edit(&mut self, file: FileNo, edit: Edit) -> io::Result<()> {
        if edit.end().is_none_or(|end| end > MAX_FILE_LEN) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.make(Change::Edit { file, edit });
        Ok(())
    }

    fn create(&mut self, path: Option<PathBuf>) -> FileNo {
        let file = self.disk.next_file();
        self.make(Change::Create { file, path });
        file
    }

    fn content(&self, file: FileNo) -> io::Result<&Content> {
        self.disk.cache(file).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Lets the error of an earlier sync surface.
    fn tell(&mut self, file: FileNo) -> io::Result<()> {
        if self.untold.remove(&file) { Err(device_error()) } else { Ok(()) }
    }

    /// The effect of a sync that this fault hits, and what the caller is told.
    fn outcome(&self, failure: Option<Failure>, kind: CallKind) -> (SyncEffect, Answer, io::Error) {
        let (effect, answer) =
            failure.map_or((SyncEffect::Persist, Answer::Ok), Failure::sync_outcome);
        let error = failure.and_then(|failure| failure.error(kind));
        (effect, answer, error.unwrap_or_else(device_error))
    }
}

impl Vfs for SimVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let mut machine = self.machine();
        let failure = machine.enter(CallKind::Open, &[path_fact(path), mode as u64])?;
        let file = match (machine.disk.lookup(path), mode) {
            (Some(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(file), _) => file,
            (None, OpenMode::Read | OpenMode::Write) => return Err(io::ErrorKind::NotFound.into()),
            (None, OpenMode::Create | OpenMode::CreateNew) => {
                if failure == Some(Failure::Full) {
                    return Err(disk_full());
                }
                machine.create(Some(path.to_owned()))
            }
        };
        Ok(self.handle(file, mode))
    }

    fn identity(&self, path: &Path) -> io::Result<FileId> {
        let mut machine = self.machine();
        machine.enter(CallKind::Identity, &[path_fact(path)])?;
        let number = machine.disk.lookup(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(FileId { device: machine.device, number })
    }

    fn open_temporary(&self, dir: &Path) -> io::Result<Arc<dyn VfsFile>> {
        let mut machine = self.machine();
        machine.enter(CallKind::OpenTemporary, &[path_fact(dir)])?;
        let file = machine.create(None);
        Ok(self.handle(file, OpenMode::Create))
    }

    fn rename_noreplace(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut machine = self.machine();
        machine.enter(CallKind::Rename, &[path_fact(from), path_fact(to)])?;
        if machine.disk.lookup(to).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        machine.disk.lookup(from).ok_or(io::ErrorKind::NotFound)?;
        machine.make(Change::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut machine = self.machine();
        machine.enter(CallKind::Rename, &[path_fact(from), path_fact(to)])?;
        machine.disk.lookup(from).ok_or(io::ErrorKind::NotFound)?;
        machine.make(Change::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut machine = self.machine();
        machine.enter(CallKind::Remove, &[path_fact(path)])?;
        machine.disk.lookup(path).ok_or(io::ErrorKind::NotFound)?;
        machine.make(Change::Remove { path: path.to_owned() });
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut machine = self.machine();
        let failure = machine.count(CallKind::SyncDir, &[path_fact(dir)])?;
        let (effect, answer, error) = machine.outcome(failure, CallKind::SyncDir);
        machine.make(Change::SyncDir { dir: dir.to_owned(), effect });
        if answer == Answer::Error { Err(error) } else { Ok(()) }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut machine = self.machine();
        machine.enter(CallKind::List, &[path_fact(dir)])?;
        let entry = |(path, content): (&Path, &Content)| DirEntry {
            path: path.to_owned(),
            len: content.len(),
        };
        Ok(machine.disk.list(dir).map(entry).collect())
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.tick())
    }

    fn pause(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let mut machine = self.machine();
        machine.ticks = machine.ticks.saturating_add(micros);
    }

    fn wall_clock_ms(&self) -> i64 {
        /// 2024-01-01: a time that looks like one.
        const START_MS: i64 = 1_704_067_200_000;
        START_MS.saturating_add_unsigned(self.tick())
    }

    fn random(&self, buf: &mut [u8]) -> io::Result<()> {
        let mut machine = self.machine();
        machine.enter(CallKind::Random, &[buf.len() as u64])?;
        machine.rng.fill(buf);
        Ok(())
    }

    fn process_id(&self) -> u32 {
        1
    }

    /// Lets the time pass at once. A wait without end is one for another thread.
    fn wait(&self, bell: &Arc<Bell>, seen: u64, timeout: Option<Duration>) {
        match timeout {
            Some(timeout) => {
                let passed = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
                let mut machine = self.machine();
                machine.ticks = machine.ticks.saturating_add(passed);
            }
            None => drop(bell.wait(seen, None)),
        }
    }
}

impl SimVfs {
    fn tick(&self) -> u64 {
        let mut machine = self.machine();
        machine.ticks += 1;
        machine.ticks
    }
}

/// An open file of a [`SimVfs`].
#[derive(Debug)]
struct SimFile {
    vfs: SimVfs,
    file: FileNo,
    writable: bool,
    held: Mutex<Option<LockMode>>,
}

impl SimFile {
    /// Counts a call that changes this file.
    fn enter_change(
        &self,
        kind: CallKind,
        facts: [u64; 2],
    ) -> io::Result<(MutexGuard<'_, Machine>, Option<Failure>)> {
        let mut machine = self.vfs.machine();
        let failure = machine.enter(kind, &[self.file, facts[0], facts[1]])?;
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok((machine, failure))
    }

    fn write(&self, mut bytes: Vec<u8>, offset: u64) -> io::Result<usize> {
        let hash = XxHash3_128::oneshot(&bytes) as u64;
        let (mut machine, failure) = self.enter_change(CallKind::Write, [offset, hash])?;
        machine.tell(self.file)?;
        let end = offset.saturating_add(bytes.len() as u64);
        if failure == Some(Failure::Full) && end > machine.content(self.file)?.len() {
            return Err(disk_full());
        }
        if failure == Some(Failure::Short) {
            bytes.truncate(half(bytes.len()));
        }
        let count = bytes.len();
        if count > 0 {
            machine.edit(self.file, Edit::Write { offset, bytes: bytes.into() })?;
        }
        Ok(count)
    }
}

impl VfsFile for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut machine = self.vfs.machine();
        let facts = [self.file, offset, buf.len() as u64];
        let failure = machine.enter(CallKind::Read, &facts)?;
        let asked = if failure == Some(Failure::Short) { half(buf.len()) } else { buf.len() };
        Ok(machine.content(self.file)?.read(&mut buf[..asked], offset))
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.write(buf.to_vec(), offset)
    }

    fn write_vectored_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let mut bytes = Vec::with_capacity(bufs.iter().map(|buf| buf.len()).sum());
        bufs.iter().for_each(|buf| bytes.extend_from_slice(buf));
        self.write(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let (mut machine, failure) = self.enter_change(CallKind::SetLen, [len, 0])?;
        if failure == Some(Failure::Full) && len > machine.content(self.file)?.len() {
            return Err(disk_full());
        }
        machine.edit(self.file, Edit::SetLen(len))
    }

    fn len(&self) -> io::Result<u64> {
        let mut machine = self.vfs.machine();
        machine.enter(CallKind::Len, &[self.file])?;
        Ok(machine.content(self.file)?.len())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let (mut machine, _) = self.enter_change(CallKind::Allocate, [len, 0])?;
        machine.edit(self.file, Edit::Allocate(len))
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        let (mut machine, _) = self.enter_change(CallKind::Punch, [offset, len])?;
        let inside = machine.content(self.file)?.len().saturating_sub(offset).min(len);
        machine.edit(self.file, Edit::Punch { offset, len: inside })
    }

    fn sync(&self, kind: SyncKind) -> io::Result<()> {
        let mut machine = self.vfs.machine();
        let failure = machine.count(CallKind::Sync, &[self.file, kind as u64])?;
        machine.tell(self.file)?;
        let (effect, answer, error) = machine.outcome(failure, CallKind::Sync);
        machine.make(Change::Sync { file: self.file, effect });
        if answer == Answer::Later {
            machine.untold.insert(self.file);
        }
        if answer == Answer::Error { Err(error) } else { Ok(()) }
    }

    fn identity(&self) -> io::Result<FileId> {
        let mut machine = self.vfs.machine();
        machine.enter(CallKind::Identity, &[self.file])?;
        Ok(FileId { device: machine.device, number: self.file })
    }

    fn try_lock(&self, mode: LockMode) -> io::Result<bool> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut machine = self.vfs.machine();
        machine.enter(CallKind::Lock, &[self.file, mode as u64])?;
        let locks = machine.locks.entry(self.file).or_default();
        locks.release(held.take());
        let taken = locks.take(mode);
        *held = taken.then_some(mode);
        Ok(taken)
    }

    fn unlock(&self) -> io::Result<()> {
        self.release_lock();
        Ok(())
    }
}

impl SimFile {
    fn release_lock(&self) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        if held.is_some() {
            self.vfs.machine().locks.entry(self.file).or_default().release(held);
        }
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.release_lock();
    }
}

impl Locks {
    fn take(&mut self, mode: LockMode) -> bool {
        let free = match mode {
            LockMode::Shared => !self.exclusive,
            LockMode::Exclusive => !self.exclusive && self.shared == 0,
        };
        match mode {
            LockMode::Shared if free => self.shared += 1,
            LockMode::Exclusive if free => self.exclusive = true,
            _ => {}
        }
        free
    }

    fn release(&mut self, held: Option<LockMode>) {
        match held {
            Some(LockMode::Shared) => self.shared -= 1,
            Some(LockMode::Exclusive) => self.exclusive = false,
            None => {}
        }
    }
}

fn half(len: usize) -> usize {
    len.div_ceil(2)
}

/// A path's part in the trace; the same on every machine.
fn path_fact(path: &Path) -> u64 {
    XxHash3_128::oneshot(path.as_os_str().as_encoded_bytes()) as u64
}

#[cfg(test)]
mod tests;
