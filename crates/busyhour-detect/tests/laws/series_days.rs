//! The row of a day.

use busyhour_detect::{Bin, Cell, FULL, Params, Quarters, Rest, Rule, Rules, pooled, series_day};
use busyhour_model::{Breach, DayVerdict};
use jiff::tz::TimeZone;

use crate::made::{
    FINE, Is, after, bad, cells, frame_of, good, hours, missing, monday, row, row_of, site,
    site_in, slow, within,
};

#[test]
fn an_hour_is_bad_with_enough_bad_windows_spread_over_it() {
    for (counts, verdict) in [
        ([0, 0, 0, 0], DayVerdict::Good),
        ([2, 1, 1, 1], DayVerdict::Good),
        ([2, 2, 1, 1], DayVerdict::PeakBad),
        ([0, 3, 3, 0], DayVerdict::PeakBad),
        ([0, 15, 0, 0], DayVerdict::Good),
        ([0, 15, 1, 0], DayVerdict::PeakBad),
        ([15, 15, 15, 15], DayVerdict::PeakBad),
    ] {
        let row = row(monday(), |minute| {
            let at = usize::from(minute.wrapping_sub(600)) / 15;
            Some(bad(counts.get(at).copied().unwrap_or(0)))
        });
        assert_eq!(row.verdict, verdict, "{counts:?}");
    }
}

#[test]
fn with_many_windows_the_share_decides() {
    // Continuous probing: 60 windows a quarter-hour, so that 5 % of an hour are twelve.
    let verdict = |bad| row(monday(), within((600, 630), Is { valid: 60, bad, ..FINE })).verdict;
    let all =
        |is: Is| move |minute| within((600, 630), is)(minute).map(|is| Is { valid: 60, ..is });
    let of_many = |bad| row(monday(), all(Is { valid: 60, bad, ..FINE })).verdict;
    assert_eq!(of_many(5), DayVerdict::Good);
    assert_eq!(of_many(6), DayVerdict::PeakBad);
    assert_eq!(verdict(5), DayVerdict::PeakBad, "ten of 150 are more than 5 %");
}

#[test]
fn longer_bins_make_hours_of_two_or_one() {
    let of = |bin, valid, bads: &[(u16, u32)]| {
        let frame = frame_of(&site(), monday(), bin);
        let is = |minute| {
            let bad = bads.iter().find(|(at, _)| *at == minute).map_or(0, |(_, bad)| *bad);
            Some(Is { valid, bad, ..FINE })
        };
        row_of(&frame, &cells(&frame, is))
    };
    let halves = of(Bin::Half, 30, &[(600, 3), (630, 3)]);
    assert_eq!(halves.verdict, DayVerdict::PeakBad);
    assert_eq!(halves.bad_quarters(), hours(600, 660));
    assert_eq!(of(Bin::Half, 30, &[(600, 6)]).verdict, DayVerdict::Good, "not spread");
    let whole = of(Bin::Hour, 60, &[(600, 6)]);
    assert_eq!(whole.verdict, DayVerdict::PeakBad, "an hour in one bin cannot be spread");
    assert_eq!(whole.bad_quarters(), hours(600, 660));
    assert_eq!((whole.worst().unwrap().minute, whole.bin_quarters()), (600, 4));
}

#[test]
fn a_day_bad_outside_busy_hours_as_well_is_bad_all_day() {
    let of = |quiet, busy| {
        row(monday(), move |minute| {
            Some(bad(if (480..1080).contains(&minute) { busy } else { quiet }))
        })
    };
    assert_eq!(of(0, 3).verdict, DayVerdict::PeakBad);
    assert_eq!(of(1, 2).verdict, DayVerdict::AllDayBad, "half of the busy share");
    assert_eq!(of(1, 3).verdict, DayVerdict::PeakBad, "a third of it");
    assert_eq!(of(1, 2).off_peak_permille, Some(66));
}

#[test]
fn without_quiet_hours_a_day_is_bad_throughout_when_nearly_all_of_it_is() {
    let of = |until| {
        row(monday(), move |minute| match minute {
            480.. if minute < until => Some(bad(5)),
            480..1080 => Some(FINE),
            _ => None,
        })
    };
    assert_eq!(of(1080).verdict, DayVerdict::AllDayBad);
    assert_eq!(of(900).verdict, DayVerdict::PeakBad);
}

#[test]
fn a_day_that_is_hardly_known_is_missing_unless_an_hour_of_it_is_bad() {
    let first_hours = |until: u16, is: Is| {
        row(monday(), move |minute| (480..until).contains(&minute).then_some(is))
    };
    assert_eq!(first_hours(705, FINE).verdict, DayVerdict::Missing, "3 ¾ of ten hours");
    assert_eq!(first_hours(720, FINE).verdict, DayVerdict::Good, "four of them");
    let hour = first_hours(540, bad(5));
    assert_eq!(hour.verdict, DayVerdict::PeakBad, "nobody knows whether all of it was");
    assert_eq!(hour.seen_quarters, hours(480, 540));
    assert_eq!(missing(monday()).verdict, DayVerdict::Missing);
    assert_eq!(missing(monday()).worst(), None);
}

