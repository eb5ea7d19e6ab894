//! What came of one session over a span of its numbers: the content of a session report.
//!
//! Spans of a session follow each other without holes, in numbers and in the sender's time, as long as
//! its numbers and its time go on: whatever is lost between two spans is missing in the later one. A
//! span that ends while packets still come is kept for a while, for those that come late.

use std::time::{Duration, Instant};

/// After such a silence nothing comes any more.
pub(super) const SILENCE: Duration = Duration::from_secs(3);
/// The longest span.
const LONGEST: Duration = Duration::from_secs(60);
/// A span that has no room for more missing ranges ends, unless it is shorter than this.
const SHORTEST: Duration = Duration::from_secs(10);
/// The most missing ranges that a report names.
pub(super) const MAX_RANGES: usize = 64;
/// Numbers that are further apart are not those of one sender that goes on: a minute of the fastest.
const MAX_GAP: u32 = 60_000;

/// A span of numbers and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first_sequence: u32,
    pub(super) last_sequence: u32,
    /// Distinct numbers received.
    pub(super) received: u32,
    /// Numbers that did not come, in order: the lowest when there are more ranges than are kept.
    pub(super) missing: Vec<(u32, u32)>,
    pub(super) missing_cut: bool,
    /// When the sender sent the first and the last, by its own clock in nanoseconds of Unix time.
    pub(super) first_sent_ns: i64,
    pub(super) last_sent_ns: i64,
    /// Received and not answered.
    pub(super) dropped: u32,
    began: Instant,
}

impl Span {
    fn new(sequence: u32, sent_ns: i64, now: Instant) -> Self {
        Self {
            first_sequence: sequence,
            last_sequence: sequence,
            received: 1,
            missing: Vec::new(),
            missing_cut: false,
            first_sent_ns: sent_ns,
            last_sent_ns: sent_ns,
            dropped: 0,
            began: now,
        }
    }

    /// Goes on after a span, with what did not come between.
    fn after(last: Last, sequence: u32, sent_ns: i64, now: Instant) -> Self {
        let first_sequence = last.sequence.wrapping_add(1);
        let mut span = Self { first_sequence, ..Self::new(sequence, sent_ns, now) };
        span.first_sent_ns = last.sent_ns;
        span.miss(first_sequence, sequence);
        span
    }

    /// Everything from `from` up to but not including `until` did not come.
    fn miss(&mut self, from: u32, until: u32) {
        if from == until {
            return;
        }
        if self.missing.len() >= MAX_RANGES || self.missing_cut {
            self.missing_cut = true;
        } else {
            self.missing.push((from, until.wrapping_sub(1)));
        }
    }

    fn covers(&self, sequence: u32) -> bool {
        let offset = sequence.wrapping_sub(self.first_sequence);
        offset <= self.last_sequence.wrapping_sub(self.first_sequence)
    }

    /// A number below the last one came, late or again.
    fn fill(&mut self, sequence: u32) {
        let at = |number: u32| number.wrapping_sub(self.first_sequence);
        let index = self.missing.partition_point(|range| at(range.1) < at(sequence));
        let Some(&(from, to)) = self.missing.get(index) else { return };
        if at(from) > at(sequence) {
            return;
        }
        self.received += 1;
        match (from == sequence, to == sequence) {
            (true, true) => drop(self.missing.remove(index)),
            (true, false) => self.missing[index].0 = sequence.wrapping_add(1),
            (false, true) => self.missing[index].1 = sequence.wrapping_sub(1),
            (false, false) => {
                self.missing[index].1 = sequence.wrapping_sub(1);
                self.missing.insert(index + 1, (sequence.wrapping_add(1), to));
                self.missing_cut |= self.missing.len() > MAX_RANGES;
                self.missing.truncate(MAX_RANGES);
            }
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.began);
        age >= LONGEST || self.missing.len() >= MAX_RANGES && age >= SHORTEST
    }
}

/// Where a span ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Last {
    sequence: u32,
    sent_ns: i64,
}

/// The spans of a session: the one that grows, and the one before it while packets of it may come.
#[derive(Debug, Default)]
pub(super) struct Spans {
    current: Option<Span>,
    closing: Option<(Span, Instant)>,
    last: Option<Last>,
}

