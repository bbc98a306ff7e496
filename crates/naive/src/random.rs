//! Random documents and requests over a small vocabulary, so that they often meet.

use crate::update::Request;
use anyenc::{Binary, DateTime, Document, ObjectId, Regex, Value};

/// SplitMix64: small, seeded, the same everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers that a seed gives.
    #[must_use]
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// One of them.
    pub fn pick<'t, T>(&mut self, items: &'t [T]) -> &'t T {
        &items[self.below(items.len())]
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

const KEYS: &[&str] = &["a", "b", "c", "0", "1"];
const PATHS: &[&str] = &[
    "a", "a", "b", "b", "c", "a.b", "a.b.c", "b.a", "a.0", "a.1", "b.0.a", "a.0.0", "0", "a.b.0",
    "c.a.b", "a.0.b", "1.a",
];
const PLAIN_PATHS: &[&str] = &["a", "b", "c", "a.b", "a.b.c", "b.a", "c.a.b", "b.c"];

/// A value that is neither an array nor an object.
pub fn scalar(random: &mut Random) -> Value {
    match random.below(19) {
        0 => Value::Null,
        1 => Value::Bool(random.one_in(2)),
        2..=7 => Value::Int64(random.below(5) as i64 - 1),
        8 | 9 => Value::Double(random.below(8) as f64 / 2.0 - 1.0),
        10 => random.pick(&[Value::Double(f64::NAN), Value::Double(-0.0)]).clone(),
        11 => random
            .pick(&[Value::Int64(i64::MAX), Value::Int64(i64::MIN), Value::from(1e19)])
            .clone(),
        12 => Value::DateTime(DateTime::from_ms(random.below(3) as i64)),
        13 => match random.below(4) {
            0 => Value::Regex(regex(random)),
            1 => Value::ObjectId(ObjectId::from_bytes([random.below(2) as u8; 12])),
            _ => Value::Binary(Binary::from(vec![random.below(4) as u8; random.below(3)])),
        },
        _ => Value::from(*random.pick(&["", "a", "b", "ab", "abc", "B", "b\na", "\0"])),
    }
}

const PATTERNS: &[&str] = &[
    "a", "^a", "^ab", "b$", "^$", "", "^ab?", "^a|b", "^b.a", "A", "^(a|b)", "^a c", "[^a]",
    "^\\x00",
];

fn regex(random: &mut Random) -> Regex {
    let options = *random.pick(&["", "", "", "i", "m", "s", "x", "is"]);
    Regex { pattern: (*random.pick(PATTERNS)).to_owned(), options: options.to_owned() }
}

/// A value, with so many levels below it at most.
pub fn value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth == 0 { 3 } else { 6 }) {
        0..=2 => scalar(random),
        3 | 4 => {
            let len = random.below(4);
            Value::Array((0..len).map(|_| value(random, depth - 1)).collect())
        }
        _ => Value::Object(object(random, depth - 1)),
    }
}

fn object(random: &mut Random, depth: usize) -> Document {
    let mut document = Document::new();
    for _ in 0..random.below(4) {
        document.insert(*random.pick(KEYS), value(random, depth));
    }
    document
}

/// A document without an id.
pub fn document(random: &mut Random) -> Document {
    let mut document = Document::new();
    for key in KEYS {
        if !random.one_in(4) {
            document.insert(*key, value(random, 3));
        }
    }
    // Now and then wide enough for an offset table.
    if random.one_in(8) {
        for field in 0..20 {
            document.insert(format!("wide{field}"), scalar(random));
        }
    }
    document
}

/// A filter, with so many levels of logic at most.
pub fn filter(random: &mut Random, depth: usize) -> Document {
    let mut filter = Document::new();
    for _ in 0..1 + random.below(4) / 3 {
        if depth > 0 && random.one_in(3) {
            let branches: Vec<Document> =
                (0..1 + random.below(3)).map(|_| self::filter(random, depth - 1)).collect();
            filter.insert(*random.pick(&["$and", "$or", "$nor"]), branches);
        } else {
            filter.insert(*random.pick(PATHS), condition(random, depth));
        }
    }
    filter
}

