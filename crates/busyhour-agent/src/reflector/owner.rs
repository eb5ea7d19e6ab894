//! The thread's loop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use busyhour_daemon::chain;
use busyhour_model::{ClockQuality, TimestampMethod};
use busyhour_net::{
    Inbox, Outbox, ProbeSocket, Ready, Received, SocketError, Stamps, Waker, wait, wall_ns,
};
use busyhour_probe::{Datagram, MAX_REQUEST, Reflector, ReflectorConfig, Ticket};
use tokio::sync::watch;

use super::drops::QueueDrops;
use super::reports::Reports;
use super::{Counts, Shared};

/// Requests received in one system call and answered in another. Those of one batch wait for each
/// other, some microseconds each, between the time that their answers bear and their departure.
const BATCH: usize = 32;
/// Batches in a row before anything else gets its turn.
const MAX_IN_A_ROW: usize = 64;
/// How often counts are logged, when there is something new.
const REPORT: Duration = Duration::from_secs(3600);
/// A socket that fails, or a system that refuses to wait, is left alone for so long.
const PAUSE: Duration = Duration::from_secs(1);

/// Everything that the thread owns.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) socket: ProbeSocket,
    pub(super) engine: Reflector,
    pub(super) shared: Arc<Shared>,
    waker: Waker,
    reports: Option<Reports>,
    inbox: Inbox,
    outbox: Outbox,
    stamps: Stamps,
    /// What the answers in the outbox are called, and whether their departure is asked for.
    tickets: Vec<(Ticket, bool)>,
    /// Some session asked when answers leave.
    stamping: bool,
    dropped_own: u64,
    drops: QueueDrops,
    logged: Counts,
    log_at: Instant,
}

impl Owner {
    pub(super) fn new(
        socket: ProbeSocket,
        config: ReflectorConfig,
        shared: Arc<Shared>,
        waker: Waker,
        reports: Option<Reports>,
    ) -> Self {
        let config = ReflectorConfig { reports: reports.is_some(), ..config };
        Self {
            socket,
            engine: Reflector::new(config),
            shared,
            waker,
            reports,
            // One octet more than any request, so that larger ones are seen as such.
            inbox: Inbox::new(BATCH, MAX_REQUEST + 1),
            outbox: Outbox::new(BATCH, MAX_REQUEST),
            stamps: Stamps::new(BATCH),
            tickets: Vec::with_capacity(BATCH),
            stamping: false,
            dropped_own: 0,
            drops: QueueDrops::default(),
            logged: Counts::default(),
            log_at: Instant::now() + REPORT,
        }
    }

    /// Runs until it is told to stop.
    pub(super) fn run(&mut self, mut quality: watch::Receiver<ClockQuality>) {
        self.engine.set_clock(*quality.borrow_and_update());
        while !self.shared.is_stopping() {
            let ready = self.wait();
            // A sender that is gone has nothing new to say.
            if quality.has_changed().unwrap_or(false) {
                self.engine.set_clock(*quality.borrow_and_update());
            }
            if let Err(error) = self.work(ready) {
                tracing::warn!(error = %chain(&error), "the reflector cannot receive");
                self.pause();
            }
            self.look(Instant::now());
        }
        self.log();
    }

    fn wait(&self) -> Ready {
        let until = self.engine.poll_deadline().map_or(self.log_at, |due| due.min(self.log_at));
        wait(&[&self.socket], &self.waker, Some(until)).unwrap_or_else(|error| {
            tracing::error!(error = %chain(&error), "the reflector cannot wait");
            self.pause();
            Ready::default()
        })
    }

    /// Leaves the socket alone, but not the wish to stop.
    fn pause(&self) {
        if wait(&[], &self.waker, Some(Instant::now() + PAUSE)).is_err() {
            std::thread::sleep(PAUSE);
        }
    }

