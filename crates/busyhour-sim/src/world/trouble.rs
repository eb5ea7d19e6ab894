//! What is no degradation at busy hours, and must not be taken for it: incidents, moved routes, copy
//! jobs at night, faults at all hours, growth, one meeting of everybody, targets that fail.

use std::ops::Range;

use fastrand::Rng;

use super::clock::{DAY_MINUTES, LocalClock, Span};
use super::draw::{Purpose, between, chance, how_often, lognormal, one_of, stream, weighted};
use super::link::Extra;
use super::mechanism::LinkType;
use super::plan::{Mechanisms, Plan};
use super::shape::Shape;
use super::topology::{Owner, TARGETS, Topology};
use super::truth::TruthKind;

/// Days that rates a month are for.
const MONTH_DAYS: f64 = 30.0;
/// Level shifts of a building in a month.
const SHIFTS: f64 = 0.4;
/// Buildings with a copy job at night.
const BACKUPS: f64 = 0.15;
/// Agents whose cable or port is at fault at all hours.
const CONSTANT: f64 = 0.05;
/// Buildings whose load grows all the time.
const GROWING: f64 = 0.10;
/// Meetings of everybody in a building in a month.
const MEETINGS: f64 = 0.08;
/// Days from one fault of a target to its next, on average.
const TARGET_FAULT_DAYS: f64 = 20.0;
/// The shortest and the longest round trip that a moved route may end at, in microseconds.
pub(crate) const ROUTES_US: (f32, f32) = (4_000.0, 50_000.0);

/// What a trouble does to its link while it lasts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Effect {
    /// Something beside the link's own mechanism.
    Extra(Extra),
    /// So much more load.
    Load(f32),
    /// At least so much load: a copy job takes what is left.
    Fill(f32),
    /// Load grows from this share to all of it.
    Growth(f32),
}

/// A trouble of a link.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) kind: TruthKind,
    pub(crate) link: usize,
    /// The building whose clock it keeps.
    pub(crate) site: usize,
    pub(crate) effect: Effect,
    /// The minutes of the span in which it happens.
    pub(crate) minutes: Vec<Range<usize>>,
    /// The local minutes of the day, where it keeps to them.
    pub(crate) hours: Option<(u16, u16)>,
    /// A word for it.
    pub(crate) word: &'static str,
}

/// A route that moved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shift {
    /// The building; none when it was the upstream's.
    pub(crate) site: Option<usize>,
    /// From this minute of the span.
    pub(crate) from: usize,
    /// To this one.
    pub(crate) until: usize,
    /// By so much, in microseconds.
    pub(crate) by_us: f32,
}

/// A target that failed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TargetFault {
    /// Its place in [`TARGETS`].
    pub(crate) target: usize,
    /// The minutes of the span.
    pub(crate) minutes: Range<usize>,
    /// The probability of loss; from 1 on nothing comes back.
    pub(crate) loss: f32,
}

/// The faults of all targets: the same for every region.
pub(crate) fn target_faults(plan: &Plan, span: Span) -> Vec<TargetFault> {
    let mut faults = Vec::new();
    for target in 0..TARGETS.len() {
        let mut rng = stream(plan.seed, Purpose::Targets, 0, target as u32);
        for _ in 0..how_often(&mut rng, f64::from(plan.days) / TARGET_FAULT_DAYS) {
            let (length, loss) = match weighted(&mut rng, &[0.5, 0.35, 0.15]) {
                0 => (rng.usize(3..=10), 1.0),
                1 => (rng.usize(20..=90), between(&mut rng, 0.03, 0.2)),
                _ => (rng.usize(60..=180), 1.0),
            };
            let from = rng.usize(DAY_MINUTES..span.minutes() - DAY_MINUTES);
            faults.push(TargetFault { target, minutes: from..from + length, loss: loss as f32 });
        }
    }
    faults.sort_by_key(|fault| fault.minutes.start);
    faults
}

/// The routes of a region that move.
pub(crate) fn shifts(plan: &Plan, span: Span, topology: &Topology) -> Vec<Shift> {
    let mut rng = stream(plan.seed, Purpose::Troubles, topology.region, 1);
    let months = f64::from(plan.days) / MONTH_DAYS;
    let mut shifts = Vec::new();
    let mut draw = |rng: &mut Rng, site: Option<usize>, rate: f64| {
        for _ in 0..how_often(rng, rate * months) {
            let from = rng.usize(DAY_MINUTES..span.minutes() - DAY_MINUTES);
            let days = if chance(rng, 0.6) { span.days } else { rng.usize(2..=20) };
            let size = lognormal(rng, 11e3, 0.6).clamp(3e3, 35e3);
            let by_us = if chance(rng, 0.6) { size } else { -size } as f32;
            let until = (from + days * DAY_MINUTES + rng.usize(0..DAY_MINUTES)).min(span.minutes());
            shifts.push(Shift { site, from, until, by_us });
        }
    };
    // An upstream's shift counts for each of its buildings.
    draw(&mut rng, None, 0.25 * SHIFTS);
    for site in 0..topology.sites.len() {
        draw(&mut rng, Some(site), 0.75 * SHIFTS);
    }
    shifts.sort_by_key(|shift| shift.from);
    shifts
}

