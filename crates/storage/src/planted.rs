//! Bugs planted on purpose, so that the rigs can show that they are awake.

/// True in a build with `--cfg planted` and there alone, when the variable `ANY_STORE_PLANTED` of the
/// environment names this bug.
#[cfg(planted)]
#[must_use]
pub fn is_planted(bug: &str) -> bool {
    static PLANTED: std::sync::LazyLock<Option<String>> =
        std::sync::LazyLock::new(|| std::env::var("ANY_STORE_PLANTED").ok());
    PLANTED.as_deref() == Some(bug)
}

/// No bug is planted in this build.
#[cfg(not(planted))]
pub(crate) const fn is_planted(_: &str) -> bool {
    false
}
