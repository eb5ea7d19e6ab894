//! The outbox: events, and each on the channels that it was placed on.

mod channels;
mod due;

use busyhour_model::{IncidentId, UtcMicros};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::incidents::{event_of, incident};
use super::{SqliteControl, audit, id, quiet};
use crate::codec::bad;
use crate::sqlite::{row_limit, unreadable};
use crate::{
    Act, AuditAction, AuditSubject, ChannelRow, ChannelTest, Delivery, DeliveryOutcome,
    DeliveryTotals, Fate, Happened, Outbox, Purpose, StoreError, Untold,
};

#[cfg(test)]
pub(super) use due::{AGENT_NAME, BUILDING_NAME, DUE, DUE_CHANNELS, SUBNET_NAME};

/// What went wrong with a channel is cut here where it is told on others.
const MAX_ERROR_CHARS: usize = 300;
/// Longer than anything is tried for.
const NOT_MADE_ONCE_US: i64 = 7 * 24 * 3_600 * 1_000_000;

pub(super) const UNTOLD: &str = "SELECT id, incident, openings, event, detail, created_us FROM events \
     WHERE fate = 'untold' AND look_us <= ?1 ORDER BY look_us, id LIMIT ?2";
pub(super) const TOLD_LATELY: &str = "SELECT EXISTS (SELECT 1 FROM events \
     INDEXED BY events_of_no_incident WHERE incident IS NULL AND created_us > ?1 \
     AND event = ?3 AND instr(detail, ?2 || char(10)) = 1)";
pub(super) const PENDING: &str = "SELECT count(*) FROM deliveries WHERE state = 'pending'";
pub(super) const WAITING: &str = "SELECT count(*) FROM events WHERE fate = 'untold'";
/// Where an opening, or that it got worse, was told, to some at least: not where it was withheld, and not to whom it
/// would only be told if nobody saw it.
pub(super) const TOLD_ON: &str = "SELECT d.channel, min(d.purpose) FROM events e \
     JOIN deliveries d ON d.event = e.id \
     WHERE e.incident = ?1 AND e.openings = ?2 AND e.event IN ('opened', 'worse') \
       AND d.state <> 'withheld' \
       AND (d.state = 'sent' OR d.left_for IS NOT NULL OR d.purpose <> 'escalate') \
     GROUP BY d.channel";
pub(super) const OPENING_WAITS: &str = "SELECT EXISTS (SELECT 1 FROM events WHERE incident = ?1 \
     AND openings = ?2 AND event = 'opened' AND fate = 'untold')";

impl Outbox for SqliteControl {
    fn register_channels(&self, channels: &[(String, String)]) -> Result<(), StoreError> {
        self.database.write("note channels", |sql| channels::register(sql, channels))
    }

    fn channels(&self) -> Result<Vec<ChannelRow>, StoreError> {
        self.database.read("read channels", |sql| channels::channels(sql))
    }

    fn untold(&self, now: UtcMicros, limit: usize) -> Result<Vec<Untold>, StoreError> {
        self.database.write("take what is untold", |sql| {
            note_worse(sql, now)?;
            untold(sql, now, limit)
        })
    }

    fn place(&self, fates: &[(i64, Fate)]) -> Result<(), StoreError> {
        self.database.write("place events", |sql| place(sql, fates))
    }

    fn due_deliveries(
        &self,
        now: UtcMicros,
        limit: usize,
        but: &[String],
    ) -> Result<Vec<Delivery>, StoreError> {
        self.database.read("take due deliveries", |sql| due::due(sql, now, limit, but))
    }

    fn bundle(&self, deliveries: &[i64]) -> Result<(), StoreError> {
        self.database.write("bundle deliveries", |sql| bundle(sql, deliveries))
    }

    fn standing_deliveries(
        &self,
        channel: &str,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        let standing = |sql: &Transaction<'_>| due::standing(sql, channel, limit);
        self.database.read("read what stands on a channel", standing)
    }

    fn delivered(
        &self,
        deliveries: &[i64],
        outcome: &DeliveryOutcome,
        now: UtcMicros,
    ) -> Result<(), StoreError> {
        let note = |sql: &Transaction<'_>| delivered(sql, deliveries, outcome, now);
        self.database.write("note a delivery", note)
    }

