//! Differences and trends against figures from elsewhere, and how often nothing is called something.

use proptest::prelude::*;

use super::*;

const fn days(bad: u32, of: u32) -> Days {
    Days { bad, of }
}

#[test]
fn an_interval_is_that_of_newcombe() {
    // Made with the formulas of the paper in another language, at 99 %.
    for (now, before, low, high) in [
        (days(5, 5), days(0, 20), 0.3777, 1.0),
        (days(2, 5), days(3, 20), -0.1769, 0.6955),
        (days(0, 5), days(0, 20), -0.2491, 0.5703),
        (days(3, 21), days(15, 23), -0.7302, -0.1277),
    ] {
        let found = shift(before, now, (10, 3)).unwrap();
        assert!((found.low - low).abs() < 1e-3, "{now:?} {before:?} {found:?}");
        assert!((found.high - high).abs() < 1e-3, "{now:?} {before:?} {found:?}");
    }
}

#[test]
fn better_and_worse_are_said_of_clear_differences_only() {
    let says = |before, now| shift(before, now, (10, 3)).map(|found| found.leaning());
    assert_eq!(says(days(0, 20), days(5, 5)), Some(Leaning::Worse));
    assert_eq!(says(days(20, 20), days(0, 5)), Some(Leaning::Better));
    assert_eq!(says(days(4, 20), days(2, 5)), Some(Leaning::Unclear));
    assert_eq!(says(days(0, 20), days(0, 5)), Some(Leaning::Unclear));
    assert_eq!(says(days(0, 9), days(5, 5)), None, "too few days before");
    assert_eq!(says(days(0, 20), days(2, 2)), None, "too few days now");
    assert_eq!(says(days(0, 0), days(0, 0)), None);
}

/// How likely `bad` of `of` days are bad when each is with this chance.
fn binomial(of: u32, bad: u32, chance: f64) -> f64 {
    choose(of, bad) * chance.powi(bad as i32) * (1.0 - chance).powi((of - bad) as i32)
}

#[test]
fn equal_times_are_called_different_in_less_than_one_case_in_fifty() {
    // Every outcome of two times with the same chance of a bad day, weighed by how likely it is.
    let mut most = 0.0f64;
    for (before, now) in [(10, 3), (20, 3), (20, 4), (20, 5), (28, 7), (10, 10), (21, 20), (23, 23)]
    {
        let called: Vec<(u32, u32)> = (0..=before)
            .flat_map(|b| (0..=now).map(move |n| (b, n)))
            .filter(|&(b, n)| {
                let found = shift(days(b, before), days(n, now), (10, 3)).unwrap();
                found.leaning() != Leaning::Unclear
            })
            .collect();
        for percent in 1..100 {
            let chance = f64::from(percent) / 100.0;
            let wrong: f64 = called
                .iter()
                .map(|&(b, n)| binomial(before, b, chance) * binomial(now, n, chance))
                .sum();
            most = most.max(wrong);
        }
    }
    assert!(most < 0.02, "{most}");
    assert!(most > 0.001, "the check sees nothing: {most}");
}

#[test]
fn a_seeded_fleet_that_does_not_change_is_rarely_called_better_or_worse() {
    // Days that are alike: a bad day makes the next one bad more often, as faults last.
    let mut random = fastrand::Rng::with_seed(7);
    let mut called = 0;
    for _ in 0..4_000 {
        let mut bad = false;
        let mut count = |of: u32| {
            let mut found = days(0, of);
            for _ in 0..of {
                bad = random.f64() < if bad { 0.35 } else { 0.15 };
                found.bad += u32::from(bad);
            }
            found
        };
        let (before, now) = (count(20), count(5));
        let found = shift(before, now, (10, 3)).unwrap();
        called += u32::from(found.leaning() != Leaning::Unclear);
    }
    assert!(called <= 200, "{called} of 4000 are more than one in twenty");
}

#[test]
fn a_trend_is_exact() {
    // Four weeks of one day... are too few days; of four days with all bad ones last: of 16 days the
    // 4 bad ones lie in the last week in one of C(16, 4) = 1820 ways.
    let weeks = [days(0, 4), days(0, 4), days(0, 4), days(4, 4)];
    let (at_most, at_least) = tails(&weeks);
    assert!((at_least - 1.0 / 1820.0).abs() < 1e-12);
    assert!((at_most - 1.0).abs() < 1e-12);
    assert_eq!(trend(&weeks), Trend::Increasing);
    let (mut back, even) = (weeks, [days(1, 4); 4]);
    back.reverse();
    assert_eq!(trend(&back), Trend::Decreasing);
    assert_eq!(trend(&even), Trend::Steady);
}

#[test]
fn a_trend_of_too_few_days_is_unknown() {
    assert_eq!(trend(&[]), Trend::Unknown);
    assert_eq!(trend(&[days(0, 5), days(5, 5), days(5, 5)]), Trend::Unknown, "three weeks");
    assert_eq!(trend(&[days(0, 3), days(0, 3), days(3, 3), days(3, 3)]), Trend::Unknown);
    let silent = [days(0, 5), days(0, 5), days(0, 0), days(0, 0), days(5, 5), days(5, 5)];
    assert_eq!(trend(&silent), Trend::Increasing, "silent weeks are time that went by");
}

proptest! {
    #[test]
    fn an_interval_holds_its_difference_and_turns_round_with_it(
        before in (0u32..60).prop_flat_map(|of| (0..=of, Just(of))),
        now in (0u32..60).prop_flat_map(|of| (0..=of, Just(of))),
    ) {
        let (before, now) = (days(before.0, before.1), days(now.0, now.1));
        if let Some(found) = shift(before, now, (1, 1)) {
            prop_assert!(found.low <= found.difference && found.difference <= found.high);
            prop_assert!(found.low >= -1.0 - 1e-9 && found.high <= 1.0 + 1e-9);
            let back = shift(now, before, (1, 1)).unwrap();
            prop_assert!((back.low + found.high).abs() < 1e-9);
            prop_assert!((back.difference + found.difference).abs() < 1e-9);
        }
    }

    #[test]
    fn time_that_runs_backwards_turns_a_trend_round(
        weeks in proptest::collection::vec((0u32..=5).prop_flat_map(|of| (0..=of, Just(of))), 0..10),
    ) {
        let mut weeks: Vec<Days> = weeks.into_iter().map(|(bad, of)| days(bad, of)).collect();
        let forward = trend(&weeks);
        weeks.reverse();
        let turned = match trend(&weeks) {
            Trend::Increasing => Trend::Decreasing,
            Trend::Decreasing => Trend::Increasing,
            other => other,
        };
        prop_assert_eq!(forward, turned);
    }
}
