//! Filters written as Rust: [`field`] names a path, its methods say what is asked of it.
//!
//! A builder writes the document that the same filter is as JSON, and nothing else; so text, `doc!`
//! and builder give the same tree, and a bad filter is refused by the same error, when it is built.
//!
//! ```
//! use any_store_query::{Filter, field};
//!
//! let adults = field("age").gte(18).lt(65).and(field("tags").is_in(["new", "vip"]));
//! assert_eq!(
//!     adults.build()?,
//!     Filter::from_json(
//!         r#"{"$and":[{"age":{"$gte":18,"$lt":65}},{"tags":{"$in":["new","vip"]}}]}"#,
//!     )?,
//! );
//! # Ok::<(), any_store_query::ParseError>(())
//! ```

use anyenc::{Document, Regex, Value};

use crate::error::ParseError;
use crate::filter::Filter;

/// Begins a condition on the field at a path.
pub fn field(path: impl Into<String>) -> Field {
    Field { path: path.into(), operators: vec![Document::new()] }
}

/// Conditions on one field, all of which must hold; without any, everything matches.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a condition selects nothing until it is built"]
pub struct Field {
    path: String,
    /// An operator that is asked for once more begins a new object.
    operators: Vec<Document>,
}

impl Field {
    fn with(mut self, operator: &str, operand: impl Into<Value>) -> Field {
        match self.operators.last_mut() {
            Some(operators) if !operators.contains_key(operator) => {
                operators.insert(operator, operand);
            }
            _ => self.operators.push(Document::from([(operator, operand.into())])),
        }
        self
    }

    /// `$eq`: the value equals this one; null equals missing as well.
    pub fn eq(self, value: impl Into<Value>) -> Field {
        self.with("$eq", value)
    }

    /// `$ne`: the value does not equal this one.
    pub fn ne(self, value: impl Into<Value>) -> Field {
        self.with("$ne", value)
    }

    /// `$gt`: the value is of this one's type and above it.
    pub fn gt(self, value: impl Into<Value>) -> Field {
        self.with("$gt", value)
    }

    /// `$gte`: the value is of this one's type and not below it.
    pub fn gte(self, value: impl Into<Value>) -> Field {
        self.with("$gte", value)
    }

    /// `$lt`: the value is of this one's type and below it.
    pub fn lt(self, value: impl Into<Value>) -> Field {
        self.with("$lt", value)
    }

    /// `$lte`: the value is of this one's type and not above it.
    pub fn lte(self, value: impl Into<Value>) -> Field {
        self.with("$lte", value)
    }

    /// `$in`: the value equals one of these.
    pub fn is_in<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Field {
        self.with("$in", array(values))
    }

    /// `$nin`: the value equals none of these.
    pub fn not_in<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Field {
        self.with("$nin", array(values))
    }

    /// `$all`: each of these equals the value or one of its elements.
    pub fn has_all<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Field {
        self.with("$all", array(values))
    }

    /// `$exists`: there is a value, be it null; or there is none.
    pub fn exists(self, wanted: bool) -> Field {
        self.with("$exists", wanted)
    }

    /// `$type`: the value, or an element of it, is of the type of this name.
    pub fn of_type(self, name: &str) -> Field {
        self.with("$type", name)
    }

    /// `$size`: the value is an array of this length.
    pub fn size(self, len: i64) -> Field {
        self.with("$size", len)
    }

    /// `$regex`: a string matches the pattern.
    pub fn matches(self, pattern: &str) -> Field {
        self.matches_with(pattern, "")
    }

    /// `$regex` with flags, letters of `i`, `m`, `s` and `x`.
    pub fn matches_with(self, pattern: &str, options: &str) -> Field {
        let (pattern, options) = (pattern.to_owned(), options.to_owned());
        self.with("$regex", Value::Regex(Regex { pattern, options }))
    }

    /// `$mod`: the integer part of a number leaves this remainder.
    pub fn modulo(self, divisor: i64, remainder: i64) -> Field {
        self.with("$mod", vec![divisor, remainder])
    }

    /// `$bitsAllSet`: every bit of the mask is set.
    pub fn bits_all_set(self, mask: i64) -> Field {
        self.with("$bitsAllSet", mask)
    }

