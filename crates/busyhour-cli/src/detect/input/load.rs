//! `load.csv`: how much goes on in a building; busy hours are learned from it and from nothing else.

use std::path::Path;

use anyhow::bail;
use busyhour_model::SlotStart;
use indicatif::ProgressBar;

use super::super::cells::Grid;
use super::buildings::some;
use super::columns::{Column, STARTS};
use super::data::{Period, Put};
use super::fleet::Draft;
use super::notes::Notes;
use super::table::Table;
use super::value;

const MINUTES_A_QUARTER: u32 = 15;
/// Half a gigabyte of load.
const MAX_ROWS: u64 = 40_000_000;

const BUILDING: usize = 0;
const START: usize = 1;
const LOAD: usize = 2;

const COLUMNS: &[Column] = &[
    Column::required("building", &["building_name", "site"]),
    Column::required("start", STARTS),
    Column::required("load", &["value", "calls", "users", "people", "bytes", "utilisation"]),
];

/// The load of each building by quarter-hour, ascending.
pub(super) type Loads = Vec<Vec<(SlotStart, f32)>>;

/// Reads the file.
///
/// # Errors
/// When it cannot be read as such a file.
pub(super) fn read(
    path: &Path,
    period: Period,
    draft: &Draft,
    bar: &ProgressBar,
    notes: &mut Notes,
) -> anyhow::Result<Loads> {
    let mut loads: Vec<Vec<(u32, f32)>> = Vec::new();
    let Some(mut table) = Table::open(path, COLUMNS, bar, notes)? else { return Ok(Vec::new()) };
    let (mut put, mut grid, mut strange) = (Put::new(period), Grid::default(), Strange::default());
    while table.next(notes)? {
        let text = table.text(LOAD);
        if value::is_missing(text) {
            continue;
        }
        let load = value::load(text).ok_or_else(|| {
            table.fault(LOAD, "a load", "write a number from 0 on, or leave the field empty")
        });
        let row = load.and_then(|load| Ok((load, put.moment(&table, START)?)));
        let (load, at) = match row {
            Ok(row) => row,
            Err(fault) => {
                table.refuse(&fault, notes)?;
                continue;
            }
        };
        if !put.is_within(at) {
            continue;
        }
        let Some(building) = draft.building(table.text(BUILDING)) else {
            strange.add(table.text(BUILDING));
            continue;
        };
        let minute = u32::try_from(at.div_euclid(60_000_000)).unwrap_or(0);
        let place = building as usize;
        if place >= loads.len() {
            loads.resize_with(place + 1, Vec::new);
        }
        loads[place].push((minute, load));
        grid.add(minute);
        if table.rows() > MAX_ROWS {
            bail!("{}: more than {MAX_ROWS} rows; give the load by quarter-hour", path.display());
        }
    }
    table.finish(notes)?;
    put.finish(&table, notes);
    strange.told(&table.name(), notes);
    let minutes = grid.slot_minutes();
    let mut again = 0;
    let loads = loads.into_iter().map(|load| by_quarter(load, minutes, &mut again)).collect();
    if again > 0 {
        let name = table.name();
        notes.add(&format!("{name}: rows told again: {again} (the later one counts)"));
    }
    Ok(loads)
}

/// Buildings that are not known.
#[derive(Debug, Default)]
struct Strange {
    names: Vec<String>,
    rows: u64,
}

impl Strange {
    fn add(&mut self, name: &str) {
        self.rows += 1;
        if self.names.len() < 20 && !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
    }

    fn told(&self, file: &str, notes: &mut Notes) {
        if self.rows > 0 {
            let (rows, names) = (self.rows, some(&self.names));
            notes.warn(&format!(
                "{file}: rows of buildings that are not known: {rows} ({names}; left out)"
            ));
        }
    }
}

/// Loads by quarter-hour: of shorter slots the mean, of longer ones the same for all of their quarters.
fn by_quarter(
    mut load: Vec<(u32, f32)>,
    slot_minutes: u32,
    again: &mut u64,
) -> Vec<(SlotStart, f32)> {
    load.sort_by_key(|&(minute, _)| minute);
    let told = load.len();
    load.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            *kept = *later;
        }
        same
    });
    *again += (told - load.len()) as u64;
    let quarters = slot_minutes.div_ceil(MINUTES_A_QUARTER);
    let quarter = |minute: u32| minute / MINUTES_A_QUARTER;
    let mut all: Vec<(SlotStart, f32)> = Vec::with_capacity(load.len() * quarters as usize);
    for same in load.chunk_by(|a, b| quarter(a.0) == quarter(b.0)) {
        let Some(&(minute, _)) = same.first() else { continue };
        let mean = same.iter().map(|&(_, load)| load).sum::<f32>() / same.len() as f32;
        for number in quarter(minute)..quarter(minute) + quarters {
            let start = SlotStart::from_number(i64::from(number));
            // A slot off the grid may begin before the one in front of it ends.
            if all.last().is_none_or(|&(last, _)| last < start) {
                all.push((start, mean));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quarters(load: &[(u32, f32)], minutes: u32) -> (Vec<(i64, f32)>, u64) {
        let mut again = 0;
        let all = by_quarter(load.to_vec(), minutes, &mut again);
        (all.into_iter().map(|(start, load)| (start.number(), load)).collect(), again)
    }

    #[test]
    fn load_is_by_quarter_hour_whatever_its_slots() {
        let (all, again) = quarters(&[(15, 2.0), (0, 1.0), (15, 3.0)], 15);
        assert_eq!((all, again), (vec![(0, 1.0), (1, 3.0)], 1));
        let (all, _) = quarters(&[(0, 1.0), (5, 2.0), (10, 6.0), (15, 4.0)], 5);
        assert_eq!(all, [(0, 3.0), (1, 4.0)]);
        let (all, _) = quarters(&[(60, 8.0), (0, 4.0)], 60);
        let numbers: Vec<i64> = all.iter().map(|&(number, _)| number).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!((all[3].1, all[4].1), (4.0, 8.0));
        let (all, _) = quarters(&[(0, 4.0), (50, 6.0)], 60);
        assert!(all.is_sorted_by(|a, b| a.0 < b.0), "{all:?}");
    }
}
