//! A fleet that is not ours, read from a folder of tables.
//!
//! Whatever is missing is said, with what is lost for it; a row that cannot be read is told, counted
//! and left out.

mod buildings;
mod columns;
mod data;
mod fleet;
mod lines;
mod load;
mod notes;
mod slots;
mod table;
mod value;
mod windows;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use busyhour_detect::{Bin, Fleet};
use busyhour_model::SlotStart;
use indicatif::ProgressBar;

use self::buildings::Buildings;
use self::columns::Layout;
use self::data::{Data, Kind};
use self::fleet::Draft;
use self::lines::{Line, Lines, Row};
use self::table::{Table, shown};
use super::cells::{Cells, Repeated};

pub(super) use self::buildings::Fallback;
pub(super) use self::data::Period;
pub(super) use self::notes::Notes;
pub(super) use self::value::{hours, zone};

/// A table may be compressed.
const ENDINGS: [&str; 3] = [".csv", ".csv.zst", ".tsv"];
/// More files than any export has.
const MAX_FILES: usize = 1_000;

/// What the command line says about the input.
#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    /// Zone and hours where the files tell none.
    pub(super) fallback: Fallback,
    /// The dates that are asked for.
    pub(super) period: Period,
    /// How long slots are, in minutes, where that is not to be seen in the data.
    pub(super) slot_minutes: Option<u32>,
}

/// Everything that was read.
#[derive(Debug)]
pub(super) struct Input {
    /// Buildings and series.
    pub(super) fleet: Fleet,
    /// What the series saw.
    pub(super) cells: Cells,
    /// The load of each building by quarter-hour, ascending; of later buildings there is none.
    pub(super) loads: Vec<Vec<(SlotStart, f32)>>,
}

/// The files of a fleet.
#[derive(Debug, Default, PartialEq, Eq)]
struct Files {
    buildings: Option<PathBuf>,
    series: Option<PathBuf>,
    load: Option<PathBuf>,
    data: PathBuf,
}

/// Reads a folder, or a single file of data. The bar moves with the bytes; the notes are worth reading
/// after an error too.
///
/// # Errors
/// When there are no data, a file cannot be read, has too many bad rows or is another table, or zone or
/// hours of a building are not known.
pub(super) fn read(
    path: &Path,
    options: &Options,
    bar: &ProgressBar,
    notes: &mut Notes,
) -> anyhow::Result<Input> {
    let files = Files::of(path, notes)?;
    bar.set_length(files.bytes());
    let buildings = match &files.buildings {
        Some(path) => Buildings::read(path, bar, notes)?,
        None => {
            let lost = "buildings are told by the names of series (building/...), and zone and hours \
                        by --zone and --hours; holidays are told by load alone";
            notes.add(&format!("there is no buildings.csv: {lost}"));
            Buildings::default()
        }
    };
    let mut draft = Draft::new(buildings);
    match &files.series {
        Some(path) => draft.read_series(path, bar, notes)?,
        None => notes.add(
            "there is no series.csv: each series is an agent on a subnet of its own, nothing is placed \
             beyond a building, and Wi-Fi and VPN are told by names alone",
        ),
    }
    let mut data = read_data(&files.data, options.period, &mut draft, bar, notes)?;
    let loads = match &files.load {
        Some(path) => load::read(path, options.period, &draft, bar, notes)?,
        None => {
            let lost = "the configured hours are the busy hours, and days on which nobody worked are \
                        told by holidays alone";
            notes.add(&format!("there is no load.csv: {lost}"));
            Vec::new()
        }
    };
    let bin = settle(&mut data, options.slot_minutes, notes)?;
    let strays = data.cells.leave_out_strays();
    if strays > 0 {
        notes.warn(&format!(
            "{}: slots more than a month away from nearly all others: {strays} (left out)",
            data.name
        ));
    }
    let fleet = draft.into_fleet(bin, &options.fallback, notes)?;
    if data.cells.observed() == 0 {
        bail!("{} holds no row that can be judged", data.name);
    }
    notes.add(&format!(
        "{} buildings and {} series; {} series have data",
        fleet.buildings.len(),
        fleet.series.len(),
        data.cells.observed()
    ));
    Ok(Input { fleet, cells: data.cells, loads })
}

fn read_data(
    path: &Path,
    period: Period,
    draft: &mut Draft,
    bar: &ProgressBar,
    notes: &mut Notes,
) -> anyhow::Result<Data> {
    let Some(kind) = kind_of(path)? else {
        bail!(
            "{}: line 1 is neither one of column names nor a row of slots, windows or samples (the \
             columns are told by --help)",
            path.display()
        );
    };
    let columns = match kind {
        Kind::Slots => slots::COLUMNS,
        Kind::Windows => windows::WINDOWS,
        Kind::Samples => windows::SAMPLES,
    };
    let table = Table::open(path, columns, bar, notes)?;
    let table = table.with_context(|| format!("{} is empty", path.display()))?;
    match kind {
        Kind::Slots => slots::read(table, period, draft, notes),
        Kind::Windows => windows::read(table, period, draft, notes),
        Kind::Samples => windows::read_samples(table, period, draft, notes),
    }
}

