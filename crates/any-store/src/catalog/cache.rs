//! What the newest catalog version seen so far says, as far as somebody asked.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::{CollectionId, CollectionMeta, Target, load};
use crate::error::Result;
use crate::source::Source;

/// Collections by name and by number, all of one catalog version.
///
/// Filled one collection at a time, so that a version with ten thousand collections costs nothing
/// until they are used.
#[derive(Debug, Default)]
pub(crate) struct Cache(RwLock<Version>);

#[derive(Debug, Default)]
struct Version {
    catalog_version: u64,
    by_name: HashMap<String, Arc<CollectionMeta>>,
    by_id: HashMap<CollectionId, Arc<CollectionMeta>>,
}

impl Cache {
    /// The collection that `target` means in `source`, whose catalog has this version.
    ///
    /// The source must be a committed state: two states of one version must say the same.
    pub(crate) fn find(
        &self,
        source: &Source<'_>,
        catalog_version: u64,
        target: &Target,
    ) -> Result<Option<Arc<CollectionMeta>>> {
        let cached = self.get(catalog_version, target);
        if cached.is_some() {
            return Ok(cached);
        }
        let Some(meta) = load(source, target)?.map(Arc::new) else { return Ok(None) };
        self.put(catalog_version, &meta);
        Ok(Some(meta))
    }

    fn get(&self, catalog_version: u64, target: &Target) -> Option<Arc<CollectionMeta>> {
        let version = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if version.catalog_version != catalog_version {
            return None;
        }
        let meta = match target {
            Target::Named(name) => version.by_name.get(&**name),
            Target::Bound { id, .. } => version.by_id.get(id),
        };
        meta.filter(|meta| target.is(meta)).cloned()
    }

    /// Remembers a collection, unless the cache has moved on to a later version.
    fn put(&self, catalog_version: u64, meta: &Arc<CollectionMeta>) {
        let mut version = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if version.catalog_version < catalog_version {
            *version = Version { catalog_version, ..Version::default() };
        }
        if version.catalog_version == catalog_version {
            version.by_name.insert(meta.name.clone(), Arc::clone(meta));
            version.by_id.insert(meta.id, Arc::clone(meta));
        }
    }
}
