//! What a request proves itself with: a session's token in a cookie or a header, or an API token.

use std::fmt;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use busyhour_store::SessionRow;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::door::Door;
use crate::app::Core;
use crate::guard::{Principal, Who};
use crate::problem::Problem;

/// What session tokens begin with, so that one is known for what it is wherever it turns up.
pub(crate) const SESSION_PREFIX: &str = "bhs_";
/// The same of API tokens.
pub(crate) const API_TOKEN_PREFIX: &str = "bh_";
/// 256 random bits, so that a plain digest of them cannot be searched.
const SECRET_BYTES: usize = 32;
/// A session that was not used for this long is over.
const IDLE: Duration = Duration::from_secs(2 * 3_600);
/// How exactly it is noted when something was used: each note is a write.
const NOTED: Duration = Duration::from_secs(60);

/// Draws a token with a prefix.
pub(crate) fn draw(prefix: &str) -> Result<String, Problem> {
    Ok(format!("{prefix}{}", hex(&random()?)))
}

fn random() -> Result<[u8; SECRET_BYTES], Problem> {
    let mut bytes = [0u8; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "the system gave no randomness");
        Problem::internal()
    })?;
    Ok(bytes)
}

fn xor(a: &[u8; 32], b: &[u8; 32]) -> [u8; 32] {
    std::array::from_fn(|at| a[at] ^ b[at])
}

/// Two halves of 32 bytes each, as [`hex`] writes them.
fn unhex(text: &str) -> Option<([u8; 32], [u8; 32])> {
    let mut bytes = [0; 64];
    if text.len() != 2 * bytes.len() || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    let (pad, masked) = bytes.split_at(32);
    Some((pad.try_into().ok()?, masked.try_into().ok()?))
}

/// What is kept of a token.
pub(crate) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The session that somebody asks with: what it is found by, and what its forms prove themselves
/// with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SessionKey {
    pub(crate) token_sha256: [u8; 32],
    form_token: [u8; 32],
}

impl SessionKey {
    fn new(token: &str) -> Self {
        let form_token = Sha256::digest(format!("form of {token}").as_bytes());
        Self { token_sha256: digest(token), form_token: form_token.into() }
    }

    /// What a form of this session has in it; nobody can tell the session's token from it. Each time it looks
    /// different (random bytes, and those with the token over them), so that the length of compressed pages
    /// tells nothing of it (RFC 7457, section 2.6).
    pub(crate) fn form_token(&self) -> Result<String, Problem> {
        let pad = random()?;
        Ok(hex(&pad) + &hex(&xor(&pad, &self.form_token)))
    }

    pub(crate) fn is_token(&self, said: &[u8]) -> bool {
        let said = std::str::from_utf8(said).ok().and_then(unhex);
        let same = |(pad, masked)| xor(&pad, &masked).as_slice().ct_eq(self.form_token.as_slice());
        said.is_some_and(|said| bool::from(same(said)))
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey")
    }
}

/// What came along with a request.
pub(crate) enum Credential {
    None,
    /// A header that is no bearer's: nobody.
    Unusable,
    Bearer(String),
    Cookie(String),
}

impl Credential {
    /// A header goes before a cookie: it was meant.
    pub(crate) fn of(headers: &HeaderMap, door: &Door) -> Self {
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let token = value.to_str().ok().and_then(|text| text.split_once(' '));
            let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            return match token {
                Some((_, token)) => Self::Bearer(token.trim().to_owned()),
                None => Self::Unusable,
            };
        }
        match cookie_of(headers, door.cookie_name()) {
            Some(token) => Self::Cookie(token.to_owned()),
            None => Self::None,
        }
    }

    pub(crate) const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Who it is; `None` when it is nobody's, or no more.
    pub(crate) async fn resolve(&self, core: &Core) -> Result<Option<Principal>, Problem> {
        self.found(core, Asked::Now).await
    }

    /// Who it still is, of an answer that goes on: a page that is left open is no use of its session.
    pub(crate) async fn still(&self, core: &Core) -> Result<Option<Principal>, Problem> {
        self.found(core, Asked::Before).await
    }

    async fn found(&self, core: &Core, asked: Asked) -> Result<Option<Principal>, Problem> {
        match self {
            Self::Bearer(token) | Self::Cookie(token) if token.starts_with(SESSION_PREFIX) => {
                session(core, token, asked).await
            }
            Self::Bearer(token) if token.starts_with(API_TOKEN_PREFIX) => {
                api_token(core, token).await
            }
            Self::None | Self::Unusable | Self::Bearer(_) | Self::Cookie(_) => Ok(None),
        }
    }
}

