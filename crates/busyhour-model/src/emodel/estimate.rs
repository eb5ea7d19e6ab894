//! From a window to an estimate: what goes into the model, and what the model was not made for.

use crate::{Direction, MIN_JUDGED_RATE_PPS, OneWayDelay, TrafficClass, Window};

use super::wideband::on_narrowband_scale;
use super::{
    Codec, Narrowband, Scale, WIDEBAND_RO, Wideband, good_or_better_percent, mos,
    poor_or_worse_percent,
};

/// The jitter buffer that is assumed where the window had none emulated, in microseconds.
const ASSUMED_BUFFER_US: u32 = 40_000;
/// What G.107 (table 2) and its section 7.5 allow.
const MAX_DELAY_US: u32 = 500_000;
const MAX_LOSS_PERCENT: f64 = 20.0;
const MAX_BURST_RATIO: f64 = 8.0;
/// From this loss on no burst ratio above [`MAX_BURST_RATIO_LOSSY`] is allowed.
const LOSSY_PERCENT: f64 = 2.0;
const MAX_BURST_RATIO_LOSSY: f64 = 2.0;

/// Where the network's one-way delay comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DelayBasis {
    /// Measured: both clocks claim to be synchronised, and the figure is known better than to half the
    /// round trip.
    OneWay,
    /// Half the median round trip: not measured.
    HalfRoundTrip,
}

impl DelayBasis {
    /// The word used in JSON and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneWay => "one-way",
            Self::HalfRoundTrip => "rtt/2",
        }
    }
}

/// What the delay from mouth to ear is made of, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DelayParts {
    /// The network, one way.
    pub network_us: u32,
    /// Where that comes from.
    pub basis: DelayBasis,
    /// The receiver's jitter buffer.
    pub jitter_buffer_us: u32,
    /// Waiting for a packet's worth of voice.
    pub packetisation_us: u32,
    /// What the codec waits for beyond that.
    pub look_ahead_us: u32,
}

impl DelayParts {
    /// All of it: what the model calls `Ta`.
    #[must_use]
    pub const fn total_us(&self) -> u32 {
        self.network_us
            .saturating_add(self.jitter_buffer_us)
            .saturating_add(self.packetisation_us)
            .saturating_add(self.look_ahead_us)
    }
}

/// What the model was given for one direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EstimateInputs {
    /// The delay.
    pub delay: DelayParts,
    /// Packets that went in this direction.
    pub of: u32,
    /// Those of them that were lost.
    pub lost: u32,
    /// Those that arrived and the jitter buffer did not play: lost as well, to a listener.
    pub discarded: u32,
    /// Both together, in percent: `Ppl`.
    pub loss_percent: f64,
    /// How much longer runs of loss are than by chance: `BurstR`, at least 1.
    pub burst_ratio: f64,
}

/// What takes away from the best rating, by the names of G.107. A rating is
/// `ro - is - idte - idle - idd - ie_eff`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Impairments {
    /// The best rating `Ro`.
    pub ro: f64,
    /// What comes with the voice `Is`; 0 on the wideband scale.
    pub is: f64,
    /// Talker echo `Idte`; 0 on the wideband scale.
    pub idte: f64,
    /// Listener echo `Idle`; 0 on the wideband scale.
    pub idle: f64,
    /// Absolute delay `Idd`.
    pub idd: f64,
    /// Codec and loss `Ie,eff`.
    pub ie_eff: f64,
}

/// Why an estimate is worth less than its figure looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// The delay is above 500 ms: outside the model's domain.
    DelayAboveDomain,
    /// More than 20 % lost: outside the model's domain.
    LossAboveDomain,
    /// The burst ratio is above 8: outside the model's domain.
    BurstRatioAboveDomain,
    /// The burst ratio is above 2 with at least 2 % lost: outside the model's domain.
    BurstyLossAboveDomain,
    /// The wideband model knows uniform loss only, and this is not.
    UniformLossAssumed,
    /// Loss of unknown direction is counted as if all of it was in this one.
    LossDirectionUnknown,
    /// There was loss both ways; the burst ratio is that of the round trip.
    BurstRatioOfRoundTrip,
    /// How the losses, or the packets discarded, lie was not measured; taken as random.
    BurstRatioAssumed,
    /// No jitter buffer was emulated: 40 ms are assumed, and nothing counts as discarded.
    JitterBufferAssumed,
}

impl Flag {
    /// The word used in JSON and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DelayAboveDomain => "delay-above-500-ms",
            Self::LossAboveDomain => "loss-above-20-percent",
            Self::BurstRatioAboveDomain => "burst-ratio-above-8",
            Self::BurstyLossAboveDomain => "burst-ratio-above-2-with-2-percent-loss",
            Self::UniformLossAssumed => "uniform-loss-assumed",
            Self::LossDirectionUnknown => "loss-direction-unknown",
            Self::BurstRatioOfRoundTrip => "burst-ratio-of-round-trip",
            Self::BurstRatioAssumed => "burst-ratio-assumed",
            Self::JitterBufferAssumed => "jitter-buffer-assumed",
        }
    }
}

