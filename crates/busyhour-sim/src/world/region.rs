//! A region in the making: its links with all that happens to them, its truth, and what was seen.

use busyhour_model::LinkKind;
use fastrand::Rng;
use jiff::civil::Date;

use super::ascertain;
use super::clock::{LocalClock, SLOT_MINUTES, Span};
use super::draw::{Purpose, chance, stream};
use super::episode::{self, Episode, Weights};
use super::link::LinkState;
use super::load::{recorded_load, true_load};
use super::plan::{Plan, Sampling};
use super::presence::Presence;
use super::record::{BuildingRecord, Reach, RegionRecord, SeriesRecord, SlotRecord};
use super::routes::Routes;
use super::topology::{AgentPlan, SeriesPlan, Site, TARGETS, Topology};
use super::trouble::{self, Effect, TargetFault, Trouble};
use super::truth::Truth;

use super::window::{MINUTE_WINDOWS, Noise, Outcome, SlotCount, Windows};

/// Windows that a quarter-hour has room for.
const SLOT_WINDOWS: usize = SLOT_MINUTES * MINUTE_WINDOWS;
/// Series whose base delays differ by less are alike to truth, in microseconds.
const SAME_BASE_US: f32 = 1_000.0;
/// Windows that are missing for no reason.
const RANDOMLY_MISSING: f64 = 0.02;

/// A region whose links have their states.
#[derive(Debug)]
pub(crate) struct Region<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) span: Span,
    pub(crate) topology: Topology,
    /// Of each building.
    pub(crate) clocks: Vec<LocalClock>,
    loads: Vec<Vec<f32>>,
    pub(crate) links: Vec<LinkState>,
    pub(crate) routes: Routes,
    pub(crate) target_faults: Vec<TargetFault>,
    pub(crate) episodes: Vec<Episode>,
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) presences: Vec<Presence>,
}

impl<'a> Region<'a> {
    /// The region with its truth.
    pub(crate) fn new(
        plan: &'a Plan,
        span: Span,
        mut topology: Topology,
        target_faults: &[TargetFault],
    ) -> (Self, Vec<Truth>) {
        let region = topology.region;
        let clock = |site: &Site| LocalClock::new(span, &site.zone);
        let clocks: Vec<LocalClock> = topology.sites.iter().map(clock).collect();
        let load = |(number, site): (usize, &Site)| {
            true_load(plan, span, region, site, number as u32, &clocks[number])
        };
        let loads: Vec<Vec<f32>> = topology.sites.iter().enumerate().map(load).collect();
        let episodes = episode::draw(plan, span, &mut topology, &clocks);
        let troubles = trouble::draw(plan, span, &mut topology, &clocks);
        let link = |number| LinkState::new(plan, &topology, number, &loads, span.minutes());
        let links: Vec<LinkState> = (0..topology.links.len()).map(link).collect();
        let presence = |(number, agent): (usize, &AgentPlan)| {
            let site = agent.site;
            let place = (&topology.sites[site], &clocks[site]);
            Presence::draw(plan, span, region, number as u32, agent, place)
        };
        let presences = topology.agents.iter().enumerate().map(presence).collect();
        let routes = Routes::new(plan, span, &topology);
        let mut region = Self {
            plan,
            span,
            topology,
            clocks,
            loads,
            links,
            routes,
            target_faults: target_faults.to_vec(),
            episodes: Vec::new(),
            troubles,
            presences,
        };
        region.grow();
        region.begin_episodes(episodes);
        // Truth is that of links as their load alone makes them: told before anything else happens.
        let truths = ascertain::truths(&region);
        region.apply();
        (region, truths)
    }

    /// Load that grows is part of a link's own load.
    fn grow(&mut self) {
        for trouble in &self.troubles {
            if let Effect::Growth(share) = trouble.effect {
                self.links[trouble.link].grow_from(share);
            }
        }
    }

    /// Gives episodes their strengths.
    fn begin_episodes(&mut self, drawn: Vec<(Episode, f64)>) {
        for (mut episode, share) in drawn {
            let middle = episode.days.get(episode.days.len() / 2).map_or(0, |day| day.day);
            let weights = self.weights(&episode, middle);
            let clock = &self.clocks[episode.site];
            episode.calibrate(share, &self.links[episode.link], clock, &weights);
            self.episodes.push(episode);
        }
    }

