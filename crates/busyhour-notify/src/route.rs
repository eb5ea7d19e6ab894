//! Routes: who is told of which incidents, and when.

use std::time::Duration;

use busyhour_model::{Cause, Segment, SeverityClass};
use jiff::tz::TimeZone;
use serde::Deserialize;
use thiserror::Error;

/// The most values of one field, and the most routes.
const MAX_VALUES: usize = 256;
/// The longest escalation: a month of working days.
const MAX_ESCALATION: Duration = Duration::from_secs(30 * 24 * 3_600);

/// One `[[route]]`, as written. [`Route::build`] checks it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// A name, for people.
    pub name: String,
    /// Buildings by name; all when there are none.
    #[serde(default)]
    pub buildings: Vec<String>,
    /// Regions, as the building file spells them; all when there are none.
    #[serde(default)]
    pub regions: Vec<String>,
    /// Likely causes; all when there are none.
    #[serde(default)]
    pub causes: Vec<String>,
    /// Whose part of the way; all when there are none.
    #[serde(default)]
    pub segments: Vec<String>,
    /// The lowest class of severity.
    pub at_least: Option<String>,
    /// The channels that it is told on.
    pub channels: Vec<String>,
    /// `at-once` unless told; `business-hours` of the building; `digest`.
    pub when: Option<String>,
    /// When the digest is sent, such as `07:30`.
    pub digest_at: Option<String>,
    /// By the clock of this time zone.
    pub digest_zone: Option<String>,
    /// How long it may be open in business hours before others are told, such as `8h`.
    pub escalate_after: Option<String>,
    /// The channels of those others.
    #[serde(default)]
    pub escalate_to: Vec<String>,
    /// Routes after this one count as well.
    #[serde(default)]
    pub r#continue: bool,
}

/// A route that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("route {route:?} cannot be used: {problem}")]
pub struct InvalidRoute {
    route: String,
    problem: String,
}

/// When a route tells.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum When {
    AtOnce,
    BusinessHours,
    /// At a minute of the day by the clock of a zone.
    Digest(u16, TimeZone),
}

/// A route, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    pub(crate) name: String,
    buildings: Vec<String>,
    regions: Vec<String>,
    causes: Vec<Cause>,
    segments: Vec<Segment>,
    at_least: Option<SeverityClass>,
    pub(crate) channels: Vec<String>,
    pub(crate) when: When,
    pub(crate) escalation: Option<(Duration, Vec<String>)>,
    pub(crate) goes_on: bool,
}

/// What of an incident routes look at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Facts<'a> {
    pub(crate) buildings: Vec<&'a str>,
    pub(crate) regions: Vec<&'a str>,
    pub(crate) cause: Cause,
    pub(crate) segment: Segment,
    pub(crate) class: SeverityClass,
}

impl Route {
    /// Checks a route; `channels` are the names of those there are.
    ///
    /// # Errors
    /// When it names what there is not, or contradicts itself.
    pub fn build(config: &RouteConfig, channels: &[&str]) -> Result<Self, InvalidRoute> {
        let wrong = |problem: String| InvalidRoute { route: config.name.clone(), problem };
        let all = [
            &config.buildings,
            &config.regions,
            &config.causes,
            &config.segments,
            &config.channels,
            &config.escalate_to,
        ];
        if config.name.is_empty() || all.iter().any(|values| values.len() > MAX_VALUES) {
            return Err(wrong(format!("it has no name, or more than {MAX_VALUES} of something")));
        }
        if config.channels.is_empty() {
            return Err(wrong("it names no channel".to_owned()));
        }
        for name in config.channels.iter().chain(&config.escalate_to) {
            if !channels.contains(&name.as_str()) {
                return Err(wrong(format!("there is no channel {name:?}")));
            }
        }
        let at_least = config.at_least.as_deref().map(|text| {
            text.parse().map_err(|_| format!("{text:?} is not minor, major or critical"))
        });
        Ok(Self {
            name: config.name.clone(),
            buildings: config.buildings.clone(),
            regions: config.regions.clone(),
            causes: parsed(&config.causes, "cause").map_err(wrong)?,
            segments: parsed(&config.segments, "segment").map_err(wrong)?,
            at_least: at_least.transpose().map_err(wrong)?,
            channels: config.channels.clone(),
            when: when(config).map_err(wrong)?,
            escalation: escalation(config).map_err(wrong)?,
            goes_on: config.r#continue,
        })
    }

    /// True when it is for an incident; of several buildings one is enough.
    pub(crate) fn fits(&self, facts: &Facts<'_>) -> bool {
        let named = |wanted: &[String], found: &[&str]| {
            wanted.is_empty() || found.iter().any(|name| wanted.iter().any(|one| one == name))
        };
        named(&self.buildings, &facts.buildings)
            && named(&self.regions, &facts.regions)
            && (self.causes.is_empty() || self.causes.contains(&facts.cause))
            && (self.segments.is_empty() || self.segments.contains(&facts.segment))
            && self.at_least.is_none_or(|least| facts.class >= least)
    }
}

fn parsed<T: std::str::FromStr>(texts: &[String], what: &str) -> Result<Vec<T>, String> {
    let one = |text: &String| text.parse().map_err(|_| format!("{text:?} is not a {what}"));
    texts.iter().map(one).collect()
}

fn when(config: &RouteConfig) -> Result<When, String> {
    let digest = (config.digest_at.as_deref(), config.digest_zone.as_deref());
    match (config.when.as_deref().unwrap_or("at-once"), digest) {
        ("at-once", (None, None)) => Ok(When::AtOnce),
        ("business-hours", (None, None)) => Ok(When::BusinessHours),
        ("digest", (Some(at), Some(zone))) => {
            Ok(When::Digest(parse_minute(at)?, parse_zone(zone)?))
        }
        ("digest", _) => Err("a digest needs digest_at and digest_zone".to_owned()),
        ("at-once" | "business-hours", _) => {
            Err("digest_at and digest_zone go with when = \"digest\"".to_owned())
        }
        (other, _) => Err(format!("when = {other:?} is not at-once, business-hours or digest")),
    }
}

fn escalation(config: &RouteConfig) -> Result<Option<(Duration, Vec<String>)>, String> {
    match (config.escalate_after.as_deref(), config.escalate_to.is_empty()) {
        (None, true) => Ok(None),
        (Some(text), false) => {
            let after = text.parse::<jiff::SignedDuration>().ok();
            let after = after.and_then(|after| Duration::try_from(after).ok());
            let after = after.filter(|after| !after.is_zero() && *after <= MAX_ESCALATION);
            let wrong = || format!("escalate_after = {text:?} is not a time such as \"8h\"");
            Ok(Some((after.ok_or_else(wrong)?, config.escalate_to.clone())))
        }
        _ => Err("escalate_after and escalate_to go together".to_owned()),
    }
}

/// `07:30` as a minute of the day.
pub(crate) fn parse_minute(text: &str) -> Result<u16, String> {
    let wrong = || format!("{text:?} is not a time of the day such as \"07:30\"");
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return Err(wrong());
    }
    let (hour, minute): (u16, u16) =
        (hour.parse().map_err(|_| wrong())?, minute.parse().map_err(|_| wrong())?);
    if hour < 24 && minute < 60 { Ok(hour * 60 + minute) } else { Err(wrong()) }
}

pub(crate) fn parse_zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| format!("{text:?} is not a time zone such as Europe/Berlin"))
}
