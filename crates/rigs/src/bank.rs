//! A little bank: what the rigs over real threads and processes write, and know to be there.
//!
//! ```text
//! bank      accounts; what they hold together never changes
//! lists     each commit appends its number to one of them
//! state     one document, which says the number of the commit
//! temp-K    collections that come and go, and change their names
//! ```
//!
//! What commit `n` does is drawn from a seed, `n` and the state before it. So whoever knows the seed
//! knows every state, and the digest of what is stored says whether it is one of them.

mod seen;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use any_store::{Document, Value, doc};
use any_store_sim::Rng;

pub(crate) use seen::Seen;
pub(crate) use write::Place;

pub(crate) const BANK: &str = "bank";
pub(crate) const LISTS: &str = "lists";
pub(crate) const STATE: &str = "state";
/// What every name begins with that comes and goes.
const TEMP: &str = "temp-";

pub(crate) const ACCOUNTS: i64 = 24;
const MONEY_EACH: i64 = 1000;
/// What all accounts hold together.
pub(crate) const MONEY: i64 = ACCOUNTS * MONEY_EACH;
const LIST_COUNT: i64 = 6;
/// How many elements a list keeps.
pub(crate) const LIST_LEN: usize = 12;
/// Names for collections that come and go.
const TEMP_NAMES: u64 = 4;
/// Tags are below this.
pub(crate) const TAGS: u64 = 12;

/// The indexes that come and go, by name, with their fields.
pub(crate) const INDEXES: [(&str, &[&str]); 4] = [
    ("by-tags", &["tags"]),
    ("by-n", &["-n"]),
    ("by-tags-n", &["tags", "-n"]),
    ("by-list", &["list"]),
];
/// Collections that have indexes, by number.
const INDEXED: [&str; 2] = [BANK, LISTS];

/// The one shape that all documents have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) n: i64,
    pub(crate) tags: Vec<i64>,
    pub(crate) list: Vec<i64>,
    pub(crate) text: String,
}

impl Row {
    fn to_document(&self) -> Document {
        let array = |numbers: &[i64]| numbers.iter().map(|n| Value::from(*n)).collect::<Vec<_>>();
        doc! {
            "id": (self.id),
            "n": (self.n),
            "tags": (array(&self.tags)),
            "list": (array(&self.list)),
            "text": (self.text.as_str()),
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        any_store::to_raw(&self.to_document()).expect("a row is a document").as_bytes().to_vec()
    }
}

/// The documents of a collection by id.
pub(crate) type Rows = BTreeMap<i64, Row>;

/// One step of a commit.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Transfer {
        from: i64,
        to: i64,
        amount: i64,
    },
    Append {
        list: i64,
        value: i64,
    },
    Retag {
        account: i64,
        tags: Vec<i64>,
    },
    Write {
        collection: &'static str,
        id: i64,
        text: String,
    },
    Number {
        commit: i64,
    },
    Create {
        name: String,
        rows: Vec<Row>,
    },
    Drop {
        name: String,
    },
    Rename {
        from: String,
        to: String,
    },
    Upsert {
        name: String,
        row: Row,
    },
    Remove {
        name: String,
        id: i64,
    },
    /// Moves every number of the collection by one statement.
    Shift {
        name: String,
        by: i64,
    },
    /// Makes the index of this number in [`INDEXES`], or removes it.
    Index {
        collection: &'static str,
        index: usize,
    },
    Unindex {
        collection: &'static str,
        index: usize,
    },
}

/// Everything that is stored after some commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// The number of the commit.
    pub(crate) commit: u64,
    pub(crate) collections: BTreeMap<String, Rows>,
    /// Which of [`INDEXES`] there are, each with its collection.
    pub(crate) indexes: BTreeSet<(&'static str, usize)>,
    /// The largest text that is written.
    text_bytes: u64,
}

impl State {
    /// The state of a database in which nothing was ever written.
    pub(crate) fn empty(text_bytes: u64) -> Self {
        Self { text_bytes, ..Self::default() }
    }

    /// What the next commit does. The first one sets everything up.
    pub(crate) fn next_ops(&self, seed: u64) -> Vec<Op> {
        let commit = self.commit + 1;
        let mut rng = Rng::for_parts(&[seed, commit]);
        let mut ops = if commit == 1 { set_up() } else { self.draw(&mut rng) };
        ops.push(Op::Append { list: (commit as i64) % LIST_COUNT, value: commit as i64 });
        ops.push(Op::Number { commit: commit as i64 });
        ops
    }

