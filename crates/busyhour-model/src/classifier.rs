//! Microsoft's classification of call streams as poor or good, applied to synthetic streams: five
//! minutes of a path's windows taken together as if they had been one direction of a call.
//!
//! The Call Quality Dashboard classifies streams of real calls. What a probe sends is none, it lacks
//! the client's own figures, and its packets come in windows with pauses; whatever is said here is
//! therefore labelled synthetic wherever it is shown.

use std::collections::BTreeMap;

use crate::limits::MIN_JUDGED_RATE_PPS;
use crate::path::word_enum;
use crate::{Direction, TrafficClass, UtcMicros, Window};

/// The length of a synthetic stream: five minutes of UTC.
pub const STREAM_MICROS: i64 = 5 * 60 * 1_000_000;

/// Why a criterion that needs the client's own figures says nothing.
const NEEDS_CLIENT: &str = "only the call's own client knows it";
const DIRECTION_UNKNOWN: &str = "the direction of some losses is unknown";
const NOT_MEASURED: &str = "not measured";
const TOO_RARE: &str = "fewer than 10 packets a second";

word_enum!(
    /// One way in which a stream is poor.
    StreamCriterion, "stream criterion", {
        /// Packets lost over packets sent, of the whole stream.
        PacketLossRate = "packet-loss-rate",
        /// The mean round-trip time of the stream.
        RoundTrip = "round-trip",
        /// The mean interarrival jitter of the stream.
        Jitter = "jitter",
        /// How much the network degraded the audio, in mean opinion score.
        AudioDegradation = "audio-degradation",
        /// The share of samples that the client had to make up.
        ConcealedSamples = "concealed-samples-ratio",
    }
);

word_enum!(
    /// What a stream is classified as.
    StreamClass, "stream class", {
        /// At least one criterion is exceeded.
        Poor = "poor",
        /// None is, and all that a probe can measure were measured.
        Good = "good",
        /// Too little is known to say.
        Unclassified = "unclassified",
    }
);

/// One edition of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Classifier {
    /// The word used in JSON and on the command line.
    pub name: &'static str,
    /// The document.
    pub document: &'static str,
    /// The edition: the date it gives, or the year it was in use.
    pub edition: &'static str,
    /// A stream with no more packets is not classified. The edition of 2018 speaks of low packet
    /// utilisation without a figure; that of the current one is used.
    pub min_packets: u64,
    /// Poor above this loss, in parts per million.
    pub loss_ppm: u32,
    /// Poor above this round-trip time, in microseconds.
    pub rtt_us: u32,
    /// Poor above this jitter, in microseconds.
    pub jitter_us: u32,
    /// Criteria of the edition that no probe can measure: named, never evaluated.
    pub not_measurable: &'static [StreamCriterion],
}

const DOCUMENT: &str =
    "Microsoft, Stream Classification in Call Quality Dashboard, audio classifier";

/// The audio classifiers, the newest last.
pub const CLASSIFIERS: &[Classifier] = &[
    Classifier {
        name: "cqd-2018",
        document: DOCUMENT,
        edition: "2018",
        min_packets: 500,
        loss_ppm: 100_000,
        rtt_us: 500_000,
        jitter_us: 30_000,
        not_measurable: &[StreamCriterion::AudioDegradation, StreamCriterion::ConcealedSamples],
    },
    Classifier {
        name: "cqd-current",
        document: DOCUMENT,
        edition: "2024-10-22",
        min_packets: 500,
        loss_ppm: 100_000,
        rtt_us: 500_000,
        jitter_us: 30_000,
        not_measurable: &[],
    },
];

/// What one criterion says of a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CriterionOutcome {
    /// Beyond the limit: the value and the limit, as a share or in microseconds.
    Exceeded {
        /// What was measured; at least this where losses of unknown direction are left out.
        value: f64,
        /// The limit.
        limit: f64,
    },
    /// Within the limit.
    Within {
        /// What was measured; at most this where losses of unknown direction are counted.
        value: f64,
        /// The limit.
        limit: f64,
    },
    /// Not evaluated, and why.
    NotEvaluated(&'static str),
}

