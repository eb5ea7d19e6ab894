//! Who signed off which task of the calendar for which period.

use std::fmt;

use busyhour_model::UtcMicros;
use busyhour_model::desk::Remark;
use thiserror::Error;

/// A text that names no task and no period.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no name of a task or a period (1 to 40 letters, digits and hyphens)")]
pub struct InvalidTaskWord(pub String);

/// The name of a task, or of the period that it is for: 1 to 40 ASCII letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskWord(String);

impl TaskWord {
    const MAX_BYTES: usize = 40;

    /// Takes a text that is one.
    ///
    /// # Errors
    /// When it is empty, too long, or has other characters.
    pub fn new(text: &str) -> Result<Self, InvalidTaskWord> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(known) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidTaskWord(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl std::str::FromStr for TaskWord {
    type Err = InvalidTaskWord;

    fn from_str(text: &str) -> Result<Self, InvalidTaskWord> {
        Self::new(text)
    }
}

/// That somebody did a task of the calendar. It is never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignOff {
    /// Its number; later ones are higher.
    pub number: u64,
    /// The task.
    pub task: TaskWord,
    /// The period: `2026-08-21`, `2026-W34`, `2026-08`.
    pub period: TaskWord,
    /// When, by the collector's clock.
    pub at: UtcMicros,
    /// Who.
    pub by: String,
    /// What is worth to be remembered.
    pub note: Option<Remark>,
}
