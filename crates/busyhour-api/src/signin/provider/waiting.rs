//! Those who went to the provider and are not back yet. Pure: the caller tells the time and draws.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// How long somebody may take at the provider: a password, a second factor, a change of mind.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);
/// Tries at once; when there are more, the oldest is forgotten. Each is some 1.5 kB at most.
const MAX_WAITING: usize = 1_024;

/// What is remembered of somebody who is at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gone {
    /// What the browser proves with that it is the one that went, as SHA-256.
    pub(super) browser_sha256: [u8; 32],
    /// What the token will say.
    pub(super) nonce: String,
    /// What the code is redeemed with (RFC 7636).
    pub(super) verifier: String,
    /// Where to go afterwards.
    pub(super) back: String,
    pub(super) since: Instant,
}

/// All of them, by the SHA-256 of their state.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    by_state: HashMap<[u8; 32], Gone>,
}

impl Waiting {
    pub(super) fn remember(&mut self, state: &str, gone: Gone) {
        let now = gone.since;
        self.by_state.retain(|_, gone| now.saturating_duration_since(gone.since) < PATIENCE);
        if self.by_state.len() >= MAX_WAITING {
            let oldest = self.by_state.iter().min_by_key(|(_, gone)| gone.since);
            if let Some(oldest) = oldest.map(|(state, _)| *state) {
                self.by_state.remove(&oldest);
            }
        }
        self.by_state.insert(digest(state), gone);
    }

    /// The one who comes back, if the same browser left with this state, not long ago, and was not back
    /// before. Whatever it is, the state is used up.
    pub(super) fn take(&mut self, state: &str, browser: &str, now: Instant) -> Option<Gone> {
        let gone = self.by_state.remove(&digest(state))?;
        let is_same = bool::from(gone.browser_sha256.ct_eq(&digest(browser)));
        let in_time = now.saturating_duration_since(gone.since) < PATIENCE;
        (is_same && in_time).then_some(gone)
    }
}

pub(super) fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(browser: &str, since: Instant) -> Gone {
        let (nonce, verifier) = ("nonce".to_owned(), "verifier".to_owned());
        let back = "/".to_owned();
        Gone { browser_sha256: digest(browser), nonce, verifier, back, since }
    }

    #[test]
    fn one_comes_back_once_with_the_same_browser_and_in_time() {
        let now = Instant::now();
        let mut waiting = Waiting::default();
        waiting.remember("a", gone("firefox", now));
        assert_eq!(waiting.take("b", "firefox", now), None, "another state");
        assert_eq!(waiting.take("a", "firefox", now), Some(gone("firefox", now)));
        assert_eq!(waiting.take("a", "firefox", now), None, "again");
        waiting.remember("a", gone("firefox", now));
        assert_eq!(waiting.take("a", "chromium", now), None, "another browser");
        assert_eq!(waiting.take("a", "firefox", now), None, "it is used up");
        waiting.remember("a", gone("firefox", now));
        assert_eq!(waiting.take("a", "firefox", now + PATIENCE), None, "too late");
    }

    #[test]
    fn they_are_bounded_and_the_oldest_is_forgotten() {
        let now = Instant::now();
        let mut waiting = Waiting::default();
        for n in 0..MAX_WAITING + 2 {
            let since = now + Duration::from_millis(n as u64);
            waiting.remember(&n.to_string(), gone("firefox", since));
        }
        assert_eq!(waiting.by_state.len(), MAX_WAITING);
        let later = now + Duration::from_secs(2);
        assert_eq!(waiting.take("1", "firefox", later), None);
        assert!(waiting.take("2", "firefox", later).is_some());
        let much_later = now + PATIENCE + Duration::from_secs(3);
        waiting.remember("new", gone("firefox", much_later));
        assert_eq!(waiting.by_state.len(), 1, "who does not come back is forgotten");
    }
}
