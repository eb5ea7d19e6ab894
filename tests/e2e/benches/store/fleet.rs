//! A fleet: paths of agents, each with windows of its own, restamped from a pool of series.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use busyhour_model::{
    AddressFamily, AgentId, BlockNo, Body, BootId, BootMicros, Context, Epoch, Link, LinkKind,
    PathKey, ProfileName, Record, RequirementProfile, Schedule, ScheduleRevision, Stamp,
    TargetName, TrafficClass, Transport, UtcMicros, Window, limits_in_force,
};
use busyhour_store::{BlockRows, JudgedWindow};

use crate::paths::Kind;
use crate::series::{Observed, PERIOD_US, Series};

/// Everything runs under this schedule: a window a minute.
pub(crate) const SCHEDULE: Schedule =
    Schedule { revision: ScheduleRevision(3), period_us: PERIOD_US as u64 };
const PACKETS: u32 = 750;
/// What paths are judged by.
const REQUIREMENT: RequirementProfile = RequirementProfile::ClientToMicrosoftEdge;
/// Agents have numbers from here on.
const FIRST_AGENT: u128 = 0x6275_7379_686f_7572_0000_0000_0000_0000;

/// One path.
struct FleetPath {
    key: PathKey,
    context: Context,
    series: usize,
    /// Where in its series it begins.
    phase: usize,
    /// When in the minute its windows begin, in microseconds.
    within_us: i64,
    boot: BootId,
    source_port: u16,
    ssid: u16,
}

/// Paths and where their windows come from.
pub(crate) struct Fleet {
    pool: Vec<Series>,
    paths: Vec<FleetPath>,
    per_agent: usize,
    /// When minute 0 begins.
    from: UtcMicros,
}

/// A window of the pool, and what makes it a path's of a minute.
pub(crate) struct Restamped<'f> {
    /// Which series of the pool, and which of its windows.
    pub(crate) pooled: (usize, usize),
    pub(crate) window: &'f Window,
    pub(crate) stamp: Stamp,
    pub(crate) first_sequence: u32,
    /// The seen source port, too, where the window has one.
    pub(crate) source_port: u16,
    pub(crate) ssid: u16,
}

/// How many of each kind are in a pool of twenty: most paths are quiet.
pub(crate) const MIX: [(Kind, usize); 3] =
    [(Kind::Quiet, 14), (Kind::Wifi, 4), (Kind::Congested, 2)];

impl Fleet {
    /// `agents` agents with `per_agent` paths each; path `n` takes series `n` modulo the pool.
    pub(crate) fn new(pool: Vec<Series>, agents: usize, per_agent: usize, from: UtcMicros) -> Self {
        let paths = (0..agents * per_agent).map(|number| {
            let kind = pool[number % pool.len()].kind;
            let length = pool[number % pool.len()].windows.len();
            FleetPath::new(number, per_agent, kind, number % pool.len(), number * 7 % length)
        });
        let paths = paths.collect();
        Self { pool, paths, per_agent, from }
    }

    /// The windows that those of the paths are restamped from.
    pub(crate) fn pool(&self) -> &[Series] {
        &self.pool
    }

    pub(crate) fn paths(&self) -> usize {
        self.paths.len()
    }

    pub(crate) fn agents(&self) -> usize {
        self.paths.len() / self.per_agent
    }

    /// The numbers of an agent's paths.
    pub(crate) fn paths_of(&self, agent: usize) -> std::ops::Range<usize> {
        agent * self.per_agent..(agent + 1) * self.per_agent
    }

    pub(crate) fn agent_of(&self, path: usize) -> usize {
        path / self.per_agent
    }

    pub(crate) fn key(&self, path: usize) -> &PathKey {
        &self.paths[path].key
    }

    /// The path that an agent calls by this name.
    pub(crate) fn path_named(&self, agent: AgentId, key: &PathKey) -> usize {
        let agent = (agent.as_u128() - FIRST_AGENT) as usize;
        let own = self.paths_of(agent);
        own.into_iter().find(|&path| self.paths[path].key == *key).expect("a path of the fleet")
    }

    /// When a minute begins.
    pub(crate) fn minute(&self, minute: i64) -> UtcMicros {
        UtcMicros(self.from.0 + minute * PERIOD_US)
    }