/// The classification of one synthetic stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Classification {
    /// What it is.
    pub class: StreamClass,
    /// Why nothing could be said of the stream as a whole.
    pub unclassified_because: Option<&'static str>,
    /// What each criterion of the edition says.
    pub criteria: Vec<(StreamCriterion, CriterionOutcome)>,
}

/// One direction of a path over five minutes of UTC.
#[derive(Debug, Clone, PartialEq)]
pub struct SyntheticStream {
    /// When the five minutes begin.
    pub started: UtcMicros,
    /// The direction.
    pub direction: Direction,
    /// What the packets imitate.
    pub class: TrafficClass,
    /// The windows that began in it.
    pub windows: u32,
    /// The lowest rate of its windows, in packets a second.
    pub rate_pps: u32,
    /// Packets sent in this direction; down, all that are not known to be lost on the way up.
    pub packets: u64,
    /// Packets known to be lost in this direction.
    pub lost: u64,
    /// Packets lost in this direction or the other.
    pub lost_unknown: u64,
    /// Packets that came back.
    pub received: u64,
    /// Mean round-trip time of packets, in microseconds. The mean and no percentile: the classifiers
    /// say "average round-trip network propagation time" of the stream.
    pub rtt_mean_us: Option<f64>,
    /// Mean jitter of windows, weighted by the packets that came back, in microseconds.
    pub jitter_mean_us: Option<f64>,
}

/// A weighted mean in the making.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: u128,
    weight: u64,
}

impl Mean {
    fn add(&mut self, sum: u128, weight: u64) {
        self.sum = self.sum.saturating_add(sum);
        self.weight = self.weight.saturating_add(weight);
    }

    #[expect(clippy::cast_precision_loss, reason = "a mean is an approximation anyway")]
    fn value(self) -> Option<f64> {
        (self.weight > 0).then(|| self.sum as f64 / self.weight as f64)
    }
}

/// Takes the windows of one path together: two streams, up and down, for each five minutes in which
/// a window with packets began, oldest first. A window belongs to the five minutes it began in.
pub fn synthetic_streams<'a>(
    windows: impl IntoIterator<Item = (UtcMicros, &'a Window)>,
) -> Vec<SyntheticStream> {
    let mut streams: BTreeMap<(i64, Direction), (SyntheticStream, Mean, Mean)> = BTreeMap::new();
    for (began, window) in windows {
        if window.counts.sent() == 0 {
            continue;
        }
        let bucket = began.0.div_euclid(STREAM_MICROS);
        for &direction in Direction::ALL {
            let (stream, rtt, jitter) = streams.entry((bucket, direction)).or_insert_with(|| {
                let started = UtcMicros(bucket.saturating_mul(STREAM_MICROS));
                (
                    SyntheticStream::empty(started, direction, window),
                    Mean::default(),
                    Mean::default(),
                )
            });
            stream.add(window);
            rtt.add(window.rtt.sum().into(), window.rtt.count());
            let of_direction = match direction {
                Direction::Up => window.up_jitter,
                Direction::Down => window.down_jitter,
            };
            if let Some(of_window) = of_direction {
                let weight = window.counts.received();
                jitter.add(u128::from(of_window.mean_us) * u128::from(weight), weight.into());
            }
        }
    }
    let finish = |(mut stream, rtt, jitter): (SyntheticStream, Mean, Mean)| {
        stream.rtt_mean_us = rtt.value();
        stream.jitter_mean_us = jitter.value();
        stream
    };
    streams.into_values().map(finish).collect()
}

impl SyntheticStream {
    fn empty(started: UtcMicros, direction: Direction, window: &Window) -> Self {
        Self {
            started,
            direction,
            class: window.path.class,
            windows: 0,
            rate_pps: u32::MAX,
            packets: 0,
            lost: 0,
            lost_unknown: 0,
            received: 0,
            rtt_mean_us: None,
            jitter_mean_us: None,
        }
    }

    fn add(&mut self, window: &Window) {
        let counts = &window.counts;
        let (packets, lost) = match self.direction {
            Direction::Up => (counts.sent(), counts.lost_up()),
            Direction::Down => (counts.sent() - counts.lost_up(), counts.lost_down()),
        };
        self.windows = self.windows.saturating_add(1);
        self.rate_pps = self.rate_pps.min(window.rate_pps);
        self.packets += u64::from(packets);
        self.lost += u64::from(lost);
        self.lost_unknown += u64::from(counts.lost_unknown());
        self.received += u64::from(counts.received());
    }
}

