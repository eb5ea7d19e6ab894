//! The curve of one day: percentile bands per quarter-hour, and the flat line that hides them.

use std::fmt::Write as _;

use crate::Svg;
use crate::svg::{Anchor, Area, Canvas, Num, hatch};

const WIDTH: f64 = 764.0;
const HEIGHT: f64 = 240.0;
const PLOT: Area = Area { x: 52.0, y: 20.0, width: 700.0, height: 180.0 };
/// Quarters from one label of the time axis to the next.
const LABEL_EVERY: usize = 8;

/// The unit of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Percent.
    Percent,
    /// Milliseconds.
    Milliseconds,
}

impl Unit {
    /// A value with its unit, in three significant figures or so: `0.31 %`, `12.5 ms`, `140 ms`.
    #[must_use]
    pub fn words(self, value: f64) -> String {
        let unit = self.symbol();
        let decimals = match value.abs() {
            v if v == 0.0 || v >= 99.95 => 0,
            v if v >= 9.995 => 1,
            _ => 2,
        };
        format!("{value:.decimals$} {unit}")
    }

    /// A value on an axis with steps of `step`: as many decimals as the step has.
    pub(crate) fn tick(self, value: f64, step: f64) -> String {
        let decimals = if step < 1.0 { (-step.log10()).ceil().clamp(0.0, 6.0) as usize } else { 0 };
        format!("{value:.decimals$} {}", self.symbol())
    }

    const fn symbol(self) -> &'static str {
        match self {
            Self::Percent => "%",
            Self::Milliseconds => "ms",
        }
    }
}

/// Percentiles of one quarter-hour, in the curve's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percentiles {
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 99th percentile.
    pub p99: f64,
}

/// One quarter-hour of the day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quarter {
    /// The local minute of the day (0..1440) at which it begins. When clocks change, minutes
    /// repeat or are left out.
    pub minute: u16,
    /// What was observed; `None` is a gap.
    pub percentiles: Option<Percentiles>,
    /// It lies in busy hours.
    pub business: bool,
    /// It belongs to an hour that was found bad.
    pub bad: bool,
    /// It has begun; what is still to come is no gap.
    pub passed: bool,
}

impl Quarter {
    /// The local time it begins at: `09:15`.
    #[must_use]
    pub fn time(&self) -> String {
        format!("{:02}:{:02}", self.minute / 60, self.minute % 60)
    }
}

/// The curve of one local day.
#[derive(Debug, Clone, Copy)]
pub struct DayCurve<'a> {
    /// The accessible name.
    pub name: &'a str,
    /// What the values are in.
    pub unit: Unit,
    /// The quarter-hours as they passed: 92, 96 or 100 of them.
    pub quarters: &'a [Quarter],
    /// The plain daily average.
    pub average: Option<f64>,
    /// The limit.
    pub limit: Option<f64>,
}

impl DayCurve<'_> {
    /// Draws the curve.
    #[must_use]
    pub fn draw(&self) -> Svg {
        let mut canvas = Canvas::new(WIDTH, HEIGHT, "bh-curve", self.name);
        let scale = Scale::of(self);
        for (from, until) in runs(self.quarters, |quarter| quarter.business) {
            canvas.rect(scale.columns(from, until), "office");
        }
        draw_axes(&mut canvas, &scale, self);
        for (from, until) in runs(self.quarters, |q| q.passed && q.percentiles.is_none()) {
            let area = scale.columns(from, until);
            let name = format!("{}–{}: no data", self.time(from), self.time(until));
            canvas.named_rect(area, "unknown", &name);
            canvas.path(&hatch(area, 9.0), "hatch");
        }
        for (from, until) in runs(self.quarters, |quarter| quarter.percentiles.is_some()) {
            draw_bands(&mut canvas, &scale, from, &self.quarters[from..until]);
        }
        draw_lines(&mut canvas, &scale, self);
        for (position, quarter) in self.quarters.iter().enumerate() {
            if quarter.bad {
                let (x, y) = (scale.x(position), PLOT.y + PLOT.height + 1.0);
                let width = scale.x(position + 1) - x;
                let data = format!(
                    "M{} {}l{} -6l{} 6Z",
                    Num(x),
                    Num(y + 6.0),
                    Num(width / 2.0),
                    Num(width / 2.0)
                );
                canvas.path(&data, "bad");
            }
            if let Some(values) = &quarter.percentiles {
                let name = format!("{}: {}", quarter.time(), self.words(values, quarter.bad));
                canvas.named_rect(scale.columns(position, position + 1), "hit", &name);
            }
        }
        canvas.finish()
    }

    fn words(&self, values: &Percentiles, bad: bool) -> String {
        let words = |value| self.unit.words(value);
        let (p50, p90, p99) = (words(values.p50), words(values.p90), words(values.p99));
        let bad = if bad { ", in a bad hour" } else { "" };
        format!("median {p50}, 90th percentile {p90}, 99th percentile {p99}{bad}")
    }

    fn time(&self, position: usize) -> String {
        self.quarters.get(position).map_or_else(|| "24:00".to_owned(), Quarter::time)
    }
}

/// Where values and quarters lie.
struct Scale {
    top: f64,
    step: f64,
    quarters: usize,
}

