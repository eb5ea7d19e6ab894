//! The verdict on one path's day.

use busyhour_detect::{Bin, BusyHours, Quarters, TargetBins};
use busyhour_model::{
    AgentId, AzureRegion, Breach, DayVerdict, Figures, Judgement, LimitsVersion, LinkKind, PathId,
    RequirementProfile, Scope, Slot, SlotCounts, SlotStart, UtcMicros,
};
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;

use crate::support::{
    B, FINE, Quarter, TestPath, bad, frame, frame_with, judged, judged_as_of, judged_in,
    judged_path, judged_path_in, local_day, of, path, tuesday, usual_frame, zone,
};

/// The quarter-hours from 10:00 hold so many bad windows each.
fn ten_o_clock(counts: [u32; 4]) -> DayVerdict {
    let slots = local_day(tuesday(), &TimeZone::UTC, |minute| {
        let at = usize::from(minute.wrapping_sub(600)) / 15;
        Some(bad(counts.get(at).copied().unwrap_or(0)))
    });
    judged_path(slots).verdict
}

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
        assert_eq!(ten_o_clock(counts), verdict, "{counts:?}");
    }
}

#[test]
fn with_many_windows_the_share_decides() {
    // Continuous probing: 60 windows a quarter-hour, so that 5 % are twelve.
    let verdict = |bad: u32| {
        let slots = local_day(tuesday(), &TimeZone::UTC, |minute| {
            let bad = if (600..630).contains(&minute) { bad } else { 0 };
            Some(Quarter { valid: 60, bad, breach: Breach::Jitter, ..FINE })
        });
        judged_path(slots).verdict
    };
    assert_eq!(verdict(5), DayVerdict::Good);
    assert_eq!(verdict(6), DayVerdict::PeakBad);
}

#[test]
fn a_one_hour_fault_is_found_wherever_it_begins() {
    for start in (480..=1020u16).step_by(5) {
        let slots = local_day(tuesday(), &TimeZone::UTC, |minute| {
            let (from, until) = (minute.max(start), (minute + 15).min(start + 60));
            Some(bad(u32::from(until.saturating_sub(from))))
        });
        let day = judged_path(slots);
        assert_eq!(day.verdict, DayVerdict::PeakBad, "from {start}");
        let first = start / 15 * 15;
        let last = (start + 59) / 15 * 15;
        assert_eq!(day.bad_quarters.first(), Some(&first), "from {start}");
        assert_eq!(day.bad_quarters.last(), Some(&last), "from {start}");
    }
}

#[test]
fn the_worst_hour_says_what_it_rests_on() {
    let slots = local_day(tuesday(), &TimeZone::UTC, |minute| match minute {
        600..660 => Some(bad(15)),
        660..720 => Some(bad(6)),
        _ => Some(FINE),
    });
    let day = judged_path(slots);
    let worst = day.worst_hour.unwrap();
    assert_eq!((worst.start_minute, worst.valid, worst.bad), (600, 60, 60));
    assert_eq!(worst.dominant, Some(Breach::Loss));
    assert_eq!(worst.loss_ppm, 20_000);
    // Above 18 000 and up to 20 000.
    assert_eq!(worst.loss_ppm_p90, 19_000);
    assert_eq!(worst.bad_by, [60, 0, 0, 0, 0]);
    // Between 3 600 and 4 000 hundredths below 100.
    assert_eq!(worst.rating_p10_hundredths, Some(6_200));
    assert_eq!((day.expected, day.valid, day.bad), (600, 600, 84));
    assert_eq!(day.limits, Some(LimitsVersion(1)));
}

#[test]
fn the_daily_average_hides_a_bad_hour() {
    let slots = local_day(tuesday(), &TimeZone::UTC, |minute| {
        Some(if (600..720).contains(&minute) { bad(15) } else { FINE })
    });
    let day = judged_path(slots);
    let average = day.average.unwrap();
    // Two of 24 hours lose 2 %.
    assert_eq!(average.loss_ppm, 1_666);
    assert_eq!((average.rtt_us, average.jitter_us), (20_000, 2_000));
    assert!(average.passes && day.masked);
    let factor = day.masking_factor.unwrap();
    assert!((factor - 19_000.0 / 1_666.0).abs() < 1e-9, "{factor}");
}

