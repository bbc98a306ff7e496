//! How much room values take, and how many reads they need.

use super::*;
use crate::page::BLOCK_BYTES;

/// Sizes from 64 bytes to 64 KiB: steps of 3 %, and both sides of every multiple of a block.
fn sizes() -> Vec<usize> {
    let mut sizes = vec![];
    let mut size = 64usize;
    while size <= 65_536 {
        sizes.push(size);
        size += (size / 32).max(1);
    }
    for blocks in 1..=16usize {
        let whole = crate::page::run::payload_bytes(blocks);
        sizes.extend([whole - 1, whole, whole + 1, blocks * BLOCK_BYTES]);
        sizes.extend((0..4000).step_by(500).map(|more| whole + more));
    }
    // Values of which a page holds one fewer than it seems to.
    sizes.extend((3000..4100).step_by(16));
    sizes.retain(|size| (64..=65_536).contains(size));
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

#[test]
fn no_value_takes_much_more_than_its_bytes() {
    let value = Random::new(20).bytes(65_536);
    let mut worst = (0.0, 0);
    for size in sizes() {
        let (mut pages, mut tree) = new_tree(DOCUMENT_PAGE_BLOCKS);
        // Enough for a level of inner pages, so that their share is counted.
        let count = (3_000_000 / size).clamp(200, 4000) as u64;
        for i in 0..count {
            insert(&mut pages, &mut tree, &i.to_be_bytes(), &value[..size]).unwrap();
        }
        assert_eq!(pages.blocks_in_use(), tree.block_count);
        let bytes = pages.blocks_in_use() * BLOCK_BYTES as u64;
        let factor = bytes as f64 / (count * (8 + size as u64)) as f64;
        assert!(factor <= 1.35, "{factor:.3} for values of {size} bytes");
        worst = if factor > worst.0 { (factor, size) } else { worst };
    }
    println!("the worst factor is {:.3}, for values of {} bytes", worst.0, worst.1);
    assert!(worst.0 > 1.0, "nothing was measured");
}

#[test]
fn values_up_to_64_kib_need_one_more_read_at_most() {
    let value = Random::new(21).bytes(65_536);
    for page_blocks in [1, 2, 4] {
        for size in sizes() {
            let (mut pages, mut tree) = new_tree(page_blocks);
            insert(&mut pages, &mut tree, b"12345678", &value[..size]).unwrap();
            pages.reads.set(0);
            let found = get(&pages, &tree, b"12345678").unwrap().unwrap();
            assert!(*found == value[..size]);
            assert!(pages.reads.get() <= 2, "{} reads for {size} bytes", pages.reads.get());
        }
    }
}

#[test]
fn a_value_is_divided_into_whole_blocks_and_a_rest() {
    let page_len = 4 * BLOCK_BYTES;
    let in_runs = |len| value::run_bytes(page_len, 8, len);
    assert_eq!(in_runs(0), 0);
    assert_eq!(in_runs(4047), 0);
    assert_eq!(in_runs(4060), 0);
    assert_eq!(in_runs(4100), 4048);
    assert_eq!(in_runs(8000), 4048);
    assert_eq!(in_runs(8143), 8143, "a rest that does not fit goes to one more block");
    assert_eq!(in_runs(8144), 8144);
    assert_eq!(in_runs(65_536), 65_536 / 4096 * 4096 - 48);
    // In a page of one block no more than a quarter of it can stay.
    assert_eq!(value::run_bytes(BLOCK_BYTES, 8, 980), 0);
    assert_eq!(value::run_bytes(BLOCK_BYTES, 8, 1000), 1000);
    assert_eq!(value::run_bytes(BLOCK_BYTES, 8, 4948), 4048);
}
