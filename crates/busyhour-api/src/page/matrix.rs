//! Buildings × targets: how calls from each building to each target went in the last days, worst first.
//!
//! A cell is of the worst of the building's paths to the target. What was not observed is unknown.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use askama::Template;
use busyhour_model::{Building, DaySummary, DayVerdict, PathId, Scope, Subnet, local_day_span};
use busyhour_store::{PathRow, StoreError};
use jiff::civil::Date;
use serde::Deserialize;

use super::paging::{Choice, Paging, address};
use crate::scoped::Scoped;
use crate::state::{BuildingState, Snapshot, add_days, date_in, zone_of};
use crate::text;

/// The spans that can be asked for, in days up to today.
const SPANS: [(&str, &str); 3] = [("1", "the last day"), ("7", "7 days"), ("14", "14 days")];
const USUAL_DAYS: i64 = 7;
/// Targets that stand side by side; the table as CSV has all of them.
const MAX_TARGETS: usize = 24;

/// Which buildings are asked for, of how many days, and which part of their list.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    region: String,
    #[serde(default)]
    days: String,
    page: Option<usize>,
}

impl Asked {
    fn span(&self) -> i64 {
        let known = SPANS.iter().any(|(days, _)| *days == self.days);
        self.days.parse().ok().filter(|_| known).unwrap_or(USUAL_DAYS)
    }

    fn address(&self, path: &str, page: &str) -> String {
        let days = self.span().to_string();
        let days = if self.days.is_empty() { "" } else { &days };
        address(path, &[("region", self.region.as_str()), ("days", days), ("page", page)])
    }
}

#[derive(Template)]
#[template(path = "matrix.html")]
pub(super) struct MatrixPage {
    as_of: String,
    regions: Vec<Choice>,
    spans: Vec<Choice>,
    span_words: &'static str,
    known: usize,
    targets: Vec<String>,
    more_targets: usize,
    rows: Vec<Row>,
    paging: Paging,
    csv_href: String,
    simulated: bool,
}

/// A building.
struct Row {
    name: String,
    href: String,
    region: String,
    simulated: bool,
    cells: Vec<Option<Cell>>,
}

/// A building's paths to a target.
#[derive(Clone)]
struct Cell {
    paths: usize,
    /// Paths that were observed on the last day on which they should have been.
    paths_known: usize,
    observed: usize,
    bad: usize,
    /// The worst day of the worst path, and the share of bad windows in its worst hour.
    worst: Option<Worst>,
    simulated: bool,
    /// Leads to the smoke graph of the worst path.
    href: String,
}

#[derive(Clone, Copy)]
struct Worst {
    path: PathId,
    date: Date,
    verdict: DayVerdict,
    share: f64,
}

impl Cell {
    /// What one path says of itself is not said of those that say nothing: unknown is never good.
    const fn verdict(&self) -> DayVerdict {
        match &self.worst {
            Some(worst) if worst.verdict.is_bad() || self.paths_known == self.paths => {
                worst.verdict
            }
            Some(_) | None => DayVerdict::Missing,
        }
    }

    /// How many of its paths were not observed lately, in words.
    fn silent(&self) -> Option<String> {
        let silent = self.paths - self.paths_known;
        (silent > 0 && self.paths > 1)
            .then(|| format!("{silent} of {} paths not observed", self.paths))
    }

    /// The class that gives it its colour.
    const fn class(&self) -> &'static str {
        match self.verdict() {
            DayVerdict::Good => "good",
            DayVerdict::PeakBad => "bad-lately",
            DayVerdict::AllDayBad => "bad",
            DayVerdict::Missing => "unknown",
        }
    }

    const fn shape(&self) -> &'static str {
        match self.verdict() {
            DayVerdict::Good => "●",
            DayVerdict::PeakBad => "▲",
            DayVerdict::AllDayBad => "■",
            DayVerdict::Missing => "?",
        }
    }

    /// `good`, `bad at a busy hour`.
    const fn words(&self) -> &'static str {
        super::building::verdict_words(self.verdict())
    }

    /// `3 of 5`: the bad days of those observed, of the path with the most.
    fn days(&self) -> String {
        format!("{} of {}", self.bad, self.observed)
    }

    fn share(&self) -> String {
        self.worst.map_or_else(String::new, |worst| text::percent(worst.share))
    }
}

