//! The accounts contract on SQLite: the same file as control.

use busyhour_model::UtcMicros;

use super::{SqliteControl, api_tokens, audit, users};
use crate::control::users::Changed;
use crate::{
    Accounts, Act, ApiTokenNo, ApiTokenRow, AuditChain, ChainedEntry, ErrorKind, Grant,
    NewApiToken, NewSession, NewUser, Proven, ProvenUser, SessionRow, StoreError, UserNo, UserRow,
};

impl Accounts for SqliteControl {
    fn has_administrator(&self) -> Result<bool, StoreError> {
        self.database.read("look for an administrator", |sql| users::has_administrator(sql))
    }

    fn add_first_administrator(&self, user: &NewUser, by: &Act) -> Result<UserNo, StoreError> {
        let added = self
            .database
            .write("add the first administrator", |sql| users::add_first(sql, user, by))?;
        added.ok_or_else(|| {
            let operation = "add the first administrator: there is one, or the name is taken";
            StoreError::new(operation, ErrorKind::Conflict)
        })
    }

    fn add_user(&self, user: &NewUser, by: &Act) -> Result<UserNo, StoreError> {
        let added = self.database.write("add a user", |sql| users::add(sql, user, by))?;
        added.ok_or_else(|| {
            let operation = format!("add user {:?}: its name is taken", user.name.as_str());
            StoreError::new(operation, ErrorKind::Conflict)
        })
    }

    fn prove_user(&self, user: &ProvenUser, by: &Act) -> Result<Proven, StoreError> {
        self.database.write("take over a proven user", |sql| users::prove(sql, user, by))
    }

    fn disprove_user(&self, issuer: &str, subject: &str, by: &Act) -> Result<(), StoreError> {
        self.database.write("disprove a user", |sql| users::disprove(sql, (issuer, subject), by))
    }

    fn end_proven_sessions(&self) -> Result<(), StoreError> {
        self.database.write("end sessions of proven users", |sql| users::end_proven_sessions(sql))
    }

    fn change_user(&self, user: UserNo, grant: &Grant, by: &Act) -> Result<(), StoreError> {
        let changed =
            self.database.write("change a user", |sql| users::change(sql, user, grant, by))?;
        outcome("change", user, changed)
    }

    fn set_password(
        &self,
        user: UserNo,
        password_hash: &str,
        keep: Option<&[u8; 32]>,
        by: &Act,
    ) -> Result<(), StoreError> {
        let changed = self.database.write("set a password", |sql| {
            users::set_password(sql, user, (password_hash, keep), by)
        })?;
        outcome("set the password of", user, changed)
    }

    fn remove_user(&self, user: UserNo, by: &Act) -> Result<(), StoreError> {
        let changed = self.database.write("remove a user", |sql| users::remove(sql, user, by))?;
        outcome("remove", user, changed)
    }

    fn users(&self) -> Result<Vec<UserRow>, StoreError> {
        self.database.read("read users", |sql| users::users(sql))
    }

    fn user_password(&self, name: &str) -> Result<Option<(UserRow, String)>, StoreError> {
        self.database.read("read a user", |sql| users::password(sql, name))
    }

    fn begin_session(&self, session: &NewSession, by: &Act) -> Result<(), StoreError> {
        let begun =
            self.database.write("begin a session", |sql| users::begin_session(sql, session, by))?;
        let changed = if begun { Changed::Done } else { Changed::Unknown };
        outcome("begin a session of", session.user, changed)
    }

    fn session(
        &self,
        token_sha256: &[u8; 32],
        now: UtcMicros,
    ) -> Result<Option<SessionRow>, StoreError> {
        self.database.read("read a session", |sql| users::session(sql, token_sha256, now))
    }

    fn use_session(&self, token_sha256: &[u8; 32], now: UtcMicros) -> Result<(), StoreError> {
        self.database
            .write("note a session's use", |sql| users::use_session(sql, token_sha256, now))
    }

    fn end_session(&self, token_sha256: &[u8; 32]) -> Result<(), StoreError> {
        self.database.write("end a session", |sql| users::end_session(sql, token_sha256))
    }

    fn add_api_token(&self, token: &NewApiToken, by: &Act) -> Result<ApiTokenNo, StoreError> {
        let added =
            self.database.write("make an API token", |sql| api_tokens::add(sql, token, by))?;
        added.ok_or_else(|| {
            let operation = format!("make API token {:?}: its name is taken", token.name.as_str());
            StoreError::new(operation, ErrorKind::Conflict)
        })
    }

    fn revoke_api_token(&self, token: ApiTokenNo, by: &Act) -> Result<(), StoreError> {
        let revoked =
            self.database.write("revoke an API token", |sql| api_tokens::revoke(sql, token, by))?;
        if revoked {
            return Ok(());
        }
        let operation = format!("revoke API token {}, which is none", token.0);
        Err(StoreError::new(operation, ErrorKind::NotFound))
    }

    fn api_tokens(&self) -> Result<Vec<ApiTokenRow>, StoreError> {
        self.database.read("read API tokens", |sql| api_tokens::tokens(sql))
    }

    fn api_token(
        &self,
        token_sha256: &[u8; 32],
        now: UtcMicros,
    ) -> Result<Option<ApiTokenRow>, StoreError> {
        self.database.read("read an API token", |sql| api_tokens::by_token(sql, token_sha256, now))
    }

    fn use_api_token(&self, token: ApiTokenNo, now: UtcMicros) -> Result<(), StoreError> {
        self.database.write("note an API token's use", |sql| api_tokens::used(sql, token, now))
    }

    fn audit_chain(&self) -> Result<AuditChain, StoreError> {
        self.database.read("follow the audit's chain", |sql| audit::chain(sql))
    }

    fn chained_audit(&self, after: i64, limit: usize) -> Result<Vec<ChainedEntry>, StoreError> {
        self.database.read("read the audit", |sql| audit::chained(sql, after, limit))
    }
}

fn outcome(operation: &str, user: UserNo, changed: Changed) -> Result<(), StoreError> {
    let (why, kind) = match changed {
        Changed::Done => return Ok(()),
        Changed::Unknown => ("which is none", ErrorKind::NotFound),
        Changed::Last => ("the only administrator", ErrorKind::Conflict),
        Changed::Proven => ("whom an identity provider proves", ErrorKind::Conflict),
    };
    Err(StoreError::new(format!("{operation} user {}, {why}", user.0), kind))
}