#[test]
fn a_bin_with_few_of_its_windows_is_not_judged() {
    let of = |valid| row(monday(), within((600, 660), Is { valid, bad: valid, ..FINE }));
    assert_eq!(of(2).verdict, DayVerdict::Good, "2 of 15 in each quarter-hour");
    assert_eq!(of(3).verdict, DayVerdict::PeakBad);
    assert!(of(2).seen_quarters.and(hours(600, 660)).is_empty());
}

#[test]
fn what_a_target_did_itself_counts_as_unobserved() {
    let frame = frame_of(&site(), monday(), Bin::Quarter);
    let cells = cells(&frame, within((600, 720), bad(15)));
    let faulty = frame.first.offset(40)..frame.first.offset(48);
    let row = series_day(&frame, &cells, &|slot| faulty.contains(&slot), &Params::default());
    assert_eq!(row.verdict, DayVerdict::Good);
    assert_eq!(row.busy.bad, 0);
    assert_eq!(row.busy.valid, 480);
    assert_eq!(row.elevation(40), None);
}

#[test]
fn on_days_off_all_hours_are_quiet() {
    let row = row(after(5), within((600, 720), bad(15)));
    assert!(!row.working);
    assert_eq!(row.verdict, DayVerdict::Missing);
    assert!(row.bad_quarters().is_empty());
    assert_eq!((row.busy.valid, row.quiet.valid), (0, 1_440));
    assert_eq!(row.base_rtt_us, Some(18_000));
    assert_eq!(row.before, Rest { seen: 24, bad: 2 });
}

#[test]
fn elevation_is_the_highest_of_bad_share_delay_and_loss() {
    let row = row(monday(), |minute| {
        Some(match minute {
            0 => Is { breach: Breach::Jitter, ..bad(3) },
            15 => slow(25_000, 0),
            30 => slow(37_500, 0),
            45 => slow(60_000, 0),
            60 => bad(1),
            75 => Is { valid: 0, ..FINE },
            _ => FINE,
        })
    });
    let full = u32::from(FULL);
    let of = |share: f64| (f64::from(full) * share) as u8;
    // 15 of 11 250 packets lost are 0.133 %, 0.033 above where elevation begins; 1 of 15 is more.
    let expected = [0.2, 0.0, 0.5, 1.0, 1.0 / 15.0].map(|share| Some(of(share)));
    assert_eq!([0, 1, 2, 3, 4].map(|bin| row.elevation(bin)), expected);
    assert_eq!((row.elevation(5), row.elevation(6), row.elevation(96)), (None, Some(0), None));
    let loss = self::row(monday(), |_| Some(Is { breach: Breach::Failed, ..bad(0) }));
    assert!(loss.elevated_quarters().is_empty() && loss.is_seen());
}

#[test]
fn the_rise_is_that_of_the_slowest_busy_hour() {
    let row = row(monday(), |minute| {
        Some(match minute {
            // A night backup is slow too, but not in busy hours.
            60..180 => slow(90_000, 0),
            600..660 => slow(44_000, 0),
            900..915 => slow(80_000, 0),
            _ => FINE,
        })
    });
    assert_eq!(row.base_rtt_us, Some(18_000), "of the lowest");
    assert_eq!(row.rise_us, Some(24_000), "a mean of 44 ms above a median of 20");
    assert_eq!(good(monday()).rise_us, Some(0));
    assert_eq!(row.delay_with_loss(), None, "only bad days are explained");
}

#[test]
fn delay_and_loss_that_rise_together_correlate() {
    let queue = row(monday(), within((600, 720), Is { rtt_us: 90_000, ..bad(8) }));
    assert_eq!(queue.delay_with_loss(), Some(1_000));
    let policer = row(monday(), within((600, 720), bad(8)));
    assert_eq!(policer.delay_with_loss(), None, "the round trip never varies");
}

#[test]
fn the_hours_around_the_bad_ones_say_whether_it_went_away() {
    let row = |night: u32| {
        row(monday(), move |minute| {
            Some(match minute {
                600..720 => bad(12),
                480..1080 => FINE,
                _ => bad(night),
            })
        })
    };
    let quiet = row(0);
    assert_eq!((quiet.before, quiet.after), (Rest { seen: 10, bad: 0 }, Rest { seen: 12, bad: 0 }));
    assert_eq!(row(3).after.bad, 0, "a quarter of the worst hour");
    assert_eq!(row(5).after, Rest { seen: 12, bad: 6 }, "more than a third of it");
}

#[test]
fn what_burns_at_night_is_acute() {
    let row = row(monday(), within((120, 180), bad(15)));
    assert_eq!(row.verdict, DayVerdict::Good);
    assert_eq!(row.acute(), hours(120, 180));
    assert!(good(monday()).acute().is_empty());
}

