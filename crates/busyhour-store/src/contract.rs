//! The two contracts of the store. Engines implement them; one behavioural suite tests each.
//!
//! Telemetry is large and append-mostly: windows, slots, other records, receipts. Control is small
//! and transactional: buildings, agents, verdicts, incidents, outbox. No invariant spans both.

use std::net::IpAddr;

use busyhour_model::{
    AgentId, BlockNo, Building, BuildingId, Context, DaySummary, Epoch, FileBuilding, Incident,
    IncidentId, LimitsVersion, PathId, PathKey, Placement, Record, RequirementProfile, Schedule,
    ScheduleRevision, Slot, SlotStart, Stamp, Subnet, UtcMicros, Window, WindowVerdict,
};
use ipnet::IpNet;
use jiff::civil::Date;

use crate::StoreError;

/// A window, judged and placed in time, ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedWindow {
    /// Where it lies: the agent's wall clock at its beginning, corrected by the exchanged offset.
    pub placed: UtcMicros,
    /// When, as the agent said it.
    pub stamp: Stamp,
    /// The schedule it ran under.
    pub schedule: ScheduleRevision,
    /// The circumstances.
    pub context: Context,
    /// What was measured.
    pub window: Window,
    /// What its target's paths are judged by.
    pub requirement: RequirementProfile,
    /// The version of the limit tables that `verdict` was made with.
    pub limits: LimitsVersion,
    /// The verdict.
    pub verdict: WindowVerdict,
}

/// A record that could not be placed or read, and why. Counted and shown, never judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// When the agent said it was, where that could be read.
    pub started: Option<UtcMicros>,
    /// Why: a short sentence.
    pub reason: String,
}

/// What one block brings. Its rows and its receipt are committed together.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockRows {
    /// Who sent it, from the authenticator.
    pub agent: AgentId,
    /// Of which spool.
    pub epoch: Epoch,
    /// Which block.
    pub block: BlockNo,
    /// When it came, by the collector's clock.
    pub received: UtcMicros,
    /// The schedules its records name.
    pub schedules: Vec<Schedule>,
    /// Its windows.
    pub windows: Vec<JudgedWindow>,
    /// Its checks, facts, loads, gaps and session reports (never windows). Their wall times are
    /// corrected as [`JudgedWindow::placed`] is; the boot-relative time is the agent's.
    pub others: Vec<Record>,
    /// What could not be placed or read.
    pub quarantined: Vec<Quarantined>,
}

/// What became of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// Its rows and its receipt are durable.
    Stored,
    /// It was durable already; nothing changed.
    Duplicate,
}

/// A path that was ever measured.
#[derive(Debug, Clone, PartialEq)]
pub struct PathRow {
    /// The store's number for it.
    pub id: PathId,
    /// The agent.
    pub agent: AgentId,
    /// The path as the agent names it.
    pub key: PathKey,
    /// What it was last judged by.
    pub requirement: RequirementProfile,
    /// Windows that should exist in one slot, by the last schedule.
    pub windows_per_slot: u32,
    /// The placed beginning of its oldest window ever, pruned or not.
    pub oldest: UtcMicros,
    /// The placed beginning of its newest window.
    pub newest: UtcMicros,
    /// The circumstances of its newest window.
    pub context: Context,
}

/// A window as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredWindow {
    /// The window with its stamp, schedule, context and verdict.
    pub judged: JudgedWindow,
    /// When its block came.
    pub received: UtcMicros,
}

/// The kinds of record that are not windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// Conditions looked at.
    Check,
    /// Things that hold for a while.
    Fact,
    /// The machine's own traffic.
    Load,
    /// Times for which there is nothing.
    Gap,
}

/// A path and UTC day that got new windows since it was last judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DirtyDay {
    /// The path.
    pub path: PathId,
    /// Days of UTC since 1970.
    pub utc_day: i64,
    /// Grows with each append; a mark is cleared only at the generation that was read.
    pub generation: i64,
}

