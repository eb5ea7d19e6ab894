//! From the packets of a window to its observation.

use std::time::{Duration, Instant};

use busyhour_model::{BootMicros, BurstLoss, ClockPair, DscpSeen, PacketCounts, TimestampMethod};

use super::packet::{Packet, State};
use super::{MAX_CLOSED_PACKETS, Sender, signed_ns};
use crate::delay::{Sample, delays};
use crate::loss::{Anchor, Attribution, Entry, Fate, attribute, cuts};
use crate::observation::DscpTally;
use crate::{Observation, Profile};

/// The span that burst loss is looked for in: Microsoft's limit is on any 200 ms.
const BURST_SPAN: Duration = Duration::from_millis(200);
/// Below ten packets in the span one lost packet is more than the limit of 10 %.
const MIN_BURST_RATE: u32 = 50;

/// A window whose packets are not all settled.
#[derive(Debug)]
pub(super) struct OpenWindow {
    pub(super) index: u64,
    pub(super) start: Instant,
    pub(super) end: Instant,
    started: ClockPair,
    scheduled: u32,
    /// The first slot that nothing was sent for.
    pub(super) next_slot: u32,
    pub(super) lateness: Duration,
    pub(super) queue_drops: u32,
}

impl OpenWindow {
    pub(super) fn new(index: u64, start: Instant, now: ClockPair, profile: &Profile) -> Self {
        let since = signed_ns(start, now.monotonic);
        let started = ClockPair {
            monotonic: start,
            wall_ns: now.wall_ns.saturating_sub(since),
            boot: BootMicros(now.boot.0.saturating_add_signed(-since / 1_000)),
        };
        Self {
            index,
            start,
            end: start + profile.window(),
            started,
            scheduled: profile.slots(),
            next_slot: 0,
            lateness: Duration::ZERO,
            queue_drops: 0,
        }
    }

    /// Ends the window at `now` if that is before its end.
    pub(super) fn cut(&mut self, now: Instant, profile: &Profile) {
        if now < self.end {
            self.end = now.max(self.start);
            let due = profile.slot_at(self.end.duration_since(self.start));
            self.scheduled = due.saturating_add(1).max(self.next_slot).min(profile.slots());
        }
    }
}

impl Sender {
    /// Computes the observation of the oldest window and forgets its packets.
    pub(super) fn close(&mut self, window: &OpenWindow) -> Observation {
        let inside = |packet: &&Packet| packet.window == window.index;
        let packets: Vec<&Packet> = self.packets.iter().filter(inside).collect();
        let named = packets.iter().filter(|packet| matches!(packet.state, State::Lost)).count();
        let mut lost = attribute(self.anchor, &self.entries(window.index), &self.extra);
        lost.unknown += named as u32;

        let samples: Vec<Sample> = packets.iter().filter_map(|packet| packet.sample()).collect();
        let delays = delays(&samples);
        let answered = packets.iter().filter(|p| matches!(p.state, State::Answered(_))).count();
        let counts = count(window, &packets, lost);
        let burst = if window.queue_drops == 0 {
            worst_burst(&packets, window.end, self.config.profile.rate())
        } else {
            None
        };
        let observation = Observation {
            started: window.started,
            duration: window.end.duration_since(window.start),
            counts,
            burst,
            rtt: delays.rtt,
            rtt_median_us: delays.rtt_median_us,
            up_variation: delays.up_variation,
            down_variation: delays.down_variation,
            up_jitter: delays.up_jitter,
            down_jitter: delays.down_jitter,
            dscp: self.code_points(&packets),
            sent_by: most_common(packets.iter().map(|packet| packet.sent_by)),
            received_by: most_common(packets.iter().filter_map(|packet| match &packet.state {
                State::Answered(answer) => Some(answer.received_by),
                State::Waiting | State::Lost | State::Void => None,
            })),
            clock_step_samples: (answered - samples.len()) as u32,
            implausible_samples: delays.implausible,
            receive_queue_drops: window.queue_drops,
            send_lateness_max_us: u32::try_from(window.lateness.as_micros()).unwrap_or(u32::MAX),
        };
        self.forget(window.index);
        observation
    }

    fn entries(&self, window: u64) -> Vec<Entry> {
        let entry = |p: &Packet| Entry { fate: p.fate(), inside: p.window == window };
        self.packets.iter().map(entry).collect()
    }

