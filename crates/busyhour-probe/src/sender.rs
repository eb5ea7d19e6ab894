//! The session sender (RFC 8762 section 4.2): paces requests, matches answers, closes windows.

mod answer;
mod config;
mod direct;
mod packet;
mod peer;
mod reply;
mod request;
mod seen;
#[cfg(test)]
mod tests;
mod window;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use busyhour_model::{ClockPair, ClockQuality, TimestampMethod};
use busyhour_wire::{ErrorEstimate, Mode, SenderPacket, WireTimestamp};

use crate::loss::{Anchor, Mark};
use crate::pattern::Sent;
use crate::{Observation, Profile};
use direct::Counters;
use packet::{Packet, State};
use request::Requests;
use window::OpenWindow;

pub use answer::{Rejection, ReplyOutcome};
pub use config::{InvalidSession, Security, SenderConfig, Telemetry};
pub use peer::{FarFormat, PEER_PROFILES, PeerProfile};

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
/// A packet that is later than this is left out when the next one is due, too. What piled up in a
/// shorter hold-up is sent at once, as an encoder's pacer would.
const MAX_LATENESS: Duration = Duration::from_millis(10);

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

/// Counts of what happened to datagrams, over the life of a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SenderStats {
    /// First answers in time.
    pub accepted: u64,
    /// Further answers.
    pub duplicate: u64,
    /// Answers beyond the time that counts.
    pub late: u64,
    /// Datagrams that were not answers, for any reason.
    pub rejected: u64,
    /// Of these, those whose tag was wrong, missing, or that said that ours was.
    pub rejected_tags: u64,
    /// Transmit times of answers that a later answer corrected.
    pub follow_ups: u64,
    /// Times that the reflector's counter was seen to begin anew.
    pub reflector_restarts: u64,
    /// Windows that never began because the sender was not run.
    pub skipped_windows: u64,
    /// Transmit stamps that matched no packet.
    pub stray_stamps: u64,
    /// Datagrams dropped from the receive queue while no window was open.
    pub stray_queue_drops: u64,
}

/// The packet that is due next.
#[derive(Debug, Clone, Copy, Default)]
struct Next {
    window: u64,
    slot: u32,
    /// True when something of the window was sent already.
    begun: bool,
}

/// A session sender. Drive it so: give it the datagrams that came ([`Self::handle_reply`]), because a
/// window that closes is done with; send what [`Self::poll_transmit`] gives until it gives nothing and
/// report with [`Self::sent`], [`Self::unreachable`] or [`Self::not_sent`]; take what
/// [`Self::poll_event`] gives; sleep until [`Self::poll_deadline`] or a datagram.
#[derive(Debug)]
pub struct Sender {
    config: SenderConfig,
    requests: Requests,
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
    /// The same of answers that told what the reflector dropped.
    highest_telling: Option<u32>,
    /// Answers that counted so far.
    arrivals: u32,
    counters: Counters,
    /// Packets of closed windows that the worst 15 s may begin with.
    history: VecDeque<Sent>,
    /// The fewest packets that the profile sends in 200 ms.
    burst_packets: u32,
    error_estimate: ErrorEstimate,
    /// Wall clock minus monotonic clock; moves only when the wall clock steps.
    clock_offset: Option<i64>,
    queue_drops: u32,
    finished_at: Option<Instant>,
    stats: SenderStats,
}

impl Sender {
    /// A sender whose first window begins at `start`; spread the starts of several.
    ///
    /// # Errors
    /// When the profile's packets have no room for what the session needs, or its parts contradict each
    /// other.
    pub fn new(config: SenderConfig, start: Instant) -> Result<Self, InvalidSession> {
        Ok(Self {
            requests: Requests::new(&config)?,
            error_estimate: config.error_estimate(),
            burst_packets: config.profile.burst_packets(),
            config,
            start,
            next: Next::default(),
            next_sequence: FIRST_SEQUENCE,
            windows: VecDeque::new(),
            packets: VecDeque::new(),
            anchor: None,
            extra: Vec::new(),
            highest: None,
            highest_answered: None,
            highest_telling: None,
            arrivals: 0,
            counters: Counters::default(),
            history: VecDeque::new(),
            clock_offset: None,
            queue_drops: 0,
            finished_at: None,
            stats: SenderStats::default(),
        })
    }

    /// The packet that is due, if one is. A packet is sent until the next one is due, or up to 10 ms late,
    /// or not at all: a sender that was held up never sends more than that at once to catch up.
    pub fn poll_transmit(&mut self, now: ClockPair) -> Option<Transmit<'_>> {
        let (window, slot) = self.due(now.monotonic)?;
        self.next = Next { window, slot: slot + 1, begun: true };
        let offset_ns = self.clock_offset(now);
        if self.windows.back().is_none_or(|open| open.index != window) {
            let start = self.window_start(window);
            self.windows.push_back(OpenWindow::new(window, start, now, &self.config));
        }
        let open = self.windows.back_mut()?;
        let due = open.start + self.config.profile.slot_offset(open.next_slot);
        let lateness = now.monotonic.saturating_duration_since(due);
        open.lateness = open.lateness.max(lateness);
        open.next_slot = slot + 1;
        let number = open.numbered;
        open.numbered += 1;

