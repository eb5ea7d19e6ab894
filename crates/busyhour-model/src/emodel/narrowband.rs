//! ITU-T G.107: the narrowband rating with every one of its terms.

/// How sensitive a conversation is to delay (G.107, table 1): what `sT` and `mT` stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DelayClass {
    /// Ordinary conversations: `sT` 1, `mT` 100 ms.
    #[default]
    Default,
    /// Low sensitivity: `sT` 0.55, `mT` 120 ms.
    Low,
    /// Very low sensitivity: `sT` 0.4, `mT` 150 ms.
    VeryLow,
}

impl DelayClass {
    /// The slope `sT` and the delay without effect `mT`, in milliseconds.
    const fn slope_and_floor(self) -> (f64, f64) {
        match self {
            Self::Default => (1.0, 100.0),
            Self::Low => (0.55, 120.0),
            Self::VeryLow => (0.4, 150.0),
        }
    }
}

/// What G.107 rates a connection by. The default of each field is that of its table 3.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Narrowband {
    /// Send loudness rating, in decibels.
    pub slr: f64,
    /// Receive loudness rating, in decibels.
    pub rlr: f64,
    /// Sidetone masking rating, in decibels.
    pub stmr: f64,
    /// D-value of the telephone at the receive side.
    pub dr: f64,
    /// D-value of the telephone at the send side.
    pub ds: f64,
    /// Talker echo loudness rating, in decibels.
    pub telr: f64,
    /// Weighted echo path loss, in decibels.
    pub wepl: f64,
    /// Circuit noise at the 0 dBr point, in dBm0p.
    pub nc: f64,
    /// Noise floor at the receive side, in dBmp.
    pub nfor: f64,
    /// Room noise at the send side, in dB(A).
    pub ps: f64,
    /// Room noise at the receive side, in dB(A).
    pub pr: f64,
    /// Quantisation distortion units.
    pub qdu: f64,
    /// One-way delay of the echo path `T`, in milliseconds.
    pub t_ms: f64,
    /// One-way delay without echo `Ta`, in milliseconds; 0..=500.
    pub ta_ms: f64,
    /// Round-trip delay in the four-wire loop `Tr`, in milliseconds.
    pub tr_ms: f64,
    /// The codec's equipment impairment `Ie`.
    pub ie: f64,
    /// The codec's robustness against loss `Bpl`.
    pub bpl: f64,
    /// Packets lost or thrown away `Ppl`, in percent; 0..=20.
    pub ppl_percent: f64,
    /// How much longer bursts of loss are than by chance `BurstR`; 1..=8, and above 2 only below 2 %.
    pub burst_ratio: f64,
    /// The advantage of access `A`.
    pub advantage: f64,
    /// `sT` and `mT`.
    pub delay_class: DelayClass,
}

impl Default for Narrowband {
    fn default() -> Self {
        Self {
            slr: 8.0,
            rlr: 2.0,
            stmr: 15.0,
            dr: 3.0,
            ds: 3.0,
            telr: 65.0,
            wepl: 110.0,
            nc: -70.0,
            nfor: -64.0,
            ps: 35.0,
            pr: 35.0,
            qdu: 1.0,
            t_ms: 0.0,
            ta_ms: 0.0,
            tr_ms: 0.0,
            ie: 0.0,
            bpl: 4.3,
            ppl_percent: 0.0,
            burst_ratio: 1.0,
            advantage: 0.0,
            delay_class: DelayClass::Default,
        }
    }
}

/// The terms of a narrowband rating, `r = ro - is - id - ie_eff + advantage`, by their names in G.107.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// The sum of all noises `No`, in dBm0p.
    pub no: f64,
    /// The signal-to-noise ratio `Ro`.
    pub ro: f64,
    /// Too low a loudness `Iolr`.
    pub iolr: f64,
    /// Sidetone `Ist`.
    pub ist: f64,
    /// Quantisation `Iq`.
    pub iq: f64,
    /// What comes with the voice `Is`.
    pub is: f64,
    /// Talker echo `Idte`.
    pub idte: f64,
    /// Listener echo `Idle`.
    pub idle: f64,
    /// Absolute delay `Idd`.
    pub idd: f64,
    /// All delay `Id`.
    pub id: f64,
    /// Codec and loss `Ie,eff`.
    pub ie_eff: f64,
    /// The rating `R`, not held at its ends.
    pub r: f64,
}

impl Narrowband {
    /// The connection with this one-way delay everywhere: `Ta = T` and `Tr = 2 T`, as in a call whose
    /// echo runs the whole way and back.
    #[must_use]
    pub fn with_delay(self, one_way_ms: f64) -> Self {
        Self { ta_ms: one_way_ms, t_ms: one_way_ms, tr_ms: 2.0 * one_way_ms, ..self }
    }

