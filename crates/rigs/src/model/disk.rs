//! Where the database of a history lives.

use std::path::Path;
use std::sync::Arc;

use any_store::vfs::Vfs;
use any_store::{Database, MemVfs, Result};
use any_store_sim::SimVfs;

use super::setup::Setup;

/// More calls than any history makes: an endless loop meets errors.
const MAX_CALLS: u64 = 2_000_000;

/// The files of a history.
pub(crate) enum Disk {
    /// Memory, which never fails.
    Memory(MemVfs),
    /// A simulated computer, which can crash.
    Simulated(SimVfs),
}

impl Disk {
    pub(crate) fn new(is_simulated: bool, seed: u64) -> Self {
        if is_simulated {
            Self::Simulated(limited(SimVfs::new(seed)))
        } else {
            Self::Memory(MemVfs::new())
        }
    }

    /// The computer after a crash.
    pub(crate) fn after(left: &any_store_sim::crash::Left, seed: u64) -> Self {
        Self::Simulated(limited(SimVfs::from_disk(left.disk(), seed)))
    }

    pub(crate) fn vfs(&self) -> Arc<dyn Vfs> {
        match self {
            Self::Memory(files) => Arc::new(files.clone()),
            Self::Simulated(computer) => Arc::new(computer.clone()),
        }
    }

    /// Opens the database of this name.
    pub(crate) fn open(&self, path: &Path, setup: &Setup, create: bool) -> Result<Database> {
        setup.options().create(create).vfs(self.vfs()).open(path)
    }

    /// Lets every call fail after so many; `None` takes that back.
    pub(crate) fn limit(&self, calls: Option<u64>) {
        if let Self::Simulated(computer) = self {
            computer.limit_calls(calls.unwrap_or(MAX_CALLS));
        }
    }
}

fn limited(computer: SimVfs) -> SimVfs {
    computer.limit_calls(MAX_CALLS);
    computer
}