/// The troubles of a region's links; gives machines that suffer a link of their own.
pub(crate) fn draw(
    plan: &Plan,
    span: Span,
    topology: &mut Topology,
    clocks: &[LocalClock],
) -> Vec<Trouble> {
    let mut troubles = constant_faults(plan, span, topology);
    let link_of = |owner: Owner| topology.links.iter().position(|link| link.owner == owner);
    for (site, clock) in clocks.iter().enumerate() {
        let Some(uplink) = link_of(Owner::Uplink(site)) else { continue };
        let mut rng = stream(plan.seed, Purpose::Troubles, topology.region, 0x100 + site as u32);
        let draws = Draws { plan, span, topology, clock, site, uplink };
        draws.incidents(&mut rng, &mut troubles);
        draws.backups(&mut rng, &mut troubles);
        draws.meetings(&mut rng, &mut troubles);
        draws.growth(&mut rng, &mut troubles);
    }
    troubles
}

/// Faults at all hours: a bad cable, or a machine that sends unevenly.
fn constant_faults(plan: &Plan, span: Span, topology: &mut Topology) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    for agent in 0..topology.agents.len() {
        let thing = 0x8000 + agent as u32;
        let mut rng = stream(plan.seed, Purpose::Troubles, topology.region, thing);
        if !chance(&mut rng, CONSTANT) {
            continue;
        }
        let kind = match plan.mechanisms {
            Mechanisms::Tuning => LinkType::Fifo,
            Mechanisms::HeldOut => LinkType::Policer,
        };
        let (extra, word) = if chance(&mut rng, 0.7) {
            let loss = lognormal(&mut rng, 0.014, 0.5).clamp(0.006, 0.06) as f32;
            (Extra { loss, ..Extra::NONE }, "bad-cable")
        } else {
            let jitter_us = between(&mut rng, 27e3, 50e3) as f32;
            (Extra { jitter_us, ..Extra::NONE }, "uneven-sender")
        };
        let from = if chance(&mut rng, 0.5) { 0 } else { rng.usize(5..span.days - 15) };
        let until = if chance(&mut rng, 0.4) { from + rng.usize(14..=60) } else { span.days + 2 };
        let until = until.min(span.days + 2);
        let site = topology.agents[agent].site;
        let link = topology.add_machine(agent, kind, 1e3);
        troubles.push(Trouble {
            kind: TruthKind::Constant,
            link,
            site,
            effect: Effect::Extra(extra),
            minutes: std::iter::once(from * DAY_MINUTES..until * DAY_MINUTES).collect(),
            hours: None,
            word,
        });
    }
    troubles
}

/// What the troubles of one building are drawn from.
#[derive(Debug, Clone, Copy)]
struct Draws<'a> {
    plan: &'a Plan,
    span: Span,
    topology: &'a Topology,
    clock: &'a LocalClock,
    site: usize,
    uplink: usize,
}

