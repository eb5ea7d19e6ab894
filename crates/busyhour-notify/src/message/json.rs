//! The alert as JSON; every field is explained in docs/ALERTS.md.

use busyhour_model::{
    Breach, DailyAverage, Evidence, IncidentPlace, LinkKind, SeverityClass, Siblings, UtcMicros,
    WorstHour, how_sure,
};
use jiff::civil::Date;
use serde::Serialize;

use super::event_word;
use super::story::Story;
use super::words::{average_says, prose, rfc3339, span};

/// The version of the JSON's shape; a change that breaks readers raises it.
pub(super) const SCHEMA_VERSION: u32 = 2;
/// The evidence that is sent, heaviest first; the API has all of it.
const MAX_EVIDENCE: usize = 20;

/// The alert in one line.
pub(super) fn alert(story: &Story<'_>, created: UtcMicros, key: &str) -> String {
    let incident = story.incident;
    let date = |date: &Date| date.to_string();
    let json = AlertJson {
        schema_version: SCHEMA_VERSION,
        idempotency_key: key,
        event: event_word(story.event),
        created_utc: rfc3339(created),
        incident_id: incident.id.to_string(),
        number: incident.number,
        kind: incident.kind.as_str(),
        state: incident.state.as_str(),
        change: incident.change.as_str(),
        changed: incident.changed.to_string(),
        stale: incident.stale,
        simulated: incident.simulated,
        openings: incident.openings,
        place: PlaceJson::of(story),
        segment: incident.segment.as_str(),
        building_id: incident.building.to_string(),
        building: &story.building,
        buildings: &story.buildings,
        buildings_total: story.buildings_total,
        paths_total: incident.members.len(),
        local_hours: incident.hours.iter().map(span).collect(),
        minutes: &incident.hours,
        first_bad: incident.first_bad.to_string(),
        last_bad: incident.last_bad.to_string(),
        bad_days: incident.bad_days.iter().map(date).collect(),
        observed_days: incident.observed_days.iter().map(date).collect(),
        opened_on: incident.opened_on.as_ref().map(date),
        closed_on: incident.closed_on.as_ref().map(date),
        severity: incident.severity,
        severity_class: SeverityClass::of(incident.severity).as_str(),
        confidence: incident.confidence,
        confidence_says: how_sure(incident.confidence),
        siblings: SiblingsJson::from(&incident.siblings),
        cause: incident.cause.as_str(),
        cause_confidence: incident.cause_confidence,
        cause_confidence_says: how_sure(incident.cause_confidence),
        mechanism: incident.mechanism.as_str(),
        owner: story.owner.as_ref().map(|(name, _)| name.as_str()),
        owner_contact: story.owner.as_ref().and_then(|(_, contact)| contact.as_deref()),
        remedy_who: story.remedy().who,
        remedy: story.remedy().steps,
        evidence: incident.evidence.iter().take(MAX_EVIDENCE).map(EvidenceJson::from).collect(),
        masked: incident.masked,
        masking_factor: incident.masking_factor,
        sentence: &story.sentence,
        explanation: prose(&incident.paragraph),
        effect_on_calls: incident
            .worst_hour
            .and_then(|hour| hour.dominant)
            .map(Breach::effect_on_calls),
        worst_on: incident.worst_on.as_ref().map(date),
        worst_hour: incident.worst_hour.as_ref().map(WorstHourJson::from),
        daily_average: incident.average.as_ref().map(AverageJson::from),
        daily_average_says: average_says(incident),
        url: &story.url,
    };
    serde_json::to_string(&json).expect("a struct of texts and numbers is JSON")
}

#[derive(Serialize)]
struct AlertJson<'a> {
    schema_version: u32,
    idempotency_key: &'a str,
    event: &'static str,
    created_utc: String,
    incident_id: String,
    number: u64,
    kind: &'static str,
    state: &'static str,
    change: &'static str,
    changed: String,
    stale: bool,
    simulated: bool,
    openings: u32,
    place: PlaceJson<'a>,
    segment: &'static str,
    building_id: String,
    building: &'a str,
    buildings: &'a [String],
    buildings_total: usize,
    paths_total: usize,
    local_hours: Vec<String>,
    minutes: &'a [(u16, u16)],
    first_bad: String,
    last_bad: String,
    bad_days: Vec<String>,
    observed_days: Vec<String>,
    opened_on: Option<String>,
    closed_on: Option<String>,
    severity: f64,
    severity_class: &'static str,
    confidence: f64,
    confidence_says: &'static str,
    siblings: SiblingsJson,
    cause: &'static str,
    cause_confidence: f64,
    cause_confidence_says: &'static str,
    mechanism: &'static str,
    owner: Option<&'a str>,
    owner_contact: Option<&'a str>,
    remedy_who: &'static str,
    remedy: &'static [&'static str],
    evidence: Vec<EvidenceJson>,
    masked: bool,
    masking_factor: Option<f64>,
    sentence: &'a str,
    explanation: String,
    effect_on_calls: Option<&'static str>,
    worst_on: Option<String>,
    worst_hour: Option<WorstHourJson>,
    daily_average: Option<AverageJson>,
    daily_average_says: String,
    url: &'a str,
}

