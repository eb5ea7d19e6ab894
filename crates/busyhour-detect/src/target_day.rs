//! When targets were at fault, from the cells of all series: what fails for most of those who talk to
//! a target, and for them only on the way to it, is the target's own.

use std::collections::{BTreeMap, BTreeSet};

use busyhour_model::{Breach, SlotStart};

use crate::beside::TargetDay;
use crate::day_frame::BuildingDay;
use crate::fleet::{AgentNo, BuildingNo, Fleet, Reach, SeriesNo, TargetNo, UpstreamNo};
use crate::series::Cell;

/// A bin is bad here with one bad window in five, and at least two.
const BAD_ONE_IN: u32 = 5;
const BAD_WINDOWS: u32 = 2;
/// A bin is looked at with a fifth of its windows.
const USABLE_ONE_IN: u32 = 5;
/// It is a witness's with less than one bad window in twenty, the share that makes an hour bad, by the
/// same limits.
const CLEAN_ONE_IN: u32 = 20;
/// A target is at fault when four in five of its observers are bad together: at least three agents
/// in two buildings that share no upstream, or each with a witness.
pub(crate) const SHARE_PERCENT: usize = 80;
const AGENTS: usize = 3;
const WAYS: usize = 2;
/// Shorter faults are left out of what was seen, and not told of: bins of a day.
const TOLD_BINS: usize = 2;

/// What one series shows of its target in one bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Look {
    /// Next to nothing was bad.
    Clean,
    Fine,
    Bad,
    /// Nothing came back most of the time.
    Failed,
}

/// Who says that a target was at fault in a bin, with the share of bad windows each saw.
pub(crate) type Witnesses = Vec<(SeriesNo, f64)>;

/// The bins in which targets were at fault.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TargetBins(BTreeMap<TargetNo, BTreeMap<SlotStart, Witnesses>>);

impl TargetBins {
    /// True when the target was at fault in the bin that begins there.
    #[must_use]
    pub fn contains(&self, target: TargetNo, start: SlotStart) -> bool {
        self.0.get(&target).is_some_and(|bins| bins.contains_key(&start))
    }

    /// True when none was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what was found of another time.
    pub fn extend(&mut self, other: Self) {
        for (target, bins) in other.0 {
            self.0.entry(target).or_default().extend(bins);
        }
    }

    /// Puts what was found of the bins from `from` to `until`, half open, in place of what was known of
    /// them. True when that is something else.
    pub fn replace(&mut self, from: SlotStart, until: SlotStart, found: Self) -> bool {
        let before = self.clone();
        for bins in self.0.values_mut() {
            bins.retain(|start, _| *start < from || *start >= until);
        }
        self.extend(found);
        self.0.retain(|_, bins| !bins.is_empty());
        *self != before
    }

    /// Puts what was found of one bin in place of what was known of it. True when that is something else.
    pub(crate) fn replace_bin(
        &mut self,
        start: SlotStart,
        found: Vec<(TargetNo, Witnesses)>,
    ) -> bool {
        let found: BTreeMap<TargetNo, Witnesses> = found.into_iter().collect();
        let mut is_other = false;
        self.0.retain(|target, bins| {
            if !found.contains_key(target) && bins.remove(&start).is_some() {
                is_other = true;
            }
            !bins.is_empty()
        });
        for (target, witnesses) in found {
            let before = self.0.entry(target).or_default().insert(start, witnesses);
            is_other |= before.as_ref() != self.0.get(&target).and_then(|bins| bins.get(&start));
        }
        is_other
    }

    /// Forgets what was before.
    pub fn forget_before(&mut self, start: SlotStart) {
        for bins in self.0.values_mut() {
            *bins = bins.split_off(&start);
        }
        self.0.retain(|_, bins| !bins.is_empty());
    }

    /// The targets that were at fault for longer than a bin on a local day, by the day of the building
    /// whose series comes first among those who saw it. `frame_of` gives the building's day.
    pub fn on_day<'f>(
        &self,
        fleet: &Fleet,
        mut frame_of: impl FnMut(BuildingNo) -> Option<&'f BuildingDay>,
    ) -> Vec<TargetDay> {
        let mut days = Vec::new();
        for (&target, bins) in &self.0 {
            let first = bins.values().flatten().map(|&(no, _)| no).min();
            let Some(home) = first.and_then(|no| fleet.info(no)).map(|info| info.building) else {
                continue;
            };
            let Some(frame) = frame_of(home) else { continue };
            let (from, until) = frame.span();
            let mut day = TargetDay {
                target,
                home,
                hours: crate::Quarters::default(),
                witnesses: Vec::new(),
                share: 0.0,
            };
            let mut count = 0;
            for (&start, witnesses) in bins.range(from..until) {
                let minute = frame.bin_of(start).and_then(|at| frame.minutes.get(at));
                let Some(&minute) = minute else { continue };
                count += 1;
                day.hours.insert_bin(minute, frame.bin.quarters());
                day.witnesses.extend(witnesses.iter().map(|&(no, _)| no));
                day.share = witnesses.iter().fold(day.share, |most, &(_, share)| most.max(share));
            }
            day.witnesses.sort_unstable();
            day.witnesses.dedup();
            if count >= TOLD_BINS {
                days.push(day);
            }
        }
        days
    }
}