    /// The base delays of the series behind an episode's link on a day, at noon.
    pub(crate) fn weights(&self, episode: &Episode, day: usize) -> Weights {
        let noon = self.clocks[episode.site].at(day, 12 * 60);
        let behind = self.topology.behind(episode.link);
        let part = 1.0 / behind.len().max(1) as f64;
        let mut weights = Weights::new();
        for series in behind {
            let series = &self.topology.series[series as usize];
            let base_us = self.routes.base_us(series, noon);
            match weights.iter_mut().find(|(known, _)| (known - base_us).abs() < SAME_BASE_US) {
                Some((_, weight)) => *weight += part,
                None => weights.push((base_us, part)),
            }
        }
        weights
    }

    /// Lets episodes and troubles happen to their links.
    fn apply(&mut self) {
        for episode in &self.episodes {
            episode.apply(&mut self.links[episode.link], &self.clocks[episode.site]);
        }
        for trouble in &self.troubles {
            let link = &mut self.links[trouble.link];
            for minute in trouble.minutes.iter().cloned().flatten() {
                let Some(rho) = link.rho.get_mut(minute) else { continue };
                match trouble.effect {
                    Effect::Load(added) => *rho += added,
                    Effect::Fill(least) => *rho = rho.max(least),
                    Effect::Growth(_) => {}
                    Effect::Extra(extra) => link.add_extra(minute, extra),
                }
            }
        }
    }

    /// All that was delivered.
    pub(crate) fn record(&self, truths: Vec<Truth>) -> RegionRecord {
        let noise = Noise::new();
        let sites = self.topology.sites.iter().enumerate();
        let buildings = sites.map(|(number, site)| self.building(number, site)).collect();
        let series = (0..self.topology.series.len()).map(|at| self.series(at, &noise)).collect();
        RegionRecord { number: self.topology.region, buildings, series, truths }
    }

    fn building(&self, number: usize, site: &Site) -> BuildingRecord {
        let (plan, region) = (self.plan, self.topology.region);
        let truth = (&self.clocks[number], self.loads[number].as_slice());
        BuildingRecord {
            name: site.name.clone(),
            city: site.city.to_owned(),
            country: site.country.code.to_owned(),
            zone_name: site.zone_name,
            zone: site.zone.clone(),
            hours: site.calendar.hours.clone(),
            holidays: site.calendar.told.clone(),
            works: site.calendar.works,
            closed: site.calendar.closed.clone(),
            loads: recorded_load(plan, self.span, region, site, number as u32, truth),
        }
    }

    fn series(&self, number: usize, noise: &Noise) -> SeriesRecord {
        let series = &self.topology.series[number];
        let agent = &self.topology.agents[series.agent];
        let upstream = match (series.reach(), agent.link) {
            (Reach::Near, _) => None,
            (Reach::Far, LinkKind::Vpn) => Some(self.topology.concentrator.clone()),
            (Reach::Far, _) => Some(self.topology.upstream.clone()),
        };
        SeriesRecord {
            name: series.name.clone(),
            building: series.site as u32,
            subnet: self.topology.subnets[agent.subnet].prefix,
            agent: agent.name.clone(),
            link: agent.link,
            target: series.target.map(|target| TARGETS[target].to_owned()),
            upstream,
            reach: series.reach(),
            near: series.near.map(|near| near as u32),
            slots: self.slots(number, series, noise),
        }
    }

