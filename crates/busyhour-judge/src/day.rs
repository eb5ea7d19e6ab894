//! One local day of one building: read once, judged, and made into rows of the history.

use std::collections::BTreeMap;

use busyhour_detect::{
    Bin, BuildingDay, BuildingNo, Cell, History, Params, PathDay, Reach, SeriesNo, TargetBins,
    TargetLooks, judge_day, lay_out, rows_of_building,
};
use busyhour_model::{BuildingId, DaySummary, PathId, SlotGist, SlotStart, UtcMicros};
use busyhour_store::{StoreError, Telemetry};
use jiff::civil::Date;

use crate::directory::Directory;
use crate::figures::{DayFigures, PathFigures};
use crate::hours::Hours;
use crate::inventory::{Inventory, JudgedSite, PlacedPath};

/// Where days are read from, and as of when.
pub(crate) struct Source<'a> {
    pub(crate) telemetry: &'a dyn Telemetry,
    pub(crate) inventory: &'a Inventory,
    pub(crate) params: &'a Params,
    pub(crate) now: UtcMicros,
}

/// What days are made with, and what their rows go into.
pub(crate) struct Books<'a> {
    pub(crate) directory: &'a mut Directory,
    pub(crate) history: &'a mut History,
    pub(crate) hours: &'a mut Hours,
    pub(crate) looks: &'a mut TargetLooks,
    pub(crate) faults: &'a TargetBins,
}

/// A building's day that is to be judged.
pub(crate) struct Wanted<'a> {
    pub(crate) building: BuildingId,
    pub(crate) date: Date,
    /// Its paths on that date.
    pub(crate) placed: &'a [PlacedPath<'a>],
    /// Its busy hours stay as they are: an incident of the building is open.
    pub(crate) frozen: bool,
    /// What it shows of targets is remembered.
    pub(crate) is_present: bool,
    /// Its rows are of use to findings; older and newer ones are not.
    pub(crate) keeps_rows: bool,
}

/// Judges a building's day. Holds what that day was like at that building, and no more.
pub(crate) fn judge_building_day(
    source: &Source<'_>,
    books: &mut Books<'_>,
    wanted: &Wanted<'_>,
) -> Result<Vec<DaySummary>, StoreError> {
    let about = source.inventory.sites.get(&wanted.building);
    let number = books.directory.building_no(wanted.building);
    let (Some(judged), Some(number)) = (about, number) else { return Ok(Vec::new()) };
    let (site, params) = (&judged.site, source.params);
    if wanted.keeps_rows {
        books.hours.look_at(wanted.building, site, wanted.date, wanted.frozen, params);
    }
    let hours = books.hours.on(wanted.building, site, wanted.date);
    let open = BuildingDay::new(site, wanted.date, &hours, None, Bin::Quarter, params);
    let Some(open) = open else { return Ok(Vec::new()) };
    let found = read_gists(source, wanted.placed, open.span())?;
    let series: Vec<Option<SeriesNo>> = wanted
        .placed
        .iter()
        .map(|path| books.directory.series_of(path.row, path.placement, source.inventory))
        .collect();
    let cells = cells_of(books.directory, number, &series, &found);
    if wanted.is_present {
        cells.iter().for_each(|(no, cells)| books.looks.put(*no, open.span(), cells));
    }
    let load = books.hours.load_on(wanted.building, wanted.date);
    let mut far = |_: &BuildingDay| far_cells(books.directory, &cells);
    let date = wanted.date;
    let day = lay_out(site, date, &hours, load.as_ref(), &mut far, Bin::Quarter, params);
    let Some(day) = day else { return Ok(Vec::new()) };
    let day = day.as_of(SlotStart::containing(source.now));
    if wanted.keeps_rows {
        keep_rows(books, number, &day, &cells, params);
    }
    let ids: Vec<PathId> = wanted.placed.iter().map(|path| path.row.id).collect();
    let figures = DayFigures::of(source.telemetry, &ids);
    let of_paths: Vec<PathFigures<'_>> = figures.paths().collect();
    let paths: Vec<PathDay<'_>> = wanted
        .placed
        .iter()
        .zip(&series)
        .zip(found.iter().zip(&of_paths))
        .map(|((path, series), known)| path_day(path, *series, known, books.directory))
        .collect();
    let judged = judge_day(wanted.building, &day, source.now, &paths, books.faults);
    figures.failure().map_or(Ok(judged), Err)
}

