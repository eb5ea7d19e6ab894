//! The building page: its week, one of its days, its parts compared.

use std::collections::HashMap;

use askama::Template;
use busyhour_chart::{CELLS, DayCurve, HourMap, Level, MapCell, Svg};
use busyhour_model::{
    AgentId, Building, BusinessHours, DailyAverage, DaySummary, DayVerdict, LimitTable, LinkKind,
    Scope, Slot, Subnet, SubnetId, UtcMicros,
};
use busyhour_store::{AgentRow, StoreError};
use jiff::civil::Date;

use super::files::{Content, Files};
use super::findings::{Findings, part_query};
use super::overview::Figures;
use super::path_rows::{self, PathLine};
use super::shape;
use super::strip::Strip;
use crate::gaps::Gaps;
use crate::json::buildings::no_building;
use crate::problem::Problem;
use crate::scoped::Scoped;
use crate::state::{self, BuildingState, Evidence, Snapshot, add_days, date_in, zone_of};
use crate::text;
use crate::week::{Day, Measure, Members, Part, quarters, read_day, week_map};
use crate::weeks::Weeks;

#[derive(Template)]
#[template(path = "building.html")]
pub(super) struct BuildingPage {
    id: String,
    as_of: String,
    name: String,
    place: String,
    zone: String,
    hours: String,
    /// The busy hours that were learned from load.
    learned: Option<String>,
    class: &'static str,
    shape: &'static str,
    verdict: &'static str,
    because: Option<&'static str>,
    simulated: bool,
    findings: Findings,
    /// What part is looked at, when not all of it.
    part: Option<String>,
    /// Nobody asked for that part: it is the worst, and the building's verdict is its.
    part_is_worst: bool,
    /// Leads to the whole building.
    whole_href: String,
    /// What the week's map and its JSON end with.
    map_until: Date,
    map_href: String,
    left_out: usize,
    strip: Strip,
    map: Svg,
    map_rows: Vec<MapRow>,
    map_files: Files,
    date: Date,
    weekday: &'static str,
    previous: String,
    next: Option<String>,
    /// What the judge said of the day.
    day_verdict: &'static str,
    day_figures: Option<Figures>,
    /// The network that the verdict is of, where more than it is drawn.
    day_network: Option<String>,
    day_masked: bool,
    limits: Option<String>,
    /// What part of the day is drawn: in words, and as minutes.
    hours_drawn: Option<String>,
    minutes_drawn: (u16, u16),
    whole_day_href: String,
    curves: Vec<Curve>,
    curve_rows: Vec<CurveRow>,
    parts: Vec<PartRow>,
    agents: Vec<AgentLine>,
    paths: Vec<PathLine>,
}

pub(super) struct MapRow {
    pub(super) day: &'static str,
    pub(super) cells: Vec<(&'static str, String)>,
}

struct Curve {
    title: &'static str,
    /// As a file is called.
    name: &'static str,
    files: Files,
    average: Option<String>,
    limit: Option<String>,
    svg: Svg,
}

/// One quarter-hour in figures: loss, round trip, jitter, each at three percentiles.
struct CurveRow {
    time: String,
    bad: bool,
    figures: Vec<String>,
}

/// A subnet on one kind of link.
struct PartRow {
    network: String,
    prefix: String,
    link: String,
    verdict: Verdict,
    /// Its day on this page.
    href: Option<String>,
    /// The page of the subnet; none of one that is no longer in force.
    page: Option<String>,
    simulated: bool,
}

/// An agent on one kind of link.
struct AgentLine {
    name: String,
    network: String,
    link: String,
    verdict: Verdict,
    age: String,
    dscp: String,
    /// Hours without data in the last seven days, by reason.
    gaps: String,
    simulated: bool,
}

/// A verdict with its figures, in words.
pub(super) struct Verdict {
    pub(super) class: &'static str,
    pub(super) words: &'static str,
    pub(super) worst: String,
    pub(super) average: String,
    pub(super) coverage: String,
}

/// What the parts are told from.
struct Parts<'a> {
    snapshot: &'a Snapshot,
    subnets: HashMap<SubnetId, &'a Subnet>,
    days: &'a [DaySummary],
    day: &'a Day,
    gaps: HashMap<AgentId, Gaps>,
    part: Part,
    date: Date,
}

