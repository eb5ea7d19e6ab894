//! The fleet: each agent with its version, its certificate, its clock, what it runs and what is missing of it.

use std::collections::HashMap;
use std::time::Duration;

use askama::Template;
use busyhour_model::{AgentId, BuildingId, UtcMicros};
use busyhour_store::{AgentRow, IdentityRow, ReportRow};
use serde::Deserialize;

use super::paging::{Choice, Paging, address};
use crate::gaps::Gaps;
use crate::place::Inventory;
use crate::problem::Problem;
use crate::scoped::Scoped;
use crate::text;

/// A certificate that ends so soon is worth a look: agents renew theirs at half their life.
const SOON: Duration = Duration::from_secs(3 * 86_400);
/// An agent that nothing was heard of for so long is silent.
const SILENT_S: i64 = 15 * 60;

/// Which agents are asked for, and which part of their list.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    /// In the name, the building or the version, whatever the case.
    #[serde(default)]
    q: String,
    /// [`TROUBLES`]; `` is everybody.
    #[serde(default)]
    trouble: String,
    page: Option<usize>,
}

const TROUBLES: [(&str, &str); 5] = [
    ("", "any"),
    ("silent", "silent or never heard"),
    ("identity", "identity or certificate"),
    ("clock", "clock"),
    ("configuration", "configuration"),
];

impl Asked {
    fn has(&self, line: &Line) -> bool {
        let wanted = self.q.trim().to_lowercase();
        let said = [&line.name, &line.building, &line.version];
        let trouble = match self.trouble.as_str() {
            "silent" => line.silent,
            "identity" => line.identity_trouble,
            "clock" => line.clock_trouble,
            "configuration" => line.configuration_trouble,
            _ => true,
        };
        trouble
            && (wanted.is_empty() || said.iter().any(|text| text.to_lowercase().contains(&wanted)))
    }

    fn address(&self, page: usize) -> String {
        let page = page.to_string();
        address("/fleet", &[("q", self.q.as_str()), ("trouble", &self.trouble), ("page", &page)])
    }
}

/// What only who sees the whole fleet is told: identities, and what agents run.
pub(crate) struct Known {
    pub(crate) identities: Vec<IdentityRow>,
    pub(crate) reports: Vec<ReportRow>,
}

#[derive(Template)]
#[template(path = "fleet.html")]
pub(super) struct FleetPage {
    as_of: String,
    q: String,
    troubles: Vec<Choice>,
    versions: Vec<(String, usize)>,
    total: usize,
    silent: usize,
    whole: bool,
    paging: Paging,
    lines: Vec<Line>,
}

struct Line {
    id: AgentId,
    name: String,
    building: String,
    building_href: Option<String>,
    version: String,
    os: String,
    heard: String,
    silent: bool,
    identity: String,
    identity_trouble: bool,
    clock: String,
    clock_trouble: bool,
    configuration: String,
    configuration_trouble: bool,
    gaps: String,
    simulated: bool,
}

impl FleetPage {
    pub(super) fn read(
        services: &Scoped,
        asked: &Asked,
        known: Option<&Known>,
    ) -> Result<Self, Problem> {
        let now = (services.clock)();
        let mut agents = services.control.agents()?;
        agents.retain(|agent| agent.removed.is_none());
        let inventory = Inventory::read(services)?;
        let names = inventory.names();
        let building = |id: BuildingId| names.building(id).map(|found| found.name.clone());
        let identities: HashMap<AgentId, &IdentityRow> = known
            .into_iter()
            .flat_map(|known| &known.identities)
            .map(|one| (one.agent, one))
            .collect();
        let reports: HashMap<AgentId, &ReportRow> = known
            .into_iter()
            .flat_map(|known| &known.reports)
            .map(|one| (one.agent, one))
            .collect();
        let line = |agent: &AgentRow| {
            let about = (identities.get(&agent.id).copied(), reports.get(&agent.id).copied());
            let place = agent.placement.map(|placement| placement.building);
            Line::new(agent, (place, place.and_then(&building)), about, now)
        };
        let mut lines: Vec<Line> = agents.iter().map(line).collect();
        let (total, silent) = (lines.len(), lines.iter().filter(|line| line.silent).count());
        let versions = versions(&lines);
        lines.retain(|line| asked.has(line));
        lines.sort_by(|a, b| b.trouble().cmp(&a.trouble()).then_with(|| a.name.cmp(&b.name)));
        let paging = Paging::cut(&mut lines, asked.page, |page| asked.address(page));
        // Gaps are read of those alone that are shown.
        for line in &mut lines {
            line.gaps = Gaps::read(&services.telemetry, line.id, now)?.words();
        }
        Ok(Self {
            as_of: text::utc(now),
            q: asked.q.clone(),
            troubles: TROUBLES
                .iter()
                .map(|(value, words)| Choice::new(value, words, &asked.trouble))
                .collect(),
            versions,
            total,
            silent,
            whole: known.is_some(),
            paging,
            lines,
        })
    }
}

