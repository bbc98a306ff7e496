//! The documents that an update or delete will change, chosen before the first change.

use super::spill::{Run, RunReader, SpillFile};
use super::{Operator, Resources, Rows};
use crate::error::{Error, ErrorKind, Result};

/// Ids in the order of a selection; beyond the budget they wait in a temporary file.
pub(crate) struct Targets {
    ids: Ids,
}

enum Ids {
    Memory(PackedIds),
    Spilled(RunReader),
}

impl Targets {
    /// Runs a selection to its end and keeps the ids.
    pub(crate) fn collect(mut rows: Rows<'_>, resources: &Resources) -> Result<Self> {
        let mut packed = PackedIds::default();
        while rows.advance()? {
            if packed.bytes_with(rows.id_key()) > resources.budget_bytes {
                let (file, run) = spill(packed, &mut *rows, resources)?;
                return Ok(Self { ids: Ids::Spilled(file.read_run(run)) });
            }
            packed.push(rows.id_key())?;
        }
        Ok(Self { ids: Ids::Memory(packed) })
    }

    /// The key encoding of the next id.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>> {
        match &mut self.ids {
            Ids::Memory(packed) => Ok(packed.next()),
            Ids::Spilled(reader) => {
                Ok(if reader.advance()? { Some(reader.record()) } else { None })
            }
        }
    }
}

/// Writes what was collected, the row that the operator stands on, and all that is to come.
fn spill(
    mut collected: PackedIds,
    rows: &mut dyn Operator,
    resources: &Resources,
) -> Result<(SpillFile, Run)> {
    let mut file = SpillFile::create(resources)?;
    let mut writer = file.begin_run();
    while let Some(id) = collected.next() {
        writer.push(&[id])?;
    }
    writer.push(&[rows.id_key()])?;
    while rows.advance()? {
        writer.push(&[rows.id_key()])?;
    }
    let run = writer.finish()?;
    Ok((file, run))
}

/// Ids one after the other in two allocations, however many.
#[derive(Default)]
struct PackedIds {
    keys: Vec<u8>,
    ends: Vec<usize>,
    next: usize,
}

impl PackedIds {
    fn push(&mut self, key: &[u8]) -> Result<()> {
        let no_memory = |_| {
            let message = "there is not enough memory for the targets of a statement";
            Error::new(ErrorKind::LimitExceeded, message)
        };
        self.keys.try_reserve(key.len()).map_err(no_memory)?;
        self.ends.try_reserve(1).map_err(no_memory)?;
        self.keys.extend_from_slice(key);
        self.ends.push(self.keys.len());
        Ok(())
    }

    /// The memory in use while another key comes in.
    fn bytes_with(&self, key: &[u8]) -> usize {
        let keys = held_with(&self.keys, key.len());
        let ends = held_with(&self.ends, 1).saturating_mul(size_of::<usize>());
        keys.saturating_add(ends)
    }

    fn next(&mut self) -> Option<&[u8]> {
        let end = *self.ends.get(self.next)?;
        let start = self.next.checked_sub(1).and_then(|last| self.ends.get(last)).copied();
        self.next = self.next.saturating_add(1);
        self.keys.get(start.unwrap_or(0)..end)
    }
}

/// Elements that a vector has room for while `more` come in: where it has to grow, what it holds now
/// and twice as much, until that is copied.
fn held_with<T>(vec: &Vec<T>, more: usize) -> usize {
    let needed = vec.len().saturating_add(more);
    if needed <= vec.capacity() {
        return vec.capacity();
    }
    vec.capacity().saturating_add(vec.capacity().saturating_mul(2).max(needed))
}
