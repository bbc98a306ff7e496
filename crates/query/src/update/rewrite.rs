//! Writing a document anew, the tree of the changes beside it; what no change names is copied.

use std::cell::Cell;

use anyenc::{DocumentWriter, RawArray, RawDocument, RawValue};

use super::apply::{Decision, Run};
use super::array::ArrayAction;
use super::tree::{Branch, Node, first_leaf, merged};
use super::{Action, Change, MAX_PADDING, MAX_STEPS};
use crate::error::{ApplyError, ApplyErrorKind};
use crate::path::element_name;

pub(super) struct Rewriter<'r, 'c, 'd, 'b> {
    run: &'r Run<'c, 'd>,
    out: &'r mut DocumentWriter<'b>,
    /// Nodes looked at so far. Many changes below many elements could go on for hours.
    steps: Cell<usize>,
}

impl<'r, 'c, 'd, 'b> Rewriter<'r, 'c, 'd, 'b> {
    pub(super) fn new(run: &'r Run<'c, 'd>, out: &'r mut DocumentWriter<'b>) -> Self {
        Rewriter { run, out, steps: Cell::new(0) }
    }

    pub(super) fn document(mut self) -> Result<(), ApplyError> {
        self.object(Some(self.run.document), &self.run.changes.root)
    }

    /// Writes an object with the changes below it; a missing one begins empty.
    fn object(
        &mut self,
        object: Option<RawDocument<'_>>,
        branch: &Branch,
    ) -> Result<(), ApplyError> {
        self.step(branch.children.len(), branch)?;
        self.write(branch, |out| Ok(out.begin_object()?))?;
        let mut visited = vec![false; branch.children.len()];
        if let Some(object) = object {
            for field in object.iter() {
                let (key, value) = field?;
                match branch.child(key) {
                    Some((place, node)) => {
                        visited.get_mut(place).into_iter().for_each(|seen| *seen = true);
                        self.member(Some(key), Some(value), node)?;
                    }
                    None => self.copy(branch, Some(key), value)?,
                }
            }
        }
        for (child, _) in branch.children.iter().zip(&visited).filter(|(_, seen)| !**seen) {
            self.member(Some(&child.part.name), None, &child.node)?;
        }
        self.write(branch, |out| Ok(out.end_object()?))
    }

    /// Writes an array with the changes below it. Elements never move: one that is taken away
    /// leaves null, and nulls fill the way to one that is put behind the end.
    fn array(&mut self, array: RawArray<'_>, branch: &Branch) -> Result<(), ApplyError> {
        self.step(branch.children.len(), branch)?;
        let mut positions = Vec::with_capacity(branch.children.len());
        for child in &branch.children {
            match child.part.index {
                Some(index) => positions.push((index as usize, &child.node)),
                None => {
                    self.refuse_way(&child.node, |change| {
                        let (path, name) = (&change.path, &child.part.name);
                        format!("\"{path}\" leads to a field \"{name}\" of an array")
                    })?;
                    self.refuse_elements(&child.node)?;
                }
            }
        }
        let mut positions = positions.into_iter().peekable();

        self.write(branch, |out| Ok(out.begin_array()?))?;
        let mut len = 0usize;
        for element in array.iter() {
            match positions.next_if(|(index, _)| *index == len) {
                Some((_, node)) => self.member(None, Some(element?), node)?,
                None => self.copy(branch, None, element?)?,
            }
            len += 1;
        }
        for (index, node) in positions {
            match self.find(node, |change| change.action.creates()) {
                Some(change) => {
                    self.pad(change, len, index)?;
                    self.member(None, None, node)?;
                    len = index + 1;
                }
                None => self.refuse_elements(node)?,
            }
        }
        self.write(branch, |out| Ok(out.end_array()?))
    }

    fn pad(&mut self, change: &Change, len: usize, index: usize) -> Result<(), ApplyError> {
        if index - len > MAX_PADDING {
            let path = &change.path;
            let reason = format!("\"{path}\" lies more than {MAX_PADDING} places behind the array");
            return Err(change.refusal(ApplyErrorKind::Apply, reason));
        }
        for _ in len..index {
            self.out.null().map_err(|error| at(change, error.into()))?;
        }
        Ok(())
    }

