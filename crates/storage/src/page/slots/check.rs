//! The check of a page on its own.

use super::{
    ENTRY_COUNT_AT, HEADER_BYTES, HEAP_START_AT, KIND_AT, LEVEL_AT, MAX_LEVEL, MAX_PAGE_BLOCKS,
    PREFIX_LEN_AT, PageKind, SLOT_BYTES, SPARE, Slot, Slotted, ValueCell, inline_key_bytes,
    max_prefix_bytes, u8_at, u16_at,
};
use crate::page::{BLOCK_BYTES, run};

/// Checks everything about a tree page or run that it alone can tell.
///
/// # Errors
/// What is wrong.
pub(crate) fn check_structure(bytes: &[u8]) -> std::result::Result<(), &'static str> {
    let level = u8_at(bytes, LEVEL_AT);
    match PageKind::from_byte(u8_at(bytes, KIND_AT)) {
        Some(PageKind::Leaf) if level == 0 => check_slotted(bytes),
        Some(PageKind::Inner) if (1..=MAX_LEVEL).contains(&level) => check_slotted(bytes),
        Some(PageKind::Run) => check_run(bytes),
        Some(PageKind::Leaf | PageKind::Inner) => Err("has an impossible level"),
        _ => Err("is no page of a tree"),
    }
}

fn check_run(bytes: &[u8]) -> std::result::Result<(), &'static str> {
    let unused = [ENTRY_COUNT_AT..PREFIX_LEN_AT + 2, HEAP_START_AT..HEADER_BYTES];
    let zero = |range| bytes.get::<std::ops::Range<usize>>(range).is_some_and(is_zero);
    if unused.into_iter().all(zero) { Ok(()) } else { Err("has a header that is no run's") }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

fn check_slotted(bytes: &[u8]) -> std::result::Result<(), &'static str> {
    let node = Slotted::new(bytes);
    let too_big = bytes.len() > usize::from(MAX_PAGE_BLOCKS) * BLOCK_BYTES;
    if too_big || !bytes.get(SPARE).is_some_and(is_zero) {
        return Err("has a header that is no tree page's");
    }
    let prefix_len = usize::from(u16_at(bytes, PREFIX_LEN_AT));
    if prefix_len > max_prefix_bytes(bytes.len()) {
        return Err("has too long a prefix");
    }
    if usize::from(u16_at(bytes, ENTRY_COUNT_AT)) != node.len()
        || node.slots_end() > node.heap_start()
        || node.heap_start() > node.heap_end()
    {
        return Err("has slots or a heap outside its body");
    }
    if !node.is_leaf() && (node.len() == 0 || node.slot(0).key_field() != 0) {
        return Err("has no first child");
    }
    let cells = check_cells(node)?;
    if cells + node.garbage() != node.heap_end() - node.heap_start() {
        return Err("has a wrong count of unused bytes");
    }
    check_order(node)
}

/// Checks every cell; returns the sum of their lengths.
fn check_cells(node: Slotted<'_>) -> std::result::Result<usize, &'static str> {
    let mut total = 0usize;
    let long_key = inline_key_bytes(node.bytes.len());
    for slot in node.slots.iter().map(|slot| Slot(*slot)) {
        let inside = slot.offset() >= node.heap_start();
        let Some(cell) = node.parse_cell(slot).filter(|_| inside) else {
            return Err("has a cell outside its heap");
        };
        let inline = node.prefix.len() + slot.key_len();
        let key_fits = match cell.key_run {
            Some(run) => inline == long_key && run.bytes > 0 && run.len() <= run::MAX_RUN_BYTES,
            None => inline <= long_key,
        };
        if !key_fits || !node.is_leaf() && slot.has_value_run() {
            return Err("has a key of an impossible length");
        }
        let empty_run = |value: ValueCell<'_>| value.runs.is_some_and(|runs| runs.bytes == 0);
        if slot.has_value_run()
            && ValueCell::parse(cell.payload, true).is_none_or(|parsed| empty_run(parsed.0))
        {
            return Err("has a value with an empty run");
        }
        total = total.saturating_add(node.cell_len(slot));
    }
    Ok(total)
}

fn check_order(node: Slotted<'_>) -> std::result::Result<(), &'static str> {
    let first = if node.is_leaf() { 0 } else { 1 };
    let slots = node.slots.get(first..).unwrap_or_default();
    for slot in slots.iter().map(|slot| Slot(*slot)) {
        if slot.head_bytes().get(slot.key_len()..).is_some_and(|rest| !is_zero(rest)) {
            return Err("has a head longer than its key");
        }
    }
    let key = |slot: Slot| (slot.head(), node.cell(slot).rest, slot.key_len());
    let mut neighbours = slots.iter().zip(slots.iter().skip(1));
    let ascends = neighbours.all(|(a, b)| {
        let (a, b) = (Slot(*a), Slot(*b));
        let order = a.head().cmp(&b.head()).then_with(|| key(a).cmp(&key(b)));
        // What follows in runs is for the check of the whole tree.
        order.is_lt() || order.is_eq() && b.has_key_run()
    });
    if ascends { Ok(()) } else { Err("has keys out of order") }
}

/// Whether any two cells of a page share bytes. Not part of [`check_structure`]: such a page answers
/// wrongly but does no harm, and the check has to sort.
pub(crate) fn cells_overlap(bytes: &[u8]) -> bool {
    let node = Slotted::new(bytes);
    let place = |slot: &[u8; SLOT_BYTES]| (Slot(*slot).offset(), node.cell_len(Slot(*slot)));
    let mut places: Vec<(usize, usize)> = node.slots.iter().map(place).collect();
    places.sort_unstable();
    places.iter().zip(places.iter().skip(1)).any(|((at, len), (next, _))| at + len > *next)
}
