//! The session sender (RFC 8762 section 4.2): paces requests, matches answers, closes windows.

mod packet;
mod tlvs;
mod window;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use busyhour_model::{ClockPair, Dscp, TimestampMethod};
use busyhour_wire::{ErrorEstimate, ReflectorPacket, SenderPacket, WireTimestamp};

use crate::loss::{Anchor, Mark};
use crate::{Datagram, Observation, Profile};
use packet::{Answer, Packet, State};
use tlvs::{class_of_service, template};
use window::OpenWindow;

/// An answer that takes longer does not count: calls have given up long before.
const REPLY_TIMEOUT: Duration = Duration::from_secs(2);
/// Numbers begin here rather than at 0, as if the first ones had been lost on the way. A stateful
/// reflector counts from 0 or 1, so its counter differs from our numbers from the first answer on; one
/// that always copies them is stateless, and must not be read as "everything was lost down".
const FIRST_SEQUENCE: u32 = 16;
/// The wall clock stepped when it moved by more than this against the monotonic clock between two
/// readings. Slewing (500 ppm) moves it by 1 ms in 2 s, the longest that a sample lasts.
const CLOCK_STEP_NS: i64 = 1_000_000;
/// A kernel's transmit stamp that is further from our own reading belongs to another packet: half of
/// what lies between two at 50 a second. On the way out of a machine packets take microseconds.
const MAX_STAMP_DELAY_NS: i64 = 10_000_000;
/// Counters claimed by second answers that are remembered: more than one window's packets at the
/// default profile. Beyond it the counter is treated as begun anew, so directions become unknown.
const MAX_EXTRA_MARKS: usize = 1_024;
/// Packets of closed windows kept because their answers overtook each other around a cut.
const MAX_CLOSED_PACKETS: usize = 1_024;

/// What a sender is told at its beginning.
#[derive(Debug, Clone, Copy)]
pub struct SenderConfig {
    /// What to send.
    pub profile: Profile,
    /// The reflector.
    pub peer: SocketAddr,
    /// The session identifier, chosen by the caller; not 0.
    pub ssid: u16,
    /// The quality of this machine's wall clock.
    pub error_estimate: ErrorEstimate,
}

/// A packet to send now.
#[derive(Debug)]
pub struct Transmit<'a> {
    /// The payload.
    pub bytes: &'a [u8],
    /// Where to.
    pub to: SocketAddr,
    /// The TOS or traffic-class byte to mark it with.
    pub tos: u8,
    /// Its number, to report its fate with.
    pub sequence: u32,
}

/// Why a datagram was not taken as an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// It is shorter than a test packet.
    Truncated,
    /// It is not from the peer.
    ForeignAddress,
    /// It belongs to another session.
    ForeignSession,
    /// It answers a number that is not outstanding: closed long ago, or never sent.
    UnknownSequence,
    /// It does not repeat the time that was sent: another run's packet, or forged.
    ForeignTimestamp,
}

/// What became of a received datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyOutcome {
    /// The first answer to its request, in time.
    Accepted,
    /// A further answer to a request.
    Duplicate,
    /// The first answer, but beyond the time that counts; the request stays lost.
    Late,
    /// Not an answer.
    Rejected(Rejection),
}

/// Counts of what happened to datagrams, over the life of a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SenderStats {
    /// First answers in time.
    pub accepted: u64,
    /// Further answers.
    pub duplicate: u64,
    /// Answers beyond the time that counts.
    pub late: u64,
    /// Datagrams that were not answers.
    pub rejected: u64,
    /// Times that the reflector's counter was seen to begin anew.
    pub reflector_restarts: u64,
    /// Windows that never began because the sender was not run.
    pub skipped_windows: u64,
    /// Transmit stamps that matched no packet.
    pub stray_stamps: u64,
}

/// The packet that is due next.
#[derive(Debug, Clone, Copy, Default)]
struct Next {
    window: u64,
    slot: u32,
    /// True when something of the window was sent already.
    begun: bool,
}

