//! What a region consists of: buildings, subnets, agents, series, and the links that each series
//! passes.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use busyhour_model::LinkKind;
use fastrand::Rng;
use ipnet::{IpNet, Ipv4Net};
use jiff::tz::TimeZone;

use super::calendar::Calendar;
use super::clock::Span;
use super::country::{COUNTRIES, Country};
use super::draw::{Purpose, between, chance, lognormal, one_of, stream, weighted};
use super::mechanism::LinkType;
use super::plan::{Mechanisms, Plan};
use super::record::Reach;
use super::shape::Shape;
use super::truth::{NamedPlace, PlaceKind};

/// Targets that the world has.
pub(crate) const TARGETS: [&str; 3] = ["edge-1.example", "edge-2.example", "edge-3.example"];
/// The longest round trip of an empty path, in microseconds.
const LONGEST_US: f64 = 45e3;
/// Subnets that a building has room for in the address plan.
const SUBNETS: u32 = 6;

/// A building.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) name: String,
    pub(crate) city: &'static str,
    pub(crate) country: &'static Country,
    pub(crate) zone_name: &'static str,
    pub(crate) zone: TimeZone,
    pub(crate) shape: Shape,
    pub(crate) calendar: Calendar,
    /// People in it when it is busiest.
    pub(crate) people: f64,
}

/// A subnet.
#[derive(Debug, Clone)]
pub(crate) struct SubnetPlan {
    pub(crate) site: usize,
    pub(crate) prefix: IpNet,
    /// Its switch; none where it is of the air alone or of the tunnel.
    access: Option<usize>,
    /// Its air.
    radio: Option<usize>,
}

/// A machine that measures.
#[derive(Debug, Clone)]
pub(crate) struct AgentPlan {
    pub(crate) name: String,
    pub(crate) site: usize,
    pub(crate) subnet: usize,
    pub(crate) link: LinkKind,
}

/// A series.
#[derive(Debug, Clone)]
pub(crate) struct SeriesPlan {
    pub(crate) name: String,
    pub(crate) agent: usize,
    pub(crate) site: usize,
    /// A place in [`TARGETS`]; none for a series to the edge.
    pub(crate) target: Option<usize>,
    pub(crate) near: Option<usize>,
    /// The links it passes, by their places.
    pub(crate) path: Vec<usize>,
    /// The round trip of the empty path, in microseconds.
    pub(crate) base_us: f32,
}

impl SeriesPlan {
    pub(crate) fn reach(&self) -> Reach {
        if self.target.is_some() { Reach::Far } else { Reach::Near }
    }
}

/// Whose a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Upstream,
    Vpn,
    /// The line of a building.
    Uplink(usize),
    /// What all Wi-Fi of a building shares.
    Controller(usize),
    /// The switch of a subnet.
    Access(usize),
    /// The air of a subnet.
    Radio(usize),
    /// An agent's machine, with its cable.
    Machine(usize),
}

/// A link.
#[derive(Debug, Clone)]
pub(crate) struct LinkPlan {
    pub(crate) owner: Owner,
    pub(crate) kind: LinkType,
    /// What a delay of 1 in its table is, in microseconds.
    pub(crate) depth_us: f32,
    /// The buildings whose people load it.
    pub(crate) sites: Vec<usize>,
}

/// A region.
#[derive(Debug, Clone)]
pub(crate) struct Topology {
    pub(crate) region: u32,
    pub(crate) upstream: String,
    pub(crate) concentrator: String,
    pub(crate) sites: Vec<Site>,
    pub(crate) subnets: Vec<SubnetPlan>,
    pub(crate) agents: Vec<AgentPlan>,
    pub(crate) series: Vec<SeriesPlan>,
    pub(crate) links: Vec<LinkPlan>,
}

