//! Delivers simulated history the way an agent delivers its own: sealed blocks over the collector's
//! gRPC ingest, with the agent's secret.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use busyhour_delivery::Block;
use busyhour_model::{BlockNo, Body, Record, Schedule, UtcMicros};
use busyhour_proto::v1::ingest_client::IngestClient;
use busyhour_proto::v1::{self, agent_message, collector_message};
use busyhour_sim::{Fleet, SimAgent, demo_fleet};
use clap::Args;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;
use tonic::transport::Channel;

use crate::client::Client;

/// Records in one block: what a backlog's blocks hold.
const BLOCK_RECORDS: usize = 500;
/// Agents that deliver at the same time; more would only queue at the collector's one writer.
const CONCURRENT_AGENTS: usize = 4;
/// Messages between the task that seals and the stream.
const STREAM_QUEUE: usize = 8;

/// What `role simulate` understands.
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// The collector's ingest
    #[arg(long, value_name = "URL")]
    ingest: String,
    /// Weeks of history, the newest first
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=4))]
    weeks: u8,
    /// What the history is drawn from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Let the agents in as if they were real, so that alerts leave the machine
    #[arg(long)]
    as_real: bool,
}

/// Lets the simulated fleet in and delivers its history; returns when all of it is acknowledged.
///
/// # Errors
/// When the collector refuses something or goes away.
pub(crate) fn run(client: &Client, args: &SimulateArgs) -> anyhow::Result<()> {
    let fleet = demo_fleet(args.seed, now());
    import_buildings(client, &fleet.building_file, &fleet.companion)?;
    let credentials = add_agents(client, &fleet, !args.as_real)?;
    let days = usize::from(args.weeks) * 7;
    let days: Vec<i64> = fleet.days_newest_first().take(days).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start the runtime")?;
    runtime.block_on(async {
        let mut loader = Loader::new(args.ingest.clone(), fleet, credentials)?;
        for week in days.chunks(7) {
            loader.deliver(week, |_| ()).await?;
        }
        Ok(())
    })
}

/// Imports a building file with its companion table.
///
/// # Errors
/// When the collector refuses it.
pub(crate) fn import_buildings(client: &Client, file: &str, companion: &str) -> anyhow::Result<()> {
    let body = json!({ "file": file, "companion": companion, "dry_run": false });
    client.post("/api/v1/buildings/import", &body).context("import the buildings")?;
    Ok(())
}

/// Lets all agents of a fleet in; what they sign in with, by name.
///
/// # Errors
/// When the collector refuses one.
pub(crate) fn add_agents(
    client: &Client,
    fleet: &Fleet,
    simulated: bool,
) -> anyhow::Result<HashMap<String, Credentials>> {
    let mut credentials = HashMap::new();
    for agent in &fleet.agents {
        let body = json!({
            "name": agent.name,
            "subnet": agent.subnet_prefix.to_string(),
            "simulated": simulated,
        });
        credentials.insert(agent.name.clone(), Credentials::new(add_agent(client, &body)?)?);
    }
    Ok(credentials)
}

/// Lets one agent in; its secret line.
///
/// # Errors
/// When the collector refuses it.
pub(crate) fn add_agent(client: &Client, body: &Value) -> anyhow::Result<String> {
    let answer = client.post("/api/v1/agents", body)?;
    let secret = answer["secret_line"].as_str().context("the collector gave no secret")?;
    Ok(secret.to_owned())
}

/// The wall clock, microseconds of Unix time.
pub(crate) fn now() -> UtcMicros {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UtcMicros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}

/// What was let in for one simulated agent: `<agent id>.<secret>`, and the blocks it has sent.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    secret_line: String,
    epoch: u64,
    next_block: u64,
}

impl Credentials {
    /// Credentials with a spool of their own.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub(crate) fn new(secret_line: String) -> anyhow::Result<Self> {
        let epoch = getrandom::u64().context("draw the epoch of a simulated spool")?;
        Ok(Self { secret_line, epoch, next_block: 1 })
    }
}

/// A fleet with the credentials of its agents, by name.
pub(crate) struct Loader {
    ingest: Channel,
    fleet: Arc<Fleet>,
    credentials: HashMap<String, Credentials>,
}

impl Loader {
    /// Prepares to deliver to the collector whose ingest is at `url`.
    ///
    /// # Errors
    /// When `url` is no URL.
    pub(crate) fn new(
        url: String,
        fleet: Fleet,
        credentials: HashMap<String, Credentials>,
    ) -> anyhow::Result<Self> {
        let ingest = Channel::from_shared(url).context("read the ingest's URL")?.connect_lazy();
        Ok(Self { ingest, fleet: Arc::new(fleet), credentials })
    }

    /// Delivers what all agents observed on these days of UTC; returns when all of it is
    /// acknowledged. `progress` is told the windows of each acknowledged block.
    ///
    /// # Errors
    /// When the collector refuses an agent or goes away.
    pub(crate) async fn deliver(
        &mut self,
        days: &[i64],
        progress: impl Fn(u64) + Clone + Send + Sync + 'static,
    ) -> anyhow::Result<()> {
        let days: Arc<[i64]> = days.into();
        self.deliver_records(
            move |agent| days.iter().flat_map(|&day| agent.day(day)).collect(),
            progress,
        )
        .await
    }

