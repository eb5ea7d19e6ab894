//! The fleet: buildings with two subnets and five agents, each of which measures to the site's edge and
//! to two targets beyond it; and what breaks where.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use busyhour_model::{
    AddressFamily, AgentId, BlockNo, Body, BootId, BootMicros, BuildingId, BuildingLoad, Context,
    Epoch, FileBuilding, FileSubnet, Link, LinkKind, Load, LoadSource, NetworkColumns, PathId,
    PathKey, ProfileName, Record, Schedule, ScheduleRevision, Stamp, TargetName, TrafficClass,
    Transport, UtcMicros,
};
use busyhour_store::{Binding, BlockRows, NewAgent, PathRow};
use ipnet::IpNet;
use jiff::ToSpan as _;
use jiff::civil::{Date, date};

use crate::slots::{Draw, Trouble, judged};

/// 2026-08-31 00:00 UTC, a Monday; the clocks of all buildings are two hours ahead until the end of
/// October.
pub(crate) const BEGIN: UtcMicros = UtcMicros::from_secs(1_788_134_400);
/// The same as a date.
pub(crate) const FIRST_DATE: Date = date(2026, 8, 31);
/// One window a minute.
pub(crate) const SCHEDULE: Schedule =
    Schedule { revision: ScheduleRevision(1), period_us: 60_000_000 };
/// Agents of a building, the last two on Wi-Fi in a subnet of their own.
pub(crate) const AGENTS: usize = 5;
const WIRED: usize = 3;
/// The targets of an agent: the site's edge, and two beyond it.
pub(crate) const TARGETS: [&str; 3] =
    ["edge.site.example:862", "media-1.example:862", "media-2.example:862"];
/// Paths of a building.
pub(crate) const PATHS: usize = AGENTS * TARGETS.len();
/// One zone, so that one date is one day of slots.
const ZONES: [&str; 4] = ["Europe/Berlin", "Europe/Madrid", "Europe/Paris", "Europe/Rome"];
/// Buildings whose way out is shared.
const REGION: usize = 50;
/// The region whose way out is too small.
const BAD_REGION: usize = 7;
const DAY_MINUTES: i64 = 1_440;
/// Agents have numbers from here on.
const FIRST_AGENT: u128 = 0x6275_7379_686f_7572_0000_0000_0000_0000;

/// A path by its number in the fleet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FleetPath(pub(crate) usize);

impl FleetPath {
    pub(crate) const fn building(self) -> usize {
        self.0 / PATHS
    }

    /// Its agent, among all.
    pub(crate) const fn agent(self) -> usize {
        self.0 / TARGETS.len()
    }

    pub(crate) const fn target(self) -> usize {
        self.0 % TARGETS.len()
    }

    const fn is_near(self) -> bool {
        self.target() == 0
    }

    const fn is_wifi(self) -> bool {
        self.agent() % AGENTS >= WIRED
    }

    /// What is the matter with it on a day, counted from the first: some six in a hundred paths
    /// suffer on a working day.
    pub(crate) fn trouble(self, day: i64) -> Trouble {
        let building = self.building();
        let working = day.rem_euclid(7) < 5;
        let draw =
            fastrand::Rng::with_seed((self.0 as u64) << 16 | day.unsigned_abs()).u32(..1_000);
        // Nearly every working day: what pauses is found by its recurrence too.
        let busy = working && day.rem_euclid(5) != 3;
        match building % 40 {
            _ if self.is_near() => Trouble::None,
            3 if self.agent() % AGENTS == 1 => Trouble::Constant,
            1 if busy => Trouble::Peak,
            2 if busy && self.is_wifi() => Trouble::Peak,
            _ if busy && building / REGION == BAD_REGION => Trouble::Peak,
            _ if draw < 10 => Trouble::Spell,
            _ if working => Trouble::None,
            _ => Trouble::Weekend,
        }
    }

    pub(crate) fn key(self) -> PathKey {
        let link = if self.is_wifi() {
            Link::new(LinkKind::Wifi, "wlan0")
        } else {
            Link::new(LinkKind::Wired, "eth0")
        };
        PathKey {
            link: link.expect("a name"),
            family: AddressFamily::Ipv4,
            target: TargetName::new(TARGETS[self.target()]).expect("a name"),
            class: TrafficClass::Audio,
            profile: ProfileName::new("audio-50").expect("a name"),
            transport: Transport::Udp,
        }
    }

    fn context(self) -> Context {
        let subnet = subnet(self.building(), self.is_wifi());
        let far = Ipv4Addr::new(198, 51, 100, 10 * self.target() as u8);
        let address = if self.is_near() { edge_of(subnet) } else { IpAddr::V4(far) };
        Context {
            local_prefix: Some(subnet),
            resolved: Some(SocketAddr::new(address, 862)),
            reflexive: None,
        }
    }
}

/// The identity of an agent.
pub(crate) fn agent_id(agent: usize) -> AgentId {
    AgentId::from_u128(FIRST_AGENT + agent as u128)
}

/// When a minute of a day begins.
pub(crate) fn minute(day: i64, minute: i64) -> UtcMicros {
    UtcMicros::from_secs(BEGIN.as_secs() + (day * DAY_MINUTES + minute) * 60)
}

/// The local date of a day.
pub(crate) fn date_of(day: i64) -> Date {
    FIRST_DATE.saturating_add(day.days())
}

