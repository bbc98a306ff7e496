//! Writes the steps of a script: keeps track of which trees and keys there are, so that overwrites
//! and removals mostly hit something.

use super::Step;
use crate::engine::{Automatic, Durability, Mode, NAME, Setup};
use crate::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the trees hold so far: slot -> keys.
type Keys = BTreeMap<usize, BTreeSet<Vec<u8>>>;

pub(super) struct Author {
    rng: Rng,
    steps: Vec<Step>,
    keys: Keys,
    next_slot: usize,
    opened: bool,
    /// The attributes that trees have.
    attributes: BTreeSet<(usize, &'static str)>,
    ascending: u64,
    /// How often a commit asks to be durable. Where few do, long stretches of the log are un-synced.
    full_percent: u8,
}

/// The attributes that scripts give to trees, each with its possible values.
const ATTRIBUTES: [(&str, &[&str]); 4] = [
    (NAME, &["first", "second"]),
    ("index one", &["n,-kind", "pad"]),
    ("index two", &["sparse:tags,kind", "unique:n,id"]),
    ("index three", &["-pad,n", "unique:kind,-id"]),
];

/// The smallest page cache worth testing: everything but the pages in use is evicted.
const SMALL_CACHE_BYTES: u64 = 64 << 10;

impl Author {
    pub(super) fn new(mut rng: Rng) -> Self {
        let full_percent = [5, 25, 60][rng.index(3)];
        Self {
            rng,
            full_percent,
            steps: Vec::new(),
            keys: Keys::new(),
            next_slot: 0,
            opened: false,
            attributes: BTreeSet::new(),
            ascending: 0,
        }
    }

    pub(super) fn into_steps(self) -> Vec<Step> {
        self.steps
    }

    pub(super) fn chance(&mut self, percent: u8) -> bool {
        self.rng.percent(percent)
    }

    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        self.rng.between(low, high)
    }

    pub(super) fn open(&mut self, automatic: Automatic) {
        let cache_bytes = if self.chance(50) { SMALL_CACHE_BYTES } else { 8 << 20 };
        self.open_with(cache_bytes, automatic);
    }

    /// With a cache so small that bulky transactions do not fit.
    pub(super) fn open_small(&mut self, automatic: Automatic) {
        self.open_with(SMALL_CACHE_BYTES, automatic);
    }

    fn open_with(&mut self, cache_bytes: u64, automatic: Automatic) {
        let create = !self.opened;
        self.opened = true;
        self.steps.push(Step::Open(Setup { create, cache_bytes, automatic }));
    }

    pub(super) fn close(&mut self) {
        self.steps.push(Step::Close);
    }

    pub(super) fn checkpoint(&mut self, mode: Mode) {
        self.steps.push(Step::Checkpoint(mode));
    }

    /// A reader that stays.
    pub(super) fn pin(&mut self) {
        self.steps.push(Step::Pin);
    }

    /// The reader that stayed longest ends.
    pub(super) fn unpin(&mut self) {
        self.steps.push(Step::Unpin);
    }

    pub(super) fn shuffled<T, const N: usize>(&mut self, mut items: [T; N]) -> [T; N] {
        for last in (1..N).rev() {
            items.swap(last, self.rng.index(last + 1));
        }
        items
    }

    /// Makes the ledger and `trees - 1` more, and puts a few entries.
    pub(super) fn first_commit(&mut self, trees: usize) {
        self.begin();
        (0..trees).for_each(|_| self.create_tree());
        self.random_changes(8);
        self.steps.push(Step::Commit);
    }

    /// A little of everything.
    pub(super) fn transaction(&mut self, changes: u64) {
        self.begin();
        self.random_changes(changes);
        self.steps.push(Step::Commit);
    }

    /// Many new keys: leaves and inner pages split.
    pub(super) fn growing_transaction(&mut self) {
        self.begin();
        for _ in 0..self.between(5, 25) {
            let slot = self.any_data_slot();
            let key = self.new_key(slot);
            self.put(slot, key);
        }
        self.random_changes(3);
        self.steps.push(Step::Commit);
    }

