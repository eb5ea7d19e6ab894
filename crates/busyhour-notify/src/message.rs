//! What a delivery says: subject, text and JSON.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use busyhour_model::{Breach, DailyAverage, Incident, LinkKind, UtcMicros, WorstHour};
use busyhour_store::{Delivery, IncidentEvent};
use serde::Serialize;
use thiserror::Error;

/// Names and sentences are cut here, so that no message grows without bound.
const MAX_TEXT_CHARS: usize = 2_000;
/// The version of the JSON's shape; a change that breaks readers raises it.
const SCHEMA_VERSION: u32 = 1;

/// A text that is not the address of the page.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not the page's address (expected, for example, \"https://busyhour.example.org\")"
)]
pub struct InvalidBaseUrl(pub String);

/// The address that people open the page at; links in messages begin with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(String);

impl FromStr for BaseUrl {
    type Err = InvalidBaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidBaseUrl> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let printable = text.chars().all(|c| c.is_ascii_graphic());
        match rest {
            Some(rest) if printable && !rest.is_empty() && !rest.contains(['?', '#']) => {
                Ok(Self(text.trim_end_matches('/').to_owned()))
            }
            _ => Err(InvalidBaseUrl(text.to_owned())),
        }
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A delivery put into words, the same for every channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// The same for every attempt at the same delivery, and for no other.
    pub(crate) key: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) json: String,
}

impl Message {
    pub(crate) fn of(delivery: &Delivery, base_url: &BaseUrl) -> Self {
        let words = Words::of(delivery, base_url);
        Self {
            key: key(delivery),
            subject: words.subject(),
            text: words.text(),
            json: words.json(delivery),
        }
    }
}

/// An incident that is opened again after it was closed is told again, so the moment of the event
/// is part of it.
fn key(delivery: &Delivery) -> String {
    let event = event_word(delivery.event);
    format!("{}-{event}-{}", delivery.incident.id, delivery.created.0)
}

const fn event_word(event: IncidentEvent) -> &'static str {
    match event {
        IncidentEvent::Opened => "opened",
        IncidentEvent::Closed => "closed",
    }
}

/// The parts of a message as people read them.
struct Words<'a> {
    event: IncidentEvent,
    incident: &'a Incident,
    building: String,
    subnet: Option<String>,
    sentence: String,
    hours: String,
    url: String,
}

impl<'a> Words<'a> {
    fn of(delivery: &'a Delivery, base_url: &BaseUrl) -> Self {
        let incident = &delivery.incident;
        Self {
            event: delivery.event,
            incident,
            building: one_line(&delivery.building),
            subnet: delivery.subnet.as_deref().map(one_line),
            sentence: one_line(&incident.sentence),
            hours: format!("{}-{}", clock(incident.from_minute), clock(incident.until_minute)),
            url: format!("{base_url}/buildings/{}", incident.building),
        }
    }

    fn subject(&self) -> String {
        let simulated = if self.incident.simulated { "[simulated] " } else { "" };
        let (building, hours) = (&self.building, &self.hours);
        match self.event {
            IncidentEvent::Opened => {
                let since = self.incident.first_bad;
                format!("{simulated}{building}: calls suffer at {hours} since {since}")
            }
            IncidentEvent::Closed => {
                format!("{simulated}{building}: calls at {hours} are fine again")
            }
        }
    }

