//! Of which path a question is, and of which time.

use std::time::Duration;

use busyhour_model::{PathId, UtcMicros};
use busyhour_store::PathRow;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;

use super::parsed;
use crate::problem::Problem;
use crate::scoped::Scoped;

/// From when until when, as it is asked for: moments as RFC 3339, or with a zone as its clocks show them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct SpanQuery {
    /// From then on: `2026-03-02T09:00:00Z`; with a zone also `2026-03-02T10:00` or `2026-03-02`.
    #[serde(alias = "since")]
    pub(crate) from: Option<String>,
    /// Until then, not included.
    #[serde(alias = "to")]
    pub(crate) until: Option<String>,
    /// The IANA time zone by whose clocks times without an offset are meant: `Europe/Berlin`.
    pub(crate) zone: Option<String>,
}

impl SpanQuery {
    /// Begin and end, where they are told.
    pub(crate) fn read(&self) -> Result<(Option<UtcMicros>, Option<UtcMicros>), Problem> {
        let zone = self.zone.as_deref().map(zone_named).transpose()?;
        let moment = |name, text: &Option<String>| {
            text.as_deref().map(|text| moment_in(name, text, zone.as_ref())).transpose()
        };
        Ok((moment("from", &self.from)?, moment("until", &self.until)?))
    }
}

fn zone_named(name: &str) -> Result<TimeZone, Problem> {
    TimeZone::get(name).map_err(|_| {
        Problem::bad_request(format!(
            "zone must be an IANA time zone such as Europe/Berlin, not {name:?}"
        ))
    })
}

/// A moment: RFC 3339, or as clocks in a zone show it, when they show it once.
fn moment_in(name: &str, text: &str, zone: Option<&TimeZone>) -> Result<UtcMicros, Problem> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(UtcMicros(moment.as_microsecond()));
    }
    let (Some(zone), Ok(shown)) = (zone, text.parse::<DateTime>()) else {
        return Err(not_a_moment(name, text));
    };
    let moment = zone.to_ambiguous_timestamp(shown).unambiguous().map_err(|_| {
        Problem::bad_request(format!(
            "{name}: clocks there show {text:?} twice or never; tell the offset as well, such as \
             2026-10-25T02:30:00+01:00"
        ))
    })?;
    Ok(UtcMicros(moment.as_microsecond()))
}

fn not_a_moment(name: &str, text: &str) -> Problem {
    Problem::bad_request(format!(
        "{name} must be a moment such as 2026-03-02T09:00:00Z, or with a zone 2026-03-02T10:00, not {text:?}"
    ))
}

/// A path and a time, half open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) path: PathId,
    pub(crate) from: UtcMicros,
    pub(crate) until: UtcMicros,
}

impl Span {
    /// Reads what is asked for: up to now and `usual` long unless told, and never longer than
    /// `longest`.
    pub(crate) fn new(
        path: &str,
        asked: &SpanQuery,
        now: UtcMicros,
        (usual, longest): (Duration, Duration),
    ) -> Result<Self, Problem> {
        let path = PathId(parsed("the path's number", path)?);
        let (from, until) = asked.read()?;
        let until = until.unwrap_or(now);
        let from = from.unwrap_or_else(|| until.minus(usual));
        if from >= until {
            return Err(Problem::bad_request("from must be before until"));
        }
        if until > from.plus(longest) {
            let days = longest.as_secs() / 86_400;
            let detail = format!("at most {days} days can be asked for at once");
            return Err(Problem::bad_request(detail));
        }
        Ok(Self { path, from, until })
    }

    /// The path, and whether its agent is a simulated one.
    pub(crate) fn find(&self, services: &Scoped) -> Result<(PathRow, bool), Problem> {
        let path = services.telemetry.paths(None)?.into_iter().find(|path| path.id == self.path);
        let path = path.ok_or_else(|| Problem::not_found("no path has this number"))?;
        let agents = services.control.agents()?;
        let simulated = agents.iter().any(|agent| agent.id == path.agent && agent.simulated);
        Ok((path, simulated))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, zone: Option<&str>) -> Result<String, u16> {
        let asked =
            SpanQuery { from: Some(text.to_owned()), until: None, zone: zone.map(str::to_owned) };
        let read = asked.read().map_err(|problem| problem.status().as_u16())?;
        Ok(crate::text::utc(read.0.unwrap()))
    }

    #[test]
    fn a_zone_says_by_whose_clocks_a_time_is_meant() {
        let berlin = Some("Europe/Berlin");
        for (text, zone, expected) in [
            ("2026-03-02T09:00:00Z", None, "2026-03-02T09:00:00Z"),
            ("2026-03-02T09:00:00Z", berlin, "2026-03-02T09:00:00Z"),
            ("2026-03-02T10:00:00+01:00", berlin, "2026-03-02T09:00:00Z"),
            ("2026-03-02T10:00", berlin, "2026-03-02T09:00:00Z"),
            ("2026-07-02", berlin, "2026-07-01T22:00:00Z"),
        ] {
            assert_eq!(at(text, zone).unwrap(), expected, "{text} {zone:?}");
        }
        for (text, zone) in [
            ("2026-03-02T10:00", None),
            ("2026-10-25T02:30", berlin),
            ("2026-03-29T02:30", berlin),
            ("2026-03-02T10:00", Some("Mars/Olympus")),
            ("2026-03-02T09:00:00Z", Some("../../etc/passwd")),
            ("", berlin),
            ("tomorrow", berlin),
        ] {
            assert_eq!(at(text, zone), Err(400), "{text} {zone:?}");
        }
    }
}
