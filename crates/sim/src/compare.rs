//! Whether a database holds exactly what the model says.

use crate::engine::{Database, Direction, Outcome, Snapshot};
use crate::model::{Entries, LEDGER, MARKER, Point, State};

/// The commit that a database claims to be at.
///
/// # Errors
/// What the engine says, or that the marker is damaged.
pub fn claimed_point(database: &dyn Database) -> Outcome<Point> {
    let snapshot = database.snapshot()?;
    if snapshot.entry_count(LEDGER)?.is_none() {
        return Ok(Point::default());
    }
    let marker = snapshot.get(LEDGER, MARKER)?.ok_or("the ledger has no marker")?;
    Point::from_bytes(&marker).ok_or_else(|| format!("the marker is damaged: {marker:02x?}"))
}

/// Compares all trees up to `largest_tree`: which there are, how many entries they count, and each
/// key and value in the direction given.
///
/// # Errors
/// The first difference, or what the engine says.
pub fn compare(
    snapshot: &dyn Snapshot,
    expected: &State,
    largest_tree: u32,
    direction: Direction,
) -> Outcome<()> {
    for tree in 1..=largest_tree.max(LEDGER) {
        let count = snapshot.entry_count(tree)?;
        match (count, expected.tree(tree)) {
            (None, None) => {}
            (None, Some(_)) => return Err(format!("tree {tree} is missing")),
            (Some(_), None) => return Err(format!("tree {tree} should not be there")),
            (Some(count), Some(entries)) if count != entries.len() as u64 => {
                return Err(format!("tree {tree} counts {count} entries, not {}", entries.len()));
            }
            (Some(_), Some(entries)) => compare_entries(snapshot, tree, entries, direction)?,
        }
        let (found, attributes) = (snapshot.attributes(tree)?, expected.attributes(tree));
        if found != attributes {
            return Err(format!("tree {tree} has {found:?}, not {attributes:?}"));
        }
    }
    Ok(())
}

fn compare_entries(
    snapshot: &dyn Snapshot,
    tree: u32,
    entries: &Entries,
    direction: Direction,
) -> Outcome<()> {
    let mut ascending = entries.iter();
    let mut next = || match direction {
        Direction::Forward => ascending.next(),
        Direction::Backward => ascending.next_back(),
    };
    snapshot.scan(tree, direction, &mut |key, value| match next() {
        Some((k, v)) if k == key && **v == *value => Ok(()),
        Some((k, v)) if k == key => Err(format!(
            "tree {tree}, key {}: the value of {} bytes is not the expected one of {}",
            shown(key),
            value.len(),
            v.len()
        )),
        Some((k, _)) => Err(format!("tree {tree}: key {} where {} belongs", shown(key), shown(k))),
        None => Err(format!("tree {tree}: key {} past the end", shown(key))),
    })?;
    match next() {
        Some((key, _)) => Err(format!("tree {tree}: key {} is missing", shown(key))),
        None => Ok(()),
    }
}

/// The start of a key, readable.
fn shown(key: &[u8]) -> String {
    let start = &key[..key.len().min(24)];
    format!("\"{}\" ({} bytes)", start.escape_ascii(), key.len())
}
