//! The entries: for each page a chain of versions, newest first, in little memory.
//!
//! The log of a large transaction, or under a long reader, holds millions of pages, and each needs an
//! entry as long as it is there. So entries stand in a slab of chunks, 40 bytes each, because a vector
//! that doubles leaves up to half of itself unused; and the map from pages to chains holds nothing but
//! the number of the first entry: 9 bytes a place, of which at least 7 in 16 are taken. Together that
//! is at most 61 bytes an entry, and 51 on average.

use super::Place;
use crate::page::{CommitNo, Page, PageNo};
use foldhash::fast::FixedState;
use std::collections::HashMap;

/// The number of an entry.
pub(super) type EntryNo = u32;

/// The end of a chain, or of the list of free entries.
const NONE: EntryNo = EntryNo::MAX;
const CHUNK_ENTRIES: usize = 128;

/// Where an entry stands in the order of eviction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    #[default]
    Nowhere,
    Small,
    Main,
    /// It was removed from its chain and waits for its queue to come to it.
    Removed,
}

/// A place, in eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PackedPlace(u64);

impl PackedPlace {
    const FILE: u64 = u64::MAX;
    const FREED: u64 = u64::MAX - 1;

    fn new(place: Place) -> Self {
        Self(match place {
            Place::File => Self::FILE,
            Place::Freed => Self::FREED,
            // No file is as long as the two numbers above.
            Place::Log(position) => position.min(Self::FREED - 1),
        })
    }

    fn unpack(self) -> Place {
        match self.0 {
            Self::FILE => Place::File,
            Self::FREED => Place::Freed,
            position => Place::Log(position),
        }
    }
}

/// One version of a page.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) version: CommitNo,
    place: PackedPlace,
    /// The bytes, while they are in memory.
    pub(super) page: Option<Page>,
    /// The version before; in a free entry, the next free one.
    older: EntryNo,
    pub(super) block_count: u16,
    /// How often it was asked for since it came in, up to 3.
    pub(super) hits: u8,
    pub(super) standing: Standing,
}

const _: () = assert!(size_of::<Entry>() == 40, "what a page in the log costs has a limit");

impl Entry {
    pub(super) fn new(version: CommitNo, place: Place, block_count: u16) -> Self {
        Self {
            version,
            place: PackedPlace::new(place),
            page: None,
            older: NONE,
            block_count,
            hits: 0,
            standing: Standing::Nowhere,
        }
    }

    pub(super) fn place(&self) -> Place {
        self.place.unpack()
    }

    pub(super) fn set_place(&mut self, place: Place) {
        self.place = PackedPlace::new(place);
    }

    /// Bytes of the page in memory.
    pub(super) fn resident_bytes(&self) -> u64 {
        self.page.as_ref().map_or(0, |page| page.bytes().len() as u64)
    }
}

/// The versions of the pages of one shard.
#[derive(Debug)]
pub(super) struct Versions {
    /// The newest entry of each page that has any.
    newest: HashMap<PageNo, EntryNo, FixedState>,
    /// The most entries the map had room for since it was last made smaller.
    map_capacity: usize,
    chunks: Vec<Vec<Entry>>,
    free: EntryNo,
    free_count: usize,
}

impl Default for Versions {
    fn default() -> Self {
        Self {
            newest: HashMap::default(),
            map_capacity: 0,
            chunks: Vec::new(),
            free: NONE,
            free_count: 0,
        }
    }
}

impl Versions {
    pub(super) fn get(&self, no: EntryNo) -> Option<&Entry> {
        let (chunk, index) = place_of(no);
        self.chunks.get(chunk)?.get(index)
    }

    pub(super) fn get_mut(&mut self, no: EntryNo) -> Option<&mut Entry> {
        let (chunk, index) = place_of(no);
        self.chunks.get_mut(chunk)?.get_mut(index)
    }

