//! The same statements as the database's own verbs.

use any_store::{
    Collection, Document, Find, IndexSpec, ReadAccess, ReadView, Result, ReturnDocument,
    UpdateResult, Value, WriteAccess, WriteView,
};
use any_store_naive::update::Request;

use super::answer::Answer;
use super::op::{Hint, Query, Read, Write};

/// A place in which statements run: a collection, or its view in a transaction.
pub(crate) trait Place {
    /// Runs a statement.
    fn write(&mut self, write: &Write) -> Result<Answer>;

    /// Answers a question.
    fn read(&mut self, read: &Read) -> Result<Answer>;
}

/// The verbs have the same names and meaning on both types, which have no trait in common.
macro_rules! place {
    ($place:ty) => {
        impl Place for $place {
            fn write(&mut self, write: &Write) -> Result<Answer> {
                match write {
                    Write::Insert(document) => Ok(Answer::Ids(vec![self.insert_one(document)?])),
                    Write::InsertMany(documents) => Ok(Answer::Ids(self.insert_many(documents)?)),
                    Write::Replace(document) => self.replace(document).map(updated),
                    Write::Upsert(document) => self.upsert(document).map(updated),
                    Write::UpdateId { id, request, upsert: false } => {
                        self.update_id(id.clone(), &request.update).map(updated)
                    }
                    Write::UpdateId { id, request, upsert: true } => {
                        self.upsert_id(id.clone(), &request.update).map(updated)
                    }
                    Write::DeleteId(id) => self.delete_id(id.clone()).map(|()| Answer::Nothing),
                    Write::Update { query, .. }
                    | Write::ReplaceOne { query, .. }
                    | Write::Delete { query, .. }
                    | Write::FindAndUpdate { query, .. }
                    | Write::FindAndReplace { query, .. }
                    | Write::FindAndDelete { query } => {
                        let find = self.find(&query.selection.filter);
                        write_selected(built(find, query), write)
                    }
                    Write::DropIndex(name) => self.drop_index(name).map(|()| Answer::Nothing),
                    Write::CreateIndexes { specs, ensure } => {
                        let specs: Vec<IndexSpec> =
                            specs.iter().map(IndexSpec::from_document).collect::<Result<_>>()?;
                        let names = match (specs.as_slice(), ensure) {
                            ([spec], false) => vec![self.create_index(spec.clone())?],
                            ([spec], true) => vec![self.ensure_index(spec.clone())?],
                            (_, false) => self.create_indexes(specs)?,
                            (_, true) => self.ensure_indexes(specs)?,
                        };
                        Ok(Answer::Names(names))
                    }
                }
            }

            fn read(&mut self, read: &Read) -> Result<Answer> {
                match read {
                    Read::Get(id) => Ok(Answer::Document(self.get_raw(id.clone())?)),
                    Read::Stats => Ok(Answer::Count(self.stats()?.documents)),
                    Read::Find(query)
                    | Read::First(query)
                    | Read::Count(query)
                    | Read::Exists(query)
                    | Read::Distinct(query, _) => {
                        let find = self.find(&query.selection.filter);
                        read_selected(built(find, query), read)
                    }
                }
            }
        }
    };
}

