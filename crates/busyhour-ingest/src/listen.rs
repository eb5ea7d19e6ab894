//! Where agents may be heard without encryption.

use std::net::SocketAddr;

use thiserror::Error;

/// An address that other machines can reach, without encryption.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "refusing to listen for agents on {0}: without TLS only loopback addresses are allowed, such \
     as 127.0.0.1 or [::1]"
)]
pub struct PlaintextBeyondLoopback(pub SocketAddr);

/// Says whether agents may be heard in plaintext on `address`.
///
/// # Errors
/// When the address is not a loopback address: secrets would cross a network in the clear.
pub fn check_listen(address: SocketAddr) -> Result<(), PlaintextBeyondLoopback> {
    if address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    Err(PlaintextBeyondLoopback(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plaintext_stays_on_the_machine() {
        let check = |text: &str| check_listen(text.parse().unwrap());
        for allowed in ["127.0.0.1:7000", "127.8.9.1:0", "[::1]:7000", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(check(allowed), Ok(()), "{allowed}");
        }
        for refused in ["0.0.0.0:7000", "10.0.0.1:7000", "[::]:7000", "[fe80::1]:7000"] {
            let error = check(refused).unwrap_err().to_string();
            assert!(error.contains(refused) && error.contains("127.0.0.1"), "{error}");
        }
    }
}
