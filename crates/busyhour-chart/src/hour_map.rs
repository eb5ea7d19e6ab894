//! The hour × weekday map of a building's local week.

use busyhour_model::BusinessHours;
use jiff::civil::Weekday;

use crate::Svg;
use crate::svg::{Anchor, Area, Canvas, Num, hatch, percent};

/// Hours of a local week: weekday from Monday × 24 + hour.
pub const CELLS: usize = 7 * 24;

/// With fewer windows than this a cell is unknown: a fifth of one hour at one window a minute.
const MIN_WINDOWS: u32 = 12;
/// From this share of bad windows on a cell is bad: the share that makes an hour bad.
const BAD_SHARE: f64 = 0.05;
/// From this share on a cell is no longer plainly good.
const SOME_SHARE: f64 = 0.02;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const WEEKDAYS: [Weekday; 7] = [
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
    Weekday::Sunday,
];

const LEFT: f64 = 40.0;
const TOP: f64 = 20.0;
const CELL_WIDTH: f64 = 30.0;
const CELL_HEIGHT: f64 = 26.0;
const LEGEND_HEIGHT: f64 = 34.0;

/// What was seen in one local hour of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MapCell {
    /// Windows that should exist.
    pub expected: u32,
    /// Windows that count.
    pub valid: u32,
    /// Bad ones among them.
    pub bad: u32,
}

/// How a cell is drawn. Missing is unknown, never good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Too little was observed: fewer than 12 windows, or less than a fifth of what should exist.
    Unknown,
    /// Less than 2 % of the windows were bad.
    Good,
    /// 2 % or more.
    Some,
    /// 5 % or more: the share from which an hour counts as bad.
    Bad,
}

impl Level {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Good => "good",
            Self::Some => "some",
            Self::Bad => "bad",
        }
    }
}

impl MapCell {
    /// The share of bad windows (0..=1); `None` when no window counts.
    #[must_use]
    pub fn bad_share(&self) -> Option<f64> {
        (self.valid > 0).then(|| (f64::from(self.bad) / f64::from(self.valid)).min(1.0))
    }

    /// How the cell is drawn.
    #[must_use]
    pub fn level(&self) -> Level {
        let enough =
            self.valid >= MIN_WINDOWS && u64::from(self.valid) * 5 >= u64::from(self.expected);
        match self.bad_share().filter(|_| enough) {
            None => Level::Unknown,
            Some(share) if share >= BAD_SHARE => Level::Bad,
            Some(share) if share >= SOME_SHARE => Level::Some,
            Some(_) => Level::Good,
        }
    }
}

/// The name of a local hour of the week: `Mon 09–10`.
#[must_use]
pub fn cell_name(hour_of_week: usize) -> String {
    let hour = hour_of_week % 24;
    format!("{} {hour:02}–{:02}", DAYS[hour_of_week / 24 % 7], hour + 1)
}

/// The words for a cell: `12 % bad, n=240`, or that it is unknown.
#[must_use]
pub fn map_words(cell: &MapCell) -> String {
    match (cell.level(), cell.bad_share()) {
        (Level::Unknown, _) | (_, None) => {
            format!("unknown, n={} of {}", cell.valid, cell.expected)
        }
        (_, Some(share)) => format!("{} bad, n={}", percent(share), cell.valid),
    }
}

/// The map: what share of windows was bad in each local hour of the week.
#[derive(Debug, Clone, Copy)]
pub struct HourMap<'a> {
    /// The accessible name.
    pub name: &'a str,
    /// The cells, from Monday 00–01.
    pub cells: &'a [MapCell; CELLS],
    /// The hours that are judged, framed: busy hours, or the business hours where those are not known.
    pub business: Option<&'a BusinessHours>,
}

