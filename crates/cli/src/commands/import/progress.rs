//! The progress bar of an import, on a terminal only.

use indicatif::{ProgressBar, ProgressStyle};

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
            Some(bytes) => (
                ProgressBar::new(bytes),
                "{bar:30} {percent:>3}%  {bytes}/{total_bytes}  {msg}  {eta} left",
            ),
            None => (ProgressBar::new_spinner(), "{spinner} {bytes}  {msg}  {elapsed}"),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Progress { bar }
    }

    pub(super) fn show(&self, bytes: u64, documents: u64) {
        self.bar.set_position(bytes);
        self.bar.set_message(format!("{documents} documents"));
    }

    /// Says something that the bar would write over.
    pub(super) fn suspend(&self, say: impl FnOnce()) {
        self.bar.suspend(say);
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
