//! What is true shows in what is delivered.

use busyhour_model::{LocalDay, SlotStart};
use busyhour_sim::world::{
    Class, Mechanisms, Plan, RegionRecord, Sampling, SeriesRecord, SlotRecord, Truth, TruthKind,
};
use jiff::civil::Date;

use crate::{regions, world};

/// The slots of a series by local date and minute.
fn local<'a>(
    region: &'a RegionRecord,
    series: &'a SeriesRecord,
) -> impl Iterator<Item = (Date, u16, &'a SlotRecord)> {
    let zone = &region.buildings[series.building as usize].zone;
    series.slots.iter().map(|slot| {
        let LocalDay { date, minute } = LocalDay::of(slot.start, zone);
        (date, minute, slot)
    })
}

/// The share of bad windows in the worst hour of a date, of all series of a truth together; `None`
/// where less than eight hours of each were seen, on average.
fn worst_hour(region: &RegionRecord, truth: &Truth, date: Date) -> Option<f64> {
    let (mut quarters, mut seen) = ([(0u32, 0u32); 96], 0);
    for &number in &truth.series {
        for (on, minute, slot) in local(region, &region.series[number as usize]) {
            if on == date {
                let quarter = &mut quarters[usize::from(minute / 15)];
                quarter.0 += u32::from(slot.bad);
                quarter.1 += u32::from(slot.valid);
                seen += 1;
            }
        }
    }
    let share = |hour: &[(u32, u32)]| {
        let (bad, valid) = hour.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        f64::from(bad) / f64::from(valid.max(1))
    };
    let worst = quarters.windows(4).map(share).fold(0.0, f64::max);
    (seen >= 32 * truth.series.len()).then_some(worst)
}

/// True when nothing else happens to a truth's series around it.
fn alone(region: &RegionRecord, truth: &Truth, date: Date) -> bool {
    region.truths.iter().all(|other| {
        let harmless = matches!(
            other.kind,
            TruthKind::LevelShift | TruthKind::Growth | TruthKind::Closure | TruthKind::Backup
        );
        let meets = other.series.iter().any(|series| truth.series.contains(series));
        other.id == truth.id || harmless || !meets || !other.active.contains(&date)
    })
}

#[test]
fn truly_bad_days_are_as_bad_when_they_are_measured() {
    for mechanisms in [Mechanisms::Tuning, Mechanisms::HeldOut] {
        let sampling = Sampling::new(30, 60).unwrap();
        let plan = Plan { mechanisms, sampling, ..Plan::new(21) };
        let mut pairs = Vec::new();
        let world = world(&plan);
        for region in (0..3).map(|number| world.region(number)) {
            let musts = region.truths.iter().filter(|truth| truth.class == Class::Must);
            for truth in musts {
                let bad = truth.bad.iter().filter(|bad| alone(&region, truth, bad.date));
                pairs.extend(bad.filter_map(|bad| {
                    Some((bad.worst_share, worst_hour(&region, truth, bad.date)?))
                }));
            }
        }
        assert!(pairs.len() > 10, "{}", pairs.len());
        let mean =
            |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / pairs.len() as f64;
        // Whole quarter-hours hit the worst hour less well, and agents that are off see nothing of it.
        let (truth, seen) = (mean(|pair| pair.0), mean(|pair| pair.1));
        assert!((0.75..1.1).contains(&(seen / truth)), "{mechanisms:?}: {seen} for {truth}");
    }
}

#[test]
fn days_without_anything_are_good() {
    let plan = Plan { buildings: 6, days: 42, ..Plan::new(22) };
    let (mut days, mut bad) = (0, 0);
    for region in regions(&plan) {
        for (number, series) in region.series.iter().enumerate() {
            if series.target.is_none() {
                continue;
            }
            let mut dates: Vec<Date> = local(&region, series).map(|(date, ..)| date).collect();
            dates.dedup();
            let here = Truth { series: vec![number as u32], ..region.truths[0].clone() };
            let nothing = |date: &Date| {
                let quiet = |truth: &Truth| {
                    truth.kind == TruthKind::LevelShift || !truth.active.contains(date)
                };
                let meets = |truth: &&Truth| truth.series.contains(&(number as u32));
                region.truths.iter().filter(meets).all(quiet)
            };
            for date in dates.iter().filter(|date| nothing(date)) {
                let Some(worst) = worst_hour(&region, &here, *date) else { continue };
                days += 1;
                bad += u32::from(worst >= 0.08);
            }
        }
    }
    assert!(days > 300, "{days}");
    assert!(f64::from(bad) < 0.01 * f64::from(days), "{bad} of {days}");
}

