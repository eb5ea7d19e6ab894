//! What is found: something wrong, where, when, how sure, why.

use busyhour_model::{IncidentState, LinkKind};
use jiff::civil::Date;

use crate::fleet::{AgentNo, BuildingNo, SeriesNo, SubnetNo, TargetNo, UpstreamNo};
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
    /// The series that suffer, in order.
    pub members: Vec<SeriesNo>,
    /// The local hours it keeps to.
    pub hours: Quarters,
    /// Where it is in its life.
    pub state: IncidentState,
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
