//! Every byte of a closed file, one by one: pages, header slots, padding and free space.

use std::path::Path;
use std::sync::Arc;

use any_store::{ErrorKind, VerifyOptions, VerifyReport};

use super::Rig;
use super::base::{Base, DB, Part, options};
use super::exercise::{Outcome, Wrong};
use super::overlay::Overlay;

/// The small closed one, among the bases.
const BASE: usize = 3;

pub(super) fn run(rig: &mut Rig<'_>) {
    let base = &rig.bases.0[BASE];
    let whole = verify(&base.overlay());
    match whole {
        Ok(report) if report.finding_count == 0 && report.free_block_count > 0 => {}
        other => rig.fail("closed:whole", &format!("wrong: {other:?}")),
    }
    for offset in 0..rig.bases.0[BASE].file.len() as u64 {
        rig.report.add("closed_bytes", 1);
        one(rig, offset);
    }
}

/// `Some` if there is such a case.
pub(super) fn replay(rig: &mut Rig<'_>, offset: &str) -> Option<()> {
    let offset = offset.parse().ok()?;
    (offset < rig.bases.0[BASE].file.len() as u64).then(|| one(rig, offset))
}

fn one(rig: &mut Rig<'_>, offset: u64) {
    let bit = (offset + offset / 8 + rig.args.seed) % 8;
    rig.case(&format!("closed:{offset}"), |bases| expect_noticed(&bases.0[BASE], offset, bit));
}

/// Opening the file, or `verify`, notices it; nothing is changed.
fn expect_noticed(base: &Base, offset: u64, bit: u64) -> Result<Outcome, Wrong> {
    let overlay = base.overlay();
    let byte = base.file[offset as usize] ^ 1 << bit;
    overlay.patch(Part::File.path(), offset, &[byte]);
    let outcome = match verify(&overlay) {
        Ok(report) if report.finding_count > 0 => Outcome::Reported,
        Ok(_) => return Err(Wrong::new(format!("wrong: byte {offset} is not noticed"))),
        Err((ErrorKind::Corrupt | ErrorKind::LogDamaged, _)) => Outcome::Refused,
        Err((kind, message)) => return Err(Wrong::new(format!("wrong: {kind:?}: {message}"))),
    };
    match overlay.change_count() {
        0 => Ok(outcome),
        _ => Err(Wrong::new("wrong: verify changed a file")),
    }
}

fn verify(overlay: &Overlay) -> Result<VerifyReport, (ErrorKind, String)> {
    let options = options().create(false).read_only(true).vfs(Arc::new(overlay.clone()));
    let opened = options.open(Path::new(DB));
    let verified = opened.and_then(|db| db.verify_with(VerifyOptions::new().threads(1)));
    verified.map_err(|error| (error.kind(), error.to_string()))
}
