//! The life of findings: suspected, open, recovering, closed, opened again; stale, merged.
//!
//! Every state follows from the rows and from what was known before the day. Judging a day again,
//! with late rows or without, against what was known after it gives the same findings and opens
//! nothing twice: a problem is matched with what is known by its hours, place and series, whatever
//! day that was opened on. What nobody saw on a day is neither better nor over on it. Which days are
//! judged again when data come late is [`crate::Ledger`]'s business.

mod settle;

use std::collections::{BTreeMap, BTreeSet};

use busyhour_model::IncidentState;
use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::finding::{
    Cause, Change, Finding, FindingKind, Mechanism, Place, Segment, SeverityClass, Siblings,
};
use crate::fleet::{BuildingNo, Fleet, SeriesNo};
use crate::history::History;
use crate::quarters::Quarters;
use crate::timeline::hours_at;

/// What closed and comes back within this time is the same finding.
const REOPEN_DAYS: i32 = 21;
/// What stays open is told of again after this time.
const UPDATE_DAYS: i32 = 7;
/// Two sets of bad days are those of one cause from this share of common days on, in hundredths.
const SAME_DAYS_PERCENT: usize = 60;

/// Something that is wrong today, placed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    pub(crate) kind: FindingKind,
    /// Somebody should know of it: it recurs, or it is of a kind that happens once.
    pub(crate) certain: bool,
    pub(crate) place: Place,
    pub(crate) confidence: f64,
    pub(crate) siblings: Siblings,
    pub(crate) home: BuildingNo,
    pub(crate) members: Vec<SeriesNo>,
    pub(crate) hours: Quarters,
    /// Ascending; the last is today.
    pub(crate) bad_days: Vec<Date>,
    pub(crate) severity: f64,
}

/// From which state on a finding counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// Suspected ones do.
    Suspected,
    /// Only such as were told of.
    Opened,
}

/// How a finding of another place stands to a problem of today that overlaps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    /// It is the same, and its place is the problem's.
    Same,
    /// Nobody is sure of the problem's place: it is taken for the finding's.
    Unsure,
    /// It is something else.
    Other,
}

/// Kinds that can become one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Degradation,
    Shift,
    Once,
    Target,
    Early,
    Drift,
}

const fn family(kind: FindingKind) -> Family {
    match kind {
        FindingKind::RecurringPeak | FindingKind::WeeklyPattern | FindingKind::ConstantFault => {
            Family::Degradation
        }
        FindingKind::LevelShift => Family::Shift,
        FindingKind::OneOff => Family::Once,
        FindingKind::TargetFault => Family::Target,
        FindingKind::EarlyWarning => Family::Early,
        FindingKind::Drift => Family::Drift,
    }
}

/// The findings of a fleet on one day.
pub(crate) struct Book<'a> {
    fleet: &'a Fleet,
    history: &'a History,
    today: Date,
    known: &'a [Finding],
    findings: Vec<Finding>,
    of_series: BTreeMap<SeriesNo, Vec<usize>>,
    /// Those that a problem of today is about.
    seen: BTreeSet<usize>,
    next_id: u64,
}

impl<'a> Book<'a> {
    pub(crate) fn of(
        fleet: &'a Fleet,
        history: &'a History,
        known: &'a [Finding],
        last_id: u64,
        today: Date,
    ) -> Self {
        let mut of_series: BTreeMap<SeriesNo, Vec<usize>> = BTreeMap::new();
        for (at, finding) in known.iter().enumerate() {
            for &member in &finding.members {
                of_series.entry(member).or_default().push(at);
            }
        }
        let next_id = known.iter().fold(last_id, |last, finding| last.max(finding.id)) + 1;
        let findings = known.to_vec();
        Self { fleet, history, today, known, findings, of_series, seen: BTreeSet::new(), next_id }
    }

    /// The bad days so far of what a series suffers from at these hours, as far as it is known.
    pub(crate) fn earlier_days(
        &self,
        series: SeriesNo,
        home: BuildingNo,
        hours: Quarters,
    ) -> Vec<Date> {
        let of = self.of_series.get(&series).into_iter().flatten();
        let known = of.filter_map(|&at| self.findings.get(at)).filter(|finding| {
            family(finding.kind) == Family::Degradation
                && finding.state != IncidentState::Closed
                && self.hours_of(finding, home).overlaps(hours)
        });
        let mut days: Vec<Date> = known.flat_map(|finding| finding.bad_days.clone()).collect();
        days.sort_unstable();
        days.dedup();
        days
    }

