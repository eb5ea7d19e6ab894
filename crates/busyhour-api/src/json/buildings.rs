//! Buildings and how they stand.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query};
use busyhour_chart::CELLS;
use busyhour_model::{Building, BuildingId, Figure, FigureTotals, LinkKind, SubnetId};
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::listing::{Listing, View};
use super::{Figures, Items, items, parsed, query};
use crate::app::App;
use crate::problem::Problem;
use crate::scoped::Scoped;
use crate::state::{BuildingState, Snapshot, date_in, zone_of};
use crate::text;
use crate::week::{Members, Part, week_map};

/// The most buildings that `top` gives.
const MAX_TOP: usize = 1_000;
pub(crate) const DEFAULT_TOP: usize = 10;

/// A building and how it stands.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BuildingItem {
    id: String,
    name: String,
    city: String,
    country: String,
    region: String,
    time_zone: Option<String>,
    business_hours: Option<String>,
    subnet_count: usize,
    agent_count: usize,
    simulated: bool,
    standing: &'static str,
    unknown_because: Option<&'static str>,
    bad_days: u32,
    observed_days: u32,
    incident_id: Option<String>,
    sentence: Option<String>,
    bad_hours_local: Option<String>,
    last_bad_date: Option<String>,
    #[serde(flatten)]
    figures: Figures,
    coverage_ratio: Option<f64>,
    newest_window_utc: Option<String>,
    data_age_s: Option<i64>,
}

impl BuildingItem {
    fn new(state: &BuildingState, now: busyhour_model::UtcMicros) -> Self {
        let building = &state.building;
        let incident = state.incident.as_ref();
        let figures = state.evidence.as_ref().map(|evidence| {
            let masked = (evidence.masked, evidence.factor);
            Figures::new(evidence.worst.as_ref(), evidence.average.as_ref(), masked)
        });
        Self {
            id: building.id.to_string(),
            name: building.name.clone(),
            city: building.city.clone(),
            country: building.country.clone(),
            region: building.region.clone(),
            time_zone: building.time_zone.clone(),
            business_hours: building.business_hours.as_ref().map(ToString::to_string),
            subnet_count: state.subnets,
            agent_count: state.agents,
            simulated: state.simulated,
            standing: state.standing.as_str(),
            unknown_because: state.unknown_because,
            bad_days: state.bad_days,
            observed_days: state.observed_days,
            incident_id: incident.map(|incident| incident.id.to_string()),
            sentence: incident.map(|incident| incident.sentence.clone()),
            bad_hours_local: state.incident_hours().map(|hours| text::spans(&hours)),
            last_bad_date: state.evidence.as_ref().map(|evidence| evidence.date.to_string()),
            figures: figures.unwrap_or_default(),
            coverage_ratio: state.coverage,
            newest_window_utc: state.newest.map(text::utc),
            data_age_s: state.newest.map(|newest| text::age_s(now, newest)),
        }
    }
}

/// All buildings, by name.
pub(crate) async fn list(app: App) -> Items<BuildingItem> {
    Ok(items(app.with_store(all).await?))
}

/// The same, for who answers in another form.
pub(crate) fn all(services: &Scoped) -> Result<Vec<BuildingItem>, Problem> {
    let snapshot = Snapshot::read(services, None)?;
    Ok(snapshot.states().iter().map(|s| BuildingItem::new(s, snapshot.now)).collect())
}

/// The buildings, worst first: ten unless told. There is no next page: ask for more of them.
pub(crate) async fn top(app: App, view: View) -> Items<BuildingItem> {
    view.only_page()?;
    let limit = view.limit(DEFAULT_TOP);
    Ok(Listing::page(app.with_store(move |services| worst(services, limit)).await?, None))
}

/// The same, for who answers in another form.
pub(crate) fn worst(services: &Scoped, limit: usize) -> Result<Vec<BuildingItem>, Problem> {
    let snapshot = Snapshot::read(services, None)?;
    let worst = snapshot.worst_first();
    let limit = limit.min(MAX_TOP);
    Ok(worst.iter().take(limit).map(|s| BuildingItem::new(s, snapshot.now)).collect())
}

/// One building.
pub(crate) async fn one(app: App, Path(id): Path<String>) -> Items<BuildingItem> {
    let id: BuildingId = parsed("the building's id", &id)?;
    let snapshot = app.with_store(move |services| Ok(Snapshot::read(services, Some(id))?)).await?;
    let states = snapshot.states();
    let state = states.iter().find(|state| state.building.id == id).ok_or_else(no_building)?;
    Ok(items(vec![BuildingItem::new(state, snapshot.now)]))
}

pub(crate) fn no_building() -> Problem {
    Problem::not_found("no building in force has this id")
}

