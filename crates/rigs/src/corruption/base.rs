//! The databases that are damaged: made once, with what they hold and where everything stands.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use any_store::{
    AutoCheckpoint, Collection, CollectionOptions, Compression, Database, FlushMode, IndexSpec,
    MemVfs, Options, Result, Sync, Value, doc,
};
use any_store_sim::Rng;
use any_store_storage::BLOCK_BYTES;

use super::layout::{self, Layout};
use super::overlay::{FileRead, Overlay, bytes_of};

pub(crate) const DB: &str = "/db";
pub(crate) const LOG: &str = "/db-wal";

/// The index through which the collection `plain` is read as well.
pub(crate) const INDEX: &str = "by_n";

/// The pages that a case may keep in memory.
pub(crate) const CACHE_BYTES: u64 = 8 << 20;

/// Which of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    File,
    Log,
}

impl Part {
    pub(crate) fn path(self) -> &'static Path {
        Path::new(match self {
            Self::File => DB,
            Self::Log => LOG,
        })
    }
}

/// A document as it was stored.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) id: i64,
    pub(crate) bytes: Arc<[u8]>,
    /// The blocks that reading it by id reads.
    pub(crate) blocks: BTreeSet<(Part, u64)>,
}

/// What a collection holds, by id.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) name: String,
    pub(crate) documents: Vec<Stored>,
}

/// The state after one commit.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) commit_no: u64,
    pub(crate) collections: Vec<Held>,
}

/// A database that cases are made from.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) name: &'static str,
    pub(crate) file: Arc<[u8]>,
    /// `None`: the database was closed.
    pub(crate) log: Option<Arc<[u8]>>,
    /// The states that opening may show: that after the last commit, and, if its record is the one
    /// that was damaged, that before it.
    pub(crate) states: Vec<State>,
    pub(crate) layout: Layout,
    /// The blocks that opening reads.
    pub(crate) opening: BTreeSet<(Part, u64)>,
}

impl Base {
    /// The files as they are, for a case of its own.
    pub(crate) fn overlay(&self) -> Overlay {
        let overlay = Overlay::new();
        overlay.put(DB, &self.file);
        if let Some(log) = &self.log {
            overlay.put(LOG, log);
        }
        overlay
    }

    /// The bytes of one of the files.
    pub(crate) fn bytes(&self, part: Part) -> &[u8] {
        match part {
            Part::File => &self.file,
            Part::Log => self.log.as_deref().unwrap_or_default(),
        }
    }
}

/// How large.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    names: [&'static str; 2],
    /// Documents in each of the two collections of small ones.
    small: i64,
    /// Large documents.
    large: i64,
    /// Collections of one document.
    few: i64,
    /// Bytes of the largest.
    largest: u64,
    /// Rounds of changes that the log holds.
    rounds: u64,
}

impl Scale {
    /// About 5 MB of file and as much of log.
    pub(crate) const LARGE: Self = Self {
        names: ["open", "closed"],
        small: 700,
        large: 70,
        few: 12,
        largest: 110_000,
        rounds: 24,
    };
    /// A few dozen blocks.
    pub(crate) const SMALL: Self = Self {
        names: ["small-open", "small-closed"],
        small: 28,
        large: 3,
        few: 4,
        largest: 14_000,
        rounds: 4,
    };
}

const COLLECTIONS: [(&str, Compression); 3] =
    [("plain", Compression::None), ("packed", Compression::Lz4), ("large", Compression::None)];

pub(crate) fn options() -> Options {
    Database::options().auto_checkpoint(AutoCheckpoint::Off).cache_bytes(CACHE_BYTES)
}

/// Makes a database with a log, and the same one closed.
pub(crate) fn build(scale: Scale) -> Result<[Base; 2]> {
    let memory = MemVfs::new();
    // So little memory that larger transactions spill.
    let options = options().cache_bytes(0).vfs(Arc::new(memory.clone()));
    let database = options.open(DB)?;
    let mut author = Author { database: &database, rng: Rng::new(0xBA5E), scale };
    author.fill()?;
    database.checkpoint(FlushMode::Restart)?;
    for round in 0..scale.rounds {
        author.change(round)?;
    }
    let before_last = state_of(&database)?;
    author.last_change()?;
    let states = vec![state_of(&database)?, before_last];
    let file = read(&memory, DB);
    let log = read(&memory, LOG);
    database.close()?;
    let closed = read(&memory, DB);
    let closed_state = State { commit_no: commit_no_of(&closed)?, ..states[0].clone() };
    Ok([
        survey(scale.names[0], file, Some(log), states)?,
        survey(scale.names[1], closed, None, vec![closed_state])?,
    ])
}

fn read(memory: &MemVfs, path: &str) -> Arc<[u8]> {
    bytes_of(memory, Path::new(path)).expect("the engine made it")
}

/// Notes which blocks which document needs.
fn survey(
    name: &'static str,
    file: Arc<[u8]>,
    log: Option<Arc<[u8]>>,
    states: Vec<State>,
) -> Result<Base> {
    let layout = layout::survey(&file, log.as_deref());
    let mut base = Base { name, file, log, states, layout, opening: BTreeSet::new() };
    let overlay = base.overlay();
    let options = options().cache_bytes(0).read_only(true).vfs(Arc::new(overlay.clone()));
    let (database, reads) = overlay.reads_of(|| {
        let database = options.open(DB)?;
        database.collection_names().map(|_| database)
    });
    let database = database?;
    base.opening = blocks(reads);
    let mut states = std::mem::take(&mut base.states);
    for held in &mut states[0].collections {
        let collection: Collection = database.collection(&held.name);
        for stored in &mut held.documents {
            let (found, reads) = overlay.reads_of(|| collection.get_raw(stored.id));
            let found = found?.expect("it was stored");
            assert_eq!(found.as_bytes(), &*stored.bytes, "the undamaged database is right");
            stored.blocks = blocks(reads);
        }
    }
    base.states = states;
    Ok(base)
}

