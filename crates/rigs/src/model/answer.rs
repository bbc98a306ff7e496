//! What a statement answers, and when two answers are the same.

use any_store::{ErrorKind, RawDocumentBuf, Value};
use any_store_naive::order::{equal, identical};

/// What a statement or a question answered.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Nothing,
    Ids(Vec<Value>),
    Updated { matched: u64, modified: u64, upserted: Option<Value> },
    Deleted(u64),
    Document(Option<RawDocumentBuf>),
    Documents(Vec<RawDocumentBuf>),
    Count(u64),
    Flag(bool),
    Values(Vec<Value>),
    Names(Vec<String>),
}

/// Why a statement was refused: one of these kinds. Which of several reasons is met first is not
/// promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) Vec<ErrorKind>);

impl From<ErrorKind> for Refusal {
    fn from(kind: ErrorKind) -> Self {
        Self(vec![kind])
    }
}

/// How much of an order was promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// All of it.
    Exact,
    /// None: the same documents in any order.
    Any,
    /// None, and only so many of the documents were asked for.
    AnyOf(usize),
}

/// What the model says must come.
pub(crate) type Expected = Result<(Answer, Order), Refusal>;

/// Is the answer what the model says? If not, why.
pub(crate) fn agree(
    expected: &Expected,
    got: &Result<Answer, any_store::Error>,
) -> Result<(), String> {
    let agrees = match (expected, got) {
        (Ok((expected, order)), Ok(got)) => is_same(expected, *order, got),
        (Err(refusal), Err(error)) => refusal.0.contains(&error.kind()),
        _ => false,
    };
    if agrees {
        return Ok(());
    }
    let expected = match expected {
        Ok((answer, order)) => format!("{} ({order:?} order)", short(answer)),
        Err(Refusal(kinds)) => format!("an error, {kinds:?}"),
    };
    let got = match got {
        Ok(answer) => short(answer),
        Err(error) => format!("{error:?}"),
    };
    Err(format!("the model says {expected}\nthe database says {got}"))
}

fn is_same(expected: &Answer, order: Order, got: &Answer) -> bool {
    match (expected, got) {
        (Answer::Nothing, Answer::Nothing) => true,
        (Answer::Ids(expected), Answer::Ids(got)) => all(expected, got, identical),
        (
            Answer::Updated { matched, modified, upserted },
            Answer::Updated { matched: m, modified: n, upserted: u },
        ) => {
            let upserted_alike = match (upserted, u) {
                (Some(expected), Some(got)) => identical(expected, got),
                (expected, got) => expected.is_none() && got.is_none(),
            };
            (matched, modified) == (m, n) && upserted_alike
        }
        (Answer::Deleted(expected), Answer::Deleted(got))
        | (Answer::Count(expected), Answer::Count(got)) => expected == got,
        (Answer::Flag(expected), Answer::Flag(got)) => expected == got,
        (Answer::Document(expected), Answer::Document(got)) => match (expected, got) {
            (Some(expected), Some(got)) => same_bytes(expected, got),
            (expected, got) => expected.is_none() && got.is_none(),
        },
        (Answer::Documents(expected), Answer::Documents(got)) => match order {
            Order::Exact => all(expected, got, same_bytes),
            Order::Any => expected.len() == got.len() && is_part(got, expected),
            Order::AnyOf(count) => got.len() == count && is_part(got, expected),
        },
        (Answer::Values(expected), Answer::Values(got)) => all(expected, got, equal),
        (Answer::Names(expected), Answer::Names(got)) => expected == got,
        _ => false,
    }
}

fn all<T>(expected: &[T], got: &[T], is_same: impl Fn(&T, &T) -> bool) -> bool {
    expected.len() == got.len() && expected.iter().zip(got).all(|(one, other)| is_same(one, other))
}

fn same_bytes(one: &RawDocumentBuf, other: &RawDocumentBuf) -> bool {
    one.as_bytes() == other.as_bytes()
}

/// Is each of the documents one of the others, and none of them twice?
fn is_part(part: &[RawDocumentBuf], whole: &[RawDocumentBuf]) -> bool {
    let sorted = |documents: &[RawDocumentBuf]| {
        let mut bytes: Vec<Vec<u8>> =
            documents.iter().map(|document| document.as_bytes().to_vec()).collect();
        bytes.sort();
        bytes
    };
    let mut rest = sorted(whole).into_iter();
    sorted(part).iter().all(|document| rest.any(|candidate| candidate == *document))
}

/// The answer, not too long to be read.
fn short(answer: &Answer) -> String {
    const MAX_CHARS: usize = 2000;
    let text = match answer {
        Answer::Documents(documents) => {
            let shown: Vec<String> = documents.iter().map(RawDocumentBuf::to_string).collect();
            format!("{} documents: {}", documents.len(), shown.join(" "))
        }
        Answer::Document(Some(document)) => document.to_string(),
        other => format!("{other:?}"),
    };
    if text.chars().count() <= MAX_CHARS {
        return text;
    }
    let start: String = text.chars().take(MAX_CHARS).collect();
    format!("{start}...")
}
