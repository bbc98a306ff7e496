//! Trees against a model, over pages that notice every misuse.

use super::*;
use pages::MemPages;
use random::Random;

mod bulk;
mod cursors;
mod estimates;
mod hostile;
mod model;
mod pages;
mod random;
mod shapes;
mod space;

/// A new tree in new pages.
fn new_tree(page_blocks: u8) -> (MemPages, TreeDescriptor) {
    let mut pages = MemPages::new();
    let tree = create(&mut pages, TreeId(7), page_blocks, PageNo(0)).unwrap();
    (pages, tree)
}

/// A visitor that lets each page be entered once.
fn each_once() -> impl FnMut(PageNo, u16) -> Result<Option<&'static str>> {
    let mut seen = std::collections::BTreeSet::new();
    move |page_no, _| Ok((!seen.insert(page_no)).then_some("has two references"))
}

/// Checks the tree and that its pages and runs are exactly those allocated.
fn assert_sound(pages: &MemPages, tree: &TreeDescriptor) -> check::CheckedTree {
    let mut visited = std::collections::BTreeMap::new();
    let mut visit = |page_no: PageNo, blocks: u16| {
        assert_eq!(visited.insert(page_no, blocks), None, "visited twice: {page_no}");
        Ok(None)
    };
    let mut findings = |page_no: PageNo, what: &'static str| panic!("page {page_no} {what}");
    let checked = check(pages, tree, &mut visit, &mut findings).unwrap();
    assert_eq!(visited, pages.allocated(), "leaked, or in use without being allocated");
    checked
}
