//! A link over time: how much it is used in each minute, and what else happens to it.

use std::cell::OnceCell;

use super::draw::{Purpose, between, key, stream};
use super::load::Wander;
use super::mechanism::{Row, Table};
use super::plan::Plan;
use super::share::{Fate, Shares};
use super::topology::{LinkPlan, Owner, Topology};

/// The spread of a link's load around its buildings'.
const WANDER_SIGMA: f32 = 0.08;
/// How long such wandering lasts, in minutes.
const WANDER_MINUTES: f32 = 40.0;
/// Over so many minutes a link's highest load is taken: short enough for a bell's.
const BUSIEST: usize = 5;
/// What a link adds in its busiest minutes is harmless up to these, in microseconds: the median wait, and
/// the jitter. A path has up to five links, and its base delay is at most half of the limit.
const HARMLESS_WAIT_US: f32 = 12_000.0;
const HARMLESS_JITTER_US: f32 = 6_000.0;
/// Base delays are told apart in steps of so many microseconds when shares are tabulated.
const BASE_STEP_US: f32 = 2_000.0;
/// The last step is the limit for delay, beyond which everything is bad.
const BASE_STEPS: usize = 51;

/// What happens to packets beside the link's own mechanism, in one minute.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Extra {
    /// The probability of loss; from 1 on nothing comes back.
    pub(crate) loss: f32,
    /// Added delay, in microseconds.
    pub(crate) delay_us: f32,
    /// Jitter, in microseconds.
    pub(crate) jitter_us: f32,
}

impl Extra {
    /// How the losses of such extras vary and lie; the spread of their jitter.
    pub(crate) const SHAPE: usize = 1;
    pub(crate) const CLUMP: f32 = 3.0;
    pub(crate) const WOBBLE: f32 = 0.2;

    pub(crate) const NONE: Self = Self { loss: 0.0, delay_us: 0.0, jitter_us: 0.0 };

    #[inline]
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// Both at once.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            loss: (self.loss + other.loss).min(1.0),
            delay_us: self.delay_us + other.delay_us,
            jitter_us: self.jitter_us.hypot(other.jitter_us),
        }
    }

    /// The expected share of bad windows under it alone, for a series of that base delay.
    pub(crate) fn bad(&self, base_us: f32) -> f64 {
        if self.is_none() {
            return 0.0;
        }
        let fate = Fate {
            loss: self.loss,
            shape: Self::SHAPE,
            clump: Self::CLUMP,
            base_us,
            queue_us: self.delay_us,
            jitter_us: self.jitter_us,
            wobble: Self::WOBBLE,
        };
        fate.bad()
    }
}

/// A link with its state in every minute of the span.
#[derive(Debug)]
pub(crate) struct LinkState {
    pub(crate) table: &'static Table,
    pub(crate) depth_us: f32,
    /// What its windows' noise is drawn by.
    pub(crate) noise_key: u64,
    /// Utilisation in each minute.
    pub(crate) rho: Vec<f32>,
    /// What else happens in each minute; none where nothing ever does.
    pub(crate) extra: Option<Box<[Extra]>>,
    /// Utilisation without load.
    base: f32,
    /// What the busiest minutes add to it.
    busiest: f32,
    /// Expected shares of bad windows, by base delay in steps; made when they are first asked for.
    shares: [OnceCell<Shares>; BASE_STEPS],
}

impl LinkState {
    /// The link as it is without any trouble: its busiest minutes stay harmless.
    pub(crate) fn new(
        plan: &Plan,
        topology: &Topology,
        number: usize,
        loads: &[Vec<f32>],
        minutes: usize,
    ) -> Self {
        let LinkPlan { ref sites, kind, depth_us, owner } = topology.links[number];
        let region = topology.region;
        let mut rng = stream(plan.seed, Purpose::Links, region, number as u32);
        let wander = stream(plan.seed, Purpose::LinkLoad, region, number as u32);
        let mut wander = Wander::new(wander, WANDER_SIGMA, WANDER_MINUTES);
        let mut rho = mean_load(sites, loads, minutes);
        rho.iter_mut().for_each(|load| *load = (*load * (1.0 + wander.next())).max(0.0));
        let mut state = Self {
            table: Table::of(kind),
            depth_us,
            noise_key: key(plan.seed, Purpose::LinkNoise, region, number as u32),
            rho: Vec::new(),
            extra: None,
            base: between(&mut rng, 0.03, 0.15) as f32,
            busiest: 0.0,
            shares: [const { OnceCell::new() }; BASE_STEPS],
        };
        let harmless = rng.f64() * plan.by_hardness(0.003, 0.005);
        let highest = state.harmless(harmless) as f32;
        // Most links are wider than they need to be.
        let used =
            if matches!(owner, Owner::Machine(_)) { 0.3 } else { between(&mut rng, 0.45, 1.0) };
        state.busiest = (highest - state.base).max(0.05) * used as f32;
        let gain = state.busiest / busiest_minutes(&rho).max(1e-3);
        rho.iter_mut().for_each(|load| *load = state.base + gain * *load);
        state.rho = rho;
        state
    }

