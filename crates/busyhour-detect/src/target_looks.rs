//! What all series show of their targets, remembered by days of UTC, so that of a bin whose cells
//! changed alone it is asked again whether targets were at fault in it.

use std::collections::{BTreeMap, BTreeSet};

use busyhour_model::SlotStart;

use crate::fleet::{AgentNo, Fleet, Reach, SeriesNo, TargetNo};
use crate::series::Cell;
use crate::target_day::{Look, SHARE_PERCENT, TargetBins, faults_of_bin, look, share};

/// Quarter-hours of a day.
const DAY: usize = 96;

/// What every series shows of its target in each quarter-hour.
///
/// Nothing is remembered but what [`crate::TargetViews`] would be given: both find the same faults in
/// the same cells. It grows by some 24 octets for a series and day (more where it is bad), and never
/// by itself: whoever puts into it also calls [`TargetLooks::forget_before`].
#[derive(Debug, Clone, Default)]
pub struct TargetLooks {
    days: BTreeMap<i64, DayLooks>,
    /// Quarter-hours that look other than when they were asked about last.
    changed: BTreeSet<SlotStart>,
}

/// A day of UTC.
#[derive(Debug, Clone, Default)]
struct DayLooks {
    /// By the number of the series.
    plain: Vec<Plain>,
    /// Of series in which anything was bad, ascending by quarter-hour.
    bad: BTreeMap<SeriesNo, Vec<BadLook>>,
}

/// The quarter-hours of a series and day that can be looked at, and those of them in which next to
/// nothing was bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Plain {
    seen: Quarters,
    clean: Quarters,
}

/// A quarter-hour that is bad, or failed.
#[derive(Debug, Clone, Copy, PartialEq)]
struct BadLook {
    at: u8,
    look: Look,
    share: f64,
}

/// A bit for each quarter-hour of a day, in few octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Quarters([u32; 3]);

impl Quarters {
    fn has(self, at: usize) -> bool {
        self.0.get(at / 32).is_some_and(|bits| bits >> (at % 32) & 1 == 1)
    }

    fn set(&mut self, at: usize, value: bool) {
        if let Some(bits) = self.0.get_mut(at / 32) {
            *bits = *bits & !(1 << (at % 32)) | u32::from(value) << (at % 32);
        }
    }
}

impl TargetLooks {
    /// Puts what a series saw in the quarter-hours from one to another, half open, in place of what was
    /// known of them. `cells` are in any order, one for each quarter-hour at most; those of other times
    /// are ignored.
    pub fn put(&mut self, series: SeriesNo, (from, until): (SlotStart, SlotStart), cells: &[Cell]) {
        let inside = cells.iter().filter(|cell| from <= cell.start && cell.start < until);
        let mut looks: Vec<(SlotStart, Look, f64)> = Vec::with_capacity(cells.len());
        looks.extend(inside.filter_map(|cell| Some((cell.start, look(cell)?, share(cell)))));
        looks.sort_unstable_by_key(|(start, ..)| *start);
        let mut looks = looks.as_slice();
        let mut start = from;
        while start < until {
            let day = start.number().div_euclid(DAY as i64);
            let ends = SlotStart::from_number((day + 1) * DAY as i64).min(until);
            let of_day;
            (of_day, looks) = looks.split_at(looks.partition_point(|(at, ..)| *at < ends));
            if !of_day.is_empty() || self.days.contains_key(&day) {
                let known = self.days.entry(day).or_default();
                known.put(series, (start, ends), of_day, &mut self.changed);
            }
            start = ends;
        }
    }

    /// Asks again about all quarter-hours that look other than before, and puts what is found in its
    /// place among `faults`. Gives those of which something else is found than was known.
    pub fn ask(&mut self, fleet: &Fleet, faults: &mut TargetBins) -> BTreeSet<SlotStart> {
        let mut others = BTreeSet::new();
        if self.changed.is_empty() {
            return others;
        }
        let far = (0..).zip(&fleet.series).filter(|(_, info)| info.reach == Reach::Far);
        let mut order: Vec<(AgentNo, TargetNo, SeriesNo)> =
            far.filter_map(|(no, info)| Some((info.agent, info.target?, SeriesNo(no)))).collect();
        order.sort_unstable();
        for start in std::mem::take(&mut self.changed) {
            let (day, at) = place_of(start);
            let found = match self.days.get(&day) {
                Some(day) if day.may_be_fault(&order, at, fleet.targets.len()) => {
                    faults_of_bin(fleet, &day.seen(at))
                }
                _ => Vec::new(),
            };
            if faults.replace_bin(start, found) {
                others.insert(start);
            }
        }
        others
    }

