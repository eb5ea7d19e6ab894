//! The fleet of the demonstration is what its truth says it is.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::collections::BTreeSet;

use busyhour_model::{
    Body, GapReason, LinkKind, LocalDay, Record, RequirementProfile, SlotStart, UtcMicros,
    limits_in_force,
};
use busyhour_sim::{Condition, Fleet, HISTORY_DAYS, SimAgent, SimBuilding, demo_fleet};

/// Thursday 2026-10-29, 15:17:20 UTC: clocks were set back in Europe on the Sunday before.
const NOW: UtcMicros = UtcMicros::from_secs(1_793_287_040);
const DAY: i64 = 24 * 3600 * 1_000_000;

fn fleet() -> Fleet {
    demo_fleet(7, NOW)
}

fn building_of<'a>(fleet: &'a Fleet, agent: &SimAgent) -> &'a SimBuilding {
    fleet.buildings.iter().find(|building| building.name == agent.building).unwrap()
}

fn building(fleet: &Fleet, condition: Condition) -> &SimBuilding {
    fleet.buildings.iter().find(|building| building.truth.condition == condition).unwrap()
}

/// Windows and bad windows inside and outside of the truth, over some days of an agent.
#[derive(Debug, Default)]
struct Tally {
    inside: (u32, u32),
    outside: (u32, u32),
}

fn tally(fleet: &Fleet, agent: &SimAgent, days: i64) -> Tally {
    let building = building_of(fleet, agent);
    let mut tally = Tally::default();
    for record in newest(fleet, days).flat_map(|day| agent.day(day)) {
        let Body::Window(window) = &record.body else { continue };
        let started = record.stamp.started;
        let local = LocalDay::of(SlotStart::containing(started), &building.time_zone);
        let minute = local.minute + ((started.as_secs() / 60) % 15) as u16;
        let truth = &building.truth;
        let bad_here = truth.is_bad_at(agent.subnet_prefix, agent.link, local.date, minute);
        let counts = if bad_here { &mut tally.inside } else { &mut tally.outside };
        counts.0 += 1;
        let table = limits_in_force(RequirementProfile::ClientToMicrosoftEdge, started).unwrap();
        counts.1 += u32::from(table.judge(window).bad());
    }
    tally
}

fn newest(fleet: &Fleet, days: i64) -> impl Iterator<Item = i64> {
    fleet.days_newest_first().take(days as usize)
}

#[test]
fn there_are_six_buildings_and_some_thirty_paths() {
    let fleet = fleet();
    assert_eq!(fleet.buildings.len(), 6);
    let conditions: BTreeSet<String> =
        fleet.buildings.iter().map(|building| format!("{:?}", building.truth.condition)).collect();
    assert_eq!(conditions.len(), 6);
    let zones: BTreeSet<String> =
        fleet.buildings.iter().filter_map(|b| b.time_zone.iana_name().map(str::to_owned)).collect();
    assert_eq!(zones.len(), 6);
    let paths: usize = fleet.agents.iter().map(|agent| agent.paths.len()).sum();
    assert!((25..=30).contains(&paths), "{paths}");
    let names: BTreeSet<&str> = fleet.agents.iter().map(|agent| agent.name.as_str()).collect();
    assert_eq!(names.len(), fleet.agents.len());
    assert_eq!(fleet.agents[0].building, building(&fleet, Condition::MaskedPeak).name);
    assert_eq!(fleet.days_newest_first().count(), HISTORY_DAYS as usize);
}

#[test]
fn the_building_file_has_a_row_for_every_subnet() {
    let fleet = fleet();
    let rows: Vec<Vec<&str>> =
        fleet.building_file.lines().map(|line| line.split(',').collect()).collect();
    assert!(rows.iter().all(|row| row.len() == 15), "{rows:?}");
    for agent in &fleet.agents {
        let (network, length) = (
            agent.subnet_prefix.network().to_string(),
            agent.subnet_prefix.prefix_len().to_string(),
        );
        let row = rows.iter().find(|row| row[0] == network).unwrap();
        assert_eq!((row[2], row[3]), (length.as_str(), agent.building.as_str()));
    }
    let companion: Vec<&str> = fleet.companion.lines().collect();
    assert_eq!(companion[0], "BuildingName,TimeZone,BusinessHours");
    assert!(companion.contains(&"São Paulo Centro,America/Sao_Paulo,Mo-Fr 08:00-18:00"));
}

#[test]
fn the_same_arguments_give_the_same_records() {
    let (a, b) = (fleet(), fleet());
    let day = a.days_newest_first().nth(3).unwrap();
    // Asked for in another order.
    let later = b.agents[4].day(day + 1);
    assert_eq!(a.agents[4].day(day), b.agents[4].day(day));
    assert_eq!(a.agents[4].day(day + 1), later);
    assert_ne!(a.agents[4].day(day), demo_fleet(8, NOW).agents[4].day(day));
    assert_ne!(a.agents[0].day(day), a.agents[1].day(day));
}

