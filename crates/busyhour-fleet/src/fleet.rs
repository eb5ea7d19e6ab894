//! All of it in one place, for those who let agents in and those who ask about them.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use busyhour_model::{AgentId, BuildingId, UtcMicros};
use busyhour_store::{
    Act, AgentCertificate, Approval, AuditAction, AuditSubject, ConfirmedSession, Control,
    Enrolment, Identities, IdentityRefusal, IdentityRow, LetIn, NewToken, StoreError, TokenId,
    TokenPlace, TokenRefusal, TokenRow,
};
use ipnet::IpNet;
use rustls::pki_types::CertificateDer;
use thiserror::Error;

use crate::authority::{Authority, AuthorityError};
use crate::bundle::CompanyAuthority;
use crate::certificate::{BadCertificate, ShownCertificate};
use crate::draw::{self, NoRandomness};
use crate::request::RequestedKey;
use crate::tls::{ServerName, ServerTls};
use crate::token::{TokenText, secret_sha256};

/// The collector's clock, for labels and certificates.
pub type Clock = Arc<dyn Fn() -> UtcMicros + Send + Sync>;

/// A token lives at least this long.
const MIN_TOKEN_LIFE: Duration = Duration::from_secs(60);
/// And at most this long.
const MAX_TOKEN_LIFE: Duration = Duration::from_secs(24 * 3_600);
/// It lets in at most this many agents: those of a large building.
const MAX_TOKEN_USES: u32 = 1_000;

/// How the fleet is kept.
#[derive(Debug, Clone)]
pub struct FleetConfig {
    /// Where the collector's own authority lies.
    pub folder: PathBuf,
    /// A company's authority in place of that.
    pub company: Option<CompanyAuthority>,
    /// What agents reach the collector by, loopback aside.
    pub names: Vec<ServerName>,
    /// How long certificates of agents hold.
    pub certificate_life: Duration,
}

/// Ends sessions of agents.
pub trait LiveSessions: Send + Sync {
    /// Ends the agent's live session and waits until it can acknowledge nothing more. May block.
    fn end(&self, agent: AgentId);
}

/// A token to be made.
#[derive(Debug, Clone)]
pub struct NewTokenRequest {
    /// Where it lets agents in.
    pub place: TokenPlace,
    /// Only connections from this network are let in.
    pub peers: Option<IpNet>,
    /// How many agents it lets in.
    pub uses: u32,
    /// What becomes of them.
    pub approval: Approval,
    /// How long it lets them in.
    pub life: Duration,
}

/// A token that was made. Its text is not kept and never told again.
#[derive(Debug, Clone)]
pub struct IssuedToken {
    /// What to hand to the machine that is to become an agent.
    pub text: TokenText,
    /// From this moment on it lets nobody in.
    pub expires: UtcMicros,
}

/// What a token cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenLimit {
    /// Too short or too long.
    #[error("a token lives for a minute to 24 hours")]
    Life,
    /// None or too many.
    #[error("a token lets in 1 to 1000 agents")]
    Uses,
}

/// Why something about the fleet did not happen.
#[derive(Debug, Error)]
pub enum FleetError {
    /// A token cannot be so.
    #[error(transparent)]
    Limit(#[from] TokenLimit),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// No random bytes.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// Why a certificate does not let an agent do what it asks for.
#[derive(Debug, Error)]
pub enum AdmitError {
    /// There is none, or it is no agent's.
    #[error("no agent's certificate was shown")]
    NoCertificate,
    /// It says whose it is, and that one may not.
    #[error("agent {agent} is refused: {}", refusal.as_str())]
    Refused {
        /// The agent.
        agent: AgentId,
        /// Why.
        refusal: IdentityRefusal,
    },
    /// That cannot be told now.
    #[error("the identity of agent {agent} cannot be checked now")]
    Unavailable {
        /// The agent.
        agent: AgentId,
        /// What the store says.
        #[source]
        source: StoreError,
    },
}

impl From<BadCertificate> for AdmitError {
    fn from(_: BadCertificate) -> Self {
        Self::NoCertificate
    }
}

/// A certificate for an agent, with whom to trust and what the agent is told of itself.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) let_in: LetIn,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) planned: AgentCertificate,
    pub(crate) trusted: Vec<CertificateDer<'static>>,
}

/// Tokens, the authority, and the identities of agents. Its methods ask the store: call them where that
/// may block.
pub struct Fleet {
    config: FleetConfig,
    authority: RwLock<Arc<Authority>>,
    tls: ServerTls,
    identities: Arc<dyn Identities>,
    sessions: OnceLock<Arc<dyn LiveSessions>>,
    clock: Clock,
}

impl Fleet {
    /// Reads the authority, or makes it at the first start.
    ///
    /// # Errors
    /// When its files cannot be used.
    pub fn open(
        mut config: FleetConfig,
        identities: Arc<dyn Identities>,
        clock: Clock,
    ) -> Result<Self, FleetError> {
        config.names.extend(ServerName::loopback());
        let authority = read_authority(&config, clock())?;
        let tls = ServerTls::new(&authority, config.names.clone(), Arc::clone(&clock))?;
        let authority = RwLock::new(Arc::new(authority));
        Ok(Self { config, authority, tls, identities, sessions: OnceLock::new(), clock })
    }

