//! What differs between two configurations.

use super::{Desired, DesiredTarget, TargetWords};

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What: `budget.building_bits_per_second`, or a target's name and profile.
    pub subject: String,
    /// What it was; `None` when it was not there.
    pub before: Option<String>,
    /// What it is; `None` when it is not there any more.
    pub after: Option<String>,
}

/// What differs, budgets first, then targets in the order of the later configuration, then those that
/// went. `None` before is nothing at all.
#[must_use]
pub fn difference(before: Option<&Desired>, after: &Desired) -> Vec<Difference> {
    let mut found = Vec::new();
    let budget = |desired: &Desired| {
        let budget = desired.budget();
        [budget.subnet_bits_per_second(), budget.building_bits_per_second()]
    };
    let names = ["budget.subnet_bits_per_second", "budget.building_bits_per_second"];
    for (at, name) in names.into_iter().enumerate() {
        let (old, new) = (before.map(|before| budget(before)[at]), budget(after)[at]);
        if old != Some(new) {
            found.push(Difference {
                subject: name.to_owned(),
                before: old.map(|old| old.to_string()),
                after: Some(new.to_string()),
            });
        }
    }
    let old_targets = before.map_or(&[][..], Desired::targets);
    for target in after.targets() {
        let old = old_targets.iter().find(|old| is_same(old, target));
        if old != Some(target) {
            found.push(Difference {
                subject: subject(target),
                before: old.map(told),
                after: Some(told(target)),
            });
        }
    }
    for old in old_targets {
        if !after.targets().iter().any(|target| is_same(old, target)) {
            let (subject, before) = (subject(old), Some(told(old)));
            found.push(Difference { subject, before, after: None });
        }
    }
    found
}

fn is_same(a: &DesiredTarget, b: &DesiredTarget) -> bool {
    a.name() == b.name() && a.profile() == b.profile()
}

fn subject(target: &DesiredTarget) -> String {
    format!("{} {}", target.name(), target.profile().name)
}

/// All that can differ between two targets that are the same.
fn told(target: &DesiredTarget) -> String {
    let TargetWords { segment, requirement, window_ms, period_ms, agents_per_subnet, .. } =
        target.words();
    let number = |number: Option<u32>| number.unwrap_or_default();
    let word = |word: Option<String>| word.unwrap_or_else(|| "-".to_owned());
    format!(
        "window_ms={} period_ms={} agents_per_subnet={} segment={} requirement={}",
        number(window_ms),
        number(period_ms),
        number(agents_per_subnet),
        word(segment),
        word(requirement),
    )
}
