//! The answers of `query` and `count` against the same questions asked of the JSON itself.

use std::cmp::Ordering;

use serde_json::Value;

use crate::support::{Folder, data};

/// Both data sets in one database, imported as the documentation says.
fn library() -> Folder {
    let folder = Folder::new();
    let movies = data("movies.json");
    let countries = data("countries.json");
    let import = ["import", "library.any"];
    let run = |rest: &[&std::ffi::OsStr]| {
        folder.run(import.map(std::ffi::OsStr::new).iter().chain(rest)).ok()
    };
    run(&["movies".as_ref(), movies.as_ref(), "--auto-id".as_ref()]);
    run(&["countries".as_ref(), countries.as_ref(), "--id-field".as_ref(), "cca3".as_ref()]);
    folder
}

fn documents(name: &str) -> Vec<Value> {
    let text = std::fs::read(data(name)).expect("the data set is there");
    serde_json::from_slice(&text).expect("the data set is JSON")
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line is a document")).collect()
}

type Question = (&'static str, fn(&Value) -> bool);

/// Filters on the films, and what they mean.
const MOVIE_QUESTIONS: [Question; 9] = [
    ("{}", |_| true),
    ("{'Major Genre': 'Western'}", |film| film["Major Genre"] == "Western"),
    ("{Director: null}", |film| film["Director"].is_null()),
    ("{'IMDB Rating': {$gte: 8.5}}", |film| film["IMDB Rating"].as_f64().is_some_and(|r| r >= 8.5)),
    ("{Title: {$gt: 0}}", |film| film["Title"].as_f64().is_some_and(|title| title > 0.0)),
    ("{Title: {$gte: 'X'}}", |film| film["Title"].as_str().is_some_and(|title| title >= "X")),
    ("{$or: [{Director: 'Steven Spielberg'}, {Director: 'Joel Coen'}]}", |film| {
        film["Director"] == "Steven Spielberg" || film["Director"] == "Joel Coen"
    }),
    ("{'MPAA Rating': {$in: ['G', 'PG']}, 'US Gross': {$gt: 200000000}}", |film| {
        (film["MPAA Rating"] == "G" || film["MPAA Rating"] == "PG")
            && film["US Gross"].as_i64().is_some_and(|gross| gross > 200_000_000)
    }),
    ("{'Rotten Tomatoes Rating': {$not: {$lt: 95}}}", |film| {
        film["Rotten Tomatoes Rating"].as_i64().is_none_or(|rating| rating >= 95)
    }),
];

const COUNTRY_QUESTIONS: [Question; 7] = [
    ("{}", |_| true),
    ("{cca3: 'DEU'}", |country| country["cca3"] == "DEU"),
    ("{borders: 'DEU'}", |country| {
        country["borders"].as_array().is_some_and(|borders| borders.contains(&"DEU".into()))
    }),
    ("{'languages.fra': {$exists: true}}", |country| country["languages"].get("fra").is_some()),
    ("{'currencies.EUR.symbol': {$exists: true}, region: {$ne: 'Europe'}}", |country| {
        country["currencies"]["EUR"].get("symbol").is_some() && country["region"] != "Europe"
    }),
    ("{area: {$lt: 10.5}, landlocked: false}", |country| {
        country["area"].as_f64().is_some_and(|area| area < 10.5) && country["landlocked"] == false
    }),
    ("{$nor: [{independent: true}, {unMember: true}]}", |country| {
        country["independent"] != true && country["unMember"] != true
    }),
];

#[test]
fn counts_and_results_are_those_of_the_json() {
    let folder = library();
    let sets = [
        ("movies", documents("movies.json"), &MOVIE_QUESTIONS[..]),
        ("countries", documents("countries.json"), &COUNTRY_QUESTIONS[..]),
    ];
    for (collection, documents, questions) in sets {
        for (filter, holds) in questions {
            let expected: Vec<Value> =
                documents.iter().filter(|document| holds(document)).cloned().collect();
            let count = folder.run(["count", "library.any", collection, filter]).ok();
            assert_eq!(count.trim(), expected.len().to_string(), "{collection} {filter}");
            let mut found = lines(&folder.run(["query", "library.any", collection, filter]).ok());
            if collection == "movies" {
                // The ids are new, and follow the order of the import.
                for film in &mut found {
                    film.as_object_mut().and_then(|film| film.remove("id")).expect("an id");
                }
                assert_eq!(found, expected, "{filter}");
            } else {
                let mut expected = expected;
                expected.sort_by_key(|country| country["cca3"].to_string());
                assert_eq!(found, expected, "{filter}");
            }
        }
    }
}

#[test]
fn sort_skip_limit_and_project_are_those_of_the_json() {
    let folder = library();
    let mut expected = documents("countries.json");
    expected.retain(|country| country["region"] == "Africa");
    let area = |country: &Value| country["area"].as_f64().expect("a country has an area");
    expected.sort_by(|a, b| {
        area(b).total_cmp(&area(a)).then_with(|| a["cca3"].as_str().cmp(&b["cca3"].as_str()))
    });
    let query = ["query", "library.any", "countries", "{region: 'Africa'}"];
    let shape = ["--sort", "-area", "--skip", "3", "--limit", "10", "--project", "{area: 1}"];
    let found = lines(&folder.run(query.iter().chain(&shape)).ok());
    let expected: Vec<Value> = expected[3..13]
        .iter()
        .map(|country| serde_json::json!({ "cca3": country["cca3"], "area": country["area"] }))
        .collect();
    assert_eq!(found, expected);

    // By an order over all types: missing and null first, then numbers, then text.
    let rank = |film: &Value| match &film["Title"] {
        Value::Null => (0, 0.0, String::new()),
        Value::Number(number) => (1, number.as_f64().expect("a number"), String::new()),
        title => (2, 0.0, title.as_str().expect("text").to_owned()),
    };
    let mut titles: Vec<_> = documents("movies.json").iter().map(rank).collect();
    titles.sort_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
    let query = ["query", "library.any", "movies", "--sort", "Title", "--project", "{Title: 1}"];
    let found: Vec<_> = lines(&folder.run(query).ok()).iter().map(rank).collect();
    assert_eq!(found, titles);
}

#[test]
fn one_array_and_indented_documents_hold_the_same() {
    let folder = library();
    let query = ["query", "library.any", "countries", "{region: 'Oceania'}"];
    let by_line = lines(&folder.run(query).ok());
    assert!(by_line.len() > 20);
    let array: Vec<Value> =
        serde_json::from_str(&folder.run(query.iter().chain(&["--json"])).ok()).expect("JSON");
    let pretty = folder.run(query.iter().chain(&["--pretty"])).ok();
    assert!(pretty.starts_with("{\n  \""));
    let pretty: Vec<Value> = serde_json::Deserializer::from_str(&pretty)
        .into_iter()
        .collect::<Result<_, _>>()
        .expect("documents one after the other");
    assert_eq!(array, by_line);
    assert_eq!(pretty, by_line);
    assert_eq!(
        folder.run(["query", "library.any", "countries", "{cca3: 'x'}", "--json"]).ok(),
        "[]\n"
    );
}
