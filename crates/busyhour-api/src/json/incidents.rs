//! Incidents: the list in short, one of them with everything that it rests on, its picture.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query};
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse as _;
use busyhour_chart::Look;
use busyhour_model::desk::remedy;
use busyhour_model::{Evidence, Incident, IncidentMember, PathId, SeverityClass, Siblings};
use busyhour_store::PathRow;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::listing::View;
use super::people::{Around, Laid, People, SideItem};
use super::{Figures, Items, items, parsed, query};
use crate::app::App;
use crate::finding::{Picture, why_none};
use crate::operation::{Svg, Typed};
use crate::place::{IncidentRef, Inventory, Names};
use crate::problem::Problem;
use crate::scoped::Scoped;
use crate::text;

/// A picture that is opened by itself has its style sheet inside, and nothing else is let in.
pub(crate) const PICTURE_POLICY: &str = "default-src 'self'; script-src 'none'; style-src 'unsafe-inline'; \
                              object-src 'none'; base-uri 'none'; form-action 'none'; \
                              frame-ancestors 'none'";

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct IncidentQuery {
    /// Closed ones as well.
    #[serde(default)]
    pub(crate) closed: bool,
    /// `alerting`, the kinds that people are told of, or `all`.
    #[serde(default)]
    pub(crate) kind: Kinds,
    /// Also those that people made part of another.
    #[serde(default)]
    pub(crate) parts: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kinds {
    #[default]
    Alerting,
    All,
}

/// The life of one finding.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct IncidentItem {
    id: String,
    /// Counts from 1 in this collector's history.
    number: u64,
    kind: &'static str,
    /// People are told of this kind.
    alerts: bool,
    state: &'static str,
    /// What happened last that is worth a word, and on which local date.
    change: &'static str,
    changed_date: String,
    merged_into: Option<u64>,
    /// Nobody observed it for ten working days.
    stale: bool,
    place_kind: &'static str,
    /// What the place is called: of a link its building; null when it is no longer known.
    place: Option<String>,
    link: Option<&'static str>,
    segment: &'static str,
    building_id: String,
    building: Option<String>,
    building_count: usize,
    member_count: usize,
    subnet_id: Option<String>,
    subnet: Option<String>,
    network: Option<String>,
    noted_utc: String,
    /// Null while it is suspected.
    opened_utc: Option<String>,
    closed_utc: Option<String>,
    opened_date: Option<String>,
    closed_date: Option<String>,
    first_bad_date: String,
    last_bad_date: String,
    /// In the building's own time, each `10:00-11:00`.
    hours_local: Vec<String>,
    /// Of the present spell, as the observed days are.
    bad_days: usize,
    observed_days: usize,
    openings: u32,
    severity_ratio: f64,
    severity_class: &'static str,
    /// How sure the place is.
    confidence_ratio: f64,
    cause: &'static str,
    cause_confidence_ratio: f64,
    mechanism: &'static str,
    #[serde(flatten)]
    figures: Figures,
    sentence: String,
    simulated: bool,
    #[serde(flatten)]
    people: People,
}

impl IncidentItem {
    fn new(incident: &Incident, names: &Names<'_>, laid: &Laid) -> Self {
        let subnet = incident.subnet().and_then(|id| names.subnet(id));
        let (worst, average) = (incident.worst_hour.as_ref(), incident.average.as_ref());
        let date = |date: Option<Date>| date.map(|date| date.to_string());
        Self {
            id: incident.id.to_string(),
            number: incident.number,
            kind: incident.kind.as_str(),
            alerts: incident.kind.alerts(),
            state: incident.state.as_str(),
            change: incident.change.as_str(),
            changed_date: incident.changed.to_string(),
            merged_into: incident.merged_into,
            stale: incident.stale,
            place_kind: incident.place.kind(),
            place: names.of(&incident.place),
            link: incident.link().map(|link| link.as_str()),
            segment: incident.segment.as_str(),
            building_id: incident.building.to_string(),
            building: names.building(incident.building).map(|building| building.name.clone()),
            building_count: incident.buildings().len(),
            member_count: incident.members.len(),
            subnet_id: incident.subnet().map(|id| id.to_string()),
            subnet: subnet.map(|subnet| subnet.prefix.to_string()),
            network: subnet.map(|subnet| subnet.columns.network_name.clone()),
            noted_utc: text::utc(incident.noted),
            opened_utc: incident.opened.map(text::utc),
            closed_utc: incident.closed.map(text::utc),
            opened_date: date(incident.opened_on),
            closed_date: date(incident.closed_on),
            first_bad_date: incident.first_bad.to_string(),
            last_bad_date: incident.last_bad.to_string(),
            hours_local: incident.hours_joined().iter().map(hours).collect(),
            bad_days: incident.bad_days.len(),
            observed_days: incident.observed_days.len(),
            openings: incident.openings,
            severity_ratio: incident.severity,
            severity_class: SeverityClass::of(incident.severity).as_str(),
            confidence_ratio: incident.confidence,
            cause: incident.cause.as_str(),
            cause_confidence_ratio: incident.cause_confidence,
            mechanism: incident.mechanism.as_str(),
            figures: Figures::new(worst, average, (incident.masked, incident.masking_factor)),
            sentence: incident.sentence.clone(),
            simulated: incident.simulated,
            people: People::new(laid),
        }
    }
}

