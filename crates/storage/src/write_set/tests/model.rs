//! The same changes, savepoints and rollbacks on a set that spills, on one that does not, and on
//! std's maps.

use super::*;

type Model = Vec<BTreeMap<Vec<u8>, Vec<u8>>>;

/// A write set, its trees, and what they should hold.
struct Txn {
    set: WriteSet,
    trees: Vec<TreeDescriptor>,
    model: Model,
    /// Trees and model at each open savepoint.
    marks: Vec<(Vec<TreeDescriptor>, Model)>,
}

#[derive(Clone, Debug)]
enum Step {
    Put(usize, Vec<u8>, Vec<u8>),
    Remove(usize, Vec<u8>),
    Clear(usize),
    Savepoint,
    Rollback(usize),
    Release(usize),
}

impl Txn {
    fn new(rig: &Rig, set: WriteSet) -> Self {
        let model = rig.trees.iter().map(|tree| content(&set, tree)).collect();
        Self { set, trees: rig.trees.clone(), model, marks: Vec::new() }
    }

    fn run(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Put(tree, key, value) => {
                tree::put(&mut self.set, &mut self.trees[*tree], key, value)?;
                self.model[*tree].insert(key.clone(), value.clone());
            }
            Step::Remove(tree, key) => {
                let removed = tree::remove(&mut self.set, &mut self.trees[*tree], key)?;
                assert_eq!(removed, self.model[*tree].remove(key).is_some());
            }
            Step::Clear(tree) => {
                let old = self.trees[*tree];
                tree::destroy(&mut self.set, &old)?;
                self.trees[*tree] = tree::create(&mut self.set, old.id, old.page_blocks, old.root)?;
                self.model[*tree].clear();
            }
            Step::Savepoint => {
                self.marks.push((self.trees.clone(), self.model.clone()));
                assert_eq!(self.set.begin_savepoint(), self.marks.len());
            }
            Step::Rollback(depth) => self.roll_back(*depth),
            Step::Release(depth) => {
                self.set.release_savepoint(*depth);
                self.marks.truncate(depth - 1);
            }
        }
        Ok(())
    }

    fn roll_back(&mut self, depth: usize) {
        self.set.rollback_to(depth);
        self.marks.truncate(depth);
        (self.trees, self.model) = self.marks[depth - 1].clone();
    }

    fn assert_as_expected(&self) {
        assert_sound(&self.set, &self.trees);
        for (tree, model) in self.trees.iter().zip(&self.model) {
            assert!(content(&self.set, tree) == *model, "another content of {:?}", tree.id);
        }
    }
}

fn content(set: &WriteSet, tree: &TreeDescriptor) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut cursor = tree::TreeCursor::new(*tree);
    let mut content = BTreeMap::new();
    while cursor.next(set).unwrap() {
        content.insert(cursor.key().to_vec(), cursor.value(set).unwrap().unwrap().to_vec());
    }
    content
}

fn random_step(random: &mut Random, depth: usize) -> Step {
    let tree = random.below(PAGE_BLOCKS.len());
    let mut key = (random.below(1500) as u32).to_be_bytes().to_vec();
    // Some keys are longer than what stays in a page.
    key.resize(if key[3].is_multiple_of(16) { 2000 } else { 4 }, b'k');
    match random.below(100) {
        0..4 => Step::Savepoint,
        4..6 if depth > 0 => Step::Rollback(1 + random.below(depth)),
        6..8 if depth > 0 => Step::Release(1 + random.below(depth)),
        8 if random.below(8) == 0 => Step::Clear(tree),
        9..30 => Step::Remove(tree, key),
        _ => {
            let max_len = [10, 300, 3000, 40_000][random.below(4)];
            let fill = random.next() as u8;
            Step::Put(tree, key, vec![fill; random.below(max_len)])
        }
    }
}

