//! The one source of chance in the rigs: a 64-bit generator that a seed determines wholly.

/// A small, fast, seeded generator (splitmix64). The same seed gives the same numbers on every
/// machine; nothing else in this crate is random.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator at the start of the sequence that `seed` names.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator for one purpose: distinct `parts` give independent sequences.
    #[must_use]
    pub fn for_parts(parts: &[u64]) -> Self {
        Self(parts.iter().fold(0x5EED, |state, part| mix(state ^ part)))
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let drawn = mix(self.0);
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        drawn
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The bias is below bound / 2^64: nothing a rig could see.
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// An index into a collection of `count` things; 0 if there are none.
    pub fn index(&mut self, count: usize) -> usize {
        self.below(count as u64) as usize
    }

    /// A number in `low..=high`.
    ///
    /// # Panics
    /// If `high < low`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "an empty range has no member");
        low + self.below(high - low + 1)
    }

    /// True `percent` times in a hundred.
    pub fn percent(&mut self, percent: u8) -> bool {
        self.below(100) < u64::from(percent)
    }

    /// Fills `buf` with random bytes.
    pub fn fill(&mut self, buf: &mut [u8]) {
        for chunk in buf.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// The output function of splitmix64 (Steele, Lea, Flood 2014).
#[must_use]
pub(crate) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_determines_the_sequence() {
        // The reference sequence of splitmix64 for seed 1234567.
        let mut rng = Rng::new(1_234_567);
        let drawn: Vec<u64> = (0..3).map(|_| rng.next_u64()).collect();
        assert_eq!(
            drawn,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn numbers_stay_in_their_ranges_and_reach_both_ends() {
        let mut rng = Rng::new(7);
        let drawn: Vec<u64> = (0..1000).map(|_| rng.between(3, 6)).collect();
        assert!(drawn.iter().all(|n| (3..=6).contains(n)));
        assert!((3..=6).all(|n| drawn.contains(&n)));
        assert_eq!(rng.below(0), 0);
        assert!((0..100).all(|_| rng.percent(100)));
        assert!((0..100).all(|_| !rng.percent(0)));
    }

    #[test]
    fn parts_in_another_order_give_another_sequence() {
        assert_ne!(Rng::for_parts(&[1, 2]).next_u64(), Rng::for_parts(&[2, 1]).next_u64());
    }
}
