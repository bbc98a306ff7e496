//! What the database needs of the operating system and no safe interface offers: to read a file
//! through a memory map, and to notice a fork without asking the system each time.
//!
//! All functions are safe. Every unsafe block says why it is sound; `docs/unsafe.md` lists them.

#[cfg(all(unix, target_pointer_width = "64"))]
mod map;
#[cfg(not(all(unix, target_pointer_width = "64")))]
#[path = "no_map.rs"]
mod map;
#[cfg(unix)]
#[path = "process.rs"]
mod process;
#[cfg(not(unix))]
#[path = "no_fork.rs"]
mod process;

pub use map::FileMap;
pub use process::process_id;
