//! From the store to a report in all its forms.

use busyhour_model::{BuildingId, UtcMicros};
use busyhour_store::StoreError;
use thiserror::Error;

use crate::csv::csv;
use crate::daily::{self, DailyDigest};
use crate::document::{Document, count};
use crate::html::{Dress, html};
use crate::monthly::MonthlyPack;
use crate::period::{Period, ReportKind};
use crate::source::Source;
use crate::text::text;
use crate::weekly::{self, WeeklyReview};
use crate::world::World;

/// Why there is no report.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The store could not be read.
    #[error("read what the report rests on")]
    Store(#[from] StoreError),
    /// The page could not be written.
    #[error("write the report's page")]
    Page(#[source] askama::Error),
}

/// A report as a mail has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The subject.
    pub subject: String,
    /// The body as HTML for mail programs: no pictures, no variables, no scripts.
    pub html: String,
    /// The body as text, complete by itself.
    pub text: String,
    /// The page that prints well, and a CSV for each table.
    pub attachments: Vec<Attachment>,
    /// Some of it rests on simulated data.
    pub simulated: bool,
}

/// A file of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its name: `busyhour-weekly-2026-W34-buildings.csv`.
    pub name: String,
    /// What it is.
    pub media_type: &'static str,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// Works a report out of the store; of one building when given.
///
/// # Errors
/// When the store cannot be read.
pub fn document(
    source: &dyn Source,
    period: Period,
    only: Option<BuildingId>,
    now: UtcMicros,
) -> Result<Document, StoreError> {
    let from = match period.kind() {
        ReportKind::Daily => period.first(),
        ReportKind::Weekly => WeeklyReview::needs_from(period),
        ReportKind::Monthly => MonthlyPack::needs_from(period),
    };
    let world = World::read(source, period, from, only, now)?;
    let (mut lead, tables, notes) = match period.kind() {
        ReportKind::Daily => {
            let digest = DailyDigest::new(&world, period);
            (digest.lead(), digest.tables(), daily::notes())
        }
        ReportKind::Weekly => {
            let review = WeeklyReview::new(&world, period);
            (review.lead(), review.tables(), weekly::notes())
        }
        ReportKind::Monthly => {
            let pack = MonthlyPack::new(source, &world, period)?;
            (pack.lead(), pack.tables(), pack.notes())
        }
    };
    let running =
        world.buildings.iter().filter(|building| !world.is_over(period, building)).count();
    if running > 0 {
        let of = count(world.buildings.len(), "building", "buildings");
        let unit = period.kind().unit();
        lead.push(format!(
            "In {running} of {of} the {unit} is not over yet: figures are not final, and no target is \
             met before."
        ));
    }
    let residents = world.residents();
    let here = world.buildings.iter().filter_map(|building| residents.get(&building.id));
    let simulated = here.flatten().any(|agent| agent.simulated)
        || world.incidents.iter().any(|incident| incident.simulated);
    let building = only.map(|id| world.building_name(id));
    Ok(Document { period, building, made: now, simulated, lead, tables, notes })
}

/// Works a report out of the store, as a mail has it.
///
/// # Errors
/// When the store cannot be read.
pub fn render(
    source: &dyn Source,
    period: Period,
    only: Option<BuildingId>,
    now: UtcMicros,
) -> Result<Report, ReportError> {
    document(source, period, only, now)?.mail()
}

impl Document {
    /// A page of its own: both themes, pictures, A4 when it is printed.
    ///
    /// # Errors
    /// When it cannot be written, which no report is known to bring about.
    pub fn page(&self) -> Result<String, ReportError> {
        html(self, Dress::Page).map_err(ReportError::Page)
    }

    /// Plain text.
    #[must_use]
    pub fn text(&self) -> String {
        text(self)
    }

    /// A table as CSV, by its name; `None` when there is none of this name.
    #[must_use]
    pub fn csv(&self, table: &str) -> Option<String> {
        self.tables.iter().find(|found| found.name == table).map(csv)
    }

    /// The name of a file of the report, without what says its kind.
    #[must_use]
    pub fn file_stem(&self) -> String {
        format!("busyhour-{}-{}", self.period.kind().as_str(), self.period)
    }

    /// As a mail has it.
    ///
    /// # Errors
    /// When a page cannot be written, which no report is known to bring about.
    pub fn mail(&self) -> Result<Report, ReportError> {
        let stem = self.file_stem();
        let mut attachments = vec![Attachment {
            name: format!("{stem}.html"),
            media_type: "text/html; charset=utf-8",
            bytes: self.page()?.into_bytes(),
        }];
        attachments.extend(self.tables.iter().map(|table| Attachment {
            name: format!("{stem}-{}.csv", table.name),
            media_type: "text/csv; charset=utf-8",
            bytes: csv(table).into_bytes(),
        }));
        let marked = if self.simulated { " (with simulated data)" } else { "" };
        let title: String =
            self.title().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Ok(Report {
            subject: format!("Busyhour: {title}{marked}"),
            html: html(self, Dress::Mail).map_err(ReportError::Page)?,
            text: self.text(),
            attachments,
            simulated: self.simulated,
        })
    }
}
