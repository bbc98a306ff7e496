//! Three checks: a quick look, the structure of every tree, and every byte of the file.

use crate::error::{Error, Result};
use crate::page::{PageNo, TreeId};
use crate::progress::{Cancel, OnProgress};

mod quick;
mod reached;
mod sweep;
mod walk;

pub(crate) use quick::quick_check;
pub(crate) use sweep::verify;
pub(crate) use walk::integrity_check;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// A header slot, or the length of the file.
    Header,
    /// The bytes of a page: its check does not hold, or it is not what belongs there.
    Page,
    /// The structure of a tree: order, levels, references, counts.
    Tree,
    /// Which blocks are in use.
    Space,
    /// A free block that is not zeros. Harmless: nothing reads it.
    Free,
    /// The log.
    Log,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub kind: FindingKind,
    /// The page at fault.
    pub page: PageNo,
    /// The tree it belongs to, where that can be told.
    pub tree: Option<TreeId>,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// How [`Store::integrity_check_with`](crate::Store::integrity_check_with) is done.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// Findings beyond this are counted and not kept; a thousand by default.
    pub max_findings: usize,
    /// Ends the check.
    pub cancel: Cancel,
    /// Told how far it is.
    pub on_progress: Option<OnProgress>,
}

/// How [`Store::verify_with`](crate::Store::verify_with) is done.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// Findings beyond this are counted and not kept; a thousand by default.
    pub max_findings: usize,
    /// How many threads check; 0, the default, takes as many as the machine runs at once.
    pub threads: usize,
    /// Ends the check.
    pub cancel: Cancel,
    /// Told how far it is.
    pub on_progress: Option<OnProgress>,
}

const MAX_FINDINGS: usize = 1000;

impl Default for CheckOptions {
    fn default() -> Self {
        Self { max_findings: MAX_FINDINGS, cancel: Cancel::default(), on_progress: None }
    }
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            max_findings: MAX_FINDINGS,
            threads: 0,
            cancel: Cancel::default(),
            on_progress: None,
        }
    }
}

/// What a walk over all trees found.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// Trees walked, the descriptor tree among them.
    pub tree_count: u64,
    /// Pages reached.
    pub page_count: u64,
    /// Entries counted.
    pub entry_count: u64,
    /// Each tree on its own, in order of their numbers.
    pub trees: Vec<TreeReport>,
    /// What is wrong; the first of it, as many as the options say.
    pub findings: Vec<Finding>,
    /// All that is wrong.
    pub finding_count: u64,
}

/// What a walk over one tree found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeReport {
    /// The tree.
    pub tree: TreeId,
    /// Entries counted.
    pub entry_count: u64,
    /// Bytes of their keys.
    pub key_bytes: u64,
    /// Bytes of their values.
    pub value_bytes: u64,
    /// Pages and runs reached.
    pub page_count: u64,
    /// Blocks of these.
    pub block_count: u64,
    /// What share of its leaves and inner pages is in use, in percent.
    pub fill_percent: u8,
    /// How much is wrong with it.
    pub finding_count: u64,
}

/// What reading every byte found.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// Pages read and checked.
    pub page_count: u64,
    /// Free blocks looked at.
    pub free_block_count: u64,
    /// What is wrong, in page order; as much of it as the options say.
    pub findings: Vec<Finding>,
    /// All that is wrong.
    pub finding_count: u64,
}

/// Collects findings up to a bound.
#[derive(Debug)]
struct Findings {
    kept: Vec<Finding>,
    count: u64,
    max: usize,
}

impl Findings {
    fn new(max: usize) -> Self {
        Self { kept: Vec::new(), count: 0, max }
    }

    fn add(&mut self, kind: FindingKind, page: PageNo, tree: Option<TreeId>, reason: &'static str) {
        self.count += 1;
        if self.kept.len() < self.max {
            self.kept.push(Finding { kind, page, tree, reason });
        }
    }

    /// Damage becomes a finding, everything else ends the check.
    fn note<T>(
        &mut self,
        kind: FindingKind,
        tree: Option<TreeId>,
        outcome: Result<T>,
    ) -> Result<Option<T>> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(Error::Corrupt { page, reason }) => {
                self.add(kind, page, tree, reason);
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }
}
