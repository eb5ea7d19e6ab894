//! One session on the prober's thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use busyhour_model::{ClockPair, ClockQuality};
use busyhour_probe::{Datagram, Observation, ReplyOutcome, Sender, SenderConfig};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::sockets::{Key, Shared};
use super::{Began, Cause, Commission, Ended, Event, Finish, Missed, SessionReport, Wish};

/// How long a session that ends waits for its last answers: a long way there and back.
const LAST_ANSWERS: Duration = Duration::from_millis(300);

/// A session with its sender.
#[derive(Debug)]
pub(super) struct Running {
    number: usize,
    sender: Sender,
    /// The socket it shares; without one everything is lost on this machine.
    pub(super) socket: Option<Key>,
    /// When the sender wants to be called next.
    due: Option<Instant>,
    /// It was called and had nothing to send: a window is to be closed.
    closes: bool,
    /// Sends nothing more, and waits until then for its last answers.
    ending: Option<Instant>,
    /// What the socket dropped while this session had packets under way.
    queue_drops: u32,
    windows_dropped: u64,
    /// Windows that did not get through, of which its task is still to hear.
    missed: Option<Missed>,
    windows_discarded: u64,
    events: mpsc::Sender<Event>,
    ended: oneshot::Sender<Ended>,
    wish: Arc<Wish>,
}

impl Running {
    /// Begins a session that shares a socket, or has none. `None` when it cannot be, of which its task
    /// hears.
    pub(super) fn begin(
        commission: Commission,
        ssid: u16,
        clock: Option<ClockQuality>,
        socket: Option<&Shared>,
    ) -> Option<Self> {
        let order = &commission.order;
        let mut config = SenderConfig { ssid, ..order.config.clone() };
        config.clock = clock.unwrap_or(config.clock);
        let sender = match Sender::new(config, order.start) {
            Ok(sender) => sender,
            Err(error) => {
                commission.refuse(Cause::Invalid(error));
                return None;
            }
        };
        let Commission { order, events, ended, wish } = commission;
        let running = Self {
            number: order.number,
            due: sender.poll_deadline(),
            closes: false,
            sender,
            socket: socket.map(Shared::key),
            ending: None,
            queue_drops: 0,
            windows_dropped: 0,
            missed: None,
            windows_discarded: 0,
            events,
            ended,
            wish,
        };
        let began = Began { ssid, socket: socket.map(Shared::facts) };
        // Nothing is before it; a task that is gone has asked for the end.
        let _ = running.events.try_send(Event::Began(began));
        Some(running)
    }

    pub(super) const fn ssid(&self) -> u16 {
        self.sender.ssid()
    }

    pub(super) const fn sender(&self) -> &Sender {
        &self.sender
    }

    pub(super) fn report(&self) -> SessionReport {
        SessionReport { number: self.number, ssid: self.ssid(), stats: self.sender.stats() }
    }

    /// When it wants to send, as far as it knows.
    pub(super) fn sends_at(&self) -> Option<Instant> {
        self.due.filter(|_| self.ending.is_none() && !self.closes)
    }

    /// Until when it waits for its last answers, if it does.
    pub(super) const fn ends_at(&self) -> Option<Instant> {
        self.ending
    }

    /// Sends the packet that is due; false when none is, because a window is to be closed instead.
    pub(super) fn transmit(&mut self, socket: Option<&mut Shared>, now: ClockPair) -> bool {
        let ssid = self.ssid();
        let Some(packet) = self.sender.poll_transmit(now) else {
            self.closes = true;
            return false;
        };
        let sequence = packet.sequence;
        match socket {
            None => self.sender.unreachable(sequence),
            Some(shared) => match shared.send(packet.bytes, packet.to, packet.tos, ssid) {
                Ok(id) => self.sender.sent(sequence, Some(id)),
                Err(error) if error.is_queue_full() => self.sender.not_sent(sequence),
                Err(_) => self.sender.unreachable(sequence),
            },
        }
        self.due = self.sender.poll_deadline();
        true
    }

    pub(super) fn set_clock(&mut self, quality: ClockQuality) {
        self.sender.set_clock(quality);
    }

    pub(super) fn stamp(&mut self, sent: &busyhour_net::Sent) {
        self.sender.handle_stamp(sent.id, sent.at_ns, sent.method);
    }

    pub(super) fn receive(&mut self, datagram: &Datagram<'_>, now: ClockPair) -> ReplyOutcome {
        let outcome = self.sender.handle_reply(datagram, now);
        self.due = self.sender.poll_deadline();
        outcome
    }

    /// Takes that the socket dropped datagrams. The system does not say whose they were, so every
    /// session that waits for an answer is told of all of them: too many rather than too few, because
    /// what this machine dropped must never count as lost on the way.
    pub(super) fn drops(&mut self, new: u32) {
        if self.sender.awaits_answer() {
            self.queue_drops = self.queue_drops.wrapping_add(new);
            self.sender.handle_queue_drops(self.queue_drops);
        }
    }

    #[cfg(test)]
    pub(super) const fn queue_drops(&self) -> u32 {
        self.queue_drops
    }

    /// Gives its task the windows that can be closed, if it was found that there may be some.
    pub(super) fn close(&mut self, now: Instant) {
        if !self.closes {
            return;
        }
        while let Some(observation) = self.sender.poll_event(now) {
            self.tell_window(observation);
        }
        self.closes = false;
        self.due = self.sender.poll_deadline();
    }

    /// Looks at its task's wish; true when the session is over.
    pub(super) fn is_over(&mut self, now: Instant) -> bool {
        match self.wish.finish() {
            None => false,
            Some(Finish::Now) => true,
            Some(Finish::AfterAnswers) => {
                let until = *self.ending.get_or_insert(now + LAST_ANSWERS);
                now >= until || !self.sender.awaits_answer()
            }
        }
    }

    /// Closes all windows and says the last word. Of a session whose clocks were disturbed at some
    /// point after `undisturbed`, only what was over by then says something about the network.
    pub(super) fn end(mut self, now: Instant, cause: Cause, undisturbed: Option<Instant>) {
        self.sender.finish(now);
        while let Some(observation) = self.sender.poll_event(now) {
            if undisturbed.is_none_or(|until| ends(&observation) <= until) {
                self.tell_window(observation);
            } else {
                self.windows_discarded += 1;
            }
        }
        let last = Ended {
            cause,
            stats: self.sender.stats(),
            windows_dropped: self.windows_dropped,
            missed: self.missed,
            windows_discarded: self.windows_discarded,
        };
        // A task that is gone has nothing more to hear.
        let _ = self.ended.send(last);
    }

    /// Gives its task a window, or has it hear later that there was one. A task that is gone has asked
    /// for the end.
    fn tell_window(&mut self, window: Observation) {
        if let Some(missed) = self.missed
            && let Err(TrySendError::Full(_)) = self.events.try_send(Event::Missed(missed))
        {
            return self.miss(&window);
        }
        self.missed = None;
        let told = self.events.try_send(Event::Window(Box::new(window)));
        if let Err(TrySendError::Full(Event::Window(window))) = told {
            self.miss(&window);
        }
    }

    fn miss(&mut self, window: &Observation) {
        self.windows_dropped += 1;
        let none = Missed { started: window.started, length: Duration::ZERO, windows: 0 };
        let missed = self.missed.get_or_insert(none);
        missed.windows += 1;
        missed.length = ends(window).saturating_duration_since(missed.started.monotonic);
    }
}

fn ends(observation: &Observation) -> Instant {
    observation.started.monotonic + observation.duration
}
