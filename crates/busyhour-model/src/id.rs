//! Opaque identities. Nobody reads meaning into them and they survive renames.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use uuid::Uuid;

/// A text that is not an identity.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not an identity (expected a UUID)")]
pub struct InvalidId(pub String);

macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// Wraps 128 bits that the caller made (randomly, or read back from where they were kept).
            #[must_use]
            pub const fn from_u128(bits: u128) -> Self {
                Self(bits)
            }

            /// Reads the identity from its 16 bytes in network order.
            ///
            /// # Errors
            /// When there are not exactly 16 bytes.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, InvalidId> {
                let array: [u8; 16] =
                    bytes.try_into().map_err(|_| InvalidId(format!("{} bytes", bytes.len())))?;
                Ok(Self(u128::from_be_bytes(array)))
            }

            /// The identity as 16 bytes in network order.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }

            /// The identity as a number.
            #[must_use]
            pub const fn as_u128(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Uuid::from_u128(self.0).hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text)
                    .map(|uuid| Self(uuid.as_u128()))
                    .map_err(|_| InvalidId(text.to_owned()))
            }
        }
    };
}

opaque_id!(
    /// One installed agent; given at enrolment, never chosen by the agent.
    AgentId
);
opaque_id!(
    /// A building of the building file; kept when the building is renamed.
    BuildingId
);
opaque_id!(
    /// A subnet of the building file; kept when its network is renamed.
    SubnetId
);
opaque_id!(
    /// The life of one finding.
    IncidentId
);
opaque_id!(
    /// One boot of one machine; boot-relative times compare only within it.
    BootId
);

/// The store's number for a path; small because every window and slot carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(pub i64);

impl fmt::Display for PathId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The random identity of one spool, drawn when the spool is created. A deleted and recreated spool
/// has another epoch, so its block numbers cannot collide with those of the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// The number of a sealed block within its epoch: 1, 2, 3 and so on without holes at sealing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockNo(pub u64);

/// The revision of the schedule that a record ran under: its lower half is the period in microseconds,
/// its upper half the revision of the collector's configuration that asked for it, 0 where the
/// machine's own file did. So equal schedules have equal revisions on every agent and after every
/// restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScheduleRevision(pub u64);

impl ScheduleRevision {
    /// Of a configuration's revision (0: the machine's own file; at most 2^31 - 1, so that it fits the
    /// integers of databases) and a period in microseconds, of which an hour is more than there is.
    #[must_use]
    pub fn new(configuration: u32, period_us: u64) -> Self {
        let configuration = configuration.min(u32::MAX >> 1);
        Self((u64::from(configuration) << 32) | period_us.min(u64::from(u32::MAX)))
    }

    /// The revision of the collector's configuration; `None` where the machine's own file asked for it.
    #[must_use]
    pub fn configuration(self) -> Option<u32> {
        u32::try_from(self.0 >> 32).ok().filter(|revision| *revision > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_says_which_configuration_asked_for_it() {
        let minute = 60_000_000;
        assert_eq!(ScheduleRevision::new(0, minute), ScheduleRevision(minute));
        assert_eq!(ScheduleRevision::new(0, minute).configuration(), None);
        let seventh = ScheduleRevision::new(7, minute);
        assert_eq!((seventh.configuration(), seventh.0 & 0xffff_ffff), (Some(7), minute));
        let largest = ScheduleRevision::new(u32::MAX, u64::MAX);
        assert!(i64::try_from(largest.0).is_ok(), "databases have signed integers");
    }

    #[test]
    fn an_identity_survives_text_and_bytes() {
        let id = AgentId::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        assert_eq!(id.to_string(), "01234567-89ab-cdef-0123-456789abcdef");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(AgentId::from_slice(&id.to_bytes()), Ok(id));
        assert!("building 7".parse::<AgentId>().is_err());
        assert!(AgentId::from_slice(&[0; 15]).is_err());
    }
}
