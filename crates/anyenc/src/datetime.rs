//! A moment in UTC, to the millisecond.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::SignedDuration;
use jiff::civil::{self, Date, Time};

/// Civil time is counted from here: jiff's own timestamps end a day before the year 10000 does.
const EPOCH: civil::DateTime = civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Milliseconds since 1970 in UTC, before and after, over the whole range of `i64`.
///
/// As text it is RFC 3339 with three digits of fraction; a moment outside the years 0 to 9999, which
/// RFC 3339 cannot spell, is its milliseconds in decimal. Text is read with any offset and any
/// number of digits, rounded down to the millisecond.
///
/// ```
/// use anyenc::DateTime;
/// let at: DateTime = "2024-01-02T03:04:05.6789+02:00".parse()?;
/// assert_eq!(at.to_string(), "2024-01-02T01:04:05.678Z");
/// assert_eq!(DateTime::from_ms(0).to_string(), "1970-01-01T00:00:00.000Z");
/// # Ok::<(), anyenc::DateTimeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateTime(i64);

impl DateTime {
    /// The moment so many milliseconds after 1970 began.
    pub const fn from_ms(ms: i64) -> DateTime {
        DateTime(ms)
    }

    /// Milliseconds since 1970 began.
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// The RFC 3339 text, if the moment lies in these years.
    pub(crate) fn rfc3339(self, years: std::ops::RangeInclusive<i16>) -> Option<Rfc3339> {
        let civil = EPOCH.checked_add(SignedDuration::from_millis(self.0)).ok()?;
        years.contains(&civil.year()).then_some(Rfc3339(civil))
    }
}

impl From<SystemTime> for DateTime {
    /// Rounded down to the millisecond; what `i64` does not hold is its nearest end.
    fn from(time: SystemTime) -> Self {
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        DateTime(match time.duration_since(UNIX_EPOCH) {
            Ok(after) => ms(after),
            Err(error) => {
                let before = error.duration();
                let is_whole = before.subsec_nanos() % 1_000_000 == 0;
                ms(before).saturating_add(i64::from(!is_whole)).saturating_neg()
            }
        })
    }
}

/// A date and time in UTC that prints as RFC 3339.
pub(crate) struct Rfc3339(civil::DateTime);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = &self.0;
        let (year, month, day) = (t.year(), t.month(), t.day());
        let (hour, minute, second, ms) = (t.hour(), t.minute(), t.second(), t.millisecond());
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rfc3339(0..=9999) {
            Some(text) => text.fmt(f),
            None => self.0.fmt(f),
        }
    }
}

impl FromStr for DateTime {
    type Err = DateTimeError;

    fn from_str(text: &str) -> Result<DateTime, DateTimeError> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(DateTime).map_err(|_| DateTimeError);
        }
        parse_rfc3339(text).ok_or(DateTimeError)
    }
}

/// Reads `2024-01-02T03:04:05[.fraction](Z|+02:00|+0200)` and nothing looser.
pub(crate) fn parse_rfc3339(text: &str) -> Option<DateTime> {
    let mut scan = Scan(text.as_bytes());
    let year = scan.number(4)?;
    scan.one_of(b"-")?;
    let month = scan.number(2)?;
    scan.one_of(b"-")?;
    let day = scan.number(2)?;
    scan.one_of(b"Tt")?;
    let hour = scan.number(2)?;
    scan.one_of(b":")?;
    let minute = scan.number(2)?;
    scan.one_of(b":")?;
    let second = scan.number(2)?;
    let ms = if scan.one_of(b".").is_some() { scan.fraction_ms()? } else { 0 };
    let offset_seconds = scan.offset_seconds()?;

    let small = |number: i16| i8::try_from(number).ok();
    let date = Date::new(year, small(month)?, small(day)?).ok()?;
    let nanoseconds = i32::from(ms) * 1_000_000;
    let time = Time::new(small(hour)?, small(minute)?, small(second)?, nanoseconds).ok()?;
    let local = date.to_datetime(time).duration_since(EPOCH);
    let utc = local.checked_sub(SignedDuration::from_secs(offset_seconds))?;
    i64::try_from(utc.as_millis()).ok().map(DateTime)
}

