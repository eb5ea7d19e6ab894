//! What `busyhour token create` printed: `bh1.<id>.<secret>.<pin>`.

use std::io::{self, Read as _};
use std::path::Path;

use busyhour_daemon::{Secret, SecretError};
use thiserror::Error;

use super::pin::Pin;

/// The first part of every token of this kind.
const KIND: &str = "bh1";
/// Hexadecimal digits of the token's name, and of its secret.
const ID_DIGITS: usize = 10;
const SECRET_DIGITS: usize = 32;
/// Longer than any token.
const MAX_BYTES: u64 = 4096;

/// A token that cannot be used.
#[derive(Debug, Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("the token cannot be read")]
    File(#[source] SecretError),
    /// Standard input cannot be read.
    #[error("the token cannot be read from standard input")]
    Input(#[source] io::Error),
    /// It is something else.
    #[error(
        "this is no enrolment token: expected the one line that `busyhour token create` printed, \
         {KIND}.<id>.<secret>.<pin>"
    )]
    Shape,
}

/// Lets one agent in, and proves the collector to it.
#[derive(Debug)]
pub(crate) struct Token {
    /// Names the token; no secret.
    pub(crate) id: String,
    pub(crate) secret: Secret,
    /// The collector's authority.
    pub(crate) pin: Pin,
}

impl Token {
    /// Reads it from a file that only its owner may read, or from standard input for `-`.
    pub(crate) fn read(path: &Path) -> Result<Self, TokenError> {
        if path != Path::new("-") {
            let line = Secret::read(path).map_err(TokenError::File)?;
            return Self::parse(line.expose()).ok_or(TokenError::Shape);
        }
        let mut text = String::new();
        let read = io::stdin().take(MAX_BYTES).read_to_string(&mut text);
        read.map_err(TokenError::Input)?;
        Self::parse(text.trim()).ok_or(TokenError::Shape)
    }

    /// What is wrong with it is not said: an error must not repeat a secret.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (kind, id, secret) = (parts.next()?, parts.next()?, parts.next()?);
        let pin = Pin::parse(parts.next()?)?;
        let digits = |text: &str, count: usize| {
            text.len() == count && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        let sound = kind == KIND
            && parts.next().is_none()
            && digits(id, ID_DIGITS)
            && digits(secret, SECRET_DIGITS);
        sound.then(|| Self { id: id.to_owned(), secret: Secret::new(secret.to_owned()), pin })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIN: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    #[test]
    fn a_token_is_read_in_its_parts() {
        let text = format!("bh1.0123456789.0123456789abcdef0123456789abcdef.{PIN}");
        let token = Token::parse(&text).unwrap();
        assert_eq!(token.id, "0123456789");
        assert_eq!(token.secret.expose(), "0123456789abcdef0123456789abcdef");
        assert_eq!(token.pin, Pin::parse(PIN).unwrap());
        assert!(!format!("{token:?}").contains(token.secret.expose()));
    }

    #[test]
    fn anything_else_is_no_token_and_is_not_repeated() {
        let secret = "0123456789abcdef0123456789abcdef";
        for text in [
            String::new(),
            "bh1".to_owned(),
            format!("bh1.0123456789.{secret}"),
            format!("bh1.0123456789.{secret}.{PIN}.more"),
            format!("bh2.0123456789.{secret}.{PIN}"),
            format!("bh1.012345678.{secret}.{PIN}"),
            format!("bh1.0123456789.{}.{PIN}", &secret[1..]),
            format!("bh1.0123456789.{secret}.{}", &PIN[2..]),
            format!("bh1.012345678x.{secret}.{PIN}"),
            format!("bh1.0123456789.{secret}.{}zz", &PIN[2..]),
        ] {
            assert!(Token::parse(&text).is_none(), "{text}");
        }
        assert!(!TokenError::Shape.to_string().contains(secret));
    }
}
