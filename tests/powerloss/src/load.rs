//! What is put on the store: blocks of several agents as they come in practice, live, late, twice,
//! with losses that reports settle, with everything that is not a window, and now and then something
//! that cannot be read. The same seed gives the same load.

use std::fmt;
use std::time::Duration;

use busyhour_model::{
    AddressFamily, AgentId, BlockNo, Body, BootId, BootMicros, Check, CheckOutcome, Context, Epoch,
    Fact, Gap, GapReason, Histogram, LIMITS, LimitsVersion, Link, LinkKind, Load, PacketCounts,
    PathKey, ProfileName, Record, RequirementProfile, Schedule, ScheduleRevision, SessionReport,
    SessionReportParts, Stamp, TargetName, TrafficClass, Transport, UtcMicros, Window, WindowParts,
};
use busyhour_store::{BlockRows, FoldOptions, JudgedWindow, Quarantined, Retention};
use fastrand::Rng;

/// How long the store under test keeps things: less than it is given lasts, so that pruning has to do.
pub const RETENTION: Retention = Retention {
    windows_days: 20,
    slots_days: 28,
    hours_days: 400,
    checks_days: 60,
    facts_days: 60,
    loads_days: 60,
    gaps_days: 60,
};

/// When the store under test folds its journal: every few appends.
pub const FOLDING: FoldOptions =
    FoldOptions { after_bytes: 48 << 10, after: Duration::from_secs(3_600) };

/// 2026-11-02T00:00:00Z, a Monday.
const BEGIN: i64 = 1_793_577_600_000_000;
const SECOND: i64 = 1_000_000;
const DAY: i64 = 24 * 3_600 * SECOND;
/// When blocks come, in days after the beginning; nothing is of a later time.
const LAST_DAY: i64 = 40;
/// When what is too old goes, in days after the beginning.
const PRUNED_DAY: i64 = 50;
/// Packets of a window.
const PACKETS: u32 = 750;
/// The agent whose reflector reports.
const REFLECTOR: AgentId = AgentId::from_u128(0xfe);
const MEASURING: [AgentId; 4] = [
    AgentId::from_u128(0xa1),
    AgentId::from_u128(0xa2),
    AgentId::from_u128(0xa3),
    AgentId::from_u128(0xa4),
];
const TARGETS: [&str; 5] = ["edge.example:3478", "b:862", "c:862", "d:862", "e:862"];

/// All agents that may send.
#[must_use]
pub fn agents() -> Vec<AgentId> {
    MEASURING.into_iter().chain([REFLECTOR]).collect()
}

/// The spool of every agent.
pub const EPOCH: Epoch = Epoch(0xfeed_beef_0bad_cafe);

/// One thing done to the store.
#[derive(Debug, Clone)]
pub enum Step {
    /// Blocks to append in one call.
    Append(Vec<BlockRows>),
    /// An agent to let in, of [`crate::inventory`].
    AddAgent(u32),
    /// A building file to import, of [`crate::inventory`].
    Import(u32),
    /// All days to judge are judged.
    Judge,
    /// The store is closed and opened again.
    Reopen,
    /// What the journal holds goes into partitions.
    Fold,
    /// All slots are judged again.
    Rejudge,
    /// What is too old at this moment goes.
    Prune(UtcMicros),
    /// Everything of an agent goes.
    Forget(AgentId),
}

impl Step {
    /// True when a step that was interrupted happened or did not. The others may have happened in
    /// parts, and doing them again is right.
    #[must_use]
    pub const fn is_atomic(&self) -> bool {
        match self {
            Self::Append(_) | Self::AddAgent(_) | Self::Import(_) | Self::Judge => true,
            Self::Reopen | Self::Fold => true,
            Self::Rejudge | Self::Prune(_) | Self::Forget(_) => false,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Append(blocks) => {
                write!(f, "append")?;
                blocks.iter().try_for_each(|block| {
                    let agent = block.agent.to_bytes()[15];
                    write!(f, " {agent:x}:{} ({} windows)", block.block.0, block.windows.len())
                })
            }
            other => write!(f, "{other:?}"),
        }
    }
}

