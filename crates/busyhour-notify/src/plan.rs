//! What becomes of an event: who is told of it, when, and what is looked at again before it is sent. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use busyhour_model::desk::{Opening, Overlay, Telling};
use busyhour_model::{
    Building, BuildingId, Incident, IncidentId, IncidentState, SeverityClass, UtcMicros,
};
use busyhour_store::{
    About, Delivery, Fate, Happened, IncidentEvent, IncidentNews, NewDelivery, OpeningTold,
    Purpose, Untold,
};
use jiff::tz::TimeZone;

use crate::hours::{Hours, next_daily};
use crate::report::ReportPlan;
use crate::route::{Facts, Route, When};

/// How often what waits is looked at again: quiet times may end early.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// The shortest time.
const MOMENT: Duration = Duration::from_micros(1);

/// What decisions rest on.
pub(crate) struct World<'a> {
    /// The names of the channels there are.
    pub(crate) channels: &'a [String],
    /// Those of them that want to hear more of what they were told than that it is over.
    pub(crate) wants: &'a Wants,
    /// Without any, everything goes to every channel at once.
    pub(crate) routes: &'a [Route],
    pub(crate) reports: &'a [ReportPlan],
    pub(crate) buildings: &'a HashMap<BuildingId, &'a Building>,
    pub(crate) overlay: &'a Overlay,
    /// The states of incidents that others are part of.
    pub(crate) states: &'a BTreeMap<IncidentId, IncidentState>,
    /// How long an opening waits for the data of others in its place.
    pub(crate) settle: Duration,
    /// How old what nobody held back may be when it is first told.
    pub(crate) give_up_after: Duration,
}

/// Channels by what they want to hear.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Wants {
    /// Whoever keeps an alert for each incident, and needs to know that it goes on as part of another.
    pub(crate) merged: HashSet<String>,
    /// Whoever calls people, and stops when somebody has seen it.
    pub(crate) acknowledged: HashSet<String>,
}

/// What to do with a delivery that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Check {
    Send,
    Later(UtcMicros),
    Withhold(String),
    /// It was tried for too long.
    GiveUp(String),
}