/// Which part of a building, and up to which day.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct PartQuery {
    pub(crate) date: Option<String>,
    pub(crate) subnet: Option<String>,
    pub(crate) link: Option<String>,
    /// Any value: the page shows the whole building and not its worst part.
    pub(crate) whole: Option<String>,
}

impl PartQuery {
    /// The date that was asked for.
    pub(crate) fn date(&self) -> Result<Option<Date>, Problem> {
        self.date.as_deref().map(|date| parsed("date", date)).transpose()
    }

    /// The part of `building` that was asked for.
    pub(crate) fn part(&self, building: BuildingId) -> Result<Part, Problem> {
        let subnet = self.subnet.as_deref().filter(|text| !text.is_empty());
        let link = self.link.as_deref().filter(|text| !text.is_empty());
        Ok(Part {
            building,
            subnet: subnet.map(|id| parsed::<SubnetId>("subnet", id)).transpose()?,
            link: link.map(|kind| parsed::<LinkKind>("link", kind)).transpose()?,
        })
    }
}

/// One local hour of the week.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CellItem {
    weekday: &'static str,
    hour_local: u8,
    expected_windows: u32,
    valid_windows: u32,
    bad_windows: u32,
    bad_ratio: Option<f64>,
    /// Loss of windows.
    loss_ratio: Option<Percentiles<f64>>,
    /// Median round-trip times of windows.
    rtt_us: Option<Percentiles<u32>>,
    /// Jitter of windows, the worse direction.
    jitter_us: Option<Percentiles<u32>>,
    level: &'static str,
    business: bool,
    /// Simulated agents are among those it is made from.
    simulated: bool,
}

/// Percentiles over windows, at most 1/14 or 50 µs (50 parts per million) off.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Percentiles<T> {
    p50: T,
    p90: T,
    p99: T,
}

impl<T> Percentiles<T> {
    fn of(figures: &FigureTotals, figure: Figure, unit: impl Fn(u32) -> T) -> Option<Self> {
        let marginal = figures.marginal(figure);
        let quantile = |q| marginal.quantile(q).map(&unit);
        Some(Self { p50: quantile(0.5)?, p90: quantile(0.9)?, p99: quantile(0.99)? })
    }
}

const WEEKDAYS: [(&str, jiff::civil::Weekday); 7] = [
    ("Mon", jiff::civil::Weekday::Monday),
    ("Tue", jiff::civil::Weekday::Tuesday),
    ("Wed", jiff::civil::Weekday::Wednesday),
    ("Thu", jiff::civil::Weekday::Thursday),
    ("Fri", jiff::civil::Weekday::Friday),
    ("Sat", jiff::civil::Weekday::Saturday),
    ("Sun", jiff::civil::Weekday::Sunday),
];

/// The hour × weekday map, in local time, of the four weeks that end with `date` (or today).
pub(crate) async fn map(
    app: App,
    Path(id): Path<String>,
    parameters: Result<Query<PartQuery>, QueryRejection>,
) -> Items<CellItem> {
    let id: BuildingId = parsed("the building's id", &id)?;
    let parameters = query(parameters)?;
    let (part, date) = (parameters.part(id)?, parameters.date()?);
    let (building, map, simulated) = app
        .with_store(move |services| {
            let buildings = services.control.buildings()?;
            let building = buildings.into_iter().find(|building| building.id == id);
            let building = building.ok_or_else(no_building)?;
            let zone = zone_of(&building);
            let last = date.unwrap_or_else(|| date_in((services.clock)(), &zone));
            let members = Members::find(services, part)?;
            let map = week_map(services, &members, &zone, last)?;
            let agents = services.control.agents()?;
            let simulated = agents.iter().any(|agent| agent.simulated && members.has(agent.id));
            Ok((building, map, simulated))
        })
        .await?;
    let item =
        |hour: usize| cell_item(&building, hour, (&map.cells[hour], &map.figures[hour]), simulated);
    Ok(items((0..CELLS).map(item).collect()))
}

fn cell_item(
    building: &Building,
    hour: usize,
    (cell, figures): (&busyhour_chart::MapCell, &FigureTotals),
    simulated: bool,
) -> CellItem {
    let (name, weekday) = WEEKDAYS[hour / 24 % 7];
    let minute = (hour % 24 * 60) as u16;
    let hours = building.business_hours.as_ref();
    CellItem {
        weekday: name,
        hour_local: (hour % 24) as u8,
        expected_windows: cell.expected,
        valid_windows: cell.valid,
        bad_windows: cell.bad,
        bad_ratio: cell.bad_share(),
        loss_ratio: Percentiles::of(figures, Figure::Loss, |ppm| f64::from(ppm) / 1e6),
        rtt_us: Percentiles::of(figures, Figure::Delay, |us| us),
        jitter_us: Percentiles::of(figures, Figure::Jitter, |us| us),
        level: cell.level().as_str(),
        business: hours.is_some_and(|hours| hours.contains(weekday, minute)),
        simulated,
    }
}
