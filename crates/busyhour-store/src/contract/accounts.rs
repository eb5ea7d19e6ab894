//! The accounts contract: who may ask the query side, and the chain that the audit is.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use busyhour_model::{BuildingId, UtcMicros};
use thiserror::Error;

use crate::StoreError;
use crate::audit::{Act, AuditEntry};

/// The longest name of a user or an API token, in bytes.
const MAX_NAME_BYTES: usize = 64;
/// The longest issuer, in bytes: it is an address.
const MAX_ISSUER_BYTES: usize = 2_048;
/// The longest subject, in bytes (OpenID Connect Core 1.0, section 2).
const MAX_SUBJECT_BYTES: usize = 255;
/// Names that the audit gives to others.
const RESERVED_NAMES: [&str; 3] = ["collector", "local", "token"];

/// A name that cannot be one, a role that is none, or a role that cannot be limited to buildings.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidAccount {
    /// The name has other characters, is empty, too long, or belongs to a part of Busyhour.
    #[error(
        "{0:?} is no account's name: 1 to 64 lower-case letters, digits, '.', '_', '-' or '@', and \
         neither \"collector\" nor \"local\" nor \"token\""
    )]
    Name(String),
    /// No role is called so.
    #[error("{0:?} is no role: viewer, operator, administrator or auditor")]
    Role(String),
    /// Only viewers and operators can be limited to buildings.
    #[error("an {0} sees all buildings; only viewers and operators can be limited to some")]
    Reach(Role),
    /// No identity provider makes administrators.
    #[error("an administrator is a local user; no identity provider makes one")]
    ProvenAdministrator,
    /// An issuer or a subject that is empty or too long.
    #[error("an issuer has 1 to 2048 bytes and a subject 1 to 255")]
    Subject,
}

/// The name of a user or an API token: 1 to 64 lower-case letters, digits and `. _ - @`, so that no
/// two look alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName(String);

impl AccountName {
    /// Names an account.
    ///
    /// # Errors
    /// [`InvalidAccount::Name`].
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidAccount> {
        let name = name.into();
        let fits = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-@".contains(&byte)
        };
        let sized = (1..=MAX_NAME_BYTES).contains(&name.len());
        if sized && name.bytes().all(fits) && !RESERVED_NAMES.contains(&name.as_str()) {
            return Ok(Self(name));
        }
        Err(InvalidAccount::Name(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for AccountName {
    type Err = InvalidAccount;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Reads what was measured and judged.
    Viewer,
    /// Reads, and does the daily work: adds and binds agents, imports loads.
    Operator,
    /// Does everything.
    Administrator,
    /// Reads everything, the audit and the accounts included, and changes nothing.
    Auditor,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Administrator, Self::Auditor];

    /// The word used in SQL, JSON, on the command line and the page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Administrator => "administrator",
            Self::Auditor => "auditor",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = InvalidAccount;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| InvalidAccount::Role(text.to_owned()))
    }
}

/// Which buildings somebody sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// All there are and will be, and what belongs to none.
    All,
    /// These alone; in order, each once.
    Only(Vec<BuildingId>),
}

impl Reach {
    /// These buildings alone.
    #[must_use]
    pub fn only(mut buildings: Vec<BuildingId>) -> Self {
        buildings.sort_unstable();
        buildings.dedup();
        Self::Only(buildings)
    }

    /// True when the building is among them.
    #[must_use]
    pub fn has(&self, building: BuildingId) -> bool {
        match self {
            Self::All => true,
            Self::Only(buildings) => buildings.binary_search(&building).is_ok(),
        }
    }

    /// True when nothing is out of it.
    #[must_use]
    pub const fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }
}

/// What somebody may do, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    role: Role,
    reach: Reach,
}

impl Grant {
    /// A role within some buildings.
    ///
    /// # Errors
    /// [`InvalidAccount::Reach`] when the role cannot be limited to buildings.
    pub fn new(role: Role, reach: Reach) -> Result<Self, InvalidAccount> {
        match role {
            Role::Viewer | Role::Operator => Ok(Self { role, reach }),
            Role::Administrator | Role::Auditor if reach.is_all() => Ok(Self { role, reach }),
            Role::Administrator | Role::Auditor => Err(InvalidAccount::Reach(role)),
        }
    }

    /// An administrator's.
    #[must_use]
    pub const fn administrator() -> Self {
        Self { role: Role::Administrator, reach: Reach::All }
    }

    /// What.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Where.
    #[must_use]
    pub const fn reach(&self) -> &Reach {
        &self.reach
    }
}

/// The number of a user; never given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserNo(pub i64);

/// The number of an API token; never given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiTokenNo(pub i64);

/// A user to be let in.
#[derive(Clone, PartialEq, Eq)]
pub struct NewUser {
    /// Its name, unique.
    pub name: AccountName,
    /// Its password as a PHC string; never the password itself.
    pub password_hash: String,
    /// What it may do.
    pub grant: Grant,
}