impl Draws<'_> {
    fn months(&self) -> f64 {
        f64::from(self.plan.days) / MONTH_DAYS
    }

    fn trouble(
        &self,
        kind: TruthKind,
        word: &'static str,
        link: usize,
        effect: Effect,
        minutes: Vec<Range<usize>>,
    ) -> Trouble {
        Trouble { kind, link, site: self.site, effect, minutes, hours: None, word }
    }

    /// Once each, mostly in the day time: minutes to hours, and in hard fleets some for days.
    fn incidents(&self, rng: &mut Rng, troubles: &mut Vec<Trouble>) {
        let rate = self.plan.by_hardness(0.6, 1.2);
        for _ in 0..how_often(rng, rate * self.months()) {
            let link = self.incident_link(rng);
            let long = chance(rng, self.plan.by_hardness(0.0, 0.08));
            let length = if long {
                rng.usize(15 * 60..=75 * 60)
            } else {
                lognormal(rng, 40.0, 0.9).clamp(8.0, 360.0) as usize
            };
            let (effect, word) = incident_effect(rng, long);
            let from = self.incident_start(rng);
            let minutes = std::iter::once(from..from + length).collect();
            troubles.push(self.trouble(TruthKind::Incident, word, link, effect, minutes));
        }
    }

    /// Mostly the building's line; of upstreams each building brings its part.
    fn incident_link(&self, rng: &mut Rng) -> usize {
        let inside = |owner: Owner| match owner {
            Owner::Access(subnet) | Owner::Radio(subnet) => {
                self.topology.subnets[subnet].site == self.site
            }
            Owner::Controller(site) => site == self.site,
            Owner::Upstream | Owner::Vpn | Owner::Uplink(_) | Owner::Machine(_) => false,
        };
        let links = || self.topology.links.iter().enumerate();
        match weighted(rng, &[0.5, 0.4, 0.1]) {
            0 => self.uplink,
            1 => {
                let inner: Vec<usize> =
                    links().filter(|(_, link)| inside(link.owner)).map(|(at, _)| at).collect();
                one_of(rng, &inner).unwrap_or(self.uplink)
            }
            _ => links().position(|(_, link)| link.owner == Owner::Upstream).unwrap_or(self.uplink),
        }
    }

    fn incident_start(&self, rng: &mut Rng) -> usize {
        let day = rng.usize(0..self.span.days);
        let minute = if chance(rng, 0.65) { rng.u16(7 * 60..19 * 60) } else { rng.u16(0..24 * 60) };
        self.clock.at(day, minute)
    }

    /// A copy job fills the line every night, or on nights before working days.
    fn backups(&self, rng: &mut Rng, troubles: &mut Vec<Trouble>) {
        let awake_at_night = matches!(self.topology.sites[self.site].shape, Shape::Shifts { .. });
        let (happens, start) = (chance(rng, BACKUPS), rng.u16(22 * 60 + 30..26 * 60));
        let (length, fill) = (rng.usize(60..=200), between(rng, 1.0, 1.3) as f32);
        let every_night = chance(rng, 0.7);
        if !happens || awake_at_night {
            return;
        }
        let calendar = &self.topology.sites[self.site].calendar;
        let nights = (0..self.span.days).filter(|&day| every_night || calendar.works_on(day));
        let begin = |night: usize| {
            let day = night + usize::from(start / (24 * 60));
            self.clock.at(day.min(self.span.days - 1), start % (24 * 60))
        };
        let minutes = nights.map(|night| begin(night)..begin(night) + length).collect();
        let until = (start + length as u16) % (24 * 60);
        troubles.push(Trouble {
            hours: Some((start % (24 * 60), until)),
            ..self.trouble(
                TruthKind::Backup,
                "night-copy",
                self.uplink,
                Effect::Fill(fill),
                minutes,
            )
        });
    }

    /// Everybody joins one call, once.
    fn meetings(&self, rng: &mut Rng, troubles: &mut Vec<Trouble>) {
        let site = &self.topology.sites[self.site];
        for _ in 0..how_often(rng, MEETINGS * self.months()) {
            let (day, minute) = (rng.usize(0..self.span.days), rng.u16(9 * 60..17 * 60));
            let (length, fill) = (rng.usize(45..=120), between(rng, 0.95, 1.2) as f32);
            if site.calendar.works_on(day) {
                let from = self.clock.at(day, minute);
                let minutes = std::iter::once(from..from + length).collect();
                let effect = Effect::Fill(fill);
                troubles.push(self.trouble(
                    TruthKind::Meeting,
                    "all-hands",
                    self.uplink,
                    effect,
                    minutes,
                ));
            }
        }
    }

    fn growth(&self, rng: &mut Rng, troubles: &mut Vec<Trouble>) {
        let (happens, share) = (chance(rng, GROWING), between(rng, 0.5, 0.7) as f32);
        if happens {
            let all = std::iter::once(0..self.span.minutes()).collect();
            let effect = Effect::Growth(share);
            troubles.push(self.trouble(TruthKind::Growth, "growth", self.uplink, effect, all));
        }
    }
}

/// What an incident does, and its word. What lasts for days lets something through.
fn incident_effect(rng: &mut Rng, long: bool) -> (Effect, &'static str) {
    let weights = if long { [0.0, 0.6, 0.4, 0.0] } else { [0.2, 0.45, 0.2, 0.15] };
    match weighted(rng, &weights) {
        0 => (Effect::Extra(Extra { loss: 1.0, ..Extra::NONE }), "outage"),
        1 => {
            let (median, most) = if long { (0.02, 0.06) } else { (0.04, 0.3) };
            let loss = lognormal(rng, median, 0.8).clamp(0.008, most) as f32;
            (Effect::Extra(Extra { loss, ..Extra::NONE }), "loss")
        }
        2 => {
            let delay_us = between(rng, 40e3, 200e3) as f32;
            (Effect::Extra(Extra { delay_us, jitter_us: 6e3, ..Extra::NONE }), "delay")
        }
        _ => (Effect::Load(between(rng, 0.4, 1.0) as f32), "surge"),
    }
}
