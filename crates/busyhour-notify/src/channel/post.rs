//! HTTP POST with what all web channels want: TLS, no redirects, an end, and no secret in an error.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use busyhour_daemon::{Secret, chain};
use ureq::http::{StatusCode, Uri};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use super::{Fault, Problem, SendError, is_loopback, parse_timeout, read_roots};

/// Where a channel may connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Also to addresses that the Internet does not know.
    Anywhere,
    /// Only to public addresses, whatever a name resolves to; and to this machine, where the address
    /// was written so.
    Public,
}

/// What a channel's configuration says of its receiver.
pub(super) struct Target<'a> {
    pub(super) url: Secret,
    pub(super) root_ca_file: Option<&'a Path>,
    pub(super) timeout: Option<&'a str>,
    pub(super) reach: Reach,
}

/// Somebody to post to.
#[derive(Clone)]
pub(super) struct Post {
    agent: ureq::Agent,
    /// Whoever holds a webhook's address may post to it, so all of it is secret.
    url: Arc<Secret>,
}

impl Post {
    pub(super) fn build(target: Target<'_>) -> Result<Self, Problem> {
        let host = check_url(target.url.expose())?;
        let local = is_loopback(&host);
        let mut builder = ureq::Agent::config_builder()
            .timeout_global(Some(parse_timeout(target.timeout)?))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("busyhour/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(roots(target.root_ca_file)?).build());
        if local {
            // A proxy from the environment would carry it off this machine.
            builder = builder.proxy(None);
        }
        let config = builder.build();
        let agent = match target.reach {
            Reach::Public if !local => {
                let resolver = PublicOnly { resolver: DefaultResolver::default(), host };
                ureq::Agent::with_parts(config, DefaultConnector::default(), resolver)
            }
            Reach::Public | Reach::Anywhere => config.new_agent(),
        };
        Ok(Self { agent, url: Arc::new(target.url) })
    }

    /// Posts JSON and waits until it was taken.
    pub(super) async fn send(
        &self,
        headers: Vec<(&'static str, String)>,
        body: String,
    ) -> Result<(), SendError> {
        self.send_as("application/json".to_owned(), headers, body).await
    }

    /// Posts a body of some type and waits until it was taken.
    pub(super) async fn send_as(
        &self,
        content_type: String,
        headers: Vec<(&'static str, String)>,
        body: String,
    ) -> Result<(), SendError> {
        let Self { agent, url } = self.clone();
        let sent = tokio::task::spawn_blocking(move || {
            let mut request = agent.post(url.expose()).header("Content-Type", content_type);
            for (name, value) in &headers {
                request = request.header(*name, value);
            }
            match request.send(&body) {
                // The answer's body says nothing we use; dropping it unread bounds it.
                Ok(response) => taken(response.status()),
                Err(error) => Err(describe(&error)),
            }
        });
        let cut_short = || Err(SendError::passing("the exchange was cut short".to_owned()));
        sent.await.unwrap_or_else(|_| cut_short())
    }
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post").finish_non_exhaustive()
    }
}

/// An address that is given as such, or in a file.
pub(super) fn url_of(url: Option<&String>, url_file: Option<&PathBuf>) -> Result<Secret, Problem> {
    match (url, url_file) {
        (Some(url), None) => Ok(Secret::new(url.clone())),
        (None, Some(path)) => Ok(Secret::read(path)?),
        _ => Err(Problem::OneUrl),
    }
}

fn roots(path: Option<&Path>) -> Result<RootCerts, Problem> {
    let Some(path) = path else { return Ok(RootCerts::PlatformVerifier) };
    let pem = read_roots(path)?;
    let certificates = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    let certificates: Vec<_> = certificates.collect();
    if certificates.is_empty() {
        return Err(Problem::NoRoots { path: path.to_owned() });
    }
    Ok(RootCerts::from(certificates))
}

/// What a status says of the message, and of its receiver.
fn taken(status: StatusCode) -> Result<(), SendError> {
    let code = status.as_u16();
    if status.is_success() {
        return Ok(());
    }
    let says = match code {
        300..=399 => ": redirects are not followed",
        400 | 422 => ": it does not understand the message",
        401 | 403 => ": it does not let us in; look at the key",
        404 | 410 => ": nobody is there; look at the address",
        413 => ": the message is too large for it",
        429 => ": it was asked too often",
        _ => "",
    };
    let text = format!("the receiver answered {code}{says}");
    let fault = match code {
        // RFC 9110, section 15.5; RFC 6585, section 4; RFC 8470, section 5.2: to be tried again.
        408 | 425 | 429 | 500.. => Fault::Passing,
        413 | 422 => Fault::Message,
        // Some answer so when they do not know the key.
        400 => Fault::Either,
        _ => Fault::Channel,
    };
    Err(SendError::new(fault, text))
}

/// Only the kinds that cannot hold the address are quoted.
fn describe(error: &ureq::Error) -> SendError {
    SendError::passing(match error {
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

/// Checks the address and gives its host.
fn check_url(url: &str) -> Result<String, Problem> {
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
    let allowed = scheme == "https" || (scheme == "http" && is_loopback(host));
    if allowed { Ok(host.to_owned()) } else { Err(Problem::Url) }
}

/// Resolves names, and keeps of the addresses of `host` the public ones. What a proxy is asked for it
/// resolves itself.
#[derive(Debug)]
struct PublicOnly {
    resolver: DefaultResolver,
    host: String,
}

impl Resolver for PublicOnly {
    fn resolve(
        &self,
        uri: &Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.resolver.resolve(uri, config, timeout)?;
        let asked = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        if !asked.eq_ignore_ascii_case(&self.host) {
            return Ok(found);
        }
        let mut public = self.empty();
        for address in found.iter().filter(|address| is_public(address.ip())) {
            public.push(*address);
        }
        if public.is_empty() {
            let says = "its address is a private one; allow_private = true lets it be";
            return Err(ureq::Error::Io(io::Error::new(io::ErrorKind::PermissionDenied, says)));
        }
        Ok(public)
    }
}

/// True for what the Internet routes (the registries of special-purpose addresses, RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

const fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let special = v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_multicast()
        || v4.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && b & 0xfe == 18);
    !special
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    if let Some(v4) = v6.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    let [a, b, c, .., g, h] = v6.segments();
    let embedded = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match (a, b) {
        // Translated (RFC 6052) and tunnelled (RFC 3056) are what they hold.
        (0x64, 0xff9b) => is_public_v4(embedded(g, h)),
        (0x2002, _) => is_public_v4(embedded(b, c)),
        (0x2001, 0xdb8) => false,
        // Global unicast is 2000::/3; all else is local, reserved or multicast (RFC 4291).
        _ => a & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        let check = |url: &str| check_url(url).ok().map(|host| is_loopback(&host));
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

    #[test]
    fn only_what_the_internet_routes_is_public() {
        for address in
            ["8.8.8.8", "52.112.0.1", "2603:1000::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
        {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "10.0.0.1",
            "172.16.9.9",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "198.18.0.1",
            "224.0.0.1",
            "::1",
            "::",
            "fd00::1",
            "fe80::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[tokio::test]
    async fn a_private_target_is_refused_before_anything_is_sent() {
        let target = |reach| Target {
            url: Secret::new("https://10.255.255.1:9/hook?sig=canary".to_owned()),
            root_ca_file: None,
            timeout: Some("1s"),
            reach,
        };
        let post = Post::build(target(Reach::Public)).unwrap();
        let error = post.send(Vec::new(), "{}".to_owned()).await.unwrap_err();
        assert!(error.to_string().contains("allow_private"), "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }

    #[test]
    fn a_refusal_that_would_repeat_itself_is_for_good() {
        let fault = |code: u16| taken(StatusCode::from_u16(code).unwrap()).unwrap_err().fault;
        for code in [302, 401, 403, 404, 410] {
            assert_eq!(fault(code), Fault::Channel, "{code}");
        }
        for code in [408, 425, 429, 500, 502, 503] {
            assert_eq!(fault(code), Fault::Passing, "{code}");
        }
        assert_eq!([400, 413, 422].map(fault), [Fault::Either, Fault::Message, Fault::Message]);
        assert!(taken(StatusCode::ACCEPTED).is_ok());
    }
}
