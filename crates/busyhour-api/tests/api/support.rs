//! A store with a few buildings and two days of windows, and a client without a network.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode};
use busyhour_api::{Door, Figure, Peer, Provider, Services, SetUp, StatusSource, router};
use busyhour_fleet::{Fleet, FleetConfig, LiveSessions, Planner};
use busyhour_model::{
    AddressFamily, AgentId, BlockNo, BootId, BootMicros, Breach, BuildingId, BurstLoss, Cause,
    Change, Context, DailyAverage, DaySummary, DayVerdict, Dscp, DscpSeen, Epoch, Evidence,
    FileBuilding, FileSubnet, FindingKind, Gap, GapReason, Histogram, Incident, IncidentId,
    IncidentMember, IncidentPlace, IncidentState, Jitter, Judgement, LimitsVersion, Link, LinkKind,
    Mechanism, NetworkColumns, PacketCounts, PathId, PathKey, ProfileName, Record,
    RequirementProfile, Schedule, ScheduleRevision, Scope, Segment, Siblings, Stamp, TargetName,
    TimestampMethod, TrafficClass, Transport, UtcMicros, Window, WindowParts, WorstHour,
    limits_in_force,
};
use busyhour_store::{
    Accounts, Act, Binding, BlockRows, Configurations, Control, Desk, Identities, JudgeWrite,
    JudgedWindow, NewAgent, Retention, Telemetry,
};
use jiff::civil::{Date, date};
use serde_json::Value;
use tower::ServiceExt as _;

/// Friday, 17:00 in Berlin.
pub(crate) const NOW: UtcMicros = UtcMicros::from_secs(1_772_812_800);
/// Monday, 00:00 in Berlin: the windows begin here and last two days.
pub(crate) const MONDAY: UtcMicros = UtcMicros::from_secs(1_772_406_000);
pub(crate) const HOSTILE: &str = "<script>alert('x')</script>";
/// What the first administrator is made with.
pub(crate) const CODE: &str = "ABCDE-FGHJK-MNPQR-STVWX";
pub(crate) const MASKED: &str = "Berlin HQ";
const TARGET: &str = "reflector:862";

pub(crate) struct Bed {
    pub(crate) control: Arc<dyn Control>,
    pub(crate) telemetry: Arc<dyn Telemetry>,
    pub(crate) accounts: Arc<dyn Accounts>,
    pub(crate) identities: Arc<dyn Identities>,
    pub(crate) router: Router,
    pub(crate) services: Services,
    clock: Arc<AtomicI64>,
    /// Deleted with the bed.
    directory: tempfile::TempDir,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

struct Quiet;

impl StatusSource for Quiet {
    fn figures(&self) -> Vec<Figure> {
        vec![Figure { name: "judge_lag_s".to_owned(), value: 7, help: "how late the judge is" }]
    }
}

/// Sessions that were ended.
#[derive(Default)]
pub(crate) struct Ended(Mutex<Vec<AgentId>>);

impl Ended {
    pub(crate) fn agents(&self) -> Vec<AgentId> {
        self.0.lock().expect("nobody panicked").clone()
    }
}

impl LiveSessions for Ended {
    fn end(&self, agent: AgentId) {
        self.0.lock().expect("nobody panicked").push(agent);
    }
}

impl Bed {
    /// A store with nothing in it.
    pub(crate) fn empty() -> Self {
        Self::with(|_, _| {})
    }

