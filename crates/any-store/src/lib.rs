//! An embedded document database: JSON in one crash-safe file, queried as in MongoDB.
//!
//! ```
//! use any_store::{doc, Collection, CollectionOptions, Database};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, Serialize, Deserialize)]
//! struct User {
//!     id: String,
//!     age: u32,
//!     tags: Vec<String>,
//! }
//!
//! # let dir = tempfile::tempdir().unwrap();
//! # let path = dir.path().join("app.any");
//! let db = Database::open(&path)?; // creates if absent
//! db.get_or_create_collection("users", CollectionOptions::new())?;
//! let users: Collection<User> = db.collection("users");
//!
//! let user = |id: &str, age, tag: &str| User { id: id.into(), age, tags: vec![tag.into()] };
//! users.insert_one(&user("ann", 31, "new"))?; // borrows; returns the id
//! users.insert_many([user("bob", 17, "new"), user("cleo", 45, "old")])?; // one transaction
//!
//! let ann = users.get("ann")?; // Option<User>
//! assert_eq!(ann.unwrap().age, 31);
//! for user in users.find(doc! { "age": { "$gte": 18 } }).sort("-age").limit(20).run()? {
//!     println!("{}", user?.id); // cleo, ann
//! }
//! let updated = users.find(r#"{ "tags": "new" }"#).update(doc! { "$inc": { "age": 1 } })?;
//! assert_eq!((updated.matched, updated.modified), (2, 2));
//!
//! let mut tx = db.begin_write()?; // drop rolls back
//! tx.collection(&users).update_id("ann", doc! { "$set": { "age": 40 } })?;
//! tx.collection(&users).delete_id("bob")?;
//! tx.commit()?;
//! # Ok::<(), any_store::Error>(())
//! ```
//!
//! # What to know on page one
//!
//! * A document is an object with a primary key: the field **`id`**, unless the collection was made
//!   with another ([`CollectionOptions::primary_key`]; `"_id"` for those who come from MongoDB). A
//!   document without one is refused, unless the collection makes ids
//!   ([`CollectionOptions::auto_id`]).
//! * Collections are made, never conjured up: a verb on a name that does not exist is
//!   [`ErrorKind::CollectionNotFound`].
//! * Every statement is all or nothing, inside a transaction too.
//! * A cursor stands on a snapshot: what is written later does not move it.
//! * There is one [`Error`]; match on its [`kind`](Error::kind).
//!
//! # Where to start
//!
//! [`Database`] opens a file and gives [`Collection`]s; [`Collection::find`] gives a [`Find`], which
//! ends in a verb; [`Database::begin_write`] and [`Database::begin_read`] give transactions, in
//! which [`WriteTx::collection`] and [`ReadTx::collection`] have the same verbs.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic,)
)]

mod access;
mod buffer;
mod catalog;
mod check;
mod collection;
mod compress;
mod convert;
mod cursor;
mod database;
mod document;
mod error;
mod exec;
mod expiry;
mod explain;
mod find;
mod index;
mod maintenance;
mod options;
mod plan;
mod selection;
mod source;
mod statement;
mod stats;
mod transaction;
mod view;

pub mod json;
pub mod perf;

#[cfg(test)]
mod tests;

pub use any_store_query::{
    Criteria, Field, Filter, OperatorInfo, OperatorKind, ParseError, ParseErrorKind, Place,
    Projection, Sort, Source as ParseSource, Update, field, filter_operators, projection_operators,
    update_operators,
};
pub use any_store_storage::CheckpointMode as FlushMode;
pub use any_store_storage::vfs::{self, MemVfs, OsVfs, Vfs, VfsFile};
pub use any_store_storage::{
    AutoCheckpoint, BackupReport, CacheStats, Cancel, CheckReport as PageReport, CheckpointMode,
    CheckpointReport, CommitNo, Finding, FindingKind, PageBuffer, PageNo, Progress, Salvaged,
    StoreStats, Sync, TreeId, TreeReport, VerifyReport,
};
pub use anyenc::{
    Binary, DateTime, DecodeError, DeserializeError, Document, EncodeError, Limits, ObjectId,
    RawArray, RawBinary, RawDocument, RawDocumentBuf, RawRegex, RawValue, RawVector, Regex, Value,
    ValueType, Vector, doc, from_raw, to_raw, value,
};

pub use access::{ReadAccess, WriteAccess};
pub use buffer::init_page_buffer;
pub use check::{CheckReport, Problem};
pub use collection::Collection;
pub use convert::{
    IntoArrayFilters, IntoFilter, IntoProjection, IntoSort, IntoUpdate, ProjectionRequest,
};
pub use cursor::Cursor;
pub use database::{CollectionInfo, Database};
pub use error::{Error, ErrorKind, Outcome, Result};
pub use explain::{
    Absence, Actual, CandidateExplain, Estimate, Explain, FieldBounds, IndexExplain, ScanDirection,
    Stage, StageKind, Totals, Verdict,
};
pub use find::{Find, IntoIter, ReturnDocument};
pub use index::{
    IndexBuildOptions, IndexBuildProgress, IndexInfo, IndexSpec, IntoIndexFields,
    SketchDistribution, SketchInfo,
};
pub use maintenance::{BackupOptions, CheckOptions, VerifyOptions};
pub use options::{CollectionOptions, Compression, Durability, Options};
pub use statement::{DeleteResult, UpdateResult};
pub use stats::{CollectionStats, DatabaseStats, IndexStats};
pub use transaction::{ReadTx, Savepoint, WriteTx};
pub use view::{ReadView, WriteView};

/// The example of the project's front page, compiled with the other examples.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct FrontPage;
