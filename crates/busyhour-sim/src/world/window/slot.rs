//! A quarter-hour being counted.

use busyhour_model::SlotStart;
use jiff::civil::Date;

use super::Outcome;
use crate::world::record::SlotRecord;
use crate::world::share::PACKETS;

/// Bins of round trips in an octave.
const OCTAVE: usize = 16;
/// Octaves that are told apart: from 64 µs to 8.4 s.
const OCTAVES: usize = 17;
const BINS: usize = OCTAVE * OCTAVES;
/// The bits of a 32-bit float below those that tell its bin.
const SHIFT: u32 = 19;
/// The bin of 64 µs, counted from that of 0.
const LOWEST: usize = ((127 + 6) << 23 >> SHIFT) as usize;
/// Parts of a window's packets that stand for its distribution.
const PARTS: u32 = 20;
/// Windows of a quarter-hour, at most.
const MOST: usize = 60;

/// Counts of one quarter-hour, and enough of its distributions.
#[derive(Debug)]
pub(crate) struct SlotCount {
    start: Option<SlotStart>,
    delivered: Option<Date>,
    valid: u16,
    bad: u16,
    bad_by: [u16; 5],
    lost: u32,
    lowest_us: f32,
    bins: Box<[u32; BINS]>,
    /// The bins that are not empty lie within.
    filled: (usize, usize),
    jitters_us: Vec<f32>,
}

impl SlotCount {
    pub(crate) fn new() -> Self {
        Self {
            start: None,
            delivered: None,
            valid: 0,
            bad: 0,
            bad_by: [0; 5],
            lost: 0,
            lowest_us: f32::INFINITY,
            bins: Box::new([0; BINS]),
            filled: (BINS, 0),
            jitters_us: Vec::with_capacity(MOST),
        }
    }

    /// The quarter-hour that is being counted.
    pub(crate) const fn start(&self) -> Option<SlotStart> {
        self.start
    }

    /// Begins another quarter-hour; the last one's counts have been taken.
    pub(crate) fn begin(&mut self, start: SlotStart, delivered: Option<Date>) {
        self.start = Some(start);
        self.delivered = delivered;
    }

    /// Windows counted so far.
    pub(crate) const fn valid(&self) -> u16 {
        self.valid
    }

    pub(crate) fn add(&mut self, outcome: &Outcome) {
        self.valid += 1;
        let breaches = outcome.breaches();
        self.bad += u16::from(breaches.contains(&true));
        for (count, breach) in self.bad_by.iter_mut().zip(breaches) {
            *count += u16::from(breach);
        }
        self.lost += outcome.lost;
        if outcome.failed() {
            return;
        }
        self.lowest_us = self.lowest_us.min(outcome.low_us);
        self.jitters_us.push(outcome.jitter_us);
        let Outcome { low_us, median_us, high_us, .. } = *outcome;
        // The 15th, 50th, 80th, 95th and 99th percentile stand for 6, 6, 5, 2 and 1 of twenty parts.
        self.count(median_us - 0.7 * (median_us - low_us), 6);
        self.count(median_us, 6);
        self.count(median_us + 0.45 * (high_us - median_us), 5);
        self.count(high_us, 2);
        self.count(high_us + 0.4 * (high_us - median_us), 1);
    }

    #[inline]
    fn count(&mut self, rtt_us: f32, parts: u32) {
        let bin = ((rtt_us.to_bits() >> SHIFT) as usize).saturating_sub(LOWEST).min(BINS - 1);
        self.bins[bin] += parts;
        self.filled = (self.filled.0.min(bin), self.filled.1.max(bin));
    }

    /// The record of what was counted, and empty counts; `None` when there was nothing.
    pub(crate) fn take(&mut self, expected: u16) -> Option<SlotRecord> {
        let start = self.start.filter(|_| self.valid > 0)?;
        let came_back = !self.jitters_us.is_empty();
        let whole = |value: f32| came_back.then_some(value as u32);
        let middle = self.jitters_us.len() / 2;
        let jitter_us = match self.jitters_us.get(middle) {
            Some(_) => *self.jitters_us.select_nth_unstable_by(middle, f32::total_cmp).1,
            None => 0.0,
        };
        let [median, high] = self.quantiles([0.5, 0.95]);
        let record = SlotRecord {
            start,
            sent: u32::from(self.valid) * PACKETS,
            lost: self.lost,
            rtt_min_us: whole(self.lowest_us),
            rtt_p50_us: whole(median.max(self.lowest_us)),
            rtt_p95_us: whole(high.max(median).max(self.lowest_us)),
            jitter_p50_us: whole(jitter_us),
            delivered: self.delivered,
            expected,
            valid: self.valid,
            bad: self.bad,
            bad_by: self.bad_by,
        };
        self.clear();
        Some(record)
    }

