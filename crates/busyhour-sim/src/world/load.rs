//! How busy buildings truly are, minute by minute, and what is recorded of it.

use busyhour_model::SlotStart;

use super::clock::{LocalClock, SLOT_MINUTES, Span};
use super::draw::{Purpose, Tables, chance, lognormal, stream};
use super::plan::Plan;
use super::topology::Site;

/// Load when nobody is there: machines talk, too.
const IDLE: f32 = 0.05;
/// The spread of a minute's load around its day's shape.
const WANDER_SIGMA: f32 = 0.06;
/// How long such wandering lasts, in minutes.
const WANDER_MINUTES: f32 = 60.0;
/// The spread of a recorded quarter-hour around the truth (of its logarithm).
const RECORD_SIGMA: f64 = 0.05;
/// Quarter-hours and whole days that are not recorded.
const MISSING_SLOTS: f64 = 0.01;
const MISSING_DAYS: f64 = 0.015;
/// Buildings whose load nobody records.
const UNRECORDED: f64 = 0.03;

/// A first-order autoregressive process: `a ← φ·a + σ·√(1-φ²)·z`, of mean 0.
#[derive(Debug, Clone)]
pub(crate) struct Wander {
    rng: fastrand::Rng,
    tables: Tables,
    keep: f32,
    step: f32,
    value: f32,
}

impl Wander {
    pub(crate) fn new(rng: fastrand::Rng, sigma: f32, minutes: f32) -> Self {
        let keep = (-1.0 / minutes).exp();
        let step = sigma * (1.0 - keep * keep).sqrt();
        Self { rng, tables: Tables::get(), keep, step, value: 0.0 }
    }

    /// The next minute's value.
    pub(crate) fn next(&mut self) -> f32 {
        self.value = self.keep * self.value + self.step * self.tables.normal(&mut self.rng);
        self.value
    }
}

/// The load of each minute of the span; `number` is the building's in its region.
pub(crate) fn true_load(
    plan: &Plan,
    span: Span,
    region: u32,
    site: &Site,
    number: u32,
    clock: &LocalClock,
) -> Vec<f32> {
    let rng = stream(plan.seed, Purpose::Load, region, number);
    let mut wander = Wander::new(rng, WANDER_SIGMA, WANDER_MINUTES);
    let shape: Vec<f32> = (0..1440).map(|minute| site.shape.at(f64::from(minute)) as f32).collect();
    let at = |minute: usize| {
        let wandering = 1.0 + wander.next();
        let Some(day) = clock.day_of(minute) else { return IDLE };
        let level = site.calendar.levels.get(day).copied().unwrap_or(0.0);
        let shape = shape.get(usize::from(clock.minute_of(minute))).copied().unwrap_or(0.0);
        IDLE + (level * shape * wandering).max(0.0)
    };
    (0..span.minutes()).map(at).collect()
}

/// What is recorded of a load, in people, with its noise and gaps.
pub(crate) fn recorded_load(
    plan: &Plan,
    span: Span,
    region: u32,
    site: &Site,
    number: u32,
    (clock, load): (&LocalClock, &[f32]),
) -> Vec<(SlotStart, f32)> {
    let mut rng = stream(plan.seed, Purpose::RecordedLoad, region, number);
    if chance(&mut rng, UNRECORDED) {
        return Vec::new();
    }
    let mut recorded = Vec::new();
    for bounds in clock.starts.windows(2) {
        let missing = chance(&mut rng, MISSING_DAYS);
        for slot in bounds[0]..bounds[1] {
            let noise = lognormal(&mut rng, 1.0, RECORD_SIGMA);
            if chance(&mut rng, MISSING_SLOTS) || missing {
                continue;
            }
            let minutes = load.iter().skip(slot * SLOT_MINUTES).take(SLOT_MINUTES);
            let mean = f64::from(minutes.sum::<f32>()) / SLOT_MINUTES as f64;
            let people = (site.people * mean * noise * 10.0).round() / 10.0;
            recorded.push((span.slot(slot), people as f32));
        }
    }
    recorded
}
