//! Words and numbers as people read them.

use jiff::civil::{Date, Weekday};

/// ` on Mondays`, ` on Mondays and Tuesdays`.
pub(super) fn weekdays(dates: &[Date]) -> String {
    const WEEK: [(Weekday, &str); 7] = [
        (Weekday::Monday, "Mondays"),
        (Weekday::Tuesday, "Tuesdays"),
        (Weekday::Wednesday, "Wednesdays"),
        (Weekday::Thursday, "Thursdays"),
        (Weekday::Friday, "Fridays"),
        (Weekday::Saturday, "Saturdays"),
        (Weekday::Sunday, "Sundays"),
    ];
    let on = |day: Weekday| dates.iter().any(|date| date.weekday() == day);
    let names: Vec<String> =
        WEEK.iter().filter(|(day, _)| on(*day)).map(|(_, name)| (*name).to_owned()).collect();
    format!(" on {}", listed(&names))
}

/// The same words as a sentence begins with them.
pub(super) fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn listed(items: &[String]) -> String {
    match items.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => items.concat(),
    }
}

/// `all 4 paths`, `3 of 4 paths`, `none of 12 paths`, `the only path`.
pub(crate) fn count_of(part: u32, whole: u32, what: &str) -> String {
    match part {
        0 => format!("none of {whole} {what}"),
        _ if part == whole && whole > 1 => format!("all {whole} {what}"),
        _ => format!("{part} of {whole} {what}"),
    }
}

pub(super) fn days(count: usize) -> String {
    if count == 1 { "1 day".to_owned() } else { format!("{count} days") }
}

/// `14:00`; the end of the day is `24:00`.
pub(super) fn clock(minute: u16) -> String {
    let minute = if minute > 24 * 60 { minute - 24 * 60 } else { minute };
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

pub(super) fn long_date(date: Date) -> String {
    date.strftime("%A %-d %B %Y").to_string()
}

/// Two or three significant digits.
pub(crate) fn rounded(value: f64) -> String {
    if value >= 10.0 {
        format!("{value:.0}")
    } else if value >= 1.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

pub(super) fn two_digits(value: f64) -> String {
    format!("{value:.2}")
}

/// A share of 0..=1, in hundredths.
pub(crate) fn percent(share: f64) -> String {
    format!("{} %", rounded(share * 100.0))
}

/// Microseconds, in milliseconds.
pub(crate) fn millis(us: u32) -> String {
    format!("{} ms", rounded(f64::from(us) / 1_000.0))
}
