//! The recorded cases: what the language must answer.

use any_store_query::{
    Applied, ApplyContext, ApplyError, ApplyErrorKind, Filter, ParseError, ParseErrorKind,
    Projection, Sort, SortError, Update,
};
use anyenc::{Document, RawDocumentBuf, Value, json};

mod members;
use members::members;

/// What became of one case.
enum Outcome {
    Passed,
    Failed(String),
}

/// One case: the raw text of each member of its line.
struct Case<'l> {
    members: Vec<(&'l str, &'l str)>,
}

impl<'l> Case<'l> {
    fn text(&self, name: &str) -> Option<&'l str> {
        self.members.iter().find(|(key, _)| *key == name).map(|(_, text)| *text)
    }

    fn value(&self, name: &str) -> Option<Value> {
        self.text(name).map(|text| json::parse(text.as_bytes()).expect("cases hold valid values"))
    }

    fn is_true(&self, name: &str) -> bool {
        self.value(name) == Some(Value::Bool(true))
    }

    fn number(&self, name: &str) -> usize {
        self.value(name).and_then(|value| value.as_i64()).map_or(0, |number| number as usize)
    }

    fn want(&self) -> Want<'l> {
        Want(Case { members: members(self.text("want").expect("every case wants something")) })
    }

    /// The documents, in the order of their ids.
    fn docs(&self) -> Vec<Document> {
        let Some(Value::Array(docs)) = self.value("docs") else { panic!("no documents") };
        let mut docs: Vec<Document> = docs.into_iter().map(document).collect();
        docs.sort_by(|a, b| a.get("id").cmp(&b.get("id")));
        docs
    }

    /// The documents that the case's filter matches, encoded.
    fn matching(&self) -> Result<Vec<RawDocumentBuf>, ParseError> {
        let filter = Filter::from_json(self.text("filter").unwrap_or("{}"))?;
        let docs = self.docs();
        let encoded = docs.iter().map(|doc| RawDocumentBuf::from_document(doc).unwrap());
        Ok(encoded.filter(|doc| filter.matches(doc.as_raw()).unwrap()).collect())
    }
}

struct Want<'l>(Case<'l>);

impl Want<'_> {
    fn error(&self) -> Option<WantedError> {
        self.0.is_true("error").then(|| WantedError {
            kind: self.string("kind").unwrap_or("parse".to_owned()),
            op: self.string("op"),
            path: self.string("path"),
        })
    }

    fn string(&self, name: &str) -> Option<String> {
        self.0.value(name).and_then(|value| value.as_str().map(str::to_owned))
    }
}

#[derive(Debug)]
struct WantedError {
    kind: String,
    op: Option<String>,
    path: Option<String>,
}

impl WantedError {
    fn is(&self, error: &ParseError) -> bool {
        let kind = match error.kind {
            ParseErrorKind::Json => "json",
            ParseErrorKind::Conflict => "conflict",
            _ => "parse",
        };
        kind == self.kind
            && self.op.as_ref().is_none_or(|op| *op == error.op)
            && self.path.as_ref().is_none_or(|path| error.path.starts_with(path.as_str()))
    }
}

fn document(value: Value) -> Document {
    match value {
        Value::Object(document) => document,
        other => panic!("not a document: {other}"),
    }
}

fn run(suite: &str, text: &str, check: impl Fn(&Case<'_>) -> Outcome) -> usize {
    let mut passed = 0;
    let mut failures = Vec::new();
    for line in text.lines() {
        let case = Case { members: members(line) };
        match check(&case) {
            Outcome::Passed => passed += 1,
            Outcome::Failed(reason) => {
                failures.push(format!("{}: {reason}", case.text("name").unwrap_or("?")));
            }
        }
    }
    let shown: Vec<&str> = failures.iter().map(String::as_str).take(40).collect();
    assert!(failures.is_empty(), "{} {suite} cases failed:\n{}", failures.len(), shown.join("\n"));
    passed
}

/// Judges a request that was refused.
fn refused(case: &Case<'_>, error: &ParseError) -> Outcome {
    match case.want().error() {
        Some(wanted) if wanted.is(error) => Outcome::Passed,
        Some(wanted) => Outcome::Failed(format!("{error:?}, but wanted {wanted:?}")),
        None => Outcome::Failed(format!("refused: {error}")),
    }
}

fn compare<T: PartialEq + std::fmt::Debug>(got: T, want: T) -> Outcome {
    if got == want {
        Outcome::Passed
    } else {
        Outcome::Failed(format!("got {got:?}, but wanted {want:?}"))
    }
}

fn ids<'d>(docs: impl IntoIterator<Item = &'d RawDocumentBuf>) -> Option<Value> {
    let id = |doc: &RawDocumentBuf| doc.get("id").unwrap().unwrap().to_value().unwrap();
    Some(Value::Array(docs.into_iter().map(id).collect()))
}

