//! How good the plans are that the planner chooses: each query by the chosen plan, by a walk over the
//! documents and by each index that a hint can force, all in one run.
//!
//! usage: plan_quality [--documents N] [--queries N] [--seed N] [--show all|plans]
//!
//! The queries are drawn over three collections with five indexes each: films, countries, and the
//! benchmark's documents. Conditions and sorts are made of values that the documents have. Prints a
//! table of the queries, the worst first, and what share of them is within 1.5 times the best plan.

use std::time::{Duration, Instant};

use any_store::{
    Collection, CollectionOptions, Database, Document, ErrorKind, Explain, Find, Value, doc,
};
use any_store_bench::dataset::{Dataset, Rng};
use any_store_bench::measure::{Arguments, ThreadClock, busy_time};
use anyenc::Path;

const MOVIES: &str = include_str!("../../../crates/cli/data/movies.json");
const COUNTRIES: &str = include_str!("../../../crates/cli/data/countries.json");

/// A way is run until all its runs have taken so long, and at least and at most so many times. The
/// least of its times counts.
const LEAST_TIME: Duration = Duration::from_millis(30);
const MIN_RUNS: u32 = 4;
const MAX_RUNS: u32 = 40;
/// A way that takes so many times as long as the best one is not repeated.
const HOPELESS: u32 = 4;
/// Runs above this pay for their cold caches themselves.
const LONG_RUN: Duration = Duration::from_millis(10);

/// A collection, its indexes, and the fields that queries ask about.
struct Subject {
    name: &'static str,
    collection: Collection,
    indexes: Vec<String>,
    fields: &'static [&'static str],
    samples: Vec<Document>,
    clock: ThreadClock,
}

#[derive(Clone, Debug, Default)]
struct Query {
    filter: Document,
    sort: Option<String>,
    limit: u64,
    is_count: bool,
}

fn main() {
    let arguments = Arguments::read();
    let seed = arguments.number("seed", 1);
    let mut random = Rng::derived(seed);
    let db = Database::in_memory().expect("a database");
    let subjects =
        [films(&db), countries(&db), benchmark(&db, arguments.number("documents", 100_000))];
    let mut rows = Vec::new();
    for at in 0..arguments.number("queries", 100) {
        let subject = &subjects[(at % 3) as usize];
        let query = query(&mut random, subject);
        rows.push(measure(subject, query));
    }
    rows.sort_by(|a, b| b.ratio.total_cmp(&a.ratio));
    match arguments.text("show", "worst") {
        "plans" => plans(&rows),
        show => report(seed, &rows, show == "all"),
    }
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
    Subject { name, collection, indexes, fields, samples: documents, clock: ThreadClock::new() }
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
        "Major Genre",
        "IMDB Rating",
        "Distributor",
        "US Gross",
        "Director",
        "MPAA Rating",
        "Running Time min",
        "IMDB Votes",
        "Source",
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
    let pick = |random: &mut Rng| sample(random, subject, field);
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
    let field =
        |random: &mut Rng| subject.fields[random.below(subject.fields.len() as u64) as usize];
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
        query.sort = Some(format!("{sign}{}", field(random)));
    }
    if random.below(2) == 0 {
        query.limit = [1, 10, 20, 100][random.below(4) as usize];
    }
    query.is_count = query.sort.is_none() && random.below(4) == 0;
    query
}

/// The query by the plan that a hint names, or by the chosen one.
fn find(subject: &Subject, query: &Query, hint: Option<&str>) -> Find {
    let mut find = subject.collection.find(query.filter.clone()).limit(query.limit);
    if let Some(sort) = &query.sort {
        find = find.sort(sort.as_str());
    }
    match hint {
        Some(hint) => find.hint(hint),
        None => find,
    }
}

/// What came of running a query.
enum Run {
    /// It gave so many rows.
    Whole(u64),
    GivenUp,
    /// The hint cannot serve it.
    Refused,
}

/// Runs a query, planning included, and gives it up where its rows take longer than `patience`.
fn run(query: &Query, find: Find, patience: Duration) -> Run {
    let begun = Instant::now();
    if query.is_count {
        return find.count().map_or_else(refused, Run::Whole);
    }
    let mut cursor = match find.run() {
        Ok(cursor) => cursor,
        Err(error) => return refused(error),
    };
    let mut rows = 0;
    while cursor.next_raw().expect("a row").is_some() {
        rows += 1;
        if rows % 256 == 0 && begun.elapsed() > patience {
            return Run::GivenUp;
        }
    }
    Run::Whole(rows)
}

fn refused(error: any_store::Error) -> Run {
    assert_eq!(error.kind(), ErrorKind::InvalidOptions, "{error}");
    Run::Refused
}

struct Row {
    text: String,
    chosen: Duration,
    best: Duration,
    best_name: String,
    ratio: f64,
    plan: String,
}

/// A way to run a query, and the least time it took.
struct Way<'a> {
    hint: Option<&'a str>,
    time: Duration,
    runs: u32,
    spent: Duration,
}

