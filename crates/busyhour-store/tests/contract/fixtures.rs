//! Data to store, and the embedded engine to store it in.

use busyhour_model::{
    AddressFamily, AgentId, BlockNo, Body, BootId, BootMicros, BurstLoss, Check, CheckOutcome,
    Context, Dscp, DscpSeen, Epoch, Fact, FileBuilding, FileSubnet, Gap, GapReason, Histogram,
    Jitter, LIMITS, LimitsVersion, Link, LinkKind, Load, NetworkColumns, PacketCounts, PathId,
    PathKey, ProfileName, Record, RequirementProfile, Schedule, ScheduleRevision, Slot, SlotStart,
    Stamp, TargetName, TimestampMethod, TrafficClass, Transport, UtcMicros, Window, WindowParts,
};
use busyhour_store::{
    BlockRows, JudgedWindow, PathRow, RecordKind, Retention, SqliteControl, SqliteTelemetry,
    StoredWindow, Telemetry, open,
};
use proptest::test_runner::Config;
use tempfile::TempDir;

pub(crate) const RETENTION: Retention = Retention {
    windows_days: 2,
    slots_days: 60,
    hours_days: 1_000,
    checks_days: 25,
    facts_days: 35,
    loads_days: 30,
    gaps_days: 40,
};
pub(crate) const MINUTE: i64 = 60_000_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;
/// 2026-09-21T08:00:00Z, a Monday, the beginning of a slot.
pub(crate) const NOW: UtcMicros = UtcMicros(1_789_977_600_000_000);
pub(crate) const AGENT: AgentId = AgentId::from_u128(0xa1);
pub(crate) const EPOCH: Epoch = Epoch(0xdead_beef_dead_beef);
pub(crate) const ALWAYS: (UtcMicros, UtcMicros) = (UtcMicros(i64::MIN), UtcMicros(i64::MAX));
/// All slots that can be.
pub(crate) const EVER: (SlotStart, SlotStart) =
    (SlotStart::from_number(i64::MIN), SlotStart::from_number(i64::MAX));

pub(crate) struct Engine {
    pub(crate) telemetry: SqliteTelemetry,
    pub(crate) control: SqliteControl,
    pub(crate) directory: TempDir,
}

impl Engine {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let (telemetry, control) = open(directory.path(), RETENTION).unwrap();
        Self { telemetry, control, directory }
    }

    /// Closes without any farewell and opens again.
    pub(crate) fn reopen(self) -> Self {
        let Self { telemetry, control, directory } = self;
        drop((telemetry, control));
        let (telemetry, control) = open(directory.path(), RETENTION).unwrap();
        Self { telemetry, control, directory }
    }
}

/// How often a law is tried.
pub(crate) fn cases(cases: u32) -> Config {
    Config { failure_persistence: None, ..Config::with_cases(cases) }
}

pub(crate) fn at(base: UtcMicros, micros: i64) -> UtcMicros {
    UtcMicros(base.0 + micros)
}

pub(crate) fn slot_of(moment: UtcMicros) -> SlotStart {
    SlotStart::containing(moment)
}

pub(crate) fn path_key(target: &str) -> PathKey {
    PathKey {
        link: Link::new(LinkKind::Wired, "eth0").unwrap(),
        family: AddressFamily::Ipv4,
        target: TargetName::new(target).unwrap(),
        class: TrafficClass::Audio,
        profile: ProfileName::new("audio-50").unwrap(),
        transport: Transport::Udp,
    }
}

pub(crate) fn context() -> Context {
    Context {
        local_prefix: Some("10.1.2.0/24".parse().unwrap()),
        resolved: Some("192.0.2.7:862".parse().unwrap()),
        reflexive: Some("198.51.100.4".parse().unwrap()),
    }
}

/// Values that look like delays, different for each seed.
pub(crate) fn delays(seed: u64, count: u64, around: u32) -> Histogram {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut histogram = Histogram::new();
    for _ in 0..count {
        histogram.record(around + random.u32(0..around / 4 + 1));
    }
    histogram
}