fn condition(random: &mut Random, depth: usize) -> Value {
    if random.one_in(3) {
        return operand(random);
    }
    if random.one_in(12) {
        return Value::Regex(regex(random));
    }
    let mut operators = Document::new();
    for _ in 0..1 + random.below(4) / 3 {
        insert_operator(random, depth, &mut operators);
    }
    Value::Object(operators)
}

fn insert_operator(random: &mut Random, depth: usize, operators: &mut Document) {
    let (name, operand) = operator(random, depth);
    operators.insert(name, operand);
    // On either side of its pattern.
    if name == "$regex" && random.one_in(3) {
        let options = *random.pick(&["i", "m", "s", "x", "mi", ""]);
        let mut with_options = Document::from([("$options", Value::from(options))]);
        with_options.extend(std::mem::take(operators));
        *operators = with_options;
    }
}

fn one_operator(random: &mut Random, depth: usize) -> Value {
    let mut operators = Document::new();
    insert_operator(random, depth, &mut operators);
    Value::Object(operators)
}

/// A literal; an object is one only where no key of it begins with `$`.
fn operand(random: &mut Random) -> Value {
    let depth = random.below(6) / 3;
    value(random, depth)
}

fn operands(random: &mut Random) -> Vec<Value> {
    let len = random.below(4);
    (0..len).map(|_| operand(random)).collect()
}

/// A literal for an operator that takes no regular expression.
fn plain_operand(random: &mut Random) -> Value {
    match operand(random) {
        Value::Regex(regex) => Value::from(regex.pattern),
        other => other,
    }
}

fn operator(random: &mut Random, depth: usize) -> (&'static str, Value) {
    let name = *random.pick(&[
        "$eq",
        "$ne",
        "$gt",
        "$gte",
        "$lt",
        "$lte",
        "$in",
        "$nin",
        "$exists",
        "$type",
        "$size",
        "$all",
        "$mod",
        "$elemMatch",
        "$not",
        "$regex",
        "$regex",
        "$bitsAllSet",
        "$bitsAnySet",
        "$bitsAllClear",
        "$bitsAnyClear",
    ]);
    let value = match name {
        "$in" | "$nin" => Value::from(operands(random)),
        "$exists" => Value::Bool(random.one_in(2)),
        "$type" => Value::from(*random.pick(&[
            "null", "int", "double", "number", "array", "object", "string", "bool", "date",
            "regex", "binData", "objectId", "long",
        ])),
        "$size" => Value::Int64(random.below(3) as i64),
        "$all" if depth > 0 && random.one_in(3) => {
            let member = Document::from([("$elemMatch", element_test(random, depth - 1))]);
            Value::from(vec![member])
        }
        "$all" => Value::from(operands(random)),
        "$mod" => Value::from(vec![1 + random.below(3) as i64, random.below(3) as i64]),
        "$not" if depth > 0 => {
            if random.one_in(4) {
                Value::Regex(regex(random))
            } else {
                one_operator(random, depth - 1)
            }
        }
        "$regex" => Value::from(*random.pick(PATTERNS)),
        "$ne" | "$gt" | "$gte" | "$lt" | "$lte" => plain_operand(random),
        "$elemMatch" if depth > 0 => element_test(random, depth - 1),
        "$not" | "$elemMatch" => return ("$exists", Value::Bool(true)),
        name if name.starts_with("$bits") => Value::Int64(random.below(6) as i64),
        _ => operand(random),
    };
    (name, value)
}

fn element_test(random: &mut Random, depth: usize) -> Value {
    if random.one_in(2) {
        return Value::Object(filter(random, depth));
    }
    one_operator(random, depth)
}

const POSITIONAL_PATHS: &[&str] = &[
    "a.$[]",
    "a.$[].b",
    "a.$[x]",
    "a.$[x].b",
    "a.$[x].c",
    "b.$[].$[]",
    "a.$[y].b",
    "b.a.$[]",
    "b.$[y].a",
];
const MATCHED_PATHS: &[&str] = &["a.$", "a.$.b", "a.$.c.b"];

