//! The vocabulary of Busyhour and its invariants: identities, time, paths, records, histograms,
//! limits, slots, buildings and calendars; and the estimate of a call that a window allows.
//!
//! This crate refuses to do input or output: no sockets, files, clocks, randomness or
//! serialisation formats. Whoever crosses a process boundary owns the format and converts.
//! A value that exists is valid: constructors check, nothing is validated afterwards.

mod building;
pub mod building_file;
mod calendar;
mod classifier;
pub mod desk;
mod egress;
pub mod emodel;
mod histogram;
mod id;
mod incident;
mod learned;
mod limits;
pub mod load_file;
mod microsoft;
mod path;
mod record;
mod settle;
mod slot;
mod time;
mod verdict;
mod words;

pub use building::{Building, FileBuilding, FileSubnet, NetworkColumns, Placement, Subnet};
pub use calendar::{BusinessHours, InvalidBusinessHours, LocalDay, local_day_span};
pub use classifier::{
    CLASSIFIERS, Classification, Classifier, CriterionOutcome, STREAM_MICROS, StreamClass,
    StreamCriterion, SyntheticStream, synthetic_streams,
};
pub use egress::egress_network;
pub use histogram::{Histogram, InvalidHistogram};
pub use id::{
    AgentId, BlockNo, BootId, BuildingId, Epoch, IncidentId, InvalidId, PathId, ScheduleRevision,
    SubnetId,
};
pub use incident::{
    Cause, Change, Evidence, FindingKind, Incident, IncidentMember, IncidentPlace, IncidentState,
    Mechanism, Segment, SeverityClass, Siblings,
};
pub use learned::{BuildingLoad, LoadSource, SeriesMonth, WeekFrame, WorkingWeek};
pub use limits::{
    AzureRegion, Breach, Judgement, LIMITS, LimitSource, LimitTable, LimitsVersion,
    MIN_JUDGED_RATE_PPS, REORDER_FAIL_LEVEL, REORDER_PASS_LEVEL, RequirementProfile, WindowVerdict,
    limits_in_force,
};
pub use microsoft::is_microsoft_media;
pub use path::{
    AddressFamily, Direction, Dscp, EXPEDITED_LEASE, InvalidPath, Link, LinkKind, PathKey,
    ProfileName, TargetName, TrafficClass, Transport,
};
pub use record::{
    Body, BurstLoss, Check, CheckOutcome, ClockQuality, Context, DscpSeen, Ecn, EcnSeen, Fact, Gap,
    GapReason, InvalidRecord, Jitter, Load, LossPattern, MAX_MISSING_RANGES, OneWayDelay,
    PacketCounts, Playout, Record, Reorder, Schedule, SessionReport, SessionReportParts, Stamp,
    TimestampMethod, TtlSeen, Window, WindowParts,
};
pub use settle::{Settlement, is_unsettled, settle};
pub use slot::{
    Combination, Figure, FigureBucket, FigureTotals, Figures, InvalidFigures, Marginal, Slot,
    SlotCounts, SlotGist, Spread, SpreadParts, WindowFigures, WorstLoss, merge_hours,
};
pub use time::{BootMicros, ClockPair, Micros, SLOT_MICROS, SlotStart, UtcMicros};
pub use verdict::{DailyAverage, DaySummary, DayVerdict, Scope, WorstHour};
pub use words::{LIKELY, SURE, how_sure};
