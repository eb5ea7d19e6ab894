//! The spool's own thread, and what others ask of it. Nobody waits for the disk but this thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use busyhour_delivery::{Acknowledgement, Block, Credit, Hello, Welcome};
use tokio::sync::{mpsc, oneshot, watch};

use super::{MAX_IN_FLIGHT, Observed, Settings, Spool, SpoolError, SpoolView};
use crate::clock::Clock;

/// What may wait for the thread: minutes of a busy agent while a disk stalls, some 2 MB at most.
const MAX_COMMANDS: usize = 1024;

/// What the thread is told.
#[derive(Debug)]
enum Command {
    Record(Box<Observed>),
    Connected { outgoing: mpsc::Sender<Block>, hello: oneshot::Sender<Option<Hello>> },
    Welcomed(Welcome),
    Acknowledged(Acknowledgement),
    Credited(Credit),
    Disconnected,
    Flush { delivered: oneshot::Sender<()> },
    Stop,
}

/// The thread does not keep up, or is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the spool does not keep up")]
pub(crate) struct Busy;

/// Hands records to the spool; cheap to clone, never waits.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    commands: SyncSender<Command>,
    /// Records that the thread had no room for.
    refused: Arc<AtomicU64>,
}

impl Recorder {
    /// Hands over a record. When the thread does not keep up the record is dropped and counted,
    /// and a gap tells of it.
    pub(crate) fn record(&self, observed: Observed) {
        match self.commands.try_send(Command::Record(Box::new(observed))) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                if self.refused.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::error!("the spool does not keep up; records are dropped");
                }
            }
        }
    }

    /// A stream to the collector is open. Gives what to say first, and the blocks to send.
    pub(crate) async fn connected(&self) -> Result<(Option<Hello>, mpsc::Receiver<Block>), Busy> {
        let (outgoing, blocks) = mpsc::channel(MAX_IN_FLIGHT as usize);
        let (hello, answer) = oneshot::channel();
        self.tell(Command::Connected { outgoing, hello })?;
        Ok((answer.await.map_err(|_| Busy)?, blocks))
    }

    /// The collector said what it has.
    pub(crate) fn welcomed(&self, welcome: Welcome) -> Result<(), Busy> {
        self.tell(Command::Welcomed(welcome))
    }

    /// The collector has more.
    pub(crate) fn acknowledged(&self, acknowledgement: Acknowledgement) -> Result<(), Busy> {
        self.tell(Command::Acknowledged(acknowledgement))
    }

    /// The collector gave other credit.
    pub(crate) fn credited(&self, credit: Credit) -> Result<(), Busy> {
        self.tell(Command::Credited(credit))
    }

    /// The stream is gone. Should the thread not hear of it, the next [`Self::connected`] says so.
    pub(crate) fn disconnected(&self) {
        let _ = self.tell(Command::Disconnected);
    }

    /// A recorder without a spool, and the records that it was handed so far, each told once.
    #[cfg(test)]
    pub(crate) fn collecting() -> (Self, impl FnMut() -> Vec<Observed>) {
        let (commands, inbox) = sync_channel(MAX_COMMANDS);
        let record = |command| match command {
            Command::Record(observed) => Some(*observed),
            _ => None,
        };
        let collected = move || inbox.try_iter().filter_map(record).collect();
        (Self { commands, refused: Arc::default() }, collected)
    }

    fn tell(&self, command: Command) -> Result<(), Busy> {
        self.commands.try_send(command).map_err(|_| Busy)
    }
}

/// The thread. Dropping it does not stop it: see [`Self::stop`].
#[derive(Debug)]
pub(crate) struct SpoolThread {
    recorder: Recorder,
    thread: JoinHandle<()>,
    /// Closed when the thread is gone.
    alive: oneshot::Receiver<()>,
    view: watch::Receiver<SpoolView>,
}

