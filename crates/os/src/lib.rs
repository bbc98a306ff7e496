//! What the database needs of the operating system and no safe interface offers: at present, reading
//! a file through a memory map.
//!
//! All functions are safe. Every unsafe block says why it is sound; `docs/unsafe.md` lists them.

#[cfg(all(unix, target_pointer_width = "64"))]
mod map;
#[cfg(not(all(unix, target_pointer_width = "64")))]
#[path = "no_map.rs"]
mod map;

pub use map::FileMap;
