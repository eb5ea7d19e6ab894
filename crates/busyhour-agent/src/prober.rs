//! The prober: one thread that sends and receives for all sessions.
//!
//! Pacing needs absolute deadlines of microseconds, and a packet must not cost several wakes of an
//! asynchronous runtime: so one plain thread owns the probe sockets and the session senders, and waits
//! in one system call. Everything that takes its time (names, routes, the disk) stays with the
//! asynchronous session tasks, which only tell it what to begin and what to end.
//!
//! Sockets are shared by the sessions of one local address and traffic class; answers find their
//! session by its identifier (RFC 8972 section 3), which is unique within this agent.

mod owner;
mod running;
mod sockets;
mod table;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use busyhour_model::{ClockPair, ClockQuality, TrafficClass};
use busyhour_net::{Methods, SocketError, Waker};
use busyhour_probe::{InvalidSession, Observation, SenderConfig, SenderStats};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use owner::Owner;

/// What may wait for the thread: each session has at most one order out, and there are fewer of
/// them than this.
const MAX_COMMANDS: usize = 256;
/// Windows that may wait for a session's task. It takes them at once, so more of them are a runtime
/// that stood still for as many windows.
const MAX_EVENTS: usize = 64;
/// Nothing here recurses or keeps buffers on the stack.
const STACK_BYTES: usize = 256 * 1024;

/// The thread is gone, or does not keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the prober does not keep up")]
pub(crate) struct Busy;

/// What to probe, and how.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// The session's place in the configuration.
    pub(crate) number: usize,
    /// The address to send from.
    pub(crate) local: IpAddr,
    /// What the sender is told; its session identifier is chosen by the prober. The profile's class
    /// says which socket is used.
    pub(crate) config: SenderConfig,
    /// When the first window begins.
    pub(crate) start: Instant,
    /// What to do when the local address is gone.
    pub(crate) on_address_gone: OnAddressGone,
}

/// What to do with a session whose local address this machine no longer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnAddressGone {
    /// It does not begin.
    Fail,
    /// It goes on, and everything that it would send is lost: an outage of this machine.
    LoseAll,
}

/// What a session's task hears of its session.
#[derive(Debug)]
pub(crate) enum Event {
    /// It has a socket, or does without one.
    Began(Began),
    /// A window was closed.
    Window(Box<Observation>),
    /// Windows in front of the next one were not taken in time.
    Missed(Missed),
}

/// Windows that were closed one after the other and that nobody heard of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Missed {
    /// When the first one began.
    pub(crate) started: ClockPair,
    /// From then to the end of the last one.
    pub(crate) length: Duration,
    pub(crate) windows: u64,
}

/// How a session began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Began {
    /// Its identifier on the wire.
    pub(crate) ssid: u16,
    /// Its socket; `None` when everything is lost on this machine.
    pub(crate) socket: Option<SocketFacts>,
}

/// What is known of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SocketFacts {
    /// Its address and port.
    pub(crate) local: SocketAddr,
    /// The class of traffic that shares it.
    pub(crate) class: TrafficClass,
    /// True when its port is one of those asked for.
    pub(crate) preferred: bool,
    /// How packets are timed.
    pub(crate) methods: Methods,
}

/// How a session ended.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) cause: Cause,
    pub(crate) stats: SenderStats,
    /// Windows that its task did not take in time.
    pub(crate) windows_dropped: u64,
    /// The last of these, which no other event told.
    pub(crate) missed: Option<Missed>,
    /// Windows that a disturbance of the clocks made meaningless.
    pub(crate) windows_discarded: u64,
}

/// Why a session ended.
#[derive(Debug, Clone)]
pub(crate) enum Cause {
    /// It was told to.
    Told,
    /// The machine slept or its clock stepped.
    Disturbed,
    /// It contradicts itself.
    Invalid(InvalidSession),
    /// The prober cannot run it.
    Refused(&'static str),
    /// Its socket could not be opened.
    Unopened(Arc<SocketError>),
    /// Its socket does not work any more.
    Broken(Arc<SocketError>),
}

/// How a session is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    /// What is under way may still be answered.
    AfterAnswers,
    /// What is under way does not count.
    Now,
}

/// A flag between a session's task and the prober; a flag never finds a queue full.
#[derive(Debug, Default)]
struct Wish(AtomicU8);

impl Wish {
    fn ask(&self, finish: Finish) {
        let value = match finish {
            Finish::AfterAnswers => 1,
            Finish::Now => 2,
        };
        // A wish only ever grows more urgent.
        self.0.fetch_max(value, Ordering::Release);
    }

    fn finish(&self) -> Option<Finish> {
        match self.0.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Finish::AfterAnswers),
            _ => Some(Finish::Now),
        }
    }
}

/// A session that was ordered. Dropping it ends the session.
#[derive(Debug)]
pub(crate) struct Probing {
    /// What happens; closed at the end.
    pub(crate) events: mpsc::Receiver<Event>,
    /// How it ended; without an answer the thread is gone.
    pub(crate) ended: oneshot::Receiver<Ended>,
    wish: Arc<Wish>,
    waker: Waker,
}

