//! A table of load that somebody imports, such as counts of calls: read, checked, by local day.
//!
//! It has a line of column names; `building`, `start` and `load` must be among them. `start` is a
//! moment (RFC 3339) or seconds since 1970, on a quarter-hour. Rows that all begin on the hour hold
//! for an hour, such that all begin on half hours for half an hour, others for a quarter-hour. `load` is any
//! figure from 0 on; what it counts is the writer's, as busy hours rest on how it is shared out over
//! the day, not on its size.
//!
//! Reading never stops at the first fault: all findings are collected, each with its place and its
//! remedy.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::building_file::table::{TableRow, delimiter_of, rows, without_mark};
use crate::building_file::{Finding, Findings, Place, Severity, Source};
use crate::{
    Building, BuildingId, BuildingLoad, LoadSource, LocalDay, SLOT_MICROS, SlotStart, UtcMicros,
};

/// The columns, in any order; others are not read.
const COLUMNS: [&str; 3] = ["building", "start", "load"];
const BUILDING: usize = 0;
const START: usize = 1;
const LOAD: usize = 2;
const COLUMNS_REMEDY: &str = "begin the table with a line of column names: building, start, load";
/// Days of buildings in one table: three months of a thousand buildings, some 80 MB in memory.
const MAX_DAYS: usize = 100_000;
/// 2000-01-01T00:00:00Z: nobody counted calls before.
const EARLIEST: UtcMicros = UtcMicros::from_secs(946_684_800);
const QUARTERS_A_DAY: usize = 96;
const MINUTES_A_QUARTER: u16 = 15;

/// What a table says, and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parsed {
    /// The loads by building and date, all of them imported ones. Not to be kept when
    /// [`Self::has_errors`].
    pub loads: Vec<BuildingLoad>,
    /// Rows with a load that were read.
    pub rows: usize,
    /// The findings, errors first, then by line.
    pub findings: Vec<Finding>,
}

impl Parsed {
    /// True when a finding forbids the import.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// Reads a table about `buildings`. A row later than `now` is an error: load is what went on.
#[must_use]
pub fn parse(text: &str, buildings: &[Building], now: UtcMicros) -> Parsed {
    let mut findings = Findings::default();
    let text = without_mark(text);
    let table = rows(text, delimiter_of(text));
    let Some((header, rows)) = table.split_first() else {
        findings.error(Place::line(Source::LoadFile, 1), "the table is empty", COLUMNS_REMEDY);
        return Parsed { findings: findings.into_ordered(), ..Parsed::default() };
    };
    let Some(positions) = positions(header, &mut findings) else {
        return Parsed { findings: findings.into_ordered(), ..Parsed::default() };
    };
    let mut reader = Reader::new(positions, buildings, now);
    for row in rows {
        reader.read(row, &mut findings);
    }
    let rows = reader.told.len();
    let loads = reader.into_loads(&mut findings);
    Parsed { loads, rows, findings: findings.into_ordered() }
}

/// Where each of [`COLUMNS`] is in the table.
type Positions = [usize; COLUMNS.len()];

fn positions(header: &TableRow, findings: &mut Findings) -> Option<Positions> {
    let place = Place::line(Source::LoadFile, header.line);
    let mut positions = [None; COLUMNS.len()];
    for (at, name) in header.fields.iter().enumerate() {
        let known = COLUMNS.iter().position(|column| column.eq_ignore_ascii_case(name));
        let Some(column) = known else { continue };
        if positions[column].replace(at).is_some() {
            let message = format!("the column {} is there twice", COLUMNS[column]);
            findings.error(place.column(at), message, "delete one of them");
            return None;
        }
    }
    let [Some(building), Some(start), Some(load)] = positions else {
        let missing = COLUMNS.iter().zip(positions).filter(|(_, at)| at.is_none());
        let missing: Vec<&str> = missing.map(|(name, _)| *name).collect();
        let message = format!("columns that are not there: {}", missing.join(", "));
        findings.error(place, message, COLUMNS_REMEDY);
        return None;
    };
    Some([building, start, load])
}

/// One row: whose load, when, how much.
struct Told {
    /// The building's position.
    building: usize,
    slot: SlotStart,
    load: f32,
    line: u32,
}

struct Reader<'b> {
    positions: Positions,
    buildings: &'b [Building],
    by_name: HashMap<&'b str, usize>,
    now: UtcMicros,
    told: Vec<Told>,
    /// Names that were told to be unknown, and buildings that were told to have no zone.
    reported: HashSet<String>,
}

impl<'b> Reader<'b> {
    fn new(positions: Positions, buildings: &'b [Building], now: UtcMicros) -> Self {
        let by_name =
            buildings.iter().enumerate().map(|(at, building)| (building.name.as_str(), at));
        Self {
            positions,
            buildings,
            by_name: by_name.collect(),
            now,
            told: Vec::new(),
            reported: HashSet::new(),
        }
    }

