//! A position in a tree that can move both ways.
//!
//! The cursor keeps the pages from the root to its leaf, so a step inside a leaf touches nothing
//! else, and a seek climbs only as far as the new key forces it to: near seeks stay in their leaf.

use super::value::{self, ValueRef};
use super::{TreeDescriptor, keys, read_node};
use crate::error::{Error, Result};
use crate::page::slots::Slotted;
use crate::page::{Page, ReadPages};

/// A position in one state of a tree. Whoever changes the tree makes a new cursor.
#[derive(Clone)]
pub(crate) struct TreeCursor {
    tree: TreeDescriptor,
    /// From the root to the leaf of the position; may be kept while the cursor is on no entry.
    path: Vec<Level>,
    key: Vec<u8>,
    /// Takes turns with `key`, so that a step to another leaf allocates nothing.
    spare_key: Vec<u8>,
    place: Place,
    /// Pages entered, the root and those entered again included.
    page_count: u64,
}

#[derive(Clone)]
struct Level {
    page: Page,
    slot: usize,
}

impl Level {
    fn node(&self) -> Slotted<'_> {
        Slotted::new(self.page.bytes())
    }
}

/// Where a cursor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    BeforeFirst,
    OnEntry,
    BehindLast,
}

/// Which way a cursor moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

impl TreeCursor {
    /// A cursor before the first entry.
    pub(crate) fn new(tree: TreeDescriptor) -> Self {
        let (key, spare_key) = (Vec::new(), Vec::new());
        Self { tree, path: Vec::new(), key, spare_key, place: Place::BeforeFirst, page_count: 0 }
    }

    /// Whether the cursor is on an entry.
    pub(crate) fn is_valid(&self) -> bool {
        self.place == Place::OnEntry
    }

    /// How many pages the cursor has entered so far.
    pub(crate) fn page_count(&self) -> u64 {
        self.page_count
    }

    /// The key; empty when the cursor is on no entry.
    pub(crate) fn key(&self) -> &[u8] {
        if self.is_valid() { &self.key } else { &[] }
    }

    /// The value; empty when the cursor is on no entry.
    pub(crate) fn value<P: ReadPages + ?Sized>(&self, pages: &P) -> Result<Option<ValueRef>> {
        match self.path.last().filter(|_| self.is_valid()) {
            Some(leaf) => ValueRef::read(pages, &self.tree, &leaf.page, leaf.slot).map(Some),
            None => Ok(None),
        }
    }

    /// The value if all of it is in the leaf.
    pub(crate) fn inline_value(&self) -> Option<&[u8]> {
        let leaf = self.path.last().filter(|_| self.is_valid())?;
        value::inline(leaf.node(), leaf.slot)
    }

    /// Moves to the first entry whose key is not below `key`; false if there is none.
    pub(crate) fn seek<P: ReadPages + ?Sized>(&mut self, pages: &P, key: &[u8]) -> Result<bool> {
        let result = self.seek_inner(pages, key);
        self.settle(result)
    }

    /// Moves to the last entry whose key is below `key`; false if there is none.
    pub(crate) fn seek_before<P: ReadPages + ?Sized>(
        &mut self,
        pages: &P,
        key: &[u8],
    ) -> Result<bool> {
        let result =
            self.find_place(pages, key).and_then(|()| self.step(Direction::Backward, pages, None));
        self.settle(result)
    }

    /// Moves to the first entry; false if there is none.
    pub(crate) fn first<P: ReadPages + ?Sized>(&mut self, pages: &P) -> Result<bool> {
        let result = self.go_to_edge(pages, Direction::Forward);
        self.settle(result)
    }

    /// Moves to the last entry; false if there is none.
    pub(crate) fn last<P: ReadPages + ?Sized>(&mut self, pages: &P) -> Result<bool> {
        let result = self.go_to_edge(pages, Direction::Backward);
        self.settle(result)
    }

