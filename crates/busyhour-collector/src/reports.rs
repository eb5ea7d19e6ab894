//! Reports for those who get them by mail.

use std::sync::Arc;

use busyhour_daemon::chain;
use busyhour_notify::{ReportKind, ReportMail, Reports};
use busyhour_report::{Period, Report, Whole};
use busyhour_store::{Control, Desk, Telemetry};
use jiff::civil::Date;

use crate::run::utc_now;

/// Works reports out of the whole store.
pub(crate) struct StoreReports {
    pub(crate) telemetry: Arc<dyn Telemetry>,
    pub(crate) control: Arc<dyn Control>,
    pub(crate) desk: Arc<dyn Desk>,
}

impl Reports for StoreReports {
    fn render(&self, kind: ReportKind, today: Date) -> Result<ReportMail, String> {
        let kind = match kind {
            ReportKind::Daily => busyhour_report::ReportKind::Daily,
            ReportKind::Weekly => busyhour_report::ReportKind::Weekly,
            ReportKind::Monthly => busyhour_report::ReportKind::Monthly,
        };
        let now = utc_now();
        let overlay = self.desk.overlay(now).map_err(|error| chain(&error).to_string())?;
        let whole = Whole {
            control: self.control.as_ref(),
            telemetry: self.telemetry.as_ref(),
            overlay: &overlay,
        };
        let period = Period::over_by(kind, today);
        let rendered = busyhour_report::render(&whole, period, None, now);
        let Report { subject, html, text, attachments, simulated } =
            rendered.map_err(|error| chain(&error).to_string())?;
        let files = attachments.into_iter();
        let attachments = files.map(|file| (file.name, file.media_type.to_owned(), file.bytes));
        Ok(ReportMail { subject, html, text, attachments: attachments.collect(), simulated })
    }
}
