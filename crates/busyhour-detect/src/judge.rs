//! One day of a fleet: what is bad is placed, matched with what is known, moved on and explained.

mod others;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use busyhour_model::{LimitTable, RequirementProfile, UtcMicros, limits_in_force};
use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::beside::Beside;
use crate::cause::conclude;
use crate::day::stricter;
use crate::figures::Figures;
use crate::finding::{Finding, FindingKind, Place, Siblings};
use crate::fleet::{BuildingNo, Fleet, Reach, SeriesNo};
use crate::history::History;
use crate::layout::Layout;
use crate::life::{Book, Problem, Relation};
use crate::locate::{Located, Votes, asked, by_day, locate, vote};
use crate::params::{Params, Rule};
use crate::quarters::Quarters;
use crate::remembered::{Basis, Remembered, shown};
use crate::series::SeriesDay;
use crate::suffer::{Suffering, When, median};
use crate::tell::Story;
use crate::timeline::{Clocks, hours_at};
use crate::trigger::{Trigger, triggers};

/// A moved route explains days that are bad by delay alone for so long.
const SHIFT_DAYS: i32 = 90;
/// Unless busy hours rose by this much more than they did on good days since, and by half.
const SHIFT_RISE_US: u32 = 5_000;

/// What keeps to fewer quarter-hours than these is brief.
const BRIEF_QUARTERS: u32 = 4;
/// A problem is another one than a finding of another place only when its place is so sure.
const SURE: f64 = 0.87;

/// Judges a local date of a fleet: gives the findings that are new or other than they were known.
///
/// `history` holds the rows of [`History::DAYS`] calendar days up to `today`, near series included;
/// of `known` (all findings that are not closed, and those closed within 21 days; more do no harm)
/// the order is nobody's business. A finding of the answer replaces the one of the same
/// [`Finding::id`]; those with [`Finding::changed`] = `today` are worth a word. A new one gets the
/// next number after `last_id` and all of `known`. Judging again, with the same rows or with late
/// ones, against what was known after the first time tells nothing twice; [`crate::Ledger`] judges
/// again against what was known before.
#[must_use]
pub fn judge_fleet(
    fleet: &Fleet,
    history: &History,
    known: &[Finding],
    last_id: u64,
    today: Date,
    params: &Params,
    beside: &Beside,
) -> Vec<Finding> {
    let remembered = RefCell::default();
    judge_with(fleet, history, (known, last_id), today, (params, beside), &remembered)
}

/// [`judge_fleet`] with what was worked out before: gives the same, sooner.
pub(crate) fn judge_with(
    fleet: &Fleet,
    history: &History,
    (known, last_id): (&[Finding], u64),
    today: Date,
    (params, beside): (&Params, &Beside),
    remembered: &RefCell<Remembered>,
) -> Vec<Finding> {
    remembered.borrow_mut().turn(today, history);
    let layout = remembered.borrow_mut().layout(fleet);
    let judge = Judge { fleet, layout: &layout, history, today, params, remembered };
    let mut book = Book::of(fleet, history, known, last_id, today);
    judge.degradation(&mut book);
    judge.one_offs(&mut book);
    judge.target_faults(&mut book, beside);
    judge.shifts(&mut book);
    judge.early_warnings(&mut book);
    judge.drifts(&mut book);
    book.settle();
    let mut changed = book.changed();
    // What is known beside the rows is not remembered.
    let rows_alone = Beside { targets: beside.targets.clone(), ..Beside::default() } == *beside;
    for finding in &mut changed {
        let rests_on = history.building_changed_at(finding.home, &finding.members);
        let known = remembered.borrow_mut().explained(today, finding, rests_on);
        if let Some(known) = known.filter(|_| rows_alone) {
            *finding = known;
            continue;
        }
        let plain = finding.clone();
        explain(fleet, history, finding, beside);
        if rows_alone {
            remembered.borrow_mut().keep_explained(today, plain, finding, rests_on);
        }
    }
    // Explaining may have found the very words that were known.
    let before: BTreeMap<u64, &Finding> = known.iter().map(|one| (one.id, one)).collect();
    changed.retain(|finding| before.get(&finding.id) != Some(&finding));
    changed
}

