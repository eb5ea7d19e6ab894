//! What a configuration file may say.

use std::path::PathBuf;

use busyhour_daemon::LogConfig;
use busyhour_notify::{ChannelConfig, ReportConfig, RouteConfig};
use serde::Deserialize;

use super::oidc::RawOidc;

/// The defaults and bounds of every setting.
pub(crate) mod defaults {
    use std::time::Duration;

    pub(crate) const DATA_DIR: &str = "/var/lib/busyhour-collector";
    pub(crate) const INGEST_LISTEN: &str = "127.0.0.1:7443";
    /// Below the data directory.
    pub(crate) const IDENTITY_FOLDER: &str = "identity";
    /// Branch machines are switched off over holidays.
    pub(crate) const CERTIFICATE_LIFE: &str = "14d";
    pub(crate) const CERTIFICATE_LIVES: (Duration, Duration) =
        (Duration::from_secs(10), Duration::from_secs(30 * 86_400));
    /// A host name, an alias and a few addresses.
    pub(crate) const MAX_NAMES: usize = 32;
    pub(crate) const API_LISTEN: &str = "127.0.0.1:8080";
    /// Two weeks in which a figure can be looked at window by window.
    pub(crate) const RETENTION_WINDOWS: &str = "14d";
    /// A year and the weeks to compare its beginning with.
    pub(crate) const RETENTION_SLOTS: &str = "400d";
    /// Five years to see what a building was like.
    pub(crate) const RETENTION_HOURS: &str = "1830d";
    /// Two months in which an incident can be looked at with all that was known.
    pub(crate) const RETENTION_CHECKS: &str = "60d";
    pub(crate) const RETENTION_FACTS: &str = "60d";
    /// Loads are many; a month of them says how a link is used.
    pub(crate) const RETENTION_LOADS: &str = "30d";
    pub(crate) const RETENTION_GAPS: &str = "60d";
    /// A year and the weeks around it of who did what.
    pub(crate) const RETENTION_AUDIT: &str = "400d";
    /// A month after an agent was last seen nobody asks for its address any more.
    pub(crate) const RETENTION_SIGHTINGS: &str = "30d";
    /// A quarter in which a removed agent is still called by its name.
    pub(crate) const RETENTION_AGENTS: &str = "90d";
    /// As long as hours: without its place nothing that was measured can be shown.
    pub(crate) const RETENTION_PLACEMENTS: &str = RETENTION_HOURS;
    /// As long as slots, by which they can be understood.
    pub(crate) const RETENTION_PATH_VERDICTS: &str = RETENTION_SLOTS;
    /// Three years of what buildings were judged to be.
    pub(crate) const RETENTION_VERDICTS: &str = "1100d";
    pub(crate) const RETENTION_INCIDENTS: &str = "800d";
    /// A quarter of messages that were sent or given up.
    pub(crate) const RETENTION_DELIVERIES: &str = "90d";
    /// As long as hours, which name its buildings.
    pub(crate) const RETENTION_INVENTORY: &str = RETENTION_HOURS;
    pub(crate) const MAX_RETENTION_DAYS: u32 = 3_660;
    pub(crate) const JUDGE_INTERVAL: &str = "10s";
    pub(crate) const JUDGE_INTERVALS: (Duration, Duration, &str) = (
        Duration::from_millis(100),
        Duration::from_secs(3_600),
        "from 100ms to 1h, such as \"10s\"",
    );
    /// What two thousand agents kept for an hour is there in a minute and a half.
    pub(crate) const JUDGE_SETTLE: &str = "5m";
    pub(crate) const JUDGE_SETTLES: (Duration, Duration, &str) =
        (Duration::ZERO, Duration::from_secs(24 * 3_600), "from 0s to 24h, such as \"5m\"");
    /// Reflectors stand in for the edge until somebody says otherwise.
    pub(crate) const REQUIREMENT: &str = "client-to-microsoft-edge";
    /// A target per building and a few for everybody.
    pub(crate) const MAX_TARGETS: usize = 10_000;
    /// A mail, a webhook and a few more.
    pub(crate) const MAX_CHANNELS: usize = 32;
    /// A few for each region.
    pub(crate) const MAX_ROUTES: usize = 256;
    /// Three kinds, to a few teams.
    pub(crate) const MAX_REPORTS: usize = 32;
}

