//! The values of TLVs with a fixed layout (RFC 8972 sections 4.3 to 4.7).

use busyhour_model::Dscp;

use crate::WireTimestamp;
use crate::tlv::{MalformedTlv, TLV_HEADER_LEN};

/// The length of a Class of Service TLV with its header.
pub const COS_TLV_LEN: usize = TLV_HEADER_LEN + ClassOfService::LEN;

/// Takes a value apart that must have exactly this length.
fn exactly<const N: usize>(value: &[u8]) -> Result<&[u8; N], MalformedTlv> {
    value.try_into().map_err(|_| MalformedTlv { offset: 0 })
}

/// The value of a Class of Service TLV (RFC 8972 section 4.4 with erratum 8199, and
/// draft-ietf-ippm-stamp-cos-ecn-01 for EC1 and RPE):
/// `DSCP1(6) DSCP2(6) EC2(2) RP(2) EC1(2) RPE(2) Reserved(12)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassOfService {
    /// DSCP1: what the sender wants the answer marked with.
    pub wanted: Dscp,
    /// DSCP2: what the sender's packet was marked with when the reflector received it.
    pub received: Dscp,
    /// EC2: the ECN bits that the reflector received, 0..=3.
    pub received_ecn: u8,
    /// RP: 0 when the reflector marks its answer as wanted, 1 when its policy forbids that.
    pub refused: u8,
    /// EC1: the ECN bits that the sender wants on the answer, 0..=3.
    pub wanted_ecn: u8,
    /// RPE: 0 from a reflector that knows nothing of EC1, 3 when the answer bears what was wanted, 2
    /// when it could not be set and the answer is Not-ECT. Implementations differ; the answer's own
    /// header tells the truth.
    pub ecn_refused: u8,
    /// Reserved, 12 bits; kept as it came.
    pub reserved: u16,
}

impl ClassOfService {
    /// The length of a value, in octets.
    pub const LEN: usize = 4;

    /// What a sender writes that wants nothing of ECN: the wish, and nothing else.
    #[must_use]
    pub fn request(wanted: Dscp) -> Self {
        Self::request_with_ecn(wanted, 0)
    }

    /// What a sender writes: both wishes, and nothing else. `wanted_ecn` is taken modulo 4.
    #[must_use]
    pub fn request_with_ecn(wanted: Dscp, wanted_ecn: u8) -> Self {
        Self {
            wanted,
            received: Dscp::from_tos(0),
            received_ecn: 0,
            refused: 0,
            wanted_ecn: wanted_ecn & 3,
            ecn_refused: 0,
            reserved: 0,
        }
    }

    /// Reads a value.
    ///
    /// # Errors
    /// When it is not four octets long.
    pub fn parse(value: &[u8]) -> Result<Self, MalformedTlv> {
        let &[a, b, c, d] = exactly(value)?;
        Ok(Self {
            wanted: Dscp::from_tos(a),
            received: Dscp::from_tos((a << 6) | (b >> 4) << 2),
            received_ecn: b >> 2 & 3,
            refused: b & 3,
            wanted_ecn: c >> 6,
            ecn_refused: c >> 4 & 3,
            reserved: u16::from_be_bytes([c & 15, d]),
        })
    }

    /// Writes the value.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; Self::LEN] {
        let received = self.received.value();
        let [high, low] = self.reserved.to_be_bytes();
        [
            self.wanted.to_tos() | received >> 4,
            received << 4 | (self.received_ecn & 3) << 2 | self.refused & 3,
            (self.wanted_ecn & 3) << 6 | (self.ecn_refused & 3) << 4 | high & 15,
            low,
        ]
    }
}

/// The value of a Timestamp Information TLV (RFC 8972 section 4.3): where the reflector's clock gets its
/// time from, and how it took its timestamps. A sender writes zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimestampInformation {
    /// The source of the clock that received, one of the `SYNC_` constants.
    pub sync_in: u8,
    /// How the receive time was taken, one of the `METHOD_` constants.
    pub method_in: u8,
    /// The source of the clock that sent.
    pub sync_out: u8,
    /// How the transmit time was taken.
    pub method_out: u8,
}

impl TimestampInformation {
    /// The length of a value, in octets.
    pub const LEN: usize = 4;
    /// The clock follows NTP.
    pub const SYNC_NTP: u8 = 1;
    /// The clock follows PTP.
    pub const SYNC_PTP: u8 = 2;
    /// The clock follows SSU or BITS.
    pub const SYNC_SSU_BITS: u8 = 3;
    /// The clock follows a satellite system.
    pub const SYNC_GNSS: u8 = 4;
    /// The clock runs free.
    pub const SYNC_FREE_RUNNING: u8 = 5;
    /// Hardware helped.
    pub const METHOD_HARDWARE: u8 = 1;
    /// Software, on the way of the packet.
    pub const METHOD_SOFTWARE: u8 = 2;
    /// The control plane, away from the packet.
    pub const METHOD_CONTROL_PLANE: u8 = 3;

