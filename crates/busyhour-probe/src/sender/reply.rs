//! Answers: whether they are genuine, and what they say in their TLVs.

use busyhour_wire::{
    CLASS_OF_SERVICE, ClassOfService, DIRECT_MEASUREMENT, DirectMeasurement, FLAG_INTEGRITY,
    FLAG_MALFORMED, FLAG_UNRECOGNIZED, FOLLOW_UP, FollowUp, LOCATION, Location, ReflectorPacket,
    TIMESTAMP_INFORMATION, TimestampInformation, TlvIntegrity, Tlvs, check_tlvs, is_sealed,
};

use super::{Rejection, Security, SenderConfig, Telemetry};

/// What TWAMP Light reflectors answer at least: the base packet without the octets behind the time to
/// live (RFC 5357 section 4.2.1).
const SHORTEST: usize = 41;

/// What an answer says besides its base packet.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    pub(super) class: Option<ClassOfService>,
    pub(super) direct: Option<DirectMeasurement>,
    pub(super) follow_up: Option<FollowUp>,
    pub(super) timestamps: Option<TimestampInformation>,
    /// The port that the request came from, where it arrived.
    pub(super) source_port: Option<u16>,
    /// True when the reflector read a TLV.
    pub(super) tlvs: bool,
}

/// Reads an answer and checks its tags, before anything of it is used.
pub(super) fn read<'a>(
    config: &SenderConfig,
    bytes: &'a [u8],
) -> Result<(ReflectorPacket, &'a [u8]), Rejection> {
    let mode = config.security.mode();
    let parsed = ReflectorPacket::parse(mode, bytes).or_else(|truncated| {
        if bytes.len() < SHORTEST {
            return Err(truncated);
        }
        let mut whole = [0; busyhour_wire::BASE_LEN];
        whole.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        ReflectorPacket::parse(mode, &whole).map(|(reply, _)| (reply, &[][..]))
    });
    let (reply, tail) = parsed.map_err(|_| Rejection::Truncated)?;
    if let Security::Authenticated(key) = &config.security
        && !is_sealed(bytes, key)
    {
        return Err(Rejection::BadTag);
    }
    let asked = config.peer_profile.tlvs && config.telemetry != Telemetry::Nothing;
    let key = config.security.key().filter(|_| asked);
    match key.map(|key| check_tlvs(mode, bytes, Some(key))) {
        None | Some(TlvIntegrity::Valid) => Ok((reply, tail)),
        Some(TlvIntegrity::Absent) => Err(Rejection::MissingTag),
        Some(TlvIntegrity::Invalid | TlvIntegrity::Unchecked) if flagged(tail) => {
            Err(Rejection::IntegrityFlag)
        }
        Some(TlvIntegrity::Invalid | TlvIntegrity::Unchecked) => Err(Rejection::BadTag),
    }
}

/// True when the reflector says that it could not verify the request's TLVs.
fn flagged(tail: &[u8]) -> bool {
    Tlvs::new(tail).any(|tlv| tlv.is_ok_and(|tlv| tlv.flags & FLAG_INTEGRITY != 0))
}

/// Reads the TLVs of an answer (RFC 8972 section 4): one with U set is skipped, as the reflector did not
/// know it; one with M set ends the walk; one with I set makes all of them worthless.
pub(super) fn told(tail: &[u8]) -> Told {
    let mut told = Told::default();
    for tlv in Tlvs::new(tail) {
        let Ok(tlv) = tlv else { break };
        if tlv.flags & FLAG_INTEGRITY != 0 {
            return Told::default();
        }
        if tlv.flags & FLAG_MALFORMED != 0 {
            break;
        }
        if tlv.flags & FLAG_UNRECOGNIZED != 0 {
            continue;
        }
        match tlv.kind {
            CLASS_OF_SERVICE => told.class = ClassOfService::parse(tlv.value).ok(),
            DIRECT_MEASUREMENT => told.direct = DirectMeasurement::parse(tlv.value).ok(),
            FOLLOW_UP => told.follow_up = FollowUp::parse(tlv.value).ok(),
            TIMESTAMP_INFORMATION => {
                told.timestamps = TimestampInformation::parse(tlv.value).ok();
            }
            LOCATION => {
                let port = Location::parse(tlv.value).ok().map(|location| location.source_port);
                told.source_port = port.filter(|&port| port != 0);
            }
            _ => continue,
        }
        told.tlvs = true;
    }
    told
}