/// Somebody whom an identity provider proved, with what its claims are worth here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenUser {
    issuer: String,
    subject: String,
    name: AccountName,
    grant: Grant,
}

impl ProvenUser {
    /// Who it is to the provider, and what it is called and may do here.
    ///
    /// # Errors
    /// [`InvalidAccount::ProvenAdministrator`] and [`InvalidAccount::Subject`].
    pub fn new(
        (issuer, subject): (String, String),
        name: AccountName,
        grant: Grant,
    ) -> Result<Self, InvalidAccount> {
        if grant.role() == Role::Administrator {
            return Err(InvalidAccount::ProvenAdministrator);
        }
        let sized = (1..=MAX_ISSUER_BYTES).contains(&issuer.len())
            && (1..=MAX_SUBJECT_BYTES).contains(&subject.len());
        if sized { Ok(Self { issuer, subject, name, grant }) } else { Err(InvalidAccount::Subject) }
    }

    /// The provider.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What the provider knows it by, for ever.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What it is to be called when it comes for the first time.
    #[must_use]
    pub const fn name(&self) -> &AccountName {
        &self.name
    }

    /// What it may do.
    #[must_use]
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }
}

/// What became of somebody whom an identity provider proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proven {
    /// It is a user, with the grant of now.
    User(UserRow),
    /// It comes for the first time and another user has its name.
    NameTaken,
    /// It comes for the first time and there are as many as can be.
    TooMany,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// Its number.
    pub number: UserNo,
    /// Its name.
    pub name: AccountName,
    /// What it may do.
    pub grant: Grant,
    /// When it was added.
    pub added: UtcMicros,
    /// When it last signed in.
    pub signed_in: Option<UtcMicros>,
    /// The identity provider that proves who it is; `None` for who has a password here.
    pub issuer: Option<String>,
}

/// A session to begin. Its token is with the user alone; here is the SHA-256 of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// SHA-256 of its token.
    pub token_sha256: [u8; 32],
    /// Whose it is.
    pub user: UserNo,
    /// It ends at this moment, whatever happens.
    pub expires: UtcMicros,
    /// Where the user was.
    pub peer: IpAddr,
}

/// A session that is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Whose it is, as the user is now.
    pub user: UserRow,
    /// When it was last used, give or take what the caller does not note.
    pub used: UtcMicros,
    /// When it ends.
    pub expires: UtcMicros,
}

/// An API token to be made. The token itself is with its owner alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiToken {
    /// SHA-256 of it.
    pub token_sha256: [u8; 32],
    /// Its name, unique.
    pub name: AccountName,
    /// What it may do.
    pub grant: Grant,
    /// When it ends.
    pub expires: UtcMicros,
}

/// An API token that was not revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiTokenRow {
    /// Its number.
    pub number: ApiTokenNo,
    /// Its name.
    pub name: AccountName,
    /// What it may do.
    pub grant: Grant,
    /// Who made it.
    pub made_by: String,
    /// When it was made.
    pub added: UtcMicros,
    /// When it ends.
    pub expires: UtcMicros,
    /// When it was last used, give or take what the caller does not note.
    pub used: Option<UtcMicros>,
}

/// An entry of the audit with its link of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainedEntry {
    /// The entry.
    pub entry: AuditEntry,
    /// SHA-256 over the link before it and all that the entry says.
    pub link: [u8; 32],
}

/// What the chain of the audit says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditChain {
    /// Entries that are kept.
    pub entries: u64,
    /// The last number that retention deleted; 0 while none was.
    pub pruned_to: i64,
    /// The number of the newest entry, also of one that is gone; 0 before the first.
    pub head: i64,
    /// The link of that entry: who keeps it elsewhere can prove later that nothing before it changed.
    pub head_link: [u8; 32],
    /// The first entry that does not follow from the one before it.
    pub broken_at: Option<i64>,
}

/// The accounts contract: users, their sessions, API tokens, and the audit's chain.
///
/// What changes who may do what is audited in the transaction that does it. Secrets come here as
/// hashes and are never given back, except a user's own hash to check a password against.
pub trait Accounts: Send + Sync {
    /// True when there is an administrator.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn has_administrator(&self) -> Result<bool, StoreError>;

    /// Adds the first administrator, whatever the user's grant says.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Conflict`] when there is an administrator, or the name is taken.
    fn add_first_administrator(&self, user: &NewUser, by: &Act) -> Result<UserNo, StoreError>;

    /// Adds a user.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Conflict`] when the name is taken.
    fn add_user(&self, user: &NewUser, by: &Act) -> Result<UserNo, StoreError>;

    /// Takes over what an identity provider says of somebody: a user of its own, added when it comes for
    /// the first time, with this grant from now on. It has no password here, and its name never becomes
    /// another user's.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn prove_user(&self, user: &ProvenUser, by: &Act) -> Result<Proven, StoreError>;

    /// Takes away what a user of an identity provider may, because the provider's claims give it nothing
    /// any more: it sees no building, and its sessions end. Nothing happens when there is no such user.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn disprove_user(&self, issuer: &str, subject: &str, by: &Act) -> Result<(), StoreError>;

