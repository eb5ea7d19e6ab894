//! From the packets of a window to its observation.

use std::ops::Range;
use std::time::{Duration, Instant};

use busyhour_model::{
    BootMicros, BurstLoss, ClockPair, ClockQuality, LossPattern, OneWayDelay, PacketCounts,
    Playout, Reorder, TimestampMethod,
};

use super::packet::{Answer, Packet};
use super::seen::Seen;
use super::{Sender, SenderConfig, signed_ns};
use crate::delay::{Delays, Sample, delays};
use crate::loss::{Anchor, Attribution, Cut, Entry, Fate, attribute, cuts, reach};
use crate::pattern::{Sent, Spans, loss_pattern, worst_span};
use crate::profile::BURST_SPAN;
use crate::reorder::out_of_order;
use crate::{Observation, Profile};

/// The span that loss is published for.
const LOSS_SPAN: Duration = Duration::from_secs(15);
/// A packet is up to one interval late, so the last whole span ends as much behind the window as its
/// first packet was late, within this.
const MAX_SLACK_NS: i64 = 20_000_000;
/// Below ten packets in 200 ms one lost packet is more than the limit of 10 %.
const MIN_BURST_PACKETS: u32 = 10;
/// Packets of closed windows kept because their answers overtook each other around a cut.
const MAX_CLOSED_PACKETS: usize = 1_024;
/// What a clock of which nobody says how good it is may be off by, in microseconds.
const UNKNOWN_ERROR_US: u32 = 1_000_000;

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
    /// Requests that were written.
    pub(super) numbered: u32,
    pub(super) lateness: Duration,
    pub(super) queue_drops: u32,
    /// The worst that this machine's clock was worth.
    pub(super) clock: ClockQuality,
    pub(super) seen: Seen,
}

