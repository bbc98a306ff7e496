//! Bits of the log that rot under an open database.
//!
//! A checkpoint copies images from the log into the file, and one that has rotted since it was written
//! must not get there. So the checkpoint says what is damaged and gives nothing up: with the bit put
//! back, everything is there.

use std::path::Path;
use std::sync::Arc;

use any_store::vfs::OpenMode;
use any_store::{CollectionOptions, ErrorKind, FlushMode, MemVfs, Result, Vfs, VfsFile};
use any_store_sim::Rng;

use super::Rig;
use super::base::{DB, LOG, options};
use super::exercise::{Outcome, Wrong};
use super::log::{change, digest};

const RUNS: u64 = 50;

pub(super) fn run(rig: &mut Rig<'_>) {
    for number in 0..RUNS {
        rig.report.add("live_flips", 1);
        one(rig, number);
    }
}

/// `Some` if there is such a case.
pub(super) fn replay(rig: &mut Rig<'_>, number: &str) -> Option<()> {
    one(rig, number.parse().ok()?);
    Some(())
}

fn one(rig: &mut Rig<'_>, number: u64) {
    let mut rng = Rng::for_parts(&[0x11FE, rig.args.seed, number]);
    rig.case(&format!("live:{number}"), |_| {
        rot(&mut rng).unwrap_or_else(|error| Err(Wrong(format!("without damage: {error:?}"))))
    });
}

/// The outer result is of what does not touch the damage.
fn rot(rng: &mut Rng) -> Result<std::result::Result<Outcome, Wrong>> {
    let memory = MemVfs::new();
    // So little memory that what is copied is read from the log.
    let database = options().cache_bytes(0).vfs(Arc::new(memory.clone())).open(DB)?;
    database.create_collection("docs", CollectionOptions::new())?;
    for first in 0..8 {
        change(&database, rng, first * 5..first * 5 + 5)?;
    }
    let before = digest(&database)?;
    let log = memory.open(Path::new(LOG), OpenMode::Write).expect("the engine made it");
    let written = last_used(&*log);
    let (offset, bit) = (rng.between(4096, written - 1), 1 << rng.below(8));
    flip(&*log, offset, bit);
    let outcome = match database.checkpoint(FlushMode::Passive) {
        Ok(_) => Outcome::Right,
        Err(error) if error.kind() == ErrorKind::Corrupt => Outcome::Reported,
        Err(error) => return Ok(Err(Wrong(format!("a rotten log: {error:?}")))),
    };
    flip(&*log, offset, bit);
    Ok(match digest(&database) {
        Ok(after) if after == before => Ok(outcome),
        Ok(_) => Err(Wrong("another content after a checkpoint over rot".to_owned())),
        Err(error) => Err(Wrong(format!("rot was copied, and the log given up: {error:?}"))),
    })
}

fn flip(file: &dyn VfsFile, offset: u64, bit: u8) {
    let mut byte = [0];
    file.read_at(&mut byte, offset).expect("memory can be read");
    file.write_at(&[byte[0] ^ bit], offset).expect("memory can be written");
}

/// Behind the last byte that is not zero: the log grows ahead of what is written.
fn last_used(file: &dyn VfsFile) -> u64 {
    let mut bytes = vec![0; file.len().expect("memory has a length") as usize];
    file.read_at(&mut bytes, 0).expect("memory can be read");
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
}