    /// The open finding that a series suffers from at these hours, the oldest of several.
    pub(crate) fn open_for(
        &self,
        series: SeriesNo,
        home: BuildingNo,
        hours: Quarters,
    ) -> Option<&Finding> {
        let of = self.of_series.get(&series).into_iter().flatten();
        let open = of.filter_map(|&at| self.findings.get(at)).filter(|finding| {
            family(finding.kind) == Family::Degradation
                && matches!(finding.state, IncidentState::Open | IncidentState::Recovering)
                && self.hours_of(finding, home).overlaps(hours)
        });
        open.min_by_key(|finding| (finding.first_bad, finding.id))
    }

    /// When the route of a series moved last, as far as it is remembered.
    pub(crate) fn knows_shift(&self, series: SeriesNo) -> Option<Date> {
        let of = self.of_series.get(&series).into_iter().flatten();
        of.filter_map(|&at| self.findings.get(at))
            .filter(|finding| finding.kind == FindingKind::LevelShift)
            .map(|finding| finding.first_bad)
            .max()
    }

    /// True when a series is among those of a finding of degradation that is not closed.
    pub(crate) fn suffers(&self, series: SeriesNo, since: Since) -> bool {
        let of = self.of_series.get(&series).into_iter().flatten();
        of.filter_map(|&at| self.findings.get(at)).any(|finding| {
            let state = finding.state;
            family(finding.kind) == Family::Degradation
                && state != IncidentState::Closed
                && (since == Since::Suspected || state != IncidentState::Suspected)
        })
    }

    /// The hours of a finding by the clock of a building.
    fn hours_of(&self, finding: &Finding, building: BuildingNo) -> Quarters {
        hours_at(self.fleet, finding.hours, finding.home, building, self.today)
    }

    /// Takes a problem of today: the finding it belongs to goes on, or a new one begins. `relation`
    /// tells how findings of another place stand to it.
    pub(crate) fn take(&mut self, problem: &Problem, relation: &dyn Fn(&Finding) -> Relation) {
        let relation = |one: &Finding| {
            if one.place == problem.place { Relation::Same } else { relation(one) }
        };
        let mut matching: Vec<(usize, Relation)> = self
            .matching(problem)
            .into_iter()
            .filter_map(|at| Some((at, relation(self.findings.get(at)?))))
            .collect();
        matching.retain(|(_, relation)| *relation != Relation::Other);
        let Some((at, how)) = self.pick(&matching, problem) else {
            self.begin(problem);
            return;
        };
        let is_open =
            matches!(self.findings[at].state, IncidentState::Open | IncidentState::Recovering);
        if how == Relation::Unsure && is_open {
            self.stay(at);
            return;
        }
        if self.seen.contains(&at) {
            self.join(at, problem);
        } else {
            self.go_on(at, problem);
        }
        // What turns out to be part of it is no finding of its own.
        let id = self.findings[at].id;
        let others =
            matching.into_iter().filter(|&(other, how)| other != at && how == Relation::Same);
        for (other, _) in others {
            let part = !self.seen.contains(&other) && self.is_part(other, problem);
            let finding = &mut self.findings[other];
            if part && finding.state != IncidentState::Closed {
                finding.merged_into = Some(id);
                finding.state = IncidentState::Closed;
                finding.closed = Some(self.today);
                finding.change = Change::Merged;
                finding.changed = self.today;
            }
        }
    }

    /// An open finding had one more bad day, of which nothing else is known.
    fn stay(&mut self, at: usize) {
        if self.seen.insert(at) {
            let mut finding = self.findings[at].clone();
            self.settle_one(&mut finding);
            self.findings[at] = finding;
        }
    }

    /// The findings that a problem may be, in the order of the list.
    fn matching(&self, problem: &Problem) -> Vec<usize> {
        let of = problem.members.iter().filter_map(|member| self.of_series.get(member)).flatten();
        let mut candidates: Vec<usize> = of.copied().collect();
        candidates.sort_unstable();
        candidates.dedup();
        candidates
            .retain(|&at| self.findings.get(at).is_some_and(|one| self.is_same(one, problem)));
        candidates
    }

