//! The one table of operator names: what the parsers accept, what errors suggest, what tools list.

/// Where an operator may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// As a key of a filter, beside fields.
    Filter,
    /// In the condition on one field.
    Field,
    /// As a key of an update.
    Update,
    /// In the projection of one field.
    Projection,
}

/// What an operator is about, as manuals and completions group them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OperatorKind {
    /// Compares a value with the operand.
    Comparison,
    /// Joins or negates conditions.
    Logical,
    /// Asks whether a value is there, or of what type.
    Presence,
    /// Asks about the elements of an array.
    Array,
    /// Matches text, computes, or says nothing.
    Evaluation,
    /// Asks about single bits.
    Bits,
    /// Changes a document.
    Update,
    /// Shapes what is shown.
    Projection,
}

/// An operator of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperatorInfo {
    /// Its name, with the `$`.
    pub name: &'static str,
    /// Where it may stand.
    pub place: Place,
    /// What it takes, in a few words.
    pub operand: &'static str,
    pub(crate) operator: Operator,
}

impl OperatorInfo {
    /// What the operator is about.
    ///
    /// ```
    /// use any_store_query::{OperatorKind, filter_operators};
    /// let bits = filter_operators().iter().filter(|op| op.kind() == OperatorKind::Bits);
    /// assert_eq!(bits.count(), 4);
    /// ```
    pub fn kind(&self) -> OperatorKind {
        use Operator as Op;
        match (self.place, self.operator) {
            (Place::Update, _) => OperatorKind::Update,
            (Place::Projection, _) => OperatorKind::Projection,
            (_, Op::And | Op::Or | Op::Nor | Op::Not) => OperatorKind::Logical,
            (_, Op::Exists | Op::Type) => OperatorKind::Presence,
            (_, Op::Size | Op::All | Op::ElemMatch) => OperatorKind::Array,
            (_, Op::Regex | Op::Options | Op::Mod | Op::Comment) => OperatorKind::Evaluation,
            (_, Op::BitsAllSet | Op::BitsAnySet | Op::BitsAllClear | Op::BitsAnyClear) => {
                OperatorKind::Bits
            }
            _ => OperatorKind::Comparison,
        }
    }
}

/// What an operator does; the parsers match on this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Eq,
    Ne,
    Gt,
    Gte,
    Lt,
    Lte,
    In,
    Nin,
    Exists,
    Type,
    Size,
    All,
    ElemMatch,
    Mod,
    BitsAllSet,
    BitsAnySet,
    BitsAllClear,
    BitsAnyClear,
    Regex,
    Options,
    Slice,
    Not,
    And,
    Or,
    Nor,
    Comment,
    Set,
    Unset,
    Inc,
    Mul,
    Min,
    Max,
    Bit,
    CurrentDate,
    Rename,
    Push,
    AddToSet,
    Pop,
    Pull,
    PullAll,
    SetOnInsert,
}

const fn filter(name: &'static str, operator: Operator, operand: &'static str) -> OperatorInfo {
    OperatorInfo { name, place: Place::Filter, operand, operator }
}

const fn field(name: &'static str, operator: Operator, operand: &'static str) -> OperatorInfo {
    OperatorInfo { name, place: Place::Field, operand, operator }
}

const fn update(name: &'static str, operator: Operator, operand: &'static str) -> OperatorInfo {
    OperatorInfo { name, place: Place::Update, operand, operator }
}

const fn projection(name: &'static str, operator: Operator, operand: &'static str) -> OperatorInfo {
    OperatorInfo { name, place: Place::Projection, operand, operator }
}

/// In the order in which a suggestion prefers them.
static FILTER_OPERATORS: &[OperatorInfo] = &[
    field("$eq", Operator::Eq, "any value"),
    field("$ne", Operator::Ne, "any value but a regular expression"),
    field("$gt", Operator::Gt, "any value with an order"),
    field("$gte", Operator::Gte, "any value with an order"),
    field("$lt", Operator::Lt, "any value with an order"),
    field("$lte", Operator::Lte, "any value with an order"),
    field("$in", Operator::In, "an array of values"),
    field("$nin", Operator::Nin, "an array of values"),
    filter("$and", Operator::And, "a non-empty array of filters"),
    filter("$or", Operator::Or, "a non-empty array of filters"),
    filter("$nor", Operator::Nor, "a non-empty array of filters"),
    field("$not", Operator::Not, "an object of operators"),
    field("$exists", Operator::Exists, "true or false"),
    field("$type", Operator::Type, "a type's name or number, or an array of these"),
    field("$size", Operator::Size, "a non-negative integer"),
    field("$all", Operator::All, "an array of values, or of $elemMatch conditions"),
    field("$elemMatch", Operator::ElemMatch, "a filter, or an object of operators"),
    field("$regex", Operator::Regex, "a pattern as a string, or a regular expression"),
    field("$options", Operator::Options, "letters of i, m, s, x, beside $regex"),
    field("$mod", Operator::Mod, "[divisor, remainder]"),
    field("$bitsAllSet", Operator::BitsAllSet, "a bit mask, bit positions or a binary"),
    field("$bitsAnySet", Operator::BitsAnySet, "a bit mask, bit positions or a binary"),
    field("$bitsAllClear", Operator::BitsAllClear, "a bit mask, bit positions or a binary"),
    field("$bitsAnyClear", Operator::BitsAnyClear, "a bit mask, bit positions or a binary"),
    filter("$comment", Operator::Comment, "any value"),
];

