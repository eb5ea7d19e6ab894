//! Builds days from quarter-hours.

use busyhour_detect::{DayFrame, PathDay, TargetFaults, judge_day};
use busyhour_model::{
    AgentId, Breach, BuildingId, BusinessHours, DaySummary, Figure, LimitsVersion, LinkKind,
    LocalDay, PathId, RequirementProfile, Scope, Slot, SlotStart, SubnetId, TargetName, UtcMicros,
    WindowFigures, local_day_span,
};
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;

pub(crate) const BUILDING: BuildingId = BuildingId::from_u128(1);
/// One window a minute.
pub(crate) const PER_SLOT: u32 = 15;
pub(crate) const LATER: UtcMicros = UtcMicros(i64::MAX);

/// A Tuesday.
pub(crate) fn tuesday() -> Date {
    date(2026, 3, 10)
}

pub(crate) fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

pub(crate) fn hours(text: &str) -> BusinessHours {
    text.parse().unwrap()
}

/// What a quarter-hour is to hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quarter {
    pub(crate) valid: u32,
    pub(crate) bad: u32,
    pub(crate) breach: Breach,
}

pub(crate) const FINE: Quarter = Quarter { valid: PER_SLOT, bad: 0, breach: Breach::Loss };

pub(crate) fn bad(bad: u32) -> Quarter {
    Quarter { bad, ..FINE }
}

/// A slot of `quarter`: fine windows lose nothing, take 20 ms and have 2 ms of jitter; bad ones
/// lose 2 %, or take 150 ms, or have 50 ms of jitter, or lose everything.
pub(crate) fn slot(start: SlotStart, quarter: Quarter, expected: u32) -> Slot {
    let mut slot = Slot::new(start, LimitsVersion(1));
    let Quarter { valid, bad, breach } = quarter;
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
    let answered = if breach == Breach::Failed { 0 } else { bad };
    let rtt = if breach == Breach::Delay { 150_000 } else { 20_000 };
    let jitter = if breach == Breach::Jitter { 50_000 } else { 2_000 };
    slot.rtt_us.record_n(20_000, u64::from(fine) * 750);
    slot.rtt_us.record_n(rtt, u64::from(answered) * 750);
    let window = |lost: u64| {
        let loss_ppm = (lost * 1_000_000).div_ceil(750) as u32;
        WindowFigures::default().with(Figure::Loss, loss_ppm)
    };
    let answer = |window: WindowFigures, rtt_us, jitter_us| {
        window.with(Figure::Delay, rtt_us).with(Figure::Jitter, jitter_us)
    };
    slot.figures.record_n(&answer(window(0), 20_000, 2_000), fine);
    let failed = WindowFigures { failed: true, ..window(lost_each) };
    let answered_with = answer(window(lost_each), rtt, jitter);
    slot.figures.record_n(if answered > 0 { &answered_with } else { &failed }, bad);
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
    pub(crate) agent: u128,
    pub(crate) subnet: u128,
    pub(crate) building: BuildingId,
    pub(crate) link: LinkKind,
    pub(crate) target: TargetName,
    pub(crate) requirement: RequirementProfile,
    pub(crate) since: SlotStart,
    pub(crate) slots: Vec<Slot>,
}

pub(crate) fn target(name: &str) -> TargetName {
    TargetName::new(name).unwrap()
}

pub(crate) fn path(agent: u128, subnet: u128, slots: Vec<Slot>) -> TestPath {
    TestPath {
        agent,
        subnet,
        building: BUILDING,
        link: LinkKind::Wired,
        target: target("a"),
        requirement: RequirementProfile::ClientToMicrosoftEdge,
        since: SlotStart::from_number(0),
        slots,
    }
}

pub(crate) fn path_days(paths: &[TestPath]) -> Vec<PathDay<'_>> {
    (1i64..)
        .zip(paths)
        .map(|(id, path)| PathDay {
            path: PathId(id),
            agent: AgentId::from_u128(path.agent),
            subnet: SubnetId::from_u128(path.subnet),
            building: path.building,
            link: path.link,
            target: &path.target,
            requirement: path.requirement,
            since: path.since,
            windows_per_slot: PER_SLOT,
            slots: &path.slots,
        })
        .collect()
}

pub(crate) fn frame(date: Date, zone: &TimeZone, hours_text: &str, now: UtcMicros) -> DayFrame {
    DayFrame::new(BUILDING, date, zone, &hours(hours_text), now).unwrap()
}

/// Judges paths on a Tuesday in UTC with business hours 08:00-18:00.
pub(crate) fn judged(paths: &[TestPath]) -> Vec<DaySummary> {
    let frame = frame(tuesday(), &TimeZone::UTC, "Mo-Fr 08:00-18:00", LATER);
    judge_day(&frame, &path_days(paths), &TargetFaults::default())
}

pub(crate) fn of(summaries: &[DaySummary], scope: Scope) -> DaySummary {
    summaries.iter().find(|summary| summary.scope == scope).cloned().unwrap()
}

/// Judges one path's slots on a Tuesday in UTC.
pub(crate) fn judged_path(slots: Vec<Slot>) -> DaySummary {
    of(&judged(&[path(1, 1, slots)]), Scope::Path(PathId(1)))
}