/// What the address asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub(super) part: Part,
    /// All of the building, even where its verdict is that of a part.
    pub(super) whole: bool,
    pub(super) date: Option<Date>,
    /// The hours of the day that are looked at closer: minutes, half open.
    pub(super) hours: Option<(u16, u16)>,
}

/// `09:00-12:15`, on quarter-hours, at least one of them.
pub(super) fn hours_of(asked: &str) -> Result<(u16, u16), Problem> {
    let minute = |text: &str| -> Option<u16> {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        let at = hour.checked_mul(60)?.checked_add(minute)?;
        (minute < 60 && at <= 1440 && at % 15 == 0).then_some(at)
    };
    let hours =
        asked.split_once('-').and_then(|(from, until)| Some((minute(from)?, minute(until)?)));
    hours.filter(|(from, until)| from < until).ok_or_else(|| {
        Problem::bad_request("hours are two quarter-hours of the day, such as 09:00-12:15")
    })
}

impl BuildingPage {
    pub(super) fn read(services: &Scoped, view: View) -> Result<Self, Problem> {
        let View { part, whole, date: asked, hours } = view;
        let snapshot = Snapshot::read(services, Some(part.building))?;
        let building = snapshot.building(part.building).ok_or_else(no_building)?;
        let states = snapshot.states();
        let stands = states.iter().find(|s| s.building.id == part.building);
        let stands = stands.ok_or_else(no_building)?;
        let zone = zone_of(building);
        let today = date_in(snapshot.now, &zone);
        let date = asked.unwrap_or_else(|| default_date(stands, &snapshot.days, today)).min(today);
        let map_until = asked.unwrap_or(today).min(today);
        let days = services.control.days(Some(building.id), date, date)?;
        let worst = (!whole).then(|| worst_part(&days, part)).flatten();
        let (part_is_worst, asked_part, part) = (worst.is_some(), part, worst.unwrap_or(part));
        let members = Members::find(services, part)?;
        let cells = week_map(services, &members, &zone, map_until)?.cells;
        let day = read_day(services, &members, &zone, date)?;
        let limits = members.limits(day.begin);
        let summary = summary_of(&days, part);
        let findings = Findings::read(services, &snapshot, building.id)?;
        let bad: &[u16] = summary.map_or(&[], |summary| &summary.bad_quarters);
        let subnets = snapshot.subnets.iter().map(|subnet| (subnet.id, subnet)).collect();
        let gaps = gaps(services, &snapshot, part)?;
        let parts =
            Parts { snapshot: &snapshot, subnets, days: &days, day: &day, gaps, part, date };
        // The whole building has the verdict of its worst network, whose figures are not drawn then.
        let day_network = summary.and_then(|summary| parts.behind(summary));
        let drawn = summary.filter(|_| day_network.is_none());
        let judged = drawn.and_then(|summary| summary.average);
        let measures = measures(summary);
        let weeks = Weeks::new(building, services.control.working_weeks()?);
        let busy = weeks.hours(date);
        let drawing = Drawing { building, part, date, day: &day, judged, limits, bad, hours };
        let curve = |measure: &Measure| drawing.curve(*measure, busy.as_ref(), snapshot.now);
        let kept = match whole {
            true => WHOLE.to_owned(),
            false => part_query(asked_part.subnet, asked_part.link),
        };
        let href = |date: Date| format!("?date={date}{kept}");
        let map_part = part_query(part.subnet, part.link);
        Ok(Self {
            id: building.id.to_string(),
            as_of: text::utc(snapshot.now),
            name: building.name.clone(),
            place: place(building),
            zone: building.time_zone.clone().unwrap_or_else(|| "UTC (zone unknown)".to_owned()),
            hours: building.business_hours.as_ref().map_or("unknown".to_owned(), |h| h.to_string()),
            learned: weeks.learned(today).map(|hours| hours.to_string()),
            class: stands.standing.as_str(),
            shape: shape(stands.standing),
            verdict: stands.standing.words(),
            because: stands.unknown_because,
            simulated: stands.simulated,
            findings,
            part: parts.name(),
            part_is_worst,
            whole_href: format!("?date={date}{WHOLE}"),
            map_until,
            map_href: format!("/api/v1/buildings/{}/map?date={map_until}{map_part}", building.id),
            left_out: members.left_out,
            strip: Strip::of_building(&snapshot.days, building, today),
            map: draw_map(building, &weeks, &cells, map_until),
            map_rows: map_rows(&cells),
            map_files: Files::week(part, &map_until.to_string()),
            date,
            weekday: WEEKDAYS[weekday_index(date)],
            previous: href(add_days(date, -1)),
            next: (date < today).then(|| href(add_days(date, 1))),
            day_verdict: summary.map_or("unknown", |summary| verdict_words(summary.verdict)),
            day_figures: drawn.map(Evidence::of).as_ref().and_then(Figures::new),
            day_network,
            day_masked: summary.is_some_and(|summary| summary.masked),
            limits: limits.map(text::limits),
            hours_drawn: hours.map(|(from, until)| text::hours(from, until)),
            minutes_drawn: hours.unwrap_or(WHOLE_DAY),
            whole_day_href: href(date),
            curves: measures.iter().map(curve).collect(),
            curve_rows: curve_rows(&day, bad),
            parts: parts.rows(),
            agents: parts.agents(),
            paths: path_rows::lines(members.paths(), &snapshot.agents, &days, (date, &zone)),
        })
    }
}

