//! A collector in memory, and agents on threads of their own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use busyhour_agent::{Agent, RawConfig};
use busyhour_delivery::{Acknowledgement, Block, BlockRanges, Credit, Hello, Receiver, Verdict};
use busyhour_model::{BlockNo, Body, Epoch, Gap, Record, Window};
use busyhour_proto::v1::agent_message::Message as Said;
use busyhour_proto::v1::collector_message::Message as Heard;
use busyhour_proto::v1::ingest_server::{Ingest, IngestServer};
use busyhour_proto::{decode_payload, v1};
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

pub(crate) const AGENT: &str = "01234567-89ab-cdef-0123-456789abcdef";
pub(crate) const SECRET: &str = "s3cret";

/// What the collector knows.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// Payloads by epoch and block.
    pub(crate) blocks: BTreeMap<(u64, u64), Vec<u8>>,
    /// Blocks that came again with other content.
    pub(crate) changed: Vec<u64>,
    /// Sessions that were begun with the right secret.
    pub(crate) sessions: u32,
    /// Sessions to cut after the next commit, before it is acknowledged.
    pub(crate) cuts: u32,
    /// Clock comparisons.
    pub(crate) clocks: u32,
}

impl Stored {
    pub(crate) fn records(&self) -> Vec<Record> {
        let decoded = self.blocks.values().map(|payload| decode_payload(payload).unwrap());
        decoded.flat_map(|payload| payload.records).map(Result::unwrap).collect()
    }

    pub(crate) fn windows(&self) -> Vec<(Record, Window)> {
        let window = |record: Record| match record.body.clone() {
            Body::Window(window) => Some((record, *window)),
            _ => None,
        };
        self.records().into_iter().filter_map(window).collect()
    }

    pub(crate) fn gaps(&self) -> Vec<(Record, Gap)> {
        let gap = |record: Record| match record.body.clone() {
            Body::Gap(gap) => Some((record, gap)),
            _ => None,
        };
        self.records().into_iter().filter_map(gap).collect()
    }
}

pub(crate) type Shared = Arc<Mutex<Stored>>;

struct Service(Shared);

type Replies = mpsc::Sender<Result<v1::CollectorMessage, Status>>;

