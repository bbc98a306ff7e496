//! Changed pages by number: the bytes of those in memory, and the place in the log of the others.

use crate::error::{Error, Result};
use crate::page::{CommitNo, Page, PageNo};
use crate::sync::atomic::{AtomicU32, Ordering};
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// A changed page in memory.
#[derive(Debug)]
pub(super) struct ResidentPage {
    pub(super) page: Page,
    /// The version it was copied from; 0 for a new page.
    pub(super) replaces: CommitNo,
    /// The time (see `spill`) it was last used at. Reads note it too, hence the atomic.
    used_at: AtomicU32,
}

impl ResidentPage {
    pub(super) fn new(page: Page, replaces: CommitNo, now: u32) -> Self {
        Self { page, replaces, used_at: AtomicU32::new(now) }
    }

    pub(super) fn touch(&self, now: u32) {
        self.used_at.store(now, Ordering::Relaxed);
    }

    pub(super) fn used_at(&self) -> u32 {
        self.used_at.load(Ordering::Relaxed)
    }

    pub(super) fn len(&self) -> u64 {
        self.page.bytes().len() as u64
    }
}

impl Clone for ResidentPage {
    fn clone(&self) -> Self {
        Self::new(self.page.clone(), self.replaces, self.used_at())
    }
}

/// A changed page that is in the log alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SpilledPage {
    pub(super) position: u64,
    pub(super) block_count: u16,
    /// As in [`ResidentPage`].
    pub(super) replaces: CommitNo,
}

impl SpilledPage {
    const POSITION_LIMIT: u64 = 1 << 48;

    /// # Errors
    /// `LimitExceeded` beyond 256 TiB of log.
    pub(super) fn new(position: u64, block_count: u16, replaces: CommitNo) -> Result<Self> {
        if position < Self::POSITION_LIMIT {
            Ok(Self { position, block_count, replaces })
        } else {
            Err(Error::LimitExceeded("length of the log"))
        }
    }
}

/// A [`SpilledPage`] in 16 bytes without padding: of a large transaction there is one for nearly
/// every page, so each byte counts.
#[derive(Clone, Copy, Debug)]
struct Packed([u32; 4]);

#[expect(clippy::cast_possible_truncation, reason = "each part is cut out of its number")]
impl Packed {
    fn new(spilled: SpilledPage) -> Self {
        let SpilledPage { position, block_count, replaces } = spilled;
        let place = position << 16 | u64::from(block_count);
        let replaces = replaces.0;
        Self([place as u32, (place >> 32) as u32, replaces as u32, (replaces >> 32) as u32])
    }

    fn unpack(self) -> SpilledPage {
        let [place, place_high, replaces, replaces_high] = self.0.map(u64::from);
        let place = place_high << 32 | place;
        SpilledPage {
            position: place >> 16,
            block_count: place as u16,
            replaces: CommitNo(replaces_high << 32 | replaces),
        }
    }
}

/// What is held of one page.
#[derive(Clone, Debug)]
pub(super) enum Held {
    Resident(ResidentPage),
    Spilled(SpilledPage),
}

impl Held {
    pub(super) fn replaces(&self) -> CommitNo {
        match self {
            Self::Resident(resident) => resident.replaces,
            Self::Spilled(spilled) => spilled.replaces,
        }
    }
}

/// Changed pages. No number is in both maps.
#[derive(Debug, Default)]
pub(super) struct ChangedPages {
    resident: HashMap<PageNo, ResidentPage, FixedState>,
    spilled: HashMap<PageNo, Packed, FixedState>,
    resident_bytes: u64,
}

impl ChangedPages {
    pub(super) fn len(&self) -> usize {
        self.resident.len() + self.spilled.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.resident.is_empty() && self.spilled.is_empty()
    }

    /// Bytes of the pages in memory.
    pub(super) fn resident_bytes(&self) -> u64 {
        self.resident_bytes
    }

    pub(super) fn resident(&self) -> impl Iterator<Item = (PageNo, &ResidentPage)> {
        self.resident.iter().map(|(page_no, resident)| (*page_no, resident))
    }