/// How many buildings each region has: 3 to 8 each, and what remains in the last.
pub(crate) fn region_sizes(plan: &Plan) -> Vec<u32> {
    let mut rng = stream(plan.seed, Purpose::Regions, 0, 0);
    let (mut left, mut sizes) = (plan.buildings, Vec::new());
    while left > 0 {
        let size = 3 + weighted(&mut rng, &[2.0, 3.0, 3.0, 2.0, 1.0, 1.0]) as u32;
        // What remains has to be a region, too.
        let size = if left < size + 3 { left } else { size };
        sizes.push(size);
        left -= size;
    }
    sizes
}

/// The types of links of one of the two sets, and how deep they are.
#[derive(Debug, Clone, Copy)]
struct Kit(Mechanisms);

impl Kit {
    fn upstream(self, rng: &mut Rng) -> (LinkType, f64) {
        match self.0 {
            Mechanisms::Tuning => (LinkType::Fifo, between(rng, 30e3, 90e3)),
            Mechanisms::HeldOut if chance(rng, 0.6) => {
                (LinkType::Docsis, between(rng, 90e3, 150e3))
            }
            Mechanisms::HeldOut => (LinkType::Aqm, between(rng, 10e3, 20e3)),
        }
    }

    fn concentrator(self, rng: &mut Rng) -> (LinkType, f64) {
        match self.0 {
            Mechanisms::Tuning => (LinkType::Fifo, between(rng, 15e3, 50e3)),
            Mechanisms::HeldOut if chance(rng, 0.5) => (LinkType::Policer, 1e3),
            Mechanisms::HeldOut => (LinkType::Aqm, between(rng, 10e3, 20e3)),
        }
    }

    fn uplink(self, rng: &mut Rng) -> (LinkType, f64) {
        let held_out = [LinkType::Policer, LinkType::Aqm, LinkType::Docsis, LinkType::Mobile];
        let kind = match self.0 {
            Mechanisms::Tuning => LinkType::Fifo,
            Mechanisms::HeldOut => held_out[weighted(rng, &[0.3, 0.3, 0.25, 0.15])],
        };
        let (low, high) = match kind {
            LinkType::Docsis => (90e3, 160e3),
            LinkType::Mobile => (180e3, 300e3),
            LinkType::Aqm => (8e3, 20e3),
            LinkType::Policer => (1e3, 1e3),
            _ => (20e3, 120e3),
        };
        (kind, lognormal(rng, f64::sqrt(low * high), 0.3).clamp(low, high))
    }

    fn access(self, rng: &mut Rng) -> (LinkType, f64) {
        match self.0 {
            Mechanisms::Tuning => (LinkType::Fifo, between(rng, 5e3, 50e3)),
            Mechanisms::HeldOut if chance(rng, 0.5) => (LinkType::Policer, 1e3),
            Mechanisms::HeldOut => (LinkType::Aqm, between(rng, 4e3, 12e3)),
        }
    }

    fn radio(self, rng: &mut Rng) -> (LinkType, f64) {
        match self.0 {
            Mechanisms::Tuning => (LinkType::Airtime, between(rng, 2e3, 4.5e3)),
            Mechanisms::HeldOut => (LinkType::Contention, between(rng, 0.7e3, 1.6e3)),
        }
    }
}

impl Topology {
    /// The region with that number, whose buildings begin at `first` in the world.
    pub(crate) fn draw(plan: &Plan, span: Span, region: u32, first: u32, size: u32) -> Self {
        let mut rng = stream(plan.seed, Purpose::Topology, region, 0);
        let country = &COUNTRIES[rng.usize(0..COUNTRIES.len())];
        let mut topology = Self {
            region,
            upstream: format!("upstream-{:03}", region + 1),
            concentrator: format!("vpn-{:03}", region + 1),
            sites: Vec::new(),
            subnets: Vec::new(),
            agents: Vec::new(),
            series: Vec::new(),
            links: Vec::new(),
        };
        let kit = Kit(plan.mechanisms);
        let everywhere: Vec<usize> = (0..size as usize).collect();
        let (kind, depth) = kit.upstream(&mut rng);
        let upstream = topology.add_link(Owner::Upstream, kind, depth, everywhere);
        let (kind, depth) = kit.concentrator(&mut rng);
        let concentrator = topology.add_link(Owner::Vpn, kind, depth, Vec::new());
        let target = rng.usize(0..TARGETS.len());
        let distance_us = between(&mut rng, 5e3, 32e3);
        for site in 0..size {
            topology.sites.push(draw_site(&mut rng, plan, span, country, first + site));
            let shared = Shared { kit, upstream, concentrator, target, distance_us };
            topology.add_building(&mut rng, &shared, site as usize, first + site);
        }
        topology
    }