/// A cookie by its name.
pub(crate) fn cookie_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
    let mut pairs = cookies.flat_map(|cookie| cookie.split(';')).filter_map(|c| c.split_once('='));
    pairs.find(|(named, _)| named.trim() == name).map(|(_, value)| value.trim())
}

/// When somebody asked: a session that nobody asks with ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Now,
    Before,
}

async fn session(core: &Core, token: &str, asked: Asked) -> Result<Option<Principal>, Problem> {
    let key = SessionKey::new(token);
    let now = core.now();
    let found = core.with_services(move |services| {
        let accounts = &services.accounts;
        let Some(found) = accounts.session(&key.token_sha256, now)? else { return Ok(None) };
        if now > found.used.plus(IDLE) {
            accounts.end_session(&key.token_sha256)?;
            return Ok(None);
        }
        if asked == Asked::Now && now > found.used.plus(NOTED) {
            accounts.use_session(&key.token_sha256, now)?;
        }
        Ok(Some((found, key)))
    });
    let Some((SessionRow { user, .. }, key)) = found.await? else { return Ok(None) };
    // Whom another provider than the configured one proved, nobody vouches for any more.
    let provider = core.door().provider();
    let vouched = |issuer: &String| provider.is_some_and(|provider| provider.is_issuer(issuer));
    if !user.issuer.as_ref().is_none_or(vouched) {
        return Ok(None);
    }
    Ok(Some(Principal {
        who: Who::User(user.number, user.name),
        grant: user.grant,
        session: Some(key),
        is_proven: user.issuer.is_some(),
    }))
}

async fn api_token(core: &Core, token: &str) -> Result<Option<Principal>, Problem> {
    let token_sha256 = digest(token);
    let now = core.now();
    let found = core.with_services(move |services| {
        let accounts = &services.accounts;
        let Some(found) = accounts.api_token(&token_sha256, now)? else { return Ok(None) };
        if found.used.is_none_or(|used| now > used.plus(NOTED)) {
            accounts.use_api_token(found.number, now)?;
        }
        Ok(Some(found))
    });
    let principal = |found: busyhour_store::ApiTokenRow| Principal {
        who: Who::ApiToken(found.name),
        grant: found.grant,
        session: None,
        is_proven: false,
    };
    Ok(found.await?.map(principal))
}

/// The cookie that keeps a session in a browser. It is in no script's reach, and comes along when a
/// person follows a link to here, but not with what other pages send.
pub(crate) fn cookie(door: &Door, token: &str, max_age: Duration) -> Result<HeaderValue, Problem> {
    cookie_named(door, door.cookie_name(), token, max_age)
}

/// Another one like it.
pub(crate) fn cookie_named(
    door: &Door,
    name: &str,
    value: &str,
    max_age: Duration,
) -> Result<HeaderValue, Problem> {
    let secure = if door.is_tls() { "; Secure" } else { "" };
    let seconds = max_age.as_secs();
    let cookie =
        format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&cookie).map_err(|_| Problem::internal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_looks_different_each_time_and_proves_its_session_alone() {
        let (own, other) = (SessionKey::new("bhs_1"), SessionKey::new("bhs_2"));
        let (one, again) = (own.form_token().unwrap(), own.form_token().unwrap());
        assert_ne!(one, again);
        assert!(own.is_token(one.as_bytes()) && own.is_token(again.as_bytes()));
        assert!(!other.is_token(one.as_bytes()));
        let mixed = one[..64].to_owned() + &again[64..];
        let short = &one[..126];
        for wrong in [
            "",
            "zz",
            short,
            &mixed,
            &hex(&own.form_token),
            &one.replace(char::is_alphanumeric, "ä"),
        ] {
            assert!(!own.is_token(wrong.as_bytes()), "{wrong}");
        }
    }
}
