//! The reference: collections as ordered maps, each statement in the slow, obvious way.
//!
//! A state is cheap to keep: collections and documents are shared until one of them changes. So a
//! transaction is a copy that is kept or thrown away, a savepoint is another, and every committed
//! state can be remembered.

use std::collections::BTreeMap;
use std::rc::Rc;

use any_store::{Compression, Document, ErrorKind, ObjectId, RawDocumentBuf, Value};
use any_store_naive::index::Index;
use any_store_naive::order::{Ordered, equal, identical_documents};
use any_store_naive::projection;
use any_store_naive::select::{self, Selection};
use any_store_naive::update::{self, Request};

use super::answer::{Answer, Expected, Order, Refusal};
use super::op::{Hint, Query, Read, Write};

/// All collections.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) collections: BTreeMap<String, Rc<Collection>>,
}

/// A collection.
#[derive(Clone, Debug)]
pub(crate) struct Collection {
    /// Another for each collection that was ever made; what a bound handle means.
    pub(crate) identity: u64,
    pub(crate) primary_key: String,
    pub(crate) auto_id: bool,
    pub(crate) compression: Compression,
    pub(crate) documents: BTreeMap<Ordered, Rc<Stored>>,
    /// By name, in the order in which they were made.
    pub(crate) indexes: Vec<(String, Index)>,
}

/// A document, and the bytes that reading it must give.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) document: Document,
    pub(crate) bytes: RawDocumentBuf,
}

type Statement<T = Answer> = Result<T, Refusal>;

/// The kinds of errors by which an update can be refused at a document.
const NOT_APPLICABLE: [ErrorKind; 4] =
    [ErrorKind::Apply, ErrorKind::Conflict, ErrorKind::Overflow, ErrorKind::PrimaryKeyModification];

impl State {
    /// Changes documents of a collection, or leaves everything as it is. `given` are the ids that the
    /// database made up, in the order of the documents that had none.
    pub(crate) fn write(&mut self, name: &str, write: &Write, given: &[Value]) -> Statement {
        let shared = self.collections.get_mut(name).ok_or(ErrorKind::CollectionNotFound)?;
        let mut changed = Changing { shared, given: given.iter() };
        let before = Rc::clone(changed.shared);
        let answer = changed.write(write);
        if answer.is_err() {
            self.collections.insert(name.to_owned(), before);
        }
        answer
    }

    /// Answers a question.
    pub(crate) fn read(&self, name: &str, read: &Read) -> Expected {
        self.collections.get(name).ok_or(ErrorKind::CollectionNotFound)?.read(read)
    }

    /// The name of the collection that a bound handle means.
    pub(crate) fn name_of(&self, identity: u64) -> Option<&str> {
        let mut collections = self.collections.iter();
        let found = collections.find(|(_, collection)| collection.identity == identity);
        found.map(|(name, _)| name.as_str())
    }

    /// Makes a collection.
    pub(crate) fn create(&mut self, name: &str, collection: Collection) -> Statement<()> {
        if name.is_empty() || name.len() > 255 {
            return Err(ErrorKind::InvalidName.into());
        }
        if self.collections.contains_key(name) {
            return Err(ErrorKind::CollectionExists.into());
        }
        self.collections.insert(name.to_owned(), Rc::new(collection));
        Ok(())
    }

    /// Gives a collection another name.
    pub(crate) fn rename(&mut self, from: &str, to: &str) -> Statement<()> {
        if !self.collections.contains_key(from) {
            return Err(ErrorKind::CollectionNotFound.into());
        }
        if to.is_empty() || to.len() > 255 {
            return Err(ErrorKind::InvalidName.into());
        }
        if from == to {
            return Ok(());
        }
        if self.collections.contains_key(to) {
            return Err(ErrorKind::CollectionExists.into());
        }
        if let Some(collection) = self.collections.remove(from) {
            self.collections.insert(to.to_owned(), collection);
        }
        Ok(())
    }