#[tonic::async_trait]
impl Ingest for Service {
    type SessionStream = ReceiverStream<Result<v1::CollectorMessage, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::AgentMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let bearer =
            request.metadata().get("authorization").map(|v| v.to_str().unwrap().to_owned());
        if bearer != Some(format!("Bearer {AGENT}.{SECRET}")) {
            return Err(Status::unauthenticated("unknown agent or secret"));
        }
        self.0.lock().unwrap().sessions += 1;
        let (replies, stream) = mpsc::channel(64);
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move {
            // The stream ends with an error when the agent goes away.
            let _ = serve(shared, request.into_inner(), replies).await;
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

async fn serve(
    shared: Shared,
    mut inbox: Streaming<v1::AgentMessage>,
    replies: Replies,
) -> Result<(), Status> {
    let mut receiver = Receiver::new(Credit::of(4));
    while let Some(message) = inbox.message().await? {
        let reply = match message.message {
            Some(Said::Hello(hello)) => {
                let stored = stored_of(&shared, hello.epoch);
                let number = |block: u64| (block > 0).then_some(BlockNo(block));
                let hello = Hello {
                    epoch: Epoch(hello.epoch),
                    oldest: number(hello.oldest_block),
                    newest: number(hello.newest_block),
                    held: Some(hello.held_blocks),
                };
                let welcome = receiver.hello(&hello, stored).unwrap();
                let stored = ranges(&welcome.stored);
                Some(Heard::Welcome(v1::Welcome {
                    stored,
                    credit: welcome.credit.blocks,
                    backlog: Some(welcome.credit.backlog),
                    ..v1::Welcome::default()
                }))
            }
            Some(Said::Block(block)) => {
                let block = Block {
                    number: BlockNo(block.block),
                    crc32c: block.crc32c,
                    payload: block.payload,
                };
                match commit(&shared, &mut receiver, &block) {
                    Some(acknowledgement) => acknowledgement.as_ref().map(acknowledge),
                    None => return Ok(()),
                }
            }
            Some(Said::Clock(clock)) => {
                shared.lock().unwrap().clocks += 1;
                Some(Heard::Clock(v1::ClockReply {
                    agent_sent_us: clock.agent_sent_us,
                    collector_received_us: clock.agent_sent_us,
                    collector_sent_us: clock.agent_sent_us,
                }))
            }
            // It was told nothing, and says that it runs nothing: that it knows of configurations.
            Some(Said::Configuration(report)) => {
                assert_eq!((report.revision, report.told_revision), (0, 0), "{report:?}");
                None
            }
            None => panic!("an empty message"),
        };
        if let Some(message) = reply {
            let message = v1::CollectorMessage { message: Some(message) };
            if replies.send(Ok(message)).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Stores a block; `None` when the session is to be cut now.
fn commit(
    shared: &Shared,
    receiver: &mut Receiver,
    block: &Block,
) -> Option<Option<Acknowledgement>> {
    let epoch = receiver.epoch().unwrap().0;
    match receiver.block(block) {
        Verdict::Store(_) => {}
        Verdict::AlreadyStored(acknowledgement) => return Some(Some(acknowledgement)),
        Verdict::Waiting => return Some(None),
        Verdict::Refuse(refusal) => panic!("{refusal}"),
    }
    let mut stored = shared.lock().unwrap();
    let key = (epoch, block.number.0);
    if let Some(old) = stored.blocks.insert(key, block.payload.clone())
        && old != block.payload
    {
        stored.changed.push(block.number.0);
    }
    if stored.cuts > 0 {
        stored.cuts -= 1;
        return None;
    }
    Some(receiver.committed([block.number]))
}

fn stored_of(shared: &Shared, epoch: u64) -> BlockRanges {
    let stored = shared.lock().unwrap();
    stored.blocks.keys().filter(|key| key.0 == epoch).map(|key| BlockNo(key.1)).collect()
}

fn ranges(ranges: &BlockRanges) -> Vec<v1::BlockRange> {
    ranges.iter().map(|(first, last)| v1::BlockRange { first: first.0, last: last.0 }).collect()
}

fn acknowledge(acknowledgement: &Acknowledgement) -> Heard {
    let epoch = acknowledgement.epoch.0;
    Heard::Acknowledgement(v1::Acknowledgement { epoch, blocks: ranges(&acknowledgement.blocks) })
}

/// Something that runs on a thread of its own until it is stopped.
pub(crate) struct Running {
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start<F: Future<Output = ()>>(
        run: impl FnOnce(CancellationToken) -> F + Send + 'static,
    ) -> Self {
        let stop = CancellationToken::new();
        let token = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(run(token));
        });
        Self { stop, thread: Some(thread) }
    }

    /// Stops it as SIGTERM would, and waits for its end.
    pub(crate) fn stop(mut self) {
        self.stop.cancel();
        self.thread.take().unwrap().join().unwrap();
    }
}

/// A collector on a free port of loopback.
pub(crate) fn collector() -> (Running, SocketAddr, Shared) {
    let shared = Shared::default();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let service = Service(Arc::clone(&shared));
    let running = Running::start(async move |stop: CancellationToken| {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        tonic::transport::Server::builder()
            .add_service(IngestServer::new(service))
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop.cancelled_owned())
            .await
            .unwrap();
    });
    (running, address, shared)
}

/// Reads a configuration as the process would.
pub(crate) fn config(folder: &Path, text: &str) -> busyhour_agent::Resolved {
    let file = folder.join("agent.toml");
    std::fs::write(&file, text).unwrap();
    // Whatever this machine runs on.
    let measures = [("pause.on_battery".to_owned(), "false".to_owned())];
    let raw: RawConfig = busyhour_daemon::load(Some(&file), &measures).unwrap();
    raw.resolve().unwrap()
}

/// The text of a configuration that probes `target` without pauses, a second at a time.
pub(crate) fn probing(folder: &Path, target: SocketAddr, collector: SocketAddr) -> String {
    use std::os::unix::fs::PermissionsExt as _;

    let secret = folder.join("secret");
    std::fs::write(&secret, format!("{AGENT}.{SECRET}\n")).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    format!(
        "[agent]\ndata_dir = {folder:?}\nsecret_file = {secret:?}\n\
         [collector]\nurl = \"http://{collector}\"\n[link]\ncapacity = \"10Gbit/s\"\n\
         [[target]]\nname = \"{target}\"\nschedule = \"continuous\"\nwindow = \"1s\"\n\
         [spool]\nseal_after = \"1s\"\n[log]\nlevel = \"busyhour_agent=debug\"\n"
    )
}

/// Starts an agent; gives where it answers probes.
pub(crate) fn agent(config: busyhour_agent::Resolved) -> (Running, Vec<SocketAddr>) {
    let (tell, told) = std::sync::mpsc::channel();
    let running = Running::start(async move |stop: CancellationToken| {
        let agent = Agent::bind(config).await.unwrap();
        tell.send(agent.reflector_addresses()).unwrap();
        agent.run(stop).await.unwrap();
    });
    (running, told.recv().unwrap())
}
