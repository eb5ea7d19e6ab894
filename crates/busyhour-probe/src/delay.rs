//! Round trips, delay variation and jitter of one window.
//!
//! One-way delays between unsynchronised clocks are unknown, but their variation is not: the offset
//! cancels in differences, and what remains of the clocks' drift is removed as a line.
//!
//! The emulated jitter buffer is the simplest there is: of fixed delay, it plays each packet that much
//! after the moment at which the fastest of the window would have arrived. So what arrives with more
//! variation than that is too late (RFC 5481 section 3.2 derives the size of such a buffer from the same
//! distribution). Nothing is ever too early, and what waits in it was sent within that delay: it cannot
//! overflow, so of RFC 3611's reasons to discard (section 4.7.1) lateness is the only one.

use std::time::Duration;

use busyhour_model::{Histogram, Jitter};

/// How far a reading may contradict causality before the sample is left out: two clock readings on
/// one machine taken by different means, in nanoseconds.
const SLACK_NS: i64 = 1_000_000;
/// The fastest drift between two working clocks: adjtimex corrects by at most 500 ppm, crystals are
/// better than 100 ppm.
const MAX_DRIFT: f64 = 500e-6;
/// Fewer samples than this tell no drift.
const MIN_DRIFT_SAMPLES: usize = 20;

/// The four moments of one answered request. `sent` and `received` are on one monotonic clock of this
/// machine, `far` are T2 and T3 on the reflector's; all in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) sent: i64,
    pub(crate) received: i64,
    pub(crate) far: Option<(i64, i64)>,
    /// This machine's wall clock minus `sent`'s and `received`'s.
    pub(crate) offset: i64,
}

/// The delays of one window, in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Delays {
    pub(crate) rtt: Histogram,
    pub(crate) rtt_median_us: Option<u32>,
    pub(crate) up_variation: Histogram,
    pub(crate) down_variation: Histogram,
    pub(crate) up_jitter: Option<Jitter>,
    pub(crate) down_jitter: Option<Jitter>,
    /// Requests and answers that came later than the jitter buffer plays them; `None` when the far side
    /// tells no times.
    pub(crate) late: Option<[u32; 2]>,
    /// The medians of T2 − T1 and T4 − T3 as the two wall clocks have them.
    pub(crate) one_way_median_us: Option<[i32; 2]>,
    /// Samples left out because their moments contradict each other.
    pub(crate) implausible: u32,
}

/// A plausible sample with a far side.
#[derive(Clone, Copy)]
struct Round {
    sent: i64,
    far_received: i64,
    far_sent: i64,
    received: i64,
    rtt: i64,
    offset: i64,
}

impl Round {
    fn up(&self) -> i64 {
        self.far_received - self.sent
    }
    fn down(&self) -> i64 {
        self.received - self.far_sent
    }
}

/// Computes the delays of samples in the order of sending, with a jitter buffer of `playout_delay`.
pub(crate) fn delays(samples: &[Sample], playout_delay: Duration) -> Delays {
    let mut delays = Delays::default();
    let mut rtts = Vec::with_capacity(samples.len());
    let mut rounds = Vec::with_capacity(samples.len());
    for sample in samples {
        let whole = sample.received - sample.sent;
        let dwell = sample.far.map_or(0, |(received, sent)| sent.saturating_sub(received));
        let rtt = whole.saturating_sub(dwell);
        if whole < 0 || dwell < -SLACK_NS || rtt < -SLACK_NS {
            delays.implausible += 1;
            continue;
        }
        let rtt = rtt.max(0);
        rtts.push(micros(rtt as f64));
        if let Some((far_received, far_sent)) = sample.far {
            let Sample { sent, received, offset, .. } = *sample;
            rounds.push(Round { sent, far_received, far_sent, received, rtt, offset });
        }
    }
    delays.rtt_median_us = record(&mut rtts, &mut delays.rtt);
    delays.one_way_median_us = one_way(&rounds);

    let playout_ns = playout_delay.as_nanos() as f64;
    let mut late = [0, 0];
    let (mut up_jitter, mut down_jitter) = (RunningJitter::default(), RunningJitter::default());
    for run in split_at_far_steps(&rounds) {
        let [up, down] = vary(run, playout_ns, &mut delays);
        late = [late[0] + up, late[1] + down];
        up_jitter.add_run(run.iter().map(|r| (r.far_received, r.up())).collect());
        down_jitter.add_run(run.iter().map(|r| (r.received, r.down())).collect());
    }
    delays.up_jitter = up_jitter.finish();
    delays.down_jitter = down_jitter.finish();
    delays.late = (!rounds.is_empty()).then_some(late);
    delays
}

/// Records values, in the order that is fastest, and gives the lower one of their two medians.
fn record(values: &mut [u32], into: &mut Histogram) -> Option<u32> {
    values.sort_unstable();
    values.iter().for_each(|&value| into.record(value));
    values.get(values.len().checked_sub(1)? / 2).copied()
}

