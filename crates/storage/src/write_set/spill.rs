//! Spilling: a transaction larger than memory.
//!
//! When the changed pages in memory, those kept by savepoints included, are more than the budget,
//! the coldest go to the log, outside any commit: nobody finds them there before the commit record
//! names their places. A page changed again is read back and becomes resident; its place in the log
//! is left behind and never written again, so whoever kept it (an undo) may go back to it.
//!
//! Time is counted in pages that came into memory. A page carries the time it was last used at, and
//! the lowest is the coldest; of pages used at the same time, leaves and runs go before inner pages
//! and bitmaps. So there is no list to keep in order, and a transaction that never spills pays one
//! comparison a change.
//!
//! A spilled page that is only read stays spilled. Its bytes are kept for the next read in a small
//! cache, which has a quarter of the budget and holds what was used twice longer.

use super::WriteSet;
use super::pages::{ChangedPages, ResidentPage, SpilledPage};
use super::savepoint::Savepoints;
use crate::directory::LoggedPage;
use crate::error::{Error, Result};
use crate::page::{CommitNo, Page, PageKind, PageNo};
use crate::pager::Pager;
use crate::sync::{Arc, Mutex, PoisonError};
use crate::tree;
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::fmt;

/// The part of the budget that is kept for clean copies of spilled pages.
const CLEAN_PART: u64 = 4;
/// When changed pages have used up the rest, this part of it is freed at once.
const FREED_PART: u64 = 8;
/// About as much is written by one call, so that nobody waits long for the log.
const BATCH_BYTES: u64 = 1 << 20;

/// Where a write set puts pages that memory has no room for.
pub(crate) trait SpillLog: fmt::Debug + Send + Sync {
    /// Appends pages, stamped with `commit` and sealed, to the log outside any commit; returns the
    /// position of each image, in order.
    fn spill(&self, commit: CommitNo, pages: &[Page]) -> Result<Vec<u64>>;
}

/// What a write set needs to spill, and to read back what it spilled.
#[derive(Debug)]
pub(super) struct Spill {
    log: Arc<dyn SpillLog>,
    pager: Arc<Pager>,
    /// The version that spilled pages carry: the commit that the transaction will be.
    version: CommitNo,
    /// For changed pages.
    budget_bytes: u64,
    clean: Mutex<CleanPages>,
}

impl Spill {
    pub(super) fn new(
        log: Arc<dyn SpillLog>,
        pager: Arc<Pager>,
        version: CommitNo,
        budget_bytes: u64,
    ) -> Self {
        let for_clean = budget_bytes / CLEAN_PART;
        let clean = CleanPages { budget_bytes: for_clean, ..CleanPages::default() };
        let budget_bytes = budget_bytes - for_clean;
        Self { log, pager, version, budget_bytes, clean: Mutex::new(clean) }
    }

    /// A spilled page, to be read.
    pub(super) fn read(&self, page_no: PageNo, spilled: SpilledPage) -> Result<Page> {
        let clean = || self.clean.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(page) = clean().get(spilled.position) {
            return Ok(page);
        }
        let page = self.read_back(page_no, spilled)?;
        clean().keep(spilled.position, &page);
        Ok(page)
    }

    /// A spilled page, to be changed.
    pub(super) fn take(&mut self, page_no: PageNo, spilled: SpilledPage) -> Result<Page> {
        let clean = self.clean.get_mut().unwrap_or_else(PoisonError::into_inner);
        match clean.take(spilled.position) {
            Some(page) => Ok(page),
            None => self.read_back(page_no, spilled),
        }
    }

    fn read_back(&self, page_no: PageNo, spilled: SpilledPage) -> Result<Page> {
        let SpilledPage { position, block_count, .. } = spilled;
        let logged = LoggedPage { page_no, block_count, version: self.version, position };
        self.pager.with_files(|files| self.pager.logged(files, &logged))
    }

    /// Stamps and seals a page in place, and shares it.
    fn seal(&self, resident: &mut ResidentPage) -> Page {
        resident.page.set_version(self.version);
        self.pager.codec.seal(resident.page.make_mut());
        resident.page.clone()
    }
}

/// Clean copies of spilled pages, by position in the log. An image there never changes, so neither
/// a change of the page nor a rollback makes a copy wrong.
#[derive(Debug, Default)]
struct CleanPages {
    pages: HashMap<u64, CleanPage, FixedState>,
    bytes: u64,
    budget_bytes: u64,
}

#[derive(Debug)]
struct CleanPage {
    page: Page,
    /// It was asked for again.
    was_hit: bool,
}

impl CleanPages {
    fn get(&mut self, position: u64) -> Option<Page> {
        let clean = self.pages.get_mut(&position)?;
        clean.was_hit = true;
        Some(clean.page.clone())
    }

    fn keep(&mut self, position: u64, page: &Page) {
        let len = page.bytes().len() as u64;
        if len > self.budget_bytes {
            return;
        }
        if self.bytes + len > self.budget_bytes {
            self.make_room();
        }
        if self.bytes + len <= self.budget_bytes {
            let clean = CleanPage { page: page.clone(), was_hit: false };
            if self.pages.insert(position, clean).is_none() {
                self.bytes += len;
            }
        }
    }

    fn take(&mut self, position: u64) -> Option<Page> {
        let page = self.pages.remove(&position)?.page;
        self.bytes -= page.bytes().len() as u64;
        Some(page)
    }

