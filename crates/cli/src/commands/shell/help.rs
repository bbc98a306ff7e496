//! What the shell says about itself.

use crate::failure::Failure;
use crate::output::Output;
use crate::suggest::did_you_mean;

/// A topic, what it looks like, and what it does.
const TOPICS: [(&str, &str, &str); 34] = [
    (
        "show",
        "show collections | show indexes | show stats",
        "list what there is; sizes and counts",
    ),
    (
        "createCollection",
        "db.createCollection(name, {primaryKey, autoId, compression})",
        "make a collection",
    ),
    ("dropCollection", "db.dropCollection(name)", "remove a collection and its documents"),
    ("backup", "db.backup(path)", "copy the database into a new file, as of this instant"),
    ("quickCheck", "db.quickCheck()", "check the tops of the structures"),
    ("checkpoint", "db.checkpoint(FlushMode::Passive)", "copy the log back into the file"),
    (
        "find",
        "db.NAME.find(filter, projection)",
        "documents; then sort limit skip project hint pretty, count, update, delete, explain",
    ),
    ("findOne", "db.NAME.findOne(filter)", "the first document, indented"),
    ("findId", "db.NAME.findId(id)", "one document by its id; then project, pretty"),
    ("sort", ".sort(\"-age\", \"name\") | .sort({age: -1})", "order; - is descending"),
    ("limit", ".limit(n)", "no more than n documents"),
    ("skip", ".skip(n) | .offset(n)", "leave out the first n"),
    ("project", ".project({field: 1}) | .project({field: 0})", "choose or leave out fields"),
    ("pretty", ".pretty()", "indent"),
    (
        "hint",
        ".hint(\"name\") | .hint({age: 1}) | .hint({name: boost})",
        "use this index; or make indexes cheaper by so much. $natural is no index",
    ),
    (
        "explain",
        ".explain() | .explain(\"analyze\") | .explain(\"json\")",
        "how the query is run, and what it did; .count().explain() for a count",
    ),
    ("count", "db.NAME.count(filter) | .find(...).count()", "how many"),
    (
        "insert",
        "db.NAME.insert(document, ...)",
        "add documents, all or none; also insertOne, insertMany",
    ),
    ("update", "db.NAME.update(document)", "replace the document with the same id"),
    ("updateId", "db.NAME.updateId(id, {$set: {...}})", "change one document by its id"),
    (
        "updateMany",
        "db.NAME.updateMany(filter, {$set: {...}}, options)",
        "change what matches; also updateOne, replaceOne; options: upsert, arrayFilters, sort, limit",
    ),
    ("upsert", "db.NAME.upsert(document)", "replace or insert"),
    ("upsertId", "db.NAME.upsertId(id, {$set: {...}})", "change or insert by id"),
    ("deleteId", "db.NAME.deleteId(id)", "remove one document by its id"),
    ("deleteMany", "db.NAME.deleteMany(filter, options)", "remove what matches; also deleteOne"),
    (
        "findOneAndUpdate",
        "db.NAME.findOneAndUpdate(filter, {$set: {...}}, {returnDocument: \"after\"})",
        "change the first match and show it; also findOneAndReplace, findOneAndDelete",
    ),
    ("distinct", "db.NAME.distinct(field, filter)", "the different values of a field"),
    (
        "createIndex",
        "db.NAME.createIndex({a: 1, b: -1}, {name, unique, sparse, partial, expireAfter})",
        "make an index; ensureIndex does nothing if it is there; createIndexes([...]) makes all or none",
    ),
    ("dropIndex", "db.NAME.dropIndex(name) | .dropIndex({a: 1})", "remove an index"),
    ("getIndexes", "db.NAME.getIndexes()", "the definitions of the indexes"),
    ("drop", "db.NAME.drop()", "remove the collection"),
    ("rename", "db.NAME.rename(name)", "give the collection another name"),
    ("stats", "db.stats() | db.NAME.stats()", "sizes and counts"),
    ("exit", "exit | quit", "leave"),
];

pub(super) fn write(topic: Option<&str>, output: &mut Output) -> Result<(), Failure> {
    let Some(topic) = topic else { return write_all(output) };
    match TOPICS.iter().find(|(name, ..)| *name == topic) {
        Some((_, usage, what)) => output.line(&format!("{usage}\n    {what}")),
        None => {
            let near = did_you_mean(topic, TOPICS.iter().map(|(name, ..)| *name));
            Err(Failure::failed(format!("there is no help on \"{topic}\"{near}")))
        }
    }
}

fn write_all(output: &mut Output) -> Result<(), Failure> {
    for (_, usage, what) in TOPICS {
        output.line(&format!("{usage:<62} {what}"))?;
    }
    output.line(
        "Other names: db[\"odd name\"].find(). Values are relaxed JSON: {age: {$gt: 30}}, 'text',",
    )?;
    output.line(
        "/pattern/i, ObjectId(\"...\"), ISODate(\"...\"), NumberLong(1). `;` separates statements.",
    )
}