    /// Writes an array with what `$[]` and `$[name]` say of its elements.
    fn elements(&mut self, array: RawArray<'_>, branch: &Branch) -> Result<(), ApplyError> {
        let mut parts = Vec::with_capacity(branch.children.len());
        for child in &branch.children {
            let name = element_name(&child.part.name);
            let filters = self.run.array_filters;
            let filter = name.map(|name| filters.iter().find(|filter| filter.name == name));
            if filter == Some(None) {
                return self.refuse_way(&child.node, |_| {
                    format!("there is no array filter for \"{}\"", child.part.name)
                });
            }
            parts.push((filter.flatten(), &child.node));
        }
        self.write(branch, |out| Ok(out.begin_array()?))?;
        for element in array.iter() {
            let element = element?;
            self.step(parts.len(), branch)?;
            let mut nodes = Vec::with_capacity(parts.len());
            for (filter, node) in &parts {
                match filter {
                    Some(filter) if !filter.matches(element)? => {}
                    _ => nodes.push(*node),
                }
            }
            match nodes.as_slice() {
                [] => self.copy(branch, None, element)?,
                [node] => self.member(None, Some(element), node)?,
                several => {
                    self.step(several.iter().map(|node| size(node)).sum(), branch)?;
                    let node = self.merged(several)?;
                    self.member(None, Some(element), &node)?;
                }
            }
        }
        self.write(branch, |out| Ok(out.end_array()?))
    }

    fn merged(&self, nodes: &[&Node]) -> Result<Node, ApplyError> {
        let place = match merged(nodes.iter().copied()) {
            Ok(Some(node)) => return Ok(node),
            Ok(None) => 0,
            Err(place) => place,
        };
        Err(match self.run.changes.list.get(place) {
            Some(change) => {
                let reason = format!("another change meets \"{}\" in one element", change.path);
                change.refusal(ApplyErrorKind::Conflict, reason)
            }
            None => ApplyError::from(anyenc::EncodeError::Misplaced("no change")),
        })
    }

    /// Writes a field of an object (with a key) or an element of an array, as the node says.
    fn member(
        &mut self,
        key: Option<&str>,
        value: Option<RawValue<'_>>,
        node: &Node,
    ) -> Result<(), ApplyError> {
        match node {
            Node::Leaf(place) => match self.run.changes.list.get(*place) {
                Some(change) => self.leaf(key, value, *place, change),
                None => Ok(()),
            },
            Node::Branch(branch) => self.branch(key, value, node, branch),
        }
    }

    fn leaf(
        &mut self,
        key: Option<&str>,
        value: Option<RawValue<'_>>,
        place: usize,
        change: &Change,
    ) -> Result<(), ApplyError> {
        if let Action::Array(action) = &*change.action {
            return self.array_leaf(key, value, change, action);
        }
        let decision = if self.run.is_idle(place, change) {
            Decision::Keep
        } else {
            self.run.decide(change, value)?
        };
        let written = match decision {
            Decision::Put(value) => Some(value),
            Decision::Keep => value,
            Decision::Remove if key.is_none() => Some(RawValue::Null),
            Decision::Remove => None,
        };
        match written {
            Some(value) => put(self.out, key, value).map_err(|error| at(change, error)),
            None => Ok(()),
        }
    }

