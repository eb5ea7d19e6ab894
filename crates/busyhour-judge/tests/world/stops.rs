//! Rounds that break off, and months that are remembered across a start.

use busyhour_detect::{Month, Params, drift};
use busyhour_model::{FindingKind, SeriesMonth};
use busyhour_store::{Control as _, JudgeWrite, Telemetry as _};
use jiff::ToSpan as _;

use crate::found::{SEEDS, STEADY, lives};
use crate::live::{FAR, Live, noon_after};

/// More than any of these files takes.
const PLENTY: u64 = 1 << 40;

#[test]
fn a_judgement_that_cannot_be_written_is_made_again_and_nothing_is_lost() {
    let mut live = Live::new(SEEDS[0]);
    let mut failed = 0;
    for (number, date) in (0..).zip(live.dates()) {
        live.deliver(date);
        if number % 9 == 4 {
            live.control.limit_size(1).unwrap();
            failed += usize::from(live.judge_once_at(noon_after(date)).is_err());
            live.control.limit_size(PLENTY).unwrap();
        }
        live.judge_after(date);
    }
    assert_eq!(failed, 3, "a full disk refuses verdicts");
    assert_eq!((lives(&live), live.told), *STEADY);
}

#[test]
fn months_that_an_earlier_run_lived_through_count_after_a_start() {
    let mut live = Live::without_load(SEEDS[0]);
    // February was lived; half a year before it is in the store, slower month by month.
    let (until, turn) =
        (live.first.last_of_month(), live.first.last_of_month().tomorrow().unwrap());
    for date in live.dates().take_while(|date| *date <= until) {
        live.deliver(date);
        live.judge_after(date);
    }
    assert!(live.control.months().unwrap().is_empty(), "February is not over");
    let mut paths = live.telemetry.paths(None).unwrap().into_iter();
    let row = paths.find(|row| row.context.resolved == Some(FAR.parse().unwrap())).unwrap();
    let placements = live.control.placements().unwrap();
    let there = placements.iter().find(|one| one.agent == row.agent).unwrap();
    let month = |back: i32| SeriesMonth {
        path: row.id,
        building: there.building,
        subnet: there.subnet,
        first: live.first.first_of_month().saturating_sub(back.months()),
        quiet_us: Some(8_400 - 1_200 * back.unsigned_abs()),
        busy_us: None,
    };
    let before: Vec<SeriesMonth> = (1..=6).rev().map(month).collect();
    let engine: Vec<Month> = before
        .iter()
        .map(|one| Month { first: one.first, quiet_us: one.quiet_us, busy_us: one.busy_us })
        .collect();
    assert!(drift(&engine, &Params::default()).is_some(), "months that do not drift prove nothing");
    let write = JudgeWrite { months: before.clone(), ..JudgeWrite::default() };
    live.control.write_judgement(&write, noon_after(until)).unwrap();
    let mut live = live.restarted();
    for date in turn.series(1.day()).take(4) {
        live.deliver(date);
        live.judge_after(date);
    }
    let months = live.control.months().unwrap();
    let own: Vec<_> = months.iter().filter(|one| one.path == row.id).collect();
    assert_eq!(own.len(), 7, "those of before, and February");
    assert!(before.iter().all(|one| own.contains(&one)), "{own:?}");
    let drifts = |live: &Live| {
        let all = live.incidents().into_iter();
        all.filter(|one| one.kind == FindingKind::Drift).collect::<Vec<_>>()
    };
    let found = drifts(&live);
    let is_of_path = |member: &busyhour_model::IncidentMember| member.path == row.id;
    let is_own = found.iter().any(|one| one.members.iter().any(is_of_path));
    assert!(is_own, "{found:?}");
    let mut live = live.restarted();
    let again = live.judge_after(turn.saturating_add(3.days()));
    assert_eq!((again.incidents_written, again.told), (0, 0));
    assert_eq!((drifts(&live), live.control.months().unwrap()), (found, months));
}
