//! How a reflector behaves: who is answered, how fast, and what it tells of itself.

use std::time::Duration;

use busyhour_model::{ClockQuality, Dscp};
use busyhour_wire::{ErrorEstimate, Key, TimestampFormat, TimestampInformation};
use ipnet::IpNet;

/// The error of a clock of which nobody says how far off it is.
const UNKNOWN_ERROR: Duration = Duration::from_secs(1);

/// How a reflector behaves.
#[derive(Debug, Clone)]
pub struct ReflectorConfig {
    /// Which sessions there may be.
    pub admission: Admission,
    /// Any of these authenticates a request (RFC 8762 section 4.4, RFC 8972 section 4.8). A request that
    /// verifies under none costs one HMAC for each, so keep them few.
    pub keys: Vec<Key>,
    /// Whether a request must verify under a key to be answered: in authenticated mode, or by an HMAC
    /// TLV in unauthenticated mode.
    pub require_key: bool,
    /// Who is answered; everybody when empty.
    pub allow: Vec<IpNet>,
    /// Whether sessions are counted (RFC 8762 section 4): without, an answer repeats the request's
    /// number, there are no directions of loss, no replay window and no session reports.
    pub stateful: bool,
    /// Whether the Location TLV's sub-TLVs for addresses are answered (RFC 8972 section 4.2).
    pub disclose_addresses: bool,
    /// Whether session reports are made.
    pub reports: bool,
    /// Sessions that are counted at the same time. Requests beyond it are answered statelessly.
    pub max_sessions: usize,
    /// Of these, from one IPv4 address or one IPv6 /64. Sessions in authenticated mode do not count here.
    pub max_sessions_per_address: usize,
    /// How fast whom is answered.
    pub rates: Rates,
    /// Which code points a sender may wish its answers marked with (RFC 8972 section 4.4).
    pub allowed_dscp: DscpSet,
    /// What Extra Padding is answered with (RFC 8972 section 4.1).
    pub padding: PaddingFill,
    /// The quality of this machine's wall clock, until [`super::Reflector::set_clock`] says otherwise.
    pub clock: ClockQuality,
    /// What keeps the clock while it is synchronised (RFC 8972 section 4.3).
    pub clock_source: ClockSource,
    /// How timestamps are written (RFC 8186); peers older than RFC 8762 understand NTP only.
    pub timestamp_format: TimestampFormat,
    /// Keeps strangers from choosing session identifiers that collide in the table: to be drawn at
    /// random by whoever starts the reflector, and to be told to nobody.
    pub seed: u64,
}

impl Default for ReflectorConfig {
    fn default() -> Self {
        Self {
            admission: Admission::Permissive,
            keys: Vec::new(),
            require_key: false,
            allow: Vec::new(),
            stateful: true,
            disclose_addresses: false,
            reports: false,
            // Ten thousand sessions at some 400 bytes each are 4 megabytes, taken as they come.
            max_sessions: 10_000,
            // A tenth: the agents of a large building behind one address.
            max_sessions_per_address: 1_000,
            rates: Rates::default(),
            allowed_dscp: DscpSet::default(),
            padding: PaddingFill::default(),
            clock: ClockQuality::default(),
            clock_source: ClockSource::default(),
            timestamp_format: TimestampFormat::Ntp,
            seed: 0,
        }
    }
}

impl ReflectorConfig {
    /// What a clock of this quality writes beside its timestamps.
    pub(super) fn error_estimate(&self, clock: ClockQuality) -> ErrorEstimate {
        let error = match clock.error_us {
            0 => UNKNOWN_ERROR,
            known => Duration::from_micros(known.into()),
        };
        ErrorEstimate::from_error(clock.synchronized, self.timestamp_format, error)
    }
}

/// Which sessions there may be.
#[derive(Debug, Clone, Default)]
pub enum Admission {
    /// A session begins with its first request.
    #[default]
    Permissive,
    /// Only these; what matches none is dropped (RFC 8972 section 3).
    Provisioned(Vec<ProvisionedSession>),
}

/// A session that a reflector was told of in advance.
#[derive(Debug, Clone)]
pub struct ProvisionedSession {
    /// Its identifier; 0 for senders that have none.
    pub ssid: u16,
    /// Where it comes from; from anywhere when absent.
    pub source: Option<IpNet>,
    /// What it must verify under. Without one, the reflector's keys and its rule apply.
    pub key: Option<Key>,
    /// Whether requests shorter than the base packet are answered with a whole one (RFC 8762 section
    /// 4.6): the only case of an answer longer than its request. It needs a `source` that is not
    /// everybody, and no key.
    pub short_requests: bool,
}

/// The most answers a second. What is beyond is dropped and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// For one session.
    pub session: u32,
    /// For one IPv4 address or one IPv6 /64 that has sessions.
    pub address: u32,
    /// For all requests together that are answered without a session.
    pub stateless: u32,
    /// In total.
    pub total: u32,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            // Twice the fastest profile, and few enough that two reflectors of any make that were set
            // upon each other do no harm.
            session: 2_000,
            // Two thousand agents behind one address, each with a continuous audio stream.
            address: 100_000,
            stateless: 20_000,
            // More than one core can answer.
            total: 200_000,
        }
    }
}

/// A set of code points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DscpSet(u64);

impl DscpSet {
    /// All of them.
    pub const ALL: Self = Self(u64::MAX);
    /// None of them: every answer is marked like its request.
    pub const NONE: Self = Self(0);
    /// Those that users' traffic bears: all below CS6, which is the network's own (RFC 4594).
    pub const USERS: Self = Self((1 << 48) - 1);

    /// This set with one more.
    #[must_use]
    pub const fn with(self, dscp: Dscp) -> Self {
        Self(self.0 | 1 << dscp.value())
    }

    /// True when it is in the set.
    #[must_use]
    pub const fn contains(self, dscp: Dscp) -> bool {
        self.0 >> dscp.value() & 1 == 1
    }
}

impl Default for DscpSet {
    fn default() -> Self {
        Self::USERS
    }
}

/// What Extra Padding is answered with: never with the octets of the request, which no RFC asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PaddingFill {
    /// Octets that no link compresses, as RFC 8972 section 4.1 recommends.
    #[default]
    PseudoRandom,
    /// Zeros, as it allows.
    Zeros,
}

/// What keeps a clock (RFC 8972 section 4.3, registry of synchronisation sources).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClockSource {
    /// The Network Time Protocol.
    #[default]
    Ntp,
    /// The Precision Time Protocol.
    Ptp,
    /// A synchronisation supply unit.
    SsuBits,
    /// A satellite system.
    Gnss,
}

impl ClockSource {
    /// What Timestamp Information says of a clock of this quality.
    pub(super) const fn on_wire(self, clock: ClockQuality) -> u8 {
        if !clock.synchronized {
            return TimestampInformation::SYNC_FREE_RUNNING;
        }
        match self {
            Self::Ntp => TimestampInformation::SYNC_NTP,
            Self::Ptp => TimestampInformation::SYNC_PTP,
            Self::SsuBits => TimestampInformation::SYNC_SSU_BITS,
            Self::Gnss => TimestampInformation::SYNC_GNSS,
        }
    }
}
