//! The collector's data: the only collector SQL.
//!
//! Two contracts ([`Telemetry`], [`Control`]) and the embedded engine behind them ([`open`]). The
//! store keeps and finds; it never judges, and it never names the wire format.
//!
//! Invariants: what an operation wrote is durable when it returns, all of it or nothing; a block's
//! rows and its receipt are in one transaction of one file; no invariant spans the two files;
//! readers never wait for the writer.

mod codec;
mod contract;
mod control;
mod error;
mod sqlite;
mod telemetry;

pub use contract::{
    AgentRow, Appended, Binding, BlockRows, Control, Delivery, DeliveryOutcome, DeliveryTotals,
    DirtyDay, ImportPreview, ImportSummary, IncidentEvent, JudgeWrite, JudgedWindow, MissingPrefix,
    NewAgent, PathRow, Quarantined, RecordKind, Retention, Sighting, StoredWindow, Telemetry,
    TelemetryTotals,
};
pub use control::SqliteControl;
pub use error::{ErrorKind, StoreError};
pub use sqlite::{OpenError, open};
pub use telemetry::SqliteTelemetry;
