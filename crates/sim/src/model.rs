//! What the database must hold: plain maps, written without a look at the engine.
//!
//! A [`State`] is everything after one commit. The rig's scripts keep the first tree, the ledger,
//! for a key that each commit sets to its own number: so any state found after a crash says which
//! commit it claims to be, and is then compared with that commit's state entry by entry.

use crate::rng::Rng;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The first tree of every scripted database.
pub const LEDGER: u32 = 1;

/// The ledger's key for the number of the last commit.
pub const MARKER: &[u8] = b"commit";

/// The entries of one tree.
pub type Entries = BTreeMap<Vec<u8>, Arc<[u8]>>;

/// All trees by number. Clones share what neither of them changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    trees: BTreeMap<u32, Arc<Entries>>,
    attributes: BTreeMap<u32, BTreeMap<String, String>>,
}

impl State {
    /// The entries of a tree; `None` if there is no such tree.
    #[must_use]
    pub fn tree(&self, tree: u32) -> Option<&Entries> {
        self.trees.get(&tree).map(Arc::as_ref)
    }

    /// The numbers of all trees.
    pub fn trees(&self) -> impl Iterator<Item = u32> {
        self.trees.keys().copied()
    }

    /// Adds an empty tree.
    pub fn create_tree(&mut self, tree: u32) {
        self.trees.insert(tree, Arc::default());
    }

    /// Removes a tree and its entries.
    pub fn drop_tree(&mut self, tree: u32) {
        self.trees.remove(&tree);
        self.attributes.remove(&tree);
    }

    /// What a tree has besides its entries.
    #[must_use]
    pub fn attributes(&self, tree: u32) -> BTreeMap<String, String> {
        self.attributes.get(&tree).cloned().unwrap_or_default()
    }

    /// Sets what a tree has besides its entries, or takes it away.
    pub fn set_attribute(&mut self, tree: u32, name: &str, value: Option<&str>) {
        let attributes = self.attributes.entry(tree).or_default();
        match value {
            Some(value) => attributes.insert(name.to_owned(), value.to_owned()),
            None => attributes.remove(name),
        };
    }

    /// Sets an entry.
    pub fn put(&mut self, tree: u32, key: Vec<u8>, value: Arc<[u8]>) {
        if let Some(entries) = self.trees.get_mut(&tree) {
            Arc::make_mut(entries).insert(key, value);
        }
    }

    /// Removes an entry; true if it was there.
    pub fn remove(&mut self, tree: u32, key: &[u8]) -> bool {
        match self.trees.get_mut(&tree) {
            Some(entries) => Arc::make_mut(entries).remove(key).is_some(),
            None => false,
        }
    }
}

/// The number of a commit of a script, and of the commits that a check adds after a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point {
    /// The last commit of the script; 0 for none.
    pub commit: u32,
    /// How many further commits came after it.
    pub further: u32,
}

impl Point {
    /// The state after this commit of the script.
    #[must_use]
    pub fn scripted(commit: u32) -> Self {
        Self { commit, further: 0 }
    }

    /// One further commit.
    #[must_use]
    pub fn next(self) -> Self {
        Self { further: self.further + 1, ..self }
    }

    /// What the ledger says after this commit.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&self.commit.to_be_bytes());
        bytes[4..].copy_from_slice(&self.further.to_be_bytes());
        bytes
    }

    /// Reads what the ledger says.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (commit, further) = bytes.split_first_chunk::<4>()?;
        let further = further.try_into().ok()?;
        Some(Self { commit: u32::from_be_bytes(*commit), further: u32::from_be_bytes(further) })
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "commit {}", self.commit)?;
        if self.further > 0 {
            write!(f, " and {} further", self.further)?;
        }
        Ok(())
    }
}

/// The states after each commit of a script, the empty one first.
#[derive(Clone, Debug)]
pub struct History {
    states: Vec<State>,
}

