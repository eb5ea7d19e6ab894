//! One moment of one path, explained: what was measured, by which limits it was judged, what the hour
//! and the day say, whether it was a busy hour, and which incident it belongs to. Nothing is judged
//! here.

mod words;

use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query};
use busyhour_model::{
    Breach, Building, DaySummary, Incident, LimitTable, LocalDay, PathId, Scope, Slot, SlotStart,
    UtcMicros, limits_in_force,
};
use busyhour_store::{PathRow, StoredWindow};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::words::words;
use super::hours::hour_of;
use super::paths::{WindowItem, moment};
use super::{Figures, Items, items, parsed, query};
use crate::app::App;
use crate::problem::Problem;
use crate::scoped::Scoped;
use crate::smoke::clock;
use crate::state::{add_days, zone_of};
use crate::text;
use crate::weeks::Weeks;

/// A window that began so long before or after is still the one that is shown.
const NEAR: Duration = Duration::from_secs(450);
/// More windows are not in that time: one follows the other every 15 s.
const MAX_NEAR: usize = 60;
const SLOTS_AN_HOUR: i64 = 4;
/// How far back a day is looked for that says how the path stands.
const LOOK_BACK_DAYS: i64 = 7;
/// A day that is longer ago says nothing of now: a weekend and a holiday lie between at most.
const LATELY_DAYS: i64 = 4;

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ExplainQuery {
    /// The moment; of the newest window unless told.
    at: Option<String>,
}

/// What was at one moment of one path.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ExplainItem {
    path_id: i64,
    agent: Option<String>,
    building_id: Option<String>,
    building: Option<String>,
    link: &'static str,
    target: String,
    class: &'static str,
    requirement: &'static str,
    /// The agent is a simulated one.
    simulated: bool,
    at_utc: String,
    /// The zone of the building; UTC while nobody told it.
    zone: String,
    /// `Mon 2026-03-02 10:15`, there.
    at_local: String,
    /// It lies in busy hours; null while nobody told when people work.
    busy: Option<bool>,
    busy_hours_local: Vec<String>,
    /// `learned` from load, or `configured`.
    busy_hours_from: Option<&'static str>,
    /// People work there on that date; null while nobody told.
    working_day: Option<bool>,
    /// What the path was judged by at the time; null where no limit is published.
    limits: Option<LimitsItem>,
    /// The window next to the moment, of those within seven and a half minutes.
    window: Option<WindowItem>,
    /// The local hour, as far as it was observed.
    hour: Option<HourCounts>,
    /// The path's day in the building's time; null while it is not judged.
    day: Option<DayItem>,
    /// The last day within a week before it that was observed well enough to be good or bad, or itself.
    last_observed_day: Option<DayItem>,
    /// That day is of the last days, and none after it was missed.
    observed_lately: bool,
    incidents: Vec<PartItem>,
    /// Of the path's newest window, whatever moment was asked for.
    newest_window_utc: String,
    data_age_s: i64,
    /// All of that in sentences.
    words: Vec<String>,
}

/// Published limits.
#[derive(Debug, Serialize, JsonSchema)]
struct LimitsItem {
    version: u32,
    document: &'static str,
    published_date: String,
    /// In any 15 s.
    loss_ratio: f64,
    /// In any 200 ms.
    burst_ratio: f64,
    rtt_us: u32,
    one_way_us: u32,
    jitter_us: u32,
    reorder_ratio: Option<f64>,
}

/// Counts of a local hour.
#[derive(Debug, Serialize, JsonSchema)]
struct HourCounts {
    started_utc: String,
    /// `10:00–11:00`.
    hours_local: String,
    valid: u32,
    bad: u32,
    bad_ratio: Option<f64>,
    bad_loss: u32,
    bad_burst: u32,
    bad_delay: u32,
    bad_jitter: u32,
    bad_failed: u32,
    sent: u64,
    lost: u64,
    loss_ratio: Option<f64>,
}

