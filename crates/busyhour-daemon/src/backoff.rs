//! Exponential backoff with full jitter.

use std::time::Duration;

use thiserror::Error;

/// Limits that do not form a backoff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a backoff needs 0 < lowest <= highest, found {lowest:?} and {highest:?}")]
pub struct InvalidBackoff {
    /// The ceiling of the first delay.
    pub lowest: Duration,
    /// The ceiling of any delay.
    pub highest: Duration,
}

/// How long to wait before the next try: a random time below a ceiling that doubles with each try
/// ("full jitter", Brooker, "Exponential Backoff And Jitter", 2015), so that peers that failed
/// together come back dispersed. The caller counts the tries and does not wait after the last one.
#[derive(Debug, Clone)]
pub struct Backoff {
    lowest: Duration,
    highest: Duration,
    ceiling: Duration,
    random: fastrand::Rng,
}

impl Backoff {
    /// Checks the limits; the same seed gives the same delays.
    ///
    /// # Errors
    /// When `lowest` is zero or above `highest`.
    pub fn new(lowest: Duration, highest: Duration, seed: u64) -> Result<Self, InvalidBackoff> {
        if lowest.is_zero() || lowest > highest {
            return Err(InvalidBackoff { lowest, highest });
        }
        let random = fastrand::Rng::with_seed(seed);
        Ok(Self { lowest, highest, ceiling: lowest, random })
    }

    /// The delay before the next try. It is at least a tenth of the first ceiling, so that a peer
    /// that refuses at once is never hammered.
    pub fn next_delay(&mut self) -> Duration {
        let jittered = self.ceiling.mul_f64(self.random.f64());
        self.ceiling = self.ceiling.saturating_mul(2).min(self.highest);
        jittered.max(self.lowest / 10)
    }

    /// Starts over after a success.
    pub const fn reset(&mut self) {
        self.ceiling = self.lowest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOWEST: Duration = Duration::from_secs(1);
    const HIGHEST: Duration = Duration::from_secs(120);

    #[test]
    fn delays_stay_below_a_doubling_ceiling() {
        for seed in 0..200 {
            let mut backoff = Backoff::new(LOWEST, HIGHEST, seed).unwrap();
            let mut ceiling = LOWEST;
            for _ in 0..12 {
                let delay = backoff.next_delay();
                assert!(delay <= ceiling && delay >= LOWEST / 10, "{delay:?} {ceiling:?}");
                ceiling = (ceiling * 2).min(HIGHEST);
            }
            backoff.reset();
            assert!(backoff.next_delay() <= LOWEST);
        }
    }

    #[test]
    fn peers_that_failed_together_come_back_dispersed() {
        let after_six = |seed| {
            let mut backoff = Backoff::new(LOWEST, HIGHEST, seed).unwrap();
            (0..6).map(|_| backoff.next_delay()).last().unwrap().as_secs() / 4
        };
        let seconds: std::collections::BTreeSet<u64> = (0..200).map(after_six).collect();
        assert!(seconds.len() >= 7, "{seconds:?}");
    }

    #[test]
    fn impossible_limits_are_refused() {
        assert!(Backoff::new(Duration::ZERO, HIGHEST, 0).is_err());
        assert!(Backoff::new(HIGHEST, LOWEST, 0).is_err());
    }
}
