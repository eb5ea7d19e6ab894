//! Logging to standard error.

use std::io::IsTerminal as _;

use serde::Deserialize;
use thiserror::Error;
use tracing_subscriber::EnvFilter;

/// Logging that could not be set up.
#[derive(Debug, Error)]
pub enum LogError {
    /// The level is not one.
    #[error(
        "{found:?} is not a log level (expected, for example, \"info\" or \"info,hyper=warn\")"
    )]
    Level {
        /// What was given.
        found: String,
        /// What the parser says.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Another subscriber was installed before.
    #[error("logging was set up twice")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The `[log]` section of every process.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// A level (`error`, `warn`, `info`, `debug`, `trace`), or a list of `module=level`.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: DEFAULT_LEVEL.to_owned(), format: LogFormat::Text }
    }
}

const DEFAULT_LEVEL: &str = "info";

/// Sends the process's log lines to standard error, once per process.
///
/// # Errors
/// When the level is not one, or logging was set up before.
pub fn init_logging(config: &LogConfig) -> Result<(), LogError> {
    use tracing_subscriber::util::SubscriberInitExt as _;

    let filter = EnvFilter::builder()
        .parse(&config.level)
        .map_err(|source| LogError::Level { found: config.level.clone(), source })?;
    // The HTTP client shows whole bodies at its finest, tokens and passwords among them.
    let bodies = "ureq_proto::util=off".parse().expect("a directive that is always the same");
    let filter = filter.add_directive(bodies);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = match config.format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).finish().try_init(),
        LogFormat::Json => builder.json().finish().try_init(),
    };
    installed.map_err(LogError::Twice)
}
