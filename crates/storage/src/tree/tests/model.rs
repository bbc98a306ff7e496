//! The same operations on a tree and on std's map.

use super::*;
use std::collections::BTreeMap;

pub(super) type Model = BTreeMap<Vec<u8>, Vec<u8>>;

pub(super) fn assert_equal(pages: &MemPages, tree: &TreeDescriptor, model: &Model) {
    assert_sound(pages, tree);
    assert_eq!(tree.entry_count, model.len() as u64);
    let mut cursor = TreeCursor::new(*tree);
    for (key, value) in model {
        assert!(cursor.next(pages).unwrap());
        assert!(cursor.key() == key.as_slice(), "another key");
        assert!(*cursor.value(pages).unwrap().unwrap() == **value, "another value");
    }
    assert!(!cursor.next(pages).unwrap());
}

/// What keys and values a test uses.
struct Shape {
    page_blocks: u8,
    key: fn(&mut Random) -> Vec<u8>,
    max_value: usize,
    steps: usize,
}

fn run(shape: &Shape, seed: u64) {
    let mut random = Random::new(seed);
    let (mut pages, mut tree) = new_tree(shape.page_blocks);
    let mut model = Model::new();
    let check_each = (shape.steps / 8).max(1);
    for step in 0..shape.steps {
        // Grows for two thirds of the run, then shrinks.
        let removes = if step * 3 < shape.steps * 2 { 2 } else { 7 };
        let key = match random.below(3) {
            0 => (shape.key)(&mut random),
            _ => {
                let wanted = (shape.key)(&mut random);
                model.range(wanted.clone()..).next().map_or(wanted, |(key, _)| key.clone())
            }
        };
        let value_len = random.skewed(shape.max_value);
        let value = random.bytes(value_len);
        if random.below(10) < removes {
            let expected = model.remove(&key).is_some();
            assert_eq!(remove(&mut pages, &mut tree, &key).unwrap(), expected);
        } else if random.below(2) == 0 {
            put(&mut pages, &mut tree, &key, &value).unwrap();
            model.insert(key.clone(), value);
        } else {
            let expected = !model.contains_key(&key);
            assert_eq!(insert(&mut pages, &mut tree, &key, &value).unwrap(), expected);
            model.entry(key.clone()).or_insert(value);
        }
        pages.check_changed();
        let found = get(&pages, &tree, &key).unwrap();
        assert!(found.as_deref() == model.get(&key).map(Vec::as_slice), "seed {seed} step {step}");
        if step % check_each == 0 {
            assert_equal(&pages, &tree, &model);
        }
    }
    assert_equal(&pages, &tree, &model);
    empty_and_destroy(pages, tree, model, &mut random);
}

pub(super) fn empty_and_destroy(
    mut pages: MemPages,
    mut tree: TreeDescriptor,
    model: Model,
    random: &mut Random,
) {
    if random.below(2) == 0 {
        destroy(&mut pages, &tree).unwrap();
        assert_eq!(pages.blocks_in_use(), 0);
        return;
    }
    let mut keys: Vec<_> = model.into_keys().collect();
    random.shuffle(&mut keys);
    for key in keys {
        assert!(remove(&mut pages, &mut tree, &key).unwrap());
        pages.check_changed();
    }
    assert_sound(&pages, &tree);
    assert_eq!(pages.blocks_in_use(), u64::from(tree.page_blocks), "more than an empty root");
    assert_eq!((tree.entry_count, tree.key_bytes, tree.value_bytes), (0, 0, 0));
}

fn tiny_keys(random: &mut Random) -> Vec<u8> {
    // Zeros at the end compare like missing bytes in a head.
    let len = random.below(6);
    (0..len).map(|_| [0, 0, 1, 255][random.below(4)]).collect()
}

fn short_keys(random: &mut Random) -> Vec<u8> {
    let len = random.below(30);
    random.bytes(len)
}

fn keys_with_long_prefixes(random: &mut Random) -> Vec<u8> {
    let mut key = Vec::new();
    for _ in 0..random.below(4) {
        key.extend_from_slice(&[b'a' + random.below(3) as u8; 150]);
    }
    key.extend_from_slice(&(random.below(300) as u32).to_be_bytes());
    key
}

fn huge_keys(random: &mut Random) -> Vec<u8> {
    let mut key = vec![b'k'; random.skewed(10 * 4096)];
    let tail = random.below(4);
    key.extend(random.bytes(tail));
    key
}

fn any_keys(random: &mut Random) -> Vec<u8> {
    match random.below(10) {
        0 => huge_keys(random),
        1 | 2 => keys_with_long_prefixes(random),
        3 | 4 => tiny_keys(random),
        _ => short_keys(random),
    }
}

#[test]
fn tiny_keys_and_small_values_match_the_model() {
    for (seed, page_blocks) in [(1, 1), (2, 2), (3, 4)] {
        run(&Shape { page_blocks, key: tiny_keys, max_value: 300, steps: 4000 }, seed);
    }
}

#[test]
fn short_keys_and_values_of_all_sizes_match_the_model() {
    for (seed, page_blocks) in [(11, 1), (12, 2), (13, 4), (14, 1)] {
        run(&Shape { page_blocks, key: short_keys, max_value: 100_000, steps: 2500 }, seed);
    }
}

#[test]
fn empty_values_match_the_model() {
    for (seed, page_blocks) in [(21, 1), (22, 4)] {
        run(&Shape { page_blocks, key: short_keys, max_value: 0, steps: 20_000 }, seed);
    }
}

