//! Of which path a question is, and of which time.

use std::time::Duration;

use busyhour_model::{PathId, UtcMicros};
use busyhour_store::PathRow;
use serde::Deserialize;

use super::parsed;
use super::paths::moment;
use crate::problem::Problem;
use crate::scoped::Scoped;

/// From when until when, as it is asked for.
#[derive(Debug, Deserialize)]
pub(crate) struct SpanQuery {
    #[serde(alias = "since")]
    pub(crate) from: Option<String>,
    pub(crate) until: Option<String>,
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
        (from, until): (Option<&str>, Option<&str>),
        now: UtcMicros,
        (usual, longest): (Duration, Duration),
    ) -> Result<Self, Problem> {
        let path = PathId(parsed("the path's number", path)?);
        let until = moment("until", until)?.unwrap_or(now);
        let from = moment("from", from)?.unwrap_or_else(|| until.minus(usual));
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
