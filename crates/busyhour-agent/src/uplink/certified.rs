//! The way to the collector with a certificate, and its renewal.

use std::sync::Arc;
use std::time::Duration;

use busyhour_daemon::{Backoff, InvalidBackoff, chain};
use busyhour_model::UtcMicros;
use busyhour_proto::v1;
use busyhour_proto::v1::identity_client::IdentityClient;
use rustls::ClientConfig;
use thiserror::Error;
use tokio::time::{Instant, timeout};
use tonic::Status;
use tonic::transport::{Channel, Uri};

use super::connect::{Secured, TIMEOUT};
use super::standing::{CertificateView, Standing};
use super::{SessionError, UplinkError};
use crate::blocking::blocking;
use crate::identity::{
    AgentKey, Asked, Credential, Folder, IdentityError, IssueError, KeyError, Phases, Slot, Stored,
    by_credential, is_refusal, is_stranger,
};

/// Between two tries to renew a certificate that still holds.
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(3600);

/// A certificate that could not be renewed.
#[derive(Debug, Error)]
pub(super) enum RenewalError {
    #[error("the agent's key cannot be used")]
    Key(#[from] KeyError),
    #[error("the collector refused to renew the certificate")]
    Refused(#[source] Status),
    #[error("the collector does not answer")]
    Timeout,
    #[error("the new certificate cannot be used")]
    Unusable(#[from] IssueError),
    #[error("the new certificate cannot be kept")]
    Unkept(#[from] IdentityError),
}

/// A credential that TLS was told of.
#[derive(Debug, Clone)]
struct Ready {
    credential: Credential,
    tls: Arc<ClientConfig>,
}

impl Ready {
    fn new(credential: Credential) -> Result<Self, UplinkError> {
        let tls = by_credential(&credential)?;
        Ok(Self { credential, tls })
    }
}

/// Knows the agent's credentials, uses the right one, and has it renewed in time.
pub(super) struct Certified {
    secured: Secured,
    collector: String,
    folder: Folder,
    phases: Phases<Ready>,
    nonce: Vec<u8>,
    /// The collector says that the certificate is over, whatever this machine's clock says.
    over: bool,
    retry_at: Option<Instant>,
    backoff: Backoff,
}

impl Certified {
    /// Reads the nonce; may block.
    pub(super) fn new(url: &Uri, folder: Folder, stored: Stored) -> Result<Self, UplinkError> {
        let nonce = folder.nonce(stored.current.agent)?;
        let candidate = stored.candidate.map(Ready::new).transpose()?;
        let current = Ready::new(stored.current)?;
        Ok(Self {
            secured: Secured::new(url)?,
            collector: url.to_string(),
            folder,
            phases: Phases::new(current, candidate),
            nonce,
            over: false,
            retry_at: None,
            backoff: backoff()?,
        })
    }

    /// Connects, and has the certificate renewed first when it is time. After a renewal the
    /// connection is of no use any more: what was issued is tried at once, with another.
    pub(super) async fn open(&mut self, now: UtcMicros) -> Result<(Channel, Slot), SessionError> {
        let (slot, ready) = self.phases.next();
        let ready = ready.clone();
        let connected = self.secured.connect(Arc::clone(&ready.tls)).await;
        let channel = match connected {
            Ok(channel) => channel,
            Err(error) if is_stranger(&error) => return Err(SessionError::Stranger(error)),
            Err(error) => {
                if is_refusal(&error) {
                    self.refused(slot, Standing::Refused);
                }
                return Err(SessionError::Connect(error));
            }
        };
        if !self.is_due(&ready.credential, now) {
            return Ok((channel, slot));
        }
        match self.renew(channel.clone(), &ready.credential, now).await {
            Ok(()) => Err(SessionError::Renewed),
            Err(error) if self.over || ready.credential.expired(now) => {
                Err(SessionError::Renewal(error))
            }
            Err(error) => {
                let delay = self.renew_later();
                tracing::warn!(error = %chain(&error), retry_in = ?delay, "the certificate is not renewed");
                Ok((channel, slot))
            }
        }
    }

    /// Whether the certificate in use is to be renewed now.
    pub(super) fn renewal_is_due(&self, now: UtcMicros) -> bool {
        self.is_due(&self.phases.next().1.credential, now)
    }

    /// What the next session begins with.
    pub(super) fn nonce(&self) -> Vec<u8> {
        self.nonce.clone()
    }

    /// A session was welcomed. What it said for the next one is durable when this returns, unless the
    /// disk fails: then it is kept in memory.
    pub(super) async fn welcomed(&mut self, slot: Slot, nonce: &[u8]) {
        self.over = false;
        if slot == Slot::Candidate {
            self.retry_at = None;
            self.backoff.reset();
        }
        let act = self.phases.welcomed(slot);
        let agent = self.phases.next().1.credential.agent;
        if !nonce.is_empty() {
            nonce.clone_into(&mut self.nonce);
        }
        let (folder, nonce) = (self.folder.clone(), nonce.to_vec());
        let written = blocking(move || {
            let kept = if nonce.is_empty() { Ok(()) } else { folder.keep_nonce(agent, &nonce) };
            folder.apply(act).and(kept)
        });
        if let Err(error) = written.await {
            tracing::error!(error = %chain(&error), "the identity cannot be kept");
        }
    }

    /// The collector refused a session.
    pub(super) fn refused(&mut self, slot: Slot, standing: Standing) {
        self.over = standing == Standing::Expired;
        if standing.is_of_the_certificate() {
            self.phases.refused(slot);
        }
        if slot == Slot::Candidate {
            // The old one is used again before another one is asked for.
            self.renew_later();
        }
    }

    /// The certificate in use, for the status file.
    pub(super) fn view(&self) -> CertificateView {
        CertificateView::from(&self.phases.next().1.credential)
    }

    fn renew_later(&mut self) -> Duration {
        let delay = self.backoff.next_delay().max(SHORTEST / 2);
        self.retry_at = Some(Instant::now() + delay);
        delay
    }

    fn is_due(&self, credential: &Credential, now: UtcMicros) -> bool {
        let waits = self.retry_at.is_some_and(|at| Instant::now() < at);
        self.over || credential.expired(now) || (now >= credential.renew_from() && !waits)
    }

    /// Asks for a new certificate, of a new key while the old one holds and of the same one when it is
    /// over, and keeps it beside the old one.
    async fn renew(
        &mut self,
        channel: Channel,
        old: &Credential,
        now: UtcMicros,
    ) -> Result<(), RenewalError> {
        let over = self.over || old.expired(now);
        let key = if over { old.key().clone() } else { AgentKey::make()? };
        let request = v1::RenewRequest { request: key.request()? };
        let mut client = IdentityClient::new(channel);
        let reply = timeout(TIMEOUT, client.renew(request))
            .await
            .map_err(|_| RenewalError::Timeout)?
            .map_err(RenewalError::Refused)?;
        let collector = self.collector.as_str();
        let asked = Asked { collector, key, agent: Some(old.agent), now };
        let credential = asked.accept(reply.into_inner().credential)?;
        let (folder, kept) = (self.folder.clone(), credential.clone());
        blocking(move || folder.issued(&kept)).await?;
        tracing::info!(
            certificate_expires_us = credential.valid_until.0,
            "the certificate is renewed"
        );
        let ready = Ready::new(credential);
        // It was tried out when it was accepted.
        if let Ok(ready) = ready {
            self.phases.issued(ready);
        }
        self.over = false;
        Ok(())
    }
}

fn backoff() -> Result<Backoff, InvalidBackoff> {
    Backoff::new(SHORTEST, LONGEST, fastrand::u64(..))
}