/// What cells are made of.
struct Reader<'a> {
    services: &'a Scoped,
    snapshot: &'a Snapshot,
    /// Of each agent's building its judged paths with the name of their target.
    paths: HashMap<PathId, (&'a PathRow, String)>,
    simulated: BTreeSet<PathId>,
    span: i64,
}

impl<'a> Reader<'a> {
    fn new(services: &'a Scoped, snapshot: &'a Snapshot, span: i64) -> Self {
        let simulated: BTreeSet<_> =
            snapshot.agents.iter().filter(|one| one.simulated).map(|one| one.id).collect();
        let mut places = Places::new(snapshot);
        let named = |path: &'a PathRow| (path.id, (path, places.of(path)));
        Self {
            services,
            snapshot,
            paths: snapshot.paths.iter().map(named).collect(),
            simulated: snapshot
                .paths
                .iter()
                .filter(|path| simulated.contains(&path.agent))
                .map(|path| path.id)
                .collect(),
            span,
        }
    }

    /// The cells of a building, by the names of targets.
    fn cells(&self, building: &Building) -> Result<BTreeMap<String, Cell>, StoreError> {
        let zone = zone_of(building);
        let today = date_in(self.snapshot.now, &zone);
        let from = add_days(today, 1 - self.span);
        let days = self.services.control.days(Some(building.id), from, today)?;
        let mut of_path: BTreeMap<PathId, Vec<&DaySummary>> = BTreeMap::new();
        for day in &days {
            if let Scope::Path(path) = day.scope {
                of_path.entry(path).or_default().push(day);
            }
        }
        let mut cells: BTreeMap<String, Cell> = BTreeMap::new();
        for (id, days) in of_path {
            let Some((_, target)) = self.paths.get(&id) else { continue };
            let href = |worst: Option<Worst>| {
                let date = worst.map_or(today, |worst| worst.date);
                let span = local_day_span(date, &zone);
                let path = worst.map_or(id, |worst| worst.path);
                span.map_or_else(
                    || format!("/paths/{path}"),
                    |(from, until)| {
                        format!("/paths/{path}?from={}&until={}", text::utc(from), text::utc(until))
                    },
                )
            };
            let of_one = cell_of(id, (&days, today), self.simulated.contains(&id));
            let cell = match cells.remove(target) {
                Some(before) => merged(before, of_one),
                None => of_one,
            };
            let href = href(cell.worst);
            cells.insert(target.clone(), Cell { href, ..cell });
        }
        Ok(cells)
    }
}

/// What one path says.
fn cell_of(path: PathId, (days, today): (&[&DaySummary], Date), simulated: bool) -> Cell {
    // Today may still be observed; where there is no other day, it speaks.
    let expected = || days.iter().filter(|day| day.expected > 0 || day.verdict.is_observed());
    let last = expected().filter(|day| day.date < today).max_by_key(|day| day.date);
    let last = last.or_else(|| expected().max_by_key(|day| day.date));
    let observed = days.iter().filter(|day| day.verdict.is_observed());
    let worst = observed.clone().map(|day| Worst {
        path,
        date: day.date,
        verdict: day.verdict,
        share: day.worst_hour.as_ref().map_or(0.0, text::bad_share),
    });
    Cell {
        paths: 1,
        paths_known: usize::from(last.is_some_and(|day| day.verdict.is_observed())),
        observed: observed.clone().count(),
        bad: observed.filter(|day| day.verdict.is_bad()).count(),
        worst: worst.max_by(|a, b| badness(a).total_cmp(&badness(b))),
        simulated,
        href: String::new(),
    }
}

