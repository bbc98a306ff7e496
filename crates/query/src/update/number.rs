//! The operators on numbers: `$inc`, `$mul`, `$bit`.

use anyenc::{Number, RawValue};

use super::Change;
use crate::error::{ApplyError, ApplyErrorKind};

/// One step of a `$bit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BitStep {
    And(i64),
    Or(i64),
    Xor(i64),
}

/// `$inc`: a missing field becomes the summand.
pub(super) fn sum(
    change: &Change,
    current: Option<RawValue<'_>>,
    by: Number,
) -> Result<Number, ApplyError> {
    match (number(change, "$inc", current)?, by) {
        (None, by) => Ok(by),
        (Some(Number::Int64(a)), Number::Int64(b)) => checked(change, a.checked_add(b)),
        (Some(a), b) => Ok(Number::Double(a.as_f64() + b.as_f64())),
    }
}

/// `$mul`: a missing field counts as a zero of the factor's kind.
pub(super) fn product(
    change: &Change,
    current: Option<RawValue<'_>>,
    by: Number,
) -> Result<Number, ApplyError> {
    match (number(change, "$mul", current)?, by) {
        (None, Number::Int64(_)) => Ok(Number::Int64(0)),
        (None, Number::Double(_)) => Ok(Number::Double(0.0)),
        (Some(Number::Int64(a)), Number::Int64(b)) => checked(change, a.checked_mul(b)),
        (Some(a), b) => Ok(Number::Double(a.as_f64() * b.as_f64())),
    }
}

/// `$bit`: the steps in the order in which they are written, from 0 where the field is missing.
pub(super) fn bits(
    change: &Change,
    current: Option<RawValue<'_>>,
    steps: &[BitStep],
) -> Result<Number, ApplyError> {
    let start = match current {
        None => 0,
        Some(RawValue::Int64(integer)) => integer,
        Some(other) => {
            let found = other.value_type().name();
            let reason =
                format!("$bit needs an integer in \"{}\", which holds {found}", change.path);
            return Err(change.refusal(ApplyErrorKind::Apply, reason));
        }
    };
    let bits = steps.iter().fold(start, |bits, step| match step {
        BitStep::And(mask) => bits & mask,
        BitStep::Or(mask) => bits | mask,
        BitStep::Xor(mask) => bits ^ mask,
    });
    Ok(Number::Int64(bits))
}

fn number(
    change: &Change,
    op: &str,
    current: Option<RawValue<'_>>,
) -> Result<Option<Number>, ApplyError> {
    let Some(value) = current else { return Ok(None) };
    match value.as_number() {
        Some(number) => Ok(Some(number)),
        None => {
            let found = value.value_type().name();
            let reason = format!("{op} needs a number in \"{}\", which holds {found}", change.path);
            Err(change.refusal(ApplyErrorKind::Apply, reason))
        }
    }
}

fn checked(change: &Change, result: Option<i64>) -> Result<Number, ApplyError> {
    result.map(Number::Int64).ok_or_else(|| {
        let reason = format!("\"{}\" would go past 64 bits", change.path);
        change.refusal(ApplyErrorKind::Overflow, reason)
    })
}