/// The configuration as written; every field has a default. [`RawConfig::resolve`] checks it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    pub(super) collector: RawCollector,
    pub(super) ingest: RawIngest,
    pub(super) identity: RawIdentity,
    pub(super) api: RawApi,
    pub(super) retention: RawRetention,
    pub(super) judge: RawJudge,
    pub(super) target: Vec<RawTarget>,
    pub(super) channel: Vec<ChannelConfig>,
    pub(super) route: Vec<RouteConfig>,
    pub(super) report: Vec<ReportConfig>,
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
    pub(super) security: Option<String>,
    pub(super) names: Vec<String>,
}

impl Default for RawIngest {
    fn default() -> Self {
        Self { listen: defaults::INGEST_LISTEN.to_owned(), security: None, names: Vec::new() }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawIdentity {
    pub(super) certificate_life: String,
    pub(super) ca_certificate: Option<PathBuf>,
    pub(super) ca_key: Option<PathBuf>,
}

impl Default for RawIdentity {
    fn default() -> Self {
        let certificate_life = defaults::CERTIFICATE_LIFE.to_owned();
        Self { certificate_life, ca_certificate: None, ca_key: None }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawApi {
    pub(super) listen: String,
    pub(super) base_url: Option<String>,
    pub(super) tls: RawApiTls,
    pub(super) oidc: Option<RawOidc>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawApiTls {
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

impl Default for RawApi {
    fn default() -> Self {
        let listen = defaults::API_LISTEN.to_owned();
        Self { listen, base_url: None, tls: RawApiTls::default(), oidc: None }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRetention {
    pub(super) windows: String,
    pub(super) slots: String,
    pub(super) hours: String,
    pub(super) checks: String,
    pub(super) facts: String,
    pub(super) loads: String,
    pub(super) gaps: String,
    pub(super) audit: String,
    pub(super) sightings: String,
    pub(super) agents: String,
    pub(super) placements: String,
    pub(super) path_verdicts: String,
    pub(super) verdicts: String,
    pub(super) incidents: String,
    pub(super) deliveries: String,
    pub(super) inventory: String,
}

impl Default for RawRetention {
    fn default() -> Self {
        Self {
            windows: defaults::RETENTION_WINDOWS.to_owned(),
            slots: defaults::RETENTION_SLOTS.to_owned(),
            hours: defaults::RETENTION_HOURS.to_owned(),
            checks: defaults::RETENTION_CHECKS.to_owned(),
            facts: defaults::RETENTION_FACTS.to_owned(),
            loads: defaults::RETENTION_LOADS.to_owned(),
            gaps: defaults::RETENTION_GAPS.to_owned(),
            audit: defaults::RETENTION_AUDIT.to_owned(),
            sightings: defaults::RETENTION_SIGHTINGS.to_owned(),
            agents: defaults::RETENTION_AGENTS.to_owned(),
            placements: defaults::RETENTION_PLACEMENTS.to_owned(),
            path_verdicts: defaults::RETENTION_PATH_VERDICTS.to_owned(),
            verdicts: defaults::RETENTION_VERDICTS.to_owned(),
            incidents: defaults::RETENTION_INCIDENTS.to_owned(),
            deliveries: defaults::RETENTION_DELIVERIES.to_owned(),
            inventory: defaults::RETENTION_INVENTORY.to_owned(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawJudge {
    pub(super) interval: String,
    pub(super) settle: String,
    pub(super) default_requirement: String,
}

impl Default for RawJudge {
    fn default() -> Self {
        Self {
            interval: defaults::JUDGE_INTERVAL.to_owned(),
            settle: defaults::JUDGE_SETTLE.to_owned(),
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