    fn channel_went(
        &self,
        channel: &str,
        went: Result<(), &str>,
        now: UtcMicros,
    ) -> Result<(), StoreError> {
        let note = |sql: &Transaction<'_>| channels::note_said(sql, channel, went, now);
        self.database.write("note how a channel goes", note)
    }

    fn test_channel(&self, channel: &str, by: &Act) -> Result<Option<i64>, StoreError> {
        self.database.write("ask for a test", |sql| {
            if !channels::is_there(sql, channel)? {
                return Ok(None);
            }
            audit::note(sql, by, AuditAction::ChannelTested, AuditSubject::Store, channel)?;
            about_itself(sql, "test", channel, by.at)?;
            Ok(Some(sql.last_insert_rowid()))
        })
    }

    fn channel_test(&self, event: i64) -> Result<Option<ChannelTest>, StoreError> {
        self.database.read("read a test", |sql| channels::test(sql, event))
    }

    fn ask_report(&self, name: &str, now: UtcMicros) -> Result<bool, StoreError> {
        self.database.write("ask for a report", |sql| {
            about_itself(sql, "report", name, now).map(|asked| asked != 0)
        })
    }
}

/// Writes an event that is about no incident.
fn about_itself(
    sql: &Connection,
    event: &str,
    detail: &str,
    now: UtcMicros,
) -> rusqlite::Result<usize> {
    sql.prepare_cached(
        "INSERT INTO events (incident, openings, event, detail, created_us, fate, look_us) \
         VALUES (NULL, 0, ?1, ?2, ?3, 'untold', ?3) ON CONFLICT DO NOTHING",
    )?
    .execute(params![event, detail, now.0])
}

/// Makes events of what got worse during maintenance that is over.
fn note_worse(sql: &Connection, now: UtcMicros) -> rusqlite::Result<()> {
    let mut put = sql.prepare_cached(
        "INSERT INTO events (incident, openings, event, detail, created_us, fate, look_us) \
         SELECT id, openings, 'worse', ?2, ?3, 'untold', ?3 FROM incidents WHERE id = ?1 \
         ON CONFLICT DO NOTHING",
    )?;
    for worse in quiet::turn(sql, now)? {
        put.execute(params![worse.incident.to_bytes(), worse.quiet.to_string(), now.0])?;
    }
    Ok(())
}

fn untold(sql: &Connection, now: UtcMicros, limit: usize) -> rusqlite::Result<Vec<Untold>> {
    let mut statement = sql.prepare_cached(UNTOLD)?;
    let mut rows = statement.query(params![now.0, row_limit(limit)])?;
    let mut untold = Vec::new();
    while let Some(row) = rows.next()? {
        let (event, detail): (String, String) = (row.get(3)?, row.get(4)?);
        let happened = match event.as_str() {
            "test" => Happened::Test { channel: detail },
            "channel-failed" => {
                let (channel, error) = failed(&detail);
                Happened::ChannelFailed { channel, error }
            }
            "channel-works" => Happened::ChannelWorks { channel: detail },
            "message-refused" => Happened::MessageRefused { channel: failed(&detail).0 },
            "not-made" => Happened::NotMade { channel: failed(&detail).0 },
            "report" => Happened::Report { name: detail },
            word => {
                let of = id(row, 1, IncidentId::from_u128)?;
                let openings: u32 = row.get(2)?;
                let Some(incident) = incident(sql, of)? else {
                    return Err(unreadable(bad("incident of an event")));
                };
                let of = params![of.to_bytes(), openings];
                Happened::Incident {
                    event: event_of(word)?,
                    openings,
                    incident: Box::new(incident),
                    told_on: told_on(sql, of)?,
                    opening_waits: sql
                        .prepare_cached(OPENING_WAITS)?
                        .query_row(of, |row| row.get(0))?,
                }
            }
        };
        untold.push(Untold { event: row.get(0)?, created: UtcMicros(row.get(5)?), happened });
    }
    Ok(untold)
}

fn told_on(
    sql: &Connection,
    of: &[&dyn rusqlite::ToSql],
) -> rusqlite::Result<Vec<(String, Purpose)>> {
    let mut told = sql.prepare_cached(TOLD_ON)?;
    let rows =
        told.query_map(of, |row| Ok((row.get(0)?, due::purpose(row.get_ref(1)?.as_str()?)?)))?;
    rows.collect()
}

