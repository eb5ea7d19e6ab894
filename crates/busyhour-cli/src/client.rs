//! The collector's HTTP API, asked from a command.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use crate::credential::token;

/// One row of an answer: flat, units in the names.
pub(crate) type Item = Map<String, Value>;

/// The version of the envelope that this program reads.
const SCHEMA_VERSION: u64 = 1;
/// A collector on the same machine answers a connection at once or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The slowest answer is the import of a large building file.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(120);
/// The largest answer that is read: a month of windows of one path is below 60 MB of JSON.
const MAX_ANSWER_BYTES: u64 = 128 * 1024 * 1024;

/// An answer as the collector wraps it.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub(crate) struct Envelope {
    /// The version of the shape of `items`.
    pub(crate) schema_version: u64,
    /// The rows.
    pub(crate) items: Vec<Item>,
    /// What else the answer says.
    #[serde(flatten)]
    pub(crate) rest: Item,
}

impl Envelope {
    /// Wraps rows in the shape that the collector uses.
    pub(crate) fn new(items: Vec<Item>) -> Self {
        Self { schema_version: SCHEMA_VERSION, items, rest: Item::new() }
    }
}

/// What a write brought: done, or refused because of what is in it (HTTP status 422).
pub(crate) enum Answer {
    /// It was done.
    Done(Value),
    /// Nothing changed; the answer says why.
    Refused(Value),
}

/// A collector's address with the means to ask it.
pub(crate) struct Client {
    agent: ureq::Agent,
    base: String,
    /// As `Authorization` has it.
    bearer: Option<String>,
}

/// What a collector is asked with, besides its address.
#[derive(Debug, Default)]
pub(crate) struct Trust<'a> {
    /// A file with a token; otherwise the session of `busyhour login`.
    pub(crate) token_file: Option<&'a Path>,
    /// The token of a profile, which goes before a session.
    pub(crate) token: Option<&'a str>,
    /// A file with the certificates that the collector's is checked against; otherwise the system's.
    pub(crate) ca_file: Option<&'a Path>,
    /// How long an answer may take; long enough for everything unless told.
    pub(crate) timeout: Option<Duration>,
}

impl Client {
    /// One that asks as nobody: a collector that was started just now has no users.
    pub(crate) fn without_session(collector: &str) -> anyhow::Result<Self> {
        Self::with(collector, None, &Trust::default())
    }

    pub(crate) fn new(collector: &str, trust: &Trust<'_>) -> anyhow::Result<Self> {
        let token = match (trust.token_file, trust.token) {
            (None, Some(token)) => Some(token.to_owned()),
            (file, _) => token(collector, file)?,
        };
        Self::with(collector, token, trust)
    }

    fn with(collector: &str, token: Option<String>, trust: &Trust<'_>) -> anyhow::Result<Self> {
        let known = collector.starts_with("http://") || collector.starts_with("https://");
        if !known {
            bail!(
                "{collector:?} is not a collector's address: expected, for example, {:?} (from \
                 --collector or BUSYHOUR_COLLECTOR)",
                crate::args::DEFAULT_COLLECTOR
            );
        }
        if token.is_some() && collector.starts_with("http://") && !is_loopback(collector) {
            bail!(
                "{collector} is not on this machine and has no TLS: a token is not sent there in the \
                 clear; use https:// or an SSH tunnel"
            );
        }
        let roots = trust.ca_file.map(certificates).transpose()?;
        let tls =
            TlsConfig::builder().root_certs(roots.unwrap_or(RootCerts::PlatformVerifier)).build();
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .timeout_connect(Some(
                trust.timeout.map_or(CONNECT_TIMEOUT, |t| t.min(CONNECT_TIMEOUT)),
            ))
            .timeout_global(Some(trust.timeout.unwrap_or(TOTAL_TIMEOUT)))
            .http_status_as_error(false)
            .max_redirects(0)
            // The collector is asked itself: a proxy from the environment cannot reach loopback.
            .proxy(None)
            .user_agent(concat!("busyhour/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            agent: config.new_agent(),
            base: collector.trim_end_matches('/').to_owned(),
            bearer: token.map(|token| format!("Bearer {token}")),
        })
    }

