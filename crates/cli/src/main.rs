//! The any-store command line.
fn main() {}
