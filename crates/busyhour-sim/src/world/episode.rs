//! Degradation at busy hours: where, when, by which fault, how strong; and what of it is truly bad.

use std::ops::Range;

use fastrand::Rng;

use super::clock::{LocalClock, Span, weekday_of};
use super::draw::{Purpose, Tables, between, chance, lognormal, mix, one_of, stream, weighted};
use super::link::{Extra, LinkState};
use super::mechanism::LinkType;
use super::plan::{Hardness, Mechanisms, Plan};
use super::topology::{Owner, Topology};

/// The days that the rates below are for. Longer spans are divided into periods of so many, each with
/// episodes of its own.
const PERIOD_DAYS: u32 = 84;
/// The first day of a period on which an episode may begin.
const FIRST_ONSET: usize = 14;
/// Minutes over which an episode rises and falls each day.
const RAMP: f32 = 10.0;
/// The local minutes in which a day can be truly bad.
pub(crate) const TRUTH_MINUTES: Range<u16> = 6 * 60..21 * 60;
/// The spread of an episode's strength from day to day (of its logarithm).
const DAY_SIGMA: f64 = 0.05;
/// Minutes of an hour.
const HOUR: usize = 60;
/// Episodes on one weekday only.
const WEEKLY: f64 = 0.12;
/// Halvings by which an episode's strength is found.
const HALVINGS: u32 = 18;
/// Active days that its strength is found on.
const TRIAL_DAYS: usize = 5;

/// How a fault makes a link worse. `x` is its strength, `w` 0..=1 within its hours of a day, `l` the
/// link's load beside its highest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Form {
    /// Saturation by added load: `ρ + x·w`.
    AddedLoad,
    /// A part of the capacity is lent to others at these hours: `ρ·(1 + x·w)`.
    LostCapacity,
    /// A cable that loses bits as traffic and warmth grow: loss `x·w·l²`, no delay.
    LossyUnderLoad,
    /// Copy jobs on the clock: `ρ + x` for the first 12 to 30 of every 30 minutes within the hours.
    ScheduledTransfer,
    /// Another radio nearby: on 40 to 100 % of the time in stretches of four minutes, loss `x·w` and
    /// jitter.
    Interference,
    /// A machine with too much to do at busy hours: `ρ + x·w` of its own processor.
    HostOverload,
}

impl Form {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 6] = [
        Self::AddedLoad,
        Self::LostCapacity,
        Self::LossyUnderLoad,
        Self::ScheduledTransfer,
        Self::Interference,
        Self::HostOverload,
    ];

    /// The forms that a link of that owner may suffer from.
    pub(crate) const fn of(set: Mechanisms, owner: Owner) -> &'static [Self] {
        match (set, owner) {
            (_, Owner::Machine(_)) => &[Self::HostOverload],
            (Mechanisms::Tuning, _) => &[Self::AddedLoad],
            (Mechanisms::HeldOut, Owner::Upstream | Owner::Vpn) => {
                &[Self::LostCapacity, Self::ScheduledTransfer]
            }
            (Mechanisms::HeldOut, Owner::Uplink(_) | Owner::Access(_)) => {
                &[Self::LostCapacity, Self::ScheduledTransfer, Self::LossyUnderLoad]
            }
            (Mechanisms::HeldOut, Owner::Radio(_) | Owner::Controller(_)) => {
                &[Self::Interference, Self::LostCapacity]
            }
        }
    }

    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::AddedLoad => "added-load",
            Self::LostCapacity => "lost-capacity",
            Self::LossyUnderLoad => "lossy-under-load",
            Self::ScheduledTransfer => "scheduled-transfer",
            Self::Interference => "interference",
            Self::HostOverload => "host-overload",
        }
    }

    /// The strength beyond which nothing more is tried.
    const fn strongest(self) -> f64 {
        match self {
            Self::AddedLoad | Self::ScheduledTransfer | Self::HostOverload => 2.5,
            Self::LostCapacity => 15.0,
            Self::LossyUnderLoad | Self::Interference => 0.3,
        }
    }
}

/// One day of an episode.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ActiveDay {
    /// The local day of the span.
    pub(crate) day: usize,
    /// The minutes of the span.
    minutes: Range<usize>,
    /// How strong it is beside a usual day.
    factor: f32,
}