    /// True when a finding and a problem have one cause: the same hours, and the same place or
    /// mostly the same series.
    fn is_same(&self, finding: &Finding, problem: &Problem) -> bool {
        if family(finding.kind) != family(problem.kind) || finding.merged_into.is_some() {
            return false;
        }
        let forgotten = self.today.saturating_sub(REOPEN_DAYS.days());
        if finding.closed.is_some_and(|closed| closed < forgotten) {
            return false;
        }
        let together = match family(problem.kind) {
            Family::Shift => {
                let days = (problem.bad_days.first(), finding.first_bad);
                days.0.is_some_and(|&on| (on - days.1).get_days().abs() <= 3)
            }
            Family::Once | Family::Target => {
                finding.last_bad >= self.today.saturating_sub(1.day())
                    && self.hours_of(finding, problem.home).overlaps(problem.hours)
            }
            Family::Early | Family::Drift => true,
            Family::Degradation => {
                let alike = self.hours_of(finding, problem.home).overlaps(problem.hours);
                alike
                    || (finding.place == problem.place
                        && common_days(&finding.bad_days, &problem.bad_days))
            }
        };
        together && (finding.place == problem.place || self.is_akin(finding, problem))
    }

    /// True when one place holds all of the other's series, or they have half of them in common.
    fn is_akin(&self, finding: &Finding, problem: &Problem) -> bool {
        let holds = |place: Place, members: &[SeriesNo]| {
            members.iter().all(|&no| self.fleet.info(no).is_some_and(|info| place.holds(info)))
        };
        let shared = problem.members.iter().filter(|no| finding.members.contains(no)).count();
        let (one, other) = (finding.members.len(), problem.members.len());
        if finding.state == IncidentState::Closed {
            // What is over comes back as it was, or it is something else.
            return shared * 2 >= one.max(other);
        }
        shared * 2 >= one.min(other)
            || holds(problem.place, &finding.members)
            || holds(finding.place, &problem.members)
    }

    /// True when all that a finding is about lies within a problem's place: never the other way round,
    /// or the wider of two would be opened again each day.
    fn is_part(&self, at: usize, problem: &Problem) -> bool {
        let within = |no: &SeriesNo| {
            problem.members.contains(no)
                || self.fleet.info(*no).is_some_and(|info| problem.place.holds(info))
        };
        self.findings.get(at).is_some_and(|finding| finding.members.iter().all(within))
    }

    /// Of several the open one, then the closed one that was told of, then the suspected one; of
    /// these the one of the same place, then the oldest. A suspicion never opens what is closed.
    fn pick(&self, matching: &[(usize, Relation)], problem: &Problem) -> Option<(usize, Relation)> {
        let rank = |(at, _): &&(usize, Relation)| {
            let finding = &self.findings[*at];
            let life = match (finding.state, finding.opened) {
                (IncidentState::Open | IncidentState::Recovering, _) => 0,
                (IncidentState::Closed, Some(_)) => 1,
                (IncidentState::Suspected, _) => 2,
                (IncidentState::Closed, None) => 3,
            };
            (life, finding.place != problem.place, finding.first_bad, finding.id)
        };
        matching.iter().min_by_key(rank).copied()
    }

    /// A new finding.
    fn begin(&mut self, problem: &Problem) {
        let at = self.findings.len();
        let today = self.today;
        let opened = problem.certain.then_some(today);
        let mut finding = Finding {
            id: self.next_id,
            kind: problem.kind,
            place: problem.place,
            segment: Segment::Unknown,
            home: problem.home,
            members: problem.members.clone(),
            siblings: problem.siblings,
            hours: problem.hours,
            state: if problem.certain { IncidentState::Open } else { IncidentState::Suspected },
            change: if problem.certain { Change::Opened } else { Change::Suspected },
            changed: today,
            merged_into: None,
            stale: false,
            first_bad: problem.bad_days.first().copied().unwrap_or(today),
            last_bad: problem.bad_days.last().copied().unwrap_or(today),
            bad_days: problem.bad_days.clone(),
            observed_days: problem.bad_days.clone(),
            opened,
            closed: None,
            openings: u32::from(problem.certain),
            severity: problem.severity,
            confidence: problem.confidence,
            cause: Cause::NotKnown,
            cause_confidence: 0.0,
            mechanism: Mechanism::NotKnown,
            evidence: Vec::new(),
            sentence: String::new(),
            paragraph: String::new(),
        };
        if problem.kind == FindingKind::LevelShift {
            // Something that happened, and needs no end.
            finding.state = IncidentState::Closed;
            finding.closed = Some(today);
        }
        self.refresh(&mut finding);
        for &member in &finding.members {
            self.of_series.entry(member).or_default().push(at);
        }
        self.next_id += 1;
        self.seen.insert(at);
        self.findings.push(finding);
    }