/// A session sender. Drive it so: send what [`Self::poll_transmit`] gives until it gives nothing and
/// report with [`Self::sent`], [`Self::unreachable`] or [`Self::not_sent`]; take what [`Self::poll_event`] gives; sleep until
/// [`Self::poll_deadline`] or a datagram, which goes to [`Self::handle_reply`].
#[derive(Debug)]
pub struct Sender {
    config: SenderConfig,
    buffer: Vec<u8>,
    start: Instant,
    next: Next,
    next_sequence: u32,
    windows: VecDeque<OpenWindow>,
    /// In the order of sending, numbered without holes.
    packets: VecDeque<Packet>,
    anchor: Option<Anchor>,
    extra: Vec<Mark>,
    highest: Option<Mark>,
    highest_answered: Option<u32>,
    /// Wall clock minus monotonic clock; moves only when the wall clock steps.
    clock_offset: Option<i64>,
    queue_drops: u32,
    finished_at: Option<Instant>,
    stats: SenderStats,
}

impl Sender {
    /// A sender whose first window begins at `start`; spread the starts of several.
    #[must_use]
    pub fn new(config: SenderConfig, start: Instant) -> Self {
        Self {
            config,
            buffer: template(&config),
            start,
            next: Next::default(),
            next_sequence: FIRST_SEQUENCE,
            windows: VecDeque::new(),
            packets: VecDeque::new(),
            anchor: None,
            extra: Vec::new(),
            highest: None,
            highest_answered: None,
            clock_offset: None,
            queue_drops: 0,
            finished_at: None,
            stats: SenderStats::default(),
        }
    }

    /// The packet that is due, if one is. A packet is sent in its own slot or not at all: a sender
    /// that was held up never sends a burst to catch up.
    pub fn poll_transmit(&mut self, now: ClockPair) -> Option<Transmit<'_>> {
        let (window, slot) = self.due(now.monotonic)?;
        self.next = Next { window, slot: slot + 1, begun: true };
        let offset_ns = self.clock_offset(now);
        let profile = &self.config.profile;
        if self.windows.back().is_none_or(|open| open.index != window) {
            let start = self.window_start(window);
            self.windows.push_back(OpenWindow::new(window, start, now, profile));
        }
        let open = self.windows.back_mut()?;
        let due = open.start + profile.slot_offset(open.next_slot);
        let lateness = now.monotonic.saturating_duration_since(due);
        open.lateness = open.lateness.max(lateness);
        open.next_slot = slot + 1;