impl SpoolThread {
    /// Opens the spool and starts its thread. Reads the disk: not for an asynchronous runtime.
    pub(crate) fn start(settings: Settings) -> Result<Self, SpoolError> {
        let clock = settings.clock;
        let spool = Spool::open(settings, &clock.now())?;
        let (commands, inbox) = sync_channel(MAX_COMMANDS);
        let refused = Arc::new(AtomicU64::new(0));
        let recorder = Recorder { commands, refused: Arc::clone(&refused) };
        let (publish, view) = watch::channel(spool.view());
        let mut owner = Owner { spool, clock, refused, waiting: None, publish };
        let (living, alive) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || {
                let _alive = living;
                owner.run(&inbox);
            })
            .map_err(SpoolError::Thread)?;
        Ok(Self { recorder, thread, alive, view })
    }

    pub(crate) fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }

    /// How the spool stands.
    pub(crate) fn view(&self) -> watch::Receiver<SpoolView> {
        self.view.clone()
    }

    /// Commits and seals everything; returns when all of it is at the collector, or after `limit`.
    pub(crate) async fn flush(&self, limit: Duration) {
        let (delivered, answer) = oneshot::channel();
        if self.recorder.tell(Command::Flush { delivered }).is_ok()
            && tokio::time::timeout(limit, answer).await.is_err()
        {
            tracing::info!(
                "the collector does not have everything yet; the rest stays in the spool"
            );
        }
    }

    /// Waits until the thread is gone, which without [`Self::stop`] it never should be. Safe to
    /// cancel; not to be called again.
    pub(crate) async fn ended(&mut self) {
        // Nothing is ever sent.
        let _ = (&mut self.alive).await;
    }

    /// Ends the thread after what it was told before; false when it panicked. Waits for it: not for
    /// an asynchronous runtime.
    pub(crate) fn stop(self) -> bool {
        // Blocking is right here: the command must get through, or the thread is gone already.
        let _ = self.recorder.commands.send(Command::Stop);
        self.thread.join().is_ok()
    }
}

struct Owner {
    spool: Spool,
    clock: Clock,
    refused: Arc<AtomicU64>,
    /// Who wants to know when everything is delivered.
    waiting: Option<oneshot::Sender<()>>,
    publish: watch::Sender<SpoolView>,
}

impl Owner {
    fn run(&mut self, inbox: &Receiver<Command>) {
        let mut worked = self.clock.now();
        loop {
            let command = match self.spool.deadline(worked.monotonic) {
                Some(at) => {
                    let now = self.clock.now().monotonic;
                    inbox.recv_timeout(at.saturating_duration_since(now))
                }
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let mut going = match command {
                Ok(command) => self.apply(command),
                Err(RecvTimeoutError::Timeout) => true,
                Err(RecvTimeoutError::Disconnected) => false,
            };
            // Whatever else waits is committed together.
            for command in inbox.try_iter().take(MAX_COMMANDS) {
                going &= self.apply(command);
            }
            let now = self.clock.now();
            let refused = self.refused.swap(0, Ordering::Relaxed);
            if refused > 0 {
                self.spool.give_up(refused, worked.wall, now.wall);
            }
            worked = now;
            self.spool.work(&now);
            self.publish.send_replace(self.spool.view());
            if self.waiting.is_some() && self.spool.is_delivered() {
                // Nobody may be waiting any more.
                let _ = self.waiting.take().map(|waiting| waiting.send(()));
            }
            if !going {
                return;
            }
        }
    }

    /// Does what was asked; false when it is time to end.
    fn apply(&mut self, command: Command) -> bool {
        let now = self.clock.now();
        match command {
            Command::Record(observed) => self.spool.record(*observed),
            Command::Connected { outgoing, hello } => {
                // Who asked may have given up.
                let _ = hello.send(self.spool.connected(outgoing));
            }
            Command::Welcomed(welcome) => self.spool.welcomed(&welcome, &now),
            Command::Acknowledged(more) => self.spool.acknowledged(&more, &now),
            Command::Credited(credit) => self.spool.credited(credit, &now),
            Command::Disconnected => self.spool.disconnected(),
            Command::Flush { delivered } => {
                self.spool.flush(&now);
                self.waiting = Some(delivered);
            }
            Command::Stop => {
                self.spool.flush(&now);
                return false;
            }
        }
        true
    }
}