/// An episode.
#[derive(Debug, Clone)]
pub(crate) struct Episode {
    /// Its link.
    pub(crate) link: usize,
    /// Its fault.
    pub(crate) form: Form,
    /// The building whose clock and week it keeps.
    pub(crate) site: usize,
    /// The days between which it lasts.
    pub(crate) lasts: Range<usize>,
    /// Its days.
    pub(crate) days: Vec<ActiveDay>,
    strength: f64,
    /// How much of the time transfers and interference are on, in percent.
    on: u16,
    /// What interference is drawn by.
    key: u64,
}

/// Series that share a base delay on a day, and their part of all that pass the link.
pub(crate) type Weights = Vec<(f32, f64)>;

impl Episode {
    /// What it makes of a minute of its link.
    fn at(&self, link: &LinkState, minute: usize, day: &ActiveDay, local: u16) -> (f32, Extra) {
        let rho = link.rho.get(minute).copied().unwrap_or(0.0);
        let since = minute.saturating_sub(day.minutes.start) as f32 + 1.0;
        let left = day.minutes.end.saturating_sub(minute) as f32;
        let within = (since / RAMP).min(left / RAMP).min(1.0);
        let strength = self.strength as f32 * day.factor;
        let (added, lost) = match self.form {
            Form::AddedLoad | Form::HostOverload => (strength * within, 0.0),
            Form::LostCapacity => (rho * strength * within, 0.0),
            Form::LossyUnderLoad => {
                let full = link.fullness(rho).min(1.5);
                (0.0, strength * within * full * full)
            }
            Form::ScheduledTransfer if local % 30 < self.on * 30 / 100 => (strength, 0.0),
            Form::ScheduledTransfer => (0.0, 0.0),
            Form::Interference => {
                let on = mix(self.key ^ (minute / 4) as u64) % 100 < u64::from(self.on);
                (0.0, if on { strength * within } else { 0.0 })
            }
        };
        let jitter_us = if self.form == Form::Interference && lost > 0.0 { 9_000.0 } else { 0.0 };
        (rho + added, Extra { loss: lost.min(0.9), delay_us: 0.0, jitter_us })
    }

    /// The expected share of bad windows in each minute of a day in which it can be truly bad.
    pub(crate) fn shares(
        &self,
        link: &LinkState,
        clock: &LocalClock,
        day: &ActiveDay,
        weights: &Weights,
    ) -> Vec<(u16, f64)> {
        let from = clock.at(day.day, TRUTH_MINUTES.start);
        let until = clock.at(day.day, TRUTH_MINUTES.end);
        let share = |minute: usize| {
            let local = clock.minute_of(minute);
            let (rho, extra) = if day.minutes.contains(&minute) {
                self.at(link, minute, day, local)
            } else {
                (link.rho.get(minute).copied().unwrap_or(0.0), Extra::NONE)
            };
            // What episodes do beside a link's own mechanism delays nothing: the base is no matter.
            let fine_beside = 1.0 - extra.bad(0.0);
            let bad = |base_us| 1.0 - (1.0 - link.share(rho, base_us)) * fine_beside;
            (local, weights.iter().map(|&(base_us, part)| part * bad(base_us)).sum())
        };
        (from..until).map(share).collect()
    }

    /// The expected share of bad windows in the worst 60 minutes of a day.
    pub(crate) fn worst_hour(
        &self,
        link: &LinkState,
        clock: &LocalClock,
        day: &ActiveDay,
        weights: &Weights,
    ) -> f64 {
        let shares = self.shares(link, clock, day, weights);
        let hours = shares.windows(HOUR);
        let mean = |hour: &[(u16, f64)]| hour.iter().map(|(_, share)| share).sum::<f64>();
        hours.map(mean).fold(0.0, f64::max) / HOUR as f64
    }

    /// Finds the strength at which the worst hour of its middle day has that share of bad windows.
    pub(crate) fn calibrate(
        &mut self,
        share: f64,
        link: &LinkState,
        clock: &LocalClock,
        weights: &Weights,
    ) {
        let step = self.days.len().div_ceil(TRIAL_DAYS).max(1);
        let trials: Vec<ActiveDay> = self.days.iter().step_by(step).cloned().collect();
        let (mut low, mut high) = (0.0, self.form.strongest());
        for _ in 0..HALVINGS {
            self.strength = f64::midpoint(low, high);
            let worst = |day| self.worst_hour(link, clock, day, weights);
            let mut shares: Vec<f64> = trials.iter().map(worst).collect();
            shares.sort_by(f64::total_cmp);
            let middle = shares.get(shares.len() / 2).copied().unwrap_or(0.0);
            if middle < share { low = self.strength } else { high = self.strength }
        }
    }

