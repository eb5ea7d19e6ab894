//! Where an agent was: how it was bound, and the places that came of it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use axum::extract::Path;
use busyhour_model::{AgentId, BuildingId, Placement, SubnetId, UtcMicros};
use busyhour_store::{AuditAction, AuditSubject, Binding, DatedBinding, InventoryAt, StoreError};
use schemars::JsonSchema;
use serde::Serialize;

use super::listing::View;
use super::{Items, items, parsed};
use crate::app::App;
use crate::problem::Problem;
use crate::scoped::ScopedControl;
use crate::text;

/// Entries of the audit that are looked at for one binding: those of its microsecond.
const MAX_ENTRIES: usize = 1_000;

/// One place of an agent, or a time without one.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PlaceItem {
    from_utc: String,
    /// Null while it holds.
    until_utc: Option<String>,
    building_id: Option<String>,
    building: Option<String>,
    subnet_id: Option<String>,
    subnet: Option<String>,
    /// The prefix that it was bound to; null when its address told where it was.
    bound_prefix: Option<String>,
    bound_egress: Option<String>,
    /// Who bound it so; null when that is older than the audit is kept.
    actor: Option<String>,
}

/// Where an agent was and who said so, newest first.
pub(crate) async fn list(app: App, view: View, Path(id): Path<String>) -> Items<PlaceItem> {
    let id: AgentId = parsed("the agent's id", &id)?;
    let reach = view.reach()?;
    let found = app.with_store(move |services| {
        let control = &services.control;
        if !control.agents()?.iter().any(|agent| agent.id == id) {
            return Err(Problem::not_found("no agent has this id"));
        }
        let mut placements = control.placements()?;
        placements.retain(|placement| placement.agent == id);
        let bindings = control.bindings(id)?;
        let mut times: Vec<Time> =
            bindings.iter().flat_map(|binding| times_of(binding, &placements)).collect();
        times.reverse();
        times.truncate(reach);
        Names::read(control)?.items(control, id, &times)
    });
    Ok(items(found.await?))
}

/// A time with one binding and one place, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Time {
    from: UtcMicros,
    until: Option<UtcMicros>,
    bound: DatedBinding,
    place: Option<(SubnetId, BuildingId)>,
}

/// The times of a binding; `placements` are those of the agent, oldest first.
fn times_of(bound: &DatedBinding, placements: &[Placement]) -> Vec<Time> {
    let end = |until: Option<UtcMicros>| until.unwrap_or(UtcMicros(i64::MAX));
    let time = |from, until: UtcMicros, place| Time {
        from,
        until: Some(until).filter(|until| *until < end(None)),
        bound: *bound,
        place,
    };
    let (mut times, mut at, last) = (Vec::new(), bound.from, end(bound.until));
    for placement in placements {
        let (from, until) = (placement.from.max(at), end(placement.until).min(last));
        if from >= until {
            continue;
        }
        if from > at {
            times.push(time(at, from, None));
        }
        times.push(time(from, until, Some((placement.subnet, placement.building))));
        at = until;
    }
    if at < last {
        times.push(time(at, last, None));
    }
    times
}

/// What buildings and subnets are called, of those that ended what they were called.
#[derive(Debug, Default)]
struct Names {
    buildings: HashMap<BuildingId, String>,
    subnets: HashMap<SubnetId, String>,
}

impl Names {
    fn read(control: &ScopedControl) -> Result<Self, StoreError> {
        let mut names = Self::default();
        names.add(&InventoryAt {
            buildings: control.buildings()?,
            subnets: control.subnets()?,
            ..InventoryAt::default()
        });
        Ok(names)
    }

    fn add(&mut self, inventory: &InventoryAt) {
        for building in &inventory.buildings {
            self.buildings.entry(building.id).or_insert_with(|| building.name.clone());
        }
        for subnet in &inventory.subnets {
            self.subnets.entry(subnet.id).or_insert_with(|| subnet.prefix.to_string());
        }
    }

    fn items(
        mut self,
        control: &ScopedControl,
        agent: AgentId,
        times: &[Time],
    ) -> Result<Vec<PlaceItem>, Problem> {
        let mut actors: HashMap<UtcMicros, Option<String>> = HashMap::new();
        let mut rows = Vec::with_capacity(times.len());
        for time in times {
            let unknown = |(subnet, building): (SubnetId, BuildingId)| {
                !self.subnets.contains_key(&subnet) || !self.buildings.contains_key(&building)
            };
            if time.place.is_some_and(unknown) {
                self.add(&control.inventory_at(time.from)?);
            }
            let actor = match actors.entry(time.bound.from) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(actor(control, agent, time.bound.from)?),
            };
            rows.push(self.item(time, actor.clone()));
        }
        Ok(rows)
    }

    fn item(&self, time: &Time, actor: Option<String>) -> PlaceItem {
        let (prefix, egress) = match time.bound.binding {
            Binding::Subnet { prefix, egress } => (Some(prefix), egress),
            Binding::Address => (None, None),
        };
        let (subnet, building) = time.place.unzip();
        PlaceItem {
            from_utc: text::utc(time.from),
            until_utc: time.until.map(text::utc),
            building_id: building.map(|id| id.to_string()),
            building: building.and_then(|id| self.buildings.get(&id).cloned()),
            subnet_id: subnet.map(|id| id.to_string()),
            subnet: subnet.and_then(|id| self.subnets.get(&id).cloned()),
            bound_prefix: prefix.map(|prefix| prefix.to_string()),
            bound_egress: egress.map(|egress| egress.to_string()),
            actor,
        }
    }
}

/// Who bound an agent at a moment.
fn actor(
    control: &ScopedControl,
    agent: AgentId,
    at: UtcMicros,
) -> Result<Option<String>, StoreError> {
    let entries = control.audit(at, UtcMicros(at.0.saturating_add(1)), MAX_ENTRIES)?;
    let bound = entries.into_iter().find(|entry| {
        entry.subject == AuditSubject::Agent(agent)
            && matches!(entry.action, AuditAction::AgentAdded | AuditAction::AgentBound)
    });
    Ok(bound.map(|entry| entry.by.actor.as_str().to_owned()))
}
