//! The incidents: those that are not over first, the newest first.

use askama::Template;
use busyhour_model::{Cause, FindingKind, Incident, IncidentState};
use busyhour_store::StoreError;
use serde::Deserialize;

use super::incident::life;
use super::paging::{Choice, Paging, address};
use crate::place::Inventory;
use crate::scoped::Scoped;
use crate::scoped::desk::parts;
use crate::text;

/// Which incidents are asked for, and which part of their list.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    /// In the place's name or the sentence, whatever the case.
    #[serde(default)]
    q: String,
    /// A state's word; `` is all that are not over, `any` with those that are.
    #[serde(default)]
    state: String,
    /// `` is what people are told of, `any` all kinds, else a kind's word.
    #[serde(default)]
    kind: String,
    #[serde(default)]
    cause: String,
    page: Option<usize>,
}

const ANY: &str = "any";

impl Asked {
    fn has(&self, incident: &Incident, place: &str) -> bool {
        let wanted = self.q.trim().to_lowercase();
        let said = |text: &str| text.to_lowercase().contains(&wanted);
        let state = match self.state.as_str() {
            "" => incident.state != IncidentState::Closed,
            ANY => true,
            state => incident.state.as_str() == state,
        };
        let kind = match self.kind.as_str() {
            "" => incident.kind.alerts(),
            ANY => true,
            kind => incident.kind.as_str() == kind,
        };
        state
            && kind
            && (self.cause.is_empty() || incident.cause.as_str() == self.cause)
            && (wanted.is_empty() || said(place) || said(&incident.sentence))
    }

    fn with_closed(&self) -> bool {
        self.state == ANY || self.state == IncidentState::Closed.as_str()
    }

    fn address(&self, page: usize) -> String {
        let page = page.to_string();
        let parameters = [
            ("q", self.q.as_str()),
            ("state", &self.state),
            ("kind", &self.kind),
            ("cause", &self.cause),
            ("page", &page),
        ];
        address("/incidents", &parameters)
    }
}

#[derive(Template)]
#[template(path = "incidents.html")]
pub(super) struct IncidentsPage {
    as_of: String,
    q: String,
    states: Vec<Choice>,
    kinds: Vec<Choice>,
    causes: Vec<Choice>,
    simulated: bool,
    paging: Paging,
    rows: Vec<Row>,
}

/// An incident.
struct Row {
    href: String,
    number: u64,
    place: String,
    state: &'static str,
    kind: String,
    life: String,
    hours: String,
    severity: String,
    cause: String,
    segment: String,
    sentence: String,
    masked: bool,
    simulated: bool,
}

impl IncidentsPage {
    pub(super) fn read(services: &Scoped, asked: &Asked) -> Result<Self, StoreError> {
        let mut incidents = services.control.incidents(asked.with_closed())?;
        let parts = parts(&services.desk.overlay((services.clock)())?, &incidents);
        incidents.retain(|incident| !parts.contains(&incident.id));
        let inventory = Inventory::read(services)?;
        let names = inventory.names();
        let named = incidents.iter().map(|incident| (incident, names.words(incident)));
        let mut found: Vec<(&Incident, String)> =
            named.filter(|(incident, place)| asked.has(incident, place)).collect();
        let paging = Paging::cut(&mut found, asked.page, |page| asked.address(page));
        let rows: Vec<Row> = found.into_iter().map(|(one, place)| Row::new(one, place)).collect();
        Ok(Self {
            as_of: text::utc((services.clock)()),
            q: asked.q.clone(),
            states: states(&asked.state),
            kinds: kinds(&asked.kind),
            causes: Cause::ALL
                .iter()
                .map(|cause| {
                    Choice::new(cause.as_str(), &text::plain(cause.as_str()), &asked.cause)
                })
                .collect(),
            simulated: rows.iter().any(|row| row.simulated),
            paging,
            rows,
        })
    }
}

fn states(chosen: &str) -> Vec<Choice> {
    let own = IncidentState::ALL.iter().map(|state| (state.as_str(), state.as_str()));
    let all = [("", "not over"), (ANY, "any, closed ones too")].into_iter().chain(own);
    all.map(|(value, words)| Choice::new(value, words, chosen)).collect()
}

fn kinds(chosen: &str) -> Vec<Choice> {
    let mut kinds =
        vec![Choice::new("", "what people are told of", chosen), Choice::new(ANY, "any", chosen)];
    let own = FindingKind::ALL.iter();
    kinds.extend(own.map(|kind| Choice::new(kind.as_str(), &text::plain(kind.as_str()), chosen)));
    kinds
}

impl Row {
    fn new(incident: &Incident, place: String) -> Self {
        Self {
            href: format!("/incidents/{}", incident.number),
            number: incident.number,
            place,
            state: incident.state.as_str(),
            kind: text::plain(incident.kind.as_str()),
            life: life(incident),
            hours: text::spans(&incident.hours_joined()),
            severity: text::percent(incident.severity),
            cause: text::plain(incident.cause.as_str()),
            segment: text::plain(incident.segment.as_str()),
            sentence: incident.sentence.clone(),
            masked: incident.masked,
            simulated: incident.simulated,
        }
    }
}
