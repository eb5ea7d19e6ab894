//! The store as one principal sees it: what is out of its reach is not there.
//!
//! Handlers have no other way to the store, so none can forget to look. What has no form that is cut
//! to some buildings is had through `whole`, which refuses whoever is limited to some.
//!
//! An agent belongs to where it is now; what it measured before it came there is not shown. An
//! incident is seen by who sees all buildings that suffer from it, because its words name them.

pub(crate) mod desk;

use std::collections::HashMap;
use std::sync::Arc;

use busyhour_fleet::Fleet;
use busyhour_model::{
    AgentId, Building, BuildingId, BuildingLoad, Combination, DaySummary, FileBuilding, Incident,
    IncidentId, PathId, Placement, Record, Slot, SlotStart, Subnet, UtcMicros, WorkingWeek,
};
use busyhour_store::{
    Act, AgentRow, AuditEntry, Binding, Control, DatedBinding, DayTally, DeliveryTotals, Desk,
    FileVersion, Grain, ImportPreview, ImportSummary, InventoryAt, MissingPrefix, NewAgent, Outbox,
    PathRow, Reach, RecordKind, SlotDetail, StoreError, StoredWindow, Telemetry,
};
use jiff::civil::Date;

use crate::Services;
use crate::app::Clock;
use crate::guard::Principal;
use crate::problem::Problem;

pub(crate) use desk::ScopedDesk;

type Read<T> = Result<T, StoreError>;

/// What a request may know of the store.
pub(crate) struct Scoped {
    pub(crate) telemetry: ScopedTelemetry,
    pub(crate) control: ScopedControl,
    pub(crate) desk: ScopedDesk,
    pub(crate) outbox: ScopedOutbox,
    pub(crate) clock: Clock,
    principal: Principal,
    fleet: Arc<Fleet>,
}

impl Scoped {
    /// Looks up, once for the request, what lies in the reach.
    pub(crate) fn new(services: &Services, principal: Principal) -> Read<Self> {
        let reach = principal.grant.reach();
        let sight = match reach {
            Reach::All => None,
            Reach::Only(_) => Some(Arc::new(Sight::read(services, reach)?)),
        };
        Ok(Self {
            telemetry: ScopedTelemetry {
                all: Arc::clone(&services.telemetry),
                sight: sight.clone(),
            },
            outbox: ScopedOutbox {
                all: Some(Arc::clone(&services.outbox)),
                is_limited: sight.is_some(),
            },
            desk: ScopedDesk {
                all: Arc::clone(&services.desk),
                control: Arc::clone(&services.control),
                sight: sight.clone(),
            },
            control: ScopedControl { all: Arc::clone(&services.control), sight },
            clock: Arc::clone(&services.clock),
            principal,
            fleet: Arc::clone(&services.fleet),
        })
    }

    /// All of it, for the collector itself.
    pub(crate) fn whole(
        telemetry: Arc<dyn Telemetry>,
        control: Arc<dyn Control>,
        desk: Arc<dyn Desk>,
        fleet: Arc<Fleet>,
        clock: Clock,
    ) -> Self {
        Self {
            desk: ScopedDesk { all: desk, control: Arc::clone(&control), sight: None },
            outbox: ScopedOutbox { all: None, is_limited: false },
            telemetry: ScopedTelemetry { all: telemetry, sight: None },
            control: ScopedControl { all: control, sight: None },
            clock,
            principal: Principal::local_operator(),
            fleet,
        }
    }

    /// Ends the live session of an agent that was removed or is forgotten: when this returns nothing of it
    /// is acknowledged any more. May block for a moment.
    pub(crate) fn end_session(&self, agent: AgentId) {
        self.fleet.end_session(agent);
    }

    /// What who asks does at a moment, for the audit.
    pub(crate) fn act(&self, at: UtcMicros) -> Act {
        self.principal.act(at)
    }
}

/// The outbox, which only who sees everything has; `None` for the collector's own readers.
pub(crate) struct ScopedOutbox {
    all: Option<Arc<dyn Outbox>>,
    is_limited: bool,
}

impl ScopedOutbox {
    /// All of it.
    pub(crate) fn whole(&self) -> Result<&dyn Outbox, Problem> {
        match &self.all {
            Some(all) if !self.is_limited => Ok(all.as_ref()),
            _ => Err(Problem::limited()),
        }
    }
}

/// What lies in a reach that has an end.
struct Sight {
    reach: Reach,
    /// Since when each agent has been in it without a break.
    agents: HashMap<AgentId, UtcMicros>,
    paths: HashMap<PathId, UtcMicros>,
}