impl Scale {
    fn of(curve: &DayCurve<'_>) -> Self {
        let values = curve.quarters.iter().filter_map(|quarter| quarter.percentiles);
        let highest = values
            .map(|p| p.p99)
            .chain(curve.average)
            .chain(curve.limit.map(|limit| limit * 1.2))
            .filter(|value| value.is_finite())
            .fold(0.0, f64::max);
        let step = nice_step(if highest > 0.0 { highest } else { 1.0 });
        let top = (highest / step).ceil().max(1.0) * step;
        Self { top, step, quarters: curve.quarters.len().max(1) }
    }

    fn x(&self, position: usize) -> f64 {
        PLOT.x + PLOT.width * position as f64 / self.quarters as f64
    }

    fn y(&self, value: f64) -> f64 {
        PLOT.y + PLOT.height * (1.0 - (value / self.top).clamp(0.0, 1.0))
    }

    fn columns(&self, from: usize, until: usize) -> Area {
        let x = self.x(from);
        Area { x, y: PLOT.y, width: self.x(until) - x, height: PLOT.height }
    }
}

/// 1, 2 or 5 times a power of ten, so that about four steps reach `highest`.
pub(crate) fn nice_step(highest: f64) -> f64 {
    let rough = highest / 4.0;
    let magnitude = 10f64.powf(rough.log10().floor());
    let multiple = [1.0, 2.0, 5.0].into_iter().find(|m| m * magnitude >= rough).unwrap_or(10.0);
    multiple * magnitude
}

/// Maximal runs of quarters that `belong`, half open.
fn runs(quarters: &[Quarter], belong: impl Fn(&Quarter) -> bool) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (position, _) in quarters.iter().enumerate().filter(|(_, quarter)| belong(quarter)) {
        match runs.last_mut() {
            Some((_, until)) if *until == position => *until += 1,
            _ => runs.push((position, position + 1)),
        }
    }
    runs
}

fn draw_axes(canvas: &mut Canvas, scale: &Scale, curve: &DayCurve<'_>) {
    let mut tick = 0.0;
    while tick <= scale.top + scale.step / 2.0 {
        let y = scale.y(tick);
        let line = format!("M{} {}h{}", Num(PLOT.x), Num(y), Num(PLOT.width));
        canvas.path(&line, if tick == 0.0 { "axis" } else { "grid" });
        canvas.text(
            PLOT.x - 6.0,
            y + 4.0,
            Anchor::End,
            "faint",
            &curve.unit.tick(tick, scale.step),
        );
        tick += scale.step;
    }
    let bottom = PLOT.y + PLOT.height;
    for (position, quarter) in curve.quarters.iter().enumerate().step_by(LABEL_EVERY) {
        let x = scale.x(position);
        canvas.path(&format!("M{} {}v8", Num(x), Num(bottom)), "axis");
        canvas.text(x, bottom + 20.0, Anchor::Middle, "faint", &quarter.time());
    }
}

/// The bands of one run without gaps. A quarter-hour is flat: nothing is known inside it.
fn draw_bands(canvas: &mut Canvas, scale: &Scale, first: usize, run: &[Quarter]) {
    let values: Vec<Percentiles> = run.iter().filter_map(|quarter| quarter.percentiles).collect();
    let steps = |value: fn(&Percentiles) -> f64| -> Vec<(f64, f64, f64)> {
        let place = |(n, p)| (scale.x(first + n), scale.x(first + n + 1), scale.y(value(p)));
        values.iter().enumerate().map(place).collect()
    };
    let (p50, p90, p99) = (steps(|p| p.p50), steps(|p| p.p90), steps(|p| p.p99));
    canvas.path(&band(&p90, &p99), "band-99");
    canvas.path(&band(&p50, &p90), "band-90");
    canvas.path(&stairs(&p50, 'M'), "median");
}

/// The closed shape between two flights of stairs.
pub(crate) fn band(lower: &[(f64, f64, f64)], upper: &[(f64, f64, f64)]) -> String {
    let back: Vec<_> = lower.iter().rev().map(|&(from, until, y)| (until, from, y)).collect();
    stairs(upper, 'M') + &stairs(&back, 'L') + "Z"
}

pub(crate) fn stairs(steps: &[(f64, f64, f64)], begin: char) -> String {
    let mut data = String::new();
    for (n, &(from, until, y)) in steps.iter().enumerate() {
        let command = if n == 0 { begin } else { 'L' };
        write!(data, "{command}{} {}H{}", Num(from), Num(y), Num(until))
            .expect("writing to a String cannot fail");
    }
    data
}

fn draw_lines(canvas: &mut Canvas, scale: &Scale, curve: &DayCurve<'_>) {
    let across = |y: f64| format!("M{} {}h{}", Num(PLOT.x), Num(y), Num(PLOT.width));
    if let Some(limit) = curve.limit {
        let y = scale.y(limit);
        canvas.path(&across(y), "limit");
        let words = format!("limit {}", curve.unit.words(limit));
        canvas.text(PLOT.x + PLOT.width - 4.0, y - 5.0, Anchor::End, "halo", &words);
    }
    if let Some(average) = curve.average {
        let y = scale.y(average);
        let words = format!("daily average {}", curve.unit.words(average));
        canvas.named_path(&across(y), "average", &words);
        canvas.text(PLOT.x + 6.0, y - 6.0, Anchor::Start, "halo strong", &words);
    }
    let words = "line: median · strong band: to the 90th percentile · pale band: to the 99th · \
                 ▲ bad hour · hatched: no data";
    canvas.text(PLOT.x, HEIGHT - 4.0, Anchor::Start, "faint", words);
}
