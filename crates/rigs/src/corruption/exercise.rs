//! Everything that can be done with a database, held against what it should hold.
//!
//! A database that was damaged by accident answers right or with an error that says what is damaged;
//! whoever does not need the damaged block gets the right answer. One that was made by an adversary
//! may answer anything, as long as it answers.

use std::path::Path;
use std::sync::Arc;

use any_store::{
    CheckOptions, Collection, Database, Document, Error, ErrorKind, VerifyOptions, doc,
};
use any_store_sim::Rng;

use super::base::{Base, DB, Held, INDEX, Part, State, Stored, options};
use super::overlay::Overlay;

/// What a wrong outcome was.
#[derive(Debug)]
pub(crate) struct Wrong(pub(crate) String);

impl Wrong {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// What is expected of the answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expect {
    /// The right answer or an error that says what is damaged. The block is the one that was.
    Truth { damaged: (Part, u64) },
    /// Any answer.
    Anything,
}

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Opening, and the documents that the damaged block concerns, with some others.
    Focused,
    /// All of it.
    Full,
}

/// What came of a case that was not wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Every answer was right.
    Right,
    /// There were errors.
    Reported,
    /// It was not opened.
    Refused,
}

/// One case: the files, and what is expected of them.
pub(crate) struct Exercise<'c> {
    pub(crate) base: &'c Base,
    pub(crate) overlay: &'c Overlay,
    pub(crate) expect: Expect,
    pub(crate) depth: Depth,
    pub(crate) rng: Rng,
    reported: bool,
}

impl<'c> Exercise<'c> {
    pub(crate) fn new(
        base: &'c Base,
        overlay: &'c Overlay,
        expect: Expect,
        depth: Depth,
        rng: Rng,
    ) -> Self {
        Self { base, overlay, expect, depth, rng, reported: false }
    }

    /// Opens it for reading, which must change nothing, then for writing.
    pub(crate) fn run(mut self) -> Result<Outcome, Wrong> {
        if let Some(database) = self.open(true)? {
            self.read(&database)?;
            self.close(&database)?;
        }
        if self.overlay.change_count() > 0 {
            return Err(Wrong::new("an open for reading changed a file"));
        }
        let Some(database) = self.open(false)? else { return Ok(Outcome::Refused) };
        self.get_some(&database)?;
        let written = self.write(&database)?;
        self.close(&database)?;
        if self.overlay.is_exhausted() {
            return Err(Wrong::new("hang: it made millions of calls"));
        }
        if written && let Some(database) = self.open(false)? {
            self.expect_written(&database)?;
            self.close(&database)?;
        }
        Ok(if self.reported { Outcome::Reported } else { Outcome::Right })
    }

    fn open(&mut self, read_only: bool) -> Result<Option<Database>, Wrong> {
        let options = options().create(false).read_only(read_only);
        let opened = options.vfs(Arc::new(self.overlay.clone())).open(Path::new(DB));
        self.take("open", opened)
    }

    /// An answer, if there is one. Errors must say what is damaged, unless anything goes.
    fn take<T>(&mut self, what: &str, answer: Result<T, Error>) -> Result<Option<T>, Wrong> {
        let error = match answer {
            Ok(answer) => return Ok(Some(answer)),
            Err(error) => error,
        };
        let says_what = match error.kind() {
            ErrorKind::Corrupt => {
                error.page().is_some() || error.collection().is_some() || error.path().is_some()
            }
            ErrorKind::LogDamaged => true,
            // After an error that said so.
            ErrorKind::Failed => self.reported,
            _ => false,
        };
        self.reported = true;
        match self.expect {
            Expect::Truth { .. } if !says_what => {
                Err(Wrong::new(format!("wrong: {what}: {:?}: {error}", error.kind())))
            }
            _ => Ok(None),
        }
    }