    /// The collector's address.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Adds who asks.
    fn signed<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.bearer {
            Some(bearer) => request.header("authorization", bearer),
            None => request,
        }
    }

    /// Asks for rows: all of them, page after page, unless the question says how many.
    pub(crate) fn list(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Envelope> {
        let mut all = self.page(path, query)?;
        if query.iter().any(|(name, _)| *name == "limit") {
            return Ok(all);
        }
        let mut next = all.rest.remove("next");
        while let Some(Value::String(after)) = next {
            let mut query = query.to_vec();
            query.push(("after", after.clone()));
            let mut page = self.page(path, &query)?;
            all.items.append(&mut page.items);
            next = page.rest.remove("next");
            if next.as_ref().and_then(Value::as_str) == Some(&after) {
                bail!("the collector gives the same page of {path} again and again");
            }
        }
        Ok(all)
    }

    /// One page of rows.
    fn page(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Envelope> {
        let answer = self.get(path, query)?;
        let envelope: Envelope =
            serde_json::from_str(&answer).with_context(|| self.not_a_collector())?;
        if envelope.schema_version != SCHEMA_VERSION {
            bail!(
                "the collector answers with schema version {}, this program reads {SCHEMA_VERSION}: \
                 use the busyhour that came with the collector",
                envelope.schema_version
            );
        }
        Ok(envelope)
    }

    /// Asks for a text.
    pub(crate) fn get(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<String> {
        let mut request = self.signed(self.agent.get(self.url(path)));
        for (name, value) in query {
            request = request.query(*name, value);
        }
        let response = request.call().map_err(|error| self.unreachable(error))?;
        let (status, body) = self.read(response)?;
        if status == 200 { Ok(body) } else { Err(problem(status, &body)) }
    }

    /// Sends JSON; a refusal is an error.
    pub(crate) fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        match self.post_or_refusal(path, body)? {
            Answer::Done(answer) => Ok(answer),
            Answer::Refused(answer) => {
                let detail = answer.get("detail").and_then(Value::as_str);
                bail!("{}", detail.unwrap_or("the collector refuses this"))
            }
        }
    }

    /// Sends JSON; a refusal because of what is in it is an answer, too.
    pub(crate) fn post_or_refusal(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        let response = self
            .signed(self.agent.post(self.url(path)))
            .send_json(body)
            .map_err(|error| self.unreachable(error))?;
        let (status, text) = self.read(response)?;
        let parsed = || serde_json::from_str(&text).with_context(|| self.not_a_collector());
        match status {
            200..=299 => Ok(Answer::Done(parsed()?)),
            422 => Ok(Answer::Refused(parsed()?)),
            _ => Err(problem(status, &text)),
        }
    }

    /// Deletes; a refusal is an error.
    pub(crate) fn delete(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
        // Every write says that it is no page's form.
        let mut request = self
            .signed(self.agent.delete(self.url(path)))
            .header("content-type", "application/json");
        for (name, value) in query {
            request = request.query(*name, *value);
        }
        let response = request.call().map_err(|error| self.unreachable(error))?;
        let (status, body) = self.read(response)?;
        if !(200..=299).contains(&status) {
            return Err(problem(status, &body));
        }
        serde_json::from_str(&body).with_context(|| self.not_a_collector())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn read(
        &self,
        mut response: ureq::http::Response<ureq::Body>,
    ) -> anyhow::Result<(u16, String)> {
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_string();
        Ok((status, body.with_context(|| format!("read the answer of {}", self.base))?))
    }

    fn unreachable(&self, error: ureq::Error) -> anyhow::Error {
        let base = &self.base;
        let said = match &error {
            ureq::Error::Timeout(_) => format!("the collector at {base} does not answer in time"),
            error if error.to_string().contains("certificate") => format!(
                "the collector at {base} does not prove who it is: name the certificates that it is \
                 checked against with --ca-file or BUSYHOUR_CA_FILE"
            ),
            _ => format!(
                "cannot reach a collector at {base}: is it running? Start it with \
                 `busyhour-collector run`, or say where it is with --collector or BUSYHOUR_COLLECTOR"
            ),
        };
        anyhow::Error::new(error).context(said)
    }

    fn not_a_collector(&self) -> String {
        format!("{} does not answer like a collector: is the address right?", self.base)
    }
}

/// The certificates of a file, and no others.
fn certificates(file: &Path) -> anyhow::Result<RootCerts> {
    let reading = || format!("read certificates from {}", file.display());
    let text = fs::read(file).with_context(reading)?;
    let mut certificates = Vec::new();
    for item in parse_pem(&text) {
        if let PemItem::Certificate(certificate) = item.with_context(reading)? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        bail!("there is no certificate in {}", file.display());
    }
    Ok(RootCerts::from(certificates))
}

/// The address is this machine's own.
fn is_loopback(collector: &str) -> bool {
    let authority = collector.split_once("://").map_or(collector, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return false;
    }
    if authority.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback()) {
        return true;
    }
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Problem details (RFC 9457), or whatever came instead.
fn problem(status: u16, body: &str) -> anyhow::Error {
    let details: Item = serde_json::from_str(body).unwrap_or_default();
    let text = |key: &str| details.get(key).and_then(Value::as_str).map(str::to_owned);
    match (text("title"), text("detail")) {
        (_, Some(detail)) => anyhow!("{detail}"),
        (Some(title), None) => anyhow!("the collector refuses: {title} (HTTP {status})"),
        (None, None) => anyhow!("the collector answers with HTTP status {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_go_in_the_clear_to_this_machine_only() {
        for own in
            ["http://127.0.0.1:8080", "http://localhost/", "http://[::1]:8080", "http://[::1]"]
        {
            assert!(is_loopback(own), "{own}");
        }
        for other in [
            "http://192.0.2.7:8080",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example:80",
            "http://localhost@evil.example/",
            "http://evil.example/?localhost",
            "http://[2001:db8::1]:80",
        ] {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
