//! The observed days of a place, and what they say.

use std::collections::{BTreeMap, BTreeSet};

use busyhour_model::{AgentId, DaySummary, Incident, Scope};
use jiff::ToSpan as _;
use jiff::civil::Date;

use super::{
    BuildingHistory, INCIDENT_HISTORY_DAYS, LOOK_BACK_DAYS, OBSERVED_DAYS, observed_since,
};
use crate::building::compare_hours;
use crate::explain::{Finding, explain};
use crate::place::Place;
use crate::quarters::Quarters;

/// One observed day of a place.
pub(super) struct PlaceDay<'a> {
    pub(super) date: Date,
    /// The worst unit that is bad at the place's hours or within 45 minutes of them, one whose worst
    /// hour lies in them before others; `None` when the day does not touch them.
    pub(super) bad: Option<&'a DaySummary>,
}

/// The observed days of a place, oldest first.
pub(super) struct Timeline<'a, 'p> {
    history: BuildingHistory<'a>,
    place: &'p Place,
    days: Vec<PlaceDay<'a>>,
}

impl<'a, 'p> Timeline<'a, 'p> {
    pub(super) fn of(history: &BuildingHistory<'a>, place: &'p Place) -> Self {
        let mut days: BTreeMap<Date, Option<&'a DaySummary>> = BTreeMap::new();
        for day in observed_since(history, INCIDENT_HISTORY_DAYS) {
            let Scope::Subnet(subnet, link) = day.scope else { continue };
            if !place.holds((subnet, link)) {
                continue;
            }
            let worst = days.entry(day.date).or_default();
            let touches = day.verdict.is_bad()
                && Quarters::from_minutes(&day.bad_quarters).overlaps(place.hours);
            let is_worse = worst.is_none_or(|known| {
                let inside = |day| has_worst_hour_in(day, place.hours);
                inside(day)
                    .cmp(&inside(known))
                    .then(compare_hours(day.worst_hour.as_ref(), known.worst_hour.as_ref()))
                    .then(known.scope.cmp(&day.scope))
                    .is_gt()
            });
            if touches && is_worse {
                *worst = Some(day);
            }
        }
        let days = days.into_iter().map(|(date, bad)| PlaceDay { date, bad }).collect();
        Self { history: *history, place, days }
    }

    /// The last observed days that decide, at most five.
    pub(super) fn window(&self) -> &[PlaceDay<'a>] {
        let oldest = self.history.today.saturating_sub((LOOK_BACK_DAYS - 1).days());
        let recent = self.days.partition_point(|day| day.date < oldest);
        let recent = &self.days[recent..];
        &recent[recent.len().saturating_sub(OBSERVED_DAYS)..]
    }

    /// The last bad day of the present spell whose worst hour is one of the place's own hours.
    fn last_shown(&self, first_bad: Date) -> Option<&'a DaySummary> {
        let mut bad = self.days.iter().rev().filter_map(|day| day.bad);
        bad.find(|day| day.date >= first_bad && has_worst_hour_in(day, self.place.hours))
    }

    pub(super) fn last_bad(&self) -> Option<&'a DaySummary> {
        self.days.iter().rev().find_map(|day| day.bad)
    }

    /// The earliest day of the present spell: before it five observed days were quiet, or nothing
    /// is known.
    pub(super) fn first_bad(&self) -> Date {
        let mut first = None;
        let mut quiet = 0;
        for day in self.days.iter().rev() {
            if day.bad.is_some() {
                first = Some(day.date);
                quiet = 0;
            } else {
                quiet += 1;
            }
            if quiet >= OBSERVED_DAYS && first.is_some() {
                break;
            }
        }
        first.unwrap_or(self.history.today)
    }

    /// The building, or the subnet on its link (the first of several that have it).
    pub(super) fn scope(&self) -> Scope {
        let own = |scope: &Scope| match (*scope, self.place.subnet) {
            (Scope::Subnet(subnet, link), Some(own)) => {
                subnet == own && self.place.holds((subnet, link))
            }
            _ => false,
        };
        let scopes = self.history.days.iter().map(|day| day.scope);
        scopes.filter(own).min().unwrap_or(Scope::Building(self.history.building))
    }

    /// The agents of the place with an observed day among those that decide, and whether each is
    /// simulated: one that nobody knows is.
    fn agents(&self, bad_only: bool) -> BTreeSet<(AgentId, bool)> {
        let Some(oldest) = self.window().first().map(|day| day.date) else {
            return BTreeSet::new();
        };
        let recent = observed_since(&self.history, LOOK_BACK_DAYS)
            .filter(|day| day.date >= oldest && (!bad_only || day.verdict.is_bad()));
        let mut agents = BTreeSet::new();
        for day in recent {
            let Scope::Agent(agent, link) = day.scope else { continue };
            let mut known = self.history.members.iter().filter(|m| m.agent == agent).peekable();
            if known.peek().is_none() {
                agents.insert((agent, true));
            }
            let here = known.find(|member| self.place.holds((member.subnet, link)));
            agents.extend(here.map(|member| (agent, member.simulated)));
        }
        agents
    }

    /// True when one of the agents that it rests on is simulated; when none of them can be told, any
    /// of the building may be meant.
    pub(super) fn is_simulated(&self) -> bool {
        let bad = self.agents(true);
        let members = self.history.members;
        if bad.is_empty() {
            return members.is_empty() || members.iter().any(|member| member.simulated);
        }
        bad.iter().any(|&(_, simulated)| simulated)
    }

    /// Fills in the figures and the sentence.
    pub(super) fn describe(&self, incident: &mut Incident) {
        let window = self.window();
        let bad = window.iter().filter(|day| day.bad.is_some()).count();
        incident.observed_days = u32::try_from(window.len()).unwrap_or(u32::MAX);
        incident.bad_days = u32::try_from(bad).unwrap_or(u32::MAX);
        let last = self.last_bad();
        let shown = self.last_shown(incident.first_bad);
        if let Some(day) = shown.or(last) {
            incident.worst_hour = shown.and_then(|day| day.worst_hour);
            incident.average = day.average;
            incident.masked = day.masked;
            incident.masking_factor = shown.and_then(|day| day.masking_factor);
        }
        let since = |day: &&PlaceDay<'_>| day.date >= incident.first_bad;
        let subnet = incident
            .subnet
            .and_then(|subnet| self.history.subnets.iter().find(|named| named.subnet == subnet));
        incident.sentence = explain(&Finding {
            building: self.history.name,
            subnet: subnet.map(|named| named.name.as_str()),
            verdict: last.map(|day| day.verdict),
            worst_on: shown.map_or(incident.last_bad, |day| day.date),
            hours: self.place.hours.spans(),
            bad: self
                .days
                .iter()
                .filter(|day| day.bad.is_some())
                .filter(since)
                .map(|d| d.date)
                .collect(),
            observed: self.days.iter().filter(since).map(|day| day.date).collect(),
            seen_from_the_start: self.days.first().is_none_or(|d| d.date >= incident.first_bad),
            agents: self.agents(false).len(),
            incident,
        });
    }
}

/// True when the worst hour of a day is, in part at least, one of `hours`.
fn has_worst_hour_in(day: &DaySummary, hours: Quarters) -> bool {
    day.worst_hour.is_some_and(|worst| {
        let until = worst.start_minute.saturating_add(60);
        !Quarters::between(worst.start_minute, until).and(hours).is_empty()
    })
}
