//! The directory beside a model that remembers everything.

use super::*;
use crate::pins::Pins;
use proptest::prelude::*;
use std::collections::BTreeMap;

const PAGE_COUNT: u32 = 40;

#[derive(Clone, Debug)]
enum Step {
    /// Writes and frees these pages; `None` frees.
    Commit(Vec<(u32, Option<u16>)>),
    /// Reads a page as of a snapshot this far from the oldest to the newest, in 256ths.
    Read(u32, u8),
    Pin(u32),
    /// Ends the snapshots before a point this far to the newest.
    EndSnapshots(u8),
    Checkpoint,
    Relocate(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let page = 0..PAGE_COUNT;
    let blocks =
        prop_oneof![6 => Just(Some(1u16)), 2 => Just(Some(4)), 1 => Just(Some(9)), 1 => Just(None)];
    let step = prop_oneof![
        4 => proptest::collection::vec((page.clone(), blocks), 1..6).prop_map(Step::Commit),
        12 => (page.clone(), any::<u8>()).prop_map(|(no, at)| Step::Read(no, at)),
        1 => page.clone().prop_map(Step::Pin),
        2 => any::<u8>().prop_map(Step::EndSnapshots),
        1 => Just(Step::Checkpoint),
        1 => page.prop_map(Step::Relocate),
    ];
    proptest::collection::vec(step, 1..200)
}

/// What the log says of a page as of a version.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Logged {
    Image { position: u64, blocks: u16 },
    Freed,
}

struct Model {
    directory: Arc<Directory>,
    limit: u64,
    /// What no checkpoint has copied, by page and version.
    log: BTreeMap<(u32, u64), Logged>,
    /// Version and size of each page in the file; `None` where the page is free.
    file: BTreeMap<u32, Option<(u64, u16)>>,
    oldest: u64,
    newest: u64,
    next_position: u64,
    pins: Pins,
}

fn sized(no: u32, version: u64, blocks: u16) -> Page {
    let kind = if blocks == 1 { PageKind::Inner } else { PageKind::Leaf };
    let mut page = Page::new(kind, TreeId(1), PageNo(no), blocks);
    page.set_version(CommitNo(version));
    page
}

impl Model {
    fn new(limit: u64, buffer: Option<PageBuffer>) -> Self {
        Self {
            directory: Directory::new(limit, buffer),
            limit,
            log: BTreeMap::new(),
            file: (0..PAGE_COUNT).map(|no| (no, Some((1, 1)))).collect(),
            oldest: 1,
            newest: 1,
            next_position: 0,
            pins: Pins::default(),
        }
    }

    fn visible(&self, no: u32, snapshot: u64) -> Option<(u64, Logged)> {
        let mut upto = self.log.range((no, 0)..=(no, snapshot));
        upto.next_back().map(|(&(_, version), &logged)| (version, logged))
    }

