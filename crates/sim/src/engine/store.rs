//! The storage engine under test.

use super::{
    Automatic, Database, Direction, Durability, Engine, Mode, Outcome, Setup, Snapshot, Visitor,
    When, Work, database_path,
};
use crate::vfs::SimVfs;
use any_store_storage::{
    AutoCheckpoint, CheckpointMode, Error, Finding, FindingKind, ReadTx, Savepoint, Store,
    StoreOptions, Sync, TreeId, TreeOptions, VerifyOptions, WriteTx,
};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Opens [`Store`]s.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoreEngine;

impl Engine for StoreEngine {
    fn open(&self, vfs: &SimVfs, setup: Setup) -> Outcome<Box<dyn Database>> {
        let options = StoreOptions {
            create: setup.create,
            cache_bytes: setup.cache_bytes,
            auto_checkpoint: match setup.automatic {
                Automatic::Off => AutoCheckpoint::Off,
                Automatic::AfterBytes(after_bytes) => AutoCheckpoint::Inline { after_bytes },
            },
            ..StoreOptions::default()
        };
        let store = Store::open(Arc::new(vfs.clone()), database_path(), options).map_err(text)?;
        Ok(Box::new(OpenStore { store, writer: None, savepoints: Vec::new() }))
    }
}

/// An error with all it says: the message alone may leave out the page or the cause.
fn text(error: impl fmt::Debug) -> String {
    format!("{error:?}")
}

struct OpenStore {
    store: Store,
    writer: Option<WriteTx>,
    savepoints: Vec<Savepoint>,
}

impl OpenStore {
    fn writer(&mut self) -> Outcome<&mut WriteTx> {
        self.writer.as_mut().ok_or_else(|| "no write transaction is open".to_owned())
    }

    fn last_savepoint(&self) -> Outcome<Savepoint> {
        self.savepoints.last().copied().ok_or_else(|| "no savepoint is set".to_owned())
    }
}

impl Database for OpenStore {
    fn begin(&mut self, durability: Durability) -> Outcome<()> {
        let mut writer = self.store.begin_write().map_err(text)?;
        writer.set_sync(match durability {
            Durability::Normal => Sync::Normal,
            Durability::Full => Sync::Full,
        });
        self.writer = Some(writer);
        self.savepoints.clear();
        Ok(())
    }

    fn create_tree(&mut self) -> Outcome<u32> {
        let tree = self.writer()?.create_tree(TreeOptions::default()).map_err(text)?;
        Ok(tree.0)
    }

    fn drop_tree(&mut self, tree: u32) -> Outcome<()> {
        self.writer()?.drop_tree(TreeId(tree)).map_err(text)
    }

    fn put(&mut self, tree: u32, key: &[u8], value: &[u8]) -> Outcome<()> {
        self.writer()?.put(TreeId(tree), key, value).map_err(text)
    }

    fn remove(&mut self, tree: u32, key: &[u8]) -> Outcome<Option<bool>> {
        self.writer()?.remove(TreeId(tree), key).map(Some).map_err(text)
    }

    fn savepoint(&mut self) -> Outcome<()> {
        let savepoint = self.writer()?.savepoint().map_err(text)?;
        self.savepoints.push(savepoint);
        Ok(())
    }

    fn rollback_to(&mut self) -> Outcome<()> {
        let savepoint = self.last_savepoint()?;
        self.writer()?.rollback_to(savepoint).map_err(text)
    }

    fn release(&mut self) -> Outcome<()> {
        let savepoint = self.last_savepoint()?;
        self.writer()?.release(savepoint).map_err(text)?;
        self.savepoints.pop();
        Ok(())
    }

    fn commit(&mut self) -> Outcome<()> {
        let writer = self.writer.take().ok_or("no write transaction is open")?;
        writer.commit().map(drop).map_err(text)
    }

    fn rollback(&mut self) -> Outcome<()> {
        let writer = self.writer.take().ok_or("no write transaction is open")?;
        writer.rollback();
        Ok(())
    }

    fn checkpoint(&mut self, mode: Mode) -> Outcome<bool> {
        let mode = match mode {
            Mode::Passive => CheckpointMode::Passive,
            Mode::Full => CheckpointMode::Full,
            Mode::Restart => CheckpointMode::Restart,
            Mode::Truncate => CheckpointMode::Truncate,
        };
        // Nobody else is there who could make room by and by.
        match self.store.checkpoint_timeout(mode, Duration::ZERO) {
            Ok(_) => Ok(true),
            Err(Error::Busy) => Ok(false),
            Err(error) => Err(text(error)),
        }
    }

    fn close(&mut self) -> Outcome<()> {
        self.store.close().map_err(text)
    }

    fn snapshot(&self) -> Outcome<Box<dyn Snapshot>> {
        Ok(Box::new(self.store.begin_read().map_err(text)?))
    }

    fn check(&self, when: When) -> Outcome<()> {
        let walked = self.store.integrity_check().map_err(text)?;
        if let Some(finding) = walked.findings.first() {
            return Err(format!("integrity_check: {finding:?}, {} in all", walked.finding_count));
        }
        // By one thread, so that the same seed makes the same calls.
        let options = VerifyOptions { threads: 1, ..VerifyOptions::default() };
        let verified = self.store.verify_with(&options).map_err(text)?;
        let is_slot = |finding: &&Finding| finding.kind == FindingKind::Header;
        // The crash tore slots; one is whole, else the store had not opened.
        let torn_slots = verified.findings.iter().filter(is_slot).count() as u64;
        let allowed = when == When::BeforeWriting && torn_slots == verified.finding_count;
        match verified.findings.first() {
            Some(finding) if !allowed => {
                Err(format!("verify: {finding:?}, {} in all", verified.finding_count))
            }
            _ => Ok(()),
        }
    }

    fn work(&self) -> Outcome<Option<Work>> {
        let stats = self.store.stats().map_err(text)?;
        Ok(Some(Work { log_jumps: stats.log_jump_count, spilled_pages: stats.spilled_page_count }))
    }
}

impl Snapshot for ReadTx {
    fn entry_count(&self, tree: u32) -> Outcome<Option<u64>> {
        let stats = self.tree_stats(TreeId(tree)).map_err(text)?;
        Ok(stats.map(|stats| stats.entry_count))
    }

    fn get(&self, tree: u32, key: &[u8]) -> Outcome<Option<Vec<u8>>> {
        let value = ReadTx::get(self, TreeId(tree), key).map_err(text)?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn scan(&self, tree: u32, direction: Direction, visit: &mut Visitor<'_>) -> Outcome<()> {
        let mut cursor = self.cursor(TreeId(tree)).map_err(text)?;
        let mut found = match direction {
            Direction::Forward => cursor.first(),
            Direction::Backward => cursor.last(),
        };
        while found.map_err(text)? {
            let value = cursor.value().map_err(text)?;
            visit(cursor.key(), &value)?;
            found = match direction {
                Direction::Forward => cursor.next(),
                Direction::Backward => cursor.prev(),
            };
        }
        Ok(())
    }
}