impl BuildingPage {
    /// One of its pictures, or one of its tables.
    pub(super) fn content(self, what: &str, table: bool) -> Option<Content> {
        Some(match (what, table) {
            ("week", false) => Content::Picture(self.map),
            ("week", true) => Content::Table(week_table(self.map_rows)),
            ("day", true) => Content::Table(day_table(self.curve_rows)),
            (name, false) => {
                let curve = self.curves.into_iter().find(|curve| curve.name == name);
                Content::Picture(curve?.svg)
            }
            _ => return None,
        })
    }
}

/// Percent of windows bad by local hour; an hour that is not known is empty.
fn week_table(rows: Vec<MapRow>) -> Vec<Vec<String>> {
    let names = ["day".to_owned()].into_iter();
    let hours = (0..24).map(|hour| format!("bad_percent_{hour:02}"));
    let row = |row: MapRow| {
        let cells = row.cells.into_iter().map(|(_, words)| words.replace('?', ""));
        [row.day.to_owned()].into_iter().chain(cells).collect()
    };
    [names.chain(hours).collect()].into_iter().chain(rows.into_iter().map(row)).collect()
}

/// Percentiles by quarter-hour, with their units; what is not known is empty.
fn day_table(rows: Vec<CurveRow>) -> Vec<Vec<String>> {
    let measures = Measure::ALL.iter().flat_map(|measure| {
        ["p50", "p90", "p99"].map(|percentile| format!("{}_{percentile}", measure.as_str()))
    });
    let names = ["local_time", "bad_hour"].map(str::to_owned).into_iter().chain(measures);
    let row = |row: CurveRow| {
        let figures = row.figures.into_iter().map(|words| words.replace("no data", ""));
        [row.time, row.bad.to_string()].into_iter().chain(figures).collect()
    };
    [names.collect()].into_iter().chain(rows.into_iter().map(row)).collect()
}

