//! anyenc
