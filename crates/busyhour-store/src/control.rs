//! The control contract on SQLite.

mod accounts;
mod acts;
mod agents;
mod api_tokens;
mod audit;
mod configuration;
mod configurations;
mod desk;
mod forget;
mod identities;
mod identity;
mod import;
mod incidents;
mod inventory;
mod judgement;
mod learned;
mod names;
mod outbox;
mod owners;
mod place;
mod prune;
mod quiet;
mod tasks;
mod tokens;
mod users;
mod versions;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use busyhour_model::{
    AgentId, Building, BuildingId, BuildingLoad, DaySummary, FileBuilding, Incident, IncidentId,
    PathId, Placement, SeriesMonth, Subnet, UtcMicros, WorkingWeek,
};
use jiff::civil::Date;
use rusqlite::{Connection, Row, Transaction};

use crate::sqlite::{ChangeCount, Database, Migration, OpenError, unreadable};
use crate::{
    Act, AgentRow, AuditAction, AuditEntry, AuditSubject, Binding, Control, ControlPruned,
    ControlRetention, DatedBinding, DeliveryTotals, ErrorKind, FileVersion, Forgotten,
    ForgottenAgent, ImportPreview, ImportSummary, InventoryAt, JudgeWrite, MissingPrefix, NewAgent,
    Sighting, StoreError,
};

pub(crate) const FILE: &str = "control.db";
/// "BHc1" in a file's header says whose it is.
pub(crate) const APPLICATION_ID: i32 = 0x4248_6331;
pub(crate) const MIGRATIONS: &[Migration] = &[include_str!("control/schema_1.sql")];

/// Inventory, identity, verdicts, incidents, what is learned, and outbox in one SQLite file.
#[derive(Debug)]
pub struct SqliteControl {
    database: Database<()>,
    inventory_changes: ChangeCount,
}

/// What [`Control::inventory_changes`] counts: not who was seen when.
const INVENTORY: &[&str] = &[
    "INSERT ON main.buildings",
    "UPDATE ON main.buildings",
    "DELETE ON main.buildings",
    "INSERT ON main.subnets",
    "UPDATE ON main.subnets",
    "DELETE ON main.subnets",
    "INSERT ON main.agents",
    "UPDATE OF id, name, simulated, removed_us ON main.agents",
    "DELETE ON main.agents",
    "INSERT ON main.placements",
    "UPDATE ON main.placements",
    "DELETE ON main.placements",
];

impl SqliteControl {
    pub(crate) fn open(directory: &Path, lock: Arc<File>) -> Result<Self, OpenError> {
        let database = Database::open(directory.join(FILE), lock, APPLICATION_ID, MIGRATIONS)?;
        database.refuse_unlike()?;
        let (database, inventory_changes) = database.overwriting()?.counting(INVENTORY)?;
        Ok(Self { database, inventory_changes })
    }

    /// Forbids the file to grow beyond `bytes`; writes that need more fail with
    /// [`crate::ErrorKind::Full`] until it is raised. Holds until closed.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn limit_size(&self, bytes: u64) -> Result<(), StoreError> {
        self.database.limit_size(bytes)
    }
}

impl Control for SqliteControl {
    fn import_buildings(
        &self,
        file: &[FileBuilding],
        by: &Act,
    ) -> Result<ImportSummary, StoreError> {
        self.database.write("import buildings", |sql| {
            let summary = import::import(sql, file, by)?;
            place::place_all(sql, by.at)?;
            Ok(summary)
        })
    }

    fn import_as(
        &self,
        file: &[FileBuilding],
        version: u32,
        by: &Act,
    ) -> Result<Option<ImportSummary>, StoreError> {
        self.database.write("import buildings", |sql| {
            let summary = import::import_as(sql, file, version, by)?;
            if summary.is_some() {
                place::place_all(sql, by.at)?;
            }
            Ok(summary)
        })
    }

    fn preview_import(
        &self,
        file: &[FileBuilding],
        now: UtcMicros,
    ) -> Result<ImportPreview, StoreError> {
        self.database.write("preview an import", |sql| import::preview(sql, file, now))
    }

    fn buildings(&self) -> Result<Vec<Building>, StoreError> {
        self.database.read("read buildings", |sql| inventory::buildings(sql))
    }

    fn subnets(&self) -> Result<Vec<Subnet>, StoreError> {
        self.database.read("read subnets", |sql| inventory::subnets(sql))
    }