fn blocks(reads: Vec<FileRead>) -> BTreeSet<(Part, u64)> {
    let block = BLOCK_BYTES as u64;
    let all = reads.into_iter().flat_map(|(number, range)| {
        let part = if number == 1 { Part::File } else { Part::Log };
        (range.start / block..range.end.div_ceil(block)).map(move |block| (part, block))
    });
    all.collect()
}

fn commit_no_of(closed: &Arc<[u8]>) -> Result<u64> {
    let overlay = Overlay::new();
    overlay.put(DB, closed);
    let database = options().read_only(true).vfs(Arc::new(overlay)).open(DB)?;
    Ok(database.begin_read()?.commit_no())
}

fn state_of(database: &Database) -> Result<State> {
    let mut collections = Vec::new();
    for name in database.collection_names()? {
        let collection: Collection = database.collection(&name);
        let mut documents = Vec::new();
        let mut cursor = collection.find(doc! {}).sort("id").run()?;
        while let Some(raw) = cursor.next_raw()? {
            let Some(any_store::RawValue::Int64(id)) = raw.get("id")? else {
                unreachable!("ids are integers")
            };
            let bytes = raw.as_bytes().into();
            documents.push(Stored { id, bytes, blocks: BTreeSet::new() });
        }
        collections.push(Held { name, documents });
    }
    let commit_no = database.begin_read()?.commit_no();
    Ok(State { commit_no, collections })
}

/// Writes the documents.
struct Author<'d> {
    database: &'d Database,
    rng: Rng,
    scale: Scale,
}

impl Author<'_> {
    /// What the file holds: three collections, some with one, and free blocks in between.
    fn fill(&mut self) -> Result<()> {
        for (name, compression) in COLLECTIONS {
            let options = CollectionOptions::new().compression(compression);
            self.database.create_collection(name, options)?;
        }
        let plain: Collection = self.database.collection("plain");
        plain.create_index(IndexSpec::new("n").name(INDEX))?;
        let packed: Collection = self.database.collection("packed");
        packed.create_indexes([IndexSpec::new(["-n", "tags"]), IndexSpec::new("id").unique()])?;
        let dropped = self.database.create_collection("dropped", CollectionOptions::new())?;
        for n in 0..self.scale.few {
            let name = format!("few{n}");
            let few = self.database.create_collection(&name, CollectionOptions::new())?;
            few.insert_one(&doc! { "id": n, "text": "one of few" })?;
        }
        for n in 0..self.scale.small / 4 {
            dropped.insert_one(&doc! { "id": n, "text": self.text(900) })?;
        }
        for n in 0..self.scale.small {
            self.put("plain", n * 3)?;
            self.put("packed", n * 3)?;
        }
        for n in 0..self.scale.large {
            self.put("large", n)?;
        }
        for n in (0..self.scale.large).step_by(9) {
            self.database.collection::<any_store::Document>("large").delete_id(n)?;
        }
        self.database.drop_collection("dropped")
    }

    /// A round of changes as one commit, durable in two of three rounds.
    fn change(&mut self, round: u64) -> Result<()> {
        let mut chosen = Vec::new();
        for _ in 0..self.scale.small / 14 {
            let name = COLLECTIONS[self.rng.index(2)].0;
            chosen.push((name, self.rng.below(self.scale.small as u64 * 3) as i64));
        }
        for _ in 0..self.scale.large.div_euclid(30) + 1 {
            chosen.push(("large", self.rng.below(self.scale.large as u64) as i64));
        }
        let documents: Vec<_> =
            chosen.into_iter().map(|(name, id)| (name, self.document(name, id))).collect();
        let mut tx = self.database.begin_write()?;
        for (name, document) in &documents {
            let collection = self.database.collection(name);
            tx.collection(&collection).upsert(document)?;
        }
        tx.set_sync(if round % 3 == 1 { Sync::Normal } else { Sync::Full });
        tx.commit()
    }

    /// A commit whose record is the last one of the log, and not durable.
    fn last_change(&mut self) -> Result<()> {
        let document = self.document("plain", 1);
        let mut tx = self.database.begin_write()?;
        tx.collection(&self.database.collection("plain")).upsert(&document)?;
        tx.set_sync(Sync::Normal);
        tx.commit()
    }

    fn put(&mut self, name: &str, id: i64) -> Result<()> {
        let document = self.document(name, id);
        self.database.collection(name).insert_one(&document).map(drop)
    }

    fn document(&mut self, collection: &str, id: i64) -> any_store::Document {
        let (text, noise) = match collection {
            "plain" => (self.rng.between(0, 300), self.rng.between(0, 500)),
            "packed" => (self.rng.between(250, 2_500), self.rng.between(0, 60)),
            _ => (300, self.rng.between(5_000, self.scale.largest)),
        };
        let mut bytes = vec![0; noise as usize];
        self.rng.fill(&mut bytes);
        let bytes = any_store::Binary { subtype: 0, bytes };
        let tags: Vec<Value> = (0..id % 4).map(|n| Value::from(id + n)).collect();
        let n = self.rng.below(1000) as i64;
        doc! { "id": id, "n": n, "tags": Value::Array(tags), "text": self.text(text), "noise": bytes }
    }

    fn text(&mut self, bytes: u64) -> String {
        const WORDS: [&str; 8] =
            ["page ", "record ", "tree ", "slot ", "run ", "cell ", "log ", "a "];
        let mut text = String::new();
        while (text.len() as u64) < bytes {
            text.push_str(WORDS[self.rng.index(WORDS.len())]);
        }
        text
    }
}