/// A day's verdict with its counts.
#[derive(Debug, Serialize, JsonSchema)]
struct DayItem {
    date_local: String,
    /// `good`, `peak-bad`, `all-day-bad` or `missing`, which is unknown.
    verdict: &'static str,
    expected: u32,
    valid: u32,
    bad: u32,
    coverage_ratio: Option<f64>,
    /// The version of the limit tables that bad windows were counted with.
    limits_version: Option<u32>,
    /// The moment lies in an hour that was bad.
    in_bad_hour: bool,
    #[serde(flatten)]
    figures: Figures,
}

/// An incident that the path is part of.
#[derive(Debug, Serialize, JsonSchema)]
struct PartItem {
    number: u64,
    kind: &'static str,
    state: &'static str,
    /// People are told of this kind.
    alerts: bool,
    /// Each `10:00-11:00`, in the building's own time.
    hours_local: Vec<String>,
    /// The moment lies in its hours, on one of its bad days.
    touches: bool,
    sentence: String,
}

/// Everything that is told of the moment, as it was found.
struct Found {
    path: PathRow,
    agent: Option<String>,
    simulated: bool,
    building: Option<Building>,
    zone: TimeZone,
    at: UtcMicros,
    local: LocalDay,
    busy: Option<Busy>,
    limits: Option<&'static LimitTable>,
    window: Option<StoredWindow>,
    hour: Option<Slot>,
    /// Those of the path, from a week before up to the moment's.
    days: Vec<DaySummary>,
    incidents: Vec<Incident>,
    now: UtcMicros,
}

/// The busy hours of the date.
struct Busy {
    is_in: bool,
    hours: Vec<(u16, u16)>,
    learned: bool,
    works: bool,
    /// The hours in force were learned of too few machines to be shown.
    is_hidden: bool,
}

/// Explains a moment of a path.
pub(crate) async fn explain(
    app: App,
    Path(id): Path<String>,
    parameters: Result<Query<ExplainQuery>, QueryRejection>,
) -> Items<ExplainItem> {
    let at = query(parameters)?.at;
    Ok(items(vec![app.with_store(move |services| told(services, &id, at.as_deref())).await?]))
}

/// The same, for who answers in another form.
pub(crate) fn told(services: &Scoped, id: &str, at: Option<&str>) -> Result<ExplainItem, Problem> {
    let id = PathId(parsed("the path's number", id)?);
    let at = moment("at", at)?;
    Ok(ExplainItem::new(&Found::read(services, id, at)?))
}

impl Found {
    fn read(services: &Scoped, id: PathId, at: Option<UtcMicros>) -> Result<Self, Problem> {
        let path = services.telemetry.paths(None)?.into_iter().find(|path| path.id == id);
        let path = path.ok_or_else(|| Problem::not_found("no path has this number"))?;
        let now = (services.clock)();
        // A clock may be ahead, so the newest window may be.
        let at = at.unwrap_or(path.newest.min(now));
        if at > now {
            return Err(Problem::bad_request("at lies in the future"));
        }
        let agents = services.control.agents()?;
        let agent = agents.iter().find(|agent| agent.id == path.agent);
        let building = building_at(services, &path, at)?;
        let zone = building.as_ref().map_or(TimeZone::UTC, zone_of);
        let slot = SlotStart::containing(at);
        let local = LocalDay::of(slot, &zone);
        let mut incidents = services.control.recent_incidents(at)?;
        incidents.retain(|incident| incident.members.iter().any(|member| member.path == id));
        incidents.sort_by_key(|incident| !touches(incident, local));
        let window = nearest(services, id, at)?;
        let judged_by =
            window.as_ref().map_or(path.requirement, |window| window.judged.requirement);
        Ok(Self {
            agent: agent.map(|agent| agent.name.clone()),
            simulated: agent.is_some_and(|agent| agent.simulated),
            busy: building.as_ref().map_or(Ok(None), |building| busy(services, building, local))?,
            limits: limits_in_force(judged_by, at),
            window,
            hour: hour(services, id, hour_of(slot, &zone))?,
            days: days(services, building.as_ref(), &path, local)?,
            incidents,
            now,
            path,
            building,
            zone,
            at,
            local,
        })
    }
}

