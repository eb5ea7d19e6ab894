//! The small contract: inventory, identity, verdicts, incidents, what is learned, outbox, audit.

use std::net::IpAddr;

use busyhour_model::{
    AgentId, Building, BuildingId, BuildingLoad, DaySummary, FileBuilding, Incident, IncidentId,
    PathId, Placement, SeriesMonth, Subnet, UtcMicros, WorkingWeek,
};
use ipnet::IpNet;
use jiff::civil::Date;

use crate::audit::{Act, AuditAction, AuditEntry, AuditSubject};
use crate::{DeliveryTotals, Forgotten, StoreError};

/// How an agent is bound to a subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// By its enrolment: the subnet with this prefix (and this egress prefix, where several
    /// buildings share the prefix).
    Subnet {
        /// The subnet's prefix.
        prefix: IpNet,
        /// Its egress prefix.
        egress: Option<IpNet>,
    },
    /// By its address: the longest prefix of the building file that holds its local address, and
    /// whose egress prefix, if any, holds the address it is seen under.
    Address,
}

/// An agent to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAgent {
    /// Its identity, drawn by the caller.
    pub id: AgentId,
    /// A name for people, unique.
    pub name: String,
    /// SHA-256 of its secret.
    pub secret_sha256: [u8; 32],
    /// It sends simulated data, and is shown as such everywhere.
    pub simulated: bool,
    /// How it is bound.
    pub binding: Binding,
    /// When it was added.
    pub added: UtcMicros,
}

/// An agent that was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRow {
    /// Its identity.
    pub id: AgentId,
    /// Its name.
    pub name: String,
    /// It sends simulated data.
    pub simulated: bool,
    /// How it is bound.
    pub binding: Binding,
    /// When it was added.
    pub added: UtcMicros,
    /// When it was removed; its name may belong to another agent since.
    pub removed: Option<UtcMicros>,
    /// What was last seen of it.
    pub sighting: Option<Sighting>,
    /// Where it is now.
    pub placement: Option<Placement>,
}

/// How an agent was bound for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatedBinding {
    /// How.
    pub binding: Binding,
    /// From this moment on.
    pub from: UtcMicros,
    /// Up to this moment; `None` while it holds.
    pub until: Option<UtcMicros>,
}

/// What was seen of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// When, by the collector's clock.
    pub at: UtcMicros,
    /// Version of its software.
    pub version: String,
    /// Its operating system.
    pub os: String,
    /// The prefix of the interface it measures on, as it said; `None` when it has not said it yet.
    pub local_prefix: Option<IpNet>,
    /// The address its connection came from.
    pub peer: Option<IpAddr>,
}

/// A prefix that agents live in and no building file knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingPrefix {
    /// The prefix, as the agents said.
    pub prefix: IpNet,
    /// The names of the agents, ordered.
    pub agents: Vec<String>,
    /// When one was last seen.
    pub last_seen: UtcMicros,
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportSummary {
    /// The number of the version in force now: a new one, or the old one when nothing changed.
    pub version: u32,
    /// Buildings in force now.
    pub buildings: u32,
    /// Subnets in force now.
    pub subnets: u32,
    /// Buildings that are new.
    pub buildings_added: u32,
    /// Buildings that kept their identity under a new name.
    pub buildings_renamed: u32,
    /// Buildings that are no longer in force.
    pub buildings_ended: u32,
    /// Subnets that are new.
    pub subnets_added: u32,
    /// Subnets that are no longer in force.
    pub subnets_ended: u32,
}

/// What an import would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportPreview {
    /// The counts.
    pub summary: ImportSummary,
    /// Buildings that would no longer be in force.
    pub buildings_ended: Vec<Building>,
    /// Subnets that would no longer be in force.
    pub subnets_ended: Vec<Subnet>,
    /// Names of buildings that would be new.
    pub buildings_added: Vec<String>,
    /// Former and new names of buildings that would get another.
    pub buildings_renamed: Vec<(String, String)>,
}

/// A version of the building file: what an import put in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileVersion {
    /// Its number, from 1, in the order of the imports.
    pub number: u32,
    /// When it was imported, by the collector's clock of then.
    pub imported: UtcMicros,
    /// From this moment on it was in force.
    pub from: UtcMicros,
    /// Up to this moment; `None` while it is, and never after [`Self::from`] when a clock that went
    /// back let the next one begin no later.
    pub until: Option<UtcMicros>,
    /// Who imported it; `None` when that is older than the audit's retention.
    pub actor: Option<String>,
    /// SHA-256 of the building file as [`busyhour_model::building_file::export`] writes it, followed
    /// by the companion table as [`busyhour_model::building_file::export_companion`] does.
    pub sha256: [u8; 32],
    /// Buildings in it.
    pub buildings: u32,
    /// Subnets in it.
    pub subnets: u32,
}

