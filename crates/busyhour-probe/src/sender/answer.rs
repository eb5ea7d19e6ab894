//! Answers: which request each belongs to, and what it says of it.

use busyhour_model::ClockPair;
use busyhour_wire::{FollowUp, ReflectorPacket, TimestampFormat, TimestampInformation};

use super::packet::{Answer, Packet, State};
use super::reply::{self, told};
use super::{CLOCK_STEP_NS, MAX_STAMP_DELAY_NS, REPLY_TIMEOUT, Sender, signed_ns};
use crate::Datagram;
use crate::loss::Mark;

/// Counters claimed by second answers that are remembered: more than one window's packets at the
/// default profile. Beyond it the counter is treated as begun anew, so directions become unknown.
const MAX_EXTRA_MARKS: usize = 1_024;
/// A Follow-Up is about the answer before, or one of as many before it as may overtake each other.
const FOLLOWED: usize = 16;

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
    /// The session has a key and the tag is wrong.
    BadTag,
    /// The session has a key and there is no tag.
    MissingTag,
    /// The session has a key, and the reflector says that it could not verify the request's tag: it
    /// has another one.
    IntegrityFlag,
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

impl Sender {
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
            ReplyOutcome::Rejected(why) => {
                use Rejection::{BadTag, IntegrityFlag, MissingTag};
                self.stats.rejected += 1;
                let tag = matches!(why, BadTag | MissingTag | IntegrityFlag);
                self.stats.rejected_tags += u64::from(tag);
            }
        }
        outcome
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
        let (reply, tail) = reply::read(&self.config, datagram.bytes)?;
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
        let now_ns = signed_ns(self.start, now.monotonic);
        let mark = self.mark(at, reply);
        let packet = &mut self.packets[at];
        if !matches!(packet.state, State::Waiting) {
            packet.duplicates = packet.duplicates.saturating_add(1);
            if packet.answer().is_none_or(|answer| answer.mark != mark) {
                self.claim(mark);
            }
            return ReplyOutcome::Duplicate;
        }
        // What waited in this machine's queue came in time; its stamp says when.
        let stamped_ns = datagram.at_ns.saturating_sub(offset_ns);
        let is_plausible = (packet.at_ns..=now_ns).contains(&stamped_ns);
        let came_ns = if is_plausible { stamped_ns } else { now_ns };
        if came_ns - packet.at_ns > REPLY_TIMEOUT.as_nanos() as i64 {
            packet.state = State::Lost;
            self.claim(mark);
            return ReplyOutcome::Late;
        }
        let told = told(tail);
        let format = self.config.peer_profile.far_format.of(reply.error_estimate);
        let far = reply.received.to_unix_ns(format).zip(reply.sent.to_unix_ns(format));
        let drops = told.direct.and_then(|counts| self.counters.read(mark, counts));
        let ahead = |highest: u32| (packet.sequence.wrapping_sub(highest) as i32) > 0;
        if drops.is_some() && self.highest_telling.is_none_or(ahead) {
            self.highest_telling = Some(packet.sequence);
        }
        if self.highest_answered.is_none_or(ahead) {
            self.highest_answered = Some(packet.sequence);
        } else {
            packet.reordered = true;
        }
        packet.state = State::Answered(Answer {
            mark,
            arrival: self.arrivals,
            received_ns: (packet.offset_ns == offset_ns).then(|| datagram.at_ns - offset_ns),
            received_by: datagram.method,
            far,
            drops,
        });
        self.arrivals = self.arrivals.wrapping_add(1);
        let window = packet.window;
        if let Some(open) = self.windows.iter_mut().find(|open| open.index == window) {
            let (profile, estimate) = (&self.config.profile, reply.error_estimate);
            open.seen.add(profile, &told, estimate, reply.sender_ttl, datagram);
        }
        if let Some(follow_up) = told.follow_up {
            self.follow_up(at, mark, follow_up, format);
        }
        ReplyOutcome::Accepted
    }

    /// Takes when an earlier answer really left.
    fn follow_up(&mut self, at: usize, mark: Mark, told: FollowUp, format: TimestampFormat) {
        let Some(sent) = told.sent.to_unix_ns(format) else { return };
        if told.method == TimestampInformation::METHOD_CONTROL_PLANE {
            return;
        }
        let from = at.saturating_sub(FOLLOWED);
        let until = (at + FOLLOWED).min(self.packets.len());
        for packet in self.packets.range_mut(from..until) {
            let State::Answered(answer) = &mut packet.state else { continue };
            if answer.mark.epoch != mark.epoch || answer.mark.counter as u32 != told.sequence {
                continue;
            }
            // The kernel sends after the process has written its time, and soon.
            if let Some((_, left)) = &mut answer.far
                && (-CLOCK_STEP_NS..MAX_STAMP_DELAY_NS).contains(&sent.saturating_sub(*left))
            {
                *left = sent;
                self.stats.follow_ups += 1;
            }
            return;
        }
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
        let claimed = || {
            let is_same = |other: Mark| (other.epoch, other.counter) == (mark.epoch, mark.counter);
            step <= 0
                && self.packets.iter().filter_map(Packet::answer).any(|other| is_same(other.mark))
        };
        if first_answer && (impossible || claimed()) {
            self.stats.reflector_restarts += 1;
            return self.begin_epoch(reply.sequence, copied);
        }
        self.highest = Some(highest.max(mark));
        mark
    }

    fn begin_epoch(&mut self, sequence: u32, copied: bool) -> Mark {
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
}
