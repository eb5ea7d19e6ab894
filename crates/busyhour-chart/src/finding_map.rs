//! The picture of a finding: working days × quarter-hours, the busy hours framed, what is missing
//! hatched; and beside each day its worst busy hour with the whole day as a tick, which is all of
//! the argument against averages.

mod day;
mod legend;
mod row;

use crate::Svg;
use crate::svg::{Anchor, Area, Canvas, Num, fit};

pub use day::{
    AverageOf, AverageSaid, BusySource, FindingCell, FindingDay, FindingVerdict, Share,
    WorstBusyHour,
};

/// The days a picture shows at most; of more it shows the newest and says so.
pub const MAX_DAYS: usize = 15;
/// A finding's stretches of hours come no nearer to each other than an hour, so there are no more.
const MAX_STRETCHES: usize = 24;
/// Blocks of busy hours that are framed on one day. Gaps up to 90 minutes are closed: there are
/// fewer.
const MAX_BLOCKS: usize = 8;
/// A day has 96 quarter-hours by the clock on the wall.
const COLUMNS: usize = 96;

const LEFT: f64 = 102.0;
const TOP: f64 = 72.0;
const CELL: f64 = 5.0;
const ROW: f64 = 16.0;
/// How high the band of maintenance is.
const WORK: f64 = 4.0;
/// From one row to the next, when the dates follow each other.
const PITCH: f64 = 18.0;
/// More, where days between them are left out.
const GAP: f64 = 5.0;
const PLOT: f64 = CELL * COLUMNS as f64;
const BARS: f64 = LEFT + PLOT + 16.0;
const BAR: f64 = 110.0;
/// Where the figures beside the bars end.
const FIGURES: f64 = BARS + BAR + 44.0;
const AVERAGES: f64 = FIGURES + 14.0;
/// The room for a daily average.
const AVERAGE: f64 = 162.0;
const MARGIN: f64 = 8.0;

/// The picture of a finding.
#[derive(Debug, Clone, Copy)]
pub struct FindingMap<'a> {
    /// What suffers: `Building 25, Wi-Fi`. Cut when it does not fit.
    pub place: &'a str,
    /// The time zone whose clock the picture shows.
    pub zone: &'a str,
    /// The hours that the finding keeps to, as minutes of the day, half open.
    pub hours: &'a [(u16, u16)],
    /// Its days, ascending; at most [`MAX_DAYS`] are shown, the newest.
    pub days: &'a [FindingDay],
}

/// A day with the place of its row.
struct Row<'a> {
    day: &'a FindingDay,
    y: f64,
}

impl FindingMap<'_> {
    /// Draws the picture.
    #[must_use]
    pub fn draw(&self) -> Svg {
        let shown = self.days.len().min(MAX_DAYS);
        let left_out = self.days.len() - shown;
        let rows = rows(&self.days[left_out..]);
        let bottom = rows.last().map_or(TOP, |row| row.y + ROW);
        let averages = Averages::of(&rows);
        let width = if averages.is_some() { AVERAGES + AVERAGE } else { FIGURES } + MARGIN;
        let hours = spans(self.hours, MAX_STRETCHES);
        let legend = legend::Legend::of(&rows, !hours.is_empty(), left_out, width);

        let name = format!("{}: bad windows by quarter-hour, {shown} days", name(self.place));
        let height = bottom + 14.0 + legend.height();
        let mut canvas = Canvas::new(width, height, "bh-finding", &name);
        canvas.describe(&self.words());
        self.draw_head(&mut canvas, &hours, width);
        let scale = row::BarScale::of(&rows);
        draw_axes(&mut canvas, &scale, averages.as_ref(), bottom);
        row::draw_limit(&mut canvas, &rows, &scale);
        for row in &rows {
            row::draw(&mut canvas, row, &scale, averages.as_ref());
        }
        row::draw_ticks(&mut canvas, &rows, &scale);
        draw_frames(&mut canvas, &rows);
        draw_hours(&mut canvas, &hours, bottom);
        legend.draw(&mut canvas, bottom + 14.0);
        canvas.finish()
    }

    /// Everything that the picture says, for those who do not see it; what each quarter-hour was is
    /// said by its own title.
    #[must_use]
    pub fn words(&self) -> String {
        let left_out = self.days.len() - self.days.len().min(MAX_DAYS);
        let (rows, hours) = (rows(&self.days[left_out..]), spans(self.hours, MAX_STRETCHES));
        let mut text = match (rows.first(), rows.last()) {
            (Some(first), Some(last)) => format!("From {} to {}", first.day.date, last.day.date),
            _ => "No days to show".to_owned(),
        };
        text += &format!(", local time of {}.", name(self.zone));
        if left_out > 0 {
            text += &format!(" {left_out} days before that are not shown.");
        }
        if !hours.is_empty() {
            text += &format!(" The finding keeps to {}.", spans_words(&hours));
        }
        let count = |holds: fn(&FindingVerdict) -> bool| {
            rows.iter().filter(|row| holds(&row.day.verdict)).count()
        };
        let (bad, observed) = (count(|v| v.is_bad()), count(|v| v.is_observed()));
        text += &format!(" Bad on {bad} of {observed} observed working days");
        match count(|v| v.is_judged()) - observed {
            0 => text + ".",
            missing => text + &format!("; not observed on {missing}."),
        }
    }

    fn draw_head(&self, canvas: &mut Canvas, hours: &[(u16, u16)], width: f64) {
        let year = self.days.last().map(|day| format!("{}, ", day.date.year()));
        let zone = format!("{}times of {}", year.unwrap_or_default(), self.zone);
        let room = 240.0;
        let area = Area { x: width - MARGIN - room, y: 2.0, width: room, height: 20.0 };
        canvas.outside_text(area, Anchor::End, "faint", &fit(&zone, 11.0, room));
        let room = width - 3.0 * MARGIN - room;
        let area = Area { x: MARGIN, y: 2.0, width: room, height: 20.0 };
        // Bold letters are wider.
        canvas.outside_text(area, Anchor::Start, "head", &fit(self.place, 15.5, room));
        let mut words = "share of bad windows in each quarter-hour".to_owned();
        if !hours.is_empty() {
            words += &format!("; the finding keeps to {}", spans_words(hours));
        }
        let words = fit(&words, 11.0, BARS - 20.0);
        canvas.text(MARGIN, 36.0, Anchor::Start, "faint", &words);
    }
}

