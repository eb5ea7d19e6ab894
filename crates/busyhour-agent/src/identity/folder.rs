//! The agent's identity on disk: `identity/` in the data directory.

use std::io;
use std::path::{Path, PathBuf};

use busyhour_daemon::chain;
use busyhour_model::AgentId;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::credential::{Credential, CredentialError};
use super::key::{AgentKey, KeyError};
use super::phases::Act;
use super::private_file;

/// The folder in the data directory.
const FOLDER: &str = "identity";
/// The credential that worked last.
const CURRENT: &str = "identity.json";
/// One that was issued and not used yet.
const CANDIDATE: &str = "candidate.json";
/// The key of an enrolment under way.
const PENDING: &str = "pending.json";
/// What the next session begins with, behind the agent's id.
const NONCE: &str = "nonce";

/// Files that cannot be used.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The system says why.
    #[error("{operation} {path:?}")]
    File {
        /// What was done.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The content is none.
    #[error("{path:?} is no identity of an agent")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CredentialError,
    },
    /// The key of an enrolment under way is none.
    #[error("{path:?} cannot be used; remove it to begin the enrolment anew")]
    Pending {
        /// The file.
        path: PathBuf,
    },
    /// A key cannot be made.
    #[error("the agent's key")]
    Key(#[from] KeyError),
}

/// The identity as it lies on disk.
#[derive(Debug, Clone)]
pub struct Stored {
    pub(crate) current: Credential,
    pub(crate) candidate: Option<Credential>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Pending {
    collector: String,
    token_id: String,
    key_pem: String,
}

/// Where the files lie. Every change is durable when it returns; all of it may block.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// In this data directory.
    pub(crate) fn of(data_dir: &Path) -> Self {
        Self { path: data_dir.join(FOLDER) }
    }

    /// What there is; `None` before the enrolment.
    pub(crate) fn read(&self) -> Result<Option<Stored>, IdentityError> {
        let Some(current) = self.read_credential(CURRENT)? else { return Ok(None) };
        // A candidate that cannot be read is no reason to lose what works.
        let candidate = self.read_credential(CANDIDATE).unwrap_or_else(|error| {
            tracing::warn!(error = %chain(&error), "the new certificate is left out");
            None
        });
        // An enrolment that was interrupted may have left one of the identity before.
        let candidate = candidate.filter(|candidate| candidate.agent == current.agent);
        Ok(Some(Stored { current, candidate }))
    }

    /// Takes an identity in place of any before.
    pub(crate) fn enrolled(&self, credential: &Credential) -> Result<(), IdentityError> {
        self.make()?;
        // A crash leaves the old identity whole, or the new one; what it leaves of the old one names
        // the old agent and is not used.
        self.write(CURRENT, &credential.to_json())?;
        self.remove(CANDIDATE)?;
        self.remove(NONCE)?;
        self.remove(PENDING)
    }

    /// Keeps a credential that no session was welcomed with yet.
    pub(crate) fn issued(&self, candidate: &Credential) -> Result<(), IdentityError> {
        self.write(CANDIDATE, &candidate.to_json())
    }

    pub(crate) fn apply(&self, act: Act) -> Result<(), IdentityError> {
        match act {
            Act::Nothing => Ok(()),
            Act::Promote => {
                let (from, to) = (self.path.join(CANDIDATE), self.path.join(CURRENT));
                private_file::rename(&from, &to).map_err(failed("rename", &from))
            }
            Act::Discard => self.remove(CANDIDATE),
        }
    }

    /// What this agent's next session begins with; empty at first.
    pub(crate) fn nonce(&self, agent: AgentId) -> Result<Vec<u8>, IdentityError> {
        let path = self.path.join(NONCE);
        let content = private_file::read(&path).map_err(failed("read", &path))?.unwrap_or_default();
        let nonce = content.strip_prefix(agent.to_bytes().as_slice()).unwrap_or_default();
        Ok(nonce.to_vec())
    }

    pub(crate) fn keep_nonce(&self, agent: AgentId, nonce: &[u8]) -> Result<(), IdentityError> {
        self.write(NONCE, &[agent.to_bytes().as_slice(), nonce].concat())
    }

    /// The key to enrol with: the one of an enrolment that was interrupted, when it is for the same
    /// token and collector, so that an answer that was lost is given again; else a new one. It is
    /// durable before it is used.
    pub(crate) fn key_for(&self, collector: &str, token: &str) -> Result<AgentKey, IdentityError> {
        self.make()?;
        let path = self.path.join(PENDING);
        if let Some(text) = private_file::read(&path).map_err(failed("read", &path))? {
            let unusable = || IdentityError::Pending { path: path.clone() };
            let pending: Pending = serde_json::from_slice(&text).map_err(|_| unusable())?;
            if pending.collector == collector && pending.token_id == token {
                return AgentKey::parse(&pending.key_pem).map_err(|_| unusable());
            }
        }
        let key = AgentKey::make()?;
        let pending = Pending {
            collector: collector.to_owned(),
            token_id: token.to_owned(),
            key_pem: key.pem().to_owned(),
        };
        self.write(PENDING, &serde_json::to_vec_pretty(&pending).unwrap_or_default())?;
        Ok(key)
    }

    fn make(&self) -> Result<(), IdentityError> {
        private_file::make_folder(&self.path).map_err(failed("make", &self.path))
    }

    fn read_credential(&self, name: &str) -> Result<Option<Credential>, IdentityError> {
        let path = self.path.join(name);
        let Some(text) = private_file::read(&path).map_err(failed("read", &path))? else {
            return Ok(None);
        };
        let credential = Credential::from_json(&text);
        credential.map(Some).map_err(|source| IdentityError::Content { path, source })
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<(), IdentityError> {
        let path = self.path.join(name);
        private_file::write(&path, content).map_err(failed("write", &path))
    }

    fn remove(&self, name: &str) -> Result<(), IdentityError> {
        let path = self.path.join(name);
        private_file::remove(&path).map_err(failed("remove", &path))
    }
}

fn failed(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> IdentityError {
    move |source| IdentityError::File { operation, path: path.to_owned(), source }
}
