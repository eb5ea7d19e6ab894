//! Numbers for what is judged: the engine knows buildings, subnets, agents, paths by their places in
//! lists, the store by their identities.
//!
//! Numbers are only ever appended while a [`Directory`] lives: a row that was made yesterday means the
//! same series tomorrow. What a series is like (what it shares, whether it ends at the site's edge)
//! follows the newest that is known.

use std::collections::BTreeMap;

use busyhour_detect::{
    AgentNo, Bin, BuildingNo, Fleet, Reach, SeriesInfo, SeriesNo, SubnetNo, TargetNo, UpstreamNo,
};
use busyhour_model::{
    AgentId, BuildingId, IncidentPlace, LinkKind, PathId, Placement, RequirementProfile, Subnet,
    SubnetId, TargetName, egress_network, is_microsoft_media,
};
use busyhour_store::PathRow;

use crate::inventory::{Inventory, JudgedSite, News};

/// A path in a subnet of a building: one series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SeriesKey {
    pub(crate) path: PathId,
    pub(crate) building: BuildingNo,
    pub(crate) subnet: SubnetNo,
}

/// Things in the order in which they came, and their numbers.
#[derive(Debug)]
struct Numbers<T> {
    list: Vec<T>,
    numbers: BTreeMap<T, u32>,
}

impl<T: Ord + Clone> Numbers<T> {
    const fn new() -> Self {
        Self { list: Vec::new(), numbers: BTreeMap::new() }
    }

    fn known(&self, thing: &T) -> Option<u32> {
        self.numbers.get(thing).copied()
    }

    /// Its number, and whether it is new.
    fn number(&mut self, thing: &T) -> (u32, bool) {
        if let Some(number) = self.known(thing) {
            return (number, false);
        }
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(thing.clone());
        self.numbers.insert(thing.clone(), number);
        (number, true)
    }

    fn get(&self, number: u32) -> Option<&T> {
        self.list.get(number as usize)
    }
}

/// The fleet, and what its numbers stand for.
pub(crate) struct Directory {
    pub(crate) fleet: Fleet,
    buildings: Numbers<BuildingId>,
    subnets: Numbers<(BuildingNo, SubnetId)>,
    agents: Numbers<AgentId>,
    upstreams: Numbers<String>,
    targets: Numbers<TargetName>,
    series: Numbers<SeriesKey>,
    of_building: Vec<Vec<SeriesNo>>,
    /// Each far series has the near one that runs beside it.
    paired: bool,
}

impl Directory {
    /// The buildings, subnets and agents of an inventory; series come when they are asked for.
    pub(crate) fn of(inventory: &Inventory) -> Self {
        let mut directory = Self {
            fleet: Fleet { bin: Bin::Quarter, ..Fleet::default() },
            buildings: Numbers::new(),
            subnets: Numbers::new(),
            agents: Numbers::new(),
            upstreams: Numbers::new(),
            targets: Numbers::new(),
            series: Numbers::new(),
            of_building: Vec::new(),
            paired: false,
        };
        for (id, judged) in &inventory.sites {
            directory.buildings.number(id);
            directory.fleet.buildings.push(judged.site.clone());
            directory.of_building.push(Vec::new());
        }
        for subnet in inventory.subnets.values() {
            if let Some(building) = directory.building_no(subnet.building) {
                directory.subnet_number(building, subnet);
            }
        }
        directory.name_agents(inventory);
        directory
    }

    /// Follows what is other than it was: agents that are new, addresses that targets resolve to, names.
    pub(crate) fn refresh(&mut self, inventory: &Inventory, news: &News) {
        if news.places {
            self.name_agents(inventory);
            let all: Vec<SeriesKey> = self.series.list.clone();
            self.describe_again(&all, inventory);
        } else if !news.paths.is_empty() {
            let others: Vec<SeriesKey> =
                news.paths.iter().flat_map(|&path| self.series_of_path(path)).collect();
            self.describe_again(&others, inventory);
        }
    }

    fn name_agents(&mut self, inventory: &Inventory) {
        for (id, (name, _)) in &inventory.agents {
            self.agent_number(*id, name);
        }
    }

    fn describe_again(&mut self, keys: &[SeriesKey], inventory: &Inventory) {
        for &key in keys {
            let Some(row) = inventory.path(key.path) else { continue };
            let mut info = self.describe(key, row, inventory);
            let Some(at) = self.series.known(&key) else { continue };
            if let Some(known) = self.fleet.series.get_mut(at as usize) {
                // Who runs beside it follows from all of them.
                info.near = known.near;
                self.paired &= info == *known;
                *known = info;
            }
        }
        // A target may be nobody's media any more.
        self.fleet.microsoft.clear();
        for (key, info) in self.series.list.iter().zip(&self.fleet.series) {
            if inventory.path(key.path).is_some_and(is_media) {
                self.fleet.microsoft.extend(info.target);
            }
        }
    }

