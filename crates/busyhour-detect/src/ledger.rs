//! The findings of a fleet from date to date, and the same dates judged again while their data come.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use busyhour_model::IncidentState;
use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::beside::Beside;
use crate::finding::{Change, Finding, FindingKind};
use crate::fleet::Fleet;
use crate::history::History;
use crate::judge::judge_with;
use crate::params::Params;
use crate::quarters::Quarters;
use crate::remembered::Remembered;

/// A closed finding is remembered for so long, as it may come back; a moved route for longer, as it
/// explains what comes after.
const CLOSED_DAYS: i32 = 22;
const SHIFT_DAYS: i32 = 92;
/// The last date on which anybody worked and was observed is judged again for so long: until the next
/// one is known.
const AGAIN_DAYS: i32 = 7;

/// An earlier date is judged again when of a tenth more series it is known how they were than when it
/// was judged: a history was delivered, or many agents were late.
const GROWN_ONE_IN: u32 = 10;

/// Findings by their number; versions that are the same are shared.
type Findings = BTreeMap<u64, Arc<Finding>>;

/// The findings of a fleet as they stand, and as they stood before each of the last dates.
///
/// Judging a date again starts from what was known before that date, so that however often it is
/// judged while its data come, it ends as if it had been judged once. Two things are kept of what was
/// said meanwhile: numbers (what began on the date has the number it was first given), and what was
/// opened or closed, which later data of the same dates do not take back.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    standing: Findings,
    /// What was known before each date that was judged, without what is kept of what was said.
    before: BTreeMap<Date, Findings>,
    /// Series that were observed on each date when it was judged last.
    judged: BTreeMap<Date, u32>,
    /// What was opened or closed and is kept although it is not what the rows say now.
    kept: BTreeSet<u64>,
    last_id: u64,
    remembered: Remembered,
}

impl Ledger {
    /// Of what is known: findings that are not closed, and those closed lately; more do no harm.
    /// `last_id` is the highest number that was ever given, 0 of none.
    #[must_use]
    pub fn of(known: Vec<Finding>, last_id: u64) -> Self {
        let last_id = known.iter().fold(last_id, |last, finding| last.max(finding.id));
        let standing = known.into_iter().map(|finding| (finding.id, Arc::new(finding)));
        Self { standing: standing.collect(), last_id, ..Self::default() }
    }