    /// Which of the states that it may be in this database is in.
    fn state_of(&mut self, database: &Database) -> Result<&'c State, Wrong> {
        let newest = &self.base.states[0];
        let Some(snapshot) = self.take("begin_read", database.begin_read())? else {
            return Ok(newest);
        };
        let state = self.base.states.iter().find(|state| state.commit_no == snapshot.commit_no());
        match (state, self.expect) {
            (Some(state), Expect::Truth { damaged: (part, block) })
                if state.commit_no != newest.commit_no =>
            {
                // Only damage in the last record may cost that commit, for it was not durable.
                let last = self.base.layout.records.last().map_or(u64::MAX, |r| r.position);
                let is_last = part == Part::Log && (block + 1) * 4096 > last;
                if is_last { Ok(state) } else { Err(Wrong::new("wrong: the last commit is lost")) }
            }
            (Some(state), _) => Ok(state),
            (None, Expect::Anything) => Ok(newest),
            (None, Expect::Truth { .. }) => {
                let found = snapshot.commit_no();
                Err(Wrong::new(format!("wrong: it shows the state after commit {found}")))
            }
        }
    }

    fn read(&mut self, database: &Database) -> Result<(), Wrong> {
        if self.depth == Depth::Focused {
            return self.get_some(database);
        }
        let state = self.state_of(database)?;
        let names = self.take("collection_names", database.collection_names())?;
        if let Some(names) = names {
            let all = state.collections.iter().map(|held| &held.name);
            self.agree("the names of the collections", names.iter().eq(all))?;
        }
        for held in &state.collections {
            self.scan(database, held)?;
        }
        if let Some(held) = state.collections.iter().find(|held| held.name == "plain") {
            self.scan_index(database, held)?;
        }
        self.get_some(database)?;
        let check = database.integrity_check_with(CheckOptions::new());
        if let Some(report) = self.take("integrity_check", check)? {
            self.reported |= !report.is_ok();
        }
        let verified = database.verify_with(VerifyOptions::new().threads(1));
        if let Some(report) = self.take("verify", verified)? {
            self.reported |= report.finding_count > 0;
            let is_closed = self.base.log.is_none();
            self.agree("verify finds nothing", !is_closed || report.finding_count > 0)?;
        }
        Ok(())
    }

    fn scan(&mut self, database: &Database, held: &Held) -> Result<(), Wrong> {
        let collection: Collection = database.collection(&held.name);
        let what = &held.name;
        let Some(mut cursor) = self.take(what, collection.find(doc! {}).sort("id").run())? else {
            return Ok(());
        };
        let mut expected = held.documents.iter();
        loop {
            let next = match cursor.next_raw() {
                Ok(next) => next.map(|raw| raw.as_bytes()),
                Err(error) => return self.take::<()>(what, Err(error)).map(drop),
            };
            let wanted = expected.next();
            if let Expect::Truth { .. } = self.expect
                && next != wanted.map(|stored| &*stored.bytes)
            {
                let id = wanted.map(|stored| stored.id);
                return Err(Wrong::new(format!("wrong: scan of {what}: expected document {id:?}")));
            }
            if next.is_none() {
                return Ok(());
            }
        }
    }

    /// All documents, by an index: each is there once.
    fn scan_index(&mut self, database: &Database, held: &Held) -> Result<(), Wrong> {
        let collection: Collection = database.collection(&held.name);
        let found = collection.find(doc! { "n": { "$gte": 0 } }).hint(INDEX).run();
        let Some(mut cursor) = self.take("an index", found)? else { return Ok(()) };
        let mut all: Vec<Vec<u8>> = Vec::new();
        loop {
            match cursor.next_raw() {
                Ok(Some(raw)) => all.push(raw.as_bytes().to_vec()),
                Ok(None) => break,
                Err(error) => return self.take::<()>("an index", Err(error)).map(drop),
            }
        }
        let mut expected: Vec<&[u8]> = held.documents.iter().map(|stored| &*stored.bytes).collect();
        all.sort_unstable();
        expected.sort_unstable();
        self.agree("the documents by an index", all.iter().eq(&expected))
    }

    /// Gets the documents that need the damaged block, a few of them, and some others.
    fn get_some(&mut self, database: &Database) -> Result<(), Wrong> {
        let state = self.state_of(database)?;
        let all = state
            .collections
            .iter()
            .flat_map(|held| held.documents.iter().map(move |stored| (held.name.as_str(), stored)));
        let mut chosen: Vec<(&str, &Stored)> = match self.expect {
            Expect::Truth { damaged } => {
                all.clone().filter(|(_, stored)| stored.blocks.contains(&damaged)).take(4).collect()
            }
            Expect::Anything => Vec::new(),
        };
        let count = all.clone().count();
        for _ in 0..6 {
            chosen.extend(all.clone().nth(self.rng.index(count)));
        }
        chosen.into_iter().try_for_each(|(name, stored)| self.get(database, name, stored))
    }

    fn get(&mut self, database: &Database, name: &str, stored: &Stored) -> Result<(), Wrong> {
        let collection: Collection = database.collection(name);
        let answer = collection.get_raw(stored.id);
        if let (Expect::Truth { damaged }, Err(error)) = (self.expect, &answer) {
            let needs_it = stored.blocks.contains(&damaged) || self.base.opening.contains(&damaged);
            // The older state is not surveyed: its blocks are not known.
            if !needs_it && !stored.blocks.is_empty() {
                let id = stored.id;
                return Err(Wrong::new(format!("wrong: {name} {id} lies elsewhere: {error}")));
            }
        }
        let Some(found) = self.take(name, answer)? else { return Ok(()) };
        let found = found.as_ref().map(|document| document.as_bytes());
        self.agree(&format!("{name} {}", stored.id), found == Some(&*stored.bytes))
    }

    fn agree(&self, what: &str, agrees: bool) -> Result<(), Wrong> {
        match self.expect {
            Expect::Truth { .. } if !agrees => Err(Wrong::new(format!("wrong: {what}"))),
            _ => Ok(()),
        }
    }

    /// One commit: a document put, one removed. True if it was acknowledged.
    fn write(&mut self, database: &Database) -> Result<bool, Wrong> {
        let Some(mut tx) = self.take("begin_write", database.begin_write())? else {
            return Ok(false);
        };
        let few: Collection = database.collection("few3");
        let plain: Collection<Document> = database.collection("plain");
        let put = tx.collection(&few).upsert(&written());
        if self.take("upsert", put)?.is_none() {
            return Ok(false);
        }
        let removed = tx.collection(&plain).delete_id(0);
        if self.take("delete_id", removed)?.is_none() {
            return Ok(false);
        }
        tx.set_sync(any_store::Sync::Full);
        Ok(self.take("commit", tx.commit())?.is_some())
    }

    fn close(&mut self, database: &Database) -> Result<(), Wrong> {
        self.take("close", database.close()).map(drop)
    }

    /// What was acknowledged is there.
    fn expect_written(&mut self, database: &Database) -> Result<(), Wrong> {
        let few: Collection = database.collection("few3");
        if let Some(found) = self.take("few3", few.get(WRITTEN_ID))? {
            self.agree("lost: the document that was put", found == Some(written()))?;
        }
        let plain: Collection = database.collection("plain");
        if let Some(found) = self.take("plain", plain.get(0))? {
            self.agree("lost: the removal of a document", found.is_none())?;
        }
        Ok(())
    }
}