/// What the model says of one direction, with everything that went into it.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// What went in.
    pub inputs: EstimateInputs,
    /// What came off.
    pub impairments: Impairments,
    /// The rating, on its codec's scale, not held at its ends.
    pub r: f64,
    /// The estimated mean opinion score (MOS-CQE), 1..=4.5.
    pub mos: f64,
    /// How many in a hundred would call it good or better.
    pub good_or_better_percent: f64,
    /// How many in a hundred would call it poor or worse.
    pub poor_or_worse_percent: f64,
    /// What to keep in mind.
    pub flags: Vec<Flag>,
}

/// What a call of the reference codec would have been like in a window: a planning estimate, never
/// the score of any product.
#[derive(Debug, Clone, PartialEq)]
pub struct CallEstimate {
    /// The reference codec; it tells model and scale.
    pub codec: &'static Codec,
    /// From the agent to the target; `None` when the direction of a loss is unknown.
    pub up: Option<Estimate>,
    /// From the target to the agent; `None` when the direction of a loss is unknown.
    pub down: Option<Estimate>,
    /// The worse one. Where a direction is unknown, the worst that it can have been.
    pub worse: Estimate,
    /// Which direction that is; `None` where it is unknown.
    pub worse_direction: Option<Direction>,
}

/// Estimates a call with `codec` over a window.
///
/// `None` when nothing came back or no delay could be measured, when the traffic does not imitate
/// voice (video, sharing, fewer than ten packets a second), and for a codec without published
/// figures.
#[must_use]
pub fn estimate(window: &Window, codec: &'static Codec) -> Option<CallEstimate> {
    let figures = codec.figures()?;
    let unknown = window.counts.lost_unknown();
    let [up, down] = both_inputs(window, codec)?;
    let of = |inputs| rate(codec, figures, inputs, flags(window, codec, &inputs));
    let (up, down) = (of(up), of(down));
    let (worse, direction) =
        if up.r <= down.r { (&up, Direction::Up) } else { (&down, Direction::Down) };
    let worse = worse.clone();
    if unknown > 0 {
        return Some(CallEstimate { codec, up: None, down: None, worse, worse_direction: None });
    }
    let worse_direction = Some(direction);
    Some(CallEstimate { codec, up: Some(up), down: Some(down), worse, worse_direction })
}

/// The rating of the worse direction alone: `r` of what [`estimate`] says is worse.
#[must_use]
pub fn rating(window: &Window, codec: &Codec) -> Option<f64> {
    let figures = codec.figures()?;
    let [up, down] = both_inputs(window, codec)?;
    let of = |inputs: &EstimateInputs| impairments(codec, figures, inputs).1;
    let r = of(&up);
    let same = EstimateInputs { of: up.of, lost: up.lost, discarded: up.discarded, ..down } == up;
    Some(if same { r } else { r.min(of(&down)) })
}

/// What goes into the model for each direction; `None` where there is nothing to rate.
fn both_inputs(window: &Window, codec: &Codec) -> Option<[EstimateInputs; 2]> {
    let voice = matches!(window.path.class, TrafficClass::Audio | TrafficClass::BestEffort);
    if !voice || window.rate_pps < MIN_JUDGED_RATE_PPS {
        return None;
    }
    let rtt_us = window.rtt_median_us?;
    Some([Direction::Up, Direction::Down].map(|to| inputs(window, codec, to, rtt_us)))
}

/// Loss of unknown direction is counted in either one.
fn inputs(window: &Window, codec: &Codec, direction: Direction, rtt_us: u32) -> EstimateInputs {
    let counts = &window.counts;
    let playout = window.playout.unwrap_or_default();
    let (of, lost, discarded) = match direction {
        Direction::Up => (counts.sent(), counts.lost_up(), playout.discarded_up),
        // What was lost on the way up was never on the way down.
        Direction::Down => {
            (counts.sent() - counts.lost_up(), counts.lost_down(), playout.discarded_down)
        }
    };
    let lost = lost + counts.lost_unknown();
    let discarded = discarded.min(of - lost);
    EstimateInputs {
        delay: DelayParts {
            jitter_buffer_us: window.playout.map_or(ASSUMED_BUFFER_US, |playout| playout.delay_us),
            packetisation_us: codec.packetisation_us,
            look_ahead_us: codec.look_ahead_us,
            ..network_delay(window, direction, rtt_us)
        },
        of,
        lost,
        discarded,
        loss_percent: 100.0 * f64::from(lost + discarded) / f64::from(of.max(1)),
        burst_ratio: burst_ratio(window),
    }
}

