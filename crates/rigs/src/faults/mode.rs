//! The ways in which one call can fail.

use std::fmt;
use std::str::FromStr;

use any_store::ErrorKind;
use any_store_sim::{AfterEffect, CallKind, Failure, Fault};

/// A way for a call to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The device fails once.
    Io,
    /// The device fails from that call on.
    IoForever,
    /// The disk is full for one call.
    NoSpace,
    /// The disk is full from that call on, and does not even take what has its space already.
    NoSpaceForever,
    /// The disk is full from that call on, as most file systems are: what has its space is written.
    Full,
    /// A read or write does its first half.
    Short,
    /// A sync fails; its changes are lost, and reads return them.
    SyncNew,
    /// A sync fails; its changes are lost, and reads return what was before.
    SyncOld,
    /// A sync loses its changes, and the next write or sync of the file says so.
    SyncLater,
}

impl Mode {
    pub(super) const ALL: [Self; 9] = [
        Self::Io,
        Self::IoForever,
        Self::NoSpace,
        Self::NoSpaceForever,
        Self::Full,
        Self::Short,
        Self::SyncNew,
        Self::SyncOld,
        Self::SyncLater,
    ];

    /// The fault that hits the `at`-th call from now.
    pub(super) fn fault(self, at: u64) -> Fault {
        let once = |failure| Fault::once(at, failure);
        match self {
            Self::Io => once(Failure::Io),
            Self::IoForever => once(Failure::Io).from_then_on(),
            Self::NoSpace => once(Failure::NoSpace),
            Self::NoSpaceForever => once(Failure::NoSpace).from_then_on(),
            Self::Full => once(Failure::Full).from_then_on(),
            Self::Short => once(Failure::Short),
            Self::SyncNew => once(Failure::SyncFails(AfterEffect::CleanAndNew)),
            Self::SyncOld => once(Failure::SyncFails(AfterEffect::CleanAndOld)),
            Self::SyncLater => once(Failure::SyncFails(AfterEffect::ToldLater)),
        }
    }

    /// True if a call of this kind can fail so, and is not covered by another mode.
    pub(super) fn hits(self, kind: CallKind) -> bool {
        match self {
            Self::Io | Self::IoForever => true,
            Self::NoSpace | Self::NoSpaceForever => kind.needs_space(),
            Self::Full => matches!(
                kind,
                CallKind::Open
                    | CallKind::OpenTemporary
                    | CallKind::Write
                    | CallKind::SetLen
                    | CallKind::Allocate
            ),
            Self::Short => matches!(kind, CallKind::Read | CallKind::Write),
            // For a sync that fails once, `Io` has this after-effect.
            Self::SyncNew => kind == CallKind::SyncDir,
            Self::SyncOld => matches!(kind, CallKind::Sync | CallKind::SyncDir),
            // Nobody would ever be told of a directory's.
            Self::SyncLater => kind == CallKind::Sync,
        }
    }

    /// True if an error of this kind can follow from the fault.
    pub(super) fn explains(self, kind: ErrorKind) -> bool {
        use ErrorKind::{CommitUnknown, Corrupt, Failed, Io, NoSpace};
        match self {
            Self::Io | Self::IoForever | Self::SyncNew | Self::SyncLater => {
                matches!(kind, Io | CommitUnknown | Failed)
            }
            Self::NoSpace | Self::NoSpaceForever => {
                matches!(kind, NoSpace | CommitUnknown | Failed)
            }
            // P7: whoever takes the change back can, so no outcome is unknown and no handle ends.
            Self::Full => kind == NoSpace,
            // What was written is not there any more, and reads notice.
            Self::SyncOld => matches!(kind, Io | Corrupt | CommitUnknown | Failed),
            Self::Short => false,
        }
    }

    /// True if the system itself may lose what a sync was told to be for: no more than what was
    /// durable before can be asked for.
    pub(super) fn lies(self) -> bool {
        self == Self::SyncLater
    }

    /// True if what one call could not do the next ones cannot do either, nor take it back.
    pub(super) fn lasts(self) -> bool {
        matches!(self, Self::IoForever | Self::NoSpaceForever)
    }

    /// True if a failed sync takes changes back that reads had returned.
    pub(super) fn reverts(self) -> bool {
        self == Self::SyncOld
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Io => "io",
            Self::IoForever => "io-forever",
            Self::NoSpace => "no-space",
            Self::NoSpaceForever => "no-space-forever",
            Self::Full => "full",
            Self::Short => "short",
            Self::SyncNew => "sync-new",
            Self::SyncOld => "sync-old",
            Self::SyncLater => "sync-later",
        })
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.to_string() == name)
            .ok_or_else(|| format!("no way to fail is called {name:?}"))
    }
}