    /// Reads a value.
    ///
    /// # Errors
    /// When it is not four octets long.
    pub fn parse(value: &[u8]) -> Result<Self, MalformedTlv> {
        let &[sync_in, method_in, sync_out, method_out] = exactly(value)?;
        Ok(Self { sync_in, method_in, sync_out, method_out })
    }

    /// Writes the value.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; Self::LEN] {
        [self.sync_in, self.method_in, self.sync_out, self.method_out]
    }

    /// The name of a source of time.
    #[must_use]
    pub const fn sync_name(sync: u8) -> Option<&'static str> {
        Some(match sync {
            Self::SYNC_NTP => "NTP",
            Self::SYNC_PTP => "PTP",
            Self::SYNC_SSU_BITS => "SSU/BITS",
            Self::SYNC_GNSS => "GNSS",
            Self::SYNC_FREE_RUNNING => "local, free-running",
            _ => return None,
        })
    }

    /// The name of a way of taking timestamps.
    #[must_use]
    pub const fn method_name(method: u8) -> Option<&'static str> {
        Some(match method {
            Self::METHOD_HARDWARE => "hardware assist",
            Self::METHOD_SOFTWARE => "software, local",
            Self::METHOD_CONTROL_PLANE => "control plane",
            _ => return None,
        })
    }
}

/// The value of a Direct Measurement TLV (RFC 8972 section 4.5): counters of one session's test packets.
/// They wrap around.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DirectMeasurement {
    /// What the sender has sent, this packet included.
    pub sender_tx: u32,
    /// What the reflector has received, this packet included.
    pub reflector_rx: u32,
    /// What the reflector has sent, this answer included.
    pub reflector_tx: u32,
}

impl DirectMeasurement {
    /// The length of a value, in octets.
    pub const LEN: usize = 12;

    /// Reads a value.
    ///
    /// # Errors
    /// When it is not twelve octets long.
    pub fn parse(value: &[u8]) -> Result<Self, MalformedTlv> {
        let &[a, b, c, d, e, f, g, h, i, j, k, l] = exactly(value)?;
        Ok(Self {
            sender_tx: u32::from_be_bytes([a, b, c, d]),
            reflector_rx: u32::from_be_bytes([e, f, g, h]),
            reflector_tx: u32::from_be_bytes([i, j, k, l]),
        })
    }

    /// Writes the value.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut value = [0; Self::LEN];
        value[..4].copy_from_slice(&self.sender_tx.to_be_bytes());
        value[4..8].copy_from_slice(&self.reflector_rx.to_be_bytes());
        value[8..].copy_from_slice(&self.reflector_tx.to_be_bytes());
        value
    }
}

/// The value of a Follow-Up Telemetry TLV (RFC 8972 section 4.7): when the reflector's previous answer
/// really left. A sender writes zeros, and so does a stateless reflector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FollowUp {
    /// The reflector's sequence number of the answer that this is about.
    pub sequence: u32,
    /// When that answer left, in the format of the reflector's error estimate.
    pub sent: WireTimestamp,
    /// How that was found out, one of [`TimestampInformation`]'s `METHOD_` constants.
    pub method: u8,
}

impl FollowUp {
    /// The length of a value, in octets; the last three are reserved.
    pub const LEN: usize = 16;

    /// Reads a value.
    ///
    /// # Errors
    /// When it is not sixteen octets long.
    pub fn parse(value: &[u8]) -> Result<Self, MalformedTlv> {
        let &[a, b, c, d, e, f, g, h, i, j, k, l, method, _, _, _] = exactly(value)?;
        Ok(Self {
            sequence: u32::from_be_bytes([a, b, c, d]),
            sent: WireTimestamp(u64::from_be_bytes([e, f, g, h, i, j, k, l])),
            method,
        })
    }

    /// Writes the value; reserved octets are zero.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut value = [0; Self::LEN];
        value[..4].copy_from_slice(&self.sequence.to_be_bytes());
        value[4..12].copy_from_slice(&self.sent.0.to_be_bytes());
        value[12] = self.method;
        value
    }
}

/// The value of an Access Report TLV (RFC 8972 section 4.6): whether a 3GPP or another access is
/// available.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccessReport {
    /// Which access, 0..=15: 1 is 3GPP, 2 any other.
    pub access: u8,
    /// 1 when it is available, 2 when it is not.
    pub return_code: u8,
}

impl AccessReport {
    /// The length of a value, in octets.
    pub const LEN: usize = 4;

    /// Reads a value.
    ///
    /// # Errors
    /// When it is not four octets long.
    pub fn parse(value: &[u8]) -> Result<Self, MalformedTlv> {
        let &[access, return_code, _, _] = exactly(value)?;
        Ok(Self { access: access >> 4, return_code })
    }

    /// Writes the value; reserved bits are zero.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; Self::LEN] {
        [self.access << 4, self.return_code, 0, 0]
    }
}
