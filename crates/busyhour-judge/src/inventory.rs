//! What the store knows of buildings, agents, placements and paths at one moment.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;
use std::time::Duration;

use busyhour_detect::Site;
use busyhour_model::{
    AgentId, Building, BuildingId, Incident, IncidentMember, LocalDay, PathId, Placement,
    RequirementProfile, SlotStart, Subnet, SubnetId, UtcMicros, local_day_span,
};
use busyhour_store::{AgentRow, Control, PathChanges, PathRow, StoreError, Telemetry};
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// A path on which an agent was silent for so long while it was heard on others is given up: its
/// target or its link was changed.
const GIVEN_UP: Duration = Duration::from_secs(7 * 24 * 3600);
/// Quarter-hours in a day of UTC.
pub(crate) const SLOTS_A_DAY: i64 = 96;

/// A building that can be judged: its zone and business hours are known.
pub(crate) struct JudgedSite {
    pub(crate) site: Site,
    /// The region of the building file; empty where it tells none.
    pub(crate) region: String,
}

impl JudgedSite {
    pub(crate) fn today(&self, now: UtcMicros) -> Date {
        self.date_of(SlotStart::containing(now))
    }

    /// The local date that a slot begins on.
    pub(crate) fn date_of(&self, slot: SlotStart) -> Date {
        LocalDay::of(slot, &self.site.zone).date
    }

    /// The first moment of a local date and the first after it.
    pub(crate) fn span(&self, date: Date) -> Option<(UtcMicros, UtcMicros)> {
        local_day_span(date, &self.site.zone)
    }
}

/// Why nobody watches something any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lost {
    /// Its paths are measured no longer, or judged by nothing.
    Paths,
    /// Its agents are in other places.
    Elsewhere,
    /// Its agents were removed or forgotten.
    Agents,
    /// Its subnet is another building's.
    SubnetMoved,
    /// Its subnet is no longer in the building file.
    Subnet,
    /// Its building has no zone or business hours.
    Clock,
    /// Its building is no longer in the building file.
    Building,
}

impl Lost {
    /// A sentence that ends in what follows from it.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Paths => "Its paths are no longer measured or judged: it is no longer watched.",
            Self::Elsewhere => "Its agents are in other places now: it is no longer watched.",
            Self::Agents => "Its agents were removed: it is no longer watched.",
            Self::SubnetMoved => "Its subnet is another building's now: it is no longer watched.",
            Self::Subnet => "Its subnet left the building file: it is no longer watched.",
            Self::Clock => {
                "Its time zone or business hours are not known: it is no longer watched."
            }
            Self::Building => "Its building left the building file: it is no longer watched.",
        }
    }
}

/// Buildings, agents, placements and paths at one moment.
pub(crate) struct Inventory {
    pub(crate) sites: BTreeMap<BuildingId, JudgedSite>,
    /// The subnets in force.
    pub(crate) subnets: BTreeMap<SubnetId, Subnet>,
    /// Names of agents, and whether they are simulated.
    pub(crate) agents: BTreeMap<AgentId, (String, bool)>,
    /// Agents that were removed.
    removed: BTreeSet<AgentId>,
    /// Where each agent was and is, by time.
    pub(crate) placements: BTreeMap<AgentId, Vec<Placement>>,
    /// By number.
    pub(crate) paths: Vec<PathRow>,
    /// Everything that the building file in force names, judged or not.
    buildings: BTreeSet<BuildingId>,
    subnets_of: BTreeMap<BuildingId, Vec<SubnetId>>,
    /// When each agent was last heard on any path.
    heard: BTreeMap<AgentId, UtcMicros>,
    /// When anything was measured first; `None` while nothing was.
    pub(crate) oldest: Option<UtcMicros>,
    /// Agents that were ever placed in each building, in order.
    agents_of: BTreeMap<BuildingId, Vec<AgentId>>,
    /// The places of each agent's paths among all.
    paths_of: BTreeMap<AgentId, Vec<usize>>,
    /// What the store had counted of changes before this was read.
    control_changes: Option<u64>,
    path_changes: Option<u64>,
}

/// What is other in an inventory than it was in the round before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct News {
    /// Buildings, subnets, agents or placements may be.
    pub(crate) places: bool,
    /// Paths may be gone.
    pub(crate) gone: bool,
    /// The paths that are new, or of which something is other that says what a series is like.
    pub(crate) paths: Vec<PathId>,
}

