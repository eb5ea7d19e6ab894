//! `busyhour channel`: where alerts go, how that goes, and whether it would.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Subcommand;
use serde_json::{Value, json};

use crate::Outcome;
use crate::client::Client;
use crate::output::{Column, Printer, harmless};
use crate::show::{Kind, pick};

const CHANNELS: &[Column] = &[
    ("name", "channel"),
    ("kind", "kind"),
    ("state", "state"),
    ("waiting", "waiting"),
    ("taken_utc", "last taken"),
    ("failing_since_utc", "fails since"),
    ("error", "what it says"),
];

const CHANNEL: Kind = Kind { what: "channel", keys: &["name"], ls: "channel ls" };

/// How often a test is asked about.
const POLL: Duration = Duration::from_millis(500);
/// The longest that is waited: a few rounds of the worker, and an exchange of 30 seconds.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Subcommand)]
pub(crate) enum ChannelCommand {
    /// List the channels and how they go
    #[command(after_help = "\
Examples:
  busyhour channel ls
  busyhour channel ls -o json")]
    Ls,
    /// Show one channel
    #[command(after_help = "\
Examples:
  busyhour channel show champion
  busyhour channel show champion -o yaml")]
    Show {
        /// The channel's name
        channel: String,
    },
    /// Send a test message, and say whether it was taken
    #[command(after_help = "\
Exits with 1 when it was refused. A Teams channel says that it has the card, never that it shows it: look there.

Examples:
  busyhour channel test champion")]
    Test {
        /// The channel's name
        channel: String,
    },
}

pub(crate) fn run(
    client: &Client,
    printer: &Printer,
    command: &ChannelCommand,
) -> anyhow::Result<Outcome> {
    match command {
        ChannelCommand::Ls => {
            printer.rows(&client.list("/api/v1/channels", &[])?, CHANNELS)?;
            Ok(Outcome::Done)
        }
        ChannelCommand::Show { channel } => {
            let channels = client.list("/api/v1/channels", &[])?;
            printer.one(&pick(channels, &CHANNEL, channel)?, CHANNELS)?;
            Ok(Outcome::Done)
        }
        ChannelCommand::Test { channel } => test(client, channel),
    }
}

fn test(client: &Client, channel: &str) -> anyhow::Result<Outcome> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if channel.is_empty() || !channel.chars().all(plain) {
        bail!("{channel:?} cannot be the name of a channel");
    }
    let asked = client.post(&format!("/api/v1/channels/{channel}/test"), &json!({}))?;
    let Some(number) = asked.get("number").and_then(Value::as_i64) else {
        bail!("the collector does not say the number of the test");
    };
    let begun = Instant::now();
    loop {
        let test = client.list(&format!("/api/v1/channel-tests/{number}"), &[])?;
        let item = test.items.first();
        let text = |key: &str| {
            item.and_then(|item| item.get(key)).and_then(Value::as_str).unwrap_or_default()
        };
        match text("state") {
            "taken" => {
                writeln!(std::io::stdout(), "taken: look into {channel} whether it is there")?;
                return Ok(Outcome::Done);
            }
            "refused" => bail!("{channel} did not take it: {}", harmless(text("error"))),
            _ if begun.elapsed() >= PATIENCE => {
                bail!("no answer within a minute; `busyhour channel ls` shows how it goes");
            }
            _ => std::thread::sleep(POLL),
        }
    }
}