    /// Three buildings: one masked (with two days of windows from a simulated agent), one always
    /// bad, and one with a hostile name and nothing known.
    pub(crate) fn full() -> Self {
        Self::with(|telemetry, control| {
            let hours = "Mo-Fr 08:00-18:00";
            let buildings = [
                file_building("Always Bad", "10.2.1.0/24", "Asia/Tokyo", hours),
                file_building(MASKED, "10.1.1.0/24", "Europe/Berlin", hours),
                file_building(HOSTILE, "10.3.1.0/24", "America/New_York", hours),
            ];
            control.import_buildings(&buildings, &Act::by_operator(MONDAY)).expect("import");
            for (n, name, prefix, simulated) in
                [(1, "berlin-1", "10.1.1.0/24", true), (2, "tokyo-1", "10.2.1.0/24", false)]
            {
                let agent = new_agent(n, name, prefix, simulated);
                control.add_agent(&agent, &Act::by_operator(MONDAY)).expect("add agent");
            }
            let of = |name: &str| building_id(control, name);
            let days = (2..=6).flat_map(|day| {
                let date = date(2026, 3, day);
                let path = path_summary(1, of(MASKED), date);
                let other = day_summary(of("Always Bad"), date, false);
                [day_summary(of(MASKED), date, true), other]
                    .into_iter()
                    .chain((day < 4).then_some(path))
            });
            let mut masked = incident(1, of(MASKED), true);
            masked.members = vec![member(control, 1, of(MASKED))];
            let write = JudgeWrite {
                days: days.collect(),
                incidents: vec![masked, incident(2, of("Always Bad"), false)],
                ..JudgeWrite::default()
            };
            control.write_judgement(&write, NOW).expect("write judgement");
            append_two_days(telemetry, AgentId::from_u128(1), 50);
            append_gap(telemetry, AgentId::from_u128(1));
        })
    }

    /// An agent that nobody placed, with two days of windows sent at nine packets a second.
    pub(crate) fn sparse() -> Self {
        Self::with(|telemetry, _| append_two_days(telemetry, AgentId::from_u128(1), 9))
    }

    fn with(fill: impl FnOnce(&dyn Telemetry, &dyn Control)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let retention = Retention {
            windows_days: 100,
            slots_days: 400,
            hours_days: 400,
            checks_days: 100,
            facts_days: 100,
            loads_days: 100,
            gaps_days: 100,
        };
        let (telemetry, control) =
            busyhour_store::open(directory.path(), retention).expect("open the store");
        fill(&telemetry, &control);
        let control = Arc::new(control);
        let accounts: Arc<dyn Accounts> = Arc::clone(&control) as Arc<dyn Accounts>;
        let identities: Arc<dyn Identities> = Arc::clone(&control) as Arc<dyn Identities>;
        let configurations: Arc<dyn Configurations> =
            Arc::clone(&control) as Arc<dyn Configurations>;
        let desk: Arc<dyn Desk> = Arc::clone(&control) as Arc<dyn Desk>;
        let outbox = Arc::clone(&control) as Arc<dyn busyhour_store::Outbox>;
        let control: Arc<dyn Control> = control;
        let telemetry: Arc<dyn Telemetry> = Arc::new(telemetry);
        let clock = Arc::new(AtomicI64::new(NOW.0));
        let told = Arc::clone(&clock);
        let now: busyhour_api::Clock = Arc::new(move || UtcMicros(told.load(Ordering::Relaxed)));
        let fleet = FleetConfig {
            folder: directory.path().join("identity"),
            company: None,
            names: Vec::new(),
            certificate_life: Duration::from_secs(14 * 86_400),
        };
        let fleet = Fleet::open(fleet, Arc::clone(&identities), Arc::clone(&now));
        let planner = Arc::new(Planner::new(configurations, Arc::clone(&now)));
        let services = Services {
            planner,
            fleet: Arc::new(fleet.expect("an authority")),
            telemetry: Arc::clone(&telemetry),
            control: Arc::clone(&control),
            desk: Arc::clone(&desk),
            outbox,
            accounts: Arc::clone(&accounts),
            status: Arc::new(Quiet),
            clock: now,
        };
        let router = router(
            services.clone(),
            Door::new(busyhour_api::Transport::Loopback, SetUp::with_code(CODE)),
        );
        Self { control, telemetry, accounts, identities, router, services, clock, directory }
    }

