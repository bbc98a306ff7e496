//! Random histories. A seed determines everything: the database, the documents, the operations.
//!
//! Ids and fields come from small sets, so that statements often meet the same documents. Operations
//! are drawn without looking at any state; one that finds nothing to do is a case too.

use any_store::{Binary, Document, Projection, Value, doc};
use any_store_naive::random::{self, Random};
use any_store_naive::update::{self, Request};
use any_store_sim::Crash;

use super::history::History;
use super::player::SLOTS;
use super::setup::Setup;

/// Operations of a history.
pub(crate) const OPS: usize = 200;

const COLLECTIONS: [&str; 3] = ["a", "b", "c"];

/// Filters of partial indexes; some often follow from those of queries.
const PARTIAL_FILTERS: &[&str] = &[
    r#"{"n":{"$gte":5}}"#,
    r#"{"n":{"$exists":true}}"#,
    r#"{"t":1}"#,
    r#"{"a":{"$gt":0}}"#,
    r#"{"id":{"$lt":10}}"#,
    r#"{"$or":[{"n":{"$lt":3}},{"b":null}]}"#,
];

/// The history that a seed determines.
pub(crate) fn history(seed: u64) -> History {
    let mut random = Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed_7001);
    let is_simulated = random.one_in(2);
    let setup = Setup::draw(&mut random);
    let mut author = Author::new(random);
    (0..COLLECTIONS.len()).for_each(|place| author.begin_collection(place));
    while author.ops.len() < OPS {
        author.draw();
    }
    History { is_simulated, seed, setup, ops: author.ops }
}

/// Writes a history.
struct Author {
    random: Random,
    ops: Vec<Document>,
    /// How many different integers are ids.
    ids: usize,
    /// Most bytes of padding in a document, and that one document in so many has any.
    padding: (usize, usize),
    /// Of the collections, as far as can be told.
    primary_keys: [String; COLLECTIONS.len()],
    /// Savepoints that are open, and the transaction itself.
    depth: usize,
}

impl Author {
    fn new(mut random: Random) -> Self {
        let ids = *random.pick(&[6, 12, 24, 40]);
        let padding = *random.pick(&[(0, 1), (300, 2), (3_000, 4), (20_000, 8)]);
        let primary_keys = std::array::from_fn(|_| "id".to_owned());
        Self { random, ops: Vec::with_capacity(OPS), ids, padding, primary_keys, depth: 0 }
    }

    fn op(&mut self, op: Document) {
        self.ops.push(op);
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.random.one_in(n)
    }

    /// Makes a collection with some documents in it.
    fn begin_collection(&mut self, place: usize) {
        let options = self.collection_options();
        if let Some(key) = options.get("primary_key").and_then(Value::as_str) {
            self.primary_keys[place] = key.to_owned();
        }
        let (name, slot) = (COLLECTIONS[place], place as i64);
        self.op(doc! { "do": "create", "name": name, "slot": slot, "options": options });
        let mut documents = Vec::new();
        for id in 0..self.ids as i64 {
            if self.one_in(2 + place) {
                let mut document = Document::from([(self.primary_keys[place].clone(), id)]);
                document.extend(self.body());
                documents.push(document);
            }
        }
        self.op(doc! { "do": "insert_many", "documents": documents, "on": name });
        for _ in 0..self.random.below(4) {
            let mut index = self.index();
            index.insert("on", name);
            self.op(index);
        }
    }

    fn draw(&mut self) {
        let op = match self.random.below(100) {
            0..=49 => self.write(),
            50..=80 => self.read(),
            // Most operations are transactions of their own.
            81..=89 if self.depth > 0 || self.one_in(3) => self.boundary(),
            81..=89 => self.write(),
            90 | 91 => self.catalog(),
            _ => self.upkeep(),
        };
        self.op(op);
    }

    /// A collection by its place in [`COLLECTIONS`]; the first one gets the most.
    fn place(&mut self) -> usize {
        self.random.below(COLLECTIONS.len()).min(self.random.below(COLLECTIONS.len() + 1))
    }

