//! any-store
