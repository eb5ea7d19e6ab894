//! Who did what: the words of the audit.

use std::fmt;
use std::str::FromStr;

use busyhour_model::{AgentId, UtcMicros};
use thiserror::Error;

use crate::contract::accounts::{ApiTokenNo, UserNo};
use crate::contract::identity::TokenId;

/// The longest name of an actor, in bytes.
const MAX_ACTOR_BYTES: usize = 128;

/// A text that names no actor, no action, or no subject.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is no {what}")]
pub struct InvalidAuditWord {
    what: &'static str,
    text: String,
}

impl InvalidAuditWord {
    pub(crate) fn new(what: &'static str, text: &str) -> Self {
        Self { what, text: text.to_owned() }
    }
}

/// Who does something: an account, or a part of Busyhour; 1 to 128 bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor(String);

impl Actor {
    /// Names an actor.
    ///
    /// # Errors
    /// When the name is empty, too long, or has control characters.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidAuditWord> {
        let name = name.into();
        let fits = (1..=MAX_ACTOR_BYTES).contains(&name.len());
        if fits && !name.chars().any(char::is_control) {
            return Ok(Self(name));
        }
        Err(InvalidAuditWord::new("actor", &name))
    }

    /// Somebody on the collector's own machine; nobody signs in there.
    #[must_use]
    pub fn local_operator() -> Self {
        Self("local operator".to_owned())
    }

    /// The collector by itself, as it was configured.
    #[must_use]
    pub fn collector() -> Self {
        Self("collector".to_owned())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Who does something that is audited, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// When, by the collector's clock.
    pub at: UtcMicros,
    /// Who.
    pub actor: Actor,
}

impl Act {
    /// Of [`Actor::local_operator`].
    #[must_use]
    pub fn by_operator(at: UtcMicros) -> Self {
        Self { at, actor: Actor::local_operator() }
    }

    /// Of [`Actor::collector`].
    #[must_use]
    pub fn by_collector(at: UtcMicros) -> Self {
        Self { at, actor: Actor::collector() }
    }
}

/// What can be done that is audited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditAction {
    /// A building file was put in force.
    Imported,
    /// An agent was let in.
    AgentAdded,
    /// An agent was bound differently.
    AgentBound,
    /// An agent was let in no more.
    AgentRemoved,
    /// An agent was forgotten.
    AgentForgotten,
    /// Settings of the collector changed.
    SettingsChanged,
    /// Loads of buildings were imported.
    LoadsImported,
    /// Days are judged again under other limits.
    JudgedAgain,
    /// The store was restored from a backup.
    Restored,
    /// A token that lets agents in was made.
    TokenMade,
    /// Such a token was revoked.
    TokenRevoked,
    /// Somebody with such a token was not let in.
    TokenRefused,
    /// An agent was let in by a token.
    AgentEnrolled,
    /// An agent that waited, or was quarantined, may deliver.
    AgentApproved,
    /// An agent's certificate had expired.
    AgentLate,
    /// Somebody else seems to have an agent's identity.
    AgentQuarantined,
    /// An agent's identity was revoked.
    AgentRevoked,
    /// There is another certificate authority.
    AuthorityChanged,
    /// A user was added.
    UserAdded,
    /// A user was given another role or other buildings.
    UserChanged,
    /// A user was given another password.
    PasswordSet,
    /// A user was removed.
    UserRemoved,
    /// A user signed in.
    SignedIn,
    /// An API token was made.
    ApiTokenMade,
    /// An API token was revoked.
    ApiTokenRevoked,
    /// A revision of a configuration was made.
    ConfigurationMade,
    /// A revision of a configuration was put in force, or no longer is.
    ConfigurationAssigned,
    /// An agent was given labels.
    AgentLabelled,
    /// Something was said of an incident.
    IncidentNoted,
    /// An incident was acknowledged.
    IncidentAcknowledged,
    /// That was taken back.
    IncidentUnacknowledged,
    /// An incident was given an owner.
    IncidentOwned,
    /// That was taken back.
    IncidentDisowned,
    /// An incident was made part of another.
    IncidentMerged,
    /// That was taken back.
    IncidentSplit,
    /// A cause was given an owner.
    OwnerSet,
    /// That was taken back.
    OwnerRemoved,
    /// A silence was made.
    Silenced,
    /// A silence was ended by hand.
    SilenceEnded,
    /// Maintenance was planned.
    MaintenancePlanned,
    /// Maintenance was ended by hand.
    MaintenanceEnded,
    /// A test of a channel was asked for.
    ChannelTested,
    /// A task of the calendar was signed off.
    TaskSignedOff,
}