impl OpenWindow {
    pub(super) fn new(index: u64, start: Instant, now: ClockPair, config: &SenderConfig) -> Self {
        let since = signed_ns(start, now.monotonic);
        let started = ClockPair {
            monotonic: start,
            wall_ns: now.wall_ns.saturating_sub(since),
            boot: BootMicros(now.boot.0.saturating_add_signed(-since / 1_000)),
        };
        Self {
            index,
            start,
            end: start + config.profile.window(),
            started,
            scheduled: config.profile.slots(),
            next_slot: 0,
            numbered: 0,
            lateness: Duration::ZERO,
            queue_drops: 0,
            clock: config.clock,
            seen: Seen::default(),
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

    fn one_way(&self, delays: &Delays) -> Option<OneWayDelay> {
        let far = self.seen.far_clock()?;
        let [up_median_us, down_median_us] = delays.one_way_median_us?;
        let error_us = error_us(self.clock).saturating_add(error_us(far));
        let synchronized = self.clock.synchronized && far.synchronized;
        synchronized.then_some(OneWayDelay { up_median_us, down_median_us, error_us })
    }
}

const fn error_us(clock: ClockQuality) -> u32 {
    if clock.error_us == 0 { UNKNOWN_ERROR_US } else { clock.error_us }
}

impl Sender {
    /// Computes the observation of the oldest window and forgets its packets.
    pub(super) fn close(&mut self, window: &OpenWindow) -> Observation {
        let (entries, cuts, reach) = self.entries(window.index);
        let inside = self.inside(window.index);
        let lost = attribute(self.anchor, &entries, &cuts, reach, &self.extra);
        let counts = self.count(window, inside.clone(), lost);
        // Which of the lost packets were dropped by a machine is not known.
        let excused = window.queue_drops > 0 || lost.dropped > 0;
        let worst_15s = self.worst_15s(window, inside.clone(), excused);
        let (burst, loss_pattern) = if excused {
            (None, LossPattern::default())
        } else {
            let packets = self.packets.range(inside.clone()).filter(|p| p.is_sent());
            let pattern = loss_pattern(packets.map(Packet::is_lost));
            (self.worst_burst(window, inside.clone()), pattern)
        };

        let packets = self.packets.range(inside.clone());
        let answered = packets.clone().filter_map(Packet::answer);
        let samples: Vec<Sample> = packets.clone().filter_map(Packet::sample).collect();
        let profile = &self.config.profile;
        let delays = delays(&samples, profile.playout_delay());
        let observation = Observation {
            started: window.started,
            duration: window.end.duration_since(window.start),
            rate_pps: profile.rate(),
            ssid: self.config.ssid,
            first_sequence: packets.clone().next().map_or(0, |packet| packet.sequence),
            sequences: packets.len() as u32,
            counts,
            burst,
            worst_15s,
            one_way: window.one_way(&delays),
            playout: delays.late.map(|late| playout(profile.playout_delay(), late)),
            rtt: delays.rtt,
            rtt_median_us: delays.rtt_median_us,
            up_variation: delays.up_variation,
            down_variation: delays.down_variation,
            up_jitter: delays.up_jitter,
            down_jitter: delays.down_jitter,
            reorder: self.reorder(&inside),
            loss_pattern,
            dscp: window.seen.dscp(profile.dscp()),
            ecn: window.seen.ecn(profile.ecn()),
            ttl: window.seen.ttl(),
            sent_by: most_common(packets.clone().map(|packet| packet.sent_by)),
            received_by: most_common(answered.clone().map(|answer| answer.received_by)),
            clock: window.clock,
            far_clock: window.seen.far_clock(),
            seen_source_port: window.seen.source_port,
            peer_tlvs: window.seen.tlvs,
            clock_step_samples: (answered.count() - samples.len()) as u32,
            implausible_samples: delays.implausible,
            receive_queue_drops: window.queue_drops,
            reflector_drops: lost.dropped,
            send_lateness_max_us: u32::try_from(window.lateness.as_micros()).unwrap_or(u32::MAX),
        };
        self.forget(window.index, &entries, &cuts);
        observation
    }

    /// What the loss arithmetic has to know. Where some answers tell what the reflector dropped, the
    /// others are no cuts: what was dropped around them would look lost on the path.
    fn entries(&self, window: u64) -> (Vec<Entry>, Vec<Cut>, usize) {
        let mut entries: Vec<Entry> = self.packets.iter().map(|p| p.entry(window)).collect();
        if self.counters.foreign {
            entries.iter_mut().for_each(|entry| entry.drops = None);
        }
        let mut cuts = cuts(self.anchor.map(|anchor| anchor.mark), &entries);
        let reach = reach(&entries, &cuts);
        if entries.iter().any(|entry| entry.drops.is_some()) {
            cuts.retain(|&(at, _)| entries[at].drops.is_some());
        }
        (entries, cuts, reach)
    }

    /// Where the window's packets are.
    fn inside(&self, window: u64) -> Range<usize> {
        let from = self.packets.partition_point(|packet| packet.window < window);
        from..self.packets.partition_point(|packet| packet.window <= window)
    }

    /// The counts of a window. Answers that this machine dropped from its queue, and requests that the
    /// reflector refused, are no path loss: as many requests are taken out of it.
    fn count(&self, window: &OpenWindow, inside: Range<usize>, lost: Attribution) -> PacketCounts {
        let (mut sent, mut named, mut reordered, mut duplicated) = (0, 0, 0, 0_u32);
        for packet in self.packets.range(inside) {
            sent += u32::from(packet.is_sent());
            // Late or without a way out; not part of the arithmetic of counters.
            named += u32::from(matches!(packet.state, super::State::Lost));
            reordered += u32::from(packet.reordered);
            duplicated = duplicated.saturating_add(packet.duplicates).min(PacketCounts::MAX);
        }
        let mut losses = [lost.up, lost.down, lost.unknown + named];
        let mut excused = lost.dropped;
        let mut dropped_here = window.queue_drops;
        for lost in &mut losses[1..] {
            let taken = (*lost).min(dropped_here);
            *lost -= taken;
            dropped_here -= taken;
            excused += taken;
        }
        PacketCounts::new(window.scheduled, sent - excused, losses, reordered, duplicated)
            .expect("every lost or reordered packet was counted as sent")
    }

    fn since_start(&self, at: Instant) -> i64 {
        signed_ns(self.start, at)
    }

    /// When spans must have ended that the window can have.
    fn last_span(&self, window: &OpenWindow, inside: Range<usize>) -> i64 {
        let first = self.packets.range(inside).next();
        let late = first.map_or(0, |first| first.at_ns - self.since_start(window.start));
        self.since_start(window.end) + late.clamp(0, MAX_SLACK_NS)
    }

    /// The worst 200 ms that lie wholly within the window, among those with at least 80 % of the
    /// packets that the profile sends in them.
    fn worst_burst(&self, window: &OpenWindow, inside: Range<usize>) -> Option<BurstLoss> {
        let fewest = self.burst_packets;
        if fewest < MIN_BURST_PACKETS {
            return None;
        }
        let spans = Spans {
            length: BURST_SPAN.as_nanos() as i64,
            after: i64::MIN,
            until: self.last_span(window, inside.clone()),
            fewest: fewest * 4 / 5,
        };
        worst_span(self.packets.range(inside).filter(|p| p.is_sent()).map(sent), &spans)
    }

    /// The worst 15 s that end within the window, wherever they begin, and what the next window needs
    /// for its own.
    fn worst_15s(
        &mut self,
        window: &OpenWindow,
        inside: Range<usize>,
        excused: bool,
    ) -> Option<BurstLoss> {
        if excused {
            self.history.clear();
            return None;
        }
        let profile = &self.config.profile;
        let spans = Spans {
            length: LOSS_SPAN.as_nanos() as i64,
            after: self.since_start(window.start),
            until: self.last_span(window, inside.clone()),
            fewest: profile.rate() * LOSS_SPAN.as_secs() as u32 * 4 / 5,
        };
        let own = self.packets.range(inside).filter(|p| p.is_sent()).map(sent);
        let worst = worst_span(self.history.iter().copied().chain(own.clone()), &spans);
        if profile.period() == profile.window() {
            self.history.extend(own);
            let oldest = self.since_start(window.end) - spans.length;
            let gone = self.history.partition_point(|&(at, _)| at < oldest);
            self.history.drain(..gone);
        }
        worst
    }

    /// Reordering on the way up shows in the counter that the reflector gave to each request, and on
    /// the way down in the order in which its answers came. A stateless reflector's times tell the
    /// same. Packets of the windows before and behind may have overtaken.
    fn reorder(&self, inside: &Range<usize>) -> Reorder {
        let packets = self.packets.iter().enumerate();
        let answered =
            packets.filter_map(|(at, packet)| Some((inside.contains(&at), packet.answer()?)));
        let answers: Vec<(bool, &Answer)> = answered.collect();
        let in_order = |pair: &[(bool, &Answer)]| {
            let [(_, a), (_, b)] = pair else { return true };
            a.mark < b.mark && a.arrival.wrapping_add(1) == b.arrival
        };
        if answers.windows(2).all(in_order) {
            return Reorder::default();
        }
        let copied = answers.iter().all(|(_, answer)| answer.mark.copied);
        // In the order in which requests reached the reflector, and answers left it.
        let mut reflected: Vec<usize> = (0..answers.len()).collect();
        let of = |at: &usize| answers[*at].1;
        if copied {
            if answers.iter().any(|(_, answer)| answer.far.is_none()) {
                return Reorder::default();
            }
            reflected.sort_by_key(|at| of(at).far);
        } else {
            reflected.sort_by_key(|at| of(at).mark);
        }
        let mut up = vec![(0, false); answers.len()];
        for (place, &at) in reflected.iter().enumerate() {
            up[at] = (place as u32, answers[at].0);
        }
        let first = answers.iter().map(|(_, answer)| answer.arrival).min().unwrap_or(0);
        let down: Vec<(u32, bool)> = reflected
            .iter()
            .map(|&at| (answers[at].1.arrival.wrapping_sub(first), answers[at].0))
            .collect();
        let (up, down) = (out_of_order(&up), out_of_order(&down));
        Reorder { up: up.count, down: down.count, extent_max: up.extent.max(down.extent) }
    }

    /// Forgets everything up to the last cut in or before this window; the requests behind it that
    /// have no answer are kept as a number.
    fn forget(&mut self, window: u64, entries: &[Entry], cuts: &[Cut]) {
        let closed = self.packets.partition_point(|packet| packet.window <= window);
        let cut = cuts.iter().take_while(|&&(at, _)| at < closed).last();
        let mut gone = 0;
        if let Some(&(at, mark)) = cut {
            self.anchor = Some(Anchor { mark, drops: entries[at].drops, missing: 0 });
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

const fn sent(packet: &Packet) -> Sent {
    (packet.at_ns, packet.is_lost())
}

/// This buffer discards nothing but what is late.
fn playout(delay: Duration, [late_up, late_down]: [u32; 2]) -> Playout {
    let delay_us = u32::try_from(delay.as_micros()).unwrap_or(u32::MAX);
    Playout { delay_us, late_up, late_down, discarded_up: late_up, discarded_down: late_down }
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