    /// The agents whose live sessions were ended from now on.
    pub(crate) fn ended_sessions(&self) -> Arc<Ended> {
        let ended = Arc::<Ended>::default();
        self.services.fleet.end_sessions_with(Arc::clone(&ended) as Arc<dyn LiveSessions>);
        ended
    }

    /// The same store behind TLS.
    pub(crate) fn behind_tls(mut self) -> Self {
        let door = Door::new(busyhour_api::Transport::Tls, SetUp::with_code(CODE));
        self.router = router(self.services.clone(), door);
        self
    }

    /// The same store with an identity provider, or without one again.
    pub(crate) fn with_provider(mut self, provider: Option<Provider>) -> Self {
        let mut door = Door::new(busyhour_api::Transport::Loopback, SetUp::with_code(CODE));
        if let Some(provider) = provider {
            door = door.with_provider(provider);
        }
        self.router = router(self.services.clone(), door);
        self
    }

    /// Where the store lies.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Lets time pass.
    pub(crate) fn wait(&self, time: Duration) {
        let micros = i64::try_from(time.as_micros()).expect("a short time");
        self.clock.fetch_add(micros, Ordering::Relaxed);
    }

    pub(crate) fn building(&self, name: &str) -> BuildingId {
        building_id(self.control.as_ref(), name)
    }

    pub(crate) async fn get(&self, address: &str) -> Answer {
        self.send(Request::get(address).header("host", "localhost:8080"), Body::empty()).await
    }

    /// The items of a list.
    pub(crate) async fn items(&self, address: &str) -> Vec<Value> {
        let answer = self.get(address).await;
        assert_eq!(answer.status, StatusCode::OK, "{address}: {}", answer.body);
        let value = answer.json();
        assert_eq!(value["schema_version"], 1);
        value["items"].as_array().expect("a list").clone()
    }

    pub(crate) async fn post(&self, address: &str, body: &Value) -> Answer {
        let request = Request::post(address)
            .header("host", "127.0.0.1:8080")
            .header("content-type", "application/json");
        self.send(request, Body::from(body.to_string())).await
    }

    pub(crate) async fn delete(&self, address: &str) -> Answer {
        let request = Request::delete(address)
            .header("host", "127.0.0.1:8080")
            .header("content-type", "application/json");
        self.send(request, Body::empty()).await
    }

    /// Sends from a loopback peer.
    pub(crate) async fn send(&self, request: axum::http::request::Builder, body: Body) -> Answer {
        let peer = SocketAddr::from(([127, 0, 0, 1], 40_000));
        self.send_from(Some(peer), request, body).await
    }