static UPDATE_OPERATORS: &[OperatorInfo] = &[
    update("$set", Operator::Set, "an object from path to value"),
    update("$unset", Operator::Unset, "an object from path to anything"),
    update("$inc", Operator::Inc, "an object from path to number"),
    update("$mul", Operator::Mul, "an object from path to number"),
    update("$min", Operator::Min, "an object from path to value"),
    update("$max", Operator::Max, "an object from path to value"),
    update("$rename", Operator::Rename, "an object from path to new path"),
    update(
        "$currentDate",
        Operator::CurrentDate,
        "an object from path to true or {$type: \"date\"}",
    ),
    update("$bit", Operator::Bit, "an object from path to {and, or, xor: integer}"),
    update(
        "$push",
        Operator::Push,
        "an object from path to value, or to {$each, $position, $slice, $sort}",
    ),
    update("$addToSet", Operator::AddToSet, "an object from path to value, or to {$each}"),
    update("$pop", Operator::Pop, "an object from path to 1 or -1"),
    update("$pull", Operator::Pull, "an object from path to value or condition"),
    update("$pullAll", Operator::PullAll, "an object from path to array of values"),
    update("$setOnInsert", Operator::SetOnInsert, "an object from path to value"),
];

/// The operators that a filter may hold.
///
/// ```
/// assert!(any_store_query::filter_operators().iter().any(|op| op.name == "$gte"));
/// ```
pub fn filter_operators() -> &'static [OperatorInfo] {
    FILTER_OPERATORS
}

/// The operators that an update may hold.
///
/// ```
/// assert!(any_store_query::update_operators().iter().any(|op| op.name == "$inc"));
/// ```
pub fn update_operators() -> &'static [OperatorInfo] {
    UPDATE_OPERATORS
}

static PROJECTION_OPERATORS: &[OperatorInfo] = &[
    projection("$slice", Operator::Slice, "a count, or [skip, count]"),
    projection("$elemMatch", Operator::ElemMatch, "a filter, or an object of operators"),
];

/// The operators that a projection may hold.
///
/// ```
/// assert!(any_store_query::projection_operators().iter().any(|op| op.name == "$slice"));
/// ```
pub fn projection_operators() -> &'static [OperatorInfo] {
    PROJECTION_OPERATORS
}

/// The operator of this name in a table.
pub(crate) fn find(name: &str, table: &'static [OperatorInfo]) -> Option<&'static OperatorInfo> {
    table.iter().find(|info| info.name == name)
}

/// The name that a misspelling probably meant: at most two edits away, case aside.
pub(crate) fn nearest(name: &str, table: &[OperatorInfo]) -> Option<&'static str> {
    const MAX_NAME_LEN: usize = 24;
    const MAX_EDITS: usize = 2;
    // Two edits turn a name of one letter into any other; such a guess helps nobody.
    if name.len() < 3 || name.len() > MAX_NAME_LEN {
        return None;
    }
    let written = name.to_ascii_lowercase();
    let scored = table.iter().map(|info| (edits(&written, &info.name.to_ascii_lowercase()), info));
    let (distance, best) = scored.min_by_key(|(distance, _)| *distance)?;
    let allowed = if name.len() < 5 { 1 } else { MAX_EDITS };
    (distance <= allowed).then_some(best.name)
}

/// How many letters must be put in, taken out or replaced to turn one name into the other.
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(to.bytes()) {
            let replaced = diagonal + usize::from(a != b);
            diagonal = *cell;
            left = replaced.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_counts_single_letters() {
        assert_eq!(edits("$gt", "$gt"), 0);
        assert_eq!(edits("$gtt", "$gt"), 1);
        assert_eq!(edits("$exist", "$exists"), 1);
        assert_eq!(edits("$elem", "$elemmatch"), 5);
        assert_eq!(edits("", "$in"), 3);
    }

    #[test]
    fn a_misspelling_finds_the_name_it_meant() {
        let known = filter_operators();
        assert_eq!(nearest("$gtt", known), Some("$gt"));
        assert_eq!(nearest("$GT", known), Some("$gt"));
        assert_eq!(nearest("$exist", known), Some("$exists"));
        assert_eq!(nearest("$elemmatch", known), Some("$elemMatch"));
        assert_eq!(nearest("$sett", update_operators()), Some("$set"));
    }

    #[test]
    fn a_name_like_no_other_has_no_suggestion() {
        assert_eq!(nearest("$where", filter_operators()), None);
        assert_eq!(nearest("$jsonSchema", filter_operators()), None);
        assert_eq!(nearest("$", filter_operators()), None);
    }

    #[test]
    fn no_name_is_in_a_table_twice() {
        for table in [filter_operators(), update_operators(), projection_operators()] {
            for (i, info) in table.iter().enumerate() {
                assert!(
                    table[i + 1..].iter().all(|other| other.name != info.name),
                    "{}",
                    info.name
                );
            }
        }
    }
}