        let sequence = self.next_sequence;
        self.next_sequence = sequence.wrapping_add(1);
        let error_estimate = self.config.error_estimate;
        let stamp = WireTimestamp::from_unix_ns(now.wall_ns, error_estimate.format());
        let base = SenderPacket { sequence, sent: stamp, error_estimate, ssid: self.config.ssid };
        let base = base.to_bytes();
        self.buffer[..base.len()].copy_from_slice(&base);
        self.packets.push_back(Packet {
            sequence,
            window,
            stamp,
            sent_at: now.monotonic,
            sent_ns: now.wall_ns - offset_ns,
            sent_by: TimestampMethod::User,
            offset_ns,
            stamp_id: None,
            floor: self.highest,
            state: State::Waiting,
            reordered: false,
            duplicates: 0,
        });
        Some(Transmit {
            bytes: &self.buffer,
            to: self.config.peer,
            tos: self.config.profile.dscp().to_tos(),
            sequence,
        })
    }

    /// Reports that the packet left; `stamp_id` is what its transmit stamp will come with.
    pub fn sent(&mut self, sequence: u32, stamp_id: Option<u32>) {
        if let Some(packet) = self.packet_mut(sequence) {
            packet.stamp_id = stamp_id;
        }
    }

    /// Reports that this machine has no way to the peer: a call's packet would have been lost, so this
    /// one counts as sent and lost. Nobody is on the way to name a direction.
    pub fn unreachable(&mut self, sequence: u32) {
        if let Some(packet) = self.packet_mut(sequence) {
            packet.state = State::Lost;
        }
    }

    /// Reports that the packet found a local queue full: it was scheduled, but does not count as sent.
    pub fn not_sent(&mut self, sequence: u32) {
        if let Some(packet) = self.packet_mut(sequence) {
            packet.state = State::Void;
        }
    }

    /// Takes the transmit stamp (nanoseconds of Unix time) of the packet that was sent as `stamp_id`.
    pub fn handle_stamp(&mut self, stamp_id: u32, at_ns: i64, method: TimestampMethod) {
        let mut recent = self.packets.iter_mut().rev();
        let sent_ns = |packet: &Packet| at_ns - packet.offset_ns;
        match recent.find(|packet| packet.stamp_id == Some(stamp_id)) {
            Some(packet)
                if (-CLOCK_STEP_NS..MAX_STAMP_DELAY_NS)
                    .contains(&(sent_ns(packet) - packet.sent_ns)) =>
            {
                packet.sent_ns = sent_ns(packet);
                packet.sent_by = method;
                packet.stamp_id = None;
            }
            _ => self.stats.stray_stamps += 1,
        }
    }

    /// Takes how many datagrams the socket dropped from its receive queue since it was opened.
    pub fn handle_queue_drops(&mut self, total: u32) {
        let new = total.wrapping_sub(self.queue_drops);
        self.queue_drops = total;
        if let Some(open) = self.windows.back_mut() {
            open.queue_drops = open.queue_drops.saturating_add(new);
        }
    }

    /// Takes a received datagram.
    pub fn handle_reply(&mut self, datagram: &Datagram<'_>, now: ClockPair) -> ReplyOutcome {
        let outcome = match self.find(datagram) {
            Ok((at, reply, tail)) => self.answer(at, &reply, tail, datagram, now),
            Err(rejection) => ReplyOutcome::Rejected(rejection),
        };
        match outcome {
            ReplyOutcome::Accepted => self.stats.accepted += 1,
            ReplyOutcome::Duplicate => self.stats.duplicate += 1,
            ReplyOutcome::Late => self.stats.late += 1,
            ReplyOutcome::Rejected(_) => self.stats.rejected += 1,
        }
        outcome
    }

    /// The next closed window, if one is. A window closes two seconds after its end; when its last
    /// packets are lost it waits for an answer of the next window to tell the direction.
    pub fn poll_event(&mut self, now: Instant) -> Option<Observation> {
        let front = self.windows.front()?;
        if self.finished_at.is_none() {
            let (grace, limit) = self.closing(front);
            if now < grace || (now < limit && !self.is_settled(front.index)) {
                return None;
            }
        }
        let window = self.windows.pop_front()?;
        Some(self.close(&window))
    }

    /// When to poll again at the latest; `None` when finished and empty.
    #[must_use]
    pub fn poll_deadline(&self) -> Option<Instant> {
        if let Some(finished_at) = self.finished_at {
            return (!self.windows.is_empty()).then_some(finished_at);
        }
        let Next { window, slot, .. } = self.next;
        let profile = &self.config.profile;
        let due = if slot < profile.slots() {
            self.window_start(window) + profile.slot_offset(slot)
        } else {
            self.window_start(window + 1)
        };
        let closing = self.windows.front().map(|front| {
            let (grace, limit) = self.closing(front);
            if self.is_settled(front.index) { grace } else { limit }
        });
        Some(closing.map_or(due, |closing| closing.min(due)))
    }

    /// Ends the session, because the context changed or the agent stops. Windows close as they are:
    /// cut short at `now`, and without the packets that may still be answered.
    pub fn finish(&mut self, now: Instant) {
        self.finished_at = Some(now);
        for packet in &mut self.packets {
            let waiting = matches!(packet.state, State::Waiting);
            if waiting && now.saturating_duration_since(packet.sent_at) < REPLY_TIMEOUT {
                packet.state = State::Void;
            }
        }
        if let Some(open) = self.windows.back_mut() {
            open.cut(now, &self.config.profile);
        }
    }

    /// True while a request that was sent may still be answered.
    #[must_use]
    pub fn awaits_answer(&self) -> bool {
        self.packets.iter().any(|packet| matches!(packet.state, State::Waiting))
    }

    /// What happened so far.
    #[must_use]
    pub const fn stats(&self) -> SenderStats {
        self.stats
    }

    /// The window and slot that are due at `now`; moves over what was missed.
    fn due(&mut self, now: Instant) -> Option<(u64, u32)> {
        if self.finished_at.is_some() {
            return None;
        }
        let profile = &self.config.profile;
        let elapsed = now.checked_duration_since(self.start)?;
        let window = (elapsed.as_nanos() / profile.period().as_nanos()) as u64;
        let slot = profile.slot_at(now.saturating_duration_since(self.window_start(window)));
        if window > self.next.window {
            let passed = window - self.next.window;
            self.stats.skipped_windows += passed - u64::from(self.next.begun);
            self.next = Next { window, slot: 0, begun: false };
        }
        if window < self.next.window || slot < self.next.slot {
            return None;
        }
        if slot >= profile.slots() {
            self.next.slot = profile.slots();
            return None;
        }
        Some((window, slot))
    }

    fn window_start(&self, window: u64) -> Instant {
        let nanos = self.config.profile.period().as_nanos() * u128::from(window);
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Wall clock minus monotonic clock. The kept value only moves on a step, so that the noise of
    /// reading two clocks does not get into the samples.
    fn clock_offset(&mut self, now: ClockPair) -> i64 {
        let offset = now.wall_ns.saturating_sub(signed_ns(self.start, now.monotonic));
        match self.clock_offset {
            Some(kept) if (offset - kept).abs() <= CLOCK_STEP_NS => kept,
            _ => *self.clock_offset.insert(offset),
        }
    }

    fn packet_mut(&mut self, sequence: u32) -> Option<&mut Packet> {
        let first = self.packets.front()?.sequence;
        self.packets.get_mut(sequence.wrapping_sub(first) as usize)
    }

    /// The request that the datagram answers.
    fn find<'a>(
        &self,
        datagram: &Datagram<'a>,
    ) -> Result<(usize, ReflectorPacket, &'a [u8]), Rejection> {
        let peer = &self.config.peer;
        if datagram.from.ip() != peer.ip() || datagram.from.port() != peer.port() {
            return Err(Rejection::ForeignAddress);
        }
        let (reply, tail) =
            ReflectorPacket::parse(datagram.bytes).map_err(|_| Rejection::Truncated)?;
        // Reflectors that predate RFC 8972 leave the identifier zero.
        if reply.ssid != self.config.ssid && reply.ssid != 0 {
            return Err(Rejection::ForeignSession);
        }
        let first = self.packets.front().ok_or(Rejection::UnknownSequence)?.sequence;
        let at = reply.sender_sequence.wrapping_sub(first) as usize;
        let packet = self.packets.get(at).ok_or(Rejection::UnknownSequence)?;
        if reply.sender_sent != packet.stamp {
            return Err(Rejection::ForeignTimestamp);
        }
        Ok((at, reply, tail))
    }

    fn answer(
        &mut self,
        at: usize,
        reply: &ReflectorPacket,
        tail: &[u8],
        datagram: &Datagram<'_>,
        now: ClockPair,
    ) -> ReplyOutcome {
        let offset_ns = self.clock_offset(now);
        let mark = self.mark(at, reply);
        let highest_answered = self.highest_answered;
        let packet = &mut self.packets[at];
        if !matches!(packet.state, State::Waiting) {
            packet.duplicates = packet.duplicates.saturating_add(1);
            if !matches!(&packet.state, State::Answered(answer) if answer.mark == mark) {
                self.claim(mark);
            }
            return ReplyOutcome::Duplicate;
        }
        if now.monotonic.saturating_duration_since(packet.sent_at) > REPLY_TIMEOUT {
            packet.state = State::Lost;
            self.claim(mark);
            return ReplyOutcome::Late;
        }
        let ahead = |highest: u32| (packet.sequence.wrapping_sub(highest) as i32) > 0;
        if highest_answered.is_none_or(ahead) {
            self.highest_answered = Some(packet.sequence);
        } else {
            packet.reordered = true;
        }
        let class = class_of_service(tail);
        let format = reply.error_estimate.format();
        packet.state = State::Answered(Answer {
            mark,
            received_ns: (packet.offset_ns == offset_ns).then(|| datagram.at_ns - offset_ns),
            received_by: datagram.method,
            far: reply.received.to_unix_ns(format).zip(reply.sent.to_unix_ns(format)),
            up: class.map(|class| class.received),
            down: datagram.tos.map(Dscp::from_tos),
            honoured: class.is_some_and(|class| class.refused == 0),
        });
        ReplyOutcome::Accepted
    }

    /// Places the answer's counter. A counter that is not above what had been received when the
    /// request was sent cannot be from the same count: causes come before effects.
    fn mark(&mut self, at: usize, reply: &ReflectorPacket) -> Mark {
        let copied = reply.sequence == reply.sender_sequence;
        let Some(highest) = self.highest else {
            let first = Mark { epoch: 0, counter: i64::from(reply.sequence), copied };
            return *self.highest.insert(first);
        };
        let step = reply.sequence.wrapping_sub(highest.counter as u32) as i32;
        let mark =
            Mark { epoch: highest.epoch, counter: highest.counter + i64::from(step), copied };
        let packet = &self.packets[at];
        let first_answer = matches!(packet.state, State::Waiting);
        let impossible = packet
            .floor
            .is_some_and(|floor| floor.epoch == mark.epoch && mark.counter <= floor.counter);
        // Behind the highest: it overtook, or another request has claimed this count already.
        let claimed = step <= 0
            && self.packets.iter().any(|other| {
                matches!(&other.state, State::Answered(answer)
                    if answer.mark.epoch == mark.epoch && answer.mark.counter == mark.counter)
            });
        if first_answer && (impossible || claimed) {
            return self.begin_epoch(reply.sequence, copied);
        }
        self.highest = Some(highest.max(mark));
        mark
    }

    fn begin_epoch(&mut self, sequence: u32, copied: bool) -> Mark {
        self.stats.reflector_restarts += 1;
        let epoch = self.highest.map_or(0, |highest| highest.epoch + 1);
        *self.highest.insert(Mark { epoch, counter: i64::from(sequence), copied })
    }

    /// Remembers that a further answer explains this count.
    fn claim(&mut self, mark: Mark) {
        if self.extra.contains(&mark) {
            return;
        }
        if self.extra.len() >= MAX_EXTRA_MARKS {
            self.extra.clear();
            self.begin_epoch(mark.counter as u32, mark.copied);
            return;
        }
        self.extra.push(mark);
    }

    /// From when a window may close, and when it must.
    fn closing(&self, window: &OpenWindow) -> (Instant, Instant) {
        let profile = &self.config.profile;
        let pause = profile.period() - profile.window();
        (window.end + REPLY_TIMEOUT, window.end + pause + REPLY_TIMEOUT)
    }

    /// True when nothing of the window is lost, or something after its last loss was answered.
    fn is_settled(&self, window: u64) -> bool {
        for packet in self.packets.iter().rev() {
            match packet.state {
                State::Answered(_) => return true,
                State::Waiting if packet.window <= window => return false,
                State::Waiting | State::Lost | State::Void => {}
            }
        }
        true
    }
}

/// Nanoseconds from `origin` to `at`, negative when it is earlier.
fn signed_ns(origin: Instant, at: Instant) -> i64 {
    let ns = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    match at.checked_duration_since(origin) {
        Some(after) => ns(after),
        None => -ns(origin.duration_since(at)),
    }
}