#[test]
fn keys_with_long_prefixes_match_the_model() {
    for (seed, page_blocks) in [(31, 1), (32, 2), (33, 4)] {
        let key = keys_with_long_prefixes;
        run(&Shape { page_blocks, key, max_value: 200, steps: 4000 }, seed);
    }
}

#[test]
fn keys_up_to_ten_pages_match_the_model() {
    for (seed, page_blocks) in [(41, 1), (42, 2), (43, 4)] {
        run(&Shape { page_blocks, key: huge_keys, max_value: 2000, steps: 2000 }, seed);
    }
}

#[test]
fn keys_and_values_of_all_sizes_match_the_model() {
    for seed in 50..62 {
        let page_blocks = [1, 2, 4][seed as usize % 3];
        run(&Shape { page_blocks, key: any_keys, max_value: 50_000, steps: 1500 }, seed);
    }
}

#[test]
fn an_entry_takes_every_size_in_turn() {
    for page_blocks in [1, 2, 4] {
        let (mut pages, mut tree) = new_tree(page_blocks);
        let mut random = Random::new(70);
        let mut sizes: Vec<usize> = (0..3 * 4096).step_by(37).collect();
        sizes.extend([4047, 4048, 4049, 8143, 8144, 8145, 65_535, 65_536]);
        let keys: Vec<_> = (0..8u8).map(|i| vec![i; 5]).collect();
        let mut model = Model::new();
        for _ in 0..2 {
            random.shuffle(&mut sizes);
            for size in &sizes {
                let key = &keys[random.below(keys.len())];
                let value = random.bytes(*size);
                put(&mut pages, &mut tree, key, &value).unwrap();
                pages.check_changed();
                assert_eq!(&*get(&pages, &tree, key).unwrap().unwrap(), &*value);
                model.insert(key.clone(), value);
            }
            assert_equal(&pages, &tree, &model);
        }
    }
}

#[test]
fn a_tree_empties_in_any_order() {
    let count = 3000u32;
    let orders: [fn(&mut Vec<u32>); 4] = [
        |_| {},
        |keys| keys.reverse(),
        |keys| Random::new(80).shuffle(keys),
        |keys| keys.sort_by_key(|key| key.abs_diff(1500)),
    ];
    for (which, reorder) in orders.iter().enumerate() {
        for value_len in [0, 20, 900, 5000] {
            let (mut pages, mut tree) = new_tree(1);
            let mut keys: Vec<u32> = (0..count).step_by(1 + value_len / 300).collect();
            for key in &keys {
                insert(&mut pages, &mut tree, &key.to_be_bytes(), &vec![7; value_len]).unwrap();
            }
            reorder(&mut keys);
            for (step, key) in keys.iter().enumerate() {
                assert!(remove(&mut pages, &mut tree, &key.to_be_bytes()).unwrap());
                pages.check_changed();
                if step % 100 == 0 {
                    assert_sound(&pages, &tree);
                }
            }
            assert_eq!(pages.blocks_in_use(), 1, "order {which}, values of {value_len}");
            assert_sound(&pages, &tree);
        }
    }
}

#[test]
fn keys_of_16_mib_work_also_as_separators() {
    const LEN: usize = 16 << 20;
    let (mut pages, mut tree) = new_tree(1);
    for i in (0..9u8).rev() {
        let mut key = vec![9; LEN - 1];
        key.push(i);
        assert!(insert(&mut pages, &mut tree, &key, &[i; 500]).unwrap());
        assert!(!insert(&mut pages, &mut tree, &key, b"").unwrap());
    }
    assert!(assert_sound(&pages, &tree).inner_count > 0);
    let mut key = vec![9; LEN - 1];
    key.push(5);
    assert_eq!(&*get(&pages, &tree, &key).unwrap().unwrap(), &[5; 500]);
    assert!(remove(&mut pages, &mut tree, &key).unwrap());
    assert_sound(&pages, &tree);
    destroy(&mut pages, &tree).unwrap();
    assert_eq!(pages.blocks_in_use(), 0);
}

#[test]
fn a_value_of_several_runs_comes_back() {
    let (mut pages, mut tree) = new_tree(4);
    let len = crate::page::run::MAX_RUN_BYTES + 5000;
    let value: Vec<u8> = (0..len).map(|i| (i / 4096) as u8).collect();
    put(&mut pages, &mut tree, b"k", &value).unwrap();
    assert_sound(&pages, &tree);
    assert!(*get(&pages, &tree, b"k").unwrap().unwrap() == *value);
    put(&mut pages, &mut tree, b"k", b"small").unwrap();
    assert_eq!(pages.blocks_in_use(), 4);
}

#[test]
fn too_long_a_key_is_refused() {
    let (mut pages, mut tree) = new_tree(1);
    let key = vec![0; MAX_KEY_BYTES + 1];
    let result = insert(&mut pages, &mut tree, &key, b"");
    assert!(matches!(result, Err(Error::LimitExceeded(_))));
    assert_sound(&pages, &tree);
}

#[test]
fn descriptors_decode_to_themselves_and_refuse_the_rest() {
    let (mut pages, mut tree) = new_tree(2);
    put(&mut pages, &mut tree, b"key", b"value").unwrap();
    let bytes = tree.encode();
    assert_eq!(TreeDescriptor::decode(&bytes), Some(tree));
    assert_eq!(TreeDescriptor::decode(&bytes[1..]), None);
    assert_eq!(TreeDescriptor::decode(&[]), None);
    for (at, value) in [(8, 0), (8, 3), (8, 8), (8, 255), (9, 1), (15, 1)] {
        let mut bytes = bytes;
        bytes[at] = value;
        assert_eq!(TreeDescriptor::decode(&bytes), None, "byte {at} = {value}");
    }
}
