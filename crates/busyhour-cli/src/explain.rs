//! `busyhour explain`: one moment of one path, in words and numbers. All of it is the collector's.

use std::io::Write as _;

use anyhow::bail;
use clap::Args;
use jiff::Timestamp;
use serde_json::Value;

use crate::Outcome;
use crate::client::{Client, Envelope, Item};
use crate::output::{Column, Printer, harmless};

const MOMENT: &[Column] = &[
    ("at_local", "when"),
    ("zone", "zone"),
    ("at_utc", "in UTC"),
    ("busy", "busy hour"),
    ("busy_hours_local", "busy hours"),
    ("busy_hours_from", "which are"),
    ("working_day", "working day"),
    ("requirement", "judged by"),
];
/// What was measured, beside its limit.
const AGAINST: &[Column] =
    &[("what", "what"), ("measured", "measured"), ("limit", "limit"), ("verdict", "verdict")];
const COUNTS: &[Column] = &[
    ("of", "of"),
    ("valid", "windows"),
    ("bad", "bad"),
    ("bad_ratio", "share"),
    ("bad_loss", "loss"),
    ("bad_burst", "burst"),
    ("bad_delay", "delay"),
    ("bad_jitter", "jitter"),
    ("bad_failed", "failed"),
    ("verdict", "verdict"),
];

/// What `explain` understands.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The path's number, as `path ls` prints it
    path: i64,
    /// The moment, as 2026-03-02T09:15:00Z or 2026-03-02T10:15[Europe/Berlin], or how long ago, as 3h;
    /// the newest window unless told
    #[arg(long, value_name = "TIME", value_parser = parse_at)]
    at: Option<Timestamp>,
}

/// A moment, with its zone or counted back from now.
fn parse_at(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    if let Ok(zoned) = text.parse::<jiff::Zoned>() {
        return Ok(zoned.timestamp());
    }
    let ago = crate::args::parse_since(text).map_err(|_| {
        "expected a moment such as 2026-03-02T09:15:00Z or 2026-03-02T10:15[Europe/Berlin], or how \
         long ago, such as 3h"
            .to_owned()
    })?;
    Timestamp::now().checked_sub(ago).map_err(|error| error.to_string())
}

pub(crate) fn run(
    client: &Client,
    printer: &Printer,
    args: &ExplainArgs,
) -> anyhow::Result<Outcome> {
    let query: Vec<_> = args.at.iter().map(|at| ("at", at.to_string())).collect();
    let answer = client.list(&format!("/api/v1/paths/{}/explain", args.path), &query)?;
    let (true, [item]) = (printer.is_table(), answer.items.as_slice()) else {
        if answer.items.len() != 1 {
            bail!("the collector explains {} moments instead of one", answer.items.len());
        }
        printer.rows(&answer, MOMENT)?;
        return Ok(Outcome::Done);
    };
    let words = item.get("words").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut out = std::io::stdout().lock();
    for sentence in words.iter().filter_map(Value::as_str) {
        writeln!(out, "{}", harmless(sentence))?;
    }
    writeln!(out)?;
    drop(out);
    printer.one(&Envelope::new(vec![item.clone()]), MOMENT)?;
    let against = against(item);
    if !against.is_empty() {
        writeln!(std::io::stdout().lock())?;
        printer.rows(&Envelope::new(against), AGAINST)?;
    }
    let counts = counts(item);
    if !counts.is_empty() {
        writeln!(std::io::stdout().lock())?;
        printer.rows(&Envelope::new(counts), COUNTS)?;
    }
    Ok(Outcome::Done)
}

