//! The identities of agents: tokens that let them in, certificates, and where each stands.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use busyhour_model::{AgentId, BuildingId, UtcMicros};
use ipnet::IpNet;

use crate::StoreError;
use crate::audit::{Act, InvalidAuditWord};

/// The public number of a token: 40 bits, shown as ten hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(u64);

impl TokenId {
    /// Of the lower 40 of these bits, which the caller drew.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & 0xff_ffff_ffff)
    }

    /// The number.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010x}", self.0)
    }
}

impl FromStr for TokenId {
    type Err = InvalidAuditWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits =
            text.len() == 10 && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        let number = digits.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        number.map(Self).ok_or_else(|| InvalidAuditWord::new("token", text))
    }
}

/// What becomes of those whom a token lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// They deliver at once.
    Automatic,
    /// They wait until somebody approves them.
    Manual,
}

impl Approval {
    /// The word used in SQL, JSON and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Automatic => "auto",
            Self::Manual => "manual",
        }
    }
}

impl FromStr for Approval {
    type Err = InvalidAuditWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Automatic, Self::Manual];
        let found = all.into_iter().find(|approval| approval.as_str() == text);
        found.ok_or_else(|| InvalidAuditWord::new("approval", text))
    }
}

/// Where a token lets agents in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenPlace {
    /// The building.
    pub building: BuildingId,
    /// The prefix of its subnet, and the egress prefix if any; `None` for the whole building: then each
    /// agent's address tells the subnet.
    pub subnet: Option<(IpNet, Option<IpNet>)>,
}

/// A token to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// Its number, drawn by the caller.
    pub id: TokenId,
    /// SHA-256 of its secret.
    pub secret_sha256: [u8; 32],
    /// Where it lets agents in.
    pub place: TokenPlace,
    /// Only connections from this network are let in.
    pub peers: Option<IpNet>,
    /// How many agents it lets in.
    pub uses: u32,
    /// What becomes of them.
    pub approval: Approval,
    /// From this moment on it lets nobody in.
    pub expires: UtcMicros,
}

/// A token that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Its number.
    pub id: TokenId,
    /// Where it lets agents in.
    pub place: TokenPlace,
    /// Only connections from this network are let in.
    pub peers: Option<IpNet>,
    /// How many agents it lets in.
    pub uses: u32,
    /// How many more it lets in.
    pub uses_left: u32,
    /// What becomes of them.
    pub approval: Approval,
    /// When it was made.
    pub created: UtcMicros,
    /// Who made it.
    pub created_by: String,
    /// From this moment on it lets nobody in.
    pub expires: UtcMicros,
    /// When it was revoked.
    pub revoked: Option<UtcMicros>,
    /// How many had its secret and were not let in, up to 16.
    pub refused: u32,
}

/// A certificate of an agent: what of it decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentCertificate {
    /// Its serial number.
    pub serial: [u8; 16],
    /// SHA-256 of its public key (`SubjectPublicKeyInfo` in DER).
    pub key_sha256: [u8; 32],
    /// It holds from this moment on.
    pub from: UtcMicros,
    /// It holds up to this moment.
    pub until: UtcMicros,
}

/// Somebody with a token who wants to be an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// The token's number.
    pub token: TokenId,
    /// SHA-256 of the secret that was shown.
    pub secret_sha256: [u8; 32],
    /// Where the connection comes from.
    pub peer: Option<IpAddr>,
    /// The identity that it gets, drawn by the caller.
    pub agent: AgentId,
    /// The certificate that it gets.
    pub certificate: AgentCertificate,
    /// When.
    pub at: UtcMicros,
}

/// An agent that was let in, or got another certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetIn {
    /// Its identity: of one that was let in before with the same token and key, that one's.
    pub agent: AgentId,
    /// Where it stands.
    pub state: IdentityState,
    /// The name of the building it was enrolled for; empty when that is no longer in force.
    pub building: String,
    /// The prefix of the subnet it was enrolled for.
    pub subnet: Option<IpNet>,
}

/// Why a token lets somebody not in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRefusal {
    /// There is no such token, or its secret is another one.
    Unknown,
    /// It let in as many as it does.
    Used,
    /// It is too old.
    Expired,
    /// It was revoked.
    Revoked,
    /// The connection comes from elsewhere.
    Address,
    /// An agent with this key is known, or was.
    Key,
}

impl TokenRefusal {
    /// The word of the wire and the audit.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "token",
            Self::Used => "token-used",
            Self::Expired => "token-expired",
            Self::Revoked => "token-revoked",
            Self::Address => "address",
            Self::Key => "key",
        }
    }
}

/// Where an identity stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityState {
    /// It does nothing until it is approved.
    Waiting,
    /// It does all that agents do.
    Active,
    /// Two seem to have it; it does nothing until it is approved.
    Quarantined,
    /// It does nothing any more.
    Revoked,
}

impl IdentityState {
    /// The word used in SQL, JSON and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Active => "active",
            Self::Quarantined => "quarantined",
            Self::Revoked => "revoked",
        }
    }
}