    /// Ends the sessions of all users whom an identity provider proves: what its claims give may have
    /// changed.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn end_proven_sessions(&self) -> Result<(), StoreError>;

    /// Gives a user another grant; it holds for its sessions from the next request on.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when there is no such user, [`crate::ErrorKind::Conflict`] when
    /// no administrator would be left, or an identity provider says what it may.
    fn change_user(&self, user: UserNo, grant: &Grant, by: &Act) -> Result<(), StoreError>;

    /// Gives a user another password and ends all of its sessions but `keep`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when there is no such user, [`crate::ErrorKind::Conflict`] when
    /// an identity provider proves who it is.
    fn set_password(
        &self,
        user: UserNo,
        password_hash: &str,
        keep: Option<&[u8; 32]>,
        by: &Act,
    ) -> Result<(), StoreError>;

    /// Removes a user with all of its sessions.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when there is no such user, [`crate::ErrorKind::Conflict`] when
    /// no administrator would be left.
    fn remove_user(&self, user: UserNo, by: &Act) -> Result<(), StoreError>;

    /// All users, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn users(&self) -> Result<Vec<UserRow>, StoreError>;

    /// A user with what its password is checked against.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn user_password(&self, name: &str) -> Result<Option<(UserRow, String)>, StoreError>;

    /// Begins a session, and deletes those that are over. Of a user the 16 that were used last are
    /// kept.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when there is no such user (any more).
    fn begin_session(&self, session: &NewSession, by: &Act) -> Result<(), StoreError>;

    /// A session that has not expired at `now`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn session(
        &self,
        token_sha256: &[u8; 32],
        now: UtcMicros,
    ) -> Result<Option<SessionRow>, StoreError>;

    /// Notes that a session is used; one that is over stays over.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn use_session(&self, token_sha256: &[u8; 32], now: UtcMicros) -> Result<(), StoreError>;

    /// Ends a session, if there is one.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn end_session(&self, token_sha256: &[u8; 32]) -> Result<(), StoreError>;

    /// Makes an API token.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Conflict`] when its name is taken.
    fn add_api_token(&self, token: &NewApiToken, by: &Act) -> Result<ApiTokenNo, StoreError>;

    /// Revokes an API token; its name is free.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when there is no such token.
    fn revoke_api_token(&self, token: ApiTokenNo, by: &Act) -> Result<(), StoreError>;

    /// All API tokens that were not revoked, also those that expired, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn api_tokens(&self) -> Result<Vec<ApiTokenRow>, StoreError>;

    /// An API token that has not expired at `now`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn api_token(
        &self,
        token_sha256: &[u8; 32],
        now: UtcMicros,
    ) -> Result<Option<ApiTokenRow>, StoreError>;

    /// Notes that an API token is used.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn use_api_token(&self, token: ApiTokenNo, now: UtcMicros) -> Result<(), StoreError>;

    /// Follows the chain of the audit from its oldest entry to its newest.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn audit_chain(&self) -> Result<AuditChain, StoreError>;

    /// Entries of the audit with numbers above `after`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn chained_audit(&self, after: i64, limit: usize) -> Result<Vec<ChainedEntry>, StoreError>;
}

impl fmt::Debug for NewUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, grant, password_hash: _ } = self;
        f.debug_struct("NewUser").field("name", name).field("grant", grant).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accounts_name_cannot_be_mistaken_for_another() {
        for name in ["m.keller", "eva_2@example.org", &"x".repeat(64)] {
            assert_eq!(AccountName::new(name).unwrap().as_str(), name);
        }
        for name in ["", "Eva", "a b", "müller", "a\n", "collector", "local", &"x".repeat(65)] {
            assert!(AccountName::new(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn administrators_and_auditors_are_not_limited_to_buildings() {
        let some = Reach::only(vec![BuildingId::from_u128(7)]);
        for role in Role::ALL {
            assert_eq!(role.as_str().parse::<Role>().unwrap(), role);
            assert!(Grant::new(role, Reach::All).is_ok());
            let limited = matches!(role, Role::Viewer | Role::Operator);
            assert_eq!(Grant::new(role, some.clone()).is_ok(), limited, "{role}");
        }
        assert!("root".parse::<Role>().is_err());
    }

    #[test]
    fn a_reach_has_its_own_buildings_alone() {
        let id = BuildingId::from_u128;
        let some = Reach::only(vec![id(9), id(3), id(9)]);
        assert_eq!(some, Reach::Only(vec![id(3), id(9)]));
        assert!(some.has(id(3)) && some.has(id(9)) && !some.has(id(4)));
        assert!(!Reach::only(vec![]).has(id(3)) && Reach::All.has(id(3)));
    }

    #[test]
    fn a_new_user_is_printed_without_its_hash() {
        let user = NewUser {
            name: AccountName::new("eva").unwrap(),
            password_hash: "canary".to_owned(),
            grant: Grant::administrator(),
        };
        assert!(!format!("{user:?}").contains("canary"));
    }
}
