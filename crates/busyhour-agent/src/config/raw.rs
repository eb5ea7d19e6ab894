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
    pub(super) link: RawLink,
    pub(super) profile: Vec<RawProfile>,
    pub(super) target: Vec<RawTarget>,
    pub(super) allow: RawAllow,
    pub(super) reflector: RawReflector,
    pub(super) remote: RawRemote,
    pub(super) pause: RawPause,
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

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLink {
    pub(super) capacity: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAllow {
    pub(super) targets: Vec<String>,
    pub(super) special: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProfile {
    pub(super) name: String,
    #[serde(default = "best_effort")]
    pub(super) class: String,
    pub(super) rate: u32,
    pub(super) packet_bytes: u16,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTarget {
    pub(super) name: String,
    #[serde(default)]
    pub(super) class: Option<String>,
    #[serde(default)]
    pub(super) profile: Option<String>,
    #[serde(default = "stamp")]
    pub(super) peer: String,
    #[serde(default)]
    pub(super) security: RawSecurity,
    #[serde(default)]
    pub(super) key_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) timestamps: RawTimestamps,
    #[serde(default = "not_ect")]
    pub(super) ecn: String,
    #[serde(default)]
    pub(super) schedule: RawSchedule,
    /// For tests.
    #[serde(default)]
    pub(super) window: Option<String>,
    #[serde(default)]
    pub(super) period: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawSchedule {
    #[default]
    Duty,
    Continuous,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawSecurity {
    #[default]
    Open,
    Tlvs,
    Authenticated,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawReflector {
    pub(super) listen: Vec<String>,
    pub(super) admission: RawAdmission,
    pub(super) session: Vec<RawProvisioned>,
    pub(super) allow: Vec<String>,
    pub(super) key_files: Vec<PathBuf>,
    pub(super) require_key: bool,
    pub(super) counting: RawCounting,
    pub(super) disclose_addresses: bool,
    pub(super) max_sessions: u32,
    pub(super) max_sessions_per_address: u32,
    pub(super) timestamps: RawTimestamps,
}

impl Default for RawReflector {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            admission: RawAdmission::default(),
            session: Vec::new(),
            allow: Vec::new(),
            key_files: Vec::new(),
            require_key: false,
            counting: RawCounting::default(),
            disclose_addresses: false,
            max_sessions: defaults::REFLECTOR_SESSIONS,
            max_sessions_per_address: defaults::REFLECTOR_SESSIONS_PER_ADDRESS,
            timestamps: RawTimestamps::default(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawAdmission {
    #[default]
    Permissive,
    Provisioned,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawCounting {
    #[default]
    Stateful,
    Stateless,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawTimestamps {
    #[default]
    Ntp,
    Ptp,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProvisioned {
    pub(super) ssid: u16,
    #[serde(default)]
    pub(super) source: Option<String>,
    #[serde(default)]
    pub(super) key_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) short_requests: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRemote {
    pub(super) accept: RawAccepts,
    pub(super) trial: String,
}

impl Default for RawRemote {
    fn default() -> Self {
        Self { accept: RawAccepts::default(), trial: defaults::TRIAL.to_owned() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawAccepts {
    #[default]
    Targets,
    Nothing,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPause {
    pub(super) on_battery: bool,
    pub(super) on_metered: bool,
    pub(super) metered: Vec<String>,
}

impl Default for RawPause {
    fn default() -> Self {
        Self { on_battery: true, on_metered: true, metered: Vec::new() }
    }
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

fn best_effort() -> String {
    "best-effort".to_owned()
}

pub(super) fn stamp() -> String {
    "stamp".to_owned()
}

pub(super) fn not_ect() -> String {
    "not-ect".to_owned()
}
