//! The binary as a user runs it: what it prints where, and the code it exits with.

mod damage;
mod demo;
mod figures;
mod kill;
mod limits;
mod locks;
mod pipes;
mod questions;
mod round_trip;
mod support;
mod transcripts;