    fn text(&self) -> String {
        let incident = self.incident;
        let mut text = String::new();
        let mut line = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        if incident.simulated {
            line("This rests on simulated data. No real calls are meant.\n");
        }
        if self.event == IncidentEvent::Closed {
            line("This is over. What it was:\n");
        }
        line(&self.sentence);
        line("");
        line(&format!("Building:       {}", self.building));
        let subnet = self.subnet.as_deref().unwrap_or("the whole building");
        line(&format!("Subnet:         {subnet}"));
        if let Some(link) = incident.link {
            line(&format!("Link:           {} only", link_word(link)));
        }
        line(&format!("Local hours:    {}", self.hours));
        line(&format!(
            "Since:          {}, last on {}, bad on {} of the last {} observed business days",
            incident.first_bad, incident.last_bad, incident.bad_days, incident.observed_days
        ));
        line(&format!("Calls:          {}", effect_on_calls(incident.worst_hour.as_ref())));
        if let Some(hour) = &incident.worst_hour {
            line(&format!("Worst hour:     {}", worst_hour_words(hour)));
        }
        line(&format!("Daily average:  {}", self.average_words()));
        line("");
        line(&format!("Picture and figures: {}", self.url));
        text
    }

    /// What a report that only knows the day's average would have said.
    fn average_words(&self) -> String {
        let Some(average) = &self.incident.average else {
            return "not known".to_owned();
        };
        let mut words = format!(
            "{} lost, {} round trip, {} jitter",
            percent(average.loss_ppm),
            millis(average.rtt_us),
            millis(average.jitter_us)
        );
        words.push_str(match (average.passes, self.incident.masked) {
            (true, true) => ": within the limits, so a daily report calls this day fine",
            (true, false) => ": within the limits",
            (false, _) => ": beyond the limits",
        });
        if let Some(factor) = self.incident.masking_factor {
            let measure = measure_word(self.incident.worst_hour.as_ref());
            // A formatter of a String never fails.
            let _ = write!(
                words,
                "; the 90th percentile of {measure} in the worst hour is {factor:.1} times the \
                 daily average"
            );
        }
        words
    }

    fn json(&self, delivery: &Delivery) -> String {
        let incident = self.incident;
        let json = AlertJson {
            schema_version: SCHEMA_VERSION,
            idempotency_key: key(delivery),
            event: event_word(self.event),
            created_utc: rfc3339(delivery.created),
            incident_id: incident.id.to_string(),
            state: incident.state.as_str(),
            simulated: incident.simulated,
            building_id: incident.building.to_string(),
            building: &self.building,
            subnet_id: incident.subnet.map(|id| id.to_string()),
            subnet: self.subnet.as_deref(),
            link: incident.link.map(LinkKind::as_str),
            local_hours: &self.hours,
            from_minute: incident.from_minute,
            until_minute: incident.until_minute,
            first_bad: incident.first_bad.to_string(),
            last_bad: incident.last_bad.to_string(),
            bad_days: incident.bad_days,
            observed_days: incident.observed_days,
            masked: incident.masked,
            masking_factor: incident.masking_factor,
            sentence: &self.sentence,
            effect_on_calls: effect_on_calls(incident.worst_hour.as_ref()),
            worst_hour: incident.worst_hour.as_ref().map(WorstHourJson::from),
            daily_average: incident.average.as_ref().map(AverageJson::from),
            daily_average_says: self.average_words(),
            url: &self.url,
        };
        serde_json::to_string(&json).expect("a struct of texts and finite numbers is JSON")
    }
}

#[derive(Serialize)]
struct AlertJson<'a> {
    schema_version: u32,
    idempotency_key: String,
    event: &'static str,
    created_utc: String,
    incident_id: String,
    state: &'static str,
    simulated: bool,
    building_id: String,
    building: &'a str,
    subnet_id: Option<String>,
    subnet: Option<&'a str>,
    link: Option<&'static str>,
    local_hours: &'a str,
    from_minute: u16,
    until_minute: u16,
    first_bad: String,
    last_bad: String,
    bad_days: u32,
    observed_days: u32,
    masked: bool,
    masking_factor: Option<f64>,
    sentence: &'a str,
    effect_on_calls: &'static str,
    worst_hour: Option<WorstHourJson>,
    daily_average: Option<AverageJson>,
    daily_average_says: String,
    url: &'a str,
}

