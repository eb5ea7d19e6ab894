//! Requests as an agent sends them, and the places of what a reflector writes.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The shared key: as many octets as the hash has.
pub(crate) const KEY: &[u8; 32] = b"0123456789abcdef0123456789abcdef";

/// A prepared key.
pub(crate) type Prepared = Hmac<Sha256>;

/// Prepares the key once.
pub(crate) fn prepared() -> Prepared {
    Hmac::new_from_slice(KEY).expect("any length is a key")
}

/// HMAC-SHA-256 cut to 16 octets (RFC 8762 section 4.4).
pub(crate) fn tag(key: &Prepared, parts: &[&[u8]]) -> [u8; 16] {
    let mut mac = key.clone();
    for part in parts {
        mac.update(part);
    }
    let whole = mac.finalize().into_bytes();
    let mut cut = [0; 16];
    cut.copy_from_slice(&whole[..16]);
    cut
}

/// A form of request: open, 117 octets of payload, or authenticated with the HMAC TLV, 162 octets (IP
/// packets of 145 and 190 bytes). Both with Class of Service, Direct Measurement and Extra Padding.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) keyed: bool,
    /// Follow-Up Telemetry, too, which has the answers' departures stamped.
    pub(crate) follow_up: bool,
}

impl Form {
    /// Octets of payload.
    pub(crate) const fn len(self) -> usize {
        if self.keyed { 162 } else { 117 }
    }

    /// Where the TLVs begin.
    pub(crate) const fn base(self) -> usize {
        if self.keyed { 112 } else { 44 }
    }

    /// Where the transmit time, the error estimate and the session identifier lie.
    pub(crate) const fn time(self) -> (usize, usize, usize) {
        if self.keyed { (16, 24, 26) } else { (4, 12, 14) }
    }

    /// A request but for its number, session, time and tags.
    pub(crate) fn template(self) -> Vec<u8> {
        let mut request = vec![0; self.base()];
        let (_, estimate, _) = self.time();
        // Not synchronised, NTP format, one second.
        request[estimate..estimate + 2].copy_from_slice(&[32, 1]);
        request.extend_from_slice(&[0x80, 4, 0, 4, 46 << 2, 0, 0, 0]);
        request.extend_from_slice(&[0x80, 5, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        if self.follow_up {
            request.extend_from_slice(&[0x80, 7, 0, 16]);
            request.extend_from_slice(&[0; 16]);
        }
        if self.keyed {
            request.extend_from_slice(&[0x80, 8, 0, 16]);
            request.extend_from_slice(&[0; 16]);
        }
        let padding = self.len() - request.len() - 4;
        request.extend_from_slice(&[0x80, 1, 0, padding as u8]);
        request.resize(self.len(), 0x5a);
        request
    }

    /// Where the HMAC TLV lies.
    pub(crate) const fn tag_tlv(self) -> usize {
        self.base() + 8 + 16 + if self.follow_up { 20 } else { 0 }
    }

    /// Writes what differs from request to request.
    pub(crate) fn fill(
        self,
        request: &mut [u8],
        sequence: u32,
        ssid: u16,
        ntp: u64,
        key: &Prepared,
    ) {
        let (time, _, session) = self.time();
        request[..4].copy_from_slice(&sequence.to_be_bytes());
        request[time..time + 8].copy_from_slice(&ntp.to_be_bytes());
        request[session..session + 2].copy_from_slice(&ssid.to_be_bytes());
        if self.keyed {
            self.seal(request, key);
        }
    }

    /// Writes both tags.
    pub(crate) fn seal(self, packet: &mut [u8], key: &Prepared) {
        let base = tag(key, &[&packet[..96]]);
        packet[96..112].copy_from_slice(&base);
        let at = self.tag_tlv();
        let tlvs = tag(key, &[&packet[..4], &packet[self.base()..at]]);
        packet[at + 4..at + 20].copy_from_slice(&tlvs);
    }

    /// Checks both tags.
    pub(crate) fn is_sealed(self, packet: &[u8], key: &Prepared) -> bool {
        let at = self.tag_tlv();
        let tlvs = tag(key, &[&packet[..4], &packet[self.base()..at]]);
        tag(key, &[&packet[..96]]) == packet[96..112] && tlvs == packet[at + 4..at + 20]
    }
}

/// Nanoseconds of Unix time as an NTP timestamp.
pub(crate) fn ntp(unix_ns: i64) -> u64 {
    let unix_ns = unix_ns.unsigned_abs();
    let (seconds, nanos) = (unix_ns / 1_000_000_000, unix_ns % 1_000_000_000);
    ((seconds + 2_208_988_800) << 32) | ((nanos << 32) / 1_000_000_000)
}

/// The wall clock, in nanoseconds of Unix time.
pub(crate) fn wall_ns() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("the clock is set");
    i64::try_from(since.as_nanos()).expect("this century")
}