    /// What a series delivered.
    fn slots(&self, number: usize, series: &SeriesPlan, noise: &Noise) -> Vec<SlotRecord> {
        let mut rng = stream(self.plan.seed, Purpose::Windows, self.topology.region, number as u32);
        let bursts = stream(self.plan.seed, Purpose::Bursts, self.topology.region, number as u32);
        let links: Vec<&LinkState> = series.path.iter().map(|&link| &self.links[link]).collect();
        let still = match self.topology.agents[series.agent].link {
            LinkKind::Wifi => 1_500.0,
            _ => 250.0,
        };
        let room = self.span.minutes() * MINUTE_WINDOWS;
        let mut windows = Windows::new(links, noise, bursts, room, still);
        let (presence, clock) = (&self.presences[series.agent], &self.clocks[series.site]);
        let sampling = self.plan.sampling;
        let sampled = pattern(sampling, &mut rng);
        let mut slots = Slots::new(self.span, presence, clock, sampling.windows_a_slot());
        let faults = self.target_faults.iter();
        let faults: Vec<&TargetFault> =
            faults.filter(|fault| series.target == Some(fault.target)).collect();
        let mut base_us = series.base_us;
        for day in 0..self.span.days {
            for minute in clock.day(day) {
                if minute % SLOT_MINUTES == 0 {
                    base_us = self.routes.base_us(series, minute);
                }
                if !presence.here.get(minute).copied().unwrap_or(false) {
                    continue;
                }
                let failing = faults.iter().filter(|fault| fault.minutes.contains(&minute));
                let target_loss = failing.map(|fault| fault.loss).fold(0.0, f32::max);
                for part in 0..MINUTE_WINDOWS {
                    let in_slot = minute % SLOT_MINUTES * MINUTE_WINDOWS + part;
                    if sampled[in_slot] && !chance(&mut rng, RANDOMLY_MISSING) {
                        let window = minute * MINUTE_WINDOWS + part;
                        slots.add(day, minute, &windows.next(window, base_us, target_loss));
                    }
                }
            }
        }
        slots.finish()
    }
}

/// Which windows of a quarter-hour an agent measures; each has its own moment to begin.
fn pattern(sampling: Sampling, rng: &mut Rng) -> [bool; SLOT_WINDOWS] {
    let (measured, period) = (sampling.windows() as usize, sampling.period() as usize);
    let phase = rng.usize(0..period);
    std::array::from_fn(|window| (window + phase) % period < measured)
}

/// The quarter-hours of a series, one after the other, by its own clock.
#[derive(Debug)]
struct Slots<'a> {
    span: Span,
    presence: &'a Presence,
    clock: &'a LocalClock,
    expected: u16,
    count: SlotCount,
    done: Vec<SlotRecord>,
}

impl<'a> Slots<'a> {
    fn new(span: Span, presence: &'a Presence, clock: &'a LocalClock, expected: u16) -> Self {
        let done = Vec::with_capacity(clock.starts.last().copied().unwrap_or(0));
        Self { span, presence, clock, expected, count: SlotCount::new(), done }
    }

    /// Counts a window where the agent's clock says that it was. A clock that is set back shows times
    /// again that were counted already: those windows are refused, as any that are told twice.
    fn add(&mut self, day: usize, minute: usize, outcome: &Outcome) {
        let start = self.span.slot(self.shown(minute) / SLOT_MINUTES);
        let last = self.count.start().or_else(|| self.done.last().map(|slot| slot.start));
        if last.is_some_and(|last| start < last) {
            return;
        }
        if self.count.start() != Some(start) {
            self.done.extend(self.count.take(self.expected));
            self.count.begin(start, self.delivered(day));
        }
        if self.count.valid() < self.expected {
            self.count.add(outcome);
        }
    }

    /// The minute that the agent's clock shows.
    fn shown(&self, minute: usize) -> usize {
        match &self.presence.wrong_clock {
            Some((range, ahead)) if range.contains(&minute) => {
                minute.saturating_add_signed(*ahead as isize)
            }
            _ => minute,
        }
    }

    fn delivered(&self, day: usize) -> Option<Date> {
        let late = self.presence.late.get(day).copied().unwrap_or(0);
        (late > 0).then(|| self.span.date(day + usize::from(late)))
    }