    /// Moves to the next entry; from before the first to the first; false behind the last.
    pub(crate) fn next<P: ReadPages + ?Sized>(&mut self, pages: &P) -> Result<bool> {
        match self.place {
            Place::BeforeFirst => self.first(pages),
            Place::BehindLast => Ok(false),
            Place::OnEntry => self.advance(pages, Direction::Forward),
        }
    }

    /// Moves to the entry before; from behind the last to the last; false before the first.
    pub(crate) fn prev<P: ReadPages + ?Sized>(&mut self, pages: &P) -> Result<bool> {
        match self.place {
            Place::BeforeFirst => Ok(false),
            Place::BehindLast => self.last(pages),
            Place::OnEntry => self.advance(pages, Direction::Backward),
        }
    }

    /// After an error the cursor is on no entry and starts from the root again.
    fn settle(&mut self, result: Result<bool>) -> Result<bool> {
        if result.is_err() {
            self.path.clear();
            self.place = Place::BeforeFirst;
        }
        result
    }

    fn seek_inner<P: ReadPages + ?Sized>(&mut self, pages: &P, key: &[u8]) -> Result<bool> {
        self.find_place(pages, key)?;
        match self.path.last() {
            Some(leaf) if leaf.slot < leaf.node().len() => self.arrive(pages, None),
            _ => self.step(Direction::Forward, pages, None),
        }
    }

    /// Leads the path to the leaf where `key` is or belongs, and to the slot there.
    fn find_place<P: ReadPages + ?Sized>(&mut self, pages: &P, key: &[u8]) -> Result<()> {
        self.place = Place::BeforeFirst;
        let mut depth = self.path.len();
        while let Some(level) = self.path.get_mut(..depth).and_then(<[Level]>::last_mut) {
            let (slot, is_inside) = locate(pages, &self.tree, level.node(), key)?;
            level.slot = slot;
            if is_inside || depth == 1 {
                break;
            }
            depth -= 1;
        }
        self.path.truncate(depth);
        if depth == 0 {
            self.push_root(pages)?;
            self.relocate(pages, key)?;
        }
        while self.push_child(pages, Edge::Slot)? {
            self.relocate(pages, key)?;
        }
        Ok(())
    }

    fn relocate<P: ReadPages + ?Sized>(&mut self, pages: &P, key: &[u8]) -> Result<()> {
        if let Some(level) = self.path.last_mut() {
            level.slot = locate(pages, &self.tree, level.node(), key)?.0;
        }
        Ok(())
    }

    fn push_root<P: ReadPages + ?Sized>(&mut self, pages: &P) -> Result<()> {
        let page = read_node(pages, &self.tree, self.tree.root, None)?;
        self.enter(page, 0);
        Ok(())
    }

    /// Goes down to the child at the slot of the lowest page; false if that is a leaf.
    fn push_child<P: ReadPages + ?Sized>(&mut self, pages: &P, edge: Edge) -> Result<bool> {
        let Some(parent) = self.path.last() else { return Ok(false) };
        let node = parent.node();
        if node.is_leaf() {
            return Ok(false);
        }
        let page = read_node(pages, &self.tree, node.child(parent.slot), Some(node.level()))?;
        let len = Slotted::new(page.bytes()).len();
        if len == 0 {
            return Err(Error::corrupt(page.page_no(), "is an empty page"));
        }
        let slot = if edge == Edge::Last { len - 1 } else { 0 };
        self.enter(page, slot);
        Ok(true)
    }

    fn enter(&mut self, page: Page, slot: usize) {
        self.page_count = self.page_count.wrapping_add(1);
        self.path.push(Level { page, slot });
    }

    /// Moves to the first entry for `Forward`, to the last for `Backward`.
    fn go_to_edge<P: ReadPages + ?Sized>(&mut self, pages: &P, way: Direction) -> Result<bool> {
        self.path.truncate(1);
        if self.path.is_empty() {
            self.push_root(pages)?;
        }
        let Some(root) = self.path.last_mut() else { return Ok(false) };
        let len = root.node().len();
        let Some(last) = len.checked_sub(1) else {
            return Ok(self.leave(way));
        };
        root.slot = if way == Direction::Forward { 0 } else { last };
        while self.push_child(pages, Edge::entered(way))? {}
        self.arrive(pages, None)
    }