    /// Removes a collection.
    pub(crate) fn drop_collection(&mut self, name: &str) -> Statement<()> {
        let dropped = self.collections.remove(name);
        dropped.map(drop).ok_or_else(|| ErrorKind::CollectionNotFound.into())
    }

    /// Is this the very same state, not one that looks the same?
    pub(crate) fn is_unchanged_from(&self, before: &Self) -> bool {
        self.collections.len() == before.collections.len()
            && self.collections.iter().zip(&before.collections).all(
                |((name, collection), (other_name, other))| {
                    name == other_name && Rc::ptr_eq(collection, other)
                },
            )
    }
}

impl Collection {
    /// The name of the index that a hint means.
    pub(crate) fn hinted(&self, hint: &Hint) -> Hint {
        match hint {
            Hint::Place(place) if !self.indexes.is_empty() => {
                Hint::Named(self.indexes[place % self.indexes.len()].0.clone())
            }
            Hint::Place(_) => Hint::None,
            hint => hint.clone(),
        }
    }

    /// May the index lack documents that a query means?
    pub(crate) fn may_lack(&self, hint: &Hint) -> bool {
        let Hint::Named(hint) = hint else { return false };
        let found = self.indexes.iter().find(|(name, _)| name == hint);
        found.is_some_and(|(_, index)| index.sparse || index.partial.is_some())
    }

    /// How many entries an index has.
    pub(crate) fn entry_count(&self, index: &Index) -> u64 {
        let keys = |stored: &Rc<Stored>| index.keys(&stored.document).map_or(0, |keys| keys.len());
        self.documents.values().map(|stored| keys(stored) as u64).sum()
    }

    fn read(&self, read: &Read) -> Expected {
        let exact = |answer| Ok((answer, Order::Exact));
        match read {
            Read::Get(id) => {
                let found = self.documents.get(&Ordered(id.clone()));
                exact(Answer::Document(found.map(|stored| stored.bytes.clone())))
            }
            Read::Find(query) => self.find(query),
            Read::First(query) => {
                let (answer, order) = self.find(&limited_to_one(query))?;
                Ok((answer, order))
            }
            Read::Count(query) => exact(Answer::Count(self.select(&query.selection)?.len() as u64)),
            Read::Exists(query) => {
                exact(Answer::Flag(!self.select(&limited_to_one(query).selection)?.is_empty()))
            }
            Read::Distinct(query, path) => {
                let found = self.select(&query.selection)?;
                exact(Answer::Values(select::distinct(found, path)))
            }
            Read::Stats => exact(Answer::Count(self.documents.len() as u64)),
        }
    }

    fn find(&self, query: &Query) -> Expected {
        let selection = &query.selection;
        let is_open = selection.sort.is_empty() && !self.indexes.is_empty();
        let is_cut = selection.skip > 0 || selection.limit > 0;
        let chosen = self.select(selection)?;
        let order = match (is_open, is_cut) {
            (false, _) => Order::Exact,
            (true, false) => Order::Any,
            (true, true) => Order::AnyOf(chosen.len()),
        };
        let shown = match order {
            Order::AnyOf(_) => {
                let uncut = Selection { skip: 0, limit: 0, ..selection.clone() };
                self.select(&uncut)?
            }
            _ => chosen,
        };
        let shown = shown.into_iter().map(|document| self.shown(document, query)).collect();
        Ok((Answer::Documents(shown), order))
    }

    fn select(&self, selection: &Selection) -> Statement<Vec<&Document>> {
        let documents = self.documents.values().map(|stored| &stored.document);
        select::select(documents, selection, &self.primary_key)
            .map_err(|_| ErrorKind::ParallelArrays.into())
    }

    /// The document as the query shows it.
    fn shown(&self, document: &Document, query: &Query) -> RawDocumentBuf {
        match &query.project {
            Some(project) => encode(&projection::project(project, document, &self.primary_key)),
            None => encode(document),
        }
    }