/// Hours of the day as a program reads them: `10:00-12:00`.
fn hours(&(from, until): &(u16, u16)) -> String {
    format!("{}-{}", text::clock(from), text::clock(until))
}

/// One incident with everything that it rests on.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct IncidentDetail {
    #[serde(flatten)]
    item: IncidentItem,
    /// The paragraph for an engineer.
    explanation: String,
    bad_dates: Vec<String>,
    observed_dates: Vec<String>,
    /// The names of those that suffer; of one that is no longer in force its identity.
    buildings: Vec<String>,
    members: Vec<MemberItem>,
    siblings: SiblingsItem,
    /// What speaks for (above 0) and against (below 0) causes, heaviest first.
    evidence: Vec<EvidenceItem>,
    /// Who usually mends such a thing, and what to do.
    remedy_who: &'static str,
    remedy: &'static [&'static str],
    /// What the worst hours were like on its bad days and on the days after them; null while it is not better
    /// and before enough days were observed.
    before: Option<SideItem>,
    after: Option<SideItem>,
    /// The numbers of the incidents that people made part of it.
    parts: Vec<u64>,
}

/// A path that suffers, and where it was.
#[derive(Debug, Serialize, JsonSchema)]
struct MemberItem {
    path_id: i64,
    agent_id: Option<String>,
    agent: Option<String>,
    building_id: String,
    building: Option<String>,
    subnet_id: String,
    subnet: Option<String>,
    network: Option<String>,
    link: Option<&'static str>,
    target: Option<String>,
    class: Option<&'static str>,
}

/// Paths that were observed on the bad days, counted.
#[derive(Debug, Serialize, JsonSchema)]
struct SiblingsItem {
    within: u32,
    suffering: u32,
    beside: u32,
    suffering_beside: u32,
    near: u32,
    suffering_near: u32,
}

#[derive(Debug, Serialize, JsonSchema)]
struct EvidenceItem {
    cause: &'static str,
    weight: f64,
    text: String,
}

impl IncidentDetail {
    fn new(incident: &Incident, names: &Names<'_>, paths: &[PathRow], around: &Around) -> Self {
        let remedy = remedy(incident.cause, incident.segment);
        let proof = around.proof.as_ref();
        let dates = |dates: &[Date]| dates.iter().map(ToString::to_string).collect();
        let building = |id| match names.building(id) {
            Some(building) => building.name.clone(),
            None => id.to_string(),
        };
        let Siblings { within, suffering, beside, suffering_beside, near, suffering_near } =
            incident.siblings;
        Self {
            item: IncidentItem::new(incident, names, &around.laid),
            explanation: incident.paragraph.clone(),
            bad_dates: dates(&incident.bad_days),
            observed_dates: dates(&incident.observed_days),
            buildings: incident.buildings().into_iter().map(building).collect(),
            members: incident
                .members
                .iter()
                .map(|member| MemberItem::new(member, names, paths))
                .collect(),
            siblings: SiblingsItem {
                within,
                suffering,
                beside,
                suffering_beside,
                near,
                suffering_near,
            },
            evidence: incident.evidence.iter().map(EvidenceItem::new).collect(),
            remedy_who: remedy.who,
            remedy: remedy.steps,
            before: proof.map(|proof| SideItem::new(&proof.before)),
            after: proof.map(|proof| SideItem::new(&proof.after)),
            parts: around.parts.clone(),
        }
    }
}

