//! What is learned of buildings and paths over weeks and months, and what that is learned from.

use jiff::civil::Date;

use crate::path::word_enum;
use crate::{BuildingId, PathId, SubnetId};

word_enum!(
    /// Who told how much goes on in a building. Figures of the two are never mixed: their units differ.
    LoadSource, "source of load", {
        /// The machines that measure.
        Agents = "agents",
        /// Imported counts of calls.
        Imported = "imported",
    }
);

/// A building's load on one local day, of which its busy hours are learned.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildingLoad {
    /// The building.
    pub building: BuildingId,
    /// Its local date.
    pub date: Date,
    /// Who told.
    pub source: LoadSource,
    /// Machines that it was made of; 0 where it was imported.
    pub machines: u32,
    /// The load of each quarter-hour of the clock on the wall (0..96): bytes a second of a typical
    /// machine, or calls as they were imported; `None` where nobody told.
    pub quarters: [Option<f32>; 96],
}

/// The busy hours of each weekday from Monday, in minutes of the day, half open; and whether people work
/// on it.
pub type WeekFrame = ([Vec<(u16, u16)>; 7], [bool; 7]);

/// When people work in a building, by weekday from Monday.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkingWeek {
    /// The building.
    pub building: BuildingId,
    /// The local date from which it holds, up to the next one of the building: on it the week was
    /// learned, or looked at.
    pub looked_on: Date,
    /// The busy hours of each weekday: minutes of the day, half open.
    pub hours: [Vec<(u16, u16)>; 7],
    /// The weekdays on which people work.
    pub working: [bool; 7],
    /// What the load of its busy hours usually is on each weekday, where that is known.
    pub typical: [Option<f32>; 7],
    /// The hours were learned from load; else they are the configured ones.
    pub learned: bool,
    /// Whose load it was learned from: what is usual is in its unit, and is held against no other.
    pub source: LoadSource,
    /// Machines that told on half of the days it was learned from, or more told; 0 where the load was
    /// imported.
    pub machines: u32,
    /// What the last learning found, where that does not hold yet.
    pub pending: Option<WeekFrame>,
}

impl WorkingWeek {
    /// Of fewer machines the hours that were learned are not shown: when single people work is nobody's
    /// business.
    pub const SHOWN_OF_MACHINES: u32 = 5;

    /// True for hours that were learned and may be shown.
    #[must_use]
    pub const fn is_shown(&self) -> bool {
        let of_many = match self.source {
            LoadSource::Agents => self.machines >= Self::SHOWN_OF_MACHINES,
            LoadSource::Imported => true,
        };
        self.learned && of_many
    }
}

/// What a month was like on one path, while its agent was in one subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesMonth {
    /// The path.
    pub path: PathId,
    /// The building its agent was in.
    pub building: BuildingId,
    /// The subnet its agent was in.
    pub subnet: SubnetId,
    /// The month's first day.
    pub first: Date,
    /// The median of its days' quiet round trips, in microseconds; `None` of too few days.
    pub quiet_us: Option<u32>,
    /// The median of its days' busy round trips, in microseconds.
    pub busy_us: Option<u32>,
}
