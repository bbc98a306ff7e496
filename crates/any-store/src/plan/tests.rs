//! Every plan against the plain question: which documents match, in which order?

use any_store_query::{Filter, Sort};
use anyenc::{Document, RawDocumentBuf, Value};

use super::survey;
use crate::collection::Collection;
use crate::exec::execute;
use crate::selection::{Need, Preference, Selection};
use crate::{CollectionOptions, Compression, Database, IndexSpec, doc};

/// Cases of [`ANY_STORE_PLAN_QUERIES`](std::env) or this many.
const QUERIES: usize = 20_000;

/// A small generator of numbers that looks random and is the same for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

const PATHS: [&str; 7] = ["a", "b", "c", "o.x", "o.y", "l.x", "l.y"];
const TEXTS: [&str; 8] = ["", "a", "ab", "b", "a\0b", "\0", "\0\u{1}", "z\u{7f}"];

fn scalar(random: &mut Random) -> Value {
    match random.below(9) {
        0 => Value::Null,
        1 => Value::Bool(random.one_in(2)),
        2 => Value::Double(*random.pick(&[0.5, 1.0, -0.0, f64::NAN, 2.5, 1e300])),
        3 | 4 => Value::from(*random.pick(&TEXTS)),
        5 => Value::DateTime(anyenc::DateTime::from_ms(i64::try_from(random.below(4)).unwrap())),
        _ => Value::Int64(i64::try_from(random.below(6)).unwrap() - 1),
    }
}

fn value(random: &mut Random, depth: u32) -> Value {
    match random.below(12) {
        0 | 1 if depth > 0 => {
            let len = random.below(4);
            Value::Array((0..len).map(|_| value(random, depth - 1)).collect())
        }
        2 if depth > 0 => Value::Object(object(random, depth - 1)),
        _ => scalar(random),
    }
}

fn object(random: &mut Random, depth: u32) -> Document {
    let mut object = Document::new();
    for name in ["x", "y"] {
        if !random.one_in(3) {
            object.insert(name, value(random, depth));
        }
    }
    object
}

/// Several fields, of which at most one leads through an array where a compound index could mind.
fn document(random: &mut Random, id: i64, has_arrays: bool) -> Document {
    let depth = if has_arrays { 2 } else { 0 };
    let mut document = Document::new();
    let id_last = random.one_in(5);
    if !id_last {
        document.insert("id", id);
    }
    for name in ["c", "a", "b"] {
        if !random.one_in(6) {
            document.insert(name, value(random, depth));
        }
    }
    if !random.one_in(3) {
        document.insert("o", Value::Object(object(random, depth.min(1))));
    }
    if has_arrays && !random.one_in(3) {
        let elements = (0..random.below(4)).map(|_| {
            let depth = u32::from(random.one_in(4));
            match random.one_in(6) {
                true => scalar(random),
                false => Value::Object(object(random, depth)),
            }
        });
        let elements: Vec<Value> = elements.collect();
        document.insert("l", Value::Array(elements));
    }
    if id_last {
        document.insert("id", id);
    }
    document
}

fn condition(random: &mut Random) -> Value {
    let list = |random: &mut Random| {
        let len = random.below(4);
        Value::Array((0..len).map(|_| value(random, 1)).collect())
    };
    match random.below(18) {
        0..=3 => value(random, 2),
        4 => doc! { "$gt": value(random, 1) }.into(),
        5 => doc! { "$gte": value(random, 1) }.into(),
        6 => doc! { "$lt": value(random, 1) }.into(),
        7 => doc! { "$lte": value(random, 1) }.into(),
        8 => doc! { "$gte": scalar(random), "$lt": scalar(random) }.into(),
        9 | 10 => doc! { "$in": list(random) }.into(),
        11 => doc! { "$nin": list(random) }.into(),
        12 => doc! { "$ne": value(random, 1) }.into(),
        13 => doc! { "$exists": random.one_in(2) }.into(),
        14 => {
            doc! { "$type": *random.pick(&["string", "number", "null", "array", "object"]) }.into()
        }
        15 => doc! { "$regex": *random.pick(&["^a", "b", "^", "^a.b$"]) }.into(),
        16 => doc! { "$elemMatch": doc! { "$gte": scalar(random), "$lte": scalar(random) } }.into(),
        _ => doc! { "$not": doc! { "$gt": scalar(random) } }.into(),
    }
}

fn filter(random: &mut Random, depth: u32) -> Document {
    let mut filter = Document::new();
    for _ in 0..random.below(3) {
        filter.insert(*random.pick(&PATHS), condition(random));
    }
    if random.one_in(8) {
        filter.insert("id", doc! { "$gte": i64::try_from(random.below(30)).unwrap() });
    }
    if depth > 0 && random.one_in(3) {
        let branches =
            (0..=random.below(3)).map(|_| Value::Object(self::filter(random, depth - 1)));
        let branches: Vec<Value> = branches.collect();
        filter.insert(*random.pick(&["$or", "$or", "$and", "$nor"]), Value::Array(branches));
    }
    filter
}

fn sort(random: &mut Random) -> Vec<String> {
    let fields = match random.below(6) {
        0 | 1 => 0,
        2..=4 => 1,
        _ => 2,
    };
    let field = |random: &mut Random| {
        let path = if random.one_in(8) { "id" } else { random.pick(&PATHS) };
        format!("{}{path}", if random.one_in(2) { "-" } else { "" })
    };
    (0..fields).map(|_| field(random)).collect()
}