/// The limits that a finding's daily average is held against: those its paths are judged by, in force on
/// its last bad day, the strictest of each where they differ; `None` where none has any.
fn limits_of(fleet: &Fleet, finding: &Finding) -> Option<LimitTable> {
    let noon = finding.last_bad.at(12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    let at = UtcMicros(noon.timestamp().as_microsecond());
    let asked = finding.members.iter().filter_map(|no| Some(fleet.info(*no)?.requirement));
    let asked: BTreeSet<RequirementProfile> = asked.collect();
    asked.into_iter().filter_map(|one| limits_in_force(one, at)).copied().reduce(stricter)
}

/// Adds cause and words to a finding, from the rows of its latest bad days.
fn explain(fleet: &Fleet, history: &History, finding: &mut Finding, beside: &Beside) {
    let figures = match finding.kind {
        FindingKind::LevelShift | FindingKind::EarlyWarning | FindingKind::Drift => {
            Figures::moved(history, finding)
        }
        _ => Figures::of(fleet, history, finding),
    };
    let found = conclude(fleet, finding, &figures, beside);
    finding.cause = found.cause;
    finding.cause_confidence = found.confidence;
    finding.mechanism = found.mechanism;
    finding.segment = found.segment;
    finding.evidence = found.evidence;
    let limits = limits_of(fleet, finding);
    let story = Story { fleet, finding, figures: &figures, limits: limits.as_ref() };
    let (sentence, paragraph) = (story.sentence(), story.paragraph());
    finding.sentence = sentence;
    finding.paragraph = paragraph;
}

/// How much those suffer who ask, and everybody concerned.
type Suffered = (Suffering, Vec<(SeriesNo, Suffering)>);

struct Judge<'a> {
    fleet: &'a Fleet,
    layout: &'a Layout,
    history: &'a History,
    today: Date,
    params: &'a Params,
    remembered: &'a RefCell<Remembered>,
}

