//! What people did, within a reach.
//!
//! Whoever may see an incident sees what was done with it. A quiet time is seen by who sees all that it is for,
//! because its words may tell of any of it; that an incident is quiet is told to whoever sees the incident.

use std::collections::BTreeSet;
use std::sync::Arc;

use busyhour_model::desk::{Deed, IncidentAct, Overlay, OwnerRow, Quiet, QuietScope};
use busyhour_model::{Incident, IncidentId, SubnetId, UtcMicros};
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
            QuietScope::Building(id) => self.sight.reach.has(*id),
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

    /// Makes a quiet time that is for nothing beyond the reach.
    pub(crate) fn add_quiet(&self, new: &NewQuiet, by: &Act) -> Result<Quiet, Problem> {
        if let Some(inside) = self.inside()?
            && !inside.has_all(self, &new.scopes)?
        {
            return Err(Problem::limited());
        }
        Ok(self.all.add_quiet(new, by)??)
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
    let Some(root) = overlay.merged(incident.id) else { return Ok(None) };
    let Some(whole) = control.incident(root)? else { return Ok(None) };
    let holds = overlay.part_of(incident, |id: IncidentId| (id == root).then_some(whole.state));
    Ok(holds.map(|_| whole))
}