    /// By name, or by one of the handles, which mostly are bound to the collection of their place.
    fn target_at(&mut self, place: usize) -> Value {
        match self.random.below(20) {
            0 => Value::from(self.random.below(SLOTS) as i64),
            1..=4 => Value::from(place as i64),
            _ => Value::from(COLLECTIONS[place]),
        }
    }

    fn target(&mut self) -> Value {
        let place = self.place();
        self.target_at(place)
    }

    /// An id; small ones are the most frequent.
    fn id(&mut self) -> Value {
        let skewed = self.random.below(self.ids).min(self.random.below(self.ids)) as i64;
        match self.random.below(40) {
            0 => Value::from(skewed as f64),
            1 => Value::from(skewed as f64 + 0.5),
            2..=4 => Value::from(format!("id{skewed}")),
            5 => Value::Object(doc! { "a": skewed, "b": "x" }),
            6 => random::scalar(&mut self.random),
            7 => random::value(&mut self.random, 1),
            _ => Value::from(skewed),
        }
    }

    /// A document, most often with its id in front.
    fn document(&mut self, place: usize) -> Document {
        let mut body = self.body();
        if self.one_in(self.padding.1) {
            let padding = self.padding();
            body.insert("pad", padding);
        }
        if self.one_in(30) {
            return body;
        }
        let key = if self.one_in(40) { "_id".to_owned() } else { self.primary_keys[place].clone() };
        let id = self.id();
        if self.one_in(6) {
            body.insert(key, id);
            return body;
        }
        let mut whole = Document::from([(key, id)]);
        whole.extend(body);
        whole
    }

    /// The evaluator's random fields, and two that most updates fit: a number and an array.
    fn body(&mut self) -> Document {
        let mut body = random::document(&mut self.random);
        if !self.one_in(4) {
            body.insert("n", self.random.below(20) as i64);
        }
        if self.one_in(2) {
            let count = self.random.below(4);
            let tags: Vec<Value> = (0..count).map(|_| self.tag()).collect();
            body.insert("t", tags);
        }
        body
    }

    fn tag(&mut self) -> Value {
        if self.one_in(6) { random::scalar(&mut self.random) } else { self.small().into() }
    }

    fn small(&mut self) -> i64 {
        self.random.below(8) as i64
    }

    /// Bytes that compress well, or not at all.
    fn padding(&mut self) -> Value {
        let len = self.random.below(self.padding.0 + 1);
        if self.one_in(2) {
            return Value::from("pad ".repeat(len / 4));
        }
        let bytes: Vec<u8> = (0..len).map(|_| self.random.below(256) as u8).collect();
        Value::Binary(Binary::from(bytes))
    }

    fn filter(&mut self) -> Document {
        match self.random.below(10) {
            0..=2 => Document::new(),
            3 => Document::from([("id", self.id())]),
            4 => {
                let ids: Vec<Value> = (0..self.random.below(4)).map(|_| self.id()).collect();
                doc! { "id": { "$in": ids } }
            }
            5 => {
                let bound = self.random.below(self.ids) as i64;
                let operator = *self.random.pick(&["$lt", "$gte"]);
                let mut filter = random::filter(&mut self.random, 0);
                filter.insert("id", Document::from([(operator, bound)]));
                filter
            }
            6 => {
                let operator = *self.random.pick(&["$lt", "$gte", "$eq", "$ne"]);
                doc! { "n": { (operator): (2 * self.small()) } }
            }
            7 => doc! { "t": (self.tag()) },
            _ => {
                let depth = self.random.below(3);
                random::filter(&mut self.random, depth)
            }
        }
    }

    /// One index or two, most of which are there to stay.
    fn index(&mut self) -> Document {
        let count = 1 + self.random.below(5) / 4;
        let specs: Vec<Document> = (0..count).map(|_| self.index_spec()).collect();
        doc! { "do": "index", "specs": specs, "ensure": (self.one_in(3)) }
    }