    fn building_files(&self, limit: usize) -> Result<Vec<FileVersion>, StoreError> {
        self.database.read("read versions of the building file", |sql| versions::list(sql, limit))
    }

    fn inventory_at(&self, at: UtcMicros) -> Result<InventoryAt, StoreError> {
        self.database.read("read an earlier inventory", |sql| versions::inventory_at(sql, at))
    }

    fn add_agent(&self, agent: &NewAgent, by: &Act) -> Result<(), StoreError> {
        if self.database.write("add an agent", |sql| agents::add(sql, agent, by))? {
            return Ok(());
        }
        let operation = format!("add agent {:?}: its name or identity is taken", agent.name);
        Err(StoreError::new(operation, ErrorKind::Conflict))
    }

    fn bind_agent(&self, agent: AgentId, binding: Binding, by: &Act) -> Result<(), StoreError> {
        let bound =
            self.database.write("bind an agent", |sql| agents::bind(sql, agent, binding, by))?;
        if bound { Ok(()) } else { Err(unknown("bind", agent)) }
    }

    fn remove_agent(&self, agent: AgentId, by: &Act) -> Result<(), StoreError> {
        let removed =
            self.database.write("remove an agent", |sql| agents::remove(sql, agent, by))?;
        if removed { Ok(()) } else { Err(unknown("remove", agent)) }
    }

    fn forget_agent(
        &self,
        agent: AgentId,
        paths: &[PathId],
        telemetry: &Forgotten,
        by: &Act,
    ) -> Result<ForgottenAgent, StoreError> {
        let forget = |sql: &Transaction<'_>| forget::forget(sql, agent, paths, telemetry, by);
        let forgotten = self.database.write("forget an agent", forget)?;
        let forgotten = forgotten.ok_or_else(|| unknown("forget", agent))?;
        Ok(ForgottenAgent { lingers: self.database.empty_log(), ..forgotten })
    }

    fn agents(&self) -> Result<Vec<AgentRow>, StoreError> {
        self.database.read("read agents", |sql| agents::agents(sql))
    }

    fn bindings(&self, agent: AgentId) -> Result<Vec<DatedBinding>, StoreError> {
        self.database.read("read an agent's bindings", |sql| agents::bindings(sql, agent))
    }

    fn agent_secret(&self, agent: AgentId) -> Result<Option<([u8; 32], bool)>, StoreError> {
        self.database.read("read an agent's secret", |sql| agents::secret(sql, agent))
    }

    fn saw_agent(&self, agent: AgentId, sighting: &Sighting) -> Result<(), StoreError> {
        let known =
            self.database.write("note a sighting", |sql| agents::saw(sql, agent, sighting))?;
        if known { Ok(()) } else { Err(unknown("note a sighting of", agent)) }
    }

    fn saw_agents(&self, seen: &[(AgentId, Sighting)]) -> Result<Vec<bool>, StoreError> {
        self.database.write("note sightings", |sql| {
            seen.iter().map(|(agent, sighting)| agents::saw(sql, *agent, sighting)).collect()
        })
    }

    fn placements(&self) -> Result<Vec<Placement>, StoreError> {
        self.database.read("read placements", |sql| place::placements(sql))
    }

    fn inventory_changes(&self) -> Option<u64> {
        Some(self.database.count(&self.inventory_changes))
    }

    fn missing_prefixes(&self) -> Result<Vec<MissingPrefix>, StoreError> {
        self.database.read("read missing prefixes", |sql| place::missing_prefixes(sql))
    }

    fn days(
        &self,
        building: Option<BuildingId>,
        from: Date,
        until: Date,
    ) -> Result<Vec<DaySummary>, StoreError> {
        self.database.read("read verdicts", |sql| judgement::days(sql, building, from, until))
    }

    fn building_days(&self, from: Date, until: Date) -> Result<Vec<DaySummary>, StoreError> {
        let read = |sql: &Transaction<'_>| judgement::days_of(sql, "building", from, until);
        self.database.read("read verdicts", read)
    }

    fn subnet_days(&self, from: Date, until: Date) -> Result<Vec<DaySummary>, StoreError> {
        let read = |sql: &Transaction<'_>| judgement::days_of(sql, "subnet", from, until);
        self.database.read("read verdicts", read)
    }