    /// Rates the connection (G.107 section 7).
    #[must_use]
    pub fn rate(&self) -> Terms {
        let no = self.noise();
        let ro = 15.0 - 1.5 * (self.slr + no);
        let (iolr, ist, iq) = (self.loudness(no), self.sidetone(), self.quantisation(ro));
        let is = iolr + ist + iq;
        let (idte, idle) = (self.talker_echo(no, ist), self.listener_echo(ro));
        let idd = delay_impairment(self.ta_ms, self.delay_class);
        let id = idte + idle + idd;
        let ie_eff = equipment_impairment(self.ie, self.bpl, self.ppl_percent, self.burst_ratio);
        let r = ro - is - id - ie_eff + self.advantage;
        Terms { no, ro, iolr, ist, iq, is, idte, idle, idd, id, ie_eff, r }
    }

    /// Circuit noise, both rooms and the noise floor added by power (section 7.2).
    fn noise(&self) -> f64 {
        let olr = self.slr + self.rlr;
        let send =
            self.ps - self.slr - self.ds - 100.0 + 0.004 * (self.ps - olr - self.ds - 14.0).powi(2);
        let lstr = self.stmr + self.dr;
        let pre = self.pr + 10.0 * (1.0 + 10f64.powf((10.0 - lstr) / 10.0)).log10();
        let receive = self.rlr - 121.0 + pre + 0.008 * (pre - 35.0).powi(2);
        let floor = self.nfor + self.rlr;
        let power: f64 =
            [self.nc, send, receive, floor].map(|level| 10f64.powf(level / 10.0)).iter().sum();
        10.0 * power.log10()
    }

    /// Too low a loudness (section 7.3.1).
    fn loudness(&self, no: f64) -> f64 {
        let xolr = self.slr + self.rlr + 0.2 * (64.0 + no - self.rlr);
        20.0 * ((1.0 + (xolr / 8.0).powi(8)).powf(1.0 / 8.0) - xolr / 8.0)
    }

    /// Sidetone that is not optimal (section 7.3.2).
    fn sidetone(&self) -> f64 {
        let echo = (-self.t_ms / 4.0).exp() * 10f64.powf(-self.telr / 10.0);
        let stmro = -10.0 * (10f64.powf(-self.stmr / 10.0) + echo).log10();
        let root = |x: f64, n: i32| (1.0 + x.powi(n)).powf(1.0 / f64::from(n));
        12.0 * root((stmro - 13.0) / 6.0, 8)
            - 28.0 * root((stmro + 1.0) / 19.4, 35)
            - 13.0 * root((stmro - 3.0) / 33.0, 13)
            + 29.0
    }

    /// Quantisation (section 7.3.3).
    fn quantisation(&self, ro: f64) -> f64 {
        let q = 37.0 - 15.0 * self.qdu.log10();
        let g = 1.07 + 0.258 * q + 0.0602 * q * q;
        let y = (ro - 100.0) / 15.0 + 46.0 / 8.4 - g / 9.0;
        let z = 46.0 / 30.0 - g / 40.0;
        15.0 * (1.0 + 10f64.powf(y) + 10f64.powf(z)).log10()
    }

    /// Talker echo (section 7.4). Below 1 ms it is sidetone; strong and weak sidetone change it.
    fn talker_echo(&self, no: f64, ist: f64) -> f64 {
        if self.t_ms < 1.0 {
            return 0.0;
        }
        let t = self.t_ms;
        let mut terv = self.telr - 40.0 * ((1.0 + t / 10.0) / (1.0 + t / 150.0)).log10()
            + 6.0 * (-0.3 * t * t).exp();
        if self.stmr < 9.0 {
            terv += ist / 2.0;
        }
        let re = 80.0 + 2.5 * (terv - 14.0);
        let half = (-1.5 * (no - self.rlr) - re) / 2.0;
        let idte = (half + (half * half + 100.0).sqrt() - 1.0) * (1.0 - (-t).exp());
        if self.stmr > 20.0 { idte.hypot(ist) } else { idte }
    }

    /// Listener echo (section 7.4).
    fn listener_echo(&self, ro: f64) -> f64 {
        let rle = 10.5 * (self.wepl + 7.0) * (self.tr_ms + 1.0).powf(-0.25);
        let half = (ro - rle) / 2.0;
        half + (half * half + 169.0).sqrt()
    }
}

/// Absolute delay `Idd` (section 7.4): nothing up to `mT`.
pub(super) fn delay_impairment(ta_ms: f64, class: DelayClass) -> f64 {
    let (slope, floor_ms) = class.slope_and_floor();
    if ta_ms <= floor_ms {
        return 0.0;
    }
    let n = 6.0 * slope;
    let x = (ta_ms / floor_ms).log2();
    let root = |x: f64| (1.0 + x.powf(n)).powf(1.0 / n);
    25.0 * (root(x) - 3.0 * root(x / 3.0) + 2.0)
}

/// Codec and loss together `Ie,eff` (section 7.5).
pub(super) fn equipment_impairment(ie: f64, bpl: f64, ppl_percent: f64, burst_ratio: f64) -> f64 {
    if ppl_percent <= 0.0 {
        return ie;
    }
    ie + (95.0 - ie) * ppl_percent / (ppl_percent / burst_ratio + bpl)
}
