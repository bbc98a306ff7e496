//! How good the plans are that the planner chooses: each query by the chosen plan, by a walk over the
//! documents and by each index that a hint can force, all in one run.
//!
//! usage: plan_quality [--documents N] [--queries N] [--seed N] [--show all]
//!
//! The queries are drawn over three collections with five indexes each: films, countries, and the
//! benchmark's documents. Conditions and sorts are made of values that the documents have. Prints a
//! table of the queries, the worst first, and what share of them is within 1.5 times the best plan.

use std::time::{Duration, Instant};

use any_store::{Collection, CollectionOptions, Database, Document, Value, doc};
use any_store_bench::dataset::{Dataset, Rng};
use any_store_bench::measure::Arguments;
use anyenc::Path;

const MOVIES: &str = include_str!("../../../crates/cli/data/movies.json");
const COUNTRIES: &str = include_str!("../../../crates/cli/data/countries.json");

/// A run of a query is repeated until it has taken so long, and its best time counts.
const LEAST_TIME: Duration = Duration::from_millis(4);
const MAX_REPEATS: u32 = 25;

/// A collection, its indexes, and the fields that queries ask about.
struct Subject {
    name: &'static str,
    collection: Collection,
    indexes: Vec<String>,
    fields: &'static [&'static str],
    samples: Vec<Document>,
}

#[derive(Clone, Debug, Default)]
struct Query {
    filter: Document,
    sort: Vec<String>,
    limit: u64,
    is_count: bool,
}

fn main() {
    let arguments = Arguments::read();
    let seed = arguments.number("seed", 1);
    let mut random = Rng::derived(seed);
    let db = Database::in_memory().expect("a database");
    let subjects = [
        films(&db),
        countries(&db),
        benchmark(&db, arguments.number("documents", 100_000)),
    ];
    let mut rows = Vec::new();
    for at in 0..arguments.number("queries", 100) {
        let subject = &subjects[(at % 3) as usize];
        let query = query(&mut random, subject);
        rows.push(measure(subject, query));
    }
    rows.sort_by(|a, b| b.ratio.total_cmp(&a.ratio));
    report(seed, &rows, arguments.text("show", "worst") == "all");
}

fn parsed(text: &str) -> Vec<Document> {
    let Ok(Value::Array(items)) = anyenc::parse(text.as_bytes()) else { panic!("an array") };
    let document = |item| match item {
        Value::Object(document) => document,
        _ => panic!("a document"),
    };
    items.into_iter().map(document).collect()
}

fn subject(
    db: &Database,
    name: &'static str,
    documents: Vec<Document>,
    indexes: &[&[&str]],
    fields: &'static [&'static str],
) -> Subject {
    let options = CollectionOptions::new().auto_id(true);
    let collection = db.create_collection(name, options).expect("a collection");
    for part in documents.chunks(1000) {
        collection.insert_many(part).expect("inserted");
    }
    let indexes = indexes.iter().map(|fields| {
        collection.create_index(fields.iter().copied().collect::<Vec<_>>()).expect("an index")
    });
    let indexes = indexes.collect();
    Subject { name, collection, indexes, fields, samples: documents }
}

fn films(db: &Database) -> Subject {
    let indexes: [&[&str]; 5] = [
        &["Major Genre"],
        &["IMDB Rating"],
        &["Distributor", "-US Gross"],
        &["Director"],
        &["MPAA Rating", "Running Time min"],
    ];
    let fields = &[
        "Major Genre", "IMDB Rating", "Distributor", "US Gross", "Director", "MPAA Rating",
        "Running Time min", "IMDB Votes", "Source",
    ];
    subject(db, "films", parsed(MOVIES), &indexes, fields)
}

fn countries(db: &Database) -> Subject {
    let indexes: [&[&str]; 5] =
        [&["region", "area"], &["subregion"], &["borders"], &["cca2"], &["landlocked", "-area"]];
    let fields =
        &["region", "area", "subregion", "borders", "cca2", "landlocked", "name.common", "tld"];
    subject(db, "countries", parsed(COUNTRIES), &indexes, fields)
}

fn benchmark(db: &Database, count: u64) -> Subject {
    let dataset = Dataset::new();
    let documents = (0..count).map(|at| {
        anyenc::parse_document(dataset.document(at).as_bytes()).expect("a document").to_document()
    });
    let documents = documents.map(|document| document.expect("a document")).collect();
    let indexes: [&[&str]; 5] =
        [&["city", "-age"], &["age"], &["email"], &["tags"], &["createdAt"]];
    let fields = &["city", "age", "email", "tags", "createdAt", "score", "name", "address.zip"];
    subject(db, "benchmark", documents, &indexes, fields)
}

/// A value that some document has at a path; an element, where it is an array.
fn sample(random: &mut Rng, subject: &Subject, field: &str) -> Value {
    let path = Path::parse(field).expect("a path");
    for _ in 0..20 {
        let at = random.below(subject.samples.len() as u64) as usize;
        let mut value = Some(&Value::Object(subject.samples[at].clone())).cloned();
        for part in path.segments() {
            value = match value {
                Some(Value::Object(object)) => object.get(&part.name).cloned(),
                _ => None,
            };
        }
        match value {
            Some(Value::Array(items)) if !items.is_empty() => {
                return items[random.below(items.len() as u64) as usize].clone();
            }
            Some(Value::Null | Value::Array(_)) | None => {}
            Some(value) => return value,
        }
    }
    Value::Null
}

