//! The collector's data: the only collector SQL.
//!
//! Six contracts ([`Telemetry`], [`Control`], [`Accounts`], [`Identities`], [`Configurations`],
//! [`Desk`]) and the embedded engine behind them ([`open`]). The store keeps and finds; it never judges, and it never names the wire format.
//!
//! Invariants: what an operation wrote is durable when it returns, all of it or nothing; a block's
//! rows and its receipt are in one transaction of one file; no invariant spans the two files;
//! readers never wait for the writer.

mod audit;
mod codec;
mod contract;
mod control;
mod engine;
mod error;
mod sqlite;

pub use audit::{Act, Actor, AuditAction, AuditEntry, AuditSubject, InvalidAuditWord};
#[doc(hidden)]
pub use codec::pack::{bench as pack_bench, fuzz_pack};
pub use contract::accounts::{
    AccountName, Accounts, ApiTokenNo, ApiTokenRow, AuditChain, ChainedEntry, Grant,
    InvalidAccount, NewApiToken, NewSession, NewUser, Proven, ProvenUser, Reach, Role, SessionRow,
    UserNo, UserRow,
};
pub use contract::configuration::{
    AssignmentRow, AssignmentScope, ComparedClock, ConfigurationReport, ConfigurationRow,
    ConfigurationState, Configurations, DesiredState, Label, RefusalRow, ReportRow,
};
pub use contract::control::{
    AgentRow, Binding, Control, ControlPruned, ControlRetention, DatedBinding, FileVersion,
    ForgottenAgent, ImportPreview, ImportSummary, IncidentEvent, InventoryAt, JudgeWrite,
    MissingPrefix, NewAgent, Sighting,
};
pub use contract::desk::{Desk, DeskRefusal, Desked, NewQuiet, Worsened};
pub use contract::identity::{
    AgentCertificate, Approval, ConfirmedSession, Enrolment, Identities, IdentityRefusal,
    IdentityRow, IdentityState, LetIn, NewToken, TokenId, TokenPlace, TokenRefusal, TokenRow,
};
pub use contract::outbox::{
    About, ChannelRow, ChannelTest, Delivery, DeliveryOutcome, DeliveryTotals, Fate, Happened,
    IncidentNews, NewDelivery, OpeningTold, Outbox, Purpose, Untold,
};
pub use contract::tasks::{InvalidTaskWord, SignOff, TaskWord};
pub use contract::{
    Appended, BlockRows, DamagedFile, DayTally, DirtyDay, Forgotten, Grain, JudgedWindow,
    PathChanges, PathRow, Quarantined, RecordKind, Retention, SlotDetail, StoredWindow, Telemetry,
    TelemetryTotals,
};
pub use control::SqliteControl;
pub use engine::{FoldOptions, SqliteTelemetry};
pub use error::{ErrorKind, StoreError};
pub use sqlite::{
    BackupError, BackupReport, CheckReport, CheckedFile, OpenError, Progress, Restored, Unfinished,
    backup, check, open, open_with, restore, thin_backups,
};
