//! Durations as people write them: `200ms`, `15s`, `5m`, `12h`, `7d`.

use std::time::Duration;

/// Reads a whole number with its unit.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let seconds = |factor: u64| number.checked_mul(factor).map(Duration::from_secs);
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3600),
        "d" => seconds(86_400),
        _ => None,
    }
}

/// Writes a duration so that [`parse`] reads it back, in its largest whole unit.
pub(super) fn show(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    let whole =
        units.iter().find(|(_, length)| millis >= *length && millis.is_multiple_of(*length));
    whole.map_or_else(
        || format!("{millis}ms"),
        |(unit, length)| format!("{}{unit}", millis / length),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_in_their_largest_whole_unit() {
        for text in ["200ms", "1500ms", "15s", "90s", "5m", "12h", "7d"] {
            assert_eq!(show(parse(text).unwrap()), text);
        }
        assert_eq!(show(parse("60s").unwrap()), "1m");
        for text in ["", "15", "s", "-1s", "1.5s", "1 s", "1w", "99999999999999999999s"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