    fn index_spec(&mut self) -> Document {
        let mut fields: Vec<String> = Vec::new();
        for _ in 0..1 + self.random.below(5) / 2 {
            let path = *self
                .random
                .pick(&["a", "b", "c", "n", "n", "t", "e", "f", "a.b", "b.a", "a.c", "id", "pad"]);
            let sign = if self.one_in(3) { "-" } else { "" };
            if !fields.iter().any(|field| field.trim_start_matches('-') == path) {
                fields.push(format!("{sign}{path}"));
            }
        }
        let mut spec = doc! { "fields": fields };
        for (flag, n) in [("unique", 10), ("sparse", 4)] {
            if self.one_in(n) {
                spec.insert(flag, true);
            }
        }
        if self.one_in(5) {
            let partial = *self.random.pick(PARTIAL_FILTERS);
            let parsed = any_store::json::parse_document(partial.as_bytes());
            let parsed = parsed.ok().and_then(|parsed| parsed.as_raw().to_document().ok());
            spec.insert("partial", parsed.expect("the filters are JSON"));
        }
        if self.one_in(5) {
            spec.insert("name", *self.random.pick(&["x", "y"]));
        }
        spec
    }

    /// Adds what a query asks for besides its filter.
    fn add_selection(&mut self, op: &mut Document) {
        if self.one_in(3) {
            let mut sort = Document::new();
            for _ in 0..1 + self.random.below(3) {
                let path = match self.random.below(8) {
                    0 => "id",
                    1 => "n",
                    2 => "t",
                    _ => random::plain_path(&mut self.random),
                };
                sort.insert(path, *self.random.pick(&[1, -1]));
            }
            op.insert("sort", sort);
        }
        if self.one_in(6) {
            op.insert("skip", self.random.below(4) as i64);
        }
        if self.one_in(4) {
            op.insert("limit", self.random.below(6) as i64);
        }
        if self.one_in(8) {
            op.insert("hint", self.random.below(4) as i64);
        }
    }

    fn add_query(&mut self, op: &mut Document) {
        op.insert("filter", self.filter());
        self.add_selection(op);
    }

    fn add_projection(&mut self, op: &mut Document) {
        if self.one_in(3) {
            let projection = random::projection(&mut self.random);
            let is_valid = |key| Projection::from_document(&projection, key).is_ok();
            if is_valid("id") && is_valid("_id") {
                op.insert("project", projection);
            }
        }
    }

    /// Adds an update, and the filter for which its positions are meant.
    fn add_update(&mut self, op: &mut Document) {
        let Request { mut update, array_filters, filter } = self.update();
        self.vary(&mut update);
        op.insert("update", update);
        if let Some(filter) = filter {
            op.insert("filter", filter);
        }
        if !array_filters.is_empty() {
            let filters: Vec<Document> =
                array_filters.into_iter().map(|(_, filter)| filter).collect();
            op.insert("array_filters", filters);
        }
    }

    /// An update that fits most documents, or one of the evaluator's; few have changes that collide.
    fn update(&mut self) -> Request {
        if self.one_in(2) {
            return Request { update: self.fitting_update(), ..Request::default() };
        }
        loop {
            let request = random::update(&mut self.random);
            let is_long = request.update.len() > 1 && self.one_in(2);
            if self.one_in(30) || !(is_long || update::collides(&request.update)) {
                return request;
            }
        }
    }

    fn fitting_update(&mut self) -> Document {
        let path = *self.random.pick(&["a", "b", "c", "0", "e"]);
        let tags = [self.tag(), self.tag()];
        let (operator, path, operand) = match self.random.below(14) {
            0..=2 => ("$set", path, random::value(&mut self.random, 2)),
            3 => ("$unset", path, Value::Null),
            4 | 5 => ("$inc", "n", Value::from(self.small() - 3)),
            6 => ("$mul", "n", self.random.pick(&[Value::from(2), Value::from(0.5)]).clone()),
            7 => ("$min", "n", Value::from(self.small())),
            8 => ("$max", "n", Value::from(2 * self.small())),
            9 => ("$push", "t", self.tag()),
            10 => ("$addToSet", "t", Value::Object(doc! { "$each": (tags.to_vec()) })),
            11 => ("$pop", "t", Value::from(1)),
            12 => ("$pull", "t", self.tag()),
            _ => ("$rename", path, Value::from("f")),
        };
        Document::from([(operator, Document::from([(path, operand)]))])
    }

