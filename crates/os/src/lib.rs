//! What the database needs of the operating system and no safe interface offers: to notice a fork
//! without asking the system each time.
//!
//! All functions are safe. Every unsafe block says why it is sound; `docs/unsafe.md` lists them.

#[cfg(unix)]
#[path = "process.rs"]
mod process;
#[cfg(not(unix))]
#[path = "no_fork.rs"]
mod process;

pub use process::process_id;
