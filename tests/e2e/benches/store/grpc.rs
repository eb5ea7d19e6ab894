//! End to end: a collector as a process, and a fleet of agents in another that delivers sealed blocks
//! over gRPC, a connection and a stream for each agent: in plaintext with a secret, and with `--mtls` over
//! TLS 1.3 with certificates on both sides, too.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use busyhour_model::UtcMicros;
use busyhour_proto::v1::ingest_client::IngestClient;
use busyhour_proto::v1::{self, agent_message, collector_message};
use busyhour_store::{Act, Binding, Control as _, NewAgent};
use e2e::{Process, program, wait_for};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Barrier, mpsc};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;
use tonic::transport::Channel;

use crate::collector::{Collector, Papers};
use crate::cost::{Watch, cpu_of, grouped, own_cpu, peak_mb};
use crate::fleet::{Fleet, MIX, agent_id};
use crate::ingest::RUN;
use crate::member::{self, Member};
use crate::sealed::Sealed;
use crate::series::{self, Keep};
use crate::{Effort, store};

/// Paths of each agent.
const PER_AGENT: usize = 20;
/// The history begins so many days ago, and never reaches the present.
const HISTORY_DAYS: i64 = 10;
/// What the fleet's process says first: who connects, and enrols before that, is not measured.
const CONNECTED: &str = "connected";
/// Messages between an agent's blocks and its stream.
const STREAM_QUEUE: usize = 4;
/// Between two tries of one that was turned away.
const AGAIN: Duration = Duration::from_millis(10);

/// What agents and collector know each other by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Secret,
    Certificates,
}

/// Measures both shapes and prints what it found; through both doors where that is asked for.
pub(crate) fn measure(effort: &Effort, mtls: bool) {
    for (name, run) in [
        ("live: blocks of one window of each of 20 paths", 1),
        ("backlog: blocks of 500 windows of one path", RUN),
    ] {
        let agents = effort.paths.div_ceil(PER_AGENT);
        let doors = [Door::Secret, Door::Certificates];
        for door in doors.into_iter().take(if mtls { 2 } else { 1 }) {
            let by = match door {
                Door::Secret => "plaintext",
                Door::Certificates => "TLS 1.3, certificates on both sides",
            };
            println!("\nThrough gRPC, {by}, {name}; {agents} agents, {} paths", agents * PER_AGENT);
            match door {
                Door::Secret => in_plaintext(effort, agents, run),
                Door::Certificates => over_tls(effort, agents, run),
            }
        }
    }
}

fn in_plaintext(effort: &Effort, agents: usize, run: i64) {
    let folder = store::folder();
    let data = folder.path().join("data");
    let letting_in = Watch::start();
    let_in(&data, agents);
    println!("  agents let in         {:>12.1} s", letting_in.wall());
    let (collector, ingest) = start(folder.path(), &data);
    let of = [agents as i64, run].map(|number| number.to_string());
    feed(effort, &collector, &["--load", &ingest, &of[0], &of[1]]);
    assert!(collector.stop(), "the collector stops in order");
}

/// The fleet enrols first; that is not measured here.
fn over_tls(effort: &Effort, agents: usize, run: i64) {
    let collector = Collector::start(agents);
    let of = [agents as i64, run].map(|number| number.to_string());
    let folder = collector.folder().to_str().expect("printable");
    let load = ["--load-mtls", folder, &collector.ingest, &of[0], &of[1]];
    feed(effort, &collector.process, &load);
    assert!(collector.process.stop(), "the collector stops in order");
}

