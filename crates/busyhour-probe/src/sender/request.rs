//! Requests: what is in them, and how they get their size.

use busyhour_wire::{
    CLASS_OF_SERVICE, ClassOfService, DIRECT_MEASUREMENT, DirectMeasurement, EXTRA_PADDING,
    FLAG_UNRECOGNIZED, FOLLOW_UP, FollowUp, HMAC, LOCATION, Location, Mode, SenderPacket, TAG_LEN,
    TIMESTAMP_INFORMATION, TLV_HEADER_LEN, TimestampInformation, Tlv, seal, seal_tlvs, write_tlv,
};

use super::{InvalidSession, Security, SenderConfig, Telemetry};

/// Requests at the beginning of each window that ask where they arrive and how they are timed there.
/// One answer is enough; two may get lost.
const OPENING: u32 = 3;

/// A request whose TLVs are written.
#[derive(Debug)]
struct Form {
    packet: Vec<u8>,
    /// Where the value of Direct Measurement begins.
    direct: Option<usize>,
}

/// Builds requests in place.
#[derive(Debug)]
pub(super) struct Requests {
    usual: Form,
    opening: Form,
    base: Vec<u8>,
}

impl Requests {
    pub(super) fn new(config: &SenderConfig) -> Result<Self, InvalidSession> {
        if config.ssid == 0 {
            return Err(InvalidSession::NoIdentifier);
        }
        let base = Vec::with_capacity(config.security.mode().base_len());
        Ok(Self { usual: form(config, false)?, opening: form(config, true)?, base })
    }

    /// Writes a request, the `number`th of its window; `sent` is how many were sent with it.
    pub(super) fn write(
        &mut self,
        config: &SenderConfig,
        base: &SenderPacket,
        number: u32,
        sent: u32,
    ) -> &[u8] {
        let mode = config.security.mode();
        let form = if number < OPENING { &mut self.opening } else { &mut self.usual };
        self.base.clear();
        base.write(mode, &mut self.base);
        form.packet[..self.base.len()].copy_from_slice(&self.base);
        if let Some(at) = form.direct {
            let direct = DirectMeasurement { sender_tx: sent, ..DirectMeasurement::default() };
            form.packet[at..at + DirectMeasurement::LEN].copy_from_slice(&direct.to_bytes());
        }
        if let Some(key) = config.security.key() {
            if mode == Mode::Authenticated {
                seal(&mut form.packet, key);
            }
            seal_tlvs(mode, &mut form.packet, key);
        }
        &form.packet
    }
}

/// What a TLV of a request says before it is sent.
fn value(kind: u8, config: &SenderConfig) -> Vec<u8> {
    let profile = &config.profile;
    match kind {
        CLASS_OF_SERVICE => {
            let class = ClassOfService::request_with_ecn(profile.dscp(), profile.ecn().bits());
            class.to_bytes().to_vec()
        }
        LOCATION => Location::ports_request().to_vec(),
        TIMESTAMP_INFORMATION => vec![0; TimestampInformation::LEN],
        DIRECT_MEASUREMENT => vec![0; DirectMeasurement::LEN],
        FOLLOW_UP => vec![0; FollowUp::LEN],
        HMAC => vec![0; TAG_LEN],
        _ => Vec::new(),
    }
}

/// Chooses TLVs that fit, in the order of their worth, and fills the packet to the profile's size with
/// octets that no link compresses (RFC 8972 section 4.1 asks for pseudorandom ones). Where less is left
/// than a TLV's header takes, the packet is up to three octets shorter.
fn form(config: &SenderConfig, opening: bool) -> Result<Form, InvalidSession> {
    let length = config.profile.payload_bytes(config.peer.ip());
    let asks = config.peer_profile.tlvs && config.telemetry != Telemetry::Nothing;
    let sealed = config.security.key().is_some() && asks;
    if matches!(config.security, Security::Tlvs(_)) && !asks {
        return Err(InvalidSession::TlvsUnknown);
    }
    let mut needed = config.security.mode().base_len();
    let mut wanted: Vec<u8> = Vec::new();
    if asks {
        wanted.push(CLASS_OF_SERVICE);
        needed += TLV_HEADER_LEN + ClassOfService::LEN;
    }
    if sealed {
        needed += TLV_HEADER_LEN + TAG_LEN;
    }
    let mut room =
        length.checked_sub(needed).ok_or(InvalidSession::TooSmall { needed, room: length })?;
    let extras: &[u8] = match (asks && config.telemetry == Telemetry::Full, opening) {
        (false, _) => &[],
        (true, false) => &[DIRECT_MEASUREMENT, FOLLOW_UP],
        (true, true) => &[LOCATION, TIMESTAMP_INFORMATION, DIRECT_MEASUREMENT],
    };
    for &kind in extras {
        let takes = TLV_HEADER_LEN + value(kind, config).len();
        if let Some(left) = room.checked_sub(takes) {
            wanted.push(kind);
            room = left;
        }
    }
    if sealed {
        // Last but for padding, which it does not cover (RFC 8972 section 4.8).
        wanted.push(HMAC);
    }
    Ok(write(config, &wanted, length))
}

fn write(config: &SenderConfig, wanted: &[u8], length: usize) -> Form {
    let mut packet = Vec::with_capacity(length);
    packet.resize(config.security.mode().base_len(), 0);
    let (flags, mut direct) = (FLAG_UNRECOGNIZED, None);
    for &kind in wanted {
        if kind == DIRECT_MEASUREMENT {
            direct = Some(packet.len() + TLV_HEADER_LEN);
        }
        write_tlv(&mut packet, &Tlv { flags, kind, value: &value(kind, config) });
    }
    if let Some(room) = length.checked_sub(packet.len() + TLV_HEADER_LEN) {
        let mut state = u64::from(config.ssid);
        let value: Vec<u8> = (0..room).map(|_| split_mix(&mut state)).collect();
        write_tlv(&mut packet, &Tlv { flags, kind: EXTRA_PADDING, value: &value });
    }
    Form { packet, direct }
}

/// One octet of the splitmix64 sequence (G. Steele, D. Lea, C. Flood, OOPSLA 2014).
fn split_mix(state: &mut u64) -> u8 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z >> 56) as u8
}