/// A channel's name has no line break; what went wrong stands behind one.
fn failed(detail: &str) -> (String, String) {
    let (channel, error) = detail.split_once('\n').unwrap_or((detail, ""));
    (channel.to_owned(), error.to_owned())
}

fn place(sql: &Connection, fates: &[(i64, Fate)]) -> rusqlite::Result<()> {
    let mut look =
        sql.prepare_cached("UPDATE events SET look_us = ?2 WHERE id = ?1 AND fate = 'untold'")?;
    let mut settle = sql.prepare_cached(
        "UPDATE events SET fate = ?2, remark = ?3, labels = ?4 WHERE id = ?1 AND fate = 'untold'",
    )?;
    let mut put = sql.prepare_cached(
        "INSERT INTO deliveries (event, channel, purpose, state, placed_us, due_us, attempts) \
         VALUES (?1, ?2, ?3, 'pending', ?4, ?4, 0) ON CONFLICT DO NOTHING",
    )?;
    for (event, fate) in fates {
        match fate {
            Fate::Later(at) => {
                look.execute(params![event, at.0])?;
            }
            Fate::Nobody(why) => {
                settle.execute(params![event, "nobody", why, None::<&str>])?;
            }
            Fate::On { deliveries, labels } => {
                if settle.execute(params![event, "placed", None::<&str>, labels])? == 0 {
                    continue;
                }
                for new in deliveries {
                    put.execute(params![event, new.channel, new.purpose.as_str(), new.due.0])?;
                }
            }
        }
    }
    Ok(())
}

fn bundle(sql: &Connection, deliveries: &[i64]) -> rusqlite::Result<()> {
    let Some(first) = deliveries.first() else { return Ok(()) };
    let mut join = sql.prepare_cached(
        "UPDATE deliveries SET bundle = ?2 WHERE id = ?1 AND bundle IS NULL AND state = 'pending'",
    )?;
    for delivery in deliveries {
        join.execute([delivery, first])?;
    }
    Ok(())
}

/// Notes what became of an attempt; of what is finished nothing changes.
fn delivered(
    sql: &Connection,
    deliveries: &[i64],
    outcome: &DeliveryOutcome,
    now: UtcMicros,
) -> rusqlite::Result<()> {
    let (state, due, detail, attempts) = match outcome {
        DeliveryOutcome::Sent => ("sent", None, None, 1),
        DeliveryOutcome::SentBut { error } => ("sent", None, Some(error), 1),
        DeliveryOutcome::Retry { at, error, .. }
        | DeliveryOutcome::Partly { at, error, .. }
        | DeliveryOutcome::StillLeft { at, error } => ("pending", Some(at.0), Some(error), 1),
        // Nobody was asked.
        DeliveryOutcome::NotMade { at, error } => ("pending", Some(at.0), Some(error), 0),
        DeliveryOutcome::Later(at) | DeliveryOutcome::Held(at) => ("pending", Some(at.0), None, 0),
        DeliveryOutcome::Withheld { reason: error }
        | DeliveryOutcome::Refused { error }
        | DeliveryOutcome::GivenUp { error } => ("withheld", None, Some(error), 1),
    };
    let held = matches!(outcome, DeliveryOutcome::Held(_));
    let left = match outcome {
        DeliveryOutcome::Partly { left, .. } => Some(left.join("\n")),
        _ => None,
    };
    // Whom it is still to reach is of no interest when it is finished; that others have it is.
    let mut note = sql.prepare_cached(
        "UPDATE deliveries SET state = iif(?2 = 'withheld' AND left_for IS NOT NULL, 'sent', ?2), \
         due_us = coalesce(?3, due_us), \
         detail = coalesce(?4, detail), attempts = attempts + ?6, \
         placed_us = iif(?7, max(placed_us, ?3), placed_us), \
         left_for = iif(?3 IS NULL, NULL, coalesce(?8, left_for)), \
         finished_us = iif(?3 IS NULL, ?5, NULL) WHERE id = ?1 AND state = 'pending' \
         RETURNING state",
    )?;
    let mut count = sql.prepare_cached(
        "UPDATE delivery_counts SET deliveries = deliveries + 1 WHERE state = ?1",
    )?;
    let mut changed = 0_usize;
    for delivery in deliveries {
        let noted = params![delivery, state, due, detail, now.0, attempts, held, left];
        let state: Option<String> = note.query_row(noted, |row| row.get(0)).optional()?;
        if let Some(state) = state {
            changed += 1;
            count.execute([state])?;
        }
    }
    let Some(first) = deliveries.first().filter(|_| changed > 0) else { return Ok(()) };
    channels::note(sql, *first, outcome, now)?;
    match outcome {
        DeliveryOutcome::Refused { error } | DeliveryOutcome::SentBut { error } => {
            refused(sql, *first, (deliveries.len(), error), now)
        }
        DeliveryOutcome::GivenUp { error } if !channels::is_told_to_fail(sql, *first)? => {
            refused(sql, *first, (deliveries.len(), error), now)
        }
        DeliveryOutcome::NotMade { error, .. } => {
            not_made(sql, *first, (deliveries.len(), error), now)
        }
        _ => Ok(()),
    }
}

