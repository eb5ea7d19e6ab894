//! The control contract on SQLite.

mod agents;
mod import;
mod inventory;
mod judgement;
mod outbox;
mod place;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use busyhour_model::{
    AgentId, Building, BuildingId, DaySummary, FileBuilding, Incident, Placement, Subnet, UtcMicros,
};
use jiff::civil::Date;
use rusqlite::Row;

use crate::sqlite::{Database, Migration, OpenError, unreadable};
use crate::{
    AgentRow, Control, Delivery, DeliveryOutcome, DeliveryTotals, ErrorKind, ImportPreview,
    ImportSummary, JudgeWrite, MissingPrefix, NewAgent, Sighting, StoreError,
};

const FILE: &str = "control.db";
/// "BHc1" in a file's header says whose it is.
const APPLICATION_ID: i32 = 0x4248_6331;
const MIGRATIONS: &[Migration] = &[include_str!("control/schema_1.sql")];

/// Inventory, identity, verdicts, incidents and outbox in one SQLite file.
#[derive(Debug)]
pub struct SqliteControl {
    database: Database<()>,
}

impl SqliteControl {
    pub(crate) fn open(directory: &Path, lock: Arc<File>) -> Result<Self, OpenError> {
        let database = Database::open(directory.join(FILE), lock, APPLICATION_ID, MIGRATIONS)?;
        Ok(Self { database })
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
        now: UtcMicros,
    ) -> Result<ImportSummary, StoreError> {
        self.database.write("import buildings", |sql| {
            let summary = import::import(sql, file, now)?;
            place::place_all(sql, now)?;
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

    fn add_agent(&self, agent: &NewAgent) -> Result<(), StoreError> {
        let added = self.database.write("add an agent", |sql| {
            let added = agents::add(sql, agent)?;
            if added {
                place::place_one(sql, agent.id, agent.added)?;
            }
            Ok(added)
        })?;
        if added {
            return Ok(());
        }
        let operation = format!("add agent {:?}: its name or identity is taken", agent.name);
        Err(StoreError::new(operation, ErrorKind::Conflict))
    }

    fn agents(&self) -> Result<Vec<AgentRow>, StoreError> {
        self.database.read("read agents", |sql| agents::agents(sql))
    }

    fn agent_secret(&self, agent: AgentId) -> Result<Option<([u8; 32], bool)>, StoreError> {
        self.database.read("read an agent's secret", |sql| agents::secret(sql, agent))
    }

    fn saw_agent(&self, agent: AgentId, sighting: &Sighting) -> Result<(), StoreError> {
        let known = self.database.write("note a sighting", |sql| {
            let Some(before) = agents::agent(sql, agent)? else { return Ok(false) };
            agents::saw(sql, agent, sighting)?;
            // Where it is depends on these two, and on the file, which places all when it changes.
            let address = |seen: &Sighting| (seen.local_prefix, seen.peer);
            if before.sighting.as_ref().map(address) != Some(address(sighting)) {
                place::place_one(sql, agent, sighting.at)?;
            }
            Ok(true)
        })?;
        if known {
            return Ok(());
        }
        let operation = format!("note a sighting of agent {agent}, which was not let in");
        Err(StoreError::new(operation, ErrorKind::Other))
    }

    fn placements(&self) -> Result<Vec<Placement>, StoreError> {
        self.database.read("read placements", |sql| place::placements(sql))
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

    fn incidents(&self, include_closed: bool) -> Result<Vec<Incident>, StoreError> {
        self.database.read("read incidents", |sql| judgement::incidents(sql, include_closed))
    }

    fn write_judgement(&self, write: &JudgeWrite, now: UtcMicros) -> Result<(), StoreError> {
        self.database.write("write a judgement", |sql| judgement::write(sql, write, now))
    }

    fn due_deliveries(
        &self,
        channels: &[String],
        now: UtcMicros,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.database.write("take due deliveries", |sql| {
            outbox::route(sql, channels, now)?;
            outbox::due(sql, now, limit)
        })
    }

    fn delivered(
        &self,
        delivery: i64,
        outcome: &DeliveryOutcome,
        now: UtcMicros,
    ) -> Result<(), StoreError> {
        self.database.write("note a delivery", |sql| outbox::delivered(sql, delivery, outcome, now))
    }

    fn delivery_totals(&self) -> Result<DeliveryTotals, StoreError> {
        self.database.read("count deliveries", |sql| outbox::totals(sql))
    }
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
