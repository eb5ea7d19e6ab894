//! What is found beside degradation, and alerts nobody: what happened once, targets that failed, routes
//! that moved, busy hours that are slower than quiet ones.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::{Judge, votes};
use crate::beside::Beside;
use crate::drift::drift;
use crate::early::{EarlyWarning, early_warning};
use crate::finding::{FindingKind, Place, Siblings};
use crate::fleet::{Reach, SeriesNo};
use crate::life::{Book, Problem, Relation, Since};
use crate::locate::{Votes, asked, locate, says};
use crate::params::Rule;
use crate::quarters::Quarters;
use crate::series::SeriesDay;
use crate::shift::level_shift;
use crate::suffer::When;
use crate::trigger::{Trigger, first_day};

impl Judge<'_> {
    /// What was bad once, at whatever hour, for those who operate the network.
    pub(super) fn one_offs(&self, book: &mut Book<'_>) {
        let mut taken: BTreeSet<SeriesNo> = BTreeSet::new();
        for no in self.far_series() {
            let Some(row) = self.history.day(no, self.today) else { continue };
            if row.acute().is_empty() || taken.contains(&no) || book.suffers(no, Since::Opened) {
                continue;
            }
            let Some(info) = self.fleet.info(no) else { continue };
            let trigger = Trigger {
                series: vec![no],
                building: info.building,
                kind: FindingKind::OneOff,
                recurs: true,
                hours: row.acute(),
                bad_days: vec![self.today],
                pooled: false,
                delay_alone: false,
                share: row.acute_share(),
            };
            let bin = self.fleet.bin;
            let when = || When::of(&self.recent(no), bin, row.acute(), &trigger.bad_days);
            let near = self.params.holds(Rule::NearProbes);
            let question = (&trigger, trigger.bad_days.as_slice());
            let located = self.placed_before(question, &when, &|_, found| {
                let votes = found.map(|(own, seen)| votes(own, seen)).unwrap_or_default();
                locate(self.fleet, self.layout, no, &votes, 1, near)
            });
            let Some(located) = located else { continue };
            let problem = self.placed(&trigger, &located);
            taken.extend(&problem.members);
            book.take(&problem, &|_| Relation::Same);
        }
    }

    pub(super) fn target_faults(&self, book: &mut Book<'_>, beside: &Beside) {
        for fault in &beside.targets {
            let count = u32::try_from(fault.witnesses.len()).unwrap_or(u32::MAX);
            let problem = Problem {
                kind: FindingKind::TargetFault,
                certain: true,
                place: Place::Target(fault.target),
                confidence: 1.0,
                siblings: Siblings { within: count, suffering: count, ..Siblings::default() },
                home: fault.home,
                members: fault.witnesses.clone(),
                hours: fault.hours,
                bad_days: vec![self.today],
                severity: fault.share,
            };
            book.take(&problem, &|_| Relation::Same);
        }
    }

    /// Routes that moved: a series says so by itself, and those whose routes moved together are one.
    pub(super) fn shifts(&self, book: &mut Book<'_>) {
        let mut moved: BTreeMap<SeriesNo, (Date, bool)> = BTreeMap::new();
        for no in self.far_series() {
            let anew = || level_shift(&self.recent(no), self.today, self.params);
            let asked = (self.today, no);
            let shift = self.remembered.borrow_mut().shift(asked, self.history, anew);
            if let Some(shift) = shift {
                moved.insert(no, (shift.on, shift.after_us > shift.before_us));
            }
        }
        let mut taken: BTreeSet<SeriesNo> = BTreeSet::new();
        for (&no, &(on, slower)) in &moved {
            if taken.contains(&no) {
                continue;
            }
            let with = |other: SeriesNo| {
                moved
                    .get(&other)
                    .is_some_and(|&(date, way)| way == slower && (date - on).get_days().abs() <= 1)
            };
            if let Some(problem) = self.agreed(no, FindingKind::LevelShift, vec![on], &with) {
                taken.extend(&problem.members);
                book.take(&problem, &|_| Relation::Same);
            }
        }
    }

    /// The rows of a series that are looked at.
    pub(super) fn recent(&self, no: SeriesNo) -> Vec<&SeriesDay> {
        self.history.days(no, first_day(self.today), self.today).iter().collect()
    }

    /// Busy hours that are slower than quiet ones, within all limits.
    pub(super) fn early_warnings(&self, book: &mut Book<'_>) {
        let mut found: BTreeMap<SeriesNo, EarlyWarning> = BTreeMap::new();
        for no in self.far_series() {
            let today = self.history.day(no, self.today);
            if today.is_none_or(|row| !row.verdict.is_observed())
                || book.suffers(no, Since::Suspected)
            {
                continue;
            }
            let anew = || early_warning(&self.recent(no), self.today, self.params);
            let asked = (self.today, no);
            let warning = self.remembered.borrow_mut().warning(asked, self.history, anew);
            if let Some(warning) = warning {
                found.insert(no, warning);
            }
        }
        let with = |other: SeriesNo| found.contains_key(&other);
        let mut taken: BTreeSet<SeriesNo> = BTreeSet::new();
        for (&no, warning) in &found {
            let kind = FindingKind::EarlyWarning;
            if taken.contains(&no) {
                continue;
            }
            if let Some(mut problem) = self.agreed(no, kind, warning.days.clone(), &with) {
                problem.hours = warning.hours;
                taken.extend(&problem.members);
                book.take(&problem, &|_| Relation::Same);
            }
        }
    }

    /// What became slower month by month, asked once a month, when there is one month more.
    pub(super) fn drifts(&self, book: &mut Book<'_>) {
        if !self.history.asks_drift(self.today) {
            return;
        }
        let of = |no| Some((no, drift(self.history.months(no), self.params)?.months));
        let drifting: BTreeMap<SeriesNo, Vec<Date>> = self.far_series().filter_map(of).collect();
        let with = |other: SeriesNo| drifting.contains_key(&other);
        let mut taken: BTreeSet<SeriesNo> = BTreeSet::new();
        for (&no, months) in &drifting {
            if taken.contains(&no) {
                continue;
            }
            let days = vec![self.today];
            if let Some(mut problem) = self.agreed(no, FindingKind::Drift, days, &with) {
                problem.bad_days.clone_from(months);
                taken.extend(&problem.members);
                book.take(&problem, &|_| Relation::Same);
            }
        }
    }

    /// A problem whose place follows from who says the same.
    fn agreed(
        &self,
        no: SeriesNo,
        kind: FindingKind,
        days: Vec<Date>,
        with: &dyn Fn(SeriesNo) -> bool,
    ) -> Option<Problem> {
        let info = self.fleet.info(no)?;
        let observed = |one: &SeriesNo| {
            self.fleet.info(*one).is_some_and(|info| info.reach == Reach::Far)
                && days.iter().any(|&day| self.history.day(*one, day).is_some())
        };
        let votes: Votes = asked(self.fleet, self.layout, no)
            .into_iter()
            .filter(observed)
            .map(|one| (one, says(with(one))))
            .collect();
        let located = locate(self.fleet, self.layout, no, &votes, days.len(), false)?;
        let trigger = Trigger {
            series: vec![no],
            building: info.building,
            kind,
            recurs: true,
            hours: Quarters::between(0, 24 * 60),
            bad_days: days,
            pooled: false,
            delay_alone: true,
            share: 0.0,
        };
        Some(self.placed(&trigger, &located))
    }
}