    /// Makes it happen to its link.
    pub(crate) fn apply(&self, link: &mut LinkState, clock: &LocalClock) {
        for day in &self.days {
            for minute in day.minutes.clone() {
                let (rho, extra) = self.at(link, minute, day, clock.minute_of(minute));
                if let Some(at) = link.rho.get_mut(minute) {
                    *at = rho;
                }
                if !extra.is_none() {
                    link.add_extra(minute, extra);
                }
            }
        }
    }
}

/// Draws the episodes of a region, each with the share of bad windows that its worst hour shall have;
/// gives machines that suffer a link of their own.
pub(crate) fn draw(
    plan: &Plan,
    span: Span,
    topology: &mut Topology,
    clocks: &[LocalClock],
) -> Vec<(Episode, f64)> {
    let mut episodes = Vec::new();
    let scale = f64::from(plan.days.min(PERIOD_DAYS)) / f64::from(PERIOD_DAYS);
    for link in 0..topology.links.len() {
        let mut rng = stream(plan.seed, Purpose::Episodes, topology.region, link as u32);
        let rate = match topology.links[link].owner {
            Owner::Upstream => 0.5,
            Owner::Vpn if topology.links[link].sites.len() > 1 => 0.35,
            Owner::Uplink(_) => 0.25,
            Owner::Controller(_) => 0.3,
            Owner::Access(_) => 0.1,
            Owner::Radio(_) => 0.12,
            Owner::Vpn | Owner::Machine(_) => 0.0,
        };
        for period in 0..(plan.days / PERIOD_DAYS).max(1) {
            if chance(&mut rng, rate * scale) {
                let onset = onset(&mut rng, plan, period);
                episodes.extend(draw_one(&mut rng, plan, span, topology, clocks, (link, onset)));
            }
        }
    }
    if plan.mechanisms == Mechanisms::HeldOut {
        for agent in 0..topology.agents.len() {
            let thing = 0x8000 + agent as u32;
            let mut rng = stream(plan.seed, Purpose::Episodes, topology.region, thing);
            for period in 0..(plan.days / PERIOD_DAYS).max(1) {
                if chance(&mut rng, 0.03 * scale) {
                    let depth_us = between(&mut rng, 20e3, 45e3);
                    let link = topology.add_machine(agent, LinkType::Host, depth_us);
                    let onset = onset(&mut rng, plan, period);
                    episodes.extend(draw_one(
                        &mut rng,
                        plan,
                        span,
                        topology,
                        clocks,
                        (link, onset),
                    ));
                }
            }
        }
    }
    episodes
}

/// The day on which an episode begins: the 14th to the 50th of its period, earlier in short spans.
fn onset(rng: &mut Rng, plan: &Plan, period: u32) -> usize {
    let latest = FIRST_ONSET + (plan.days.min(PERIOD_DAYS) - 28) as usize * 36 / 56;
    (period * PERIOD_DAYS) as usize + rng.usize(FIRST_ONSET..=latest)
}