#[test]
fn the_factor_is_that_of_the_dominant_limit() {
    for (breach, factor) in [
        (Breach::Delay, 150_000.0 / 25_416.0),
        (Breach::Jitter, 50_000.0 / 4_000.0),
        (Breach::Burst, 5_333.0 / 222.0),
    ] {
        let slots = local_day(tuesday(), &TimeZone::UTC, |minute| {
            let bad = if (600..660).contains(&minute) { 15 } else { 0 };
            Some(Quarter { bad, breach, ..FINE })
        });
        let day = judged_path(slots);
        assert_eq!(day.worst_hour.unwrap().dominant, Some(breach));
        let found = day.masking_factor.unwrap();
        assert!((found / factor - 1.0).abs() < 1.0 / 14.0, "{breach}: {found} against {factor}");
    }
}

/// Slots as sparse windows leave them: counts, round trips, and nothing of loss or jitter.
fn sparse(slots: Vec<Slot>, lost: u64) -> Vec<Slot> {
    let sparse = |slot: Slot| {
        let counts = SlotCounts { lost_up: slot.lost_up.max(lost), dense: 0, ..slot.counts };
        Slot { counts, figures: Figures::new(), ..slot }
    };
    slots.into_iter().map(sparse).collect()
}

#[test]
fn the_average_of_sparse_windows_says_nothing_of_loss_and_jitter_but_tells_outages() {
    let day = |breach| {
        let slots = local_day(tuesday(), &TimeZone::UTC, |minute| {
            let bad = if (600..660).contains(&minute) { 15 } else { 0 };
            Some(Quarter { bad, breach, ..FINE })
        });
        // 1 800 of 11 250 lost would be far beyond every limit.
        judged_path(sparse(slots, 1_800))
    };
    let slow = day(Breach::Delay);
    let average = slow.average.unwrap();
    assert_eq!((average.loss_ppm, average.jitter_us), (0, 0));
    assert_eq!(slow.worst_hour.unwrap().loss_ppm, 0);
    assert!(average.passes && slow.masked, "its round trips hide the hour");
    let silent = day(Breach::Failed);
    assert_eq!(silent.average.unwrap().loss_ppm, 41_666, "one hour of 24");
    assert_eq!(silent.worst_hour.unwrap().loss_ppm, 1_000_000);
    assert!(!silent.masked);
}

#[test]
fn failed_windows_are_bad_and_never_missing() {
    let slots = local_day(tuesday(), &TimeZone::UTC, |minute| {
        let bad = if (600..630).contains(&minute) { 15 } else { 0 };
        Some(Quarter { bad, breach: Breach::Failed, ..FINE })
    });
    let day = judged_path(slots);
    assert_eq!(day.verdict, DayVerdict::PeakBad);
    assert_eq!(day.worst_hour.unwrap().dominant, Some(Breach::Failed));
    // Half an hour of 24 is 2 %: this average does not pass, so nothing is masked.
    assert!(!day.masked && !day.average.unwrap().passes);
    assert_eq!(day.masking_factor, None);
}

#[test]
fn bad_outside_busy_hours_is_good_but_bad_everywhere_is_all_day() {
    let day = |bad_at: fn(u16) -> bool| {
        judged_path(local_day(tuesday(), &TimeZone::UTC, |minute| {
            Some(if bad_at(minute) { bad(15) } else { FINE })
        }))
    };
    assert_eq!(day(|minute| minute < 480).verdict, DayVerdict::Good);
    assert_eq!(day(|_| true).verdict, DayVerdict::AllDayBad);
    assert!(!day(|_| true).masked);
    assert_eq!(day(|minute| (480..1080).contains(&minute)).verdict, DayVerdict::PeakBad);
}

#[test]
fn a_night_that_is_bad_in_part_counts_by_the_middle_half_of_its_hours() {
    // Of the fourteen quiet hours some are bad as busy hours are; the others are fine.
    let day = |bad_hours: u16| {
        judged_path(local_day(tuesday(), &TimeZone::UTC, |minute| {
            let hour = minute / 60;
            let quiet = if hour < 8 { hour } else { hour.saturating_sub(10) };
            let busy = (480..1080).contains(&minute);
            let is_bad =
                if busy { minute % 30 == 0 } else { quiet < bad_hours && minute % 30 == 0 };
            Some(if is_bad { bad(3) } else { FINE })
        }))
        .verdict
    };
    assert_eq!(day(6), DayVerdict::PeakBad, "three of the middle eight");
    assert_eq!(day(7), DayVerdict::AllDayBad, "four of them: half of the busy share");
}

