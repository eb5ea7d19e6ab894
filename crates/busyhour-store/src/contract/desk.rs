//! What people do with incidents: acts, owners, quiet times. See [`busyhour_model::desk`].

use busyhour_model::desk::{
    Deed, IncidentAct, Overlay, Owner, OwnerRow, Quiet, QuietKind, QuietScope, Remark, ShortRemark,
};
use busyhour_model::{Cause, IncidentId, UtcMicros};
use thiserror::Error;

use crate::StoreError;
use crate::audit::Act;
use crate::contract::tasks::{SignOff, TaskWord};

/// A quiet time to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewQuiet {
    /// Why nobody is told.
    pub kind: QuietKind,
    /// What it is for, each for itself.
    pub scopes: Vec<QuietScope>,
    /// Its first moment; what is over begins now.
    pub from: UtcMicros,
    /// The first moment after it.
    pub until: UtcMicros,
    /// Why, in words.
    pub reason: Remark,
}

/// Why something cannot be done with an incident, an owner or a quiet time. Nothing changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DeskRefusal {
    /// Never seen, or gone.
    #[error("there is no such incident (any more)")]
    NoIncident,
    /// Suspected or closed.
    #[error("only an incident that is open can be acknowledged")]
    NotOpen,
    /// There is no acknowledgement to take back.
    #[error("it is not acknowledged")]
    NotAcknowledged,
    /// It has no owner of its own.
    #[error("it has no owner of its own; others come from the table of owners")]
    NotOwned,
    /// It is not part of another by hand.
    #[error("it was not merged by hand")]
    NotMerged,
    /// It is part of another by hand.
    #[error("it is merged already; split it before")]
    Merged,
    /// It was to be part of itself.
    #[error("an incident cannot be part of itself")]
    IntoItself,
    /// The other was never seen, or is gone.
    #[error("there is no such incident to merge it into (any more)")]
    IntoNone,
    /// The other is part of this one.
    #[error("that one is part of this one already")]
    IntoPart,
    /// One of the two is over.
    #[error("what is closed cannot be merged: it says nothing any more")]
    MergeClosed,
    /// There is as much as there may be.
    #[error("there are {most} {what} already, which is the most")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        most: u32,
    },
    /// Never made, or gone.
    #[error("there is no such quiet time (any more)")]
    NoQuiet,
    /// Nothing is left of it to be ended.
    #[error("it is over already")]
    QuietOver,
    /// It would be over before it begins, or is too long.
    #[error("a quiet time ends after it begins, after now, and within 366 days")]
    QuietTimes,
    /// It is for nothing, or too much, or maintenance of what is no place.
    #[error("a quiet time is for 1 to 64 things; maintenance is of places")]
    QuietScopes,
    /// A building or subnet that is not in force, an incident that is not there.
    #[error("a quiet time is for something that is not there")]
    QuietPlace,
}

/// An answer that may be a refusal.
pub type Desked<T> = Result<Result<T, DeskRefusal>, StoreError>;

/// An incident that is worse at the end of maintenance than it was at its begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worsened {
    /// The incident.
    pub incident: IncidentId,
    /// The number of the maintenance.
    pub quiet: u64,
}

/// What people do with incidents. Everything is audited in the transaction that does it; what was said is
/// not in the audit, as it goes with its incident.
pub trait Desk: Send + Sync {
    /// Does something with an incident. Of a merge the store fills in the other's number.
    ///
    /// # Errors
    /// When the transaction could not be made durable; then nothing changed.
    fn act(&self, incident: IncidentId, deed: &Deed, by: &Act) -> Desked<IncidentAct>;

    /// What was done with an incident, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn acts(&self, incident: IncidentId) -> Result<Vec<IncidentAct>, StoreError>;

    /// The table of owners, by cause and region.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn owners(&self) -> Result<Vec<OwnerRow>, StoreError>;

    /// Says who answers for a cause in a region, in place of who did.
    ///
    /// # Errors
    /// When the transaction could not be made durable; then nothing changed.
    fn set_owner(
        &self,
        key: (Option<Cause>, Option<&ShortRemark>),
        owner: &Owner,
        by: &Act,
    ) -> Desked<()>;

    /// Takes that back; false when nobody was.
    ///
    /// # Errors
    /// When the transaction could not be made durable; then nothing changed.
    fn remove_owner(
        &self,
        key: (Option<Cause>, Option<&ShortRemark>),
        by: &Act,
    ) -> Result<bool, StoreError>;

    /// Quiet times that end at `from` or later, by number.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn quiets(&self, from: UtcMicros) -> Result<Vec<Quiet>, StoreError>;

    /// Makes a quiet time.
    ///
    /// # Errors
    /// When the transaction could not be made durable; then nothing changed.
    fn add_quiet(&self, quiet: &NewQuiet, by: &Act) -> Desked<Quiet>;

    /// Ends one now.
    ///
    /// # Errors
    /// When the transaction could not be made durable; then nothing changed.
    fn end_quiet(&self, number: u64, by: &Act) -> Desked<Quiet>;

    /// How all incidents stand with people, with the quiet times that end at `from` or later.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn overlay(&self, from: UtcMicros) -> Result<Overlay, StoreError>;

    /// Notes the classes of severity of open incidents when maintenance that covers them begins, and gives,
    /// once, those that are of a higher class when it is over. Maintenance that was over before anybody
    /// looked found nothing worse.
    ///
    /// # Errors
    /// When the transaction could not be made durable; then nothing changed.
    fn turn_quiets(&self, now: UtcMicros) -> Result<Vec<Worsened>, StoreError>;

    /// Signs a task of the calendar off for a period.
    ///
    /// # Errors
    /// When the transaction could not be made durable; then nothing changed.
    fn sign_off(
        &self,
        what: (&TaskWord, &TaskWord),
        note: Option<&Remark>,
        by: &Act,
    ) -> Desked<SignOff>;

    /// The newest `limit` sign-offs, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn sign_offs(&self, limit: usize) -> Result<Vec<SignOff>, StoreError>;
}
