//! What fails for most agents at once is the target's fault.

use std::collections::{BTreeMap, BTreeSet};

use busyhour_model::{AgentId, Breach, Slot, SlotStart, TargetName};

use crate::PathDay;

/// A quarter-hour of a path is bad here with one bad window in five, and at least two.
const BAD_ONE_IN: u32 = 5;
const BAD_WINDOWS: u32 = 2;
/// A quarter-hour is looked at with a fifth of its windows.
const USABLE_ONE_IN: u32 = 5;
/// A target is at fault when four in five of its observed agents are bad together, at least three
/// agents in at least two buildings.
const SHARE_PERCENT: usize = 80;
const AGENTS: usize = 3;
const BUILDINGS: usize = 2;

/// The quarter-hours in which targets were at fault.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetFaults(BTreeMap<TargetName, BTreeSet<SlotStart>>);

impl TargetFaults {
    /// True when `target` was at fault in that quarter-hour.
    #[must_use]
    pub fn contains(&self, target: &TargetName, slot: SlotStart) -> bool {
        self.0.get(target).is_some_and(|slots| slots.contains(&slot))
    }

    /// The targets at fault, each with its quarter-hours in order.
    pub fn iter(
        &self,
    ) -> impl Iterator<Item = (&TargetName, impl Iterator<Item = SlotStart> + '_)> {
        self.0.iter().map(|(target, slots)| (target, slots.iter().copied()))
    }

    /// True when no target was at fault.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What one agent saw of one target in one quarter-hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Fine,
    Bad,
    /// Nothing came back most of the time.
    Failed,
}

/// What everybody saw in one quarter-hour, each with the number of a path it was seen on.
type Views<'a> = BTreeMap<(AgentId, &'a TargetName), (Seen, usize)>;

/// Finds the quarter-hours in which a target was at fault, from all paths of all buildings.
///
/// An agent that sees another target bad at the same time does not testify against either: what
/// they have in common lies on the way. Unless nothing comes back at all: then the way cannot tell.
#[must_use]
pub fn target_faults(paths: &[PathDay<'_>]) -> TargetFaults {
    let mut seen: BTreeMap<SlotStart, Views<'_>> = BTreeMap::new();
    for (at, path) in paths.iter().enumerate() {
        for slot in path.slots {
            let Some(now) = look(slot) else { continue };
            let entry = seen.entry(slot.start).or_default();
            let (before, _) = entry.entry((path.agent, path.target)).or_insert((now, at));
            *before = (*before).max(now);
        }
    }
    let mut faults = TargetFaults::default();
    for (slot, views) in seen {
        for target in targets_at_fault(&views, paths) {
            faults.0.entry(target.clone()).or_default().insert(slot);
        }
    }
    faults
}

fn targets_at_fault<'a>(views: &Views<'a>, paths: &[PathDay<'_>]) -> Vec<&'a TargetName> {
    let sees_others_bad = |agent: AgentId, target: &TargetName| {
        views.iter().any(|(&(other, elsewhere), &(seen, _))| {
            other == agent && elsewhere != target && seen != Seen::Fine
        })
    };
    let targets: BTreeSet<&TargetName> = views.keys().map(|&(_, target)| target).collect();
    let at_fault = |target: &TargetName| {
        let observers: Vec<_> = views.iter().filter(|((_, named), _)| *named == target).collect();
        let witnesses: Vec<usize> = observers
            .iter()
            .filter(|&&(&(agent, _), &(seen, _))| match seen {
                Seen::Fine => false,
                Seen::Bad => !sees_others_bad(agent, target),
                Seen::Failed => true,
            })
            .map(|&(_, &(_, at))| at)
            .collect();
        let buildings: BTreeSet<_> = witnesses.iter().map(|&at| paths[at].building).collect();
        witnesses.len() >= AGENTS
            && buildings.len() >= BUILDINGS
            && witnesses.len() * 100 >= observers.len() * SHARE_PERCENT
    };
    targets.into_iter().filter(|target| at_fault(target)).collect()
}

/// What a slot shows; `None` when too little of it was observed.
fn look(slot: &Slot) -> Option<Seen> {
    if slot.valid == 0 || slot.valid.saturating_mul(USABLE_ONE_IN) < slot.expected {
        return None;
    }
    if slot.bad_by(Breach::Failed) * 2 >= slot.valid {
        return Some(Seen::Failed);
    }
    let bad = slot.bad >= BAD_WINDOWS && slot.bad.saturating_mul(BAD_ONE_IN) >= slot.valid;
    Some(if bad { Seen::Bad } else { Seen::Fine })
}
