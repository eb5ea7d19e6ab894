//! A building's paths on one day, the worst first, each with the way to its smoke graph.

use std::collections::HashMap;

use busyhour_model::{AgentId, DaySummary, PathId, Scope, UtcMicros, local_day_span};
use busyhour_store::{AgentRow, PathRow};
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::building::verdict_words;
use crate::text;

/// A path on a day.
pub(super) struct PathLine {
    pub(super) href: String,
    pub(super) agent: String,
    pub(super) link: &'static str,
    pub(super) target: String,
    pub(super) class: String,
    pub(super) verdict: &'static str,
    /// Share of bad windows in its worst hour.
    pub(super) worst: String,
    pub(super) simulated: bool,
}

/// The lines of `paths`; `days` are the verdicts of that date.
pub(super) fn lines(
    paths: &[PathRow],
    agents: &[AgentRow],
    days: &[DaySummary],
    (date, zone): (Date, &TimeZone),
) -> Vec<PathLine> {
    let agents: HashMap<AgentId, &AgentRow> = agents.iter().map(|one| (one.id, one)).collect();
    let verdicts: HashMap<PathId, &DaySummary> = days
        .iter()
        .filter_map(|day| match day.scope {
            Scope::Path(path) => Some((path, day)),
            Scope::Agent(..) | Scope::Subnet(..) | Scope::Building(_) => None,
        })
        .collect();
    let span = local_day_span(date, zone);
    let bad = |path: &PathRow| {
        let worst = verdicts.get(&path.id).and_then(|day| day.worst_hour.as_ref());
        worst.map(text::bad_share)
    };
    let mut rows: Vec<(&PathRow, Option<f64>)> =
        paths.iter().map(|path| (path, bad(path))).collect();
    rows.sort_by(|(a, of_a), (b, of_b)| {
        let share = |share: &Option<f64>| share.unwrap_or(-1.0);
        share(of_b).total_cmp(&share(of_a)).then(a.id.cmp(&b.id))
    });
    let line = |(path, worst): (&PathRow, Option<f64>)| PathLine {
        href: href(path.id, span),
        agent: agents.get(&path.agent).map_or_else(|| "–".to_owned(), |agent| agent.name.clone()),
        link: path.key.link.kind().words(),
        target: path.key.target.to_string(),
        class: text::plain(path.key.class.as_str()),
        verdict: verdicts.get(&path.id).map_or("unknown", |day| verdict_words(day.verdict)),
        worst: worst.map_or_else(|| "–".to_owned(), text::percent),
        simulated: agents.get(&path.agent).is_some_and(|agent| agent.simulated),
    };
    rows.into_iter().map(line).collect()
}

/// The smoke graph of a path, of a day where that is known.
fn href(path: PathId, span: Option<(UtcMicros, UtcMicros)>) -> String {
    match span {
        Some((from, until)) => {
            format!("/paths/{}?from={}&until={}", path.0, text::utc(from), text::utc(until))
        }
        None => format!("/paths/{}", path.0),
    }
}