    pub(crate) fn add_link(
        &mut self,
        owner: Owner,
        kind: LinkType,
        depth: f64,
        sites: Vec<usize>,
    ) -> usize {
        self.links.push(LinkPlan { owner, kind, depth_us: depth as f32, sites });
        self.links.len() - 1
    }

    fn add_building(&mut self, rng: &mut Rng, shared: &Shared, site: usize, number: u32) {
        let kit = shared.kit;
        let (kind, depth) = kit.uplink(rng);
        let uplink = self.add_link(Owner::Uplink(site), kind, depth, vec![site]);
        let wired = 1 + weighted(rng, &[0.52, 0.36, 0.12]);
        let wifi = 1 + weighted(rng, &[0.70, 0.30]);
        let controller = (wifi > 1).then(|| {
            let (kind, depth) = kit.radio(rng);
            self.add_link(Owner::Controller(site), kind, depth, vec![site])
        });
        // Some small networks are flat: the air of the first floor is in its subnet.
        let flat = wired > 1 && chance(rng, 0.25);
        let building = Building {
            site,
            number,
            uplink,
            controller,
            base_us: shared.distance_us + lognormal(rng, 9e3, 0.6).min(25e3),
            second: chance(rng, 0.07).then_some((shared.target + 1) % TARGETS.len()),
            near: chance(rng, 0.3),
        };
        for place in 0..wired {
            let subnet = self.add_subnet(site, number, place as u32);
            let (kind, depth) = kit.access(rng);
            let access = self.add_link(Owner::Access(subnet), kind, depth, vec![site]);
            self.subnets[subnet].access = Some(access);
            self.add_agents(rng, shared, &building, subnet, LinkKind::Wired);
        }
        let first_subnet = self.subnets.len() - wired;
        for place in 0..wifi {
            let shares_subnet = flat && place == 0;
            let subnet = if shares_subnet {
                first_subnet
            } else {
                self.add_subnet(site, number, 3 + place as u32)
            };
            let (kind, depth) = kit.radio(rng);
            let radio = self.add_link(Owner::Radio(subnet), kind, depth, vec![site]);
            self.subnets[subnet].radio = Some(radio);
            self.add_agents(rng, shared, &building, subnet, LinkKind::Wifi);
        }
        if chance(rng, 0.35) {
            let subnet = self.add_subnet(site, number, 5);
            self.links[shared.concentrator].sites.push(site);
            self.add_agents(rng, shared, &building, subnet, LinkKind::Vpn);
        }
    }

    fn add_subnet(&mut self, site: usize, number: u32, place: u32) -> usize {
        let third = (number * SUBNETS + place).min(0xffff);
        let address = Ipv4Addr::from(10 << 24 | third << 8);
        let prefix = IpNet::V4(Ipv4Net::new_assert(address, 24));
        self.subnets.push(SubnetPlan { site, prefix, access: None, radio: None });
        self.subnets.len() - 1
    }

    /// One agent in most subnets, two or three in some; each with its series.
    fn add_agents(
        &mut self,
        rng: &mut Rng,
        shared: &Shared,
        building: &Building,
        subnet: usize,
        link: LinkKind,
    ) {
        for _ in 0..=weighted(rng, &[0.88, 0.10, 0.02]) {
            let letter = match link {
                LinkKind::Wifi => 'f',
                LinkKind::Vpn => 'v',
                _ => 'w',
            };
            let place = self.agents.iter().filter(|agent| agent.site == building.site).count() + 1;
            let name = format!("b{:04}-{letter}{place}", building.number + 1);
            self.agents.push(AgentPlan { name, site: building.site, subnet, link });
            self.add_series(rng, shared, building, link);
        }
    }