    /// The series that a path is in one place or another.
    fn series_of_path(&self, path: PathId) -> Vec<SeriesKey> {
        let from = SeriesKey { path, building: BuildingNo(0), subnet: SubnetNo(0) };
        let all = self.series.numbers.range(from..).map(|(&key, _)| key);
        all.take_while(|key| key.path == path).collect()
    }

    /// True when all of its paths are still there; an agent that was forgotten takes its own along.
    pub(crate) fn holds(&self, inventory: &Inventory) -> bool {
        let agent = |id: &AgentId| inventory.agents.contains_key(id);
        self.agents.list.iter().all(agent)
            && self.series.list.iter().all(|key| inventory.path(key.path).is_some())
    }

    /// The series that a path is in a place; `None` for a path that is judged by nothing or of nobody
    /// known, in a building that cannot be judged, and in a subnet that is no longer the building's:
    /// nothing recurs there.
    pub(crate) fn series_of(
        &mut self,
        row: &PathRow,
        placement: &Placement,
        inventory: &Inventory,
    ) -> Option<SeriesNo> {
        let is_known = inventory.agents.contains_key(&row.agent);
        if row.requirement == RequirementProfile::None || !is_known {
            return None;
        }
        let building = self.building_no(placement.building)?;
        let subnet = inventory.subnets.get(&placement.subnet);
        let subnet = subnet.filter(|subnet| subnet.building == placement.building)?;
        let subnet = self.subnet_number(building, subnet);
        let key = SeriesKey { path: row.id, building, subnet };
        let (number, is_new) = self.series.number(&key);
        let series = SeriesNo(number);
        if is_new {
            let info = self.describe(key, row, inventory);
            self.fleet.series.push(info);
            self.paired = false;
            let own = self.of_building.get_mut(building.0 as usize);
            own.into_iter().for_each(|list| list.push(series));
        }
        Some(series)
    }

    pub(crate) fn building_no(&self, building: BuildingId) -> Option<BuildingNo> {
        self.buildings.known(&building).map(BuildingNo)
    }

    pub(crate) fn building_id(&self, building: BuildingNo) -> Option<BuildingId> {
        self.buildings.get(building.0).copied()
    }

    /// The number of a subnet that was met before.
    pub(crate) fn subnet_no(&self, building: BuildingNo, subnet: SubnetId) -> Option<SubnetNo> {
        self.subnets.known(&(building, subnet)).map(SubnetNo)
    }

    pub(crate) fn subnet_id(&self, subnet: SubnetNo) -> Option<SubnetId> {
        self.subnets.get(subnet.0).map(|(_, id)| *id)
    }

    pub(crate) fn agent_no(&self, agent: AgentId) -> Option<AgentNo> {
        self.agents.known(&agent).map(AgentNo)
    }

    pub(crate) fn agent_id(&self, agent: AgentNo) -> Option<AgentId> {
        self.agents.get(agent.0).copied()
    }

    /// The number of an upstream by its name, which may have none of its series any more.
    pub(crate) fn upstream_no(&mut self, name: &str) -> UpstreamNo {
        let (number, is_new) = self.upstreams.number(&name.to_owned());
        let upstream = UpstreamNo(number);
        if is_new {
            self.fleet.upstreams.push(name.to_owned());
            if IncidentPlace::Upstream(name.to_owned()).egress().is_none() {
                self.fleet.regions.insert(upstream);
            }
        }
        upstream
    }

    pub(crate) fn upstream(&self, upstream: UpstreamNo) -> Option<&String> {
        self.upstreams.get(upstream.0)
    }

    /// The number of a target by its name, which nobody may talk to any more.
    pub(crate) fn target_no(&mut self, name: &TargetName) -> TargetNo {
        let (number, is_new) = self.targets.number(name);
        if is_new {
            self.fleet.targets.push(name.to_string());
        }
        TargetNo(number)
    }

    pub(crate) fn target(&self, target: TargetNo) -> Option<&TargetName> {
        self.targets.get(target.0)
    }

    pub(crate) fn key(&self, series: SeriesNo) -> Option<SeriesKey> {
        self.series.get(series.0).copied()
    }

    /// The series of a building, ascending.
    pub(crate) fn of_building(&self, building: BuildingNo) -> &[SeriesNo] {
        self.of_building.get(building.0 as usize).map_or(&[], Vec::as_slice)
    }

    /// Targets that anybody ever talked to.
    pub(crate) fn targets(&self) -> impl Iterator<Item = (TargetNo, &TargetName)> {
        (0..).map(TargetNo).zip(&self.targets.list)
    }

    fn subnet_number(&mut self, building: BuildingNo, subnet: &Subnet) -> SubnetNo {
        let (number, is_new) = self.subnets.number(&(building, subnet.id));
        if is_new {
            let name = format!("{} ({})", subnet.columns.network_name, subnet.prefix);
            self.fleet.subnets.push(name);
        }
        SubnetNo(number)
    }