    fn code_points(&self, packets: &[&Packet]) -> DscpSeen {
        let sent = self.config.profile.dscp();
        let (mut up, mut down) = (DscpTally::new(), DscpTally::new());
        let (mut up_changed, mut down_changed) = (0, 0);
        for packet in packets {
            let State::Answered(answer) = &packet.state else { continue };
            if let Some(dscp) = answer.up {
                up.add(dscp);
                up_changed += u32::from(dscp != sent);
            }
            if let Some(dscp) = answer.down {
                down.add(dscp);
                // What an unwilling reflector marked its answers with is not known.
                down_changed += u32::from(answer.honoured && dscp != sent);
            }
        }
        DscpSeen { sent, up: up.most(), down: down.most(), up_changed, down_changed }
    }

    /// Forgets everything up to the last cut in or before this window; the requests behind it that
    /// have no answer are kept as a number.
    fn forget(&mut self, window: u64) {
        let closed = self.packets.partition_point(|packet| packet.window <= window);
        let entries = self.entries(window);
        let cut = cuts(self.anchor.map(|anchor| anchor.mark), &entries)
            .into_iter()
            .take_while(|&(at, _)| at < closed)
            .last();
        let mut gone = 0;
        if let Some((at, mark)) = cut {
            self.anchor = Some(Anchor { mark, missing: 0 });
            self.extra.retain(|&extra| extra > mark);
            gone = at + 1;
        }
        let behind = &entries[gone..closed];
        if !behind.iter().any(|entry| matches!(entry.fate, Fate::Answered(_))) {
            let missing = behind.iter().filter(|entry| entry.fate == Fate::Missing).count() as u64;
            if let Some(anchor) = &mut self.anchor {
                anchor.missing += missing;
            }
            gone = closed;
        } else if behind.len() > MAX_CLOSED_PACKETS {
            self.anchor = None;
            gone = closed;
        }
        self.packets.drain(..gone);
    }
}

/// The counts of a window. Answers that this machine dropped from its queue are no path loss: as many
/// requests are taken out of it.
fn count(window: &OpenWindow, packets: &[&Packet], lost: Attribution) -> PacketCounts {
    let sent = packets.iter().filter(|p| !matches!(p.state, State::Void)).count() as u32;
    let mut losses = [lost.up, lost.down, lost.unknown];
    let mut excused = 0;
    for lost in &mut losses[1..] {
        let taken = (*lost).min(window.queue_drops - excused);
        *lost -= taken;
        excused += taken;
    }
    let reordered = packets.iter().filter(|packet| packet.reordered).count() as u32;
    let duplicated = packets.iter().map(|packet| packet.duplicates).sum();
    PacketCounts::new(window.scheduled, sent - excused, losses, reordered, duplicated)
        .expect("every lost or reordered packet was counted as sent")
}

/// The worst 200 ms that lie wholly within the window, among those with at least 80 % of the packets
/// that the rate makes: a sender that was held up must not turn one lost packet into "all".
fn worst_burst(packets: &[&Packet], end: Instant, rate: u32) -> Option<BurstLoss> {
    if rate < MIN_BURST_RATE {
        return None;
    }
    let sent: Vec<&Packet> =
        packets.iter().copied().filter(|p| !matches!(p.state, State::Void)).collect();
    let enough = rate / 5 * 4 / 5;
    let (mut until, mut lost) = (0, 0);
    let mut worst: Option<BurstLoss> = None;
    for (from, first) in sent.iter().enumerate() {
        let limit = first.sent_at + BURST_SPAN;
        while until < sent.len() && sent[until].sent_at < limit {
            lost += u32::from(sent[until].is_lost());
            until += 1;
        }
        let of = (until - from) as u32;
        // A slot is up to one interval late, so the last whole span may end just behind the window.
        if limit <= end + BURST_SPAN / 10 && of >= enough {
            let burst = BurstLoss::new(lost, of).ok();
            worst = burst.filter(|&b| worst.is_none_or(|worst| is_worse(b, worst))).or(worst);
        }
        lost -= u32::from(first.is_lost());
    }
    worst
}

/// True when `a` lost a higher share than `b`.
fn is_worse(a: BurstLoss, b: BurstLoss) -> bool {
    u64::from(a.lost()) * u64::from(b.of()) > u64::from(b.lost()) * u64::from(a.of())
}

fn most_common(methods: impl Iterator<Item = TimestampMethod>) -> TimestampMethod {
    let mut counts = [0_u32; TimestampMethod::ALL.len()];
    for method in methods {
        counts[method as usize] += 1;
    }
    let most = TimestampMethod::ALL.iter().zip(counts).max_by_key(|&(_, count)| count);
    match most {
        Some((&method, count)) if count > 0 => method,
        _ => TimestampMethod::User,
    }
}