/// What is still to be read of a text.
struct Scan<'a>(&'a [u8]);

impl Scan<'_> {
    fn one_of(&mut self, wanted: &[u8]) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        wanted.contains(&first).then(|| {
            self.0 = rest;
            first
        })
    }

    fn digit(&mut self) -> Option<i16> {
        self.one_of(b"0123456789").map(|byte| i16::from(byte - b'0'))
    }

    fn number(&mut self, digits: usize) -> Option<i16> {
        (0..digits).try_fold(0, |sum: i16, _| Some(sum * 10 + self.digit()?))
    }

    /// One digit or more, of which three count: a moment is rounded down.
    fn fraction_ms(&mut self) -> Option<i16> {
        let mut ms = self.digit()? * 100;
        ms += self.digit().unwrap_or(0) * 10;
        ms += self.digit().unwrap_or(0);
        while self.digit().is_some() {}
        Some(ms)
    }

    /// How far the text's clock is ahead of UTC; nothing may follow it.
    fn offset_seconds(&mut self) -> Option<i64> {
        let sign = self.one_of(b"Zz+-")?;
        let seconds = match sign {
            b'Z' | b'z' => 0,
            _ => {
                let hours = i64::from(self.number(2)?);
                self.one_of(b":");
                let minutes = i64::from(self.number(2)?);
                (hours < 24 && minutes < 60).then_some(())?;
                (hours * 60 + minutes) * if sign == b'-' { -60 } else { 60 }
            }
        };
        self.0.is_empty().then_some(seconds)
    }
}

/// A text that is no date and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTimeError;

impl fmt::Display for DateTimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a date is spelled as in 2024-01-02T03:04:05.678Z")
    }
}

impl std::error::Error for DateTimeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_reads_back_over_the_whole_range() {
        let edges = [0, -1, 1, 253_402_300_799_999, 253_402_300_800_000, -62_167_219_200_000];
        for ms in edges.into_iter().chain([-62_167_219_200_001, i64::MIN, i64::MAX]) {
            let at = DateTime::from_ms(ms);
            assert_eq!(at.to_string().parse(), Ok(at), "{at}");
        }
        assert_eq!(DateTime::from_ms(-1).to_string(), "1969-12-31T23:59:59.999Z");
        assert_eq!(DateTime::from_ms(253_402_300_799_999).to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn a_fraction_is_rounded_down_and_an_offset_is_taken_away() {
        let ms = |text: &str| text.parse::<DateTime>().map(DateTime::ms);
        assert_eq!(ms("1969-12-31T23:59:59.9999Z"), Ok(-1));
        assert_eq!(ms("1970-01-01T01:00:00+01:00"), Ok(0));
        assert_eq!(ms("1970-01-01T01:00:00.5+0100"), Ok(500));
        assert_eq!(ms("1969-12-31T22:30:00-01:30"), Ok(0));
    }

    #[test]
    fn the_time_of_the_system_is_rounded_down() {
        let nanos = Duration::from_nanos;
        for (time, ms) in [
            (UNIX_EPOCH, 0),
            (UNIX_EPOCH + nanos(1_999_999), 1),
            (UNIX_EPOCH - nanos(1), -1),
            (UNIX_EPOCH - nanos(1_000_000), -1),
            (UNIX_EPOCH - nanos(1_000_001), -2),
        ] {
            assert_eq!(DateTime::from(time), DateTime::from_ms(ms));
        }
    }

    #[test]
    fn anything_looser_is_refused() {
        for bad in [
            "",
            "-",
            "2024-01-02",
            "2024-13-01T00:00:00Z",
            "2024-02-30T00:00:00Z",
            "2024-01-02T24:00:00Z",
            "2024-01-02T03:04Z",
            "2024-01-02T03:04:05",
            "2024-01-02 03:04:05Z",
            "2024-01-02T03:04:05.Z",
            "2024-01-02T03:04:60Z",
            "2024-01-02T03:04:05Zx",
            "2024-01-02T03:04:05+2:00",
            "99999999999999999999",
            "2024-01-02T03:04:05+24:00",
        ] {
            assert_eq!(bad.parse::<DateTime>(), Err(DateTimeError), "{bad}");
        }
    }
}
