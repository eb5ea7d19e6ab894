//! Those who went to the provider and are not back yet. Pure: the caller tells the time and draws.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// How long somebody may take at the provider: a password, a second factor, a change of mind.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);
/// Tries at once; when there are more, the address that has most of them loses its oldest, so that nobody pushes
/// others out. Each is some 1.5 kB at most.
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
    /// Where it came from: one IPv4 address, or one /64.
    pub(super) from: IpAddr,
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
            self.make_room();
        }
        self.by_state.insert(digest(state), gone);
    }

    fn make_room(&mut self) {
        let mut of_address: HashMap<IpAddr, usize> = HashMap::new();
        for gone in self.by_state.values() {
            *of_address.entry(gone.from).or_default() += 1;
        }
        let most = of_address.values().max().copied().unwrap_or_default();
        let of_most =
            self.by_state.iter().filter(|(_, gone)| of_address.get(&gone.from) == Some(&most));
        if let Some(oldest) = of_most.min_by_key(|(_, gone)| gone.since).map(|(state, _)| *state) {
            self.by_state.remove(&oldest);
        }
    }

    /// Whether anybody left with this state and is not back.
    pub(super) fn has(&self, state: &str) -> bool {
        self.by_state.contains_key(&digest(state))
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
        let (back, from) = ("/".to_owned(), IpAddr::from([192, 0, 2, 1]));
        Gone { browser_sha256: digest(browser), nonce, verifier, back, from, since }
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

    #[test]
    fn who_leaves_again_and_again_pushes_nobody_out_but_himself() {
        let now = Instant::now();
        let mut waiting = Waiting::default();
        waiting.remember("somebody", gone("firefox", now));
        for n in 0..MAX_WAITING * 3 {
            let from = IpAddr::from([198, 51, 100, 7]);
            let since = now + Duration::from_millis(n as u64);
            waiting.remember(&n.to_string(), Gone { from, ..gone("robot", since) });
        }
        assert_eq!(waiting.by_state.len(), MAX_WAITING);
        assert!(waiting.has("somebody") && !waiting.has("7"));
        assert!(waiting.take("somebody", "firefox", now).is_some());
        assert!(!waiting.has("somebody"));
    }
}
