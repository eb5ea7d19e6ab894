//! A collector on an ephemeral port of the loopback, with a real store, and an agent's stream.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use busyhour_delivery::Block;
use busyhour_fleet::Planner;
use busyhour_ingest::{
    CommitterEnded, CountersSnapshot, Ingest, IngestParts, Requirements, SecretAuthenticator,
    ServeError, secret_sha256,
};
use busyhour_model::{
    AddressFamily, AgentId, BlockNo, Body, BootId, BootMicros, Context, Dscp, DscpSeen, Epoch,
    Histogram, LimitTable, Link, LinkKind, PacketCounts, PathId, PathKey, ProfileName, Record,
    RequirementProfile, Schedule, ScheduleRevision, SessionReport, SessionReportParts, Slot,
    SlotStart, Stamp, TargetName, TimestampMethod, TrafficClass, Transport, UtcMicros, Window,
    WindowParts,
};
use busyhour_proto::v1::agent_message::Message as Up;
use busyhour_proto::v1::collector_message::Message as Down;
use busyhour_proto::v1::ingest_client::IngestClient;
use busyhour_proto::{encode_payload, v1};
use busyhour_store::{
    Act, Appended, Binding, BlockRows, Control, DamagedFile, DayTally, DirtyDay, ErrorKind,
    Forgotten, Grain, NewAgent, PathRow, RecordKind, Retention, SlotDetail, SqliteControl,
    SqliteTelemetry, StoreError, StoredWindow, Telemetry, TelemetryTotals,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

/// Longer than anything here takes; a test that waits so long fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const SECRET: &str = "correct horse battery staple";
pub(crate) const EPOCH: u64 = 0xfeed;

pub(crate) struct Collector {
    pub(crate) telemetry: Arc<SqliteTelemetry>,
    pub(crate) control: Arc<SqliteControl>,
    /// Plans when it is told to.
    pub(crate) planner: Arc<Planner>,
    pub(crate) shutdown: CancellationToken,
    ingest: Arc<Ingest>,
    server: tokio::task::JoinHandle<Result<(), ServeError>>,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

/// The store, but it refuses every block of this number that holds a window: with this error, or
/// without one by a panic.
struct Picky(Arc<SqliteTelemetry>, u64, Option<ErrorKind>);

impl Telemetry for Picky {
    fn append(&self, blocks: &[BlockRows]) -> Result<Vec<Appended>, StoreError> {
        let refused = |rows: &BlockRows| rows.block.0 == self.1 && !rows.windows.is_empty();
        if blocks.iter().any(refused) {
            let kind = self.2.expect("the store is as this test wants it");
            return Err(StoreError::new("append blocks", kind));
        }
        self.0.append(blocks)
    }

    fn received(&self, a: AgentId, e: Epoch) -> Result<Vec<(BlockNo, BlockNo)>, StoreError> {
        self.0.received(a, e)
    }

    fn paths(&self, agent: Option<AgentId>) -> Result<Vec<PathRow>, StoreError> {
        self.0.paths(agent)
    }

    fn visit_slots(
        &self,
        paths: &[PathId],
        span: (SlotStart, SlotStart),
        grain: Grain,
        detail: SlotDetail,
        visit: &mut dyn FnMut(PathId, &Slot),
    ) -> Result<(), StoreError> {
        self.0.visit_slots(paths, span, grain, detail, visit)
    }

    fn windows(
        &self,
        path: PathId,
        from: UtcMicros,
        until: UtcMicros,
        limit: usize,
    ) -> Result<Vec<StoredWindow>, StoreError> {
        self.0.windows(path, from, until, limit)
    }

    fn others(
        &self,
        agent: AgentId,
        kind: RecordKind,
        from: UtcMicros,
        until: UtcMicros,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        self.0.others(agent, kind, from, until, limit)
    }

    fn dirty_days(&self, limit: usize) -> Result<Vec<DirtyDay>, StoreError> {
        self.0.dirty_days(limit)
    }

    fn clear_dirty(&self, days: &[DirtyDay]) -> Result<(), StoreError> {
        self.0.clear_dirty(days)
    }

    fn prune(&self, now: UtcMicros) -> Result<u64, StoreError> {
        self.0.prune(now)
    }

    fn visit_tallies(
        &self,
        paths: &[PathId],
        span: (SlotStart, SlotStart),
        visit: &mut dyn FnMut(&DayTally<'_>),
    ) -> Result<(), StoreError> {
        self.0.visit_tallies(paths, span, visit)
    }

    fn rejudge(
        &self,
        span: (SlotStart, SlotStart),
        table: &dyn Fn(RequirementProfile) -> Option<&'static LimitTable>,
    ) -> Result<u64, StoreError> {
        self.0.rejudge(span, table)
    }

    fn damaged(&self) -> Vec<DamagedFile> {
        self.0.damaged()
    }

    fn forget(&self, agent: AgentId) -> Result<Forgotten, StoreError> {
        self.0.forget(agent)
    }

    fn totals(&self) -> Result<TelemetryTotals, StoreError> {
        self.0.totals()
    }
}

impl Collector {
    /// A collector that knows agent 1.
    pub(crate) async fn start() -> Self {
        Self::start_with(|telemetry| telemetry).await
    }

    /// A collector whose store refuses what is in block `number`.
    pub(crate) async fn start_refusing(number: u64, kind: Option<ErrorKind>) -> Self {
        Self::start_with(|telemetry| Arc::new(Picky(telemetry, number, kind))).await
    }

    async fn start_with(wrap: impl FnOnce(Arc<SqliteTelemetry>) -> Arc<dyn Telemetry>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let retention = Retention {
            windows_days: 14,
            slots_days: 400,
            hours_days: 400,
            checks_days: 400,
            facts_days: 400,
            loads_days: 400,
            gaps_days: 400,
        };
        let (telemetry, control) = busyhour_store::open(directory.path(), retention).unwrap();
        let (telemetry, control) = (Arc::new(telemetry), Arc::new(control));
        let_in(&control, 1);
        let shutdown = CancellationToken::new();
        let parts = IngestParts {
            telemetry: wrap(telemetry.clone()),
            control: control.clone(),
            authenticator: Arc::new(SecretAuthenticator::new(control.clone())),
            requirements: Requirements::new([], RequirementProfile::ClientToMicrosoftEdge),
            retention: Duration::from_secs(400 * 24 * 3_600),
        };
        let planner = Arc::new(Planner::new(control.clone(), Arc::new(now)));
        // However slow this machine is, no turn is over because its agent was not heard of.
        let (plans, idle) = (Arc::clone(&planner), 4 * PATIENCE);
        let ingest = Ingest::start_patient(parts, plans, idle, shutdown.clone()).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ingest = Arc::new(ingest);
        let serving = Arc::clone(&ingest);
        let server = tokio::spawn(async move { serving.serve_plaintext(listener).await });
        Self {
            telemetry,
            control,
            planner,
            shutdown,
            ingest,
            server,
            address,
            _directory: directory,
        }
    }

    /// How the thread that writes ends, or that it was asked to.
    pub(crate) async fn failed(&self) -> Result<(), CommitterEnded> {
        tokio::time::timeout(PATIENCE, self.ingest.failed()).await.expect("it ends")
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn counters(&self) -> CountersSnapshot {
        self.ingest.counters().snapshot()
    }

    /// Opens a stream with this `authorization`, or none.
    pub(crate) async fn call(&self, authorization: Option<&str>) -> Result<Agent, Status> {
        let channel =
            Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await;
        let (sender, receiver) = mpsc::channel(64);
        let mut request = Request::new(ReceiverStream::new(receiver));
        if let Some(authorization) = authorization {
            request.metadata_mut().insert("authorization", authorization.parse().unwrap());
        }
        let answers = IngestClient::new(channel.unwrap()).session(request).await?.into_inner();
        Ok(Agent { sender, answers })
    }

    /// Opens a stream as agent 1 and says nothing yet.
    pub(crate) async fn agent(&self) -> Agent {
        self.agent_of(1).await
    }

    async fn agent_of(&self, number: u128) -> Agent {
        self.call(Some(&format!("Bearer {}.{SECRET}", agent(number)))).await.unwrap()
    }

    /// Lets another agent in.
    pub(crate) fn let_in(&self, number: u128) {
        let_in(&self.control, number);
    }

    /// Opens a stream as agent 1 and says hello.
    pub(crate) async fn session(&self, oldest: u64, newest: u64) -> (Agent, v1::Welcome) {
        self.session_of(1, oldest, newest).await
    }

    /// The same as another agent.
    pub(crate) async fn session_of(
        &self,
        number: u128,
        oldest: u64,
        newest: u64,
    ) -> (Agent, v1::Welcome) {
        let mut agent = self.agent_of(number).await;
        agent.say(hello(oldest, newest)).await;
        let welcome = match agent.hear().await.unwrap() {
            Down::Welcome(welcome) => welcome,
            other => panic!("{other:?}"),
        };
        (agent, welcome)
    }

    /// Waits until the counters are as they should be.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&CountersSnapshot) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !holds(&self.counters()) {
            let patient = tokio::time::Instant::now() < deadline;
            assert!(patient, "{what} does not come: {:?}", self.counters());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(crate) async fn stop(self) -> CountersSnapshot {
        let counters = self.ingest.counters();
        self.shutdown.cancel();
        let stopped = async {
            self.server.await.unwrap().unwrap();
            Arc::into_inner(self.ingest).unwrap().join().await;
        };
        tokio::time::timeout(PATIENCE, stopped).await.expect("the collector stops");
        counters.snapshot()
    }
}

/// The agent's side of a stream.
#[derive(Debug)]
pub(crate) struct Agent {
    sender: mpsc::Sender<v1::AgentMessage>,
    answers: Streaming<v1::CollectorMessage>,
}

impl Agent {
    pub(crate) const fn of(
        sender: mpsc::Sender<v1::AgentMessage>,
        answers: Streaming<v1::CollectorMessage>,
    ) -> Self {
        Self { sender, answers }
    }

    /// Says something; a collector that hung up does not hear it.
    pub(crate) async fn say(&self, message: Up) {
        let message = v1::AgentMessage { message: Some(message) };
        let _ = tokio::time::timeout(PATIENCE, self.sender.send(message)).await.unwrap();
    }

    /// The next message that is not about credit.
    pub(crate) async fn hear(&mut self) -> Result<Down, Status> {
        loop {
            match self.hear_any().await {
                Ok(Down::Credit(_)) => {}
                other => return other,
            }
        }
    }

    pub(crate) async fn hear_any(&mut self) -> Result<Down, Status> {
        let message = tokio::time::timeout(PATIENCE, self.answers.message()).await;
        let message = message.expect("an answer comes")?;
        message.map_or_else(|| Err(Status::ok("")), |m| Ok(m.message.unwrap()))
    }

    /// Hears acknowledgements until all of these blocks were acknowledged.
    pub(crate) async fn hear_acknowledged(&mut self, blocks: &[u64]) {
        let mut open = blocks.to_vec();
        while !open.is_empty() {
            match self.hear().await.unwrap() {
                Down::Acknowledgement(ack) => {
                    assert_eq!(ack.epoch, EPOCH);
                    open.retain(|b| !ack.blocks.iter().any(|r| (r.first..=r.last).contains(b)));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Hears how the collector ends the session.
    pub(crate) async fn hear_end(&mut self) -> Status {
        loop {
            if let Err(status) = self.hear().await {
                return status;
            }
        }
    }
}

fn let_in(control: &SqliteControl, number: u128) {
    let new = NewAgent {
        id: agent(number),
        name: format!("agent {number}"),
        secret_sha256: secret_sha256(SECRET),
        simulated: false,
        binding: Binding::Address,
        added: now(),
    };
    control.add_agent(&new, &Act::by_operator(now())).unwrap();
}

pub(crate) fn agent(number: u128) -> AgentId {
    AgentId::from_u128(number)
}

pub(crate) fn now() -> UtcMicros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UtcMicros(i64::try_from(since.as_micros()).unwrap())
}

pub(crate) fn hello(oldest: u64, newest: u64) -> Up {
    Up::Hello(v1::Hello {
        version: "0.1.0".to_owned(),
        epoch: EPOCH,
        boot: vec![7; 16],
        os: "linux".to_owned(),
        oldest_block: oldest,
        newest_block: newest,
        ..v1::Hello::default()
    })
}

pub(crate) fn block(number: u64, records: &[Record]) -> v1::Block {
    let schedule = Schedule { revision: ScheduleRevision(1), period_us: 60_000_000 };
    sealed(number, encode_payload(records, &[schedule]))
}

pub(crate) fn sealed(number: u64, payload: Vec<u8>) -> v1::Block {
    let block = Block::seal(BlockNo(number), payload);
    v1::Block { block: number, crc32c: block.crc32c, payload: block.payload }
}

/// A clean window that began at `started`.
pub(crate) fn window(started: UtcMicros) -> Record {
    let mut rtt = Histogram::new();
    rtt.record_n(20_000, 750);
    let window = Window::new(WindowParts {
        rtt_median_us: Some(20_000),
        rtt,
        dscp: DscpSeen {
            sent: Dscp::new(46).unwrap(),
            up: None,
            down: None,
            up_changed: 0,
            down_changed: 0,
        },
        sent_by: TimestampMethod::Kernel,
        received_by: TimestampMethod::Kernel,
        source_port: 50_000,
        ..WindowParts::new(
            PathKey {
                link: Link::new(LinkKind::Wired, "eth0").unwrap(),
                family: AddressFamily::Ipv4,
                target: TargetName::new("far:862").unwrap(),
                class: TrafficClass::Audio,
                profile: ProfileName::new("audio-50").unwrap(),
                transport: Transport::Udp,
            },
            50,
            PacketCounts::clean(750, 750),
        )
    });
    Record {
        stamp: Stamp::new(started, BootMicros(5), BootId::from_u128(7), 15_000_000).unwrap(),
        schedule: ScheduleRevision(1),
        context: Context {
            local_prefix: Some("10.20.30.0/24".parse().unwrap()),
            ..Context::default()
        },
        body: Body::Window(Box::new(window.unwrap())),
    }
}

const SSID: u16 = 7;

/// A window that lost three packets, nobody knows where.
pub(crate) fn unsettled_window(started: UtcMicros) -> Record {
    let mut record = window(started);
    let Body::Window(clean) = record.body else { panic!("a window") };
    let clean = clean.into_parts();
    let lossy = Window::new(WindowParts {
        ssid: SSID,
        first_sequence: 16,
        sequences: 750,
        ..WindowParts::new(clean.path, 50, PacketCounts::new(750, 750, [0, 0, 3], 0, 0).unwrap())
    });
    record.body = Body::Window(Box::new(lossy.unwrap()));
    record.context.resolved = Some("192.0.2.7:862".parse().unwrap());
    record
}

/// The reflector received all packets of that window but one.
pub(crate) fn session_report(started: UtcMicros) -> Record {
    let report = SessionReport::new(SessionReportParts {
        listen: "192.0.2.7:862".parse().unwrap(),
        peer: "198.51.100.4:50000".parse().unwrap(),
        ssid: SSID,
        first_sequence: 16,
        last_sequence: 765,
        received: 749,
        missing: vec![(100, 100)],
        missing_cut: false,
        first_sent_ns: started.0 * 1_000,
        last_sent_ns: started.0 * 1_000 + 14_980_000_000,
        dropped: 0,
    });
    Record { body: Body::SessionReport(Box::new(report.unwrap())), ..window(started) }
}