/// The lower one of two medians.
fn median<T: Ord + Copy>(values: &mut [T]) -> Option<T> {
    let middle = values.len().checked_sub(1)? / 2;
    Some(*values.select_nth_unstable(middle).1)
}

fn one_way(rounds: &[Round]) -> Option<[i32; 2]> {
    let micros = |ns: i64| (ns / 1_000).clamp(i32::MIN.into(), i32::MAX.into()) as i32;
    let mut up: Vec<i32> = rounds.iter().map(|r| micros(r.up() - r.offset)).collect();
    let mut down: Vec<i32> = rounds.iter().map(|r| micros(r.down() + r.offset)).collect();
    Some([median(&mut up)?, median(&mut down)?])
}

/// Splits where the reflector's clock stepped. Between two neighbours the apparent offset
/// `(up − down) / 2` moves by no more than half of what queues added to their round trips; what moves
/// further is a clock.
fn split_at_far_steps(rounds: &[Round]) -> impl Iterator<Item = &[Round]> {
    let fastest = rounds.iter().map(|round| round.rtt).min().unwrap_or(0);
    rounds.chunk_by(move |a, b| {
        let moved = ((b.up() - b.down()) - (a.up() - a.down())).abs();
        moved <= (a.rtt - fastest) + (b.rtt - fastest) + 2 * SLACK_NS
    })
}

/// Records how far each delay of a run is above the run's lowest, drift removed, and counts those that
/// are further above it than the jitter buffer waits.
fn vary(run: &[Round], playout_ns: f64, delays: &mut Delays) -> [u32; 2] {
    let Some(origin) = run.first().copied() else { return [0, 0] };
    let at = |round: &Round| (round.sent - origin.sent) as f64;
    let up: Vec<(f64, f64)> = run.iter().map(|r| (at(r), (r.up() - origin.up()) as f64)).collect();
    let down: Vec<(f64, f64)> =
        run.iter().map(|r| (at(r), (r.down() - origin.down()) as f64)).collect();
    let drift = drift(&up, &down);
    [
        record_variation(&up, drift, playout_ns, &mut delays.up_variation),
        record_variation(&down, -drift, playout_ns, &mut delays.down_variation),
    ]
}

fn record_variation(
    points: &[(f64, f64)],
    drift: f64,
    playout_ns: f64,
    into: &mut Histogram,
) -> u32 {
    let level = |&(at, delay): &(f64, f64)| delay - drift * at;
    let lowest = points.iter().map(level).fold(f64::INFINITY, f64::min);
    let above = points.iter().map(|point| level(point) - lowest);
    let late = above.clone().filter(|&variation| variation > playout_ns).count() as u32;
    record(&mut above.map(micros).collect::<Vec<u32>>(), into);
    late
}

/// How fast the reflector's clock runs away from ours. Drift tilts the lower envelope of the delays
/// up and, by as much, that of the delays down the other way (S. B. Moon, P. Skelly, D. Towsley,
/// "Estimation and removal of clock skew from network delay measurements", INFOCOM 1999); a queue
/// that fills tilts only one of them. So the smaller of two opposite tilts is drift, and without
/// opposite tilts there is none.
fn drift(up: &[(f64, f64)], down: &[(f64, f64)]) -> f64 {
    if up.len() < MIN_DRIFT_SAMPLES {
        return 0.0;
    }
    let (up, down) = (envelope_tilt(up), -envelope_tilt(down));
    if up * down <= 0.0 {
        return 0.0;
    }
    let smaller = if up.abs() < down.abs() { up } else { down };
    smaller.clamp(-MAX_DRIFT, MAX_DRIFT)
}

/// The slope of the lower convex hull's edge below the mean time: the line under all points that is
/// closest to them.
fn envelope_tilt(points: &[(f64, f64)]) -> f64 {
    let mut hull: Vec<(f64, f64)> = Vec::new();
    for &point in points {
        while let [.., a, b] = hull[..] {
            let turn = (b.0 - a.0) * (point.1 - a.1) - (b.1 - a.1) * (point.0 - a.0);
            if turn > 0.0 {
                break;
            }
            hull.pop();
        }
        hull.push(point);
    }
    let mean = points.iter().map(|&(at, _)| at).sum::<f64>() / points.len() as f64;
    hull.windows(2)
        .find(|edge| edge[0].0 <= mean && mean <= edge[1].0)
        .map(|edge| (edge[1].1 - edge[0].1) / (edge[1].0 - edge[0].0))
        .filter(|tilt| tilt.is_finite())
        .unwrap_or(0.0)
}

/// RFC 3550 section 6.4.1: `J += (|D| − J) / 16` from packet to packet in the order of arrival.
#[derive(Default)]
struct RunningJitter {
    estimate: f64,
    highest: f64,
    sum: f64,
    count: u32,
}

impl RunningJitter {
    /// Adds packets given as (arrival, delay).
    fn add_run(&mut self, mut arrivals: Vec<(i64, i64)>) {
        arrivals.sort_unstable();
        for pair in arrivals.windows(2) {
            let difference = (pair[1].1 - pair[0].1).abs() as f64;
            self.estimate += (difference - self.estimate) / 16.0;
            self.highest = self.highest.max(self.estimate);
            self.sum += self.estimate;
            self.count += 1;
        }
    }