    fn array_leaf(
        &mut self,
        key: Option<&str>,
        value: Option<RawValue<'_>>,
        change: &Change,
        action: &ArrayAction,
    ) -> Result<(), ApplyError> {
        let array = match value {
            None if !action.creates() => return Ok(()),
            None => None,
            Some(RawValue::Array(array)) => Some(array),
            Some(other) => {
                let (op, found) = (action.operator(), other.value_type().name());
                let reason =
                    format!("{op} needs an array in \"{}\", which holds {found}", change.path);
                return Err(change.refusal(ApplyErrorKind::Apply, reason));
            }
        };
        let write = |out: &mut DocumentWriter<'_>| {
            if let Some(key) = key {
                out.key(key)?;
            }
            action.write(array, out)
        };
        write(self.out).map_err(|error| at(change, error))
    }

    fn branch(
        &mut self,
        key: Option<&str>,
        value: Option<RawValue<'_>>,
        node: &Node,
        branch: &Branch,
    ) -> Result<(), ApplyError> {
        match value {
            Some(RawValue::Array(array)) => {
                self.key(branch, key)?;
                if branch.is_of_elements {
                    self.elements(array, branch)
                } else {
                    self.array(array, branch)
                }
            }
            _ if branch.is_of_elements => {
                self.refuse_elements(node)?;
                value.map_or(Ok(()), |value| self.copy(branch, key, value))
            }
            Some(RawValue::Object(object)) => {
                self.key(branch, key)?;
                self.object(Some(object), branch)
            }
            None if self.find(node, |change| change.action.creates()).is_none() => {
                self.refuse_elements(node)
            }
            None => {
                self.key(branch, key)?;
                self.object(None, branch)
            }
            Some(value) => {
                self.refuse_way(node, |change| {
                    let found = value.value_type().name();
                    format!("\"{}\" leads into a value that is {found}", change.path)
                })?;
                self.refuse_elements(node)?;
                self.copy(branch, key, value)
            }
        }
    }

    /// A change below a node that has something to do and is as asked for.
    fn find(&self, node: &Node, is: impl Copy + Fn(&Change) -> bool) -> Option<&'r Change> {
        self.steps.set(self.steps.get().saturating_add(1));
        match node {
            Node::Leaf(place) => self
                .run
                .changes
                .list
                .get(*place)
                .filter(|change| !self.run.is_idle(*place, change) && is(change)),
            Node::Branch(branch) => {
                branch.children.iter().find_map(|child| self.find(&child.node, is))
            }
        }
    }

    /// An error if a change below would need a way on where there is none.
    fn refuse_way(
        &self,
        node: &Node,
        reason: impl FnOnce(&Change) -> String,
    ) -> Result<(), ApplyError> {
        match self.find(node, |change| change.action.needs_way()) {
            Some(change) => Err(change.refusal(ApplyErrorKind::Apply, reason(change))),
            None => Ok(()),
        }
    }

    /// An error if a change below speaks of the elements of an array, where there is none.
    fn refuse_elements(&self, node: &Node) -> Result<(), ApplyError> {
        let elements = match node {
            Node::Branch(branch) if branch.is_of_elements => self.find(node, |_| true),
            Node::Branch(branch) if self.run.changes.has_element_parts => {
                return branch
                    .children
                    .iter()
                    .try_for_each(|child| self.refuse_elements(&child.node));
            }
            _ => None,
        };
        match elements {
            Some(change) => {
                let reason =
                    format!("\"{}\" needs an array there, whose elements it means", change.path);
                Err(change.refusal(ApplyErrorKind::Apply, reason))
            }
            None => Ok(()),
        }
    }

    /// Counts nodes that are looked at.
    fn step(&self, count: usize, branch: &Branch) -> Result<(), ApplyError> {
        self.steps.set(self.steps.get().saturating_add(count).saturating_add(1));
        if self.steps.get() <= MAX_STEPS {
            return Ok(());
        }
        Err(ApplyError {
            kind: ApplyErrorKind::Limit,
            path: self.first_path(branch).to_owned(),
            reason: format!("the update would look at more than {MAX_STEPS} places"),
        })
    }

    fn key(&mut self, branch: &Branch, key: Option<&str>) -> Result<(), ApplyError> {
        match key {
            Some(key) => self.write(branch, |out| Ok(out.key(key)?)),
            None => Ok(()),
        }
    }

    fn copy(
        &mut self,
        branch: &Branch,
        key: Option<&str>,
        value: RawValue<'_>,
    ) -> Result<(), ApplyError> {
        self.write(branch, |out| put(out, key, value))
    }

    /// Writes something that belongs to a branch; an error speaks of the first change below it.
    fn write(
        &mut self,
        branch: &Branch,
        write: impl FnOnce(&mut DocumentWriter<'_>) -> Result<(), ApplyError>,
    ) -> Result<(), ApplyError> {
        write(self.out)
            .map_err(|error| ApplyError { path: self.first_path(branch).to_owned(), ..error })
    }

    fn first_path(&self, branch: &Branch) -> &'r str {
        let first = branch.children.first().map(|child| first_leaf(&child.node));
        let change = first.and_then(|place| self.run.changes.list.get(place));
        change.map_or("", |change| change.path.as_str())
    }
}

/// How many changes there are below a node.
fn size(node: &Node) -> usize {
    match node {
        Node::Leaf(_) => 1,
        Node::Branch(branch) => branch.children.iter().map(|child| size(&child.node)).sum(),
    }
}

fn put(
    out: &mut DocumentWriter<'_>,
    key: Option<&str>,
    value: RawValue<'_>,
) -> Result<(), ApplyError> {
    if let Some(key) = key {
        out.key(key)?;
    }
    Ok(out.write_raw(value)?)
}

/// The error with the path of the change, unless it names one.
fn at(change: &Change, error: ApplyError) -> ApplyError {
    if error.path.is_empty() {
        ApplyError { path: change.path.as_str().to_owned(), ..error }
    } else {
        error
    }
}