    /// Makes the next authority and notes it. The collector may be running: it takes it over at its next
    /// [`Self::refresh`].
    ///
    /// # Errors
    /// When it is a company's, its file cannot be used, or it cannot be noted.
    pub fn rotate(
        config: &FleetConfig,
        control: &dyn Control,
        by: &Act,
    ) -> Result<[u8; 32], FleetError> {
        if config.company.is_some() {
            return Err(AuthorityError::Company.into());
        }
        let next = Authority::rotate(&config.folder, by.at)?;
        let pin: String = next.pin().iter().map(|byte| format!("{byte:02x}")).collect();
        let detail = format!("pin={pin}");
        control.note(by, AuditAction::AuthorityChanged, AuditSubject::Store, &detail)?;
        Ok(next.pin())
    }

    /// Takes over files of the authority that changed, and renews the port's certificate in time. To be
    /// called every minute.
    ///
    /// # Errors
    /// When the files cannot be used; then what was in use stays.
    pub fn refresh(&self) -> Result<(), FleetError> {
        let read = read_authority(&self.config, (self.clock)())?;
        self.tls.refresh(&read)?;
        *self.authority.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
        Ok(())
    }

    /// Tells who ends sessions when an agent is revoked. The first one told does.
    pub fn end_sessions_with(&self, sessions: Arc<dyn LiveSessions>) {
        let _ = self.sessions.set(sessions);
    }

    /// The TLS of the agents' port.
    #[must_use]
    pub const fn tls(&self) -> &ServerTls {
        &self.tls
    }

    /// SHA-256 of the authority's public key.
    #[must_use]
    pub fn pin(&self) -> [u8; 32] {
        self.authority().pin()
    }

    /// Makes a token.
    ///
    /// # Errors
    /// When it lives too long, lets in too many, or cannot be kept.
    pub fn create_token(
        &self,
        request: &NewTokenRequest,
        by: &Act,
    ) -> Result<IssuedToken, FleetError> {
        if !(MIN_TOKEN_LIFE..=MAX_TOKEN_LIFE).contains(&request.life) {
            return Err(TokenLimit::Life.into());
        }
        if !(1..=MAX_TOKEN_USES).contains(&request.uses) {
            return Err(TokenLimit::Uses.into());
        }
        let text = TokenText::draw(self.pin())?;
        let expires = by.at.plus(request.life);
        let token = NewToken {
            id: text.id(),
            secret_sha256: text.secret_sha256(),
            place: request.place,
            peers: request.peers,
            uses: request.uses,
            approval: request.approval,
            expires,
        };
        self.identities.add_token(&token, by)?;
        Ok(IssuedToken { text, expires })
    }

    /// The tokens that are kept, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn tokens(&self) -> Result<Vec<TokenRow>, FleetError> {
        Ok(self.identities.tokens()?)
    }

    /// Makes a token let nobody in any more.
    ///
    /// # Errors
    /// When there is no such token, or the store cannot be written.
    pub fn revoke_token(&self, token: TokenId, by: &Act) -> Result<(), FleetError> {
        Ok(self.identities.revoke_token(token, by)?)
    }

