//! Who this agent is to its collector: a key that never leaves the machine, certificates that the
//! collector issues for it, and the authorities that prove the collector.

mod credential;
mod folder;
mod issue;
mod key;
mod phases;
mod pin;
pub(crate) mod private_file;
#[cfg(test)]
mod tests;
mod tls;
mod token;

pub use credential::{Credential, CredentialError};
pub(crate) use folder::Folder;
pub use folder::{IdentityError, Stored};
pub(crate) use issue::Asked;
pub use issue::IssueError;
pub(crate) use key::AgentKey;
pub use key::KeyError;
pub(crate) use phases::{Phases, Slot};
pub use tls::TlsError;
pub(crate) use tls::{by_credential, by_pin, is_refusal, is_stranger};
pub(crate) use token::Token;
pub use token::TokenError;
