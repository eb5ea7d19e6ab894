//! The agent as a whole: what it is made of, how it begins and how it ends.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use busyhour_daemon::AddressFile;
use busyhour_delivery::{SealPolicy, SpoolCaps};
use busyhour_model::{AgentId, ClockQuality};
use busyhour_proto::v1;
use serde::Serialize;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::blocking::blocking;
use crate::clock::Clock;
use crate::config::{Resolved, schedule_of};
use crate::discipline;
use crate::load::{self, Links};
use crate::pause::{self, Keeper, Pause, Switch};
use crate::presence;
use crate::prober::{Prober, ProberThread};
use crate::reflector::{ReflectorError, Responder};
use crate::remote::{self, Remote, Starter};
use crate::resolve::Resolver;
use crate::session::{Addresses, Board};
use crate::spool::{Settings, SpoolError, SpoolThread};
use crate::status::{About, Reporter};
use crate::uplink::{Uplink, UplinkError, View};

/// The spool's file in the data directory.
const SPOOL_FILE: &str = "spool.db";
/// How long the collector is waited for at the end; the rest is delivered after the next start.
const FAREWELL: Duration = Duration::from_secs(5);
/// What the spool's own gap records run under.
const MINUTE: Duration = Duration::from_secs(60);

/// Why the agent cannot begin.
#[derive(Debug, Error)]
pub enum AgentError {
    /// The system does not name its boot.
    #[error("the machine's boot has no identity")]
    Boot(#[source] std::io::Error),
    /// An address to answer probes on cannot be had.
    #[error("probes cannot be answered on {listen}")]
    Reflector {
        /// The address.
        listen: SocketAddr,
        /// Why.
        source: ReflectorError,
    },
    /// The prober cannot be had.
    #[error("the prober's thread cannot be started")]
    Prober(#[source] std::io::Error),
    /// The data directory cannot be made.
    #[error("data directory {path:?} cannot be made")]
    DataDirectory {
        /// The directory.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The spool must not be used.
    #[error("the spool cannot be used")]
    Spool(#[source] SpoolError),
    /// The collector cannot even be tried.
    #[error("the collector cannot be tried")]
    Uplink(#[source] UplinkError),
    /// A part of the agent panicked. What it does must not stop in silence: whoever started the agent
    /// starts it again.
    #[error("a part of the agent panicked")]
    Panicked(#[source] tokio::task::JoinError),
    /// The same of the prober's thread.
    #[error("the prober's thread panicked")]
    ProberPanicked,
    /// The same of the spool's thread.
    #[error("the spool's thread panicked")]
    SpoolPanicked,
}

/// What `addresses.json` says.
#[derive(Debug, Serialize)]
struct PublishedAddresses {
    pid: u32,
    reflector: Vec<SocketAddr>,
}

/// An agent that has its sockets and its spool and does not run yet.
#[derive(Debug)]
pub struct Agent {
    config: Resolved,
    clock: Clock,
    responders: Vec<Responder>,
    prober: Option<ProberThread>,
    spool: Option<SpoolThread>,
    links: Links,
    board: Board,
    /// What the machine's owner wants, and who tells of it.
    switch: Switch,
    keeper: watch::Sender<Option<Pause>>,
}

/// Runs an agent until `shutdown`; then closes its windows, spools them, gives the collector a few
/// seconds to take them, and returns.
///
/// # Errors
/// When it cannot begin, or a part of it panicked. Nothing else stops it but `shutdown`.
pub async fn run(config: Resolved, shutdown: CancellationToken) -> Result<(), AgentError> {
    Agent::bind(config).await?.run(shutdown).await
}

impl Agent {
    /// Opens sockets and spool.
    ///
    /// # Errors
    /// When an address is taken, or the spool belongs to somebody else.
    pub async fn bind(config: Resolved) -> Result<Self, AgentError> {
        let clock = Clock::start().map_err(AgentError::Boot)?;
        let responder = |&listen: &SocketAddr| {
            Responder::bind(listen, &config.reflector)
                .map_err(|source| AgentError::Reflector { listen, source })
        };
        let responders = config.reflector.listen.iter().map(responder).collect::<Result<_, _>>()?;
        let observes = config.collector.is_some() || !config.targets.is_empty();
        let spool = if observes { Some(open_spool(&config, clock).await?) } else { None };
        let start = || ProberThread::start().map_err(AgentError::Prober);
        // The collector may ask for targets at any time.
        let prober = if observes { Some(start()?) } else { None };
        let (links, board) = (Links::default(), Board::default());
        let (keeper, switch) = watch::channel(pause_of(&config, clock).await);
        let switch = Switch::new(switch);
        Ok(Self { config, clock, responders, prober, spool, links, board, switch, keeper })
    }

    /// Where probes will be answered, with the ports that were given where none was asked for.
    #[must_use]
    pub fn reflector_addresses(&self) -> Vec<SocketAddr> {
        self.responders.iter().map(Responder::address).collect()
    }

    /// Tells whoever started this with port 0 where probes are answered. Nobody else needs the file:
    /// a folder that cannot be written is no reason not to answer.
    fn publish_addresses(&self) -> Option<AddressFile> {
        if self.responders.is_empty() {
            return None;
        }
        let folder = &self.config.data_dir;
        let addresses =
            PublishedAddresses { pid: std::process::id(), reflector: self.reflector_addresses() };
        let written = std::fs::create_dir_all(folder)
            .and_then(|()| AddressFile::clear(folder))
            .and_then(|()| AddressFile::write(folder, &addresses));
        written.inspect_err(|error| tracing::warn!(%error, "addresses.json cannot be written")).ok()
    }

    /// Runs until `shutdown`; see [`run`].
    ///
    /// # Errors
    /// When it cannot begin, or a part of it panicked.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), AgentError> {
        let _address_file = self.publish_addresses();
        let mut observers = JoinSet::new();
        let (publish, quality) = watch::channel(discipline::quality());
        observers.spawn(discipline::run(publish, shutdown.clone()));
        let (publish_uplink, uplink_view) = watch::channel(View::new(None));
        let (line, ends) = remote::line();
        let asked = line.report.clone();
        let reporter = self.reporter(quality.clone(), uplink_view.clone(), asked);
        observers.spawn(reporter.run(shutdown.clone()));
        self.answer(&quality, &mut observers, &shutdown)?;
        observers.spawn(self.keeper().run(shutdown.clone()));
        let Some(mut spool) = self.spool.take() else {
            return finished(&mut observers).await;
        };
        let mut prober = self.prober.take();
        self.observe(&spool, &mut observers, &shutdown);
        if let Some(prober) = &prober {
            let prober = prober.prober();
            let starter = self.starter(prober.clone(), &spool);
            self.probe(&starter, &mut observers, &shutdown);
            if self.config.collector.is_some() {
                let config = Arc::new(self.config.clone());
                let remote = Remote::new(config, ends, uplink_view, starter);
                observers.spawn(remote.run(shutdown.clone()));
            }
            observers.spawn(discipline::tell(prober, quality, shutdown.clone()));
        }
        let (mut deliverers, stop_delivery) = (JoinSet::new(), CancellationToken::new());
        if let Some(collector) = &self.config.collector {
            let folder = &self.config.data_dir;
            let uplink =
                Uplink::new(collector, folder, self.clock, spool.recorder(), publish_uplink, line)
                    .map_err(AgentError::Uplink)?;
            deliverers.spawn(uplink.run(stop_delivery.clone()));
        }
        // All branches are cancel-safe.
        tokio::select! {
            done = finished(&mut observers) => done?,
            failed = panicked(&mut deliverers) => return Err(failed),
            () = spool.ended() => return Err(AgentError::SpoolPanicked),
            () = ended(&mut prober) => return Err(AgentError::ProberPanicked),
        }
        // All sessions have ended, and with them what the prober had to say.
        if let Some(prober) = prober
            && !blocking(move || prober.stop()).await
        {
            return Err(AgentError::ProberPanicked);
        }
        if self.config.collector.is_some() {
            spool.flush(FAREWELL).await;
        }
        stop_delivery.cancel();
        finished(&mut deliverers).await?;
        if blocking(move || spool.stop()).await { Ok(()) } else { Err(AgentError::SpoolPanicked) }
    }

    /// What says on this machine what the agent does.
    fn reporter(
        &self,
        quality: watch::Receiver<ClockQuality>,
        uplink: watch::Receiver<View>,
        asked: watch::Receiver<Option<v1::ConfigurationReport>>,
    ) -> Reporter {
        Reporter {
            about: About::new(&self.config, self.clock.now()),
            clock: self.clock,
            board: self.board.clone(),
            prober: self.prober.as_ref().map(ProberThread::prober),
            reflectors: self.responders.iter().map(Responder::view).collect(),
            quality,
            uplink,
            spool: self.spool.as_ref().map(SpoolThread::view),
            switch: self.switch.clone(),
            asked,
        }
    }

    /// What looks whether the machine's owner wants nothing measured.
    fn keeper(&self) -> Keeper {
        Keeper {
            folder: self.config.data_dir.clone(),
            settings: self.config.pause.clone(),
            clock: self.clock,
            recorder: self.spool.as_ref().map(SpoolThread::recorder),
            publish: self.keeper.clone(),
        }
    }

    /// Starts the reflectors.
    fn answer(
        &mut self,
        quality: &watch::Receiver<ClockQuality>,
        observers: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> Result<(), AgentError> {
        // Without a collector nobody settles anything.
        let collected = self.spool.as_ref().filter(|_| self.config.collector.is_some());
        for responder in self.responders.drain(..) {
            let listen = responder.address();
            let recorder = collected.map(|spool| (spool.recorder(), self.clock));
            let thread = responder
                .start(quality.clone(), recorder)
                .map_err(|source| AgentError::Reflector { listen, source })?;
            tracing::info!(%listen, "answering probes");
            observers.spawn(thread.run(stop.clone()));
        }
        Ok(())
    }

    /// Starts what makes records of this machine.
    fn observe(&self, spool: &SpoolThread, observers: &mut JoinSet<()>, stop: &CancellationToken) {
        let (links, switch) = (self.links.clone(), self.switch.clone());
        observers.spawn(load::run(self.clock, links, spool.recorder(), switch, stop.clone()));
        observers.spawn(presence::run(self.clock, spool.recorder(), stop.clone()));
    }

    /// What sessions are made of.
    fn starter(&self, prober: Prober, spool: &SpoolThread) -> Starter {
        let agent = self.config.collector.as_ref().map(|collector| collector.agent);
        Starter {
            // Nobody collects from an agent without an identity, so it has no one to avoid.
            agent: agent.unwrap_or(AgentId::from_u128(0)),
            resolver: Resolver::new(self.config.allow.clone()),
            clock: self.clock,
            links: self.links.clone(),
            board: self.board.clone(),
            recorder: spool.recorder(),
            prober,
            switch: self.switch.clone(),
        }
    }

    /// Starts the sessions of the machine's own file.
    fn probe(&self, starter: &Starter, observers: &mut JoinSet<()>, stop: &CancellationToken) {
        let mut names: BTreeMap<&str, watch::Receiver<Addresses>> = BTreeMap::new();
        for (number, target) in self.config.targets.iter().enumerate() {
            let addresses = names.entry(&target.host).or_insert_with(|| {
                let (watching, addresses) = starter.watch(&target.host, stop.clone());
                observers.spawn(watching);
                addresses
            });
            let session = starter.session(number, target, addresses.clone());
            observers.spawn(session.run(stop.clone()));
        }
    }
}

/// Waits until the prober is gone; for ever when there is none.
async fn ended(prober: &mut Option<ProberThread>) {
    match prober {
        Some(prober) => prober.ended().await,
        None => std::future::pending().await,
    }
}

/// Waits until all of them are done, or one panicked.
async fn finished(tasks: &mut JoinSet<()>) -> Result<(), AgentError> {
    while let Some(done) = tasks.join_next().await {
        done.map_err(AgentError::Panicked)?;
    }
    Ok(())
}

/// Waits until one of them panicked.
async fn panicked(tasks: &mut JoinSet<()>) -> AgentError {
    match finished(tasks).await {
        Ok(()) => std::future::pending().await,
        Err(error) => error,
    }
}

/// Whether nothing is to be measured from the beginning.
async fn pause_of(config: &Resolved, clock: Clock) -> Option<Pause> {
    let (folder, settings) = (config.data_dir.clone(), config.pause.clone());
    let found = blocking(move || (pause::read(&folder), pause::machine_wants(&settings)));
    let (asked, wants) = found.await;
    let now = clock.now().wall;
    let asked = asked.filter(|pause| !pause.is_over(now));
    asked.or_else(|| wants.map(|why| Pause::of_machine(why, now)))
}

async fn open_spool(config: &Resolved, clock: Clock) -> Result<SpoolThread, AgentError> {
    let path = config.data_dir.clone();
    let settings = Settings {
        path: path.join(SPOOL_FILE),
        caps: SpoolCaps { max_bytes: config.spool.max_bytes, max_age: config.spool.max_age },
        policy: SealPolicy { max_age: config.spool.seal_after, ..SealPolicy::default() },
        schedule: schedule_of(MINUTE),
        clock,
    };
    let open = move || {
        std::fs::create_dir_all(&path)
            .map_err(|source| AgentError::DataDirectory { path, source })?;
        SpoolThread::start(settings).map_err(AgentError::Spool)
    };
    blocking(open).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_ends_the_agent_while_others_run() {
        let mut tasks = JoinSet::new();
        tasks.spawn(std::future::pending());
        tasks.spawn(async {});
        tasks.spawn(async { blocking(|| panic!("as a test")).await });
        assert!(matches!(finished(&mut tasks).await, Err(AgentError::Panicked(_))));
    }

    #[tokio::test]
    async fn tasks_that_end_are_waited_for() {
        let mut tasks = JoinSet::new();
        tasks.spawn(async {});
        assert!(finished(&mut tasks).await.is_ok());
    }
}
