//! Pictures: series in, SVG (and PNG of it) out. One picture serves the page, the mail and the report.
//!
//! This crate draws what it is given. It refuses to judge, to read a clock or a store, and to hide
//! what is not known: missing is hatched, never drawn as good. Invariants: the same input gives the
//! same bytes; every text is escaped; no inline style and no id, so that pictures may share a
//! document under a strict content security policy; colour never speaks alone (shape, pattern,
//! number or word stands beside it). Colours come from [`stylesheet`], light and dark.

mod day_curve;
mod day_strip;
mod finding_map;
mod hour_map;
mod palette;
mod png;
mod smoke;
mod svg;

pub use day_curve::{DayCurve, Percentiles, Quarter, Unit};
pub use day_strip::{DayMark, DayShape, dated_strip, day_strip};
pub use finding_map::{
    AverageOf, AverageSaid, BusySource, FindingCell, FindingDay, FindingMap, FindingVerdict,
    MAX_DAYS, Share, WorstBusyHour,
};
pub use hour_map::{CELLS, HourMap, Level, MapCell, cell_name, map_words};
pub use palette::{Look, stylesheet};
pub use png::Png;
pub use smoke::{Scatter, Smoke, SmokeSpan, SmokeStep, SpanKind};
pub use svg::Svg;
