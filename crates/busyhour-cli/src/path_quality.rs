//! What a path's windows mean for calls: hours, synthetic streams, estimates.

use anyhow::Context as _;
use jiff::SignedDuration;

use crate::Outcome;
use crate::client::Client;
use crate::output::{Column, Printer};

const HOURS: &[Column] = &[
    ("date_local", "date"),
    ("hour_local", "hour"),
    ("business", "business hours"),
    ("valid", "windows"),
    ("bad_ratio", "bad windows"),
    ("loss_ratio", "loss"),
    ("received", "packets"),
    ("reordered", "out of order"),
    ("reorder_ratio", "share"),
    ("reorder_limit_ratio", "limit"),
    ("reorder", "order"),
    ("simulated", "simulated"),
];
const STREAMS: &[Column] = &[
    ("started_utc", "began"),
    ("direction", "direction"),
    ("classifier", "classifier"),
    ("classification", "synthetic stream"),
    ("poor_due_to", "poor due to"),
    ("unclassified_because", "unclassified because"),
    ("packets", "packets"),
    ("loss_ratio", "loss"),
    ("rtt_us_mean", "mean rtt"),
    ("jitter_us_mean", "mean jitter"),
    ("not_evaluated", "not evaluated"),
    ("simulated", "simulated"),
];
const ESTIMATES: &[Column] = &[
    ("placed_utc", "began"),
    ("direction", "direction"),
    ("worse", "worse"),
    ("mos", "MOS estimate"),
    ("r", "R"),
    ("scale", "scale"),
    ("codec", "reference codec"),
    ("delay_us", "delay"),
    ("delay_basis", "network delay from"),
    ("loss_ratio", "loss"),
    ("burst_r", "burst ratio"),
    ("flags", "note"),
    ("simulated", "simulated"),
];

/// From when until when, as the collector takes it: both by this machine's clock, so that the time
/// between is no longer than was asked for.
fn span(since: SignedDuration) -> anyhow::Result<[(&'static str, String); 2]> {
    let until = jiff::Timestamp::now();
    let from = until.checked_sub(since).context("look back from now")?;
    Ok([("from", from.to_string()), ("until", until.to_string())])
}

pub(crate) fn hours(
    client: &Client,
    printer: &Printer,
    path: i64,
    since: SignedDuration,
) -> anyhow::Result<Outcome> {
    let hours = client.list(&format!("/api/v1/paths/{path}/hours"), &span(since)?)?;
    printer.rows(&hours, HOURS)?;
    Ok(Outcome::Done)
}

pub(crate) fn streams(
    client: &Client,
    printer: &Printer,
    path: i64,
    (since, classifier): (SignedDuration, &str),
) -> anyhow::Result<Outcome> {
    let [from, until] = span(since)?;
    let query = [from, until, ("classifier", classifier.to_owned())];
    let streams = client.list(&format!("/api/v1/paths/{path}/streams"), &query)?;
    printer.rows(&streams, STREAMS)?;
    if printer.is_table() {
        eprintln!("these streams are synthetic: probes sent them, and no call was measured");
    }
    Ok(Outcome::Done)
}

pub(crate) fn estimates(
    client: &Client,
    printer: &Printer,
    path: i64,
    (since, codec, limit): (SignedDuration, &str, u32),
) -> anyhow::Result<Outcome> {
    let [from, until] = span(since)?;
    let query = [from, until, ("codec", codec.to_owned()), ("limit", limit.to_string())];
    let estimates = client.list(&format!("/api/v1/paths/{path}/estimates"), &query)?;
    printer.rows(&estimates, ESTIMATES)?;
    if printer.is_table() {
        eprintln!("planning estimates of a reference codec, never the score of any product");
    }
    Ok(Outcome::Done)
}