    /// Another problem of today that belongs to a finding that one was taken to already.
    fn join(&mut self, at: usize, problem: &Problem) {
        let mut finding = self.findings[at].clone();
        let within =
            |no: &SeriesNo| self.fleet.info(*no).is_some_and(|info| finding.place.holds(info));
        let members: Vec<SeriesNo> = problem.members.iter().copied().filter(within).collect();
        self.add_members(at, &mut finding, &members);
        // One bad day more says nothing of the hours that something keeps to.
        let as_sure = problem.certain || finding.state == IncidentState::Suspected;
        if finding.home == problem.home && as_sure {
            finding.hours = finding.hours.or(problem.hours);
        }
        self.refresh(&mut finding);
        self.findings[at] = finding;
    }

    fn add_members(&mut self, at: usize, finding: &mut Finding, members: &[SeriesNo]) {
        for &member in members {
            if let Err(place) = finding.members.binary_search(&member) {
                finding.members.insert(place, member);
                self.of_series.entry(member).or_default().push(at);
            }
        }
    }

    /// A finding that a problem of today is about.
    fn go_on(&mut self, at: usize, problem: &Problem) {
        let today = self.today;
        let mut finding = self.findings[at].clone();
        if finding.kind == FindingKind::LevelShift {
            self.seen.insert(at);
            return;
        }
        let was_told = finding.opened.is_some();
        let closed = finding.state == IncidentState::Closed;
        if was_told && !problem.certain {
            // Back for a day: of what is closed there is nothing to say yet.
            if closed {
                self.seen.insert(at);
            } else {
                self.stay(at);
            }
            return;
        }
        self.seen.insert(at);
        let before = (finding.kind, finding.place, SeverityClass::of(finding.severity));
        if closed || !was_told {
            finding.members.clone_from(&problem.members);
            if closed {
                finding.first_bad = problem.bad_days.first().copied().unwrap_or(today);
                finding.bad_days.clone_from(&problem.bad_days);
                finding.closed = None;
            }
        }
        // Who was taken for a part of it and is not in its place any more is none.
        finding.members.retain(|no| {
            problem.members.binary_search(no).is_ok()
                || self.fleet.info(*no).is_some_and(|info| problem.place.holds(info))
        });
        finding.first_bad =
            problem.bad_days.first().map_or(finding.first_bad, |&day| day.min(finding.first_bad));
        self.add_members(at, &mut finding, &problem.members);
        finding.home = problem.home;
        finding.hours = problem.hours;
        finding.kind = problem.kind;
        finding.place = problem.place;
        finding.confidence = problem.confidence;
        finding.siblings = problem.siblings;
        finding.stale = false;
        finding.bad_days.extend(problem.bad_days.iter().copied());
        if problem.severity > 0.0 && finding.severity == 0.0 {
            finding.severity = problem.severity;
        }
        self.refresh(&mut finding);
        let say = |finding: &mut Finding, change| {
            finding.change = change;
            finding.changed = today;
        };
        if !problem.certain && !was_told {
            finding.state = IncidentState::Suspected;
            if closed {
                say(&mut finding, Change::Suspected);
            }
        } else if closed || !was_told {
            finding.state = IncidentState::Open;
            finding.opened = Some(today);
            finding.openings += 1;
            let again = finding.openings > 1;
            say(&mut finding, if again { Change::Reopened } else { Change::Opened });
        } else {
            finding.state = IncidentState::Open;
            let after = (finding.kind, finding.place, SeverityClass::of(finding.severity));
            let week_ago = today.saturating_sub(UPDATE_DAYS.days());
            let other = before != after && finding.changed != today;
            if other || finding.changed <= week_ago {
                say(&mut finding, Change::Updated);
            }
        }
        self.findings[at] = finding;
    }

    /// The findings that are new or other than they were known.
    pub(crate) fn changed(self) -> Vec<Finding> {
        let known = self.known;
        let changed = |(at, finding): &(usize, Finding)| known.get(*at) != Some(finding);
        self.findings.into_iter().enumerate().filter(changed).map(|(_, finding)| finding).collect()
    }
}

/// True when two lists of dates (ascending) have most of them in common.
fn common_days(a: &[Date], b: &[Date]) -> bool {
    let common = b.iter().filter(|date| a.contains(date)).count();
    let all = a.len() + b.len() - common;
    all > 0 && common * 100 >= all * SAME_DAYS_PERCENT
}

#[cfg(test)]
mod tests;
