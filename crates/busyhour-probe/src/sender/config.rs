//! What a sender is told at its beginning.

use std::net::SocketAddr;
use std::time::Duration;

use busyhour_model::ClockQuality;
use busyhour_wire::{ErrorEstimate, Key, Mode, TimestampFormat};
use thiserror::Error;

use super::PeerProfile;
use crate::Profile;

/// What is claimed of a clock of which nothing is known.
const UNKNOWN_ERROR: Duration = Duration::from_secs(1);

/// How a session's packets are protected.
#[derive(Debug, Clone)]
pub enum Security {
    /// Not at all.
    Open,
    /// The TLVs are: an HMAC TLV behind the unauthenticated base packet (RFC 8972 section 4.8).
    Tlvs(Key),
    /// Everything is: authenticated base packets (RFC 8762 section 4.4) and an HMAC TLV.
    Authenticated(Key),
}

impl Security {
    /// The base packets that go with it.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        match self {
            Self::Open | Self::Tlvs(_) => Mode::Unauthenticated,
            Self::Authenticated(_) => Mode::Authenticated,
        }
    }

    pub(super) const fn key(&self) -> Option<&Key> {
        match self {
            Self::Open => None,
            Self::Tlvs(key) | Self::Authenticated(key) => Some(key),
        }
    }
}

/// What requests ask of a reflector that knows TLVs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Telemetry {
    /// Everything that fits: Class of Service, Direct Measurement, Follow-Up Telemetry, and at the
    /// beginning of each window Location and Timestamp Information.
    #[default]
    Full,
    /// Class of Service alone.
    Marking,
    /// Nothing: padding alone.
    Nothing,
}

/// A session that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidSession {
    /// What must be in each request is longer than the profile's packets.
    #[error(
        "the profile's packets have {room} octets of payload, and this session's need {needed}: \
         take a profile of larger packets"
    )]
    TooSmall {
        /// Octets of UDP payload that are needed.
        needed: usize,
        /// Octets that there are.
        room: usize,
    },
    /// The HMAC TLV is asked for from a peer that knows no TLVs.
    #[error("a peer without TLVs cannot protect them: use authenticated mode, or no key")]
    TlvsUnknown,
    /// The session identifier 0 means that there is none.
    #[error("the session identifier is 0")]
    NoIdentifier,
}

/// What a sender is told at its beginning.
#[derive(Debug, Clone)]
pub struct SenderConfig {
    /// What to send.
    pub profile: Profile,
    /// The reflector.
    pub peer: SocketAddr,
    /// The session identifier, chosen by the caller; not 0.
    pub ssid: u16,
    /// What kind of reflector it is.
    pub peer_profile: PeerProfile,
    /// How packets are protected.
    pub security: Security,
    /// The quality of this machine's wall clock; see [`super::Sender::set_clock`].
    pub clock: ClockQuality,
    /// How this machine's timestamps are written.
    pub timestamp_format: TimestampFormat,
    /// What is asked of the reflector.
    pub telemetry: Telemetry,
}

impl SenderConfig {
    /// An open session with a STAMP reflector that asks for everything, on a clock of which nothing is
    /// known, with NTP timestamps.
    #[must_use]
    pub fn new(profile: Profile, peer: SocketAddr, ssid: u16) -> Self {
        Self {
            profile,
            peer,
            ssid,
            peer_profile: PeerProfile::STAMP,
            security: Security::Open,
            clock: ClockQuality::default(),
            timestamp_format: TimestampFormat::Ntp,
            telemetry: Telemetry::default(),
        }
    }

    pub(super) fn error_estimate(&self) -> ErrorEstimate {
        let ClockQuality { synchronized, error_us } = self.clock;
        let error = match error_us {
            0 => UNKNOWN_ERROR,
            error_us => Duration::from_micros(error_us.into()),
        };
        ErrorEstimate::from_error(synchronized, self.timestamp_format, error)
    }
}