/// The inventory as it was at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InventoryAt {
    /// The version of the building file in force then.
    pub file: Option<FileVersion>,
    /// Its buildings, by name.
    pub buildings: Vec<Building>,
    /// Its subnets, by building name, prefix and egress prefix.
    pub subnets: Vec<Subnet>,
    /// Where agents were, by agent.
    pub placements: Vec<Placement>,
}

/// What happened to an incident that somebody should be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncidentEvent {
    /// It was opened.
    Opened,
    /// It is of a higher class of severity at the end of maintenance than it was at its begin.
    Worse,
    /// It was closed.
    Closed,
    /// The engine merged it into another: it goes on there.
    Merged,
    /// Somebody said to have seen it.
    Acknowledged,
}

/// What the judge decided, written in one transaction. Of forgotten agents and their paths nothing is
/// written, as if the judge had known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JudgeWrite {
    /// Verdicts, replacing those of the same scope and date.
    pub days: Vec<DaySummary>,
    /// Incidents, replacing those of the same identity. An identity keeps its number and no other has
    /// it.
    pub incidents: Vec<Incident>,
    /// What to tell. Of each opening ([`Incident::openings`]) an event is told once, however often it is
    /// written.
    pub tell: Vec<(IncidentId, IncidentEvent)>,
    /// Loads, replacing those of the same building, date and source.
    pub loads: Vec<BuildingLoad>,
    /// Working weeks, replacing those of the same building and date. Of a building those of the last 60
    /// days are kept, back from the newest, and the one that held before them.
    pub weeks: Vec<WorkingWeek>,
    /// Months, replacing those of the same path, place and month.
    pub months: Vec<SeriesMonth>,
}

/// What went with an agent's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ForgottenAgent {
    /// Places where it was, past and present.
    pub placements: u64,
    /// Verdicts of the agent and of its paths.
    pub verdicts: u64,
    /// Incidents that are about it or that only its paths suffered from.
    pub incidents: u64,
    /// Days of its buildings' loads that told what it did: those of one or two machines.
    pub loads: u64,
    /// Months of its paths.
    pub months: u64,
    /// Bytes of it may still be in the log, because a reader or another process was in the way.
    /// [`Control::prune`] empties it.
    pub lingers: bool,
}

/// How long control data is kept, by kind, in days. What is in force, open or waiting stays whatever
/// its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlRetention {
    /// The audit, who imported a building file, and sign-offs of tasks.
    pub audit_days: u32,
    /// Addresses of agents that were not seen since: the prefix they said and the one they came from.
    pub sightings_days: u32,
    /// Names of agents since they were removed, and what was seen of them; the id is what is left. Tokens
    /// that let agents in, since they expired.
    pub agents_days: u32,
    /// Places and bindings since they ended, and with the last of them a removed agent. What was
    /// measured before cannot be placed then, so this is no shorter than the retention of hours.
    pub placements_days: u32,
    /// Verdicts of paths and agents.
    pub path_verdicts_days: u32,
    /// Verdicts of subnets and buildings, and loads of buildings.
    pub verdicts_days: u32,
    /// Incidents since they were closed, with what was told of them and done with them; silences and
    /// maintenance since they were over.
    pub incidents_days: u32,
    /// Messages that were sent or given up, since then.
    pub deliveries_days: u32,
    /// Buildings, subnets and versions of the building file since they ended; revisions of configurations
    /// that are neither in force, nor run, nor the newest of their name, since they were made.
    pub inventory_days: u32,
}

/// Rows that went as too old, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ControlPruned {
    /// Entries of the audit, and sign-offs of tasks.
    pub audit: u64,
    /// Sightings that lost their addresses.
    pub sightings: u64,
    /// Names of agents.
    pub agents: u64,
    /// Tokens that expired.
    pub tokens: u64,
    /// Places and bindings, and agents without any.
    pub placements: u64,
    /// Verdicts of paths and agents.
    pub path_verdicts: u64,
    /// Verdicts of subnets and buildings.
    pub verdicts: u64,
    /// Loads of buildings.
    pub loads: u64,
    /// Months of paths; they are kept for 25 months.
    pub months: u64,
    /// Incidents with what people did with them, and quiet times.
    pub incidents: u64,
    /// Messages.
    pub deliveries: u64,
    /// Buildings with their working weeks, subnets, versions of the building file, and revisions of
    /// configurations that are not in force.
    pub inventory: u64,
    /// Bytes of what went, now or earlier, may still be in the log, because a reader or another process
    /// was in the way. The next time empties it.
    pub lingers: bool,
}