/// The channel of a delivery, and in words what it is about; `None` where it is about channels.
fn subject(
    sql: &Connection,
    delivery: i64,
    count: usize,
) -> rusqlite::Result<Option<(String, String)>> {
    let found: Option<(String, String, String, Option<u64>)> = sql
        .prepare_cached(
            "SELECT d.channel, e.event, e.detail, i.number FROM deliveries d \
             JOIN events e ON e.id = d.event LEFT JOIN incidents i ON i.id = e.incident \
             WHERE d.id = ?1",
        )?
        .query_row([delivery], |row| {
            let number: Option<i64> = row.get(3)?;
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, number.map(i64::cast_unsigned)))
        })
        .optional()?;
    let Some((channel, event, detail, number)) = found else { return Ok(None) };
    let what = match (number, count) {
        (Some(number), 0 | 1) => format!("incident {number} ({event})"),
        (Some(number), many) => format!("incident {number} ({event}) and {} more", many - 1),
        (None, _) if event == "report" => format!("report {detail}"),
        (None, _) => return Ok(None),
    };
    Ok(Some((channel, one_line(&what))))
}

/// Has it told that a channel did not take a message for good; of what is about channels nobody is told, so that
/// two that refuse do not tell each other for ever, and of one channel once an hour.
fn refused(
    sql: &Connection,
    delivery: i64,
    (count, error): (usize, &str),
    now: UtcMicros,
) -> rusqlite::Result<()> {
    let Some((channel, what)) = subject(sql, delivery, count)? else { return Ok(()) };
    if told_lately(sql, "message-refused", &channel, (now, channels::PATIENCE_US))? {
        return Ok(());
    }
    let detail = format!("{channel}\n{}\n{what}", shortened(error));
    about_itself(sql, "message-refused", &detail, now).map(drop)
}

/// Has a channel told that a message for it cannot be put into words, once for each such message.
fn not_made(
    sql: &Connection,
    delivery: i64,
    (count, error): (usize, &str),
    now: UtcMicros,
) -> rusqlite::Result<()> {
    let Some((channel, what)) = subject(sql, delivery, count)? else { return Ok(()) };
    let about = format!("{channel}\n{what}");
    if told_lately(sql, "not-made", &about, (now, NOT_MADE_ONCE_US))? {
        return Ok(());
    }
    about_itself(sql, "not-made", &format!("{about}\n{}", shortened(error)), now).map(drop)
}

/// Whether there was such an event within the last `within` microseconds, with a detail that begins so.
fn told_lately(
    sql: &Connection,
    event: &str,
    begins: &str,
    (now, within): (UtcMicros, i64),
) -> rusqlite::Result<bool> {
    let since = now.0.saturating_sub(within);
    sql.prepare_cached(TOLD_LATELY)?.query_row(params![since, begins, event], |row| row.get(0))
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

fn shortened(error: &str) -> String {
    one_line(error).chars().take(MAX_ERROR_CHARS).collect()
}

pub(super) fn totals(sql: &Connection) -> rusqlite::Result<DeliveryTotals> {
    let count = |statement: &str| {
        let count: i64 = sql.prepare_cached(statement)?.query_row([], |row| row.get(0))?;
        Ok::<_, rusqlite::Error>(u64::try_from(count).unwrap_or(0))
    };
    Ok(DeliveryTotals {
        // What is not yet on a channel waits too.
        pending: count(PENDING)? + count(WAITING)?,
        sent: count("SELECT deliveries FROM delivery_counts WHERE state = 'sent'")?,
        withheld: count("SELECT deliveries FROM delivery_counts WHERE state = 'withheld'")?,
    })
}
