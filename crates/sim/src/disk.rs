//! What a computer holds of its files: the page cache, the platter, and what lies between.
//!
//! Each file has three layers, and so have the names:
//!
//!   cache    what reads return and `list` shows; a killed process leaves it as it is
//!   pending  changes since the last sync, in order; a power loss decides about each of them
//!   disk     what survives a power loss whatever happens
//!
//! A [`Change`] is one mutating call. Applying a list of them to a disk gives the same disk every
//! time, so a rig records a run once and then rebuilds the state after any of its calls.
//!
//! Invariants:
//!  1. Until a sync of a file failed, its `disk` with all its `pending` applied equals its `cache`.
//!  2. Sequence numbers ascend over all files and names: they are the order of the calls.

use crate::content::{Content, MAX_FILE_LEN, SECTOR_LEN};
use crate::image::Image;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The number of a file, whatever its names. Counts up from 1 in the order of creation.
pub type FileNo = u64;

/// One mutating call, as it took effect.
#[derive(Clone, Debug)]
pub enum Change {
    /// A file came into being, under a name or (a temporary file) without one.
    Create {
        /// The file's number.
        file: FileNo,
        /// Its name.
        path: Option<PathBuf>,
    },
    /// A name was moved.
    Rename {
        /// The name before.
        from: PathBuf,
        /// The name after.
        to: PathBuf,
    },
    /// A name was removed.
    Remove {
        /// The name.
        path: PathBuf,
    },
    /// A directory was synced.
    SyncDir {
        /// The directory.
        dir: PathBuf,
        /// What the device did about it.
        effect: SyncEffect,
    },
    /// The bytes of a file changed.
    Edit {
        /// The file.
        file: FileNo,
        /// How.
        edit: Edit,
    },
    /// A file was synced.
    Sync {
        /// The file.
        file: FileNo,
        /// What the device did about it.
        effect: SyncEffect,
    },
}

/// A change to the bytes of one file.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Bytes were written.
    Write {
        /// Where.
        offset: u64,
        /// What.
        bytes: Arc<[u8]>,
    },
    /// The file was cut or extended with zeros.
    SetLen(u64),
    /// Space was reserved up to this length.
    Allocate(u64),
    /// A range was turned to zeros.
    Punch {
        /// Where.
        offset: u64,
        /// How far.
        len: u64,
    },
}

/// What a sync did, whatever it answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncEffect {
    /// All pending changes are on the disk.
    Persist,
    /// Nothing happened; a later sync may still persist the pending changes.
    Nothing,
    /// The pending changes will never reach the disk, yet reads return them (ext4, XFS).
    LoseKeepCache,
    /// The pending changes are gone, and reads return what the disk holds (Btrfs).
    LoseRevertCache,
}

impl Edit {
    /// Makes the change to `content`.
    pub fn apply(&self, content: &mut Content) {
        match self {
            Self::Write { offset, bytes } => content.write(bytes, *offset),
            Self::SetLen(len) => content.set_len(*len),
            Self::Allocate(len) => content.set_len(content.len().max(*len)),
            Self::Punch { offset, len } => content.zero(*offset, *len),
        }
    }

    /// Changes only the length, as when a file's metadata reaches the disk before its data.
    pub(crate) fn apply_length(&self, content: &mut Content) {
        match self {
            Self::Write { offset, bytes } if !bytes.is_empty() => {
                content.set_len(content.len().max(offset + bytes.len() as u64));
            }
            Self::Write { .. } | Self::Punch { .. } => {}
            Self::SetLen(_) | Self::Allocate(_) => self.apply(content),
        }
    }

    /// True if a device persists this sector by sector; a change of length is all or nothing.
    pub(crate) fn is_divisible(&self) -> bool {
        matches!(self, Self::Write { .. } | Self::Punch { .. })
    }

    /// The largest length the edit asks for.
    pub(crate) fn end(&self) -> Option<u64> {
        match self {
            Self::Write { offset, bytes } => offset.checked_add(bytes.len() as u64),
            Self::SetLen(len) | Self::Allocate(len) => Some(*len),
            Self::Punch { .. } => Some(0),
        }
    }

