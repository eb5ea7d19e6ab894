//! What is found: something wrong, where, when, how sure, why.

pub use busyhour_model::{
    Cause, Change, Evidence, FindingKind, Mechanism, Segment, SeverityClass, Siblings,
};
use busyhour_model::{IncidentState, LinkKind};
use jiff::civil::Date;

use crate::fleet::{
    AgentNo, BuildingNo, Fleet, SeriesInfo, SeriesNo, SubnetNo, TargetNo, UpstreamNo,
};
use crate::quarters::Quarters;

/// Where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// What several buildings share on the way.
    Upstream(UpstreamNo),
    /// What VPN series of several buildings share: the concentrator.
    Vpn(UpstreamNo),
    /// A target.
    Target(TargetNo),
    /// A building's own link or edge.
    Building(BuildingNo),
    /// One kind of link in a building.
    Link(BuildingNo, LinkKind),
    /// A subnet; on one kind of link when only that suffers.
    Subnet(SubnetNo, Option<LinkKind>),
    /// One agent among others that are fine.
    Agent(AgentNo),
    /// Somewhere in a building or beyond it: only one agent sees it.
    Unplaced(BuildingNo),
}

impl Place {
    /// The word for what kind of place it is.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Upstream(_) => "upstream",
            Self::Vpn(_) => "vpn",
            Self::Target(_) => "target",
            Self::Building(_) => "building",
            Self::Link(..) => "link",
            Self::Subnet(..) => "subnet",
            Self::Agent(_) => "agent",
            Self::Unplaced(_) => "unplaced",
        }
    }

    /// The name of what it is: of a link or of what could not be placed its building's. Empty for a
    /// number that is none of the fleet's.
    #[must_use]
    pub fn name(self, fleet: &Fleet) -> &str {
        let (names, at) = match self {
            Self::Upstream(no) | Self::Vpn(no) => (&fleet.upstreams, no.0),
            Self::Target(no) => (&fleet.targets, no.0),
            Self::Subnet(no, _) => (&fleet.subnets, no.0),
            Self::Agent(no) => (&fleet.agents, no.0),
            Self::Building(no) | Self::Link(no, _) | Self::Unplaced(no) => {
                return fleet.site(no).map_or("", |site| site.name.as_str());
            }
        };
        names.get(at as usize).map_or("", String::as_str)
    }

    /// The kind of link it is on, where only one suffers.
    #[must_use]
    pub const fn link(self) -> Option<LinkKind> {
        match self {
            Self::Link(_, link) => Some(link),
            Self::Subnet(_, link) => link,
            _ => None,
        }
    }

    /// True when a series runs through it. What was not placed holds all series of its building.
    #[must_use]
    pub fn holds(self, series: &SeriesInfo) -> bool {
        match self {
            Self::Upstream(no) => series.upstream == Some(no) && series.link != LinkKind::Vpn,
            Self::Vpn(no) => series.upstream == Some(no) && series.link == LinkKind::Vpn,
            Self::Target(no) => series.target == Some(no),
            Self::Building(no) | Self::Unplaced(no) => series.building == no,
            Self::Link(no, link) => series.building == no && series.link == link,
            Self::Subnet(no, link) => {
                series.subnet == no && link.is_none_or(|link| series.link == link)
            }
            Self::Agent(no) => series.agent == no,
        }
    }
}

/// One finding as it stands on a day.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Its identity: kept while it is updated, closed and opened again; a number of the caller's
    /// history, one more than any before.
    pub id: u64,
    /// What kind of thing it is.
    pub kind: FindingKind,
    /// Where it is.
    pub place: Place,
    /// Whose part of the way that is.
    pub segment: Segment,
    /// The building whose local time its hours and dates are in: that of the series which raised it.
    pub home: BuildingNo,
    /// The series that suffer, in order.
    pub members: Vec<SeriesNo>,
    /// Who suffers and who does not, within the place and beside it.
    pub siblings: Siblings,
    /// The local hours it keeps to.
    pub hours: Quarters,
    /// Where it is in its life.
    pub state: IncidentState,
    /// What happened to it last that is worth a word; figures move without.
    pub change: Change,
    /// The day on which that happened.
    pub changed: Date,
    /// The finding that it is part of; then it is closed.
    pub merged_into: Option<u64>,
    /// Nobody observed it for ten working days.
    pub stale: bool,
    /// The first bad day.
    pub first_bad: Date,
    /// The last bad day.
    pub last_bad: Date,
    /// Bad days of its present spell, ascending.
    pub bad_days: Vec<Date>,
    /// Observed working days of its present spell.
    pub observed_days: Vec<Date>,
    /// The day on which it was last opened; `None` while it is suspected.
    pub opened: Option<Date>,
    /// The day on which it was closed.
    pub closed: Option<Date>,
    /// How often it was opened.
    pub openings: u32,
    /// The median share of bad windows in the worst hour of its bad days, 0..=1.
    pub severity: f64,
    /// How sure the place is, 0..=1.
    pub confidence: f64,
    /// The likely cause.
    pub cause: Cause,
    /// How sure that is, 0..=1.
    pub cause_confidence: f64,
    /// How packets suffer.
    pub mechanism: Mechanism,
    /// What speaks for and against causes, heaviest first.
    pub evidence: Vec<Evidence>,
    /// The sentence for the Quality Champion.
    pub sentence: String,
    /// The paragraph for an engineer.
    pub paragraph: String,
}
