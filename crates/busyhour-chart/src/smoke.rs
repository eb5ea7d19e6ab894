//! The smoke graph of a path: how widely round trips scatter in each stretch of time, and what was lost beneath.

use std::fmt::Write as _;

use crate::svg::{Anchor, Area, Canvas, Num, hatch, percent};
use crate::{Svg, Unit};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 330.0;
const SMOKE: Area = Area { x: 60.0, y: 34.0, width: 884.0, height: 180.0 };
const LOSS: Area = Area { x: 60.0, y: 228.0, width: 884.0, height: 50.0 };
/// Where what holds for a while is drawn: incidents, then maintenance.
const SPANS_Y: [f64; 2] = [10.0, 20.0];
const SPAN_HEIGHT: f64 = 7.0;
/// Loss from here on fills its strip: what it was exactly is said in words.
const FULL_LOSS: f64 = 0.1;

/// Percentiles of round-trip times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scatter {
    /// The 5th.
    pub p5: f64,
    /// The 25th.
    pub p25: f64,
    /// The median.
    pub p50: f64,
    /// The 75th.
    pub p75: f64,
    /// The 95th.
    pub p95: f64,
}

/// One stretch of time: a quarter-hour or an hour.
#[derive(Debug, Clone, PartialEq)]
pub struct SmokeStep {
    /// When it begins, in words: `Mon 2 March 10:15`.
    pub time: String,
    /// What stands under it at the axis; most have none.
    pub tick: Option<String>,
    /// Round trips; `None` where nothing came back.
    pub scatter: Option<Scatter>,
    /// Share of packets lost, 0..=1; `None` where nothing was sent.
    pub loss: Option<f64>,
    /// Windows that were judged, and the bad ones of them.
    pub windows: (u32, u32),
    /// It has begun; what is still to come is no gap.
    pub passed: bool,
}

/// What holds for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// An incident keeps to these hours.
    Incident,
    /// Maintenance.
    Maintenance,
}

/// Steps that something holds for, half open.
#[derive(Debug, Clone, PartialEq)]
pub struct SmokeSpan {
    /// What.
    pub kind: SpanKind,
    /// The first step.
    pub from: usize,
    /// The first step after.
    pub until: usize,
    /// What it is called.
    pub name: String,
}

/// The graph.
#[derive(Debug, Clone, Copy)]
pub struct Smoke<'a> {
    /// The accessible name.
    pub name: &'a str,
    /// The steps, without holes: a gap is a step in which nothing was observed.
    pub steps: &'a [SmokeStep],
    /// The limit of the round trip, in milliseconds.
    pub limit: Option<f64>,
    /// What holds for a while.
    pub spans: &'a [SmokeSpan],
    /// Steps in which the path changed, and how: ascending.
    pub changes: &'a [(usize, String)],
}

impl SmokeStep {
    /// What can be drawn of it.
    fn scatter(&self) -> Option<Scatter> {
        let finite = |s: &Scatter| [s.p5, s.p25, s.p50, s.p75, s.p95].iter().all(|v| v.is_finite());
        self.scatter.filter(finite)
    }
}

