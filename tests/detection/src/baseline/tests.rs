//! Each rule by a series that makes it fire and one that just does not.

use std::collections::BTreeSet;

use busyhour_model::{LinkKind, SlotStart};
use busyhour_sim::score::ToldEvent;
use busyhour_sim::world::{BuildingRecord, Reach, RegionRecord, SeriesRecord, SlotRecord};
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;

use super::*;

/// A Monday.
const FIRST: Date = date(2025, 3, 3);
const DAYS: u32 = 56;
const GOOD: Hour = Hour { bad: 0, lost: 0, rtt_ms: 20 };

/// What each quarter-hour of an hour was like.
#[derive(Clone, Copy)]
struct Hour {
    /// Windows bad by loss, of 15.
    bad: u16,
    /// Packets lost of 11 250.
    lost: u32,
    /// Round trips, lowest and median.
    rtt_ms: u32,
}

/// A region with one series, as `like` says of each day and hour; `None` was not delivered.
fn region(like: impl Fn(usize, usize) -> Option<Hour>) -> RegionRecord {
    let begin = date(1970, 1, 1).until(FIRST).unwrap().get_days();
    let mut slots = Vec::new();
    for day in 0..DAYS as usize {
        for quarter in 0..96 {
            let Some(hour) = like(day, quarter / 4) else { continue };
            let number = i64::from(begin) * 96 + i64::try_from(day * 96 + quarter).unwrap();
            slots.push(SlotRecord {
                start: SlotStart::from_number(number),
                sent: 11_250,
                lost: hour.lost,
                rtt_min_us: Some(hour.rtt_ms * 1000),
                rtt_p50_us: Some(hour.rtt_ms * 1000),
                rtt_p95_us: None,
                jitter_p50_us: None,
                delivered: None,
                expected: 15,
                valid: 15,
                bad: hour.bad,
                bad_by: [hour.bad, 0, 0, 0, 0],
            });
        }
    }
    RegionRecord {
        number: 0,
        buildings: vec![BuildingRecord {
            name: "Tower".to_owned(),
            city: String::new(),
            country: String::new(),
            zone_name: "UTC",
            zone: TimeZone::UTC,
            hours: "Mo-Fr 08:00-18:00".parse().unwrap(),
            holidays: BTreeSet::from([date(2025, 3, 7)]),
            works: [true; 7],
            closed: BTreeSet::new(),
            loads: Vec::new(),
        }],
        series: vec![SeriesRecord {
            name: "s".to_owned(),
            building: 0,
            subnet: "10.0.0.0/24".parse().unwrap(),
            agent: "a".to_owned(),
            link: LinkKind::Wired,
            target: None,
            upstream: None,
            reach: Reach::Far,
            near: None,
            slots,
        }],
        truths: Vec::new(),
    }
}

/// The days on which a rule fires when the hour from ten is like this on these days.
fn check(rule: Baseline, days: &[usize], hour: Hour) -> Vec<u16> {
    check_hours(rule, |day, of_day| {
        Some(if days.contains(&day) && of_day == 10 { hour } else { GOOD })
    })
}

fn check_hours(rule: Baseline, like: impl Fn(usize, usize) -> Option<Hour>) -> Vec<u16> {
    let region = region(like);
    let grids = grids(&region, FIRST, DAYS);
    let lanes = lanes(&region, &grids);
    rule.fires(&lanes[0])
}

fn lossy(bad: u16, lost: u32) -> Hour {
    Hour { bad, lost, ..GOOD }
}

fn slow(rtt_ms: u32) -> Hour {
    Hour { rtt_ms, ..GOOD }
}

#[test]
fn a_good_series_and_a_silent_one_make_no_rule_fire() {
    for rule in Baseline::ALL {
        assert_eq!(check(rule, &[], GOOD), [0; 0], "{}", rule.as_str());
        assert_eq!(check_hours(rule, |_, _| None), [0; 0], "{}", rule.as_str());
    }
}

#[test]
fn an_hour_has_to_be_very_bad_before_the_daily_average_is() {
    // Of 96 quarter-hours four are lossy: a quarter of them has to be lost for 1 %.
    assert_eq!(check(Baseline::DailyAverage, &[8], lossy(15, 2_600)), [0; 0]);
    assert_eq!(check(Baseline::DailyAverage, &[8], lossy(15, 2_800)), [8]);
    assert_eq!(check(Baseline::DailyAverage, &[8], slow(1_900)), [0; 0]);
    assert_eq!(check(Baseline::DailyAverage, &[8], slow(2_000)), [8]);
}

