//! Builds days from quarter-hours.

use busyhour_detect::{
    AgentNo, Bin, BuildingDay, BuildingNo, BusyHours, Cell, Fleet, Params, PathDay, Reach,
    SeriesInfo, SeriesNo, Site, SubnetNo, TargetBins, TargetNo, TargetViews, judge_day,
};
use busyhour_model::{
    AgentId, Breach, BuildingId, DaySummary, Figure, LimitsVersion, LinkKind, LocalDay, PathId,
    RequirementProfile, Scope, Slot, SlotGist, SlotStart, SubnetId, UtcMicros, WindowFigures,
    local_day_span,
};
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;

pub(crate) const BUILDING: BuildingId = BuildingId::from_u128(1);
/// One window a minute.
pub(crate) const PER_SLOT: u32 = 15;
pub(crate) const LATER: UtcMicros = UtcMicros(i64::MAX);
/// Targets.
pub(crate) const A: TargetNo = TargetNo(0);
pub(crate) const B: TargetNo = TargetNo(1);

/// A Tuesday.
pub(crate) fn tuesday() -> Date {
    date(2026, 3, 10)
}

pub(crate) fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

/// What a quarter-hour is to hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quarter {
    pub(crate) valid: u32,
    pub(crate) bad: u32,
    pub(crate) breach: Breach,
    /// What fine windows take.
    pub(crate) rtt_us: u32,
}

pub(crate) const FINE: Quarter =
    Quarter { valid: PER_SLOT, bad: 0, breach: Breach::Loss, rtt_us: 20_000 };

pub(crate) const fn bad(bad: u32) -> Quarter {
    Quarter { bad, ..FINE }
}

/// A slot of `quarter`: fine windows lose nothing, have 2 ms of jitter and a rating of 93; bad ones
/// lose 2 %, or take 150 ms, or have 50 ms of jitter, or lose everything, and are rated 60.
pub(crate) fn slot(start: SlotStart, quarter: Quarter, expected: u32) -> Slot {
    let mut slot = Slot::new(start, LimitsVersion(1));
    let Quarter { valid, bad, breach, rtt_us } = quarter;
    let fine = valid - bad;
    slot.expected = expected;
    slot.valid = valid;
    slot.dense = valid;
    slot.bad = bad;
    slot.sent = u64::from(valid) * 750;
    let lost_each = match breach {
        Breach::Loss => 15,
        Breach::Burst => 4,
        Breach::Failed => 750,
        Breach::Delay | Breach::Jitter => 0,
    };
    slot.lost_up = u64::from(bad) * lost_each;
    for (count, &kind) in slot.bad_by.iter_mut().zip(Breach::ALL) {
        let breaks = kind == breach || (breach == Breach::Failed && kind == Breach::Loss);
        *count = if breaks { bad } else { 0 };
    }
    let window = |lost: u64| {
        let loss_ppm = (lost * 1_000_000).div_ceil(750) as u32;
        WindowFigures::default().with(Figure::Loss, loss_ppm)
    };
    let answer = |window: WindowFigures, rtt_us, jitter_us, below_hundred| {
        let window = window.with(Figure::Delay, rtt_us).with(Figure::Jitter, jitter_us);
        window.with(Figure::Rating, below_hundred)
    };
    slot.figures.record_n(&answer(window(0), rtt_us, 2_000, 700), fine);
    let failed = WindowFigures { failed: true, ..window(lost_each) };
    let bad_rtt_us = if breach == Breach::Delay { 150_000 } else { rtt_us };
    let jitter_us = if breach == Breach::Jitter { 50_000 } else { 2_000 };
    let answered = answer(window(lost_each), bad_rtt_us, jitter_us, 4_000);
    slot.figures.record_n(if breach == Breach::Failed { &failed } else { &answered }, bad);
    slot
}

/// The slots of a local day; `None` leaves a quarter-hour out.
pub(crate) fn local_day(
    date: Date,
    zone: &TimeZone,
    quarter: impl Fn(u16) -> Option<Quarter>,
) -> Vec<Slot> {
    let (from, until) = local_day_span(date, zone).unwrap();
    let first = SlotStart::containing(from);
    (0..)
        .map(|number| first.offset(number))
        .take_while(|slot| slot.start() < until)
        .filter_map(|start| {
            quarter(LocalDay::of(start, zone).minute).map(|q| slot(start, q, PER_SLOT))
        })
        .collect()
}

/// A path to be judged.
#[derive(Debug, Clone)]
pub(crate) struct TestPath {
    pub(crate) agent: u32,
    pub(crate) subnet: u32,
    pub(crate) building: u32,
    pub(crate) link: LinkKind,
    pub(crate) target: TargetNo,
    pub(crate) reach: Reach,
    pub(crate) requirement: RequirementProfile,
    pub(crate) since: SlotStart,
    pub(crate) slots: Vec<Slot>,
}