/// A window of 15 s at 50 packets/s with `lost` packets lost up.
pub(crate) fn window(target: &str, seed: u64, lost: u32) -> Window {
    let counts = PacketCounts::new(750, 750, [lost, 0, 0], 0, 0).unwrap();
    let received = u64::from(750 - lost);
    let rtt = delays(seed, received, 20_000);
    Window::new(WindowParts {
        burst: BurstLoss::new(lost.min(10), 10).ok(),
        rtt_median_us: rtt.quantile(0.5),
        rtt,
        up_variation: delays(seed + 1, received, 900),
        down_variation: delays(seed + 2, received, 700),
        up_jitter: Some(Jitter { mean_us: 310, max_us: 900 }),
        down_jitter: seed.is_multiple_of(2).then_some(Jitter { mean_us: 290, max_us: 800 }),
        dscp: DscpSeen {
            sent: Dscp::new(46).unwrap(),
            up: Some(Dscp::new(46).unwrap()),
            down: None,
            up_changed: 0,
            down_changed: 3.min(750 - lost),
        },
        sent_by: TimestampMethod::Kernel,
        received_by: TimestampMethod::User,
        source_port: 50_003,
        clock_step_samples: 1,
        receive_queue_drops: 2,
        send_lateness_max_us: 77,
        ..WindowParts::new(path_key(target), 50, counts)
    })
    .unwrap()
}

pub(crate) fn judged(window: Window, placed: UtcMicros) -> JudgedWindow {
    let started = at(placed, -1_234);
    JudgedWindow {
        placed,
        stamp: Stamp::new(started, BootMicros(5_000_000_000), BootId::from_u128(7), 15_000_000)
            .unwrap(),
        schedule: ScheduleRevision(3),
        context: context(),
        requirement: RequirementProfile::ClientToMicrosoftEdge,
        limits: LimitsVersion(1),
        verdict: LIMITS[0].judge(&window),
        window,
    }
}

pub(crate) fn schedule() -> Schedule {
    Schedule { revision: ScheduleRevision(3), period_us: 60_000_000 }
}

pub(crate) fn load(started: UtcMicros, bytes: u64) -> Record {
    Record {
        stamp: Stamp::new(started, BootMicros(1), BootId::from_u128(7), 60_000_000).unwrap(),
        schedule: ScheduleRevision(3),
        context: Context::default(),
        body: Body::Load(Load {
            interface: "eth0".to_owned(),
            received_bytes: bytes,
            sent_bytes: bytes * 2,
            received_packets: 10,
            sent_packets: 20,
            link_bits_per_second: Some(1_000_000_000),
        }),
    }
}

/// All quarter-hours of all paths.
pub(crate) fn all_slots(store: &dyn Telemetry) -> Vec<(PathId, Slot)> {
    let paths: Vec<_> = store.paths(None).unwrap().iter().map(|path| path.id).collect();
    store.slots(&paths, EVER.0, EVER.1).unwrap()
}

/// All raw windows of all paths.
pub(crate) fn all_windows(store: &dyn Telemetry) -> Vec<(PathId, StoredWindow)> {
    let of = |path: PathRow| {
        let found = store.windows(path.id, ALWAYS.0, ALWAYS.1, usize::MAX).unwrap();
        found.into_iter().map(move |window| (path.id, window))
    };
    store.paths(None).unwrap().into_iter().flat_map(of).collect()
}

/// All other records of agents.
pub(crate) fn all_others(store: &dyn Telemetry, agents: &[AgentId]) -> Vec<Vec<Record>> {
    let kinds = [RecordKind::Check, RecordKind::Fact, RecordKind::Load, RecordKind::Gap];
    let of = |agent, kind| store.others(agent, kind, ALWAYS.0, ALWAYS.1, usize::MAX).unwrap();
    agents.iter().flat_map(|&agent| kinds.map(|kind| of(agent, kind))).collect()
}

/// Everything that can be asked, so that two stores can be compared.
pub(crate) fn contents(store: &dyn Telemetry) -> impl PartialEq + std::fmt::Debug + use<> {
    let totals = store.totals().unwrap();
    (
        store.paths(None).unwrap(),
        all_windows(store),
        all_others(store, &[AGENT]),
        all_slots(store),
        store.received(AGENT, EPOCH).unwrap(),
        (totals.windows, totals.blocks, totals.quarantined),
    )
}

