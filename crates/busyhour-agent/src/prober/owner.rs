//! The thread's loop.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use busyhour_daemon::chain;
use busyhour_model::{ClockPair, ClockQuality, TimestampMethod};
use busyhour_net::{Inbox, MAX_WAITED, ProbeSocket, Ready, SocketError, Waker, paired_now, wait};
use busyhour_probe::{Datagram, ReplyOutcome};

use super::running::Running;
use super::sockets::{Key, Shared};
use super::table::{Belongs, Table};
use super::{Cause, Command, Commission, OnAddressGone, Report, SocketReport};
use crate::clock::Moment;
use crate::gap::between;

/// Datagrams received in one system call, and so before the next packet gets its turn.
const BATCH: usize = 16;
/// Answers are as long as requests; anything longer is none.
const DATAGRAM: usize = 2048;
/// How often the clocks are compared at least: what was observed since the last look is discarded
/// when they were disturbed.
const LOOK: Duration = Duration::from_secs(5);
/// Turns after which windows are closed though datagrams still come: each takes a batch, so these are
/// as many as a socket's queue holds.
const MOST_POSTPONED: u32 = 128;
/// Answers wait for the next packet to be sent for so long at most. In that time come no more of them
/// than have a few packets' sessions under way, far fewer than a socket's queue holds.
const LINGER: Duration = Duration::from_millis(50);
/// A system that refuses to wait is asked again after so long: the thread must not spin.
const PAUSE: Duration = Duration::from_millis(10);

/// Everything that the thread owns.
#[derive(Debug)]
pub(super) struct Owner {
    commands: Receiver<Command>,
    waker: Waker,
    inbox: Inbox,
    pub(super) sockets: Vec<Shared>,
    pub(super) sessions: Table,
    clock: Option<ClockQuality>,
    looked: Moment,
    /// The last wait was for time alone: sockets are to be looked at.
    lingered: bool,
    /// What there is to do besides sending and receiving.
    commands_wait: bool,
    ending: usize,
    closing: u32,
    /// Turns that closing has waited for.
    postponed: u32,
    stopping: bool,
}

impl Owner {
    pub(super) fn new(commands: Receiver<Command>, waker: Waker) -> Self {
        let now = paired_now();
        Self {
            commands,
            waker,
            inbox: Inbox::new(BATCH, DATAGRAM),
            sockets: Vec::new(),
            sessions: Table::new(now.monotonic),
            clock: None,
            looked: now.into(),
            lingered: false,
            commands_wait: true,
            ending: 0,
            closing: 0,
            postponed: 0,
            stopping: false,
        }
    }

    pub(super) fn run(&mut self) {
        loop {
            let now = paired_now();
            self.look(now);
            if self.commands_wait || self.ending > 0 {
                self.obey(now);
            }
            if self.stopping {
                return self.end_all(now, &Cause::Told, None);
            }
            self.send_due(now);
            self.listen(|| paired_now().monotonic);
        }
    }

    /// Waits, takes what came, and closes windows when there is nothing left to take.
    pub(super) fn listen(&mut self, clock: impl Fn() -> Instant) {
        let ready = self.wait();
        self.commands_wait |= ready.woken();
        let taken = self.receive(ready);
        if self.closing > 0 {
            self.close(taken, clock);
        }
    }

    /// Ends all sessions when the machine slept or its clock stepped: what they measured is
    /// meaningless from the last look on.
    pub(super) fn look(&mut self, now: ClockPair) {
        let looked = std::mem::replace(&mut self.looked, now.into());
        if !between(&looked, &self.looked).is_empty() {
            self.end_all(now, &Cause::Disturbed, Some(looked.monotonic));
        }
    }

