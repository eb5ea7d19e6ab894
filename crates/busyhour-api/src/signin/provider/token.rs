//! ID tokens (`OpenID` Connect Core 1.0, section 3.1.3.7) and the keys they are signed with (RFC 7517,
//! RFC 7518). Pure: the caller tells the time and fetches the keys.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;
use thiserror::Error;

/// The longest token, in bytes: some hundred groups.
const MAX_TOKEN_BYTES: usize = 32 * 1_024;
/// Keys of one provider: a handful, while they are rotated.
const MAX_KEYS: usize = 64;
/// How far the clocks of provider and collector may be apart, in seconds.
const SKEW_S: i64 = 60;
/// The oldest token that is taken, in seconds since it was issued: it is fetched at once.
const MAX_AGE_S: i64 = 600;
/// The longest subject, in bytes (`OpenID` Connect Core 1.0, section 2).
const MAX_SUBJECT_BYTES: usize = 255;

/// Why a token is not taken. Says nothing of what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Refused {
    #[error("it is no signed JSON web token")]
    Shape,
    #[error("it is signed by another algorithm than RS256 and ES256")]
    Algorithm,
    #[error("none of the provider's keys is the one it names")]
    Key,
    #[error("its signature is wrong")]
    Signature,
    #[error("another issuer made it")]
    Issuer,
    #[error("it is not for this client alone")]
    Audience,
    #[error("it is over")]
    Expired,
    #[error("it was not issued just now; are the clocks right?")]
    IssuedAt,
    #[error("it is not of this try to sign in")]
    Nonce,
    #[error("it names nobody")]
    Subject,
}

/// How a token is signed. There are more algorithms, `none` among them; none of them is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Rs256,
    Es256,
}

impl Algorithm {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            _ => None,
        }
    }
}

/// A public key of the provider's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    id: Option<String>,
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    /// Modulus and exponent, without leading noughts.
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    /// An uncompressed point on P-256.
    P256([u8; 65]),
}

#[derive(Deserialize)]
struct RawKeys {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct RawKey {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// Reads a set of keys; `None` when it is none. Keys of kinds that cannot be used are passed over.
pub(super) fn parse_keys(text: &[u8]) -> Option<Vec<Key>> {
    let RawKeys { keys } = serde_json::from_slice(text).ok()?;
    let known = keys.into_iter().take(MAX_KEYS);
    Some(known.filter_map(|key| Key::new(serde_json::from_value(key).ok()?)).collect())
}

impl Key {
    fn new(raw: RawKey) -> Option<Self> {
        if raw.purpose.is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let (material, algorithm) = match raw.kty.as_str() {
            "RSA" => {
                let number = |text: Option<String>| {
                    let bytes = URL_SAFE_NO_PAD.decode(text?).ok()?;
                    let first = bytes.iter().position(|byte| *byte != 0)?;
                    Some(bytes[first..].to_vec())
                };
                let (modulus, exponent) = (number(raw.n)?, number(raw.e)?);
                (Material::Rsa { modulus, exponent }, "RS256")
            }
            "EC" if raw.crv.as_deref() == Some("P-256") => {
                let coordinate = |text: Option<String>| -> Option<[u8; 32]> {
                    URL_SAFE_NO_PAD.decode(text?).ok()?.try_into().ok()
                };
                let mut point = [4u8; 65];
                point[1..33].copy_from_slice(&coordinate(raw.x)?);
                point[33..].copy_from_slice(&coordinate(raw.y)?);
                (Material::P256(point), "ES256")
            }
            _ => return None,
        };
        let fits = raw.alg.is_none_or(|named| named == algorithm);
        fits.then_some(Self { id: raw.kid, material })
    }

    const fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Rsa { .. } => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
        }
    }

    fn is_signature(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Rsa { modulus, exponent } => {
                let key = RsaPublicKeyComponents { n: modulus, e: exponent };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
            }
            Material::P256(point) => {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
                key.verify(message, signature).is_ok()
            }
        }
    }
}

/// What a token must say.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    /// The moment, in seconds since 1970.
    pub(super) now_s: i64,
}