    /// All agents with certificates, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn identities(&self) -> Result<Vec<IdentityRow>, FleetError> {
        Ok(self.identities.identities()?)
    }

    /// Lets an agent that waits or is quarantined deliver.
    ///
    /// # Errors
    /// When there is no such identity, it was revoked, or the store cannot be written.
    pub fn approve(&self, agent: AgentId, by: &Act) -> Result<(), FleetError> {
        Ok(self.identities.approve(agent, by)?)
    }

    /// Approves all that wait and were enrolled for a building; who they are.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn approve_building(
        &self,
        building: BuildingId,
        by: &Act,
    ) -> Result<Vec<AgentId>, FleetError> {
        Ok(self.identities.approve_building(building, by)?)
    }

    /// Lets an agent do nothing any more, and ends its session: when this returns, nothing of it is
    /// acknowledged.
    ///
    /// # Errors
    /// When there is no such identity, or the store cannot be written; then its session goes on.
    pub fn revoke(&self, agent: AgentId, reason: &str, by: &Act) -> Result<(), FleetError> {
        self.identities.revoke(agent, reason, by)?;
        self.end_session(agent);
        Ok(())
    }

    /// Ends the live session of an agent that was removed or forgotten.
    pub fn end_session(&self, agent: AgentId) {
        if let Some(sessions) = self.sessions.get() {
            sessions.end(agent);
        }
    }

    /// Who shows this certificate, if that one may deliver.
    ///
    /// # Errors
    /// When it may not, or that cannot be told.
    pub fn admit(
        &self,
        certificate: Option<&CertificateDer<'_>>,
    ) -> Result<ShownCertificate, AdmitError> {
        let shown = ShownCertificate::read(certificate.ok_or(AdmitError::NoCertificate)?)?;
        self.ask(&shown, None)?;
        Ok(shown)
    }

    /// Whether who showed this certificate may begin the session whose number it says.
    ///
    /// # Errors
    /// When it may not, or that cannot be told.
    pub fn begin(&self, shown: &ShownCertificate, session: u64) -> Result<(), AdmitError> {
        self.ask(shown, Some(session))
    }

    fn ask(&self, shown: &ShownCertificate, session: Option<u64>) -> Result<(), AdmitError> {
        let agent = shown.agent;
        self.identities
            .admit(agent, &shown.certificate, session, (self.clock)())
            .map_err(|source| AdmitError::Unavailable { agent, source })?
            .map_err(|refusal| AdmitError::Refused { agent, refusal })
    }

    /// Notes that agents kept the numbers of their next sessions, and that they can use the certificates
    /// that they showed: all in one transaction.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn confirm(&self, sessions: &[(ShownCertificate, u64)]) -> Result<(), StoreError> {
        let confirmed = |(shown, next): &(ShownCertificate, u64)| ConfirmedSession {
            agent: shown.agent,
            shown: shown.certificate,
            next: *next,
        };
        self.identities.confirm(&sessions.iter().map(confirmed).collect::<Vec<_>>())
    }

    pub(crate) fn enrol(
        &self,
        token: TokenId,
        secret: &str,
        key: &RequestedKey,
        peer: Option<IpAddr>,
    ) -> Result<Result<Issued, TokenRefusal>, FleetError> {
        let (authority, at) = (self.authority(), (self.clock)());
        let certificate = authority.plan(key, at, self.config.certificate_life)?;
        let secret_sha256 = secret_sha256(secret);
        let agent = draw::agent(at)?;
        let enrolment = Enrolment { token, secret_sha256, peer, agent, certificate, at };
        match self.identities.enrol(&enrolment)? {
            Ok(let_in) => self.issued(&authority, let_in, key, certificate).map(Ok),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    pub(crate) fn renew(
        &self,
        shown: &ShownCertificate,
        key: &RequestedKey,
    ) -> Result<Result<Issued, IdentityRefusal>, FleetError> {
        let (authority, at) = (self.authority(), (self.clock)());
        let planned = authority.plan(key, at, self.config.certificate_life)?;
        match self.identities.renew(shown.agent, &shown.certificate, &planned, at)? {
            Ok(let_in) => self.issued(&authority, let_in, key, planned).map(Ok),
            Err(IdentityRefusal::Quarantined) => {
                self.end_session(shown.agent);
                Ok(Err(IdentityRefusal::Quarantined))
            }
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    fn issued(
        &self,
        authority: &Authority,
        let_in: LetIn,
        key: &RequestedKey,
        planned: AgentCertificate,
    ) -> Result<Issued, FleetError> {
        let certificate = authority.issue(let_in.agent, key, &planned)?;
        Ok(Issued { let_in, certificate, planned, trusted: authority.trusted() })
    }

    fn authority(&self) -> Arc<Authority> {
        Arc::clone(&self.authority.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn read_authority(config: &FleetConfig, now: UtcMicros) -> Result<Authority, AuthorityError> {
    match &config.company {
        Some(company) => Authority::company(company),
        None => Authority::open(&config.folder, now),
    }
}