#[derive(Serialize)]
struct WorstHourJson {
    start_minute: u16,
    valid_windows: u32,
    bad_windows: u32,
    dominant_breach: Option<&'static str>,
    loss_ppm: u32,
    loss_ppm_p90: u32,
    rtt_us_p90: u32,
    jitter_us_p90: u32,
}

impl From<&WorstHour> for WorstHourJson {
    fn from(hour: &WorstHour) -> Self {
        Self {
            start_minute: hour.start_minute,
            valid_windows: hour.valid,
            bad_windows: hour.bad,
            dominant_breach: hour.dominant.map(Breach::as_str),
            loss_ppm: hour.loss_ppm,
            loss_ppm_p90: hour.loss_ppm_p90,
            rtt_us_p90: hour.rtt_us_p90,
            jitter_us_p90: hour.jitter_us_p90,
        }
    }
}

#[derive(Serialize)]
struct AverageJson {
    loss_ppm: u32,
    rtt_us: u32,
    jitter_us: u32,
    passes: bool,
}

impl From<&DailyAverage> for AverageJson {
    fn from(average: &DailyAverage) -> Self {
        Self {
            loss_ppm: average.loss_ppm,
            rtt_us: average.rtt_us,
            jitter_us: average.jitter_us,
            passes: average.passes,
        }
    }
}

/// What the limit that was broken most does to a conversation.
fn effect_on_calls(hour: Option<&WorstHour>) -> &'static str {
    match hour.and_then(|hour| hour.dominant) {
        Some(Breach::Loss) => "words and syllables are missing, people ask each other to repeat",
        Some(Breach::Burst) => "whole words drop out at once, voices break up",
        Some(Breach::Delay) => "answers come late, people talk over each other",
        Some(Breach::Jitter) => "voices stutter and sound like robots",
        Some(Breach::Failed) => "calls drop or cannot begin: at times nothing comes back at all",
        None => "calls are disturbed",
    }
}

/// What the masking factor compares: the measure of the limit that was broken most.
const fn measure_word(hour: Option<&WorstHour>) -> &'static str {
    match hour {
        Some(WorstHour { dominant: Some(Breach::Delay), .. }) => "the round trip",
        Some(WorstHour { dominant: Some(Breach::Jitter), .. }) => "jitter",
        _ => "loss",
    }
}

fn worst_hour_words(hour: &WorstHour) -> String {
    let until = (hour.start_minute + 60) % (24 * 60);
    format!(
        "{}-{}: {} of {} measurements bad, {} lost; nine of ten below {} loss, {} round trip, {} \
         jitter",
        clock(hour.start_minute),
        clock(until),
        hour.bad,
        hour.valid,
        percent(hour.loss_ppm),
        percent(hour.loss_ppm_p90),
        millis(hour.rtt_us_p90),
        millis(hour.jitter_us_p90)
    )
}

const fn link_word(link: LinkKind) -> &'static str {
    match link {
        LinkKind::Wired => "wired",
        LinkKind::Wifi => "Wi-Fi",
        LinkKind::Vpn => "VPN",
        LinkKind::Mobile => "mobile",
        LinkKind::Loopback => "this machine",
    }
}

fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

fn percent(ppm: u32) -> String {
    let percent = f64::from(ppm) / 10_000.0;
    if percent < 1.0 { format!("{percent:.2} %") } else { format!("{percent:.1} %") }
}

fn millis(us: u32) -> String {
    let millis = f64::from(us) / 1_000.0;
    if millis < 10.0 { format!("{millis:.1} ms") } else { format!("{millis:.0} ms") }
}

fn rfc3339(at: UtcMicros) -> String {
    jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

/// Names come from files and people: no line breaks in headers, no control characters anywhere,
/// and no characters that turn the reading direction around.
fn one_line(text: &str) -> String {
    let replace = |c: char| {
        let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns { ' ' } else { c }
    };
    text.chars().take(MAX_TEXT_CHARS).map(replace).collect()
}

#[cfg(test)]
mod tests;
