//! A fleet that is small enough to count by hand, in memory.

use std::collections::BTreeSet;

use busyhour_model::desk::Overlay;
use busyhour_model::{
    AddressFamily, AgentId, Breach, Building, BuildingId, Cause, Change, Context, DailyAverage,
    DaySummary, DayVerdict, Figure, FindingKind, Incident, IncidentId, IncidentPlace,
    IncidentState, Judgement, LimitsVersion, Link, LinkKind, Mechanism, NetworkColumns, PathId,
    PathKey, Placement, ProfileName, RequirementProfile, Scope, Segment, Siblings, Slot, SlotStart,
    Subnet, SubnetId, TargetName, TrafficClass, Transport, UtcMicros, WindowFigures, WorstHour,
};
use busyhour_report::Source;
use busyhour_store::{AgentRow, Binding, PathRow, StoreError};
use jiff::civil::{Date, Weekday, date};

/// 2026-09-02, 06:00 UTC.
pub(crate) const NOW: UtcMicros = UtcMicros::from_secs(1_788_328_800);
pub(crate) const HOSTILE: &str = "=cmd|'<script>alert(1)</script>'";

pub(crate) const BERLIN: u128 = 1;
pub(crate) const QUIET: u128 = 2;
pub(crate) const SILENT: u128 = 3;

/// What a day was like; the average hides a masked one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Like {
    Good,
    Bad,
    Masked,
}

#[derive(Default)]
pub(crate) struct Fleet {
    pub(crate) buildings: Vec<Building>,
    pub(crate) subnets: Vec<Subnet>,
    pub(crate) agents: Vec<AgentRow>,
    pub(crate) placements: Vec<Placement>,
    pub(crate) paths: Vec<PathRow>,
    pub(crate) days: Vec<DaySummary>,
    pub(crate) incidents: Vec<Incident>,
    pub(crate) slots: Vec<(PathId, Slot)>,
    pub(crate) overlay: Overlay,
}

impl Fleet {
    /// Berlin (two agents; its second subnet was bad in the last week of five, and the average hid it on two
    /// days), a quiet building with one simulated agent, and one of which nothing is known.
    pub(crate) fn small() -> Self {
        let mut fleet = Self::default();
        fleet.add_building(BERLIN, "Berlin HQ", &[(1, false), (2, false)]);
        fleet.add_building(QUIET, "Quiet Hall", &[(3, true)]);
        fleet.add_building(SILENT, HOSTILE, &[]);
        for day in workdays(date(2026, 6, 1), date(2026, 8, 23)) {
            let like = match day {
                day if day < date(2026, 8, 17) => Like::Good,
                day if day <= date(2026, 8, 18) => Like::Masked,
                _ => Like::Bad,
            };
            fleet.add_day(BERLIN, day, like);
            fleet.add_day(QUIET, day, Like::Good);
        }
        fleet
    }

    fn add_building(&mut self, n: u128, name: &str, agents: &[(u128, bool)]) {
        let id = BuildingId::from_u128(n);
        self.buildings.push(Building {
            id,
            name: name.to_owned(),
            city: String::new(),
            country: String::new(),
            region: "EMEA".to_owned(),
            time_zone: Some("Europe/Berlin".to_owned()),
            business_hours: Some("Mo-Fr 08:00-18:00".parse().unwrap()),
            holidays: BTreeSet::new(),
        });
        for part in 1..=2 {
            self.subnets.push(subnet(n, part));
        }
        for &(agent, simulated) in agents {
            let placement = Placement {
                agent: AgentId::from_u128(agent),
                subnet: SubnetId::from_u128(n * 10 + 1 + agent % 2),
                building: id,
                from: UtcMicros(0),
                until: None,
            };
            self.placements.push(placement);
            self.agents.push(agent_row(agent, simulated, placement));
            self.paths.push(path_row(agent));
        }
    }

    /// A day of a building, and of its two subnets: the second is bad when the building is.
    pub(crate) fn add_day(&mut self, n: u128, on: Date, like: Like) {
        let building = Scope::Building(BuildingId::from_u128(n));
        let link = LinkKind::Wired;
        let fine = Scope::Subnet(SubnetId::from_u128(n * 10 + 1), link);
        let suffering = Scope::Subnet(SubnetId::from_u128(n * 10 + 2), link);
        self.days.push(day(n, building, on, like));
        self.days.push(day(n, fine, on, Like::Good));
        self.days.push(day(n, suffering, on, like));
    }
}

