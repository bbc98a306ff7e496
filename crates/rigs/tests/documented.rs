//! What docs/testing.md says of tests is true of the sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Names of functions that are tests, or look like it.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let names = text.lines().filter_map(|line| line.trim_start().strip_prefix("fn "));
            found.extend(names.filter_map(|rest| rest.split('(').next()).map(str::to_owned));
        }
    }
}

#[test]
fn every_test_and_planted_bug_that_is_named_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join("docs/testing.md")).unwrap();
    let planted = fs::read_to_string(root.join("crates/sim/planted.sh")).unwrap();
    let (_, classes) =
        text.split_once("## Classes of bugs").expect("the section on classes of bugs");
    let mut functions_there = BTreeSet::new();
    functions(&root.join("crates"), &mut functions_there);
    let mut named = 0;
    for row in classes.lines().filter(|line| line.starts_with('|')) {
        for name in row.split('`').skip(1).step_by(2).filter(|name| name.contains('_')) {
            named += 1;
            let is_planted = planted.contains(&format!("\"{name}|"));
            let is_there = functions_there.contains(name) || is_planted;
            assert!(is_there, "{name} is no test and no planted bug: {row}");
        }
    }
    assert!(named > 150, "{named} names are too few: has the table moved?");
}
