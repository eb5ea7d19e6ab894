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

mod building;
mod day;
mod explain;
mod finding;
mod fleet;
mod frame;
mod incident;
mod place;
mod quarters;
mod series;
mod target;

pub use building::judge_day;
pub use day::PathDay;
pub use finding::{Cause, Evidence, Finding, FindingKind, Mechanism, Place, Segment};
pub use fleet::{
    AgentNo, Bin, BuildingNo, Fleet, Reach, SeriesInfo, SeriesNo, Site, SubnetNo, TargetNo,
    UpstreamNo,
};
pub use frame::DayFrame;
pub use incident::{
    BuildingHistory, INCIDENT_HISTORY_DAYS, IncidentChange, Member, SubnetName, Told,
    judge_incidents, retire_incident,
};
pub use quarters::Quarters;
pub use series::{Cell, FULL, Part, SeriesDay, UNSEEN, Worst};
pub use target::{TargetFaults, target_faults};
