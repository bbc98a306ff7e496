//! The ways in which a computer can stop, and what each leaves on the disk.
//!
//! A power loss decides about every pending change on its own: a change of a file's length or of a
//! name reaches the disk or does not; a write does so sector by sector. A way to crash is a choice
//! of one fate for each pending change, in the order of the calls. After a kill nothing is lost
//! yet; but what was pending is not safe, and may never become so.

use crate::content::Content;
use crate::disk::{Disk, Edit, FileNo, PendingEdit, PendingNames, apply_names};
use crate::image::Image;
use crate::rng::Rng;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A way to crash. All but the two kills are power losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Crash {
    /// The process dies; the operating system keeps what was written.
    Kill,
    /// The process dies after the device failed to take what was pending, and told nobody who is
    /// left: the page cache shows it, counts it as clean, and no sync will ever write it.
    KillUnwritten,
    /// Nothing pending survives.
    DropAll,
    /// Everything pending survives.
    KeepAll,
    /// The changes up to a random one survive; a write there may be cut at a sector.
    Prefix,
    /// Each sector and each other change survives with this chance; one sector may be torn to zeros.
    Sectors {
        /// The chance to survive.
        percent: u8,
    },
    /// All changes to one file survive, and none to the others; those to names all do or none does.
    OneFile,
    /// Everything survives but the last sector of the newest write, which is zeros.
    NewestZero,
    /// Everything survives but the last sector of the newest write, which is noise.
    NewestGarbage,
    /// Lengths and names survive, written bytes do not: files have grown by zeros.
    LengthOnly,
    /// Bytes survive; all changes to names, or one of them, do not.
    NamesLost,
    /// Changes to names survive, changes to files do not.
    NamesOnly,
    /// Everything survives but one sector of one write, which is old or zeros.
    OneSector,
}

impl Crash {
    /// Every way that the sweep tries.
    pub const ALL: [Self; 15] = [
        Self::Kill,
        Self::KillUnwritten,
        Self::DropAll,
        Self::KeepAll,
        Self::Prefix,
        Self::Sectors { percent: 10 },
        Self::Sectors { percent: 50 },
        Self::Sectors { percent: 90 },
        Self::OneFile,
        Self::NewestZero,
        Self::NewestGarbage,
        Self::LengthOnly,
        Self::NamesLost,
        Self::NamesOnly,
        Self::OneSector,
    ];

    /// What the next start finds. The same disk and generator leave the same.
    #[must_use]
    pub fn leave(self, disk: &Disk, rng: &mut Rng) -> Left {
        let running = match self {
            Self::Kill => Some(disk.clone()),
            Self::KillUnwritten => Some(disk.with_pending_edits_lost()),
            _ => None,
        };
        Left { image: self.image(disk, rng), running }
    }

    /// The disk after this crash. The same disk and generator give the same image.
    #[must_use]
    pub fn image(self, disk: &Disk, rng: &mut Rng) -> Image {
        match self {
            Self::Kill | Self::KillUnwritten => return disk.after_kill(),
            Self::DropAll => {
                return Image::collect(&disk.disk_names, |file| {
                    Some(disk.files.get(&file)?.disk.clone())
                });
            }
            Self::KeepAll => return everything_kept(disk),
            _ => {}
        }
        let queue = Queue::of(disk);
        let fates = self.fates(&queue, rng);
        queue.survivors(&fates, rng)
    }

    /// True if the computer goes on: the process alone died.
    #[must_use]
    pub fn is_kill(self) -> bool {
        matches!(self, Self::Kill | Self::KillUnwritten)
    }

    /// A number for seeding, the same in every version of the rig.
    #[must_use]
    pub fn number(self) -> u64 {
        match self {
            Self::Sectors { percent } => 100 + u64::from(percent),
            other => Self::ALL.iter().position(|crash| *crash == other).unwrap_or(0) as u64,
        }
    }

    fn fates(self, queue: &Queue<'_>, rng: &mut Rng) -> Vec<Fate> {
        match self {
            Self::DropAll => queue.map(|_| Fate::Drop),
            Self::Kill | Self::KillUnwritten | Self::KeepAll => queue.map(|_| Fate::Keep),
            Self::Prefix => queue.prefix(rng),
            Self::Sectors { percent } => queue.sectors(percent, rng),
            Self::OneFile => queue.one_file(rng),
            Self::NewestZero => queue.newest(Damage::Zero),
            Self::NewestGarbage => queue.newest(Damage::Garbage),
            Self::LengthOnly => {
                queue.map(|pending| if pending.is_edit() { Fate::LengthOnly } else { Fate::Keep })
            }
            Self::NamesLost => queue.names_lost(rng),
            Self::NamesOnly => queue.map(|pending| Fate::keep_if(!pending.is_edit())),
            Self::OneSector => queue.one_sector(rng),
        }
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Kill => "kill",
            Self::KillUnwritten => "kill-unwritten",
            Self::DropAll => "drop",
            Self::KeepAll => "keep",
            Self::Prefix => "prefix",
            Self::Sectors { percent } => return write!(f, "sectors{percent}"),
            Self::OneFile => "one-file",
            Self::NewestZero => "newest-zero",
            Self::NewestGarbage => "newest-garbage",
            Self::LengthOnly => "length-only",
            Self::NamesLost => "names-lost",
            Self::NamesOnly => "names-only",
            Self::OneSector => "one-sector",
        };
        f.write_str(name)
    }
}

