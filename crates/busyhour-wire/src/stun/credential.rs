//! Keys of STUN's two credential mechanisms (RFC 8489 section 9).

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use sha1::Sha1;
use sha2::Sha256;
use thiserror::Error;

/// A realm or password with characters whose preparation (SASLprep, OpaqueString) is not known here:
/// anything but printable ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the STUN {what} has characters beyond printable ASCII, which are not supported")]
pub struct Unprepared {
    /// Which of them.
    pub what: &'static str,
}

/// A key for MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256. It says nothing of itself when printed.
#[derive(Clone)]
pub struct Credential {
    sha1: Hmac<Sha1>,
    sha256: Hmac<Sha256>,
}

impl Credential {
    /// The short-term mechanism: the password (RFC 8489 section 9.1.1).
    ///
    /// # Errors
    /// When the password is not of printable ASCII.
    pub fn short_term(password: &str) -> Result<Self, Unprepared> {
        Ok(Self::of(prepared("password", password)?.as_bytes()))
    }

    /// The long-term mechanism: MD5 of `username:realm:password` (RFC 8489 section 9.2.2). The username
    /// is taken as it goes over the wire.
    ///
    /// # Errors
    /// When the realm or the password is not of printable ASCII.
    pub fn long_term(username: &str, realm: &str, password: &str) -> Result<Self, Unprepared> {
        let mut digest = Md5::new();
        digest.update(username);
        digest.update(":");
        digest.update(prepared("realm", realm)?);
        digest.update(":");
        digest.update(prepared("password", password)?);
        Ok(Self::of(&digest.finalize()))
    }

    fn of(key: &[u8]) -> Self {
        Self {
            sha1: Hmac::new_from_slice(key).expect("HMAC takes keys of any length"),
            sha256: Hmac::new_from_slice(key).expect("HMAC takes keys of any length"),
        }
    }

    pub(super) fn tag_sha1(&self, covered: [&[u8]; 3]) -> [u8; 20] {
        let mut mac = self.sha1.clone();
        covered.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }

    pub(super) fn tag_sha256(&self, covered: [&[u8]; 3]) -> [u8; 32] {
        let mut mac = self.sha256.clone();
        covered.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }

    pub(super) fn verifies_sha1(&self, covered: [&[u8]; 3], tag: &[u8]) -> bool {
        let mut mac = self.sha1.clone();
        covered.iter().for_each(|part| mac.update(part));
        mac.verify_slice(tag).is_ok()
    }

    /// A tag that was cut is compared as far as it goes; the caller has checked its length.
    pub(super) fn verifies_sha256(&self, covered: [&[u8]; 3], tag: &[u8]) -> bool {
        let mut mac = self.sha256.clone();
        covered.iter().for_each(|part| mac.update(part));
        mac.verify_truncated_left(tag).is_ok()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential")
    }
}

fn prepared<'a>(what: &'static str, text: &'a str) -> Result<&'a str, Unprepared> {
    let plain = text.bytes().all(|octet| matches!(octet, b' '..=b'~'));
    if plain { Ok(text) } else { Err(Unprepared { what }) }
}