impl Spans {
    /// A request came. Returns a span that is over, at most one.
    pub(super) fn record(&mut self, sequence: u32, sent_ns: i64, now: Instant) -> Option<Span> {
        let Some(span) = &mut self.current else {
            let own = |last: &Last| {
                let ahead = sequence.wrapping_sub(last.sequence);
                (1..=MAX_GAP).contains(&ahead) && sent_ns >= last.sent_ns
            };
            if self.is_late(sequence, sent_ns) {
                return None;
            }
            self.current = Some(match self.last.filter(own) {
                Some(last) => Span::after(last, sequence, sent_ns, now),
                None => Span::new(sequence, sent_ns, now),
            });
            return None;
        };
        let ahead = sequence.wrapping_sub(span.last_sequence);
        if (1..=MAX_GAP).contains(&ahead) && sent_ns >= span.last_sent_ns {
            if span.is_over(now) {
                let over = self.close(now);
                self.record(sequence, sent_ns, now);
                return over;
            }
            span.miss(span.last_sequence.wrapping_add(1), sequence);
            span.last_sequence = sequence;
            span.last_sent_ns = sent_ns;
            span.received += 1;
            return None;
        }
        // Sent after the last one and not numbered after it, or the reverse: the sender began again, or
        // its clock did.
        if sent_ns > span.last_sent_ns || (1..=MAX_GAP).contains(&ahead) {
            let over = self.close(now);
            self.last = None;
            self.current = Some(Span::new(sequence, sent_ns, now));
            return over;
        }
        if span.covers(sequence) && sent_ns >= span.first_sent_ns {
            span.fill(sequence);
        } else {
            self.is_late(sequence, sent_ns);
        }
        None
    }

    /// A request that came was not answered. It may have been a late one of the span that ended, or
    /// of a span that ended after it.
    pub(super) fn refuse(&mut self) {
        let closing = self.closing.as_mut().map(|(span, _)| span);
        for span in self.current.iter_mut().chain(closing) {
            span.dropped = span.dropped.saturating_add(1);
        }
    }

    /// The span that is over by now: the one before first.
    pub(super) fn poll(&mut self, last_seen: Instant, now: Instant) -> Option<Span> {
        if let Some((span, _)) =
            self.closing.take_if(|(_, since)| now.saturating_duration_since(*since) >= SILENCE)
        {
            return Some(span);
        }
        let silent = now.saturating_duration_since(last_seen) >= SILENCE;
        if self.closing.is_none() && silent {
            let span = self.current.take()?;
            self.last = Some(Last::of(&span));
            return Some(span);
        }
        None
    }

    /// True when there is a span that did not end yet.
    pub(super) const fn has_any(&self) -> bool {
        self.current.is_some() || self.closing.is_some()
    }

    /// Whatever there is: the session moves to another address.
    pub(super) fn take(&mut self) -> [Option<Span>; 2] {
        let closing = self.closing.take().map(|(span, _)| span);
        let current = self.current.take();
        self.last = current.as_ref().map(Last::of).or(self.last);
        [closing, current]
    }

    /// Puts the growing span aside. Returns the one that was there.
    fn close(&mut self, now: Instant) -> Option<Span> {
        let span = self.current.take()?;
        self.last = Some(Last::of(&span));
        self.closing.replace((span, now)).map(|(over, _)| over)
    }

    /// True for a number of the span before, which is late or came again.
    fn is_late(&mut self, sequence: u32, sent_ns: i64) -> bool {
        let Some((span, _)) = &mut self.closing else {
            return self.last.is_some_and(|last| sent_ns <= last.sent_ns);
        };
        if !span.covers(sequence) || sent_ns > span.last_sent_ns {
            return false;
        }
        span.fill(sequence);
        true
    }
}