/// A one-way delay lies between nothing and the round trip: a figure that may be off by half of that
/// says no more than the half does. A window has one only between synchronised clocks.
fn network_delay(window: &Window, direction: Direction, rtt_us: u32) -> DelayParts {
    let half = rtt_us / 2;
    let telling = |one_way: &OneWayDelay| one_way.is_credible() && one_way.error_us < half;
    let measured = window.one_way.filter(telling).map(|one_way| match direction {
        Direction::Up => one_way.up_median_us,
        Direction::Down => one_way.down_median_us,
    });
    let (network_us, basis) = match measured {
        // Below nothing by no more than the clocks may err.
        Some(delay_us) => (u32::try_from(delay_us).unwrap_or(0), DelayBasis::OneWay),
        None => (half, DelayBasis::HalfRoundTrip),
    };
    DelayParts { network_us, basis, jitter_buffer_us: 0, packetisation_us: 0, look_ahead_us: 0 }
}

/// The mean length of a run of lost packets over the one that random loss would have,
/// `1 / (1 - loss)`; at least 1.
fn burst_ratio(window: &Window) -> f64 {
    let counts = &window.counts;
    if window.loss_pattern.runs == 0 || counts.lost() == 0 {
        return 1.0;
    }
    let mean_run = f64::from(counts.lost()) / f64::from(window.loss_pattern.runs);
    let loss = f64::from(counts.lost()) / f64::from(counts.sent());
    (mean_run * (1.0 - loss)).max(1.0)
}

fn flags(window: &Window, codec: &Codec, inputs: &EstimateInputs) -> Vec<Flag> {
    let counts = &window.counts;
    let (loss, burst) = (inputs.loss_percent, inputs.burst_ratio);
    let both_ways = counts.lost_up() > 0 && counts.lost_down() > 0;
    let pattern_missing = counts.lost() > 0 && window.loss_pattern.runs == 0;
    [
        (inputs.delay.total_us() > MAX_DELAY_US, Flag::DelayAboveDomain),
        (loss > MAX_LOSS_PERCENT, Flag::LossAboveDomain),
        (burst > MAX_BURST_RATIO, Flag::BurstRatioAboveDomain),
        (burst > MAX_BURST_RATIO_LOSSY && loss >= LOSSY_PERCENT, Flag::BurstyLossAboveDomain),
        (codec.scale == Scale::Wideband && burst > 1.0 && loss > 0.0, Flag::UniformLossAssumed),
        (counts.lost_unknown() > 0, Flag::LossDirectionUnknown),
        (both_ways, Flag::BurstRatioOfRoundTrip),
        (inputs.discarded > 0 || pattern_missing, Flag::BurstRatioAssumed),
        (window.playout.is_none(), Flag::JitterBufferAssumed),
    ]
    .into_iter()
    .filter_map(|(holds, flag)| holds.then_some(flag))
    .collect()
}

fn rate(codec: &Codec, figures: (f64, f64), inputs: EstimateInputs, flags: Vec<Flag>) -> Estimate {
    let (impairments, r) = impairments(codec, figures, &inputs);
    let narrowband_r = match codec.scale {
        Scale::Narrowband => r,
        Scale::Wideband => on_narrowband_scale(r),
    };
    Estimate {
        inputs,
        impairments,
        r,
        mos: mos(narrowband_r),
        good_or_better_percent: good_or_better_percent(narrowband_r),
        poor_or_worse_percent: poor_or_worse_percent(narrowband_r),
        flags,
    }
}

/// What comes off, and the rating that is left on the codec's scale.
fn impairments(
    codec: &Codec,
    (ie, bpl): (f64, f64),
    inputs: &EstimateInputs,
) -> (Impairments, f64) {
    let delay_ms = f64::from(inputs.delay.total_us()) / 1_000.0;
    match codec.scale {
        Scale::Narrowband => {
            let connection = Narrowband {
                ie,
                bpl,
                ppl_percent: inputs.loss_percent,
                burst_ratio: inputs.burst_ratio,
                ..Narrowband::default().with_delay(delay_ms)
            };
            let terms = connection.rate();
            let impairments = Impairments {
                ro: terms.ro,
                is: terms.is,
                idte: terms.idte,
                idle: terms.idle,
                idd: terms.idd,
                ie_eff: terms.ie_eff,
            };
            (impairments, terms.r)
        }
        Scale::Wideband => {
            let connection =
                Wideband { ta_ms: delay_ms, ie, bpl, ppl_percent: inputs.loss_percent };
            let terms = connection.rate();
            let impairments = Impairments {
                ro: WIDEBAND_RO,
                is: 0.0,
                idte: 0.0,
                idle: 0.0,
                idd: terms.idd,
                ie_eff: terms.ie_eff,
            };
            (impairments, terms.r)
        }
    }
}
