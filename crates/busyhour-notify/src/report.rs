//! Reports by mail: which ones, when, to whom.

use std::time::Duration;

use busyhour_model::UtcMicros;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::Deserialize;
use thiserror::Error;

use crate::hours::moment;
use crate::route::{parse_minute, parse_zone};

/// A report that could not be sent at its time, as the collector was down, is sent until then.
const LATE: Duration = Duration::from_secs(3 * 24 * 3_600);
const LATE_DAYS: i64 = 3;

/// Which report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportKind {
    /// Of yesterday, each day.
    Daily,
    /// Of last week, on Mondays.
    Weekly,
    /// Of last month, on its first day.
    Monthly,
}

/// One `[[report]]`, as written. [`ReportPlan::build`] checks it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportConfig {
    /// A name, unique among the reports.
    pub name: String,
    /// Which report.
    pub kind: ReportKind,
    /// When it is sent, such as `07:30`.
    pub at: String,
    /// By the clock of this time zone.
    pub zone: String,
    /// The channels that it is sent on.
    pub channels: Vec<String>,
}

/// A report that cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("report {report:?} cannot be used: {problem}")]
pub struct InvalidReport {
    report: String,
    problem: String,
}

/// A report to be sent again and again, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportPlan {
    name: String,
    kind: ReportKind,
    minute: u16,
    zone: TimeZone,
    pub(crate) channels: Vec<String>,
}

/// A report as whoever renders it hands it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportMail {
    /// The subject.
    pub subject: String,
    /// The whole as HTML, for mail programs.
    pub html: String,
    /// The whole as text.
    pub text: String,
    /// Its tables: file name, media type, bytes.
    pub attachments: Vec<(String, String, Vec<u8>)>,
    /// Some of it rests on simulated data: it never leaves this machine.
    pub simulated: bool,
}

/// Who renders reports.
pub trait Reports: Send + Sync {
    /// The last report of a kind that was over by the beginning of `today`. May block.
    ///
    /// # Errors
    /// What went wrong, in words.
    fn render(&self, kind: ReportKind, today: Date) -> Result<ReportMail, String>;
}

impl ReportPlan {
    /// Checks a report; `channels` are the names of those there are.
    ///
    /// # Errors
    /// When it names what there is not.
    pub fn build(config: &ReportConfig, channels: &[&str]) -> Result<Self, InvalidReport> {
        let wrong = |problem: String| InvalidReport { report: config.name.clone(), problem };
        if config.name.is_empty() || config.name.contains(':') || config.channels.is_empty() {
            return Err(wrong("it needs a name without a colon, and a channel".to_owned()));
        }
        if let Some(none) = config.channels.iter().find(|name| !channels.contains(&name.as_str())) {
            return Err(wrong(format!("there is no channel {none:?}")));
        }
        Ok(Self {
            name: config.name.clone(),
            kind: config.kind,
            minute: parse_minute(&config.at).map_err(wrong)?,
            zone: parse_zone(&config.zone).map_err(wrong)?,
            channels: config.channels.clone(),
        })
    }

    /// The name of what is to be sent now, whether it was sent already or not: the plan's and a date.
    pub(crate) fn due(&self, now: UtcMicros) -> Option<String> {
        let local = Timestamp::from_microsecond(now.0).ok()?.to_zoned(self.zone.clone()).date();
        let days = (0..=LATE_DAYS).filter_map(|n| local.checked_sub(Span::new().days(n)).ok());
        let due = |date: &Date| {
            let at = moment(*date, self.minute, &self.zone);
            self.is_on(*date) && at.is_some_and(|at| at <= now && now < at.plus(LATE))
        };
        let date = { days }.find(due)?;
        Some(format!("{}:{date}", self.name))
    }

    fn is_on(&self, date: Date) -> bool {
        match self.kind {
            ReportKind::Daily => true,
            ReportKind::Weekly => date.weekday() == Weekday::Monday,
            ReportKind::Monthly => date.day() == 1,
        }
    }

    /// True when it is this plan that asked for the report of that name.
    pub(crate) fn asks_for(&self, name: &str) -> bool {
        self.of(name).is_some()
    }

    /// What to render for a name that it asked for.
    pub(crate) fn of(&self, name: &str) -> Option<(ReportKind, Date)> {
        let (plan, date) = name.split_once(':')?;
        if plan != self.name {
            return None;
        }
        Some((self.kind, date.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(kind: ReportKind) -> ReportPlan {
        let config = ReportConfig {
            name: "review".to_owned(),
            kind,
            at: "07:30".to_owned(),
            zone: "Europe/Berlin".to_owned(),
            channels: vec!["mail".to_owned()],
        };
        ReportPlan::build(&config, &["mail"]).unwrap()
    }

    #[test]
    fn a_report_is_due_from_its_time_on_and_for_three_days() {
        let check = |kind, now: &str, expected: Option<&str>| {
            let at = UtcMicros(now.parse::<Timestamp>().unwrap().as_microsecond());
            assert_eq!(plan(kind).due(at).as_deref(), expected, "{now}");
        };
        // The 23rd of March 2026 was a Monday.
        check(ReportKind::Weekly, "2026-03-23T06:29:59Z", None);
        check(ReportKind::Weekly, "2026-03-23T06:30:00Z", Some("review:2026-03-23"));
        check(ReportKind::Weekly, "2026-03-26T06:29:00Z", Some("review:2026-03-23"));
        check(ReportKind::Weekly, "2026-03-26T06:31:00Z", None);
        check(ReportKind::Daily, "2026-03-26T06:31:00Z", Some("review:2026-03-26"));
        check(ReportKind::Daily, "2026-03-26T06:29:00Z", Some("review:2026-03-25"));
        check(ReportKind::Monthly, "2026-04-01T05:30:00Z", Some("review:2026-04-01"));
        check(ReportKind::Monthly, "2026-04-20T05:30:00Z", None);
        let weekly = plan(ReportKind::Weekly);
        let monday = "2026-03-23".parse().unwrap();
        assert_eq!(weekly.of("review:2026-03-23"), Some((ReportKind::Weekly, monday)));
        assert!(!weekly.asks_for("other:2026-03-23") && !weekly.asks_for("review:soon"));
    }
}
