//! Numbers as bytes in order.
//!
//! The largest double that is not above the number becomes 64 bits in order: zero is `8000..`, what
//! is above adds the bits of the double, what is below takes them away, NaN is `0`. Ten bits follow
//! for what an `i64` has beyond that double. These 74 bits go into bytes from the top, seven to a
//! byte, and the last bit of a byte says whether another follows; trailing groups of zeros are left
//! out. Small numbers, of either sign, end in many zeros.

use crate::error::DecodeError;
use crate::number::{Number, exact_i64, floor_and_rest};

/// 64 and 10 bits, and what fills the last group.
const GROUPS: u32 = 11;
const GROUP_BITS: u32 = 7;
const REST_BITS: u32 = 10;
const FILL_BITS: u32 = GROUPS * GROUP_BITS - 64 - REST_BITS;

/// The ordered bits of zero.
const ZERO: u64 = 1 << 63;

pub(super) fn put(number: Number, out: &mut Vec<u8>) {
    let (floor, rest) = match number {
        Number::Int64(int) => floor_and_rest(int),
        Number::Double(double) => (double, 0),
    };
    let bits = u128::from(ordered_f64(floor)) << REST_BITS | u128::from(rest);
    let groups = bits << FILL_BITS;
    let used = match groups.trailing_zeros() / GROUP_BITS {
        empty if empty < GROUPS => GROUPS - empty,
        _ => 1,
    };
    for group in 1..=used {
        let [low, ..] = (groups >> ((GROUPS - group) * GROUP_BITS)).to_le_bytes();
        out.push(low << 1 | u8::from(group < used));
    }
}

/// Reads a number from bytes that are handed out one by one.
pub(super) fn read(
    mut next: impl FnMut() -> Result<u8, DecodeError>,
) -> Result<Number, DecodeError> {
    let mut groups = 0_u128;
    for group in 1..=GROUPS {
        let byte = next()?;
        groups |= u128::from(byte >> 1) << ((GROUPS - group) * GROUP_BITS);
        if byte & 1 == 0 {
            // A zero group is never the last, but for the one of NaN.
            let is_canonical = byte != 0 || group == 1;
            return if is_canonical { from_groups(groups) } else { Err(DecodeError::NotCanonical) };
        }
    }
    Err(DecodeError::NotCanonical)
}

fn from_groups(groups: u128) -> Result<Number, DecodeError> {
    let bits = groups >> FILL_BITS;
    let ordered = u64::try_from(bits >> REST_BITS).map_err(|_| DecodeError::NotCanonical)?;
    let rest =
        i64::try_from(bits & ((1 << REST_BITS) - 1)).map_err(|_| DecodeError::NotCanonical)?;
    let floor = from_ordered(ordered);
    let number = match exact_i64(floor) {
        Some(whole) => Number::Int64(whole.checked_add(rest).ok_or(DecodeError::NotCanonical)?),
        None => Number::Double(floor),
    };
    // Whatever is not the one spelling of this number spells differently when written again.
    let (again, again_rest) = match number {
        Number::Int64(int) => floor_and_rest(int),
        Number::Double(double) => (double, 0),
    };
    let is_canonical = ordered_f64(again) == ordered
        && i64::from(again_rest) == rest
        && groups & ((1 << FILL_BITS) - 1) == 0;
    if is_canonical { Ok(number) } else { Err(DecodeError::NotCanonical) }
}

/// Bits that order as the doubles do.
fn ordered_f64(double: f64) -> u64 {
    let magnitude = double.abs().to_bits();
    match double {
        _ if double.is_nan() => 0,
        _ if double < 0.0 => ZERO - magnitude,
        _ => ZERO + magnitude,
    }
}

fn from_ordered(ordered: u64) -> f64 {
    match ordered {
        0 => f64::NAN,
        _ if ordered < ZERO => -f64::from_bits(ZERO - ordered),
        _ => f64::from_bits(ordered - ZERO),
    }
}

const ZERO_32: u32 = 1 << 31;

/// As [`ordered_f64`], for the components of vectors.
pub(super) fn ordered_f32(float: f32) -> u32 {
    let magnitude = float.abs().to_bits();
    match float {
        _ if float.is_nan() => 0,
        _ if float < 0.0 => ZERO_32 - magnitude,
        _ => ZERO_32 + magnitude,
    }
}

pub(super) fn from_ordered_f32(ordered: u32) -> Result<f32, DecodeError> {
    let float = match ordered {
        0 => f32::NAN,
        _ if ordered < ZERO_32 => -f32::from_bits(ZERO_32 - ordered),
        _ => f32::from_bits(ordered - ZERO_32),
    };
    if ordered_f32(float) == ordered { Ok(float) } else { Err(DecodeError::NotCanonical) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: Number) -> Vec<u8> {
        let mut key = Vec::new();
        put(number, &mut key);
        key
    }

    #[test]
    fn small_integers_take_one_to_three_bytes() {
        assert_eq!(key(Number::Int64(0)), [0x80]);
        assert_eq!(key(Number::Int64(1)), [0xBF, 0xF8]);
        assert_eq!(key(Number::Int64(2)).len(), 1);
        assert!((-1024..=1024).all(|int| key(Number::Int64(int)).len() <= 3));
    }

    #[test]
    fn every_integer_is_exact() {
        let mut edges = vec![i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX, -1, 0, 1];
        for power in 0..63 {
            let power = 1_i64 << power;
            edges.extend([power - 1, power, power + 1, 1 - power, -power, -power - 1]);
        }
        edges.sort_unstable();
        edges.dedup();
        for pair in edges.windows(2) {
            assert!(key(Number::Int64(pair[0])) < key(Number::Int64(pair[1])), "{pair:?}");
        }
        for int in edges {
            let mut bytes = key(Number::Int64(int)).into_iter();
            let back = read(|| bytes.next().ok_or(DecodeError::Truncated)).unwrap();
            assert!(matches!(back, Number::Int64(back) if back == int), "{int}");
            assert_eq!(bytes.next(), None);
        }
    }

    #[test]
    fn nothing_but_the_one_spelling_is_read() {
        for bad in [&[0x81, 0x00][..], &[0x01, 0x00], &[0x01, 0x02], &[0xFF; 11], &[0x81]] {
            let mut bytes = bad.iter().copied();
            let read = read(|| bytes.next().ok_or(DecodeError::Truncated));
            assert!(read.is_err(), "{bad:?}");
        }
    }
}