#[derive(Serialize)]
struct PlaceJson<'a> {
    kind: &'static str,
    /// The identity of the subnet or agent, where it is one.
    id: Option<String>,
    name: &'a str,
    link: Option<&'static str>,
    says: String,
}

impl<'a> PlaceJson<'a> {
    fn of(story: &'a Story<'_>) -> Self {
        let place = &story.incident.place;
        Self {
            kind: place.kind(),
            id: match place {
                IncidentPlace::Upstream(_) | IncidentPlace::Vpn(_) | IncidentPlace::Target(_) => {
                    None
                }
                IncidentPlace::Building(building)
                | IncidentPlace::Link(building, _)
                | IncidentPlace::Unplaced(building) => Some(building.to_string()),
                IncidentPlace::Subnet(subnet, _) => Some(subnet.to_string()),
                IncidentPlace::Agent(agent) => Some(agent.to_string()),
            },
            name: &story.place_name,
            link: place.link().map(LinkKind::as_str),
            says: story.place(),
        }
    }
}

#[derive(Serialize)]
struct SiblingsJson {
    within: u32,
    suffering: u32,
    beside: u32,
    suffering_beside: u32,
    near: u32,
    suffering_near: u32,
}

impl From<&Siblings> for SiblingsJson {
    fn from(siblings: &Siblings) -> Self {
        Self {
            within: siblings.within,
            suffering: siblings.suffering,
            beside: siblings.beside,
            suffering_beside: siblings.suffering_beside,
            near: siblings.near,
            suffering_near: siblings.suffering_near,
        }
    }
}

#[derive(Serialize)]
struct EvidenceJson {
    cause: &'static str,
    weight: f64,
    text: String,
}

impl From<&Evidence> for EvidenceJson {
    fn from(evidence: &Evidence) -> Self {
        Self {
            cause: evidence.cause.as_str(),
            weight: evidence.weight,
            text: prose(&evidence.text),
        }
    }
}

#[derive(Serialize)]
struct WorstHourJson {
    start_minute: u16,
    valid_windows: u32,
    bad_windows: u32,
    dominant_breach: Option<&'static str>,
    bad_by_loss: u32,
    bad_by_burst: u32,
    bad_by_delay: u32,
    bad_by_jitter: u32,
    bad_by_failed: u32,
    loss_ppm: u32,
    loss_ppm_p90: u32,
    rtt_us_p90: u32,
    jitter_us_p90: u32,
    reordered: u64,
    replies: u64,
    reorder: &'static str,
    estimate_r_p10: Option<f64>,
}

impl From<&WorstHour> for WorstHourJson {
    fn from(hour: &WorstHour) -> Self {
        Self {
            start_minute: hour.start_minute,
            valid_windows: hour.valid,
            bad_windows: hour.bad,
            dominant_breach: hour.dominant.map(Breach::as_str),
            bad_by_loss: hour.bad_by(Breach::Loss),
            bad_by_burst: hour.bad_by(Breach::Burst),
            bad_by_delay: hour.bad_by(Breach::Delay),
            bad_by_jitter: hour.bad_by(Breach::Jitter),
            bad_by_failed: hour.bad_by(Breach::Failed),
            loss_ppm: hour.loss_ppm,
            loss_ppm_p90: hour.loss_ppm_p90,
            rtt_us_p90: hour.rtt_us_p90,
            jitter_us_p90: hour.jitter_us_p90,
            reordered: hour.reordered,
            replies: hour.replies,
            reorder: hour.order.as_str(),
            estimate_r_p10: hour.rating_p10_hundredths.map(|rating| f64::from(rating) / 100.0),
        }
    }
}

#[derive(Serialize)]
struct AverageJson {
    loss_ppm: u32,
    rtt_us: u32,
    jitter_us: u32,
    passes: bool,
}

impl From<&DailyAverage> for AverageJson {
    fn from(average: &DailyAverage) -> Self {
        Self {
            loss_ppm: average.loss_ppm,
            rtt_us: average.rtt_us,
            jitter_us: average.jitter_us,
            passes: average.passes,
        }
    }
}