fn condition(random: &mut Rng, subject: &Subject, field: &str) -> Value {
    let mut pick = |random: &mut Rng| sample(random, subject, field);
    match random.below(8) {
        0..=2 => pick(random),
        3 => doc! { "$gte": pick(random) }.into(),
        4 => doc! { "$lt": pick(random) }.into(),
        5 => {
            let (low, high) = (pick(random), pick(random));
            doc! { "$gte": low, "$lt": high }.into()
        }
        6 => {
            let members: Vec<Value> = (0..1 + random.below(4)).map(|_| pick(random)).collect();
            doc! { "$in": members }.into()
        }
        _ => doc! { "$ne": pick(random) }.into(),
    }
}

fn query(random: &mut Rng, subject: &Subject) -> Query {
    let field = |random: &mut Rng| subject.fields[random.below(subject.fields.len() as u64) as usize];
    let mut query = Query::default();
    for _ in 0..1 + random.below(3) {
        let name = field(random);
        query.filter.insert(name, condition(random, subject, name));
    }
    if random.below(6) == 0 {
        let branch = |random: &mut Rng| {
            let name = field(random);
            let mut branch = Document::new();
            branch.insert(name, condition(random, subject, name));
            Value::Object(branch)
        };
        let branches = vec![branch(random), branch(random)];
        query.filter = doc! { "$or": branches };
    }
    if random.below(2) == 0 {
        let sign = if random.below(2) == 0 { "-" } else { "" };
        query.sort.push(format!("{sign}{}", field(random)));
    }
    if random.below(2) == 0 {
        query.limit = [1, 10, 20, 100][random.below(4) as usize];
    }
    query.is_count = query.sort.is_empty() && random.below(4) == 0;
    query
}

/// Runs a query by the plan that a hint names, or the chosen one; `None` where the hint cannot serve.
fn run(subject: &Subject, query: &Query, hint: Option<&str>) -> Option<(Duration, u64)> {
    let mut find = subject.collection.find(query.filter.clone()).limit(query.limit);
    if !query.sort.is_empty() {
        find = find.sort(query.sort.clone());
    }
    if let Some(hint) = hint {
        find = find.hint(hint);
    }
    let begun = Instant::now();
    let rows = if query.is_count {
        find.count().ok()?
    } else {
        let mut rows = 0;
        let mut cursor = find.run().ok()?;
        while cursor.next_raw().ok()?.is_some() {
            rows += 1;
        }
        rows
    };
    Some((begun.elapsed(), rows))
}

struct Row {
    text: String,
    chosen: Duration,
    best: Duration,
    best_name: String,
    ratio: f64,
}

fn measure(subject: &Subject, query: Query) -> Row {
    let hints = subject.indexes.iter().map(String::as_str).chain(["$natural"]);
    let ways: Vec<Option<&str>> = std::iter::once(None).chain(hints.map(Some)).collect();
    let mut times = vec![Duration::MAX; ways.len()];
    let mut rows = None;
    let mut spent = Duration::ZERO;
    // Rounds over all ways, so that a busy moment of the machine meets all of them.
    for round in 0..MAX_REPEATS {
        for (way, time) in ways.iter().zip(&mut times) {
            // What is hopeless is not repeated.
            if round > 1 && *time > LEAST_TIME * 20 {
                continue;
            }
            let Some((taken, found)) = run(subject, &query, *way) else { continue };
            assert_eq!(*rows.get_or_insert(found), found, "{way:?} {query:?}");
            *time = (*time).min(taken);
            spent += taken;
        }
        if round > 4 && spent > LEAST_TIME * 40 {
            break;
        }
    }
    let chosen = times[0];
    let (best_at, best) =
        times.iter().enumerate().min_by_key(|(_, time)| **time).expect("the chosen one at least");
    let text = format!(
        "{}.{}({}){}{}",
        subject.name,
        if query.is_count { "count" } else { "find" },
        query.filter,
        query.sort.first().map_or(String::new(), |sort| format!(" sort {sort}")),
        if query.limit > 0 { format!(" limit {}", query.limit) } else { String::new() },
    );
    let best_name = ways[best_at].unwrap_or("chosen").to_owned();
    let ratio = chosen.as_secs_f64() / best.as_secs_f64();
    Row { text, chosen, best: *best, best_name, ratio }
}

fn report(seed: u64, rows: &[Row], shows_all: bool) {
    let shown = if shows_all { rows.len() } else { 15 };
    println!("| chosen | best | ratio | best plan | query |\n|---|---|---|---|---|");
    for row in rows.iter().take(shown) {
        let (chosen, best) = (row.chosen.as_secs_f64() * 1e6, row.best.as_secs_f64() * 1e6);
        let query: String = row.text.replace('|', "\\|").chars().take(160).collect();
        println!("| {chosen:.0} us | {best:.0} us | {:.2} | {} | `{query}` |", row.ratio, row.best_name);
    }
    let within = rows.iter().filter(|row| row.ratio <= 1.5).count();
    let beyond = rows.iter().filter(|row| row.ratio > 5.0).count();
    println!("\nseed {seed}: {within} of {} within 1.5 times the best plan, {beyond} over 5 times", rows.len());
}
