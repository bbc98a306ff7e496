//! Collections made, opened, renamed and dropped, and the handles that come of it.

use any_store::{Collection, CollectionOptions, Document, ErrorKind, Value};

use super::{Bound, Player, SLOTS, Wrong};
use crate::model::answer::{Answer, Order, Refusal, agree};
use crate::model::op::{Catalog, Target};
use crate::model::scope::CatalogPlace;
use crate::model::setup;
use crate::model::state::{self, State};

impl Player {
    /// Changes the catalog in both, and compares what came of it.
    pub(super) fn change_catalog<P: CatalogPlace + ?Sized>(
        &mut self,
        place: &mut P,
        working: &mut State,
        catalog: &Catalog,
    ) -> Result<(), Wrong> {
        match catalog {
            Catalog::Create { name, slot, options, or_get } => {
                let given = collection_options(options);
                let got = if *or_get {
                    place.get_or_create(name, given)
                } else {
                    place.create(name, given)
                };
                let expected = self.created(working, name, options, *or_get);
                self.bind(*slot, expected, got)
            }
            Catalog::Open { name, slot } => {
                let there = working.collections.get(name).map(|there| there.identity);
                let expected = there.ok_or_else(|| ErrorKind::CollectionNotFound.into());
                self.bind(*slot, expected, place.open(name))
            }
            Catalog::Rename { from, to } => {
                let Some(handle) = self.handle(from) else { return Ok(()) };
                let got = match from {
                    Target::Named(name) => place.rename_named(name, to),
                    Target::Bound(_) => place.rename_bound(&handle, to),
                };
                let expected = self.resolve(working, from);
                agree_on_nothing(expected.and_then(|name| working.rename(&name, to)), got)
            }
            Catalog::Drop(on) => {
                let Some(handle) = self.handle(on) else { return Ok(()) };
                let got = match on {
                    Target::Named(name) => place.drop_named(name),
                    Target::Bound(_) => place.drop_bound(&handle),
                };
                let expected = self.resolve(working, on);
                agree_on_nothing(expected.and_then(|name| working.drop_collection(&name)), got)
            }
        }
    }

    /// Makes a collection in the model, or finds the one that is there; what it is known by.
    fn created(
        &mut self,
        working: &mut State,
        name: &str,
        options: &Document,
        or_get: bool,
    ) -> Result<u64, Refusal> {
        let there = working.collections.get(name);
        if let Some(there) = there.filter(|_| or_get) {
            let fits = fits(options, there);
            return if fits { Ok(there.identity) } else { Err(ErrorKind::InvalidOptions.into()) };
        }
        self.collections_made += 1;
        let text = |name| options.get(name).and_then(Value::as_str);
        let collection = state::Collection {
            identity: self.collections_made,
            primary_key: text("primary_key").unwrap_or("id").to_owned(),
            auto_id: options.get("auto_id").and_then(Value::as_bool).unwrap_or(false),
            compression: text("compression").map_or(self.setup.compression(), setup::compression),
            documents: Default::default(),
            indexes: Vec::new(),
        };
        working.create(name, collection)?;
        Ok(self.collections_made)
    }

    /// Keeps the handle that came.
    fn bind(
        &mut self,
        slot: usize,
        expected: Result<u64, Refusal>,
        got: any_store::Result<Collection<Document>>,
    ) -> Result<(), Wrong> {
        match (expected, got) {
            (Ok(identity), Ok(handle)) => {
                self.handles[slot % SLOTS] = Some(Bound { handle, identity });
                Ok(())
            }
            (expected, got) => agree_on_nothing(expected.map(drop), got.map(drop)),
        }
    }
}

/// Do both go without an answer, or both refuse?
fn agree_on_nothing(
    expected: Result<(), Refusal>,
    got: any_store::Result<()>,
) -> Result<(), Wrong> {
    let expected = expected.map(|()| (Answer::Nothing, Order::Exact));
    agree(&expected, &got.map(|()| Answer::Nothing))
}

fn collection_options(options: &Document) -> CollectionOptions {
    let mut given = CollectionOptions::new();
    if let Some(field) = options.get("primary_key").and_then(Value::as_str) {
        given = given.primary_key(field);
    }
    if let Some(auto_id) = options.get("auto_id").and_then(Value::as_bool) {
        given = given.auto_id(auto_id);
    }
    if let Some(name) = options.get("compression").and_then(Value::as_str) {
        given = given.compression(setup::compression(name));
    }
    given
}

/// Is a collection as the options say, where they say anything?
fn fits(options: &Document, there: &state::Collection) -> bool {
    options.iter().all(|(name, value)| match name {
        "primary_key" => value.as_str() == Some(there.primary_key.as_str()),
        "auto_id" => value.as_bool() == Some(there.auto_id),
        _ => value.as_str().map(setup::compression) == Some(there.compression),
    })
}
