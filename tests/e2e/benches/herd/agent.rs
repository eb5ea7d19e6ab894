//! One agent of the fleet: a stream, and a spool that the product's own engine delivers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use busyhour_delivery::{
    Acknowledgement, Block, BlockMeta, BlockRanges, Credit, Hello, SpoolCaps, SpoolIndex, Uplink,
    Welcome,
};
use busyhour_model::{BlockNo, Epoch, Record};
use busyhour_proto::v1::ingest_client::IngestClient;
use busyhour_proto::v1::{self, agent_message, collector_message};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Streaming};

use crate::collector::now;
use crate::fleet::{Fleet, SCHEDULE};
use crate::member::Member;

/// Paths of each agent, with a window a minute.
pub(crate) const PATHS: usize = 12;
/// A block is sealed so often, and holds two windows then.
pub(crate) const SEAL: Duration = Duration::from_secs(10);
const BLOCKS_PER_MINUTE: u64 = 6;
/// Messages between an agent and its stream: more than the credit that it is given.
const STREAM_QUEUE: usize = 32;
/// The machine's boot.
const BOOT: [u8; 16] = [7; 16];
/// Between two tries to connect; that is not what is measured.
const AGAIN: Duration = Duration::from_millis(200);

/// An open session.
pub(crate) struct Stream {
    send: mpsc::Sender<v1::AgentMessage>,
    answers: Streaming<v1::CollectorMessage>,
}

impl Stream {
    /// Connects as an agent, however often that takes, and says hello.
    async fn open(member: &Member, hello: &Hello) -> (Self, Welcome) {
        loop {
            if let Some(opened) = Self::try_open(member, hello).await {
                return opened;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn try_open(member: &Member, hello: &Hello) -> Option<(Self, Welcome)> {
        let channel = member.connect().await?;
        let (send, receive) = mpsc::channel(STREAM_QUEUE);
        let hello = v1::Hello {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            epoch: hello.epoch.0,
            boot: BOOT.to_vec(),
            os: "linux".to_owned(),
            oldest_block: hello.oldest.map_or(0, |block| block.0),
            newest_block: hello.newest.map_or(0, |block| block.0),
            held_blocks: hello.held.unwrap_or(0),
            ..v1::Hello::default()
        };
        send.try_send(message(agent_message::Message::Hello(hello))).ok()?;
        let request = Request::new(ReceiverStream::new(receive));
        let answers = IngestClient::new(channel).session(request).await.ok()?;
        let mut answers = answers.into_inner();
        let first = answers.message().await.ok()??;
        let collector_message::Message::Welcome(welcome) = first.message? else { return None };
        let credit = credit(welcome.credit, welcome.backlog);
        let welcome = Welcome { stored: ranges(&welcome.stored), credit };
        Some((Self { send, answers }, welcome))
    }

    /// Connects as an agent with nothing to deliver.
    pub(crate) async fn idle(member: &Member) -> Self {
        let hello = Hello { epoch: Epoch(1), oldest: None, newest: None, held: Some(0) };
        let mut stream = Self::open(member, &hello).await.0;
        stream.compare().await;
        stream
    }

    /// Compares the clocks, as agents do first and every minute.
    async fn compare(&mut self) {
        let request = v1::ClockRequest {
            agent_sent_us: now().0,
            boot: BOOT.to_vec(),
            ..v1::ClockRequest::default()
        };
        let _ = self.send.try_send(message(agent_message::Message::Clock(request)));
        let _ = self.answers.message().await;
    }

    /// Says nothing until the collector ends the session.
    pub(crate) async fn rest(mut self) {
        while let Ok(Some(_)) = self.answers.message().await {}
    }
}

/// What an agent found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// From the first try to the welcome.
    pub(crate) welcomed: Duration,
    /// From the first try until nothing of the backlog was left.
    pub(crate) drained: Duration,
    /// From the sealing of each live block to its acknowledgement.
    pub(crate) lags: Vec<Duration>,
    pub(crate) blocks: u64,
    pub(crate) windows: u64,
}

/// An agent that was away.
pub(crate) struct Returning {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) agent: usize,
    pub(crate) member: Member,
    /// Blocks that it kept.
    pub(crate) kept: u64,
    /// When it seals the next one.
    pub(crate) first_seal: Instant,
    /// It seals until then, and for as long as any agent has a backlog.
    pub(crate) until: Instant,
    /// Agents that have one.
    pub(crate) undrained: Arc<AtomicUsize>,
}

impl Returning {
    /// Comes back, delivers what it kept and what is new.
    pub(crate) async fn deliver(self) -> Found {
        let kept = (1..=self.kept).map(|number| self.meta(number));
        let index = SpoolIndex::new(SpoolCaps::default(), kept, None);
        let mut uplink = Uplink::new(Epoch(1), index);
        let begun = Instant::now();
        let hello = uplink.connected();
        let (mut stream, welcome) = Stream::open(&self.member, &hello).await;
        let mut found = Found { welcomed: begun.elapsed(), ..Found::default() };
        uplink.welcomed(&welcome).expect("a sound welcome");
        let mut sealed: HashMap<BlockNo, Instant> = HashMap::new();
        let mut seals = tokio::time::interval_at(self.first_seal.into(), SEAL);
        seals.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            while let Some(number) = uplink.next_block() {
                let block = message(agent_message::Message::Block(self.block(number)));
                stream.send.try_send(block).expect("the queue is longer than the credit");
            }
            let going = Instant::now() < self.until || self.undrained.load(Ordering::Relaxed) > 0;
            if uplink.spool().blocks() == 0 && !going {
                return found;
            }
            tokio::select! {
                answer = stream.answers.message() => {
                    let answer = answer.expect("an answer").expect("it goes on");
                    self.hear(answer, &mut uplink, &mut sealed, &mut found);
                    let backlog_left = uplink.spool().oldest().is_some_and(|at| at.0 <= self.kept);
                    if !backlog_left && found.drained.is_zero() {
                        found.drained = begun.elapsed();
                        self.undrained.fetch_sub(1, Ordering::Relaxed);
                    }
                }
                due = seals.tick(), if going => {
                    let number = uplink.spool().next_number();
                    sealed.insert(number, due.into_std());
                    let dropped = uplink.sealed(self.meta(number.0), now());
                    assert_eq!(dropped, None, "the spool has room");
                }
            }
        }
    }