/// What a window is when it is read: histograms are coarser, and of its coming milliseconds are kept.
pub(crate) fn as_stored(judged: &JudgedWindow, received: UtcMicros) -> StoredWindow {
    let received = UtcMicros(received.0 - received.0.rem_euclid(1_000));
    let window = judged.window.coarsened();
    StoredWindow { judged: JudgedWindow { window, ..judged.clone() }, received }
}

/// One record of every kind that is no window.
pub(crate) fn every_kind(started: UtcMicros) -> Vec<(RecordKind, Record)> {
    let record = |body| Record {
        stamp: Stamp::new(started, BootMicros(9), BootId::from_u128(8), 1_000).unwrap(),
        schedule: ScheduleRevision(4),
        context: Context { reflexive: Some("2001:db8::1".parse().unwrap()), ..Context::default() },
        body,
    };
    let check = Check {
        kind: "firewall-udp".to_owned(),
        subject: "relay.example:3478".to_owned(),
        outcome: CheckOutcome::Timeout,
        timings_us: vec![("resolve".to_owned(), 812)],
        evidence: vec![("sent".to_owned(), "5".to_owned()), (String::new(), String::new())],
    };
    let fact = Fact {
        kind: "wifi-band".to_owned(),
        value: "5 GHz".to_owned(),
        valid_from: at(started, -HOUR),
        valid_until: Some(started),
    };
    let gap =
        Gap { reason: GapReason::Asleep, path: Some(path_key("edge:862")), records: Some(12) };
    vec![
        (RecordKind::Check, record(Body::Check(check))),
        (RecordKind::Fact, record(Body::Fact(fact))),
        (RecordKind::Load, load(started, 77)),
        (RecordKind::Gap, record(Body::Gap(gap))),
    ]
}

/// A block of the one agent without anything in it, received at [`NOW`].
pub(crate) fn block(number: u64) -> BlockRows {
    BlockRows {
        agent: AGENT,
        epoch: EPOCH,
        block: BlockNo(number),
        received: NOW,
        schedules: vec![schedule()],
        windows: Vec::new(),
        others: Vec::new(),
        quarantined: Vec::new(),
    }
}

/// A block with one window per moment, on one path.
pub(crate) fn block_of(number: u64, moments: &[UtcMicros]) -> BlockRows {
    let windows = moments
        .iter()
        .zip(number * 1_000..)
        .map(|(&moment, seed)| judged(window("edge:862", seed, 0), moment))
        .collect();
    BlockRows { windows, ..block(number) }
}

pub(crate) fn columns(network: &str) -> NetworkColumns {
    NetworkColumns {
        network_name: network.to_owned(),
        ownership_type: "Contoso".to_owned(),
        building_type: "Office".to_owned(),
        building_office_type: "Sales".to_owned(),
        city: "Hamburg".to_owned(),
        zip_code: "20095".to_owned(),
        country: "DE".to_owned(),
        state: String::new(),
        region: "EMEA".to_owned(),
        inside_corp: true,
        express_route: false,
        vpn: false,
    }
}

pub(crate) fn subnet(prefix: &str, egress: Option<&str>) -> FileSubnet {
    FileSubnet {
        prefix: prefix.parse().unwrap(),
        egress: egress.map(|egress| egress.parse().unwrap()),
        columns: columns(&format!("net {prefix}")),
    }
}

pub(crate) fn building(name: &str, prefixes: &[&str]) -> FileBuilding {
    FileBuilding {
        name: name.to_owned(),
        city: "Hamburg".to_owned(),
        country: "DE".to_owned(),
        region: "EMEA".to_owned(),
        time_zone: Some("Europe/Berlin".to_owned()),
        business_hours: Some("Mo-Fr 08:00-18:00".parse().unwrap()),
        holidays: std::collections::BTreeSet::new(),
        subnets: prefixes.iter().map(|prefix| subnet(prefix, None)).collect(),
    }
}