    /// Removes about half of one tree: pages merge and are freed.
    pub(super) fn shrinking_transaction(&mut self) {
        self.begin();
        let slot = self.any_data_slot();
        let keys: Vec<Vec<u8>> = self.keys[&slot].iter().cloned().collect();
        let start = self.rng.index(keys.len());
        for key in keys.iter().cycle().skip(start).take(keys.len().div_ceil(2)) {
            self.remove(slot, key.clone());
        }
        self.random_changes(2);
        self.steps.push(Step::Commit);
    }

    /// Two savepoints, one in the other: the inner one undone, the outer one kept or undone.
    pub(super) fn nested_savepoints(&mut self) {
        self.begin();
        self.random_changes(4);
        let outer = self.savepoint();
        self.random_changes(6);
        let inner = self.savepoint();
        self.random_changes(6);
        self.undo(inner);
        self.random_changes(2);
        self.steps.push(Step::Release);
        if self.chance(50) {
            self.undo(outer);
        }
        self.random_changes(2);
        if self.chance(50) {
            self.steps.push(Step::Release);
        }
        self.steps.push(Step::Commit);
    }

    pub(super) fn rolled_back_transaction(&mut self) {
        let before = self.keys.clone();
        self.begin();
        self.random_changes(10);
        self.steps.push(Step::Rollback);
        self.keys = before;
    }

    /// A tree that a savepoint's rollback takes away again.
    pub(super) fn tree_made_and_undone(&mut self) {
        self.begin();
        let before = self.savepoint();
        self.create_tree();
        self.random_changes(6);
        self.undo(before);
        self.random_changes(2);
        self.steps.push(Step::Commit);
    }

    /// Drops a tree with what it holds, and makes a new one.
    pub(super) fn dropped_tree(&mut self) {
        self.begin();
        let slot = self.any_data_slot();
        self.keys.remove(&slot);
        self.attributes.retain(|(other, _)| *other != slot);
        self.steps.push(Step::DropTree(slot));
        self.create_tree();
        self.random_changes(6);
        self.steps.push(Step::Commit);
    }

    /// A read transaction that keeps the checkpoint from passing it, and is right to the end.
    pub(super) fn held_reader_over_a_checkpoint(&mut self) {
        self.pin();
        self.transaction(8);
        self.checkpoint(Mode::Passive);
        self.shrinking_transaction();
        self.unpin();
        self.growing_transaction();
        self.checkpoint(Mode::Passive);
        self.transaction(4);
    }

    /// A reader during one transaction.
    pub(super) fn short_reader(&mut self) {
        self.pin();
        self.transaction(3);
        self.unpin();
    }

    /// A checkpoint that a reader of an older state keeps from its work, in whole or in part.
    pub(super) fn held_reader_in_the_way(&mut self, mode: Mode) {
        self.pin();
        self.transaction(3);
        self.checkpoint(mode);
        self.unpin();
    }

    /// Overwrites one large value: the log gets about so many bytes, the file no longer.
    pub(super) fn slab(&mut self, bytes: u64) {
        self.begin();
        let value = self.bytes(bytes);
        self.put_value(1, b"slab".to_vec(), value);
        self.steps.push(Step::Commit);
    }

    /// Changes about so many bytes of pages.
    pub(super) fn bulky_transaction(&mut self, bytes: u64) {
        self.begin();
        self.bulky_changes(bytes);
        self.random_changes(4);
        self.steps.push(Step::Commit);
    }

    pub(super) fn bulky_rolled_back(&mut self, bytes: u64) {
        let before = self.keys.clone();
        self.begin();
        self.bulky_changes(bytes);
        self.steps.push(Step::Rollback);
        self.keys = before;
    }

    /// As [`Author::nested_savepoints`], with more than fits the memory.
    pub(super) fn bulky_savepoints(&mut self, bytes: u64) {
        self.begin();
        self.bulky_changes(bytes);
        let outer = self.savepoint();
        self.bulky_changes(bytes);
        let inner = self.savepoint();
        self.bulky_changes(bytes);
        self.undo(inner);
        self.random_changes(4);
        self.steps.push(Step::Release);
        if self.chance(50) {
            self.undo(outer);
            self.bulky_changes(bytes);
        }
        self.steps.push(Step::Commit);
    }