    fn position(&mut self) -> u64 {
        self.next_position += 4096;
        self.next_position
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Commit(pages) => self.commit(pages),
            Step::Read(no, at) => {
                self.read(*no, self.oldest + (self.newest - self.oldest) * u64::from(*at) / 255);
            }
            Step::Pin(no) => {
                if let Some((version, Logged::Image { blocks, .. })) =
                    self.visible(*no, self.newest)
                {
                    self.pins.offer(&sized(*no, version, blocks), &self.directory);
                }
            }
            Step::EndSnapshots(at) => {
                self.oldest += (self.newest - self.oldest) * u64::from(*at) / 255;
                self.pins = Pins::default();
            }
            Step::Checkpoint => self.checkpoint(),
            Step::Relocate(no) => self.relocate(*no),
        }
    }

    fn commit(&mut self, pages: &[(u32, Option<u16>)]) {
        self.newest += 1;
        let (version, oldest) = (CommitNo(self.newest), CommitNo(self.oldest));
        for &(no, blocks) in pages {
            let logged = match blocks {
                Some(blocks) => {
                    let position = self.position();
                    self.directory.install(&sized(no, self.newest, blocks), position, oldest);
                    Logged::Image { position, blocks }
                }
                None => {
                    self.directory.install_freed(PageNo(no), version, oldest);
                    Logged::Freed
                }
            };
            self.log.insert((no, self.newest), logged);
        }
    }

    fn read(&self, no: u32, snapshot: u64) {
        let in_file = self.file[&no];
        let found = self.directory.look_up(PageNo(no), CommitNo(snapshot));
        match (self.visible(no, snapshot), found) {
            (Some((_, Logged::Freed)), Lookup::Freed) => {}
            (Some((version, Logged::Image { blocks, .. })), Lookup::Resident(page)) => {
                assert_eq!((page.version().0, page.block_count()), (version, blocks));
            }
            (Some((version, Logged::Image { position, blocks })), Lookup::At(place, at)) => {
                assert_eq!((place, at), (Place::Log(position), CommitNo(version)));
                self.directory.keep(&sized(no, version, blocks), place);
            }
            (None, Lookup::Resident(page)) => {
                assert_eq!(Some((page.version().0, page.block_count())), in_file);
            }
            (None, Lookup::At(Place::File, _)) => {
                if let Some((version, blocks)) = in_file {
                    self.directory.keep(&sized(no, version, blocks), Place::File);
                }
            }
            (want, found) => panic!("{found:?} for {want:?}"),
        }
    }

    fn checkpoint(&mut self) {
        let target = self.oldest;
        let mut copied = Vec::new();
        for no in 0..PAGE_COUNT {
            let Some((version, logged)) = self.visible(no, target) else { continue };
            let in_file = match logged {
                Logged::Image { blocks, position } => {
                    copied.push((no, version, blocks, position));
                    Some((version, blocks))
                }
                Logged::Freed => None,
            };
            self.file.insert(no, in_file);
        }
        self.log.retain(|(_, version), _| *version > target);
        let found = self.directory.logged_upto(CommitNo(target)).into_iter();
        let found = found.map(|l| (l.page_no.0, l.version.0, l.block_count, l.position));
        assert_eq!(found.collect::<Vec<_>>(), copied);
        self.directory.checkpointed(CommitNo(target));
    }

    fn relocate(&mut self, no: u32) {
        let position = self.position();
        if let Some((version, Logged::Image { blocks, .. })) = self.visible(no, self.newest) {
            self.directory.relocate(PageNo(no), CommitNo(version), position);
            self.log.insert((no, version), Logged::Image { position, blocks });
        }
    }

    fn check(&self) {
        let stats = self.directory.stats();
        assert!(stats.resident_bytes <= self.limit, "{stats:?}");
        assert_eq!(stats.resident_bytes, bytes_held(&self.directory) + stats.pinned_bytes);
        assert!(stats.pinned_bytes <= self.limit / 8);
        assert!(stats.buffer_used_bytes <= stats.buffer_limit_bytes);
    }
}

proptest! {
    #[test]
    fn finds_what_was_committed_within_its_budget(
        blocks in prop_oneof![0u64..30, Just(1000)],
        steps in steps(),
    ) {
        let mut model = Model::new(blocks * BLOCK_BYTES as u64, None);
        for step in &steps {
            model.apply(step);
            model.check();
        }
    }

    #[test]
    fn several_find_what_was_committed_within_a_common_budget(
        blocks in 0u64..60,
        steps in proptest::collection::vec(steps(), 2..4),
    ) {
        let limit = blocks * BLOCK_BYTES as u64;
        let buffer = PageBuffer::with_limit(limit);
        let mut models: Vec<Model> =
            steps.iter().map(|_| Model::new(limit, Some(buffer.clone()))).collect();
        for turn in 0..steps.iter().map(Vec::len).max().unwrap_or(0) {
            for (model, steps) in models.iter_mut().zip(&steps) {
                if let Some(step) = steps.get(turn) {
                    model.apply(step);
                }
            }
            models.iter().for_each(Model::check);
            let together: u64 =
                models.iter().map(|model| model.directory.stats().resident_bytes).sum();
            prop_assert_eq!(together, buffer.used_bytes());
        }
        drop(models);
        prop_assert_eq!(buffer.used_bytes(), 0);
    }
}
