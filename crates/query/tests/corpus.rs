//! The seeds of the fuzz targets, replayed: each as it is, cut off at every byte, and with single
//! bytes changed.

#[allow(dead_code, reason = "each test uses one body")]
mod bodies;

use std::path::Path;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 10, "{folder:?} holds {} seeds", paths.len());
    paths.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn replay(target: &str, body: fn(&[u8])) {
    for seed in seeds(target) {
        body(&seed);
        for place in 0..seed.len() {
            body(&seed[..place]);
            let mut changed = seed.clone();
            for byte in [0x00, b'"', b'}', b'$', b'.', b'9', b'\n', 0xFF, seed[place] ^ 1] {
                changed[place] = byte;
                body(&changed);
            }
        }
    }
}

#[test]
fn filter() {
    replay("filter", bodies::filter);
}

#[test]
fn sort() {
    replay("sort", bodies::sort);
}

#[test]
fn projection() {
    replay("projection", bodies::projection);
}

#[test]
fn update() {
    replay("update", bodies::update);
}