    pub(super) fn resident_page(&self, page_no: PageNo) -> Option<&ResidentPage> {
        self.resident.get(&page_no)
    }

    pub(super) fn spilled_page(&self, page_no: PageNo) -> Option<SpilledPage> {
        self.spilled.get(&page_no).map(|packed| packed.unpack())
    }

    /// A copy of what is held of a page; the bytes are shared.
    pub(super) fn held(&self, page_no: PageNo) -> Option<Held> {
        match self.resident.get(&page_no) {
            Some(resident) => Some(Held::Resident(resident.clone())),
            None => self.spilled_page(page_no).map(Held::Spilled),
        }
    }

    pub(super) fn contains(&self, page_no: PageNo) -> bool {
        self.resident.contains_key(&page_no) || self.spilled.contains_key(&page_no)
    }

    /// Puts this in the place of whatever was held of the page.
    pub(super) fn insert(&mut self, page_no: PageNo, held: Held) {
        match held {
            Held::Resident(resident) => {
                self.spilled.remove(&page_no);
                self.resident_bytes += resident.len();
                let before = self.resident.insert(page_no, resident);
                self.resident_bytes -= before.map_or(0, |before| before.len());
            }
            Held::Spilled(spilled) => {
                let before = self.resident.remove(&page_no);
                self.resident_bytes -= before.map_or(0, |before| before.len());
                self.spilled.insert(page_no, Packed::new(spilled));
            }
        }
    }

    pub(super) fn remove(&mut self, page_no: PageNo) -> Option<Held> {
        if let Some(resident) = self.resident.remove(&page_no) {
            self.resident_bytes -= resident.len();
            return Some(Held::Resident(resident));
        }
        self.spilled.remove(&page_no).map(|packed| Held::Spilled(packed.unpack()))
    }

    /// The page in memory, brought there by `fetch` from the place where it was spilled, or else
    /// from wherever `fetch` knows.
    pub(super) fn resident_or_fetch(
        &mut self,
        page_no: PageNo,
        fetch: impl FnOnce(Option<SpilledPage>) -> Result<ResidentPage>,
    ) -> Result<&mut ResidentPage> {
        match self.resident.entry(page_no) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let fetched = fetch(self.spilled.get(&page_no).map(|packed| packed.unpack()))?;
                self.spilled.remove(&page_no);
                self.resident_bytes += fetched.len();
                Ok(entry.insert(fetched))
            }
        }
    }

    /// Lets go of the bytes of a page, which are at `position` of the log now.
    pub(super) fn put_out(&mut self, page_no: PageNo, position: u64) -> Result<()> {
        let Some(resident) = self.resident.get(&page_no) else { return Ok(()) };
        let block_count = resident.page.block_count();
        let spilled = SpilledPage::new(position, block_count, resident.replaces)?;
        self.insert(page_no, Held::Spilled(spilled));
        Ok(())
    }

    /// The page in memory, if it is there.
    pub(super) fn resident_mut(&mut self, page_no: PageNo) -> Option<&mut ResidentPage> {
        self.resident.get_mut(&page_no)
    }

    pub(super) fn into_held(self) -> impl Iterator<Item = (PageNo, Held)> {
        let resident = self.resident.into_iter();
        let spilled = self.spilled.into_iter();
        resident
            .map(|(page_no, resident)| (page_no, Held::Resident(resident)))
            .chain(spilled.map(|(page_no, packed)| (page_no, Held::Spilled(packed.unpack()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spilled_page_is_the_same_in_sixteen_bytes() {
        assert_eq!(size_of::<(PageNo, Packed)>(), 20);
        for position in [0, 8, 0xffff_ffff, 0x1_0000_0008, (1 << 48) - 1] {
            for (block_count, replaces) in [(1, 0), (u16::MAX, u64::MAX), (4, 0x1_0000_0000)] {
                let spilled = SpilledPage::new(position, block_count, CommitNo(replaces)).unwrap();
                assert_eq!(Packed::new(spilled).unpack(), spilled);
            }
        }
        let beyond = SpilledPage::new(1 << 48, 1, CommitNo(0));
        assert!(matches!(beyond, Err(Error::LimitExceeded(_))));
    }
}
