//! Whose request it is: its mode, its session's identifier and the key it verifies under.

use std::net::IpAddr;

use busyhour_wire::{
    AUTHENTICATED_BASE_LEN, BASE_LEN, Key, Mode, SenderPacket, TlvIntegrity, check_tlvs, is_sealed,
};
use ipnet::IpNet;

use super::{Admission, ReflectorConfig};

/// A packet of a TWAMP-Light sender without padding: sequence number, timestamp and error estimate.
const SHORTEST: usize = 14;

/// Which key, as a session remembers it: 0 for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct KeyId(u16);

impl KeyId {
    pub(super) const NONE: Self = Self(0);

    pub(super) const fn is_key(self) -> bool {
        self.0 != 0
    }

    pub(super) const fn number(self) -> u16 {
        self.0
    }
}

/// A request that is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) mode: Mode,
    pub(super) packet: SenderPacket,
    pub(super) key: KeyId,
    /// Whether its TLVs may be used.
    pub(super) tlvs_intact: bool,
}

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Short,
    NotAllowed,
    NotProvisioned,
    NotAuthentic,
}

/// A provisioned session, its key among the others.
#[derive(Debug)]
struct Provision {
    ssid: u16,
    source: Option<IpNet>,
    key: KeyId,
    short_requests: bool,
}

impl Provision {
    fn covers(&self, from: IpAddr) -> bool {
        self.source.is_none_or(|net| net.contains(&from))
    }
}

/// Knows who may be answered.
#[derive(Debug)]
pub(super) struct Gate {
    allow: Vec<IpNet>,
    /// Sorted by identifier; none in a permissive reflector.
    provisioned: Option<Vec<Provision>>,
    /// The reflector's own, then those of provisioned sessions.
    keys: Vec<Key>,
    own_keys: usize,
    require_key: bool,
}

impl Gate {
    pub(super) fn new(config: &ReflectorConfig) -> Self {
        let mut keys = config.keys.clone();
        keys.truncate(usize::from(u16::MAX) / 2);
        let own_keys = keys.len();
        let provisioned = match &config.admission {
            Admission::Permissive => None,
            Admission::Provisioned(sessions) => {
                let mut provisioned = Vec::with_capacity(sessions.len());
                for session in sessions {
                    let key = match &session.key {
                        None => KeyId::NONE,
                        Some(key) => {
                            keys.push(key.clone());
                            // There are no more than identifiers.
                            KeyId(u16::try_from(keys.len()).unwrap_or(u16::MAX))
                        }
                    };
                    let anybody = session.source.is_none_or(|net| net.prefix_len() == 0);
                    provisioned.push(Provision {
                        ssid: session.ssid,
                        source: session.source,
                        key,
                        short_requests: session.short_requests && !anybody && !key.is_key(),
                    });
                }
                provisioned.sort_by_key(|session| session.ssid);
                Some(provisioned)
            }
        };
        let require_key = config.require_key;
        Self { allow: config.allow.clone(), provisioned, keys, own_keys, require_key }
    }

    pub(super) fn key(&self, id: KeyId) -> Option<&Key> {
        self.keys.get(usize::from(id.0).checked_sub(1)?)
    }

    /// Whose request this is. Nothing of what it says is used before it verified, but its identifier,
    /// which says under which key it should.
    ///
    /// A request is of authenticated mode when it bears the zeros of that mode (RFC 8762 section 4.2.2)
    /// where the other one has its timestamp, and verifies under a key that it may have. Otherwise it is
    /// of unauthenticated mode, where an HMAC TLV verifies it.
    pub(super) fn identify(&self, bytes: &[u8], from: IpAddr) -> Result<Identity, Refusal> {
        let from = from.to_canonical();
        if !self.allow.is_empty() && !self.allow.iter().any(|net| net.contains(&from)) {
            return Err(Refusal::NotAllowed);
        }
        if bytes.len() < BASE_LEN {
            return self.identify_short(bytes, from);
        }
        if !self.keys.is_empty() && has_authenticated_zeros(bytes) {
            match self.identify_as(Mode::Authenticated, bytes, from) {
                // Perhaps one of the other mode whose sender has no clock.
                Err(Refusal::NotProvisioned) if self.provisioned.is_some() => {}
                told => return told,
            }
        }
        self.identify_as(Mode::Unauthenticated, bytes, from)
    }