impl FromStr for Crash {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|crash| crash.to_string() == name)
            .ok_or_else(|| format!("no way to crash is called {name:?}"))
    }
}

/// What a crash left.
///
/// After a power loss all of it is safe on the disk. After a kill the computer still runs: what the
/// process had not synced is still pending, and a power loss may take it from whoever comes next.
#[derive(Clone, Debug)]
pub struct Left {
    image: Image,
    running: Option<Disk>,
}

/// How far a disk is behind what reads return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Safety {
    /// It holds all of it.
    AtRest,
    /// A sync would make it hold all of it.
    Pending,
    /// No sync will: the bytes must be written again.
    Lost,
}

impl Left {
    /// The files as the next start reads them.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// How far the disk is behind what reads return.
    #[must_use]
    pub fn safety(&self) -> Safety {
        match &self.running {
            Some(disk) if disk.has_lost_edits() => Safety::Lost,
            Some(disk) if disk.pending_count() > 0 => Safety::Pending,
            _ => Safety::AtRest,
        }
    }

    /// The same once the system has written out all that reads return.
    #[must_use]
    pub fn written_out(self) -> Self {
        Self { running: None, ..self }
    }

    /// The computer's files at the next start.
    #[must_use]
    pub fn disk(&self) -> Disk {
        self.running.clone().unwrap_or_else(|| Disk::from_image(&self.image))
    }
}

/// What a power loss does to one pending change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Keep,
    Drop,
    /// The file is as long as if the change had been made; no byte of it was.
    LengthOnly,
    /// This many sectors from the start are kept.
    Cut(usize),
    /// Each sector is kept with this chance; the torn one is zeros.
    Each {
        percent: u8,
        torn: Option<usize>,
    },
    /// All is kept, and then the last sector damaged.
    LastSector(Damage),
    /// All sectors but this one are kept.
    AllBut(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    Zero,
    Garbage,
}

impl Fate {
    fn keep_if(kept: bool) -> Self {
        if kept { Self::Keep } else { Self::Drop }
    }

    fn apply(self, edit: &Edit, content: &mut Content, rng: &mut Rng) {
        match self {
            Self::Keep => edit.apply(content),
            Self::Drop => {}
            Self::LengthOnly => edit.apply_length(content),
            Self::Cut(count) => {
                edit.pieces().take(count).for_each(|piece| edit.apply_piece(content, piece));
            }
            Self::Each { percent, torn } => {
                for (index, piece) in edit.pieces().enumerate() {
                    if torn == Some(index) {
                        damage(content, piece, Damage::Zero, rng);
                    } else if rng.percent(percent) {
                        edit.apply_piece(content, piece);
                    }
                }
            }
            Self::AllBut(old) => {
                edit.apply_length(content);
                let kept = edit.pieces().enumerate().filter(|(index, _)| *index != old);
                kept.for_each(|(_, piece)| edit.apply_piece(content, piece));
            }
            Self::LastSector(kind) => {
                edit.apply(content);
                if let Some(piece) = edit.pieces().last() {
                    damage(content, piece, kind, rng);
                }
            }
        }
    }
}

/// Damages a written piece and nothing beside it: the device is one with "powersafe overwrite".
fn damage(content: &mut Content, (offset, len): (u64, u64), kind: Damage, rng: &mut Rng) {
    let mut bytes = vec![0; len as usize];
    if kind == Damage::Garbage {
        rng.fill(&mut bytes);
    }
    content.write(&bytes, offset);
}

/// All changes survive, but for those that a failed sync has lost.
fn everything_kept(disk: &Disk) -> Image {
    let mut names = disk.disk_names.clone();
    disk.pending_names.iter().for_each(|pending| apply_names(&mut names, &pending.names));
    Image::collect(&names, |file| Some(disk.files.get(&file)?.settled()))
}

/// The pending changes of a disk in the order of the calls.
pub(crate) struct Queue<'d> {
    disk: &'d Disk,
    pending: Vec<Pending<'d>>,
}

enum Pending<'d> {
    Edit(FileNo, &'d PendingEdit),
    Names(&'d PendingNames),
}

impl Pending<'_> {
    fn sequence(&self) -> u64 {
        match self {
            Self::Edit(_, pending) => pending.sequence,
            Self::Names(pending) => pending.sequence,
        }
    }

    fn is_edit(&self) -> bool {
        matches!(self, Self::Edit(..))
    }

    /// How many sectors a write or punch covers; 0 for what is all or nothing.
    fn sector_count(&self) -> usize {
        match self {
            Self::Edit(_, pending) if pending.edit.is_divisible() => pending.edit.pieces().count(),
            _ => 0,
        }
    }
}

