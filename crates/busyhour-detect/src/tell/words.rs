//! Words and numbers as people read them.

use busyhour_model::{Breach, LinkKind};
use jiff::civil::{Date, Weekday};

use crate::finding::{Cause, Mechanism};

/// What it does to calls, in the words of those who make them.
pub(super) const fn effect(dominant: Option<Breach>) -> &'static str {
    match dominant {
        Some(Breach::Loss) => "words go missing in calls",
        Some(Breach::Burst) => "syllables drop out of calls",
        Some(Breach::Delay) => "people talk over one another because sound arrives late",
        Some(Breach::Jitter) => "voices sound choppy or robotic",
        Some(Breach::Failed) => "calls cannot be held",
        None => "calls suffer",
    }
}

pub(super) const fn cause_words(cause: Cause) -> &'static str {
    match cause {
        Cause::Bandwidth => "the link is too small for its busy hours",
        Cause::Wifi => "the Wi-Fi",
        Cause::Vpn => "the VPN",
        Cause::FirewallOrProxy => "a firewall or proxy",
        Cause::Qos => "calls are not preferred over other traffic",
        Cause::Provider => "the provider's network",
        Cause::SubnetOrNetworkDevice => "a switch, cable or other device of this subnet",
        Cause::Device => "the machine itself",
        Cause::CollectorOrAgent => "the measuring machine, not the network",
        Cause::NotKnown => "not known",
    }
}

pub(super) const fn mechanism_words(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::Queue => "packets wait in a queue",
        Mechanism::Drop => "packets are dropped without waiting",
        Mechanism::Radio => "packets suffer on the air",
        Mechanism::Outage => "nothing comes back",
        Mechanism::NotKnown => "not known",
    }
}

pub(super) const fn link_words(link: LinkKind) -> &'static str {
    match link {
        LinkKind::Wifi => "Wi-Fi",
        LinkKind::Wired => "wired connections",
        LinkKind::Vpn => "VPN",
        LinkKind::Mobile => "mobile connections",
        LinkKind::Loopback => "loopback",
    }
}

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