impl Way<'_> {
    /// Runs once more, the second of two runs in a row where these are short: the first one pays for
    /// what the way before it has put out of the processor's caches.
    fn measure(
        &mut self,
        subject: &Subject,
        query: &Query,
        best: Duration,
        rows: &mut Option<u64>,
    ) {
        let patience = match self.hint {
            None => Duration::MAX,
            Some(_) => best.saturating_mul(HOPELESS).max(LONG_RUN),
        };
        let is_short = self.time < LONG_RUN;
        for _ in 0..if is_short { 2 } else { 1 } {
            let find = find(subject, query, self.hint);
            let (taken, run) = busy_time(&subject.clock, || run(query, find, patience));
            match run {
                Run::Refused => return,
                Run::GivenUp => {}
                Run::Whole(found) => {
                    assert_eq!(*rows.get_or_insert(found), found, "{:?} {query:?}", self.hint);
                }
            }
            self.time = self.time.min(taken);
            self.spent += taken;
            self.runs += 1;
        }
    }

    fn is_done(&self, best: Duration) -> bool {
        let is_hopeless = self.hint.is_some() && self.time > best.saturating_mul(HOPELESS);
        is_hopeless || (self.runs >= MIN_RUNS && self.spent > LEAST_TIME) || self.runs >= MAX_RUNS
    }
}

/// Measures every way to run a query, in rounds over all of them, so that a busy moment of the machine
/// meets all.
fn measure(subject: &Subject, query: Query) -> Row {
    let hints = subject.indexes.iter().map(String::as_str).chain(["$natural"]);
    let hints = std::iter::once(None).chain(hints.map(Some));
    let mut ways: Vec<Way<'_>> = hints
        .map(|hint| Way { hint, time: Duration::MAX, runs: 0, spent: Duration::ZERO })
        .collect();
    let mut rows = None;
    let mut best = Duration::MAX;
    for round in 0..MAX_RUNS {
        let mut is_done = true;
        for way in &mut ways {
            if round > 0 && (way.runs == 0 || way.is_done(best)) {
                continue;
            }
            is_done = false;
            way.measure(subject, &query, best, &mut rows);
            best = best.min(way.time);
        }
        if is_done {
            break;
        }
    }
    let best_way = ways.iter().min_by_key(|way| way.time).expect("the chosen one at least");
    let chosen = ways[0].time;
    let explain = find(subject, &query, None).explain().expect("a plan");
    Row {
        text: text(subject, &query),
        chosen,
        best,
        best_name: best_way.hint.unwrap_or("chosen").to_owned(),
        ratio: chosen.as_secs_f64() / best.as_secs_f64(),
        plan: candidates(&explain),
    }
}

/// The plans that were considered, with what was expected of them.
fn candidates(explain: &Explain) -> String {
    let mut text = format!("  {}\n", explain.summary);
    for candidate in &explain.candidates {
        let scan = candidate.plan.all().last().expect("a scan at the end");
        let (cost, estimate) = (candidate.cost, candidate.estimate);
        let line = format!("  {cost:.0}: {:?} for {estimate:?}\n", scan.kind);
        text.push_str(&line);
    }
    text
}

fn text(subject: &Subject, query: &Query) -> String {
    format!(
        "{}.{}({}){}{}",
        subject.name,
        if query.is_count { "count" } else { "find" },
        query.filter,
        query.sort.as_ref().map_or(String::new(), |sort| format!(" sort {sort}")),
        if query.limit > 0 { format!(" limit {}", query.limit) } else { String::new() },
    )
}

fn report(seed: u64, rows: &[Row], shows_all: bool) {
    let shown = if shows_all { rows.len() } else { 15 };
    println!("| chosen | best | ratio | best plan | query |\n|---|---|---|---|---|");
    for row in rows.iter().take(shown) {
        let (chosen, best) = (row.chosen.as_secs_f64() * 1e6, row.best.as_secs_f64() * 1e6);
        let query: String = row.text.replace('|', "\\|").chars().take(160).collect();
        println!(
            "| {chosen:.0} us | {best:.0} us | {:.2} | {} | `{query}` |",
            row.ratio, row.best_name
        );
    }
    let within = rows.iter().filter(|row| row.ratio <= 1.5).count();
    let beyond = rows.iter().filter(|row| row.ratio > 5.0).count();
    println!(
        "\nseed {seed}: {within} of {} within 1.5 times the best plan, {beyond} over 5 times",
        rows.len()
    );
}

/// The plans of the queries that went worst.
fn plans(rows: &[Row]) {
    for row in rows.iter().filter(|row| row.ratio > 1.3) {
        let (chosen, best) = (row.chosen.as_secs_f64() * 1e6, row.best.as_secs_f64() * 1e6);
        println!("{}\n{chosen:.0} us, best {best:.0} us: {}", row.text, row.best_name);
        println!("{}", row.plan);
    }
}