    /// Ascending quantiles, each straight within its bin.
    fn quantiles<const N: usize>(&self, shares: [f32; N]) -> [f32; N] {
        let all = (self.jitters_us.len() as u32 * PARTS) as f32;
        let (mut bin, mut below) = (self.filled.0, 0.0);
        shares.map(|share| {
            let wanted = share * all;
            while bin < self.filled.1 && below + self.bins[bin] as f32 <= wanted {
                below += self.bins[bin] as f32;
                bin += 1;
            }
            let inside = (wanted - below) / self.bins.get(bin).map_or(1.0, |&n| n.max(1) as f32);
            let (from, until) = (edge(bin), edge(bin + 1));
            from + (until - from) * inside.clamp(0.0, 1.0)
        })
    }

    fn clear(&mut self) {
        if let Some(filled) = self.bins.get_mut(self.filled.0..=self.filled.1) {
            filled.fill(0);
        }
        self.filled = (BINS, 0);
        (self.valid, self.bad, self.lost) = (0, 0, 0);
        self.bad_by = [0; 5];
        self.lowest_us = f32::INFINITY;
        self.jitters_us.clear();
    }
}

/// The lowest round trip of a bin, in microseconds.
fn edge(bin: usize) -> f32 {
    f32::from_bits(((bin + LOWEST) as u32) << SHIFT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(rtt_us: f32) -> Outcome {
        Outcome {
            lost: 0,
            burst: false,
            low_us: rtt_us,
            median_us: rtt_us,
            high_us: rtt_us,
            jitter_us: 1_000.0,
        }
    }

    fn record(outcomes: &[Outcome]) -> SlotRecord {
        let mut count = SlotCount::new();
        count.begin(SlotStart::from_number(7), None);
        outcomes.iter().for_each(|outcome| count.add(outcome));
        count.take(15).unwrap()
    }

    #[test]
    fn percentiles_are_those_of_all_packets() {
        let mut outcomes = vec![outcome(20_000.0); 12];
        outcomes.extend([outcome(200_000.0); 3]);
        let record = record(&outcomes);
        assert_eq!(record.rtt_min_us, Some(20_000));
        let near = |got: Option<u32>, wanted: f64| {
            (f64::from(got.unwrap()) / wanted - 1.0).abs() < 1.0 / OCTAVE as f64
        };
        assert!(near(record.rtt_p50_us, 20_000.0), "{record:?}");
        assert!(near(record.rtt_p95_us, 200_000.0), "{record:?}");
        assert_eq!((record.valid, record.bad, record.bad_by), (15, 3, [0, 0, 3, 0, 0]));
    }

    #[test]
    fn a_quarter_hour_in_which_nothing_came_back_has_no_round_trips() {
        let record = record(&[Outcome { lost: PACKETS, ..outcome(20_000.0) }; 15]);
        assert_eq!(
            (record.rtt_min_us, record.rtt_p95_us, record.jitter_p50_us),
            (None, None, None)
        );
        assert_eq!((record.lost, record.bad_by), (15 * PACKETS, [15, 0, 0, 0, 15]));
    }

    #[test]
    fn counts_begin_anew_with_every_quarter_hour() {
        let mut count = SlotCount::new();
        assert_eq!(count.take(15), None);
        count.begin(SlotStart::from_number(1), None);
        count.add(&outcome(150_000.0));
        count.take(15).unwrap();
        count.begin(SlotStart::from_number(2), None);
        assert_eq!(count.take(15), None);
        count.add(&outcome(10_000.0));
        let second = count.take(15).unwrap();
        assert_eq!((second.start.number(), second.valid, second.bad), (2, 1, 0));
        assert!(second.rtt_p95_us.unwrap() < 11_000);
    }
}
