//! Reviews: what a day, a week or a month was like, for those who answer for it.
//!
//! A report is worked out of what the store keeps (verdicts of days, incidents, what people did with
//! them) by pure functions, and laid out as a [`Document`] of sentences and tables, from which all forms
//! follow: a page that prints on A4, plain text, a CSV for each table. The crate judges nothing again, reads no
//! clock and sends nothing.
//!
//! Invariants: every figure follows from stored data alone; what too few days stand behind is unknown and
//! never good; better or worse is said only of a difference whose interval excludes nothing at all
//! ([`shift`]); simulated data are named so; what is cut says what was left out.

mod csv;
mod daily;
mod document;
mod html;
mod monthly;
mod period;
mod render;
mod shift;
mod source;
mod streams;
mod tally;
mod tasks;
mod text;
mod weekly;
mod world;

pub use csv::guarded;
pub use daily::{DailyDigest, DayOfBuilding, Event, EventKind, SilentBuilding};
pub use document::{Cell, Column, Document, Raw, Readers, Row, Table};
pub use monthly::{BuildingMonth, Fixed, MaskedDay, MonthlyPack, OpenProblem, Provider};
pub use period::{InvalidPeriod, Period, ReportKind};
pub use render::{Attachment, Report, ReportError, document, render};
pub use shift::{CONFIDENCE, Days, Leaning, Shift, Trend, shift, trend};
pub use source::{Source, Whole};
pub use streams::{PoorStreams, STREAM_BUDGET, TARGET_INTERNAL, TARGET_OVERALL};
pub use tally::{Tally, Target, WorstOf};
pub use tasks::{Done, TASKS, Task, TaskState, calendar};
pub use weekly::{BuildingWeek, SubnetWeek, WeeklyReview};
pub use world::World;