    /// An update that needs neither a filter nor array filters.
    fn plain_update(&mut self) -> Document {
        loop {
            let request = self.update();
            if request.filter.is_none() && request.array_filters.is_empty() {
                let mut update = request.update;
                self.vary(&mut update);
                return update;
            }
        }
    }

    /// Adds what the evaluator's own updates do not have: large fields, ids, fields for upserts.
    fn vary(&mut self, update: &mut Document) {
        let (path, value, operator) = match self.random.below(24) {
            0 => ("id", self.id(), "$set"),
            1 => ("id", self.id(), "$setOnInsert"),
            2 => ("id.x", Value::from(1), "$unset"),
            3 | 4 => ("d", random::scalar(&mut self.random), "$setOnInsert"),
            5..=7 if self.padding.0 > 0 => ("pad", self.padding(), "$set"),
            _ => return,
        };
        match update.get_mut(operator) {
            Some(Value::Object(fields)) => drop(fields.insert(path, value)),
            _ => drop(update.insert(operator, Document::from([(path, value)]))),
        }
    }

    fn write(&mut self) -> Document {
        let mut op = Document::new();
        let place = self.place();
        match self.random.below(52) {
            48 | 49 => op = self.index(),
            50 => {
                let spec = self.index_spec();
                let fields = spec.get("fields").and_then(Value::as_array).unwrap_or_default();
                let fields: Vec<&str> = fields.iter().filter_map(Value::as_str).collect();
                let name = if self.one_in(3) { "x".to_owned() } else { fields.join(",") };
                op.extend(doc! { "do": "drop_index", "name": name });
            }
            0..=9 => op.extend(doc! { "do": "insert", "document": (self.document(place)) }),
            10..=14 => {
                let count = self.random.below(6);
                let documents: Vec<Document> = (0..count).map(|_| self.document(place)).collect();
                op.extend(doc! { "do": "insert_many", "documents": documents });
            }
            15..=17 => op.extend(doc! { "do": "replace", "document": (self.document(place)) }),
            18..=22 => op.extend(doc! { "do": "upsert", "document": (self.document(place)) }),
            23..=29 => {
                op.extend(doc! { "do": "update_id", "id": (self.id()) });
                op.insert("update", self.plain_update());
                op.insert("upsert", self.one_in(4));
            }
            30..=33 => op.extend(doc! { "do": "delete_id", "id": (self.id()) }),
            _ => op = self.selected_write(place),
        }
        op.insert("on", self.target_at(place));
        op
    }

    fn selected_write(&mut self, place: usize) -> Document {
        let name = *self.random.pick(&[
            "update",
            "update",
            "update",
            "replace_one",
            "delete",
            "find_and_update",
            "find_and_replace",
            "find_and_delete",
        ]);
        let mut op = doc! { "do": name };
        self.add_query(&mut op);
        if name.ends_with("update") {
            self.add_update(&mut op);
        }
        if name.contains("replace") {
            let mut document = self.document(place);
            if self.one_in(2) {
                document.remove(&self.primary_keys[place]);
            }
            op.insert("document", document);
        }
        if name.starts_with("find") {
            self.add_projection(&mut op);
            op.insert("after", self.one_in(2));
        }
        op.insert("upsert", self.one_in(4));
        // Most deletes of many leave something for others to do.
        let many = if name == "delete" { self.one_in(5) } else { self.one_in(2) };
        op.insert("many", many);
        op
    }

