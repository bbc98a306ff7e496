//! What the comparisons share: the data set, the stores to compare, and how results are shown.

#![deny(unsafe_code)]

pub mod dataset;
pub mod measure;
pub mod stores;