impl<'d> Queue<'d> {
    pub(crate) fn of(disk: &'d Disk) -> Self {
        let edits = disk.files.iter().flat_map(|(file, layers)| {
            layers.pending.iter().map(|pending| Pending::Edit(*file, pending))
        });
        let names = disk.pending_names.iter().map(Pending::Names);
        let mut pending: Vec<Pending<'d>> = edits.chain(names).collect();
        pending.sort_by_key(Pending::sequence);
        Self { disk, pending }
    }

    /// The disk after each pending change met its fate.
    pub(crate) fn survivors(&self, fates: &[Fate], rng: &mut Rng) -> Image {
        let mut changed: BTreeMap<FileNo, Content> = BTreeMap::new();
        let mut names = self.disk.disk_names.clone();
        let at_rest = |file: FileNo| self.disk.files.get(&file).map(|layers| layers.disk.clone());
        for (pending, fate) in self.pending.iter().zip(fates) {
            match pending {
                Pending::Names(pending) if *fate == Fate::Keep => {
                    apply_names(&mut names, &pending.names);
                }
                Pending::Names(_) => {}
                Pending::Edit(file, pending) => {
                    let content =
                        changed.entry(*file).or_insert_with(|| at_rest(*file).unwrap_or_default());
                    fate.apply(&pending.edit, content, rng);
                }
            }
        }
        Image::collect(&names, |file| changed.get(&file).cloned().or_else(|| at_rest(file)))
    }

    fn map(&self, fate: impl FnMut(&Pending<'d>) -> Fate) -> Vec<Fate> {
        self.pending.iter().map(fate).collect()
    }

    fn prefix(&self, rng: &mut Rng) -> Vec<Fate> {
        let cut = rng.index(self.pending.len() + 1);
        let mut fates: Vec<Fate> =
            (0..self.pending.len()).map(|index| Fate::keep_if(index < cut)).collect();
        if let Some(pending) = self.pending.get(cut) {
            fates[cut] = Fate::Cut(rng.index(pending.sector_count() + 1));
        }
        fates
    }

    fn sectors(&self, percent: u8, rng: &mut Rng) -> Vec<Fate> {
        let mut fates = self.map(|pending| match pending.sector_count() {
            0 => Fate::keep_if(rng.percent(percent)),
            _ => Fate::Each { percent, torn: None },
        });
        let divisible: Vec<usize> =
            (0..fates.len()).filter(|index| matches!(fates[*index], Fate::Each { .. })).collect();
        if !divisible.is_empty() && rng.percent(50) {
            let index = divisible[rng.index(divisible.len())];
            let torn = Some(rng.index(self.pending[index].sector_count()));
            fates[index] = Fate::Each { percent, torn };
        }
        fates
    }

    fn one_file(&self, rng: &mut Rng) -> Vec<Fate> {
        let mut files: Vec<FileNo> = self.pending.iter().filter_map(file_of).collect();
        files.sort_unstable();
        files.dedup();
        let chosen = files.get(rng.index(files.len())).copied();
        let names_kept = rng.percent(50);
        self.map(|pending| match file_of(pending) {
            Some(file) => Fate::keep_if(chosen == Some(file)),
            None => Fate::keep_if(names_kept),
        })
    }

    fn newest(&self, damage: Damage) -> Vec<Fate> {
        let mut fates = self.map(|_| Fate::Keep);
        let is_write = |pending: &Pending<'_>| match pending {
            Pending::Edit(_, pending) => matches!(pending.edit, Edit::Write { .. }),
            Pending::Names(_) => false,
        };
        if let Some(index) = self.pending.iter().rposition(is_write) {
            fates[index] = Fate::LastSector(damage);
        }
        fates
    }

    fn one_sector(&self, rng: &mut Rng) -> Vec<Fate> {
        let mut fates = self.map(|_| Fate::Keep);
        let divisible: Vec<usize> = (0..self.pending.len())
            .filter(|index| self.pending[*index].sector_count() > 0)
            .collect();
        if !divisible.is_empty() {
            let index = divisible[rng.index(divisible.len())];
            let sector = rng.index(self.pending[index].sector_count());
            fates[index] = match rng.percent(50) {
                true => Fate::AllBut(sector),
                false => Fate::Each { percent: 100, torn: Some(sector) },
            };
        }
        fates
    }

    fn names_lost(&self, rng: &mut Rng) -> Vec<Fate> {
        let lost_at: Vec<usize> =
            (0..self.pending.len()).filter(|index| !self.pending[*index].is_edit()).collect();
        let only = lost_at.get(rng.index(lost_at.len())).copied().filter(|_| rng.percent(50));
        let lost = |index: usize| match only {
            Some(only) => index == only,
            None => lost_at.contains(&index),
        };
        (0..self.pending.len()).map(|index| Fate::keep_if(!lost(index))).collect()
    }
}

fn file_of(pending: &Pending<'_>) -> Option<FileNo> {
    match pending {
        Pending::Edit(file, _) => Some(*file),
        Pending::Names(_) => None,
    }
}

#[cfg(test)]
mod tests;