fn draw_one(
    rng: &mut Rng,
    plan: &Plan,
    span: Span,
    topology: &Topology,
    clocks: &[LocalClock],
    (link, onset): (usize, usize),
) -> Option<(Episode, f64)> {
    let planned = &topology.links[link];
    let site = *planned.sites.first()?;
    let form = one_of(rng, Form::of(plan.mechanisms, planned.owner))?;
    let works = topology.sites[site].calendar.works;
    let weekday = (0..7).cycle().skip(rng.usize(0..7)).find(|&weekday| works[weekday])?;
    let weekly = chance(rng, WEEKLY).then_some(weekday);
    let length = if weekly.is_some() { rng.usize(28..=45) } else { rng.usize(12..=45) };
    let lasts = onset..span.days.min(onset + length);
    let (from, until) = hours(rng, topology, site);
    let active = between(rng, plan.by_hardness(0.60, 0.45), plan.by_hardness(1.0, 0.90));
    let wanted = severity(rng, plan.hardness);
    let on = rng.u16(40..=100);
    let mut days = Vec::new();
    for day in lasts.clone() {
        let today = weekly.is_none_or(|weekday| weekday == weekday_of(span.date(day)));
        let active = if weekly.is_some() { 0.95 } else { active };
        // Drawn for every day, so that no day depends on another.
        let (starts, happens) = (8.0 * Tables::get().normal(rng), chance(rng, active));
        let factor = lognormal(rng, 1.0, DAY_SIGMA) as f32;
        if !(today && happens && topology.works_on(&planned.sites, day)) {
            continue;
        }
        let moved = |minute: u16| (f32::from(minute) + starts).clamp(0.0, 1_439.0) as u16;
        let minutes = clocks[site].at(day, moved(from))..clocks[site].at(day, moved(until));
        days.push(ActiveDay { day, minutes, factor });
    }
    let key = rng.u64(..);
    Some((Episode { link, form, site, lasts, days, strength: 0.0, on, key }, wanted))
}

/// One to four and a half hours around a busy moment of the building.
fn hours(rng: &mut Rng, topology: &Topology, site: usize) -> (u16, u16) {
    let shape = topology.sites[site].shape;
    let level = |minute: u16| shape.at(f64::from(minute));
    let highest = (0..1440).map(level).fold(0.0, f64::max);
    let day = 7 * 60..20 * 60;
    let busy: Vec<u16> = day.filter(|&minute| level(minute) > 0.55 * highest).collect();
    let centre = one_of(rng, &busy).unwrap_or(12 * 60);
    let width = rng.u16(60..=270);
    let from = centre.saturating_sub(width / 2).clamp(6 * 60 + 15, 20 * 60 + 30 - width);
    (from, from + width)
}

/// The share of bad windows that the worst hour of a usual day shall have: quantiles, and straight
/// lines between them.
fn severity(rng: &mut Rng, hardness: Hardness) -> f64 {
    let quantiles: [(f64, f64); 7] = match hardness {
        Hardness::Normal => [
            (0.0, 0.14),
            (0.1, 0.29),
            (0.25, 0.55),
            (0.5, 0.97),
            (0.75, 0.995),
            (0.9, 0.999),
            (1.0, 1.0),
        ],
        Hardness::Hard => [
            (0.0, 0.09),
            (0.1, 0.11),
            (0.25, 0.14),
            (0.5, 0.26),
            (0.75, 0.50),
            (0.9, 0.74),
            (1.0, 0.95),
        ],
    };
    let part = weighted(rng, &[0.1, 0.15, 0.25, 0.25, 0.15, 0.1]);
    let (low, high) = (quantiles[part].1, quantiles[part + 1].1);
    between(rng, low, high)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn faults_that_are_held_out_are_not_tuned_on() {
        let owners = [
            Owner::Upstream,
            Owner::Vpn,
            Owner::Uplink(0),
            Owner::Controller(0),
            Owner::Access(0),
            Owner::Radio(0),
        ];
        let forms = |set| -> BTreeSet<Form> {
            owners.iter().flat_map(|&owner| Form::of(set, owner)).copied().collect()
        };
        let (tuning, mut held_out) = (forms(Mechanisms::Tuning), forms(Mechanisms::HeldOut));
        held_out.extend(Form::of(Mechanisms::HeldOut, Owner::Machine(0)));
        assert!(tuning.is_disjoint(&held_out));
        assert_eq!(&tuning | &held_out, BTreeSet::from(Form::ALL));
    }

    #[test]
    fn wanted_severities_have_the_quantiles_that_were_written_down() {
        let mut rng = Rng::with_seed(9);
        for (hardness, low, middle) in
            [(Hardness::Normal, 0.55, 0.97), (Hardness::Hard, 0.14, 0.26)]
        {
            let mut drawn: Vec<f64> = (0..20_000).map(|_| severity(&mut rng, hardness)).collect();
            drawn.sort_by(f64::total_cmp);
            assert!((drawn[5_000] - low).abs() < 0.02, "{}", drawn[5_000]);
            assert!((drawn[10_000] - middle).abs() < 0.02, "{}", drawn[10_000]);
        }
    }
}
