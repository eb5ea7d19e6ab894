//! The reports that there are, and the tasks of the calendar that they are for.

use askama::Template;
use busyhour_model::{Building, UtcMicros};
use busyhour_report::{Period, ReportKind};

use crate::text;

/// Periods of each kind that are listed, back from the last that is over in all zones.
const LISTED: usize = 8;

#[derive(Template)]
#[template(path = "reports.html")]
pub(super) struct ReportsPage {
    as_of: String,
    kinds: Vec<Kind>,
    buildings: Vec<Choice>,
    /// `&building=…` of the building that was chosen.
    of_building: String,
    chosen: Option<String>,
}

struct Kind {
    word: &'static str,
    title: &'static str,
    what: &'static str,
    periods: Vec<Listed>,
}

struct Listed {
    date: String,
    words: String,
}

struct Choice {
    id: String,
    name: String,
    chosen: bool,
}

impl ReportsPage {
    /// Of all buildings that who asks sees, or of one of them.
    pub(super) fn new(buildings: &[Building], chosen: Option<&Building>, now: UtcMicros) -> Self {
        let kind = |&kind: &ReportKind| {
            let last = Period::over_everywhere(kind, now);
            let periods = std::iter::successors(Some(last), |period| Some(period.previous()));
            let listed =
                |period: Period| Listed { date: period.to_string(), words: period.words() };
            Kind {
                word: kind.as_str(),
                title: kind.title(),
                what: what(kind),
                periods: periods.take(LISTED).map(listed).collect(),
            }
        };
        let is_chosen = |building: &Building| chosen.is_some_and(|one| one.id == building.id);
        let choice = |building: &Building| Choice {
            id: building.id.to_string(),
            name: building.name.clone(),
            chosen: is_chosen(building),
        };
        Self {
            as_of: text::utc(now),
            kinds: ReportKind::ALL.iter().map(kind).collect(),
            buildings: buildings.iter().map(choice).collect(),
            of_building: chosen.map_or_else(String::new, |one| format!("&building={}", one.id)),
            chosen: chosen.map(|one| one.name.clone()),
        }
    }
}

const fn what(kind: ReportKind) -> &'static str {
    match kind {
        ReportKind::Daily => "What opened, recovers or closed; the worst buildings; who is silent.",
        ReportKind::Weekly => {
            "Four questions for each building: within the target, better or worse than before, where \
             does it go, which subnets exceed."
        }
        ReportKind::Monthly => {
            "Masked buildings, degraded business time, breaches beside the published targets, open \
             problems, providers, what closed and how it has been since, coverage."
        }
    }
}
