//! What was worked out of rows before and still holds, so that judging a date again costs as much as
//! has changed since: most of a fleet has not when a building's data come late.
//!
//! Nothing follows from what is remembered that would not follow from the rows: every answer is kept
//! with the rows it rests on, and is given only while none of them, nor the fleet, is another.

use std::collections::BTreeMap;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::early::EarlyWarning;
use crate::finding::Finding;
use crate::fleet::{Bin, BuildingNo, Fleet, SeriesNo};
use crate::history::History;
use crate::layout::Layout;
use crate::locate::Located;
use crate::mixer::Mixer;
use crate::params::Params;
use crate::shift::LevelShift;
use crate::suffer::{Suffering, When};
use crate::trigger::Trigger;

/// Dates that answers are kept of: those that are judged again and again.
const DATES: i32 = 7;
/// Places that are kept of a date: more bad series than a large fleet has on a bad day. Others are asked
/// for again.
const PLACES: usize = 4_096;

/// Answers by the date that was judged.
#[derive(Debug, Clone, Default)]
pub(crate) struct Remembered {
    /// What all of it was worked out for.
    fleet: u64,
    layout: Option<Arc<Layout>>,
    params: Option<Params>,
    dates: BTreeMap<Date, OfDate>,
}

#[derive(Debug, Clone, Default)]
struct OfDate {
    /// Rows before this date were gone.
    forgotten: Option<Date>,
    /// Places of what was asked for in this judgement, and in the one before.
    places: BTreeMap<SeriesNo, Vec<Placed>>,
    before: BTreeMap<SeriesNo, Vec<Placed>>,
    count: usize,
    shifts: Answers<Option<LevelShift>>,
    warnings: Answers<Option<EarlyWarning>>,
    /// By building.
    triggers: Answers<Vec<Trigger>>,
    /// Findings that were explained in this judgement, and in the one before, by number.
    explained: BTreeMap<u64, Explained>,
    explained_before: BTreeMap<u64, Explained>,
}

/// A finding without and with its explanation.
#[derive(Debug, Clone)]
struct Explained {
    plain: Finding,
    told: Finding,
    /// When rows that it rests on changed last.
    changed: u64,
}

/// Answers by number, each with how the rows stood that it rests on.
type Answers<T> = Vec<Option<(u64, T)>>;

/// Where something was found to be, and what that rests on.
#[derive(Debug, Clone)]
struct Placed {
    trigger: Trigger,
    days: Vec<Date>,
    basis: Basis,
    /// How the rows stood.
    at: u64,
    located: Option<Located>,
}

/// What a place rests on: when it was looked for, and what everybody showed then.
#[derive(Debug, Clone)]
pub(crate) struct Basis {
    pub(crate) when: When,
    /// The series by whose rows that is known.
    pub(crate) own: Vec<SeriesNo>,
    /// All series that were asked, and a figure of what each showed.
    pub(crate) asked: Vec<SeriesNo>,
    pub(crate) shown: Vec<u64>,
}

/// A figure of what a series shows.
pub(crate) fn shown(suffering: Option<&Suffering>) -> u64 {
    suffering.map_or(0, Suffering::fingerprint)
}

impl Placed {
    /// True when it would be found again: all that it rests on shows the same. What did not change since
    /// it was looked at is not looked at again.
    fn holds(&mut self, history: &History, bin: Bin, when: &dyn Fn() -> When) -> bool {
        let changed = |no: &SeriesNo| history.changed_at(*no) > self.at;
        let Basis { when: known, own, asked, shown: before } = &self.basis;
        if own.iter().any(changed) && when() != *known {
            return false;
        }
        let mut others = asked.iter().zip(before).filter(|(no, _)| changed(no));
        let same = others
            .all(|(&no, &before)| shown(known.suffering(history, no, bin).as_ref()) == before);
        if same {
            self.at = history.changes();
        }
        same
    }
}

impl Remembered {
    /// Begins to judge dates: what was worked out for another fleet holds no more.
    pub(crate) fn begin(&mut self, fleet: &Fleet, params: &Params) {
        let fleet = fingerprint(fleet);
        if self.fleet != fleet || self.params.as_ref() != Some(params) {
            *self = Self { fleet, params: Some(*params), ..Self::default() };
        }
    }

    /// Who shares what in the fleet that [`Self::begin`] was told of.
    pub(crate) fn layout(&mut self, fleet: &Fleet) -> Arc<Layout> {
        self.layout.get_or_insert_with(|| Arc::new(Layout::of(fleet))).clone()
    }

    /// Begins to judge a date.
    pub(crate) fn turn(&mut self, today: Date, history: &History) {
        let of = self.dates.entry(today).or_default();
        if of.forgotten != history.forgotten() {
            *of = OfDate { forgotten: history.forgotten(), ..OfDate::default() };
        }
        of.before = std::mem::take(&mut of.places);
        of.explained_before = std::mem::take(&mut of.explained);
        of.count = 0;
    }

    /// Forgets what nobody will ask for again after dates up to this one were judged.
    pub(crate) fn end(&mut self, front: Date) {
        self.dates = self.dates.split_off(&front.saturating_sub(DATES.days()));
        for of in self.dates.values_mut() {
            of.before.clear();
            of.explained_before.clear();
        }
    }