    /// A few steps that can be taken from this state one after the other.
    pub(crate) fn draw(&self, rng: &mut Rng) -> Vec<Op> {
        let mut ops = vec![transfer(rng)];
        for _ in 0..rng.below(3) {
            ops.push(match rng.below(4) {
                0 => transfer(rng),
                1 => Op::Retag { account: any_account(rng), tags: any_tags(rng) },
                2 => self.any_text(BANK, ACCOUNTS, rng),
                _ => self.any_text(LISTS, LIST_COUNT, rng),
            });
        }
        // One at most, so that none pulls the ground from under another.
        if rng.percent(35) {
            ops.push(self.draw_temporary(rng));
        }
        if rng.percent(8) {
            ops.push(self.draw_index(rng));
        }
        ops
    }

    fn any_text(&self, collection: &'static str, count: i64, rng: &mut Rng) -> Op {
        let text = any_text(self.text_bytes, rng);
        Op::Write { collection, id: rng.below(count as u64) as i64, text }
    }

    /// A step about a collection that comes and goes.
    fn draw_temporary(&self, rng: &mut Rng) -> Op {
        let name = format!("{TEMP}{}", rng.below(TEMP_NAMES));
        let Some(rows) = self.collections.get(&name) else {
            let token = rng.below(1 << 40) as i64;
            let row = |id| Row { id, n: token, tags: any_tags(rng), ..Row::default() };
            return Op::Create { rows: (0..4).map(row).collect(), name };
        };
        let id = rng.between(4, 12) as i64;
        match rng.below(10) {
            0 | 1 => Op::Drop { name },
            2 | 3 => {
                let to = format!("{TEMP}{}", rng.below(TEMP_NAMES));
                let to = if self.collections.contains_key(&to) { name.clone() } else { to };
                Op::Rename { from: name, to }
            }
            4 => Op::Shift { name, by: 0x10_0000_0000 * rng.between(1, 3) as i64 },
            5 | 6 if rows.contains_key(&id) => Op::Remove { name, id },
            _ => {
                let (n, tags) = (rng.below(100) as i64, any_tags(rng));
                let row = Row { id, n, tags, text: any_text(self.text_bytes, rng), list: vec![] };
                Op::Upsert { name, row }
            }
        }
    }

    fn draw_index(&self, rng: &mut Rng) -> Op {
        let (collection, index) = (INDEXED[rng.index(INDEXED.len())], rng.index(INDEXES.len()));
        match self.indexes.contains(&(collection, index)) {
            true => Op::Unindex { collection, index },
            false => Op::Index { collection, index },
        }
    }

    pub(crate) fn apply(&mut self, op: &Op) {
        match op {
            Op::Index { collection, index } => {
                self.indexes.insert((collection, *index));
            }
            Op::Unindex { collection, index } => {
                self.indexes.remove(&(*collection, *index));
            }
            Op::Transfer { from, to, amount } => {
                self.row(BANK, *from).n -= amount;
                self.row(BANK, *to).n += amount;
            }
            Op::Append { list, value } => {
                let list = &mut self.row(LISTS, *list).list;
                list.push(*value);
                list.drain(..list.len().saturating_sub(LIST_LEN));
            }
            Op::Retag { account, tags } => self.row(BANK, *account).tags.clone_from(tags),
            Op::Write { collection, id, text } => self.row(collection, *id).text.clone_from(text),
            Op::Number { commit } => {
                self.row(STATE, 0).n = *commit;
                self.commit = *commit as u64;
            }
            _ => self.apply_to_collection(op),
        }
    }

    fn apply_to_collection(&mut self, op: &Op) {
        match op {
            Op::Create { name, rows } => {
                let rows = rows.iter().map(|row| (row.id, row.clone())).collect();
                self.collections.insert(name.clone(), rows);
            }
            Op::Drop { name } => {
                self.collections.remove(name);
            }
            Op::Rename { from, to } => {
                let rows = self.collections.remove(from).expect("it was drawn from the names");
                self.collections.insert(to.clone(), rows);
            }
            Op::Upsert { name, row } => {
                self.rows(name).insert(row.id, row.clone());
            }
            Op::Remove { name, id } => {
                self.rows(name).remove(id);
            }
            Op::Shift { name, by } => self.rows(name).values_mut().for_each(|row| row.n += by),
            _ => unreachable!("no step about a collection: {op:?}"),
        }
    }

    fn rows(&mut self, name: &str) -> &mut Rows {
        self.collections.get_mut(name).expect("steps are about collections that are there")
    }

    fn row(&mut self, collection: &str, id: i64) -> &mut Row {
        self.rows(collection).get_mut(&id).expect("accounts and lists are there for ever")
    }