    fn identify_as(&self, mode: Mode, bytes: &[u8], from: IpAddr) -> Result<Identity, Refusal> {
        let Ok((packet, _)) = SenderPacket::parse(mode, bytes) else { return Err(Refusal::Short) };
        let Some(provisioned) = &self.provisioned else {
            return self.verify(mode, bytes, packet, KeyId::NONE);
        };
        let mut refusal = Refusal::NotProvisioned;
        for session in of_ssid(provisioned, packet.ssid).filter(|session| session.covers(from)) {
            match self.verify(mode, bytes, packet, session.key) {
                Err(refused) => refusal = refused,
                identified => return identified,
            }
        }
        Err(refusal)
    }

    /// Verifies a request under the key that it must have, or any of the reflector's own.
    fn verify(
        &self,
        mode: Mode,
        bytes: &[u8],
        packet: SenderPacket,
        must: KeyId,
    ) -> Result<Identity, Refusal> {
        let identity = |key, tlvs_intact| Identity { mode, packet, key, tlvs_intact };
        let mut any_tag = false;
        for id in self.candidates(must) {
            let key = self.key(id);
            if mode == Mode::Authenticated {
                if key.is_some_and(|key| is_sealed(bytes, key)) {
                    let intact = check_tlvs(mode, bytes, key) != TlvIntegrity::Invalid;
                    return Ok(identity(id, intact));
                }
                continue;
            }
            match check_tlvs(mode, bytes, key) {
                TlvIntegrity::Valid => return Ok(identity(id, true)),
                TlvIntegrity::Absent => break,
                TlvIntegrity::Invalid | TlvIntegrity::Unchecked => any_tag = true,
            }
        }
        if mode == Mode::Authenticated || self.require_key || must.is_key() {
            return Err(Refusal::NotAuthentic);
        }
        // TLVs that cannot be verified must not be used (RFC 8972 section 4.8).
        let unverified =
            any_tag || self.own_keys == 0 && check_tlvs(mode, bytes, None) != TlvIntegrity::Absent;
        Ok(identity(KeyId::NONE, !unverified))
    }

    fn candidates(&self, must: KeyId) -> impl Iterator<Item = KeyId> + use<> {
        let (first, last) =
            if must.is_key() { (must.0, must.0) } else { (1, self.own_keys as u16) };
        (first..=last).map(KeyId)
    }

    /// A request shorter than the base packet, of a source that was said to send such (RFC 8762 section
    /// 4.6): what is missing is zero.
    fn identify_short(&self, bytes: &[u8], from: IpAddr) -> Result<Identity, Refusal> {
        let mut whole = [0; BASE_LEN];
        let Some(begin) = whole.get_mut(..bytes.len()) else { return Err(Refusal::Short) };
        begin.copy_from_slice(bytes);
        let Ok((packet, _)) = SenderPacket::parse(Mode::Unauthenticated, &whole) else {
            return Err(Refusal::Short);
        };
        let allowed = bytes.len() >= SHORTEST
            && !self.require_key
            && self.provisioned.as_ref().is_some_and(|provisioned| {
                of_ssid(provisioned, packet.ssid)
                    .any(|session| session.short_requests && session.covers(from))
            });
        if !allowed {
            return Err(Refusal::Short);
        }
        let (mode, key) = (Mode::Unauthenticated, KeyId::NONE);
        Ok(Identity { mode, packet, key, tlvs_intact: true })
    }
}

fn of_ssid(provisioned: &[Provision], ssid: u16) -> impl Iterator<Item = &Provision> {
    let first = provisioned.partition_point(|session| session.ssid < ssid);
    provisioned.iter().skip(first).take_while(move |session| session.ssid == ssid)
}

/// The octets between sequence number and timestamp are zero, as a sender of authenticated mode must
/// leave them; one of unauthenticated mode has its timestamp and error estimate there.
fn has_authenticated_zeros(bytes: &[u8]) -> bool {
    bytes.len() >= AUTHENTICATED_BASE_LEN
        && bytes.get(4..16).is_some_and(|octets| octets.iter().all(|octet| *octet == 0))
}