#[test]
fn all_day_is_also_told_without_off_peak_data() {
    let day = |until: u16| {
        judged_path(local_day(tuesday(), &TimeZone::UTC, |minute| {
            let business = (480..1080).contains(&minute);
            business.then(|| if minute < until { bad(15) } else { FINE })
        }))
    };
    assert_eq!(day(1080).verdict, DayVerdict::AllDayBad);
    assert_eq!(day(720).verdict, DayVerdict::PeakBad);
}

#[test]
fn unknown_is_never_good() {
    let covered = |quarters: u16| {
        judged_path(local_day(tuesday(), &TimeZone::UTC, |minute| {
            (480..480 + quarters * 15).contains(&minute).then_some(FINE)
        }))
    };
    // Business hours have 40 quarter-hours; 40 % are 16.
    assert_eq!(covered(0).verdict, DayVerdict::Missing);
    assert_eq!(covered(15).verdict, DayVerdict::Missing);
    assert_eq!(covered(16).verdict, DayVerdict::Good);
    assert_eq!(covered(16).coverage(), Some(0.4));
    assert_eq!(covered(0).coverage(), Some(0.0));
}

#[test]
fn quarter_hours_with_too_few_windows_are_not_used() {
    // Two of 15 windows are less than a fifth: however bad, they say nothing.
    let slots = local_day(tuesday(), &TimeZone::UTC, |minute| match minute {
        600..720 => Some(Quarter { valid: 2, bad: 2, ..FINE }),
        _ => Some(FINE),
    });
    assert_eq!(judged_path(slots).verdict, DayVerdict::Good);
    let slots = local_day(tuesday(), &TimeZone::UTC, |minute| match minute {
        600..720 => Some(Quarter { valid: 3, bad: 3, ..FINE }),
        _ => Some(FINE),
    });
    assert_eq!(judged_path(slots).verdict, DayVerdict::PeakBad);
}

#[test]
fn days_off_and_paths_without_limits_are_not_judged() {
    let saturday = date(2026, 3, 14);
    let slots = local_day(saturday, &TimeZone::UTC, |_| Some(bad(15)));
    let frame = frame(saturday, &TimeZone::UTC, "Mo-Fr 08:00-18:00");
    let summaries = judged_in(&frame, &[path(1, 1, slots)]);
    assert!(summaries.iter().all(|day| day.verdict == DayVerdict::Missing));

    let mut unjudged = path(1, 1, local_day(tuesday(), &TimeZone::UTC, |_| Some(bad(15))));
    unjudged.requirement = RequirementProfile::None;
    let summaries = judged(&[unjudged]);
    assert_eq!(summaries.len(), 1, "no agent, subnet or building is judged by it");
    assert_eq!(summaries[0].verdict, DayVerdict::Missing);
}

#[test]
fn today_counts_what_is_already_bad_and_is_not_good_too_early() {
    let now = |hour: i64| UtcMicros::from_secs(1_773_100_800 + hour * 3600);
    let verdict = |hour: i64, bad_from: u16| {
        let slots = local_day(tuesday(), &TimeZone::UTC, |minute| {
            let observed = i64::from(minute) < hour * 60;
            observed.then(|| if minute >= bad_from { bad(15) } else { FINE })
        });
        let paths = [path(1, 1, slots)];
        let none = TargetBins::default();
        let summaries = judged_as_of(&usual_frame(), now(hour), &paths, &none);
        of(&summaries, Scope::Path(PathId(1)))
    };
    assert_eq!(verdict(9, 1440).verdict, DayVerdict::Missing);
    assert_eq!(verdict(9, 1440).coverage(), Some(1.0), "of what has elapsed");
    assert_eq!(verdict(12, 1440).verdict, DayVerdict::Good);
    assert_eq!(verdict(10, 540).verdict, DayVerdict::PeakBad);
}

