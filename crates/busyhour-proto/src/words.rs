//! Enumerations, word for word. The zero of the wire means "not said" and is never valid.

use busyhour_model::{
    AddressFamily, CheckOutcome, Ecn, GapReason, LinkKind, TimestampMethod, TrafficClass, Transport,
};

use crate::RecordError;
use crate::v1;

/// An enumeration of the model that has a number on the wire.
pub(crate) trait Word: Sized {
    fn to_wire(self) -> i32;
    fn from_wire(number: i32) -> Result<Self, RecordError>;
}

macro_rules! word {
    ($field:literal, $name:ident { $($variant:ident),+ }) => {
        impl Word for $name {
            fn to_wire(self) -> i32 {
                match self {
                    $(Self::$variant => v1::$name::$variant as i32,)+
                }
            }

            fn from_wire(number: i32) -> Result<Self, RecordError> {
                match v1::$name::try_from(number) {
                    $(Ok(v1::$name::$variant) => Ok(Self::$variant),)+
                    Ok(v1::$name::Unspecified) | Err(_) => {
                        Err(RecordError::UnknownWord { field: $field, found: number })
                    }
                }
            }
        }
    };
}

word!("link", LinkKind { Wired, Wifi, Vpn, Mobile, Loopback });
word!("family", AddressFamily { Ipv4, Ipv6 });
word!("class", TrafficClass { Audio, Video, Sharing, BestEffort });
word!("transport", Transport { Udp, Tcp });
word!("timestamp method", TimestampMethod { User, Kernel, Hardware });
word!("ECN code point", Ecn { NotEct, Ect1, Ect0, Ce });
word!("outcome", CheckOutcome { Pass, Fail, Timeout, NotRun });
word!(
    "gap reason",
    GapReason {
        Asleep,
        NotRunning,
        SpoolFull,
        SpoolFailed,
        ClockStep,
        Unresolved,
        Quarantined,
        Paused,
        OnBattery,
        Metered
    }
);
