//! Runs methods over worlds: each region is made once, told about by every method, and scored.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use busyhour_detect::{Params, replay};
use busyhour_sim::score::{Detail, Ground, Tally, ToldFinding};
use busyhour_sim::world::{InvalidPlan, Plan, RegionRecord, TruthKind, World};

use crate::baseline::{Baseline, notifications};
use crate::recorded::{RecordedRegion, told};

/// Somebody who tells of a fleet.
#[derive(Debug, Clone)]
pub enum Method {
    /// The detector.
    Detector {
        /// What is special about it.
        name: String,
        /// Its thresholds.
        params: Box<Params>,
    },
    /// A rule that users have today.
    Baseline(Baseline),
}

impl Method {
    /// The detector as it comes.
    #[must_use]
    pub fn detector() -> Self {
        Self::variant("detector", Params::default())
    }

    /// The detector with other thresholds.
    #[must_use]
    pub fn variant(name: impl Into<String>, params: Params) -> Self {
        Self::Detector { name: name.into(), params: Box::new(params) }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Detector { name, .. } => name,
            Self::Baseline(rule) => rule.as_str(),
        }
    }

    /// All that it tells of a region of a plan's world.
    #[must_use]
    pub fn tell(&self, region: &RegionRecord, plan: &Plan) -> Vec<ToldFinding> {
        match self {
            Self::Baseline(rule) => notifications(*rule, region, plan.first, plan.days),
            Self::Detector { params, .. } => {
                let recorded = RecordedRegion::new(region, plan);
                let mut words = Vec::new();
                let fleet = busyhour_detect::Recorded::fleet(&recorded);
                replay(&recorded, params, &mut |date, finding| {
                    words.push(told(fleet, date, finding));
                });
                words
            }
        }
    }
}

/// What one method is worth.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The counts.
    pub tally: Tally,
    /// What was missed, false or wrong, region by region.
    pub details: Vec<Detail>,
    /// How long telling took, all threads together.
    pub took: Duration,
}

/// What the worlds were like.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Buildings.
    pub buildings: u64,
    /// Series beyond sites' edges and to them.
    pub series: u64,
    /// Series days.
    pub series_days: u64,
    /// Quarter-hours delivered.
    pub slots: u64,
    /// Windows that counted.
    pub windows: u64,
    /// The severity of each episode with a truly bad day, ascending.
    pub severities: Vec<f64>,
    /// How long making took, all threads together.
    pub took: Duration,
}

/// What a run brought.
#[derive(Debug, Clone)]
pub struct Run {
    /// One for each method, in their order.
    pub outcomes: Vec<Outcome>,
    /// What the worlds were like.
    pub facts: Facts,
}

/// Runs methods over the worlds of some plans, on so many threads; `progress` hears of regions done, of
/// how many.
///
/// # Errors
/// When a plan makes no world.
///
/// # Panics
/// When a method panics.
pub fn run(
    plans: &[Plan],
    methods: &[Method],
    threads: usize,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Run, InvalidPlan> {
    let worlds = plans.iter().map(World::new).collect::<Result<Vec<_>, _>>()?;
    let work: Vec<(usize, u32)> = worlds
        .iter()
        .enumerate()
        .flat_map(|(number, world)| (0..world.regions()).map(move |region| (number, region)))
        .collect();
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let empty = Run { outcomes: vec![Outcome::default(); methods.len()], facts: Facts::default() };
    // Regions end in any order: their details are put into the order of the work afterwards.
    let parts = Mutex::new(Vec::with_capacity(work.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some((world, region)) = work.get(number) else { break };
                    let part = one(&plans[*world], &worlds[*world], *region, methods);
                    // Nobody panics while holding it.
                    if let Ok(mut parts) = parts.lock() {
                        parts.push((number, part));
                    }
                    progress(done.fetch_add(1, Ordering::Relaxed) + 1, work.len());
                }
            });
        }
    });
    let mut parts = parts.into_inner().unwrap_or_default();
    parts.sort_by_key(|(number, _)| *number);
    let mut sum = parts.into_iter().fold(empty, |sum, (_, part)| add(sum, part));
    sum.facts.severities.sort_by(f64::total_cmp);
    Ok(sum)
}

/// One region of one world.
fn one(plan: &Plan, world: &World, number: u32, methods: &[Method]) -> Run {
    let begun = Instant::now();
    let region = world.region(number);
    let facts = facts(&region, plan, begun.elapsed());
    let ground = Ground::of_region(&region, plan.first, plan.days);
    let outcomes = methods.iter().map(|method| {
        let begun = Instant::now();
        let told = method.tell(&region, plan);
        let took = begun.elapsed();
        let (tally, details) = Tally::with_details(&ground, &told);
        Outcome { tally, details, took }
    });
    Run { outcomes: outcomes.collect(), facts }
}

fn facts(region: &RegionRecord, plan: &Plan, took: Duration) -> Facts {
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    let slots = || region.series.iter().flat_map(|series| &series.slots);
    let episodes = region
        .truths
        .iter()
        .filter(|truth| truth.kind == TruthKind::Episode && !truth.bad.is_empty());
    Facts {
        buildings: count(region.buildings.len()),
        series: count(region.series.len()),
        series_days: count(region.series.len()) * u64::from(plan.days),
        slots: count(slots().count()),
        windows: slots().map(|slot| u64::from(slot.valid)).sum(),
        severities: episodes.map(|truth| truth.severity).collect(),
        took,
    }
}

fn add(mut sum: Run, part: Run) -> Run {
    for (sum, part) in sum.outcomes.iter_mut().zip(part.outcomes) {
        sum.tally.add(&part.tally);
        sum.details.extend(part.details);
        sum.took += part.took;
    }
    let (facts, more) = (&mut sum.facts, part.facts);
    facts.buildings += more.buildings;
    facts.series += more.series;
    facts.series_days += more.series_days;
    facts.slots += more.slots;
    facts.windows += more.windows;
    facts.severities.extend(more.severities);
    facts.took += more.took;
    sum
}