    fn finish(mut self) -> Vec<SlotRecord> {
        self.done.extend(self.count.take(self.expected));
        // A wrong clock may have shown a day that the building does not have.
        let days = self.clock.day(0).start..self.clock.day(self.span.days - 1).end;
        let shown =
            self.span.slot(days.start / SLOT_MINUTES)..self.span.slot(days.end / SLOT_MINUTES);
        self.done.retain(|slot| shown.contains(&slot.start));
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::clock::DAY_MINUTES;
    use crate::world::plan::{Hardness, Mechanisms};

    /// Of a region whose links have only their natural load: the highest share of bad windows of an hour
    /// of any series on any day, when every window is drawn several times.
    fn worst_natural_hour(plan: &Plan, number: u32) -> f64 {
        const DRAWS: usize = 4;
        let span = Span::new(plan.first, plan.days);
        let topology = Topology::draw(plan, span, number, 0, 5);
        let site = |site: &Site| LocalClock::new(span, &site.zone);
        let clocks: Vec<LocalClock> = topology.sites.iter().map(site).collect();
        let load = |(at, site): (usize, &Site)| {
            true_load(plan, span, number, site, at as u32, &clocks[at])
        };
        let loads: Vec<Vec<f32>> = topology.sites.iter().enumerate().map(load).collect();
        let link = |link| LinkState::new(plan, &topology, link, &loads, span.minutes());
        let links: Vec<LinkState> = (0..topology.links.len()).map(link).collect();
        let routes = Routes::new(plan, span, &topology);
        let noise = Noise::new();
        let mut worst: f64 = 0.0;
        for series in &topology.series {
            let path: Vec<&LinkState> = series.path.iter().map(|&link| &links[link]).collect();
            let busy = |minute: usize| path.iter().map(|link| link.rho[minute]).sum::<f32>();
            for day in 0..span.days {
                // The hour in which its links are used most.
                let minutes = day * DAY_MINUTES..(day + 1) * DAY_MINUTES;
                let busiest = minutes.step_by(15).max_by(|a, b| busy(*a).total_cmp(&busy(*b)));
                let hour = busiest.map_or(0..0, |at| at.saturating_sub(30)..at + 30);
                let (mut bad, mut all) = (0, 0);
                for draw in 0..DRAWS {
                    let rng = Rng::with_seed(draw as u64);
                    let mut windows = Windows::new(path.clone(), &noise, rng, 0, 1_500.0);
                    for window in hour.start * MINUTE_WINDOWS..hour.end * MINUTE_WINDOWS {
                        let base_us = routes.base_us(series, window / MINUTE_WINDOWS);
                        let outcome = windows.next(window, base_us, 0.0);
                        bad += u32::from(outcome.breaches().contains(&true));
                        all += 1;
                    }
                }
                worst = worst.max(f64::from(bad) / f64::from(all.max(1)));
            }
        }
        worst
    }

    /// The quarter-hours, and the windows of each, that an agent delivers of two hours in the middle of
    /// which its clock begins to be wrong.
    fn delivered(ahead: i32) -> Vec<(i64, u16)> {
        let span = Span::new(jiff::civil::date(2025, 2, 9), 28);
        let clock = LocalClock::new(span, &jiff::tz::TimeZone::UTC);
        let noon = clock.at(5, 12 * 60);
        let presence = Presence {
            here: Vec::new(),
            late: Vec::new(),
            wrong_clock: Some((noon..span.minutes(), ahead)),
        };
        let mut slots = Slots::new(span, &presence, &clock, 15);
        let noise = Noise::new();
        let mut windows = Windows::new(Vec::new(), &noise, Rng::with_seed(1), 0, 250.0);
        for minute in noon - 60..noon + 60 {
            slots.add(5, minute, &windows.next(minute * MINUTE_WINDOWS, 20e3, 0.0));
        }
        let first = span.slot(noon / SLOT_MINUTES).number();
        slots.finish().iter().map(|slot| (slot.start.number() - first, slot.valid)).collect()
    }

    #[test]
    fn what_a_wrong_clock_tells_twice_is_refused_and_order_is_kept() {
        let right: Vec<(i64, u16)> = (-4..4).map(|slot| (slot, 15)).collect();
        assert_eq!(delivered(0), right);
        // Half an hour behind: the last two quarter-hours come again; the second is full already.
        assert_eq!(delivered(-30), [(-4, 15), (-3, 15), (-2, 15), (-1, 15), (0, 15), (1, 15)]);
        // Twenty minutes ahead: a hole, and a quarter-hour of which ten minutes are told.
        let ahead =
            [(-4, 15), (-3, 15), (-2, 15), (-1, 15), (1, 10), (2, 15), (3, 15), (4, 15), (5, 5)];
        assert_eq!(delivered(20), ahead);
    }

    #[test]
    fn natural_load_is_harmless_on_every_day_of_every_series() {
        for &hardness in Hardness::ALL {
            for &mechanisms in Mechanisms::ALL {
                for seed in 0..3 {
                    let plan = Plan { hardness, mechanisms, days: 56, ..Plan::new(seed) };
                    let worst = worst_natural_hour(&plan, seed as u32);
                    // Expected is less than 2 %; the rest is what chance adds to the worst of thousands.
                    assert!(worst < 0.045, "{hardness:?} {mechanisms:?} {seed}: {worst}");
                }
            }
        }
    }
}
