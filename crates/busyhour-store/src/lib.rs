//! The collector's data: the only collector SQL.
//!
//! Two contracts ([`Telemetry`], [`Control`]) and the embedded engine behind them. The store keeps
//! and finds; it never judges, and it never names the wire format.

mod contract;
mod error;

pub use contract::{
    AgentRow, Appended, Binding, BlockRows, Control, Delivery, DeliveryOutcome, DeliveryTotals,
    DirtyDay, ImportSummary, IncidentEvent, JudgeWrite, JudgedWindow, MissingPrefix, NewAgent,
    PathRow, Quarantined, RecordKind, Retention, Sighting, StoredWindow, Telemetry,
    TelemetryTotals,
};
pub use error::{ErrorKind, StoreError};