    /// The versions of a page, newest first.
    pub(super) fn chain(&self, page_no: PageNo) -> Chain<'_> {
        Chain { versions: self, next: self.newest.get(&page_no).copied().unwrap_or(NONE) }
    }

    /// The newest version that is not newer than `upto`.
    pub(super) fn newest_upto(&self, page_no: PageNo, upto: CommitNo) -> Option<(EntryNo, &Entry)> {
        self.chain(page_no).find(|(_, entry)| entry.version <= upto)
    }

    /// Exactly this version.
    pub(super) fn exactly(&self, page_no: PageNo, version: CommitNo) -> Option<(EntryNo, &Entry)> {
        self.newest_upto(page_no, version).filter(|(_, entry)| entry.version == version)
    }

    pub(super) fn page_nos(&self) -> impl Iterator<Item = PageNo> + '_ {
        self.newest.keys().copied()
    }

    /// Enters a version that is not there yet.
    pub(super) fn insert(&mut self, page_no: PageNo, mut entry: Entry) -> EntryNo {
        let newer = self.chain(page_no).take_while(|(_, other)| other.version > entry.version);
        let newer = newer.last().map(|(no, _)| no);
        entry.older = match newer {
            Some(newer) => self.get(newer).map_or(NONE, |newer| newer.older),
            None => self.newest.get(&page_no).copied().unwrap_or(NONE),
        };
        let no = self.allocate(entry);
        match newer.and_then(|newer| self.get_mut(newer)) {
            Some(newer) => newer.older = no,
            None => {
                self.newest.insert(page_no, no);
                self.map_capacity = self.map_capacity.max(self.newest.capacity());
            }
        }
        no
    }

    /// Takes a version out of its chain. Its entry lives on until it is given to
    /// [`Versions::release`].
    pub(super) fn unlink(&mut self, page_no: PageNo, no: EntryNo) {
        let Some(older) = self.get(no).map(|entry| entry.older) else { return };
        let newer = self.chain(page_no).find(|(_, entry)| entry.older == no).map(|(no, _)| no);
        match newer.and_then(|newer| self.get_mut(newer)) {
            Some(newer) => newer.older = older,
            None if older == NONE => {
                self.newest.remove(&page_no);
            }
            None => {
                self.newest.insert(page_no, older);
            }
        }
    }

    fn allocate(&mut self, entry: Entry) -> EntryNo {
        let no = self.free;
        if let Some(free) = self.get_mut(no) {
            let next = free.older;
            *free = entry;
            self.free = next;
            self.free_count -= 1;
            return no;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK_ENTRIES) {
            self.chunks.push(Vec::with_capacity(CHUNK_ENTRIES));
        }
        let no = self.allocated_count();
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.push(entry);
        }
        EntryNo::try_from(no).expect("fewer than 2^32 entries fit into memory")
    }

    /// Makes an entry that is in no chain and no queue free for others.
    pub(super) fn release(&mut self, no: EntryNo) {
        let next = self.free;
        if let Some(entry) = self.get_mut(no) {
            *entry = Entry { older: next, ..Entry::new(CommitNo(0), Place::Freed, 0) };
            self.free = no;
            self.free_count += 1;
        }
    }

    fn allocated_count(&self) -> usize {
        let full = self.chunks.len().saturating_sub(1) * CHUNK_ENTRIES;
        full + self.chunks.last().map_or(0, Vec::len)
    }

    /// Entries in use.
    pub(super) fn len(&self) -> usize {
        self.allocated_count() - self.free_count
    }

    /// Bytes that the entries and the map take.
    pub(super) fn heap_bytes(&self) -> usize {
        /// A map's table has a power of two of places, one byte beside each, and a group to spare.
        const GROUP_BYTES: usize = 16;
        let places = (self.map_capacity * 8).div_ceil(7).next_power_of_two();
        let place_bytes = size_of::<(PageNo, EntryNo)>() + 1;
        self.chunks.len() * CHUNK_ENTRIES * size_of::<Entry>()
            + self.chunks.capacity() * size_of::<Vec<Entry>>()
            + places * place_bytes
            + GROUP_BYTES
    }

    /// True if three quarters of what was taken for entries serve nothing any more.
    pub(super) fn is_sparse(&self) -> bool {
        self.allocated_count() > 8 * CHUNK_ENTRIES && self.len() < self.allocated_count() / 4
    }

    /// Moves all entries together and gives back what they leave; returns where each one went. No
    /// entry may wait outside of the chains.
    pub(super) fn compact(&mut self) -> HashMap<EntryNo, EntryNo, FixedState> {
        let mut old = std::mem::take(self);
        let mut moved = HashMap::default();
        let newest: Vec<(PageNo, EntryNo)> = std::mem::take(&mut old.newest).into_iter().collect();
        for (page_no, first) in newest {
            let mut next = first;
            while let Some(entry) = old.get_mut(next) {
                let (no, older) = (next, entry.older);
                let empty = Entry::new(CommitNo(0), Place::Freed, 0);
                let entry = Entry { older: NONE, ..std::mem::replace(entry, empty) };
                moved.insert(no, self.insert(page_no, entry));
                next = older;
            }
        }
        moved
    }
}

fn place_of(no: EntryNo) -> (usize, usize) {
    let no = no as usize;
    (no / CHUNK_ENTRIES, no % CHUNK_ENTRIES)
}

/// The versions of one page, newest first.
pub(super) struct Chain<'v> {
    versions: &'v Versions,
    next: EntryNo,
}

impl<'v> Iterator for Chain<'v> {
    type Item = (EntryNo, &'v Entry);

    fn next(&mut self) -> Option<Self::Item> {
        let no = self.next;
        let entry = self.versions.get(no)?;
        self.next = entry.older;
        Some((no, entry))
    }
}