/// A run of steps: so many of a fleet's usual life, then some that move much about.
#[must_use]
pub fn steps(seed: u64, count: usize) -> Vec<Step> {
    let mut fleet = Fleet::new(seed);
    let mut steps = fleet.usual(count);
    steps.extend([Step::Rejudge, fleet.append(), Step::Forget(MEASURING[0]), fleet.append()]);
    let pruned = fleet.later();
    steps.extend([Step::Prune(pruned), fleet.append(), Step::Forget(MEASURING[1])]);
    steps.extend([fleet.append(), Step::Fold, fleet.append(), Step::Prune(pruned)]);
    steps
}

/// A run of steps after which a store has few files, of every kind and well filled, and something in
/// its journal.
#[must_use]
pub fn steps_to_full_files(seed: u64) -> Vec<Step> {
    let mut fleet = Fleet::new(seed);
    let mut steps = fleet.usual(5);
    steps.push(Step::Prune(fleet.later()));
    let live = (1..150_u64).filter(|number| !number.is_multiple_of(LATE));
    let all = live.map(|number| SMALL.map(|agent| small_block(agent, number)).to_vec());
    steps.extend(all.map(Step::Append));
    steps.insert(steps.len() - 3, Step::Fold);
    steps
}

struct Fleet {
    random: Rng,
    /// Where the live data of each measuring agent is.
    live: [i64; MEASURING.len()],
    /// Where its late data is: another time, so that no two windows of a path begin together.
    late: [i64; MEASURING.len()],
    blocks: [u64; MEASURING.len() + 1],
    /// Windows whose losses are to be settled.
    unsettled: Vec<JudgedWindow>,
    sent: Vec<BlockRows>,
    acts: u32,
    /// When blocks come.
    now: i64,
}

impl Fleet {
    fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        Self {
            live: [BEGIN + 24 * DAY; MEASURING.len()],
            late: std::array::from_fn(|_| BEGIN + random.i64(14 * DAY..22 * DAY)),
            random,
            blocks: [0; MEASURING.len() + 1],
            unsettled: Vec::new(),
            sent: Vec::new(),
            acts: 0,
            now: BEGIN + LAST_DAY * DAY,
        }
    }

    fn usual(&mut self, count: usize) -> Vec<Step> {
        (0..count).map(|number| self.step(number)).collect()
    }

    /// Ten days pass: what came before is too old, and does not come again.
    fn later(&mut self) -> UtcMicros {
        self.now = BEGIN + PRUNED_DAY * DAY;
        self.live = [self.now - 2 * DAY; MEASURING.len()];
        self.late = [self.now - 5 * DAY; MEASURING.len()];
        self.sent.clear();
        UtcMicros(self.now)
    }

    fn step(&mut self, number: usize) -> Step {
        match self.random.u8(..20) {
            0 if number > 3 => Step::Reopen,
            1 => Step::Judge,
            2 | 3 => {
                self.acts += 1;
                if self.random.bool() { Step::AddAgent(self.acts) } else { Step::Import(self.acts) }
            }
            4 => Step::Fold,
            _ => self.append(),
        }
    }

    fn append(&mut self) -> Step {
        Step::Append((0..self.random.u8(1..4)).map(|_| self.block()).collect())
    }

    fn block(&mut self) -> BlockRows {
        let block = match self.random.u8(..10) {
            // What came once comes again, as it was or in another block after a spool was rolled back.
            0 if !self.sent.is_empty() => {
                let mut again = self.sent[self.random.usize(..self.sent.len())].clone();
                if self.random.bool() && again.others.is_empty() && again.quarantined.is_empty() {
                    again.block = self.next_block(again.agent);
                }
                return again;
            }
            1 if !self.unsettled.is_empty() => self.reports(),
            kind => self.windows(kind < 4),
        };
        // Beyond raw retention nobody can tell that a window came before.
        if block.windows.iter().all(|window| is_raw(&block, window)) {
            self.sent.push(block.clone());
        }
        block
    }

    fn next_block(&mut self, agent: AgentId) -> BlockNo {
        let at = MEASURING.iter().position(|known| *known == agent).unwrap_or(MEASURING.len());
        self.blocks[at] += 1;
        // Now and then one is missing: receipts are ranges.
        self.blocks[at] += u64::from(self.random.u8(..8) == 0);
        BlockNo(self.blocks[at])
    }

    fn empty(&mut self, agent: AgentId) -> BlockRows {
        BlockRows {
            agent,
            epoch: EPOCH,
            block: self.next_block(agent),
            received: UtcMicros(self.now),
            schedules: vec![Schedule { revision: ScheduleRevision(3), period_us: 15_000_000 }],
            windows: Vec::new(),
            others: Vec::new(),
            quarantined: Vec::new(),
        }
    }

    /// A stretch of an agent's windows on some of its paths, and other things.
    fn windows(&mut self, is_late: bool) -> BlockRows {
        let at = self.random.usize(..MEASURING.len());
        let mut block = self.empty(MEASURING[at]);
        let paths = self.random.usize(1..=TARGETS.len());
        let clock = if is_late { &mut self.late[at] } else { &mut self.live[at] };
        if self.random.u8(..6) == 0 && *clock < self.now - 3 * DAY {
            // The machine slept.
            *clock += self.random.i64(0..2 * DAY);
        }
        let begin = *clock;
        let rounds = self.random.i64(1..8);
        *clock += rounds * 15 * SECOND;
        for round in 0..rounds {
            for target in &TARGETS[..paths] {
                let started = UtcMicros(begin + round * 15 * SECOND + self.random.i64(0..SECOND));
                let window = judged(target, started, &mut self.random);
                if window.window.counts.lost_unknown() > 0 {
                    self.unsettled.push(window.clone());
                }
                block.windows.push(window);
            }
        }
        for _ in 0..self.random.u8(..3) {
            block.others.push(other(UtcMicros(begin), &mut self.random));
        }
        if self.random.u8(..12) == 0 {
            let started = Some(UtcMicros(begin));
            let reason = "is of a format that nobody knows".to_owned();
            block.quarantined.push(Quarantined { started, reason });
        }
        block
    }

    /// What the reflector says of some windows with losses of unknown direction.
    fn reports(&mut self) -> BlockRows {
        let mut block = self.empty(REFLECTOR);
        for _ in 0..self.random.u8(1..5) {
            if self.unsettled.is_empty() {
                break;
            }
            let at = self.random.usize(..self.unsettled.len());
            block.others.push(report(&self.unsettled.swap_remove(at)));
        }
        block
    }
}