#[test]
fn the_percentile_needs_more_than_one_window_in_twenty_within_business_hours() {
    // Four times 15 windows: three bad ones are one in twenty, four are more.
    let three = |day, hour: usize| Some(if (day, hour) == (8, 10) { lossy(1, 0) } else { GOOD });
    assert_eq!(check_hours(Baseline::Percentile, three), [8]);
    assert_eq!(check(Baseline::Percentile, &[8], lossy(0, 0)), [0; 0]);
    // A Saturday, a known holiday, an evening.
    assert_eq!(check(Baseline::Percentile, &[5], lossy(15, 0)), [0; 0]);
    assert_eq!(check(Baseline::Percentile, &[4], lossy(15, 0)), [0; 0]);
    let evening = |_, hour| Some(if hour == 20 { lossy(15, 0) } else { GOOD });
    assert_eq!(check_hours(Baseline::Percentile, evening), [0; 0]);
    assert_eq!(check_hours(Baseline::Prometheus, evening).len(), DAYS as usize);
}

#[test]
fn three_of_seven_days_are_counted_over_a_rolling_week() {
    let hour = lossy(15, 0);
    assert_eq!(check(Baseline::PercentileOnDays, &[0, 1], hour), [0; 0]);
    assert_eq!(check(Baseline::PercentileOnDays, &[0, 1, 2, 7, 14], hour), [2, 7]);
    assert_eq!(check(Baseline::PercentileOnDays, &[0, 7, 8], hour), [0; 0]);
}

#[test]
fn prometheus_waits_a_quarter_of_an_hour() {
    let burst = |length: usize| {
        let mut region = region(|_, _| Some(GOOD));
        for slot in &mut region.series[0].slots[1_000..1_000 + length] {
            (slot.bad, slot.bad_by) = (2, [2, 0, 0, 0, 0]);
        }
        let grids = grids(&region, FIRST, DAYS);
        Baseline::Prometheus.fires(&lanes(&region, &grids)[0])
    };
    // Two bad windows of the hour's sixty are below one in twenty; four are above for long enough.
    assert_eq!(burst(1), [0; 0]);
    assert_eq!(burst(2), [10]);
}

#[test]
fn smokeping_counts_samples_with_loss_and_samples_in_a_row() {
    assert_eq!(check(Baseline::SomeLoss, &[8], lossy(15, 9_000)), [8]);
    assert_eq!(check(Baseline::ThreeConsecutive, &[8], lossy(15, 9_000)), [8]);
    assert_eq!(check(Baseline::ThreeConsecutive, &[8], slow(101)), [8]);
    assert_eq!(check(Baseline::ThreeConsecutive, &[8], slow(99)), [0; 0]);
    // One lossy quarter-hour a day never makes three samples in a row within twelve.
    assert_eq!(check(Baseline::SomeLoss, &[8], slow(500)), [0; 0]);
}

#[test]
fn what_is_usual_for_the_hour_makes_no_season_fire() {
    let days: Vec<usize> = (1..DAYS as usize).step_by(7).collect();
    assert_eq!(check(Baseline::Seasonal, &days, lossy(5, 0)), [0; 0]);
    assert_eq!(check(Baseline::Seasonal, &[36], lossy(5, 0)), [36]);
    assert_eq!(check(Baseline::Seasonal, &[3], lossy(5, 0)), [0; 0], "too few weeks");
}

#[test]
fn budgets_burn_fast_or_long() {
    assert_eq!(check(Baseline::BurnRate, &[8], lossy(3, 0)), [8]);
    assert_eq!(check(Baseline::BurnRate, &[8], lossy(1, 0)), [0; 0]);
    // One window in fifteen of every quarter-hour is 6.7 %: above 6 over six hours.
    let always = |day: usize, _| Some(if day == 20 { lossy(1, 0) } else { GOOD });
    assert_eq!(check_hours(Baseline::BurnRate, always), [20, 21]);
}

#[test]
fn congestion_is_elevated_at_the_same_time_of_many_days() {
    let hour = slow(28);
    let days: Vec<usize> = (20..30).collect();
    assert_eq!(check(Baseline::Tslp, &days, hour), [26, 27, 28, 29]);
    assert_eq!(check(Baseline::Tslp, &days, slow(26)), [0; 0]);
    assert_eq!(check(Baseline::Tslp, &[20, 22, 24, 26], hour), [0; 0]);
    // Another route is slower at all times.
    assert_eq!(check_hours(Baseline::Tslp, |d, _| Some(if d < 20 { GOOD } else { hour })), [0; 0]);
}

#[test]
fn a_notification_comes_again_only_after_more_than_three_quiet_days() {
    let days = [8, 9, 13, 18];
    let region = region(|day, hour| {
        Some(if days.contains(&day) && hour == 10 { lossy(15, 0) } else { GOOD })
    });
    let told = notifications(Baseline::Prometheus, &region, FIRST, DAYS);
    let said: Vec<(u64, ToldEvent, i8)> =
        told.iter().map(|one| (one.id, one.event, one.date.day())).collect();
    let expected = [
        (1, ToldEvent::Opened, 11),
        (1, ToldEvent::Updated, 12),
        (1, ToldEvent::Updated, 16),
        (1, ToldEvent::Closed, 20),
        (2, ToldEvent::Opened, 21),
        (2, ToldEvent::Closed, 25),
    ];
    assert_eq!(said, expected);
}
