//! What was missed, false or wrong, one by one: for whoever wants to know why.

use std::fmt::Write as _;

use super::explain::Reason;
use super::told::Incident;
use crate::world::Truth;

/// What kind of mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mistake {
    /// An episode that had to be found was not.
    Missed,
    /// An alert has no reason.
    FalseAlert,
    /// Another place was told.
    WrongPlace,
    /// Another cause was named.
    WrongCause,
    /// It is open long after its cause ended.
    Stuck,
    /// A second alert of one cause.
    Again,
}

impl Mistake {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::Missed,
        Self::FalseAlert,
        Self::WrongPlace,
        Self::WrongCause,
        Self::Stuck,
        Self::Again,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missed => "missed",
            Self::FalseAlert => "false-alert",
            Self::WrongPlace => "wrong-place",
            Self::WrongCause => "wrong-cause",
            Self::Stuck => "stuck",
            Self::Again => "again",
        }
    }
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// What kind of mistake.
    pub mistake: Mistake,
    /// What is true and what was told.
    pub text: String,
}

impl Detail {
    pub(super) fn missed(truth: &Truth) -> Self {
        Self { mistake: Mistake::Missed, text: truly(truth) }
    }

    pub(super) fn false_alert(incident: &Incident, reason: Reason) -> Self {
        let text = format!("{}; perhaps {}", said(incident), reason.as_str());
        Self { mistake: Mistake::FalseAlert, text }
    }

    pub(super) fn about(mistake: Mistake, incident: &Incident, truth: &Truth) -> Self {
        Self { mistake, text: format!("{}; truly {}", said(incident), truly(truth)) }
    }
}

/// What an incident says of itself.
fn said(incident: &Incident) -> String {
    let (first, last) = (&incident.first, &incident.last);
    let mut text = format!(
        "incident {} opened {}, {} with {:.2}, {} members, {}",
        first.id,
        first.date,
        last.place,
        last.confidence,
        last.members.len(),
        hours(&first.hours),
    );
    if let Some(closed) = incident.spells.last().and_then(|spell| spell.closed) {
        let _ = write!(text, ", closed {closed}");
    }
    if !last.cause.is_empty() {
        let _ = write!(text, ", cause {}", last.cause);
    }
    let days: Vec<String> =
        first.days.iter().rev().take(5).rev().map(ToString::to_string).collect();
    let _ = write!(text, ", bad on {}", days.join(" "));
    text
}

/// What is true.
fn truly(truth: &Truth) -> String {
    let (first, last) = (truth.bad.first(), truth.bad.last());
    let span = match (first, last) {
        (Some(first), Some(last)) => {
            format!("{} truly bad days from {} to {}", truth.bad.len(), first.date, last.date)
        }
        _ => format!("from {} to {}", truth.from, truth.until),
    };
    format!(
        "{} {} at {} ({}), {} series in {} buildings, {}, {span}, severity {:.2}, cause {}",
        truth.kind.as_str(),
        truth.id,
        truth.place,
        truth.mechanism,
        truth.series.len(),
        truth.buildings.len(),
        hours(&truth.hours),
        truth.severity,
        truth.causes.first().map_or("none", String::as_str),
    )
}

fn hours(hours: &[(u16, u16)]) -> String {
    if hours.is_empty() {
        return "at all hours".to_owned();
    }
    let clock = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    let spans: Vec<String> =
        hours.iter().map(|(from, until)| format!("{}-{}", clock(*from), clock(*until))).collect();
    spans.join(" ")
}