    /// Takes what is here.
    pub(super) fn work(&mut self, ready: Ready) -> Result<(), SocketError> {
        if ready.has_errors(0) {
            self.take_stamps()?;
        }
        if ready.readable(0) {
            for _ in 0..MAX_IN_A_ROW {
                if self.serve()? < BATCH || self.shared.is_stopping() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Does what is due from time to time.
    pub(super) fn look(&mut self, now: Instant) {
        if let Some(reports) = &self.reports {
            while let Some(report) = self.engine.poll_report(now) {
                reports.record(report);
            }
        }
        self.shared.publish(self.socket.methods(), self.counts());
        if now >= self.log_at {
            self.log_at = now + REPORT;
            self.log();
        }
    }

    /// Answers a batch. Returns how many datagrams it had.
    pub(super) fn serve(&mut self) -> Result<usize, SocketError> {
        let received = self.socket.recv_batch(&mut self.inbox)?;
        // Read once for all: what the engine does with it is coarser than what these few take.
        let now = Instant::now();
        let listen = self.socket.local_addr();
        for (received, bytes) in self.inbox.iter() {
            if let Some(dropped) = self.drops.take(received.queue_drops, now) {
                tracing::warn!(
                    %listen,
                    dropped,
                    "the reflector is too slow: requests were dropped from a full receive queue, \
                     which their senders see as loss on the way here"
                );
            }
            if is_own(&received, listen) {
                self.dropped_own += 1;
                continue;
            }
            let request = datagram(&received, bytes, listen);
            let Some(mut reply) = self.engine.handle(&request, now) else { continue };
            reply.finish(wall_ns());
            let (ticket, wants_stamp) = (reply.ticket(), reply.wants_stamp());
            match self.outbox.push(reply.bytes(), reply.to(), received.to, reply.tos()) {
                Ok(()) => self.tickets.push((ticket, wants_stamp)),
                // It has as much room as the inbox, for answers as long as requests.
                Err(_) => self.engine.not_sent(ticket),
            }
        }
        self.send()?;
        Ok(received)
    }

    fn send(&mut self) -> Result<(), SocketError> {
        if self.outbox.is_empty() {
            return Ok(());
        }
        if !self.stamping && self.tickets.iter().any(|&(_, wants_stamp)| wants_stamp) {
            self.socket.stamp_sends();
            self.stamping = true;
        }
        // What was not sent is counted by the engine, which hears of each.
        let _ = self.socket.send_batch(&mut self.outbox);
        for ((ticket, wants_stamp), id) in self.tickets.drain(..).zip(self.outbox.sent_ids()) {
            match id {
                Some(id) if wants_stamp => self.engine.sent(ticket, *id),
                Some(_) => {}
                None => self.engine.not_sent(ticket),
            }
        }
        // On most ways the stamps are here when the system call returns.
        if self.stamping { self.take_stamps() } else { Ok(()) }
    }

    fn take_stamps(&mut self) -> Result<(), SocketError> {
        if self.socket.methods().sent == TimestampMethod::User {
            return Ok(());
        }
        loop {
            self.socket.next_sent_batch(&mut self.stamps)?;
            for sent in self.stamps.taken() {
                self.engine.handle_stamp(sent.id, sent.at_ns, sent.method);
            }
            if !self.stamps.is_full() {
                return Ok(());
            }
        }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            engine: self.engine.stats(),
            sessions: self.engine.sessions(),
            dropped_own: self.dropped_own,
            queue_drops: self.drops.count,
        }
    }

    fn log(&mut self) {
        let counts = self.counts();
        if counts == self.logged {
            return;
        }
        let stats = &counts.engine;
        tracing::info!(
            listen = %self.socket.local_addr(),
            answered = stats.answered,
            stateless = stats.stateless,
            short = stats.short,
            tlvs_refused = stats.tlvs_refused,
            unsent = stats.unsent,
            dropped_short = stats.dropped_short,
            dropped_oversized = stats.dropped_oversized,
            dropped_portless = stats.dropped_portless,
            dropped_answers = stats.dropped_answers,
            dropped_not_allowed = stats.dropped_not_allowed,
            dropped_not_provisioned = stats.dropped_not_provisioned,
            dropped_unauthentic = stats.dropped_unauthentic,
            dropped_replays = stats.dropped_replays,
            dropped_rate = stats.dropped_rate,
            dropped_own = counts.dropped_own,
            queue_drops = counts.queue_drops,
            sessions = counts.sessions,
            sessions_displaced = stats.sessions_displaced,
            reports = stats.reports,
            reports_dropped = stats.reports_dropped,
            "reflector counts"
        );
        self.logged = counts;
    }
}

/// True for a datagram that claims to be from this very socket.
fn is_own(received: &Received, listen: SocketAddr) -> bool {
    received.from.port() == listen.port()
        && received.from.ip() == received.to.unwrap_or(listen.ip())
}

fn datagram<'a>(received: &Received, bytes: &'a [u8], listen: SocketAddr) -> Datagram<'a> {
    Datagram {
        bytes,
        from: received.from,
        to: received.to.map(|ip| SocketAddr::new(ip, listen.port())),
        at_ns: received.at_ns,
        method: received.method,
        tos: received.tos,
        ttl: received.ttl,
    }
}