    /// The findings as they stand, by their number.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.standing.values().map(Arc::as_ref)
    }

    /// A finding as it stands.
    #[must_use]
    pub fn finding(&self, id: u64) -> Option<&Finding> {
        self.standing.get(&id).map(Arc::as_ref)
    }

    /// Judges up to `front`, the date that is running or has just ended; gives the findings that are
    /// other than they were before, those that came to nothing as closed. `history` holds rows up to
    /// `front`, and is the same one each time, as it is by then: what was worked out of rows is not
    /// worked out again while they stay. `beside` tells what else is known of a date.
    ///
    /// Judged are, in their order and each as if it had just ended: the last date (a week back at most)
    /// on which anybody worked and was observed, so that what comes late on a weekend or in the early
    /// morning counts; all dates since; and all dates from the first one on of which more is known now
    /// than when it was judged: by a tenth of its series, as when a history is delivered.
    pub fn judge(
        &mut self,
        fleet: &Fleet,
        history: &mut History,
        front: Date,
        params: &Params,
        beside: &dyn Fn(Date) -> Beside,
    ) -> Vec<Finding> {
        let Some(from) = self.begins(history, front) else { return Vec::new() };
        let mut dates = from.series(1.day()).take_while(|date| *date <= front);
        self.judge_dates(fleet, history, &mut dates, params, beside)
    }

    /// Judges one date that was not judged before, and is after all that were.
    pub(crate) fn judge_once(
        &mut self,
        fleet: &Fleet,
        history: &mut History,
        today: Date,
        params: &Params,
        beside: &Beside,
    ) -> Vec<Finding> {
        let mut dates = std::iter::once(today);
        self.judge_dates(fleet, history, &mut dates, params, &|_| beside.clone())
    }

    /// Closes a finding whose place or series are no more; `None` when it is closed or unknown.
    pub fn retire(&mut self, id: u64, today: Date) -> Option<Finding> {
        let mut finding = self.finding(id)?.clone();
        if finding.state == IncidentState::Closed {
            return None;
        }
        close(&mut finding, Change::Gone, today);
        let shared = Arc::new(finding.clone());
        for findings in self.before.values_mut() {
            if let Some(version) = findings.get_mut(&id) {
                *version = shared.clone();
            }
        }
        self.kept.remove(&id);
        self.standing.insert(id, shared);
        Some(finding)
    }

    /// All dates up to this one were judged by somebody before: only what comes to be known later can
    /// make them be judged again. To be said once, after a start, when `history` is complete.
    pub fn were_judged(&mut self, history: &History, until: Date) {
        let known = history.known_since(Date::MIN).take_while(|(date, _)| *date <= until);
        self.judged.extend(known.map(|(date, known)| (date, known.observed)));
    }

    /// The first date to judge; `None` when nothing is known of any.
    fn begins(&self, history: &History, front: Date) -> Option<Date> {
        let oldest = front.saturating_sub((History::DAYS - 1).days());
        let known = || history.known_since(oldest).take_while(move |(date, _)| *date <= front);
        known().find(|(_, known)| known.seen > 0)?;
        let week_ago = front.saturating_sub(AGAIN_DAYS.days());
        let last = known().filter(|(date, known)| *date >= week_ago && known.observed > 0).last();
        let last = last.map_or(front, |(date, _)| date);
        let has_grown = |&(date, known): &(Date, crate::history::Known)| {
            let before = self.judged.get(&date).copied().unwrap_or(0);
            known.observed > before.saturating_add(before / GROWN_ONE_IN)
        };
        Some(known().find(has_grown).map_or(last, |(date, _)| date.min(last)))
    }

    fn judge_dates(
        &mut self,
        fleet: &Fleet,
        history: &mut History,
        dates: &mut dyn Iterator<Item = Date>,
        params: &Params,
        beside: &dyn Fn(Date) -> Beside,
    ) -> Vec<Finding> {
        let mut dates = dates.peekable();
        let Some(&from) = dates.peek() else { return Vec::new() };
        let base = self.known_before(from);
        drop(self.before.split_off(&from));
        let mut versions = BTreeMap::new();
        let mut known = base.clone();
        let mut last_id = self.last_id;
        let mut front = from;
        let mut remembered = std::mem::take(&mut self.remembered);
        remembered.begin(fleet, params);
        let remembered = RefCell::new(remembered);
        for today in dates {
            versions.insert(today, known.clone());
            let all: Vec<Finding> = known.values().map(|one| Finding::clone(one)).collect();
            turn(history, today);
            let known_before = (all.as_slice(), last_id);
            let what = (params, &beside(today));
            let changed = judge_with(fleet, history, known_before, today, what, &remembered);
            for finding in changed {
                last_id = last_id.max(finding.id);
                known.insert(finding.id, Arc::new(finding));
            }
            forget(&mut known, today);
            let on = history.known_since(today).next().filter(|(date, _)| *date == today);
            self.judged.insert(today, on.map_or(0, |(_, known)| known.observed));
            front = today;
        }
        self.remembered = remembered.into_inner();
        self.remembered.end(front);
        let names = self.names(&base, &known, from, last_id);
        rename(&mut known, &names);
        versions.values_mut().for_each(|findings| rename(findings, &names));
        self.before.append(&mut versions);
        let oldest = front.saturating_sub((History::DAYS - 1).days());
        self.before = self.before.split_off(&oldest);
        self.judged = self.judged.split_off(&oldest);
        self.stand(&base, known, front)
    }

    /// What was known before a date: as it stood then, with what was said since and kept.
    fn known_before(&self, date: Date) -> Findings {
        let Some((_, before)) = self.before.range(date..).next() else {
            return self.standing.clone();
        };
        let mut known = before.clone();
        let kept = self.kept.iter().filter_map(|id| self.standing.get_key_value(id));
        let earlier = kept.filter(|(_, finding)| finding.changed < date);
        known.extend(earlier.map(|(&id, finding)| (id, finding.clone())));
        known
    }

    /// The numbers that findings which began since `from`, up to `until`, are to have: those they had
    /// when the dates were judged before, else the next ones.
    fn names(
        &mut self,
        base: &Findings,
        known: &Findings,
        from: Date,
        until: u64,
    ) -> BTreeMap<u64, u64> {
        let began = |one: &&Finding| !base.contains_key(&one.id) && one.changed >= from;
        let mut born: Vec<&Finding> =
            self.standing.values().map(Arc::as_ref).filter(began).collect();
        let mut names = BTreeMap::new();
        for in_place in [true, false] {
            for (&id, new) in known.range(self.last_id + 1..) {
                let is_it =
                    |one: &&Finding| (!in_place || one.place == new.place) && is_alike(one, new);
                if !names.contains_key(&id)
                    && let Some(at) = born.iter().position(is_it)
                {
                    names.insert(id, born.remove(at).id);
                }
            }
        }
        // Those that are forgotten by now have had one too.
        for id in self.last_id + 1..=until {
            names.entry(id).or_insert_with(|| {
                self.last_id += 1;
                self.last_id
            });
        }
        names
    }

    /// Takes over what the rows say now, but for what was opened or closed since `base` and is not to be
    /// taken back; gives what is other than it stood.
    fn stand(&mut self, base: &Findings, mut known: Findings, front: Date) -> Vec<Finding> {
        let mut kept = BTreeSet::new();
        let mut others = Findings::new();
        for (&id, stood) in &self.standing {
            let before = base.get(&id);
            let now = known.get(&id);
            let same = || others_like(&known, stood);
            let covered = || before.is_none() && same().is_some();
            if is_taken_back(before, stood, now) && !covered() {
                kept.insert(id);
                others.insert(id, stood.clone());
            } else if now.is_none() && before.is_none() {
                others.insert(id, ended(stood, same(), front));
            }
        }
        known.extend(others);
        forget(&mut known, front);
        let other = |id: &u64, now: &Arc<Finding>| self.standing.get(id) != Some(now);
        let changed = known.iter().filter(|(id, now)| other(id, now));
        let changed = changed.map(|(_, finding)| Finding::clone(finding)).collect();
        kept.retain(|id| known.contains_key(id));
        self.kept = kept;
        self.standing = known;
        changed
    }
}