    fn ids(&self, selection: &Selection) -> Statement<Vec<Value>> {
        let chosen = self.select(selection)?;
        Ok(chosen
            .into_iter()
            .filter_map(|document| document.get(&self.primary_key).cloned())
            .collect())
    }

    /// Why the indexes refuse a document in the place of the one with this id.
    fn index_refusals(&self, document: &Document, id: &Value) -> Vec<ErrorKind> {
        let mut refusals = Vec::new();
        for (_, index) in &self.indexes {
            match index.keys(document) {
                Err(_) => refusals.push(ErrorKind::ParallelArrays),
                Ok(_) if index.unique => {
                    let mut others =
                        self.documents.iter().filter(|(other, _)| !equal(&other.0, id));
                    let is_shared = |stored: &Stored| index.share_key(document, &stored.document);
                    if others.any(|(_, stored)| is_shared(stored).unwrap_or(false)) {
                        refusals.push(ErrorKind::UniqueViolation);
                    }
                }
                Ok(_) => {}
            }
        }
        refusals
    }
}

fn limited_to_one(query: &Query) -> Query {
    let mut query = query.clone();
    query.selection.limit = 1;
    query
}

/// A collection in the hands of a statement.
struct Changing<'s> {
    shared: &'s mut Rc<Collection>,
    given: std::slice::Iter<'s, Value>,
}

/// What happened to one document.
#[derive(Default)]
struct Touched {
    before: Option<Document>,
    after: Option<Document>,
    modified: bool,
    upserted: Option<Value>,
}

impl Touched {
    fn answer(self) -> Answer {
        Answer::Updated {
            matched: u64::from(self.before.is_some()),
            modified: u64::from(self.modified),
            upserted: self.upserted,
        }
    }
}

