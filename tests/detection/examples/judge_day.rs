//! How long a day of a large fleet takes to judge, rows given.
//!
//! `cargo run --release -p detection --example judge_day -- 15000`

use std::collections::BTreeSet;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use busyhour_detect::{
    AgentNo, Beside, Bin, BuildingDay, BuildingNo, BusyHours, Cell, Finding, Fleet, History,
    Params, Reach, SeriesInfo, SeriesNo, Site, SubnetNo, UpstreamNo, judge_fleet, series_day,
};
use busyhour_model::{Breach, LinkKind, RequirementProfile};
use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;

/// Series of a building, and buildings behind an upstream.
const OF_BUILDING: u32 = 15;
const BEHIND: u32 = 50;
/// Of a hundred series so many are bad at all hours, at busy hours on most days, and on a day.
const CONSTANT: u32 = 2;
const RECURRING: u32 = 3;
const CHANCE: u32 = 2;

fn main() -> ExitCode {
    let count = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(15_000);
    let Some(fleet) = fleet(count) else { return ExitCode::FAILURE };
    let params = Params::default();
    let today = date(2026, 3, 31);
    let begun = Instant::now();
    let mut history = History::default();
    for back in (0..History::DAYS).rev() {
        add_day(&mut history, &fleet, today.saturating_sub(back.days()), &params);
    }
    println!("{count} series, {} rows made in {:?}", history.rows(), begun.elapsed());
    let mut known: Vec<Finding> = Vec::new();
    for back in [1, 0] {
        let day = today.saturating_sub(back.days());
        let begun = Instant::now();
        let changed =
            judge_fleet(&fleet, &history, &known, 0, day, &params, black_box(&Beside::default()));
        println!(
            "{day}: {:?} with {} findings known, {} new or changed",
            begun.elapsed(),
            known.len(),
            changed.len(),
        );
        for finding in changed {
            match known.iter_mut().find(|one| one.id == finding.id) {
                Some(place) => *place = finding,
                None => known.push(finding),
            }
        }
    }
    ExitCode::SUCCESS
}

fn fleet(count: u32) -> Option<Fleet> {
    let hours: busyhour_model::BusinessHours = "Mo-Fr 08:00-18:00".parse().ok()?;
    let mut fleet = Fleet { bin: Bin::Quarter, ..Fleet::default() };
    for no in 0..count {
        let building = no / OF_BUILDING;
        if building as usize == fleet.buildings.len() {
            fleet.buildings.push(Site {
                name: format!("building {building}"),
                zone: TimeZone::UTC,
                hours: hours.clone(),
                holidays: BTreeSet::new(),
            });
        }
        let upstream = building / BEHIND;
        if upstream as usize == fleet.upstreams.len() {
            fleet.upstreams.push(format!("upstream {upstream}"));
        }
        fleet.agents.push(format!("agent {no}"));
        if no % 3 == 0 {
            fleet.subnets.push(format!("subnet {}", no / 3));
        }
        fleet.series.push(SeriesInfo {
            name: format!("series {no}"),
            building: BuildingNo(building),
            subnet: SubnetNo(no / 3),
            agent: AgentNo(no),
            link: if no / 3 % 3 == 2 { LinkKind::Wifi } else { LinkKind::Wired },
            target: None,
            upstream: Some(UpstreamNo(upstream)),
            reach: Reach::Far,
            requirement: RequirementProfile::ClientToMicrosoftEdge,
            near: None,
            simulated: true,
        });
    }
    Some(fleet)
}

fn add_day(history: &mut History, fleet: &Fleet, day: Date, params: &Params) {
    let Some(site) = fleet.buildings.first() else { return };
    let hours = BusyHours::configured(site);
    let Some(frame) = BuildingDay::new(site, day, &hours, None, fleet.bin, params) else { return };
    for no in 0..fleet.series.len() as u32 {
        let row = series_day(&frame, &cells(&frame, no), &|_| false, params);
        history.insert(SeriesNo(no), row);
    }
}

/// One window a minute; what is bad depends on the series and the day alone.
fn cells(frame: &BuildingDay, no: u32) -> Vec<Cell> {
    let ordinal = u64::from(frame.date.day_of_year().unsigned_abs());
    let mut random = fastrand::Rng::with_seed(u64::from(no) << 16 | ordinal);
    let kind = no.wrapping_mul(2_654_435_761) % 100;
    let today = random.u32(..100);
    let bins = frame.minutes.iter().zip(0i64..);
    bins.map(|(&minute, at)| {
        let peak = (600..720).contains(&minute);
        let bad = match kind {
            _ if kind < CONSTANT => 3,
            _ if kind < CONSTANT + RECURRING && peak && today < 80 => 4,
            _ if peak && today < CHANCE => 4,
            _ => 0,
        };
        let mut cell = Cell::new(frame.first.offset(at));
        cell.expected = 15;
        cell.valid = 15;
        cell.bad = bad;
        cell.bad_by[Breach::Loss as usize] = bad;
        cell.sent = 15 * 750;
        cell.lost = u64::from(bad) * 20;
        cell.rtt_min_us = Some(18_000);
        cell.rtt_p50_us = Some(20_000 + random.u32(..500));
        cell.rtt_p95_us = Some(24_000);
        cell.jitter_p50_us = Some(1_000);
        cell
    })
    .collect()
}
