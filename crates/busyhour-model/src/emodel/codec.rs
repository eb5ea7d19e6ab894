//! The reference codecs and the figures that ITU-T G.113 publishes for them.

/// On which scale a codec's figures hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// G.107: ratings up to about 93.
    Narrowband,
    /// G.107.1: ratings up to 129.
    Wideband,
}

impl Scale {
    /// The word used in JSON and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Narrowband => "narrowband",
            Self::Wideband => "wideband",
        }
    }

    /// The model that rates on this scale.
    #[must_use]
    pub const fn model(self) -> &'static str {
        match self {
            Self::Narrowband => "ITU-T G.107",
            Self::Wideband => "ITU-T G.107.1",
        }
    }
}

/// A codec, as the E-model knows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Codec {
    /// The word used in JSON and on the command line.
    pub name: &'static str,
    /// How it is called where people read it.
    pub label: &'static str,
    /// On which scale its figures hold.
    pub scale: Scale,
    /// Equipment impairment; `None` when none is published.
    pub ie: Option<f64>,
    /// Robustness against loss; `None` when none is published or none could be confirmed.
    pub bpl: Option<f64>,
    /// Voice in one packet, in microseconds.
    pub packetisation_us: u32,
    /// What the coder waits for beyond that, in microseconds.
    pub look_ahead_us: u32,
    /// Where the figures come from.
    pub source: &'static str,
}

impl Codec {
    /// The codec with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        CODECS.iter().find(|codec| codec.name == name)
    }

    /// Equipment impairment and robustness, when both are published: without either no window with
    /// loss can be rated.
    #[must_use]
    pub fn figures(&self) -> Option<(f64, f64)> {
        self.ie.zip(self.bpl)
    }
}

/// What calls are estimated with unless told otherwise.
pub const REFERENCE_CODEC: &Codec = &Codec {
    bpl: Some(25.1),
    ..narrowband("g711-plc", "G.711 with packet loss concealment (reference)", TABLE_I4)
};

const TABLE_I4: &str = "ITU-T G.113 (09/2024) table I.4";
const TABLE_I1: &str = "ITU-T G.113 table I.1; robustness against loss not confirmed";
const WIDEBAND_MONOTIC: &str = "ITU-T G.113, Ie,WB, monotic; robustness against loss not published";
const WIDEBAND_DIOTIC: &str = "ITU-T G.113, Ie,WB, diotic; Bpl,WB for uniform loss";
const NONE: &str = "ITU-T G.113 publishes no figures";

/// G.711's figures without its robustness.
const fn narrowband(name: &'static str, label: &'static str, source: &'static str) -> Codec {
    Codec {
        name,
        label,
        scale: Scale::Narrowband,
        ie: Some(0.0),
        bpl: None,
        packetisation_us: 20_000,
        look_ahead_us: 250,
        source,
    }
}

/// One rate of AMR-WB: frames of 20 ms, 5 ms of look-ahead.
const fn amr_wb(name: &'static str, label: &'static str, ie: f64, bpl: Option<f64>) -> Codec {
    Codec {
        name,
        label,
        scale: Scale::Wideband,
        ie: Some(ie),
        bpl,
        packetisation_us: 20_000,
        look_ahead_us: 5_000,
        source: WIDEBAND_DIOTIC,
    }
}

const fn amr_wb_monotic(name: &'static str, label: &'static str, ie: f64) -> Codec {
    Codec { source: WIDEBAND_MONOTIC, ..amr_wb(name, label, ie, None) }
}

const fn unpublished(name: &'static str, label: &'static str, scale: Scale) -> Codec {
    Codec { ie: None, scale, look_ahead_us: 6_500, ..narrowband(name, label, NONE) }
}

/// All codecs, and those that people ask for though nothing is published for them.
pub const CODECS: &[Codec] = &[
    *REFERENCE_CODEC,
    Codec {
        bpl: Some(4.3),
        packetisation_us: 10_000,
        ..narrowband("g711", "G.711 without packet loss concealment", TABLE_I4)
    },
    Codec {
        ie: Some(11.0),
        bpl: Some(19.0),
        look_ahead_us: 5_000,
        ..narrowband("g729a-vad", "G.729A with silence suppression", TABLE_I4)
    },
    Codec { ie: Some(10.0), look_ahead_us: 5_000, ..narrowband("g729", "G.729", TABLE_I1) },
    Codec { ie: Some(5.0), look_ahead_us: 0, ..narrowband("gsm-efr", "GSM-EFR 12.2", TABLE_I1) },
    Codec {
        ie: Some(15.0),
        packetisation_us: 30_000,
        look_ahead_us: 7_500,
        ..narrowband("g723.1-vad", "G.723.1 6.3 with silence suppression", TABLE_I1)
    },
    amr_wb_monotic("amr-wb-6.6-monotic", "AMR-WB 6.6, one ear", 41.0),
    amr_wb_monotic("amr-wb-8.85-monotic", "AMR-WB 8.85, one ear", 26.0),
    amr_wb_monotic("amr-wb-12.65-monotic", "AMR-WB 12.65, one ear", 13.0),
    amr_wb_monotic("amr-wb-14.25-monotic", "AMR-WB 14.25, one ear", 10.0),
    amr_wb_monotic("amr-wb-15.85-monotic", "AMR-WB 15.85, one ear", 7.0),
    amr_wb_monotic("amr-wb-18.25-monotic", "AMR-WB 18.25, one ear", 5.0),
    amr_wb_monotic("amr-wb-19.85-monotic", "AMR-WB 19.85, one ear", 3.0),
    amr_wb_monotic("amr-wb-23.05-monotic", "AMR-WB 23.05, one ear", 1.0),
    amr_wb_monotic("amr-wb-23.85-monotic", "AMR-WB 23.85, one ear", 8.0),
    amr_wb("amr-wb-6.6", "AMR-WB 6.6", 56.0, None),
    amr_wb("amr-wb-8.85", "AMR-WB 8.85", 41.0, None),
    amr_wb("amr-wb-12.65", "AMR-WB 12.65", 20.0, Some(4.3)),
    amr_wb("amr-wb-15.85", "AMR-WB 15.85", 17.0, None),
    amr_wb("amr-wb-23.05", "AMR-WB 23.05", 8.0, Some(4.6)),
    amr_wb("amr-wb-23.85", "AMR-WB 23.85", 10.0, Some(4.9)),
    unpublished("opus", "Opus", Scale::Wideband),
    unpublished("silk", "SILK", Scale::Wideband),
    unpublished("satin", "Satin", Scale::Wideband),
];