/// The building that the agent was in at the time; the first place that is known of it holds for all
/// time before.
fn building_at(
    services: &Scoped,
    path: &PathRow,
    at: UtcMicros,
) -> Result<Option<Building>, Problem> {
    let mut places = services.control.placements()?;
    places.retain(|place| place.agent == path.agent);
    places.sort_by_key(|place| place.from);
    let then = places.iter().rev().find(|place| place.from <= at).or_else(|| places.first());
    let Some(id) = then.map(|place| place.building) else { return Ok(None) };
    Ok(services.control.buildings()?.into_iter().find(|building| building.id == id))
}

/// The window next to a moment.
fn nearest(services: &Scoped, id: PathId, at: UtcMicros) -> Result<Option<StoredWindow>, Problem> {
    let (from, until) = (at.minus(NEAR), at.plus(NEAR));
    let windows = services.telemetry.windows(id, from, until, MAX_NEAR)?;
    let apart = |window: &StoredWindow| window.judged.placed.since(at).abs();
    Ok(windows.into_iter().min_by_key(apart))
}

fn busy(services: &Scoped, building: &Building, local: LocalDay) -> Result<Option<Busy>, Problem> {
    let weeks = Weeks::new(building, services.control.working_weeks()?);
    if weeks.hours(local.date).is_none() {
        return Ok(None);
    }
    let (hours, source) = weeks.busy(local.date);
    let works = weeks.works(local.date) && !weeks.is_holiday(local.date);
    Ok(Some(Busy {
        is_in: works && hours.iter().any(|&(from, until)| (from..until).contains(&local.minute)),
        is_hidden: weeks.is_hidden(local.date),
        hours: hours.to_vec(),
        learned: source == busyhour_chart::BusySource::Learned,
        works,
    }))
}

/// All of an hour that was observed.
fn hour(services: &Scoped, id: PathId, start: SlotStart) -> Result<Option<Slot>, Problem> {
    let slots = services.telemetry.slots(&[id], start, start.offset(SLOTS_AN_HOUR))?;
    let observed = slots.into_iter().map(|(_, slot)| slot).filter(|slot| slot.valid > 0);
    Ok(observed.reduce(|mut hour, slot| {
        hour.merge(&slot);
        hour
    }))
}

fn days(
    services: &Scoped,
    building: Option<&Building>,
    path: &PathRow,
    local: LocalDay,
) -> Result<Vec<DaySummary>, Problem> {
    let Some(building) = building else { return Ok(Vec::new()) };
    let from = add_days(local.date, -LOOK_BACK_DAYS);
    let mut days = services.control.days(Some(building.id), from, local.date)?;
    days.retain(|day| day.scope == Scope::Path(path.id));
    Ok(days)
}

/// The moment lies in the hours of an incident, on one of its bad days.
fn touches(incident: &Incident, local: LocalDay) -> bool {
    let within = |&(from, until): &(u16, u16)| (from..until).contains(&local.minute);
    incident.bad_days.contains(&local.date) && incident.hours.iter().any(within)
}

impl Found {
    /// The verdict on the moment's own day.
    fn day(&self) -> Option<&DaySummary> {
        self.days.iter().find(|day| day.date == self.local.date)
    }

    /// The last observed day is not long ago, and no day between it and the moment's was missed.
    fn is_observed_lately(&self) -> bool {
        let Some(last) = self.last_observed_day() else { return false };
        let missed = |day: &DaySummary| {
            day.date > last.date
                && day.date < self.local.date
                && day.expected > 0
                && !day.verdict.is_observed()
        };
        last.date >= add_days(self.local.date, -LATELY_DAYS) && !self.days.iter().any(missed)
    }

    fn last_observed_day(&self) -> Option<&DaySummary> {
        let observed = self.days.iter().filter(|day| day.verdict.is_observed());
        observed.max_by_key(|day| day.date)
    }
}

