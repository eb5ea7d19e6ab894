//! What days go by does to findings that no problem of today is about.

use busyhour_model::IncidentState;
use jiff::civil::Date;

use super::{Book, Family, family};
use crate::finding::{Change, Finding, FindingKind};
use crate::fleet::SeriesNo;
use crate::timeline::{Timeline, is_stale};
use crate::trigger::first_day;

/// Dates that a finding keeps, the latest.
const KEPT_DATES: usize = 60;

impl Book<'_> {
    /// Figures that follow from the rows: days, severity.
    pub(super) fn refresh(&self, finding: &mut Finding) {
        if family(finding.kind) == Family::Degradation {
            let timeline = Timeline::of(self.fleet, self.history, finding, self.today);
            let from = first_day(self.today).max(self.history.first_date().unwrap_or(Date::MIN));
            // Older rows are gone; what was seen then stays as it was.
            let old = |dates: &[Date]| -> Vec<Date> {
                dates.iter().copied().filter(|date| *date < from).collect()
            };
            let observed = timeline.days.iter().map(|day| day.date);
            finding.observed_days =
                old(&finding.observed_days).into_iter().chain(observed).collect();
            let bad = timeline.bad_days();
            if !bad.is_empty() {
                finding.bad_days = old(&finding.bad_days).into_iter().chain(bad).collect();
            }
            if let Some(severity) = timeline.severity() {
                finding.severity = severity;
            }
        } else {
            finding.observed_days.extend(finding.bad_days.iter().copied());
        }
        for dates in [&mut finding.bad_days, &mut finding.observed_days] {
            dates.sort_unstable();
            dates.dedup();
            let many = dates.len().saturating_sub(KEPT_DATES);
            dates.drain(..many);
        }
        if let Some(&last) = finding.bad_days.last() {
            finding.last_bad = last;
        }
    }

    /// Moves on what no problem of today is about: better, over, unseen.
    pub(crate) fn settle(&mut self) {
        for at in 0..self.findings.len() {
            if self.seen.contains(&at) || self.findings[at].state == IncidentState::Closed {
                continue;
            }
            let mut finding = self.findings[at].clone();
            self.settle_one(&mut finding);
            self.findings[at] = finding;
        }
    }

    pub(super) fn settle_one(&self, finding: &mut Finding) {
        let today = self.today;
        let timeline = Timeline::of(self.fleet, self.history, finding, today);
        let close = |finding: &mut Finding, change| {
            finding.state = IncidentState::Closed;
            finding.closed = Some(today);
            finding.change = change;
            finding.changed = today;
        };
        if family(finding.kind) != Family::Degradation {
            // It is not there today; that says something only when somebody looked.
            let asked = finding.kind != FindingKind::Drift || self.history.asks_drift(today);
            let gone = is_stale(self.fleet, finding, finding.last_bad, today);
            if asked && (gone || self.was_looked_at(finding)) {
                close(finding, Change::Closed);
            }
            return;
        }
        self.refresh(finding);
        let weekly = finding.kind == FindingKind::WeeklyPattern;
        let last_seen = timeline.last_seen().unwrap_or(finding.last_bad);
        if is_stale(self.fleet, finding, last_seen, today) {
            if finding.opened.is_none() {
                close(finding, Change::Closed);
            } else if !finding.stale {
                finding.stale = true;
                finding.change = Change::Stale;
                finding.changed = today;
            }
            return;
        }
        finding.stale = false;
        // What nobody saw today is neither better nor over.
        if last_seen != today {
            return;
        }
        if timeline.is_over(weekly) {
            close(finding, Change::Closed);
        } else if timeline.is_better(weekly) && finding.state == IncidentState::Open {
            finding.state = IncidentState::Recovering;
            finding.change = Change::Recovering;
            finding.changed = today;
        } else if finding.state == IncidentState::Recovering && !timeline.is_better(weekly) {
            finding.state = IncidentState::Open;
        }
    }

    /// True when somebody would have seen today what a finding of what happens is about: at any hour,
    /// or on a working day for what busy hours show.
    fn was_looked_at(&self, finding: &Finding) -> bool {
        let looked = |no: &SeriesNo| {
            self.history.day(*no, self.today).is_some_and(|row| match finding.kind {
                FindingKind::EarlyWarning => row.verdict.is_observed(),
                _ => row.is_seen(),
            })
        };
        finding.members.iter().any(looked)
    }
}