impl Classifier {
    /// The classifier with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        CLASSIFIERS.iter().find(|classifier| classifier.name == name)
    }

    /// Classifies a stream. It is poor when one criterion is exceeded, good when all that can be
    /// measured are within their limits, and unclassified otherwise: with too few packets, when it
    /// does not imitate audio, and when nothing came back, as then no direction can be told.
    #[must_use]
    pub fn classify(&self, stream: &SyntheticStream) -> Classification {
        let measured = [
            (StreamCriterion::PacketLossRate, self.loss(stream)),
            (StreamCriterion::RoundTrip, beyond(stream.rtt_mean_us, self.rtt_us)),
            (StreamCriterion::Jitter, jitter(stream, self.jitter_us)),
        ];
        let (mut poor, mut complete) = (false, true);
        for (_, outcome) in &measured {
            poor |= matches!(outcome, CriterionOutcome::Exceeded { .. });
            complete &= !matches!(outcome, CriterionOutcome::NotEvaluated(_));
        }
        let nothing_to_say = self.nothing_to_say(stream);
        let (class, unclassified_because) = match nothing_to_say {
            Some(reason) => (StreamClass::Unclassified, Some(reason)),
            None if poor => (StreamClass::Poor, None),
            None if complete => (StreamClass::Good, None),
            None => (StreamClass::Unclassified, Some("a criterion could not be evaluated")),
        };
        let client = |&criterion| (criterion, CriterionOutcome::NotEvaluated(NEEDS_CLIENT));
        let criteria = measured.into_iter().chain(self.not_measurable.iter().map(client)).collect();
        Classification { class, unclassified_because, criteria }
    }

    fn nothing_to_say(&self, stream: &SyntheticStream) -> Option<&'static str> {
        if matches!(stream.class, TrafficClass::Video | TrafficClass::Sharing) {
            return Some("the classifier is for audio");
        }
        if stream.packets <= self.min_packets {
            return Some("too few packets");
        }
        (stream.received == 0).then_some("nothing came back")
    }

    /// Losses of unknown direction may all or none be this direction's: both must say the same.
    fn loss(&self, stream: &SyntheticStream) -> CriterionOutcome {
        if stream.rate_pps < MIN_JUDGED_RATE_PPS {
            return CriterionOutcome::NotEvaluated(TOO_RARE);
        }
        if stream.packets == 0 {
            return CriterionOutcome::NotEvaluated(NOT_MEASURED);
        }
        let limit = f64::from(self.loss_ppm) / 1e6;
        #[expect(clippy::cast_precision_loss, reason = "packets of five minutes are few")]
        let ratio = |lost: u64| lost as f64 / stream.packets as f64;
        // Whole numbers decide, as everywhere.
        let above = |lost: u64| {
            u128::from(lost) * 1_000_000 > u128::from(self.loss_ppm) * u128::from(stream.packets)
        };
        let most = stream.lost.saturating_add(stream.lost_unknown).min(stream.packets);
        match (above(stream.lost), above(most)) {
            (true, _) => CriterionOutcome::Exceeded { value: ratio(stream.lost), limit },
            (false, false) => CriterionOutcome::Within { value: ratio(most), limit },
            (false, true) => CriterionOutcome::NotEvaluated(DIRECTION_UNKNOWN),
        }
    }
}

fn jitter(stream: &SyntheticStream, limit_us: u32) -> CriterionOutcome {
    if stream.rate_pps < MIN_JUDGED_RATE_PPS {
        return CriterionOutcome::NotEvaluated(TOO_RARE);
    }
    beyond(stream.jitter_mean_us, limit_us)
}

fn beyond(value: Option<f64>, limit: u32) -> CriterionOutcome {
    let limit = f64::from(limit);
    match value {
        None => CriterionOutcome::NotEvaluated(NOT_MEASURED),
        Some(value) if value > limit => CriterionOutcome::Exceeded { value, limit },
        Some(value) => CriterionOutcome::Within { value, limit },
    }
}

#[cfg(test)]
mod tests;
