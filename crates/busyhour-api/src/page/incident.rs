//! The page of one incident: its sentence, its picture, and everything that it rests on.

use askama::Template;
use busyhour_chart::{AverageOf, AverageSaid, FindingDay, FindingVerdict, Share, Svg, Unit};
use busyhour_model::{
    BuildingId, DayVerdict, Evidence, Incident, IncidentMember, IncidentState, SeverityClass,
    Siblings,
};
use busyhour_store::PathRow;
use jiff::tz::TimeZone;

use super::building::verdict_words;
use super::files::{Content, Files};
use super::people::{People, path_hrefs};
use crate::finding::{Picture, why_none};
use crate::json::incidents::{found, path_of};
use crate::place::{IncidentRef, Inventory, Names};
use crate::problem::Problem;
use crate::scoped::Scoped;
use crate::text;

/// Paths that are listed; the JSON has all of them.
const MAX_MEMBERS: usize = 200;
/// Buildings that are named.
const MAX_BUILDINGS: usize = 50;
/// Evidence that is told, the heaviest.
const MAX_EVIDENCE: usize = 24;

#[derive(Template)]
#[template(path = "incident.html")]
pub(super) struct IncidentPage {
    as_of: String,
    number: u64,
    home: Option<Link>,
    place: String,
    kind: String,
    state: &'static str,
    alerts: bool,
    simulated: bool,
    masked: bool,
    stale: bool,
    merged_into: Option<u64>,
    sentence: String,
    picture: Option<Drawn>,
    no_picture: &'static str,
    facts: Vec<(&'static str, String)>,
    why: Why,
    siblings: String,
    buildings: Vec<Place>,
    more_buildings: usize,
    members: Vec<MemberRow>,
    more_members: usize,
    member_count: usize,
    json_href: String,
    files: Files,
    worst_date: String,
    people: People,
}

struct Link {
    href: String,
    name: String,
}

/// A building's name; one that is no longer in force leads nowhere.
struct Place {
    href: Option<String>,
    name: String,
}

/// A picture with the same as a table.
struct Drawn {
    svg: Svg,
    /// Its dates, so that a drag across one of them leads to the building's day.
    dates: String,
    left_out: usize,
    rows: Vec<DayRow>,
}

struct DayRow {
    date: String,
    bad: bool,
    verdict: &'static str,
    busy: String,
    hour: String,
    worst: String,
    whole: String,
    average: String,
}

struct MemberRow {
    agent: String,
    building: String,
    network: String,
    network_href: Option<String>,
    link: String,
    target: String,
    class: &'static str,
    /// Its page, at the worst day.
    href: String,
    /// Its raw windows of that day, as a file.
    raw_href: String,
}

/// The paragraph for an engineer, and what speaks for and against causes.
#[derive(Template)]
#[template(path = "why.html")]
pub(super) struct Why {
    paragraph: String,
    evidence: Vec<EvidenceRow>,
}

struct EvidenceRow {
    cause: String,
    speaks: &'static str,
    weight: String,
    text: String,
}

impl Why {
    pub(super) fn new(incident: &Incident) -> Self {
        let row = |evidence: &Evidence| EvidenceRow {
            cause: text::plain(evidence.cause.as_str()),
            speaks: if evidence.weight < 0.0 { "against" } else { "for" },
            weight: format!("{:.1}", evidence.weight.abs()),
            text: evidence.text.clone(),
        };
        Self {
            paragraph: incident.paragraph.clone(),
            evidence: incident.evidence.iter().take(MAX_EVIDENCE).map(row).collect(),
        }
    }
}

impl IncidentPage {
    pub(super) fn read(
        services: &Scoped,
        wanted: IncidentRef,
        form_token: Option<String>,
    ) -> Result<Self, Problem> {
        let incident = found(services, wanted)?;
        let (inventory, paths) = (Inventory::read(services)?, services.telemetry.paths(None)?);
        let names = inventory.names();
        let picture = Picture::read(services, &paths, &names, &incident)?;
        let home = names.building(incident.building);
        let all = incident.buildings();
        let zone = home.and_then(|building| building.time_zone.as_deref());
        let raw_zone = zone.and_then(|zone| TimeZone::get(zone).ok()).unwrap_or(TimeZone::UTC);
        let member = |member: &IncidentMember| {
            let hrefs = path_hrefs(&incident, member, &raw_zone);
            MemberRow::new(member, &names, &paths, hrefs)
        };
        Ok(Self {
            as_of: text::utc((services.clock)()),
            number: incident.number,
            home: home.map(|building| Link {
                href: building_href(building.id),
                name: building.name.clone(),
            }),
            place: names.words(&incident),
            kind: text::plain(incident.kind.as_str()),
            state: incident.state.as_str(),
            alerts: incident.kind.alerts(),
            simulated: incident.simulated,
            masked: incident.masked,
            stale: incident.stale,
            merged_into: incident.merged_into,
            sentence: incident.sentence.clone(),
            picture: picture.map(Drawn::new),
            no_picture: why_none(&incident),
            facts: facts(&incident, zone),
            why: Why::new(&incident),
            siblings: siblings(&incident.siblings),
            buildings: all.iter().take(MAX_BUILDINGS).map(|id| Place::new(*id, &names)).collect(),
            more_buildings: all.len().saturating_sub(MAX_BUILDINGS),
            members: incident.members.iter().take(MAX_MEMBERS).map(member).collect(),
            more_members: incident.members.len().saturating_sub(MAX_MEMBERS),
            member_count: incident.members.len(),
            json_href: format!("/api/v1/incidents/{}", incident.number),
            files: Files::days(incident.number),
            worst_date: incident.worst_on.unwrap_or(incident.last_bad).to_string(),
            people: People::read(services, &incident, form_token)?,
        })
    }
}

pub(super) fn building_href(id: BuildingId) -> String {
    format!("/buildings/{id}")
}

impl Place {
    fn new(id: BuildingId, names: &Names<'_>) -> Self {
        match names.building(id) {
            Some(building) => Self { href: Some(building_href(id)), name: building.name.clone() },
            None => Self { href: None, name: "a building that is no longer in force".to_owned() },
        }
    }
}

/// How long it lasts, or lasted: `open since 2026-03-03`.
impl IncidentPage {
    /// Its picture, or the table of its days.
    pub(super) fn content(self, what: &str, table: bool) -> Option<Content> {
        let picture = self.picture.filter(|_| what == "days")?;
        Some(if table {
            Content::Table(day_table(picture.rows))
        } else {
            Content::Picture(picture.svg)
        })
    }
}

fn day_table(rows: Vec<DayRow>) -> Vec<Vec<String>> {
    let names = [
        "date",
        "verdict",
        "busy_hours",
        "worst_hour",
        "bad_in_it",
        "bad_all_day",
        "daily_average",
    ];
    let row = |day: DayRow| {
        let verdict = day.verdict.to_owned();
        vec![day.date, verdict, day.busy, day.hour, day.worst, day.whole, day.average]
    };
    let names = names.map(str::to_owned).to_vec();
    [names].into_iter().chain(rows.into_iter().map(row)).collect()
}

pub(super) fn life(incident: &Incident) -> String {
    match (incident.state, incident.opened_on, incident.closed_on) {
        (IncidentState::Closed, Some(opened), Some(closed)) => {
            format!("open from {opened} to {closed}")
        }
        (IncidentState::Closed, ..) => "closed".to_owned(),
        (IncidentState::Open, Some(opened), _) => format!("open since {opened}"),
        (IncidentState::Recovering, Some(opened), _) => {
            format!("open since {opened}, better lately")
        }
        _ => format!("{} since {}", incident.state, incident.first_bad),
    }
}

fn facts(incident: &Incident, zone: Option<&str>) -> Vec<(&'static str, String)> {
    let zone = zone.unwrap_or("UTC (zone unknown)");
    let mut facts = vec![
        ("State", life(incident)),
        ("Place", format!("{}, {}", incident.place.kind(), text::sure(incident.confidence))),
        ("Whose part of the way", text::plain(incident.segment.as_str())),
        ("Local hours", format!("{} ({zone})", text::spans(&incident.hours_joined()))),
        (
            "Bad days",
            format!(
                "{} of {} observed working days, from {} to {}",
                incident.bad_days.len(),
                incident.observed_days.len(),
                incident.first_bad,
                incident.last_bad
            ),
        ),
        (
            "Severity",
            format!(
                "{}: {} of windows bad in the worst hour of its bad days (median)",
                SeverityClass::of(incident.severity),
                text::percent(incident.severity.clamp(0.0, 1.0))
            ),
        ),
    ];
    if let Some((worst, average)) = incident.worst_hour.as_ref().zip(incident.average.as_ref()) {
        let contrast = text::contrast(worst, average);
        let on = incident.worst_on.unwrap_or(incident.last_bad);
        let hour = text::hour_from(worst.start_minute);
        facts.push(("Worst hour", format!("{hour} on {on}: {}", contrast.worst)));
        let passes = if average.passes { "passes" } else { "fails" };
        let factor = incident.masking_factor.filter(|factor| factor.is_finite());
        let factor = factor.map(|factor| format!("; the worst hour is {factor:.1} times as much"));
        let average = format!("{}, which {passes}{}", contrast.average, factor.unwrap_or_default());
        facts.push(("Daily average of that day", average));
    }
    let cause = text::plain(incident.cause.as_str());
    let sure = text::sure(incident.cause_confidence);
    let known = incident.cause != busyhour_model::Cause::NotKnown;
    facts.push(("Likely cause", if known { format!("{cause}, {sure}") } else { cause }));
    facts.push(("How packets suffer", text::plain(incident.mechanism.as_str())));
    facts
}

/// Who suffers and who does not.
fn siblings(siblings: &Siblings) -> String {
    let mut words =
        format!("{} of {} paths in the place suffer", siblings.suffering, siblings.within);
    for (suffering, all, place) in [
        (siblings.suffering_beside, siblings.beside, "beside it"),
        (siblings.suffering_near, siblings.near, "to the building's own edge"),
    ] {
        if all > 0 {
            words += &format!("; {suffering} of {all} {place}");
        }
    }
    words + "."
}

impl MemberRow {
    fn new(
        member: &IncidentMember,
        names: &Names<'_>,
        paths: &[PathRow],
        (href, raw_href): (String, String),
    ) -> Self {
        let path = path_of(paths, member.path);
        let none = || "–".to_owned();
        let agent = path.and_then(|path| names.agent(path.agent));
        let building = names.building(member.building);
        let subnet = names.subnet(member.subnet);
        Self {
            agent: agent.map_or_else(none, |agent| agent.name.clone()),
            building: building.map_or_else(none, |building| building.name.clone()),
            network_href: subnet.map(|subnet| format!("/subnets/{}", subnet.id)),
            network: subnet.map_or_else(none, |subnet| {
                format!("{} {}", subnet.columns.network_name, subnet.prefix)
            }),
            link: path.map_or_else(none, |path| path.key.link.kind().to_string()),
            target: path.map_or_else(none, |path| path.key.target.to_string()),
            class: path.map_or("–", |path| path.key.class.as_str()),
            href,
            raw_href,
        }
    }
}

/// The dates of a picture's rows, as the script that looks closer reads them.
pub(super) fn dates_drawn(picture: &Picture) -> String {
    let dates: Vec<String> = picture.days.iter().map(|day| day.date.to_string()).collect();
    dates.join(" ")
}

impl Drawn {
    fn new(picture: Picture) -> Self {
        let rows = picture.days.iter().map(DayRow::new).collect();
        let dates = dates_drawn(&picture);
        Self { svg: picture.svg, dates, left_out: picture.left_out, rows }
    }
}

impl DayRow {
    fn new(day: &FindingDay) -> Self {
        let verdict = match day.verdict {
            FindingVerdict::Judged(DayVerdict::Missing) => "not observed",
            FindingVerdict::Judged(verdict) => verdict_words(verdict),
            FindingVerdict::Holiday => "holiday",
            FindingVerdict::Closed => "closed",
        };
        let none = || "–".to_owned();
        let counted = |share: Share| match share.ratio() {
            Some(ratio) => format!("{:.1} % of {}", ratio * 100.0, share.valid),
            None => none(),
        };
        let hour = day.worst.as_ref();
        Self {
            date: day.date.to_string(),
            bad: matches!(day.verdict, FindingVerdict::Judged(verdict) if verdict.is_bad()),
            verdict,
            busy: text::spans(&day.busy),
            hour: hour.map_or_else(none, |hour| text::hour_from(hour.minute)),
            worst: hour.map_or_else(none, |hour| counted(hour.seen)),
            whole: day.whole.map_or_else(none, counted),
            average: day.average.as_ref().map_or_else(none, average_words),
        }
    }
}

/// `0.31 % loss, passes`.
fn average_words(average: &AverageSaid) -> String {
    let (unit, what) = match average.of {
        AverageOf::Loss => (Unit::Percent, "loss"),
        AverageOf::RoundTrip => (Unit::Milliseconds, "round trip"),
        AverageOf::Jitter => (Unit::Milliseconds, "jitter"),
    };
    let passes = if average.value > average.limit { "fails" } else { "passes" };
    format!("{} {what}, {passes}", unit.words(average.value))
}
