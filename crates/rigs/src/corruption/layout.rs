//! Where everything stands in the files of a database, by `docs/format.md` and not by the engine's
//! code; and how to make the checks hold again after bytes were changed.

use any_store_storage::BLOCK_BYTES;
use twox_hash::XxHash3_128;

use super::base::Part;
use super::overlay::Overlay;

pub(crate) const SLOT_BYTES: u64 = 2048;
/// All four header slots.
pub(crate) const HEADER_BYTES: u64 = 4 * SLOT_BYTES;
pub(crate) const FIRST_RECORD: u64 = BLOCK_BYTES as u64;
pub(crate) const RECORD_BYTES: u64 = 128;
pub(crate) const DESCRIPTOR_BYTES: u64 = 64;
pub(crate) const FRAME_BYTES: u64 = 24;
const RECORD_MAGIC: [u8; 8] = *b"\xA5ANYREC\x01";
const RECORD_CHECK_AT: u64 = 112;
const CHECK_BYTES: usize = 16;

pub(crate) const LEAF: u8 = 1;
pub(crate) const INNER: u8 = 2;
pub(crate) const RUN: u8 = 3;
pub(crate) const BITMAP: u8 = 4;

/// A page in one of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageAt {
    pub(crate) part: Part,
    /// Of its first byte.
    pub(crate) offset: u64,
    pub(crate) page_no: u32,
    pub(crate) block_count: u16,
    pub(crate) kind: u8,
    pub(crate) tree: u32,
}

impl PageAt {
    fn read(part: Part, bytes: &[u8], offset: u64) -> Option<Self> {
        let page = bytes.get(usize::try_from(offset).ok()?..)?.get(..BLOCK_BYTES)?;
        (LEAF..=BITMAP).contains(&page[0]).then(|| Self {
            part,
            offset,
            kind: page[0],
            block_count: number(page, 2, 2) as u16,
            tree: number(page, 4, 4) as u32,
            page_no: number(page, 8, 4) as u32,
        })
    }

    pub(crate) fn byte_count(&self) -> u64 {
        u64::from(self.block_count) * BLOCK_BYTES as u64
    }
}

/// A record of the log.
#[derive(Clone, Debug)]
pub(crate) struct RecordAt {
    pub(crate) position: u64,
    pub(crate) length: u64,
    /// Bytes before the images.
    pub(crate) meta_bytes: u64,
    pub(crate) descriptor_count: u64,
    pub(crate) frame_count: u64,
    pub(crate) images: Vec<PageAt>,
}

impl RecordAt {
    /// The first frame header.
    pub(crate) fn frames_at(&self) -> u64 {
        self.position + RECORD_BYTES + self.descriptor_count * DESCRIPTOR_BYTES
    }
}

/// A tree and its root, as its descriptor in the descriptor tree says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DescriptorAt {
    pub(crate) page: PageAt,
    /// Of the descriptor.
    pub(crate) offset: u64,
    pub(crate) root: u32,
}

/// Where everything stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    /// Of the file.
    pub(crate) pages: Vec<PageAt>,
    pub(crate) records: Vec<RecordAt>,
    pub(crate) descriptors: Vec<DescriptorAt>,
}

impl Layout {
    /// A page of a kind in the file, by chance.
    pub(crate) fn of_kind(&self, kind: u8) -> impl Iterator<Item = &PageAt> {
        self.pages.iter().filter(move |page| page.kind == kind)
    }
}

/// A little-endian number.
pub(crate) fn number(bytes: &[u8], at: usize, width: usize) -> u64 {
    bytes[at..at + width].iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte))
}

/// Reads where everything stands.
pub(crate) fn survey(file: &[u8], log: Option<&[u8]>) -> Layout {
    let pages = pages_of(file);
    let records = log.map(records_of).unwrap_or_default();
    let descriptors = pages.iter().flat_map(|page| descriptors_in(file, page)).collect();
    Layout { pages, records, descriptors }
}

fn pages_of(file: &[u8]) -> Vec<PageAt> {
    let mut pages = Vec::new();
    let mut offset = HEADER_BYTES;
    while offset + BLOCK_BYTES as u64 <= file.len() as u64 {
        match PageAt::read(Part::File, file, offset) {
            Some(page) => {
                offset += page.byte_count();
                pages.push(page);
            }
            None => offset += BLOCK_BYTES as u64,
        }
    }
    pages
}

/// The row of records from the start, up to the first jump: the logs here have none.
fn records_of(log: &[u8]) -> Vec<RecordAt> {
    let mut records = Vec::new();
    let mut at = FIRST_RECORD;
    loop {
        let boundary = at.next_multiple_of(BLOCK_BYTES as u64);
        let Some(record) = record_at(log, at).or_else(|| record_at(log, boundary)) else {
            return records;
        };
        at = record.position + record.length;
        records.push(record);
    }
}