impl AuditAction {
    const ALL: &[Self] = &[
        Self::Imported,
        Self::AgentAdded,
        Self::AgentBound,
        Self::AgentRemoved,
        Self::AgentForgotten,
        Self::SettingsChanged,
        Self::LoadsImported,
        Self::JudgedAgain,
        Self::Restored,
        Self::TokenMade,
        Self::TokenRevoked,
        Self::TokenRefused,
        Self::AgentEnrolled,
        Self::AgentApproved,
        Self::AgentLate,
        Self::AgentQuarantined,
        Self::AgentRevoked,
        Self::AuthorityChanged,
        Self::UserAdded,
        Self::UserChanged,
        Self::PasswordSet,
        Self::UserRemoved,
        Self::SignedIn,
        Self::ApiTokenMade,
        Self::ApiTokenRevoked,
        Self::ConfigurationMade,
        Self::ConfigurationAssigned,
        Self::AgentLabelled,
        Self::IncidentNoted,
        Self::IncidentAcknowledged,
        Self::IncidentUnacknowledged,
        Self::IncidentOwned,
        Self::IncidentDisowned,
        Self::IncidentMerged,
        Self::IncidentSplit,
        Self::OwnerSet,
        Self::OwnerRemoved,
        Self::Silenced,
        Self::SilenceEnded,
        Self::MaintenancePlanned,
        Self::MaintenanceEnded,
        Self::ChannelTested,
        Self::TaskSignedOff,
    ];

    /// The word used in SQL, JSON, on the command line and the page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Imported => "import",
            Self::AgentAdded => "add-agent",
            Self::AgentBound => "bind-agent",
            Self::AgentRemoved => "remove-agent",
            Self::AgentForgotten => "forget-agent",
            Self::SettingsChanged => "change-settings",
            Self::LoadsImported => "import-loads",
            Self::JudgedAgain => "judge-again",
            Self::Restored => "restore",
            Self::TokenMade => "make-token",
            Self::TokenRevoked => "revoke-token",
            Self::TokenRefused => "refuse-token",
            Self::AgentEnrolled => "enrol-agent",
            Self::AgentApproved => "approve-agent",
            Self::AgentLate => "renew-late",
            Self::AgentQuarantined => "quarantine-agent",
            Self::AgentRevoked => "revoke-agent",
            Self::AuthorityChanged => "change-authority",
            Self::UserAdded => "add-user",
            Self::UserChanged => "change-user",
            Self::PasswordSet => "set-password",
            Self::UserRemoved => "remove-user",
            Self::SignedIn => "sign-in",
            Self::ApiTokenMade => "make-api-token",
            Self::ApiTokenRevoked => "revoke-api-token",
            Self::ConfigurationMade => "make-configuration",
            Self::ConfigurationAssigned => "assign-configuration",
            Self::AgentLabelled => "label-agent",
            Self::IncidentNoted => "note-incident",
            Self::IncidentAcknowledged => "acknowledge-incident",
            Self::IncidentUnacknowledged => "unacknowledge-incident",
            Self::IncidentOwned => "own-incident",
            Self::IncidentDisowned => "disown-incident",
            Self::IncidentMerged => "merge-incident",
            Self::IncidentSplit => "split-incident",
            Self::OwnerSet => "set-owner",
            Self::OwnerRemoved => "remove-owner",
            Self::Silenced => "silence",
            Self::SilenceEnded => "end-silence",
            Self::MaintenancePlanned => "plan-maintenance",
            Self::MaintenanceEnded => "end-maintenance",
            Self::ChannelTested => "test-channel",
            Self::TaskSignedOff => "sign-off-task",
        }
    }
}

impl FromStr for AuditAction {
    type Err = InvalidAuditWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().copied().find(|action| action.as_str() == text);
        found.ok_or_else(|| InvalidAuditWord::new("audited action", text))
    }
}