place!(Collection<Document>);
place!(WriteView<'_, Document>);

/// Answers a question from a snapshot.
pub(crate) fn read_snapshot(view: &ReadView<'_, Document>, read: &Read) -> Result<Answer> {
    match read {
        Read::Get(id) => Ok(Answer::Document(view.get_raw(id.clone())?)),
        Read::Stats => Ok(Answer::Count(view.stats()?.documents)),
        Read::Find(query)
        | Read::First(query)
        | Read::Count(query)
        | Read::Exists(query)
        | Read::Distinct(query, _) => {
            read_selected(built(view.find(&query.selection.filter), query), read)
        }
    }
}

/// A query with all that was asked for.
pub(crate) fn built<V>(find: Find<Document, V>, query: &Query) -> Find<Document, V> {
    let selection = &query.selection;
    let mut find = find.skip(selection.skip as u64).limit(selection.limit as u64);
    if !selection.sort.is_empty() {
        let direction = |descending: bool| if descending { -1 } else { 1 };
        let fields = selection.sort.iter().map(|(path, down)| (path.clone(), direction(*down)));
        find = find.sort(fields.collect::<Document>());
    }
    if let Some(project) = &query.project {
        find = find.project(project);
    }
    if let Hint::Named(name) = &query.hint {
        find = find.hint(name);
    }
    find
}

fn read_selected<'t, V: ReadAccess<'t>>(find: Find<Document, V>, read: &Read) -> Result<Answer> {
    match read {
        Read::Find(_) => {
            let mut cursor = find.run()?;
            let mut documents = Vec::new();
            while let Some(document) = cursor.next_raw()? {
                documents.push(document.to_owned());
            }
            Ok(Answer::Documents(documents))
        }
        Read::First(_) => {
            let first = find.first()?;
            Ok(Answer::Documents(first.iter().map(encode).collect()))
        }
        Read::Count(_) => find.count().map(Answer::Count),
        Read::Exists(_) => find.exists().map(Answer::Flag),
        Read::Distinct(_, path) => find.distinct(path).map(Answer::Values),
        Read::Get(_) | Read::Stats => unreachable!("these ask for no selection"),
    }
}

fn write_selected<V: WriteAccess>(find: Find<Document, V>, write: &Write) -> Result<Answer> {
    match write {
        Write::Update { request, upsert, many, .. } => {
            let find = with_filters(find, request).upsert(*upsert);
            let update = &request.update;
            let result = if *many { find.update(update) } else { find.update_one(update) };
            result.map(updated)
        }
        Write::ReplaceOne { document, upsert, .. } => {
            find.upsert(*upsert).replace_one(document).map(updated)
        }
        Write::Delete { many, .. } => {
            let result = if *many { find.delete() } else { find.delete_one() };
            Ok(Answer::Deleted(result?.deleted))
        }
        Write::FindAndUpdate { request, upsert, after, .. } => {
            let find = with_filters(find, request).upsert(*upsert);
            let found = find.return_document(image(*after)).find_one_and_update(&request.update)?;
            Ok(Answer::Document(found.as_ref().map(encode)))
        }
        Write::FindAndReplace { document, upsert, after, .. } => {
            let find = find.upsert(*upsert).return_document(image(*after));
            let found = find.find_one_and_replace(document)?;
            Ok(Answer::Document(found.as_ref().map(encode)))
        }
        Write::FindAndDelete { .. } => {
            Ok(Answer::Document(find.find_one_and_delete()?.as_ref().map(encode)))
        }
        _ => unreachable!("these select nothing"),
    }
}

fn with_filters<V>(find: Find<Document, V>, request: &Request) -> Find<Document, V> {
    if request.array_filters.is_empty() {
        return find;
    }
    let filters: Vec<Document> =
        request.array_filters.iter().map(|(_, filter)| filter.clone()).collect();
    find.array_filters(filters)
}

fn image(after: bool) -> ReturnDocument {
    if after { ReturnDocument::After } else { ReturnDocument::Before }
}

fn updated(result: UpdateResult) -> Answer {
    let UpdateResult { matched, modified, upserted, .. } = result;
    Answer::Updated { matched, modified, upserted }
}

fn encode(document: &Document) -> any_store::RawDocumentBuf {
    any_store::RawDocumentBuf::from_document(document).expect("it was stored")
}

/// The ids that a statement's answer tells of, for documents that had none.
pub(crate) fn given_ids(write: &Write, answer: &Answer, primary_key: &str) -> Vec<Value> {
    let has_id = |document: &Document| document.contains_key(primary_key);
    match (write, answer) {
        (Write::Insert(document), Answer::Ids(ids)) if !has_id(document) => ids.clone(),
        (Write::InsertMany(documents), Answer::Ids(ids)) => {
            let pairs = documents.iter().zip(ids);
            pairs.filter(|(document, _)| !has_id(document)).map(|(_, id)| id.clone()).collect()
        }
        (_, Answer::Updated { upserted: Some(id), .. }) => vec![id.clone()],
        (_, Answer::Document(Some(document))) => {
            let document = document.to_document().ok();
            document.and_then(|document| document.get(primary_key).cloned()).into_iter().collect()
        }
        _ => Vec::new(),
    }
}