impl Sight {
    fn read(services: &Services, reach: &Reach) -> Read<Self> {
        let mut placements = services.control.placements()?;
        placements.sort_by_key(|placement| (placement.agent, placement.from));
        let agents = since(&placements, reach);
        let paths = services.telemetry.paths(None)?;
        let paths = paths.iter().filter_map(|path| Some((path.id, *agents.get(&path.agent)?)));
        Ok(Self { reach: reach.clone(), paths: paths.collect(), agents })
    }

    fn sees(&self, incident: &Incident) -> bool {
        let suffering = incident.buildings();
        self.reach.has(incident.building) && suffering.iter().all(|id| self.reach.has(*id))
    }
}

/// Since when agents that are in the reach now have been in it; `placements` are ordered by agent and
/// time. The first placement of an agent holds for all time before it.
fn since(placements: &[Placement], reach: &Reach) -> HashMap<AgentId, UtcMicros> {
    let mut agents = HashMap::new();
    for of_agent in placements.chunk_by(|a, b| a.agent == b.agent) {
        let Some(now) = of_agent.last().filter(|now| now.until.is_none()) else { continue };
        let inside = of_agent.iter().rev().take_while(|placement| reach.has(placement.building));
        let from = match inside.count() {
            0 => continue,
            all if all == of_agent.len() => UtcMicros(i64::MIN),
            some => of_agent[of_agent.len() - some].from,
        };
        agents.insert(now.agent, from);
    }
    agents
}

/// Telemetry within a reach.
pub(crate) struct ScopedTelemetry {
    all: Arc<dyn Telemetry>,
    sight: Option<Arc<Sight>>,
}

impl ScopedTelemetry {
    /// All of it.
    pub(crate) fn whole(&self) -> Result<&dyn Telemetry, Problem> {
        match &self.sight {
            None => Ok(self.all.as_ref()),
            Some(_) => Err(Problem::limited()),
        }
    }

    pub(crate) fn paths(&self, agent: Option<AgentId>) -> Read<Vec<PathRow>> {
        let mut paths = self.all.paths(agent)?;
        if let Some(sight) = &self.sight {
            paths.retain(|path| sight.agents.contains_key(&path.agent));
            for path in &mut paths {
                let since = sight.agents.get(&path.agent).copied().unwrap_or(path.oldest);
                path.oldest = path.oldest.max(since);
            }
        }
        Ok(paths)
    }

    pub(crate) fn windows(
        &self,
        path: PathId,
        from: UtcMicros,
        until: UtcMicros,
        limit: usize,
    ) -> Read<Vec<StoredWindow>> {
        let from = match &self.sight {
            None => from,
            Some(sight) => match sight.paths.get(&path) {
                Some(since) => from.max(*since),
                None => return Ok(Vec::new()),
            },
        };
        self.all.windows(path, from, until, limit)
    }

    pub(crate) fn slots(
        &self,
        paths: &[PathId],
        from: SlotStart,
        until: SlotStart,
    ) -> Read<Vec<(PathId, Slot)>> {
        let mut slots = self.all.slots(&self.seen(paths), from, until)?;
        slots.retain(|(path, slot)| self.sees_slot(*path, slot.start));
        Ok(slots)
    }

    pub(crate) fn others(
        &self,
        agent: AgentId,
        kind: RecordKind,
        (from, until): (UtcMicros, UtcMicros),
        limit: usize,
    ) -> Read<Vec<Record>> {
        let from = match &self.sight {
            None => from,
            Some(sight) => match sight.agents.get(&agent) {
                Some(since) => from.max(*since),
                None => return Ok(Vec::new()),
            },
        };
        self.all.others(agent, kind, from, until, limit)
    }

    pub(crate) fn visit_slots(
        &self,
        paths: &[PathId],
        span: (SlotStart, SlotStart),
        (grain, detail): (Grain, SlotDetail),
        visit: &mut dyn FnMut(PathId, &Slot),
    ) -> Read<()> {
        self.all.visit_slots(&self.seen(paths), span, grain, detail, &mut |path, slot| {
            if self.sees_slot(path, slot.start) {
                visit(path, slot);
            }
        })
    }

