//! The overview: which building must be looked at, and why.

use std::collections::{BTreeSet, HashMap};

use askama::Template;
use busyhour_chart::{Svg, day_strip};
use busyhour_model::{BuildingId, Incident};
use busyhour_store::MissingPrefix;
use serde::Deserialize;

use super::paging::{Choice, Paging, address};
use super::shape;
use crate::place::{Names, is_told};
use crate::rank::Standing;
use crate::state::{BuildingState, Evidence, Snapshot, worse_incident};
use crate::text;

/// Open incidents that are told in their own words before the buildings; there is a page of all.
const MAX_INCIDENTS: usize = 10;
/// Older data than this is shown as old: two windows at one a minute would have come long ago.
const OLD_S: i64 = 15 * 60;

/// Which buildings are asked for, and which part of their list.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    /// In the name, the city, the country or the region, whatever the case.
    #[serde(default)]
    q: String,
    #[serde(default)]
    region: String,
    /// [`Standing::as_str`].
    #[serde(default)]
    standing: String,
    page: Option<usize>,
}

impl Asked {
    fn has(&self, state: &BuildingState) -> bool {
        let building = &state.building;
        let wanted = self.q.trim().to_lowercase();
        let said = [&building.name, &building.city, &building.country, &building.region];
        (wanted.is_empty() || said.iter().any(|text| text.to_lowercase().contains(&wanted)))
            && (self.region.is_empty() || self.region == building.region)
            && (self.standing.is_empty() || self.standing == state.standing.as_str())
    }

    fn is_all(&self) -> bool {
        self.q.trim().is_empty() && self.region.is_empty() && self.standing.is_empty()
    }

    fn address(&self, page: usize) -> String {
        let page = page.to_string();
        let parameters = [
            ("q", self.q.as_str()),
            ("region", &self.region),
            ("standing", &self.standing),
            ("page", &page),
        ];
        address("/", &parameters)
    }
}

/// How many buildings stand how.
struct Tile {
    class: &'static str,
    shape: &'static str,
    words: &'static str,
    count: usize,
    href: String,
}

#[derive(Template)]
#[template(path = "overview.html")]
pub(super) struct OverviewPage {
    as_of: String,
    incidents: Vec<IncidentLine>,
    more_incidents: usize,
    tiles: Vec<Tile>,
    q: String,
    regions: Vec<Choice>,
    standings: Vec<Choice>,
    is_all: bool,
    known: usize,
    paging: Paging,
    rows: Vec<Row>,
    missing: Vec<MissingLine>,
    simulated: bool,
}

/// An incident that is not over, in its own words.
struct IncidentLine {
    href: String,
    place: String,
    sentence: String,
    state: &'static str,
    masked: bool,
    simulated: bool,
}

/// A building.
struct Row {
    href: String,
    name: String,
    place: String,
    class: &'static str,
    shape: &'static str,
    verdict: &'static str,
    because: Option<&'static str>,
    figures: Option<Figures>,
    bad_days: String,
    hours: String,
    coverage: String,
    age: String,
    old: bool,
    agents: usize,
    simulated: bool,
    strip: Svg,
}

/// The daily average beside the worst hour.
pub(super) struct Figures {
    pub(super) average: String,
    pub(super) average_passes: bool,
    pub(super) worst: String,
    pub(super) hour: String,
    pub(super) bad_share: String,
    pub(super) factor: Option<String>,
    pub(super) date: String,
}

/// A prefix that no building file knows.
struct MissingLine {
    prefix: String,
    agents: usize,
}

impl OverviewPage {
    pub(super) fn new(snapshot: &Snapshot, missing: &[MissingPrefix], asked: &Asked) -> Self {
        let mut states = snapshot.worst_first();
        let names = snapshot.names();
        let told = told(snapshot, &states);
        let incidents = told.iter().take(MAX_INCIDENTS);
        let incidents = incidents.map(|incident| IncidentLine::new(incident, &names)).collect();
        let missing = missing
            .iter()
            .map(|m| MissingLine { prefix: m.prefix.to_string(), agents: m.agents.len() })
            .collect();
        let (known, simulated) = (states.len(), states.iter().any(|state| state.simulated));
        let (tiles, regions) = (tiles(&states), regions(&states, asked));
        states.retain(|state| asked.has(state));
        let paging = Paging::cut(&mut states, asked.page, |page| asked.address(page));
        Self {
            as_of: text::utc(snapshot.now),
            incidents,
            more_incidents: told.len().saturating_sub(MAX_INCIDENTS),
            tiles,
            q: asked.q.clone(),
            regions,
            standings: STANDINGS
                .iter()
                .map(|standing| Choice::new(standing.as_str(), standing.words(), &asked.standing))
                .collect(),
            is_all: asked.is_all(),
            known,
            paging,
            simulated,
            rows: states.iter().map(|state| Row::new(state, snapshot)).collect(),
            missing,
        }
    }
}