impl ControlPruned {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.audit
            + self.sightings
            + self.agents
            + self.tokens
            + self.placements
            + self.path_verdicts
            + self.verdicts
            + self.loads
            + self.months
            + self.incidents
            + self.deliveries
            + self.inventory
    }
}

/// The small contract: inventory, identity, verdicts, incidents, what is learned, outbox, audit.
///
/// What people do is audited in the transaction that does it: an import, and agents added, bound
/// anew, removed, forgotten. The audit names agents by their ids, which say nothing once an agent is
/// forgotten.
pub trait Control: Send + Sync {
    /// Puts a building file in force from `by.at`: buildings and subnets that are not in it end, the
    /// others keep their identities. A subnet is the same when prefix and egress are. A building is
    /// the same when its name is, or else when most of its subnets in the file belonged to one
    /// building whose name is gone (a rename); it keeps its time zone and its business hours where
    /// the file tells none. Placements of all agents are made anew; an agent's first placement holds
    /// for all time before it. What began at that moment or later, before a clock went back, begins at
    /// that moment instead. A file that changes nothing makes no version. All or nothing.
    ///
    /// # Errors
    /// When the transaction could not be made durable; then nothing changed.
    fn import_buildings(
        &self,
        file: &[FileBuilding],
        by: &Act,
    ) -> Result<ImportSummary, StoreError>;

    /// The same if that is `version`, which a preview told; `None` when it would be another, as somebody else
    /// was faster: then nothing is changed.
    ///
    /// # Errors
    /// When the transaction could not be made durable; then nothing changed.
    fn import_as(
        &self,
        file: &[FileBuilding],
        version: u32,
        by: &Act,
    ) -> Result<Option<ImportSummary>, StoreError>;