    /// Keeps what was used twice. If that is more than half, all of it goes, so that making room
    /// is rare whatever the pattern of reads.
    fn make_room(&mut self) {
        let mut kept_bytes = 0;
        self.pages.retain(|_, clean| {
            let is_kept = std::mem::take(&mut clean.was_hit);
            kept_bytes += if is_kept { clean.page.bytes().len() as u64 } else { 0 };
            is_kept
        });
        self.bytes = kept_bytes;
        if kept_bytes > self.budget_bytes / 2 {
            self.pages.clear();
            self.bytes = 0;
        }
    }
}

/// Whose page it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Set,
    /// The savepoint at this index of the stack, outermost first.
    Savepoint(usize),
}

/// A page that may be spilled; the coldest is the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    used_at: u32,
    /// Inner pages and bitmaps are needed for many others.
    is_upper: bool,
    page_no: PageNo,
    owner: Owner,
    bytes: u64,
}

impl Candidate {
    fn new(owner: Owner, page_no: PageNo, resident: &ResidentPage) -> Self {
        let is_upper = matches!(resident.page.kind(), Some(PageKind::Inner | PageKind::Bitmap));
        let (used_at, bytes) = (resident.used_at(), resident.len());
        Self { used_at, is_upper, page_no, owner, bytes }
    }
}

impl WriteSet {
    /// Spills cold pages if those in memory are more than the budget.
    ///
    /// # Errors
    /// What the log says. What was not written is still in memory, so nothing is lost.
    pub(super) fn make_room(&mut self) -> Result<()> {
        let Some(spill) = &self.spill else { return Ok(()) };
        let changed_bytes = self.pages.resident_bytes() + self.savepoints.resident_bytes();
        match changed_bytes.checked_sub(spill.budget_bytes) {
            None | Some(0) => Ok(()),
            Some(excess) => self.spill_coldest(excess + spill.budget_bytes / FREED_PART),
        }
    }

    fn spill_coldest(&mut self, wanted_bytes: u64) -> Result<()> {
        let mut victims = choose_victims(&self.pages, &self.savepoints, wanted_bytes);
        // Neighbours in the file become neighbours in the log.
        victims.sort_unstable_by_key(|victim| (victim.page_no, victim.owner));
        let mut batch_bytes = 0;
        let is_same_batch = |victim: &Candidate, _: &Candidate| {
            batch_bytes += victim.bytes;
            let is_full = batch_bytes >= BATCH_BYTES;
            batch_bytes = if is_full { 0 } else { batch_bytes };
            !is_full
        };
        victims.chunk_by(is_same_batch).try_for_each(|batch| self.spill_batch(batch))
    }

    fn spill_batch(&mut self, batch: &[Candidate]) -> Result<()> {
        const GONE: Error = Error::Internal("a page to be spilled is gone");
        let Self { pages, savepoints, spill: Some(spill), .. } = self else { return Ok(()) };
        let seal = |pages: &mut ChangedPages, page_no| {
            pages.resident_mut(page_no).map(|resident| spill.seal(resident))
        };
        let sealed = batch.iter().map(|victim| match victim.owner {
            Owner::Set => seal(pages, victim.page_no).ok_or(GONE),
            Owner::Savepoint(index) => {
                savepoints.with_kept(index, |kept| seal(kept, victim.page_no)).flatten().ok_or(GONE)
            }
        });
        let images = sealed.collect::<Result<Vec<Page>>>()?;
        let positions = spill.log.spill(spill.version, &images)?;
        if positions.len() != batch.len() {
            return Err(Error::Internal("the log took another number of pages"));
        }
        for (victim, position) in batch.iter().zip(positions) {
            let put_out = |pages: &mut ChangedPages| pages.put_out(victim.page_no, position);
            match victim.owner {
                Owner::Set => put_out(pages)?,
                Owner::Savepoint(index) => {
                    savepoints.with_kept(index, put_out).unwrap_or(Ok(()))?
                }
            }
        }
        Ok(())
    }
}

/// The coldest pages that make up `wanted_bytes`; all that can go if they are fewer. A page that is
/// being made, and would not pass for whole when it is read back, cannot.
fn choose_victims(
    pages: &ChangedPages,
    savepoints: &Savepoints,
    wanted_bytes: u64,
) -> Vec<Candidate> {
    let kept = savepoints.kept().enumerate().map(|(i, kept)| (Owner::Savepoint(i), kept));
    let mut candidates: Vec<(Candidate, &Page)> = std::iter::once((Owner::Set, pages))
        .chain(kept)
        .flat_map(|(owner, pages)| pages.resident().map(move |held| (owner, held)))
        .map(|(owner, (page_no, page))| (Candidate::new(owner, page_no, page), &page.page))
        .collect();
    candidates.sort_unstable_by_key(|(candidate, _)| *candidate);
    let mut chosen_bytes = 0;
    candidates
        .into_iter()
        .filter(|(_, page)| is_whole(page))
        .map(|(candidate, _)| candidate)
        .take_while(|candidate| {
            let is_wanted = chosen_bytes < wanted_bytes;
            chosen_bytes += candidate.bytes;
            is_wanted
        })
        .collect()
}

fn is_whole(page: &Page) -> bool {
    page.kind() == Some(PageKind::Bitmap) || tree::check_structure(page.bytes()).is_ok()
}

/// Bytes of the clean copies.
#[cfg(test)]
pub(super) fn clean_bytes(spill: &Spill) -> u64 {
    spill.clean.lock().unwrap().bytes
}