/// True when the window itself is kept, not only counted in its slot.
#[must_use]
pub fn is_raw(block: &BlockRows, window: &JudgedWindow) -> bool {
    window.placed.0 >= block.received.0 - i64::from(RETENTION.windows_days) * DAY
}

fn path_key(target: &str) -> PathKey {
    PathKey {
        link: Link::new(LinkKind::Wired, "eth0").expect("a short name"),
        family: AddressFamily::Ipv4,
        target: TargetName::new(target).expect("a short name"),
        class: TrafficClass::Audio,
        profile: ProfileName::new("audio-50").expect("a short name"),
        transport: Transport::Udp,
    }
}

fn delays(count: u32, around: u32, random: &mut Rng) -> Histogram {
    let mut delays = Histogram::new();
    for _ in 0..count.min(40) {
        delays.record(around + random.u32(..around));
    }
    delays
}

fn judged(target: &str, started: UtcMicros, random: &mut Rng) -> JudgedWindow {
    let lost = if random.u8(..3) == 0 { random.u32(..40) } else { 0 };
    let unknown = if random.u8(..4) == 0 { random.u32(1..20) } else { 0 };
    let counts = PacketCounts::new(PACKETS, PACKETS, [lost, lost / 2, unknown], 0, 0);
    let counts = counts.expect("fewer lost than sent");
    let rtt = delays(counts.received(), 20_000, random);
    let parts = WindowParts {
        rtt_median_us: rtt.quantile(0.5),
        rtt,
        up_variation: delays(counts.received(), 900, random),
        down_variation: delays(counts.received(), 700, random),
        ssid: random.u16(1..),
        first_sequence: random.u32(..),
        sequences: PACKETS,
        source_port: 50_003,
        ..WindowParts::new(path_key(target), 50, counts)
    };
    let window = Window::new(parts).expect("a possible window");
    let boot = BootId::from_u128(7);
    JudgedWindow {
        placed: started,
        stamp: Stamp::new(started, BootMicros(5_000_000_000), boot, 15_000_000).expect("15 s"),
        schedule: ScheduleRevision(3),
        context: Context {
            local_prefix: Some("10.1.2.0/24".parse().expect("a prefix")),
            resolved: Some("192.0.2.7:862".parse().expect("an address")),
            reflexive: Some("198.51.100.4".parse().expect("an address")),
        },
        requirement: RequirementProfile::ClientToMicrosoftEdge,
        limits: LimitsVersion(1),
        verdict: LIMITS[0].judge(&window),
        window,
    }
}

