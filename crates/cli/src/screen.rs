//! What is said to people: messages on standard error, and colours where they are wanted.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use crate::args::ColorChoice;

#[derive(Clone, Copy, Debug)]
struct Manners {
    quiet: bool,
    color: ColorChoice,
}

static MANNERS: OnceLock<Manners> = OnceLock::new();

/// Called once, before anything is said.
pub(crate) fn set_up(quiet: bool, color: ColorChoice) {
    MANNERS.get_or_init(|| Manners { quiet, color });
}

fn manners() -> Manners {
    *MANNERS.get_or_init(|| Manners { quiet: false, color: ColorChoice::Auto })
}

/// An error. Said even if `--quiet` is given.
pub(crate) fn error(message: &str) {
    let style = style_for(&io::stderr());
    raw(format_args!("{} {message}\n", style.paint(Paint::Error, "error:")));
}

/// What is good to know but is no error.
pub(crate) fn note(message: fmt::Arguments<'_>) {
    if !manners().quiet {
        raw(format_args!("{message}\n"));
    }
}

/// For programs that read standard error: said as it is, and at once.
pub(crate) fn raw(text: fmt::Arguments<'_>) {
    // One write, so that lines of several processes do not mix. A standard error that is closed
    // leaves nobody to tell.
    let _ = io::stderr().write_all(text.to_string().as_bytes());
}

/// Whether progress is worth drawing.
pub(crate) fn shows_progress() -> bool {
    !manners().quiet && io::stderr().is_terminal()
}

/// How text for `stream` is painted.
pub(crate) fn style_for(stream: &impl IsTerminal) -> Style {
    let colored = match manners().color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            !refused && stream.is_terminal()
        }
    };
    Style { colored }
}

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    colored: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Paint {
    Error,
    Title,
    Dim,
    Good,
}

impl Style {
    pub(crate) fn paint(self, paint: Paint, text: &str) -> String {
        if !self.colored {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Error => "1;31",
            Paint::Title => "1;36",
            Paint::Dim => "2",
            Paint::Good => "1;32",
        };
        format!("\x1B[{code}m{text}\x1B[0m")
    }
}