fn index(random: &mut Random, at: usize) -> IndexSpec {
    let mut fields: Vec<String> = Vec::new();
    for _ in 0..=random.below(3) {
        let path = *random.pick(&PATHS);
        if !fields.iter().any(|field| field.trim_start_matches('-') == path) {
            fields.push(format!("{}{path}", if random.one_in(3) { "-" } else { "" }));
        }
    }
    let mut spec = IndexSpec::new(fields).name(&format!("i{at}"));
    if random.one_in(4) {
        spec = spec.sparse();
    }
    if random.one_in(5) {
        let path = *random.pick(&PATHS);
        let operand = scalar(random);
        let condition = match random.below(3) {
            0 => doc! { "$exists": true }.into(),
            1 => doc! { "$gte": operand }.into(),
            _ => operand,
        };
        let mut partial = Document::new();
        partial.insert(path, condition);
        spec = spec.partial(partial);
    }
    spec
}

/// A collection with some indexes; documents that an index refuses are left out.
fn collection(db: &Database, random: &mut Random, name: &str) -> (Collection, Vec<RawDocumentBuf>) {
    let options = CollectionOptions::new().compression(Compression::None);
    let made = db.create_collection(name, options).unwrap();
    let has_arrays = !random.one_in(3);
    let builds_first = random.one_in(2);
    let specs: Vec<IndexSpec> =
        (0..=random.below(4) as usize).map(|at| index(random, at)).collect();
    if builds_first {
        made.create_indexes(specs.clone()).unwrap();
    }
    let mut kept = Vec::new();
    for id in 0..i64::try_from(20 + random.below(40)).unwrap() {
        let document = document(random, id, has_arrays);
        if made.insert_one(&document).is_ok() {
            kept.push(RawDocumentBuf::from_document(&document).unwrap());
        }
    }
    if !builds_first {
        for spec in specs {
            // Documents with parallel arrays refuse some.
            let _ = made.create_index(spec);
        }
    }
    (made, kept)
}

/// The keys of the ids of the selection's documents, and whether their order is certain.
fn plainly(documents: &[RawDocumentBuf], selection: &Selection) -> Option<(Vec<Vec<u8>>, bool)> {
    let mut rows = Vec::new();
    for document in documents {
        if selection.filter.matches(document.as_raw()).unwrap() {
            let id = document.as_raw().get("id").unwrap().unwrap();
            let id = crate::document::raw_id_key(id).unwrap();
            let mut key = Vec::new();
            if selection.sort.key(document.as_raw(), &mut key).is_err() {
                return None;
            }
            rows.push((key, id));
        }
    }
    rows.sort();
    let ids = rows.into_iter().map(|(_, id)| id);
    if selection.sort.is_empty() {
        return Some((ids.collect(), false));
    }
    let skip = usize::try_from(selection.skip).unwrap();
    let limit = match selection.limit {
        0 => usize::MAX,
        limit => usize::try_from(limit).unwrap(),
    };
    Some((ids.skip(skip).take(limit).collect(), true))
}

fn check(
    db: &Database,
    made: &Collection,
    documents: &[RawDocumentBuf],
    selection: &Selection,
) -> usize {
    let source = db.begin_read().unwrap().source();
    let meta = db.resolve(&source, made.target()).unwrap();
    let Some((wanted, is_ordered)) = plainly(documents, selection) else { return 0 };
    let mut plans = 0;
    for need in [Need::Documents, Need::Ids] {
        for candidate in survey(&source, &meta, selection, need).unwrap().candidates {
            plans += 1;
            let plan = format!("{:?}", candidate.plan);
            let mut rows =
                execute(&source, &meta, candidate.plan, selection, need, db.resources()).unwrap();
            let mut found = Vec::new();
            while rows.advance().unwrap() {
                if let Need::Documents = need {
                    assert!(selection.filter.matches(rows.document().unwrap()).unwrap(), "{plan}");
                }
                found.push(rows.id_key().to_vec());
            }
            let said = || {
                let sort: Vec<_> = selection.sort.fields().collect();
                format!(
                    "filter {} sort {sort:?} skip {} limit {}\nplan {plan}\nindexes {:?}",
                    selection.filter,
                    selection.skip,
                    selection.limit,
                    made.indexes().unwrap(),
                )
            };
            if is_ordered {
                assert_eq!(found, wanted, "{}", said());
                continue;
            }
            let all = wanted.len() as u64;
            let due = match selection.limit {
                0 => all.saturating_sub(selection.skip),
                limit => all.saturating_sub(selection.skip).min(limit),
            };
            assert_eq!(found.len() as u64, due, "{}", said());
            found.sort();
            let len = found.len();
            found.dedup();
            assert_eq!(found.len(), len, "a document twice: {}", said());
            assert!(found.iter().all(|id| wanted.contains(id)), "{}", said());
        }
    }
    plans
}

fn selection(random: &mut Random) -> Selection {
    let sort = sort(random);
    Selection {
        filter: Filter::from_document(&filter(random, 1)).unwrap_or_else(|_| Filter::all()),
        sort: Sort::by_all(sort.iter().map(String::as_str)).unwrap(),
        skip: if random.one_in(4) { random.below(4) } else { 0 },
        limit: if random.one_in(3) { 1 + random.below(8) } else { 0 },
        preference: Preference::default(),
    }
}

#[test]
fn every_plan_gives_what_the_documents_say() {
    let queries = std::env::var("ANY_STORE_PLAN_QUERIES");
    let queries = queries.ok().and_then(|text| text.parse().ok()).unwrap_or(QUERIES);
    let (mut seed, mut asked, mut plans) = (1u64, 0, 0);
    while asked < queries {
        let mut random = Random(seed);
        let db = Database::in_memory().unwrap();
        let (made, documents) = collection(&db, &mut random, "c");
        for _ in 0..40 {
            plans += check(&db, &made, &documents, &selection(&mut random));
            asked += 1;
        }
        seed += 1;
    }
    assert!(plans > queries * 3, "{plans} plans for {asked} queries are too few to mean much");
}
