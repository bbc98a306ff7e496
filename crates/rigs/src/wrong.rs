//! What a check found wrong, for rigs that check with `?`.

use std::fmt;

/// Something is not as it should be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong(pub(crate) String);

/// A check that has passed, or what it found.
pub(crate) type Checked<T = ()> = Result<T, Wrong>;

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An error where none is due.
impl From<any_store::Error> for Wrong {
    fn from(error: any_store::Error) -> Self {
        Self(format!("unexpected {error:?}"))
    }
}

impl From<any_store::DecodeError> for Wrong {
    fn from(error: any_store::DecodeError) -> Self {
        Self(format!("bytes that were read cannot be decoded: {error}"))
    }
}

impl From<std::io::Error> for Wrong {
    fn from(error: std::io::Error) -> Self {
        Self(format!("the rig itself failed: {error}"))
    }
}

/// Refuses a result unless `holds`; `what` says what it is then.
pub(crate) fn ensure(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(Wrong(what())) }
}

/// Runs `work`; a panic in it is something wrong, too.
pub(crate) fn catch<T>(work: impl FnOnce() -> Checked<T>) -> Checked<T> {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Wrong(format!("panic: {}", text.unwrap_or("of another type"))))
    })
}
