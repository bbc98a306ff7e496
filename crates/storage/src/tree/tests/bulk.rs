//! Trees built from sorted entries.

use super::model::{Model, assert_equal, empty_and_destroy};
use super::*;
use crate::page::slots::capacity;

fn load(page_blocks: u8, model: &Model) -> (MemPages, TreeDescriptor) {
    let (mut pages, tree) = new_tree(page_blocks);
    let mut load = BulkLoad::new(&pages, tree).unwrap();
    for (key, value) in model {
        load.push(&mut pages, key, value).unwrap();
    }
    let tree = load.finish(&mut pages).unwrap();
    pages.check_changed();
    (pages, tree)
}

fn inserted(page_blocks: u8, model: &Model) -> (MemPages, TreeDescriptor) {
    let (mut pages, mut tree) = new_tree(page_blocks);
    for (key, value) in model {
        assert!(insert(&mut pages, &mut tree, key, value).unwrap());
    }
    (pages, tree)
}

fn random_model(random: &mut Random, count: usize, max_key: usize, max_value: usize) -> Model {
    let entry = |_| {
        let mut key = vec![b'p'; random.skewed(max_key)];
        key.extend_from_slice(&random.next().to_be_bytes()[..random.below(9)]);
        let value_len = random.skewed(max_value);
        (key, random.bytes(value_len))
    };
    (0..count).map(entry).collect()
}

#[test]
fn a_loaded_tree_is_the_inserted_one() {
    let mut random = Random::new(60);
    let shapes = [(0, 0, 0), (1, 5, 5), (2, 5, 9000), (3000, 9, 60), (1500, 900, 3000)];
    for page_blocks in [1, 2, 4] {
        for (count, max_key, max_value) in shapes.into_iter().chain([(300, 9000, 100_000)]) {
            let model = random_model(&mut random, count, max_key, max_value);
            let (pages, tree) = load(page_blocks, &model);
            assert_equal(&pages, &tree, &model);
            let (_, other) = inserted(page_blocks, &model);
            assert_eq!(tree.root, other.root, "the root stays");
            let sizes =
                |tree: &TreeDescriptor| (tree.entry_count, tree.key_bytes, tree.value_bytes);
            assert_eq!(sizes(&tree), sizes(&other));
            let per_node = u64::from(page_blocks);
            assert!(tree.block_count <= other.block_count + 2 * per_node, "{tree:?} {other:?}");
        }
    }
}

#[test]
fn a_loaded_tree_takes_random_changes() {
    let mut random = Random::new(61);
    for (page_blocks, max_key, max_value) in [(1, 9, 60), (1, 900, 5000), (4, 60, 2000)] {
        let mut model = random_model(&mut random, 2000, max_key, max_value);
        let (mut pages, mut tree) = load(page_blocks, &model);
        let keys: Vec<Vec<u8>> = model.keys().cloned().collect();
        for step in 0..3000 {
            let mut key = keys[random.below(keys.len())].clone();
            if random.below(3) == 0 {
                key.push(random.next() as u8);
            }
            if random.below(2) == 0 {
                let removed = remove(&mut pages, &mut tree, &key).unwrap();
                assert_eq!(removed, model.remove(&key).is_some());
            } else {
                let value_len = random.skewed(max_value);
                let value = random.bytes(value_len);
                put(&mut pages, &mut tree, &key, &value).unwrap();
                model.insert(key, value);
            }
            pages.check_changed();
            if step % 500 == 0 {
                assert_equal(&pages, &tree, &model);
            }
        }
        assert_equal(&pages, &tree, &model);
        empty_and_destroy(pages, tree, model, &mut random);
    }
}

#[test]
fn pages_of_a_loaded_tree_are_full() {
    for page_blocks in [1, 2, 4] {
        for (value_len, count) in [(0, 30_000u64), (20, 20_000), (100, 10_000)] {
            let model: Model =
                (0..count).map(|i| (i.to_be_bytes().to_vec(), vec![3; value_len])).collect();
            let (pages, tree) = load(page_blocks, &model);
            let checked = assert_sound(&pages, &tree);
            let room = capacity(tree.page_len()) as f64;
            // Of each level the last page is left as full as it happens to be.
            let pages = (checked.leaf_count + checked.inner_count - 3) as f64;
            let fill = checked.used_bytes as f64 / (pages * room);
            assert!(fill >= 0.96, "{page_blocks} blocks, values of {value_len}: {fill}");
        }
    }
}

#[test]
fn what_cannot_be_loaded_is_refused() {
    let (mut pages, mut tree) = new_tree(1);
    let mut load = BulkLoad::new(&pages, tree).unwrap();
    let steps = [(&b""[..], true), (b"", false), (b"b", true), (b"a", false), (b"b", false)];
    for (key, is_fine) in steps {
        assert_eq!(load.push(&mut pages, key, b"").is_ok(), is_fine, "{key:?}");
    }
    put(&mut pages, &mut tree, b"k", b"v").unwrap();
    assert!(matches!(BulkLoad::new(&pages, tree), Err(Error::InvalidLoad(_))));
}

#[test]
fn a_full_disk_ends_a_load_with_its_error() {
    let mut random = Random::new(62);
    let model = random_model(&mut random, 400, 900, 9000);
    let mut failures = 0;
    for calls in 0..10_000 {
        let (mut pages, tree) = new_tree(1);
        pages.calls_left.set(calls);
        let loaded = BulkLoad::new(&pages, tree).and_then(|mut load| {
            model.iter().try_for_each(|(key, value)| load.push(&mut pages, key, value))?;
            load.finish(&mut pages)
        });
        match loaded {
            Ok(tree) => {
                pages.calls_left.set(u64::MAX);
                assert_equal(&pages, &tree, &model);
                assert!(failures > 100, "only {failures} calls");
                return;
            }
            Err(Error::NoSpace { .. }) => failures += 1,
            Err(other) => panic!("call {calls}: {other}"),
        }
    }
    panic!("the load does not end");
}