/// Buildings, subnets, agents and placements as they are read.
struct Places {
    buildings: Vec<Building>,
    subnets: Vec<Subnet>,
    agents: Vec<AgentRow>,
    placements: Vec<Placement>,
}

impl Places {
    fn read(control: &dyn Control) -> Result<Self, StoreError> {
        Ok(Self {
            buildings: control.buildings()?,
            subnets: control.subnets()?,
            agents: control.agents()?,
            placements: control.placements()?,
        })
    }
}

/// Beginning, noon and end of local dates: looked up once a round.
#[derive(Default)]
pub(crate) struct Noons(BTreeMap<(BuildingId, Date), Option<UtcMicros>>);

impl Noons {
    fn of(&mut self, building: BuildingId, site: &JudgedSite, date: Date) -> Option<UtcMicros> {
        *self.0.entry((building, date)).or_insert_with(|| {
            let (from, until) = site.span(date)?;
            Some(UtcMicros(from.0.saturating_add(until.since(from) / 2)))
        })
    }
}

/// A path on a date, and where it was.
#[derive(Clone, Copy)]
pub(crate) struct PlacedPath<'a> {
    pub(crate) row: &'a PathRow,
    pub(crate) placement: &'a Placement,
}

impl Inventory {
    pub(crate) fn load(
        telemetry: &dyn Telemetry,
        control: &dyn Control,
    ) -> Result<Self, StoreError> {
        let mut inventory = Self {
            sites: BTreeMap::new(),
            subnets: BTreeMap::new(),
            agents: BTreeMap::new(),
            removed: BTreeSet::new(),
            placements: BTreeMap::new(),
            paths: Vec::new(),
            buildings: BTreeSet::new(),
            subnets_of: BTreeMap::new(),
            heard: BTreeMap::new(),
            oldest: None,
            agents_of: BTreeMap::new(),
            paths_of: BTreeMap::new(),
            control_changes: None,
            path_changes: None,
        };
        inventory.follow(telemetry, control)?;
        Ok(inventory)
    }

    /// Follows the store; tells what is other than it was. What could not be read is as it was.
    pub(crate) fn follow(
        &mut self,
        telemetry: &dyn Telemetry,
        control: &dyn Control,
    ) -> Result<News, StoreError> {
        // Asked for first: what changes meanwhile is read again the next time.
        let control_changes = control.inventory_changes();
        let is_same = control_changes.is_some() && control_changes == self.control_changes;
        let places = if is_same { None } else { Some(Places::read(control)?) };
        let changes = telemetry.path_changes(self.path_changes)?;
        let mut news = News { places: places.is_some(), gone: changes.all, paths: Vec::new() };
        if let Some(places) = places {
            self.take_places(places);
            self.control_changes = control_changes;
        }
        self.path_changes = changes.until;
        self.take_paths(changes, &mut news.paths);
        Ok(news)
    }

    fn take_places(&mut self, places: Places) {
        let Places { buildings, subnets, agents, placements } = places;
        self.buildings = buildings.iter().map(|building| building.id).collect();
        self.sites = buildings.into_iter().filter_map(site_of).collect();
        self.subnets_of.clear();
        for subnet in &subnets {
            self.subnets_of.entry(subnet.building).or_default().push(subnet.id);
        }
        self.subnets = subnets.into_iter().map(|subnet| (subnet.id, subnet)).collect();
        let removed = agents.iter().filter(|agent| agent.removed.is_some());
        self.removed = removed.map(|agent| agent.id).collect();
        let agents = agents.into_iter().map(|agent| (agent.id, (agent.name, agent.simulated)));
        self.agents = agents.collect();
        self.placements.clear();
        self.agents_of.clear();
        for placement in placements {
            let there = self.agents_of.entry(placement.building).or_default();
            if there.last() != Some(&placement.agent) {
                there.push(placement.agent);
            }
            self.placements.entry(placement.agent).or_default().push(placement);
        }
        for there in self.agents_of.values_mut() {
            there.sort_unstable();
            there.dedup();
        }
    }

