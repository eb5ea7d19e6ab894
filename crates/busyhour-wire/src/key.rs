//! The key of a session: HMAC-SHA-256, cut to 128 bits (RFC 8762 section 4.4).

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The length of a tag, in octets.
pub const TAG_LEN: usize = 16;

/// A shared secret, ready for use: what HMAC computes from the secret alone is computed once, so that a
/// tag costs only the octets it covers and two rounds more. It says nothing of itself when printed.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// Takes a secret of any length; RFC 2104 wants at least 32 octets of chance.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(Hmac::new_from_slice(secret).expect("HMAC takes keys of any length"))
    }

    /// The octets of a secret that stands in a file of one line: the line's own, or behind `hex:` those
    /// of its hexadecimal digits. `None` when there are none, or the digits are not pairs of such.
    #[must_use]
    pub fn octets_of_line(line: &str) -> Option<Vec<u8>> {
        let Some(digits) = line.strip_prefix("hex:") else {
            return (!line.is_empty()).then(|| line.as_bytes().to_vec());
        };
        let digit = |digit: u8| char::from(digit).to_digit(16);
        let octet = |pair: &[u8]| match *pair {
            [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
            _ => None,
        };
        let octets: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(octet).collect();
        octets.filter(|octets| !octets.is_empty())
    }

    /// The tag of these octets, one part after the other.
    #[must_use]
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; TAG_LEN] {
        let whole = self.over(parts).finalize().into_bytes();
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&whole[..TAG_LEN]);
        tag
    }

    /// True when `tag` is the tag of these octets. Takes the same time wherever the two differ.
    #[must_use]
    pub fn verifies(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        tag.len() == TAG_LEN && self.over(parts).verify_truncated_left(tag).is_ok()
    }

    fn over(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        mac
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}
