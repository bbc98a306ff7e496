//! The main job: `any-store demo` with nothing else.

use crate::support::Folder;

#[test]
fn the_demo_runs_from_anywhere_and_fits_two_screens() {
    let folder = Folder::new();
    let temp = folder.path("");
    let output = folder.command(["demo"]).env("TMPDIR", &temp).output().expect("the binary runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.lines().count() <= 48, "{} lines", text.lines().count());
    for expected in [
        "3,201 documents",
        "250 documents",
        "{\"Title\":\"The Godfather\",\"IMDB Rating\":9.2}",
        "{\"Title\":9,\"Director\":",
        "\n      3\n",
        "{\"name\":{\"common\":\"France\"},\"cca3\":\"FRA\",\"area\":551695}",
        "favourites: 6 inside the transaction, 0 for everybody else, 6 after the commit",
        "no damage",
    ] {
        assert!(text.contains(expected), "no {expected:?} in:\n{text}");
    }
    let path = text.split_whitespace().find(|word| word.ends_with("demo.any")).expect("a path");
    folder.check(path);
    assert_eq!(folder.run(["count", path, "movies"]).ok(), "3201\n");
}

#[test]
fn the_demo_leaves_existing_files_alone() {
    let folder = Folder::new();
    folder.run(["demo", "library.any"]).ok();
    assert_eq!(folder.run(["count", "library.any", "countries"]).ok(), "250\n");
    folder.write("notes.txt", "mine");
    assert!(folder.run(["demo", "notes.txt"]).fails_with(1).contains("exists already"));
    assert_eq!(folder.read("notes.txt"), b"mine");
}

#[test]
fn the_licences_of_the_documents_are_at_hand() {
    let notice = Folder::new().run(["demo", "--notice"]).ok();
    assert!(notice.contains("BSD 3-Clause") && notice.contains("ODbL"));
}