/// How many agents said which version, the most frequent first.
fn versions(lines: &[Line]) -> Vec<(String, usize)> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for line in lines {
        *counts.entry(&line.version).or_default() += 1;
    }
    let mut versions: Vec<(String, usize)> =
        counts.into_iter().map(|(version, count)| (version.to_owned(), count)).collect();
    versions.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    versions
}

impl Line {
    fn new(
        agent: &AgentRow,
        (building, name): (Option<BuildingId>, Option<String>),
        (identity, report): (Option<&IdentityRow>, Option<&ReportRow>),
        now: UtcMicros,
    ) -> Self {
        let seen = agent.sighting.as_ref();
        let age = seen.map(|seen| text::age_s(now, seen.at));
        let (identity, identity_trouble) = identity.map_or_else(none, |one| certificate(one, now));
        let (clock, clock_trouble) = report.and_then(|row| row.clock).map_or_else(none, |clock| {
            let far = if clock.close { "" } else { ", too far for what agents time together" };
            let ahead = clock.offset_us as f64 / 1e3;
            (
                format!(
                    "{:.1} ms {}{far}",
                    ahead.abs(),
                    if ahead < 0.0 { "ahead" } else { "behind" }
                ),
                !clock.close,
            )
        });
        let (configuration, configuration_trouble) = report.map_or_else(none, runs);
        Self {
            id: agent.id,
            name: agent.name.clone(),
            building: name.unwrap_or_else(|| "nowhere that is known".to_owned()),
            building_href: building.map(|id| format!("/buildings/{id}")),
            version: seen.map_or_else(|| "–".to_owned(), |seen| seen.version.clone()),
            os: seen.map_or_else(|| "–".to_owned(), |seen| seen.os.clone()),
            heard: age.map_or_else(|| "never".to_owned(), |age| format!("{} ago", text::age(age))),
            silent: age.is_none_or(|age| age > SILENT_S),
            identity,
            identity_trouble,
            clock,
            clock_trouble,
            configuration,
            configuration_trouble,
            gaps: String::new(),
            simulated: agent.simulated,
        }
    }

    const fn trouble(&self) -> u8 {
        self.silent as u8
            + self.identity_trouble as u8 * 4
            + self.clock_trouble as u8 * 2
            + self.configuration_trouble as u8 * 2
    }
}

fn none() -> (String, bool) {
    ("–".to_owned(), false)
}

fn certificate(identity: &IdentityRow, now: UtcMicros) -> (String, bool) {
    let ends = identity.certificate.until;
    let state = identity.state.as_str();
    let mut words = if ends <= now {
        format!("{state}, certificate ended {}", text::utc(ends))
    } else {
        format!("{state}, certificate until {}", text::utc(ends))
    };
    if identity.off_site {
        words.push_str(", off site");
    }
    let trouble = state != "active" || identity.off_site || identity.late || ends <= now.plus(SOON);
    (words, trouble)
}

fn runs(row: &ReportRow) -> (String, bool) {
    use busyhour_store::ConfigurationState as State;
    let report = &row.report;
    let mut words = match report.revision {
        0 => "none".to_owned(),
        revision => format!("revision {revision}"),
    };
    if report.paused {
        words.push_str(", measuring is paused");
    }
    let refused = matches!(report.state, State::Refused | State::RolledBack);
    if refused {
        let what = if report.state == State::Refused { "refused" } else { "went back from" };
        words.push_str(&format!(", {what} {}: {}", report.told_revision, report.reason));
    }
    (words, refused || report.paused)
}