impl World<'_> {
    /// What becomes of an event.
    pub(crate) fn fate(&self, untold: &Untold, now: UtcMicros) -> Fate {
        match &untold.happened {
            Happened::Test { channel } | Happened::NotMade { channel } => {
                self.at_once(|name| name == channel, now)
            }
            Happened::ChannelFailed { channel, .. } | Happened::ChannelWorks { channel } => {
                self.at_once(|name| name != channel, now)
            }
            // It takes other messages: without another channel it is told there.
            Happened::MessageRefused { channel } => {
                let is_another = |name: &String| name != channel;
                let others = self.channels.iter().any(is_another);
                self.at_once(|name| is_another(name) == others, now)
            }
            Happened::Report { name } => {
                let plan = self.reports.iter().find(|plan| plan.asks_for(name));
                self.at_once(|name| plan.is_some_and(|plan| plan.channels.contains(name)), now)
            }
            Happened::Incident { event, openings, incident, told_on, opening_waits } => match event
            {
                IncidentEvent::Opened => {
                    let opening = Opening { openings: *openings, at: untold.created };
                    self.opened(incident, opening, now)
                }
                IncidentEvent::Worse => {
                    if incident.openings != *openings || !incident.is_open() {
                        return Fate::Nobody("it is over".to_owned());
                    }
                    self.quiet(incident, now).unwrap_or_else(|| self.route(incident, now))
                }
                IncidentEvent::Closed | IncidentEvent::Merged | IncidentEvent::Acknowledged
                    if *opening_waits =>
                {
                    Fate::Later(now.plus(LOOK_AGAIN))
                }
                IncidentEvent::Closed => self.closed(incident, told_on, now),
                IncidentEvent::Merged => self.to_who_wants(&self.wants.merged, told_on, now),
                IncidentEvent::Acknowledged => {
                    self.to_who_wants(&self.wants.acknowledged, told_on, now)
                }
            },
        }
    }

    /// On the channels that `wanted` names.
    fn at_once(&self, wanted: impl Fn(&String) -> bool, now: UtcMicros) -> Fate {
        let channels = self.channels.iter().filter(|name| wanted(name));
        let tell = |channel: &String| NewDelivery {
            channel: channel.clone(),
            purpose: Purpose::Tell,
            due: now,
        };
        on(channels.map(tell).collect(), String::new(), "there is no channel for it")
    }

    fn opened(&self, incident: &Incident, opening: Opening, now: UtcMicros) -> Fate {
        if self.root(incident).is_some() {
            // Split again it stands by itself; what is over by then needs nobody.
            return match incident.is_open() && incident.openings == opening.openings {
                true => Fate::Later(now.plus(LOOK_AGAIN)),
                false => Fate::Nobody("it was over as part of another".to_owned()),
            };
        }
        let settled = opening.at.plus(self.settle);
        if now < settled {
            return Fate::Later(settled);
        }
        if incident.openings != opening.openings || !incident.is_open() {
            return Fate::Nobody("it was over before it was to be told".to_owned());
        }
        match self.overlay.opening_told(incident, opening, &self.zone(incident), now) {
            Telling::Now if self.is_too_old(incident, opening, now) => {
                Fate::Nobody("it was too old when a channel could first be used".to_owned())
            }
            Telling::Now => self.route(incident, now),
            Telling::Later { at, .. } => Fate::Later(at.min(now.plus(LOOK_AGAIN))),
            Telling::AwaitBadDay => Fate::Later(now.plus(LOOK_AGAIN)),
            Telling::Never(why) => Fate::Nobody(why.to_owned()),
        }
    }

    /// What waited although nobody wanted it quiet.
    fn is_too_old(&self, incident: &Incident, opening: Opening, now: UtcMicros) -> bool {
        let old = opening.at.plus(self.give_up_after) < now;
        old && self.overlay.cover(incident, opening.at).is_none()
    }

    /// What ends is told where its begin was.
    fn closed(&self, incident: &Incident, told_on: &[(String, Purpose)], now: UtcMicros) -> Fate {
        if let Some(quiet) = self.quiet(incident, now) {
            return quiet;
        }
        let routes = self.fitting(incident);
        let delivery = |(channel, purpose): &(String, Purpose)| {
            let route = routes.iter().find(|route| route.channels.contains(channel));
            let when = route.map_or(&When::AtOnce, |route| &route.when);
            let (told, due) = self.moment(when, incident, now);
            // To whom it was escalated it is over at once.
            let escalated = *purpose == Purpose::Escalate;
            let (purpose, due) = if escalated { (Purpose::Tell, now) } else { (told, due) };
            NewDelivery { channel: channel.clone(), purpose, due }
        };
        let there = told_on.iter().filter(|(channel, _)| self.channels.contains(channel));
        on(there.map(delivery).collect(), String::new(), "its opening was told to nobody")
    }

    /// At once on those channels that were told of it and want to know.
    fn to_who_wants(
        &self,
        wants: &HashSet<String>,
        told_on: &[(String, Purpose)],
        now: UtcMicros,
    ) -> Fate {
        let there =
            |name: &String| wants.contains(name) && told_on.iter().any(|(on, _)| on == name);
        let Fate::On { deliveries, labels } = self.at_once(there, now) else {
            return Fate::Nobody("nobody who was told of it wants to know".to_owned());
        };
        Fate::On { deliveries, labels }
    }

    /// It waits while it is quiet.
    fn quiet(&self, incident: &Incident, now: UtcMicros) -> Option<Fate> {
        let cover = self.overlay.cover(incident, now)?;
        Some(Fate::Later(cover.until.min(now.plus(LOOK_AGAIN))))
    }

    /// The routes that count: the first that fits, and the next ones as long as each goes on.
    fn fitting(&self, incident: &Incident) -> Vec<&Route> {
        let facts = self.facts(incident);
        let mut fitting = Vec::new();
        for route in self.routes.iter().filter(|route| route.fits(&facts)) {
            fitting.push(route);
            if !route.goes_on {
                break;
            }
        }
        fitting
    }

    fn route(&self, incident: &Incident, now: UtcMicros) -> Fate {
        let labels = labels_text(&self.labels(incident));
        if self.routes.is_empty() {
            let Fate::On { deliveries, .. } = self.at_once(|_| true, now) else {
                return Fate::Later(now.plus(LOOK_AGAIN));
            };
            return Fate::On { deliveries, labels };
        }
        let mut deliveries: Vec<NewDelivery> = Vec::new();
        for route in self.fitting(incident) {
            let (purpose, due) = self.moment(&route.when, incident, now);
            let told = route.channels.iter().map(|channel| (channel, purpose, due));
            let escalation = route.escalation.iter().flat_map(|(after, channels)| {
                let due = self.worked(incident, now, *after);
                channels.iter().map(move |channel| (channel, Purpose::Escalate, due))
            });
            for (channel, purpose, due) in told.chain(escalation) {
                let escalates = purpose == Purpose::Escalate;
                let same = |one: &NewDelivery| {
                    one.channel == *channel && (one.purpose == Purpose::Escalate) == escalates
                };
                // The first route that names a channel says how it is told there.
                if self.channels.contains(channel) && !deliveries.iter().any(same) {
                    deliveries.push(NewDelivery { channel: channel.clone(), purpose, due });
                }
            }
        }
        on(deliveries, labels, "no route is for it")
    }

    fn moment(&self, when: &When, incident: &Incident, now: UtcMicros) -> (Purpose, UtcMicros) {
        match when {
            When::AtOnce => (Purpose::Tell, now),
            When::BusinessHours => (Purpose::Tell, self.worked(incident, now, Duration::ZERO)),
            When::Digest(minute, zone) => (Purpose::Digest, next_daily(now, *minute, zone)),
        }
    }

    /// When so much of the building's business hours has passed.
    fn worked(&self, incident: &Incident, from: UtcMicros, worked: Duration) -> UtcMicros {
        let building = self.buildings.get(&incident.building);
        let hours = building.and_then(|building| Hours::of(building));
        match hours {
            None => from.plus(worked),
            Some(hours) if worked.is_zero() => hours.next_open(from),
            Some(hours) => hours.after(from, worked),
        }
    }

    fn zone(&self, incident: &Incident) -> TimeZone {
        let building = self.buildings.get(&incident.building);
        let zone = building.and_then(|building| building.time_zone.as_deref());
        zone.and_then(|zone| TimeZone::get(zone).ok()).unwrap_or(TimeZone::UTC)
    }

    fn root(&self, incident: &Incident) -> Option<IncidentId> {
        self.overlay.part_of(incident, |root| self.states.get(&root).copied())
    }

    fn facts<'a>(&'a self, incident: &Incident) -> Facts<'a> {
        let mut suffering: BTreeSet<BuildingId> = incident.buildings().into_iter().collect();
        suffering.insert(incident.building);
        let buildings: Vec<&Building> =
            suffering.iter().filter_map(|id| self.buildings.get(id).copied()).collect();
        Facts {
            buildings: buildings.iter().map(|building| building.name.as_str()).collect(),
            regions: buildings.iter().map(|building| building.region.as_str()).collect(),
            cause: incident.cause,
            segment: incident.segment,
            class: SeverityClass::of(incident.severity),
        }
    }

    /// What machines tell an alert from others and route it by, as it is now.
    fn labels(&self, incident: &Incident) -> BTreeMap<String, String> {
        let building = self.buildings.get(&incident.building);
        let class = SeverityClass::of(incident.severity);
        let labels = [
            ("building", building.map_or("", |building| building.name.as_str())),
            ("region", building.map_or("", |building| building.region.as_str())),
            ("kind", incident.kind.as_str()),
            ("segment", incident.segment.as_str()),
            ("cause", incident.cause.as_str()),
            ("severity", class.as_str()),
        ];
        let given = labels.into_iter().filter(|(_, value)| !value.is_empty());
        given.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Looks once more at all that is due, before it is sent. `people` are the channels that people read.
    pub(crate) fn checks(
        &self,
        due: &[Delivery],
        people: &HashSet<String>,
        now: UtcMicros,
    ) -> Vec<Check> {
        let mut checks: Vec<Check> = due.iter().map(|one| self.check(one, now)).collect();
        // Fresh news of an opening in the digest that is about to be sent.
        let fresh = |one: &Delivery| {
            let About::Incident(news) = &one.about else { return None };
            let digest = one.purpose == Purpose::Digest && people.contains(&one.channel);
            let fresh = digest && one.attempts == 0 && one.bundle.is_none();
            let of = (one.channel.clone(), news.incident.id, news.openings);
            fresh.then_some((of, news.event == IncidentEvent::Closed))
        };
        let told: HashSet<_> = due
            .iter()
            .zip(&checks)
            .filter(|(_, check)| **check == Check::Send)
            .filter_map(|(one, _)| fresh(one))
            .filter_map(|(of, over)| (!over).then_some(of))
            .collect();
        // Its end is in the same digest.
        for (one, check) in due.iter().zip(&mut checks) {
            let ends = fresh(one).is_some_and(|(of, over)| over && told.contains(&of));
            if ends && matches!(check, Check::Later(_)) {
                *check = Check::Send;
            }
        }
        checks
    }

    /// Looks once more before a delivery is sent: much may have happened since it was placed. What waited too
    /// long for its channel is not sent; for how long nobody wanted to hear of it does not count.
    pub(crate) fn check(&self, delivery: &Delivery, now: UtcMicros) -> Check {
        let check = match &delivery.about {
            About::Incident(news) => self.check_incident(delivery, news, now),
            _ => Check::Send,
        };
        let too_old = delivery.placed.plus(self.give_up_after) < now;
        if check != Check::Send || !too_old {
            return check;
        }
        match (delivery.attempts, &delivery.about) {
            (0, About::Report { .. }) => Check::Withhold("it could not be sent in time".to_owned()),
            (0, _) => {
                Check::Withhold("it was too old when the channel could first be used".to_owned())
            }
            (attempts, _) => Check::GiveUp(format!("given up after {attempts} attempts")),
        }
    }

    fn check_incident(&self, delivery: &Delivery, news: &IncidentNews, now: UtcMicros) -> Check {
        let incident = &news.incident;
        let over = incident.openings != news.openings || !incident.is_open();
        let no_more = match news.event {
            IncidentEvent::Opened | IncidentEvent::Worse => None,
            IncidentEvent::Closed | IncidentEvent::Merged => {
                let back = incident.is_open() || incident.openings != news.openings;
                Some(back.then_some("it came back before that could be told"))
            }
            IncidentEvent::Acknowledged if over => Some(Some("it was over before")),
            IncidentEvent::Acknowledged => {
                let standing = self.overlay.standing(incident, now);
                Some(standing.acknowledged.is_none().then_some("it was taken back"))
            }
        };
        if let Some(no_more) = no_more {
            return match (no_more, news.opening) {
                (Some(reason), _) => Check::Withhold(reason.to_owned()),
                (None, OpeningTold::Taken) => Check::Send,
                (None, OpeningTold::Waits) => Check::Later(now.plus(LOOK_AGAIN)),
                (None, OpeningTold::Never) => {
                    Check::Withhold("that it opened was never told here".to_owned())
                }
            };
        }
        if delivery.purpose == Purpose::Escalate {
            if over {
                return Check::Withhold("it was over before it was escalated".to_owned());
            }
            if let Some(reason) = self.nobody_needs(news, now) {
                return Check::Withhold(reason);
            }
        }
        // What was begun is finished: the other side may have taken it already.
        if delivery.attempts > 0 {
            return Check::Send;
        }
        if over && self.root(incident).is_some() {
            return Check::Withhold("it was over as part of another".to_owned());
        }
        if over {
            // Quiet now, or when it was looked at last.
            let looks = [now, delivery.placed.minus(MOMENT), delivery.placed.minus(LOOK_AGAIN)];
            return match looks.iter().any(|at| self.overlay.cover(incident, *at).is_some()) {
                true => Check::Withhold("it was over before the quiet time was".to_owned()),
                false => Check::Send,
            };
        }
        if self.root(incident).is_some() {
            return Check::Later(now.plus(LOOK_AGAIN));
        }
        match self.overlay.cover(incident, now) {
            Some(cover) => Check::Later(cover.until.min(now.plus(LOOK_AGAIN))),
            None => Check::Send,
        }
    }

    /// Why an escalation is not needed.
    fn nobody_needs(&self, news: &IncidentNews, now: UtcMicros) -> Option<String> {
        if self.root(&news.incident).is_some() {
            return Some("it is part of another by now".to_owned());
        }
        let standing = self.overlay.standing(&news.incident, now);
        standing.acknowledged.map(|seen| format!("{} has seen it", seen.by))
    }
}

fn on(deliveries: Vec<NewDelivery>, labels: String, why_none: &str) -> Fate {
    if deliveries.is_empty() {
        Fate::Nobody(why_none.to_owned())
    } else {
        Fate::On { deliveries, labels }
    }
}

/// Labels as they are kept.
fn labels_text(labels: &BTreeMap<String, String>) -> String {
    serde_json::to_string(labels).expect("texts are JSON")
}

/// Labels as they were kept; `None` of what is none.
pub(crate) fn labels_of(text: &str) -> Option<BTreeMap<String, String>> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests;
