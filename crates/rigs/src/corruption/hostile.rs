//! Files that an adversary made: the checks hold, and the bytes say what they like.

use any_store_sim::Rng;
use any_store_storage::BLOCK_BYTES;

use super::Rig;
use super::base::{Base, Part};
use super::exercise::{Depth, Exercise, Expect, Outcome, Wrong};
use super::layout::{
    FIRST_RECORD, Forger, INNER, LEAF, PageAt, RECORD_BYTES, RUN, SLOT_BYTES, number,
};

/// What is done to a page, a header slot or a record in one case.
#[derive(Clone, Debug)]
struct Mutation {
    target: Target,
    /// What is written over, relative to the target.
    changes: Vec<(u64, Vec<u8>)>,
}

/// What is sealed anew.
#[derive(Clone, Copy, Debug)]
enum Target {
    Page(PageAt),
    /// All four slots alike.
    Slots,
    /// One slot, by its offset.
    Slot(u64),
    LogHead,
    /// A record, by its index; an image in it, by its own.
    Record(usize),
    Image(usize, usize),
}

pub(super) fn run(rig: &mut Rig<'_>) {
    // Other ones for each seed, if not all.
    let step = if rig.args.thorough { 1 } else { 4 };
    let all = directed(rig);
    for (number, (base, mutation)) in all.into_iter().enumerate() {
        if number as u64 % step == rig.args.seed % step {
            rig.report.add("directed_images", 1);
            one_directed(rig, number as u64, base, mutation);
        }
    }
    for number in 0..rig.args.restamped {
        rig.report.add("hostile_images", 1);
        by_chance(rig, number);
    }
}

/// `Some` if there is such a case.
pub(super) fn replay(rig: &mut Rig<'_>, number: &str) -> Option<()> {
    match number.strip_prefix('d') {
        Some(number) => {
            let number = number.parse().ok()?;
            let (base, mutation) = directed(rig).into_iter().nth(number)?;
            one_directed(rig, number as u64, base, mutation);
            Some(())
        }
        None => number.parse().ok().map(|number| by_chance(rig, number)),
    }
}

fn one_directed(rig: &mut Rig<'_>, number: u64, base: usize, mutation: Mutation) {
    rig.case(&format!("hostile:d{number}"), |bases| {
        try_mutations(&bases.0[base], &[mutation], Rng::new(number))
    });
}

fn by_chance(rig: &mut Rig<'_>, number: u64) {
    let mut rng = Rng::for_parts(&[rig.args.seed, 0x4057, number]);
    rig.case(&format!("hostile:{number}"), |bases| {
        // Small ones now and then: in them a change meets the few pages that everything hangs on.
        let base = &bases.0[rng.index(bases.0.len())];
        let count = 1 + rng.below(3);
        let mutations: Vec<Mutation> = (0..count).map(|_| chosen(base, &mut rng)).collect();
        try_mutations(base, &mutations, rng)
    });
}

fn try_mutations(base: &Base, mutations: &[Mutation], rng: Rng) -> Result<Outcome, Wrong> {
    let overlay = base.overlay();
    let forger = Forger::new(&overlay, &base.layout);
    for mutation in mutations {
        apply(&forger, mutation);
    }
    Exercise::new(base, &overlay, Expect::Anything, Depth::Full, rng).run()
}

fn apply(forger: &Forger<'_>, mutation: &Mutation) {
    let Mutation { target, changes } = mutation;
    let put = |part, start: u64| {
        changes.iter().for_each(|(at, bytes)| forger.put(part, start + at, bytes));
    };
    match *target {
        Target::Page(page) => {
            put(page.part, page.offset);
            forger.seal_page(&page);
        }
        Target::Slots => {
            for slot in 0..4 {
                put(Part::File, slot * SLOT_BYTES);
                forger.seal_slot(slot * SLOT_BYTES);
            }
        }
        Target::Slot(offset) => {
            put(Part::File, offset);
            forger.seal_slot(offset);
        }
        Target::LogHead => {
            put(Part::Log, 0);
            forger.seal_log_head();
        }
        Target::Record(index) => {
            put(Part::Log, forger.layout.records[index].position);
            forger.seal_records(index);
        }
        Target::Image(index, image) => {
            let image = forger.layout.records[index].images[image];
            put(Part::Log, image.offset);
            forger.seal_page(&image);
            forger.seal_records(index);
        }
    }
}

/// A mutation by chance.
fn chosen(base: &Base, rng: &mut Rng) -> Mutation {
    let target = chosen_target(base, rng);
    // How many bytes say what the rest is, and how many there are.
    let (telling, len) = match target {
        Target::Page(page) => (96, page.byte_count() - 16),
        Target::Image(record, image) => {
            (96, base.layout.records[record].images[image].byte_count() - 16)
        }
        Target::Slots | Target::Slot(_) => (192, SLOT_BYTES - 16),
        Target::LogHead => (48, BLOCK_BYTES as u64 - 16),
        Target::Record(record) => {
            let meta = base.layout.records[record].meta_bytes;
            (RECORD_BYTES.min(meta), meta)
        }
    };
    let changes = (0..1 + rng.below(2)).map(|_| {
        let reach = if rng.percent(60) { telling } else { len };
        let at = rng.below(reach);
        let mut bytes = any_bytes(base, rng);
        bytes.truncate((len - at) as usize);
        (at, bytes)
    });
    Mutation { target, changes: changes.collect() }
}

