//! The faulty computer and the rigs that run the storage engine on it.
//!
//! [`SimVfs`] is a [`Vfs`](any_store_storage::vfs::Vfs) whose disk loses power, tears writes, lies
//! and fails on command, and does the same again for the same seed. On it runs the crash sweep:
//!
//!   script --run--> recording, marks, history --crash after each call--> image --check--> verdict
//!
//! A [`script`] says what a program does; [`run`] does it to the engine and to the [`model`] side by
//! side; a [`crash`] turns the recording into an [`image`] of the disk; [`check`] opens the image and
//! holds it against the promises; [`mod@sweep`] does all of that until enough images were distinct.

pub mod check;
pub mod compare;
pub mod content;
pub mod crash;
pub mod disk;
pub mod engine;
pub mod fault;
pub mod image;
pub mod model;
pub mod rng;
pub mod run;
pub mod script;
pub mod sweep;
pub mod vfs;

pub use crash::Crash;
pub use disk::{Change, Disk};
pub use fault::{AfterEffect, CallKind, Failure, Fault};
pub use image::Image;
pub use rng::Rng;
pub use script::Script;
pub use sweep::{Plan, Report, sweep};
pub use vfs::{Recording, SimVfs};