    /// `$bitsAnySet`: a bit of the mask is set.
    pub fn bits_any_set(self, mask: i64) -> Field {
        self.with("$bitsAnySet", mask)
    }

    /// `$bitsAllClear`: no bit of the mask is set.
    pub fn bits_all_clear(self, mask: i64) -> Field {
        self.with("$bitsAllClear", mask)
    }

    /// `$bitsAnyClear`: a bit of the mask is not set.
    pub fn bits_any_clear(self, mask: i64) -> Field {
        self.with("$bitsAnyClear", mask)
    }

    /// `$elemMatch` on the fields of elements: one element satisfies the whole filter.
    pub fn elem_match(self, filter: impl Into<Criteria>) -> Field {
        let filter = filter.into().document;
        self.with("$elemMatch", filter)
    }

    /// `$elemMatch` on elements themselves: one element satisfies all of what is asked.
    ///
    /// ```
    /// use any_store_query::{Filter, field};
    /// let filter = field("scores").elem_match_value(|score| score.gte(80).lt(90)).build()?;
    /// assert_eq!(filter, Filter::from_json(r#"{"scores":{"$elemMatch":{"$gte":80,"$lt":90}}}"#)?);
    /// # Ok::<(), any_store_query::ParseError>(())
    /// ```
    pub fn elem_match_value(self, ask: impl FnOnce(Field) -> Field) -> Field {
        self.with_each("$elemMatch", ask)
    }

    /// `$not`: what is asked does not hold, or the field is missing.
    ///
    /// ```
    /// use any_store_query::{Filter, field};
    /// let filter = field("age").not(|age| age.gt(18)).build()?;
    /// assert_eq!(filter, Filter::from_json(r#"{"age":{"$not":{"$gt":18}}}"#)?);
    /// # Ok::<(), any_store_query::ParseError>(())
    /// ```
    pub fn not(self, ask: impl FnOnce(Field) -> Field) -> Field {
        self.with_each("$not", ask)
    }

    /// The operators that `ask` puts down, as an operand; the last where one is given twice.
    fn with_each(self, operator: &str, ask: impl FnOnce(Field) -> Field) -> Field {
        let asked = ask(field("")).operators;
        let operators: Document =
            asked.iter().flatten().map(|(name, value)| (name.to_owned(), value.clone())).collect();
        self.with(operator, operators)
    }

    /// `$and`: this and the other hold.
    pub fn and(self, other: impl Into<Criteria>) -> Criteria {
        Criteria::from(self).and(other)
    }

    /// `$or`: this or the other holds.
    pub fn or(self, other: impl Into<Criteria>) -> Criteria {
        Criteria::from(self).or(other)
    }

    /// The filter.
    ///
    /// # Errors
    /// As [`Filter::from_document`].
    pub fn build(self) -> Result<Filter, ParseError> {
        Criteria::from(self).build()
    }
}

fn array<V: Into<Value>>(values: impl IntoIterator<Item = V>) -> Value {
    values.into_iter().collect()
}

/// A filter in the making.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "criteria select nothing until they are built"]
pub struct Criteria {
    document: Document,
}

impl Criteria {
    /// `$and`: this and the other hold.
    pub fn and(self, other: impl Into<Criteria>) -> Criteria {
        self.join("$and", other.into())
    }

    /// `$or`: this or the other holds.
    pub fn or(self, other: impl Into<Criteria>) -> Criteria {
        self.join("$or", other.into())
    }

    /// `$nor`: this does not hold.
    pub fn negate(self) -> Criteria {
        Criteria { document: Document::from([("$nor", Value::from(vec![self.document]))]) }
    }

    /// Adds a branch, so that `a.or(b).or(c)` is one operator with three.
    fn join(mut self, operator: &str, other: Criteria) -> Criteria {
        if self.document.len() == 1
            && let Some(Value::Array(branches)) = self.document.get_mut(operator)
        {
            branches.push(Value::Object(other.document));
            return self;
        }
        let branches = vec![self.document, other.document];
        Criteria { document: Document::from([(operator, Value::from(branches))]) }
    }

    /// The filter.
    ///
    /// # Errors
    /// As [`Filter::from_document`].
    pub fn build(self) -> Result<Filter, ParseError> {
        Filter::from_document(&self.document)
    }
}