    /// Short values all over one tree, and values with runs of their own.
    fn bulky_changes(&mut self, bytes: u64) {
        let mut changed = 0;
        while changed < bytes {
            let slot = self.any_data_slot();
            let known = self.known_key(slot).filter(|_| changed.is_multiple_of(3));
            let key = known.unwrap_or_else(|| self.new_key(slot));
            let is_short = self.chance(60);
            let len = if is_short { self.between(300, 900) } else { self.between(4000, 16_000) };
            changed += len + key.len() as u64;
            let value = self.bytes(len);
            self.put_value(slot, key, value);
        }
    }

    /// New and changed values from a page to many, one of them cut in length.
    pub(super) fn large_values(&mut self, count: u64) {
        self.begin();
        self.large_changes(count);
        self.steps.push(Step::Commit);
    }

    /// Large values that a savepoint's rollback takes away again, and others in their place.
    pub(super) fn large_values_undone(&mut self, count: u64) {
        self.begin();
        self.large_changes(count);
        let before = self.savepoint();
        self.large_changes(count);
        self.undo(before);
        self.large_changes(count);
        self.steps.push(Step::Release);
        self.steps.push(Step::Commit);
    }

    fn large_changes(&mut self, count: u64) {
        for _ in 0..count {
            let slot = self.any_data_slot();
            let known = self.known_key(slot).filter(|_| self.rng.percent(40));
            let key = known.unwrap_or_else(|| self.new_key(slot));
            let len = match self.rng.below(3) {
                0 => self.between(3900, 4300),
                1 => self.between(4301, 20_000),
                _ => self.between(20_001, 60_000),
            };
            let value = self.bytes(len);
            self.put_value(slot, key, value);
        }
    }

    /// Many small entries of one tree, in one transaction.
    pub(super) fn many_entries(&mut self, slot: usize, count: usize) {
        self.begin();
        for _ in 0..count {
            let key = self.new_key(slot);
            let len = self.between(1, 40);
            let value = self.bytes(len);
            self.put_value(slot, key, value);
        }
        self.steps.push(Step::Commit);
    }

    /// Removes every entry of one tree, which stays.
    pub(super) fn emptying_transaction(&mut self) {
        self.begin();
        let slot = self.any_data_slot();
        for key in self.keys[&slot].clone() {
            self.remove(slot, key);
        }
        self.steps.push(Step::Commit);
    }

    /// Gives a tree an attribute, changes it or takes it away, and nothing else.
    pub(super) fn attribute_alone(&mut self) {
        self.begin();
        self.change_attribute();
        self.steps.push(Step::Commit);
    }

    /// The same, with changes to entries before and after.
    pub(super) fn attribute_among_changes(&mut self) {
        self.begin();
        self.random_changes(4);
        self.change_attribute();
        self.random_changes(4);
        self.change_attribute();
        self.steps.push(Step::Commit);
    }

    /// Gives a tree every attribute, each with its first value, in one transaction.
    pub(super) fn every_attribute(&mut self, slot: usize) {
        self.begin();
        for (name, values) in ATTRIBUTES {
            let value = Some(values[0].to_owned());
            self.attributes.insert((slot, name));
            self.steps.push(Step::SetAttribute(slot, name.to_owned(), value));
        }
        self.steps.push(Step::Commit);
    }

    /// An attribute that a savepoint's rollback takes away again.
    pub(super) fn attribute_undone(&mut self) {
        self.begin();
        self.change_attribute();
        let (before, attributes) = (self.savepoint(), self.attributes.clone());
        self.change_attribute();
        self.random_changes(4);
        self.undo(before);
        self.attributes = attributes;
        self.random_changes(2);
        self.steps.push(Step::Release);
        self.steps.push(Step::Commit);
    }