impl Judge<'_> {
    /// What is bad at busy hours or at all hours: suspected or recurring.
    fn degradation(&self, book: &mut Book<'_>) {
        let (fleet, layout, history) = (self.fleet, self.layout, self.history);
        let mut remembered = self.remembered.borrow_mut();
        let mut all = triggers(fleet, layout, history, self.today, self.params, &mut remembered);
        drop(remembered);
        all.retain(|one| !self.is_old_route(book, one));
        let mut of_building: BTreeMap<BuildingNo, Vec<usize>> = BTreeMap::new();
        for (at, trigger) in all.iter().enumerate() {
            of_building.entry(trigger.building).or_default().push(at);
        }
        let mut taken = vec![false; all.len()];
        for at in 0..all.len() {
            if taken[at] {
                continue;
            }
            taken[at] = true;
            if self.is_told(book, &all[at]) {
                continue;
            }
            let Some(problem) = self.problem(book, &all[at]) else { continue };
            let near: Vec<usize> = self
                .buildings(&problem)
                .iter()
                .filter_map(|building| of_building.get(building))
                .flatten()
                .copied()
                .filter(|&other| !taken[other])
                .collect();
            let joined = self.absorb(&all, &near, &problem);
            joined.iter().for_each(|&other| taken[other] = true);
            let problem = self.with(problem, &all, &joined);
            book.take(&problem, &|known| self.relation(known, &problem));
        }
    }

    /// True when what shows in the sum of several series is open for one of them at these hours: the
    /// sum then says nothing that is new.
    fn is_told(&self, book: &Book<'_>, trigger: &Trigger) -> bool {
        let open = |&no: &SeriesNo| book.open_for(no, trigger.building, trigger.hours).is_some();
        trigger.pooled && trigger.series.iter().any(open)
    }

    /// True when a route that moved longer ago than the rows reach explains it.
    fn is_old_route(&self, book: &Book<'_>, trigger: &Trigger) -> bool {
        if !trigger.recurs || !trigger.delay_alone || !self.params.holds(Rule::LevelShiftGuard) {
            return false;
        }
        let oldest = self.today.saturating_sub(SHIFT_DAYS.days());
        trigger.series.iter().all(|&no| {
            let Some(on) = book.knows_shift(no).filter(|on| *on >= oldest) else { return false };
            let rows = self.history.days(no, on, self.today);
            let rise = |bad: bool| {
                let of = rows
                    .iter()
                    .filter(|row| row.verdict.is_observed() && row.verdict.is_bad() == bad);
                median(&mut of.filter_map(|row| row.rise_us.map(f64::from)).collect::<Vec<_>>())
            };
            let (Some(bad), Some(good)) = (rise(true), rise(false)) else { return false };
            bad <= good + f64::from(SHIFT_RISE_US) || bad <= good * 1.5
        })
    }

    /// Places a trigger.
    fn problem(&self, book: &Book<'_>, trigger: &Trigger) -> Option<Problem> {
        let &asking = trigger.series.first()?;
        let open = book.open_for(asking, trigger.building, trigger.hours);
        let own = match open {
            Some(_) => Some(self.located(trigger, &trigger.bad_days)?),
            None => None,
        };
        let moved = own.filter(|own| {
            open.is_some_and(|open| open.place != own.place) && own.confidence >= SURE
        });
        if let Some(moved) = moved {
            // What is open there is one thing; this may be another.
            return Some(self.placed(trigger, &moved));
        }
        let mut days = book.earlier_days(asking, trigger.building, trigger.hours);
        days.extend(&trigger.bad_days);
        days.sort_unstable();
        days.dedup();
        Some(self.placed(trigger, &self.located(trigger, &days)?))
    }

    /// Where a trigger's series suffer, by all of these days (ascending).
    fn located(&self, trigger: &Trigger, days: &[Date]) -> Option<Located> {
        let hours = looked_at(trigger);
        let when = || When::of(&self.rows(trigger, days), self.fleet.bin, hours, days);
        self.placed_before((trigger, days), &when, &|when, found| {
            let (own, seen) = found?;
            self.located_anew(trigger, when, (own, seen))
        })
    }

    /// What was found for a question before, or is found now by `anew`, of when it is about and how much
    /// everybody suffered then ([`Self::suffering`]): it must look at nothing else of the rows.
    fn placed_before(
        &self,
        (trigger, days): (&Trigger, &[Date]),
        when: &dyn Fn() -> When,
        anew: &dyn Fn(&When, Option<&Suffered>) -> Option<Located>,
    ) -> Option<Located> {
        let (history, bin, question) = (self.history, self.fleet.bin, (trigger, days));
        let known = self.remembered.borrow_mut().place(self.today, question, (history, bin), when);
        if let Some(known) = known {
            return known;
        }
        let (when, first) = (when(), *trigger.series.first()?);
        let found = self.suffering(&trigger.series, &when);
        let located = anew(&when, found.as_ref());
        let mut own = self.layout.of_building(trigger.building).to_vec();
        own.extend(&trigger.series);
        let asked = asked(self.fleet, self.layout, first);
        let mut seen = found.iter().flat_map(|(_, seen)| seen).peekable();
        let shown = asked.iter().map(|&no| match &found {
            Some(_) => shown(seen.next_if(|(one, _)| *one == no).map(|(_, one)| one)),
            None => shown(when.suffering(history, no, bin).as_ref()),
        });
        let shown = shown.collect();
        let basis = Basis { when, own, asked, shown };
        let mut remembered = self.remembered.borrow_mut();
        remembered.keep_place(self.today, question, basis, history, located.as_ref());
        located
    }

    fn located_anew(
        &self,
        trigger: &Trigger,
        when: &When,
        (own, seen): (&Suffering, &[(SeriesNo, Suffering)]),
    ) -> Option<Located> {
        let &asking = trigger.series.first()?;
        let near = self.params.holds(Rule::NearProbes);
        let (fleet, layout) = (self.fleet, self.layout);
        let votes = votes(own, seen);
        let located = locate(fleet, layout, asking, &votes, when.days(), near)?;
        if !trigger.recurs {
            return Some(located);
        }
        let mut located = located.with_days(fleet, layout, asking, &by_day(own, seen), near);
        // What shows in a sum alone, or for less than an hour, is easily another's remainder.
        let brief = looked_at(trigger).count() < BRIEF_QUARTERS;
        (0..usize::from(trigger.pooled) + usize::from(brief)).for_each(|_| located.doubt());
        Some(located)
    }

    /// How a finding of another place stands to a problem. When all that it has shown so far, today
    /// included, points to the problem's place as well it is the same; else it suffers from this,
    /// too. What is bad at all hours is never taken for what is bad at some.
    fn relation(&self, known: &Finding, problem: &Problem) -> Relation {
        let constant = |kind| kind == FindingKind::ConstantFault;
        if self.points_to(known, problem.place) {
            Relation::Same
        } else if problem.confidence < SURE && constant(known.kind) == constant(problem.kind) {
            Relation::Unsure
        } else {
            Relation::Other
        }
    }

    /// True when all bad days of a finding, today included, point to a place.
    fn points_to(&self, known: &Finding, place: Place) -> bool {
        // Each by the clock where it is: the hours of a finding are those of its home.
        let mut clocks = Clocks::of(self.fleet, known, known.last_bad);
        let mut bad = |no: &&SeriesNo| {
            let (row, hours) = (self.history.day(**no, known.last_bad), clocks.hours(**no));
            row.zip(hours).is_some_and(|(row, hours)| {
                row.verdict.is_bad() && row.bad_quarters().overlaps(hours)
            })
        };
        let Some(&asking) = known.members.iter().find(&mut bad).or(known.members.first()) else {
            return false;
        };
        let building = self.fleet.info(asking).map_or(known.home, |info| info.building);
        let mut days = known.bad_days.clone();
        days.push(self.today);
        days.dedup();
        let trigger = Trigger {
            series: vec![asking],
            building,
            kind: known.kind,
            recurs: true,
            hours: clocks.hours(asking).unwrap_or(known.hours),
            bad_days: days.clone(),
            pooled: false,
            delay_alone: false,
            share: known.severity,
        };
        // What was told of moves only when its days by themselves say so: an overlapping fault that
        // began later weighs in their sum.
        let moves = |found: &Located| known.opened.is_none() || found.most_days;
        self.located(&trigger, &days).is_some_and(|found| found.place == place && moves(&found))
    }

    /// The rows of a trigger, one a date, and of days that it did not see a sibling's: all rows of a
    /// building are laid out alike.
    fn rows(&self, trigger: &Trigger, days: &[Date]) -> Vec<&SeriesDay> {
        let mut rows: BTreeMap<Date, &SeriesDay> = BTreeMap::new();
        for row in trigger.series.iter().flat_map(|&no| self.recent(no)) {
            rows.entry(row.date).or_insert(row);
        }
        let siblings = self.layout.of_building(trigger.building);
        for &day in days.iter().filter(|day| !rows.contains_key(*day)).collect::<Vec<_>>() {
            let row = siblings.iter().find_map(|&no| self.history.day(no, day));
            rows.extend(row.map(|row| (day, row)));
        }
        rows.into_values().collect()
    }

    /// Asks everybody concerned how much they suffered then, and how much those did who ask; `None`
    /// when none of these was observed.
    fn suffering(&self, asking: &[SeriesNo], when: &When) -> Option<Suffered> {
        let of = |no: SeriesNo| when.suffering(self.history, no, self.fleet.bin);
        let own: Vec<Suffering> = asking.iter().filter_map(|&no| of(no)).collect();
        let own = Suffering::of_all(&own)?;
        let asked = asked(self.fleet, self.layout, *asking.first()?).into_iter();
        Some((own, asked.filter_map(|no| Some((no, of(no)?))).collect()))
    }

    fn placed(&self, trigger: &Trigger, located: &Located) -> Problem {
        let mut members = located.suffering.clone();
        members.extend(&trigger.series);
        members.sort_unstable();
        members.dedup();
        Problem {
            kind: trigger.kind,
            certain: trigger.recurs,
            place: located.place,
            confidence: located.confidence,
            siblings: siblings(located),
            home: trigger.building,
            members,
            hours: trigger.hours,
            bad_days: trigger.bad_days.clone(),
            severity: trigger.share,
        }
    }

    /// The buildings that a problem may be about.
    fn buildings(&self, problem: &Problem) -> BTreeSet<BuildingNo> {
        let series: &[SeriesNo] = match problem.place {
            Place::Vpn(upstream) => self.layout.tunnels(upstream),
            Place::Target(target) => self.layout.to_target(target),
            _ => &problem.members,
        };
        let own = series.iter().filter_map(|&no| self.fleet.info(no)).map(|info| info.building);
        let behind = match problem.place {
            Place::Upstream(upstream) => self.layout.behind(upstream),
            _ => &[],
        };
        own.chain(behind.iter().copied()).collect()
    }

    /// Those of other triggers that lie in the place of a problem, at its hours.
    fn absorb(&self, all: &[Trigger], others: &[usize], problem: &Problem) -> Vec<usize> {
        let within = |no: &SeriesNo| {
            problem.members.binary_search(no).is_ok()
                || self.fleet.info(*no).is_some_and(|info| problem.place.holds(info))
        };
        let at_its_hours = |other: &Trigger| {
            let here = hours_at(self.fleet, other.hours, other.building, problem.home, self.today);
            problem.kind == FindingKind::ConstantFault || here.overlaps(problem.hours)
        };
        let belongs = |at: &usize| {
            all.get(*at).is_some_and(|one| one.series.iter().all(within) && at_its_hours(one))
        };
        others.iter().copied().filter(belongs).collect()
    }

    /// A problem with the series of those that joined it, and with the hours that a third of them
    /// have.
    fn with(&self, mut problem: Problem, all: &[Trigger], joined: &[usize]) -> Problem {
        let mut hours = vec![problem.hours];
        for other in joined.iter().filter_map(|&at| all.get(at)) {
            problem.members.extend(&other.series);
            if other.recurs == problem.certain {
                let there = other.building;
                hours.push(hours_at(self.fleet, other.hours, there, problem.home, self.today));
            }
        }
        problem.members.sort_unstable();
        problem.members.dedup();
        let third = hours.len().div_ceil(3);
        problem.hours = problem.hours.or(Quarters::in_at_least(&hours, third.max(1)));
        problem
    }

    fn far_series(&self) -> impl Iterator<Item = SeriesNo> + '_ {
        let all = (0..).zip(&self.fleet.series);
        all.filter(|(_, info)| info.reach == Reach::Far).map(|(no, _)| SeriesNo(no))
    }
}

/// The hours at which it is looked for where a trigger lies.
fn looked_at(trigger: &Trigger) -> Quarters {
    match trigger.kind {
        FindingKind::ConstantFault => Quarters::between(0, 24 * 60),
        _ => trigger.hours,
    }
}

/// What everybody concerned says of what those suffer who ask.
fn votes(own: &Suffering, seen: &[(SeriesNo, Suffering)]) -> Votes {
    seen.iter().map(|(no, one)| (*no, vote(one, own))).collect()
}

fn siblings(located: &Located) -> Siblings {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let near = located.near.unwrap_or((0, 0));
    Siblings {
        within: count(located.observed_within),
        suffering: count(located.suffering.len()),
        beside: count(located.observed_beside),
        suffering_beside: count(located.suffering_beside),
        near: count(near.0),
        suffering_near: count(near.1),
    }
}

#[cfg(test)]
mod tests;