fn place(building: &Building) -> String {
    let parts = [&building.city, &building.country, &building.region].map(String::as_str);
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

/// Names of weekdays from Monday.
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

fn weekday_index(date: Date) -> usize {
    usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or(0)
}

/// The last bad day, else the last observed one, else today.
fn default_date(stands: &BuildingState, days: &[DaySummary], today: Date) -> Date {
    let observed = days.iter().filter(|day| day.verdict.is_observed()).map(|day| day.date).max();
    stands.evidence.as_ref().map(|evidence| evidence.date).or(observed).unwrap_or(today)
}

/// The verdict on what is looked at: the building's own, or that of the part's worst network.
fn summary_of(days: &[DaySummary], part: Part) -> Option<&DaySummary> {
    let whole = part.subnet.is_none() && part.link.is_none();
    let in_part = |day: &&DaySummary| match day.scope {
        Scope::Building(_) => whole,
        Scope::Subnet(subnet, link) => {
            !whole
                && part.subnet.is_none_or(|wanted| wanted == subnet)
                && part.link.is_none_or(|wanted| wanted == link)
        }
        Scope::Agent(..) | Scope::Path(_) => false,
    };
    days.iter().filter(in_part).min_by_key(|day| severity(day))
}

const WHOLE_DAY: (u16, u16) = (0, 1440);

/// The query that asks for the whole building.
const WHOLE: &str = "&whole=yes";

/// The subnet and kind of link whose figures are the building's own, when the building is looked at.
fn worst_part(days: &[DaySummary], part: Part) -> Option<Part> {
    if part.subnet.is_some() || part.link.is_some() {
        return None;
    }
    let (subnet, link) = figures_of(days, summary_of(days, part)?)?;
    Some(Part { subnet: Some(subnet), link: Some(link), ..part })
}

/// The subnet that a building's summary has its figures from: the judge gives it those of its worst.
fn figures_of(days: &[DaySummary], summary: &DaySummary) -> Option<(SubnetId, LinkKind)> {
    if !matches!(summary.scope, Scope::Building(_)) || summary.worst_hour.is_none() {
        return None;
    }
    let same =
        |day: &&DaySummary| day.worst_hour == summary.worst_hour && day.average == summary.average;
    days.iter().filter(same).find_map(|day| match day.scope {
        Scope::Subnet(subnet, link) => Some((subnet, link)),
        Scope::Building(_) | Scope::Agent(..) | Scope::Path(_) => None,
    })
}

/// The gaps of the agents that live in the building.
fn gaps(
    services: &Scoped,
    snapshot: &Snapshot,
    part: Part,
) -> Result<HashMap<AgentId, Gaps>, StoreError> {
    let here = snapshot.agents.iter().filter(|agent| state::lives_in(agent, part.building));
    let read = |agent: &AgentRow| {
        let gaps = Gaps::read(&services.telemetry, agent.id, snapshot.now)?;
        Ok((agent.id, gaps))
    };
    here.map(read).collect()
}

/// What is most wrong comes first.
fn measures(summary: Option<&DaySummary>) -> [Measure; 3] {
    let dominant = summary.and_then(|summary| summary.worst_hour).and_then(|hour| hour.dominant);
    let mut measures = Measure::ALL;
    let first = Measure::of(dominant);
    measures.sort_by_key(|measure| *measure != first);
    measures
}

pub(super) const fn verdict_words(verdict: DayVerdict) -> &'static str {
    match verdict {
        DayVerdict::Missing => "unknown",
        DayVerdict::Good => "good",
        DayVerdict::PeakBad => "bad at a busy hour",
        DayVerdict::AllDayBad => "bad all day",
    }
}

pub(super) fn draw_map(
    building: &Building,
    weeks: &Weeks<'_>,
    cells: &[MapCell; CELLS],
    last: Date,
) -> Svg {
    let name = format!(
        "{}: share of bad windows in each local hour of the week, four weeks to {last}",
        building.name
    );
    let busy = weeks.hours(last);
    HourMap { name: &name, cells, business: busy.as_ref() }.draw()
}

pub(super) fn map_rows(cells: &[MapCell; CELLS]) -> Vec<MapRow> {
    let words = |cell: &MapCell| match (cell.level(), cell.bad_share()) {
        (Level::Unknown, _) | (_, None) => (Level::Unknown.as_str(), "?".to_owned()),
        (level, Some(share)) => (level.as_str(), format!("{:.0}", share * 100.0)),
    };
    let row = |(day, cells): (&&'static str, &[MapCell])| MapRow {
        day,
        cells: cells.iter().map(words).collect(),
    };
    WEEKDAYS.iter().zip(cells.chunks(24)).map(row).collect()
}

/// What the curves of a day are drawn from.
struct Drawing<'a> {
    building: &'a Building,
    part: Part,
    date: Date,
    day: &'a Day,
    judged: Option<DailyAverage>,
    limits: Option<&'static LimitTable>,
    bad: &'a [u16],
    hours: Option<(u16, u16)>,
}

impl Drawing<'_> {
    fn curve(&self, measure: Measure, busy: Option<&BusinessHours>, now: UtcMicros) -> Curve {
        let limit = self.limits.map(|table| measure.limit(table));
        let measured = || self.day.whole.as_ref().and_then(|slot| measure.average(slot));
        let average = self.judged.map(|average| measure.judged(&average)).or_else(measured);
        let mut quarters = quarters(self.day, busy, (self.bad, now), measure);
        let (from, until) = self.hours.unwrap_or(WHOLE_DAY);
        quarters.retain(|quarter| (from..until).contains(&quarter.minute));
        let name = format!("{}: {} through the day", self.building.name, measure.words());
        let (unit, called) = (measure.unit(), (measure.words(), measure.as_str()));
        let curve = DayCurve { name: &name, unit, quarters: &quarters, average, limit };
        Curve {
            title: measure.words(),
            name: measure.as_str(),
            files: Files::curve(self.part, &self.date.to_string(), called),
            average: average.map(|average| unit.words(average)),
            limit: limit.map(|limit| unit.words(limit)),
            svg: curve.draw(),
        }
    }
}