impl FromStr for IdentityState {
    type Err = InvalidAuditWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Waiting, Self::Active, Self::Quarantined, Self::Revoked];
        let found = all.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| InvalidAuditWord::new("state of an identity", text))
    }
}

/// Why an agent with a certificate is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityRefusal {
    /// No such agent.
    Unknown,
    /// It was revoked.
    Revoked,
    /// Two seem to have this identity.
    Quarantined,
    /// Nobody approved it yet.
    Waiting,
    /// Its certificate expired, or does not hold yet.
    Expired,
    /// Its certificate was replaced.
    Superseded,
    /// The key cannot be taken: another agent's, or a new one for a certificate that expired.
    Key,
}

impl IdentityRefusal {
    /// The word of the wire and the audit.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Revoked => "revoked",
            Self::Quarantined => "quarantined",
            Self::Waiting => "waiting",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
            Self::Key => "key",
        }
    }
}

/// An agent with a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityRow {
    /// The agent.
    pub agent: AgentId,
    /// Its name.
    pub name: String,
    /// The token that let it in.
    pub token: TokenId,
    /// When it was let in.
    pub enrolled: UtcMicros,
    /// The building that it was enrolled for.
    pub building: BuildingId,
    /// The prefix of the subnet that it is bound to.
    pub subnet: Option<IpNet>,
    /// Where it stands.
    pub state: IdentityState,
    /// Since when.
    pub since: UtcMicros,
    /// Why, in words; empty when there is nothing to say.
    pub reason: String,
    /// It renewed a certificate that had expired, and nobody looked at it since.
    pub late: bool,
    /// Its addresses contradict its enrolment: it belongs to no building for now.
    pub off_site: bool,
    /// The certificate that it uses.
    pub certificate: AgentCertificate,
    /// The one that it got and did not use yet.
    pub next: Option<AgentCertificate>,
}

/// A session whose agent kept the number of its next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfirmedSession {
    /// The agent.
    pub agent: AgentId,
    /// The certificate that it showed.
    pub shown: AgentCertificate,
    /// The number of its next session.
    pub next: u64,
}

/// The identities of agents. Whoever changes one is audited in the transaction that does it.
pub trait Identities: Send + Sync {
    /// Keeps a token.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when its place is not in force; [`crate::ErrorKind::Conflict`] when
    /// its number is taken.
    fn add_token(&self, token: &NewToken, by: &Act) -> Result<(), StoreError>;

    /// The tokens that are kept, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn tokens(&self) -> Result<Vec<TokenRow>, StoreError>;

    /// Makes a token let nobody in any more. Whom it let in stays.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when there is no such token.
    fn revoke_token(&self, token: TokenId, by: &Act) -> Result<(), StoreError>;

    /// Lets an agent in by a token, or says why not: the uses are counted down and the agent is written in
    /// one transaction. The same token and key within ten minutes give the same agent and no use.
    ///
    /// # Errors
    /// When the transaction could not be made durable; then nothing changed.
    fn enrol(&self, enrolment: &Enrolment) -> Result<Result<LetIn, TokenRefusal>, StoreError>;

    /// Keeps an agent's next certificate, or says why it gets none. One that expired more than 90 days ago
    /// waits from now on.
    ///
    /// # Errors
    /// When the transaction could not be made durable; then nothing changed.
    fn renew(
        &self,
        agent: AgentId,
        shown: &AgentCertificate,
        next: &AgentCertificate,
        at: UtcMicros,
    ) -> Result<Result<LetIn, IdentityRefusal>, StoreError>;

    /// Whether an agent may deliver, by the certificate it showed and the number of the session that it
    /// says, if it said one already. A number that was confirmed, and a certificate that was replaced, make
    /// the identity quarantined.
    ///
    /// # Errors
    /// When the store cannot be read, or written.
    fn admit(
        &self,
        agent: AgentId,
        shown: &AgentCertificate,
        session: Option<u64>,
        at: UtcMicros,
    ) -> Result<Result<(), IdentityRefusal>, StoreError>;

    /// Notes that agents kept the numbers of their next sessions, and that they can use the certificates
    /// that they showed: those before are void. Nothing happens to an agent that is not known. All of it
    /// is one transaction.
    ///
    /// # Errors
    /// When the store cannot be written; then nothing changed.
    fn confirm(&self, sessions: &[ConfirmedSession]) -> Result<(), StoreError>;

    /// Lets an agent that waits or is quarantined deliver.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when there is no such identity; [`crate::ErrorKind::Conflict`] when it
    /// was revoked.
    fn approve(&self, agent: AgentId, by: &Act) -> Result<(), StoreError>;

    /// Approves all that wait and were enrolled for a building; who they are.
    ///
    /// # Errors
    /// When the transaction could not be made durable; then nothing changed.
    fn approve_building(&self, building: BuildingId, by: &Act) -> Result<Vec<AgentId>, StoreError>;

    /// Lets an agent do nothing any more. Its place ends, what it measured stays. Live sessions are not
    /// touched by this.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when there is no such identity.
    fn revoke(&self, agent: AgentId, reason: &str, by: &Act) -> Result<(), StoreError>;

    /// All identities, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn identities(&self) -> Result<Vec<IdentityRow>, StoreError>;
}
