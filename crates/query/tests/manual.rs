//! The examples of `docs/query.md`, run.

use any_store_query::bounds::Keys;
use any_store_query::{
    Applied, ApplyContext, Filter, ParseErrorKind, Projection, Sort, SortError, Update,
    filter_operators, update_operators,
};
use anyenc::RawDocumentBuf;

const MANUAL: &str = include_str!("../../../docs/query.md");

/// The lines of a block of examples, each cut at its bars.
fn examples(kind: &str) -> Vec<[&'static str; 3]> {
    let start = format!("```{kind}\n");
    let (_, rest) = MANUAL.split_once(start.as_str()).expect("the block is there");
    let (block, _) = rest.split_once("```").expect("the block ends");
    let cut = |line: &'static str| {
        let parts: Vec<&str> = line.split(" | ").collect();
        <[&str; 3]>::try_from(parts).unwrap_or_else(|_| panic!("{line}"))
    };
    block.lines().map(cut).collect()
}

fn stored(text: &str) -> RawDocumentBuf {
    anyenc::parse_document(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn each_filter_matches_the_one_document_and_not_the_other() {
    let examples = examples("filters");
    for [filter, matching, other] in &examples {
        let parsed = Filter::from_json(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
        assert_eq!(parsed.matches(stored(matching).as_raw()), Ok(true), "{filter} {matching}");
        assert_eq!(parsed.matches(stored(other).as_raw()), Ok(false), "{filter} {other}");
    }
    for operator in filter_operators() {
        let name = format!("\"{}\"", operator.name);
        assert!(examples.iter().any(|[filter, ..]| filter.contains(&name)), "{name}");
    }
}

#[test]
fn each_projection_shows_what_is_said() {
    for [projection, document, shown] in examples("projections") {
        let projection = Projection::from_json(projection, "id").unwrap();
        let got = projection.project(stored(document).as_raw()).unwrap();
        assert_eq!(got, stored(shown), "{document}");
    }
}

#[test]
fn each_update_does_what_is_said() {
    let examples = examples("updates");
    for [update, document, wanted] in &examples {
        let before = stored(document);
        let got = match Update::from_json(update) {
            Err(error) if error.kind == ParseErrorKind::Conflict => "conflict".to_owned(),
            Err(error) => panic!("{update}: {error}"),
            Ok(update) => match update.apply(before.as_raw(), ApplyContext::update()) {
                Ok(Applied::Unchanged) => before.to_string(),
                Ok(Applied::Changed(after)) => after.to_string(),
                Err(error) => format!("{:?}", error.kind).to_lowercase(),
            },
        };
        assert_eq!(got, *wanted, "{update} {document}");
    }
    for operator in update_operators() {
        let name = format!("\"{}\"", operator.name);
        assert!(examples.iter().any(|[update, ..]| update.contains(&name)), "{name}");
    }
}

fn filter(text: &str) -> Filter {
    Filter::from_json(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The ids of documents, given one behind the other, in the order of a sort.
fn sorted(sort: &str, documents: &str) -> Result<String, SortError> {
    let sort = Sort::from_json(sort).unwrap_or_else(|error| panic!("{sort}: {error}"));
    let mut keyed = Vec::new();
    for document in documents.replace("} {", "}\n{").lines() {
        let (document, mut key) = (stored(document), Vec::new());
        sort.key(document.as_raw(), &mut key)?;
        keyed.push((key, document.get("id").unwrap().unwrap().to_value().unwrap()));
    }
    keyed.sort();
    let ids: Vec<String> = keyed.iter().map(|(_, id)| id.to_string()).collect();
    Ok(ids.join(" "))
}

#[test]
fn each_sort_gives_the_order_that_is_said() {
    for [sort, documents, wanted] in examples("sorts") {
        match sorted(sort, documents) {
            Ok(ids) => assert_eq!(ids, wanted, "{sort} {documents}"),
            Err(error) => assert!(error.to_string().contains(wanted), "{sort}: {error}"),
        }
    }
}

#[test]
fn each_filter_has_the_bounds_that_are_said() {
    for [text, one, several] in examples("bounds") {
        for (keys, wanted) in [(Keys::OnePerDocument, one), (Keys::Several, several)] {
            let bounds = filter(text).bounds("a", keys);
            let got = match (bounds.is_all(), bounds.is_exact()) {
                (true, _) => "none",
                (false, true) => "exact",
                (false, false) => "narrower",
            };
            assert_eq!(got, wanted, "{text} {keys:?}");
        }
    }
}

#[test]
fn each_sparse_or_partial_index_serves_what_is_said() {
    let said = |answer| if answer { "yes" } else { "no" };
    for [text, path, wanted] in examples("presence") {
        assert_eq!(said(filter(text).implies_present(path)), wanted, "{text} {path}");
    }
    for [text, partial, wanted] in examples("implied") {
        assert_eq!(said(filter(text).implies(&filter(partial))), wanted, "{text} {partial}");
    }
}
