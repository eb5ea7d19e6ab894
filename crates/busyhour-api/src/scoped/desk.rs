//! What people did, within a reach.
//!
//! Whoever may see an incident sees what was done with it. A quiet time is seen by who sees all that it is for,
//! because its words may tell of any of it; that an incident is quiet is told to whoever sees the incident.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use busyhour_model::desk::{Deed, IncidentAct, Overlay, OwnerRow, Quiet, QuietScope};
use busyhour_model::{Incident, IncidentId, IncidentState, SubnetId, UtcMicros};
use busyhour_store::{Act, Control, Desk, Desked, NewQuiet};

use super::{Read, ScopedControl, Sight};
use crate::problem::Problem;

/// What people did, within a reach.
pub(crate) struct ScopedDesk {
    pub(super) all: Arc<dyn Desk>,
    pub(super) control: Arc<dyn Control>,
    pub(super) sight: Option<Arc<Sight>>,
}

/// What of a reach quiet times may be for.
struct Inside<'a> {
    sight: &'a Sight,
    subnets: BTreeSet<SubnetId>,
}

impl Inside<'_> {
    fn has(&self, desk: &ScopedDesk, scope: &QuietScope) -> Read<bool> {
        Ok(match scope {
            QuietScope::Everything | QuietScope::Region(_) | QuietScope::Cause(_) => false,
            QuietScope::Building(id) | QuietScope::IncidentIn(_, id) => self.sight.reach.has(*id),
            QuietScope::Subnet(id) => self.subnets.contains(id),
            QuietScope::Incident(id) => {
                desk.control.incident(*id)?.is_some_and(|incident| self.sight.sees(&incident))
            }
        })
    }

    fn has_all(&self, desk: &ScopedDesk, scopes: &[QuietScope]) -> Read<bool> {
        for scope in scopes {
            if !self.has(desk, scope)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl ScopedDesk {
    /// All of it.
    pub(crate) fn whole(&self) -> Result<&dyn Desk, Problem> {
        match &self.sight {
            None => Ok(self.all.as_ref()),
            Some(_) => Err(Problem::limited()),
        }
    }

    fn inside(&self) -> Read<Option<Inside<'_>>> {
        let Some(sight) = &self.sight else { return Ok(None) };
        let subnets = self.control.subnets()?.into_iter();
        let inside = subnets.filter(|subnet| sight.reach.has(subnet.building));
        Ok(Some(Inside { sight, subnets: inside.map(|subnet| subnet.id).collect() }))
    }

    /// How incidents that are seen stand with people now.
    pub(crate) fn overlay(&self, now: UtcMicros) -> Read<Overlay> {
        self.all.overlay(now)
    }

    /// What was done with an incident that is seen.
    pub(crate) fn acts(&self, incident: &Incident) -> Read<Vec<IncidentAct>> {
        self.all.acts(incident.id)
    }

    /// True for an act on an incident that is seen that tells of one that is not: what it was merged into.
    pub(crate) fn hides(&self, act: &IncidentAct) -> Read<bool> {
        let (Some(sight), Deed::Merge { into, .. }) = (&self.sight, &act.deed) else {
            return Ok(false);
        };
        Ok(!self.control.incident(*into)?.is_some_and(|whole| sight.sees(&whole)))
    }

    /// Does something with an incident that is seen. What it is merged into must be seen, too.
    pub(crate) fn act(&self, incident: &Incident, deed: &Deed, by: &Act) -> Desked<IncidentAct> {
        self.all.act(incident.id, deed, by)
    }

    /// Who answers for what. It tells of teams and regions, not of buildings.
    pub(crate) fn owners(&self) -> Result<Vec<OwnerRow>, Problem> {
        Ok(self.whole()?.owners()?)
    }

    /// Quiet times that are for nothing beyond the reach.
    pub(crate) fn quiets(&self, from: UtcMicros) -> Read<Vec<Quiet>> {
        let quiets = self.all.quiets(from)?;
        let Some(inside) = self.inside()? else { return Ok(quiets) };
        let mut seen = Vec::new();
        for quiet in quiets {
            if inside.has_all(self, &quiet.scopes)? {
                seen.push(quiet);
            }
        }
        Ok(seen)
    }

    /// Makes a quiet time that is for nothing beyond the reach. Of an incident it is for the buildings that
    /// suffer now: it may be elsewhere too one day.
    pub(crate) fn add_quiet(&self, new: &NewQuiet, by: &Act) -> Result<Quiet, Problem> {
        let Some(inside) = self.inside()? else { return Ok(self.all.add_quiet(new, by)??) };
        if !inside.has_all(self, &new.scopes)? {
            return Err(Problem::limited());
        }
        let mut new = new.clone();
        new.scopes = self.bound(new.scopes)?;
        Ok(self.all.add_quiet(&new, by)??)
    }

    /// Incidents as they are in the buildings that suffer now.
    fn bound(&self, scopes: Vec<QuietScope>) -> Read<Vec<QuietScope>> {
        let mut bound = BTreeSet::new();
        for scope in scopes {
            let incident = match &scope {
                QuietScope::Incident(id) => self.control.incident(*id)?,
                _ => None,
            };
            let Some(incident) = incident else {
                bound.insert(scope);
                continue;
            };
            let buildings = incident.buildings().into_iter().chain([incident.building]);
            bound.extend(buildings.map(|id| QuietScope::IncidentIn(incident.id, id)));
        }
        Ok(bound.into_iter().collect())
    }

    /// Ends a quiet time that is seen.
    pub(crate) fn end_quiet(&self, quiet: &Quiet, by: &Act) -> Result<Quiet, Problem> {
        Ok(self.all.end_quiet(quiet.number, by)??)
    }
}

/// The incident that another is told and shown as part of, as far as who asks sees it.
pub(crate) fn part_of(
    control: &ScopedControl,
    overlay: &Overlay,
    incident: &Incident,
) -> Read<Option<Incident>> {
    let mut wholes = Vec::new();
    for id in overlay.wholes(incident.id) {
        wholes.extend(control.incident(id)?);
    }
    let state = |id: IncidentId| -> Option<IncidentState> {
        wholes.iter().find(|whole| whole.id == id).map(|whole| whole.state)
    };
    let Some(root) = overlay.part_of(incident, state) else { return Ok(None) };
    Ok(wholes.into_iter().find(|whole| whole.id == root))
}

/// Those of `incidents`, all that are not over among them, that are told and shown as part of another.
pub(crate) fn parts(overlay: &Overlay, incidents: &[Incident]) -> BTreeSet<IncidentId> {
    let states: HashMap<IncidentId, IncidentState> =
        incidents.iter().map(|incident| (incident.id, incident.state)).collect();
    let is_part = |incident: &&Incident| {
        overlay.part_of(incident, |id: IncidentId| states.get(&id).copied()).is_some()
    };
    incidents.iter().filter(is_part).map(|incident| incident.id).collect()
}