    /// Of a path that came into the reach, also what it was before: whoever asks leaves that out, by
    /// when its agent was where.
    pub(crate) fn visit_tallies(
        &self,
        paths: &[PathId],
        span: (SlotStart, SlotStart),
        visit: &mut dyn FnMut(&DayTally<'_>),
    ) -> Read<()> {
        self.all.visit_tallies(&self.seen(paths), span, visit)
    }

    pub(crate) fn visit_figures(
        &self,
        paths: &[PathId],
        span: (SlotStart, SlotStart),
        visit: &mut dyn FnMut(PathId, SlotStart, Combination, u32),
    ) -> Read<()> {
        self.all.visit_figures(&self.seen(paths), span, &mut |path, start, combination, n| {
            if self.sees_slot(path, start) {
                visit(path, start, combination, n);
            }
        })
    }

    fn seen(&self, paths: &[PathId]) -> Vec<PathId> {
        let seen =
            |path: &&PathId| self.sight.as_ref().is_none_or(|sight| sight.paths.contains_key(path));
        paths.iter().filter(seen).copied().collect()
    }

    fn sees_slot(&self, path: PathId, start: SlotStart) -> bool {
        self.sight
            .as_ref()
            .is_none_or(|sight| sight.paths.get(&path).is_some_and(|since| start.start() >= *since))
    }
}

/// Control within a reach.
pub(crate) struct ScopedControl {
    all: Arc<dyn Control>,
    sight: Option<Arc<Sight>>,
}

impl ScopedControl {
    /// All of it.
    pub(crate) fn whole(&self) -> Result<&dyn Control, Problem> {
        match &self.sight {
            None => Ok(self.all.as_ref()),
            Some(_) => Err(Problem::limited()),
        }
    }

    fn has(&self, building: BuildingId) -> bool {
        self.sight.as_ref().is_none_or(|sight| sight.reach.has(building))
    }

    fn has_agent(&self, agent: AgentId) -> bool {
        self.sight.as_ref().is_none_or(|sight| sight.agents.contains_key(&agent))
    }

    fn sees(&self, incident: &Incident) -> bool {
        self.sight.as_ref().is_none_or(|sight| sight.sees(incident))
    }

    pub(crate) fn buildings(&self) -> Read<Vec<Building>> {
        let mut buildings = self.all.buildings()?;
        buildings.retain(|building| self.has(building.id));
        Ok(buildings)
    }

    pub(crate) fn subnets(&self) -> Read<Vec<Subnet>> {
        let mut subnets = self.all.subnets()?;
        subnets.retain(|subnet| self.has(subnet.building));
        Ok(subnets)
    }

    pub(crate) fn agents(&self) -> Read<Vec<AgentRow>> {
        let mut agents = self.all.agents()?;
        agents.retain(|agent| self.has_agent(agent.id));
        Ok(agents)
    }

    /// How an agent was bound while it was in the reach.
    pub(crate) fn bindings(&self, agent: AgentId) -> Read<Vec<DatedBinding>> {
        let mut bindings = self.all.bindings(agent)?;
        if let Some(sight) = &self.sight {
            let Some(since) = sight.agents.get(&agent) else { return Ok(Vec::new()) };
            bindings.retain(|bound| bound.until.is_none_or(|until| until > *since));
            for bound in &mut bindings {
                bound.from = bound.from.max(*since);
            }
        }
        Ok(bindings)
    }

    pub(crate) fn placements(&self) -> Read<Vec<Placement>> {
        let mut placements = self.all.placements()?;
        placements.retain(|placement| self.has(placement.building));
        Ok(placements)
    }

    /// Where agents were, also out of the reach: to know when one was somewhere in it. Not to be shown.
    pub(crate) fn placements_anywhere(&self) -> Read<Vec<Placement>> {
        self.all.placements()
    }

    /// Nothing for who is limited to buildings: what is missing belongs to none.
    pub(crate) fn missing_prefixes(&self) -> Read<Vec<MissingPrefix>> {
        if self.sight.is_some() { Ok(Vec::new()) } else { self.all.missing_prefixes() }
    }

    pub(crate) fn inventory_at(&self, at: UtcMicros) -> Read<InventoryAt> {
        let mut found = self.all.inventory_at(at)?;
        found.buildings.retain(|building| self.has(building.id));
        found.subnets.retain(|subnet| self.has(subnet.building));
        found.placements.retain(|placement| self.has(placement.building));
        if self.sight.is_some() {
            found.file = None;
        }
        Ok(found)
    }

    pub(crate) fn building_files(&self, limit: usize) -> Read<Vec<FileVersion>> {
        self.all.building_files(limit)
    }

    pub(crate) fn days(
        &self,
        building: Option<BuildingId>,
        from: Date,
        until: Date,
    ) -> Read<Vec<DaySummary>> {
        let mut days = self.all.days(building, from, until)?;
        days.retain(|day| self.has(day.building));
        Ok(days)
    }

    pub(crate) fn building_days(&self, from: Date, until: Date) -> Read<Vec<DaySummary>> {
        let mut days = self.all.building_days(from, until)?;
        days.retain(|day| self.has(day.building));
        Ok(days)
    }

    pub(crate) fn subnet_days(&self, from: Date, until: Date) -> Read<Vec<DaySummary>> {
        let mut days = self.all.subnet_days(from, until)?;
        days.retain(|day| self.has(day.building));
        Ok(days)
    }

    pub(crate) fn incidents(&self, include_closed: bool) -> Read<Vec<Incident>> {
        let mut incidents = self.all.incidents(include_closed)?;
        incidents.retain(|incident| self.sees(incident));
        Ok(incidents)
    }

