//! Updates: what is to become of a document.
//!
//! An update is parsed into a tree of the paths it changes, each leaf an action. Two actions on one
//! path, or on a path and its parent, are refused when it is parsed. Applied to an encoded document
//! the tree is walked beside it: what the tree does not name is copied as it is, and where nothing
//! but numbers change, they are overwritten in a copy of the bytes.
//!
//! Fields of one object are visited in the order of [`natural_order`](crate::path::natural_order):
//! the document's own fields keep their places, and new ones follow them in that order.

mod apply;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use anyenc::{Document, Number, Path, RawDocument, RawDocumentBuf, Segment, Value};

use crate::error::{ApplyError, ParseError, Source};
use crate::operand::Operand;
use crate::path::natural_order;
use crate::trail::{Trail, read_json};

/// Most paths that one update changes.
pub(crate) const MAX_PATHS: usize = 100_000;
/// Most nulls that an update puts between an array's end and a new element.
pub(crate) const MAX_PADDING: usize = 1_500_000;

/// A change of documents. Immutable, cheap to clone, and shareable between threads.
///
/// ```
/// use any_store_query::{Applied, ApplyContext, Update};
/// use anyenc::{RawDocumentBuf, doc};
///
/// let update = Update::from_json(r#"{"$inc": {"n": 1}, "$set": {"seen.by": "Ann"}}"#)?;
/// let stored = RawDocumentBuf::from_document(&doc! { "id": 7, "n": 1 })?;
/// let Applied::Changed(changed) = update.apply(stored.as_raw(), ApplyContext::update())? else {
///     panic!("the counter has changed");
/// };
/// assert_eq!(changed.to_document()?, doc! { "id": 7, "n": 2, "seen": { "by": "Ann" } });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Update {
    changes: Arc<Changes>,
}

/// What applying an update came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// The document's bytes are as they were.
    Unchanged,
    /// The document as it is afterwards; its bytes differ.
    Changed(RawDocumentBuf),
}

/// What an update must know besides the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplyContext {
    inserting: bool,
}

impl ApplyContext {
    /// The document is a stored one.
    pub fn update() -> ApplyContext {
        ApplyContext { inserting: false }
    }

    /// The document is being made by an upsert, so that `$setOnInsert` counts.
    pub fn insert() -> ApplyContext {
        ApplyContext { inserting: true }
    }
}

impl Update {
    /// Reads an update from a value, which must be an object of operators.
    ///
    /// # Errors
    /// The value is not an update, or changes one path twice.
    pub fn parse(value: &Value) -> Result<Update, ParseError> {
        parse::update(value, &mut Trail::new(Source::Update, None))
    }

    /// Reads an update from JSON text; errors carry byte offsets.
    ///
    /// # Errors
    /// The text is not JSON, or not an update.
    pub fn from_json(text: &str) -> Result<Update, ParseError> {
        let value = read_json(Source::Update, text)?;
        parse::update(&value, &mut Trail::new(Source::Update, Some(text.as_bytes())))
    }

    /// Reads an update from a document.
    ///
    /// # Errors
    /// The document is not an update, or changes one path twice.
    pub fn from_document(document: &Document) -> Result<Update, ParseError> {
        parse::document_update(document, &mut Trail::new(Source::Update, None))
    }

    /// Changes a document; the document itself stays as it is.
    ///
    /// # Errors
    /// A value in the document does not allow the change, a number goes past 64 bits, the result is
    /// too large or too deep, or the document is damaged.
    pub fn apply(
        &self,
        document: RawDocument<'_>,
        context: ApplyContext,
    ) -> Result<Applied, ApplyError> {
        apply::apply(&self.changes, document, context)
    }

    /// May the update change this top-level field, or something in it?
    pub fn touches(&self, field: &str) -> bool {
        self.changes.root.child(field).is_some()
    }
}

impl fmt::Debug for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.changes.list).finish()
    }
}

/// All changes: as a list, and as the tree of their paths.
struct Changes {
    list: Vec<Change>,
    root: Branch,
}

/// One path and what becomes of its value.
#[derive(Debug)]
struct Change {
    path: Path,
    action: Action,
}

#[derive(Debug)]
enum Action {
    Set(Operand),
    SetOnInsert(Operand),
    Unset,
    Inc(Number),
    Mul(Number),
    Min(Operand),
    Max(Operand),
}

impl Action {
    /// Does the action make what is missing, its parents included?
    fn creates(&self, context: ApplyContext) -> bool {
        match self {
            Action::Unset => false,
            Action::SetOnInsert(_) => context.inserting,
            Action::Set(_) | Action::Inc(_) | Action::Mul(_) | Action::Min(_) | Action::Max(_) => {
                true
            }
        }
    }
}

/// The changes below one field, ascending by name.
struct Branch {
    children: Vec<Child>,
}

struct Child {
    part: Segment,
    node: Node,
}

enum Node {
    /// The place of a change in the list.
    Leaf(usize),
    Branch(Branch),
}

impl Branch {
    fn child(&self, name: &str) -> Option<(usize, &Node)> {
        let place = self.children.binary_search_by(|child| natural_order(&child.part.name, name));
        let place = place.ok()?;
        self.children.get(place).map(|child| (place, &child.node))
    }
}