impl MemberItem {
    fn new(member: &IncidentMember, names: &Names<'_>, paths: &[PathRow]) -> Self {
        let path = path_of(paths, member.path);
        let agent = path.and_then(|path| names.agent(path.agent));
        let subnet = names.subnet(member.subnet);
        Self {
            path_id: member.path.0,
            agent_id: path.map(|path| path.agent.to_string()),
            agent: agent.map(|agent| agent.name.clone()),
            building_id: member.building.to_string(),
            building: names.building(member.building).map(|building| building.name.clone()),
            subnet_id: member.subnet.to_string(),
            subnet: subnet.map(|subnet| subnet.prefix.to_string()),
            network: subnet.map(|subnet| subnet.columns.network_name.clone()),
            link: path.map(|path| path.key.link.kind().as_str()),
            target: path.map(|path| path.key.target.to_string()),
            class: path.map(|path| path.key.class.as_str()),
        }
    }
}

impl EvidenceItem {
    fn new(evidence: &Evidence) -> Self {
        Self {
            cause: evidence.cause.as_str(),
            weight: evidence.weight,
            text: evidence.text.clone(),
        }
    }
}

/// The path with this number, of paths that are ordered by it.
pub(crate) fn path_of(paths: &[PathRow], id: PathId) -> Option<&PathRow> {
    paths.binary_search_by_key(&id, |path| path.id).ok().and_then(|at| paths.get(at))
}

/// Incidents, newest first: of the kinds that alert unless all are asked for, closed ones and those that
/// people made part of others only when asked for.
pub(crate) async fn list(
    app: App,
    view: View,
    parameters: Result<Query<IncidentQuery>, QueryRejection>,
) -> Items<IncidentItem> {
    let (asked, reach) = (query(parameters)?, view.reach()?);
    Ok(items(app.with_store(move |services| all(services, &asked, reach)).await?))
}

/// The same, for who answers in another form.
pub(crate) fn all(
    services: &Scoped,
    asked: &IncidentQuery,
    reach: usize,
) -> Result<Vec<IncidentItem>, Problem> {
    let mut incidents = services.control.incidents(asked.closed)?;
    incidents.retain(|incident| asked.kind == Kinds::All || incident.kind.alerts());
    let overlay = services.desk.overlay((services.clock)())?;
    let inventory = Inventory::read(services)?;
    let names = inventory.names();
    let mut listed = Vec::new();
    for incident in &incidents {
        let laid = Laid::read(services, &overlay, incident)?;
        if asked.parts || laid.part_of.is_none() {
            listed.push(IncidentItem::new(incident, &names, &laid));
        }
        if listed.len() == reach {
            break;
        }
    }
    Ok(listed)
}

/// One incident, by its identity or its number.
pub(crate) async fn one(app: App, Path(id): Path<String>) -> Items<IncidentDetail> {
    let wanted = reference(&id)?;
    Ok(items(vec![app.with_store(move |services| detail(services, wanted)).await?]))
}

/// The same, for who answers in another form.
pub(crate) fn detail(services: &Scoped, wanted: IncidentRef) -> Result<IncidentDetail, Problem> {
    let incident = found(services, wanted)?;
    let (inventory, paths) = (Inventory::read(services)?, services.telemetry.paths(None)?);
    let around = Around::read(services, &incident)?;
    Ok(IncidentDetail::new(&incident, &inventory.names(), &paths, &around))
}

/// Its picture, as a file of its own.
pub(crate) async fn picture(app: App, Path(id): Path<String>) -> Result<Typed<Svg>, Problem> {
    let wanted = reference(&id)?;
    let svg = app.with_store(move |services| {
        let incident = found(services, wanted)?;
        let (inventory, paths) = (Inventory::read(services)?, services.telemetry.paths(None)?);
        let picture = Picture::read(services, &paths, &inventory.names(), &incident)?;
        let picture = picture.ok_or_else(|| {
            Problem::not_found(format!("there is no picture: {}", why_none(&incident)))
        })?;
        Ok(picture.svg.standalone(Look::AsTheReader))
    });
    let mut response = svg.await?.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PICTURE_POLICY));
    Ok(Typed::new(response))
}

/// Reads what an address names.
pub(crate) fn reference(text: &str) -> Result<IncidentRef, Problem> {
    parsed("the incident's id or number", text)
}

/// The incident, closed or not.
pub(crate) fn found(services: &Scoped, wanted: IncidentRef) -> Result<Incident, Problem> {
    let incident = wanted.find(&services.control)?;
    incident.ok_or_else(|| Problem::not_found("there is no such incident (any more)"))
}
