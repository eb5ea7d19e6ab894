//! A JSON object, or what a template makes of it, by HTTP POST, signed where a key is given.

use busyhour_daemon::Secret;
use busyhour_model::UtcMicros;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::post::{Post, Reach, Target, url_of};
use super::template::Template;
use super::{Fault, Problem, SendError};
use crate::config::WebhookConfig;
use crate::message::Message;

/// A shorter key is guessed (RFC 2104, section 3: not below the length of the digest).
const MIN_KEY_BYTES: usize = 32;

#[derive(Debug)]
pub(super) struct Webhook {
    post: Post,
    key: Option<Secret>,
    template: Option<Template>,
}

impl Webhook {
    pub(super) fn build(config: &WebhookConfig) -> Result<Self, Problem> {
        let post = Post::build(Target {
            url: url_of(config.url.as_ref(), config.url_file.as_ref())?,
            root_ca_file: config.root_ca_file.as_deref(),
            timeout: config.timeout.as_deref(),
            reach: if config.allow_private { Reach::Anywhere } else { Reach::Public },
        })?;
        let key = config.signing_key_file.as_deref().map(Secret::read).transpose()?;
        if key.as_ref().is_some_and(|key| key.expose().len() < MIN_KEY_BYTES) {
            return Err(Problem::ShortKey { min: MIN_KEY_BYTES });
        }
        let template = Template::build(
            config.template.as_deref(),
            config.template_file.as_deref(),
            config.content_type.as_deref(),
        )?;
        Ok(Self { post, key, template })
    }

    pub(super) async fn send(&self, message: &Message, now: UtcMicros) -> Result<(), SendError> {
        let (content_type, body) = match &self.template {
            None => ("application/json".to_owned(), message.json.clone()),
            Some(template) => {
                let unfit = |says| SendError::new(Fault::Message, format!("the template: {says}"));
                (template.content_type(), template.render(message).map_err(unfit)?)
            }
        };
        let mut headers = vec![("Idempotency-Key", message.key.clone())];
        if let Some(key) = &self.key {
            let at = now.0.div_euclid(1_000_000);
            headers.push(("Busyhour-Timestamp", at.to_string()));
            headers.push(("Busyhour-Signature", signature(key, at, &body)));
        }
        self.post.send_as(content_type, headers, body).await
    }
}

/// HMAC-SHA-256 (RFC 2104) over the moment in seconds, a dot and the body, in hexadecimal.
fn signature(key: &Secret, at: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(format!("{at}.").as_bytes());
    mac.update(body.as_bytes());
    let digest = mac.finalize().into_bytes();
    digest.iter().fold("v1=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf '1772700000.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef`
    #[test]
    fn a_signature_is_what_openssl_makes_of_the_same() {
        let key = Secret::new("0123456789abcdef0123456789abcdef".to_owned());
        assert_eq!(
            signature(&key, 1_772_700_000, "{\"a\":1}"),
            "v1=20e2528d788329eecdaf9a3e5beab2e58cfbfc64def5bdf908bef5848d2ad091"
        );
    }
}
