//! What the comparisons share: the data set.

#![forbid(unsafe_code)]

pub mod dataset;
