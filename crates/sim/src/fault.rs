//! Faults that a plan schedules: which call fails, how, and for how long.

use crate::disk::SyncEffect;
use std::collections::BTreeMap;
use std::io;

/// The kinds of calls, for counting and for aiming faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallKind {
    /// `open`.
    Open,
    /// `open_temporary`.
    OpenTemporary,
    /// `rename_noreplace` and `rename`.
    Rename,
    /// `remove`.
    Remove,
    /// `sync_dir`.
    SyncDir,
    /// `list`.
    List,
    /// `random`.
    Random,
    /// `read_at`.
    Read,
    /// `write_at` and `write_vectored_at`.
    Write,
    /// `set_len`.
    SetLen,
    /// `len`.
    Len,
    /// `allocate`.
    Allocate,
    /// `punch`.
    Punch,
    /// `sync`.
    Sync,
    /// `identity`, of a path or of an open file.
    Identity,
    /// `try_lock`.
    Lock,
}

/// Which calls a fault counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// All that can fail.
    All,
    /// Those of one kind.
    Of(CallKind),
}

/// How long a fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// One call.
    Once,
    /// That call and all later ones it counts.
    FromThenOn,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The device reports an error; a sync loses its pending changes as on ext4.
    Io,
    /// The disk is full; so is a sync when space is given out late, and then loses its changes.
    /// Calls that need no space are not affected.
    NoSpace,
    /// The disk is full, and what has its space already can be overwritten, cut and synced.
    Full,
    /// A signal came first; nothing was done.
    Interrupted,
    /// The call would have to wait; nothing was done.
    WouldBlock,
    /// A read or write does only its first half, at least one byte. Other calls are not affected.
    Short,
    /// A sync fails, with this after-effect. Other calls fail as with [`Failure::Io`].
    SyncFails(AfterEffect),
    /// A sync answers `Ok` and persists nothing. Other calls are not affected.
    SyncLies,
}

/// What is true after a sync failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterEffect {
    /// The changes are lost, yet reads return them (ext4, XFS).
    CleanAndNew,
    /// The changes are lost, and reads return what was there before (Btrfs).
    CleanAndOld,
    /// The changes are lost and this sync answers `Ok`; the file's next write or sync fails.
    ToldLater,
}

/// One planned fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The first call that fails, counting from 1 among `calls`, from when the plan was made.
    pub at: u64,
    /// Which calls are counted and hit.
    pub calls: Calls,
    /// What happens to them.
    pub failure: Failure,
    /// For how long.
    pub lasting: Lasting,
}

impl Fault {
    /// The `at`-th call of any kind fails once.
    #[must_use]
    pub fn once(at: u64, failure: Failure) -> Self {
        Self { at, calls: Calls::All, failure, lasting: Lasting::Once }
    }

    /// The same fault from that call on.
    #[must_use]
    pub fn from_then_on(self) -> Self {
        Self { lasting: Lasting::FromThenOn, ..self }
    }

    /// The same fault, counting and hitting one kind of call.
    #[must_use]
    pub fn of(self, kind: CallKind) -> Self {
        Self { calls: Calls::Of(kind), ..self }
    }
}

/// The faults ahead, each with the calls it has counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultPlan {
    planned: Vec<(Fault, u64)>,
    fired: BTreeMap<CallKind, u64>,
}

impl FaultPlan {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.planned.push((fault, 0));
    }

    pub(crate) fn clear(&mut self) {
        self.planned.clear();
    }

    /// How many calls were hit so far.
    pub(crate) fn fired(&self) -> u64 {
        self.fired.values().sum()
    }

    /// How many calls of this kind were hit so far.
    pub(crate) fn fired_at(&self, kind: CallKind) -> u64 {
        self.fired.get(&kind).copied().unwrap_or(0)
    }

    /// Counts a call for every fault; the first one due decides what happens to it.
    pub(crate) fn next(&mut self, kind: CallKind) -> Option<Failure> {
        let mut due = None;
        for (fault, counted) in &mut self.planned {
            if fault.calls != Calls::All && fault.calls != Calls::Of(kind) {
                continue;
            }
            *counted += 1;
            let hit = match fault.lasting {
                Lasting::Once => *counted == fault.at,
                Lasting::FromThenOn => *counted >= fault.at,
            };
            if hit && due.is_none() {
                due = Some(fault.failure);
            }
        }
        if due.is_some() {
            *self.fired.entry(kind).or_default() += 1;
        }
        due
    }
}

impl Failure {
    /// The error that a call returns; `None` if it goes on.
    pub(crate) fn error(self, kind: CallKind) -> Option<io::Error> {
        match self {
            Self::Io | Self::SyncFails(_) => Some(device_error()),
            Self::NoSpace if kind.needs_space() => Some(disk_full()),
            Self::Full if kind.is_for_space() => Some(disk_full()),
            Self::Interrupted => Some(io::ErrorKind::Interrupted.into()),
            Self::WouldBlock => Some(io::ErrorKind::WouldBlock.into()),
            Self::NoSpace | Self::Full | Self::Short | Self::SyncLies => None,
        }
    }

    /// What a sync does to the pending changes, and whether and when it tells.
    pub(crate) fn sync_outcome(self) -> (SyncEffect, Answer) {
        match self {
            Self::Io | Self::NoSpace | Self::SyncFails(AfterEffect::CleanAndNew) => {
                (SyncEffect::LoseKeepCache, Answer::Error)
            }
            Self::SyncFails(AfterEffect::CleanAndOld) => {
                (SyncEffect::LoseRevertCache, Answer::Error)
            }
            Self::SyncFails(AfterEffect::ToldLater) => (SyncEffect::LoseKeepCache, Answer::Later),
            Self::SyncLies => (SyncEffect::Nothing, Answer::Ok),
            Self::Short | Self::Full => (SyncEffect::Persist, Answer::Ok),
            Self::Interrupted | Self::WouldBlock => (SyncEffect::Nothing, Answer::Error),
        }
    }
}

impl CallKind {
    /// True for calls that a full disk can make fail.
    #[must_use]
    pub fn needs_space(self) -> bool {
        !matches!(self, Self::Random | Self::Read | Self::Len | Self::Identity | Self::Lock)
            && self != Self::List
    }
}

impl CallKind {
    /// True for calls whose purpose is to get space. Others may turn out to need some: see
    /// [`Failure::Full`].
    fn is_for_space(self) -> bool {
        matches!(self, Self::Allocate | Self::OpenTemporary)
    }
}

/// What a sync answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Ok,
    Error,
    Later,
}

/// The error of a disk without space.
pub(crate) fn disk_full() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

/// The error of a broken device.
pub(crate) fn device_error() -> io::Error {
    io::Error::other("simulated EIO")
}
