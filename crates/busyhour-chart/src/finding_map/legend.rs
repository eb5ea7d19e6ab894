//! What the signs of the picture average.

use super::row::{has_bar, lift};
use super::{BusySource, FindingCell, MARGIN, Row, WORK};
use crate::DayShape;
use crate::day_strip::draw_shape;
use crate::svg::{Anchor, Area, Canvas, Num, hatch, text_width};

const LINE: f64 = 20.0;
const SIGN: f64 = 14.0;

#[derive(Clone, Copy)]
enum Sign {
    Heat(usize),
    Missing,
    Frame(BusySource),
    Work,
    Hours,
    Tick,
    Limit,
    Day(DayShape),
    Words,
}

/// The entries with their places, below the rows.
pub(super) struct Legend {
    entries: Vec<(Sign, String, f64, f64)>,
    height: f64,
}

impl Legend {
    /// The colours always, the rest where it occurs.
    pub(super) fn of(rows: &[Row<'_>], hours: bool, left_out: usize, width: f64) -> Self {
        let shares = ["under 2 % bad", "from 2 %", "from 5 %", "from 15 %", "from 40 %"];
        let mut entries: Vec<_> =
            shares.iter().enumerate().map(|(step, &words)| (Sign::Heat(step), words)).collect();
        if rows.iter().any(|row| row.day.cells.iter().any(FindingCell::is_missing)) {
            entries.push((Sign::Missing, "no data"));
        }
        for (from, words) in [
            (BusySource::Learned, "busy hours, learned from load"),
            (BusySource::Configured, "busy hours, as configured"),
        ] {
            let framed = |row: &Row<'_>| {
                row.day.verdict.is_judged() && row.day.busy_from == from && !row.day.busy.is_empty()
            };
            if rows.iter().any(framed) {
                entries.push((Sign::Frame(from), words));
            }
        }
        if rows.iter().any(|row| !row.day.maintenance.is_empty()) {
            entries.push((Sign::Work, "maintenance"));
        }
        if hours {
            entries.push((Sign::Hours, "hours of the finding"));
        }
        if rows.iter().any(|row| has_bar(row) && row.day.whole.is_some()) {
            entries.push((Sign::Tick, "the whole day"));
        }
        if rows.iter().any(has_bar) {
            entries.push((Sign::Limit, "5 %: no hour is bad below it"));
        }
        for shape in [DayShape::Good, DayShape::PeakBad, DayShape::AllDayBad, DayShape::Unknown] {
            if rows.iter().any(|row| row.day.verdict.shape() == shape) {
                entries.push((Sign::Day(shape), shape.words()));
            }
        }
        let note = format!("{left_out} days before these are not shown");
        if left_out > 0 {
            entries.push((Sign::Words, &note));
        }
        Self::placed(&entries, width)
    }

    fn placed(entries: &[(Sign, &str)], width: f64) -> Self {
        let mut placed = Vec::with_capacity(entries.len());
        let (mut x, mut y) = (MARGIN, 0.0);
        for &(sign, words) in entries {
            let length = SIGN + 6.0 + text_width(words, 11.0);
            if x + length > width - MARGIN && x > MARGIN {
                (x, y) = (MARGIN, y + LINE);
            }
            placed.push((sign, words.to_owned(), x, y));
            x += length + 12.0;
        }
        Self { entries: placed, height: y + LINE }
    }

    pub(super) const fn height(&self) -> f64 {
        self.height
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, top: f64) {
        for (sign, words, x, y) in &self.entries {
            let (x, y) = (*x, top + y);
            draw_sign(canvas, *sign, x, y);
            let indent = if matches!(sign, Sign::Words) { 0.0 } else { SIGN + 6.0 };
            canvas.text(x + indent, y + 11.0, Anchor::Start, "", words);
        }
    }
}

fn draw_sign(canvas: &mut Canvas, sign: Sign, x: f64, y: f64) {
    let area = Area { x, y, width: SIGN, height: SIGN };
    let (left, right, middle) = (Num(x), Num(x + SIGN), Num(x + SIGN / 2.0));
    match sign {
        Sign::Heat(step) => canvas.rect(area, &format!("cell heat-{step}")),
        Sign::Missing => canvas.path(&hatch(area, 5.0), "hatch"),
        Sign::Frame(BusySource::Learned) => canvas.rect(area, "frame days"),
        Sign::Frame(BusySource::Configured) => canvas.rect(area, "frame days configured"),
        Sign::Work => {
            let area = Area { y: y + SIGN - WORK, height: WORK, ..area };
            canvas.rect(area, "work");
        }
        Sign::Hours => {
            canvas.path(&format!("M{left} {}v-5H{right}v5", Num(y + 9.0)), "bracket");
        }
        Sign::Tick => canvas.path(&format!("M{middle} {}v{SIGN}", Num(y)), "tick"),
        Sign::Limit => canvas.path(&format!("M{middle} {}v{SIGN}", Num(y)), "limit"),
        Sign::Day(shape) => draw_shape(canvas, x, y - lift(shape) - 1.0, shape),
        Sign::Words => {}
    }
}
