//! Values as foreign files write them: moments, counts, milliseconds, zones, hours, flags.

use busyhour_model::{BusinessHours, LinkKind};
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The first moment that anybody measured calls in: 2000-01-01T00:00:00Z, in seconds.
const EARLIEST: i64 = 946_684_800;
/// 2100-01-01T00:00:00Z, in seconds.
const LATEST: i64 = 4_102_444_800;
/// Seconds since 1970 have fewer digits than this; milliseconds, microseconds and nanoseconds have
/// three more each.
const BELOW_MILLIS: f64 = 1e11;
/// A round trip above ten minutes is a damaged file.
const MAX_MICROS: f64 = 600e6;
/// Words for a figure that is not there.
const MISSING: [&str; 8] = ["-", "nan", "null", "none", "na", "n/a", "\\n", "u"];
/// Words for an answer that never came.
const UNANSWERED: [&str; 6] = ["timeout", "lost", "*", "inf", "unreachable", "no reply"];

/// What a duration is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Unit {
    /// Milliseconds: what is meant where nothing is said.
    #[default]
    Millis,
    /// Microseconds.
    Micros,
    /// Seconds.
    Seconds,
}

impl Unit {
    const fn micros(self) -> f64 {
        match self {
            Self::Micros => 1.0,
            Self::Millis => 1e3,
            Self::Seconds => 1e6,
        }
    }
}