/// Orders days: unbroken ones, then bad hours, then bad days, and each by the worst hour.
fn badness(worst: &Worst) -> f64 {
    let verdict = match worst.verdict {
        DayVerdict::Missing => 0.0,
        DayVerdict::Good => 1.0,
        DayVerdict::PeakBad => 2.0,
        DayVerdict::AllDayBad => 3.0,
    };
    verdict * 2.0 + worst.share
}

/// Two paths of a building to the same target: the worse one speaks.
fn merged(a: Cell, b: Cell) -> Cell {
    let key = |cell: &Cell| cell.worst.as_ref().map_or(-1.0, badness);
    let (paths, paths_known) = (a.paths + b.paths, a.paths_known + b.paths_known);
    let simulated = a.simulated || b.simulated;
    let (worse, other) = if key(&b) > key(&a) { (b, a) } else { (a, b) };
    let days = if other.bad > worse.bad { &other } else { &worse };
    let (bad, observed) = (days.bad, days.observed);
    Cell { paths, paths_known, simulated, bad, observed, ..worse }
}

/// What targets are called: one that lies in a subnet of the building file is that building.
struct Places<'a> {
    snapshot: &'a Snapshot,
    known: HashMap<IpAddr, Option<String>>,
}

impl<'a> Places<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, known: HashMap::new() }
    }

    fn of(&mut self, path: &PathRow) -> String {
        let target = path.key.target.to_string();
        let Some(address) = path.context.resolved.map(|resolved| resolved.ip()) else {
            return target;
        };
        let snapshot = self.snapshot;
        let found = self.known.entry(address).or_insert_with(|| {
            let around =
                |subnet: &&Subnet| subnet.egress.is_none() && subnet.prefix.contains(&address);
            let around = snapshot.subnets.iter().filter(around);
            let nearest = around.max_by_key(|subnet| subnet.prefix.prefix_len())?;
            Some(snapshot.building(nearest.building)?.name.clone())
        });
        match found {
            Some(building) => format!("{building} ({target})"),
            None => target,
        }
    }
}

impl MatrixPage {
    pub(super) fn read(services: &Scoped, asked: &Asked) -> Result<Self, StoreError> {
        let snapshot = Snapshot::read(services, None)?;
        let mut states = snapshot.worst_first();
        let (known, regions) = (states.len(), regions(&states, &asked.region));
        states.retain(|state| asked.region.is_empty() || state.building.region == asked.region);
        let paging = Paging::cut(&mut states, asked.page, |page| {
            asked.address("/matrix", &page.to_string())
        });
        let reader = Reader::new(services, &snapshot, asked.span());
        let mut read = Vec::with_capacity(states.len());
        for state in &states {
            read.push((state, reader.cells(&state.building)?));
        }
        let (targets, more_targets) = targets(read.iter().map(|(_, cells)| cells));
        let row = |(state, mut cells): (&BuildingState, BTreeMap<String, Cell>)| Row {
            name: state.building.name.clone(),
            href: format!("/buildings/{}", state.building.id),
            region: state.building.region.clone(),
            simulated: state.simulated,
            cells: targets.iter().map(|target| cells.remove(target)).collect(),
        };
        let rows: Vec<Row> = read.into_iter().map(row).collect();
        let span = asked.span().to_string();
        let spans = SPANS.map(|(days, words)| Choice::new(days, words, &span));
        let words = SPANS.iter().find(|(days, _)| *days == span).map_or("", |(_, words)| words);
        Ok(Self {
            as_of: text::utc(snapshot.now),
            regions,
            spans: spans.into(),
            span_words: words,
            known,
            more_targets,
            simulated: rows.iter().any(|row| row.simulated),
            rows,
            targets,
            paging,
            csv_href: asked.address("/matrix.csv", ""),
        })
    }
}