#[test]
fn days_of_23_and_25_hours_keep_their_local_labels() {
    let berlin = zone("Europe/Berlin");
    for day in [date(2026, 3, 29), date(2026, 10, 25), date(2026, 10, 26)] {
        let slots = local_day(day, &berlin, |minute| {
            Some(if (600..720).contains(&minute) { bad(15) } else { FINE })
        });
        let found = judged_path_in(&frame(day, &berlin, "Mo-Su 08:00-18:00"), slots);
        assert_eq!(found.verdict, DayVerdict::PeakBad, "{day}");
        assert_eq!(found.bad_quarters, (600..720).step_by(15).collect::<Vec<u16>>(), "{day}");
        assert_eq!((found.expected, found.valid), (600, 600), "{day}");
        assert_eq!(found.worst_hour.unwrap().start_minute, 600, "{day}");
    }
}

#[test]
fn the_hour_that_comes_twice_is_judged_twice() {
    // 02:00-03:00 happens twice on 2026-10-25; a night shift works through it.
    let berlin = zone("Europe/Berlin");
    let day = date(2026, 10, 25);
    let slots = local_day(day, &berlin, |minute| {
        Some(if (120..180).contains(&minute) { bad(15) } else { FINE })
    });
    let found = judged_path_in(&frame(day, &berlin, "Mo-Su 00:00-06:00"), slots);
    assert_eq!((found.expected, found.bad), (7 * 60, 2 * 60));
    assert_eq!(found.bad_quarters, [120, 135, 150, 165]);
}

#[test]
fn a_bad_hour_is_bad_however_little_else_is_known() {
    for hours in 1..=4u16 {
        let day = judged_path(local_day(tuesday(), &TimeZone::UTC, |minute| match minute {
            600..660 => Some(bad(15)),
            660.. if minute < 600 + hours * 60 => Some(FINE),
            _ => None,
        }));
        assert_eq!(day.verdict, DayVerdict::PeakBad, "{hours} observed hours");
        assert_eq!(day.bad_quarters.first(), Some(&600));
    }
}

#[test]
fn nothing_is_expected_before_a_paths_first_window() {
    let good = || local_day(tuesday(), &TimeZone::UTC, |_| Some(FINE));
    let at = |hour: i64| SlotStart::containing(UtcMicros::from_secs(1_773_100_800 + hour * 3600));
    let added = |hour| {
        let mut new = path(1, 1, Vec::new());
        new.target = B;
        new.since = at(hour);
        judged(&[path(1, 1, good()), new])
    };
    let agent = Scope::Agent(AgentId::from_u128(1), LinkKind::Wired);
    // Added on the day after: the day is as it was.
    assert_eq!(added(24), judged(&[path(1, 1, good())]));
    // Added at three: it is expected from then on.
    assert_eq!(of(&added(15), agent).expected, 600 + 180);
    assert_eq!(of(&added(15), agent).verdict, DayVerdict::Good);
}

#[test]
fn a_day_that_began_at_three_is_not_good() {
    let day = |from: u16| {
        let mut only = path(
            1,
            1,
            local_day(tuesday(), &TimeZone::UTC, |minute| (minute >= from).then_some(FINE)),
        );
        only.since = only.slots[0].start;
        of(&judged(&[only]), Scope::Path(PathId(1)))
    };
    assert_eq!((day(900).verdict, day(900).coverage()), (DayVerdict::Missing, Some(1.0)));
    assert_eq!(day(840).verdict, DayVerdict::Good);
}

#[test]
fn the_hours_that_people_work_are_judged_and_no_others() {
    let day = |learned: bool| {
        let teach = |hours: &mut BusyHours| {
            if learned {
                hours.quarters = [Quarters::between(360, 600); 7];
            }
        };
        let week = (&TimeZone::UTC, "Mo-Fr 08:00-18:00");
        let frame = frame_with(tuesday(), week, teach, None, Bin::Quarter);
        judged_path_in(
            &frame,
            local_day(tuesday(), &TimeZone::UTC, |minute| {
                Some(if (390..450).contains(&minute) { bad(10) } else { FINE })
            }),
        )
    };
    assert_eq!((day(false).verdict, day(false).expected), (DayVerdict::Good, 600));
    assert_eq!((day(true).verdict, day(true).expected), (DayVerdict::PeakBad, 240));
    assert_eq!(day(true).worst_hour.unwrap().start_minute, 390);
}

