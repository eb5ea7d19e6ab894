//! What fails for most agents at once is the target's fault.

use std::collections::{BTreeMap, BTreeSet};

use busyhour_model::{AgentId, Breach, Slot, SlotStart, TargetName};

use crate::PathDay;

/// A quarter-hour of a path is bad here with one bad window in five, and at least two.
const BAD_ONE_IN: u32 = 5;
const BAD_WINDOWS: u32 = 2;
/// A quarter-hour is looked at with a fifth of its windows.
const USABLE_ONE_IN: u32 = 5;
/// A quarter-hour is a witness's with less than one bad window in twenty, the share that makes an
/// hour bad: what is merely a little less bad elsewhere proves nothing.
const CLEAN_ONE_IN: u32 = 20;
/// A target is at fault when four in five of its observed agents are bad together: at least three
/// agents in at least two buildings, or each with a witness.
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
    /// Next to nothing was bad.
    Clean,
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
///
/// Another target that is judged by the same requirements and that the same agent sees clean is a
/// witness: the way is not it. Where all who testify have one, neither three agents nor two
/// buildings are asked for.
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
            other == agent && elsewhere != target && seen >= Seen::Bad
        })
    };
    let has_witness = |agent: AgentId, target: &TargetName, path: &PathDay<'_>| {
        views.iter().any(|(&(other, elsewhere), &(seen, at))| {
            other == agent
                && elsewhere != target
                && seen == Seen::Clean
                && paths[at].requirement == path.requirement
        })
    };
    let targets: BTreeSet<&TargetName> = views.keys().map(|&(_, target)| target).collect();
    let at_fault = |target: &TargetName| {
        let observers: Vec<_> = views.iter().filter(|((_, named), _)| *named == target).collect();
        let testifying: Vec<(AgentId, &PathDay<'_>)> = observers
            .iter()
            .filter(|&&(&(agent, _), &(seen, _))| match seen {
                Seen::Clean | Seen::Fine => false,
                Seen::Bad => !sees_others_bad(agent, target),
                Seen::Failed => true,
            })
            .map(|&(&(agent, _), &(_, at))| (agent, &paths[at]))
            .collect();
        let enough = |agents: usize| agents * 100 >= observers.len() * SHARE_PERCENT;
        let witnessed =
            testifying.iter().filter(|(agent, path)| has_witness(*agent, target, path)).count();
        let buildings: BTreeSet<_> = testifying.iter().map(|(_, path)| path.building).collect();
        let many = testifying.len() >= AGENTS && buildings.len() >= BUILDINGS;
        (many && enough(testifying.len())) || (witnessed > 0 && enough(witnessed))
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
    let clean = slot.bad.saturating_mul(CLEAN_ONE_IN) < slot.valid;
    Some(if bad {
        Seen::Bad
    } else if clean {
        Seen::Clean
    } else {
        Seen::Fine
    })
}
