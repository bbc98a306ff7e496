//! How thorough a checkpoint is, and what it did.

use crate::error::Error;
use crate::page::CommitNo;
use std::fmt;
use std::str::FromStr;

/// How thorough a checkpoint is, with SQLite's meanings.
///
/// | mode | waits for the writer | waits for readers | the log afterwards |
/// |---|---|---|---|
/// | `Passive` | no | no | what was copied is free to be used again |
/// | `Full` | yes | of older snapshots | the same, and everything was copied |
/// | `Restart` | yes | that began before it | starts anew at the beginning of its file |
/// | `Truncate` | yes | that began before it | its file is empty |
///
/// No mode ever makes a reader wait. While a stronger mode waits or works, writers wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CheckpointMode {
    /// Copies what it can without waiting for anybody.
    #[default]
    Passive,
    /// Copies everything.
    Full,
    /// Copies everything and starts the log anew.
    Restart,
    /// Copies everything and empties the log file.
    Truncate,
}

impl fmt::Display for CheckpointMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passive => "passive",
            Self::Full => "full",
            Self::Restart => "restart",
            Self::Truncate => "truncate",
        })
    }
}

/// Takes the names in either case, also in the long form `CHECKPOINT_PASSIVE`; nothing is `Passive`.
impl FromStr for CheckpointMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let name = text.to_ascii_lowercase();
        match name.strip_prefix("checkpoint_").unwrap_or(&name) {
            _ if name.is_empty() => Ok(Self::Passive),
            "passive" => Ok(Self::Passive),
            "full" => Ok(Self::Full),
            "restart" => Ok(Self::Restart),
            "truncate" => Ok(Self::Truncate),
            _ => Err(Error::InvalidOptions("a checkpoint is passive, full, restart or truncate")),
        }
    }
}

/// What a checkpoint did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointReport {
    /// What was asked for.
    pub mode: CheckpointMode,
    /// Blocks of 4 KiB that the log held when it began.
    pub log_frames: u64,
    /// Those of them that are not needed any more.
    pub frames_copied: u64,
    /// Pages written to the file.
    pub pages_copied: u64,
    /// The next commit is written at the start of the log.
    pub log_restarted: bool,
    /// The log file is empty.
    pub log_truncated: bool,
    /// Everything that was committed when it began is in the file, durable.
    pub is_complete: bool,
    /// Commits up to this one are in the file, durable.
    pub upto: CommitNo,
}