/// How long each kind of data is kept, in days before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Raw windows, and the session reports that may settle them; older windows are merged into slots
    /// only.
    pub windows_days: u32,
    /// Slots. Nothing older is accepted.
    pub slots_days: u32,
    /// Checks, facts, loads and gaps.
    pub others_days: u32,
}

/// What is in telemetry, for the status page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TelemetryTotals {
    /// Windows ever merged into slots.
    pub windows: u64,
    /// Slots now.
    pub slots: u64,
    /// Blocks ever received.
    pub blocks: u64,
    /// Records ever quarantined.
    pub quarantined: u64,
    /// Bytes of the database files.
    pub size_bytes: u64,
}

/// The large contract: append, range, merge.
pub trait Telemetry: Send + Sync {
    /// Stores blocks in one durable transaction, each exactly once: rows, slots, receipts and dirty
    /// marks together. The answers are in the order of `blocks`. A raw window older than
    /// `retention.windows_days` before `BlockRows::received` is merged into its slot only. A raw
    /// window that is there already, from whatever block, changes nothing. What is quarantined also
    /// leaves a gap of the whole agent; so does a window of a path beyond the 256 of an agent.
    ///
    /// Raw windows with losses of unknown direction are settled by session reports
    /// ([`busyhour_model::settle`]), whichever comes first, with their slots and in the same
    /// transaction. One window is compared with at most 64 reports, one report with at most 512
    /// windows, the earliest.
    ///
    /// # Errors
    /// When the transaction could not be made durable; then nothing of it is.
    fn append(&self, blocks: &[BlockRows]) -> Result<Vec<Appended>, StoreError>;

    /// The blocks of an agent's spool that are durable, as inclusive ranges in ascending order.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn received(&self, agent: AgentId, epoch: Epoch)
    -> Result<Vec<(BlockNo, BlockNo)>, StoreError>;

    /// All paths, ordered by number; of one agent when given.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn paths(&self, agent: Option<AgentId>) -> Result<Vec<PathRow>, StoreError>;

    /// The slots of `paths` with `from <= start < until`, ordered by path and time. Quarter-hours
    /// without windows are not there.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn slots(
        &self,
        paths: &[PathId],
        from: SlotStart,
        until: SlotStart,
    ) -> Result<Vec<(PathId, Slot)>, StoreError>;

    /// Raw windows of a path with `from <= placed < until`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn windows(
        &self,
        path: PathId,
        from: UtcMicros,
        until: UtcMicros,
        limit: usize,
    ) -> Result<Vec<StoredWindow>, StoreError>;

    /// Other records of an agent that began in `from..until`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn others(
        &self,
        agent: AgentId,
        kind: RecordKind,
        from: UtcMicros,
        until: UtcMicros,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError>;

    /// Days to judge again, newest day first, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn dirty_days(&self, limit: usize) -> Result<Vec<DirtyDay>, StoreError>;

    /// Clears marks that got nothing new since they were read.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn clear_dirty(&self, days: &[DirtyDay]) -> Result<(), StoreError>;

    /// Deletes what is older than its retention. Returns how many rows went.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn prune(&self, now: UtcMicros) -> Result<u64, StoreError>;

    /// Totals for the status page; cheap.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn totals(&self) -> Result<TelemetryTotals, StoreError>;
}

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
    /// What was last seen of it.
    pub sighting: Option<Sighting>,
    /// Where it is now.
    pub placement: Option<Placement>,
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
    /// The prefix of the interface it measures on, as it said.
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
}

/// What happened to an incident that somebody should be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncidentEvent {
    /// It was opened.
    Opened,
    /// It was closed.
    Closed,
}

