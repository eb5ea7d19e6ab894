//! ITU-T G.107.1: the wideband rating. Its scale is not the narrowband one; ratings of the two are
//! never compared.

use super::mos;
use super::narrowband::{DelayClass, delay_impairment};

/// The best rating `Ro,WB` (G.107.1 equation 7-2).
pub const WIDEBAND_RO: f64 = 129.0;
/// From the narrowband scale to this one: the absolute delay's impairment is larger by as much.
const STRETCH: f64 = 1.29;

/// What G.107.1 rates a connection by, without echo: control of echo is taken to be perfect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wideband {
    /// One-way delay without echo `Ta`, in milliseconds; 0..=500.
    pub ta_ms: f64,
    /// The codec's equipment impairment `Ie,WB`.
    pub ie: f64,
    /// The codec's robustness against loss `Bpl,WB`, known for uniform loss only.
    pub bpl: f64,
    /// Packets lost or thrown away, in percent; 0..=20.
    pub ppl_percent: f64,
}

/// The terms of a wideband rating, `r = 129 - idd - ie_eff`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WidebandTerms {
    /// Absolute delay `Idd,WB`.
    pub idd: f64,
    /// Codec and loss `Ie,eff,WB`.
    pub ie_eff: f64,
    /// The rating `R`, not held at its ends.
    pub r: f64,
}

impl Wideband {
    /// Rates the connection (G.107.1 section 7).
    #[must_use]
    pub fn rate(&self) -> WidebandTerms {
        let idd = STRETCH * delay_impairment(self.ta_ms, DelayClass::Default);
        let lost = self.ppl_percent.max(0.0);
        let by_loss = if lost > 0.0 { (95.0 - self.ie) * lost / (lost + self.bpl) } else { 0.0 };
        let ie_eff = self.ie + by_loss;
        WidebandTerms { idd, ie_eff, r: WIDEBAND_RO - idd - ie_eff }
    }
}

/// A wideband rating on the narrowband scale: where the mean opinion score and the shares of G.107
/// annex B are read (G.107.1 section 7.6).
pub(super) fn on_narrowband_scale(r: f64) -> f64 {
    r / STRETCH
}

impl WidebandTerms {
    /// The wideband mean opinion score, 1..=4.5.
    #[must_use]
    pub fn mos(&self) -> f64 {
        mos(on_narrowband_scale(self.r))
    }
}
