//! Figures and verdicts in words.

use busyhour_model::{DailyAverage, LimitTable, UtcMicros, WorstHour};
use jiff::Timestamp;

use crate::week::Measure;

/// Parts per million as a percentage.
pub(crate) fn percent_ppm(ppm: u32) -> String {
    busyhour_chart::Unit::Percent.words(f64::from(ppm) / 10_000.0)
}

/// A share (0..=1) as a whole percentage, rounded down so that 100 % means all.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.0} %", (share * 100.0).floor())
}

/// Microseconds as milliseconds.
pub(crate) fn milliseconds(us: u32) -> String {
    busyhour_chart::Unit::Milliseconds.words(f64::from(us) / 1_000.0)
}

/// A minute of the day: `09:15`.
pub(crate) fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// Hours of the day: `10:00–12:00`.
pub(crate) fn hours(from: u16, until: u16) -> String {
    format!("{}–{}", clock(from), clock(until))
}

/// Several spans of hours: `10:00–12:00, 15:00–16:00`; a dash for none.
pub(crate) fn spans(spans: &[(u16, u16)]) -> String {
    if spans.is_empty() {
        return "–".to_owned();
    }
    spans.iter().map(|&(from, until)| hours(from, until)).collect::<Vec<_>>().join(", ")
}

/// A word of the vocabulary as it is read: `customer-lan` is `customer lan`.
pub(crate) fn plain(word: &str) -> String {
    word.replace('-', " ")
}

/// How sure something is, 0..=1: `likely (72 %)`.
pub(crate) fn sure(confidence: f64) -> String {
    let word = busyhour_model::how_sure(confidence);
    format!("{word} ({})", percent(confidence.clamp(0.0, 1.0)))
}

/// The rolling hour that begins at `start`.
pub(crate) fn hour_from(start: u16) -> String {
    hours(start, (start + 60).min(24 * 60))
}

/// A moment as RFC 3339 in UTC, to the second.
pub(crate) fn utc(at: UtcMicros) -> String {
    Timestamp::from_second(at.as_secs()).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

/// Whole seconds from `then` to `now`; 0 when `then` is later.
pub(crate) fn age_s(now: UtcMicros, then: UtcMicros) -> i64 {
    (now.since(then) / 1_000_000).max(0)
}

/// An age in the largest unit that fits: `40 s`, `7 min`, `3 h`, `12 days`.
pub(crate) fn age(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// The figures that a verdict rests on, side by side in one unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contrast {
    /// The worst hour: `2.40 % loss`.
    pub(crate) worst: String,
    /// The plain daily average: `0.31 % loss`.
    pub(crate) average: String,
}

/// The worst hour's 90th percentile and the daily average, for what is most wrong in that hour.
pub(crate) fn contrast(worst: &WorstHour, average: &DailyAverage) -> Contrast {
    let (worst, average, what) = match Measure::of(worst.dominant) {
        Measure::RoundTrip => {
            (milliseconds(worst.rtt_us_p90), milliseconds(average.rtt_us), "round trip")
        }
        Measure::Jitter => {
            (milliseconds(worst.jitter_us_p90), milliseconds(average.jitter_us), "jitter")
        }
        Measure::Loss => (percent_ppm(worst.loss_ppm_p90), percent_ppm(average.loss_ppm), "loss"),
    };
    Contrast { worst: format!("{worst} {what}"), average: format!("{average} {what}") }
}

/// The share of bad windows in the worst hour, 0..=1.
pub(crate) fn bad_share(worst: &WorstHour) -> f64 {
    if worst.valid == 0 { 0.0 } else { f64::from(worst.bad) / f64::from(worst.valid) }
}

/// The limits of a table in words.
pub(crate) fn limits(table: &LimitTable) -> String {
    format!(
        "loss {} and jitter {} in any 15 s, loss {} in any 200 ms, round trip {}",
        percent_ppm(table.loss_ppm),
        milliseconds(table.jitter_us),
        percent_ppm(table.burst_ppm),
        milliseconds(table.rtt_us),
    )
}