/// An update, valid unless [`crate::update::collides`] says otherwise.
pub fn update(random: &mut Random) -> Request {
    let positional = random.one_in(3);
    let filter = random.one_in(6).then(|| {
        let (path, condition) = element_condition(random);
        Document::from([(path, condition)])
    });
    let mut update = Document::new();
    for _ in 0..1 + random.below(3) {
        let (op, operand_of) = *random.pick(UPDATE_OPERATORS);
        let mut fields = Document::new();
        for _ in 0..1 + random.below(2) {
            let path = if op == "$rename" {
                random.pick(PATHS)
            } else if filter.is_some() && random.one_in(2) {
                random.pick(MATCHED_PATHS)
            } else if positional && random.one_in(2) {
                random.pick(POSITIONAL_PATHS)
            } else {
                random.pick(PATHS)
            };
            fields.insert(*path, operand_of(random));
        }
        update.insert(op, fields);
    }
    let text = update.to_string();
    let mut array_filters = Vec::new();
    for (name, paths) in [("x", ["x", "x.b"]), ("y", ["y", "y.a"])] {
        if text.contains(&format!("$[{name}]")) {
            let path = *random.pick(&paths);
            array_filters.push((name.to_owned(), Document::from([(path, condition(random, 0))])));
        }
    }
    Request { update, array_filters, filter }
}

type OperandOf = fn(&mut Random) -> Value;

const UPDATE_OPERATORS: &[(&str, OperandOf)] = &[
    ("$set", operand),
    ("$set", operand),
    ("$unset", operand),
    ("$inc", factor),
    ("$mul", factor),
    ("$min", operand),
    ("$max", operand),
    ("$bit", bit_steps),
    ("$rename", |random| Value::from(*random.pick(PATHS))),
    ("$push", pushed),
    ("$push", pushed),
    ("$addToSet", added),
    ("$pop", |random| Value::Int64(*random.pick(&[1, -1]))),
    ("$pull", pulled),
    ("$pull", pulled),
    ("$pullAll", |random| Value::from(operands(random))),
];

fn factor(random: &mut Random) -> Value {
    let factors = [Value::Int64(2), Value::Int64(0), Value::Double(0.5), Value::Int64(i64::MAX)];
    random.pick(&factors).clone()
}

fn bit_steps(random: &mut Random) -> Value {
    let mut steps = Document::new();
    for _ in 0..1 + random.below(2) {
        let mask = random.below(8) as i64 - 2;
        steps.insert(*random.pick(&["and", "or", "xor"]), mask);
    }
    Value::Object(steps)
}

fn added(random: &mut Random) -> Value {
    if random.one_in(2) {
        return operand(random);
    }
    Value::Object(Document::from([("$each", operands(random))]))
}

fn pushed(random: &mut Random) -> Value {
    if random.one_in(2) {
        return operand(random);
    }
    let mut form = Document::from([("$each", operands(random))]);
    if random.one_in(2) {
        form.insert("$position", random.below(7) as i64 - 3);
    }
    if random.one_in(2) {
        form.insert("$slice", random.below(9) as i64 - 4);
    }
    match random.below(4) {
        0 => drop(form.insert("$sort", *random.pick(&[1, -1]))),
        1 => {
            let direction = *random.pick(&[1, -1]);
            let fields = Document::from([("a", direction), ("b.c", 1)]);
            form.insert("$sort", fields);
        }
        _ => {}
    }
    Value::Object(form)
}

fn pulled(random: &mut Random) -> Value {
    match random.below(3) {
        0 => operand(random),
        1 => {
            let (name, operand) = operator(random, 1);
            Value::Object(Document::from([(name, operand)]))
        }
        _ => Value::Object(filter(random, 1)),
    }
}

/// A path of names alone.
pub fn plain_path(random: &mut Random) -> &'static str {
    PLAIN_PATHS[random.below(PLAIN_PATHS.len())]
}

/// A path that an index would be asked for: most often one of the filter's.
pub fn path_of<'f>(random: &mut Random, filter: &'f Document) -> &'f str {
    let asked: Vec<&str> = filter.keys().filter(|key| !key.starts_with('$')).collect();
    if asked.is_empty() || random.one_in(4) {
        return PLAIN_PATHS[random.below(PLAIN_PATHS.len())];
    }
    asked[random.below(asked.len())]
}

