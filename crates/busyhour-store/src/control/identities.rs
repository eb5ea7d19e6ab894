//! The contract of identities on SQLite.

use busyhour_model::{AgentId, BuildingId, UtcMicros};

use super::identity::{self, Admission, Changed};
use super::{SqliteControl, tokens};
use crate::{
    Act, AgentCertificate, ConfirmedSession, Enrolment, ErrorKind, Identities, IdentityRefusal,
    IdentityRow, LetIn, NewToken, StoreError, TokenId, TokenRefusal, TokenRow,
};

impl Identities for SqliteControl {
    fn add_token(&self, token: &NewToken, by: &Act) -> Result<(), StoreError> {
        let added = self.database.write("keep a token", |sql| tokens::add(sql, token, by))?;
        let refused = |what: &str, kind| {
            Err(StoreError::new(format!("keep token {}: {what}", token.id), kind))
        };
        match added {
            tokens::Added::Done => Ok(()),
            tokens::Added::NoSuchPlace => {
                refused("its building or subnet is not in force", ErrorKind::NotFound)
            }
            tokens::Added::Taken => refused("its number is taken", ErrorKind::Conflict),
        }
    }

    fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        self.database.read("read tokens", |sql| tokens::tokens(sql))
    }

    fn revoke_token(&self, token: TokenId, by: &Act) -> Result<(), StoreError> {
        let known = self.database.write("revoke a token", |sql| tokens::revoke(sql, token, by))?;
        if known {
            return Ok(());
        }
        Err(StoreError::new(format!("revoke token {token}, which is none"), ErrorKind::NotFound))
    }

    fn enrol(&self, enrolment: &Enrolment) -> Result<Result<LetIn, TokenRefusal>, StoreError> {
        self.database.write("enrol an agent", |sql| tokens::enrol(sql, enrolment))
    }

    fn renew(
        &self,
        agent: AgentId,
        shown: &AgentCertificate,
        next: &AgentCertificate,
        at: UtcMicros,
    ) -> Result<Result<LetIn, IdentityRefusal>, StoreError> {
        let by = Act::by_collector(at);
        let renew = |sql: &rusqlite::Transaction<'_>| identity::renew(sql, agent, shown, next, &by);
        self.database.write("renew an agent's certificate", renew)
    }

    fn admit(
        &self,
        agent: AgentId,
        shown: &AgentCertificate,
        session: Option<u64>,
        at: UtcMicros,
    ) -> Result<Result<(), IdentityRefusal>, StoreError> {
        let admission = self.database.read("look an identity up", |sql| {
            identity::admission(sql, agent, shown, session, at)
        })?;
        match admission {
            Admission::Admitted => Ok(Ok(())),
            Admission::Refused(refusal) => Ok(Err(refusal)),
            Admission::Cloned(reason) => {
                let by = Act::by_collector(at);
                let quarantine =
                    |sql: &rusqlite::Transaction<'_>| identity::quarantine(sql, agent, reason, &by);
                self.database.write("put an identity into quarantine", quarantine)?;
                Ok(Err(IdentityRefusal::Quarantined))
            }
        }
    }

    fn confirm(&self, sessions: &[ConfirmedSession]) -> Result<(), StoreError> {
        let confirm = |sql: &rusqlite::Transaction<'_>| {
            sessions.iter().try_for_each(|confirmed| {
                identity::confirm(sql, confirmed.agent, &confirmed.shown, confirmed.next)
            })
        };
        self.database.write("confirm sessions", confirm)
    }

    fn approve(&self, agent: AgentId, by: &Act) -> Result<(), StoreError> {
        let changed =
            self.database.write("approve an agent", |sql| identity::approve(sql, agent, by))?;
        outcome("approve", agent, changed)
    }

    fn approve_building(&self, building: BuildingId, by: &Act) -> Result<Vec<AgentId>, StoreError> {
        let approve =
            |sql: &rusqlite::Transaction<'_>| identity::approve_building(sql, building, by);
        self.database.write("approve the agents of a building", approve)
    }

    fn revoke(&self, agent: AgentId, reason: &str, by: &Act) -> Result<(), StoreError> {
        let revoke = |sql: &rusqlite::Transaction<'_>| identity::revoke(sql, agent, reason, by);
        let changed = self.database.write("revoke an agent", revoke)?;
        outcome("revoke", agent, changed)
    }

    fn identities(&self) -> Result<Vec<IdentityRow>, StoreError> {
        self.database.read("read identities", |sql| identity::identities(sql))
    }
}

fn outcome(operation: &str, agent: AgentId, changed: Changed) -> Result<(), StoreError> {
    let refused =
        |what: &str, kind| Err(StoreError::new(format!("{operation} agent {agent}: {what}"), kind));
    match changed {
        Changed::Done => Ok(()),
        Changed::NoSuchIdentity => refused("it has no certificate", ErrorKind::NotFound),
        Changed::Revoked => refused("it was revoked", ErrorKind::Conflict),
    }
}