    /// The series of the agent that was added last.
    fn add_series(&mut self, rng: &mut Rng, shared: &Shared, building: &Building, link: LinkKind) {
        let agent = self.agents.len() - 1;
        let AgentPlan { ref name, subnet, .. } = self.agents[agent];
        let name = name.clone();
        let SubnetPlan { access, radio, .. } = self.subnets[subnet];
        let inside: Vec<usize> = match link {
            LinkKind::Wifi => [radio, building.controller, access].into_iter().flatten().collect(),
            _ => access.into_iter().collect(),
        };
        let near = (building.near && link != LinkKind::Vpn).then(|| {
            let base_us = if link == LinkKind::Wifi { 2_500.0 } else { 600.0 };
            self.push_series(&name, agent, None, None, inside.clone(), base_us)
        });
        let mut outside = vec![building.uplink, shared.upstream];
        if link == LinkKind::Vpn {
            outside.push(shared.concentrator);
        }
        let path: Vec<usize> = inside.into_iter().chain(outside).collect();
        let tunnel_us = if link == LinkKind::Vpn { between(rng, 3e3, 12e3) } else { 0.0 };
        let base_us = building.base_us + tunnel_us + between(rng, 0.0, 1e3);
        for target in [Some(shared.target), building.second].into_iter().flatten() {
            let further_us = if target == shared.target { 0.0 } else { between(rng, 2e3, 12e3) };
            let base_us = (base_us + further_us).min(LONGEST_US) as f32;
            self.push_series(&name, agent, Some(target), near, path.clone(), base_us);
        }
    }

    fn push_series(
        &mut self,
        agent_name: &str,
        agent: usize,
        target: Option<usize>,
        near: Option<usize>,
        path: Vec<usize>,
        base_us: f32,
    ) -> usize {
        let end = target.and_then(|target| TARGETS.get(target)).copied().unwrap_or("near");
        let name = format!("{agent_name}/{}", end.trim_end_matches(".example"));
        let site = self.agents[agent].site;
        self.series.push(SeriesPlan { name, agent, site, target, near, path, base_us });
        self.series.len() - 1
    }

    /// Gives an agent's machine, with its cable, a link of its own on all of the agent's series.
    pub(crate) fn add_machine(&mut self, agent: usize, kind: LinkType, depth: f64) -> usize {
        let site = self.agents[agent].site;
        let link = self.add_link(Owner::Machine(agent), kind, depth, vec![site]);
        let series = self.series.iter_mut().filter(|series| series.agent == agent);
        series.for_each(|series| series.path.insert(0, link));
        link
    }

    /// The far series that pass a link, ascending.
    pub(crate) fn behind(&self, link: usize) -> Vec<u32> {
        self.far(|series| series.path.contains(&link))
    }

    fn far(&self, wanted: impl Fn(&SeriesPlan) -> bool) -> Vec<u32> {
        let series = self.series.iter().enumerate();
        let wanted = series.filter(|(_, series)| series.target.is_some() && wanted(series));
        wanted.map(|(place, _)| place as u32).collect()
    }

