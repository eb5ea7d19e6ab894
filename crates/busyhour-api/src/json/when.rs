//! Moments as people write them: so long from now, RFC 3339, or the clock on a wall somewhere.

use std::time::Duration;

use busyhour_model::UtcMicros;
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::Disambiguation;

use crate::problem::Problem;

/// How moments may be written.
const FORMS: &str = "such as 2h, 2026-12-01T19:00:00Z or 2026-12-01T20:00[Europe/Berlin]";

static PARSER: DateTimeParser = DateTimeParser::new();
/// Refuses what a clock on a wall shows twice, or never.
static ONCE: DateTimeParser = DateTimeParser::new().disambiguation(Disambiguation::Reject);

/// Reads a moment; a length of time (`90m`, `2h`, `3d`, `1w`, also several: `1d 12h`) is counted from `base`;
/// a day has 24 hours then.
pub(crate) fn when(name: &str, text: &str, base: UtcMicros) -> Result<UtcMicros, Problem> {
    let text = text.trim();
    let wrong = || Problem::bad_request(format!("{name} must be a moment {FORMS}, not {text:?}"));
    let unclear = || {
        let detail = format!(
            "{name}: clocks change there and show {text:?} twice or never; tell the offset as well, such as \
             2026-10-25T02:30:00+01:00[Europe/Berlin]"
        );
        Problem::bad_request(detail)
    };
    if let Some(long) = length(text) {
        return Ok(base.plus(long));
    }
    let moment = match text.parse::<Timestamp>() {
        Ok(moment) if !text.ends_with(']') => moment,
        _ => match ONCE.parse_zoned(text) {
            Ok(moment) => moment.timestamp(),
            Err(_) => return Err(PARSER.parse_zoned(text).map_or_else(|_| wrong(), |_| unclear())),
        },
    };
    Ok(UtcMicros(moment.as_microsecond()))
}

/// A length of time; `None` for what is none, is nothing, or is longer than ten years.
fn length(text: &str) -> Option<Duration> {
    const MOST_SECONDS: u64 = 3_660 * 86_400;
    let mut seconds: u64 = 0;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let unit = after.chars().next()?;
        let each = match unit {
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 7 * 86_400,
            _ => return None,
        };
        seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(each)?)?;
        rest = after.get(unit.len_utf8()..)?.trim_start();
    }
    (1..=MOST_SECONDS).contains(&seconds).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-30T12:00:00Z
    const BASE: UtcMicros = UtcMicros::from_secs(1_796_040_000);

    #[test]
    fn a_moment_is_written_in_three_ways() {
        let later = |text: &str| when("until", text, BASE).unwrap().since(BASE) / 1_000_000;
        for (text, seconds) in [
            ("90m", 5_400),
            ("2h", 7_200),
            (" 1d 12h ", 129_600),
            ("1w", 604_800),
            ("2026-12-01T19:00:00Z", 111_600),
            ("2026-12-01T20:00:00+01:00", 111_600),
            ("2026-12-01T20:00[Europe/Berlin]", 111_600),
            ("2026-12-01T20:00:00+01:00[Europe/Berlin]", 111_600),
        ] {
            assert_eq!(later(text), seconds, "{text}");
        }
    }

    #[test]
    fn what_clocks_show_twice_or_never_needs_its_offset() {
        for text in ["2026-10-25T02:30[Europe/Berlin]", "2026-03-29T02:30[Europe/Berlin]"] {
            let problem = when("until", text, BASE).unwrap_err();
            assert!(problem.detail().contains("tell the offset"), "{text}: {}", problem.detail());
        }
        let told = |offset: &str| {
            when("until", &format!("2026-10-25T02:30:00{offset}[Europe/Berlin]"), BASE).unwrap()
        };
        assert_eq!(told("+01:00").since(told("+02:00")), 3_600_000_000);
    }

    #[test]
    fn what_is_no_moment_is_told_how_to_write_one() {
        for text in [
            "",
            "2",
            "h",
            "0h",
            "-2h",
            "2h later",
            "1y",
            "99999999999999999999h",
            "2026-12-01",
            "2026-12-01T20:00",
            "2026-12-01T20:00[Europe/Nowhere]",
            "2026-12-01T20:00:00+05:00[Europe/Berlin]",
            "tomorrow",
        ] {
            let problem = when("until", text, BASE).unwrap_err();
            assert!(problem.detail().contains("such as 2h"), "{text}: {}", problem.detail());
        }
    }
}