/// The targets that most buildings measure, in order, and how many more there are.
fn targets<'a>(rows: impl Iterator<Item = &'a BTreeMap<String, Cell>>) -> (Vec<String>, usize) {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    for target in rows.flat_map(BTreeMap::keys) {
        *counts.entry(target).or_default() += 1;
    }
    let mut most: Vec<(&String, usize)> = counts.into_iter().collect();
    most.sort_by_key(|(target, count)| (std::cmp::Reverse(*count), *target));
    let more = most.len().saturating_sub(MAX_TARGETS);
    let mut shown: Vec<String> =
        most.into_iter().take(MAX_TARGETS).map(|(target, _)| target.clone()).collect();
    shown.sort();
    (shown, more)
}

/// The regions there are; none where all buildings are of one.
fn regions(states: &[BuildingState], chosen: &str) -> Vec<Choice> {
    let known: BTreeSet<&str> = states.iter().map(|state| state.building.region.as_str()).collect();
    if known.len() < 2 && chosen.is_empty() {
        return Vec::new();
    }
    let named = known.into_iter().filter(|region| !region.is_empty());
    named.map(|region| Choice::new(region, region, chosen)).collect()
}

/// All buildings of the region and all targets, a line for each pair.
pub(super) fn lines(services: &Scoped, asked: &Asked) -> Result<Vec<Vec<String>>, StoreError> {
    let snapshot = Snapshot::read(services, None)?;
    let mut states = snapshot.worst_first();
    states.retain(|state| asked.region.is_empty() || state.building.region == asked.region);
    let reader = Reader::new(services, &snapshot, asked.span());
    let names = [
        "building_id",
        "building",
        "region",
        "target",
        "paths",
        "observed_paths",
        "verdict",
        "bad_days",
        "observed_days",
        "worst_date",
        "worst_bad_ratio",
        "simulated",
    ];
    let mut lines = vec![names.map(str::to_owned).to_vec()];
    for state in &states {
        let building = &state.building;
        for (target, cell) in reader.cells(building)? {
            let worst = cell.worst;
            lines.push(vec![
                building.id.to_string(),
                building.name.clone(),
                building.region.clone(),
                target,
                cell.paths.to_string(),
                cell.paths_known.to_string(),
                cell.words().to_owned(),
                cell.bad.to_string(),
                cell.observed.to_string(),
                worst.map_or_else(String::new, |worst| worst.date.to_string()),
                worst.map_or_else(String::new, |worst| format!("{:.4}", worst.share)),
                cell.simulated.to_string(),
            ]);
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use busyhour_model::BuildingId;
    use jiff::civil::date;

    use super::*;

    /// A path with these verdicts on the days up to yesterday.
    fn path(id: i64, verdicts: &[DayVerdict]) -> Cell {
        let today = date(2026, 3, 6);
        let days: Vec<DaySummary> = (1..)
            .zip(verdicts.iter().rev())
            .map(|(back, verdict)| DaySummary {
                scope: Scope::Path(PathId(id)),
                building: BuildingId::from_u128(1),
                date: add_days(today, -back),
                verdict: *verdict,
                limits: None,
                expected: 100,
                valid: 0,
                bad: 0,
                worst_hour: None,
                bad_quarters: Vec::new(),
                average: None,
                masked: false,
                masking_factor: None,
            })
            .collect();
        cell_of(PathId(id), (&days.iter().collect::<Vec<_>>(), today), false)
    }

    #[test]
    fn silence_is_never_good_and_never_hides_what_is_bad() {
        use DayVerdict::{Good, Missing, PeakBad};
        for (paths, expected) in [
            (&[&[Good, Good][..]][..], Good),
            (&[&[Missing, Good]], Good),
            (&[&[Good, Missing]], Missing),
            (&[&[Good], &[Missing]], Missing),
            (&[&[Good], &[Good]], Good),
            (&[&[Missing], &[PeakBad]], PeakBad),
            (&[&[PeakBad, Missing], &[Good, Good]], PeakBad),
            (&[&[Missing]], Missing),
        ] {
            let cells = (1..).zip(paths.iter()).map(|(id, verdicts)| path(id, verdicts));
            let cell = cells.reduce(merged).expect("a path");
            assert_eq!(cell.verdict(), expected, "{paths:?}");
            assert_eq!(cell.paths, paths.len());
        }
    }
}
