//! How fast telemetry takes windows, how large they are on disk, and how fast slots come back.
//!
//! `cargo run --release -p busyhour-store --example append [WINDOWS]`; the data are made before the
//! clock starts.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to say")]

use std::time::Instant;

use busyhour_model::{
    AddressFamily, AgentId, BlockNo, BootId, BootMicros, BurstLoss, ClockQuality, Context, Dscp,
    DscpSeen, Ecn, EcnSeen, Epoch, Histogram, Jitter, LIMITS, LimitsVersion, Link, LinkKind,
    OneWayDelay, PacketCounts, PathKey, Playout, ProfileName, RequirementProfile, Schedule,
    ScheduleRevision, SlotStart, Stamp, TargetName, TimestampMethod, TrafficClass, Transport,
    TtlSeen, UtcMicros, Window, WindowParts,
};
use busyhour_store::{BlockRows, JudgedWindow, Retention, Telemetry, open};

const START: UtcMicros = UtcMicros(1_789_977_600_000_000);
const MINUTE: i64 = 60_000_000;
const CLOCK: ClockQuality = ClockQuality { synchronized: true, error_us: 2_000 };
/// Windows in a block and blocks in a transaction, as ingest hands them over.
const PER_BLOCK: usize = 250;
const PER_BATCH: usize = 8;

fn delays(random: &mut fastrand::Rng, around: u32) -> Histogram {
    let mut histogram = Histogram::new();
    for _ in 0..750 {
        // Most near the floor, a thin tail: what a quiet path looks like.
        let tail = random.u32(0..1_000) * random.u32(0..1_000) / 1_000 * around / 8_000;
        histogram.record(around + tail);
    }
    histogram
}

fn window(random: &mut fastrand::Rng, path: usize) -> Window {
    let rtt = delays(random, 18_000);
    let code = Dscp::new(46).unwrap();
    Window::new(WindowParts {
        burst: BurstLoss::new(0, 10).ok(),
        rtt_median_us: rtt.quantile(0.5),
        rtt,
        up_variation: delays(random, 400),
        down_variation: delays(random, 300),
        up_jitter: Some(Jitter { mean_us: random.u32(80..400), max_us: random.u32(400..2_000) }),
        down_jitter: Some(Jitter { mean_us: random.u32(80..400), max_us: random.u32(400..2_000) }),
        dscp: DscpSeen {
            sent: code,
            up: Some(code),
            down: Some(code),
            up_changed: 0,
            down_changed: 0,
        },
        sent_by: TimestampMethod::Kernel,
        received_by: TimestampMethod::Kernel,
        source_port: 50_003,
        send_lateness_max_us: random.u32(20..900),
        worst_15s: BurstLoss::new(0, 750).ok(),
        one_way: Some(OneWayDelay {
            up_median_us: random.i32(8_500..9_500),
            down_median_us: random.i32(8_500..9_500),
            error_us: 4_000,
        }),
        playout: Some(Playout { delay_us: 40_000, ..Playout::default() }),
        ecn: EcnSeen { up: Some(Ecn::NotEct), down: Some(Ecn::NotEct), ..EcnSeen::default() },
        ttl: TtlSeen { up: Some(57), down: Some(57), ..TtlSeen::default() },
        clock: CLOCK,
        far_clock: Some(CLOCK),
        seen_source_port: Some(50_003),
        ssid: 7,
        first_sequence: random.u32(0..10_000_000),
        sequences: 750,
        peer_tlvs: Some(true),
        ..WindowParts::new(
            PathKey {
                link: Link::new(LinkKind::Wired, "eth0").unwrap(),
                family: AddressFamily::Ipv4,
                target: TargetName::new(format!("edge-{path}.example:862")).unwrap(),
                class: TrafficClass::Audio,
                profile: ProfileName::new("audio-50").unwrap(),
                transport: Transport::Udp,
            },
            50,
            PacketCounts::clean(750, 750),
        )
    })
    .unwrap()
}

fn judged(window: &Window, minute: usize) -> JudgedWindow {
    let placed = UtcMicros(START.0 + minute as i64 * MINUTE);
    let boot = BootMicros(minute as u64 * 60_000_000);
    JudgedWindow {
        placed,
        stamp: Stamp::new(placed, boot, BootId::from_u128(7), 15_000_000).unwrap(),
        schedule: ScheduleRevision(1),
        context: Context { resolved: "192.0.2.7:862".parse().ok(), ..Context::default() },
        requirement: RequirementProfile::ClientToMicrosoftEdge,
        limits: LimitsVersion(1),
        verdict: LIMITS[0].judge(window),
        window: window.clone(),
    }
}

/// Appends `count` windows over `paths` paths; `order` tells the path and minute of the nth.
fn run(name: &str, count: usize, paths: usize, order: impl Fn(usize) -> (usize, usize)) {
    let directory = tempfile::tempdir().unwrap();
    let retention = Retention {
        windows_days: 10_000,
        slots_days: 10_000,
        hours_days: 10_000,
        checks_days: 10_000,
        facts_days: 10_000,
        loads_days: 10_000,
        gaps_days: 10_000,
    };
    let (store, _control) = open(directory.path(), retention).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    // A few shapes for each of the first paths; more would only fill memory.
    let shapes: Vec<Vec<Window>> =
        (0..paths).map(|path| (0..3).map(|_| window(&mut random, path)).collect()).collect();
    let schedule = Schedule { revision: ScheduleRevision(1), period_us: 60_000_000 };
    let (mut spent, mut done, mut block) = (0.0, 0, 0u64);
    while done < count {
        let mut batch = Vec::new();
        while batch.len() < PER_BATCH && done < count {
            block += 1;
            let windows = (done..(done + PER_BLOCK).min(count)).map(|n| {
                let (path, minute) = order(n);
                judged(&shapes[path][minute % 3], minute)
            });
            let windows: Vec<_> = windows.collect();
            done += windows.len();
            batch.push(BlockRows {
                agent: AgentId::from_u128(1),
                epoch: Epoch(1),
                block: BlockNo(block),
                received: START,
                schedules: vec![schedule],
                windows,
                others: Vec::new(),
                quarantined: Vec::new(),
            });
        }
        let began = Instant::now();
        store.append(&batch).unwrap();
        spent += began.elapsed().as_secs_f64();
    }
    let totals = store.totals().unwrap();
    println!(
        "{name}: {:.0} windows/s; {} bytes a window with its slots; {} slots",
        count as f64 / spent,
        totals.size_bytes / count as u64,
        totals.slots,
    );
    let some: Vec<_> = store.paths(None).unwrap().iter().take(8).map(|path| path.id).collect();
    let began = Instant::now();
    let from = SlotStart::containing(START);
    let slots = store.slots(&some, from, from.offset(4 * 7 * 96)).unwrap();
    let spent_ms = began.elapsed().as_secs_f64() * 1e3;
    println!("  four weeks of {} paths: {} slots in {spent_ms:.1} ms", some.len(), slots.len());
}

fn main() {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(300_000);
    // A backlog: a day of each path, one after the other.
    run("long runs", count, count.div_ceil(1_440), |n| (n / 1_440, n % 1_440));
    run("round robin", count, 3_000, |n| (n % 3_000, n / 3_000));
}