    fn advance<P: ReadPages + ?Sized>(&mut self, pages: &P, way: Direction) -> Result<bool> {
        let result = self.step(way, pages, Some(way));
        self.settle(result)
    }

    /// Moves one entry on; `from` says whether the cursor comes from an entry, and which way.
    fn step<P: ReadPages + ?Sized>(
        &mut self,
        way: Direction,
        pages: &P,
        from: Option<Direction>,
    ) -> Result<bool> {
        let leaf_depth = self.path.len();
        for depth in (1..=leaf_depth).rev() {
            let Some(level) = self.path.get_mut(depth - 1) else { break };
            let moved = match way {
                Direction::Forward => {
                    Some(level.slot + 1).filter(|slot| *slot < level.node().len())
                }
                Direction::Backward => level.slot.checked_sub(1),
            };
            let Some(slot) = moved else { continue };
            level.slot = slot;
            if depth == leaf_depth {
                return self.arrive_in_page(pages);
            }
            self.path.truncate(depth);
            while self.push_child(pages, Edge::entered(way))? {}
            return self.arrive(pages, from);
        }
        Ok(self.leave(way))
    }

    fn leave(&mut self, way: Direction) -> bool {
        self.place = match way {
            Direction::Forward => Place::BehindLast,
            Direction::Backward => Place::BeforeFirst,
        };
        false
    }

    /// Reads the key of the entry arrived at in another leaf. A cursor that comes from a neighbour
    /// must find its keys in order, or a damaged tree could lead it round for ever.
    fn arrive<P: ReadPages + ?Sized>(
        &mut self,
        pages: &P,
        from: Option<Direction>,
    ) -> Result<bool> {
        let Some(leaf) = self.path.last() else { return Ok(false) };
        let before = std::mem::replace(&mut self.key, std::mem::take(&mut self.spare_key));
        self.key.clear();
        let read = keys::append(pages, &self.tree, leaf.node(), leaf.slot, &mut self.key);
        let in_order = match from {
            Some(Direction::Forward) => before < self.key,
            Some(Direction::Backward) => before > self.key,
            None => true,
        };
        self.spare_key = before;
        read?;
        if !in_order {
            return Err(Error::corrupt(leaf.page.page_no(), "has keys out of order"));
        }
        self.place = Place::OnEntry;
        Ok(true)
    }

    /// Reads the key of the entry arrived at in the same leaf.
    fn arrive_in_page<P: ReadPages + ?Sized>(&mut self, pages: &P) -> Result<bool> {
        let Some(leaf) = self.path.last() else { return Ok(false) };
        let node = leaf.node();
        if self.place != Place::OnEntry {
            return self.arrive(pages, None);
        }
        self.key.truncate(node.prefix().len());
        let run = node.push_suffix(leaf.slot, &mut self.key);
        keys::append_run(pages, &self.tree, run, &mut self.key)?;
        Ok(true)
    }
}

/// Which slot of a child a cursor starts at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edge {
    Slot,
    First,
    Last,
}

impl Edge {
    fn entered(way: Direction) -> Self {
        match way {
            Direction::Forward => Self::First,
            Direction::Backward => Self::Last,
        }
    }
}

/// The slot of `key` or its child in a page, and whether the page alone proves that the key lies in
/// its subtree.
fn locate<P: ReadPages + ?Sized>(
    pages: &P,
    tree: &TreeDescriptor,
    node: Slotted<'_>,
    key: &[u8],
) -> Result<(usize, bool)> {
    let first = if node.is_leaf() { 0 } else { 1 };
    let found = keys::search_from(pages, tree, node, first, key)?;
    let is_inside = found.exact || first < found.slot && found.slot < node.len();
    let slot = match node.is_leaf() || found.exact {
        true => found.slot,
        false => found.slot.saturating_sub(1),
    };
    Ok((slot, is_inside))
}
