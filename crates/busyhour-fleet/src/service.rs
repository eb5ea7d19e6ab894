//! The calls by which agents get their certificates.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use busyhour_proto::v1;
use busyhour_proto::v1::enrolment_server::{Enrolment, EnrolmentServer};
use busyhour_proto::v1::identity_server::{Identity, IdentityServer};
use busyhour_store::{IdentityRefusal, IdentityState, TokenId, TokenRefusal};
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Response, Status};

use crate::certificate::ShownCertificate;
use crate::fleet::{AdmitError, Fleet, FleetError, Issued};
use crate::places::{Place, Places, neighbourhood};
use crate::request::{BadRequest, RequestedKey};

/// The metadata that says in one word why a call was refused.
pub const REFUSAL_KEY: &str = "busyhour-refusal";
/// The largest message that these calls read: a request and a token are far smaller.
const MAX_MESSAGE_BYTES: usize = 16 * 1024;
/// Calls that are worked on at the same time, shared out by address: each signs, and waits for the
/// store's one writer.
const MAX_AT_ONCE: usize = 16;
/// The longest secret that is looked at, in bytes.
const MAX_SECRET_BYTES: usize = 64;

/// A status that says in one word why.
#[must_use]
pub fn refusal_status(code: Code, word: &'static str, text: impl Into<String>) -> Status {
    let mut status = Status::new(code, text);
    status.metadata_mut().insert(REFUSAL_KEY, MetadataValue::from_static(word));
    status
}

/// The code that an identity's refusal is said with.
#[must_use]
pub fn identity_status(refusal: IdentityRefusal) -> Status {
    let code = match refusal {
        IdentityRefusal::Unknown | IdentityRefusal::Expired | IdentityRefusal::Superseded => {
            Code::Unauthenticated
        }
        IdentityRefusal::Revoked
        | IdentityRefusal::Quarantined
        | IdentityRefusal::Waiting
        | IdentityRefusal::Key => Code::PermissionDenied,
    };
    refusal_status(code, refusal.as_str(), format!("this agent is refused: {}", refusal.as_str()))
}

/// What a caller is told whose certificate does not let it do what it asks for.
#[must_use]
pub fn admit_status(error: &AdmitError) -> Status {
    match error {
        AdmitError::NoCertificate => {
            refusal_status(Code::Unauthenticated, "certificate", error.to_string())
        }
        AdmitError::Refused { refusal, .. } => identity_status(*refusal),
        AdmitError::Unavailable { .. } => Status::unavailable(error.to_string()),
    }
}

/// `busyhour.v1.Enrolment`.
pub struct EnrolmentService {
    fleet: Arc<Fleet>,
    room: Arc<Places<IpAddr>>,
}

impl EnrolmentService {
    /// The service, for a tonic server.
    #[must_use]
    pub fn server(fleet: Arc<Fleet>) -> EnrolmentServer<Self> {
        let service = Self { fleet, room: Places::new(MAX_AT_ONCE, usize::MAX) };
        EnrolmentServer::new(service).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }
}

#[tonic::async_trait]
impl Enrolment for EnrolmentService {
    async fn enrol(
        &self,
        request: Request<v1::EnrolRequest>,
    ) -> Result<Response<v1::EnrolReply>, Status> {
        let peer = request.remote_addr().map(|peer| peer.ip());
        let _place = place(&self.room, peer, "too many enrol at this moment")?;
        let (fleet, message) = (Arc::clone(&self.fleet), request.into_inner());
        let credential = off_the_runtime(move || enrol(&fleet, &message, peer)).await?;
        Ok(Response::new(v1::EnrolReply { credential: Some(credential) }))
    }
}

/// `busyhour.v1.Identity`.
pub struct IdentityService {
    fleet: Arc<Fleet>,
    room: Arc<Places<IpAddr>>,
}

impl IdentityService {
    /// The service, for a tonic server.
    #[must_use]
    pub fn server(fleet: Arc<Fleet>) -> IdentityServer<Self> {
        let service = Self { fleet, room: Places::new(MAX_AT_ONCE, usize::MAX) };
        IdentityServer::new(service).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }
}

