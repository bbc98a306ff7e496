//! storage
pub mod vfs;