#[test]
fn a_constant_fault_is_bad_by_night_too() {
    let mut faults = 0;
    for seed in 23..26 {
        for region in regions(&Plan { buildings: 9, days: 28, ..Plan::new(seed) }) {
            for truth in region.truths.iter().filter(|truth| truth.kind == TruthKind::Constant) {
                let series = &region.series[truth.series[0] as usize];
                let night = local(&region, series).filter(|(date, minute, _)| {
                    truth.active.contains(date) && (120..300).contains(minute)
                });
                let (bad, valid) = night.fold((0, 0), |(bad, valid), (_, _, slot)| {
                    (bad + u32::from(slot.bad), valid + u32::from(slot.valid))
                });
                if valid > 500 {
                    faults += 1;
                    assert!(f64::from(bad) > 0.05 * f64::from(valid), "{truth:?} {bad} {valid}");
                }
            }
        }
    }
    assert!(faults >= 2, "{faults}");
}

#[test]
fn a_route_that_moves_is_seen_in_the_lowest_round_trips_and_breaks_nothing() {
    let plan = Plan { buildings: 9, ..Plan::new(27) };
    let plan = Plan { sampling: Sampling::new(15, 300).unwrap(), ..plan };
    let mut moved = 0;
    for region in regions(&plan) {
        let shifts: Vec<&Truth> =
            region.truths.iter().filter(|truth| truth.kind == TruthKind::LevelShift).collect();
        for shift in &shifts {
            let number = shift.series[0];
            let others = shifts.iter().filter(|other| other.series.contains(&number));
            // The days before and after it are quiet where no other route moves.
            if others.count() > 1 || shift.active.len() < 6 {
                continue;
            }
            let series = &region.series[number as usize];
            let lowest = |first: Date, last: Date| {
                let days = local(&region, series)
                    .filter(|(date, minute, _)| (first..=last).contains(date) && *minute < 360);
                let mut lowest: Vec<u32> = days.filter_map(|(.., slot)| slot.rtt_min_us).collect();
                lowest.sort_unstable();
                lowest.get(lowest.len() / 2).copied().map(f64::from)
            };
            let days = |from: i32, until: i32| {
                let day = |days: i32| shift.from.saturating_add(jiff::Span::new().days(days));
                lowest(day(from), day(until))
            };
            let (Some(before), Some(after)) = (days(-5, -1), days(1, 4)) else { continue };
            moved += 1;
            let by =
                if shift.mechanism == "longer-route" { after - before } else { before - after };
            assert!(by > -200.0, "{shift:?}: {before} {after}");
            assert!(after < 61_000.0, "{after}");
        }
    }
    assert!(moved >= 1, "{moved}");
}

#[test]
fn a_target_that_is_down_fails_for_all_who_talk_to_it() {
    let mut outages = 0;
    for region in regions(&Plan { buildings: 6, days: 42, ..Plan::new(28) }) {
        let down = region.truths.iter().filter(|truth| truth.mechanism == "target-down");
        for truth in down {
            let series = truth.series.iter().map(|&number| &region.series[number as usize]);
            let failed = |series: &SeriesRecord| -> Vec<SlotStart> {
                let slots = local(&region, series).filter(|(date, ..)| truth.active.contains(date));
                slots.filter(|(.., slot)| slot.bad_by[4] > 0).map(|(.., slot)| slot.start).collect()
            };
            let failures: Vec<Vec<SlotStart>> = series.map(failed).collect();
            let Some(first) = failures.iter().flatten().next() else { continue };
            let together = failures.iter().filter(|slots| slots.contains(first)).count();
            outages += usize::from(2 * together > failures.len());
        }
    }
    assert!(outages >= 2, "{outages}");
}

#[test]
fn a_night_copy_is_bad_by_night_and_not_by_day() {
    let (mut night, mut day) = ((0, 0), (0, 0));
    for seed in 1..4 {
        let plan = Plan { buildings: 9, days: 28, ..Plan::new(seed) };
        for region in regions(&plan) {
            for truth in region.truths.iter().filter(|truth| truth.kind == TruthKind::Backup) {
                let number = truth.series[0];
                let own = region.truths.iter().filter(|other| other.series.contains(&number));
                if own.filter(|other| other.class != Class::Never).count() > 0 {
                    continue;
                }
                for (_, minute, slot) in local(&region, &region.series[number as usize]) {
                    let inside = truth.hours.iter().any(|(from, until)| {
                        (from + 15..until.saturating_sub(15)).contains(&minute)
                    });
                    let sum = match minute {
                        _ if inside => &mut night,
                        360..1260 => &mut day,
                        _ => continue,
                    };
                    sum.0 += u32::from(slot.bad);
                    sum.1 += u32::from(slot.valid);
                }
            }
        }
    }
    let share = |(bad, valid): (u32, u32)| f64::from(bad) / f64::from(valid.max(1));
    assert!(night.1 > 500 && share(night) > 0.3, "{night:?}");
    assert!(share(day) < 0.02, "{day:?}");
}
