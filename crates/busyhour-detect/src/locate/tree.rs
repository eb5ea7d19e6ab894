//! The best explanation of votes by faults of upstream, buildings, links, subnets and agents.

use std::collections::{BTreeMap, BTreeSet};

use busyhour_model::LinkKind;

use super::{AGENT, BUILDING, CHILD_AGAINST, OTHER_LINK, RADIO, SUBNET, UPSTREAM, Votes, unit_of};
use crate::finding::Place;
use crate::fleet::{AgentNo, BuildingNo, Fleet, Reach, SeriesInfo, SubnetNo, UpstreamNo};

/// A subnet on one kind of link.
pub(super) type Unit = (LinkKind, SubnetNo);

/// What an agent's series say together.
#[derive(Debug, Clone, Copy, Default)]
struct Voice {
    far: f64,
    far_count: u32,
    near: f64,
}

impl Voice {
    fn far(self) -> f64 {
        if self.far_count == 0 { 0.0 } else { self.far / f64::from(self.far_count) }
    }

    /// For a fault within the building: what its edge sees says the same.
    fn inside(self) -> f64 {
        self.far() + self.near
    }

    /// For a fault beyond the edge: what its edge sees says the opposite.
    fn outside(self) -> f64 {
        // That the edge is fine speaks for what lies beyond it only where that suffers.
        let near = if self.far() > 0.0 { self.near } else { self.near.max(0.0) };
        self.far() - near
    }
}

/// A place with what it is worth if it is blamed, and what the best explanation of all within it is.
#[derive(Debug, Clone, Copy)]
struct Worth {
    own: f64,
    best: f64,
}

impl Worth {
    fn leaf(own: f64) -> Self {
        Self { own, best: own.max(0.0) }
    }

    fn whole(own: f64, parts: f64) -> Self {
        Self { own, best: own.max(parts).max(0.0) }
    }
}

type Agents = BTreeMap<AgentNo, Voice>;
type Units = BTreeMap<Unit, Agents>;

/// The votes behind one upstream.
pub(super) struct Tree {
    upstream: Option<UpstreamNo>,
    /// The buildings that reach the world through it; others were asked for another reason.
    behind: BTreeSet<BuildingNo>,
    buildings: BTreeMap<BuildingNo, Units>,
}

impl Tree {
    /// Sorts the votes; `near` tells whether series to the sites' edges have a say.
    pub(super) fn of(
        fleet: &Fleet,
        votes: &Votes,
        upstream: Option<UpstreamNo>,
        near: bool,
    ) -> Self {
        let mut buildings: BTreeMap<BuildingNo, Units> = BTreeMap::new();
        let mut behind = BTreeSet::new();
        for (&no, vote) in votes {
            let Some(info) = fleet.info(no) else { continue };
            if upstream.is_some_and(|upstream| Place::Upstream(upstream).holds(info)) {
                behind.insert(info.building);
            }
            if info.reach == Reach::Near && !near {
                continue;
            }
            let units = buildings.entry(info.building).or_default();
            let voice = units.entry(unit_of(info)).or_default().entry(info.agent).or_default();
            match info.reach {
                Reach::Far => {
                    voice.far += vote.weight;
                    voice.far_count += 1;
                }
                Reach::Near => voice.near += vote.weight,
            }
        }
        // An agent that saw nothing beyond the edge says nothing of what lies there.
        for units in buildings.values_mut() {
            for agents in units.values_mut() {
                agents.retain(|_, voice| voice.far_count > 0);
            }
            units.retain(|_, agents| !agents.is_empty());
        }
        buildings.retain(|_, units| !units.is_empty());
        Self { upstream, behind, buildings }
    }

    /// What the best explanation of everything is worth.
    pub(super) fn best(&self) -> f64 {
        let (inside, parts) = self.parts();
        let elsewhere = parts - inside;
        self.shared().map_or(parts, |own| own.max(inside) + elsewhere)
    }

    /// What the best explanations by faults of single buildings are worth together: of those behind
    /// the upstream, and of all.
    fn parts(&self) -> (f64, f64) {
        let mut sums = (0.0, 0.0);
        for (no, units) in &self.buildings {
            let best = building(units).best;
            sums.1 += best;
            if self.behind.contains(no) {
                sums.0 += best;
            }
        }
        sums
    }

    /// What the upstream is worth; `None` where fewer than two buildings were seen behind it.
    fn shared(&self) -> Option<f64> {
        let children = || self.buildings.iter().filter(|(no, _)| self.behind.contains(*no));
        let worth = |(_, units): (&BuildingNo, &Units)| {
            units.values().map(outside).sum::<f64>().max(CHILD_AGAINST)
        };
        let enough = children().count() >= 2;
        enough.then(|| children().map(worth).sum::<f64>() - UPSTREAM)
    }