/// True where the text says that there is no figure.
pub(super) fn is_missing(text: &str) -> bool {
    let Some(first) = text.bytes().next() else { return true };
    // Nearly every field is a number.
    !first.is_ascii_digit() && MISSING.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// True where a program wrote that there is no name.
pub(super) fn is_blank(text: &str) -> bool {
    ["", "-", "nan", "null", "none"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// True where the text says that no answer came back.
pub(super) fn is_unanswered(text: &str) -> bool {
    is_missing(text) || UNANSWERED.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// A count, also one that a program wrote with decimals (`12.0`).
pub(super) fn count(text: &str) -> Option<u64> {
    if let Ok(count) = text.parse() {
        return Some(count);
    }
    let number = text.parse::<f64>().ok()?;
    // Above this a float no longer holds every integer.
    ((0.0..9e15).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}

/// A count of packets; sums of shares may not be whole and are rounded.
pub(super) fn packets(text: &str) -> Option<u32> {
    text.parse().ok().or_else(|| {
        let number = text.parse::<f64>().ok()?.round();
        (0.0..=f64::from(u32::MAX)).contains(&number).then_some(number as u32)
    })
}

/// A duration from 0 to ten minutes, in microseconds.
pub(super) fn micros(text: &str, unit: Unit) -> Option<u32> {
    let micros = text.parse::<f64>().ok()? * unit.micros();
    (0.0..=MAX_MICROS).contains(&micros).then(|| micros.round() as u32)
}

/// A load: any figure from 0 on.
pub(super) fn load(text: &str) -> Option<f32> {
    let load = text.parse::<f32>().ok()?;
    (load.is_finite() && load >= 0.0).then_some(load)
}

/// Yes or no; `None` for another text.
pub(super) fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "y" | "near" => Some(true),
        "0" | "false" | "no" | "n" | "far" => Some(false),
        _ => is_blank(text).then_some(false),
    }
}

/// A kind of link, by the names that others have for it as well.
pub(super) fn link(text: &str) -> Option<LinkKind> {
    match text.to_ascii_lowercase().as_str() {
        "wired" | "ethernet" | "lan" | "cable" => Some(LinkKind::Wired),
        "wifi" | "wi-fi" | "wlan" | "wireless" => Some(LinkKind::Wifi),
        "vpn" | "tunnel" => Some(LinkKind::Vpn),
        "mobile" | "cellular" | "wwan" | "lte" | "4g" | "5g" => Some(LinkKind::Mobile),
        _ => None,
    }
}

/// A zone of the IANA database.
pub(in crate::detect) fn zone(text: &str) -> Option<TimeZone> {
    TimeZone::get(text).ok().filter(|zone| zone.iana_name().is_some())
}

/// Dates, separated by spaces, semicolons or bars; the text that is none on failure.
pub(super) fn dates(text: &str) -> Result<Vec<Date>, String> {
    text.split([' ', ';', '|', ','])
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().map_err(|_| part.to_owned()))
        .collect()
}

/// Business hours, as the building file's companion table writes them, and as people do: `8-18`,
/// `Mon-Fri 9:00-17:30`, `Mo-Fr 08:00-18:00; PH off`, `24/7`.
pub(in crate::detect) fn hours(text: &str) -> Option<BusinessHours> {
    if text == "24/7" {
        return "Mo-Su 00:00-24:00".parse().ok();
    }
    let rules: Option<Vec<String>> =
        text.split(';').map(str::trim).filter(|rule| !is_closed(rule)).map(hours_rule).collect();
    rules?.join("; ").parse().ok()
}

/// Rules of the notation for when nobody works.
fn is_closed(rule: &str) -> bool {
    rule.is_empty() || rule.ends_with(" off") || rule.ends_with(" closed")
}

fn hours_rule(rule: &str) -> Option<String> {
    let (days, times) = match rule.split_once(' ') {
        Some((days, times)) => (weekdays(days)?, times),
        None => ("Mo-Fr".to_owned(), rule),
    };
    let times: Option<Vec<String>> = times.split(',').map(|part| interval(part.trim())).collect();
    Some(format!("{days} {}", times?.join(",")))
}

/// The two-letter names of the notation, from names of any length.
fn weekdays(text: &str) -> Option<String> {
    let mut short = String::new();
    for part in text.split_inclusive(['-', ',']) {
        let (name, separator) = match part.strip_suffix(['-', ',']) {
            Some(name) => (name, part.chars().next_back()),
            None => (part, None),
        };
        let mut letters = name.chars();
        short.push(letters.next()?.to_ascii_uppercase());
        short.push(letters.next()?.to_ascii_lowercase());
        short.extend(separator);
    }
    Some(short)
}

fn interval(text: &str) -> Option<String> {
    let (from, until) = text.split_once('-')?;
    Some(format!("{}-{}", time_of_day(from)?, time_of_day(until)?))
}

fn time_of_day(text: &str) -> Option<String> {
    let (hour, minute) = text.trim().split_once(':').unwrap_or((text.trim(), "00"));
    let (hour, minute) = (hour.parse::<u8>().ok()?, minute.parse::<u8>().ok()?);
    Some(format!("{hour:02}:{minute:02}"))
}

/// Reads moments; remembers the last date, as rows of one day stand together.
#[derive(Debug, Default)]
pub(super) struct Moments {
    date: [u8; 10],
    date_secs: i64,
}

impl Moments {
    /// A moment in microseconds since 1970: RFC 3339, the same with a space and without an offset (which
    /// is UTC then), or a number of seconds, milliseconds, microseconds or nanoseconds since 1970,
    /// by its size. `None` for anything else and outside the years 2000 to 2099.
    pub(super) fn read(&mut self, text: &str) -> Option<i64> {
        let bytes = text.as_bytes();
        let micros = if bytes.get(4) == Some(&b'-') && bytes.get(7) == Some(&b'-') {
            self.calendar(bytes)?
        } else {
            since_1970(text)?
        };
        let secs = micros.div_euclid(1_000_000);
        (EARLIEST..LATEST).contains(&secs).then_some(micros)
    }

    fn calendar(&mut self, text: &[u8]) -> Option<i64> {
        let (date, rest) = text.split_first_chunk::<10>()?;
        let day = self.date(*date)?;
        let Some((b'T' | b't' | b' ' | b'_', rest)) = rest.split_first() else { return None };
        let (hour, rest) = two_digits(rest, 23)?;
        let (minute, rest) = two_digits(rest.strip_prefix(b":")?, 59)?;
        let (second, rest) = match rest.strip_prefix(b":") {
            Some(rest) => two_digits(rest, 59)?,
            None => (0, rest),
        };
        let (micros, rest) = match rest.strip_prefix(b".") {
            Some(rest) => fraction(rest)?,
            None => (0, rest),
        };
        let secs = day + hour * 3_600 + minute * 60 + second - offset(rest)?;
        Some(secs * 1_000_000 + micros)
    }

    fn date(&mut self, text: [u8; 10]) -> Option<i64> {
        if self.date != text {
            let date: Date = str::from_utf8(&text).ok()?.parse().ok()?;
            let midnight = date.to_zoned(TimeZone::UTC).ok()?;
            self.date_secs = midnight.timestamp().as_second();
            self.date = text;
        }
        Some(self.date_secs)
    }
}

fn two_digits(text: &[u8], highest: i64) -> Option<(i64, &[u8])> {
    let (&[tens, ones], rest) = text.split_first_chunk::<2>()?;
    if !(tens.is_ascii_digit() && ones.is_ascii_digit()) {
        return None;
    }
    let value = i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
    (value <= highest).then_some((value, rest))
}

/// Digits after the point, as microseconds; what is finer is cut.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(digits);
    let padded = digits.iter().chain(std::iter::repeat(&b'0')).take(6);
    let micros = padded.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    (!digits.is_empty()).then_some((micros, rest))
}

/// The seconds that the offset at the end of a moment adds to UTC.
fn offset(text: &[u8]) -> Option<i64> {
    let text = text.trim_ascii();
    let (sign, rest) = match text.split_first() {
        None => return Some(0),
        Some((b'Z' | b'z', b"")) => return Some(0),
        Some((b'+', rest)) => (1, rest),
        Some((b'-', rest)) => (-1, rest),
        Some(_) => return text.eq_ignore_ascii_case(b"utc").then_some(0),
    };
    let (hours, rest) = two_digits(rest, 23)?;
    let rest = rest.strip_prefix(b":").unwrap_or(rest);
    let (minutes, rest) = if rest.is_empty() { (0, rest) } else { two_digits(rest, 59)? };
    rest.is_empty().then_some(sign * (hours * 3_600 + minutes * 60))
}

fn since_1970(text: &str) -> Option<i64> {
    if let Ok(whole) = text.parse::<i64>() {
        let digits = whole.unsigned_abs().checked_ilog10().unwrap_or(0) + 1;
        return match digits {
            0..=11 => whole.checked_mul(1_000_000),
            12..=14 => whole.checked_mul(1_000),
            15..=17 => Some(whole),
            _ => Some(whole / 1_000),
        };
    }
    let number = text.parse::<f64>().ok()?;
    let secs = if number.abs() < BELOW_MILLIS { number } else { number / 1e3 };
    (secs.abs() < 1e11).then(|| (secs * 1e6).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Option<i64> {
        Moments::default().read(text)
    }

    #[test]
    fn a_moment_is_read_in_whatever_form_it_is_written() {
        let expected = Some(1_739_088_000_000_000);
        for text in [
            "2025-02-09T08:00:00Z",
            "2025-02-09T08:00Z",
            "2025-02-09 08:00:00",
            "2025-02-09 08:00:00 UTC",
            "2025-02-09T08:00:00.000+00:00",
            "2025-02-09T13:30:00+05:30",
            "2025-02-09T03:00:00-0500",
            "2025-02-09t09:00:00+01",
            "1739088000",
            "1739088000.0",
            "1739088000000",
            "1739088000000000",
            "1739088000000000000",
        ] {
            assert_eq!(moment(text), expected, "{text}");
        }
        assert_eq!(moment("2025-02-09T08:00:00.25Z"), Some(1_739_088_000_250_000));
        assert_eq!(moment("1739088000.25"), Some(1_739_088_000_250_000));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "now",
            "2025-02-30T00:00:00Z",
            "2025-02-09",
            "2025-02-09T24:00:00Z",
            "2025-02-09T08:60:00Z",
            "2025-02-09T08:00:00.Z",
            "2025-02-09T08:00:00+1",
            "2025-02-09T08:00:00+01:00x",
            "2025-02-0\u{e9}T08:00:00Z",
            "1e300",
            "NaN",
            "-5",
            "12",
            "9223372036854775807",
            "1850-01-01T00:00:00Z",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
    }

    #[test]
    fn a_date_is_remembered_and_not_mixed_up() {
        let mut moments = Moments::default();
        let first = moments.read("2025-02-09T00:00:00Z").unwrap();
        assert_eq!(moments.read("2025-02-10T00:00:00Z"), Some(first + 86_400_000_000));
        assert_eq!(moments.read("2025-02-31T00:00:00Z"), None);
        assert_eq!(moments.read("2025-02-09T00:00:00Z"), Some(first));
    }

    #[test]
    fn figures_have_bounds() {
        assert_eq!((count("12"), count("12.0"), count("1e3")), (Some(12), Some(12), Some(1_000)));
        for text in ["-1", "1.5", "NaN", "inf", "1e40", "0x10"] {
            assert_eq!(count(text), None, "{text}");
        }
        assert_eq!((packets("750"), packets("7.6"), packets("-1")), (Some(750), Some(8), None));
        assert_eq!(
            (packets("4294967295"), packets("4294967296"), packets("NaN")),
            (Some(u32::MAX), None, None)
        );
        assert_eq!(micros("21.4", Unit::Millis), Some(21_400));
        assert_eq!(micros("21400", Unit::Micros), Some(21_400));
        assert_eq!(micros("0.0214", Unit::Seconds), Some(21_400));
        for text in ["-0.1", "NaN", "inf", "1e30", "x"] {
            assert_eq!(micros(text, Unit::Millis), None, "{text}");
        }
        assert_eq!(
            (load("0"), load("-1"), load("NaN"), load("1e60")),
            (Some(0.0), None, None, None)
        );
    }

    #[test]
    fn hours_are_read_as_people_write_them() {
        for (text, expected) in [
            ("Mo-Fr 08:00-18:00", "Mo-Fr 08:00-18:00"),
            ("8-18", "Mo-Fr 08:00-18:00"),
            ("09:00-17:30", "Mo-Fr 09:00-17:30"),
            ("Sun-Thu 8:00-17:00", "Su-Th 08:00-17:00"),
            ("monday-friday 8:00-12:00, 13:00-18:00", "Mo-Fr 08:00-12:00,13:00-18:00"),
            ("Mo,We 08:00-18:00; PH off", "Mo,We 08:00-18:00"),
            ("24/7", "Mo-Su 00:00-24:00"),
        ] {
            assert_eq!(hours(text).map(|hours| hours.to_string()).as_deref(), Some(expected));
        }
        for text in ["", "always", "18-8", "Mo-Fr", "Mo-Fr 8", "Mo- 8-18", "Mo-Fr 8-18 9-10"] {
            assert_eq!(hours(text), None, "{text}");
        }
    }

    #[test]
    fn zones_links_flags_and_dates_are_known_words() {
        assert_eq!(zone("Europe/Berlin").unwrap().iana_name(), Some("Europe/Berlin"));
        assert!(zone("Mars/Olympus").is_none());
        assert_eq!(
            (link("WLAN"), link("lan"), link("x")),
            (Some(LinkKind::Wifi), Some(LinkKind::Wired), None)
        );
        assert_eq!((flag("1"), flag("False"), flag("edge-1")), (Some(true), Some(false), None));
        assert_eq!(dates("2025-04-18 2025-04-21").unwrap().len(), 2);
        assert_eq!(dates("2025-04-18 Easter"), Err("Easter".to_owned()));
    }
}