    /// `others` gets the paths that are new, or whose series are other.
    fn take_paths(&mut self, changes: PathChanges, others: &mut Vec<PathId>) {
        let oldest = changes.rows.iter().map(|row| row.oldest).min();
        self.oldest = self.oldest.into_iter().chain(oldest).min();
        if changes.all {
            others.extend(changes.rows.iter().map(|row| row.id));
            self.paths = changes.rows;
            self.paths.sort_unstable_by_key(|row| row.id);
            self.heard.clear();
            for row in &self.paths {
                hear(&mut self.heard, row.agent, row.newest);
            }
            self.number_paths();
            return;
        }
        for (path, newest) in changes.heard {
            let place = self.paths.binary_search_by_key(&path, |row| row.id).ok();
            if let Some(row) = place.and_then(|at| self.paths.get_mut(at)) {
                row.newest = newest;
                hear(&mut self.heard, row.agent, newest);
            }
        }
        let known = self.paths.len();
        for row in changes.rows {
            others.push(row.id);
            hear(&mut self.heard, row.agent, row.newest);
            match self.paths.binary_search_by_key(&row.id, |known| known.id) {
                Ok(at) => {
                    if let Some(known) = self.paths.get_mut(at) {
                        *known = row;
                    }
                }
                Err(at) => self.paths.insert(at, row),
            }
        }
        if self.paths.len() > known {
            self.number_paths();
        }
    }

    fn number_paths(&mut self) {
        self.paths_of.clear();
        for (at, row) in self.paths.iter().enumerate() {
            self.paths_of.entry(row.agent).or_default().push(at);
        }
    }

    pub(crate) fn path(&self, path: PathId) -> Option<&PathRow> {
        let at = self.paths.binary_search_by_key(&path, |row| row.id).ok()?;
        self.paths.get(at)
    }

    /// True when an address lies in one of a building's own subnets.
    pub(crate) fn is_within(&self, building: BuildingId, address: IpAddr) -> bool {
        let own = self.subnets_of.get(&building).into_iter().flatten();
        let mut own = own.filter_map(|subnet| self.subnets.get(subnet));
        own.any(|subnet| subnet.prefix.contains(&address))
    }

    /// Why nobody can see how an incident goes on; `None` while somebody can. An agent that is
    /// elsewhere may come back, until the incident is stale.
    pub(crate) fn lost(&self, incident: &Incident) -> Option<Lost> {
        let place = self.lost_building(incident.building);
        let subnet = || incident.subnet().filter(|id| !self.subnets.contains_key(id));
        if let Some(lost) = place.or_else(|| subnet().map(|_| Lost::Subnet)) {
            return Some(lost);
        }
        let mut why = None;
        for member in &incident.members {
            let lost = self.lost_member(member, incident.stale)?;
            why = why.max(Some(lost));
        }
        why
    }

    fn lost_building(&self, building: BuildingId) -> Option<Lost> {
        if !self.buildings.contains(&building) {
            return Some(Lost::Building);
        }
        (!self.sites.contains_key(&building)).then_some(Lost::Clock)
    }

    /// Why nobody watches a path there any more.
    fn lost_member(&self, member: &IncidentMember, is_stale: bool) -> Option<Lost> {
        let lost = self.lost_building(member.building).or_else(|| {
            match self.subnets.get(&member.subnet).map(|subnet| subnet.building) {
                None => Some(Lost::Subnet),
                Some(building) => (building != member.building).then_some(Lost::SubnetMoved),
            }
        });
        let known = self.path(member.path).filter(|row| self.agents.contains_key(&row.agent));
        let (None, Some(row)) = (lost, known) else { return lost.or(Some(Lost::Agents)) };
        let mut placements = self.placements.get(&row.agent).into_iter().flatten();
        let now = placements.rfind(|one| one.until.is_none());
        match now {
            _ if row.requirement == RequirementProfile::None => Some(Lost::Paths),
            None if self.removed.contains(&row.agent) => Some(Lost::Agents),
            Some(there) if (there.subnet, there.building) == (member.subnet, member.building) => {
                let heard = self.heard.get(&row.agent);
                let is_given_up = heard.is_some_and(|heard| row.newest.plus(GIVEN_UP) < *heard);
                is_given_up.then_some(Lost::Paths)
            }
            Some(_) | None => is_stale.then_some(Lost::Elsewhere),
        }
    }

    /// The local date that it is at each building.
    pub(crate) fn todays(&self, now: UtcMicros) -> BTreeMap<BuildingId, Date> {
        self.sites.iter().map(|(&id, site)| (id, site.today(now))).collect()
    }