    /// What tells this state from all others.
    pub(crate) fn digest(&self) -> u64 {
        let mut digest = Digest::default();
        for (name, rows) in &self.collections {
            digest.add_collection(name);
            rows.values().for_each(|row| digest.add_document(name, &row.to_bytes()));
        }
        for (collection, index) in &self.indexes {
            digest.add_index(collection, INDEXES[*index].0);
        }
        digest.0
    }
}

fn set_up() -> Vec<Op> {
    let account = |id| Row { id, n: MONEY_EACH, tags: vec![id % 3], ..Row::default() };
    let row = |id| Row { id, ..Row::default() };
    let create = |name: &str, rows| Op::Create { name: name.to_owned(), rows };
    vec![
        create(BANK, (0..ACCOUNTS).map(account).collect()),
        create(LISTS, (0..LIST_COUNT).map(row).collect()),
        create(STATE, vec![row(0)]),
    ]
}

fn any_account(rng: &mut Rng) -> i64 {
    rng.below(ACCOUNTS as u64) as i64
}

fn transfer(rng: &mut Rng) -> Op {
    let amount = rng.below(50) as i64;
    Op::Transfer { from: any_account(rng), to: any_account(rng), amount }
}

/// None to four, some of them twice.
fn any_tags(rng: &mut Rng) -> Vec<i64> {
    (0..rng.below(5)).map(|_| rng.below(TAGS) as i64).collect()
}

/// Mostly short; half of it compresses.
fn any_text(max_bytes: u64, rng: &mut Rng) -> String {
    let bytes = if rng.percent(80) { rng.below(max_bytes / 16 + 1) } else { rng.below(max_bytes) };
    let letter = |_| char::from(b'a' + rng.below(26) as u8);
    let mut text: String = (0..bytes / 2).map(letter).collect();
    text.push_str(&"-".repeat((bytes / 2) as usize));
    text
}

/// A sum over all that is stored, in whatever order it is met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Digest(u64);

impl Digest {
    fn add_collection(&mut self, name: &str) {
        self.add(name, &[]);
    }

    fn add_index(&mut self, collection: &str, index: &str) {
        self.add(&format!("{collection}/{index}"), &[]);
    }

    fn add_document(&mut self, collection: &str, bytes: &[u8]) {
        self.add(collection, bytes);
    }

    fn add(&mut self, name: &str, bytes: &[u8]) {
        let mut hasher = DefaultHasher::new();
        (name, bytes).hash(&mut hasher);
        self.0 = self.0.wrapping_add(hasher.finish());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use any_store::Database;

    /// The database and the state after `commits` commits, held together after each of them.
    fn grown(commits: u64) -> (Database, State) {
        let db = Database::in_memory().unwrap();
        let mut state = State::empty(300);
        for _ in 0..commits {
            let mut tx = db.begin_write().unwrap();
            for op in state.next_ops(7) {
                op.write(&db, &mut tx).unwrap();
                state.apply(&op);
            }
            assert_eq!(Seen::look(&db, &tx).unwrap().digest, state.digest());
            tx.commit().unwrap();
            let seen = Seen::look(&db, &db.begin_read().unwrap()).unwrap();
            assert_eq!(seen.difference_from(&state), None);
            assert_eq!((seen.digest, seen.commit()), (state.digest(), Some(state.commit)));
        }
        (db, state)
    }

    #[test]
    fn the_engine_and_the_model_go_the_same_way() {
        let (_, state) = grown(400);
        assert_eq!(state.commit, 400);
        assert_eq!(state.collections[BANK].values().map(|row| row.n).sum::<i64>(), MONEY);
    }

    #[test]
    fn every_kind_of_step_is_drawn() {
        let mut kinds = std::collections::BTreeSet::new();
        let mut state = State::empty(100);
        for _ in 0..500 {
            for op in state.next_ops(1) {
                state.apply(&op);
                kinds.insert(format!("{op:?}").split([' ', '{']).next().unwrap().to_owned());
            }
        }
        assert_eq!(kinds.len(), 13, "{kinds:?}");
    }

    #[test]
    fn a_difference_of_one_number_is_noticed() {
        let (db, mut state) = grown(20);
        db.collection::<Document>(BANK).update_id(3, doc! { "$inc": { "n": 1 } }).unwrap();
        let seen = Seen::look(&db, &db.begin_read().unwrap()).unwrap();
        assert_ne!(seen.digest, state.digest());
        assert!(seen.difference_from(&state).unwrap().contains("bank"));
        state.row(BANK, 3).n += 1;
        assert_eq!(seen.digest, state.digest());
        db.drop_collection(LISTS).unwrap();
        let seen = Seen::look(&db, &db.begin_read().unwrap()).unwrap();
        assert!(seen.difference_from(&state).unwrap().contains(LISTS));
    }
}
