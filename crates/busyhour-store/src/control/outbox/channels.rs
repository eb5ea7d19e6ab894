//! Channels, and how they go.

use busyhour_model::UtcMicros;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{MAX_ERROR_CHARS, about_itself};
use crate::{ChannelRow, ChannelTest, DeliveryOutcome};

/// How long a channel may fail before others tell of it.
pub(super) const PATIENCE_US: i64 = 3_600 * 1_000_000;

pub(super) fn register(sql: &Connection, channels: &[(String, String)]) -> rusqlite::Result<()> {
    let known: Vec<String> = sql
        .prepare_cached("SELECT name FROM channels")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for gone in known.iter().filter(|name| !channels.iter().any(|(one, _)| one == *name)) {
        sql.prepare_cached("DELETE FROM channels WHERE name = ?1")?.execute([gone])?;
    }
    let mut put = sql.prepare_cached(
        "INSERT INTO channels (name, kind, told) VALUES (?1, ?2, 0) \
         ON CONFLICT (name) DO UPDATE SET kind = excluded.kind",
    )?;
    for (name, kind) in channels {
        put.execute([name, kind])?;
    }
    sql.prepare_cached("UPDATE events SET look_us = created_us WHERE fate = 'untold'")?
        .execute([])?;
    Ok(())
}

pub(super) fn channels(sql: &Connection) -> rusqlite::Result<Vec<ChannelRow>> {
    let time = |at: Option<i64>| at.map(UtcMicros);
    sql.prepare_cached(
        "SELECT name, kind, taken_us, failing_us, error, (SELECT count(*) FROM deliveries d \
         WHERE d.state = 'pending' AND d.channel = c.name) FROM channels c ORDER BY name",
    )?
    .query_map([], |row| {
        Ok(ChannelRow {
            name: row.get(0)?,
            kind: row.get(1)?,
            taken: time(row.get(2)?),
            failing_since: time(row.get(3)?),
            error: row.get(4)?,
            waiting: u64::try_from(row.get::<_, i64>(5)?).unwrap_or(0),
        })
    })?
    .collect()
}

pub(super) fn is_there(sql: &Connection, channel: &str) -> rusqlite::Result<bool> {
    sql.prepare_cached("SELECT EXISTS (SELECT 1 FROM channels WHERE name = ?1)")?
        .query_row([channel], |row| row.get(0))
}

pub(super) fn test(sql: &Connection, event: i64) -> rusqlite::Result<Option<ChannelTest>> {
    let went = |row: &Row<'_>| {
        let (fate, remark): (String, Option<String>) = (row.get(0)?, row.get(1)?);
        let (state, detail): (Option<String>, Option<String>) = (row.get(2)?, row.get(3)?);
        Ok(match (fate.as_str(), state.as_deref()) {
            (_, Some("sent")) => ChannelTest::Taken,
            (_, Some("withheld")) => ChannelTest::Refused(detail.unwrap_or_default()),
            ("nobody", _) => ChannelTest::Refused(remark.unwrap_or_default()),
            _ => ChannelTest::Waits,
        })
    };
    sql.prepare_cached(
        "SELECT e.fate, e.remark, d.state, d.detail FROM events e \
             LEFT JOIN deliveries d ON d.event = e.id WHERE e.id = ?1 AND e.event = 'test'",
    )?
    .query_row([event], went)
    .optional()
}

/// How a channel goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Health {
    failing: Option<i64>,
    /// It was told that it fails.
    told: bool,
}

/// What an attempt says of its channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Went {
    Taken,
    Refused,
    RefusedForGood,
}

/// What others are told of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    Fails,
    Works,
}

impl Health {
    /// After an attempt.
    fn after(self, went: Went, now: i64) -> (Self, Option<News>) {
        if went == Went::Taken {
            return (Self::default(), self.told.then_some(News::Works));
        }
        let since = self.failing.unwrap_or(now);
        let fails = !self.told
            && (went == Went::RefusedForGood || now.saturating_sub(since) >= PATIENCE_US);
        let health = Self { failing: Some(since), told: self.told || fails };
        (health, fails.then_some(News::Fails))
    }
}

