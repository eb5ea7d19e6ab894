//! Acts: what people did with one incident, in the order in which they did it.

use super::owner::Owner;
use super::remark::Remark;
use crate::{IncidentId, UtcMicros};

/// What somebody did with an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Said something.
    Note(Remark),
    /// Said that it is seen, and what becomes of it.
    Acknowledge(Remark),
    /// Took that back.
    Unacknowledge,
    /// Said who must act.
    Own(Owner),
    /// Left that to the table of owners again.
    Disown,
    /// Said that it is part of another.
    Merge {
        /// The other.
        into: IncidentId,
        /// Its number, which outlives it.
        into_number: u64,
        /// Why.
        reason: Remark,
    },
    /// Took that back.
    Split,
}

impl Deed {
    /// The word used in SQL, JSON, on the command line and the page.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Note(_) => "note",
            Self::Acknowledge(_) => "acknowledge",
            Self::Unacknowledge => "unacknowledge",
            Self::Own(_) => "own",
            Self::Disown => "disown",
            Self::Merge { .. } => "merge",
            Self::Split => "split",
        }
    }

    /// What was said with it.
    #[must_use]
    pub const fn remark(&self) -> Option<&Remark> {
        match self {
            Self::Note(said) | Self::Acknowledge(said) | Self::Merge { reason: said, .. } => {
                Some(said)
            }
            Self::Unacknowledge | Self::Own(_) | Self::Disown | Self::Split => None,
        }
    }
}

/// One act. It is never changed and goes with its incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentAct {
    /// Its number among all acts; later acts have higher ones.
    pub number: u64,
    /// The incident.
    pub incident: IncidentId,
    /// Which of its openings it was done in ([`crate::Incident::openings`]).
    pub openings: u32,
    /// When, by the collector's clock.
    pub at: UtcMicros,
    /// By whom.
    pub by: String,
    /// What.
    pub deed: Deed,
}
