//! The language once more, over owned trees, as plainly as can be: what tests compare with.
//!
//! Requests are taken as the values they are written as, and values are compared by a comparison of
//! its own; so nothing of the parsing, the walking, the encodings and the planning of the real thing
//! is shared. What is slow here is meant to be: each rule is written as `docs/query.md` says it.
//! Requests must be valid; one that is not may end in a panic.

pub mod filter;
pub mod index;
pub mod order;
pub mod projection;
pub mod random;
pub mod select;
pub mod sort;
pub mod update;