/// Monday to Friday.
pub(crate) fn workdays(from: Date, until: Date) -> impl Iterator<Item = Date> {
    let works = |date: &Date| !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
    std::iter::successors(Some(from), |date| date.tomorrow().ok())
        .take_while(move |date| *date <= until)
        .filter(works)
}

fn subnet(building: u128, part: u128) -> Subnet {
    Subnet {
        id: SubnetId::from_u128(building * 10 + part),
        building: BuildingId::from_u128(building),
        prefix: format!("10.{building}.{part}.0/24").parse().unwrap(),
        egress: (building == BERLIN).then(|| "192.0.2.0/28".parse().unwrap()),
        columns: NetworkColumns {
            network_name: format!("Floor {part}"),
            ownership_type: String::new(),
            building_type: String::new(),
            building_office_type: String::new(),
            city: String::new(),
            zip_code: String::new(),
            country: String::new(),
            state: String::new(),
            region: String::new(),
            inside_corp: true,
            express_route: false,
            vpn: false,
        },
    }
}

fn agent_row(n: u128, simulated: bool, placement: Placement) -> AgentRow {
    AgentRow {
        id: AgentId::from_u128(n),
        name: format!("agent-{n}"),
        simulated,
        binding: Binding::Address,
        added: UtcMicros(0),
        removed: None,
        sighting: None,
        placement: Some(placement),
    }
}

fn path_row(agent: u128) -> PathRow {
    PathRow {
        id: PathId(i64::try_from(agent).unwrap()),
        agent: AgentId::from_u128(agent),
        key: PathKey {
            link: Link::new(LinkKind::Wired, "eth0").unwrap(),
            family: AddressFamily::Ipv4,
            target: TargetName::new("reflector:862").unwrap(),
            class: TrafficClass::Audio,
            profile: ProfileName::new("audio-50").unwrap(),
            transport: Transport::Udp,
        },
        requirement: RequirementProfile::ClientToMicrosoftEdge,
        windows_per_slot: 15,
        oldest: UtcMicros(0),
        newest: UtcMicros(NOW.0 - 3_600_000_000),
        context: Context::default(),
    }
}

/// A day of 1,000 windows of which 900 count; of a bad one 90 are bad, an hour long.
pub(crate) fn day(n: u128, scope: Scope, on: Date, like: Like) -> DaySummary {
    let (bad, masked) = (like != Like::Good, like == Like::Masked);
    DaySummary {
        scope,
        building: BuildingId::from_u128(n),
        date: on,
        verdict: if bad { DayVerdict::PeakBad } else { DayVerdict::Good },
        limits: Some(LimitsVersion(1)),
        expected: 1_000,
        valid: 900,
        bad: if bad { 90 } else { 9 },
        worst_hour: Some(worst_hour(if bad { 40 } else { 2 })),
        bad_quarters: if bad { vec![600, 615, 630, 645] } else { Vec::new() },
        average: Some(DailyAverage {
            loss_ppm: 3_000,
            rtt_us: 20_000,
            jitter_us: 4_000,
            passes: true,
        }),
        masked,
        masking_factor: masked.then_some(8.0),
    }
}

pub(crate) fn worst_hour(bad: u32) -> WorstHour {
    WorstHour {
        start_minute: 600,
        valid: 100,
        bad,
        dominant: (bad > 0).then_some(Breach::Loss),
        bad_by: [bad, 0, 0, 0, 0],
        loss_ppm: 20_000,
        loss_ppm_p90: 24_000,
        rtt_us_p90: 30_000,
        jitter_us_p90: 5_000,
        reordered: 0,
        replies: 70_000,
        order: Judgement::Unknown,
        rating_p10_hundredths: None,
    }
}

