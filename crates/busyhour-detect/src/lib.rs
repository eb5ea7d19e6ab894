//! Counts in; day verdicts, findings and their transitions out.
//!
//! Two things are made of what agents saw. *Day verdicts*, to be looked at: of paths, agents,
//! subnets and buildings, by [`judge_day`]. *Findings*, to be told: what recurs, where it lies, what
//! is likely to cause it, and how it goes on, by [`judge_fleet`]. Counts decide; distributions only
//! explain.
//!
//! This crate refuses to read clocks, stores or sockets: cells, calendars, names and `now` come as
//! arguments, and nothing but its arguments decides. The order of its input never matters. Unknown is
//! never good: what was not observed neither opens nor closes anything.
//!
//! The flow of findings: [`lay_out`] cuts a building's local day into bins, with the busy hours that
//! [`learn_busy_hours`] learned of load; [`TargetViews`] finds the bins in which targets were at
//! fault; [`rows_of_building`] makes a row of each series and day ([`SeriesDay`]), which a
//! [`History`] remembers; a [`Ledger`] judges date after date, and the running date again and again.
//! [`replay`] does all of that for a fleet that was recorded.

mod acute;
mod beside;
mod building;
mod busy;
mod cause;
mod day;
mod day_counts;
mod day_frame;
mod drift;
mod early;
mod figures;
mod finding;
mod fleet;
mod from_slot;
mod history;
mod judge;
mod layout;
mod ledger;
mod life;
mod locate;
mod mixer;
mod params;
mod pool;
mod quarters;
mod rank;
mod recurrence;
mod remembered;
mod replay;
mod rows;
mod series;
mod series_day;
mod shift;
#[cfg(test)]
mod stage;
mod suffer;
mod target_day;
mod target_looks;
mod tell;
mod timeline;
mod trigger;
mod union;

pub use beside::{Beside, HostLoad, MarkedTraffic, MediaCheck, MediaPath, RadioFacts, TargetDay};
pub use building::judge_day;
pub use busy::{BusyHours, LoadDay, learn_busy_hours};
pub use day::{PathDay, WindowFigures};
pub use day_frame::{BuildingDay, is_cut_off, lay_out};
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
pub use history::History;
pub use judge::judge_fleet;
pub use ledger::Ledger;
pub use params::{Params, Rule, Rules};
pub use pool::pooled;
pub use quarters::Quarters;
pub use recurrence::{Recurrence, recurrence};
pub use replay::{Recorded, replay};
pub use rows::{Rows, rows_of_building};
pub use series::{Cell, FULL, Part, Peak, Rest, SeriesDay, Worst};
pub use series_day::series_day;
pub use shift::{LevelShift, level_shift};
pub use target_day::{TargetBins, TargetViews};
pub use target_looks::TargetLooks;
pub use union::Union;
