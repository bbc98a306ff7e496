//! Numbers as people read them.

use std::time::Duration;

/// `3,201`
pub(crate) fn count(number: u64) -> String {
    group(&number.to_string())
}

fn group(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1.4 MB`, in powers of 1000.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    let mut scaled = number as f64;
    let mut unit = "bytes";
    for next in UNITS {
        // 999,950 would be rounded to "1000.0 kB".
        if scaled < 999.95 {
            break;
        }
        scaled /= 1000.0;
        unit = next;
    }
    if unit == "bytes" { format!("{number} bytes") } else { format!("{scaled:.1} {unit}") }
}

/// `1.9 ms`, `12 ms` or `3.45 s`
pub(crate) fn duration(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    if millis < 10.0 {
        format!("{millis:.1} ms")
    } else if millis < 1000.0 {
        format!("{millis:.0} ms")
    } else {
        format!("{:.2} s", millis / 1e3)
    }
}

/// `78,073 documents/s`
pub(crate) fn rate(documents: u64, duration: Duration) -> String {
    let rate = documents as f64 / duration.as_secs_f64().max(1e-9);
    format!("{} documents/s", group(&format!("{rate:.0}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn bytes_have_one_decimal() {
        for (number, text) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (1_399_981, "1.4 MB"),
            (u64::MAX, "18446.7 PB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn durations_have_about_three_digits() {
        for (micros, text) in
            [(40, "0.0 ms"), (1900, "1.9 ms"), (12_345, "12 ms"), (3_450_000, "3.45 s")]
        {
            assert_eq!(duration(Duration::from_micros(micros)), text);
        }
        assert_eq!(rate(3000, Duration::from_millis(500)), "6,000 documents/s");
    }
}