    /// The place that the best explanation blames for what a series suffers, and how much worse the
    /// next best explanation is.
    pub(super) fn place_of(&self, info: &SeriesInfo) -> (Place, f64) {
        let (parts, _) = self.parts();
        let mut margin = f64::MAX;
        if let (Some(own), Some(upstream)) = (self.shared(), self.upstream) {
            if own > parts {
                return (Place::Upstream(upstream), own - parts);
            }
            margin = parts - own;
        }
        let none = (Place::Building(info.building), 0.0);
        let Some(units) = self.buildings.get(&info.building) else { return none };
        let whole = building(units);
        let parts = within(units);
        // A building of one unit is that unit, unless its edge tells them apart.
        let told_apart = units.len() > 1 || (whole.own - parts).abs() > SUBNET;
        if told_apart && whole.own >= parts {
            return (Place::Building(info.building), margin.min(whole.own - parts));
        }
        margin = margin.min(if told_apart { parts - whole.own } else { 0.0 });
        let (place, inner) = in_building(units, info);
        (place, margin.min(inner))
    }
}

/// The best explanation by parts of a building: by its links or by its subnets, each whole or by its
/// units. A tunnel is no kind of link of a subnet's own.
fn within(units: &Units) -> f64 {
    let by_links: f64 = links(units).values().map(|worth| worth.best).sum();
    let tunnels = units.iter().filter(|((link, _), _)| *link == LinkKind::Vpn);
    let by_subnets = subnets(units).values().map(|worth| worth.best).sum::<f64>()
        + tunnels.map(|(_, agents)| unit(agents).best).sum::<f64>();
    by_links.max(by_subnets)
}

fn building(units: &Units) -> Worth {
    let own: f64 = units.values().map(|agents| outside(agents).max(CHILD_AGAINST)).sum();
    Worth::whole(own - BUILDING, within(units))
}

fn links(units: &Units) -> BTreeMap<LinkKind, Worth> {
    let cost = |link| if link == LinkKind::Wifi { RADIO } else { OTHER_LINK };
    together(units.iter().map(|(&(link, _), agents)| (link, agents)), cost)
}

/// The subnets with all kinds of link that they have.
fn subnets(units: &Units) -> BTreeMap<SubnetNo, Worth> {
    let of = units.iter().filter(|((link, _), _)| *link != LinkKind::Vpn);
    together(of.map(|(&(_, subnet), agents)| (subnet, agents)), |_| SUBNET)
}

/// What several units are worth as one; what has one unit only is that unit.
fn together<'a, K: Ord + Copy>(
    units: impl Iterator<Item = (K, &'a Agents)>,
    cost: impl Fn(K) -> f64,
) -> BTreeMap<K, Worth> {
    let mut all: BTreeMap<K, (f64, f64, usize)> = BTreeMap::new();
    for (key, agents) in units {
        let (own, parts, count) = all.entry(key).or_default();
        *own += inside(agents).max(CHILD_AGAINST);
        *parts += unit(agents).best;
        *count += 1;
    }
    let worth = |(&key, &(own, parts, count)): (&K, &(f64, f64, usize))| {
        let own = if count > 1 { own - cost(key) } else { f64::MIN };
        (key, Worth::whole(own, parts))
    };
    all.iter().map(worth).collect()
}

fn unit(agents: &Agents) -> Worth {
    let parts: f64 = agents.values().map(|voice| Worth::leaf(voice.inside() - AGENT).best).sum();
    let own: f64 = agents.values().map(|voice| voice.inside().max(CHILD_AGAINST)).sum();
    if agents.len() > 1 { Worth::whole(own - SUBNET, parts) } else { Worth::leaf(own - SUBNET) }
}

fn inside(agents: &Agents) -> f64 {
    agents.values().map(|voice| voice.inside()).sum()
}

fn outside(agents: &Agents) -> f64 {
    agents.values().map(|voice| voice.outside()).sum()
}

/// The link, subnet or agent that a series' suffering belongs to.
fn in_building(units: &Units, info: &SeriesInfo) -> (Place, f64) {
    let Some(agents) = units.get(&unit_of(info)) else {
        return (Place::Building(info.building), 0.0);
    };
    // How much better each is than faults of single units.
    let apart = |holds: &dyn Fn(&Unit) -> bool| -> f64 {
        units.iter().filter(|(key, _)| holds(key)).map(|(_, agents)| unit(agents).best).sum()
    };
    let own = |worth: Option<&Worth>| worth.map_or(f64::MIN, |worth| worth.own);
    let link = own(links(units).get(&info.link)) - apart(&|key| key.0 == info.link);
    let of_subnet = |key: &Unit| key.1 == info.subnet && key.0 != LinkKind::Vpn;
    let subnet = match info.link {
        LinkKind::Vpn => f64::MIN,
        _ => own(subnets(units).get(&info.subnet)) - apart(&of_subnet),
    };
    if link > 0.0 && link >= subnet {
        return (Place::Link(info.building, info.link), link.min(link - subnet));
    }
    if subnet > 0.0 {
        return (Place::Subnet(info.subnet, None), subnet.min(subnet - link));
    }
    let mut margin = (-link).min(-subnet);
    if agents.len() > 1 {
        let whole = unit(agents).own;
        let parts: f64 =
            agents.values().map(|voice| Worth::leaf(voice.inside() - AGENT).best).sum();
        if parts >= whole {
            return (Place::Agent(info.agent), margin.min(parts - whole));
        }
        margin = margin.min(whole - parts);
    }
    // What a single agent suffers has to be somewhere: there is no finer place for it.
    let others = units.keys().any(|key| of_subnet(key) && key.0 != info.link);
    let only = others.then_some(info.link);
    (Place::Subnet(info.subnet, only), margin)
}
