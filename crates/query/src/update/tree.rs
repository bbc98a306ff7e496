//! The paths of an update as a tree.
//!
//! The changes stand in one list, sorted by path; the tree's leaves are places in it. A branch holds
//! fields and positions of what is there, or, below `$[]` and `$[name]`, what is to become of elements
//! of an array; never both. Which of several such parts an element satisfies is known only when it is
//! met: their nodes are then merged, and two that meet at one leaf are a conflict.

use std::cmp::Ordering;

use anyenc::{Path, Segment};

use super::{Action, Change};
use crate::path::{is_element_part, natural_order};

/// All changes: as a list, and as the tree of their paths.
pub(super) struct Changes {
    /// In the order of [`path_order`].
    pub(super) list: Vec<Change>,
    pub(super) root: Branch,
    /// Some path has a part `$`.
    pub(super) is_positional: bool,
    /// Some path has a part `$[]` or `$[name]`.
    pub(super) has_element_parts: bool,
    /// The places of the targets of `$rename`.
    pub(super) renames: Vec<usize>,
}

/// The changes below one field, ascending by name.
#[derive(Clone)]
pub(super) struct Branch {
    pub(super) children: Vec<Child>,
    /// The children are `$[]` and `$[name]`.
    pub(super) is_of_elements: bool,
}

#[derive(Clone)]
pub(super) struct Child {
    pub(super) part: Segment,
    pub(super) node: Node,
}

#[derive(Clone)]
pub(super) enum Node {
    /// The place of a change in the list.
    Leaf(usize),
    Branch(Branch),
}

impl Changes {
    /// The changes as a tree; the list is sorted, and no two neighbours collide.
    pub(super) fn of(list: Vec<Change>) -> Changes {
        let has_part = |is: fn(&str) -> bool| {
            list.iter().any(|change| change.path.segments().iter().any(|part| is(&part.name)))
        };
        let renames = list.iter().enumerate().filter_map(|(place, change)| match *change.action {
            Action::RenameTo(_) => Some(place),
            _ => None,
        });
        Changes {
            root: branch(&list, 0, 0),
            is_positional: has_part(|name| name == "$"),
            has_element_parts: has_part(is_element_part),
            renames: renames.collect(),
            list,
        }
    }
}

impl Branch {
    pub(super) fn child(&self, name: &str) -> Option<(usize, &Node)> {
        let place = self.children.binary_search_by(|child| natural_order(&child.part.name, name));
        let place = place.ok()?;
        self.children.get(place).map(|child| (place, &child.node))
    }
}

/// In this order a path stands right before those that it leads to.
pub(super) fn path_order(one: &Path, other: &Path) -> Ordering {
    let parts = one.segments().iter().zip(other.segments());
    let orders = parts.map(|(part, other)| natural_order(&part.name, &other.name));
    let first = orders.into_iter().find(|order| order.is_ne());
    first.unwrap_or_else(|| one.segments().len().cmp(&other.segments().len()))
}

/// Would the changes of two neighbours in the order meet in one place, whatever the document?
pub(super) fn collide(above: &Path, below: &Path) -> bool {
    if above.is_prefix_of(below) {
        return true;
    }
    let parts = above.segments().iter().zip(below.segments());
    let fork = parts.into_iter().find(|(part, other)| part.name != other.name);
    fork.is_some_and(|(part, other)| is_element_part(&part.name) != is_element_part(&other.name))
}

/// The tree of changes that share their first `depth` parts; the first of them is at `start`.
fn branch(changes: &[Change], mut start: usize, depth: usize) -> Branch {
    let mut children: Vec<Child> = Vec::new();
    for group in changes.chunk_by(|one, other| part_at(one, depth) == part_at(other, depth)) {
        let Some(first) = group.first() else { continue };
        let Some(part) = part_at(first, depth) else { continue };
        let node = if first.path.segments().len() == depth + 1 {
            Node::Leaf(start)
        } else {
            Node::Branch(branch(group, start, depth + 1))
        };
        children.push(Child { part: part.clone(), node });
        start += group.len();
    }
    let is_of_elements = children.first().is_some_and(|child| is_element_part(&child.part.name));
    Branch { children, is_of_elements }
}

fn part_at(change: &Change, depth: usize) -> Option<&Segment> {
    change.path.segments().get(depth)
}

/// What several nodes come to that mean the same element; the place of a change where they collide.
pub(super) fn merged<'n>(mut nodes: impl Iterator<Item = &'n Node>) -> Result<Option<Node>, usize> {
    let Some(first) = nodes.next() else { return Ok(None) };
    nodes.try_fold(first.clone(), |sum, node| merge(&sum, node)).map(Some)
}

fn merge(one: &Node, other: &Node) -> Result<Node, usize> {
    match (one, other) {
        (Node::Branch(a), Node::Branch(b)) if a.is_of_elements == b.is_of_elements => {
            Ok(Node::Branch(merge_branches(a, b)?))
        }
        _ => Err(first_leaf(other)),
    }
}

fn merge_branches(one: &Branch, other: &Branch) -> Result<Branch, usize> {
    let mut children = Vec::with_capacity(one.children.len() + other.children.len());
    let (mut ours, mut theirs) = (one.children.iter().peekable(), other.children.iter().peekable());
    loop {
        let order = match (ours.peek(), theirs.peek()) {
            (Some(a), Some(b)) => natural_order(&a.part.name, &b.part.name),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => break,
        };
        let ours = if order.is_le() { ours.next() } else { None };
        let theirs = if order.is_ge() { theirs.next() } else { None };
        children.push(match (ours, theirs) {
            (Some(a), Some(b)) => Child { part: a.part.clone(), node: merge(&a.node, &b.node)? },
            (Some(child), None) | (None, Some(child)) => child.clone(),
            (None, None) => break,
        });
    }
    Ok(Branch { children, is_of_elements: one.is_of_elements })
}

/// The first change below a node; every branch has one.
pub(super) fn first_leaf(mut node: &Node) -> usize {
    loop {
        match node {
            Node::Leaf(place) => return *place,
            Node::Branch(branch) => match branch.children.first() {
                Some(child) => node = &child.node,
                None => return usize::MAX,
            },
        }
    }
}
