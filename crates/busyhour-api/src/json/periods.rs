//! The reports that there are: which kinds, and of which periods that are over.

use busyhour_report::{Period, ReportKind};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Items, items};
use crate::app::App;

/// Periods of each kind that are listed, back from the last that is over in all zones.
const LISTED: usize = 8;

/// A report that can be asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PeriodItem {
    /// `daily`, `weekly` or `monthly`.
    kind: &'static str,
    title: &'static str,
    /// `2026-08-21`, `2026-W34`, `2026-08`.
    period: String,
    first_date: String,
    last_date: String,
}

impl PeriodItem {
    fn new(period: Period) -> Self {
        Self {
            kind: period.kind().as_str(),
            title: period.kind().title(),
            period: period.to_string(),
            first_date: period.first().to_string(),
            last_date: period.last().to_string(),
        }
    }
}

/// The last periods of each kind, newest first.
pub(crate) async fn list(app: App) -> Items<PeriodItem> {
    let now = app.now();
    let of_kind = |&kind: &ReportKind| {
        let last = Period::over_everywhere(kind, now);
        std::iter::successors(Some(last), |period| Some(period.previous())).take(LISTED)
    };
    Ok(items(ReportKind::ALL.iter().flat_map(of_kind).map(PeriodItem::new).collect()))
}