/// What the judge decided, written in one transaction.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JudgeWrite {
    /// Verdicts, replacing those of the same scope and date.
    pub days: Vec<DaySummary>,
    /// Incidents, replacing those of the same identity.
    pub incidents: Vec<Incident>,
    /// What to tell. An (incident, event) pair that was ever told is not told again, unless the
    /// incident was closed and opened again since.
    pub tell: Vec<(IncidentId, IncidentEvent)>,
}

/// A message due on a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Its number.
    pub id: i64,
    /// The channel's name.
    pub channel: String,
    /// What happened.
    pub event: IncidentEvent,
    /// The incident as it is now.
    pub incident: Incident,
    /// The building's name.
    pub building: String,
    /// The subnet's network name and prefix.
    pub subnet: Option<String>,
    /// When the event was written.
    pub created: UtcMicros,
    /// Earlier attempts.
    pub attempts: u32,
}

/// What became of an attempt to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The other side took it.
    Sent,
    /// It did not; try again at the time given.
    Retry {
        /// When.
        at: UtcMicros,
        /// What went wrong, without secrets.
        error: String,
    },
    /// Never to be sent: simulated, or given up. Shown with the reason.
    Withheld {
        /// Why.
        reason: String,
    },
}

/// Deliveries by state, for the status page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeliveryTotals {
    /// Waiting.
    pub pending: u64,
    /// Taken by the other side.
    pub sent: u64,
    /// Withheld or given up.
    pub withheld: u64,
}

/// The small contract: inventory, identity, verdicts, incidents, outbox.
pub trait Control: Send + Sync {
    /// Puts a building file in force from `now`: buildings and subnets that are not in it end, the
    /// others keep their identities. A subnet is the same when prefix and egress are. A building is
    /// the same when its name is, or else when most of its subnets in the file belonged to one
    /// building whose name is gone (a rename); it keeps its time zone and its business hours where
    /// the file tells none. Placements of all agents are made anew; an agent's first placement holds
    /// for all time before it. All or nothing.
    ///
    /// # Errors
    /// When the transaction could not be made durable; then nothing changed.
    fn import_buildings(
        &self,
        file: &[FileBuilding],
        now: UtcMicros,
    ) -> Result<ImportSummary, StoreError>;

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

    /// Subnets in force, by building name and the order of the file.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn subnets(&self) -> Result<Vec<Subnet>, StoreError>;

    /// Lets an agent in.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Conflict`] when its name or identity is taken.
    fn add_agent(&self, agent: &NewAgent) -> Result<(), StoreError>;

    /// All agents, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn agents(&self) -> Result<Vec<AgentRow>, StoreError>;

    /// What an agent's secret is checked against, and whether it is simulated; `None` when no such
    /// agent was let in.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn agent_secret(&self, agent: AgentId) -> Result<Option<([u8; 32], bool)>, StoreError>;

    /// Notes what was seen of an agent and places it anew when that changes its subnet.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn saw_agent(&self, agent: AgentId, sighting: &Sighting) -> Result<(), StoreError>;

    /// Every placement, past and present, by agent and time.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn placements(&self) -> Result<Vec<Placement>, StoreError>;

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

    /// Incidents, newest first: all, or only those not closed.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn incidents(&self, include_closed: bool) -> Result<Vec<Incident>, StoreError>;

    /// Writes what the judge decided.
    ///
    /// # Errors
    /// When the transaction could not be made durable; then nothing changed.
    fn write_judgement(&self, write: &JudgeWrite, now: UtcMicros) -> Result<(), StoreError>;

    /// Puts untold events on every channel in `channels` once, then gives what is due, oldest first.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn due_deliveries(
        &self,
        channels: &[String],
        now: UtcMicros,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Notes what became of an attempt.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn delivered(
        &self,
        delivery: i64,
        outcome: &DeliveryOutcome,
        now: UtcMicros,
    ) -> Result<(), StoreError>;

    /// Deliveries by state.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn delivery_totals(&self) -> Result<DeliveryTotals, StoreError>;
}
