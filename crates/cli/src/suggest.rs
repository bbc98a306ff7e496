//! "Did you mean": the known name that is nearest to a wrong one.

/// The candidate that takes the fewest edits to reach, if that is few enough to be a slip.
pub(crate) fn nearest<'a>(
    wrong: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wrong: Vec<char> = wrong.chars().take(LENGTH_MAX).collect();
    let allowed = match wrong.len() {
        0 | 1 => 0,
        2..=4 => 1,
        5..=8 => 2,
        _ => 3,
    };
    candidates
        .into_iter()
        .map(|name| (distance(&wrong, name), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `; did you mean "name"?`, or nothing.
pub(crate) fn did_you_mean<'a>(
    wrong: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> String {
    match nearest(wrong, candidates) {
        Some(name) => format!("; did you mean \"{name}\"?"),
        None => String::new(),
    }
}

/// Names are compared up to here, so that a pasted text costs nothing.
const LENGTH_MAX: usize = 64;

/// Levenshtein's distance; case alone costs nothing, so that `FindOne` leads to `findOne`.
fn distance(wrong: &[char], name: &str) -> usize {
    let mut row: Vec<usize> = (0..=wrong.len()).collect();
    for (line, letter) in name.chars().take(LENGTH_MAX).enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(wrong) {
            let substituted = diagonal + usize::from(!other.eq_ignore_ascii_case(&letter));
            diagonal = *cell;
            left = substituted.min(*cell + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["find", "findOne", "insert", "count"];

    #[test]
    fn slips_lead_to_the_nearest_name() {
        for (wrong, right) in
            [("fnd", "find"), ("FindOne", "findOne"), ("inser", "insert"), ("cuont", "count")]
        {
            assert_eq!(nearest(wrong, NAMES), Some(right), "{wrong}");
        }
    }

    #[test]
    fn strangers_lead_nowhere() {
        for wrong in ["", "x", "aggregate", "zebra"] {
            assert_eq!(nearest(wrong, NAMES), None, "{wrong}");
        }
        assert_eq!(did_you_mean("zebra", NAMES), "");
        assert_eq!(did_you_mean("fnd", NAMES), "; did you mean \"find\"?");
    }

    #[test]
    fn distances_are_levenshteins() {
        let of = |wrong: &str, name| distance(&wrong.chars().collect::<Vec<_>>(), name);
        assert_eq!(of("kitten", "sitting"), 3);
        assert_eq!(of("", "abc"), 3);
        assert_eq!(of("abc", ""), 3);
        assert_eq!(of("flaw", "lawn"), 2);
    }
}
