//! Savepoints: a stack of what was before.
//!
//! A savepoint keeps, of each page that changes after it, what the write set held before: the page,
//! its place in the log, or that it held nothing. So going back needs neither reading nor space on
//! the disk. The images a savepoint keeps may be spilled like the pages themselves.

use super::pages::{ChangedPages, Held};
use crate::ids::Counters;
use crate::page::{PageNo, TreeId};
use crate::planted::is_planted;
use crate::tree::TreeDescriptor;
use foldhash::fast::FixedState;
use std::collections::{BTreeMap, HashSet};

/// The numbers and trees that a savepoint brings back.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    pub(super) counters: Counters,
    pub(super) trees: BTreeMap<TreeId, Option<TreeDescriptor>>,
    pub(super) freed_len: usize,
}

/// What the write set held of the pages touched since a savepoint.
#[derive(Debug, Default)]
struct Undo {
    pages: ChangedPages,
    /// Pages of which it held nothing. New pages are all here, so they get the smaller set.
    absent: HashSet<PageNo, FixedState>,
}

impl Undo {
    fn len(&self) -> usize {
        self.pages.len() + self.absent.len()
    }

    fn contains(&self, page_no: PageNo) -> bool {
        self.pages.contains(page_no) || self.absent.contains(&page_no)
    }

    fn set(&mut self, page_no: PageNo, before: Option<Held>) {
        match before {
            Some(held) => {
                self.absent.remove(&page_no);
                self.pages.insert(page_no, held);
            }
            None => {
                self.pages.remove(page_no);
                self.absent.insert(page_no);
            }
        }
    }

    /// Takes over what a later savepoint kept. What is known already is older, so it stays. The
    /// smaller of the two goes into the larger: many small savepoints inside a large one, or
    /// around one, cost by their own size.
    fn absorb(&mut self, later: Self) {
        let earlier = std::mem::take(self);
        if earlier.len() < later.len() {
            *self = later;
            earlier.into_before().for_each(|(page_no, before)| self.set(page_no, before));
            return;
        }
        *self = earlier;
        for (page_no, before) in later.into_before() {
            if !self.contains(page_no) {
                self.set(page_no, before);
            }
        }
    }

    fn into_before(self) -> impl Iterator<Item = (PageNo, Option<Held>)> {
        let held = self.pages.into_held().map(|(page_no, held)| (page_no, Some(held)));
        held.chain(self.absent.into_iter().map(|page_no| (page_no, None)))
    }

    fn restore(self, pages: &mut ChangedPages) {
        let left = if is_planted("undo_partly") { 1 } else { 0 };
        for (page_no, before) in self.into_before().skip(left) {
            match before {
                Some(held) => pages.insert(page_no, held),
                None => {
                    pages.remove(page_no);
                }
            }
        }
    }
}

#[derive(Debug)]
struct Savepoint {
    marks: Marks,
    undo: Undo,
}

/// The open savepoints, outermost first.
#[derive(Debug, Default)]
pub(super) struct Savepoints {
    stack: Vec<Savepoint>,
    resident_bytes: u64,
}

impl Savepoints {
    /// Bytes of the images that are kept in memory.
    pub(super) fn resident_bytes(&self) -> u64 {
        self.resident_bytes
    }

    /// What each savepoint keeps of pages, outermost first.
    pub(super) fn kept(&self) -> impl Iterator<Item = &ChangedPages> {
        self.stack.iter().map(|savepoint| &savepoint.undo.pages)
    }

    /// Runs `action` on what the savepoint at `index` keeps.
    pub(super) fn with_kept<R>(
        &mut self,
        index: usize,
        action: impl FnOnce(&mut ChangedPages) -> R,
    ) -> Option<R> {
        let kept = &mut self.stack.get_mut(index)?.undo.pages;
        self.resident_bytes -= kept.resident_bytes();
        let outcome = action(kept);
        self.resident_bytes += kept.resident_bytes();
        Some(outcome)
    }

    /// Opens a savepoint; returns its depth, 1 for the outermost.
    pub(super) fn begin(&mut self, marks: Marks) -> usize {
        self.stack.push(Savepoint { marks, undo: Undo::default() });
        self.stack.len()
    }

    /// Keeps what `pages` holds of a page that is about to change.
    pub(super) fn keep(&mut self, page_no: PageNo, pages: &ChangedPages) {
        let Some(savepoint) = self.stack.last_mut() else { return };
        let undo = &mut savepoint.undo;
        if undo.contains(page_no) {
            return;
        }
        let before = undo.pages.resident_bytes();
        undo.set(page_no, pages.held(page_no));
        self.resident_bytes += undo.pages.resident_bytes() - before;
    }

    /// Brings `pages` back to what they were at the savepoint at `depth`, which stays open; deeper
    /// ones are gone. `None`, and nothing done, if it is not open.
    pub(super) fn roll_back(&mut self, depth: usize, pages: &mut ChangedPages) -> Option<Marks> {
        let index = depth.checked_sub(1).filter(|index| *index < self.stack.len())?;
        let mut marks = None;
        // The innermost first, so that the oldest state of a page is the last to be restored.
        while self.stack.len() > index {
            let savepoint = self.stack.pop()?;
            self.resident_bytes -= savepoint.undo.pages.resident_bytes();
            savepoint.undo.restore(pages);
            marks = Some(savepoint.marks);
        }
        self.begin(marks.clone()?);
        marks
    }

    /// Makes what happened since the savepoint at `depth` part of what is around it.
    pub(super) fn release(&mut self, depth: usize) {
        while self.stack.len() >= depth.max(1) {
            let Some(released) = self.stack.pop() else { return };
            self.resident_bytes -= released.undo.pages.resident_bytes();
            let Some(outer) = self.stack.last_mut() else { return };
            self.resident_bytes -= outer.undo.pages.resident_bytes();
            outer.undo.absorb(released.undo);
            self.resident_bytes += outer.undo.pages.resident_bytes();
        }
    }
}