    fn hear(
        &self,
        answer: v1::CollectorMessage,
        uplink: &mut Uplink,
        sealed: &mut HashMap<BlockNo, Instant>,
        found: &mut Found,
    ) {
        match answer.message {
            Some(collector_message::Message::Credit(granted)) => {
                let granted = credit(granted.blocks, granted.backlog);
                uplink.credited(granted).expect("after the welcome");
            }
            Some(collector_message::Message::Acknowledgement(ack)) => {
                let blocks = ranges(&ack.blocks);
                let epoch = Epoch(ack.epoch);
                let done = uplink.acknowledged(&Acknowledgement { epoch, blocks });
                for block in done.expect("of this spool") {
                    found.blocks += 1;
                    found.windows += PATHS as u64 / BLOCKS_PER_MINUTE;
                    found.lags.extend(sealed.remove(&block).map(|at| at.elapsed()));
                }
            }
            other => panic!("agent {} heard {other:?}", self.agent),
        }
    }

    fn meta(&self, number: u64) -> BlockMeta {
        let first = self.fleet.minute(((number - 1) / BLOCKS_PER_MINUTE) as i64);
        BlockMeta {
            number: BlockNo(number),
            size_bytes: 500,
            records: 2,
            first,
            last: first.plus(Duration::from_secs(60)),
        }
    }

    /// A sixth of a minute: windows of two paths.
    fn block(&self, number: BlockNo) -> v1::Block {
        let (minute, part) =
            ((number.0 - 1) / BLOCKS_PER_MINUTE, (number.0 - 1) % BLOCKS_PER_MINUTE);
        let each = PATHS / BLOCKS_PER_MINUTE as usize;
        let first = self.fleet.paths_of(self.agent).start + part as usize * each;
        let records: Vec<Record> =
            (first..first + each).map(|path| self.fleet.record(path, minute as i64)).collect();
        let payload = busyhour_proto::encode_payload(&records, &[SCHEDULE]);
        let Block { number, crc32c, payload } = Block::seal(number, payload);
        v1::Block { block: number.0, crc32c, payload }
    }
}

fn credit(blocks: u32, backlog: Option<u32>) -> Credit {
    let otherwise = Credit::of(blocks);
    Credit { backlog: backlog.unwrap_or(otherwise.backlog), ..otherwise }
}

fn ranges(ranges: &[v1::BlockRange]) -> BlockRanges {
    ranges.iter().map(|range| (BlockNo(range.first), BlockNo(range.last))).collect()
}

fn message(message: agent_message::Message) -> v1::AgentMessage {
    v1::AgentMessage { message: Some(message) }
}