/// An incident of Berlin's second subnet, open since the 18th of August.
pub(crate) fn incident(number: u64) -> Incident {
    let days: Vec<Date> = workdays(date(2026, 8, 17), date(2026, 8, 21)).collect();
    Incident {
        id: IncidentId::from_u128(u128::from(number)),
        number,
        kind: FindingKind::RecurringPeak,
        place: IncidentPlace::Subnet(SubnetId::from_u128(BERLIN * 10 + 2), None),
        segment: Segment::CustomerWan,
        building: BuildingId::from_u128(BERLIN),
        members: Vec::new(),
        siblings: Siblings::default(),
        hours: vec![(600, 660)],
        state: IncidentState::Open,
        change: Change::Opened,
        changed: date(2026, 8, 18),
        merged_into: None,
        stale: false,
        first_bad: days[0],
        last_bad: days[4],
        bad_days: days.clone(),
        observed_days: days,
        opened_on: Some(date(2026, 8, 18)),
        closed_on: None,
        noted: UtcMicros(0),
        opened: Some(UtcMicros(0)),
        closed: None,
        openings: 1,
        severity: 0.4,
        confidence: 0.95,
        cause: Cause::Bandwidth,
        cause_confidence: 0.7,
        mechanism: Mechanism::Queue,
        evidence: Vec::new(),
        worst_hour: None,
        worst_on: None,
        average: None,
        masked: false,
        masking_factor: None,
        sentence: "Berlin HQ, Floor 2: words go missing in calls from 10:00 to 11:00.".to_owned(),
        paragraph: String::new(),
        simulated: false,
    }
}

/// A quarter-hour of 15 windows of 750 packets each.
pub(crate) fn slot(at: UtcMicros, lost_up: u64) -> Slot {
    let mut slot = Slot::new(SlotStart::containing(at), LimitsVersion(1));
    (slot.counts.valid, slot.counts.dense, slot.counts.expected) = (15, 15, 15);
    (slot.counts.sent, slot.counts.lost_up) = (11_250, lost_up);
    let window = WindowFigures::default().with(Figure::Delay, 20_000).with(Figure::Jitter, 4_000);
    slot.figures.record_n(&window, 15);
    slot
}

impl Source for Fleet {
    fn buildings(&self) -> Result<Vec<Building>, StoreError> {
        Ok(self.buildings.clone())
    }

    fn subnets(&self) -> Result<Vec<Subnet>, StoreError> {
        Ok(self.subnets.clone())
    }

    fn agents(&self) -> Result<Vec<AgentRow>, StoreError> {
        Ok(self.agents.clone())
    }

    fn placements(&self) -> Result<Vec<Placement>, StoreError> {
        Ok(self.placements.clone())
    }

    fn paths(&self) -> Result<Vec<PathRow>, StoreError> {
        Ok(self.paths.clone())
    }

    fn days(
        &self,
        building: BuildingId,
        from: Date,
        until: Date,
    ) -> Result<Vec<DaySummary>, StoreError> {
        let fits =
            |day: &&DaySummary| day.building == building && (from..=until).contains(&day.date);
        Ok(self.days.iter().filter(fits).cloned().collect())
    }

    fn building_days(&self, from: Date, until: Date) -> Result<Vec<DaySummary>, StoreError> {
        let own = |day: &&DaySummary| matches!(day.scope, Scope::Building(_));
        let days = self.days.iter().filter(own);
        Ok(days.filter(|day| (from..=until).contains(&day.date)).cloned().collect())
    }

    fn subnet_days(&self, from: Date, until: Date) -> Result<Vec<DaySummary>, StoreError> {
        let own = |day: &&DaySummary| matches!(day.scope, Scope::Subnet(..));
        let days = self.days.iter().filter(own);
        Ok(days.filter(|day| (from..=until).contains(&day.date)).cloned().collect())
    }

    fn incidents(&self, closed_from: UtcMicros) -> Result<Vec<Incident>, StoreError> {
        let fits = |incident: &&Incident| incident.closed.is_none_or(|at| at >= closed_from);
        Ok(self.incidents.iter().filter(fits).cloned().collect())
    }

    fn overlay(&self) -> Result<Overlay, StoreError> {
        Ok(self.overlay.clone())
    }

    fn visit_slots(
        &self,
        paths: &[PathId],
        (from, until): (SlotStart, SlotStart),
        visit: &mut dyn FnMut(PathId, &Slot),
    ) -> Result<(), StoreError> {
        for (path, slot) in &self.slots {
            if paths.contains(path) && (from..until).contains(&slot.start) {
                visit(*path, slot);
            }
        }
        Ok(())
    }
}
