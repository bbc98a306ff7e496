//! Ordered trees of bytes in one crash-safe file.
//!
//! A [`vfs::Vfs`] is the only way out of the process. Above it lie pages, the log, the page
//! directory, the writer's own pages, the trees, transactions and the store, each knowing only
//! what is below it.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation
    )
)]

mod background;
mod backup;
mod begin;
mod bitmap;
mod buffer;
mod check;
mod checkpoint;
mod codec;
mod commit;
mod commit_queue;
mod compact;
mod directory;
mod engine;
mod error;
mod fair_lock;
mod flush;
mod header;
mod header_slots;
mod ids;
mod in_place;
mod log;
#[cfg(all(test, loom))]
mod loom_models;
mod maintenance;
mod new_file;
mod open;
mod options;
mod page;
mod pager;
mod pins;
mod planted;
mod progress;
mod registry;
mod salvage;
mod scan;
mod sentinel;
mod signal;
mod snapshot;
mod state;
mod stats;
mod store;
mod sync;
mod tree;
mod txn;
pub mod vfs;
mod write_set;

pub use backup::{BackupOptions, BackupReport};
pub use buffer::PageBuffer;
pub use check::{
    CheckOptions, CheckReport, Finding, FindingKind, TreeReport, VerifyOptions, VerifyReport,
};
pub use checkpoint::{CheckpointMode, CheckpointReport};
pub use directory::CacheStats;
pub use error::{Error, LockHolder, Result};
pub use ids::{CommitNo, PageNo, TreeId};
pub use options::{AutoCheckpoint, ErrorCallback, StoreOptions, Sync};
pub use page::BLOCK_BYTES;
#[cfg(planted)]
#[doc(hidden)]
pub use planted::is_planted;
pub use progress::{Cancel, OnProgress, Progress};
pub use salvage::Salvaged;
pub use snapshot::SnapshotInfo;
pub use stats::StoreStats;
pub use store::Store;
pub use tree::{Estimate, ValueRef};
pub use txn::{Cursor, ReadTx, Savepoint, TreeOptions, TreeStats, WriteTx};
pub use vfs::{MemVfs, OsVfs, Vfs, VfsFile};
