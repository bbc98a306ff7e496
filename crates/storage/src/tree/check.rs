//! The check of a whole tree.

use super::{TreeDescriptor, keys, read_node, value};
use crate::error::{Error, Result};
use crate::page::slots::{RunRef, Slotted, cells_overlap};
use crate::page::{Page, PageNo, ReadPages, run};

/// What a check has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CheckedTree {
    pub(crate) entry_count: u64,
    pub(crate) key_bytes: u64,
    pub(crate) value_bytes: u64,
    pub(crate) block_count: u64,
    pub(crate) leaf_count: u64,
    pub(crate) inner_count: u64,
    /// Bytes in use in leaves and inner pages, without their headers and tails.
    pub(crate) used_bytes: u64,
}

/// Walks the tree. Calls `visit` for every page and run before it is read, and `findings` for
/// whatever is wrong; goes on behind a damaged page with its neighbours.
///
/// `visit` answers `Some` with what is wrong for pages that cannot be, and for all that it was asked
/// about before: they are not entered, so that the walk ends whatever the children are.
///
/// # Errors
/// What `visit` returned, and any error of a read but `Corrupt`, which is a finding.
pub(crate) fn check<P: ReadPages + ?Sized>(
    pages: &P,
    tree: &TreeDescriptor,
    visit: &mut Visit<'_>,
    findings: &mut dyn FnMut(PageNo, &'static str),
) -> Result<CheckedTree> {
    let mut checker = Checker {
        pages,
        tree,
        visit,
        findings,
        last_key: None,
        is_complete: true,
        counted: CheckedTree::default(),
    };
    checker.node(tree.root, None, None)?;
    checker.compare_counts();
    Ok(checker.counted)
}

/// Asked about each page and run of a tree with its block count.
pub(crate) type Visit<'v> = dyn FnMut(PageNo, u16) -> Result<Option<&'static str>> + 'v;

struct Checker<'a, P: ?Sized> {
    pages: &'a P,
    tree: &'a TreeDescriptor,
    visit: &'a mut Visit<'a>,
    findings: &'a mut dyn FnMut(PageNo, &'static str),
    /// The last separator or key, which the next key may not be below.
    last_key: Option<LastKey>,
    is_complete: bool,
    counted: CheckedTree,
}

struct LastKey {
    key: Vec<u8>,
    is_separator: bool,
}

impl<P: ReadPages + ?Sized> Checker<'_, P> {
    fn find(&mut self, page_no: PageNo, what: &'static str) {
        (self.findings)(page_no, what);
    }

    /// Turns damage into a finding.
    fn damage<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(Error::Corrupt { page, reason }) => {
                self.is_complete = false;
                self.find(page, reason);
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    fn is_new(&mut self, page_no: PageNo, blocks: u16) -> Result<bool> {
        if let Some(reason) = (self.visit)(page_no, blocks)? {
            self.is_complete = false;
            self.find(page_no, reason);
            return Ok(false);
        }
        self.counted.block_count += u64::from(blocks);
        Ok(true)
    }

    /// Checks a subtree whose keys are below `upper`. The recursion ends with the level.
    fn node(&mut self, page_no: PageNo, parent: Option<u8>, upper: Option<&[u8]>) -> Result<()> {
        if !self.is_new(page_no, self.tree.blocks())? {
            return Ok(());
        }
        let page = read_node(self.pages, self.tree, page_no, parent);
        let Some(page) = self.damage(page)? else { return Ok(()) };
        if cells_overlap(page.bytes()) {
            self.find(page_no, "has cells that share bytes");
        }
        let node = Slotted::new(page.bytes());
        self.counted.used_bytes += node.used_bytes() as u64;
        if node.len() == 0 && parent.is_some() {
            self.find(page_no, "is an empty page");
        }
        match node.is_leaf() {
            true => self.leaf(&page, upper),
            false => self.inner(&page, upper),
        }
    }

    fn leaf(&mut self, page: &Page, upper: Option<&[u8]>) -> Result<()> {
        let node = Slotted::new(page.bytes());
        self.counted.leaf_count += 1;
        for index in 0..node.len() {
            let Some(key) = self.key(page, index)? else { continue };
            self.counted.entry_count += 1;
            self.counted.key_bytes += key.len() as u64;
            self.order(page.page_no(), key, upper, false);
            self.value(page, index)?;
        }
        Ok(())
    }

    fn inner(&mut self, page: &Page, upper: Option<&[u8]>) -> Result<()> {
        let node = Slotted::new(page.bytes());
        self.counted.inner_count += 1;
        for index in 0..node.len() {
            let next = index + 1;
            let own_upper = match next < node.len() {
                true => self.key(page, next)?,
                false => upper.map(<[u8]>::to_vec),
            };
            self.node(node.child(index), Some(node.level()), own_upper.as_deref())?;
            if let Some(separator) = own_upper.filter(|_| next < node.len()) {
                self.order(page.page_no(), separator, upper, true);
            }
        }
        Ok(())
    }

    /// The whole key of an entry; its run is visited.
    fn key(&mut self, page: &Page, index: usize) -> Result<Option<Vec<u8>>> {
        let node = Slotted::new(page.bytes());
        if let Some(RunRef { page: run, bytes }) = node.key_run_at(index)
            && !self.is_new(run, run::blocks_for(bytes as usize))?
        {
            return Ok(None);
        }
        let mut key = Vec::new();
        let read = keys::append(self.pages, self.tree, node, index, &mut key);
        Ok(self.damage(read)?.map(|()| key))
    }

    fn order(&mut self, page_no: PageNo, key: Vec<u8>, upper: Option<&[u8]>, is_separator: bool) {
        let in_order = match &self.last_key {
            // The first key behind a separator may be equal to it.
            Some(last) if last.is_separator && !is_separator => last.key <= key,
            Some(last) => last.key < key,
            None => true,
        };
        if !in_order {
            self.find(page_no, "has keys out of order");
        }
        if upper.is_some_and(|upper| upper <= key.as_slice()) {
            self.find(page_no, "has a key beyond its separator");
        }
        self.last_key = Some(LastKey { key, is_separator });
    }

    fn value(&mut self, page: &Page, index: usize) -> Result<()> {
        let value = Slotted::new(page.bytes()).value(index);
        let key_len = Slotted::new(page.bytes()).key_len(index);
        self.counted.value_bytes += value.len() as u64;
        let in_runs = value.runs.map_or(0, |runs| runs.bytes);
        if in_runs != value::run_bytes(self.tree.page_len(), key_len, value.len()) {
            self.find(page.page_no(), "has a value divided the wrong way");
        }
        for (run_no, len) in value.runs.into_iter().flat_map(|runs| runs.pieces()) {
            if self.is_new(run_no, run::blocks_for(len))? {
                let run = run::read(self.pages, self.tree.id, run_no, len);
                self.damage(run)?;
            }
        }
        Ok(())
    }

    fn compare_counts(&mut self) {
        let (counted, tree) = (self.counted, self.tree);
        let is_equal = counted.entry_count == tree.entry_count
            && counted.key_bytes == tree.key_bytes
            && counted.value_bytes == tree.value_bytes
            && counted.block_count == tree.block_count
            && counted.leaf_count + counted.inner_count == tree.page_count;
        if self.is_complete && !is_equal {
            self.find(tree.root, "has entries or blocks that its descriptor does not count");
        }
    }
}
