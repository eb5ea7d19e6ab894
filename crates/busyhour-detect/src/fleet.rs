//! What is judged: buildings, and the series that run from them. Numbers are places in the lists of a
//! [`Fleet`], given by whoever lists them; names are for people.

use std::collections::BTreeSet;

use busyhour_model::{BusinessHours, LinkKind, RequirementProfile};
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// A building, by its place in [`Fleet::buildings`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildingNo(pub u32);

/// A series, by its place in [`Fleet::series`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesNo(pub u32);

/// A subnet, by its place in [`Fleet::subnets`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubnetNo(pub u32);

/// An agent, by its place in [`Fleet::agents`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentNo(pub u32);

/// What several buildings share on the way, by its place in [`Fleet::upstreams`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpstreamNo(pub u32);

/// A target, by its place in [`Fleet::targets`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetNo(pub u32);

/// A building as it is judged.
#[derive(Debug, Clone)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// Its zone.
    pub zone: TimeZone,
    /// Its configured business hours.
    pub hours: BusinessHours,
    /// Local dates on which nobody works, whatever the weekday.
    pub holidays: BTreeSet<Date>,
}

/// Where a series leads, as seen from its building.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// To the site's own edge: what it shows lies inside the building.
    Near,
    /// Beyond it.
    Far,
}

/// A series: one path of one agent in one subnet. An agent that moves begins another series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesInfo {
    /// Its name.
    pub name: String,
    /// The building.
    pub building: BuildingNo,
    /// The subnet.
    pub subnet: SubnetNo,
    /// The agent.
    pub agent: AgentNo,
    /// The kind of link.
    pub link: LinkKind,
    /// What it talks to, where that is known.
    pub target: Option<TargetNo>,
    /// What it shares with series of other buildings; that of a VPN series is what its tunnel ends at, or
    /// the provider, whichever its source knows.
    pub upstream: Option<UpstreamNo>,
    /// Where it leads.
    pub reach: Reach,
    /// What its windows are judged by. What one limit calls clean another may not: a target is only
    /// accused on the word of series that are judged alike.
    pub requirement: RequirementProfile,
    /// The series to the site's edge that runs beside it.
    pub near: Option<SeriesNo>,
    /// It is simulated.
    pub simulated: bool,
}

/// Everything that is judged together.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    /// Buildings.
    pub buildings: Vec<Site>,
    /// Names of subnets.
    pub subnets: Vec<String>,
    /// Names of agents.
    pub agents: Vec<String>,
    /// Names of upstreams.
    pub upstreams: Vec<String>,
    /// Those of them that are called by a region only: what their buildings have in common is not known.
    pub regions: BTreeSet<UpstreamNo>,
    /// Names of targets.
    pub targets: Vec<String>,
    /// Those of them that are Microsoft's own.
    pub microsoft: BTreeSet<TargetNo>,
    /// Series.
    pub series: Vec<SeriesInfo>,
    /// How long the bins are that all series are kept in.
    pub bin: Bin,
}

impl Fleet {
    /// A building; `None` for a number that is none of the fleet's.
    #[must_use]
    pub fn site(&self, building: BuildingNo) -> Option<&Site> {
        self.buildings.get(building.0 as usize)
    }

    /// A series; `None` for a number that is none of the fleet's.
    #[must_use]
    pub fn info(&self, series: SeriesNo) -> Option<&SeriesInfo> {
        self.series.get(series.0 as usize)
    }
}

/// How long a bin is. Slots of other lengths are merged into the next longer bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bin {
    /// A quarter-hour.
    #[default]
    Quarter,
    /// Half an hour.
    Half,
    /// An hour.
    Hour,
}

impl Bin {
    /// Quarter-hours in a bin.
    #[must_use]
    pub const fn quarters(self) -> u8 {
        match self {
            Self::Quarter => 1,
            Self::Half => 2,
            Self::Hour => 4,
        }
    }

    /// The shortest bin that slots of `minutes` fill without a remainder; `None` for slots that do not
    /// divide an hour.
    #[must_use]
    pub const fn holding(minutes: u32) -> Option<Self> {
        if minutes == 0 || minutes > 60 {
            return None;
        }
        if 15 % minutes == 0 {
            Some(Self::Quarter)
        } else if 30 % minutes == 0 {
            Some(Self::Half)
        } else if 60 % minutes == 0 {
            Some(Self::Hour)
        } else {
            None
        }
    }
}
