//! Timestamps and error estimates of test packets.

use std::time::Duration;

const NANOS: u64 = 1_000_000_000;
/// Seconds from 1900-01-01 (the NTP epoch) to 1970-01-01.
const NTP_TO_UNIX: i64 = 2_208_988_800;
/// NTP seconds with the highest bit clear belong to the era after 2036-02-07 (RFC 4330 section 3).
const NTP_ERA_BIT: u32 = 1 << 31;
const NTP_ERA: i64 = 1 << 32;
/// TAI is ahead of UTC by this many seconds (since 2017; no leap second is announced).
const TAI_MINUS_UTC: i64 = 37;
/// The scale of an error estimate has six bits.
const MAX_SCALE: u8 = 63;

/// How a timestamp is written: the Z bit of the error estimate beside it (RFC 8186 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampFormat {
    /// NTP's 64 bits: seconds since 1900 and a binary fraction. The default.
    Ntp,
    /// PTPv2 truncated: 32 bits of TAI seconds and 32 bits of nanoseconds.
    Ptp,
}

/// Eight octets of time as they lie in a packet; what they mean depends on the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct WireTimestamp(pub u64);

impl WireTimestamp {
    /// Writes nanoseconds of Unix time. NTP loses nothing for moments from 1968 to 2104; PTP covers
    /// 1970 to 2106. Other moments wrap around.
    #[must_use]
    #[expect(
        clippy::cast_sign_loss,
        reason = "remainders are not negative; seconds wrap by design"
    )]
    pub const fn from_unix_ns(unix_ns: i64, format: TimestampFormat) -> Self {
        let seconds = unix_ns.div_euclid(NANOS as i64);
        let nanos = unix_ns.rem_euclid(NANOS as i64) as u64;
        let (seconds, fraction) = match format {
            // Rounded up, so that rounding down when decoding gives the same nanosecond.
            TimestampFormat::Ntp => {
                (seconds.wrapping_add(NTP_TO_UNIX), ((nanos << 32).div_ceil(NANOS)))
            }
            TimestampFormat::Ptp => (seconds.wrapping_add(TAI_MINUS_UTC), nanos),
        };
        Self((seconds as u64) << 32 | fraction)
    }

    /// The moment in nanoseconds of Unix time. `None` for zero (not set) and for PTP nanoseconds
    /// beyond one second, which are a sign that the peer's Z bit is wrong.
    #[must_use]
    pub const fn to_unix_ns(self, format: TimestampFormat) -> Option<i64> {
        if self.0 == 0 {
            return None;
        }
        let (seconds, fraction) = ((self.0 >> 32) as u32, self.0 & 0xffff_ffff);
        let (unix, nanos) = match format {
            TimestampFormat::Ntp => {
                let era = if seconds & NTP_ERA_BIT == 0 { NTP_ERA } else { 0 };
                (seconds as i64 + era - NTP_TO_UNIX, (fraction * NANOS) >> 32)
            }
            TimestampFormat::Ptp => (seconds as i64 - TAI_MINUS_UTC, fraction),
        };
        if nanos >= NANOS {
            return None;
        }
        Some(unix * NANOS as i64 + nanos as i64)
    }
}

/// What a sender of timestamps says of their quality (RFC 4656 section 4.1.2, RFC 8186 section 2.3):
/// `S(1) Z(1) Scale(6) Multiplier(8)`; the error in seconds is Multiplier × 2^(Scale − 32).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorEstimate(pub u16);

impl ErrorEstimate {
    /// An NTP-format clock that claims no synchronisation, with an error of one second.
    pub const UNSYNCHRONIZED: Self = Self(32 << 8 | 1);

    /// Builds an estimate; `scale` is taken modulo 64. A multiplier of zero is invalid on the wire
    /// and becomes one.
    #[must_use]
    pub const fn new(
        synchronized: bool,
        format: TimestampFormat,
        scale: u8,
        multiplier: u8,
    ) -> Self {
        let z = match format {
            TimestampFormat::Ntp => 0,
            TimestampFormat::Ptp => 1 << 14,
        };
        let multiplier = if multiplier == 0 { 1 } else { multiplier };
        let s = (synchronized as u16) << 15;
        Self(s | z | ((scale & 63) as u16) << 8 | multiplier as u16)
    }

    /// The estimate of a clock that is at most `error` off. It rounds up, by less than one part in 128
    /// and never below 2^-32 s; errors beyond what can be written become the largest one.
    #[must_use]
    pub fn from_error(synchronized: bool, format: TimestampFormat, error: Duration) -> Self {
        let units = (error.as_nanos() << 32).div_ceil(u128::from(NANOS));
        let fits = |scale: &u8| units.div_ceil(1 << *scale) <= u128::from(u8::MAX);
        let scale = (0..MAX_SCALE).find(fits).unwrap_or(MAX_SCALE);
        let multiplier = u8::try_from(units.div_ceil(1 << scale)).unwrap_or(u8::MAX);
        Self::new(synchronized, format, scale, multiplier)
    }

    /// True when the clock claims to follow an external source.
    #[must_use]
    pub const fn synchronized(self) -> bool {
        self.0 >> 15 == 1
    }

    /// The format of the timestamps that this estimate covers.
    #[must_use]
    pub const fn format(self) -> TimestampFormat {
        if self.0 & 1 << 14 == 0 { TimestampFormat::Ntp } else { TimestampFormat::Ptp }
    }

    /// The error in seconds; `None` when the multiplier is zero, which means nothing.
    #[must_use]
    pub fn seconds(self) -> Option<f64> {
        let (scale, multiplier) = (i32::from(self.0 >> 8 & 63), self.0 & 0xff);
        (multiplier != 0).then(|| f64::from(multiplier) * 2f64.powi(scale - 32))
    }
}