/// Runs random steps on both; returns how often pages were spilled.
fn compare(seed: u64, budget_bytes: u64, step_count: usize) -> usize {
    let rig = Rig::new();
    let mut spilling = Txn::new(&rig, rig.spilling(budget_bytes));
    let mut unlimited = Txn::new(&rig, rig.unlimited());
    let mut random = Random(seed);
    for at in 0..step_count {
        let step = random_step(&mut random, spilling.marks.len());
        spilling.run(&step).unwrap();
        unlimited.run(&step).unwrap();
        if at % 150 == 0 {
            spilling.assert_as_expected();
        }
    }
    spilling.assert_as_expected();
    let numbers = |txn: &Txn| format!("{:?}", txn.set.counters);
    assert_eq!(numbers(&spilling), numbers(&unlimited));
    assert_eq!(spilling.trees, unlimited.trees);
    assert_eq!(spilling.set.page_count(), unlimited.set.page_count());
    let (spilled, resident) = (rig.images(spilling.set), rig.images(unlimited.set));
    assert!(spilled == resident, "seed {seed}: other pages");
    rig.log.call_count()
}

#[test]
fn a_set_that_spills_everything_holds_what_an_unlimited_one_does() {
    for seed in 0..6 {
        assert!(compare(seed, 0, 700) > 700);
    }
}

#[test]
fn a_set_of_few_pages_holds_what_an_unlimited_one_does() {
    for (seed, budget_pages) in [(10, 1), (11, 3), (12, 5), (13, 9), (14, 20), (15, 60)] {
        assert!(compare(seed, budget_pages * BLOCK_BYTES as u64, 900) > 50);
    }
}

#[test]
fn a_set_of_many_pages_holds_what_an_unlimited_one_does() {
    for seed in 20..23 {
        assert!(compare(seed, 1 << 20, 2500) > 10);
    }
}

#[test]
fn a_set_within_its_budget_never_spills() {
    assert_eq!(compare(30, u64::MAX, 900), 0);
}

#[test]
fn memory_stays_within_the_budget_and_one_change() {
    const BUDGET: u64 = 64 * BLOCK_BYTES as u64;
    let rig = Rig::with_entries(2000);
    let mut txn = Txn::new(&rig, rig.spilling(BUDGET));
    let mut random = Random(40);
    txn.run(&Step::Savepoint).unwrap();
    for _ in 0..2000 {
        let step = match random_step(&mut random, txn.marks.len()) {
            // The statement savepoint stays open, so that undo images pile up.
            Step::Rollback(1) | Step::Release(1) => Step::Savepoint,
            step => step,
        };
        txn.run(&step).unwrap();
        // No value is longer than ten blocks, no path as many pages.
        assert!(held_bytes(&txn.set) <= BUDGET + 40 * BLOCK_BYTES as u64);
        txn.set.make_room().unwrap();
        assert!(held_bytes(&txn.set) <= BUDGET);
        let page_no = txn.trees[0].root;
        txn.set.page(page_no, txn.trees[0].id, 1).unwrap();
    }
    assert!(rig.log.call_count() > 20);
    txn.roll_back(1);
    txn.assert_as_expected();
}

/// A script that spills often, with a savepoint around each change.
fn script() -> Vec<Step> {
    let mut random = Random(50);
    let mut steps = Vec::new();
    while steps.len() < 160 {
        match random_step(&mut random, 0) {
            Step::Savepoint => {}
            step => steps.push(step),
        }
    }
    steps
}

/// Runs the script while the `nth` spill fails; false if there were not as many.
fn run_with_failing_spill(nth: u64) -> bool {
    let rig = Rig::new();
    let mut txn = Txn::new(&rig, rig.spilling(12 * BLOCK_BYTES as u64));
    txn.run(&Step::Savepoint).unwrap();
    let before_all = txn.model.clone();
    rig.log.fail_after(nth);
    let mut failures = 0;
    for step in script() {
        txn.run(&Step::Savepoint).unwrap();
        let depth = txn.marks.len();
        if let Err(error) = txn.run(&step) {
            assert!(matches!(error, Error::NoSpace { .. }), "{error}");
            failures += 1;
            txn.roll_back(depth);
            txn.assert_as_expected();
            txn.run(&step).unwrap();
        }
        txn.run(&Step::Release(depth)).unwrap();
    }
    txn.assert_as_expected();
    txn.roll_back(1);
    assert!(txn.model == before_all);
    txn.assert_as_expected();
    assert!(failures <= 1);
    failures == 1
}

#[test]
fn after_any_failed_spill_a_savepoint_brings_everything_back() {
    let failed = (0..).take_while(|nth| run_with_failing_spill(*nth)).count();
    assert!(failed > 40, "only {failed} spills");
}