    fn read(&mut self, row: &TableRow, findings: &mut Findings) {
        let field = |column: usize| {
            row.fields.get(self.positions[column]).map_or("", String::as_str).to_owned()
        };
        let place =
            |column: usize| Place::line(Source::LoadFile, row.line).column(self.positions[column]);
        let (name, start, load) = (field(BUILDING), field(START), field(LOAD));
        if row.fields.iter().all(String::is_empty) || load.is_empty() {
            return;
        }
        let Some(load) = parse_load(&load) else {
            let message = format!("load {load:?} is not a figure from 0 on");
            findings.error(place(LOAD), message, "write a number, or leave the field empty");
            return;
        };
        let slot = match self.parse_start(&start) {
            Ok(slot) => slot,
            Err((what, remedy)) => {
                findings.error(place(START), format!("start {start:?} {what}"), remedy);
                return;
            }
        };
        let Some(&building) = self.by_name.get(name.as_str()) else {
            if self.reported.insert(name.clone()) {
                let message = format!("the building file has no building {name:?}");
                let remedy = "write the name exactly as in the building file";
                findings.error(place(BUILDING), message, remedy);
            }
            return;
        };
        if self.buildings[building].time_zone.is_none() {
            if self.reported.insert(name.clone()) {
                let message = format!("{name:?} has no time zone, and its load is left out");
                let remedy = "tell its zone in the companion table of the building file";
                findings.warning(place(BUILDING), message, remedy);
            }
            return;
        }
        self.told.push(Told { building, slot, load, line: row.line });
    }

    /// The quarter-hour, or what is wrong with it and what to do.
    fn parse_start(&self, text: &str) -> Result<SlotStart, (&'static str, &'static str)> {
        let seconds = text.parse::<i64>().ok();
        let stamp = match seconds {
            Some(seconds) => Timestamp::from_second(seconds).ok(),
            None => text.parse::<Timestamp>().ok(),
        };
        let remedy = "write UTC as 2026-03-02T09:15:00Z, or seconds since 1970";
        let Some(stamp) = stamp else { return Err(("is no moment", remedy)) };
        let at = UtcMicros(stamp.as_microsecond());
        if at < EARLIEST {
            return Err(("lies before the year 2000", remedy));
        }
        if at > self.now {
            return Err(("lies in the future", "import what went on, not what is planned"));
        }
        if at.0 % SLOT_MICROS != 0 {
            return Err(("is not at a quarter-hour", "sum the load up by quarter-hours"));
        }
        Ok(SlotStart::containing(at))
    }

    fn into_loads(mut self, findings: &mut Findings) -> Vec<BuildingLoad> {
        let quarters = self.quarters_a_row();
        self.told.sort_by_key(|told| (told.building, told.slot));
        let mut days: BTreeMap<(BuildingId, Date), [Option<f32>; QUARTERS_A_DAY]> = BTreeMap::new();
        let mut again = None;
        for of_building in self.told.chunk_by(|a, b| a.building == b.building) {
            let Some(building) = of_building.first().map(|told| &self.buildings[told.building])
            else {
                continue;
            };
            let Some(zone) = zone_of(building) else { continue };
            for pair in of_building.windows(2).filter(|pair| pair[0].slot == pair[1].slot) {
                again.get_or_insert((pair[1].line, 0u32)).1 += 1;
            }
            for told in of_building {
                for quarter in 0..quarters {
                    let local = LocalDay::of(told.slot.offset(quarter), &zone);
                    let day = days.entry((building.id, local.date));
                    let day = day.or_insert([None; QUARTERS_A_DAY]);
                    if let Some(cell) = day.get_mut(usize::from(local.minute / MINUTES_A_QUARTER)) {
                        *cell = Some(told.load);
                    }
                }
            }
            if days.len() > MAX_DAYS {
                let message = format!("more than {MAX_DAYS} days of buildings");
                let place = Place::line(Source::LoadFile, 1);
                findings.error(place, message, "import the table in portions");
                return Vec::new();
            }
        }
        if let Some((line, count)) = again {
            let message =
                format!("{count} rows tell a building's load again; the later row counts");
            let place = Place::line(Source::LoadFile, line);
            findings.warning(place, message, "leave one row for each building and time");
        }
        let load = |((building, date), quarters)| BuildingLoad {
            building,
            date,
            source: LoadSource::Imported,
            machines: 0,
            quarters,
        };
        days.into_iter().map(load).collect()
    }

    /// How many quarter-hours a row holds for.
    fn quarters_a_row(&self) -> i64 {
        let all_on =
            |quarters: i64| self.told.iter().all(|told| told.slot.number() % quarters == 0);
        [4, 2].into_iter().find(|&quarters| all_on(quarters)).unwrap_or(1)
    }
}

fn parse_load(text: &str) -> Option<f32> {
    let load = text.parse::<f32>().ok()?;
    (load.is_finite() && load >= 0.0).then_some(load)
}

fn zone_of(building: &Building) -> Option<TimeZone> {
    TimeZone::get(building.time_zone.as_deref()?).ok()
}

/// The body of a fuzz target: whatever the bytes, what is read are loads of the buildings that there
/// are, and reading the text again gives the same.
///
/// # Panics
/// When that does not hold.
pub fn fuzz_parse(bytes: &[u8]) {
    let building = |number: u128, zone: &str| Building {
        id: BuildingId::from_u128(number),
        name: format!("B{number}"),
        city: String::new(),
        country: String::new(),
        region: String::new(),
        time_zone: Some(zone.to_owned()),
        business_hours: None,
        holidays: std::collections::BTreeSet::new(),
    };
    let buildings = [building(1, "Europe/Berlin"), building(2, "Asia/Kathmandu")];
    let now = UtcMicros::from_secs(4_102_444_800);
    let text = String::from_utf8_lossy(bytes);
    let parsed = parse(&text, &buildings, now);
    for load in &parsed.loads {
        assert!(buildings.iter().any(|building| building.id == load.building), "{text:?}");
        assert!(load.quarters.iter().flatten().all(|&load| load.is_finite() && load >= 0.0));
        assert!(load.quarters.iter().any(Option::is_some), "a day of nothing: {text:?}");
    }
    assert_eq!(parse(&text, &buildings, now), parsed, "{text:?}");
}

#[cfg(test)]
mod tests;
