//! Single bits that rot.

use std::ops::Range;

use any_store_sim::Rng;
use any_store_storage::BLOCK_BYTES;

use super::base::{Base, Part};
use super::exercise::{Depth, Exercise, Expect, Outcome, Wrong};
use super::layout::{BITMAP, FIRST_RECORD, HEADER_BYTES, INNER, LEAF, RUN};
use super::{Bases, Rig};

/// A bit of a database.
#[derive(Clone, Copy, Debug)]
struct Bit {
    base: usize,
    part: Part,
    offset: u64,
    bit: u8,
}

pub(super) fn run(rig: &mut Rig<'_>) {
    let thorough = rig.args.thorough;
    let small = if thorough { 8 } else { 1 };
    run_directed(rig, 2..4, small, Depth::Full);
    if thorough {
        run_directed(rig, 0..2, 1, Depth::Focused);
    }
    let mut rng = Rng::for_parts(&[rig.args.seed, 0xF11B]);
    for _ in 0..rig.args.flips {
        let bit = by_chance(rig.bases.large(), &mut rng);
        rig.report.add("flips", 1);
        flip(rig, bit, Depth::Full);
    }
}

/// Goes through what everything hangs on, byte by byte.
fn run_directed(rig: &mut Rig<'_>, bases: Range<usize>, bit_count: u8, depth: Depth) {
    for place in directed(&rig.bases, bases) {
        // Another one for each byte and each seed, if not all.
        let first = (place.offset + place.offset / 8 + rig.args.seed) as u8;
        for bit in 0..bit_count {
            rig.report.add("directed_flips", 1);
            flip(rig, Bit { bit: first.wrapping_add(bit) % 8, ..place }, depth);
        }
    }
}

/// `Some` if there is such a case.
pub(super) fn replay(rig: &mut Rig<'_>, base: &str, part: &str, place: &str) -> Option<()> {
    let base = rig.bases.0.iter().position(|known| known.name == base)?;
    let part = match part {
        "file" => Part::File,
        "log" => Part::Log,
        _ => return None,
    };
    let (offset, bit) = place.split_once('.')?;
    let (offset, bit) = (offset.parse().ok()?, bit.parse().ok()?);
    let inside = offset < rig.bases.0[base].bytes(part).len() as u64 && bit < 8;
    inside.then(|| {
        for depth in [Depth::Focused, Depth::Full] {
            flip(rig, Bit { base, part, offset, bit }, depth);
        }
    })
}

fn flip(rig: &mut Rig<'_>, bit: Bit, depth: Depth) {
    let part = match bit.part {
        Part::File => "file",
        Part::Log => "log",
    };
    let base = rig.bases.0[bit.base].name;
    let name = format!("flip:{base}:{part}:{}.{}", bit.offset, bit.bit);
    rig.case(&name, |bases| try_flip(bases, bit, depth));
}

fn try_flip(bases: &Bases, bit: Bit, depth: Depth) -> Result<Outcome, Wrong> {
    let Bit { base, part, offset, bit } = bit;
    let base = &bases.0[base];
    let overlay = base.overlay();
    let byte = base.bytes(part)[offset as usize] ^ 1 << bit;
    overlay.patch(part.path(), offset, &[byte]);
    let expect = Expect::Truth { damaged: (part, offset / BLOCK_BYTES as u64) };
    let rng = Rng::for_parts(&[offset, bit.into()]);
    Exercise::new(base, &overlay, expect, depth, rng).run()
}

fn by_chance(bases: &[Base], rng: &mut Rng) -> Bit {
    let base = rng.index(bases.len());
    let part = match bases[base].log {
        Some(_) if rng.percent(60) => Part::Log,
        _ => Part::File,
    };
    let offset = rng.below(bases[base].bytes(part).len() as u64);
    Bit { base, part, offset, bit: rng.below(8) as u8 }
}

/// Every byte of the header slots, of the log's head, of its first three frames with their records,
/// and of a page of each kind.
fn directed(bases: &Bases, which: Range<usize>) -> Vec<Bit> {
    let mut places = Vec::new();
    for index in which {
        let base = &bases.0[index];
        let mut add = |part, from: u64, len: u64| {
            let end = (from + len).min(base.bytes(part).len() as u64);
            places.extend((from..end).map(|offset| Bit { base: index, part, offset, bit: 0 }));
        };
        add(Part::File, 0, HEADER_BYTES);
        if base.log.is_some() {
            add(Part::Log, 0, FIRST_RECORD);
            add_frames(base, &mut add);
        } else {
            for kind in [LEAF, INNER, RUN, BITMAP] {
                let smallest = base.layout.of_kind(kind).min_by_key(|page| page.block_count);
                let page = smallest.expect("there are pages of every kind");
                add(Part::File, page.offset, page.byte_count().min(2 * BLOCK_BYTES as u64));
            }
            let descriptors = base.layout.of_kind(LEAF).find(|page| page.tree == 0);
            let page = descriptors.expect("there is a descriptor tree");
            add(Part::File, page.offset, page.byte_count());
        }
    }
    places
}

/// The first three frames, with what their records say before the first of them. Of a large image
/// the first block, and the tail.
fn add_frames(base: &Base, add: &mut impl FnMut(Part, u64, u64)) {
    let mut frames = 0;
    for record in &base.layout.records {
        add(Part::Log, record.position, record.meta_bytes.min(BLOCK_BYTES as u64));
        for image in record.images.iter().take(3 - frames) {
            frames += 1;
            add(Part::Log, image.offset, BLOCK_BYTES as u64);
            add(Part::Log, image.offset + image.byte_count() - 16, 16);
        }
        if frames == 3 {
            return;
        }
    }
}