impl Last {
    fn of(span: &Span) -> Self {
        Self { sequence: span.last_sequence, sent_ns: span.last_sent_ns }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Numbers with their time of arrival in milliseconds; number `n` is sent at `20 n` milliseconds.
    fn spans_of(arrivals: &[(u32, u64)]) -> Vec<Span> {
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        let (mut spans, mut over) = (Spans::default(), Vec::new());
        let (mut last_seen, mut scan) = (start, 0);
        let end = arrivals.last().map_or(0, |arrival| arrival.1) + 10_000;
        for &(number, millis) in arrivals {
            while scan < millis {
                over.extend(spans.poll(last_seen, at(scan)));
                scan += 500;
            }
            over.extend(spans.record(number, i64::from(number) * 20_000_000, at(millis)));
            last_seen = at(millis);
        }
        for millis in (scan..=end).step_by(500) {
            over.extend(spans.poll(last_seen, at(millis)));
        }
        over
    }

    fn in_order(numbers: impl IntoIterator<Item = u32>) -> Vec<(u32, u64)> {
        numbers.into_iter().map(|number| (number, u64::from(number) * 20)).collect()
    }

    #[test]
    fn a_span_ends_with_silence_and_the_next_one_tells_what_its_tail_missed() {
        let spans = spans_of(&in_order((16..700).chain(2_000..2_500)));
        assert_eq!(spans.len(), 2);
        assert_eq!((spans[0].first_sequence, spans[0].last_sequence), (16, 699));
        assert_eq!((spans[0].received, spans[0].missing.len()), (684, 0));
        assert_eq!((spans[1].first_sequence, spans[1].last_sequence), (700, 2_499));
        assert_eq!(spans[1].missing, [(700, 1_999)]);
        assert_eq!(spans[1].first_sent_ns, spans[0].last_sent_ns);
    }

    #[test]
    fn a_late_packet_of_a_span_that_ended_is_not_missing() {
        // Number 2990 comes after the first minute, when the next span already grows.
        let mut arrivals = in_order((0..2_990).chain(2_991..3_100));
        arrivals.insert(3_050, (2_990, 3_050 * 20 + 19));
        let spans = spans_of(&arrivals);
        assert_eq!(spans.len(), 2);
        assert!(spans.iter().all(|span| span.missing.is_empty()), "{spans:?}");
        assert_eq!(spans.iter().map(|span| span.received).sum::<u32>(), 3_100);
    }

    #[test]
    fn a_packet_that_comes_again_is_received_once() {
        let mut arrivals = in_order(0..200);
        arrivals.insert(150, (100, 2_990));
        arrivals.insert(152, (149, 2_999));
        assert_eq!(spans_of(&arrivals).iter().map(|span| span.received).sum::<u32>(), 200);
    }

    #[test]
    fn a_restarted_sender_begins_a_span_that_follows_no_other() {
        let start = Instant::now();
        let mut spans = Spans::default();
        for number in 0..10_u32 {
            assert_eq!(spans.record(100 + number, i64::from(number), start), None);
        }
        assert_eq!(spans.record(16, 11, start), None);
        assert_eq!(spans.record(18, 12, start), None);
        let [old, new] = spans.take().map(Option::unwrap);
        assert_eq!((old.first_sequence, old.last_sequence), (100, 109));
        assert_eq!((new.first_sequence, new.first_sent_ns), (16, 11));
        assert_eq!(new.missing, [(17, 17)]);
    }

    #[test]
    fn what_was_not_answered_is_told_by_each_span_that_it_may_be_of() {
        let start = Instant::now();
        let mut spans = Spans::default();
        for number in [100, 101, 103] {
            spans.record(number, i64::from(number), start);
        }
        let later = start + LONGEST;
        spans.record(104, 104, later);
        // Number 102, late: it is of the span that ended.
        spans.record(102, 102, later);
        spans.refuse();
        let [closing, current] = spans.take().map(Option::unwrap);
        assert_eq!((closing.received, closing.dropped), (4, 1));
        assert_eq!((current.received, current.dropped), (1, 1));
    }

    #[test]
    fn more_ranges_than_a_report_names_are_cut_and_a_longer_span_ends_instead() {
        let start = Instant::now();
        let mut spans = Spans::default();
        for number in 0..200 {
            spans.record(number * 2, i64::from(number), start);
        }
        let [_, span] = spans.take();
        let span = span.unwrap();
        assert!(span.missing_cut);
        assert_eq!((span.missing.len(), span.missing[63]), (MAX_RANGES, (127, 127)));
        // Half of all lost for a minute: spans of ten seconds.
        let lossy = spans_of(&in_order((0..3_000).step_by(2)));
        assert_eq!(lossy.iter().filter(|span| !span.missing_cut).count(), 0);
        let lossy = spans_of(&in_order((0..3_000).filter(|number| number % 9 != 0)));
        assert!(lossy.len() > 1 && lossy.iter().all(|span| !span.missing_cut), "{}", lossy.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 64,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Whatever is lost, late or repeated: spans have no holes between them, nothing that came
        /// within their patience is missing, nothing is received that did not come.
        #[test]
        fn spans_tell_the_truth(
            first in any::<u32>(),
            fates in prop::collection::vec(
                prop_oneof![20 => Just(0u64), 3 => Just(1), 1 => 2..2_900u64], 10..4_000),
        ) {
            // 0 comes, 1 is lost, anything else is that many milliseconds late; every 50th comes twice.
            let mut arrivals = Vec::new();
            for (index, &fate) in fates.iter().enumerate() {
                let at = index as u64 * 20 + fate;
                if fate != 1 {
                    arrivals.push((index as u32, at));
                    if index % 50 == 0 {
                        arrivals.push((index as u32, at + 7));
                    }
                }
            }
            arrivals.sort_by_key(|arrival| arrival.1);
            let came: BTreeSet<u32> = arrivals.iter().map(|arrival| arrival.0).collect();
            let start = Instant::now();
            let mut spans = Spans::default();
            let (mut over, mut last_seen) = (Vec::new(), start);
            for &(index, millis) in &arrivals {
                let now = start + Duration::from_millis(millis);
                over.extend(spans.poll(last_seen, now));
                let sent_ns = i64::from(index) * 20_000_000;
                over.extend(spans.record(first.wrapping_add(index), sent_ns, now));
                last_seen = now;
            }
            over.extend(spans.take().into_iter().flatten());
            let mut next = None;
            for span in &over {
                let width = span.last_sequence.wrapping_sub(span.first_sequence) + 1;
                prop_assert_eq!(next.unwrap_or(span.first_sequence), span.first_sequence);
                next = Some(span.last_sequence.wrapping_add(1));
                if span.missing_cut {
                    continue;
                }
                let missing: u32 = span.missing.iter().map(|(a, b)| b.wrapping_sub(*a) + 1).sum();
                prop_assert_eq!(span.received + missing, width);
                for &(from, to) in &span.missing {
                    for number in 0..=to.wrapping_sub(from) {
                        let index = from.wrapping_add(number).wrapping_sub(first);
                        prop_assert!(!came.contains(&index), "{index} came");
                    }
                }
            }
        }
    }
}