    /// Delivers what all agents observed within `span` (microseconds of Unix time), as the fleet
    /// would look at its end.
    ///
    /// # Errors
    /// When the collector refuses an agent or goes away.
    pub(crate) async fn deliver_span(
        &mut self,
        fleet: Fleet,
        span: Range<i64>,
    ) -> anyhow::Result<()> {
        const DAY_US: i64 = 86_400_000_000;
        self.fleet = Arc::new(fleet);
        let days = span.start.div_euclid(DAY_US)..=span.end.div_euclid(DAY_US);
        let within = move |record: &Record| span.contains(&record.stamp.ended().0);
        self.deliver_records(
            move |agent| days.clone().flat_map(|day| agent.day(day)).filter(&within).collect(),
            |_| (),
        )
        .await
    }

    async fn deliver_records(
        &mut self,
        records_of: impl Fn(&SimAgent) -> Vec<Record> + Clone + Send + Sync + 'static,
        progress: impl Fn(u64) + Clone + Send + Sync + 'static,
    ) -> anyhow::Result<()> {
        let places = Arc::new(Semaphore::new(CONCURRENT_AGENTS));
        let mut sessions: JoinSet<anyhow::Result<(String, u64)>> = JoinSet::new();
        for agent in &self.fleet.agents {
            let Some(credentials) = self.credentials.get(&agent.name).cloned() else {
                bail!("the simulated agent {:?} was not let in", agent.name);
            };
            let (agent, places, ingest) = (agent.clone(), places.clone(), self.ingest.clone());
            let (records_of, progress) = (records_of.clone(), progress.clone());
            let schedule = self.fleet.schedule;
            sessions.spawn(async move {
                let _place = places.acquire().await.context("wait for a place")?;
                let name = agent.name.clone();
                let first = credentials.next_block;
                let seal = move || seal(&records_of(&agent), schedule, first);
                let blocks = tokio::task::spawn_blocking(seal).await?;
                let sent = blocks.len() as u64;
                session(ingest, &credentials, blocks, &progress)
                    .await
                    .with_context(|| format!("deliver for the simulated agent {name:?}"))?;
                Ok((name, sent))
            });
        }
        while let Some(session) = sessions.join_next().await {
            let (name, sent) = session??;
            if let Some(credentials) = self.credentials.get_mut(&name) {
                credentials.next_block += sent;
            }
        }
        Ok(())
    }
}

/// A sealed block and how many windows it holds.
type Sealed = (Block, u64);

fn seal(records: &[Record], schedule: Schedule, first: u64) -> Vec<Sealed> {
    let blocks = records.chunks(BLOCK_RECORDS).zip(first..).map(|(records, number)| {
        let windows = records.iter().filter(|record| matches!(record.body, Body::Window(_)));
        let windows = windows.count() as u64;
        let payload = busyhour_proto::encode_payload(records, &[schedule]);
        (Block::seal(BlockNo(number), payload), windows)
    });
    blocks.collect()
}

/// One session: hello, blocks within the credit, until all are acknowledged.
async fn session(
    ingest: Channel,
    credentials: &Credentials,
    blocks: Vec<Sealed>,
    progress: &(impl Fn(u64) + Sync),
) -> anyhow::Result<()> {
    if blocks.is_empty() {
        return Ok(());
    }
    let (send, receive) = mpsc::channel(STREAM_QUEUE);
    let hello = v1::Hello {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        epoch: credentials.epoch,
        boot: credentials.epoch.to_be_bytes().repeat(2),
        os: "simulated".to_owned(),
        oldest_block: blocks.first().map_or(0, |(block, _)| block.number.0),
        newest_block: blocks.last().map_or(0, |(block, _)| block.number.0),
        held_blocks: blocks.len() as u64,
        nonce: Vec::new(),
    };
    send.send(message(agent_message::Message::Hello(hello))).await?;
    let mut request = Request::new(ReceiverStream::new(receive));
    let bearer = format!("Bearer {}", credentials.secret_line);
    request.metadata_mut().insert("authorization", bearer.parse()?);
    let mut answers = IngestClient::new(ingest).session(request).await?.into_inner();

    let mut windows: HashMap<u64, u64> =
        blocks.iter().map(|(block, windows)| (block.number.0, *windows)).collect();
    let mut waiting = blocks.into_iter();
    let (mut credit, mut in_flight) = (0usize, 0usize);
    while !windows.is_empty() {
        while in_flight < credit
            && let Some((block, _)) = waiting.next()
        {
            let block =
                v1::Block { block: block.number.0, crc32c: block.crc32c, payload: block.payload };
            send.send(message(agent_message::Message::Block(block))).await?;
            in_flight += 1;
        }
        let Some(answer) = answers.message().await? else {
            bail!("the collector ended the session");
        };
        match answer.message {
            Some(collector_message::Message::Welcome(welcome)) => credit = welcome.credit as usize,
            Some(collector_message::Message::Credit(granted)) => credit = granted.blocks as usize,
            Some(collector_message::Message::Acknowledgement(ack)) => {
                for block in ack.blocks.iter().flat_map(|range| range.first..=range.last) {
                    if let Some(windows) = windows.remove(&block) {
                        in_flight = in_flight.saturating_sub(1);
                        progress(windows);
                    }
                }
            }
            Some(collector_message::Message::GoAway(_)) => {
                bail!("the collector asked to come back later");
            }
            // Nobody asks a simulated agent to measure anything.
            Some(
                collector_message::Message::Clock(_) | collector_message::Message::Configuration(_),
            )
            | None => {}
        }
    }
    Ok(())
}

fn message(message: agent_message::Message) -> v1::AgentMessage {
    v1::AgentMessage { message: Some(message) }
}