impl ExplainItem {
    fn new(found: &Found) -> Self {
        let (path, key) = (&found.path, &found.path.key);
        let busy = found.busy.as_ref();
        let spans = |spans: &[(u16, u16)]| spans.iter().map(span).collect();
        Self {
            path_id: path.id.0,
            agent: found.agent.clone(),
            building_id: found.building.as_ref().map(|building| building.id.to_string()),
            building: found.building.as_ref().map(|building| building.name.clone()),
            link: key.link.kind().as_str(),
            target: key.target.to_string(),
            class: key.class.as_str(),
            requirement: path.requirement.as_str(),
            simulated: found.simulated,
            at_utc: text::utc(found.at),
            zone: found.zone.iana_name().unwrap_or("UTC").to_owned(),
            at_local: clock(found.at, &found.zone),
            busy: busy.and_then(|busy| (!busy.is_hidden).then_some(busy.is_in)),
            busy_hours_local: busy.map_or_else(Vec::new, |busy| spans(&busy.hours)),
            busy_hours_from: busy.map(|busy| if busy.learned { "learned" } else { "configured" }),
            working_day: busy.map(|busy| busy.works),
            limits: found.limits.map(LimitsItem::new),
            window: found.window.as_ref().map(|window| WindowItem::new(window, found.simulated)),
            hour: found.hour.as_ref().map(|hour| HourCounts::new(hour, &found.zone)),
            day: found.day().map(|day| DayItem::new(day, found.local)),
            last_observed_day: found.last_observed_day().map(|day| DayItem::new(day, found.local)),
            observed_lately: found.is_observed_lately(),
            newest_window_utc: text::utc(path.newest),
            data_age_s: text::age_s(found.now, path.newest),
            incidents: found.incidents.iter().map(|one| PartItem::new(one, found.local)).collect(),
            words: words(found),
        }
    }
}

impl LimitsItem {
    fn new(table: &LimitTable) -> Self {
        let ratio = |ppm: u32| f64::from(ppm) / 1e6;
        Self {
            version: table.version.0,
            document: table.source.document,
            published_date: table.source.published.to_string(),
            loss_ratio: ratio(table.loss_ppm),
            burst_ratio: ratio(table.burst_ppm),
            rtt_us: table.rtt_us,
            one_way_us: table.one_way_us,
            jitter_us: table.jitter_us,
            reorder_ratio: table.reorder_ppm.map(ratio),
        }
    }
}

impl HourCounts {
    fn new(hour: &Slot, zone: &TimeZone) -> Self {
        let start = hour_of(hour.start, zone);
        let by = |breach: Breach| hour.bad_by[breach as usize];
        Self {
            started_utc: text::utc(start.start()),
            hours_local: text::hour_from(LocalDay::of(start, zone).minute),
            valid: hour.valid,
            bad: hour.bad,
            bad_ratio: hour.bad_ratio(),
            bad_loss: by(Breach::Loss),
            bad_burst: by(Breach::Burst),
            bad_delay: by(Breach::Delay),
            bad_jitter: by(Breach::Jitter),
            bad_failed: by(Breach::Failed),
            sent: hour.sent,
            lost: hour.lost(),
            loss_ratio: hour.loss_ratio(),
        }
    }
}

impl DayItem {
    fn new(day: &DaySummary, local: LocalDay) -> Self {
        let masked = (day.masked, day.masking_factor);
        Self {
            date_local: day.date.to_string(),
            verdict: day.verdict.as_str(),
            expected: day.expected,
            valid: day.valid,
            bad: day.bad,
            coverage_ratio: day.coverage(),
            limits_version: day.limits.map(|limits| limits.0),
            in_bad_hour: day.date == local.date && day.bad_quarters.contains(&local.minute),
            figures: Figures::new(day.worst_hour.as_ref(), day.average.as_ref(), masked),
        }
    }
}

impl PartItem {
    fn new(incident: &Incident, local: LocalDay) -> Self {
        Self {
            number: incident.number,
            kind: incident.kind.as_str(),
            state: incident.state.as_str(),
            alerts: incident.kind.alerts(),
            hours_local: incident.hours_joined().iter().map(span).collect(),
            touches: touches(incident, local),
            sentence: incident.sentence.clone(),
        }
    }
}

/// Hours of the day as a program reads them: `10:00-12:00`.
fn span(&(from, until): &(u16, u16)) -> String {
    format!("{}-{}", text::clock(from), text::clock(until))
}