impl Probing {
    /// Asks for the end; what still comes is to be taken from [`Self::events`].
    pub(crate) fn finish(&self, finish: Finish) {
        self.wish.ask(finish);
        self.waker.wake();
    }
}

impl Drop for Probing {
    fn drop(&mut self) {
        self.finish(Finish::Now);
    }
}

/// What the thread is told.
#[derive(Debug)]
enum Command {
    Start(Box<Commission>),
    SetClock(ClockQuality),
    Report(oneshot::Sender<Report>),
    Stop,
}

/// An order with the ends of its channels.
#[derive(Debug)]
struct Commission {
    order: Order,
    events: mpsc::Sender<Event>,
    ended: oneshot::Sender<Ended>,
    wish: Arc<Wish>,
}

impl Commission {
    /// The session never began.
    fn refuse(self, cause: Cause) {
        let ended = Ended {
            cause,
            stats: SenderStats::default(),
            windows_dropped: 0,
            missed: None,
            windows_discarded: 0,
        };
        // A task that is gone has nothing more to hear.
        let _ = self.ended.send(ended);
    }
}

/// What the prober does at the moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) sockets: Vec<SocketReport>,
    pub(crate) sessions: Vec<SessionReport>,
}

/// A socket and what it counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SocketReport {
    pub(crate) facts: SocketFacts,
    /// Sessions that share it.
    pub(crate) sessions: usize,
    pub(crate) counts: SocketCounts,
}

/// What a socket counted since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(crate) struct SocketCounts {
    /// Datagrams sent.
    pub(crate) sent: u64,
    /// Datagrams that found the local queue full.
    pub(crate) queue_full: u64,
    /// Datagrams that this machine could not send.
    pub(crate) unreachable: u64,
    /// Datagrams received.
    pub(crate) received: u64,
    /// Of these, those that belong to no session.
    pub(crate) stray: u64,
    /// Datagrams that the system dropped from the receive queue.
    pub(crate) queue_drops: u64,
    /// Transmit stamps that belong to no session any more.
    pub(crate) stray_stamps: u64,
}

/// A session and what it counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionReport {
    /// Its place in the configuration.
    pub(crate) number: usize,
    pub(crate) ssid: u16,
    pub(crate) stats: SenderStats,
}

/// Tells the prober what to do; cheap to clone, never waits.
#[derive(Debug, Clone)]
pub(crate) struct Prober {
    commands: SyncSender<Command>,
    waker: Waker,
}

impl Prober {
    /// Begins a session.
    pub(crate) fn start(&self, order: Order) -> Result<Probing, Busy> {
        let (events, heard) = mpsc::channel(MAX_EVENTS);
        let (ended, end) = oneshot::channel();
        let wish = Arc::new(Wish::default());
        let commission = Commission { order, events, ended, wish: Arc::clone(&wish) };
        self.tell(Command::Start(Box::new(commission)))?;
        Ok(Probing { events: heard, ended: end, wish, waker: self.waker.clone() })
    }

    /// Says how good this machine's wall clock is.
    pub(crate) fn set_clock(&self, quality: ClockQuality) -> Result<(), Busy> {
        self.tell(Command::SetClock(quality))
    }

    /// What the prober does at the moment.
    pub(crate) async fn report(&self) -> Result<Report, Busy> {
        let (report, answer) = oneshot::channel();
        self.tell(Command::Report(report))?;
        answer.await.map_err(|_| Busy)
    }

    fn tell(&self, command: Command) -> Result<(), Busy> {
        let told = self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => Busy,
        });
        self.waker.wake();
        told
    }
}

/// The thread. Dropping it does not stop it: see [`Self::stop`].
#[derive(Debug)]
pub(crate) struct ProberThread {
    prober: Prober,
    thread: JoinHandle<()>,
    /// Closed when the thread is gone.
    alive: oneshot::Receiver<()>,
}

impl ProberThread {
    /// Starts the thread; fails when the process has no thread or file descriptor left.
    pub(crate) fn start() -> io::Result<Self> {
        let waker = Waker::new()?;
        let (commands, inbox) = sync_channel(MAX_COMMANDS);
        let prober = Prober { commands, waker: waker.clone() };
        let owner = Owner::new(inbox, waker);
        let (living, alive) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("prober".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let _alive = living;
                // Declared behind it, so that it is gone when its end is heard of.
                let mut owner = owner;
                owner.run();
            })?;
        Ok(Self { prober, thread, alive })
    }

    pub(crate) fn prober(&self) -> Prober {
        self.prober.clone()
    }

    /// Waits until the thread is gone, which without [`Self::stop`] it never should be. Safe to
    /// cancel; not to be called again.
    pub(crate) async fn ended(&mut self) {
        // Nothing is ever sent.
        let _ = (&mut self.alive).await;
    }

    /// Ends the thread and whatever sessions there are; false when it panicked. Waits for it: not
    /// for an asynchronous runtime.
    pub(crate) fn stop(self) -> bool {
        // Blocking is right here: the command must get through, or the thread is gone already.
        let _ = self.prober.commands.send(Command::Stop);
        self.prober.waker.wake();
        self.thread.join().is_ok()
    }
}

#[cfg(test)]
mod tests;