#[test]
fn doubled_hours_are_one_hour_on_the_wall_and_missing_ones_none() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let site = site_in(berlin, "Mo-Su 00:00-24:00");
    for (month, day, bins) in [(10, 25, 100), (3, 29, 92)] {
        let date = jiff::civil::date(2026, month, day);
        let frame = frame_of(&site, date, Bin::Quarter);
        let row = row_of(&frame, &cells(&frame, within((600, 660), bad(15))));
        assert_eq!(row.minutes.len(), bins);
        assert!(row.elevation(bins - 1).is_some() && row.elevation(bins).is_none());
        assert_eq!(row.verdict, DayVerdict::PeakBad);
        assert_eq!(row.worst().unwrap().minute, 600);
        assert_eq!(row.bad_quarters(), hours(600, 660));
        let night = row_of(&frame, &cells(&frame, within((120, 180), bad(15))));
        let expected = if bins == 100 { hours(120, 180) } else { Quarters::default() };
        assert_eq!(night.bad_quarters(), expected);
    }
}

#[test]
fn counts_that_cannot_be_are_survived() {
    let frame = frame_of(&site(), monday(), Bin::Quarter);
    let mut cells = cells(&frame, |_| Some(FINE));
    for cell in &mut cells {
        cell.expected = u32::MAX;
        cell.valid = u32::MAX;
        cell.bad = u32::MAX;
        cell.bad_by = [u32::MAX; 5];
        cell.sent = u64::MAX / 2;
        cell.lost = u64::MAX;
        cell.rtt_p50_us = Some(u32::MAX);
        cell.rtt_min_us = Some(0);
    }
    assert_eq!(row_of(&frame, &cells).verdict, DayVerdict::AllDayBad);
    for cell in &mut cells {
        cell.valid = 1;
        cell.expected = 0;
    }
    assert!(row_of(&frame, &cells).verdict.is_bad() || !cells.is_empty());
}

#[test]
fn series_taken_together_show_what_each_hides() {
    let frame = frame_of(&site(), monday(), Bin::Quarter);
    let of = |from: u16, rtt_us: u32| {
        cells(&frame, move |minute| {
            let bads = u32::from((600..660).contains(&minute));
            (minute >= from).then_some(Is { rtt_us, ..bad(bads) })
        })
    };
    // One bad window a quarter-hour: four in an hour are below the floor, twelve are not.
    let (a, b, c) = (of(0, 20_000), of(0, 30_000), of(300, 40_000));
    assert_eq!(row_of(&frame, &a).verdict, DayVerdict::Good);
    let together = pooled(&frame, &[&a, &b, &c]);
    let row = row_of(&frame, &together);
    assert_eq!(row.verdict, DayVerdict::PeakBad);
    assert_eq!(row.worst().map(|worst| (worst.valid, worst.bad)), Some((180, 12)));
    assert_eq!(together[0].rtt_p50_us, Some(25_000), "of those that saw it");
    assert_eq!(together[50].rtt_p50_us, Some(30_000));
    assert_eq!(together[50].expected, 45);
    let reversed = pooled(&frame, &[&c, &b, &a]);
    assert_eq!(row_of(&frame, &reversed), row, "in whatever order");
    let next = frame_of(&site(), after(1), Bin::Quarter);
    assert_eq!(pooled(&next, &[&a, &b]), Vec::<Cell>::new(), "of another day");
}

#[test]
fn each_rule_can_be_taken_out() {
    let frame = frame_of(&site(), monday(), Bin::Quarter);
    let few = cells(&frame, within((600, 630), bad(2)));
    let narrow = cells(&frame, within((600, 615), bad(9)));
    let always = cells(&frame, |_| Some(bad(5)));
    for (rule, cells, with, without) in [
        (Rule::CountFloor, &few, DayVerdict::Good, DayVerdict::PeakBad),
        (Rule::Spread, &narrow, DayVerdict::Good, DayVerdict::PeakBad),
        (Rule::OffPeak, &always, DayVerdict::AllDayBad, DayVerdict::PeakBad),
    ] {
        let verdict = |rules| {
            let params = Params { rules, ..Params::default() };
            series_day(&frame, cells, &|_| false, &params).verdict
        };
        assert_eq!(verdict(Rules::all()), with, "{}", rule.as_str());
        assert_eq!(verdict(Rules::all().without(rule)), without, "{}", rule.as_str());
    }
    let words: std::collections::BTreeSet<&str> =
        Rule::ALL.iter().map(|rule| rule.as_str()).collect();
    assert_eq!(words.len(), Rule::ALL.len());
}

#[test]
fn quiet_hours_are_judged_by_the_middle_half_of_them() {
    // A quarter of the windows of busy hours is bad, and a third of those of some hours of the night.
    let every = |hours: u16| {
        row(monday(), move |minute| {
            let bad = match minute {
                480..1080 => 1 + u32::from(minute % 30 == 0),
                _ if minute / 60 % hours == 0 => 2,
                _ => 0,
            };
            Some(Is { valid: 6, bad, ..FINE })
        })
    };
    assert_eq!(every(2).verdict, DayVerdict::AllDayBad);
    assert_eq!(every(2).off_peak_permille, Some(166), "four of eight hours");
    assert_eq!(every(3).verdict, DayVerdict::PeakBad);
    assert_eq!(every(3).off_peak_permille, Some(83), "two of eight");
}
