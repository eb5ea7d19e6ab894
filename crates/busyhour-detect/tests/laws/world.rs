//! A small fleet with troubles of its own: as it was recorded, and as it comes to be known.

use std::collections::BTreeSet;

use busyhour_detect::{
    AgentNo, Beside, Bin, BuildingNo, BusyHours, Cell, Finding, Fleet, History, Ledger, Params,
    Reach, Recorded, Rows, SeriesInfo, SeriesNo, Site, SubnetNo, UpstreamNo, lay_out,
    rows_of_building,
};
use busyhour_model::{Breach, IncidentState, LinkKind, RequirementProfile, SlotStart};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use crate::made::{Is, PER_QUARTER, after, monday};

/// Series in each building: two wired ones of a subnet, one over Wi-Fi.
pub(crate) const PER_BUILDING: u32 = 3;

/// Something that is wrong for some series at some hours of some days.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) series: BTreeSet<u32>,
    /// Days after the first.
    pub(crate) days: BTreeSet<i32>,
    /// Minutes of the day.
    pub(crate) hours: (u16, u16),
    pub(crate) is: Is,
}

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) fleet: Fleet,
    pub(crate) days: i32,
    pub(crate) troubles: Vec<Trouble>,
    /// Series that were not there, and on which days.
    pub(crate) absent: BTreeSet<(u32, i32)>,
}

/// Buildings behind one upstream, in UTC, at work from Monday to Friday from 8 to 18.
pub(crate) fn fleet(buildings: u32) -> Fleet {
    let mut fleet = Fleet { upstreams: vec!["ISP".to_owned()], ..Fleet::default() };
    for at in 0..buildings {
        fleet.buildings.push(Site {
            name: format!("House {at}"),
            zone: TimeZone::UTC,
            hours: "Mo-Fr 08:00-18:00".parse().unwrap(),
            holidays: BTreeSet::new(),
        });
        for (no, link) in
            (at * PER_BUILDING..).zip([LinkKind::Wired, LinkKind::Wired, LinkKind::Wifi])
        {
            let subnet = at * 2 + u32::from(link == LinkKind::Wifi);
            fleet.agents.push(format!("agent-{no}"));
            fleet.series.push(SeriesInfo {
                name: format!("series-{no}"),
                building: BuildingNo(at),
                subnet: SubnetNo(subnet),
                agent: AgentNo(no),
                link,
                requirement: RequirementProfile::ClientToMicrosoftEdge,
                target: None,
                upstream: Some(UpstreamNo(0)),
                reach: Reach::Far,
                near: None,
                simulated: true,
            });
        }
        fleet.subnets.extend([format!("10.{at}.0.0/24"), format!("10.{at}.1.0/24")]);
    }
    fleet
}

impl World {
    pub(crate) fn series(&self) -> u32 {
        self.fleet.series.len() as u32
    }

    pub(crate) fn buildings(&self) -> impl Iterator<Item = BuildingNo> + use<> {
        (0..self.fleet.buildings.len() as u32).map(BuildingNo)
    }

    fn cell(&self, series: SeriesNo, start: SlotStart) -> Option<Cell> {
        let quarter = start.number() - midnight(0).number();
        let day = i32::try_from(quarter.div_euclid(96)).unwrap();
        let minute = u16::try_from(quarter.rem_euclid(96) * 15).unwrap();
        if !(0..self.days).contains(&day) || self.absent.contains(&(series.0, day)) {
            return None;
        }
        let mut cell = crate::made::FINE.cell(start, PER_QUARTER);
        let here = |one: &&Trouble| {
            one.series.contains(&series.0)
                && one.days.contains(&day)
                && (one.hours.0..one.hours.1).contains(&minute)
        };
        for trouble in self.troubles.iter().filter(here) {
            if trouble.is.bad > cell.bad {
                cell = trouble.is.cell(start, PER_QUARTER);
            }
        }
        Some(cell)
    }

    /// The rows of a building's day as they are at `now`, of what is known of its series.
    pub(crate) fn rows(
        &self,
        building: BuildingNo,
        date: Date,
        now: SlotStart,
        is_known: &dyn Fn(SeriesNo) -> bool,
    ) -> Rows {
        let params = Params::default();
        let site = &self.fleet.buildings[building.0 as usize];
        let hours = BusyHours::configured(site);
        let none = &mut |_: &_| Vec::new();
        let day =
            lay_out(site, date, &hours, None, none, Bin::Quarter, &params).unwrap().as_of(now);
        let (from, until) = day.span();
        let until = until.min(now);
        let cells = |no| {
            let known = if is_known(no) { self.cells(no, from, until, date) } else { Vec::new() };
            (no, known)
        };
        let first = building.0 * PER_BUILDING;
        let cells: Vec<_> = (first..first + PER_BUILDING).map(SeriesNo).map(cells).collect();
        rows_of_building(&self.fleet, building, &day, &cells, &|_, _| false, &params)
    }

