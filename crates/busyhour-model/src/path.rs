//! The path: the thing that is measured.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

/// For so long after its collector answered it last an agent sends the expedited traffic that this one asked it
/// for. Then it is another's turn: the collector gives it to nobody else before, and whoever makes this shorter in
/// the collector has to wait until no agent knows the longer one.
pub const EXPEDITED_LEASE: Duration = Duration::from_secs(15 * 60);

/// A text that is not part of a path, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{found:?} is not a valid {what}")]
pub struct InvalidPath {
    /// The part of the path.
    pub what: &'static str,
    /// What was given.
    pub found: String,
}

macro_rules! word_enum {
    ($(#[$doc:meta])* $name:ident, $what:literal, { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word used in JSON, SQL, the command line and the page.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::InvalidPath;

            fn from_str(text: &str) -> Result<Self, $crate::InvalidPath> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::InvalidPath { what: $what, found: text.to_owned() }),
                }
            }
        }
    };
}
pub(crate) use word_enum;

word_enum!(
    /// What kind of link the packets leave the machine on.
    LinkKind, "link", {
        /// Ethernet.
        Wired = "wired",
        /// IEEE 802.11.
        Wifi = "wifi",
        /// A tunnel.
        Vpn = "vpn",
        /// A cellular modem.
        Mobile = "mobile",
        /// The machine itself; only in demonstrations and tests.
        Loopback = "loopback",
    }
);

word_enum!(
    /// The address family of the packets.
    AddressFamily, "address family", {
        /// IP version 4.
        Ipv4 = "ipv4",
        /// IP version 6.
        Ipv6 = "ipv6",
    }
);

word_enum!(
    /// The class of traffic that the packets imitate.
    TrafficClass, "traffic class", {
        /// DSCP 46 (EF).
        Audio = "audio",
        /// DSCP 34 (AF41).
        Video = "video",
        /// DSCP 18 (AF21).
        Sharing = "sharing",
        /// DSCP 0.
        BestEffort = "best-effort",
    }
);

impl TrafficClass {
    /// The code point that Microsoft Teams marks this class with (QoS in Teams, table of classes).
    #[must_use]
    pub const fn dscp(self) -> Dscp {
        match self {
            Self::Audio => Dscp(46),
            Self::Video => Dscp(34),
            Self::Sharing => Dscp(18),
            Self::BestEffort => Dscp(0),
        }
    }
}

word_enum!(
    /// What carries the probe.
    Transport, "transport", {
        /// UDP datagrams.
        Udp = "udp",
        /// A TCP connection.
        Tcp = "tcp",
    }
);

word_enum!(
    /// A direction on a path.
    Direction, "direction", {
        /// Agent to target.
        Up = "up",
        /// Target to agent.
        Down = "down",
    }
);

/// A differentiated services code point, 0..=63 (RFC 2474).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dscp(u8);

impl Dscp {
    /// Checks that the value fits six bits.
    ///
    /// # Errors
    /// When it does not.
    pub fn new(value: u8) -> Result<Self, InvalidPath> {
        if value > 63 {
            return Err(InvalidPath { what: "DSCP", found: value.to_string() });
        }
        Ok(Self(value))
    }

    /// The code point of a received TOS or traffic-class byte.
    #[must_use]
    pub const fn from_tos(tos: u8) -> Self {
        Self(tos >> 2)
    }

    /// The TOS or traffic-class byte with this code point and Not-ECT.
    #[must_use]
    pub const fn to_tos(self) -> u8 {
        self.0 << 2
    }

    /// The code point as a number.
    #[must_use]
    pub const fn value(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Dscp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("DF"),
            46 => f.write_str("EF"),
            n @ (8 | 16 | 24 | 32 | 40 | 48 | 56) => write!(f, "CS{}", n >> 3),
            n @ (10 | 12 | 14 | 18 | 20 | 22 | 26 | 28 | 30 | 34 | 36 | 38) => {
                write!(f, "AF{}{}", n >> 3, (n & 7) >> 1)
            }
            n => write!(f, "{n}"),
        }
    }
}

macro_rules! bounded_name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The longest name, in bytes.
            pub const MAX_BYTES: usize = $max;

            /// Checks length and characters.
            ///
            /// # Errors
            /// When the text is empty, too long, or holds control characters.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidPath> {
                let text = text.into();
                let fits = !text.is_empty() && text.len() <= $max;
                if !fits || text.chars().any(char::is_control) {
                    let found = text.chars().take($max).collect();
                    return Err(InvalidPath { what: $what, found });
                }
                Ok(Self(text.into()))
            }

            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

bounded_name!(
    /// What a probe talks to, as configured: a name or address with a port. The resolved address is
    /// evidence, kept with each record.
    TargetName, "target", 255
);
bounded_name!(
    /// The name of what a probe sends (rate, sizes, pacing, DSCP), such as `audio-50`.
    ProfileName, "profile", 64
);

/// The link that a path leaves the machine on: its kind and the operating system's interface name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    kind: LinkKind,
    interface: Arc<str>,
}

impl Link {
    /// Checks the interface name.
    ///
    /// # Errors
    /// When the name is empty, longer than 64 bytes, or holds control characters.
    pub fn new(kind: LinkKind, interface: impl Into<String>) -> Result<Self, InvalidPath> {
        let interface = interface.into();
        let fits = !interface.is_empty() && interface.len() <= 64;
        if !fits || interface.chars().any(char::is_control) {
            return Err(InvalidPath { what: "interface", found: interface });
        }
        Ok(Self { kind, interface: interface.into() })
    }

    /// The kind of link.
    #[must_use]
    pub const fn kind(&self) -> LinkKind {
        self.kind
    }

    /// The operating system's name of the interface.
    #[must_use]
    pub fn interface(&self) -> &str {
        &self.interface
    }
}

/// A path as one agent names it; together with the agent it is the path that is stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathKey {
    /// The link packets leave on.
    pub link: Link,
    /// The address family.
    pub family: AddressFamily,
    /// What is talked to.
    pub target: TargetName,
    /// The class of traffic.
    pub class: TrafficClass,
    /// What is sent.
    pub profile: ProfileName,
    /// What carries it.
    pub transport: Transport,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for &kind in LinkKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        for &class in TrafficClass::ALL {
            assert_eq!(class.as_str().parse(), Ok(class));
        }
        assert!("token ring".parse::<LinkKind>().is_err());
    }

    #[test]
    fn code_points_have_their_names() {
        let name = |value| Dscp::new(value).unwrap().to_string();
        assert_eq!(name(46), "EF");
        assert_eq!(name(34), "AF41");
        assert_eq!(name(18), "AF21");
        assert_eq!(name(8), "CS1");
        assert_eq!(name(0), "DF");
        assert_eq!(name(3), "3");
        assert!(Dscp::new(64).is_err());
    }

    #[test]
    fn names_are_bounded_and_printable() {
        assert!(TargetName::new("").is_err());
        assert!(TargetName::new("a".repeat(256)).is_err());
        assert!(TargetName::new("a\nb").is_err());
        assert_eq!(
            TargetName::new("reflector.example:862").unwrap().as_str(),
            "reflector.example:862"
        );
    }
}
