//! Counts in; day verdicts, findings and incident transitions out.
//!
//! A day fails when its worst rolling hour inside business hours has too many bad windows, spread
//! over it. Counts decide; distributions only explain. An agent is judged before a subnet and a
//! subnet before a building, and what fails for most agents at once is the target's own fault.
//!
//! This crate refuses to read clocks, stores or sockets: slots, calendars, names and `now` come as
//! arguments. The order of its input never matters. Unknown is never good: what was not observed
//! neither opens nor closes anything.
//!
//! The flow: a [`DayFrame`] cuts a building's local day into quarter-hours; [`target_faults`] finds
//! the quarter-hours in which a target was at fault; [`judge_day`] gives the verdicts of paths,
//! agents, subnets and the building; [`judge_incidents`] looks at the last business days and moves
//! the building's incidents on.

mod acute;
mod beside;
mod building;
mod busy;
mod cause;
mod day;
mod day_frame;
mod drift;
mod early;
mod explain;
mod figures;
mod finding;
mod fleet;
mod frame;
mod history;
mod incident;
mod judge;
mod layout;
mod life;
mod locate;
mod params;
mod place;
mod pool;
mod quarters;
mod rank;
mod recurrence;
mod replay;
mod series;
mod series_day;
mod shift;
#[cfg(test)]
mod stage;
mod suffer;
mod target;
mod target_day;
mod tell;
mod timeline;
mod trigger;
mod union;

pub use beside::{Beside, HostLoad, MarkedTraffic, MediaCheck, MediaPath, RadioFacts, TargetDay};
pub use building::judge_day;
pub use busy::{BusyHours, LoadDay, learn_busy_hours};
pub use day::PathDay;
pub use day_frame::{BuildingDay, is_cut_off};
pub use drift::{Drift, Month, Trend, drift};
pub use early::{EarlyWarning, early_warning};
pub use finding::{
    Cause, Change, Evidence, Finding, FindingKind, Mechanism, Place, Segment, SeverityClass,
    Siblings,
};
pub use fleet::{
    AgentNo, Bin, BuildingNo, Fleet, Reach, SeriesInfo, SeriesNo, Site, SubnetNo, TargetNo,
    UpstreamNo,
};
pub use frame::DayFrame;
pub use history::History;
pub use incident::{
    BuildingHistory, INCIDENT_HISTORY_DAYS, IncidentChange, Member, SubnetName, Told,
    judge_incidents, retire_incident,
};
pub use judge::judge_fleet;
pub use params::{Params, Rule, Rules};
pub use pool::pooled;
pub use quarters::Quarters;
pub use recurrence::{Recurrence, recurrence};
pub use replay::{Recorded, replay};
pub use series::{Cell, FULL, Part, Rest, SeriesDay, UNSEEN, Worst};
pub use series_day::series_day;
pub use shift::{LevelShift, level_shift};
pub use target::{TargetFaults, target_faults};
pub use target_day::{TargetBins, TargetViews};
pub use union::Union;
