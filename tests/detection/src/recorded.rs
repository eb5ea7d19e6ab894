//! A generated region as the detector reads fleets, and its findings as scoring reads them.

use std::collections::{BTreeSet, HashMap};

use busyhour_detect::{
    AgentNo, Bin, BuildingNo, Cell, Finding, FindingKind, Fleet, Recorded, SeriesInfo, SeriesNo,
    Site, SubnetNo, TargetNo, UpstreamNo,
};
use busyhour_model::{RequirementProfile, SlotStart};
use busyhour_sim::score::{ToldEvent, ToldFinding, ToldKind};
use busyhour_sim::world::{
    BuildingRecord, NamedPlace, PlaceKind, Plan, Reach, RegionRecord, SeriesRecord, SlotRecord,
};
use jiff::civil::Date;

/// A region that is replayed.
pub struct RecordedRegion<'a> {
    region: &'a RegionRecord,
    fleet: Fleet,
    dates: (Date, Date),
    /// For each local date that something arrived on late: which series, of which earlier dates.
    late: HashMap<Date, Vec<(SeriesNo, Date)>>,
}

impl<'a> RecordedRegion<'a> {
    /// A region of a plan's world.
    #[must_use]
    pub fn new(region: &'a RegionRecord, plan: &Plan) -> Self {
        let days = i64::from(plan.days).saturating_sub(1);
        let last = plan.first.saturating_add(jiff::Span::new().days(days));
        Self { region, fleet: fleet(region), dates: (plan.first, last), late: late(region) }
    }
}

impl Recorded for RecordedRegion<'_> {
    fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    fn dates(&self) -> (Date, Date) {
        self.dates
    }

    fn cells(
        &self,
        series: SeriesNo,
        from: SlotStart,
        until: SlotStart,
        known_on: Date,
    ) -> Vec<Cell> {
        let Some(series) = self.region.series.get(series.0 as usize) else { return Vec::new() };
        let slots = between(&series.slots, |slot| slot.start, from, until).iter();
        let arrived = slots.filter(|slot| slot.delivered.is_none_or(|date| date <= known_on));
        arrived.map(cell).collect()
    }

    fn loads(
        &self,
        building: BuildingNo,
        from: SlotStart,
        until: SlotStart,
    ) -> Vec<(SlotStart, f32)> {
        let building = self.region.buildings.get(building.0 as usize);
        building.map_or_else(Vec::new, |building| {
            between(&building.loads, |(start, _)| *start, from, until).to_vec()
        })
    }

    fn late(&self, today: Date) -> Vec<(SeriesNo, Date)> {
        self.late.get(&today).cloned().unwrap_or_default()
    }
}

/// The part of an ascending list that begins from `from` on and before `until`.
fn between<T>(
    list: &[T],
    start: impl Fn(&T) -> SlotStart,
    from: SlotStart,
    until: SlotStart,
) -> &[T] {
    let first = list.partition_point(|one| start(one) < from);
    let end = list.partition_point(|one| start(one) < until);
    list.get(first..end).unwrap_or_default()
}

fn cell(slot: &SlotRecord) -> Cell {
    Cell {
        expected: slot.expected.into(),
        valid: slot.valid.into(),
        bad: slot.bad.into(),
        bad_by: slot.bad_by.map(u32::from),
        sent: slot.sent.into(),
        lost: slot.lost.into(),
        rtt_min_us: slot.rtt_min_us,
        rtt_p50_us: slot.rtt_p50_us,
        rtt_p95_us: slot.rtt_p95_us,
        jitter_p50_us: slot.jitter_p50_us,
        ..Cell::new(slot.start)
    }
}

fn late(region: &RegionRecord) -> HashMap<Date, Vec<(SeriesNo, Date)>> {
    let mut late: HashMap<Date, Vec<(SeriesNo, Date)>> = HashMap::new();
    for (number, series) in (0..).zip(&region.series) {
        let Some(building) = region.buildings.get(series.building as usize) else { continue };
        for slot in &series.slots {
            let Some(delivered) = slot.delivered else { continue };
            let of = (SeriesNo(number), local_date(building, slot.start));
            let arrived = late.entry(delivered).or_default();
            if of.1 < delivered && arrived.last() != Some(&of) {
                arrived.push(of);
            }
        }
    }
    late
}

fn local_date(building: &BuildingRecord, start: SlotStart) -> Date {
    let at = jiff::Timestamp::from_microsecond(start.start().0).unwrap_or_default();
    building.zone.to_datetime(at).date()
}

/// Names in the order in which they come first, and their numbers.
#[derive(Default)]
struct Names {
    list: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }
}

fn fleet(region: &RegionRecord) -> Fleet {
    let (mut subnets, mut agents) = (Names::default(), Names::default());
    let (mut upstreams, mut targets) = (Names::default(), Names::default());
    let info = |one: &SeriesRecord| SeriesInfo {
        name: one.name.clone(),
        building: BuildingNo(one.building),
        subnet: SubnetNo(subnets.number(&one.subnet.to_string())),
        agent: AgentNo(agents.number(&one.agent)),
        link: one.link,
        target: one.target.as_deref().map(|name| TargetNo(targets.number(name))),
        upstream: one.upstream.as_deref().map(|name| UpstreamNo(upstreams.number(name))),
        reach: match one.reach {
            Reach::Near => busyhour_detect::Reach::Near,
            Reach::Far => busyhour_detect::Reach::Far,
        },
        requirement: RequirementProfile::ClientToMicrosoftEdge,
        near: one.near.map(SeriesNo),
        simulated: true,
    };
    let series = region.series.iter().map(info).collect();
    let site = |one: &BuildingRecord| Site {
        name: one.name.clone(),
        zone: one.zone.clone(),
        hours: one.hours.clone(),
        holidays: one.holidays.clone(),
    };
    Fleet {
        buildings: region.buildings.iter().map(site).collect(),
        subnets: subnets.list,
        agents: agents.list,
        upstreams: upstreams.list,
        regions: BTreeSet::new(),
        targets: targets.list,
        microsoft: BTreeSet::new(),
        series,
        bin: Bin::Quarter,
    }
}

/// A finding as it was told on a date.
#[must_use]
pub fn told(fleet: &Fleet, date: Date, finding: &Finding) -> ToldFinding {
    let word = finding.change.as_str();
    let event = ToldEvent::ALL.iter().copied().find(|event| event.as_str() == word);
    let kind = finding.place.kind();
    let kind = PlaceKind::ALL.iter().copied().find(|one| one.as_str() == kind);
    ToldFinding {
        id: finding.id,
        // Words that scoring does not know change nothing.
        event: event.unwrap_or(ToldEvent::Updated),
        date,
        kind: match finding.kind {
            FindingKind::RecurringPeak => ToldKind::RecurringPeak,
            FindingKind::WeeklyPattern => ToldKind::WeeklyPattern,
            FindingKind::ConstantFault => ToldKind::ConstantFault,
            FindingKind::LevelShift
            | FindingKind::OneOff
            | FindingKind::TargetFault
            | FindingKind::EarlyWarning
            | FindingKind::Drift => ToldKind::Quiet,
        },
        place: NamedPlace {
            kind: kind.unwrap_or(PlaceKind::Unplaced),
            name: finding.place.name(fleet).to_owned(),
            link: finding.place.link(),
        },
        members: finding.members.iter().map(|member| member.0).collect(),
        hours: finding.hours.spans(),
        days: finding.bad_days.clone(),
        confidence: finding.confidence,
        cause: finding.cause.as_str().to_owned(),
    }
}
