//! One request and what is known of it.

use busyhour_model::TimestampMethod;
use busyhour_wire::WireTimestamp;

use crate::delay::Sample;
use crate::loss::{Drops, Entry, Fate, Mark};

#[derive(Debug)]
pub(super) struct Packet {
    pub(super) sequence: u32,
    /// The window it was sent in.
    pub(super) window: u64,
    /// T1 as it was written; every answer repeats it.
    pub(super) stamp: WireTimestamp,
    /// When it was handed over to be sent, on the monotonic clock since the session's start.
    pub(super) at_ns: i64,
    /// T1 on the monotonic clock: wall clock minus `offset_ns`.
    pub(super) sent_ns: i64,
    pub(super) sent_by: TimestampMethod,
    /// Wall clock minus monotonic clock when it was sent.
    pub(super) offset_ns: i64,
    /// What its transmit stamp will come with, until it came.
    pub(super) stamp_id: Option<u32>,
    /// The highest counter received by the time it was sent.
    pub(super) floor: Option<Mark>,
    pub(super) state: State,
    /// Its answer came after that of a later request (RFC 4737 section 3).
    pub(super) reordered: bool,
    pub(super) duplicates: u32,
}

#[derive(Debug)]
pub(super) enum State {
    /// Sent; not answered so far.
    Waiting,
    /// Answered in time.
    Answered(Answer),
    /// Answered too late to count, or there was no way out of this machine: lost, and the direction
    /// is unknown.
    Lost,
    /// Not sent, or given up before it was known.
    Void,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) mark: Mark,
    /// Its place in the order of arrival.
    pub(super) arrival: u32,
    /// T4 on the monotonic clock; `None` when the wall clock stepped since it was sent.
    pub(super) received_ns: Option<i64>,
    pub(super) received_by: TimestampMethod,
    /// T2 and T3, where the reflector tells.
    pub(super) far: Option<(i64, i64)>,
    /// What the reflector had dropped by then, where it tells.
    pub(super) drops: Option<Drops>,
}

impl Packet {
    pub(super) const fn answer(&self) -> Option<&Answer> {
        match &self.state {
            State::Answered(answer) => Some(answer),
            State::Waiting | State::Lost | State::Void => None,
        }
    }

    /// What the loss arithmetic has to know of it; `inside` is the window in question.
    pub(super) fn entry(&self, inside: u64) -> Entry {
        let (fate, drops) = match &self.state {
            State::Waiting => (Fate::Missing, None),
            State::Answered(answer) => (Fate::Answered(answer.mark), answer.drops),
            State::Lost | State::Void => (Fate::Void, None),
        };
        Entry { fate, drops, inside: self.window == inside }
    }

    pub(super) const fn is_lost(&self) -> bool {
        matches!(self.state, State::Waiting | State::Lost)
    }

    /// True when it counts as sent.
    pub(super) const fn is_sent(&self) -> bool {
        !matches!(self.state, State::Void)
    }

    pub(super) fn sample(&self) -> Option<Sample> {
        let answer = self.answer()?;
        let (sent, received, offset) = (self.sent_ns, answer.received_ns?, self.offset_ns);
        Some(Sample { sent, received, far: answer.far, offset })
    }
}
