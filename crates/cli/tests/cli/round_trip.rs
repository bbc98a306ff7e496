//! What is exported can be imported, and comes out as it went in.

use crate::support::{Folder, data};

#[test]
fn real_documents_survive_export_and_import_to_the_byte() {
    for (name, flag) in
        [("movies.json", &["--auto-id"][..]), ("countries.json", &["--id-field", "cca3"])]
    {
        for format in [&["--format", "jsonl"][..], &["--format", "array"], &["--canonical"]] {
            let folder = Folder::new();
            let source = data(name);
            let import = ["import", "a.any", "docs", source.to_str().expect("a plain path")];
            folder.run(import.iter().chain(flag)).ok();
            folder.run(["export", "a.any", "docs", "first.json"].iter().chain(format)).ok();
            folder.run(["import", "b.any", "docs", "first.json"].iter().chain(flag)).ok();
            folder.run(["export", "b.any", "docs", "second.json"].iter().chain(format)).ok();
            assert_eq!(folder.read("first.json"), folder.read("second.json"), "{name} {format:?}");
            assert!(folder.read("first.json").len() > 500_000);
            folder.check("a.any");
            folder.check("b.any");
        }
    }
}

/// Lines that must come out exactly as they went in.
const EXACT: [&str; 12] = [
    r#"{"id":1,"n":9223372036854775807}"#,
    r#"{"id":2,"n":-9223372036854775808}"#,
    r#"{"id":3,"n":9007199254740993}"#,
    r#"{"id":4,"z":1,"a":2,"m":{"z":3,"a":4}}"#,
    r#"{"id":5,"":{"":[]},"e":{}}"#,
    r#"{"id":6,"s":"a\u0000b"}"#,
    "{\"id\":7,\"s\":\"\u{1F600}\u{1F468}\u{200D}\u{1F469}\u{4E2D}\u{e9}\"}",
    r#"{"id":8,"d":1.5,"e":-0.0,"f":5e-324,"g":1.7976931348623157e308}"#,
    r#"{"id":9,"o":{"$oid":"66000000005a17c0ffee0000"},"b":{"$binary":{"base64":"AAEC","subType":"04"}}}"#,
    r#"{"id":10,"d":{"$date":"2020-01-02T03:04:05.678Z"},"r":{"$regularExpression":{"pattern":"a","options":"i"}}}"#,
    r#"{"id":11,"n":{"$numberDouble":"NaN"},"i":{"$numberDouble":"-Infinity"}}"#,
    r#"{"id":12,"a":[null,true,false,[],[[]],{"b":[1.0,1]}]}"#,
];

#[test]
fn every_digit_type_and_order_is_kept() {
    let folder = Folder::new();
    let text = EXACT.join("\n") + "\n";
    folder.run_with(["import", "a.any", "docs", "-"], text.as_bytes()).ok();
    assert_eq!(folder.export("a.any", "docs"), text);
    folder.run(["export", "a.any", "docs", "canonical.json", "--canonical"]).ok();
    folder.run(["import", "b.any", "docs", "canonical.json"]).ok();
    assert_eq!(folder.export("b.any", "docs"), text);
    folder.check("a.any");
}

#[test]
fn the_shell_keeps_them_too() {
    let folder = Folder::new();
    let mut script = String::from("db.createCollection('docs')\n");
    for line in EXACT {
        script += &format!("db.docs.insert({line});\n");
    }
    folder.write("script.txt", script);
    folder.run(["shell", "a.any", "--create", "-f", "script.txt"]).ok();
    assert_eq!(folder.export("a.any", "docs"), EXACT.join("\n") + "\n");
}

#[test]
fn an_export_takes_part_of_the_collection_in_order() {
    let folder = Folder::new();
    let text: String =
        (0..100).map(|id| format!("{{\"id\":{id},\"n\":{},\"x\":0}}\n", id % 7)).collect();
    folder.run_with(["import", "a.any", "docs"], text.as_bytes()).ok();
    let export = ["export", "a.any", "docs", "--filter", "{n: {$gte: 5}}", "--sort", "-n,id"];
    let found = folder.run(export.iter().chain(&["--limit", "3", "--fields", "n"])).ok();
    assert_eq!(found, "{\"id\":6,\"n\":6}\n{\"id\":13,\"n\":6}\n{\"id\":20,\"n\":6}\n");
}