impl Changing<'_> {
    fn write(&mut self, write: &Write) -> Statement {
        match write {
            Write::Insert(document) => Ok(Answer::Ids(vec![self.insert(document.clone())?])),
            Write::InsertMany(documents) => {
                let inserted = documents.iter().map(|document| self.insert(document.clone()));
                Ok(Answer::Ids(inserted.collect::<Statement<_>>()?))
            }
            Write::Replace(document) => {
                let id = self.own_id(document)?.ok_or(ErrorKind::MissingId)?;
                let before = self.document(&id).ok_or(ErrorKind::NotFound)?;
                Ok(self.put(Some(before), document.clone(), &id)?.answer())
            }
            Write::Upsert(document) => self.upsert(document),
            Write::UpdateId { id, request, upsert } => self.update_id(id, request, *upsert),
            Write::DeleteId(id) => {
                self.remove(id).ok_or(ErrorKind::NotFound)?;
                Ok(Answer::Nothing)
            }
            Write::Update { query, request, upsert, many } => {
                let query = if *many { query.clone() } else { limited_to_one(query) };
                self.update(&query, request, *upsert)
            }
            Write::ReplaceOne { query, document, upsert } => {
                Ok(self.replace_one(query, document, *upsert)?.answer())
            }
            Write::Delete { query, many } => {
                let query = if *many { query.clone() } else { limited_to_one(query) };
                let ids = self.shared.ids(&query.selection)?;
                ids.iter().for_each(|id| drop(self.remove(id)));
                Ok(Answer::Deleted(ids.len() as u64))
            }
            Write::FindAndUpdate { query, request, upsert, after } => {
                let touched = self.update_first(query, request, *upsert)?;
                Ok(self.image(touched, *after, query))
            }
            Write::FindAndReplace { query, document, upsert, after } => {
                let touched = self.replace_one(query, document, *upsert)?;
                Ok(self.image(touched, *after, query))
            }
            Write::FindAndDelete { query } => {
                let id = self.first_id(query)?;
                let before = id.and_then(|id| self.remove(&id));
                Ok(self.image(Touched { before, ..Touched::default() }, false, query))
            }
            Write::CreateIndexes { specs, ensure } => self.create_indexes(specs, *ensure),
            Write::DropIndex(name) => self.drop_index(name),
        }
    }

    /// Makes indexes, all or none.
    fn create_indexes(&mut self, specs: &[Document], ensure: bool) -> Statement {
        let mut names = Vec::new();
        let mut wanted: Vec<(String, Index)> = Vec::new();
        for spec in specs {
            let (name, index) = index_of(spec);
            let known = self.shared.indexes.iter().chain(&wanted).find(|(known, _)| *known == name);
            match known.map(|(_, known)| is_same_index(known, &index)) {
                None => wanted.push((name.clone(), index)),
                Some(true) if ensure => {}
                Some(true) => return Err(ErrorKind::IndexExists.into()),
                Some(false) => return Err(ErrorKind::IndexMismatch.into()),
            }
            names.push(name);
        }
        let refusals: Vec<ErrorKind> =
            wanted.iter().flat_map(|(_, index)| self.build_refusals(index)).collect();
        if !refusals.is_empty() {
            return Err(Refusal(refusals));
        }
        if !wanted.is_empty() {
            Rc::make_mut(self.shared).indexes.extend(wanted);
        }
        Ok(Answer::Names(names))
    }

    /// Why the documents do not allow an index.
    fn build_refusals(&self, index: &Index) -> Vec<ErrorKind> {
        let mut refusals = Vec::new();
        let documents: Vec<&Document> =
            self.shared.documents.values().map(|stored| &stored.document).collect();
        if documents.iter().any(|document| index.keys(document).is_err()) {
            refusals.push(ErrorKind::ParallelArrays);
        }
        let is_shared = |(place, document): (usize, &&Document)| {
            let mut others = documents[..place].iter();
            others.any(|other| index.share_key(document, other).unwrap_or(false))
        };
        if index.unique && documents.iter().enumerate().any(is_shared) {
            refusals.push(ErrorKind::UniqueViolation);
        }
        refusals
    }

    fn drop_index(&mut self, name: &str) -> Statement {
        let place = self.shared.indexes.iter().position(|(known, _)| known == name);
        let place = place.ok_or(ErrorKind::IndexNotFound)?;
        Rc::make_mut(self.shared).indexes.remove(place);
        Ok(Answer::Nothing)
    }

    fn image(&self, touched: Touched, after: bool, query: &Query) -> Answer {
        let image = if after { touched.after } else { touched.before };
        Answer::Document(image.map(|document| self.shared.shown(&document, query)))
    }

    fn first_id(&self, query: &Query) -> Statement<Option<Value>> {
        Ok(self.shared.ids(&limited_to_one(query).selection)?.into_iter().next())
    }

    fn document(&self, id: &Value) -> Option<Document> {
        let stored = self.shared.documents.get(&Ordered(id.clone()))?;
        Some(stored.document.clone())
    }

    /// The id that a document has, if it may be one.
    fn own_id(&self, document: &Document) -> Statement<Option<Value>> {
        match document.get(&self.shared.primary_key) {
            Some(Value::Array(_) | Value::Regex(_) | Value::Vector(_)) => {
                Err(ErrorKind::InvalidId.into())
            }
            id => Ok(id.cloned()),
        }
    }

    fn insert(&mut self, document: Document) -> Statement<Value> {
        let (document, id) = match self.own_id(&document)? {
            Some(id) => (document, id),
            None if self.shared.auto_id => {
                // A database that refuses the statement has told of no id: any new one will do.
                let made_up = || ObjectId::new().into();
                let id = self.given.next().cloned().unwrap_or_else(made_up);
                (self.with_id_first(&document, &id), id)
            }
            None => return Err(ErrorKind::MissingId.into()),
        };
        let mut refusals = self.shared.index_refusals(&document, &id);
        if self.document(&id).is_some() {
            refusals.push(ErrorKind::DocumentExists);
        }
        if !refusals.is_empty() {
            return Err(Refusal(refusals));
        }
        self.store(&id, document);
        Ok(id)
    }

    fn with_id_first(&self, document: &Document, id: &Value) -> Document {
        let mut whole = Document::from([(self.shared.primary_key.clone(), id.clone())]);
        whole.extend(document.clone());
        whole
    }

    /// Puts a document in the place of the one that has its id.
    fn put(&mut self, before: Option<Document>, after: Document, id: &Value) -> Statement<Touched> {
        let modified = before.as_ref().is_none_or(|before| !identical_documents(before, &after));
        if modified {
            let refusals = self.shared.index_refusals(&after, id);
            if !refusals.is_empty() {
                return Err(Refusal(refusals));
            }
            self.store(id, after.clone());
        }
        Ok(Touched { before, after: Some(after), modified, upserted: None })
    }

    fn store(&mut self, id: &Value, document: Document) {
        let bytes = encode(&document);
        let stored = Rc::new(Stored { document, bytes });
        Rc::make_mut(self.shared).documents.insert(Ordered(id.clone()), stored);
    }

    fn remove(&mut self, id: &Value) -> Option<Document> {
        let id = Ordered(id.clone());
        if !self.shared.documents.contains_key(&id) {
            return None;
        }
        let removed = Rc::make_mut(self.shared).documents.remove(&id)?;
        Some(removed.document.clone())
    }

    fn upsert(&mut self, document: &Document) -> Statement {
        if let Some(id) = self.own_id(document)?
            && let Some(before) = self.document(&id)
        {
            return Ok(self.put(Some(before), document.clone(), &id)?.answer());
        }
        Ok(self.inserted(document.clone())?.answer())
    }

    fn inserted(&mut self, document: Document) -> Statement<Touched> {
        let id = self.insert(document)?;
        let after = self.document(&id);
        Ok(Touched { after, upserted: Some(id), ..Touched::default() })
    }

    fn update_id(&mut self, id: &Value, request: &Request, upsert: bool) -> Statement {
        check_readable(request)?;
        if upsert {
            self.own_id(&Document::from([(self.shared.primary_key.clone(), id.clone())]))?;
        }
        match self.document(id) {
            Some(before) => {
                let after = self.apply(request, &before, update::apply)?;
                Ok(self.put(Some(before), after, id)?.answer())
            }
            None if upsert => {
                let seed = self.with_id_first(&Document::new(), id);
                let document = self.apply(request, &seed, update::apply_to_new)?;
                let mut touched = self.inserted(document)?;
                touched.upserted = Some(id.clone());
                Ok(touched.answer())
            }
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn update(&mut self, query: &Query, request: &Request, upsert: bool) -> Statement {
        check_readable(request)?;
        let ids = self.shared.ids(&query.selection)?;
        if ids.is_empty() && upsert {
            return Ok(self.insert_for(query, request)?.answer());
        }
        let mut modified = 0;
        for id in &ids {
            let changed = self.document(id).map_or(Err(ErrorKind::NotFound.into()), |before| {
                let after = self.apply(request, &before, update::apply)?;
                self.put(Some(before), after, id)
            });
            match changed {
                Ok(touched) => modified += u64::from(touched.modified),
                Err(refusal) => return Err(if ids.len() == 1 { refusal } else { any_refusal() }),
            }
        }
        Ok(Answer::Updated { matched: ids.len() as u64, modified, upserted: None })
    }

    fn update_first(
        &mut self,
        query: &Query,
        request: &Request,
        upsert: bool,
    ) -> Statement<Touched> {
        check_readable(request)?;
        let first = self.first_id(query)?;
        match first.and_then(|id| Some((self.document(&id)?, id))) {
            Some((before, id)) => {
                let after = self.apply(request, &before, update::apply)?;
                self.put(Some(before), after, &id)
            }
            None if upsert => self.insert_for(query, request),
            None => Ok(Touched::default()),
        }
    }

    /// Inserts what an update makes of the fields that the filter fixes.
    fn insert_for(&mut self, query: &Query, request: &Request) -> Statement<Touched> {
        let seed = update::upsert_seed(&query.selection.filter).map_err(|_| not_applicable())?;
        let request = Request { filter: None, ..request.clone() };
        let document = self.apply(&request, &seed, update::apply_to_new)?;
        self.inserted(document)
    }

    fn replace_one(
        &mut self,
        query: &Query,
        document: &Document,
        upsert: bool,
    ) -> Statement<Touched> {
        let first = self.first_id(query)?;
        match first.and_then(|id| Some((self.document(&id)?, id))) {
            Some((before, id)) => {
                let after = self.with_this_id(document, &id)?;
                self.put(Some(before), after, &id)
            }
            None if upsert => {
                let filter = &query.selection.filter;
                let seed = update::upsert_seed(filter).map_err(|_| not_applicable())?;
                let document = match self.own_id(&seed)? {
                    Some(id) => self.with_this_id(document, &id)?,
                    None => document.clone(),
                };
                self.inserted(document)
            }
            None => Ok(Touched::default()),
        }
    }

    /// A replacement with the id of what it replaces.
    fn with_this_id(&self, document: &Document, id: &Value) -> Statement<Document> {
        match self.own_id(document)? {
            Some(own) if equal(&own, id) => Ok(document.clone()),
            Some(_) => Err(ErrorKind::PrimaryKeyModification.into()),
            None => Ok(self.with_id_first(document, id)),
        }
    }

    /// The document after an update, with the id that it had.
    fn apply(
        &self,
        request: &Request,
        before: &Document,
        apply: fn(&Request, &Document) -> Result<Document, update::Refusal>,
    ) -> Statement<Document> {
        let after = apply(request, before).map_err(|_| not_applicable())?;
        let primary_key = &self.shared.primary_key;
        let keeps_id = match (before.get(primary_key), after.get(primary_key)) {
            (Some(before), Some(after)) => equal(before, after),
            (Some(_), None) => false,
            (None, _) => true,
        };
        if keeps_id { Ok(after) } else { Err(not_applicable()) }
    }
}

/// The index that a definition means, and its name.
fn index_of(spec: &Document) -> (String, Index) {
    let fields: Vec<&str> = spec
        .get("fields")
        .and_then(Value::as_array)
        .map_or(Vec::new(), |fields| fields.iter().filter_map(Value::as_str).collect());
    let flag = |name| spec.get(name).and_then(Value::as_bool).unwrap_or(false);
    let name = spec.get("name").and_then(Value::as_str).map_or(fields.join(","), str::to_owned);
    let field = |field: &&str| match field.strip_prefix('-') {
        Some(path) => (path.to_owned(), true),
        None => ((*field).to_owned(), false),
    };
    let index = Index {
        fields: fields.iter().map(field).collect(),
        unique: flag("unique"),
        sparse: flag("sparse"),
        partial: spec.get("partial").and_then(Value::as_document).cloned(),
    };
    (name, index)
}

fn is_same_index(one: &Index, other: &Index) -> bool {
    let partials_alike = match (&one.partial, &other.partial) {
        (Some(one), Some(other)) => identical_documents(one, other),
        (one, other) => one.is_none() && other.is_none(),
    };
    partials_alike
        && one.fields == other.fields
        && (one.unique, one.sparse) == (other.unique, other.sparse)
}

/// An update of which two changes collide is refused before it meets a document.
fn check_readable(request: &Request) -> Statement<()> {
    if update::collides(&request.update) {
        return Err(Refusal(vec![ErrorKind::Conflict, ErrorKind::Parse]));
    }
    Ok(())
}

fn not_applicable() -> Refusal {
    Refusal(NOT_APPLICABLE.to_vec())
}

/// Several documents can be refused for several reasons; which comes first is the plan's choice.
fn any_refusal() -> Refusal {
    let of_indexes = [ErrorKind::UniqueViolation, ErrorKind::ParallelArrays];
    Refusal(NOT_APPLICABLE.into_iter().chain(of_indexes).collect())
}

fn encode(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::from_document(document).expect("documents of histories are small and flat")
}