    /// The edit's range cut at sector boundaries, as (offset, length).
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (u64, u64)> + use<> {
        let (mut at, end) = match self {
            Self::Write { offset, bytes } => (*offset, offset + bytes.len() as u64),
            Self::Punch { offset, len } => (*offset, offset.saturating_add(*len).min(MAX_FILE_LEN)),
            Self::SetLen(_) | Self::Allocate(_) => (0, 0),
        };
        std::iter::from_fn(move || {
            let start = at;
            let stop = end.min((start / SECTOR_LEN + 1) * SECTOR_LEN);
            at = stop;
            (start < stop).then(|| (start, stop - start))
        })
    }

    /// The part of the edit in one of its pieces.
    pub(crate) fn apply_piece(&self, content: &mut Content, (at, len): (u64, u64)) {
        match self {
            Self::Write { offset, bytes } => {
                let start = (at - offset) as usize;
                content.write(&bytes[start..start + len as usize], at);
            }
            _ => content.zero(at, len),
        }
    }
}

/// An un-synced change to a file.
#[derive(Clone, Debug)]
pub(crate) struct PendingEdit {
    pub(crate) sequence: u64,
    pub(crate) edit: Edit,
}

/// An un-synced change to a directory: after it, each of these names stands for that file or none.
#[derive(Clone, Debug)]
pub(crate) struct PendingNames {
    pub(crate) sequence: u64,
    pub(crate) names: Vec<(PathBuf, Option<FileNo>)>,
}

/// The three layers of one file.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileLayers {
    pub(crate) cache: Content,
    pub(crate) disk: Content,
    pub(crate) pending: Vec<PendingEdit>,
    /// A sync lost changes that the cache still shows.
    diverged: bool,
}

impl FileLayers {
    fn at_rest(content: Content) -> Self {
        Self { cache: content.clone(), disk: content, ..Self::default() }
    }

    /// What the disk will hold when all pending changes have reached it.
    pub(crate) fn settled(&self) -> Content {
        if !self.diverged {
            return self.cache.clone();
        }
        let mut content = self.disk.clone();
        self.pending.iter().for_each(|pending| pending.edit.apply(&mut content));
        content
    }

    fn sync(&mut self, effect: SyncEffect) {
        match effect {
            SyncEffect::Persist => {
                self.disk = self.settled();
                self.pending.clear();
            }
            SyncEffect::Nothing => {}
            SyncEffect::LoseKeepCache => {
                self.diverged |= !self.pending.is_empty();
                self.pending.clear();
            }
            SyncEffect::LoseRevertCache => {
                self.cache = self.disk.clone();
                self.pending.clear();
                self.diverged = false;
            }
        }
    }
}

/// The files and names of one computer.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    pub(crate) files: BTreeMap<FileNo, FileLayers>,
    pub(crate) names: BTreeMap<PathBuf, FileNo>,
    pub(crate) disk_names: BTreeMap<PathBuf, FileNo>,
    pub(crate) pending_names: Vec<PendingNames>,
    sequence: u64,
}

impl Disk {
    /// A computer that starts with these files, all of them safe on the disk.
    #[must_use]
    pub fn from_image(image: &Image) -> Self {
        let mut disk = Self::default();
        for ((path, content), number) in image.files.iter().zip(1..) {
            disk.files.insert(number, FileLayers::at_rest(content.clone()));
            disk.names.insert(path.clone(), number);
        }
        disk.disk_names = disk.names.clone();
        disk
    }

    /// The file behind a name.
    #[must_use]
    pub fn lookup(&self, path: &Path) -> Option<FileNo> {
        self.names.get(path).copied()
    }

    /// What reads of a file return.
    #[must_use]
    pub fn cache(&self, file: FileNo) -> Option<&Content> {
        self.files.get(&file).map(|layers| &layers.cache)
    }

