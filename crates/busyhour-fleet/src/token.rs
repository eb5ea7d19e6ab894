//! A token's text.

use std::fmt;

use busyhour_store::TokenId;
use sha2::{Digest as _, Sha256};

use crate::draw::{self, NoRandomness};

/// The format's name, in front of every token.
const FORMAT: &str = "bh1";

/// What a token says, once: `bh1.<id>.<secret>.<pin>`, in lower-case hexadecimal. Its `Debug` does not
/// tell the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenText {
    id: TokenId,
    secret: [u8; 16],
    pin: [u8; 32],
}

impl TokenText {
    /// Draws a token that pins an authority by the SHA-256 of its public key.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn draw(pin: [u8; 32]) -> Result<Self, NoRandomness> {
        Ok(Self { id: draw::token()?, secret: draw::bytes()?, pin })
    }

    /// Its public number.
    #[must_use]
    pub const fn id(&self) -> TokenId {
        self.id
    }

    /// What is kept of the secret.
    #[must_use]
    pub fn secret_sha256(&self) -> [u8; 32] {
        secret_sha256(&hex(&self.secret))
    }

    /// The text, secret and all.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{FORMAT}.{}.{}.{}", self.id, hex(&self.secret), hex(&self.pin))
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenText({})", self.id)
    }
}

/// SHA-256 of a secret as it stands in a token.
pub(crate) fn secret_sha256(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_four_parts_of_lower_case_hexadecimal() {
        let token = TokenText::draw([0xab; 32]).unwrap();
        let text = token.reveal();
        let parts: Vec<_> = text.split('.').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [3, 10, 32, 64]);
        assert_eq!((parts[0], parts[1]), ("bh1", token.id().to_string().as_str()));
        assert_eq!(parts[3], "ab".repeat(32));
        assert_eq!(secret_sha256(parts[2]), token.secret_sha256());
        assert!(!format!("{token:?}").contains(parts[2]), "nobody logs the secret");
        assert_ne!(TokenText::draw([0xab; 32]).unwrap(), token);
    }
}