/// The figures of the window beside the limits, in the units of people.
fn against(item: &Item) -> Vec<Item> {
    let Some(window) = item.get("window").and_then(Value::as_object) else { return Vec::new() };
    let limits = item.get("limits").and_then(Value::as_object);
    let figure = |key: &str| window.get(key).and_then(Value::as_f64);
    let limit = |key: &str| limits.and_then(|limits| limits.get(key)).and_then(Value::as_f64);
    let ms = |us: Option<f64>| us.map(|us| format!("{:.1} ms", us / 1_000.0));
    let percent = |share: Option<f64>| share.map(|share| format!("{:.2} %", share * 100.0));
    let lost = ["lost_up", "lost_down", "lost_unknown"].map(figure);
    let lost: Option<f64> = lost.into_iter().sum();
    let share = |part: Option<f64>, whole: Option<f64>| {
        part.zip(whole).filter(|(_, whole)| *whole > 0.0).map(|(part, whole)| part / whole)
    };
    let one_way = [figure("up_one_way_us_median"), figure("down_one_way_us_median")];
    let one_way = one_way.into_iter().flatten().reduce(f64::max);
    let jitter = [figure("up_jitter_us"), figure("down_jitter_us")];
    let jitter = jitter.into_iter().flatten().reduce(f64::max);
    let round_trip = figure("rtt_us_median");
    let rows = [
        (
            "loss in 15 s",
            percent(share(lost, figure("sent"))),
            percent(limit("loss_ratio")),
            "loss",
        ),
        (
            "loss in the worst 200 ms",
            percent(share(figure("burst_lost"), figure("burst_of"))),
            percent(limit("burst_ratio")),
            "burst",
        ),
        ("round trip, median", ms(round_trip), ms(limit("rtt_us")), "round_trip"),
        ("delay one way, the worse", ms(one_way), ms(limit("one_way_us")), "one_way"),
        ("jitter, the worse way", ms(jitter), ms(limit("jitter_us")), "jitter"),
    ];
    let row = |(what, measured, allowed, verdict): (&str, Option<String>, Option<String>, &str)| {
        let known = |text: Option<String>| text.unwrap_or_else(|| "unknown".to_owned());
        // A window's delay is bad by the round trip or one way: here each is told by itself.
        let verdict = match (verdict, round_trip.zip(limit("rtt_us"))) {
            ("round_trip", Some((measured, limit))) if measured > limit => Value::from("fail"),
            ("round_trip", Some(_)) => Value::from("pass"),
            ("round_trip", None) => Value::from("unknown"),
            (verdict, _) => window.get(verdict).cloned().unwrap_or_default(),
        };
        let fields = [
            ("what", Value::from(what)),
            ("measured", Value::from(known(measured))),
            ("limit", allowed.map_or_else(|| Value::from("none"), Value::from)),
            ("verdict", verdict),
        ];
        fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    };
    rows.into_iter().map(row).collect()
}

/// The counts of the hour and of the day.
fn counts(item: &Item) -> Vec<Item> {
    let part = |key: &str| item.get(key).and_then(Value::as_object).cloned();
    let hour = part("hour").map(|mut hour| {
        let of = hour.get("hours_local").cloned().unwrap_or_default();
        hour.insert("of".to_owned(), of);
        hour
    });
    let day = part("day").map(|mut day| {
        let date = day.get("date_local").and_then(Value::as_str).unwrap_or_default();
        let of = format!("busy hours of {date}");
        let count = |key: &str| day.get(key).and_then(Value::as_f64);
        let share = count("bad").zip(count("valid")).filter(|(_, valid)| *valid > 0.0);
        let share = share.map(|(bad, valid)| bad / valid);
        day.insert("of".to_owned(), of.into());
        day.insert("bad_ratio".to_owned(), share.into());
        day
    });
    hour.into_iter().chain(day).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_in_any_zone_or_counted_back() {
        let utc: Timestamp = "2026-03-02T09:15:00Z".parse().unwrap();
        for text in ["2026-03-02T09:15:00Z", "2026-03-02T10:15+01:00[Europe/Berlin]"] {
            assert_eq!(parse_at(text), Ok(utc), "{text}");
        }
        assert_eq!(parse_at("2026-03-02T10:15[Europe/Berlin]"), Ok(utc));
        let then = parse_at("3h").unwrap();
        let ago = Timestamp::now().duration_since(then);
        assert!((3 * 3_600..3 * 3_600 + 60).contains(&ago.as_secs()));
        for wrong in ["yesterday", "2026-03-02T10:15", "-3h"] {
            assert!(parse_at(wrong).unwrap_err().contains("Europe/Berlin"), "{wrong}");
        }
    }
}