fn check_filter(case: &Case<'_>) -> Outcome {
    let text = match case.value("filter_text") {
        Some(Value::String(text)) => text,
        _ => case.text("filter").expect("a filter case has a filter").to_owned(),
    };
    let filter = match Filter::from_json(&text) {
        Ok(filter) => filter,
        Err(error) => return refused(case, &error),
    };
    if let Some(wanted) = case.want().error() {
        return Outcome::Failed(format!("accepted, but wanted {wanted:?}"));
    }
    let reparsed = Filter::from_json(&filter.to_string());
    if reparsed.as_ref() != Ok(&filter) {
        return Outcome::Failed(format!("{filter} does not read back: {reparsed:?}"));
    }
    let docs: Vec<_> =
        case.docs().iter().map(|doc| RawDocumentBuf::from_document(doc).unwrap()).collect();
    let matching = docs.iter().filter(|doc| filter.matches(doc.as_raw()).unwrap());
    compare(ids(matching), case.want().0.value("ids"))
}

#[test]
fn filters() {
    assert_eq!(run("filter", include_str!("data/filter.jsonl"), check_filter), 3233);
}

fn check_sort(case: &Case<'_>) -> Outcome {
    let docs = match case.matching() {
        Ok(docs) => docs,
        Err(error) => return refused(case, &error),
    };
    let sort = match Sort::from_json(case.text("sort").expect("a sort case has a sort")) {
        Ok(sort) => sort,
        // The path that is wanted is that of the whole sort; ours is of the field at fault.
        Err(_) => {
            let wanted = case.want().error().map(|wanted| wanted.kind);
            return compare(wanted.as_deref(), Some("parse"));
        }
    };
    let mut keyed = Vec::new();
    for doc in &docs {
        let mut key = Vec::new();
        match sort.key(doc.as_raw(), &mut key) {
            Ok(()) => keyed.push((key, doc)),
            Err(SortError::ParallelArrays(_)) => {
                let wanted = case.want().error().map(|wanted| wanted.kind);
                return compare(wanted.as_deref(), Some("parallel_arrays"));
            }
            Err(error) => return Outcome::Failed(error.to_string()),
        }
    }
    // Equal keys stay in the order of ids, in which the documents are.
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    let limit = Some(case.number("limit")).filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let sorted = keyed.into_iter().map(|(_, doc)| doc).skip(case.number("offset")).take(limit);
    compare(ids(sorted), case.want().0.value("ids"))
}

#[test]
fn sorts() {
    assert_eq!(run("sort", include_str!("data/sort.jsonl"), check_sort), 431);
}

/// The kind of error that a refused change is to the database, which guards the primary key.
fn kind_of(error: &ApplyError) -> &'static str {
    if error.path == "id" || error.path.starts_with("id.") {
        return "primary_key_modification";
    }
    match error.kind {
        ApplyErrorKind::Apply => "apply",
        ApplyErrorKind::Conflict => "conflict",
        ApplyErrorKind::Overflow => "overflow",
        ApplyErrorKind::Limit => "limit",
        ApplyErrorKind::Damaged => "damaged",
    }
}