    pub(super) fn obey(&mut self, now: ClockPair) {
        self.commands_wait = false;
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Start(commission) => self.begin(*commission),
                Command::SetClock(quality) => {
                    self.clock = Some(quality);
                    self.sessions.with_all(|session| session.set_clock(quality));
                }
                Command::Report(report) => {
                    // Who asked may be gone.
                    let _ = report.send(self.report());
                }
                Command::Stop => self.stopping = true,
            }
        }
        let before = self.sessions.len();
        for at in (0..before).rev() {
            if self.sessions.with(at, |session| session.is_over(now.monotonic)) {
                self.sessions.remove(at).end(now.monotonic, Cause::Told, None);
            }
        }
        if self.sessions.len() < before {
            self.close_unused();
        }
        self.ending = self.sessions.iter().filter_map(Running::ends_at).count();
    }

    /// Begins a session on the socket of its address and class.
    pub(super) fn begin(&mut self, commission: Commission) {
        let order = &commission.order;
        let key = Key::of(order);
        if !self.sockets.iter().any(|shared| shared.key() == key) {
            if self.sockets.len() >= MAX_WAITED {
                return commission.refuse(Cause::Refused("there are too many local addresses"));
            }
            match Shared::open(order) {
                Ok(shared) => self.sockets.push(shared),
                Err(error)
                    if error.is_address_gone()
                        && order.on_address_gone == OnAddressGone::LoseAll => {}
                Err(error) => return commission.refuse(Cause::Unopened(Arc::new(error))),
            }
        }
        let ssid = self.free_ssid();
        let socket = self.sockets.iter().find(|shared| shared.key() == key);
        match Running::begin(commission, ssid, self.clock, socket) {
            Some(session) => self.sessions.push(session),
            None => self.close_unused(),
        }
    }

    /// An identifier that no other session of this agent has.
    fn free_ssid(&self) -> u16 {
        loop {
            let ssid = fastrand::u16(1..);
            if self.sessions.position(ssid).is_none() {
                return ssid;
            }
        }
    }

    /// Sends whatever is due, in the order in which it was due: whoever was late most is first. Each
    /// step sends one packet, so no session holds up another for longer than that.
    pub(super) fn send_due(&mut self, mut now: ClockPair) {
        let mut sent = false;
        while let Some((at, due)) = self.sessions.first_due() {
            if due > now.monotonic {
                return;
            }
            if sent {
                // The time of sending is each packet's own.
                now = paired_now();
            }
            self.send(at, now);
            sent = true;
        }
    }

    fn send(&mut self, at: usize, now: ClockPair) {
        let sockets = &mut self.sockets;
        let (sent, shared) = self.sessions.with(at, |session| {
            let key = session.socket;
            let shared = sockets.iter().position(|shared| Some(shared.key()) == key);
            (session.transmit(shared.map(|at| &mut sockets[at]), now), shared)
        });
        self.closing += u32::from(!sent);
        // On most ways the stamp is here when the system call returns.
        if let Some(shared) = shared.filter(|_| sent)
            && let Err(error) = self.take_stamp(shared)
        {
            self.fail(shared, error, now.monotonic);
        }
    }

    /// Closes windows. Their arithmetic takes longer than a packet, and a window that is closed takes
    /// no more answers: so first everything is received that is here, within reason.
    fn close(&mut self, taken: usize, clock: impl Fn() -> Instant) {
        if taken > 0 && self.postponed < MOST_POSTPONED {
            self.postponed += 1;
            return;
        }
        (self.postponed, self.closing) = (0, 0);
        let now = clock();
        self.sessions.with_all(|session| session.close(now));
    }

    /// Waits for what is next. When a packet is due soon, answers wait for it, too: they were timed by
    /// the kernel, and each wake that is saved is more than half of what a packet costs.
    pub(super) fn wait(&mut self) -> Ready {
        let now = self.looked.monotonic;
        let due = self.sessions.first_due().map_or(now + LOOK, |(_, due)| due.min(now + LOOK));
        if std::mem::take(&mut self.lingered) || self.closing > 0 {
            return self.wait_for_sockets(now);
        }
        if self.ending > 0 {
            let ends = self.sessions.iter().filter_map(Running::ends_at);
            return self.wait_for_sockets(ends.fold(due, Instant::min));
        }
        let kernel = |shared: &Shared| shared.facts().methods.received == TimestampMethod::Kernel;
        if due.saturating_duration_since(now) > LINGER || !self.sockets.iter().all(kernel) {
            return self.wait_for_sockets(due);
        }
        self.lingered = true;
        rest(wait(&[], &self.waker, Some(due)))
    }

    fn wait_for_sockets(&self, until: Instant) -> Ready {
        let sockets: Vec<&ProbeSocket> = self.sockets.iter().map(Shared::socket).collect();
        rest(wait(&sockets, &self.waker, Some(until)))
    }

    /// Takes what is here, and gives how many datagrams that were: one batch of each socket, and what
    /// is left has the next turn.
    pub(super) fn receive(&mut self, ready: Ready) -> usize {
        let mut datagrams = 0;
        // Backwards, because a broken socket goes.
        for at in (0..self.sockets.len()).rev() {
            let mut taken = Ok(0);
            while taken.is_ok() && ready.has_errors(at) {
                match self.take_stamp(at) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => taken = Err(error),
                }
            }
            if taken.is_ok() && ready.readable(at) {
                taken = self.take_answers(at);
            }
            match taken {
                Ok(count) => datagrams += count,
                Err(error) => self.fail(at, error, paired_now().monotonic),
            }
        }
        datagrams
    }

    /// Takes a transmit stamp; false when there is none.
    fn take_stamp(&mut self, socket: usize) -> Result<bool, SocketError> {
        let shared = &mut self.sockets[socket];
        let Some((ssid, sent)) = shared.next_stamp()? else { return Ok(false) };
        match self.sessions.position(ssid) {
            Some(at) => self.sessions.with(at, |session| session.stamp(&sent)),
            None => shared.counts.stray_stamps += 1,
        }
        Ok(true)
    }

    fn take_answers(&mut self, socket: usize) -> Result<usize, SocketError> {
        let shared = &mut self.sockets[socket];
        let key = shared.key();
        let count = shared.socket().recv_batch(&mut self.inbox)?;
        let now = paired_now();
        for (received, bytes) in self.inbox.iter().take(count) {
            shared.counts.received += 1;
            let new = shared.take_drops(received.queue_drops);
            if new > 0 {
                tell_drops(&mut self.sessions, key, new);
            }
            let datagram = Datagram {
                bytes,
                from: received.from,
                to: None,
                at_ns: received.at_ns,
                method: received.method,
                tos: received.tos,
                ttl: received.ttl,
            };
            if !deliver(&datagram, key, &mut self.sessions, now) {
                shared.counts.stray += 1;
            }
        }
        Ok(count)
    }

    /// Ends the sessions of a socket that does not work.
    pub(super) fn fail(&mut self, socket: usize, error: SocketError, now: Instant) {
        let key = self.sockets[socket].key();
        let cause = Cause::Broken(Arc::new(error));
        for at in (0..self.sessions.len()).rev() {
            if self.sessions.with(at, |session| session.socket == Some(key)) {
                self.sessions.remove(at).end(now, cause.clone(), None);
            }
        }
        self.close_unused();
    }

    fn end_all(&mut self, now: ClockPair, cause: &Cause, undisturbed: Option<Instant>) {
        for at in (0..self.sessions.len()).rev() {
            self.sessions.remove(at).end(now.monotonic, cause.clone(), undisturbed);
        }
        self.close_unused();
    }

    /// Closes sockets that no session has any more.
    fn close_unused(&mut self) {
        self.sockets.retain(|shared| self.sessions.uses(shared.key()));
    }

    fn report(&self) -> Report {
        let socket = |shared: &Shared| {
            let key = Some(shared.key());
            SocketReport {
                facts: shared.facts(),
                sessions: self.sessions.iter().filter(|session| session.socket == key).count(),
                counts: shared.counts,
            }
        };
        Report {
            sockets: self.sockets.iter().map(socket).collect(),
            sessions: self.sessions.iter().map(Running::report).collect(),
        }
    }
}

