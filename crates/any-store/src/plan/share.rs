//! What share of the documents satisfies conditions that no index knows, and what that means for a limit.
//!
//! Of conditions that name a value, the share is unknown in its order of magnitude: a field may hold
//! three values or as many as there are documents. Whoever takes a mean for it walks over an index and
//! hopes for matches that hardly come. So one such condition is taken to have any share between one
//! document and a half of all, each doubling as likely, and the expected length of a walk is the mean
//! over these.

use any_store_query::Strictness;

/// The mean share of one condition that allows part of all values.
const PARTIAL: f64 = 0.4;
/// The mean share of one condition that rules out some value.
const NEGATIVE: f64 = 0.9;
/// The greatest share of a condition that names a value.
const COMMONEST: f64 = 0.5;

/// The share of documents that some conditions let through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// Of the conditions whose share is about known.
    likely: f64,
    /// The least share of the condition whose share may be anything up to [`COMMONEST`].
    rarest: Option<f64>,
}

impl Share {
    /// Of conditions that let everything through.
    pub(super) fn all() -> Self {
        Self { likely: 1.0, rarest: None }
    }

    /// Of conditions of some kinds, among so many documents, beside what leaves the share `known`.
    pub(super) fn new(known: f64, kinds: Strictness, documents: f64) -> Self {
        let rarest = (kinds.exact > 0).then(|| (1.0 / documents.max(1.0)).min(COMMONEST / 2.0));
        let others = rarest.map_or(1.0, |rarest| {
            let count = kinds.exact.saturating_sub(1).min(64);
            mean_of_doublings(rarest).powf(f64::from(count))
        });
        let partial = PARTIAL.powf(f64::from(kinds.partial.min(64)));
        let negative = NEGATIVE.powf(f64::from(kinds.negative.min(64)));
        Self { likely: known * others * partial * negative, rarest }
    }

    /// The expected share.
    pub(super) fn mean(self) -> f64 {
        self.likely * self.rarest.map_or(1.0, mean_of_doublings)
    }

    /// The expected part of a walk over so many documents that it takes to find `wanted` of them.
    pub(super) fn part(self, documents: f64, wanted: f64) -> f64 {
        // The share with which just so many would be found at the end.
        let enough = wanted / (documents * self.likely).max(1e-9);
        let Some(rarest) = self.rarest else { return enough.min(1.0) };
        let doublings = (COMMONEST / rarest).ln();
        if enough >= COMMONEST {
            1.0
        } else if enough <= rarest {
            enough * (1.0 / rarest - 1.0 / COMMONEST) / doublings
        } else {
            ((enough / rarest).ln() + 1.0 - enough / COMMONEST) / doublings
        }
    }
}

/// The mean of shares from `rarest` to [`COMMONEST`] of which each doubling is as likely.
fn mean_of_doublings(rarest: f64) -> f64 {
    (COMMONEST - rarest) / (COMMONEST / rarest).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(exact: u32, partial: u32) -> Share {
        let mut kinds = Strictness::default();
        (kinds.exact, kinds.partial) = (exact, partial);
        Share::new(1.0, kinds, 100_000.0)
    }

    /// The mean over many shares of the part of a walk, which [`Share::part`] has as a formula.
    fn part_by_sampling(documents: f64, wanted: f64) -> f64 {
        let (low, high) = (1e-5_f64.ln(), COMMONEST.ln());
        let samples = 20_000;
        let part = |at: i32| {
            let share = (low + (high - low) * (f64::from(at) + 0.5) / f64::from(samples)).exp();
            (wanted / (documents * share)).min(1.0)
        };
        (0..samples).map(part).sum::<f64>() / f64::from(samples)
    }

    #[test]
    fn the_part_of_a_walk_is_the_mean_over_the_shares() {
        for wanted in [0.5, 1.0, 20.0, 1000.0, 40_000.0, 60_000.0] {
            let (found, expected) = (share(1, 0).part(1e5, wanted), part_by_sampling(1e5, wanted));
            assert!((found - expected).abs() < 1e-3, "{wanted}: {found} and {expected}");
        }
    }

    #[test]
    fn more_conditions_let_less_through() {
        let shares = [share(0, 0), share(0, 1), share(0, 2), share(1, 2), share(2, 2)];
        assert_eq!(shares[0].mean(), 1.0);
        for pair in shares.windows(2) {
            assert!(pair[1].mean() < pair[0].mean(), "{pair:?}");
            assert!(pair[1].part(1e5, 10.0) > pair[0].part(1e5, 10.0), "{pair:?}");
        }
        assert!(share(u32::MAX, u32::MAX).part(1e5, 10.0).is_finite());
    }

    #[test]
    fn nothing_to_walk_over_is_no_division_by_zero() {
        for share in [Share::all(), share(1, 0), Share::new(0.0, Strictness::default(), 0.0)] {
            assert!((0.0..=1.0).contains(&share.part(0.0, 10.0)));
            assert!((0.0..=1.0).contains(&share.mean()));
        }
    }
}
