//! The building file of the Call Quality Dashboard and its companion table: read, checked, written.
//!
//! The file has no header, 14 or 15 columns (the last, `VPN`, is optional), commas or tabs. The
//! companion table has a header and tells what the format has no column for: time zone, business
//! hours, IPv6 prefixes, and the egress prefix that tells equal private prefixes apart.
//!
//! Reading never stops at the first fault: all findings are collected, each with its place and its
//! remedy.

mod companion;
mod export;
mod lint;
mod places;
mod rows;
pub(crate) mod table;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;

use crate::{FileBuilding, FileSubnet};

pub use export::{export, export_companion, from_inventory};

/// Findings that are told; a file with more has one fault many times.
const MAX_FINDINGS: usize = 1_000;

/// Whether a finding forbids the import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The file must not be imported.
    Error,
    /// The file may be imported; somebody should look.
    Warning,
}

impl Severity {
    /// The word used in JSON, on the command line and the page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which text a finding is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The building file.
    BuildingFile,
    /// The companion table.
    Companion,
    /// A table of load ([`crate::load_file`]).
    LoadFile,
}

impl Source {
    /// The words used in JSON, on the command line and the page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BuildingFile => "building file",
            Self::Companion => "companion table",
            Self::LoadFile => "load table",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Something to be said about a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// In which text.
    pub source: Source,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1; `None` when it is about the whole line.
    pub column: Option<u32>,
    /// Whether it forbids the import.
    pub severity: Severity,
    /// What was found, with the column's name.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// What a building file (with its companion table) says, and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parsed {
    /// The buildings, in the order of the file. Not to be imported when [`Self::has_errors`].
    pub buildings: Vec<FileBuilding>,
    /// The findings, errors first, then by text and line.
    pub findings: Vec<Finding>,
}

impl Parsed {
    /// True when a finding forbids the import.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// Reads a building file and, when given, its companion table.
///
/// Time zones and business hours that the companion table does not tell are told from country and
/// state where only one answer is possible; where not, a warning names the building.
#[must_use]
pub fn parse(file: &str, companion: Option<&str>) -> Parsed {
    let mut findings = Findings::default();
    let mut draft = Draft::default();
    rows::read(file, &mut draft, &mut findings);
    if let Some(companion) = companion {
        companion::read(companion, &mut draft, &mut findings);
    }
    places::fill(&mut draft, &mut findings);
    lint::check(&draft, &mut findings);
    Parsed { buildings: draft.into_buildings(), findings: findings.into_ordered() }
}

/// The body of a fuzz target: whatever the bytes, a file without errors comes back from its own
/// export.
///
/// # Panics
/// When that does not hold.
pub fn fuzz_parse(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let parsed = parse(&text, None);
    if parsed.has_errors() || parsed.buildings.is_empty() {
        return;
    }
    let again = parse(&export(&parsed.buildings), None);
    assert_eq!(again.buildings, parsed.buildings, "{text:?}");
}

/// Where something was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    source: Source,
    line: u32,
    column: Option<u32>,
}

impl Place {
    pub(crate) const fn line(source: Source, line: u32) -> Self {
        Self { source, line, column: None }
    }

    /// A column of the same line, by its index from 0.
    pub(crate) const fn column(self, index: usize) -> Self {
        Self { column: Some(index as u32 + 1), ..self }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn error(
        &mut self,
        place: Place,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Severity::Error, place, message.into(), remedy.into());
    }

    pub(crate) fn warning(
        &mut self,
        place: Place,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Severity::Warning, place, message.into(), remedy.into());
    }

    fn add(&mut self, severity: Severity, place: Place, message: String, remedy: String) {
        let Place { source, line, column } = place;
        self.0.push(Finding { source, line, column, severity, message, remedy });
    }

    pub(crate) fn into_ordered(mut self) -> Vec<Finding> {
        self.0.sort_by_key(|finding| {
            (finding.severity, finding.source, finding.line, finding.column)
        });
        let left_out = self.0.len().saturating_sub(MAX_FINDINGS);
        if left_out > 0 {
            let next = &self.0[MAX_FINDINGS];
            let (severity, place) = (next.severity, Place::line(next.source, next.line));
            self.0.truncate(MAX_FINDINGS);
            let message = format!("{left_out} more findings are not listed");
            self.add(severity, place, message, "mend what is listed and try again".to_owned());
        }
        self.0
    }
}

/// The buildings and networks as far as they are read.
#[derive(Debug, Default)]
struct Draft {
    buildings: Vec<DraftBuilding>,
    by_name: HashMap<String, usize>,
    networks: Vec<DraftNetwork>,
}

#[derive(Debug)]
struct DraftBuilding {
    building: FileBuilding,
    state: String,
    /// Its first row.
    place: Place,
}

#[derive(Debug)]
struct DraftNetwork {
    subnet: FileSubnet,
    /// The position of its building.
    building: usize,
    /// Where its prefix was read.
    place: Place,
}

impl Draft {
    fn into_buildings(self) -> Vec<FileBuilding> {
        let mut buildings: Vec<_> =
            self.buildings.into_iter().map(|draft| draft.building).collect();
        for network in self.networks {
            buildings[network.building].subnets.push(network.subnet);
        }
        buildings
    }
}