#[tonic::async_trait]
impl Identity for IdentityService {
    async fn renew(
        &self,
        request: Request<v1::RenewRequest>,
    ) -> Result<Response<v1::RenewReply>, Status> {
        let peer = request.remote_addr().map(|peer| peer.ip());
        let _place = place(&self.room, peer, "too many renew at this moment")?;
        let certificates = request.peer_certs().unwrap_or_default();
        let shown = certificates.first().and_then(|der| ShownCertificate::read(der).ok());
        let shown = shown.ok_or_else(|| {
            refusal_status(Code::Unauthenticated, "certificate", "no agent's certificate was shown")
        })?;
        let (fleet, message) = (Arc::clone(&self.fleet), request.into_inner());
        let credential = off_the_runtime(move || renew(&fleet, &message, &shown)).await?;
        Ok(Response::new(v1::RenewReply { credential: Some(credential) }))
    }
}

/// A place for a call from this address.
fn place(
    room: &Arc<Places<IpAddr>>,
    peer: Option<IpAddr>,
    busy: &'static str,
) -> Result<Place<IpAddr>, Status> {
    // A transport that does not tell is one neighbourhood.
    let who = neighbourhood(peer.unwrap_or(Ipv6Addr::UNSPECIFIED.into()));
    room.take(who).ok_or_else(|| refusal_status(Code::ResourceExhausted, "busy", busy))
}

async fn off_the_runtime(
    work: impl FnOnce() -> Result<v1::Credential, Status> + Send + 'static,
) -> Result<v1::Credential, Status> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|_| Status::internal("the call ended early"))?
}

fn enrol(
    fleet: &Fleet,
    message: &v1::EnrolRequest,
    peer: Option<IpAddr>,
) -> Result<v1::Credential, Status> {
    let key = RequestedKey::from_request(&message.request).map_err(|bad| bad_request(&bad))?;
    let token: Option<TokenId> = message.token_id.parse().ok();
    let token = token.filter(|_| message.token_secret.len() <= MAX_SECRET_BYTES);
    let token = token.ok_or_else(|| token_status(TokenRefusal::Unknown))?;
    let enrolled = fleet.enrol(token, &message.token_secret, &key, peer).map_err(|e| failed(&e))?;
    let issued = enrolled.map_err(|refusal| {
        tracing::warn!(%token, refusal = refusal.as_str(), "an enrolment was refused");
        token_status(refusal)
    })?;
    tracing::info!(agent = %issued.let_in.agent, %token, "an agent was enrolled");
    Ok(credential(issued))
}

fn renew(
    fleet: &Fleet,
    message: &v1::RenewRequest,
    shown: &ShownCertificate,
) -> Result<v1::Credential, Status> {
    let key = RequestedKey::from_request(&message.request).map_err(|bad| bad_request(&bad))?;
    let renewed = fleet.renew(shown, &key).map_err(|error| failed(&error))?;
    let issued = renewed.map_err(|refusal| {
        tracing::warn!(agent = %shown.agent, refusal = refusal.as_str(), "a renewal was refused");
        identity_status(refusal)
    })?;
    Ok(credential(issued))
}

fn bad_request(bad: &BadRequest) -> Status {
    refusal_status(Code::InvalidArgument, "request", bad.to_string())
}

fn token_status(refusal: TokenRefusal) -> Status {
    let text = match refusal {
        TokenRefusal::Unknown => "this token is not known",
        TokenRefusal::Used => "this token was used up",
        TokenRefusal::Expired => "this token has expired",
        TokenRefusal::Revoked => "this token was revoked",
        TokenRefusal::Address => "this token is not for the network that you connect from",
        TokenRefusal::Key => "this key belongs to an agent, or did; make a new one",
    };
    refusal_status(Code::PermissionDenied, refusal.as_str(), text)
}

/// What failed here is logged here; the caller learns that it may try again.
fn failed(error: &FleetError) -> Status {
    let source = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(%error, source, "a certificate cannot be given");
    Status::unavailable("certificates cannot be given now")
}

fn credential(issued: Issued) -> v1::Credential {
    let standing = match issued.let_in.state {
        IdentityState::Active => v1::Standing::Active,
        IdentityState::Waiting | IdentityState::Quarantined | IdentityState::Revoked => {
            v1::Standing::Waiting
        }
    };
    v1::Credential {
        agent: issued.let_in.agent.to_bytes().to_vec(),
        certificates: vec![issued.certificate.to_vec()],
        authorities: issued.trusted.iter().map(|der| der.to_vec()).collect(),
        not_before_us: issued.planned.from.0,
        not_after_us: issued.planned.until.0,
        standing: standing.into(),
        building: issued.let_in.building,
        subnet: issued.let_in.subnet.map(|subnet| subnet.to_string()).unwrap_or_default(),
    }
}