/// What everybody saw of the targets, by bin; series without a target and those to the site's edge
/// have no say.
pub struct TargetViews<'a> {
    fleet: &'a Fleet,
    bins: BTreeMap<SlotStart, Vec<(SeriesNo, Look, f64)>>,
}

impl<'a> TargetViews<'a> {
    /// Of a fleet; nothing was seen yet.
    #[must_use]
    pub const fn new(fleet: &'a Fleet) -> Self {
        Self { fleet, bins: BTreeMap::new() }
    }

    /// Adds the cells of a series.
    pub fn add(&mut self, series: SeriesNo, cells: &[Cell]) {
        let far = |no| {
            self.fleet
                .info(no)
                .is_some_and(|info| info.reach == Reach::Far && info.target.is_some())
        };
        if !far(series) {
            return;
        }
        for cell in cells {
            if let Some(look) = look(cell) {
                self.bins.entry(cell.start).or_default().push((series, look, share(cell)));
            }
        }
    }

    /// Finds the bins in which targets were at fault.
    #[must_use]
    pub fn faults(&self) -> TargetBins {
        let mut found = TargetBins::default();
        for (&start, seen) in &self.bins {
            if seen.iter().all(|(_, look, _)| *look < Look::Bad) {
                continue;
            }
            for (target, witnesses) in faults_of_bin(self.fleet, seen) {
                found.0.entry(target).or_default().insert(start, witnesses);
            }
        }
        found
    }
}

/// What an agent saw of a target: the worst of its series, with its number and share.
type View = (Look, SeriesNo, f64);

/// The targets at fault in a bin of which this was seen, and who says so.
pub(crate) fn faults_of_bin(
    fleet: &Fleet,
    seen: &[(SeriesNo, Look, f64)],
) -> Vec<(TargetNo, Witnesses)> {
    let mut agents: BTreeMap<AgentNo, BTreeMap<TargetNo, View>> = BTreeMap::new();
    for &(no, look, share) in seen {
        let Some(info) = fleet.info(no) else { continue };
        let Some(target) = info.target else { continue };
        let views = agents.entry(info.agent).or_default();
        let view = views.entry(target).or_insert((look, no, share));
        if look > view.0 {
            *view = (look, no, share);
        }
    }
    let mut targets: BTreeMap<TargetNo, Tally> = BTreeMap::new();
    let requirement = |no| fleet.info(no).map(|info| info.requirement);
    for views in agents.values() {
        for (&target, &(look, no, share)) in views {
            let elsewhere = || views.iter().filter(|(other, _)| **other != target);
            let others_bad = elsewhere().any(|(_, view)| view.0 >= Look::Bad);
            let witness =
                |view: &View| view.0 == Look::Clean && requirement(view.1) == requirement(no);
            let testifies = match look {
                Look::Clean | Look::Fine => false,
                // What an agent's ways have in common is not the target.
                Look::Bad => !others_bad,
                Look::Failed => true,
            };
            let tally = targets.entry(target).or_default();
            tally.observers += 1;
            if testifies {
                tally.witnessed += usize::from(elsewhere().any(|(_, view)| witness(view)));
                tally.testifying.push((no, share));
            }
        }
    }
    let at_fault = targets.into_iter().filter(|(_, tally)| tally.is_at_fault(fleet));
    at_fault.map(|(target, tally)| (target, tally.testifying)).collect()
}

#[derive(Default)]
struct Tally {
    observers: usize,
    witnessed: usize,
    testifying: Witnesses,
}

/// What a series shares with others on its way: its upstream, else its building.
type Way = (Option<UpstreamNo>, Option<BuildingNo>);

impl Tally {
    fn is_at_fault(&self, fleet: &Fleet) -> bool {
        let enough = |agents: usize| agents * 100 >= self.observers * SHARE_PERCENT;
        let infos = || self.testifying.iter().filter_map(|&(no, _)| fleet.info(no));
        let ways: BTreeSet<Way> = infos()
            .map(|info| (info.upstream, info.upstream.is_none().then_some(info.building)))
            .collect();
        let buildings: BTreeSet<BuildingNo> = infos().map(|info| info.building).collect();
        let many = self.testifying.len() >= AGENTS && ways.len() >= WAYS && buildings.len() >= WAYS;
        (many && enough(self.testifying.len())) || (self.witnessed > 0 && enough(self.witnessed))
    }
}

/// What a cell shows; `None` when too little of it was observed.
pub(crate) fn look(cell: &Cell) -> Option<Look> {
    if cell.valid == 0 || cell.valid.saturating_mul(USABLE_ONE_IN) < cell.expected {
        return None;
    }
    let failed = cell.bad_by.get(Breach::Failed as usize).copied().unwrap_or(0);
    if failed.saturating_mul(2) >= cell.valid {
        return Some(Look::Failed);
    }
    let bad = cell.bad >= BAD_WINDOWS && cell.bad.saturating_mul(BAD_ONE_IN) >= cell.valid;
    let clean = cell.bad.saturating_mul(CLEAN_ONE_IN) < cell.valid;
    Some(if bad {
        Look::Bad
    } else if clean {
        Look::Clean
    } else {
        Look::Fine
    })
}

/// The share of bad windows, 0..=1.
pub(crate) fn share(cell: &Cell) -> f64 {
    f64::from(cell.bad) / f64::from(cell.valid.max(1))
}

#[cfg(test)]
mod tests;
