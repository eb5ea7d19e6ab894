//! Answers probes on one address, on a thread of its own.
//!
//! Every microsecond between an answer's transmit time and its departure is one that its session takes
//! for the network's, so answering waits for nothing but the socket. Requests are taken and answered
//! in batches; what asks when answers really left is told by the kernel's stamps.

mod drops;
mod owner;
mod reports;
#[cfg(test)]
pub(crate) mod tests;

use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use busyhour_model::ClockQuality;
use busyhour_net::{Methods, ProbeSocket, SocketError, Waker};
use busyhour_probe::{Admission, ProvisionedSession, ReflectorConfig, ReflectorStats};
use thiserror::Error;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::blocking::blocking;
use crate::clock::Clock;
use crate::config::{Admission as Admitted, Provisioned, ReflectorSettings};
use crate::spool::Recorder;
use owner::Owner;
use reports::Reports;

/// Nothing here recurses or keeps buffers on the stack.
const STACK_BYTES: usize = 256 * 1024;

/// Probes cannot be answered.
#[derive(Debug, Error)]
pub enum ReflectorError {
    /// The address cannot be had.
    #[error("the address cannot be had")]
    Socket(#[source] SocketError),
    /// There is no thread for it, or nothing to wake it with.
    #[error("the reflector's thread cannot be started")]
    Thread(#[source] std::io::Error),
    /// The system gives no random numbers, so that session identifiers could be chosen to collide.
    #[error("the system gives no random numbers")]
    Random(#[source] getrandom::Error),
}

/// Everything that a reflector counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) engine: ReflectorStats,
    /// Sessions that are being counted.
    pub(crate) sessions: usize,
    /// Datagrams that claim to be from this socket.
    pub(crate) dropped_own: u64,
    /// Requests that the system dropped from the full receive queue.
    pub(crate) queue_drops: u64,
}

/// What the thread and others share.
#[derive(Debug)]
struct Shared {
    stopping: AtomicBool,
    // Short sections without waiting: the thread writes once per batch, a reader copies now and then.
    seen: Mutex<(Methods, Counts)>,
}

impl Shared {
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn publish(&self, methods: Methods, counts: Counts) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = (methods, counts);
    }
}

/// What is known of a reflector at the moment, for whoever wants to see; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ReflectorView {
    pub(crate) listen: SocketAddr,
    shared: Arc<Shared>,
}

impl ReflectorView {
    /// How packets are timed, and what was counted.
    pub(crate) fn now(&self) -> (Methods, Counts) {
        *self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One listening socket with its engine, not answering yet.
#[derive(Debug)]
pub(crate) struct Responder {
    socket: ProbeSocket,
    config: ReflectorConfig,
    waker: Waker,
    view: ReflectorView,
}

impl Responder {
    /// Opens the socket.
    pub(crate) fn bind(
        listen: SocketAddr,
        settings: &ReflectorSettings,
    ) -> Result<Self, ReflectorError> {
        let socket = ProbeSocket::bind_reflector(listen).map_err(ReflectorError::Socket)?;
        let seed = getrandom::u64().map_err(ReflectorError::Random)?;
        let waker = Waker::new().map_err(ReflectorError::Thread)?;
        let shared = Arc::new(Shared {
            stopping: AtomicBool::new(false),
            seen: Mutex::new((socket.methods(), Counts::default())),
        });
        let view = ReflectorView { listen: socket.local_addr(), shared };
        Ok(Self { socket, config: engine_config(settings, seed), waker, view })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.view.listen
    }

    pub(crate) fn view(&self) -> ReflectorView {
        self.view.clone()
    }

    /// Starts to answer; session reports go to `recorder` when there is one.
    pub(crate) fn start(
        self,
        quality: watch::Receiver<ClockQuality>,
        recorder: Option<(Recorder, Clock)>,
    ) -> Result<ResponderThread, ReflectorError> {
        let reports = recorder.map(|(recorder, clock)| Reports { recorder, clock });
        let (owner, waker, shared) = self.into_owner(reports);
        let (living, alive) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("reflector".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let _alive = living;
                // Declared behind it, so that it is gone when its end is heard of.
                let mut owner = owner;
                owner.run(quality);
            })
            .map_err(ReflectorError::Thread)?;
        Ok(ResponderThread { thread, alive, ending: Ending { waker, shared } })
    }

    fn into_owner(self, reports: Option<Reports>) -> (Owner, Waker, Arc<Shared>) {
        let Self { socket, config, waker, view } = self;
        let shared = Arc::clone(&view.shared);
        (Owner::new(socket, config, view.shared, waker.clone(), reports), waker, shared)
    }
}

/// A reflector that answers.
#[derive(Debug)]
pub(crate) struct ResponderThread {
    thread: JoinHandle<()>,
    /// Closed when the thread is gone.
    alive: oneshot::Receiver<()>,
    ending: Ending,
}

/// Dropping it ends the thread.
#[derive(Debug)]
struct Ending {
    waker: Waker,
    shared: Arc<Shared>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.waker.wake();
    }
}

impl ResponderThread {
    /// Watches over the thread until `stop`, and then ends it. A panic of the thread goes on in whoever
    /// waits here: nothing stops in silence.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let Self { thread, alive, ending } = self;
        // Both branches are cancel-safe.
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            _ = alive => {}
        }
        drop(ending);
        if let Err(panic) = blocking(move || thread.join()).await {
            resume_unwind(panic);
        }
    }
}

fn engine_config(settings: &ReflectorSettings, seed: u64) -> ReflectorConfig {
    let provisioned = |session: &Provisioned| ProvisionedSession {
        ssid: session.ssid,
        source: session.source,
        key: session.key.as_ref().map(crate::config::KeyFile::key),
        short_requests: session.short_requests,
    };
    let admission = match &settings.admission {
        Admitted::Permissive => Admission::Permissive,
        Admitted::Provisioned(sessions) => {
            Admission::Provisioned(sessions.iter().map(provisioned).collect())
        }
    };
    ReflectorConfig {
        admission,
        keys: settings.keys.iter().map(crate::config::KeyFile::key).collect(),
        require_key: settings.require_key,
        allow: settings.allow.clone(),
        stateful: settings.stateful,
        disclose_addresses: settings.disclose_addresses,
        max_sessions: settings.max_sessions,
        max_sessions_per_address: settings.max_sessions_per_address,
        timestamp_format: settings.timestamps.to_wire(),
        seed,
        ..ReflectorConfig::default()
    }
}
