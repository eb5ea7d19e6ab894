//! The strip of recent days: one mark a day, told apart by shape and place as well as colour.

use jiff::civil::Date;

use crate::Svg;
use crate::svg::{Anchor, Area, Canvas, Num, hatch};

const STEP: f64 = 14.0;
const HEIGHT: f64 = 20.0;
/// Room for the dates under a strip that stands alone.
const DATES_HEIGHT: f64 = 14.0;

/// What a day looks like in the strip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayShape {
    /// A low filled circle.
    Good,
    /// A triangle pointing up: a peak.
    PeakBad,
    /// A full block: bad all day.
    AllDayBad,
    /// A hatched box.
    Unknown,
    /// A dash: nobody works, nothing is judged.
    Closed,
}

impl DayShape {
    /// The words for it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::PeakBad => "bad at a busy hour",
            Self::AllDayBad => "bad all day",
            Self::Unknown => "unknown",
            Self::Closed => "not a business day",
        }
    }
}

/// One day of the strip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayMark {
    /// The building's local date.
    pub date: Date,
    /// How it was.
    pub shape: DayShape,
    /// More to say of it, such as that the average hides it; may be empty.
    pub note: String,
}

/// Draws the days in the order given (oldest first), each with an accessible name such as
/// `2026-03-02: bad at a busy hour, hidden by the daily average`.
#[must_use]
pub fn day_strip(name: &str, days: &[DayMark]) -> Svg {
    let mut canvas = Canvas::new(width(days), HEIGHT, "bh-strip", name);
    draw_days(&mut canvas, days);
    canvas.finish()
}

/// The same for who sees nothing else: its first and its last date stand under it.
#[must_use]
pub fn dated_strip(name: &str, days: &[DayMark]) -> Svg {
    let width = width(days);
    let mut canvas = Canvas::new(width, HEIGHT + DATES_HEIGHT, "bh-dated", name);
    draw_days(&mut canvas, days);
    let ends = [(days.first(), 1.0, Anchor::Start), (days.last(), width - 1.0, Anchor::End)];
    for (day, x, anchor) in ends {
        if let Some(day) = day {
            let date = day.date.to_string();
            canvas.text(x, HEIGHT + DATES_HEIGHT - 3.0, anchor, "", &date);
        }
    }
    canvas.finish()
}

fn width(days: &[DayMark]) -> f64 {
    STEP * days.len().max(1) as f64 + 2.0
}

fn draw_days(canvas: &mut Canvas, days: &[DayMark]) {
    for (position, day) in days.iter().enumerate() {
        draw_day(canvas, 1.0 + STEP * position as f64, day);
    }
}

fn draw_day(canvas: &mut Canvas, left: f64, day: &DayMark) {
    let mut name = format!("{}: {}", day.date, day.shape.words());
    if !day.note.is_empty() {
        name = format!("{name}, {}", day.note);
    }
    canvas.named_path(&outline(day.shape, left, 0.0), class(day.shape), &name);
    if day.shape == DayShape::Unknown {
        canvas.path(&hatch(unknown_box(left, 0.0), 5.0), "hatch");
    }
}

/// Draws the mark of a day into a box of 14 × 20, without a name.
pub(crate) fn draw_shape(canvas: &mut Canvas, left: f64, top: f64, shape: DayShape) {
    canvas.path(&outline(shape, left, top), class(shape));
    if shape == DayShape::Unknown {
        canvas.path(&hatch(unknown_box(left, top), 5.0), "hatch");
    }
}

fn outline(shape: DayShape, left: f64, top: f64) -> String {
    let (x, y) = (|x: f64| Num(left + x), |y: f64| Num(top + y));
    match shape {
        DayShape::Good => {
            format!("M{} {}a3 3 0 1 0 6 0a3 3 0 1 0 -6 0Z", x(STEP / 2.0 - 3.0), y(14.0))
        }
        DayShape::PeakBad => {
            let (tip, foot) = (y(2.0), y(18.0));
            format!("M{} {foot}L{} {tip}L{} {foot}Z", x(1.0), x(STEP / 2.0), x(STEP - 1.0))
        }
        DayShape::AllDayBad => format!("M{} {}h{}v16h-{}Z", x(1.0), y(2.0), STEP - 2.0, STEP - 2.0),
        DayShape::Unknown => {
            let Area { x, y, width, height } = unknown_box(left, top);
            format!("M{} {}h{width}v{height}h-{width}Z", Num(x), Num(y))
        }
        DayShape::Closed => format!("M{} {}H{}", x(4.0), y(17.5), x(STEP - 4.0)),
    }
}

const fn class(shape: DayShape) -> &'static str {
    match shape {
        DayShape::Good => "mark good",
        DayShape::PeakBad | DayShape::AllDayBad => "mark bad",
        DayShape::Unknown => "mark unknown",
        DayShape::Closed => "axis",
    }
}

const fn unknown_box(left: f64, top: f64) -> Area {
    Area { x: left + 2.0, y: top + 9.0, width: STEP - 4.0, height: 9.0 }
}