/// Goes on to a date: keeps the month that is over, forgets rows that nobody looks at any more.
fn turn(history: &mut History, today: Date) {
    if history.asks_drift(today) {
        history.keep_months(today.first_of_month().saturating_sub(1.day()));
    }
    history.forget_before(today.saturating_sub((History::DAYS - 1).days()));
}

/// Forgets what has been closed for long.
fn forget(findings: &mut Findings, today: Date) {
    let closed = today.saturating_sub(CLOSED_DAYS.days());
    let shifted = today.saturating_sub(SHIFT_DAYS.days());
    findings.retain(|_, finding| {
        let oldest = if finding.kind == FindingKind::LevelShift { shifted } else { closed };
        finding.closed.is_none_or(|date| date >= oldest)
    });
}

fn close(finding: &mut Finding, change: Change, today: Date) {
    finding.state = IncidentState::Closed;
    finding.closed = Some(today);
    finding.change = change;
    finding.changed = today;
}

fn is_open(finding: &Finding) -> bool {
    matches!(finding.state, IncidentState::Open | IncidentState::Recovering)
}

/// True when a finding that people are told of was opened or closed since it was as `before`, and the
/// rows do not say so any more. Of what was opened they may say that it was and is over, of what was
/// closed that it came back.
fn is_taken_back(
    before: Option<&Arc<Finding>>,
    stood: &Finding,
    now: Option<&Arc<Finding>>,
) -> bool {
    let was_open = before.is_some_and(|one| is_open(one));
    if is_open(stood) == was_open || !stood.kind.alerts() || stood.merged_into.is_some() {
        return false;
    }
    now.is_none_or(|now| {
        let least = stood.openings + u32::from(was_open);
        is_open(now) == was_open && now.openings < least
    })
}

/// The open finding, another one, that the rows show now in place of one that stood.
fn others_like(known: &Findings, stood: &Finding) -> Option<u64> {
    let is_it = |one: &&Arc<Finding>| one.id != stood.id && is_open(one) && is_alike(stood, one);
    if is_open(stood) { known.values().find(is_it).map(|one| one.id) } else { None }
}

/// What began, and is not what the rows say now: part of another finding, or nothing.
fn ended(stood: &Arc<Finding>, other: Option<u64>, today: Date) -> Arc<Finding> {
    if stood.state == IncidentState::Closed {
        return stood.clone();
    }
    let mut finding = Finding::clone(stood);
    let change = if other.is_some() { Change::Merged } else { Change::Closed };
    close(&mut finding, change, today);
    finding.merged_into = other;
    Arc::new(finding)
}

/// True when two findings of two judgements of the same dates are one: of one kind, in one place or
/// mostly of the same series, at the same hours.
fn is_alike(one: &Finding, other: &Finding) -> bool {
    let kind = one.kind == other.kind || (one.kind.alerts() && other.kind.alerts());
    // Hours of other clocks are not compared: the series say enough.
    let at_hours = one.home != other.home || Quarters::overlaps(one.hours, other.hours);
    let most_shared = || {
        let shared = one.members.iter().filter(|no| other.members.binary_search(no).is_ok());
        shared.count() * 2 >= one.members.len().min(other.members.len())
    };
    kind && at_hours && (one.place == other.place || most_shared())
}

/// Gives findings other numbers.
fn rename(findings: &mut Findings, names: &BTreeMap<u64, u64>) {
    if names.iter().all(|(from, to)| from == to) {
        return;
    }
    let old = std::mem::take(findings);
    for (id, mut finding) in old {
        let name = names.get(&id).copied().unwrap_or(id);
        let merged = finding.merged_into.map(|id| names.get(&id).copied().unwrap_or(id));
        if name != id || merged != finding.merged_into {
            let finding = Arc::make_mut(&mut finding);
            finding.id = name;
            finding.merged_into = merged;
        }
        findings.insert(name, finding);
    }
}

#[cfg(test)]
mod tests;
