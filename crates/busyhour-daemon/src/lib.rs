//! Process scaffolding shared by every Busyhour process: layered configuration, logging, secrets
//! from files, signals, backoff and error chains.
//!
//! It names no domain crate and knows nothing of networks, records or buildings.
//!
//! Invariants: configuration has exactly the layers file, environment, flags, in that order, and a
//! field nobody knows is an error; a secret never shows in a log or an error.

mod addresses;
mod backoff;
mod chain;
mod config;
mod logging;
mod secret;
mod shutdown;

pub use addresses::{ADDRESS_FILE, AddressFile};
pub use backoff::{Backoff, InvalidBackoff};
pub use chain::{Chain, chain};
pub use config::{ConfigError, load, load_file, parse_override};
pub use logging::{LogConfig, LogError, LogFormat, init_logging};
pub use secret::{Secret, SecretError};
pub use shutdown::{cancel_with_stdin, shutdown_signal};