/// A projection, valid more often than not.
pub fn projection(random: &mut Random) -> Document {
    let mut projection = Document::new();
    let show = random.one_in(2);
    if random.one_in(3) {
        projection.insert("id", random.one_in(2));
    }
    for _ in 0..1 + random.below(3) {
        let mut number = |end| random.below(end) as i64;
        let value = match number(5) {
            0 => Value::Object(Document::from([("$slice", Value::Int64(number(7) - 3))])),
            1 => {
                let pair = vec![number(7) - 3, 1 + number(3)];
                Value::Object(Document::from([("$slice", Value::from(pair))]))
            }
            2 => Value::Object(Document::from([("$elemMatch", element_test(random, 1))])),
            _ => Value::Bool(show),
        };
        projection.insert(plain_path(random), value);
    }
    projection
}

/// A condition on the elements of the array `a`, or on a field in them, that names no whole array.
pub fn element_condition(random: &mut Random) -> (&'static str, Value) {
    let path = *random.pick(&["a", "a", "a.b", "a.c"]);
    let (name, operand) = match random.below(6) {
        0 => return (path, Value::Regex(regex(random))),
        1 => ("$in", Value::from(vec![scalar(random), scalar(random)])),
        2 => ("$type", Value::from(*random.pick(&["string", "null", "int", "object"]))),
        3 => ("$mod", Value::from(vec![2, 1])),
        4 if path == "a" => ("$elemMatch", element_test(random, 0)),
        _ => ("$eq", scalar(random)),
    };
    (path, Value::Object(Document::from([(name, operand)])))
}

/// A filter that another one may imply: conditions on some of its paths, sometimes its own.
pub fn looser(random: &mut Random, filter: &Document) -> Document {
    let mut looser = Document::new();
    for (key, value) in filter {
        match random.below(6) {
            0 => {}
            1 => drop(looser.insert(key, value.clone())),
            _ if key.starts_with('$') => {}
            _ => drop(looser.insert(key, Value::Object(comparison(random)))),
        }
    }
    looser
}

/// Conditions on few values, so that one often follows from another.
pub fn comparisons(random: &mut Random) -> Document {
    let mut filter = Document::new();
    for _ in 0..1 + random.below(2) {
        let mut condition = comparison(random);
        if random.one_in(4) {
            condition = Document::from([("$elemMatch", Value::Object(condition))]);
        } else if random.one_in(4) {
            condition.extend(comparison(random));
        }
        filter.insert(*random.pick(&["a", "b", "a.b", "a.0"]), condition);
    }
    filter
}

fn comparison(random: &mut Random) -> Document {
    let operand = |random: &mut Random| match random.below(8) {
        0 => Value::Null,
        1 => Value::from(vec![random.below(2) as i64]),
        2 | 3 => Value::from(*random.pick(&["a", "ab", "b"])),
        4 => Value::Double(random.below(8) as f64 / 2.0 - 1.0),
        _ => Value::Int64(random.below(5) as i64 - 1),
    };
    let name = *random.pick(&[
        "$eq",
        "$gt",
        "$gte",
        "$lt",
        "$lte",
        "$in",
        "$in",
        "$type",
        "$exists",
        "$regex",
        "$mod",
        "$ne",
        "$nin",
        "$all",
        "$size",
        "$not",
        "$bitsAnySet",
    ]);
    let value = match name {
        "$in" | "$nin" | "$all" => {
            let len = 1 + random.below(3);
            Value::Array((0..len).map(|_| operand(random)).collect())
        }
        "$type" => Value::from(*random.pick(&["int", "number", "string", "array", "null"])),
        "$exists" => Value::Bool(!random.one_in(4)),
        "$regex" => Value::from(*random.pick(&["^a", "^ab", "b$", "a"])),
        "$mod" => Value::from(vec![2, random.below(2) as i64]),
        "$size" => Value::Int64(random.below(3) as i64),
        "$bitsAnySet" => Value::Int64(1 + random.below(3) as i64),
        "$not" => Value::Object(Document::from([("$eq", operand(random))])),
        _ => operand(random),
    };
    Document::from([(name, value)])
}