fn chosen_target(base: &Base, rng: &mut Rng) -> Target {
    let records = &base.layout.records;
    match rng.below(100) {
        0..8 => Target::Slots,
        8..14 => Target::Slot(rng.below(4) * SLOT_BYTES),
        14..16 if !records.is_empty() => Target::LogHead,
        16..34 if !records.is_empty() => Target::Record(rng.index(records.len())),
        34..60 if !records.is_empty() => {
            let index = rng.index(records.len());
            match records[index].images.len() {
                0 => Target::Record(index),
                images => Target::Image(index, rng.index(images)),
            }
        }
        _ => {
            let pages = &base.layout.pages;
            // Of most kinds there are few.
            let kind = 1 + rng.below(4) as u8;
            let of_kind: Vec<&PageAt> = base.layout.of_kind(kind).collect();
            match of_kind.len() {
                0 => Target::Page(pages[rng.index(pages.len())]),
                count => Target::Page(*of_kind[rng.index(count)]),
            }
        }
    }
}

/// Bytes that are likely to mean something: numbers of pages and lengths at their bounds, noise.
fn any_bytes(base: &Base, rng: &mut Rng) -> Vec<u8> {
    let width = [1, 1, 2, 4, 4, 8][rng.index(6)];
    let blocks = base.file.len() as u64 / BLOCK_BYTES as u64;
    let number = match rng.below(10) {
        0 => 0,
        1 => u64::MAX,
        2 => rng.below(4),
        3 => 1 << rng.below(64),
        4 => (1 << rng.below(64)) - 1,
        5 => rng.below(blocks),
        6 => blocks + rng.below(3),
        7 => u64::from(u32::MAX) - rng.below(3),
        8 => rng.below(BLOCK_BYTES as u64),
        _ => rng.next_u64(),
    };
    number.to_le_bytes()[..width].to_vec()
}

/// The mutations that aim at something, each with the base that it is for.
fn directed(rig: &Rig<'_>) -> Vec<(usize, Mutation)> {
    let mut all = Vec::new();
    for (index, base) in rig.bases.0.iter().enumerate() {
        // The large closed one and the small ones; the pages of the large open one are the same.
        if index == 0 {
            continue;
        }
        let mut mutations = Vec::new();
        references(base, &mut mutations);
        page_headers(base, &mut mutations);
        cell_places(base, &mut mutations);
        descriptors(base, &mut mutations);
        headers(&mut mutations);
        if base.log.is_some() {
            records(base, &mut mutations);
        }
        all.extend(mutations.into_iter().map(|mutation| (index, mutation)));
    }
    all
}

/// References of inner pages and of large values: to itself, to roots, to others' pages, beyond.
fn references(base: &Base, mutations: &mut Vec<Mutation>) {
    let leaves: Vec<u32> = base.layout.of_kind(LEAF).map(|page| page.page_no).collect();
    let runs: Vec<u32> = base.layout.of_kind(RUN).map(|page| page.page_no).collect();
    let root = base.layout.descriptors.first().map_or(3, |descriptor| descriptor.root);
    let blocks = base.file.len() as u64 / BLOCK_BYTES as u64;
    for (kind, pointed) in [(INNER, &leaves), (LEAF, &runs)] {
        for page in base.layout.of_kind(kind).take(8) {
            let shared = pointed.get(pointed.len() / 2).copied().unwrap_or(0);
            let first = pointed.first().copied().unwrap_or(0);
            let targets = [page.page_no, root, shared, first, 0, 1, 2, blocks as u32, u32::MAX];
            for at in places_of(base, page, pointed).into_iter().take(3) {
                for target in targets {
                    let changes = vec![(at, target.to_le_bytes().to_vec())];
                    mutations.push(Mutation { target: Target::Page(*page), changes });
                }
            }
        }
    }
}

/// Where in a page the number of one of these pages stands, in or behind a cell's place.
fn places_of(base: &Base, page: &PageAt, pointed: &[u32]) -> Vec<u64> {
    let bytes = page_bytes(base, page);
    let heap = number(bytes, 24, 2) as usize;
    let candidates = heap..bytes.len().saturating_sub(20);
    let is_one = |at: &usize| pointed.contains(&(number(bytes, *at, 4) as u32));
    candidates.filter(is_one).map(|at| at as u64).collect()
}

fn page_bytes<'b>(base: &'b Base, page: &PageAt) -> &'b [u8] {
    &base.bytes(page.part)[page.offset as usize..(page.offset + page.byte_count()) as usize]
}

