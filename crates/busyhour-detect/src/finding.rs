//! What is found: something wrong, where, when, how sure, why.

use busyhour_model::{IncidentState, LinkKind};
use jiff::civil::Date;

use crate::fleet::{
    AgentNo, BuildingNo, Fleet, SeriesInfo, SeriesNo, SubnetNo, TargetNo, UpstreamNo,
};
use crate::quarters::Quarters;

/// What kind of thing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingKind {
    /// Bad at the same busy hours of most working days.
    RecurringPeak,
    /// Bad at the same hours of one weekday.
    WeeklyPattern,
    /// Bad at all hours.
    ConstantFault,
    /// The quiet round trip moved and stayed: another route.
    LevelShift,
    /// Bad once.
    OneOff,
    /// A target failed for those who talk to it.
    TargetFault,
    /// Busy hours are slower than quiet ones, within all limits.
    EarlyWarning,
    /// Slower month by month.
    Drift,
}

impl FindingKind {
    /// True for what the Quality Champion is told.
    #[must_use]
    pub const fn alerts(self) -> bool {
        matches!(self, Self::RecurringPeak | Self::WeeklyPattern | Self::ConstantFault)
    }

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RecurringPeak => "recurring-peak",
            Self::WeeklyPattern => "weekly-pattern",
            Self::ConstantFault => "constant-fault",
            Self::LevelShift => "level-shift",
            Self::OneOff => "one-off",
            Self::TargetFault => "target-fault",
            Self::EarlyWarning => "early-warning",
            Self::Drift => "drift",
        }
    }
}

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

/// What happened to a finding on the day of [`Finding::changed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// Its first bad day.
    Suspected,
    /// It recurs, or was seen to happen: somebody should know.
    Opened,
    /// Its kind, its place or the class of its severity is another, or a week has passed.
    Updated,
    /// It has been better lately.
    Recovering,
    /// It is over.
    Closed,
    /// It is back within 21 days.
    Reopened,
    /// Nobody has observed it for ten working days.
    Stale,
    /// It turned out to be part of another finding.
    Merged,
}

impl Change {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Suspected => "suspected",
            Self::Opened => "opened",
            Self::Updated => "updated",
            Self::Recovering => "recovering",
            Self::Closed => "closed",
            Self::Reopened => "reopened",
            Self::Stale => "stale",
            Self::Merged => "merged",
        }
    }
}

/// How much of its worst hour is bad, in classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SeverityClass {
    /// Up to 15 %.
    Minor,
    /// Up to 40 %.
    Major,
    /// Above 40 %.
    Critical,
}

impl SeverityClass {
    /// The class of a share of bad windows, 0..=1.
    #[must_use]
    pub fn of(share: f64) -> Self {
        if share > 0.4 {
            Self::Critical
        } else if share > 0.15 {
            Self::Major
        } else {
            Self::Minor
        }
    }

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minor => "minor",
            Self::Major => "major",
            Self::Critical => "critical",
        }
    }
}

/// Whose part of the way it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// Within the building.
    CustomerLan,
    /// The customer's own wide area network or uplink.
    CustomerWan,
    /// The provider.
    Provider,
    /// Microsoft, or whoever runs the target.
    Microsoft,
    /// Not known.
    Unknown,
}

impl Segment {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CustomerLan => "customer-lan",
            Self::CustomerWan => "customer-wan",
            Self::Provider => "provider",
            Self::Microsoft => "microsoft",
            Self::Unknown => "unknown",
        }
    }
}

/// A likely cause, in the categories of the planning guide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// A link is full, or sold smaller than it is used.
    Bandwidth,
    /// The radio.
    Wifi,
    /// The VPN or its concentrator.
    Vpn,
    /// A firewall or a proxy.
    FirewallOrProxy,
    /// Marks are lost, or marked traffic is not preferred.
    Qos,
    /// The provider, or what lies behind it.
    Provider,
    /// A subnet, a switch, a cable.
    SubnetOrNetworkDevice,
    /// One machine.
    Device,
    /// Who measures: the agent's machine, or the collector.
    CollectorOrAgent,
    /// Not known.
    NotKnown,
}

impl Cause {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bandwidth => "bandwidth",
            Self::Wifi => "wifi",
            Self::Vpn => "vpn",
            Self::FirewallOrProxy => "firewall-or-proxy",
            Self::Qos => "qos",
            Self::Provider => "provider",
            Self::SubnetOrNetworkDevice => "subnet-or-network-device",
            Self::Device => "device",
            Self::CollectorOrAgent => "collector-or-agent",
            Self::NotKnown => "not-known",
        }
    }
}

/// How packets suffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mechanism {
    /// They wait: delay rises with load, and loss with delay.
    Queue,
    /// They are dropped without waiting.
    Drop,
    /// They wait irregularly and are lost in bursts, as on the air.
    Radio,
    /// Nothing comes back.
    Outage,
    /// The data do not tell.
    NotKnown,
}

impl Mechanism {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Drop => "drop",
            Self::Radio => "radio",
            Self::Outage => "outage",
            Self::NotKnown => "not-known",
        }
    }
}

/// A number that speaks for or against a cause.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// What it is about.
    pub cause: Cause,
    /// How much it weighs: above 0 for, below 0 against.
    pub weight: f64,
    /// What was seen, with its figures, for an engineer.
    pub text: String,
}

/// The series that were observed on a finding's bad days, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Siblings {
    /// Within the place.
    pub within: u32,
    /// Those of them that suffer.
    pub suffering: u32,
    /// Beside the place, on the same way or in the same building.
    pub beside: u32,
    /// Those of them that suffer too.
    pub suffering_beside: u32,
    /// Series to the building's own edge.
    pub near: u32,
    /// Those of them that suffer too.
    pub suffering_near: u32,
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