#[test]
fn nobody_works_on_a_holiday_or_in_a_closed_building() {
    let verdict = |day: Date, load: Option<f32>| {
        let teach = |hours: &mut BusyHours| hours.typical = [Some(100.0); 7];
        let week = (&TimeZone::UTC, "Mo-Fr 08:00-18:00");
        let frame = frame_with(day, week, teach, load, Bin::Quarter);
        judged_path_in(&frame, local_day(day, &TimeZone::UTC, |_| Some(bad(15)))).verdict
    };
    let holiday = date(2026, 5, 1);
    assert_eq!(verdict(holiday, None), DayVerdict::Missing);
    assert_eq!(verdict(tuesday(), Some(10.0)), DayVerdict::Missing);
    assert_eq!(verdict(tuesday(), Some(90.0)), DayVerdict::AllDayBad);
    assert_eq!(verdict(tuesday(), None), DayVerdict::AllDayBad);
}

#[test]
fn a_frame_that_is_not_in_quarter_hours_is_not_judged() {
    let week = (&TimeZone::UTC, "Mo-Fr 08:00-18:00");
    let frame = frame_with(tuesday(), week, |_| {}, None, Bin::Hour);
    let slots = local_day(tuesday(), &TimeZone::UTC, |_| Some(FINE));
    assert!(judged_in(&frame, &[path(1, 1, slots)]).is_empty());
}

/// A day whose hour from ten is the worst, with so many replies of each quarter-hour out of order.
fn out_of_order(each: u64) -> Vec<Slot> {
    let at_ten = |slot: &Slot| usual_frame().bin_of(slot.start).is_some_and(|at| at / 4 == 10);
    let mut slots = local_day(tuesday(), &TimeZone::UTC, |minute| {
        Some(if minute / 60 == 10 { bad(1) } else { FINE })
    });
    for slot in slots.iter_mut().filter(|slot| at_ten(slot)) {
        slot.reordered = each;
    }
    slots
}

#[test]
fn the_order_of_the_worst_hour_is_tested_and_decides_nothing() {
    // Of 45 000 sent 60 are lost; 22.5 out of order are allowed.
    for (each, order) in [(2, Judgement::Pass), (6, Judgement::Unknown), (10, Judgement::Fail)] {
        let day = judged_path(out_of_order(each));
        let worst = day.worst_hour.unwrap();
        assert_eq!((worst.start_minute, worst.bad), (600, 4));
        assert_eq!((worst.reordered, worst.replies, worst.order), (each * 4, 44_940, order));
        assert_eq!(day.verdict, DayVerdict::Good);
    }
}

#[test]
fn order_is_tested_where_packets_can_overtake_and_a_limit_is_published() {
    let worst = |paths: &[TestPath]| {
        let agent = Scope::Agent(AgentId::from_u128(1), LinkKind::Wired);
        of(&judged(paths), agent).worst_hour.unwrap()
    };
    let dense = || path(1, 1, out_of_order(10));
    let thin = || path(1, 1, sparse(out_of_order(1_000), 0));
    let alone = worst(&[thin()]);
    assert_eq!((alone.reordered, alone.replies, alone.order), (0, 0, Judgement::Unknown));
    // A sparse path beside a dense one has no say.
    let both = worst(&[dense(), thin()]);
    assert_eq!((both.reordered, both.replies, both.order), (40, 44_940, Judgement::Fail));
    let azure = RequirementProfile::ClientToAzure(AzureRegion::WestEurope);
    let unpublished = TestPath { requirement: azure, ..dense() };
    assert_eq!(worst(std::slice::from_ref(&unpublished)).order, Judgement::Unknown);
    assert_eq!(worst(&[dense(), unpublished]).order, Judgement::Unknown);
}

#[test]
fn an_hour_in_which_nothing_came_back_has_no_call_estimate() {
    let day = |windows: u32| {
        judged_path(local_day(tuesday(), &TimeZone::UTC, |minute| {
            let bad = if minute / 60 == 10 { windows } else { 0 };
            Some(Quarter { bad, breach: Breach::Failed, ..FINE })
        }))
    };
    assert_eq!(day(15).worst_hour.unwrap().rating_p10_hundredths, None);
    // Of those that came back a tenth was rated no better than 93: 650 to 700 hundredths below 100.
    assert_eq!(day(14).worst_hour.unwrap().rating_p10_hundredths, Some(9_350));
}