impl From<Field> for Criteria {
    fn from(field: Field) -> Criteria {
        let asked = field.operators.into_iter().filter(|operators| !operators.is_empty());
        let mut each: Vec<Document> =
            asked.map(|operators| Document::from([(field.path.as_str(), operators)])).collect();
        Criteria {
            document: match (each.pop(), each.is_empty()) {
                (None, _) => Document::new(),
                (Some(only), true) => only,
                (Some(last), false) => {
                    each.push(last);
                    Document::from([("$and", each)])
                }
            },
        }
    }
}

impl From<Document> for Criteria {
    fn from(document: Document) -> Criteria {
        Criteria { document }
    }
}

impl TryFrom<Field> for Filter {
    type Error = ParseError;

    fn try_from(field: Field) -> Result<Filter, ParseError> {
        field.build()
    }
}

impl TryFrom<Criteria> for Filter {
    type Error = ParseError;

    fn try_from(criteria: Criteria) -> Result<Filter, ParseError> {
        criteria.build()
    }
}

#[cfg(test)]
mod tests {
    use anyenc::doc;

    use super::*;

    fn json(text: &str) -> Filter {
        Filter::from_json(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn every_method_gives_the_tree_of_its_operator() {
        for (built, text) in [
            (field("a").eq(1), r#"{"a":1}"#),
            (field("a").eq(1).ne("x"), r#"{"a":{"$eq":1,"$ne":"x"}}"#),
            (
                field("a").gt(1).gte(2).lt(3).lte(4.5),
                r#"{"a":{"$gt":1,"$gte":2,"$lt":3,"$lte":4.5}}"#,
            ),
            (field("a").not_in([1, 2]), r#"{"a":{"$nin":[1,2]}}"#),
            (field("a").has_all(["x"]).size(2), r#"{"a":{"$all":["x"],"$size":2}}"#),
            (
                field("a.b").exists(false).of_type("int"),
                r#"{"a.b":{"$exists":false,"$type":"int"}}"#,
            ),
            (field("a").matches("^x"), r#"{"a":{"$regex":"^x"}}"#),
            (field("a").matches_with("x", "i"), r#"{"a":{"$regex":"x","$options":"i"}}"#),
            (field("a").modulo(4, 1), r#"{"a":{"$mod":[4,1]}}"#),
            (
                field("a").bits_all_set(5).bits_any_set(2),
                r#"{"a":{"$bitsAllSet":5,"$bitsAnySet":2}}"#,
            ),
            (
                field("a").bits_all_clear(5).bits_any_clear(2),
                r#"{"a":{"$bitsAllClear":5,"$bitsAnyClear":2}}"#,
            ),
            (field("a").elem_match(field("b").eq(1)), r#"{"a":{"$elemMatch":{"b":1}}}"#),
            (field("a").gt(1).gt(2), r#"{"$and":[{"a":{"$gt":1}},{"a":{"$gt":2}}]}"#),
            (field("a"), "{}"),
        ] {
            assert_eq!(built.build().as_ref(), Ok(&json(text)), "{text}");
        }
    }

    #[test]
    fn one_filter_from_text_document_and_builder_is_one_tree() {
        let built = field("a").gt(1).or(field("b").eq(2)).or(doc! { "c": 3 }).and(field("d").eq(4));
        let document = doc! { "$and": [
            { "$or": [{ "a": { "$gt": 1 } }, { "b": 2 }, { "c": 3 }] },
            { "d": 4 },
        ] };
        let text = r#"{"$and":[{"$or":[{"a":{"$gt":1}},{"b":2},{"c":3}]},{"d":4}]}"#;
        assert_eq!(built.clone().build(), Filter::from_document(&document));
        assert_eq!(built.build(), Ok(json(text)));
        let negated = Criteria::from(field("a").eq(1)).negate();
        assert_eq!(negated.build(), Ok(json(r#"{"$nor":[{"a":1}]}"#)));
    }

    #[test]
    fn a_bad_condition_is_refused_when_it_is_built() {
        let error = field("a").matches("(").build().expect_err("not a pattern");
        assert_eq!((error.path.as_str(), error.op.as_str()), ("a.$regex", "$regex"));
        let error = field("a").size(-1).and(field("b").eq(1)).build().expect_err("no size");
        assert_eq!(error.path, "$and.0.a.$size");
    }
}
