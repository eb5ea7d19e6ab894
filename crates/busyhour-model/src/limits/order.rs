//! Whether packets out of order are too many: an exact test, as the limits allow so few that a
//! window, or even an hour, may say nothing.

use super::Judgement;

/// How often at most, in an hour whose true share lies at the limit, chance alone makes it fail. Of
/// the many hours that are tested few may fail for nothing.
pub const REORDER_FAIL_LEVEL: f64 = 0.01;
/// How often at most chance alone makes such an hour pass.
pub const REORDER_PASS_LEVEL: f64 = 0.05;

/// Judges `part` of `whole` packets against a limit by two one-sided binomial tests. It fails when as
/// many or more would be a rarity at the limit, passes when as few or fewer would be, and is unknown
/// in between.
pub(super) fn judge_rare(part: u64, whole: u64, limit_ppm: u32) -> Judgement {
    if whole == 0 || part > whole {
        return Judgement::Unknown;
    }
    let limit = f64::from(limit_ppm) / 1e6;
    // Of the two tails only the one that can be rare is worth summing.
    let above = u128::from(part) * 1_000_000 > u128::from(limit_ppm) * u128::from(whole);
    if above && at_least(part, whole, limit) < REORDER_FAIL_LEVEL {
        return Judgement::Fail;
    }
    if !above && at_most(part, whole, limit) < REORDER_PASS_LEVEL {
        return Judgement::Pass;
    }
    Judgement::Unknown
}

/// `P(X >= k)` of a binomial distribution with `k` above its mean.
fn at_least(k: u64, n: u64, p: f64) -> f64 {
    let mut term = probability(k, n, p);
    let mut sum = term;
    for i in k..n {
        term *= float(n - i) / float(i + 1) * p / (1.0 - p);
        sum += term;
        if term <= sum * 1e-17 {
            break;
        }
    }
    sum
}

/// `P(X <= k)` of a binomial distribution with `k` at most its mean.
fn at_most(k: u64, n: u64, p: f64) -> f64 {
    let mut term = probability(k, n, p);
    let mut sum = term;
    for i in (1..=k).rev() {
        term *= float(i) / float(n - i + 1) * (1.0 - p) / p;
        sum += term;
        if term <= sum * 1e-17 {
            break;
        }
    }
    sum
}

/// `P(X = k)`.
fn probability(k: u64, n: u64, p: f64) -> f64 {
    let choose = ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
    (choose + float(k) * p.ln() + float(n - k) * (-p).ln_1p()).exp()
}

/// By Stirling's series; below sixteen by multiplication.
fn ln_factorial(n: u64) -> f64 {
    if n < 16 {
        return (1..=n).map(float).product::<f64>().ln();
    }
    let x = float(n);
    let series = 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) + 1.0 / (1260.0 * x.powi(5));
    x * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI * x).ln() + series
}

#[expect(clippy::cast_precision_loss, reason = "packets of an hour are far below 2^53")]
fn float(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn more_out_of_order_is_never_better(
            whole in 1u64..2_000_000, part in 0u64..5_000, more in 0u64..50,
            limit_ppm in prop::sample::select(vec![1u32, 100, 500, 100_000]),
        ) {
            let rank = |part| match judge_rare(part, whole, limit_ppm) {
                Judgement::Pass => 0,
                Judgement::Unknown => 1,
                Judgement::Fail => 2,
            };
            let part = part.min(whole);
            prop_assert!(rank((part + more).min(whole)) >= rank(part));
        }

        #[test]
        fn both_tails_around_the_mean_share_one_term_and_make_one(
            n in 1u64..20_000, deviations in -3.0f64..3.0, p in 0.000_1f64..0.5,
        ) {
            let mean = float(n) * p;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
            let k = (mean + deviations * (mean * (1.0 - p)).sqrt()).clamp(0.0, float(n)) as u64;
            let both = at_most(k, n, p) + at_least(k, n, p) - probability(k, n, p);
            prop_assert!((both - 1.0).abs() < 1e-6, "{}", both);
        }
    }

    fn close(found: f64, expected: f64) -> bool {
        (found / expected - 1.0).abs() < 1e-7
    }

    #[test]
    fn the_tails_are_those_of_exact_arithmetic() {
        // Summed as exact fractions.
        for (k, n, p, expected) in AT_LEAST {
            let found = at_least(*k, *n, *p);
            assert!(close(found, *expected), "P(X >= {k} of {n}) = {found}");
        }
        for (k, n, p, expected) in AT_MOST {
            let found = at_most(*k, *n, *p);
            assert!(close(found, *expected), "P(X <= {k} of {n}) = {found}");
        }
    }

    const AT_LEAST: &[(u64, u64, f64, f64)] = &[
        (8, 10, 0.5, 5.4687500000e-02),
        (32, 45_000, 0.0005, 3.4231172327e-02),
        (9, 45_000, 0.0001, 4.0249204702e-02),
        (60, 45_000, 0.0005, 4.2660761836e-11),
        (300, 300, 0.1, 1.0000000000e-300),
    ];
    const AT_MOST: &[(u64, u64, f64, f64)] = &[
        (0, 45_000, 0.0001, 1.1106497129e-02),
        (14, 45_000, 0.0005, 3.8566613633e-02),
        (15, 45_000, 0.0005, 6.3364413872e-02),
        (2, 10, 0.5, 5.4687500000e-02),
        (22, 45_000, 0.0005, 5.1407726788e-01),
        (70, 180_000, 0.0005, 1.7022185179e-02),
    ];

    #[test]
    fn an_hour_fails_or_passes_only_beyond_chance() {
        // An hour of 15 s a minute at 50 packets a second: 22.5 at the limit of 0.05 %.
        for (part, expected) in [
            (0, Judgement::Pass),
            (14, Judgement::Pass),
            (15, Judgement::Unknown),
            (22, Judgement::Unknown),
            (34, Judgement::Unknown),
            (35, Judgement::Fail),
            (45_000, Judgement::Fail),
        ] {
            assert_eq!(judge_rare(part, 45_000, 500), expected, "{part}");
        }
        // All of an hour at 50 packets a second.
        assert_eq!(judge_rare(113, 180_000, 500), Judgement::Unknown);
        assert_eq!(judge_rare(114, 180_000, 500), Judgement::Fail);
    }

    #[test]
    fn what_chance_explains_and_what_was_not_sent_is_unknown() {
        assert_eq!(judge_rare(0, 0, 500), Judgement::Unknown);
        assert_eq!(judge_rare(0, 750, 500), Judgement::Unknown, "one window says nothing");
        assert_eq!(judge_rare(1, 750, 500), Judgement::Unknown);
        assert_eq!(judge_rare(2, 1, 500), Judgement::Unknown, "contradictory");
        assert_eq!(judge_rare(0, 45_000, 100), Judgement::Pass, "4.5 expected, none seen");
        assert_eq!(judge_rare(0, 29_000, 100), Judgement::Unknown, "2.9 expected, none seen");
    }
}
