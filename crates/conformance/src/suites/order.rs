//! `values` -> the rank of each: by values, by encoded bytes and by keys.

use std::cmp::Ordering;

use anyenc::key::{Direction, encode_key};
use anyenc::{RawValue, Value};

use crate::Check;
use crate::case::Case;
use crate::engine::broken;

pub(crate) fn check(case: &Case<'_>) -> Check {
    let (Some(Value::Array(values)), Some(Value::Array(ranks))) =
        (case.value("values"), case.want()?.value("ranks"))
    else {
        return Err("the case has no values or no ranks".to_owned());
    };
    for (one, rank) in values.iter().zip(&ranks) {
        for (other, other_rank) in values.iter().zip(&ranks) {
            let wanted = rank.cmp(other_rank);
            for (how, got) in orders(one, other)? {
                if got != wanted {
                    return Err(format!("{one} and {other} are {got:?} {how}, wanted {wanted:?}"));
                }
            }
        }
    }
    Ok(())
}

fn orders(one: &Value, other: &Value) -> Result<[(&'static str, Ordering); 4], String> {
    let (bytes, other_bytes) = (encoded(one)?, encoded(other)?);
    let raw = RawValue::from_bytes(&bytes).map_err(broken)?;
    let other_raw = RawValue::from_bytes(&other_bytes).map_err(broken)?;
    let keys = |direction| -> Result<Ordering, String> {
        let (mut key, mut other_key) = (Vec::new(), Vec::new());
        encode_key(raw, direction, &mut key).map_err(broken)?;
        encode_key(other_raw, direction, &mut other_key).map_err(broken)?;
        Ok(key.cmp(&other_key))
    };
    Ok([
        ("as values", one.cmp(other)),
        ("encoded", raw.compare(&other_raw).map_err(broken)?),
        ("as keys", keys(Direction::Ascending)?),
        ("as descending keys, turned round", keys(Direction::Descending)?.reverse()),
    ])
}

fn encoded(value: &Value) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    value.encode_into(&mut bytes).map_err(broken)?;
    Ok(bytes)
}