    /// Changes whenever everything has to be judged anew: buildings, their zones, hours and holidays,
    /// their names, subnets, regions.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (id, judged) in &self.sites {
            let site = &judged.site;
            (id, &site.name, &judged.region, site.zone.iana_name(), site.hours.as_str())
                .hash(&mut hasher);
            site.holidays.hash(&mut hasher);
        }
        for (id, subnet) in &self.subnets {
            (id, subnet.building, subnet.prefix, subnet.egress).hash(&mut hasher);
            subnet.columns.network_name.hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The local dates of which a path's day of UTC has a part, each with the building that the path
    /// belonged to.
    pub(crate) fn dates(
        &self,
        path: PathId,
        utc_day: i64,
        noons: &mut Noons,
    ) -> Vec<(Date, BuildingId)> {
        let Some(row) = self.path(path) else { return Vec::new() };
        let Some(placements) = self.placements.get(&row.agent) else { return Vec::new() };
        let buildings: BTreeSet<BuildingId> = placements.iter().map(|p| p.building).collect();
        let (first, end) = slots_of_day(utc_day);
        let mut dates = Vec::new();
        for building in buildings {
            let Some(site) = self.sites.get(&building) else { continue };
            let (from, until) = (site.date_of(first), site.date_of(end.offset(-1)));
            for date in [Some(from), Some(until).filter(|until| *until != from)] {
                let Some(date) = date else { continue };
                let there = self.at_noon(row.agent, date, noons);
                if there.is_some_and(|placement| placement.building == building) {
                    dates.push((date, building));
                }
            }
        }
        dates
    }

    /// Where an agent was at local noon of a date.
    pub(crate) fn at_noon(
        &self,
        agent: AgentId,
        date: Date,
        noons: &mut Noons,
    ) -> Option<&Placement> {
        self.placements.get(&agent)?.iter().find(|placement| {
            let site = self.sites.get(&placement.building);
            let noon = site.and_then(|site| noons.of(placement.building, site, date));
            noon.is_some_and(|noon| holds_at(placement, noon))
        })
    }

    /// True when an agent was in a place at noon of a local date that a day of UTC touches.
    pub(crate) fn stayed(&self, there: &Placement, utc_day: i64, noons: &mut Noons) -> bool {
        let Some(site) = self.sites.get(&there.building) else { return false };
        let (first, end) = slots_of_day(utc_day);
        [first, end.offset(-1)].into_iter().any(|slot| {
            let noon = noons.of(there.building, site, site.date_of(slot));
            noon.is_some_and(|noon| self.was_in(there, noon))
        })
    }

    /// True when the agent was in the same subnet at that moment too.
    pub(crate) fn was_in(&self, there: &Placement, moment: UtcMicros) -> bool {
        self.placements.get(&there.agent).is_some_and(|all| {
            all.iter().any(|placement| {
                (placement.subnet, placement.building) == (there.subnet, there.building)
                    && holds_at(placement, moment)
            })
        })
    }

    /// True when the agent never was anywhere else, as far as is known.
    pub(crate) fn was_always_in(&self, there: &Placement) -> bool {
        let all = self.placements.get(&there.agent).map(Vec::as_slice);
        matches!(all, Some([only]) if only.until.is_none() && only.from == UtcMicros(i64::MIN))
    }

    /// The paths that belonged to buildings on a date, each list by path: where their agents were at
    /// local noon. A silent agent's paths are there, so that its subnet is unknown; what an agent no
    /// longer measures while it goes on with others is not.
    pub(crate) fn placed(
        &self,
        date: Date,
        buildings: &BTreeSet<BuildingId>,
        noons: &mut Noons,
    ) -> BTreeMap<BuildingId, Vec<PlacedPath<'_>>> {
        let begins = local_day_span(date, &TimeZone::UTC).map(|(from, _)| from);
        let mut placed: BTreeMap<BuildingId, Vec<PlacedPath<'_>>> = BTreeMap::new();
        let agents = buildings.iter().filter_map(|building| self.agents_of.get(building)).flatten();
        let agents: BTreeSet<&AgentId> = agents.collect();
        let places = agents.into_iter().filter_map(|agent| self.paths_of.get(agent)).flatten();
        for row in places.filter_map(|&at| self.paths.get(at)) {
            let given_up = row.newest.plus(GIVEN_UP);
            let before = |at: Option<&UtcMicros>| at.is_some_and(|&at| given_up < at);
            if before(begins.as_ref()) && before(self.heard.get(&row.agent)) {
                continue;
            }
            let Some(placement) = self.at_noon(row.agent, date, noons) else { continue };
            if buildings.contains(&placement.building) {
                placed.entry(placement.building).or_default().push(PlacedPath { row, placement });
            }
        }
        placed.values_mut().for_each(|paths| paths.sort_unstable_by_key(|path| path.row.id));
        placed
    }

    /// The agents that were in a building at local noon of a date, each with where.
    pub(crate) fn agents_in(
        &self,
        building: BuildingId,
        date: Date,
        noons: &mut Noons,
    ) -> Vec<&Placement> {
        let candidates = self.agents_of.get(&building).into_iter().flatten();
        let there = candidates.filter_map(|&agent| self.at_noon(agent, date, noons));
        there.filter(|placement| placement.building == building).collect()
    }
}