    /// What a path's window of a minute is made of.
    pub(crate) fn restamped(&self, path: usize, minute: i64) -> Restamped<'_> {
        let owner = &self.paths[path];
        let windows = &self.pool[owner.series].windows;
        let at = (owner.phase + minute as usize) % windows.len();
        let Observed { slewed_us, duration_us, .. } = &windows[at];
        let planned = self.minute(minute).0 + owner.within_us;
        // Booted five days before.
        let since_boot = minute * PERIOD_US + owner.within_us + 432_000_000_000;
        let boot = BootMicros(since_boot as u64);
        let stamp = Stamp::new(UtcMicros(planned + slewed_us), boot, owner.boot, *duration_us);
        Restamped {
            pooled: (owner.series, at),
            window: &windows[at].window,
            stamp: stamp.expect("a short duration"),
            first_sequence: (minute as u32).wrapping_mul(PACKETS),
            source_port: owner.source_port,
            ssid: owner.ssid,
        }
    }

    /// The window that a path measured in a minute, restamped, and its stamp.
    fn observed(&self, path: usize, minute: i64) -> (Stamp, Window) {
        let Restamped { window, stamp, first_sequence, source_port, ssid, .. } =
            self.restamped(path, minute);
        let mut parts = window.clone().into_parts();
        parts.path = self.paths[path].key.clone();
        parts.first_sequence = first_sequence;
        parts.source_port = source_port;
        parts.seen_source_port = parts.seen_source_port.map(|_| source_port);
        parts.ssid = ssid;
        (stamp, Window::new(parts).expect("it was one before"))
    }

    /// The window that a path measured in a minute, judged.
    pub(crate) fn window(&self, path: usize, minute: i64) -> JudgedWindow {
        let (stamp, window) = self.observed(path, minute);
        let table = limits_in_force(REQUIREMENT, stamp.started).expect("published limits");
        JudgedWindow {
            placed: stamp.started,
            stamp,
            schedule: SCHEDULE.revision,
            context: self.paths[path].context.clone(),
            requirement: REQUIREMENT,
            limits: table.version,
            verdict: table.judge(&window),
            window,
        }
    }

    /// The same as an agent delivers it.
    pub(crate) fn record(&self, path: usize, minute: i64) -> Record {
        let (stamp, window) = self.observed(path, minute);
        let context = self.paths[path].context.clone();
        let body = Body::Window(Box::new(window));
        Record { stamp, schedule: SCHEDULE.revision, context, body }
    }

    /// A block of an agent, received a minute after `received_minute`.
    pub(crate) fn block(
        &self,
        agent: usize,
        block: u64,
        received_minute: i64,
        windows: Vec<JudgedWindow>,
    ) -> BlockRows {
        BlockRows {
            agent: agent_id(agent),
            epoch: Epoch(1),
            block: BlockNo(block),
            received: self.minute(received_minute + 1),
            schedules: vec![SCHEDULE],
            windows,
            others: Vec::new(),
            quarantined: Vec::new(),
        }
    }
}

impl FleetPath {
    fn new(number: usize, per_agent: usize, kind: Kind, series: usize, phase: usize) -> Self {
        let agent = number / per_agent;
        let (link, interface) = match kind {
            Kind::Wifi => (LinkKind::Wifi, "wlan0"),
            Kind::Quiet | Kind::Congested => (LinkKind::Wired, "eth0"),
        };
        let octets = (agent as u32).to_be_bytes();
        let local = IpAddr::V4(Ipv4Addr::new(10, octets[1], octets[2], 0));
        let far = number % per_agent;
        let far = [198, 51, 100 + (far / 200) as u8, 10 + (far % 200) as u8];
        let within = number as i64 * 7_919 % 40_000;
        let key = PathKey {
            link: Link::new(link, interface).expect("a name"),
            family: AddressFamily::Ipv4,
            target: TargetName::new(format!("edge-{}.media.example:862", number % per_agent))
                .expect("a name"),
            class: TrafficClass::Audio,
            profile: ProfileName::new("audio-50").expect("a name"),
            transport: Transport::Udp,
        };
        let context = Context {
            local_prefix: Some(ipnet::IpNet::new(local, 24).expect("a prefix")),
            resolved: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(far)), 862)),
            reflexive: None,
        };
        Self {
            key,
            context,
            series,
            phase,
            within_us: within * 1_000,
            boot: BootId::from_u128(FIRST_AGENT ^ (agent as u128) << 64),
            source_port: 50_000 + (number * 13 % 20_000 % 20) as u16,
            ssid: (number * 31 % 65_535 + 1) as u16,
        }
    }
}

/// The identity of an agent.
pub(crate) fn agent_id(agent: usize) -> AgentId {
    AgentId::from_u128(FIRST_AGENT + agent as u128)
}
