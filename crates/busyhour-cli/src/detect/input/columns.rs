//! Which column of a file is which: by its name, in any order and case and with a unit in the name; or,
//! without a line of names, by its place.

use super::lines::Row;
use super::value::Unit;

/// A column that a file may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    /// Its name in the documentation, without a unit.
    pub(super) name: &'static str,
    /// Other names for it, as `plain` makes them.
    pub(super) aliases: &'static [&'static str],
    /// A file without it cannot be read.
    pub(super) required: bool,
}

impl Column {
    pub(super) const fn required(name: &'static str, aliases: &'static [&'static str]) -> Self {
        Self { name, aliases, required: true }
    }

    pub(super) const fn optional(name: &'static str, aliases: &'static [&'static str]) -> Self {
        Self { name, aliases, required: false }
    }

    fn is_named(&self, plain: &str) -> bool {
        squeezed(&self.name.to_ascii_lowercase()) == squeezed(plain)
    }

    fn is_also_called(&self, plain: &str) -> bool {
        self.aliases.iter().any(|alias| squeezed(alias) == squeezed(plain))
    }
}

/// `BuildingName`, `building_name` and `building name` are one.
fn squeezed(name: &str) -> String {
    name.replace('_', "")
}

/// Other names for the moment that a row begins at.
pub(super) const STARTS: &[&str] = &[
    "slot",
    "slot_start",
    "start_slot",
    "time",
    "slot_time",
    "start_time",
    "timestamp",
    "ts",
    "t",
    "datetime",
    "date_time",
    "epoch",
    "utc",
    "begin",
    "from",
    "at",
    "window_start",
];

/// Where the columns of a table are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// For each column its place in a row.
    places: Vec<Option<usize>>,
    /// For each column the unit in its name.
    units: Vec<Unit>,
    /// Names of columns that nobody knows.
    pub(super) unknown: Vec<String>,
    /// The first line names the columns.
    pub(super) has_header: bool,
}

impl Layout {
    /// Lays out a table by its first line. `None` when this is no such table: a required column is not
    /// named, or nothing is named and the line has fewer fields than required columns come first.
    pub(super) fn of(first: &Row, columns: &[Column]) -> Option<Self> {
        let mut layout = Self {
            places: vec![None; columns.len()],
            units: vec![Unit::default(); columns.len()],
            unknown: Vec::new(),
            has_header: true,
        };
        let names: Vec<(String, Unit)> = first.fields().map(plain).collect();
        // A name counts before other names, and of two alike the first.
        for called in [Column::is_named, Column::is_also_called] {
            for (place, (name, unit)) in names.iter().enumerate() {
                let found = columns.iter().position(|column| called(column, name));
                if let Some(column) = found
                    && layout.places[column].is_none()
                    && !layout.places.contains(&Some(place))
                {
                    layout.places[column] = Some(place);
                    layout.units[column] = *unit;
                }
            }
        }
        let is_read = |place: usize| layout.places.contains(&Some(place));
        let unknown = first.fields().enumerate();
        let unknown = unknown.filter(|&(place, field)| !field.is_empty() && !is_read(place));
        layout.unknown = unknown.map(|(_, field)| field.to_owned()).collect();
        if !layout.names_columns(first) {
            return Self::by_order(first.len(), columns);
        }
        let mut places = columns.iter().zip(&layout.places);
        let is_missing = places.any(|(column, place)| column.required && place.is_none());
        (!is_missing).then_some(layout)
    }

    /// A row of figures may hold a word or two that are names of columns as well (a network that is
    /// called VPN).
    fn names_columns(&self, first: &Row) -> bool {
        let known = self.places.iter().flatten().count();
        let is_figure = |field: &str| field.starts_with(|c: char| c.is_ascii_digit());
        known >= 3 || known * 2 >= first.len() || (known > 0 && !first.fields().any(is_figure))
    }