    /// A link that is always used as much, for some windows.
    #[cfg(test)]
    pub(crate) fn constant(table: &'static Table, depth_us: f32, rho: f32, minutes: usize) -> Self {
        Self {
            table,
            depth_us,
            noise_key: 0x5eed,
            rho: vec![rho; minutes],
            extra: None,
            base: 0.05,
            busiest: 0.5,
            shares: [const { OnceCell::new() }; BASE_STEPS],
        }
    }

    /// How much of its usual highest load there is, 0..=1 and a little more.
    pub(crate) fn fullness(&self, rho: f32) -> f32 {
        ((rho - self.base) / self.busiest.max(1e-3)).max(0.0)
    }

    /// Makes its load grow from a share of what it is to all of it, over the span.
    pub(crate) fn grow_from(&mut self, share: f32) {
        let (base, minutes) = (self.base, self.rho.len().max(1) as f32);
        for (minute, rho) in self.rho.iter_mut().enumerate() {
            let factor = share + (1.0 - share) * minute as f32 / minutes;
            *rho = base + (*rho - base) * factor;
        }
    }

    /// Adds something to a minute.
    pub(crate) fn add_extra(&mut self, minute: usize, extra: Extra) {
        let minutes = self.rho.len();
        let all = self.extra.get_or_insert_with(|| vec![Extra::NONE; minutes].into());
        if let Some(at) = all.get_mut(minute) {
            *at = at.and(extra);
        }
    }

    /// The expected share of bad windows at a utilisation, for a series of that base delay, by this
    /// link alone.
    pub(crate) fn share(&self, rho: f32, base_us: f32) -> f64 {
        self.shares_of(base_us).at(rho)
    }

    /// The highest utilisation at which the link alone makes at most that share of windows bad, and
    /// leaves room for what a path's other links do.
    fn harmless(&self, share: f64) -> f64 {
        let waits = |row: &&Row| {
            row.median * self.depth_us <= HARMLESS_WAIT_US
                && row.jitter * self.depth_us <= HARMLESS_JITTER_US
        };
        let room = self.table.rows().iter().take_while(waits).count();
        let room = Table::utilisation(room.saturating_sub(1));
        self.shares_of(0.0).utilisation(share).min(room)
    }

    fn shares_of(&self, base_us: f32) -> &Shares {
        let step = ((base_us / BASE_STEP_US).round() as usize).min(BASE_STEPS - 1);
        let base_us = step as f32 * BASE_STEP_US;
        self.shares[step].get_or_init(|| Shares::new(self.table, self.depth_us, base_us))
    }
}

fn mean_load(sites: &[usize], loads: &[Vec<f32>], minutes: usize) -> Vec<f32> {
    let mut mean = vec![0.0; minutes];
    for load in sites.iter().filter_map(|&site| loads.get(site)) {
        mean.iter_mut().zip(load).for_each(|(mean, load)| *mean += load);
    }
    let count = sites.len().max(1) as f32;
    mean.iter_mut().for_each(|mean| *mean /= count);
    mean
}

/// The mean of the busiest minutes on end.
fn busiest_minutes(load: &[f32]) -> f32 {
    let mut sum: f64 = load.iter().take(BUSIEST).copied().map(f64::from).sum();
    let mut highest = sum;
    for (leaving, coming) in load.iter().zip(load.iter().skip(BUSIEST)) {
        sum += f64::from(*coming) - f64::from(*leaving);
        highest = highest.max(sum);
    }
    (highest / BUSIEST as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::mechanism::LinkType;

    #[test]
    fn the_busiest_minutes_are_found_wherever_they_are() {
        let mut load = vec![0.1; 300];
        load[200..206].fill(0.7);
        assert!((busiest_minutes(&load) - 0.7).abs() < 1e-4);
        assert!((busiest_minutes(&load[..203]) - 0.46).abs() < 1e-4);
    }

    #[test]
    fn load_that_grows_ends_where_it_would_have_been() {
        let mut link = LinkState::constant(Table::of(LinkType::Fifo), 1e4, 0.55, 1_000);
        link.grow_from(0.5);
        assert!((link.rho[0] - 0.3).abs() < 1e-3);
        assert!((link.rho[999] - 0.55).abs() < 2e-3);
    }

    #[test]
    fn extras_add_up_and_stay_probabilities() {
        let lossy = Extra { loss: 0.7, jitter_us: 3e3, ..Extra::NONE };
        let both = lossy.and(Extra { loss: 0.6, delay_us: 5e3, jitter_us: 4e3 });
        assert_eq!(both, Extra { loss: 1.0, delay_us: 5e3, jitter_us: 5e3 });
        assert!(Extra::NONE.bad(20e3).abs() < 1e-12 && lossy.bad(20e3) > 0.99);
    }

    #[test]
    fn a_slower_path_has_less_room_for_delay() {
        let link = LinkState::constant(Table::of(LinkType::Docsis), 2e5, 0.5, 10);
        assert!(link.share(1.0, 60e3) > link.share(1.0, 4e3) + 0.05);
        assert!(link.share(0.3, 100e3) > 0.99);
        let waits_us = link.table.at(link.harmless(0.01) as f32).median * link.depth_us;
        assert!((5e3..=12.1e3).contains(&waits_us), "{waits_us}");
    }
}