fn record(started: UtcMicros, body: Body) -> Record {
    let stamp = Stamp::new(started, BootMicros(1), BootId::from_u128(7), 60_000_000);
    Record {
        stamp: stamp.expect("a minute"),
        schedule: ScheduleRevision(3),
        context: Context::default(),
        body,
    }
}

fn other(started: UtcMicros, random: &mut Rng) -> Record {
    let body = match random.u8(..4) {
        0 => Body::Check(Check {
            kind: "firewall-udp".to_owned(),
            subject: "relay.example:3478".to_owned(),
            outcome: CheckOutcome::Timeout,
            timings_us: vec![("resolve".to_owned(), random.u64(..9_999))],
            evidence: Vec::new(),
        }),
        1 => Body::Fact(Fact {
            kind: "wifi-band".to_owned(),
            value: random.u16(..).to_string(),
            valid_from: started,
            valid_until: None,
        }),
        2 => Body::Load(Load {
            interface: "eth0".to_owned(),
            received_bytes: random.u64(..1 << 40),
            sent_bytes: random.u64(..1 << 40),
            received_packets: 10,
            sent_packets: 20,
            link_bits_per_second: None,
        }),
        _ => Body::Gap(Gap { reason: GapReason::Asleep, path: None, records: None }),
    };
    record(started, body)
}

/// Of a session that lost its packets of unknown direction on the way up, as far as possible at its
/// beginning.
fn report(window: &JudgedWindow) -> Record {
    let (counts, first) = (&window.window.counts, window.window.first_sequence);
    let missing = counts.lost_up() + counts.lost_unknown();
    let started = window.stamp.started;
    let report = SessionReport::new(SessionReportParts {
        listen: "192.0.2.7:862".parse().expect("an address"),
        peer: "198.51.100.4:50003".parse().expect("an address"),
        ssid: window.window.ssid,
        first_sequence: first,
        last_sequence: first.wrapping_add(PACKETS - 1),
        received: PACKETS - missing,
        missing: vec![(first, first.wrapping_add(missing - 1))],
        missing_cut: false,
        first_sent_ns: started.0 * 1_000,
        last_sent_ns: (started.0 + 14_980_000) * 1_000,
        dropped: 0,
    });
    record(started, Body::SessionReport(Box::new(report.expect("it adds up"))))
}

/// Which small blocks are late.
const LATE: u64 = 7;

/// The agents that [`small_block`] is of.
pub const SMALL: [AgentId; 4] = MEASURING;

/// A block of two windows on each of two paths, and something else: what many small appends are made
/// of. Every seventh is late by some days.
#[must_use]
pub fn small_block(agent: AgentId, number: u64) -> BlockRows {
    let mut random = Rng::with_seed(number ^ u64::from(agent.to_bytes()[15]) << 48);
    let live = BEGIN + 30 * DAY + number.cast_signed() * 30 * SECOND;
    let late = number.is_multiple_of(LATE).then(|| random.i64(1..4) * DAY + 7 * SECOND);
    let at = |n: i64| UtcMicros(live - late.unwrap_or(0) + n * 15 * SECOND);
    let windows = (0..2).flat_map(|n| TARGETS[..2].iter().map(move |target| (n, target)));
    BlockRows {
        agent,
        epoch: EPOCH,
        block: BlockNo(number),
        received: UtcMicros(live + DAY),
        schedules: vec![Schedule { revision: ScheduleRevision(3), period_us: 15_000_000 }],
        windows: windows.map(|(n, target)| judged(target, at(n), &mut random)).collect(),
        others: vec![other(at(0), &mut random)],
        quarantined: Vec::new(),
    }
}
