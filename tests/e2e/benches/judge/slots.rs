//! Windows that are drawn, and days of slots made of them once and moved to where they are wanted.

use busyhour_model::{
    BurstLoss, Context, Histogram, Jitter, PacketCounts, PathKey, RequirementProfile, SLOT_MICROS,
    Slot, SlotStart, Stamp, UtcMicros, Window, WindowParts, limits_in_force,
};
use busyhour_store::JudgedWindow;
use fastrand::Rng;

use crate::fleet::{BEGIN, FleetPath, SCHEDULE};

/// Quarter-hours of a day, and windows of a quarter-hour.
pub(crate) const DAY: i64 = 96;
const WINDOWS: i64 = 15;
const PACKETS: u32 = 750;
const REQUIREMENT: RequirementProfile = RequirementProfile::ClientToMicrosoftEdge;
/// Different days of each trouble.
const VARIANTS: usize = 6;

/// What is the matter with a path on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing.
    None,
    /// Nothing, and nobody is there.
    Weekend,
    /// Half of the windows between ten and twelve local time.
    Peak,
    /// One in seven windows at all hours.
    Constant,
    /// Some windows of one hour.
    Spell,
}

impl Trouble {
    const ALL: [Self; 5] = [Self::None, Self::Weekend, Self::Peak, Self::Constant, Self::Spell];

    /// How likely a window of a minute of the day of UTC is bad.
    fn share(self, minute: i64) -> f64 {
        match self {
            Self::None | Self::Weekend => 0.0,
            Self::Peak if (480..600).contains(&minute) => 0.5,
            Self::Constant => 0.14,
            Self::Spell if (780..840).contains(&minute) => 0.3,
            Self::Peak | Self::Spell => 0.0,
        }
    }

    /// How busy the link is.
    fn load(self, minute: i64) -> f64 {
        let people = self != Self::Weekend && (360..960).contains(&minute);
        if people { 1.0 } else { 0.1 }
    }
}

/// Draws windows.
pub(crate) struct Draw {
    rng: Rng,
}

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed) }
    }

    /// A window of a minute of the day.
    pub(crate) fn window(&mut self, path: &PathKey, minute: i64, trouble: Trouble) -> Window {
        let rng = &mut self.rng;
        let bad = rng.f64() < trouble.share(minute);
        let queue = 300.0 + 4_000.0 * trouble.load(minute) * (0.5 + rng.f64());
        let queue = if bad { queue + 15_000.0 } else { queue };
        let lost = match (bad, rng.u32(..50)) {
            (true, more) => 10 + more / 5,
            (false, 0) => 1,
            (false, _) => 0,
        };
        let counts = PacketCounts::new(PACKETS, PACKETS, [lost, 0, 0], 0, 0).expect("few are lost");
        let base = 18_000.0;
        let spread = |base: f64| {
            let mut histogram = Histogram::new();
            for step in 0..10_u32 {
                let value = base + queue * f64::from(step) / 5.0;
                histogram.record_n(value as u32, u64::from(counts.received() / 10));
            }
            histogram
        };
        let jitter = |share: f64| {
            let mean_us = (queue * share) as u32;
            Some(Jitter { mean_us, max_us: mean_us * 2 })
        };
        Window::new(WindowParts {
            burst: BurstLoss::new(lost.min(3), 10).ok(),
            worst_15s: BurstLoss::new(lost, PACKETS).ok(),
            rtt: spread(base),
            rtt_median_us: Some((base + queue) as u32),
            up_variation: spread(0.0),
            down_variation: spread(0.0),
            up_jitter: jitter(0.3),
            down_jitter: jitter(0.2),
            sequences: PACKETS,
            ..WindowParts::new(path.clone(), 50, counts)
        })
        .expect("samples, median and burst fit the counts")
    }
}

/// A window as ingest hands it to the store.
pub(crate) fn judged(window: Window, stamp: Stamp, context: Context) -> JudgedWindow {
    let table = limits_in_force(REQUIREMENT, stamp.started).expect("published limits");
    JudgedWindow {
        placed: stamp.started,
        stamp,
        schedule: SCHEDULE.revision,
        context,
        requirement: REQUIREMENT,
        limits: table.version,
        verdict: table.judge(&window),
        window,
    }
}

/// Days of slots of each trouble, as if they were the first.
pub(crate) struct SlotPool {
    days: Vec<Vec<Slot>>,
}

impl SlotPool {
    pub(crate) fn new() -> Self {
        let mut draw = Draw::new(11);
        let days = (0..Trouble::ALL.len() * VARIANTS)
            .map(|at| day(&mut draw, Trouble::ALL[at / VARIANTS]))
            .collect();
        Self { days }
    }

    /// The slots of a path on some days, from `first` on and up to a quarter-hour of the last.
    pub(crate) fn slots(
        &self,
        path: FleetPath,
        days: std::ops::Range<i64>,
        quarters_of_last: i64,
    ) -> Vec<Slot> {
        let last = days.end - 1;
        let mut slots = Vec::new();
        for day in days {
            let trouble = path.trouble(day);
            let kind = Trouble::ALL.iter().position(|one| *one == trouble).expect("one of all");
            // Neighbours differ, and so do days.
            let variant = (path.0 + day.unsigned_abs() as usize) % VARIANTS;
            let taken = if day == last { quarters_of_last } else { DAY };
            let own = self.days[kind * VARIANTS + variant].iter().take(taken as usize);
            slots.extend(own.map(|slot| moved(slot, day * DAY)));
        }
        slots
    }
}

fn day(draw: &mut Draw, trouble: Trouble) -> Vec<Slot> {
    let path = FleetPath(1).key();
    let first = SlotStart::containing(BEGIN);
    let slot = |number: i64| {
        let start = first.offset(number);
        let table = limits_in_force(REQUIREMENT, start.start()).expect("published limits");
        let mut slot = Slot::new(start, table.version);
        slot.counts.expected = WINDOWS as u32;
        for within in 0..WINDOWS {
            let window = draw.window(&path, number * WINDOWS + within, trouble).coarsened();
            let started = UtcMicros(start.start().0 + within * 60_000_000);
            slot.add(started, &window, &table.judge(&window));
        }
        slot
    };
    (0..DAY).map(slot).collect()
}

/// The same slot so many quarter-hours later.
fn moved(slot: &Slot, quarters: i64) -> Slot {
    let mut slot = slot.clone();
    slot.start = slot.start.offset(quarters);
    for worst in [&mut slot.counts.worst_burst, &mut slot.counts.worst_15s].into_iter().flatten() {
        worst.window = UtcMicros(worst.window.0 + quarters * SLOT_MICROS);
    }
    slot
}