/// What a token said of somebody.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Claims {
    pub(super) subject: String,
    pub(super) all: Map<String, Value>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

/// Checks a token and gives what it says.
pub(super) fn check(token: &str, keys: &[Key], expected: &Expected<'_>) -> Result<Claims, Refused> {
    let payload = signed_payload(token, keys)?;
    let all: Map<String, Value> = serde_json::from_slice(&payload).map_err(|_| Refused::Shape)?;
    let text = |name: &str| all.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return Err(Refused::Issuer);
    }
    check_audience(&all, expected.client_id)?;
    let (now, seconds) = (expected.now_s, |name: &str| all.get(name).map(moment));
    let Some(Some(until)) = seconds("exp") else { return Err(Refused::Expired) };
    if until.saturating_add(SKEW_S) <= now {
        return Err(Refused::Expired);
    }
    let Some(Some(issued)) = seconds("iat") else { return Err(Refused::IssuedAt) };
    let since = now.saturating_sub(issued);
    if !(-SKEW_S..=MAX_AGE_S + SKEW_S).contains(&since) {
        return Err(Refused::IssuedAt);
    }
    match seconds("nbf") {
        None => {}
        Some(Some(from)) if from <= now.saturating_add(SKEW_S) => {}
        Some(_) => return Err(Refused::IssuedAt),
    }
    let nonce = text("nonce").ok_or(Refused::Nonce)?;
    if !bool::from(nonce.as_bytes().ct_eq(expected.nonce.as_bytes())) {
        return Err(Refused::Nonce);
    }
    let subject = text("sub").filter(|sub| (1..=MAX_SUBJECT_BYTES).contains(&sub.len()));
    let subject = subject.ok_or(Refused::Subject)?.to_owned();
    Ok(Claims { subject, all })
}

/// What was signed, once the signature was checked. The key decides how, never the token alone.
fn signed_payload(token: &str, keys: &[Key]) -> Result<Vec<u8>, Refused> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Refused::Shape);
    }
    let (message, signature) = token.rsplit_once('.').ok_or(Refused::Shape)?;
    let (header, payload) = message.split_once('.').ok_or(Refused::Shape)?;
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused::Shape);
    let header: Header = serde_json::from_slice(&decoded(header)?).map_err(|_| Refused::Shape)?;
    if header.crit.is_some() {
        return Err(Refused::Shape);
    }
    let algorithm = Algorithm::parse(&header.alg).ok_or(Refused::Algorithm)?;
    let (signature, payload) = (decoded(signature)?, decoded(payload)?);
    let mut fitting = keys.iter().filter(|key| key.algorithm() == algorithm);
    let key = match &header.kid {
        Some(id) => fitting.find(|key| key.id.as_ref() == Some(id)),
        // A token that names no key is taken only where there is no choice (section 10.1).
        None => fitting.next().filter(|_| fitting.next().is_none()),
    };
    let key = key.ok_or(Refused::Key)?;
    if key.is_signature(message.as_bytes(), &signature) {
        Ok(payload)
    } else {
        Err(Refused::Signature)
    }
}

/// The token is for this client and nobody beside it.
fn check_audience(all: &Map<String, Value>, client_id: &str) -> Result<(), Refused> {
    let own = |value: &Value| value.as_str() == Some(client_id);
    let is_ours = match all.get("aud") {
        Some(Value::Array(audiences)) => !audiences.is_empty() && audiences.iter().all(own),
        Some(audience) => own(audience),
        None => false,
    };
    let authorized = all.get("azp").is_none_or(own);
    if is_ours && authorized { Ok(()) } else { Err(Refused::Audience) }
}

/// Whole seconds of a numeric date; `None` when it is none.
fn moment(value: &Value) -> Option<i64> {
    if let Some(seconds) = value.as_i64() {
        return Some(seconds);
    }
    let seconds = value.as_f64().filter(|seconds| (0.0..1e12).contains(seconds))?;
    // Within a range that is exact.
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
    Some(seconds as i64)
}

#[cfg(test)]
mod tests;