fn check_update(case: &Case<'_>) -> Outcome {
    let update = match Update::from_json(case.text("modifier").expect("an update case has one")) {
        Ok(update) => update,
        Err(error) => return refused(case, &error),
    };
    let filters = match case.value("array_filters") {
        Some(Value::Array(filters)) => filters,
        _ => Vec::new(),
    };
    let update = match update.with_array_filters(&filters) {
        Ok(update) => update,
        Err(error) => return refused(case, &error),
    };
    let filter = match Filter::from_json(case.text("filter").unwrap_or("{}")) {
        Ok(filter) => filter,
        Err(error) => return refused(case, &error),
    };
    let wanted_kind = case.want().error().map(|wanted| wanted.kind);
    let Some(Value::Object(before)) = case.value("doc") else {
        return match update.upserted(&filter, ApplyContext::insert()) {
            Err(error) => compare(Some(kind_of(&error)), wanted_kind.as_deref()),
            Ok(made) => {
                match made.get("id").unwrap() {
                    None => return compare(Some("doc_without_id"), wanted_kind.as_deref()),
                    Some(anyenc::RawValue::Array(_)) => {
                        return compare(Some("array_primary_key"), wanted_kind.as_deref());
                    }
                    Some(_) => {}
                }
                compare(
                    Some(Value::Object(made.to_document().unwrap())),
                    case.want().0.value("doc"),
                )
            }
        };
    };
    let stored = RawDocumentBuf::from_document(&before).unwrap();
    let applied = if filter.matches(stored.as_raw()).unwrap() {
        update.apply(stored.as_raw(), ApplyContext::update().matching(&filter))
    } else {
        Ok(Applied::Unchanged)
    };
    match applied {
        Err(error) => compare(Some(kind_of(&error)), wanted_kind.as_deref()),
        Ok(Applied::Unchanged) => compare(
            (Some(Value::from(before)), Some(Value::Bool(false))),
            (case.want().0.value("doc"), case.want().0.value("modified")),
        ),
        Ok(Applied::Changed(after)) => {
            after.as_raw().validate().unwrap();
            let after = after.to_document().unwrap();
            if after.get("id") != before.get("id") {
                assert!(update.touches("id"));
                return compare(Some("primary_key_modification"), wanted_kind.as_deref());
            }
            let Some(Value::Object(wanted)) = case.want().0.value("doc") else {
                return Outcome::Failed(format!("got {after}, but wanted {wanted_kind:?}"));
            };
            if case.text("want").unwrap().contains("$anyDate") {
                return Outcome::Passed;
            }
            let kinds = |document: &Document| RawDocumentBuf::from_document(document).unwrap();
            compare(
                (kinds(&after), Some(Value::Bool(true))),
                (kinds(&wanted), case.want().0.value("modified")),
            )
        }
    }
}

#[test]
fn updates() {
    assert_eq!(run("update", include_str!("data/update.jsonl"), check_update), 1853);
}

fn check_projection(case: &Case<'_>) -> Outcome {
    let text = case.text("projection").expect("a projection case has one");
    let projection = match Projection::from_json(text, "id") {
        Ok(projection) => projection,
        Err(error) => return refused(case, &error),
    };
    let filter = Filter::from_json(case.text("filter").unwrap_or("{}")).unwrap();
    let projection = match projection.for_filter(&filter) {
        Ok(projection) => projection,
        Err(error) => return refused(case, &error),
    };
    if let Some(wanted) = case.want().error() {
        return Outcome::Failed(format!("accepted, but wanted {wanted:?}"));
    }
    let mut docs = match case.matching() {
        Ok(docs) => docs,
        Err(error) => return refused(case, &error),
    };
    let sort = case.text("sort").map_or(Sort::none(), |text| Sort::from_json(text).unwrap());
    docs.sort_by_cached_key(|doc| {
        let mut key = Vec::new();
        sort.key(doc.as_raw(), &mut key).unwrap();
        key
    });
    let shown = docs.iter().map(|doc| {
        let shown = projection.project(doc.as_raw()).unwrap();
        shown.as_raw().validate().unwrap();
        Value::from(shown.to_document().unwrap())
    });
    compare(Some(Value::Array(shown.collect())), case.want().0.value("docs"))
}

#[test]
fn projections() {
    assert_eq!(run("projection", include_str!("data/projection.jsonl"), check_projection), 150);
}
