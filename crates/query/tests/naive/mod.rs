//! The language once more, over owned trees, as plainly as can be: what the random tests compare with.
//!
//! Requests are taken as the values they are written as, so that nothing of the crate's own parsing
//! or walking is shared.

pub(crate) mod filter;
pub(crate) mod projection;
pub(crate) mod random;
pub(crate) mod sort;
pub(crate) mod update;
