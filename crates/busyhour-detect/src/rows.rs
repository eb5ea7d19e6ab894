//! All rows of one local day of a building: of each series, and of those taken as one.

use std::collections::BTreeMap;

use busyhour_model::{DayVerdict, SlotStart};

use crate::day_frame::BuildingDay;
use crate::fleet::{BuildingNo, Fleet, SeriesNo};
use crate::params::{Params, Rule};
use crate::pool::pooled;
use crate::series::{Cell, SeriesDay};
use crate::series_day::series_day;
use crate::union::Union;

/// The rows of a building's local day, for [`crate::History::insert_rows`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rows {
    /// Those of its series, in the order they were given in; silent ones have none.
    pub series: Vec<(SeriesNo, SeriesDay)>,
    /// Those of several series taken as one, in order.
    pub unions: Vec<(Union, SeriesDay)>,
}

/// Makes the rows of a building's local day. `cells` names every series of the building, near and
/// silent ones (without cells) included: who is silent must not change which series are taken
/// together. `at_fault` tells the bins in which a series' target was at fault: they count as
/// unobserved.
#[must_use]
pub fn rows_of_building(
    fleet: &Fleet,
    building: BuildingNo,
    day: &BuildingDay,
    cells: &[(SeriesNo, Vec<Cell>)],
    at_fault: &dyn Fn(SeriesNo, SlotStart) -> bool,
    params: &Params,
) -> Rows {
    let mut rows = Rows::default();
    // What a series adds to the sums that it is part of.
    let mut seen: BTreeMap<SeriesNo, Vec<Cell>> = BTreeMap::new();
    for (no, cells) in cells.iter().filter(|(_, cells)| !cells.is_empty()) {
        let faulty = |start| at_fault(*no, start);
        let row = series_day(day, cells, &faulty, params);
        // What is bad at all hours would speak for all others.
        if row.verdict != DayVerdict::AllDayBad {
            let own = cells.iter().filter(|cell| !faulty(cell.start));
            seen.insert(*no, own.copied().collect());
        }
        rows.series.push((*no, row));
    }
    if !params.holds(Rule::Union) {
        return rows;
    }
    let all: Vec<SeriesNo> = cells.iter().map(|(no, _)| *no).collect();
    for (union, members) in Union::of_building(fleet, building, &all) {
        let cells: Vec<&[Cell]> =
            members.iter().filter_map(|no| seen.get(no)).map(Vec::as_slice).collect();
        if !cells.is_empty() {
            let row = series_day(day, &pooled(day, &cells), &|_| false, params);
            rows.unions.push((union, row));
        }
    }
    rows
}
