//! What the tests share: the four places a verb can run in, and small documents.
#![allow(
    dead_code,
    unused_macros,
    unused_imports,
    unreachable_pub,
    reason = "each test uses its part"
)]

pub mod faulty;

use any_store::{
    Collection, CollectionOptions, Database, Document, Error, ErrorKind, Result, Value, WriteTx,
    doc,
};

/// A database in which statements run alone or in an explicit transaction, on disk or in memory.
pub struct World {
    pub db: Database,
    pub tx: Option<WriteTx>,
    pub place: String,
    dir: Option<tempfile::TempDir>,
}

/// Runs a test in all four places.
pub fn everywhere(test: impl Fn(&mut World)) {
    for on_disk in [false, true] {
        for in_transaction in [false, true] {
            let mut world = World::new(on_disk, in_transaction);
            eprintln!("{}", world.place);
            test(&mut world);
            world.finish();
        }
    }
}

impl World {
    fn new(on_disk: bool, in_transaction: bool) -> Self {
        let dir = on_disk.then(|| tempfile::tempdir().unwrap());
        let db = match &dir {
            Some(dir) => Database::open(dir.path().join("test.any")).unwrap(),
            None => Database::in_memory().unwrap(),
        };
        let tx = in_transaction.then(|| db.begin_write().unwrap());
        let place = format!("on disk: {on_disk}, in a transaction: {in_transaction}");
        World { db, tx, place, dir }
    }

    /// A collection with the default options.
    pub fn users(&mut self) -> Collection {
        self.create("users", CollectionOptions::new()).unwrap()
    }

    pub fn create(&mut self, name: &str, options: CollectionOptions) -> Result<Collection> {
        match &mut self.tx {
            Some(tx) => tx.create_collection(name, options),
            None => self.db.create_collection(name, options),
        }
    }

    pub fn names(&self) -> Vec<String> {
        match &self.tx {
            Some(tx) => tx.collection_names(),
            None => self.db.collection_names(),
        }
        .unwrap()
    }

    /// Everything in a collection, in id order.
    pub fn all(&mut self, collection: &Collection) -> Vec<Document> {
        match &self.tx {
            Some(tx) => tx.view(collection).find(()).into_iter().collect::<Result<_>>(),
            None => collection.find(()).into_iter().collect::<Result<_>>(),
        }
        .unwrap()
    }

    pub fn assert_all(&mut self, collection: &Collection, expected: &[Document]) {
        let found = self.all(collection);
        assert_eq!(json(&found), json(expected), "{}", self.place);
    }

    /// Commits, and on disk opens the file again: it must say the same.
    fn finish(mut self) {
        if let Some(tx) = self.tx.take() {
            tx.commit().unwrap();
        }
        let before = snapshot(&self.db);
        self.db.close().unwrap();
        if let Some(dir) = &self.dir {
            let db = Database::open(dir.path().join("test.any")).unwrap();
            assert_eq!(snapshot(&db), before, "reopening: {}", self.place);
        }
    }
}

/// Every collection with all its documents, as text.
pub fn snapshot(db: &Database) -> Vec<(String, Vec<String>)> {
    let read = db.begin_read().unwrap();
    let names = read.collection_names().unwrap();
    names
        .into_iter()
        .map(|name| {
            let all: Vec<Document> = read
                .collection(&db.collection(&name))
                .find(())
                .run()
                .unwrap()
                .map(Result::unwrap)
                .collect();
            (name, json(&all))
        })
        .collect()
}

/// Documents as text, which tells `1` from `1.0` where `==` does not.
pub fn json(documents: &[Document]) -> Vec<String> {
    documents.iter().map(ToString::to_string).collect()
}

/// Runs a verb on a collection: alone, or through the world's transaction.
macro_rules! on {
    ($world:expr, $collection:expr, $view:ident => $body:expr) => {
        match $world.tx.as_mut() {
            None => {
                let $view = &$collection;
                $body
            }
            Some(tx) => {
                #[allow(unused_mut, reason = "not every verb writes")]
                let mut $view = tx.collection(&$collection);
                $body
            }
        }
    };
}
pub(crate) use on;

#[track_caller]
pub fn assert_kind<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind) -> Error {
    match result {
        Ok(value) => panic!("expected {kind:?}, got {value:?}"),
        Err(error) => {
            assert_eq!(error.kind(), kind, "{error}");
            assert!(!error.to_string().is_empty());
            error
        }
    }
}

/// `{id, n}` for each pair.
pub fn numbered<const N: usize>(pairs: [(i64, i64); N]) -> Vec<Document> {
    pairs.into_iter().map(|(id, n)| doc! { "id": id, "n": n }).collect()
}

/// A small generator of pseudo-random numbers, the same on every machine.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