    /// All rows of a day as they are at `now`.
    pub(crate) fn observe(&self, history: &mut History, day: i32, now: SlotStart) {
        for building in self.buildings() {
            history.insert_rows(self.rows(building, after(day), now, &|_| true));
        }
    }

    pub(crate) fn judge(
        &self,
        ledger: &mut Ledger,
        history: &mut History,
        day: i32,
    ) -> Vec<Finding> {
        let beside = |_| Beside::default();
        ledger.judge(&self.fleet, history, after(day), &Params::default(), &beside)
    }
}

impl Recorded for World {
    fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    fn dates(&self) -> (Date, Date) {
        (monday(), after(self.days - 1))
    }

    fn cells(&self, series: SeriesNo, from: SlotStart, until: SlotStart, _: Date) -> Vec<Cell> {
        let slots = (from.number()..until.number()).map(SlotStart::from_number);
        slots.filter_map(|slot| self.cell(series, slot)).collect()
    }

    fn loads(&self, _: BuildingNo, _: SlotStart, _: SlotStart) -> Vec<(SlotStart, f32)> {
        Vec::new()
    }
}

/// The first quarter-hour of a day.
pub(crate) fn midnight(day: i32) -> SlotStart {
    let days = (after(day) - jiff::civil::date(1970, 1, 1)).get_days();
    SlotStart::from_number(i64::from(days) * 96)
}

pub(crate) fn is_open(finding: &Finding) -> bool {
    matches!(finding.state, IncidentState::Open | IncidentState::Recovering)
}

/// Some series of the first ones, together or each by itself.
fn some_series(all: u32) -> impl Strategy<Value = BTreeSet<u32>> {
    let buildings = all / PER_BUILDING;
    prop_oneof![
        2 => (0..all).prop_map(|no| [no].into()),
        2 => (0..buildings).prop_map(|at| (at * PER_BUILDING..(at + 1) * PER_BUILDING).collect()),
        1 => Just((0..all).collect()),
        1 => proptest::collection::btree_set(0..all, 1..all as usize),
    ]
}

/// Days from a Monday on: each working day or most of them from one on, or any.
fn some_days(days: i32) -> impl Strategy<Value = BTreeSet<i32>> {
    let working = move |from: i32| (from..days).filter(|day| day % 7 < 5);
    prop_oneof![
        2 => (0..days - 3, 3..12i32)
            .prop_map(move |(from, long)| working(from).filter(|day| *day < from + long).collect()),
        2 => (0..days - 3).prop_map(move |from| working(from).collect()),
        1 => (0..days - 3, 0..5i32).prop_map(move |(from, weekday)| {
            working(from).filter(|day| day % 7 == weekday).collect()
        }),
        2 => proptest::collection::btree_set(0..days, 1..8),
    ]
}

/// A world of some weeks whose troubles begin at one of `hours` (quarter-hours of the day).
pub(crate) fn world(days: i32, hours: std::ops::Range<u16>) -> impl Strategy<Value = World> {
    let buildings = 2u32..4;
    buildings.prop_flat_map(move |buildings| {
        let all = buildings * PER_BUILDING;
        let breach = prop_oneof![
            4 => Just(Breach::Loss),
            2 => Just(Breach::Jitter),
            2 => Just(Breach::Delay),
            1 => Just(Breach::Failed),
        ];
        let is = (2u32..15, breach, 20_000u32..90_000).prop_map(|(bad, breach, rtt_us)| Is {
            bad,
            breach,
            rtt_us,
            valid: PER_QUARTER,
        });
        let until = hours.end;
        let hours = (hours.clone(), 2u16..16)
            .prop_map(move |(from, long)| (from * 15, (from + long).min(until) * 15));
        let trouble = (some_series(all), some_days(days), hours, is)
            .prop_map(|(series, days, hours, is)| Trouble { series, days, hours, is });
        let troubles = proptest::collection::vec(trouble, 1..5);
        let absent = proptest::collection::btree_set((0..all, 0..days), 0..12);
        (troubles, absent).prop_map(move |(troubles, absent)| World {
            fleet: fleet(buildings),
            days,
            troubles,
            absent,
        })
    })
}
