//! What is asked of the store, answered from its contract.

use std::collections::HashMap;

use busyhour_model::{Figure, FigureTotals, LocalDay, PathId, SlotStart, UtcMicros};
use busyhour_store::{SqliteTelemetry, Telemetry as _};
use jiff::tz::TimeZone;

use crate::fleet::{Fleet, agent_id};

/// Hours of a week.
const CELLS: usize = 7 * 24;
/// The shares that a map shows.
const SHARES: [f64; 3] = [0.5, 0.9, 0.99];

/// The store's numbers of a fleet's paths, in the fleet's order.
pub(crate) fn ids(telemetry: &SqliteTelemetry, fleet: &Fleet) -> Vec<PathId> {
    let rows = telemetry.paths(None).expect("paths");
    let known: HashMap<_, _> = rows.into_iter().map(|row| ((row.agent, row.key), row.id)).collect();
    let id = |path| {
        let agent = agent_id(fleet.agent_of(path));
        known.get(&(agent, fleet.key(path).clone())).copied().expect("every path came")
    };
    (0..fleet.paths()).map(id).collect()
}

/// For each quarter-hour from `from` on, the hour of the local week that it lies in.
pub(crate) struct Calendar {
    from: SlotStart,
    cells: Vec<u8>,
}

impl Calendar {
    pub(crate) fn new(zone: &str, from: SlotStart, slots: i64) -> Self {
        let zone = TimeZone::get(zone).expect("a zone");
        let cells = (0..slots).map(|number| {
            let local = LocalDay::of(from.offset(number), &zone);
            let weekday = local.date.weekday().to_monday_zero_offset() as u8;
            weekday * 24 + (local.minute / 60) as u8
        });
        Self { from, cells: cells.collect() }
    }

    /// The cells from a slot of the calendar on.
    fn cells_from(&self, slot: SlotStart) -> &[u8] {
        let at = usize::try_from(slot.number() - self.from.number());
        at.ok().and_then(|at| self.cells.get(at..)).unwrap_or_default()
    }

    /// What it covers.
    pub(crate) fn span(&self) -> (SlotStart, SlotStart) {
        (self.from, self.from.offset(self.cells.len() as i64))
    }
}

/// The median round trips of a building's windows by hour and weekday: p50, p90 and p99 of each. Loss,
/// jitter and the call estimate are folded beside them, as the collector's map does.
pub(crate) fn map(
    telemetry: &SqliteTelemetry,
    paths: &[PathId],
    calendar: &Calendar,
) -> Vec<[Option<u32>; 3]> {
    let mut cells = vec![FigureTotals::new(); CELLS];
    telemetry
        .visit_figures(paths, calendar.span(), &mut |_, start, combination, n| {
            if let Some(&cell) = calendar.cells_from(start).first() {
                cells[usize::from(cell)].add_combination(combination, n);
            }
        })
        .expect("figures");
    let quantiles =
        |cell: &FigureTotals| SHARES.map(|share| cell.marginal(Figure::Delay).quantile(share));
    cells.iter().map(quantiles).collect()
}

/// Every building's worst hour of the local week, the worst `most` first: the share of bad windows,
/// and the building.
pub(crate) fn worst(
    telemetry: &SqliteTelemetry,
    paths: &[PathId],
    building_of: &dyn Fn(PathId) -> usize,
    calendars: &[&Calendar],
    most: usize,
) -> Vec<(f64, usize)> {
    let Some(span) = calendars.first().map(|calendar| calendar.span()) else { return Vec::new() };
    let mut cells = vec![[(0_u32, 0_u32); CELLS]; calendars.len()];
    telemetry
        .visit_tallies(paths, span, &mut |day| {
            let building = building_of(day.path);
            let hours = calendars[building].cells_from(day.first);
            for (&(valid, bad), &hour) in day.slots.iter().zip(hours) {
                let cell = &mut cells[building][usize::from(hour)];
                cell.0 += valid;
                cell.1 += bad;
            }
        })
        .expect("slots");
    let share = |&(valid, bad): &(u32, u32)| f64::from(bad) / f64::from(valid.max(1));
    let worst_of = |cells: &[(u32, u32); CELLS]| cells.iter().map(share).fold(0.0, f64::max);
    let mut ranked: Vec<(f64, usize)> =
        cells.iter().enumerate().map(|(building, cells)| (worst_of(cells), building)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    ranked.truncate(most);
    ranked
}

/// The raw windows of a path for a day; how many there are.
pub(crate) fn raw(telemetry: &SqliteTelemetry, path: PathId, from: UtcMicros) -> usize {
    let until = UtcMicros(from.0 + 86_400_000_000);
    telemetry.windows(path, from, until, 10_000).expect("windows").len()
}