/// The store's numbers of the paths of so many buildings, in the fleet's order.
pub(crate) fn ids(rows: Vec<PathRow>, buildings: usize) -> Vec<PathId> {
    let known: HashMap<_, _> = rows.into_iter().map(|row| ((row.agent, row.key), row.id)).collect();
    let id = |path: FleetPath| {
        let key = (agent_id(path.agent()), path.key());
        known.get(&key).copied().expect("every path came")
    };
    (0..buildings * PATHS).map(|path| id(FleetPath(path))).collect()
}

/// The building file.
pub(crate) fn file(buildings: usize) -> Vec<FileBuilding> {
    let building = |number: usize| {
        let region = format!("region {:02}", number / REGION);
        let network = |wifi: bool| FileSubnet {
            prefix: subnet(number, wifi),
            egress: None,
            columns: NetworkColumns {
                network_name: if wifi { "Wi-Fi" } else { "Office" }.to_owned(),
                ownership_type: String::new(),
                building_type: String::new(),
                building_office_type: String::new(),
                city: String::new(),
                zip_code: String::new(),
                country: "DE".to_owned(),
                state: String::new(),
                region: region.clone(),
                inside_corp: true,
                express_route: false,
                vpn: false,
            },
        };
        FileBuilding {
            name: format!("Building {number:04}"),
            city: String::new(),
            country: "DE".to_owned(),
            region: region.clone(),
            time_zone: Some(ZONES[number % ZONES.len()].to_owned()),
            business_hours: Some("Mo-Fr 08:00-18:00".parse().expect("hours")),
            holidays: std::collections::BTreeSet::new(),
            subnets: vec![network(false), network(true)],
        }
    };
    (0..buildings).map(building).collect()
}

/// An agent as it is let in.
pub(crate) fn new_agent(agent: usize) -> NewAgent {
    let wifi = agent % AGENTS >= WIRED;
    NewAgent {
        id: agent_id(agent),
        name: format!("agent-{agent:05}"),
        secret_sha256: [0; 32],
        simulated: true,
        binding: Binding::Subnet { prefix: subnet(agent / AGENTS, wifi), egress: None },
        added: BEGIN,
    }
}

/// One window of each path of some agents, in blocks of this number.
pub(crate) fn windows(
    draw: &mut Draw,
    agents: std::ops::Range<usize>,
    at: (i64, i64),
    block: u64,
) -> Vec<BlockRows> {
    let started = minute(at.0, at.1);
    agents
        .map(|agent| {
            let paths = (0..TARGETS.len()).map(|target| FleetPath(agent * TARGETS.len() + target));
            let windows = paths.map(|path| {
                let window = draw.window(&path.key(), at.1, path.trouble(at.0));
                judged(window, stamp(agent, started, 15), path.context())
            });
            rows(agent, block, started, windows.collect(), Vec::new())
        })
        .collect()
}

/// The load that an agent's machine saw in the first minutes of a day, as one block.
pub(crate) fn loads(agent: usize, day: i64, minutes: i64, block: u64) -> BlockRows {
    let others = (0..minutes).map(|at| {
        let bytes = (load(day, at) * 60.0) as u64;
        Record {
            stamp: stamp(agent, minute(day, at), 60),
            schedule: SCHEDULE.revision,
            context: Context::default(),
            body: Body::Load(Load {
                interface: "eth0".to_owned(),
                received_bytes: bytes,
                sent_bytes: bytes / 8,
                received_packets: bytes / 900,
                sent_packets: bytes / 2_000,
                link_bits_per_second: Some(1_000_000_000),
            }),
        }
    });
    rows(agent, block, minute(day, minutes), Vec::new(), others.collect())
}

/// What a building's machines moved on a day, as the judge would have summed it.
pub(crate) fn building_load(building: BuildingId, day: i64) -> BuildingLoad {
    // Local time is two hours ahead: no day begins with the day of UTC.
    let quarter = |at: usize| load(day, at as i64 * 15 - 120) * 1.125;
    BuildingLoad {
        building,
        date: date_of(day),
        source: LoadSource::Agents,
        machines: AGENTS as u32,
        quarters: std::array::from_fn(|at| Some(quarter(at) as f32)),
    }
}

/// Bytes a second at a minute of a day of UTC: people are there from eight to six local time.
fn load(day: i64, minute: i64) -> f64 {
    let working = day.rem_euclid(7) < 5 && (360..960).contains(&minute);
    if working { 400_000.0 } else { 8_000.0 }
}

fn stamp(agent: usize, started: UtcMicros, seconds: u64) -> Stamp {
    let boot = BootId::from_u128(FIRST_AGENT ^ (agent as u128) << 64);
    // Booted five days before the first.
    let since = (started.0 - BEGIN.0 + 432_000_000_000).unsigned_abs();
    Stamp::new(started, BootMicros(since), boot, seconds * 1_000_000).expect("a short duration")
}

fn rows(
    agent: usize,
    block: u64,
    received: UtcMicros,
    windows: Vec<busyhour_store::JudgedWindow>,
    others: Vec<Record>,
) -> BlockRows {
    BlockRows {
        agent: agent_id(agent),
        epoch: Epoch(1),
        block: BlockNo(block),
        received: UtcMicros(received.0 + 60_000_000),
        schedules: vec![SCHEDULE],
        windows,
        others,
        quarantined: Vec::new(),
    }
}

/// A subnet of a building.
fn subnet(building: usize, wifi: bool) -> IpNet {
    let [high, low] = ((building * 2 + usize::from(wifi)) as u16).to_be_bytes();
    IpNet::new(IpAddr::V4(Ipv4Addr::new(10, high, low, 0)), 24).expect("a prefix")
}

/// The first address of a subnet: the site's edge.
fn edge_of(subnet: IpNet) -> IpAddr {
    subnet.hosts().next().expect("a subnet with addresses")
}