fn record_at(log: &[u8], position: u64) -> Option<RecordAt> {
    let bytes = log.get(usize::try_from(position).ok()?..)?;
    if bytes.get(..8)? != RECORD_MAGIC || number(bytes, 24, 8) != position {
        return None;
    }
    let (frame_count, descriptor_count) = (number(bytes, 80, 4), number(bytes, 84, 4));
    let meta_bytes = RECORD_BYTES + descriptor_count * DESCRIPTOR_BYTES + frame_count * FRAME_BYTES;
    let mut images = Vec::new();
    let mut offset = position + meta_bytes;
    let first_frame = (RECORD_BYTES + descriptor_count * DESCRIPTOR_BYTES) as usize;
    for frame in bytes[first_frame..meta_bytes as usize].chunks_exact(FRAME_BYTES as usize) {
        if frame[6] == 1 {
            let image = PageAt::read(Part::Log, log, offset)?;
            offset += image.byte_count();
            images.push(image);
        }
    }
    let length = number(bytes, 64, 8);
    Some(RecordAt { position, length, meta_bytes, descriptor_count, frame_count, images })
}

/// The descriptors in a leaf of the descriptor tree.
fn descriptors_in(file: &[u8], page: &PageAt) -> Vec<DescriptorAt> {
    if page.kind != LEAF || page.tree != 0 {
        return Vec::new();
    }
    let start = page.offset as usize;
    let bytes = &file[start..start + page.byte_count() as usize];
    let slots = 32 + number(bytes, 14, 2) as usize;
    let cells = (0..number(bytes, 12, 2) as usize).map(|slot| number(bytes, slots + 8 * slot, 2));
    // The key is no longer than its head; one byte says how long the value is.
    let descriptor = |cell: u64| {
        let at = cell as usize + 1;
        let root = number(bytes, at + 4, 4) as u32;
        DescriptorAt { page: *page, offset: page.offset + at as u64, root }
    };
    cells.map(descriptor).collect()
}

/// Changes bytes of a case, and makes the checks hold again.
pub(crate) struct Forger<'c> {
    pub(crate) overlay: &'c Overlay,
    pub(crate) layout: &'c Layout,
    seed: u64,
}

impl<'c> Forger<'c> {
    pub(crate) fn new(overlay: &'c Overlay, layout: &'c Layout) -> Self {
        let id = overlay.peek(Part::File.path(), 24, 8);
        Self { overlay, layout, seed: number(&id, 0, 8) }
    }

    pub(crate) fn put(&self, part: Part, offset: u64, bytes: &[u8]) {
        self.overlay.patch(part.path(), offset, bytes);
    }

    fn peek(&self, part: Part, offset: u64, len: u64) -> Vec<u8> {
        self.overlay.peek(part.path(), offset, len as usize)
    }

    /// Makes the check of the header slot hold that stands at `offset`.
    pub(crate) fn seal_slot(&self, offset: u64) {
        self.seal(Part::File, offset, SLOT_BYTES);
    }

    /// Makes the check of the head of the log hold.
    pub(crate) fn seal_log_head(&self) {
        self.seal(Part::Log, 0, BLOCK_BYTES as u64);
    }

    fn seal(&self, part: Part, offset: u64, len: u64) {
        let covered = self.peek(part, offset, len - CHECK_BYTES as u64);
        let check = XxHash3_128::oneshot(&covered).to_le_bytes();
        self.put(part, offset + covered.len() as u64, &check);
    }

    /// Makes the check of a page hold, whatever it says; it is as long as it was.
    pub(crate) fn seal_page(&self, page: &PageAt) {
        let covered = self.peek(page.part, page.offset, page.byte_count() - CHECK_BYTES as u64);
        let own = number(&covered, 8, 4);
        let seed = self.seed ^ own.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let tail = XxHash3_128::oneshot_with_seed(seed, &covered).to_le_bytes();
        self.put(page.part, page.offset + covered.len() as u64, &tail);
    }

    /// Makes the checks of the records from this one on hold, and so the chain. The tails of the
    /// images are what they are.
    pub(crate) fn seal_records(&self, from: usize) {
        let mut previous: Option<Vec<u8>> = None;
        for record in self.layout.records.iter().skip(from) {
            if let Some(previous) = &previous {
                self.put(Part::Log, record.position + 40, previous);
            }
            let meta = self.peek(Part::Log, record.position, record.meta_bytes);
            let mut covered = meta[..RECORD_CHECK_AT as usize].to_vec();
            covered.extend_from_slice(&meta[RECORD_BYTES as usize..]);
            for image in &record.images {
                let tail = image.offset + image.byte_count() - CHECK_BYTES as u64;
                covered.extend(self.peek(Part::Log, tail, CHECK_BYTES as u64));
            }
            let check = XxHash3_128::oneshot(&covered).to_le_bytes();
            self.put(Part::Log, record.position + RECORD_CHECK_AT, &check);
            previous = Some(check.to_vec());
        }
    }
}
