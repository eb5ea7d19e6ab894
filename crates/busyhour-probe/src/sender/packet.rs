//! One request and what is known of it.

use std::time::Instant;

use busyhour_model::{Dscp, TimestampMethod};
use busyhour_wire::WireTimestamp;

use crate::delay::Sample;
use crate::loss::{Fate, Mark};

#[derive(Debug)]
pub(super) struct Packet {
    pub(super) sequence: u32,
    /// The window it was sent in.
    pub(super) window: u64,
    /// T1 as it was written; every answer repeats it.
    pub(super) stamp: WireTimestamp,
    pub(super) sent_at: Instant,
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
    /// T4 on the monotonic clock; `None` when the wall clock stepped since it was sent.
    pub(super) received_ns: Option<i64>,
    pub(super) received_by: TimestampMethod,
    /// T2 and T3, where the reflector tells.
    pub(super) far: Option<(i64, i64)>,
    /// The code point that the request arrived with, where the reflector tells.
    pub(super) up: Option<Dscp>,
    /// The code point that the answer arrived with, where the socket tells.
    pub(super) down: Option<Dscp>,
    /// True when the reflector marked its answer as asked.
    pub(super) honoured: bool,
}

impl Packet {
    pub(super) const fn fate(&self) -> Fate {
        match &self.state {
            State::Waiting => Fate::Missing,
            State::Answered(answer) => Fate::Answered(answer.mark),
            State::Lost | State::Void => Fate::Void,
        }
    }

    pub(super) const fn is_lost(&self) -> bool {
        matches!(self.state, State::Waiting | State::Lost)
    }

    pub(super) fn sample(&self) -> Option<Sample> {
        let State::Answered(answer) = &self.state else { return None };
        let received = answer.received_ns?;
        Some(Sample { sent: self.sent_ns, received, far: answer.far })
    }
}
