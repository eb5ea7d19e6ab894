//! What was worked out of rows before and still holds, so that judging a date again costs as much as
//! has changed since: most of a fleet has not when a building's data come late.
//!
//! Nothing follows from what is remembered that would not follow from the rows: every answer is kept
//! with the rows it rests on, and is given only while none of them, nor the fleet, is another.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::early::EarlyWarning;
use crate::fleet::{Fleet, SeriesNo};
use crate::history::History;
use crate::locate::Located;
use crate::params::Params;
use crate::shift::LevelShift;
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
    shifts: Vec<Option<(u64, Option<LevelShift>)>>,
    warnings: Vec<Option<(u64, Option<EarlyWarning>)>>,
}

/// Where something was found to be.
#[derive(Debug, Clone)]
struct Placed {
    trigger: Trigger,
    days: Vec<Date>,
    /// All series whose rows have a say, and how the rows stood.
    asked: Vec<SeriesNo>,
    at: u64,
    located: Option<Located>,
}

impl Remembered {
    /// Begins to judge dates: what was worked out for another fleet holds no more.
    pub(crate) fn begin(&mut self, fleet: &Fleet, params: &Params) {
        let fleet = fingerprint(fleet);
        if self.fleet != fleet || self.params.as_ref() != Some(params) {
            *self = Self { fleet, params: Some(*params), dates: BTreeMap::new() };
        }
    }

    /// Begins to judge a date.
    pub(crate) fn turn(&mut self, today: Date, history: &History) {
        let of = self.dates.entry(today).or_default();
        if of.forgotten != history.forgotten() {
            *of = OfDate { forgotten: history.forgotten(), ..OfDate::default() };
        }
        of.before = std::mem::take(&mut of.places);
        of.count = 0;
    }

    /// Forgets what nobody will ask for again after dates up to this one were judged.
    pub(crate) fn end(&mut self, front: Date) {
        self.dates = self.dates.split_off(&front.saturating_sub(DATES.days()));
        self.dates.values_mut().for_each(|of| of.before.clear());
    }

    /// The place that was found for a trigger and days, if it would be found again.
    pub(crate) fn place(
        &mut self,
        today: Date,
        (trigger, days): (&Trigger, &[Date]),
        history: &History,
    ) -> Option<Option<Located>> {
        let first = *trigger.series.first()?;
        let of = self.dates.get_mut(&today)?;
        let is_it = |one: &Placed| one.trigger == *trigger && one.days == days;
        let holds = |one: &Placed| one.asked.iter().all(|&no| history.changed_at(no) <= one.at);
        let asked = of.places.get(&first).and_then(|all| all.iter().find(|one| is_it(one)));
        if let Some(known) = asked {
            return holds(known).then(|| known.located.clone());
        }
        let before = of.before.get_mut(&first)?;
        let known = before.swap_remove(before.iter().position(is_it)?);
        if !holds(&known) {
            return None;
        }
        let located = known.located.clone();
        of.keep(first, known);
        Some(located)
    }

    /// Keeps a place that was found. `asked` are all series whose rows had a say.
    pub(crate) fn keep_place(
        &mut self,
        today: Date,
        (trigger, days): (&Trigger, &[Date]),
        asked: Vec<SeriesNo>,
        history: &History,
        located: Option<&Located>,
    ) {
        let (Some(&first), Some(of)) = (trigger.series.first(), self.dates.get_mut(&today)) else {
            return;
        };
        let (trigger, days) = (trigger.clone(), days.to_vec());
        let located = located.cloned();
        of.keep(first, Placed { trigger, days, asked, at: history.changes(), located });
    }

    /// The level shift of a series, worked out anew if its rows are others.
    pub(crate) fn shift(
        &mut self,
        (today, no): (Date, SeriesNo),
        history: &History,
        anew: impl FnOnce() -> Option<LevelShift>,
    ) -> Option<LevelShift> {
        let Some(of) = self.dates.get_mut(&today) else { return anew() };
        answer(&mut of.shifts, no, history, anew)
    }

    /// The early warning of a series, worked out anew if its rows are others.
    pub(crate) fn warning(
        &mut self,
        (today, no): (Date, SeriesNo),
        history: &History,
        anew: impl FnOnce() -> Option<EarlyWarning>,
    ) -> Option<EarlyWarning> {
        let Some(of) = self.dates.get_mut(&today) else { return anew() };
        answer(&mut of.warnings, no, history, anew)
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
    known: &mut Vec<Option<(u64, Option<T>)>>,
    no: SeriesNo,
    history: &History,
    anew: impl FnOnce() -> Option<T>,
) -> Option<T> {
    let (at, changed) = (no.0 as usize, history.changed_at(no));
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

/// Changes whenever what is judged by does; names say nothing of where anything is.
fn fingerprint(fleet: &Fleet) -> u64 {
    let mut hasher = DefaultHasher::new();
    (fleet.bin.quarters(), fleet.buildings.len()).hash(&mut hasher);
    for info in &fleet.series {
        (info.building, info.subnet, info.agent, info.link, info.target).hash(&mut hasher);
        (info.upstream, info.reach, info.requirement, info.near).hash(&mut hasher);
    }
    hasher.finish()
}
