//! What a configuration file may say.

use std::path::PathBuf;

use busyhour_daemon::LogConfig;
use busyhour_notify::ChannelConfig;
use serde::Deserialize;

/// The defaults and bounds of every setting.
pub(crate) mod defaults {
    use std::time::Duration;

    pub(crate) const DATA_DIR: &str = "/var/lib/busyhour-collector";
    pub(crate) const INGEST_LISTEN: &str = "127.0.0.1:7443";
    pub(crate) const API_LISTEN: &str = "127.0.0.1:8080";
    /// Two weeks in which a figure can be looked at window by window.
    pub(crate) const RETENTION_WINDOWS: &str = "14d";
    /// A year and the weeks to compare its beginning with.
    pub(crate) const RETENTION_SLOTS: &str = "400d";
    /// A quarter of checks, facts, loads and gaps.
    pub(crate) const RETENTION_OTHERS: &str = "90d";
    pub(crate) const MAX_RETENTION_DAYS: u32 = 3_660;
    pub(crate) const JUDGE_INTERVAL: &str = "10s";
    pub(crate) const JUDGE_INTERVALS: (Duration, Duration) =
        (Duration::from_millis(100), Duration::from_secs(3_600));
    /// Reflectors stand in for the edge until somebody says otherwise.
    pub(crate) const REQUIREMENT: &str = "client-to-microsoft-edge";
    /// A target per building and a few for everybody.
    pub(crate) const MAX_TARGETS: usize = 10_000;
    /// A mail, a webhook and a few more.
    pub(crate) const MAX_CHANNELS: usize = 32;
}

/// The configuration as written; every field has a default. [`RawConfig::resolve`] checks it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    pub(super) collector: RawCollector,
    pub(super) ingest: RawIngest,
    pub(super) api: RawApi,
    pub(super) retention: RawRetention,
    pub(super) judge: RawJudge,
    pub(super) target: Vec<RawTarget>,
    pub(super) channel: Vec<ChannelConfig>,
    pub(super) log: LogConfig,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawCollector {
    pub(super) data_dir: PathBuf,
}

impl Default for RawCollector {
    fn default() -> Self {
        Self { data_dir: defaults::DATA_DIR.into() }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawIngest {
    pub(super) listen: String,
}

impl Default for RawIngest {
    fn default() -> Self {
        Self { listen: defaults::INGEST_LISTEN.to_owned() }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawApi {
    pub(super) listen: String,
    pub(super) base_url: Option<String>,
}

impl Default for RawApi {
    fn default() -> Self {
        Self { listen: defaults::API_LISTEN.to_owned(), base_url: None }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRetention {
    pub(super) windows: String,
    pub(super) slots: String,
    pub(super) others: String,
}

impl Default for RawRetention {
    fn default() -> Self {
        Self {
            windows: defaults::RETENTION_WINDOWS.to_owned(),
            slots: defaults::RETENTION_SLOTS.to_owned(),
            others: defaults::RETENTION_OTHERS.to_owned(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawJudge {
    pub(super) interval: String,
    pub(super) default_requirement: String,
}

impl Default for RawJudge {
    fn default() -> Self {
        Self {
            interval: defaults::JUDGE_INTERVAL.to_owned(),
            default_requirement: defaults::REQUIREMENT.to_owned(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTarget {
    pub(super) name: String,
    pub(super) requirement: String,
}