/// True when a local date has begun at a building, and can have slots.
pub(crate) fn has_begun(site: &JudgedSite, date: Date, now: UtcMicros) -> bool {
    site.span(date).is_some_and(|(from, _)| from <= now)
}

/// What paths were like in a span, in the order of the paths; what they saw elsewhere is left out.
fn read_gists(
    source: &Source<'_>,
    placed: &[PlacedPath<'_>],
    span: (SlotStart, SlotStart),
) -> Result<Vec<Vec<SlotGist>>, StoreError> {
    let places: BTreeMap<PathId, usize> =
        placed.iter().enumerate().map(|(at, path)| (path.row.id, at)).collect();
    let ids: Vec<PathId> = places.keys().copied().collect();
    let mut all: Vec<Vec<SlotGist>> = vec![Vec::new(); placed.len()];
    if ids.is_empty() {
        return Ok(all);
    }
    source.telemetry.take_gists(&ids, span, &mut |path, mut found| {
        let at = places.get(&path).copied();
        let Some((path, known)) = at.and_then(|at| Some((placed.get(at)?, all.get_mut(at)?)))
        else {
            return;
        };
        if !source.inventory.was_always_in(path.placement) {
            found.retain(|gist| source.inventory.was_in(path.placement, gist.start.start()));
        }
        if known.is_empty() {
            *known = found;
        } else {
            known.append(&mut found);
        }
    })?;
    Ok(all)
}

/// The cells of every series of a building, silent ones included, ascending.
fn cells_of(
    directory: &Directory,
    building: BuildingNo,
    series: &[Option<SeriesNo>],
    found: &[Vec<SlotGist>],
) -> Vec<(SeriesNo, Vec<Cell>)> {
    let mut cells: BTreeMap<SeriesNo, Vec<Cell>> =
        directory.of_building(building).iter().map(|&no| (no, Vec::new())).collect();
    for (no, found) in series.iter().zip(found) {
        if let Some(own) = no.and_then(|no| cells.get_mut(&no)) {
            own.extend(found.iter().map(Cell::of_gist));
        }
    }
    cells.into_iter().collect()
}

fn far_cells(directory: &Directory, cells: &[(SeriesNo, Vec<Cell>)]) -> Vec<Vec<Cell>> {
    let is_far = |no: SeriesNo| {
        let info = directory.fleet.info(no);
        info.is_some_and(|info| info.reach == Reach::Far)
    };
    cells.iter().filter(|(no, _)| is_far(*no)).map(|(_, cells)| cells.clone()).collect()
}

/// Puts the rows of a building's day in place of what was known of it.
fn keep_rows(
    books: &mut Books<'_>,
    building: BuildingNo,
    day: &BuildingDay,
    cells: &[(SeriesNo, Vec<Cell>)],
    params: &Params,
) {
    let fleet = &books.directory.fleet;
    let at_fault = |no: SeriesNo, start: SlotStart| {
        let target = fleet.info(no).and_then(|info| info.target);
        target.is_some_and(|target| books.faults.contains(target, start))
    };
    let rows = rows_of_building(fleet, building, day, cells, &at_fault, params);
    // An agent may turn out to have been elsewhere: what it left behind goes.
    let series = books.directory.of_building(building);
    books.history.replace_day(building, series, day.date, rows);
}

fn path_day<'a>(
    path: &PlacedPath<'_>,
    series: Option<SeriesNo>,
    (slots, figures): (&'a Vec<SlotGist>, &'a PathFigures<'a>),
    directory: &Directory,
) -> PathDay<'a> {
    let info = series.and_then(|no| directory.fleet.info(no));
    PathDay {
        path: path.row.id,
        agent: path.row.agent,
        subnet: path.placement.subnet,
        link: path.row.key.link.kind(),
        target: info.and_then(|info| info.target),
        requirement: path.row.requirement,
        since: SlotStart::containing(path.row.oldest),
        windows_per_slot: path.row.windows_per_slot,
        slots,
        figures,
    }
}