const STANDINGS: [Standing; 5] =
    [Standing::Hidden, Standing::Open, Standing::Lately, Standing::Unknown, Standing::Good];

/// How many of all buildings stand how; each leads to those.
fn tiles(states: &[BuildingState]) -> Vec<Tile> {
    let tile = |standing: Standing| Tile {
        class: standing.as_str(),
        shape: shape(standing),
        words: standing.words(),
        count: states.iter().filter(|state| state.standing == standing).count(),
        href: address("/", &[("standing", standing.as_str())]),
    };
    STANDINGS.map(tile).into()
}

/// The regions there are, in order; none where all buildings are of one.
fn regions(states: &[BuildingState], asked: &Asked) -> Vec<Choice> {
    let known: BTreeSet<&str> = states.iter().map(|state| state.building.region.as_str()).collect();
    let named = known.iter().filter(|region| !region.is_empty());
    let regions: Vec<Choice> =
        named.map(|region| Choice::new(region, region, &asked.region)).collect();
    if known.len() > 1 || !asked.region.is_empty() { regions } else { Vec::new() }
}

/// The incidents that people are told of and that are not over: in the order of the buildings that
/// suffer most by them, each once.
fn told<'a>(snapshot: &'a Snapshot, states: &[BuildingState]) -> Vec<&'a Incident> {
    let places: HashMap<BuildingId, usize> =
        states.iter().enumerate().map(|(at, state)| (state.building.id, at)).collect();
    let first = |incident: &Incident| {
        let suffering = incident.members.iter().map(|member| member.building);
        suffering.chain([incident.building]).filter_map(|id| places.get(&id)).min().copied()
    };
    let mut told: Vec<(usize, &Incident)> = snapshot
        .incidents
        .iter()
        .filter(|incident| is_told(incident) && !snapshot.parts.contains(&incident.id))
        .filter_map(|incident| Some((first(incident)?, incident)))
        .collect();
    told.sort_by(|(a, of_a), (b, of_b)| a.cmp(b).then_with(|| worse_incident(of_a, of_b)));
    told.into_iter().map(|(_, incident)| incident).collect()
}

impl IncidentLine {
    fn new(incident: &Incident, names: &Names<'_>) -> Self {
        Self {
            href: format!("/incidents/{}", incident.number),
            place: names.words(incident),
            sentence: incident.sentence.clone(),
            state: incident.state.as_str(),
            masked: incident.masked,
            simulated: incident.simulated,
        }
    }
}

impl Row {
    fn new(state: &BuildingState, snapshot: &Snapshot) -> Self {
        let building = &state.building;
        let place = [building.city.as_str(), building.country.as_str()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(", ");
        let age = state.newest.map(|newest| text::age_s(snapshot.now, newest));
        let worst = state.evidence.as_ref().and_then(|evidence| evidence.worst.as_ref());
        let hours = match (state.incident_hours(), worst) {
            (Some(hours), _) => text::spans(&hours),
            (None, Some(worst)) => text::hour_from(worst.start_minute),
            (None, None) => "–".to_owned(),
        };
        Self {
            href: format!("/buildings/{}", building.id),
            name: building.name.clone(),
            place,
            class: state.standing.as_str(),
            shape: shape(state.standing),
            verdict: state.standing.words(),
            because: state.unknown_because,
            figures: state.evidence.as_ref().and_then(Figures::new),
            bad_days: match state.observed_days {
                0 => "–".to_owned(),
                observed => format!("{} of {observed}", state.bad_days),
            },
            hours,
            coverage: state.coverage.map_or_else(|| "–".to_owned(), text::percent),
            age: age.map_or_else(|| "no data".to_owned(), text::age),
            old: age.is_some_and(|age| age > OLD_S),
            agents: state.agents,
            simulated: state.simulated,
            strip: day_strip(&format!("The last two weeks of {}", building.name), &state.strip),
        }
    }
}

impl Figures {
    pub(super) fn new(evidence: &Evidence) -> Option<Self> {
        let (worst, average) = (evidence.worst.as_ref()?, evidence.average.as_ref()?);
        let contrast = text::contrast(worst, average);
        let factor = evidence.factor.filter(|factor| factor.is_finite());
        Some(Self {
            average: contrast.average,
            average_passes: average.passes,
            worst: contrast.worst,
            hour: text::hour_from(worst.start_minute),
            bad_share: text::percent(text::bad_share(worst)),
            factor: factor.map(|factor| format!("{factor:.1}")),
            date: evidence.date.to_string(),
        })
    }
}
