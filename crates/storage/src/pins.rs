//! What every read of a snapshot needs, kept where it is read without a lock: inner pages and the
//! descriptors of trees.
//!
//! A point read passes the upper pages of its tree. Readers that look these up in the directory all
//! take the same locks and count the same references; so the first one to need an inner page pins it
//! to the commit state, and from then on the page is lent from there. Places are filled once and
//! never change, which is what makes reading them free. Pins end with the state: their number is
//! bounded for each, their bytes are part of the cache's budget.

use crate::directory::Directory;
use crate::ids::TreeId;
use crate::page::{Page, PageKind, PageNo};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Arc, OnceLock, PoisonError, RwLock};
use crate::tree::TreeDescriptor;
use std::collections::HashMap;
use std::fmt;

/// Places for pins of one state; a power of two.
const PLACES: usize = 128;
/// Places that a page may take.
const PROBES: usize = 4;

struct Pin {
    page_no: PageNo,
    page: Page,
}

/// The inner pages that the readers of one state share.
#[derive(Default)]
pub(crate) struct Pins(OnceLock<Table>);

struct Table {
    places: Box<[OnceLock<Pin>]>,
    directory: Arc<Directory>,
    bytes: AtomicU64,
}

impl Pins {
    /// The page, if it is pinned.
    pub(crate) fn get(&self, page_no: PageNo) -> Option<&Page> {
        self.0.get()?.get(page_no)
    }

    /// Pins a page that many readers will pass, if there is a place and room for it.
    pub(crate) fn offer(&self, page: &Page, directory: &Arc<Directory>) {
        if page.kind() == Some(PageKind::Inner) {
            let table = self.0.get_or_init(|| Table {
                places: (0..PLACES).map(|_| OnceLock::new()).collect(),
                directory: Arc::clone(directory),
                bytes: AtomicU64::new(0),
            });
            table.offer(page);
        }
    }
}

impl Table {
    fn probe(&self, page_no: PageNo) -> impl Iterator<Item = &OnceLock<Pin>> {
        // Fibonacci hashing, as in the directory.
        let first = page_no.0.wrapping_mul(0x9E37_79B1) as usize >> 16;
        (first..first + PROBES).filter_map(|at| self.places.get(at & (PLACES - 1)))
    }

    fn get(&self, page_no: PageNo) -> Option<&Page> {
        let taken = self.probe(page_no).map_while(OnceLock::get);
        taken.into_iter().find(|pin| pin.page_no == page_no).map(|pin| &pin.page)
    }

    fn offer(&self, page: &Page) {
        let page_no = page.page_no();
        let Some(free) = self.probe(page_no).find(|place| place.get().is_none()) else { return };
        if self.directory.reserve_pin(page) {
            let len = page.bytes().len() as u64;
            // Somebody else may have taken the place; the next reader tries again.
            match free.set(Pin { page_no, page: page.clone() }) {
                Ok(()) => drop(self.bytes.fetch_add(len, Ordering::Relaxed)),
                Err(_) => self.directory.release_pins(len),
            }
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.directory.release_pins(self.bytes.load(Ordering::Relaxed));
    }
}

impl fmt::Debug for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.get().map_or(0, |table| table.bytes.load(Ordering::Relaxed));
        f.debug_struct("Pins").field("bytes", &bytes).finish_non_exhaustive()
    }
}

/// Descriptors read from the descriptor tree, as long as that does not change.
#[derive(Debug, Default)]
pub(crate) struct Descriptors {
    /// The trees made first, which are most databases' only ones, without a lock.
    first: OnceLock<Box<[OnceLock<TreeDescriptor>]>>,
    others: RwLock<HashMap<TreeId, TreeDescriptor>>,
}

impl Descriptors {
    fn place(&self, tree: TreeId) -> Option<&OnceLock<TreeDescriptor>> {
        const FIRST_TREES: usize = 64;
        let places = self.first.get_or_init(|| (0..FIRST_TREES).map(|_| OnceLock::new()).collect());
        places.get(tree.0 as usize)
    }

    pub(crate) fn get(&self, tree: TreeId) -> Option<TreeDescriptor> {
        match self.place(tree) {
            Some(place) => place.get().copied(),
            None => self.others.read().unwrap_or_else(PoisonError::into_inner).get(&tree).copied(),
        }
    }

    pub(crate) fn insert(&self, descriptor: TreeDescriptor) {
        match self.place(descriptor.id) {
            // Whoever was faster read the same tree.
            Some(place) => drop(place.set(descriptor)),
            None => {
                let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
                others.insert(descriptor.id, descriptor);
            }
        }
    }
}

#[cfg(test)]
mod tests;