/// Notes how the channel of a delivery goes.
pub(super) fn note(
    sql: &Connection,
    delivery: i64,
    outcome: &DeliveryOutcome,
    now: UtcMicros,
) -> rusqlite::Result<()> {
    let (went, error) = match outcome {
        DeliveryOutcome::Sent => (Went::Taken, None),
        DeliveryOutcome::Partly { error, .. } | DeliveryOutcome::SentBut { error } => {
            (Went::Taken, Some(error.as_str()))
        }
        DeliveryOutcome::Retry { error, for_good: true, .. } => {
            (Went::RefusedForGood, Some(error.as_str()))
        }
        DeliveryOutcome::Retry { error, .. } => (Went::Refused, Some(error.as_str())),
        // A message, or a recipient, that is at fault says nothing of its channel; it is shown there all the same.
        DeliveryOutcome::Refused { error } | DeliveryOutcome::StillLeft { error, .. } => {
            return show(sql, delivery, error);
        }
        DeliveryOutcome::Later(_)
        | DeliveryOutcome::Held(_)
        | DeliveryOutcome::NotMade { .. }
        | DeliveryOutcome::Withheld { .. }
        | DeliveryOutcome::GivenUp { .. } => {
            return Ok(());
        }
    };
    let name: Option<String> = sql
        .prepare_cached("SELECT channel FROM deliveries WHERE id = ?1")?
        .query_row([delivery], |row| row.get(0))
        .optional()?;
    let Some(name) = name else { return Ok(()) };
    put(sql, &name, (went, error), now)
}

/// Shows what went wrong on the channel of a delivery.
fn show(sql: &Connection, delivery: i64, error: &str) -> rusqlite::Result<()> {
    sql.prepare_cached(
        "UPDATE channels SET error = ?2 \
         WHERE name = (SELECT channel FROM deliveries WHERE id = ?1)",
    )?
    .execute(params![delivery, error])
    .map(drop)
}

/// Whether it was told that the channel of a delivery fails.
pub(super) fn is_told_to_fail(sql: &Connection, delivery: i64) -> rusqlite::Result<bool> {
    sql.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM channels c JOIN deliveries d ON d.channel = c.name \
         WHERE d.id = ?1 AND c.told)",
    )?
    .query_row([delivery], |row| row.get(0))
}

/// Notes how a channel goes that was told something that is no delivery.
pub(super) fn note_said(
    sql: &Connection,
    name: &str,
    went: Result<(), &str>,
    now: UtcMicros,
) -> rusqlite::Result<()> {
    let went = went.map_or_else(|error| (Went::Refused, Some(error)), |()| (Went::Taken, None));
    put(sql, name, went, now)
}

fn put(
    sql: &Connection,
    name: &str,
    (went, error): (Went, Option<&str>),
    now: UtcMicros,
) -> rusqlite::Result<()> {
    let taken = (went == Went::Taken).then_some(now.0);
    let health = sql
        .prepare_cached("SELECT failing_us, told FROM channels WHERE name = ?1")?
        .query_row([name], |row| Ok(Health { failing: row.get(0)?, told: row.get(1)? }))
        .optional()?;
    let Some(health) = health else { return Ok(()) };
    let (health, news) = health.after(went, now.0);
    sql.prepare_cached(
        "UPDATE channels SET taken_us = coalesce(?2, taken_us), failing_us = ?3, told = ?4, \
         error = ?5 WHERE name = ?1",
    )?
    .execute(params![name, taken, health.failing, health.told, error])?;
    match news {
        None => Ok(()),
        Some(News::Works) => about_itself(sql, "channel-works", name, now).map(drop),
        Some(News::Fails) => {
            let error: String = error.unwrap_or_default().chars().take(MAX_ERROR_CHARS).collect();
            about_itself(sql, "channel-failed", &format!("{name}\n{error}"), now).map(drop)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_that_fails_is_told_once_and_once_when_it_works_again() {
        let mut health = Health::default();
        let mut told = Vec::new();
        // How it went, after how many minutes.
        for (went, minute) in [
            (Went::Refused, 0),
            (Went::Refused, 59),
            (Went::Refused, 60),
            (Went::RefusedForGood, 61),
            (Went::Refused, 500),
            (Went::Taken, 501),
            (Went::Taken, 502),
            (Went::RefusedForGood, 503),
            (Went::Taken, 504),
            (Went::Refused, 505),
            (Went::Taken, 506),
        ] {
            let (after, news) = health.after(went, minute * 60_000_000);
            health = after;
            told.extend(news.map(|news| (minute, news)));
        }
        let expected =
            [(60, News::Fails), (501, News::Works), (503, News::Fails), (504, News::Works)];
        assert_eq!(told, expected);
    }
}
