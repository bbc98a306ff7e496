//! How the database of a history is opened; drawn anew whenever it is opened again.

use std::time::Duration;

use any_store::{
    AutoCheckpoint, Compression, Database, Document, Durability, Options, PageBuffer, Sync, Value,
    doc,
};
use any_store_naive::random::Random;

/// How the database is opened.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    cache_bytes: u64,
    /// Of a page buffer; 0 is none.
    buffer_bytes: u64,
    sort_bytes: u64,
    /// After so many bytes of log; 0 is never.
    checkpoint_bytes: u64,
    pub(crate) sync: Sync,
    compression: Compression,
    sentinel: bool,
}

impl Setup {
    /// What a seed draws, as a history says it.
    pub(crate) fn draw(random: &mut Random) -> Document {
        let caches = [0, 0, 8 << 12, 64 << 10, 1 << 20, 20 << 20];
        doc! {
            "cache_bytes": *random.pick(&caches),
            "buffer_bytes": *random.pick(&[0, 0, 0, 4 << 12, 256 << 10]),
            "sort_bytes": *random.pick(&[0, 500, 64 << 20]),
            "checkpoint_bytes": *random.pick(&[0, 0, 1, 16 << 10, 256 << 10]),
            "sync": *random.pick(&["full", "normal", "normal"]),
            "compression": *random.pick(&["lz4", "none"]),
            "sentinel": (random.one_in(4)),
        }
    }

    /// Reads what a history says.
    pub(crate) fn read(from: &Document) -> Result<Self, String> {
        let number = |name: &str| {
            let number = from.get(name).and_then(Value::as_i64).unwrap_or_default();
            u64::try_from(number).map_err(|_| format!("{name:?} is below 0"))
        };
        let text = |name: &str| from.get(name).and_then(Value::as_str).unwrap_or_default();
        Ok(Self {
            cache_bytes: number("cache_bytes")?,
            buffer_bytes: number("buffer_bytes")?,
            sort_bytes: number("sort_bytes")?,
            checkpoint_bytes: number("checkpoint_bytes")?,
            sync: if text("sync") == "full" { Sync::Full } else { Sync::Normal },
            compression: compression(text("compression")),
            sentinel: from.get("sentinel").and_then(Value::as_bool).unwrap_or(false),
        })
    }

    /// The options that say the same. Nothing waits: there is one thread.
    pub(crate) fn options(&self) -> Options {
        let checkpoint = match self.checkpoint_bytes {
            0 => AutoCheckpoint::Off,
            after_bytes => AutoCheckpoint::Inline { after_bytes },
        };
        let durability = Durability { sentinel: self.sentinel, ..Durability::default() };
        let options = Database::options()
            .cache_bytes(self.cache_bytes)
            .sort_bytes(self.sort_bytes)
            .auto_checkpoint(checkpoint)
            .sync(self.sync)
            .compression(self.compression)
            .durability(durability)
            .busy_timeout(Duration::ZERO);
        match self.buffer_bytes {
            0 => options,
            bytes => options.page_buffer(PageBuffer::with_limit(bytes)),
        }
    }

    /// How collections are stored that do not say.
    pub(crate) fn compression(&self) -> Compression {
        self.compression
    }
}

/// The compression of this name.
pub(crate) fn compression(name: &str) -> Compression {
    if name == "lz4" { Compression::Lz4 } else { Compression::None }
}
