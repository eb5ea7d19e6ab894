//! What peers are known to do, as data.

use busyhour_wire::{ErrorEstimate, TimestampFormat};

/// How a peer's timestamps are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FarFormat {
    /// By the Z bit of the error estimate beside them (RFC 8186 section 2.3).
    #[default]
    ByErrorEstimate,
    /// As NTP's, whatever the Z bit says.
    Ntp,
    /// As PTP's, whatever the Z bit says.
    Ptp,
}

impl FarFormat {
    pub(super) const fn of(self, estimate: ErrorEstimate) -> TimestampFormat {
        match self {
            Self::ByErrorEstimate => estimate.format(),
            Self::Ntp => TimestampFormat::Ntp,
            Self::Ptp => TimestampFormat::Ptp,
        }
    }
}

/// How one kind of reflector differs from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerProfile {
    /// What configuration calls it.
    pub name: &'static str,
    /// Whether it reads the TLVs of RFC 8972. To one that does not, requests carry nothing but padding.
    pub tlvs: bool,
    /// How its timestamps are read.
    pub far_format: FarFormat,
    /// Which reflectors these are.
    pub about: &'static str,
}

/// All that are known. Quirks that no setting is needed for are tolerated of every peer: counters that
/// begin at 1, session identifiers returned as zero, TLVs returned with U set, either reading of RPE,
/// and answers of another length than their requests, down to the 41 octets of TWAMP Light.
pub const PEER_PROFILES: &[PeerProfile] = &[
    PeerProfile {
        name: "stamp",
        tlvs: true,
        far_format: FarFormat::ByErrorEstimate,
        about: "STAMP with TLVs (RFC 8762, RFC 8972): our own reflector and most others",
    },
    PeerProfile {
        name: "twamp-light",
        tlvs: false,
        far_format: FarFormat::ByErrorEstimate,
        about: "TWAMP Light (RFC 5357 appendix I) or STAMP without TLVs, as routers have it",
    },
    PeerProfile {
        name: "stamp-ntp",
        tlvs: true,
        far_format: FarFormat::Ntp,
        about: "STAMP whose reflector only repeats the Z bit and always writes NTP timestamps",
    },
    PeerProfile {
        name: "twamp-light-ntp",
        tlvs: false,
        far_format: FarFormat::Ntp,
        about: "TWAMP Light whose reflector only repeats the Z bit and always writes NTP timestamps",
    },
    PeerProfile {
        name: "twamp-light-ptp",
        tlvs: false,
        far_format: FarFormat::Ptp,
        about: "TWAMP Light whose reflector writes PTP timestamps and leaves the Z bit clear",
    },
];

impl PeerProfile {
    /// A reflector that does what the RFCs say.
    pub const STAMP: Self = PEER_PROFILES[0];
    /// A reflector that knows no TLVs.
    pub const TWAMP_LIGHT: Self = PEER_PROFILES[1];

    /// What configuration calls it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The profile of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        PEER_PROFILES.iter().copied().find(|peer| peer.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_profile_is_found_by_its_name() {
        for peer in PEER_PROFILES {
            assert_eq!(PeerProfile::named(peer.name), Some(*peer));
        }
        assert_eq!((PeerProfile::STAMP.name, PeerProfile::STAMP.tlvs), ("stamp", true));
        assert_eq!(PeerProfile::TWAMP_LIGHT.name, "twamp-light");
        assert_eq!(PeerProfile::named("ping"), None);
    }
}
