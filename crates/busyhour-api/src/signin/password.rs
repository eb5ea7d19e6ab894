//! Passwords: Argon2id (RFC 9106) with the cost that OWASP's cheat sheet names, kept as PHC strings.

use std::sync::LazyLock;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq as _;
use thiserror::Error;

use crate::problem::Problem;

/// Memory of one computation, in KiB; two at once are computed ([`super::MAX_HASHES`]).
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// What a kept string may ask for: no more than a hundred times the memory of today's.
const MAX_MEMORY_KIB: u32 = 2 * 1_024 * 1_024;
const MAX_PASSES: u32 = 64;
/// The shortest password that is taken, in characters; nothing else is asked of it (NIST SP 800-63B).
const MIN_CHARACTERS: usize = 12;
/// The longest, in bytes: longer ones cost work and add nothing.
pub(crate) const MAX_BYTES: usize = 1_024;

/// What is compared with when there is no such user: the same work.
static NOBODY: LazyLock<String> =
    LazyLock::new(|| compute(b"nobody's password", [0; SALT_BYTES]).unwrap_or_default());

/// Checks that a password can be taken.
pub(crate) fn check_new(password: &str, name: &str) -> Result<(), Problem> {
    let refuse = |detail: &str| Err(Problem::unprocessable(detail, Vec::new()));
    if password.chars().count() < MIN_CHARACTERS {
        return refuse("a password has at least 12 characters");
    }
    if password.len() > MAX_BYTES {
        return refuse("a password has at most 1024 bytes");
    }
    if password.to_lowercase().contains(name) && password.len() < name.len() + MIN_CHARACTERS {
        return refuse("a password is not made of the user's name");
    }
    Ok(())
}

/// A password that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct InvalidPassword(String);

/// What is kept of a new password of a user, for who sets it beside the API: at the machine itself.
/// Blocks for some tens of milliseconds.
///
/// # Errors
/// When the password is too short, too long, or the user's name.
pub fn new_password(password: &str, name: &str) -> Result<String, InvalidPassword> {
    let invalid = |problem: Problem| InvalidPassword(problem.detail().to_owned());
    check_new(password, name).and_then(|()| hash(password)).map_err(invalid)
}

/// What is kept of a password. Blocks for some tens of milliseconds.
pub(crate) fn hash(password: &str) -> Result<String, Problem> {
    let mut salt = [0u8; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "the system gave no randomness");
        Problem::internal()
    })?;
    compute(password.as_bytes(), salt).ok_or_else(Problem::internal)
}

/// True when the password is the one that was kept; with nothing kept it is none, after the same work.
pub(crate) fn verify(password: &str, kept: Option<&str>) -> bool {
    let known = kept.is_some();
    let parsed = Kept::parse(kept.unwrap_or(&NOBODY));
    let Some(parsed) = parsed.filter(|_| password.len() <= MAX_BYTES) else { return false };
    parsed.is_of(password.as_bytes()) && known
}

/// A kept string, taken apart.
struct Kept {
    cost: Params,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Kept {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("$argon2id$v=19$")?.split('$');
        let (cost, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let mut costs = cost.split(',');
        let mut number = |name: &str| costs.next()?.strip_prefix(name)?.parse::<u32>().ok();
        let (memory, passes, lanes) = (number("m=")?, number("t=")?, number("p=")?);
        if memory > MAX_MEMORY_KIB || passes > MAX_PASSES || lanes != LANES {
            return None;
        }
        let hash = STANDARD_NO_PAD.decode(hash).ok().filter(|hash| hash.len() == HASH_BYTES)?;
        Some(Self {
            cost: Params::new(memory, passes, lanes, Some(HASH_BYTES)).ok()?,
            salt: STANDARD_NO_PAD.decode(salt).ok()?,
            hash,
        })
    }

    fn is_of(&self, password: &[u8]) -> bool {
        let mut computed = [0u8; HASH_BYTES];
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.cost.clone());
        let done = argon.hash_password_into(password, &self.salt, &mut computed);
        done.is_ok() && bool::from(computed.as_slice().ct_eq(&self.hash))
    }
}

fn compute(password: &[u8], salt: [u8; SALT_BYTES]) -> Option<String> {
    let cost = Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES)).ok()?;
    let mut hash = [0u8; HASH_BYTES];
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost);
    argon.hash_password_into(password, &salt, &mut hash).ok()?;
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
    Some(format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${hash}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_again_and_no_other_is() {
        let kept = hash("correct horse battery").unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert!(verify("correct horse battery", Some(&kept)));
        assert!(!verify("correct horse batterz", Some(&kept)));
        assert!(!verify("", Some(&kept)));
        assert_ne!(hash("correct horse battery").unwrap(), kept, "salted");
    }

    #[test]
    fn nobodys_password_is_never_right() {
        assert!(!verify("nobody's password", None));
        assert!(Kept::parse(&NOBODY).is_some_and(|kept| kept.is_of(b"nobody's password")));
    }

    /// Made by the reference implementation's command line with the same password, salt and cost.
    #[test]
    fn what_another_implementation_made_is_understood() {
        let kept = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ\
                    $CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert!(verify("password", Some(kept)));
        assert!(!verify("passwort", Some(kept)));
    }

    #[test]
    fn damaged_strings_are_nobodys() {
        let kept = hash("correct horse battery").unwrap();
        for end in 0..kept.len() {
            assert!(Kept::parse(&kept[..end]).is_none(), "{end}");
        }
        for wrong in [
            "$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$c29tZXNhbHQ",
            "$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$c29tZXNhbHQ",
            "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$c29tZXNhbHQ$",
            "plain",
        ] {
            assert!(!verify("plain", Some(wrong)), "{wrong}");
        }
    }

    #[test]
    fn short_passwords_and_those_of_the_name_are_not_taken() {
        for (password, taken) in [
            ("correct horse battery", true),
            ("elf Zeichen", false),
            ("zwölf Zeich.", true),
            ("eva.mueller1", false),
        ] {
            assert_eq!(check_new(password, "eva.mueller").is_ok(), taken, "{password}");
        }
        assert!(check_new(&"x".repeat(MAX_BYTES + 1), "eva").is_err());
    }
}