#[test]
fn a_later_moment_continues_the_day() {
    let (now, later) = (fleet(), demo_fleet(7, UtcMicros(NOW.0 + 3600 * 1_000_000)));
    let today = now.days_newest_first().next().unwrap();
    let (begun, continued) = (now.agents[0].day(today), later.agents[0].day(today));
    assert_eq!(begun, continued[..begun.len()]);
    assert_eq!(continued.len(), begun.len() + 60 * now.agents[0].paths.len());
}

#[test]
fn a_path_has_one_window_a_minute_and_none_after_the_end() {
    let fleet = fleet();
    let agent = &fleet.agents[0];
    let (today, yesterday) = {
        let mut days = fleet.days_newest_first();
        (days.next().unwrap(), days.next().unwrap())
    };
    assert_eq!(agent.day(yesterday).len(), 1440 * agent.paths.len());
    let records = agent.day(today);
    assert!(records.iter().all(|record| record.stamp.ended() <= NOW));
    assert!(records.is_sorted_by_key(|record: &Record| record.stamp.started));
    assert_eq!(records.len(), (15 * 60 + 17) * agent.paths.len() + 1);
    assert!(agent.day(today + 1).is_empty());
    assert!(agent.day(today - HISTORY_DAYS).is_empty());
    assert!(agent.day(i64::MAX).is_empty() && agent.day(i64::MIN).is_empty());
    let in_day = |record: &Record| record.stamp.started.0.div_euclid(DAY) == yesterday;
    assert!(agent.day(yesterday).iter().all(in_day));
}

#[test]
fn windows_are_bad_where_the_truth_says_and_hardly_elsewhere() {
    let fleet = fleet();
    for agent in &fleet.agents {
        let tally = tally(&fleet, agent, 4);
        let share = |(all, bad): (u32, u32)| f64::from(bad) / f64::from(all.max(1));
        if tally.inside.0 > 0 {
            assert!(share(tally.inside) > 0.5, "{}: {tally:?}", agent.name);
        }
        assert!(share(tally.outside) < 0.005, "{}: {tally:?}", agent.name);
    }
}

#[test]
fn the_masked_building_loses_little_on_average() {
    let fleet = fleet();
    let agent = &fleet.agents[0];
    let day = fleet.days_newest_first().nth(1).unwrap();
    let (mut sent, mut lost) = (0u64, 0u64);
    for record in agent.day(day) {
        if let Body::Window(window) = record.body {
            sent += u64::from(window.counts.sent());
            lost += u64::from(window.counts.lost());
        }
    }
    assert!(lost * 1000 > sent, "{lost} of {sent}: two bad hours show");
    assert!(lost * 200 < sent, "{lost} of {sent}: but the average is far from its limit");
}

#[test]
fn the_single_bad_hour_is_in_the_newest_week() {
    for days_later in 0..7 {
        let fleet = demo_fleet(7, UtcMicros(NOW.0 + days_later * DAY));
        let london = building(&fleet, Condition::SingleBadHour);
        let today = LocalDay::of(
            SlotStart::containing(UtcMicros(NOW.0 + days_later * DAY)),
            &london.time_zone,
        );
        let bad = london.truth.date.unwrap();
        assert!(bad < today.date && bad.until(today.date).unwrap().get_days() <= 3, "{bad}");
        let agent = fleet.agents.iter().find(|agent| agent.building == london.name).unwrap();
        let inside = tally(&fleet, agent, 6).inside;
        assert_eq!(inside.0, 60 * agent.paths.len() as u32, "the whole hour was observed");
    }
}

#[test]
fn the_wifi_agent_is_off_half_the_time_and_says_so() {
    let fleet = fleet();
    let sydney = &building(&fleet, Condition::WifiOnly).name;
    let agent = fleet
        .agents
        .iter()
        .find(|agent| agent.building == *sydney && agent.link == LinkKind::Wifi)
        .unwrap();
    let records: Vec<Record> =
        fleet.days_newest_first().skip(1).take(4).flat_map(|day| agent.day(day)).collect();
    let windows = records.iter().filter(|record| matches!(record.body, Body::Window(_))).count();
    assert_eq!(windows, 4 * 720 * agent.paths.len());
    let off: u64 = records
        .iter()
        .filter(|record| matches!(&record.body, Body::Gap(gap) if gap.reason == GapReason::Asleep))
        .map(|record| record.stamp.duration_us())
        .sum();
    assert_eq!(off, 4 * 12 * 3600 * 1_000_000);
}

#[test]
fn load_follows_the_working_day() {
    let fleet = fleet();
    let agent = &fleet.agents[0];
    let records = agent.load_day(fleet.days_newest_first().nth(1).unwrap());
    assert_eq!(records.len(), 1440);
    let bytes = |minute: usize| match &records[minute].body {
        Body::Load(load) => load.received_bytes,
        _ => 0,
    };
    // 09:30 and 01:30 UTC are 10:30 and 02:30 in Berlin in winter.
    assert!(bytes(9 * 60 + 30) > 5 * bytes(60 + 30));
}
