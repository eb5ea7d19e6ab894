//! How incidents stand with people at a moment, and what is told of them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::act::{Deed, IncidentAct};
use super::owner::{Owner, OwnerRow, owner_of};
use super::quiet::{Cover, Places, Quiet, QuietKind, cover};
use super::remark::Remark;
use crate::{Incident, IncidentId, IncidentState, SeverityClass, UtcMicros, local_day_span};

/// Somebody has seen it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// When.
    pub at: UtcMicros,
    /// Who.
    pub by: String,
    /// What becomes of it.
    pub reason: Remark,
}

/// How an incident stands with people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Somebody has seen this opening of it.
    pub acknowledged: Option<Acknowledged>,
    /// Who must act: said of it by hand, else by the table of owners.
    pub owner: Option<Owner>,
    /// That was said by hand.
    pub owner_by_hand: bool,
    /// The incident that it is told and shown as part of, by hand.
    pub part_of: Option<IncidentId>,
    /// It is not told now; nothing is told of what is closed.
    pub quiet: Option<Cover>,
}

/// One incident after all that was done with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Done {
    /// With the opening it was done in.
    acknowledged: Option<(u32, Acknowledged)>,
    owner: Option<Owner>,
    merged: Option<IncidentId>,
}

/// All that people did which still says something.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overlay {
    done: BTreeMap<IncidentId, Done>,
    owners: Vec<OwnerRow>,
    quiets: Vec<Quiet>,
    places: Places,
}

impl Overlay {
    /// Merges in a row that are followed; the store refuses more.
    pub const MAX_MERGES: usize = 32;
    /// How long maintenance may be over when the news of what it broke is written: agents keep what they
    /// could not deliver, and days are judged when they are over. Whoever asks [`Self::opening_told`] needs the
    /// quiet times that ended so long before the news.
    pub const LATE: Duration = Duration::from_secs(7 * 86_400);

    /// Of acts in the order of their numbers (notes may be left out), the table of owners, quiet times, and
    /// where buildings are.
    #[must_use]
    pub fn new(
        acts: &[IncidentAct],
        owners: Vec<OwnerRow>,
        quiets: Vec<Quiet>,
        places: Places,
    ) -> Self {
        let mut done: BTreeMap<IncidentId, Done> = BTreeMap::new();
        for act in acts {
            let of = done.entry(act.incident).or_default();
            match &act.deed {
                Deed::Note(_) => {}
                Deed::Acknowledge(reason) => {
                    let (at, by, reason) = (act.at, act.by.clone(), reason.clone());
                    of.acknowledged = Some((act.openings, Acknowledged { at, by, reason }));
                }
                Deed::Unacknowledge => of.acknowledged = None,
                Deed::Own(owner) => of.owner = Some(owner.clone()),
                Deed::Disown => of.owner = None,
                Deed::Merge { into, .. } => of.merged = Some(*into),
                Deed::Split => of.merged = None,
            }
        }
        Self { done, owners, quiets, places }
    }

    /// How an incident stands at a moment. Whether it is part of another that is over by now is for
    /// [`Self::part_of`].
    #[must_use]
    pub fn standing(&self, incident: &Incident, at: UtcMicros) -> Standing {
        let done = self.done.get(&incident.id);
        let acknowledged = done.and_then(|done| done.acknowledged.as_ref());
        let by_hand = done.and_then(|done| done.owner.as_ref());
        let by_table = || owner_of(&self.owners, incident.cause, self.places.region_of(incident));
        Standing {
            acknowledged: acknowledged
                .filter(|(openings, _)| *openings == incident.openings && incident.is_open())
                .map(|(_, acknowledged)| acknowledged.clone()),
            owner: by_hand.cloned().or_else(|| by_table().map(|row| row.owner.clone())),
            owner_by_hand: by_hand.is_some(),
            part_of: self.merged(incident.id),
            quiet: (!is_over(incident.state)).then(|| self.cover(incident, at)).flatten(),
        }
    }

    /// What an incident was merged into by hand, and that into, up to what was not.
    #[must_use]
    pub fn merged(&self, incident: IncidentId) -> Option<IncidentId> {
        self.wholes(incident).last().filter(|root| *root != incident)
    }

    /// What an incident was merged into by hand, and what that was merged into, and so on.
    pub fn wholes(&self, incident: IncidentId) -> impl Iterator<Item = IncidentId> {
        let into = |id: &IncidentId| self.done.get(id).and_then(|done| done.merged);
        std::iter::successors(into(&incident), into).take(Self::MAX_MERGES)
    }

