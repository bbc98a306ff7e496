//! The progress bar of an import, on a terminal only.

use indicatif::{ProgressBar, ProgressStyle};

use crate::figures;
use crate::screen;

/// A bar where the length of the input is known, else a spinner; on no terminal nothing.
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(super) fn new(bytes: Option<u64>) -> Progress {
        if !screen::shows_progress() {
            return Progress { bar: ProgressBar::hidden() };
        }
        let (bar, template) = match bytes {
            Some(bytes) => {
                (ProgressBar::new(bytes), "{bar:20} {percent:>3}%  {msg} documents, {eta} left")
            }
            None => (ProgressBar::new_spinner(), "{spinner} {bytes}  {msg} documents, {elapsed}"),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Progress { bar }
    }

    pub(super) fn show(&self, bytes: u64, documents: u64) {
        self.bar.set_position(bytes);
        self.bar.set_message(figures::count(documents));
    }

    /// Says something that the bar would write over.
    pub(super) fn suspend(&self, say: impl FnOnce()) {
        self.bar.suspend(say);
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