/// What a file of data holds, by its columns; without a line of names by the file's name, and else it
/// is samples when it has three columns. `None` for something else.
fn kind_of(path: &Path) -> anyhow::Result<Option<Kind>> {
    let reading = || format!("read {}", path.display());
    let mut lines = Lines::open(path, &ProgressBar::hidden())?;
    let delimiter = lines.sniff().with_context(reading)?;
    let mut first = Row::default();
    match lines.next(delimiter, &mut first).with_context(reading)? {
        Line::Row => {}
        Line::End => bail!("{} is empty", path.display()),
        Line::Broken(why) => bail!("{}, line {}: {why}", path.display(), lines.number()),
    }
    let kinds = [
        (Kind::Slots, slots::COLUMNS, "slots"),
        (Kind::Windows, windows::WINDOWS, "windows"),
        (Kind::Samples, windows::SAMPLES, "samples"),
    ];
    let layouts = kinds.map(|(kind, columns, name)| (kind, name, Layout::of(&first, columns)));
    for (kind, _, layout) in &layouts {
        if layout.as_ref().is_some_and(|layout| layout.has_header) {
            return Ok(Some(*kind));
        }
    }
    let stem = shown(path);
    let named = layouts.iter().find(|(_, name, layout)| layout.is_some() && stem.starts_with(name));
    let by_name = named.map(|(kind, _, _)| *kind);
    Ok(by_name.or((first.len() == 3).then_some(Kind::Samples)))
}

/// Finds out how long slots are, and puts the cells in order.
fn settle(data: &mut Data, told: Option<u32>, notes: &mut Notes) -> anyhow::Result<Bin> {
    let name = &data.name;
    if data.kind != Kind::Slots {
        let parts = data.cells.settle(Bin::Quarter, 15, Repeated::AreParts);
        if parts > 0 {
            notes.warn(&format!(
                "{name}: rows of {parts} quarter-hours stand so far apart that repeated ones among them \
                 count twice; order the file by series or by time"
            ));
        }
        told_again(data.again, name, notes);
        return Ok(Bin::Quarter);
    }
    if data.cells.observed() == 0 {
        return Ok(Bin::Quarter);
    }
    let minutes = told.unwrap_or_else(|| data.cells.slot_minutes());
    let bin = Bin::holding(minutes)
        .with_context(|| format!("slots of {minutes} minutes do not divide an hour"))?;
    let again = data.cells.settle(bin, minutes, Repeated::LaterCounts);
    let judged = u32::from(bin.quarters()) * 15;
    let as_seen = if told.is_some() { "as told" } else { "as the data show" };
    let merged = if judged == minutes { String::new() } else { format!(", merged into {judged}") };
    notes.add(&format!("{name}: slots of {minutes} minutes ({as_seen}){merged}"));
    if bin == Bin::Hour {
        notes.add(&format!(
            "{name}: in slots that long it is not seen whether an hour's bad windows lie together, so \
             that single bursts are taken for bad hours more often"
        ));
    }
    told_again(again, name, notes);
    Ok(bin)
}

fn told_again(rows: u64, name: &str, notes: &mut Notes) {
    if rows > 0 {
        notes.add(&format!("{name}: rows told again: {rows} (the later one counts)"));
    }
}

impl Files {
    fn of(path: &Path, notes: &mut Notes) -> anyhow::Result<Self> {
        if !path.is_dir() {
            return Ok(Self { data: path.to_owned(), ..Self::default() });
        }
        let mut tables = Vec::new();
        let listing = path.read_dir().with_context(|| format!("list {}", path.display()))?;
        for entry in listing.take(MAX_FILES) {
            let entry = entry.with_context(|| format!("list {}", path.display()))?.path();
            if entry.is_file() && stem(&entry).is_some() {
                tables.push(entry);
            }
        }
        tables.sort_unstable();
        Self::among(path, &tables, notes)
    }

    /// Chooses among tables, in order.
    fn among(path: &Path, tables: &[PathBuf], notes: &mut Notes) -> anyhow::Result<Self> {
        let named = |name: &str| {
            let found = |table: &&PathBuf| stem(table).is_some_and(|stem| stem == name);
            tables.iter().find(found).cloned()
        };
        let (buildings, series, load) = (named("buildings"), named("series"), named("load"));
        let (slots, windows) = (named("slots"), named("windows"));
        if let (Some(_), Some(windows)) = (&slots, &windows) {
            notes.add(&format!("there are slots: {} is not read", shown(windows)));
        }
        if let Some(data) = slots.or(windows) {
            return Ok(Self { buildings, series, load, data });
        }
        let known = [&buildings, &series, &load];
        let others: Vec<&PathBuf> =
            tables.iter().filter(|table| !known.contains(&&Some((*table).clone()))).collect();
        match others[..] {
            [data] => Ok(Self { data: data.clone(), buildings, series, load }),
            [] => bail!(
                "{} holds neither slots.csv nor windows.csv nor another table (each may be compressed \
                 with zstd as .csv.zst)",
                path.display()
            ),
            _ => {
                let names: Vec<String> = others.iter().map(|path| shown(path)).collect();
                bail!(
                    "{} holds neither slots.csv nor windows.csv, and several other tables ({}): keep \
                     one of them there",
                    path.display(),
                    buildings::some(&names)
                )
            }
        }
    }

    /// How many bytes there are to read.
    fn bytes(&self) -> u64 {
        let files = [self.buildings.as_ref(), self.series.as_ref(), self.load.as_ref()];
        let files = files.into_iter().flatten().chain([&self.data]);
        files.filter_map(|path| path.metadata().ok()).map(|file| file.len()).sum()
    }
}

/// A table's name without folder and ending; `None` for what is no table.
fn stem(path: &Path) -> Option<String> {
    let name = shown(path).to_lowercase();
    ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)).map(str::to_owned)
}

#[cfg(test)]
mod tests;