impl HourMap<'_> {
    /// Draws the map.
    #[must_use]
    pub fn draw(&self) -> Svg {
        let width = LEFT + 24.0 * CELL_WIDTH + 10.0;
        let height = TOP + 7.0 * CELL_HEIGHT + LEGEND_HEIGHT;
        let mut canvas = Canvas::new(width, height, "bh-map", self.name);
        for hour in 0..=24 {
            let x = LEFT + f64::from(hour) * CELL_WIDTH;
            canvas.text(x, TOP - 6.0, Anchor::Middle, "faint", &format!("{hour:02}"));
        }
        for (day, name) in DAYS.iter().enumerate() {
            let y = TOP + (day as f64 + 0.65) * CELL_HEIGHT;
            canvas.text(LEFT - 8.0, y, Anchor::End, "faint", name);
        }
        for (hour_of_week, cell) in self.cells.iter().enumerate() {
            draw_cell(&mut canvas, hour_of_week, cell);
        }
        if let Some(business) = self.business {
            for frame in frames(business) {
                canvas.rect(frame, "frame");
            }
        }
        draw_legend(&mut canvas, TOP + 7.0 * CELL_HEIGHT + 12.0, self.business.is_some());
        canvas.finish()
    }
}

fn draw_cell(canvas: &mut Canvas, hour_of_week: usize, cell: &MapCell) {
    let area = Area {
        x: LEFT + (hour_of_week % 24) as f64 * CELL_WIDTH,
        y: TOP + (hour_of_week / 24) as f64 * CELL_HEIGHT,
        width: CELL_WIDTH,
        height: CELL_HEIGHT,
    };
    let name = format!("{}: {}", cell_name(hour_of_week), map_words(cell));
    let level = cell.level();
    canvas.named_rect(area, &format!("cell {}", level.as_str()), &name);
    let number = cell.bad_share().map(|share| Num((share * 100.0).round()).to_string());
    match (level, number) {
        (Level::Unknown, _) => canvas.path(&hatch(area, 7.0), "hatch"),
        (Level::Some | Level::Bad, Some(number)) => {
            let (x, y) = (area.x + CELL_WIDTH / 2.0, area.y + CELL_HEIGHT * 0.66);
            canvas.text(x, y, Anchor::Middle, &format!("on-{}", level.as_str()), &number);
        }
        (Level::Good | Level::Some | Level::Bad, _) => {}
    }
}

/// One frame around each block of busy hours; neighbouring days with the same hours share one.
fn frames(business: &BusinessHours) -> Vec<Area> {
    let mut frames = Vec::new();
    let mut day = 0;
    while day < 7 {
        let hours = business.on(WEEKDAYS[day]);
        let same = WEEKDAYS[day..].iter().take_while(|other| business.on(**other) == hours).count();
        for &(from, until) in hours {
            frames.push(Area {
                x: LEFT + f64::from(from) / 60.0 * CELL_WIDTH,
                y: TOP + day as f64 * CELL_HEIGHT,
                width: f64::from(until - from) / 60.0 * CELL_WIDTH,
                height: same as f64 * CELL_HEIGHT,
            });
        }
        day += same;
    }
    frames
}

fn draw_legend(canvas: &mut Canvas, y: f64, framed: bool) {
    let entries = [
        (Level::Good, "under 2 % of windows bad"),
        (Level::Some, "2–5 % (number: % bad)"),
        (Level::Bad, "5 % and more: bad"),
        (Level::Unknown, "unknown"),
    ];
    let mut x = LEFT;
    for (level, words) in entries {
        let area = Area { x, y, width: 14.0, height: 14.0 };
        canvas.rect(area, &format!("cell {}", level.as_str()));
        if level == Level::Unknown {
            canvas.path(&hatch(area, 7.0), "hatch");
        }
        canvas.text(x + 20.0, y + 11.0, Anchor::Start, "", words);
        x += 36.0 + 6.0 * words.chars().count() as f64;
    }
    if framed {
        canvas.rect(Area { x, y, width: 14.0, height: 14.0 }, "frame");
        canvas.text(x + 20.0, y + 11.0, Anchor::Start, "", "busy hours");
    }
}
