//! The prices of the kinds of work that plans are made of, measured: what the planner's constants rest on.
//!
//! usage: plan_costs [--documents N] [--rounds N]
//!
//! Each kind of work is the difference between two queries over the benchmark's documents, forced to
//! a plan and divided by the times it is done. Time in which the thread waited for a processor does
//! not count, and of each query the least of all rounds does. The unit is a step over one index entry.

use std::time::Duration;

use any_store::{Collection, CollectionOptions, Database, Document, Value, doc};
use any_store_bench::dataset::Dataset;
use any_store_bench::measure::{Arguments, ThreadClock, busy_time};

fn main() {
    let arguments = Arguments::read();
    let count = arguments.number("documents", 100_000);
    let db = Database::in_memory().expect("a database");
    let bench = Bench {
        collection: collection(&db, count),
        clock: ThreadClock::new(),
        rounds: arguments.number("rounds", 7),
    };
    let prices = bench.prices(count as f64);
    let unit = prices[0].1;
    println!("| work | ns | units |\n|---|---|---|");
    for (name, nanoseconds) in prices {
        println!("| {name} | {nanoseconds:.0} | {:.1} |", nanoseconds / unit);
    }
    println!("\nplanning: {:.1} us", bench.planning().as_secs_f64() * 1e6);
}

fn collection(db: &Database, count: u64) -> Collection {
    let dataset = Dataset::new();
    let options = CollectionOptions::new().auto_id(true);
    let collection = db.create_collection("benchmark", options).expect("a collection");
    let numbers: Vec<u64> = (0..count).collect();
    for part in numbers.chunks(1000) {
        let texts = part.iter().map(|at| dataset.document(*at));
        let documents = texts.map(|text| {
            anyenc::parse_document(text.as_bytes())
                .expect("JSON")
                .to_document()
                .expect("a document")
        });
        collection.insert_many(documents.collect::<Vec<_>>()).expect("inserted");
    }
    for fields in [&["city", "-age"][..], &["age"], &["email"], &["tags"], &["createdAt"]] {
        collection.create_index(fields.to_vec()).expect("an index");
    }
    collection
}

struct Bench {
    collection: Collection,
    clock: ThreadClock,
    rounds: u64,
}

impl Bench {
    /// The least time of a piece of work, in nanoseconds.
    fn least(&self, mut work: impl FnMut()) -> f64 {
        let mut least = Duration::MAX;
        for _ in 0..self.rounds {
            least = least.min(busy_time(&self.clock, &mut work).0);
        }
        least.as_secs_f64() * 1e9
    }

    fn count(&self, filter: Document, hint: &str) -> f64 {
        self.least(|| {
            self.collection.find(filter.clone()).hint(hint).count().expect("a count");
        })
    }

    fn find(&self, filter: Document, sort: Option<&str>, limit: u64, hint: &str) -> f64 {
        self.least(|| {
            let mut find = self.collection.find(filter.clone()).limit(limit).hint(hint);
            if let Some(sort) = sort {
                find = find.sort(sort);
            }
            let mut cursor = find.run().expect("rows");
            while cursor.next_raw().expect("a row").is_some() {}
        })
    }

    /// The kinds of work, each with its nanoseconds; the unit comes first.
    fn prices(&self, documents: f64) -> Vec<(&'static str, f64)> {
        let all = |field: &str| {
            let mut filter = Document::new();
            filter.insert(
                field,
                doc! { "$gte": if field == "age" { 0.into() } else { Value::from("") } },
            );
            filter
        };
        let entry = self.count(all("age"), "age") / documents;
        let two = self.count(doc! { "city": doc! { "$gte": "" } }, "city,-age") / documents;
        let filtered = doc! { "city": doc! { "$gte": "" }, "age": doc! { "$gte": 0 } };
        let key_filter = self.count(filtered, "city,-age") / documents - two;
        let document = self.count(doc! { "id": doc! { "$gte": "" } }, "$natural") / documents;
        let read = self.find(doc! {}, None, 0, "$natural") / documents;
        let filter =
            self.find(doc! { "score": doc! { "$gt": 0 } }, None, 0, "$natural") / documents;
        let by_age = self.find(all("age"), None, 0, "age") / documents;
        let by_email = self.find(all("email"), None, 0, "email") / documents;
        let created = doc! { "createdAt": doc! { "$gte": 0 } };
        let by_created = self.find(created, None, 0, "createdAt") / documents;
        let one_age = doc! { "age": 20 };
        let age_count = self.collection.find(one_age.clone()).count().expect("a count") as f64;
        let few = self.find(one_age.clone(), None, 0, "age") / age_count;
        let few_sorted = self.find(one_age, Some("score"), 0, "age") / age_count;
        let sorted = self.find(doc! {}, Some("score"), 0, "$natural") / documents;
        let top = self.find(doc! {}, Some("score"), 10, "$natural") / documents;
        let ties = self.find(doc! {}, Some("age"), 0, "age") / documents;
        let reverse_email = self.find(doc! {}, Some("-email"), 0, "email") / documents;
        let tags = self.collection.find(all("tags")).hint("tags");
        let tags = tags.explain_analyze().expect("a plan").totals.expect("totals").examined as f64;
        let by_tag = self.count(all("tags"), "tags") / tags;
        let emails: Vec<Value> = self.emails();
        let email_count = emails.len() as f64;
        let seek = self.count(doc! { "email": doc! { "$in": emails } }, "email") / email_count;
        vec![
            ("to the next entry (one field)", entry),
            ("to the next entry (two fields)", two),
            ("a filter on a component of the key", key_filter),
            ("to the first entry of a range, planning included", seek - entry),
            ("to the next document", document),
            ("to look into it", read - document),
            ("a condition on a document", filter - read),
            ("a document by its id, near the last one", by_created - entry),
            ("a document by its id, some pages on", by_age - entry),
            ("the same, of few", few - entry),
            ("a document by its id, anywhere", by_email - entry),
            ("to sort, all rows", sorted - read),
            ("to sort, few rows", few_sorted - few),
            ("to sort, for the first 10", top - read),
            ("ties in a large group", ties - by_age),
            ("ties in groups of one", reverse_email - by_email),
            ("an entry of a document that has several", by_tag - entry),
        ]
    }

    fn emails(&self) -> Vec<Value> {
        let mut emails = Vec::new();
        let mut cursor = self.collection.find(doc! {}).run().expect("rows");
        let mut at = 0;
        while let Some(document) = cursor.next_raw().expect("a row") {
            at += 1;
            if at % 25 == 0 {
                let email = document.get("email").expect("a document").expect("an email");
                emails.push(email.to_value().expect("a value"));
            }
        }
        emails
    }

    /// The time in which a plan is chosen for a filter on three fields of which two have indexes.
    fn planning(&self) -> Duration {
        let filter = doc! { "city": "Northton", "age": doc! { "$gte": 30 }, "score": 0.5 };
        let plan = || {
            let find = self.collection.find(filter.clone()).sort("city").limit(20);
            find.explain().expect("a plan").planning
        };
        (0..1000).map(|_| plan()).min().expect("many")
    }
}
