//! What a configuration file may say.

use std::path::PathBuf;

use busyhour_daemon::LogConfig;
use serde::Deserialize;

use super::defaults;

/// The configuration as written; every field has a default. [`RawConfig::resolve`] checks it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    pub(super) agent: RawAgent,
    pub(super) collector: RawCollector,
    pub(super) target: Vec<RawTarget>,
    pub(super) reflector: RawReflector,
    pub(super) spool: RawSpool,
    pub(super) log: LogConfig,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAgent {
    pub(super) data_dir: PathBuf,
    pub(super) secret_file: Option<PathBuf>,
}

impl Default for RawAgent {
    fn default() -> Self {
        Self { data_dir: defaults::DATA_DIR.into(), secret_file: None }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawCollector {
    pub(super) url: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTarget {
    pub(super) name: String,
    #[serde(default = "audio")]
    pub(super) class: String,
    #[serde(default)]
    pub(super) schedule: RawSchedule,
    /// For tests.
    #[serde(default = "window")]
    pub(super) window: String,
    /// For tests.
    #[serde(default = "period")]
    pub(super) period: String,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawSchedule {
    #[default]
    Duty,
    Continuous,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawReflector {
    pub(super) listen: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawSpool {
    pub(super) max_bytes: u64,
    pub(super) max_age: String,
    pub(super) seal_after: String,
}

impl Default for RawSpool {
    fn default() -> Self {
        Self {
            max_bytes: defaults::SPOOL_BYTES,
            max_age: defaults::SPOOL_AGE.to_owned(),
            seal_after: defaults::SEAL_AFTER.to_owned(),
        }
    }
}

fn audio() -> String {
    "audio".to_owned()
}

fn window() -> String {
    defaults::WINDOW.to_owned()
}

fn period() -> String {
    defaults::PERIOD.to_owned()
}
