//! The steps of a commit as the database takes them.

use any_store::{
    Collection, CollectionOptions, Database, Document, IndexSpec, Result, Savepoint, Value,
    WriteTx, WriteView, doc,
};

use super::{BANK, INDEXES, LIST_LEN, LISTS, Op, STATE};

/// Where steps are taken: in a transaction or in a savepoint of one.
pub(crate) trait Place {
    fn at(&mut self, collection: &Collection) -> WriteView<'_>;
    fn create(&mut self, name: &str) -> Result<Collection>;
    fn drop_named(&mut self, name: &str) -> Result<()>;
    fn rename(&mut self, from: &str, to: &str) -> Result<()>;
}

impl Place for WriteTx {
    fn at(&mut self, collection: &Collection) -> WriteView<'_> {
        self.collection(collection)
    }

    fn create(&mut self, name: &str) -> Result<Collection> {
        self.create_collection(name, CollectionOptions::new())
    }

    fn drop_named(&mut self, name: &str) -> Result<()> {
        self.drop_collection(name)
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<()> {
        self.rename_collection(from, to)
    }
}

impl Place for Savepoint<'_> {
    fn at(&mut self, collection: &Collection) -> WriteView<'_> {
        self.collection(collection)
    }

    fn create(&mut self, name: &str) -> Result<Collection> {
        self.create_collection(name, CollectionOptions::new())
    }

    fn drop_named(&mut self, name: &str) -> Result<()> {
        self.drop_collection(name)
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<()> {
        self.rename_collection(from, to)
    }
}

impl Op {
    /// Takes the step.
    pub(crate) fn write(&self, db: &Database, place: &mut impl Place) -> Result<()> {
        let mut update = |name: &str, id: i64, change: Document| {
            place.at(&db.collection(name)).update_id(id, change).map(|_| ())
        };
        match self {
            Self::Transfer { from, to, amount } => {
                update(BANK, *from, doc! { "$inc": { "n": (-amount) } })?;
                update(BANK, *to, doc! { "$inc": { "n": (*amount) } })
            }
            Self::Append { list, value } => {
                let slice = -(LIST_LEN as i64);
                let push = doc! { "$each": [(*value)], "$slice": slice };
                update(LISTS, *list, doc! { "$push": { "list": push } })
            }
            Self::Retag { account, tags } => {
                let tags: Vec<Value> = tags.iter().map(|tag| Value::from(*tag)).collect();
                update(BANK, *account, doc! { "$set": { "tags": tags } })
            }
            Self::Write { collection, id, text } => {
                update(collection, *id, doc! { "$set": { "text": (text.as_str()) } })
            }
            Self::Number { commit } => update(STATE, 0, doc! { "$set": { "n": (*commit) } }),
            _ => self.write_to_collection(db, place),
        }
    }

    fn write_to_collection(&self, db: &Database, place: &mut impl Place) -> Result<()> {
        match self {
            Self::Create { name, rows } => {
                let collection = place.create(name)?;
                let documents: Vec<Document> = rows.iter().map(|row| row.to_document()).collect();
                place.at(&collection).insert_many(documents).map(|_| ())
            }
            Self::Drop { name } => place.drop_named(name),
            Self::Rename { from, to } => place.rename(from, to),
            Self::Upsert { name, row } => {
                place.at(&db.collection(name)).upsert(&row.to_document()).map(|_| ())
            }
            Self::Remove { name, id } => place.at(&db.collection(name)).delete_id(*id),
            Self::Shift { name, by } => {
                let change = doc! { "$inc": { "n": (*by) } };
                place.at(&db.collection(name)).update_many((), change).map(|_| ())
            }
            Self::Index { collection, index } => {
                let (name, fields) = INDEXES[*index];
                let spec = IndexSpec::new(fields.to_vec()).name(name);
                place.at(&db.collection(collection)).create_index(spec).map(|_| ())
            }
            Self::Unindex { collection, index } => {
                place.at(&db.collection(collection)).drop_index(INDEXES[*index].0)
            }
            _ => unreachable!("no step about a collection: {self:?}"),
        }
    }
}
