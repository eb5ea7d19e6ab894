//! What of a world was seen: agents that sleep, are off or stay away, deliveries that fail or come
//! late, clocks that are wrong. Nothing here changes what is true.

use std::ops::Range;

use busyhour_model::LinkKind;
use fastrand::Rng;

use super::clock::{DAY_MINUTES, LocalClock, Span};
use super::draw::{Purpose, between, chance, how_often, lognormal, stream};
use super::plan::Plan;
use super::topology::{AgentPlan, Site};

/// Wi-Fi agents that are awake only while people work.
const DAYTIME_ONLY: f64 = 0.6;
/// Working days on which such an agent's owner is away.
const AWAY: f64 = 0.08;
/// Weeks without an agent in 30 days: holidays, repairs.
const WEEKS_OFF: f64 = 0.04;
/// Of failed deliveries, those that last for days.
const MULTI_DAY: f64 = 0.10;
/// Days of an agent that are delivered days later.
const LATE: f64 = 0.03;

/// What an agent saw.
#[derive(Debug, Clone)]
pub(crate) struct Presence {
    /// The minutes of the span in which it measured, and delivered what it did.
    pub(crate) here: Vec<bool>,
    /// Days after which each local day's slots were delivered; 0 for at once.
    pub(crate) late: Vec<u8>,
    /// When its clock was wrong, and by how many minutes it was ahead.
    pub(crate) wrong_clock: Option<(Range<usize>, i32)>,
}

impl Presence {
    pub(crate) fn draw(
        plan: &Plan,
        span: Span,
        region: u32,
        number: u32,
        agent: &AgentPlan,
        (site, clock): (&Site, &LocalClock),
    ) -> Self {
        let mut rng = stream(plan.seed, Purpose::Presence, region, number);
        let daytime_only = chance(&mut rng, DAYTIME_ONLY) && agent.link == LinkKind::Wifi;
        let mut here = if daytime_only {
            awake_by_day(&mut rng, span, site, clock)
        } else {
            vec![true; span.minutes()]
        };
        drop_deliveries(&mut rng, plan, span, &mut here);
        drop_weeks(&mut rng, plan, span, &mut here);
        let late = (0..span.days).map(|_| late_by(&mut rng)).collect();
        let wrong_clock = wrong_clock(&mut rng, plan, span);
        // Drawn last and for each day, so that absence disturbs nothing else.
        for day in 0..span.days {
            if chance(&mut rng, plan.absent_days) {
                clear(&mut here, clock.day(day));
            }
        }
        Self { here, late, wrong_clock }
    }
}

fn clear(here: &mut [bool], minutes: Range<usize>) {
    let dropped = here.iter_mut().take(minutes.end).skip(minutes.start);
    dropped.for_each(|minute| *minute = false);
}

/// From half an hour before the configured day to half an hour after, more or less, on working days.
fn awake_by_day(rng: &mut Rng, span: Span, site: &Site, clock: &LocalClock) -> Vec<bool> {
    let mut here = vec![false; span.minutes()];
    let (opens, closes) = site.shape.hours();
    for day in 0..span.days {
        let from = lognormal(rng, f64::from(opens) - 20.0, 0.03).clamp(0.0, 1_430.0) as u16;
        let until = lognormal(rng, f64::from(closes) + 20.0, 0.02).clamp(0.0, 1_439.0) as u16;
        if chance(rng, AWAY) || !site.calendar.works_on(day) {
            continue;
        }
        let awake = clock.at(day, from)..clock.at(day, until);
        here.iter_mut().take(awake.end).skip(awake.start).for_each(|minute| *minute = true);
    }
    here
}

/// Deliveries fail every ten days, in hard fleets every four: for hours, and one in ten for days.
fn drop_deliveries(rng: &mut Rng, plan: &Plan, span: Span, here: &mut [bool]) {
    let every_days = plan.by_hardness(10.0, 4.0);
    for _ in 0..how_often(rng, f64::from(plan.days) / every_days) {
        let length = if chance(rng, MULTI_DAY) {
            between(rng, 24.0, 120.0) * 60.0
        } else {
            lognormal(rng, 180.0, 1.0).clamp(10.0, 720.0)
        };
        let from = rng.usize(0..span.minutes());
        clear(here, from..from + length as usize);
    }
}

fn drop_weeks(rng: &mut Rng, plan: &Plan, span: Span, here: &mut [bool]) {
    for _ in 0..how_often(rng, WEEKS_OFF * f64::from(plan.days) / 30.0) {
        let (from, days) = (rng.usize(0..span.minutes()), rng.usize(5..=9));
        clear(here, from..from + days * DAY_MINUTES);
    }
}

fn late_by(rng: &mut Rng) -> u8 {
    let (late, days) = (chance(rng, LATE), rng.u8(1..=4));
    if late { days } else { 0 }
}

/// Some clocks are minutes wrong for days, until somebody sets them.
fn wrong_clock(rng: &mut Rng, plan: &Plan, span: Span) -> Option<(Range<usize>, i32)> {
    let wrong = chance(rng, plan.by_hardness(0.02, 0.05));
    let (from, days) = (rng.usize(0..span.minutes()), rng.usize(1..=10));
    let minutes = rng.i32(2..=40);
    let ahead = if rng.bool() { minutes } else { -minutes };
    let until = (from + days * DAY_MINUTES).min(span.minutes());
    wrong.then_some((from..until, ahead))
}
