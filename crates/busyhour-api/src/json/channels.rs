//! Channels, how they go, and tests of them. They are the collector's, so only who sees all of the fleet has
//! them.

use axum::extract::Path;
use axum::http::StatusCode;
use busyhour_store::{ChannelRow, ChannelTest};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Items, Single, items, single};
use crate::app::App;
use crate::problem::Problem;
use crate::text;

/// A channel of the collector's configuration.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChannelItem {
    name: String,
    /// `email`, `teams`, `alertmanager`, `pagerduty`, `webhook` or `file`.
    kind: String,
    /// `works`, `fails`, or `unused` as long as nothing was sent.
    state: &'static str,
    /// Messages that wait on it, those of later included.
    waiting: u64,
    /// When it last took one.
    taken_utc: Option<String>,
    failing_since_utc: Option<String>,
    /// What it said last, while it fails.
    error: Option<String>,
}

impl From<ChannelRow> for ChannelItem {
    fn from(row: ChannelRow) -> Self {
        let state = match (row.failing_since, row.taken) {
            (Some(_), _) => "fails",
            (None, Some(_)) => "works",
            (None, None) => "unused",
        };
        Self {
            name: row.name,
            kind: row.kind,
            state,
            waiting: row.waiting,
            taken_utc: row.taken.map(text::utc),
            failing_since_utc: row.failing_since.map(text::utc),
            error: row.error,
        }
    }
}

/// A test of a channel.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChannelTestItem {
    number: i64,
    /// `waits`, `taken` or `refused`.
    state: &'static str,
    /// Why it was refused.
    error: Option<String>,
}

impl ChannelTestItem {
    fn new(number: i64, test: ChannelTest) -> Self {
        let (state, error) = match test {
            ChannelTest::Waits => ("waits", None),
            ChannelTest::Taken => ("taken", None),
            ChannelTest::Refused(error) => ("refused", Some(error)),
        };
        Self { number, state, error }
    }
}

/// The channels, by name.
pub(crate) async fn list(app: App) -> Items<ChannelItem> {
    let channels = app.with_store(|services| Ok(services.outbox.whole()?.channels()?));
    Ok(items(channels.await?.into_iter().map(ChannelItem::from).collect()))
}

/// Asks for a test. The answer is there at once, the test's a few seconds later.
pub(crate) async fn test(
    app: App,
    Path(name): Path<String>,
) -> Result<(StatusCode, axum::Json<Single<ChannelTestItem>>), Problem> {
    let number = app.with_store(move |services| {
        let act = services.act((services.clock)());
        let asked = services.outbox.whole()?.test_channel(&name, &act)?;
        asked.ok_or_else(|| Problem::not_found(format!("there is no channel {name:?}")))
    });
    let item = ChannelTestItem::new(number.await?, ChannelTest::Waits);
    Ok((StatusCode::ACCEPTED, single(item)))
}

/// How a test went.
pub(crate) async fn tested(
    app: App,
    Path(number): Path<String>,
) -> Result<axum::Json<Single<ChannelTestItem>>, Problem> {
    let item = app.with_store(move |services| {
        let outbox = services.outbox.whole()?;
        let none = || Problem::not_found(format!("there is no test {number:?} (any more)"));
        let number: i64 = number.parse().map_err(|_| none())?;
        let test = outbox.channel_test(number)?.ok_or_else(none)?;
        Ok(ChannelTestItem::new(number, test))
    });
    Ok(single(item.await?))
}