    fn agent_number(&mut self, agent: AgentId, name: &str) -> AgentNo {
        let (number, is_new) = self.agents.number(&agent);
        if is_new {
            self.fleet.agents.push(name.to_owned());
        } else if let Some(known) = self.fleet.agents.get_mut(number as usize)
            && known != name
        {
            name.clone_into(known);
        }
        AgentNo(number)
    }

    /// What a series is like by the newest that is known of its path.
    fn describe(&mut self, key: SeriesKey, row: &PathRow, inventory: &Inventory) -> SeriesInfo {
        let (name, simulated) = inventory
            .agents
            .get(&row.agent)
            // An alert that should not leave the machine never does.
            .map_or((String::new(), true), |(name, simulated)| (name.clone(), *simulated));
        let agent = self.agent_number(row.agent, &name);
        let building = self.building_id(key.building);
        let reach = match building {
            Some(building) if ends_within(building, row, inventory) => Reach::Near,
            _ => Reach::Far,
        };
        let link = row.key.link.kind();
        let far = reach == Reach::Far;
        let subnet = self.subnet_id(key.subnet);
        let upstream = far.then(|| {
            let tunnel = (link == LinkKind::Vpn).then(|| concentrator_of(row)).flatten();
            tunnel.or_else(|| upstream_of(subnet, building, inventory))
        });
        let target = far.then(|| self.target_no(&row.key.target));
        if is_media(row) {
            self.fleet.microsoft.extend(target);
        }
        SeriesInfo {
            name: format!("{name} to {} ({link})", row.key.target),
            building: key.building,
            subnet: key.subnet,
            agent,
            link,
            target,
            upstream: upstream.flatten().map(|name| self.upstream_no(&name)),
            reach,
            requirement: row.requirement,
            near: None,
            simulated,
        }
    }

    /// Gives each far series the one to the edge that runs beside it: of the same agent; or else of
    /// the same subnet and link, or of the building, where only one is in question. To be done when
    /// all series of a round are there.
    pub(crate) fn pair_near(&mut self) {
        if std::mem::replace(&mut self.paired, true) {
            return;
        }
        let mut of_agent: BTreeMap<(BuildingNo, AgentNo, LinkKind), SeriesNo> = BTreeMap::new();
        let mut of_unit: BTreeMap<(SubnetNo, LinkKind), Option<SeriesNo>> = BTreeMap::new();
        let mut of_building: BTreeMap<BuildingNo, Option<SeriesNo>> = BTreeMap::new();
        for (number, info) in (0..).zip(&self.fleet.series) {
            if info.reach == Reach::Near {
                let near = SeriesNo(number);
                of_agent.entry((info.building, info.agent, info.link)).or_insert(near);
                only(of_unit.entry((info.subnet, info.link)), near);
                only(of_building.entry(info.building), near);
            }
        }
        for info in self.fleet.series.iter_mut().filter(|info| info.reach == Reach::Far) {
            let unit = || of_unit.get(&(info.subnet, info.link)).copied().flatten();
            let building = || of_building.get(&info.building).copied().flatten();
            let own = of_agent.get(&(info.building, info.agent, info.link)).copied();
            info.near = own.or_else(unit).or_else(building);
        }
    }
}

/// Notes a candidate; a second one leaves none.
fn only<K: Ord>(
    entry: std::collections::btree_map::Entry<'_, K, Option<SeriesNo>>,
    near: SeriesNo,
) {
    entry.and_modify(|known| *known = None).or_insert(Some(near));
}

/// True when a path's target is one of Microsoft's for media.
fn is_media(row: &PathRow) -> bool {
    row.context.resolved.is_some_and(|at| is_microsoft_media(at.ip()))
}

/// True when a path's target lies in a subnet of the building itself.
fn ends_within(building: BuildingId, row: &PathRow, inventory: &Inventory) -> bool {
    row.context.resolved.is_some_and(|target| inventory.is_within(building, target.ip()))
}

/// What a tunnel ends at: the network that its packets are seen from on the Internet, where that is
/// known.
fn concentrator_of(row: &PathRow) -> Option<String> {
    egress_network(row.context.reflexive?).map(|net| net.to_string())
}

/// What a subnet shares with others on its way out: its egress prefix, else the building's region.
fn upstream_of(
    subnet: Option<SubnetId>,
    building: Option<BuildingId>,
    inventory: &Inventory,
) -> Option<String> {
    let subnet = subnet.and_then(|subnet| inventory.subnets.get(&subnet));
    if let Some(egress) = subnet.and_then(|subnet| subnet.egress) {
        return Some(egress.to_string());
    }
    let region = |site: &JudgedSite| Some(site.region.clone()).filter(|name| !name.is_empty());
    building.and_then(|building| inventory.sites.get(&building)).and_then(region)
}