    /// The columns in their documented order, as many as there are.
    fn by_order(fields: usize, columns: &[Column]) -> Option<Self> {
        let needed = columns.iter().rposition(|column| column.required).map_or(0, |last| last + 1);
        (fields >= needed.max(1)).then(|| Self {
            places: (0..columns.len()).map(|place| (place < fields).then_some(place)).collect(),
            units: vec![Unit::default(); columns.len()],
            unknown: Vec::new(),
            has_header: false,
        })
    }

    /// The place of a column in a row.
    pub(super) fn place(&self, column: usize) -> Option<usize> {
        self.places.get(column).copied().flatten()
    }

    /// The unit that a column's name tells.
    pub(super) fn unit(&self, column: usize) -> Unit {
        self.units.get(column).copied().unwrap_or_default()
    }
}

/// Words that say nothing where another word stands beside them.
const FILLERS: [&str; 10] =
    ["n", "num", "number", "count", "windows", "packets", "pkts", "by", "any", "utc"];

/// A name in small letters with underscores, without words that say nothing, and the unit that it held.
fn plain(name: &str) -> (String, Unit) {
    let mut words: Vec<String> = name
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let mut unit = Unit::default();
    if words.len() > 1 {
        words.retain(|word| {
            match word.as_str() {
                "ms" | "msec" | "millis" | "milliseconds" => unit = Unit::Millis,
                "us" | "µs" | "usec" | "micros" | "microseconds" => unit = Unit::Micros,
                "s" | "sec" | "secs" | "seconds" => unit = Unit::Seconds,
                _ => return true,
            }
            false
        });
    }
    let says = |word: &String| !FILLERS.contains(&word.as_str());
    if words.iter().any(says) {
        words.retain(says);
    }
    (words.join("_"), unit)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::lines::Lines;
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column::required("series", &["path"]),
        Column::required("start", &["time", "slot_start"]),
        Column::optional("rtt_min", &["rtt_lowest"]),
        Column::optional("BuildingName", &["building"]),
    ];

    fn layout(line: &str) -> Option<Layout> {
        let mut row = Row::default();
        Lines::of(Cursor::new(line.to_owned())).next(b',', &mut row).unwrap();
        Layout::of(&row, &COLUMNS)
    }

    #[test]
    fn columns_are_found_by_name_in_any_order_case_and_unit() {
        let found = layout("RTT Min (us), Slot-Start UTC,Series,colour,building_name").unwrap();
        let places: Vec<_> = (0..4).map(|column| found.place(column)).collect();
        assert_eq!(places, [Some(2), Some(1), Some(0), Some(4)]);
        assert_eq!((found.unit(2), found.unit(0)), (Unit::Micros, Unit::Millis));
        assert_eq!(found.unknown, ["colour"]);
        assert!(found.has_header);
        let found = layout("path,time,rtt_ms_min").unwrap();
        assert_eq!((found.place(2), found.unit(2)), (Some(2), Unit::Millis));
        let found = layout("time,utc start,n_series").unwrap();
        assert_eq!((found.place(0), found.place(1)), (Some(2), Some(1)), "names before others");
        assert_eq!(found.unknown, ["time"]);
    }

    #[test]
    fn a_table_without_names_is_read_in_the_documented_order() {
        let found = layout("b/1,2025-02-09T08:00:00Z,1.5").unwrap();
        let places: Vec<_> = (0..4).map(|column| found.place(column)).collect();
        assert_eq!(places, [Some(0), Some(1), Some(2), None]);
        assert!(!found.has_header);
        let found = layout("path,2025-02-09T08:00:00Z,1.5,x,y").unwrap();
        assert!(!found.has_header, "a series may be called like a column");
    }

    #[test]
    fn another_table_is_not_taken_for_this_one() {
        assert_eq!(layout("series,value"), None, "start is missing");
        assert_eq!(layout("b/1"), None, "too short");
    }
}