impl Default for History {
    fn default() -> Self {
        Self { states: vec![State::default()] }
    }
}

impl History {
    /// The number of the last commit.
    #[must_use]
    pub fn last(&self) -> u32 {
        self.states.len() as u32 - 1
    }

    /// Adds the state after the next commit.
    pub fn push(&mut self, state: State) {
        self.states.push(state);
    }

    /// The state at a point; `None` if no rig makes such a commit.
    #[must_use]
    pub fn state(&self, point: Point) -> Option<State> {
        /// Crashes inside recoveries nest no deeper, so a larger number is a damaged marker.
        const MAX_FURTHER: u32 = 8;
        if point.further > MAX_FURTHER {
            return None;
        }
        let mut state = self.states.get(point.commit as usize)?.clone();
        let mut at = Point::scripted(point.commit);
        while at.further < point.further {
            at = at.next();
            further_entries(at).into_iter().for_each(|(key, value)| {
                if state.tree(LEDGER).is_none() {
                    state.create_tree(LEDGER);
                }
                state.put(LEDGER, key, value);
            });
        }
        Some(state)
    }

    /// The largest number of a tree that ever was.
    #[must_use]
    pub fn largest_tree(&self) -> u32 {
        self.states.iter().flat_map(State::trees).max().unwrap_or(0)
    }
}

/// What a further commit puts into the ledger: the marker, and a value of its own large enough to
/// need space.
#[must_use]
pub fn further_entries(at: Point) -> Vec<(Vec<u8>, Arc<[u8]>)> {
    let mut value = vec![0; 700];
    Rng::for_parts(&[u64::from(at.commit), u64::from(at.further)]).fill(&mut value);
    vec![
        (MARKER.to_vec(), at.to_bytes().as_slice().into()),
        (format!("further {}", at.further).into_bytes(), value.into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Arc<[u8]> {
        text.as_bytes().into()
    }

    #[test]
    fn a_kept_state_does_not_see_later_changes() {
        let mut state = State::default();
        state.create_tree(3);
        state.put(3, b"k".to_vec(), bytes("old"));
        let kept = state.clone();
        state.put(3, b"k".to_vec(), bytes("new"));
        assert!(state.remove(3, b"k"));
        assert!(!state.remove(3, b"k"));
        assert_eq!(kept.tree(3).and_then(|tree| tree.get(&b"k"[..])), Some(&bytes("old")));
        state.drop_tree(3);
        assert_eq!(state, State::default());
    }

    #[test]
    fn a_history_answers_for_scripted_and_further_commits() {
        let mut history = History::default();
        let mut state = State::default();
        state.create_tree(LEDGER);
        state.put(LEDGER, MARKER.to_vec(), Point::scripted(1).to_bytes().as_slice().into());
        history.push(state.clone());
        assert_eq!(history.last(), 1);
        assert_eq!(history.state(Point::scripted(0)), Some(State::default()));
        assert_eq!(history.state(Point::scripted(1)), Some(state));
        assert_eq!(history.state(Point::scripted(2)), None);
        assert_eq!(history.state(Point { commit: 1, further: u32::MAX }), None);
        let further = history.state(Point::scripted(0).next()).unwrap_or_default();
        let marker = further.tree(LEDGER).and_then(|ledger| ledger.get(MARKER));
        assert_eq!(marker.and_then(|m| Point::from_bytes(m)), Some(Point::scripted(0).next()));
        assert_eq!(history.largest_tree(), LEDGER);
    }

    #[test]
    fn a_marker_of_another_length_is_no_marker() {
        let point = Point { commit: 258, further: 3 };
        assert_eq!(point.to_bytes(), [0, 0, 1, 2, 0, 0, 0, 3]);
        assert_eq!(Point::from_bytes(&point.to_bytes()), Some(point));
        assert_eq!(Point::from_bytes(b"1234567"), None);
        assert_eq!(Point::from_bytes(b"123456789"), None);
    }
}