    fn read(&mut self) -> Document {
        let name = *self
            .random
            .pick(&["get", "find", "find", "find", "first", "count", "exists", "distinct"]);
        let mut op = doc! { "do": name };
        match name {
            "get" => drop(op.insert("id", self.id())),
            name => {
                self.add_query(&mut op);
                if name == "distinct" {
                    op.insert("path", *self.random.pick(&["a", "b", "a.b", "id", "a.0", "c"]));
                }
                self.add_projection(&mut op);
            }
        }
        if self.one_in(40) {
            op = doc! { "do": "stats" };
        }
        op.insert("on", self.target());
        match self.random.below(12) {
            0 => drop(op.insert("from", "outside")),
            1 | 2 => drop(op.insert("from", self.random.below(SLOTS) as i64)),
            _ => {}
        }
        op
    }

    fn boundary(&mut self) -> Document {
        let name = match (self.depth, self.random.below(6)) {
            (0, _) => "begin",
            (1, 0) => "rollback",
            (1, 1..=3) | (_, 1) => "commit",
            (1..=4, 2 | 4) | (1, _) => "savepoint",
            (_, 3) => "undo",
            _ => "release",
        };
        self.depth = match name {
            "begin" => 1,
            "commit" | "rollback" => 0,
            "savepoint" => self.depth + 1,
            _ => self.depth - 1,
        };
        let mut op = doc! { "do": name };
        if name == "begin" && self.one_in(3) {
            op.insert("sync", *self.random.pick(&["full", "normal"]));
        }
        op
    }

    fn collection_options(&mut self) -> Document {
        let mut options = Document::new();
        if self.one_in(5) {
            options.insert("primary_key", "_id");
        }
        if self.one_in(5) {
            options.insert("auto_id", true);
        }
        if self.one_in(3) {
            options.insert("compression", *self.random.pick(&["lz4", "none"]));
        }
        options
    }

    fn catalog(&mut self) -> Document {
        let name = match self.random.below(20) {
            0 => "".to_owned(),
            1 => "n".repeat(256),
            _ => (*self.random.pick(&COLLECTIONS)).to_owned(),
        };
        let slot = self.random.below(SLOTS) as i64;
        match self.random.below(10) {
            0..=5 => {
                let options = self.collection_options();
                let or_get = self.one_in(2);
                doc! { "do": "create", "name": name, "slot": slot, "options": options, "or_get": or_get }
            }
            6 | 7 => doc! { "do": "open", "name": name, "slot": slot },
            8 => doc! { "do": "rename", "on": (self.target()), "to": name },
            _ => doc! { "do": "drop", "on": (self.target()) },
        }
    }

    fn upkeep(&mut self) -> Document {
        let slot = self.random.below(SLOTS) as i64;
        match self.random.below(28) {
            0..=3 => doc! { "do": "snapshot", "slot": slot },
            4..=6 => {
                let mut op = doc! { "do": "cursor", "slot": slot, "on": (self.target()) };
                self.add_query(&mut op);
                op
            }
            7..=12 => doc! { "do": "step", "slot": slot, "count": (self.random.below(5) as i64) },
            13..=15 => doc! { "do": "forget", "slot": slot },
            16..=20 => {
                let mode = *self.random.pick(&["passive", "full", "restart", "truncate"]);
                doc! { "do": "checkpoint", "mode": mode }
            }
            21 | 22 => {
                doc! { "do": "backup", "to": *self.random.pick(&["file", "bytes", "compact"]) }
            }
            23 | 24 => {
                self.depth = 0;
                let close = self.one_in(2);
                doc! { "do": "reopen", "close": close, "setup": (Setup::draw(&mut self.random)) }
            }
            _ => self.crash(),
        }
    }

    fn crash(&mut self) -> Document {
        self.depth = 0;
        let way = self.random.pick(&Crash::ALL).to_string();
        let seed = self.random.below(1 << 40) as i64;
        let setup = Setup::draw(&mut self.random);
        let mut op = doc! { "do": "crash", "way": way, "seed": seed, "setup": setup };
        if self.one_in(2) {
            let mut during = self.write();
            during.insert("calls", self.random.below(6) as i64);
            op.insert("during", during);
        }
        op
    }
}