/// A name of a reasonable length, for whoever hears it.
fn name(name: &str) -> String {
    fit(name, 1.0, 150.0)
}

/// What is common to the daily averages.
struct Averages {
    /// All are of the same and against the same limit, which the head then says.
    head: Option<String>,
}

impl Averages {
    fn of(rows: &[Row<'_>]) -> Option<Self> {
        let mut words = rows.iter().filter_map(|row| Some(row.day.known_average()?.limit_words()));
        let first = words.next()?;
        let head = words.all(|other| other == first).then_some(first);
        Some(Self { head })
    }
}

fn rows(days: &[FindingDay]) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::with_capacity(days.len());
    for day in days {
        let y = rows.last().map_or(TOP, |row| {
            let gap = if row.day.date.tomorrow().ok() == Some(day.date) { 0.0 } else { GAP };
            row.y + PITCH + gap
        });
        rows.push(Row { day, y });
    }
    rows
}

/// The spans that can be drawn: within the day, not empty, and not too many.
fn spans(spans: &[(u16, u16)], at_most: usize) -> Vec<(u16, u16)> {
    let within = spans.iter().map(|&(from, until)| (from, until.min(1440)));
    within.filter(|(from, until)| from < until).take(at_most).collect()
}

fn spans_words(spans: &[(u16, u16)]) -> String {
    let words: Vec<_> =
        spans.iter().map(|&(from, until)| format!("{}–{}", clock(from), clock(until))).collect();
    words.join(", ")
}

/// A minute of the day on the clock: `09:15`.
fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// Where a minute of the day lies.
fn at(minute: u16) -> f64 {
    LEFT + PLOT * f64::from(minute) / 1440.0
}

fn draw_axes(canvas: &mut Canvas, scale: &row::BarScale, averages: Option<&Averages>, bottom: f64) {
    for hour in (0..=24u16).step_by(2) {
        let x = at(hour * 60);
        canvas.text(x, TOP - 12.0, Anchor::Middle, "faint", &format!("{hour:02}"));
        canvas.path(&format!("M{} {}V{}", Num(x), Num(TOP - 4.0), Num(bottom)), "grid");
    }
    canvas.text(BARS, TOP - 28.0, Anchor::Start, "", "worst busy hour");
    canvas.text(BARS, TOP - 12.0, Anchor::Start, "faint", "0");
    canvas.text(BARS + BAR, TOP - 12.0, Anchor::End, "faint", &scale.top_words());
    if let Some(averages) = averages {
        canvas.text(AVERAGES, TOP - 28.0, Anchor::Start, "", "daily average");
        if let Some(head) = &averages.head {
            canvas.text(AVERAGES, TOP - 12.0, Anchor::Start, "faint", &fit(head, 11.0, AVERAGE));
        }
    }
}

/// A frame around each block of busy hours; neighbouring days with the same hours share it.
fn draw_frames(canvas: &mut Canvas, rows: &[Row<'_>]) {
    let alike = |a: &Row<'_>, b: &Row<'_>| {
        b.y - a.y <= PITCH
            && (&a.day.busy, a.day.busy_from) == (&b.day.busy, b.day.busy_from)
            && a.day.verdict.is_judged() == b.day.verdict.is_judged()
    };
    let (mut learned, mut configured) = (String::new(), String::new());
    for block in rows.chunk_by(alike) {
        let (Some(first), Some(last)) = (block.first(), block.last()) else { continue };
        if !first.day.verdict.is_judged() {
            continue;
        }
        let outlines = match first.day.busy_from {
            BusySource::Learned => &mut learned,
            BusySource::Configured => &mut configured,
        };
        for (from, until) in spans(&first.day.busy, MAX_BLOCKS) {
            let (x, y) = (at(from), first.y - 1.0);
            let area = Area { x, y, width: at(until) - x, height: last.y + ROW + 1.0 - y };
            *outlines += &area.outline();
        }
    }
    for (outlines, class) in [(learned, "frame days"), (configured, "frame days configured")] {
        if !outlines.is_empty() {
            canvas.path(&outlines, "days-halo");
            canvas.path(&outlines, class);
        }
    }
}

/// Brackets above and below the hours that the finding keeps to.
fn draw_hours(canvas: &mut Canvas, hours: &[(u16, u16)], bottom: f64) {
    for &(from, until) in hours {
        let (left, right) = (Num(at(from)), Num(at(until)));
        let (high, low) = (TOP - 3.0, bottom + 3.0);
        let sides =
            format!("M{left} {}V{}M{right} {}V{}", Num(high), Num(low), Num(high), Num(low));
        canvas.path(&sides, "hours");
        let brackets =
            format!("M{left} {}v-5H{right}v5M{left} {}v5H{right}v-5", Num(high), Num(low));
        canvas.path(&brackets, "bracket");
    }
}