/// The slots of a day of UTC since 1970, half open.
pub(crate) const fn slots_of_day(utc_day: i64) -> (SlotStart, SlotStart) {
    let first = SlotStart::from_number(utc_day.saturating_mul(SLOTS_A_DAY));
    (first, first.offset(SLOTS_A_DAY))
}

/// The day of UTC since 1970 that a slot lies in.
pub(crate) const fn utc_day_of(slot: SlotStart) -> i64 {
    slot.number().div_euclid(SLOTS_A_DAY)
}

/// The moment from which on an agent was elsewhere than was known; `None` when nothing changed.
pub(crate) fn moved_from(before: &[Placement], after: &[Placement]) -> Option<UtcMicros> {
    let same = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    match (before.get(same), after.get(same)) {
        (None, None) => None,
        (Some(one), None) | (None, Some(one)) => Some(one.from),
        (Some(a), Some(b)) => {
            let kept = (a.subnet, a.building, a.from) == (b.subnet, b.building, b.from);
            let ends = |one: &Placement| one.until.unwrap_or(UtcMicros(i64::MAX));
            Some(if kept { ends(a).min(ends(b)) } else { a.from.min(b.from) })
        }
    }
}

/// Notes when an agent was heard.
fn hear(heard: &mut BTreeMap<AgentId, UtcMicros>, agent: AgentId, at: UtcMicros) {
    let newest = heard.entry(agent).or_insert(at);
    *newest = at.max(*newest);
}

fn holds_at(placement: &Placement, at: UtcMicros) -> bool {
    placement.from <= at && placement.until.is_none_or(|until| at < until)
}

/// `None` for a building whose zone or hours nobody told, or whose zone is not known here.
fn site_of(building: Building) -> Option<(BuildingId, JudgedSite)> {
    let zone = TimeZone::get(building.time_zone.as_deref()?).ok()?;
    let site = Site {
        name: building.name,
        zone,
        hours: building.business_hours?,
        // Those that nobody told show by their load.
        holidays: building.holidays,
    };
    Some((building.id, JudgedSite { site, region: building.region }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stay(subnet: u128, from: i64, until: Option<i64>) -> Placement {
        Placement {
            agent: AgentId::from_u128(1),
            subnet: SubnetId::from_u128(subnet),
            building: BuildingId::from_u128(subnet),
            from: UtcMicros(from),
            until: until.map(UtcMicros),
        }
    }

    #[test]
    fn a_move_changes_only_what_comes_after_it() {
        let before = [stay(1, 0, Some(10)), stay(2, 10, None)];
        let moved = [stay(1, 0, Some(10)), stay(2, 10, Some(30)), stay(1, 30, None)];
        assert_eq!(moved_from(&before, &moved), Some(UtcMicros(30)));
        assert_eq!(moved_from(&moved, &before), Some(UtcMicros(30)));
        assert_eq!(moved_from(&before, &before), None);
        assert_eq!(moved_from(&[], &before), Some(UtcMicros(0)));
        let elsewhere = [stay(3, 0, Some(10)), stay(2, 10, None)];
        assert_eq!(moved_from(&before, &elsewhere), Some(UtcMicros(0)));
    }

    #[test]
    fn days_of_utc_meet() {
        let (first, end) = slots_of_day(-1);
        assert_eq!((utc_day_of(first), utc_day_of(end.offset(-1)), utc_day_of(end)), (-1, -1, 0));
        assert_eq!(slots_of_day(0).0, end);
    }
}
