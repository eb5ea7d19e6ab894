//! A JSON object by HTTP POST.

use std::fmt;
use std::sync::Arc;

use busyhour_daemon::{Secret, chain};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use super::{Problem, SendError, is_loopback, parse_timeout, read_roots};
use crate::config::WebhookConfig;
use crate::message::Message;

pub(super) struct Webhook {
    agent: ureq::Agent,
    /// Whoever holds a webhook's address may post to it, so all of it is secret.
    url: Arc<Secret>,
}

impl Webhook {
    pub(super) fn build(config: &WebhookConfig) -> Result<Self, Problem> {
        let url = match (&config.url, &config.url_file) {
            (Some(url), None) => Secret::new(url.clone()),
            (None, Some(path)) => Secret::read(path)?,
            _ => return Err(Problem::OneUrl),
        };
        let local = check_url(url.expose())?;
        let roots = match &config.root_ca_file {
            None => RootCerts::PlatformVerifier,
            Some(path) => {
                let pem = read_roots(path)?;
                let certificates = parse_pem(&pem).filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                });
                let certificates: Vec<_> = certificates.collect();
                if certificates.is_empty() {
                    return Err(Problem::NoRoots { path: path.clone() });
                }
                RootCerts::from(certificates)
            }
        };
        let mut builder = ureq::Agent::config_builder()
            .timeout_global(Some(parse_timeout(config.timeout.as_deref())?))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("busyhour/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(roots).build());
        if local {
            // A proxy from the environment would carry it off this machine.
            builder = builder.proxy(None);
        }
        Ok(Self { agent: builder.build().new_agent(), url: Arc::new(url) })
    }

    pub(super) async fn send(&self, message: &Message) -> Result<(), SendError> {
        let (agent, url) = (self.agent.clone(), Arc::clone(&self.url));
        let (key, body) = (message.key.clone(), message.json.clone());
        let sent = tokio::task::spawn_blocking(move || {
            let response = agent
                .post(url.expose())
                .header("Content-Type", "application/json")
                .header("Idempotency-Key", &key)
                .send(&body);
            match response {
                // The answer's body says nothing we use; dropping it unread bounds it.
                Ok(response) if response.status().is_success() => Ok(()),
                Ok(response) if response.status().is_redirection() => Err(SendError(format!(
                    "the receiver answered {}: redirects are not followed",
                    response.status().as_u16()
                ))),
                Ok(response) => {
                    Err(SendError(format!("the receiver answered {}", response.status().as_u16())))
                }
                Err(error) => Err(describe(&error)),
            }
        });
        sent.await.unwrap_or_else(|_| Err(SendError("the exchange was cut short".to_owned())))
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").finish_non_exhaustive()
    }
}

/// Only the kinds that cannot hold the address are quoted.
fn describe(error: &ureq::Error) -> SendError {
    SendError(match error {
        ureq::Error::Io(source) => format!("reach the receiver: {}", chain(source)),
        ureq::Error::Timeout(which) => format!("the receiver took too long ({which})"),
        ureq::Error::HostNotFound => "the receiver's name is not known".to_owned(),
        ureq::Error::ConnectionFailed => "the receiver cannot be reached".to_owned(),
        ureq::Error::Rustls(source) => format!("trust the receiver: {source}"),
        ureq::Error::Tls(what) => format!("trust the receiver: {what}"),
        // Foreign and non-exhaustive; some of the rest quote the address.
        _ => "the exchange did not follow HTTP".to_owned(),
    })
}

/// Checks the address and says whether it ends on this machine.
fn check_url(url: &str) -> Result<bool, Problem> {
    let (scheme, rest) = url.split_once("://").ok_or(Problem::Url)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let no_user = !authority.contains('@');
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(address, _)| address),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let printable = url.chars().all(|c| c.is_ascii_graphic());
    if host.is_empty() || !no_user || !printable {
        return Err(Problem::Url);
    }
    let local = is_loopback(host);
    let allowed = scheme == "https" || (scheme == "http" && local);
    if allowed { Ok(local) } else { Err(Problem::Url) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        let check = |url: &str| check_url(url).ok();
        assert_eq!(check("https://hooks.example.org/a?sig=b"), Some(false));
        assert_eq!(check("http://127.0.0.1:9000/hook"), Some(true));
        assert_eq!(check("http://[::1]:9000/hook"), Some(true));
        assert_eq!(check("https://localhost/hook"), Some(true));
        for url in [
            "http://hooks.example.org/",
            "http://127.0.0.1@evil.example.org/",
            "http://localhost.example.org/",
            "ftp://127.0.0.1/",
            "https://",
            "https://a b/",
            "hooks.example.org",
        ] {
            assert_eq!(check(url), None, "{url}");
        }
    }
}
