//! The progress bar of a long operation of the database, on a terminal only.

use any_store::Progress;
use indicatif::{ProgressBar, ProgressStyle};

use crate::screen;

/// A bar in percent; on no terminal nothing.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// A bar for what the operation is called.
    pub(crate) fn new(what: &'static str) -> Bar {
        if !screen::shows_progress() {
            return Bar(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{bar:20} {percent:>3}%  {msg}, {eta} left")
        {
            bar.set_style(style);
        }
        bar.set_message(what);
        Bar(bar)
    }

    /// What the operation calls with its progress.
    pub(crate) fn reporter(&self) -> impl Fn(Progress) + Send + Sync + 'static {
        let bar = self.0.clone();
        move |progress| {
            bar.set_length(progress.total_blocks);
            bar.set_position(progress.done_blocks);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
