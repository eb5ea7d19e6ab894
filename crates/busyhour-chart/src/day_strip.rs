//! The strip of recent days: one mark a day, told apart by shape and place as well as colour.

use jiff::civil::Date;

use crate::Svg;
use crate::svg::{Area, Canvas, Num, hatch};

const STEP: f64 = 14.0;
const HEIGHT: f64 = 20.0;

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
    let width = STEP * days.len().max(1) as f64 + 2.0;
    let mut canvas = Canvas::new(width, HEIGHT, "bh-strip", name);
    for (position, day) in days.iter().enumerate() {
        draw_day(&mut canvas, 1.0 + STEP * position as f64, day);
    }
    canvas.finish()
}

fn draw_day(canvas: &mut Canvas, left: f64, day: &DayMark) {
    let mut name = format!("{}: {}", day.date, day.shape.words());
    if !day.note.is_empty() {
        name = format!("{name}, {}", day.note);
    }
    let middle = Num(left + STEP / 2.0);
    match day.shape {
        DayShape::Good => {
            let from = Num(left + STEP / 2.0 - 3.0);
            let circle = format!("M{from} 14a3 3 0 1 0 6 0a3 3 0 1 0 -6 0Z");
            canvas.named_path(&circle, "mark good", &name);
        }
        DayShape::PeakBad => {
            let (from, until) = (Num(left + 1.0), Num(left + STEP - 1.0));
            let triangle = format!("M{from} 18L{middle} 2L{until} 18Z");
            canvas.named_path(&triangle, "mark bad", &name);
        }
        DayShape::AllDayBad => {
            let area = Area { x: left + 1.0, y: 2.0, width: STEP - 2.0, height: 16.0 };
            canvas.named_rect(area, "mark bad", &name);
        }
        DayShape::Unknown => {
            let area = Area { x: left + 2.0, y: 9.0, width: STEP - 4.0, height: 9.0 };
            canvas.named_rect(area, "mark unknown", &name);
            canvas.path(&hatch(area, 5.0), "hatch");
        }
        DayShape::Closed => {
            let (from, until) = (Num(left + 4.0), Num(left + STEP - 4.0));
            canvas.named_path(&format!("M{from} 17.5H{until}"), "axis", &name);
        }
    }
}