/// What something was done to. Agents by their ids only: a name would outlive its agent here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditSubject {
    /// The store, or the collector as a whole.
    Store,
    /// A version of the building file.
    BuildingFile(u32),
    /// An agent.
    Agent(AgentId),
    /// A token that lets agents in.
    Token(TokenId),
    /// A user.
    User(UserNo),
    /// An API token.
    ApiToken(ApiTokenNo),
    /// A revision of a configuration.
    Configuration(u32),
    /// An incident, by its number.
    Incident(u64),
    /// A silence or maintenance.
    Quiet(u64),
}

impl fmt::Display for AuditSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store => f.write_str("store"),
            Self::BuildingFile(number) => write!(f, "building-file {number}"),
            Self::Agent(agent) => write!(f, "agent {agent}"),
            Self::Token(token) => write!(f, "token {token}"),
            Self::User(UserNo(number)) => write!(f, "user {number}"),
            Self::ApiToken(ApiTokenNo(number)) => write!(f, "api-token {number}"),
            Self::Configuration(revision) => write!(f, "configuration {revision}"),
            Self::Incident(number) => write!(f, "incident {number}"),
            Self::Quiet(number) => write!(f, "quiet {number}"),
        }
    }
}

impl FromStr for AuditSubject {
    type Err = InvalidAuditWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = match text.split_once(' ') {
            None if text == "store" => Some(Self::Store),
            Some(("building-file", number)) => number.parse().ok().map(Self::BuildingFile),
            Some(("agent", agent)) => agent.parse().ok().map(Self::Agent),
            Some(("token", token)) => token.parse().ok().map(Self::Token),
            Some(("user", number)) => number.parse().ok().map(|n| Self::User(UserNo(n))),
            Some(("api-token", number)) => {
                number.parse().ok().map(|n| Self::ApiToken(ApiTokenNo(n)))
            }
            Some(("configuration", revision)) => revision.parse().ok().map(Self::Configuration),
            Some(("incident", number)) => number.parse().ok().map(Self::Incident),
            Some(("quiet", number)) => number.parse().ok().map(Self::Quiet),
            _ => None,
        };
        parsed.ok_or_else(|| InvalidAuditWord::new("audited subject", text))
    }
}

/// One entry: who did what to what, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number; grows with each entry.
    pub number: i64,
    /// When and who.
    pub by: Act,
    /// What was done.
    pub action: AuditAction,
    /// To what.
    pub subject: AuditSubject,
    /// More, as `name=value` pairs with blanks between.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_has_a_name_that_can_be_printed() {
        for name in ["m.keller", "Müller, Eva", &"x".repeat(MAX_ACTOR_BYTES)] {
            assert_eq!(Actor::new(name).unwrap().as_str(), name);
        }
        for name in ["", "a\nb", "\u{1b}[2J", &"x".repeat(MAX_ACTOR_BYTES + 1)] {
            assert!(Actor::new(name).is_err(), "{name:?}");
        }
        for known in [Actor::local_operator(), Actor::collector()] {
            assert_eq!(Actor::new(known.as_str()).unwrap(), known);
        }
    }

    #[test]
    fn words_are_read_back() {
        for action in AuditAction::ALL.iter().copied() {
            assert_eq!(action.as_str().parse::<AuditAction>().unwrap(), action);
        }
        assert!("sabotage".parse::<AuditAction>().is_err());
        let agent = AuditSubject::Agent(AgentId::from_u128(7));
        let accounts = [AuditSubject::User(UserNo(3)), AuditSubject::ApiToken(ApiTokenNo(4))];
        let others = [AuditSubject::Store, AuditSubject::BuildingFile(12), agent];
        let configured = AuditSubject::Configuration(5);
        let told = [AuditSubject::Incident(6), AuditSubject::Quiet(7), configured];
        for subject in others.into_iter().chain(accounts).chain(told) {
            assert_eq!(subject.to_string().parse::<AuditSubject>().unwrap(), subject);
        }
        for text in ["", "agent", "agent 7", "building-file -1", "store 1", "shop"] {
            assert!(text.parse::<AuditSubject>().is_err(), "{text:?}");
        }
    }
}
