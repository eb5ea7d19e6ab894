//! `busyhour-agent enrol`: an identity for a token.
//!
//! The key is made here and is durable before it is used; the token's secret is sent only over a
//! connection on which the collector proved that it has a certificate of the authority that the token
//! names; an answer that was lost is given again for the same token and key.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow, bail};
use busyhour_daemon::load;
use busyhour_model::UtcMicros;
use busyhour_proto::v1;
use busyhour_proto::v1::enrolment_client::EnrolmentClient;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::timeout;
use tonic::Status;
use tonic::transport::Uri;

use crate::args::{EnrolArgs, Output};
use crate::blocking::blocking;
use crate::config::{RawConfig, collector_url};
use crate::identity::{Asked, Credential, Folder, Token, by_pin, is_stranger};
use crate::print::print;
use crate::process::Outcome;
use crate::uplink::{Secured, TIMEOUT, is_said};

/// What programs get.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    agent_id: String,
    collector: &'a str,
    building: &'a str,
    subnet: &'a str,
    certificate_expires_utc: String,
    /// Somebody has to approve the agent before it may deliver.
    waiting: bool,
}

/// Enrols and says what came of it.
pub(crate) async fn run(args: &EnrolArgs) -> anyhow::Result<Outcome> {
    let (data_dir, url) = settings(args)?;
    let folder = Folder::of(&data_dir);
    if let Some(stored) = folder.read()?
        && !args.again
    {
        bail!(
            "this machine is agent {} of {} already; with --again it becomes another one",
            stored.current.agent,
            stored.current.collector
        );
    }
    let file = args.token_file.clone();
    let token = blocking(move || Token::read(&file)).await?;
    let (credential, waiting) = enrol(&folder, &url, &token).await?;
    show(args, &credential, waiting)?;
    Ok(Outcome::Done)
}

fn settings(args: &EnrolArgs) -> anyhow::Result<(PathBuf, Uri)> {
    let raw: RawConfig = load(args.config.as_deref(), &[])?;
    let data_dir = args.data_dir.clone().unwrap_or_else(|| raw.data_dir().to_owned());
    let url = args.collector.as_deref().or(raw.collector_url());
    let url = url.context("say which collector with --collector https://HOST:PORT")?;
    let parsed = collector_url(url)?;
    if parsed.scheme_str() != Some("https") {
        bail!("agents are enrolled over https:// only, not at {url:?}");
    }
    Ok((data_dir, parsed))
}

async fn enrol(folder: &Folder, url: &Uri, token: &Token) -> anyhow::Result<(Credential, bool)> {
    let collector = url.to_string();
    let key = folder.key_for(&collector, &token.id)?;
    let request = v1::EnrolRequest {
        token_id: token.id.clone(),
        token_secret: token.secret.expose().to_owned(),
        request: key.request()?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        os: std::env::consts::OS.to_owned(),
    };
    let channel = Secured::new(url)?.connect(by_pin(token.pin)?).await.map_err(|error| {
        if is_stranger(&error) {
            anyhow::Error::new(error).context(format!(
                "whoever answers at {collector} is not the collector that this token is of; the \
                 token was not sent"
            ))
        } else {
            anyhow::Error::new(error).context(format!("connect to {collector}"))
        }
    })?;
    let reply = timeout(TIMEOUT, EnrolmentClient::new(channel).enrol(request))
        .await
        .map_err(|_| anyhow!("{collector} does not answer; run this again with the same token"))?
        .map_err(|status| refused(&collector, &status))?;
    let issued = reply.into_inner().credential;
    let waiting = issued
        .as_ref()
        .is_some_and(|credential| credential.standing == i32::from(v1::Standing::Waiting));
    let asked = Asked { collector: &collector, key, agent: None, now: now() };
    let credential = asked.accept(issued)?;
    folder.enrolled(&credential).context("keep the identity")?;
    Ok((credential, waiting))
}

/// A refusal is the collector's word; anything else may be tried again.
fn refused(collector: &str, status: &Status) -> anyhow::Error {
    let said = status.message();
    if is_said(status) {
        anyhow!("{collector} refuses: {said}")
    } else {
        anyhow!("{collector} gave no answer ({said}); run this again with the same token")
    }
}

fn show(args: &EnrolArgs, credential: &Credential, waiting: bool) -> anyhow::Result<()> {
    let expires = Timestamp::from_microsecond(credential.valid_until.0).unwrap_or_default();
    let shown = Shown {
        agent_id: credential.agent.to_string(),
        collector: &credential.collector,
        building: &credential.building,
        subnet: &credential.subnet,
        certificate_expires_utc: expires.to_string(),
        waiting,
    };
    let text = match args.output {
        Output::Json => serde_json::to_string_pretty(&shown)?,
        Output::Table => sentence(&shown),
    };
    print(&text)?;
    Ok(())
}

fn sentence(shown: &Shown<'_>) -> String {
    let place = [shown.building, shown.subnet];
    let place: Vec<&str> = place.into_iter().filter(|name| !name.is_empty()).collect();
    let place = if place.is_empty() { String::new() } else { format!(" in {}", place.join(", ")) };
    let next = if shown.waiting {
        "it delivers when somebody has approved it there: `busyhour agent approve`"
    } else {
        "it delivers from its next start on"
    };
    format!(
        "this machine is agent {} of {}{place} until {}, and renews that by itself; {next}",
        shown.agent_id, shown.collector, shown.certificate_expires_utc
    )
}

fn now() -> UtcMicros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    UtcMicros::default().plus(since)
}