    fn finish(&self) -> Option<Jitter> {
        (self.count > 0).then(|| Jitter {
            mean_us: micros(self.sum / f64::from(self.count)),
            max_us: micros(self.highest),
        })
    }
}

/// Nanoseconds to microseconds, rounded, held within the range of a `u32` (71 minutes).
fn micros(ns: f64) -> u32 {
    // The cast saturates, and sends what is negative or not a number to zero.
    (ns / 1_000.0 + 0.5) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;
    const PLAYOUT: Duration = Duration::from_millis(40);

    fn delays(samples: &[Sample]) -> Delays {
        super::delays(samples, PLAYOUT)
    }

    /// Packets every 20 ms with these delays (up, down) in milliseconds, 3 ms of dwell, and clocks
    /// that are hours apart.
    fn samples(delays_ms: &[(i64, i64)]) -> Vec<Sample> {
        let far = 9_876_543_210_987;
        let sample = |(index, &(up, down)): (usize, &(i64, i64))| {
            let sent = index as i64 * 20 * MS;
            let arrived = sent + up * MS;
            let left = arrived + 3 * MS;
            let far = Some((arrived + far, left + far));
            Sample { sent, received: left + down * MS, far, offset: 5 * MS }
        };
        delays_ms.iter().enumerate().map(sample).collect()
    }

    #[test]
    fn round_trips_leave_out_the_dwell_and_have_an_exact_median() {
        let seen = delays(&samples(&[(10, 20), (10, 21), (15, 20), (12, 30)]));
        assert_eq!(seen.rtt_median_us, Some(31_000));
        assert_eq!((seen.rtt.min(), seen.rtt.max(), seen.rtt.count()), (30_000, 42_000, 4));
        assert_eq!((seen.up_variation.max(), seen.down_variation.max()), (5_000, 10_000));
        assert_eq!((seen.up_variation.min(), seen.down_variation.min()), (0, 0));
        assert_eq!(delays(&[]).rtt_median_us, None);
    }

    #[test]
    fn jitter_is_the_running_estimate_of_rfc_3550() {
        // Every difference is 8 ms: J approaches it by a sixteenth each time.
        let zigzag: Vec<(i64, i64)> = (0..5).map(|index| (10 + 8 * (index % 2), 10)).collect();
        let seen = delays(&samples(&zigzag));
        let estimates = [0.5, 0.968_75, 1.408_203_125, 1.820_190_429_687_5];
        let mean = estimates.iter().sum::<f64>() / 4.0 * 1_000.0;
        let expected = Jitter { mean_us: mean.round() as u32, max_us: 1_820 };
        assert_eq!(seen.up_jitter, Some(expected));
        assert_eq!(seen.down_jitter, Some(Jitter { mean_us: 0, max_us: 0 }));
        assert_eq!(delays(&samples(&[(1, 1)])).up_jitter, None);
    }

    #[test]
    fn moments_that_contradict_each_other_are_left_out_and_counted() {
        let [before, dwells_too_long, dwells_backwards] = [
            Sample { sent: 5 * MS, received: 0, far: None, offset: 0 },
            Sample { sent: 0, received: 10 * MS, far: Some((0, 20 * MS)), offset: 0 },
            Sample { sent: 0, received: 10 * MS, far: Some((20 * MS, 0)), offset: 0 },
        ];
        let seen = delays(&[before, dwells_too_long, dwells_backwards]);
        assert_eq!((seen.implausible, seen.rtt.count()), (3, 0));
    }

    #[test]
    fn without_a_far_side_there_is_a_round_trip_and_nothing_else() {
        let seen = delays(&[Sample { sent: 0, received: 10 * MS, far: None, offset: 0 }; 3]);
        assert_eq!((seen.rtt_median_us, seen.up_jitter), (Some(10_000), None));
        assert!(seen.up_variation.is_empty());
    }

    #[test]
    fn what_varies_by_more_than_the_buffer_holds_is_late_in_its_direction() {
        let seen = delays(&samples(&[(10, 20), (50, 20), (51, 20), (10, 61), (90, 20)]));
        assert_eq!(seen.late, Some([2, 1]));
        assert_eq!(delays(&[]).late, None);
    }

    #[test]
    fn one_way_delays_are_what_the_wall_clocks_say() {
        let one_way = |far: i64, offset: i64| {
            let sample = |up: i64| {
                let far = Some((up + far, up + MS + far));
                Sample { sent: 0, received: up + MS + 30 * MS, far, offset }
            };
            delays(&[10, 12, 14].map(|ms| sample(ms * MS))).one_way_median_us
        };
        assert_eq!(one_way(5 * MS, 5 * MS), Some([12_000, 30_000]));
        // A clock that is 20 ms behind makes the way up look shorter than nothing.
        assert_eq!(one_way(-15 * MS, 5 * MS), Some([-8_000, 50_000]));
        assert_eq!(delays(&[]).one_way_median_us, None);
    }
}
