//! What is found.

use std::sync::LazyLock;
use std::time::Duration;

use busyhour_detect::Finding;
use busyhour_model::{
    Change, FindingKind, Incident, IncidentPlace, IncidentState, LinkKind, UtcMicros,
};
use busyhour_store::{Act, Control as _};
use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::live::{Live, building_file, noon_after};
use crate::reference;

/// Worlds in which something recurs.
pub(crate) const SEEDS: [u64; 3] = [3, 4, 5];

/// What has to be the same of a finding and of its incident.
pub(crate) type Life = (
    FindingKind,
    (&'static str, String, Option<LinkKind>),
    (Date, Option<Date>, Option<Date>),
    (IncidentState, u32),
);

fn life_of(live: &Live, incident: &Incident) -> Life {
    let place = &incident.place;
    (
        incident.kind,
        (place.kind(), live.name_of(place), place.link()),
        (incident.first_bad, incident.opened_on, incident.closed_on),
        (incident.state, incident.openings),
    )
}

/// The lives of all incidents that were ever opened.
pub(crate) fn lives(live: &Live) -> Vec<Life> {
    let opened = live.incidents().into_iter().filter(|incident| incident.openings > 0);
    let mut lives: Vec<Life> = opened.map(|incident| life_of(live, &incident)).collect();
    lives.sort();
    lives
}

fn wanted(live: &Live) -> Vec<Life> {
    let (findings, fleet) = reference::opened(live);
    let life = |finding: &Finding| {
        let place = finding.place;
        (
            finding.kind,
            (place.kind(), place.name(&fleet).to_owned(), place.link()),
            (finding.first_bad, finding.opened, finding.closed),
            (finding.state, finding.openings),
        )
    };
    let mut lives: Vec<Life> = findings.iter().map(life).collect();
    lives.sort();
    lives
}

/// The first world, delivered and judged day by day without a stop, and how often somebody was told.
pub(crate) static STEADY: LazyLock<(Vec<Life>, usize)> = LazyLock::new(|| {
    let live = Live::new(SEEDS[0]).run();
    (lives(&live), live.told)
});

fn alerts(lives: &[Life]) -> usize {
    lives.iter().filter(|life| life.0.alerts()).count()
}

#[test]
fn day_by_day_it_finds_what_the_engine_finds_in_the_same_slots() {
    let mut found = 0;
    for seed in SEEDS {
        let live = Live::new(seed).run();
        let lives = lives(&live);
        assert_eq!(lives, wanted(&live), "seed {seed}");
        found += alerts(&lives);
        let told: u32 = lives.iter().filter(|life| life.0.alerts()).map(|life| life.3.1).sum();
        assert!(live.told >= told as usize, "each opening is told");
    }
    assert!(found > 0, "worlds without a finding prove nothing");
}

#[test]
fn a_history_that_is_there_at_the_start_is_judged_as_it_was_lived() {
    let mut live = Live::without_load(SEEDS[0]);
    for date in live.dates() {
        live.deliver(date);
    }
    live.judge_after(live.last);
    let alerting = |lives: Vec<Life>| -> Vec<Life> {
        lives.into_iter().filter(|life| life.0.alerts()).collect()
    };
    let found = alerting(lives(&live));
    assert_eq!(found, alerting(wanted(&live)));
    assert!(!found.is_empty());
}

#[test]
fn a_restart_in_the_middle_changes_nothing() {
    let mut live = Live::new(SEEDS[0]);
    for (number, date) in (0..).zip(live.dates()) {
        live.deliver(date);
        live.judge_after(date);
        if number % 9 == 8 {
            live = live.restarted();
            let again = live.judge_after(date);
            assert_eq!((again.days_written, again.incidents_written, again.told), (0, 0, 0));
        }
    }
    assert_eq!((lives(&live), live.told), *STEADY);
}

#[test]
fn a_date_that_is_judged_while_it_runs_ends_as_if_it_had_not_been() {
    let mut live = Live::new(SEEDS[0]);
    for date in live.dates() {
        // Noon of the date itself: all of yesterday is there, and a part of today.
        let noon = noon_after(date.yesterday().unwrap());
        live.deliver_half(date, noon, true);
        live.judge_at(noon);
        live.deliver_half(date, noon, false);
    }
    live.judge_after(live.last);
    // What happened once is noted when it is seen, though it turns out to be part of what recurs.
    let alerting = |lives: &[Life]| -> Vec<Life> {
        lives.iter().filter(|life| life.0.alerts()).cloned().collect()
    };
    assert_eq!(alerting(&lives(&live)), alerting(&STEADY.0));
    assert_eq!(live.told, STEADY.1);
}

#[test]
fn judging_again_without_new_data_writes_nothing() {
    let mut live = Live::new(SEEDS[0]);
    for date in live.dates().take(12) {
        live.deliver(date);
        live.judge_after(date);
        let again = live.judge_after(date);
        assert_eq!((again.days_written, again.incidents_written, again.told), (0, 0, 0), "{date}");
    }
}

#[test]
fn days_that_come_late_end_in_the_same_open_incidents() {
    let steady = Live::without_load(SEEDS[0]).run();
    let (steady, told) = (lives(&steady), steady.told);
    let mut live = Live::without_load(SEEDS[0]);
    let last = live.last;
    for date in live.dates() {
        // One building delivers twice a week; all is there at the end.
        let waits = |series: &usize| live.region.series[*series].building == 0;
        let all: Vec<usize> = (0..live.region.series.len()).collect();
        let (late, prompt): (Vec<usize>, Vec<usize>) = all.into_iter().partition(waits);
        for series in prompt {
            live.deliver_series(series, date, noon_after(date));
        }
        if date.weekday().to_monday_zero_offset() % 3 == 0 || date == last {
            for back in (0..4).rev().map(|days: i32| date.saturating_sub(days.days())) {
                for &series in &late {
                    live.deliver_series(series, back, noon_after(date));
                }
            }
        }
        live.judge_after(date);
    }
    let open = |lives: &[Life]| -> Vec<_> {
        let open = lives.iter().filter(|life| {
            life.0.alerts() && matches!(life.3.0, IncidentState::Open | IncidentState::Recovering)
        });
        open.map(|life| (life.0, life.1.clone())).collect()
    };
    assert_eq!(open(&lives(&live)), open(&steady));
    assert_eq!(live.told, told, "nobody is told more for it");
}

#[test]
fn what_recurs_in_a_building_that_leaves_the_file_is_closed_and_told() {
    let mut live = Live::new(SEEDS[0]).run();
    let open: Vec<Incident> =
        live.incidents().into_iter().filter(|one| one.kind.alerts() && one.is_open()).collect();
    assert!(!open.is_empty(), "a world without an open alert proves nothing");
    let now = noon_after(live.last).plus(Duration::from_secs(60));
    let gone = open[0].building;
    let name = live.name_of(&IncidentPlace::Building(gone));
    let mut file = building_file(&live.region);
    file.retain(|building| building.name != name);
    live.control.import_buildings(&file, &Act::by_operator(now)).unwrap();
    let told = live.judge_at(now).told;
    let after = live.control.incident(open[0].id).unwrap().unwrap();
    assert_eq!((after.state, after.change), (IncidentState::Closed, Change::Gone));
    assert_eq!(after.closed, Some(now));
    let own = open.iter().filter(|one| one.building == gone).count();
    assert_eq!(told, own);
    assert_eq!(live.judge_at(UtcMicros(now.0 + 1)).told, 0);
}

#[test]
fn an_agent_that_was_forgotten_does_not_come_back() {
    use busyhour_store::Telemetry as _;
    let mut live = Live::new(SEEDS[0]).run();
    let open: Vec<Incident> =
        live.incidents().into_iter().filter(|one| one.kind.alerts() && one.is_open()).collect();
    let member = open[0].members[0];
    let paths = live.telemetry.paths(None).unwrap();
    let agent = paths.iter().find(|row| row.id == member.path).unwrap().agent;
    let own: Vec<_> = paths.iter().filter(|row| row.agent == agent).map(|row| row.id).collect();
    let now = noon_after(live.last).plus(Duration::from_secs(60));
    let forgotten = live.telemetry.forget(agent).unwrap();
    live.control.forget_agent(agent, &own, &forgotten, &Act::by_operator(now)).unwrap();
    live.judge_at(now);
    for incident in live.incidents() {
        assert!(incident.members.iter().all(|member| !own.contains(&member.path)));
    }
}
