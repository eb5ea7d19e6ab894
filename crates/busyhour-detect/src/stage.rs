//! A small recorded fleet for tests: quiet, but for the troubles that are put on it.

use std::collections::BTreeSet;

use busyhour_model::{Breach, LinkKind, RequirementProfile, SlotStart};
use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday, date};
use jiff::tz::TimeZone;

use crate::busy::BusyHours;
use crate::day_frame::BuildingDay;
use crate::finding::Finding;
use crate::fleet::{
    AgentNo, Bin, BuildingNo, Fleet, Reach, SeriesInfo, SeriesNo, Site, SubnetNo, TargetNo,
    UpstreamNo,
};
use crate::history::History;
use crate::params::{Params, Rule, Rules};
use crate::replay::{Recorded, replay};
use crate::series::Cell;
use crate::series_day::series_day;

/// A Monday.
pub(crate) const FIRST: Date = date(2025, 3, 3);
const WINDOWS: u32 = 15;
const PACKETS: u64 = 750;
const QUIET_RTT_US: u32 = 20_000;

/// All rules but the quick one: the stories that are told here open on their third day.
pub(crate) fn params() -> Params {
    Params { rules: Rules::all().without(Rule::Quick), ..Params::default() }
}

/// Something that is wrong for some series at some hours of some days.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) series: Vec<u32>,
    pub(crate) days: Vec<Date>,
    pub(crate) hours: (u16, u16),
    /// Bad windows of fifteen.
    pub(crate) bad: u32,
    pub(crate) by: Breach,
    /// How much longer round trips take, in microseconds.
    pub(crate) rise_us: u32,
}

pub(crate) struct Stage {
    pub(crate) fleet: Fleet,
    pub(crate) last: Date,
    pub(crate) troubles: Vec<Trouble>,
    /// Series that are silent on some dates.
    pub(crate) silent: Vec<(u32, Vec<Date>)>,
}

impl Stage {
    /// Buildings of wired, wired, Wi-Fi and VPN series of an agent each, in a subnet each, all behind
    /// one upstream, their tunnels through one concentrator. The number of a series is that of its
    /// building times four plus 0, 1 (wired), 2 (Wi-Fi), 3 (VPN).
    pub(crate) fn street(buildings: u32, days: i64) -> Self {
        let mut fleet = Fleet {
            upstreams: vec!["ISP".to_owned(), "concentrator".to_owned()],
            bin: Bin::Quarter,
            ..Fleet::default()
        };
        for at in 0..buildings {
            fleet.buildings.push(Site {
                name: format!("House {}", (b'A' + at as u8) as char),
                zone: TimeZone::UTC,
                hours: "Mo-Fr 08:00-18:00".parse().unwrap(),
                holidays: BTreeSet::new(),
            });
            let kinds = [LinkKind::Wired, LinkKind::Wired, LinkKind::Wifi, LinkKind::Vpn];
            for (no, link) in (at * 4..).zip(kinds) {
                fleet.subnets.push(format!("10.{at}.{}.0/24", no % 4));
                fleet.agents.push(format!("agent-{no}"));
                fleet.series.push(SeriesInfo {
                    name: format!("series-{no}"),
                    building: BuildingNo(at),
                    subnet: SubnetNo(no),
                    agent: AgentNo(no),
                    link,
                    target: None,
                    upstream: Some(UpstreamNo(u32::from(link == LinkKind::Vpn))),
                    reach: Reach::Far,
                    requirement: RequirementProfile::ClientToMicrosoftEdge,
                    near: None,
                    simulated: true,
                });
            }
        }
        let last = FIRST.saturating_add((days - 1).days());
        Self { fleet, last, troubles: Vec::new(), silent: Vec::new() }
    }

    /// Adds a series that is like another one but for what is changed.
    pub(crate) fn add(&mut self, like: u32, change: impl FnOnce(&mut SeriesInfo)) -> u32 {
        let mut info = self.fleet.series[like as usize].clone();
        let no = self.fleet.series.len() as u32;
        info.name = format!("series-{no}");
        change(&mut info);
        self.fleet.series.push(info);
        no
    }

    /// Adds an agent, for [`Stage::add`].
    pub(crate) fn agent(&mut self) -> AgentNo {
        let no = self.fleet.agents.len() as u32;
        self.fleet.agents.push(format!("agent-{no}"));
        AgentNo(no)
    }

    /// Adds a target, for [`Stage::add`].
    pub(crate) fn target(&mut self, name: &str) -> TargetNo {
        self.fleet.targets.push(name.to_owned());
        TargetNo(self.fleet.targets.len() as u32 - 1)
    }

    /// Ten to half past twelve, a third of the windows lost without delay.
    pub(crate) fn trouble(&mut self, series: &[u32], days: &[Date]) -> &mut Trouble {
        self.troubles.push(Trouble {
            series: series.to_vec(),
            days: days.to_vec(),
            hours: (600, 750),
            bad: 5,
            by: Breach::Loss,
            rise_us: 0,
        });
        self.troubles.last_mut().unwrap()
    }