impl Smoke<'_> {
    /// Draws the graph.
    #[must_use]
    pub fn draw(&self) -> Svg {
        let mut canvas = Canvas::new(WIDTH, HEIGHT, "bh-smoke", self.name);
        let scale = Scale::of(self);
        draw_axes(&mut canvas, &scale, self);
        for (from, until) in runs(self.steps, |step| step.passed && step.windows.0 == 0) {
            let (area, name) = (scale.columns(SMOKE, from, until), self.gap(from, until));
            canvas.named_rect(area, "unknown", &name);
            canvas.path(&hatch(area, 9.0), "hatch");
            let below = scale.columns(LOSS, from, until);
            canvas.rect(below, "unknown");
            canvas.path(&hatch(below, 9.0), "hatch");
        }
        for (from, until) in runs(self.steps, |step| step.scatter().is_some()) {
            draw_scatter(&mut canvas, &scale, from, &self.steps[from..until]);
        }
        draw_loss(&mut canvas, &scale, self.steps);
        self.draw_limit(&mut canvas, &scale);
        self.draw_spans(&mut canvas, &scale);
        self.draw_changes(&mut canvas, &scale);
        for (at, step) in self.steps.iter().enumerate().filter(|(_, step)| step.windows.0 > 0) {
            let area =
                Area { height: LOSS.y + LOSS.height - SMOKE.y, ..scale.columns(SMOKE, at, at + 1) };
            canvas.named_rect(area, "hit", &words(step));
        }
        let legend = "line: median · strong smoke: 25th to 75th · pale smoke: 5th to 95th percentile of round trips · \
                      bars: loss · ▼ the path changed · hatched: no data";
        canvas.text(SMOKE.x, HEIGHT - 4.0, Anchor::Start, "faint", legend);
        canvas.finish()
    }

    fn gap(&self, from: usize, until: usize) -> String {
        let time = |at: usize| self.steps.get(at).map(|step| step.time.as_str());
        match (time(from), time(until)) {
            (Some(from), Some(until)) => format!("{from} to {until}: no data"),
            (Some(from), None) => format!("from {from} on: no data"),
            _ => "no data".to_owned(),
        }
    }

    fn draw_limit(&self, canvas: &mut Canvas, scale: &Scale) {
        let Some(limit) = self.limit else { return };
        let y = scale.y(limit);
        canvas.path(&format!("M{} {}h{}", Num(SMOKE.x), Num(y), Num(SMOKE.width)), "limit");
        let words = format!("limit {}", Unit::Milliseconds.words(limit));
        canvas.text(SMOKE.x + SMOKE.width - 4.0, y - 5.0, Anchor::End, "halo", &words);
    }

    fn draw_spans(&self, canvas: &mut Canvas, scale: &Scale) {
        for span in self.spans.iter().filter(|span| span.from < span.until) {
            let (y, class) = match span.kind {
                SpanKind::Incident => (SPANS_Y[0], "bad"),
                SpanKind::Maintenance => (SPANS_Y[1], "some"),
            };
            let across = scale.columns(SMOKE, span.from, span.until.min(self.steps.len()));
            canvas.named_rect(Area { y, height: SPAN_HEIGHT, ..across }, class, &span.name);
        }
    }

    fn draw_changes(&self, canvas: &mut Canvas, scale: &Scale) {
        for (at, what) in self.changes {
            let (x, top) = (scale.x(*at), SMOKE.y - 2.0);
            let bottom = LOSS.y + LOSS.height;
            canvas.path(&format!("M{} {}V{}", Num(x), Num(top), Num(bottom)), "change");
            let mark = format!("M{} {}h10l-5 9Z", Num(x - 5.0), Num(top - 7.0));
            canvas.named_path(&mark, "mark", what);
        }
    }
}

/// Where values and steps lie.
struct Scale {
    top: f64,
    step: f64,
    steps: usize,
}

impl Scale {
    fn of(smoke: &Smoke<'_>) -> Self {
        let scatters = smoke.steps.iter().filter_map(SmokeStep::scatter);
        let highest = scatters
            .map(|scatter| scatter.p95)
            .chain(smoke.limit.map(|limit| limit * 1.1))
            .filter(|value| value.is_finite())
            .fold(0.0, f64::max);
        let step = crate::day_curve::nice_step(if highest > 0.0 { highest } else { 1.0 });
        let top = (highest / step).ceil().max(1.0) * step;
        Self { top, step, steps: smoke.steps.len().max(1) }
    }

    fn x(&self, at: usize) -> f64 {
        SMOKE.x + SMOKE.width * at as f64 / self.steps as f64
    }

    fn y(&self, value: f64) -> f64 {
        SMOKE.y + SMOKE.height * (1.0 - (value / self.top).clamp(0.0, 1.0))
    }

    fn columns(&self, area: Area, from: usize, until: usize) -> Area {
        let x = self.x(from);
        Area { x, width: self.x(until) - x, ..area }
    }
}