    /// What [`Self::import_buildings`] would do now. Changes nothing.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn preview_import(
        &self,
        file: &[FileBuilding],
        now: UtcMicros,
    ) -> Result<ImportPreview, StoreError>;

    /// Buildings in force, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn buildings(&self) -> Result<Vec<Building>, StoreError>;

    /// Subnets in force, by building name, prefix and egress prefix.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn subnets(&self) -> Result<Vec<Subnet>, StoreError>;

    /// The newest `limit` versions of the building file, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn building_files(&self, limit: usize) -> Result<Vec<FileVersion>, StoreError>;

    /// What was in force at a moment, and where agents were; empty before the first import.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn inventory_at(&self, at: UtcMicros) -> Result<InventoryAt, StoreError>;

    /// Lets an agent in, from [`NewAgent::added`].
    ///
    /// # Errors
    /// [`crate::ErrorKind::Conflict`] when its name or identity is taken.
    fn add_agent(&self, agent: &NewAgent, by: &Act) -> Result<(), StoreError>;

    /// Binds an agent differently from `by.at` on, and places it anew.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when there is no such agent, or it was removed.
    fn bind_agent(&self, agent: AgentId, binding: Binding, by: &Act) -> Result<(), StoreError>;

    /// Lets an agent in no more: its secret is forgotten, its name free, its place ends. What it
    /// measured stays; its name does until [`ControlRetention::agents_days`] are over.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when there is no such agent, or it was removed.
    fn remove_agent(&self, agent: AgentId, by: &Act) -> Result<(), StoreError>;

    /// Deletes an agent's identity and name, what was seen of it, where it was, the verdicts and months
    /// of it and of `paths`, which are all of its paths, the incidents that are about it or that only it
    /// suffers from, and loads of its buildings that tell what it did. Of other incidents it is no part
    /// any more, and their texts do not name it. What its building was judged to be stays. `telemetry` is what [`crate::Telemetry::forget`] deleted before, for
    /// the audit. Doing it again after a crash between the two is right.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when there is no such agent.
    fn forget_agent(
        &self,
        agent: AgentId,
        paths: &[PathId],
        telemetry: &Forgotten,
        by: &Act,
    ) -> Result<ForgottenAgent, StoreError>;

    /// All agents, by name, also those that were removed.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn agents(&self) -> Result<Vec<AgentRow>, StoreError>;

    /// How an agent was bound, oldest first; empty when there is no such agent.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn bindings(&self, agent: AgentId) -> Result<Vec<DatedBinding>, StoreError>;

    /// What an agent's secret is checked against, and whether it is simulated; `None` when no such
    /// agent was let in, or it was removed.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn agent_secret(&self, agent: AgentId) -> Result<Option<([u8; 32], bool)>, StoreError>;

    /// Notes what was seen of an agent and places it anew when that changes its subnet. A prefix that
    /// it did not say stays the one it said before.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when there is no such agent, or it was removed.
    fn saw_agent(&self, agent: AgentId, sighting: &Sighting) -> Result<(), StoreError>;

    /// The same for several agents in one transaction; says of each whether it is let in.
    ///
    /// # Errors
    /// When the store cannot be written; then nothing was noted.
    fn saw_agents(&self, seen: &[(AgentId, Sighting)]) -> Result<Vec<bool>, StoreError>;

    /// Every placement, past and present, by agent and time.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn placements(&self) -> Result<Vec<Placement>, StoreError>;

    /// Another number whenever buildings, subnets, placements, or which agents there are and how they
    /// are called may have changed since the store was opened; to be asked for before any of them is
    /// read. `None` where nobody counts.
    fn inventory_changes(&self) -> Option<u64> {
        None
    }

    /// Prefixes that agents live in and no building file knows, most agents first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn missing_prefixes(&self) -> Result<Vec<MissingPrefix>, StoreError>;

    /// Verdicts with `from <= date <= until`, of one building when given, by date and scope.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn days(
        &self,
        building: Option<BuildingId>,
        from: Date,
        until: Date,
    ) -> Result<Vec<DaySummary>, StoreError>;

    /// The verdicts of whole buildings with `from <= date <= until`, by date and building: what an overview of
    /// the fleet is made from, which is a small part of all verdicts.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn building_days(&self, from: Date, until: Date) -> Result<Vec<DaySummary>, StoreError>;

    /// The verdicts of whole subnets with `from <= date <= until`, by date: as those of buildings.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn subnet_days(&self, from: Date, until: Date) -> Result<Vec<DaySummary>, StoreError>;

    /// Incidents of every kind, newest first (by [`Incident::since`]): all, or only those not closed.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn incidents(&self, include_closed: bool) -> Result<Vec<Incident>, StoreError>;

    /// Incidents not closed and those closed at a moment or later, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn recent_incidents(&self, closed_from: UtcMicros) -> Result<Vec<Incident>, StoreError>;

    /// One incident; `None` when there is none of this identity.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn incident(&self, incident: IncidentId) -> Result<Option<Incident>, StoreError>;

    /// The highest number that an incident ever had, also one that is gone; 0 before the first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn last_incident_number(&self) -> Result<u64, StoreError>;

    /// Loads with `from <= date <= until`, of one building when given, by building, date and source.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn building_loads(
        &self,
        building: Option<BuildingId>,
        from: Date,
        until: Date,
    ) -> Result<Vec<BuildingLoad>, StoreError>;

    /// Keeps loads that were imported, whatever they say of their source, in place of those imported
    /// before of the same buildings and dates, and audits it.
    ///
    /// # Errors
    /// When the transaction could not be made durable; then nothing changed.
    fn import_loads(&self, loads: &[BuildingLoad], by: &Act) -> Result<(), StoreError>;

    /// The working weeks that are kept, by building and date; each holds up to the next.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn working_weeks(&self) -> Result<Vec<WorkingWeek>, StoreError>;

    /// The months that are kept, by path, building, subnet and time.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn months(&self) -> Result<Vec<SeriesMonth>, StoreError>;

    /// Writes what the judge decided.
    ///
    /// # Errors
    /// When the transaction could not be made durable; then nothing changed.
    fn write_judgement(&self, write: &JudgeWrite, now: UtcMicros) -> Result<(), StoreError>;

    /// Deliveries by state: those that wait, and what became of all others ever.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn delivery_totals(&self) -> Result<DeliveryTotals, StoreError>;

    /// Writes one entry into the audit, of something that was done elsewhere.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn note(
        &self,
        by: &Act,
        action: AuditAction,
        subject: AuditSubject,
        detail: &str,
    ) -> Result<(), StoreError>;

    /// Keeps the settings in force, as name and value, and audits those that changed since they were
    /// last told. Says how many did.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn note_settings(&self, settings: &[(&str, String)], by: &Act) -> Result<usize, StoreError>;

    /// Entries of the audit with `from <= at < until`, newest first, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn audit(
        &self,
        from: UtcMicros,
        until: UtcMicros,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError>;

    /// The same, of those that come behind the entry with this moment and number.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn audit_before(
        &self,
        from: UtcMicros,
        until: UtcMicros,
        before: Option<(UtcMicros, i64)>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError>;

    /// Deletes what is older than its retention, in one transaction.
    ///
    /// # Errors
    /// When the store cannot be written; then nothing is deleted.
    fn prune(
        &self,
        now: UtcMicros,
        retention: &ControlRetention,
    ) -> Result<ControlPruned, StoreError>;
}
