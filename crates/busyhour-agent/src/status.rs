//! What the agent says of itself on its own machine: `status.json` in its data directory, which
//! `busyhour-agent status` reads. There is no port to ask.

mod command;
mod report;
mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use busyhour_daemon::chain;
use busyhour_model::ClockQuality;
use busyhour_net::{TimingReport, probe_timing};
use busyhour_proto::v1;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::blocking::blocking;
use crate::clock::{Clock, Moment};
use crate::config::{Accepts, Resolved};
use crate::pause::Switch;
use crate::prober::{self, Prober};
use crate::reflector::ReflectorView;
use crate::session::Board;
use crate::spool::SpoolView;
use crate::uplink::View;
pub(crate) use command::{Rest, rest_of, run as show};
use report::{Asked, Paused, State, Status, Uplink};

/// The file in the data directory.
const STATUS_FILE: &str = "status.json";
/// The same while it is written.
const UNFINISHED: &str = "status.part";
/// How often it is written.
const EVERY: Duration = Duration::from_secs(10);
/// An agent that says nothing for so long is gone or stands still.
const STALE: Duration = Duration::from_secs(30);
/// How soon it is written again after the switch was turned: sessions take that long to end or begin.
const SETTLED: Duration = Duration::from_secs(1);
/// How long the prober may take to say what it does.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes the file for as long as the agent runs.
#[derive(Debug)]
pub(crate) struct Reporter {
    pub(crate) about: About,
    pub(crate) clock: Clock,
    pub(crate) board: Board,
    pub(crate) prober: Option<Prober>,
    pub(crate) reflectors: Vec<ReflectorView>,
    pub(crate) quality: watch::Receiver<ClockQuality>,
    pub(crate) uplink: watch::Receiver<View>,
    /// Of an agent that keeps what it observes.
    pub(crate) spool: Option<watch::Receiver<SpoolView>>,
    /// What the machine's owner wants.
    pub(crate) switch: Switch,
    /// What became of what the collector asks for.
    pub(crate) asked: watch::Receiver<Option<v1::ConfigurationReport>>,
}

/// What does not change while the agent runs.
#[derive(Debug, Clone)]
pub(crate) struct About {
    folder: PathBuf,
    agent: Option<String>,
    collector: Option<String>,
    link_capacity: Option<u64>,
    accepts: Accepts,
    started: Moment,
}

impl About {
    pub(crate) fn new(config: &Resolved, started: Moment) -> Self {
        let collector = config.collector.as_ref();
        Self {
            folder: config.data_dir.clone(),
            agent: collector.map(|collector| collector.agent.to_string()),
            collector: collector.map(|collector| collector.url.to_string()),
            link_capacity: config.link_capacity,
            accepts: config.remote.accepts,
            started,
        }
    }
}

impl Reporter {
    /// Runs until `stop`, and says so at the end.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut trouble = Trouble::default();
        self.write(State::Running, None, &mut trouble).await;
        let timing = tokio::select! {
            biased;
            // What was tried out is nobody's then.
            () = stop.cancelled() => None,
            timing = blocking(timing) => timing,
        };
        let mut look = tokio::time::interval(EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut switch = self.switch.clone();
        loop {
            // All branches are cancel-safe.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = switch.turned() => look.reset_after(SETTLED),
                _ = look.tick() => {}
            }
            self.write(State::Running, timing, &mut trouble).await;
        }
        self.write(State::Stopped, timing, &mut trouble).await;
    }

    async fn write(&self, state: State, timing: Option<TimingReport>, trouble: &mut Trouble) {
        let status = self.status(state, timing).await;
        let folder = self.about.folder.clone();
        trouble.note(blocking(move || write(&folder, &status)).await);
    }

    async fn status(&self, state: State, timing: Option<TimingReport>) -> Status {
        let asked = async {
            match &self.prober {
                Some(prober) => prober.report().await.ok(),
                None => None,
            }
        };
        let sockets: Vec<prober::SocketReport> = match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Some(report)) => report.sockets,
            Ok(None) | Err(_) => Vec::new(),
        };
        let quality = *self.quality.borrow();
        let mut status = Status::new(state, &self.about, &self.clock.now(), quality);
        if self.about.collector.is_some() {
            status.uplink = Some(Uplink::from(&*self.uplink.borrow()));
            let asked = self.asked.borrow();
            let (accepts, withheld) = (self.about.accepts, self.board.withheld());
            status.asked = asked.as_ref().map(|report| Asked::new(accepts, report, withheld));
        }
        status.paused = self.switch.pause().map(Paused::from);
        status.timing = timing.as_ref().map(Into::into);
        status.sessions = self.board.views().iter().map(Into::into).collect();
        status.sockets = sockets.iter().map(Into::into).collect();
        let bits: u64 = status.sessions.iter().map(|session| session.mean_bits_per_second).sum();
        status.probe_bytes_per_day = bits.saturating_mul(86_400) / 8;
        let running = Duration::from_secs(status.running_s);
        status.spool =
            self.spool.as_ref().map(|spool| report::Spool::from(&*spool.borrow()).over(running));
        status.reflectors = self.reflectors.iter().map(Into::into).collect();
        status
    }
}

/// How well this machine times packets; `None` where that cannot be tried out.
fn timing() -> Option<TimingReport> {
    probe_timing()
        .inspect_err(|error| tracing::debug!(error = %chain(error), "timing cannot be tried out"))
        .ok()
}

/// Writes the file whole or not at all. It need not outlive a crash of the machine: it is about the
/// present.
fn write(folder: &Path, status: &Status) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut text = serde_json::to_vec_pretty(status)?;
    text.push(b'\n');
    let unfinished = folder.join(UNFINISHED);
    fs::write(&unfinished, text)?;
    fs::rename(unfinished, folder.join(STATUS_FILE))
}

/// A file that cannot be written is told of once, until it can be again.
#[derive(Debug, Default)]
struct Trouble {
    told: bool,
}

impl Trouble {
    fn note(&mut self, written: io::Result<()>) {
        match written {
            Ok(()) => self.told = false,
            Err(error) if !self.told => {
                tracing::warn!(%error, "status.json cannot be written");
                self.told = true;
            }
            Err(_) => {}
        }
    }
}
