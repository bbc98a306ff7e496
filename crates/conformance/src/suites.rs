//! One module for each suite.

pub(crate) mod filter;
pub(crate) mod index;
pub(crate) mod order;
pub(crate) mod projection;
pub(crate) mod sort;
pub(crate) mod update;