/// Maximal runs of steps that `belong`, half open.
fn runs(steps: &[SmokeStep], belong: impl Fn(&SmokeStep) -> bool) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (at, _) in steps.iter().enumerate().filter(|(_, step)| belong(step)) {
        match runs.last_mut() {
            Some((_, until)) if *until == at => *until += 1,
            _ => runs.push((at, at + 1)),
        }
    }
    runs
}

fn draw_axes(canvas: &mut Canvas, scale: &Scale, smoke: &Smoke<'_>) {
    let mut value = 0.0;
    while value <= scale.top + scale.step / 2.0 {
        let y = scale.y(value);
        let line = format!("M{} {}h{}", Num(SMOKE.x), Num(y), Num(SMOKE.width));
        canvas.path(&line, if value == 0.0 { "axis" } else { "grid" });
        let words = Unit::Milliseconds.tick(value, scale.step);
        canvas.text(SMOKE.x - 6.0, y + 4.0, Anchor::End, "faint", &words);
        value += scale.step;
    }
    let bottom = LOSS.y + LOSS.height;
    canvas.path(&format!("M{} {}h{}", Num(LOSS.x), Num(bottom), Num(LOSS.width)), "axis");
    canvas.text(LOSS.x - 6.0, LOSS.y + 10.0, Anchor::End, "faint", "≥ 10 %");
    canvas.text(LOSS.x - 6.0, bottom, Anchor::End, "faint", "loss 0");
    for (at, step) in smoke.steps.iter().enumerate() {
        let Some(tick) = &step.tick else { continue };
        let x = scale.x(at);
        canvas.path(&format!("M{} {}v6", Num(x), Num(bottom)), "axis");
        canvas.text(x, bottom + 18.0, Anchor::Middle, "faint", tick);
    }
}

/// The smoke of one run without gaps. A step is flat: nothing is known inside it.
fn draw_scatter(canvas: &mut Canvas, scale: &Scale, first: usize, run: &[SmokeStep]) {
    let scatters: Vec<Scatter> = run.iter().filter_map(SmokeStep::scatter).collect();
    let line = |value: fn(&Scatter) -> f64| -> Vec<(f64, f64, f64)> {
        let place = |(n, s)| (scale.x(first + n), scale.x(first + n + 1), scale.y(value(s)));
        scatters.iter().enumerate().map(place).collect()
    };
    let band = crate::day_curve::band;
    canvas.path(&band(&line(|s| s.p5), &line(|s| s.p95)), "band-99");
    canvas.path(&band(&line(|s| s.p25), &line(|s| s.p75)), "band-90");
    canvas.path(&crate::day_curve::stairs(&line(|s| s.p50), 'M'), "median");
}

/// Loss as bars from the bottom: how high says how much, so that colour never speaks alone.
fn draw_loss(canvas: &mut Canvas, scale: &Scale, steps: &[SmokeStep]) {
    let mut bars = String::new();
    for (at, step) in steps.iter().enumerate() {
        let Some(loss) = step.loss.filter(|loss| *loss > 0.0) else { continue };
        // What is not nothing is seen.
        let height = (loss / FULL_LOSS).clamp(0.0, 1.0) * (LOSS.height - 1.0) + 1.0;
        let (from, until) = (scale.x(at), scale.x(at + 1));
        let bottom = LOSS.y + LOSS.height;
        write!(
            bars,
            "M{} {}h{}v{}h-{}z",
            Num(from),
            Num(bottom),
            Num(until - from),
            Num(-height),
            Num(until - from)
        )
        .expect("writing to a String cannot fail");
    }
    if !bars.is_empty() {
        canvas.path(&bars, "bad");
    }
}

fn words(step: &SmokeStep) -> String {
    let unit = |value| Unit::Milliseconds.words(value);
    let scatter = step.scatter().map_or_else(
        || "nothing came back".to_owned(),
        |s| format!("median {}, from {} to {}", unit(s.p50), unit(s.p5), unit(s.p95)),
    );
    let loss = step
        .loss
        .map_or_else(|| "loss not known".to_owned(), |loss| format!("{} lost", percent(loss)));
    let (valid, bad) = step.windows;
    format!("{}: {scatter}, {loss}; {bad} of {valid} windows bad", step.time)
}
