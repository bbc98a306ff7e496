//! A history: how the database is opened and what is done, as lines of JSON.

use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use any_store::{Document, Value, doc};

use super::op::Op;
use super::player::{Player, Tally};

/// What is done to a database, from its first open on.
#[derive(Clone, Debug)]
pub(crate) struct History {
    /// On a simulated computer, which can crash; else in memory.
    pub(crate) is_simulated: bool,
    /// Of the computer's own chance.
    pub(crate) seed: u64,
    pub(crate) setup: Document,
    pub(crate) ops: Vec<Document>,
}

/// What went wrong, and where.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// The operation, counted from 0.
    pub(crate) at: usize,
    pub(crate) what: String,
    pub(crate) is_panic: bool,
}

impl History {
    /// Plays the history; what was done, and what went wrong if anything did.
    pub(crate) fn play(&self) -> (Tally, Option<Failure>) {
        let ops: Result<Vec<Op>, String> = self.ops.iter().map(Op::read).collect();
        let player = ops.and_then(|ops| Ok((Player::new(self)?, ops)));
        let (mut player, ops) = match player {
            Ok(player) => player,
            Err(what) => return (Tally::default(), Some(Failure { at: 0, what, is_panic: false })),
        };
        // After a panic the player only tells where it was.
        let played = catch_unwind(AssertUnwindSafe(|| player.play(&ops)));
        let (what, is_panic) = match played {
            Ok(Ok(())) => return (player.tally, None),
            Ok(Err(what)) => (what, false),
            Err(panic) => (message(&*panic), true),
        };
        (player.tally, Some(Failure { at: player.at, what, is_panic }))
    }

    /// Reads what [`Display`](fmt::Display) wrote; empty lines and those that begin with `#` are
    /// passed over.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut lines = lines.map(|line| {
            let parsed = any_store::json::parse_document(line.as_bytes());
            let raw = parsed.map_err(|error| format!("{line}: {error}"))?;
            raw.as_raw().to_document().map_err(|error| error.to_string())
        });
        let head = lines.next().ok_or("a history has a first line")??;
        let seed = head.get("seed").and_then(Value::as_i64).unwrap_or_default();
        Ok(Self {
            is_simulated: head.get("simulated").and_then(Value::as_bool).unwrap_or(false),
            seed: seed.unsigned_abs(),
            setup: head.get("setup").and_then(Value::as_document).cloned().unwrap_or_default(),
            ops: lines.collect::<Result<_, String>>()?,
        })
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seed = i64::try_from(self.seed).unwrap_or(i64::MAX);
        let head = doc! {
            "simulated": (self.is_simulated), "seed": seed, "setup": (self.setup.clone()),
        };
        write!(f, "{head}")?;
        self.ops.iter().try_for_each(|op| write!(f, "\n{op}"))
    }
}

thread_local! {
    /// What the last panic of this thread said, and where it was.
    static LAST_PANIC: RefCell<String> = RefCell::default();
}

/// Panics are kept instead of printed from now on.
pub(crate) fn keep_panics() {
    std::panic::set_hook(Box::new(|info| LAST_PANIC.set(info.to_string())));
}

/// What a panic said.
fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let kept = LAST_PANIC.take();
    if !kept.is_empty() {
        return kept;
    }
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words").to_owned()
}
