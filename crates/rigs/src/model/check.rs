//! The whole database against a state of the model.

use std::rc::Rc;

use any_store::{Collection, Database, Document, ReadTx, ReadView};

use super::state::{self, State, Stored};

/// Is the snapshot this state, document by document, read from either end? If not, where it differs.
pub(crate) fn is_state(
    database: &Database,
    snapshot: &ReadTx,
    state: &State,
) -> Result<(), String> {
    let infos = snapshot.collection_infos().map_err(|error| format!("the catalog: {error:?}"))?;
    let got = infos.iter().map(|info| {
        (info.name.as_str(), info.primary_key.as_str(), info.auto_id, info.compression)
    });
    let wanted = state.collections.iter().map(|(name, collection)| {
        let state::Collection { primary_key, auto_id, compression, .. } = &**collection;
        (name.as_str(), primary_key.as_str(), *auto_id, *compression)
    });
    if !got.clone().eq(wanted.clone()) {
        let (got, wanted): (Vec<_>, Vec<_>) = (got.collect(), wanted.collect());
        return Err(format!("the collections are {got:?}, where the model has {wanted:?}"));
    }
    for (name, collection) in &state.collections {
        let handle = database.collection::<Document>(name);
        has_documents(snapshot, &handle, collection).map_err(|what| format!("{name:?}: {what}"))?;
    }
    Ok(())
}

fn has_documents(
    snapshot: &ReadTx,
    handle: &Collection<Document>,
    wanted: &state::Collection,
) -> Result<(), String> {
    let view = snapshot.collection(handle);
    let failed = |error: any_store::Error| format!("{error:?}");
    let forward = wanted.documents.values();
    same_documents(view.find(()).run().map_err(failed)?, forward.clone(), "forward")?;
    let descending = format!("-{}", wanted.primary_key);
    let backward = view.find(()).sort(descending.as_str()).run().map_err(failed)?;
    same_documents(backward, forward.rev(), "backward")?;
    let count = view.count().map_err(failed)?;
    let stats = view.stats().map_err(failed)?.documents;
    if (count, stats) != (wanted.documents.len() as u64, wanted.documents.len() as u64) {
        let wanted = wanted.documents.len();
        return Err(format!("{count} documents counted, {stats} by the statistics, not {wanted}"));
    }
    has_indexes(&view, wanted)
}

fn has_indexes(view: &ReadView<'_, Document>, wanted: &state::Collection) -> Result<(), String> {
    let infos = view.indexes().map_err(|error| format!("the indexes: {error:?}"))?;
    let got: Vec<(&str, u64, bool, bool)> = infos
        .iter()
        .map(|info| (info.name.as_str(), info.entries, info.spec.unique, info.spec.sparse))
        .collect();
    let wanted: Vec<(&str, u64, bool, bool)> = wanted
        .indexes
        .iter()
        .map(|(name, index)| (name.as_str(), wanted.entry_count(index), index.unique, index.sparse))
        .collect();
    if got == wanted {
        return Ok(());
    }
    Err(format!(
        "the indexes (name, entries, unique, sparse) are {got:?}, where the model has {wanted:?}"
    ))
}

fn same_documents<'s>(
    mut got: any_store::Cursor<'_, Document>,
    wanted: impl Iterator<Item = &'s Rc<Stored>>,
    way: &str,
) -> Result<(), String> {
    let failed = |error: any_store::Error| format!("read {way}: {error:?}");
    for stored in wanted {
        match got.next_raw().map_err(failed)? {
            Some(got) if got.as_bytes() == stored.bytes.as_bytes() => {}
            Some(got) => {
                let got = got.to_document().map_err(|error| error.to_string())?;
                return Err(format!("read {way}, {got} where the model has {}", stored.document));
            }
            None => return Err(format!("read {way}, {} is not there", stored.document)),
        }
    }
    match got.next_raw().map_err(failed)? {
        None => Ok(()),
        Some(more) => Err(format!("read {way}, there is {more:?} and should not be")),
    }
}

/// Is every document that differs between two states as the second one has it?
pub(crate) fn has_changes(
    database: &Database,
    before: &State,
    after: &State,
) -> Result<u64, String> {
    let mut compared = 0;
    for (name, collection) in &after.collections {
        let old = before.collections.get(name);
        if old.is_some_and(|old| Rc::ptr_eq(old, collection)) {
            continue;
        }
        let handle = database.collection::<Document>(name);
        let old = old.map(|old| &old.documents);
        let ids = collection.documents.keys().chain(old.into_iter().flat_map(|old| old.keys()));
        for id in ids {
            let stored = collection.documents.get(id);
            let old_stored = old.and_then(|old| old.get(id));
            if stored.map(Rc::as_ptr) == old_stored.map(Rc::as_ptr) {
                continue;
            }
            let got = handle.get_raw(id.0.clone()).map_err(|error| format!("{error:?}"))?;
            let wanted = stored.map(|stored| &stored.bytes);
            if got.as_ref().map(|got| got.as_bytes()) != wanted.map(|wanted| wanted.as_bytes()) {
                return Err(format!("{name:?} has {got:?} where the model has {wanted:?}"));
            }
            compared += 1;
        }
    }
    Ok(compared)
}

/// Does the database find nothing wrong with itself?
pub(crate) fn is_sound(database: &Database) -> Result<(), String> {
    let report = database.integrity_check().map_err(|error| format!("the check: {error:?}"))?;
    if report.is_ok() { Ok(()) } else { Err(format!("the check found {report:?}")) }
}
