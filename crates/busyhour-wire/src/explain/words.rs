//! Figures as people read them.

use std::fmt::Write as _;

use crate::{ErrorEstimate, TimestampFormat, WireTimestamp};

/// How many octets of an opaque value are shown.
const SHOWN: usize = 24;

/// A moment in UTC.
pub(super) fn moment(at: WireTimestamp, format: TimestampFormat) -> String {
    let Some(unix_ns) = at.to_unix_ns(format) else {
        return if at.0 == 0 { "not set" } else { "no time in this format" }.to_owned();
    };
    jiff::Timestamp::from_nanosecond(i128::from(unix_ns))
        .map_or_else(|_| "beyond the calendar".to_owned(), |at| at.to_string())
}

/// The time from one moment to another.
pub(super) fn between(
    from: (WireTimestamp, TimestampFormat),
    to: (WireTimestamp, TimestampFormat),
) -> Option<String> {
    let ns = to.0.to_unix_ns(to.1)?.checked_sub(from.0.to_unix_ns(from.1)?)?;
    Some(duration(ns as f64 / 1e9))
}

/// Seconds with a unit that suits them.
pub(super) fn duration(seconds: f64) -> String {
    let (figure, unit) = match seconds.abs() {
        s if s >= 1.0 => (seconds, "s"),
        s if s >= 1e-3 => (seconds * 1e3, "ms"),
        s if s >= 1e-6 => (seconds * 1e6, "µs"),
        _ => (seconds * 1e9, "ns"),
    };
    if figure == 0.0 || figure.abs() >= 1e6 {
        return format!("{figure:.0} {unit}");
    }
    format!("{figure:.3} {unit}")
}

/// An error estimate in words.
pub(super) fn estimate(estimate: ErrorEstimate) -> (String, String) {
    let synchronized = if estimate.synchronized() { "synchronised" } else { "not synchronised" };
    let format = match estimate.format() {
        TimestampFormat::Ntp => "NTP format",
        TimestampFormat::Ptp => "PTP format",
    };
    let (scale, multiplier) = (estimate.0 >> 8 & 63, estimate.0 & 0xff);
    let error = estimate.seconds().map_or_else(
        || "no error told".to_owned(),
        |seconds| format!("error {}", duration(seconds)),
    );
    let note = match (estimate.seconds(), estimate.synchronized()) {
        (None, _) => "a multiplier of 0 is invalid".to_owned(),
        (Some(_), true) => {
            format!("claims an external clock; scale {scale}, multiplier {multiplier}")
        }
        (Some(_), false) => format!("scale {scale}, multiplier {multiplier}"),
    };
    (format!("{synchronized}, {format}, {error}"), note)
}

/// Octets as hexadecimal digits, cut when there are many.
pub(super) fn hex(octets: &[u8]) -> String {
    let mut text = String::with_capacity(2 * SHOWN + 16);
    for octet in octets.iter().take(SHOWN) {
        // Writing into a String cannot fail.
        let _ = write!(text, "{octet:02x}");
    }
    if octets.len() > SHOWN {
        let _ = write!(text, "… ({} octets)", octets.len());
    }
    text
}

/// Two bits of ECN.
pub(super) const fn ecn(bits: u8) -> &'static str {
    match bits & 3 {
        0 => "Not-ECT",
        1 => "ECT(1)",
        2 => "ECT(0)",
        _ => "CE",
    }
}

/// Octets that ought to be zero.
pub(super) fn zeros(octets: &[u8]) -> (String, String) {
    if octets.iter().all(|&octet| octet == 0) {
        ("zero".to_owned(), String::new())
    } else {
        (hex(octets), "must be zero; older senders pad here".to_owned())
    }
}