    pub(crate) fn recent_incidents(&self, closed_from: UtcMicros) -> Read<Vec<Incident>> {
        let mut incidents = self.all.recent_incidents(closed_from)?;
        incidents.retain(|incident| self.sees(incident));
        Ok(incidents)
    }

    pub(crate) fn incident(&self, incident: IncidentId) -> Read<Option<Incident>> {
        Ok(self.all.incident(incident)?.filter(|incident| self.sees(incident)))
    }

    pub(crate) fn working_weeks(&self) -> Read<Vec<WorkingWeek>> {
        let mut weeks = self.all.working_weeks()?;
        weeks.retain(|week| self.has(week.building));
        Ok(weeks)
    }

    pub(crate) fn delivery_totals(&self) -> Read<DeliveryTotals> {
        self.all.delivery_totals()
    }

    /// Entries of the audit. Only who may read it gets here, and those that tell who bound an agent.
    pub(crate) fn audit(
        &self,
        from: UtcMicros,
        until: UtcMicros,
        limit: usize,
    ) -> Read<Vec<AuditEntry>> {
        self.all.audit(from, until, limit)
    }

    pub(crate) fn preview_import(
        &self,
        file: &[FileBuilding],
        now: UtcMicros,
    ) -> Result<ImportPreview, Problem> {
        Ok(self.whole()?.preview_import(file, now)?)
    }

    pub(crate) fn import_as(
        &self,
        file: &[FileBuilding],
        version: u32,
        by: &Act,
    ) -> Result<Option<ImportSummary>, Problem> {
        Ok(self.whole()?.import_as(file, version, by)?)
    }

    /// Keeps loads of buildings in the reach.
    pub(crate) fn import_loads(&self, loads: &[BuildingLoad], by: &Act) -> Result<(), Problem> {
        if !loads.iter().all(|load| self.has(load.building)) {
            return Err(Problem::limited());
        }
        Ok(self.all.import_loads(loads, by)?)
    }

    /// Lets in an agent that is bound to a building in the reach; the caller made the binding from
    /// [`Self::subnets`].
    pub(crate) fn add_agent(
        &self,
        agent: &NewAgent,
        by: &Act,
    ) -> Result<Result<(), StoreError>, Problem> {
        self.check_binding(agent.binding)?;
        Ok(self.all.add_agent(agent, by))
    }

    /// Binds an agent of the reach within the reach.
    pub(crate) fn bind_agent(
        &self,
        agent: AgentId,
        binding: Binding,
        by: &Act,
    ) -> Result<(), Problem> {
        self.check_binding(binding)?;
        if !self.has_agent(agent) {
            return Err(Problem::not_found("no agent has this id"));
        }
        Ok(self.all.bind_agent(agent, binding, by)?)
    }

    /// By its address an agent may come to be anywhere.
    fn check_binding(&self, binding: Binding) -> Result<(), Problem> {
        match (&self.sight, binding) {
            (None, _) => Ok(()),
            (Some(_), Binding::Address) => Err(Problem::limited()),
            (Some(_), Binding::Subnet { prefix, egress }) => {
                let known = |subnet: &Subnet| subnet.prefix == prefix && subnet.egress == egress;
                match self.subnets()?.iter().any(known) {
                    true => Ok(()),
                    false => Err(Problem::limited()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use busyhour_model::SubnetId;

    use super::*;

    #[test]
    fn an_agent_is_seen_since_it_came_into_the_reach_for_the_last_time() {
        let id = BuildingId::from_u128;
        let reach = Reach::only(vec![id(1), id(2)]);
        let seen = |stays: &[(u128, i64, Option<i64>)]| {
            let placement = |&(building, from, until): &(u128, i64, Option<i64>)| Placement {
                agent: AgentId::from_u128(7),
                subnet: SubnetId::from_u128(9),
                building: id(building),
                from: UtcMicros(from),
                until: until.map(UtcMicros),
            };
            let placements: Vec<Placement> = stays.iter().map(placement).collect();
            since(&placements, &reach).get(&AgentId::from_u128(7)).map(|since| since.0)
        };
        assert_eq!(seen(&[(1, 10, None)]), Some(i64::MIN));
        assert_eq!(seen(&[(1, 10, Some(20)), (2, 20, None)]), Some(i64::MIN));
        assert_eq!(seen(&[(3, 10, Some(20)), (2, 20, None)]), Some(20));
        assert_eq!(seen(&[(1, 5, Some(10)), (3, 10, Some(20)), (2, 25, None)]), Some(25));
        assert_eq!(seen(&[(1, 10, Some(20)), (3, 20, None)]), None);
        assert_eq!(seen(&[(1, 10, Some(20))]), None, "it is nowhere now");
        assert_eq!(seen(&[]), None);
    }
}
