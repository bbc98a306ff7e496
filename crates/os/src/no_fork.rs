//! Systems on which a process is not copied.

/// The number of this process.
#[must_use]
pub fn process_id() -> u32 {
    std::process::id()
}