const WRITTEN_ID: i64 = 1_000_000;

fn written() -> Document {
    doc! { "id": WRITTEN_ID, "text": "put into what was damaged" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corruption::base::{LOG, Scale, build};
    use crate::corruption::layout::{Forger, LEAF};

    /// A place that no document needs.
    const NOWHERE: Expect = Expect::Truth { damaged: (Part::File, u64::MAX / 8192) };

    fn exercise(base: &Base, overlay: &Overlay, expect: Expect) -> Result<Outcome, Wrong> {
        Exercise::new(base, overlay, expect, Depth::Full, Rng::new(1)).run()
    }

    fn bases() -> [Base; 2] {
        build(Scale::SMALL).expect("nothing is damaged yet")
    }

    #[test]
    fn an_undamaged_database_is_right() {
        let [open, closed] = bases();
        let outcome = exercise(&open, &open.overlay(), NOWHERE);
        assert!(matches!(outcome, Ok(Outcome::Right)), "{outcome:?}");
        // Of a closed one `verify` is expected to find something.
        let outcome = exercise(&closed, &closed.overlay(), Expect::Anything);
        assert!(matches!(outcome, Ok(Outcome::Right)), "{outcome:?}");
    }

    #[test]
    fn a_wrong_answer_is_noticed() {
        let [mut open, _] = bases();
        let collections = &mut open.states[0].collections;
        let plain = collections.iter_mut().find(|held| held.name == "plain").expect("it was made");
        plain.documents[3].bytes = vec![1, 2, 3].into();
        let outcome = exercise(&open, &open.overlay(), NOWHERE);
        assert!(matches!(&outcome, Err(Wrong(what)) if what.contains("plain")), "{outcome:?}");
    }

    #[test]
    fn an_older_state_is_noticed() {
        let [mut open, _] = bases();
        open.states[0].commit_no += 1;
        let outcome = exercise(&open, &open.overlay(), NOWHERE);
        assert!(matches!(&outcome, Err(Wrong(what)) if what.contains("state")), "{outcome:?}");
    }

    #[test]
    fn an_error_that_does_not_say_what_is_damaged_is_noticed() {
        let [open, _] = bases();
        let outcome = exercise(&open, &Overlay::new(), NOWHERE);
        assert!(matches!(&outcome, Err(Wrong(what)) if what.contains("NotFound")), "{outcome:?}");
    }

    #[test]
    fn damage_that_reaches_other_documents_is_noticed() {
        let [open, _] = bases();
        let overlay = open.overlay();
        overlay.patch(std::path::Path::new(LOG), 4096 + 60, &[0xff]);
        let outcome = exercise(&open, &overlay, NOWHERE);
        assert!(matches!(outcome, Ok(Outcome::Refused)), "the log is needed by all: {outcome:?}");
        let [_, closed] = bases();
        let overlay = closed.overlay();
        // All but the descriptors and the catalog.
        for leaf in closed.layout.of_kind(LEAF).filter(|page| page.tree > 1) {
            overlay.patch(std::path::Path::new(DB), leaf.offset + 100, &[0xff, 0xfe]);
        }
        let outcome = exercise(&closed, &overlay, NOWHERE);
        assert!(matches!(&outcome, Err(Wrong(what)) if what.contains("elsewhere")), "{outcome:?}");
    }

    #[test]
    fn sealing_anew_changes_nothing() {
        for base in bases() {
            let overlay = base.overlay();
            let forger = Forger::new(&overlay, &base.layout);
            base.layout.pages.iter().for_each(|page| forger.seal_page(page));
            (0..4).for_each(|slot| forger.seal_slot(slot * 2048));
            if let Some(log) = &base.log {
                forger.seal_log_head();
                forger.seal_records(0);
                assert!(overlay.bytes(Part::Log.path()).as_deref() == Some(&**log));
            }
            assert!(overlay.bytes(Part::File.path()).as_deref() == Some(&*base.file));
        }
    }

    /// The number of entries is the file's own claim: a check must not count up to it.
    #[test]
    fn a_catalog_that_claims_endless_records_is_checked_at_once() {
        let [_, closed] = bases();
        for descriptor in &closed.layout.descriptors {
            let overlay = closed.overlay();
            let forger = Forger::new(&overlay, &closed.layout);
            forger.put(Part::File, descriptor.offset + 16, &[0xff; 8]);
            forger.seal_page(&descriptor.page);
            let outcome = exercise(&closed, &overlay, Expect::Anything);
            assert!(outcome.is_ok(), "{outcome:?}");
        }
    }
}