    fn change_attribute(&mut self) {
        let slot = self.any_data_slot();
        let (name, values) = ATTRIBUTES[self.rng.index(ATTRIBUTES.len())];
        let here = (slot, name);
        let is_set = self.attributes.contains(&here);
        let value = values[self.rng.index(values.len())].to_owned();
        if is_set {
            self.attributes.remove(&here);
        } else {
            self.attributes.insert(here);
        }
        let value = (!is_set).then_some(value);
        self.steps.push(Step::SetAttribute(slot, name.to_owned(), value));
    }

    fn begin(&mut self) {
        let full = self.chance(self.full_percent);
        let durability = if full { Durability::Full } else { Durability::Normal };
        self.steps.push(Step::Begin(durability));
    }

    fn savepoint(&mut self) -> Keys {
        self.steps.push(Step::Savepoint);
        self.keys.clone()
    }

    fn undo(&mut self, before: Keys) {
        self.steps.push(Step::RollbackTo);
        self.keys = before;
    }

    fn create_tree(&mut self) {
        self.steps.push(Step::CreateTree(self.next_slot));
        self.keys.insert(self.next_slot, BTreeSet::new());
        self.next_slot += 1;
    }

    fn random_changes(&mut self, count: u64) {
        for _ in 0..count {
            let slot = self.any_slot();
            let known = self.known_key(slot);
            match (self.rng.below(10), known) {
                (0..=3, Some(key)) => self.put(slot, key),
                (4..=6, Some(key)) => self.remove(slot, key),
                (7, _) => {
                    let absent = self.new_key(slot);
                    self.remove(slot, absent);
                }
                _ => {
                    let key = self.new_key(slot);
                    self.put(slot, key);
                }
            }
        }
    }

    fn put(&mut self, slot: usize, key: Vec<u8>) {
        let value = self.value();
        self.put_value(slot, key, value);
    }

    fn put_value(&mut self, slot: usize, key: Vec<u8>, value: Arc<[u8]>) {
        if let Some(keys) = self.keys.get_mut(&slot) {
            keys.insert(key.clone());
        }
        self.steps.push(Step::Put(slot, key, value));
    }

    fn remove(&mut self, slot: usize, key: Vec<u8>) {
        if let Some(keys) = self.keys.get_mut(&slot) {
            keys.remove(&key);
        }
        self.steps.push(Step::Remove(slot, key));
    }

    fn any_slot(&mut self) -> usize {
        let slots: Vec<usize> = self.keys.keys().copied().collect();
        slots[self.rng.index(slots.len())]
    }

    /// A slot other than the ledger's.
    pub(super) fn any_data_slot(&mut self) -> usize {
        let slots: Vec<usize> = self.keys.keys().copied().filter(|slot| *slot != 0).collect();
        slots[self.rng.index(slots.len())]
    }

    fn known_key(&mut self, slot: usize) -> Option<Vec<u8>> {
        let keys = self.keys.get(&slot)?;
        keys.iter().nth(self.rng.index(keys.len())).cloned()
    }

    /// Each slot has its own kind of key: scattered, ascending, or long ones that share long
    /// prefixes in groups, so that separators stay long and few keys make three levels.
    fn new_key(&mut self, slot: usize) -> Vec<u8> {
        match slot % 3 {
            0 => format!("s{:06}", self.rng.below(1_000_000)).into_bytes(),
            1 => {
                self.ascending += self.rng.between(1, 3);
                self.ascending.to_be_bytes().to_vec()
            }
            _ => {
                let group = self.rng.below(6);
                let mut key = vec![0; 250];
                Rng::new(group).fill(&mut key);
                key.extend_from_slice(&self.rng.below(5000).to_be_bytes());
                key
            }
        }
    }

    /// From no bytes to 20,000: in the leaf, mostly in the leaf, and in a run of its own.
    fn value(&mut self) -> Arc<[u8]> {
        let len = match self.rng.below(100) {
            0..5 => 0,
            5..55 => self.rng.between(1, 64),
            55..85 => self.rng.between(65, 600),
            85..95 => self.rng.between(601, 4200),
            _ => self.rng.between(4201, 20_000),
        };
        self.bytes(len)
    }

    fn bytes(&mut self, len: u64) -> Arc<[u8]> {
        let mut bytes = vec![0; len as usize];
        self.rng.fill(&mut bytes);
        bytes.into()
    }
}
