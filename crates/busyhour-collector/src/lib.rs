//! The collector as one process: opens the store, lets agents deliver, judges, tells people, serves
//! API and page, and forgets what is too old.
//!
//! It only wires these parts together and owns their configuration and lifecycle; it has no rules
//! of its own. Invariants: nothing starts on a configuration that was not checked as a whole;
//! listeners are on loopback until there is TLS and sign-in; when told to stop, doors close before
//! the work behind them ends, and what was acknowledged is durable whatever happens.

mod addresses;
mod admin;
mod api;
mod args;
mod config;
mod damage;
mod maintenance;
mod pictures;
mod prune;
mod reports;
mod run;
mod status;

pub use addresses::Addresses;
pub use api::ApiTls;
pub use args::{
    AdminCommand, BackupArgs, CollectorArgs, CollectorCli, CollectorCommand, ConfigArgs,
    DataDirArgs, ResetArgs, RestoreArgs,
};
pub use config::{InvalidConfig, InvalidOidc, Oidc, RawConfig, Requirements, Resolved, Security};
pub use run::{execute, run, run_with};
