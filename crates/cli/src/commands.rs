//! The sub-commands, one file each.

pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod collections;
pub(crate) mod compact;
pub(crate) mod count;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod flush;
pub(crate) mod import;
pub(crate) mod indexes;
pub(crate) mod query;
pub(crate) mod shell;
pub(crate) mod stats;