/// A path of an agent in a subnet of [`BUILDING`] to the target [`A`].
pub(crate) fn path(agent: u32, subnet: u32, slots: Vec<Slot>) -> TestPath {
    TestPath {
        agent,
        subnet,
        building: 1,
        link: LinkKind::Wired,
        target: A,
        reach: Reach::Far,
        requirement: RequirementProfile::ClientToMicrosoftEdge,
        since: SlotStart::from_number(0),
        slots,
    }
}

/// The slots of paths in short.
fn gists_of(paths: &[TestPath]) -> Vec<Vec<SlotGist>> {
    paths.iter().map(|path| path.slots.iter().map(SlotGist::of).collect()).collect()
}

/// Those of [`BUILDING`].
fn path_days<'a>(paths: &'a [TestPath], gists: &'a [Vec<SlotGist>]) -> Vec<PathDay<'a>> {
    (1i64..)
        .zip(paths.iter().zip(gists))
        .filter(|(_, (path, _))| path.building == 1)
        .map(|(id, (path, gists))| PathDay {
            path: PathId(id),
            agent: AgentId::from_u128(path.agent.into()),
            subnet: SubnetId::from_u128(path.subnet.into()),
            link: path.link,
            target: Some(path.target),
            requirement: path.requirement,
            since: path.since,
            windows_per_slot: PER_SLOT,
            slots: gists,
            figures: &path.slots,
        })
        .collect()
}

fn site(zone: &TimeZone, hours: &str) -> Site {
    Site {
        name: "Hamburg".to_owned(),
        zone: zone.clone(),
        hours: hours.parse().unwrap(),
        holidays: [date(2026, 5, 1)].into(),
    }
}

/// A local day with the busy hours that are configured, or what is made of them, and so much load.
pub(crate) fn frame_with(
    date: Date,
    (zone, hours): (&TimeZone, &str),
    learned: impl FnOnce(&mut BusyHours),
    load: Option<f32>,
    bin: Bin,
) -> BuildingDay {
    let site = site(zone, hours);
    let mut busy = BusyHours::configured(&site);
    learned(&mut busy);
    BuildingDay::new(&site, date, &busy, load, bin, &Params::default()).unwrap()
}

pub(crate) fn frame(date: Date, zone: &TimeZone, hours: &str) -> BuildingDay {
    frame_with(date, (zone, hours), |_| {}, None, Bin::Quarter)
}

/// A Tuesday in UTC, busy from 08:00 to 18:00.
pub(crate) fn usual_frame() -> BuildingDay {
    frame(tuesday(), &TimeZone::UTC, "Mo-Fr 08:00-18:00")
}

/// Judges [`BUILDING`] as of `now`; what failed because of targets at fault counts as unobserved.
pub(crate) fn judged_as_of(
    frame: &BuildingDay,
    now: UtcMicros,
    paths: &[TestPath],
    faults: &TargetBins,
) -> Vec<DaySummary> {
    let gists = gists_of(paths);
    judge_day(BUILDING, frame, now, &path_days(paths, &gists), faults)
}

/// Judges [`BUILDING`] when the day is over and no target was at fault.
pub(crate) fn judged_in(frame: &BuildingDay, paths: &[TestPath]) -> Vec<DaySummary> {
    judged_as_of(frame, LATER, paths, &TargetBins::default())
}

/// Judges paths on the usual day.
pub(crate) fn judged(paths: &[TestPath]) -> Vec<DaySummary> {
    judged_in(&usual_frame(), paths)
}

pub(crate) fn of(summaries: &[DaySummary], scope: Scope) -> DaySummary {
    summaries.iter().find(|summary| summary.scope == scope).cloned().unwrap()
}

/// Judges one path's slots in a frame.
pub(crate) fn judged_path_in(frame: &BuildingDay, slots: Vec<Slot>) -> DaySummary {
    of(&judged_in(frame, &[path(1, 1, slots)]), Scope::Path(PathId(1)))
}

/// Judges one path's slots on the usual day.
pub(crate) fn judged_path(slots: Vec<Slot>) -> DaySummary {
    judged_path_in(&usual_frame(), slots)
}

/// When the targets were at fault, as all of these paths saw them.
pub(crate) fn faults(paths: &[TestPath]) -> TargetBins {
    let info = |path: &TestPath| SeriesInfo {
        name: String::new(),
        building: BuildingNo(path.building),
        subnet: SubnetNo(path.subnet),
        agent: AgentNo(path.agent),
        link: path.link,
        target: Some(path.target),
        upstream: None,
        reach: path.reach,
        requirement: path.requirement,
        near: None,
        simulated: false,
    };
    let fleet = Fleet { series: paths.iter().map(info).collect(), ..Fleet::default() };
    let mut views = TargetViews::new(&fleet);
    for (no, path) in (0..).map(SeriesNo).zip(paths) {
        let cells: Vec<Cell> = path.slots.iter().map(Cell::of).collect();
        views.add(no, &cells);
    }
    views.faults()
}
