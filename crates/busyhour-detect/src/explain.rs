//! The sentence for the Quality Champion: where, when, since when, what it does to calls, and what
//! the daily average would have said. Every number in it is one of the incident's.

use std::fmt::Write as _;

use busyhour_model::{
    Breach, DailyAverage, DayVerdict, Incident, IncidentState, LinkKind, WorstHour,
};
use jiff::civil::{Date, Weekday};

/// What a sentence is made of.
pub(crate) struct Finding<'a> {
    pub(crate) building: &'a str,
    pub(crate) subnet: Option<&'a str>,
    /// The verdict of the last bad day.
    pub(crate) verdict: Option<DayVerdict>,
    /// The day of the incident's worst hour.
    pub(crate) worst_on: Date,
    /// The stretches of hours it keeps to, in minutes of the day, half open.
    pub(crate) hours: Vec<(u16, u16)>,
    /// The bad days of the present spell, ascending.
    pub(crate) bad: Vec<Date>,
    /// The observed days of the present spell, ascending.
    pub(crate) observed: Vec<Date>,
    /// Nothing was observed before it: it may be older.
    pub(crate) seen_from_the_start: bool,
    /// Agents that observed it lately.
    pub(crate) agents: usize,
    pub(crate) incident: &'a Incident,
}

pub(crate) fn explain(finding: &Finding<'_>) -> String {
    let incident = finding.incident;
    let dominant = incident.worst_hour.and_then(|worst| worst.dominant);
    let mut text = format!(
        "{}: {} {}, on {} of the last {} observed business days, since {}{}.",
        place(finding),
        effect(dominant),
        hours(finding),
        incident.bad_days,
        incident.observed_days,
        if finding.seen_from_the_start { "at least " } else { "" },
        long_date(incident.first_bad),
    );
    if let Some(worst) = &incident.worst_hour {
        let _ = write!(
            text,
            " In the worst hour of {} ({}–{}), {} of {} checks missed the limits for calls{}.",
            long_date(finding.worst_on),
            clock(worst.start_minute),
            clock(worst.start_minute + 60),
            worst.bad,
            worst.valid,
            evidence(worst),
        );
    }
    if let Some(average) = &incident.average {
        text.push(' ');
        text.push_str(&average_says(incident, average));
    }
    if finding.agents == 1 {
        text.push_str(" Only one agent observes it.");
    }
    if incident.state == IncidentState::Closed {
        text.push_str(" It has been quiet since; this is over.");
    }
    text
}

fn place(finding: &Finding<'_>) -> String {
    let mut place = finding.building.to_owned();
    if let Some(subnet) = finding.subnet {
        let _ = write!(place, ", {subnet}");
    }
    let link = match finding.incident.link {
        None => return place,
        Some(LinkKind::Wifi) => "Wi-Fi",
        Some(LinkKind::Wired) => "wired connections",
        Some(LinkKind::Vpn) => "VPN",
        Some(LinkKind::Mobile) => "mobile connections",
        Some(LinkKind::Loopback) => "loopback",
    };
    let _ = write!(place, ", on {link} only");
    place
}

/// What it does to calls, in the words of those who make them.
const fn effect(dominant: Option<Breach>) -> &'static str {
    match dominant {
        Some(Breach::Loss) => "words go missing in calls",
        Some(Breach::Burst) => "syllables drop out of calls",
        Some(Breach::Delay) => "people talk over one another because sound arrives late",
        Some(Breach::Jitter) => "voices sound choppy or robotic",
        Some(Breach::Failed) => "calls cannot be held",
        None => "calls suffer",
    }
}

fn hours(finding: &Finding<'_>) -> String {
    if finding.verdict == Some(DayVerdict::AllDayBad) {
        return "all day, not only at busy hours".to_owned();
    }
    let days = weekdays(finding);
    let named =
        |&(from, until): &(u16, u16)| format!("between {} and {}", clock(from), clock(until));
    let hours: Vec<String> = finding.hours.iter().map(named).collect();
    format!("{} local time{days}", listed(&hours))
}

/// `a`, `a and b`, `a, b and c`.
fn listed(items: &[String]) -> String {
    match items.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => items.concat(),
    }
}

/// ` on workdays` when no observed weekday is spared, else the weekdays by name.
fn weekdays(finding: &Finding<'_>) -> String {
    const WEEK: [Weekday; 7] = [
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
        Weekday::Sunday,
    ];
    let on = |dates: &[Date], day: Weekday| dates.iter().any(|date| date.weekday() == day);
    let bad: Vec<Weekday> = WEEK.into_iter().filter(|&day| on(&finding.bad, day)).collect();
    let spared = WEEK.into_iter().any(|day| on(&finding.observed, day) && !bad.contains(&day));
    if !spared || bad.is_empty() {
        return " on workdays".to_owned();
    }
    let names: Vec<String> = bad.iter().map(|&day| format!("{}s", name_of(day))).collect();
    format!(" on {}", listed(&names))
}

const fn name_of(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}

/// The figure that the dominant limit is about.
fn evidence(worst: &WorstHour) -> String {
    match worst.dominant {
        Some(Breach::Loss) => {
            format!(", and one in ten lost {} of its packets or more", percent(worst.loss_ppm_p90))
        }
        Some(Breach::Burst) => ", mostly by several packets lost in a row".to_owned(),
        Some(Breach::Delay) => {
            format!(", and one round trip in ten took {} or longer", millis(worst.rtt_us_p90))
        }
        Some(Breach::Jitter) => {
            format!(", and one in ten had {} of jitter or more", millis(worst.jitter_us_p90))
        }
        Some(Breach::Failed) => ", mostly because nothing came back".to_owned(),
        None => String::new(),
    }
}

fn average_says(incident: &Incident, average: &DailyAverage) -> String {
    let dominant = incident.worst_hour.and_then(|worst| worst.dominant);
    let figure = match dominant {
        Some(Breach::Delay) => format!("{} round trip", millis(average.rtt_us)),
        Some(Breach::Jitter) => format!("{} of jitter", millis(average.jitter_us)),
        Some(Breach::Loss | Breach::Burst | Breach::Failed) | None => {
            format!("{} loss", percent(average.loss_ppm))
        }
    };
    if !average.passes {
        return format!("The daily average fails too: {figure}.");
    }
    let hidden = incident.masking_factor.map_or_else(String::new, |factor| {
        format!("; one in ten of the worst hour had {} times that or more", rounded(factor))
    });
    format!("The daily average would have said that all is well: {figure}{hidden}.")
}

/// `14:00`; the end of the day is `24:00`.
fn clock(minute: u16) -> String {
    let minute = if minute > 24 * 60 { minute - 24 * 60 } else { minute };
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

fn long_date(date: Date) -> String {
    date.strftime("%A %-d %B %Y").to_string()
}

/// Two or three significant digits.
fn rounded(value: f64) -> String {
    if value >= 10.0 {
        format!("{value:.0}")
    } else if value >= 1.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

fn percent(ppm: u32) -> String {
    format!("{} %", rounded(f64::from(ppm) / 10_000.0))
}

fn millis(us: u32) -> String {
    format!("{} ms", rounded(f64::from(us) / 1_000.0))
}
