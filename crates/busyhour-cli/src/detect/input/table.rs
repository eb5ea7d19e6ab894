//! A table that is read row by row. Rows that cannot be read are told by line and column, counted and
//! left out; too many of them, and the file is refused.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;

use super::columns::{Column, Layout};
use super::lines::{Line, Lines, Row};
use super::notes::Notes;
use super::value::Unit;

/// So many bad rows are told one by one.
const SHOWN: u64 = 5;
/// A file may always have so many bad rows.
const ALLOWED: u64 = 20;
/// And one in so many of its rows.
const ALLOWED_ONE_IN: u64 = 20;
/// From here on it is not waited for the end of the file.
const HOPELESS: u64 = 10_000;

/// Why a row cannot be read, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The column that it is about.
    pub(super) column: Option<usize>,
    /// What is wrong.
    pub(super) what: String,
    /// What to do.
    pub(super) remedy: &'static str,
}

/// A file as a table.
pub(super) struct Table {
    path: PathBuf,
    columns: &'static [Column],
    layout: Layout,
    delimiter: u8,
    lines: Lines,
    row: Row,
    /// The first line is a row that was not given out yet.
    first: bool,
    rows: u64,
    bad: u64,
}

impl Table {
    /// Opens a table; `None` when it has no rows.
    ///
    /// # Errors
    /// When the file cannot be read, or its first line is neither one of names nor a row.
    pub(super) fn open(
        path: &Path,
        columns: &'static [Column],
        bar: &ProgressBar,
        notes: &mut Notes,
    ) -> anyhow::Result<Option<Self>> {
        let lines = Lines::open(path, bar)?;
        Self::of(path, columns, lines, notes)
    }

    /// Reads from lines; the path is for messages.
    pub(super) fn of(
        path: &Path,
        columns: &'static [Column],
        mut lines: Lines,
        notes: &mut Notes,
    ) -> anyhow::Result<Option<Self>> {
        let reading = || format!("read {}", path.display());
        let delimiter = lines.sniff().with_context(reading)?;
        let mut row = Row::default();
        match lines.next(delimiter, &mut row).with_context(reading)? {
            Line::End => {
                notes.warn(&format!("{} is empty", shown(path)));
                return Ok(None);
            }
            Line::Broken(why) => bail!("{}, line {}: {why}", path.display(), lines.number()),
            Line::Row => {}
        }
        let Some(layout) = Layout::of(&row, columns) else {
            bail!("{}", not_this_table(path, &row, columns));
        };
        for name in &layout.unknown {
            notes.add(&format!("{}: column {name:?} is not known and not read", shown(path)));
        }
        let first = !layout.has_header;
        let path = path.to_owned();
        Ok(Some(Self { path, columns, layout, delimiter, lines, row, first, rows: 0, bad: 0 }))
    }

    /// Moves on to the next row; false at the end.
    ///
    /// # Errors
    /// When the file cannot be read on, or has too many bad rows.
    pub(super) fn next(&mut self, notes: &mut Notes) -> anyhow::Result<bool> {
        loop {
            if std::mem::take(&mut self.first) {
                self.rows += 1;
                return Ok(true);
            }
            let line = self.lines.next(self.delimiter, &mut self.row).with_context(|| {
                let (path, line) = (self.path.display(), self.lines.number());
                format!("read {path} on after line {line} (is the file complete?)")
            })?;
            match line {
                Line::End => return Ok(false),
                Line::Row => {
                    self.rows += 1;
                    return Ok(true);
                }
                Line::Broken(why) => {
                    self.rows += 1;
                    let remedy = "mend or delete the line";
                    self.refuse(&Fault { column: None, what: why.to_owned(), remedy }, notes)?;
                }
            }
        }
    }

    /// The field of a column; nothing where it is empty, the row too short or the column not there.
    pub(super) fn text(&self, column: usize) -> &str {
        self.layout.place(column).and_then(|place| self.row.field(place)).unwrap_or("")
    }

    /// True when the file has the column.
    pub(super) fn has(&self, column: usize) -> bool {
        self.layout.place(column).is_some()
    }

    /// True when the first line named the columns.
    pub(super) fn has_header(&self) -> bool {
        self.layout.has_header
    }

    /// The unit of a column.
    pub(super) fn unit(&self, column: usize) -> Unit {
        self.layout.unit(column)
    }

    /// Rows so far, bad ones included.
    pub(super) const fn rows(&self) -> u64 {
        self.rows
    }

    /// The file's name.
    pub(super) fn name(&self) -> String {
        shown(&self.path)
    }

    /// Says that a text in a column is not what it should be.
    pub(super) fn fault(&self, column: usize, is_not: &str, remedy: &'static str) -> Fault {
        let (name, text) = (self.columns[column].name, self.text(column));
        Fault { column: Some(column), what: format!("{name} {text:?} is not {is_not}"), remedy }
    }

    /// Leaves the present row out.
    ///
    /// # Errors
    /// When there were too many.
    pub(super) fn refuse(&mut self, fault: &Fault, notes: &mut Notes) -> anyhow::Result<()> {
        self.bad += 1;
        if self.bad <= SHOWN {
            notes.warn(&self.told(fault));
        }
        if self.bad >= HOPELESS && self.has_too_many() {
            bail!("{}", self.too_many(fault));
        }
        Ok(())
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// When there were too many bad rows.
    pub(super) fn finish(&self, notes: &mut Notes) -> anyhow::Result<()> {
        if self.has_too_many() {
            let fault = Fault { column: None, what: String::new(), remedy: "see above" };
            bail!("{}", self.too_many(&fault));
        }
        if self.bad > SHOWN {
            let (bad, rows) = (self.bad, self.rows);
            notes.warn(&format!("{}: rows that could not be read: {bad} of {rows}", self.name()));
        }
        Ok(())
    }

    fn has_too_many(&self) -> bool {
        self.bad > ALLOWED + self.rows / ALLOWED_ONE_IN || (self.rows > 0 && self.bad == self.rows)
    }

    fn told(&self, fault: &Fault) -> String {
        let place = fault.column.and_then(|column| self.layout.place(column));
        let place = place.map(|place| format!(", column {}", place + 1)).unwrap_or_default();
        let (name, line) = (self.name(), self.lines.number());
        format!("{name}, line {line}{place}: {}; {} (row left out)", fault.what, fault.remedy)
    }

    fn too_many(&self, fault: &Fault) -> String {
        let (path, bad, rows) = (self.path.display(), self.bad, self.rows);
        let last = if fault.what.is_empty() { String::new() } else { format!(": {}", fault.what) };
        format!(
            "{path}: {bad} of {rows} rows cannot be read{last}; more than {ALLOWED} and one in \
             {ALLOWED_ONE_IN} is another format or a damaged file"
        )
    }
}

/// A file's name, without its folder.
pub(super) fn shown(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn not_this_table(path: &Path, first: &Row, columns: &[Column]) -> String {
    let required = columns.iter().filter(|column| column.required).map(|column| column.name);
    let found: Vec<&str> = first.fields().take(20).collect();
    let required: Vec<&str> = required.collect();
    format!(
        "{}, line 1 holds {found:?}: neither names of columns, {required:?} among them, nor a row in \
         the documented order (see --help)",
        path.display()
    )
}
