//! Figures about a database and its collections. Each says whether it is counted or estimated.

use any_store_storage::StoreStats;

use crate::catalog::CollectionMeta;
use crate::catalog::IndexMeta;
use crate::error::Result;
use crate::index::IndexSpec;
use crate::options::Compression;
use crate::source::Source;

/// Figures about a database.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DatabaseStats {
    /// How many collections there are; exact.
    pub collections: u64,
    /// Documents that were removed in the background since the open, because they had expired; exact.
    pub expired_documents: u64,
    /// Why the last attempt to remove expired documents in the background failed, if it did.
    pub expiry_error: Option<String>,
    /// How many indexes there are in all of them; exact.
    pub indexes: u64,
    /// Figures about the file, the log and the cache.
    pub storage: StoreStats,
}

/// Figures about a collection, all from one snapshot.
///
/// They come from counters that are kept with the data, so asking costs nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectionStats {
    /// The name.
    pub name: String,
    /// How its documents are stored.
    pub compression: Compression,
    /// How many documents there are; exact.
    #[doc(alias = "DocCount")]
    pub documents: u64,
    /// Bytes of the documents as they are stored; exact.
    #[doc(alias = "StoredDocsBytes")]
    pub stored_bytes: u64,
    /// Bytes of the encoded ids; exact.
    pub key_bytes: u64,
    /// Bytes of the pages that hold the documents; exact.
    #[doc(alias = "DocsSizeBytes")]
    pub size_bytes: u64,
    /// The indexes, in the order in which they were made.
    pub indexes: Vec<IndexStats>,
    /// Bytes of the pages that hold the indexes; exact.
    #[doc(alias = "IndexesSizeBytes")]
    pub indexes_size_bytes: u64,
    /// Bytes of the pages that hold documents and indexes; exact.
    #[doc(alias = "TotalSizeBytes")]
    pub total_size_bytes: u64,
    /// Bytes of the documents before compression. `None` where they were not counted: only
    /// [`stats_full`](crate::Collection::stats_full) reads the documents.
    #[doc(alias = "UncompressedDocsBytes")]
    pub document_bytes: Option<u64>,
}

impl CollectionStats {
    /// Bytes before compression for each byte stored; 1 for an empty collection. `None` where
    /// [`document_bytes`](Self::document_bytes) is.
    #[must_use]
    #[doc(alias = "CompressionRatio")]
    pub fn compression_ratio(&self) -> Option<f64> {
        let document_bytes = self.document_bytes?;
        Some(if self.stored_bytes == 0 {
            1.0
        } else {
            document_bytes as f64 / self.stored_bytes as f64
        })
    }
}

/// Figures about an index, from counters that are kept with it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexStats {
    /// The name.
    pub name: String,
    /// The definition, its name included.
    pub spec: IndexSpec,
    /// How many entries there are; exact.
    #[doc(alias = "EntryCount")]
    pub entries: u64,
    /// Bytes of the entries' keys, ids included; exact. The value of an entry is one byte more.
    #[doc(alias = "PayloadBytes")]
    pub key_bytes: u64,
    /// Bytes of the pages that hold the index; exact.
    #[doc(alias = "SizeBytes")]
    pub size_bytes: u64,
}

/// The size of a storage block.
const BLOCK_BYTES: u64 = 4096;

pub(crate) fn collection(
    source: &Source<'_>,
    collection: &CollectionMeta,
) -> Result<CollectionStats> {
    let tree = source.tree_stats(collection.tree)?.unwrap_or_default();
    let indexes = collection.indexes.iter().map(|meta| index(source, meta));
    let indexes = indexes.collect::<Result<Vec<_>>>()?;
    let size_bytes = tree.block_count.saturating_mul(BLOCK_BYTES);
    let indexes_size_bytes = indexes.iter().map(|index| index.size_bytes).sum();
    Ok(CollectionStats {
        name: collection.name.clone(),
        compression: collection.compression,
        documents: tree.entry_count,
        stored_bytes: tree.value_bytes,
        key_bytes: tree.key_bytes,
        size_bytes,
        indexes,
        indexes_size_bytes,
        total_size_bytes: size_bytes.saturating_add(indexes_size_bytes),
        document_bytes: None,
    })
}

fn index(source: &Source<'_>, index: &IndexMeta) -> Result<IndexStats> {
    let tree = source.tree_stats(index.tree)?.unwrap_or_default();
    Ok(IndexStats {
        name: index.name.clone(),
        spec: index.spec.clone(),
        entries: tree.entry_count,
        key_bytes: tree.key_bytes,
        size_bytes: tree.block_count.saturating_mul(BLOCK_BYTES),
    })
}