        let sequence = self.next_sequence;
        self.next_sequence = sequence.wrapping_add(1);
        let (ssid, error_estimate) = (self.config.ssid, self.error_estimate);
        let stamp = WireTimestamp::from_unix_ns(now.wall_ns, error_estimate.format());
        self.packets.push_back(Packet {
            sequence,
            window,
            stamp,
            at_ns: signed_ns(self.start, now.monotonic),
            sent_ns: now.wall_ns - offset_ns,
            sent_by: TimestampMethod::User,
            offset_ns,
            stamp_id: None,
            floor: self.highest,
            state: State::Waiting,
            reordered: false,
            duplicates: 0,
        });
        let base = SenderPacket { sequence, sent: stamp, error_estimate, ssid };
        let sent = self.next_sequence.wrapping_sub(FIRST_SEQUENCE);
        Some(Transmit {
            bytes: self.requests.write(&self.config, &base, number, sent),
            to: self.config.peer,
            tos: self.config.profile.tos(),
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
    /// Told at once, the next packet takes its number, so that nobody misses it.
    pub fn not_sent(&mut self, sequence: u32) {
        if self.packets.back().is_some_and(|last| last.sequence == sequence) {
            self.packets.pop_back();
            self.next_sequence = sequence;
            return;
        }
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

    /// Takes what this machine's clock is worth now. A window bears the worst of its time.
    pub fn set_clock(&mut self, clock: ClockQuality) {
        self.config.clock = clock;
        self.error_estimate = self.config.error_estimate();
        for open in &mut self.windows {
            open.clock = seen::worse(open.clock, clock);
        }
    }

    /// Takes how many datagrams the socket dropped from its receive queue since it was opened, before
    /// the datagram that told. They answered what was waiting then, the oldest first.
    pub fn handle_queue_drops(&mut self, total: u32) {
        let mut new = total.wrapping_sub(self.queue_drops);
        self.queue_drops = total;
        if new == 0 {
            return;
        }
        let latest = self.packets.back().map_or(0, |packet| packet.at_ns);
        let young = |packet: &&Packet| latest - packet.at_ns <= REPLY_TIMEOUT.as_nanos() as i64;
        for open in &mut self.windows {
            let own = self.packets.iter().rev().take_while(young);
            let waiting = own.filter(|packet| {
                packet.window == open.index && matches!(packet.state, State::Waiting)
            });
            let room = (waiting.count() as u32).saturating_sub(open.queue_drops);
            let charged = new.min(room);
            open.queue_drops += charged;
            new -= charged;
        }
        match self.windows.back_mut() {
            Some(open) => open.queue_drops = open.queue_drops.saturating_add(new),
            None => self.stats.stray_queue_drops += u64::from(new),
        }
    }

    /// The next closed window, if one is. A window closes two seconds after its end; when its last
    /// packets are lost it waits for an answer of the next window to tell the direction, if the reflector
    /// is one that tells.
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
        let now_ns = signed_ns(self.start, now);
        for packet in &mut self.packets {
            let waiting = matches!(packet.state, State::Waiting);
            if waiting && now_ns - packet.at_ns < REPLY_TIMEOUT.as_nanos() as i64 {
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

    /// The session identifier: answers bear it, or zero.
    #[must_use]
    pub const fn ssid(&self) -> u16 {
        self.config.ssid
    }

    /// How base packets look.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.config.security.mode()
    }

    /// The reflector.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.config.peer
    }

    /// What is sent.
    #[must_use]
    pub const fn profile(&self) -> &Profile {
        &self.config.profile
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
        if window > self.next.window {
            let passed = window - self.next.window;
            self.stats.skipped_windows += passed - u64::from(self.next.begun);
            self.next = Next { window, slot: 0, begun: false };
        }
        if window < self.next.window {
            return None;
        }
        let offset = now.saturating_duration_since(self.window_start(window));
        if offset >= profile.window() {
            self.next.slot = profile.slots();
            return None;
        }
        let latest = profile.slot_at(offset);
        if latest < self.next.slot {
            return None;
        }
        // The first slot that is not too late; the latest one never is.
        let oldest = offset.saturating_sub(MAX_LATENESS);
        let timely = profile.slot_at(oldest);
        let timely = timely + u32::from(profile.slot_offset(timely) < oldest);
        Some((window, self.next.slot.max(timely.min(latest))))
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

    /// From when a window may close, and when it must.
    fn closing(&self, window: &OpenWindow) -> (Instant, Instant) {
        let profile = &self.config.profile;
        let pause = profile.period() - profile.window();
        (window.end + REPLY_TIMEOUT, window.end + pause + REPLY_TIMEOUT)
    }

    /// True when nothing of the window is lost, or something after its last loss was answered; with
    /// what the reflector dropped, if it tells that. A stateless reflector never tells a direction.
    fn is_settled(&self, window: u64) -> bool {
        if self.highest.is_some_and(|highest| highest.copied) {
            return true;
        }
        let first = self.packets.front().map_or(0, |packet| packet.sequence);
        let tells = self.highest_telling.is_some() && !self.counters.foreign;
        let highest = if tells { self.highest_telling } else { self.highest_answered };
        let answered = highest.map_or(0, |highest| {
            let behind = highest.wrapping_sub(first) as i32;
            usize::try_from(behind + 1).unwrap_or(0)
        });
        let mut unanswered = self.packets.range(answered.min(self.packets.len())..);
        let waits = |packet: &Packet| matches!(packet.state, State::Waiting);
        !unanswered.by_ref().take_while(|packet| packet.window <= window).any(waits)
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