    /// The number that the next file gets.
    #[must_use]
    pub fn next_file(&self) -> FileNo {
        self.files.last_key_value().map_or(1, |(number, _)| number + 1)
    }

    /// The names in a directory, with the files behind them.
    pub fn list<'d>(&'d self, dir: &'d Path) -> impl Iterator<Item = (&'d Path, &'d Content)> {
        self.names
            .iter()
            .filter(move |(path, _)| path.parent() == Some(dir))
            .filter_map(|(path, file)| self.cache(*file).map(|content| (path.as_path(), content)))
    }

    /// How many changes a power loss would have to decide about.
    #[must_use]
    pub fn pending_count(&self) -> usize {
        let edits: usize = self.files.values().map(|layers| layers.pending.len()).sum();
        edits + self.pending_names.len()
    }

    /// True if reads return bytes that no sync will bring to the disk.
    #[must_use]
    pub fn has_lost_edits(&self) -> bool {
        self.files.values().any(|layers| layers.diverged)
    }

    /// The same computer after the device lost all pending edits without a word to anybody.
    #[must_use]
    pub(crate) fn with_pending_edits_lost(&self) -> Self {
        let mut disk = self.clone();
        disk.files.values_mut().for_each(|layers| layers.sync(SyncEffect::LoseKeepCache));
        disk
    }

    /// Makes one change. The same changes give the same disk.
    pub fn apply(&mut self, change: &Change) {
        self.sequence += 1;
        match change {
            Change::Create { file, path } => {
                self.files.insert(*file, FileLayers::default());
                if let Some(path) = path {
                    self.set_names(vec![(path.clone(), Some(*file))]);
                }
            }
            Change::Rename { from, to } => {
                let file = self.lookup(from);
                self.set_names(vec![(from.clone(), None), (to.clone(), file)]);
            }
            Change::Remove { path } => self.set_names(vec![(path.clone(), None)]),
            Change::SyncDir { dir, effect } => self.sync_names(dir, *effect),
            Change::Edit { file, edit } => self.edit(*file, edit),
            Change::Sync { file, effect } => {
                if let Some(layers) = self.files.get_mut(file) {
                    layers.sync(*effect);
                }
            }
        }
    }

    fn edit(&mut self, file: FileNo, edit: &Edit) {
        if let Some(layers) = self.files.get_mut(&file) {
            edit.apply(&mut layers.cache);
            layers.pending.push(PendingEdit { sequence: self.sequence, edit: edit.clone() });
        }
    }

    fn set_names(&mut self, names: Vec<(PathBuf, Option<FileNo>)>) {
        apply_names(&mut self.names, &names);
        self.pending_names.push(PendingNames { sequence: self.sequence, names });
    }

    /// A change that spans two directories is persisted with the one it moved the file to.
    fn sync_names(&mut self, dir: &Path, effect: SyncEffect) {
        let in_dir = |pending: &PendingNames| {
            pending.names.last().is_some_and(|(path, _)| path.parent() == Some(dir))
        };
        if effect == SyncEffect::Nothing {
            return;
        }
        let (synced, kept) = std::mem::take(&mut self.pending_names).into_iter().partition(in_dir);
        self.pending_names = kept;
        if effect == SyncEffect::Persist {
            let synced: Vec<PendingNames> = synced;
            synced.iter().for_each(|change| apply_names(&mut self.disk_names, &change.names));
        }
    }

    /// What the next start finds after the process died and the computer did not.
    #[must_use]
    pub fn after_kill(&self) -> Image {
        Image::collect(&self.names, |file| Some(self.files.get(&file)?.cache.clone()))
    }
}

/// Points names at files, or takes them away.
pub(crate) fn apply_names(
    names: &mut BTreeMap<PathBuf, FileNo>,
    changes: &[(PathBuf, Option<FileNo>)],
) {
    for (path, file) in changes {
        match file {
            Some(file) => names.insert(path.clone(), *file),
            None => names.remove(path),
        };
    }
}

#[cfg(test)]
mod tests;