/// Has the fleet's process deliver and prints what it found.
fn feed(effort: &Effort, collector: &Process, load: &[&str]) {
    let mut load = Command::new(std::env::current_exe().expect("this program"))
        .args(load)
        .args([effort.series.to_string(), effort.grpc.as_millis().to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts");
    let stdout = load.stdout.take().expect("it was asked for");
    let mut lines = BufReader::new(stdout).lines();
    let mut hear = || lines.next().and_then(Result::ok).unwrap_or_default();
    assert_eq!(hear(), CONNECTED, "what the fleet says:\n{}", collector.log());
    let before = cpu_of(collector.id());
    let line = hear();
    assert!(load.wait().expect("it ends").success(), "the fleet delivered:\n{}", collector.log());
    let cpu = cpu_of(collector.id()) - before;
    let found: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let &[windows, seconds, generator] = &found[..] else { panic!("it said {line:?}") };
    println!("  acknowledged          {:>12} windows in {seconds:.1} s", grouped(windows));
    println!("  end to end            {:>12} windows/s", grouped(windows / seconds));
    println!(
        "  processor             {:>12.2} cores for the collector, {:.2} for the fleet",
        cpu / seconds,
        generator / seconds
    );
    println!(
        "                        {:>12} windows per processor second of the collector",
        grouped(windows / cpu)
    );
    println!("  memory                {:>12.0} MB at most", peak_mb(collector.id()));
}

/// Lets agents in before the collector starts: through its own store.
fn let_in(data: &Path, agents: usize) {
    let (_telemetry, control) =
        busyhour_store::open(data, store::RETENTION).expect("the store opens");
    for agent in 0..agents {
        let new = NewAgent {
            id: agent_id(agent),
            name: format!("agent-{agent}"),
            secret_sha256: Sha256::digest(secret(agent).as_bytes()).into(),
            simulated: false,
            binding: Binding::Address,
            added: now(),
        };
        control.add_agent(&new, &Act::by_operator(now())).expect("a new agent");
    }
}

fn secret(agent: usize) -> String {
    format!("secret-of-agent-{agent:08}-of-the-benchmark")
}

fn now() -> UtcMicros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    UtcMicros(since.as_micros() as i64)
}

fn start(folder: &Path, data: &Path) -> (Process, String) {
    let config = folder.join("collector.toml");
    let text = format!(
        "[collector]\ndata_dir = {:?}\n[ingest]\nlisten = \"127.0.0.1:0\"\n\
         [api]\nlisten = \"127.0.0.1:0\"\n",
        data.to_str().expect("printable")
    );
    fs::write(&config, text).expect("a configuration");
    let mut command = Command::new(program("busyhour-collector"));
    command.args(["run", "--config"]).arg(config);
    let mut process = Process::start(&mut command, folder.join("collector.log"));
    let found = wait_for("the collector's addresses", || {
        assert!(process.runs(), "the collector ended:\n{}", process.log());
        let text = fs::read_to_string(data.join("addresses.json")).ok()?;
        serde_json::from_str::<Value>(&text).ok()
    });
    let ingest = found["ingest"].as_str().expect("an address");
    (process, format!("http://{ingest}"))
}

/// The fleet, in its own process, with the papers that let it in, if it needs some: prints windows
/// acknowledged, seconds, and its processor seconds.
pub(crate) fn load(papers: Option<Papers>, arguments: &[&str]) {
    let &[ingest, agents, run, series, millis] = arguments else { panic!("{arguments:?}") };
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let pool = series::make(&MIX, number(series) as usize, 1, Keep::Windows);
    let from = UtcMicros(now().0 - HISTORY_DAYS * 86_400_000_000);
    let fleet = Fleet::new(pool, number(agents) as usize, PER_AGENT, from);
    let sealed = Arc::new(Sealed::new(fleet, number(run) as i64));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let time = Duration::from_millis(number(millis));
    let (windows, started, before) = runtime.block_on(async {
        let together = Arc::new(Barrier::new(sealed.agents() + 1));
        let ways: Vec<Way> = match papers {
            None => (0..sealed.agents()).map(|_| Way::Plain(ingest.to_owned())).collect(),
            Some(papers) => {
                let (members, _) = member::enrol(ingest, papers, sealed.agents()).await;
                members.into_iter().map(|member| Way::Certified(Box::new(member))).collect()
            }
        };
        let mut sessions = JoinSet::new();
        for (agent, way) in ways.into_iter().enumerate() {
            let session = Session { sealed: Arc::clone(&sealed), agent };
            let together = Arc::clone(&together);
            sessions.spawn(async move { session.deliver(&way, &together, time).await });
        }
        tokio::select! {
            _ = together.wait() => {}
            Some(ended) = sessions.join_next() => panic!("one gave up before all were there: {ended:?}"),
        }
        println!("{CONNECTED}");
        let (started, before) = (Instant::now(), own_cpu());
        (sessions.join_all().await.iter().sum::<u64>(), started, before)
    });
    println!("{windows} {} {}", started.elapsed().as_secs_f64(), own_cpu() - before);
}

/// How an agent reaches the collector.
enum Way {
    Plain(String),
    Certified(Box<Member>),
}

impl Way {
    async fn connect(&self) -> Channel {
        match self {
            Self::Plain(ingest) => {
                let endpoint = Channel::from_shared(ingest.clone()).expect("an address");
                endpoint.connect().await.expect("the collector listens")
            }
            // Of many that come within a second the collector turns some away for a moment.
            Self::Certified(member) => loop {
                if let Some(channel) = member.connect().await {
                    break channel;
                }
                tokio::time::sleep(AGAIN).await;
            },
        }
    }
}

/// One agent's session.
struct Session {
    sealed: Arc<Sealed>,
    agent: usize,
}

impl Session {
    /// Connects, waits for all others, delivers for so long, and waits for the last acknowledgement;
    /// windows acknowledged.
    async fn deliver(self, way: &Way, together: &Barrier, time: Duration) -> u64 {
        let channel = way.connect().await;
        let (send, receive) = mpsc::channel(STREAM_QUEUE);
        let boot = (self.agent as u128).to_be_bytes().to_vec();
        let (oldest_block, newest_block) = (1, u64::MAX >> 1);
        let os = "linux".to_owned();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let hello = v1::Hello {
            version,
            epoch: 1,
            boot,
            os,
            oldest_block,
            newest_block,
            held_blocks: 0,
            nonce: Vec::new(),
        };
        send.send(message(agent_message::Message::Hello(hello))).await.expect("a stream");
        let mut request = Request::new(ReceiverStream::new(receive));
        if let Way::Plain(_) = way {
            let bearer = format!("Bearer {}.{}", agent_id(self.agent), secret(self.agent));
            request.metadata_mut().insert("authorization", bearer.parse().expect("a header"));
        }
        let answers = IngestClient::new(channel).session(request).await.expect("a session");
        let mut answers = answers.into_inner();
        let welcome = answers.message().await.expect("an answer").expect("it goes on");
        let Some(collector_message::Message::Welcome(welcome)) = welcome.message else {
            panic!("the collector does not greet: {welcome:?}");
        };
        together.wait().await;
        let until = Instant::now() + time;
        let (mut next, mut credit, mut acknowledged) = (0_u64, welcome.credit as usize, 0);
        let mut in_flight: HashMap<u64, u64> = HashMap::new();
        loop {
            while in_flight.len() < credit && Instant::now() < until {
                let (block, windows) = self.sealed.block(self.agent, next);
                next += 1;
                in_flight.insert(block.block, windows);
                send.send(message(agent_message::Message::Block(block))).await.expect("a stream");
            }
            if in_flight.is_empty() {
                return acknowledged;
            }
            let answer = answers.message().await.expect("an answer").expect("it goes on");
            match answer.message {
                Some(collector_message::Message::Credit(granted)) => {
                    credit = granted.blocks as usize;
                }
                Some(collector_message::Message::Acknowledgement(ack)) => {
                    for block in ack.blocks.iter().flat_map(|range| range.first..=range.last) {
                        acknowledged += in_flight.remove(&block).unwrap_or(0);
                    }
                }
                Some(
                    collector_message::Message::Clock(_)
                    | collector_message::Message::Configuration(_)
                    | collector_message::Message::GoAway(_)
                    | collector_message::Message::Welcome(_),
                )
                | None => {}
            }
        }
    }
}

fn message(message: agent_message::Message) -> v1::AgentMessage {
    v1::AgentMessage { message: Some(message) }
}
