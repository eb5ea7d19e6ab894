//! Findings as they are written: a JSON line or a row each.

use std::io::{self, Write};

use busyhour_detect::{Evidence, Finding, Fleet, SeriesNo};
use jiff::civil::Date;
use serde::Serialize;
use serde_json::{Value, json};

use crate::client::Item;
use crate::output::Column;

/// The version of the shape of a line.
const SCHEMA_VERSION: u32 = 1;

/// The columns of a table.
pub(super) const COLUMNS: &[Column] = &[
    ("date", "date"),
    ("event", "event"),
    ("kind", "kind"),
    ("place", "place"),
    ("hours_local", "hours"),
    ("bad_days", "bad days"),
    ("severity_ratio", "severity"),
    ("confidence_ratio", "confidence"),
    ("cause", "cause"),
    ("sentence", "sentence"),
];

/// One transition of a finding.
#[derive(Debug, Serialize)]
pub(super) struct Line<'f> {
    schema_version: u32,
    /// The local date on which it was told.
    date: String,
    id: u64,
    event: &'static str,
    kind: &'static str,
    /// True for what the Quality Champion is told.
    alerts: bool,
    state: &'static str,
    stale: bool,
    scope: Scope<'f>,
    segment: &'static str,
    /// Names of the buildings that suffer.
    buildings: Vec<&'f str>,
    /// Names of the series that suffer.
    members: Vec<&'f str>,
    /// The building whose local time hours and dates are in.
    home: &'f str,
    /// Local hours, from and until.
    hours: Vec<[String; 2]>,
    /// Bad days, local dates.
    days: Vec<String>,
    first_bad: String,
    last_bad: String,
    opened: Option<String>,
    closed: Option<String>,
    openings: u32,
    merged_into: Option<u64>,
    severity: f64,
    confidence: f64,
    cause: &'static str,
    cause_confidence: f64,
    mechanism: &'static str,
    sentence: &'f str,
    explanation: &'f str,
    evidence: Vec<Value>,
}

#[derive(Debug, Serialize)]
struct Scope<'f> {
    kind: &'static str,
    name: &'f str,
    link: Option<&'static str>,
}

impl<'f> Line<'f> {
    /// What was told on a date.
    pub(super) fn new(date: Date, finding: &'f Finding, fleet: &'f Fleet) -> Self {
        let place = finding.place;
        let link = place.link().map(|link| link.as_str());
        Self {
            schema_version: SCHEMA_VERSION,
            date: date.to_string(),
            id: finding.id,
            event: finding.change.as_str(),
            kind: finding.kind.as_str(),
            alerts: finding.kind.alerts(),
            state: finding.state.as_str(),
            stale: finding.stale,
            scope: Scope { kind: place.kind(), name: place.name(fleet), link },
            segment: finding.segment.as_str(),
            buildings: buildings(&finding.members, fleet),
            members: names(&finding.members, fleet),
            home: fleet.site(finding.home).map_or("", |site| site.name.as_str()),
            hours: hours(finding),
            days: finding.bad_days.iter().map(Date::to_string).collect(),
            first_bad: finding.first_bad.to_string(),
            last_bad: finding.last_bad.to_string(),
            opened: finding.opened.map(|date| date.to_string()),
            closed: finding.closed.map(|date| date.to_string()),
            openings: finding.openings,
            merged_into: finding.merged_into,
            severity: rounded(finding.severity),
            confidence: rounded(finding.confidence),
            cause: finding.cause.as_str(),
            cause_confidence: rounded(finding.cause_confidence),
            mechanism: finding.mechanism.as_str(),
            sentence: &finding.sentence,
            explanation: &finding.paragraph,
            evidence: finding.evidence.iter().map(evidence).collect(),
        }
    }

    /// Writes the line.
    ///
    /// # Errors
    /// When nobody takes it.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.write_all(b"\n")
    }

    /// The line as a flat row: what a table shows, and what a spreadsheet can hold.
    pub(super) fn into_item(self) -> Item {
        let place = match self.scope.link {
            Some(link) => format!("{} {} ({link})", self.scope.kind, self.scope.name),
            None => format!("{} {}", self.scope.kind, self.scope.name),
        };
        let hours: Vec<String> =
            self.hours.iter().map(|[from, until]| format!("{from}–{until}")).collect();
        let row = json!({
            "date": self.date,
            "event": self.event,
            "kind": self.kind,
            "place": place,
            "hours_local": hours.join(", "),
            "bad_days": self.days.len(),
            "severity_ratio": self.severity,
            "confidence_ratio": self.confidence,
            "cause": self.cause,
            "sentence": self.sentence,
            "id": self.id,
            "state": self.state,
            "first_bad": self.first_bad,
            "last_bad": self.last_bad,
            "opened": self.opened,
            "closed": self.closed,
            "buildings": self.buildings.join(", "),
            "series": self.members.len(),
            "segment": self.segment,
            "mechanism": self.mechanism,
        });
        match row {
            Value::Object(item) => item,
            _ => Item::new(),
        }
    }
}

fn evidence(evidence: &Evidence) -> Value {
    json!({
        "cause": evidence.cause.as_str(),
        "weight": rounded(evidence.weight),
        "text": evidence.text,
    })
}

fn names<'f>(members: &[SeriesNo], fleet: &'f Fleet) -> Vec<&'f str> {
    let name = |member: &SeriesNo| Some(fleet.series.get(member.0 as usize)?.name.as_str());
    members.iter().filter_map(name).collect()
}

fn buildings<'f>(members: &[SeriesNo], fleet: &'f Fleet) -> Vec<&'f str> {
    let building = |member: &SeriesNo| Some(fleet.series.get(member.0 as usize)?.building);
    let mut numbers: Vec<_> = members.iter().filter_map(building).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let name = |number: &busyhour_detect::BuildingNo| {
        Some(fleet.buildings.get(number.0 as usize)?.name.as_str())
    };
    numbers.iter().filter_map(name).collect()
}

fn hours(finding: &Finding) -> Vec<[String; 2]> {
    let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    finding.hours.spans().into_iter().map(|(from, until)| [clock(from), clock(until)]).collect()
}

/// A ratio without the noise behind its fourth decimal.
fn rounded(ratio: f64) -> f64 {
    (ratio * 1e4).round() / 1e4
}
