//! What agents are to measure: revisions of configurations, for whom each is in force, and what agents say
//! that they run.
//!
//! The store does not read what a configuration says; it keeps its bytes.

use std::fmt;
use std::str::FromStr;

use busyhour_model::{AgentId, BuildingId, SubnetId, UtcMicros};

use crate::audit::{Act, InvalidAuditWord};
use crate::{AgentRow, StoreError};

/// The longest label, in bytes.
const MAX_LABEL_BYTES: usize = 64;

/// A word that operators give to agents, to tell some from others: 1 to 64 bytes of lower-case letters,
/// digits, dots, hyphens and underscores.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(String);

impl Label {
    /// Checks a label.
    ///
    /// # Errors
    /// When it is empty, too long, or has other characters.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidAuditWord> {
        let text = text.into();
        let is_of_label =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
        if (1..=MAX_LABEL_BYTES).contains(&text.len()) && text.bytes().all(is_of_label) {
            return Ok(Self(text));
        }
        Err(InvalidAuditWord::new("label", &text))
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Label {
    type Err = InvalidAuditWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

/// For whom a configuration is in force. Of several that hold for an agent, the last of these decides;
/// of several labels the first in alphabetical order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum AssignmentScope {
    /// All agents.
    Everywhere,
    /// Those that are in a building.
    Building(BuildingId),
    /// Those that are in a subnet.
    Subnet(SubnetId),
    /// Those with a label.
    Label(Label),
    /// One agent.
    Agent(AgentId),
}

impl AssignmentScope {
    /// The word used in SQL, JSON and on the command line.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Everywhere => "everywhere",
            Self::Building(_) => "building",
            Self::Subnet(_) => "subnet",
            Self::Label(_) => "label",
            Self::Agent(_) => "agent",
        }
    }

    /// Whether it is about an agent, where these are the labels of all of them.
    #[must_use]
    pub fn covers(&self, agent: &AgentRow, labels: &[(AgentId, Label)]) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Building(building) => agent.placement.is_some_and(|at| at.building == *building),
            Self::Subnet(subnet) => agent.placement.is_some_and(|at| at.subnet == *subnet),
            Self::Label(label) => labels.iter().any(|(of, one)| *of == agent.id && one == label),
            Self::Agent(one) => agent.id == *one,
        }
    }
}

/// A revision of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurationRow {
    /// Its number, from 1, in the order in which revisions of all configurations were made.
    pub revision: u32,
    /// The configuration's name.
    pub name: String,
    /// When it was made.
    pub made: UtcMicros,
    /// Who made it.
    pub made_by: String,
    /// What it says.
    pub body: Vec<u8>,
}

/// For whom a revision is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignmentRow {
    /// For whom.
    pub scope: AssignmentScope,
    /// The revision.
    pub revision: u32,
    /// Since when.
    pub from: UtcMicros,
    /// Who assigned it.
    pub by: String,
}

/// What became of a configuration that an agent was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConfigurationState {
    /// It runs, and proved itself.
    Committed,
    /// It runs on trial.
    Trial,
    /// It was never applied.
    Refused,
    /// The agent went back to what ran before.
    RolledBack,
    /// The agent was told nothing so far.
    Nothing,
}

impl ConfigurationState {
    /// The word used in SQL, JSON and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Trial => "trial",
            Self::Refused => "refused",
            Self::RolledBack => "rolled-back",
            Self::Nothing => "nothing",
        }
    }
}

impl FromStr for ConfigurationState {
    type Err = InvalidAuditWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Committed, Self::Trial, Self::Refused, Self::RolledBack, Self::Nothing];
        let found = all.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| InvalidAuditWord::new("state of a configuration", text))
    }
}

/// What an agent says of what it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurationReport {
    /// The revision that runs; 0 when none does.
    pub revision: u32,
    /// Its content: what the agent was told under that number.
    pub edition: u64,
    /// The revision that it was told last.
    pub told_revision: u32,
    /// The content of that.
    pub told_edition: u64,
    /// What became of that.
    pub state: ConfigurationState,
    /// Why, in the agent's words; empty when there is nothing to say.
    pub reason: String,
    /// The content that it goes back to when a trial ends ill; 0 for nothing.
    pub good_edition: u64,
    /// The machine's owner has measuring paused.
    pub paused: bool,
}

/// What comparing an agent's clock with the collector's came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComparedClock {
    /// How far the collector's is ahead, in microseconds.
    pub offset_us: i64,
    /// Whether they are close enough for times that agents keep between them.
    pub close: bool,
}

/// The same, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRow {
    /// Who said it.
    pub agent: AgentId,
    /// When it came.
    pub at: UtcMicros,
    /// What.
    pub report: ConfigurationReport,
    /// Its clock; `None` to be kept leaves what was known before.
    pub clock: Option<ComparedClock>,
}

/// A revision that an agent refused or went back from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalRow {
    /// The agent.
    pub agent: AgentId,
    /// The revision.
    pub revision: u32,
    /// Why, in the agent's words.
    pub reason: String,
    /// How often, each time as it was told.
    pub times: u32,
    /// It was assigned once more since, so the agent is told it again.
    pub again: bool,
}

/// Everything that decides what which agent is to measure, of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DesiredState {
    /// Agents that are let in.
    pub agents: Vec<AgentRow>,
    /// Their labels.
    pub labels: Vec<(AgentId, Label)>,
    /// What is in force for whom.
    pub assignments: Vec<AssignmentRow>,
    /// Revisions that are assigned, or that an agent runs.
    pub configurations: Vec<ConfigurationRow>,
    /// What agents say that they run.
    pub reports: Vec<ReportRow>,
    /// Revisions that agents refused or went back from.
    pub refusals: Vec<RefusalRow>,
}

/// What agents are to measure. Changes by people are audited in the transaction that makes them.
pub trait Configurations: Send + Sync {
    /// Makes a revision; gives the newest one of this name, and false, when that says the same.
    ///
    /// # Errors
    /// When the transaction could not be made durable; then nothing changed.
    fn add_configuration(
        &self,
        name: &str,
        body: &[u8],
        by: &Act,
    ) -> Result<(u32, bool), StoreError>;

    /// The newest `limit` revisions, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn configurations(&self, limit: usize) -> Result<Vec<ConfigurationRow>, StoreError>;

    /// One revision.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn configuration(&self, revision: u32) -> Result<Option<ConfigurationRow>, StoreError>;

    /// Puts a revision in force, in place of what was for the same scope; `None` puts none in force there.
    /// Agents in that scope that refused the revision are told it again.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when there is no such revision.
    fn assign_configuration(
        &self,
        scope: &AssignmentScope,
        revision: Option<u32>,
        by: &Act,
    ) -> Result<(), StoreError>;

    /// Gives an agent these labels in place of all that it had.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when there is no such agent, or it was removed.
    fn label_agent(&self, agent: AgentId, labels: &[Label], by: &Act) -> Result<(), StoreError>;

    /// Keeps what agents said, in one transaction. What agents say that are not let in is left out.
    ///
    /// # Errors
    /// When the store cannot be written; then nothing is kept.
    fn note_reports(&self, reports: &[ReportRow]) -> Result<(), StoreError>;

    /// Keeps what is known of agents' clocks, in one transaction. Of agents that never reported anything
    /// nothing is kept.
    ///
    /// # Errors
    /// When the store cannot be written; then nothing is kept.
    fn note_clocks(&self, clocks: &[(AgentId, ComparedClock)]) -> Result<(), StoreError>;

    /// Everything that decides, of one moment.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn desired(&self) -> Result<DesiredState, StoreError>;
}
