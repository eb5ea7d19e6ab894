//! Why the store could not do what it was asked.

use thiserror::Error;

/// What callers may want to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The disk (or its quota) is full. Nothing was written; try again when there is room.
    Full,
    /// Another process or connection holds the file; try again.
    Busy,
    /// The file is damaged.
    Corrupt,
    /// Something with this name or identity exists already.
    Conflict,
    /// There is nothing with this identity.
    NotFound,
    /// The operating system refused to read or write.
    Io,
    /// Anything else.
    Other,
}

/// An operation on the store that did not happen.
#[derive(Debug, Error)]
#[error("{operation}")]
pub struct StoreError {
    operation: String,
    kind: ErrorKind,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
    /// Builds an error of `kind` for an operation that is named in the present tense.
    #[must_use]
    pub fn new(operation: impl Into<String>, kind: ErrorKind) -> Self {
        Self { operation: operation.into(), kind, source: None }
    }

    /// Adds what caused it.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What callers may want to do about it.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }
}