    /// Everything that was told, with the date on which it was.
    pub(crate) fn told(&self) -> Vec<(Date, Finding)> {
        self.told_by(&params())
    }

    pub(crate) fn told_by(&self, params: &Params) -> Vec<(Date, Finding)> {
        let mut told = Vec::new();
        replay(self, params, &mut |date, finding| told.push((date, finding.clone())));
        told
    }

    /// What was told of those who alert somebody, once each: `03-07 opened building House A`.
    pub(crate) fn words(&self) -> Vec<String> {
        let told = self.told();
        let alerts = told.iter().filter(|(_, finding)| finding.kind.alerts());
        alerts.map(|(date, finding)| words(&self.fleet, *date, finding)).collect()
    }

    /// The rows of all series up to a date, as they would be made at once.
    pub(crate) fn history(&self, until: Date) -> History {
        let mut history = History::default();
        let params = Params::default();
        for (no, info) in (0..).zip(&self.fleet.series) {
            let site = self.fleet.site(info.building).unwrap();
            let hours = BusyHours::configured(site);
            for date in FIRST.series(1.day()).take_while(|date| *date <= until) {
                let bin = self.fleet.bin;
                let day = BuildingDay::new(site, date, &hours, None, bin, &params).unwrap();
                let (from, until) = day.span();
                let cells = self.cells(SeriesNo(no), from, until, date);
                if !cells.is_empty() {
                    let row = series_day(&day, &cells, &|_| false, &params);
                    history.insert(SeriesNo(no), row);
                }
            }
        }
        history
    }

    fn cell(&self, series: SeriesNo, start: SlotStart) -> Option<Cell> {
        let minutes = start.number() * 15;
        let days = minutes.div_euclid(24 * 60);
        let date = date(1970, 1, 1).saturating_add(days.days());
        let minute = u16::try_from(minutes.rem_euclid(24 * 60)).unwrap();
        let silent = |(no, days): &(u32, Vec<Date>)| *no == series.0 && days.contains(&date);
        if date < FIRST || date > self.last || self.silent.iter().any(silent) {
            return None;
        }
        let mut cell = Cell {
            expected: WINDOWS,
            valid: WINDOWS,
            sent: u64::from(WINDOWS) * PACKETS,
            rtt_min_us: Some(QUIET_RTT_US - 2_000),
            rtt_p50_us: Some(QUIET_RTT_US),
            rtt_p95_us: Some(QUIET_RTT_US + 2_000),
            jitter_p50_us: Some(1_000),
            ..Cell::new(start)
        };
        let here = |one: &&Trouble| {
            one.series.contains(&series.0)
                && one.days.contains(&date)
                && (one.hours.0..one.hours.1).contains(&minute)
        };
        for trouble in self.troubles.iter().filter(here) {
            cell.bad = cell.bad.max(trouble.bad);
            cell.bad_by[trouble.by as usize] = trouble.bad;
            let rise = |us: &mut Option<u32>| *us = us.map(|us| us + trouble.rise_us);
            rise(&mut cell.rtt_min_us);
            rise(&mut cell.rtt_p50_us);
            rise(&mut cell.rtt_p95_us);
            match trouble.by {
                Breach::Loss | Breach::Burst => cell.lost += u64::from(trouble.bad) * 12,
                Breach::Failed => cell.lost += u64::from(trouble.bad) * PACKETS,
                Breach::Delay => {}
                Breach::Jitter => cell.jitter_p50_us = Some(40_000),
            }
        }
        Some(cell)
    }
}

impl Recorded for Stage {
    fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    fn dates(&self) -> (Date, Date) {
        (FIRST, self.last)
    }

    fn cells(&self, series: SeriesNo, from: SlotStart, until: SlotStart, _: Date) -> Vec<Cell> {
        (from.number()..until.number())
            .filter_map(|no| self.cell(series, SlotStart::from_number(no)))
            .collect()
    }

    fn loads(&self, _: BuildingNo, _: SlotStart, _: SlotStart) -> Vec<(SlotStart, f32)> {
        Vec::new()
    }
}

pub(crate) fn words(fleet: &Fleet, date: Date, finding: &Finding) -> String {
    let link =
        finding.place.link().map_or_else(String::new, |link| format!(" on {}", link.as_str()));
    format!(
        "{} {} {} {}{link}",
        date.strftime("%m-%d"),
        finding.change.as_str(),
        finding.place.kind(),
        finding.place.name(fleet),
    )
}

/// The working days from one on.
pub(crate) fn working_days(from: Date, count: usize) -> Vec<Date> {
    let works = |day: &Date| !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
    from.series(1.day()).filter(works).take(count).collect()
}
