//! Failing histories made short: operations are left out as long as the history still fails.

use super::history::{Failure, History};

/// Most plays that one history is worth.
const MAX_PLAYS: usize = 1500;

/// A shorter history that fails, and how it does. `play` says whether one fails.
pub(crate) fn shrink(
    history: &History,
    failure: Failure,
    play: &dyn Fn(&History) -> Option<Failure>,
) -> (History, Failure) {
    let mut shrinking = Shrinking { best: history.clone(), failure, plays: 0, play };
    let end = shrinking.failure.at + 1;
    shrinking.try_ops(history.ops[..end.min(history.ops.len())].to_vec());
    let mut chunk = shrinking.best.ops.len().div_ceil(2);
    while chunk > 0 && shrinking.plays < MAX_PLAYS {
        let was_shortened = shrinking.leave_out(chunk);
        chunk = match (chunk, was_shortened) {
            (1, true) => 1,
            (1, false) => 0,
            _ => chunk / 2,
        };
    }
    (shrinking.best, shrinking.failure)
}

struct Shrinking<'p> {
    best: History,
    failure: Failure,
    plays: usize,
    play: &'p dyn Fn(&History) -> Option<Failure>,
}

impl Shrinking<'_> {
    /// Tries to leave out each run of so many operations; true if one was.
    fn leave_out(&mut self, chunk: usize) -> bool {
        let mut was_shortened = false;
        let mut end = self.best.ops.len();
        while end > 0 && self.plays < MAX_PLAYS {
            let start = end.saturating_sub(chunk);
            let mut ops = self.best.ops.clone();
            ops.drain(start..end.min(ops.len()));
            was_shortened |= self.try_ops(ops);
            end = start;
        }
        was_shortened
    }

    /// Keeps these operations if they fail in the same manner.
    fn try_ops(&mut self, ops: Vec<any_store::Document>) -> bool {
        self.plays += 1;
        let shorter = History { ops, ..self.best.clone() };
        match (self.play)(&shorter) {
            Some(failure) if failure.is_panic == self.failure.is_panic => {
                self.best = shorter;
                self.failure = failure;
                true
            }
            _ => false,
        }
    }
}
