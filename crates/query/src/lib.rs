//! The MongoDB query language, parsed once and evaluated over encoded documents.
//!
//! Four kinds of request, each parsed from a value, a document or JSON text into an immutable,
//! checked form that any number of threads may share:
//!
//! * a [`Filter`] says which documents are meant;
//! * an [`Update`] says what is to become of them;
//! * a [`Sort`] gives each its place in an order, as bytes for `memcmp`;
//! * a [`Projection`] picks the fields to show.
//!
//! All four read documents in place, as [`anyenc::RawDocument`], through the walks of [`walk`],
//! which are where paths meet arrays. The crate knows no storage and no database. What the language
//! means, and where it differs from MongoDB's, is written in `docs/query.md`.
//!
//! ```
//! use any_store_query::{Filter, ParseError};
//!
//! let error: ParseError = Filter::from_json(r#"{"$and": [{"a": 1}, {"b": {"$gtt": 1}}]}"#)
//!     .expect_err("there is no such operator");
//! assert_eq!(
//!     error.to_string(),
//!     "parse filter: unknown operator \"$gtt\" (at $and.1.b.$gtt); did you mean \"$gt\"?",
//! );
//! assert_eq!(error.offset, Some(27));
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::cast_possible_truncation
    )
)]

mod build;
mod error;
mod filter;
mod locate;
mod operand;
mod operators;
mod path;
mod projection;
mod sort;
mod trail;
mod update;

pub mod bounds;
pub mod walk;

pub use build::{Criteria, Field, field};
pub use error::{
    ApplyError, ApplyErrorKind, ParallelArrays, ParseError, ParseErrorKind, SortError, Source,
};
pub use filter::{Filter, Strictness};
pub use operators::{
    OperatorInfo, OperatorKind, Place, filter_operators, projection_operators, update_operators,
};
pub use projection::Projection;
pub use sort::Sort;
pub use update::{Applied, ApplyContext, Update};