fn curve_rows(day: &Day, bad: &[u16]) -> Vec<CurveRow> {
    let figures = |slot: &Option<Slot>| -> Vec<String> {
        let of = |measure: &Measure| {
            let found = slot.as_ref().and_then(|slot| measure.percentiles(slot));
            match found {
                Some(p) => [p.p50, p.p90, p.p99].map(|value| measure.unit().words(value)),
                None => [const { String::new() }; 3].map(|_| "no data".to_owned()),
            }
        };
        Measure::ALL.iter().flat_map(of).collect()
    };
    let row = |(_, local, slot): &(_, busyhour_model::LocalDay, Option<Slot>)| CurveRow {
        time: text::clock(local.minute),
        bad: bad.contains(&local.minute),
        figures: figures(slot),
    };
    day.slots.iter().map(row).collect()
}

impl Parts<'_> {
    /// What part is looked at: `Floor 2, 10.1.2.0/24, wifi`.
    fn name(&self) -> Option<String> {
        let subnet = self.part.subnet.map(|id| match self.subnets.get(&id) {
            Some(subnet) => format!("{} {}", subnet.columns.network_name, subnet.prefix),
            None => "a subnet that is no longer in force".to_owned(),
        });
        let link = self.part.link.map(|link| format!("{link} only"));
        match (subnet, link) {
            (None, None) => None,
            (subnet, link) => {
                Some([subnet, link].into_iter().flatten().collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// The network whose figures a building's summary has.
    fn behind(&self, summary: &DaySummary) -> Option<String> {
        let (subnet, link) = figures_of(self.days, summary)?;
        Some(format!("{}, {link}", self.network(subnet).0))
    }

    /// Subnets by link, the bad ones first; subnets without a verdict are unknown.
    fn rows(&self) -> Vec<PartRow> {
        let mut judged: Vec<(&DaySummary, SubnetId, LinkKind)> = self
            .days
            .iter()
            .filter_map(|day| match day.scope {
                Scope::Subnet(subnet, link) => Some((day, subnet, link)),
                Scope::Agent(..) | Scope::Path(_) | Scope::Building(_) => None,
            })
            .collect();
        judged.sort_by_key(|(day, subnet, link)| (severity(day), *subnet, *link));
        let mut rows: Vec<PartRow> = judged
            .iter()
            .map(|(day, subnet, link)| {
                let (network, prefix) = self.network(*subnet);
                let query = part_query(Some(*subnet), Some(*link));
                let href = Some(format!("?date={}{query}", self.date));
                PartRow {
                    network,
                    prefix,
                    link: link.to_string(),
                    verdict: Verdict::new(day),
                    href,
                    page: self.page(*subnet),
                    simulated: self.simulated(*subnet),
                }
            })
            .collect();
        let in_building = |subnet: &&Subnet| subnet.building == self.part.building;
        for subnet in self.snapshot.subnets.iter().filter(in_building) {
            if !judged.iter().any(|(_, judged, _)| *judged == subnet.id) {
                let (network, prefix) = self.network(subnet.id);
                let verdict = Verdict::unknown();
                let (link, simulated) = ("–".to_owned(), self.simulated(subnet.id));
                let page = self.page(subnet.id);
                rows.push(PartRow { network, prefix, link, verdict, href: None, page, simulated });
            }
        }
        rows
    }

    /// Agents by link, the bad ones first; agents without a verdict are unknown.
    fn agents(&self) -> Vec<AgentLine> {
        let newest = self.snapshot.newest();
        let age = |agent: AgentId| match newest.get(&agent) {
            Some(&newest) => text::age(text::age_s(self.snapshot.now, newest)),
            None => "no data".to_owned(),
        };
        let line = |agent: &AgentRow, judged: Option<(&DaySummary, LinkKind)>| {
            let slot = judged.and_then(|(_, link)| self.day.agents.get(&(agent.id, link)));
            AgentLine {
                name: agent.name.clone(),
                network: agent.placement.map_or("–".to_owned(), |p| self.network(p.subnet).0),
                link: judged.map_or("–".to_owned(), |(_, link)| link.to_string()),
                verdict: judged.map_or_else(Verdict::unknown, |(day, _)| Verdict::new(day)),
                age: age(agent.id),
                dscp: slot.map(dscp_words).unwrap_or_default(),
                gaps: self.gaps.get(&agent.id).map(Gaps::words).unwrap_or_default(),
                simulated: agent.simulated,
            }
        };
        let mut lines: Vec<((u8, &str), AgentLine)> = Vec::new();
        for agent in &self.snapshot.agents {
            let mut found = false;
            for day in self.days {
                if let Scope::Agent(id, link) = day.scope
                    && id == agent.id
                {
                    found = true;
                    lines.push(((severity(day), &agent.name), line(agent, Some((day, link)))));
                }
            }
            if !found && state::lives_in(agent, self.part.building) {
                lines.push(((UNKNOWN, &agent.name), line(agent, None)));
            }
        }
        lines.sort_by_key(|(key, _)| *key);
        lines.into_iter().map(|(_, line)| line).collect()
    }

    fn page(&self, subnet: SubnetId) -> Option<String> {
        self.subnets.contains_key(&subnet).then(|| format!("/subnets/{subnet}"))
    }

    /// True when simulated agents live in the subnet.
    fn simulated(&self, subnet: SubnetId) -> bool {
        let lives = |agent: &AgentRow| agent.placement.is_some_and(|p| p.subnet == subnet);
        self.snapshot.agents.iter().any(|agent| agent.simulated && lives(agent))
    }

    fn network(&self, subnet: SubnetId) -> (String, String) {
        match self.subnets.get(&subnet) {
            Some(subnet) => (subnet.columns.network_name.clone(), subnet.prefix.to_string()),
            None => ("no longer in force".to_owned(), String::new()),
        }
    }
}

/// Where unknown stands among severities: after bad, before good.
const UNKNOWN: u8 = 1;

const fn severity(day: &DaySummary) -> u8 {
    match day.verdict {
        DayVerdict::AllDayBad | DayVerdict::PeakBad => 0,
        DayVerdict::Missing => UNKNOWN,
        DayVerdict::Good => 2,
    }
}

/// Whether the code point arrived as it was sent; nothing when it did.
fn dscp_words(slot: &Slot) -> String {
    let share = |changed: u64| changed as f64 / slot.sent.max(1) as f64;
    let words = |changed: u64, direction: &str| {
        let share = text::percent(share(changed).min(1.0));
        (changed > 0)
            .then(|| format!("marking changed on the way {direction} ({share} of packets)"))
    };
    let both = [words(slot.dscp_up_changed, "up"), words(slot.dscp_down_changed, "down")];
    both.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

impl Verdict {
    pub(super) fn new(day: &DaySummary) -> Self {
        let none = || "–".to_owned();
        let contrast = day.worst_hour.as_ref().zip(day.average.as_ref());
        let contrast = contrast.map(|(worst, average)| text::contrast(worst, average));
        let worst = day.worst_hour.as_ref().map(|hour| {
            let share = text::percent(text::bad_share(hour));
            let says = contrast.as_ref().map(|contrast| format!("{}, ", contrast.worst));
            let breach = hour.dominant.map(|breach| format!(" ({breach})"));
            let (says, breach) = (says.unwrap_or_default(), breach.unwrap_or_default());
            format!("{}: {says}{share} bad{breach}", text::hour_from(hour.start_minute))
        });
        Self {
            class: if day.verdict.is_bad() { "bad" } else { verdict_words(day.verdict) },
            words: verdict_words(day.verdict),
            worst: worst.unwrap_or_else(none),
            average: contrast.map_or_else(none, |contrast| contrast.average),
            coverage: day.coverage().map_or_else(none, text::percent),
        }
    }

    pub(super) fn unknown() -> Self {
        let none = || "–".to_owned();
        let words = verdict_words(DayVerdict::Missing);
        Self { class: words, words, worst: none(), average: none(), coverage: none() }
    }
}