    /// A finding with the explanation that it was given before, if it would be given the same: it was as
    /// it is now, and rows that it rests on changed last when they did then.
    pub(crate) fn explained(
        &mut self,
        today: Date,
        plain: &Finding,
        changed: u64,
    ) -> Option<Finding> {
        let of = self.dates.get_mut(&today)?;
        let known = of.explained_before.remove(&plain.id)?;
        if known.changed != changed || known.plain != *plain {
            return None;
        }
        let told = known.told.clone();
        of.explained.insert(plain.id, known);
        Some(told)
    }

    /// Keeps an explanation.
    pub(crate) fn keep_explained(
        &mut self,
        today: Date,
        plain: Finding,
        told: &Finding,
        changed: u64,
    ) {
        if let Some(of) = self.dates.get_mut(&today) {
            of.explained.insert(plain.id, Explained { plain, told: told.clone(), changed });
        }
    }

    /// The place that was found for a trigger and days, if it would be found again. `when` tells when it
    /// would be looked for now.
    pub(crate) fn place(
        &mut self,
        today: Date,
        (trigger, days): (&Trigger, &[Date]),
        (history, bin): (&History, Bin),
        when: &dyn Fn() -> When,
    ) -> Option<Option<Located>> {
        let first = *trigger.series.first()?;
        let of = self.dates.get_mut(&today)?;
        let is_it = |one: &Placed| one.trigger == *trigger && one.days == days;
        let asked = of.places.get_mut(&first);
        if let Some(known) = asked.and_then(|all| all.iter_mut().find(|one| is_it(one))) {
            return known.holds(history, bin, when).then(|| known.located.clone());
        }
        let before = of.before.get_mut(&first)?;
        let mut known = before.swap_remove(before.iter().position(is_it)?);
        if !known.holds(history, bin, when) {
            return None;
        }
        let located = known.located.clone();
        of.keep(first, known);
        Some(located)
    }

    /// Keeps a place that was found.
    pub(crate) fn keep_place(
        &mut self,
        today: Date,
        (trigger, days): (&Trigger, &[Date]),
        basis: Basis,
        history: &History,
        located: Option<&Located>,
    ) {
        let (Some(&first), Some(of)) = (trigger.series.first(), self.dates.get_mut(&today)) else {
            return;
        };
        let (trigger, days) = (trigger.clone(), days.to_vec());
        let located = located.cloned();
        of.keep(first, Placed { trigger, days, basis, at: history.changes(), located });
    }

    /// The level shift of a series, worked out anew if its rows are others.
    pub(crate) fn shift(
        &mut self,
        (today, no): (Date, SeriesNo),
        history: &History,
        anew: impl FnOnce() -> Option<LevelShift>,
    ) -> Option<LevelShift> {
        let Some(of) = self.dates.get_mut(&today) else { return anew() };
        answer(&mut of.shifts, no.0, history.changed_at(no), anew)
    }

    /// The early warning of a series, worked out anew if its rows are others.
    pub(crate) fn warning(
        &mut self,
        (today, no): (Date, SeriesNo),
        history: &History,
        anew: impl FnOnce() -> Option<EarlyWarning>,
    ) -> Option<EarlyWarning> {
        let Some(of) = self.dates.get_mut(&today) else { return anew() };
        answer(&mut of.warnings, no.0, history.changed_at(no), anew)
    }

    /// What is bad in a building, worked out anew if its rows changed since they last did.
    pub(crate) fn triggers(
        &mut self,
        (today, building): (Date, BuildingNo),
        changed: u64,
        anew: impl FnOnce() -> Vec<Trigger>,
    ) -> Vec<Trigger> {
        let Some(of) = self.dates.get_mut(&today) else { return anew() };
        answer(&mut of.triggers, building.0, changed, anew)
    }
}

impl OfDate {
    fn keep(&mut self, first: SeriesNo, placed: Placed) {
        if self.count < PLACES {
            self.count += 1;
            self.places.entry(first).or_default().push(placed);
        }
    }
}

fn answer<T: Clone>(
    known: &mut Answers<T>,
    number: u32,
    changed: u64,
    anew: impl FnOnce() -> T,
) -> T {
    let at = number as usize;
    if at >= known.len() {
        known.resize_with(at + 1, || None);
    }
    if let Some(Some((when, answer))) = known.get(at)
        && *when == changed
    {
        return answer.clone();
    }
    let answer = anew();
    if let Some(place) = known.get_mut(at) {
        *place = Some((changed, answer.clone()));
    }
    answer
}

/// Changes whenever what is judged and told by does.
fn fingerprint(fleet: &Fleet) -> u64 {
    let mut hasher = Mixer::default();
    (fleet.bin.quarters(), fleet.buildings.len()).hash(&mut hasher);
    for info in &fleet.series {
        (info.building, info.subnet, info.agent, info.link, info.target).hash(&mut hasher);
        (info.upstream, info.reach, info.requirement, info.near).hash(&mut hasher);
        (&info.name, info.simulated).hash(&mut hasher);
    }
    for site in &fleet.buildings {
        (&site.name, site.zone.iana_name(), &site.holidays).hash(&mut hasher);
    }
    (&fleet.subnets, &fleet.agents, &fleet.upstreams, &fleet.targets).hash(&mut hasher);
    (&fleet.regions, &fleet.microsoft).hash(&mut hasher);
    hasher.finish()
}
