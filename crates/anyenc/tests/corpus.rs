//! The seeds of the fuzz targets, replayed: each as it is, cut off at every byte, and with single
//! bytes changed.

#[allow(dead_code, reason = "each test file uses some of it")]
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
        // Long seeds are changed here and there only, so that the sum of all stays small.
        let step = seed.len() / 100 + 1;
        for place in (0..seed.len()).step_by(step) {
            body(&seed[..place]);
            let mut changed = seed.clone();
            for byte in [
                0x00,
                0x01,
                0x10,
                0x17,
                b'"',
                b'}',
                0x7F,
                0xFF,
                seed[place] ^ 1,
                seed[place] ^ 0x80,
            ] {
                changed[place] = byte;
                body(&changed);
            }
        }
    }
}

#[test]
fn value_decode() {
    replay("value_decode", bodies::value_decode);
}

#[test]
fn value_order() {
    replay("value_order", bodies::value_order);
}

#[test]
fn json_parse() {
    replay("json_parse", bodies::json_parse);
}

#[test]
fn extended_json() {
    replay("extended_json", bodies::extended_json);
}

#[test]
fn key_codec() {
    replay("key_codec", bodies::key_codec);
}