    /// Forgets the days of UTC that end before.
    pub fn forget_before(&mut self, start: SlotStart) {
        self.days = self.days.split_off(&place_of(start).0);
        self.changed = self.changed.split_off(&start);
    }
}

impl DayLooks {
    /// `looks` are those from one quarter-hour of the day to another, half open, ascending.
    fn put(
        &mut self,
        series: SeriesNo,
        (from, until): (SlotStart, SlotStart),
        looks: &[(SlotStart, Look, f64)],
        changed: &mut BTreeSet<SlotStart>,
    ) {
        let no = series.0 as usize;
        if no >= self.plain.len() {
            if looks.is_empty() {
                return;
            }
            self.plain.resize(no + 1, Plain::default());
        }
        let Some(plain) = self.plain.get_mut(no) else { return };
        let before = self.bad.get(&series).map_or(&[][..], Vec::as_slice);
        let (first, end) =
            (place_of(from).1, place_of(from).1 + (until.number() - from.number()) as usize);
        let within = |one: &&BadLook| (first..end).contains(&usize::from(one.at));
        let mut bad: Vec<BadLook> = before.iter().filter(|one| !within(one)).copied().collect();
        let mut looks = looks.iter().peekable();
        for at in first..end {
            let start = from.offset((at - first) as i64);
            let now = looks.next_if(|(one, ..)| *one == start);
            let now_bad = now.filter(|(_, look, _)| *look >= Look::Bad).map(|&(_, look, share)| {
                BadLook { at: u8::try_from(at).unwrap_or(u8::MAX), look, share }
            });
            let known_bad = before.iter().find(|one| usize::from(one.at) == at);
            let (seen, clean) =
                (now.is_some(), now.is_some_and(|(_, look, _)| *look == Look::Clean));
            let same = (plain.seen.has(at), plain.clean.has(at)) == (seen, clean)
                && known_bad == now_bad.as_ref();
            if !same {
                changed.insert(start);
                plain.seen.set(at, seen);
                plain.clean.set(at, clean);
            }
            bad.extend(now_bad);
        }
        if bad.is_empty() {
            self.bad.remove(&series);
        } else if bad.as_slice() != before {
            bad.sort_unstable_by_key(|one| one.at);
            self.bad.insert(series, bad);
        }
    }

    /// False when so few of those who saw a target in a quarter-hour saw it bad that it was not its own
    /// fault, whoever they were: of each target. `order` has all series to targets, by agent and target.
    fn may_be_fault(
        &self,
        order: &[(AgentNo, TargetNo, SeriesNo)],
        at: usize,
        targets: usize,
    ) -> bool {
        let mut tally = vec![(0usize, 0usize); targets];
        for own in order.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let (mut seen, mut bad) = (false, false);
            for &(_, _, no) in own {
                let plain = self.plain.get(no.0 as usize).copied().unwrap_or_default();
                seen |= plain.seen.has(at);
                bad |= plain.seen.has(at) && !plain.clean.has(at) && self.is_bad(no, at);
            }
            let target = own.first().and_then(|one| tally.get_mut(one.1.0 as usize));
            if let Some((observers, testifying)) = target {
                *observers += usize::from(seen);
                *testifying += usize::from(bad);
            }
        }
        let most =
            |&(observers, bad): &(usize, usize)| bad > 0 && bad * 100 >= observers * SHARE_PERCENT;
        tally.iter().any(most)
    }

    fn bad(&self, series: SeriesNo, at: usize) -> Option<&BadLook> {
        self.bad.get(&series)?.iter().find(|one| usize::from(one.at) == at)
    }

    fn is_bad(&self, series: SeriesNo, at: usize) -> bool {
        self.bad(series, at).is_some()
    }

    /// All that was seen in a quarter-hour, in the order of the series. Shares of what is not bad are
    /// nobody's business.
    fn seen(&self, at: usize) -> Vec<(SeriesNo, Look, f64)> {
        let seen = (0..).zip(&self.plain).filter(|(_, plain)| plain.seen.has(at));
        let look = |(no, plain): (u32, &Plain)| {
            let no = SeriesNo(no);
            match self.bad(no, at) {
                Some(bad) => (no, bad.look, bad.share),
                None if plain.clean.has(at) => (no, Look::Clean, 0.0),
                None => (no, Look::Fine, 0.0),
            }
        };
        seen.map(look).collect()
    }
}

/// The day of UTC of a quarter-hour, and which of its quarter-hours it is.
fn place_of(start: SlotStart) -> (i64, usize) {
    let number = start.number();
    let at = usize::try_from(number.rem_euclid(DAY as i64)).unwrap_or(0);
    (number.div_euclid(DAY as i64), at)
}

#[cfg(test)]
mod tests;