    fn incidents(&self, include_closed: bool) -> Result<Vec<Incident>, StoreError> {
        self.database.read("read incidents", |sql| incidents::incidents(sql, include_closed))
    }

    fn recent_incidents(&self, closed_from: UtcMicros) -> Result<Vec<Incident>, StoreError> {
        self.database.read("read recent incidents", |sql| incidents::recent(sql, closed_from))
    }

    fn incident(&self, incident: IncidentId) -> Result<Option<Incident>, StoreError> {
        self.database.read("read an incident", |sql| incidents::incident(sql, incident))
    }

    fn last_incident_number(&self) -> Result<u64, StoreError> {
        self.database.read("read the last incident's number", |sql| incidents::last_number(sql))
    }

    fn building_loads(
        &self,
        building: Option<BuildingId>,
        from: Date,
        until: Date,
    ) -> Result<Vec<BuildingLoad>, StoreError> {
        let loads = |sql: &Transaction<'_>| learned::loads(sql, building, from, until);
        self.database.read("read loads of buildings", loads)
    }

    fn import_loads(&self, loads: &[BuildingLoad], by: &Act) -> Result<(), StoreError> {
        self.database.write("import loads", |sql| learned::import(sql, loads, by))
    }

    fn working_weeks(&self) -> Result<Vec<WorkingWeek>, StoreError> {
        self.database.read("read working weeks", |sql| learned::weeks(sql))
    }

    fn months(&self) -> Result<Vec<SeriesMonth>, StoreError> {
        self.database.read("read months", |sql| learned::months(sql))
    }

    fn write_judgement(&self, write: &JudgeWrite, now: UtcMicros) -> Result<(), StoreError> {
        self.database.write("write a judgement", |sql| judgement::write(sql, write, now))
    }

    fn delivery_totals(&self) -> Result<DeliveryTotals, StoreError> {
        self.database.read("count deliveries", |sql| outbox::totals(sql))
    }

    fn note(
        &self,
        by: &Act,
        action: AuditAction,
        subject: AuditSubject,
        detail: &str,
    ) -> Result<(), StoreError> {
        let note = |sql: &Transaction<'_>| audit::note(sql, by, action, subject, detail);
        self.database.write("write into the audit", note)
    }

    fn note_settings(&self, settings: &[(&str, String)], by: &Act) -> Result<usize, StoreError> {
        self.database.write("note settings", |sql| audit::settings(sql, settings, by))
    }

    fn audit(
        &self,
        from: UtcMicros,
        until: UtcMicros,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.audit_before(from, until, None, limit)
    }

    fn audit_before(
        &self,
        from: UtcMicros,
        until: UtcMicros,
        before: Option<(UtcMicros, i64)>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let span = (from, until);
        self.database.read("read the audit", |sql| audit::entries(sql, span, before, limit))
    }

    fn prune(
        &self,
        now: UtcMicros,
        retention: &ControlRetention,
    ) -> Result<ControlPruned, StoreError> {
        let prune = |sql: &Transaction<'_>| prune::prune(sql, now, retention);
        let pruned = self.database.write("delete what is too old", prune)?;
        Ok(ControlPruned { lingers: self.database.empty_log(), ..pruned })
    }
}

/// Decodes everything that a file has blobs of; how much that is.
pub(crate) fn check(sql: &Connection) -> rusqlite::Result<u64> {
    let decoded = judgement::check(sql)? + incidents::check(sql)? + learned::check(sql)?;
    audit::check(sql)?;
    Ok(decoded)
}

fn unknown(operation: &str, agent: AgentId) -> StoreError {
    let operation = format!("{operation} agent {agent}, which is not let in");
    StoreError::new(operation, ErrorKind::NotFound)
}

/// Reads a text column into what it stands for.
fn parsed<T>(row: &Row<'_>, at: usize) -> rusqlite::Result<T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    row.get_ref(at)?.as_str()?.parse().map_err(unreadable)
}

/// The same for a column that may be NULL.
fn parsed_option<T>(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<T>>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text = row.get_ref(at)?.as_str_or_null()?;
    text.map(|text| text.parse().map_err(unreadable)).transpose()
}

/// Reads the 16 bytes of an identity.
fn id<T>(row: &Row<'_>, at: usize, from_u128: impl FnOnce(u128) -> T) -> rusqlite::Result<T> {
    let bytes: [u8; 16] = row.get(at)?;
    Ok(from_u128(u128::from_be_bytes(bytes)))
}