    /// The buildings of some series, ascending.
    pub(crate) fn buildings_of(&self, series: &[u32]) -> Vec<u32> {
        let site = |&series: &u32| self.series[series as usize].site as u32;
        series.iter().map(site).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// True when at least half of some buildings work on a day of the span.
    pub(crate) fn works_on(&self, sites: &[usize], day: usize) -> bool {
        let working = sites.iter().filter(|&&site| self.sites[site].calendar.works_on(day));
        2 * working.count() >= sites.len()
    }

    /// The name of whose link it is.
    pub(crate) fn place_of(&self, owner: Owner) -> NamedPlace {
        let site = |site: usize| self.sites[site].name.clone();
        let prefix = |subnet: usize| self.subnets[subnet].prefix.to_string();
        match owner {
            Owner::Upstream => NamedPlace::new(PlaceKind::Upstream, self.upstream.clone()),
            Owner::Vpn => NamedPlace::new(PlaceKind::Vpn, self.concentrator.clone()),
            Owner::Uplink(at) => NamedPlace::new(PlaceKind::Building, site(at)),
            Owner::Controller(at) => NamedPlace::on(PlaceKind::Link, site(at), LinkKind::Wifi),
            Owner::Access(subnet) => NamedPlace::new(PlaceKind::Subnet, prefix(subnet)),
            Owner::Radio(subnet) => {
                NamedPlace::on(PlaceKind::Subnet, prefix(subnet), LinkKind::Wifi)
            }
            Owner::Machine(agent) => {
                NamedPlace::new(PlaceKind::Agent, self.agents[agent].name.clone())
            }
        }
    }

    /// The other places behind which exactly these far series lie.
    pub(crate) fn same_as(&self, place: &NamedPlace, series: &[u32]) -> Vec<NamedPlace> {
        let same = |wanted: &dyn Fn(&SeriesPlan) -> bool| self.far(wanted) == series;
        let kinds = [LinkKind::Wired, LinkKind::Wifi, LinkKind::Vpn];
        let mut places = Vec::new();
        if same(&|_| true) {
            places.push(self.place_of(Owner::Upstream));
        }
        if same(&|series| self.agents[series.agent].link == LinkKind::Vpn) {
            places.push(self.place_of(Owner::Vpn));
        }
        for (at, site) in self.sites.iter().enumerate() {
            if same(&|series| series.site == at) {
                places.push(NamedPlace::new(PlaceKind::Building, site.name.clone()));
            }
            for kind in kinds {
                if same(&|series| series.site == at && self.agents[series.agent].link == kind) {
                    places.push(NamedPlace::on(PlaceKind::Link, site.name.clone(), kind));
                }
            }
        }
        for (at, subnet) in self.subnets.iter().enumerate() {
            let name = subnet.prefix.to_string();
            let inside = |series: &SeriesPlan| self.agents[series.agent].subnet == at;
            if same(&inside) {
                places.push(NamedPlace::new(PlaceKind::Subnet, name.clone()));
            }
            for kind in kinds {
                if same(&|series| inside(series) && self.agents[series.agent].link == kind) {
                    places.push(NamedPlace::on(PlaceKind::Subnet, name.clone(), kind));
                }
            }
        }
        for (at, agent) in self.agents.iter().enumerate() {
            if same(&|series| series.agent == at) {
                places.push(NamedPlace::new(PlaceKind::Agent, agent.name.clone()));
            }
        }
        places.retain(|other| other != place);
        places
    }
}

/// What the buildings of a region have in common.
#[derive(Debug, Clone, Copy)]
struct Shared {
    kit: Kit,
    upstream: usize,
    concentrator: usize,
    target: usize,
    distance_us: f64,
}

/// What the series of a building have in common.
#[derive(Debug, Clone, Copy)]
struct Building {
    site: usize,
    number: u32,
    uplink: usize,
    controller: Option<usize>,
    base_us: f64,
    /// A second target that all its agents talk to.
    second: Option<usize>,
    /// Its agents talk to its edge as well.
    near: bool,
}

fn draw_site(
    rng: &mut Rng,
    plan: &Plan,
    span: Span,
    country: &'static Country,
    number: u32,
) -> Site {
    let (city, zone_name) = one_of(rng, country.cities).unwrap_or(("London", "Europe/London"));
    let shape = Shape::draw(rng, plan.mechanisms);
    let mut days = stream(plan.seed, Purpose::Calendar, 0, number);
    Site {
        name: format!("{city} {:04}", number + 1),
        city,
        country,
        zone_name,
        zone: TimeZone::get(zone_name).expect("a test holds every zone to the bundled database"),
        shape,
        calendar: Calendar::draw(&mut days, span, country, shape),
        people: lognormal(rng, 140.0, 0.8).clamp(15.0, 2_000.0),
    }
}