    pub(crate) async fn send_from(
        &self,
        peer: Option<SocketAddr>,
        request: axum::http::request::Builder,
        body: Body,
    ) -> Answer {
        let mut request = request.body(body).expect("a request");
        if let Some(peer) = peer {
            request.extensions_mut().insert(ConnectInfo(Peer(peer)));
        }
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let kind = parts.headers.get("content-type");
        if kind.is_some_and(|kind| kind == "text/event-stream") {
            // It has no end.
            return Answer { status: parts.status, headers: parts.headers, body: String::new() };
        }
        let body = to_bytes(body, 64 << 20).await.expect("a body");
        let body = String::from_utf8_lossy(&body).into_owned();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Sends from a loopback peer; what comes is no text.
    pub(crate) async fn raw(
        &self,
        request: axum::http::request::Builder,
        body: Body,
    ) -> (HeaderMap, Vec<u8>) {
        let mut request = request.body(body).expect("a request");
        let peer = SocketAddr::from(([127, 0, 0, 1], 40_000));
        request.extensions_mut().insert(ConnectInfo(Peer(peer)));
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        (parts.headers, to_bytes(body, 64 << 20).await.expect("a body").to_vec())
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// Checks that it is a problem with this status, and gives what it says.
    pub(crate) fn problem(&self, status: StatusCode) -> String {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let value = self.json();
        assert_eq!(value["status"], status.as_u16());
        value["detail"].as_str().expect("a detail").to_owned()
    }
}

fn building_id(control: &dyn Control, name: &str) -> BuildingId {
    let buildings = control.buildings().expect("buildings");
    buildings.iter().find(|building| building.name == name).expect("the building").id
}

fn file_building(name: &str, prefix: &str, zone: &str, hours: &str) -> FileBuilding {
    let columns = NetworkColumns {
        network_name: format!("{name} floor 1"),
        ownership_type: String::new(),
        building_type: String::new(),
        building_office_type: String::new(),
        city: "City".to_owned(),
        zip_code: String::new(),
        country: "XX".to_owned(),
        state: String::new(),
        region: "R".to_owned(),
        inside_corp: true,
        express_route: false,
        vpn: false,
    };
    FileBuilding {
        name: name.to_owned(),
        city: "City".to_owned(),
        country: "XX".to_owned(),
        region: "R".to_owned(),
        time_zone: Some(zone.to_owned()),
        business_hours: Some(hours.parse().expect("hours")),
        holidays: std::collections::BTreeSet::new(),
        subnets: vec![FileSubnet {
            prefix: prefix.parse().expect("a prefix"),
            egress: None,
            columns,
        }],
    }
}

fn new_agent(n: u128, name: &str, prefix: &str, simulated: bool) -> NewAgent {
    NewAgent {
        id: AgentId::from_u128(n),
        name: name.to_owned(),
        secret_sha256: [0; 32],
        simulated,
        binding: Binding::Subnet { prefix: prefix.parse().expect("a prefix"), egress: None },
        added: MONDAY,
    }
}

fn worst_hour(masked: bool) -> WorstHour {
    WorstHour {
        start_minute: 600,
        valid: 60,
        bad: if masked { 30 } else { 60 },
        dominant: Some(Breach::Loss),
        loss_ppm: 20_000,
        loss_ppm_p90: 24_000,
        rtt_us_p90: 40_000,
        jitter_us_p90: 4_000,
        bad_by: [if masked { 30 } else { 60 }, 0, 0, 0, 0],
        reordered: 50,
        replies: 44_000,
        order: Judgement::Fail,
        rating_p10_hundredths: Some(7_150),
    }
}

fn average(masked: bool) -> DailyAverage {
    let loss_ppm = if masked { 3_000 } else { 50_000 };
    DailyAverage { loss_ppm, rtt_us: 30_000, jitter_us: 2_000, passes: masked }
}

pub(crate) fn day_summary(building: BuildingId, date: Date, masked: bool) -> DaySummary {
    DaySummary {
        scope: Scope::Building(building),
        building,
        date,
        verdict: if masked { DayVerdict::PeakBad } else { DayVerdict::AllDayBad },
        limits: Some(LimitsVersion(1)),
        expected: 600,
        valid: 590,
        bad: 60,
        worst_hour: Some(worst_hour(masked)),
        bad_quarters: (40..48).map(|quarter| quarter * 15).collect(),
        average: Some(average(masked)),
        masked,
        masking_factor: masked.then_some(8.0),
    }
}

/// The same of one of its paths.
pub(crate) fn path_summary(path: i64, building: BuildingId, date: Date) -> DaySummary {
    DaySummary { scope: Scope::Path(PathId(path)), ..day_summary(building, date, true) }
}

/// A path that suffers in a building's first subnet.
pub(crate) fn member(control: &dyn Control, path: i64, building: BuildingId) -> IncidentMember {
    let subnets = control.subnets().expect("subnets");
    let subnet = subnets.iter().find(|subnet| subnet.building == building).expect("a subnet").id;
    IncidentMember { path: PathId(path), building, subnet }
}

/// An open incident of a whole building: bad on Monday and Tuesday, then not observed.
pub(crate) fn incident(number: u64, building: BuildingId, masked: bool) -> Incident {
    let monday = date(2026, 3, 2);
    Incident {
        id: IncidentId::from_u128(u128::from(number)),
        number,
        kind: FindingKind::RecurringPeak,
        place: IncidentPlace::Building(building),
        segment: Segment::CustomerWan,
        building,
        members: Vec::new(),
        siblings: Siblings { within: 4, suffering: 3, near: 1, ..Siblings::default() },
        hours: vec![(600, 720)],
        state: IncidentState::Open,
        change: Change::Opened,
        changed: date(2026, 3, 3),
        merged_into: None,
        stale: false,
        first_bad: monday,
        last_bad: date(2026, 3, 3),
        bad_days: vec![monday, date(2026, 3, 3)],
        observed_days: vec![monday, date(2026, 3, 3)],
        opened_on: Some(date(2026, 3, 3)),
        closed_on: None,
        noted: MONDAY,
        opened: Some(NOW),
        closed: None,
        openings: 1,
        severity: 0.5,
        confidence: 0.95,
        cause: Cause::Bandwidth,
        cause_confidence: 0.7,
        mechanism: Mechanism::Queue,
        evidence: vec![
            Evidence {
                cause: Cause::Bandwidth,
                weight: 2.0,
                text: "delay rises before loss".to_owned(),
            },
            Evidence { cause: Cause::Wifi, weight: -1.5, text: "wired suffers too".to_owned() },
        ],
        worst_hour: Some(worst_hour(masked)),
        worst_on: Some(date(2026, 3, 3)),
        average: Some(average(masked)),
        masked,
        masking_factor: masked.then_some(8.0),
        sentence: format!("Calls in building {number} break up & crackle from 10:00 to 12:00."),
        paragraph: format!("Incident {number}: 30 of 60 windows were bad."),
        simulated: masked,
    }
}

/// Two local days at one window a minute; from 10:00 to 12:00 every second window loses 30 of 750,
/// and in the evening some replies overtake others.
fn append_two_days(telemetry: &dyn Telemetry, agent: AgentId, rate_pps: u32) {
    let schedule = Schedule { revision: ScheduleRevision(1), period_us: 60_000_000 };
    for hour in 0..48u64 {
        let windows = (0..60u64).map(|minute| {
            let at = MONDAY.plus(Duration::from_secs(hour * 3_600 + minute * 60));
            let lossy = (10..12).contains(&(hour % 24)) && minute % 2 == 0;
            let window =
                window(TARGET, rate_pps, if lossy { 30 } else { 0 }, reordered(hour, minute));
            judged(at, window)
        });
        let rows = BlockRows {
            agent,
            epoch: Epoch(1),
            block: BlockNo(hour + 1),
            received: NOW,
            schedules: vec![schedule],
            windows: windows.collect(),
            others: Vec::new(),
            quarantined: Vec::new(),
        };
        telemetry.append(&[rows]).expect("append");
    }
}

/// After three days the agent is not running for two hours.
fn append_gap(telemetry: &dyn Telemetry, agent: AgentId) {
    let started = MONDAY.plus(Duration::from_secs(72 * 3_600));
    append_gaps(telemetry, agent, started, (7_200, 1));
}

/// So many gaps of so many seconds, one after the other.
pub(crate) fn append_gaps(
    telemetry: &dyn Telemetry,
    agent: AgentId,
    started: UtcMicros,
    (seconds, count): (u64, u64),
) {
    let gap = |n: u64| {
        let started = started.plus(Duration::from_secs(n * seconds));
        let stamp = Stamp::new(started, BootMicros(1), BootId::from_u128(1), seconds * 1_000_000);
        Record {
            stamp: stamp.expect("a stamp"),
            schedule: ScheduleRevision(1),
            context: Context::default(),
            body: busyhour_model::Body::Gap(Gap {
                reason: GapReason::NotRunning,
                path: None,
                records: None,
            }),
        }
    };
    let rows = BlockRows {
        agent,
        epoch: Epoch(1),
        block: BlockNo(1_000),
        received: NOW,
        schedules: Vec::new(),
        windows: Vec::new(),
        others: (0..count).map(gap).collect(),
        quarantined: Vec::new(),
    };
    telemetry.append(&[rows]).expect("append");
}

/// From 20:00 to 21:00 one reply a window overtakes another, in the next hour one in three windows.
fn reordered(hour: u64, minute: u64) -> u32 {
    match hour % 24 {
        20 => 1,
        21 => u32::from(minute.is_multiple_of(3)),
        _ => 0,
    }
}

/// Windows of the last minutes before `now`, a minute apart, the first of which lose 30 of 750.
pub(crate) fn append_lately(
    telemetry: &dyn Telemetry,
    agent: AgentId,
    now: UtcMicros,
    count: u64,
    lossy: u64,
) {
    let windows = (0..count).map(|n| {
        let at = now.minus(Duration::from_secs(60 * (n + 1)));
        judged(at, window(TARGET, 50, if n < lossy { 30 } else { 0 }, 0))
    });
    let rows = BlockRows {
        agent,
        epoch: Epoch(1),
        block: BlockNo(3_000),
        received: now,
        schedules: vec![Schedule { revision: ScheduleRevision(1), period_us: 60_000_000 }],
        windows: windows.collect(),
        others: Vec::new(),
        quarantined: Vec::new(),
    };
    telemetry.append(&[rows]).expect("append");
}

/// One good window on each of many paths, on Monday at nine.
pub(crate) fn append_paths(telemetry: &dyn Telemetry, agent: AgentId, count: usize) {
    let at = MONDAY.plus(Duration::from_secs(9 * 3_600));
    let windows = (0..count).map(|n| judged(at, window(&format!("target-{n}:862"), 50, 0, 0)));
    let rows = BlockRows {
        agent,
        epoch: Epoch(1),
        block: BlockNo(2_000),
        received: NOW,
        schedules: vec![Schedule { revision: ScheduleRevision(1), period_us: 60_000_000 }],
        windows: windows.collect(),
        others: Vec::new(),
        quarantined: Vec::new(),
    };
    telemetry.append(&[rows]).expect("append");
}

fn judged(at: UtcMicros, window: Window) -> JudgedWindow {
    let requirement = RequirementProfile::ClientToMicrosoftEdge;
    let table = limits_in_force(requirement, at).expect("a table");
    JudgedWindow {
        placed: at,
        stamp: Stamp::new(at, BootMicros(1), BootId::from_u128(1), 15_000_000).expect("a stamp"),
        schedule: ScheduleRevision(1),
        context: Context::default(),
        verdict: table.judge(&window),
        window,
        requirement,
        limits: table.version,
    }
}

fn window(target: &str, rate_pps: u32, lost: u32, reordered: u32) -> Window {
    let mut rtt = Histogram::new();
    rtt.record_n(20_000, u64::from(700 - lost));
    rtt.record_n(35_000, 50);
    let dscp = Dscp::new(46).expect("a code point");
    Window::new(WindowParts {
        burst: Some(BurstLoss::new(0, 10).expect("a burst")),
        rtt,
        rtt_median_us: Some(20_000),
        up_jitter: Some(Jitter { mean_us: 1_500, max_us: 3_000 }),
        dscp: DscpSeen {
            sent: dscp,
            up: Some(dscp),
            down: Some(dscp),
            up_changed: 0,
            down_changed: 0,
        },
        sent_by: TimestampMethod::Kernel,
        received_by: TimestampMethod::Kernel,
        source_port: 50_000,
        send_lateness_max_us: 10,
        ..WindowParts::new(
            PathKey {
                link: Link::new(LinkKind::Wired, "eth0").expect("a link"),
                family: AddressFamily::Ipv4,
                target: TargetName::new(target).expect("a target"),
                class: TrafficClass::Audio,
                profile: ProfileName::new("audio-50").expect("a profile"),
                transport: Transport::Udp,
            },
            rate_pps,
            PacketCounts::new(750, 750, [lost, 0, 0], reordered, 0).expect("counts"),
        )
    })
    .expect("a window")
}