fn extremes(width: usize) -> impl Iterator<Item = Vec<u8>> {
    let numbers = [0, 1, 2, 3, 255, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_fffe, u64::MAX - 1];
    let all = numbers.into_iter().chain([u64::MAX, 1 << 63, 1 << 44]);
    all.map(move |number: u64| number.to_le_bytes()[..width].to_vec())
}

/// Every field of a page's header, of a page of each kind.
fn page_headers(base: &Base, mutations: &mut Vec<Mutation>) {
    let fields = [
        (0, 1),
        (1, 1),
        (2, 2),
        (4, 4),
        (8, 4),
        (12, 2),
        (14, 2),
        (16, 8),
        (24, 2),
        (26, 2),
        (28, 1),
    ];
    for kind in 1..=4 {
        let mut of_kind = base.layout.of_kind(kind);
        for page in of_kind.next().into_iter().chain(of_kind.last()) {
            for (at, width) in fields {
                for value in extremes(width) {
                    let changes = vec![(at, value)];
                    mutations.push(Mutation { target: Target::Page(*page), changes });
                }
            }
        }
    }
}

/// Slots whose cells lie in the header, in the slots, at the end, or on each other.
fn cell_places(base: &Base, mutations: &mut Vec<Mutation>) {
    for kind in [LEAF, INNER] {
        for page in base.layout.of_kind(kind).take(2) {
            let bytes = page_bytes(base, page);
            let slots = 32 + number(bytes, 14, 2);
            let heap = number(bytes, 24, 2) as u16;
            for place in [0, 8, 31, 32, slots as u16, heap, 4079, 4080, 4095, 0x7fff, 0xffff] {
                let changes = vec![(slots, place.to_le_bytes().to_vec())];
                mutations.push(Mutation { target: Target::Page(*page), changes });
                let changes = vec![(slots + 2, place.to_le_bytes().to_vec())];
                mutations.push(Mutation { target: Target::Page(*page), changes });
            }
        }
    }
}

/// Descriptors of trees: two trees on one root, roots that are none, sizes that cannot be.
fn descriptors(base: &Base, mutations: &mut Vec<Mutation>) {
    let fields = [(0, 4), (4, 4), (8, 1), (9, 1), (16, 8), (24, 8), (32, 8), (40, 8), (48, 8)];
    let all = &base.layout.descriptors;
    for (descriptor, next) in all.iter().zip(all.iter().cycle().skip(1)).take(6) {
        let target = Target::Page(descriptor.page);
        let at = descriptor.offset - descriptor.page.offset;
        let roots = [next.root, 0, 2, 3, descriptor.root + 1, u32::MAX];
        for root in roots {
            let changes = vec![(at + 4, root.to_le_bytes().to_vec())];
            mutations.push(Mutation { target, changes });
        }
        for (field, width) in fields {
            for value in extremes(width) {
                mutations.push(Mutation { target, changes: vec![(at + field, value)] });
            }
        }
    }
}

/// Every field of the header slots, in all of them and in the first.
fn headers(mutations: &mut Vec<Mutation>) {
    let fields = [(16, 4), (20, 4), (40, 8), (48, 4), (52, 4), (56, 8), (64, 4), (68, 4), (72, 8)];
    let descriptor = [(96, 4), (100, 4), (104, 1), (112, 8), (136, 8), (144, 8)];
    let log = [(152, 8), (160, 8), (168, 8), (176, 8)];
    for (at, width) in fields.into_iter().chain(descriptor).chain(log) {
        for value in extremes(width) {
            for target in [Target::Slots, Target::Slot(0)] {
                mutations.push(Mutation { target, changes: vec![(at, value.clone())] });
            }
        }
    }
}

/// Every field of the first records: of their headers, descriptors and frames.
fn records(base: &Base, mutations: &mut Vec<Mutation>) {
    let header = [(24, 8), (32, 8), (56, 8), (64, 8), (72, 8), (80, 4), (84, 4), (88, 4)];
    let counters = [(92, 4), (96, 4), (100, 1), (104, 8)];
    let descriptor = [(128, 4), (132, 1), (136, 4), (140, 4), (144, 1), (152, 8), (176, 8)];
    for (index, record) in base.layout.records.iter().enumerate().take(2) {
        let frames = record.frames_at() - record.position;
        let frame = (0..record.frame_count.min(4)).flat_map(|frame| {
            let at = frames + frame * 24;
            [(at, 4), (at + 4, 2), (at + 6, 1), (at + 8, 8), (at + 16, 8)]
        });
        let fields = header.into_iter().chain(counters).chain(descriptor).chain(frame);
        for (at, width) in fields.filter(|(at, width)| at + *width as u64 <= record.meta_bytes) {
            for value in extremes(width) {
                let changes = vec![(at, value)];
                mutations.push(Mutation { target: Target::Record(index), changes });
            }
        }
    }
    let head = [(16, 4), (24, 8), (40, 8)];
    for (at, width) in head {
        for value in extremes(width) {
            mutations.push(Mutation { target: Target::LogHead, changes: vec![(at, value)] });
        }
    }
    debug_assert!(base.layout.records.first().is_some_and(|r| r.position == FIRST_RECORD));
}
