//! Writing the header slots of an open store.

use crate::error::Result;
use crate::header::{self, Header, SLOT_COUNT};
use crate::vfs::VfsFile;

/// The header in force, and what is known of the other slots.
#[derive(Debug)]
pub(crate) struct HeaderSlots {
    in_force: Header,
    /// It was synced by this process.
    is_durable: bool,
}

/// How the slots are made durable.
pub(crate) type SyncMain<'s> = &'s dyn Fn(&dyn VfsFile) -> Result<()>;

impl HeaderSlots {
    /// The slots as an open found them.
    pub(crate) fn found(in_force: Header) -> Self {
        Self { in_force, is_durable: false }
    }

    /// The header in force.
    pub(crate) fn in_force(&self) -> &Header {
        &self.in_force
    }

    /// Makes sure, once, that the header in force is durable.
    ///
    /// It may be in the page cache alone, left there by a process that died before its sync; then the
    /// one before it counts. So it is written once more, to the slot behind it: torn, that harms
    /// neither of the two. With that one synced, the other slots are written too, so that none stays
    /// as a crash may have left it.
    pub(crate) fn secure(&mut self, main: &dyn VfsFile, sync: SyncMain<'_>) -> Result<()> {
        if self.is_durable {
            return Ok(());
        }
        let again = self.in_force.next(1)?;
        header::write(main, &again)?;
        sync(main)?;
        self.in_force = again;
        for step in 1..SLOT_COUNT as u64 - 1 {
            header::write(main, &self.in_force.next(step)?)?;
        }
        self.in_force = self.in_force.next(SLOT_COUNT as u64 - 2)?;
        self.is_durable = true;
        Ok(())
    }

    /// Puts another header in force: writes it under the next sequence number and syncs it. A failed
    /// write that could not be undone calls `set_failed`.
    pub(crate) fn write(
        &mut self,
        main: &dyn VfsFile,
        header: Header,
        sync: SyncMain<'_>,
        set_failed: &dyn Fn(),
    ) -> Result<()> {
        self.secure(main, sync)?;
        let sequence = self.in_force.next(1)?.sequence;
        let header = Header { sequence, ..header };
        if let Err(error) = header::write(main, &header) {
            if self.undo(main, sequence, sync).is_err() {
                set_failed();
            }
            return Err(error);
        }
        sync(main)?;
        self.in_force = header;
        Ok(())
    }

    /// Puts the header in force into the slot where the write of a new one failed. Of that write
    /// anything may have arrived; if all of it did, the header would give back a part of the log
    /// that is going to be needed, and the commits there would be lost.
    fn undo(&self, main: &dyn VfsFile, sequence: u64, sync: SyncMain<'_>) -> Result<()> {
        header::write_at_slot_of(main, sequence, &self.in_force)?;
        sync(main)
    }
}
