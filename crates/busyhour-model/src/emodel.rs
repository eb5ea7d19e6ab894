//! A call estimate from what a window measured, by ITU-T's E-model: G.107 (narrowband) and G.107.1
//! (wideband, on a scale of its own).
//!
//! It rates a reference codec whose figures ITU-T G.113 publishes, never the codec of any product:
//! for Opus, SILK and Satin none are published. What comes out is a planning estimate, MOS-CQE in
//! ITU-T P.800.1's words, and is labelled so with every term it was made from.

mod codec;
mod estimate;
mod narrowband;
mod wideband;

pub use codec::{CODECS, Codec, REFERENCE_CODEC, Scale};
pub use estimate::{
    CallEstimate, DelayBasis, DelayParts, Estimate, EstimateInputs, Flag, Impairments, estimate,
    rating,
};
pub use narrowband::{DelayClass, Narrowband, Terms};
pub use wideband::{WIDEBAND_RO, Wideband, WidebandTerms};

/// The mean opinion score, 1..=4.5, of a rating `r` on the narrowband scale (G.107 annex B). The
/// cubic falls below 1 for ratings under 6.5; the score is held at 1 there.
#[must_use]
pub fn mos(r: f64) -> f64 {
    if r >= 100.0 {
        return 4.5;
    }
    if r.is_nan() || r <= 0.0 {
        return 1.0;
    }
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0)
}

/// How many in a hundred would call it good or better, for a rating on the narrowband scale (G.107
/// annex B).
#[must_use]
pub fn good_or_better_percent(r: f64) -> f64 {
    100.0 * normal_cdf((r - 60.0) / 16.0)
}

/// How many in a hundred would call it poor or worse, for a rating on the narrowband scale (G.107
/// annex B).
#[must_use]
pub fn poor_or_worse_percent(r: f64) -> f64 {
    100.0 * normal_cdf((45.0 - r) / 16.0)
}

/// The share of a standard normal distribution below `x`, by its power series.
fn normal_cdf(x: f64) -> f64 {
    // Beyond eight standard deviations less than 1e-15 is left.
    if x.abs() >= 8.0 || x.is_nan() {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let mut term = x;
    let mut sum = x;
    let mut divisor = 1.0;
    while term.abs() > 1e-18 {
        divisor += 2.0;
        term *= x * x / divisor;
        sum += term;
    }
    let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    (0.5 + density * sum).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests;
