//! How the API is reached, and how its first administrator comes to be.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::watch;

use super::provider::Provider;

/// The letters and digits of a code: nobody takes one for another (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 100 random bits: more than anybody can try in the life of a collector.
const CODE_LETTERS: usize = 20;
const GROUP: usize = 5;

/// How the API is reached.
#[derive(Debug, Clone)]
pub struct Door {
    transport: Transport,
    set_up: SetUp,
    provider: Option<Arc<Provider>>,
}

/// What the API is reached over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Plain HTTP, on loopback only.
    Loopback,
    /// TLS, also from elsewhere.
    Tls,
}

impl Door {
    /// A door that can be set up with a code.
    #[must_use]
    pub const fn new(transport: Transport, set_up: SetUp) -> Self {
        Self { transport, set_up, provider: None }
    }

    /// The same, at which an identity provider proves who people are, too.
    #[must_use]
    pub fn with_provider(self, provider: Provider) -> Self {
        Self { provider: Some(Arc::new(provider)), ..self }
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.transport == Transport::Tls
    }

    pub(crate) const fn set_up(&self) -> &SetUp {
        &self.set_up
    }

    pub(crate) const fn provider(&self) -> Option<&Arc<Provider>> {
        self.provider.as_ref()
    }

    /// The cookie of a browser that is at the identity provider.
    pub(crate) fn provider_cookie_name(&self) -> &'static str {
        if self.is_tls() { "__Host-busyhour-sign-in" } else { "busyhour-loopback-sign-in" }
    }

    /// Browsers keep a cookie of the first name to one host and to TLS; without TLS they refuse it.
    pub(crate) fn cookie_name(&self) -> &'static str {
        if self.is_tls() { "__Host-busyhour" } else { "busyhour-loopback" }
    }
}

/// The one-time code that the first administrator is made with. Only its digest is kept.
#[derive(Clone)]
pub struct SetUp {
    code_sha256: Option<[u8; 32]>,
    done: Arc<watch::Sender<bool>>,
}

impl SetUp {
    /// Draws a code; it is shown once and kept by nobody.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn draw() -> Result<(Self, String), getrandom::Error> {
        let mut random = [0u8; CODE_LETTERS];
        getrandom::fill(&mut random)?;
        let letters: Vec<char> =
            random.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect();
        let groups: Vec<String> =
            letters.chunks(GROUP).map(|group| group.iter().collect()).collect();
        let code = groups.join("-");
        Ok((Self::with_code(&code), code))
    }

    /// With a code that is known.
    #[must_use]
    pub fn with_code(code: &str) -> Self {
        let code_sha256 = Some(Sha256::digest(normal(code).as_bytes()).into());
        Self { code_sha256, done: Arc::new(watch::Sender::new(false)) }
    }

    /// Without any: there is an administrator.
    #[must_use]
    pub fn closed() -> Self {
        Self { code_sha256: None, done: Arc::new(watch::Sender::new(true)) }
    }

    /// Waits until the first administrator was made.
    pub async fn done(&self) {
        let mut done = self.done.subscribe();
        // The sender lives as long as this.
        let _ = done.wait_for(|done| *done).await;
    }

    pub(crate) fn finish(&self) {
        self.done.send_replace(true);
    }

    /// True for the code, however it is written.
    pub(crate) fn is_code(&self, said: &str) -> bool {
        let said: [u8; 32] = Sha256::digest(normal(said).as_bytes()).into();
        self.code_sha256.is_some_and(|code| bool::from(code.ct_eq(&said)))
    }
}

impl fmt::Debug for SetUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetUp")
    }
}

/// Without what people add or change when they copy a code.
fn normal(code: &str) -> String {
    let kept = code.chars().filter(char::is_ascii_alphanumeric).take(2 * CODE_LETTERS);
    kept.map(|c| c.to_ascii_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_known_however_it_is_written_and_no_other_is() {
        let (set_up, code) = SetUp::draw().unwrap();
        assert_eq!(code.len(), CODE_LETTERS + 3, "{code}");
        let spaced = code.replace('-', " ").to_lowercase();
        assert!(set_up.is_code(&code) && set_up.is_code(&spaced));
        let (_, other) = SetUp::draw().unwrap();
        for wrong in ["", &other, &code[1..], &format!("{code}0")] {
            assert!(!set_up.is_code(wrong), "{wrong}");
        }
        assert!(!SetUp::closed().is_code(&code) && !SetUp::closed().is_code(""));
        assert!(!format!("{set_up:?}").contains(&code));
    }
}