/// What a wait gave. A system that refuses to wait is asked again after a pause.
fn rest(waited: std::io::Result<Ready>) -> Ready {
    waited.unwrap_or_else(|error| {
        tracing::error!(error = %chain(&error), "the prober cannot wait");
        std::thread::sleep(PAUSE);
        Ready::default()
    })
}

/// Tells the sessions of a socket that it dropped datagrams.
pub(super) fn tell_drops(sessions: &mut Table, socket: Key, new: u32) {
    sessions.with_all(|session| {
        if session.socket == Some(socket) {
            session.drops(new);
        }
    });
}

/// Gives a datagram to its session; false when it has none.
fn deliver(datagram: &Datagram<'_>, socket: Key, sessions: &mut Table, now: ClockPair) -> bool {
    let give = |sessions: &mut Table, at| {
        let outcome = sessions.with(at, |session| session.receive(datagram, now));
        !matches!(outcome, ReplyOutcome::Rejected(_))
    };
    match sessions.belongs(datagram.bytes, socket) {
        Belongs::To(at) => {
            // What became of it is in the sender's counts.
            give(sessions, at);
            true
        }
        Belongs::ToPeer => (0..sessions.len())
            .any(|at| sessions.talks_to(at, socket, datagram.from) && give(sessions, at)),
        Belongs::Stray => false,
    }
}
