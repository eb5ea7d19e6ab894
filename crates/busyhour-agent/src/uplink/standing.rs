//! How this agent stands with its collector, as the machine's owner reads it.

use busyhour_model::UtcMicros;
use tonic::Status;

use crate::identity::{self, Credential};

/// The metadata by which the collector says why it refuses.
const REFUSAL: &str = "busyhour-refusal";

/// How things stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing was heard from the collector yet.
    Connecting,
    /// The collector takes what this agent observes.
    Delivering,
    /// It asked to be left alone for a while.
    Away,
    /// It cannot be reached, or the session broke.
    Unreachable,
    /// Whoever answers there is somebody else.
    Stranger,
    /// The collector wants a person to approve this agent first.
    Waiting,
    /// It is to deliver no more.
    Revoked,
    /// The collector saw this identity in two places.
    Quarantined,
    /// The certificate is over, and could not be renewed.
    Expired,
    /// The collector does not know this agent, or not this secret or certificate.
    Refused,
}

impl Standing {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Delivering => "delivering",
            Self::Away => "away",
            Self::Unreachable => "unreachable",
            Self::Stranger => "stranger",
            Self::Waiting => "waiting",
            Self::Revoked => "revoked",
            Self::Quarantined => "quarantined",
            Self::Expired => "expired",
            Self::Refused => "refused",
        }
    }

    /// What a refused call says.
    pub(super) fn of_refusal(status: &Status) -> Self {
        match word(status) {
            Some("waiting") => Self::Waiting,
            Some("revoked") => Self::Revoked,
            Some("quarantined") => Self::Quarantined,
            Some("expired") => Self::Expired,
            Some(_) => Self::Refused,
            None => match status.code() {
                tonic::Code::Unauthenticated | tonic::Code::PermissionDenied => Self::Refused,
                _ if identity::is_refusal(status) => Self::Refused,
                _ => Self::Unreachable,
            },
        }
    }

    /// It is this certificate that the collector does not take; another may be.
    pub(super) const fn is_of_the_certificate(self) -> bool {
        matches!(self, Self::Refused | Self::Expired)
    }

    /// The collector takes nothing from this agent, and does not count it among those that are there.
    pub(super) const fn is_refusal(self) -> bool {
        matches!(self, Self::Refused | Self::Revoked | Self::Quarantined | Self::Waiting)
    }

    /// Only a person at the collector can change it.
    pub(super) const fn is_final(self) -> bool {
        matches!(self, Self::Revoked | Self::Quarantined)
    }
}

/// The collector itself refused, and said why.
pub(crate) fn is_said(status: &Status) -> bool {
    word(status).is_some()
}

fn word(status: &Status) -> Option<&str> {
    status.metadata().get(REFUSAL).and_then(|word| word.to_str().ok())
}

/// What the status file says of the identity and the collector.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) standing: Standing,
    /// Why it is as it is, where that is more than the word.
    pub(crate) said: Option<String>,
    /// Of an agent that has a certificate.
    pub(crate) certificate: Option<CertificateView>,
}

impl View {
    /// The collector takes what this agent observes.
    pub(crate) fn delivers(&self) -> bool {
        self.standing == Standing::Delivering
    }

    /// Before anything was tried.
    pub(crate) fn new(certificate: Option<CertificateView>) -> Self {
        Self { standing: Standing::Connecting, said: None, certificate }
    }
}

/// The certificate in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertificateView {
    pub(crate) building: String,
    pub(crate) subnet: String,
    pub(crate) expires: UtcMicros,
    pub(crate) renewed_from: UtcMicros,
}

impl From<&Credential> for CertificateView {
    fn from(credential: &Credential) -> Self {
        Self {
            building: credential.building.clone(),
            subnet: credential.subnet.clone(),
            expires: credential.valid_until,
            renewed_from: credential.renew_from(),
        }
    }
}
