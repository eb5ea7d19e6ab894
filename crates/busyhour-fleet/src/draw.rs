//! Randomness: from the operating system alone.

use busyhour_model::{AgentId, UtcMicros};
use busyhour_store::TokenId;
use thiserror::Error;

/// The operating system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the operating system gives no random bytes")]
pub struct NoRandomness;

pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// A serial number of 126 random bits: positive, and always 16 bytes long in DER.
pub(crate) fn serial() -> Result<[u8; 16], NoRandomness> {
    let mut serial = bytes::<16>()?;
    serial[0] = (serial[0] & 0x7f) | 0x40;
    Ok(serial)
}

/// A UUID of version 7 (RFC 9562, 5.7): the millisecond first, then 74 random bits.
pub(crate) fn agent(now: UtcMicros) -> Result<AgentId, NoRandomness> {
    let random = u128::from_be_bytes(bytes()?);
    let millis = u128::try_from(now.0.div_euclid(1_000)).unwrap_or_default() & 0xffff_ffff_ffff;
    let rest = random & !(0xffff_ffff_ffff_u128 << 80);
    let versioned = (rest & !(0xf_u128 << 76)) | (0x7_u128 << 76);
    let variant = (versioned & !(0x3_u128 << 62)) | (0x2_u128 << 62);
    Ok(AgentId::from_u128((millis << 80) | variant))
}

pub(crate) fn token() -> Result<TokenId, NoRandomness> {
    Ok(TokenId::from_bits(u64::from_be_bytes(bytes()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_uuids_of_version_seven_in_the_order_of_time() {
        let at = |millis: i64| agent(UtcMicros(millis * 1_000)).unwrap().to_string();
        let (early, late) = (at(1_789_977_600_000), at(1_789_977_600_001));
        assert!(early < late);
        assert!(early.starts_with("01a0c2fa-a000-7"), "{early}");
        assert!("89ab".contains(&early[19..20]), "{early}");
        assert_ne!(at(5), at(5));
    }

    #[test]
    fn serial_numbers_are_positive_and_sixteen_bytes_long() {
        for _ in 0..64 {
            assert_eq!(serial().unwrap()[0] & 0xc0, 0x40);
        }
    }
}