    /// The incidents that are part of this one by hand, also by way of others.
    #[must_use]
    pub fn parts_of(&self, whole: IncidentId) -> Vec<IncidentId> {
        let ids = self.done.keys().copied();
        ids.filter(|id| *id != whole && self.wholes(*id).any(|into| into == whole)).collect()
    }

    /// The incident that `incident` is told and shown as part of, of those that `find` knows: the last one on
    /// the way by which it was merged. What is over hides nothing that is not: when all of them closed before
    /// their part, the part stands by itself again.
    #[must_use]
    pub fn part_of(
        &self,
        incident: &Incident,
        mut find: impl FnMut(IncidentId) -> Option<IncidentState>,
    ) -> Option<IncidentId> {
        let holds = |state| !is_over(state) || is_over(incident.state);
        let wholes = self.wholes(incident.id).filter(|id| *id != incident.id);
        wholes.filter(|id| find(*id).is_some_and(holds)).last()
    }

    /// The quiet times that cover an incident at a moment.
    #[must_use]
    pub fn cover(&self, incident: &Incident, at: UtcMicros) -> Option<Cover> {
        cover(&self.quiets, incident, &self.places, at)
    }

    /// Quiet times, as they were given.
    #[must_use]
    pub fn quiets(&self) -> &[Quiet] {
        &self.quiets
    }

    /// What to do now with the news that an incident opened. `zone` is that of the building it is shown with.
    #[must_use]
    pub fn opening_told(
        &self,
        incident: &Incident,
        opening: Opening,
        zone: &TimeZone,
        now: UtcMicros,
    ) -> Telling {
        if let Some(cover) = self.cover(incident, now) {
            return Telling::Later { at: cover.until, quiets: cover.quiets };
        }
        let then = self.cover(incident, opening.at);
        let Some(then) = then.or_else(|| self.worked_at(incident, zone)) else {
            return Telling::Now;
        };
        if incident.openings != opening.openings || !incident.is_open() {
            return Telling::Never("it was over before it was to be told");
        }
        match then.kind {
            QuietKind::Silence => Telling::Now,
            QuietKind::Maintenance if bad_after(incident, then.until, zone) => Telling::Now,
            QuietKind::Maintenance => Telling::AwaitBadDay,
        }
    }

    /// The maintenance in which the bad hours of an incident's last bad day began, whenever that was known.
    fn worked_at(&self, incident: &Incident, zone: &TimeZone) -> Option<Cover> {
        let &(minute, _) = incident.hours.first()?;
        let (midnight, _) = local_day_span(incident.last_bad, zone)?;
        let begun = midnight.plus(Duration::from_secs(u64::from(minute) * 60));
        self.cover(incident, begun).filter(|cover| cover.kind == QuietKind::Maintenance)
    }
}

/// True for what nothing is told of any more.
fn is_over(state: IncidentState) -> bool {
    state == IncidentState::Closed
}

/// One opening of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// Which one ([`Incident::openings`]).
    pub openings: u32,
    /// When the news of it was written.
    pub at: UtcMicros,
}

/// What becomes of the news that an incident opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Telling {
    /// It is told.
    Now,
    /// It is quiet. Look again at this moment, or when quiet times changed.
    Later {
        /// When it is quiet no longer.
        at: UtcMicros,
        /// The numbers of the quiet times, ascending.
        quiets: Vec<u64>,
    },
    /// It opened during maintenance, or was bad in it and known later. Look again when it was judged again: it is told when it has a bad day
    /// after the end, and never when it closes before.
    AwaitBadDay,
    /// Nobody needs to know any more; why, in words.
    Never(&'static str),
}

/// True when it was bad on a day whose bad hours were after a moment.
fn bad_after(incident: &Incident, end: UtcMicros, zone: &TimeZone) -> bool {
    let Ok(end) = Timestamp::from_microsecond(end.0) else { return true };
    let end = end.to_zoned(zone.clone()).datetime();
    let minute = u16::try_from(i32::from(end.hour()) * 60 + i32::from(end.minute())).unwrap_or(0);
    let first_hour = incident.hours.first().map_or(0, |&(from, _)| from);
    incident.last_bad > end.date() || (incident.last_bad == end.date() && first_hour >= minute)
}

/// True when an incident that was open when maintenance began is worth a word at its end.
#[must_use]
pub fn got_worse(at_begin: SeverityClass, incident: &Incident) -> bool {
    incident.is_open() && SeverityClass::of(incident.severity) > at_begin
}
