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

mod error;
mod page;
pub mod vfs;

pub use error::{Error, Result};
pub use page::{BLOCK_BYTES, CommitNo, PageNo, TreeId};
