//! One day of the picture.

use std::fmt::Write as _;

use jiff::civil::{Date, Weekday};

use super::day::STEPS;
use super::{
    AVERAGE, AVERAGES, AverageSaid, Averages, BAR, BARS, CELL, COLUMNS, FIGURES, FindingCell,
    FindingDay, LEFT, MARGIN, MAX_BLOCKS, ROW, Row, Share, WORK, at, clock, spans, spans_words,
};
use crate::DayShape;
use crate::day_strip::draw_shape;
use crate::svg::{Anchor, Area, Canvas, Num, fit, percent};

/// Quarter-hours in an hour.
const AN_HOUR: usize = 4;
/// Where the bars may end, as percentages.
const TOPS: [u32; 4] = [10, 25, 50, 100];

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// What the bars are measured by.
pub(super) struct BarScale {
    top_percent: u32,
}

impl BarScale {
    pub(super) fn of(rows: &[Row<'_>]) -> Self {
        let worst = rows.iter().filter_map(|row| row.day.worst?.seen.ratio());
        let whole = rows.iter().filter_map(|row| row.day.whole?.ratio());
        let highest = worst.chain(whole).fold(0.0, f64::max) * 100.0;
        let top = TOPS.into_iter().find(|&top| highest <= f64::from(top));
        Self { top_percent: top.unwrap_or(100) }
    }

    pub(super) fn top_words(&self) -> String {
        format!("{} %", self.top_percent)
    }

    fn x(&self, share: f64) -> f64 {
        BARS + BAR * (share * 100.0 / f64::from(self.top_percent)).clamp(0.0, 1.0)
    }
}

/// Draws the row of a day.
pub(super) fn draw(
    canvas: &mut Canvas,
    row: &Row<'_>,
    scale: &BarScale,
    averages: Option<&Averages>,
) {
    let day = row.day;
    let baseline = row.y + 12.0;
    let shape = day.verdict.shape();
    draw_shape(canvas, MARGIN - 4.0, row.y - lift(shape), shape);
    canvas.text(LEFT - 8.0, baseline, Anchor::End, "", &date_words(day.date));
    let columns = Columns::of(day);
    canvas.open(LEFT, row.y, if day.verdict.is_judged() { "row" } else { "row faded" });
    columns.draw(canvas);
    columns.draw_titles(canvas, &date_words(day.date));
    let right = if averages.is_some() { AVERAGES + AVERAGE } else { FIGURES };
    let area = Area { x: BARS - LEFT, y: 0.0, width: right - BARS, height: ROW };
    canvas.titled_area(area, &day_words(day));
    canvas.close();
    draw_maintenance(canvas, row);
    draw_bar(canvas, row, scale);
    if let (Some(averages), Some(average)) = (averages, &day.known_average()) {
        let words = average_words(average, averages.head.is_none());
        // An average that passes on a bad day is what this column is for.
        let masks = day.verdict.is_bad() && average.value <= average.limit;
        let class = if masks { "strong" } else { "faint" };
        canvas.text(AVERAGES, baseline, Anchor::Start, class, &fit(&words, 12.0, AVERAGE));
    }
}

/// A band along the foot of a row, for each time somebody worked.
fn draw_maintenance(canvas: &mut Canvas, row: &Row<'_>) {
    for (from, until) in spans(&row.day.maintenance, MAX_BLOCKS) {
        let x = at(from);
        let area = Area { x, y: row.y + ROW - WORK, width: at(until) - x, height: WORK };
        canvas.rect(area, "work");
    }
}

/// How far a mark is lifted out of its box to stand in the middle of a row.
pub(super) const fn lift(shape: DayShape) -> f64 {
    match shape {
        DayShape::PeakBad | DayShape::AllDayBad => 2.0,
        DayShape::Good | DayShape::Unknown => 6.0,
        DayShape::Closed => 9.0,
    }
}

fn draw_bar(canvas: &mut Canvas, row: &Row<'_>, scale: &BarScale) {
    let (day, baseline) = (row.day, row.y + 12.0);
    if !day.verdict.is_judged() {
        canvas.text(BARS, baseline, Anchor::Start, "faint", day.verdict.words());
        return;
    }
    let Some((seen, share)) = day.worst.and_then(|worst| Some((worst.seen, worst.seen.ratio()?)))
    else {
        canvas.text(BARS, baseline, Anchor::Start, "faint", "not observed");
        return;
    };
    let area = Area { x: BARS, y: row.y + 4.0, width: scale.x(share) - BARS, height: 8.0 };
    canvas.rect(area, &format!("cell heat-{}", seen.step()));
    canvas.text(FIGURES, baseline, Anchor::End, "strong", &percent(share));
}

/// The whole days, as ticks over the bars.
pub(super) fn draw_ticks(canvas: &mut Canvas, rows: &[Row<'_>], scale: &BarScale) {
    let mut data = String::new();
    for row in rows.iter().filter(|row| has_bar(row)) {
        if let Some(whole) = row.day.whole.and_then(Share::ratio) {
            write!(data, "M{} {}v14", Num(scale.x(whole)), Num(row.y + 1.0))
                .expect("writing to a String cannot fail");
        }
    }
    if !data.is_empty() {
        canvas.path(&data, "tick-halo");
        canvas.path(&data, "tick");
    }
}

/// True for a working day that was observed.
pub(super) fn has_bar(row: &Row<'_>) -> bool {
    row.day.verdict.is_judged() && row.day.worst.is_some_and(|worst| worst.seen.valid > 0)
}

/// The share from which an hour is bad, behind the bars.
pub(super) fn draw_limit(canvas: &mut Canvas, rows: &[Row<'_>], scale: &BarScale) {
    let x = Num(scale.x(f64::from(STEPS[1]) / 100.0));
    let mut data = String::new();
    for row in rows.iter().filter(|row| has_bar(row)) {
        write!(data, "M{x} {}v{ROW}", Num(row.y)).expect("writing to a String cannot fail");
    }
    if !data.is_empty() {
        canvas.path(&data, "limit");
    }
}

/// A cell in one of its columns.
#[derive(Clone, Copy)]
struct Column {
    cell: FindingCell,
    /// The cell begins here.
    first: bool,
}

/// The cells of a day by the columns of the clock on the wall. An hour that comes twice has two
/// cells in each of its columns: the first is drawn in the upper half, the second in the lower.
struct Columns([[Option<Column>; 2]; COLUMNS]);

impl Columns {
    fn of(day: &FindingDay) -> Self {
        let mut columns = [[None; 2]; COLUMNS];
        for &cell in &day.cells {
            let begin = usize::from(cell.minute) / 15;
            let length = (usize::from(cell.minutes) / 15).clamp(1, AN_HOUR);
            for (position, both) in columns.iter_mut().enumerate().skip(begin).take(length) {
                // A third one in the same column cannot be.
                if let Some(free) = both.iter_mut().find(|one| one.is_none()) {
                    *free = Some(Column { cell, first: position == begin });
                }
            }
        }
        Self(columns)
    }

    fn draw(&self, canvas: &mut Canvas) {
        let once = |both: &[Option<Column>; 2]| both[0].filter(|_| both[1].is_none());
        let first = |both: &[Option<Column>; 2]| both[0].filter(|_| both[1].is_some());
        self.draw_layer(canvas, 0.0, ROW, once);
        self.draw_layer(canvas, 0.0, ROW / 2.0, first);
        self.draw_layer(canvas, ROW / 2.0, ROW / 2.0, |both| both[1]);
    }

    /// Invisible areas with the hours' figures; neighbouring hours with the same share one.
    fn draw_titles(&self, canvas: &mut Canvas, date: &str) {
        let words: Vec<_> = (0..COLUMNS / AN_HOUR).map(|hour| self.hour_words(hour)).collect();
        let mut hour = 0;
        for alike in words.chunk_by(|a, b| a == b) {
            let until = hour + alike.len();
            let x = (hour * AN_HOUR) as f64 * CELL;
            let width = (alike.len() * AN_HOUR) as f64 * CELL;
            let said = &alike[0];
            let name = if alike.len() == 1 {
                format!("{date} {hour:02}:00: {said}")
            } else {
                format!("{date} {hour:02}:00–{until:02}:00, each hour: {said}")
            };
            canvas.titled_area(Area { x, y: 0.0, width, height: ROW }, &name);
            hour = until;
        }
    }

    /// Draws one cell of each column into a band of the row: a path for each colour.
    fn draw_layer(
        &self,
        canvas: &mut Canvas,
        top: f64,
        height: f64,
        one: impl Fn(&[Option<Column>; 2]) -> Option<Column>,
    ) {
        let cells: Vec<_> = self.0.iter().map(|both| one(both).map(|column| column.cell)).collect();
        let style = if height < ROW { " half" } else { "" };
        for step in 0..=STEPS.len() {
            let of_step = |cell: &FindingCell| !cell.is_missing() && cell.seen.step() == step;
            let data = lines(&cells, top + height / 2.0, of_step);
            if !data.is_empty() {
                canvas.shape(&data, &format!("heat-{step}{style}"));
            }
        }
        let data = hatching(&cells, top, height);
        if !data.is_empty() {
            canvas.shape(&data, "hatch");
        }
    }

    /// What the quarter-hours of an hour were.
    fn hour_words(&self, hour: usize) -> String {
        let quarters = &self.0[hour * AN_HOUR..(hour + 1) * AN_HOUR];
        let pass = |which: usize| -> Vec<Column> {
            quarters.iter().filter_map(|both| both[which]).collect()
        };
        let (first, second) = (pass(0), pass(1));
        if first.is_empty() {
            let later = self.0.iter().skip(hour * AN_HOUR).any(|both| both[0].is_some());
            return if later { "the clock skipped it" } else { "still to come" }.to_owned();
        }
        let mut words = columns_words(&first);
        if !second.is_empty() {
            words += &format!("; again: {}", columns_words(&second));
        }
        words
    }
}

/// The cells that `belong`, as horizontal lines through the middle of their band.
fn lines(
    cells: &[Option<FindingCell>],
    middle: f64,
    belong: impl Fn(&FindingCell) -> bool,
) -> String {
    let mut data = String::new();
    let mut position = 0;
    let belongs = |position: usize| cells[position].as_ref().is_some_and(&belong);
    // Where the line before ended, in columns.
    let mut end: Option<usize> = None;
    while position < cells.len() {
        if !belongs(position) {
            position += 1;
            continue;
        }
        let run = (position..cells.len()).take_while(|&at| belongs(at)).count();
        let length = Num(run as f64 * CELL);
        match end {
            None => {
                let x = Num(position as f64 * CELL);
                write!(data, "M{x} {}h{length}", Num(middle))
            }
            Some(end) => write!(data, "m{} 0h{length}", Num((position - end) as f64 * CELL)),
        }
        .expect("writing to a String cannot fail");
        position += run;
        end = Some(position);
    }
    data
}

/// A diagonal through each missing cell: steep, so that a quarter-hour is hatched as well as a day.
fn hatching(cells: &[Option<FindingCell>], top: f64, height: f64) -> String {
    let missing = |cell: &&Option<FindingCell>| cell.is_some_and(|cell| cell.is_missing());
    let mut data = String::new();
    let foot = Num(top + height);
    for (position, _) in cells.iter().enumerate().filter(|(_, cell)| missing(cell)) {
        let x = Num(position as f64 * CELL);
        write!(data, "M{x} {foot}l{CELL}-{height}").expect("writing to a String cannot fail");
    }
    data
}

/// `0, 3, –, 99 % bad, n=45`; equal figures once; all missing is no data.
fn columns_words(columns: &[Column]) -> String {
    let words: Vec<_> = columns.iter().map(|column| cell_words(&column.cell)).collect();
    let firsts = columns.iter().filter(|column| column.first);
    let n: u64 = firsts.map(|column| u64::from(column.cell.seen.valid)).sum();
    if columns.iter().all(|column| column.cell.is_missing()) {
        return if n == 0 { "no data".to_owned() } else { format!("too little data, n={n}") };
    }
    let alike = words.windows(2).all(|pair| pair[0] == pair[1]);
    let shares =
        if alike { words.into_iter().next().unwrap_or_default() } else { words.join(", ") };
    format!("{shares} % bad, n={n}")
}

/// A whole percentage, never 0 for what is not nothing.
fn cell_words(cell: &FindingCell) -> String {
    match cell.seen.ratio().filter(|_| !cell.is_missing()) {
        None => "–".to_owned(),
        Some(share) if share > 0.0 && share < 0.005 => "<1".to_owned(),
        Some(share) => format!("{:.0}", share * 100.0),
    }
}

/// Everything about the day beside its cells.
fn day_words(day: &FindingDay) -> String {
    let mut words = format!("{}: {}", date_words(day.date), day.verdict.words());
    let work = spans(&day.maintenance, MAX_BLOCKS);
    if !work.is_empty() {
        words += &format!("; maintenance {}", spans_words(&work));
    }
    if !day.verdict.is_judged() {
        return words;
    }
    let counted =
        |share: Share| Some(format!("{} bad, n={}", percent(share.ratio()?), share.valid));
    match day.worst.and_then(|worst| Some((worst.minute, counted(worst.seen)?))) {
        None => words += "; no busy hour was observed",
        Some((minute, share)) => {
            let (from, until) = (clock(minute % 1440), clock((minute % 1440 + 60) % 1440));
            words += &format!("; worst busy hour {from}–{until}: {share}");
        }
    }
    if let Some(share) = day.whole.and_then(counted) {
        words += &format!("; whole day: {share}");
    }
    if let Some(average) = day.known_average() {
        let (value, limit, said) =
            (average.value_words(), average.limit_words(), average.conclusion());
        words += &format!("; daily average {value} ({limit}) {said}");
    }
    words
}

/// `0.31 % passes`, with what it is of where days differ.
fn average_words(average: &AverageSaid, named: bool) -> String {
    let words = format!("{} {}", average.value_words(), average.conclusion());
    if named { format!("{} {words}", average.of.word()) } else { words }
}

/// `Mon 2 Mar`.
fn date_words(date: Date) -> String {
    let weekday = match date.weekday() {
        Weekday::Monday => "Mon",
        Weekday::Tuesday => "Tue",
        Weekday::Wednesday => "Wed",
        Weekday::Thursday => "Thu",
        Weekday::Friday => "Fri",
        Weekday::Saturday => "Sat",
        Weekday::Sunday => "Sun",
    };
    let month = usize::try_from(date.month() - 1).ok().and_then(|at| MONTHS.get(at));
    format!("{weekday} {} {}", date.day(), month.unwrap_or(&"?"))
}
