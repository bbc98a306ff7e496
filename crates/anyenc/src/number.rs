//! `i64` and `f64` on one line.
//!
//! Both kinds are compared by their exact mathematical value: nothing is rounded on the way, so
//! `2^53 + 1` as an integer is above `2^53` as a double. `-0.0` equals `0`, NaN equals NaN and is
//! below every other number.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// A number of either kind.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// An integer.
    Int64(i64),
    /// A double.
    Double(f64),
}

impl Number {
    /// The integer that equals this number, if there is one within `i64`.
    ///
    /// ```
    /// use anyenc::Number;
    /// assert_eq!(Number::Double(2.0).as_i64(), Some(2));
    /// assert_eq!(Number::Double(2.5).as_i64(), None);
    /// ```
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Number::Int64(int) => Some(int),
            Number::Double(double) => exact_i64(double),
        }
    }

    /// The double nearest to this number.
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Int64(int) => int as f64,
            Number::Double(double) => double,
        }
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (*self, *other) {
            (Number::Int64(a), Number::Int64(b)) => a.cmp(&b),
            (Number::Double(a), Number::Double(b)) => cmp_f64(a, b),
            (Number::Int64(a), Number::Double(b)) => cmp_i64_f64(a, b),
            (Number::Double(a), Number::Int64(b)) => cmp_i64_f64(b, a).reverse(),
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match (self.as_i64(), *self) {
            (Some(int), _) | (None, Number::Int64(int)) => int.hash(state),
            (None, Number::Double(double)) if double.is_nan() => f64::NAN.to_bits().hash(state),
            (None, Number::Double(double)) => double.to_bits().hash(state),
        }
    }
}

/// Reads a number as JSON spells it: an integer if it is one within `i64`, else the nearest double;
/// nothing if it lies outside a double. `-0` is a double, since integers have no such zero.
pub(crate) fn parse_json_number(text: &str) -> Option<Number> {
    let is_integer = !text.contains(['.', 'e', 'E']) && text != "-0";
    if let (true, Ok(int)) = (is_integer, text.parse()) {
        return Some(Number::Int64(int));
    }
    text.parse().ok().filter(|double| f64::is_finite(*double)).map(Number::Double)
}

/// The name under which serde_json hands over a number's text once any crate has turned on its
/// feature `arbitrary_precision`.
pub(crate) const SERDE_JSON_NUMBER: &str = "$serde_json::private::Number";

/// 2^63, the first double above every `i64`.
pub(crate) const TWO_POW_63: f64 = 9_223_372_036_854_775_808.0;

/// The integer that a double is, if it is one within `i64`.
pub(crate) fn exact_i64(double: f64) -> Option<i64> {
    let int = truncate(double)?;
    (int as f64 == double).then_some(int)
}

/// A double without its fraction, if that lies within `i64`.
fn truncate(double: f64) -> Option<i64> {
    if !(-TWO_POW_63..TWO_POW_63).contains(&double) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "within i64, and the fraction shall go")]
    Some(double as i64)
}

/// Doubles in order: NaN lowest and equal to itself, zeros equal.
pub(crate) fn cmp_f64(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// As [`cmp_f64`], for the components of vectors.
pub(crate) fn cmp_f32(a: f32, b: f32) -> Ordering {
    cmp_f64(f64::from(a), f64::from(b))
}

fn cmp_i64_f64(int: i64, double: f64) -> Ordering {
    match truncate(double) {
        // The whole parts decide, and where they are equal the fraction does: it is exact, since a
        // double with a fraction is below 2^53.
        Some(whole) => int.cmp(&whole).then_with(|| cmp_f64(0.0, double - whole as f64)),
        None if double > 0.0 => Ordering::Less,
        None => Ordering::Greater,
    }
}

/// The largest double that is not above `int`, and what is left: at most 1023.
pub(crate) fn floor_and_rest(int: i64) -> (f64, u16) {
    let nearest = int as f64;
    let floor = match truncate(nearest) {
        Some(whole) if whole <= int => nearest,
        _ => nearest.next_down(),
    };
    let rest = truncate(floor).map_or(0, |whole| int.abs_diff(whole));
    (floor, u16::try_from(rest).unwrap_or(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_doubles_compare_without_rounding() {
        let two53 = 9_007_199_254_740_992_i64;
        assert!(Number::Int64(two53 + 1) > Number::Double(two53 as f64));
        assert!(Number::Int64(two53) == Number::Double(two53 as f64));
        assert!(Number::Int64(i64::MAX) < Number::Double(TWO_POW_63));
        assert!(Number::Int64(i64::MIN) == Number::Double(-TWO_POW_63));
        assert!(Number::Int64(-1) < Number::Double(-0.5));
        assert!(Number::Int64(0) == Number::Double(-0.0));
        assert!(Number::Double(f64::NAN) < Number::Int64(i64::MIN));
        assert!(Number::Double(f64::NAN) < Number::Double(f64::NEG_INFINITY));
        assert!(Number::Double(f64::NAN) == Number::Double(-f64::NAN));
    }

    #[test]
    fn the_floor_of_an_integer_is_the_double_just_below() {
        for int in [0, 1, -1, i64::MAX, i64::MIN, i64::MIN + 1, (1 << 53) + 1, -(1 << 53) - 1] {
            let (floor, rest) = floor_and_rest(int);
            assert!(Number::Double(floor) <= Number::Int64(int), "{int}");
            assert!(Number::Double(floor.next_up()) > Number::Int64(int), "{int}");
            assert_eq!(exact_i64(floor).unwrap() + i64::from(rest), int);
            assert!(rest < 1024);
        }
    }
}
