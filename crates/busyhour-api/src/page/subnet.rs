//! The page of a subnet: how its days were, when it is bad, who lives in it and what they measure.

use std::collections::BTreeSet;
use std::time::Duration;

use askama::Template;
use busyhour_chart::Svg;
use busyhour_model::{
    Building, DaySummary, Incident, LinkKind, Scope, Subnet, SubnetId, UtcMicros,
};
use busyhour_store::{AgentRow, StoreError};
use jiff::civil::Date;

use super::building::{MapRow, draw_map, map_rows};
use super::files::Files;
use super::incident::life;
use super::path_rows::{self, PathLine};
use super::strip::Strip;
use crate::problem::Problem;
use crate::scoped::Scoped;
use crate::state::{Snapshot, date_in, zone_of};
use crate::text;
use crate::week::{Members, Part, week_map};
use crate::weeks::Weeks;

/// Incidents that are closed are told so long.
const CLOSED_DAYS: u64 = 28;
/// Incidents that are told.
const MAX_INCIDENTS: usize = 20;

#[derive(Template)]
#[template(path = "subnet.html")]
pub(super) struct SubnetPage {
    as_of: String,
    name: String,
    prefix: String,
    building: String,
    building_id: String,
    building_href: String,
    facts: Vec<(&'static str, String)>,
    simulated: bool,
    links: Vec<Link>,
    incidents: Vec<IncidentLine>,
    until: Date,
    map: Svg,
    map_rows: Vec<MapRow>,
    files: Files,
    left_out: usize,
    agents: Vec<AgentLine>,
    paths_date: Option<Date>,
    paths: Vec<PathLine>,
}

/// The last days on one kind of link.
struct Link {
    word: &'static str,
    strip: Strip,
}

struct IncidentLine {
    href: String,
    kind: String,
    sentence: String,
    life: String,
    simulated: bool,
}

struct AgentLine {
    name: String,
    age: String,
    simulated: bool,
}

impl SubnetPage {
    pub(super) fn read(services: &Scoped, id: SubnetId) -> Result<Self, Problem> {
        let subnet = services.control.subnets()?.into_iter().find(|one| one.id == id);
        let subnet = subnet.ok_or_else(no_subnet)?;
        let snapshot = Snapshot::read(services, Some(subnet.building))?;
        let building = snapshot.building(subnet.building).ok_or_else(no_subnet)?;
        let zone = zone_of(building);
        let today = date_in(snapshot.now, &zone);
        let part = Part { building: building.id, subnet: Some(id), link: None };
        let members = Members::find(services, part)?;
        let map = week_map(services, &members, &zone, today)?;
        let weeks = Weeks::new(building, services.control.working_weeks()?);
        let lives = |agent: &&AgentRow| agent.placement.is_some_and(|place| place.subnet == id);
        let agents: Vec<&AgentRow> = snapshot.agents.iter().filter(lives).collect();
        let paths_date = last_observed(&snapshot.days, id);
        let paths = paths_date.map(|date| {
            let on_date = snapshot.days.iter().filter(|day| day.date == date);
            let days: Vec<DaySummary> = on_date.cloned().collect();
            path_rows::lines(members.paths(), &snapshot.agents, &days, (date, &zone))
        });
        Ok(Self {
            as_of: text::utc(snapshot.now),
            name: subnet.columns.network_name.clone(),
            prefix: subnet.prefix.to_string(),
            building: building.name.clone(),
            building_id: building.id.to_string(),
            building_href: format!("/buildings/{}", building.id),
            facts: facts(&subnet, building),
            simulated: agents.iter().any(|agent| agent.simulated),
            links: links(&snapshot.days, &subnet, today),
            incidents: incidents(services, snapshot.now, id)?,
            until: today,
            map: draw_map(building, &weeks, &map.cells, today),
            map_rows: map_rows(&map.cells),
            files: Files::week(part, &today.to_string()),
            left_out: members.left_out,
            agents: agents.iter().map(|agent| agent_line(agent, &snapshot)).collect(),
            paths_date,
            paths: paths.unwrap_or_default(),
        })
    }
}

pub(crate) fn no_subnet() -> Problem {
    Problem::not_found("no subnet in force has this id")
}

/// The newest day on which something of it was observed.
fn last_observed(days: &[DaySummary], id: SubnetId) -> Option<Date> {
    let of_it = days.iter().filter(|day| matches!(day.scope, Scope::Subnet(of, _) if of == id));
    of_it.filter(|day| day.verdict.is_observed()).map(|day| day.date).max()
}

/// A link that an agent measured on lately, each with its days.
fn links(days: &[DaySummary], subnet: &Subnet, today: Date) -> Vec<Link> {
    let on = days.iter().filter_map(|day| match day.scope {
        Scope::Subnet(id, link) => (id == subnet.id).then_some(link),
        Scope::Building(_) | Scope::Agent(..) | Scope::Path(_) => None,
    });
    let links: BTreeSet<LinkKind> = on.collect();
    let link = |link: LinkKind| {
        let part = Part { building: subnet.building, subnet: Some(subnet.id), link: Some(link) };
        let name = format!("{}, {link}", subnet.prefix);
        let strip = Strip::new(days, (part, &name), today, today).with_open_table();
        Link { word: link.words(), strip }
    };
    links.into_iter().map(link).collect()
}

/// What suffers or suffered in it lately, the newest first.
fn incidents(
    services: &Scoped,
    now: UtcMicros,
    id: SubnetId,
) -> Result<Vec<IncidentLine>, StoreError> {
    let since = now.minus(Duration::from_secs(CLOSED_DAYS * 86_400));
    let mut found = services.control.recent_incidents(since)?;
    found.retain(|incident| incident.members.iter().any(|member| member.subnet == id));
    found.sort_by_key(|incident| (!incident.is_open(), std::cmp::Reverse(incident.last_bad)));
    let line = |incident: &Incident| IncidentLine {
        href: format!("/incidents/{}", incident.number),
        kind: text::plain(incident.kind.as_str()),
        sentence: incident.sentence.clone(),
        life: life(incident),
        simulated: incident.simulated,
    };
    Ok(found.iter().take(MAX_INCIDENTS).map(line).collect())
}

fn agent_line(agent: &AgentRow, snapshot: &Snapshot) -> AgentLine {
    let newest = snapshot.paths.iter().filter(|path| path.agent == agent.id);
    let newest = newest.map(|path| path.newest).max();
    AgentLine {
        name: agent.name.clone(),
        age: newest.map_or_else(
            || "no data".to_owned(),
            |newest| text::age(text::age_s(snapshot.now, newest)),
        ),
        simulated: agent.simulated,
    }
}

fn facts(subnet: &Subnet, building: &Building) -> Vec<(&'static str, String)> {
    let columns = &subnet.columns;
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let mut facts = vec![("Prefix", subnet.prefix.to_string())];
    facts.extend(subnet.egress.map(|egress| ("Seen on the Internet from", egress.to_string())));
    let place = [&columns.city, &columns.state, &columns.country, &columns.region];
    let place: Vec<&str> =
        place.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    let zone = building.time_zone.clone();
    facts.extend([
        ("Place", place.join(", ")),
        ("Local time", zone.unwrap_or_else(|| "UTC (zone unknown)".to_owned())),
        ("Inside the corporate network", yes(columns.inside_corp)),
        ("ExpressRoute", yes(columns.express_route)),
        ("VPN", yes(columns.vpn)),
    ]);
    facts.retain(|(_, said)| !said.is_empty());
    facts
}
